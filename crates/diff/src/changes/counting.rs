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
struct Edge {
    spot: usize,
    body: usize,
    instructions: u64,
}

/// Who calls whom.
struct Graph {
    spots: Vec<Spot>,
    edges: Vec<Edge>,
    bodies: usize,
    /// Calls by the row whose code begins at the place that is called.
    calls: FxHashMap<FunctionRow, u64>,
}

impl Graph {
    fn of(counts: &Counts<'_>, counter: &mut Counter<'_, '_, '_>) -> Graph {
        let mut graph = Graph {
            spots: Vec::new(),
            edges: Vec::new(),
            bodies: counts.bodies.iter().max().map_or(0, |most| most + 1),
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
                graph.edges.push(Edge {
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
        let mut all = vec![0u64; self.bodies];
        for edge in &self.edges {
            all[edge.body] += edge.instructions;
        }
        // By body, the share of its cost that is spent under the places inside.
        let mut share = vec![0f64; self.bodies];
        for _ in 0..ROUNDS {
            let mut sums = vec![0f64; self.bodies];
            for edge in &self.edges {
                let from = if is_inside[edge.spot] {
                    1.0
                } else {
                    share[self.spots[edge.spot].body]
                };
                sums[edge.body] += from * edge.instructions as f64;
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
        let spots = self.spots.iter().zip(is_inside);
        let parts = spots.map(|(spot, inside)| match inside {
            true => spot.instructions as f64,
            false => share[spot.body] * spot.instructions as f64,
        });
        parts.sum::<f64>().round() as u64
    }
}
