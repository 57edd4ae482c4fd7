//! Self and total weight: recursion, inlining, library code, order.

use hotproof_profile::*;
use proptest::prelude::*;

use crate::maker::{LIBRARY, Maker, USER, row, rows};

#[test]
fn total_counts_every_function_of_the_stack_and_self_the_leaf() {
    let mut m = Maker::new();
    let [main, work] = ["main", "work"].map(|name| m.function(name, Some(USER)));
    let [main, work] = [main, work].map(|function| m.location(&[function]));
    let outer = m.stack(&[main]);
    let inner = m.stack(&[main, work]);
    m.sample(Some(outer), [1, 10]);
    m.sample(Some(inner), [1, 25]);
    m.sample(Some(inner), [1, 25]);
    let p = m.profile;
    let counts = [row("main", 3, 1, 1, 3), row("work", 2, 2, 2, 2)];
    assert_eq!(rows(&p, 0, Inline::Expand), counts);
    let times = [row("main", 60, 10, 10, 3), row("work", 50, 50, 50, 2)];
    assert_eq!(rows(&p, 1, Inline::Expand), times);
}

#[test]
fn recursion_counts_once() {
    let mut m = Maker::new();
    let [a, b] = ["even", "odd"].map(|name| m.function(name, Some(USER)));
    let [even, odd, even_again] = [a, b, a].map(|function| m.location(&[function]));
    // Mutual recursion through two addresses of one function, and one address twice.
    let stack = m.stack(&[even, odd, even_again, odd, even]);
    m.sample(Some(stack), [1, 7]);
    let expected = [row("even", 7, 7, 7, 1), row("odd", 7, 0, 0, 1)];
    assert_eq!(rows(&m.profile, 1, Inline::Expand), expected);
}

#[test]
fn recursion_through_an_inlined_copy_counts_once() {
    let mut m = Maker::new();
    let f = m.function("f", Some(USER));
    let inlined_into_itself = m.location(&[f, f]);
    let stack = m.stack(&[inlined_into_itself, inlined_into_itself]);
    m.sample(Some(stack), [1, 4]);
    assert_eq!(rows(&m.profile, 1, Inline::Expand), [row("f", 4, 4, 4, 1)]);
}

#[test]
fn an_inlined_function_is_a_row_only_when_frames_are_expanded() {
    let mut m = Maker::new();
    let [caller, inlined] = ["caller", "inlined"].map(|name| m.function(name, Some(USER)));
    let leaf = m.location(&[inlined, caller]);
    let stack = m.stack(&[leaf]);
    m.sample(Some(stack), [1, 3]);
    let p = m.profile;
    let expanded = [row("inlined", 3, 3, 3, 1), row("caller", 3, 0, 0, 1)];
    assert_eq!(rows(&p, 1, Inline::Expand), expanded);
    assert_eq!(rows(&p, 1, Inline::Physical), [row("caller", 3, 3, 3, 1)]);
}

#[test]
fn inlined_library_code_folds_into_the_innermost_function_of_the_user() {
    let mut m = Maker::new();
    let [outer, user] = ["outer", "user"].map(|name| m.function(name, Some(USER)));
    let [add, next] = ["wrapping_add", "next"].map(|name| m.function(name, Some(LIBRARY)));
    let leaf = m.location(&[add, next, user, outer]);
    let stack = m.stack(&[leaf]);
    m.sample(Some(stack), [1, 5]);
    let mut expected = [
        row("wrapping_add", 5, 5, 0, 1),
        row("next", 5, 0, 0, 1),
        row("user", 5, 0, 5, 1),
        row("outer", 5, 0, 0, 1),
    ];
    expected[1..].sort();
    let actual = rows(&m.profile, 1, Inline::Expand);
    assert_eq!(actual, expected);
}

#[test]
fn library_code_that_was_not_inlined_keeps_its_time() {
    let mut m = Maker::new();
    let user = m.function("user", Some(USER));
    let [inner, sort] = ["inner", "sort"].map(|name| m.function(name, Some(LIBRARY)));
    let caller = m.location(&[user]);
    // The machine code belongs to `sort`, a function of the library; `inner` was inlined into it.
    let leaf = m.location(&[inner, sort]);
    let stack = m.stack(&[caller, leaf]);
    m.sample(Some(stack), [1, 5]);
    let p = m.profile;
    assert_eq!(p.own_code_at(leaf), Code::Function(sort));
    let totals = rows(&p, 1, Inline::Expand);
    assert!(totals.contains(&row("sort", 5, 0, 5, 1)), "{totals:?}");
    assert!(totals.contains(&row("user", 5, 0, 0, 1)), "{totals:?}");
}

#[test]
fn code_without_a_name_and_samples_without_a_stack_are_counted() {
    let mut m = Maker::new();
    let unnamed = m.location(&[]);
    let nowhere = Location::unresolved(None, 0xdead, AddressKind::Ip);
    let nowhere = m.profile.locations.push(nowhere);
    let in_image = m.stack(&[unnamed]);
    let unmapped = m.stack(&[nowhere]);
    m.sample(Some(in_image), [1, 4]);
    m.sample(Some(unmapped), [1, 2]);
    m.sample(None, [1, 1]);
    let expected = [row("[bench]", 4, 4, 4, 1), row("[unknown]", 3, 3, 3, 2)];
    assert_eq!(rows(&m.profile, 1, Inline::Expand), expected);
    assert_eq!(rows(&m.profile, 1, Inline::Physical), expected);
}

