//! Instruction counts: tables where they stand alone, one sentence beside a measured time.

use std::collections::BTreeMap;

use hotproof_diff::{
    Agreement, Comparison, Conclusion, CountedFunction, FunctionRow, InstructionCount, Testimony,
    Witness,
};

use serde::Serialize;

use super::Options;
use super::page::{Heading, Row, Table, Weight};
use crate::numbers::{count, fixed, percent, with_sign};

const END_TO_END: &str = "End to End";
const BREAKDOWN: &str = "Instructions by Function";
const LINES: &str = "Instructions by Line";
/// So many lines of changed functions are shown of each ref.
const SHOWN_LINES: usize = 6;

/// The tables of a comparison by instructions alone.
pub(super) fn tables(
    comparison: &Comparison,
    witness: &Witness,
    options: &Options<'_>,
) -> Vec<Table> {
    let mut tables = vec![end_to_end(witness), breakdown(comparison, witness, options)];
    let lines = lines(comparison, witness);
    if !lines.rows.is_empty() {
        tables.push(lines);
    }
    tables
}

/// What the witness says beside the time: `agree: -3.1 % (1,234,567 to 1,196,295)`.
pub(super) fn fact(comparison: &Comparison, conclusion: &Conclusion) -> Option<String> {
    let witness = comparison.witness.as_ref()?;
    let testimony = conclusion.testimony.as_ref()?;
    let word = match testimony.agreement {
        Agreement::Agrees => "instructions agree: ",
        Agreement::Disagrees => "instructions disagree: ",
        Agreement::NoOpinion => "instructions: ",
    };
    let explained = match testimony.explained_share {
        Some(share) if has_changed(comparison) => format!(
            ", {} % of it in the changed functions and what they call",
            fixed(share * 100.0, 0)
        ),
        _ => String::new(),
    };
    Some(format!(
        "{word}{} ({} to {}){explained}; counted by {} in one run of each, and no time",
        change(testimony.change),
        count(witness.base.instructions),
        count(witness.head.instructions),
        witness.engine
    ))
}

/// Who counted, and what that is worth.
pub(super) fn engine(comparison: &Comparison) -> Option<String> {
    let witness = comparison.witness.as_ref()?;
    Some(format!(
        "{}, one run of each ref; the same in every run of a program that does the same, but no time: caches, branches and vector instructions are not in it",
        witness.engine
    ))
}

/// How far the changed functions explain the change, where nothing but instructions was measured.
pub(super) fn explained(comparison: &Comparison, testimony: &Testimony) -> Option<String> {
    let share = testimony.explained_share?;
    has_changed(comparison).then(|| {
        format!(
            "{} % of the change sits in the changed functions and what they call; everything else moved by {} instructions. What several functions call is shared out by the cost of their calls.",
            fixed(share * 100.0, 0),
            difference(testimony.delta - testimony.explained)
        )
    })
}

fn has_changed(comparison: &Comparison) -> bool {
    comparison.functions.iter().any(|it| it.change.is_some())
}

/// `-3.1 %`; small changes with more digits, because they are exact.
fn change(fraction: f64) -> String {
    let digits = if fraction != 0.0 && fraction.abs() < 0.001 {
        4
    } else {
        1
    };
    with_sign(format!("{} %", fixed(fraction * 100.0, digits)))
}

fn difference(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    with_sign(format!("{sign}{}", count(value.unsigned_abs())))
}

fn change_of(base: u64, head: u64) -> String {
    match base {
        0 => "-".to_owned(),
        _ => change(head as f64 / base as f64 - 1.0),
    }
}

fn cells(base: u64, head: u64) -> [String; 4] {
    [
        count(base),
        count(head),
        difference(head.cast_signed().saturating_sub(base.cast_signed())),
        change_of(base, head),
    ]
}

/// What the events of callgrind's simulated caches are to people.
fn event_name(name: &str) -> String {
    let words = match name {
        "Dr" => "reads",
        "Dw" => "writes",
        "I1mr" => "L1 code misses",
        "D1mr" => "L1 read misses",
        "D1mw" => "L1 write misses",
        "ILmr" => "last-level code misses",
        "DLmr" => "last-level read misses",
        "DLmw" => "last-level write misses",
        other => other,
    };
    words.to_owned()
}

