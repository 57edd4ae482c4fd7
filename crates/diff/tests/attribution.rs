//! Known changes of known functions, seen through samples.
#![allow(clippy::print_stdout)] // The measured rates are for people.

mod made;

use hotproof_diff::*;
use made::{Made, part};

const MODIFIED: Option<Change> = Some(Change::Modified);

/// A run of 100 ms in which one function of 25 ms gets 5 ms faster.
fn known_change(seed: u64, pairs: usize) -> Comparison {
    let mut made = Made::of(&[
        part("parse::number", MODIFIED, 25.0, 20.0),
        part("visit", None, 45.0, 45.0),
        part("copy", None, 29.7, 29.7),
        part("rare", None, 0.3, 0.3),
    ]);
    made.seed = seed;
    made.pairs = pairs;
    made.run_sd = 0.01;
    made.comparison()
}

fn result(conclusion: &Conclusion, row: FunctionRow) -> &FunctionResult {
    conclusion.functions.iter().find(|f| f.row == row).unwrap()
}

/// How far from its centre an interval reaches, in per cent of the run of 100 ms.
fn reach(estimate: &Estimate) -> f64 {
    estimate.half_width() / 1e6
}

#[test]
fn the_known_change_of_a_function_lies_inside_its_interval() {
    const COMPARISONS: u64 = 120;
    let (mut missed, mut intervals) = (0, 0);
    for seed in 0..COMPARISONS {
        let conclusion = conclude(&known_change(seed, 30));
        for (row, delta_ms) in [(0, -5.0), (1, 0.0), (2, 0.0), (3, 0.0)] {
            let own = result(&conclusion, row).own;
            missed += u32::from(own.delta.excludes(delta_ms * 1e6));
            intervals += 1;
        }
        let parts = conclusion.attribution.parts.unwrap();
        missed += u32::from(parts.unexplained.excludes(0.0));
        missed += u32::from(parts.explained.excludes(-5e6));
        missed += u32::from(parts.whole.excludes(-5e6));
        intervals += 3;
    }
    let rate = f64::from(missed) / f64::from(intervals);
    println!("missed {:.2} % of {intervals} intervals", rate * 100.0);
    // 99 % are to hold the truth; the standard error of 840, some of them dependent, is 0.4 points.
    assert!(rate <= 0.01 + 3.0 * 0.004, "{rate}");
}

#[test]
fn the_own_time_of_a_function_is_known_better_than_the_whole() {
    let conclusion = conclude(&known_change(1, 60));
    let parts = conclusion.attribution.parts.unwrap();
    let changed = result(&conclusion, 0).own.delta;
    println!(
        "half widths, per cent of the run: whole {:.2}, changed {:.2}, unexplained {:.2}",
        reach(&parts.whole),
        reach(&changed),
        reach(&parts.unexplained)
    );
    assert!(reach(&changed) < 1.0);
    assert!(reach(&result(&conclusion, 3).own.delta) < 0.15);
    assert_eq!(parts.changed, parts.explained);
    assert_eq!(
        (parts.below.value, conclusion.verdict),
        (0.0, Verdict::Keep)
    );
}

#[test]
fn the_rest_is_still_when_the_noise_sits_in_the_changed_function() {
    // Phases: each run spends exactly 75 ms outside the changed function, which alone scatters.
    let mut comparison = known_change(3, 40);
    for (i, pair) in comparison.pairs.iter_mut().enumerate() {
        let jitter = |k: usize| ((i * k) % 17) as i64 - 8;
        set(&mut pair.base, 25_000 + 150 * jitter(5));
        set(&mut pair.head, 20_000 + 150 * jitter(7));
    }
    let parts = conclude(&comparison).attribution.parts.unwrap();
    assert!(reach(&parts.unexplained) < 0.05, "{:?}", parts.unexplained);
    assert!(reach(&parts.unexplained) < reach(&parts.whole) / 5.0);
    let share = parts.explained_share.unwrap();
    assert!(
        (share.value - 1.0).abs() < 0.02 && share.half_width() < 0.02,
        "{share:?}"
    );
}

