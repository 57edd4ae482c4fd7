//! Callchains to stacks, for recordings of millions of samples.
//!
//! A whole chain is looked up first, by a fingerprint of 96 bits (two different chains agree in it
//! with odds of one in 10^28). Of a new one, the part that is known is kept: what it shares with
//! the chain before it, root first, or its user part, below which the kernel was somewhere else.
//! Only the rest is interned frame by frame. All tables hold numbers of the profile's rows and none
//! of its contents, so that half a million stacks take 30 MB.

use hotproof_profile::{AddressKind, Id, ImageId, Location, LocationId, Profile, Stack, StackId};

use super::index::{RowIndex, mix};

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

/// How many steps are remembered with their locations: a power of two.
const REMEMBERED_STEPS: usize = 1 << 16;
/// How many last chains are kept to share outer frames with: a power of two.
const LAST_CHAINS: usize = 64;

/// Everything interned so far.
pub(super) struct Chains {
    known: Known,
    last: Vec<LastChain>,
    steps: Vec<Option<RememberedStep>>,
    locations: RowIndex,
    stacks: RowIndex,
}

/// A chain and the stacks of its frames, root first.
#[derive(Default, Clone)]
struct LastChain {
    space: u64,
    steps: Vec<(Step, StackId)>,
}

#[derive(Clone, Copy)]
struct RememberedStep {
    space: u64,
    step: Step,
    location: LocationId,
}

/// What identifies a chain: the address space and all steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fingerprint(u64, u32);

impl Default for Chains {
    fn default() -> Self {
        Chains {
            known: Known::default(),
            last: vec![LastChain::default(); LAST_CHAINS],
            steps: vec![None; REMEMBERED_STEPS],
            locations: RowIndex::default(),
            stacks: RowIndex::default(),
        }
    }
}

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
    print: Fingerprint,
    /// The number plus one; 0 when the slot is free.
    held: u32,
}

impl Known {
    /// The number of a fingerprint.
    pub(super) fn find(&self, print: Fingerprint) -> Option<u32> {
        self.slots.get(self.slot(print)?)?.held.checked_sub(1)
    }

    /// Gives a fingerprint its number, which is less than `u32::MAX`.
    pub(super) fn insert(&mut self, print: Fingerprint, number: u32) {
        if self.used * 4 >= self.slots.len() * 3 {
            let room = (self.slots.len() * 2).max(1024);
            let old = std::mem::replace(&mut self.slots, vec![KnownPrint::default(); room]);
            for known in old.into_iter().filter(|known| known.held != 0) {
                self.put(known);
            }
        }
        self.used += 1;
        let held = number.saturating_add(1);
        self.put(KnownPrint { print, held });
    }

    fn put(&mut self, known: KnownPrint) {
        if let Some(slot) = self.slot(known.print) {
            self.slots[slot] = known;
        }
    }

    /// Where a fingerprint is, or where it belongs; `None` while there is no table.
    fn slot(&self, print: Fingerprint) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = print.0 as usize & mask;
        while self.slots[slot].held != 0 && self.slots[slot].print != print {
            slot = (slot + 1) & mask;
        }
        Some(slot)
    }
}

/// The stack of a chain as a number: 0 for none.
fn number_of(stack: Option<StackId>) -> u32 {
    let number = stack.map(|id| u32::try_from(id.index() + 1));
    number.map_or(0, |number| {
        number.expect("tables have fewer than 2^32 - 2 rows")
    })
}

fn stack_of(number: u32) -> Option<StackId> {
    let index = number.checked_sub(1)?;
    Some(StackId::from_index(index as usize))
}

impl Chains {
    /// The stack of a chain, when it is known.
    pub(super) fn find(&self, print: Fingerprint) -> Option<Option<StackId>> {
        self.known.find(print).map(stack_of)
    }

    /// The stack of a chain (leaf first) that is not known. `tid` picks the chain that it probably
    /// shares frames with; `place` says in which image a step lies, and where.
    pub(super) fn intern(
        &mut self,
        print: Fingerprint,
        (space, tid): (u64, u32),
        chain: &[Step],
        profile: &mut Profile,
        mut place: impl FnMut(Step, &mut Profile) -> (Option<ImageId>, u64),
    ) -> Option<StackId> {
        let slot = tid as usize % LAST_CHAINS;
        let mut last = std::mem::take(&mut self.last[slot]);
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
        let known_user = user_print.map(|print| self.find(print));
        if let Some(Some(known)) = known_user {
            // The stacks within it are not known here, so the next chain can share none of them.
            last.steps.clear();
            last.space = NO_SPACE;
            (shared, stack) = (user.len(), known);
        }
        for (done, &step) in chain.iter().rev().enumerate().skip(shared) {
            let location = self.location(space, step, profile, &mut place);
            let id = self.stack(stack, location, profile);
            stack = Some(id);
            if last.space != NO_SPACE {
                last.steps.push((step, id));
            }
            if let Some(print) = user_print
                && known_user == Some(None)
                && done + 1 == user.len()
            {
                self.known.insert(print, number_of(stack));
            }
        }
        self.last[slot] = last;
        self.known.insert(print, number_of(stack));
        stack
    }

    fn stack(
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
        let found = self.stacks.find_or_claim(
            hash(&row),
            |held| table.rows()[held] == row,
            |held| hash(&table.rows()[held]),
        );
        found.map_or_else(|| table.push(row), StackId::from_index)
    }

    fn location(
        &mut self,
        space: u64,
        step: Step,
        profile: &mut Profile,
        place: &mut impl FnMut(Step, &mut Profile) -> (Option<ImageId>, u64),
    ) -> LocationId {
        let space = if step.kind.is_user() { space } else { 0 };
        let slot = mix(step.address ^ space.rotate_left(40), 0x9e37_79b9_7f4a_7c15) as usize;
        let slot = slot % REMEMBERED_STEPS;
        if let Some(old) = &self.steps[slot]
            && (old.space, old.step) == (space, step)
        {
            return old.location;
        }
        let (image, address) = place(step, profile);
        let kind = step.kind.address_kind();
        let row = Location::unresolved(image, address, kind);
        let hash = |row: &Location| {
            let image = row.image.map_or(0, |id| id.index() as u64 + 1);
            mix(
                row.address ^ image.rotate_left(44) ^ row.kind as u64,
                0x9e37_79b9_7f4a_7c15,
            )
        };
        let table = &mut profile.locations;
        let found = self.locations.find_or_claim(
            hash(&row),
            |held| {
                let held = &table.rows()[held];
                (held.image, held.address, held.kind) == (image, address, kind)
            },
            |held| hash(&table.rows()[held]),
        );
        let location = found.map_or_else(|| table.push(row), LocationId::from_index);
        self.steps[slot] = Some(RememberedStep {
            space,
            step,
            location,
        });
        location
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
                let print = Fingerprint::of(space, &chain);
                let stack = match interned.find(print) {
                    Some(stack) => stack,
                    None => interned.intern(
                        print, (space, tid), &chain, &mut profile, |step, _| (None, step.address),
                    ),
                };
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
