//! Everything that goes wrong for users: the message, the exit code, and that nothing is left.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::place::Place;
use crate::run::{
    self, SPIN, alone, command, commit, compile, finish, git, hotproof, nothing_is_left,
    on_a_quiet_machine, perf_opens, skip,
};

/// A repository with two commits of a C program, the folder it lies in, and what builds it.
fn repository(base: &str, head: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    commit(folder.path(), "base", &[("bench.c", base)]);
    commit(folder.path(), "head", &[("bench.c", head)]);
    folder
}

const BUILD: &str = "cc -O2 -g -o bench bench.c";
const QUICK: &str = "int main(void) { return 0; }\n";

fn compare(folder: &Path, more: &[&str]) -> run::Ran {
    let arguments = [&["compare"], more].concat();
    hotproof(folder, &arguments)
}

#[test]
fn refs_that_cannot_be() {
    let folder = repository(QUICK, "int main(void) { return 1; }\n");
    let here = folder.path();
    compare(here, &["main", "mian", "--", "./bench"])
        .ends_with(2)
        .says(&["mian", "main"]);
    compare(here, &["main", "-x", "--", "./bench"])
        .ends_with(2)
        .says(&["-x"]);
    compare(here, &["main~9", "main", "--", "./bench"])
        .ends_with(2)
        .says(&["main~9"]);
    nothing_is_left(here);
}

#[test]
fn places_that_are_no_repository() {
    let folder = tempfile::tempdir().unwrap();
    compare(folder.path(), &["a", "b", "--", "true"])
        .ends_with(2)
        .says(&["not in a git repository"]);
}

#[test]
fn a_shallow_clone_is_told_what_is_missing() {
    let folder = repository(QUICK, "int main(void) { return 1; }\n");
    let clone = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    git(
        clone.path(),
        ["clone", "--quiet", "--depth", "1", &url, "shallow"],
    );
    let here = clone.path().join("shallow");
    compare(&here, &["HEAD~1", "HEAD", "--", "./bench"])
        .ends_with(2)
        .says(&["shallow", "fetch"]);
}

#[test]
fn no_command_is_a_question_where_several_could_be_meant() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "[package]\nname = \"thing\"\nversion = \"0.1.0\"\n";
    let main = "fn main() {}\n";
    let files = [("Cargo.toml", manifest), ("src/main.rs", main)];
    commit(folder.path(), "one", &files);
    // The only program is meant; of one commit twice there is nothing to measure.
    compare(folder.path(), &["HEAD", "HEAD"])
        .ends_with(10)
        .says(&["workload --bin thing  (binary of the package thing)"]);
    commit(folder.path(), "two", &[("src/bin/second.rs", main)]);
    compare(folder.path(), &["HEAD~1", "HEAD"])
        .ends_with(2)
        .says(&["which command", "--bin thing", "--bin second", "after `--`"]);
    nothing_is_left(folder.path());
    fs::write(
        folder.path().join("hotproof.toml"),
        "[[workload]]\nnam = 'x'\n",
    )
    .unwrap();
    compare(folder.path(), &["HEAD", "HEAD"])
        .ends_with(2)
        .says(&["hotproof.toml", "nam"]);
}

#[test]
fn a_build_that_fails_says_which_ref_and_how() {
    let folder = repository(QUICK, "int main(void) { return oops; }\n");
    let here = folder.path();
    let ran = compare(here, &["main~1", "main", "--build", BUILD, "--", "./bench"]).ends_with(21);
    ran.says(&["head", "oops"]);
    nothing_is_left(here);
}

#[test]
fn a_command_that_does_not_exist_or_fails_or_crashes() {
    let folder = repository(QUICK, "#include <stdlib.h>\nint main(void) { abort(); }\n");
    let here = folder.path();
    compare(here, &["main~1", "main", "--build", BUILD, "--", "./bnech"]).ends_with(21);
    let crash = compare(here, &["main~1", "main", "--build", BUILD, "--", "./bench"]).ends_with(21);
    crash.says(&["head", "signal 6"]);
    nothing_is_left(here);

    let folder = repository("int main(void) { return 3; }\n", QUICK);
    let ran = compare(
        folder.path(),
        &["main~1", "main", "--build", BUILD, "--", "./bench"],
    );
    ran.ends_with(21).says(&["base", "status 3"]);
}

