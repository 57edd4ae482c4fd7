//! From paired runs to a verdict: changed functions, statistics, attribution and policy, all pure
//! functions of values.

mod attribution;
pub mod changes;
mod conclusion;
mod values;
mod verdict;

pub use attribution::{
    Attribution, AttributionKind, Decomposition, FunctionResult, Hot, ShareChange, TimeChange,
};
pub use conclusion::{
    Conclusion, Evidence, MetricRow, Noise, Outcome, Quantity, SampleFacts, Step, StopReason,
    conclude, next_step,
};
pub use values::*;
pub use verdict::{ExitCode, Verdict};
