//! The values of a comparison: what `lab` measures, what this crate decides over, what `report`
//! shows. Times are nanoseconds, memory is bytes, samples are counts.

use std::borrow::Cow;

use crate::conclusion::Quantity;

/// Which of the two refs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The ref that the change starts from.
    Base,
    /// The ref with the change.
    Head,
}

/// A row of [`Comparison::functions`].
pub type FunctionRow = usize;

/// What is compared first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// CPU time of the process tree.
    CpuTime,
    /// Wall time.
    WallTime,
    /// The time that the workload itself reports: of an iteration, by a benchmark harness, or of
    /// what a script timed.
    Reported,
    /// Peak memory.
    PeakMemory,
    /// Instructions, where they can be counted.
    Instructions,
}

/// Which time of a run its tallies share out among functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SharedTime {
    /// What samples stand for: time on the CPU.
    #[default]
    Cpu,
    /// Wall time: waits were recorded as well, to the nanosecond. Each moment counts once; one in
    /// which several threads ran is shared among them, and one in which none ran belongs to the
    /// thread that ran next. A wait is the own time of the innermost function of the user's that
    /// waits.
    Wall,
}

/// Where the CPU time of a run comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CpuSource {
    /// An inherited task-clock counter: exact, orphans included.
    TaskClock,
    /// `wait4`: misses orphans, and children whose parent ignores SIGCHLD.
    Wait4,
}

/// A time that the workload itself reports.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportedTime {
    /// What it is the time of: the name of a benchmark. Unique in a run.
    pub name: String,
    /// Nanoseconds, above 0; of one iteration where a harness reports it.
    pub time_ns: f64,
}

/// What was measured of one run, whole process tree unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// CPU time.
    pub cpu_ns: u64,
    /// Who counted it.
    pub cpu_source: CpuSource,
    /// From the release of the stopped child to its end.
    pub wall_ns: u64,
    /// User part of the CPU time, by ticks: never to be used alone.
    pub user_ns: u64,
    /// System part of the CPU time, by ticks: never to be used alone.
    pub system_ns: u64,
    /// Time that the child was ready but waited for a CPU; `None` when the kernel does not tell.
    pub run_queue_ns: Option<u64>,
    /// Largest resident set of any one process of the tree.
    pub peak_rss_bytes: u64,
    /// Page faults, minor and major.
    pub page_faults: u64,
    /// Context switches.
    pub context_switches: u64,
    /// Instructions; `None` without a hardware counter.
    pub instructions: Option<u64>,
    /// What the workload itself reports, in its own order; empty for all but harnesses and
    /// scripts.
    pub reported: Vec<ReportedTime>,
}

/// Samples of one function in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionTally {
    /// Which.
    pub function: FunctionRow,
    /// Samples that have it anywhere on the stack, each once.
    pub total: u64,
    /// Samples whose leaf's inline chain holds it innermost among the functions of the user:
    /// library code inlined into it counts as its own.
    pub own: u64,
    /// Samples whose innermost frame it is.
    pub physical_self: u64,
    /// Of [`FunctionTally::own`], those with no changed function on the stack: what cannot be put
    /// down to a changed caller.
    pub rest: u64,
}

/// What the profile of one run says. Where wall time is shared out ([`Comparison::shared_time`]), a
/// sample is as much of it as lies between two samples, waits included.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tally {
    /// All samples.
    pub samples: u64,
    /// Samples whose stack is complete.
    pub complete: u64,
    /// Samples that the kernel dropped.
    pub lost: u64,
    /// Samples without a changed function on the stack that may have one all the same: code on it
    /// has no declared place (no debug information) and is no system library's.
    pub unjoinable: u64,
    /// C: samples whose leaf's inline chain holds a changed function, each once.
    pub changed_own: u64,
    /// D: samples with a changed function on the stack that are not in C.
    pub changed_below: u64,
    /// Functions that were seen, ordered by row.
    pub functions: Vec<FunctionTally>,
}

/// One execution of the workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What was measured.
    pub metrics: Metrics,
    /// What was sampled; `None` where sampling is not permitted.
    pub tally: Option<Tally>,
    /// Which link of its ref ran, from 0; 0 is as the linker puts it.
    pub layout: u32,
}

