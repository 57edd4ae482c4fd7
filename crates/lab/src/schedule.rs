//! The order of runs: a warm-up pair that fixes how is measured, the A/A block, then pairs until
//! the rule, the user's maximum or the budget ends it.

use std::time::Duration;

use hotproof_diff::statistics::FEWEST_PAIRS;
use hotproof_diff::{
    Ceiling, Comparison, Estimate, Function, Metric, Metrics, Order, Pair, Run, Sequence, Side,
    Step, Verdict, conclude, log_ratio, next_step,
};

use crate::coin::Coin;
use crate::error::LabError;
use crate::event::{Checkout, Event, Observer};
use crate::facts;
use crate::rounds::Rounds;
use crate::run::{jittered, rate_for};

/// Pairs of the A/A block.
const PLACEBO_PAIRS: usize = 10;
/// Fewer A/A pairs say nothing about the noise.
const FEWEST_PLACEBO_PAIRS: usize = 5;
/// The A/A block ends when it has used this share of the budget.
const PLACEBO_SHARE: f64 = 1.0 / 3.0;
/// A program that blocks for more than this share of wall time is measured by wall time.
const BLOCKED_SHARE: f64 = 0.20;

/// What a schedule runs; processes in earnest, invented figures in tests.
pub(crate) trait Workload {
    /// What one run leaves, before it is counted up.
    type Raw;

    /// Runs one of its layouts once; 0 is the program as it was linked.
    fn execute(
        &mut self,
        checkout: Checkout,
        layout: u32,
        rate_hz: u64,
    ) -> Result<Self::Raw, LabError>;

    /// What was measured.
    fn metrics<'a>(&self, raw: &'a Self::Raw) -> &'a Metrics;

    /// Counts up what was sampled, as a run of layout 0; called between pairs, so that it does not
    /// separate the two runs of one.
    fn tally(&mut self, side: Side, raw: Self::Raw) -> Run;

    /// The rows of functions that runs were counted up for so far.
    fn functions(&self) -> Vec<Function>;

    /// Warm-up and A/A block are over: the runs from here on count.
    fn count_from_here(&mut self) {}

    /// Lets runs tell what they wait for from here on, where that is permitted; whether that is new.
    fn tell_waits(&mut self) -> bool {
        false
    }

    /// Time that the run spent neither computing nor waiting for a CPU, as far as can be told.
    fn blocked(&self, raw: &Self::Raw) -> Duration;

    /// No run may take much longer than the longest of the warm-up.
    fn limit(&mut self, longest: Duration);

    /// Since the first run.
    fn elapsed(&self) -> Duration;
}

/// What the user set.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Of the warm-up pair.
    pub(crate) rate_hz: u64,
    /// The kernel's ceiling.
    pub(crate) kernel_limit_hz: Option<u64>,
    /// For all runs.
    pub(crate) budget: Duration,
    /// The metric that was asked for.
    pub(crate) metric: Option<Metric>,
    /// Whether the workload reports times of its own.
    pub(crate) times_itself: bool,
    /// The function under which time counts.
    pub(crate) scope: Option<String>,
    /// A gain of so much peak memory is enough, however small a fraction that is.
    pub(crate) gain_bytes: Option<u64>,
    /// Whether base is compared with its copy first.
    pub(crate) placebo: Placebo,
    /// Whether runs are to be sampled.
    pub(crate) samples: bool,
    /// Links of each ref that take turns; below 2, one.
    pub(crate) layouts: u32,
}

/// The A/A block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placebo {
    /// Two builds of base are compared first.
    Wanted,
    /// There is only one program of base, and its noise shows in the pairs.
    LeftOut,
}

/// What the warm-up pair fixes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fixed {
    pub(crate) metric: Metric,
    pub(crate) metric_reason: Option<String>,
    pub(crate) rate_hz: u64,
    pub(crate) pair_time: Duration,
    pub(crate) peak_rss_bytes: u64,
}

