//! The comparison for agents: schema `hotproof.compare`, version 1.

use hotproof_diff::{
    AttributionKind, Ceiling, Change, Comparison, Conclusion, Estimate, EstimateUnit, Hot,
    LayoutRow, Layouts, Metric, MetricRow, Order, Outcome, OutputCheck, Pair, Quantity,
    ReportedRow, Run, ShareChange, SharedTime, Side, TestCheck, TimeChange,
};
use serde::Serialize;

use super::instructions::{self, Instructions};
use crate::quantities::quantity_id;
use crate::schema::{Schema, pretty};

#[derive(Serialize)]
struct Document<'a> {
    schema: Schema,
    verdict: &'static str,
    reason: &'a str,
    exit_code: u8,
    command: &'a [String],
    workload: Option<&'a str>,
    policy: &'a str,
    base: Ref<'a>,
    head: Ref<'a>,
    end_to_end: EndToEnd<'a>,
    reported: Vec<ReportedLine<'a>>,
    functions_share: &'static str,
    functions: Vec<FunctionRow<'a>>,
    outside: Vec<Outside<'a>>,
    explained: Explained<'a>,
    instructions: Option<Instructions<'a>>,
    ceiling: Option<CeilingMember<'a>>,
    layouts: Option<LayoutsMember>,
    runs: Runs,
    machine: Machine<'a>,
    output: &'static str,
    tests: &'static str,
    warnings: &'a [String],
    not_checked: &'a [String],
}

#[derive(Serialize)]
struct Ref<'a> {
    name: &'a str,
    commit: &'a str,
    tree: &'a str,
    subject: &'a str,
}

#[derive(Serialize)]
struct EndToEnd<'a> {
    primary: &'static str,
    primary_reason: Option<&'a str>,
    outcome: &'static str,
    decided_after_pairs: Option<u64>,
    further_pairs_needed: Option<u64>,
    level: f64,
    metrics: Vec<MetricLine>,
}

#[derive(Serialize)]
struct MetricLine {
    name: &'static str,
    unit: &'static str,
    base: f64,
    head: f64,
    delta: f64,
    change_pct: Option<f64>,
    ci_low_pct: Option<f64>,
    ci_high_pct: Option<f64>,
    speedup: Option<f64>,
}

#[derive(Serialize)]
struct ReportedLine<'a> {
    name: &'a str,
    base_ns: f64,
    head_ns: f64,
    change_pct: Option<f64>,
    ci_low_pct: Option<f64>,
    ci_high_pct: Option<f64>,
    moved: bool,
}

#[derive(Serialize)]
struct FunctionRow<'a> {
    name: &'a str,
    key: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
    changed: bool,
    change: Option<&'static str>,
    cause: Option<&'a str>,
    hot: &'static str,
    hot_share: Share,
    total: Time,
    own: Time,
    physical_self: Time,
    total_share: Shares,
    own_share: Shares,
    base_samples: u64,
    head_samples: u64,
    e_value: Option<f64>,
    moved: bool,
}

#[derive(Serialize)]
struct Time {
    base_ns: Option<f64>,
    head_ns: Option<f64>,
    delta_ns: Option<f64>,
    ci_low_ns: Option<f64>,
    ci_high_ns: Option<f64>,
    speedup: Option<f64>,
}

#[derive(Serialize)]
struct Share {
    pct: Option<f64>,
    ci_low_pct: Option<f64>,
    ci_high_pct: Option<f64>,
}

#[derive(Serialize)]
struct Shares {
    base: Share,
    head: Share,
    points: Option<f64>,
}

#[derive(Serialize)]
struct Outside<'a> {
    file: &'a str,
    line: u32,
    what: &'a str,
}

#[derive(Serialize)]
struct Explained<'a> {
    kind: &'static str,
    share: Option<Share>,
    whole: Option<Delta>,
    changed_own: Option<Delta>,
    changed_calls: Option<Delta>,
    changed_all: Option<Delta>,
    rest: Option<Delta>,
    changed_share_base: Option<Share>,
    changed_share_head: Option<Share>,
    hot: &'static str,
    movers: Vec<&'a str>,
}

#[derive(Serialize)]
struct CeilingMember<'a> {
    share: Share,
    possible: Share,
    functions: Vec<CeilingRow<'a>>,
    added: u64,
    runs: u64,
    samples: u64,
}

#[derive(Serialize)]
struct CeilingRow<'a> {
    name: &'a str,
    key: &'a str,
    hot: &'static str,
    share: Share,
}

#[derive(Serialize)]
struct LayoutsMember {
    count: u32,
    largest_difference_pct: Option<f64>,
    noise_pct: Option<f64>,
    margin_pct: Option<f64>,
    holds_over_all: bool,
    links: Vec<Link>,
}

