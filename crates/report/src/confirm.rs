//! `hotproof confirm`: is this function on the hot path?
//!
//! A pattern is matched against the functions of one or more profiles ([`find`]); the one that it
//! means is judged ([`answer`]): its share of CPU time with an interval against a floor. Too few
//! samples leave it undecided, they never make a "no".

mod answer;
mod interval;
mod json;
mod matching;
mod near;
mod screen;
mod shape;
mod spelling;

use hotproof_diff::ExitCode;

pub use answer::{Confirmation, Decision, answer};
pub use json::json;
pub use matching::{Candidate, Match, Target, find};
pub use screen::screen;

/// The share of CPU time above which a function is on the hot path, a fraction.
pub const FLOOR: f64 = 0.01;

/// What is said of one pattern.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It means one function, and this is what was found of it.
    Confirmed(Box<Confirmation>),
    /// No sample has such a function.
    NotFound {
        /// What was asked for.
        pattern: String,
        /// Names that are most like it, best first; may be empty.
        nearest: Vec<String>,
        /// How many samples there are.
        samples: u64,
        /// Where it is hidden, perhaps: in a script, whose interpreter names none of its functions.
        hidden: Option<String>,
    },
    /// It means several functions.
    Ambiguous {
        /// What was asked for.
        pattern: String,
        /// All that it means, ordered by total weight.
        candidates: Vec<Candidate>,
    },
}

impl Answer {
    /// How a process that gives this answer alone ends: a name that is not there is undecided,
    /// because a function that never ran for long is not seen; one that means several is a usage
    /// error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Answer::Confirmed(confirmation) => match confirmation.decision {
                Decision::Yes => ExitCode::Keep,
                Decision::No => ExitCode::NotOnHotPath,
                Decision::Undecided => ExitCode::Inconclusive,
            },
            Answer::NotFound { .. } => ExitCode::Inconclusive,
            Answer::Ambiguous { .. } => ExitCode::Usage,
        }
    }
}

/// How a process ends that gives several answers: a usage error first, then "no", then
/// undecided; "yes" only when all are.
pub fn exit_code(answers: &[Answer]) -> ExitCode {
    let codes: Vec<ExitCode> = answers.iter().map(Answer::exit_code).collect();
    [
        ExitCode::Usage,
        ExitCode::NotOnHotPath,
        ExitCode::Inconclusive,
    ]
    .into_iter()
    .find(|code| codes.contains(code))
    .unwrap_or(ExitCode::Keep)
}

/// Why nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    /// No profile at all.
    #[error("no profile to look at; give --profile FILE or -- CMD")]
    NoProfile,
    /// Weights below zero are no shares of time.
    #[error(
        "a profile has weights below zero: it is a difference of two, or it knows calls but no stacks (callgrind); neither says which share of time a function takes, so give a profile of samples"
    )]
    Negative,
    /// Samples of an event that is no time do not say which share of time a function takes.
    #[error(
        "a profile has samples of {event}, which say nothing of CPU time; record it without -e, or look at `hotproof report`"
    )]
    NoTime {
        /// What was sampled.
        event: String,
    },
    /// Samples without a weight say nothing.
    #[error(
        "a profile has {samples} samples but no weight column, so no share can be computed; record it again"
    )]
    NoWeight {
        /// How many samples it has.
        samples: usize,
    },
}
