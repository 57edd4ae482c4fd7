//! `hotproof record`: from a command to a profile.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hotproof_profile::{Exit as TargetExit, Profile, Sink};
use hotproof_profiler::{
    Attach, DEFAULT_RATE_HZ, DEFAULT_STOPS_RATE_HZ, Ended, Group, Progress, RecordError, Recorder,
    Recording, Request, Sampled, Sampling, StackMode, Tail, Unsampled,
};
use hotproof_report::record::RecordFacts;
use hotproof_symbolizer::Summary;

use crate::arguments::Record;
use crate::failure::{Code, Exit, Failure, Outcome};
use crate::output::{PendingFile, Voice};
use crate::part::Part;
use crate::progress::Ticker;
use crate::{interrupt, output, terminal};

pub(crate) fn run(arguments: &Record, voice: Voice) -> Outcome {
    if arguments.duration.is_some() && arguments.pids.is_empty() {
        let what = "--duration is for running processes (-p), and a command runs to its end";
        return Err(Failure::new(Code::Usage, what)
            .remedy("press Ctrl-C to end earlier, or run it under timeout(1)"));
    }
    if arguments.output == Path::new("-") {
        let what = "a profile cannot be written to standard output, which is the target's own";
        return Err(Failure::new(Code::Usage, what).remedy("name a file with -o"));
    }
    if arguments.rate_hz.is_some_and(|rate| rate > DISTURBING_HZ) {
        voice.notice(&format!(
            "  note     above {DISTURBING_HZ} Hz the kernel's work for the samples is a large part of what is measured"
        ));
    }
    let file = PendingFile::create(&arguments.output)?;
    let mut recorder = Recorder::new();
    let flags = interrupt::flags()?;
    let (recording, mut profile) = if file.is_stream() {
        let mut profile = Profile::default();
        let recording = sample(arguments, &mut recorder, flags, &mut profile, voice);
        (recording.map_err(|error| cannot_record(&error))?, profile)
    } else {
        sample_into_part(arguments, &mut recorder, flags, voice)?
    };
    if let Sampled::No(refusal) = &recording.sampled {
        return Err(refused(refusal));
    }
    let mut symbolizer = crate::cache::symbolizer();
    symbolizer.hold(recorder.take_held_files());
    let named = crate::cache::name(&mut symbolizer, &mut profile);
    let file_bytes =
        file.finish_or_rescue(|out| Ok(hotproof_formats::native::write(&profile, out)?))?;

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

/// Records into a file beside the output, so that a recorder that is killed leaves what it had.
fn sample_into_part(
    arguments: &Record,
    recorder: &mut Recorder,
    flags: interrupt::Flags,
    voice: Voice,
) -> Result<(Recording, Profile), Failure> {
    let lost = |error: io::Error| Failure::new(Code::Failure, format!("cannot record: {error}"));
    let mut part = Part::create(&arguments.output).map_err(lost)?;
    match sample(arguments, recorder, flags, &mut part.writer, voice) {
        Ok(recording) => Ok((recording, part.finish().map_err(lost)?)),
        Err(error @ (RecordError::Sink(_) | RecordError::System { .. })) => {
            let failure = cannot_record(&error);
            Err(match part.keep() {
                Ok(path) => failure.remedy(format!(
                    "what came until then is kept as {}; `hotproof report` reads it",
                    path.display()
                )),
                Err(_) => failure,
            })
        }
        Err(error) => Err(cannot_record(&error)),
    }
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
        group: Group::Inherit,
        stop,
        stop_now,
        ..Request::new(arguments.command.iter().cloned())
    };
    let ticker = Ticker::new(voice);
    let mut show = |progress: &Progress| {
        ticker.say(|| {
            format!(
                "{}  {} samples  {} lost  {} threads",
                clock(progress.elapsed),
                progress.samples,
                progress.lost,
                progress.threads
            )
        });
    };
    let recording = if arguments.pids.is_empty() {
        recorder.record(&request, sink, &mut show)
    } else {
        recorder.attach(&attachment(arguments, &request), sink, &mut show)
    };
    ticker.finish();
    recording
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
        Ended::Interrupted => Exit::SUCCESS,
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
