//! Functions and calls to lines.

use std::io::{BufWriter, Write};

use hotproof_profile::Profile;
use rustc_hash::FxHashMap;

use super::CREATOR;
use super::graph::{Call, Graph, Node, Position};
use super::names::{escape, event_of};
use crate::WriteError;
use crate::folded::Options;
use crate::viewer::{self, Fact};

/// Writes a callgrind profile, sorted by object, file, function and position; equal profiles give
/// equal bytes. Returns what the format could not carry, in words, such as `stacks`.
///
/// # Errors
/// [`WriteError::Negative`] when a function or a call has a negative weight, which the format
/// cannot say, [`WriteError::Invalid`], and those of `out`.
pub fn write(profile: &Profile, out: impl Write) -> Result<Vec<String>, WriteError> {
    profile.validate()?;
    let graph = Graph::of(profile);
    check_signs(&graph)?;
    let mut lines = Lines {
        out: BufWriter::new(out),
        has_addresses: has_addresses(&graph),
        graph: &graph,
        numbers: Default::default(),
    };
    lines.header(profile)?;
    for (function, node) in graph.nodes.iter().enumerate() {
        let is_empty = node.calls.is_empty() && node.own.values().flatten().all(|&cost| cost == 0);
        if !is_empty {
            lines.function(function, node)?;
        }
    }
    let totals = (0..graph.events).map(|weight| profile.total_weight(weight));
    let mut totals: Vec<i64> = totals.collect();
    if totals.is_empty() {
        // A table in memory is far shorter than 2^63 rows.
        totals.push(profile.samples.len() as i64);
    }
    writeln!(lines.out, "\ntotals:{}", Costs(&totals))?;
    lines.out.flush()?;
    let carried = [
        Fact::Command,
        Fact::Weights,
        Fact::Addresses,
        Fact::Images,
        Fact::Files,
        Fact::LineNumbers,
    ];
    Ok(viewer::losses(profile, &Options::default(), &carried))
}

fn check_signs(graph: &Graph) -> Result<(), WriteError> {
    for (node, (_, _, name)) in graph.nodes.iter().zip(&graph.functions) {
        let calls = node.calls.values().flat_map(|call| &call.weights);
        let negative = node
            .own
            .values()
            .flatten()
            .chain(calls)
            .find(|weight| **weight < 0);
        if let Some(&weight) = negative {
            let name = name.clone();
            let format = "callgrind";
            return Err(WriteError::Negative {
                format,
                weight,
                name,
            });
        }
    }
    Ok(())
}

fn has_addresses(graph: &Graph) -> bool {
    let own = graph.nodes.iter().flat_map(|node| node.own.keys());
    let calls = graph.nodes.iter().flat_map(|node| node.calls.keys());
    let mut all = own.chain(calls.map(|(position, _)| position));
    all.any(|position| position.address != 0)
}

/// Costs with a space before each.
struct Costs<'a>(&'a [i64]);

impl std::fmt::Display for Costs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|cost| write!(f, " {cost}"))
    }
}

/// The numbers of names, each table with its own, in the order in which they are written.
#[derive(Default)]
struct Numbers<'g> {
    objects: FxHashMap<&'g str, usize>,
    files: FxHashMap<&'g str, usize>,
    functions: FxHashMap<&'g str, usize>,
}

struct Lines<'g, W: Write> {
    out: BufWriter<W>,
    has_addresses: bool,
    graph: &'g Graph,
    numbers: Numbers<'g>,
}

/// Writes `key=(number) name`, the name only once.
fn put_name<'g>(
    out: &mut impl Write,
    numbers: &mut FxHashMap<&'g str, usize>,
    key: &str,
    name: &'g str,
) -> Result<(), WriteError> {
    let next = numbers.len() + 1;
    let number = *numbers.entry(name).or_insert(next);
    if number == next {
        writeln!(out, "{key}=({number}) {}", escape(name))?;
    } else {
        writeln!(out, "{key}=({number})")?;
    }
    Ok(())
}

impl<'g, W: Write> Lines<'g, W> {
    fn header(&mut self, profile: &Profile) -> Result<(), WriteError> {
        let events = profile.weights[..self.graph.events].iter();
        let mut events: Vec<String> = events.map(event_of).collect();
        if events.is_empty() {
            events.push("samples".to_owned());
        }
        let positions = if self.has_addresses {
            "instr line"
        } else {
            "line"
        };
        let command = escape(&profile.meta.command.join(" "));
        writeln!(
            self.out,
            "# callgrind format\nversion: 1\ncreator: {CREATOR}"
        )?;
        if !profile.meta.command.is_empty() {
            writeln!(self.out, "cmd: {command}")?;
        }
        writeln!(
            self.out,
            "positions: {positions}\nevents: {}",
            events.join(" ")
        )?;
        Ok(())
    }

    fn function(&mut self, function: usize, node: &'g Node) -> Result<(), WriteError> {
        let (object, file, name) = &self.graph.functions[function];
        writeln!(self.out)?;
        put_name(&mut self.out, &mut self.numbers.objects, "ob", object)?;
        put_name(&mut self.out, &mut self.numbers.files, "fl", file)?;
        put_name(&mut self.out, &mut self.numbers.functions, "fn", name)?;
        let mut current = None;
        for (at, weights) in &node.own {
            if weights.iter().any(|&weight| weight != 0) {
                self.enter(&mut current, at.file, file)?;
                self.cost(*at, weights)?;
            }
        }
        for ((at, callee), call) in &node.calls {
            self.enter(&mut current, at.file, file)?;
            self.call(*at, *callee, call)?;
        }
        Ok(())
    }

    /// Says that the next lines are of another file than the lines before.
    fn enter(
        &mut self,
        current: &mut Option<usize>,
        next: Option<usize>,
        own: &'g str,
    ) -> Result<(), WriteError> {
        if *current == next {
            return Ok(());
        }
        *current = next;
        let (key, file) = next.map_or(("fe", own), |file| ("fi", self.graph.files[file].as_str()));
        put_name(&mut self.out, &mut self.numbers.files, key, file)
    }

    fn call(&mut self, at: Position, callee: usize, call: &Call) -> Result<(), WriteError> {
        let (object, file, name) = &self.graph.functions[callee];
        put_name(&mut self.out, &mut self.numbers.objects, "cob", object)?;
        put_name(&mut self.out, &mut self.numbers.files, "cfi", file)?;
        put_name(&mut self.out, &mut self.numbers.functions, "cfn", name)?;
        // Readers take a call that is made no times for a cost of the caller.
        write!(self.out, "calls={} ", call.count.max(1))?;
        self.position(call.target)?;
        writeln!(self.out)?;
        self.cost(at, &call.weights)
    }

    fn cost(&mut self, at: Position, weights: &[i64]) -> Result<(), WriteError> {
        self.position(at)?;
        writeln!(self.out, "{}", Costs(weights))?;
        Ok(())
    }

    fn position(&mut self, at: Position) -> Result<(), WriteError> {
        if self.has_addresses {
            write!(self.out, "{:#x} ", at.address)?;
        }
        write!(self.out, "{}", at.line)?;
        Ok(())
    }
}
