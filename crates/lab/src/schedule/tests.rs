//! The schedule with runs whose figures are invented.

use super::*;
use hotproof_diff::statistics::FEWEST_PAIRS;
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
    for (blocked_share, metric, warm_ups) in [(0.1, Metric::CpuTime, 1), (0.5, Metric::WallTime, 2)]
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
        let mut ignore = |_: &Invented, _: &Fixed, _: &mut Comparison, _: &mut dyn Observer| Ok(());
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
