//! The e-process: how strongly paired values speak against a hypothesised centre.
//!
//! For values x_i, a hypothesised centre theta, a direction s and psi(u) = max(-1, min(1, u)):
//!
//! ```text
//! M_n^s(theta) = (1/15) * sum over b in {0.08, 0.2, 0.4, 0.65, 0.9}, m in {0.35, 1, 2.5}
//!                of product over i <= n of (1 + b * psi(s * (x_i - theta) / (m * S_i)))
//! ```
//!
//! S_i looks only at earlier values and psi is odd, so when the values are symmetric about theta
//! M is a non-negative martingale that starts at 1, and by Ville's inequality (1939) it ever
//! reaches 1/alpha with probability at most alpha. So a decision at the first pair at which M
//! reaches 1/alpha is one at the supremum, and is valid whenever one looks. Vovk and Wang,
//! nonparametric e-tests of symmetry (arXiv 2208.08925).

use super::robust::{hodges_lehmann, robust_sd_of_sorted};
use super::root::{Point, sign_change};
use crate::values::{Estimate, EstimateUnit};

const BETS: [f64; 5] = [0.08, 0.2, 0.4, 0.65, 0.9];
const WIDTHS: [f64; 3] = [0.35, 1.0, 2.5];
const CHAINS: usize = BETS.len() * WIDTHS.len();

/// The chains and one of which nothing is bet, so that the processor takes them in whole groups.
const LANES: usize = CHAINS + 1;
/// The bet of each lane: all bets of the first width, of the second, of the third.
const LANE_BETS: [f64; LANES] = {
    let mut bets = [0.0; LANES];
    let mut lane = 0;
    while lane < CHAINS {
        bets[lane] = BETS[lane % BETS.len()];
        lane += 1;
    }
    bets
};

/// After so many values the size of the products is moved out of them: 0.1^300 is no longer a
/// number.
const VALUES_IN_RANGE: usize = 250;

/// No spread is taken to be smaller than this, relative to the whole.
pub(crate) const SCALE_FLOOR: f64 = 0.0002;

/// From so many earlier values on, their own spread is used instead of the prior.
const VALUES_FOR_SCALE: usize = 5;

/// Which side of the hypothesised centre the values are suspected on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// s = +1: the values lie above theta (head is slower than theta says).
    Above,
    /// s = -1: the values lie below theta (head is faster than theta says).
    Below,
}

impl Direction {
    pub(crate) fn sign(self) -> f64 {
        match self {
            Direction::Above => 1.0,
            Direction::Below => -1.0,
        }
    }
}

/// The fifteen products of one hypothesis, grown value by value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wealth {
    products: [f64; LANES],
    /// Logarithms of what was taken out of the products to keep them in range.
    logs: [f64; CHAINS],
    values: usize,
}

impl Wealth {
    pub(crate) fn new() -> Self {
        Wealth {
            products: [1.0; LANES],
            logs: [0.0; CHAINS],
            values: 0,
        }
    }

    /// Multiplies by the factors of one value, `u` being s * (x - theta) / S.
    pub(crate) fn grow(&mut self, u: f64) {
        let [a, b, c] = WIDTHS.map(|width| (u / width).clamp(-1.0, 1.0));
        let clipped: [f64; LANES] = [a, a, a, a, a, b, b, b, b, b, c, c, c, c, c, 0.0];
        for lane in 0..LANES {
            self.products[lane] *= 1.0 + LANE_BETS[lane] * clipped[lane];
        }
        self.values += 1;
        if self.values.is_multiple_of(VALUES_IN_RANGE) {
            self.rescale();
        }
    }

    /// Moves the size of the products into the logarithms.
    fn rescale(&mut self) {
        for (product, log) in self.products.iter_mut().zip(&mut self.logs) {
            *log += product.ln();
            *product = 1.0;
        }
    }

