//! Time off the CPU against what threads say of themselves.

use std::io::{Read, Seek};

use hotproof_profile::{BLOCKED, ELAPSED, LabelValue, PREEMPTED, Profile, Thread, transform};
use hotproof_profiler::{OffCpu, Recording, Request, Rung, Sampled, Stdout};
use tempfile::TempDir;

use crate::{Names, attach, build, has, record, request, sampling_works, sampling_works_alone};

/// Fast enough that the samples of threads that run in bursts stand for their time.
const RATE_HZ: u64 = 3_989;

/// What is known of one thread, in nanoseconds.
struct Told {
    name: String,
    /// By the thread itself.
    cpu_ns: f64,
    wall_ns: f64,
    /// By samples.
    on_ns: f64,
    blocked_ns: f64,
    preempted_ns: f64,
}

fn column(profile: &Profile, name: &str) -> usize {
    let mut names = profile.weights.iter().map(|weight| weight.name.as_str());
    names.position(|one| one == name).unwrap()
}

/// Records `waits` for so long, and gives what the profile and the threads say.
fn recorded(request: &mut Request) -> (Recording, Profile, Vec<Told>) {
    let mut out = tempfile::tempfile().unwrap();
    request.stdout = Stdout::File(out.try_clone().unwrap());
    request.off_cpu = OffCpu::Record;
    request.rate_hz = RATE_HZ;
    let mut profile = Profile::default();
    let recording = hotproof_profiler::Recorder::new()
        .record(request, &mut profile, &mut |_| ())
        .unwrap();
    profile.validate().unwrap();
    let mut text = String::new();
    out.rewind().unwrap();
    out.read_to_string(&mut text).unwrap();
    let told = text.lines().map(|line| {
        let (tid, cpu_ns) = line.split_once(' ').unwrap();
        of_thread(&profile, tid.parse().unwrap(), cpu_ns.parse().unwrap())
    });
    let told: Vec<Told> = told.collect();
    assert_eq!(told.len(), 3);
    (recording, profile, told)
}

fn of_thread(profile: &Profile, tid: u32, cpu_ns: f64) -> Told {
    let rows = profile.threads.rows().iter();
    let (index, row) = rows.enumerate().find(|(_, row)| row.tid == tid).unwrap();
    let is_own = |&i: &usize| profile.samples.thread[i].0 as usize == index;
    let sum = |name: &str| {
        let weights = &profile.samples.weights[column(profile, name)];
        let rows = (0..profile.samples.len()).filter(is_own);
        rows.map(|i| weights[i]).sum::<i64>() as f64
    };
    let Thread {
        start_ns, end_ns, ..
    } = row;
    Told {
        name: profile.strings[row.name].to_owned(),
        cpu_ns,
        wall_ns: (end_ns.unwrap() - start_ns) as f64,
        on_ns: sum("cpu"),
        blocked_ns: sum(BLOCKED),
        preempted_ns: sum(PREEMPTED),
    }
}

/// For each thread, its own CPU time and the time off the CPU come to its life, and so do its
/// samples and that time; waiting has the stack of the wait.
#[test]
fn on_and_off_are_all_of_a_threads_time() {
    if !sampling_works_alone() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-g", "-pthread"], "waits.c");
    let mut request = request([program.to_str().unwrap(), "1500"]);
    let (recording, profile, told) = recorded(&mut request);
    for thread in &told {
        let off_ns = thread.blocked_ns + thread.preempted_ns;
        println!(
            "{}: wall {:.3} ms, own CPU {:.3}, sampled {:.3}, blocked {:.3}, preempted {:.3}",
            thread.name,
            thread.wall_ns / 1e6,
            thread.cpu_ns / 1e6,
            thread.on_ns / 1e6,
            thread.blocked_ns / 1e6,
            thread.preempted_ns / 1e6
        );
        for (what, on_ns) in [("own CPU time", thread.cpu_ns), ("samples", thread.on_ns)] {
            let share = (on_ns + off_ns) / thread.wall_ns;
            crate::assert_near(&format!("{} of {}", what, thread.name), share, 1.0, 0.01);
        }
    }
    let is_gone = |&i: &usize| profile.threads[profile.samples.thread[i]].tid == u32::MAX;
    let blocked = &profile.samples.weights[column(&profile, BLOCKED)];
    let of_the_gone = (0..profile.samples.len()).filter(is_gone);
    let waits: i64 = of_the_gone.map(|i| blocked[i]).sum();
    assert_eq!(waits, 0, "threads that have ended wait for nothing");
    let by_name = |name: &str| told.iter().find(|thread| thread.name == name).unwrap();
    // It asks for nothing, but a page fault of its own can wait for a thread that is in `mmap` and was
    // preempted there: 75 us were seen beside three busy loops.
    let burner = by_name("burner");
    assert!(burner.blocked_ns < 0.01 * burner.wall_ns);
    let sleeper = by_name("sleeper");
    assert!(sleeper.blocked_ns > 0.8 * sleeper.wall_ns);

    let Sampled::Yes { rung, .. } = &recording.sampled else {
        panic!("{recording:?}");
    };
    let names = Names::of(&program);
    let place = if *rung == Rung::KernelAndUser {
        "nap"
    } else {
        "thread_main"
    };
    let blocked = &profile.samples.weights[column(&profile, BLOCKED)];
    let naps = (0..profile.samples.len())
        .filter(|&i| has(&names.stack(&profile, i), place))
        .map(|i| blocked[i])
        .sum::<i64>() as f64;
    let slept = by_name("worker").blocked_ns + sleeper.blocked_ns;
    crate::assert_near("waiting where it waits", naps / slept, 1.0, 0.02);
}

