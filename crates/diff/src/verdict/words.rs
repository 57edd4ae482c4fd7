//! The one sentence of each verdict.

use std::borrow::Cow;

use super::causes::{
    changed_names, explained, how_much, not_joinable, outside, partly, slower_because, suspicion,
    verb,
};
use super::table::{Facts, Reason};
use crate::attribution::{AttributionKind, Decomposition, Hot, LEAST_CAPTURED};
use crate::conclusion::{MetricRow, Outcome, Quantity, mostly_sleep};
use crate::statistics::FEWEST_PAIRS;
use crate::values::{Estimate, FunctionRow, Metric, SharedTime};
use crate::witness::Instructions;

/// The sentence, ready for a commit message; it does not repeat the verdict's word.
pub(crate) fn sentence(facts: &Facts<'_>, reason: Reason) -> String {
    match reason {
        Reason::TooNoisy { sd } => format!(
            "the machine is too noisy: two builds of the same base differ by {} from pair to pair, and above 30 % nothing can be told.",
            percent(sd)
        ),
        Reason::NoCodeChanged if is_same_tree(facts) && facts.pairs == 0 => {
            "base and head are the same tree, so there is nothing to measure.".to_owned()
        }
        Reason::NoCodeChanged if is_same_tree(facts) => {
            format!("base and head are the same tree; {}.", effect(facts))
        }
        Reason::NoCodeChanged if facts.pairs == 0 => {
            "nothing but comments or formatting changed, so there is nothing to measure.".to_owned()
        }
        Reason::NoCodeChanged => format!(
            "nothing but comments or formatting changed; {}.",
            effect(facts)
        ),
        Reason::NothingMeasured => "no pair of runs was measured.".to_owned(),
        Reason::NotKnownHot => format!(
            "{}, but {} {} not known to be on the hot path, which the policy {} asks for.",
            effect(facts),
            changed_names(facts),
            verb(facts, "is", "are"),
            facts.comparison.policy
        ),
        Reason::BelowPolicy => format!(
            "{}, and the policy {} keeps gains above {}.",
            effect(facts),
            facts.comparison.policy,
            percent(facts.comparison.rule.gain)
        ),
        Reason::OutputsDiffer => format!(
            "base and head print different output, so their times are those of different work (where that is meant, --allow-different-output compares them all the same); {}.",
            effect(facts)
        ),
        Reason::RunTooShort { time_ns } => match mostly_waits(facts) {
            Some(wall_ns) => format!(
                "a run takes only {:.1} ms of cpu time in {:.1} ms of wall time: it waits for the most part, so let wall time decide with --metric wall ({}).",
                time_ns / 1e6,
                wall_ns / 1e6,
                effect(facts)
            ),
            None => format!(
                "a run takes only {:.1} ms of {}, too short to tell the work from the start of the process; give the workload more work ({}).",
                time_ns / 1e6,
                facts.comparison.name_of(facts.comparison.metric.into()),
                effect(facts)
            ),
        },
        Reason::Explained => format!(
            "{}{}, and {}.",
            effect(facts),
            waiting(facts),
            explained(facts)
        ),
        Reason::PartlyExplained => {
            format!("{}{}; {}.", effect(facts), waiting(facts), partly(facts))
        }
        Reason::NotAttributable if facts.comparison.is_of_commands() => {
            format!("{}.", effect(facts))
        }
        Reason::NotAttributable => format!(
            "{}, though no function changed by line: {} did.",
            effect(facts),
            outside(facts)
        ),
        Reason::NotJoinable => format!(
            "{}; which functions carry it is unknown, because {}.",
            effect(facts),
            not_joinable(facts)
        ),
        Reason::Waiting => format!(
            "{}, which is time spent waiting: samples of CPU time cannot say where.",
            effect(facts)
        ),
        Reason::Unavailable if facts.comparison.metric == Metric::PeakMemory => format!(
            "{}; which functions hold it is unknown, because samples of CPU time do not tell.",
            effect(facts)
        ),
        Reason::Unavailable => format!(
            "{}; which functions carry it is unknown, because nothing was sampled.",
            effect(facts)
        ),
        Reason::NotExplained => format!(
            "{}, but {} did not get faster with it: {}.",
            effect(facts),
            changed_names(facts),
            suspicion(facts)
        ),
        Reason::HoldsOverLayouts => format!(
            "{}, though {} did not get faster with it.",
            effect(facts),
            changed_names(facts)
        ),
        Reason::TooFewSamples => format!(
            "{}, but there are too few samples to say whether {} did it; give the workload more work.",
            effect(facts),
            changed_names(facts)
        ),
        Reason::TooManyLost => format!(
            "{}, but so many samples were lost that those that are left cannot say whether {} did it: below {} nothing is attributed; compare again on a machine that is less busy.",
            effect(facts),
            changed_names(facts),
            percent(LEAST_CAPTURED)
        ),
        Reason::CpuAndWallDisagree => format!(
            "CPU time and wall time moved in opposite directions: {}.",
            both_times(facts)
        ),
        Reason::WallMoved => format!(
            "CPU time shows no difference of {} or more, but wall time does: {}. If what the \
             program waits for is its own matter, judge by --metric wall.",
            percent(facts.comparison.rule.minimum_effect),
            both_times(facts)
        ),
        Reason::Slower => format!(
            "{}{}{}.",
            effect(facts),
            waiting(facts),
            slower_because(facts)
        ),
        Reason::MicroOnly { function, gain } => micro_only(facts, function, gain),
        Reason::NotOnHotPath => not_on_hot_path(facts),
        Reason::NoEffect => format!(
            "no difference of {} or more: {}.",
            percent(facts.comparison.rule.minimum_effect),
            effect(facts)
        ),
        Reason::TooFewPairs => format!(
            "{} counted, and fewer than {FEWEST_PAIRS} pairs cannot decide anything; allow more pairs, give more time or a shorter workload.",
            counted(facts.pairs)
        ),
        Reason::Undecided => undecided(facts),
        Reason::InstructionsOfOtherWork => format!(
            "base and head print different output, so their instructions are those of different work; {}.",
            instructions(facts)
        ),
        Reason::Instructions => format!(
            "{}{}; instruction counts are not time.",
            instructions(facts),
            instructions_where(facts)
        ),
        Reason::InstructionsElsewhere => format!(
            "{}, but {} of the change lies in code that the diff does not touch; instruction counts are not time.",
            instructions(facts),
            percent(
                1.0 - facts
                    .testimony
                    .and_then(|it| it.explained_share)
                    .unwrap_or(1.0)
            )
        ),
    }
}

