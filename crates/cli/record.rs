//! `hotproof record`: from a command to a profile.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hotproof_profile::transform::{Series, on_cpu};
use hotproof_profile::{Exit as TargetExit, Sink};
use hotproof_profiler::{
    Attach, DEFAULT_RATE_HZ, DEFAULT_STOPS_RATE_HZ, Ended, Group, OffCpu, Progress, RecordError,
    Recorder, Recording, Request, Sampled, Sampling, StackMode, Tail, Unsampled, Whom,
};
use hotproof_report::record::RecordFacts;
use hotproof_symbolizer::Summary;

use crate::arguments::Record;
use crate::failure::{Code, Exit, Failure, Outcome};
use crate::output::{PendingFile, Voice};
use crate::part::{Part, Recorded};
use crate::progress::Ticker;
use crate::{interrupt, output, terminal};

pub(crate) fn run(arguments: &Record, voice: Voice) -> Outcome {
    if arguments.output == Path::new("-") {
        let what = "a profile cannot be written to standard output, which is the target's own";
        return Err(Failure::new(Code::Usage, what).remedy("name a file with -o"));
    }
    let counts = arguments.event.as_ref().filter(|event| !event.is_clock());
    if let (true, Some(event)) = (arguments.off_cpu, counts) {
        let what = format!("--off-cpu adds to time on the CPU, and {event} counts something else");
        return Err(Failure::new(Code::Usage, what).remedy("leave -e away, or name a clock"));
    }
    if let Some(rate) = arguments.rate_hz.filter(|&rate| rate > DISTURBING_HZ) {
        voice.notice(&format!(
            "  warning  at {rate} Hz a thread is interrupted every {:.0} microseconds, and a sample takes some twenty: expect it to run several times slower, and times to be those of the recording (-F 9973 costs about a quarter)",
            1e6 / rate as f64
        ));
    }
    let file = PendingFile::create(&arguments.output)?;
    let part = match file.is_stream() {
        true => Part::elsewhere(),
        false => Part::create(&arguments.output),
    };
    let part = part.map_err(|error| lost(&error))?;
    // The file appears when it is whole; until then nothing lies beside it but what is recorded.
    let file = file.until_later();
    let mut recorder = Recorder::new();
    let flags = interrupt::flags()?;
    let (recording, mut recorded) = all_runs(arguments, &mut recorder, &flags, part, voice)?;
    if let Sampled::No(refusal) = &recording.sampled {
        return Err(refused(refusal));
    }
    let mut symbolizer = crate::cache::symbolizer();
    symbolizer.hold(recorder.take_held_files());
    let named = crate::cache::name(&mut symbolizer, &mut recorded.profile);
    let file_bytes = file.finish_or_rescue(|out| recorded.write(out))?;

    let profile = on_cpu(recorded.profile);
    let summary = hotproof_report::record::summary(&RecordFacts {
        profile: &profile,
        file: &arguments.output.to_string_lossy(),
        file_bytes,
        width: terminal::width_of_stderr(),
    });
    voice.notice(summary.trim_end());
    for problem in problems(&named) {
        voice.notice(&hotproof_report::names::clean(&problem));
    }
    Ok(ending(arguments, &recording))
}

/// From here on the target is interrupted more often than every 50 microseconds.
const DISTURBING_HZ: u64 = 20_000;

/// All runs as one recording, with what came of the last of them. A run that fails or is interrupted
/// is the last.
fn all_runs(
    arguments: &Record,
    recorder: &mut Recorder,
    flags: &interrupt::Flags,
    mut part: Part,
    voice: Voice,
) -> Result<(Recording, Recorded), Failure> {
    let mut series = Series::new(&mut part.writer);
    let mut number = 1;
    let last = loop {
        let run = sample(arguments, recorder, flags.clone(), &mut series, voice);
        let ran = run.as_ref().is_ok_and(|recording| {
            matches!(recording.exit, Some(TargetExit::Code(0)))
                && recording.ended != Ended::Interrupted
        });
        if number == arguments.repeat || !ran {
            break run;
        }
        number += 1;
    };
    if number < arguments.repeat {
        output::say(&format!(
            "run {number} of {} was the last: see below",
            arguments.repeat
        ));
    }
    let all = last.and_then(|recording| {
        series.end().map_err(RecordError::Sink)?;
        Ok(recording)
    });
    match all {
        Ok(recording) => Ok((recording, part.finish().map_err(|error| lost(&error))?)),
        Err(error) if number > 1 || is_late(&error) => Err(kept(part, cannot_record(&error))),
        Err(error) => Err(cannot_record(&error)),
    }
}

