//! Every row of the verdict table, on comparisons made by hand.

mod made;

use hotproof_diff::*;
use made::{Made, empty, part};
use proptest::prelude::*;

const MODIFIED: Option<Change> = Some(Change::Modified);

/// A run of 100 ms: the changed function, and code that nobody touched.
fn made(changed_base_ms: f64, changed_head_ms: f64, rest_head: f64) -> Made {
    let rest_ms = 100.0 - changed_base_ms;
    Made::of(&[
        part("parse::number", MODIFIED, changed_base_ms, changed_head_ms),
        part("visit", None, rest_ms * 0.6, rest_ms * 0.6 * rest_head),
        part("copy", None, rest_ms * 0.4, rest_ms * 0.4 * rest_head),
    ])
}

/// The changed function explains a gain of 5 %.
fn faster() -> Comparison {
    made(25.0, 20.0, 1.0).comparison()
}

/// The changed function explains a loss of 5 %.
fn slower() -> Comparison {
    made(25.0, 30.0, 1.0).comparison()
}

fn nothing_moved() -> Comparison {
    made(25.0, 25.0, 1.0).comparison()
}

/// Without the tallies of any run.
fn unsampled(mut comparison: Comparison) -> Comparison {
    for pair in comparison.pairs.iter_mut().chain(&mut comparison.placebo) {
        pair.base.tally = None;
        pair.head.tally = None;
    }
    comparison
}

fn with_wall(mut comparison: Comparison, wall_ns: impl Fn(Side, u64) -> u64) -> Comparison {
    for pair in comparison.pairs.iter_mut().chain(&mut comparison.placebo) {
        pair.base.metrics.wall_ns = wall_ns(Side::Base, pair.base.metrics.cpu_ns);
        pair.head.metrics.wall_ns = wall_ns(Side::Head, pair.head.metrics.cpu_ns);
    }
    comparison
}

#[track_caller]
fn expect(comparison: &Comparison, verdict: Verdict, exit_code: u8, says: &str) -> Conclusion {
    let conclusion = conclude(comparison);
    assert_eq!(conclusion.verdict, verdict, "{}", conclusion.reason);
    assert_eq!(conclusion.exit_code(), exit_code);
    assert!(conclusion.reason.contains(says), "{}", conclusion.reason);
    assert!(conclusion.reason.ends_with('.') && !conclusion.reason.contains("NaN"));
    conclusion
}

#[test]
fn faster_and_explained_is_kept() {
    let conclusion = expect(
        &faster(),
        Verdict::Keep,
        0,
        "parse::number explains all of it.",
    );
    assert_eq!(conclusion.outcome, Outcome::Faster);
    assert_eq!(conclusion.attribution.kind, AttributionKind::Explained);
    assert_eq!(conclusion.attribution.hot, Hot::Yes);
    assert!(
        conclusion
            .reason
            .starts_with("head is 5.0 % faster (99 % interval 4.")
    );
    assert_eq!(conclusion.warnings, [""; 0]);
}

#[test]
fn two_functions_are_both_named() {
    let mut made = made(25.0, 20.0, 1.0);
    made.parts.push(part("reset", MODIFIED, 10.0, 8.0));
    expect(
        &made.comparison(),
        Verdict::Keep,
        0,
        "parse::number and reset explain all of it.",
    );
}

#[test]
fn a_cold_changed_function_is_not_credited() {
    let mut made = made(25.0, 20.0, 1.0);
    made.parts.push(part("reset", MODIFIED, 0.0, 0.0));
    let conclusion = expect(
        &made.comparison(),
        Verdict::Keep,
        0,
        "parse::number explains",
    );
    let reset = conclusion.functions.iter().find(|f| f.row == 3).unwrap();
    assert_eq!(reset.hot, Hot::No);
    assert!(reset.own.speedup.is_none());
}

#[test]
fn faster_and_partly_explained_is_kept_with_the_share() {
    let comparison = made(25.0, 20.0, 0.95).comparison();
    let conclusion = expect(
        &comparison,
        Verdict::Keep,
        0,
        "% of it sits in code that you did not touch, most of all in visit, copy.",
    );
    assert_eq!(
        conclusion.attribution.kind,
        AttributionKind::PartlyExplained
    );
    let share = conclusion
        .attribution
        .parts
        .unwrap()
        .explained_share
        .unwrap();
    assert!(
        !share.excludes(5.0 / 8.75) && share.half_width() < 0.15,
        "{share:?}"
    );
    assert_eq!(conclusion.attribution.movers, [1, 2]);
}

#[test]
fn a_rest_that_is_not_known_well_is_told() {
    let mut small = made(25.0, 23.5, 1.0);
    small.run_sd = 0.002;
    let conclusion = expect(
        &small.comparison(),
        Verdict::Keep,
        0,
        "of it, and the rest is not known better than -",
    );
    assert_eq!(
        conclusion.attribution.kind,
        AttributionKind::PartlyExplained
    );
    assert!(
        !conclusion
            .attribution
            .parts
            .unwrap()
            .unexplained
            .excludes(0.0)
    );
}

#[test]
fn faster_though_no_function_changed_is_kept_unattributed() {
    let mut untouched = made(25.0, 20.0, 1.0);
    untouched.parts[0].change = None;
    let mut comparison = untouched.comparison();
    for what in ["build file", "constant", "constant"] {
        comparison.outside.push(OutsideChange {
            file: "Cargo.toml".to_owned(),
            line: 3,
            what: what.to_owned(),
        });
    }
    let conclusion = expect(
        &comparison,
        Verdict::KeepUnattributed,
        0,
        "no function changed by line: build file, constant did.",
    );
    assert_eq!(
        conclusion.attribution.kind,
        AttributionKind::NotAttributable
    );
    assert_eq!(conclusion.attribution.movers[0], 0);
    assert_eq!(conclusion.attribution.hot, Hot::Undecided);
}

#[test]
fn faster_without_samples_is_kept_unattributed() {
    let conclusion = expect(
        &unsampled(faster()),
        Verdict::KeepUnattributed,
        0,
        "nothing was sampled",
    );
    assert_eq!(conclusion.attribution.kind, AttributionKind::Unavailable);
    assert!(conclusion.attribution.parts.is_none() && conclusion.functions.is_empty());
}

