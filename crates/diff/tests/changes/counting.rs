//! Instructions of both refs are joined as samples are, and what several functions call is shared
//! out by the cost of their calls.

use hotproof_diff::InstructionCount;
use hotproof_diff::changes::{CallCost, Counts};

use crate::commit::changes_of_edit;
use crate::joining::{Made, joiner};

const BASE: &str = "fn changed() { 1 }\nfn other() { 1 }\nfn shared() { 1 }\nfn below() { 1 }\n";

/// `main` calls `changed` and `other`; both call `shared`, for 300 and for 700 instructions, and
/// that calls `below`. `changed` is inlined into `other` as well.
fn counted() -> (Vec<String>, InstructionCount) {
    let head = BASE.replacen('1', "2", 1);
    let changed = changes_of_edit("a.rs", BASE, &head);
    let mut joiner = joiner(&changed, &[("a.rs", BASE)], &[("a.rs", &head)]);
    let mut made = Made::new();
    let mut function = |name, line| made.function(name, Some(("/tmp/w/base/a.rs", line)));
    let [c, o, s, b] = [
        function("changed", 1),
        function("other", 2),
        function("shared", 3),
        function("below", 4),
    ];
    let spots = [&[c][..], &[o], &[c, o], &[s], &[b]].map(|chain| made.location(chain));
    let [in_changed, in_other, inlined, in_shared, in_below] = spots;
    let own = [10, 20, 5, 400, 600];
    let own: Vec<_> = spots.into_iter().zip(own).collect();
    let call = |from, to, count, instructions| CallCost {
        from,
        to,
        count,
        instructions,
    };
    let counts = Counts {
        profile: &made.profile,
        bodies: &[0, 1, 1, 2, 3],
        own: &own,
        calls: &[
            call(in_changed, in_shared, 3, 300),
            call(in_other, in_shared, 6, 600),
            call(inlined, in_shared, 1, 100),
            call(in_shared, in_below, 10, 600),
            // By itself: what it cost is counted already.
            call(in_below, in_below, 9, 500),
        ],
        events: Vec::new(),
    };
    let count = joiner.count(hotproof_diff::Side::Base, counts);
    let keys = joiner.functions().into_iter().map(|it| it.key).collect();
    (keys, count)
}

#[test]
fn inlined_instructions_belong_to_the_inlined_function() {
    let (keys, count) = counted();
    assert_eq!(count.instructions, 1_035);
    assert_eq!(count.changed_own, 15);
    let own = |key: &str| {
        let row = keys.iter().position(|it| it == key).unwrap();
        count
            .functions
            .iter()
            .find(|it| it.function == row)
            .unwrap()
    };
    assert_eq!(own("a.rs::changed").own, 15);
    assert_eq!(own("a.rs::other").own, 20);
    assert_eq!(own("a.rs::shared").calls, 10);
    assert_eq!(own("a.rs::below").total, Some(600));
    assert_eq!(own("a.rs::shared").total, Some(1_000));
}

#[test]
fn what_several_call_is_shared_out_by_the_cost_of_their_calls() {
    let (_, count) = counted();
    // 300 + 100 of the 1,000 instructions of `shared` and `below`.
    assert_eq!(count.changed_below, 400);
}
