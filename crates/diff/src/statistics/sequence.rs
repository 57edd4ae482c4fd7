//! The rule that decides, pair by pair.

use super::process::{Direction, PairedTest, Wealth};
use super::robust::robust_sd;
use super::{DECIDES, DECIDES_NO_EFFECT, FEWEST_PAIRS, LEVEL};
use crate::conclusion::{Evidence, Outcome, Step, StopReason};
use crate::values::{Comparison, Estimate, EstimateUnit, Metric, Pair, Rule, Run};

/// Fewer A/A pairs than this do not tell the spread.
pub(crate) const PAIRS_FOR_PRIOR: usize = 5;

/// The spread of x that is assumed before it is known: 0.03 for CPU time, 0.2 for wall time, 0.1 for
/// what the workload reports, 0.01 for memory and instructions.
pub fn default_prior_scale(metric: Metric) -> f64 {
    match metric {
        Metric::CpuTime => 0.03,
        Metric::WallTime => 0.2,
        // Harnesses and scripts time by the wall, and take a typical one of many.
        Metric::Reported => 0.1,
        Metric::PeakMemory | Metric::Instructions => 0.01,
    }
}

/// x = ln(head / base) of a pair; `None` when one of the runs measured 0, or nothing that both
/// report.
pub fn log_ratio(pair: &Pair, metric: Metric) -> Option<f64> {
    let (base, head) = values(pair, metric)?;
    (base > 0.0 && head > 0.0).then(|| (head / base).ln())
}

/// The metric of both runs of a pair, in its unit; `None` where it was not counted.
pub(crate) fn values(pair: &Pair, metric: Metric) -> Option<(f64, f64)> {
    let of = |run: &Run| {
        let metrics = &run.metrics;
        let value = match metric {
            Metric::CpuTime => metrics.cpu_ns,
            Metric::WallTime => metrics.wall_ns,
            Metric::PeakMemory => metrics.peak_rss_bytes,
            Metric::Instructions => metrics.instructions?,
            Metric::Reported => return None,
        };
        Some(value as f64)
    };
    match metric {
        Metric::Reported => reported(pair),
        _ => Some((of(&pair.base)?, of(&pair.head)?)),
    }
}

/// The geometric means of the times that both runs of a pair report: each benchmark counts the
/// same, whatever its length. `None` when there is no name that both report.
fn reported(pair: &Pair) -> Option<(f64, f64)> {
    let head = |name: &str| {
        let mut times = pair.head.metrics.reported.iter();
        times.find(|time| time.name == name).map(|it| it.time_ns)
    };
    let base = pair.base.metrics.reported.iter();
    let both: Vec<(f64, f64)> = base
        .filter_map(|time| Some((time.time_ns.ln(), head(&time.name)?.ln())))
        .collect();
    let mean = |of: fn(&(f64, f64)) -> f64| both.iter().map(of).sum::<f64>() / both.len() as f64;
    (!both.is_empty()).then(|| (mean(|it| it.0).exp(), mean(|it| it.1).exp()))
}

/// One of the four hypotheses of the rule, grown pair by pair.
#[derive(Debug, Clone, PartialEq)]
struct Hypothesis {
    theta: f64,
    direction: Direction,
    wealth: Wealth,
    /// The E-value that rejects it.
    threshold: f64,
    /// Whether the E-value has ever been as large: Ville's inequality bounds the supremum, so
    /// that a rejection stands whatever comes later.
    rejected: bool,
}

impl Hypothesis {
    fn new(theta: f64, direction: Direction, threshold: f64) -> Self {
        Hypothesis {
            theta,
            direction,
            wealth: Wealth::new(),
            threshold,
            rejected: false,
        }
    }

    /// Counts the value x of the next pair, measured with the spread `scale`.
    fn grow(&mut self, x: f64, scale: f64) {
        let residual = self.direction.sign() * (x - self.theta);
        self.wealth.grow(residual / scale);
        self.rejected |= self.wealth.reaches(self.threshold);
    }

    fn log_value(&self) -> f64 {
        self.wealth.log_value()
    }
}