#[test]
fn faster_but_not_explained_is_inconclusive() {
    let comparison = made(25.0, 25.0, 0.95).comparison();
    let conclusion = expect(
        &comparison,
        Verdict::Inconclusive,
        12,
        "but parse::number did not get faster with it: it moved in visit (src/lib.rs), which the diff does not touch",
    );
    assert_eq!(conclusion.attribution.kind, AttributionKind::NotExplained);
}

#[test]
fn faster_against_the_changed_function_is_not_explained_by_it() {
    let comparison = made(25.0, 30.0, 0.85).comparison();
    let conclusion = expect(&comparison, Verdict::Inconclusive, 12, "code layout");
    assert_eq!(conclusion.attribution.kind, AttributionKind::NotExplained);
}

#[test]
fn faster_with_too_few_samples_is_inconclusive() {
    let mut made = made(25.0, 20.0, 1.0);
    made.samples_per_run = 5;
    let conclusion = expect(
        &made.comparison(),
        Verdict::Inconclusive,
        12,
        "too few samples to say whether parse::number did it",
    );
    assert!(conclusion.warnings[0].contains("only 200 samples a side"));
}

/// Samples of which too many were lost judge no function: neither a keep nor "not on the hot path"
/// rests on them, nor a table row. What was counted exactly stands.
#[test]
fn lost_samples_judge_no_function() {
    let losing = |mut comparison: Comparison, share: f64, side: Side| {
        for pair in &mut comparison.pairs {
            let run = match side {
                Side::Base => &mut pair.base,
                Side::Head => &mut pair.head,
            };
            let tally = run.tally.as_mut().unwrap();
            tally.lost = (tally.samples as f64 * share).round() as u64;
        }
        comparison
    };
    for side in [Side::Base, Side::Head] {
        let lossy = losing(faster(), 0.01, side);
        let says = "cannot say whether parse::number did it: below 99.5 % nothing is attributed";
        let conclusion = expect(&lossy, Verdict::Inconclusive, 12, says);
        assert_eq!(conclusion.attribution.kind, AttributionKind::TooManyLost);
        assert_eq!(conclusion.attribution.hot, Hot::Undecided);
        let rows = conclusion.functions.iter();
        assert!(rows.clone().all(|row| row.hot == Hot::Undecided));
        // A few lost samples change nothing.
        expect(&losing(faster(), 0.004, side), Verdict::Keep, 0, "explains");
        let cold = made(0.1, 0.1, 1.0).comparison();
        expect(&cold, Verdict::NotOnHotPath, 13, "");
        expect(
            &losing(cold, 0.01, side),
            Verdict::Discard,
            10,
            "no difference",
        );
        expect(&losing(slower(), 0.01, side), Verdict::Regression, 11, "");
    }
}

#[test]
fn slower_is_a_regression_whoever_did_it() {
    expect(
        &slower(),
        Verdict::Regression,
        11,
        "slower (99 % interval 4.",
    );
    expect(
        &slower(),
        Verdict::Regression,
        11,
        ", and parse::number explains all of it.",
    );
    let rest = made(25.0, 25.0, 1.05).comparison();
    expect(
        &rest,
        Verdict::Regression,
        11,
        "though not in parse::number",
    );
    let both = made(25.0, 30.0, 1.05).comparison();
    expect(
        &both,
        Verdict::Regression,
        11,
        "sits in code that you did not touch",
    );
    expect(&unsampled(slower()), Verdict::Regression, 11, "slower");
}

#[test]
fn a_large_gain_of_a_small_hot_function_is_kept_micro_only() {
    let mut no_effect = made(1.5, 1.0, 1.0);
    let conclusion = expect(
        &no_effect.comparison(),
        Verdict::KeepMicroOnly,
        0,
        "of the run, so the end-to-end gain is below what 40 pairs can show.",
    );
    assert_eq!(conclusion.outcome, Outcome::NoEffect);
    assert_eq!(conclusion.attribution.kind, AttributionKind::Masked);
    assert!(conclusion.reason.starts_with("parse::number got 3"));

    no_effect.run_sd = 0.05;
    let conclusion = expect(
        &no_effect.comparison(),
        Verdict::KeepMicroOnly,
        0,
        "parse::number got",
    );
    assert_eq!(conclusion.outcome, Outcome::Undecided);
}

#[test]
fn a_gain_below_the_micro_threshold_is_not_kept() {
    let mut comparison = made(1.5, 1.0, 1.0).comparison();
    comparison.rule.micro_threshold = 0.6;
    expect(
        &comparison,
        Verdict::Discard,
        10,
        "no difference of 1 % or more",
    );
}

#[test]
fn a_micro_gain_that_the_rest_pays_for_is_not_kept() {
    let comparison = made(4.0, 2.0, 1.02).comparison();
    let conclusion = conclude(&comparison);
    assert!(conclusion.attribution.parts.unwrap().unexplained.low > 0.0);
    assert_eq!(
        conclusion.verdict,
        Verdict::Discard,
        "{}",
        conclusion.reason
    );
}

#[test]
fn no_effect_of_cold_functions_is_not_on_the_hot_path() {
    let comparison = made(0.1, 0.05, 1.0).comparison();
    let conclusion = expect(
        &comparison,
        Verdict::NotOnHotPath,
        13,
        "parse::number holds at most 0.2 % of the run, and head is",
    );
    assert_eq!(conclusion.attribution.hot, Hot::No);
}

#[test]
fn too_few_samples_do_not_make_a_function_cold() {
    let mut made = made(0.0, 0.0, 1.0);
    made.samples_per_run = 10;
    let conclusion = expect(&made.comparison(), Verdict::Discard, 10, "no difference");
    assert_eq!(conclusion.attribution.hot, Hot::Undecided);
}

