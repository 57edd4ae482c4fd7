//! What the steps of a thread's last walks read, and where they led.
//!
//! Most stacks of a thread share their outer frames with the stack before. A step depends on nothing
//! but the frame that it begins at, the words that it reads and the code; so while the words are the
//! same it leads to the same caller. Comparing two words is several times cheaper than unwinding, and as
//! exact: a deep stack costs what changed of it.

use framehop::{Error, FrameAddress, UnwindRegsNative};
use hotproof_profile::ThreadId;
use rustc_hash::FxHashMap;

use crate::unwind::StackMemory;

/// So many places are remembered of all threads together, 4 MB; then all are forgotten.
const MOST_MARKS: usize = 1 << 17;

/// The trails of all threads of a recording.
#[derive(Debug, Default)]
pub(crate) struct Trails {
    by_thread: FxHashMap<ThreadId, Trail>,
    /// Marks of all of them.
    marks: usize,
}

impl Trails {
    /// Takes out the trail of a thread in the address space of this version; it is given back by
    /// [`Trails::put`].
    pub(crate) fn take(&mut self, thread: ThreadId, space: u64) -> Trail {
        let mut trail = self.by_thread.remove(&thread).unwrap_or_default();
        self.marks -= trail.marks.len();
        trail.begin(space);
        trail
    }

    /// Keeps a trail after a walk.
    pub(crate) fn put(&mut self, thread: ThreadId, mut trail: Trail) {
        trail.finish();
        if self.marks + trail.marks.len() > MOST_MARKS {
            *self = Trails::default();
        }
        if (1..=MOST_MARKS).contains(&trail.marks.len()) {
            self.marks += trail.marks.len();
            self.by_thread.insert(thread, trail);
        }
    }
}

/// The places of the last walks along one stack, in one address space.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// Version of the address space.
    space: u64,
    /// Outermost first. A step that is known leads to the mark before.
    marks: Vec<Mark>,
    /// Those of the walk that goes on which are not among `marks`, innermost first.
    fresh: Vec<Mark>,
    /// The walk has come by `marks[ahead..]`.
    ahead: usize,
    /// The walk follows `marks`, since it met them at the end of `marks[..met]`.
    met: Option<usize>,
}

/// A frame with the registers that unwinding goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// A return address.
    address: u64,
    sp: u64,
    fp: u64,
}

/// A place, and what is known of the step from there.
#[derive(Debug, Clone, Copy)]
struct Mark {
    place: Place,
    step: Step,
}

/// How a step came by the registers of the caller. Its return address always lies right below where
/// the caller's stack begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It was not taken, or read anything else.
    Unknown,
    /// It read the return address alone.
    Return,
    /// And the frame pointer, so far above the stack pointer.
    ReturnAndFramePointer(u32),
}

impl Place {
    /// Where a walk has come; `None` for an interrupted instruction, which is another each time.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn new(frame: FrameAddress, registers: &UnwindRegsNative) -> Option<Place> {
        frame.is_return_address().then(|| Place {
            address: frame.address(),
            sp: registers.sp(),
            fp: registers.bp(),
        })
    }

    /// Elsewhere return addresses are in a register at first, and may be signed: nothing is
    /// remembered.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn new(_frame: FrameAddress, _registers: &UnwindRegsNative) -> Option<Place> {
        None
    }

    /// The frame.
    pub(crate) fn frame(self) -> Option<FrameAddress> {
        FrameAddress::from_return_address(self.address)
    }

    /// Where the return address to it lies.
    pub(crate) fn return_slot(self) -> u64 {
        self.sp.wrapping_sub(8)
    }

    /// Sets the registers of the frame.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn enter(self, registers: &mut UnwindRegsNative) {
        registers.set_ip(self.address);
        registers.set_sp(self.sp);
        registers.set_bp(self.fp);
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn enter(self, _registers: &mut UnwindRegsNative) {}
}

impl Trail {
    /// A walk begins.
    fn begin(&mut self, space: u64) {
        if self.space != space {
            self.marks.clear();
            self.space = space;
        }
        self.fresh.clear();
        self.ahead = self.marks.len();
        self.met = None;
    }

    /// The walk has come to a place. Where the step from there leads, when an earlier walk took it and
    /// read what stands there now; otherwise [`Trail::learn`] wants to know.
    pub(crate) fn follow(&mut self, place: Place, stack: &mut impl StackMemory) -> Option<Place> {
        let is_behind = |mark: &Mark| mark.place.sp <= place.sp && mark.place != place;
        while let Some(last) = self.ahead.checked_sub(1)
            && is_behind(&self.marks[last])
        {
            self.part();
            self.ahead = last;
        }
        let last = self.ahead.checked_sub(1);
        let Some(last) = last.filter(|&last| self.marks[last].place == place) else {
            self.part();
            self.fresh.push(Mark {
                place,
                step: Step::Unknown,
            });
            return None;
        };
        self.met.get_or_insert(self.ahead);
        self.ahead = last;
        let to = self.marks[..last].last()?.place;
        let fp_stands = |above: u32, stack: &mut _| {
            StackMemory::word(stack, place.sp + u64::from(above)) == Ok(to.fp)
        };
        let stands = match self.marks[last].step {
            Step::Unknown => return None,
            Step::Return => true,
            Step::ReturnAndFramePointer(above) => fp_stands(above, stack),
        };
        if stands && stack.word(to.return_slot()) == Ok(to.address) {
            return Some(to);
        }
        self.marks[last].step = Step::Unknown;
        None
    }

