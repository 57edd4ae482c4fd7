//! Copies of the stack that follow what stacks need.
//!
//! The kernel fixes the size of the copies when an event is opened. So each CPU has several sampling
//! events from the start, each with larger copies than the one before, and all but one are off until
//! they are needed; tasks that are started meanwhile inherit them all. Processes and mappings are
//! told by an event beside them that is never switched, so that no such record is missed or doubled.
//!
//! Copies are large at first, so that a recording does not begin with cut stacks. When the last
//! samples have shown that less is enough they become smaller, once; when stacks come back cut they
//! grow again, step by step. How many samples are looked at doubles each time, because a program
//! begins with the loader, whose stacks are deep, and what was needed for long is needed again.
//! Larger copies than at first need larger rings, which are mapped only then. At a switch each event
//! loses the part of a period that it has counted, and nothing else: what lies in the old rings is
//! read.

use std::cmp::Ordering;
use std::io;

use perf_event::Counter;

/// The sizes at usual rates, below the kernel's ceiling, which is what is copied at first.
const USUAL_BYTES: [u32; 2] = [8_192, 32_768];
/// From this rate on a sample's own cost is what counts: a copy of 8 KiB, most of it beyond the end of
/// a shallow stack, costs 4 to 6 % of the target's time at 10 kHz, one of 1 to 4 KiB next to
/// nothing. The largest of these is what is copied at first: with larger ones the rings would fill
/// before they are read.
pub(crate) const FAST_HZ: u64 = 4_000;
const FAST_BYTES: [u32; 2] = [2_048, 16_384];
/// Copies that are smaller than this are cut now and then.
const LARGE_BYTES: u32 = 32_768;
/// After so many samples it is seen for the first time how much they needed.
pub(crate) const FIRST_LOOK: u64 = 100;

/// So many stacks at least are cut before small copies grow.
const FEWEST_CUT_OF_SMALL: u64 = 6;

/// Stacks that went on beyond their copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cut {
    /// Bytes of the largest copies among them.
    bytes: u32,
    /// How many of them had copies of that size.
    count: u64,
}

impl Cut {
    /// Another one, with a copy of so many bytes.
    pub(crate) fn note(&mut self, bytes: u32) {
        match bytes.cmp(&self.bytes) {
            Ordering::Less => {}
            Ordering::Equal => self.count += 1,
            Ordering::Greater => *self = Cut { bytes, count: 1 },
        }
    }
}

/// The sizes of copies at so many samples a second, none above `most`, the largest last; and which of
/// them is the first.
pub(crate) fn stack_sizes(rate_hz: u64, most: u32) -> (Vec<u32>, usize) {
    let is_usual = rate_hz < FAST_HZ;
    let below = if is_usual { USUAL_BYTES } else { FAST_BYTES };
    let mut sizes: Vec<u32> = below.into_iter().filter(|&size| size < most).collect();
    sizes.push(most);
    let last = sizes.len() - 1;
    let first = if is_usual { last } else { last.min(1) };
    (sizes, first)
}

/// The sampling events of a recording whose copies may grow.
#[derive(Debug)]
pub(crate) struct Growth {
    /// From the smallest copies to the largest.
    pub(crate) steps: Vec<Step>,
    /// Which of them samples.
    pub(crate) at: usize,
    /// What became of the last step that was tried.
    pub(crate) stage: Stage,
    /// Sizes that were copied, in the order of time.
    pub(crate) history: Vec<u32>,
    /// After so many samples it is seen how much the last ones needed.
    pub(crate) next_look: u64,
}

/// Events with copies of one size.
#[derive(Debug)]
pub(crate) struct Step {
    /// That size.
    pub(crate) stack_bytes: u32,
    /// One for each CPU, and that CPU.
    pub(crate) events: Vec<(usize, Counter)>,
}

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is not seen yet what is needed.
    First,
    /// Copies are as large as it was seen to be needed, and few stacks were cut.
    Settled,
    /// Copies have grown.
    Grown {
        /// Since when they are as large as they are, nanoseconds from the start of the target.
        after_ns: u64,
        /// How many stacks had been cut by then.
        cut_before: u64,
    },
    /// Copies are no larger, because larger ones could not be had.
    Refused(String),
}

impl Growth {
    /// Bytes that are copied now.
    pub(crate) fn stack_bytes(&self) -> u32 {
        self.steps[self.at].stack_bytes
    }

    /// Whether there are larger copies to be had.
    pub(crate) fn can_go_on(&self) -> bool {
        self.at + 1 < self.steps.len() && !matches!(self.stage, Stage::Refused(_))
    }

    /// Whether so many stacks were cut at the size that is copied now (those that lie in the rings yet
    /// were cut earlier and say nothing) that larger copies are worth their cost. Of small ones, a few
    /// and one in a thousand: every program is a little deeper while it is loaded.
    pub(crate) fn has_to_go_on(&self, cut: Cut, samples: u64) -> bool {
        let is_small = self.stack_bytes() < LARGE_BYTES;
        let enough = !is_small
            || (cut.count >= FEWEST_CUT_OF_SMALL && cut.count.saturating_mul(1_000) >= samples);
        cut.bytes >= self.stack_bytes() && enough
    }

    /// The step with the smallest copies that were enough since the last look, when it is time for one:
    /// there were so many samples in all, and those since then have needed so many bytes at most,
    /// which begins anew. Half as much again is left for others.
    pub(crate) fn settles_at(&mut self, samples: u64, needed_bytes: &mut u64) -> Option<usize> {
        if self.stage != Stage::First || samples < self.next_look {
            return None;
        }
        self.next_look = samples * 2;
        let needed = std::mem::take(needed_bytes);
        let room = needed.saturating_add(needed / 2);
        let enough = |step: &Step| u64::from(step.stack_bytes) >= room;
        self.steps[..self.at].iter().position(enough)
    }

