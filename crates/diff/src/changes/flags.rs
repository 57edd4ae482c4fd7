//! Lines of build files that say how code is compiled.

/// What such lines hold: flags of gcc, clang, rustc and go, settings of cargo's profiles, of CMake and
/// of Meson, and the variables that flags are kept in.
const MARKS: [&str; 22] = [
    "-O",
    "-march",
    "-mcpu",
    "-mtune",
    "-flto",
    "-fno-",
    "-ffast-math",
    "-funroll",
    "-fprofile",
    "FLAGS",
    "CMAKE_BUILD_TYPE",
    "buildtype",
    "optimization",
    "opt-level",
    "lto =",
    "codegen-units",
    "overflow-checks",
    "debug-assertions",
    "rustflags",
    "target-cpu",
    "target-feature",
    "channel =",
];

/// Whether lines with flags are at one of two refs alone.
pub(crate) fn differ(base: &[&[u8]], head: &[&[u8]]) -> bool {
    let only = |these: &[&[u8]], those: &[&[u8]]| {
        let gone = these.iter().filter(|line| !those.contains(line));
        gone.into_iter().any(|line| has_mark(line))
    };
    only(base, head) || only(head, base)
}

fn has_mark(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    // A dash within a word begins no flag: `lib-OpenSSL`.
    let is_apart = |mark: &str, at: usize| {
        let before = line[..at].chars().next_back();
        !mark.starts_with('-') || !before.is_some_and(char::is_alphanumeric)
    };
    MARKS
        .iter()
        .any(|mark| line.match_indices(mark).any(|(at, _)| is_apart(mark, at)))
}

#[cfg(test)]
mod tests {
    use super::has_mark;

    #[test]
    fn flags_are_told_from_words_with_a_dash() {
        for (line, expected) in [
            ("CFLAGS = -g", true),
            ("\tcc -O3 -c a.c", true),
            ("  \"-march=native\",", true),
            ("opt-level = 3", true),
            ("find_package(lib-OpenSSL)", false),
            ("x-flto-y: all", false),
            ("SOURCES = a.c b.c", false),
        ] {
            assert_eq!(has_mark(line.as_bytes()), expected, "{line}");
        }
    }
}
