//! Callchains to stacks, for recordings of millions of samples.
//!
//! A whole chain is looked up first, by a fingerprint of 96 bits (two different chains agree in it
//! with odds of one in 10^28). A new one is compared with the chain before it, root first, because
//! most share their outer frames with it, and only the rest is interned frame by frame. All tables
//! hold numbers of the profile's rows and none of its contents, so that half a million stacks take
//! 40 MB.

use hotproof_profile::{AddressKind, Id, ImageId, Location, LocationId, Profile, Stack, StackId};
use rustc_hash::FxHashMap;

/// One address of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) address: u64,
    pub(super) kind: StepKind,
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
const REMEMBERED_STEPS: usize = 1 << 15;
/// How many last chains are kept to share outer frames with: a power of two.
const LAST_CHAINS: usize = 64;

/// Everything interned so far.
pub(super) struct Chains {
    known: FxHashMap<u64, (u32, Option<StackId>)>,
    last: Vec<LastChain>,
    steps: Vec<Option<(u64, Step, LocationId)>>,
    locations: FxHashMap<(Option<ImageId>, u64, AddressKind), LocationId>,
    stacks: StackIndex,
}

/// A chain and the stacks of its frames, root first.
#[derive(Default, Clone)]
struct LastChain {
    space: u64,
    steps: Vec<(Step, StackId)>,
}

/// What identifies a chain: the address space and all steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(u64, u32);

impl Default for Chains {
    fn default() -> Self {
        Chains {
            known: FxHashMap::default(),
            last: vec![LastChain::default(); LAST_CHAINS],
            steps: vec![None; REMEMBERED_STEPS],
            locations: FxHashMap::default(),
            stacks: StackIndex::default(),
        }
    }
}

/// Multiplies to 128 bits and folds the halves: each bit of the result depends on all bits.
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
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
}

impl Chains {
    /// The stack of a chain, when it is known.
    pub(super) fn find(&self, print: Fingerprint) -> Option<Option<StackId>> {
        let (rest, stack) = self.known.get(&print.0)?;
        (*rest == print.1).then_some(*stack)
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
        let shared = if last.space == space {
            let pairs = chain.iter().rev().zip(&last.steps);
            pairs.take_while(|(step, (old, _))| *step == old).count()
        } else {
            0
        };
        last.space = space;
        last.steps.truncate(shared);
        let mut stack = last.steps.last().map(|(_, id)| *id);
        for &step in chain.iter().rev().skip(shared) {
            let location = self.location(space, step, profile, &mut place);
            let id = self.stacks.intern(
                Stack {
                    parent: stack,
                    location,
                },
                profile,
            );
            stack = Some(id);
            last.steps.push((step, id));
        }
        self.last[slot] = last;
        self.known.insert(print.0, (print.1, stack));
        stack
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
        if let Some((s, old, location)) = self.steps[slot]
            && (s, old) == (space, step)
        {
            return location;
        }
        let (image, address) = place(step, profile);
        let kind = step.kind.address_kind();
        let location = *self
            .locations
            .entry((image, address, kind))
            .or_insert_with(|| {
                profile
                    .locations
                    .push(Location::unresolved(image, address, kind))
            });
        self.steps[slot] = Some((space, step, location));
        location
    }
}

/// Finds stacks by parent and location; an open table of row numbers plus one, 0 for free.
#[derive(Default)]
struct StackIndex {
    slots: Vec<u32>,
    used: usize,
}

impl StackIndex {
    fn intern(&mut self, row: Stack, profile: &mut Profile) -> StackId {
        if self.used * 4 >= self.slots.len() * 3 {
            self.grow(profile);
        }
        let slot = self.slot(row, profile);
        if self.slots[slot] != 0 {
            return StackId::from_index(self.slots[slot] as usize - 1);
        }
        let id = profile.stacks.push(row);
        self.slots[slot] = number(id);
        self.used += 1;
        id
    }

    /// Where a row is, or where it belongs.
    fn slot(&self, row: Stack, profile: &Profile) -> usize {
        let mask = self.slots.len() - 1;
        let parent = row.parent.map_or(0, |id| id.index() as u64 + 1);
        let hash = mix(
            parent << 32 | row.location.index() as u64,
            0x9e37_79b9_7f4a_7c15,
        );
        let mut slot = hash as usize & mask;
        loop {
            let held = self.slots[slot];
            if held == 0 || profile.stacks[StackId::from_index(held as usize - 1)] == row {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self, profile: &Profile) {
        let len = (self.slots.len() * 2).max(1024);
        self.slots = vec![0; len];
        for (id, row) in profile.stacks.iter() {
            let slot = self.slot(*row, profile);
            self.slots[slot] = number(id);
        }
    }
}

fn number(id: StackId) -> u32 {
    u32::try_from(id.index() + 1).expect("tables have fewer than 2^32 - 1 rows")
}

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
