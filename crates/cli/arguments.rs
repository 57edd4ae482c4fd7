//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::compare_arguments::{Compare, CompareOptions, Verdict};
use crate::failure::exit_codes;
use crate::transform::TransformOptions;

const EXAMPLES: &str = "\
Examples:
  hotproof demo                                  see a verdict on a small example
  hotproof compare main HEAD -- target/release/bench data.json
  hotproof record -- ./bench data.json           write profile.hotproof
  hotproof report profile.hotproof               where the time went
  hotproof export profile.hotproof -o flame.svg  a picture of it
  hotproof confirm parse::number -- ./bench data.json
";

/// Hot-path confirmation for keep decisions.
///
/// Is the function you changed on the hot path, did it get faster, and does that explain the
/// whole? hotproof samples programs, names every frame, runs two git refs against each other and
/// says: keep, discard, regression, inconclusive, not on the hot path.
#[derive(Debug, Parser)]
#[command(
    name = "hotproof",
    version,
    disable_help_subcommand = true,
    after_help = format!("{EXAMPLES}\n{}", exit_codes()),
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// When to use colour; NO_COLOR and CLICOLOR_FORCE are heeded too
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Ask the servers of DEBUGINFOD_URLS for debug files that are not here
    #[arg(long, global = true)]
    pub(crate) debuginfod: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Record(Record),
    Report(Report),
    Export(Export),
    Diff(Diff),
    Stat(crate::stat::Stat),
    Confirm(Confirm),
    Compare(Compare),
    Ab(crate::ab::Ab),
    Verdict(Verdict),
    Symbolize(crate::symbolize::Symbolize),
    Cache(crate::cache::CacheArguments),
    Doctor(crate::doctor::Doctor),
    Demo(Demo),
}

/// Sample a command and write a profile
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof record -- ./bench data.json
  hotproof record -F 4999 -o parse.hotproof -- python3 bench.py
  hotproof record -e page-faults -c 1 -- ./bench
  hotproof record --off-cpu -- ./server && hotproof report profile.hotproof --weight off-cpu
  hotproof record --repeat 20 -- ./short-bench
  hotproof record --delay 3 -d 10 -- ./server
  hotproof record -p 4242 -p 4243 -d 10
  hotproof record -a -d 5

While it records, hotproof asks the system for short turns on a CPU and, where that is permitted
(root), for a nice value of -10, so that little is lost beside busy programs. The command keeps its
own.")]
pub(crate) struct Record {
    /// Samples a second of CPU time, or max, what the kernel permits [default: 997 by perf events,
    /// 397 by ptrace]
    #[arg(short = 'F', long = "freq", visible_alias = "rate", value_name = "RATE",
          value_parser = crate::record::rate)]
    pub(crate) rate_hz: Option<u64>,
    /// What to sample: cycles, instructions, cpu-clock, task-clock, page-faults, context-switches,
    /// rNNN or a tracepoint (sched:sched_switch) [default: cycles, or cpu-clock where there are none]
    #[arg(short = 'e', long = "event", value_name = "EVENT")]
    pub(crate) event: Option<hotproof_profiler::EventName>,
    /// Take a sample every so many events instead of so many a second
    #[arg(short = 'c', long = "count", value_name = "PERIOD", conflicts_with = "rate_hz",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub(crate) period: Option<u64>,
    /// How to sample: auto (perf events, or where they are refused by ptrace), perf, or ptrace
    /// (running threads are stopped for a moment; needs no privilege for a command of your own)
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = crate::record::sampling)]
    pub(crate) sampler: hotproof_profiler::Sampling,
    /// Where to write the profile
    #[arg(short, long, value_name = "FILE", default_value = "profile.hotproof")]
    pub(crate) output: PathBuf,
    /// How to take stacks: dwarf or dwarf,BYTES (registers and a copy of the stack, unwound by call
    /// frame information), fp (frame pointers), none
    #[arg(short = 'g', long = "call-graph", value_name = "MODE", default_value = "dwarf",
          value_parser = crate::record::stack_mode)]
    pub(crate) stacks: hotproof_profiler::StackMode,
    /// Record the time that threads wait as well; needs perf events. Reports show time on the CPU
    /// unless they are given --weight wall, off-cpu, blocked, preempted or elapsed
    #[arg(long)]
    pub(crate) off_cpu: bool,
    /// End with the target's own exit status (128 + the signal that killed it)
    #[arg(long)]
    pub(crate) forward_exit: bool,
    /// Record running processes instead, with all their threads and children; repeatable
    #[arg(
        short = 'p',
        long = "pid",
        value_name = "PID",
        conflicts_with = "command"
    )]
    pub(crate) pids: Vec<u32>,
    /// Record everything that runs on the machine, as long as the command runs or until Ctrl-C
    #[arg(short = 'a', long = "all", conflicts_with = "pids")]
    pub(crate) everything: bool,
    /// End after so many seconds of recording: a command is ended too (by SIGTERM, then SIGKILL),
    /// processes of -p and -a go on
    #[arg(short = 'd', long, value_name = "S", value_parser = seconds)]
    pub(crate) duration: Option<f64>,
    /// Begin to record after so many seconds; a command runs from the beginning
    #[arg(short = 'D', long, value_name = "S", value_parser = seconds)]
    pub(crate) delay: Option<f64>,
    /// Run the command so many times, into one profile
    #[arg(short = 'r', long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with_all = ["pids", "everything"])]
    pub(crate) repeat: u32,
    /// The command to record
    #[arg(last = true, required_unless_present_any = ["pids", "everything"], value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

