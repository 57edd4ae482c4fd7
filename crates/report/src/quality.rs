//! How far a profile can be trusted: what was lost, what is cut, what has no name, what was missed.

use std::collections::BTreeMap;

use hotproof_profile::{
    Code, Id, Inline, LocationState, Profile, RUN_QUEUE, Source, StackEnd, Unit, WHOLE_SYSTEM,
};

use crate::census::counted_event;
use crate::names::clean;
use crate::numbers::{counted, percent};
use crate::scripts::{advice, unnamed_scripts};

/// Below this share of the counted CPU time a profile has missed something.
const LOW_COVERAGE: f64 = 0.9;
/// Above this share of the counted CPU time samples stand for more than there was.
const HIGH_COVERAGE: f64 = 1.1;
/// Below this share of its wall time on the CPU a run mostly waits.
const MOSTLY_WAITING: f64 = 0.5;
/// Shorter runs are all start and end.
const FEWEST_NS: u64 = 100_000_000;
/// Above this share of incomplete stacks the totals of callers are doubtful.
const MANY_INCOMPLETE: f64 = 0.01;
/// Above this share of samples in an interpreter that names no script the table needs a word.
const MANY_SCRIPTED: f64 = 0.01;
/// Above this share of frames without a name the table needs a word.
const MANY_UNNAMED: f64 = 0.01;

/// What is missing from a profile. Shares are fractions of 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Quality {
    /// Samples that are there.
    pub samples: u64,
    /// Samples that the kernel dropped.
    pub lost_samples: u64,
    /// Other records that the kernel dropped.
    pub lost_records: u64,
    /// Samples whose stack reaches the thread's start, of those where that is known; `None` when
    /// it is known of none.
    pub complete: Option<f64>,
    /// Frames that have a name, of all frames of all samples; `None` without a frame.
    pub symbolized: Option<f64>,
    /// Samples whose outer callers are likely and not certain ([`StackEnd::Stitched`]); they count
    /// as complete.
    pub stitched: u64,
    /// CPU time that the samples stand for, of the counted CPU time; `None` when either is
    /// unknown.
    pub coverage: Option<f64>,
    /// CPU time of all threads together, of the wall time in which there was a CPU for it; `None` when either is unknown, or the
    /// run was too short for it to say anything.
    pub busy: Option<f64>,
    /// Where the frames without a name lie, with their share of all frames, largest first.
    pub unnamed: Vec<(String, f64)>,
    /// Samples within Python's interpreter, of all, where the functions of scripts have no names;
    /// `None` when there are none.
    pub scripted: Option<f64>,
}

impl Quality {
    /// Looks at a whole profile.
    pub fn of(profile: &Profile) -> Self {
        let (symbolized, unnamed) = named_share(profile);
        Quality {
            samples: profile.sample_count(),
            lost_samples: profile.meta.lost.samples,
            lost_records: profile.meta.lost.records,
            complete: complete_share(profile),
            stitched: profile.stitched_count(),
            symbolized,
            coverage: coverage(profile),
            busy: busy(profile),
            unnamed,
            scripted: unnamed_scripts(profile),
        }
    }

    /// Looks at several runs together: counts are added, shares are averaged by samples.
    pub fn of_runs(profiles: &[&Profile]) -> Self {
        let runs: Vec<Quality> = profiles
            .iter()
            .map(|profile| Quality::of(profile))
            .collect();
        let mut unnamed: BTreeMap<String, f64> = BTreeMap::new();
        let samples: u64 = runs.iter().map(|run| run.samples).sum();
        for run in &runs {
            for (name, share) in &run.unnamed {
                let part = share * run.samples as f64 / samples as f64;
                *unnamed.entry(name.clone()).or_default() += part;
            }
        }
        Quality {
            samples,
            lost_samples: runs.iter().map(|run| run.lost_samples).sum(),
            lost_records: runs.iter().map(|run| run.lost_records).sum(),
            complete: averaged(&runs, |run| run.complete),
            stitched: runs.iter().map(|run| run.stitched).sum(),
            symbolized: averaged(&runs, |run| run.symbolized),
            coverage: averaged(&runs, |run| run.coverage),
            busy: averaged(&runs, |run| run.busy),
            unnamed: largest_first(unnamed),
            scripted: averaged(&runs, |run| run.scripted),
        }
    }

    /// Lost samples as a share of all that should be there.
    pub fn lost_share(&self) -> f64 {
        let all = self.lost_samples + self.samples;
        if all == 0 {
            0.0
        } else {
            self.lost_samples as f64 / all as f64
        }
    }

