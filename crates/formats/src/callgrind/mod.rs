//! callgrind's profile: what kcachegrind and callgrind_annotate read, and what valgrind and
//! `go tool pprof -callgrind` write.
//!
//! The format has functions (object, file, name) with their own cost by line, and calls from a
//! line to a function with the cost of all that the callee did. It has no stacks.
//!
//! # Writing
//!
//! - Events are the profile's weights. An event of another unit than a count has it in its name,
//!   `cpu(nanoseconds)`.
//! - Each frame is a function of its own, inlined ones too. Code without a name is `[libc.so.6]`
//!   or `[unknown]`; a file or an object that is not known is `???`.
//! - A call gets the weight of each stack on which it leads to a function for the first time, so
//!   that the costs of the calls of a function add up to its total, recursion counted once. Calls
//!   back into a function that is on the stack already are left out.
//! - A function `[thread name]` calls the roots of each thread, so that every function is called
//!   and its total is what callgrind_annotate shows with `--inclusive=yes`. A profile whose format
//!   knew no threads has none.
//! - `calls=` is the profile's last weight when that is named `calls`, or else the samples; never
//!   0, for which readers take a call for the function's own cost.
//! - Names are escaped as those of folded stacks ([`crate::folded`]), but for `;` and spaces inside.
//! - Lost: the event and the machine, stacks, threads but for their names, times, labels, mappings, columns, linker's names.
//!
//! # Reading
//!
//! A cost line becomes a sample of a stack of one frame. A call becomes a sample of a stack of
//! caller and callee with the cost of the call, and another of the callee alone with that cost
//! negated. So the sum of all samples is the sum of all costs, self is each function's own cost,
//! and total is its own cost and that of its calls; callers and callees are those of the file. A
//! flame graph of it shows calls one level deep and has no meaning beyond. The last weight,
//! `calls`, counts calls. Calls of a function by itself are left out (recursion counts once).

mod graph;
mod lines;
mod names;
mod read;
mod write;

pub(crate) use read::{looks_like, read};
pub use write::write;

/// The weight that counts calls.
const CALLS: &str = "calls";
/// What valgrind writes for a file or an object that it does not know.
const UNKNOWN: &str = "???";
/// Who wrote the file, so that our escapes are undone and no others.
const CREATOR: &str = "hotproof";
