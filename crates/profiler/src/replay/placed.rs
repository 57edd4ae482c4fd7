//! Mappings that addresses were found in last: most addresses lie in a few of them, and garbage in
//! a few of the gaps between them.

use std::ops::Range;

use hotproof_profile::{ImageId, mix};

use crate::space::AddressSpace;

/// A mapping of one address space, and what addresses in it become.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    /// Version of the address space: equal versions mean equal mappings.
    pub(super) space: u64,
    pub(super) addresses: Range<u64>,
    pub(super) image: ImageId,
    /// What is taken off an address to count from the image's base.
    pub(super) base_avma: u64,
}

/// Few enough to stay in the processor's nearest cache.
const SLOTS: usize = 256;
/// Addresses that share a slot: a mapping of several pieces of this size is kept for each.
const PIECE_BITS: u32 = 21;

/// The last mapping that was found at each of a number of places.
pub(super) struct PlacedMaps(Vec<Option<Placed>>);

impl Default for PlacedMaps {
    fn default() -> Self {
        PlacedMaps(vec![None; SLOTS])
    }
}

impl PlacedMaps {
    /// The mapping that holds an address; `None` when it was not the last one found around there.
    pub(super) fn find(&self, space: u64, address: u64) -> Option<&Placed> {
        let placed = self.0[slot(space, address)].as_ref()?;
        (placed.space == space && placed.addresses.contains(&address)).then_some(placed)
    }

    /// Keeps the mapping in which `address` was found.
    pub(super) fn keep(&mut self, address: u64, placed: Placed) {
        let slot = slot(placed.space, address);
        self.0[slot] = Some(placed);
    }
}

/// Where garbage was found last, by address space. Code without frame pointers has the kernel walk
/// through lists and stacks, so that most addresses of some chains lie in no mapping.
pub(super) struct Gaps(Vec<SpaceGaps>);

/// The gaps of the space of one version that were asked for last.
#[derive(Debug, Clone, Default)]
struct SpaceGaps {
    version: u64,
    gaps: [Range<u64>; 2],
}

/// So many address spaces are remembered.
const SPACES: usize = 64;

impl Default for Gaps {
    fn default() -> Self {
        Gaps(vec![SpaceGaps::default(); SPACES])
    }
}

impl Gaps {
    /// Whether an address lies where the one before did. If not, it may lie in no mapping all the
    /// same.
    #[inline]
    pub(super) fn last_holds(&self, space: &AddressSpace, address: u64) -> bool {
        let known = &self.0[space.version as usize % SPACES];
        known.version == space.version && known.gaps[0].contains(&address)
    }

    /// Whether an address lies in no mapping.
    pub(super) fn hold(&mut self, space: &AddressSpace, address: u64) -> bool {
        if self.last_holds(space, address) {
            return true;
        }
        let known = &mut self.0[space.version as usize % SPACES];
        if known.version != space.version {
            *known = SpaceGaps {
                version: space.version,
                ..SpaceGaps::default()
            };
        }
        let [last, other] = &mut known.gaps;
        if other.contains(&address) {
            std::mem::swap(last, other);
            return true;
        }
        match space.gap(address) {
            Some(gap) => {
                *other = std::mem::replace(last, gap);
                true
            }
            // No gap holds the last address of all.
            None => space.find(address).is_none(),
        }
    }
}

fn slot(space: u64, address: u64) -> usize {
    let piece = address >> PIECE_BITS;
    mix(piece ^ space.rotate_left(32), 0x9e37_79b9_7f4a_7c15) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address is found in the mapping that was kept for its place, of its own space alone.
    #[test]
    fn finds_what_was_kept_in_its_own_space() {
        let mut placed = PlacedMaps::default();
        assert!(placed.find(1, 0x40_1000).is_none());
        for (space, base_avma) in [(1, 0x40_0000), (2, 0x30_0000)] {
            let addresses = 0x40_1000..0x40_3000;
            let image = ImageId(space as u32);
            placed.keep(
                0x40_1800,
                Placed {
                    space,
                    addresses,
                    image,
                    base_avma,
                },
            );
        }
        let base = |space, address| placed.find(space, address).map(|found| found.base_avma);
        assert_eq!(base(1, 0x40_1000), Some(0x40_0000));
        assert_eq!(base(2, 0x40_2fff), Some(0x30_0000));
        assert_eq!((base(1, 0x40_3000), base(3, 0x40_1000)), (None, None));
    }
}
