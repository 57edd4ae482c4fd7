//! What is said under the tables: whether the change is explained, the machine, what is missing.

use std::borrow::Cow;

use hotproof_diff::statistics::FEWEST_PAIRS;
use hotproof_diff::{
    AttributionKind, BUILD_FLAGS, Ceiling, Comparison, Conclusion, Decomposition, FunctionRow,
    LEAST_CAPTURED, Metric, Outcome, Quantity, SharedTime,
};

use super::page::Fact;
use super::tables::time_interval;
use super::{Options, instructions};
use crate::names::cut_middle;
use crate::numbers::{TimeUnit, count, fixed, percent};

/// Outside changes that are listed one by one.
const LISTED: usize = 5;

pub(super) fn all(
    comparison: &Comparison,
    conclusion: &Conclusion,
    options: &Options<'_>,
) -> Vec<Fact> {
    let mut list = Vec::new();
    let mut add = |label, text: Option<String>| {
        list.extend(text.map(|text| Fact {
            label,
            text,
            alarming: label == "Warning",
        }));
    };
    let alone = comparison.is_counted_alone();
    add(
        "Explained",
        match &conclusion.testimony {
            Some(testimony) if alone => instructions::explained(comparison, testimony),
            _ if comparison.is_of_commands() => None,
            _ => explained(comparison, conclusion),
        },
    );
    let movers = &conclusion.attribution.movers;
    if comparison.is_of_commands() && !movers.is_empty() {
        add("Moved", Some(format!("{}.", names(comparison, movers))));
    }
    if alone {
        add("Engine", instructions::engine(comparison));
    } else {
        add("Witness", instructions::fact(comparison, conclusion));
    }
    add("Ceiling", conclusion.ceiling.as_ref().map(ceiling));
    add("Layouts", layouts(conclusion));
    add("Throughput", throughput(comparison, conclusion));
    add("Changed by", causes(comparison));
    add("Outside", outside(comparison));
    add("Policy", policy(comparison));
    for warning in &conclusion.warnings {
        add("Warning", Some(warning.clone()));
    }
    let not_checked = conclusion.not_checked.join(", ");
    add(
        "Not checked",
        Some(not_checked).filter(|text| !text.is_empty()),
    );
    if !alone {
        add("Machine", Some(machine(comparison, conclusion)));
        add("Pairs", Some(pairs(comparison, conclusion)));
    }
    add("Samples", samples(comparison, conclusion));
    add("Record", options.record.map(record));
    list
}

