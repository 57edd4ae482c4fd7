//! pprof: the gzipped `profile.proto` that `go tool pprof`, pprof.me, Pyroscope and others read.
//!
//! - Sample types are the profile's weights in their order (`samples/count`, `cpu/nanoseconds`);
//!   the last one is what pprof shows first, as is its habit.
//! - Samples of equal stack, thread and stack end are added up. Each carries the labels `process`,
//!   `pid`, `thread` and `tid`, and `stack_end` when its stack is not known to be whole.
//! - Each image is one mapping: that of its first mapping row, main program first. The address of
//!   a location is `memory_start - file_offset + relative address`, so `address - memory_start +
//!   file_offset` is hotproof's relative address again. It is the address at run time when the
//!   image's code lies in the file at the same distance from its base as in memory, which linkers
//!   do unless told otherwise (lld shifts each segment by a page). Kernel addresses stay as they
//!   are. An image that was never mapped begins at address 0, and the kernel
//!   then at its lowest location.
//! - Lines of a location are its inlined frames, innermost first. Code without a name is a
//!   location without lines, which pprof shows as `[file]`; its mapping says that it has no
//!   functions when nothing in it has a name. A sample without a stack has one location without
//!   mapping and lines.
//! - Command, event, rung and losses are comments.
//!
//! - Labels come after these. Comments, doc_url, default sample type, frames to drop and to keep,
//!   spelled units and the mappings' claims of a profile that came in go out as they came
//!   ([`hotproof_profile::Foreign`]).
//!
//! Reading gives each mapping an image of its own, takes comments and labels of ours for what they
//! were made from, and keeps all others as notes and labels. Units of time and memory become
//! nanoseconds and bytes; a unit that is not known counts things.
//!
//! | of a native profile | comes back from pprof as |
//! |---|---|
//! | times of samples and threads, CPUs, clock | nothing: samples of one stack, thread, end and labels are one |
//! | symbols, who named a function, how an address was obtained | nothing; addresses count as adjusted |
//! | the image that a function is in | the one that all its addresses lie in, else none |
//! | file of a line that is not its function's own | the function's |
//! | line or column 0, a file without a name | none |
//! | mappings of an image but the first | nothing |
//! | kind of an image | what its path tells: `[kernel...]`, `[vdso]`, `*.ko`, `/tmp/perf-*.map`, or ELF; code made at run time in a file of another name is in `[jit]` |
//! | unresolved and unknown locations | unknown where the image has named ones, else unresolved |
//! | a sample without a stack | a stack of one unknown location |
//! | command | one text; rate: a period; host, exit, CPU times: nothing |
//! | label that is the number 0 without a unit | an empty text |
//! | no weights at all | one that counts samples |
//!
//! | of a foreign pprof profile | is dropped, and [`crate::import::Imported::dropped`] says so |
//! |---|---|
//! | that a location stands for several addresses (`is_folded`) | yes |
//! | negative times and period; lines and columns outside of 32 bits | yes |
//! | a build-id that is not lower case hexadecimal | yes |
//! | the number of a label that is a text too; fields of no known number | yes |

mod build;
mod comments;
mod differential;
mod labels;
mod owners;
mod read;
mod samples;
mod schema;
mod units;
mod wire;
mod world;

use std::io::Write;

use flate2::{Compression, GzBuilder};
use hotproof_profile::Profile;
use prost::Message;

use crate::WriteError;
use crate::folded::Options;
use crate::viewer::{self, Fact};
pub use differential::write_differential;
pub(crate) use read::{looks_like, read};
pub(crate) use units::meaning;

/// Writes a gzipped `profile.proto`. Equal profiles give equal bytes: the gzip header has no time.
/// Returns what the format could not carry, in words, such as `symbols`.
///
/// # Errors
/// [`WriteError::Invalid`] when rows refer to rows that do not exist, and those of `out`.
pub fn write(profile: &Profile, out: impl Write) -> Result<Vec<String>, WriteError> {
    profile.validate()?;
    write_message(&build::build(profile), out)?;
    let lost = [Fact::Machine, Fact::Times, Fact::Cpus, Fact::Symbols];
    let carried: Vec<Fact> = Fact::all().filter(|fact| !lost.contains(fact)).collect();
    Ok(viewer::losses(profile, &Options::default(), &carried))
}

fn write_message(message: &schema::Profile, out: impl Write) -> Result<(), WriteError> {
    let mut gzip = GzBuilder::new().mtime(0).write(out, Compression::default());
    gzip.write_all(&message.encode_to_vec())?;
    gzip.finish()?.flush()?;
    Ok(())
}
