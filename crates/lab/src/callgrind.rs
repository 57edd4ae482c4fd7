//! Instructions, counted by valgrind's callgrind in one run of each ref: exact, and no time.
//!
//! Callgrind writes a file for each process, with a cost for each instruction as linked and for
//! each call. The addresses are named by our own symbolizer, so that inlined functions are joined
//! to the diff as they are for samples.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hotproof_diff::changes::{CallCost, Counts, Joiner, under};
use hotproof_diff::{CountedEvent, InstructionCount, Side};
use hotproof_profile::{
    AddressKind, FunctionId, Id, ImageId, ImageKind, Inline, Location, LocationId, Profile,
};
use hotproof_symbolizer::{Symbolizer, lowest_address};
use rustc_hash::FxHashMap;

use crate::error::LabError;
use crate::naming::{self, Naming};
use crate::options::Counting;
use crate::run::{Outcome, Runner, Task};
use crate::scratch::Folder;

/// Sizes of the simulated caches, so that their misses do not depend on the machine: 32 KiB of
/// eight ways each, and 8 MiB of sixteen.
const CACHES: [&str; 4] = [
    "--cache-sim=yes",
    "--I1=32768,8,64",
    "--D1=32768,8,64",
    "--LL=8388608,16,64",
];

/// Valgrind, as it is installed.
#[derive(Debug, Clone)]
pub(crate) struct Valgrind {
    /// `callgrind 3.19.0`.
    pub(crate) engine: String,
    /// What has to stand before it so that addresses are not randomised; empty where that is not
    /// permitted.
    prefix: Vec<OsString>,
}

impl Valgrind {
    /// Asks valgrind for its version.
    ///
    /// # Errors
    /// When it does not run.
    pub(crate) fn find() -> Result<Valgrind, LabError> {
        let asked = Command::new("valgrind").arg("--version").output();
        let version = asked
            .ok()
            .filter(|output| output.status.success())
            .and_then(|output| String::from_utf8(output.stdout).ok())
            .ok_or(LabError::NoValgrind)?;
        let version = version.trim();
        let number = version.strip_prefix("valgrind-").unwrap_or(version);
        let fixed = ["setarch", "-R"];
        let tried = Command::new(fixed[0])
            .args([fixed[1], "true"])
            .stdin(Stdio::null())
            .output();
        let is_permitted = tried.is_ok_and(|output| output.status.success());
        Ok(Valgrind {
            engine: format!("callgrind {number}"),
            prefix: if is_permitted {
                fixed.map(OsString::from).to_vec()
            } else {
                Vec::new()
            },
        })
    }

    /// The task, under callgrind, with its files in `folder`.
    fn task(&self, task: &Task, counting: &Counting, folder: &Path) -> Task {
        let mut command = self.prefix.clone();
        let file = |option: &str, name: &str| {
            let mut word = OsString::from(option);
            word.push(folder.join(name));
            word
        };
        command.extend(["valgrind", "-q", "--tool=callgrind"].map(OsString::from));
        command.extend(["--trace-children=yes", "--vgdb=no"].map(OsString::from));
        command.extend(["--dump-instr=yes", "--dump-line=no"].map(OsString::from));
        command.push(file("--callgrind-out-file=", "counts.%p"));
        command.push(file("--log-file=", "log.%p"));
        if counting.alone {
            command.extend(CACHES.map(OsString::from));
        }
        command.push("--".into());
        command.extend(task.command.iter().cloned());
        Task {
            command,
            ..task.clone()
        }
    }
}

/// A checkout to count in.
pub(crate) struct Counted<'a> {
    pub(crate) task: &'a Task,
    pub(crate) side: Side,
    pub(crate) symbolizer: &'a mut Symbolizer,
    /// Only what is executed under this function counts.
    pub(crate) scope: Option<&'a str>,
}

/// Runs a checkout once under callgrind, and counts its instructions by row.
///
/// # Errors
/// When the run fails, or what it wrote cannot be read.
pub(crate) fn count(
    valgrind: &Valgrind,
    counting: &Counting,
    runner: &mut Runner,
    checkout: &mut Counted<'_>,
    joiner: &mut Joiner<'_>,
    naming: &mut Naming,
) -> Result<(InstructionCount, Outcome), LabError> {
    let folder = Folder::new()?;
    let task = valgrind.task(checkout.task, counting, folder.path());
    let outcome = runner
        .run(&task, 1, &folder)
        .map_err(|error| with_log(error, folder.path()))?;
    let files = files(folder.path(), "counts.")?;
    if files.is_empty() {
        return Err(LabError::NoCounts {
            place: task.place,
            reason: "it left no file".to_owned(),
        });
    }
    let mut code = Code::default();
    for path in files {
        let bytes = fs::read(&path).map_err(|source| file_error(&path, source))?;
        let imported = (counting.read)(&bytes).map_err(|reason| LabError::NoCounts {
            place: task.place.clone(),
            reason,
        })?;
        code.add(&imported);
    }
    code.sort_calls();
    naming.name(&task.worktree, &mut code.profile, checkout.symbolizer);
    if let Some(scope) = checkout.scope {
        code.keep_under(scope)?;
    }
    let own = code.own_costs();
    let events = code.events.iter().map(|event| CountedEvent {
        name: event.name.clone(),
        count: event.at.values().sum(),
    });
    let counts = Counts {
        profile: &code.profile,
        bodies: &code.body_of,
        own: &own,
        calls: &code.calls,
        events: events.collect(),
    };
    Ok((joiner.count(checkout.side, counts), outcome))
}

