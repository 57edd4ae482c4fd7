//! Code made at run time: what the maker wrote down of it.
//!
//! Two conventions exist. A perf map is a text file with a line for each function; a jitdump has a
//! record for each, with source lines. Both only ever grow, so what is written last holds.

mod code_map;
mod jitdump;
mod names;
mod perf_map;

pub(crate) use names::{RunTimeNames, sources_of};
