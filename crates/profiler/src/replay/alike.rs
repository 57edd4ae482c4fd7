//! Callchains to stacks where addresses of one name are not told apart.
//!
//! Whoever wants names alone need not keep the addresses of a function apart: the locations of a
//! chain are then few, chains that differ in addresses are one stack, and a stack is interned frame
//! by frame only when its names are new. What an address is named has to be known while the
//! recording is read, so this is for readers that have been told before; addresses of which nothing
//! is known stay apart.

use hotproof_profile::{
    AddressKind, ImageId, LocationId, Profile, SinkError, StackId, ThreadId, mix,
};
use rustc_hash::FxHashMap;

use super::chains::{Fingerprint, Interned, Known, Step, Thread, number_of, stack_of};

/// Tells for an address of an image, which lies in an instruction, another one that has the same
/// names and stands for all that have; `None` when nothing is known of it.
pub type Alike<'a> = dyn FnMut(&Profile, ImageId, u64) -> Option<u64> + 'a;

/// Where a step lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) image: Option<ImageId>,
    pub(super) address: u64,
    pub(super) kind: AddressKind,
}

impl Place {
    /// Image and kind in one number, which is never 0.
    fn rest(self) -> u32 {
        // A profile has fewer images than mappings, of which there are at most 2^23.
        let image = self.image.map_or(0, |image| image.0 + 1);
        (image << 2) | (self.kind as u32 + 1)
    }

    /// As [`hotproof_profile::Location::lookup_address`].
    fn lookup_address(self) -> u64 {
        match self.kind {
            AddressKind::ReturnAddress => self.address.saturating_sub(1),
            AddressKind::Ip | AddressKind::Adjusted => self.address,
        }
    }
}

/// Says where steps lie.
pub(super) trait Placer {
    /// Whether a step lies in no mapping, so that [`Placer::place`] would find no image.
    fn is_nowhere(&mut self, step: Step) -> bool;

    /// The image and the place in it.
    fn place(&mut self, step: Step, profile: &mut Profile) -> Result<Place, SinkError>;
}

/// Everything interned so far.
#[derive(Default)]
pub(super) struct AlikeChains {
    located: LocatedPlaces,
    threads: FxHashMap<u32, ThreadPaths>,
    /// Stacks by print.
    stacks: Known,
}

/// What one thread has shown.
struct ThreadPaths {
    thread: ThreadId,
    /// Rows of samples by print.
    rows: Known,
    /// The chain that came last and where its steps lie, root first: the next one shares some of it.
    last: Vec<(Step, LocationId)>,
    /// The version of the address space that it was seen in.
    space: u64,
}

impl AlikeChains {
    /// The thread of this number has ended.
    pub(super) fn forget(&mut self, tid: u32) {
        self.threads.remove(&tid);
    }

    /// Takes a thread's chain, leaf first, in the address space of this version; the print of its
    /// locations.
    pub(super) fn locate(
        &mut self,
        thread: Thread,
        space: u64,
        chain: &[Step],
        profile: &mut Profile,
        mut alike: Option<&mut Alike<'_>>,
        placer: &mut impl Placer,
    ) -> Result<Fingerprint, SinkError> {
        let paths = self.threads.entry(thread.tid);
        let paths = paths.or_insert_with(|| ThreadPaths::of(thread));
        if paths.thread != thread.row {
            // The number was another's before.
            *paths = ThreadPaths::of(thread);
        }
        let pairs = chain.iter().rev().zip(&paths.last);
        let shared = match paths.space == space {
            true => pairs.take_while(|(step, (old, _))| *step == old).count(),
            false => 0,
        };
        paths.last.truncate(shared);
        paths.space = space;
        for &step in chain.iter().rev().skip(shared) {
            let location = match placer.is_nowhere(step) {
                true => self.located.nowhere(profile),
                false => {
                    let place = placer.place(step, profile)?;
                    let alike = alike.as_deref_mut();
                    self.located.location(place, profile, alike)
                }
            };
            paths.last.push((step, location));
        }
        let locations = paths.last.iter().map(|&(_, location)| location);
        Ok(Fingerprint::of_locations(locations))
    }

