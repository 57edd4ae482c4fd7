//! Deep stacks, and stacks that change quickly, against the truth: the innermost function of each
//! sample says through which callers it was reached.

use hotproof_profile::{Profile, StackEnd};
use hotproof_profiler::{Progress, Recording, StackMode, Tail};
use rustix::process::{Pid, Signal};

use super::*;

const STITCHING: StackMode = StackMode::Adaptive { tail: Tail::Stitch };
const CUTTING: StackMode = StackMode::Adaptive { tail: Tail::Cut };

/// Samples of a program of `tests/programs`, and its names.
fn sampled(stacks: StackMode, build: impl Fn(&TempDir) -> PathBuf, words: &[&str]) -> Sampled {
    let folder = TempDir::new().unwrap();
    let program = build(&folder);
    let mut request = request([program.to_str().unwrap()]);
    request.command.extend(words.iter().map(Into::into));
    request.stacks = stacks;
    let (recording, profile) = record(&request);
    assert_eq!(recording.lost.records, 0);
    Sampled {
        names: Names::of(&program),
        recording,
        profile,
    }
}

struct Sampled {
    names: Names,
    recording: Recording,
    profile: Profile,
}

impl Sampled {
    fn with_end(&self, end: StackEnd) -> impl Iterator<Item = Vec<&str>> {
        let rows = 0..self.profile.samples.len();
        rows.filter(move |&row| self.profile.samples.end[row] == end)
            .map(|row| self.names.stack(&self.profile, row))
    }

    fn share(&self, ends: &[StackEnd]) -> f64 {
        let rows = self.profile.samples.end.iter();
        let hits = rows.filter(|end| ends.contains(end)).count();
        hits as f64 / self.profile.samples.len() as f64
    }
}

fn c_program(name: &'static str) -> impl Fn(&TempDir) -> PathBuf {
    move |folder| {
        let flags = [
            "-O2",
            "-fomit-frame-pointer",
            "-fno-optimize-sibling-calls",
            "-fno-inline",
            "-fno-stack-clash-protection",
            "-pthread",
        ];
        build(folder, "gcc", &flags, name)
    }
}

fn count(stack: &[&str], name: &str) -> usize {
    stack.iter().filter(|&&other| other == name).count()
}

/// Stacks of 1,000 and 2,000 frames of 96 bytes and more are whole, each with its exact depth,
/// beyond the kernel's largest copy by what is read from the running thread. Without that they are
/// cut, and none is whole.
#[test]
fn stacks_of_two_thousand_frames_have_their_exact_depth() {
    if !sampling_works_alone() {
        return;
    }
    for depth in ["1000", "2000"] {
        // A recorder that waits for a CPU reads too late, and the stack is told as cut: load (that of
        // the other tests has failed four tries) can only take away from the share, never from what
        // the whole stacks say.
        let mut shares = (0..8).map(|_| share_of_exact_stacks(depth));
        let best = shares.find(|&whole| whole >= 0.99);
        assert!(best.is_some(), "never 99 % at depth {depth}");
    }
    let cut = sampled(CUTTING, c_program("tree.c"), &["deeper", "12000", "2000"]);
    assert!(
        cut.share(&[StackEnd::Truncated]) > 0.95,
        "{:?}",
        cut.recording
    );
    assert_eq!(cut.share(&[StackEnd::Stitched]), 0.0);
}