#[test]
fn a_command_that_hangs_is_killed_with_everything_it_started() {
    let hang = "#include <unistd.h>\nint main(void) { if (!fork()) execlp(\"sleep\", \"sleep\", \"98765\", (char *)0); pause(); }\n";
    let folder = repository(QUICK, hang);
    let begun = Instant::now();
    let arguments = [
        "main~1",
        "main",
        "--timeout",
        "1",
        "--build",
        BUILD,
        "--",
        "./bench",
    ];
    compare(folder.path(), &arguments)
        .ends_with(21)
        .says(&["head", "1 s", "--timeout"]);
    assert!(begun.elapsed() < Duration::from_secs(60));
    let left = finish(Command::new("pgrep").args(["-f", "sleep 98765"]));
    assert_eq!(left.stdout, "", "the grandchild still runs");
    nothing_is_left(folder.path());
}

#[test]
fn the_very_same_program_on_both_sides_is_refused() {
    let folder = repository(QUICK, "int main(void) { return 1; }\n");
    let ran = compare(folder.path(), &["main~1", "main", "--", "true"]).ends_with(2);
    ran.says(&["very same program"]);
    nothing_is_left(folder.path());
}

/// What a comparison refuses, or cannot do, is told with the remedy, and nothing of it is left.
#[test]
fn what_cannot_be_compared_is_told() {
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let criterion = "#!/bin/sh\n# CRITERION_HOME\necho hello\n";
    let files = [
        ("criterion", criterion),
        ("bench.sh", "echo done\n"),
        ("long.sh", "sleep 0.4\n"),
        ("times.sh", "echo '{\"f\": 0.5}'\n"),
        ("a.c", "int f(void) { return 1; }\n"),
    ];
    commit(folder.path(), "base", &files);
    git(folder.path(), ["update-index", "--chmod=+x", "criterion"]);
    git(
        folder.path(),
        ["commit", "--quiet", "--amend", "-m", "base"],
    );
    git(folder.path(), ["checkout", "--quiet", "--", "."]);
    let head = [("a.c", "int f(void) { return 2; }\n"), ("new/b", "")];
    commit(folder.path(), "head", &head);
    let place = Place::new(folder);
    let here = place.top();
    let before = place.state();
    let both = ["main~1", "main"];
    let cases: [(&[&str], i32, &[&str]); 11] = [
        (
            &["--", "cargo", "bench"],
            2,
            &["cargo bench", "fixed time", "--bench NAME"],
        ),
        (&["--", "cargo", "run"], 2, &["name the program itself"]),
        (&["--", "sh", "{root}/bench.sh"], 2, &["very same program"]),
        (
            &["--functions", "a.c::g", "--", "sh", "bench.sh"],
            2,
            &["\"g\"", "f"],
        ),
        (
            &[
                "--engine",
                "callgrind",
                "--policy",
                "cpu",
                "--",
                "sh",
                "bench.sh",
            ],
            2,
            &[
                "counts instructions and measures nothing else",
                "leave --metric and --policy away",
            ],
        ),
        (&["--", "./a.c"], 21, &["not executable", "755"]),
        (&["--", "no-such-program"], 21, &["no such program in PATH"]),
        (
            &["--", "./criterion"],
            21,
            &["criterion was to report times", "estimates.json"],
        ),
        (
            &["--script", "--", "sh", "bench.sh"],
            21,
            &[
                "script was to report times",
                "JSON object of names and seconds",
                "done",
            ],
        ),
        (
            &["--script", "--metric", "wall", "--", "sh", "times.sh"],
            20,
            &[
                "cannot decide by the time of the process",
                "leave --metric away",
            ],
        ),
        (
            &["--budget", "1", "--", "sh", "long.sh"],
            12,
            &[
                "the budget of 1 s has room for about",
                "give it --budget",
                "--resume",
            ],
        ),
    ];
    for (words, status, texts) in cases {
        let ran = place.compare(&[&both[..], words].concat());
        ran.ends_with(status).says(texts);
        place.is_left_as(&before);
    }
    let one = place
        .compare(&["main~1", "--", "sh", "bench.sh"])
        .ends_with(2);
    one.says(&["what shall main~1 be compared with?", "--dirty"]);
    // A folder that one ref lacks, and a repository without files.
    let words = ["compare", "main~1", "main", "--", "./b"];
    let ran = finish(&mut place.command(&here.join("new"), &words)).ends_with(2);
    ran.says(&["the directory new does not exist in base (main~1)"]);
    let ran = finish(&mut place.command(&here.join(".git"), &words)).ends_with(2);
    ran.says(&["not in a git repository"]);
    let bare = place.beside("bare.git");
    git(
        here,
        ["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()],
    );
    let ran = finish(&mut place.command(&bare, &words)).ends_with(2);
    ran.says(&["is a bare git repository without a working tree"]);
    place.is_left_as(&before);
    // The log has what the small budget gave, and nothing else.
    let log = ".hotproof/log.jsonl";
    let verdict =
        |words: &[&str]| finish(&mut place.command(here, &[&["verdict"], words].concat()));
    verdict(&[log]).ends_with(12);
    let beyond = verdict(&[".hotproof/log.jsonl:2"]).ends_with(2);
    beyond.says(&[
        "there is no line .hotproof/log.jsonl:2",
        "the log has 1 lines",
    ]);
    let missing = verdict(&["no.jsonl"]).ends_with(2);
    missing.says(&["cannot read the log no.jsonl", ".hotproof/log.jsonl"]);
    let text = fs::read_to_string(here.join(log)).unwrap();
    fs::write(here.join(log), &text[..text.len() / 2]).unwrap();
    verdict(&[])
        .ends_with(2)
        .says(&["cannot read", "log.jsonl:1"]);
}

#[test]
fn files_that_are_no_profile() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let cases: [(&str, &[u8]); 4] = [
        ("empty", b""),
        ("text", b"nothing of the kind\n"),
        ("gzip", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0]),
        ("perf.data", b"PERFILE2\x68\0\0\0\0\0\0\0"),
    ];
    for (name, bytes) in cases {
        fs::write(here.join(name), bytes).unwrap();
        hotproof(here, &["report", name]).ends_with(2).says(&[name]);
    }
    hotproof(here, &["report", "missing"])
        .ends_with(2)
        .says(&["missing"]);
    hotproof(here, &["report", "."]).ends_with(2);
}