/// `head is 4.9 % faster (99 % interval 4.3 to 5.5)`.
fn effect(facts: &Facts<'_>) -> String {
    let Some(row) = facts.metrics.first() else {
        return "nothing was measured".to_owned();
    };
    effect_of(row, &metric_word(facts)) + &over_layouts(facts)
}

/// `, by waiting less`, where functions share wall time and most of what changed was no time on the
/// CPU.
fn waiting(facts: &Facts<'_>) -> &'static str {
    let delta = |quantity: Quantity| {
        let row = facts.metrics.iter().find(|row| row.quantity == quantity)?;
        Some(row.delta())
    };
    let deltas = delta(Quantity::WallTime).zip(delta(Quantity::CpuTime));
    match (facts.comparison.shared_time, deltas) {
        (SharedTime::Wall, Some((wall, cpu))) if (wall - cpu).abs() > 0.5 * wall.abs() => {
            match wall - cpu < 0.0 {
                true => ", by waiting less",
                false => ", by waiting longer",
            }
        }
        _ => "",
    }
}

/// `, over all 4 layouts of both`, where a gain or a loss was measured over several.
fn over_layouts(facts: &Facts<'_>) -> String {
    let decided = matches!(facts.outcome, Outcome::Faster | Outcome::Slower);
    match facts.layouts.filter(|_| decided) {
        None => String::new(),
        Some(layouts) if layouts.all_show(facts.outcome) => {
            format!(", over all {} layouts of both", layouts.count)
        }
        Some(layouts) if !layouts.can_show() => format!(
            ", over {} layouts of both, which have too few pairs each to show it by themselves",
            layouts.count
        ),
        Some(layouts) => format!(
            ", though only {} of {} layouts show it by themselves",
            layouts.showing(facts.outcome),
            layouts.rows.len()
        ),
    }
}

/// `head executes 12.3 % fewer instructions (12,345 to 10,827)`.
fn instructions(facts: &Facts<'_>) -> String {
    let (Some(testimony), Some(witness)) = (facts.testimony, &facts.comparison.witness) else {
        return "nothing was counted".to_owned();
    };
    let (base, head) = (witness.base.instructions, witness.head.instructions);
    if base == head {
        return format!(
            "head executes exactly as many instructions ({})",
            grouped(base)
        );
    }
    let word = if head < base { "fewer" } else { "more" };
    let digits = if testimony.change.abs() < 0.001 { 3 } else { 1 };
    format!(
        "head executes {} % {word} instructions ({} to {})",
        number(testimony.change, digits),
        grouped(base),
        grouped(head)
    )
}

/// `, and a explains all of it`; for what the changed functions hold, `; a holds 0.2 % of the run`.
fn instructions_where(facts: &Facts<'_>) -> String {
    let Some(testimony) = facts.testimony else {
        return String::new();
    };
    if facts
        .comparison
        .functions
        .iter()
        .all(|f| f.change.is_none())
    {
        return format!(
            ", though no function changed by line: {} did",
            outside(facts)
        );
    }
    let names = changed_names(facts);
    match (testimony.direction, testimony.explained_share) {
        (Instructions::Same, _) | (_, None) => format!(
            "; {names} {} {} of them",
            verb(facts, "holds", "hold"),
            percent((testimony.changed_share * 1_000.0).ceil() / 1_000.0)
        ),
        (_, Some(share)) if share >= 0.05 => format!(
            ", and {names} {} {} of it",
            verb(facts, "explains", "explain"),
            how_much(share)
        ),
        _ => format!(", though not in {names}"),
    }
}

/// `1,234,567`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// CPU time is what everyone means; wall time is named.
fn metric_word(facts: &Facts<'_>) -> Cow<'static, str> {
    let word = match facts.comparison.metric {
        Metric::CpuTime => "",
        Metric::WallTime => " by wall time",
        Metric::Reported => match facts.comparison.time_under() {
            Some(scope) => return format!(" by CPU time under {scope}").into(),
            None => " by the time that it reports",
        },
        Metric::PeakMemory => " by peak memory",
        Metric::Instructions => " by instructions",
    };
    word.into()
}

/// Wall time of a run of base, in nanoseconds, where CPU time decides and hardly any of it is that.
fn mostly_waits(facts: &Facts<'_>) -> Option<f64> {
    let is_wall = |row: &&MetricRow| row.quantity == Quantity::WallTime;
    let wall = facts.metrics.iter().find(is_wall)?;
    let is_long = wall.base >= facts.comparison.rule.shortest_run_ns as f64;
    (is_long && mostly_sleep(facts.comparison)).then_some(wall.base)
}

fn effect_of(row: &MetricRow, suffix: &str) -> String {
    let change = row.head / row.base - 1.0;
    let signed = |change, digits| signed_as(row.quantity, change, digits);
    let Some(ratio) = row.ratio.filter(Estimate::is_bounded) else {
        return format!(
            "head looks {}{suffix}, without an interval yet",
            signed(change, 1)
        );
    };
    let digits = digits_for(ratio.half_width());
    let point = if is_shown_as_zero(change, digits) {
        match row.quantity {
            Quantity::PeakMemory => "head is as large as base".to_owned(),
            Quantity::Instructions => "head takes as much as base".to_owned(),
            _ => "head is as fast as base".to_owned(),
        }
    } else {
        format!("head is {}", signed(change, digits))
    };
    format!(
        "{point}{suffix} (99 % interval {})",
        range(
            row.quantity,
            ratio.low - 1.0,
            ratio.high - 1.0,
            change,
            digits
        )
    )
}

/// `4.3 to 5.5` when both ends lie on the side of the estimate, else with words.
fn range(quantity: Quantity, low: f64, high: f64, change: f64, digits: usize) -> String {
    if change < 0.0 && high <= 0.0 {
        format!("{} to {}", number(high, digits), number(low, digits))
    } else if change > 0.0 && low >= 0.0 {
        format!("{} to {}", number(low, digits), number(high, digits))
    } else {
        let signed = |change| signed_as(quantity, change, digits);
        format!("{} to {}", signed(low), signed(high))
    }
}

/// Two digits after the point for intervals narrower than a fifth of a per cent, else one.
fn digits_for(half_width: f64) -> usize {
    if half_width < 0.001 { 2 } else { 1 }
}

fn is_shown_as_zero(fraction: f64, digits: usize) -> bool {
    number(fraction, digits)
        .chars()
        .all(|c| matches!(c, '0' | '.'))
}

/// The size of a fraction in per cent, without sign and unit.
fn number(fraction: f64, digits: usize) -> String {
    format!("{:.digits$}", (fraction * 100.0).abs())
}

/// `4.9 % faster` for a negative change of time.
fn signed(change: f64, digits: usize) -> String {
    signed_as(Quantity::CpuTime, change, digits)
}

/// `4.9 % smaller` for a negative change of memory.
fn signed_as(quantity: Quantity, change: f64, digits: usize) -> String {
    let (less, more) = match quantity {
        Quantity::PeakMemory => ("smaller", "larger"),
        Quantity::Instructions => ("shorter", "longer"),
        _ => ("faster", "slower"),
    };
    let word = if change > 0.0 { more } else { less };
    format!("{} % {word}", number(change, digits))
}

/// `1 %`, `0.5 %`, `24.7 %`.
pub(super) fn percent(fraction: f64) -> String {
    let text = number(fraction, 1);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

fn both_times(facts: &Facts<'_>) -> String {
    let one = |row: &MetricRow| {
        let change = row.head / row.base - 1.0;
        format!("{} {}", row.quantity.name(), signed(change, 1))
    };
    let rows: Vec<String> = facts.metrics.iter().take(2).map(one).collect();
    rows.join(", ")
}

fn is_same_tree(facts: &Facts<'_>) -> bool {
    facts.comparison.base.tree == facts.comparison.head.tree
}

fn micro_only(facts: &Facts<'_>, function: FunctionRow, gain: f64) -> String {
    let result = facts.functions.iter().find(|result| result.row == function);
    let share = result.map_or(f64::NAN, |result| result.hot_share.value);
    format!(
        "{} got {} faster; it holds {} of the run, so {}.",
        facts.comparison.functions[function].name,
        percent(gain),
        percent(share),
        small_gain(facts)
    )
}

fn small_gain(facts: &Facts<'_>) -> String {
    if facts.attribution.kind == AttributionKind::Masked {
        let pairs = pairs(facts.pairs);
        format!("the end-to-end gain is below what {pairs} can show")
    } else {
        format!("the end-to-end gain is small: {}", effect(facts))
    }
}

fn not_on_hot_path(facts: &Facts<'_>) -> String {
    format!("{}, and {}.", coldness(facts), effect(facts))
}

/// `parse::number holds at most 0.2 % of the run`, rounded up.
fn coldness(facts: &Facts<'_>) -> String {
    let parts = facts.attribution.parts.as_ref();
    let high = |parts: &Decomposition| {
        let possible = &parts.possible_share;
        possible.base.high.max(possible.head.high).min(1.0)
    };
    let at_most = parts.map_or(1.0, high);
    format!(
        "{} {} at most {} of the run",
        changed_names(facts),
        verb(facts, "holds", "hold"),
        percent((at_most * 1_000.0).ceil() / 1_000.0)
    )
}

/// `between 0.3 % slower and 1.4 % faster after 150 pairs; about 240 more would decide 0.5 %.`
fn undecided(facts: &Facts<'_>) -> String {
    let ratio = facts.metrics.first().and_then(|row| row.ratio);
    let found = match ratio.filter(Estimate::is_bounded) {
        Some(ratio) => {
            let digits = digits_for(ratio.half_width());
            let quantity = Quantity::from(facts.comparison.metric);
            format!(
                "head is between {} and {}{} after {}",
                signed_as(quantity, ratio.high - 1.0, digits),
                signed_as(quantity, ratio.low - 1.0, digits),
                metric_word(facts),
                counted_and_ended(facts)
            )
        }
        None => format!("{} and no interval yet", counted(facts.pairs)),
    };
    let more = match facts.projected_pairs {
        Some(more) => format!(
            "about {more} more would decide {}",
            percent(facts.margin().max(facts.comparison.rule.gain))
        ),
        None => "more pairs would hardly decide it".to_owned(),
    };
    if facts.attribution.hot == Hot::No {
        format!("{found}, and {}; {more}.", coldness(facts))
    } else {
        format!("{found}; {more}.")
    }
}

/// `150 pairs`, and whether time was what ended them.
fn counted_and_ended(facts: &Facts<'_>) -> String {
    let pairs = pairs(facts.pairs);
    if facts.comparison.budget_used_up {
        format!("{pairs}, when the time budget was used up")
    } else {
        pairs
    }
}

fn pairs(count: usize) -> String {
    match count {
        1 => "1 pair".to_owned(),
        more => format!("{more} pairs"),
    }
}

fn counted(count: usize) -> String {
    match count {
        1 => "only 1 pair was".to_owned(),
        more => format!("only {more} pairs were"),
    }
}
