//! Samples to columns.

use std::collections::BTreeSet;

use hotproof_profile::*;
use rustc_hash::FxHashMap;

use super::column::{Column, Kind, Null, Shape, TextId, Value};

/// Names and kinds of the columns.
pub(super) type Schema = [(String, Kind)];

/// Samples of one row group.
const GROUP_ROWS: usize = 1 << 17;
/// Frames of one row group, about.
const GROUP_FRAMES: usize = 1 << 22;

const TEXT: Kind = kind(Value::Text, Null::Never, Shape::One);
const MAYBE_TEXT: Kind = kind(Value::Text, Null::Maybe, Shape::One);
const NUMBER: Kind = kind(Value::Signed, Null::Never, Shape::One);
const MAYBE_NUMBER: Kind = kind(Value::Signed, Null::Maybe, Shape::One);
const TEXTS: Kind = kind(Value::Text, Null::Never, Shape::List);
const MAYBE_TEXTS: Kind = kind(Value::Text, Null::Maybe, Shape::List);
const MAYBE_NUMBERS: Kind = kind(Value::Signed, Null::Maybe, Shape::List);
const ADDRESSES: Kind = kind(Value::Unsigned, Null::Maybe, Shape::List);

const fn kind(value: Value, null: Null, shape: Shape) -> Kind {
    Kind { value, null, shape }
}

/// The columns before those of the weights.
const BEFORE: [(&str, Kind); 7] = [
    ("time_ns", NUMBER),
    ("process", TEXT),
    ("pid", NUMBER),
    ("thread", TEXT),
    ("tid", NUMBER),
    ("cpu", MAYBE_NUMBER),
    ("stack_end", TEXT),
];

/// The columns after them.
const AFTER: [(&str, Kind); 11] = [
    ("function", TEXT),
    ("file", MAYBE_TEXT),
    ("line", MAYBE_NUMBER),
    ("image", MAYBE_TEXT),
    ("functions", TEXTS),
    ("files", MAYBE_TEXTS),
    ("lines", MAYBE_NUMBERS),
    ("images", MAYBE_TEXTS),
    ("addresses", ADDRESSES),
    ("label_keys", TEXTS),
    ("label_values", TEXTS),
];

/// What the columns say of one frame.
#[derive(Debug, Clone, Copy)]
struct Cell {
    function: TextId,
    file: Option<TextId>,
    line: Option<u32>,
    image: Option<TextId>,
    address: Option<u64>,
}

/// Rows on their way into columns.
pub(super) struct Table<'a> {
    profile: &'a Profile,
    schema: Vec<(String, Kind)>,
    columns: Vec<Column>,
    texts: Texts,
    /// The frames at each location, innermost first.
    locations: Vec<Vec<Cell>>,
    /// Of samples without a stack.
    nowhere: Cell,
    rows: usize,
    frames: usize,
}

/// The columns of one row group.
pub(super) struct Group<'t> {
    pub(super) rows: usize,
    pub(super) columns: Vec<Column>,
    /// What the numbers of texts stand for.
    pub(super) texts: &'t [Box<str>],
}

/// Interned texts.
#[derive(Default)]
struct Texts {
    list: Vec<Box<str>>,
    known: FxHashMap<Box<str>, TextId>,
}

impl Texts {
    fn id(&mut self, text: &str) -> TextId {
        if let Some(&id) = self.known.get(text) {
            return id;
        }
        // Texts come from tables whose rows have numbers of 32 bits.
        let id = TextId(self.list.len() as u32);
        self.list.push(text.into());
        self.known.insert(text.into(), id);
        id
    }
}

impl<'a> Table<'a> {
    pub(super) fn of(profile: &'a Profile, inline: Inline) -> Self {
        let mut texts = Texts::default();
        let schema = schema_of(profile);
        let locations = profile.locations.ids();
        let locations = locations.map(|id| cells(profile, id, inline, &mut texts));
        let locations = locations.collect();
        let nowhere = Cell {
            function: texts.id(&profile.code_name(Code::Unmapped)),
            file: None,
            line: None,
            image: None,
            address: None,
        };
        Table {
            profile,
            columns: empty(&schema),
            schema,
            texts,
            locations,
            nowhere,
            rows: 0,
            frames: 0,
        }
    }

    pub(super) fn schema(&self) -> Vec<(String, Kind)> {
        self.schema.clone()
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= GROUP_ROWS || self.frames >= GROUP_FRAMES
    }

    pub(super) fn has_rows(&self) -> bool {
        self.rows > 0
    }