/// What is to be done, and to be checked, once the warm-up pair has shown how is measured.
pub(crate) type WarmedUp<'f, W> =
    dyn FnMut(&W, &Fixed, &mut Comparison, &mut dyn Observer) -> Result<(), LabError> + 'f;

/// Runs everything and fills in `comparison`: metric, A/A pairs, pairs, warnings. The observer
/// hears of each pair; `warmed_up` is called once the warm-up pair is done, and its error ends all
/// before any pair. There are no counted pairs when the A/A block shows that the machine is too noisy
/// for any verdict.
pub(crate) fn run<W: Workload>(
    workload: &mut W,
    plan: Plan,
    comparison: &mut Comparison,
    observer: &mut dyn Observer,
    warmed_up: &mut WarmedUp<'_, W>,
) -> Result<(), LabError> {
    // Pairs that go on where others ended have a coin of their own, which follows from the seed.
    let earlier = comparison.pairs.len() as u64;
    let mut coin = Coin::new(comparison.seed.wrapping_add(earlier));
    let mut ceiling_waits = false;
    if comparison.base_runs.is_empty() && comparison.pairs.is_empty() {
        if plan.metric == Some(Metric::WallTime) {
            workload.tell_waits();
        }
        let blocked_share = look_at_base(workload, &plan, comparison)?;
        // Which time decides is fixed by the warm-up, and so is of what time the ceiling is a share.
        ceiling_waits = plan.metric.is_none() && blocked_share > BLOCKED_SHARE;
        if !ceiling_waits {
            tell_ceiling(comparison, observer);
        }
    }
    let (fixed, warm) = warm_up(workload, &plan, &mut coin)?;
    if let (Metric::PeakMemory, Some(bytes)) = (fixed.metric, plan.gain_bytes) {
        // Fixed before the first counted pair, like the metric.
        let share = bytes as f64 / fixed.peak_rss_bytes.max(1) as f64;
        comparison.rule.gain = comparison.rule.gain.min(share);
    }
    if fixed.metric == Metric::WallTime && workload.tell_waits() && comparison.pairs.is_empty() {
        // What was seen of base so far is time on the CPU, which does not decide.
        comparison.base_runs.clear();
        look_at_base(workload, &plan, comparison)?;
        ceiling_waits = true;
    }
    if ceiling_waits {
        tell_ceiling(comparison, observer);
    }
    comparison.metric = fixed.metric;
    comparison.metric_reason.clone_from(&fixed.metric_reason);
    let room = Room::left(&plan, &fixed, workload.elapsed());
    if comparison.pairs.is_empty() {
        warned(comparison, observer, room.warning(&plan, &fixed));
    }
    warmed_up(workload, &fixed, comparison, observer)?;
    let wanted = plan.placebo;
    let is_over = workload.elapsed() + fixed.pair_time > plan.budget;
    if is_over && wanted == Placebo::LeftOut {
        // A quick look keeps to its time, and there is nothing but this pair to be shown.
        comparison.pairs.push(warm);
        comparison.budget_used_up = true;
        return Ok(());
    }
    let rounds = Rounds::new(plan.layouts, comparison.seed.wrapping_add(earlier));
    let mut measuring = Measuring {
        rounds,
        workload,
        plan,
        fixed,
        coin,
    };
    if wanted == Placebo::Wanted && room.decides() && comparison.placebo.is_empty() {
        measuring.placebo(comparison, observer)?;
    }
    if is_hopeless(comparison) {
        return Ok(());
    }
    measuring.pairs(comparison, observer)
}

fn warned(comparison: &mut Comparison, observer: &mut dyn Observer, warning: Option<String>) {
    if let Some(text) = warning {
        observer.event(&Event::Notice(&text));
        comparison.warnings.push(text);
    }
}

/// Samples of base that a share is known well enough from: within two points or so.
const ENOUGH_SAMPLES: u64 = 4_000;
/// So many runs of base are looked at; the first one does not count when there are others, since
/// it read its files from disk.
const LOOKS: usize = 4;
/// Looking takes at most this share of the budget, but for two runs: only the second one is sampled
/// as often as its length asks for.
const LOOKS_SHARE: f64 = 1.0 / 20.0;

