//! Units as pprof spells them.

use hotproof_profile::Unit;

/// What a spelling means: our unit, and how many of ours one of theirs is. What is unknown
/// counts things.
pub(crate) fn meaning(spelling: &str) -> (Unit, i64) {
    match spelling {
        "nanoseconds" | "nanosecond" | "ns" => (Unit::Nanoseconds, 1),
        "microseconds" | "microsecond" | "us" => (Unit::Nanoseconds, 1_000),
        "milliseconds" | "millisecond" | "ms" => (Unit::Nanoseconds, 1_000_000),
        "seconds" | "second" | "s" => (Unit::Nanoseconds, 1_000_000_000),
        "bytes" | "byte" | "B" => (Unit::Bytes, 1),
        "kilobytes" | "kilobyte" | "kB" | "KB" => (Unit::Bytes, 1 << 10),
        "megabytes" | "megabyte" | "MB" => (Unit::Bytes, 1 << 20),
        "cycles" => (Unit::Cycles, 1),
        "instructions" => (Unit::Instructions, 1),
        _ => (Unit::Count, 1),
    }
}
