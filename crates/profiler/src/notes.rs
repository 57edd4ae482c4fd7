//! What a reader of a recording has to know, in sentences.

use crate::growth::Stage;
use crate::observer::{Losses, Observer, Waits};
use crate::recording::{Counts, CpuSource, Ended, Recording, Rung, Sampled};
use crate::request::StackMode;
use crate::stops::Stops;
use crate::task_stat::TaskStat;
use crate::watch::{ScopeKind, Watch};

/// Below this share of the counted CPU time, the samples do not stand for the whole run.
const LOW_COVERAGE: f64 = 0.9;
/// Coverage of less CPU time than this many sampling periods says nothing.
const FEWEST_PERIODS: u64 = 20;

/// All notes, most important first.
pub(crate) fn notes(recording: &Recording, watch: &Watch, observer: &Observer<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    match recording.ended {
        Ended::Exited => {}
        Ended::TimedOut if watch.attached => {}
        Ended::TimedOut => notes.push("The target ran into its time limit and was killed.".into()),
        Ended::Watched if watch.attached => {}
        Ended::Watched => notes.push("Its time was up, and the command was ended.".into()),
        Ended::Interrupted => notes.push("The recording was interrupted.".into()),
    }
    let Sampled::Yes { .. } = recording.sampled else {
        if let Sampled::No(refusal) = &recording.sampled {
            notes.push(format!("Not sampled: {refusal}."));
        }
        notes.extend(count_note(recording));
        let counts = &recording.counts;
        notes.extend(unwaited_note(counts.unwaited_ns, counts.cpu_ns));
        return notes;
    };
    notes.extend(circumstances(watch));
    notes.extend(coverage_note(recording, watch, observer.period_sum));
    notes.extend(growth_note(watch));
    notes.extend(beyond_note(watch, observer));
    notes.extend(loss_note(recording.lost.samples, observer.losses));
    if recording.lost.records > 0 {
        notes.push(format!(
            "{} records could not be decoded.",
            recording.lost.records
        ));
    }
    notes.extend(observer.waits.as_ref().and_then(waits_note));
    if !watch.attached {
        // The target itself is reaped by now, so that it is none of them.
        let alive = observer.live_processes().filter(|&pid| runs(pid)).count();
        notes.extend(left_behind_note(alive));
    }
    notes.extend(count_note(recording));
    notes
}

/// Says how many records were lost, and when.
fn loss_note(lost: u64, losses: Losses) -> Option<String> {
    let seconds = |ns: u64| ns as f64 / 1e9;
    let when = match losses.span_ns() {
        // Nothing came after them that could have told of them.
        None => "at the very end".to_owned(),
        Some((first, last)) if last - first < 1_000_000 => format!("{:.3} s in", seconds(first)),
        Some((first, last)) => format!("from {:.3} s to {:.3} s in", seconds(first), seconds(last)),
    };
    (lost > 0).then(|| {
        format!(
            "The kernel dropped {lost} records because the recorder did not read them in time: \
             {when}."
        )
    })
}

/// What is known of the way of sampling before anything is sampled.
pub(crate) fn circumstances(watch: &Watch) -> Vec<String> {
    match watch.sampled {
        Sampled::Yes {
            rung: Rung::UserOnly,
            ..
        } => vec!["Time in the kernel was not sampled: it is not permitted here.".into()],
        Sampled::Yes {
            rung: Rung::Stops, ..
        } => stops_notes(watch),
        Sampled::Yes { .. } | Sampled::Off | Sampled::No(_) => Vec::new(),
    }
}

fn stops_notes(watch: &Watch) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(refusal) = &watch.refusal {
        notes.push(format!(
            "No perf events: {refusal}. Instead, running threads were stopped for a moment by \
             ptrace, at most {} times a second.",
            watch.plan.rate_hz
        ));
    }
    notes.push(
        "Time in the kernel counts where the program called it, and the stops themselves are a \
         part of what was measured."
            .into(),
    );
    notes.extend(watch.stops.iter().flat_map(Stops::notes));
    notes
}

/// Says how much of the time off the CPU has a stack that is not its own.
fn waits_note(waits: &Waits) -> Option<String> {
    let totals = waits.totals();
    let all_ns = totals.blocked_ns + totals.preempted_ns;
    let share = totals.borrowed_ns as f64 / all_ns.max(1) as f64;
    let why = match waits.have_stacks() {
        true => "they began before any stack was seen, or their records were lost",
        false => "the kernel's switches may not be sampled here",
    };
    (share > BORROWED_WORTH_A_WORD).then(|| {
        format!(
            "{:.0} % of the time off the CPU has the stack of the thread's nearest sample or none: \
             {why}.",
            share * 100.0
        )
    })
}

