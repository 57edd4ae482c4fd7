//! Every figure in a document is the one that we show, and comes back as it was.

use hotproof_formats::folded::Options;
use hotproof_formats::{WriteError, callgrind, folded, import, native, parquet, pprof};
use hotproof_profile::*;
use proptest::prelude::*;
use serde_json::Value;

use crate::{
    Totals, WRITERS, arbitrary, bytes_of, documents, example, imported, our_totals, positive,
    write_with,
};

pub(crate) fn parse(bytes: &[u8]) -> Value {
    if bytes.starts_with(b"\x1f\x8b") {
        let decoder = flate2::read::GzDecoder::new(bytes);
        return serde_json::from_reader(decoder).unwrap();
    }
    serde_json::from_slice(bytes).unwrap()
}

fn totals_in(writer: &str, document: &Value, weight: usize) -> Totals {
    match writer {
        "speedscope" => documents::speedscope(document),
        "firefox" | "firefox gzip" => documents::firefox(document),
        "chrome" => documents::chrome(document),
        "json" => documents::json(document, weight),
        other => panic!("there is no writer {other}"),
    }
}

/// Functions without any weight are left out by some documents and some totals.
fn with_weight(totals: Totals) -> Totals {
    totals
        .into_iter()
        .filter(|(_, sums)| *sums != (0, 0))
        .collect()
}

/// Chrome's viewers know time alone; one of another unit is a millisecond there. We read it as what
/// it was.
fn factor(writer: &str, profile: &Profile, weight: usize) -> i128 {
    let is_time = profile.weights[weight].unit == Unit::Nanoseconds;
    if writer == "chrome" && !is_time {
        1_000_000
    } else {
        1
    }
}

fn scaled(totals: Totals, factor: i128) -> Totals {
    let scale = |(own, total): (i128, i128)| (own * factor, total * factor);
    totals
        .into_iter()
        .map(|(name, sums)| (name, scale(sums)))
        .collect()
}

#[test]
fn every_document_has_our_figures() {
    let profile = example::profile();
    for inline in [Inline::Expand, Inline::Physical] {
        for weight in 0..profile.weights.len() {
            let options = Options { inline, weight };
            let ours = with_weight(our_totals(&profile, &options));
            for writer in WRITERS {
                let (bytes, _) = write_with(writer, &profile, &options).unwrap();
                let found = with_weight(totals_in(writer, &parse(&bytes), weight));
                let ours = scaled(ours.clone(), factor(writer, &profile, weight));
                assert_eq!(found, ours, "{writer}, weight {weight}");
            }
        }
    }
}

#[test]
fn equal_profiles_give_equal_bytes() {
    for writer in WRITERS {
        for weight in 0..2 {
            let first = bytes_of(writer, &example::profile(), weight);
            let second = bytes_of(writer, &example::profile(), weight);
            assert!(first == second, "{writer}");
        }
    }
}

#[test]
fn what_is_read_has_the_figures_of_what_was_written() {
    let profile = example::profile();
    for writer in ["speedscope", "firefox", "firefox gzip", "chrome"] {
        for weight in 0..2 {
            let options = Options {
                inline: Inline::Expand,
                weight,
            };
            let read_back = imported(&bytes_of(writer, &profile, weight));
            let read = Options {
                inline: Inline::Expand,
                weight: 0,
            };
            let ours = our_totals(&profile, &options);
            assert_eq!(our_totals(&read_back.profile, &read), ours, "{writer}");
            if writer == "chrome" && profile.weights[weight].unit != Unit::Nanoseconds {
                assert_eq!(read_back.profile.weights[0], profile.weights[weight]);
            }
        }
    }
}

