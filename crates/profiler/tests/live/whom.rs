//! Whom a recording watches, from when and until when.

use std::process::Command;
use std::time::{Duration, Instant};

use hotproof_profile::{Exit, Profile};
use hotproof_profiler::{
    Attach, CpuSource, Ended, RecordError, Recorder, Sampler, Sampling, Whom, record_closure,
};
use tempfile::TempDir;

use crate::{Names, Started, assert_near, attach, build, ends_soon, has, record, request};
use crate::{sampling_works, sampling_works_alone, share, skipped};

/// After its time a recording ends its command, politely: a shell's trap is run, and the profile has
/// what came until then.
#[test]
fn a_command_ends_with_its_recording() {
    let folder = TempDir::new().unwrap();
    let note = folder.path().join("note");
    let script = format!(
        "trap 'echo asked > {}; exit 0' TERM; while :; do :; done",
        note.display()
    );
    let mut request = request(["sh", "-c", &script]);
    request.duration = Some(Duration::from_millis(400));
    let (recording, profile) = record(&request);
    assert_eq!(recording.ended, Ended::Watched);
    assert_eq!(recording.exit, Some(Exit::Code(0)));
    assert_eq!(std::fs::read_to_string(note).unwrap(), "asked\n");
    assert!(recording.counts.wall_ns >= 400_000_000);
    assert!(!sampling_works() || profile.samples.len() > 5);

    // One that does not listen is killed.
    let mut request = crate::request(["sh", "-c", "trap '' TERM; while :; do :; done"]);
    request.duration = Some(Duration::from_millis(200));
    let (recording, _) = record(&request);
    assert_eq!(recording.ended, Ended::Watched);
    assert_eq!(recording.exit, Some(Exit::Signal(9)));
}

/// What a command does before the delay is over is neither sampled nor counted.
#[test]
fn a_delay_leaves_the_beginning_out() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-pthread"], "tree.c");
    let script = "timeout 1 $0 threads 1000000000; $0 signal 20000";
    let mut request = request(["sh", "-c", script, program.to_str().unwrap()]);
    request.delay = Some(Duration::from_millis(1_500));
    let (recording, profile) = record(&request);
    let names = Names::of(&program);
    let early = share(&names, &profile, |stack| has(stack, "work_b"));
    let late = share(&names, &profile, |stack| has(stack, "handler"));
    assert_eq!(early, 0.0);
    assert!(late > 0.8, "{late}");
    if profile.meta.event == "cpu-clock" {
        let coverage = profile.total_weight(1) as f64 / recording.counts.cpu_ns as f64;
        assert_near("coverage", coverage, 1.0, 0.1);
    }
}

/// A recording of everything sees two programs that do not know of each other, and does not end
/// before its time.
#[test]
fn everything_is_seen() {
    if !sampling_works_alone() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-pthread"], "tree.c");
    let _old = Started::new(Command::new(&program).args(["threads", "1000000000"]));
    let mut wanted = Attach::new([]);
    wanted.whom = Whom::Everything;
    wanted.duration = Some(Duration::from_millis(1_000));
    let mut profile = Profile::default();
    let late = std::thread::scope(|scope| {
        let late = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            Started::new(Command::new(&program).args(["deep", "1000000000"]))
        });
        let recorded = Recorder::new().attach(&wanted, &mut profile, &mut |_| ());
        (recorded, late.join().unwrap())
    });
    let (recorded, _late) = late;
    let recording = match recorded {
        Ok(recording) => recording,
        Err(RecordError::CannotAttach(refusal)) => {
            assert!(refusal.to_string().contains("whole system"), "{refusal}");
            skipped(&format!("whole system: {refusal}"));
            return;
        }
        Err(error) => panic!("{error}"),
    };
    profile.validate().unwrap();
    assert_eq!(recording.ended, Ended::TimedOut);
    assert_eq!(recording.counts.cpu_source, CpuSource::Machine);
    let names = Names::of(&program);
    for work in ["work_c", "work_a"] {
        let seen = share(&names, &profile, |stack| has(stack, work));
        assert!(seen > 0.0, "no {work}");
    }
    // Both are named, the one that was there and the one that came.
    let rows = profile.processes.rows().iter();
    let named = rows.filter(|row| &profile.strings[row.name] == "program");
    assert!(named.count() >= 2);
    assert!(profile.processes.rows().iter().all(|row| row.pid != 0));
    let coverage = profile.total_weight(1) as f64 / recording.counts.cpu_ns as f64;
    // The kernel's account goes by ticks.
    assert_near("coverage", coverage, 1.0, 0.15);
}

/// Several processes at once: both are seen, and the recording ends with the last.
#[test]
fn several_processes_are_attached_to() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-pthread"], "tree.c");
    let start = |mode: &str| Started::new(Command::new(&program).args([mode, "1000000000"]));
    let (first, second) = (start("threads"), start("signal"));
    std::thread::sleep(Duration::from_millis(300));
    let mut wanted = Attach::new([first.0.id(), second.0.id()]);
    wanted.duration = Some(Duration::from_millis(700));
    let (_, profile) = attach(&wanted);
    let names = Names::of(&program);
    for work in ["work_b", "handler"] {
        let seen = share(&names, &profile, |stack| has(stack, work));
        assert!(seen > 0.05, "{work}: {seen}");
    }
    assert_eq!(profile.processes.len(), 2);
}

