//! The result log: whatever is written is read back, and the verdict with it.

use crate::fixture::pairs;
use hotproof_diff::{Comparison, conclude};
use hotproof_report::log::{LogError, line, parse, read};
use proptest::prelude::*;

/// Equal, also where a number is infinite or not a number.
fn assert_same(a: &Comparison, b: &Comparison) {
    assert_eq!(format!("{a:?}"), format!("{b:?}"));
}

#[test]
fn a_line_holds_the_whole_comparison_and_its_verdict() {
    for (name, comparison) in pairs::all() {
        let conclusion = conclude(&comparison);
        let text = line(&comparison, &conclusion);
        assert!(!text.contains('\n'), "{name}");
        let entry = read(&text).unwrap();
        assert_eq!(entry.comparison, comparison, "{name}");
        assert_eq!(entry.verdict, conclusion.verdict.id());
        assert_eq!(entry.reason, conclusion.reason);
        let again = conclude(&entry.comparison);
        // Debug prints the shortest text that gives the same bits back.
        assert_eq!(format!("{again:?}"), format!("{conclusion:?}"), "{name}");
        assert_eq!(line(&entry.comparison, &again), text, "{name}");
    }
}

/// Lines of version 1, and the first ones of version 2, know neither policies nor workloads of a
/// project nor tests nor reported times: what is missing means what was the only choice then.
#[test]
fn a_line_of_the_first_version_gives_the_same_verdict() {
    for (name, comparison) in pairs::all() {
        let conclusion = conclude(&comparison);
        let mut old: serde_json::Value =
            serde_json::from_str(&line(&comparison, &conclusion)).unwrap();
        old["schema"]["version"] = 1.into();
        let known = &mut old["comparison"];
        for (member, fields) in [
            ("", &["setup", "policy", "tests"][..]),
            (
                "/rule",
                &["gain", "needs_hot", "shortest_run_ns", "workloads"],
            ),
        ] {
            let object = known.pointer_mut(member).unwrap().as_object_mut().unwrap();
            for field in fields {
                assert!(object.remove(*field).is_some(), "{field}");
            }
        }
        for function in known["functions"].as_array_mut().unwrap() {
            assert!(function.as_object_mut().unwrap().remove("cause").is_some());
        }
        let entry = read(&old.to_string()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(entry.comparison, comparison, "{name}");
        let again = conclude(&entry.comparison);
        assert_eq!(format!("{again:?}"), format!("{conclusion:?}"), "{name}");
    }
}

#[test]
fn what_is_no_line_is_refused_by_name() {
    let comparison = pairs::cold();
    let good = line(&comparison, &conclude(&comparison));
    let cut = &good[..good.len() / 2];
    assert!(matches!(read(cut), Err(LogError::NotJson(_))));
    assert!(matches!(read("[1]"), Err(LogError::OtherSchema { .. })));
    let other = good.replace("hotproof.log", "hotproof.report");
    assert!(
        matches!(read(&other), Err(LogError::OtherSchema { found }) if found == "hotproof.report")
    );
    let newer = good.replace("\"version\":4", "\"version\":5");
    assert!(matches!(
        read(&newer),
        Err(LogError::OtherVersion { found: 5 })
    ));
    let more = good.replace("\"seed\":", "\"surprise\":1,\"seed\":");
    assert!(matches!(read(&more), Err(LogError::Shape(_))));
    let less = good.replace("\"seed\":7,", "");
    assert!(matches!(read(&less), Err(LogError::Shape(_))));
    let astray = good.replace("\"function\":0,", "\"function\":99,");
    assert!(matches!(
        read(&astray),
        Err(LogError::NoSuchFunction {
            row: 99,
            functions: 8
        })
    ));
}

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => any::<f64>(),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
        1 => Just(-0.0),
        1 => Just(f64::NAN),
    ]
}

proptest! {
    #[test]
    fn every_bit_comes_back(
        load in any_float(),
        stolen in proptest::option::of(any_float()),
        margin in any_float(),
        seed in any::<u64>(),
        text in "\\PC{0,20}[\\n\\t\"\\\\\u{1b}]{0,3}",
        cpu_ns in any::<u64>(),
        queue in proptest::option::of(any::<u64>()),
        keep in 0usize..12,
    ) {
        let mut comparison = pairs::keep();
        comparison.machine.load = load;
        comparison.machine.stolen_pct = stolen;
        comparison.rule.margin = margin;
        comparison.seed = seed;
        comparison.command = vec![text.clone()];
        comparison.functions[0].name = text.clone();
        comparison.metric_reason = Some(text);
        comparison.pairs.truncate(keep);
        if let Some(pair) = comparison.pairs.first_mut() {
            pair.base.metrics.cpu_ns = cpu_ns;
            pair.base.metrics.run_queue_ns = queue;
            pair.head.tally = None;
        }
        // The verdict is another matter; any conclusion will do for the line.
        let conclusion = conclude(&pairs::nothing());
        let back = parse(&line(&comparison, &conclusion)).unwrap();
        prop_assert_eq!(back.machine.load.is_nan(), load.is_nan());
        if !load.is_nan() {
            prop_assert_eq!(back.machine.load.to_bits(), load.to_bits());
        }
        assert_same(&back, &comparison);
    }

    #[test]
    fn measured_times_give_the_same_verdict_again(
        factors in proptest::collection::vec(0.5f64..2.0, 20),
        sampled in any::<bool>(),
    ) {
        let mut comparison = pairs::keep();
        for (pair, factor) in comparison.pairs.iter_mut().zip(factors) {
            pair.head.metrics.cpu_ns = (pair.head.metrics.cpu_ns as f64 * factor) as u64;
            if !sampled {
                pair.head.tally = None;
            }
        }
        let conclusion = conclude(&comparison);
        let back = parse(&line(&comparison, &conclusion)).unwrap();
        assert_eq!(format!("{:?}", conclude(&back)), format!("{conclusion:?}"));
    }

    #[test]
    fn damaged_lines_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let comparison = pairs::cold();
        let mut bytes = line(&comparison, &conclude(&pairs::nothing())).into_bytes();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let _ = parse(text);
        }
    }
}