/// Runs of base alone, where functions changed: what they take is the most that can be won, and is
/// told before head has run. Returns the smallest share of wall time that one of them blocks for.
fn look_at_base<W: Workload>(
    workload: &mut W,
    plan: &Plan,
    comparison: &mut Comparison,
) -> Result<f64, LabError> {
    let changed = |functions: &[Function]| functions.iter().any(|it| it.change.is_some());
    if !plan.samples || !changed(&workload.functions()) {
        return Ok(0.0);
    }
    let mut rate_hz = plan.rate_hz;
    let mut blocked_share = f64::INFINITY;
    let mut runs: Vec<Run> = Vec::new();
    let mut samples = 0;
    let end = plan.budget.mul_f64(LOOKS_SHARE);
    while runs.len() < LOOKS && samples < ENOUGH_SAMPLES {
        let before = workload.elapsed();
        let took = before.checked_div(runs.len() as u32).unwrap_or_default();
        if runs.len() > 1 && before + took > end {
            break;
        }
        let raw = workload.execute(Checkout::Base, 0, rate_hz)?;
        rate_hz = rate_for(workload.metrics(&raw).cpu_ns, plan.kernel_limit_hz);
        blocked_share = blocked_share.min(share_blocked(workload, &raw));
        let run = workload.tally(Side::Base, raw);
        let Some(tally) = &run.tally else {
            // Nothing is sampled here: there is no share to be had.
            return Ok(0.0);
        };
        samples += tally.samples;
        runs.push(run);
    }
    if runs.len() > 1 {
        runs.remove(0);
    }
    comparison.base_runs = runs;
    comparison.functions = workload.functions();
    Ok(blocked_share)
}

/// The share of wall time that a run blocks for.
fn share_blocked<W: Workload>(workload: &W, raw: &W::Raw) -> f64 {
    let wall = Duration::from_nanos(workload.metrics(raw).wall_ns);
    workload.blocked(raw).as_secs_f64() / wall.as_secs_f64().max(1e-9)
}

fn tell_ceiling(comparison: &Comparison, observer: &mut dyn Observer) {
    if let Some(ceiling) = Ceiling::of(comparison) {
        observer.event(&Event::Ceiling {
            functions: &comparison.functions,
            ceiling: &ceiling,
        });
    }
}

/// One pair that is thrown away where there is time for others; a second one when the first seems to
/// block, because the first read its files from disk.
fn warm_up<W: Workload>(
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

/// How many pairs the budget has room for after the warm-up, A/A pairs among them.
#[derive(Debug, Clone, Copy)]
struct Room {
    pairs: f64,
}

impl Room {
    fn left(plan: &Plan, fixed: &Fixed, elapsed: Duration) -> Room {
        let left = plan.budget.saturating_sub(elapsed);
        let pairs = left.as_secs_f64() / fixed.pair_time.as_secs_f64().max(1e-9);
        Room {
            pairs: pairs.floor(),
        }
    }

    /// Whether a verdict can come of it. Where none can, the A/A block would only take time from
    /// the pairs, which show at least what they show.
    fn decides(self) -> bool {
        self.pairs >= FEWEST_PAIRS as f64
    }

    fn warning(self, plan: &Plan, fixed: &Fixed) -> Option<String> {
        let placebo = match plan.placebo {
            Placebo::Wanted => FEWEST_PLACEBO_PAIRS,
            Placebo::LeftOut => 0,
        };
        if self.pairs >= (FEWEST_PAIRS + placebo) as f64 {
            return None;
        }
        let plural = if self.pairs == 1.0 { "" } else { "s" };
        let left_out = if self.decides() || plan.placebo == Placebo::LeftOut {
            ""
        } else {
            ", so two builds of base are not compared first"
        };
        let first = if left_out.is_empty() && plan.placebo == Placebo::Wanted {
            format!(" after {FEWEST_PLACEBO_PAIRS} of base with itself")
        } else {
            String::new()
        };
        let kept = match plan.placebo {
            Placebo::Wanted => {
                "; what is measured now is kept, and `hotproof verdict --resume` adds to it"
            }
            Placebo::LeftOut => "",
        };
        Some(format!(
            "the budget of {} s has room for about {:.0} pair{plural}, and a verdict takes {FEWEST_PAIRS} at least{first}{left_out}: give it --budget {} or more, or the workload less work per run{kept}",
            crate::error::seconds(plan.budget),
            self.pairs,
            enough_s(fixed.pair_time)
        ))
    }
}

/// A budget that a verdict can come of, in whole seconds: the A/A block, the fewest pairs and the
/// warm-up pair, and a tenth for pairs that take longer than that one did.
fn enough_s(pair_time: Duration) -> u64 {
    let pairs = (PLACEBO_PAIRS + FEWEST_PAIRS + 1) as f64;
    (pair_time.as_secs_f64() * pairs * 1.1).ceil() as u64
}

struct Measuring<'a, W: Workload> {
    workload: &'a mut W,
    plan: Plan,
    fixed: Fixed,
    coin: Coin,
    rounds: Rounds,
}

