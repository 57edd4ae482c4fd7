//! Chrome's trace event format, in JSON.
//!
//! Writing: the events `Profile` and `ProfileChunk` that V8's sampler leaves in a trace, one pair
//! for each thread that has samples, with `process_name` and `thread_name`. Perfetto, the DevTools
//! of Chrome, the Firefox Profiler and speedscope read them as samples; slices (`X` events) would
//! be markers to the Firefox Profiler. A sample lasts as long as its weight: nanoseconds are
//! microseconds with three decimals, and of other units one is shown as a millisecond; `weight` in
//! the metadata says what that is, and we read it again as what it was. Samples lie
//! where they were taken, as long as they do not overlap; where they would, they follow each
//! other, and gaps are `(idle)`. A function is a call frame with the file and line where it is
//! declared, and one that is named `(root)` or `(idle)`, which viewers take for no work, is in
//! brackets. A thread whose numbers are unknown or taken gets a number of its own.
//!
//! The viewers differ in what they make of a sample: the DevTools, Perfetto and speedscope add up
//! time, as written; the Firefox Profiler counts samples that are at least half a millisecond
//! apart.
//!
//! Reading, the first of these that the file has:
//!
//! - `Profile`, `ProfileChunk` and `CpuProfile` events, as V8's `.cpuprofile`;
//! - `stackFrames` with `samples`, each of which has a weight or counts one;
//! - slices (`X`, or `B` and `E`) of threads, as stacks: a sample for each stretch of time in which
//!   the same slices are open. `args.filename` and `args.line` name the function's place.
//!
//! A list that is not closed is read, as the format demands; other events are counted and dropped.
//!
//! | lost on the way out | |
//! |---|---|
//! | the event, the machine, all weights but one, CPUs, labels, stack ends, addresses, images, linkage names, executed lines, the exact times of samples | [`write()`] says which of them the profile had |

mod events;
mod read;
mod slices;
mod weight;
mod write;

pub(crate) use read::read;
pub use write::write;

pub use crate::folded::Options;