/// Above this share of the time off the CPU, stacks that are not its own are worth a word.
const BORROWED_WORTH_A_WORD: f64 = 0.01;

/// Whether a process is there and no zombie. The record of an end may have been lost, and the end of
/// one thread may be told later than that of its process, so `/proc` has the last word.
fn runs(pid: u32) -> bool {
    TaskStat::of_process(pid).is_some_and(|stat| !stat.has_ended())
}

fn left_behind_note(alive: usize) -> Option<String> {
    match alive {
        0 => None,
        1 => Some(
            "1 descendant of the target still ran when it ended; it was not followed further."
                .into(),
        ),
        _ => Some(format!(
            "{alive} descendants of the target still ran when it ended; they were not followed \
             further."
        )),
    }
}

/// Without samples nothing tells which processes there are, but user and system time come from those
/// that were waited for, and the counter has all (getrusage(2), `RUSAGE_CHILDREN`).
fn unwaited_note(unwaited_ns: u64, all_ns: u64) -> Option<String> {
    /// Two accounts of the same time differ by less than this, and by less than a twentieth.
    const LEAST_NS: u64 = 5_000_000;
    (unwaited_ns > LEAST_NS.max(all_ns / 20)).then(|| {
        "CPU time counts descendants of the target that nobody had waited for when it ended; user \
         and system time lack them."
            .into()
    })
}

fn count_note(recording: &Recording) -> Option<String> {
    let counts = &recording.counts;
    let note = match counts.cpu_source {
        CpuSource::Wait4 => {
            "CPU time was counted by wait4: descendants that nobody waited for are missing."
        }
        CpuSource::Machine if counts.cpu_ns == 0 => {
            "The kernel counts a machine's CPU time in ticks, too few of which passed while it was busy \
             to say how much was used, and with it how much of it the samples cover."
        }
        CpuSource::TaskClock | CpuSource::Machine => return None,
    };
    Some(note.to_owned())
}

/// The kernel's sums of resident pages may be behind by a batch of 32 pages of each kind (anonymous,
/// of files, shared) on each CPU that a process ran on.
const RSS_SLACK_BYTES: u64 = 128 << 10;

/// Says when the peak of memory may be that of the child before its exec, `held_rss_bytes`.
pub(crate) fn memory_note(counts: &Counts, held_rss_bytes: Option<u64>) -> Option<String> {
    let peak = counts.peak_rss_bytes;
    match held_rss_bytes {
        Some(held) if peak > held + RSS_SLACK_BYTES => None,
        Some(_) => Some(format!(
            "Peak memory is at most {} KiB; what the target used of it lies below what can be \
             measured.",
            peak / 1_024
        )),
        None => {
            Some("Peak memory may be that of the recorder, which cannot be told apart here.".into())
        }
    }
}

fn growth_note(watch: &Watch) -> Option<String> {
    let growth = watch.growth.as_ref()?;
    match &growth.stage {
        Stage::First | Stage::Settled => None,
        Stage::Grown {
            after_ns,
            cut_before,
        } => Some(format!(
            "Copies of the stack grew from {} to {} bytes at {:.2} s, when {}.",
            growth.bytes_before(),
            growth.stack_bytes(),
            *after_ns as f64 / 1e9,
            match cut_before {
                1 => "one stack had been cut".to_owned(),
                many => format!("{many} stacks had been cut"),
            }
        )),
        Stage::Refused(error) => Some(format!(
            "Copies of the stack stayed at {} bytes: {error}.",
            growth.stack_bytes()
        )),
    }
}

/// Says how many stacks reached beyond their copies, and what became of them.
fn beyond_note(watch: &Watch, observer: &Observer<'_>) -> Option<String> {
    let StackMode::Adaptive { .. } = watch.plan.stacks else {
        return None;
    };
    let beyond = observer.beyond_copy + observer.beyond_hole;
    let stitched = observer.stitched_samples;
    let others = match beyond > stitched {
        true => ", and the others are cut",
        false => "",
    };
    (beyond > 0).then(|| {
        format!(
            "{beyond} of {} stacks reached beyond their copies; {stitched} were completed by \
             reading the running thread's memory a moment later, so that their outer callers are \
             likely and not certain{others}.",
            observer.samples
        )
    })
}

