//! Lines to samples.

use std::borrow::Cow;

use hotproof_profile::{AddressKind, Meta, Profile, Sample, StackEnd, Unit, Weight};

use super::frame::{self, Frame};
use super::head::{self, Head};
use crate::import::{
    Builder, Dropped, Format, FramePlace, ImportError, Limits, LocationKey, Place,
};

/// Each event costs two columns over all samples.
const MOST_EVENTS: usize = 64;

/// Whether the first line that is no comment is the head of a sample, or of another record.
pub(crate) fn looks_like(text: &str) -> bool {
    let is_said = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    let mut lines = text.lines().filter(is_said);
    let Some(first) = lines.next() else {
        return false;
    };
    let Some(head) = head::parse(first) else {
        return false;
    };
    // A name and a number can be a folded stack, unless a frame follows.
    let mut follows = || {
        let second = lines.next();
        second.is_some_and(|line| line.starts_with(['\t', ' ']) && frame::parse(line).is_some())
    };
    // So can a name that ends like a head without a time.
    let is_sure = head.time_ns.is_some() || crate::folded::split(first).is_none();
    (is_sure && (!head.is_plain() || !head.rest.is_empty())) || follows()
}

/// Reads the text; also says what the profile cannot carry.
///
/// # Errors
/// [`ImportError::Damaged`] names the line that is neither a head nor a frame.
pub(crate) fn read(bytes: &[u8], limits: Limits) -> Result<(Profile, Vec<String>), ImportError> {
    let text = String::from_utf8_lossy(bytes);
    let mut reader = Reader {
        builder: Builder::new(limits, Vec::new()),
        dropped: Dropped::default(),
        events: Vec::new(),
        rows: Vec::new(),
        open: None,
        number: 0,
    };
    if let Cow::Owned(_) = text {
        reader
            .dropped
            .note("bytes that are not UTF-8 were replaced by U+FFFD");
    }
    for line in text.lines() {
        reader.line(line.trim_end())?;
    }
    reader.close()?;
    reader.finish()
}

/// A frame with the source line below it.
#[derive(Debug, Clone, Copy)]
struct Placed<'a> {
    frame: Frame<'a>,
    file: Option<&'a str>,
    line: Option<u32>,
}

/// A sample whose callchain may go on.
struct Open<'a> {
    head: Head<'a>,
    /// Leaf first.
    frames: Vec<Placed<'a>>,
    /// Whether its frames are in lines of their own, up to an empty one.
    has_chain: bool,
}

/// What a sample counts: its event, and its period.
struct Row {
    event: usize,
    period: Option<u64>,
}

