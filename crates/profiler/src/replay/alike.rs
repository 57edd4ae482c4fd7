//! Callchains to stacks where addresses of one name are not told apart.
//!
//! Whoever wants names alone need not keep the addresses of a function apart: the locations of a
//! chain are then few, chains that differ in addresses are one stack, and a stack is interned frame
//! by frame only when its names are new. What an address is named has to be known while the
//! recording is read, so this is for readers that have been told before; addresses of which nothing
//! is known stay apart.

use hotproof_profile::{
    AddressKind, Id, ImageId, LocationId, Profile, Sample as Row, Sink, SinkError, StackEnd,
    StackId, ThreadId, mix,
};
use rustc_hash::FxHashMap;

use super::chains::{Fingerprint, Interned, Known, Thread, number_of, stack_of};

/// Tells for an address of an image, which lies in an instruction, another one that has the same
/// names and stands for all that have; `None` when nothing is known of it.
pub type Alike<'a> = dyn FnMut(&Profile, ImageId, u64) -> Option<u64> + 'a;

/// Where a step lies, or several in a row that lie in no mapping; in as little as can be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// In no mapping: how many steps.
    address: u64,
    /// Image and kind; 0 for what lies in no mapping.
    rest: u32,
}

impl Place {
    /// That of a step which lies in no mapping.
    pub(super) const NOWHERE: Place = Place {
        address: 1,
        rest: 0,
    };

    /// An address that counts from an image's base, or lies in none.
    pub(super) fn new(image: Option<ImageId>, address: u64, kind: AddressKind) -> Place {
        // A profile has fewer images than mappings, of which there are at most 2^23.
        let image = image.map_or(0, |image| image.0 + 1);
        let rest = (image << 2) | (kind as u32 + 1);
        Place { address, rest }
    }

    fn is_nowhere(self) -> bool {
        self.rest == 0
    }

    fn image(self) -> Option<ImageId> {
        (self.rest >> 2).checked_sub(1).map(ImageId)
    }

    fn kind(self) -> AddressKind {
        let kinds = [
            AddressKind::Ip,
            AddressKind::ReturnAddress,
            AddressKind::Adjusted,
        ];
        let kind = kinds
            .into_iter()
            .find(|&kind| kind as u32 + 1 == self.rest & 3);
        kind.unwrap_or(AddressKind::Adjusted)
    }

    /// As [`hotproof_profile::Location::lookup_address`].
    fn lookup_address(self) -> u64 {
        match self.kind() {
            AddressKind::ReturnAddress => self.address.saturating_sub(1),
            AddressKind::Ip | AddressKind::Adjusted => self.address,
        }
    }

    fn hash(self) -> usize {
        let rest = u64::from(self.rest).rotate_left(44);
        mix(self.address ^ rest, 0x9e37_79b9_7f4a_7c15) as usize
    }
}

/// A sample whose chain is not a stack yet.
pub(super) struct Pending {
    pub(super) thread: Thread,
    pub(super) time_ns: u64,
    pub(super) weights: [i64; 2],
    pub(super) end: StackEnd,
}

/// Everything interned so far, and samples that wait.
///
/// The tables are larger than the processor's cache, and hardly a look into them finds it warm. So
/// samples wait until there are some: all that they will look at is then loaded at once, which takes
/// little longer than loading one.
#[derive(Default)]
pub(super) struct AlikeChains {
    located: LocatedPlaces,
    threads: FxHashMap<u32, ThreadRows>,
    /// Stacks by print.
    stacks: Known,
    /// With where its steps end in `steps`.
    pending: Vec<(Pending, usize)>,
    /// The steps of the samples that wait, root first, one chain after the other.
    steps: Vec<Place>,
    /// Kept for its memory.
    found: Vec<Located>,
}

/// The location of a place.
#[derive(Debug, Clone, Copy)]
struct Located {
    location: LocationId,
    /// How many steps in a row are there.
    steps: u32,
}

