//! Which units are asked for which addresses.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::units::{UnitAt, UnitRange};

/// More units than this are not asked for one address; sound programs have one, or two where a
/// function was folded.
const MOST_UNITS: usize = 8;

/// No range.
const NONE: u32 = u32::MAX;

/// The addresses that one unit is asked for.
pub(crate) struct Hit {
    pub(crate) unit: UnitAt,
    /// Rows of the addresses, ascending: runs, because they may be as many as addresses.
    runs: Vec<Range<u32>>,
}

impl Hit {
    /// Rows of the addresses, ascending.
    pub(crate) fn rows(&self) -> impl Iterator<Item = u32> {
        self.runs.iter().cloned().flatten()
    }
}

/// Addresses that several units claim, by row.
#[derive(Default)]
pub(crate) struct Rivals(FxHashMap<u32, Contest>);

/// Who claims an address.
#[derive(Default)]
struct Contest {
    /// The ends of the claiming ranges, and the units.
    claims: Vec<(u64, UnitAt)>,
    /// The unit that answers so far.
    holder: Option<UnitAt>,
}

impl Rivals {
    /// Whether the answer of `unit` takes the place of what was answered before it: of several, the
    /// unit whose range ends first answers, which is the one that claims less.
    pub(crate) fn accept(&mut self, row: u32, unit: UnitAt) -> bool {
        let Some(contest) = self.0.get_mut(&row) else {
            return true;
        };
        let claims = &contest.claims;
        let claim_of = |unit| claims.iter().filter(|claim| claim.1 == unit).min();
        let is_better = match contest.holder {
            None => true,
            Some(holder) => match (claim_of(unit), claim_of(holder)) {
                (Some(claim), Some(other)) => claim < other,
                (claim, _) => claim.is_some(),
            },
        };
        if is_better {
            contest.holder = Some(unit);
        }
        is_better
    }

    /// Notes a claim; false when the unit had claimed the address before, or when there are too
    /// many claims.
    fn add(&mut self, row: u32, first: UnitRange, claim: UnitRange) -> bool {
        let contest = self.0.entry(row).or_default();
        let claims = &mut contest.claims;
        if claims.is_empty() {
            claims.push((first.end, first.unit));
        }
        let is_known = claims.iter().any(|known| known.1 == claim.unit);
        if is_known || claims.len() >= MOST_UNITS {
            return false;
        }
        claims.push((claim.end, claim.unit));
        true
    }
}

/// The units whose ranges hold addresses. `open` are the rows of the addresses in question, in the
/// order of the addresses.
pub(crate) fn find(ranges: &[UnitRange], svmas: &[u64], open: &[u32]) -> (Vec<Hit>, Rivals) {
    let mut rivals = Rivals::default();
    let mut by_unit: FxHashMap<UnitAt, Vec<Range<u32>>> = FxHashMap::default();
    // The first range that holds each address.
    let mut claims = vec![NONE; open.len()];
    for (number, range) in ranges.iter().enumerate() {
        let first = open.partition_point(|&row| svmas[row as usize] < range.begin);
        for (claim, &row) in claims[first..].iter_mut().zip(&open[first..]) {
            if svmas[row as usize] >= range.end {
                break;
            }
            let is_new = match ranges.get(*claim as usize) {
                None => {
                    *claim = number as u32;
                    true
                }
                Some(known) if known.unit == range.unit => false,
                Some(known) => rivals.add(row, *known, *range),
            };
            if is_new {
                add(by_unit.entry(range.unit).or_default(), row);
            }
        }
    }
    let hits = by_unit.into_iter().map(|(unit, mut runs)| {
        // A unit claims each row once, so runs do not overlap.
        runs.sort_unstable_by_key(|run| run.start);
        Hit { unit, runs }
    });
    let mut hits: Vec<Hit> = hits.collect();
    hits.sort_unstable_by_key(|hit| hit.unit);
    (hits, rivals)
}

/// Adds a row to runs of them.
fn add(runs: &mut Vec<Range<u32>>, row: u32) {
    match runs.last_mut() {
        Some(last) if last.end == row => last.end += 1,
        _ => runs.push(row..row + 1),
    }
}
