//! Folded stacks: the text of the example, sums, and names that come back.

use hotproof_formats::WriteError;
use hotproof_formats::folded::{self, Options, escape, unescape};
use hotproof_formats::import::Limits;
use hotproof_profile::*;
use proptest::prelude::*;

use crate::golden::assert_golden;
use crate::{arbitrary, example};

fn text_of(profile: &Profile, options: &Options) -> String {
    let mut bytes = Vec::new();
    folded::write(profile, options, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_example_reads_as_it_did() {
    let text = text_of(&example::profile(), &Options::default());
    assert_eq!(text_of(&example::profile(), &Options::default()), text);
    assert_golden("example.folded", &text);
}

#[test]
fn physical_frames_and_another_weight_can_be_asked_for() {
    let options = Options {
        inline: Inline::Physical,
        weight: 1,
    };
    assert_golden(
        "example.physical.folded",
        &text_of(&example::profile(), &options),
    );
}

#[test]
fn a_weight_that_does_not_exist_is_an_error_that_names_those_that_do() {
    let options = Options {
        weight: 2,
        ..Options::default()
    };
    let error = folded::write(&example::profile(), &options, Vec::new()).unwrap_err();
    assert!(
        matches!(&error, WriteError::NoWeight { column: 2, columns } if columns == "samples, cpu")
    );
    assert!(folded::lines(&example::profile(), &options).is_empty());
}

#[test]
fn each_rule_of_escaping_shows_in_one_name() {
    for (name, text) in [
        ("plain::name<T, U>", "plain::name<T, U>"),
        ("[u8; 4]", r"[u8\: 4]"),
        ("a\nb\rc", r"a\nb\rc"),
        (r"a\b", r"a\\b"),
        ("worker 2", r"worker\_2"),
        ("v 1.5", r"v\_1.5"),
        (" a ", r"\_a\_"),
        (" ", r"\_"),
        ("", r"\e"),
        ("2 workers", "2 workers"),
        ("a 1 b", "a 1 b"),
    ] {
        assert_eq!(escape(name), text);
        assert_eq!(unescape(text), name);
    }
    assert_eq!(
        unescape(r"C:\dir\"),
        r"C:\dir\",
        "other tools' backslashes stay"
    );
}

/// Some tools write a tab in front of the weights; within a name it is a part of the name, and never
/// stands there as itself in what we write.
#[test]
fn a_tab_before_the_weights_is_read() {
    let lines_of = |text: &str| {
        let imported = hotproof_formats::import::read(text.as_bytes(), Limits::default());
        let profile = imported.unwrap().profile;
        let weights: Vec<i64> = (0..profile.weights.len())
            .map(|column| profile.total_weight(column))
            .collect();
        (folded::lines(&profile, &Options::default()), weights)
    };
    let (lines, _) = lines_of("a;b\t3\na;b c\t4\na\td 5\n");
    let expected = [("a;b", 3), ("a;b c", 4), (r"a\u{9}d", 5)];
    assert_eq!(
        lines,
        expected.map(|(text, weight)| (text.to_owned(), weight))
    );
    assert_eq!(lines_of("a;b\t3\t4\na;c\t5 6\n").1, [8, 10]);
}

/// What every reader of folded stacks does: split at the last space, then at each semicolon.
fn parse(line: &str) -> (Vec<String>, i64) {
    let (stack, weight) = line.rsplit_once(' ').unwrap();
    (
        stack.split(';').map(unescape).collect(),
        weight.parse().unwrap(),
    )
}

#[test]
fn a_reader_that_knows_the_rule_gets_the_names_back() {
    let profile = example::profile();
    let text = text_of(&profile, &Options::default());
    let lines: Vec<_> = text.lines().map(parse).collect();
    let sum: i64 = lines.iter().map(|line| line.1).sum();
    assert_eq!(sum, profile.total_weight(0));
    let roots: Vec<&str> = lines.iter().map(|line| line.0[0].as_str()).collect();
    assert!(
        roots.contains(&"sh;\n\\") && roots.contains(&"worker 2"),
        "{roots:?}"
    );
    let names = lines.iter().flat_map(|line| &line.0);
    assert!(
        names
            .clone()
            .any(|name| name == "<[u8; 4] as bench::Sum>::sum")
    );
    assert!(names.clone().any(|name| name == folded::TRUNCATED));
    assert!(names.clone().any(|name| name == folded::FAILED));
}

#[test]
fn stacks_are_marked_as_unknown_only_beside_known_ones() {
    let mut profile = example::profile();
    profile.samples.end.fill(StackEnd::Unknown);
    assert!(!text_of(&profile, &Options::default()).contains(folded::UNKNOWN_END));
    profile.samples.end[0] = StackEnd::Complete;
    assert!(text_of(&profile, &Options::default()).contains(folded::UNKNOWN_END));
}

proptest! {
    #[test]
    fn every_name_comes_back_and_harms_no_line(name in any::<String>()) {
        let text = escape(&name);
        prop_assert_eq!(unescape(&text), name);
        let harmful = |c: char| matches!(c, ';' | '\n' | '\r');
        prop_assert!(!text.is_empty() && !text.contains(harmful), "{:?}", text);
        let last_word = text.rsplit_once(' ').map(|split| split.1);
        prop_assert!(last_word.is_none_or(|word| word.parse::<f64>().is_err() || word.contains(|c: char| !c.is_ascii_digit() && c != '.')));
    }

    #[test]
    fn names_of_awkward_characters_come_back(name in r"[ ;\\\n\r_e:nr.0-9]{0,8}") {
        let text = escape(&name);
        prop_assert_eq!(unescape(&text), name);
        prop_assert_eq!(text.trim(), &text);
    }

    #[test]
    fn lines_are_sorted_unique_and_lose_no_weight(profile in arbitrary::profile()) {
        let lines = folded::lines(&profile, &Options::default());
        prop_assert!(lines.is_sorted_by(|a, b| a.0 < b.0));
        prop_assert_eq!(&folded::lines(&profile, &Options::default()), &lines);
        let sum: i64 = lines.iter().map(|line| line.1).sum();
        prop_assert_eq!(sum, profile.total_weight(0));
    }

    /// However they are found, lines are what the format's page says: root, mark, names, sum.
    #[test]
    fn lines_are_what_their_definition_says(
        profile in arbitrary::profile(),
        physical in any::<bool>(),
    ) {
        let inline = if physical { Inline::Physical } else { Inline::Expand };
        let options = Options { inline, weight: 0 };
        prop_assert_eq!(folded::lines(&profile, &options), defined_lines(&profile, inline));
    }

    /// Names that begin with each other part the text order of lines from that of their names.
    #[test]
    fn lines_of_similar_names_are_sorted_by_their_bytes(
        stacks in prop::collection::vec(prop::collection::vec("a?a?[ #;x]?b?", 1..4), 1..20),
    ) {
        let text: Vec<String> = stacks
            .iter()
            .map(|stack| {
                let names: Vec<String> = stack.iter().map(|name| escape(name)).collect();
                format!("{} 1\n", names.join(";"))
            })
            .collect();
        let imported = hotproof_formats::import::read(text.concat().as_bytes(), Limits::default());
        let profile = imported.unwrap().profile;
        let inline = Inline::Expand;
        let lines = folded::lines(&profile, &Options::default());
        prop_assert_eq!(&lines, &defined_lines(&profile, inline));
        prop_assert!(lines.is_sorted_by(|a, b| a.0 < b.0));
    }
}

/// The lines by the plain words of the format's page, slowly.
fn defined_lines(profile: &Profile, inline: Inline) -> Vec<(String, i64)> {
    let says_whole = profile
        .samples
        .end
        .iter()
        .any(|&end| end != StackEnd::Unknown);
    let mut lines = std::collections::BTreeMap::<String, i64>::new();
    for (row, weight) in profile
        .samples
        .weights
        .first()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let path = profile.path(profile.samples.stack[row]);
        let mut names: Vec<String> = path
            .flat_map(|location| profile.code_at(location, inline))
            .map(|code| escape(&profile.code_name(code)))
            .collect();
        if names.is_empty() {
            names.push("[unknown]".to_owned());
        }
        let thread = &profile.threads[profile.samples.thread[row]];
        let process = &profile.processes[thread.process];
        let texts = [
            &profile.strings[thread.name],
            &profile.strings[process.name],
        ];
        if thread.tid != 0 || process.pid != 0 || texts != ["", ""] {
            names.push(escape(texts[0]));
        }
        names.reverse();
        match profile.samples.end[row] {
            StackEnd::Complete => {}
            StackEnd::Truncated => names.insert(1, folded::TRUNCATED.to_owned()),
            StackEnd::Failed => names.insert(1, folded::FAILED.to_owned()),
            StackEnd::Unknown if says_whole => names.insert(1, folded::UNKNOWN_END.to_owned()),
            StackEnd::Unknown => {}
            StackEnd::Stitched => names.insert(1, folded::STITCHED.to_owned()),
        }
        *lines.entry(names.join(";")).or_default() += weight;
    }
    lines.into_iter().collect()
}
