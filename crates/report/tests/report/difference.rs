//! The screens, stacks and pictures of `diff`, and the trees and lines of `report`.

use crate::fixture::{
    self, Builder, MAIN, MEMMOVE, NUMBER, RANGE_NEXT, VALUE, WRITE, fun, golden_screens,
};
use hotproof_profile::{Profile, StackEnd, Unit};
use hotproof_report::difference::*;
use hotproof_report::{lines, tree};

/// `value` reads numbers; `write` moves memory.
fn base() -> Profile {
    let mut b = Builder::new(997);
    let main = b.location(&[&MAIN]);
    let value = b.location(&[&VALUE]);
    let number = b.location(&[&RANGE_NEXT, &NUMBER]);
    let write = b.location(&[&WRITE]);
    let memmove = b.location(&[&MEMMOVE]);
    for (path, count) in [
        (&[main, value, number][..], 600),
        (&[main, value], 100),
        (&[main, write], 200),
        (&[main, write, memmove], 100),
    ] {
        let stack = b.stack(path);
        b.samples(stack, count, StackEnd::Complete);
    }
    b.finish(997)
}

/// The same in another folder: `number` is faster, `write` moves no memory, `check` is new.
fn head() -> Profile {
    let main = fun("bench::main", "/home/u/fast/src/main.rs", 12);
    let value = fun("bench::parse::value", "/home/u/fast/src/parse.rs", 20);
    let number = fun("bench::parse::number", "/home/u/fast/src/parse.rs", 36);
    let write = fun(WRITE.name, "/home/u/fast/src/write.rs", 140);
    let check = fun("bench::check\u{1b}[31m&", "/home/u/fast/src/check.rs", 3);
    let mut b = Builder::new(997);
    let [main, value, number, write, check] =
        [&main, &value, &number, &write, &check].map(|function| b.location(&[function]));
    for (path, count) in [
        (&[main, value, number][..], 300),
        (&[main, value, check], 50),
        (&[main, value], 100),
        (&[main, write], 200),
    ] {
        let stack = b.stack(path);
        b.samples(stack, count, StackEnd::Complete);
    }
    b.finish(997)
}

fn samples_only(mut profile: Profile) -> Profile {
    profile.weights.truncate(1);
    profile.samples.weights.truncate(1);
    profile
}

fn row<'a>(difference: &'a Difference, name: &str) -> &'a Row {
    let found = difference.rows.iter().find(|row| row.name.ends_with(name));
    found.unwrap_or_else(|| panic!("{name} in {difference:#?}"))
}

#[test]
fn functions_join_across_folders_and_add_up() {
    let (base, head) = (samples_only(base()), samples_only(head()));
    let value = difference(&base, &head, Normalize::Run).unwrap();
    assert_eq!(value.unit, Unit::Count);
    assert_eq!((value.whole.base, value.whole.head), (1000.0, 650.0));
    let number = row(&value, "parse::number");
    assert_eq!(number.presence, Presence::Both);
    assert_eq!((number.total.base, number.total.head), (600.0, 300.0));
    assert_eq!(
        (number.self_weight.base, number.self_weight.head),
        (0.0, 300.0)
    );
    assert_eq!(
        row(&value, "memmove_avx_unaligned_erms").presence,
        Presence::Removed
    );
    assert_eq!(row(&value, "m&").presence, Presence::Added);
    let sum = |of: &dyn Fn(&Row) -> f64| value.rows.iter().map(of).sum::<f64>();
    assert_eq!(sum(&|row| row.self_weight.base), 1000.0);
    assert_eq!(sum(&|row| row.self_weight.head), 650.0);
}

#[test]
fn a_profile_does_not_differ_from_itself() {
    let value = difference(&base(), &base(), Normalize::Run).unwrap();
    assert!(value.rows.iter().all(|row| row.self_change() == 0.0));
    assert!(value.rows.iter().all(|row| row.presence == Presence::Both));
}

