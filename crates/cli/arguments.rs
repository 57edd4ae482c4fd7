//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::failure::exit_codes;

const EXAMPLES: &str = "\
Examples:
  hotproof record -- ./bench data.json           write profile.hotproof
  hotproof report profile.hotproof               where the time went
  hotproof export profile.hotproof -o flame.svg  a picture of it
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
}

/// Sample a command and write a profile
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof record -- ./bench data.json
  hotproof record -F 4999 -o parse.hotproof -- python3 bench.py")]
pub(crate) struct Record {
    /// Samples a second of CPU time
    #[arg(short = 'F', long = "freq", visible_alias = "rate", value_name = "RATE",
          default_value_t = hotproof_profiler::DEFAULT_RATE_HZ,
          value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) rate_hz: u64,
    /// Where to write the profile
    #[arg(short, long, value_name = "FILE", default_value = "profile.hotproof")]
    pub(crate) output: PathBuf,
    /// How to take stacks: dwarf[,BYTES] (registers and a copy of the stack, unwound by call frame
    /// information), fp (frame pointers), none
    #[arg(short = 'g', long = "call-graph", value_name = "MODE", default_value = "dwarf",
          value_parser = crate::record::stack_mode)]
    pub(crate) stacks: hotproof_profiler::StackMode,
    /// End with the target's own exit status (128 + the signal that killed it)
    #[arg(long)]
    pub(crate) forward_exit: bool,
    /// The command to record
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

/// Show where the time went, by function
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof report profile.hotproof
  hotproof report profile.hotproof --sort self --top 20
  hotproof report profile.hotproof --focus '^parse::' --json")]
pub(crate) struct Report {
    /// The profile; - reads standard input
    #[arg(value_name = "FILE")]
    pub(crate) profile: PathBuf,
    /// What to sort by
    #[arg(long, value_name = "COLUMN", default_value = "total")]
    pub(crate) sort: Sort,
    /// Show at most so many functions
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<usize>,
    /// Leave out functions below this share of the total
    #[arg(long, value_name = "PERCENT", default_value_t = 0.5, value_parser = percent)]
    pub(crate) min_percent: f64,
    /// Count only samples with a matching function on the stack
    #[arg(long, value_name = "REGEX")]
    pub(crate) focus: Option<regex::Regex>,
    /// Count inlined functions as part of the function they were inlined into
    #[arg(long)]
    pub(crate) no_inline: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
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
  hotproof export profile.hotproof -f folded | sort -k2 -n
  hotproof export profile.hotproof -o profile.pb.gz && go tool pprof -top profile.pb.gz")]
pub(crate) struct Export {
    /// The profile; - reads standard input
    #[arg(value_name = "FILE")]
    pub(crate) profile: PathBuf,
    /// The format; from the extension of OUT when not given
    #[arg(short, long)]
    pub(crate) format: Option<Format>,
    /// Where to write; - is standard output
    #[arg(short, long, value_name = "OUT", default_value = "-")]
    pub(crate) output: PathBuf,
    /// Leave out inlined functions
    #[arg(long)]
    pub(crate) no_inline: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Folded stacks: root;...;leaf weight (.folded, .txt)
    Folded,
    /// A flame graph (.svg)
    Svg,
    /// profile.proto, gzipped (.pb.gz, .pprof)
    Pprof,
}

fn percent(text: &str) -> Result<f64, String> {
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
