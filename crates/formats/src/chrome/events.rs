//! Trace events as they are in the file, in one of its two shapes.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::weight::WeightWords;
use crate::cpuprofile::Tables;
use crate::import::{Budget, Format, ImportError, Limits};
use crate::json::{self, Few, Number, OrDefault, Word};

/// One event; only what is needed to make stacks.
#[derive(Deserialize)]
pub(super) struct Event {
    #[serde(default)]
    pub(super) name: Word,
    #[serde(default)]
    pub(super) ph: Word,
    #[serde(default)]
    pub(super) ts: Option<Number>,
    #[serde(default)]
    pub(super) dur: Option<Number>,
    #[serde(default)]
    pub(super) pid: Word,
    #[serde(default)]
    pub(super) tid: Word,
    #[serde(default)]
    pub(super) id: Word,
    #[serde(default)]
    pub(super) args: OrDefault<Arguments>,
}

/// What an event says of itself.
#[derive(Deserialize, Default)]
pub(super) struct Arguments {
    #[serde(default)]
    pub(super) name: Word,
    #[serde(default)]
    pub(super) filename: Word,
    #[serde(default)]
    pub(super) line: Word,
    #[serde(default)]
    pub(super) data: OrDefault<ProfileData>,
}

/// A piece of one of V8's profiles, or what other events have in its place.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProfileData {
    #[serde(default)]
    pub(super) start_time: Word,
    #[serde(default)]
    pub(super) end_time: Word,
    #[serde(default)]
    pub(super) cpu_profile: Option<Tables>,
    #[serde(default)]
    pub(super) time_deltas: Option<Few<Number>>,
}

/// One frame of the table that `samples` refer to.
#[derive(Deserialize)]
pub(super) struct StackFrame {
    #[serde(default)]
    pub(super) name: Word,
    #[serde(default)]
    pub(super) parent: Word,
}

/// One sample of the outer list.
#[derive(Deserialize)]
pub(super) struct TraceSample {
    #[serde(default)]
    pub(super) tid: Word,
    #[serde(default)]
    pub(super) pid: Word,
    #[serde(default)]
    pub(super) ts: Word,
    #[serde(default)]
    pub(super) sf: Word,
    #[serde(default)]
    pub(super) weight: Option<Word>,
}

/// A file.
#[derive(Default)]
pub(super) struct Trace {
    pub(super) stack_frames: BTreeMap<String, StackFrame>,
    pub(super) samples: Vec<TraceSample>,
    /// What our own writer says of times; anything, or nothing, in the file of another.
    pub(super) shown_weight: WeightWords,
    /// Whether the list of events was closed.
    pub(super) is_closed: bool,
}

/// What the metadata of our own traces have; anything, or nothing, in those of others.
#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    weight: OrDefault<WeightWords>,
}

/// Reads a file, handing each event to `each` with its position in the list.
///
/// # Errors
/// [`ImportError::Damaged`] with the offset at which the text is no JSON, [`ImportError::TooLarge`],
/// and those of `each`.
pub(super) fn parse(
    bytes: &[u8],
    limits: Limits,
    each: &mut dyn FnMut(usize, Event) -> Result<(), ImportError>,
) -> Result<Trace, ImportError> {
    let mut state = State {
        trace: Trace {
            is_closed: true,
            ..Trace::default()
        },
        each,
        held: Held {
            budget: Budget::new(limits),
            failed: None,
        },
        count: 0,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let outcome = deserializer.deserialize_any(&mut state);
    let outcome = outcome.and_then(|()| deserializer.end());
    if let Some(error) = state.held.failed {
        return Err(error);
    }
    let starts_list = bytes.trim_ascii_start().starts_with(b"[");
    let whole_event =
        bytes.trim_ascii_end().ends_with(b"}") || bytes.trim_ascii_end().ends_with(b",");
    match outcome {
        Ok(()) => {}
        Err(error) if error.is_eof() && starts_list && whole_event && state.count > 0 => {
            state.trace.is_closed = false;
        }
        Err(error) => return Err(json::damaged_text(Format::ChromeTrace, bytes, &error)),
    }
    Ok(state.trace)
}

struct State<'a> {
    trace: Trace,
    each: &'a mut dyn FnMut(usize, Event) -> Result<(), ImportError>,
    held: Held,
    count: usize,
}

/// Counts what is held of a file until all of it was seen.
struct Held {
    budget: Budget,
    /// Why reading stopped, when it is not for the text.
    failed: Option<ImportError>,
}

impl Held {
    fn take<E: de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        let outcome = self.budget.take(bytes);
        outcome.map_err(|error| self.stop(error))
    }

    fn stop<E: de::Error>(&mut self, error: ImportError) -> E {
        self.failed = Some(error);
        E::custom("reading stops here")
    }
}

impl<'de> Visitor<'de> for &mut State<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of events, or an object with `traceEvents`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "traceEvents" => map.next_value_seed(Events(self))?,
                "stackFrames" => {
                    self.trace.stack_frames = map.next_value_seed(Frames(&mut self.held))?;
                }
                "samples" => self.trace.samples = map.next_value_seed(Samples(&mut self.held))?,
                "metadata" => {
                    let metadata: OrDefault<Metadata> = map.next_value()?;
                    self.trace.shown_weight = metadata.0.weight.0;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        Events(self).visit_seq(list)
    }
}

/// The table of frames.
struct Frames<'h>(&'h mut Held);

impl<'de> DeserializeSeed<'de> for Frames<'_> {
    type Value = BTreeMap<String, StackFrame>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Frames<'_> {
    type Value = BTreeMap<String, StackFrame>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("frames by their ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut frames = BTreeMap::new();
        while let Some((id, frame)) = map.next_entry::<String, StackFrame>()? {
            let texts = id.len() + frame.name.len() + frame.parent.len();
            self.0.take(texts + 2 * size_of::<(String, StackFrame)>())?;
            frames.insert(id, frame);
        }
        Ok(frames)
    }
}

/// The outer list of samples.
struct Samples<'h>(&'h mut Held);

impl<'de> DeserializeSeed<'de> for Samples<'_> {
    type Value = Vec<TraceSample>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Samples<'_> {
    type Value = Vec<TraceSample>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of samples")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut samples = Vec::new();
        while let Some(sample) = list.next_element::<TraceSample>()? {
            // Rows, and a text of a few bytes for each member.
            self.0.take(2 * size_of::<TraceSample>())?;
            samples.push(sample);
        }
        Ok(samples)
    }
}

/// The list of events.
struct Events<'s, 'a>(&'s mut State<'a>);

impl<'de> DeserializeSeed<'de> for Events<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Events<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(event) = list.next_element::<Event>()? {
            let outcome = (self.0.each)(self.0.count, event);
            self.0.count += 1;
            if let Err(error) = outcome {
                return Err(self.0.held.stop(error));
            }
        }
        Ok(())
    }
}
