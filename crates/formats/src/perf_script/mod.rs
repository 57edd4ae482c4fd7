//! The text that `perf script` prints, in its usual form and in those of other `-F` lists.
//!
//! A sample is a head (`comm pid/tid [cpu] seconds: period event:`, of which only the command
//! name and the thread are always there) and its callchain, leaf first, one frame a line, up to an
//! empty line; or, without callchains, a head and its one frame in the same line.
//!
//! - Weights: `samples`, and the periods of the event where the text has them (`cpu` for clocks).
//!   With several events each has columns of its own, named after it.
//! - Frames that perf marks as inlined belong to the location of the next frame that is not, when
//!   both have the same address.
//! - `[unknown]` has no name; where its image is known, it is the image's. Source lines
//!   (`-F +srcline`) are those of their frames.
//! - The facts about the machine come from the header that `--header` prints; other comments and
//!   records that are no samples are skipped, losses are counted.
//!
//! Not kept: addresses (perf prints some relative to their image and some not, without a mark),
//! which process a thread is of when only the thread is printed, and whatever else follows in a
//! head (registers, raw data).

mod frame;
mod head;
mod read;

pub(crate) use read::{looks_like, read};
