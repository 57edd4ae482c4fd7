//! Counts the samples of a run by row of the table.

use hotproof_profile::{Id, ImageId, Inline, LocationId, Profile, StackEnd, StackId};

use super::joiner::{Joined, Joiner, Placing, Script};
use crate::values::{FunctionRow, FunctionTally, Side, Tally};

/// What a location means to the table of functions.
#[derive(Clone)]
pub(super) struct Place {
    /// Its rows in `Counter::chains`, innermost first; never empty.
    chain: std::ops::Range<usize>,
    /// The innermost function of the user, else the outermost of all.
    own: FunctionRow,
    /// The innermost changed function.
    pub(super) changed: Option<FunctionRow>,
    placing: Placing,
    /// What its frames say of scripts, the least certain.
    script: Script,
}

/// Counts one profile; each location is joined once.
pub(super) struct Counter<'j, 'a, 'p> {
    joiner: &'j mut Joiner<'a>,
    side: Side,
    profile: &'p Profile,
    /// By image, whether any of its functions has a declared file.
    placed_images: Vec<bool>,
    /// Whether changed functions are those of scripts.
    touches_scripts: bool,
    places: Vec<Option<Place>>,
    chains: Vec<FunctionRow>,
    counts: Vec<Count>,
    tally: Tally,
}

/// The counts of one row, and the last stack that it was counted for.
#[derive(Clone, Default)]
struct Count {
    total: u64,
    own: u64,
    physical_self: u64,
    rest: u64,
    stack: usize,
}

impl Joiner<'_> {
    /// Counts the samples of one run of `side` by row. A run of the second copy of base is a run
    /// of base.
    ///
    /// A sample is in C when the inline chain of its leaf holds a changed function; it is the own
    /// time of the innermost such function. It is the own time of the innermost function of the
    /// user in that chain as well, when that is another one, which the diff does not touch: its
    /// time then does not depend on whether it was inlined. So the own samples of the changed
    /// rows add up to C, and those of all rows may exceed the samples.
    pub fn tally(&mut self, side: Side, profile: &Profile) -> Tally {
        // Callers that are only likely are not counted.
        let profile = &*profile.without_stitched_callers();
        let samples = &profile.samples;
        // Slot 0 counts samples without a stack.
        let mut stacks = vec![0u64; profile.stacks.len() + 1];
        for stack in &samples.stack {
            stacks[stack.map_or(0, |id| id.index() + 1)] += 1;
        }
        let complete = |end: &&StackEnd| **end == StackEnd::Complete;
        let mut counter = Counter::new(self, side, profile);
        counter.tally = Tally {
            samples: samples.len() as u64,
            complete: samples.end.iter().filter(complete).count() as u64,
            lost: profile.meta.lost.samples,
            ..Tally::default()
        };
        for (slot, &count) in stacks.iter().enumerate() {
            if count > 0 {
                let stack = slot.checked_sub(1).map(StackId::from_index);
                counter.stack(slot + 1, stack, count);
            }
        }
        counter.finish()
    }
}

impl<'j, 'a, 'p> Counter<'j, 'a, 'p> {
    pub(super) fn new(joiner: &'j mut Joiner<'a>, side: Side, profile: &'p Profile) -> Self {
        Counter {
            side,
            profile,
            placed_images: placed_images(profile),
            touches_scripts: joiner.touches_scripts(),
            places: vec![None; profile.locations.len()],
            chains: Vec::new(),
            counts: vec![Count::default(); joiner.row_count()],
            tally: Tally::default(),
            joiner,
        }
    }