    /// The walk goes other ways than `marks` from here on: those that it came by are its own.
    fn part(&mut self) {
        if let Some(met) = self.met.take() {
            let followed = self.marks[self.ahead..met].iter().rev();
            self.fresh.extend(followed);
        }
    }

    /// Takes note of the step from the last place, which was not known.
    pub(crate) fn learn(&mut self, reads: &Reads, to: Place) {
        self.part();
        if let Some(mark) = self.fresh.last_mut() {
            mark.step = reads.step(mark.place, to);
        }
    }

    /// The walk is over.
    fn finish(&mut self) {
        self.marks.truncate(self.met.unwrap_or(self.ahead));
        if let (None, Some(last)) = (self.met.take(), self.fresh.last_mut()) {
            // Where its step leads was not come to.
            last.step = Step::Unknown;
        }
        self.marks.extend(self.fresh.drain(..).rev());
    }
}

/// What one step read.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    words: [(u64, u64); 2],
    /// How many words, those that there was no room for among them.
    count: usize,
    /// The first word that could not be read, and how many were asked for after it.
    failed: Option<(u64, usize)>,
}

impl Reads {
    /// Reads a word.
    pub(crate) fn word(&mut self, address: u64, stack: &mut impl StackMemory) -> Result<u64, ()> {
        if let Some((_, more)) = &mut self.failed {
            *more += 1;
        }
        let Ok(word) = stack.word(address) else {
            self.failed.get_or_insert((address, 0));
            return Err(());
        };
        if let Some(room) = self.words.get_mut(self.count) {
            *room = (address, word);
        }
        self.count += 1;
        Ok(word)
    }

    /// What a step was that led from one place to another.
    fn step(&self, from: Place, to: Place) -> Step {
        let returns = (to.return_slot(), to.address);
        if self.failed.is_some() {
            return Step::Unknown;
        }
        let other = match (self.count, self.words) {
            (1, [only, _]) if only == returns => return Step::Return,
            (2, [first, second]) if second == returns => first,
            (2, [first, second]) if first == returns => second,
            _ => return Step::Unknown,
        };
        let above = other.0.checked_sub(from.sp).map(u32::try_from);
        match above {
            Some(Ok(above)) if other.1 == to.fp => Step::ReturnAndFramePointer(above),
            _ => Step::Unknown,
        }
    }

    /// The word whose lack made the unwinder do something else; with `error` as the outcome. It asks
    /// for words below the stack pointer without need, at a function's end.
    pub(crate) fn misled(&self, error: Option<&Error>, sp: u64) -> Option<u64> {
        let (address, more) = self.failed.filter(|&(address, _)| address >= sp)?;
        let stopped =
            more == 0 && matches!(error, Some(Error::CouldNotReadStack(at)) if *at == address);
        (!stopped).then_some(address)
    }

