//! Benchmark harnesses that run for a fixed time whatever the speed of the code: their process
//! time says nothing, what they report does.
//!
//! Each is told to be quick, unless the user says otherwise, because one run of it is one value of
//! many: the pairs and their order hold the noise, not the length of a run.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hotproof_diff::ReportedTime;
use serde::Deserialize;

/// Who times itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harness {
    /// criterion.rs: `estimates.json` of each benchmark.
    Criterion,
    /// divan: its table.
    Divan,
    /// `#[bench]` of the standard library: `ns/iter`.
    Libtest,
    /// Google Benchmark: its JSON.
    Google,
    /// Any program that prints a JSON object of names and seconds.
    Script,
}

impl Harness {
    /// For people and for the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Harness::Criterion => "criterion",
            Harness::Divan => "divan",
            Harness::Libtest => "libtest",
            Harness::Google => "Google Benchmark",
            Harness::Script => "script",
        }
    }

    /// Whether a function of this name is what the harness does beside the benchmarks, for as long
    /// as a benchmark: divan learns at its start what its own clock and loop take.
    pub(crate) fn is_upkeep(self, name: &str) -> bool {
        match self {
            Harness::Divan => name.contains("divan::time::"),
            Harness::Criterion | Harness::Libtest | Harness::Google | Harness::Script => false,
        }
    }

    /// What it needs to be told, beside what the user told it, each with its values.
    fn settings(self) -> &'static [&'static [&'static str]] {
        match self {
            Harness::Criterion => &[
                &["--bench"],
                &["--noplot"],
                &["--warm-up-time", "0.1"],
                &["--measurement-time", "0.4"],
                &["--sample-size", "20"],
                &["--nresamples", "1001"],
            ],
            Harness::Divan => &[
                &["--bench"],
                &["--min-time", "0.2"],
                &["--max-time", "1"],
                &["--color", "never"],
            ],
            Harness::Libtest => &[&["--bench"], &["--color", "never"]],
            Harness::Google => &[&["--benchmark_format=json"], &["--benchmark_color=false"]],
            Harness::Script => &[],
        }
    }

    /// The arguments, with what the user left open.
    pub(crate) fn complete(self, arguments: &mut Vec<OsString>) {
        for words in self.settings() {
            let flag = words[0].split('=').next().unwrap_or_default();
            let given = arguments.iter().any(|argument| {
                let text = argument.to_string_lossy();
                text == flag || text.split('=').next() == Some(flag)
            });
            if !given {
                arguments.extend(words.iter().map(OsString::from));
            }
        }
    }

    /// What it reports of a run, from its standard output or from its folder.
    ///
    /// # Errors
    /// What was expected, when it reports nothing of the kind.
    pub(crate) fn read(self, stdout: &str, home: &Path) -> Result<Vec<ReportedTime>, String> {
        let mut times = match self {
            Harness::Criterion => criterion(home).map_err(|error| {
                format!("cannot read its estimates in {}: {error}", home.display())
            })?,
            Harness::Divan => divan(stdout),
            Harness::Libtest => libtest(stdout),
            Harness::Google => google(stdout)?,
            Harness::Script => script(stdout)?,
        };
        times.retain(|time| time.time_ns.is_finite() && time.time_ns > 0.0);
        let mut seen = std::collections::BTreeSet::new();
        times.retain(|time| seen.insert(time.name.clone()));
        if times.is_empty() {
            return Err(format!(
                "it reports no benchmark; expected {}",
                self.expected()
            ));
        }
        Ok(times)
    }

    fn expected(self) -> &'static str {
        match self {
            Harness::Criterion => "new/estimates.json for each benchmark; does the filter fit one?",
            Harness::Divan => "rows of its table with a median; does the filter fit one?",
            Harness::Libtest => {
                "lines of `test NAME ... bench: N ns/iter`; does the filter fit one?"
            }
            Harness::Google => "its JSON with benchmarks; does the filter fit one?",
            Harness::Script => "a JSON object of names and seconds above 0",
        }
    }
}

/// Where criterion keeps what it measured, between the scratch folder's other files.
pub(crate) fn home(folder: &Path) -> PathBuf {
    folder.join("criterion")
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// The median of the samples: under foreign load it stands where the mean and the slope do not.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Identity {
    full_id: String,
}

