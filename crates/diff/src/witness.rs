//! What instruction counts say, beside pairs or alone. They are exact, and no time: on 4 of 25
//! pairs of published versions their sign or their size was wrong.

use crate::conclusion::Outcome;
use crate::values::{Comparison, InstructionCount, Rule, Witness};

/// Whether the instructions say what the pairs say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Agreement {
    /// Fewer where head is faster, more where it is slower, about as many where there is no effect.
    Agrees,
    /// The other way round, or about as many where the time moved, or others where it did not.
    Disagrees,
    /// The pairs did not decide, or there are none.
    NoOpinion,
}

/// What follows from a [`Witness`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Testimony {
    /// head / base - 1: negative is fewer instructions. 0 when base executed none.
    pub change: f64,
    /// Whether that is fewer, more, or neither beyond the margin.
    pub direction: Instructions,
    /// Beside the outcome of the pairs.
    pub agreement: Agreement,
    /// head - base, of the whole.
    pub delta: i64,
    /// head - base, of changed functions and what they call.
    pub explained: i64,
    /// The share of the change that lies in changed functions and in what they call; `None` when
    /// there is no change.
    pub explained_share: Option<f64>,
    /// The share of base, or of head where that is larger, under the changed functions.
    pub changed_share: f64,
}

/// Which way the number of instructions moved, beyond the margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Instructions {
    /// Head executes fewer.
    Fewer,
    /// Head executes more.
    More,
    /// Neither.
    Same,
}

/// Beyond a quarter of the change that lies elsewhere it is not explained, as for times.
const UNEXPLAINED: f64 = 0.25;

impl Testimony {
    /// What the comparison's witness says beside `outcome`; `None` without one.
    pub(crate) fn of(comparison: &Comparison, outcome: Outcome) -> Option<Testimony> {
        let witness = comparison.witness.as_ref()?;
        let (base, head) = (&witness.base, &witness.head);
        let change = match base.instructions {
            0 => 0.0,
            all => head.instructions as f64 / all as f64 - 1.0,
        };
        let difference = |of: fn(&InstructionCount) -> u64| {
            of(head)
                .cast_signed()
                .saturating_sub(of(base).cast_signed())
        };
        let delta = difference(|count| count.instructions);
        let explained = difference(InstructionCount::under_changed);
        let share = |count: &InstructionCount| {
            count.under_changed() as f64 / count.instructions.max(1) as f64
        };
        let direction = direction(change, &comparison.rule);
        Some(Testimony {
            change,
            direction,
            agreement: agreement(direction, change, outcome, witness, &comparison.rule),
            delta,
            explained,
            explained_share: (delta != 0).then(|| explained as f64 / delta as f64),
            changed_share: share(base).max(share(head)),
        })
    }

    /// Whether what lies outside the changed functions is a small part of the change, or far
    /// below what matters.
    pub fn is_explained(&self, rule: &Rule) -> bool {
        let elsewhere = (self.delta - self.explained).unsigned_abs() as f64;
        let delta = self.delta.unsigned_abs() as f64;
        let tolerated = match self.change {
            0.0 => 0.0,
            change => delta / change.abs() * rule.minimum_effect / 2.0,
        };
        elsewhere <= tolerated.max(UNEXPLAINED * delta)
    }
}

impl InstructionCount {
    /// Instructions in changed functions and in what they call.
    pub fn under_changed(&self) -> u64 {
        self.changed_own.saturating_add(self.changed_below)
    }
}

fn direction(change: f64, rule: &Rule) -> Instructions {
    if change < -rule.margin {
        Instructions::Fewer
    } else if change > rule.margin {
        Instructions::More
    } else {
        Instructions::Same
    }
}

fn agreement(
    direction: Instructions,
    change: f64,
    outcome: Outcome,
    witness: &Witness,
    rule: &Rule,
) -> Agreement {
    let agrees = match outcome {
        Outcome::Faster => direction == Instructions::Fewer,
        Outcome::Slower => direction == Instructions::More,
        Outcome::NoEffect => change.abs() <= rule.minimum_effect,
        Outcome::Undecided => return Agreement::NoOpinion,
    };
    match agrees {
        _ if witness.alone => Agreement::NoOpinion,
        true => Agreement::Agrees,
        false => Agreement::Disagrees,
    }
}