fn coverage_note(recording: &Recording, watch: &Watch, period_sum: u64) -> Option<String> {
    let plan = &watch.plan;
    if !plan.permitted.kind.is_clock() {
        return None;
    }
    let counted_ns = recording.counts.cpu_ns;
    let coverage = period_sum as f64 / counted_ns as f64;
    let period_ns = plan.period().unwrap_or(1_000_000_000 / plan.rate_hz.max(1));
    let enough = counted_ns / period_ns.max(1) >= FEWEST_PERIODS;
    (enough && coverage < LOW_COVERAGE).then(|| {
        let cause = match (plan.permitted.rung, watch.scope) {
            (Rung::Stops, _) | (_, ScopeKind::Stopped) => {
                "the rest ran in threads that ended, or began to wait, before they were stopped"
            }
            (Rung::UserOnly, _) => "the rest ran in the kernel or in tasks shorter than a period",
            (_, ScopeKind::Everything) => "the rest was lost, or is the kernel's own accounting",
            (_, ScopeKind::Tasks | ScopeKind::Attached) => {
                "tasks shorter than a sampling period are mostly missed"
            }
            (_, ScopeKind::Group) => "the rest was lost, or left the recorder's control group",
        };
        format!(
            "The samples cover {:.0} % of the counted CPU time: {cause}.",
            coverage * 100.0
        )
    })
}

/// How stacks were taken, in words.
pub(crate) fn unwinder(watch: &Watch) -> String {
    let plan = &watch.plan;
    let kib = |bytes: u32| format!("{:.1} KiB", f64::from(bytes) / 1024.0);
    let first = kib(plan.stack_bytes);
    if plan.permitted.rung == Rung::Stops && plan.stacks != StackMode::None {
        return "registers and the whole stack of the stopped thread, unwound by CFI".to_owned();
    }
    match plan.stacks {
        StackMode::Adaptive { .. } | StackMode::Dwarf { .. } => {
            let growth = watch.growth.iter();
            let later = growth.flat_map(|growth| growth.history.iter().skip(1));
            let later: String = later
                .map(|&bytes| format!(", then {}", kib(bytes)))
                .collect();
            format!("registers and {first}{later} of stack, unwound by CFI")
        }
        StackMode::FramePointer => format!(
            "frame pointers, behind first frames from registers and {first} of stack by CFI"
        ),
        StackMode::None => "none: addresses only".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two accounts of CPU time are of unlike processes when they are far apart, and only then.
    #[test]
    fn time_of_descendants_that_nobody_waited_for_is_told() {
        let note = |unwaited_ms: u64, cpu_ms: u64| {
            unwaited_note(unwaited_ms * 1_000_000, cpu_ms * 1_000_000)
        };
        let told = note(44, 88).expect("half of it is missing");
        assert!(told.starts_with("CPU time counts descendants"), "{told}");
        for (unwaited_ms, cpu_ms) in [(0, 0), (4, 4), (40, 1_000), (0, 88)] {
            assert_eq!(note(unwaited_ms, cpu_ms), None);
        }
    }

    /// Only what `/proc` shows running still runs: not a zombie, and not what is reaped.
    #[test]
    fn what_has_ended_does_not_run() {
        assert!(runs(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let zombie = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
            stat.contains(") Z ")
        };
        while !zombie() {
            std::thread::yield_now();
        }
        assert!(!runs(child.id()));
        child.wait().unwrap();
        assert!(!runs(child.id()));
    }

    /// A loss is told with its time: a stretch, a moment, or the end, when no record tells of it.
    #[test]
    fn losses_have_their_time() {
        let note = |times: &[u64]| {
            let mut losses = Losses::default();
            losses.record(1_000_000_000);
            times.iter().for_each(|&time_ns| losses.lost(time_ns));
            loss_note(7, losses).unwrap()
        };
        assert!(note(&[]).ends_with(
            "dropped 7 records because the recorder did not read them in time: at the very end."
        ));
        assert!(note(&[1_250_000_000]).ends_with(": 0.250 s in."));
        assert!(note(&[1_250_000_000, 3_000_000_000]).ends_with(": from 0.250 s to 2.000 s in."));
        assert_eq!(loss_note(0, Losses::default()), None);
    }

    #[test]
    fn one_descendant_is_one() {
        assert_eq!(left_behind_note(0), None);
        for (alive, words) in [(1, "1 descendant of"), (2, "2 descendants of")] {
            let note = left_behind_note(alive).unwrap();
            assert!(note.starts_with(words), "{note}");
        }
    }
}