/// A sample stands for a microsecond; the changed function has so many of them.
fn set(run: &mut Run, changed_samples: i64) {
    let changed = changed_samples as u64;
    let tally = run.tally.as_mut().unwrap();
    tally.samples = 75_000 + changed;
    tally.complete = tally.samples;
    tally.changed_own = changed;
    run.metrics.cpu_ns = tally.samples * 1_000;
    let counts = [changed, 45_000, 29_700, 300];
    for (row, count) in tally.functions.iter_mut().zip(counts) {
        (row.total, row.own, row.physical_self) = (count, count, count);
    }
}

#[test]
fn what_the_changed_functions_call_is_part_of_what_they_explain() {
    let mut comparison = known_change(4, 40);
    for pair in comparison.pairs.iter_mut().chain(&mut comparison.placebo) {
        for run in [&mut pair.base, &mut pair.head] {
            let tally = run.tally.as_mut().unwrap();
            let below = tally.functions[2].own;
            tally.changed_below = below;
            tally.functions[0].total += below;
        }
    }
    let conclusion = conclude(&comparison);
    let parts = conclusion.attribution.parts.unwrap();
    assert!(!parts.below.excludes(0.0) && parts.below.half_width() > 0.0);
    assert!((parts.changed_share.value - 0.547).abs() < 0.01);
    let number = result(&conclusion, 0);
    assert!((number.total_share.base.value - 0.547).abs() < 0.01);
    assert!((number.own_share.base.value - 0.25).abs() < 0.01);
    assert!((number.total_share.points() - (49.7 / 95.0 - 0.547) * 100.0).abs() < 1.0);
}

#[test]
fn moved_functions_are_marked_and_still_ones_are_not() {
    let conclusion = conclude(&known_change(5, 40));
    let marked: Vec<FunctionRow> = conclusion
        .functions
        .iter()
        .filter(|f| f.marked)
        .map(|f| f.row)
        .collect();
    assert_eq!(marked, [0]);
    assert!(result(&conclusion, 0).e_value > 1_000.0);
    assert!(result(&conclusion, 1).e_value < 20.0);
}

#[test]
fn times_shares_and_speedups_of_a_function_agree() {
    let conclusion = conclude(&known_change(6, 60));
    let number = result(&conclusion, 0);
    let own = number.own;
    assert!((own.base_ns / 25e6 - 1.0).abs() < 0.02, "{own:?}");
    assert!((own.head_ns / 20e6 - 1.0).abs() < 0.02, "{own:?}");
    assert!((own.head_ns - own.base_ns - own.delta.value).abs() < 1.0);
    let speedup = own.speedup.unwrap();
    assert!((speedup.value - own.base_ns / own.head_ns).abs() < 1e-9);
    assert!(
        !speedup.excludes(1.25) && speedup.excludes(1.0),
        "{speedup:?}"
    );
    assert!(!number.own_share.base.excludes(0.25) && !number.own_share.head.excludes(20.0 / 95.0));
    assert_eq!(number.hot_share, number.total_share.base);
}

#[test]
fn added_and_removed_functions_have_one_side_and_no_speedup() {
    let made = Made::of(&[
        part("new", Some(Change::Added), 0.0, 8.0),
        part("old", Some(Change::Removed), 12.0, 0.0),
        part("visit", None, 80.0, 80.0),
    ]);
    let conclusion = conclude(&made.comparison());
    let (new, old) = (result(&conclusion, 0), result(&conclusion, 1));
    assert_eq!((new.own.base_ns, old.own.head_ns), (0.0, 0.0));
    assert!(new.own.speedup.is_none() && old.own.speedup.is_none());
    assert_eq!((new.hot, old.hot), (Hot::Yes, Hot::Yes));
    assert_eq!(new.hot_share, new.total_share.head);
    assert_eq!(conclusion.verdict, Verdict::Keep);
}