    /// The row that a thread's samples of this print have; when there is none, `number` is it now.
    pub(super) fn row_or_claim(
        &mut self,
        thread: Thread,
        print: Fingerprint,
        number: u32,
    ) -> Option<u32> {
        let rows = &mut self.threads.get_mut(&thread.tid)?.rows;
        let found = rows.find(print);
        if found.is_none() {
            rows.insert(print, number);
        }
        found
    }

    /// The stack of the chain of this print, which the thread has shown last.
    pub(super) fn stack(
        &mut self,
        thread: Thread,
        print: Fingerprint,
        profile: &mut Profile,
    ) -> Option<StackId> {
        if let Some(number) = self.stacks.find(print) {
            return stack_of(number);
        }
        let mut stack = None;
        for &(_, location) in &self.threads.get(&thread.tid)?.last {
            stack = Some(self.located.interned.stack(stack, location, profile));
        }
        self.stacks.insert(print, number_of(stack));
        stack
    }
}

impl ThreadPaths {
    fn of(thread: Thread) -> ThreadPaths {
        ThreadPaths {
            thread: thread.row,
            rows: Known::default(),
            last: Vec::new(),
            space: 0,
        }
    }
}

/// Locations by the place in an image.
#[derive(Default)]
struct LocatedPlaces {
    interned: Interned,
    by_place: KnownPlaces,
    nowhere: Option<LocationId>,
}

impl LocatedPlaces {
    /// The one location of all that lies in no mapping.
    fn nowhere(&mut self, profile: &mut Profile) -> LocationId {
        *self.nowhere.get_or_insert_with(|| {
            let kind = AddressKind::Adjusted;
            self.interned.location(None, 0, kind, profile)
        })
    }

    fn location(
        &mut self,
        place: Place,
        profile: &mut Profile,
        alike: Option<&mut Alike<'_>>,
    ) -> LocationId {
        if let Some(known) = self.by_place.find(place) {
            return known;
        }
        let same = match (place.image, alike) {
            (Some(image), Some(alike)) => alike(profile, image, place.lookup_address()),
            _ => None,
        };
        let (address, kind) = match same {
            Some(address) => (address, AddressKind::Adjusted),
            None => (place.address, place.kind),
        };
        let location = self.interned.location(place.image, address, kind, profile);
        self.by_place.insert(place, location);
        location
    }
}

/// Finds the locations of places: an open table of small slots, since hardly a look into it finds the
/// processor's cache warm.
#[derive(Default)]
struct KnownPlaces {
    slots: Vec<KnownPlace>,
    used: usize,
}

#[derive(Clone, Copy, Default)]
struct KnownPlace {
    address: u64,
    /// Image and kind; 0 when the slot is free.
    rest: u32,
    location: LocationId,
}

impl KnownPlace {
    fn is(&self, address: u64, rest: u32) -> bool {
        (self.address, self.rest) == (address, rest)
    }
}

impl KnownPlaces {
    fn find(&self, place: Place) -> Option<LocationId> {
        let found = &self.slots[self.slot(place.address, place.rest())?];
        (found.rest != 0).then_some(found.location)
    }

    fn insert(&mut self, place: Place, location: LocationId) {
        if self.used * 4 >= self.slots.len() * 3 {
            let room = (self.slots.len() * 2).max(64);
            let held = std::mem::replace(&mut self.slots, vec![KnownPlace::default(); room]);
            for known in held.into_iter().filter(|known| known.rest != 0) {
                self.put(known);
            }
        }
        self.used += 1;
        self.put(KnownPlace {
            address: place.address,
            rest: place.rest(),
            location,
        });
    }

    fn put(&mut self, known: KnownPlace) {
        if let Some(slot) = self.slot(known.address, known.rest) {
            self.slots[slot] = known;
        }
    }

    /// Where a place is, or where it belongs; `None` while there is no table.
    fn slot(&self, address: u64, rest: u32) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let hash = mix(
            address ^ u64::from(rest).rotate_left(44),
            0x9e37_79b9_7f4a_7c15,
        );
        let mut slot = hash as usize & mask;
        loop {
            let known = &self.slots[slot];
            if known.rest == 0 || known.is(address, rest) {
                return Some(slot);
            }
            slot = (slot + 1) & mask;
        }
    }
}
