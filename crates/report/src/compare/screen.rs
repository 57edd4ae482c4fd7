//! The comparison on a terminal.

use hotproof_diff::{Comparison, Conclusion, shown};

use super::page::{Kind, Page, Table, Tone, Weight};
use super::{Options, facts};
use crate::grid::{Cell, Column, Grid};
use crate::names::{clean, cut_middle};
use crate::prose::{paragraph, styled_paragraph, wrap};
use crate::record::shell_words;
use crate::style::{BAD, CAUTION, FAINT, GOOD, PLAIN, STRONG, paint};

/// Width of the labels under the tables.
const LABEL: usize = 13;

/// The whole result: verdict, tables, what could make it wrong.
pub fn screen(comparison: &Comparison, conclusion: &Conclusion, options: &Options<'_>) -> String {
    let page = Page::of(comparison, conclusion, options);
    let mut out = verdict(&page, options.width);
    for table in &page.tables {
        out.push('\n');
        out.push_str(&grid(table, options.width));
    }
    out.push('\n');
    for fact in &page.facts {
        let style = if fact.alarming { CAUTION } else { STRONG };
        out.push_str(&styled_paragraph(
            fact.label,
            style,
            LABEL,
            &fact.text,
            options.width,
        ));
    }
    out
}

/// What is compared with what, on which machine: known before the first pair is counted, and
/// repeated above the verdict of a logged comparison.
pub fn header(comparison: &Comparison, conclusion: &Conclusion, width: usize) -> String {
    let side = |label, facts: &hotproof_diff::RefFacts| {
        let commit: String = facts.commit.chars().take(7).collect();
        let mut text = format!("{commit}  {}", clean(&facts.name));
        if facts.subject != facts.name {
            text += &format!("  {}", clean(&facts.subject));
        }
        let text = cut_middle(text.trim_end(), width.saturating_sub(11).max(20));
        format!("  {}{text}\n", crate::names::pad_right(label, 9))
    };
    let mut out = side("base", &comparison.base) + &side("head", &comparison.head);
    if !comparison.is_of_commands() {
        let command = shown(&shell_words(&comparison.command));
        out.push_str(&paragraph("  command", 11, &command, width));
        out.push_str(&paragraph("  changed", 11, &changed(comparison), width));
    }
    out.push_str(&paragraph(
        "  machine",
        11,
        &facts::machine(comparison, conclusion),
        width,
    ));
    out
}

/// `2 functions: parse::number, parse::Lexer::reset; 3 changes outside any function`.
fn changed(comparison: &Comparison) -> String {
    let touched = comparison
        .functions
        .iter()
        .filter(|function| function.change.is_some());
    let names: Vec<&str> = touched.map(|function| function.name.as_str()).collect();
    let mut text = crate::numbers::counted(names.len() as u64, "function");
    if !names.is_empty() {
        text += &format!(": {}", names.join(", "));
    }
    if !comparison.outside.is_empty() {
        let places = crate::numbers::counted(comparison.outside.len() as u64, "place");
        text += &format!("; {places} outside any function");
    }
    if !comparison.code_changed {
        text += "; nothing but comments or formatting";
    }
    text
}

/// The verdict's word, then the sentence, unbroken by an indent so that it can be copied.
fn verdict(page: &Page, width: usize) -> String {
    let style = match page.tone {
        Tone::Good => GOOD,
        Tone::Bad => BAD,
        Tone::Caution => CAUTION,
    };
    let text = format!("{}  {}", page.verdict, clean(&page.reason));
    // One column less, for the second blank after the word.
    let lines = wrap(&text, width.saturating_sub(1)).join("\n");
    let sentence = lines
        .strip_prefix(page.verdict)
        .unwrap_or(&lines)
        .trim_start_matches(' ');
    format!("{}  {sentence}\n", paint(style, page.verdict))
}

fn grid(table: &Table, width: usize) -> String {
    let columns = table.headings.iter().map(|heading| {
        let column = match heading.kind {
            Kind::Name(least) | Kind::Function(least) => Column::names(heading.text, least),
            Kind::Figure => Column::figures(heading.text),
        };
        match heading.gives_way {
            Some(rank) => column.optional(rank),
            None => column,
        }
    });
    let mut grid = Grid::new(columns.collect(), 0);
    for row in &table.rows {
        let style = match row.weight {
            Weight::Strong => STRONG,
            Weight::Plain => PLAIN,
            Weight::Faint | Weight::Others => FAINT,
        };
        // Figures stay plain, so that columns of digits read evenly.
        let cell = |(index, text): (usize, &String)| match table.headings[index].kind {
            Kind::Name(_) | Kind::Function(_) => Cell::styled(text, style),
            Kind::Figure => Cell::from(text),
        };
        grid.row(row.cells.iter().enumerate().map(cell).collect());
    }
    let mut out = if table.rows.is_empty() {
        paint(STRONG, table.headings[0].text) + "\n"
    } else {
        grid.render(width)
    };
    for note in &table.notes {
        out.push_str(&paragraph("", 2, note, width));
    }
    out
}
