//! Sentences, wrapped to the width of the terminal.

use anstyle::Style;

use crate::names::{clean, width};
use crate::style::paint;

/// Lines narrower than this are hard to read and are not made.
const NARROWEST: usize = 24;

/// A labelled paragraph: `label` in a column of `indent` blanks, the text wrapped beside it, each
/// line ended by a newline.
pub(crate) fn paragraph(label: &str, indent: usize, text: &str, columns: usize) -> String {
    styled_paragraph(label, crate::style::FAINT, indent, text, columns)
}

/// As [`paragraph`], with the style of the label.
pub(crate) fn styled_paragraph(
    label: &str,
    style: Style,
    indent: usize,
    text: &str,
    columns: usize,
) -> String {
    let mut out = String::new();
    for (index, line) in wrap(text, columns.saturating_sub(indent))
        .iter()
        .enumerate()
    {
        let gap = if index == 0 {
            let blanks = indent
                .saturating_sub(width(label))
                .max(usize::from(!label.is_empty()));
            paint(style, label) + &" ".repeat(blanks)
        } else {
            " ".repeat(indent)
        };
        out.push_str(gap.as_str());
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// Breaks a text at blanks into lines of at most `columns` columns; a longer word stands alone.
///
/// A figure and its unit (`24.7 %`) are kept on one line.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(NARROWEST);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in units_joined(&clean(text)) {
        if !line.is_empty() && width(&line) + 1 + width(&word) > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// The words of a text, with units joined to the figures before them.
fn units_joined(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let bare = word.trim_end_matches([',', '.', ';', ':', ')']);
        let unit = matches!(
            bare,
            "%" | "ns" | "us" | "ms" | "s" | "Hz" | "B" | "KiB" | "MiB" | "GiB"
        );
        let figure = |last: &String| last.ends_with(|c: char| c.is_ascii_digit());
        match words.last_mut() {
            Some(last) if unit && figure(last) => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// Puts segments side by side with three blanks between them, as many to a line as fit.
pub(crate) fn flow(segments: &[String], indent: usize, columns: usize) -> String {
    const GAP: usize = 3;
    let mut out = String::new();
    let mut used = 0;
    for segment in segments {
        let needed = width(segment);
        if used > 0 && used + GAP + needed > columns {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            used = indent;
        } else if used > 0 {
            out.push_str(&" ".repeat(GAP));
            used += GAP;
        }
        out.push_str(segment);
        used += needed;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wrap_and_units_stay_with_their_figures() {
        let text = "lost samples make up about 24.7 %, which is a lot of 38 ms";
        let lines = wrap(text, 31);
        assert_eq!(
            lines,
            [
                "lost samples make up about",
                "24.7 %, which is a lot of 38 ms"
            ]
        );
    }

    #[test]
    fn paragraphs_hang_under_their_label() {
        let text = crate::style::strip(&paragraph(
            "note",
            6,
            "one two three four five six seven",
            30,
        ));
        assert_eq!(text, "note  one two three four five\n      six seven\n");
    }

    #[test]
    fn segments_flow_to_the_next_line() {
        let segments = ["one".to_owned(), "two".to_owned(), "three".to_owned()];
        assert_eq!(flow(&segments, 2, 10), "one   two\n  three\n");
        assert_eq!(flow(&segments, 2, 80), "one   two   three\n");
    }
}
