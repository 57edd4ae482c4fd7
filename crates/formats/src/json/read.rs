//! Our own JSON as a profile.

use std::ops::Range;

use hotproof_profile::*;
use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::document::*;
use super::{damaged, parse, parse_rows};
use crate::import::{Builder, Format, ImportError, Limits};

/// Name and version alone, so that another document is refused for that and nothing else.
#[derive(Deserialize)]
struct Head {
    schema: Schema,
}

/// Reads a document; also says what the profile cannot carry, which is nothing.
///
/// Tables keep their order, so that writing the profile again gives the same document. A frame
/// that is inlined and comes right after the frame of its caller is of the same location.
///
/// # Errors
/// [`ImportError::Damaged`] with the place of what is no JSON, of another name or version, is
/// missing, or refers to something that does not exist.
pub(crate) fn read(bytes: &[u8], limits: Limits) -> Result<(Profile, Vec<String>), ImportError> {
    let head: Head = parse(Format::Json, bytes)?;
    check_schema(&head.schema)?;
    let row_bytes = size_of::<FunctionRow<'_>>();
    let document: Document = parse_rows(Format::Json, bytes, row_bytes, limits)?;
    let weights = document.weights.iter().map(|row| Weight {
        name: row.name.clone(),
        unit: row.unit.into(),
    });
    let mut builder = Builder::new(limits, weights.collect());
    add_tables(&mut builder, &document)?;
    let functions = add_functions(&mut builder, &document)?;
    let mut locations = Locations::of(&mut builder, &document, &functions)?;
    let stacks = locations.add_stacks(&mut builder, &document)?;
    for row in 0..document.samples.len() {
        add_sample(&mut builder, &document, &stacks, row)?;
    }
    let mut profile = builder.finish()?;
    profile.meta = meta(document.meta);
    Ok((profile, Vec::new()))
}

fn fault(path: String, what: impl Into<String>) -> ImportError {
    damaged(Format::Json, path, what)
}

fn check_schema(schema: &Schema) -> Result<(), ImportError> {
    if schema.name != NAME {
        let what = format!(
            "this is the answer of a command (`{}`), not a profile; write one with `hotproof export -f json`",
            schema.name
        );
        return Err(fault("schema.name".to_owned(), what));
    }
    if schema.version != VERSION {
        let what = format!(
            "version {} is not read, only {VERSION}; a newer hotproof may read it",
            schema.version
        );
        return Err(fault("schema.version".to_owned(), what));
    }
    Ok(())
}

/// The row that a reference leads to.
fn checked<I: Id>(
    index: usize,
    rows: usize,
    place: impl FnOnce() -> String,
    what: &str,
) -> Result<I, ImportError> {
    if index < rows {
        return Ok(I::from_index(index));
    }
    Err(fault(
        place(),
        format!("{what} {index} of {rows}: it does not exist"),
    ))
}

fn add_tables(builder: &mut Builder, document: &Document) -> Result<(), ImportError> {
    for row in &document.processes {
        builder.budget.take(size_of::<Process>())?;
        let name = builder.text(&row.name)?;
        builder.profile.processes.push(Process {
            pid: row.pid,
            name,
            start_ns: row.start_ns,
            end_ns: row.end_ns,
        });
    }
    for (index, row) in document.threads.iter().enumerate() {
        builder.budget.take(size_of::<Thread>())?;
        let place = || format!("threads[{index}].process");
        let process = checked(row.process, document.processes.len(), place, "process")?;
        let name = builder.text(&row.name)?;
        builder.profile.threads.push(Thread {
            process,
            tid: row.tid,
            name,
            start_ns: row.start_ns,
            end_ns: row.end_ns,
        });
    }
    for (index, row) in document.images.iter().enumerate() {
        let build_id = bytes_of_hex(&row.build_id).ok_or_else(|| {
            let what = format!("`{}` is no hexadecimal text of whole bytes", row.build_id);
            fault(format!("images[{index}].build_id"), what)
        })?;
        builder.budget.take(size_of::<Image>() + build_id.len())?;
        let path = builder.text(&row.path)?;
        builder.profile.images.push(Image {
            path,
            build_id,
            kind: row.kind.into(),
        });
    }
    Ok(())
}

/// Hexadecimal text as bytes; `None` when it is none.
pub(crate) fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) || !bytes.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).ok())
        .collect()
}

