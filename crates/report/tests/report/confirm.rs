//! The answers of `confirm`, held to files, and its rules.

use crate::fixture::{self, Builder, NUMBER, empty, fun, golden, golden_screens, parser, poor};
use hotproof_diff::ExitCode;
use hotproof_profile::{Profile, StackEnd};
use hotproof_report::confirm::{
    Answer, Confirmation, Decision, FLOOR, Match, answer, exit_code, find, json, screen,
};
use hotproof_report::quality::Quality;

fn confirmed(runs: &[&Profile], pattern: &str) -> Confirmation {
    match answer(runs, pattern, FLOOR).unwrap() {
        Answer::Confirmed(confirmation) => *confirmation,
        other => panic!("{pattern}: {other:?}"),
    }
}

fn screens(name: &str, runs: &[&Profile], pattern: &str) {
    let answer = answer(runs, pattern, FLOOR).unwrap();
    golden_screens(&format!("confirm-{name}"), |width| screen(&answer, width));
}

#[test]
fn answers_of_one_run() {
    let profile = parser();
    screens("yes", &[&profile], "parse::number");
    screens("no", &[&profile], "lex::number");
    screens("several", &[&profile], "number");
    screens("none", &[&profile], "parse::nubmer");
    screens("nothing-like-it", &[&profile], "entirely_other");
    screens("few", &[&few()], "parse::number");
    screens("poor", &[&poor()], "parse::number");
}

#[test]
fn answers_of_several_runs() {
    let (a, b, c) = (run_with(240), run_with(250), run_with(260));
    screens("runs", &[&a, &b, &c], "parse::number");
}

/// 1,000 samples, `hits` of them in `parse::number`.
fn run_with(hits: u64) -> Profile {
    let mut b = Builder::new(997);
    let main = b.location(&[&fixture::MAIN]);
    let number = b.location(&[&NUMBER]);
    let (hot, cold) = (b.stack(&[main, number]), b.stack(&[main]));
    b.samples(hot, hits, StackEnd::Complete);
    b.samples(cold, 1000 - hits, StackEnd::Complete);
    b.finish(997)
}

fn few() -> Profile {
    let mut b = Builder::new(997);
    let number = b.location(&[&NUMBER]);
    let stack = b.stack(&[number]);
    b.samples(stack, 9, StackEnd::Complete);
    b.finish(997)
}

#[test]
fn shares_and_places_are_those_of_the_profile() {
    let c = confirmed(&[&parser()], "parse::number");
    assert_eq!(c.decision, Decision::Yes);
    assert_eq!((c.hits, c.samples, c.runs), (2400, 9968, 1));
    let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(close(c.total.value, 2400.0 / 9968.0), "{}", c.total.value);
    assert!(close(c.self_share, 600.0 / 9968.0));
    assert!(close(c.own_share, 2400.0 / 9968.0));
    assert!(c.total.low < c.total.value && c.total.value < c.total.high);
    let inlined: Vec<&str> = c
        .inlined_into
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(inlined, ["bench::parse::value", "bench::parse::array"]);
    assert!(close(c.inlined_into[0].1, 0.75) && close(c.inlined_into[1].1, 0.25));
    assert_eq!(
        c.heaviest_path,
        [
            "bench::main",
            "bench::parse::document",
            "bench::parse::value",
            "bench::parse::number"
        ]
    );
}

#[test]
fn too_few_samples_are_undecided_never_no() {
    // All of 9 samples, none of 60: neither decides.
    assert_eq!(confirmed(&[&few()], "number").decision, Decision::Undecided);
    for hits in [0u64, 1] {
        for all in [2u64, 20, 60, 99] {
            let mut b = Builder::new(997);
            let number = b.location(&[&NUMBER]);
            let main = b.location(&[&fixture::MAIN]);
            let (hot, cold) = (b.stack(&[number]), b.stack(&[main]));
            b.samples(hot, hits, StackEnd::Complete);
            b.samples(cold, all - hits, StackEnd::Complete);
            let profile = b.finish(997);
            let answer = answer(&[&profile], "number", FLOOR).unwrap();
            assert_eq!(
                answer.exit_code(),
                ExitCode::Inconclusive,
                "{hits} of {all}"
            );
        }
    }
}

