//! The order of runs: a warm-up pair that fixes how is measured, the A/A block, then pairs until
//! the rule, the user's maximum or the budget ends it.

mod look;
mod room;
mod waiting;
mod warm_up;

use std::time::Duration;

use hotproof_diff::{
    Comparison, Estimate, Function, Metric, Metrics, Order, Pair, Run, Sequence, Side, Step,
    Verdict, conclude, log_ratio, next_step,
};

use crate::coin::Coin;
use crate::error::LabError;
use crate::event::{Checkout, Event, Observer};
use crate::facts;
use crate::rounds::Rounds;
use crate::run::jittered;

use self::look::{look_at_base, tell_ceiling};
use self::room::Room;
pub(crate) use self::waiting::{Threads, blocked};
pub(crate) use self::warm_up::Fixed;
use self::warm_up::{BLOCKED_SHARE, warm_up};

/// Pairs of the A/A block.
const PLACEBO_PAIRS: usize = 10;
/// Fewer A/A pairs say nothing about the noise.
const FEWEST_PLACEBO_PAIRS: usize = 5;
/// The A/A block ends when it has used this share of the budget.
const PLACEBO_SHARE: f64 = 1.0 / 3.0;

/// What a schedule runs; processes in earnest, invented figures in tests.
pub(crate) trait Workload {
    /// What one run leaves, before it is counted up.
    type Raw;

    /// Runs one of its layouts once; 0 is the program as it was linked.
    fn execute(
        &mut self,
        checkout: Checkout,
        layout: u32,
        rate_hz: u64,
    ) -> Result<Self::Raw, LabError>;

    /// What was measured.
    fn metrics<'a>(&self, raw: &'a Self::Raw) -> &'a Metrics;

    /// Counts up what was sampled, as a run of layout 0; called between pairs, so that it does not
    /// separate the two runs of one.
    fn tally(&mut self, side: Side, raw: Self::Raw) -> Run;

    /// The rows of functions that runs were counted up for so far.
    fn functions(&self) -> Vec<Function>;

    /// Warm-up and A/A block are over: the runs from here on count.
    fn count_from_here(&mut self) {}

    /// Lets runs tell what they wait for from here on, where that is permitted; whether that is new.
    fn tell_waits(&mut self) -> bool {
        false
    }

    /// Time that the run spent neither computing nor waiting for a CPU, as far as can be told.
    fn blocked(&self, raw: &Self::Raw) -> Duration;

    /// No run may take much longer than the longest of the warm-up.
    fn limit(&mut self, longest: Duration);

    /// Since the first run.
    fn elapsed(&self) -> Duration;
}

/// What the user set.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Of the warm-up pair.
    pub(crate) rate_hz: u64,
    /// The kernel's ceiling.
    pub(crate) kernel_limit_hz: Option<u64>,
    /// For all runs.
    pub(crate) budget: Duration,
    /// The metric that was asked for.
    pub(crate) metric: Option<Metric>,
    /// Whether the workload reports times of its own.
    pub(crate) times_itself: bool,
    /// The function under which time counts.
    pub(crate) scope: Option<String>,
    /// A gain of so much peak memory is enough, however small a fraction that is.
    pub(crate) gain_bytes: Option<u64>,
    /// Whether base is compared with its copy first.
    pub(crate) placebo: Placebo,
    /// Whether runs are to be sampled.
    pub(crate) samples: bool,
    /// Links of each ref that take turns; below 2, one.
    pub(crate) layouts: u32,
}

/// The A/A block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placebo {
    /// Two builds of base are compared first.
    Wanted,
    /// There is only one program of base, and its noise shows in the pairs.
    LeftOut,
}

/// What is to be done, and to be checked, once the warm-up pair has shown how is measured.
pub(crate) type WarmedUp<'f, W> =
    dyn FnMut(&W, &Fixed, &mut Comparison, &mut dyn Observer) -> Result<(), LabError> + 'f;

