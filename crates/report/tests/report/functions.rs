//! The screens of `report` and `record`, held to files.

use crate::fixture::{self, empty, golden, golden_screens, parser, poor};
use hotproof_profile::{Foreign, Inline, Profile, Unit, Weight};
use hotproof_report::functions::{Options, Sort, json, table};
use hotproof_report::record::{RecordFacts, summary};
use regex::Regex;

fn screen(profile: &Profile, options: &Options) -> impl Fn(usize) -> String {
    move |width| {
        let options = Options {
            width,
            ..options.clone()
        };
        table(profile, &options).unwrap()
    }
}

#[test]
fn table_by_total() {
    golden_screens("report", screen(&parser(), &Options::default()));
}

#[test]
fn table_with_top_and_library() {
    let options = Options {
        sort: Sort::Library,
        top: Some(3),
        ..Options::default()
    };
    golden_screens("report-top", screen(&parser(), &options));
}

/// A heap as Go writes it: what is shown is the weight that the file names, in its own unit.
#[test]
fn weights_that_are_no_time_have_their_own_column() {
    let mut heap = parser();
    heap.meta.cpu_time_ns = None;
    heap.meta.rate_hz = None;
    heap.meta.event = "space".into();
    let samples = heap.samples.weights[0].clone();
    let weight = |name: &str, unit| Weight {
        name: name.into(),
        unit,
    };
    heap.weights = vec![
        weight("alloc_objects", Unit::Count),
        weight("inuse_space", Unit::Bytes),
        weight("inuse_objects", Unit::Count),
    ];
    let of = |factor: i64| samples.iter().map(|one| one * factor).collect::<Vec<i64>>();
    heap.samples.weights = vec![of(3), of(1024), of(2)];
    let shown = |profile: &Profile| screen(profile, &Options::default())(100);
    assert!(shown(&heap).contains("alloc_objects"), "{}", shown(&heap));
    heap.foreign = Some(Foreign {
        default_weight: "inuse_space".into(),
        ..Foreign::default()
    });
    let text = shown(&heap);
    assert!(
        text.contains("memory") && text.contains("9.7 MiB"),
        "{text}"
    );
    assert!(text.contains("memory, samples: of the total"), "{text}");
    heap.foreign = Some(Foreign::default());
    let text = shown(&heap);
    assert!(
        text.contains("inuse_objects") && text.contains("19,936"),
        "{text}"
    );
    heap.weights[2].unit = Unit::Instructions;
    assert!(shown(&heap).contains("instructions"));
}

#[test]
fn table_without_inlined_functions() {
    let options = Options {
        inline: Inline::Physical,
        sort: Sort::SelfWeight,
        ..Options::default()
    };
    golden_screens("report-no-inline", screen(&parser(), &options));
}

#[test]
fn table_of_a_focus_keeps_shares_of_the_whole() {
    let options = Options {
        focus: Some(Regex::new("parse::number$").unwrap()),
        ..Options::default()
    };
    golden_screens("report-focus", screen(&parser(), &options));
}

#[test]
fn start_up_code_is_folded_unless_asked_for() {
    let show = |options: &Options| screen(&parser(), options)(usize::MAX);
    let folded = show(&Options::default());
    assert!(!folded.contains("_start  ") && !folded.contains("lang_start"));
    assert!(folded.contains("2 functions, which only start the code above"));
    let all = Options {
        min_percent: 0.0,
        ..Options::default()
    };
    let focused = Options {
        focus: Some(Regex::new("lang_start").unwrap()),
        ..Options::default()
    };
    assert!(show(&all).contains("lang_start") && show(&all).contains("_start"));
    assert!(show(&focused).contains("lang_start"));
}

#[test]
fn runtime_code_below_user_code_is_not_start_up() {
    let text = screen(&parser(), &Options::default())(usize::MAX);
    assert!(text.contains("__memmove_avx_unaligned_erms") && text.contains("[libc.so.6]"));
}

#[test]
fn a_focus_that_matches_nothing_says_so() {
    let options = Options {
        focus: Some(Regex::new("nonesuch").unwrap()),
        ..Options::default()
    };
    golden_screens("report-focus-none", screen(&parser(), &options));
}

#[test]
fn what_is_missing_is_said() {
    golden_screens("report-poor", screen(&poor(), &Options::default()));
}

#[test]
fn a_filter_that_leaves_nothing_is_named() {
    let profile = parser();
    let nothing = vec![false; profile.samples.len()];
    let left = hotproof_profile::transform::keep(profile, &nothing, "time 900s-");
    let screen = table(&left, &Options::default()).unwrap();
    for part in ["time 900s- keeps 0 of", "leave the filter away"] {
        assert!(screen.contains(part), "{screen}");
    }
}

#[test]
fn a_profile_without_samples_says_what_to_do() {
    golden_screens("report-empty", screen(&empty(), &Options::default()));
}

#[test]
fn colours_only_support_the_words() {
    let styled = table(&parser(), &Options::default()).unwrap();
    assert!(styled.contains("\u{1b}["));
    assert_ne!(fixture::strip(&styled), styled);
}

#[test]
fn without_a_limit_nothing_is_cut() {
    let options = Options {
        width: usize::MAX,
        min_percent: 0.0,
        ..Options::default()
    };
    let text = table(&parser(), &options).unwrap();
    assert!(!text.contains('…'));
    assert!(text.contains(fixture::WRITE.name) && text.contains("src/write.rs:140"));
}

