//! `hotproof report --tree`: the calls of a profile from the root, as an indented table; and the
//! same of one function's callers or callees.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use hotproof_profile::{Code, Inline, Profile, StackId, at_least_none};

use crate::calls::{Calls, NodeId};
use crate::census::{Census, EntryId, Measure, share};
use crate::confirm::{Match, Target, find};
use crate::functions::FunctionsError;
use crate::grid::{Cell, Column, Grid};
use crate::numbers::{count, counted, percent};
use crate::places::Places;
use crate::prose::paragraph;
use crate::style::{FAINT, PLAIN, STRONG, paint};

/// What to show of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Show the so many heaviest calls alone; `None` shows all.
    pub top: Option<usize>,
    /// The stacks of the profile were turned round, so that they begin where threads were.
    pub reversed: bool,
    /// At most so many functions below each other; `None` shows all.
    pub depth: Option<usize>,
    /// Calls below this share of the whole, in thousandths of a per cent, are left out.
    pub min_share_millipercent: u64,
    /// The weight that shares are taken of, where the profile was reduced to a part of it; `None`
    /// takes all samples of the profile.
    pub whole: Option<i64>,
    /// Columns of the terminal.
    pub width: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            top: None,
            reversed: false,
            depth: None,
            min_share_millipercent: 500,
            whole: None,
            width: 100,
        }
    }
}

/// Why there is no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Nothing can be weighed.
    #[error(transparent)]
    Functions(#[from] FunctionsError),
    /// There are no samples.
    #[error("the profile has no samples left to show; take less away, or record a longer run")]
    Empty,
    /// Stacks of one call each are no tree.
    #[error(
        "the profile knows calls but no stacks (callgrind), or is a difference, so there is no tree; --callers FUNC and --callees FUNC show calls one level deep"
    )]
    NoStacks,
    /// No function has the name.
    #[error("no function `{pattern}` was seen; {nearest}")]
    Unknown {
        /// What was asked for.
        pattern: String,
        /// The names that are most like it, in words.
        nearest: String,
    },
    /// Several functions have the name.
    #[error("`{pattern}` means several functions; say which: {choices}")]
    Several {
        /// What was asked for.
        pattern: String,
        /// What to say instead.
        choices: String,
    },
}

/// The weight of all samples, which shares are taken of; 0 when samples have no weight.
pub fn whole(profile: &Profile) -> i64 {
    Measure::of(profile).map_or(0, |measure| profile.total_weight(measure.weight))
}

/// The one function that a pattern means.
pub(crate) fn target(profile: &Profile, pattern: &str) -> Result<Target, TreeError> {
    let clean = |text: &String| crate::names::clean(text);
    match find(&[profile], pattern) {
        Match::One(target) => Ok(target),
        Match::None { nearest } => Err(TreeError::Unknown {
            pattern: crate::names::clean(pattern),
            nearest: match nearest.is_empty() {
                true => "nothing in the profile is like it".to_owned(),
                false => format!(
                    "most like it: {}",
                    nearest.iter().map(clean).collect::<Vec<_>>().join(", ")
                ),
            },
        }),
        Match::Several(list) => {
            let choices = list.iter().map(|candidate| clean(&candidate.pattern));
            Err(TreeError::Several {
                pattern: crate::names::clean(pattern),
                choices: choices.collect::<Vec<_>>().join(", "),
            })
        }
    }
}

/// One function below those that lead to it.
#[derive(Debug, Default)]
struct Figures {
    total: i64,
    own: i64,
    samples: i64,
}

/// All calls from the root.
///
/// # Errors
/// When there is no sample or no weight, and when the samples are no stacks.
pub fn tree(profile: &Profile, options: &Options) -> Result<String, TreeError> {
    let weights = Measure::of(profile).map(|measure| &profile.samples.weights[measure.weight]);
    if weights.is_some_and(|weights| weights.iter().any(|&weight| weight < 0)) {
        return Err(TreeError::NoStacks);
    }
    let what = match options.reversed {
        false => "calls from the root; ",
        true => {
            "callers below what they call, for --reverse; self: of stacks that begin in the function; "
        }
    };
    draw(profile, options, what, |_, path| {
        Some(path.into_iter().rev().collect())
    })
}

