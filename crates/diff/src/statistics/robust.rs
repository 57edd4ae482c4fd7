//! Estimates that a few wild values cannot move.

/// The median, the mean of the middle two for an even number; NaN for no values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    median_of_sorted(&sorted)
}

pub(crate) fn median_of_sorted(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    if n == 0 {
        f64::NAN
    } else if n % 2 == 1 {
        sorted[n / 2]
    } else {
        (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0
    }
}

/// 1.4826 times the median absolute deviation from the median, which is the standard deviation
/// when the values are Gaussian; NaN for no values.
pub fn robust_sd(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    robust_sd_of_sorted(&sorted)
}

/// Walks outwards from the median, so that nothing is sorted a second time.
pub(crate) fn robust_sd_of_sorted(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    let middle = median_of_sorted(sorted);
    let (mut below, mut above) = (n / 2, n / 2);
    let mut nearest = [f64::NAN; 2];
    // After n / 2 + 1 steps the last two distances are those around the median distance.
    for _ in 0..n / 2 + 1 {
        let left = below.checked_sub(1).map(|i| middle - sorted[i]);
        let right = sorted.get(above).map(|x| x - middle);
        let distance = match (left, right) {
            (Some(left), Some(right)) if left <= right => {
                below -= 1;
                left
            }
            (Some(left), None) => {
                below -= 1;
                left
            }
            (_, Some(right)) => {
                above += 1;
                right
            }
            (None, None) => f64::NAN,
        };
        nearest = [nearest[1], distance];
    }
    let deviation = if n % 2 == 1 {
        nearest[1]
    } else {
        (nearest[0] + nearest[1]) / 2.0
    };
    1.4826 * deviation
}

/// The Hodges-Lehmann estimate of the centre: the median of the means of all pairs of values,
/// each value with itself too; NaN for no values.
///
/// Hodges and Lehmann 1963. Takes time and memory in the square of the number of values.
pub fn hodges_lehmann(values: &[f64]) -> f64 {
    let n = values.len();
    if n == 0 {
        return f64::NAN;
    }
    if is_mostly_zero(values) {
        return 0.0;
    }
    let mut means = Vec::with_capacity(n * (n + 1) / 2);
    for (i, a) in values.iter().enumerate() {
        means.extend(values[i..].iter().map(|b| (a + b) / 2.0));
    }
    let middle = means.len() / 2;
    let even = means.len().is_multiple_of(2);
    let (lower, &mut upper, _) = means.select_nth_unstable_by(middle, f64::total_cmp);
    if even {
        let below = lower.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (below + upper) / 2.0
    } else {
        upper
    }
}

/// Whether so few values are not zero that fewer than half of the means lie on either side of it:
/// as in most functions of a profile, which are seldom seen.
fn is_mostly_zero(values: &[f64]) -> bool {
    let n = values.len();
    let means = n * (n + 1) / 2;
    // A mean is above zero at most when one of its values is.
    let at_most = |side: usize| means - (n - side) * (n - side + 1) / 2;
    let above = values.iter().filter(|&&x| x > 0.0).count();
    let below = values.iter().filter(|&&x| x < 0.0).count();
    2 * at_most(above) < means && 2 * at_most(below) < means
}

/// The sample standard deviation; 0 for fewer than two values.
pub(crate) fn standard_deviation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    if n < 2.0 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    (squares / (n - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hodges_lehmann_of_small_sets_is_what_the_definition_says() {
        assert!(hodges_lehmann(&[]).is_nan());
        assert_eq!(hodges_lehmann(&[3.0]), 3.0);
        // Means 1, 1.5, 2: the middle one.
        assert_eq!(hodges_lehmann(&[1.0, 2.0]), 1.5);
        // Means 1, 1.5, 5.5, 2, 6, 10: the middle two are 2 and 5.5.
        assert_eq!(hodges_lehmann(&[1.0, 2.0, 10.0]), 3.75);
    }

    #[test]
    fn hodges_lehmann_follows_a_shift_and_a_turn() {
        let values = [0.3, -1.2, 4.0, 0.1, 0.2, 0.25];
        let shifted: Vec<f64> = values.iter().map(|x| x + 5.0).collect();
        let turned: Vec<f64> = values.iter().map(|x| -x).collect();
        assert!((hodges_lehmann(&shifted) - hodges_lehmann(&values) - 5.0).abs() < 1e-12);
        assert!((hodges_lehmann(&turned) + hodges_lehmann(&values)).abs() < 1e-12);
    }

    proptest! {
        /// Whatever part of the values is zero.
        #[test]
        fn hodges_lehmann_is_the_median_of_all_means(
            values in proptest::collection::vec(
                prop_oneof![3 => Just(0.0), 1 => -10.0f64..10.0],
                1..40,
            )
        ) {
            let mut means = Vec::new();
            for (i, a) in values.iter().enumerate() {
                means.extend(values[i..].iter().map(|b| f64::midpoint(*a, *b)));
            }
            prop_assert_eq!(hodges_lehmann(&values), median(&means));
        }

        #[test]
        fn the_walk_finds_the_median_absolute_deviation(
            values in proptest::collection::vec(-100.0f64..100.0, 1..40)
        ) {
            let middle = median(&values);
            let distances: Vec<f64> = values.iter().map(|x| (x - middle).abs()).collect();
            prop_assert!((robust_sd(&values) - 1.4826 * median(&distances)).abs() < 1e-9);
        }
    }
}
