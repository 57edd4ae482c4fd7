//! What could make a verdict wrong, and what was not looked at.

use super::{Noise, SampleFacts};
use crate::statistics::{hodges_lehmann, log_ratio, robust_sd, standard_deviation};
use crate::values::{
    BUILD_FLAGS, Comparison, CpuSource, Metric, Order, OutputCheck, Pair, Run, TestCheck,
};
use crate::verdict::Facts;
use crate::witness::Agreement;

/// With fewer samples on a side the shares of small functions are hardly known.
const FEW_SAMPLES: u64 = 2_000;

/// What the A/A block says of the machine; `None` for fewer than two pairs.
///
/// Cheap, so that a hopeless machine can be refused before the first counted pair.
pub fn noise(placebo: &[Pair], metric: Metric) -> Option<Noise> {
    let values: Vec<f64> = placebo
        .iter()
        .filter_map(|pair| log_ratio(pair, metric))
        .collect();
    (values.len() >= 2).then(|| Noise {
        sd: standard_deviation(&values),
        shift: hodges_lehmann(&values).exp_m1(),
        pairs: values.len(),
    })
}

/// Samples of all counted pairs.
pub(super) fn sample_facts(comparison: &Comparison) -> SampleFacts {
    let mut facts = SampleFacts::default();
    for pair in &comparison.pairs {
        let both = [(&pair.base, &mut facts.base), (&pair.head, &mut facts.head)];
        for (run, samples) in both {
            if let Some(tally) = &run.tally {
                *samples = samples.saturating_add(tally.samples);
                facts.complete = facts.complete.saturating_add(tally.complete);
                facts.lost = facts.lost.saturating_add(tally.lost);
            }
        }
    }
    facts
}

/// One sentence for each thing that could make the verdict wrong, those of the comparison first.
pub(super) fn warnings(facts: &Facts<'_>, samples: &SampleFacts) -> Vec<String> {
    let comparison = facts.comparison;
    let found = [
        stolen(comparison),
        order_effect(comparison),
        unlike_flags(comparison),
        placebo_shift(facts),
        disagreement(facts),
        wall_alone(facts),
        sleeping(comparison),
        inexact(comparison),
        unmeasured(comparison),
        unstable_output(comparison),
        different_output(comparison),
        mixed_reports(facts),
        contradicted(facts),
        layout_alone(facts),
    ];
    let mut all = comparison.warnings.clone();
    all.extend(found.into_iter().flatten());
    all.extend(sampling(comparison, samples));
    all
}

/// What nobody has looked at.
pub(super) fn not_checked(comparison: &Comparison) -> Vec<String> {
    let runs = || comparison.pairs.iter().flat_map(|p| [&p.base, &p.head]);
    let mut all = Vec::new();
    if comparison.is_counted_alone() {
        all.push("time (compare without --engine callgrind)".to_owned());
    }
    if comparison.setup.layouts < 2 {
        all.push("code layout".to_owned());
    }
    if comparison.tests == TestCheck::NotRun && !comparison.is_of_commands() {
        all.push("tests".to_owned());
    }
    if comparison.witness.is_none() && runs().any(|run| run.metrics.instructions.is_none()) {
        all.push("instruction counts".to_owned());
    }
    if comparison.placebo.is_empty() && !comparison.pairs.is_empty() {
        all.push("how much two builds of the same code differ".to_owned());
    }
    all
}

fn stolen(comparison: &Comparison) -> Option<String> {
    let stolen = comparison.machine.stolen_pct.filter(|pct| *pct > 5.0)?;
    Some(format!(
        "other virtual machines took {stolen:.1} % of the CPU time while this was measured"
    ))
}