/// Who calls a function: it, its callers below it, their callers below them.
///
/// # Errors
/// As [`tree`], and when the pattern means no function or several.
pub fn callers(profile: &Profile, pattern: &str, options: &Options) -> Result<String, TreeError> {
    let target = target(profile, pattern)?;
    let what =
        "callers of the first line, each below what it calls; self: of stacks that begin there; ";
    // The outermost call counts, so that a recursive function is not its own caller.
    draw(profile, options, what, |is_target, path| {
        let at = path.iter().rposition(|&entry| is_target(&target, entry))?;
        Some(path[at..].to_vec())
    })
}

/// What a function calls: it, its callees below it, and so on.
///
/// # Errors
/// As [`callers`].
pub fn callees(profile: &Profile, pattern: &str, options: &Options) -> Result<String, TreeError> {
    let target = target(profile, pattern)?;
    let what = "what the first line calls; ";
    draw(profile, options, what, |is_target, path| {
        let at = path.iter().rposition(|&entry| is_target(&target, entry))?;
        Some(path[..=at].iter().rev().copied().collect())
    })
}

/// Draws the tree of the paths that `choose` makes of each stack, which it gets leaf first.
fn draw(
    profile: &Profile,
    options: &Options,
    what: &str,
    choose: impl Fn(&dyn Fn(&Target, EntryId) -> bool, Vec<EntryId>) -> Option<Vec<EntryId>>,
) -> Result<String, TreeError> {
    if profile.samples.is_empty() {
        return Err(TreeError::Empty);
    }
    let measure = Measure::of(profile).ok_or(FunctionsError::NoWeight {
        samples: profile.samples.len(),
    })?;
    let census = Census::of(profile, &[], Inline::Expand);
    let is_target = |target: &Target, id: EntryId| target.is(profile, census.entries[id].code);
    let mut calls = Calls::<Figures>::new();
    let stacks = profile.stack_weights(measure.weight);
    let all: i64 = stacks.iter().map(|stack| stack.weight).sum();
    for stack in &stacks {
        let path = |stack: Option<StackId>| census.path(profile, stack).collect();
        if let Some(chosen) = choose(&is_target, path(stack.stack)) {
            let leaf = calls.add(chosen, |figures| {
                figures.total += stack.weight;
                figures.samples += stack.samples;
            });
            calls.value_mut(leaf).own += stack.weight;
        }
    }
    let whole = options.whole.unwrap_or(all);
    let mut drawing = Drawing {
        profile,
        census: &census,
        calls: &calls,
        options,
        whole,
        places: Places::of([profile]),
        grid: Grid::new(
            vec![
                Column::figures("total"),
                Column::figures("self"),
                Column::figures("samples").optional(2),
                Column::names("function", 24),
                Column::names("", 12).optional(1),
            ],
            2,
        ),
        kept: None,
        left_out: 0,
    };
    drawing.kept = options.top.map(|top| drawing.heaviest(top));
    drawing.rows();
    let mut out = crate::functions::header(profile, options.width);
    out.push('\n');
    out.push_str(&drawing.grid.render(options.width));
    out.push('\n');
    let legend = format!(
        "{what}a function on its caller's column is the only one it calls here; total: with what is below; shares of {}",
        counted(profile.sample_count(), "sample")
    );
    for line in crate::prose::wrap(&legend, options.width.saturating_sub(2)) {
        out.push_str(&format!("  {}\n", paint(FAINT, &line)));
    }
    if drawing.left_out > 0 {
        let text = format!(
            "{} ({})",
            counted(drawing.left_out, "call"),
            match options.top {
                Some(_) => "--top, --min-percent and --depth show more",
                None => "--min-percent and --depth show more",
            }
        );
        out.push_str(&paragraph("  left out", 12, &text, options.width));
    }
    Ok(out)
}

struct Drawing<'a> {
    profile: &'a Profile,
    census: &'a Census,
    calls: &'a Calls<Figures>,
    options: &'a Options,
    whole: i64,
    places: Places,
    grid: Grid,
    /// The calls that are shown, where not all are.
    kept: Option<BTreeSet<NodeId>>,
    left_out: u64,
}

