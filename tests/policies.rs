//! Each policy through the program: a change that it calls enough, and one that it does not.

use crate::place::Place;
use crate::run::{Ran, alone, commit, decided, on_a_quiet_machine, perf_opens};

/// What one run does, each in a function of its own.
#[derive(Clone, Copy)]
struct Work {
    turns: u32,
    mib: u32,
    wait_us: u32,
}

impl Work {
    fn program(self) -> String {
        let Work {
            turns,
            mib,
            wait_us,
        } = self;
        format!(
            "#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n\
             static volatile unsigned sink;\nstatic char *volatile memory;\n\
             __attribute__((noinline)) static void work(void) {{\n    \
             for (unsigned i = 0; i < {turns}; i++) sink = sink * 31 + i;\n}}\n\
             __attribute__((noinline)) static void fill(void) {{\n    \
             memory = malloc({mib} << 20);\n    memset(memory, 1, {mib} << 20);\n}}\n\
             __attribute__((noinline)) static void wait_for_it(void) {{\n    \
             usleep({wait_us});\n}}\n\
             int main(void) {{\n    work();\n    fill();\n    wait_for_it();\n    return 0;\n}}\n"
        )
    }
}

/// A run of some milliseconds of work.
const USUAL: Work = Work {
    turns: 6_000_000,
    mib: 1,
    wait_us: 0,
};

struct Case {
    policy: &'static str,
    more: &'static [&'static str],
    primary: &'static str,
    /// Base and head, whose gain is enough for the policy, ...
    enough: [Work; 2],
    /// ... and with one that is not.
    too_little: [Work; 2],
}

const fn turns(turns: u32) -> Work {
    Work { turns, ..USUAL }
}

const fn mib(mib: u32) -> Work {
    Work { mib, ..turns(10) }
}

/// Most of the run waits, so that little depends on who else wants a processor.
const fn wait_us(wait_us: u32) -> Work {
    Work {
        wait_us,
        ..turns(10)
    }
}

const CASES: [Case; 4] = [
    Case {
        policy: "cpu",
        more: &[],
        primary: "cpu_time",
        enough: [USUAL, turns(3_000_000)],
        too_little: [USUAL, turns(5_500_000)],
    },
    Case {
        policy: "memory",
        more: &[],
        primary: "peak_memory",
        enough: [mib(32), mib(18)],
        too_little: [mib(32), mib(30)],
    },
    Case {
        policy: "async",
        more: &["--concurrency", "2"],
        primary: "wall_time",
        enough: [wait_us(60_000), wait_us(12_000)],
        too_little: [wait_us(20_000), wait_us(18_000)],
    },
    Case {
        policy: "startup",
        more: &[],
        primary: "wall_time",
        enough: [wait_us(60_000), wait_us(10_000)],
        // Any gain is enough for this policy, and there is none.
        too_little: [
            wait_us(10_000),
            Work {
                turns: 11,
                ..wait_us(10_000)
            },
        ],
    },
];

/// The comparison of two programs by a policy.
fn compare([base, head]: [Work; 2], policy: &str, more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path();
    commit(
        top,
        "base",
        &[("bench.c", &base.program()), (".gitignore", "/bench\n")],
    );
    commit(top, "head", &[("bench.c", &head.program())]);
    let place = Place::new(folder);
    let before = place.state();
    let words = [
        "main~1",
        "main",
        "--json",
        "--seed",
        "7",
        "--precision",
        "20",
    ];
    let build = ["--build", "cc -O1 -g -o bench bench.c", "--policy", policy];
    let words = [&words[..], &build, more, &["--", "./bench"]].concat();
    let ran = place.compare(&words);
    place.is_left_as(&before);
    ran
}

fn document(ran: &Ran) -> serde_json::Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr))
}

#[test]
fn each_policy_keeps_what_it_calls_enough_and_nothing_else() {
    if !perf_opens("policies") {
        return;
    }
    let _machine = alone();
    for case in &CASES {
        let told = |works, pairs: &str| {
            let more = [case.more, &["--pairs", pairs]].concat();
            compare(works, case.policy, &more)
        };
        if let Some(ran) = decided(case.policy, || told(case.enough, "40")) {
            let json = document(&ran);
            assert_eq!(ran.status, 0, "{}: {}", case.policy, json["reason"]);
            assert_eq!(json["end_to_end"]["primary"], case.primary);
            assert_eq!(json["policy"], case.policy);
        }
        let too_little = || told(case.too_little, "11");
        if let Some(ran) = on_a_quiet_machine(case.policy, too_little) {
            assert!(
                [10, 12].contains(&ran.status),
                "{}: {}",
                case.policy,
                document(&ran)["reason"]
            );
        }
    }
    // What the policy for start-up judges is too short a run for the others.
    let works = [turns(10), turns(20)];
    for (policy, is_too_short) in [("statistical", true), ("startup", false)] {
        let more = ["--metric", "cpu", "--pairs", "2"];
        let compare = || compare(works, policy, &more);
        // However much runs differ that are too short: that is what is too short about them.
        let ran = match is_too_short {
            true => Some(compare()),
            false => on_a_quiet_machine(policy, compare),
        };
        let Some(ran) = ran else { continue };
        let json = document(&ran);
        let reason = json["reason"].as_str().unwrap();
        let says = reason.contains("too short");
        assert_eq!(says, is_too_short, "{policy}: {reason}");
    }
}
