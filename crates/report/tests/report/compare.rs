//! The screens and documents of `compare`, held to files.

use crate::fixture::{self, golden, golden_screens, pairs};
use hotproof_diff::{Metric, ReportedTime, conclude};
use hotproof_report::compare::{Options, header, json, markdown, screen};

#[test]
fn screens() {
    for (name, comparison) in pairs::all() {
        let conclusion = conclude(&comparison);
        golden_screens(&format!("compare-{name}"), |width| {
            let options = Options {
                width,
                record: Some(".hotproof/log.jsonl:17"),
                ..Options::default()
            };
            screen(&comparison, &conclusion, &options)
        });
    }
}

#[test]
fn headers() {
    for (name, comparison) in [("keep", pairs::keep()), ("discard", pairs::discard())] {
        let conclusion = conclude(&comparison);
        golden_screens(&format!("compare-header-{name}"), |width| {
            header(&comparison, &conclusion, width)
        });
    }
}

#[test]
fn every_screen_has_the_three_tables_and_begins_with_the_verdict() {
    let timed = |(_, comparison): &(_, hotproof_diff::Comparison)| !comparison.is_counted_alone();
    for (name, comparison) in pairs::all().into_iter().filter(timed) {
        let conclusion = conclude(&comparison);
        let options = Options::default();
        let text = fixture::strip(&screen(&comparison, &conclusion, &options));
        let page = markdown(&comparison, &conclusion, &options);
        assert!(text.starts_with(conclusion.verdict.label()), "{name}");
        for heading in [
            "End to End",
            "Per-Function Breakdown",
            "Share of Benchmark Time",
        ] {
            assert_eq!(text.matches(heading).count(), 1, "{name}: {heading}");
            assert_eq!(page.matches(heading).count(), 1, "{name}: {heading}");
        }
    }
}

#[test]
fn time_under_a_function_is_called_that_in_the_table_and_below_it() {
    let mut comparison = pairs::keep();
    comparison.metric = Metric::Reported;
    comparison.metric_reason = Some("it was asked for as the scope".to_owned());
    comparison.setup.scope = Some("work".to_owned());
    let sides = comparison.pairs.iter_mut();
    for run in sides.flat_map(|pair| [&mut pair.base, &mut pair.head]) {
        run.metrics.reported = vec![ReportedTime {
            name: "work".to_owned(),
            time_ns: run.metrics.cpu_ns as f64 / 2.0,
        }];
    }
    let text = screen(&comparison, &conclude(&comparison), &Options::default());
    let text = fixture::strip(&text);
    for words in ["time under work ", "judged by CPU time under work"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("report"), "{text}");
}

/// Nothing was seen of the changed functions because their code names no place (an interpreter):
/// that is no ceiling of 0 %.
#[test]
fn a_ceiling_of_code_that_cannot_be_joined_is_unknown() {
    let ceiling = |change: fn(&mut hotproof_diff::Tally)| {
        let mut comparison = pairs::keep();
        let mut base = comparison.pairs[0].base.clone();
        change(base.tally.as_mut().unwrap());
        comparison.base_runs = vec![base];
        let options = Options {
            width: usize::MAX,
            ..Options::default()
        };
        let text = fixture::strip(&screen(&comparison, &conclude(&comparison), &options));
        let line = text.lines().find(|line| line.starts_with("Ceiling"));
        line.unwrap().to_owned()
    };
    let unseen = ceiling(|tally| {
        (tally.changed_own, tally.changed_below) = (0, 0);
        tally.unjoinable = tally.samples;
    });
    for words in ["unknown: 0.0 % was seen", "it may be up to 100.0 %"] {
        assert!(unseen.contains(words), "{words}: {unseen}");
    }
    let seen = ceiling(|_| {});
    assert!(
        seen.contains(" % to win in") && !seen.contains("unknown"),
        "{seen}"
    );
}