/// Runs everything and fills in `comparison`: metric, A/A pairs, pairs, warnings. The observer
/// hears of each pair; `warmed_up` is called once the warm-up pair is done, and its error ends all
/// before any pair. There are no counted pairs when the A/A block shows that the machine is too noisy
/// for any verdict.
pub(crate) fn run<W: Workload>(
    workload: &mut W,
    plan: Plan,
    comparison: &mut Comparison,
    observer: &mut dyn Observer,
    warmed_up: &mut WarmedUp<'_, W>,
) -> Result<(), LabError> {
    // Pairs that go on where others ended have a coin of their own, which follows from the seed.
    let earlier = comparison.pairs.len() as u64;
    let mut coin = Coin::new(comparison.seed.wrapping_add(earlier));
    let mut ceiling_waits = false;
    if comparison.base_runs.is_empty() && comparison.pairs.is_empty() {
        if plan.metric == Some(Metric::WallTime) {
            workload.tell_waits();
        }
        let blocked_share = look_at_base(workload, &plan, comparison)?;
        // Which time decides is fixed by the warm-up, and so is of what time the ceiling is a share.
        ceiling_waits = plan.metric.is_none() && blocked_share > BLOCKED_SHARE;
        if !ceiling_waits {
            tell_ceiling(comparison, observer);
        }
    }
    let (fixed, warm) = warm_up(workload, &plan, &mut coin)?;
    if let (Metric::PeakMemory, Some(bytes)) = (fixed.metric, plan.gain_bytes) {
        // Fixed before the first counted pair, like the metric.
        let share = bytes as f64 / fixed.peak_rss_bytes.max(1) as f64;
        comparison.rule.gain = comparison.rule.gain.min(share);
    }
    if fixed.metric == Metric::WallTime && workload.tell_waits() && comparison.pairs.is_empty() {
        // What was seen of base so far is time on the CPU, which does not decide.
        comparison.base_runs.clear();
        look_at_base(workload, &plan, comparison)?;
        ceiling_waits = true;
    }
    if ceiling_waits {
        tell_ceiling(comparison, observer);
    }
    comparison.metric = fixed.metric;
    comparison.metric_reason.clone_from(&fixed.metric_reason);
    let room = Room::left(&plan, &fixed, workload.elapsed());
    if comparison.pairs.is_empty() {
        warned(comparison, observer, room.warning(&plan, &fixed));
    }
    warmed_up(workload, &fixed, comparison, observer)?;
    let wanted = plan.placebo;
    let is_over = workload.elapsed() + fixed.pair_time > plan.budget;
    if is_over && wanted == Placebo::LeftOut {
        // A quick look keeps to its time, and there is nothing but this pair to be shown.
        comparison.pairs.push(warm);
        comparison.budget_used_up = true;
        return Ok(());
    }
    let rounds = Rounds::new(plan.layouts, comparison.seed.wrapping_add(earlier));
    let mut measuring = Measuring {
        rounds,
        workload,
        plan,
        fixed,
        coin,
    };
    if wanted == Placebo::Wanted && room.decides() && comparison.placebo.is_empty() {
        measuring.placebo(comparison, observer)?;
    }
    if is_hopeless(comparison) {
        return Ok(());
    }
    measuring.pairs(comparison, observer)
}

fn warned(comparison: &mut Comparison, observer: &mut dyn Observer, warning: Option<String>) {
    if let Some(text) = warning {
        observer.event(&Event::Notice(&text));
        comparison.warnings.push(text);
    }
}

struct Measuring<'a, W: Workload> {
    workload: &'a mut W,
    plan: Plan,
    fixed: Fixed,
    coin: Coin,
    rounds: Rounds,
}