#[test]
fn no_effect_of_hot_functions_is_discarded() {
    let conclusion = expect(
        &nothing_moved(),
        Verdict::Discard,
        10,
        "no difference of 1 % or more: head is",
    );
    assert_eq!(conclusion.outcome, Outcome::NoEffect);
    assert!(conclusion.decided_at.is_some() && conclusion.projected_pairs.is_none());
}

#[test]
fn an_undecided_measurement_says_what_would_decide() {
    let mut noisy = made(25.0, 24.0, 1.0);
    noisy.run_sd = 0.04;
    let conclusion = expect(
        &noisy.comparison(),
        Verdict::Inconclusive,
        12,
        " more would decide 0.5 %.",
    );
    assert_eq!(conclusion.outcome, Outcome::Undecided);
    assert!(
        conclusion.reason.starts_with("head is between "),
        "{}",
        conclusion.reason
    );
    assert!(
        conclusion.reason.contains(" slower and "),
        "{}",
        conclusion.reason
    );
    assert!(conclusion.projected_pairs.is_some());
}

#[test]
fn a_time_budget_that_ended_it_is_told() {
    let mut noisy = made(25.0, 24.0, 1.0);
    noisy.run_sd = 0.04;
    let mut comparison = noisy.comparison();
    comparison.budget_used_up = true;
    expect(
        &comparison,
        Verdict::Inconclusive,
        12,
        "after 40 pairs, when the time budget was used up; about ",
    );
}

#[test]
fn fewer_than_eleven_pairs_decide_nothing() {
    let mut few = made(25.0, 10.0, 1.0);
    few.pairs = 10;
    let conclusion = expect(
        &few.comparison(),
        Verdict::Inconclusive,
        12,
        "only 10 pairs were counted, and fewer than 11 pairs cannot decide anything",
    );
    assert!(!conclusion.metrics[0].ratio.unwrap().is_bounded());
    few.pairs = 1;
    expect(
        &few.comparison(),
        Verdict::Inconclusive,
        12,
        "only 1 pair was counted",
    );
    expect(
        &empty(),
        Verdict::Inconclusive,
        12,
        "no pair of runs was measured.",
    );
}

#[test]
fn different_output_is_never_kept_unless_allowed() {
    for mut comparison in [faster(), nothing_moved(), slower()] {
        comparison.output = OutputCheck::Different;
        let conclusion = expect(&comparison, Verdict::Inconclusive, 12, "");
        assert!(
            conclusion
                .reason
                .starts_with("base and head print different output")
        );
    }
    let mut allowed = faster();
    allowed.output = OutputCheck::Different;
    allowed.rule.allow_different_output = true;
    let conclusion = expect(&allowed, Verdict::Keep, 0, "explains all");
    assert!(conclusion.warnings[0].contains("which was allowed"));
}

#[test]
fn unstable_output_is_told_and_does_not_decide() {
    let mut comparison = faster();
    comparison.output = OutputCheck::Unstable;
    let conclusion = expect(&comparison, Verdict::Keep, 0, "explains all");
    assert!(conclusion.warnings[0].contains("differs from run to run"));
}

#[test]
fn the_same_tree_twice_is_called_that() {
    let mut comparison = empty();
    comparison.code_changed = false;
    comparison.head.tree.clone_from(&comparison.base.tree);
    let reason = "base and head are the same tree, so there is nothing to measure.";
    expect(&comparison, Verdict::Discard, 10, reason);
}

#[test]
fn comments_alone_are_discarded_at_once() {
    let mut comparison = empty();
    comparison.code_changed = false;
    expect(
        &comparison,
        Verdict::Discard,
        10,
        "nothing but comments or formatting changed, so there is nothing to measure.",
    );

    let mut forced = faster();
    forced.code_changed = false;
    let conclusion = expect(&forced, Verdict::Discard, 10, "formatting changed; head is");
    assert_eq!(conclusion.attribution.kind, AttributionKind::NoCodeChanged);
    let mut slower = slower();
    slower.code_changed = false;
    expect(&slower, Verdict::Regression, 11, "slower");
}

#[test]
fn a_hopeless_machine_is_refused() {
    let mut made = made(25.0, 20.0, 1.0);
    made.run_sd = 0.4;
    let conclusion = expect(
        &made.comparison(),
        Verdict::Refused,
        20,
        "the machine is too noisy: two builds of the same base differ by ",
    );
    assert!(conclusion.noise.unwrap().sd > 0.3);

    let mut comparison = made.comparison();
    comparison.placebo.truncate(4);
    assert_ne!(conclude(&comparison).verdict, Verdict::Refused);
}

#[test]
fn a_run_of_a_few_milliseconds_is_inconclusive() {
    let short = Made::of(&[part("parse::number", MODIFIED, 2.0, 1.0)]);
    expect(
        &short.comparison(),
        Verdict::Inconclusive,
        12,
        "a run takes only 2.0 ms of cpu time",
    );
}

/// The length of a run is what makes such runs differ, so it is named and no machine is refused.
#[test]
fn short_runs_that_differ_much_are_short_and_no_noise() {
    let mut short = Made::of(&[part("parse::number", MODIFIED, 2.0, 1.0)]);
    short.run_sd = 0.4;
    let mut comparison = short.comparison();
    let conclusion = expect(
        &comparison,
        Verdict::Inconclusive,
        12,
        " ms of cpu time, too short to tell",
    );
    assert!(conclusion.noise.unwrap().sd > 0.3);

    // Nor before the first pair.
    comparison.pairs.clear();
    assert_eq!(conclude(&comparison).verdict, Verdict::Inconclusive);
}

#[test]
fn there_is_no_keep_when_wall_time_grows_beyond_noise() {
    let comparison = with_wall(faster(), |side, cpu_ns| match side {
        Side::Base => cpu_ns / 2,
        Side::Head => cpu_ns / 2 * 12 / 10,
    });
    let conclusion = expect(
        &comparison,
        Verdict::Inconclusive,
        12,
        "moved in opposite directions: cpu time 5.0 % faster, wall time 14.",
    );
    assert!(conclusion.warnings.iter().any(|w| w.contains("opposite")));
}

