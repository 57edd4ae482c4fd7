//! The comparison as one page that needs nothing else: the verdict, the pairs and the change as
//! pictures, the tables, the flame graphs of what was sampled. No text of a profile is markup in it,
//! and it fetches nothing.

mod axis;
mod movers;
mod pairs;

use std::fmt::Write;

use hotproof_diff::{Comparison, Conclusion, shown};
use hotproof_profile::Profile;

use super::Options;
use super::page::{Fact, Kind, Page, Row, Table, Tone, Weight};
use crate::difference::{Normalize, PictureError, Stacks};
use crate::flamegraph;
use crate::names::clean;
use crate::record::shell_words;

const STYLE: &str = include_str!("html/page.css");

/// One comparison on the page.
#[derive(Debug, Clone, Copy)]
pub struct Section<'a> {
    /// What was measured.
    pub comparison: &'a Comparison,
    /// What follows from it.
    pub conclusion: &'a Conclusion,
    /// Where it was logged; `None` when it was not.
    pub record: Option<&'a str>,
    /// What all counted runs of base and of head sampled; `None` leaves the flame graphs out.
    pub profiles: Option<[&'a Profile; 2]>,
}

/// The whole page. Equal sections give equal bytes.
pub fn html(sections: &[Section<'_>]) -> String {
    let title = match sections {
        [one, ..] => format!(
            "{} {}",
            one.conclusion.verdict.label(),
            one.comparison.head.name
        ),
        [] => "hotproof".to_owned(),
    };
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        escape(&title)
    );
    for section in sections {
        push_section(&mut out, section);
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn push_section(out: &mut String, section: &Section<'_>) {
    let (comparison, conclusion) = (section.comparison, section.conclusion);
    let options = Options {
        record: section.record,
        movers: 12,
        ..Options::default()
    };
    let page = Page::of(comparison, conclusion, &options);
    out.push_str("<main>\n");
    push_header(out, &page, comparison);
    push_chart(
        out,
        "Pairs",
        "One dot a pair: head against base, below zero is less. The band is the 99 % interval after \
         each pair.",
        &pairs::chart(comparison, conclusion),
    );
    push_chart(
        out,
        "Where the change sits",
        "Time of one run, head less base, with 99 % intervals; *: changed in this diff. Each is \
         estimated from the pairs' own differences, so that parts add up about, and the whole may \
         differ a little from the table's, which follows from the speedup.",
        &movers::chart(comparison, conclusion),
    );
    for table in &page.tables {
        push_table(out, table);
    }
    out.push_str("<dl>\n");
    for fact in &page.facts {
        push_fact(out, fact);
    }
    out.push_str("</dl>\n");
    if let Some(profiles) = section.profiles {
        push_pictures(out, profiles);
    }
    out.push_str("</main>\n");
}

fn push_header(out: &mut String, page: &Page, comparison: &Comparison) {
    let tone = match page.tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Caution => "caution",
    };
    let _ = write!(
        out,
        "<header class=\"{tone}\">\n<h1>{}</h1>\n<p>{}</p>\n</header>\n<table class=\"refs\">\n",
        escape(page.verdict),
        escape(&page.reason)
    );
    for (label, facts) in [("base", &comparison.base), ("head", &comparison.head)] {
        let commit: String = facts.commit.chars().take(7).collect();
        let _ = writeln!(
            out,
            "<tr><th>{label}</th><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            escape(&commit),
            escape(&facts.name),
            escape(&facts.subject)
        );
    }
    if !comparison.is_of_commands() {
        let _ = writeln!(
            out,
            "<tr><th>command</th><td colspan=\"3\"><code>{}</code></td></tr>",
            escape(&shown(&shell_words(&comparison.command)))
        );
    }
    out.push_str("</table>\n");
}

fn push_chart(out: &mut String, title: &str, legend: &str, chart: &str) {
    if !chart.is_empty() {
        let _ = write!(
            out,
            "<section>\n<h2>{}</h2>\n{chart}<p class=\"legend\">{}</p>\n</section>\n",
            escape(title),
            escape(legend)
        );
    }
}

fn push_table(out: &mut String, table: &Table) {
    let title = table.headings[0].text;
    let _ = writeln!(out, "<section>\n<h2>{}</h2>", escape(title));
    if !table.rows.is_empty() {
        out.push_str("<div class=\"wide\"><table>\n<thead><tr>");
        for (index, heading) in table.headings.iter().enumerate() {
            let text = if index == 0 { "" } else { heading.text };
            let class = class_of(heading.kind);
            let _ = write!(out, "<th{class}>{}</th>", escape(text));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for row in &table.rows {
            push_row(out, table, row);
        }
        out.push_str("</tbody>\n</table></div>\n");
    }
    for note in &table.notes {
        let _ = writeln!(out, "<p class=\"legend\">{}</p>", escape(note));
    }
    out.push_str("</section>\n");
}

fn push_row(out: &mut String, table: &Table, row: &Row) {
    let class = match row.weight {
        Weight::Strong => " class=\"strong\"",
        Weight::Plain => "",
        Weight::Faint | Weight::Others => " class=\"faint\"",
    };
    let _ = write!(out, "<tr{class}>");
    for (cell, heading) in row.cells.iter().zip(&table.headings) {
        let class = class_of(heading.kind);
        let _ = write!(out, "<td{class}>{}</td>", escape(cell.trim()));
    }
    out.push_str("</tr>\n");
}

fn class_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Name(_) => "",
        Kind::Function(_) => " class=\"function\"",
        Kind::Figure => " class=\"number\"",
    }
}

