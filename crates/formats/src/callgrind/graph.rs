//! Functions, their own weights and their calls, from stacks.

use std::collections::BTreeMap;

use hotproof_profile::{Code, Inline, LocationId, LocationState, Profile, StackId, Unit};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{CALLS, UNKNOWN};
use crate::nameless::is_nameless;

/// A function by what the format knows of it: object, file and name. Also their order.
pub(super) type Function = (String, String, String);

/// Where in the source a weight belongs: file, address, line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Position {
    /// A number in [`Graph::files`]; `None` for the file of the function.
    pub(super) file: Option<usize>,
    pub(super) address: u64,
    pub(super) line: u32,
}

/// A call from a position to a function.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) weights: Vec<i64>,
    pub(super) count: i64,
    /// The first position in the callee that was seen.
    pub(super) target: Position,
}

/// What one function has.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) own: BTreeMap<Position, Vec<i64>>,
    /// By position of the caller and number of the callee.
    pub(super) calls: BTreeMap<(Position, usize), Call>,
}

/// All functions of a profile; numbers of functions and files are those of their sorted lists.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) functions: Vec<Function>,
    pub(super) files: Vec<String>,
    pub(super) nodes: Vec<Node>,
    /// How many of the profile's weights are events; without any, samples are counted.
    pub(super) events: usize,
}

/// One frame of a stack: its function, and where in it.
type Step = (usize, Position);

/// The frames of all locations, leaf first, and the roots of all threads.
struct Steps {
    locations: Vec<Vec<Step>>,
    roots: Vec<Option<Step>>,
    unknown: Step,
}

impl Graph {
    pub(super) fn of(profile: &Profile) -> Self {
        let mut graph = Graph {
            events: events(profile),
            ..Graph::default()
        };
        let steps = graph.steps(profile);
        graph.nodes = vec![Node::default(); graph.functions.len()];
        for (key, sum) in sums(profile) {
            let (thread, stack) = key;
            let locations = profile.path(stack);
            let mut path: Vec<Step> = locations
                .flat_map(|location| steps.locations[location.0 as usize].iter().copied())
                .collect();
            if path.is_empty() {
                path.push(steps.unknown);
            }
            path.extend(steps.roots[thread]);
            path.reverse();
            graph.add(&path, &sum);
        }
        graph
    }

    /// Adds one stack, root first.
    fn add(&mut self, path: &[Step], sum: &Sum) {
        let mut seen = FxHashSet::default();
        for pair in path.windows(2) {
            let [(caller, from), (callee, target)] = [pair[0], pair[1]];
            seen.insert(caller);
            if !seen.insert(callee) {
                continue;
            }
            let call = self.nodes[caller].calls.entry((from, callee));
            let call = call.or_insert_with(|| Call {
                weights: vec![0; sum.weights.len()],
                count: 0,
                target,
            });
            add_all(&mut call.weights, &sum.weights);
            call.count += sum.calls;
            call.target = call.target.min(target);
        }
        if let Some(&(leaf, at)) = path.last() {
            let own = self.nodes[leaf].own.entry(at);
            add_all(
                own.or_insert_with(|| vec![0; sum.weights.len()]),
                &sum.weights,
            );
        }
    }

    /// Numbers functions and files in the order of their texts.
    fn steps(&mut self, profile: &Profile) -> Steps {
        let mut texts = Texts::default();
        let locations: Vec<Vec<RawStep>> = profile
            .locations
            .ids()
            .map(|location| texts.of_location(profile, location))
            .collect();
        let roots: Vec<Option<RawStep>> = profile
            .threads
            .iter()
            .map(|(id, row)| {
                let name = format!("[thread {}]", &profile.strings[row.name]);
                (!is_nameless(profile, id)).then(|| texts.nowhere(name))
            })
            .collect();
        let unknown = texts.nowhere(profile.code_name(Code::Unmapped));
        let functions = sorted(&mut self.functions, texts.functions);
        let files = sorted(&mut self.files, texts.files);
        let step = |&(function, file, address, line): &RawStep| {
            let file = file.map(|file| files[file]);
            let position = Position {
                file,
                address,
                line,
            };
            (functions[function], position)
        };
        Steps {
            locations: locations
                .iter()
                .map(|steps| steps.iter().map(step).collect())
                .collect(),
            roots: roots.iter().map(|root| root.as_ref().map(step)).collect(),
            unknown: step(&unknown),
        }
    }
}

