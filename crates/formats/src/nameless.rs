//! The thread of profiles whose format knows no threads.

use hotproof_profile::{Profile, ThreadId};

/// Whether a thread stands for "nobody said which": it and its process have neither number nor
/// name. Writers then say nothing of threads, so that an imported profile goes out as it came.
pub(crate) fn is_nameless(profile: &Profile, thread: ThreadId) -> bool {
    let thread = &profile.threads[thread];
    let process = &profile.processes[thread.process];
    let is_empty = |text| profile.strings[text].is_empty();
    thread.tid == 0 && process.pid == 0 && is_empty(thread.name) && is_empty(process.name)
}