/// Which run of a pair came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Base, then head.
    BaseFirst,
    /// Head, then base.
    HeadFirst,
}

/// One run of base and one of head, back to back.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Whose run came first, by a fair coin.
    pub order: Order,
    /// The run of base.
    pub base: Run,
    /// The run of head; in an A/A block, of the second copy of base.
    pub head: Run,
}

/// How a function differs between the refs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// In both, with changed lines.
    Modified,
    /// At head only.
    Added,
    /// At base only.
    Removed,
    /// Named by `--functions`, whatever the diff says.
    Chosen,
    /// In both with the same lines, but it uses a constant or a static that changed.
    UsesConstant,
    /// In both with the same lines, but it uses a type, a field or an import that changed.
    UsesType,
    /// In both with the same lines, but it expands a macro that changed.
    ExpandsMacro,
    /// Of a dependency whose version changed.
    Dependency,
}

/// One function of the comparison, the same row for both refs.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// What a person reads: `parse::number`.
    pub name: String,
    /// What identifies it across the refs: `src/parse.rs::number`. Unique in the table.
    pub key: String,
    /// File, relative to the top of the repository where it lies in it.
    pub file: Option<String>,
    /// First line at head, else at base, counted from 1.
    pub line: Option<u32>,
    /// How the diff touches it; `None` when it does not.
    pub change: Option<Change>,
    /// What changed, where the function's own lines did not: `constant LIMIT`, `macro check`,
    /// `foo 1.2.3 -> 1.2.4`; `None` for all other functions.
    pub cause: Option<String>,
}

impl Function {
    /// Why a function counts as changed whose own lines did not: `uses changed constant LIMIT`,
    /// `expands changed macro check`, `dependency foo 1.2.3 -> 1.2.4`.
    pub fn cause_in_words(&self) -> Option<String> {
        let cause = self.cause.as_deref()?;
        Some(match self.change? {
            Change::UsesConstant | Change::UsesType => format!("uses changed {cause}"),
            Change::ExpandsMacro => format!("expands changed {cause}"),
            Change::Dependency => format!("dependency {cause}"),
            Change::Modified | Change::Added | Change::Removed | Change::Chosen => return None,
        })
    }
}

/// What an [`OutsideChange`] calls lines of a build file that say how code is compiled.
pub const BUILD_FLAGS: &str = "build flags";

/// Lines of the diff that belong to no function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutsideChange {
    /// The file, at head unless it was removed.
    pub file: String,
    /// First changed line.
    pub line: u32,
    /// What lies there: `constant`, `macro`, `build file`, [`BUILD_FLAGS`], `lock file`, `other code`.
    pub what: String,
}

/// A ref, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefFacts {
    /// As the user wrote it.
    pub name: String,
    /// The commit.
    pub commit: String,
    /// The tree.
    pub tree: String,
    /// First line of the commit message.
    pub subject: String,
}

/// What is known of the machine, to be shown and logged.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Machine {
    /// CPU model.
    pub cpu_model: String,
    /// CPUs online.
    pub cpus: u32,
    /// Kernel release.
    pub kernel: String,
    /// Load average over a minute when the comparison began.
    pub load: f64,
    /// Event that was sampled; `None` where sampling is not permitted.
    pub event: Option<String>,
    /// Rate of sampling.
    pub rate_hz: Option<u64>,
    /// Which rung of the permission ladder ran, in words.
    pub rung: String,
    /// Why there is no attribution and what to do, where sampling is not permitted.
    pub refusal: Option<String>,
    /// Stolen time during the measurement, in per cent of all CPU time; `None` when unknown.
    pub stolen_pct: Option<f64>,
    /// Frequency governor, where there is one.
    pub governor: Option<String>,
}

/// Whether both refs wrote the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputCheck {
    /// Standard output was the same in all runs.
    Same,
    /// Base and head wrote different things.
    Different,
    /// Even two runs of one ref differ, so that nothing follows.
    Unstable,
}

/// What the project's tests say of head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TestCheck {
    /// They were not run.
    #[default]
    NotRun,
    /// They passed: where they fail, nothing is measured.
    Passed,
}