/// The share of whole stacks in one recording, each of them with as many frames as the program has.
fn share_of_exact_stacks(depth: &str) -> f64 {
    let words = ["deeper", "12000", depth];
    let deep = sampled(STITCHING, c_program("tree.c"), &words);
    let frames: usize = depth.parse::<usize>().unwrap() + 1;
    let stitched = deep.with_end(StackEnd::Stitched);
    let at_work = stitched.filter(|stack| has(stack, "work_a"));
    let mut seen = 0;
    for stack in at_work {
        assert_eq!(
            (count(&stack, "descend"), count(&stack, "main")),
            (frames, 1)
        );
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
    let told = |part: &str| deep.recording.notes.iter().any(|note| note.contains(part));
    let unwinder = &deep.profile.meta.unwinder;
    assert!(
        // The sizes are told in the order of time: it has come back to the largest.
        unwinder.contains("64.0 KiB of") && told("reached beyond their copies"),
        "{:?}",
        deep.recording
    );
    deep.share(&[StackEnd::Complete, StackEnd::Stitched])
}

/// Copies begin large and become small while stacks are shallow; when stacks become deep they grow
/// again, and no sample is lost by that: a few stacks are cut, and those after them are whole.
#[test]
fn copies_follow_what_stacks_need() {
    if !sampling_works() {
        return;
    }
    let deep = sampled(
        CUTTING,
        c_program("tree.c"),
        &["later deep", TREE_ROUNDS, "500"],
    );
    let ends = &deep.profile.samples.end;
    let is_cut = |end: &StackEnd| *end == StackEnd::Truncated;
    let cut = ends.iter().filter(|end| is_cut(end)).count();
    assert!(cut > 0 && cut < 100, "{cut} of {}", ends.len());
    let first = ends.iter().position(is_cut).unwrap();
    let last = ends.iter().rposition(is_cut).unwrap();
    assert!(first > 100 && last < first + 150, "{first} to {last}");
    let unwinder = &deep.profile.meta.unwinder;
    assert!(
        unwinder.contains("64.0 KiB, then 8.0 KiB") && unwinder.contains("then 64.0 KiB"),
        "{unwinder}"
    );
    if deep.profile.meta.event == "cpu-clock" {
        let coverage = deep.profile.total_weight(1) as f64 / deep.recording.counts.cpu_ns as f64;
        assert_near("coverage", coverage, 1.0, 0.05);
    }
}

/// Two callers of one leaf with a large frame take turns every few dozen microseconds: no whole
/// stack names the wrong one, and each has its share.
#[test]
fn alternating_callers_are_never_taken_for_each_other() {
    if !sampling_works() {
        return;
    }
    let callers = sampled(STITCHING, c_program("changing.c"), &["alternate", "7000"]);
    let mut by_caller = [0u32; 2];
    for stack in callers.with_end(StackEnd::Complete) {
        // The kernel's own frames have no names here.
        let stack: Vec<&str> = stack.into_iter().skip_while(|&name| name == "?").collect();
        for (caller, other) in [(0, 1), (1, 0)] {
            if has(&stack, &format!("spin_{caller}")) {
                let chain = [
                    format!("spin_{caller}"),
                    "leaf".into(),
                    format!("caller_{caller}"),
                ];
                assert_eq!(stack[..3], chain);
                assert_eq!(count(&stack, "main"), 1);
                assert!(!has(&stack, &format!("caller_{other}")));
                by_caller[caller] += 1;
            }
        }
    }
    let all = f64::from(by_caller[0] + by_caller[1]);
    assert!(
        all > 0.95 * callers.recording.samples as f64,
        "{:?}",
        callers.recording
    );
    assert_near("caller_0", f64::from(by_caller[0]) / all, 0.75, 0.08);
}

/// In a recursive descent parser the frames alternate as the grammar says, to the depth that the
/// innermost function was called at.
#[test]
fn a_parser_has_the_frames_of_its_grammar() {
    if !sampling_works() {
        return;
    }
    let parser = sampled(STITCHING, c_program("changing.c"), &["parser", "1500"]);
    let mut seen = 0;
    for stack in parser.with_end(StackEnd::Complete) {
        let Some(depth) = stack[0].strip_prefix("spin_") else {
            continue;
        };
        let factors = count(&stack, "factor");
        assert_eq!((factors % 8).to_string(), depth, "{stack:?}");
        let main = stack.iter().position(|&name| name == "main").unwrap();
        for triple in stack[1..main].chunks(3) {
            assert_eq!(triple, ["factor", "term", "expression"]);
        }
        seen += 1;
    }
    assert!(
        f64::from(seen) > 0.9 * parser.recording.samples as f64,
        "{:?}",
        parser.recording
    );
}

/// On walks through a tree whose stacks reach twice as far as the largest copy, no stack that
/// counts as whole names a wrong branch; those that were stitched may, which is why they are told
/// apart.
#[test]
fn walks_through_a_tree_name_no_wrong_branch_for_certain() {
    if !sampling_works() {
        return;
    }
    let tree = sampled(STITCHING, c_program("changing.c"), &["tree", "60000"]);
    assert_eq!(tree.recording.samples, tree.profile.samples.len() as u64);
    let steps = |stack: &[&str]| -> Vec<usize> {
        let rights = stack
            .iter()
            .rev()
            .filter(|name| ["left", "right"].contains(name));
        rights.map(|&name| usize::from(name == "right")).collect()
    };
    let is_right = |stack: &[&str]| {
        let path = steps(stack);
        let bits = path.iter().take(3).fold(0, |bits, step| bits << 1 | step);
        path.len() == 24 && stack[0] == format!("spin_{bits}")
    };
    let leaves = |stack: &Vec<&str>| stack[0].starts_with("spin_");
    for stack in tree.with_end(StackEnd::Complete).filter(leaves) {
        assert!(is_right(&stack), "{stack:?}");
    }
    let stitched: Vec<_> = tree.with_end(StackEnd::Stitched).filter(leaves).collect();
    let wrong = stitched.iter().filter(|stack| !is_right(stack)).count();
    let cut = tree.share(&[StackEnd::Truncated]);
    println!("{wrong} wrong of {} stitched, {cut} cut", stitched.len());
    // What is left of the callers of such stacks for those who have to be right: none.
    let certain = tree.profile.without_stitched_callers();
    assert_eq!(certain.stitched_count(), 0);
    certain.validate().unwrap();
    for row in 0..certain.samples.len() {
        if tree.profile.samples.end[row] == StackEnd::Stitched {
            assert_eq!(certain.path(certain.samples.stack[row]).count(), 1);
        }
    }
}

/// Futures that wait for each other 300 deep: the chain of polls has that many frames.
#[test]
fn deep_futures_have_one_frame_each() {
    if !sampling_works() {
        return;
    }
    let rust =
        |folder: &TempDir| build(folder, "rustc", &["-O", "--edition=2024"], "deep_async.rs");
    let deep = sampled(STITCHING, rust, &["12000"]);
    let mut seen = 0;
    for end in [StackEnd::Complete, StackEnd::Stitched] {
        for stack in deep.with_end(end).filter(|stack| has(stack, "spin")) {
            let polls = stack.iter().filter(|name| name.contains("level")).count();
            assert_eq!(polls, 301);
            seen += 1;
        }
    }
    // The program's start and interrupts are samples, too: more of them the busier the machine is.
    let cut = [StackEnd::Truncated, StackEnd::Failed]
        .into_iter()
        .flat_map(|end| deep.with_end(end))
        .filter(|stack| has(stack, "spin"))
        .count();
    assert!(seen > 9 * cut, "{seen} whole, {cut} cut");
    assert!(
        seen as f64 > 0.5 * deep.recording.samples as f64,
        "{:?}",
        deep.recording
    );
}

/// A program that stops itself, let go on each time when all that it did before was read: so it is
/// known what stood on its stack at that moment, however long that took.
fn sampled_between_stops(words: &[&str]) -> Sampled {
    let folder = TempDir::new().unwrap();
    let program = c_program("changing.c")(&folder);
    let started = Started::new(Command::new(&program).args(words));
    let pid = started.0.id();
    let stands = || matches!(state(pid), None | Some('T' | 'Z' | 'X'));
    let until_it_stands = || {
        while !stands() {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    until_it_stands();
    let mut wanted = Attach::new([pid]);
    wanted.stacks = STITCHING;
    let mut profile = Profile::default();
    // It is called by the recorder itself, which reads nothing until it returns, and everything that
    // is older than some milliseconds before it calls again.
    let mut go_on = |_: &Progress| {
        let signalled = Pid::from_raw(pid.cast_signed()).unwrap();
        let _ = rustix::process::kill_process(signalled, Signal::CONT);
        until_it_stands();
        std::thread::sleep(Duration::from_millis(10));
    };
    let recording = Recorder::new().attach(&wanted, &mut profile, &mut go_on);
    profile.validate().unwrap();
    Sampled {
        names: Names::of(&program),
        recording: recording.unwrap(),
        profile,
    }
}

/// Copies of the stack end within a frame with pages that were never touched, and its callers are read
/// later. While that frame lasts they are right, on every stack.
#[test]
fn callers_beyond_untouched_pages_are_right_while_the_frame_lasts() {
    if !sampling_works() {
        return;
    }
    let rooms = sampled_between_stops(&["rooms", "6", "lasts"]);
    let mut by_host = [0; 2];
    for row in 0..rooms.profile.samples.len() {
        let Some((host, stack)) = at_work(&rooms, row) else {
            continue;
        };
        let names = [&format!("spin_{host}"), "roomy", &format!("host_{host}")];
        assert_eq!(stack[..3], names, "{stack:?}");
        assert_eq!((stack[3], stack[4]), ("rooms", "main"), "{stack:?}");
        assert_eq!(rooms.profile.samples.end[row], StackEnd::Stitched);
        by_host[host] += 1;
    }
    assert!(by_host.iter().all(|&count| count > 30), "{by_host:?}");
}

/// When it has gone and another caller's stands in its place, that caller is named, which nothing can
/// tell: so such stacks are marked, what they have of the copy is right, and nothing else of them is
/// left for those who have to be certain.
#[test]
fn callers_beyond_untouched_pages_are_never_certain() {
    if !sampling_works() {
        return;
    }
    let rooms = sampled_between_stops(&["rooms", "6", "goes"]);
    let certain = rooms.profile.without_stitched_callers();
    let (mut wrong, mut seen) = (0, 0);
    for row in 0..rooms.profile.samples.len() {
        let Some((host, stack)) = at_work(&rooms, row) else {
            continue;
        };
        assert_eq!(stack[..2], [&format!("spin_{host}"), "roomy"], "{stack:?}");
        assert_ne!(rooms.profile.samples.end[row], StackEnd::Complete);
        wrong += usize::from(has(&stack, &format!("host_{}", 1 - host)));
        seen += 1;
        assert!(!has(&rooms.names.stack(&certain, row), "host_"));
    }
    println!("{wrong} of {seen} name the other host");
    assert!(seen > 60, "{seen}");
}

/// The stack of a sample that was taken in `spin_N`, from there on, and N.
fn at_work(rooms: &Sampled, row: usize) -> Option<(usize, Vec<&str>)> {
    let stack = rooms.names.stack(&rooms.profile, row);
    // The kernel's own frames have no names here.
    let stack: Vec<&str> = stack.into_iter().skip_while(|&name| name == "?").collect();
    let host = stack.first()?.strip_prefix("spin_")?.parse().unwrap();
    Some((host, stack))
}
