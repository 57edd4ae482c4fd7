//! Samples a command's process tree with perf events and unwinds on the spot.
//!
//! A [`Recorder`] starts a command held before its exec, opens one sampling event for each CPU on
//! it and exact counters beside them, lets it go, and follows its threads and children until it
//! ends. What it sees goes, as it comes, into a [`hotproof_profile::Sink`]: processes, threads,
//! images, mappings, addresses, stacks, samples. It can also attach to processes that run already,
//! which go on when it ends ([`Recorder::attach`]). [`probe`] tells what the machine permits.
//!
//! [`replay`] reads recordings of perf through the same state, and [`record_closure`] samples a
//! piece of the program that calls it. All of them are a [`Sampler`], behind which other backends can
//! stand.
//!
//! Where perf events are refused, as Debian and containers refuse them to ordinary users, it stops
//! running threads for a moment by ptrace and looks at them ([`Rung::Stops`]); what it tells of
//! such a recording names the value that was read and the remedy.
//!
//! It names nothing: addresses stay addresses (the symbolizer names them), and it writes no file
//! (a sink may). It does not decide: when ptrace is refused too, it runs and counts the command
//! all the same and says why there are no samples.
//!
//! Data goes: ring bytes (`ring`) to copied records (`batch`), in time order over all rings, to
//! decoded records (`decode`), to processes, threads and mappings (`world`, `space`), registers and
//! stack bytes to return addresses (`unwind`), raw chains to stacks (`stacks`), to the sink
//! (`observer`). Stopped threads (`stops`) enter in the middle: registers and a stack that is read as
//! far as the unwinder asks.
//!
//! ```
//! use hotproof_profile::Profile;
//! use hotproof_profiler::{Recorder, Request, Sampled, Stdin};
//!
//! let mut request = Request::new(["true"]);
//! request.stdin = Stdin::Null;
//! let mut profile = Profile::default();
//! let recording = Recorder::new().record(&request, &mut profile, &mut |_| ())?;
//! assert_eq!(recording.exit, Some(hotproof_profile::Exit::Code(0)));
//! if let Sampled::No(refusal) = &recording.sampled {
//!     println!("not sampled: {refusal}");
//! }
//! # Ok::<(), hotproof_profiler::RecordError>(())
//! ```

mod attach;
mod backend;
mod batch;
mod binary;
mod cgroup;
mod clock;
mod closure;
mod counters;
mod decode;
mod error;
mod event_name;
mod events;
mod growth;
mod jitter;
mod launch;
mod machine;
mod markers;
mod notes;
mod observer;
mod off_cpu;
mod opener;
mod pace;
mod recorder;
mod recording;
mod refusal;
mod registers;
pub mod replay;
mod request;
mod ring;
mod rings;
mod run_time;
mod space;
mod stacks;
mod stops;
mod sys;
mod tail;
mod target;
mod task_stat;
mod trail;
mod unwind;
mod watch;
mod world;

pub use backend::{OfCommand, OfRunning, Replay, Sampler, TakeError};
pub use closure::{Recorded, record_closure};
pub use error::RecordError;
pub use event_name::{EventName, UnknownEvent};
pub use events::probe;
pub use hotproof_image::HeldFiles;
pub use recorder::Recorder;
pub use recording::{
    Counts, CpuSource, Ended, Ladder, Progress, Recording, Refusal, Rung, Sampled,
};
pub use request::{
    Attach, CounterSet, DEFAULT_RATE_HZ, DEFAULT_STOPS_RATE_HZ, Environment, Group,
    LARGEST_STACK_BYTES, OffCpu, Request, Sampling, StackMode, Stderr, Stdin, Stdout, Tail,
    Unsampled, Whom,
};
pub use sys::keep_children_waitable;
pub use task_stat::TaskStat;
