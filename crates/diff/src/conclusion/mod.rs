//! What a comparison says: the value that `report` shows and that the exit code comes from.

mod checks;
mod conclude;
mod metrics;

pub use checks::noise;
pub(crate) use checks::{mostly_sleep, mostly_wait};
pub use conclude::conclude;

use crate::attribution::{Attribution, FunctionResult, Sampled, is_loose, is_open};
use crate::ceiling::Ceiling;
use crate::layout::Layouts;
use crate::statistics::Sequence;
use crate::values::{Comparison, Estimate, EstimateUnit, Metric};
use crate::verdict::Verdict;
use crate::witness::Testimony;

/// What the end-to-end test says of the primary metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The gain is larger than the layout margin.
    Faster,
    /// The loss is larger than the layout margin.
    Slower,
    /// Whatever there is lies within the minimum effect of interest.
    NoEffect,
    /// The pairs do not tell.
    Undecided,
}

/// What a row of [`Conclusion::metrics`] measures, whole process tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// CPU time, nanoseconds.
    CpuTime,
    /// Wall time, nanoseconds.
    WallTime,
    /// Largest resident set, bytes.
    PeakMemory,
    /// User and system time by ticks, added; nanoseconds.
    UserAndSystemTime,
    /// Page faults.
    PageFaults,
    /// Context switches.
    ContextSwitches,
    /// Instructions, where they can be counted.
    Instructions,
    /// What the workload itself reports, nanoseconds: the geometric mean of its times.
    Reported,
}

impl Quantity {
    /// What a person reads: `cpu time`.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::CpuTime => "cpu time",
            Quantity::WallTime => "wall time",
            Quantity::PeakMemory => "peak memory",
            Quantity::UserAndSystemTime => "user + system",
            Quantity::PageFaults => "page faults",
            Quantity::ContextSwitches => "context switches",
            Quantity::Instructions => "instructions",
            Quantity::Reported => "reported time",
        }
    }

    /// The unit of [`MetricRow::base`] and [`MetricRow::head`].
    pub fn unit(self) -> EstimateUnit {
        match self {
            Quantity::CpuTime
            | Quantity::WallTime
            | Quantity::UserAndSystemTime
            | Quantity::Reported => EstimateUnit::Nanoseconds,
            Quantity::PeakMemory => EstimateUnit::Bytes,
            Quantity::PageFaults | Quantity::ContextSwitches | Quantity::Instructions => {
                EstimateUnit::Count
            }
        }
    }
}

/// One measured quantity, end to end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricRow {
    /// Which.
    pub quantity: Quantity,
    /// A typical run of base, in the quantity's unit. Base and head are placed around the median
    /// of the pairs' geometric means, so that `head / base` is exactly the estimated ratio.
    pub base: f64,
    /// A typical run of head.
    pub head: f64,
    /// head / base with its interval (unit [`EstimateUnit::Ratio`]); `None` when some run
    /// measured 0, so that there is no ratio.
    pub ratio: Option<Estimate>,
}

impl MetricRow {
    /// head - base, in the quantity's unit; negative is less.
    pub fn delta(&self) -> f64 {
        self.head - self.base
    }

    /// base / head with its interval; above 1 is faster.
    pub fn speedup(&self) -> Option<Estimate> {
        self.ratio.map(Estimate::inverse)
    }
}

/// One of several times that the workload reports.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportedRow {
    /// What it is the time of.
    pub name: String,
    /// A typical run of base, nanoseconds.
    pub base_ns: f64,
    /// A typical run of head, nanoseconds.
    pub head_ns: f64,
    /// head / base with its interval (unit Ratio).
    pub ratio: Estimate,
    /// E-value against "it did not change".
    pub e_value: f64,
    /// Whether e-BH marks it: of the marked rows at most 5 % are expected to be chance.
    pub marked: bool,
}

/// The E-values of the three hypotheses at the last pair: how strong the evidence is. An E-value
/// of 200 is reached by chance at most once in 200 comparisons of equals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// That the gain is larger than the margin.
    pub faster: f64,
    /// That the loss is larger than the margin.
    pub slower: f64,
    /// That the effect is above -MEI.
    pub above_minus_mei: f64,
    /// That the effect is below +MEI.
    pub below_plus_mei: f64,
}

/// What the A/A block says of the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Standard deviation of ln(copy / base) over the A/A pairs.
    pub sd: f64,
    /// Median ratio of the two copies, minus 1: what identical builds differ by.
    pub shift: f64,
    /// How many A/A pairs.
    pub pairs: usize,
}