#[test]
fn hostile_names_cannot_steer_the_terminal() {
    let mut b = fixture::Builder::new(997);
    let bad = fixture::fun("evil\u{1b}[2Jname\n", "/a/b/c\u{7}.rs", 1);
    let location = b.location(&[&bad]);
    let stack = b.stack(&[location]);
    b.samples(stack, 9, hotproof_profile::StackEnd::Complete);
    let mut profile = b.finish(997);
    profile.meta.command = vec!["x\u{1b}]0;title\u{7}".into()];
    let text = fixture::strip(&table(&profile, &Options::default()).unwrap());
    assert!(
        !text.contains(|c: char| c.is_control() && c != '\n'),
        "{text:?}"
    );
}

#[test]
fn samples_without_a_weight_are_an_error() {
    let mut profile = parser();
    profile.weights.clear();
    let error = table(&profile, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("9968 samples"), "{error}");
}

#[test]
fn json_documents() {
    golden(
        "report.json",
        &json(&parser(), &Options::default()).unwrap(),
    );
    golden(
        "report-poor.json",
        &json(&poor(), &Options::default()).unwrap(),
    );
    golden(
        "report-empty.json",
        &json(&empty(), &Options::default()).unwrap(),
    );
}

fn record_screen(profile: &Profile) -> impl Fn(usize) -> String {
    move |width| {
        summary(&RecordFacts {
            profile,
            file: "profile.hotproof",
            file_bytes: 421_900,
            width,
        })
    }
}

#[test]
fn record_summaries() {
    golden_screens("record", record_screen(&parser()));
    golden_screens("record-poor", record_screen(&poor()));
    golden_screens("record-empty", record_screen(&empty()));
}

/// Page faults are no time: their own column is what shares refer to, no time is shown, nothing is
/// said of coverage, and no hot path is confirmed by them.
#[test]
fn an_event_that_is_no_time_is_not_shown_as_time() {
    let mut profile = parser();
    profile.meta.event = "page-faults".to_owned();
    profile.weights[0].unit = Unit::Count;
    profile.weights[0].name = "samples".to_owned();
    profile.weights.truncate(1);
    profile.samples.weights.truncate(1);
    profile.weights.push(Weight {
        name: "page-faults".to_owned(),
        unit: Unit::Count,
    });
    let faults: Vec<i64> = profile.samples.weights[0].iter().map(|_| 7).collect();
    profile.samples.weights.push(faults);
    let document = json(&profile, &Options::default()).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert!(
        document["functions"][0]["total"]["time_ns"].is_null(),
        "{document}"
    );
    assert!(document["quality"]["coverage_pct"].is_null(), "{document}");
    let refused = hotproof_report::confirm::answer(&[&profile], "number", 0.01).unwrap_err();
    assert!(refused.to_string().contains("page-faults"), "{refused}");
}

/// The legend explains the columns that are shown, and no other: those of amounts give way on a
/// narrow screen, and a profile whose weights are its samples has none.
#[test]
fn the_legend_explains_what_is_shown() {
    let mut samples = parser();
    samples.meta.cpu_time_ns = None;
    samples.meta.rate_hz = None;
    samples.weights.truncate(1);
    samples.samples.weights.truncate(1);
    samples.weights[0].unit = Unit::Count;
    samples.samples.weights[0].fill(1);
    let words = |line: &str| -> Vec<String> {
        let words = line.split([' ', ',', ';', ':']);
        words.map(str::to_owned).collect()
    };
    let styles = Regex::new("\x1b\\[[0-9;]*m").unwrap();
    let mut shown = Vec::new();
    for profile in [&parser(), &samples] {
        for width in (40..=120).step_by(4) {
            let text = screen(profile, &Options::default())(width);
            let text = styles.replace_all(&text, "");
            let (table, legend) = text.split_once("total: in the").unwrap();
            let head = table.lines().find(|line| line.contains("+lib")).unwrap();
            let (head, legend) = (words(head), words(&legend.replace('\n', " ")));
            let is_in = |words: &[String], word: &str| words.iter().any(|one| one == word);
            for word in ["time", "samples"] {
                assert_eq!(is_in(&head, word), is_in(&legend, word), "{word}: {text}");
                shown.push((word, is_in(&head, word)));
            }
        }
    }
    for both in [
        ("time", true),
        ("time", false),
        ("samples", true),
        ("samples", false),
    ] {
        assert!(shown.contains(&both), "{both:?} was never met");
    }
    let text = screen(&samples, &Options::default())(120);
    assert!(
        !text.contains("time:") && text.contains("; samples: of"),
        "{text}"
    );
}

/// Formats that add equal samples up have one row for many: what is counted are samples, not rows.
#[test]
fn rows_of_many_samples_count_as_many() {
    let text = b"main;often 300\nmain;rarely 100\n";
    let imported = hotproof_formats::import::read(text, Default::default()).unwrap();
    let document = json(&imported.profile, &Options::default()).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["samples"], 400);
    assert_eq!(document["functions"][0]["samples"], 400, "main");
    assert_eq!(document["sources"][0]["samples"], 400);
    let screen = table(&imported.profile, &Options::default()).unwrap();
    assert!(screen.contains("400 samples"), "{screen}");
}