impl Located {
    fn word(self) -> u64 {
        self.location.index() as u64 | u64::from(self.steps) << 32
    }
}

/// Rows of samples of one thread by print.
struct ThreadRows {
    thread: ThreadId,
    rows: Known,
}

/// So many samples wait: what they look at fits into the processor's second cache.
const MOST_PENDING: usize = 256;

impl AlikeChains {
    /// Adds a step, after those that are nearer to the root, to the sample that comes next.
    pub(super) fn push_step(&mut self, place: Place) {
        let start = self.pending.last().map_or(0, |&(_, end)| end);
        match self.steps[start..].last_mut() {
            // Of garbage there are many in a row.
            Some(last) if last.is_nowhere() && place.is_nowhere() => last.address += 1,
            _ => self.steps.push(place),
        }
    }

    /// Adds the sample of the steps that were added; whether so many wait that they have to be
    /// settled.
    #[must_use]
    pub(super) fn push_sample(&mut self, sample: Pending) -> bool {
        self.pending.push((sample, self.steps.len()));
        self.pending.len() >= MOST_PENDING
    }

    /// The thread of this number has ended; its samples must be settled.
    pub(super) fn forget(&mut self, tid: u32) {
        self.threads.remove(&tid);
    }

    /// Makes the samples that wait rows of the profile, or adds them to the rows that there are.
    pub(super) fn settle(
        &mut self,
        profile: &mut Profile,
        mut alike: Option<&mut Alike<'_>>,
    ) -> Result<(), SinkError> {
        let mut pending = std::mem::take(&mut self.pending);
        let mut found = std::mem::take(&mut self.found);
        self.located.load(&self.steps);
        found.clear();
        for &place in &self.steps {
            let alike = alike.as_deref_mut();
            found.push(self.located.located(place, profile, alike));
        }
        self.steps.clear();
        let prints = self.prints(&pending, &found);
        let mut start = 0;
        for ((sample, end), print) in pending.drain(..).zip(prints) {
            self.add(&sample, &found[start..end], print, profile)?;
            start = end;
        }
        (self.pending, self.found) = (pending, found);
        Ok(())
    }

    /// The print of each chain; what will be looked at of it is loaded.
    fn prints(&mut self, pending: &[(Pending, usize)], found: &[Located]) -> Vec<Fingerprint> {
        let (mut start, mut loaded) = (0, 0);
        let prints = pending.iter().map(|(sample, end)| {
            let words = found[start..*end].iter().map(|found| found.word());
            let print = Fingerprint::of_words(words);
            start = *end;
            let rows = ThreadRows::of(&mut self.threads, sample.thread);
            let row_print = print.with(sample.end as u64);
            loaded ^= rows.load(row_print) ^ self.stacks.load(print);
            print
        });
        let prints = prints.collect();
        std::hint::black_box(loaded);
        prints
    }

    fn add(
        &mut self,
        sample: &Pending,
        path: &[Located],
        print: Fingerprint,
        profile: &mut Profile,
    ) -> Result<(), SinkError> {
        let row_print = print.with(sample.end as u64);
        let rows = ThreadRows::of(&mut self.threads, sample.thread);
        if let Some(row) = rows.find(row_print) {
            let columns = &mut profile.samples.weights;
            for (column, weight) in columns.iter_mut().zip(sample.weights) {
                column[row as usize] += weight;
            }
            return Ok(());
        }
        let number = u32::try_from(profile.samples.len());
        rows.insert(row_print, number.expect("fewer rows than numbers of rows"));
        let row = Row {
            thread: sample.thread.row,
            time_ns: sample.time_ns,
            stack: self.stack(path, print, profile),
            weights: &sample.weights,
            cpu: None,
            end: sample.end,
            labels: None,
        };
        profile.sample(&row)
    }