/// What was sampled, over all counted pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SampleFacts {
    /// Samples of base.
    pub base: u64,
    /// Samples of head.
    pub head: u64,
    /// Samples whose stack is complete, both sides.
    pub complete: u64,
    /// Samples that the kernel dropped, both sides.
    pub lost: u64,
}

/// Everything that follows from a [`Comparison`].
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusion {
    /// The verdict.
    pub verdict: Verdict,
    /// One plain sentence that stands in a commit message, without the verdict's own word.
    pub reason: String,
    /// What the end-to-end test says.
    pub outcome: Outcome,
    /// How many pairs had run when the outcome was reached; `None` when it was not.
    pub decided_at: Option<usize>,
    /// Counted pairs.
    pub pairs: usize,
    /// Each time that the workload reports, in its own order; empty unless there are several.
    pub reported: Vec<ReportedRow>,
    /// Measured quantities, the primary metric first.
    pub metrics: Vec<MetricRow>,
    /// How strong the evidence is.
    pub evidence: Evidence,
    /// Further pairs that would decide, as far as can be foreseen; `None` when decided, or when
    /// nothing can be foreseen.
    pub projected_pairs: Option<usize>,
    /// What the A/A block says; `None` without one.
    pub noise: Option<Noise>,
    /// Rows of [`Comparison::functions`] with what was found: changed functions first, by own
    /// time, then those that are known to have moved by the size of their own delta, then the
    /// others by own time; ties by key.
    pub functions: Vec<FunctionResult>,
    /// Whether the changed functions explain the change.
    pub attribution: Attribution,
    /// The most that can be won, from the runs of base before any of head; `None` without them.
    pub ceiling: Option<Ceiling>,
    /// What several layouts of the code say; `None` where each ref was linked once.
    pub layouts: Option<Layouts>,
    /// Samples.
    pub samples: SampleFacts,
    /// What the instruction counts say; `None` when nobody asked.
    pub testimony: Option<Testimony>,
    /// What could make it wrong, one sentence each: those of the comparison first.
    pub warnings: Vec<String>,
    /// What was not checked, and how to check it, one phrase each.
    pub not_checked: Vec<String>,
}

impl Conclusion {
    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        self.verdict.exit_code().code()
    }

    /// The row of the primary metric; `None` when no pair was counted.
    pub fn primary(&self) -> Option<&MetricRow> {
        self.metrics.first()
    }
}

impl From<Metric> for Quantity {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::CpuTime => Quantity::CpuTime,
            Metric::WallTime => Quantity::WallTime,
            Metric::Reported => Quantity::Reported,
            Metric::PeakMemory => Quantity::PeakMemory,
            Metric::Instructions => Quantity::Instructions,
        }
    }
}

/// Whether to go on measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Another pair.
    Continue,
    /// Enough.
    Stop(StopReason),
}

/// Why the measurement ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// The outcome is reached and the interval is as narrow as asked for, or as many pairs as are
    /// spent on that have run.
    Precise,
    /// As many pairs as allowed have run.
    MaxPairs,
}

/// So many pairs at most are measured beyond the outcome to see the rest of the program stand
/// still: enough for a loose interval to close after an outlier, few enough to wait for.
const PAIRS_FOR_THE_REST: usize = 12;

/// Whether another pair is needed, for the pairs counted so far.
///
/// [`Sequence::step`] decides, with additions for gains: they go on being measured while the
/// samples fit both "the changed functions carry it" and "they stood still", because one of the
/// two is a keep; and for a few pairs more while the rest may have stood still but is not known
/// well enough to say so; and, where several layouts are measured, until each layout can show the
/// gain by itself. That costs pairs and never validity, since the test holds whenever one
/// stops.
pub fn next_step(comparison: &Comparison) -> Step {
    if comparison.pairs.len() >= comparison.rule.max_pairs {
        return Step::Stop(StopReason::MaxPairs);
    }
    let sequence = Sequence::of(comparison);
    match sequence.step() {
        Step::Stop(StopReason::Precise) if sequence.outcome() == Outcome::Faster => {
            let sampled = Sampled::of(comparison);
            let beyond = sequence.pairs() - sequence.decided_at().unwrap_or(0);
            let wait =
                beyond < PAIRS_FOR_THE_REST && is_loose(&sampled, comparison.rule.minimum_effect);
            // So many pairs can show a gain of one layout by itself, and fewer never do.
            let unseen = Layouts::of(comparison).is_some_and(|layouts| !layouts.can_show());
            if wait || unseen || is_open(&sampled) {
                Step::Continue
            } else {
                Step::Stop(StopReason::Precise)
            }
        }
        step => step,
    }
}