#[test]
fn a_cut_profile_is_told_apart_from_a_whole_one() {
    if !perf_opens("cut profiles") {
        return;
    }
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    compile(here, "spin", SPIN);
    hotproof(here, &["record", "-o", "whole", "--", "./spin", "100"]).ends_with(0);
    let bytes = fs::read(here.join("whole")).unwrap();
    for keep in [9, bytes.len() / 2, bytes.len() - 1] {
        fs::write(here.join("cut"), &bytes[..keep]).unwrap();
        hotproof(here, &["report", "cut"])
            .ends_with(2)
            .says(&["cut"]);
    }
}

#[test]
fn a_command_that_cannot_be_recorded_leaves_no_file() {
    if !perf_opens("missing programs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    hotproof(here, &["record", "--", "./missing"])
        .ends_with(21)
        .says(&["missing"]);
    fs::write(here.join("text"), "no program").unwrap();
    hotproof(here, &["record", "--", "./text"])
        .ends_with(21)
        .says(&["text"]);
    assert_eq!(
        fs::read_dir(here).unwrap().count(),
        1,
        "something was left behind"
    );
    hotproof(here, &["record"]).ends_with(2);
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_the_target_runs() {
    if !perf_opens("unwritable outputs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let touch = ["--", "touch", "ran"];
    for place in ["no/such/folder/p", ".", "/proc/p"] {
        hotproof(here, &[&["record", "-o", place], &touch[..]].concat());
        assert!(
            !here.join("ran").exists(),
            "the target ran although {place} cannot be written"
        );
    }
    let ran = hotproof(
        here,
        &[&["record", "-o", "no/such/folder/p"], &touch[..]].concat(),
    );
    let why = "the folder no/such/folder does not exist";
    ran.ends_with(1)
        .says(&["no/such/folder/p", why, "name another place"]);
}

#[test]
fn a_full_disk_is_an_error_and_no_half_file() {
    if !perf_opens("full disks") {
        return;
    }
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    compile(here, "spin", SPIN);
    hotproof(here, &["record", "--", "./spin", "200"]).ends_with(0);

    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut export = command(here, &["export", "profile.hotproof", "-f", "folded"]);
    let status = export.stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(1));

    // A small file system of its own needs a mount namespace, which needs root.
    let script = "mkdir small && mount -t tmpfs -o size=16k none small && cd small && \
        head -c 12k /dev/zero > filler && \"$0\" export ../profile.hotproof -o flame.svg; \
        status=$?; ls -A; exit $status";
    let mut small = Command::new("unshare");
    small
        .args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_hotproof")])
        .current_dir(here);
    let ran = finish(&mut small);
    if ran.stderr.contains("unshare") || ran.stderr.contains("mount:") {
        skip("a full file system", ran.stderr.trim());
        return;
    }
    let ran = ran.ends_with(1).says(&["flame.svg", "No space left"]);
    assert_eq!(ran.stdout, "filler\n", "a half file was left");

    // What was recorded is kept elsewhere.
    let script = script.replace("head -c 12k", "head -c 16k").replace(
        "export ../profile.hotproof -o flame.svg",
        "record -q -o p.hotproof -- ../spin 100",
    );
    let mut small = Command::new("unshare");
    small.args(["-m", "sh", "-c", &script.replace("mkdir", "mkdir -p")]);
    small
        .arg(env!("CARGO_BIN_EXE_hotproof"))
        .current_dir(here)
        .env("TMPDIR", here);
    let ran = finish(&mut small)
        .ends_with(1)
        .says(&["No space left", "it is kept as"]);
    assert_eq!(ran.stdout, "done\nfiller\n", "a half file was left");
    let mut entries = fs::read_dir(here)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let rescued = entries.find(|path| path.to_string_lossy().contains("rescued-"));
    let rescued = rescued.expect("a rescued profile");
    hotproof(here, &["report", rescued.to_str().unwrap()]).ends_with(0);
}

/// `-o /dev/null` as root replaced the device by a file.
#[test]
fn a_device_is_written_to_and_never_replaced() {
    use std::os::unix::fs::FileTypeExt;
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/leaf.hotproof");
    let profile = profile.to_str().unwrap();
    let made = finish(
        Command::new("mknod")
            .args(["full", "c", "1", "7"])
            .current_dir(here),
    );
    if made.status != 0 {
        skip("outputs that are devices", made.stderr.trim());
        return;
    }
    let full = ["export", profile, "-f", "folded", "-o", "full"];
    let ran = hotproof(here, &full);
    let facts = fs::metadata(here.join("full")).unwrap();
    assert!(facts.file_type().is_char_device(), "the device is gone");
    if ran.stderr.contains("denied") {
        skip("writing to devices", ran.stderr.trim());
        return;
    }
    ran.ends_with(1).says(&["full", "No space left"]);
    // What it was recorded into meanwhile is not left; the profile is, since it cannot be made again.
    if perf_opens("recording into devices") {
        let temporary = tempfile::tempdir().unwrap();
        let mut record = command(here, &["record", "-o", "full", "--", "true"]);
        finish(record.env("TMPDIR", temporary.path()))
            .ends_with(1)
            .says(&["full", "No space left", "it is kept as"]);
        let left = fs::read_dir(temporary.path()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left.len(), 1, "{left:?}");
        hotproof(here, &["report", left[0].to_str().unwrap()]).ends_with(0);
    }
}

#[test]
fn a_link_stays_a_link_and_a_profile_is_no_stream() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/leaf.hotproof");
    fs::write(here.join("old.folded"), "old").unwrap();
    std::os::unix::fs::symlink("old.folded", here.join("link.folded")).unwrap();
    hotproof(
        here,
        &["export", profile.to_str().unwrap(), "-o", "link.folded"],
    )
    .ends_with(0);
    assert!(
        fs::symlink_metadata(here.join("link.folded"))
            .unwrap()
            .is_symlink()
    );
    assert!(fs::metadata(here.join("old.folded")).unwrap().len() > 3);
    if perf_opens("record -o -") {
        hotproof(here, &["record", "-o", "-", "--", "true"])
            .ends_with(2)
            .says(&["-o"]);
    }
}

/// Runs a program under a seccomp filter that refuses perf events, as containers do, and ptrace.
const DENY: &str = include_str!("programs/deny.c");

#[test]
fn refused_perf_events_are_told_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let deny = compile(here, "deny", DENY);
    for (errno, name) in [("1", "EPERM"), ("38", "ENOSYS")] {
        let mut command = Command::new(&deny);
        command.args([errno, "0", "ptrace", "--", env!("CARGO_BIN_EXE_hotproof")]);
        command.args(["record", "--", "true"]);
        let ran = finish(command.current_dir(here)).ends_with(20);
        ran.says(&["perf_event_open", name, "ptrace", "  read", "  do"]);
    }
    assert!(!here.join("profile.hotproof").exists());
}