#[test]
fn a_gain_in_waiting_is_kept_unattributed() {
    let mut comparison = with_wall(nothing_moved(), |side, cpu_ns| match side {
        Side::Base => cpu_ns * 4,
        Side::Head => cpu_ns * 3,
    });
    comparison.metric = Metric::WallTime;
    let conclusion = expect(
        &comparison,
        Verdict::KeepUnattributed,
        0,
        "faster by wall time (99 % interval ",
    );
    assert_eq!(conclusion.attribution.kind, AttributionKind::Waiting);
    assert_eq!(conclusion.metrics[0].quantity, Quantity::WallTime);
}

/// Where functions share wall time, a wait that got shorter is put down to the function that waits.
#[test]
fn a_gain_in_waiting_is_explained_where_waits_are_known() {
    let mut comparison = with_wall(faster(), |_, cpu_ns| cpu_ns);
    comparison.metric = Metric::WallTime;
    comparison.shared_time = SharedTime::Wall;
    for pair in &mut comparison.pairs {
        pair.base.metrics.cpu_ns = 3_000_000;
        pair.head.metrics.cpu_ns = 3_000_000;
    }
    let conclusion = expect(&comparison, Verdict::Keep, 0, " by waiting less, and parse");
    assert_eq!(conclusion.attribution.kind, AttributionKind::Explained);
    let whole = conclusion.attribution.parts.unwrap().whole.value;
    let wall = conclusion.metrics[0].delta();
    assert!((whole / wall - 1.0).abs() < 0.1, "{whole} of {wall}");
    // The same with time on the CPU alone: nothing of it moved.
    comparison.shared_time = SharedTime::Cpu;
    let conclusion = conclude(&comparison);
    assert_ne!(conclusion.attribution.kind, AttributionKind::Explained);
}

#[test]
fn metrics_agree_with_themselves_and_the_primary_one_is_first() {
    let conclusion = conclude(&faster());
    let names: Vec<&str> = conclusion
        .metrics
        .iter()
        .map(|row| row.quantity.name())
        .collect();
    assert_eq!(
        names,
        [
            "cpu time",
            "wall time",
            "peak memory",
            "user + system",
            "page faults",
            "context switches"
        ]
    );
    for row in &conclusion.metrics {
        let ratio = row.ratio.unwrap();
        assert!((row.head / row.base - ratio.value).abs() < 1e-9);
        assert!(!row.speedup().unwrap().excludes(row.base / row.head));
        assert_eq!((ratio.n, ratio.level), (40, 0.99));
    }
    assert!((conclusion.metrics[0].base / 100e6 - 1.0).abs() < 0.01);
    assert_eq!(conclusion.metrics[2].delta(), 0.0);
}

#[test]
fn a_quantity_of_zero_has_no_ratio() {
    let mut comparison = faster();
    for pair in &mut comparison.pairs {
        pair.head.metrics.page_faults = 0;
    }
    let conclusion = conclude(&comparison);
    let row = conclusion
        .metrics
        .iter()
        .find(|row| row.quantity == Quantity::PageFaults)
        .unwrap();
    assert!(row.ratio.is_none() && row.speedup().is_none());
    assert_eq!((row.base, row.head), (1_000.0, 0.0));
}

#[test]
fn what_could_make_it_wrong_is_told() {
    let mut comparison = faster();
    comparison.machine.stolen_pct = Some(7.5);
    comparison
        .warnings
        .push("the governor is powersave".to_owned());
    comparison.placebo.clear();
    for pair in &mut comparison.pairs {
        pair.base.metrics.cpu_source = CpuSource::Wait4;
        let tally = pair.base.tally.as_mut().unwrap();
        tally.lost = 40;
        tally.complete = 1_000;
    }
    comparison.pairs[0].head.tally = None;
    let conclusion = conclude(&comparison);
    let expected = [
        "the governor is powersave",
        "other virtual machines took 7.5 %",
        "CPU time comes from wait4",
        "1.0 % of the samples were lost",
        "only 74.7 % of the stacks are complete",
        "only 39 of 40 pairs were sampled",
    ];
    assert_eq!(
        conclusion.warnings.len(),
        expected.len(),
        "{:?}",
        conclusion.warnings
    );
    for (warning, expected) in conclusion.warnings.iter().zip(expected) {
        assert!(warning.contains(expected), "{warning}");
    }
    let unchecked = "how much two builds of the same code differ";
    assert_eq!(
        conclusion.not_checked,
        ["code layout", "tests", "instruction counts", unchecked]
    );
}

#[test]
fn a_slow_second_run_is_told() {
    let mut comparison = faster();
    for pair in &mut comparison.pairs {
        let second = match pair.order {
            Order::BaseFirst => &mut pair.head,
            Order::HeadFirst => &mut pair.base,
        };
        second.metrics.cpu_ns = (second.metrics.cpu_ns as f64 * 1.02) as u64;
    }
    let conclusion = conclude(&comparison);
    let warning = &conclusion.warnings[0];
    assert!(warning.starts_with("the second run of a pair is 2.") && warning.contains("slower"));
}

#[test]
fn sleeping_runs_are_told() {
    let comparison = with_wall(faster(), |_, cpu_ns| cpu_ns * 3);
    assert!(conclude(&comparison).warnings[0].contains("wait more than they compute"));
}

#[test]
fn the_same_comparison_gives_the_same_conclusion() {
    assert_eq!(conclude(&faster()), conclude(&faster().clone()));
}

#[test]
fn whether_to_go_on_follows_from_the_pairs() {
    let mut comparison = faster();
    assert_eq!(next_step(&comparison), Step::Stop(StopReason::Precise));
    comparison.pairs.truncate(10);
    assert_eq!(next_step(&comparison), Step::Continue);
    comparison.rule.max_pairs = 10;
    assert_eq!(next_step(&comparison), Step::Stop(StopReason::MaxPairs));
}

#[test]
fn rows_that_the_table_lacks_and_runs_without_samples_do_no_harm() {
    let mut comparison = faster();
    let tally = comparison.pairs[3].base.tally.as_mut().unwrap();
    tally.functions.push(FunctionTally {
        function: 99,
        total: 5,
        own: 5,
        physical_self: 5,
        rest: 5,
    });
    comparison.pairs[4].head.tally = Some(Tally::default());
    comparison.pairs[5].head.metrics.cpu_ns = 0;
    let conclusion = expect(&comparison, Verdict::Keep, 0, "explains all");
    assert_eq!(conclusion.pairs, 39);
    assert_eq!(conclusion.attribution.parts.unwrap().whole.n, 38);
}

