//! JSON text to typed values, and which JSON format a text is.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::bounded;
use crate::import::{Format, ImportError, Limits, Place};

/// Reads one JSON document, of which `T` holds rows; none takes more bytes than `row_bytes` for each
/// brace that it needs.
///
/// # Errors
/// As [`parse`], and [`ImportError::TooLarge`] when the rows may take more memory than they may.
pub(crate) fn parse_rows<'a, T: Deserialize<'a>>(
    format: Format,
    bytes: &'a [u8],
    row_bytes: usize,
    limits: Limits,
) -> Result<T, ImportError> {
    bounded::check(bytes, row_bytes, limits)?;
    parse(format, bytes)
}

/// Reads a few members of a JSON document. Its depth is limited to 128 by the parser.
///
/// # Errors
/// [`ImportError::Damaged`] with the offset at which the text is no JSON or not of the format.
pub(crate) fn parse<'a, T: Deserialize<'a>>(
    format: Format,
    bytes: &'a [u8],
) -> Result<T, ImportError> {
    serde_json::from_slice(bytes).map_err(|error| damaged_text(format, bytes, &error))
}

pub(crate) fn damaged_text(format: Format, bytes: &[u8], error: &serde_json::Error) -> ImportError {
    let what = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let what = what.strip_suffix(&position).unwrap_or(&what);
    ImportError::Damaged {
        format,
        place: Place::Byte(offset(bytes, error.line(), error.column())),
        what: what.to_owned(),
    }
}

/// The offset of a line and a column in bytes, both counted from 1.
fn offset(bytes: &[u8], line: usize, column: usize) -> u64 {
    let starts = bytes.split_inclusive(|&byte| byte == b'\n');
    let before: usize = starts.take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    (before + column.saturating_sub(1)).min(bytes.len()) as u64
}

/// An error at a path of the document, such as `profiles[0].weights[3]`.
pub(crate) fn damaged(format: Format, path: String, what: impl Into<String>) -> ImportError {
    ImportError::Damaged {
        format,
        place: Place::Path(path),
        what: what.into(),
    }
}

/// Which JSON format a text is, by the names of its outermost members; `None` when it is none
/// that is known. A text that is cut or broken later on is still recognised.
pub(crate) fn recognise(bytes: &[u8]) -> Option<Format> {
    let mut members = Members::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    // The outcome is what was seen until the first fault, or until the format was known.
    let _ = deserializer.deserialize_any(&mut members);
    members.format()
}

/// The members that tell formats apart.
#[derive(Default)]
struct Members {
    found: Option<Format>,
    has_meta: bool,
    has_threads: bool,
    has_nodes: bool,
    has_samples: bool,
    has_shared: bool,
    has_profiles: bool,
}

impl Members {
    fn add(&mut self, name: &str) {
        match name {
            "meta" => self.has_meta = true,
            "threads" => self.has_threads = true,
            "nodes" => self.has_nodes = true,
            "samples" | "timeDeltas" => self.has_samples = true,
            "shared" => self.has_shared = true,
            "profiles" => self.has_profiles = true,
            "traceEvents" => self.found = Some(Format::ChromeTrace),
            _ => {}
        }
    }

    fn format(&self) -> Option<Format> {
        if self.found.is_some() {
            self.found
        } else if self.has_profiles && self.has_shared {
            Some(Format::Speedscope)
        } else if self.has_nodes && self.has_samples {
            Some(Format::CpuProfile)
        } else if self.has_meta && (self.has_threads || self.has_shared) {
            Some(Format::Firefox)
        } else {
            None
        }
    }
}

impl<'de> Visitor<'de> for &mut Members {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            self.add(&name);
            if name == "schema" {
                #[derive(Deserialize)]
                struct Schema {
                    name: String,
                }
                let schema = map.next_value::<Schema>()?;
                self.found = schema.name.starts_with("hotproof.").then_some(Format::Json);
            } else if name == "$schema" {
                let schema = map.next_value::<String>()?;
                self.found = schema.contains("speedscope").then_some(Format::Speedscope);
            } else if self.format().is_none() {
                map.next_value::<IgnoredAny>()?;
            }
            if self.format().is_some() {
                return Err(A::Error::custom("the format is known"));
            }
        }
        Ok(())
    }

    /// A list is a Chrome trace when its first element is an event: it has a phase.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        #[derive(Deserialize)]
        struct Event {
            #[serde(rename = "ph")]
            _phase: String,
        }
        if list.next_element::<Event>()?.is_some() {
            self.found = Some(Format::ChromeTrace);
        }
        Err(A::Error::custom("the first element says it all"))
    }
}
