//! Every format: round trips, damage, golden texts, and independent readers.

mod arbitrary;
mod callgrind;
mod canonical;
mod damage;
mod example;
mod folded;
mod golden;
mod native;
mod peers;
mod perf_script;
mod pprof;
mod pprof_import;
mod schema;
mod summed;
mod wire;

/// Says that a test was skipped, past the capture of the test harness, so that it is seen.
fn skip(reason: &str) {
    use std::io::Write;
    let line = format!("skipped: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
