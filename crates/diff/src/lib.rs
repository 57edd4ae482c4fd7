//! From paired runs to a verdict: changed functions, statistics, attribution and policy, all pure
//! functions of values.

mod attribution;
pub mod changes;
mod conclusion;
pub mod statistics;
mod values;
mod verdict;

pub use attribution::{
    Attribution, AttributionKind, Decomposition, FunctionResult, Hot, ShareChange, TimeChange,
};
pub use conclusion::{
    Conclusion, Evidence, MetricRow, Noise, Outcome, Quantity, SampleFacts, Step, StopReason,
    conclude, next_step, noise,
};
pub use statistics::{Direction, PairedTest, Sequence, log_ratio, share_interval};
pub use values::*;
pub use verdict::{ExitCode, Verdict};