/// The function of each entry of `functions`; `None` for code without a name.
fn add_functions(
    builder: &mut Builder,
    document: &Document,
) -> Result<Vec<Option<FunctionId>>, ImportError> {
    let mut functions = Vec::new();
    for (index, row) in document.functions.iter().enumerate() {
        let place = || format!("functions[{index}].image");
        let images = document.images.len();
        let image = row
            .image
            .map(|image| checked(image, images, place, "image"));
        let image = image.transpose()?;
        if !row.named {
            functions.push(None);
            continue;
        }
        builder.budget.take(size_of::<Function>())?;
        let function = Function {
            name: builder.text(&row.name)?,
            linkage_name: builder.text(row.linkage_name.as_deref().unwrap_or_default())?,
            file: row
                .file
                .as_deref()
                .map(|file| builder.text(file))
                .transpose()?,
            line: row.line,
            image,
            source: row
                .source
                .as_deref()
                .and_then(Source::of_word)
                .unwrap_or(Source::Import),
        };
        functions.push(Some(builder.profile.functions.push(function)));
    }
    Ok(functions)
}

/// Locations as runs of frames: a frame and those that are inlined into it.
struct Locations {
    /// Function of each frame; `None` where the code has no name.
    functions: Vec<Option<FunctionId>>,
    /// The outermost frame of the location of each frame.
    starts: Vec<usize>,
    /// The location whose innermost frame is the key.
    known: FxHashMap<usize, LocationId>,
}

impl Locations {
    /// One location for each whole run, in the order of the frames.
    fn of(
        builder: &mut Builder,
        document: &Document,
        functions: &[Option<FunctionId>],
    ) -> Result<Self, ImportError> {
        let mut locations = Locations {
            functions: Vec::new(),
            starts: Vec::new(),
            known: FxHashMap::default(),
        };
        for (index, row) in document.frames.iter().enumerate() {
            let Some(&function) = functions.get(row.function) else {
                let what = format!(
                    "function {} of {}: it does not exist",
                    row.function,
                    functions.len()
                );
                return Err(fault(format!("frames[{index}].function"), what));
            };
            locations.functions.push(function);
            let start = if row.inlined {
                let before = index.checked_sub(1).map(|before| locations.starts[before]);
                before.ok_or_else(|| {
                    let what = "the first frame is inlined into none";
                    fault("frames[0].inlined".to_owned(), what)
                })?
            } else {
                index
            };
            locations.starts.push(start);
        }
        for last in 0..document.frames.len() {
            if document
                .frames
                .get(last + 1)
                .is_none_or(|next| !next.inlined)
            {
                locations.ending_at(builder, document, last)?;
            }
        }
        Ok(locations)
    }

    /// The location whose innermost frame this is.
    fn ending_at(
        &mut self,
        builder: &mut Builder,
        document: &Document,
        last: usize,
    ) -> Result<LocationId, ImportError> {
        if let Some(&id) = self.known.get(&last) {
            return Ok(id);
        }
        let run = self.starts[last]..last + 1;
        let row = &document.frames[run.start];
        let place = |member: &str| format!("frames[{}].{member}", run.start);
        let image = row.image.map(|image| {
            let images = document.images.len();
            checked(image, images, || place("image"), "image")
        });
        let address = row.address.as_deref().unwrap_or("0x0");
        let digits = address.strip_prefix("0x");
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let number = number.ok_or_else(|| {
            let what = format!("`{address}` is no hexadecimal number like 0x1a of 64 bits");
            fault(place("address"), what)
        })?;
        let image: Option<ImageId> = image.transpose()?;
        let frames = self.frames(builder, document, run)?;
        builder
            .budget
            .take(size_of::<Location>() + size_of_val(frames.as_slice()))?;
        let location = Location::unresolved(image, number, AddressKind::Adjusted);
        let id = builder.profile.locations.push(location);
        if !frames.is_empty() {
            builder.profile.set_frames(id, &frames);
        }
        self.known.insert(last, id);
        Ok(id)
    }

    /// The named frames of a run, innermost first.
    fn frames(
        &self,
        builder: &mut Builder,
        document: &Document,
        run: Range<usize>,
    ) -> Result<Vec<Frame>, ImportError> {
        let mut frames = Vec::new();
        for index in run.rev() {
            let row = &document.frames[index];
            let Some(function) = self.functions[index] else {
                continue;
            };
            frames.push(Frame {
                function,
                line: row.line,
                column: row.column,
                contradicted: row.contradicted,
                file: row
                    .file
                    .as_deref()
                    .map(|file| builder.text(file))
                    .transpose()?,
            });
        }
        Ok(frames)
    }

