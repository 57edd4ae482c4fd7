//! Stacks far deeper than this program's own: no view goes down them by calling itself.

use crate::fixture::{Builder, fun};
use hotproof_profile::{Profile, StackEnd};
use hotproof_report::difference::{self, Stacks};
use hotproof_report::{flamegraph, functions, tree};

const DEPTH: usize = 100_000;

/// Two functions that call each other, and a leaf of their own at the end.
fn profile(leaf: &'static str) -> Profile {
    let mut b = Builder::new(997);
    let ping = b.location(&[&fun("ping", "/a/x.rs", 1)]);
    let pong = b.location(&[&fun("pong", "/a/x.rs", 5)]);
    let leaf = b.location(&[&fun(leaf, "/a/x.rs", 9)]);
    let mut path: Vec<_> = (0..DEPTH).map(|depth| [ping, pong][depth % 2]).collect();
    path.push(leaf);
    let stack = b.stack(&path);
    b.samples(stack, 70, StackEnd::Complete);
    let flat = b.stack(&path[..2]);
    b.samples(flat, 30, StackEnd::Complete);
    b.finish(997)
}

fn svg(profile: &Profile) -> String {
    let mut bytes = Vec::new();
    flamegraph::write(profile, &flamegraph::Options::default(), &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn tables_and_trees() {
    let profile = profile("leaf");
    let table = functions::table(&profile, &functions::Options::default()).unwrap();
    assert!(table.contains("pong"));
    let options = tree::Options {
        depth: Some(30),
        min_share_millipercent: 0,
        ..tree::Options::default()
    };
    let calls = tree::tree(&profile, &options).unwrap();
    assert!(calls.contains("ping"));
    let callers = tree::callers(&profile, "leaf", &options).unwrap();
    assert!(callers.contains("pong"));
    let callees = tree::callees(&profile, "ping", &options).unwrap();
    assert!(callees.contains("ping"));
}

/// A picture of a hundred thousand rows is more than a browser shows: it is cut, says so, and
/// begins at the top, where the roots are, instead of with empty space.
#[test]
fn the_flame_graph_opens_on_content() {
    let picture = svg(&profile("leaf"));
    assert!(picture.len() < 2_000_000, "{} bytes", picture.len());
    assert!(picture.contains("frames beyond the first 1,000 of a stack are [deeper]"));
    assert!(picture.contains("<title>[deeper] ("));
    let rect = picture
        .find("<title>all (")
        .map(|at| &picture[at..])
        .unwrap();
    let y = rect
        .split("y=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let y: f64 = y.unwrap().parse().unwrap();
    assert!(y < 100.0, "the root is at {y}");
}

#[test]
fn differences() {
    let (base, head) = (profile("old leaf"), profile("new leaf"));
    let value = difference::difference(&base, &head, difference::Normalize::Run).unwrap();
    assert!(value.rows.iter().any(|row| row.name == "old leaf"));
    let mut folded = Vec::new();
    let stacks = Stacks::of([&base, &head], difference::Normalize::Run).unwrap();
    stacks.folded(&mut folded).unwrap();
    assert!(folded.len() > DEPTH);
    let mut picture = Vec::new();
    stacks.picture(&mut picture).unwrap();
    let picture = String::from_utf8(picture).unwrap();
    assert!(picture.contains("[deeper]"));
}

/// A difference has negative weights, which no width can show.
#[test]
fn weights_below_zero_are_refused_not_left_out() {
    let mut negative = profile("leaf");
    // More than the other samples of its stack weigh.
    for column in &mut negative.samples.weights {
        column[0] = -1_000_000_000_000;
    }
    let options = flamegraph::Options::default();
    let error = flamegraph::write(&negative, &options, Vec::new()).unwrap_err();
    assert!(matches!(error, flamegraph::FlamegraphError::Negative));
    let leaf = profile("leaf");
    let drawn = |negative: &Profile| -> Result<(), difference::PictureError> {
        Stacks::of([&leaf, negative], difference::Normalize::Run)?.picture(Vec::new())
    };
    let error = drawn(&negative).unwrap_err();
    assert!(error.to_string().contains("no weighted sample"), "{error}");
    let count = negative.samples.weights[0].len();
    for column in &mut negative.samples.weights {
        column[count - 1] = 2_000_000_000_000;
    }
    let error = drawn(&negative).unwrap_err();
    assert!(error.to_string().contains("below zero"), "{error}");
}
