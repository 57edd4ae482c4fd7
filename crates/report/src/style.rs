//! Colours: they support the words and never replace them. Callers print through a stream that
//! strips them where they are not wanted.

use anstyle::{AnsiColor, Style};

/// No style at all.
pub(crate) const PLAIN: Style = Style::new();
/// Headings and what matters most.
pub(crate) const STRONG: Style = Style::new().bold();
/// Places, legends, library code.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// A result that says: look closer.
pub(crate) const CAUTION: Style = AnsiColor::Yellow.on_default().bold();

/// `text` between the escape codes of `style`.
pub(crate) fn paint(style: Style, text: &str) -> String {
    if style == PLAIN || text.is_empty() {
        return text.to_owned();
    }
    format!("{style}{text}{style:#}")
}

/// The text without escape codes, for golden tests and for Markdown.
#[cfg(test)]
pub(crate) fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        out.push_str(&rest[..at]);
        let end = rest[at..].find('m').map_or(rest.len(), |end| at + end + 1);
        rest = &rest[end..];
    }
    out + rest
}
/// A good result.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// A bad result.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