#[test]
fn figures_are_brought_to_one_measure() {
    let (base, head) = (samples_only(base()), samples_only(head()));
    let value = difference(&base, &head, Normalize::Total).unwrap();
    assert!((value.whole.change()).abs() < 1e-9);
    let mut twice = base.clone();
    twice.meta.duration_ns *= 2;
    let value = difference(&base, &twice, Normalize::Second).unwrap();
    assert!((value.whole.base / value.whole.head - 2.0).abs() < 1e-9);
    twice.meta.duration_ns = 0;
    let error = difference(&base, &twice, Normalize::Second).unwrap_err();
    assert_eq!(error, DiffError::NoDuration { side: "head" });
}

#[test]
fn unlike_profiles_are_refused_with_both_sides() {
    let mut other = base();
    other.meta.event = "cycles".into();
    let error = difference(&base(), &other, Normalize::Run).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("`cpu-clock` in base and `cycles` in head"),
        "{text}"
    );
    // One that does not say is compared with a warning: folded stacks never say.
    other.meta.event = String::new();
    let sides = [&base(), &other];
    let value = difference(sides[0], sides[1], Normalize::Run).unwrap();
    let warning = "head does not say what was sampled, base is of cpu-clock";
    let options = Options {
        width: usize::MAX,
        ..Options::default()
    };
    assert!(fixture::strip(&table(sides, &value, &options)).contains(warning));
    assert!(json(sides, &value, &options).contains(warning));
    let [mut here, mut elsewhere] = [base(), base()];
    here.meta.host.cpu_model = "one CPU".into();
    elsewhere.meta.host.cpu_model = "another CPU".into();
    let sides = [&here, &elsewhere];
    let value = difference(sides[0], sides[1], Normalize::Run).unwrap();
    let warning = "base and head were recorded on unlike machines (CPU: one CPU and another CPU)";
    let told = fixture::strip(&table(sides, &value, &options));
    assert!(told.contains(warning), "{told}");
    let mut fast = samples_only(base());
    fast.meta.rate_hz = Some(4999);
    let error = difference(&samples_only(base()), &fast, Normalize::Run).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("997 Hz in base and 4999 Hz in head")
    );
    assert!(difference(&samples_only(base()), &fast, Normalize::Total).is_ok());
    let empty = difference(&base(), &fixture::empty(), Normalize::Run).unwrap_err();
    assert_eq!(empty, DiffError::Empty { side: "head" });
}

#[test]
fn diff_screens() {
    let profiles = [&base(), &head()];
    for (name, normalize) in [
        ("diff", Normalize::Run),
        ("diff-total", Normalize::Total),
        ("diff-second", Normalize::Second),
    ] {
        let value = difference(profiles[0], profiles[1], normalize).unwrap();
        golden_screens(name, |width| {
            let options = Options {
                width,
                ..Options::default()
            };
            table(profiles, &value, &options)
        });
    }
}

#[test]
fn folded_stacks_have_three_columns() {
    let mut out = Vec::new();
    let (base, head) = (samples_only(base()), samples_only(head()));
    let stacks = Stacks::of([&base, &head], Normalize::Run).unwrap();
    stacks.folded(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains("bench::main;bench::parse::value 100 100\n"),
        "{text}"
    );
    assert!(
        text.contains("bench::parse::value;bench::parse::number 0 300\n"),
        "{text}"
    );
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, text.lines().collect::<Vec<_>>());
}