/// Show where the time went, by function
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof report profile.hotproof
  hotproof report profile.hotproof --sort self --top 20
  hotproof report profile.hotproof --focus '^parse::' --json
  hotproof report profile.hotproof --group crate
  hotproof report profile.hotproof --tree --min-percent 5
  hotproof report profile.hotproof --callers parse::number
  hotproof report profile.hotproof --lines parse::number
  hotproof report monday.hotproof tuesday.hotproof --hide '^std::'")]
pub(crate) struct Report {
    /// The profile, or several to be added up; - reads standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) profiles: Vec<PathBuf>,
    /// What to sort by
    #[arg(long, value_name = "COLUMN", default_value = "total")]
    pub(crate) sort: Sort,
    /// Show at most so many functions, or calls of a tree
    #[arg(long, value_name = "N", conflicts_with = "lines")]
    pub(crate) top: Option<usize>,
    /// Leave out functions below this share of the total
    #[arg(long, value_name = "PERCENT", default_value_t = 0.5, value_parser = percent)]
    pub(crate) min_percent: f64,
    /// Print JSON
    #[arg(long, conflicts_with = "view")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) view: View,
    /// Show at most so many functions below each other in a tree
    #[arg(long, value_name = "N", requires = "view", conflicts_with = "lines")]
    pub(crate) depth: Option<usize>,
    #[command(flatten)]
    pub(crate) transform: TransformOptions,
}

/// Instead of the table of functions.
#[derive(Debug, Args)]
#[group(id = "view", multiple = false)]
pub(crate) struct View {
    /// Show the calls from the root as a tree
    #[arg(long)]
    pub(crate) tree: bool,
    /// Show who calls a function
    #[arg(long, value_name = "FUNC")]
    pub(crate) callers: Option<String>,
    /// Show what a function calls
    #[arg(long, value_name = "FUNC")]
    pub(crate) callees: Option<String>,
    /// Show the hot source lines of a function
    #[arg(long, value_name = "FUNC")]
    pub(crate) lines: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// Time in the function and what it calls
    Total,
    /// Time in the function alone
    #[value(name = "self")]
    SelfTime,
    /// Time in the function and library code inlined into it
    Lib,
}

/// Write a profile in another format
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof export profile.hotproof -o flame.svg
  hotproof export profile.hotproof -f folded | awk '{print $NF, $0}' | sort -n
  hotproof export profile.hotproof --thread worker --time 1s-10s -o flame.svg -o flame.folded
  hotproof export profile.hotproof -o profile.pb.gz && go tool pprof -top profile.pb.gz")]
pub(crate) struct Export {
    /// The profile, or several to be added up; - reads standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) profiles: Vec<PathBuf>,
    /// The format; from the extension of OUT when not given
    #[arg(short, long)]
    pub(crate) format: Option<Format>,
    /// Where to write, may be given several times; - is standard output
    #[arg(short, long, value_name = "OUT", default_value = "-")]
    pub(crate) output: Vec<PathBuf>,
    /// Draw flame graphs from above, as icicles; very deep ones always are
    #[arg(long, visible_alias = "inverted")]
    pub(crate) icicle: bool,
    #[command(flatten)]
    pub(crate) transform: TransformOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Folded stacks: root;...;leaf weight (.folded, .txt)
    Folded,
    /// A flame graph (.svg)
    Svg,
    /// profile.proto, gzipped (.pb.gz, .pprof)
    Pprof,
    /// Firefox Profiler JSON, gzipped (.firefox.json.gz)
    Firefox,
    /// speedscope JSON (.speedscope.json)
    Speedscope,
    /// callgrind, for callgrind_annotate and kcachegrind (.callgrind)
    Callgrind,
    /// Chrome trace (.trace.json)
    Chrome,
    /// Parquet, one row a sample, for DuckDB, Spark and the like (.parquet)
    Parquet,
    /// Our own JSON, with a published schema (.json)
    Json,
}

/// Show what differs between two profiles, function by function
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof diff before.hotproof after.hotproof
  hotproof diff before.hotproof after.hotproof --normalize total --sort total --top 10
  hotproof diff before.hotproof after.hotproof -o change.svg -o change.folded
  hotproof diff before.hotproof after.hotproof -f folded > change.folded
  hotproof diff change.folded
  hotproof diff before.pb.gz after.perf.data -o change.pb.gz && go tool pprof -top change.pb.gz