#[test]
fn every_exit_code_is_the_documented_one() {
    let codes: Vec<u8> = ExitCode::ALL.iter().map(|code| code.code()).collect();
    assert_eq!(codes, [0, 1, 2, 10, 11, 12, 13, 20, 21]);
    let of_verdicts: Vec<u8> = Verdict::ALL.iter().map(|v| v.exit_code().code()).collect();
    assert_eq!(of_verdicts, [0, 0, 0, 0, 10, 11, 12, 13, 20, 0, 11, 10]);
    let ids: std::collections::BTreeSet<&str> = Verdict::ALL.iter().map(|v| v.id()).collect();
    assert_eq!(ids.len(), Verdict::ALL.len());
}

#[test]
fn a_run_that_mostly_waits_is_not_too_short() {
    let short = Made::of(&[part("parse::number", MODIFIED, 2.0, 2.0)]).comparison();
    let mut waiting = with_wall(short, |side, cpu_ns| match side {
        Side::Base => cpu_ns * 100,
        Side::Head => cpu_ns * 80,
    });
    waiting.metric = Metric::WallTime;
    expect(&waiting, Verdict::KeepUnattributed, 0, "by wall time");
}

/// Nothing said that wall time had fallen by a seventh where CPU time was not decided.
#[test]
fn wall_time_that_moved_is_told_where_cpu_time_is_not_decided() {
    let told = |head_times: f64| {
        let mut comparison = with_wall(made(0.1, 0.1, 1.0).comparison(), |side, cpu_ns| {
            let times = if side == Side::Head { head_times } else { 2.0 };
            (cpu_ns as f64 * times) as u64
        });
        comparison.pairs.truncate(12);
        for (at, pair) in comparison.pairs.iter_mut().enumerate() {
            // CPU time scatters by a fifth, and wall time does not.
            let times = if at % 2 == 0 { 1.1 } else { 0.9 };
            let cpu_ns = &mut pair.head.metrics.cpu_ns;
            *cpu_ns = (*cpu_ns as f64 * times) as u64;
        }
        let conclusion = conclude(&comparison);
        assert_eq!(
            conclusion.outcome,
            Outcome::Undecided,
            "{}",
            conclusion.reason
        );
        let mut warnings = conclusion.warnings.iter();
        warnings.any(|text| text.contains("wall time moved") && text.contains("--metric wall"))
    };
    assert!(told(1.6) && told(2.6));
    assert!(!told(2.0));
}

/// A function that waits has no samples: that it is in few of them says nothing of wall time, nor of
/// memory.
#[test]
fn a_function_without_samples_is_not_called_cold_where_they_do_not_judge() {
    let comparison = made(0.1, 0.1, 1.0).comparison();
    let by = |metric, times: u64| {
        let mut comparison = with_wall(comparison.clone(), |_, cpu_ns| cpu_ns * times);
        comparison.metric = metric;
        conclude(&comparison).verdict
    };
    assert_eq!(by(Metric::CpuTime, 1), Verdict::NotOnHotPath);
    assert_eq!(by(Metric::WallTime, 1), Verdict::NotOnHotPath);
    assert_eq!(by(Metric::WallTime, 4), Verdict::Discard);
    assert_eq!(by(Metric::PeakMemory, 1), Verdict::Discard);
}

/// More work would not help a program that sleeps.
#[test]
fn a_run_that_mostly_waits_is_told_to_be_judged_by_wall_time() {
    let short = Made::of(&[part("parse::number", MODIFIED, 2.0, 2.0)]).comparison();
    let waiting = with_wall(short, |_, cpu_ns| cpu_ns * 100);
    let conclusion = expect(
        &waiting,
        Verdict::Inconclusive,
        12,
        "ms of wall time: it waits for the most part",
    );
    assert!(conclusion.reason.contains("--metric wall"));
    assert!(!conclusion.reason.contains("more work"));
}

/// Nothing is reported by a program of which only a function is timed.
#[test]
fn time_under_a_function_is_not_called_reported() {
    let mut comparison = reporting(188.0, 150.0, &["sum"]);
    comparison.setup.scope = Some("sum".to_owned());
    let conclusion = expect(&comparison, Verdict::Keep, 0, "by CPU time under sum");
    assert!(!conclusion.reason.contains("reports"));
    assert_eq!(comparison.name_of(Quantity::Reported), "time under sum");
    // A harness reports its own times, whatever part of the samples is shown.
    comparison.setup.harness = Some("libtest".to_owned());
    assert_eq!(comparison.name_of(Quantity::Reported), "reported time");
    assert!(conclude(&comparison).reason.contains("that it reports"));
}

#[test]
fn too_few_sampled_pairs_are_not_taken_for_functions_that_stood_still() {
    let mut comparison = faster();
    for pair in &mut comparison.pairs[10..] {
        pair.head.tally = None;
    }
    let conclusion = expect(&comparison, Verdict::Inconclusive, 12, "too few samples");
    assert_eq!(conclusion.attribution.kind, AttributionKind::TooFewSamples);
}

#[test]
fn an_undecided_cold_change_says_that_it_is_cold() {
    let mut cold = made(0.1, 0.1, 1.0);
    cold.run_sd = 0.05;
    cold.pairs = 15;
    let comparison = cold.comparison();
    expect(
        &comparison,
        Verdict::Inconclusive,
        12,
        "after 15 pairs, and parse::number holds at most 0.3 % of the run; about ",
    );
}

/// All tallies of a comparison.
fn edit(comparison: &mut Comparison, edit: impl Fn(&mut Tally)) {
    for pair in comparison.pairs.iter_mut().chain(&mut comparison.placebo) {
        for run in [&mut pair.base, &mut pair.head] {
            edit(run.tally.as_mut().unwrap());
        }
    }
}

