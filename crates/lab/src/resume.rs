//! More pairs for a comparison that was logged.

use std::collections::BTreeMap;

use hotproof_diff::{
    Comparison, FunctionRow, Machine, OutputCheck, Pair, Tally, TestCheck, Witness,
};

use crate::error::LabError;

/// What was measured before, while more is.
#[derive(Debug)]
pub(crate) struct Earlier {
    logged: Comparison,
}

impl Earlier {
    /// The earlier pairs go in front of the new ones, so that the test goes on where it stood: it
    /// holds at whatever pair one stops, and however often one looks. Their samples wait, because
    /// rows of functions may be others now.
    ///
    /// # Errors
    /// When what is measured now is not what was measured then, naming the difference.
    pub(crate) fn put_in_front(
        logged: Comparison,
        comparison: &mut Comparison,
    ) -> Result<Earlier, LabError> {
        let differences = differences(&logged, comparison);
        if !differences.is_empty() {
            return Err(LabError::UnlikeFingerprints { differences });
        }
        comparison.placebo = logged.placebo.iter().map(without_samples).collect();
        comparison.pairs = logged.pairs.iter().map(without_samples).collect();
        Ok(Earlier { logged })
    }

    /// Gives the earlier pairs their samples back, by the keys of their functions.
    pub(crate) fn restore(self, comparison: &mut Comparison) {
        let mut rows: BTreeMap<String, FunctionRow> = BTreeMap::new();
        for (row, function) in comparison.functions.iter().enumerate() {
            rows.insert(function.key.clone(), row);
        }
        let moved: Vec<FunctionRow> = self
            .logged
            .functions
            .into_iter()
            .map(|function| {
                *rows.entry(function.key.clone()).or_insert_with(|| {
                    comparison.functions.push(function);
                    comparison.functions.len() - 1
                })
            })
            .collect();
        comparison.base_runs = self.logged.base_runs;
        for run in &mut comparison.base_runs {
            if let Some(tally) = &mut run.tally {
                move_rows(tally, &moved);
            }
        }
        let earlier = self.logged.placebo.into_iter().zip(&mut comparison.placebo);
        let pairs = self.logged.pairs.into_iter().zip(&mut comparison.pairs);
        for (mut old, new) in earlier.chain(pairs) {
            for run in [&mut old.base, &mut old.head] {
                if let Some(tally) = &mut run.tally {
                    move_rows(tally, &moved);
                }
            }
            *new = old;
        }
        comparison.metric_reason = self.logged.metric_reason;
        // What was seen once stays true of these commits.
        comparison.output = worse(self.logged.output, comparison.output);
        if comparison.tests == TestCheck::NotRun {
            comparison.tests = self.logged.tests;
        }
        let stolen = [
            self.logged.machine.stolen_pct,
            comparison.machine.stolen_pct,
        ];
        comparison.machine.stolen_pct = stolen.into_iter().flatten().reduce(f64::max);
        if comparison.witness.is_none() {
            // Counted once, it holds for all pairs of the same commits.
            comparison.witness = self.logged.witness.map(|witness| at_rows(witness, &moved));
        }
        // What was said then is still so.
        for text in self.logged.warnings.into_iter().rev() {
            if !comparison.warnings.contains(&text) {
                comparison.warnings.insert(0, text);
            }
        }
    }
}

fn worse(then: OutputCheck, now: OutputCheck) -> OutputCheck {
    use OutputCheck::{Different, Same, Unstable};
    match (then, now) {
        (Different, _) | (_, Different) => Different,
        (Unstable, _) | (_, Unstable) => Unstable,
        (Same, Same) => Same,
    }
}

fn without_samples(pair: &Pair) -> Pair {
    let mut pair = pair.clone();
    pair.base.tally = None;
    pair.head.tally = None;
    pair
}

fn at_rows(mut witness: Witness, moved: &[FunctionRow]) -> Witness {
    for count in [&mut witness.base, &mut witness.head] {
        for entry in &mut count.functions {
            entry.function = moved[entry.function];
        }
        for line in &mut count.lines {
            line.function = moved[line.function];
        }
        count.functions.sort_by_key(|entry| entry.function);
        count.lines.sort_by_key(|line| (line.function, line.line));
    }
    witness
}

fn move_rows(tally: &mut Tally, moved: &[FunctionRow]) {
    for entry in &mut tally.functions {
        entry.function = moved[entry.function];
    }
    tally.functions.sort_by_key(|entry| entry.function);
}

