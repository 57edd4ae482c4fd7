//! Names as runtimes, compilers and profilers spell them, and the name that a person wrote.
//!
//! | spelled | by | name | place |
//! |---|---|---|---|
//! | `JS:*parseIt /w/a.js:3:17`, `LazyCompile:~parseIt a.js:3` | V8's perf maps; the mark is the tier | `parseIt` | `/w/a.js`, 3 |
//! | `py::Lexer.next:/w/lex.py` | CPython's perf trampolines | `Lexer.next` | `/w/lex.py` |
//! | `next (lex.py:12)` | py-spy; the line is the one that ran | `next` | `lex.py` |
//! | `schedule_[k]`, `run_[j]`, `run_[i]` | stack collapsers, async-profiler | `schedule`, `run` | |
//! | `work+0x1f` | `perf script` | `work` | |
//! | `memcpy@plt`, `memcpy@@GLIBC_2.14` | linkers | `memcpy` | |
//! | `work.part.0`, `work(int) [clone .cold]` | compilers | `work`, `work(int)` | |
//! | `main.Map[...]` | Go's generics | `main.Map` | |

use hotproof_diff::changes::without_clone_suffix;

/// What a spelling says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spelled<'a> {
    /// The name without marks.
    pub(super) name: &'a str,
    /// The source file, where the spelling has one.
    pub(super) file: Option<&'a str>,
    /// The declared line, where the spelling has that; counted from 1.
    pub(super) line: Option<u32>,
}

/// Takes a name apart.
pub(super) fn spelled(name: &str) -> Spelled<'_> {
    let plain = Spelled {
        name,
        file: None,
        line: None,
    };
    javascript(name)
        .or_else(|| python(name))
        .or_else(|| with_running_line(name))
        .unwrap_or_else(|| Spelled {
            name: without_marks(name),
            ..plain
        })
}

/// `TAG:TIERname file:line:column`; the tiers of V8 are interpreted, baseline, and two kinds of
/// optimised code, and a function passes through several of them in one run.
fn javascript(name: &str) -> Option<Spelled<'_>> {
    const TAGS: [&str; 6] = [
        "JS",
        "LazyCompile",
        "Function",
        "InterpretedFunction",
        "Eval",
        "Script",
    ];
    let (tag, rest) = name.split_once(':')?;
    if !TAGS.contains(&tag) {
        return None;
    }
    let rest = rest.strip_prefix(['*', '~', '^', '+', '-']).unwrap_or(rest);
    let (name, place) = rest.split_once(' ').unwrap_or((rest, ""));
    let (file, line) = match numbered(place) {
        // The last number is the column, when there are two.
        Some((before, last)) => match numbered(before) {
            Some((file, line)) => (file, Some(line)),
            None => (before, Some(last)),
        },
        None => (place, None),
    };
    Some(Spelled {
        name: if name.is_empty() { "(anonymous)" } else { name },
        file: Some(file).filter(|file| !file.is_empty()),
        line,
    })
}

fn python(name: &str) -> Option<Spelled<'_>> {
    let (name, file) = name.strip_prefix("py::")?.split_once(':')?;
    Some(Spelled {
        name,
        file: Some(file),
        line: None,
    })
}

/// `name (file.py:12)`: the line is that of the call or of the instruction, not the declared one.
fn with_running_line(name: &str) -> Option<Spelled<'_>> {
    let (before, place) = name.strip_suffix(')')?.rsplit_once(" (")?;
    let (file, _) = numbered(place)?;
    Some(Spelled {
        name: before,
        file: Some(file),
        line: None,
    })
}

/// `text:12` as its parts.
fn numbered(text: &str) -> Option<(&str, u32)> {
    let (before, number) = text.rsplit_once(':')?;
    let is_number = !before.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((before, number.parse().ok()?))
}

fn without_marks(name: &str) -> &str {
    let mut name = name;
    loop {
        let shorter = without_clone_suffix(without_version(without_offset(without_kind(name))));
        if shorter.len() == name.len() || shorter.is_empty() {
            return without_go_arguments(name);
        }
        name = shorter;
    }
}

/// `_[k]` and its kin: one letter or digit in brackets.
fn without_kind(name: &str) -> &str {
    let kind = |before: &str| {
        let mark = &name[before.len()..];
        mark.len() == 4 && mark.as_bytes()[2].is_ascii_alphanumeric()
    };
    match name.rsplit_once("_[") {
        Some((before, rest)) if rest.ends_with(']') && kind(before) => before,
        _ => name,
    }
}

fn without_offset(name: &str) -> &str {
    match name.rsplit_once("+0x") {
        Some((before, digits)) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => before,
        _ => name,
    }
}

/// `@plt` and symbol versions; what stands before has to be a plain identifier.
fn without_version(name: &str) -> &str {
    let is_plain = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.@".contains(&byte);
        !text.is_empty() && text.bytes().all(plain)
    };
    match name.split_once('@') {
        Some((before, version)) if is_plain(before) && is_plain(version) => before,
        _ => name,
    }
}