#[test]
fn functions_of_one_name_stay_apart() {
    let mut m = Maker::new();
    let [a, b] = [
        m.function("new", Some(USER)),
        m.function("new", Some("/home/u/src/b.rs")),
    ];
    for (function, weight) in [(a, 3), (b, 2)] {
        let location = m.location(&[function]);
        let stack = m.stack(&[location]);
        m.sample(Some(stack), [1, weight]);
    }
    let expected = [row("new", 3, 3, 3, 1), row("new", 2, 2, 2, 1)];
    assert_eq!(rows(&m.profile, 1, Inline::Expand), expected);
}

#[test]
fn ties_are_broken_by_self_weight_and_then_by_name() {
    let mut m = Maker::new();
    let [z, b, a] = ["z", "b", "a"].map(|name| m.function(name, Some(USER)));
    let [z, b, a] = [z, b, a].map(|function| m.location(&[function]));
    let stack = m.stack(&[b, a, z]);
    m.sample(Some(stack), [1, 1]);
    let names: Vec<String> = rows(&m.profile, 0, Inline::Expand)
        .into_iter()
        .map(|row| row.0)
        .collect();
    assert_eq!(names, ["z", "a", "b"]);
}

#[test]
fn totals_of_chosen_stacks_leave_the_others_out() {
    let mut m = Maker::new();
    let [f, g] = ["f", "g"].map(|name| m.function(name, Some(USER)));
    let [f, g] = [f, g].map(|function| m.location(&[function]));
    let [f, g] = [f, g].map(|location| m.stack(&[location]));
    m.sample(Some(f), [1, 1]);
    m.sample(Some(g), [1, 1]);
    let mut stacks = m.profile.stack_weights(0);
    stacks.retain(|entry| entry.stack == Some(g));
    let totals = totals_of_stacks(&m.profile, &stacks, Inline::Expand);
    let names: Vec<String> = totals.iter().map(|t| m.profile.code_name(t.code)).collect();
    assert_eq!(names, ["g"]);
}

/// Which functions each location holds, which locations each stack, and which stack each sample.
type Shape = (Vec<Vec<usize>>, Vec<Vec<usize>>, Vec<(Option<usize>, i64)>);

fn shape() -> impl Strategy<Value = Shape> {
    let locations = prop::collection::vec(prop::collection::vec(0..6usize, 0..4), 1..8);
    let stacks = prop::collection::vec(prop::collection::vec(0..8usize, 1..6), 1..6);
    let samples = prop::collection::vec((prop::option::of(0..6usize), 0..1000i64), 0..30);
    (locations, stacks, samples)
}

/// Functions 0 to 2 are the user's, 3 to 5 the library's.
fn build((locations, stacks, samples): &Shape) -> Profile {
    let mut m = Maker::new();
    let functions: Vec<FunctionId> = (0..6)
        .map(|n| m.function(&format!("f{n}"), Some(if n < 3 { USER } else { LIBRARY })))
        .collect();
    let locations: Vec<LocationId> = locations
        .iter()
        .map(|frames| m.location(&frames.iter().map(|&n| functions[n]).collect::<Vec<_>>()))
        .collect();
    let stacks: Vec<StackId> = stacks
        .iter()
        .map(|path| {
            let path: Vec<LocationId> = path
                .iter()
                .map(|&n| locations[n % locations.len()])
                .collect();
            m.stack(&path)
        })
        .collect();
    for &(stack, weight) in samples {
        m.sample(stack.map(|n| stacks[n % stacks.len()]), [1, weight]);
    }
    m.profile
}

proptest! {
    #[test]
    fn totals_follow_from_the_samples_one_by_one(shape in shape(), expand in any::<bool>()) {
        let profile = build(&shape);
        let inline = if expand { Inline::Expand } else { Inline::Physical };
        let all = profile.total_weight(1);
        let totals = profile.code_totals(1, inline);
        // Each sample has one leaf, so own weights add up to the whole, folded or not.
        prop_assert_eq!(totals.iter().map(|t| t.self_weight).sum::<i64>(), all);
        prop_assert_eq!(totals.iter().map(|t| t.self_with_library).sum::<i64>(), all);
        for total in &totals {
            prop_assert!(total.self_weight <= total.total && total.total <= all);
            prop_assert!(total.self_with_library <= total.total);
            // The plain definition, sample by sample.
            let (mut weight, mut samples) = (0, 0);
            for row in 0..profile.samples.len() {
                let path = profile.path(profile.samples.stack[row]);
                let mut codes: Vec<Code> = path.flat_map(|l| profile.code_at(l, inline)).collect();
                if codes.is_empty() {
                    codes.push(Code::Unmapped);
                }
                if codes.contains(&total.code) {
                    weight += profile.samples.weights[1][row];
                    samples += 1;
                }
            }
            prop_assert_eq!((total.total, total.samples), (weight, samples));
        }
    }

    #[test]
    fn rows_are_unique_and_heaviest_first(shape in shape()) {
        let profile = build(&shape);
        let totals = profile.code_totals(1, Inline::Expand);
        let key = |t: &CodeTotal| (std::cmp::Reverse((t.total, t.self_weight)), profile.code_name(t.code));
        prop_assert!(totals.is_sorted_by_key(key));
        let codes: std::collections::BTreeSet<Code> = totals.iter().map(|t| t.code).collect();
        prop_assert_eq!(codes.len(), totals.len());
    }

    #[test]
    fn sums_by_stack_lose_nothing(shape in shape()) {
        let profile = build(&shape);
        let stacks = profile.stack_weights(1);
        prop_assert_eq!(stacks.iter().map(|s| s.weight).sum::<i64>(), profile.total_weight(1));
        prop_assert_eq!(stacks.iter().map(|s| s.samples).sum::<i64>(), profile.samples.len() as i64);
        prop_assert!(stacks.is_sorted_by(|a, b| a.stack < b.stack));
    }
}
