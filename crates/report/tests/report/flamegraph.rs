//! The flame graph: deterministic, escaped, with its units.

use crate::fixture::{Builder, empty, fun, parser};
use hotproof_profile::{Inline, Profile, StackEnd};
use hotproof_report::flamegraph::{FlamegraphError, Growth, Options, write};

fn svg(profile: &Profile, options: &Options) -> String {
    let mut bytes = Vec::new();
    write(profile, options, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The hover texts of all frames.
fn titles(svg: &str) -> Vec<&str> {
    svg.split("<title>")
        .skip(1)
        .filter_map(|rest| rest.split("</title>").next())
        .collect()
}

#[test]
fn equal_profiles_give_equal_bytes() {
    let options = Options::default();
    assert_eq!(svg(&parser(), &options), svg(&parser(), &options));
}

#[test]
fn the_picture_says_what_it_shows() {
    let text = svg(&parser(), &Options::default());
    assert!(text.contains("./bench data.json"));
    assert!(text.contains("9,968 samples of cpu-clock at 997 Hz, 10.01 s CPU, 0 lost"));
    // 2,400 of 9,968 samples, but in two places: 1,800 and 600.
    let number: Vec<&str> = titles(&text)
        .into_iter()
        .filter(|title| title.starts_with("bench::parse::number"))
        .collect();
    assert_eq!(
        number,
        [
            "bench::parse::number (601,805 us, 6.02%)",
            "bench::parse::number (1,805,416 us, 18.06%)"
        ]
    );
}

#[test]
fn without_inlining_the_physical_function_is_drawn() {
    let options = Options {
        inline: Inline::Physical,
        ..Options::default()
    };
    let text = svg(&parser(), &options);
    assert!(!text.contains("bench::parse::number"));
    assert!(text.contains("bench::parse::value"));
}

#[test]
fn from_the_leaf_a_function_stands_once() {
    let options = Options {
        growth: Growth::FromLeaf,
        ..Options::default()
    };
    let text = svg(&parser(), &options);
    let next = titles(&text)
        .into_iter()
        .find(|title| title.starts_with("&lt;core::ops::range::Range"))
        .unwrap();
    assert!(next.ends_with("18.06%)"), "{next}");
}

#[test]
fn names_cannot_break_the_picture() {
    let mut b = Builder::new(997);
    let names = [
        "<[u8; 4] as Hash>::hash",
        "a & b \"quoted\" 'single'",
        "]]>--><script>alert(1)</script>",
        "bell\u{7} and escape \u{1b}[2J",
        "# no comment",
        "worker 2",
        " lead and trail ",
    ];
    for name in names {
        let location = b.location(&[&fun(name, "/a/b/c/x.rs", 1)]);
        let stack = b.stack(&[location]);
        b.samples(stack, 100, StackEnd::Complete);
    }
    let text = svg(&b.finish(997), &Options::default());
    let body = text.split("</script>").last().unwrap();
    assert!(!body.contains("<script"));
    assert!(!text.contains(|c: char| c.is_control() && !c.is_whitespace()));
    let shown = titles(&text);
    for name in [
        "&lt;[u8; 4] as Hash&gt;::hash (",
        "# no comment (",
        "worker 2 (",
        " lead and trail  (",
    ] {
        assert!(
            shown.iter().any(|title| title.starts_with(name)),
            "{name}: {shown:?}"
        );
    }
    assert!(
        shown
            .iter()
            .filter(|title| title.contains("14.29%"))
            .count()
            >= names.len()
    );
}

#[test]
fn nothing_to_draw_is_an_error_and_writes_nothing() {
    let mut bytes = Vec::new();
    let error = write(&empty(), &Options::default(), &mut bytes).unwrap_err();
    assert!(matches!(error, FlamegraphError::Empty));
    assert!(bytes.is_empty());
}
