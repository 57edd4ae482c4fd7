//! From what was found to what to do: the one table that decides.

use super::Verdict;
use crate::attribution::{Attribution, AttributionKind, FunctionResult, Hot};
use crate::conclusion::{MetricRow, Noise, Outcome, Quantity, ReportedRow, mostly_wait};
use crate::layout::Layouts;
use crate::statistics::{FEWEST_PAIRS, PAIRS_FOR_PRIOR, median, values};
use crate::values::{Comparison, FunctionRow, Metric, OutputCheck, SharedTime};
use crate::witness::{Instructions, Testimony};

/// Above this spread of the primary metric over the A/A pairs there is no verdict.
const HOPELESS_SD: f64 = 0.3;

/// Everything that the table looks at.
pub(crate) struct Facts<'a> {
    pub(crate) comparison: &'a Comparison,
    pub(crate) outcome: Outcome,
    pub(crate) pairs: usize,
    pub(crate) metrics: &'a [MetricRow],
    pub(crate) reported: &'a [ReportedRow],
    pub(crate) noise: Option<Noise>,
    pub(crate) projected_pairs: Option<usize>,
    pub(crate) functions: &'a [FunctionResult],
    pub(crate) attribution: &'a Attribution,
    pub(crate) testimony: Option<Testimony>,
    pub(crate) layouts: Option<&'a Layouts>,
}

/// Why the verdict is what it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reason {
    TooNoisy { sd: f64 },
    NoCodeChanged,
    NothingMeasured,
    OutputsDiffer,
    RunTooShort { time_ns: f64 },
    Explained,
    PartlyExplained,
    NotAttributable,
    NotJoinable,
    Waiting,
    Unavailable,
    NotExplained,
    HoldsOverLayouts,
    TooFewSamples,
    TooManyLost,
    CpuAndWallDisagree,
    WallMoved,
    Slower,
    MicroOnly { function: FunctionRow, gain: f64 },
    NotOnHotPath,
    NotKnownHot,
    BelowPolicy,
    NoEffect,
    TooFewPairs,
    Undecided,
    InstructionsOfOtherWork,
    Instructions,
    InstructionsElsewhere,
}

/// The verdict and its reason, by the table of rules: the first row that fits.
pub(crate) fn decide(facts: &Facts<'_>) -> (Verdict, Reason) {
    if let Some(testimony) = facts.testimony
        && facts.comparison.is_counted_alone()
    {
        return by_instructions(facts, &testimony);
    }
    if let Some(noise) = facts.noise
        && noise.pairs >= PAIRS_FOR_PRIOR
        && noise.sd > HOPELESS_SD
        && too_short(facts).is_none()
    {
        return (Verdict::Refused, Reason::TooNoisy { sd: noise.sd });
    }
    if !facts.comparison.code_changed && facts.outcome != Outcome::Slower {
        return (Verdict::Discard, Reason::NoCodeChanged);
    }
    match obstacle(facts) {
        Some(reason) => (Verdict::Inconclusive, reason),
        None => by_outcome(facts),
    }
}

/// The verdict of instructions alone. Fewer of them in code that the diff does not touch are no
/// success of the diff.
fn by_instructions(facts: &Facts<'_>, testimony: &Testimony) -> (Verdict, Reason) {
    if outputs_differ(facts) {
        return (Verdict::Inconclusive, Reason::InstructionsOfOtherWork);
    }
    let rule = &facts.comparison.rule;
    let is_by_line = facts
        .comparison
        .functions
        .iter()
        .any(|f| f.change.is_some());
    match testimony.direction {
        Instructions::More => (Verdict::MoreInstructions, Reason::Instructions),
        Instructions::Fewer if is_by_line && !testimony.is_explained(rule) => {
            (Verdict::Inconclusive, Reason::InstructionsElsewhere)
        }
        Instructions::Fewer => (Verdict::FewerInstructions, Reason::Instructions),
        Instructions::Same if is_by_line && testimony.changed_share < rule.hot_floor => {
            (Verdict::NotOnHotPath, Reason::Instructions)
        }
        Instructions::Same => (Verdict::SameInstructions, Reason::Instructions),
    }
}

fn outputs_differ(facts: &Facts<'_>) -> bool {
    facts.comparison.output == OutputCheck::Different
        && !facts.comparison.rule.allow_different_output
}

/// What stands in the way of any verdict.
fn obstacle(facts: &Facts<'_>) -> Option<Reason> {
    if outputs_differ(facts) {
        Some(Reason::OutputsDiffer)
    } else if facts.pairs == 0 {
        Some(Reason::NothingMeasured)
    } else {
        too_short(facts).map(|time_ns| Reason::RunTooShort { time_ns })
    }
}