#[test]
fn rows_come_in_their_promised_order() {
    let made = Made::of(&[
        part("still", None, 30.0, 30.0),
        part("mover", None, 20.0, 16.0),
        part("small", MODIFIED, 5.0, 4.0),
        part("large", MODIFIED, 40.0, 39.0),
        part("absent_b", None, 0.0, 0.0),
        part("absent_a", None, 0.0, 0.0),
    ]);
    let rows: Vec<FunctionRow> = conclude(&made.comparison())
        .functions
        .iter()
        .map(|f| f.row)
        .collect();
    assert_eq!(rows, [3, 2, 1, 0, 5, 4]);
}

#[test]
fn identical_programs_are_not_kept_for_one_small_function() {
    const COMPARISONS: u64 = 300;
    let mut kept = 0;
    for seed in 0..COMPARISONS {
        let mut made = Made::of(&[
            part("small", MODIFIED, 3.0, 3.0),
            part("other", MODIFIED, 2.0, 2.0),
            part("visit", None, 95.0, 95.0),
        ]);
        made.samples_per_run = 400;
        made.pairs = 25;
        made.run_sd = 0.02;
        made.seed = seed + 1_000;
        kept += u32::from(conclude(&made.comparison()).exit_code() == 0);
    }
    println!("kept {kept} of {COMPARISONS} comparisons of equals");
    // At most 1 % are expected, and 9 of 300 come by chance once in 250.
    assert!(kept <= 9, "{kept}");
}

#[test]
fn shares_hold_the_truth_whether_runs_differ_or_not() {
    const INTERVALS: u64 = 400;
    for (truth, run_spread) in [(0.25, 0.0), (0.01, 0.0), (0.25, 0.15), (0.9, 0.05)] {
        let mut dice = made::Dice::new(11);
        let mut missed = 0;
        for _ in 0..INTERVALS {
            let runs: Vec<(u64, u64)> = (0..12)
                .map(|_| {
                    let share = truth * (1.0 + run_spread * dice.gaussian());
                    let hits = (0..500).filter(|_| dice.uniform() < share).count();
                    (hits as u64, 500)
                })
                .collect();
            missed += u32::from(share_interval(&runs, 0.99).excludes(truth));
        }
        let rate = f64::from(missed) / INTERVALS as f64;
        println!(
            "share {truth}, runs differ by {run_spread}: missed {:.2} %",
            rate * 100.0
        );
        // 1 % and three standard errors of 400.
        assert!(rate <= 0.025, "{rate}");
    }
}

/// Counts pairs until `enough` says stop, and concludes.
fn measure(all: &Comparison, enough: impl Fn(&Comparison) -> Step) -> Conclusion {
    let mut comparison = all.clone();
    for pairs in 11..=all.pairs.len() {
        comparison.pairs = all.pairs[..pairs].to_vec();
        if enough(&comparison) != Step::Continue {
            break;
        }
    }
    conclude(&comparison)
}

#[test]
fn a_gain_is_measured_until_it_is_known_who_carries_it() {
    const COMPARISONS: u64 = 60;
    let (mut kept_by_the_test_alone, mut kept) = (0, 0);
    for seed in 0..COMPARISONS {
        let mut made = Made::of(&[
            part("parse::number", MODIFIED, 50.0, 48.5),
            part("visit", None, 50.0, 50.0),
        ]);
        made.run_sd = 0.003;
        made.pairs = 70;
        made.seed = seed;
        let all = made.comparison();
        let alone = measure(&all, |comparison| Sequence::of(comparison).step());
        kept_by_the_test_alone += u32::from(alone.verdict == Verdict::Keep);
        let whole = measure(&all, next_step);
        kept += u32::from(whole.verdict == Verdict::Keep);
        assert!(whole.pairs >= alone.pairs);
    }
    println!(
        "kept {kept} of {COMPARISONS} explained gains, {kept_by_the_test_alone} without waiting"
    );
    assert!(kept >= 59, "{kept}");
    assert!(kept_by_the_test_alone < 40, "{kept_by_the_test_alone}");
}
