//! The one place where names are made fit for a screen: cleaned of control characters, cut in the
//! middle, padded to a width.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// What stands for the part of a name that was cut out.
const ELLIPSIS: &str = "…";

/// Columns that `text` takes on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text with control characters spelled out, so that a name cannot steer the terminal.
///
/// Characters that change the direction of what follows are spelled out as well.
pub fn clean(text: &str) -> String {
    let hostile =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(hostile) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if hostile(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// `text` in at most `columns` columns: its beginning and its end, with `…` for what is missing
/// between them. Never cuts through a grapheme (an accent, an emoji, a wide character).
///
/// The end gets the odd column, because a function's last path component tells the most.
pub fn cut_middle(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    let room = columns - 1;
    let head = take_columns(text.graphemes(true), room / 2);
    let tail = take_columns(text.graphemes(true).rev(), room - room / 2);
    let mut out: String = head.concat();
    out.push_str(ELLIPSIS);
    out.extend(tail.into_iter().rev());
    out
}

/// The first graphemes that fit into `columns` together.
fn take_columns<'a>(graphemes: impl Iterator<Item = &'a str>, columns: usize) -> Vec<&'a str> {
    let mut used = 0;
    graphemes
        .take_while(|grapheme| {
            used += width(grapheme);
            used <= columns
        })
        .collect()
}

/// `text` followed by as many blanks as fill `columns`; longer texts stay as they are.
pub fn pad_right(text: &str, columns: usize) -> String {
    format!("{text}{}", blanks(columns.saturating_sub(width(text))))
}

/// `text` after as many blanks as fill `columns`; longer texts stay as they are.
pub fn pad_left(text: &str, columns: usize) -> String {
    format!("{}{text}", blanks(columns.saturating_sub(width(text))))
}

fn blanks(count: usize) -> String {
    " ".repeat(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_names_stay_whole() {
        assert_eq!(cut_middle("parse::number", 13), "parse::number");
        assert_eq!(cut_middle("", 0), "");
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(cut_middle("parse::number", 12), "parse…number");
        assert_eq!(cut_middle("parse::number", 5), "pa…er");
        assert_eq!(cut_middle("parse::number", 1), "…");
        assert_eq!(cut_middle("parse::number", 0), "");
    }

    #[test]
    fn wide_characters_and_accents_are_not_split() {
        assert_eq!(cut_middle("数字解析器関数", 8), "数…関数");
        let accents = "e\u{301}".repeat(9);
        assert_eq!(cut_middle(&accents, 4), "e\u{301}…e\u{301}e\u{301}");
        let family = "👨\u{200d}👩\u{200d}👧";
        let cut = cut_middle(&family.repeat(4), 6);
        assert_eq!(cut, format!("{family}…{family}"));
    }

    #[test]
    fn control_characters_are_spelled_out() {
        assert_eq!(clean("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(clean("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(clean("naïve::名"), "naïve::名");
    }

    #[test]
    fn padding_counts_columns_not_bytes() {
        assert_eq!(pad_right("数", 4), "数  ");
        assert_eq!(pad_left("é", 3), "  é");
        assert_eq!(pad_left("long", 2), "long");
    }

    proptest! {
        #[test]
        fn a_cut_name_always_fits(text in "\\PC{0,60}", columns in 0usize..70) {
            let cut = cut_middle(&text, columns);
            prop_assert!(width(&cut) <= columns.max(width(&text).min(columns)));
        }
    }
}