impl<W: Workload> Measuring<'_, W> {
    /// One pair of base and `other`, in the order of the coin.
    fn pair(&mut self, other: Checkout) -> Result<Pair, LabError> {
        let order = self.coin.toss();
        let rate_hz = jittered(self.fixed.rate_hz, self.coin.number());
        let other_side = match other {
            Checkout::Head => Side::Head,
            Checkout::Base | Checkout::Copy => Side::Base,
        };
        // Two builds of the same are compared as they are: their difference is the machine's.
        let (of_base, of_other) = match other {
            Checkout::Head => self.rounds.next(),
            Checkout::Base | Checkout::Copy => (0, 0),
        };
        let mut run = |checkout, layout| self.workload.execute(checkout, layout, rate_hz);
        let (base, head) = match order {
            Order::BaseFirst => {
                let base = run(Checkout::Base, of_base)?;
                (base, run(other, of_other)?)
            }
            Order::HeadFirst => {
                let head = run(other, of_other)?;
                (run(Checkout::Base, of_base)?, head)
            }
        };
        Ok(Pair {
            order,
            base: Run {
                layout: of_base,
                ..self.workload.tally(Side::Base, base)
            },
            head: Run {
                layout: of_other,
                ..self.workload.tally(other_side, head)
            },
        })
    }

    /// The A/A block: base against its second copy.
    fn placebo(
        &mut self,
        comparison: &mut Comparison,
        observer: &mut dyn Observer,
    ) -> Result<(), LabError> {
        let end = self.plan.budget.mul_f64(PLACEBO_SHARE);
        for done in 1..=PLACEBO_PAIRS {
            if self.workload.elapsed() + self.fixed.pair_time > end {
                warned(comparison, observer, Some(short_placebo(done - 1)));
                break;
            }
            comparison.placebo.push(self.pair(Checkout::Copy)?);
            observer.event(&Event::Placebo {
                done,
                of: PLACEBO_PAIRS,
                elapsed: self.workload.elapsed(),
            });
        }
        Ok(())
    }

    fn pairs(
        &mut self,
        comparison: &mut Comparison,
        observer: &mut dyn Observer,
    ) -> Result<(), LabError> {
        let (rule, metric) = (comparison.rule, comparison.metric);
        let mut sequence = Sequence::of(comparison);
        self.workload.count_from_here();
        let mut longest = self.fixed.pair_time;
        while next_step(comparison) == Step::Continue {
            // The first pair is measured whatever the budget says: nothing is worse than no answer.
            let before = self.workload.elapsed();
            if before + longest > self.plan.budget && !comparison.pairs.is_empty() {
                comparison.budget_used_up = true;
                break;
            }
            let pair = self.pair(Checkout::Head)?;
            longest = longest.max(self.workload.elapsed().saturating_sub(before));
            if let Some(x) = log_ratio(&pair, metric) {
                sequence.push(x);
            }
            comparison.pairs.push(pair);
            observer.event(&Event::Pair {
                done: comparison.pairs.len(),
                at_most: rule.max_pairs,
                elapsed: self.workload.elapsed(),
                interim: bounded(sequence.interval()),
            });
        }
        Ok(())
    }
}

fn bounded(estimate: Estimate) -> Option<Estimate> {
    (estimate.low.is_finite() && estimate.high.is_finite()).then_some(estimate)
}

fn short_placebo(done: usize) -> String {
    format!(
        "only {done} of {PLACEBO_PAIRS} pairs of two builds of base fit into a third of the budget, so the noise of the machine is known less well"
    )
}

/// Whether two builds of the same code differ so much from pair to pair that the verdict is a
/// refusal already; the rule for that is the verdict's own.
fn is_hopeless(comparison: &Comparison) -> bool {
    conclude(comparison).verdict == Verdict::Refused
}

/// The kernel's own ceiling for the rate, as [`Plan::kernel_limit_hz`] wants it: one below, since
/// at the limit itself the kernel throttles.
pub(crate) fn kernel_limit_hz() -> Option<u64> {
    facts::max_sample_rate_hz().map(|limit| limit.saturating_sub(1).max(1))
}

#[cfg(test)]
mod tests;
