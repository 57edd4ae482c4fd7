//! The result log: one JSON line for each comparison, from which its verdict can be derived again,
//! bit for bit.
//!
//! The line holds everything that was measured, mirrored by the structs of this module, so that
//! the values of `hotproof-diff` can change without old logs becoming unreadable in silence.

mod wire;

use hotproof_diff::{Comparison, Conclusion};
use serde::{Deserialize, Serialize};

use wire::Wire;

/// The name of the lines' schema.
const NAME: &str = "hotproof.log";
/// The version that is written. Version 1 has no functions that changed by what they use or by
/// the version of their crate; versions 1 and 2 have no layouts and no
/// first runs of base; in versions 1 to 3 functions share time on the CPU, whatever decides. Their
/// lines are read as they are.
const VERSION: u32 = 4;
/// The oldest version that is read.
const OLDEST: u32 = 1;

/// Why a line is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It is not JSON, or was cut.
    #[error("not a line of a hotproof log: {0}")]
    NotJson(serde_json::Error),
    /// It is JSON of something else.
    #[error(
        "the line holds {found}, expected {NAME}; only lines of .hotproof/log.jsonl can be read"
    )]
    OtherSchema {
        /// What it says it is.
        found: String,
    },
    /// Another hotproof wrote it.
    #[error(
        "the line has version {found} of {NAME}, this hotproof reads versions {OLDEST} to {VERSION}; use the hotproof that wrote it"
    )]
    OtherVersion {
        /// The version of the line.
        found: u32,
    },
    /// The line names its schema and yet does not have its shape.
    #[error("the line is not what {NAME} version {VERSION} should be: {0}")]
    Shape(serde_json::Error),
    /// Samples are counted for a function that the line does not list.
    #[error(
        "the line counts samples of function {row}, but lists only {functions}; it was edited or damaged"
    )]
    NoSuchFunction {
        /// The function's row.
        row: usize,
        /// How many functions there are.
        functions: usize,
    },
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Everything that was measured.
    pub comparison: Comparison,
    /// The stable name of the verdict that was given then.
    pub verdict: String,
    /// The sentence that was given then.
    pub reason: String,
}

#[derive(Serialize, Deserialize)]
struct SchemaMember {
    name: String,
    version: u32,
}

/// The member that every line of every version has.
#[derive(Deserialize)]
struct Envelope {
    schema: SchemaMember,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    schema: SchemaMember,
    verdict: String,
    exit_code: u8,
    reason: String,
    comparison: wire::Comparison,
}

/// The comparison as one line without its newline; [`parse`] gives back an equal value.
pub fn line(comparison: &Comparison, conclusion: &Conclusion) -> String {
    let line = Line {
        schema: SchemaMember {
            name: NAME.to_owned(),
            version: VERSION,
        },
        verdict: conclusion.verdict.id().to_owned(),
        exit_code: conclusion.exit_code(),
        reason: conclusion.reason.clone(),
        comparison: wire::Comparison::of(comparison),
    };
    serde_json::to_string(&line).expect("a tree of structs with text keys always becomes JSON")
}

/// The comparison that [`line()`] wrote.
///
/// # Errors
/// When the text is not such a line; see [`LogError`].
pub fn parse(text: &str) -> Result<Comparison, LogError> {
    read(text).map(|entry| entry.comparison)
}

/// As [`parse`], with the verdict that was given when the line was written.
///
/// # Errors
/// When the text is not such a line; see [`LogError`].
pub fn read(text: &str) -> Result<Entry, LogError> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(LogError::NotJson)?;
    let envelope: Envelope = serde_json::from_value(value).map_err(|_| LogError::OtherSchema {
        found: "JSON without a schema".to_owned(),
    })?;
    if envelope.schema.name != NAME {
        return Err(LogError::OtherSchema {
            found: envelope.schema.name,
        });
    }
    if !(OLDEST..=VERSION).contains(&envelope.schema.version) {
        return Err(LogError::OtherVersion {
            found: envelope.schema.version,
        });
    }
    let line: Line = serde_json::from_str(text).map_err(LogError::Shape)?;
    let comparison = line.comparison.value();
    check(&comparison)?;
    Ok(Entry {
        comparison,
        verdict: line.verdict,
        reason: line.reason,
    })
}

/// Rows that samples refer to have to exist.
fn check(comparison: &Comparison) -> Result<(), LogError> {
    let functions = comparison.functions.len();
    let pairs = comparison.placebo.iter().chain(&comparison.pairs);
    let tallies = pairs
        .flat_map(|pair| [&pair.base, &pair.head])
        .chain(&comparison.base_runs)
        .filter_map(|run| run.tally.as_ref());
    let witness = comparison.witness.iter();
    let counts = witness.flat_map(|witness| [&witness.base, &witness.head]);
    let counted = counts.flat_map(|count| {
        let rows = count.functions.iter().map(|entry| entry.function);
        rows.chain(count.lines.iter().map(|line| line.function))
    });
    let mut rows = tallies
        .flat_map(|tally| tally.functions.iter().map(|entry| entry.function))
        .chain(counted);
    match rows.find(|&row| row >= functions) {
        Some(row) => Err(LogError::NoSuchFunction { row, functions }),
        None => Ok(()),
    }
}
