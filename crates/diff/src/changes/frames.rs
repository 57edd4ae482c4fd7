//! Frames of interpreted languages, as their perf maps name them.

use super::outline::Language;

/// A function of a script, read from the name of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScriptFrame {
    /// As the outline has it, `T::f`; empty for the script itself.
    pub(crate) name: String,
    pub(crate) file: String,
    /// Where the function begins, counted from 1; Python does not say.
    pub(crate) line: Option<u32>,
}

/// Reads `py::T.f:/a/b.py` (Python's `-X perf`) and `LazyCompile:*f /a/b.js:3:9`, `JS:~f ...`
/// (node's `--perf-basic-prof`); `None` for every other name.
pub(crate) fn script_frame(name: &str) -> Option<ScriptFrame> {
    if let Some(rest) = name.strip_prefix("py::") {
        let (path, file) = rest.rsplit_once(':')?;
        return (!file.is_empty()).then(|| ScriptFrame {
            name: python_name(path),
            file: file.to_owned(),
            line: None,
        });
    }
    let rest = ["LazyCompile:", "JS:", "Function:", "Script:", "Eval:"]
        .iter()
        .find_map(|kind| name.strip_prefix(kind))
        .unwrap_or(name);
    // Which compiler made the code: interpreter, baseline, mid-tier, optimizing.
    let rest = rest.strip_prefix(['~', '^', '+', '*'])?;
    let (function, place) = rest.split_once(' ')?;
    let mut numbers = place.rsplitn(3, ':');
    let _column: u32 = numbers.next()?.parse().ok()?;
    let line = numbers.next()?.parse().ok()?;
    let file = numbers.next()?;
    Some(ScriptFrame {
        name: function.replace('.', "::"),
        file: file.strip_prefix("file://").unwrap_or(file).to_owned(),
        line: Some(line),
    })
}

/// `T::f::g` of `T.f.<locals>.g.<locals>.<lambda>`: closures belong to what holds them.
fn python_name(path: &str) -> String {
    let parts = path
        .split('.')
        .filter(|part| !part.starts_with('<') || !part.ends_with('>'));
    parts.collect::<Vec<&str>>().join("::")
}

/// Whether a file is of a language whose functions have no symbols of their own.
pub(crate) fn is_script(file: &str) -> bool {
    matches!(
        Language::of_path(file),
        Some(Language::Python | Language::JavaScript | Language::TypeScript | Language::Tsx)
    )
}

/// Whether an image runs scripts, by its file name.
pub(crate) fn is_interpreter(image: &str) -> bool {
    const NAMES: [&str; 7] = [
        "python",
        "libpython",
        "pypy",
        "node",
        "libnode",
        "bun",
        "deno",
    ];
    let name = hotproof_profile::file_name(image);
    NAMES.iter().any(|start| {
        name.strip_prefix(start)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    })
}

/// Whether a frame stands for a function of a script without saying for which.
pub(crate) fn hides_a_script(name: &str) -> bool {
    name.contains("InterpreterEntryTrampoline")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_perf_maps_are_read() {
        let frame = |name: &str, file: &str, line: Option<u32>| {
            Some(ScriptFrame {
                name: name.into(),
                file: file.into(),
                line,
            })
        };
        let cases = [
            ("py::work:/a/b.py", frame("work", "/a/b.py", None)),
            (
                "py::T.f.<locals>.g.<locals>.<lambda>:/a/b.py",
                frame("T::f::g", "/a/b.py", None),
            ),
            ("py::<module>:/a/b.py", frame("", "/a/b.py", None)),
            (
                "LazyCompile:*work /a/b c.js:12:5",
                frame("work", "/a/b c.js", Some(12)),
            ),
            (
                "JS:~T.f file:///a/b.mjs:3:1",
                frame("T::f", "/a/b.mjs", Some(3)),
            ),
            ("~ /a/b.js:1:2", frame("", "/a/b.js", Some(1))),
            ("Builtin:InterpreterEntryTrampoline", None),
            ("operator*", None),
            ("*x", None),
            ("py::", None),
            ("main", None),
        ];
        for (name, expected) in cases {
            assert_eq!(script_frame(name), expected, "{name}");
        }
        for image in [
            "/usr/bin/python3.11",
            "/usr/lib/libpython3.12.so.1.0",
            "/opt/node",
        ] {
            assert!(is_interpreter(image), "{image}");
        }
        for image in ["/usr/bin/nodemon", "/a/pythonic", "/bin/bash"] {
            assert!(!is_interpreter(image), "{image}");
        }
    }
}
