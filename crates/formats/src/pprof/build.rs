//! A profile as pprof's message.

use std::collections::BTreeMap;

use hotproof_profile::{Foreign, Id, LabelSetId, LocationId, Profile, StackEnd, StackId, ThreadId};
use rustc_hash::FxHashMap;

use super::units::meaning;
use super::world::{Mappings, is_named, main_image};
use super::{comments, labels, schema};

/// The string table: the empty text is number 0, as pprof demands.
pub(super) struct Texts {
    list: Vec<String>,
    ids: FxHashMap<String, i64>,
}

impl Texts {
    pub(super) fn new() -> Self {
        let mut texts = Texts {
            list: Vec::new(),
            ids: FxHashMap::default(),
        };
        texts.id("");
        texts
    }

    pub(super) fn id(&mut self, text: &str) -> i64 {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        // A table in memory is far shorter than 2^63 rows.
        let id = self.list.len() as i64;
        self.list.push(text.to_owned());
        self.ids.insert(text.to_owned(), id);
        id
    }

    /// The text of an id that [`Texts::id`] gave.
    pub(super) fn text(&self, id: i64) -> &str {
        // It is the index of a row.
        &self.list[id as usize]
    }

    pub(super) fn into_list(self) -> Vec<String> {
        self.list
    }
}

pub(super) fn build(profile: &Profile) -> schema::Profile {
    let mut texts = Texts::new();
    let mut message = build_with(profile, &mut texts);
    message.string_table = texts.into_list();
    message
}

