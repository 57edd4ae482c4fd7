//! What users get wrong, and what goes wrong: each error names what to do, and nothing is left.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hotproof_lab::{Build, ErrorClass, Event, Observer, Options, compare};

use crate::repository::{Diary, Repository, failure, git};

const SLOW: &str = "#!/bin/sh\nexit 0\n";
const FAST: &str = "#!/bin/sh\ntrue\n";

fn two_scripts() -> Repository {
    Repository::of_two(
        &[("bench", SLOW), ("a.c", "int f(void) { return 1; }\n")],
        &[("bench", FAST), ("a.c", "int f(void) { return 2; }\n")],
    )
}

#[track_caller]
fn says(options: &Options, class: ErrorClass, words: &[&str]) {
    let error = failure(options);
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is missing from: {text}");
    }
    assert_eq!(error.class(), class, "{text}");
}

#[test]
fn refs_that_cannot_be_compared_are_told() {
    let repository = two_scripts();
    let before = repository.state();
    let cases: [(&str, &[&str]); 4] = [
        ("at-haed", &["no ref `at-haed`", "at-head"]),
        ("--upload-pack=x", &["begins with `-`"]),
        ("at-base..at-head", &["no ref `at-base..at-head`"]),
        ("", &["no ref ``"]),
    ];
    for (name, words) in cases {
        let mut options = repository.options(&["./bench"]);
        options.head = name.into();
        says(&options, ErrorClass::Usage, words);
        (options.base, options.head) = (name.into(), "at-head".into());
        says(&options, ErrorClass::Usage, words);
    }
    assert_eq!(repository.state(), before);
}

#[test]
fn places_that_are_no_checkout_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path(), "a", "b", vec!["x".into()]);
    says(
        &options,
        ErrorClass::Usage,
        &["not in a git repository", "git init"],
    );
    git(folder.path(), &["init", "--quiet", "--bare"]);
    says(&options, ErrorClass::Usage, &["bare git repository"]);
    let missing = Options::new(folder.path().join("no"), "a", "b", vec!["x".into()]);
    says(&missing, ErrorClass::Failure, &["cannot find"]);
    let none = Options::new(folder.path(), "a", "b", Vec::new());
    says(&none, ErrorClass::Usage, &["after `--`"]);
}

#[test]
fn a_shallow_clone_is_told_how_to_get_more() {
    let repository = two_scripts();
    let folder = tempfile::tempdir().unwrap();
    let clone = folder.path().join("clone");
    let url = format!("file://{}", repository.top().display()).replace(' ', "%20");
    git(
        folder.path(),
        &["clone", "--quiet", "--depth=1", &url, "clone"],
    );
    let options = Options::new(clone, "HEAD~1", "HEAD", vec!["./bench".into()]);
    says(
        &options,
        ErrorClass::Usage,
        &["shallow", "git fetch --unshallow", "--deepen"],
    );
}

#[test]
fn a_subdirectory_must_be_in_both_refs() {
    let repository = two_scripts();
    repository.commit("head", &[("new/bench", FAST)]);
    let mut options = repository.options(&["./bench"]);
    options.directory = repository.top().join("new");
    says(
        &options,
        ErrorClass::Usage,
        &["directory new", "base (at-base)"],
    );
}

#[test]
fn a_failing_build_shows_its_ref_and_its_end() {
    let repository = Repository::of_two(
        &[("build.sh", "exit 0\n"), ("bench", SLOW)],
        &[(
            "build.sh",
            "echo line one\necho the last words >&2\nexit 9\n",
        )],
    );
    let before = repository.state();
    let mut options = repository.options(&["./bench"]);
    options.build = Build::Command("sh build.sh".into());
    let words = [
        "build of head (at-head)",
        "`sh build.sh`",
        "exit status 9",
        "\n  line one\n  the last words",
    ];
    says(&options, ErrorClass::Target, &words);
    assert_eq!(repository.state(), before);
}

#[test]
fn programs_that_do_not_exist_are_told() {
    let repository = two_scripts();
    repository.write("mine", SLOW);
    let cases: [(&str, &[&str]); 5] = [
        ("./nothing", &["`./nothing` in base (at-base)", "--build"]),
        ("./mine", &["in your working tree", "--build"]),
        ("no-such-program-anywhere", &["PATH"]),
        ("bench", &["write ./bench"]),
        ("./a.c", &["not executable"]),
    ];
    for (program, words) in cases {
        says(&repository.options(&[program]), ErrorClass::Target, words);
    }
}

#[test]
fn the_very_same_program_on_both_sides_is_refused() {
    let repository = two_scripts();
    repository.write("tracked.txt", "text");
    repository.git(&["add", "."]);
    repository.write("untracked.py", "");
    for command in [
        &["{root}/bench"][..],
        &["cat", "tracked.txt"],
        &["true"],
        &["python3", "untracked.py"],
    ] {
        says(
            &repository.options(command),
            ErrorClass::Usage,
            &["very same program"],
        );
    }
}

