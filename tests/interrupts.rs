//! Ctrl-C, wherever a comparison stands: it ends soon, says so, and leaves no worktree, branch, lock,
//! temporary file or process behind.

use std::fs;

use crate::place::{Place, Running, has_ended};
use crate::run::{alone, commit, finish, git};

/// Goes on for ever with a child, and says who both are.
const HANG: &str = "sleep 98764 & echo $$ $! > \"$MARK\"; wait";

/// Reports its time until it ran `AT` times, and hangs then.
fn slow(seconds: f64) -> String {
    format!(
        "echo run >> \"$MARK.runs\"\n\
         if [ $(wc -l < \"$MARK.runs\") -ge $AT ]; then {HANG}; fi\n\
         echo '{{\"f\": {seconds}}}'\n"
    )
}

fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let base = [("slow.sh", slow(0.5)), ("a.c", "int a;\n".to_owned())];
    let base = base.each_ref().map(|(name, text)| (*name, text.as_str()));
    commit(folder.path(), "base", &base);
    let head = [("slow.sh", slow(0.4)), ("a.c", "int b;\n".to_owned())];
    let head = head.each_ref().map(|(name, text)| (*name, text.as_str()));
    commit(folder.path(), "head", &head);
    folder
}

/// Where a comparison stands when it is interrupted.
struct At {
    name: &'static str,
    words: &'static [&'static str],
    /// The run that hangs.
    run: u32,
    /// What is said besides that it was interrupted.
    says: &'static [&'static str],
}

const COMPARE: [&str; 3] = ["compare", "main~1", "main"];

const ALL: [At; 7] = [
    At {
        name: "build",
        words: &["--build", HANG, "--script", "--", "sh", "slow.sh"],
        run: 1,
        says: &[],
    },
    At {
        name: "tests",
        words: &["--test", HANG, "--script", "--", "sh", "slow.sh"],
        run: 1,
        says: &[],
    },
    At {
        name: "first run",
        words: &["--script", "--", "sh", "slow.sh"],
        run: 1,
        says: &[],
    },
    At {
        name: "base with itself",
        words: &["--script", "--", "sh", "slow.sh"],
        run: 9,
        says: &[],
    },
    At {
        name: "pairs",
        words: &["--script", "--", "sh", "slow.sh"],
        run: 32,
        says: &["pairs in .hotproof/log.jsonl:1", "--resume"],
    },
    At {
        name: "copies at once",
        words: &["--concurrency", "3", "--", "sh", "slow.sh"],
        run: 3,
        says: &[],
    },
    At {
        name: "counting",
        words: &["--engine", "callgrind", "--", "sh", "slow.sh"],
        run: 1,
        says: &[],
    },
];

/// All of them stand in one repository at once, and none is in another's way.
#[test]
fn ctrl_c_leaves_nothing_wherever_it_comes() {
    let _machine = alone();
    let repository = repository();
    let place = Place::new(repository);
    let before = place.state();
    std::thread::scope(|scope| {
        for at in &ALL {
            let place = &place;
            scope.spawn(move || interrupted(place, at));
        }
    });
    place.is_left_as(&before);
    // What was measured before it is there to go on with.
    let log = fs::read_to_string(place.top().join(".hotproof/log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 1, "{log}");
}

fn interrupted(place: &Place, at: &At) {
    let words = [&COMPARE, at.words].concat();
    if at.name == "counting" && !crate::witness::has_valgrind("Ctrl-C while counting") {
        return;
    }
    let mark = place.beside(at.name);
    let mut command = place.command(place.top(), &words);
    command.env("MARK", &mark).env("AT", at.run.to_string());
    let mut running = Running::start(&mut command);
    let pids = running.wait_for(&mark);
    running.signal("INT");
    let ran = running.end().ends_with(130);
    assert_eq!(ran.stdout, "", "{}", at.name);
    ran.says(&["interrupted: nothing that was made for it is left"])
        .says(at.says);
    for pid in pids.split_whitespace() {
        has_ended(pid);
    }
}

/// A comparison that is killed cannot clean up: the next one of the repository does.
#[test]
fn what_a_killed_comparison_left_is_removed_by_the_next() {
    let _machine = alone();
    let repository = repository();
    let place = Place::new(repository);
    let before = place.state();
    let mark = place.beside("mark");
    let words = [
        &COMPARE,
        &["--no-cache", "--script", "--", "sh", "slow.sh"][..],
    ]
    .concat();
    let run = |at: &str| {
        let mut command = place.command(place.top(), &words);
        command.env("MARK", &mark).env("AT", at);
        command
    };
    let mut running = Running::start(&mut run("1"));
    let pids = running.wait_for(&mark);
    running.signal("KILL");
    running.end().ends_with(128 + 9);
    for pid in pids.split_whitespace() {
        finish(std::process::Command::new("kill").args(["-KILL", pid]));
        has_ended(pid);
    }
    let worktrees = git(place.top(), ["worktree", "list"]);
    assert_eq!(worktrees.lines().count(), 4, "{worktrees}");
    finish(&mut run("1000")).ends_with(12);
    place.is_left_as(&before);
}