#[test]
fn cut_stacks_never_make_a_no() {
    let with = |cut: u64, end: StackEnd| {
        let mut b = Builder::new(997);
        let number = b.location(&[&NUMBER]);
        let main = b.location(&[&fixture::MAIN]);
        let (hot, cold) = (b.stack(&[number]), b.stack(&[main]));
        b.samples(hot, 2, StackEnd::Complete);
        b.samples(cold, 9_998 - cut, StackEnd::Complete);
        b.samples(cold, cut, end);
        confirmed(&[&b.finish(997)], "number")
    };
    assert_eq!(with(20, StackEnd::Truncated).decision, Decision::No);
    for end in [StackEnd::Truncated, StackEnd::Failed, StackEnd::Stitched] {
        let cut = with(4_000, end);
        assert_eq!(cut.decision, Decision::Undecided, "{end:?}");
        assert_eq!(cut.samples_needed, None);
    }
    assert_eq!(with(4_000, StackEnd::Unknown).decision, Decision::No);
}

/// A folded line stands for as many samples as it says.
#[test]
fn cut_stacks_count_as_the_samples_that_they_stand_for() {
    let asked = |cut: &str| {
        let text = format!("main;number 2\nmain 5998\nmain;{cut}other 4000\n");
        let read = hotproof_formats::import::read(text.as_bytes(), Default::default()).unwrap();
        confirmed(&[&read.profile], "number").decision
    };
    assert_eq!(asked("[truncated];"), Decision::Undecided);
    assert_eq!(asked(""), Decision::No);
}

#[test]
fn more_samples_decide_either_way() {
    let with = |hits: u64, all: u64| {
        let mut b = Builder::new(997);
        let number = b.location(&[&NUMBER]);
        let main = b.location(&[&fixture::MAIN]);
        let (hot, cold) = (b.stack(&[number]), b.stack(&[main]));
        b.samples(hot, hits, StackEnd::Complete);
        b.samples(cold, all - hits, StackEnd::Complete);
        confirmed(&[&b.finish(997)], "number")
    };
    assert_eq!(with(2, 10_000).decision, Decision::No);
    assert_eq!(with(300, 10_000).decision, Decision::Yes);
    let close = with(110, 10_000);
    assert_eq!(close.decision, Decision::Undecided);
    assert!(close.samples_needed.unwrap() > 10_000);
}

#[test]
fn instances_of_a_generic_are_one_function() {
    let mut b = Builder::new(997);
    let instances = [
        fun("app::sum::<u32>", "/home/u/app/src/lib.rs", 5),
        fun(
            "app::sum::<alloc::vec::Vec<u8>>",
            "/home/u/app/src/lib.rs",
            5,
        ),
    ];
    for instance in &instances {
        let location = b.location(&[instance]);
        let stack = b.stack(&[location]);
        b.samples(stack, 200, StackEnd::Complete);
    }
    let c = confirmed(&[&b.finish(997)], "app::sum");
    assert_eq!((c.name.as_str(), c.hits), ("app::sum", 400));
    assert!((c.total.value - 1.0).abs() < 1e-9);
}

#[test]
fn equal_names_at_different_places_stay_apart() {
    let mut b = Builder::new(997);
    let copies = [
        fun("step", "/home/u/app/src/a.c", 5),
        fun("step", "/home/u/app/src/b.c", 9),
    ];
    for (index, copy) in copies.iter().enumerate() {
        let location = b.location(&[copy]);
        let stack = b.stack(&[location]);
        b.samples(stack, 300 + 100 * index as u64, StackEnd::Complete);
    }
    let profile = b.finish(997);
    let Match::Several(candidates) = find(&[&profile], "step") else {
        panic!("one name, two functions");
    };
    let found: Vec<(&str, u64)> = candidates
        .iter()
        .map(|candidate| (candidate.pattern.as_str(), candidate.samples))
        .collect();
    assert_eq!(found, [("src/b.c:9", 400), ("src/a.c:5", 300)]);
    for (pattern, samples) in [("src/b.c:9", 400), ("src/a.c:5", 300), ("b.c::step", 400)] {
        assert_eq!(confirmed(&[&profile], pattern).hits, samples, "{pattern}");
    }
}

