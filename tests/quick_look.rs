//! `hotproof ab`: two commands against each other, where one stands.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::run::{SPIN, alone, compile, finish, git, hotproof, perf_opens};

#[test]
fn two_commands_are_compared_where_one_stands() {
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let report = |seconds: f64| format!("echo '{{\"f\": {seconds}}}'\n");
    fs::write(here.join("old.sh"), report(0.5)).unwrap();
    fs::write(here.join("new.sh"), report(0.4)).unwrap();
    let ran = hotproof(
        here,
        &["ab", "--script", "--json", "--", "sh", "{old,new}.sh"],
    );
    let json: serde_json::Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stderr));
    assert_eq!(json["end_to_end"]["outcome"], "faster", "{json}");
    let change = json["end_to_end"]["metrics"][0]["change_pct"]
        .as_f64()
        .unwrap();
    assert!((change + 20.0).abs() < 0.1, "{change}");
    assert_eq!(fs::read_dir(here).unwrap().count(), 2, "nothing is left");
    hotproof(here, &["ab", "--", "sh", "a", "b"])
        .ends_with(2)
        .says(&["two commands are needed", "quotes"]);
    hotproof(here, &["ab", "./nowhere", "sh old.sh"])
        .ends_with(21)
        .says(&["cannot run `./nowhere`"]);
}

/// With `--profile` a quick look says where the time goes, too; without it nothing is sampled.
#[test]
fn a_quick_look_is_sampled_on_request() {
    if !perf_opens("ab --profile") {
        return;
    }
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    compile(here, "spin", SPIN);
    for (profile, sampled) in [(&["--profile"][..], true), (&[], false)] {
        let tail = ["--json", "--", "./spin", "{40,20}"];
        let ran = hotproof(here, &[&["ab"], profile, &tail].concat());
        let json: serde_json::Value = serde_json::from_str(&ran.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", ran.stderr));
        let rows = json["functions"].as_array().unwrap();
        assert_eq!(!rows.is_empty(), sampled, "{json}");
        if sampled {
            let hot = rows.iter().find(|row| row["name"] == "hot").expect("hot");
            assert_eq!(hot["hot"], "yes", "{hot}");
            let share = hot["own_share"]["base"]["pct"].as_f64().unwrap();
            assert!(share > 90.0, "{hot}");
        }
    }
}

/// A quick look takes no longer than it says: a run that does not fit is ended, and one pair is shown
/// where there is no time for more.
#[test]
fn a_quick_look_keeps_to_its_time() {
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let ab = |budget: &str, commands: [&str; 2]| {
        let begun = Instant::now();
        let words = ["ab", "--json", "--budget", budget, commands[0], commands[1]];
        (hotproof(here, &words), begun.elapsed())
    };
    let (ran, _) = ab("1.5", ["sleep 0.5", "sleep 0.51"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect(&ran.stderr);
    assert_eq!(json["runs"]["pairs"], 1, "{json}");
    ran.ends_with(12)
        .says(&["room for about 0 pairs", "--budget"]);
    let (ran, took) = ab("1", ["sleep 0.1", "sleep 98763"]);
    ran.ends_with(21)
        .says(&["did not end in head (b)", "give them more with --budget"]);
    assert!(took < Duration::from_secs(60), "{took:?}");
    let left = finish(Command::new("pgrep").args(["-f", "sleep 98763"]));
    assert_eq!(left.stdout, "", "it still runs");
}

/// A sleeper is judged by wall time, whatever else the machine has to do: of runs that are not
/// sampled nobody knew that they had one thread, and every wait on the machine counted as theirs.
#[test]
fn a_sleeper_is_told_apart_from_a_busy_machine() {
    if !Path::new("/proc/self/schedstat").exists() {
        println!("skipped: this kernel tells nothing of waiting for a CPU");
        return;
    }
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let spin = compile(here, "spin", "int main(void) { for (;;) ; }\n");
    let cpus = std::thread::available_parallelism().unwrap().get();
    let others: Vec<Child> = (0..2 * cpus)
        .map(|_| Command::new(&spin).spawn().unwrap())
        .collect();
    // Now and then so many want a CPU that even a sleeper mostly waits for one.
    let words = ["ab", "--json", "--budget", "2", "sleep 0.1", "sleep 0.15"];
    let is_told = (0..3).any(|_| {
        let ran = hotproof(here, &words);
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect(&ran.stderr);
        json["end_to_end"]["primary"] == "wall_time"
    });
    for mut other in others {
        other.kill().unwrap();
        other.wait().unwrap();
    }
    assert!(is_told);
}

/// Two commands have no diff: nothing is said of changed functions, which `verdict` counted as 0, and
/// a gain was "though no function changed by line: code outside of functions did".
#[test]
fn a_quick_look_says_nothing_of_a_diff() {
    if !perf_opens("ab --profile") {
        return;
    }
    let _machine = alone();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    git(here, ["init", "-q"]);
    compile(here, "spin", SPIN);
    let ab = hotproof(here, &["ab", "--profile", "--", "./spin", "{60,20}"]).ends_with(0);
    let verdict = hotproof(here, &["verdict", ".hotproof/ab.jsonl"]).ends_with(0);
    assert_eq!(ab.stdout, verdict.stdout);
    let verdict = verdict.says(&["./spin 60", "./spin 20"]);
    let said = format!("{}{}{}", ab.stderr, verdict.stderr, verdict.stdout);
    for words in ["changed", "Explained", "tests", "  command"] {
        assert!(!said.contains(words), "{words}: {said}");
    }
}
