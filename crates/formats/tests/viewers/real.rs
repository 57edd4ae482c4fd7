//! Profiles as other tools wrote them: recognised, counted as a script counted them by hand, and
//! written again without a change.

use std::path::Path;

use hotproof_formats::folded::{self, Options};
use hotproof_formats::import::{Format, Imported};
use hotproof_formats::{callgrind, pprof};
use hotproof_profile::Profile;

use crate::{bytes_of, imported, our_totals};

/// One file, and what is in it, counted from the file's own text without this crate: the sum of
/// the first weight, and self and total of one function.
struct Case {
    file: &'static str,
    format: Format,
    whole: i128,
    function: &'static str,
    own: i128,
    total: i128,
}

const CASES: [Case; 9] = [
    Case {
        // Sums of `timeDeltas`, each for the sample before it, the last until `endTime`.
        file: "node.cpuprofile",
        format: Format::CpuProfile,
        whole: 111_799_000,
        function: "fib",
        own: 48_535_000,
        total: 48_535_000,
    },
    Case {
        file: "py-spy.speedscope.json",
        format: Format::Speedscope,
        whole: 560_000_000,
        function: "fib",
        own: 380_000_000,
        total: 380_000_000,
    },
    Case {
        file: "py-spy.raw.folded",
        format: Format::Folded,
        whole: 76,
        function: "fib (fib.py:2)",
        own: 65,
        total: 65,
    },
    Case {
        file: "py-spy.trace.json.gz",
        format: Format::ChromeTrace,
        whole: 882_608_000,
        function: "fib",
        own: 782_924_000,
        total: 782_924_000,
    },
    Case {
        file: "perf-script-one-letter.txt",
        format: Format::PerfScript,
        whole: 16,
        function: "leaf",
        own: 16,
        total: 16,
    },
    Case {
        file: "perf-script-odd-comm.txt",
        format: Format::PerfScript,
        whole: 6,
        function: "leaf",
        own: 6,
        total: 6,
    },
    Case {
        file: "samply.json.gz",
        format: Format::Firefox,
        whole: 16,
        function: "[a]",
        own: 16,
        total: 16,
    },
    Case {
        file: "valgrind.callgrind",
        format: Format::Callgrind,
        whole: 29_106,
        function: "twice",
        own: 99,
        total: 29_043,
    },
    Case {
        // As `go tool pprof -top -sample_index=samples` counts it.
        file: "pprof-rs.pb",
        format: Format::Pprof,
        whole: 155,
        function: "sampled::digits",
        own: 0,
        total: 141,
    },
];

fn read(file: &str) -> Imported {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/viewers/inputs/real");
    imported(&std::fs::read(folder.join(file)).unwrap())
}

#[test]
fn are_recognised_and_counted_right() {
    for case in CASES {
        let Imported {
            profile, format, ..
        } = read(case.file);
        assert_eq!(format, case.format, "{}", case.file);
        let whole = i128::from(profile.total_weight(0));
        assert_eq!(whole, case.whole, "{}", case.file);
        let totals = our_totals(&profile, &Options::default());
        let found = totals.get(case.function);
        assert_eq!(found, Some(&(case.own, case.total)), "{}", case.file);
    }
}

#[test]
fn command_names_of_one_letter_or_with_brackets_are_whole() {
    for (file, name) in [
        ("perf-script-one-letter.txt", "a"),
        ("perf-script-odd-comm.txt", "b [c] 1"),
    ] {
        let profile = read(file).profile;
        let threads = profile.threads.rows().iter();
        let names: Vec<&str> = threads.map(|row| &profile.strings[row.name]).collect();
        assert_eq!(names, [name], "{file}");
    }
}

/// In the format that it came in, when that is written; else as pprof, which every profile fits.
fn again(profile: &Profile, format: Format) -> Vec<u8> {
    let mut bytes = Vec::new();
    match format {
        Format::Speedscope => bytes = bytes_of("speedscope", profile, 0),
        Format::ChromeTrace => bytes = bytes_of("chrome", profile, 0),
        Format::Firefox => bytes = bytes_of("firefox gzip", profile, 0),
        Format::Folded => folded::write(profile, &Options::default(), &mut bytes).unwrap(),
        Format::Callgrind => drop(callgrind::write(profile, &mut bytes).unwrap()),
        _ => drop(pprof::write(profile, &mut bytes).unwrap()),
    }
    bytes
}

#[test]
fn are_the_same_when_they_are_written_and_read_again() {
    for case in CASES {
        let Imported {
            profile, format, ..
        } = read(case.file);
        let first = again(&profile, format);
        let back = imported(&first).profile;
        let ours = our_totals(&profile, &Options::default());
        let ours = ours.into_iter().filter(|(_, sums)| *sums != (0, 0));
        let theirs = our_totals(&back, &Options::default());
        // A Chrome trace has roots of its own; a callgrind file calls the roots of each thread.
        let theirs = theirs.into_iter().filter(|(_, sums)| *sums != (0, 0));
        assert_eq!(
            theirs.collect::<Vec<_>>(),
            ours.collect::<Vec<_>>(),
            "{}",
            case.file
        );
        // Idle stretches at the ends of a trace, which have no weight, go one by one.
        if format == Format::ChromeTrace {
            continue;
        }
        // Samples that the format takes for one are one after the first time.
        let second = again(&back, format);
        let third = again(&imported(&second).profile, format);
        assert!(third == second, "{} changes each time", case.file);
    }
}
