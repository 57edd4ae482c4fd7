//! Counts of samples, turned into times: one value a pair and side.
//!
//! t = n_f / n * T: the share of a run's samples times the exactly counted CPU time of that run.
//! The difference of the two runs of a pair then holds the sampling error and the differences
//! between runs together, which is why all errors are taken from the pairs.

use super::{LEAST_CAPTURED, TimeChange};
use crate::statistics::{
    LEVEL, PAIRS_FOR_PRIOR, PairedTest, RatioTest, SCALE_FLOOR, hodges_lehmann, median,
    prior_scale, robust_sd, values,
};
use crate::values::{
    Comparison, Estimate, EstimateUnit, Metric, Pair, Run, SharedTime, Side, Tally,
};

/// A run with its samples.
pub(super) struct SampledRun<'a> {
    pub(super) tally: &'a Tally,
    /// The time that its samples share: CPU time, wall time where waits were recorded, or what the
    /// workload reports, since a harness runs until a time is over, whatever the speed.
    pub(super) time_ns: f64,
}

impl SampledRun<'_> {
    /// The time that `count` samples of this run stand for.
    pub(super) fn time_ns(&self, count: u64) -> f64 {
        count as f64 / self.tally.samples as f64 * self.time_ns
    }
}

/// Both runs of a pair with their samples.
pub(super) struct SampledPair<'a> {
    pub(super) base: SampledRun<'a>,
    pub(super) head: SampledRun<'a>,
}

impl<'a> SampledPair<'a> {
    fn of(pair: &'a Pair, timed: Metric) -> Option<Self> {
        let (base_ns, head_ns) = values(pair, timed)?;
        Some(SampledPair {
            base: sampled_run(&pair.base, base_ns)?,
            head: sampled_run(&pair.head, head_ns)?,
        })
    }

    pub(super) fn side(&self, side: Side) -> &SampledRun<'a> {
        match side {
            Side::Base => &self.base,
            Side::Head => &self.head,
        }
    }
}

fn sampled_run(run: &Run, time_ns: f64) -> Option<SampledRun<'_>> {
    let tally = run.tally.as_ref().filter(|tally| tally.samples > 0)?;
    (time_ns > 0.0).then_some(SampledRun { tally, time_ns })
}

/// The pairs of a comparison that were sampled on both sides.
pub(crate) struct Sampled<'a> {
    pub(super) pairs: Vec<SampledPair<'a>>,
    pub(super) placebo: Vec<SampledPair<'a>>,
    /// Median time of the base runs: the unit of everything that is tested.
    pub(super) unit_ns: f64,
    /// The spread to assume where the A/A block does not tell.
    default_prior: f64,
    /// What one sample of a run stands for, as a fraction: no spread is finer.
    grain: f64,
}

impl<'a> Sampled<'a> {
    pub(crate) fn of(comparison: &'a Comparison) -> Self {
        let timed = match (comparison.metric, comparison.shared_time) {
            (Metric::Reported, _) => Metric::Reported,
            (_, SharedTime::Wall) => Metric::WallTime,
            (_, SharedTime::Cpu) => Metric::CpuTime,
        };
        let pairs: Vec<_> = comparison
            .pairs
            .iter()
            .filter_map(|pair| SampledPair::of(pair, timed))
            .collect();
        let placebo: Vec<_> = comparison
            .placebo
            .iter()
            .filter_map(|pair| SampledPair::of(pair, timed))
            .collect();
        let times: Vec<f64> = pairs.iter().map(|pair| pair.base.time_ns).collect();
        let counts: Vec<f64> = placebo
            .iter()
            .map(|pair| pair.base.tally.samples as f64)
            .collect();
        Sampled {
            unit_ns: median(&times),
            default_prior: prior_scale(timed, &comparison.placebo),
            grain: 1.0 / median(&counts),
            pairs,
            placebo,
        }
    }