    /// Turns the first copies on.
    pub(crate) fn enable(&mut self) -> io::Result<()> {
        self.steps[self.at].each(Counter::enable)
    }

    /// Goes over to the copies of another step; its events have rings by now.
    pub(crate) fn switch(&mut self, to: usize) -> io::Result<()> {
        if to == self.at {
            return Ok(());
        }
        if let Err(error) = self.steps[to].each(Counter::enable) {
            // On the CPUs where it is on already, both would sample. That the first error is told is
            // enough.
            let _ = self.steps[to].each(Counter::disable);
            return Err(error);
        }
        let from = std::mem::replace(&mut self.at, to);
        self.history.push(self.stack_bytes());
        self.steps[from].each(Counter::disable)
    }

    /// The size before the one that is copied now.
    pub(crate) fn bytes_before(&self) -> u32 {
        let before = self.history.len().checked_sub(2);
        before.map_or(self.stack_bytes(), |at| self.history[at])
    }

    /// All sampling events.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Counter> {
        let steps = self.steps.iter().flat_map(|step| &step.events);
        steps.map(|(_, event)| event)
    }

    /// Those of one CPU, by its place among the CPUs.
    pub(crate) fn of_cpu(&self, place: usize) -> impl Iterator<Item = &Counter> {
        let steps = self.steps.iter();
        steps.filter_map(move |step| Some(&step.events.get(place)?.1))
    }
}

impl Step {
    fn each(&mut self, mut act: impl FnMut(&mut Counter) -> io::Result<()>) -> io::Result<()> {
        self.events.iter_mut().try_for_each(|(_, event)| act(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes follow the rate, none is larger than what there is room for, and the first is large.
    #[test]
    fn copies_follow_the_rate() {
        for rate_hz in [0, 997, 3_999] {
            let expected = (vec![8_192, 32_768, 65_528], 2);
            assert_eq!(stack_sizes(rate_hz, 65_528), expected);
        }
        for rate_hz in [4_000, 9_999, u64::MAX] {
            let expected = (vec![2_048, 16_384, 65_528], 1);
            assert_eq!(stack_sizes(rate_hz, 65_528), expected);
        }
        assert_eq!(stack_sizes(9_999, 16_384), (vec![2_048, 16_384], 1));
        assert_eq!(stack_sizes(9_999, 2_048), (vec![2_048], 0));
        assert_eq!(stack_sizes(997, 21_840), (vec![8_192, 21_840], 1));
    }

    fn growth(sizes: &[u32]) -> Growth {
        let step = |&stack_bytes: &u32| Step {
            stack_bytes,
            events: Vec::new(),
        };
        Growth {
            steps: sizes.iter().map(step).collect(),
            at: sizes.len() - 1,
            stage: Stage::First,
            history: sizes.last().copied().into_iter().collect(),
            next_look: FIRST_LOOK,
        }
    }

    /// Copies are made as small as the last samples permit, and only once.
    #[test]
    fn copies_settle_at_what_is_needed() {
        let sizes = [USUAL_BYTES[0], USUAL_BYTES[1], 65_528];
        assert_eq!(growth(&sizes).settles_at(99, &mut 1_000), None);
        for (mut needed, expected) in [
            (0, Some(0)),
            (5_461, Some(0)),
            (5_463, Some(1)),
            (21_845, Some(1)),
            (21_846, None),
            (u64::MAX, None),
        ] {
            let settles = growth(&sizes).settles_at(100, &mut needed);
            assert_eq!((settles, needed), (expected, 0));
        }
        let mut growth = growth(&sizes);
        growth.switch(0).unwrap();
        assert_eq!(
            (growth.stack_bytes(), growth.history.as_slice()),
            (8_192, &[65_528, 8_192][..])
        );
        growth.stage = Stage::Settled;
        assert_eq!(growth.settles_at(1_000, &mut 10), None);
    }

    /// What the loader needs in the first samples does not count for ever: there is another look after
    /// as many samples again, at what these needed.
    #[test]
    fn deep_stacks_at_the_start_are_forgotten() {
        let mut growth = growth(&[2_048, 16_384]);
        let mut looks = Vec::new();
        let mut needed = 9_000;
        for samples in 1..1_000 {
            needed = needed.max(if samples <= 250 { 9_000 } else { 500 });
            let settles = growth.settles_at(samples, &mut needed);
            if needed == 0 {
                looks.push((samples, settles));
            }
        }
        let expected = [(100, None), (200, None), (400, None), (800, Some(0))];
        assert_eq!(looks, expected);
    }

    /// Small copies grow when one stack in a thousand is cut at their size, large ones at once; what
    /// was cut at an earlier size says nothing.
    #[test]
    fn copies_grow_when_it_is_worth_it() {
        let growth = |stack_bytes| growth(&[stack_bytes]);
        let cut = |bytes: &[u32]| {
            let mut cut = Cut::default();
            bytes.iter().for_each(|&bytes| cut.note(bytes));
            cut
        };
        let (small, large) = (growth(2_048), growth(32_768));
        assert!(!small.has_to_go_on(cut(&[2_048; 5]), 10));
        assert!(small.has_to_go_on(cut(&[2_048; 6]), 6_000));
        assert!(!small.has_to_go_on(cut(&[2_048; 6]), 6_001));
        let middle = growth(16_384);
        assert!(!middle.has_to_go_on(cut(&[2_048; 100]), 100));
        assert!(!middle.has_to_go_on(cut(&[2_048, 2_048, 16_384, 2_048]), 100));
        assert!(large.has_to_go_on(cut(&[32_768]), 1_000_000));
        assert!(!large.has_to_go_on(cut(&[]), 10));
    }
}