#[test]
fn what_a_macro_makes_of_one_line_stays_apart() {
    let mut b = Builder::new(997);
    let made = [
        fun("app::add_u8", "/home/u/app/src/lib.rs", 5),
        fun("app::add_u16", "/home/u/app/src/lib.rs", 5),
        fun("<u8 as app::Add>::add", "/home/u/app/src/lib.rs", 30),
        fun("<u16 as app::Add>::add", "/home/u/app/src/lib.rs", 30),
    ];
    for function in &made {
        let location = b.location(&[function]);
        let stack = b.stack(&[location]);
        b.samples(stack, 200, StackEnd::Complete);
    }
    let profile = b.finish(997);
    assert_eq!(confirmed(&[&profile], "add_u8").hits, 200);
    assert_eq!(confirmed(&[&profile], "u16::add").hits, 200);
    assert_eq!(confirmed(&[&profile], "Add::add").hits, 400);
    assert_eq!(confirmed(&[&profile], "src/lib.rs:30").hits, 400);
}

/// One function under the names that runtimes, compilers and tools give it in one run.
#[test]
fn a_function_is_found_under_every_spelling_of_its_name() {
    let spelled = |name| fixture::Fun {
        name,
        file: None,
        line: 0,
    };
    let cases: [(&[&'static str], &[&str]); 5] = [
        (
            &[
                "JS:~parseIt /w/a.js:3:17",
                "JS:^parseIt /w/a.js:3:17",
                "JS:*parseIt /w/a.js:3:17",
            ],
            &[
                "parseIt",
                "a.js:3",
                "a.js::parseIt",
                "JS:*parseIt /w/a.js:3:17",
            ],
        ),
        (
            &["py::Lexer.next:/w/lex.py"],
            &["next", "Lexer.next", "lex.py::next"],
        ),
        (
            &["next (lex.py:12)", "next (lex.py:14)"],
            &["next", "lex.py::next"],
        ),
        (
            &["main.(*Parser).next"],
            &["next", "Parser.next", "main.Parser.next"],
        ),
        (
            &[
                "void a::work<int>(int)",
                "void a::work<int>(int) [clone .cold]",
            ],
            &["work", "a::work", "void a::work<int>(int)"],
        ),
    ];
    for (names, patterns) in cases {
        let mut b = Builder::new(997);
        for name in names {
            let location = b.location(&[&spelled(name)]);
            let stack = b.stack(&[location]);
            b.samples(stack, 200, StackEnd::Complete);
        }
        let other = b.location(&[&spelled("JS:*parse /w/b.js:1:1")]);
        let stack = b.stack(&[other]);
        b.samples(stack, 200, StackEnd::Complete);
        let profile = b.finish(997);
        for pattern in patterns {
            let hits = confirmed(&[&profile], pattern).hits;
            assert_eq!(hits, 200 * names.len() as u64, "{pattern} in {names:?}");
        }
    }
}

#[test]
fn a_name_must_fit_whole_components() {
    let profile = parser();
    assert!(matches!(find(&[&profile], "umber"), Match::None { .. }));
    assert!(matches!(
        find(&[&profile], "bench::parse::number"),
        Match::One(_)
    ));
    assert!(matches!(
        find(&[&profile], "src/parse.rs::number"),
        Match::One(_)
    ));
    assert!(matches!(find(&[&profile], ""), Match::None { .. }));
}

#[test]
fn main_is_what_the_user_wrote() {
    let mut b = Builder::new(997);
    let wrapper = fixture::Fun {
        name: "main",
        file: None,
        line: 0,
    };
    let (wrapper, main) = (b.location(&[&wrapper]), b.location(&[&fixture::MAIN]));
    let (outside, inside) = (b.stack(&[wrapper]), b.stack(&[wrapper, main]));
    b.samples(outside, 10, StackEnd::Complete);
    let only_the_wrapper = b.profile.clone();
    b.samples(inside, 500, StackEnd::Complete);
    assert_eq!(confirmed(&[&b.finish(997)], "main").name, "bench::main");
    assert_eq!(confirmed(&[&only_the_wrapper], "main").name, "main");
}

#[test]
fn exit_codes_of_several_answers() {
    let profile = parser();
    let ask = |pattern| answer(&[&profile], pattern, FLOOR).unwrap();
    let (yes, no) = (ask("parse::number"), ask("lex::number"));
    let (which, none) = (ask("number"), ask("nonesuch"));
    let code = |answers: &[&Answer]| {
        let answers: Vec<Answer> = answers.iter().map(|&answer| answer.clone()).collect();
        exit_code(&answers).code()
    };
    assert_eq!(code(&[&yes, &yes]), 0);
    assert_eq!(code(&[&yes, &none]), 12);
    assert_eq!(code(&[&yes, &none, &no]), 13);
    assert_eq!(code(&[&no, &which]), 2);
}

#[test]
fn profiles_without_samples_decide_nothing() {
    let none = answer(&[&empty()], "number", FLOOR).unwrap();
    assert_eq!(none.exit_code(), ExitCode::Inconclusive);
    assert!(answer(&[], "number", FLOOR).is_err());
    let mut broken = poor();
    broken.weights.clear();
    assert!(answer(&[&broken], "number", FLOOR).is_err());
}

#[test]
fn documents() {
    let profile = parser();
    let patterns = ["parse::number", "lex::number", "number", "parse::nubmer"];
    let answers: Vec<Answer> = patterns
        .iter()
        .map(|pattern| answer(&[&profile], pattern, FLOOR).unwrap())
        .collect();
    golden("confirm.json", &json(&answers));
}

/// Python runs every function of a script in one of its own: a name of the script is not found, and
/// the answer says why and what to do. With `-X perf` scripts are named, and nothing is said.
#[test]
fn a_function_of_a_script_is_hidden_in_its_interpreter() {
    const LOOP: fixture::Fun = fun("_PyEval_EvalFrameDefault", "Python/ceval.c", 1629);
    const CALLED: fixture::Fun = fun("PyLong_Add", "Objects/longobject.c", 100);
    const SCRIPT: fixture::Fun = fun("py::fib:/home/u/fib.py", "/home/u/fib.py", 1);
    let run = |scripts_are_named: bool| {
        let mut b = Builder::new(997);
        let main = b.location(&[&fixture::MAIN]);
        let interpreter = b.location(&[&LOOP]);
        let called = b.location(&[&CALLED]);
        let mut path = vec![main, interpreter, called];
        if scripts_are_named {
            path.insert(1, b.location(&[&SCRIPT]));
        }
        let (inside, outside) = (b.stack(&path), b.stack(&[main]));
        b.samples(inside, 300, StackEnd::Complete);
        b.samples(outside, 700, StackEnd::Complete);
        b.finish(997)
    };
    let said = "30.0 % of samples are in Python's interpreter, which does not name the functions of \
                its scripts: run it with python3 -X perf (Python 3.12 or later)";
    let plain = answer(&[&run(false)], "fib", FLOOR).unwrap();
    assert!(
        screen(&plain, 400).contains(said),
        "{}",
        screen(&plain, 400)
    );
    assert!(
        Quality::of(&run(false))
            .warnings()
            .contains(&said.to_owned())
    );
    let other = answer(&[&run(true)], "fob", FLOOR).unwrap();
    assert!(!screen(&other, 400).contains("interpreter"));
    assert_eq!(Quality::of(&run(true)).scripts(), None);
}
