//! A quick look of `ab` against the comparison that came after it.

mod made;

use hotproof_diff::*;
use made::{Made, part};

const MODIFIED: Option<Change> = Some(Change::Modified);

/// A program of 100 ms, whose changed function takes 20 ms of it at base.
fn whole(changed_ms: f64) -> Comparison {
    Made::of(&[
        part("parse", MODIFIED, 20.0, changed_ms),
        part("rest", None, 80.0, 80.0),
    ])
    .comparison()
}

/// A quick look at the changed function alone, which takes 20 ms of a run at first.
fn local(changed_ms: f64) -> Comparison {
    Made::of(&[part("parse", None, 20.0, changed_ms)]).comparison()
}

#[test]
fn what_carries_over_is_no_conflict() {
    assert_eq!(conflict(&local(10.0), &whole(10.0)), None);
    assert_eq!(conflict(&local(30.0), &whole(30.0)), None);
}

/// Half the time of a fifth of the run would be a tenth of the whole.
#[test]
fn a_gain_that_does_not_carry_over_is_a_conflict() {
    let mut quick = local(10.0);
    (quick.base.name, quick.head.name) = ("a".to_owned(), "b".to_owned());
    let found = conflict(&quick, &whole(20.0)).unwrap();
    for (value, expected) in [
        (found.promised.value, 0.5),
        (found.changed_share, 0.2),
        (found.predicted.value, 0.9),
        (found.measured.value, 1.0),
    ] {
        assert!((value - expected).abs() < 0.01, "{value} for {expected}");
    }
    assert!(found.measured.low > found.predicted.high);
    let text = found.sentence();
    for words in [
        "from `a` to `b`",
        "does not carry over",
        "% faster",
        "end to end is trusted",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let lost = conflict(&local(10.0), &whole(24.0)).unwrap();
    assert!(lost.sentence().contains("slower"), "{}", lost.sentence());
}

#[test]
fn nothing_follows_where_either_has_nothing_to_say() {
    assert_eq!(conflict(&local(20.0), &whole(10.0)), None, "no difference");
    let mut unsampled = whole(20.0);
    for pair in unsampled.pairs.iter_mut().chain(&mut unsampled.placebo) {
        (pair.base.tally, pair.head.tally) = (None, None);
    }
    assert_eq!(conflict(&local(10.0), &unsampled), None, "no samples");
    let mut unmeasured = whole(20.0);
    unmeasured.pairs.truncate(1);
    assert_eq!(conflict(&local(10.0), &unmeasured), None, "one pair");
}

#[test]
fn a_quick_look_of_another_commit_says_nothing() {
    for commit in ["1".repeat(40), String::new()] {
        let mut other = local(10.0);
        other.head.commit = commit;
        assert_eq!(conflict(&other, &whole(20.0)), None);
    }
    // Outside of a checkout there are no commits, and none are equal.
    let (mut a, mut b) = (local(10.0), whole(20.0));
    for facts in [&mut a.head, &mut b.head, &mut b.base] {
        facts.commit.clear();
    }
    assert_eq!(conflict(&a, &b), None);
}

/// A rough look whose interval reaches what was measured promised nothing else.
#[test]
fn a_quick_look_is_taken_with_its_interval() {
    let mut rough = Made::of(&[part("parse", None, 20.0, 18.0)]);
    rough.run_sd = 0.1;
    let rough = rough.comparison();
    let promised = conclude(&rough).primary().unwrap().ratio.unwrap();
    assert!(promised.half_width() > 0.02, "{promised:?}");
    for changed_ms in [17.0, 18.0, 19.0] {
        assert_eq!(conflict(&rough, &whole(changed_ms)), None, "{changed_ms}");
    }
}

#[test]
fn a_sampled_quick_look_of_other_functions_says_nothing() {
    let other = Made::of(&[part("print", None, 20.0, 10.0)]).comparison();
    assert_eq!(conflict(&other, &whole(20.0)), None);
    let mut unsampled = other;
    unsampled.functions.clear();
    for pair in unsampled.pairs.iter_mut().chain(&mut unsampled.placebo) {
        (pair.base.tally, pair.head.tally) = (None, None);
    }
    assert!(conflict(&unsampled, &whole(20.0)).is_some());
}

#[test]
fn a_range_names_its_direction_once_where_it_has_one() {
    let found = conflict(&local(10.0), &whole(14.0)).unwrap();
    let text = found.sentence();
    let measured = text.split("measured is ").nth(1).unwrap();
    let measured = measured.split(';').next().unwrap();
    assert_eq!(measured.matches("faster").count(), 1, "{text}");
    let numbers: Vec<f64> = measured
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    assert!(numbers[0] < numbers[1], "{text}");
}