#[test]
fn written_again_a_document_is_the_same() {
    let profile = example::profile();
    for writer in ["speedscope", "chrome"] {
        let first = bytes_of(writer, &profile, 1);
        let read_back = imported(&first);
        let second = bytes_of(writer, &read_back.profile, 0);
        let third = bytes_of(writer, &imported(&second).profile, 0);
        assert!(second == third, "{writer}");
        let names = |bytes: &[u8]| with_weight(totals_in(writer, &parse(bytes), 0));
        assert_eq!(names(&first), names(&second));
    }
}

#[test]
fn our_json_comes_back_to_the_byte() {
    for inline in [Inline::Expand, Inline::Physical] {
        let options = Options { inline, weight: 0 };
        let (first, _) = write_with("json", &example::profile(), &options).unwrap();
        let read_back = imported(&first);
        assert_eq!(read_back.format, import::Format::Json);
        assert!(read_back.dropped.is_empty());
        let second = bytes_of("json", &read_back.profile, 0);
        assert_eq!(
            String::from_utf8(first).unwrap(),
            String::from_utf8(second).unwrap()
        );
    }
}

#[test]
fn other_answers_of_hotproof_are_refused_by_name() {
    let own = String::from_utf8(bytes_of("json", &example::profile(), 0)).unwrap();
    let cases = [
        (
            own.replacen("hotproof.profile", "hotproof.report", 1),
            "schema.name: this is the answer of a command (`hotproof.report`)",
        ),
        (
            own.replacen("\"version\":1", "\"version\":2", 1),
            "schema.version: version 2 is not read, only 1",
        ),
        (
            own.replacen("\"process\":0", "\"process\":70", 1),
            "process: process 70 of",
        ),
        (
            own.replacen("\"address\":\"0x", "\"address\":\"", 1),
            "is no hexadecimal number like 0x1a",
        ),
        (
            own.replacen("\"stack\":2,", "\"stack\":999,", 1),
            "stack 999 of",
        ),
    ];
    for (text, expected) in cases {
        assert_ne!(text, own, "{expected}: nothing was replaced");
        let error = import::read(text.as_bytes(), import::Limits::default()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(expected), "{error}\nexpected {expected}");
    }
}

#[test]
fn a_speedscope_file_comes_back_to_the_byte() {
    let first = bytes_of("speedscope", &example::profile(), 1);
    let second = bytes_of("speedscope", &imported(&first).profile, 0);
    assert_eq!(
        String::from_utf8(first).unwrap(),
        String::from_utf8(second).unwrap()
    );
}

#[test]
fn addresses_images_inlines_and_lines_come_back_from_firefox() {
    let profile = example::profile();
    let back = imported(&bytes_of("firefox", &profile, 0)).profile;
    let images = |profile: &Profile| -> Vec<(String, Vec<u8>, ImageKind)> {
        let rows = profile.images.rows().iter();
        rows.map(|row| {
            (
                profile.strings[row.path].to_owned(),
                row.build_id.clone(),
                row.kind,
            )
        })
        .collect()
    };
    assert_eq!(images(&back), images(&profile));
    // Path by path: image, the address that is looked up, function names and lines.
    let describe = |profile: &Profile| -> Vec<String> {
        let mut lines = Vec::new();
        let mut rows: Vec<usize> = (0..profile.samples.len()).collect();
        rows.sort_by_key(|&row| (profile.samples.thread[row], profile.samples.time_ns[row]));
        for row in rows {
            for location in profile.path(profile.samples.stack[row]) {
                let row = &profile.locations[location];
                let is_low = row.lookup_address() <= u32::MAX.into() && row.image.is_some();
                let address = if is_low { row.lookup_address() } else { 0 };
                let frames = row.frame_ids().map(|id| &profile.frames[id]);
                let frames = frames.map(|frame| {
                    let name = profile.functions[frame.function].name;
                    format!(
                        "{}:{:?}:{:?}",
                        &profile.strings[name], frame.line, frame.column
                    )
                });
                let frames: Vec<String> = frames.collect();
                lines.push(format!("{:?} {address:#x} {frames:?}", row.image));
            }
        }
        // A sample without a stack has one unknown frame in the file.
        lines.retain(|line| line != "None 0x0 []");
        lines
    };
    assert_eq!(describe(&back), describe(&profile));
    assert_eq!(
        back.total_weight(1),
        profile.total_weight(1),
        "CPU time comes back too"
    );
}

