//! Copies of the stack that grow when stacks come back cut.
//!
//! The kernel fixes the size of the copies when an event is opened. So each CPU has two sampling
//! events from the start, one with small copies and one with large ones, of which the second is
//! off until it is needed; tasks that are started meanwhile inherit both. Processes and mappings
//! are told by a third event that is never switched, so that no such record is missed or doubled.
//!
//! Large copies need larger rings, which are mapped only then. At the switch each event loses the
//! part of a period that it has counted, and nothing else: what lies in the old rings is read.

use std::io;

use perf_event::Counter;

/// The least and the most that is copied of a stack with each sample at first: enough for most
/// programs.
const FEWEST_BYTES: u64 = 8_192;
const MOST_BYTES: u64 = 32_768;
/// At first, copies of a second take no more room than this, so that rings stay small: at the usual
/// rate the first size is the most.
const BYTES_A_SECOND: u64 = 35 << 20;

/// Bytes of stack to copy with each sample at first, at so many samples a second.
pub(crate) fn first_stack_bytes(rate_hz: u64) -> u32 {
    let bytes = (BYTES_A_SECOND / rate_hz.max(1)).clamp(FEWEST_BYTES, MOST_BYTES);
    (bytes - bytes % 8) as u32
}

/// The sampling events of a recording whose copies may grow.
#[derive(Debug)]
pub(crate) struct Growth {
    /// With small copies, one for each CPU.
    pub(crate) small: Vec<Counter>,
    /// With large copies, and the CPU of each.
    pub(crate) larger: Vec<(usize, Counter)>,
    /// What became of them.
    pub(crate) stage: Stage,
}

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Copies are small, and no stack was cut.
    Small,
    /// Copies are large.
    Grown {
        /// Since when, nanoseconds from the start of the target.
        after_ns: u64,
        /// How many stacks had been cut by then.
        cut_before: u64,
    },
    /// Copies are small, because large ones could not be had.
    Refused(String),
}

impl Growth {
    /// Turns the small copies on.
    pub(crate) fn enable(&mut self) -> io::Result<()> {
        self.small.iter_mut().try_for_each(Counter::enable)
    }

    /// Goes over to large copies; their events have rings by now.
    pub(crate) fn switch(&mut self) -> io::Result<()> {
        for (_, event) in &mut self.larger {
            event.enable()?;
        }
        self.small.iter_mut().try_for_each(Counter::disable)
    }

    /// All sampling events.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Counter> {
        let larger = self.larger.iter().map(|(_, event)| event);
        self.small.iter().chain(larger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First copies are large at usual rates and small at high ones, in whole words.
    #[test]
    fn first_copies_follow_the_rate() {
        let rates = [0, 1, 997, 2_999, 9_999, u64::MAX];
        let sizes = [32_768, 32_768, 32_768, 12_232, 8_192, 8_192];
        assert_eq!(rates.map(first_stack_bytes), sizes);
    }
}