/// The changed function has no debug information: its samples stand in a row of their own.
fn without_debug_information(base_ms: f64, head_ms: f64) -> Comparison {
    let mut made = Made::of(&[
        part("parse::number", MODIFIED, 0.0, 0.0),
        part("number", None, base_ms, head_ms),
        part("visit", None, 100.0 - base_ms, 100.0 - base_ms),
    ]);
    made.run_sd = 0.002;
    let mut comparison = made.comparison();
    edit(&mut comparison, |tally| {
        tally.unjoinable = tally.functions[1].own;
    });
    comparison
}

#[test]
fn code_without_debug_information_is_not_called_cold() {
    let conclusion = expect(
        &without_debug_information(49.0, 49.0),
        Verdict::Discard,
        10,
        "no difference",
    );
    assert_eq!(conclusion.attribution.hot, Hot::Undecided);
    assert_eq!(conclusion.attribution.kind, AttributionKind::NotJoinable);
    let parts = conclusion.attribution.parts.unwrap();
    assert!((parts.unjoinable_share.base.value - 0.49).abs() < 0.01);
}

#[test]
fn a_gain_in_code_without_debug_information_is_kept_unattributed() {
    let conclusion = expect(
        &without_debug_information(49.0, 39.0),
        Verdict::KeepUnattributed,
        0,
        "has no debug information, so that its functions cannot be joined to the diff",
    );
    assert_eq!(conclusion.attribution.kind, AttributionKind::NotJoinable);
    let conclusion = expect(
        &without_debug_information(49.0, 59.0),
        Verdict::Regression,
        11,
        "; which functions carry it is unknown, because code with",
    );
    assert_eq!(conclusion.attribution.kind, AttributionKind::NotJoinable);
}

#[test]
fn a_little_still_code_without_debug_information_excuses_nothing() {
    let mut comparison = made(25.0, 25.0, 0.95).comparison();
    edit(&mut comparison, |tally| tally.unjoinable = 60);
    let conclusion = conclude(&comparison);
    assert_eq!(conclusion.attribution.kind, AttributionKind::NotExplained);
}

#[test]
fn many_small_changed_functions_are_not_cold_together() {
    const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let mut parts: Vec<_> = NAMES
        .iter()
        .map(|name| part(name, MODIFIED, 0.6, 0.6))
        .collect();
    parts.push(part("visit", None, 92.8, 92.8));
    let conclusion = expect(&Made::of(&parts).comparison(), Verdict::Discard, 10, "");
    let changed = conclusion.functions.iter().filter(|f| f.row < 12);
    assert!(changed.clone().count() == 12 && changed.clone().all(|f| f.hot == Hot::No));
    assert_eq!(conclusion.attribution.hot, Hot::Yes);
}

#[test]
fn incomplete_stacks_do_not_make_a_function_cold() {
    let mut comparison = made(0.1, 0.1, 1.0).comparison();
    expect(&comparison, Verdict::NotOnHotPath, 13, "at most 0.2 %");
    edit(&mut comparison, |tally| tally.complete = 1_200);
    let conclusion = expect(&comparison, Verdict::Discard, 10, "no difference");
    assert_eq!(conclusion.attribution.hot, Hot::Undecided);
    edit(&mut comparison, |tally| tally.complete = 1_996);
    expect(&comparison, Verdict::NotOnHotPath, 13, "at most 0.4 %");
}

#[test]
fn what_a_changed_function_calls_is_no_mover() {
    let mut called = Made::of(&[
        part("parse::number", MODIFIED, 10.0, 9.0),
        part("callee", None, 30.0, 24.0),
        part("visit", None, 30.0, 27.0),
        part("copy", None, 30.0, 30.0),
    ])
    .comparison();
    edit(&mut called, |tally| {
        tally.changed_below = tally.functions[1].own;
        tally.functions[0].total += tally.functions[1].own;
        tally.functions[1].rest = 0;
    });
    let conclusion = conclude(&called);
    let callee = conclusion.functions.iter().find(|f| f.row == 1).unwrap();
    assert!(callee.own.delta.excludes(0.0) && !callee.rest.excludes(0.0));
    assert_eq!(conclusion.attribution.movers, [2]);
}

#[test]
fn a_micro_gain_is_not_kept_when_wall_time_got_worse() {
    let made = made(2.0, 1.0, 1.0);
    let mut sure = made.clone();
    sure.run_sd = 0.001;
    let mut comparison = with_wall(sure.comparison(), |side, cpu_ns| match side {
        Side::Base => cpu_ns,
        Side::Head => cpu_ns + cpu_ns / 20,
    });
    // No gain end to end that counts.
    comparison.rule.margin = 0.02;
    comparison.rule.minimum_effect = 0.02;
    expect(
        &comparison,
        Verdict::Inconclusive,
        12,
        "CPU time and wall time moved in opposite directions",
    );
    let agreeing = with_wall(comparison, |_, cpu_ns| cpu_ns);
    expect(&agreeing, Verdict::KeepMicroOnly, 0, "parse::number got");
}

/// A threaded program that sleeps half as long was discarded on a busy machine, where its CPU time
/// judges.
#[test]
fn a_change_of_waiting_alone_is_no_discard() {
    let mut still = made(25.0, 25.0, 1.0);
    still.run_sd = 0.001;
    for (head_wall, expected) in [(6, Verdict::Inconclusive), (14, Verdict::Inconclusive)] {
        let comparison = with_wall(still.comparison(), |side, cpu_ns| match side {
            Side::Base => cpu_ns * 10,
            Side::Head => cpu_ns * head_wall,
        });
        expect(&comparison, expected, 12, "judge by --metric wall");
    }
    let equal = with_wall(still.comparison(), |_, cpu_ns| cpu_ns * 10);
    expect(&equal, Verdict::Discard, 10, "no difference of 1 % or more");
}

#[test]
fn a_minimum_effect_of_nothing_has_no_outcome_of_no_effect() {
    for minimum_effect in [0.0, -0.01, f64::NAN] {
        let mut still = made(25.0, 25.0, 1.0);
        still.pairs = 150;
        let mut comparison = still.comparison();
        comparison.rule.minimum_effect = minimum_effect;
        let conclusion = conclude(&comparison);
        assert_eq!(conclusion.outcome, Outcome::Undecided, "{minimum_effect}");
    }
}

