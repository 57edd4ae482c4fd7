//! Whole comparisons, of programs that are known to be different or alike.

use std::io::Write;
use std::time::Duration;

use hotproof_diff::{Change, Comparison, CpuSource, Metric, Order, OutputCheck, Side};
use hotproof_lab::{Build, Measurement, Options, Sampling, compare, measure};

use crate::repository::{Diary, Repository};

/// Takes `rounds` steps of a generator in `work`, and 8 million in `rest`. Each step needs the one
/// before, so that time follows the number of steps wherever the code lies; one more step in `rest`
/// keeps the compiler from folding the two functions into one.
fn program(rounds: u32) -> String {
    format!(
        "#include <stdio.h>\n\
         static volatile unsigned sink;\n\
         #define STEPS(n) unsigned x = n; for (unsigned i = n; i; i--) x = x * 1664525u + 1u\n\
         __attribute__((noinline)) static void rest(void) {{ STEPS(8000001u); sink = x; }}\n\
         __attribute__((noinline)) static void work(void) {{ STEPS({rounds}u); sink = x; }}\n\
         int main(void) {{ work(); rest(); puts(\"done\"); return 0; }}\n"
    )
}

fn c_options(repository: &Repository) -> Options {
    Options {
        build: Build::Command("cc -O2 -g -o bench bench.c".into()),
        pairs: Some(30),
        budget: Duration::from_secs(60),
        ..repository.options(&["./bench"])
    }
}

/// Says why a test is skipped, past the test harness, which keeps what passing tests print.
fn skipped(reason: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}

/// Whether to go on: where perf events are not permitted, a visible line says that the test is
/// skipped, and it fails where they must be.
fn sampled(refusal: Option<&str>) -> bool {
    let Some(reason) = refusal else { return true };
    let required = std::env::var_os("HOTPROOF_REQUIRE_PERF").is_some_and(|value| value == "1");
    assert!(!required, "perf events are required here: {reason}");
    skipped(reason);
    false
}

fn own_share(comparison: &Comparison, name: &str, side: Side) -> f64 {
    let row = comparison
        .functions
        .iter()
        .position(|function| function.name == name);
    let row = row.unwrap_or_else(|| panic!("{name} in {:#?}", comparison.functions));
    let (mut own, mut all) = (0, 0);
    for pair in &comparison.pairs {
        let run = match side {
            Side::Base => &pair.base,
            Side::Head => &pair.head,
        };
        let tally = run.tally.as_ref().unwrap();
        all += tally.samples;
        own += tally
            .functions
            .iter()
            .filter(|it| it.function == row)
            .map(|it| it.own)
            .sum::<u64>();
    }
    own as f64 / all as f64
}

#[test]
fn a_head_that_is_twice_as_fast_is_seen_and_put_down_to_its_function() {
    let (slow, fast) = (program(24_000_000), program(8_000_000));
    let repository = Repository::of_two(&[("bench.c", &slow)], &[("bench.c", &fast)]);
    let options = Options {
        sampling: Sampling::WherePermitted,
        ..c_options(&repository)
    };
    let mut diary = Diary::default();
    let comparison = compare(&options, &mut diary).unwrap();
    assert_eq!(comparison.placebo.len(), 10);
    assert!(
        (11..=30).contains(&comparison.pairs.len()),
        "{} pairs",
        comparison.pairs.len()
    );
    assert_eq!(comparison.output, OutputCheck::Same);
    assert_eq!(comparison.metric, Metric::CpuTime);
    let mut ratios: Vec<f64> = comparison
        .pairs
        .iter()
        .map(|pair| pair.head.metrics.cpu_ns as f64 / pair.base.metrics.cpu_ns as f64)
        .collect();
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    // Work and rest are 24 to 8 at base and 8 to 8 at head, plus what starting a process takes.
    assert!((0.4..0.65).contains(&median), "{median}");
    if !sampled(comparison.machine.refusal.as_deref()) {
        return;
    }
    let changed: Vec<_> = comparison
        .functions
        .iter()
        .filter(|it| it.change.is_some())
        .collect();
    assert_eq!(changed.len(), 1, "{changed:#?}");
    assert_eq!(
        (changed[0].name.as_str(), changed[0].change),
        ("work", Some(Change::Modified))
    );
    let shares = [Side::Base, Side::Head].map(|side| own_share(&comparison, "work", side));
    assert!(
        (shares[0] - 0.75).abs() < 0.08 && (shares[1] - 0.5).abs() < 0.08,
        "{shares:?}"
    );
}