/// Names of Go have their package before them.
fn without_go_arguments(name: &str) -> &str {
    match name.split_once('[') {
        Some((before, rest))
            if rest.ends_with(']')
                && before.contains('.')
                && before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
                && !before.ends_with("operator") =>
        {
            before
        }
        _ => name,
    }
}

/// The forms of a C++ or Go name that people write: `void a::f<int>(int) const` is `a::f<int>`,
/// `main.(*Parser).next` is `main.Parser.next`. `None` when the name has no other form.
pub(super) fn without_types(name: &str) -> Option<String> {
    if let Some((package, rest)) = name.split_once(".(*") {
        let (receiver, method) = rest.split_once(')')?;
        return Some(format!("{package}.{receiver}{method}"));
    }
    let start = parameters_at(name)?;
    let declared = &name[..start];
    // A template's name begins with what it returns.
    let begin = match declared.contains("operator") {
        true => 0,
        false => last_space(declared).map_or(0, |at| at + 1),
    };
    Some(declared[begin..].to_owned())
}

/// Where the parameters of a C++ function begin, which stand at the end but for qualifiers.
fn parameters_at(name: &str) -> Option<usize> {
    let end = name.rfind(')')?;
    let qualifiers = name[end + 1..].split_ascii_whitespace();
    for qualifier in qualifiers {
        if !["const", "volatile", "&", "&&", "noexcept"].contains(&qualifier) {
            return None;
        }
    }
    let mut depth = 0usize;
    for (at, c) in name[..=end].char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' if depth == 1 => {
                let before = &name[..at];
                // `operator()` and `(anonymous namespace)` are names.
                let is_name = before.is_empty()
                    || before.ends_with("operator")
                    || before.ends_with([':', '.', ' ']);
                return (!is_name).then_some(at);
            }
            '(' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The last space outside brackets.
fn last_space(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, c) in text.char_indices().rev() {
        match c {
            ')' | '>' => depth += 1,
            '(' | '<' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_runtimes_and_tools_are_no_part_of_a_name() {
        let cases = [
            (
                "JS:*parseIt /w/a.js:3:17",
                "parseIt",
                Some("/w/a.js"),
                Some(3),
            ),
            (
                "JS:~parseIt /w/a.js:3:17",
                "parseIt",
                Some("/w/a.js"),
                Some(3),
            ),
            (
                "JS:^ /w/my file.js:3:17",
                "(anonymous)",
                Some("/w/my file.js"),
                Some(3),
            ),
            (
                "LazyCompile:~parseIt a.js:3",
                "parseIt",
                Some("a.js"),
                Some(3),
            ),
            ("JS:*next", "next", None, None),
            (
                "py::Lexer.next:/w/lex.py",
                "Lexer.next",
                Some("/w/lex.py"),
                None,
            ),
            ("next (lex.py:12)", "next", Some("lex.py"), None),
            (
                "<module> (a b/lex.py:1)",
                "<module>",
                Some("a b/lex.py"),
                None,
            ),
            ("schedule_[k]", "schedule", None, None),
            (
                "java/lang/Thread.run_[j]",
                "java/lang/Thread.run",
                None,
                None,
            ),
            ("work+0x1f", "work", None, None),
            ("memcpy@plt", "memcpy", None, None),
            ("memcpy@@GLIBC_2.14", "memcpy", None, None),
            ("work.constprop.0.part.1", "work", None, None),
            ("a::work(int) [clone .cold]", "a::work(int)", None, None),
            ("main.Map[...]", "main.Map", None, None),
            ("main.Map[go.shape.int]", "main.Map", None, None),
        ];
        for (name, plain, file, line) in cases {
            let expected = Spelled {
                name: plain,
                file,
                line,
            };
            assert_eq!(spelled(name), expected, "{name}");
        }
    }

    #[test]
    fn other_names_stay_whole() {
        let names = [
            "a::b::c",
            "<[u8; 4] as Hash>::hash",
            "[libc.so.6]",
            "operator[]",
            "T::operator[]",
            "std::f(int)",
            "a b (c)",
            "@firefox-devtools/x.js",
            "fe80::1:2",
            ".cold",
            "_[k]",
            "",
            "Builtin:ArrayMap",
            "{closure#0}",
        ];
        for name in names {
            assert_eq!(spelled(name).name, name);
        }
    }

    #[test]
    fn types_around_a_name_are_left_out() {
        let cases = [
            ("a::f(int, char const*)", Some("a::f")),
            ("void a::f<int>(int) const", Some("a::f<int>")),
            (
                "std::vector<int, A<int> > a::f<int>(int)",
                Some("a::f<int>"),
            ),
            (
                "(anonymous namespace)::f(void (*)(int))",
                Some("(anonymous namespace)::f"),
            ),
            ("a::T::operator()(int) const", Some("a::T::operator()")),
            ("a::T::operator bool() const", Some("a::T::operator bool")),
            ("a::T::operator()", None),
            ("a::(anonymous namespace)", None),
            ("main.(*Parser).next", Some("main.Parser.next")),
            ("plain", None),
            ("f) const", None),
        ];
        for (name, expected) in cases {
            assert_eq!(without_types(name).as_deref(), expected, "{name}");
        }
    }
}
