//! The native file: everything that a profile holds, exactly, and little of the disk.
//!
//! A header in clear, then chunks with a checksum each, then an end chunk with counts. The rows of
//! all tables may be spread over chunks in any way, as long as a row comes after those that it
//! refers to: that is what lets [`Writer`] write while it records, and what makes every whole
//! chunk of a cut file readable ([`read_recovering`]). `proto/hotproof.proto` in this crate is the
//! description of the format.

mod batch;
mod chunk;
mod column;
mod meta;
mod read;
mod rows;
mod schema;
mod summed;
mod write;

pub(crate) use chunk::MAGIC;
pub use chunk::VERSION;
pub use read::{Limits, ReadError, Recovered, read, read_recovering, read_within};
pub use summed::{CopyError, read_summed, write_with_samples};
pub use write::{UNFINISHED, Writer, write};
