//! Callchains to stacks, for recordings of millions of samples.
//!
//! A whole chain is looked up first, by a fingerprint of 96 bits (two different chains agree in it
//! with odds of one in 10^28). Of a new one, the part that is known is kept: what it shares with
//! the chain before it, root first, or its user part, below which the kernel was somewhere else.
//! Only the rest is interned frame by frame.
//!
//! What is remembered by fingerprint is each thread's own and goes with it: only a few threads run
//! at a time, so theirs stays in the processor's cache, where one table for all would not. The
//! tables of all threads hold numbers of the profile's rows.

use hotproof_profile::{
    AddressKind, Id, ImageId, Location, LocationId, Profile, RowIndex, Stack, StackId, ThreadId,
    mix,
};
use rustc_hash::FxHashMap;

/// One address of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) address: u64,
    pub(super) kind: StepKind,
}

impl Step {
    /// An address in the instruction itself: a call that never returns may be the last one of its
    /// mapping.
    pub(super) fn lookup_address(self) -> u64 {
        match self.kind {
            StepKind::UserReturn => self.address.wrapping_sub(1),
            _ => self.address,
        }
    }
}

/// Whose address it is and how it came to be on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepKind {
    /// Where the thread was.
    UserIp,
    /// Where it will return to.
    UserReturn,
    /// Where the kernel was.
    KernelIp,
    /// Where the kernel will return to.
    KernelReturn,
    /// Of a virtual machine within.
    Guest,
}

impl StepKind {
    /// As the profile has it.
    pub(super) fn address_kind(self) -> AddressKind {
        match self {
            StepKind::UserIp | StepKind::KernelIp | StepKind::Guest => AddressKind::Ip,
            StepKind::UserReturn | StepKind::KernelReturn => AddressKind::ReturnAddress,
        }
    }

    /// Whether it lies in the process's own memory.
    pub(super) fn is_user(self) -> bool {
        matches!(self, StepKind::UserIp | StepKind::UserReturn)
    }
}

/// Everything interned so far.
#[derive(Default)]
pub(super) struct Chains {
    threads: FxHashMap<u32, ThreadChains>,
    /// Locations of the kernel's steps, which are the same for all threads.
    kernel: Known,
    interned: Interned,
}

/// Finds rows of the profile by their contents.
#[derive(Default)]
pub(super) struct Interned {
    locations: RowIndex,
    stacks: RowIndex,
}

/// What one thread has shown.
struct ThreadChains {
    thread: ThreadId,
    /// Stacks, locations and rows of samples: what a number is, its fingerprint tells.
    known: Known,
    last: LastChain,
}

/// A chain and the stacks of its frames, root first.
#[derive(Default)]
struct LastChain {
    space: u64,
    steps: Vec<(Step, StackId)>,
}

/// A thread by the number that its kernel and its profile gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thread {
    pub(super) tid: u32,
    pub(super) row: ThreadId,
}

/// What identifies a chain: the address space and all steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fingerprint(u64, u32);

/// A thread's stack of one step would else have the print of that step.
const STEP: u64 = 0x8ebc_6af0_9c88_c6e3;

impl Fingerprint {
    /// Of a chain, leaf first, in the address space of this version.
    pub(super) fn of(space: u64, steps: &[Step]) -> Fingerprint {
        let (mut a, mut b) = (space ^ 0x9e37_79b9_7f4a_7c15, steps.len() as u64);
        for step in steps {
            let (word, kind) = (step.address, step.kind as u64);
            a = mix(a ^ word, 0xd6e8_feb8_6659_fd93 + kind);
            b = mix(b ^ word ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db ^ a);
        }
        Fingerprint(a ^ b.rotate_left(32), (b >> 16) as u32)
    }

    /// Of a step alone, as a place in the memory of this version.
    fn of_step(space: u64, step: Step) -> Fingerprint {
        let word = step.address ^ space.rotate_left(40);
        let a = mix(word ^ STEP, 0xd6e8_feb8_6659_fd93 + step.kind as u64);
        let b = mix(word ^ 0xa076_1d64_78bd_642f, STEP ^ space);
        Fingerprint(a, (b >> 16) as u32)
    }