    /// The natural logarithm of M.
    pub(crate) fn log_value(&self) -> f64 {
        let products = &self.products[..CHAINS];
        if self.values < VALUES_IN_RANGE {
            return (products.iter().sum::<f64>() / CHAINS as f64).ln();
        }
        let logs: [f64; CHAINS] = std::array::from_fn(|i| self.logs[i] + products[i].ln());
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|log| (log - largest).exp()).sum();
        largest + (sum / CHAINS as f64).ln()
    }

    /// Whether M has reached `threshold`.
    pub(crate) fn reaches(&self, threshold: f64) -> bool {
        self.log_value() >= threshold.ln()
    }
}

/// One value: the residual at theta is `value - slope * theta`, in units of `scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Term {
    value: f64,
    slope: f64,
    scale: f64,
}

/// Values that are tested against a hypothesised theta, with the spread that was known when each
/// of them came.
#[derive(Debug, Clone, PartialEq)]
struct Terms {
    terms: Vec<Term>,
    sorted: Vec<f64>,
    prior_scale: f64,
}

impl Terms {
    fn new(prior_scale: f64) -> Self {
        Terms {
            terms: Vec::new(),
            sorted: Vec::new(),
            prior_scale: prior_scale.max(SCALE_FLOOR),
        }
    }

    /// S of the next value.
    fn next_scale(&self) -> f64 {
        if self.sorted.len() < VALUES_FOR_SCALE {
            self.prior_scale
        } else {
            robust_sd_of_sorted(&self.sorted).max(SCALE_FLOOR)
        }
    }

    fn push(&mut self, value: f64, slope: f64, spread_of: f64) {
        let scale = self.next_scale();
        self.terms.push(Term {
            value,
            slope,
            scale,
        });
        let at = self.sorted.partition_point(|&x| x < spread_of);
        self.sorted.insert(at, spread_of);
    }

    fn wealth(&self, theta: f64, direction: Direction) -> Wealth {
        let sign = direction.sign();
        let mut wealth = Wealth::new();
        for term in &self.terms {
            wealth.grow(sign * (term.value - term.slope * theta) / term.scale);
        }
        wealth
    }

    /// Where M in `direction` crosses `threshold`, on the side that is rejected, starting from
    /// `near`; infinite when no theta is rejected.
    ///
    /// M in direction `Above` falls as theta grows and in direction `Below` rises, so the crossing
    /// is one point.
    fn crossing(&self, direction: Direction, threshold: f64, near: f64, step: f64) -> f64 {
        let outward = -direction.sign();
        let log_threshold = threshold.ln();
        let excess = |theta: f64| self.wealth(theta, direction).log_value() - log_threshold;
        let Some((inside, outside)) = bracket(near, step, outward, &excess) else {
            return outward * f64::INFINITY;
        };
        let width = (outside.at - inside.at).abs() / PRECISION;
        sign_change(inside, outside, width, excess).at
    }

    /// All theta that neither direction rejects at `level`, widened where needed to hold `value`.
    fn interval(&self, value: f64, level: f64) -> (f64, f64) {
        let threshold = 2.0 / (1.0 - level);
        let step = robust_sd_of_sorted(&self.sorted).max(SCALE_FLOOR);
        let low = self.crossing(Direction::Above, threshold, value, step);
        let high = self.crossing(Direction::Below, threshold, value, step);
        (low.min(value), high.max(value))
    }
}

/// Parts of a bracket that a crossing is known to.
const PRECISION: f64 = (1 << 20) as f64;

/// Doublings of the step on the way to a bracket: from the floor of the spread to a million times
/// the whole.
const DOUBLINGS: usize = 34;

/// A theta that is not rejected and one further `outward` that is: where `excess` is negative and
/// where it is not.
fn bracket(
    near: f64,
    step: f64,
    outward: f64,
    excess: &impl Fn(f64) -> f64,
) -> Option<(Point, Point)> {
    let point = |at: f64| Point {
        at,
        value: excess(at),
    };
    let start = point(near);
    let direction = if start.is_negative() {
        outward
    } else {
        -outward
    };
    let mut previous = start;
    let mut width = step;
    for _ in 0..DOUBLINGS {
        let next = point(near + direction * width);
        if next.is_negative() != start.is_negative() {
            return Some(if next.is_negative() {
                (next, previous)
            } else {
                (previous, next)
            });
        }
        previous = next;
        width *= 2.0;
    }
    None
}