/// Figures as a damaged log may hold them.
fn figure() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        any::<u64>(),
        1_000_000u64..200_000_000
    ]
}

fn any_run() -> impl Strategy<Value = Run> {
    let tally = proptest::collection::vec(figure(), 10).prop_map(|n| Tally {
        samples: n[0],
        complete: n[1],
        lost: n[2],
        changed_own: n[3],
        changed_below: n[4],
        unjoinable: n[8],
        functions: (0..3)
            .map(|i| FunctionTally {
                function: i * 2,
                total: n[5],
                own: n[6],
                physical_self: n[7],
                rest: n[9],
            })
            .collect(),
    });
    let figures = proptest::collection::vec(figure(), 7);
    (figures, proptest::option::of(tally)).prop_map(|(n, tally)| Run {
        metrics: Metrics {
            user_ns: n[2],
            system_ns: n[3],
            run_queue_ns: Some(n[4]),
            peak_rss_bytes: n[5],
            page_faults: n[6],
            instructions: Some(n[0]),
            reported: Vec::new(),
            ..made::metrics(n[0], n[1])
        },
        tally,
        layout: 0,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_comparison_however_damaged_stops_the_program(
        runs in proptest::collection::vec((any_run(), any_run(), any::<bool>()), 0..30),
        placebo in 0usize..12,
        margin in any::<f64>(),
        effect in any::<f64>(),
    ) {
        let mut comparison = faster();
        let pair = |(base, head, coin): (Run, Run, bool)| Pair {
            order: if coin { Order::BaseFirst } else { Order::HeadFirst },
            base,
            head,
        };
        comparison.pairs = runs.into_iter().map(pair).collect();
        comparison.placebo = comparison.pairs.iter().take(placebo).cloned().collect();
        comparison.rule.margin = margin;
        comparison.rule.minimum_effect = effect;
        let conclusion = conclude(&comparison);
        prop_assert!(conclusion.reason.ends_with('.'));
        next_step(&comparison);
    }
}

/// What a harness reports decides, however long its process took.
fn reporting(base_ns: f64, head_ns: f64, names: &[&str]) -> Comparison {
    let mut comparison = faster();
    comparison.metric = Metric::Reported;
    comparison.placebo.clear();
    for (index, pair) in comparison.pairs.iter_mut().enumerate() {
        let noise = 1.0 + 0.002 * (index as f64 * 2.4).sin();
        let times = |scale: f64| {
            let time = |name: &&str| ReportedTime {
                name: (*name).to_owned(),
                time_ns: scale * noise * name.len() as f64,
            };
            names.iter().map(time).collect()
        };
        pair.base.metrics.reported = times(base_ns);
        pair.head.metrics.reported = times(head_ns);
        // The process of a harness takes the same time whatever the speed.
        pair.base.metrics.cpu_ns = 1_000_000_000;
        pair.head.metrics.cpu_ns = 1_000_000_000;
    }
    comparison
}

#[test]
fn what_a_harness_reports_decides_and_not_its_process() {
    let conclusion = conclude(&reporting(188.0, 150.0, &["sum"]));
    assert_eq!(conclusion.outcome, Outcome::Faster);
    let row = conclusion.primary().unwrap();
    assert_eq!(row.quantity, Quantity::Reported);
    assert!((row.ratio.unwrap().value - 150.0 / 188.0).abs() < 0.01);
    let shown: Vec<Quantity> = conclusion.metrics.iter().map(|row| row.quantity).collect();
    assert_eq!(shown, [Quantity::Reported, Quantity::PeakMemory]);
    assert!(conclusion.reported.is_empty(), "one is the whole");
    // The profile's shares are taken of the reported time: no function has more than that.
    for result in &conclusion.functions {
        assert!(result.total.base_ns < 200.0 * 3.0, "{result:?}");
    }
}

#[test]
fn several_reported_times_count_alike_and_have_rows_of_their_own() {
    let mut comparison = reporting(100.0, 80.0, &["a", "longest"]);
    for pair in &mut comparison.pairs {
        pair.head.metrics.reported[1].time_ns = pair.base.metrics.reported[1].time_ns * 1.1;
        // A benchmark that base does not have counts nowhere.
        pair.head.metrics.reported.push(ReportedTime {
            name: "new".to_owned(),
            time_ns: 5.0,
        });
    }
    let conclusion = conclude(&comparison);
    let ratio = conclusion.primary().unwrap().ratio.unwrap().value;
    assert!((ratio - (0.8f64 * 1.1).sqrt()).abs() < 0.005, "{ratio}");
    let rows: Vec<(&str, bool)> = conclusion
        .reported
        .iter()
        .map(|row| (row.name.as_str(), row.ratio.value > 1.0))
        .collect();
    assert_eq!(rows, [("a", false), ("longest", true)]);
    assert!(
        conclusion
            .warnings
            .iter()
            .any(|text| text.contains("some of what is reported got slower (longest)")),
        "{:?}",
        conclusion.warnings
    );
}

#[test]
fn a_policy_asks_for_more_than_the_margin() {
    let [_, cpu, memory, ..] = Policy::all();
    let with = |policy: &Policy, mut comparison: Comparison| {
        comparison.rule.gain = policy.gain;
        comparison.rule.needs_hot = policy.needs_hot;
        comparison.rule.micro_threshold = policy.micro_threshold;
        comparison.policy.clone_from(&policy.name);
        comparison.metric = policy.metric.unwrap();
        conclude(&comparison)
    };
    // `faster` is a few per cent faster, which the statistical policy keeps.
    assert_eq!(conclude(&faster()).verdict, Verdict::Keep);
    let conclusion = with(&cpu, faster());
    assert_eq!(
        conclusion.verdict,
        Verdict::Discard,
        "{}",
        conclusion.reason
    );
    assert!(
        conclusion
            .reason
            .contains("the policy cpu keeps gains above 20 %"),
        "{}",
        conclusion.reason
    );
    let mut slimmer = faster();
    for (index, pair) in slimmer.pairs.iter_mut().enumerate() {
        pair.base.metrics.peak_rss_bytes = 100_000_000 + index as u64;
        pair.head.metrics.peak_rss_bytes = 80_000_000 + index as u64;
    }
    let conclusion = with(&memory, slimmer);
    assert_eq!(conclusion.verdict, Verdict::KeepUnattributed);
    assert!(
        conclusion
            .reason
            .starts_with("head is 20.00 % smaller by peak memory"),
        "{}",
        conclusion.reason
    );
}

#[test]
fn several_workloads_ask_for_as_many_times_the_evidence() {
    let mut comparison = faster();
    let alone = conclude(&comparison).decided_at.unwrap();
    comparison.rule.workloads = 50;
    comparison.rule.max_pairs = comparison.pairs.len();
    let together = conclude(&comparison).decided_at;
    assert!(
        together.is_none_or(|pairs| pairs > alone),
        "{together:?} {alone}"
    );
}

/// The comparison as if each ref had been linked four times, one link of head after another with one
/// of base; `factor` is what layout does to a run of a side's link.
fn linked_four_times(mut comparison: Comparison, factor: fn(Side, u32) -> f64) -> Comparison {
    comparison.setup.layouts = 4;
    for (index, pair) in comparison.pairs.iter_mut().enumerate() {
        let (round, at) = (index as u32 / 4, index as u32 % 4);
        pair.base.layout = at;
        pair.head.layout = (at + round) % 4;
        for (side, run) in [(Side::Base, &mut pair.base), (Side::Head, &mut pair.head)] {
            let cpu_ns = run.metrics.cpu_ns as f64 * factor(side, run.layout);
            run.metrics.cpu_ns = cpu_ns as u64;
        }
    }
    comparison
}

/// So many pairs that each link has the eleven that it needs.
fn unexplained(rest_head: f64) -> Comparison {
    let mut made = made(25.0, 25.0, rest_head);
    made.pairs = 80;
    made.comparison()
}

#[test]
fn a_gain_that_holds_over_all_layouts_is_kept_unexplained() {
    let still = |_, _| 1.0;
    let comparison = linked_four_times(unexplained(0.95), still);
    let conclusion = expect(
        &comparison,
        Verdict::KeepUnexplained,
        0,
        "over all 4 layouts of both, though parse::number did not get faster with it",
    );
    let layouts = conclusion.layouts.unwrap();
    assert_eq!((layouts.rows.len(), layouts.rows[0].pairs), (8, 20));
    assert!(layouts.all_show(Outcome::Faster));
    let placebo = layouts.placebo.unwrap();
    assert!((0.0..0.008).contains(&placebo), "{placebo}");
    assert_eq!(layouts.margin, placebo);
    assert!(!conclusion.not_checked.join(" ").contains("layout"));
}

#[test]
fn a_gain_of_one_layout_is_not_kept_and_its_size_is_the_margin() {
    // One link of head is 8 % faster than the three others, which are as fast as base.
    let lucky = |side, layout| match (side, layout) {
        (Side::Head, 2) => 0.92,
        _ => 1.0,
    };
    let comparison = linked_four_times(unexplained(1.0), lucky);
    let conclusion = conclude(&comparison);
    assert!(conclusion.exit_code() != 0, "{}", conclusion.reason);
    let layouts = conclusion.layouts.unwrap();
    let placebo = layouts.placebo.unwrap();
    assert!((0.07..0.1).contains(&placebo), "{placebo}");
    assert_eq!(layouts.margin, comparison.rule.minimum_effect);
    assert!(
        conclusion
            .warnings
            .iter()
            .any(|it| it.contains("two links of the same code differed by 8.")),
        "{:?}",
        conclusion.warnings
    );
}

#[test]
fn before_layouts_are_known_a_gain_has_to_exceed_the_minimum_effect() {
    let mut comparison = linked_four_times(unexplained(0.95), |_, _| 1.0);
    comparison.pairs.truncate(11);
    let layouts = conclude(&comparison).layouts.unwrap();
    assert_eq!(layouts.placebo, None);
    assert_eq!(layouts.margin, comparison.rule.minimum_effect);
    // A gain is measured until each link can show it.
    let mut comparison = linked_four_times(faster(), |_, _| 1.0);
    comparison.pairs.truncate(36);
    assert_eq!(next_step(&comparison), Step::Continue);
    comparison.setup.layouts = 0;
    assert_ne!(next_step(&comparison), Step::Continue);
}

/// Exact counts tell a function that was given other work from one that only lies elsewhere.
#[test]
fn instructions_of_the_mover_tell_other_work_from_layout() {
    let counted = |own| InstructionCount {
        instructions: 1_000_000,
        functions: vec![CountedFunction {
            function: 1,
            own,
            total: None,
            calls: 10,
        }],
        ..InstructionCount::default()
    };
    let with = |base, head| {
        let mut comparison = made(25.0, 25.0, 1.2).comparison();
        comparison.witness = Some(Witness {
            engine: "callgrind 3.19.0".to_owned(),
            alone: false,
            base: counted(base),
            head: counted(head),
        });
        conclude(&comparison).reason
    };
    let moved = "though not in parse::number: it moved in visit (src/lib.rs), which the diff does not touch";
    for (base, head, says) in [
        (
            1_000,
            8_260,
            " but which executes 8.3 times as many instructions: other arguments or data,",
        ),
        (
            1_000,
            1_120,
            " but which executes 12 % more instructions: other arguments or data,",
        ),
        (
            1_000,
            700,
            " but which executes 30 % fewer instructions: other arguments or data,",
        ),
        (
            1_000,
            1_009,
            " and which executes as many instructions as before: code layout can do that,",
        ),
        (0, 1_000, "; other arguments or data,"),
    ] {
        let reason = with(base, head);
        assert!(reason.contains(&format!("{moved}{says}")), "{reason}");
        assert_eq!(
            reason.ends_with("but not code layout, can do that."),
            says.starts_with(" but")
        );
    }
}
