//! A period that changes a little within a run.
//!
//! Samples at a fixed distance beat against a program that does things at fixed intervals: where
//! both distances are nearly equal, all samples see the same moment of each round. So the period is
//! changed some times a second, within a narrow range around the one that was asked for. Every
//! second period lies as far on the other side as the one before it: drawn each for itself, the few
//! periods of a run of two seconds gave a rate up to two parts in a hundred off. Each
//! change begins a period from its start (`_perf_event_period` in kernel/events/core.c), which loses
//! half a period on average and gives the samples a new phase besides; at four changes a second and
//! 1 kHz that is one sample in five hundred.
//!
//! The kernel changes the one event that is named and not those that tasks have inherited from it,
//! so that this is for events of whole CPUs.

use std::collections::VecDeque;

/// One period lasts for as many samples of its CPU as are taken in this part of a second.
const PART_OF_SECOND: u64 = 4;
/// The period differs from the one asked for by one part in so many at most, so that the rate stays.
const MOST: u64 = 16;
/// And at least: at 1 kHz the samples of a quarter of a second wander over a round of equal length
/// four times or more.
const LEAST: u64 = 64;

/// When the periods of all CPUs change, and to what.
#[derive(Debug)]
pub(crate) struct Jitter {
    nominal: u64,
    every: u64,
    random: u64,
    events: Vec<Change>,
}

/// The last change of one event.
#[derive(Debug, Clone, Default)]
struct Change {
    /// How many samples there were then; `None` before the first.
    samples: Option<u64>,
    /// The period that makes up for this one, and comes next.
    opposite: Option<u64>,
}

impl Jitter {
    /// Around this period at this rate, of so many events; the seed is anything that differs from
    /// run to run.
    pub(crate) fn new(nominal: u64, rate_hz: u64, events: usize, seed: u64) -> Jitter {
        Jitter {
            nominal,
            every: rate_hz.div_ceil(PART_OF_SECOND),
            random: seed | 1,
            events: vec![Change::default(); events],
        }
    }

    /// The period of an event from now on, when its CPU has so many samples and it is time for
    /// another one. It goes by samples and not by the clock, because each change costs half a
    /// period of the CPU's time, of which the target may have little.
    pub(crate) fn change(&mut self, event: usize, samples: u64) -> Option<u64> {
        let last = self.events.get_mut(event)?;
        let since = |before| samples.saturating_sub(before);
        if last
            .samples
            .is_some_and(|before| since(before) < self.every)
        {
            return None;
        }
        last.samples = Some(samples);
        if let Some(opposite) = last.opposite.take() {
            return Some(opposite);
        }
        // Marsaglia's xorshift with the triple 13, 7, 17.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let (least, most) = (self.nominal / LEAST, self.nominal / MOST);
        let offset = least + (self.random >> 1) % (most - least + 1);
        let pair = [
            self.nominal + offset,
            self.nominal.saturating_sub(offset).max(1),
        ];
        let longer_first = self.random & 1 == 0;
        last.opposite = Some(pair[usize::from(longer_first)]);
        Some(pair[usize::from(!longer_first)])
    }
}

/// The periods of one CPU, of which the last ones are kept: what a sample weighs.
#[derive(Debug, Default)]
pub(crate) struct Periods {
    changes: VecDeque<(u64, u64)>,
    /// Samples of this CPU so far.
    pub(crate) samples: u64,
}

impl Periods {
    /// From this time on this is the period.
    pub(crate) fn changed(&mut self, time_ns: u64, period: u64) {
        self.changes.push_back((time_ns, period));
    }

    /// The period at a time, asked for in the order of time; `None` before the first change.
    pub(crate) fn at(&mut self, time_ns: u64) -> Option<u64> {
        while self.changes.get(1).is_some_and(|next| next.0 <= time_ns) {
            self.changes.pop_front();
        }
        let (from_ns, period) = self.changes.front()?;
        (*from_ns <= time_ns).then_some(*period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Periods change in time, lie around the one asked for, differ, and each two are it on average.
    #[test]
    fn periods_lie_around_the_one_asked_for() {
        let mut jitter = Jitter::new(1_003_009, 997, 2, 7);
        assert!(jitter.change(0, 0).is_some() && jitter.change(1, 0).is_some());
        assert_eq!(jitter.change(0, 249), None);
        assert!(jitter.change(1, 250).is_some(), "each CPU has its own");
        let mut periods: Vec<u64> = (1..=2_000)
            .filter_map(|i| jitter.change(0, i * 250))
            .collect();
        assert_eq!(periods.len(), 2_000);
        let range = 1_003_009 / LEAST..=1_003_009 / MOST;
        let offsets = periods.iter().map(|period| period.abs_diff(1_003_009));
        assert!(offsets.clone().all(|offset| range.contains(&offset)));
        // The first of its event was taken above, so that this begins with the second of a pair.
        assert!(
            periods[1..]
                .chunks_exact(2)
                .all(|pair| pair[0] + pair[1] == 2 * 1_003_009)
        );
        periods.sort_unstable();
        periods.dedup();
        assert!(periods.len() > 1_800);
    }

    #[test]
    fn a_sample_weighs_the_period_of_its_time() {
        let mut periods = Periods::default();
        assert_eq!(periods.at(1), None);
        periods.changed(10, 100);
        periods.changed(20, 200);
        let found = [5, 10, 19, 20, 99].map(|time_ns| periods.at(time_ns));
        assert_eq!(found, [None, Some(100), Some(100), Some(200), Some(200)]);
    }
}
