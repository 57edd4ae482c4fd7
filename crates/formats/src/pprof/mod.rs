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
//! What is lost: times of single samples, CPUs, symbols, who named a function, the file of a line
//! where it is not the function's own, and of a mapping table everything but one row for each
//! image.

mod build;
mod schema;
mod world;

use std::io::Write;

use flate2::{Compression, GzBuilder};
use hotproof_profile::Profile;
use prost::Message;

use crate::WriteError;

/// Writes a gzipped `profile.proto`. Equal profiles give equal bytes: the gzip header has no time.
///
/// # Errors
/// [`WriteError::Invalid`] when rows refer to rows that do not exist, and those of `out`.
pub fn write(profile: &Profile, out: impl Write) -> Result<(), WriteError> {
    profile.validate()?;
    let message = build::build(profile);
    let mut gzip = GzBuilder::new().mtime(0).write(out, Compression::default());
    gzip.write_all(&message.encode_to_vec())?;
    gzip.finish()?.flush()?;
    Ok(())
}