fn explained(comparison: &Comparison, conclusion: &Conclusion) -> Option<String> {
    let attribution = &conclusion.attribution;
    let parts = attribution.parts.as_ref();
    let said = match (attribution.kind, parts) {
        (AttributionKind::Explained, Some(parts)) => format!(
            "{} of the change sits in the changed functions and what they call; everything else moved by {}.",
            explained_share(parts),
            difference(parts, |p| &p.unexplained)
        ),
        (AttributionKind::PartlyExplained, Some(parts)) => format!(
            "{} of the change sits in the changed functions and what they call; code that the diff does not touch moved by {}{}.",
            explained_share(parts),
            difference(parts, |p| &p.unexplained),
            movers(comparison, &attribution.movers)
        ),
        (AttributionKind::NotExplained, Some(parts)) => format!(
            "no: the run moved by {}, the changed functions and what they call by {}{}{}.",
            difference(parts, |p| &p.whole),
            difference(parts, |p| &p.explained),
            movers(comparison, &attribution.movers),
            match comparison.witness {
                Some(_) => "",
                None => "; instruction counts (--witness) tell other work from code layout",
            }
        ),
        (AttributionKind::Masked, Some(parts)) => format!(
            "the changed functions and what they call moved by {}; they hold {} of the run, so that the whole does not show it.",
            difference(parts, |p| &p.explained),
            percent(parts.changed_share.value)
        ),
        (AttributionKind::NothingMoved, Some(parts)) => format!(
            "neither the run nor the changed functions moved beyond noise; at most {} of the run can be won in them.",
            percent(parts.possible_share.base.high.min(1.0))
        ),
        (AttributionKind::NotAttributable, _) => format!(
            "no function changed by line, so that nothing can be said of functions{}.",
            movers(comparison, &attribution.movers)
        ),
        (AttributionKind::NotJoinable, _) => {
            "unknown: code that ran has no debug information, or runs in an interpreter that does not name its functions, so that they cannot be joined to the diff; build with -g, or let the interpreter write a perf map.".to_owned()
        }
        (AttributionKind::NoCodeChanged, _) if comparison.base.tree == comparison.head.tree => {
            "there is nothing to explain: the trees are the same.".to_owned()
        }
        (AttributionKind::NoCodeChanged, _) => {
            "nothing but comments or formatting changed.".to_owned()
        }
        (AttributionKind::TooFewSamples, _) if conclusion.pairs < FEWEST_PAIRS => format!(
            "unknown: {} are too few to say where the time went, which takes {FEWEST_PAIRS}.",
            crate::numbers::counted(conclusion.pairs as u64, "pair")
        ),
        (AttributionKind::TooFewSamples, _) => {
            "unknown: there are too few samples to say where the time went.".to_owned()
        }
        (AttributionKind::TooManyLost, _) => format!(
            "unknown: less than {} of the samples were captured, which judge nothing.",
            percent(LEAST_CAPTURED)
        ),
        (AttributionKind::Waiting, _) => {
            "unknown: the time is spent waiting, which samples of CPU time do not see.".to_owned()
        }
        (AttributionKind::Unavailable, _) if comparison.metric == Metric::PeakMemory => {
            "unavailable: samples of CPU time do not tell who holds memory.".to_owned()
        }
        (AttributionKind::Unavailable, _) => "unavailable: nothing was sampled.".to_owned(),
        (_, None) => return None,
    };
    Some(said)
}

/// `24.7 % to win in ... (99 % interval 23.9 to 25.4)`: what no change of these functions can exceed.
fn ceiling(ceiling: &Ceiling) -> String {
    let share = &ceiling.share;
    let runs = crate::numbers::counted(ceiling.runs as u64, "run");
    let seen = percent(share.value);
    let interval = format!(
        "(99 % interval {} to {})",
        fixed(share.low * 100.0, 1),
        fixed(share.high * 100.0, 1)
    );
    if ceiling.is_hidden() {
        return format!(
            "unknown: {seen} was seen in the changed functions and what they call {interval}, but with code that cannot be joined to the diff and stacks that are cut it may be up to {}, by {runs} of base before any of head",
            percent(ceiling.most())
        );
    }
    format!(
        "{seen} to win in the changed functions and what they call {interval}, by {runs} of base before any of head"
    )
}

/// What the links of both refs say, each by itself.
fn layouts(conclusion: &Conclusion) -> Option<String> {
    let layouts = conclusion.layouts.as_ref()?;
    let mut text = format!("{} of each ref", layouts.count);
    text += &match layouts.placebo {
        Some(placebo) => format!(
            "; links of the same code differ by up to {} (noise alone would make {}), and the margin is {}",
            percent(placebo),
            percent(layouts.noise.unwrap_or(f64::NAN)),
            percent(layouts.margin)
        ),
        None => format!(
            "; too few pairs of each to know what layout does, so the margin is {}",
            percent(layouts.margin)
        ),
    };
    let changes = layouts.rows.iter().map(|row| row.ratio.value - 1.0);
    let changes: Vec<f64> = changes.filter(|change| change.is_finite()).collect();
    let least = changes.iter().copied().fold(f64::INFINITY, f64::min);
    let most = changes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if least <= most {
        text += &format!("; head by links: {} to {}", change(least), change(most));
    }
    let decided = matches!(conclusion.outcome, Outcome::Faster | Outcome::Slower);
    if decided && layouts.can_show() {
        text += &format!(
            "; {} of {} links show it by themselves",
            layouts.showing(conclusion.outcome),
            layouts.rows.len()
        );
    }
    Some(text)
}

/// `4.9 % less` for a negative fraction.
fn change(fraction: f64) -> String {
    let word = if fraction < 0.0 { "less" } else { "more" };
    format!("{} {word}", percent(fraction.abs()))
}