#[test]
fn a_weight_below_zero_is_refused_where_the_viewer_refuses_it() {
    let mut profile = example::profile();
    profile.samples.weights[0][3] = -1;
    for writer in ["speedscope", "chrome"] {
        let error = write_with(writer, &profile, &Options::default()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, WriteError::CannotCarry { .. }), "{text}");
        assert!(text.contains("`samples` of sample 3"), "{text}");
    }
    for writer in ["firefox", "json"] {
        write_with(writer, &profile, &Options::default()).unwrap();
    }
}

#[test]
fn a_weight_that_does_not_exist_is_an_error() {
    let options = Options {
        inline: Inline::Expand,
        weight: 2,
    };
    for writer in ["speedscope", "firefox", "chrome"] {
        let error = write_with(writer, &example::profile(), &options).unwrap_err();
        assert!(
            matches!(error, WriteError::NoWeight { column: 2, .. }),
            "{error}"
        );
    }
}

#[test]
fn each_format_says_what_it_lost() {
    let lost = |writer| {
        write_with(writer, &example::profile(), &Options::default())
            .unwrap()
            .1
    };
    assert_eq!(lost("json"), ["symbols", "mappings"]);
    let speedscope = lost("speedscope");
    for words in [
        "the weight cpu",
        "the times of samples",
        "addresses",
        "which stacks are cut or stitched",
    ] {
        assert!(
            speedscope.iter().any(|lost| lost == words),
            "{speedscope:?}"
        );
    }
    let firefox = lost("firefox");
    assert!(
        !firefox.iter().any(|lost| lost == "the times of samples"),
        "{firefox:?}"
    );
    assert!(
        firefox.iter().any(|lost| lost == "the CPUs of samples"),
        "{firefox:?}"
    );
    // It is each sample's `threadCPUDelta`, and was told as lost.
    assert!(
        !firefox.iter().any(|lost| lost.contains("cpu")),
        "{firefox:?}"
    );
    // What was sampled where went without a word.
    for writer in ["speedscope", "chrome"] {
        let lost = lost(writer);
        for words in ["the event that was sampled", "the machine"] {
            assert!(lost.iter().any(|fact| fact == words), "{writer}: {lost:?}");
        }
    }
    let folded = folded::losses(&example::profile(), &Options::default());
    assert_eq!(
        folded[..3],
        ["the command", "the event that was sampled", "the machine"]
    );
    let chrome = lost("chrome");
    assert!(
        chrome.iter().any(|lost| lost.contains("millisecond")),
        "{chrome:?}"
    );
}

/// What a trace says of its weight is heeded where it fits the times, and else they stay times.
#[test]
fn a_trace_of_counts_comes_back_as_counts_unless_its_times_were_changed() {
    let mut profile = example::profile();
    profile.weights[0].name = "page-faults".to_owned();
    profile.weights[0].unit = Unit::Count;
    let text = String::from_utf8(bytes_of("chrome", &profile, 0)).unwrap();
    let weights = |text: &str| {
        let read = imported(text.as_bytes()).profile;
        let names = read.weights.iter().map(|weight| weight.name.clone());
        (names.collect::<Vec<_>>(), read.total_weight(0))
    };
    let whole = profile.total_weight(0);
    let restored = (vec!["page-faults".to_owned(), "samples".to_owned()], whole);
    assert_eq!(weights(&text), restored);
    let named = |name: &str| text.replace("page-faults", name);
    assert_eq!(
        weights(&named("samples")),
        (vec!["samples".to_owned()], whole)
    );
    assert_eq!(weights(&named("time")).0, ["time", "samples"]);
    let time = (
        vec!["time".to_owned(), "samples".to_owned()],
        whole * 1_000_000,
    );
    for other in [
        text.replace("\"shownAsNs\":1000000", "\"shownAsNs\":7000000007"),
        text.replace("\"shownAsNs\":1000000", "\"shownAsNs\":0"),
        text.replace("\"shownAsNs\":1000000", "\"shownAsNs\":\"x\""),
        text.replace("\"unit\":\"count\"", "\"unit\":\"apples\""),
        text.replace("\"weight\":{", "\"weights\":{"),
    ] {
        assert_ne!(other, text);
        assert_eq!(weights(&other), time);
    }
}

