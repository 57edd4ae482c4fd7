//! The interval of a share of samples.

use hotproof_diff::statistics::LEVEL;
use hotproof_diff::{Estimate, share_interval};

/// Fewer samples than this decide nothing, whatever they say.
pub(super) const FEWEST_SAMPLES: u64 = 100;

/// What one run says of a function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RunShare {
    /// Share of the run's weight, a fraction.
    pub(super) share: f64,
    /// How many samples the run has.
    pub(super) samples: u64,
}

/// The share over all runs with its interval: from how far the runs lie apart when there are
/// several, widened beyond the binomial by what runs were measured to differ by when there is one.
pub(super) fn estimate(runs: &[RunShare]) -> Estimate {
    let counts: Vec<(u64, u64)> = runs
        .iter()
        .filter(|run| run.samples > 0)
        .map(|run| {
            // A sample may weigh more than another, so the share decides how many it stands for.
            let hits = (run.share * run.samples as f64).round() as u64;
            (hits.min(run.samples), run.samples)
        })
        .collect();
    let mut estimate = share_interval(&counts, LEVEL);
    let samples: u64 = counts.iter().map(|(_, samples)| samples).sum();
    if samples > 0 {
        let weighted: f64 = runs.iter().map(|run| run.share * run.samples as f64).sum();
        estimate.value = (weighted / samples as f64).clamp(estimate.low, estimate.high);
    }
    if counts.len() == 1 {
        estimate.method = "share of samples of one run, interval by betting, widened by the dispersion that other programs showed";
    }
    estimate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_differ_widen_the_interval() {
        let runs = |shares: &[f64]| -> Vec<RunShare> {
            let run = |&share| RunShare {
                share,
                samples: 2000,
            };
            shares.iter().map(run).collect()
        };
        let steady = estimate(&runs(&[0.25, 0.25, 0.25, 0.25, 0.25]));
        let shaky = estimate(&runs(&[0.15, 0.35, 0.25, 0.20, 0.30]));
        assert!((steady.value - 0.25).abs() < 1e-9 && (shaky.value - 0.25).abs() < 1e-9);
        assert!(shaky.half_width() > 2.0 * steady.half_width());
    }

    #[test]
    fn one_run_is_wider_than_binomial() {
        let one = estimate(&[RunShare {
            share: 0.25,
            samples: 10_000,
        }]);
        let binomial = 2.576 * (0.25f64 * 0.75 / 10_000.0).sqrt();
        assert!(
            one.half_width() > binomial,
            "{} {binomial}",
            one.half_width()
        );
        assert!(one.half_width() < 3.0 * binomial);
        assert!(one.method.contains("one run"));
    }
}
