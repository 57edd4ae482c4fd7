//! The time before sampling begins.

use std::time::Duration;

use crate::clock::duration_ns;
use crate::counters::Counters;
use crate::recording::Counts;

/// The time before sampling begins.
pub(super) struct Delay<'c> {
    pub(super) at: Duration,
    counters: &'c Counters,
    /// What was used before, when that time is over.
    before: Option<(Duration, Option<u64>)>,
}

impl Delay<'_> {
    pub(super) fn new(at: Duration, counters: &Counters) -> Delay<'_> {
        Delay {
            at,
            counters,
            before: None,
        }
    }

    /// Reads what was used when the time has come.
    pub(super) fn look(&mut self, wall: Duration) {
        if self.before.is_none() && wall >= self.at {
            self.before = Some((wall, self.counters.cpu_ns()));
        }
    }

    /// How long it still takes; `None` when it is over.
    pub(super) fn rest(&self, wall: Duration) -> Option<Duration> {
        (self.before.is_none()).then(|| self.at.saturating_sub(wall))
    }

    /// Takes what was used before out of the counts; all of it when the target ended before.
    pub(super) fn leave_out(&self, counts: &mut Counts) {
        let (wall, cpu_ns) = match self.before {
            Some((wall, cpu_ns)) => (duration_ns(wall), cpu_ns.unwrap_or(0)),
            None => (counts.wall_ns, counts.cpu_ns),
        };
        counts.wall_ns = counts.wall_ns.saturating_sub(wall);
        counts.cpu_ns = counts.cpu_ns.saturating_sub(cpu_ns);
    }
}