#[derive(Serialize)]
struct Link {
    side: &'static str,
    layout: u32,
    pairs: u64,
    change_pct: Option<f64>,
    ci_low_pct: Option<f64>,
    ci_high_pct: Option<f64>,
    shows_outcome: bool,
}

#[derive(Serialize)]
struct Delta {
    delta_ns: Option<f64>,
    ci_low_ns: Option<f64>,
    ci_high_ns: Option<f64>,
}

#[derive(Serialize)]
struct Runs {
    pairs: u64,
    max_pairs: u64,
    placebo_pairs: u64,
    seed: u64,
    budget_used_up: bool,
    base_samples: u64,
    head_samples: u64,
    complete_pct: Option<f64>,
    lost_samples: u64,
    list: Vec<RunPair>,
}

#[derive(Serialize)]
struct RunPair {
    first: &'static str,
    base: RunLine,
    head: RunLine,
}

#[derive(Serialize)]
struct RunLine {
    cpu_ns: u64,
    wall_ns: u64,
    peak_rss_bytes: u64,
    samples: Option<u64>,
}

#[derive(Serialize)]
struct Machine<'a> {
    cpu_model: &'a str,
    cpus: u32,
    kernel: &'a str,
    load: Option<f64>,
    governor: Option<&'a str>,
    stolen_pct: Option<f64>,
    event: Option<&'a str>,
    rate_hz: Option<u64>,
    rung: &'a str,
    refusal: Option<&'a str>,
    identical_builds: Option<IdenticalBuilds>,
}

#[derive(Serialize)]
struct IdenticalBuilds {
    pairs: u64,
    shift_pct: Option<f64>,
    sd_pct: Option<f64>,
}

/// The comparison as JSON: lists ordered, times in nanoseconds, percentages as numbers; what has
/// no finite value is null. Ends with a newline.
pub fn json(comparison: &Comparison, conclusion: &Conclusion) -> String {
    let functions = conclusion.functions.iter();
    let document = Document {
        schema: Schema::new("hotproof.compare"),
        verdict: conclusion.verdict.id(),
        reason: &conclusion.reason,
        exit_code: conclusion.exit_code(),
        command: &comparison.command,
        workload: comparison.setup.workload.as_deref(),
        policy: &comparison.policy,
        base: side(&comparison.base),
        head: side(&comparison.head),
        end_to_end: end_to_end(comparison, conclusion),
        reported: conclusion.reported.iter().map(reported).collect(),
        functions_share: match (comparison.metric, comparison.shared_time) {
            (Metric::Reported, _) if comparison.time_under().is_none() => "reported_time",
            (_, SharedTime::Wall) => "wall_time",
            (_, SharedTime::Cpu) => "cpu_time",
        },
        functions: functions
            .map(|result| function(comparison, result))
            .collect(),
        outside: outside(comparison),
        explained: explained(comparison, conclusion),
        instructions: instructions::json(comparison, conclusion),
        ceiling: conclusion
            .ceiling
            .as_ref()
            .map(|it| ceiling(comparison, it)),
        layouts: conclusion
            .layouts
            .as_ref()
            .map(|it| layouts(it, conclusion.outcome)),
        runs: runs(comparison, conclusion),
        machine: machine(comparison, conclusion),
        output: match comparison.output {
            OutputCheck::Same => "same",
            OutputCheck::Different => "different",
            OutputCheck::Unstable => "unstable",
        },
        tests: match comparison.tests {
            TestCheck::NotRun => "not_run",
            TestCheck::Passed => "passed",
        },
        warnings: &conclusion.warnings,
        not_checked: &conclusion.not_checked,
    };
    pretty(&document)
}

/// What JSON can carry: a number that is finite.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn side(facts: &hotproof_diff::RefFacts) -> Ref<'_> {
    Ref {
        name: &facts.name,
        commit: &facts.commit,
        tree: &facts.tree,
        subject: &facts.subject,
    }
}

fn end_to_end<'a>(comparison: &'a Comparison, conclusion: &Conclusion) -> EndToEnd<'a> {
    let quantity = match comparison.metric {
        Metric::CpuTime => Quantity::CpuTime,
        Metric::WallTime => Quantity::WallTime,
        Metric::Reported => Quantity::Reported,
        Metric::PeakMemory => Quantity::PeakMemory,
        Metric::Instructions => Quantity::Instructions,
    };
    EndToEnd {
        primary: quantity_id(quantity),
        primary_reason: comparison.metric_reason.as_deref(),
        outcome: match conclusion.outcome {
            Outcome::Faster => "faster",
            Outcome::Slower => "slower",
            Outcome::NoEffect => "no_effect",
            Outcome::Undecided => "undecided",
        },
        decided_after_pairs: conclusion.decided_at.map(|pairs| pairs as u64),
        further_pairs_needed: conclusion.projected_pairs.map(|pairs| pairs as u64),
        level: hotproof_diff::statistics::LEVEL,
        metrics: conclusion.metrics.iter().map(metric).collect(),
    }
}