Two single profiles carry no interval: what differs may be noise. hotproof compare measures it.")]
pub(crate) struct Diff {
    /// The profile that the change starts from; - reads standard input
    #[arg(value_name = "BASE")]
    pub(crate) base: PathBuf,
    /// The profile with the change; not needed when BASE holds both: folded stacks in three columns,
    /// or a difference of pprof
    #[arg(value_name = "HEAD")]
    pub(crate) head: Option<PathBuf>,
    /// Compare figures of one run each, per second of wall time, or with equal totals
    #[arg(long, value_name = "TO", default_value = "run")]
    pub(crate) normalize: Normalize,
    /// What to sort by: the size of its change
    #[arg(long, value_name = "COLUMN", default_value = "self")]
    pub(crate) sort: DiffSort,
    /// Show at most so many functions
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<usize>,
    /// Leave out functions that change by less than this share of base
    #[arg(long, value_name = "PERCENT", default_value_t = 0.5, value_parser = percent)]
    pub(crate) min_percent: f64,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["format", "output"])]
    pub(crate) json: bool,
    /// Write stacks instead of a table; from the extension of OUT when not given
    #[arg(short, long)]
    pub(crate) format: Option<DiffFormat>,
    /// Where to write stacks, may be given several times; - is standard output
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) transform: TransformOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Normalize {
    /// As recorded
    #[value(alias = "none")]
    Run,
    /// Per second of wall time
    Second,
    /// Head scaled so that both totals are equal
    Total,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffSort {
    /// Time in the function alone
    #[value(name = "self")]
    SelfTime,
    /// Time in the function and what it calls
    Total,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// Folded stacks in three columns: root;...;leaf base head (.folded, .txt)
    Folded,
    /// A differential flame graph (.svg)
    Svg,
    /// profile.proto of head less base, as `go tool pprof -diff_base` reads it (.pb.gz, .pprof)
    Pprof,
}

/// Is a function on the hot path?
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof confirm parse::number -- ./bench data.json
  hotproof confirm parse::number --profile profile.hotproof
  hotproof confirm main.parse --profile monday.pb.gz --profile tuesday.pb.gz --ignore '^runtime\\.'

Ends with 0 for yes, 13 for no, 12 for undecided.")]
pub(crate) struct Confirm {
    /// The function: its name, or the end of its path (number, parse::number)
    #[arg(value_name = "FUNC", required = true)]
    pub(crate) functions: Vec<String>,
    /// Look in this profile, of any format, instead of running a command; may be given several
    /// times, each a run of its own; - reads standard input
    #[arg(long = "profile", value_name = "FILE", conflicts_with = "command")]
    pub(crate) profiles: Vec<PathBuf>,
    /// Share of CPU time above which a function is hot
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    pub(crate) floor: f64,
    /// Run the command at most so often
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=1000))]
    pub(crate) runs: usize,
    /// Seconds for all runs together
    #[arg(long, value_name = "S", default_value_t = 30.0, value_parser = seconds)]
    pub(crate) budget: f64,
    /// Seconds that one run may take
    #[arg(long, value_name = "S", default_value_t = 600.0, value_parser = seconds)]
    pub(crate) timeout: f64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The command to run
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
    #[command(flatten)]
    pub(crate) transform: TransformOptions,
}

/// Compare two refs of a small example and explain what happens
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof demo
  hotproof demo --html demo.html       see the pictures too
  hotproof demo --keep /tmp/packlog    leave the example there, to play with")]
pub(crate) struct Demo {
    /// Make the example in this new folder and leave it there
    #[arg(long, value_name = "FOLDER")]
    pub(crate) keep: Option<PathBuf>,
    /// Compare base with itself instead: what identical code looks like
    #[arg(long)]
    pub(crate) identical: bool,
    #[command(flatten)]
    pub(crate) options: CompareOptions,
}

pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let value: f64 = text
        .trim_end_matches('%')
        .trim()
        .parse()
        .map_err(|_| "not a number")?;
    if (0.0..=100.0).contains(&value) {
        Ok(value)
    } else {
        Err("not between 0 and 100".into())
    }
}

/// As [`percent`], above 0: nothing can be told to be smaller than nothing.
pub(crate) fn positive_percent(text: &str) -> Result<f64, String> {
    match percent(text)? {
        0.0 => Err("not above 0".into()),
        value => Ok(value),
    }
}

pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let value: f64 = text
        .trim_end_matches('s')
        .trim()
        .parse()
        .map_err(|_| "not a number")?;
    // A week: far longer than anybody waits, and far from overflowing a duration.
    if value > 0.0 && value <= 604_800.0 {
        Ok(value)
    } else {
        Err("not a sensible time".into())
    }
}
