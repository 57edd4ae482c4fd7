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
    MARKS.iter().any(|mark| line.contains(mark))
}