/// The views have the rows and the sums that they say, and the recording without waits is one of
/// them.
#[test]
fn views_of_time_add_up() {
    if !sampling_works() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let program = build(&folder, "gcc", &["-O2", "-pthread"], "waits.c");
    let mut request = request([program.to_str().unwrap(), "300"]);
    let (recording, profile, _) = recorded(&mut request);
    let view = |name| {
        let chosen = transform::Transform {
            weight: Some(name),
            ..transform::Transform::default()
        };
        chosen.apply(profile.clone()).unwrap().total_weight(0)
    };
    let [cpu, blocked, preempted] = ["cpu", BLOCKED, PREEMPTED].map(view);
    assert!(cpu > 0 && blocked > 0 && preempted >= 0);
    assert_eq!(view("off-cpu"), blocked + preempted);
    assert_eq!(view("wall"), cpu + blocked + preempted);
    // Threads add up to more than the run took; its own time is told once.
    let elapsed = view(ELAPSED) as f64 / recording.counts.wall_ns as f64;
    crate::assert_near("elapsed time", elapsed, 1.0, 0.03);
    let on = transform::on_cpu(profile.clone());
    assert_eq!(on.samples.len() as u64, recording.samples);
    assert_eq!(profile.sample_count(), recording.samples);
    assert_eq!((on.total_weight(1), on.weights.len()), (cpu, 2));
    assert!(on.meta.notes.last().unwrap().contains("off-cpu"));
}

/// What [`crate::as_user`] asserts besides: the kernel's switches may not be sampled, so that stacks
/// are borrowed, and each such row says so.
pub(crate) fn as_user(program: &str) {
    let mut request = request([program, crate::SPLIT_ROUNDS]);
    request.off_cpu = OffCpu::Record;
    let (recording, profile) = {
        let mut profile = Profile::default();
        let recording = hotproof_profiler::Recorder::new()
            .record(&request, &mut profile, &mut |_| ())
            .unwrap();
        (recording, profile)
    };
    let user_only = matches!(
        recording.sampled,
        Sampled::Yes {
            rung: Rung::UserOnly,
            ..
        }
    );
    let off = |i: usize| {
        [BLOCKED, PREEMPTED].map(|name| profile.samples.weights[column(&profile, name)][i])
            != [0, 0]
    };
    for i in (0..profile.samples.len()).filter(|&i| user_only && off(i)) {
        let set = &profile.labels[profile.samples.labels[i].expect("a label")];
        let texts = set.iter().map(|label| match label.value {
            LabelValue::Text(text) => (&profile.strings[label.key], &profile.strings[text]),
            LabelValue::Number { .. } => panic!("a number"),
        });
        assert_eq!(texts.collect::<Vec<_>>(), [("stack", "borrowed")]);
    }
}

/// A process that does nothing but wait is seen to wait for as long as it is watched.
#[test]
fn an_attached_sleeper_waits_all_the_time() {
    if !sampling_works() {
        return;
    }
    let started = crate::Started::new(std::process::Command::new("sleep").arg("1000"));
    // Its exec is over when it sleeps.
    std::thread::sleep(std::time::Duration::from_millis(200));
    let mut wanted = hotproof_profiler::Attach::new([started.0.id()]);
    wanted.off_cpu = OffCpu::Record;
    wanted.duration = Some(std::time::Duration::from_millis(500));
    let (recording, profile) = attach(&wanted);
    let blocked_ns = profile.total_weight(column(&profile, BLOCKED));
    let begun_ns = profile.threads.rows()[0].start_ns;
    let ended_ns = profile.samples.time_ns.last().copied().unwrap();
    assert_eq!(blocked_ns as u64, ended_ns - begun_ns);
    let wall_ns = recording.counts.wall_ns;
    assert!(blocked_ns as u64 > wall_ns / 2, "{blocked_ns} of {wall_ns}");
}

/// Without time off the CPU nothing of it is in the profile.
#[test]
fn time_off_the_cpu_is_recorded_on_request() {
    if !sampling_works() {
        return;
    }
    let (_, profile) = record(&request(["sleep", "0.05"]));
    assert_eq!(profile.weights.len(), 2);
    assert!(!transform::holds_off_cpu(&profile));
}
