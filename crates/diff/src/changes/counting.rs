//! Counts the instructions of a run by row of the table, from exact costs of addresses and calls.

use hotproof_profile::{Id, LocationId, Profile};
use rustc_hash::FxHashMap;

use super::joiner::Joiner;
use super::tally::Counter;
use crate::values::{
    CountedEvent, CountedFunction, CountedLine, FunctionRow, InstructionCount, Side,
};

/// What a tool like callgrind counted of one run.
pub struct Counts<'p> {
    /// The symbolized addresses; its samples do not matter.
    pub profile: &'p Profile,
    /// By location, the function that it belongs to as the linker sees it: numbers from 0.
    pub bodies: &'p [usize],
    /// Instructions of each location, each once.
    pub own: &'p [(LocationId, u64)],
    /// Calls between bodies.
    pub calls: &'p [CallCost],
    /// What was counted beside instructions.
    pub events: Vec<CountedEvent>,
}

/// Calls from one place of one body to another body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallCost {
    /// Where the call stands.
    pub from: LocationId,
    /// The place that is called.
    pub to: LocationId,
    /// How often.
    pub count: u64,
    /// Instructions of the callee and of what it called meanwhile.
    pub instructions: u64,
}

/// By location, the part of its instructions that was executed in the locations that are `inside`
/// and in what those call: one inside, nothing in what is never called from there, and of what other
/// code calls too the part that the cost of the calls stands for, which is exact for all of it
/// together unless such functions call one another in a circle.
///
/// `bodies` and `calls` are those of [`Counts`].
pub fn under(inside: &[bool], bodies: &[usize], calls: &[CallCost]) -> Vec<f64> {
    let edges = calls.iter().filter_map(|call| {
        let (from, to) = (bodies[call.from.index()], bodies[call.to.index()]);
        (from != to).then_some(Edge {
            is_inside: inside[call.from.index()],
            from,
            to,
            instructions: call.instructions,
        })
    });
    let share = shares(&edges.collect::<Vec<_>>(), bodies_of(bodies));
    let parts = inside.iter().zip(bodies);
    let part = |(&inside, &body): (&bool, &usize)| if inside { 1.0 } else { share[body] };
    parts.map(part).collect()
}

/// So many of the functions that the diff does not touch, those with the most own instructions,
/// have their total worked out.
const TOTALS: usize = 64;
/// Cycles of calls are gone through at most so often: what is left then is far below a millionth.
const ROUNDS: usize = 200;
const PRECISE: f64 = 1e-12;

impl Joiner<'_> {
    /// Counts one run of `side` by row, as [`Joiner::tally`] does with samples.
    ///
    /// There are no stacks: who called whom is known one level deep. So what several functions
    /// call is shared out among them by the cost of their calls, which is exact wherever a
    /// function is called by changed code alone or by other code alone.
    pub fn count(&mut self, side: Side, counts: Counts<'_>) -> InstructionCount {
        let mut counter = Counter::new(self, side, counts.profile);
        let mut count = InstructionCount::default();
        let mut lines = std::collections::BTreeMap::<(FunctionRow, u32), u64>::new();
        for &(location, instructions) in counts.own {
            let place = counter.place(location);
            count.instructions += instructions;
            counter.leaf(&place, instructions);
            if let Some(row) = place.changed {
                count.changed_own += instructions;
                let line = line_of(&counter, &place, row, location);
                *lines.entry((row, line)).or_default() += instructions;
            }
        }
        let graph = Graph::of(&counts, &mut counter);
        let changed = graph.under(|place| place.changed);
        count.changed_below = changed.saturating_sub(count.changed_own);
        let own = counter.own_by_row();
        count.functions = functions(&own, &graph, &counter);
        count.lines = lines
            .into_iter()
            .map(|((function, line), instructions)| CountedLine {
                function,
                line,
                instructions,
            })
            .collect();
        count.events = counts.events;
        count
    }
}

/// The line of a location that belongs to a row: that of its innermost frame of that row.
fn line_of(
    counter: &Counter<'_, '_, '_>,
    place: &super::tally::Place,
    row: FunctionRow,
    location: LocationId,
) -> u32 {
    let at = counter.chain(place).iter().position(|&other| other == row);
    let profile = counter.profile();
    let frame = at.and_then(|at| profile.locations[location].frame_ids().nth(at));
    frame
        .and_then(|frame| profile.frames[frame].line)
        .unwrap_or(0)
}

fn functions(
    own: &[(FunctionRow, u64)],
    graph: &Graph,
    counter: &Counter<'_, '_, '_>,
) -> Vec<CountedFunction> {
    let mut largest: Vec<(FunctionRow, u64)> = own.to_vec();
    largest.sort_by_key(|&(row, instructions)| (std::cmp::Reverse(instructions), row));
    let mut wanted: Vec<FunctionRow> = largest.iter().take(TOTALS).map(|it| it.0).collect();
    wanted.sort_unstable();
    let calls = graph.calls_by_row();
    let row = |&(function, own): &(FunctionRow, u64)| {
        let is_wanted = counter.is_changed(function) || wanted.binary_search(&function).is_ok();
        CountedFunction {
            function,
            own,
            total: is_wanted
                .then(|| graph.under(|place| place.chain.contains(&function).then_some(function))),
            calls: calls.get(&function).copied().unwrap_or(0),
        }
    };
    own.iter().map(row).collect()
}