#[test]
fn what_builds_before_it_runs_is_refused() {
    let repository = two_scripts();
    let cargo_bench = repository.options(&["cargo", "+stable", "bench"]);
    says(
        &cargo_bench,
        ErrorClass::Usage,
        &["cargo bench", "fixed time", "--bench NAME"],
    );
    let cargo_run = repository.options(&["cargo", "run", "--release"]);
    says(&cargo_run, ErrorClass::Usage, &["name the program itself"]);
}

/// A program that looks like a harness and reports nothing is told so, with what was expected.
#[test]
fn harnesses_that_report_nothing_are_told() {
    let bench = |mark: &str| format!("#!/bin/sh\n# {mark}\necho hello\n");
    for (mark, words) in [
        ("CRITERION_HOME", ["criterion", "estimates.json"]),
        ("DIVAN_MAX_TIME", ["divan", "rows of its table"]),
        ("benchmark_min_time", ["Google Benchmark", "JSON"]),
    ] {
        let repository = Repository::of_two(&[("bench", &bench(mark))], &[("a.rs", "fn f() {}\n")]);
        let before = repository.state();
        says(
            &repository.options(&["./bench"]),
            ErrorClass::Target,
            &words,
        );
        assert_eq!(repository.state(), before);
    }
    let repository = two_scripts();
    let mut script = repository.options(&["./bench"]);
    script.workload.script = true;
    says(
        &script,
        ErrorClass::Target,
        &[
            "script was to report times",
            "JSON object of names and seconds",
        ],
    );
}

#[test]
fn metrics_that_cannot_be_are_told() {
    let repository = two_scripts();
    let mut options = repository.options(&["./bench"]);
    options.metric = Some(hotproof_diff::Metric::Reported);
    says(
        &options,
        ErrorClass::Environment,
        &[
            "cannot decide by the time that the workload reports",
            "--script",
        ],
    );
    let mut options = repository.options(&["./bench"]);
    options.workload.scope = Some("nowhere".into());
    says(
        &options,
        ErrorClass::Usage,
        &["no function `nowhere` to count under", "on its stack"],
    );
}

#[test]
fn red_tests_end_it_before_anything_is_measured() {
    let repository = two_scripts();
    let before = repository.state();
    let mut options = repository.options(&["./bench"]);
    options.test = Some("echo one test failed; exit 3".into());
    says(
        &options,
        ErrorClass::Target,
        &[
            "the tests of head (at-head) failed",
            "exit status 3",
            "one test failed",
        ],
    );
    assert_eq!(repository.state(), before);
    options.test = Some("test -x ./bench".into());
    let comparison = compare(&options, &mut Diary::default()).unwrap();
    assert_eq!(comparison.tests, hotproof_diff::TestCheck::Passed);
}

#[test]
fn a_product_that_cargo_does_not_know_is_told_with_those_it_knows() {
    let manifest = "[package]\nname = 'demo'\nversion = '0.1.0'\nedition = '2021'\n[workspace]\n";
    let repository = Repository::of_two(
        &[
            ("Cargo.toml", manifest),
            ("src/main.rs", "fn main() {}\n"),
            ("benches/speed.rs", "fn main() {}\n"),
        ],
        &[("src/main.rs", "fn main() { print!(\"\"); }\n")],
    );
    let before = repository.state();
    let mut options = repository.options(&[]);
    options.workload.product = Some(hotproof_lab::Product {
        kind: hotproof_lab::ProductKind::Bench,
        name: "sped".into(),
    });
    says(
        &options,
        ErrorClass::Usage,
        &["base (at-base) has no bench sped", "speed"],
    );
    assert_eq!(repository.state(), before);
    let scripts = two_scripts();
    let mut options = scripts.options(&[]);
    options.workload.product = Some(hotproof_lab::Product {
        kind: hotproof_lab::ProductKind::Bin,
        name: "demo".into(),
    });
    says(&options, ErrorClass::Usage, &["bin demo", "no Cargo.toml"]);
}

#[test]
fn functions_that_nobody_has_are_told() {
    let repository = two_scripts();
    let mut options = repository.options(&["./bench"]);
    options.functions = Some("a.c::g".into());
    says(&options, ErrorClass::Usage, &["\"g\"", "f"]);
}

#[test]
fn a_command_that_fails_at_head_says_so_and_shows_its_last_words() {
    let repository = Repository::of_two(
        &[("bench", SLOW), ("a.c", "int a;\n")],
        &[
            ("bench", "#!/bin/sh\necho it hurts >&2\nkill -SEGV $$\n"),
            ("a.c", "int b;\n"),
        ],
    );
    let before = repository.state();
    let words = ["head (at-head)", "killed by signal 11", "it hurts"];
    says(
        &repository.options(&["./bench"]),
        ErrorClass::Target,
        &words,
    );
    assert_eq!(repository.state(), before);
}

