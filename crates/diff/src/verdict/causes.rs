//! Where a change comes from, in words: what explains it, and what is suspected where nothing does.

use super::table::Facts;
use super::words::percent;
use crate::attribution::{AttributionKind, Decomposition, Hot};
use crate::changes::is_script;
use crate::values::{Comparison, CountedFunction, Estimate, FunctionRow};

/// The changed functions that can be meant: the hot ones, or all when none is known to be hot.
fn changed_rows(facts: &Facts<'_>) -> Vec<FunctionRow> {
    let is_changed = |row: FunctionRow| facts.comparison.functions[row].change.is_some();
    let hot: Vec<FunctionRow> = facts
        .functions
        .iter()
        .filter(|result| is_changed(result.row) && result.hot == Hot::Yes)
        .map(|result| result.row)
        .collect();
    if hot.is_empty() {
        let rows = 0..facts.comparison.functions.len();
        rows.filter(|&row| is_changed(row)).collect()
    } else {
        hot
    }
}

/// `parse::number`, `a and b`, `the 5 changed functions`.
pub(super) fn changed_names(facts: &Facts<'_>) -> String {
    let rows = changed_rows(facts);
    let name = |row: FunctionRow| facts.comparison.functions[row].name.clone();
    match rows.as_slice() {
        [] => "the changed code".to_owned(),
        [one] => match facts.comparison.functions[*one].cause_in_words() {
            Some(cause) => format!("{} ({cause})", name(*one)),
            None => name(*one),
        },
        [one, two] => format!("{} and {}", name(*one), name(*two)),
        more => format!("the {} changed functions", more.len()),
    }
}

