//! Our own JSON, `hotproof.profile` version 1: flat tables that are easy for scripts.
//!
//! The schema is [`SCHEMA`]. One document holds:
//!
//! - `functions`: everything that a frame can be, heaviest first, each with its self and total
//!   weights, one for each entry of `weights`; code without a name is an entry too, not `named`.
//! - `frames`: a function at a line, with its address and image, and whether it is inlined into
//!   the frame that calls it.
//! - `stacks`: a frame and the stack that calls it, which always comes earlier in the list.
//! - `samples`: a thread, a time, a stack or null, and one weight for each entry of `weights`.
//!
//! References are positions in those lists, counted from 0. What is not known is null, never
//! absent. Text is UTF-8, addresses are hexadecimal text since JSON numbers are not exact above
//! 2^53, and weights and times are whole numbers. An inlined frame comes right after the frame that
//! it is inlined into.
//!
//! A document that is read and written again is the same.
//!
//! | lost on the way out | |
//! |---|---|
//! | symbols, mappings, how an address was obtained, functions of no frame | always |
//! | what another format said of itself ([`hotproof_profile::Foreign`]) | always |
//! | which functions are inlined | when physical frames are asked for |

mod bounded;
mod document;
mod number;
mod parse;
mod read;
mod write;

use std::io::{BufWriter, Write};

pub(crate) use bounded::{Few, OrDefault, Word};
pub(crate) use number::Number;
pub(crate) use parse::{damaged, damaged_text, parse, parse_rows, recognise};
pub(crate) use read::{bytes_of_hex, read};
pub(crate) use write::meta_text;
pub use write::write;

use crate::WriteError;
pub use crate::folded::Options;

/// JSON schema (draft 2020-12) of what [`write()`] writes.
pub const SCHEMA: &str = include_str!("../../schema/profile-v1.schema.json");

/// Writes a document in one line, with a line feed at its end.
pub(crate) fn write_document(
    document: &impl serde::Serialize,
    out: impl Write,
) -> Result<(), WriteError> {
    let mut out = BufWriter::new(out);
    serde_json::to_writer(&mut out, document).map_err(std::io::Error::from)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}