#[test]
fn a_command_that_hangs_is_killed_with_what_it_started() {
    let repository = Repository::of_two(
        &[("bench", SLOW), ("a.c", "int a;\n")],
        &[
            ("bench", "#!/bin/sh\nsleep 300 & echo $! > \"$1\"\nwait\n"),
            ("a.c", "int b;\n"),
        ],
    );
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let mut options = repository.options(&["./bench", pid_file.to_str().unwrap()]);
    options.timeout = Duration::from_secs(1);
    let started = Instant::now();
    says(
        &options,
        ErrorClass::Target,
        &["did not end in head (at-head) within 1 s", "--timeout"],
    );
    assert!(started.elapsed() < Duration::from_secs(20));
    let pid = fs::read_to_string(&pid_file).unwrap();
    // Killing is not instant: the kernel may still be taking it apart.
    let gone = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        stat.map_or(true, |text| text.contains(") Z "))
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    while !gone() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(gone(), "the grandchild {pid} still runs");
}

/// Sets the stop flag when something happens for the first time.
struct Interrupting<'a> {
    options: &'a Options,
    at: &'a str,
    diary: Diary,
}

impl Observer for Interrupting<'_> {
    fn event(&mut self, event: &Event<'_>) {
        self.diary.event(event);
        if self
            .diary
            .lines
            .last()
            .is_some_and(|line| line.starts_with(self.at))
        {
            self.options.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// The worktree's path, as a build wrote it down.
fn built_in(record: &std::path::Path) -> Vec<PathBuf> {
    fs::read_to_string(record)
        .unwrap_or_default()
        .lines()
        .map(PathBuf::from)
        .collect()
}

#[test]
fn ctrl_c_at_any_moment_leaves_nothing() {
    for at in [
        "resolved Head",
        "changed",
        "build Base",
        "built Head",
        "placebo 1",
        "pair 1",
    ] {
        let repository = two_scripts();
        let before = repository.state();
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("places");
        let mut options = repository.options(&["./bench"]);
        options.build = Build::Command(format!("pwd >> '{}'", record.display()));
        options.pairs = Some(150);
        let diary = Diary::default();
        let mut observer = Interrupting {
            options: &options,
            at,
            diary,
        };
        let error = compare(&options, &mut observer).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Interrupted, "at {at}: {error}");
        assert_eq!(repository.state(), before, "at {at}");
        for place in built_in(&record) {
            assert!(
                !place.parent().unwrap().exists(),
                "at {at}: {place:?} is left"
            );
        }
        if at == "built Head" {
            assert_eq!(built_in(&record).len(), 2);
        }
    }
}

/// Layouts leave more behind them than other builds: a script for the linker, links of each program,
/// and links that turn from one to the next.
#[test]
fn ctrl_c_amid_layouts_leaves_nothing() {
    let program = |turns: u32| {
        format!(
            "#include <stdio.h>\nstatic volatile int sink;\n\
             __attribute__((noinline)) void a(void) {{ for (int i = 0; i < {turns}; i++) sink += i; }}\n\
             __attribute__((noinline)) void b(void) {{ sink++; }}\n\
             int main(void) {{ a(); b(); puts(\"done\"); }}\n"
        )
    };
    for at in ["built Base", "placebo 2", "pair 1"] {
        let (base, head) = (program(3_000_000), program(2_900_000));
        let repository = Repository::of_two(&[("a.c", &base)], &[("a.c", &head)]);
        repository.write(".git/info/exclude", "bench\n");
        let before = repository.state();
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("places");
        let mut options = repository.options(&["./bench"]);
        let line = format!(
            "pwd >> '{}'; cc -O1 -ffunction-sections -o bench a.c",
            record.display()
        );
        options.build = Build::Command(line);
        options.layouts = 3;
        let mut observer = Interrupting {
            options: &options,
            at,
            diary: Diary::default(),
        };
        let error = compare(&options, &mut observer).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Interrupted, "at {at}: {error}");
        assert_eq!(repository.state(), before, "at {at}");
        let places = built_in(&record);
        assert!(!places.is_empty(), "at {at}");
        for place in places {
            let scratch = place.parent().unwrap();
            assert!(!scratch.exists(), "at {at}: {scratch:?} is left");
        }
    }
}

#[test]
fn a_build_that_hangs_ends_with_ctrl_c() {
    let repository = two_scripts();
    let before = repository.state();
    let mut options = repository.options(&["./bench"]);
    options.build = Build::Command("sleep 300".into());
    let stop = options.stop.clone();
    let waiting = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::Relaxed);
    });
    let started = Instant::now();
    assert_eq!(failure(&options).class(), ErrorClass::Interrupted);
    waiting.join().unwrap();
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(repository.state(), before);
}