/// The sequential test of a comparison: values go in one by one, and after each the outcome is
/// known.
///
/// The outcome is the first one reached, and it stands. A hypothesis is rejected at the first pair
/// at which its E-value crosses its threshold, that is, when the supremum over the pairs does,
/// which is what Ville's inequality bounds; "no effect" needs two rejections, which may come at
/// different pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    rule: Rule,
    test: PairedTest,
    faster: Hypothesis,
    slower: Hypothesis,
    above_minus_mei: Hypothesis,
    below_plus_mei: Hypothesis,
    decided: Option<(Outcome, usize)>,
}

impl Sequence {
    /// An empty sequence; `prior_scale` is the spread of x that the first pairs are measured with.
    pub fn new(rule: Rule, prior_scale: f64) -> Self {
        // A negative margin would call equals faster.
        let margin = rule.margin.min(rule.minimum_effect).max(0.0);
        let mei = rule.minimum_effect;
        // A gain of a fifth leaves four fifths of the time; below what is wanted nothing is of
        // interest, above the minimum effect every loss is.
        let wanted = -(-rule.gain.clamp(0.0, 0.99)).ln_1p();
        let decides = DECIDES * f64::from(rule.workloads.max(1));
        Sequence {
            rule,
            test: PairedTest::new(prior_scale),
            faster: Hypothesis::new(-margin.max(wanted), Direction::Below, decides),
            slower: Hypothesis::new(margin, Direction::Above, decides),
            above_minus_mei: Hypothesis::new(-mei.max(wanted), Direction::Above, DECIDES_NO_EFFECT),
            below_plus_mei: Hypothesis::new(mei, Direction::Below, DECIDES_NO_EFFECT),
            decided: None,
        }
    }

    /// An empty sequence with the spread that the A/A block shows.
    pub fn with_placebo(rule: Rule, metric: Metric, placebo: &[Pair]) -> Self {
        Sequence::new(rule, prior_scale(metric, placebo))
    }

    /// The sequence of a comparison, all its pairs counted.
    pub fn of(comparison: &Comparison) -> Self {
        let metric = comparison.metric;
        let rule = crate::layout::rule_of(comparison);
        let mut sequence = Sequence::with_placebo(rule, metric, &comparison.placebo);
        for x in comparison.pairs.iter().filter_map(|p| log_ratio(p, metric)) {
            sequence.push(x);
        }
        sequence
    }

    /// Counts the next pair: x = ln(head / base), finite.
    pub fn push(&mut self, x: f64) {
        let scale = self.test.next_scale();
        self.test.push(x);
        for hypothesis in [
            &mut self.faster,
            &mut self.slower,
            &mut self.above_minus_mei,
            &mut self.below_plus_mei,
        ] {
            hypothesis.grow(x, scale);
        }
        if self.decided.is_none() {
            self.decided = self.reached().map(|outcome| (outcome, self.pairs()));
        }
    }

    /// The first in the order of precedence whose hypotheses are all rejected.
    fn reached(&self) -> Option<Outcome> {
        if self.pairs() < FEWEST_PAIRS {
            return None;
        }
        if self.faster.rejected {
            Some(Outcome::Faster)
        } else if self.slower.rejected {
            Some(Outcome::Slower)
        } else if self.has_no_effect_outcome()
            && self.above_minus_mei.rejected
            && self.below_plus_mei.rejected
        {
            Some(Outcome::NoEffect)
        } else {
            None
        }
    }

    /// Nothing lies within a minimum effect of 0.
    fn has_no_effect_outcome(&self) -> bool {
        self.rule.minimum_effect > 0.0
    }

    /// Pairs so far.
    pub fn pairs(&self) -> usize {
        self.test.values().len()
    }

    /// The values so far, in order.
    pub fn values(&self) -> &[f64] {
        self.test.values()
    }

    /// The outcome; undecided until one is reached.
    pub fn outcome(&self) -> Outcome {
        self.decided
            .map_or(Outcome::Undecided, |(outcome, _)| outcome)
    }

    /// After how many pairs the outcome was reached.
    pub fn decided_at(&self) -> Option<usize> {
        self.decided.map(|(_, pairs)| pairs)
    }

    /// ln(head / base) with its 99 % interval; infinite ends for fewer than 11 pairs.
    pub fn interval(&self) -> Estimate {
        self.test.interval(LEVEL, EstimateUnit::LogRatio)
    }

