//! `hotproof stat`: what runs of a command cost, counted and not sampled.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use hotproof_profile::{Exit as TargetExit, Profile, Unit};
use hotproof_profiler::{
    CounterSet, Ended, Group, Ladder, Recorder, Recording, Request, Sampling, Stderr, Stdin, Stdout,
};
use hotproof_report::stat::{self, Series, StatFacts};

use crate::failure::{Code, Exit, Failure, Outcome};
use crate::output::{PendingFile, Voice};
use crate::progress::Ticker;
use crate::{interrupt, output, terminal};

/// Count what a command costs: CPU time, memory, faults, switches, cycles
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof stat -- ./bench data.json
  hotproof stat --repeat 10 -- rg -c needle corpus/
  hotproof stat --json --repeat 5 -- ./bench > cost.json

The command's own standard output goes nowhere unless --show-output is given; it reads standard
input when it runs once, and nothing when it is repeated.")]
pub(crate) struct Stat {
    /// Run it so many times, and show means and spreads
    #[arg(short = 'r', long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    repeat: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write the result to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Let the command's standard output through, to standard error
    #[arg(long)]
    show_output: bool,
    /// The command
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) fn run(arguments: &Stat, voice: Voice) -> Outcome {
    let file = arguments
        .output
        .as_deref()
        .map(PendingFile::create)
        .transpose()?;
    let (recordings, end) = repeated(arguments, voice)?;
    if recordings.is_empty() {
        return Ok(Exit::Interrupted);
    }
    let command: Vec<String> = arguments
        .command
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let (series, notes) = (all_series(&recordings), notes(&recordings));
    let facts = StatFacts {
        command: &command,
        runs: recordings.len(),
        series: &series,
        notes: &notes,
    };
    let text = |width| match arguments.json {
        true => stat::json(&facts),
        false => stat::table(&facts, width),
    };
    match file {
        Some(file) => {
            let plain = anstream::adapter::strip_str(&text(FILE_COLUMNS)).to_string();
            file.finish(|out| Ok(out.write_all(plain.as_bytes())?))?;
        }
        None => output::print(&text(terminal::width()))?,
    }
    Ok(end)
}

/// Width of a table in a file.
const FILE_COLUMNS: usize = 100;

/// The runs until one fails or the user has enough, and how to end.
fn repeated(arguments: &Stat, voice: Voice) -> Result<(Vec<Recording>, Exit), Failure> {
    let (stop, stop_now) = interrupt::flags()?;
    let ticker = Ticker::new(voice);
    let mut recorder = Recorder::new();
    let mut recordings = Vec::new();
    let mut end = Exit::SUCCESS;
    for number in 1..=arguments.repeat {
        ticker.say(|| format!("run {number} of {}", arguments.repeat));
        let request = Request {
            sampling: Sampling::Off,
            counters: CounterSet::All,
            group: Group::Inherit,
            stdin: match arguments.repeat {
                1 => Stdin::Inherit,
                _ => Stdin::Null,
            },
            stdout: match arguments.show_output {
                true => Stdout::Stderr,
                false => Stdout::Null,
            },
            stderr: Stderr::Inherit,
            stop: stop.clone(),
            stop_now: stop_now.clone(),
            ..Request::new(arguments.command.iter().cloned())
        };
        let recording = recorder
            .record(&request, &mut Profile::default(), &mut |_| {})
            .map_err(|error| crate::record::cannot_record(&error))?;
        if recording.ended == Ended::Interrupted {
            // Half a run counts for nothing.
            end = Exit::Interrupted;
            break;
        }
        let failed = failure(recording.exit);
        recordings.push(recording);
        if let Some(told) = failed {
            ticker.finish();
            output::say(&format!("the command {told} in run {number}"));
            return Ok((recordings, Exit::Code(Code::TargetFailed)));
        }
    }
    ticker.finish();
    Ok((recordings, end))
}

fn failure(exit: Option<TargetExit>) -> Option<String> {
    match exit? {
        TargetExit::Code(0) => None,
        TargetExit::Code(code) => Some(format!("ended with status {code}")),
        TargetExit::Signal(signal) => Some(format!("was killed by signal {signal}")),
    }
}

/// What every run has, in a fixed order.
fn all_series(recordings: &[Recording]) -> Vec<Series> {
    let of = |name: &str, unit, value: fn(&Recording) -> u64| Series {
        name: name.to_owned(),
        unit,
        values: recordings.iter().map(value).collect(),
        counted: 1.0,
    };
    let ns = Unit::Nanoseconds;
    let mut all = vec![
        of("cpu-time", ns, |run| run.counts.cpu_ns),
        of("wall-time", ns, |run| run.counts.wall_ns),
        of("user-time", ns, |run| run.counts.user_ns),
        of("system-time", ns, |run| run.counts.system_ns),
        of("peak-memory", Unit::Bytes, |run| run.counts.peak_rss_bytes),
        of("page-faults", Unit::Count, |run| run.counts.page_faults),
        of("context-switches", Unit::Count, |run| {
            run.counts.context_switches
        }),
    ];
    for counter in &recordings[0].counts.counters {
        // The task clock misses a little that `cpu-time` has, and would only puzzle beside it.
        if counter.name == "task-clock" || all.iter().any(|series| series.name == counter.name) {
            continue;
        }
        let same = |run: &Recording| {
            let mut counters = run.counts.counters.iter();
            counters.find(|one| one.name == counter.name).cloned()
        };
        // A counter that one run lacks has no mean.
        let Some(counts) = recordings.iter().map(same).collect::<Option<Vec<_>>>() else {
            continue;
        };
        all.push(Series {
            name: counter.name.clone(),
            unit: counter.unit,
            values: counts.iter().map(|count| count.value).collect(),
            counted: counts.iter().map(|count| count.counted).fold(1.0, f64::min),
        });
    }
    all
}

/// Each once.
fn notes(recordings: &[Recording]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    let counters = || recordings.iter().flat_map(|run| &run.counts.counters);
    if !counters().any(|counter| counter.name == "instructions") {
        notes.push(match hotproof_profiler::probe() {
            Ladder::Refused(refusal) => {
                format!("perf events are refused ({}): {}", refusal.read, refusal.remedy)
            }
            _ => "no cycles, instructions, cache or branch events: this machine, perhaps a virtual one, has no hardware counters".to_owned(),
        });
    }
    for note in recordings.iter().flat_map(|run| &run.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    notes
}