/// What a run of base takes where that is too short to be judged, which also explains why two builds
/// of the same base differ so much.
fn too_short(facts: &Facts<'_>) -> Option<f64> {
    let comparison = facts.comparison;
    let of_pairs = facts.metrics.first().map(|row| row.base);
    let time_ns = of_pairs.or_else(|| {
        let of_base = |pair| values(pair, comparison.metric).map(|(base, _)| base);
        let placebo: Vec<f64> = comparison.placebo.iter().filter_map(of_base).collect();
        (!placebo.is_empty()).then(|| median(&placebo))
    })?;
    let timed = matches!(comparison.metric, Metric::CpuTime | Metric::WallTime);
    (timed && time_ns < comparison.rule.shortest_run_ns as f64).then_some(time_ns)
}

fn by_outcome(facts: &Facts<'_>) -> (Verdict, Reason) {
    match facts.outcome {
        Outcome::Faster => faster(facts),
        Outcome::Slower => (Verdict::Regression, Reason::Slower),
        Outcome::NoEffect | Outcome::Undecided => not_faster(facts),
    }
}

fn faster(facts: &Facts<'_>) -> (Verdict, Reason) {
    if facts.cpu_and_wall_disagree() {
        return (Verdict::Inconclusive, Reason::CpuAndWallDisagree);
    }
    if facts.comparison.rule.needs_hot && facts.attribution.hot != Hot::Yes {
        return (Verdict::Inconclusive, Reason::NotKnownHot);
    }
    match facts.attribution.kind {
        AttributionKind::Explained => (Verdict::Keep, Reason::Explained),
        // Masked would say that the whole did not move; the outcome says that it did.
        AttributionKind::PartlyExplained | AttributionKind::Masked => {
            (Verdict::Keep, Reason::PartlyExplained)
        }
        AttributionKind::NotAttributable => (Verdict::KeepUnattributed, Reason::NotAttributable),
        AttributionKind::NotJoinable => (Verdict::KeepUnattributed, Reason::NotJoinable),
        AttributionKind::Waiting => (Verdict::KeepUnattributed, Reason::Waiting),
        AttributionKind::Unavailable => (Verdict::KeepUnattributed, Reason::Unavailable),
        AttributionKind::TooFewSamples => (Verdict::Inconclusive, Reason::TooFewSamples),
        AttributionKind::TooManyLost => (Verdict::Inconclusive, Reason::TooManyLost),
        // What holds however the code lies is no accident of how it lies.
        AttributionKind::NotExplained if facts.holds_over_layouts() => {
            (Verdict::KeepUnexplained, Reason::HoldsOverLayouts)
        }
        AttributionKind::NotExplained
        | AttributionKind::NothingMoved
        | AttributionKind::NoCodeChanged => (Verdict::Inconclusive, Reason::NotExplained),
    }
}

fn not_faster(facts: &Facts<'_>) -> (Verdict, Reason) {
    if let Some((function, gain)) = facts.micro_gain() {
        if facts.cpu_and_wall_disagree() {
            return (Verdict::Inconclusive, Reason::CpuAndWallDisagree);
        }
        return (Verdict::KeepMicroOnly, Reason::MicroOnly { function, gain });
    }
    match (facts.outcome, facts.attribution.hot) {
        (Outcome::NoEffect, _) if facts.wall_moved() => (Verdict::Inconclusive, Reason::WallMoved),
        (Outcome::NoEffect, Hot::No) if facts.samples_show_what_judges() => {
            (Verdict::NotOnHotPath, Reason::NotOnHotPath)
        }
        (Outcome::NoEffect, _) if facts.gained_too_little() => {
            (Verdict::Discard, Reason::BelowPolicy)
        }
        (Outcome::NoEffect, _) => (Verdict::Discard, Reason::NoEffect),
        _ if facts.pairs < FEWEST_PAIRS => (Verdict::Inconclusive, Reason::TooFewPairs),
        _ => (Verdict::Inconclusive, Reason::Undecided),
    }
}

