//! One line of a callchain.

/// `address symbol+0xoffset (image)`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) address: u64,
    /// Without offset; `None` when perf knows none.
    pub(super) symbol: Option<&'a str>,
    /// `None` when perf knows none or does not print it.
    pub(super) image: Option<&'a str>,
    /// Whether it was inlined into the frame that follows.
    pub(super) is_inlined: bool,
}

pub(super) fn parse(line: &str) -> Option<Frame<'_>> {
    let line = line.trim();
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let is_hex = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let address = u64::from_str_radix(word, 16).ok().filter(|_| is_hex)?;
    let mut rest = rest.trim_start();
    let mut frame = Frame {
        address,
        symbol: None,
        image: None,
        is_inlined: false,
    };
    if let Some((symbol, last)) = split_parentheses(rest) {
        rest = symbol;
        match last {
            "inlined" => frame.is_inlined = true,
            "[unknown]" => {}
            image => frame.image = Some(image),
        }
    }
    let symbol = strip_offset(rest.trim_end());
    frame.symbol = Some(symbol).filter(|name| !name.is_empty() && *name != "[unknown]");
    Some(frame)
}

/// Parts the last group in parentheses, which may hold others: `(/tmp/x (deleted))`.
fn split_parentheses(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_suffix(')')?;
    let mut depth = 1;
    for (at, character) in inner.char_indices().rev() {
        match character {
            ')' => depth += 1,
            '(' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let before = &text[..at];
            let is_apart = before.is_empty() || before.ends_with([' ', '\t']);
            return is_apart.then(|| (before, &inner[at + 1..]));
        }
    }
    None
}

/// Takes `+0x1f` off the end.
fn strip_offset(symbol: &str) -> &str {
    match symbol.rsplit_once("+0x") {
        Some((name, offset)) if offset.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => symbol,
    }
}

/// A source line that perf prints below a frame: `file:line`, and whether it says that the frame
/// was inlined.
pub(super) fn parse_source(line: &str) -> Option<(&str, Option<u32>, bool)> {
    let text = line.trim();
    let (text, is_inlined) = match text.strip_suffix(" (inlined)") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (file, number) = text.rsplit_once(':')?;
    let number = number.parse::<u32>().ok()?;
    Some((file, (number > 0).then_some(number), is_inlined))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_kind() {
        let cases = [
            (
                "\t  401a main+0x1f (/bin/x)",
                (0x401a, Some("main"), Some("/bin/x"), false),
            ),
            ("401a main", (0x401a, Some("main"), None, false)),
            (
                "11fd inner+0x4d (inlined)",
                (0x11fd, Some("inner"), None, true),
            ),
            (
                "ff [unknown] (/lib/libc.so.6)",
                (0xff, None, Some("/lib/libc.so.6"), false),
            ),
            ("ff [unknown] ([unknown])", (0xff, None, None, false)),
            (
                "ffffffff81 do_it ([kernel.kallsyms])",
                (
                    0xff_ffff_ff81,
                    Some("do_it"),
                    Some("[kernel.kallsyms]"),
                    false,
                ),
            ),
            (
                "1 f (/tmp/x (deleted))",
                (1, Some("f"), Some("/tmp/x (deleted)"), false),
            ),
            (
                "1 A::operator()(int) const+0x2 (/a b/c)",
                (1, Some("A::operator()(int) const"), Some("/a b/c"), false),
            ),
            ("1 g(int)", (1, Some("g(int)"), None, false)),
            ("1 (/bin/x)", (1, None, Some("/bin/x"), false)),
            ("1", (1, None, None, false)),
        ];
        for (line, (address, symbol, image, is_inlined)) in cases {
            let frame = Frame {
                address,
                symbol,
                image,
                is_inlined,
            };
            assert_eq!(parse(line), Some(frame), "{line:?}");
        }
        for line in ["", "main", "0x12 main", "+12 main", "11112222333344445 x"] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn source_lines() {
        assert_eq!(
            parse_source("  a.c:3 (inlined)"),
            Some(("a.c", Some(3), true))
        );
        assert_eq!(parse_source("  ??:0"), Some(("??", None, false)));
        assert_eq!(parse_source("  a.c"), None);
    }
}