    /// How many pairs were sampled on both sides.
    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// All samples of one side.
    pub(super) fn samples(&self, side: Side) -> u64 {
        let runs = self.pairs.iter().map(|pair| pair.side(side));
        runs.map(|run| run.tally.samples)
            .fold(0, u64::saturating_add)
    }

    /// Whether so many samples of one side were lost that those that are there judge nothing.
    pub(super) fn is_lossy(&self) -> bool {
        [Side::Base, Side::Head].into_iter().any(|side| {
            let runs = self.pairs.iter().map(|pair| pair.side(side));
            let lost = runs.map(|run| run.tally.lost).fold(0, u64::saturating_add) as f64;
            let captured = self.samples(side) as f64;
            captured < LEAST_CAPTURED * (captured + lost)
        })
    }

    /// Times of both sides for a count of samples, as fractions of the unit.
    pub(super) fn series(&self, count: impl Fn(&Tally) -> u64) -> Series {
        let time = |run: &SampledRun<'_>| run.time_ns(count(run.tally)) / self.unit_ns;
        let values = |pairs: &[SampledPair<'_>]| {
            let times = pairs.iter().map(|p| (time(&p.base), time(&p.head)));
            times.collect()
        };
        Series::new(values(&self.pairs), &values(&self.placebo), self)
    }

    /// The whole time of both sides, as fractions of the unit.
    pub(super) fn whole(&self) -> Series {
        self.series(|tally| tally.samples)
    }
}

/// Times of both sides, pair by pair, as fractions of a typical base run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pairs: Vec<(f64, f64)>,
    prior: f64,
    unit_ns: f64,
}

impl Series {
    pub(super) fn new(
        pairs: Vec<(f64, f64)>,
        placebo: &[(f64, f64)],
        sampled: &Sampled<'_>,
    ) -> Self {
        let differences: Vec<f64> = placebo.iter().map(|(base, head)| head - base).collect();
        let prior = if differences.len() < PAIRS_FOR_PRIOR {
            sampled.default_prior
        } else {
            robust_sd(&differences).max(sampled.grain)
        };
        Series {
            pairs,
            prior: prior.max(SCALE_FLOOR),
            unit_ns: sampled.unit_ns,
        }
    }

    /// The test of head - base.
    pub(super) fn test(&self) -> PairedTest {
        PairedTest::of(
            self.prior,
            self.pairs.iter().map(|(base, head)| head - base),
        )
    }

    /// head - base, nanoseconds, with its interval.
    pub(super) fn delta(&self) -> Estimate {
        let estimate = self.test().interval(LEVEL, EstimateUnit::Nanoseconds);
        scaled(estimate, self.unit_ns)
    }

    /// Base and head, their difference and their ratio.
    ///
    /// Base and head are placed around the centre of the pairs' means, so that their difference
    /// is the estimated one; neither can be negative, because no pair's difference is larger than
    /// twice its mean.
    pub(super) fn change(&self) -> TimeChange {
        let delta = self.delta();
        let means: Vec<f64> = self.pairs.iter().map(|(b, h)| (b + h) / 2.0).collect();
        let middle = hodges_lehmann(&means) * self.unit_ns;
        let base_ns = (middle - delta.value / 2.0).max(0.0);
        let head_ns = (middle + delta.value / 2.0).max(0.0);
        let speedup = (base_ns > 0.0 && head_ns > 0.0).then(|| {
            let ratio = self.ratio(head_ns / base_ns);
            ratio.inverse()
        });
        TimeChange {
            base_ns,
            head_ns,
            delta,
            speedup,
        }
    }

    fn ratio(&self, value: f64) -> Estimate {
        let mut test = RatioTest::new(self.prior);
        for &(base, head) in &self.pairs {
            test.push(base, head);
        }
        test.interval(value, LEVEL)
    }
}

fn scaled(estimate: Estimate, factor: f64) -> Estimate {
    Estimate {
        value: estimate.value * factor,
        low: estimate.low * factor,
        high: estimate.high * factor,
        ..estimate
    }
}
