//! speedscope's JSON as a profile.

use hotproof_profile::{LocationId, Profile, Sample, StackEnd, StackId, ThreadId, Unit, Weight};
use serde::Deserialize;

use crate::import::{Builder, Format, FramePlace, ImportError, Limits, LocationKey};
use crate::json::{self, Number};

#[derive(Deserialize)]
struct File {
    shared: Shared,
    profiles: Vec<Row>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
struct Shared {
    frames: Vec<Frame>,
}

#[derive(Deserialize)]
struct Frame {
    name: String,
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    line: Option<Number>,
    #[serde(default)]
    col: Option<Number>,
}

/// One profile of a file, of either kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    unit: String,
    #[serde(default)]
    end_value: Option<Number>,
    #[serde(default)]
    samples: Option<Vec<Vec<Number>>>,
    #[serde(default)]
    weights: Option<Vec<Number>>,
    #[serde(default)]
    events: Option<Vec<Event>>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    at: Number,
    frame: Number,
}

/// How many of ours a unit of the file is, and which.
#[derive(Clone, Copy)]
struct Scale {
    factor: u32,
    column: usize,
}

fn damaged(path: String, what: impl Into<String>) -> ImportError {
    json::damaged(Format::Speedscope, path, what)
}

/// Reads a file; also says what the profile cannot carry.
///
/// # Errors
/// [`ImportError::Damaged`] with the place of what is no JSON, is missing, or refers to a frame
/// that does not exist.
pub(crate) fn read(bytes: &[u8], limits: Limits) -> Result<(Profile, Vec<String>), ImportError> {
    let row_bytes = size_of::<Row>().max(size_of::<Event>());
    let file: File = json::parse_rows(Format::Speedscope, bytes, row_bytes, limits)?;
    let (weights, scales) = weights(&file)?;
    let mut reader = Reader {
        width: weights.len(),
        builder: Builder::new(limits, weights),
        frames: Vec::new(),
        rounded: 0,
    };
    for (index, frame) in file.shared.frames.iter().enumerate() {
        reader.add_frame(index, frame)?;
    }
    for ((index, row), scale) in file.profiles.iter().enumerate().zip(scales) {
        reader.add_profile(index, row, scale)?;
    }
    let mut dropped = Vec::new();
    if reader.rounded > 0 {
        let count = reader.rounded;
        dropped.push(format!("fractions of {count} weights, which were rounded"));
    }
    let mut profile = reader.builder.finish()?;
    profile
        .meta
        .command
        .extend(file.name.filter(|name| name != "profile"));
    Ok((profile, dropped))
}

/// One column for each kind of unit that profiles of the file have.
fn weights(file: &File) -> Result<(Vec<Weight>, Vec<Scale>), ImportError> {
    let mut weights: Vec<Weight> = Vec::new();
    let mut scales = Vec::new();
    for (index, row) in file.profiles.iter().enumerate() {
        let (factor, unit, name) = match row.unit.as_str() {
            "none" => (1, Unit::Count, "samples"),
            "bytes" => (1, Unit::Bytes, "bytes"),
            "nanoseconds" => (1, Unit::Nanoseconds, "time"),
            "microseconds" => (1_000, Unit::Nanoseconds, "time"),
            "milliseconds" => (1_000_000, Unit::Nanoseconds, "time"),
            "seconds" => (1_000_000_000, Unit::Nanoseconds, "time"),
            other => {
                let what = format!("`{other}` is no unit of the format");
                return Err(damaged(format!("profiles[{index}].unit"), what));
            }
        };
        let known = weights.iter().position(|weight| weight.unit == unit);
        let column = known.unwrap_or_else(|| {
            let name = name.to_owned();
            weights.push(Weight { name, unit });
            weights.len() - 1
        });
        scales.push(Scale { factor, column });
    }
    if weights.is_empty() {
        weights.push(Weight {
            name: "samples".to_owned(),
            unit: Unit::Count,
        });
    }
    Ok((weights, scales))
}

struct Reader {
    builder: Builder,
    /// The location of each frame of the file.
    frames: Vec<LocationId>,
    width: usize,
    rounded: u64,
}

impl Reader {
    fn add_frame(&mut self, index: usize, frame: &Frame) -> Result<(), ImportError> {
        let number = |number: Option<Number>| {
            let number = number.and_then(Number::index);
            number.and_then(|number| u32::try_from(number).ok())
        };
        let (line, column) = (number(frame.line), number(frame.col));
        let file = frame.file.as_deref().filter(|file| !file.is_empty());
        let location = if file.is_none() && line.is_none() && column.is_none() {
            self.builder.named(&frame.name)?
        } else {
            let function = self.builder.function(&frame.name, "", file, line)?;
            let place = FramePlace {
                line,
                column,
                file: None,
            };
            self.builder.location(LocationKey {
                image: None,
                address: 0,
                kind: hotproof_profile::AddressKind::Adjusted,
                frames: vec![(function, place)],
            })?
        };
        debug_assert_eq!(index, self.frames.len(), "frames are added in order");
        self.frames.push(location);
        Ok(())
    }

    fn add_profile(&mut self, index: usize, row: &Row, scale: Scale) -> Result<(), ImportError> {
        let title = row.name.as_deref().unwrap_or_default();
        let process = self.builder.process(0, "")?;
        let name = if title == "all threads" { "" } else { title };
        let thread = self.builder.thread(process, 0, name)?;
        match row.kind.as_str() {
            "sampled" => self.add_sampled(index, row, scale, thread),
            "evented" => self.add_evented(index, row, scale, thread),
            other => {
                let what = format!("`{other}` is neither `sampled` nor `evented`");
                Err(damaged(format!("profiles[{index}].type"), what))
            }
        }
    }