impl<W: Workload> Measuring<'_, W> {
    /// One pair of base and `other`, in the order of the coin.
    fn pair(&mut self, other: Checkout) -> Result<Pair, LabError> {
        let order = self.coin.toss();
        let rate_hz = jittered(self.fixed.rate_hz, self.coin.number());
        let other_side = match other {
            Checkout::Head => Side::Head,
            Checkout::Base | Checkout::Copy => Side::Base,
        };
        // Two builds of the same are compared as they are: their difference is the machine's.
        let (of_base, of_other) = match other {
            Checkout::Head => self.rounds.next(),
            Checkout::Base | Checkout::Copy => (0, 0),
        };
        let mut run = |checkout, layout| self.workload.execute(checkout, layout, rate_hz);
        let (base, head) = match order {
            Order::BaseFirst => {
                let base = run(Checkout::Base, of_base)?;
                (base, run(other, of_other)?)
            }
            Order::HeadFirst => {
                let head = run(other, of_other)?;
                (run(Checkout::Base, of_base)?, head)
            }
        };
        Ok(Pair {
            order,
            base: Run {
                layout: of_base,
                ..self.workload.tally(Side::Base, base)
            },
            head: Run {
                layout: of_other,
                ..self.workload.tally(other_side, head)
            },
        })
    }

    /// The A/A block: base against its second copy.
    fn placebo(
        &mut self,
        comparison: &mut Comparison,
        observer: &mut dyn Observer,
    ) -> Result<(), LabError> {
        let end = self.plan.budget.mul_f64(PLACEBO_SHARE);
        for done in 1..=PLACEBO_PAIRS {
            if self.workload.elapsed() + self.fixed.pair_time > end {
                warned(comparison, observer, Some(short_placebo(done - 1)));
                break;
            }
            comparison.placebo.push(self.pair(Checkout::Copy)?);
            observer.event(&Event::Placebo {
                done,
                of: PLACEBO_PAIRS,
                elapsed: self.workload.elapsed(),
            });
        }
        Ok(())
    }

    fn pairs(
        &mut self,
        comparison: &mut Comparison,
        observer: &mut dyn Observer,
    ) -> Result<(), LabError> {
        let (rule, metric) = (comparison.rule, comparison.metric);
        let mut sequence = Sequence::of(comparison);
        self.workload.count_from_here();
        let mut longest = self.fixed.pair_time;
        while next_step(comparison) == Step::Continue {
            // The first pair is measured whatever the budget says: nothing is worse than no answer.
            let before = self.workload.elapsed();
            if before + longest > self.plan.budget && !comparison.pairs.is_empty() {
                comparison.budget_used_up = true;
                break;
            }
            let pair = self.pair(Checkout::Head)?;
            longest = longest.max(self.workload.elapsed().saturating_sub(before));
            if let Some(x) = log_ratio(&pair, metric) {
                sequence.push(x);
            }
            comparison.pairs.push(pair);
            observer.event(&Event::Pair {
                done: comparison.pairs.len(),
                at_most: rule.max_pairs,
                elapsed: self.workload.elapsed(),
                interim: bounded(sequence.interval()),
            });
        }
        Ok(())
    }
}