struct Reader<'a> {
    builder: Builder,
    dropped: Dropped,
    /// Names of events in the order in which they appear.
    events: Vec<&'a str>,
    rows: Vec<Row>,
    open: Option<Open<'a>>,
    /// Of the current line, counted from 1.
    number: u64,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: &'a str) -> Result<(), ImportError> {
        self.number += 1;
        let chain = self.open.as_ref().map_or(0, |open| open.frames.len());
        self.builder
            .budget
            .check((chain + 1) * size_of::<Placed<'_>>())?;
        if line.trim().is_empty() {
            return self.close();
        }
        if self.open.is_none() && line.starts_with('#') {
            return self.comment(line);
        }
        let in_chain = self.open.as_ref().is_some_and(|open| open.has_chain);
        if in_chain && self.frame(line) {
            return Ok(());
        }
        if let Some(head) = head::parse(line) {
            self.close()?;
            self.head(head);
            return Ok(());
        }
        if self.frame(line) {
            return Ok(());
        }
        let what = format!("neither the head of a sample nor a frame: {}", shown(line));
        Err(self.damaged(what))
    }

    fn head(&mut self, mut head: Head<'a>) {
        let rest = head.rest;
        if head.event == "PERF_RECORD_LOST" {
            let lost = rest.trim_start_matches("lost ");
            let count = lost
                .split_whitespace()
                .next()
                .and_then(|count| count.parse().ok());
            let lost = &mut self.builder.profile.meta.lost;
            lost.samples = lost.samples.saturating_add(count.unwrap_or(1));
            return;
        }
        if head.event.starts_with("PERF_RECORD_") {
            self.dropped.note("a record that is no sample was left out");
            return;
        }
        let frame = frame::parse(rest);
        if frame.is_none() && !rest.is_empty() {
            self.dropped
                .note("what follows the event of a sample was left out");
        }
        head.rest = "";
        self.open = Some(Open {
            head,
            has_chain: rest.is_empty(),
            frames: frame.map(Placed::of).into_iter().collect(),
        });
    }

    /// Takes a line as the next frame of the open sample, or as the source line of its last one.
    fn frame(&mut self, line: &'a str) -> bool {
        let Some(open) = self.open.as_mut().filter(|_| line.starts_with([' ', '\t'])) else {
            return false;
        };
        if let Some(frame) = frame::parse(line) {
            open.frames.push(Placed::of(frame));
            return true;
        }
        let (Some(last), Some((file, number, is_inlined))) =
            (open.frames.last_mut(), frame::parse_source(line))
        else {
            return false;
        };
        last.frame.is_inlined |= is_inlined;
        last.file = Some(file).filter(|file| *file != "??");
        last.line = number;
        true
    }

    /// The facts of `--header`.
    fn comment(&mut self, line: &str) -> Result<(), ImportError> {
        let Some((key, value)) = line.trim_start_matches('#').split_once(':') else {
            return Ok(());
        };
        let value = value.trim();
        // Words of a letter, each a text of its own.
        let bytes = value.len() / 2 * (size_of::<String>() + size_of::<u64>());
        self.builder.budget.check(bytes)?;
        let meta = &mut self.builder.profile.meta;
        match key.trim() {
            "os release" => value.clone_into(&mut meta.host.kernel),
            "arch" => value.clone_into(&mut meta.host.arch),
            "cpudesc" => value.clone_into(&mut meta.host.cpu_model),
            "nrcpus online" => meta.host.cpus = value.parse().unwrap_or(0),
            "cmdline" => meta.command = value.split_whitespace().map(str::to_owned).collect(),
            _ => {}
        }
        Ok(())
    }

    /// Turns the open sample into a row.
    fn close(&mut self) -> Result<(), ImportError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let Head { comm, pid, tid, .. } = open.head;
        let process = match pid {
            Some(pid) => self.builder.process(pid, comm)?,
            None => {
                self.dropped.note(
                    "which process a thread is of is not printed (perf script -F +pid prints it)",
                );
                self.builder.process(0, comm)?
            }
        };
        let thread = self.builder.thread(process, tid, comm)?;
        let mut stack = None;
        for run in runs(&open.frames).into_iter().rev() {
            let location = self.location(run)?;
            stack = Some(self.builder.stack(stack, location)?);
        }
        self.builder.sample(&Sample {
            thread,
            time_ns: open.head.time_ns.unwrap_or(0),
            stack,
            weights: &[],
            cpu: open.head.cpu,
            end: StackEnd::Unknown,
            labels: None,
        })?;
        self.builder
            .budget
            .take(size_of::<Row>() + 2 * size_of::<i64>())?;
        let event = self.event(open.head.event)?;
        let period = open.head.period;
        self.rows.push(Row { event, period });
        Ok(())
    }

    fn event(&mut self, name: &'a str) -> Result<usize, ImportError> {
        let known = self.events.iter().position(|event| *event == name);
        if let Some(known) = known {
            return Ok(known);
        }
        if self.events.len() == MOST_EVENTS {
            let what = format!(
                "more than {MOST_EVENTS} events, the last is {}",
                shown(name)
            );
            return Err(self.damaged(what));
        }
        self.events.push(name);
        Ok(self.events.len() - 1)
    }

    fn damaged(&self, what: String) -> ImportError {
        ImportError::Damaged {
            format: Format::PerfScript,
            place: Place::Line(self.number),
            what,
        }
    }

    /// The location of a physical frame, which is the last, and of those inlined into it.
    fn location(
        &mut self,
        run: &[Placed<'_>],
    ) -> Result<hotproof_profile::LocationId, ImportError> {
        let image = run.iter().rev().find_map(|placed| placed.frame.image);
        let image = image.map(|image| self.builder.image(image)).transpose()?;
        let mut frames = Vec::with_capacity(run.len());
        for placed in run {
            let Some(name) = placed.frame.symbol else {
                continue;
            };
            let place = FramePlace {
                line: placed.line,
                ..FramePlace::default()
            };
            let function = self.builder.function(name, "", placed.file, None)?;
            frames.push((function, place));
        }
        self.builder.location(LocationKey {
            image,
            address: 0,
            kind: AddressKind::Adjusted,
            frames,
        })
    }

    fn finish(mut self) -> Result<(Profile, Vec<String>), ImportError> {
        let bytes = 2 * self.events.len() * self.rows.len() * size_of::<i64>();
        self.builder.budget.take(bytes)?;
        self.dropped
            .note("addresses were left out: perf prints some relative to their image and some not");
        let (weights, columns) = columns(&self.events, &self.rows);
        let profile = &mut self.builder.profile;
        profile.weights = weights;
        profile.samples.weights = columns;
        let has_times = profile.samples.time_ns.iter().any(|&time_ns| time_ns > 0);
        profile.meta = Meta {
            event: self.events.join(", "),
            clock: if has_times { "perf" } else { "" }.to_owned(),
            ..std::mem::take(&mut profile.meta)
        };
        Ok((self.builder.finish()?, self.dropped.into_sentences()))
    }
}

