//! What code layout alone does to the measured time, from runs of several links of the same code.
//!
//! Each run of a comparison with several layouts says which link of its ref ran. In each round all
//! links of both refs run once, so that the mean over the pairs with one link of head has all
//! links of base in it, and the other way round: two links of one ref then differ by layout and
//! noise alone. The largest such difference is the placebo, and becomes the margin that a gain has
//! to exceed, at most the minimum effect of interest. It comes from the pairs that it judges, which
//! the test allows: its E-values bound the chance of an error over all hypotheses together, because
//! only the E-value at the true effect has to stay small, and that of every larger gain is smaller
//! still (Ramdas, Grünwald, Vovk and Shafer 2023, "Game-theoretic statistics and safe anytime-valid
//! inference", on confidence sequences).

use crate::conclusion::Outcome;
use crate::statistics::{
    DECIDES_NO_EFFECT, Direction, FEWEST_PAIRS, LEVEL, PairedTest, hodges_lehmann, log_ratio,
    median, prior_scale, robust_sd,
};
use crate::values::{Comparison, Estimate, EstimateUnit, Pair, Rule, Side};

/// With fewer pairs of a link, its level is not known at all.
const FEWEST_PAIRS_OF_A_LINK: usize = 3;

/// What is known of one link of one ref.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayoutRow {
    /// Of which ref.
    pub side: Side,
    /// Which link, from 0; 0 is as the linker puts it.
    pub layout: u32,
    /// The pairs in which it ran.
    pub pairs: usize,
    /// head / base over those pairs (unit Ratio); unbounded for fewer than 11.
    pub ratio: Estimate,
    /// E-value against "head is not faster", of those pairs.
    pub faster: f64,
    /// E-value against "head is not slower".
    pub slower: f64,
}

impl LayoutRow {
    /// Whether its pairs alone show that head is faster, or slower, by any amount; 5 % a link,
    /// which is also the level of "all of them do".
    pub fn shows(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Faster => self.faster >= DECIDES_NO_EFFECT,
            Outcome::Slower => self.slower >= DECIDES_NO_EFFECT,
            Outcome::NoEffect | Outcome::Undecided => false,
        }
    }
}

/// What is known of layout in a comparison of several links.
#[derive(Debug, Clone, PartialEq)]
pub struct Layouts {
    /// Links of each ref.
    pub count: u32,
    /// The largest difference of two links of one ref, a fraction, noise included; `None` before
    /// each of them was in three pairs.
    pub placebo: Option<f64>,
    /// What the placebo would be on average if layout did nothing, from the spread of the pairs.
    pub noise: Option<f64>,
    /// d, as it judges: the placebo, at most the minimum effect of interest.
    pub margin: f64,
    /// Base's links in order, then head's.
    pub rows: Vec<LayoutRow>,
}

impl Layouts {
    /// What the pairs say of layout; `None` where each ref was linked once.
    pub fn of(comparison: &Comparison) -> Option<Layouts> {
        let count = comparison.setup.layouts;
        if count < 2 {
            return None;
        }
        let placebo = placebo(comparison, count);
        let prior = prior_scale(comparison.metric, &comparison.placebo);
        let links = [Side::Base, Side::Head]
            .into_iter()
            .flat_map(|side| (0..count).map(move |layout| (side, layout)));
        let row = |(side, layout)| {
            let values = values(comparison, side, layout);
            let test = PairedTest::of(prior, values.iter().copied());
            LayoutRow {
                side,
                layout,
                pairs: values.len(),
                ratio: test.interval(LEVEL, EstimateUnit::LogRatio).exponential(),
                faster: test.e_value(0.0, Direction::Below),
                slower: test.e_value(0.0, Direction::Above),
            }
        };
        let rows: Vec<LayoutRow> = links.map(row).collect();
        Some(Layouts {
            count,
            placebo,
            noise: noise(&rows, comparison, count),
            margin: bounded(placebo, &comparison.rule),
            rows,
        })
    }

    /// How many links of both refs show the outcome by their own pairs.
    pub fn showing(&self, outcome: Outcome) -> usize {
        self.rows.iter().filter(|row| row.shows(outcome)).count()
    }

    /// Whether the outcome holds over every link of both refs.
    pub fn all_show(&self, outcome: Outcome) -> bool {
        self.showing(outcome) == self.rows.len()
    }

    /// Whether each link ran in so many pairs that it could show something by itself.
    pub fn can_show(&self) -> bool {
        self.rows.iter().all(|row| row.pairs >= FEWEST_PAIRS)
    }
}

/// The rule that judges: its margin is what layout alone was seen to do, where that was measured.
pub(crate) fn rule_of(comparison: &Comparison) -> Rule {
    let rule = comparison.rule;
    if comparison.setup.layouts < 2 {
        return rule;
    }
    Rule {
        margin: bounded(placebo(comparison, comparison.setup.layouts), &rule),
        ..rule
    }
}

/// Until layout is known, it may do whatever is not of interest.
fn bounded(placebo: Option<f64>, rule: &Rule) -> f64 {
    placebo.map_or(rule.minimum_effect, |it| it.min(rule.minimum_effect))
}

fn placebo(comparison: &Comparison, count: u32) -> Option<f64> {
    let range = |side: Side| {
        let levels: Option<Vec<f64>> = (0..count)
            .map(|layout| {
                let values = values(comparison, side, layout);
                (values.len() >= FEWEST_PAIRS_OF_A_LINK).then(|| hodges_lehmann(&values))
            })
            .collect();
        let levels = levels?;
        let highest = levels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let lowest = levels.iter().copied().fold(f64::INFINITY, f64::min);
        Some((highest - lowest).exp_m1())
    };
    Some(range(Side::Base)?.max(range(Side::Head)?))
}

/// The mean range of as many Gaussian levels as there are links, each with the error of its pairs
/// (Tippett 1925 tabulates it in standard deviations); the next larger number of links in the table
/// stands for those between.
fn noise(rows: &[LayoutRow], comparison: &Comparison, count: u32) -> Option<f64> {
    const RANGES: [(u32, f64); 6] = [
        (2, 1.13),
        (3, 1.69),
        (4, 2.06),
        (6, 2.53),
        (10, 3.08),
        (16, 3.53),
    ];
    let (_, range) = RANGES
        .into_iter()
        .find(|(links, _)| *links >= count)
        .unwrap_or(RANGES[RANGES.len() - 1]);
    let errors = rows.iter().map(|row| {
        let values = values(comparison, row.side, row.layout);
        (values.len() >= FEWEST_PAIRS_OF_A_LINK)
            .then(|| robust_sd(&values) / (values.len() as f64).sqrt())
    });
    let errors: Vec<f64> = errors.collect::<Option<_>>()?;
    Some(range * median(&errors))
}

/// x of the pairs in which one link ran.
fn values(comparison: &Comparison, side: Side, layout: u32) -> Vec<f64> {
    let ran = |pair: &&Pair| match side {
        Side::Base => pair.base.layout == layout,
        Side::Head => pair.head.layout == layout,
    };
    let pairs = comparison.pairs.iter().filter(ran);
    pairs
        .filter_map(|pair| log_ratio(pair, comparison.metric))
        .collect()
}