/// How the workload was set up, as far as it takes to measure it again the same way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setup {
    /// What the project calls the workload; `None` for a command that was given directly.
    pub workload: Option<String>,
    /// The shell command that built each ref; `None` where cargo or nothing did.
    pub build: Option<String>,
    /// The product of cargo that runs, as its flag names it: `bench parse`.
    pub product: Option<String>,
    /// Where the command ran, relative to the top of the checkout.
    pub directory: String,
    /// Variables that were set, sorted.
    pub environment: Vec<(String, String)>,
    /// File that was its standard input, relative to the directory.
    pub stdin: Option<String>,
    /// The exit status of a good run.
    pub exit_status: i32,
    /// How often the command was repeated in one run, one after the other.
    pub repetitions: u32,
    /// How many copies of it ran at once.
    pub concurrency: u32,
    /// The function under which time counts; `None` for all of it.
    pub scope: Option<String>,
    /// The harness whose report was read: `criterion`.
    pub harness: Option<String>,
    /// Files that were compared beside standard output.
    pub outputs: Vec<String>,
    /// The functions of interest, when the user named them.
    pub functions: Option<String>,
    /// What built the refs, as far as it can be told: compilers with their versions, flags of the
    /// environment. Empty where nothing was built.
    pub tools: Vec<String>,
    /// Whether a harness was run as if it did a fixed amount of work.
    pub fixed_work: bool,
    /// So many links of each ref with their sections in other orders; below 2, one as it is.
    pub layouts: u32,
}

/// What the user asked of the rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// d: the layout margin, a fraction (0.005); where several layouts are measured, what they
    /// show takes its place.
    pub margin: f64,
    /// The gain that a keep needs beyond the margin, a fraction (0.2 for a fifth less time); 0
    /// keeps all that is faster than the margin.
    pub gain: f64,
    /// Whether a keep needs the changed functions known to be hot.
    pub needs_hot: bool,
    /// A base run that takes less time cannot be told from its start and end.
    pub shortest_run_ns: u64,
    /// Workloads that are decided together: evidence for each has to be so many times as strong.
    pub workloads: u32,
    /// MEI: the minimum effect of interest, a fraction (0.01).
    pub minimum_effect: f64,
    /// At most so many pairs.
    pub max_pairs: usize,
    /// At most so many pairs for the sake of precision: further ones are for what is undecided.
    pub precision_pairs: usize,
    /// Half width of the interval to go on for, in fractions (0.005), or a quarter of the
    /// estimate where that is more; 0 goes on for as many pairs as there may be.
    pub precision: f64,
    /// Floor of the total share above which a function is hot, a fraction (0.01).
    pub hot_floor: f64,
    /// Gain of the function itself that makes a micro-only keep, a fraction (0.2).
    pub micro_threshold: f64,
    /// Whether different output still allows a keep.
    pub allow_different_output: bool,
}

impl Default for Rule {
    fn default() -> Self {
        Rule {
            margin: 0.005,
            gain: 0.0,
            needs_hot: false,
            shortest_run_ns: 5_000_000,
            workloads: 1,
            minimum_effect: 0.01,
            max_pairs: 400,
            precision_pairs: 150,
            precision: 0.005,
            hot_floor: 0.01,
            micro_threshold: 0.2,
            allow_different_output: false,
        }
    }
}

/// What a keep needs: thresholds by domain, with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// What people call it.
    pub name: String,
    /// The primary metric; `None` leaves the choice to the warm-up pair.
    pub metric: Option<Metric>,
    /// The gain that a keep needs, a fraction; 0 keeps all that is faster than the margin.
    pub gain: f64,
    /// A gain of so many bytes is enough as well, however small a fraction that is.
    pub gain_bytes: Option<u64>,
    /// The gain of a changed function itself that is enough for a micro-only keep, a fraction.
    pub micro_threshold: f64,
    /// Whether a keep needs the changed functions known to be hot.
    pub needs_hot: bool,
    /// A base run that takes less time cannot be told from its start and end.
    pub shortest_run_ns: u64,
}

