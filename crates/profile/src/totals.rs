//! Self and total weight of each function.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::code::{Code, Inline};
use crate::id::{Id, LocationId, StackId};
use crate::profile::Profile;
use crate::rows::{Unit, Weight};

/// The weight of all samples that have the same stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackWeight {
    /// The stack; `None` for samples that have none.
    pub stack: Option<StackId>,
    /// Sum of the chosen weight.
    pub weight: i64,
    /// How many samples; below zero where rows take away more than others add.
    pub samples: i64,
}

impl StackWeight {
    /// Whether any sample or weight is left of it.
    pub fn is_seen(&self) -> bool {
        self.samples != 0 || self.weight != 0
    }
}

/// What one function holds of a profile. All weights are in the unit of the chosen column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeTotal {
    /// Whose.
    pub code: Code,
    /// Weight of samples that have it anywhere on the stack; recursion counts once.
    pub total: i64,
    /// Weight of samples whose leaf it is.
    pub self_weight: i64,
    /// Weight of samples whose leaf it is when library code inlined into it counts as its own.
    pub self_with_library: i64,
    /// Samples that have it anywhere on the stack, none where more are taken away than added.
    pub samples: u64,
}

impl Profile {
    /// How many samples each row of the sample table stands for: one in a recording; in a format
    /// that adds equal samples up, what the weight `samples` says, and one at least. A row below
    /// zero takes away what another row counts once more: callgrind's calls, the base of a
    /// difference. Sums keep the sign; [`at_least_none`] ends them. A row of time off the CPU is
    /// no sample.
    pub fn row_samples(&self) -> impl Fn(usize) -> i64 + '_ {
        let is_count = |row: &Weight| row.name == "samples" && row.unit == Unit::Count;
        let column = self.weights.iter().position(is_count);
        let least = i64::from(!crate::transform::holds_off_cpu(self));
        let counts = column.and_then(|column| self.samples.weights.get(column));
        move |row| {
            let count = counts.and_then(|counts| counts.get(row)).copied();
            match count {
                None => 1,
                Some(0) => least,
                Some(count) => count,
            }
        }
    }

    /// How many samples the profile holds; see [`Profile::row_samples`].
    pub fn sample_count(&self) -> u64 {
        let samples = self.row_samples();
        let sum = (0..self.samples.len())
            .map(samples)
            .fold(0, i64::saturating_add);
        at_least_none(sum)
    }

    /// Adds up samples by stack, in the order of the stacks' ids, those without a stack first.
    ///
    /// # Panics
    /// Panics when the profile has no weight column `weight`.
    pub fn stack_weights(&self, weight: usize) -> Vec<StackWeight> {
        let mut sums = vec![(0i64, 0i64, false); self.stacks.len() + 1];
        let column = self
            .samples
            .weights
            .get(weight)
            .map_or(&[][..], Vec::as_slice);
        assert!(
            weight < self.weights.len(),
            "the profile has no weight column {weight}"
        );
        let row_samples = self.row_samples();
        for (row, (stack, &value)) in self.samples.stack.iter().zip(column).enumerate() {
            let slot = &mut sums[stack.map_or(0, |id| id.index() + 1)];
            slot.0 += value;
            slot.1 = slot.1.saturating_add(row_samples(row));
            slot.2 = true;
        }
        let ids = std::iter::once(None).chain(self.stacks.ids().map(Some));
        ids.zip(sums)
            .filter(|&(_, (_, _, seen))| seen)
            .map(|(stack, (weight, samples, _))| StackWeight {
                stack,
                weight,
                samples,
            })
            .collect()
    }

    /// The sum of a weight over all samples.
    pub fn total_weight(&self, weight: usize) -> i64 {
        self.samples
            .weights
            .get(weight)
            .map_or(0, |column| column.iter().sum())
    }

    /// The code that a leaf's time belongs to when inlined library code counts as its caller's:
    /// the innermost frame that is no library code, or else the outermost.
    pub fn own_code_at(&self, location: LocationId) -> Code {
        let user = |&code: &Code| match code {
            Code::Function(id) => !self.is_library(id),
            Code::Unnamed(_) | Code::Unmapped => true,
        };
        let mut chain = self.code_at(location, Inline::Expand);
        let first = chain.find(user);
        first.unwrap_or_else(|| {
            let outermost = self.code_at(location, Inline::Expand).next_back();
            outermost.unwrap_or(Code::Unmapped)
        })
    }

    /// Self and total weight of all code that was seen, heaviest total first; ties are broken by
    /// self weight, then by name.
    ///
    /// # Panics
    /// Panics when the profile has no weight column `weight`.
    pub fn code_totals(&self, weight: usize, inline: Inline) -> Vec<CodeTotal> {
        totals_of_stacks(self, &self.stack_weights(weight), inline)
    }
}

/// A sum of [`Profile::row_samples`] as a number of samples: none when it is below zero.
pub fn at_least_none(sum: i64) -> u64 {
    u64::try_from(sum).unwrap_or(0)
}

/// As [`Profile::code_totals`], of the given stacks alone.
pub fn totals_of_stacks(
    profile: &Profile,
    stacks: &[StackWeight],
    inline: Inline,
) -> Vec<CodeTotal> {
    let mut rows: FxHashMap<Code, CodeTotal> = FxHashMap::default();
    let mut samples: FxHashMap<Code, i64> = FxHashMap::default();
    let mut seen = FxHashSet::default();
    for entry in stacks {
        let mut add = |code: Code, change: &dyn Fn(&mut CodeTotal)| {
            let empty = CodeTotal {
                code,
                total: 0,
                self_weight: 0,
                self_with_library: 0,
                samples: 0,
            };
            change(rows.entry(code).or_insert(empty));
        };
        seen.clear();
        let mut leaf = true;
        for location in profile.path(entry.stack) {
            for code in profile.code_at(location, inline) {
                if leaf {
                    add(code, &|row| row.self_weight += entry.weight);
                    let own = match inline {
                        Inline::Expand => profile.own_code_at(location),
                        Inline::Physical => code,
                    };
                    add(own, &|row| row.self_with_library += entry.weight);
                    leaf = false;
                }
                if seen.insert(code) {
                    add(code, &|row| row.total += entry.weight);
                    *samples.entry(code).or_default() += entry.samples;
                }
            }
        }
        if leaf {
            add(Code::Unmapped, &|row| {
                row.total += entry.weight;
                row.self_weight += entry.weight;
                row.self_with_library += entry.weight;
            });
            *samples.entry(Code::Unmapped).or_default() += entry.samples;
        }
    }
    let mut list: Vec<(String, CodeTotal)> = rows
        .into_values()
        .map(|mut row| {
            row.samples = at_least_none(samples.get(&row.code).copied().unwrap_or(0));
            (profile.code_name(row.code), row)
        })
        .collect();
    list.sort_by(|(name_a, a), (name_b, b)| {
        (b.total, b.self_weight)
            .cmp(&(a.total, a.self_weight))
            .then_with(|| name_a.cmp(name_b).then(a.code.cmp(&b.code)))
    });
    list.into_iter().map(|(_, row)| row).collect()
}