fn metric(row: &MetricRow) -> MetricLine {
    let change = |ratio: f64| finite((ratio - 1.0) * 100.0);
    MetricLine {
        name: quantity_id(row.quantity),
        unit: match row.quantity.unit() {
            EstimateUnit::Nanoseconds => "ns",
            EstimateUnit::Bytes => "bytes",
            EstimateUnit::Count | EstimateUnit::Ratio | EstimateUnit::LogRatio => "count",
        },
        base: row.base,
        head: row.head,
        delta: row.delta(),
        change_pct: row.ratio.and_then(|ratio| change(ratio.value)),
        ci_low_pct: row.ratio.and_then(|ratio| change(ratio.low)),
        ci_high_pct: row.ratio.and_then(|ratio| change(ratio.high)),
        speedup: row.speedup().and_then(|speedup| finite(speedup.value)),
    }
}

fn reported(row: &ReportedRow) -> ReportedLine<'_> {
    let change = |ratio: f64| finite((ratio - 1.0) * 100.0);
    ReportedLine {
        name: &row.name,
        base_ns: row.base_ns,
        head_ns: row.head_ns,
        change_pct: change(row.ratio.value),
        ci_low_pct: change(row.ratio.low),
        ci_high_pct: change(row.ratio.high),
        moved: row.marked,
    }
}

fn function<'a>(
    comparison: &'a Comparison,
    result: &hotproof_diff::FunctionResult,
) -> FunctionRow<'a> {
    let function = &comparison.functions[result.row];
    FunctionRow {
        name: &function.name,
        key: &function.key,
        file: function.file.as_deref(),
        line: function.line,
        changed: function.change.is_some(),
        change: function.change.map(|change| match change {
            Change::Modified => "modified",
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Chosen => "chosen",
            Change::UsesConstant => "uses_constant",
            Change::UsesType => "uses_type",
            Change::ExpandsMacro => "expands_macro",
            Change::Dependency => "dependency",
        }),
        cause: function.cause.as_deref(),
        hot: hot(result.hot),
        hot_share: share(&result.hot_share),
        total: time(&result.total),
        own: time(&result.own),
        physical_self: time(&result.physical_self),
        total_share: shares(&result.total_share),
        own_share: shares(&result.own_share),
        base_samples: result.base_samples,
        head_samples: result.head_samples,
        e_value: finite(result.e_value),
        moved: result.marked,
    }
}

fn hot(hot: Hot) -> &'static str {
    match hot {
        Hot::Yes => "yes",
        Hot::No => "no",
        Hot::Undecided => "undecided",
    }
}

fn time(change: &TimeChange) -> Time {
    Time {
        base_ns: finite(change.base_ns),
        head_ns: finite(change.head_ns),
        delta_ns: finite(change.delta.value),
        ci_low_ns: finite(change.delta.low),
        ci_high_ns: finite(change.delta.high),
        speedup: change.speedup.and_then(|speedup| finite(speedup.value)),
    }
}

fn share(estimate: &Estimate) -> Share {
    Share {
        pct: finite(estimate.value * 100.0),
        ci_low_pct: finite(estimate.low * 100.0),
        ci_high_pct: finite(estimate.high * 100.0),
    }
}

fn shares(change: &ShareChange) -> Shares {
    Shares {
        base: share(&change.base),
        head: share(&change.head),
        points: finite(change.points()),
    }
}

fn outside(comparison: &Comparison) -> Vec<Outside<'_>> {
    let rows = comparison.outside.iter().map(|change| Outside {
        file: &change.file,
        line: change.line,
        what: &change.what,
    });
    rows.collect()
}

fn delta(estimate: &Estimate) -> Delta {
    Delta {
        delta_ns: finite(estimate.value),
        ci_low_ns: finite(estimate.low),
        ci_high_ns: finite(estimate.high),
    }
}