impl Policy {
    /// The name of the default.
    pub const STATISTICAL: &'static str = "statistical";

    /// Faster than the margin.
    pub fn statistical() -> Policy {
        let rule = Rule::default();
        Policy {
            name: Policy::STATISTICAL.to_owned(),
            metric: None,
            gain: rule.gain,
            gain_bytes: None,
            micro_threshold: rule.micro_threshold,
            needs_hot: rule.needs_hot,
            shortest_run_ns: rule.shortest_run_ns,
        }
    }

    /// The policies that need no definition: `statistical`; `cpu`, more than 20 % end to end or a
    /// changed function twice as fast, and on the hot path; `memory`, more than 10 MiB or 10 % of
    /// peak memory; `async`, more than 20 % of wall time or a function twice as fast; `startup`,
    /// wall time of runs that may be short.
    pub fn all() -> [Policy; 5] {
        let statistical = Policy::statistical();
        let of = |name: &str, metric, gain| Policy {
            name: name.to_owned(),
            metric,
            gain,
            ..statistical.clone()
        };
        let cpu = Policy {
            micro_threshold: 0.5,
            needs_hot: true,
            ..of("cpu", Some(Metric::CpuTime), 0.2)
        };
        let memory = Policy {
            gain_bytes: Some(10 << 20),
            micro_threshold: 2.0,
            ..of("memory", Some(Metric::PeakMemory), 0.1)
        };
        let concurrent = Policy {
            micro_threshold: 0.5,
            ..of("async", Some(Metric::WallTime), 0.2)
        };
        let startup = Policy {
            shortest_run_ns: 0,
            ..of("startup", Some(Metric::WallTime), 0.0)
        };
        [statistical, cpu, memory, concurrent, startup]
    }
}

/// What an instruction counter says of one run of each ref: exact, the same in every run, and no
/// time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Who counted: `callgrind 3.19.0`.
    pub engine: String,
    /// Whether nothing else was measured, so that the verdict rests on it alone.
    pub alone: bool,
    /// The run of base.
    pub base: InstructionCount,
    /// The run of head.
    pub head: InstructionCount,
}

/// What was counted of one run, children included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstructionCount {
    /// Instructions executed.
    pub instructions: u64,
    /// What else was counted, by callgrind's own names (`Dr`, `D1mr`), in its order.
    pub events: Vec<CountedEvent>,
    /// C: instructions whose inline chain holds a changed function.
    pub changed_own: u64,
    /// D: instructions in what changed functions call, C left out. What several call is shared out
    /// by the cost of their calls.
    pub changed_below: u64,
    /// Functions that executed instructions, ordered by row.
    pub functions: Vec<CountedFunction>,
    /// Lines of changed functions, ordered by row and line.
    pub lines: Vec<CountedLine>,
}

/// An event that was counted beside instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedEvent {
    /// Its name.
    pub name: String,
    /// How often it happened.
    pub count: u64,
}

/// The instructions of one function in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedFunction {
    /// Which.
    pub function: FunctionRow,
    /// Its own, with those of library code inlined into it.
    pub own: u64,
    /// Those of it and of what it calls; `None` where that was not worked out: for functions that
    /// the diff does not touch and that hold little. What several functions call is shared out by
    /// the cost of their calls.
    pub total: Option<u64>,
    /// How often it was called; inlined copies are not called.
    pub calls: u64,
}

/// The instructions of one line of a changed function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedLine {
    /// Whose.
    pub function: FunctionRow,
    /// The line in the function's file, at the ref that ran; 0 when unknown.
    pub line: u32,
    /// Its own instructions, with those of code that was inlined there.
    pub instructions: u64,
}