    /// Says that the run mostly waits, which is to be known before anything else is read.
    pub fn waiting(&self) -> Option<String> {
        let busy = self.busy.filter(|&busy| busy < MOSTLY_WAITING)?;
        Some(format!(
            "the run mostly waits, or other programs keep it from the CPU: it was on one for {} of the time in which its main thread did not wait for its turn, and samples of CPU time do not show the rest (hotproof record --off-cpu, then report --weight wall)",
            percent(busy)
        ))
    }

    /// Says that the functions of scripts are not to be seen, and how they would be.
    pub fn scripts(&self) -> Option<String> {
        let share = self.scripted.filter(|&share| share > MANY_SCRIPTED)?;
        Some(advice(share))
    }

    /// What a reader of the figures has to know, one sentence each, the gravest first.
    pub fn warnings(&self) -> Vec<String> {
        let mut list = Vec::new();
        list.extend(self.waiting());
        if self.lost_samples > 0 {
            list.push(format!(
                "{} lost ({} of all): the kernel dropped them because they were not read in time; record with a lower rate (-F)",
                counted(self.lost_samples, "sample"),
                percent(self.lost_share())
            ));
        }
        if self.lost_records > 0 {
            list.push(format!(
                "{} could not be read: samples may be missing, and frames named wrongly or not at all",
                counted(self.lost_records, "record")
            ));
        }
        let coverage = self.coverage.filter(|_| self.samples > 0);
        if let Some(sentence) = coverage.and_then(coverage_warning) {
            list.push(sentence);
        }
        if let Some(complete) = self.complete.filter(|&share| 1.0 - share > MANY_INCOMPLETE) {
            list.push(format!(
                "{} of stacks do not reach the start of their thread: the totals of callers are too low by up to that much",
                percent(1.0 - complete)
            ));
        }
        if self.stitched > 0 {
            list.push(format!(
                "{} ({} of all) completed by reading the running thread's memory a moment later: their outer callers are likely, not certain",
                counted(self.stitched, "stack"),
                percent(self.stitched as f64 / self.samples.max(1) as f64)
            ));
        }
        if let Some(named) = self.symbolized.filter(|&share| 1.0 - share > MANY_UNNAMED) {
            list.push(unnamed_warning(1.0 - named, &self.unnamed));
        }
        list.extend(self.scripts());
        list
    }
}

/// A share over the runs that have it, each by its samples; `None` when no run has it.
fn averaged(runs: &[Quality], share: fn(&Quality) -> Option<f64>) -> Option<f64> {
    let known = runs
        .iter()
        .filter_map(|run| Some((share(run)?, run.samples as f64)));
    let (sum, samples) = known.fold((0.0, 0.0), |(sum, all), (share, samples)| {
        (sum + share * samples, all + samples)
    });
    (samples > 0.0).then(|| sum / samples)
}

fn largest_first(shares: BTreeMap<String, f64>) -> Vec<(String, f64)> {
    let mut list: Vec<(String, f64)> = shares.into_iter().collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1));
    list
}

fn coverage_warning(coverage: f64) -> Option<String> {
    if coverage < LOW_COVERAGE {
        Some(format!(
            "the samples stand for only {} of the CPU time that was counted: short-lived processes or threads may be missing",
            percent(coverage)
        ))
    } else if coverage > HIGH_COVERAGE {
        Some(format!(
            "the samples stand for {} of the CPU time that was counted: shares are right, times are not",
            percent(coverage)
        ))
    } else {
        None
    }
}

fn unnamed_warning(share: f64, unnamed: &[(String, f64)]) -> String {
    let places: Vec<String> = unnamed
        .iter()
        .take(3)
        .map(|(name, share)| format!("{} {}", clean(name), percent(*share)))
        .collect();
    format!(
        "{} of frames have no name ({}): build with debug information, or install debug symbols",
        percent(share),
        places.join(", ")
    )
}

/// How many samples each row tells something of, whether it adds them or takes them away: shares of
/// them stay between 0 and 1.
fn magnitudes(profile: &Profile) -> impl Fn(usize) -> u64 + '_ {
    let samples = profile.row_samples();
    move |row| samples(row).unsigned_abs()
}

fn complete_share(profile: &Profile) -> Option<f64> {
    let samples = magnitudes(profile);
    let (mut all, mut complete) = (0, 0);
    for (row, end) in profile.samples.end.iter().enumerate() {
        match end {
            StackEnd::Unknown => {}
            StackEnd::Complete | StackEnd::Stitched => {
                all += samples(row);
                complete += samples(row);
            }
            StackEnd::Truncated | StackEnd::Failed => all += samples(row),
        }
    }
    (all > 0).then(|| complete as f64 / all as f64)
}

