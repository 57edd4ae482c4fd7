//! Raw callchains to stacks of the profile.
//!
//! Most samples repeat a callchain that was seen before, so the whole raw chain is looked up
//! first, and its frames are interned one by one only when it is new.

use hotproof_profile::{
    AddressKind, ImageId, Location, LocationId, Sink, SinkError, Stack, StackId,
};
use rustc_hash::FxHashMap;

/// Addresses that the map of chains keeps at most; beyond that it starts anew.
const MOST_WORDS: usize = 4 << 20;

/// Everything interned so far in one recording.
#[derive(Debug, Default)]
pub(crate) struct Stacks {
    chains: FxHashMap<Box<[u64]>, Option<StackId>>,
    words: usize,
    locations: FxHashMap<(Option<ImageId>, u64, AddressKind), LocationId>,
    stacks: FxHashMap<(Option<StackId>, LocationId), StackId>,
}

/// An address with its place in a binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The image; `None` when the address lies in no known mapping.
    pub(crate) image: Option<ImageId>,
    /// As in [`Location::address`].
    pub(crate) address: u64,
}

impl Stacks {
    /// The stack of a raw chain, when it is known. The first words of a chain say in which address
    /// space its addresses lie.
    pub(crate) fn find(&self, chain: &[u64]) -> Option<Option<StackId>> {
        self.chains.get(chain).copied()
    }

    /// Remembers the stack of a raw chain.
    pub(crate) fn remember(&mut self, chain: &[u64], stack: Option<StackId>) {
        if self.words + chain.len() > MOST_WORDS {
            self.chains.clear();
            self.words = 0;
        }
        self.words += chain.len();
        self.chains.insert(chain.into(), stack);
    }

    /// Interns one frame below `parent`.
    pub(crate) fn push(
        &mut self,
        parent: Option<StackId>,
        place: Place,
        kind: AddressKind,
        sink: &mut dyn Sink,
    ) -> Result<StackId, SinkError> {
        let location = self.location(place, kind, sink)?;
        if let Some(&id) = self.stacks.get(&(parent, location)) {
            return Ok(id);
        }
        let id = sink.stack(Stack { parent, location })?;
        self.stacks.insert((parent, location), id);
        Ok(id)
    }

    fn location(
        &mut self,
        place: Place,
        kind: AddressKind,
        sink: &mut dyn Sink,
    ) -> Result<LocationId, SinkError> {
        let key = (place.image, place.address, kind);
        if let Some(&id) = self.locations.get(&key) {
            return Ok(id);
        }
        let id = sink.location(Location::unresolved(place.image, place.address, kind))?;
        self.locations.insert(key, id);
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotproof_profile::Profile;

    /// Equal frames below equal parents are one stack, and the same address is two locations when
    /// it was obtained in two ways.
    #[test]
    fn frames_are_interned_by_parent_and_kind() {
        let (mut stacks, mut profile) = (Stacks::default(), Profile::default());
        let place = |address| Place {
            image: None,
            address,
        };
        let mut push = |parent, address, kind| {
            stacks
                .push(parent, place(address), kind, &mut profile)
                .unwrap()
        };
        let root = push(None, 1, AddressKind::ReturnAddress);
        let leaf = push(Some(root), 2, AddressKind::Ip);
        assert_eq!(push(None, 1, AddressKind::ReturnAddress), root);
        assert_eq!(push(Some(root), 2, AddressKind::Ip), leaf);
        assert_ne!(push(None, 2, AddressKind::Ip), leaf);
        assert_ne!(push(Some(root), 2, AddressKind::ReturnAddress), leaf);
        assert_eq!((profile.stacks.len(), profile.locations.len()), (4, 3));
    }

    /// The map of chains stays bounded, and what it forgot is interned to the same stack again.
    #[test]
    fn the_map_of_chains_is_bounded() {
        let mut stacks = Stacks::default();
        let mut chain = vec![0; MOST_WORDS / 4];
        for i in 0..20 {
            chain[0] = i;
            stacks.remember(&chain, None);
            assert!(stacks.words <= MOST_WORDS);
            assert_eq!(stacks.find(&chain), Some(None));
        }
        assert!(stacks.chains.len() <= 4);
    }
}
