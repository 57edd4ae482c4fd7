//! System calls that have no safe wrapper: fork with a child that waits, wait4, ptrace, a
//! timer, how a thread is scheduled, two perf ioctls.
#![allow(unsafe_code)]

mod fork;
mod maps;
mod prompt;
pub(crate) mod ptrace;
mod sigchld;
mod tick;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use perf_event::Counter;
use rustix::process::Pid;

pub(crate) use fork::{ChildPlan, Numbers, Step, fork_held};
pub(crate) use prompt::Prompt;
pub use sigchld::keep_children_waitable;
pub(crate) use tick::Tick;

/// `PERF_EVENT_IOC_SET_OUTPUT`, `_IO('$', 5)` in `linux/perf_event.h`.
const IOC_SET_OUTPUT: libc::Ioctl = 0x2405;

/// `PERF_EVENT_IOC_PERIOD`, `_IOW('$', 4, __u64)` there.
const IOC_PERIOD: libc::Ioctl = 0x4008_2404;

/// A counter's descriptor, borrowed.
pub(crate) fn borrow(counter: &Counter) -> BorrowedFd<'_> {
    // SAFETY: the counter owns the descriptor and keeps it open while it is borrowed.
    unsafe { BorrowedFd::borrow_raw(counter.as_raw_fd()) }
}

/// Makes an event write into the ring of another one of the same CPU.
pub(crate) fn redirect_output(event: &Counter, ring_holder: &Counter) -> io::Result<()> {
    // SAFETY: both are open perf events; the call takes no pointer.
    let result = unsafe {
        libc::ioctl(
            event.as_raw_fd(),
            IOC_SET_OUTPUT,
            ring_holder.as_raw_fd() as libc::c_ulong,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Gives an event another period, which begins now.
pub(crate) fn set_period(event: &Counter, period: u64) -> io::Result<()> {
    // SAFETY: it is an open perf event, and the kernel reads one u64, which outlives the call.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), IOC_PERIOD, &raw const period) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// What `wait4` says of a process that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reaped {
    /// The wait status, to be taken apart with `WIFEXITED` and its kin.
    pub(crate) status: i32,
    /// Of the process and the descendants it waited for.
    pub(crate) usage: Usage,
}

/// The parts of `struct rusage` that Linux fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    /// CPU time in user mode.
    pub(crate) user_ns: u64,
    /// CPU time in the kernel.
    pub(crate) system_ns: u64,
    /// Largest resident set of one process. What the process held between its fork and its exec is
    /// in it: the kernel carries it over (`exec_mmap` in `fs/exec.c`).
    pub(crate) peak_rss_bytes: u64,
    /// Minor and major page faults.
    pub(crate) page_faults: u64,
    /// Voluntary and involuntary context switches.
    pub(crate) context_switches: u64,
}

/// Reaps a child that has ended; blocks until it has.
pub(crate) fn reap(pid: Pid) -> io::Result<Reaped> {
    let mut status = 0;
    // SAFETY: all fields of `rusage` are numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to values of ours that live through the call.
        let result = unsafe { libc::wait4(pid.as_raw_nonzero().get(), &mut status, 0, &mut usage) };
        if result >= 0 {
            return Ok(Reaped {
                status,
                usage: Usage::from(&usage),
            });
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

impl From<&libc::rusage> for Usage {
    fn from(raw: &libc::rusage) -> Usage {
        let count = |value: libc::c_long| u64::try_from(value).unwrap_or(0);
        let time = |value: &libc::timeval| {
            u64::try_from(value.tv_sec).unwrap_or(0) * 1_000_000_000
                + u64::try_from(value.tv_usec).unwrap_or(0) * 1_000
        };
        Usage {
            user_ns: time(&raw.ru_utime),
            system_ns: time(&raw.ru_stime),
            // Linux counts in units of 1,024 bytes (getrusage(2)).
            peak_rss_bytes: count(raw.ru_maxrss) * 1_024,
            page_faults: count(raw.ru_minflt) + count(raw.ru_majflt),
            context_switches: count(raw.ru_nvcsw) + count(raw.ru_nivcsw),
        }
    }
}