/// Whether the second run of a pair is slower or faster than the first, beyond noise and beyond
/// the minimum effect. The coin keeps it out of the verdict, but it widens the interval.
fn order_effect(comparison: &Comparison) -> Option<String> {
    let of = |order: Order| -> Vec<f64> {
        let pairs = comparison.pairs.iter().filter(|pair| pair.order == order);
        pairs
            .filter_map(|pair| log_ratio(pair, comparison.metric))
            .collect()
    };
    let (base_first, head_first) = (of(Order::BaseFirst), of(Order::HeadFirst));
    if base_first.len() < 5 || head_first.len() < 5 {
        return None;
    }
    // Half the difference of the two centres, because the second run is head in one of them and
    // base in the other.
    let effect = (hodges_lehmann(&base_first) - hodges_lehmann(&head_first)) / 2.0;
    let error_squared = |values: &[f64]| robust_sd(values).powi(2) / values.len() as f64;
    let error = (error_squared(&base_first) + error_squared(&head_first)).sqrt() / 2.0;
    let notable = 2.0 * effect.abs() > comparison.rule.minimum_effect && effect.abs() > 3.0 * error;
    notable.then(|| {
        format!(
            "the second run of a pair is {:.1} % {} than the first, whichever side it is",
            effect.exp_m1().abs() * 100.0,
            if effect > 0.0 { "slower" } else { "faster" }
        )
    })
}

/// Whether the diff holds flags, which move the time of functions that it does not touch.
fn unlike_flags(comparison: &Comparison) -> Option<String> {
    let mut flags = comparison.outside.iter();
    let first = flags.find(|change| change.what == BUILD_FLAGS)?;
    Some(format!(
        "base and head are built by unlike flags ({}:{}): what moves may be their doing, whichever function changed",
        first.file, first.line
    ))
}

/// Whether two builds of the same base differ by more than the margin, beyond noise.
fn placebo_shift(facts: &Facts<'_>) -> Option<String> {
    let noise = facts.noise?;
    let error = noise.sd / (noise.pairs as f64).sqrt();
    let notable = noise.shift.abs() > facts.margin() && noise.shift.abs() > 3.0 * error;
    notable.then(|| {
        format!(
            "two builds of the same base differ by {:.1} %, which is more than the margin",
            noise.shift.abs() * 100.0
        )
    })
}

fn disagreement(facts: &Facts<'_>) -> Option<String> {
    facts.cpu_and_wall_disagree().then(|| {
        "CPU time and wall time moved in opposite directions, beyond the noise of both".to_owned()
    })
}

fn wall_alone(facts: &Facts<'_>) -> Option<String> {
    facts.wall_alone_is_decided().then(|| {
        "wall time moved beyond its noise while CPU time is not decided: if what the program waits \
         for is its own matter, judge by --metric wall"
            .to_owned()
    })
}

/// [`mostly_wait`], where CPU time judges.
pub(crate) fn mostly_sleep(comparison: &Comparison) -> bool {
    comparison.metric == Metric::CpuTime && mostly_wait(comparison)
}

/// Whether most runs wait more than they compute, of their own accord and not for a CPU.
pub(crate) fn mostly_wait(comparison: &Comparison) -> bool {
    let asleep = |run: &Run| {
        let metrics = &run.metrics;
        let busy = metrics
            .cpu_ns
            .saturating_add(metrics.run_queue_ns.unwrap_or(0));
        metrics.wall_ns > 0 && busy < metrics.wall_ns / 2
    };
    let runs = comparison.pairs.iter().flat_map(|p| [&p.base, &p.head]);
    let count = runs.filter(|run| asleep(run)).count();
    count > comparison.pairs.len()
}

fn sleeping(comparison: &Comparison) -> Option<String> {
    mostly_sleep(comparison).then(|| {
        "the runs wait more than they compute, and CPU time says nothing about waiting".to_owned()
    })
}

fn inexact(comparison: &Comparison) -> Option<String> {
    if comparison.metric != Metric::CpuTime {
        return None;
    }
    let mut runs = comparison.pairs.iter().flat_map(|p| [&p.base, &p.head]);
    runs.any(|run| run.metrics.cpu_source == CpuSource::Wait4)
        .then(|| {
            "CPU time comes from wait4, which misses processes that nobody waited for".to_owned()
        })
}

