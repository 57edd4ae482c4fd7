//! Which functions the change sits in, and whether the changed ones explain it.

mod functions;
mod parts;
mod series;

pub(crate) use functions::{function_results, hidden};
pub(crate) use parts::{attribute, is_loose, is_open};
pub(crate) use series::Sampled;

use crate::values::{Estimate, FunctionRow};

/// When less than this share of the samples of a recording was captured, those that are there decide
/// nothing: what is lost is lost in bursts, when the machine was busiest.
pub const LEAST_CAPTURED: f64 = 0.995;

/// Whether a function is on the hot path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hot {
    /// The lower bound of its total share is above the floor.
    Yes,
    /// The upper bound of its total share is below the floor, even if all samples that could hide
    /// it did: those with incomplete stacks, and those of code without a declared place.
    No,
    /// The samples do not tell.
    Undecided,
}

impl Hot {
    /// Whether a total share is above the floor, all as fractions; undecided without samples.
    /// `possible` is the share with all samples that could hide the function.
    pub fn of(share: &Estimate, possible: &Estimate, floor: f64) -> Hot {
        if share.low > floor {
            Hot::Yes
        } else if share.high.max(possible.high) < floor {
            Hot::No
        } else {
            Hot::Undecided
        }
    }
}

/// The time of one function in a run, at base and at head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeChange {
    /// Nanoseconds in a typical run of base.
    pub base_ns: f64,
    /// Nanoseconds in a typical run of head; `base_ns + delta.value`.
    pub head_ns: f64,
    /// head - base, nanoseconds, from the pairs.
    pub delta: Estimate,
    /// base / head with its interval (unit Ratio); `None` when the function has no time at one of
    /// the refs, so that there is no ratio.
    pub speedup: Option<Estimate>,
}

/// The share of a function in the shared time of a run, at base and at head (unit Ratio, 0 to 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShareChange {
    /// At base.
    pub base: Estimate,
    /// At head.
    pub head: Estimate,
}

impl ShareChange {
    /// head - base in percentage points.
    pub fn points(&self) -> f64 {
        (self.head.value - self.base.value) * 100.0
    }
}

/// What was found of one function.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionResult {
    /// The row of [`crate::Comparison::functions`].
    pub row: FunctionRow,
    /// Anywhere on the stack, recursion once.
    pub total: TimeChange,
    /// Own time: with library code inlined into it. Own times of the changed functions add up to
    /// C; those of all functions may exceed the run, because a helper that is inlined into a
    /// changed function counts for both.
    pub own: TimeChange,
    /// What is left without inlined library code.
    pub physical_self: TimeChange,
    /// Own time while no changed function is on the stack, head - base, nanoseconds.
    pub rest: Estimate,
    /// Share of total time.
    pub total_share: ShareChange,
    /// Share of own time.
    pub own_share: ShareChange,
    /// Whether it is on the hot path: by its total share at base, or at head when it was added.
    pub hot: Hot,
    /// The total share that [`FunctionResult::hot`] was decided on.
    pub hot_share: Estimate,
    /// Samples with it on the stack, base runs.
    pub base_samples: u64,
    /// Samples with it on the stack, head runs.
    pub head_samples: u64,
    /// E-value against "its own time did not change"; 20 is reached by chance once in 20.
    pub e_value: f64,
    /// Whether e-BH marks it: of the marked rows at most 5 % are expected to be chance.
    pub marked: bool,
}

/// How the end-to-end change relates to the changed functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttributionKind {
    /// The changed functions carry the change; the rest is still.
    Explained,
    /// The changed functions moved, and so did code that nobody touched.
    PartlyExplained,
    /// The whole moved, the changed functions did not: layout or environment is suspected.
    NotExplained,
    /// The changed functions moved, the whole did not visibly.
    Masked,
    /// Neither the whole nor the changed functions moved visibly.
    NothingMoved,
    /// Code that ran has no declared place, because there is no debug information for it: the
    /// changed functions may be in it, and cannot be joined to the diff.
    NotJoinable,
    /// No function changed by line, but build files, constants, macros or other code did.
    NotAttributable,
    /// Nothing but comments or formatting changed.
    NoCodeChanged,
    /// There are too few samples or pairs to tell: what is known of the changed functions fits
    /// both "they stood still" and "they carry it all".
    TooFewSamples,
    /// Less than [`LEAST_CAPTURED`] of the samples were captured, so that those that are
    /// there say nothing of functions.
    TooManyLost,
    /// The gain or loss is one of waiting, which samples of CPU time do not see.
    Waiting,
    /// Nothing was sampled.
    Unavailable,
}

/// The parts of the change, each nanoseconds of a run's shared time ([`crate::SharedTime`]), each with
/// its own interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decomposition {
    /// Delta: the whole.
    pub whole: Estimate,
    /// E: own time of the changed functions.
    pub changed: Estimate,
    /// I: what they call.
    pub below: Estimate,
    /// E + I.
    pub explained: Estimate,
    /// U = Delta - E - I: everything else.
    pub unexplained: Estimate,
    /// (E + I) / Delta (unit Ratio), interval from that of U; `None` unless Delta excludes 0.
    pub explained_share: Option<Estimate>,
    /// (C + D) / T at base (unit Ratio, 0 to 1): the most that can be won.
    pub changed_share: Estimate,
    /// (C + D) / T at head.
    pub changed_share_head: Estimate,
    /// Share of samples, at base and at head, that have no changed function on the stack but code
    /// without a declared place (unit Ratio, 0 to 1).
    pub unjoinable_share: ShareChange,
    /// (C + D) / T with all samples that could hide a changed function: those without declared
    /// places and those with incomplete stacks (unit Ratio, 0 to 1).
    pub possible_share: ShareChange,
}

/// Whether the changed functions explain the end-to-end change.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    /// The answer.
    pub kind: AttributionKind,
    /// The parts; `None` when nothing was sampled or no pair was counted.
    pub parts: Option<Decomposition>,
    /// Whether the changed functions are hot, any of them or all together: `No` only when each is
    /// not, and all together are not.
    pub hot: Hot,
    /// The largest movers outside the changed functions and what they call, at most three, largest
    /// first.
    pub movers: Vec<FunctionRow>,
}
