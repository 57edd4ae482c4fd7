//! Counts the samples of a run by row of the table.

use hotproof_profile::{
    ELAPSED, Id, ImageId, Inline, LabelValue, LocationId, Profile, StackEnd, StackId,
};

use super::joiner::{Joined, Joiner, Placing, Script, is_system};
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
    /// Whether it holds code of the user's rather than a library's or the system's.
    is_user: bool,
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

/// The wall time of a run, which its samples and waits share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed {
    /// All of it, exactly.
    pub wall_ns: u64,
    /// What one count stands for: the time between two samples.
    pub tick_ns: u64,
}

/// Why time is counted for a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spent {
    /// It was running.
    Running,
    /// It waited. What the innermost function of the user's calls for that only waits, so that the
    /// wait is that function's own time.
    Waiting,
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
                counter.stack(slot + 1, stack, count, Spent::Running);
            }
        }
        counter.finish()
    }

    /// As [`Joiner::tally`], with each sample counted as much as it stands for: where a sample may
    /// stand for more time than another one, rows alone would give its functions too little. All
    /// together count as many as there are samples; rounding takes or gives a stack less than one.
    /// `None` when the profile has no such weight, or nothing of it.
    pub fn tally_weighted(&mut self, side: Side, profile: &Profile, weight: &str) -> Option<Tally> {
        let profile = &*profile.without_stitched_callers();
        let rows = &profile.samples;
        let column = profile.weights.iter().position(|row| row.name == weight)?;
        let weight = |row: usize| rows.weights[column][row].max(0) as f64;
        let all: f64 = (0..rows.len()).map(weight).sum();
        if all <= 0.0 {
            return None;
        }
        let samples = rows.len() as u64;
        let counts = |weight: f64| (weight * samples as f64 / all).round() as u64;
        let mut stacks = vec![0.0; profile.stacks.len() + 1];
        let mut complete = 0.0;
        for row in 0..rows.len() {
            stacks[rows.stack[row].map_or(0, |id| id.index() + 1)] += weight(row);
            if rows.end[row] == StackEnd::Complete {
                complete += weight(row);
            }
        }
        let mut counter = Counter::new(self, side, profile);
        counter.tally = Tally {
            samples,
            complete: counts(complete),
            lost: profile.meta.lost.samples,
            ..Tally::default()
        };
        let (mut so_far, mut counted) = (0.0, 0);
        for (slot, &weight) in stacks.iter().enumerate() {
            so_far += weight;
            let count = counts(so_far).min(samples) - counted;
            if count > 0 {
                counted += count;
                let stack = slot.checked_sub(1).map(StackId::from_index);
                counter.stack(slot + 1, stack, count, Spent::Running);
            }
        }
        Some(counter.finish())
    }

    /// Counts the wall time of one run of `side` by row, as [`Joiner::tally`] counts samples; `None`
    /// when the profile does not tell time off the CPU.
    ///
    /// Waits have their exact nanoseconds, and the samples share what is left of the wall time. All
    /// is then counted in ticks; rounding takes or gives a stack less than one, and nothing in all.
    /// A wait whose own stack is not known has none.
    pub fn tally_elapsed(
        &mut self,
        side: Side,
        profile: &Profile,
        elapsed: Elapsed,
    ) -> Option<Tally> {
        let profile = &*profile.without_stitched_callers();
        let times = Times::of(profile, elapsed)?;
        let ticks = |time_ns: f64| (time_ns / elapsed.tick_ns.max(1) as f64).round() as u64;
        let samples = ticks(elapsed.wall_ns as f64);
        let mut counter = Counter::new(self, side, profile);
        counter.tally = Tally {
            samples,
            complete: ticks(times.complete_ns).min(samples),
            lost: profile.meta.lost.samples,
            ..Tally::default()
        };
        let (mut so_far_ns, mut counted) = (0.0, 0);
        let both = times.running_ns.iter().zip(&times.waiting_ns);
        for (slot, (&running_ns, &waiting_ns)) in both.enumerate() {
            let stack = slot.checked_sub(1).map(StackId::from_index);
            let parts = [(running_ns, Spent::Running), (waiting_ns, Spent::Waiting)];
            for (part, (time_ns, spent)) in parts.into_iter().enumerate() {
                so_far_ns += time_ns;
                let count = ticks(so_far_ns).min(samples) - counted;
                if count > 0 {
                    counted += count;
                    counter.stack(2 * slot + part + 1, stack, count, spent);
                }
            }
        }
        Some(counter.finish())
    }
}