#[test]
fn a_change_that_the_compiler_undoes_is_told() {
    let says = |head: &str| {
        let source = program(1_000).replace("puts", head);
        let repository =
            Repository::of_two(&[("bench.c", &program(1_000))], &[("bench.c", &source)]);
        let options = Options {
            pairs: Some(2),
            ..c_options(&repository)
        };
        let comparison = compare(&options, &mut Diary::default()).unwrap();
        comparison
            .warnings
            .join("\n")
            .contains("same code and data in both")
    };
    assert!(says("if (1 + 1 == 2) puts"));
    assert!(!says("puts(\"more\"); puts"));
}

#[test]
fn the_same_seed_gives_the_same_orders_and_both_come_up() {
    let repository = Repository::of_two(
        &[("bench", "#!/bin/sh\nexit 0\n"), ("a.c", "int a;\n")],
        &[("a.c", "int b;\n")],
    );
    let options = Options {
        pairs: Some(8),
        seed: Some(3),
        ..repository.options(&["./bench"])
    };
    let orders = || {
        let comparison = compare(&options, &mut Diary::default()).unwrap();
        let pairs = comparison.placebo.iter().chain(&comparison.pairs);
        pairs.map(|pair| pair.order).collect::<Vec<Order>>()
    };
    let first = orders();
    assert_eq!(first, orders());
    assert!(first.contains(&Order::BaseFirst) && first.contains(&Order::HeadFirst));
}

#[test]
fn outputs_that_differ_are_seen() {
    let script = |text: &str| format!("#!/bin/sh\n{text}\n");
    let cases = [
        ("echo \"$PWD\" 1", "echo \"$PWD\" 2", OutputCheck::Different),
        ("echo \"$PWD\"", "echo  \"$PWD\"", OutputCheck::Same),
        ("date +%N", "date  +%N", OutputCheck::Unstable),
    ];
    for (base, head, expected) in cases {
        let repository =
            Repository::of_two(&[("bench", &script(base))], &[("bench", &script(head))]);
        let comparison = compare(&repository.options(&["./bench"]), &mut Diary::default()).unwrap();
        assert_eq!(comparison.output, expected, "{base}");
    }
}

#[test]
fn the_cpu_time_of_children_counts() {
    let script = "#!/bin/sh\ni=0; while [ $i -lt 20000 ]; do i=$((i+1)); done &\nwait\n";
    let repository = Repository::of_two(
        &[("bench", script), ("a.c", "int a;\n")],
        &[("a.c", "int b;\n")],
    );
    let comparison = compare(&repository.options(&["./bench"]), &mut Diary::default()).unwrap();
    // A machine that is too noisy is refused after the A/A block.
    let mut pairs = comparison.pairs.iter().chain(&comparison.placebo);
    let metrics = &pairs.next().unwrap().base.metrics;
    let enough = metrics.cpu_ns > 2_000_000 && metrics.wall_ns > 0 && metrics.peak_rss_bytes > 0;
    assert!(enough, "{metrics:?}");
    if metrics.cpu_source == CpuSource::Wait4 {
        assert!(!sampled(Some("no task clock here")));
    }
}