    /// The current E-values.
    pub fn evidence(&self) -> Evidence {
        Evidence {
            faster: self.faster.log_value().exp(),
            slower: self.slower.log_value().exp(),
            above_minus_mei: self.above_minus_mei.log_value().exp(),
            below_plus_mei: self.below_plus_mei.log_value().exp(),
        }
    }

    /// Whether another pair is needed.
    pub fn step(&self) -> Step {
        if self.pairs() >= self.rule.max_pairs {
            Step::Stop(StopReason::MaxPairs)
        } else if self.decided.is_some() && self.is_known_enough() {
            Step::Stop(StopReason::Precise)
        } else {
            Step::Continue
        }
    }

    fn is_known_enough(&self) -> bool {
        self.pairs() >= self.rule.precision_pairs || self.is_precise()
    }

    /// Whether the interval of the change, in fractions, is as narrow as asked for.
    fn is_precise(&self) -> bool {
        let interval = self.interval();
        let half_width = (interval.high.exp() - interval.low.exp()) / 2.0;
        let change = interval.value.exp_m1().abs();
        let wanted = self.rule.precision;
        wanted > 0.0 && interval.is_bounded() && half_width <= wanted.max(0.25 * change)
    }

    /// How many further pairs would decide, if the evidence goes on growing as it has; `None` when
    /// decided, for fewer than 11 pairs, or when no evidence grows.
    ///
    /// Evidence of n pairs is about exp(g n - c): it grows by g a pair, and the mixture of bets
    /// costs c once. So ln(1/alpha) is reached after n (ln(1/alpha) + c) / (ln M_n + c) pairs.
    pub fn projected_pairs(&self) -> Option<usize> {
        const COST: f64 = 1.5;
        if self.decided.is_some() || self.pairs() < FEWEST_PAIRS {
            return None;
        }
        let pairs = self.pairs() as f64;
        let total = |hypothesis: &Hypothesis| {
            if hypothesis.rejected {
                return pairs;
            }
            let growth = (hypothesis.log_value() + COST).max(0.0) / pairs;
            (hypothesis.threshold.ln() + COST) / growth
        };
        let no_effect = if self.has_no_effect_outcome() {
            total(&self.above_minus_mei).max(total(&self.below_plus_mei))
        } else {
            f64::INFINITY
        };
        let total = total(&self.faster).min(total(&self.slower)).min(no_effect);
        let further = (total - pairs).ceil().max(1.0);
        (further < 100_000.0).then_some(further as usize)
    }
}