impl Drawing<'_> {
    /// Adds all rows, callers first, heaviest first. Goes as deep as stacks are, which is bounded
    /// by an explicit list of what is to be done and not by the stack of this program.
    fn rows(&mut self) {
        let mut open = vec![(Calls::<Figures>::ROOT, None, 0, 0, true)];
        while let Some((node, entry, depth, indent, only)) = open.pop() {
            if let Some(entry) = entry {
                self.row(node, entry, indent);
            }
            let shown = self.shown(node, depth);
            // One callee alone stays in its caller's column, so that deep stacks stay readable,
            // unless the caller has siblings, for whose sibling it would be taken.
            let alone = only && shown.len() == 1 && self.calls.value(node).own == 0;
            let next = if alone || entry.is_none() {
                indent
            } else {
                indent + 1
            };
            let only = shown.len() == 1;
            for (entry, below) in shown.into_iter().rev() {
                open.push((below, Some(entry), depth + 1, next, only));
            }
        }
    }

    /// The so many heaviest calls. None is heavier than its caller, so they hang together.
    fn heaviest(&self, top: usize) -> BTreeSet<NodeId> {
        let mut kept = BTreeSet::default();
        let mut order = 0_u64;
        let mut open = BinaryHeap::from([(i64::MAX, Reverse(order), Calls::<Figures>::ROOT, 0)]);
        while let Some((_, _, node, depth)) = open.pop() {
            if node != Calls::<Figures>::ROOT {
                if kept.len() >= top {
                    break;
                }
                kept.insert(node);
            }
            for (_, below) in self.choose(node, depth) {
                order += 1;
                let total = self.calls.value(below).total;
                open.push((total, Reverse(order), below, depth + 1));
            }
        }
        kept
    }

    /// The calls of a node that are shown, heaviest first; the others are counted.
    fn shown(&mut self, node: NodeId, depth: usize) -> Vec<(EntryId, NodeId)> {
        let shown = self.choose(node, depth);
        self.left_out += (self.calls.children(node).count() - shown.len()) as u64;
        shown
    }

    /// The calls of a node that are deep and heavy enough, heaviest first.
    fn choose(&self, node: NodeId, depth: usize) -> Vec<(EntryId, NodeId)> {
        if self.options.depth.is_some_and(|most| depth >= most) {
            return Vec::new();
        }
        let least = self.options.min_share_millipercent as f64 / 100_000.0 * self.whole as f64;
        let total = |node: NodeId| self.calls.value(node).total;
        let is_kept = |node| self.kept.as_ref().is_none_or(|kept| kept.contains(&node));
        let mut shown: Vec<(EntryId, NodeId)> = self
            .calls
            .children(node)
            .filter(|&(_, below)| total(below) as f64 >= least && is_kept(below))
            .collect();
        let name = |entry: EntryId| &self.census.entries[entry].name;
        shown.sort_by(|&(a, one), &(b, two)| {
            let by_weight = total(two).cmp(&total(one));
            by_weight.then_with(|| name(a).cmp(name(b))).then(a.cmp(&b))
        });
        shown
    }

    fn row(&mut self, node: NodeId, entry: EntryId, indent: usize) {
        let node = self.calls.value(node);
        const HEAVY: f64 = 0.05;
        /// Deeper rows are not moved any further, for their names would have no room.
        const DEEPEST: usize = 20;
        let entry = &self.census.entries[entry];
        let style = if share(node.own, self.whole) >= HEAVY {
            STRONG
        } else if entry.library {
            FAINT
        } else {
            PLAIN
        };
        let place = match entry.code {
            Code::Function(_) => self.places.place(self.profile, entry.code),
            Code::Unnamed(_) | Code::Unmapped => String::new(),
        };
        let name = format!("{}{}", "  ".repeat(indent.min(DEEPEST)), entry.name);
        self.grid.row(vec![
            Cell::from(percent(share(node.total, self.whole))),
            Cell::from(percent(share(node.own, self.whole))),
            Cell::from(count(at_least_none(node.samples))),
            Cell::styled(&name, style),
            Cell::styled(&place, FAINT),
        ]);
    }
}