/// Everything that was measured in one comparison; the verdict is a function of this value.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The command, as both refs ran it.
    pub command: Vec<String>,
    /// How it was run.
    pub setup: Setup,
    /// The base ref.
    pub base: RefFacts,
    /// The head ref.
    pub head: RefFacts,
    /// The machine.
    pub machine: Machine,
    /// The rule that decides.
    pub rule: Rule,
    /// What the rule's thresholds are called: `statistical`, `cpu`, or a name of the project.
    pub policy: String,
    /// The primary metric, fixed after the warm-up pair.
    pub metric: Metric,
    /// Why it is the primary metric, in words, when it is not CPU time.
    pub metric_reason: Option<String>,
    /// Which time of a run its functions share.
    pub shared_time: SharedTime,
    /// Seed of the coin.
    pub seed: u64,
    /// Runs of base before any of head, which say where its time goes; empty where nobody asked.
    pub base_runs: Vec<Run>,
    /// A/A pairs of two separately built copies of base; may be empty.
    pub placebo: Vec<Pair>,
    /// The counted pairs in the order they ran.
    pub pairs: Vec<Pair>,
    /// Functions that were seen or changed.
    pub functions: Vec<Function>,
    /// Changed lines outside any function.
    pub outside: Vec<OutsideChange>,
    /// Whether anything but comments and white space changed.
    pub code_changed: bool,
    /// Standard output of both, and the files that were named.
    pub output: OutputCheck,
    /// The project's tests at head.
    pub tests: TestCheck,
    /// What a reader has to know, one sentence each.
    pub warnings: Vec<String>,
    /// Whether the time budget ended the measurement.
    pub budget_used_up: bool,
    /// Instructions, counted in a run of their own; `None` when nobody asked.
    pub witness: Option<Witness>,
}

impl Comparison {
    /// The function whose CPU time stands for the run, where nothing reports a time by itself.
    pub fn time_under(&self) -> Option<&str> {
        let scope = self.setup.scope.as_deref();
        scope.filter(|_| self.metric == Metric::Reported && self.setup.harness.is_none())
    }

    /// What a person reads of a quantity here: `cpu time`, `time under parse`.
    pub fn name_of(&self, quantity: Quantity) -> Cow<'static, str> {
        match (quantity, self.time_under()) {
            (Quantity::Reported, Some(scope)) => format!("time under {scope}").into(),
            _ => quantity.name().into(),
        }
    }

    /// Whether two commands were compared (`hotproof ab`), which stand in the place of the refs:
    /// there is no diff, and so no changed function.
    pub fn is_of_commands(&self) -> bool {
        let sides = [&self.base, &self.head];
        self.command == sides.map(|side| &*side.name)
            && sides.iter().all(|side| side.subject == side.name)
    }

    /// Whether instructions were counted and nothing else was measured.
    pub fn is_counted_alone(&self) -> bool {
        self.witness.as_ref().is_some_and(|witness| witness.alone)
    }
}

/// The unit of an [`Estimate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EstimateUnit {
    /// A plain ratio, head / base or a share of 1.
    Ratio,
    /// Natural logarithm of head / base.
    LogRatio,
    /// Nanoseconds.
    Nanoseconds,
    /// Bytes.
    Bytes,
    /// A count.
    Count,
}

/// A measured effect with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The point estimate.
    pub value: f64,
    /// Lower end of the interval; minus infinity when there is none yet.
    pub low: f64,
    /// Upper end of the interval; infinity when there is none yet.
    pub high: f64,
    /// Coverage of the interval: 0.99.
    pub level: f64,
    /// How many pairs or runs it rests on.
    pub n: usize,
    /// How it was computed.
    pub method: &'static str,
    /// Its unit.
    pub unit: EstimateUnit,
}

impl Estimate {
    /// The ratio whose logarithm this is.
    pub(crate) fn exponential(self) -> Estimate {
        Estimate {
            value: self.value.exp(),
            low: self.low.exp(),
            high: self.high.exp(),
            unit: EstimateUnit::Ratio,
            ..self
        }
    }

    /// Whether the interval leaves out `x`.
    pub fn excludes(&self, x: f64) -> bool {
        x < self.low || x > self.high
    }

    /// Whether both ends are finite.
    pub fn is_bounded(&self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }

    /// Half the width of the interval; infinite while an end is missing.
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// The same estimate of the inverse of a positive quantity: a speedup from a ratio.
    pub fn inverse(self) -> Estimate {
        Estimate {
            value: 1.0 / self.value,
            low: 1.0 / self.high,
            high: if self.low > 0.0 {
                1.0 / self.low
            } else {
                f64::INFINITY
            },
            ..self
        }
    }
}