/// Whether something may have been recorded by then.
fn is_late(error: &RecordError) -> bool {
    matches!(error, RecordError::Sink(_) | RecordError::System { .. })
}

/// Leaves what was recorded where it is.
fn kept(part: Part, failure: Failure) -> Failure {
    match part.keep() {
        Ok(path) => failure.remedy(format!(
            "what came until then is kept as {}; `hotproof report` reads it",
            path.display()
        )),
        Err(_) => failure,
    }
}

fn lost(error: &io::Error) -> Failure {
    Failure::new(Code::Failure, format!("cannot record: {error}"))
}

fn sample(
    arguments: &Record,
    recorder: &mut Recorder,
    (stop, stop_now): interrupt::Flags,
    sink: &mut dyn Sink,
    voice: Voice,
) -> Result<Recording, RecordError> {
    let request = Request {
        sampling: arguments.sampler,
        event: arguments.event.clone(),
        period: arguments.period,
        rate_hz: arguments.rate_hz.unwrap_or(DEFAULT_RATE_HZ),
        stops_rate_hz: arguments.rate_hz.unwrap_or(DEFAULT_STOPS_RATE_HZ),
        unsampled: Unsampled::Refuse,
        stacks: arguments.stacks,
        off_cpu: match arguments.off_cpu {
            true => OffCpu::Record,
            false => OffCpu::Leave,
        },
        group: Group::Inherit,
        duration: arguments.duration.map(Duration::from_secs_f64),
        delay: arguments.delay.map(Duration::from_secs_f64),
        stop,
        stop_now,
        ..Request::new(arguments.command.iter().cloned())
    };
    let ticker = Ticker::new(voice);
    let mut pace = Pace::default();
    let mut show = |progress: &Progress| {
        let rate_hz = pace.of(progress);
        ticker.say(|| line(progress, rate_hz));
    };
    let recording = if arguments.everything {
        everything(arguments, &request, recorder, sink, &mut show)
    } else if arguments.pids.is_empty() {
        recorder.record(&request, sink, &mut show)
    } else {
        pause(&request);
        recorder.attach(&attachment(arguments, &request), sink, &mut show)
    };
    ticker.finish();
    recording
}

/// The line that moves while a recording goes on.
fn line(progress: &Progress, rate_hz: u64) -> String {
    let processes = match progress.processes {
        1 => "1 process".to_owned(),
        count => format!("{count} processes"),
    };
    format!(
        "{}  {} samples  {rate_hz} a second  {} lost  {processes}",
        clock(progress.elapsed),
        progress.samples,
        progress.lost,
    )
}

/// How many samples came in the last second.
#[derive(Debug, Default)]
struct Pace {
    since: Duration,
    samples: u64,
    rate_hz: u64,
}

impl Pace {
    fn of(&mut self, progress: &Progress) -> u64 {
        let passed = progress.elapsed.saturating_sub(self.since);
        if passed >= Duration::from_secs(1) {
            let new = progress.samples.saturating_sub(self.samples);
            self.rate_hz = (new as f64 / passed.as_secs_f64()).round() as u64;
            (self.since, self.samples) = (progress.elapsed, progress.samples);
        }
        self.rate_hz
    }
}

/// Waits for the time to begin, or for Ctrl-C.
fn pause(request: &Request) {
    let begun = Instant::now();
    while let Some(rest) = request.delay.and_then(|at| at.checked_sub(begun.elapsed()))
        && !rest.is_zero()
        && !request.stop.load(Ordering::Relaxed)
    {
        std::thread::sleep(rest.min(Duration::from_millis(50)));
    }
}

