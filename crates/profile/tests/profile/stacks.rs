//! Paths and sums by stack.

use hotproof_profile::*;

use crate::maker::{Maker, USER};

#[test]
fn a_path_goes_from_the_leaf_to_the_root() {
    let mut m = Maker::new();
    let functions = ["root", "middle", "leaf"].map(|name| m.function(name, Some(USER)));
    let locations = functions.map(|function| m.location(&[function]));
    let stack = m.stack(&locations);
    let path: Vec<LocationId> = m.profile.path(Some(stack)).collect();
    assert_eq!(path, [locations[2], locations[1], locations[0]]);
    assert_eq!(m.profile.path(None).count(), 0);
}

/// Of a stitched sample only the leaf is certain: a stack of the leaf alone that is there already is
/// used, and other samples stay as they are.
#[test]
fn stitched_samples_keep_their_leaf_alone() {
    let mut m = Maker::new();
    let [a, b] = ["a", "b"].map(|name| m.function(name, Some(USER)));
    let [a, b] = [a, b].map(|function| m.location(&[function]));
    let [lone_a, a_below_b, b_below_a] = [&[a][..], &[b, a], &[a, b]].map(|path| m.stack(path));
    for stack in [lone_a, a_below_b, b_below_a, a_below_b] {
        m.sample(Some(stack), [1, 1]);
    }
    assert_eq!(m.profile.without_stitched_callers().as_ref(), &m.profile);
    for row in [1, 2] {
        m.profile.samples.end[row] = StackEnd::Stitched;
    }
    assert_eq!(m.profile.stitched_count(), 2);
    let certain = m.profile.without_stitched_callers();
    certain.validate().unwrap();
    let path = |row| certain.path(certain.samples.stack[row]).collect::<Vec<_>>();
    assert_eq!(
        [0, 1, 2, 3].map(path),
        [vec![a], vec![a], vec![b], vec![a, b]]
    );
    assert_eq!(certain.samples.stack[1], Some(lone_a));
    let ends = [
        StackEnd::Complete,
        StackEnd::Truncated,
        StackEnd::Truncated,
        StackEnd::Complete,
    ];
    assert_eq!(certain.samples.end, ends);
}

#[test]
fn samples_add_up_by_stack_in_the_order_of_ids_those_without_first() {
    let mut m = Maker::new();
    let f = m.function("f", Some(USER));
    let f = m.location(&[f]);
    let [a, unused, b] = [f, f, f].map(|location| m.stack(&[location]));
    for (stack, weight) in [(Some(b), 5), (None, 1), (Some(a), 2), (Some(b), -3)] {
        m.sample(stack, [1, weight]);
    }
    let entry = |stack, weight, samples| StackWeight {
        stack,
        weight,
        samples,
    };
    let times = [
        entry(None, 1, 1),
        entry(Some(a), 2, 1),
        entry(Some(b), 2, 2),
    ];
    assert_eq!(m.profile.stack_weights(1), times);
    let counts = m.profile.stack_weights(0);
    assert!(counts.iter().all(|entry| entry.stack != Some(unused)));
    assert_eq!(counts.iter().map(|entry| entry.weight).sum::<i64>(), 4);
}

#[test]
fn a_stack_of_weight_zero_is_kept_because_it_was_seen() {
    let mut m = Maker::new();
    let f = m.function("f", Some(USER));
    let f = m.location(&[f]);
    let stack = m.stack(&[f]);
    m.sample(Some(stack), [1, 0]);
    assert_eq!(m.profile.stack_weights(1).len(), 1);
}

#[test]
#[should_panic(expected = "no weight column 2")]
fn a_weight_that_does_not_exist_is_a_bug_of_the_caller() {
    Maker::new().profile.stack_weights(2);
}

#[test]
fn no_samples_weigh_nothing() {
    let profile = Maker::new().profile;
    assert_eq!(profile.stack_weights(0), []);
    assert_eq!((profile.total_weight(0), profile.total_weight(9)), (0, 0));
    assert_eq!(profile.code_totals(0, Inline::Expand), []);
}

/// A row that takes samples away counts so; one of none stands for one.
#[test]
fn samples_below_zero_take_away_and_sums_end_at_none() {
    let mut m = Maker::new();
    let [f, g] = ["f", "g"].map(|name| {
        let function = m.function(name, Some(USER));
        m.location(&[function])
    });
    let alone = m.stack(&[g]);
    let called = m.stack(&[g, f]);
    for (stack, samples) in [(called, 7), (alone, -7), (alone, 3), (alone, 0)] {
        m.sample(Some(stack), [samples, samples]);
    }
    assert_eq!(m.profile.sample_count(), 4);
    let of = |profile: &Profile, name: &str| {
        let rows = crate::maker::rows(profile, 0, Inline::Expand);
        rows.iter().find(|row| row.0 == name).map(|row| row.4)
    };
    assert_eq!(
        (of(&m.profile, "f"), of(&m.profile, "g")),
        (Some(7), Some(4))
    );
    m.sample(Some(alone), [-90, -90]);
    assert_eq!(
        (m.profile.sample_count(), of(&m.profile, "g")),
        (0, Some(0))
    );
}