/// The spread of the A/A block, or the default without one.
pub(crate) fn prior_scale(metric: Metric, placebo: &[Pair]) -> f64 {
    let values: Vec<f64> = placebo
        .iter()
        .filter_map(|pair| log_ratio(pair, metric))
        .collect();
    if values.len() < PAIRS_FOR_PRIOR {
        default_prior_scale(metric)
    } else {
        robust_sd(&values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// -2 % with a spread of half a per cent, without a generator.
    fn values(n: usize) -> Vec<f64> {
        (0..n)
            .map(|i| -0.02 + 0.005 * (i as f64 * 2.4).sin())
            .collect()
    }

    fn sequence(rule: Rule, values: &[f64]) -> Sequence {
        let mut sequence = Sequence::new(rule, 0.03);
        for x in values {
            sequence.push(*x);
        }
        sequence
    }

    #[test]
    fn what_is_grown_pair_by_pair_is_what_the_whole_gives() {
        let values = values(260);
        for n in [1, 5, 6, 40, 100, 101, 260] {
            let evidence = sequence(Rule::default(), &values[..n]).evidence();
            let test = PairedTest::of(0.03, values[..n].iter().copied());
            let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{a} {b}");
            close(evidence.faster, test.e_value(-0.005, Direction::Below));
            close(evidence.slower, test.e_value(0.005, Direction::Above));
            close(
                evidence.above_minus_mei,
                test.e_value(-0.01, Direction::Above),
            );
            close(
                evidence.below_plus_mei,
                test.e_value(0.01, Direction::Below),
            );
        }
    }

    #[test]
    fn the_first_outcome_stands() {
        let mut sequence = sequence(Rule::default(), &values(20));
        assert_eq!(sequence.outcome(), Outcome::Faster);
        let decided_at = sequence.decided_at();
        for _ in 0..100 {
            sequence.push(0.05);
        }
        assert_eq!(sequence.outcome(), Outcome::Faster);
        assert_eq!(sequence.decided_at(), decided_at);
        assert!(sequence.interval().low > 0.0);
    }

    #[test]
    fn no_outcome_comes_before_the_interval_has_ends() {
        for x in [0.0, -0.2, 0.2] {
            let sequence = sequence(Rule::default(), &[x; 30]);
            assert_eq!(sequence.decided_at(), Some(11), "{x}");
        }
    }

    #[test]
    fn a_decided_sequence_goes_on_until_it_is_precise() {
        let noisy: Vec<f64> = values(150).iter().map(|x| x * 4.0 + 0.04).collect();
        let first = sequence(Rule::default(), &noisy).decided_at().unwrap();
        assert_eq!(
            sequence(Rule::default(), &noisy[..first - 1]).step(),
            Step::Continue
        );
        let steps: Vec<Step> = (first..=150)
            .map(|n| sequence(Rule::default(), &noisy[..n]).step())
            .collect();
        assert_eq!(steps[0], Step::Continue);
        let stop = steps
            .iter()
            .position(|step| *step != Step::Continue)
            .unwrap();
        assert_eq!(steps[stop], Step::Stop(StopReason::Precise));
        let interval = sequence(Rule::default(), &noisy[..first + stop]).interval();
        let change = interval.value.exp_m1().abs();
        assert!((interval.high - interval.low) / 2.0 <= (0.25 * change).max(0.005) * 1.1);
    }

    /// So many pairs are spent on a narrow interval, and more on an outcome alone.
    #[test]
    fn what_is_decided_is_not_made_precise_for_ever() {
        let noisy: Vec<f64> = values(150).iter().map(|x| x * 4.0 + 0.04).collect();
        let first = sequence(Rule::default(), &noisy).decided_at().unwrap();
        let rule = Rule {
            precision_pairs: first + 1,
            ..Rule::default()
        };
        assert_eq!(sequence(rule, &noisy[..first]).step(), Step::Continue);
        assert_eq!(
            sequence(rule, &noisy[..=first]).step(),
            Step::Stop(StopReason::Precise)
        );
        let wild: Vec<f64> = (0..60)
            .map(|i| if i % 2 == 0 { 0.3 } else { -0.3 })
            .collect();
        assert_eq!(sequence(rule, &wild).step(), Step::Continue);
    }

    /// `--precision 0`, and whoever resumes for more pairs.
    #[test]
    fn no_interval_is_narrow_enough_for_a_precision_of_zero() {
        let even: Vec<f64> = values(60).iter().map(|x| x * 0.1 + 0.5).collect();
        let rule = |precision| Rule {
            precision,
            precision_pairs: 60,
            ..Rule::default()
        };
        let precise = Step::Stop(StopReason::Precise);
        assert_eq!(sequence(rule(0.001), &even[..40]).step(), precise);
        assert_eq!(sequence(rule(0.0), &even[..40]).step(), Step::Continue);
        assert_eq!(sequence(rule(0.0), &even).step(), precise);
    }

    #[test]
    fn as_many_pairs_as_allowed_end_it() {
        let rule = Rule {
            max_pairs: 12,
            ..Rule::default()
        };
        let wild: Vec<f64> = (0..12)
            .map(|i| if i % 2 == 0 { 0.3 } else { -0.3 })
            .collect();
        assert_eq!(sequence(rule, &wild[..11]).step(), Step::Continue);
        assert_eq!(
            sequence(rule, &wild).step(),
            Step::Stop(StopReason::MaxPairs)
        );
        assert_eq!(sequence(rule, &wild).outcome(), Outcome::Undecided);
    }

    #[test]
    fn a_margin_above_the_minimum_effect_is_lowered_to_it() {
        let rule = Rule {
            margin: 0.05,
            ..Rule::default()
        };
        assert_eq!(sequence(rule, &values(60)).outcome(), Outcome::Faster);
    }
}
