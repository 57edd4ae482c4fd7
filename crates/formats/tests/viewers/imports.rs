//! What files of others mean, and what is said of those that mean nothing.

use hotproof_formats::folded::{self, Options};
use hotproof_formats::import::{self, Format, ImportError, Limits};
use hotproof_profile::*;

use crate::damage::include_bytes_of;
use crate::imported;

fn folded(profile: &Profile, weight: usize) -> Vec<String> {
    let options = Options {
        inline: Inline::Expand,
        weight,
    };
    let lines = folded::lines(profile, &options);
    lines
        .into_iter()
        .map(|(stack, weight)| format!("{stack} {weight}"))
        .collect()
}

#[test]
fn evented_profiles_become_stretches_and_null_fields_are_absent() {
    let found = imported(include_bytes_of("evented"));
    assert_eq!(found.format, Format::Speedscope);
    let profile = found.profile;
    assert_eq!(profile.weights.len(), 1);
    assert_eq!(profile.weights[0].unit, Unit::Nanoseconds);
    let expected = [
        "one;idle 4000000",
        "one;main 3500000",
        "one;main;work 2500000",
        "two;[unknown] 10000000",
        "two;main 10000000",
        "two;main;work 10000000",
    ];
    assert_eq!(folded(&profile, 0), expected);
    assert_eq!(profile.meta.command, ["t.json"]);
}

#[test]
fn slices_become_stacks() {
    let found = imported(include_bytes_of("slices"));
    assert_eq!(found.format, Format::ChromeTrace);
    let expected = [
        "helper;help 1250",
        r"thread\_140483699321728;main 30500",
        r"thread\_140483699321728;main;work 20000",
    ];
    assert_eq!(folded(&found.profile, 0), expected);
    let dropped = found.dropped.join("; ");
    assert!(dropped.contains("1 events that are neither"), "{dropped}");
    assert!(dropped.contains("which is cut"), "{dropped}");
    let functions = found.profile.functions.rows().iter();
    let mut lines = functions.filter_map(|row| Some((row.file?, row.line)));
    let (file, line) = lines.next().unwrap();
    assert_eq!((&found.profile.strings[file], line), ("a.py", Some(7)));
}

#[test]
fn samples_of_stack_frames_have_weights() {
    let found = imported(include_bytes_of("frames"));
    let expected = [";main 1", ";main;other 2", ";main;work 3"];
    let lines = folded(&found.profile, 0);
    let without_thread: Vec<String> = lines
        .iter()
        .map(|line| line.trim_start_matches(r"\e").to_owned())
        .collect();
    assert_eq!(without_thread, expected);
}

#[test]
fn a_cpu_profile_counts_the_time_until_the_next_sample() {
    let found = imported(include_bytes_of("cpuprofile"));
    let expected_time = [
        "(anonymous) 500000",
        "(anonymous);work 2000000",
        "(anonymous);work;(garbage collector) 500000",
    ];
    assert_eq!(folded(&found.profile, 0), expected_time);
    let expected_samples = [
        "(anonymous) 1",
        "(anonymous);work 2",
        "(anonymous);work;(garbage collector) 1",
    ];
    assert_eq!(folded(&found.profile, 1), expected_samples);
    assert_eq!(
        found.dropped,
        ["1.500 ms of `(idle)` and `(root)`, in which nothing ran"]
    );
    assert_eq!(found.profile.meta.duration_ns, 5_000_000);
    let lines: Vec<_> = found
        .profile
        .functions
        .rows()
        .iter()
        .map(|row| row.line)
        .collect();
    assert_eq!(lines, [Some(1), Some(5), None], "lines count from 1");
}

/// They were left out without a word, and the lines of declarations were shown as those that ran.
#[test]
fn lines_that_v8_counts_by_call_are_told() {
    let text = include_bytes!("inputs/real/node.cpuprofile");
    let found = import::read(text, Limits::default()).unwrap();
    let told = "the lines that ran in 9 samples: the file has them by call and not by sample";
    assert!(
        found.dropped.iter().any(|fact| fact.starts_with(told)),
        "{:?}",
        found.dropped
    );
}

#[test]
fn an_old_firefox_profile_is_upgraded() {
    let found = imported(include_bytes_of("firefox49"));
    assert_eq!(found.format, Format::Firefox);
    let profile = &found.profile;
    assert_eq!(
        folded(profile, 0),
        ["bench;[unknown] 1", "bench;main;work;inlined 2"]
    );
    assert_eq!(found.dropped, ["2 markers"]);
    let path: Vec<LocationId> = profile.path(profile.samples.stack[0]).collect();
    assert_eq!(
        path.len(),
        2,
        "the inlined frame belongs to its caller's location"
    );
    let leaf = &profile.locations[path[0]];
    assert_eq!((leaf.address, leaf.frames.len()), (32, 2));
    let root = &profile.locations[path[1]];
    assert_eq!(profile.symbols[root.symbol.unwrap()].address, 8);
    assert_eq!(profile.images.rows()[0].build_id, [0xab, 0x01]);
    assert_eq!(profile.samples.time_ns, [500_000, 1_500_000, 2_500_000]);
    assert_eq!(
        profile.meta.started_unix_ns,
        Some(1_700_000_000_001_000_000)
    );
    assert_eq!(profile.meta.rate_hz, Some(1000));
}

