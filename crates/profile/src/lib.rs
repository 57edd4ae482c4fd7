//! The profile value: what was sampled, as interned columnar tables.
//!
//! A [`Profile`] is a value. It knows no files, no clock, no machine: a recorder fills it through
//! the [`Sink`] trait, a symbolizer names its locations, formats turn it into bytes and back, and
//! everything else reads it. It does not symbolize, draw or decide.
//!
//! Data goes: rows into tables (by a `Sink`), locations to frames (by a symbolizer), samples to
//! [`StackWeight`]s to [`CodeTotal`]s (here).
//!
//! ```
//! use hotproof_profile::*;
//!
//! let mut profile = Profile::default();
//! profile.weights = vec![Weight { name: "samples".into(), unit: Unit::Count }];
//! let name = profile.strings.intern("work");
//! let process = profile.processes.push(Process { pid: 1, name, start_ns: 0, end_ns: None });
//! let thread = profile.threads.push(Thread { process, tid: 1, name, start_ns: 0, end_ns: None });
//! let function = profile.functions.push(Function {
//!     name,
//!     linkage_name: name,
//!     file: None,
//!     line: None,
//!     image: None,
//!     source: Source::Import,
//! });
//! let location = profile.locations.push(Location::unresolved(None, 0x10, AddressKind::Ip));
//! profile.set_frames(location, &[Frame::of(function)]);
//! let stack = profile.stacks.push(Stack { parent: None, location });
//! let sample = Sample {
//!     thread,
//!     time_ns: 5,
//!     stack: Some(stack),
//!     weights: &[1],
//!     cpu: None,
//!     end: StackEnd::Complete,
//!     labels: None,
//! };
//! Sink::sample(&mut profile, &sample).unwrap();
//! let totals = profile.code_totals(0, Inline::Expand);
//! assert_eq!((totals[0].total, totals[0].self_weight), (1, 1));
//! ```

mod code;
mod foreign;
mod id;
mod index;
mod labels;
mod profile;
mod rows;
mod send;
mod sink;
mod stitched;
mod table;
mod totals;
pub mod transform;
mod validate;

pub use code::{Code, Inline, file_name, is_library_path};
pub use foreign::{Claims, Foreign};
pub use id::{
    FrameId, FunctionId, Id, ImageId, LabelSetId, LocationId, MappingId, ProcessId, StackId,
    StringId, SymbolId, ThreadId,
};
pub use index::{RowIndex, mix};
pub use labels::{Label, LabelValue, Labels};
pub use profile::{InvalidProfile, Profile};
pub use rows::{
    AddressKind, BLOCKED, Counter, ELAPSED, Exit, Frame, Function, Host, Image, ImageKind,
    Location, LocationState, Lost, Mapping, Meta, PREEMPTED, Process, RUN_QUEUE, Sample, Samples,
    Source, Stack, StackEnd, Symbol, Thread, Unit, WHOLE_SYSTEM, Weight,
};
pub use sink::{Sink, SinkError};
pub use table::{Strings, Table};
pub use totals::{CodeTotal, StackWeight, at_least_none, totals_of_stacks};
