//! Widths that no terminal has must not break anything.

use crate::fixture::{empty, pairs, parser, poor};
use hotproof_diff::conclude;
use hotproof_report::{compare, confirm, functions, record};

#[test]
fn no_width_panics() {
    for width in (0..45).chain([usize::MAX]) {
        for profile in [parser(), poor(), empty()] {
            let options = functions::Options {
                width,
                ..functions::Options::default()
            };
            assert!(
                functions::table(&profile, &options)
                    .unwrap()
                    .ends_with('\n')
            );
            let facts = record::RecordFacts {
                profile: &profile,
                file: "a rather long name of a file.hotproof",
                file_bytes: 0,
                width,
            };
            assert!(record::summary(&facts).ends_with('\n'));
            for pattern in ["parse::number", "number", "nubmer"] {
                let answer = confirm::answer(&[&profile], pattern, confirm::FLOOR).unwrap();
                assert!(confirm::screen(&answer, width).ends_with('\n'));
            }
        }
    }
}

#[test]
fn no_width_panics_for_comparisons() {
    for (_, comparison) in pairs::all() {
        let conclusion = conclude(&comparison);
        for width in (0..45).chain([usize::MAX]) {
            let options = compare::Options {
                width,
                ..compare::Options::default()
            };
            assert!(compare::screen(&comparison, &conclusion, &options).ends_with('\n'));
            assert!(compare::header(&comparison, &conclusion, width).ends_with('\n'));
        }
    }
}