fn end_to_end(witness: &Witness) -> Table {
    let (base, head) = (&witness.base, &witness.head);
    let mut rows = vec![Row {
        cells: std::iter::once("instructions".to_owned())
            .chain(cells(base.instructions, head.instructions))
            .collect(),
        weight: Weight::Strong,
    }];
    for (base, head) in base.events.iter().zip(&head.events) {
        rows.push(Row {
            cells: std::iter::once(event_name(&base.name))
                .chain(cells(base.count, head.count))
                .collect(),
            weight: Weight::Plain,
        });
    }
    Table {
        headings: vec![
            Heading::name(END_TO_END, 12),
            Heading::figure("base"),
            Heading::figure("head"),
            Heading::figure("delta").optional(1),
            Heading::figure("change"),
        ],
        rows,
        notes: Vec::new(),
    }
}

/// What both refs have of one function.
#[derive(Clone, Copy, Default)]
struct Both {
    base: Option<CountedFunction>,
    head: Option<CountedFunction>,
}

impl Both {
    fn of(&self, value: fn(&CountedFunction) -> u64) -> (u64, u64) {
        let one = |side: &Option<CountedFunction>| side.as_ref().map_or(0, value);
        (one(&self.base), one(&self.head))
    }

    fn moved(&self) -> u64 {
        let (base, head) = self.of(|it| it.own);
        base.abs_diff(head)
    }
}

fn functions(witness: &Witness) -> BTreeMap<FunctionRow, Both> {
    let mut all = BTreeMap::<FunctionRow, Both>::new();
    for entry in &witness.base.functions {
        all.entry(entry.function).or_default().base = Some(*entry);
    }
    for entry in &witness.head.functions {
        all.entry(entry.function).or_default().head = Some(*entry);
    }
    all
}

/// Changed functions by what they hold, then the largest movers.
fn breakdown(comparison: &Comparison, witness: &Witness, options: &Options<'_>) -> Table {
    let is_changed = |row: &FunctionRow| comparison.functions[*row].change.is_some();
    let (mut changed, mut others): (Vec<_>, Vec<_>) = functions(witness)
        .into_iter()
        .partition(|(row, _)| is_changed(row));
    let held = |both: &Both| {
        let (base, head) = both.of(|it| it.total.unwrap_or(it.own));
        base.max(head)
    };
    changed.sort_by_key(|(row, both)| (std::cmp::Reverse(held(both)), *row));
    others.sort_by_key(|(row, both)| (std::cmp::Reverse(both.moved()), *row));
    let rest = others.split_off(options.movers.min(others.len()));
    let shown = changed.iter().chain(&others);
    let mut rows: Vec<Row> = shown
        .map(|(row, both)| function_row(comparison, *row, both))
        .collect();
    if !rest.is_empty() {
        let sum = |value: fn(&CountedFunction) -> u64| {
            rest.iter().fold((0, 0), |(base, head), (_, both)| {
                let (b, h) = both.of(value);
                (base + b, head + h)
            })
        };
        let (base, head) = sum(|it| it.own);
        let mut cells: Vec<String> = vec![format!("  {} others", count(rest.len() as u64))];
        cells.extend(self::cells(base, head));
        cells.extend([String::new(), String::new()]);
        rows.push(Row {
            cells,
            weight: Weight::Others,
        });
    }
    Table {
        headings: vec![
            Heading::function(BREAKDOWN, 22),
            Heading::figure("base"),
            Heading::figure("head"),
            Heading::figure("delta").optional(1),
            Heading::figure("change"),
            Heading::figure("with calls").optional(2),
            Heading::figure("calls").optional(3),
        ],
        rows,
        notes: vec![
            "own instructions of one run, with library code inlined into the function; with calls: the function and what it calls, at head; calls: to the function, at head, inlined and recursive ones not counted; *: changed in this diff"
                .to_owned(),
        ],
    }
}

fn function_row(comparison: &Comparison, row: FunctionRow, both: &Both) -> Row {
    let function = &comparison.functions[row];
    let is_changed = function.change.is_some();
    let (base, head) = both.of(|it| it.own);
    let mark = if is_changed { "* " } else { "  " };
    let mut cells: Vec<String> = vec![format!("{mark}{}", function.name)];
    cells.extend(self::cells(base, head));
    let total = both.head.and_then(|it| it.total);
    cells.push(total.map_or_else(|| "-".to_owned(), count));
    cells.push(count(both.head.map_or(0, |it| it.calls)));
    Row {
        cells,
        weight: if is_changed {
            Weight::Strong
        } else {
            Weight::Plain
        },
    }
}

