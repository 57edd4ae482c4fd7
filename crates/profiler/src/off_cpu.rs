//! Time that threads spend off the CPU, from the kernel's records of switches.
//!
//! A thread is off the CPU from the record that it was switched out to the one that it was switched
//! in, to the nanosecond. It was preempted if it could have run on, and blocked otherwise. What it
//! was doing is known from the sample that an event of switches takes just before it leaves; where
//! that event is not permitted, the stack is borrowed from the thread's nearest sample, and marked.
//!
//! How many threads are on a CPU is known as well, so that each moment of the run can be told once:
//! one in which nothing of the target ran belongs to the thread that ran next. No other thread can
//! have woken it, so that what it waited for is what the whole run waited for.
//!
//! Spells shorter than the grain are added up by stack before they become a row, so that a program
//! that switches a hundred thousand times a second makes no more rows than one that does not.

use hotproof_profile::{StackEnd, StackId, ThreadId};
use rustc_hash::FxHashMap;

/// Stacks of one thread that wait to be added up; beyond that they become rows as they are.
const MOST_WAITING: usize = 4_096;

/// Why a thread does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Why {
    /// It waits for something: a lock, a timer, a device, another process.
    Blocked,
    /// It could run, and waits for a CPU.
    Preempted,
}

/// Where a thread was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The stack; `None` when nothing is known.
    pub(crate) stack: Option<StackId>,
    /// Whether it is whole.
    pub(crate) end: StackEnd,
    /// Whether it is that of the nearest sample instead of its own.
    pub(crate) borrowed: bool,
}

/// Time off the CPU at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spell {
    /// Whose.
    pub(crate) thread: ThreadId,
    /// Where it was.
    pub(crate) place: Place,
    /// Why it did not run.
    pub(crate) why: Why,
    /// How long.
    pub(crate) spent: Spent,
}

/// Time off the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spent {
    /// All of it.
    pub(crate) time_ns: u64,
    /// Of it, what no other thread ran in, and this one ran after.
    pub(crate) elapsed_ns: u64,
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Spent) {
        self.time_ns += other.time_ns;
        self.elapsed_ns += other.elapsed_ns;
    }
}

/// What threads did between their switches.
#[derive(Debug, Default)]
pub(crate) struct OffCpu {
    threads: FxHashMap<ThreadId, Clock>,
    grain_ns: u64,
    /// How many threads are known to be on a CPU.
    on_cpu: u64,
    /// Since when none is; `None` while one is, or may be.
    nobody_since_ns: Option<u64>,
    /// All time off the CPU so far, by reason.
    pub(crate) blocked_ns: u64,
    /// As `blocked_ns`.
    pub(crate) preempted_ns: u64,
    /// Of both, what has a borrowed stack or none.
    pub(crate) borrowed_ns: u64,
}

/// One thread.
#[derive(Debug, Default)]
struct Clock {
    /// Whether it is known to be on a CPU.
    is_on: bool,
    /// Since when, why and where it is off the CPU.
    away: Option<(u64, Why, Option<Place>)>,
    /// Where it was when a sample was taken.
    nearest: Option<Place>,
    /// Where it was when it was about to be switched out.
    leaving: Option<Place>,
    /// Spells that are too short for a row.
    waiting: FxHashMap<(Place, Why), Spent>,
    /// Spells from before anything was known of a stack.
    nowhere: FxHashMap<Why, Spent>,
}

/// A place without a stack.
const NOWHERE: Place = Place {
    stack: None,
    end: StackEnd::Unknown,
    borrowed: true,
};

impl OffCpu {
    /// Nobody yet; spells of at least the grain are rows of their own.
    pub(crate) fn new(grain_ns: u64) -> OffCpu {
        OffCpu {
            grain_ns: grain_ns.max(1),
            ..OffCpu::default()
        }
    }

    /// A thread was started: it waits for a CPU.
    pub(crate) fn started(&mut self, thread: ThreadId, time_ns: u64) {
        self.away(thread, time_ns, Why::Preempted);
    }

