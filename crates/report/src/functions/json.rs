//! The same for agents.

use hotproof_profile::{Code, Profile, Source};
use serde::Serialize;

use super::selection::{Selection, select};
use super::{FunctionsError, Options};
use crate::census::{Entry, share};
use crate::quality::{Quality, whole_ns};
use crate::schema::Schema;
use crate::sources::samples_by_source;

#[derive(Serialize)]
struct Document<'a> {
    schema: Schema,
    command: &'a [String],
    event: &'a str,
    rate_hz: Option<u64>,
    wall_ns: u64,
    cpu_time_ns: Option<u64>,
    samples: u64,
    focus: Option<Focus<'a>>,
    functions: Vec<Row<'a>>,
    others: OtherRows,
    quality: QualityRow,
    sources: Vec<SourceRow>,
    recorded: Recorded<'a>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Focus<'a> {
    pattern: &'a str,
    samples: u64,
    share_pct: f64,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
    image: Option<&'a str>,
    library: bool,
    samples: u64,
    total: Figure,
    #[serde(rename = "self")]
    self_figure: Figure,
    self_with_library: Figure,
}

#[derive(Serialize)]
struct Figure {
    pct: f64,
    time_ns: Option<u64>,
}

#[derive(Serialize)]
struct OtherRows {
    count: u64,
    start_up: u64,
    #[serde(rename = "self")]
    self_figure: Figure,
    self_with_library: Figure,
}

#[derive(Serialize)]
struct QualityRow {
    lost_samples: u64,
    lost_records: u64,
    complete_pct: Option<f64>,
    symbolized_pct: Option<f64>,
    coverage_pct: Option<f64>,
}

#[derive(Serialize)]
struct SourceRow {
    source: Option<&'static str>,
    samples: u64,
    share_pct: f64,
}

#[derive(Serialize)]
struct Recorded<'a> {
    rung: &'a str,
    unwinder: &'a str,
}

/// The table as JSON: schema `hotproof.report`, version 1; rows in the order of the table, times
/// in nanoseconds, percentages as numbers. Ends with a newline.
///
/// # Errors
/// When the samples carry no weight.
pub fn json(profile: &Profile, options: &Options) -> Result<String, FunctionsError> {
    let selection = if profile.samples.is_empty() {
        Selection {
            rows: Vec::new(),
            others: Default::default(),
            samples: 0,
            seen: false,
            weight: 0,
            whole: 0,
        }
    } else {
        select(profile, options)?
    };
    Ok(crate::schema::pretty(&document(
        profile, options, &selection,
    )))
}

fn document<'a>(
    profile: &'a Profile,
    options: &'a Options,
    selection: &'a Selection,
) -> Document<'a> {
    let meta = &profile.meta;
    let whole_ns = whole_ns(profile);
    let figure = |weight| Figure::of(share(weight, selection.whole), whole_ns);
    let quality = Quality::of(profile);
    let sources = samples_by_source(profile);
    let by_source: u64 = sources.iter().map(|(_, samples)| samples).sum();
    Document {
        schema: Schema::new("hotproof.report"),
        command: &meta.command,
        event: &meta.event,
        rate_hz: meta.rate_hz,
        wall_ns: meta.duration_ns,
        cpu_time_ns: meta.cpu_time_ns,
        samples: profile.sample_count(),
        focus: options.focus.as_ref().map(|pattern| Focus {
            pattern: pattern.as_str(),
            samples: selection.samples,
            share_pct: share(selection.weight, selection.whole) * 100.0,
        }),
        functions: selection
            .rows
            .iter()
            .map(|entry| row(profile, entry, &figure))
            .collect(),
        others: OtherRows {
            count: selection.others.functions,
            start_up: selection.others.start_up,
            self_figure: figure(selection.others.self_weight),
            self_with_library: figure(selection.others.own),
        },
        warnings: quality
            .warnings()
            .into_iter()
            .chain(meta.notes.clone())
            .collect(),
        quality: QualityRow {
            lost_samples: quality.lost_samples,
            lost_records: quality.lost_records,
            complete_pct: quality.complete.map(|share| share * 100.0),
            symbolized_pct: quality.symbolized.map(|share| share * 100.0),
            coverage_pct: quality.coverage.map(|share| share * 100.0),
        },
        sources: sources
            .into_iter()
            .map(|(source, samples)| SourceRow {
                source: source.map(Source::word),
                samples,
                share_pct: samples as f64 * 100.0 / by_source.max(1) as f64,
            })
            .collect(),
        recorded: Recorded {
            rung: &meta.rung,
            unwinder: &meta.unwinder,
        },
    }
}

impl Figure {
    fn of(share: f64, whole_ns: Option<f64>) -> Self {
        Figure {
            pct: share * 100.0,
            time_ns: whole_ns.map(|ns| (share * ns).round() as u64),
        }
    }
}

fn row<'a>(profile: &'a Profile, entry: &'a Entry, figure: &dyn Fn(i64) -> Figure) -> Row<'a> {
    let text = |id| &profile.strings[id];
    let function = match entry.code {
        Code::Function(id) => Some(&profile.functions[id]),
        Code::Unnamed(_) | Code::Unmapped => None,
    };
    let image = match entry.code {
        Code::Unnamed(id) => Some(id),
        _ => function.and_then(|row| row.image),
    };
    Row {
        name: &entry.name,
        file: function.and_then(|row| row.file).map(text),
        line: function.and_then(|row| row.line),
        image: image.map(|id| text(profile.images[id].path)),
        library: entry.library,
        samples: entry.samples,
        total: figure(entry.total),
        self_figure: figure(entry.self_weight),
        self_with_library: figure(entry.own),
    }
}
