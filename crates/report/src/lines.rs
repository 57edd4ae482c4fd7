//! `hotproof report --lines FUNC`: the source lines of one function by weight, with their text
//! where the caller can read it.

use std::collections::{BTreeMap, BTreeSet};

use hotproof_profile::{Code, Profile, at_least_none};

use crate::census::{Measure, share};
use crate::functions::FunctionsError;
use crate::grid::{Cell, Column, Grid};
use crate::numbers::{count, percent};
use crate::places::Places;
use crate::prose::paragraph;
use crate::style::{FAINT, PLAIN, STRONG};
use crate::tree::{Options, TreeError, target};

/// The files that lines are in, by their paths; `None` where a file cannot be read.
type Texts<'a> = BTreeMap<&'a String, Option<SourceText>>;
/// A line of a file; `None` where debug information names none.
type Line = (Option<String>, Option<u32>);

/// A file of source as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// Its lines.
    pub text: String,
    /// When it was last written, in nanoseconds since 1970, where that is known.
    pub written_unix_ns: Option<u64>,
}

#[derive(Default)]
struct Sums {
    total: i64,
    own: i64,
    samples: i64,
}

/// The lines of the function that a pattern means, in the order of the source. `sources` gives a
/// file by its path as debug information has it, and is asked once for each file. A file that is no
/// longer what was recorded, as far as can be told, is named.
///
/// # Errors
/// When there is no sample or no weight, and when the pattern means no function or several.
pub fn lines(
    profile: &Profile,
    pattern: &str,
    options: &Options,
    sources: &dyn Fn(&str) -> Option<SourceText>,
) -> Result<String, TreeError> {
    if profile.samples.is_empty() {
        return Err(TreeError::Empty);
    }
    let measure = Measure::of(profile).ok_or(FunctionsError::NoWeight {
        samples: profile.samples.len(),
    })?;
    let target = target(profile, pattern)?;
    let (sums, all) = sums(profile, measure, &|code| target.is(profile, code));
    let whole = options.whole.unwrap_or(all);
    let files: BTreeSet<&String> = sums.keys().filter_map(|(file, _)| file.as_ref()).collect();
    let texts: Texts<'_> = files
        .into_iter()
        .map(|file| (file, sources(file)))
        .collect();
    let mut out = crate::functions::header(profile, options.width);
    let name = format!("{} {}", target.name, target.place);
    out.push_str(&paragraph("lines", 7, name.trim_end(), options.width));
    out.push('\n');
    out.push_str(&table(profile, &sums, &texts, whole, options));
    out.push('\n');
    let legend = "total: samples with the line on the stack, each once; self: samples taken in it";
    out.push_str(&paragraph("", 2, legend, options.width));
    for note in notes(profile, &sums, &texts) {
        out.push_str(&paragraph("  note", 12, &note, options.width));
    }
    Ok(out)
}

/// What is wrong with the files, a sentence for each kind of fault.
fn notes(profile: &Profile, sums: &BTreeMap<Line, Sums>, texts: &Texts<'_>) -> Vec<String> {
    let files = |holds: &dyn Fn(&str, Option<&SourceText>) -> bool| -> Vec<&str> {
        let named = texts.iter().map(|(file, text)| (file.as_str(), text));
        let found = named.filter(|(file, text)| holds(file, text.as_ref()));
        found.map(|(file, _)| file).collect()
    };
    let last_line = |file: &str| {
        let lines = sums.keys().filter(|(of, _)| of.as_deref() == Some(file));
        lines.filter_map(|(_, line)| *line).max().unwrap_or(0)
    };
    let is_short = |file: &str, text: &SourceText| {
        text.text.lines().count() < usize::try_from(last_line(file)).unwrap_or(usize::MAX)
    };
    let meta = &profile.meta;
    let ended = meta
        .started_unix_ns
        .map(|ns| ns.saturating_add(meta.duration_ns));
    let is_new = |text: &SourceText| {
        text.written_unix_ns
            .zip(ended)
            .is_some_and(|(written, ended)| written > ended)
    };
    let faults = [
        (
            "the source could not be read",
            files(&|_, text| text.is_none()),
        ),
        (
            "the source has fewer lines now than when it was recorded, so those that are shown may be others",
            files(&|file, text| text.is_some_and(|text| is_short(file, text))),
        ),
        (
            "the source was written after the recording, so the lines that are shown may be others",
            files(&|file, text| text.is_some_and(|text| !is_short(file, text) && is_new(text))),
        ),
    ];
    let told = faults.into_iter().filter(|(_, files)| !files.is_empty());
    told.map(|(fault, files)| format!("{fault}: {}", files.join(", ")))
        .collect()
}

fn table(
    profile: &Profile,
    sums: &BTreeMap<Line, Sums>,
    texts: &Texts<'_>,
    whole: i64,
    options: &Options,
) -> String {
    let mut grid = Grid::new(
        vec![
            Column::figures("total"),
            Column::figures("self"),
            Column::figures("samples").optional(2),
            Column::names("line", 12).optional(1),
            Column::names("source", 20),
        ],
        2,
    );
    let places = Places::of([profile]);
    for ((file, line), sums) in sums {
        let text = file.as_ref().and_then(|file| texts[file].as_ref());
        let source = line
            .and_then(|line| text?.text.lines().nth((line as usize).checked_sub(1)?))
            .unwrap_or_default();
        let place = match (file, line) {
            (Some(file), Some(line)) => format!("{}:{line}", places.shorten(file)),
            (Some(file), None) => format!("{}:?", places.shorten(file)),
            (None, Some(line)) => format!("?:{line}"),
            (None, None) => "?".to_owned(),
        };
        let heavy = share(sums.own, whole) >= 0.05;
        grid.row(vec![
            Cell::from(percent(share(sums.total, whole))),
            Cell::from(percent(share(sums.own, whole))),
            Cell::from(count(at_least_none(sums.samples))),
            Cell::styled(&place, FAINT),
            Cell::styled(
                &source.replace('\t', "    "),
                if heavy { STRONG } else { PLAIN },
            ),
        ]);
    }
    grid.render(options.width)
}

/// The weights of the target's lines, and of all samples.
fn sums(
    profile: &Profile,
    measure: Measure,
    is_target: &dyn Fn(Code) -> bool,
) -> (BTreeMap<Line, Sums>, i64) {
    let targets: Vec<bool> = profile
        .functions
        .ids()
        .map(|id| is_target(Code::Function(id)))
        .collect();
    let mut sums: BTreeMap<Line, Sums> = BTreeMap::new();
    let mut all = 0;
    let text = |id| profile.strings[id].to_owned();
    for entry in profile.stack_weights(measure.weight) {
        all += entry.weight;
        let mut seen = BTreeSet::new();
        let mut is_leaf = true;
        for location in profile.path(entry.stack) {
            let resolved = profile.locations[location].state;
            for id in profile.locations[location].frame_ids() {
                if resolved != hotproof_profile::LocationState::Resolved {
                    break;
                }
                let frame = &profile.frames[id];
                let function = &profile.functions[frame.function];
                if targets[hotproof_profile::Id::index(frame.function)] {
                    let file = frame.file.or(function.file);
                    let line = (file.map(text), frame.line);
                    let sum = sums.entry(line.clone()).or_default();
                    if is_leaf {
                        sum.own += entry.weight;
                    }
                    if seen.insert(line) {
                        sum.total += entry.weight;
                        sum.samples += entry.samples;
                    }
                }
                is_leaf = false;
            }
            is_leaf = false;
        }
    }
    (sums, all)
}
