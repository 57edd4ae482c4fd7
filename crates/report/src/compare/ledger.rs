//! Files of others that a comparison has a place in: a table of results, a hand-over note.
//!
//! Each result stands there once for a pair of commits and a workload: measured again, it takes
//! its old place.

use hotproof_diff::{Comparison, Conclusion, Quantity, shown};

use super::{Options, markdown};
use crate::quantities::quantity_id;

/// Columns of the table, in order.
const COLUMNS: [&str; 16] = [
    "base",
    "head",
    "workload",
    "verdict",
    "exit_code",
    "metric",
    "base_value",
    "head_value",
    "change_pct",
    "ci_low_pct",
    "ci_high_pct",
    "pairs",
    "explained_pct",
    "peak_memory_change_pct",
    "policy",
    "reason",
];
/// Columns that say which comparison a row is of.
const IDENTITY: usize = 3;

/// The table with the row of a comparison: in the place of the one of the same commits and
/// workload, else at the end. An empty text becomes a table with its heading.
pub fn tsv(text: &str, comparison: &Comparison, conclusion: &Conclusion) -> String {
    let cells = row(comparison, conclusion).map(|cell| clean(&cell));
    let own = cells.join("\t");
    let is_same = |line: &str| {
        let mut others = line.split('\t');
        cells[..IDENTITY]
            .iter()
            .all(|cell| others.next() == Some(cell))
    };
    let mut lines: Vec<&str> = text.lines().collect();
    let heading = COLUMNS.join("\t");
    if lines.is_empty() {
        lines.push(&heading);
    }
    match lines.iter().position(|line| is_same(line)) {
        Some(at) => lines[at] = &own,
        None => lines.push(&own),
    }
    lines.join("\n") + "\n"
}

fn row(comparison: &Comparison, conclusion: &Conclusion) -> [String; COLUMNS.len()] {
    let number = |value: Option<f64>, digits: usize| {
        value
            .filter(|value| value.is_finite())
            .map_or_else(String::new, |value| format!("{value:.digits$}"))
    };
    let primary = conclusion.primary();
    let ratio = primary.and_then(|row| row.ratio);
    let per_cent = |ratio: Option<f64>| number(ratio.map(|ratio| (ratio - 1.0) * 100.0), 3);
    let memory = conclusion
        .metrics
        .iter()
        .find(|row| row.quantity == Quantity::PeakMemory);
    let share = conclusion.attribution.parts.as_ref();
    let share = share.and_then(|parts| parts.explained_share);
    let counted = comparison.witness.as_ref().filter(|witness| witness.alone);
    if let (Some(witness), Some(testimony)) = (counted, &conclusion.testimony) {
        let explained = testimony.explained_share.map(|share| share * 100.0);
        return [
            comparison.base.commit.clone(),
            comparison.head.commit.clone(),
            workload(comparison),
            conclusion.verdict.id().to_owned(),
            conclusion.exit_code().to_string(),
            quantity_id(Quantity::Instructions).to_owned(),
            witness.base.instructions.to_string(),
            witness.head.instructions.to_string(),
            number(Some(testimony.change * 100.0), 3),
            String::new(),
            String::new(),
            "0".to_owned(),
            number(explained, 1),
            String::new(),
            comparison.policy.clone(),
            conclusion.reason.clone(),
        ];
    }
    [
        comparison.base.commit.clone(),
        comparison.head.commit.clone(),
        workload(comparison),
        conclusion.verdict.id().to_owned(),
        conclusion.exit_code().to_string(),
        quantity_id(comparison.metric.into()).to_owned(),
        number(primary.map(|row| row.base), 3),
        number(primary.map(|row| row.head), 3),
        per_cent(ratio.map(|ratio| ratio.value)),
        per_cent(ratio.map(|ratio| ratio.low)),
        per_cent(ratio.map(|ratio| ratio.high)),
        conclusion.pairs.to_string(),
        number(share.map(|share| share.value * 100.0), 1),
        per_cent(memory.and_then(|row| row.ratio).map(|ratio| ratio.value)),
        comparison.policy.clone(),
        conclusion.reason.clone(),
    ]
}

fn workload(comparison: &Comparison) -> String {
    match &comparison.setup.workload {
        Some(name) => name.clone(),
        None => shown(&comparison.command.join(" ")),
    }
}

/// Without what would break a row.
fn clean(cell: &str) -> String {
    cell.replace(['\t', '\n', '\r'], " ")
}

/// How every mark of a block starts, whichever comparison it is of.
const MARK: &str = "<!-- hotproof: ";

/// A Markdown text with the result of a comparison between marks of its own: in the place of the
/// block of the same commits and workload, else at the end. What stands around is left as it is, also
/// where somebody took a mark away: then nobody knows where the old block ends, and it stays.
pub fn handoff(
    text: &str,
    comparison: &Comparison,
    conclusion: &Conclusion,
    record: Option<&str>,
) -> String {
    let short = |commit: &str| commit.chars().take(12).collect::<String>();
    // `--` would end an HTML comment early for some readers.
    let workload = clean(&workload(comparison)).replace("--", "- -");
    let name = format!(
        "{}..{} {workload}",
        short(&comparison.base.commit),
        short(&comparison.head.commit)
    );
    let (begin, end) = (
        format!("{MARK}begin {name} -->"),
        format!("{MARK}end {name} -->"),
    );
    let options = Options {
        record,
        ..Options::default()
    };
    let title = format!(
        "## {} to {}: {}",
        comparison.base.name, comparison.head.name, workload
    );
    let body = markdown(comparison, conclusion, &options);
    let block = format!("{begin}\n{title}\n\n{}\n{end}", body.trim_end());
    match whole_block(text, &begin, &end) {
        Some((from, to)) => format!("{}{block}{}", &text[..from], &text[to..]),
        None if text.is_empty() => block + "\n",
        None => format!("{}\n\n{block}\n", text.trim_end()),
    }
}

/// The place of the first whole block with these marks: no other mark stands between its two.
fn whole_block(text: &str, begin: &str, end: &str) -> Option<(usize, usize)> {
    text.match_indices(begin).find_map(|(from, _)| {
        let inside = from + begin.len();
        let next = inside + text[inside..].find(MARK)?;
        let ends = text[next..].starts_with(end);
        ends.then_some((from, next + end.len()))
    })
}