fn explained<'a>(comparison: &'a Comparison, conclusion: &Conclusion) -> Explained<'a> {
    let attribution = &conclusion.attribution;
    let parts = attribution.parts.as_ref();
    let movers = attribution.movers.iter();
    Explained {
        kind: match attribution.kind {
            AttributionKind::Explained => "explained",
            AttributionKind::PartlyExplained => "partly_explained",
            AttributionKind::NotExplained => "not_explained",
            AttributionKind::Masked => "masked",
            AttributionKind::NothingMoved => "nothing_moved",
            AttributionKind::NotAttributable => "not_attributable",
            AttributionKind::NotJoinable => "not_joinable",
            AttributionKind::NoCodeChanged => "no_code_changed",
            AttributionKind::TooFewSamples => "too_few_samples",
            AttributionKind::TooManyLost => "too_many_lost",
            AttributionKind::Waiting => "waiting",
            AttributionKind::Unavailable => "unavailable",
        },
        share: parts.and_then(|parts| parts.explained_share.as_ref().map(share)),
        whole: parts.map(|parts| delta(&parts.whole)),
        changed_own: parts.map(|parts| delta(&parts.changed)),
        changed_calls: parts.map(|parts| delta(&parts.below)),
        changed_all: parts.map(|parts| delta(&parts.explained)),
        rest: parts.map(|parts| delta(&parts.unexplained)),
        changed_share_base: parts.map(|parts| share(&parts.changed_share)),
        changed_share_head: parts.map(|parts| share(&parts.changed_share_head)),
        hot: hot(attribution.hot),
        movers: movers
            .map(|&row| comparison.functions[row].key.as_str())
            .collect(),
    }
}

fn ceiling<'a>(comparison: &'a Comparison, ceiling: &Ceiling) -> CeilingMember<'a> {
    let rows = ceiling.functions.iter().map(|it| {
        let function = &comparison.functions[it.row];
        CeilingRow {
            name: &function.name,
            key: &function.key,
            hot: hot(it.hot),
            share: share(&it.share),
        }
    });
    CeilingMember {
        share: share(&ceiling.share),
        possible: share(&ceiling.possible),
        functions: rows.collect(),
        added: ceiling.added as u64,
        runs: ceiling.runs as u64,
        samples: ceiling.samples,
    }
}

fn layouts(layouts: &Layouts, outcome: Outcome) -> LayoutsMember {
    let change = |ratio: f64| finite((ratio - 1.0) * 100.0);
    let link = |row: &LayoutRow| Link {
        side: match row.side {
            Side::Base => "base",
            Side::Head => "head",
        },
        layout: row.layout,
        pairs: row.pairs as u64,
        change_pct: change(row.ratio.value),
        ci_low_pct: change(row.ratio.low),
        ci_high_pct: change(row.ratio.high),
        shows_outcome: row.shows(outcome),
    };
    LayoutsMember {
        count: layouts.count,
        largest_difference_pct: layouts.placebo.and_then(|it| finite(it * 100.0)),
        noise_pct: layouts.noise.and_then(|it| finite(it * 100.0)),
        margin_pct: finite(layouts.margin * 100.0),
        holds_over_all: layouts.all_show(outcome),
        links: layouts.rows.iter().map(link).collect(),
    }
}

fn runs(comparison: &Comparison, conclusion: &Conclusion) -> Runs {
    let samples = &conclusion.samples;
    let all = samples.base + samples.head;
    Runs {
        pairs: conclusion.pairs as u64,
        max_pairs: comparison.rule.max_pairs as u64,
        placebo_pairs: comparison.placebo.len() as u64,
        seed: comparison.seed,
        budget_used_up: comparison.budget_used_up,
        base_samples: samples.base,
        head_samples: samples.head,
        complete_pct: finite(samples.complete as f64 / all as f64 * 100.0),
        lost_samples: samples.lost,
        list: comparison.pairs.iter().map(pair).collect(),
    }
}

fn pair(pair: &Pair) -> RunPair {
    RunPair {
        first: match pair.order {
            Order::BaseFirst => "base",
            Order::HeadFirst => "head",
        },
        base: run(&pair.base),
        head: run(&pair.head),
    }
}

fn run(run: &Run) -> RunLine {
    RunLine {
        cpu_ns: run.metrics.cpu_ns,
        wall_ns: run.metrics.wall_ns,
        peak_rss_bytes: run.metrics.peak_rss_bytes,
        samples: run.tally.as_ref().map(|tally| tally.samples),
    }
}

fn machine<'a>(comparison: &'a Comparison, conclusion: &Conclusion) -> Machine<'a> {
    let machine = &comparison.machine;
    Machine {
        cpu_model: &machine.cpu_model,
        cpus: machine.cpus,
        kernel: &machine.kernel,
        load: finite(machine.load),
        governor: machine.governor.as_deref(),
        stolen_pct: machine.stolen_pct.and_then(finite),
        event: machine.event.as_deref(),
        rate_hz: machine.rate_hz,
        rung: &machine.rung,
        refusal: machine.refusal.as_deref(),
        identical_builds: conclusion.noise.map(|noise| IdenticalBuilds {
            pairs: noise.pairs as u64,
            shift_pct: finite(noise.shift * 100.0),
            sd_pct: finite(noise.sd * 100.0),
        }),
    }
}