/// What differs between then and now, one sentence each: figures of unlike machines or of unlike
/// work do not add up.
fn differences(then: &Comparison, now: &Comparison) -> Vec<String> {
    let words = |comparison: &Comparison| comparison.command.join(" ");
    let machine = |of: fn(&Machine) -> String| [of(&then.machine), of(&now.machine)];
    let of_governor = |machine: &Machine| machine.governor.clone().unwrap_or_default();
    let governors = [of_governor(&then.machine), of_governor(&now.machine)];
    let all = [
        ("CPU", machine(|it| it.cpu_model.clone())),
        ("number of CPUs", machine(|it| it.cpus.to_string())),
        ("kernel", machine(|it| it.kernel.clone())),
        ("frequency governor", governors),
        ("base", [then.base.commit.clone(), now.base.commit.clone()]),
        ("head", [then.head.commit.clone(), now.head.commit.clone()]),
        ("command", [words(then), words(now)]),
        (
            "layouts of each ref",
            [then, now].map(|it| it.setup.layouts.max(1).to_string()),
        ),
    ];
    all.into_iter()
        .filter(|(_, [then, now])| then != now)
        .map(|(what, [then, now])| format!("{what}: {then} then, {now} now"))
        .chain(unlike_tools(&then.setup.tools, &now.setup.tools))
        .collect()
}

/// Compilers and flags that are not the same; nothing where an older log does not tell them.
fn unlike_tools(then: &[String], now: &[String]) -> Option<String> {
    if then.is_empty() || then == now {
        return None;
    }
    let only = |these: &[String], those: &[String]| {
        let only = these.iter().filter(|tool| !those.contains(tool)).cloned();
        match only.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "nothing of it".to_owned(),
            some => some,
        }
    };
    Some(format!(
        "what builds: {} then, {} now",
        only(then, now),
        only(now, then)
    ))
}

/// What was measured before a failure, where any pair of it is new.
pub(crate) fn worth_keeping(
    measured: Comparison,
    earlier: Option<&Comparison>,
) -> Option<Comparison> {
    let before = earlier.map_or(0, |earlier| earlier.pairs.len());
    (measured.pairs.len() > before).then_some(measured)
}

/// That the same is sampled as then, known after the warm-up pair.
///
/// # Errors
/// When the event or the way of sampling is another one.
pub(crate) fn check_sampling(then: &Machine, now: &Machine) -> Result<(), LabError> {
    let text = |machine: &Machine| {
        let event = machine.event.clone();
        event.unwrap_or_else(|| "nothing".to_owned())
    };
    if text(then) == text(now) {
        return Ok(());
    }
    Err(LabError::UnlikeFingerprints {
        differences: vec![format!(
            "sampled event: {} then, {} now",
            text(then),
            text(now)
        )],
    })
}

