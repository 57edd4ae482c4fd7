//! Choosing samples.

use super::matching::samples_with;
use super::{Transform, TransformError, Window};
use crate::profile::Profile;

pub(super) fn select(
    transform: &Transform<'_>,
    mut profile: Profile,
) -> Result<Profile, TransformError> {
    if let Some(name) = transform.weight {
        profile = with_weight(profile, name)?;
    }
    if let Some(window) = transform.window {
        profile = within(profile, window)?;
    }
    if let Some(asked) = transform.process {
        let mask = of_process(&profile, asked)?;
        profile = keep(profile, &mask, "process");
    }
    if let Some(asked) = transform.thread {
        let mask = of_thread(&profile, asked)?;
        profile = keep(profile, &mask, "thread");
    }
    if let Some(ignore) = transform.ignore {
        let mask: Vec<bool> = samples_with(&profile, ignore)
            .into_iter()
            .map(|hit| !hit)
            .collect();
        profile = keep(profile, &mask, "ignore");
    }
    Ok(profile)
}

/// The profile with one weight.
fn with_weight(mut profile: Profile, name: &str) -> Result<Profile, TransformError> {
    if super::holds_off_cpu(&profile) {
        profile = match super::off_cpu::with_weight(profile, name) {
            Ok(profile) => return Ok(profile),
            Err(profile) => *profile,
        };
    }
    let found = profile.weights.iter().position(|row| row.name == name);
    let Some(column) = found else {
        let known = profile.weights.iter().map(|row| row.name.as_str());
        let sums = match super::holds_off_cpu(&profile) {
            true => &[super::OFF_CPU, super::WALL][..],
            false => &[],
        };
        let known = known.chain(sums.iter().copied());
        return Err(TransformError::NoWeight {
            asked: name.to_owned(),
            known: list(known),
        });
    };
    profile.weights = vec![profile.weights.swap_remove(column)];
    profile.samples.weights = vec![profile.samples.weights.swap_remove(column)];
    if let Some(foreign) = &mut profile.foreign {
        foreign.default_weight.clear();
        let unit = foreign.weight_units.get(column).cloned();
        foreign.weight_units = unit.into_iter().collect();
    }
    Ok(profile)
}

/// The samples that were taken in a stretch of time, which counts from the first of them. Several
/// recordings are cut before they are merged, because each has its own first sample.
///
/// # Errors
/// When there are several samples and all have the same time, which formats without times give.
pub fn within(mut profile: Profile, window: Window) -> Result<Profile, TransformError> {
    let times = &profile.samples.time_ns;
    let Some(&first) = times.iter().min() else {
        return Ok(profile);
    };
    if times.len() > 1 && times.iter().all(|&time| time == first) {
        return Err(TransformError::NoTimes {
            samples: times.len(),
        });
    }
    let inside = |time: &u64| (window.from_ns..window.to_ns).contains(&(time - first));
    let mask: Vec<bool> = times.iter().map(inside).collect();
    let length_ns = window.to_ns.saturating_sub(window.from_ns);
    let rest_ns = profile.meta.duration_ns.saturating_sub(window.from_ns);
    profile = keep(profile, &mask, "time");
    profile.meta.duration_ns = length_ns.min(rest_ns);
    Ok(profile)
}

fn of_thread(profile: &Profile, asked: &str) -> Result<Vec<bool>, TransformError> {
    let text = |id| &profile.strings[id];
    let threads = profile.threads.rows().iter();
    let meant: Vec<bool> = threads
        .map(|row| text(row.name) == asked || row.tid.to_string() == asked)
        .collect();
    if !meant.contains(&true) {
        let names = profile.threads.rows().iter().map(|row| text(row.name));
        return Err(nobody("thread", asked, names));
    }
    let ids = profile.samples.thread.iter();
    Ok(ids.map(|id| meant[crate::Id::index(*id)]).collect())
}

fn of_process(profile: &Profile, asked: &str) -> Result<Vec<bool>, TransformError> {
    let text = |id| &profile.strings[id];
    let processes = profile.processes.rows().iter();
    let meant: Vec<bool> = processes
        .map(|row| text(row.name) == asked || row.pid.to_string() == asked)
        .collect();
    if !meant.contains(&true) {
        let names = profile.processes.rows().iter().map(|row| text(row.name));
        return Err(nobody("process", asked, names));
    }
    let ids = profile.samples.thread.iter();
    let process = |id: &crate::ThreadId| profile.threads[*id].process;
    Ok(ids.map(|id| meant[crate::Id::index(process(id))]).collect())
}

fn nobody<'a>(
    what: &'static str,
    asked: &str,
    names: impl Iterator<Item = &'a str>,
) -> TransformError {
    TransformError::NobodyOf {
        what,
        asked: asked.to_owned(),
        known: list(names),
    }
}

/// The names that there are, each once, sorted, a long list cut.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 12;
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    match (names.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

/// Keeps the samples whose flag is set, one flag a sample, and says so in the notes after `why`. CPU time that was counted for
/// all of them is forgotten, for it is not that of the rest.
pub fn keep(mut profile: Profile, mask: &[bool], why: &str) -> Profile {
    let kept = mask.iter().filter(|&&keep| keep).count();
    if kept == mask.len() {
        return profile;
    }
    retain(&mut profile, mask);
    profile.meta.cpu_time_ns = None;
    let note = format!("{why} keeps {kept} of {} samples", mask.len());
    profile.meta.notes.push(note);
    profile
}

/// The note of a filter that [`keep`] applied and that left no sample.
pub fn left_nothing(profile: &Profile) -> Option<&str> {
    let notes = profile.meta.notes.iter();
    let mut notes = notes.filter(|note| note.contains(" keeps 0 of "));
    notes.next().map(String::as_str)
}

/// Keeps the samples whose flag is set, one flag a sample, without a word.
pub(super) fn retain(profile: &mut Profile, mask: &[bool]) {
    let samples = &mut profile.samples;
    filter(&mut samples.thread, mask);
    filter(&mut samples.time_ns, mask);
    filter(&mut samples.stack, mask);
    filter(&mut samples.cpu, mask);
    filter(&mut samples.end, mask);
    filter(&mut samples.labels, mask);
    for column in &mut samples.weights {
        filter(column, mask);
    }
}

fn filter<T>(column: &mut Vec<T>, mask: &[bool]) {
    let mut flags = mask.iter();
    column.retain(|_| flags.next().copied().unwrap_or(true));
}