/// The files of a folder whose names begin so, in order.
fn files(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, LabError> {
    let listed = fs::read_dir(folder).map_err(|source| file_error(folder, source))?;
    let mut files = Vec::new();
    for entry in listed {
        let entry = entry.map_err(|source| file_error(folder, source))?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn file_error(path: &Path, source: std::io::Error) -> LabError {
    LabError::File {
        action: "read the counts of callgrind in",
        path: path.to_owned(),
        source,
    }
}

/// A failed run's error with what valgrind said of it, such as an instruction that it lacks.
fn with_log(error: LabError, folder: &Path) -> LabError {
    let LabError::Run { place, how, tail } = error else {
        return error;
    };
    let logs = files(folder, "log.").unwrap_or_default();
    let said = logs.iter().filter_map(|path| fs::read_to_string(path).ok());
    let lines: Vec<String> = said
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .take(10)
        .map(|line| format!("  {line}"))
        .collect();
    let tails = [tail, lines.join("\n")];
    let tails: Vec<String> = tails.into_iter().filter(|text| !text.is_empty()).collect();
    LabError::Run {
        place,
        how: format!("{how} under valgrind"),
        tail: tails.join("\n"),
    }
}

/// Costs by address, of all processes of a run.
#[derive(Default)]
struct Code {
    profile: Profile,
    images: FxHashMap<String, (ImageId, u64)>,
    locations: FxHashMap<(Option<ImageId>, u64), LocationId>,
    bodies: FxHashMap<(String, String, String), usize>,
    /// By location.
    body_of: Vec<usize>,
    own: BTreeMap<LocationId, u64>,
    calls: Vec<CallCost>,
    events: Vec<EventCosts>,
}

/// How often something happened, by location.
struct EventCosts {
    name: String,
    at: BTreeMap<LocationId, u64>,
}

impl Code {
    /// Adds what one process did. The reader gives each call as a stack of two, and takes its cost
    /// off the callee again.
    fn add(&mut self, counted: &Profile) {
        let Some(calls) = counted.weights.len().checked_sub(1) else {
            return;
        };
        if self.events.is_empty() {
            let others = counted.weights[..calls].iter().skip(1);
            self.events = others
                .map(|weight| EventCosts {
                    name: weight.name.clone(),
                    at: BTreeMap::new(),
                })
                .collect();
        }
        let samples = &counted.samples;
        for (sample, &stack) in samples.stack.iter().enumerate() {
            let mut path = counted.path(stack);
            let (Some(leaf), caller) = (path.next(), path.next()) else {
                continue;
            };
            let weight = |index: usize| u64::try_from(samples.weights[index][sample]).ok();
            let Some(instructions) = weight(0) else {
                // What takes the cost of a call off its callee.
                continue;
            };
            let at = self.location(counted, leaf);
            if let Some(caller) = caller {
                let call = CallCost {
                    from: self.location(counted, caller),
                    to: at,
                    count: weight(calls).unwrap_or(0),
                    instructions,
                };
                self.calls.push(call);
                continue;
            }
            *self.own.entry(at).or_default() += instructions;
            for (index, event) in self.events.iter_mut().enumerate() {
                *event.at.entry(at).or_default() += weight(index + 1).unwrap_or(0);
            }
        }
    }

    /// Gives the calls an order of their own. Callgrind writes functions in the order of a hash
    /// table, which is another one now and then, and rows follow the order in which they are seen.
    fn sort_calls(&mut self) {
        let mut calls = std::mem::take(&mut self.calls);
        calls.sort_by_key(|call| (self.place(call.from), self.place(call.to)));
        self.calls = calls;
    }

    /// The cost of each location, in the same order in every run.
    fn own_costs(&self) -> Vec<(LocationId, u64)> {
        let mut own: Vec<_> = self.own.iter().map(|(&at, &cost)| (at, cost)).collect();
        own.sort_by_key(|&(at, _)| self.place(at));
        own
    }

    /// Where a location lies: path of its image, and address.
    fn place(&self, at: LocationId) -> (Option<&str>, u64) {
        let location = &self.profile.locations[at];
        let path = |image: ImageId| &self.profile.strings[self.profile.images[image].path];
        (location.image.map(path), location.address)
    }

    /// Leaves of everything the part that was executed under a function.
    fn keep_under(&mut self, scope: &str) -> Result<(), LabError> {
        let profile = &self.profile;
        let is_under = |location| {
            let mut chain = profile.code_at(location, Inline::Expand);
            chain.any(|code| naming::is_called(&profile.code_name(code), scope))
        };
        let inside: Vec<bool> = profile.locations.ids().map(is_under).collect();
        if !self.own.keys().any(|at| inside[at.index()]) {
            return Err(LabError::NoScope {
                scope: scope.to_owned(),
                seen: "it was not executed",
            });
        }
        let parts = under(&inside, &self.body_of, &self.calls);
        let part = |at: LocationId, cost: u64| (parts[at.index()] * cost as f64).round() as u64;
        for call in &mut self.calls {
            call.count = part(call.from, call.count);
            call.instructions = part(call.from, call.instructions);
        }
        let costs = self.events.iter_mut().map(|event| &mut event.at);
        for costs in costs.chain([&mut self.own]) {
            costs.retain(|&at, cost| {
                *cost = part(at, *cost);
                *cost > 0
            });
        }
        Ok(())
    }

    fn location(&mut self, counted: &Profile, id: LocationId) -> LocationId {
        let address = counted.locations[id].address;
        let function = function_at(counted, id);
        let image = function
            .and_then(|function| counted.functions[function].image)
            .map(|image| &counted.strings[counted.images[image].path]);
        let (image, base) = match image {
            Some(path) => {
                let (image, base) = self.image(path);
                (Some(image), base)
            }
            None => (None, 0),
        };
        let address = address.wrapping_sub(base);
        if let Some(&known) = self.locations.get(&(image, address)) {
            return known;
        }
        let row = Location::unresolved(image, address, AddressKind::Adjusted);
        let new = self.profile.locations.push(row);
        self.locations.insert((image, address), new);
        let body = self.body(counted, function);
        self.body_of.push(body);
        new
    }

    fn image(&mut self, path: &str) -> (ImageId, u64) {
        if let Some(&known) = self.images.get(path) {
            return known;
        }
        let row = hotproof_profile::Image {
            path: self.profile.strings.intern(path),
            build_id: Vec::new(),
            kind: ImageKind::Elf,
        };
        // A file that cannot be read cannot name anything either, which the symbolizer tells.
        let base = lowest_address(Path::new(path)).unwrap_or(0);
        let known = (self.profile.images.push(row), base);
        self.images.insert(path.to_owned(), known);
        known
    }

    fn body(&mut self, counted: &Profile, function: Option<FunctionId>) -> usize {
        let text = |id| counted.strings[id].to_owned();
        let key = function.map_or_else(Default::default, |function| {
            let row = &counted.functions[function];
            let image = row.image.map(|image| text(counted.images[image].path));
            let name = without_depth(&counted.strings[row.name]).to_owned();
            (
                image.unwrap_or_default(),
                row.file.map(text).unwrap_or_default(),
                name,
            )
        });
        let next = self.bodies.len();
        *self.bodies.entry(key).or_insert(next)
    }
}

fn function_at(counted: &Profile, id: LocationId) -> Option<FunctionId> {
    counted
        .code_at(id, Inline::Physical)
        .find_map(|code| match code {
            hotproof_profile::Code::Function(function) => Some(function),
            _ => None,
        })
}

/// Callgrind calls a function that was entered again before it returned `name'2`.
fn without_depth(name: &str) -> &str {
    match name.rsplit_once('\'') {
        Some((plain, depth))
            if !depth.is_empty() && depth.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            plain
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, without_depth};
    use hotproof_profile::{AddressKind, Location};

    /// Functions of equal cost changed places in the tables of two runs.
    #[test]
    fn counts_have_one_order_whatever_callgrind_wrote_first() {
        let places = [(None, 7), (Some("/b"), 3), (Some("/a"), 9), (Some("/a"), 2)];
        let in_order = |order: [usize; 4]| {
            let mut code = Code::default();
            for (path, address) in order.map(|index| places[index]) {
                let image = path.map(|path| code.image(path).0);
                let row = Location::unresolved(image, address, AddressKind::Adjusted);
                let at = code.profile.locations.push(row);
                code.own.insert(at, 5);
                code.calls.push(super::CallCost {
                    from: at,
                    to: at,
                    count: 1,
                    instructions: 5,
                });
            }
            code.sort_calls();
            let place = |at| {
                let (path, address) = code.place(at);
                (path.map(str::to_owned), address)
            };
            let own = code.own_costs().into_iter().map(|(at, _)| place(at));
            let calls = code.calls.iter().map(|call| place(call.from));
            own.chain(calls).collect::<Vec<_>>()
        };
        let once = in_order([0, 1, 2, 3]);
        assert_eq!(once.len(), 8);
        for other in [[3, 2, 1, 0], [2, 0, 3, 1]] {
            assert_eq!(in_order(other), once);
        }
    }

    #[test]
    fn a_function_that_calls_itself_is_one_function() {
        for (name, plain) in [("fib'2", "fib"), ("fib", "fib"), ("f<'a>", "f<'a>")] {
            assert_eq!(without_depth(name), plain);
        }
    }
}