/// `12.4 runs a second at base, 15.1 at head, 8 at once`.
fn throughput(comparison: &Comparison, conclusion: &Conclusion) -> Option<String> {
    let setup = &comparison.setup;
    let at_once = setup.concurrency.max(1);
    let mut rows = conclusion.metrics.iter();
    let wall = rows.find(|row| row.quantity == Quantity::WallTime)?;
    let runs = f64::from(at_once) * f64::from(setup.repetitions.max(1));
    let a_second = |wall_ns: f64| fixed(runs / (wall_ns / 1e9), 1);
    (at_once > 1 && wall.base > 0.0 && wall.head > 0.0).then(|| {
        format!(
            "{} runs a second at base, {} at head, {at_once} at once",
            a_second(wall.base),
            a_second(wall.head)
        )
    })
}

/// What a keep needs, where that is more than the margin.
fn policy(comparison: &Comparison) -> Option<String> {
    let rule = &comparison.rule;
    if comparison.policy == hotproof_diff::Policy::STATISTICAL {
        return None;
    }
    let mut needs = Vec::new();
    if rule.gain > 0.0 {
        needs.push(format!("a gain above {}", percent(rule.gain)));
    }
    if rule.needs_hot {
        needs.push("a changed function on the hot path".to_owned());
    }
    if rule.workloads > 1 {
        needs.push(format!(
            "{} times the evidence, one for each workload",
            rule.workloads
        ));
    }
    let needs = if needs.is_empty() {
        "a gain beyond the margin".to_owned()
    } else {
        needs.join(", ")
    };
    let mut text = format!("{}: a keep needs {needs}", comparison.policy);
    if comparison.policy == "async" && comparison.setup.concurrency < 2 {
        text += "; judged one run at a time, --concurrency N runs as many at once as in production";
    }
    Some(text)
}

/// `99 %`, or with its interval when that is wide.
fn explained_share(parts: &Decomposition) -> String {
    match parts.explained_share {
        Some(share) if share.is_bounded() => format!(
            "{} % ({} to {})",
            fixed(share.value * 100.0, 0),
            fixed(share.low * 100.0, 0),
            fixed(share.high * 100.0, 0)
        ),
        Some(share) => format!("{} %", fixed(share.value * 100.0, 0)),
        None => "an unknown part".to_owned(),
    }
}

/// `-0.04 ms (-0.34 .. 0.26)`.
fn difference(
    parts: &Decomposition,
    part: fn(&Decomposition) -> &hotproof_diff::Estimate,
) -> String {
    let estimate = part(parts);
    let unit = TimeUnit::fine(parts.whole.value.abs().max(estimate.value.abs()));
    format!(
        "{} ({})",
        unit.show_signed(estimate.value),
        time_interval(estimate, unit)
    )
}

fn movers(comparison: &Comparison, rows: &[FunctionRow]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!("; the largest movers: {}", names(comparison, rows))
}

fn names(comparison: &Comparison, rows: &[FunctionRow]) -> String {
    // The tables and the page have the whole of a name that templates made long.
    const WIDEST: usize = 60;
    let names: Vec<String> = rows
        .iter()
        .map(|&row| cut_middle(&comparison.functions[row].name, WIDEST))
        .collect();
    names.join(", ")
}