/// The test of paired values against a centre: x_i = ln(head_i / base_i), or differences as
/// fractions of the whole.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedTest {
    terms: Terms,
    values: Vec<f64>,
}

impl PairedTest {
    /// An empty test; `prior_scale` stands for the spread of the values until five are known.
    pub fn new(prior_scale: f64) -> Self {
        PairedTest {
            terms: Terms::new(prior_scale),
            values: Vec::new(),
        }
    }

    /// A test of these values in this order.
    pub fn of(prior_scale: f64, values: impl IntoIterator<Item = f64>) -> Self {
        let mut test = PairedTest::new(prior_scale);
        for value in values {
            test.push(value);
        }
        test
    }

    /// Adds the next value; it must be finite.
    pub fn push(&mut self, x: f64) {
        self.terms.push(x, 1.0, x);
        self.values.push(x);
    }

    /// The values so far, in order.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// S: the spread that the next value will be measured with.
    pub fn next_scale(&self) -> f64 {
        self.terms.next_scale()
    }

    /// M for all values so far: the evidence that the centre lies to that side of theta.
    pub fn e_value(&self, theta: f64, direction: Direction) -> f64 {
        self.log_e_value(theta, direction).exp()
    }

    /// The natural logarithm of [`PairedTest::e_value`], which does not overflow.
    pub fn log_e_value(&self, theta: f64, direction: Direction) -> f64 {
        self.terms.wealth(theta, direction).log_value()
    }

    /// The evidence that the centre is not theta, to whichever side: the mean of both E-values.
    pub fn two_sided_e_value(&self, theta: f64) -> f64 {
        let above = self.e_value(theta, Direction::Above);
        let below = self.e_value(theta, Direction::Below);
        (above + below) / 2.0
    }

    /// The Hodges-Lehmann estimate and all theta that the values so far do not reject.
    ///
    /// The interval is that of the current M, not the intersection of all intervals so far: the
    /// intersection would be valid too, but can be empty. Infinite ends mean that no theta on that
    /// side can be rejected yet, which takes 11 values at 99 %. NaN without values.
    pub fn interval(&self, level: f64, unit: EstimateUnit) -> Estimate {
        let value = hodges_lehmann(&self.values);
        let (low, high) = if self.values.is_empty() {
            (f64::NEG_INFINITY, f64::INFINITY)
        } else {
            self.terms.interval(value, level)
        };
        Estimate {
            value,
            low,
            high,
            level,
            n: self.values.len(),
            method: "Hodges-Lehmann, interval by symmetry e-process",
            unit,
        }
    }
}

/// The test of paired values against a ratio, where a value may be 0: head_i - r * base_i is
/// symmetric about 0 at the true ratio r when the two sides are exchangeable up to r.
#[derive(Debug, Clone, PartialEq)]
pub struct RatioTest {
    terms: Terms,
}

impl RatioTest {
    /// An empty test; `prior_scale` stands for the spread of head - base until five are known.
    pub fn new(prior_scale: f64) -> Self {
        RatioTest {
            terms: Terms::new(prior_scale),
        }
    }

    /// Adds the next pair; both must be finite and not negative, as fractions of the whole run.
    pub fn push(&mut self, base: f64, head: f64) {
        self.terms.push(head, base, head - base);
    }

