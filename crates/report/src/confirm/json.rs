//! The answers for agents: schema `hotproof.confirm`, version 1.

use serde::Serialize;

use super::answer::{Confirmation, Decision};
use super::{Answer, exit_code};
use crate::schema::{Schema, pretty};

#[derive(Serialize)]
struct Document<'a> {
    schema: Schema,
    exit_code: u8,
    answers: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    pattern: &'a str,
    answer: &'static str,
    function: Option<Function<'a>>,
    nearest: &'a [String],
    candidates: Vec<CandidateRow<'a>>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    place: &'a str,
    floor_pct: f64,
    total: Share,
    self_pct: f64,
    self_with_library_pct: f64,
    samples_with_function: u64,
    samples: u64,
    runs: u64,
    samples_needed: Option<u64>,
    inlined_into: Vec<Part<'a>>,
    heaviest_path: &'a [String],
    heaviest_path_pct: f64,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Share {
    pct: Option<f64>,
    ci_low_pct: f64,
    ci_high_pct: f64,
    level: f64,
    method: &'static str,
}

#[derive(Serialize)]
struct Part<'a> {
    name: &'a str,
    pct: f64,
}

#[derive(Serialize)]
struct CandidateRow<'a> {
    name: &'a str,
    place: &'a str,
    pattern: &'a str,
    samples: u64,
}

/// The answers as JSON, in their order. `answer` is `yes`, `no`, `undecided`, `not_found` or
/// `ambiguous`. Ends with a newline.
pub fn json(answers: &[Answer]) -> String {
    pretty(&Document {
        schema: Schema::new("hotproof.confirm"),
        exit_code: exit_code(answers).code(),
        answers: answers.iter().map(row).collect(),
    })
}

fn row(answer: &Answer) -> Row<'_> {
    let empty = |pattern, answer| Row {
        pattern,
        answer,
        function: None,
        nearest: &[],
        candidates: Vec::new(),
    };
    match answer {
        Answer::Confirmed(confirmation) => Row {
            function: Some(function(confirmation)),
            ..empty(
                &confirmation.pattern,
                match confirmation.decision {
                    Decision::Yes => "yes",
                    Decision::No => "no",
                    Decision::Undecided => "undecided",
                },
            )
        },
        Answer::NotFound {
            pattern, nearest, ..
        } => Row {
            nearest,
            ..empty(pattern, "not_found")
        },
        Answer::Ambiguous {
            pattern,
            candidates,
        } => Row {
            candidates: candidates
                .iter()
                .map(|candidate| CandidateRow {
                    name: &candidate.name,
                    place: &candidate.place,
                    pattern: &candidate.pattern,
                    samples: candidate.samples,
                })
                .collect(),
            ..empty(pattern, "ambiguous")
        },
    }
}

fn function(c: &Confirmation) -> Function<'_> {
    Function {
        name: &c.name,
        place: &c.place,
        floor_pct: c.floor * 100.0,
        total: Share {
            pct: c.total.value.is_finite().then_some(c.total.value * 100.0),
            ci_low_pct: c.total.low * 100.0,
            ci_high_pct: c.total.high * 100.0,
            level: c.total.level,
            method: c.total.method,
        },
        self_pct: c.self_share * 100.0,
        self_with_library_pct: c.own_share * 100.0,
        samples_with_function: c.hits,
        samples: c.samples,
        runs: c.runs as u64,
        samples_needed: c.samples_needed,
        inlined_into: c
            .inlined_into
            .iter()
            .map(|(name, share)| Part {
                name,
                pct: share * 100.0,
            })
            .collect(),
        heaviest_path: &c.heaviest_path,
        heaviest_path_pct: c.heaviest_path_share * 100.0,
        warnings: &c.warnings,
    }
}