impl Facts<'_> {
    /// d, as it judges.
    pub(crate) fn margin(&self) -> f64 {
        self.layouts
            .map_or(self.comparison.rule.margin, |layouts| layouts.margin)
    }

    /// Whether each of several layouts shows the outcome by itself.
    pub(crate) fn holds_over_layouts(&self) -> bool {
        self.layouts
            .is_some_and(|layouts| layouts.all_show(self.outcome))
    }

    pub(crate) fn row(&self, quantity: Quantity) -> Option<&MetricRow> {
        self.metrics.iter().find(|row| row.quantity == quantity)
    }

    /// Whether there is a gain beyond the minimum effect that the policy does not call enough.
    fn gained_too_little(&self) -> bool {
        let rule = self.comparison.rule;
        let ratio = self.metrics.first().and_then(|row| row.ratio);
        rule.gain > rule.minimum_effect
            && ratio.is_some_and(|ratio| ratio.value < 1.0 - rule.minimum_effect)
    }

    /// Whether a share of the samples is a share of what judges: samples are of time on a CPU, unless
    /// waits are recorded.
    fn samples_show_what_judges(&self) -> bool {
        match self.comparison.metric {
            Metric::CpuTime | Metric::Reported | Metric::Instructions => true,
            Metric::WallTime => {
                self.comparison.shared_time == SharedTime::Wall || !mostly_wait(self.comparison)
            }
            Metric::PeakMemory => false,
        }
    }

    /// Whether CPU time and wall time moved in opposite directions, each beyond its noise. Neither
    /// says anything where another metric is the primary one.
    pub(crate) fn cpu_and_wall_disagree(&self) -> bool {
        if !matches!(self.comparison.metric, Metric::CpuTime | Metric::WallTime) {
            return false;
        }
        let direction = |quantity| {
            let ratio = self.row(quantity)?.ratio?;
            ratio.excludes(1.0).then_some(ratio.value > 1.0)
        };
        match (direction(Quantity::CpuTime), direction(Quantity::WallTime)) {
            (Some(cpu), Some(wall)) => cpu != wall,
            _ => false,
        }
    }

    /// Whether wall time moved beyond the minimum effect and beyond what CPU time, which judges, may
    /// have moved by: the change is one of waiting.
    fn wall_moved(&self) -> bool {
        let effect = self.comparison.rule.minimum_effect;
        let ratio = |quantity| self.row(quantity)?.ratio;
        match (ratio(Quantity::CpuTime), ratio(Quantity::WallTime)) {
            (Some(cpu), Some(wall)) if self.comparison.metric == Metric::CpuTime => {
                wall.high < cpu.low.min(1.0 - effect) || wall.low > cpu.high.max(1.0 + effect)
            }
            _ => false,
        }
    }

    /// Whether wall time is known to have moved by more than the minimum effect, and CPU time, which
    /// judges, is not decided.
    pub(crate) fn wall_alone_is_decided(&self) -> bool {
        let effect = self.comparison.rule.minimum_effect;
        let wall = self.row(Quantity::WallTime).and_then(|row| row.ratio);
        let has_moved = wall.is_some_and(|it| it.high < 1.0 - effect || it.low > 1.0 + effect);
        self.comparison.metric == Metric::CpuTime && self.outcome == Outcome::Undecided && has_moved
    }

    /// The hot changed function whose own gain, hidden in the whole, is large enough for a keep:
    /// the changed functions gained beyond noise, and nothing else lost beyond noise.
    ///
    /// The gain is that of its own or its total time, whichever is larger; its interval has to
    /// leave out no gain, and its total time must not have grown.
    fn micro_gain(&self) -> Option<(FunctionRow, f64)> {
        let parts = self.attribution.parts.as_ref()?;
        let gained = parts.explained.high < 0.0;
        let rest_lost = parts.unexplained.low > 0.0;
        let kind = self.attribution.kind;
        // A gain that is visible end to end, yet below the minimum effect, counts like a masked
        // one.
        let fits = matches!(
            kind,
            AttributionKind::Masked | AttributionKind::Explained | AttributionKind::PartlyExplained
        );
        if !fits || !gained || rest_lost {
            return None;
        }
        let candidates = self.functions.iter().filter_map(|result| {
            let changed = self.comparison.functions[result.row].change.is_some();
            let candidate = changed && result.hot == Hot::Yes && result.total.delta.value < 0.0;
            let gain = own_gain(result)?;
            let enough = gain >= self.comparison.rule.micro_threshold;
            (candidate && enough).then_some((result.row, gain))
        });
        candidates.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
    }
}

/// By which fraction the function's own or total time fell, beyond noise.
fn own_gain(result: &FunctionResult) -> Option<f64> {
    [result.own, result.total]
        .into_iter()
        .filter(|change| change.delta.high < 0.0 && change.base_ns > 0.0)
        .map(|change| -change.delta.value / change.base_ns)
        .max_by(f64::total_cmp)
}
