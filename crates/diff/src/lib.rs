//! From paired runs to a verdict: changed functions, statistics, attribution and policy, all pure
//! functions of values.
//!
//! It starts no process, runs no git, reads no file and no clock, and draws no lots: a
//! [`Comparison`] holds all that was measured, and the same one gives the same [`Conclusion`],
//! bit for bit, whether it was measured now or read back from a log.
//!
//! The way of the data: a diff and the sources of both refs give changed functions
//! ([`changes`]), and symbolized profiles give samples by function. Pairs of runs give one value
//! each, x = ln(head / base), to the sequential test ([`Sequence`], [`next_step`]), which says
//! when to stop and what the outcome is. [`conclude`] adds the end-to-end estimates, a row for
//! each function, and whether the changed functions explain the change; outcome and attribution
//! then meet in one table, which gives the [`Verdict`], its sentence and its exit code.
//!
//! ```
//! use hotproof_diff::{Outcome, Rule, Sequence, Step};
//!
//! // Head takes 5 % less time than base, with half a per cent of noise.
//! let mut sequence = Sequence::new(Rule::default(), 0.03);
//! for i in 0..14 {
//!     let noise = 0.005 * f64::from(i * 7 % 5 - 2) / 2.0;
//!     sequence.push(-0.05 + noise);
//! }
//! assert_eq!(sequence.outcome(), Outcome::Faster);
//! assert!(sequence.interval().high < -0.04);
//! assert_ne!(sequence.step(), Step::Continue);
//! ```

mod attribution;
mod ceiling;
pub mod changes;
mod conclusion;
mod conflict;
mod edits;
mod layout;
pub mod statistics;
mod values;
mod verdict;
mod witness;
mod words;

pub use attribution::{
    Attribution, AttributionKind, Decomposition, FunctionResult, Hot, LEAST_CAPTURED, ShareChange,
    TimeChange,
};
pub use ceiling::{Ceiling, FunctionCeiling};
pub use conclusion::{
    Conclusion, Evidence, MetricRow, Noise, Outcome, Quantity, ReportedRow, SampleFacts, Step,
    StopReason, conclude, next_step, noise,
};
pub use conflict::{Conflict, conflict};
pub use edits::edits;
pub use layout::{LayoutRow, Layouts};
pub use statistics::{Direction, PairedTest, Sequence, log_ratio, share_interval};
pub use values::*;
pub use verdict::{ExitCode, Verdict};
pub use witness::{Agreement, Instructions, Testimony};
pub use words::{bytes_of_text, shown, text_of_bytes};
