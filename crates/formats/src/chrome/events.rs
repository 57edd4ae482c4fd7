//! Trace events as they are in the file, in one of its two shapes.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

use crate::import::{Format, ImportError};
use crate::json::{self, Number};

/// One event; only what is needed to make stacks.
#[derive(Deserialize)]
pub(super) struct Event {
    #[serde(default)]
    pub(super) name: Value,
    #[serde(default)]
    pub(super) ph: Value,
    #[serde(default)]
    pub(super) ts: Option<Number>,
    #[serde(default)]
    pub(super) dur: Option<Number>,
    #[serde(default)]
    pub(super) pid: Value,
    #[serde(default)]
    pub(super) tid: Value,
    #[serde(default)]
    pub(super) id: Value,
    #[serde(default)]
    pub(super) args: Value,
}

/// One frame of the table that `samples` refer to.
#[derive(Deserialize)]
pub(super) struct StackFrame {
    #[serde(default)]
    pub(super) name: Value,
    #[serde(default)]
    pub(super) parent: Value,
}

/// One sample of the outer list.
#[derive(Deserialize)]
pub(super) struct TraceSample {
    #[serde(default)]
    pub(super) tid: Value,
    #[serde(default)]
    pub(super) pid: Value,
    #[serde(default)]
    pub(super) ts: Value,
    #[serde(default)]
    pub(super) sf: Value,
    #[serde(default)]
    pub(super) weight: Value,
}

/// A file.
#[derive(Default)]
pub(super) struct Trace {
    pub(super) stack_frames: BTreeMap<String, StackFrame>,
    pub(super) samples: Vec<TraceSample>,
    /// What our own writer says of times; anything, or nothing, in the file of another.
    pub(super) shown_weight: Value,
    /// Whether the list of events was closed.
    pub(super) is_closed: bool,
}

/// A text, or the text of a number; empty for all else.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// Reads a file, handing each event to `each` with its position in the list.
///
/// # Errors
/// [`ImportError::Damaged`] with the offset at which the text is no JSON, and those of `each`.
pub(super) fn parse(
    bytes: &[u8],
    each: &mut dyn FnMut(usize, Event) -> Result<(), ImportError>,
) -> Result<Trace, ImportError> {
    let mut state = State {
        trace: Trace {
            is_closed: true,
            ..Trace::default()
        },
        each,
        failed: None,
        count: 0,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let outcome = deserializer.deserialize_any(&mut state);
    let outcome = outcome.and_then(|()| deserializer.end());
    if let Some(error) = state.failed {
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
    failed: Option<ImportError>,
    count: usize,
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
                "stackFrames" => self.trace.stack_frames = map.next_value()?,
                "samples" => self.trace.samples = map.next_value()?,
                "metadata" => self.trace.shown_weight = map.next_value_seed(WeightAlone)?,
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

/// What stands for `weight` in an object; null where there is none. Nothing else is held, however long
/// the metadata of another program is.
struct WeightAlone;

impl<'de> DeserializeSeed<'de> for WeightAlone {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for WeightAlone {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut weight = Value::Null;
        while let Some(name) = map.next_key::<String>()? {
            if name == "weight" {
                weight = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(weight)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E>(self, _: &str) -> Result<Value, E> {
        Ok(Value::Null)
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
                self.0.failed = Some(error);
                return Err(A::Error::custom("the event is damaged"));
            }
        }
        Ok(())
    }
}
