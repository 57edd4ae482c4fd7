//! The arguments of `compare`, of what else compares, and of `verdict`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use hotproof_diff::Metric;

use crate::arguments::{percent, positive_percent, seconds};
use crate::keep::Keep;
use crate::page::Leave;

/// Compare two git refs and say whether to keep the change
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof compare main HEAD -- target/release/bench data.json
  hotproof compare main HEAD --bench parse -- number     a benchmark of cargo, of any harness
  hotproof compare main --dirty -- ./bench               what is not committed yet
  hotproof compare v1.2 v1.3 --build 'make -s bench' -- ./bench
  hotproof compare main HEAD --script -- python3 times.py     it prints {\"parse\": 0.12}
  hotproof compare main HEAD -w all --policy cpu --test 'cargo test'
  hotproof compare main HEAD --engine callgrind -- ./bench    instructions, the same in every run
  hotproof compare main HEAD --layouts 4 -- target/release/bench     does it hold however code lies?
  hotproof compare main HEAD --html result.html -- ./bench      a page with pictures
  hotproof compare main HEAD --tsv results.tsv --handoff NOTES.md -- ./bench     a row, a block

CMD runs in a checkout of each ref, in the folder that you stand in: a relative path means that
ref's own file. {root} in CMD is your own checkout. Builds can ask git; CMD may not find a .git, so
what it has to know of git --build writes down. Without CMD, hotproof.toml is asked, and then
cargo. All that hotproof.toml can say:

  [[workload]]
  name = \"parse\"
  command = [\"target/release/bench\", \"data.json\"]   # or one text, split as a shell would
  build = \"cargo build --release\"      # by the shell; cargo projects need none
  directory = \"crates/parse\"           # where it runs; default: where hotproof.toml lies
  environment = { THREADS = \"1\" }
  stdin = \"data.json\"
  exit-status = 0
  repetitions = 10                       # of the command in one run, for short ones
  concurrency = 1                        # copies at once
  scope = \"parse::document\"            # only time under this function counts
  outputs = [\"result.bin\"]             # files that have to be the same
  script = false                         # it prints {\"NAME\": SECONDS}
  metric = \"cpu\"                       # wall, rss, instructions, reported
  policy = \"careful\"
  test = \"cargo test\"                  # a keep needs it green

  [[workload]]
  name = \"micro\"
  bench = \"parse\"                      # or example, or bin: of cargo
  arguments = [\"number\"]

  [[policy]]
  name = \"careful\"
  metric = \"cpu\"
  gain = 3.0                             # per cent that a keep needs
  gain-mib = 4.0                         # for rss: so much is enough as well
  function-gain = 30.0                   # per cent of a function alone, for a micro-only keep
  needs-hot = true

Policies that need no definition: statistical (faster than the margin), cpu (more than 20 % or a
function twice as fast, on the hot path), memory (more than 10 MiB or 10 % of peak memory), async
(more than 20 % of wall time, or a function twice as fast; give it --concurrency), startup (wall
time, of short runs too).")]
pub(crate) struct Compare {
    /// The ref that the change starts from
    #[arg(value_name = "BASE")]
    pub(crate) base: String,
    /// The ref with the change; or --dirty
    #[arg(value_name = "HEAD")]
    pub(crate) head: Option<String>,
    /// Measure the working tree as head: what is changed, added and removed, but not ignored files
    #[arg(long, conflicts_with = "head")]
    pub(crate) dirty: bool,
    #[command(flatten)]
    pub(crate) options: CompareOptions,
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// A workload of hotproof.toml; repeatable, or all
    #[arg(short, long, value_name = "NAME", conflicts_with_all = ["command", "product"])]
    pub(crate) workload: Vec<String>,
    #[command(flatten)]
    pub(crate) keep: Keep,
    /// The workload: a command that does a fixed amount of work; arguments alone with --bench,
    /// --example and --bin
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

/// A program of cargo.
#[derive(Debug, Args)]
#[group(id = "product", multiple = false)]
pub(crate) struct Chosen {
    /// Run this benchmark of the cargo project
    #[arg(long, value_name = "NAME")]
    pub(crate) bench: Option<String>,
    /// Run this example of the cargo project
    #[arg(long, value_name = "NAME")]
    pub(crate) example: Option<String>,
    /// Run this binary of the cargo project
    #[arg(long, value_name = "NAME")]
    pub(crate) bin: Option<String>,
}

/// What can be said about a comparison, whatever it compares.
#[derive(Debug, Args)]
pub(crate) struct CompareOptions {
    /// The functions of interest, whatever the diff says: "src/a.rs::f1,f2;src/b.rs::T::g"
    #[arg(long, value_name = "SPEC")]
    pub(crate) functions: Option<String>,
    /// Seconds that one run may take
    #[arg(long, value_name = "S", default_value_t = 600.0, value_parser = seconds)]
    pub(crate) timeout: f64,
    /// Seconds for all runs together, builds not counted
    #[arg(long, value_name = "S", default_value_t = 300.0, value_parser = seconds)]
    pub(crate) budget: f64,
    /// At most so many pairs of runs [default: 150, and 400 while they do not decide]
    #[arg(long, value_name = "N",
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    pub(crate) pairs: Option<usize>,
    /// Builds a ref, by the shell; without it cargo projects are built with cargo
    #[arg(long, value_name = "CMD")]
    pub(crate) build: Option<String>,
    /// Runs the tests at head, by the shell: nothing is measured when they fail
    #[arg(long, value_name = "CMD")]
    pub(crate) test: Option<String>,
    /// What decides; by default CPU time, or wall time for programs that wait, of which functions
    /// then show what they wait, too
    #[arg(long, value_name = "METRIC")]
    pub(crate) metric: Option<MetricName>,
    /// What a keep needs: statistical, cpu, memory, async, startup, or one of hotproof.toml
    #[arg(long, value_name = "NAME")]
    pub(crate) policy: Option<String>,
    /// The command prints a JSON object of names and seconds
    #[arg(long)]
    pub(crate) script: bool,
    /// Count only time, or instructions, under this function, so that what goes before does not
    /// dilute it
    #[arg(long, value_name = "FUNC")]
    pub(crate) scope: Option<String>,
    /// Run so many copies of the command at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) concurrency: Option<u32>,
    /// Link each ref so many times with its functions in other orders, and measure all of them: what
    /// they differ by is the margin then
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(crate) layouts: u32,
    /// A gain smaller than this may come from code layout alone
    #[arg(long, value_name = "PERCENT", default_value_t = 0.5, value_parser = percent)]
    pub(crate) margin: f64,
    /// The smallest change that matters
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = positive_percent)]
    pub(crate) min_effect: f64,
    /// Go on until the interval is this narrow, up and down, or a quarter of the change; 0: never
    /// narrow enough
    #[arg(long, value_name = "POINTS", default_value_t = 0.5, value_parser = percent)]
    pub(crate) precision: f64,
    /// Seed of the coin that orders each pair
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Keep a change even when base and head print different things
    #[arg(long)]
    pub(crate) allow_different_output: bool,
    /// Measure although nothing but comments changed
    #[arg(long)]
    pub(crate) force: bool,
    /// The command does a fixed amount of work, whatever harness it looks like
    #[arg(long)]
    pub(crate) fixed_work: bool,
    /// Build anew in a temporary folder, and keep nothing of it
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// What measures: pairs of sampled runs, or valgrind's callgrind in one run of each ref, which
    /// counts instructions exactly and measures no time
    #[arg(long, value_name = "ENGINE", default_value = "sampling")]
    pub(crate) engine: Engine,
    /// Count instructions under callgrind as well, and say whether they agree with the time
    #[arg(long)]
    pub(crate) witness: bool,
    #[command(flatten)]
    pub(crate) leave: Leave,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// Pairs of sampled runs
    Sampling,
    /// Instruction counts of valgrind's callgrind
    Callgrind,
}

/// What can decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MetricName {
    /// CPU time of the process tree
    Cpu,
    /// Wall time
    Wall,
    /// Peak memory
    Rss,
    /// Instructions, where there is a counter for them
    Instructions,
    /// What a harness or a script reports
    Reported,
}

impl From<MetricName> for Metric {
    fn from(name: MetricName) -> Metric {
        match name {
            MetricName::Cpu => Metric::CpuTime,
            MetricName::Wall => Metric::WallTime,
            MetricName::Rss => Metric::PeakMemory,
            MetricName::Instructions => Metric::Instructions,
            MetricName::Reported => Metric::Reported,
        }
    }
}

/// Derive a verdict again from the log of comparisons, add to it, or write it into files
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof verdict .hotproof/log.jsonl       the last comparison
  hotproof verdict .hotproof/log.jsonl:17    the one of line 17
  hotproof verdict --resume --pairs 50       more pairs for the last one
  hotproof verdict --html result.html        the last one as a page
  hotproof verdict --tsv results.tsv --handoff NOTES.md    its row and its block, for what was logged
  hotproof verdict --resume --tsv results.tsv    the row of the same commits is replaced

More pairs may be added whenever one likes, also after looking: the test allows for it. They have to
come from the same machine, commits and command; what differs is told.")]
pub(crate) struct Verdict {
    /// The log, with a line number or without; .hotproof/log.jsonl of the checkout when absent
    #[arg(value_name = "LOG[:LINE]")]
    pub(crate) log: Option<String>,
    /// Measure more pairs of the same, and log the whole as a new line
    #[arg(long)]
    pub(crate) resume: bool,
    /// At most so many more pairs
    #[arg(long, value_name = "N", default_value_t = 150, requires = "resume",
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    pub(crate) pairs: usize,
    /// Seconds for all of them together, builds not counted
    #[arg(long, value_name = "S", default_value_t = 300.0, requires = "resume",
          value_parser = seconds)]
    pub(crate) budget: f64,
    /// Write the result as one page with pictures; the log has no samples, so no flame graphs
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keep: Keep,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