impl<'a> Placed<'a> {
    fn of(frame: Frame<'a>) -> Self {
        Placed {
            frame,
            file: None,
            line: None,
        }
    }
}

/// Parts a chain into locations: inlined frames and the next frame at the same address.
fn runs<'s, 'a>(frames: &'s [Placed<'a>]) -> Vec<&'s [Placed<'a>]> {
    let belong = |inner: &Placed<'_>, outer: &Placed<'_>| {
        inner.frame.is_inlined && inner.frame.address == outer.frame.address
    };
    frames.chunk_by(belong).collect()
}

/// Counts, and periods where there are any; columns of their own for each of several events.
fn columns(events: &[&str], rows: &[Row]) -> (Vec<Weight>, Vec<Vec<i64>>) {
    let (mut weights, mut columns) = (Vec::new(), Vec::new());
    let mut add = |name: String, unit, weight: &dyn Fn(&Row) -> i64| {
        weights.push(Weight { name, unit });
        columns.push(rows.iter().map(weight).collect());
    };
    if events.is_empty() {
        add("samples".to_owned(), Unit::Count, &|_| 1);
    }
    for (index, &event) in events.iter().enumerate() {
        let of_event = |row: &Row| row.event == index;
        let count = match events.len() {
            1 => "samples".to_owned(),
            _ => format!("{event} samples"),
        };
        add(count, Unit::Count, &|row| i64::from(of_event(row)));
        if rows.iter().any(|row| of_event(row) && row.period.is_some()) {
            let (name, unit) = period_weight(event, events.len());
            let period = |row: &Row| row.period.filter(|_| of_event(row)).unwrap_or(0);
            add(name, unit, &|row| {
                i64::try_from(period(row)).unwrap_or(i64::MAX)
            });
        }
    }
    (weights, columns)
}

/// What the periods of an event add up to.
fn period_weight(event: &str, events: usize) -> (String, Unit) {
    let plain = event.split(':').next().unwrap_or_default();
    let (name, unit) = match plain {
        "cpu-clock" | "task-clock" => ("cpu", Unit::Nanoseconds),
        "cycles" | "cpu-cycles" => (event, Unit::Cycles),
        "instructions" => (event, Unit::Instructions),
        "" => ("period", Unit::Count),
        _ => (event, Unit::Count),
    };
    let name = if events > 1 { event } else { name };
    (name.to_owned(), unit)
}

/// A line for an error, short.
fn shown(text: &str) -> String {
    const CHARACTERS: usize = 60;
    let mut cut: String = text.chars().take(CHARACTERS).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    format!("{cut:?}")
}