/// The share of the wall time that was spent on a CPU, above 1 for several threads. Time in which
/// the main thread waited for a CPU that others had is left out: the run would have used it.
fn busy(profile: &Profile) -> Option<f64> {
    let meta = &profile.meta;
    if meta.command == [WHOLE_SYSTEM] {
        return None; // A machine that idles is no program that waits.
    }
    let queue = meta.counters.iter().find(|one| one.name == RUN_QUEUE);
    let queued_ns = queue.map_or(0, |one| one.value);
    let wall_ns = Some(meta.duration_ns.saturating_sub(queued_ns)).filter(|&ns| ns >= FEWEST_NS)?;
    Some(meta.cpu_time_ns? as f64 / wall_ns as f64)
}

/// Samples times period, as time, against the CPU time that was counted exactly.
fn coverage(profile: &Profile) -> Option<f64> {
    let counted_ns = profile.meta.cpu_time_ns.filter(|&ns| ns > 0)? as f64;
    Some(sampled_ns(profile)? / counted_ns)
}

/// The time that the samples stand for: their weight in nanoseconds, or their number over the
/// rate where nothing else is known; `None` when that is not known either, or when the event has
/// nothing to do with time.
pub fn sampled_ns(profile: &Profile) -> Option<f64> {
    if counted_event(profile).is_some() {
        return None;
    }
    let column = profile
        .weights
        .iter()
        .position(|w| w.unit == Unit::Nanoseconds);
    match (column, profile.meta.rate_hz) {
        (Some(column), _) => Some(profile.total_weight(column) as f64),
        (None, Some(rate)) if rate > 0 => Some(profile.sample_count() as f64 * 1e9 / rate as f64),
        _ => None,
    }
}

/// The time that shares of the profile are shares of: the counted CPU time where there is one,
/// because samples may cover a little less; `None` when unknown, or when samples stand for no time.
pub(crate) fn whole_ns(profile: &Profile) -> Option<f64> {
    let counted = profile.meta.cpu_time_ns.map(|ns| ns as f64);
    let sampled = sampled_ns(profile);
    match counted_event(profile) {
        Some(_) => None,
        None => counted.or(sampled),
    }
}

/// The share of frames with a name, weighted by samples, and where the others lie.
fn named_share(profile: &Profile) -> (Option<f64>, Vec<(String, f64)>) {
    let mut samples_of = vec![0u64; profile.stacks.len()];
    let samples = magnitudes(profile);
    for (row, stack) in profile.samples.stack.iter().enumerate() {
        if let Some(stack) = stack {
            samples_of[stack.index()] += samples(row);
        }
    }
    let mut all = 0u64;
    let mut unnamed: BTreeMap<String, u64> = BTreeMap::new();
    // Children come after their parents, so one pass from the end adds each stack to its caller.
    for index in (0..samples_of.len()).rev() {
        let samples = samples_of[index];
        if samples == 0 {
            continue;
        }
        let stack = profile.stacks[hotproof_profile::StackId::from_index(index)];
        if let Some(parent) = stack.parent {
            samples_of[parent.index()] += samples;
        }
        all += samples;
        if !is_named(profile, stack.location) {
            let image = profile.locations[stack.location].image;
            let code = image.map_or(Code::Unmapped, Code::Unnamed);
            *unnamed.entry(profile.code_name(code)).or_default() += samples;
        }
    }
    let missing: u64 = unnamed.values().sum();
    let shares = unnamed
        .into_iter()
        .map(|(name, samples)| (name, samples as f64 / all as f64));
    let list = largest_first(shares.collect());
    ((all > 0).then(|| 1.0 - missing as f64 / all as f64), list)
}

/// Whether somebody named the location; the bare start of a function from unwind tables is none.
fn is_named(profile: &Profile, location: hotproof_profile::LocationId) -> bool {
    profile.locations[location].state == LocationState::Resolved
        && profile.code_at(location, Inline::Physical).any(|code| {
            matches!(code, Code::Function(id)
                if profile.functions[id].source != Source::UnwindTable)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command that sleeps is told; a machine that idles while all of it is recorded is none.
    #[test]
    fn a_run_that_waits_is_told_and_an_idle_machine_is_not() {
        for (command, told) in [("sleep", true), (WHOLE_SYSTEM, false)] {
            let mut profile = Profile::default();
            profile.meta.command = vec![command.to_owned()];
            profile.meta.duration_ns = 4_000_000_000;
            profile.meta.cpu_time_ns = Some(80_000_000);
            let waiting = Quality::of(&profile).waiting();
            assert_eq!(waiting.is_some(), told, "{command}: {waiting:?}");
        }
    }
}
