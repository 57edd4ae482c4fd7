//! The comparison as Markdown, for a pull request or a step summary.

use hotproof_diff::{Comparison, Conclusion};

use super::Options;
use super::page::{Kind, Page, Table, Weight};
use crate::names::clean;
use crate::numbers::count;

/// Characters that a comment on a pull request may have, with room for what stands around.
const MOST_CHARACTERS: usize = 65_000;

/// The whole result as GitHub-flavoured Markdown, short enough for a comment on a pull request:
/// where there is too much, tables lose their last rows and say how many.
pub fn markdown(comparison: &Comparison, conclusion: &Conclusion, options: &Options<'_>) -> String {
    let page = Page::of(comparison, conclusion, options);
    let longest = page.tables.iter().map(|table| table.rows.len()).max();
    let mut rows = longest.unwrap_or(0);
    loop {
        let out = render(&page, rows);
        if out.chars().count() <= MOST_CHARACTERS {
            return out;
        }
        if rows == 0 {
            return cut(&out);
        }
        rows /= 2;
    }
}

/// The first lines that fit, and that others are missing.
fn cut(text: &str) -> String {
    let mut out = String::new();
    let mut left = MOST_CHARACTERS;
    for line in text.lines() {
        let length = line.chars().count() + 1;
        if length > left {
            break;
        }
        left -= length;
        out.push_str(line);
        out.push('\n');
    }
    out + "\n- **Cut**: the rest is too long for a comment; the record has all of it\n"
}

/// With at most so many rows in each table.
fn render(page: &Page, rows: usize) -> String {
    let mut out = format!("**{}** {}\n", page.verdict, escape(&page.reason));
    for table in &page.tables {
        out.push('\n');
        let mut table = table.clone();
        if let Some(left_out) = table.rows.len().checked_sub(rows).filter(|&out| out > 0) {
            table.rows.truncate(rows);
            table.notes.insert(
                0,
                format!(
                    "{} more rows are too many for a comment; the record has all of them",
                    count(left_out as u64)
                ),
            );
        }
        push_table(&mut out, &table);
    }
    out.push('\n');
    for fact in &page.facts {
        out.push_str(&format!("- **{}**: {}\n", fact.label, escape(&fact.text)));
    }
    out
}

fn push_table(out: &mut String, table: &Table) {
    let title = table.headings[0].text;
    out.push_str(&format!("### {title}\n\n"));
    if !table.rows.is_empty() {
        let headings = table
            .headings
            .iter()
            .enumerate()
            .map(|(index, heading)| match index {
                0 => String::new(),
                _ => heading.text.to_owned(),
            });
        push_row(out, headings);
        push_row(
            out,
            table.headings.iter().map(|heading| match heading.kind {
                Kind::Name(_) | Kind::Function(_) => "---".to_owned(),
                Kind::Figure => "---:".to_owned(),
            }),
        );
        for row in &table.rows {
            let cells = row.cells.iter().zip(&table.headings);
            push_row(
                out,
                cells.map(|(cell, heading)| match heading.kind {
                    Kind::Function(_) if row.weight != Weight::Others => marked_code(cell),
                    Kind::Function(_) | Kind::Name(_) | Kind::Figure => escape(cell),
                }),
            );
        }
    }
    for (index, note) in table.notes.iter().enumerate() {
        let gap = if index == 0 && !table.rows.is_empty() {
            "\n"
        } else {
            ""
        };
        out.push_str(&format!("{gap}{}  \n", escape(note)));
    }
}

fn push_row(out: &mut String, cells: impl Iterator<Item = String>) {
    out.push('|');
    for cell in cells {
        out.push_str(&format!(" {cell} |"));
    }
    out.push('\n');
}

/// A name as code, the mark of a changed function before it.
fn marked_code(cell: &str) -> String {
    let (mark, name) = match cell.strip_prefix("* ") {
        Some(name) => ("\\* ", name),
        None => ("", cell.trim_start()),
    };
    format!("{mark}{}", code(name))
}

/// A code span: pipes are escaped even there, because the table is parsed first; the fence is
/// longer than any run of backticks within.
fn code(text: &str) -> String {
    let text = clean(text).replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if longest > 0 { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Text in which nothing is markup.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        if "\\`*_[]<>|#&~@".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_markup() {
        assert_eq!(escape("a|b <c> *d* _e_"), r"a\|b \<c\> \*d\* \_e\_");
        assert_eq!(code("f::<|x| x>"), r"`f::<\|x\| x>`");
        assert_eq!(code("a`b"), "`` a`b ``");
        assert_eq!(marked_code("* parse::number"), r"\* `parse::number`");
        assert_eq!(marked_code("  visit"), "`visit`");
    }
}
