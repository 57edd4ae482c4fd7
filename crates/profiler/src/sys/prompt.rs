//! A recorder that gets a CPU when it needs one.
//!
//! It sleeps nearly all the time, but what it does not read in time is lost, and beside many busy
//! threads its turn may come after a hundred milliseconds. What it uses is the same either way.

use libc::{c_int, c_long, sched_attr};

/// The shortest turn that a thread may ask for, nanoseconds (`sched_setattr(2)`, since Linux 6.12):
/// whoever asks for short turns gets them sooner. Earlier kernels pass it over.
const SHORTEST_TURN_NS: u64 = 100_000;
/// What the recorder's nice value is lowered to where that is permitted.
const NICE: c_int = -10;

/// This thread is served promptly until this is dropped.
#[derive(Debug)]
pub(crate) struct Prompt {
    /// As it was; `None` when nothing was changed.
    before: Option<sched_attr>,
}

impl Prompt {
    /// Asks for it, as far as the system permits. What is started meanwhile inherits it: a target is
    /// forked before.
    pub(crate) fn ask() -> Prompt {
        // Whoever has chosen another policy knows why.
        let before = read().filter(|was| was.sched_policy == libc::SCHED_OTHER.cast_unsigned());
        let asked = before.filter(|was| {
            let sooner = sched_attr {
                sched_runtime: SHORTEST_TURN_NS,
                ..*was
            };
            let first = sched_attr {
                sched_nice: was.sched_nice.min(NICE),
                ..sooner
            };
            write(&first) || write(&sooner)
        });
        Prompt { before: asked }
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // To be nicer than one is, is always permitted.
            write(before);
        }
    }
}

/// How this thread is scheduled; `None` when the kernel does not say.
fn read() -> Option<sched_attr> {
    // SAFETY: all fields are numbers, for which zero is a value.
    let mut attr: sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<sched_attr>();
    // SAFETY: the kernel writes at most `size` bytes into the structure, which outlives the call.
    let result: c_long =
        unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) };
    (result == 0).then_some(attr)
}

/// Whether this thread is scheduled so from now on.
fn write(attr: &sched_attr) -> bool {
    // SAFETY: the kernel reads as many bytes as the structure says that it has, and it outlives the
    // call.
    let result: c_long =
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, std::ptr::from_ref(attr), 0) };
    result == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread is scheduled afterwards as it was before, whatever was permitted meanwhile; another
    /// policy is left alone.
    #[test]
    fn what_was_changed_is_taken_back() {
        let seen = || {
            let now = read().unwrap();
            (now.sched_policy, now.sched_nice, now.sched_runtime)
        };
        let before = seen();
        let prompt = Prompt::ask();
        let during = seen();
        assert!(prompt.before.is_some());
        assert!(during.1 <= before.1, "{during:?}");
        drop(prompt);
        assert_eq!(seen(), before);

        let batch = sched_attr {
            sched_policy: libc::SCHED_BATCH.cast_unsigned(),
            ..read().unwrap()
        };
        assert!(write(&batch));
        assert!(Prompt::ask().before.is_none());
    }
}