/// Viewers of traces count no time of `(root)` and `(idle)`: functions of those names, which other
/// formats have, lost theirs when the trace was read again.
#[test]
fn functions_named_as_no_work_keep_their_weight_in_a_trace() {
    let mut profile = example::profile();
    let ids: Vec<FunctionId> = profile.functions.ids().take(2).collect();
    for (id, name) in ids.into_iter().zip(["(root)", "(idle)"]) {
        profile.functions[id].name = profile.strings.intern(name);
    }
    let mut bytes = Vec::new();
    let lost = hotproof_formats::chrome::write(&profile, &Options::default(), &mut bytes).unwrap();
    for name in ["(root)", "(idle)"] {
        let told = format!("the name {name}, which its viewers take for no work");
        assert!(lost.iter().any(|fact| fact.starts_with(&told)), "{lost:?}");
    }
    let back = imported(&bytes).profile;
    assert_eq!(back.total_weight(0), profile.total_weight(0));
    let names: Vec<&str> = back.strings.iter().collect();
    assert!(
        names.contains(&"[(root)]") && names.contains(&"[(idle)]"),
        "{names:?}"
    );
}

#[test]
fn a_profile_without_samples_is_still_a_file_with_a_thread() {
    let empty = Profile {
        weights: vec![Weight {
            name: "samples".into(),
            unit: Unit::Count,
        }],
        samples: Samples {
            weights: vec![Vec::new()],
            ..Samples::default()
        },
        ..Profile::default()
    };
    let firefox = parse(&bytes_of("firefox", &empty, 0));
    assert_eq!(documents::list(&firefox["threads"]).len(), 1);
    let speedscope = parse(&bytes_of("speedscope", &empty, 0));
    assert_eq!(documents::list(&speedscope["profiles"]).len(), 1);
    for writer in WRITERS {
        assert!(bytes_of(writer, &empty, 0).len() > 10);
    }
}

/// Neither markup nor the end of a script element is special in JSON, and none of it is lost.
#[test]
fn awkward_names_come_back() {
    let names = [
        "<script>alert(1)</script>",
        "a & b \"c\" 'd'",
        "\u{2028}\u{1b}[31m",
        "x\\;y\nz",
    ];
    for name in names {
        let mut profile = example::profile();
        let text = profile.strings.intern(name);
        profile.functions[FunctionId(1)].name = text;
        for writer in ["speedscope", "firefox", "chrome"] {
            let back = imported(&bytes_of(writer, &profile, 0)).profile;
            let options = Options::default();
            let totals = our_totals(&back, &options);
            let ours = our_totals(&profile, &options);
            assert_eq!(totals[name], ours[name], "{writer}");
        }
    }
}

