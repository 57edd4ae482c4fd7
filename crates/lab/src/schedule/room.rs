//! Whether the time that is left is enough for a verdict.

use std::time::Duration;

use hotproof_diff::statistics::FEWEST_PAIRS;

use super::{FEWEST_PLACEBO_PAIRS, Fixed, PLACEBO_PAIRS, Placebo, Plan};

/// How many pairs the budget has room for after the warm-up, A/A pairs among them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pairs: f64,
}

impl Room {
    pub(super) fn left(plan: &Plan, fixed: &Fixed, elapsed: Duration) -> Room {
        let left = plan.budget.saturating_sub(elapsed);
        let pairs = left.as_secs_f64() / fixed.pair_time.as_secs_f64().max(1e-9);
        Room {
            pairs: pairs.floor(),
        }
    }

    /// Whether a verdict can come of it. Where none can, the A/A block would only take time from
    /// the pairs, which show at least what they show.
    pub(super) fn decides(self) -> bool {
        self.pairs >= FEWEST_PAIRS as f64
    }

    pub(super) fn warning(self, plan: &Plan, fixed: &Fixed) -> Option<String> {
        let placebo = match plan.placebo {
            Placebo::Wanted => FEWEST_PLACEBO_PAIRS,
            Placebo::LeftOut => 0,
        };
        if self.pairs >= (FEWEST_PAIRS + placebo) as f64 {
            return None;
        }
        let plural = if self.pairs == 1.0 { "" } else { "s" };
        let left_out = if self.decides() || plan.placebo == Placebo::LeftOut {
            ""
        } else {
            ", so two builds of base are not compared first"
        };
        let first = if left_out.is_empty() && plan.placebo == Placebo::Wanted {
            format!(" after {FEWEST_PLACEBO_PAIRS} of base with itself")
        } else {
            String::new()
        };
        let kept = match plan.placebo {
            Placebo::Wanted => {
                "; what is measured now is kept, and `hotproof verdict --resume` adds to it"
            }
            Placebo::LeftOut => "",
        };
        Some(format!(
            "the budget of {} s has room for about {:.0} pair{plural}, and a verdict takes {FEWEST_PAIRS} at least{first}{left_out}: give it --budget {} or more, or the workload less work per run{kept}",
            crate::error::seconds(plan.budget),
            self.pairs,
            enough_s(fixed.pair_time)
        ))
    }
}

/// A budget that a verdict can come of, in whole seconds: the A/A block, the fewest pairs and the
/// warm-up pair, and a tenth for pairs that take longer than that one did.
fn enough_s(pair_time: Duration) -> u64 {
    let pairs = (PLACEBO_PAIRS + FEWEST_PAIRS + 1) as f64;
    (pair_time.as_secs_f64() * pairs * 1.1).ceil() as u64
}
