//! The page of a comparison: what is on it, and what never is.

use crate::fixture::{self, pairs};
use hotproof_diff::{Comparison, conclude};
use hotproof_report::compare::{Section, html};

fn page(comparison: &Comparison) -> String {
    let conclusion = conclude(comparison);
    html(&[Section {
        comparison,
        conclusion: &conclusion,
        record: Some(".hotproof/log.jsonl:17"),
        profiles: None,
    }])
}

/// Elements that need no end tag in HTML.
const VOID: [&str; 2] = ["meta", "!doctype"];

/// Every element that begins ends, in order; SVG's may end themselves.
fn assert_balanced(page: &str, name: &str) {
    let mut open: Vec<&str> = Vec::new();
    let (_, body) = page.split_once("</style>").unwrap();
    for tag in body.split('<').skip(1) {
        let (tag, _) = tag
            .split_once('>')
            .unwrap_or_else(|| panic!("{name}: {tag}"));
        let element = tag.trim_end_matches('/');
        let word = element.split([' ', '\n']).next().unwrap();
        if let Some(ended) = tag.strip_prefix('/') {
            let begun = open.pop();
            assert!(
                begun == Some(ended) || (begun.is_none() && ["head", "html"].contains(&ended)),
                "{name}: {begun:?} is ended by {ended}"
            );
        } else if !tag.ends_with('/') && !VOID.contains(&word) {
            open.push(word);
        }
    }
    assert!(open.is_empty(), "{name}: {open:?}");
}

#[test]
fn every_verdict_has_a_whole_page_with_its_words() {
    for (name, comparison) in pairs::all() {
        let page = page(&comparison);
        assert_balanced(&page, name);
        let verdict = conclude(&comparison).verdict.label();
        assert!(page.contains(&format!("<h1>{verdict}</h1>")), "{name}");
        // Instructions have tables of their own.
        let headings: &[&str] = match comparison.is_counted_alone() {
            true => &["End to End"],
            false => &[
                "End to End",
                "Per-Function Breakdown",
                "Share of Benchmark Time",
            ],
        };
        for heading in headings {
            let heading = format!("<h2>{heading}</h2>");
            assert_eq!(page.matches(&heading).count(), 1, "{name}: {heading}");
        }
    }
}

#[test]
fn each_pair_is_a_dot_and_the_parts_of_the_change_are_bars() {
    let comparison = pairs::keep();
    let page = page(&comparison);
    let marks = |class: &str| page.matches(&format!("class=\"{class}\" ")).count();
    assert_eq!(marks("pair"), comparison.pairs.len());
    assert_eq!(marks("placebo"), comparison.placebo.len());
    assert_eq!(marks("band"), 1);
    for part in [
        "the whole run",
        "changed functions",
        "what they call",
        "everything else",
    ] {
        assert!(page.contains(&format!(">{part}</text>")), "{part}");
    }
}

#[test]
fn what_was_not_measured_has_no_chart() {
    for (name, comparison) in [
        ("unsampled", pairs::unsampled()),
        ("nothing", pairs::nothing()),
    ] {
        let page = page(&comparison);
        assert!(!page.contains("Where the change sits"), "{name}");
    }
    assert!(!page(&pairs::nothing()).contains("<h2>Pairs</h2>"));
}

#[test]
fn a_hostile_name_is_never_markup() {
    let mut comparison = pairs::keep();
    let hostile = "<script>alert(1)</script>\"'&\u{1b}[31m";
    comparison.functions[0].name = hostile.to_owned();
    comparison.head.subject = hostile.to_owned();
    comparison.command.push(hostile.to_owned());
    let page = page(&comparison);
    assert_balanced(&page, "hostile");
    assert!(!page.contains("<script") && !page.contains('\u{1b}'));
    assert!(page.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn flame_graphs_are_documents_of_their_own_and_equal_input_gives_equal_bytes() {
    let comparison = pairs::keep();
    let conclusion = conclude(&comparison);
    let (base, head) = (fixture::parser(), fixture::parser());
    let section = Section {
        comparison: &comparison,
        conclusion: &conclusion,
        record: None,
        profiles: Some([&base, &head]),
    };
    let page = html(&[section, section]);
    assert_balanced(&page, "pictures");
    assert_eq!(page.matches("<iframe ").count(), 6);
    assert_eq!(page, html(&[section, section]));
    // A profile without samples has no picture, and the page says why.
    let empty = fixture::empty();
    let page = html(&[Section {
        profiles: Some([&base, &empty]),
        ..section
    }]);
    assert!(page.contains("nothing to draw"), "{page}");
}