/// The JSON of a comparison of a slow base with a fast head, where the filter refuses perf events
/// and what else it is told to.
fn compared_behind_the_filter(more: &[&str]) -> Option<serde_json::Value> {
    let work = |rounds: u32| {
        format!(
            "static volatile unsigned s;\nint main(void) {{ for (unsigned i = 0; i < {rounds}; i++) s += i; }}\n"
        )
    };
    let folder = repository(&work(40_000_000), &work(20_000_000));
    let here = folder.path();
    let deny = compile(here, "deny", DENY);
    fs::write(here.join(".git/info/exclude"), "deny*\n.hotproof\n").unwrap();
    let compare = || {
        let mut command = Command::new(&deny);
        command.args(["1", "0"]).args(more);
        command.args(["--", env!("CARGO_BIN_EXE_hotproof")]);
        command.args(["compare", "main~1", "main", "--budget", "60", "--json"]);
        command.args(["--build", BUILD, "--", "./bench"]);
        finish(command.current_dir(here).env("NO_COLOR", "1"))
    };
    let ran = on_a_quiet_machine("behind the filter", compare)?;
    nothing_is_left(here);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect(&ran.stderr);
    let speedup = json["end_to_end"]["metrics"][0]["speedup"]
        .as_f64()
        .unwrap();
    assert!(speedup > 1.5, "{speedup}");
    Some(json)
}

#[test]
fn where_nothing_can_be_sampled_compare_still_measures_the_whole() {
    let _machine = alone();
    let Some(json) = compared_behind_the_filter(&["ptrace"]) else {
        return;
    };
    let refusal = json["machine"]["refusal"]
        .as_str()
        .expect("why nothing was sampled");
    assert!(refusal.contains("perf_event_open"), "{refusal}");
    assert_eq!(json["explained"]["kind"], "unavailable");
}

/// Threads are stopped instead, and the comparison attributes the change and says how it was
/// sampled.
#[test]
fn where_perf_events_are_refused_compare_stops_threads() {
    let _machine = alone();
    let Some(json) = compared_behind_the_filter(&[]) else {
        return;
    };
    let rung = json["machine"]["rung"].as_str().unwrap();
    assert!(rung.contains("ptrace"), "{rung}");
    assert_ne!(json["explained"]["kind"], "unavailable");
    let warnings = json["warnings"].to_string();
    assert!(warnings.contains("perf_event_open: EPERM"), "{warnings}");
}