/// Functions shared wall time then, and cannot now.
pub(crate) fn other_time() -> LabError {
    LabError::UnlikeFingerprints {
        differences: vec![
            "what runs wait for: recorded then, and not permitted now (hotproof doctor)".to_owned(),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotproof_diff::{
        Function, FunctionTally, Metric, Metrics, Order, RefFacts, Rule, Run, Setup, SharedTime,
    };

    fn function(key: &str) -> Function {
        Function {
            name: key.to_owned(),
            key: key.to_owned(),
            file: None,
            line: None,
            change: None,
            cause: None,
        }
    }

    fn pair(rows: &[usize], cpu_ns: u64) -> Pair {
        let run = || Run {
            metrics: Metrics {
                cpu_ns,
                cpu_source: hotproof_diff::CpuSource::TaskClock,
                wall_ns: cpu_ns,
                user_ns: cpu_ns,
                system_ns: 0,
                run_queue_ns: None,
                peak_rss_bytes: 1,
                page_faults: 0,
                context_switches: 0,
                instructions: None,
                reported: Vec::new(),
            },
            tally: Some(Tally {
                samples: rows.len() as u64,
                functions: rows
                    .iter()
                    .map(|&function| FunctionTally {
                        function,
                        total: 1,
                        own: 1,
                        physical_self: 1,
                        rest: 0,
                    })
                    .collect(),
                ..Tally::default()
            }),
            layout: 0,
        };
        Pair {
            order: Order::BaseFirst,
            base: run(),
            head: run(),
        }
    }

    fn comparison(functions: &[&str], pairs: Vec<Pair>) -> Comparison {
        let facts = RefFacts {
            name: "r".into(),
            commit: "c".into(),
            tree: "t".into(),
            subject: String::new(),
        };
        Comparison {
            command: vec!["./bench".into()],
            setup: Setup::default(),
            base: facts.clone(),
            head: facts,
            machine: Machine::default(),
            rule: Rule::default(),
            policy: "statistical".into(),
            metric: Metric::CpuTime,
            metric_reason: None,
            shared_time: SharedTime::Cpu,
            seed: 1,
            base_runs: Vec::new(),
            placebo: Vec::new(),
            pairs,
            functions: functions.iter().map(|key| function(key)).collect(),
            outside: Vec::new(),
            code_changed: true,
            output: OutputCheck::Same,
            tests: TestCheck::NotRun,
            warnings: Vec::new(),
            budget_used_up: false,
            witness: None,
        }
    }

    #[test]
    fn earlier_samples_come_back_by_the_keys_of_their_functions() {
        let logged = comparison(&["a", "b"], vec![pair(&[0, 1], 7)]);
        let mut now = comparison(&[], Vec::new());
        let earlier = Earlier::put_in_front(logged, &mut now).unwrap();
        assert_eq!(now.pairs[0].base.tally, None);
        now.functions = vec![function("b"), function("c")];
        now.pairs.push(pair(&[0, 1], 9));
        earlier.restore(&mut now);
        let keys: Vec<&str> = now.functions.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(keys, ["b", "c", "a"]);
        let rows = |pair: &Pair| -> Vec<usize> {
            let tally = pair.base.tally.as_ref().unwrap();
            tally.functions.iter().map(|entry| entry.function).collect()
        };
        assert_eq!(
            (rows(&now.pairs[0]), rows(&now.pairs[1])),
            (vec![0, 2], vec![0, 1])
        );
        assert_eq!(now.pairs[0].base.metrics.cpu_ns, 7);
    }

    /// Pairs that were added to a comparison whose outputs differed once made a keep of it.
    #[test]
    fn outputs_that_differed_once_stay_different() {
        use OutputCheck::{Different, Same, Unstable};
        for (then, later, expected) in [
            (Different, Same, Different),
            (Same, Different, Different),
            (Unstable, Same, Unstable),
            (Different, Unstable, Different),
            (Same, Same, Same),
        ] {
            let mut logged = comparison(&[], Vec::new());
            logged.output = then;
            logged.tests = TestCheck::Passed;
            logged.machine.stolen_pct = Some(7.0);
            let mut now = comparison(&[], Vec::new());
            let earlier = Earlier::put_in_front(logged, &mut now).unwrap();
            now.output = later;
            now.machine.stolen_pct = Some(1.0);
            earlier.restore(&mut now);
            assert_eq!(now.output, expected, "{then:?} {later:?}");
            assert_eq!(now.tests, TestCheck::Passed);
            assert_eq!(now.machine.stolen_pct, Some(7.0));
        }
    }

    /// A resumed comparison that failed before its first new pair was logged once more, as if it were
    /// another one.
    #[test]
    fn a_failure_without_new_pairs_leaves_nothing_to_keep() {
        let of_pairs = |count| comparison(&[], vec![pair(&[], 7); count]);
        let kept = |count, earlier: Option<usize>| {
            worth_keeping(of_pairs(count), earlier.map(of_pairs).as_ref()).is_some()
        };
        assert_eq!([kept(0, None), kept(1, None)], [false, true]);
        assert_eq!([kept(2, Some(2)), kept(3, Some(2))], [false, true]);
    }

    #[test]
    fn what_is_unlike_is_named() {
        let mut logged = comparison(&[], Vec::new());
        let mut now = comparison(&[], Vec::new());
        now.machine.kernel = "7.0".into();
        now.head.commit = "d".into();
        logged.setup.tools = vec!["cc 12".into(), "CFLAGS=-O3".into()];
        now.setup.tools = vec!["cc 12".into()];
        let text = Earlier::put_in_front(logged, &mut now)
            .unwrap_err()
            .to_string();
        for words in [
            "kernel:  then, 7.0 now",
            "head: c then, d now",
            "what builds: CFLAGS=-O3 then, nothing of it now",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let event = Machine {
            event: Some("cycles".into()),
            ..Machine::default()
        };
        let text = check_sampling(&event, &Machine::default()).unwrap_err();
        assert!(
            text.to_string()
                .contains("sampled event: cycles then, nothing now")
        );
    }
}