    fn add_sampled(
        &mut self,
        index: usize,
        row: &Row,
        scale: Scale,
        thread: ThreadId,
    ) -> Result<(), ImportError> {
        let missing = |name: &str| damaged(format!("profiles[{index}]"), format!("no `{name}`"));
        let samples = row.samples.as_ref().ok_or_else(|| missing("samples"))?;
        let weights = row.weights.as_ref().ok_or_else(|| missing("weights"))?;
        if samples.len() != weights.len() {
            let what = format!("{} weights for {} samples", weights.len(), samples.len());
            return Err(damaged(format!("profiles[{index}].weights"), what));
        }
        for (number, (frames, &weight)) in samples.iter().zip(weights).enumerate() {
            let mut stack = None;
            for (depth, &frame) in frames.iter().enumerate() {
                let path = || format!("profiles[{index}].samples[{number}][{depth}]");
                stack = Some(self.push(stack, frame, path)?);
            }
            let path = || format!("profiles[{index}].weights[{number}]");
            let value = self.scaled(weight, scale, path)?;
            self.add_sample(thread, 0, stack, value, scale)?;
        }
        Ok(())
    }

    fn add_evented(
        &mut self,
        index: usize,
        row: &Row,
        scale: Scale,
        thread: ThreadId,
    ) -> Result<(), ImportError> {
        let Some(events) = &row.events else {
            return Err(damaged(format!("profiles[{index}]"), "no `events`"));
        };
        // The frames that are open, with the stack that each makes.
        let mut open: Vec<(Number, StackId)> = Vec::new();
        let mut last: Option<i64> = None;
        for (number, event) in events.iter().enumerate() {
            let path = |field: &str| format!("profiles[{index}].events[{number}].{field}");
            let at = self.scaled(event.at, scale, || path("at"))?;
            let stack = open.last().map(|&(_, stack)| stack);
            self.add_stretch(thread, last, at, stack, scale)
                .map_err(|what| what.unwrap_or_else(|what| damaged(path("at"), what)))?;
            last = Some(at);
            match event.kind.as_str() {
                "O" => {
                    let stack = self.push(stack, event.frame, || path("frame"))?;
                    open.push((event.frame, stack));
                }
                "C" => {
                    let closed = open.pop().map(|(frame, _)| frame);
                    if closed != Some(event.frame) {
                        let innermost = closed.map_or("none".to_owned(), |frame| frame.to_string());
                        let what = format!(
                            "closes frame {}, but the open one is {innermost}",
                            event.frame
                        );
                        return Err(damaged(path("frame"), what));
                    }
                }
                other => {
                    let what = format!("`{other}` is neither `O` nor `C`");
                    return Err(damaged(path("type"), what));
                }
            }
        }
        let (Some(&(_, stack)), Some(end)) = (open.last(), row.end_value) else {
            return Ok(());
        };
        let path = || format!("profiles[{index}].endValue");
        let end = self.scaled(end, scale, path)?;
        self.add_stretch(thread, last, end, Some(stack), scale)
            .map_err(|what| what.unwrap_or_else(|what| damaged(path(), what)))
    }

    /// A sample for the time between two events, unless nothing was open or no time passed.
    fn add_stretch(
        &mut self,
        thread: ThreadId,
        from: Option<i64>,
        to: i64,
        stack: Option<StackId>,
        scale: Scale,
    ) -> Result<(), Result<ImportError, String>> {
        let Some(from) = from else { return Ok(()) };
        let length = to.checked_sub(from).filter(|&length| length >= 0);
        let length = length.ok_or_else(|| Err(format!("{to} comes before {from}")))?;
        if length == 0 || stack.is_none() {
            return Ok(());
        }
        let time_ns = u64::try_from(from).unwrap_or(0);
        self.add_sample(thread, time_ns, stack, length, scale)
            .map_err(Ok)
    }

    /// The stack of a frame on top of another.
    fn push(
        &mut self,
        parent: Option<StackId>,
        frame: Number,
        path: impl Fn() -> String,
    ) -> Result<StackId, ImportError> {
        let index = frame.index().and_then(|index| usize::try_from(index).ok());
        let location = index.and_then(|index| self.frames.get(index)).copied();
        let location = location.ok_or_else(|| {
            let count = self.frames.len();
            damaged(path(), format!("frame {frame} of {count} frames"))
        })?;
        self.builder.stack(parent, location)
    }

    fn scaled(
        &mut self,
        number: Number,
        scale: Scale,
        path: impl Fn() -> String,
    ) -> Result<i64, ImportError> {
        let scaled = number.scaled(scale.factor);
        let scaled =
            scaled.ok_or_else(|| damaged(path(), format!("{number} is too large for 64 bits")))?;
        self.rounded += u64::from(scaled.rounded);
        Ok(scaled.value)
    }

    fn add_sample(
        &mut self,
        thread: ThreadId,
        time_ns: u64,
        stack: Option<StackId>,
        weight: i64,
        scale: Scale,
    ) -> Result<(), ImportError> {
        let mut weights = vec![0; self.width];
        weights[scale.column] = weight;
        self.builder.sample(&Sample {
            thread,
            time_ns,
            stack,
            weights: &weights,
            cpu: None,
            end: StackEnd::Unknown,
            labels: None,
        })
    }
}