fn bounded(estimate: Estimate) -> Option<Estimate> {
    (estimate.low.is_finite() && estimate.high.is_finite()).then_some(estimate)
}

fn short_placebo(done: usize) -> String {
    format!(
        "only {done} of {PLACEBO_PAIRS} pairs of two builds of base fit into a third of the budget, so the noise of the machine is known less well"
    )
}

/// Whether two builds of the same code differ so much from pair to pair that the verdict is a
/// refusal already; the rule for that is the verdict's own.
fn is_hopeless(comparison: &Comparison) -> bool {
    conclude(comparison).verdict == Verdict::Refused
}

/// How many threads a run had, those of its children among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The main thread alone.
    One,
    /// Nobody knows, or there were more.
    OneOrMore,
}

/// Time in which a run neither computed nor waited for a CPU.
///
/// The kernel tells the waiting of the main thread alone. With more threads than that, waiting
/// counts wherever any task of the machine waited, so that a busy machine is never taken for a
/// program that blocks.
pub(crate) fn blocked(metrics: &Metrics, threads: Threads, pressure_ns: Option<u64>) -> Duration {
    let waited = match (threads, metrics.run_queue_ns) {
        (Threads::One, Some(main)) => main,
        (_, main) => main.unwrap_or(0).max(pressure_ns.unwrap_or(0)),
    };
    let busy = metrics.cpu_ns.saturating_add(waited);
    Duration::from_nanos(metrics.wall_ns.saturating_sub(busy))
}