/// `HOME/**/new/{benchmark,estimates}.json`, by path.
fn criterion(home: &Path) -> io::Result<Vec<ReportedTime>> {
    let mut times = Vec::new();
    // A filter that fits nothing leaves no folder at all.
    let mut folders = Vec::from_iter(home.is_dir().then(|| home.to_owned()));
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
        let mut below: Vec<PathBuf> = entries
            .into_iter()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect();
        below.sort();
        below.reverse();
        if folder.file_name() == Some(OsStr::new("new")) {
            times.extend(criterion_benchmark(&folder)?);
        }
        folders.extend(below);
    }
    Ok(times)
}

/// The benchmark of a folder `new`; `None` where it is a group of that name.
fn criterion_benchmark(folder: &Path) -> io::Result<Option<ReportedTime>> {
    let (estimates, identity) = (folder.join("estimates.json"), folder.join("benchmark.json"));
    if !estimates.is_file() || !identity.is_file() {
        return Ok(None);
    }
    let estimates: Estimates = serde_json::from_slice(&fs::read(estimates)?)?;
    let identity: Identity = serde_json::from_slice(&fs::read(identity)?)?;
    Ok(Some(ReportedTime {
        name: identity.full_id,
        time_ns: estimates.median.point_estimate,
    }))
}

/// `test m::other ... bench:       1,628.04 ns/iter (+/- 631.62)`; older ones without decimals.
fn libtest(stdout: &str) -> Vec<ReportedTime> {
    let line = |line: &str| {
        let (name, rest) = line.strip_prefix("test ")?.split_once(" ... bench:")?;
        let figure = rest.split(" ns/iter").next()?.trim();
        Some(ReportedTime {
            name: name.trim().to_owned(),
            time_ns: figure.replace(',', "").parse().ok()?,
        })
    };
    stdout.lines().filter_map(line).collect()
}

/// The rows of divan's tree that have times; a row's name is the path to it.
///
/// ```text
/// div         fastest       │ slowest       │ median        │ mean          │ samples │ iters
/// ├─ other                  │               │               │               │         │
/// │  ├─ 10    4.089 ns      │ 4.11 ns       │ 4.091 ns      │ 4.099 ns      │ 100     │ 51200
/// ```
fn divan(stdout: &str) -> Vec<ReportedTime> {
    let mut path: Vec<String> = Vec::new();
    let mut times = Vec::new();
    for line in stdout.lines() {
        let Some(at) = line.find(['├', '╰']) else {
            continue;
        };
        // Three columns a level: `│  ` or blanks.
        let depth = line[..at].chars().count() / 3;
        let row = line[at..].trim_start_matches(['├', '╰', '─', ' ']);
        let mut cells = row.split('│').map(str::trim);
        let first = cells.next().unwrap_or_default();
        let (name, fastest) = split_fastest(first);
        path.truncate(depth);
        path.push(name.to_owned());
        let median = cells.nth(1).and_then(duration_ns);
        if let (true, Some(time_ns)) = (fastest, median) {
            times.push(ReportedTime {
                name: path.join("/"),
                time_ns,
            });
        }
    }
    times
}

/// The name in front of the fastest time, and whether there is such a time.
fn split_fastest(cell: &str) -> (&str, bool) {
    let words: Vec<&str> = cell.rsplitn(3, char::is_whitespace).collect();
    if let [unit, figure, rest] = words[..]
        && duration_ns(&format!("{figure} {unit}")).is_some()
    {
        return (rest.trim_end(), true);
    }
    (cell, false)
}