/// Records the whole system, as long as the command runs if there is one.
fn everything(
    arguments: &Record,
    request: &Request,
    recorder: &mut Recorder,
    sink: &mut dyn Sink,
    show: &mut dyn FnMut(&Progress),
) -> Result<Recording, RecordError> {
    let mut command = Companion::start(&arguments.command)?;
    pause(request);
    let attach = Attach {
        whom: Whom::Everything,
        pids: command.pid().into_iter().collect(),
        ..attachment(arguments, request)
    };
    let mut recording = recorder.attach(&attach, sink, show)?;
    recording.exit = command.end(recording.ended)?;
    Ok(recording)
}

/// The command that a recording of everything lasts as long as. Dropped, it is killed.
struct Companion(Option<Child>);

impl Companion {
    fn start(words: &[OsString]) -> Result<Companion, RecordError> {
        let Some((program, arguments)) = words.split_first() else {
            return Ok(Companion(None));
        };
        let started = std::process::Command::new(program).args(arguments).spawn();
        let child = started.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => RecordError::NotFound {
                program: program.display().to_string(),
                searched: "PATH".to_owned(),
            },
            _ => RecordError::NotExecutable {
                path: program.display().to_string(),
                reason: error.to_string(),
            },
        });
        child.map(|child| Companion(Some(child)))
    }

    fn pid(&self) -> Option<u32> {
        self.0.as_ref().map(Child::id)
    }

    /// How it ended; one that has not yet is killed, because the recording was to end before.
    fn end(&mut self, ended: Ended) -> Result<Option<TargetExit>, RecordError> {
        let Some(mut child) = self.0.take() else {
            return Ok(None);
        };
        if ended != Ended::Exited {
            // One that has ended meanwhile is no error.
            let _ = child.kill();
        }
        let status = child.wait().map_err(|source| RecordError::System {
            what: "waiting for the command",
            source,
        })?;
        Ok(match (ended, status.code(), status.signal()) {
            (Ended::Exited, Some(code), _) => Some(TargetExit::Code(code)),
            (Ended::Exited, None, Some(signal)) => Some(TargetExit::Signal(signal)),
            _ => None,
        })
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Images that could not be named, or not well, and why: those with the most addresses first.
fn problems(named: &Summary) -> Vec<String> {
    let mut list: Vec<_> = named.problems().collect();
    list.sort_by_key(|(image, _)| std::cmp::Reverse(image.locations - image.resolved));
    let shown = list.iter().take(PROBLEMS);
    let mut lines: Vec<String> = shown
        .map(|(image, problem)| format!("  note     {}: {problem}", image.path))
        .collect();
    if list.len() > PROBLEMS {
        lines.push(format!(
            "  note     and {} more images with problems",
            list.len() - PROBLEMS
        ));
    }
    lines
}

/// So many images with problems are told one by one.
const PROBLEMS: usize = 3;

fn attachment(arguments: &Record, request: &Request) -> Attach {
    Attach {
        sampling: request.sampling,
        event: request.event.clone(),
        period: request.period,
        rate_hz: request.rate_hz,
        stops_rate_hz: request.stops_rate_hz,
        stacks: request.stacks,
        off_cpu: request.off_cpu,
        duration: arguments.duration.map(Duration::from_secs_f64),
        stop: Arc::clone(&request.stop),
        ..Attach::new(arguments.pids.iter().copied())
    }
}

pub(crate) fn cannot_record(error: &RecordError) -> Failure {
    let code = match error {
        RecordError::NotFound { .. } | RecordError::NotExecutable { .. } => Code::TargetFailed,
        RecordError::EmptyCommand | RecordError::NoProcess { .. } => Code::Usage,
        RecordError::CannotAttach(refusal) | RecordError::NotSampled(refusal) => {
            return refused(refusal);
        }
        _ => Code::Failure,
    };
    Failure::new(code, error.to_string())
}

/// Neither perf events nor ptrace are to be had.
pub(crate) fn refused(refusal: &hotproof_profiler::Refusal) -> Failure {
    Failure::new(Code::Refused, &refusal.what)
        .read(&refusal.read)
        .remedy(&refusal.remedy)
}

fn ending(arguments: &Record, recording: &Recording) -> Exit {
    let (told, status) = match recording.exit {
        // How it ended when it was made to end is no news.
        _ if recording.ended == Ended::Watched => return Exit::SUCCESS,
        Some(TargetExit::Code(0)) | None => return Exit::SUCCESS,
        Some(TargetExit::Code(code)) => (format!("ended with status {code}"), code),
        Some(TargetExit::Signal(signal)) => {
            (format!("was killed by signal {signal}"), 128 + signal)
        }
    };
    output::say(&format!("the command {told}"));
    if arguments.forward_exit {
        // A status is eight bits wide, and 128 + a signal fits too.
        return Exit::Forwarded(u8::try_from(status & 0xff).unwrap_or(u8::MAX));
    }
    match recording.ended {
        Ended::Interrupted | Ended::Watched => Exit::SUCCESS,
        Ended::Exited | Ended::TimedOut => Exit::Code(Code::TargetFailed),
    }
}

/// `mm:ss`.
pub(crate) fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// The most samples a second that anybody may ask for.
const MOST_HZ: u64 = 100_000;

/// A number, or `max`: what the kernel permits.
pub(crate) fn rate(text: &str) -> Result<u64, String> {
    if text == "max" {
        const LIMIT: &str = "/proc/sys/kernel/perf_event_max_sample_rate";
        let limit = std::fs::read_to_string(LIMIT).ok();
        let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
        return match limit {
            Some(limit) => Ok(limit.clamp(1, MOST_HZ)),
            None => Err(format!("{LIMIT} cannot be read: name a number")),
        };
    }
    match text.parse() {
        Ok(rate @ 1..=MOST_HZ) => Ok(rate),
        _ => Err(format!("expected max, or a number from 1 to {MOST_HZ}")),
    }
}

/// `auto`, `perf` or `ptrace`.
pub(crate) fn sampling(text: &str) -> Result<Sampling, String> {
    match text {
        "auto" => Ok(Sampling::Events),
        "perf" => Ok(Sampling::EventsOnly),
        "ptrace" => Ok(Sampling::Stops),
        _ => Err("expected auto, perf or ptrace".to_owned()),
    }
}

/// `dwarf[,BYTES]`, `fp` or `none`.
pub(crate) fn stack_mode(text: &str) -> Result<StackMode, String> {
    match text.split_once(',') {
        None => match text {
            "dwarf" => Ok(StackMode::Adaptive { tail: Tail::Stitch }),
            "fp" => Ok(StackMode::FramePointer),
            "none" => Ok(StackMode::None),
            _ => Err("expected dwarf, dwarf,BYTES, fp or none".to_owned()),
        },
        Some(("dwarf", bytes)) => match bytes.parse() {
            Ok(bytes @ 256..=65_528) => Ok(StackMode::Dwarf { bytes }),
            _ => Err("a stack copy holds 256 to 65528 bytes".to_owned()),
        },
        Some(_) => Err("only dwarf takes a size".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line has the time, the samples, their pace of the last second, and who is there.
    #[test]
    fn the_moving_line_tells_the_pace() {
        let mut pace = Pace::default();
        let mut at = |ms: u64, samples: u64| {
            let progress = Progress {
                elapsed: Duration::from_millis(ms),
                samples,
                lost: 2,
                threads: 5,
                processes: 1,
            };
            line(&progress, pace.of(&progress))
        };
        assert_eq!(
            at(500, 400),
            "00:00  400 samples  0 a second  2 lost  1 process"
        );
        assert!(at(1_000, 900).contains("  900 a second  "));
        assert!(at(1_900, 950).contains("  900 a second  "));
        assert!(at(3_000, 1_100).contains("  100 a second  "));
    }
}