/// The kernel's own ceiling for the rate, as [`Plan::kernel_limit_hz`] wants it: one below, since
/// at the limit itself the kernel throttles.
pub(crate) fn kernel_limit_hz() -> Option<u64> {
    facts::max_sample_rate_hz().map(|limit| limit.saturating_sub(1).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotproof_diff::{
        CpuSource, Machine, OutputCheck, RefFacts, Rule, Setup, SharedTime, TestCheck,
    };

    use crate::event::Silent;

    /// Runs whose figures are invented: CPU time by checkout, in milliseconds, times noise.
    struct Invented {
        cpu_ms: [f64; 3],
        /// Spread of the noise, a fraction.
        noise: f64,
        blocked_share: f64,
        random: Coin,
        ran: Vec<(Checkout, u64)>,
        elapsed: Duration,
        limit: Option<Duration>,
    }

    impl Invented {
        fn new(cpu_ms: [f64; 3], noise: f64) -> Invented {
            Invented {
                cpu_ms,
                noise,
                blocked_share: 0.0,
                random: Coin::new(11),
                ran: Vec::new(),
                elapsed: Duration::ZERO,
                limit: None,
            }
        }
    }

    impl Workload for Invented {
        type Raw = Metrics;

        fn execute(
            &mut self,
            checkout: Checkout,
            _layout: u32,
            rate_hz: u64,
        ) -> Result<Metrics, LabError> {
            self.ran.push((checkout, rate_hz));
            let uniform = self.random.number() as f64 / u64::MAX as f64;
            let noise = 1.0 + self.noise * (uniform - 0.5);
            let cpu_ns = (self.cpu_ms[checkout as usize] * noise * 1e6) as u64;
            let wall_ns = (cpu_ns as f64 / (1.0 - self.blocked_share)) as u64;
            self.elapsed += Duration::from_nanos(wall_ns);
            Ok(Metrics {
                cpu_ns,
                cpu_source: CpuSource::TaskClock,
                wall_ns,
                user_ns: cpu_ns,
                system_ns: 0,
                run_queue_ns: Some(0),
                peak_rss_bytes: 1,
                page_faults: 1,
                context_switches: 1,
                instructions: None,
                reported: Vec::new(),
            })
        }

        fn metrics<'a>(&self, raw: &'a Metrics) -> &'a Metrics {
            raw
        }

        fn tally(&mut self, _side: Side, raw: Metrics) -> Run {
            Run {
                metrics: raw,
                tally: None,
                layout: 0,
            }
        }

        fn blocked(&self, raw: &Metrics) -> Duration {
            blocked(raw, Threads::One, None)
        }

        fn functions(&self) -> Vec<Function> {
            Vec::new()
        }

        fn limit(&mut self, longest: Duration) {
            self.limit = Some(longest);
        }

        fn elapsed(&self) -> Duration {
            self.elapsed
        }
    }

    fn comparison(seed: u64) -> Comparison {
        let facts = RefFacts {
            name: String::new(),
            commit: String::new(),
            tree: String::new(),
            subject: String::new(),
        };
        Comparison {
            command: Vec::new(),
            base: facts.clone(),
            head: facts,
            machine: Machine::default(),
            rule: Rule::default(),
            metric: Metric::CpuTime,
            metric_reason: None,
            shared_time: SharedTime::Cpu,
            seed,
            policy: "statistical".to_owned(),
            setup: Setup::default(),
            tests: TestCheck::NotRun,
            base_runs: Vec::new(),
            placebo: Vec::new(),
            pairs: Vec::new(),
            functions: Vec::new(),
            outside: Vec::new(),
            code_changed: true,
            output: OutputCheck::Same,
            warnings: Vec::new(),
            budget_used_up: false,
            witness: None,
        }
    }

    fn scheduled(workload: &mut Invented, budget_s: u64) -> (Comparison, Result<(), LabError>) {
        let mut comparison = comparison(5);
        let plan = plan(budget_s);
        let mut ignore = |_: &Invented, _: &Fixed, _: &mut Comparison, _: &mut dyn Observer| Ok(());
        let result = run(workload, plan, &mut comparison, &mut Silent, &mut ignore);
        (comparison, result)
    }

    fn plan(budget_s: u64) -> Plan {
        Plan {
            rate_hz: 997,
            kernel_limit_hz: None,
            budget: Duration::from_secs(budget_s),
            metric: None,
            times_itself: false,
            scope: None,
            gain_bytes: None,
            placebo: Placebo::Wanted,
            samples: true,
            layouts: 1,
        }
    }

    #[test]
    fn warm_up_then_placebo_then_pairs_each_back_to_back() {
        let mut workload = Invented::new([200.0, 100.0, 200.0], 0.01);
        let (comparison, result) = scheduled(&mut workload, 300);
        result.unwrap();
        assert_eq!(comparison.placebo.len(), PLACEBO_PAIRS);
        assert!((FEWEST_PAIRS..20).contains(&comparison.pairs.len()));
        let ran: Vec<Checkout> = workload.ran.iter().map(|&(checkout, _)| checkout).collect();
        assert_eq!(ran[..2], [Checkout::Base, Checkout::Head]);
        assert_eq!(
            ran.len(),
            2 + 2 * (comparison.placebo.len() + comparison.pairs.len())
        );
        let pairs = comparison.placebo.iter().chain(&comparison.pairs);
        for (index, (pair, two)) in pairs.zip(ran[2..].chunks(2)).enumerate() {
            let other = if index < PLACEBO_PAIRS {
                Checkout::Copy
            } else {
                Checkout::Head
            };
            let expected = match pair.order {
                Order::BaseFirst => [Checkout::Base, other],
                Order::HeadFirst => [other, Checkout::Base],
            };
            assert_eq!(two, expected, "pair {index}");
        }
        assert!(workload.limit.unwrap() >= Duration::from_millis(199));
    }

    /// A resumed comparison that is sampled in another way than before used its whole budget, and then
    /// left a mixture of both.
    #[test]
    fn what_the_warm_up_shows_can_end_all_before_any_pair() {
        let mut workload = Invented::new([200.0, 100.0, 200.0], 0.01);
        let mut comparison = comparison(5);
        let mut refuse = |_: &Invented, _: &Fixed, _: &mut Comparison, _: &mut dyn Observer| {
            Err(LabError::Interrupted)
        };
        let plan = plan(300);
        let result = run(
            &mut workload,
            plan,
            &mut comparison,
            &mut Silent,
            &mut refuse,
        );
        assert!(matches!(result, Err(LabError::Interrupted)));
        assert_eq!((workload.ran.len(), comparison.pairs.len()), (2, 0));
        assert!(comparison.placebo.is_empty());
    }

    #[test]
    fn both_runs_of_a_pair_are_sampled_at_one_rate_that_fits_their_length() {
        let mut workload = Invented::new([400.0, 400.0, 400.0], 0.01);
        scheduled(&mut workload, 300).1.unwrap();
        let rates: Vec<u64> = workload.ran.iter().map(|&(_, rate_hz)| rate_hz).collect();
        for two in rates[2..].chunks(2) {
            assert_eq!(two[0], two[1]);
            // About 2,000 samples in 0.4 s, up to two per cent slower.
            assert!((4_850..=5_050).contains(&two[0]), "{two:?}");
        }
        assert!(rates[2..].iter().any(|&rate| rate != rates[2]));
    }

    #[test]
    fn blocking_makes_wall_time_primary_after_a_second_look() {
        for (blocked_share, metric, warm_ups) in
            [(0.1, Metric::CpuTime, 1), (0.5, Metric::WallTime, 2)]
        {
            let mut workload = Invented::new([100.0, 100.0, 100.0], 0.01);
            workload.blocked_share = blocked_share;
            let (comparison, result) = scheduled(&mut workload, 300);
            result.unwrap();
            assert_eq!(comparison.metric, metric);
            assert_eq!(
                comparison.metric_reason.is_some(),
                metric == Metric::WallTime
            );
            let counted = comparison.placebo.len() + comparison.pairs.len();
            assert_eq!(workload.ran.len(), 2 * (counted + warm_ups));
        }
    }

    #[test]
    fn the_budget_cuts_the_placebo_to_a_third_and_ends_the_pairs() {
        let mut workload = Invented::new([1_000.0, 1_000.0, 1_000.0], 0.2);
        let (comparison, result) = scheduled(&mut workload, 45);
        result.unwrap();
        assert!(
            (5..=7).contains(&comparison.placebo.len()),
            "{}",
            comparison.placebo.len()
        );
        assert!(comparison.budget_used_up);
        assert!(
            workload.elapsed <= Duration::from_secs(46),
            "{:?}",
            workload.elapsed
        );
        assert!(
            comparison
                .warnings
                .iter()
                .any(|text| text.contains("third of the budget"))
        );
    }

    #[test]
    fn a_tiny_budget_still_measures_one_pair_and_says_that_it_cannot_decide() {
        let mut workload = Invented::new([1_000.0, 1_000.0, 1_000.0], 0.01);
        let (comparison, result) = scheduled(&mut workload, 1);
        result.unwrap();
        assert_eq!((comparison.placebo.len(), comparison.pairs.len()), (0, 1));
        assert!(comparison.budget_used_up);
        assert!(
            comparison.warnings[0].contains("--budget"),
            "{:?}",
            comparison.warnings
        );
    }

    /// Five pairs of two seconds fit into what the warm-up leaves of 12 s: no verdict can come of
    /// them, so no A/A pair takes their place, and the warning names a budget that is enough.
    #[test]
    fn a_budget_that_cannot_decide_skips_the_placebo_and_names_one_that_can() {
        let mut workload = Invented::new([1_000.0, 1_000.0, 1_000.0], 0.0);
        let (comparison, result) = scheduled(&mut workload, 12);
        result.unwrap();
        assert_eq!((comparison.placebo.len(), comparison.pairs.len()), (0, 5));
        assert!(comparison.budget_used_up);
        let [warning] = &comparison.warnings[..] else {
            panic!("{:?}", comparison.warnings);
        };
        for words in ["about 5 pairs,", "not compared first", "--budget 49 "] {
            assert!(warning.contains(words), "{words:?} in {warning}");
        }
        let mut workload = Invented::new([1_000.0, 500.0, 1_000.0], 0.0);
        let (comparison, result) = scheduled(&mut workload, 49);
        result.unwrap();
        assert!(comparison.pairs.len() >= FEWEST_PAIRS);
        assert_eq!(conclude(&comparison).verdict, Verdict::KeepUnattributed);
    }

    /// A quick look of sleepers took twice its time: a second warm-up, and a pair after it.
    #[test]
    fn a_quick_look_keeps_to_its_budget() {
        let elapsed = |run_s: f64, blocked_share| {
            let mut workload = Invented::new([1_000.0 * run_s * (1.0 - blocked_share); 3], 0.0);
            workload.blocked_share = blocked_share;
            let plan = Plan {
                placebo: Placebo::LeftOut,
                ..plan(10)
            };
            let mut comparison = comparison(5);
            let mut ignore =
                |_: &Invented, _: &Fixed, _: &mut Comparison, _: &mut dyn Observer| Ok(());
            run(
                &mut workload,
                plan,
                &mut comparison,
                &mut Silent,
                &mut ignore,
            )
            .unwrap();
            assert!(comparison.budget_used_up);
            (
                workload.elapsed.as_secs_f64().round(),
                comparison.pairs.len(),
            )
        };
        for blocked_share in [0.0, 0.9] {
            assert_eq!(elapsed(3.0, blocked_share), (6.0, 1), "{blocked_share}");
            assert_eq!(elapsed(4.9, blocked_share), (10.0, 1), "{blocked_share}");
        }
        assert_eq!(elapsed(2.0, 0.0), (8.0, 1));
        assert_eq!(elapsed(1.0, 0.9), (10.0, 3));
    }

    #[test]
    fn one_pair_is_one() {
        let mut workload = Invented::new([1_000.0, 1_000.0, 1_000.0], 0.0);
        let (comparison, result) = scheduled(&mut workload, 4);
        result.unwrap();
        let warning = &comparison.warnings[0];
        assert!(warning.contains("about 1 pair,"), "{warning}");
    }

    #[test]
    fn a_hopeless_machine_is_refused_after_the_placebo() {
        let mut workload = Invented::new([100.0, 100.0, 100.0], 1.6);
        let (comparison, result) = scheduled(&mut workload, 300);
        result.unwrap();
        assert_eq!(
            (comparison.placebo.len(), comparison.pairs.len()),
            (PLACEBO_PAIRS, 0)
        );
        assert_eq!(conclude(&comparison).verdict, Verdict::Refused);
    }

    #[test]
    fn a_busy_machine_is_not_a_program_that_blocks() {
        let of = |threads, run_queue_ns, pressure_ns| {
            let metrics = Metrics {
                run_queue_ns,
                wall_ns: 100,
                ..Invented::new([0.0; 3], 0.0)
                    .execute(Checkout::Base, 0, 1)
                    .unwrap()
            };
            let metrics = Metrics {
                cpu_ns: 40,
                ..metrics
            };
            blocked(&metrics, threads, pressure_ns).as_nanos()
        };
        assert_eq!(of(Threads::One, Some(50), Some(100)), 10);
        assert_eq!(of(Threads::One, Some(0), Some(100)), 60);
        assert_eq!(of(Threads::OneOrMore, Some(0), Some(100)), 0);
        assert_eq!(of(Threads::OneOrMore, Some(20), None), 40);
        assert_eq!(of(Threads::OneOrMore, None, Some(55)), 5);
    }
}