/// Wall time by stack; slot 0 is time without one.
struct Times {
    running_ns: Vec<f64>,
    waiting_ns: Vec<f64>,
    complete_ns: f64,
}

impl Times {
    fn of(profile: &Profile, elapsed: Elapsed) -> Option<Times> {
        let column = |name: &str| profile.weights.iter().position(|row| row.name == name);
        let (count, time) = (column("samples")?, column(ELAPSED)?);
        let rows = &profile.samples;
        let is_wait = |row: usize| rows.weights[count][row] == 0;
        let time_ns = |row: usize| rows.weights[time][row].max(0) as f64;
        let sum = |waits: bool| {
            let rows = (0..rows.len()).filter(|&row| is_wait(row) == waits);
            rows.map(time_ns).sum::<f64>()
        };
        let (sampled_ns, waited_ns) = (sum(false), sum(true));
        let wall_ns = elapsed.wall_ns as f64;
        // Clocks that begin and end a little apart are no time.
        let of_waits = (wall_ns / waited_ns.max(1.0)).min(1.0);
        let left_ns = wall_ns - waited_ns * of_waits;
        let mut times = Times {
            running_ns: vec![0.0; profile.stacks.len() + 1],
            waiting_ns: vec![0.0; profile.stacks.len() + 1],
            complete_ns: 0.0,
        };
        for row in 0..rows.len() {
            let (sums, time_ns) = match is_wait(row) {
                true => (&mut times.waiting_ns, time_ns(row) * of_waits),
                false => (&mut times.running_ns, time_ns(row) * left_ns / sampled_ns),
            };
            let stack = rows.stack[row].filter(|_| !is_borrowed(profile, row));
            sums[stack.map_or(0, |id| id.index() + 1)] += time_ns;
            if rows.end[row] == StackEnd::Complete && stack.is_some() {
                times.complete_ns += time_ns;
            }
        }
        if sampled_ns <= 0.0 {
            times.running_ns[0] = left_ns;
        }
        Some(times)
    }
}

/// Whether a row has the stack of another moment.
fn is_borrowed(profile: &Profile, row: usize) -> bool {
    let set = profile.samples.labels.get(row).copied().flatten();
    let labels = set.and_then(|set| profile.labels.get(set)).unwrap_or(&[]);
    labels.iter().any(|label| match label.value {
        LabelValue::Text(text) => {
            &profile.strings[label.key] == "stack" && &profile.strings[text] == "borrowed"
        }
        LabelValue::Number { .. } => false,
    })
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
    fn stack(&mut self, mark: usize, stack: Option<StackId>, samples: u64, spent: Spent) {
        let profile = self.profile;
        let mut leaf: Option<Place> = None;
        let mut waits_in: Option<Place> = None;
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
            if spent == Spent::Waiting && place.is_user && waits_in.is_none() {
                waits_in = Some(place.clone());
            }
            leaf.get_or_insert(place);
        }
        // An interpreter's frames without one of a script say nothing of which script runs.
        let is_hidden = least == Script::Hidden || (least == Script::Interpreter && !any_named);
        is_joinable &= !(self.touches_scripts && is_hidden);
        let own = match (&leaf, &waits_in) {
            (Some(leaf), Some(place)) => {
                self.count(self.chains[leaf.chain.start]).physical_self += samples;
                self.own(place, samples);
                place.own
            }
            (Some(place), None) => {
                self.leaf(place, samples);
                place.own
            }
            (None, _) => {
                is_joinable = false;
                self.without_stack(mark, samples)
            }
        };
        if waits_in
            .or(leaf)
            .is_some_and(|place| place.changed.is_some())
        {
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
        self.own(place, samples);
    }

    /// Counts own time of the functions of a place.
    fn own(&mut self, place: &Place, samples: u64) {
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
        let of_system = image.is_some_and(|image| is_system(profile, image));
        let place = Place {
            is_user: own.is_some() && image.is_some() && !of_system,
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