    /// All ratios head / base that the pairs so far do not reject, around `value`; not below 0.
    pub fn interval(&self, value: f64, level: f64) -> Estimate {
        let (low, high) = self.terms.interval(value, level);
        Estimate {
            value,
            low: low.max(0.0),
            high,
            level,
            n: self.terms.terms.len(),
            method: "ratio of Hodges-Lehmann times, interval by symmetry e-process",
            unit: EstimateUnit::Ratio,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [f64; 12] = [
        0.012, -0.004, 0.021, 0.009, -0.013, 0.008, 0.015, 0.002, -0.05, 0.011, 0.007, 0.4,
    ];

    /// The formula as it is written, one factor at a time.
    fn formula(values: &[f64], prior: f64, theta: f64, sign: f64) -> f64 {
        let mut sum = 0.0;
        for bet in BETS {
            for width in WIDTHS {
                let mut product = 1.0;
                for (i, x) in values.iter().enumerate() {
                    let scale = if i < 5 {
                        prior
                    } else {
                        crate::statistics::robust_sd(&values[..i]).max(0.0002)
                    };
                    let u: f64 = sign * (x - theta) / (width * scale);
                    product *= 1.0 + bet * u.clamp(-1.0, 1.0);
                }
                sum += product;
            }
        }
        sum / 15.0
    }

    #[test]
    fn the_e_value_is_the_formula() {
        for n in 0..=VALUES.len() {
            let test = PairedTest::of(0.03, VALUES[..n].iter().copied());
            for theta in [-0.02, 0.0, 0.005, 0.1] {
                for (direction, sign) in [(Direction::Above, 1.0), (Direction::Below, -1.0)] {
                    let expected = formula(&VALUES[..n], 0.03, theta, sign);
                    let found = test.e_value(theta, direction);
                    assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
                }
            }
        }
    }

    #[test]
    fn the_ends_of_the_interval_are_where_the_tests_reject() {
        let test = PairedTest::of(0.03, VALUES);
        let interval = test.interval(0.99, EstimateUnit::LogRatio);
        let inside = 1e-5;
        assert!(test.e_value(interval.low, Direction::Above) >= 200.0);
        assert!(test.e_value(interval.low + inside, Direction::Above) < 200.0);
        assert!(test.e_value(interval.high, Direction::Below) >= 200.0);
        assert!(test.e_value(interval.high - inside, Direction::Below) < 200.0);
        assert_eq!(interval.value, hodges_lehmann(&VALUES));
    }

    #[test]
    fn ten_values_bound_nothing_at_99_per_cent_and_eleven_do() {
        let of = |n| PairedTest::of(0.03, vec![-0.05; n]).interval(0.99, EstimateUnit::LogRatio);
        assert_eq!(
            (of(10).low, of(10).high),
            (f64::NEG_INFINITY, f64::INFINITY)
        );
        assert!(of(11).is_bounded());
        let none = of(0);
        assert!(none.value.is_nan() && !none.is_bounded());
    }

    #[test]
    fn thousands_of_values_neither_overflow_nor_vanish() {
        let test = PairedTest::of(0.03, vec![0.1; 5_000]);
        let above = test.log_e_value(0.0, Direction::Above);
        let below = test.log_e_value(0.0, Direction::Below);
        // Every bet is won or lost: the largest bet of the mixture gains ln 1.9 each time, the
        // smallest loses ln 0.92.
        let expected = 5_000.0 * 1.9_f64.ln();
        assert!((above - expected).abs() < 10.0, "{above} {expected}");
        assert!((below - 5_000.0 * 0.92_f64.ln()).abs() < 10.0, "{below}");
        assert!(test.interval(0.99, EstimateUnit::LogRatio).is_bounded());
    }

    #[test]
    fn an_outlier_moves_the_interval_little() {
        let calm: Vec<f64> = (0..30).map(|i| 0.01 * f64::from(i % 5 - 2)).collect();
        let mut wild = calm.clone();
        wild[20] = 8.0;
        let of = |values: &[f64]| {
            PairedTest::of(0.03, values.iter().copied()).interval(0.99, EstimateUnit::LogRatio)
        };
        assert!((of(&calm).low - of(&wild).low).abs() < 0.01);
        assert!((of(&calm).high - of(&wild).high).abs() < 0.01);
    }

    #[test]
    fn a_ratio_is_bounded_around_the_truth_although_some_values_are_zero() {
        let mut test = RatioTest::new(0.03);
        for i in 0..40 {
            let base = if i % 7 == 0 { 0.0 } else { 0.2 };
            let noise = 0.004 * f64::from(i % 5 - 2);
            test.push(base, (base * 0.8 + noise).max(0.0));
        }
        let interval = test.interval(0.8, 0.99);
        assert!(interval.low > 0.75 && interval.high < 0.85, "{interval:?}");
    }
}
