//! Comparisons made by hand: known work, known noise, fixed seeds.
#![allow(dead_code, unreachable_pub)] // Each test file uses a part of it.

use hotproof_diff::*;

/// SplitMix64 (Steele, Lea and Flood 2014): small, and the same everywhere.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1, without 0.
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    pub fn coin(&mut self) -> bool {
        self.bits() >> 63 == 1
    }

    /// Standard Gaussian, by Box and Muller.
    pub fn gaussian(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Student's t, by Bailey's polar method (1994).
    pub fn student(&mut self, freedom: f64) -> f64 {
        loop {
            let (u, v) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let w = u * u + v * v;
            if w <= 1.0 {
                return u * (freedom * (w.powf(-2.0 / freedom) - 1.0) / w).sqrt();
            }
        }
    }
}

/// A function of a made program: its own time and what the change does to it.
#[derive(Clone)]
pub struct Part {
    pub name: &'static str,
    pub change: Option<Change>,
    /// Own time in a base run.
    pub base_ms: f64,
    /// Own time in a head run.
    pub head_ms: f64,
}

pub fn part(name: &'static str, change: Option<Change>, base_ms: f64, head_ms: f64) -> Part {
    Part {
        name,
        change,
        base_ms,
        head_ms,
    }
}

/// A made comparison before it is measured.
#[derive(Clone)]
pub struct Made {
    pub parts: Vec<Part>,
    /// Spread of the time of one run, a fraction.
    pub run_sd: f64,
    pub samples_per_run: usize,
    pub pairs: usize,
    pub placebo: usize,
    pub seed: u64,
}

impl Made {
    pub fn of(parts: &[Part]) -> Self {
        Made {
            parts: parts.to_vec(),
            run_sd: 0.005,
            samples_per_run: 2_000,
            pairs: 40,
            placebo: 10,
            seed: 7,
        }
    }

    pub fn comparison(&self) -> Comparison {
        let mut dice = Dice::new(self.seed);
        let placebo = (0..self.placebo)
            .map(|_| self.pair(&mut dice, Side::Base))
            .collect();
        let pairs = (0..self.pairs)
            .map(|_| self.pair(&mut dice, Side::Head))
            .collect();
        Comparison {
            placebo,
            pairs,
            functions: self.functions(),
            ..empty()
        }
    }

    fn functions(&self) -> Vec<Function> {
        let function = |part: &Part| Function {
            name: part.name.to_owned(),
            key: format!("src/lib.rs::{}", part.name),
            file: Some("src/lib.rs".to_owned()),
            line: Some(1),
            change: part.change,
            cause: None,
        };
        self.parts.iter().map(function).collect()
    }

    fn pair(&self, dice: &mut Dice, second: Side) -> Pair {
        let order = if dice.coin() {
            Order::BaseFirst
        } else {
            Order::HeadFirst
        };
        Pair {
            order,
            base: self.run(dice, Side::Base),
            head: self.run(dice, second),
        }
    }

    fn run(&self, dice: &mut Dice, side: Side) -> Run {
        let own_ms = |part: &Part| match side {
            Side::Base => part.base_ms,
            Side::Head => part.head_ms,
        };
        let true_ms: f64 = self.parts.iter().map(own_ms).sum();
        let counts = self.sample(dice, side);
        let changed = |row: usize| self.parts[row].change.is_some();
        let tally = Tally {
            samples: self.samples_per_run as u64,
            complete: self.samples_per_run as u64,
            lost: 0,
            unjoinable: 0,
            changed_own: (0..counts.len())
                .filter(|&r| changed(r))
                .map(|r| counts[r])
                .sum(),
            changed_below: 0,
            functions: (0..counts.len())
                .map(|function| FunctionTally {
                    function,
                    total: counts[function],
                    own: counts[function],
                    physical_self: counts[function],
                    rest: if changed(function) {
                        0
                    } else {
                        counts[function]
                    },
                })
                .collect(),
        };
        let noise = (self.run_sd * dice.gaussian()).exp();
        let cpu_ns = (true_ms * 1e6 * noise) as u64;
        Run {
            metrics: metrics(
                cpu_ns,
                (cpu_ns as f64 * (1.02 + 0.02 * dice.uniform())) as u64,
            ),
            tally: Some(tally),
            layout: 0,
        }
    }

    /// Draws the samples of a run one by one.
    fn sample(&self, dice: &mut Dice, side: Side) -> Vec<u64> {
        let mut bounds = Vec::new();
        let mut sum = 0.0;
        for part in &self.parts {
            sum += match side {
                Side::Base => part.base_ms,
                Side::Head => part.head_ms,
            };
            bounds.push(sum);
        }
        let mut counts = vec![0; bounds.len()];
        for _ in 0..self.samples_per_run {
            let at = dice.uniform() * sum;
            let row = bounds.partition_point(|&bound| bound <= at);
            counts[row.min(bounds.len() - 1)] += 1;
        }
        counts
    }
}

pub fn metrics(cpu_ns: u64, wall_ns: u64) -> Metrics {
    Metrics {
        cpu_ns,
        cpu_source: CpuSource::TaskClock,
        wall_ns,
        user_ns: cpu_ns - cpu_ns / 10,
        system_ns: cpu_ns / 10,
        run_queue_ns: Some(0),
        peak_rss_bytes: 40 << 20,
        page_faults: 1_000,
        context_switches: 12,
        instructions: None,
        reported: Vec::new(),
    }
}

/// A comparison without a single run.
pub fn empty() -> Comparison {
    let facts = |name: &str| RefFacts {
        name: name.to_owned(),
        commit: "0".repeat(40),
        tree: format!("{name:1<40}"),
        subject: "subject".to_owned(),
    };
    Comparison {
        command: vec!["./bench".to_owned()],
        base: facts("main"),
        head: facts("HEAD"),
        machine: Machine::default(),
        rule: Rule::default(),
        metric: Metric::CpuTime,
        metric_reason: None,
        shared_time: SharedTime::Cpu,
        seed: 1,
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