fn push_fact(out: &mut String, fact: &Fact) {
    let class = if fact.alarming {
        " class=\"alarm\""
    } else {
        ""
    };
    let _ = writeln!(
        out,
        "<dt>{}</dt><dd{class}>{}</dd>",
        escape(fact.label),
        escape(&fact.text)
    );
}

/// The differential flame graph, open, and those of both sides.
fn push_pictures(out: &mut String, [base, head]: [&Profile; 2]) {
    out.push_str("<section>\n<h2>Flame graphs</h2>\n");
    let change = drawn(|out| -> Result<(), PictureError> {
        Stacks::of([base, head], Normalize::Run)?.picture(out)
    });
    push_picture(out, "What changed", &change, " open");
    for (name, profile) in [("Base", base), ("Head", head)] {
        let options = flamegraph::Options::default();
        let graph = drawn(|out| flamegraph::write(profile, &options, out));
        push_picture(out, name, &graph, "");
    }
    out.push_str("</section>\n");
}

/// The picture, or why there is none.
fn drawn<E: std::fmt::Display>(
    draw: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<String, String> {
    let mut picture = Vec::new();
    draw(&mut picture).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&picture).into_owned())
}

/// Each picture is a document of its own in the page, because it has scripts and names of its own.
fn push_picture(out: &mut String, name: &str, picture: &Result<String, String>, open: &str) {
    let _ = writeln!(out, "<details{open}><summary>{}</summary>", escape(name));
    let _ = match picture {
        Ok(picture) => writeln!(
            out,
            "<iframe title=\"{}\" height=\"{}\" loading=\"lazy\" srcdoc=\"{}\"></iframe>",
            escape(name),
            height(picture) + 16,
            escape_lines(&format!(
                "<!doctype html><style>body{{margin:0;background:#fff}}svg{{display:block;width:100%}}</style>{}",
                without_prolog(picture)
            ))
        ),
        Err(error) => writeln!(out, "<p>{}</p>", escape(error)),
    };
    out.push_str("</details>\n");
}

/// From its `<svg` on: within HTML there is no place for an XML declaration or a DTD.
fn without_prolog(picture: &str) -> &str {
    picture
        .find("<svg")
        .map_or(picture, |start| &picture[start..])
}

/// The height that the picture gives itself, in pixels.
fn height(picture: &str) -> u32 {
    let (_, rest) = picture.split_once(" height=\"").unwrap_or_default();
    let digits = rest.split('"').next().unwrap_or_default();
    digits.parse().unwrap_or(600)
}

/// Text in which nothing is markup, in an element or in a quoted attribute.
fn escape(text: &str) -> String {
    escape_lines(&clean(text))
}

/// As [`escape`], for text whose lines have to stay.
fn escape_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(
            escape("<img src=x onerror='a()'> & \"b\"\u{1b}[0m"),
            "&lt;img src=x onerror=&#39;a()&#39;&gt; &amp; &quot;b&quot;\\u{1b}[0m"
        );
    }

    #[test]
    fn a_picture_says_how_high_it_is() {
        assert_eq!(height("<svg width=\"1200\" height=\"278\" x>"), 278);
        assert_eq!(height("<svg>"), 600);
        assert_eq!(without_prolog("<?xml?><!DOCTYPE x><svg a>"), "<svg a>");
    }
}