/// Threads and processes that are started while a recording attaches are watched as well.
#[test]
fn nobody_is_missed_who_starts_while_a_recording_attaches() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-pthread"], "starts.c");
    for sampling in [Sampling::EventsOnly, Sampling::Stops] {
        let started = Started::new(&mut Command::new(&program));
        let mut wanted = Attach::new([started.0.id()]);
        wanted.sampling = sampling;
        wanted.duration = Some(Duration::from_millis(1_500));
        let (recording, profile) = attach(&wanted);
        let mut seen: Vec<u32> = profile.threads.rows().iter().map(|row| row.tid).collect();
        let before = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1 + 60 + 20, "{sampling:?} {recording:?}");
        // Those that start while events of their maker are opened may be watched twice
        // ([`Recorder::attach`] says so): a few, where the recorder has to wait for a CPU meanwhile.
        assert!(before <= seen.len() + 8, "{before}");
    }
}

/// Five hundred threads at once, each with its own name, none lost.
#[test]
fn five_hundred_threads_are_seen() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-pthread"], "crowd.c");
    let mut request = request([program.to_str().unwrap(), "500", "4"]);
    request.rate_hz = 4_999;
    let (recording, profile) = record(&request);
    assert_eq!(recording.exit, Some(Exit::Code(0)));
    assert_eq!((recording.lost.samples, recording.lost.records), (0, 0));
    // The kernel has no number any more for a task on its last way, which is then a row of its own.
    let rows = profile.threads.rows().iter();
    let mut names: Vec<&str> = rows.map(|row| &profile.strings[row.name]).collect();
    names.retain(|name| name.starts_with("crowd-"));
    assert_eq!(names.len(), 500);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 500);
    // Each used 4 ms, twenty periods.
    let mut sampled: Vec<u32> = profile.samples.thread.iter().map(|id| id.0).collect();
    sampled.sort_unstable();
    sampled.dedup();
    assert!(sampled.len() >= 495, "{}", sampled.len());
}

/// Code that is loaded while the program runs is known, by its own file.
#[test]
fn a_library_that_is_loaded_late_is_seen() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let late = folder.path().join("late.so");
    let compiled = Command::new("gcc")
        .args(["-O2", "-shared", "-fPIC", "-DLATE", "-o"])
        .arg(&late)
        .arg(crate::source("crowd.c"))
        .status();
    assert!(compiled.unwrap().success());
    let program = build(&folder, "gcc", &["-O2", "-pthread"], "crowd.c");
    let words = [program.to_str().unwrap(), "load", late.to_str().unwrap()];
    let (_, profile) = record(&request(words));
    let names = Names::of(&late);
    let seen = share(&names, &profile, |stack| has(stack, "late_work"));
    assert!(seen > 0.9, "{seen}");
}

/// A closure is sampled on its own thread with what it starts, and gives what it returns; what
/// other threads do meanwhile is not seen.
#[test]
fn a_closure_is_recorded() {
    if !sampling_works() {
        return;
    }
    let over = std::sync::atomic::AtomicBool::new(false);
    let spin = |until: Instant| {
        let mut x = 1u64;
        while Instant::now() < until {
            x = std::hint::black_box(x.rotate_left(7) ^ 5);
        }
        x
    };
    let recorded = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                spin(Instant::now() + Duration::from_millis(1));
            }
        });
        let recorded = record_closure(Attach::new([]), || {
            let end = Instant::now() + Duration::from_millis(500);
            let child = std::thread::Builder::new().name("inner".into());
            let child = child.spawn(move || spin(end)).unwrap();
            spin(end) ^ child.join().unwrap()
        });
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        recorded.unwrap()
    });
    assert_eq!(recorded.recording.ended, Ended::Watched);
    let profile = &recorded.profile;
    assert!(profile.samples.len() > 10, "{:?}", recorded.recording);
    let names = profile.samples.thread.iter();
    let mut names: Vec<&str> = names
        .map(|&id| &profile.strings[profile.threads[id].name])
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&"inner"));
    let panicked = std::panic::catch_unwind(|| {
        let _ = record_closure(Attach::new([]), || panic!("as asked"));
    });
    assert!(panicked.is_err());
}

/// A sampler of a command is as good as the recorder itself.
#[test]
fn a_command_is_sampled_through_the_trait() {
    let request = request(["sh", "-c", "exit 3"]);
    let (mut recorder, mut profile) = (Recorder::new(), Profile::default());
    let recording = recorder
        .of_command(&request)
        .sample(&mut profile, &mut |_| ())
        .unwrap();
    assert_eq!(recording.exit, Some(Exit::Code(3)));
    assert_eq!(profile.meta.exit, Some(Exit::Code(3)));

    // Its rows can be sent on, to another sink that then holds the same.
    let mut copy = Profile::default();
    profile.send_to(&mut copy).unwrap();
    assert_eq!(copy, profile);

    let started = Started::new(Command::new("sleep").arg("1000"));
    let wanted = Attach::new([started.0.id()]);
    wanted
        .stop
        .store(true, std::sync::atomic::Ordering::Relaxed);
    if sampling_works() {
        let recording = recorder
            .of_running(&wanted)
            .sample(&mut Profile::default(), &mut |_| ())
            .unwrap();
        assert_eq!(recording.ended, Ended::Interrupted);
    }
    let pid = started.0.id();
    drop(started);
    assert!(ends_soon(pid));
}