/// `explains` for one function, `explain` for several.
pub(super) fn verb(facts: &Facts<'_>, one: &'static str, several: &'static str) -> &'static str {
    if changed_rows(facts).len() < 2 {
        one
    } else {
        several
    }
}

pub(super) fn explained(facts: &Facts<'_>) -> String {
    let share = explained_share(facts).unwrap_or(1.0);
    format!(
        "{} {} {} of it",
        changed_names(facts),
        verb(facts, "explains", "explain"),
        how_much(share)
    )
}

/// `all` or `80 %`.
pub(super) fn how_much(share: f64) -> String {
    if share >= 0.95 {
        "all".to_owned()
    } else {
        format!("{:.0} %", share * 100.0)
    }
}

fn explained_share(facts: &Facts<'_>) -> Option<f64> {
    let parts = facts.attribution.parts.as_ref()?;
    parts.explained_share.map(|share| share.value)
}

/// What of a change sits in the changed functions, and what does not.
pub(super) fn partly(facts: &Facts<'_>) -> String {
    let names = changed_names(facts);
    match (&facts.attribution.parts, explained_share(facts)) {
        (Some(parts), Some(share)) if parts.unexplained.excludes(0.0) && share < 1.0 => format!(
            "{:.0} % of it sits in code that you did not touch{}",
            (1.0 - share) * 100.0,
            movers(facts)
        ),
        (Some(parts), Some(_)) if parts.unexplained.excludes(0.0) => format!(
            "{names} gained more than that, and code that you did not touch lost{}",
            movers(facts)
        ),
        (Some(parts), Some(share)) => format!(
            "{names} {} {} of it, and the rest is not known better than {}",
            verb(facts, "carries", "carry"),
            how_much(share),
            milliseconds_range(&parts.unexplained)
        ),
        _ => format!("{names} changed with it"),
    }
}

fn movers(facts: &Facts<'_>) -> String {
    let rows = &facts.attribution.movers;
    if rows.is_empty() {
        return String::new();
    }
    let name = |row: &FunctionRow| facts.comparison.functions[*row].name.as_str();
    let names: Vec<&str> = rows.iter().map(name).collect();
    format!(", most of all in {}", names.join(", "))
}

fn milliseconds_range(estimate: &Estimate) -> String {
    format!(
        "{:+.2} to {:+.2} ms",
        estimate.low / 1e6,
        estimate.high / 1e6
    )
}

/// Why functions cannot be joined to the diff, with the share of the run that it concerns.
pub(super) fn not_joinable(facts: &Facts<'_>) -> String {
    let share = |parts: &Decomposition| {
        let share = &parts.unjoinable_share;
        share.base.value.max(share.head.value)
    };
    let parts = facts.attribution.parts.as_ref();
    let share = percent(parts.map_or(0.0, share));
    if is_scripted(facts.comparison) {
        return format!(
            "{share} of the run is in an interpreter that does not name the functions of scripts (python -X perf, node --perf-basic-prof --interpreted-frames-native-stack)"
        );
    }
    format!(
        "code with {share} of the run has no debug information, so that its functions cannot be joined to the diff (build with -g)"
    )
}

/// Whether all functions that the diff touches are those of scripts.
fn is_scripted(comparison: &Comparison) -> bool {
    let changed = || comparison.functions.iter().filter(|f| f.change.is_some());
    let is_script = |file: &Option<String>| file.as_deref().is_some_and(is_script);
    changed().next().is_some() && changed().all(|f| is_script(&f.file))
}

pub(super) fn outside(facts: &Facts<'_>) -> String {
    let mut what: Vec<&str> = Vec::new();
    for change in &facts.comparison.outside {
        if !what.contains(&change.what.as_str()) {
            what.push(&change.what);
        }
    }
    match what.as_slice() {
        [] => "code outside of functions".to_owned(),
        some => some.join(", "),
    }
}

pub(super) fn slower_because(facts: &Facts<'_>) -> String {
    match facts.attribution.kind {
        AttributionKind::Explained => format!(", and {}", explained(facts)),
        AttributionKind::PartlyExplained => format!("; {}", partly(facts)),
        AttributionKind::NotExplained => format!(
            ", though not in {}: {}",
            changed_names(facts),
            suspicion(facts)
        ),
        AttributionKind::NotJoinable => format!(
            "; which functions carry it is unknown, because {}",
            not_joinable(facts)
        ),
        AttributionKind::NotAttributable if !facts.comparison.is_of_commands() => {
            format!(
                ", though no function changed by line: {} did",
                outside(facts)
            )
        }
        _ => String::new(),
    }
}

/// Where a change comes from that the changed functions do not show.
pub(super) fn suspicion(facts: &Facts<'_>) -> String {
    let Some(&row) = facts.attribution.movers.first() else {
        return "code layout or the environment is suspected".to_owned();
    };
    let function = &facts.comparison.functions[row];
    let place = match &function.file {
        Some(file) => format!(" ({file})"),
        None => String::new(),
    };
    format!(
        "it moved in {}{place}, which the diff does not touch{}",
        function.name,
        possible_causes(change_of_work(facts.comparison, row))
    )
}

/// What can move a function that the diff does not touch. A change of its instructions means that it
/// was given other work, or is other code; layout changes none.
fn possible_causes(work: Option<f64>) -> String {
    // Exact counts; still, a few differ from build to build (addresses that are hashed or sorted).
    const SAME: f64 = 0.01;
    const WORK: &str =
        "other arguments or data, a changed caller that jumps to it (a tail call), a constant";
    match work {
        None => format!("; {WORK}, or code layout can do that"),
        Some(ratio) if (ratio - 1.0).abs() <= SAME => {
            " and which executes as many instructions as \
            before: code layout can do that, or data that is found elsewhere"
                .to_owned()
        }
        Some(ratio) => format!(
            " but which executes {} instructions: {WORK}, but not code layout, can do that",
            how_many(ratio)
        ),
    }
}

/// `14.1 times as many`, `12 % fewer`.
fn how_many(ratio: f64) -> String {
    match ratio {
        2.0.. => format!("{ratio:.1} times as many"),
        1.0.. => format!("{} more", percent(ratio - 1.0)),
        _ => format!("{} fewer", percent(1.0 - ratio)),
    }
}

/// head / base of the instructions that a function executes itself, where a witness counted both.
fn change_of_work(comparison: &Comparison, row: FunctionRow) -> Option<f64> {
    let witness = comparison.witness.as_ref()?;
    let of = |functions: &[CountedFunction]| {
        let found = functions.binary_search_by_key(&row, |counted| counted.function);
        found.ok().map(|index| functions[index].own as f64)
    };
    let base = of(&witness.base.functions).filter(|&own| own > 0.0)?;
    Some(of(&witness.head.functions)? / base)
}