#[test]
fn versions_that_are_not_read_are_refused_by_name() {
    let cases = [
        (
            r#"{"meta":{"preprocessedProfileVersion":76},"threads":[]}"#,
            "version 76",
        ),
        (
            r#"{"meta":{"preprocessedProfileVersion":12},"threads":[]}"#,
            "version 12",
        ),
        (
            r#"{"meta":{"version":27},"threads":[{"samples":{"schema":{}}}]}"#,
            "Gecko profile (version 27)",
        ),
    ];
    for (text, expected) in cases {
        let error = import::read(text.as_bytes(), Limits::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("meta.preprocessedProfileVersion"), "{error}");
    }
}

/// Each fault has the path of the value that is wrong, and says what it is.
#[test]
fn faults_have_a_path_and_a_reason() {
    let speedscope = String::from_utf8_lossy(include_bytes_of("evented")).into_owned();
    let trace = String::from_utf8_lossy(include_bytes_of("frames")).into_owned();
    let cpu = String::from_utf8_lossy(include_bytes_of("cpuprofile")).into_owned();
    let firefox = String::from_utf8_lossy(include_bytes_of("firefox49")).into_owned();
    let cases = [
        (
            &speedscope,
            "[[0,1],",
            "[[0,9],",
            "profiles[1].samples[0][1]: frame 9 of 3 frames",
        ),
        (
            &speedscope,
            "[0.01,0.01,0.01]",
            "[0.01]",
            "profiles[1].weights: 1 weights for 3 samples",
        ),
        (
            &speedscope,
            "0.01,0.01,0.01",
            "1e300,0,0",
            "profiles[1].weights[0]: 1",
        ),
        (
            &speedscope,
            "\"at\":5,",
            "\"at\":1,",
            "profiles[0].events[2].at: 1000000 comes before 2500000",
        ),
        (
            &speedscope,
            "\"at\":6,\"frame\":0",
            "\"at\":6,\"frame\":1",
            "profiles[0].events[3].frame: closes frame 1",
        ),
        (
            &speedscope,
            "\"seconds\"",
            "\"parsecs\"",
            "profiles[1].unit: `parsecs` is no unit",
        ),
        (
            &trace,
            "\"parent\":\"1\"",
            "\"parent\":\"2\"",
            "samples[0].sf: stack frame `2` is its own caller",
        ),
        (
            &trace,
            "\"sf\":2",
            "\"sf\":5",
            "samples[0].sf: there is no stack frame `5`",
        ),
        (
            &cpu,
            "\"samples\":[3",
            "\"samples\":[33",
            "samples[0]: there is no node 33",
        ),
        (
            &cpu,
            "\"timeDeltas\":[500,",
            "\"timeDeltas\":[",
            "timeDeltas: 4 time deltas for 5 samples",
        ),
        (
            &cpu,
            "\"children\":[4]",
            "\"children\":[3]",
            "nodes[2].children[0]: node 3 has two parents",
        ),
        (
            &cpu,
            "\"children\":[4]",
            "\"children\":[1]",
            "is its own caller",
        ),
        (
            &cpu,
            "\"id\":4,",
            "\"id\":3,",
            "nodes[3].id: node 3 is there twice",
        ),
        (
            &firefox,
            "\"prefix\":[null,0,1]",
            "\"prefix\":[null,1,0]",
            "stackTable.prefix[1]: 1 does not lead",
        ),
        (
            &firefox,
            "\"func\":[0,1,2]",
            "\"func\":[0,1,8]",
            "frameTable.func[2]: function 8 of 3 functions",
        ),
        (
            &firefox,
            "\"stack\":[2,",
            "\"stack\":[77,",
            "threads[0].samples.stack[0]: stack 77 of 3 stacks",
        ),
        (
            &firefox,
            "\"time\":[0.5,",
            "\"time\":[",
            "threads[0].samples.time: 2 values for 3 samples",
        ),
        (
            &firefox,
            "\"name\":[0,1,2]",
            "\"name\":[0,1,20]",
            "funcTable.name[2]: text 20 of 4 texts",
        ),
    ];
    for (text, from, to, expected) in cases {
        assert!(text.contains(from), "{from}");
        let broken = text.replacen(from, to, 1);
        let error = import::read(broken.as_bytes(), Limits::default()).unwrap_err();
        assert!(matches!(error, ImportError::Damaged { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains(expected), "{error}\nexpected {expected}");
    }
}

#[test]
fn a_fault_of_the_text_has_its_offset() {
    let text = include_bytes_of("cpuprofile");
    let cut = &text[..200];
    let error = import::read_as(Format::CpuProfile, cut, Limits::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("byte 199") || error.contains("byte 200"),
        "{error}"
    );
}

#[test]
fn other_json_is_not_taken_for_a_profile() {
    for text in [
        "{}",
        "[]",
        "[1,2]",
        "{\"a\":[1]}",
        "[{\"a\":1}]",
        "\"x\"",
        "[libc.so.6];f 3\n",
    ] {
        let format = import::recognise(text.as_bytes());
        let is_json = |format| {
            matches!(
                format,
                Format::Speedscope | Format::Firefox | Format::ChromeTrace | Format::CpuProfile
            )
        };
        assert!(!format.is_some_and(is_json), "{text}: {format:?}");
    }
}
