//! What a Firefox profile of ours holds beside stacks and weights.

use serde_json::Value;

use crate::agreement::parse;
use crate::{bytes_of, example};

/// The numbers of a column of one of the tables, null as 0.
fn numbers(column: &Value) -> Vec<i64> {
    let rows = column.as_array().expect("a column is a list");
    rows.iter().map(|row| row.as_i64().unwrap_or(0)).collect()
}

/// CPU time of each sample, whichever weight is shown; which frames are inlined into their callers;
/// and a marker of what the kernel lost.
#[test]
fn cpu_deltas_inlined_frames_and_losses_are_in_the_file() {
    const INLINED: i64 = 1;
    let profile = example::profile();
    let document = parse(&bytes_of("firefox", &profile, 0));
    let threads = document["threads"].as_array().unwrap();
    let deltas = threads
        .iter()
        .flat_map(|thread| numbers(&thread["samples"]["threadCPUDelta"]));
    assert_eq!(deltas.sum::<i64>(), profile.total_weight(1));
    assert_eq!(document["meta"]["sampleUnits"]["threadCPUDelta"], "ns");

    let flags = numbers(&document["shared"]["frameTable"]["flags"]);
    let inlined = flags.iter().filter(|&&flags| flags & INLINED != 0).count();
    let locations = profile.locations.rows().iter();
    let expected: usize = locations
        .map(|row| row.frames.len().saturating_sub(1))
        .sum();
    assert!(expected > 0);
    assert_eq!(inlined, expected);

    let markers = threads.iter().flat_map(|thread| {
        let data = thread["markers"]["data"].as_array().unwrap();
        data.iter()
            .map(|marker| [&marker["samples"], &marker["records"], &marker["throttled"]])
    });
    let lost = &profile.meta.lost;
    let expected = [lost.samples, lost.records, lost.throttled].map(Value::from);
    assert_eq!(markers.collect::<Vec<_>>(), [expected.each_ref()]);
}