/// The dearest lines of changed functions, of each ref: lines move, so that they are not paired.
fn lines(comparison: &Comparison, witness: &Witness) -> Table {
    let mut rows = Vec::new();
    for (side, counted) in [("base", &witness.base), ("head", &witness.head)] {
        let mut lines = counted.lines.clone();
        lines.sort_by_key(|it| (std::cmp::Reverse(it.instructions), it.function, it.line));
        lines.truncate(SHOWN_LINES);
        rows.extend(lines.iter().map(|line| Row {
            cells: vec![
                place(comparison, line.function, line.line),
                side.to_owned(),
                count(line.instructions),
                share(line.instructions, counted),
            ],
            weight: Weight::Plain,
        }));
    }
    Table {
        headings: vec![
            Heading::name(LINES, 22),
            Heading::name("ref", 4),
            Heading::figure("instructions"),
            Heading::figure("share"),
        ],
        rows,
        notes: Vec::new(),
    }
}

/// What agents read of the counts.
#[derive(Serialize)]
pub(super) struct Instructions<'a> {
    engine: &'a str,
    alone: bool,
    agreement: &'static str,
    base: u64,
    head: u64,
    change_pct: f64,
    explained_delta: i64,
    explained_pct: Option<f64>,
    changed_own: Pair,
    changed_calls: Pair,
    events: Vec<EventLine<'a>>,
    functions: Vec<FunctionLine<'a>>,
    lines: Lines<'a>,
}

#[derive(Serialize)]
struct Pair {
    base: u64,
    head: u64,
}

#[derive(Serialize)]
struct EventLine<'a> {
    name: &'a str,
    base: u64,
    head: u64,
}

#[derive(Serialize)]
struct FunctionLine<'a> {
    key: &'a str,
    changed: bool,
    own: Pair,
    total_base: Option<u64>,
    total_head: Option<u64>,
    calls: Pair,
}

#[derive(Serialize)]
struct Lines<'a> {
    base: Vec<SourceLine<'a>>,
    head: Vec<SourceLine<'a>>,
}

#[derive(Serialize)]
struct SourceLine<'a> {
    function: &'a str,
    line: Option<u32>,
    instructions: u64,
}

/// The counts for agents; `None` when nobody asked for them.
pub(super) fn json<'a>(
    comparison: &'a Comparison,
    conclusion: &Conclusion,
) -> Option<Instructions<'a>> {
    let witness = comparison.witness.as_ref()?;
    let testimony = conclusion.testimony.as_ref()?;
    let (base, head) = (&witness.base, &witness.head);
    let pair = |of: fn(&InstructionCount) -> u64| Pair {
        base: of(base),
        head: of(head),
    };
    let events = base.events.iter().zip(&head.events);
    let lines = |counted: &'a InstructionCount| {
        let lines = counted.lines.iter().map(|it| SourceLine {
            function: &comparison.functions[it.function].key,
            line: Some(it.line).filter(|&line| line > 0),
            instructions: it.instructions,
        });
        lines.collect()
    };
    Some(Instructions {
        engine: &witness.engine,
        alone: witness.alone,
        agreement: match testimony.agreement {
            Agreement::Agrees => "agrees",
            Agreement::Disagrees => "disagrees",
            Agreement::NoOpinion => "no_opinion",
        },
        base: base.instructions,
        head: head.instructions,
        change_pct: testimony.change * 100.0,
        explained_delta: testimony.explained,
        explained_pct: testimony.explained_share.map(|share| share * 100.0),
        changed_own: pair(|it| it.changed_own),
        changed_calls: pair(|it| it.changed_below),
        events: events
            .map(|(base, head)| EventLine {
                name: &base.name,
                base: base.count,
                head: head.count,
            })
            .collect(),
        functions: functions(witness)
            .iter()
            .map(|(&row, both)| function_line(comparison, row, both))
            .collect(),
        lines: Lines {
            base: lines(base),
            head: lines(head),
        },
    })
}

fn function_line<'a>(
    comparison: &'a Comparison,
    row: FunctionRow,
    both: &Both,
) -> FunctionLine<'a> {
    let function = &comparison.functions[row];
    let pair = |of: fn(&CountedFunction) -> u64| {
        let (base, head) = both.of(of);
        Pair { base, head }
    };
    let total = |side: Option<CountedFunction>| side.and_then(|it| it.total);
    FunctionLine {
        key: &function.key,
        changed: function.change.is_some(),
        own: pair(|it| it.own),
        total_base: total(both.base),
        total_head: total(both.head),
        calls: pair(|it| it.calls),
    }
}

fn share(instructions: u64, of: &InstructionCount) -> String {
    percent(instructions as f64 / of.instructions.max(1) as f64)
}

fn place(comparison: &Comparison, row: FunctionRow, line: u32) -> String {
    let function = &comparison.functions[row];
    let file = function.file.as_deref().unwrap_or(&function.name);
    match line {
        0 => format!("{file} ({})", function.name),
        line => format!("{file}:{line} ({})", function.name),
    }
}
