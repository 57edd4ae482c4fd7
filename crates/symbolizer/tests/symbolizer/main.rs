//! The symbolizer on real programs: compiled by gcc, g++ and rustc for the test, or from Debian.

mod binutils;
mod cache;
mod damage;
mod debian;
mod hostile;
mod narrow;
mod objects;
mod profile;
mod programs;
mod reference;
mod scratch;
mod sources;
mod split;
mod truth;

/// Says that a test was skipped, past the test runner's capture.
pub(crate) fn skip(test: &str, reason: &dyn std::fmt::Display) {
    use std::io::Write;
    // A runner without standard error cannot be told anything.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
}