    /// The rows so far, which begin anew.
    pub(super) fn take(&mut self) -> Group<'_> {
        let columns = std::mem::replace(&mut self.columns, empty(&self.schema));
        self.frames = 0;
        Group {
            rows: std::mem::take(&mut self.rows),
            columns,
            texts: &self.texts.list,
        }
    }

    /// Adds a sample.
    pub(super) fn push(&mut self, row: usize) {
        self.push_facts(row);
        self.push_stack(row);
        self.push_labels(row);
        self.rows += 1;
    }

    fn push_facts(&mut self, row: usize) {
        let (profile, samples) = (self.profile, &self.profile.samples);
        let thread = &profile.threads[samples.thread[row]];
        let process = &profile.processes[thread.process];
        let [
            time,
            process_name,
            pid,
            thread_name,
            tid,
            cpu,
            end,
            weights @ ..,
        ] = &mut self.columns[..BEFORE.len() + profile.weights.len()]
        else {
            unreachable!("a table has all the columns before the weights");
        };
        // Times past the year 2262 have no place in 63 bits.
        time.number(Some(samples.time_ns[row].try_into().unwrap_or(i64::MAX)));
        process_name.text(Some(self.texts.id(&profile.strings[process.name])));
        pid.number(Some(process.pid.into()));
        thread_name.text(Some(self.texts.id(&profile.strings[thread.name])));
        tid.number(Some(thread.tid.into()));
        cpu.number(samples.cpu[row].map(i64::from));
        end.text(Some(self.texts.id(match samples.end[row] {
            StackEnd::Complete => "complete",
            StackEnd::Truncated => "truncated",
            StackEnd::Failed => "failed",
            StackEnd::Unknown => "unknown",
            StackEnd::Stitched => "stitched",
        })));
        for (column, weights) in weights.iter_mut().zip(&samples.weights) {
            column.number(Some(weights[row]));
        }
    }

    fn push_stack(&mut self, row: usize) {
        let path = self.profile.path(self.profile.samples.stack[row]);
        let cells = path.flat_map(|location| self.locations[location.index()].iter().copied());
        let mut cells: Vec<Cell> = cells.collect();
        if cells.is_empty() {
            cells.push(self.nowhere);
        }
        self.frames += cells.len();
        let first = BEFORE.len() + self.profile.weights.len();
        let [
            function,
            file,
            line,
            image,
            functions,
            files,
            lines,
            images,
            addresses,
            ..,
        ] = &mut self.columns[first..]
        else {
            unreachable!("a table has all the columns after the weights");
        };
        let leaf = cells[0];
        function.text(Some(leaf.function));
        file.text(leaf.file);
        line.number(leaf.line.map(i64::from));
        image.text(leaf.image);
        functions.texts(cells.iter().map(|cell| Some(cell.function)));
        files.texts(cells.iter().map(|cell| cell.file));
        lines.numbers(cells.iter().map(|cell| cell.line.map(i64::from)));
        images.texts(cells.iter().map(|cell| cell.image));
        // The bits of the address: the column says that it has no sign.
        addresses.numbers(cells.iter().map(|cell| cell.address.map(|at| at as i64)));
    }

    fn push_labels(&mut self, row: usize) {
        let profile = self.profile;
        let set = profile.samples.labels[row];
        let labels = set.map_or(&[][..], |set| &profile.labels[set]);
        let keys = labels.iter().map(|label| &profile.strings[label.key]);
        let keys: Vec<TextId> = keys.map(|key| self.texts.id(key)).collect();
        let values = labels.iter().map(|label| match label.value {
            LabelValue::Text(text) => profile.strings[text].to_owned(),
            LabelValue::Number { value, unit: None } => value.to_string(),
            LabelValue::Number {
                value,
                unit: Some(unit),
            } => format!("{value} {}", &profile.strings[unit]),
        });
        let values: Vec<TextId> = values.map(|value| self.texts.id(&value)).collect();
        if let [.., label_keys, label_values] = &mut self.columns[..] {
            label_keys.texts(keys.into_iter().map(Some));
            label_values.texts(values.into_iter().map(Some));
        }
    }
}

fn empty(schema: &Schema) -> Vec<Column> {
    schema.iter().map(|&(_, kind)| Column::new(kind)).collect()
}

fn schema_of(profile: &Profile) -> Vec<(String, Kind)> {
    let owned = |&(name, kind): &(&str, Kind)| (name.to_owned(), kind);
    let mut schema: Vec<(String, Kind)> = BEFORE.iter().map(owned).collect();
    // Readers take names that differ in case alone for one.
    let fixed = BEFORE.iter().chain(&AFTER);
    let mut taken: BTreeSet<String> = fixed.map(|(name, _)| (*name).to_owned()).collect();
    for weight in &profile.weights {
        let name = weight_name(weight);
        let mut numbered = name.clone();
        let mut number = 1;
        while !taken.insert(numbered.to_lowercase()) {
            number += 1;
            numbered = format!("{name}_{number}");
        }
        schema.push((numbered, NUMBER));
    }
    schema.extend(AFTER.iter().map(owned));
    schema
}

/// `cpu_ns`: a weight's name with its unit, unless it counts things or has it in its name.
fn weight_name(weight: &Weight) -> String {
    let unit = match weight.unit {
        Unit::Count => "",
        Unit::Nanoseconds => "ns",
        Unit::Bytes => "bytes",
        Unit::Cycles => "cycles",
        Unit::Instructions => "instructions",
    };
    match weight.name.as_str() {
        "" if unit.is_empty() => "weight".to_owned(),
        "" => unit.to_owned(),
        name if unit.is_empty() || name.ends_with(unit) => name.to_owned(),
        name => format!("{name}_{unit}"),
    }
}

/// What the columns say of the frames at a location, innermost first; never empty.
fn cells(profile: &Profile, id: LocationId, inline: Inline, texts: &mut Texts) -> Vec<Cell> {
    let row = &profile.locations[id];
    let image = row.image.map(|image| profile.images[image].path);
    let image = image.map(|path| texts.id(&profile.strings[path]));
    let address = (row.image.is_some() || row.address != 0).then_some(row.address);
    let code: Vec<Code> = profile.code_at(id, inline).collect();
    let count = code.len();
    let cell = |(depth, code): (usize, Code)| {
        // Physical frames are the last of a location's.
        let frame = row.frame_ids().nth_back(count - 1 - depth);
        let frame = frame.filter(|_| matches!(code, Code::Function(_)));
        let frame = frame.map(|frame| &profile.frames[frame]);
        let declared = match code {
            Code::Function(function) => profile.functions[function].file,
            Code::Unnamed(_) | Code::Unmapped => None,
        };
        let file = frame.and_then(|frame| frame.file).or(declared);
        Cell {
            function: texts.id(&profile.code_name(code)),
            file: file.map(|file| texts.id(&profile.strings[file])),
            line: frame.and_then(|frame| frame.line),
            image,
            address,
        }
    };
    code.into_iter().enumerate().map(cell).collect()
}