/// A location, as far as the graph needs it.
struct Spot {
    body: usize,
    chain: Vec<FunctionRow>,
    changed: Option<FunctionRow>,
    instructions: u64,
}

/// Calls from a spot to a body.
struct SpotCall {
    spot: usize,
    body: usize,
    instructions: u64,
}

/// Calls from a place in one body to another body.
struct Edge {
    /// Whether the place is one of those that are asked about.
    is_inside: bool,
    from: usize,
    to: usize,
    instructions: u64,
}

fn bodies_of(bodies: &[usize]) -> usize {
    bodies.iter().max().map_or(0, |most| most + 1)
}

/// By body, the share of the calls' cost that is spent under the places inside.
fn shares(edges: &[Edge], bodies: usize) -> Vec<f64> {
    let mut all = vec![0u64; bodies];
    for edge in edges {
        all[edge.to] += edge.instructions;
    }
    let mut share = vec![0f64; bodies];
    for _ in 0..ROUNDS {
        let mut sums = vec![0f64; bodies];
        for edge in edges {
            let from = if edge.is_inside {
                1.0
            } else {
                share[edge.from]
            };
            sums[edge.to] += from * edge.instructions as f64;
        }
        let mut moved = 0f64;
        for (body, sum) in sums.into_iter().enumerate() {
            let new = if all[body] == 0 {
                0.0
            } else {
                sum / all[body] as f64
            };
            moved = moved.max((new - share[body]).abs());
            share[body] = new;
        }
        if moved < PRECISE {
            break;
        }
    }
    share
}

/// Who calls whom.
struct Graph {
    spots: Vec<Spot>,
    edges: Vec<SpotCall>,
    bodies: usize,
    /// Calls by the row whose code begins at the place that is called.
    calls: FxHashMap<FunctionRow, u64>,
}

impl Graph {
    fn of(counts: &Counts<'_>, counter: &mut Counter<'_, '_, '_>) -> Graph {
        let mut graph = Graph {
            spots: Vec::new(),
            edges: Vec::new(),
            bodies: bodies_of(counts.bodies),
            calls: FxHashMap::default(),
        };
        let mut at = vec![None; counts.profile.locations.len()];
        for &(location, instructions) in counts.own {
            let spot = graph.spot(counts, counter, &mut at, location);
            graph.spots[spot].instructions += instructions;
        }
        for call in counts.calls {
            let body = counts.bodies[call.to.index()];
            // The body that is entered is the outermost function at the place that is called.
            let place = counter.place(call.to);
            if let Some(&row) = counter.chain(&place).last() {
                *graph.calls.entry(row).or_default() += call.count;
            }
            if counts.bodies[call.from.index()] != body {
                let spot = graph.spot(counts, counter, &mut at, call.from);
                graph.edges.push(SpotCall {
                    spot,
                    body,
                    instructions: call.instructions,
                });
            }
        }
        graph
    }

    fn spot(
        &mut self,
        counts: &Counts<'_>,
        counter: &mut Counter<'_, '_, '_>,
        at: &mut [Option<usize>],
        location: LocationId,
    ) -> usize {
        *at[location.index()].get_or_insert_with(|| {
            let place = counter.place(location);
            self.spots.push(Spot {
                body: counts.bodies[location.index()],
                chain: counter.chain(&place).to_vec(),
                changed: place.changed,
                instructions: 0,
            });
            self.spots.len() - 1
        })
    }

    fn calls_by_row(&self) -> &FxHashMap<FunctionRow, u64> {
        &self.calls
    }

    /// Instructions in places that are inside, and in what those call.
    fn under(&self, inside: impl Fn(&Spot) -> Option<FunctionRow>) -> u64 {
        let is_inside: Vec<bool> = self.spots.iter().map(|it| inside(it).is_some()).collect();
        let edges = self.edges.iter().map(|call| Edge {
            is_inside: is_inside[call.spot],
            from: self.spots[call.spot].body,
            to: call.body,
            instructions: call.instructions,
        });
        let share = shares(&edges.collect::<Vec<_>>(), self.bodies);
        let spots = self.spots.iter().zip(is_inside);
        let parts = spots.map(|(spot, inside)| match inside {
            true => spot.instructions as f64,
            false => share[spot.body] * spot.instructions as f64,
        });
        parts.sum::<f64>().round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Body 0 calls 1, which is asked about, and 2; both call 3, which calls 4. Body 1 calls itself by
    /// way of 5.
    #[test]
    fn what_is_under_a_place_is_told_from_what_is_not() {
        let at = LocationId::from_index;
        let call = |from: usize, to: usize, instructions: u64| CallCost {
            from: at(from),
            to: at(to),
            count: 1,
            instructions,
        };
        let calls = [
            call(0, 1, 500),
            call(0, 2, 900),
            call(1, 3, 300),
            call(2, 3, 100),
            call(3, 4, 40),
            call(1, 5, 70),
            call(5, 1, 60),
        ];
        let bodies = [0, 1, 2, 3, 4, 5];
        let inside = [false, true, false, false, false, false];
        let parts = under(&inside, &bodies, &calls);
        assert_eq!(parts, [0.0, 1.0, 0.0, 0.75, 0.75, 1.0]);
        // Two places of one body, one of them inside: the other one is not.
        let parts = under(&[true, false], &[0, 0], &[]);
        assert_eq!(parts, [1.0, 0.0]);
    }
}