/// `4.091 ns`, `162.4 µs`, `1.2 ms`, `3 s`.
fn duration_ns(text: &str) -> Option<f64> {
    let (figure, unit) = text.split_once(' ')?;
    let scale = match unit.trim() {
        "ps" => 1e-3,
        "ns" => 1.0,
        "µs" | "μs" | "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    Some(figure.replace(',', "").parse::<f64>().ok()? * scale)
}

#[derive(Deserialize)]
struct GoogleReport {
    benchmarks: Vec<GoogleRow>,
}

#[derive(Deserialize)]
struct GoogleRow {
    name: String,
    #[serde(default)]
    run_type: Option<String>,
    #[serde(default)]
    cpu_time: Option<f64>,
    #[serde(default)]
    real_time: Option<f64>,
    #[serde(default)]
    time_unit: Option<String>,
}

fn google(stdout: &str) -> Result<Vec<ReportedTime>, String> {
    let from = stdout.find('{').unwrap_or_default();
    let report: GoogleReport = serde_json::from_str(stdout[from..].trim_end())
        .map_err(|error| format!("its report is no JSON of Google Benchmark: {error}"))?;
    let row = |row: GoogleRow| {
        // Aggregates repeat what the single rows say.
        if row.run_type.is_some_and(|kind| kind == "aggregate") {
            return None;
        }
        let unit = row.time_unit.unwrap_or_else(|| "ns".to_owned());
        let time = if is_by_real_time(&row.name) {
            row.real_time?
        } else {
            row.cpu_time?
        };
        Some(ReportedTime {
            time_ns: duration_ns(&format!("{time} {unit}"))?,
            name: row.name,
        })
    };
    Ok(report.benchmarks.into_iter().filter_map(row).collect())
}

/// Whether a benchmark of Google Benchmark asked for the time on the clock (`UseRealTime`), or
/// measures it by itself (`UseManualTime`). The library appends that to its name, before the number
/// of threads; CPU time then is that of the calling thread alone, or none of the work's.
fn is_by_real_time(name: &str) -> bool {
    name.split('/')
        .skip(1)
        .any(|part| matches!(part, "real_time" | "manual_time"))
}

/// The last line of the output that is an object of names and seconds, or the whole of it.
fn script(stdout: &str) -> Result<Vec<ReportedTime>, String> {
    type Seconds = serde_json::Map<String, serde_json::Value>;
    let whole = serde_json::from_str::<Seconds>(stdout.trim());
    let found = whole.or_else(|error| {
        let mut lines = stdout.lines().rev();
        let object = lines.find_map(|line| serde_json::from_str::<Seconds>(line.trim()).ok());
        object.ok_or(error)
    });
    let object = found.map_err(|error| {
        format!("it prints no JSON object of names and seconds, for example {{\"parse\": 0.12}}: {error}")
    })?;
    let time = |(name, value): (String, serde_json::Value)| match value.as_f64() {
        Some(seconds) => Ok(ReportedTime {
            name,
            time_ns: seconds * 1e9,
        }),
        None => Err(format!("`{name}` is {value}, expected a number of seconds")),
    };
    object.into_iter().map(time).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(times: &[ReportedTime]) -> Vec<(&str, f64)> {
        times
            .iter()
            .map(|time| (time.name.as_str(), time.time_ns))
            .collect()
    }

    /// Names as debug information of divan 0.1.21 has them, and a user's own that only look alike.
    #[test]
    fn divans_calibration_is_told_from_benchmarks() {
        let measuring = "divan::time::timer::Timer::measure_sample_loop_overhead";
        for (harness, name, is_upkeep) in [
            (Harness::Divan, measuring, true),
            (Harness::Divan, "divan::time::fence::full_fence", true),
            (
                Harness::Divan,
                "divan::benchmark::BenchContext::bench_loop_threaded",
                false,
            ),
            (Harness::Divan, "sums::time::total", false),
            (Harness::Criterion, measuring, false),
        ] {
            assert_eq!(harness.is_upkeep(name), is_upkeep, "{name}");
        }
    }

    #[test]
    fn libtest_reports_nanoseconds_with_commas() {
        let text = "\nrunning 3 tests\ntest t ... ignored\n\
            test m::other ... bench:       1,628.04 ns/iter (+/- 631.62)\n\
            test sum      ... bench:         186 ns/iter (+/- 19)\n\
            test result: ok. 0 passed; 0 failed; 1 ignored; 2 measured\n";
        assert_eq!(
            pairs(&libtest(text)),
            [("m::other", 1628.04), ("sum", 186.0)]
        );
    }

    #[test]
    fn divan_reports_a_tree_of_medians() {
        let text = "\
Timer precision: 20 ns
div         fastest       │ slowest       │ median        │ mean          │ samples │ iters
├─ other                  │               │               │               │         │
│  ├─ 10    4.089 ns      │ 4.11 ns       │ 4.091 ns      │ 4.099 ns      │ 100     │ 51200
│  ╰─ a b   8.724 ns      │ 8.767 ns      │ 8.763 ns      │ 8.75 ns       │ 100     │ 25600
├─ sum      188.1 ns      │ 189.4 ns      │ 188.7 ns      │ 188.7 ns      │ 100     │ 1600
╰─ inner                  │               │               │               │         │
   ╰─ deep  162.4 µs      │ 165.5 µs      │ 162.4 µs      │ 162.7 µs      │ 10      │ 10
";
        assert_eq!(
            pairs(&divan(text)),
            [
                ("other/10", 4.091),
                ("other/a b", 8.763),
                ("sum", 188.7),
                ("inner/deep", 162_400.0)
            ]
        );
    }

    #[test]
    fn criterion_keeps_a_folder_for_each_benchmark() {
        let folder = tempfile::tempdir().unwrap();
        for (place, id, median) in [
            ("sum", "sum", 188.5),
            ("grp_x/other one", "grp/x/other one", 1632.7),
        ] {
            let new = folder.path().join(place).join("new");
            fs::create_dir_all(&new).unwrap();
            let estimates = format!(
                "{{\"mean\":{{\"point_estimate\":1}},\"median\":{{\"point_estimate\":{median}}}}}"
            );
            fs::write(new.join("estimates.json"), estimates).unwrap();
            let identity = format!("{{\"group_id\":\"x\",\"full_id\":\"{id}\"}}");
            fs::write(new.join("benchmark.json"), identity).unwrap();
        }
        let times = Harness::Criterion.read("", folder.path()).unwrap();
        assert_eq!(pairs(&times), [("grp/x/other one", 1632.7), ("sum", 188.5)]);
        let empty = tempfile::tempdir().unwrap();
        let error = Harness::Criterion.read("", empty.path()).unwrap_err();
        assert!(error.contains("estimates.json"), "{error}");
    }

    #[test]
    fn google_and_scripts_report_json() {
        let text = r#"{"context": {}, "benchmarks": [
            {"name": "a/8", "run_type": "iteration", "cpu_time": 2.5, "time_unit": "us"},
            {"name": "a/8_mean", "run_type": "aggregate", "cpu_time": 2.5, "time_unit": "us"}]}"#;
        let read = |harness: Harness, text| harness.read(text, Path::new("/nowhere"));
        assert_eq!(
            pairs(&read(Harness::Google, text).unwrap()),
            [("a/8", 2500.0)]
        );
        // Waits and the work of other threads are no CPU time of the one that reports.
        let row = |name: &str| {
            format!(
                "{{\"name\": \"{name}\", \"cpu_time\": 2.5, \"real_time\": 7, \"time_unit\": \"us\"}}"
            )
        };
        for (name, time_ns) in [
            ("wait/8/real_time", 7000.0),
            ("gpu/manual_time", 7000.0),
            ("pool/real_time/threads:4", 7000.0),
            ("pool/process_time", 2500.0),
            ("real_time", 2500.0),
        ] {
            let text = format!("{{\"benchmarks\": [{}]}}", row(name));
            assert_eq!(pairs(&google(&text).unwrap()), [(name, time_ns)]);
        }
        let text = "warming up\n{\"parse\": 0.5, \"write\": 1}\ndone\n";
        let times = read(Harness::Script, text).unwrap();
        assert_eq!(pairs(&times), [("parse", 5e8), ("write", 1e9)]);
        for (text, says) in [
            ("no", "prints no JSON object"),
            ("{\"a\": \"fast\"}", "`a` is \"fast\""),
            ("{\"a\": 0}", "seconds above 0"),
            ("", "prints no JSON object"),
        ] {
            let error = read(Harness::Script, text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn what_the_user_says_is_not_said_again() {
        let mut words = ["--warm-up-time=2", "--sample-size", "50", "sum"]
            .map(OsString::from)
            .to_vec();
        Harness::Criterion.complete(&mut words);
        let text: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        assert_eq!(
            text.join(" "),
            "--warm-up-time=2 --sample-size 50 sum --bench --noplot --measurement-time 0.4 --nresamples 1001"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_report_makes_the_readers_panic(text in ".{0,400}", cut in 0usize..400) {
            let whole = "├─ a 1 ns │ 1 ns │ 2 ns │ 1 ns\n│  ╰─ é 1 µs │ 1 µs │ 3 µs │";
            let cut: String = whole.chars().take(cut).collect();
            for text in [text, cut] {
                for harness in [Harness::Divan, Harness::Libtest, Harness::Google, Harness::Script] {
                    let _ = harness.read(&text, Path::new("/nowhere"));
                }
            }
        }
    }
}
