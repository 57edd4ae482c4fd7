//! How long a run waited of its own accord, and not for a CPU.

use std::time::Duration;

use hotproof_diff::Metrics;

use super::Workload;

/// How many threads a run had, those of its children among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The main thread alone.
    One,
    /// Nobody knows, or there were more.
    OneOrMore,
}

/// Time in which a run neither computed nor waited for a CPU.
///
/// The kernel tells the waiting of the main thread alone. With more threads than that, waiting
/// counts wherever any task of the machine waited, so that a busy machine is never taken for a
/// program that blocks.
pub(crate) fn blocked(metrics: &Metrics, threads: Threads, pressure_ns: Option<u64>) -> Duration {
    let waited = match (threads, metrics.run_queue_ns) {
        (Threads::One, Some(main)) => main,
        (_, main) => main.unwrap_or(0).max(pressure_ns.unwrap_or(0)),
    };
    let busy = metrics.cpu_ns.saturating_add(waited);
    Duration::from_nanos(metrics.wall_ns.saturating_sub(busy))
}

/// The share of wall time that a run blocks for.
pub(super) fn share_blocked<W: Workload>(workload: &W, raw: &W::Raw) -> f64 {
    let wall = Duration::from_nanos(workload.metrics(raw).wall_ns);
    workload.blocked(raw).as_secs_f64() / wall.as_secs_f64().max(1e-9)
}