    /// A thread was there before; unless it turns out to run now, this is why it does not.
    pub(crate) fn found(&mut self, thread: ThreadId, time_ns: u64, why: Why) {
        self.away(thread, time_ns, why);
    }

    /// A thread runs, as is known of one that replaced its program.
    pub(crate) fn runs(&mut self, thread: ThreadId) {
        let clock = self.threads.entry(thread).or_default();
        if !std::mem::replace(&mut clock.is_on, true) {
            self.on_cpu += 1;
        }
        self.nobody_since_ns = None;
    }

    /// A thread does not run from now on.
    fn stops(&mut self, thread: ThreadId, time_ns: u64) {
        let clock = self.threads.entry(thread).or_default();
        if std::mem::replace(&mut clock.is_on, false) {
            self.on_cpu -= 1;
        }
        if self.on_cpu == 0 {
            self.nobody_since_ns = Some(time_ns);
        }
    }

    /// How many threads share a moment in which a sample was taken; at least the one sampled.
    pub(crate) fn running(&self) -> u64 {
        self.on_cpu.max(1)
    }

    fn away(&mut self, thread: ThreadId, time_ns: u64, why: Why) {
        let clock = self.threads.entry(thread).or_default();
        clock.away = Some((time_ns, why, None));
    }

    /// A sample was taken of a thread that runs.
    pub(crate) fn sampled(&mut self, thread: ThreadId, stack: Option<StackId>, end: StackEnd) {
        self.runs(thread);
        let clock = self.threads.entry(thread).or_default();
        // It runs, whatever record of that is missing.
        clock.away = None;
        clock.nearest = Some(Place {
            stack,
            end,
            borrowed: true,
        });
    }

    /// A thread is about to be switched out here.
    pub(crate) fn leaves(&mut self, thread: ThreadId, stack: Option<StackId>, end: StackEnd) {
        let clock = self.threads.entry(thread).or_default();
        clock.leaving = Some(Place {
            stack,
            end,
            borrowed: false,
        });
    }

    /// A thread was switched out.
    pub(crate) fn switched_out(&mut self, thread: ThreadId, time_ns: u64, why: Why) {
        self.stops(thread, time_ns);
        let clock = self.threads.entry(thread).or_default();
        let place = clock.leaving.take();
        clock.away = Some((time_ns, why, place));
    }

    /// A thread was switched in; what it spent off the CPU goes to `tell` as soon as it is enough
    /// for a row.
    pub(crate) fn switched_in<E>(
        &mut self,
        thread: ThreadId,
        time_ns: u64,
        tell: &mut dyn FnMut(Spell) -> Result<(), E>,
    ) -> Result<(), E> {
        let nobody_since_ns = self.nobody_since_ns;
        self.runs(thread);
        let clock = self.threads.entry(thread).or_default();
        let Some((since_ns, why, place)) = clock.away.take() else {
            return Ok(());
        };
        let since = |earlier_ns: u64| time_ns.saturating_sub(earlier_ns);
        let spent = Spent {
            time_ns: since(since_ns),
            elapsed_ns: nobody_since_ns.map_or(0, |nobody_ns| since(nobody_ns.max(since_ns))),
        };
        match why {
            Why::Blocked => self.blocked_ns += spent.time_ns,
            Why::Preempted => self.preempted_ns += spent.time_ns,
        }
        let Some(place) = place.or(clock.nearest) else {
            *clock.nowhere.entry(why).or_default() += spent;
            return Ok(());
        };
        let nowhere = std::mem::take(&mut clock.nowhere);
        let borrowed = Place {
            borrowed: true,
            ..place
        };
        let early = nowhere
            .into_iter()
            .map(|(why, spent)| (borrowed, why, spent));
        for (place, why, spent) in early.chain([(place, why, spent)]) {
            *clock.waiting.entry((place, why)).or_default() += spent;
        }
        if clock.waiting.len() > MOST_WAITING {
            return self.tell_waiting(thread, 1, tell);
        }
        self.tell_waiting(thread, self.grain_ns, tell)
    }