/// The message without its table of texts, which several messages may share.
pub(super) fn build_with(profile: &Profile, texts: &mut Texts) -> schema::Profile {
    let units = Units::of(profile);
    let sample_type = sample_types(profile, &units, texts);
    let mappings = Mappings::of(profile, texts);
    let mut location = locations(profile, &mappings);
    let sample = samples(profile, &units, &mut location, texts);
    let (period_type, period) = period(profile, texts);
    let comments = comments::of(profile);
    let unsaid = Foreign::default();
    let foreign = profile.foreign.as_ref().unwrap_or(&unsaid);
    // pprof takes the first mapping for the main program; a profile that came in has its order.
    let main = match profile.foreign {
        None => main_image(profile),
        Some(_) => None,
    };
    schema::Profile {
        sample_type,
        sample,
        location,
        mapping: mappings.into_rows(main),
        function: functions(profile, texts),
        drop_frames: texts.id(&foreign.drop_frames),
        keep_frames: texts.id(&foreign.keep_frames),
        time_nanos: signed(profile.meta.started_unix_ns.unwrap_or(0)),
        duration_nanos: signed(profile.meta.duration_ns),
        period_type,
        period,
        comment: comments.iter().map(|text| texts.id(text)).collect(),
        default_sample_type: texts.id(&foreign.default_weight),
        doc_url: texts.id(&foreign.doc_url),
        string_table: Vec::new(),
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// How each weight's unit is spelled, and how many of our units one of it is.
struct Units(Vec<(String, i64)>);

impl Units {
    /// Foreign spellings, where they fit what the weights are now.
    fn of(profile: &Profile) -> Self {
        let foreign = profile.foreign.as_ref();
        let spellings = foreign.map_or(&[][..], |foreign| &foreign.weight_units);
        let kept = spellings.len() == profile.weights.len();
        let weights = profile.weights.iter().enumerate();
        let units = weights.map(|(column, weight)| {
            let own = (weight.unit.name().to_owned(), 1);
            let Some(foreign) = spellings.get(column).filter(|_| kept) else {
                return own;
            };
            let (unit, scale) = meaning(foreign);
            let weights = &profile.samples.weights[column];
            if unit == weight.unit && weights.iter().all(|weight| weight % scale == 0) {
                (foreign.clone(), scale)
            } else {
                own
            }
        });
        Units(units.collect())
    }

    fn scale(&self, column: usize) -> i64 {
        self.0.get(column).map_or(1, |&(_, scale)| scale)
    }
}

fn sample_types(profile: &Profile, units: &Units, texts: &mut Texts) -> Vec<schema::ValueType> {
    let mut types = Vec::new();
    for (weight, (unit, _)) in profile.weights.iter().zip(&units.0) {
        types.push(schema::ValueType {
            r#type: texts.id(&weight.name),
            unit: texts.id(unit),
        });
    }
    if types.is_empty() {
        // A profile.proto needs a value; without weights a sample stands for itself.
        types.push(schema::ValueType {
            r#type: texts.id("samples"),
            unit: texts.id("count"),
        });
    }
    types
}

fn locations(profile: &Profile, mappings: &Mappings) -> Vec<schema::Location> {
    let rows = profile.locations.iter();
    rows.map(|(id, row)| schema::Location {
        id: location_number(id),
        mapping_id: row.image.map_or(0, |image| mappings.id(image)),
        address: mappings.address(row),
        line: if is_named(row) {
            lines(profile, id)
        } else {
            Vec::new()
        },
        is_folded: false,
    })
    .collect()
}

fn location_number(id: LocationId) -> u64 {
    id.index() as u64 + 1
}

fn lines(profile: &Profile, location: LocationId) -> Vec<schema::Line> {
    let frames = profile.locations[location].frame_ids();
    let rows = frames.map(|id| &profile.frames[id]);
    rows.map(|frame| schema::Line {
        function_id: frame.function.index() as u64 + 1,
        line: frame.line.map_or(0, i64::from),
        column: frame.column.map_or(0, i64::from),
    })
    .collect()
}

fn functions(profile: &Profile, texts: &mut Texts) -> Vec<schema::Function> {
    let rows = profile.functions.iter();
    rows.map(|(id, row)| schema::Function {
        id: id.index() as u64 + 1,
        name: texts.id(&profile.strings[row.name]),
        system_name: texts.id(&profile.strings[row.linkage_name]),
        filename: row.file.map_or(0, |file| texts.id(&profile.strings[file])),
        start_line: row.line.map_or(0, i64::from),
    })
    .collect()
}

/// What samples have to have in common to become one; also their order.
type Key = (ThreadId, Option<StackId>, StackEnd, Option<LabelSetId>);

fn samples(
    profile: &Profile,
    units: &Units,
    locations: &mut Vec<schema::Location>,
    texts: &mut Texts,
) -> Vec<schema::Sample> {
    let sums = sum(profile);
    let nowhere = locations.len() as u64 + 1;
    // A profile that came in says that a stack is empty by an empty list.
    let spelled = profile.foreign.is_none();
    if spelled && sums.keys().any(|&(_, stack, ..)| stack.is_none()) {
        locations.push(schema::Location {
            id: nowhere,
            ..schema::Location::default()
        });
    }
    sums.into_iter()
        .map(|((thread, stack, end, set), mut value)| {
            let mut location_id: Vec<u64> = profile.path(stack).map(location_number).collect();
            if spelled && location_id.is_empty() {
                location_id.push(nowhere);
            }
            for (column, value) in value.iter_mut().enumerate() {
                *value /= units.scale(column);
            }
            schema::Sample {
                location_id,
                value,
                label: labels::of_sample(profile, thread, end, set, texts),
            }
        })
        .collect()
}

fn sum(profile: &Profile) -> BTreeMap<Key, Vec<i64>> {
    let samples = &profile.samples;
    let width = profile.weights.len().max(1);
    let mut sums: BTreeMap<Key, Vec<i64>> = BTreeMap::new();
    for row in 0..samples.len() {
        let who = (samples.thread[row], samples.stack[row]);
        let key = (who.0, who.1, samples.end[row], samples.labels[row]);
        let values = sums.entry(key).or_insert_with(|| vec![0; width]);
        for (column, value) in values.iter_mut().enumerate() {
            let weight = samples
                .weights
                .get(column)
                .map_or(1, |weights| weights[row]);
            // `Profile::validate` has made sure that weights can be added up.
            *value += weight;
        }
    }
    sums
}

/// What is counted between two samples, and how much of it; 0 when the kernel adapted it.
fn period(profile: &Profile, texts: &mut Texts) -> (Option<schema::ValueType>, i64) {
    let meta = &profile.meta;
    if let Some(foreign) = &profile.foreign {
        let period_type = foreign.period_unit.as_ref().map(|unit| schema::ValueType {
            r#type: texts.id(&meta.event),
            unit: texts.id(unit),
        });
        return (period_type, meta.period.map_or(0, signed));
    }
    if meta.event.is_empty() {
        return (None, meta.period.map_or(0, signed));
    }
    let is_clock = matches!(meta.event.as_str(), "cpu-clock" | "task-clock" | "ptrace");
    let unit = if is_clock { "nanoseconds" } else { "count" };
    let by_rate = meta.rate_hz.filter(|&rate| is_clock && rate > 0);
    let by_rate = by_rate.map(|rate| 1_000_000_000 / rate);
    let period_type = schema::ValueType {
        r#type: texts.id(&meta.event),
        unit: texts.id(unit),
    };
    let period = meta.period.or(by_rate).map_or(0, signed);
    (Some(period_type), period)
}
