//! Lines to functions, their costs and their calls.

use std::borrow::Cow;

use hotproof_profile::{
    AddressKind, Function, FunctionId, LocationId, Profile, Sample, Source, StackEnd, StackId,
    StringId, ThreadId, Unit, Weight,
};
use rustc_hash::FxHashMap;

use super::lines::{self, Line};
use super::names::{unescape, weight_of};
use super::{CALLS, CREATOR, UNKNOWN};
use crate::import::{
    Builder, Dropped, Format, FramePlace, ImportError, Limits, LocationKey, Place,
};

/// Whether the first lines are a header of callgrind's, or name events and positions.
pub(crate) fn looks_like(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let Some(first) = lines.next() else {
        return false;
    };
    let is_header = |line: &str| {
        let keys = ["version", "creator", "events", "positions", "pid", "cmd"];
        matches!(lines::parse(line), Some(Line::Header(key, _)) if keys.contains(&key))
    };
    first.starts_with("# callgrind format")
        || is_header(first)
        || (first.starts_with('#')
            && lines
                .find(|line| !line.starts_with('#'))
                .is_some_and(is_header))
}

/// Reads a profile; also says what it cannot carry.
///
/// # Errors
/// [`ImportError::Damaged`] names the line.
pub(crate) fn read(bytes: &[u8], limits: Limits) -> Result<(Profile, Vec<String>), ImportError> {
    let text = String::from_utf8_lossy(bytes);
    let mut builder = Builder::new(limits, Vec::new());
    let thread = builder.nameless_thread()?;
    let mut reader = Reader {
        builder,
        dropped: Dropped::default(),
        thread,
        scales: Vec::new(),
        positions: Positions::default(),
        escapes: Escapes::None,
        names: std::array::from_fn(|_| FxHashMap::default()),
        object: None,
        file: None,
        line_file: None,
        function: None,
        called: Called::default(),
        calls: None,
        at: Position::default(),
        number: 0,
    };
    if let Cow::Owned(_) = text {
        reader
            .dropped
            .note("bytes that are not UTF-8 were replaced by U+FFFD");
    }
    for line in text.lines() {
        reader.number += 1;
        reader.line(line)?;
    }
    if reader.calls.is_some() {
        return Err(reader.damaged("the file ends before the cost of a call"));
    }
    if reader.scales.is_empty() {
        return Err(reader.damaged("the file names no events"));
    }
    reader.dropped.note(
        "callgrind has costs and calls, not stacks: callers and callees are known one level deep, and each call is balanced by a negative sample of its callee",
    );
    Ok((reader.builder.finish()?, reader.dropped.into_sentences()))
}

#[derive(Clone, Copy)]
enum Escapes {
    Ours,
    None,
}

/// The tables of names, each with numbers of its own.
#[derive(Clone, Copy)]
enum Names {
    Objects,
    Files,
    Functions,
}

/// Which positions a line begins with.
#[derive(Clone, Copy)]
struct Positions {
    address: bool,
    line: bool,
}