/// A stack far deeper than this program's own goes out and comes in again: nothing goes down it by
/// calling itself, and nothing takes the square of its depth.
#[test]
fn a_hundred_thousand_frames_go_through_every_format() {
    const DEPTH: usize = 100_000;
    let mut profile = example::profile();
    let mut parent = None;
    for depth in 0..DEPTH {
        let location = LocationId::from_index(depth % 3);
        parent = Some(profile.stacks.push(Stack { parent, location }));
    }
    profile.samples.stack[0] = parent;
    let ours = with_weight(our_totals(&profile, &Options::default()));
    let check = |writer: &str, bytes: &[u8]| {
        let read_back = imported(bytes).profile;
        let found = with_weight(our_totals(&read_back, &Options::default()));
        assert_eq!(found, ours, "{writer}");
    };
    for writer in ["speedscope", "firefox", "chrome", "json"] {
        check(writer, &bytes_of(writer, &profile, 0));
    }
    let mut bytes = Vec::new();
    pprof::write(&profile, &mut bytes).unwrap();
    check("pprof", &bytes);
    bytes.clear();
    native::write(&profile, &mut bytes).unwrap();
    check("native", &bytes);
    bytes.clear();
    folded::write(&profile, &Options::default(), &mut bytes).unwrap();
    assert_eq!(
        imported(&bytes).profile.total_weight(0),
        profile.total_weight(0)
    );
    bytes.clear();
    parquet::write(&profile, &Options::default(), &mut bytes).unwrap();
    bytes.clear();
    callgrind::write(&profile, &mut bytes).unwrap();
    assert_eq!(
        imported(&bytes).profile.total_weight(0),
        profile.total_weight(0)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_profile_has_our_figures_in_every_document(profile in arbitrary::profile()) {
        let profile = positive(profile);
        for weight in 0..profile.weights.len() {
            let options = Options { inline: Inline::Expand, weight };
            let ours = with_weight(our_totals(&profile, &options));
            // Times are floats of milliseconds and microseconds there: exact up to 2^53 of them.
            for writer in ["speedscope", "json"] {
                let bytes = bytes_of(writer, &profile, weight);
                prop_assert!(bytes == bytes_of(writer, &profile, weight));
                let found = with_weight(totals_in(writer, &parse(&bytes), weight));
                prop_assert_eq!(&found, &ours, "{}", writer);
                if writer == "json" {
                    let again = bytes_of(writer, &imported(&bytes).profile, weight);
                    prop_assert_eq!(String::from_utf8(again), String::from_utf8(bytes));
                }
            }
            if profile.weights[weight].unit != Unit::Nanoseconds {
                let bytes = bytes_of("firefox", &profile, weight);
                prop_assert!(bytes == bytes_of("firefox", &profile, weight));
                let found = with_weight(totals_in("firefox", &parse(&bytes), weight));
                prop_assert_eq!(&found, &ours);
            }
        }
    }

    #[test]
    fn small_weights_agree_in_every_document(profile in arbitrary::profile()) {
        let mut profile = positive(profile);
        for column in &mut profile.samples.weights {
            for weight in column {
                *weight %= 1_000_000_007;
            }
        }
        for time in &mut profile.samples.time_ns {
            *time %= 1 << 40;
        }
        let artificial = |name: &str| matches!(name, "(root)" | "(idle)");
        prop_assume!(!profile.strings.iter().any(artificial));
        for weight in 0..profile.weights.len() {
            let options = Options { inline: Inline::Expand, weight };
            let ours = with_weight(our_totals(&profile, &options));
            let by_name = distinct_names(&profile);
            for writer in ["firefox", "chrome"] {
                // Chrome's viewers take functions of one name and place for one function.
                if writer == "chrome" && !by_name {
                    continue;
                }
                let bytes = bytes_of(writer, &profile, weight);
                prop_assert!(bytes == bytes_of(writer, &profile, weight));
                let found = with_weight(totals_in(writer, &parse(&bytes), weight));
                let ours = scaled(ours.clone(), factor(writer, &profile, weight));
                prop_assert_eq!(&found, &ours, "{}", writer);
            }
        }
    }
}

/// Whether no two pieces of code have one name.
fn distinct_names(profile: &Profile) -> bool {
    let totals =
        (0..profile.weights.len()).map(|weight| profile.code_totals(weight, Inline::Expand));
    totals.into_iter().all(|rows| {
        let mut names: Vec<String> = rows.iter().map(|row| profile.code_name(row.code)).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        names.len() == count
    })
}