#[test]
fn what_explains_nothing_says_why() {
    let line = |comparison: &hotproof_diff::Comparison| {
        let options = Options {
            width: usize::MAX,
            ..Options::default()
        };
        let text = fixture::strip(&screen(comparison, &conclude(comparison), &options));
        let line = text.lines().find(|line| line.starts_with("Explained"));
        line.unwrap().to_owned()
    };
    let mut few = pairs::keep();
    few.pairs.truncate(3);
    assert!(line(&few).contains("3 pairs are too few"), "{}", line(&few));
    let mut memory = pairs::keep();
    memory.metric = Metric::PeakMemory;
    let words = "do not tell who holds memory";
    assert!(line(&memory).contains(words), "{}", line(&memory));
    let mut same = pairs::keep();
    same.code_changed = false;
    same.head.tree = same.base.tree.clone();
    assert!(
        line(&same).contains("the trees are the same"),
        "{}",
        line(&same)
    );
}

/// A diff that touches many functions that never run (tests, benches) must not bury the others.
#[test]
fn changed_functions_that_no_sample_saw_are_counted_not_listed() {
    let mut comparison = pairs::keep();
    let template = comparison.functions[0].clone();
    for index in 0..40 {
        comparison.functions.push(hotproof_diff::Function {
            name: format!("tests::case_{index}"),
            key: format!("src/tests.rs::case_{index}"),
            change: Some(hotproof_diff::Change::Added),
            ..template.clone()
        });
    }
    let text = screen(&comparison, &conclude(&comparison), &Options::default());
    assert!(text.matches("tests::case_").count() <= 5, "{text}");
    assert!(text.contains("changed, but in no sample:"), "{text}");
    assert!(text.contains("more"), "{text}");
}

/// GitHub refuses comments above 65,536 characters.
#[test]
fn a_comment_is_never_too_long_and_says_what_it_leaves_out() {
    let mut comparison = pairs::keep();
    let template = comparison.functions[0].clone();
    let entry = comparison.pairs[0].base.tally.clone().unwrap().functions[0];
    for index in 0..3_000 {
        let function = comparison.functions.len();
        comparison.functions.push(hotproof_diff::Function {
            name: format!("generated::case_{index}::<impl Fn(u8) | Option<u8>>"),
            key: format!("src/generated.rs::case_{index}"),
            ..template.clone()
        });
        for run in comparison
            .pairs
            .iter_mut()
            .flat_map(|pair| [&mut pair.base, &mut pair.head])
        {
            let tally = run.tally.as_mut().unwrap();
            tally
                .functions
                .push(hotproof_diff::FunctionTally { function, ..entry });
        }
    }
    comparison.pairs.truncate(11);
    let conclusion = conclude(&comparison);
    let page = markdown(&comparison, &conclusion, &Options::default());
    assert!(page.chars().count() < 65_536, "{}", page.chars().count());
    assert!(page.contains("more rows are too many for a comment"));
    assert!(page.contains(r"impl Fn(u8) \| Option"), "pipes are escaped");

    comparison.warnings = vec!["w".repeat(1_000); 100];
    let page = markdown(&comparison, &conclude(&comparison), &Options::default());
    assert!(page.chars().count() < 65_536, "{}", page.chars().count());
    assert!(page.contains("the rest is too long for a comment"));
}

#[test]
fn nothing_is_cut_without_a_limit() {
    let comparison = pairs::keep();
    let options = Options {
        width: usize::MAX,
        movers: usize::MAX,
        record: None,
    };
    let text = screen(&comparison, &conclude(&comparison), &options);
    assert!(!text.contains('…'));
    for function in &comparison.functions {
        assert!(text.contains(&function.name), "{}", function.name);
    }
}

#[test]
fn documents() {
    for (name, comparison) in pairs::all() {
        let conclusion = conclude(&comparison);
        let options = Options {
            record: Some(".hotproof/log.jsonl:17"),
            ..Options::default()
        };
        let page = markdown(&comparison, &conclusion, &options);
        golden(&format!("compare-{name}.md"), &page);
        golden(
            &format!("compare-{name}.json"),
            &json(&comparison, &conclusion),
        );
    }
}
