//! Many hypotheses at once.

/// Marks the hypotheses that may be rejected so that of all marked ones at most the share `fdr`
/// is expected to be chance, whatever their dependence.
///
/// e-BH: Wang and Ramdas 2022. With K E-values in falling order, the largest k with
/// E_(k) >= K / (fdr * k) marks the k largest. Equal E-values are marked together.
pub fn e_benjamini_hochberg(e_values: &[f64], fdr: f64) -> Vec<bool> {
    let mut falling = e_values.to_vec();
    falling.sort_unstable_by(|a, b| b.total_cmp(a));
    let count = falling.len() as f64;
    let threshold = (1..=falling.len())
        .rev()
        .find(|&k| falling[k - 1] >= count / (fdr * k as f64))
        .map(|k| falling[k - 1]);
    e_values
        .iter()
        .map(|e| threshold.is_some_and(|threshold| *e >= threshold))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_by_rank_and_never_by_a_lower_bar_than_the_rank_allows() {
        // K = 4, 5 %: bars 80, 40, 26.7, 20.
        assert_eq!(
            e_benjamini_hochberg(&[45.0, 1.0, 45.0, 3.0], 0.05),
            [true, false, true, false]
        );
        assert_eq!(
            e_benjamini_hochberg(&[79.0, 39.0, 3.0, 1.0], 0.05),
            [false; 4]
        );
        assert_eq!(e_benjamini_hochberg(&[20.0; 4], 0.05), [true; 4]);
        assert_eq!(e_benjamini_hochberg(&[], 0.05), [false; 0]);
    }
}