#[test]
fn a_program_that_sleeps_is_measured_by_wall_time() {
    let repository = Repository::of_two(
        &[
            ("bench", "#!/bin/sh\nexec sleep 0.15\n"),
            ("a.c", "int a;\n"),
        ],
        &[("a.c", "int b;\n")],
    );
    let options = Options {
        sampling: Sampling::WherePermitted,
        // Too small for an A/A block, which a loaded machine would find too noisy in wall time.
        budget: Duration::from_millis(1_500),
        ..repository.options(&["./bench"])
    };
    let comparison = compare(&options, &mut Diary::default()).unwrap();
    if !sampled(comparison.machine.refusal.as_deref()) {
        return;
    }
    assert_eq!(comparison.metric, Metric::WallTime);
    assert!(
        comparison
            .metric_reason
            .unwrap()
            .contains("blocks of its own accord")
    );
}

#[test]
fn a_small_budget_ends_the_measurement_and_says_so() {
    let repository = Repository::of_two(
        &[
            ("bench", "#!/bin/sh\nexec sleep 0.1\n"),
            ("a.c", "int a;\n"),
        ],
        &[("a.c", "int b;\n")],
    );
    let options = Options {
        pairs: None,
        budget: Duration::from_secs(2),
        ..repository.options(&["./bench"])
    };
    let comparison = compare(&options, &mut Diary::default()).unwrap();
    assert!(comparison.budget_used_up && !comparison.pairs.is_empty());
    let warnings = comparison.warnings.join("\n");
    assert!(warnings.contains("--budget"), "{warnings}");
}

#[test]
fn one_command_is_measured_again_and_again() {
    let repository = Repository::of_two(&[("bench.c", &program(24_000_000))], &[]);
    let top = repository.top();
    let built = std::process::Command::new("cc")
        .args(["-O2", "-g", "-o", "bench", "bench.c"])
        .current_dir(&top)
        .status();
    assert!(built.unwrap().success());
    let measurement = Measurement {
        directory: top,
        command: vec!["./bench".into()],
        runs: 4,
        budget: Duration::from_secs(20),
        timeout: Duration::from_secs(20),
        cache: None,
        stop: std::sync::Arc::default(),
    };
    let measured = match measure(&measurement, &mut Diary::default()) {
        Ok(measured) => measured,
        Err(error @ hotproof_lab::LabError::NoSampling(_)) => {
            assert!(!sampled(Some(&error.to_string())));
            return;
        }
        Err(error) => panic!("{error}"),
    };
    assert_eq!(measured.runs.len(), 4);
    for run in &measured.runs {
        let profile = &run.profile;
        let totals = profile.code_totals(0, hotproof_profile::Inline::Expand);
        let work = totals
            .iter()
            .find(|row| profile.code_name(row.code) == "work")
            .unwrap();
        let share = work.samples as f64 / profile.samples.len() as f64;
        assert!((share - 0.75).abs() < 0.1, "{share}");
    }
}

/// A program of the user's own that has no debug information is told of, as in a comparison.
#[test]
fn a_measured_program_without_debug_information_is_told() {
    let repository = Repository::of_two(&[("bench.c", &program(24_000_000))], &[]);
    let top = repository.top();
    for (flags, expected) in [(["-O2", "-g0"], true), (["-O2", "-g"], false)] {
        let built = std::process::Command::new("cc")
            .args(flags)
            .args(["-o", "bench", "bench.c"])
            .current_dir(&top)
            .status();
        assert!(built.unwrap().success());
        let measurement = Measurement {
            directory: top.clone(),
            command: vec!["./bench".into()],
            runs: 2,
            budget: Duration::from_secs(20),
            timeout: Duration::from_secs(20),
            cache: None,
            stop: std::sync::Arc::default(),
        };
        let measured = match measure(&measurement, &mut Diary::default()) {
            Ok(measured) => measured,
            Err(error @ hotproof_lab::LabError::NoSampling(_)) => {
                assert!(!sampled(Some(&error.to_string())));
                return;
            }
            Err(error) => panic!("{error}"),
        };
        let mut warnings = measured.warnings.iter();
        let told = warnings.any(|text| text.contains("bench has no debug information"));
        assert_eq!(told, expected, "{flags:?}: {:?}", measured.warnings);
    }
}