/// Functions whose own lines did not change, grouped by what changed instead.
fn causes(comparison: &Comparison) -> Option<String> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for function in &comparison.functions {
        let Some(cause) = function.cause_in_words() else {
            continue;
        };
        match groups.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, names)) => names.push(&function.name),
            None => groups.push((cause, vec![&function.name])),
        }
    }
    let mut parts: Vec<String> = groups
        .iter()
        .take(LISTED)
        .map(|(cause, names)| match names[..] {
            [name] => format!("{name} ({cause})"),
            _ => format!("{} functions, {} first ({cause})", names.len(), names[0]),
        })
        .collect();
    if groups.len() > LISTED {
        parts.push(format!("{} more", groups.len() - LISTED));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn outside(comparison: &Comparison) -> Option<String> {
    if comparison.outside.is_empty() {
        return None;
    }
    let mut parts: Vec<String> = comparison
        .outside
        .iter()
        .take(LISTED)
        .map(|change| {
            let reach = match change.what.as_str() {
                "build file" | BUILD_FLAGS => ", reaches every function",
                _ => "",
            };
            format!("{}:{} ({}{reach})", change.file, change.line, change.what)
        })
        .collect();
    if comparison.outside.len() > LISTED {
        parts.push(format!("{} more", comparison.outside.len() - LISTED));
    }
    Some(format!(
        "changed outside any function: {}",
        parts.join(", ")
    ))
}

/// `cpu-clock, load 3.1 on 2 CPUs, identical builds differ by 0.4 %`.
pub(super) fn machine(comparison: &Comparison, conclusion: &Conclusion) -> String {
    let machine = &comparison.machine;
    let mut parts = Vec::new();
    match &machine.event {
        Some(event) if machine.rung.is_empty() => parts.push(event.clone()),
        Some(event) => parts.push(format!("{event} ({})", machine.rung)),
        None => parts.push("not sampled".to_owned()),
    }
    let cpus = if machine.cpus == 1 { "CPU" } else { "CPUs" };
    parts.push(format!(
        "load {} on {} {cpus}",
        fixed(machine.load, 1),
        machine.cpus
    ));
    if let Some(governor) = &machine.governor {
        parts.push(format!("governor {governor}"));
    }
    if let Some(stolen) = machine.stolen_pct {
        parts.push(format!("{} % of CPU time stolen", fixed(stolen, 1)));
    }
    if let Some(noise) = conclusion.noise {
        parts.push(format!(
            "identical builds differ by {} % (spread {} % over {} pairs)",
            fixed(noise.shift.abs() * 100.0, 1),
            fixed(noise.sd * 100.0, 1),
            noise.pairs
        ));
    }
    parts.join(", ")
}

fn pairs(comparison: &Comparison, conclusion: &Conclusion) -> String {
    let rule = comparison.rule;
    // What decided late had gone beyond the pairs that an early decision is made precise with.
    let most = match conclusion.decided_at {
        Some(_) if conclusion.pairs <= rule.precision_pairs => {
            rule.precision_pairs.min(rule.max_pairs)
        }
        _ => rule.max_pairs,
    };
    let mut text = format!(
        "{} of at most {}",
        conclusion.pairs,
        most.max(conclusion.pairs)
    );
    if let Some(at) = conclusion.decided_at {
        text += &format!(", decided after {at}");
    }
    if comparison.budget_used_up {
        text += ", the time budget is used up";
    }
    if let Some(more) = conclusion.projected_pairs {
        text += &format!(", about {} more would decide", count(more as u64));
    }
    if let Some(reason) = &comparison.metric_reason {
        text += &format!("; judged by {}: {reason}", judge(comparison));
    }
    text
}

/// What the verdict rests on.
fn judge(comparison: &Comparison) -> Cow<'static, str> {
    let name = match comparison.metric {
        Metric::CpuTime => "CPU time",
        Metric::WallTime => "wall time",
        Metric::Reported => match comparison.time_under() {
            Some(scope) => return format!("CPU time under {scope}").into(),
            None => "the time that the workload reports",
        },
        Metric::PeakMemory => "peak memory",
        Metric::Instructions => "instructions",
    };
    name.into()
}

fn samples(comparison: &Comparison, conclusion: &Conclusion) -> Option<String> {
    let samples = &conclusion.samples;
    let all = samples.base + samples.head;
    if all == 0 && samples.lost == 0 {
        return None;
    }
    let mut text = format!(
        "{} of base, {} of head",
        count(samples.base),
        count(samples.head)
    );
    if let Some(rate) = comparison.machine.rate_hz {
        text += &format!(" at {} Hz", count(rate));
    }
    if comparison.shared_time == SharedTime::Wall {
        text += " of wall time, where a wait counts as many as its time is worth";
    }
    text += &match samples.lost {
        0 => ", none lost".to_owned(),
        lost => format!(", {} lost", count(lost)),
    };
    if all > 0 {
        let complete = samples.complete as f64 / all as f64;
        text += &format!(", {} of stacks complete", percent(complete));
    }
    Some(text)
}

fn record(record: &str) -> String {
    format!(
        "{record}; again: hotproof verdict {}",
        crate::record::shell_word(record)
    )
}