    /// The stack of each entry of `stacks`; that of an entry whose frame has more inlined into it
    /// is made only where something ends there.
    fn add_stacks(
        &mut self,
        builder: &mut Builder,
        document: &Document,
    ) -> Result<Stacks, ImportError> {
        let mut stacks = Stacks::default();
        for (index, row) in document.stacks.iter().enumerate() {
            let place = |member: &str| format!("stacks[{index}].{member}");
            if row.frame as usize >= document.frames.len() {
                let what = format!("frame {} of {}", row.frame, document.frames.len());
                return Err(fault(place("frame"), format!("{what}: it does not exist")));
            }
            let parent = row.parent.map(|parent| parent as usize);
            if parent.is_some_and(|parent| parent >= index) {
                let what = "a stack comes after those that call it";
                return Err(fault(place("parent"), what));
            }
            let frame = row.frame as usize;
            let goes_on = parent.filter(|&parent| {
                document.frames[frame].inlined
                    && document.stacks[parent].frame as usize + 1 == frame
            });
            let below = match goes_on {
                Some(parent) => stacks.below[parent],
                None => parent,
            };
            builder.budget.take(size_of::<(Option<usize>, usize)>())?;
            stacks.below.push(below);
            stacks.frame.push(frame);
        }
        let leaves = document.samples.iter().filter_map(|sample| sample.stack);
        let leaves = leaves.map(|leaf| leaf as usize);
        let mut wanted = vec![false; stacks.frame.len()];
        for leaf in leaves.filter(|&leaf| leaf < stacks.frame.len()) {
            wanted[leaf] = true;
        }
        for below in stacks.below.iter().flatten() {
            wanted[*below] = true;
        }
        stacks.ids = vec![None; stacks.frame.len()];
        for (index, &is_wanted) in wanted.iter().enumerate() {
            let frame = stacks.frame[index];
            let is_last = document
                .frames
                .get(frame + 1)
                .is_none_or(|next| !next.inlined);
            if !is_wanted && !is_last {
                continue;
            }
            let location = self.ending_at(builder, document, frame)?;
            let parent = stacks.below[index].and_then(|below| stacks.ids[below]);
            builder.budget.take(size_of::<Stack>())?;
            stacks.ids[index] = Some(builder.profile.stacks.push(Stack { parent, location }));
        }
        Ok(stacks)
    }
}

/// The entries of `stacks`.
#[derive(Default)]
struct Stacks {
    /// The entry that calls the location of an entry.
    below: Vec<Option<usize>>,
    frame: Vec<usize>,
    ids: Vec<Option<StackId>>,
}

fn add_sample(
    builder: &mut Builder,
    document: &Document,
    stacks: &Stacks,
    row: usize,
) -> Result<(), ImportError> {
    let sample = &document.samples[row];
    let place = |member: &str| format!("samples[{row}].{member}");
    if sample.weights.len() != document.weights.len() {
        let what = format!(
            "{} weights where the document has {}",
            sample.weights.len(),
            document.weights.len()
        );
        return Err(fault(place("weights"), what));
    }
    let stack = sample.stack.map(|stack| {
        let id = stacks.ids.get(stack as usize).copied().flatten();
        id.ok_or_else(|| {
            let what = format!("stack {stack} of {}: it does not exist", stacks.ids.len());
            fault(place("stack"), what)
        })
    });
    let threads = document.threads.len();
    let thread = checked(sample.thread, threads, || place("thread"), "thread")?;
    let mut labels = Vec::new();
    for label in &sample.labels {
        let key = builder.text(&label.key)?;
        let value = match (&label.text, label.number) {
            (Some(text), None) => LabelValue::Text(builder.text(text)?),
            (None, Some(value)) => LabelValue::Number {
                value,
                unit: label
                    .unit
                    .as_deref()
                    .map(|unit| builder.text(unit))
                    .transpose()?,
            },
            _ => {
                let what = format!("label `{}` is not either a text or a number", label.key);
                return Err(fault(place("labels"), what));
            }
        };
        labels.push(Label { key, value });
    }
    let labels = (!labels.is_empty()).then(|| builder.labels(&labels));
    builder.sample(&Sample {
        thread,
        time_ns: sample.time_ns,
        stack: stack.transpose()?,
        weights: &sample.weights,
        cpu: sample.cpu,
        end: sample.end.into(),
        labels: labels.transpose()?,
    })
}

fn meta(row: MetaRow) -> Meta {
    let counters = row.counters.into_iter().map(|row| Counter {
        name: row.name,
        unit: row.unit.into(),
        value: row.value,
        counted: row.counted,
    });
    Meta {
        command: row.command,
        started_unix_ns: row.started_unix_ns,
        duration_ns: row.duration_ns,
        clock: row.clock,
        event: row.event,
        period: row.period,
        rate_hz: row.rate_hz,
        rung: row.rung,
        unwinder: row.unwinder,
        cpu_time_ns: row.cpu_time_ns,
        counters: counters.collect(),
        recorder_cpu_ns: row.recorder_cpu_ns,
        exit: match (row.exit_code, row.exit_signal) {
            (Some(code), _) => Some(Exit::Code(code)),
            (None, signal) => signal.map(Exit::Signal),
        },
        lost: Lost {
            samples: row.lost.samples,
            records: row.lost.records,
            throttled: row.lost.throttled,
        },
        host: Host {
            arch: row.host.arch,
            kernel: row.host.kernel,
            cpu_model: row.host.cpu_model,
            cpus: row.host.cpus,
        },
        notes: row.notes,
    }
}