    /// Of a chain as words that tell its locations.
    pub(super) fn of_words(words: impl ExactSizeIterator<Item = u64>) -> Fingerprint {
        let (mut a, mut b) = (0x9e37_79b9_7f4a_7c15, words.len() as u64);
        for word in words {
            a = mix(a ^ word, 0xd6e8_feb8_6659_fd93);
            b = mix(b ^ word ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db ^ a);
        }
        Fingerprint(a ^ b.rotate_left(32), (b >> 16) as u32)
    }

    /// Of a chain of this print together with something else.
    pub(super) fn with(self, other: u64) -> Fingerprint {
        let mixed = mix(self.0 ^ other.rotate_left(32), 0xd6e8_feb8_6659_fd93);
        Fingerprint(mixed, self.1 ^ (mix(other, 0xa076_1d64_78bd_642f) as u32))
    }
}

/// Finds numbers by fingerprints: an open table.
#[derive(Default)]
pub(super) struct Known {
    slots: Vec<KnownPrint>,
    used: usize,
}

#[derive(Clone, Copy, Default)]
struct KnownPrint {
    /// Both parts of a fingerprint; as one field they would be padded.
    print: u64,
    rest: u32,
    /// The number plus one; 0 when the slot is free.
    held: u32,
}

impl KnownPrint {
    fn print(&self) -> Fingerprint {
        Fingerprint(self.print, self.rest)
    }
}

impl Known {
    /// The number of a fingerprint.
    pub(super) fn find(&self, print: Fingerprint) -> Option<u32> {
        self.slots.get(self.slot(print)?)?.held.checked_sub(1)
    }

    /// Some of the first slot that is looked at for a fingerprint.
    pub(super) fn load(&self, print: Fingerprint) -> u32 {
        let mask = self.slots.len().wrapping_sub(1);
        let slot = self.slots.get(print.0 as usize & mask);
        slot.map_or(0, |slot| slot.held)
    }

    /// Gives a fingerprint its number, which is less than `u32::MAX`.
    pub(super) fn insert(&mut self, print: Fingerprint, number: u32) {
        if self.used * 4 >= self.slots.len() * 3 {
            let room = (self.slots.len() * 2).max(64);
            let old = std::mem::replace(&mut self.slots, vec![KnownPrint::default(); room]);
            for known in old.into_iter().filter(|known| known.held != 0) {
                self.put(known);
            }
        }
        self.used += 1;
        let held = number.saturating_add(1);
        let Fingerprint(print, rest) = print;
        self.put(KnownPrint { print, rest, held });
    }

    fn put(&mut self, known: KnownPrint) {
        if let Some(slot) = self.slot(known.print()) {
            self.slots[slot] = known;
        }
    }