impl Default for Positions {
    fn default() -> Self {
        Positions {
            address: false,
            line: true,
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Position {
    address: u64,
    line: u64,
}

/// The callee of the next call; what is `None` is the caller's.
#[derive(Clone, Copy, Default)]
struct Called {
    object: Option<StringId>,
    file: Option<StringId>,
    function: Option<StringId>,
}

/// A call whose cost comes in the next line.
#[derive(Clone, Copy)]
struct Calls {
    count: i64,
    callee: FunctionId,
    target: Position,
}

struct Reader {
    builder: Builder,
    dropped: Dropped,
    thread: ThreadId,
    /// How many of our units a cost counts, by event.
    scales: Vec<i64>,
    positions: Positions,
    escapes: Escapes,
    names: [FxHashMap<u64, StringId>; 3],
    object: Option<StringId>,
    /// The file of the function.
    file: Option<StringId>,
    /// The file of its lines, when code of another is inlined.
    line_file: Option<StringId>,
    function: Option<FunctionId>,
    called: Called,
    calls: Option<Calls>,
    /// The last position, which relative ones start from.
    at: Position,
    /// Of the current line, counted from 1.
    number: u64,
}

impl Reader {
    fn damaged(&self, what: impl Into<String>) -> ImportError {
        ImportError::Damaged {
            format: Format::Callgrind,
            place: Place::Line(self.number),
            what: what.into(),
        }
    }

    fn line(&mut self, line: &str) -> Result<(), ImportError> {
        let Some(parsed) = lines::parse(line) else {
            return Err(self.damaged("the line is neither a name, a call, a cost nor a header"));
        };
        if self.calls.is_some() && !matches!(parsed, Line::Cost(_) | Line::Nothing) {
            return Err(self.damaged("expected the cost of the call above"));
        }
        match parsed {
            Line::Nothing => Ok(()),
            Line::Header(key, value) => self.header(key, value),
            Line::Name(key, number, name) => self.name(key, number, name),
            Line::Calls(count, target) => self.call(count, target),
            Line::Jump => {
                self.dropped.note("a jump was left out");
                Ok(())
            }
            Line::Cost(line) => self.cost(line),
        }
    }

    fn header(&mut self, key: &str, value: &str) -> Result<(), ImportError> {
        match key {
            "creator" if value == CREATOR => self.escapes = Escapes::Ours,
            "positions" => {
                let has = |name| value.split_whitespace().any(|word| word == name);
                self.positions = Positions {
                    address: has("instr"),
                    line: has("line"),
                };
                if value
                    .split_whitespace()
                    .any(|word| !["instr", "line"].contains(&word))
                {
                    return Err(self.damaged("positions other than instr and line are not known"));
                }
            }
            "events" => self.events(value)?,
            "cmd" => {
                let command = self.text(value)?;
                let command = self.builder.profile.strings[command].to_owned();
                self.builder.profile.meta.command = vec![command];
            }
            // What was not simulated is said by a name without a value: `I1 cache:`.
            "desc" if !value.is_empty() && !value.ends_with(':') => {
                self.builder.budget.take(value.len())?;
                self.builder.profile.meta.notes.push(value.to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    /// A file of several parts names its events again; they have to be the same.
    fn events(&mut self, value: &str) -> Result<(), ImportError> {
        const MOST_EVENTS: usize = 256;
        let events: Vec<(Weight, i64)> = value.split_whitespace().map(weight_of).collect();
        if events.is_empty() || events.len() > MOST_EVENTS {
            return Err(self.damaged(format!(
                "{} events, expected 1 to {MOST_EVENTS}",
                events.len()
            )));
        }
        let scales = events.iter().map(|event| event.1).collect();
        let mut weights: Vec<Weight> = events.into_iter().map(|event| event.0).collect();
        weights.push(Weight {
            name: CALLS.to_owned(),
            unit: Unit::Count,
        });
        let profile = &mut self.builder.profile;
        if profile.weights.is_empty() {
            // Ours are what samples are weighed by; which event was sampled the file does not say.
            if matches!(self.escapes, Escapes::None) {
                let names = weights.iter().map(|weight| weight.name.as_str());
                profile.meta.event = names.take(weights.len() - 1).collect::<Vec<_>>().join(", ");
            }
            profile.samples.weights = vec![Vec::new(); weights.len()];
            profile.weights = weights;
            self.scales = scales;
        } else if profile.weights != weights {
            return Err(self.damaged("a part has other events than the parts before it"));
        }
        Ok(())
    }

    fn name(&mut self, key: &str, number: Option<u64>, name: &str) -> Result<(), ImportError> {
        let table = match key {
            "ob" | "cob" => Names::Objects,
            "fn" | "cfn" | "jfn" => Names::Functions,
            _ => Names::Files,
        };
        let text = self.resolve(table, number, name)?;
        match key {
            "ob" => self.object = Some(text),
            "fl" => (self.file, self.line_file) = (Some(text), None),
            "fi" | "fe" => self.line_file = Some(text),
            "fn" => {
                let function = self.function_of(self.object, self.file, text)?;
                (self.function, self.line_file) = (Some(function), None);
            }
            "cob" => self.called.object = Some(text),
            "cfi" | "cfl" => self.called.file = Some(text),
            "cfn" => self.called.function = Some(text),
            _ => {}
        }
        Ok(())
    }

    fn resolve(
        &mut self,
        table: Names,
        number: Option<u64>,
        name: &str,
    ) -> Result<StringId, ImportError> {
        let Some(number) = number else {
            return self.text(name);
        };
        if name.is_empty() {
            let known = self.names[table as usize].get(&number).copied();
            return known
                .ok_or_else(|| self.damaged(format!("name ({number}) was not given before")));
        }
        let text = self.text(name)?;
        self.builder.budget.take(size_of::<(u64, StringId)>())?;
        self.names[table as usize].insert(number, text);
        Ok(text)
    }

    fn text(&mut self, name: &str) -> Result<StringId, ImportError> {
        match self.escapes {
            Escapes::Ours => self.builder.text(&unescape(name)),
            Escapes::None => self.builder.text(name),
        }
    }

    /// `None` for a text that says that the name is not known.
    fn known(&self, text: Option<StringId>) -> Option<StringId> {
        text.filter(|&text| {
            let text = &self.builder.profile.strings[text];
            !text.is_empty() && text != UNKNOWN
        })
    }

    fn function_of(
        &mut self,
        object: Option<StringId>,
        file: Option<StringId>,
        name: StringId,
    ) -> Result<FunctionId, ImportError> {
        let object = self
            .known(object)
            .map(|text| self.builder.profile.strings[text].to_owned());
        let image = object.map(|path| self.builder.image(&path)).transpose()?;
        let row = Function {
            name,
            linkage_name: self.builder.text("")?,
            file: self.known(file),
            line: None,
            image,
            source: Source::Import,
        };
        self.builder.function_row(row)
    }

    fn call(&mut self, count: &str, target: &str) -> Result<(), ImportError> {
        let called = std::mem::take(&mut self.called);
        let Some(name) = called.function else {
            return Err(self.damaged("a call without a cfn= line before it"));
        };
        let Some(count) = lines::number(count).filter(|&count| count >= 0) else {
            return Err(self.damaged("the number of calls is none"));
        };
        let mut words = target.split_whitespace();
        let target = self.position(&mut words).unwrap_or_default();
        let object = called.object.or(self.object);
        // A call that names no file is into the file of the lines around it, not of the function.
        let file = called.file.or(self.line_file).or(self.file);
        let callee = self.function_of(object, file, name)?;
        self.calls = Some(Calls {
            count,
            callee,
            target,
        });
        Ok(())
    }

    fn position<'l>(&self, words: &mut impl Iterator<Item = &'l str>) -> Option<Position> {
        let mut at = Position::default();
        if self.positions.address {
            at.address = lines::position(words.next()?, self.at.address)?;
        }
        if self.positions.line {
            at.line = lines::position(words.next()?, self.at.line)?;
        }
        Some(at)
    }

    fn cost(&mut self, line: &str) -> Result<(), ImportError> {
        let Some(function) = self.function else {
            return Err(self.damaged("a cost before the first fn= line"));
        };
        let mut words = line.split_whitespace();
        let Some(at) = self.position(&mut words) else {
            return Err(self.damaged("the line begins with no position"));
        };
        self.at = at;
        let mut costs = Vec::with_capacity(self.scales.len() + 1);
        for &scale in &self.scales {
            let word = words.next().unwrap_or("0");
            let cost = lines::number(word).and_then(|cost| cost.checked_mul(scale));
            costs.push(cost.ok_or_else(|| {
                self.damaged(format!("the cost {word:?} is no number of 64 bits"))
            })?);
        }
        if self.scales.is_empty() || words.next().is_some() {
            return Err(self.damaged("the line has more costs than there are events"));
        }
        let location = self.location(function, self.line_file, at)?;
        match self.calls.take() {
            None => self.add_own(location, costs),
            Some(calls) if calls.callee == function => {
                self.dropped
                    .note("a call of a function by itself was left out: recursion counts once");
                Ok(())
            }
            Some(calls) => self.add_call(location, calls, costs),
        }
    }

    fn location(
        &mut self,
        function: FunctionId,
        file: Option<StringId>,
        at: Position,
    ) -> Result<LocationId, ImportError> {
        let own = self.builder.profile.functions[function].file;
        let line = u32::try_from(at.line).ok();
        if line.is_none() {
            self.dropped.note("a line above 2^32 was left out");
        }
        let place = FramePlace {
            line: line.filter(|&line| line > 0),
            column: None,
            file: self.known(file).filter(|&file| Some(file) != own),
        };
        self.builder.location(LocationKey {
            image: None,
            address: at.address,
            kind: AddressKind::Adjusted,
            frames: vec![(function, place)],
        })
    }

    fn add_own(&mut self, location: LocationId, mut costs: Vec<i64>) -> Result<(), ImportError> {
        let stack = self.builder.stack(None, location)?;
        costs.push(0);
        self.sample(stack, &costs)
    }

    fn add_call(
        &mut self,
        location: LocationId,
        calls: Calls,
        mut costs: Vec<i64>,
    ) -> Result<(), ImportError> {
        let callee = self.location(calls.callee, None, calls.target)?;
        let caller = self.builder.stack(None, location)?;
        let stack = self.builder.stack(Some(caller), callee)?;
        costs.push(calls.count);
        self.sample(stack, &costs)?;
        let alone = self.builder.stack(None, callee)?;
        costs.pop();
        for cost in &mut costs {
            // The smallest number has no opposite; `Profile::validate` refuses it in the call.
            *cost = cost.wrapping_neg();
        }
        costs.push(0);
        self.sample(alone, &costs)
    }

    fn sample(&mut self, stack: StackId, weights: &[i64]) -> Result<(), ImportError> {
        self.builder.sample(&Sample {
            thread: self.thread,
            time_ns: 0,
            stack: Some(stack),
            weights,
            cpu: None,
            end: StackEnd::Unknown,
            labels: None,
        })
    }
}
