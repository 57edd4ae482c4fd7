//! The Firefox Profiler's processed JSON.
//!
//! Writing: version [`VERSION`], self-contained: nothing has to be symbolized. Each thread that has
//! samples is a thread (there is always one), in the order of the profile's; tables are shared.
//! A function of the file is a function of the profile, so that call trees and function lists
//! agree with [`Profile::code_totals`](hotproof_profile::Profile::code_totals). Each location is
//! one frame for the function that the machine code belongs to and one for each that is inlined
//! there, with address, library, linker's symbol and line. Libraries carry their build-id twice, as
//! the profiler's `codeId` and as `breakpadId`. Categories are User and Kernel. Times are
//! milliseconds since the first thing that the profile knows. A profile without times has its
//! samples one after the other, a millisecond apart. `threadCPUDelta` is the weight in
//! nanoseconds, where there is one. What the kernel lost is a marker over the whole recording,
//! since nobody knows when it was lost. Nanoseconds as weights are `tracing-ms`, in milliseconds.
//! The file is gzipped when [`Compression::Gzip`] is asked for; the web page reads both.
//!
//! Reading: versions [`OLDEST`] to [`VERSION`], gzipped or not; older, newer and unprocessed (Gecko)
//! profiles are refused by name. Frames of one address become one location. Frames whose name is
//! only an address stay unnamed, so that they can be symbolized.
//!
//! | lost | |
//! |---|---|
//! | on the way out | CPUs, labels, stack ends, linkage names, all weights but the chosen one and the CPU time, mappings, addresses and symbols above 2^32 (the kernel's), the clock's origin |
//! | on the way in | markers, counters, pages, categories, screenshots, allocations |

mod read;
mod tables;
mod write;

pub use crate::folded::Options;
pub(crate) use read::read;
pub use write::{Compression, write};

/// The version of the format that is written, and the newest that is read.
pub const VERSION: u64 = 75;
/// The oldest version that is read: since then, libraries are shared by all threads.
pub const OLDEST: u64 = 41;
