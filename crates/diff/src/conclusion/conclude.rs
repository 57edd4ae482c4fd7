//! From a comparison to its conclusion.

use super::Conclusion;
use super::checks::{noise, not_checked, sample_facts, warnings};
use super::metrics::{metric_rows, reported_rows};
use crate::attribution::{Sampled, attribute, function_results};
use crate::ceiling::Ceiling;
use crate::layout::Layouts;
use crate::statistics::Sequence;
use crate::values::Comparison;
use crate::verdict::{Facts, decide, sentence};
use crate::witness::Testimony;

/// The verdict and everything that is shown with it: a pure function of what was measured, so that
/// a logged comparison gives the same verdict again.
pub fn conclude(comparison: &Comparison) -> Conclusion {
    let sequence = Sequence::of(comparison);
    let sampled = Sampled::of(comparison);
    let functions = function_results(comparison, &sampled);
    let attribution = attribute(comparison, &sampled, &functions, sequence.outcome());
    let metrics = metric_rows(comparison, &sequence);
    let reported = reported_rows(comparison);
    let samples = sample_facts(comparison);
    let layouts = Layouts::of(comparison);
    let facts = Facts {
        comparison,
        outcome: sequence.outcome(),
        pairs: sequence.pairs(),
        metrics: &metrics,
        reported: &reported,
        noise: noise(&comparison.placebo, comparison.metric),
        projected_pairs: sequence.projected_pairs(),
        functions: &functions,
        attribution: &attribution,
        testimony: Testimony::of(comparison, sequence.outcome()),
        layouts: layouts.as_ref(),
    };
    let (verdict, reason) = decide(&facts);
    Conclusion {
        verdict,
        reason: sentence(&facts, reason),
        outcome: sequence.outcome(),
        decided_at: sequence.decided_at(),
        pairs: sequence.pairs(),
        evidence: sequence.evidence(),
        projected_pairs: sequence.projected_pairs(),
        noise: facts.noise,
        warnings: warnings(&facts, &samples),
        not_checked: not_checked(comparison),
        testimony: facts.testimony,
        samples,
        reported,
        metrics,
        functions,
        attribution,
        ceiling: Ceiling::of(comparison),
        layouts,
    }
}
