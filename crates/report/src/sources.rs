//! Who named the code that samples lie in.

use std::collections::BTreeMap;

use hotproof_profile::{Code, Inline, Profile, Source, at_least_none};

use crate::numbers::percent;

/// Samples by who named the function whose machine code was running, in the order of the sources;
/// last, as `None`, those that nobody could name. Samples without a stack count there too.
pub fn samples_by_source(profile: &Profile) -> Vec<(Option<Source>, u64)> {
    let mut counts: BTreeMap<Source, i64> = BTreeMap::new();
    let mut unnamed = 0i64;
    let row_samples = profile.row_samples();
    for (row, stack) in profile.samples.stack.iter().enumerate() {
        let leaf = stack.map(|stack| profile.stacks[stack].location);
        let code = leaf.and_then(|leaf| profile.code_at(leaf, Inline::Physical).next());
        match code {
            Some(Code::Function(id)) => {
                *counts.entry(profile.functions[id].source).or_default() += row_samples(row);
            }
            _ => unnamed += row_samples(row),
        }
    }
    let named = counts
        .into_iter()
        .map(|(source, count)| (Some(source), at_least_none(count)));
    named
        .chain((unnamed > 0).then_some((None, at_least_none(unnamed))))
        .collect()
}

/// `dwarf 92.1 %, kallsyms 5.2 %, nobody 2.7 %`; `None` when there is nothing to tell: no sample, or
/// a profile of another tool, whose names all came with it.
pub(crate) fn line(profile: &Profile) -> Option<String> {
    let counts = samples_by_source(profile);
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let is_ours =
        |(source, _): &(Option<Source>, u64)| source.is_some_and(|source| source != Source::Import);
    if !counts.iter().any(is_ours) {
        return None;
    }
    let share = |(source, count): &(Option<Source>, u64)| {
        let word = source.map_or("nobody", Source::word);
        format!("{word} {}", percent(*count as f64 / all.max(1) as f64))
    };
    let shares: Vec<String> = counts.iter().map(share).collect();
    Some(shares.join(", "))
}

#[cfg(test)]
mod tests {
    use hotproof_profile::{
        AddressKind, Frame, Function, Location, Process, Sample, Stack, StackEnd, Thread,
    };

    use super::*;

    /// A profile with so many samples by each source; `None` has no name.
    fn profile(counts: &[(Option<Source>, usize)]) -> Profile {
        let mut profile = Profile::default();
        let name = profile.strings.intern("work");
        let process = profile.processes.push(Process {
            pid: 1,
            name,
            start_ns: 0,
            end_ns: None,
        });
        let thread = profile.threads.push(Thread {
            process,
            tid: 1,
            name,
            start_ns: 0,
            end_ns: None,
        });
        for &(source, samples) in counts {
            let row = Location::unresolved(None, 1, AddressKind::Ip);
            let location = profile.locations.push(row);
            let frames = source.map(|source| {
                Frame::of(profile.functions.push(Function {
                    name,
                    linkage_name: name,
                    file: None,
                    line: None,
                    image: None,
                    source,
                }))
            });
            let frames: Vec<Frame> = frames.into_iter().collect();
            profile.set_frames(location, &frames);
            let parent = None;
            let stack = profile.stacks.push(Stack { parent, location });
            for _ in 0..samples {
                let sample = Sample {
                    thread,
                    time_ns: 0,
                    stack: Some(stack),
                    weights: &[],
                    cpu: None,
                    end: StackEnd::Complete,
                    labels: None,
                };
                hotproof_profile::Sink::sample(&mut profile, &sample).unwrap();
            }
        }
        profile
    }

    #[test]
    fn shares_are_told_where_there_is_something_to_tell() {
        use Source::*;
        for (counts, expected) in [
            (
                &[(None, 1), (Some(Kallsyms), 2), (Some(Dwarf), 7)][..],
                Some("dwarf 70.0 %, kallsyms 20.0 %, nobody 10.0 %"),
            ),
            (&[(Some(Plt), 1)], Some("plt 100.0 %")),
            (&[(Some(Import), 5), (None, 1)], None),
            (&[], None),
        ] {
            assert_eq!(line(&profile(counts)).as_deref(), expected, "{counts:?}");
        }
    }
}