/// Function, file of the position, address, line; numbers in the order of first use.
type RawStep = (usize, Option<usize>, u64, u32);

/// Texts in the order of their first use.
#[derive(Default)]
struct Texts {
    functions: FxHashMap<Function, usize>,
    files: FxHashMap<String, usize>,
}

impl Texts {
    fn nowhere(&mut self, name: String) -> RawStep {
        let unknown = || UNKNOWN.to_owned();
        (self.function((unknown(), unknown(), name)), None, 0, 0)
    }

    fn function(&mut self, function: Function) -> usize {
        let next = self.functions.len();
        *self.functions.entry(function).or_insert(next)
    }

    /// The frames of a location, innermost first.
    fn of_location(&mut self, profile: &Profile, location: LocationId) -> Vec<RawStep> {
        let row = &profile.locations[location];
        let path = |image| profile.strings[profile.images[image].path].to_owned();
        let object = row.image.map(path);
        if row.state != LocationState::Resolved || row.frames.is_empty() {
            let code = profile.code_at(location, Inline::Physical).next();
            let name = profile.code_name(code.unwrap_or(Code::Unmapped));
            let object = object.unwrap_or_else(|| UNKNOWN.to_owned());
            let function = self.function((object, UNKNOWN.to_owned(), name));
            return vec![(function, None, row.address, 0)];
        }
        let mut steps = Vec::with_capacity(row.frames.len());
        for frame in row.frame_ids().map(|id| &profile.frames[id]) {
            let function = &profile.functions[frame.function];
            let text = |id| profile.strings[id].to_owned();
            let object = object.clone().or_else(|| function.image.map(path));
            let key = (
                object.unwrap_or_else(|| UNKNOWN.to_owned()),
                function.file.map_or_else(|| UNKNOWN.to_owned(), text),
                text(function.name),
            );
            let other = frame.file.filter(|&file| Some(file) != function.file);
            let file = other.map(|file| {
                let next = self.files.len();
                *self.files.entry(text(file)).or_insert(next)
            });
            let line = frame.line.unwrap_or(0);
            steps.push((self.function(key), file, row.address, line));
        }
        steps
    }
}

/// Fills `list` with the sorted keys; returns the place of each by the number that it had.
fn sorted<K: Ord>(list: &mut Vec<K>, numbers: FxHashMap<K, usize>) -> Vec<usize> {
    let mut rows: Vec<(K, usize)> = numbers.into_iter().collect();
    rows.sort();
    let mut places = vec![0; rows.len()];
    for (place, (key, number)) in rows.into_iter().enumerate() {
        places[number] = place;
        list.push(key);
    }
    places
}

/// The last weight counts calls when it is named so.
fn events(profile: &Profile) -> usize {
    match profile.weights.split_last() {
        Some((last, others))
            if !others.is_empty() && last.name == CALLS && last.unit == Unit::Count =>
        {
            others.len()
        }
        _ => profile.weights.len(),
    }
}

/// The events of samples of one stack, and how many calls it stands for.
#[derive(Default)]
struct Sum {
    weights: Vec<i64>,
    calls: i64,
}

/// By thread and stack.
fn sums(profile: &Profile) -> BTreeMap<(usize, Option<StackId>), Sum> {
    let samples = &profile.samples;
    let events = events(profile);
    let mut sums: BTreeMap<_, Sum> = BTreeMap::new();
    for row in 0..samples.len() {
        let key = (samples.thread[row].0 as usize, samples.stack[row]);
        let sum = sums.entry(key).or_default();
        sum.weights.resize(events.max(1), 0);
        if events == 0 {
            sum.weights[0] += 1;
        }
        for (sum, column) in sum.weights.iter_mut().zip(&samples.weights) {
            *sum += column[row];
        }
        sum.calls += samples.weights.get(events).map_or(1, |calls| calls[row]);
    }
    sums
}

fn add_all(sums: &mut [i64], weights: &[i64]) {
    for (sum, weight) in sums.iter_mut().zip(weights) {
        *sum += weight;
    }
}
