//! What `hotproof stat` shows.

use crate::fixture;
use hotproof_profile::Unit;
use hotproof_report::stat::{Series, StatFacts, json, table};

fn series(name: &str, unit: Unit, values: &[u64], counted: f64) -> Series {
    Series {
        name: name.to_owned(),
        unit,
        values: values.to_vec(),
        counted,
    }
}

fn three_runs() -> Vec<Series> {
    vec![
        series(
            "cpu-time",
            Unit::Nanoseconds,
            &[9_000_000, 10_000_000, 11_000_000],
            1.0,
        ),
        series(
            "wall-time",
            Unit::Nanoseconds,
            &[5_000_000, 5_000_000, 5_000_000],
            1.0,
        ),
        series("page-faults", Unit::Count, &[100, 100, 101], 1.0),
        series(
            "cycles",
            Unit::Cycles,
            &[40_000_000, 50_000_000, 60_000_000],
            1.0,
        ),
        series("instructions", Unit::Instructions, &[100_000_000; 3], 0.5),
        series(
            "peak-memory",
            Unit::Bytes,
            &[2 << 20, 2 << 20, 2 << 20],
            1.0,
        ),
    ]
}

fn facts<'a>(command: &'a [String], runs: usize, series: &'a [Series]) -> StatFacts<'a> {
    StatFacts {
        command,
        runs,
        series,
        notes: &[],
    }
}

fn plain(text: &str) -> String {
    fixture::strip(text)
}

/// Means, spreads and ratios are those that a hand calculation gives.
#[test]
fn figures_of_several_runs() {
    let command = ["rg".to_owned(), "-c".to_owned()];
    let text = plain(&table(&facts(&command, 3, &three_runs()), 120));
    let expected = "\
rg -c   3 runs

                    mean   spread     least      most
  cpu-time      10.00 ms   10.0 %   9.00 ms  11.00 ms  2.00 CPUs in use
  wall-time      5.00 ms    0.0 %   5.00 ms   5.00 ms
  page-faults        100    0.6 %       100       101
  cycles      50,000,000   20.0 %  40,000,000  60,000,000
";
    let words = |text: &str| -> Vec<Vec<String>> {
        let lines = text
            .lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect());
        lines.collect()
    };
    assert_eq!(words(&text)[..words(expected).len()], words(expected)[..]);
    let line = |name: &str| {
        text.lines()
            .find(|line| line.trim_start().starts_with(name))
    };
    let instructions = line("instructions").unwrap();
    assert!(instructions.contains("2.00 a cycle"), "{instructions}");
    assert!(
        instructions.contains("estimated: counted in 50.0 % of the time"),
        "{instructions}"
    );
    assert!(line("peak-memory").unwrap().contains("2.0 MiB"), "{text}");
}

/// One run has no spread, and nothing that looks like one.
#[test]
fn one_run_has_no_spread() {
    let command = ["true".to_owned()];
    let single = [series("cpu-time", Unit::Nanoseconds, &[1_500_000], 1.0)];
    let text = plain(&table(&facts(&command, 1, &single), 80));
    assert!(text.contains("true   1 run\n"), "{text}");
    assert!(!text.contains("spread") && !text.contains('%'), "{text}");
    let document: serde_json::Value =
        serde_json::from_str(&json(&facts(&command, 1, &single))).unwrap();
    assert_eq!(
        document["counters"][0]["standard_deviation"],
        serde_json::Value::Null
    );
    assert_eq!(document["counters"][0]["mean"], 1_500_000.0);
}

/// A command's words cannot send escape sequences to the terminal.
#[test]
fn a_command_is_shown_clean() {
    let command = ["\u{1b}[2Jevil\n".to_owned()];
    let single = [series("cpu-time", Unit::Nanoseconds, &[1], 1.0)];
    let text = plain(&table(&facts(&command, 1, &single), 80));
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert_eq!(
        text.lines().next().map(|line| line.contains("1 run")),
        Some(true)
    );
}