    /// Where a fingerprint is, or where it belongs; `None` while there is no table.
    fn slot(&self, print: Fingerprint) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = print.0 as usize & mask;
        loop {
            let known = &self.slots[slot];
            if known.held == 0 || known.print() == print {
                return Some(slot);
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// The stack of a chain as a number: 0 for none.
pub(super) fn number_of(stack: Option<StackId>) -> u32 {
    let number = stack.map(|id| u32::try_from(id.index() + 1));
    number.map_or(0, |number| {
        number.expect("tables have fewer than 2^32 - 2 rows")
    })
}

pub(super) fn stack_of(number: u32) -> Option<StackId> {
    let index = number.checked_sub(1)?;
    Some(StackId::from_index(index as usize))
}

impl Chains {
    /// What is remembered of a thread, whose number may have been another's before.
    fn of_thread(&mut self, thread: Thread) -> &mut ThreadChains {
        let new = || ThreadChains {
            thread: thread.row,
            known: Known::default(),
            last: LastChain::default(),
        };
        let chains = self.threads.entry(thread.tid).or_insert_with(new);
        if chains.thread != thread.row {
            *chains = new();
        }
        chains
    }

    /// The thread of this number has ended.
    pub(super) fn forget(&mut self, tid: u32) {
        self.threads.remove(&tid);
    }

    /// The number that a thread's print was given.
    pub(super) fn find(&mut self, thread: Thread, print: Fingerprint) -> Option<u32> {
        self.of_thread(thread).known.find(print)
    }

    /// Gives a thread's print its number.
    pub(super) fn insert(&mut self, thread: Thread, print: Fingerprint, number: u32) {
        self.of_thread(thread).known.insert(print, number);
    }

    /// The stack of a chain, when the thread has shown it.
    pub(super) fn find_stack(
        &mut self,
        thread: Thread,
        print: Fingerprint,
    ) -> Option<Option<StackId>> {
        self.find(thread, print).map(stack_of)
    }

    /// Gives a thread's chain its stack.
    pub(super) fn insert_stack(
        &mut self,
        thread: Thread,
        print: Fingerprint,
        stack: Option<StackId>,
    ) {
        self.insert(thread, print, number_of(stack));
    }

    /// The stack of a chain (leaf first) that is not known; `place` says in which image a step
    /// lies, and where.
    pub(super) fn intern(
        &mut self,
        thread: Thread,
        space: u64,
        chain: &[Step],
        profile: &mut Profile,
        mut place: impl FnMut(Step, &mut Profile) -> (Option<ImageId>, u64),
    ) -> Option<StackId> {
        let ThreadChains {
            mut known,
            mut last,
            ..
        } = self.take(thread);
        let kernel = chain.iter().take_while(|step| !step.kind.is_user()).count();
        let user = &chain[kernel..];
        let mut shared = if last.space == space {
            let pairs = chain.iter().rev().zip(&last.steps);
            pairs.take_while(|(step, (old, _))| *step == old).count()
        } else {
            0
        };
        last.steps.truncate(shared);
        last.space = space;
        let mut stack = last.steps.last().map(|(_, id)| *id);
        let user_print = (kernel > 0 && shared < user.len()).then(|| Fingerprint::of(space, user));
        let known_user = user_print.map(|print| known.find(print).map(stack_of));
        if let Some(Some(known)) = known_user {
            // The stacks within it are not known here, so the next chain can share none of them.
            last.steps.clear();
            last.space = NO_SPACE;
            (shared, stack) = (user.len(), known);
        }
        for (done, &step) in chain.iter().rev().enumerate().skip(shared) {
            let location = self.location(space, step, &mut known, profile, &mut place);
            let id = self.interned.stack(stack, location, profile);
            stack = Some(id);
            if last.space != NO_SPACE {
                last.steps.push((step, id));
            }
            if let Some(print) = user_print
                && known_user == Some(None)
                && done + 1 == user.len()
            {
                known.insert(print, number_of(stack));
            }
        }
        let chains = self.of_thread(thread);
        (chains.known, chains.last) = (known, last);
        stack
    }

    /// What is remembered of a thread, to be given back.
    fn take(&mut self, thread: Thread) -> ThreadChains {
        let chains = self.of_thread(thread);
        ThreadChains {
            thread: thread.row,
            known: std::mem::take(&mut chains.known),
            last: std::mem::take(&mut chains.last),
        }
    }

    /// The location of a step; a user's is remembered with the thread's.
    fn location(
        &mut self,
        space: u64,
        step: Step,
        known: &mut Known,
        profile: &mut Profile,
        place: &mut impl FnMut(Step, &mut Profile) -> (Option<ImageId>, u64),
    ) -> LocationId {
        let (space, known) = match step.kind.is_user() {
            true => (space, known),
            false => (0, &mut self.kernel),
        };
        let print = Fingerprint::of_step(space, step);
        if let Some(number) = known.find(print) {
            return LocationId(number);
        }
        let (image, address) = place(step, profile);
        let kind = step.kind.address_kind();
        let location = self.interned.location(image, address, kind, profile);
        known.insert(print, location.0);
        location
    }
}

impl Interned {
    /// The row of a location that nobody has named yet.
    pub(super) fn location(
        &mut self,
        image: Option<ImageId>,
        address: u64,
        kind: AddressKind,
        profile: &mut Profile,
    ) -> LocationId {
        let hash = |row: &Location| {
            let image = row.image.map_or(0, |id| id.index() as u64 + 1);
            mix(
                row.address ^ image.rotate_left(44) ^ row.kind as u64,
                0x9e37_79b9_7f4a_7c15,
            )
        };
        let row = Location::unresolved(image, address, kind);
        let table = &mut profile.locations;
        let found = self.locations.find_or_claim(hash(&row), |held| {
            let held = &table.rows()[held];
            (held.image, held.address, held.kind) == (image, address, kind)
        });
        found.map_or_else(|| table.push(row), LocationId::from_index)
    }

    /// The row of a stack.
    pub(super) fn stack(
        &mut self,
        parent: Option<StackId>,
        location: LocationId,
        profile: &mut Profile,
    ) -> StackId {
        let row = Stack { parent, location };
        let hash = |row: &Stack| {
            let parent = row.parent.map_or(0, |id| id.index() as u64 + 1);
            mix(
                parent << 32 | row.location.index() as u64,
                0x9e37_79b9_7f4a_7c15,
            )
        };
        let table = &mut profile.stacks;
        let found = self
            .stacks
            .find_or_claim(hash(&row), |held| table.rows()[held] == row);
        found.map_or_else(|| table.push(row), StackId::from_index)
    }
}

/// The version of no address space: nothing is shared with a chain of it.
const NO_SPACE: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain_of(words: &[(u8, bool)]) -> Vec<Step> {
        let step = |&(address, returned): &(u8, bool)| Step {
            address: u64::from(address),
            kind: if returned {
                StepKind::UserReturn
            } else {
                StepKind::UserIp
            },
        };
        words.iter().map(step).collect()
    }

    proptest! {
        /// Whatever came before, the stack of a chain is its addresses and kinds, and equal chains
        /// are one stack; no two rows are equal.
        #[test]
        fn stacks_hold_their_chains(
            chains in prop::collection::vec(
                (0..3u64, 0..3u32, prop::collection::vec((0..4u8, any::<bool>()), 0..12)),
                0..60,
            )
        ) {
            let (mut interned, mut profile) = (Chains::default(), Profile::default());
            let mut seen: Vec<(Vec<Step>, Option<StackId>)> = Vec::new();
            for (space, tid, words) in chains {
                let chain = chain_of(&words);
                let thread = Thread { tid, row: ThreadId(tid / 2) };
                let print = Fingerprint::of(space, &chain);
                let stack = match interned.find_stack(thread, print) {
                    Some(stack) => stack,
                    None => interned.intern(
                        thread, space, &chain, &mut profile, |step, _| (None, step.address),
                    ),
                };
                interned.insert_stack(thread, print, stack);
                let path = profile.path(stack).map(|id| {
                    let row = &profile.locations[id];
                    (row.address, row.kind)
                });
                let expected = chain.iter().map(|s| (s.address, s.kind.address_kind()));
                prop_assert_eq!(path.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
                for (other, id) in &seen {
                    prop_assert_eq!(*id == stack, *other == chain);
                }
                seen.push((chain, stack));
            }
        }
    }

    /// The same addresses in another address space, or with another kind, are another chain.
    #[test]
    fn fingerprints_tell_spaces_and_kinds_apart() {
        let (ip, returned) = (chain_of(&[(1, false)]), chain_of(&[(1, true)]));
        assert_ne!(Fingerprint::of(1, &ip), Fingerprint::of(2, &ip));
        assert_ne!(Fingerprint::of(1, &ip), Fingerprint::of(1, &returned));
        assert_ne!(Fingerprint::of(1, &ip), Fingerprint::of(1, &[]));
    }
}