    /// A thread ended, or its recording did: everything that it spent is told.
    pub(crate) fn ended<E>(
        &mut self,
        thread: ThreadId,
        time_ns: u64,
        tell: &mut dyn FnMut(Spell) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.threads.contains_key(&thread) {
            return Ok(());
        }
        self.switched_in(thread, time_ns, tell)?;
        let clock = self.threads.entry(thread).or_default();
        let place = clock.nearest.unwrap_or(NOWHERE);
        for (why, spent) in std::mem::take(&mut clock.nowhere) {
            *clock.waiting.entry((place, why)).or_default() += spent;
        }
        self.tell_waiting(thread, 1, tell)?;
        self.stops(thread, time_ns);
        self.threads.remove(&thread);
        Ok(())
    }

    /// Tells what has come to at least `least_ns`, in a fixed order.
    fn tell_waiting<E>(
        &mut self,
        thread: ThreadId,
        least_ns: u64,
        tell: &mut dyn FnMut(Spell) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(clock) = self.threads.get_mut(&thread) else {
            return Ok(());
        };
        let mut enough: Vec<(Place, Why)> = clock
            .waiting
            .iter()
            .filter(|(_, spent)| spent.time_ns >= least_ns)
            .map(|(key, _)| *key)
            .collect();
        enough.sort_unstable();
        for key in enough {
            let spent = clock.waiting.remove(&key).unwrap_or_default();
            let (place, why) = key;
            if place.borrowed {
                self.borrowed_ns += spent.time_ns;
            }
            tell(Spell {
                thread,
                place,
                why,
                spent,
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const THREAD: ThreadId = ThreadId(3);
    const MS: u64 = 1_000_000;

    fn stack(number: u32) -> Option<StackId> {
        Some(StackId(number))
    }

    /// Collects what is told.
    #[derive(Default)]
    struct Told(Vec<Spell>);

    impl Told {
        fn take(&mut self, spell: Spell) -> Result<(), Infallible> {
            self.0.push(spell);
            Ok(())
        }

        fn rows(&self) -> Vec<(Option<StackId>, bool, Why, u64)> {
            let row = |spell: &Spell| {
                let Place {
                    stack, borrowed, ..
                } = spell.place;
                (stack, borrowed, spell.why, spell.spent.time_ns)
            };
            self.0.iter().map(row).collect()
        }
    }

    fn spell(off: &mut OffCpu, told: &mut Told, from_ns: u64, to_ns: u64, why: Why) {
        off.switched_out(THREAD, from_ns, why);
        off.switched_in(THREAD, to_ns, &mut |spell| told.take(spell))
            .unwrap();
    }

    /// A spell has the stack that its thread left with, to the nanosecond.
    #[test]
    fn a_spell_is_what_lies_between_two_switches() {
        let (mut off, mut told) = (OffCpu::new(MS), Told::default());
        off.leaves(THREAD, stack(7), StackEnd::Complete);
        spell(&mut off, &mut told, 5, 5 + 3 * MS + 1, Why::Blocked);
        assert_eq!(told.rows(), [(stack(7), false, Why::Blocked, 3 * MS + 1)]);
        // The stack was that of one switch alone.
        spell(&mut off, &mut told, 9 * MS, 20 * MS, Why::Preempted);
        off.ended(THREAD, 20 * MS, &mut |spell| told.take(spell))
            .unwrap();
        assert_eq!(told.rows()[1..], [(None, true, Why::Preempted, 11 * MS)]);
        assert_eq!(
            (off.blocked_ns, off.preempted_ns, off.borrowed_ns),
            (3 * MS + 1, 11 * MS, 11 * MS)
        );
    }

    /// Short spells are one row when they have come to enough, and nothing of them is lost.
    #[test]
    fn short_spells_are_added_up() {
        let (mut off, mut told) = (OffCpu::new(MS), Told::default());
        for i in 0..25 {
            off.leaves(THREAD, stack(1), StackEnd::Complete);
            spell(&mut off, &mut told, i * MS, i * MS + 100_000, Why::Blocked);
        }
        assert_eq!(told.rows(), [(stack(1), false, Why::Blocked, MS); 2]);
        off.ended(THREAD, 99 * MS, &mut |spell| told.take(spell))
            .unwrap();
        let all: u64 = told.0.iter().map(|spell| spell.spent.time_ns).sum();
        assert_eq!((all, off.blocked_ns), (2_500_000, 2_500_000));
        assert!(off.threads.is_empty());
    }

    /// Without an event of switches the nearest sample lends its stack: the one before, or for the
    /// first spells the one after.
    #[test]
    fn stacks_are_borrowed_and_marked() {
        let (mut off, mut told) = (OffCpu::new(MS), Told::default());
        off.started(THREAD, 0);
        off.switched_in(THREAD, 2 * MS, &mut |spell| told.take(spell))
            .unwrap();
        assert_eq!(told.rows(), []);
        off.sampled(THREAD, stack(4), StackEnd::Complete);
        spell(&mut off, &mut told, 3 * MS, 8 * MS, Why::Blocked);
        assert_eq!(
            told.rows(),
            [
                (stack(4), true, Why::Blocked, 5 * MS),
                (stack(4), true, Why::Preempted, 2 * MS)
            ]
        );
        assert_eq!(off.borrowed_ns, 7 * MS);
    }

    /// A thread that is off the CPU when its recording ends has spent the time until then; so has
    /// one that was so from the beginning.
    #[test]
    fn the_end_ends_a_spell() {
        let (mut off, mut told) = (OffCpu::new(MS), Told::default());
        off.found(THREAD, 10, Why::Blocked);
        off.ended(THREAD, 10 + 7 * MS, &mut |spell| told.take(spell))
            .unwrap();
        assert_eq!(told.rows(), [(None, true, Why::Blocked, 7 * MS)]);
    }

    /// A thread that was found ready to run and is sampled was running all the time.
    #[test]
    fn a_sample_shows_that_a_thread_runs() {
        let (mut off, mut told) = (OffCpu::new(MS), Told::default());
        off.found(THREAD, 10, Why::Preempted);
        off.sampled(THREAD, stack(1), StackEnd::Complete);
        off.ended(THREAD, 99 * MS, &mut |spell| told.take(spell))
            .unwrap();
        assert_eq!(told.rows(), []);
    }

    /// A parent waits for a child that runs, then sleeps: the sleep is what the run waited for, and
    /// the parent's wait is over when the child's time is.
    #[test]
    fn each_moment_belongs_to_one_thread() {
        let (parent, child) = (THREAD, ThreadId(9));
        let (mut off, mut told) = (OffCpu::new(1), Told::default());
        off.runs(parent);
        off.started(child, 1);
        off.leaves(parent, stack(1), StackEnd::Complete);
        off.switched_out(parent, 2, Why::Blocked);
        let mut switched_in = |off: &mut OffCpu, thread, time_ns| {
            off.switched_in(thread, time_ns, &mut |spell| told.take(spell))
                .unwrap();
        };
        switched_in(&mut off, child, 4);
        assert_eq!(off.running(), 1);
        off.leaves(child, stack(2), StackEnd::Complete);
        off.switched_out(child, 10, Why::Blocked);
        switched_in(&mut off, child, 60);
        switched_in(&mut off, parent, 70);
        assert_eq!(off.running(), 2);
        off.ended(child, 75, &mut |spell| told.take(spell)).unwrap();
        assert_eq!(off.running(), 1);
        let rows = told.0.iter().map(|spell| {
            let Spent {
                time_ns,
                elapsed_ns,
            } = spell.spent;
            (spell.thread, spell.place.stack, time_ns, elapsed_ns)
        });
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [
                // The child waited for a CPU from 1 on, and until 2 its parent ran.
                (child, stack(2), 50, 50),
                (child, stack(2), 3, 2),
                (parent, stack(1), 68, 0),
            ]
        );
    }
}