/// Whether the instructions say something else than the pairs.
fn contradicted(facts: &Facts<'_>) -> Option<String> {
    let testimony = facts.testimony?;
    (testimony.agreement == Agreement::Disagrees).then(|| {
        "the instruction counts do not move as the time does: time is trusted, but cache misses, \
         branches, vector instructions or code layout may be what moved it"
            .to_owned()
    })
}

fn unmeasured(comparison: &Comparison) -> Option<String> {
    let ratios = |pair: &&Pair| log_ratio(pair, comparison.metric).is_none();
    let count = comparison.pairs.iter().filter(ratios).count();
    let name = comparison.name_of(comparison.metric.into());
    (count > 0).then(|| format!("{count} pairs measured no {name} at all and are left out"))
}

fn unstable_output(comparison: &Comparison) -> Option<String> {
    (comparison.output == OutputCheck::Unstable).then(|| {
        "output differs from run to run of one ref, so that equal results are not shown".to_owned()
    })
}

fn different_output(comparison: &Comparison) -> Option<String> {
    let allowed = comparison.rule.allow_different_output;
    (comparison.output == OutputCheck::Different && allowed)
        .then(|| "base and head print different output, which was allowed".to_owned())
}

/// Whether layout alone does more than the minimum effect, so that the margin cannot cover it.
fn layout_alone(facts: &Facts<'_>) -> Option<String> {
    let layouts = facts.layouts?;
    let minimum = facts.comparison.rule.minimum_effect;
    let noise = layouts.noise?;
    let beyond = |placebo: &f64| *placebo > minimum + 2.0 * noise;
    let placebo = layouts.placebo.filter(beyond)?;
    Some(format!(
        "two links of the same code differed by {:.1} %, layout and noise together, which is more than the {:.1} % that matter",
        placebo * 100.0,
        minimum * 100.0
    ))
}

/// Whether some of the reported times got longer, beyond noise, while others got shorter.
fn mixed_reports(facts: &Facts<'_>) -> Option<String> {
    let moved = |longer: bool| {
        let rows = facts.reported.iter().filter(move |row| {
            row.marked && row.ratio.excludes(1.0) && (row.ratio.value > 1.0) == longer
        });
        rows.map(|row| row.name.as_str()).collect::<Vec<_>>()
    };
    let (slower, faster) = (moved(true), moved(false));
    (!slower.is_empty() && !faster.is_empty()).then(|| {
        format!(
            "some of what is reported got slower ({}), some faster ({}): compare them one by one",
            slower.join(", "),
            faster.join(", ")
        )
    })
}

fn sampling(comparison: &Comparison, samples: &SampleFacts) -> Vec<String> {
    let all = samples.base.saturating_add(samples.head);
    if all == 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let lost = samples.lost as f64 / (samples.lost as f64 + all as f64);
    if lost > 0.005 {
        found.push(format!("{:.1} % of the samples were lost", lost * 100.0));
    }
    let complete = samples.complete as f64 / all as f64;
    if complete < 0.95 {
        found.push(format!(
            "only {:.1} % of the stacks are complete, so that total times are too small",
            complete * 100.0
        ));
    }
    let fewest = samples.base.min(samples.head);
    if fewest < FEW_SAMPLES {
        found.push(format!(
            "there are only {fewest} samples a side; longer runs or more of them give more"
        ));
    }
    let sampled = |pair: &&Pair| pair.base.tally.is_some() && pair.head.tally.is_some();
    let pairs = comparison.pairs.iter().filter(sampled).count();
    if pairs < comparison.pairs.len() {
        found.push(format!(
            "only {pairs} of {} pairs were sampled",
            comparison.pairs.len()
        ));
    }
    found
}
