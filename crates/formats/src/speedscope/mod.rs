//! speedscope's own JSON.
//!
//! Writing: one sampled profile for each thread that has samples, in the order of the profile's
//! threads, the heaviest shown first. Frames are functions, one row each, so that speedscope's
//! sandwich view has one line a function, with the weights that
//! [`Profile::code_totals`](hotproof_profile::Profile::code_totals) has; their file and line are
//! where the function is declared. Samples are in the order of their times, and samples of equal
//! stack that follow each other are one, which is what speedscope makes of them anyway. A sample
//! without a stack is one of `[unknown]`. Weights are whole numbers, in nanoseconds, bytes, or
//! without a unit; numbers above 2^53 lose digits in a browser.
//!
//! Reading: sampled and evented profiles, each of which is a thread; fields that are null count as
//! absent. Seconds, milliseconds and microseconds become nanoseconds. An evented profile becomes
//! one sample for each stretch between two events. A frame is a function of its own for each name,
//! file and line.
//!
//! | lost on the way out | |
//! |---|---|
//! | the event, the machine, all weights but one, times, CPUs, labels, stack ends, addresses, images, linkage names, executed lines | [`write()`] says which of them the profile had |
//!
//! The format is described by the JSON schema that ships with speedscope.

mod read;
mod write;

pub(crate) use read::read;
pub use write::write;

pub use crate::folded::Options;
