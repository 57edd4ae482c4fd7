//! Profiles as comparable values, whatever the order and the numbers of their rows.

use std::collections::BTreeMap;

use hotproof_profile::*;

/// Name, linker's name, declared file and line; line and column at which it stands.
type NamedFrame = (String, String, String, u32, u32, u32);
/// Image path and build-id, address, frames.
type Place = (String, Vec<u8>, u64, Vec<NamedFrame>);

/// A text, or a number and its unit.
type Value = Result<String, (i64, String)>;

/// All that two samples have to share to be one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who {
    process: (u32, String),
    thread: (u32, String),
    end: StackEnd,
    labels: Vec<(String, Value)>,
    stack: Vec<Place>,
}

fn some(profile: &Profile, text: Option<StringId>) -> String {
    text.map(|text| profile.strings[text].to_owned())
        .unwrap_or_default()
}

fn place(profile: &Profile, location: LocationId) -> Place {
    let row = &profile.locations[location];
    let image = row.image.map(|image| &profile.images[image]);
    let frames = if row.state == LocationState::Resolved {
        row.frame_ids().collect()
    } else {
        Vec::new()
    };
    let frame = |id: FrameId| {
        let frame = &profile.frames[id];
        let function = &profile.functions[frame.function];
        (
            profile.strings[function.name].to_owned(),
            profile.strings[function.linkage_name].to_owned(),
            some(profile, function.file),
            function.line.unwrap_or(0),
            frame.line.unwrap_or(0),
            frame.column.unwrap_or(0),
        )
    };
    // Code made at run time has no file that matters.
    let jit = |image: &&Image| image.kind == ImageKind::Jit;
    let path = match image.filter(jit) {
        Some(_) => "[jit]".to_owned(),
        None => some(profile, image.map(|image| image.path)),
    };
    (
        path,
        image.map_or(Vec::new(), |image| image.build_id.clone()),
        row.address,
        frames.into_iter().map(frame).collect(),
    )
}

/// The weights of all samples that differ in nothing that pprof has a place for.
pub(crate) fn samples(profile: &Profile) -> BTreeMap<Who, Vec<i64>> {
    let mut sums: BTreeMap<Who, Vec<i64>> = BTreeMap::new();
    for row in 0..profile.samples.len() {
        let thread = &profile.threads[profile.samples.thread[row]];
        let process = &profile.processes[thread.process];
        let set = profile.samples.labels[row].map_or(&[][..], |set| &profile.labels[set]);
        let label = |label: &Label| {
            let value = match label.value {
                LabelValue::Text(text) => Ok(profile.strings[text].to_owned()),
                LabelValue::Number { value: 0, unit } if some(profile, unit).is_empty() => {
                    Ok(String::new())
                }
                LabelValue::Number { value, unit } => Err((value, some(profile, unit))),
            };
            (profile.strings[label.key].to_owned(), value)
        };
        let mut stack: Vec<Place> = profile
            .path(profile.samples.stack[row])
            .map(|location| place(profile, location))
            .collect();
        if stack.is_empty() {
            stack.push((String::new(), Vec::new(), 0, Vec::new()));
        }
        let who = Who {
            process: (process.pid, profile.strings[process.name].to_owned()),
            thread: (thread.tid, profile.strings[thread.name].to_owned()),
            end: profile.samples.end[row],
            labels: set.iter().map(label).collect(),
            stack,
        };
        let sum = sums
            .entry(who)
            .or_insert_with(|| vec![0; profile.weights.len()]);
        for (sum, column) in sum.iter_mut().zip(&profile.samples.weights) {
            *sum += column[row];
        }
    }
    sums
}

/// Self and total by shown name.
pub(crate) type Totals = BTreeMap<String, (i64, i64)>;

/// What a reader that knows functions by their names alone computes: recursion of a name counts
/// once.
pub(crate) fn totals_by_name(profile: &Profile, weight: usize) -> Totals {
    let mut totals = Totals::new();
    for entry in profile.stack_weights(weight) {
        let codes = profile
            .path(entry.stack)
            .flat_map(|location| profile.code_at(location, Inline::Expand));
        let mut names: Vec<String> = codes.map(|code| profile.code_name(code)).collect();
        if names.is_empty() {
            names.push("[unknown]".to_owned());
        }
        totals.entry(names[0].clone()).or_default().0 += entry.weight;
        names.sort();
        names.dedup();
        for name in names {
            totals.entry(name).or_default().1 += entry.weight;
        }
    }
    totals
}
