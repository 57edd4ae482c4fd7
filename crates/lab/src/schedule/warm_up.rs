//! The warm-up pair, and what it fixes: the metric and the rate.

use std::time::Duration;

use hotproof_diff::{Metric, Order, Pair, Side};

use super::waiting::share_blocked;
use super::{Plan, Workload};
use crate::coin::Coin;
use crate::error::LabError;
use crate::event::Checkout;
use crate::run::{jittered, rate_for};

/// A program that blocks for more than this share of wall time is measured by wall time.
pub(super) const BLOCKED_SHARE: f64 = 0.20;

/// What the warm-up pair fixes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fixed {
    pub(crate) metric: Metric,
    pub(crate) metric_reason: Option<String>,
    pub(crate) rate_hz: u64,
    pub(crate) pair_time: Duration,
    pub(crate) peak_rss_bytes: u64,
}

/// One pair that is thrown away where there is time for others; a second one when the first seems to
/// block, because the first read its files from disk.
pub(super) fn warm_up<W: Workload>(
    workload: &mut W,
    plan: &Plan,
    coin: &mut Coin,
) -> Result<(Fixed, Pair), LabError> {
    let (mut warm, mut pair) = one_warm_up(workload, plan, coin)?;
    let has_room = workload.elapsed() + 2 * warm.pair_time <= plan.budget;
    if warm.blocked_share > BLOCKED_SHARE && has_room {
        (warm, pair) = one_warm_up(workload, plan, coin)?;
    }
    workload.limit(warm.longest);
    let (metric, metric_reason) = metric_for(plan, &warm)?;
    let fixed = Fixed {
        metric,
        metric_reason,
        rate_hz: rate_for(warm.cpu_ns, plan.kernel_limit_hz),
        pair_time: warm.pair_time,
        peak_rss_bytes: warm.peak_rss_bytes,
    };
    Ok((fixed, pair))
}

/// The primary metric, and why it is not CPU time.
fn metric_for(plan: &Plan, warm: &WarmUp) -> Result<(Metric, Option<String>), LabError> {
    let refused = |metric, reason: &str| LabError::NoMetric {
        metric,
        reason: reason.to_owned(),
    };
    if plan.times_itself
        && !matches!(
            plan.metric,
            None | Some(Metric::Reported | Metric::PeakMemory)
        )
    {
        let reason = "the workload reports times of its own, and its process may take any time; leave --metric away, or let its process be measured with --fixed-work (without --script)";
        return Err(refused("the time of the process", reason));
    }
    let asked = |metric| (metric, Some("it was asked for".to_owned()));
    let blocks = warm.blocked_share > BLOCKED_SHARE;
    Ok(match plan.metric {
        Some(Metric::PeakMemory) => asked(Metric::PeakMemory),
        Some(Metric::Instructions) if !warm.counts_instructions => {
            let reason = "this machine has no counter for them; decide by --metric cpu";
            return Err(refused("instructions", reason));
        }
        Some(Metric::Reported) if !plan.times_itself && plan.scope.is_none() => {
            let reason = "the workload is no harness that reports times; a script that prints {\"NAME\": SECONDS} needs --script";
            return Err(refused("the time that the workload reports", reason));
        }
        _ if plan.times_itself => (
            Metric::Reported,
            Some("it times its own work, whatever else its process does".to_owned()),
        ),
        _ if let Some(scope) = &plan.scope => {
            let other = match plan.metric {
                Some(Metric::WallTime) => Some("wall time under a function"),
                Some(Metric::Instructions) => Some("instructions under a function"),
                _ => None,
            };
            if let Some(other) = other {
                let reason = format!(
                    "samples know the CPU time under {scope}, and nothing else; leave away the scope, or the metric and the policy that asks for it"
                );
                return Err(refused(other, &reason));
            }
            if !warm.reports {
                return Err(LabError::NoScope {
                    scope: scope.clone(),
                    seen: "no sample of the warm-up runs has it on its stack",
                });
            }
            (
                Metric::Reported,
                Some("it was asked for as the scope".to_owned()),
            )
        }
        Some(metric) => asked(metric),
        None if blocks => (
            Metric::WallTime,
            Some(format!(
                "the program blocks of its own accord for {:.0} % of wall time",
                100.0 * warm.blocked_share
            )),
        ),
        None => (Metric::CpuTime, None),
    })
}

struct WarmUp {
    /// The smaller one of the two sides.
    blocked_share: f64,
    /// Mean of the two sides.
    cpu_ns: u64,
    longest: Duration,
    pair_time: Duration,
    /// The larger one of the two sides.
    peak_rss_bytes: u64,
    counts_instructions: bool,
    /// Whether both sides report times.
    reports: bool,
}

fn one_warm_up<W: Workload>(
    workload: &mut W,
    plan: &Plan,
    coin: &mut Coin,
) -> Result<(WarmUp, Pair), LabError> {
    let rate_hz = jittered(plan.rate_hz, coin.number());
    let mut warm = WarmUp {
        blocked_share: f64::INFINITY,
        cpu_ns: 0,
        longest: Duration::ZERO,
        pair_time: Duration::ZERO,
        peak_rss_bytes: 0,
        counts_instructions: true,
        reports: true,
    };
    let mut measure = |checkout, side| {
        let raw = workload.execute(checkout, 0, rate_hz)?;
        let metrics = workload.metrics(&raw);
        let wall = Duration::from_nanos(metrics.wall_ns);
        warm.cpu_ns += metrics.cpu_ns / 2;
        warm.longest = warm.longest.max(wall);
        warm.pair_time += wall;
        warm.peak_rss_bytes = warm.peak_rss_bytes.max(metrics.peak_rss_bytes);
        warm.counts_instructions &= metrics.instructions.is_some();
        warm.blocked_share = warm.blocked_share.min(share_blocked(workload, &raw));
        let run = workload.tally(side, raw);
        warm.reports &= !run.metrics.reported.is_empty();
        Ok(run)
    };
    let pair = Pair {
        order: Order::BaseFirst,
        base: measure(Checkout::Base, Side::Base)?,
        head: measure(Checkout::Head, Side::Head)?,
    };
    Ok((warm, pair))
}