#[test]
fn the_picture_shows_what_is_gone_and_where_the_change_is() {
    let draw = || {
        let mut out = Vec::new();
        let stacks = Stacks::of([&base(), &head()], Normalize::Run).unwrap();
        stacks.picture(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let svg = draw();
    assert_eq!(svg, draw(), "equal profiles give equal bytes");
    if let Some(path) = std::env::var_os("KEEP_PICTURE") {
        std::fs::write(path, &svg).unwrap();
    }
    let frame = |name: &str, occurrence: usize| {
        let start = format!("<title>{name} (");
        let at = svg.match_indices(&start).nth(occurrence);
        let (at, _) = at.unwrap_or_else(|| panic!("no {name} in {svg}"));
        svg[at..].split("/>").next().unwrap().to_owned()
    };
    assert!(
        frame("bench::parse::number", 0).contains("fill=\"rgb(255,"),
        "more is red"
    );
    assert!(svg.contains("<title>[only in base] ("));
    assert!(
        svg.contains("; +22.22%)"),
        "changes are shares of what is drawn"
    );
    let gone = frame("__memmove_avx_unaligned_erms", 0);
    assert!(
        gone.contains(",255)\"") && gone.contains("-"),
        "less is blue: {gone}"
    );
    assert!(
        !svg.contains('\u{1b}') && svg.contains("31m&amp;"),
        "names are escaped"
    );
}

#[test]
fn tree_screens() {
    let profile = fixture::parser();
    let at = |width| tree::Options {
        width,
        ..tree::Options::default()
    };
    golden_screens("tree", |width| tree::tree(&profile, &at(width)).unwrap());
    golden_screens("tree-callers", |width| {
        tree::callers(&profile, "parse::number", &at(width)).unwrap()
    });
    golden_screens("tree-callees", |width| {
        tree::callees(&profile, "parse::document", &at(width)).unwrap()
    });
    let source = |path: &str| {
        let text: String = (1..60)
            .map(|line| format!("\tline {line} of it\u{1b}[2J\n"))
            .collect();
        path.ends_with("parse.rs")
            .then_some(source_text(text, None))
    };
    golden_screens("lines", |width| {
        lines::lines(&profile, "parse::number", &at(width), &source).unwrap()
    });
    golden_screens("lines-unread", |width| {
        lines::lines(&profile, "parse::number", &at(width), &|_| None).unwrap()
    });
}

fn source_text(text: String, written_unix_ns: Option<u64>) -> lines::SourceText {
    lines::SourceText {
        text,
        written_unix_ns,
    }
}

/// Lines of another text than was recorded were shown as those that were hot.
#[test]
fn a_source_that_has_changed_since_is_named() {
    let mut profile = fixture::parser();
    profile.meta.started_unix_ns = Some(1_000);
    profile.meta.duration_ns = 500;
    let options = tree::Options {
        width: usize::MAX,
        ..tree::Options::default()
    };
    let shown = |lines_now: usize, written: Option<u64>| {
        let source = |_: &str| Some(source_text("x\n".repeat(lines_now), written));
        lines::lines(&profile, "parse::number", &options, &source).unwrap()
    };
    let (short, new) = ("has fewer lines now", "was written after the recording");
    let as_it_was = shown(1000, Some(1_500));
    assert!(
        !as_it_was.contains(short) && !as_it_was.contains(new),
        "{as_it_was}"
    );
    assert!(shown(1000, Some(1_501)).contains(new));
    let cut = shown(2, Some(1_501));
    assert!(cut.contains(short) && !cut.contains(new), "{cut}");
}

#[test]
fn depth_and_share_leave_out_calls_and_say_so() {
    let profile = fixture::parser();
    let options = tree::Options {
        depth: Some(3),
        width: usize::MAX,
        ..tree::Options::default()
    };
    let text = fixture::strip(&tree::tree(&profile, &options).unwrap());
    assert!(
        text.contains("bench::main") && !text.contains("parse::document"),
        "{text}"
    );
    assert!(text.contains("left out"));
}

#[test]
fn a_function_that_is_not_there_or_not_one_is_refused() {
    let profile = fixture::parser();
    let options = tree::Options::default();
    let error = |pattern| {
        tree::callers(&profile, pattern, &options)
            .unwrap_err()
            .to_string()
    };
    assert!(error("nonesuch").contains("no function `nonesuch` was seen"));
    let several = error("number");
    assert!(
        several.contains("parse") && several.contains("lex"),
        "{several}"
    );
    let empty = tree::tree(&fixture::empty(), &options).unwrap_err();
    assert_eq!(empty, tree::TreeError::Empty);
}