    /// The stack of locations, root first, of this print.
    fn stack(
        &mut self,
        path: &[Located],
        print: Fingerprint,
        profile: &mut Profile,
    ) -> Option<StackId> {
        if let Some(number) = self.stacks.find(print) {
            return stack_of(number);
        }
        let interned = &mut self.located.interned;
        let steps = path.iter().flat_map(|found| {
            let steps = found.steps as usize;
            std::iter::repeat_n(found.location, steps)
        });
        let stack = steps.fold(None, |parent, location| {
            Some(interned.stack(parent, location, profile))
        });
        self.stacks.insert(print, number_of(stack));
        stack
    }
}

impl ThreadRows {
    /// Those of a thread, whose number may have been another's before.
    fn of(threads: &mut FxHashMap<u32, ThreadRows>, thread: Thread) -> &mut Known {
        let new = || ThreadRows {
            thread: thread.row,
            rows: Known::default(),
        };
        let rows = threads.entry(thread.tid).or_insert_with(new);
        if rows.thread != thread.row {
            *rows = new();
        }
        &mut rows.rows
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
    /// Loads what [`LocatedPlaces::located`] will look at.
    fn load(&self, places: &[Place]) {
        let of_images = places.iter().filter(|place| !place.is_nowhere());
        let loaded = of_images.fold(0, |loaded, &place| loaded ^ self.by_place.load(place));
        std::hint::black_box(loaded);
    }

    fn located(
        &mut self,
        place: Place,
        profile: &mut Profile,
        alike: Option<&mut Alike<'_>>,
    ) -> Located {
        match place.is_nowhere() {
            true => Located {
                location: self.nowhere(profile),
                // A record has fewer bytes.
                steps: place.address as u32,
            },
            false => Located {
                location: self.location(place, profile, alike),
                steps: 1,
            },
        }
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
        let image = place.image();
        let same = match (image, alike) {
            (Some(image), Some(alike)) => alike(profile, image, place.lookup_address()),
            _ => None,
        };
        let (address, kind) = match same {
            Some(address) => (address, AddressKind::Adjusted),
            None => (place.address, place.kind()),
        };
        let location = self.interned.location(image, address, kind, profile);
        self.by_place.insert(place, location);
        location
    }

    /// The one location of all that lies in no mapping.
    fn nowhere(&mut self, profile: &mut Profile) -> LocationId {
        *self.nowhere.get_or_insert_with(|| {
            let kind = AddressKind::Adjusted;
            self.interned.location(None, 0, kind, profile)
        })
    }
}

/// Finds the locations of places: an open table of small slots.
#[derive(Default)]
struct KnownPlaces {
    slots: Vec<KnownPlace>,
    used: usize,
}

/// As two fields, place and location would be padded.
#[derive(Clone, Copy, Default)]
struct KnownPlace {
    address: u64,
    /// As [`Place::rest`]; 0 when the slot is free.
    rest: u32,
    location: LocationId,
}

impl KnownPlace {
    fn place(self) -> Place {
        Place {
            address: self.address,
            rest: self.rest,
        }
    }
}

impl KnownPlaces {
    fn find(&self, place: Place) -> Option<LocationId> {
        let found = &self.slots[self.slot(place)?];
        (found.rest != 0).then_some(found.location)
    }

    /// Some of the first slot that is looked at for a place.
    fn load(&self, place: Place) -> u32 {
        let mask = self.slots.len().wrapping_sub(1);
        self.slots
            .get(place.hash() & mask)
            .map_or(0, |slot| slot.rest)
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
            rest: place.rest,
            location,
        });
    }

    fn put(&mut self, known: KnownPlace) {
        if let Some(slot) = self.slot(known.place()) {
            self.slots[slot] = known;
        }
    }

    /// Where a place is, or where it belongs; `None` while there is no table.
    fn slot(&self, place: Place) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = place.hash() & mask;
        loop {
            let known = &self.slots[slot];
            if known.rest == 0 || known.place() == place {
                return Some(slot);
            }
            slot = (slot + 1) & mask;
        }
    }
}
