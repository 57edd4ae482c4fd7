//! Totals by function as a person counts functions: rows of the profile that have one name and
//! one declared place (instances of a generic, copies in several images) are one function.

use std::collections::{BTreeMap, HashMap};

use hotproof_profile::{
    Code, Id, Inline, LocationId, Profile, StackId, StackWeight, Unit, at_least_none,
};

/// A row number of [`Census::entries`].
pub(crate) type EntryId = usize;

/// One function and what it holds. Weights are in the unit of [`Measure::weight`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// One of its rows in the profile.
    pub(crate) code: Code,
    /// Its name, as the profile has it.
    pub(crate) name: String,
    /// Whether it is library code.
    pub(crate) library: bool,
    /// Weight of the samples that have it anywhere on the stack; recursion counts once.
    pub(crate) total: i64,
    /// Weight of the samples whose innermost frame it is.
    pub(crate) self_weight: i64,
    /// As `self_weight`, when library code inlined into it counts as its own.
    pub(crate) own: i64,
    /// Samples that have it anywhere on the stack; see [`hotproof_profile::at_least_none`].
    pub(crate) samples: u64,
    /// Whether any sample or weight has it on its stack, though all may come to nothing.
    pub(crate) seen: bool,
    /// The part of `total` in which it only stands between the root and the first function that
    /// is no part of a runtime: what starts a program or a thread.
    pub(crate) above: i64,
    /// Whether it belongs to a language's or the system's runtime, as far as its place tells.
    runtime: bool,
}

impl Entry {
    /// Whether it does nothing but start what the user wrote.
    pub(crate) fn starts_up(&self) -> bool {
        /// A few samples of a program's very start, before there is any other code, do not count.
        const NEARLY_ALL: f64 = 0.99;
        self.above as f64 >= NEARLY_ALL * self.total as f64 && self.above > 0
    }
}

/// The weight column that shares are taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measure {
    /// The column of [`hotproof_profile::Samples::weights`].
    pub(crate) weight: usize,
    /// Its unit.
    pub(crate) unit: Unit,
}

/// The column of an event that says nothing of time, beside the mere number of samples: page
/// faults, context switches. `None` where samples stand for time, or may.
pub(crate) fn counted_event(profile: &Profile) -> Option<usize> {
    let says_time = |unit| matches!(unit, Unit::Nanoseconds | Unit::Cycles | Unit::Instructions);
    if profile.weights.iter().any(|weight| says_time(weight.unit)) {
        return None;
    }
    // A recording of ours names its column after the event; that of others may be anything.
    let event = &profile.meta.event;
    profile
        .weights
        .iter()
        .position(|weight| weight.name == *event && weight.name != "samples")
}

impl Measure {
    /// The column that says most about time: nanoseconds, else cycles, else instructions, else the
    /// event that was counted, else the one that a foreign file names for this or has last, as pprof
    /// takes it, else the first; `None` when the profile has no weight at all.
    pub(crate) fn of(profile: &Profile) -> Option<Self> {
        let rank = |unit| match unit {
            Unit::Nanoseconds => 0,
            Unit::Cycles => 1,
            Unit::Instructions => 2,
            Unit::Count | Unit::Bytes => 3,
        };
        if let Some(weight) = counted_event(profile) {
            let unit = profile.weights[weight].unit;
            return Some(Measure { weight, unit });
        }
        let preferred = preferred(profile);
        let columns = profile.weights.iter().enumerate();
        columns
            .min_by_key(|(index, weight)| (rank(weight.unit), Some(*index) != preferred, *index))
            .map(|(weight, row)| Measure {
                weight,
                unit: row.unit,
            })
    }
}

/// The column that a foreign file means to be looked at, among those of one kind: of the heap what
/// is in use, not what was ever allocated.
fn preferred(profile: &Profile) -> Option<usize> {
    let foreign = profile.foreign.as_ref()?;
    let mut columns = profile.weights.iter();
    let named = columns.position(|weight| weight.name == foreign.default_weight);
    named.or(profile.weights.len().checked_sub(1))
}

/// All functions of a profile with their weights.
#[derive(Debug, Clone)]
pub(crate) struct Census {
    /// The functions that were seen, in the order in which the stacks show them.
    pub(crate) entries: Vec<Entry>,
    /// Weight of the samples that were looked at.
    pub(crate) weight: i64,
    /// How many samples those are.
    pub(crate) samples: u64,
    /// Functions at each location, innermost first; empty where the profile has no location.
    at: Vec<Vec<EntryId>>,
    /// Whose own time a leaf at each location is.
    own_at: Vec<EntryId>,
    /// The entry of samples without a stack.
    nowhere: EntryId,
}

