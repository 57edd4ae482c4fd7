//! A piece of the program itself, recorded while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use hotproof_profile::Profile;

use crate::error::RecordError;
use crate::recorder::Recorder;
use crate::recording::{Progress, Recording};
use crate::request::{Attach, Sampling, Whom};

/// What came of a closure, and what was seen of it.
#[derive(Debug)]
pub struct Recorded<T> {
    /// What it returned.
    pub value: T,
    /// What it cost and how it was sampled.
    pub recording: Recording,
    /// Its samples: addresses, which a symbolizer names.
    pub profile: Profile,
}

/// Runs a closure on this thread and samples it, with all threads and processes that it starts.
///
/// `how` says at which rate and how stacks are taken; whom it names is of no account. Another
/// thread records. It needs perf events, for no thread may stop its own process by ptrace.
///
/// ```
/// use hotproof_profiler::{Attach, RecordError, record_closure};
///
/// let work = || (1..20_000_000u64).fold(7, |sum: u64, n| sum.rotate_left(5) ^ n);
/// match record_closure(Attach::new([]), work) {
///     Ok(recorded) => {
///         let samples = recorded.profile.sample_count();
///         println!("{}: {samples} samples, {} ns", recorded.value, recorded.recording.counts.cpu_ns);
///     }
///     Err(RecordError::CannotAttach(refusal)) => println!("not sampled: {refusal}"),
///     Err(error) => return Err(error),
/// }
/// # Ok::<(), RecordError>(())
/// ```
///
/// # Errors
/// As [`Recorder::attach`]; the closure has not run then. An error after it has begun is returned
/// when it has ended.
///
/// # Panics
/// When the closure panics, when it has been recorded.
pub fn record_closure<T>(
    how: Attach,
    work: impl FnOnce() -> T,
) -> Result<Recorded<T>, RecordError> {
    let stop = Arc::new(AtomicBool::new(false));
    let attach = Attach {
        pids: vec![std::process::id()],
        whom: Whom::Thread(
            rustix::thread::gettid()
                .as_raw_nonzero()
                .get()
                .cast_unsigned(),
        ),
        sampling: Sampling::EventsOnly,
        stop: Arc::clone(&stop),
        ..how
    };
    let (begun, has_begun) = mpsc::channel();
    std::thread::scope(|scope| {
        let recorder = scope.spawn(move || {
            let mut profile = Profile::default();
            // The first news come when everything is open and has begun.
            let mut begun = Some(begun);
            let mut progress = |_: &Progress| {
                if let Some(begun) = begun.take() {
                    // Nobody waits any more when the closure's thread is gone.
                    let _ = begun.send(());
                }
            };
            let recording = Recorder::new().attach(&attach, &mut profile, &mut progress)?;
            Ok((recording, profile))
        });
        let ended = Ended(&stop);
        let value = match has_begun.recv() {
            Ok(()) => Some(work()),
            // It failed before it began, and says why below.
            Err(_) => None,
        };
        drop(ended);
        let joined = recorder.join();
        let (recording, profile) =
            joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(Recorded {
            value: value.expect("a recording that did not begin is an error"),
            recording,
            profile,
        })
    })
}

/// Ends the recording, also when the closure panics.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