    /// Where a word was read.
    pub(crate) fn address_of(&self, word: u64) -> Option<u64> {
        let mut read = self.words.iter().take(self.count);
        read.find(|read| read.1 == word).map(|read| read.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Words from address 0 on.
    struct Words(Vec<u64>);

    impl StackMemory for Words {
        fn word(&mut self, address: u64) -> Result<u64, ()> {
            let index = usize::try_from(address / 8).map_err(|_| ())?;
            self.0.get(index).copied().ok_or(())
        }

        fn cuts_off(&self, _address: u64) -> bool {
            false
        }
    }

    fn place(address: u64, sp: u64) -> Place {
        Place {
            address,
            sp,
            fp: address ^ sp,
        }
    }

    /// Frames whose size is told by their address, with the return address in their last word. Some hold
    /// the frame pointer in their first, and some work it out from three words.
    fn step(from: Place, reads: &mut Reads, stack: &mut Words) -> Option<Place> {
        let last = from.sp + 8 * (from.address % 7 + 1);
        let fp = match from.address % 5 {
            0 => reads.word(from.sp, stack).ok()? ^ reads.word(last - 8, stack).ok()?,
            1 | 2 => reads.word(from.sp, stack).ok()?,
            _ => from.fp,
        };
        let caller = reads.word(last, stack).ok()?;
        (caller != 0).then_some(Place {
            address: caller,
            sp: last + 8,
            fp,
        })
    }

    /// The places of a walk, and how many of its steps were not known.
    fn walk(mut at: Place, trail: &mut Trail, stack: &mut Words) -> (Vec<Place>, usize) {
        trail.begin(1);
        let (mut walked, mut unwound) = (vec![at], 0);
        loop {
            let next = trail.follow(at, stack).or_else(|| {
                let mut reads = Reads::default();
                let to = step(at, &mut reads, stack)?;
                trail.learn(&reads, to);
                unwound += 1;
                Some(to)
            });
            let Some(next) = next else { break };
            walked.push(next);
            at = next;
        }
        trail.finish();
        (walked, unwound)
    }

    proptest! {
        /// Whatever changes of a stack between two walks, and wherever they begin, a walk along the
        /// trail finds what one without it finds.
        #[test]
        fn a_trail_leads_where_unwinding_leads(
            mut words in prop::collection::vec(0u64..30, 1..200),
            walks in prop::collection::vec(
                (prop::collection::vec((any::<prop::sample::Index>(), 0u64..30), 0..4),
                 1u64..30, 0u64..40), 1..20),
        ) {
            let mut trail = Trail::default();
            for (changes, address, from) in walks {
                for (index, word) in changes {
                    let at = index.index(words.len());
                    words[at] = word;
                }
                let mut stack = Words(words.clone());
                let begin = place(address, 8 * from);
                let (found, _) = walk(begin, &mut trail, &mut stack);
                let (expected, _) = walk(begin, &mut Trail::default(), &mut stack);
                prop_assert_eq!(found, expected);
            }
        }
    }

    /// What did not change is compared and not unwound; what changed is unwound anew, and what lies
    /// beyond it compared again.
    #[test]
    fn only_changes_are_unwound() {
        // Frames of five words that return to address 3 until the last one.
        let mut words: Vec<u64> = (0..500).map(|i| if i % 5 == 4 { 3 } else { i }).collect();
        words[499] = 0;
        let (mut stack, mut trail) = (Words(words), Trail::default());
        let mut unwound = |stack: &mut Words, from| {
            let (walked, unwound) = walk(place(3, from), &mut trail, stack);
            assert!(trail.marks.is_sorted_by(|a, b| a.place.sp > b.place.sp));
            (walked.len(), unwound)
        };
        // Frame pointers are handed on from the first frame.
        let first = place(3, 0).fp;
        assert_eq!(unwound(&mut stack, 0), (100, 99));
        assert_eq!(unwound(&mut stack, 0), (100, 0));
        // Another first frame has another frame pointer, which all have then.
        assert_ne!(place(3, 40).fp, first);
        assert_eq!(unwound(&mut stack, 40), (99, 98));
        assert_eq!(unwound(&mut stack, 0), (100, 99));
        // A frame in the middle returns to 31, which holds a frame pointer: it and those above it are
        // new once.
        stack.0[5 * 50 + 4] = 31;
        assert_eq!(unwound(&mut stack, 0), (100, 1 + 48));
        assert_eq!(unwound(&mut stack, 0), (100, 0));
        // With 10, which works it out, one step is unwound each time.
        stack.0[5 * 50 + 4] = 10;
        assert_eq!(unwound(&mut stack, 0), (100, 1 + 48));
        assert_eq!(unwound(&mut stack, 0), (100, 1));
    }

    /// Another address space has other code: nothing is remembered of it.
    #[test]
    fn another_space_begins_anew() {
        let mut stack = Words(vec![8; 4]);
        let mut trail = Trail::default();
        // Frames of three words that return to address 8.
        walk(place(8, 0), &mut trail, &mut stack);
        trail.begin(1);
        assert!(trail.follow(place(8, 0), &mut stack).is_some());
        trail.finish();
        trail.begin(2);
        assert_eq!(trail.follow(place(8, 0), &mut stack), None);
    }

    /// All threads together remember no more than there is room for.
    #[test]
    fn trails_are_bounded() {
        let mut trails = Trails::default();
        for thread in 0..10 {
            let mut trail = trails.take(ThreadId(thread), 1);
            for sp in 0..MOST_MARKS as u64 / 4 {
                trail.follow(place(7, sp), &mut Words(Vec::new()));
            }
            trails.put(ThreadId(thread), trail);
            let marks = trails.by_thread.values().map(|trail| trail.marks.len());
            assert_eq!(marks.sum::<usize>(), trails.marks);
            assert!(trails.marks <= MOST_MARKS);
            assert!(trails.by_thread.contains_key(&ThreadId(thread)));
        }
    }

    /// framehop goes on by frame pointers when it lacks a word that unwind information asks for, but for
    /// words that nobody needs below the stack.
    #[test]
    fn a_missing_word_that_misleads_is_told() {
        let read = |addresses: &[u64]| {
            let mut reads = Reads::default();
            for &address in addresses {
                let _ = reads.word(address, &mut Words(vec![1; 4]));
            }
            reads
        };
        let error = Error::CouldNotReadStack(32);
        let told = |addresses: &[u64], error| read(addresses).misled(error, 8);
        assert_eq!(told(&[8, 24], None), None);
        assert_eq!(told(&[24, 32], Some(&error)), None);
        assert_eq!(told(&[32, 24], None), Some(32));
        assert_eq!(told(&[40, 32], Some(&error)), Some(40));
        assert_eq!(
            told(&[32], Some(&Error::FramepointerUnwindingMovedBackwards)),
            Some(32)
        );
        assert_eq!(read(&[u64::MAX, 24]).misled(None, u64::MAX), Some(u64::MAX));
        assert_eq!(read(&[40, 24]).misled(None, 48), None);
    }
}