    pub(super) fn profile(&self) -> &'p Profile {
        self.profile
    }

    /// The rows of a place, innermost first.
    pub(super) fn chain(&self, place: &Place) -> &[FunctionRow] {
        &self.chains[place.chain.clone()]
    }

    pub(super) fn is_changed(&self, row: FunctionRow) -> bool {
        self.joiner.is_changed(row)
    }

    /// What was counted as the own of each row so far, ordered by row; rows without are left out.
    pub(super) fn own_by_row(&self) -> Vec<(FunctionRow, u64)> {
        let counts = self.counts.iter().map(|count| count.own).enumerate();
        counts.filter(|&(_, own)| own > 0).collect()
    }

    /// Adds the samples of one stack; `mark` is its own number, above 0.
    fn stack(&mut self, mark: usize, stack: Option<StackId>, samples: u64) {
        let profile = self.profile;
        let mut leaf: Option<Place> = None;
        let mut any_changed = false;
        let mut is_joinable = true;
        let (mut any_named, mut least) = (false, Script::None);
        for location in profile.path(stack) {
            let place = self.place(location);
            any_changed |= place.changed.is_some();
            is_joinable &= match place.placing {
                Placing::Known => true,
                Placing::Start => leaf.is_some(),
                Placing::Unknown => false,
            };
            any_named |= place.script == Script::Named;
            least = least.max(place.script);
            for at in place.chain.clone() {
                self.seen(self.chains[at], mark, samples);
            }
            leaf.get_or_insert(place);
        }
        // An interpreter's frames without one of a script say nothing of which script runs.
        let is_hidden = least == Script::Hidden || (least == Script::Interpreter && !any_named);
        is_joinable &= !(self.touches_scripts && is_hidden);
        let own = match &leaf {
            Some(place) => {
                self.leaf(place, samples);
                place.own
            }
            None => {
                is_joinable = false;
                self.without_stack(mark, samples)
            }
        };
        if leaf.is_some_and(|place| place.changed.is_some()) {
            self.tally.changed_own += samples;
        } else if any_changed {
            self.tally.changed_below += samples;
        } else {
            self.count(own).rest += samples;
            self.tally.unjoinable += if is_joinable { 0 } else { samples };
        }
    }

    fn without_stack(&mut self, mark: usize, samples: u64) -> FunctionRow {
        let code = hotproof_profile::Code::Unmapped;
        let row = self.joiner.join(self.side, self.profile, code).row;
        self.count(row).own += samples;
        self.count(row).physical_self += samples;
        self.seen(row, mark, samples);
        row
    }

    pub(super) fn leaf(&mut self, place: &Place, samples: u64) {
        let innermost = self.chains[place.chain.start];
        self.count(innermost).physical_self += samples;
        self.count(place.own).own += samples;
        if let Some(changed) = place.changed.filter(|&changed| changed != place.own) {
            self.count(changed).own += samples;
        }
    }

    /// Counts a row as on the stack, once for each stack.
    fn seen(&mut self, row: FunctionRow, mark: usize, samples: u64) {
        let count = self.count(row);
        if count.stack != mark {
            count.stack = mark;
            count.total += samples;
        }
    }

    fn count(&mut self, row: FunctionRow) -> &mut Count {
        if row >= self.counts.len() {
            self.counts.resize(row + 1, Count::default());
        }
        &mut self.counts[row]
    }

    pub(super) fn place(&mut self, location: LocationId) -> Place {
        if let Some(place) = &self.places[location.index()] {
            return place.clone();
        }
        let profile = self.profile;
        let start = self.chains.len();
        let mut own = None;
        let mut last = 0;
        let mut placing = Placing::Known;
        let mut script = Script::None;
        for code in profile.code_at(location, Inline::Expand) {
            let joined = self.joiner.join(self.side, profile, code);
            let Joined { row, is_user, .. } = joined;
            placing = placing.max(joined.placing);
            script = script.max(joined.script);
            self.chains.push(row);
            own = own.or(is_user.then_some(row));
            last = row;
        }
        let image = profile.locations[location].image;
        let is_placed = |image: ImageId| self.placed_images[image.index()];
        if placing == Placing::Start && image.is_some_and(|image| !is_placed(image)) {
            // Without debug information even `main` may hold what was inlined into it.
            placing = Placing::Unknown;
        }
        let chain = start..self.chains.len();
        let mut rows = self.chains[chain.clone()].iter().copied();
        let place = Place {
            changed: rows.find(|&row| self.joiner.is_changed(row)),
            own: own.unwrap_or(last),
            placing,
            script,
            chain,
        };
        self.places[location.index()] = Some(place.clone());
        place
    }

    fn finish(self) -> Tally {
        let seen = self
            .counts
            .iter()
            .enumerate()
            .filter(|(_, count)| count.total > 0);
        let functions = seen
            .map(|(function, count)| FunctionTally {
                function,
                total: count.total,
                own: count.own,
                physical_self: count.physical_self,
                rest: count.rest,
            })
            .collect();
        Tally {
            functions,
            ..self.tally
        }
    }
}

fn placed_images(profile: &Profile) -> Vec<bool> {
    let mut placed = vec![false; profile.images.len()];
    let with_file = profile.functions.iter().filter(|(_, f)| f.file.is_some());
    for image in with_file.filter_map(|(_, function)| function.image) {
        placed[image.index()] = true;
    }
    placed
}