/// Panics when something happens.
struct Panicking(Diary);

impl Observer for Panicking {
    fn event(&mut self, event: &Event<'_>) {
        self.0.event(event);
        if self.0.lines.last().is_some_and(|line| line == "built Head") {
            panic!("the observer fell over");
        }
    }
}

#[test]
fn a_panic_leaves_nothing() {
    let repository = two_scripts();
    let before = repository.state();
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("places");
    let mut options = repository.options(&["./bench"]);
    // Folders without permission to write in them are what Go's module cache looks like.
    let line = format!(
        "pwd >> '{}'; mkdir -p x/y; chmod 500 x/y x",
        record.display()
    );
    options.build = Build::Command(line);
    let caught = std::panic::catch_unwind(|| {
        let _ = compare(&options, &mut Panicking(Diary::default()));
    });
    assert!(caught.is_err());
    assert_eq!(repository.state(), before);
    let places = built_in(&record);
    assert_eq!(places.len(), 2);
    assert!(places.iter().all(|place| !place.parent().unwrap().exists()));
}

/// Who made a temporary folder: this process, or one that has ended.
#[derive(Clone, Copy)]
enum Owner {
    Dead,
    Alive,
}

/// A folder with a worktree as a comparison makes it, which nobody removes.
fn left_behind(repository: &Repository, owner: Owner) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("hotproof-").tempdir();
    let folder = folder.unwrap();
    let place = fs::canonicalize(folder.path()).unwrap().join("base");
    repository.git(&["worktree", "add", "--detach", place.to_str().unwrap()]);
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = match owner {
        Owner::Dead => child.id(),
        Owner::Alive => std::process::id(),
    };
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19);
    child.wait().unwrap();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap();
    let text = format!("{pid}\n{}\n{}\n", start.unwrap(), namespace.display());
    fs::write(folder.path().join("owner"), text).unwrap();
    folder
}

/// What a comparison that was killed left is removed by the next one; what a comparison that runs
/// has made, and what the user has made, stays.
#[test]
fn worktrees_of_a_killed_comparison_are_removed_by_the_next() {
    let repository = two_scripts();
    let users = tempfile::tempdir().unwrap();
    let users_place = users.path().join("base");
    repository.git(&["worktree", "add", "--detach", users_place.to_str().unwrap()]);
    let alive = left_behind(&repository, Owner::Alive);
    let before = repository.git(&["worktree", "list"]);
    let dead = left_behind(&repository, Owner::Dead);
    assert_ne!(repository.git(&["worktree", "list"]), before);
    compare(&repository.options(&["./bench"]), &mut Diary::default()).unwrap();
    assert_eq!(repository.git(&["worktree", "list"]), before);
    assert!(!dead.path().exists());
    assert!(alive.path().join("base/bench").exists());
    assert!(users_place.join("bench").exists());
}

/// The folder of a comparison that runs names this process as its owner.
#[test]
fn the_folder_of_a_comparison_names_its_owner() {
    let repository = two_scripts();
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("owners");
    let mut options = repository.options(&["./bench"]);
    options.build = Build::Command(format!("head -n1 ../owner >> '{}'", record.display()));
    compare(&options, &mut Diary::default()).unwrap();
    let pid = std::process::id();
    assert_eq!(
        fs::read_to_string(&record).unwrap(),
        format!("{pid}\n").repeat(3)
    );
}

/// Variable under which this program was started with SIGCHLD ignored.
const CHILDREN_IGNORED: &str = "HOTPROOF_TEST_CHILDREN_IGNORED";

/// Git, builds and runs are waited for also where SIGCHLD came ignored, as under daemons.
#[test]
fn a_comparison_works_where_sigchld_is_ignored() {
    if std::env::var_os(CHILDREN_IGNORED).is_some() {
        // Before anything else that starts a child, which `compare` must not rely on.
        let top = std::env::var_os("HOTPROOF_TEST_TOP").unwrap();
        let command = vec!["./bench".into()];
        let options = Options {
            build: Build::None,
            pairs: Some(2),
            ..Options::new(&top, "at-base", "at-head", command)
        };
        let comparison = compare(&options, &mut Diary::default()).unwrap();
        assert!(!comparison.pairs.is_empty(), "{top:?}");
        return;
    }
    let repository = two_scripts();
    let output = std::process::Command::new("env")
        .arg("--ignore-signal=CHLD")
        .arg(std::env::current_exe().unwrap())
        .arg("--exact")
        .arg("faults::a_comparison_works_where_sigchld_is_ignored")
        .env(CHILDREN_IGNORED, "1")
        .env("HOTPROOF_TEST_TOP", repository.top())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains("1 passed"), "{text}{errors}");
}