impl Census {
    /// Counts the given stacks.
    pub(crate) fn of(profile: &Profile, stacks: &[StackWeight], inline: Inline) -> Self {
        let mut census = Census::unweighted(profile, inline);
        let mut last_seen = vec![usize::MAX; census.entries.len()];
        let mut samples = vec![0i64; census.entries.len()];
        for (turn, stack) in stacks.iter().enumerate() {
            census.add(profile, stack, turn, &mut last_seen, &mut samples);
        }
        let all = stacks.iter().map(|stack| stack.samples).sum();
        census.samples = at_least_none(all);
        for (entry, sum) in census.entries.iter_mut().zip(samples) {
            entry.samples = at_least_none(sum);
        }
        census
    }

    /// The functions of all locations, without weights.
    fn unweighted(profile: &Profile, inline: Inline) -> Self {
        let mut groups = Groups::default();
        let mut at = Vec::with_capacity(profile.locations.len());
        let mut own_at = Vec::with_capacity(profile.locations.len());
        for location in profile.locations.ids() {
            let codes = profile.code_at(location, inline);
            let list: Vec<EntryId> = codes.map(|code| groups.entry(profile, code)).collect();
            own_at.push(match inline {
                Inline::Expand => groups.entry(profile, profile.own_code_at(location)),
                Inline::Physical => list.first().copied().unwrap_or_default(),
            });
            at.push(list);
        }
        let nowhere = groups.entry(profile, Code::Unmapped);
        Census {
            entries: groups.entries,
            weight: 0,
            samples: 0,
            at,
            own_at,
            nowhere,
        }
    }

    fn add(
        &mut self,
        profile: &Profile,
        stack: &StackWeight,
        turn: usize,
        last_seen: &mut [usize],
        samples: &mut [i64],
    ) {
        self.weight += stack.weight;
        let (innermost, own) = self.leaf_of(profile, stack.stack);
        self.entries[innermost].self_weight += stack.weight;
        self.entries[own].own += stack.weight;
        let path: Vec<EntryId> = self.path(profile, stack.stack).collect();
        // Leaf first: what comes after the last function outside the runtimes starts it.
        let last_of_user = path.iter().rposition(|&id| !self.entries[id].runtime);
        for (position, &id) in path.iter().enumerate() {
            if last_seen[id] == turn {
                continue;
            }
            last_seen[id] = turn;
            let entry = &mut self.entries[id];
            entry.total += stack.weight;
            entry.seen |= stack.is_seen();
            samples[id] += stack.samples;
            if last_of_user.is_some_and(|last| position > last) {
                entry.above += stack.weight;
            }
        }
    }

    /// The innermost function of a stack, and whose own time it is.
    fn leaf_of(&self, profile: &Profile, stack: Option<StackId>) -> (EntryId, EntryId) {
        match profile.path(stack).next() {
            Some(leaf) => (self.functions_at(leaf)[0], self.own_at[leaf.index()]),
            None => (self.nowhere, self.nowhere),
        }
    }

    /// The functions at a location, innermost first; never empty.
    pub(crate) fn functions_at(&self, location: LocationId) -> &[EntryId] {
        &self.at[location.index()]
    }

    /// The functions of a stack, leaf first; those of one inline chain innermost first.
    pub(crate) fn path<'a>(
        &'a self,
        profile: &'a Profile,
        stack: Option<StackId>,
    ) -> impl Iterator<Item = EntryId> + 'a {
        let none = stack.is_none().then_some(self.nowhere);
        let named = profile
            .path(stack)
            .flat_map(|location| self.functions_at(location).iter().copied());
        named.chain(none)
    }
}

/// `part / whole`, or 0 when there is no whole.
pub(crate) fn share(part: i64, whole: i64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Finds out which rows of the function table are one function.
#[derive(Default)]
struct Groups {
    entries: Vec<Entry>,
    by_code: HashMap<Code, EntryId>,
    by_place: BTreeMap<(String, String), EntryId>,
}

impl Groups {
    fn entry(&mut self, profile: &Profile, code: Code) -> EntryId {
        if let Some(&id) = self.by_code.get(&code) {
            return id;
        }
        let name = profile.code_name(code);
        let place = (name.clone(), profile.code_place(code));
        let id = *self.by_place.entry(place).or_insert_with(|| {
            self.entries.push(Entry {
                code,
                name,
                library: matches!(code, Code::Function(f) if profile.is_library(f)),
                total: 0,
                self_weight: 0,
                own: 0,
                samples: 0,
                seen: false,
                above: 0,
                runtime: is_runtime(profile, code),
            });
            self.entries.len() - 1
        });
        self.by_code.insert(code, id);
        id
    }
}

/// Whether the code is a language's library or the C library, or has no declared file, as the
/// code that the linker adds. Packages of a registry are none of it.
pub(crate) fn is_runtime(profile: &Profile, code: Code) -> bool {
    let file = match code {
        Code::Function(id) => profile.functions[id].file,
        Code::Unnamed(_) | Code::Unmapped => None,
    };
    file.is_none_or(|file| {
        let file = &profile.strings[file];
        // Debian's C library is built with paths relative to its own sources.
        file.starts_with("/rustc/")
            || file.contains("/lib/rustlib/src/")
            || file.starts_with("./")
            || file.contains("/sysdeps/")
    })
}
