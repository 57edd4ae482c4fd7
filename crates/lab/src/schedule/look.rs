//! Runs of base alone: the most that can be won in the changed functions, told before head has run.

use hotproof_diff::{Ceiling, Comparison, Function, Run, Side};

use super::waiting::share_blocked;
use super::{Plan, Workload};
use crate::error::LabError;
use crate::event::{Checkout, Event, Observer};
use crate::run::rate_for;

/// Samples of base that a share is known well enough from: within two points or so.
const ENOUGH_SAMPLES: u64 = 4_000;
/// So many runs of base are looked at; the first one does not count when there are others, since
/// it read its files from disk.
const LOOKS: usize = 4;
/// Looking takes at most this share of the budget, but for two runs: only the second one is sampled
/// as often as its length asks for.
const LOOKS_SHARE: f64 = 1.0 / 20.0;

/// Runs of base alone, where functions changed: what they take is the most that can be won, and is
/// told before head has run. Returns the smallest share of wall time that one of them blocks for.
pub(super) fn look_at_base<W: Workload>(
    workload: &mut W,
    plan: &Plan,
    comparison: &mut Comparison,
) -> Result<f64, LabError> {
    let changed = |functions: &[Function]| functions.iter().any(|it| it.change.is_some());
    if !plan.samples || !changed(&workload.functions()) {
        return Ok(0.0);
    }
    let mut rate_hz = plan.rate_hz;
    let mut blocked_share = f64::INFINITY;
    let mut runs: Vec<Run> = Vec::new();
    let mut samples = 0;
    let end = plan.budget.mul_f64(LOOKS_SHARE);
    while runs.len() < LOOKS && samples < ENOUGH_SAMPLES {
        let before = workload.elapsed();
        let took = before.checked_div(runs.len() as u32).unwrap_or_default();
        if runs.len() > 1 && before + took > end {
            break;
        }
        let raw = workload.execute(Checkout::Base, 0, rate_hz)?;
        rate_hz = rate_for(workload.metrics(&raw).cpu_ns, plan.kernel_limit_hz);
        blocked_share = blocked_share.min(share_blocked(workload, &raw));
        let run = workload.tally(Side::Base, raw);
        let Some(tally) = &run.tally else {
            // Nothing is sampled here: there is no share to be had.
            return Ok(0.0);
        };
        samples += tally.samples;
        runs.push(run);
    }
    if runs.len() > 1 {
        runs.remove(0);
    }
    comparison.base_runs = runs;
    comparison.functions = workload.functions();
    Ok(blocked_share)
}

pub(super) fn tell_ceiling(comparison: &Comparison, observer: &mut dyn Observer) {
    if let Some(ceiling) = Ceiling::of(comparison) {
        observer.event(&Event::Ceiling {
            functions: &comparison.functions,
            ceiling: &ceiling,
        });
    }
}
