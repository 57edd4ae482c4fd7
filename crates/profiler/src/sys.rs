//! System calls that have no safe wrapper: fork with a child that waits, wait4, one perf ioctl.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;

use perf_event::Counter;
use rustix::process::Pid;

/// `PERF_EVENT_IOC_SET_OUTPUT`, `_IO('$', 5)` in `linux/perf_event.h`.
const IOC_SET_OUTPUT: libc::Ioctl = 0x2405;

/// `CLONE_INTO_CGROUP` of `linux/sched.h`, beyond 32 bits.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

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
    /// Largest resident set of one process.
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

/// Everything that the child needs between fork and exec, made before the fork: a child of a
/// program with threads may not even allocate memory.
#[derive(Debug)]
pub(crate) struct ChildPlan {
    /// The program's path.
    pub(crate) program: CString,
    /// Arguments, the program's name first.
    pub(crate) arguments: Vec<CString>,
    /// `NAME=value`.
    pub(crate) environment: Vec<CString>,
    /// Working directory.
    pub(crate) directory: Option<CString>,
    /// Descriptors above 2 that become 0, 1 and 2.
    pub(crate) redirects: [Option<RawFd>; 3],
    /// The directory of the control group that the child is born into.
    pub(crate) cgroup: Option<RawFd>,
    /// Whether the child leads a process group of its own.
    pub(crate) own_group: bool,
    /// The child reads one byte here before it goes on.
    pub(crate) release_read: RawFd,
    /// The parent's end of that pipe, which the child must close: otherwise it would never see its
    /// end when the parent dies.
    pub(crate) release_write: RawFd,
    /// The child reports a failure here; the pipe closes with a successful exec.
    pub(crate) report_write: RawFd,
}

/// What the child was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Joining its process group, or setting up signals and descriptors.
    Prepare,
    /// Entering its directory.
    Directory,
    /// `execve`.
    Exec,
}

impl Step {
    const ALL: [Step; 3] = [Step::Prepare, Step::Directory, Step::Exec];

    /// Reads a report: the step and the error number.
    pub(crate) fn of_report(report: [u8; 5]) -> (Step, io::Error) {
        let [step, errno @ ..] = report;
        let step = Step::ALL.get(usize::from(step)).copied();
        let error = io::Error::from_raw_os_error(i32::from_ne_bytes(errno));
        (step.unwrap_or(Step::Prepare), error)
    }
}

/// Forks a child that prepares itself, waits to be released, and then executes the program.
pub(crate) fn fork_held(plan: &ChildPlan) -> io::Result<Pid> {
    let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
        let mut list: Vec<_> = texts.iter().map(|text| text.as_ptr()).collect();
        list.push(ptr::null());
        list
    };
    let arguments = pointers(&plan.arguments);
    let environment = pointers(&plan.environment);
    let shell = c"/bin/sh";
    let mut script = vec![shell.as_ptr(), plan.program.as_ptr()];
    script.extend(&arguments[1.min(arguments.len() - 1)..]);
    let vectors = Vectors {
        arguments: &arguments,
        script: &script,
        environment: &environment,
        shell,
    };
    // SAFETY: the child calls only functions that are safe after a fork of a program with threads
    // (signal-safety(7)), on memory that was prepared before, and never returns.
    match unsafe { fork_into(plan.cgroup) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: this is the child, and both values were made before the fork.
        0 => unsafe { child(plan, &vectors) },
        pid => Ok(Pid::from_raw(pid).expect("fork returned a process id above 0")),
    }
}

/// `fork`, or the same into a control group, which spares the child the slow move to it.
///
/// # Safety
/// As for `fork` in a program with threads. Into a control group, the C library does not know of
/// the child, which must not rely on more of it than system calls.
unsafe fn fork_into(cgroup: Option<RawFd>) -> libc::pid_t {
    let Some(cgroup) = cgroup else {
        // SAFETY: the caller keeps the promise.
        return unsafe { libc::fork() };
    };
    // SAFETY: all fields are numbers, for which zero is a value.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.exit_signal = libc::SIGCHLD as u64;
    arguments.cgroup = cgroup as u64;
    // SAFETY: the structure lives through the call and its size is given; without CLONE_VM the
    // child has memory of its own, and goes on on a copy of this stack.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut arguments,
            size_of::<libc::clone_args>(),
        )
    };
    // A process id fits.
    pid as libc::pid_t
}

/// Null-terminated vectors for `execve`.
struct Vectors<'a> {
    arguments: &'a [*const libc::c_char],
    /// The same for the shell, which runs scripts that name no interpreter, as `execvp` does.
    script: &'a [*const libc::c_char],
    environment: &'a [*const libc::c_char],
    shell: &'a CStr,
}

/// The child's life up to its exec.
///
/// # Safety
/// Only in a child after a fork. `plan` and `vectors` were made by the parent.
unsafe fn child(plan: &ChildPlan, vectors: &Vectors<'_>) -> ! {
    // SAFETY: these are plain system calls on descriptors, numbers and null-terminated texts that
    // outlive them; none of them allocates or takes a lock.
    unsafe {
        libc::close(plan.release_write);
        // Whatever we ignore or block must not be inherited; Rust programs ignore SIGPIPE.
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        // No orphan when the recorder dies. The parent may have died before this took effect: then
        // the pipe below is closed at its other end.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if plan.own_group && libc::setpgid(0, 0) != 0 {
            fail(plan, Step::Prepare);
        }
        for (target, source) in (0..).zip(plan.redirects) {
            if let Some(source) = source
                && libc::dup2(source, target) < 0
            {
                fail(plan, Step::Prepare);
            }
        }
        if let Some(directory) = &plan.directory
            && libc::chdir(directory.as_ptr()) != 0
        {
            fail(plan, Step::Directory);
        }
        let mut byte = 0u8;
        loop {
            let got = libc::read(plan.release_read, (&raw mut byte).cast(), 1);
            if got == 1 {
                break;
            }
            if got == 0 || *libc::__errno_location() != libc::EINTR {
                libc::_exit(125);
            }
        }
        let environment = vectors.environment.as_ptr();
        libc::execve(
            plan.program.as_ptr(),
            vectors.arguments.as_ptr(),
            environment,
        );
        if *libc::__errno_location() == libc::ENOEXEC {
            libc::execve(vectors.shell.as_ptr(), vectors.script.as_ptr(), environment);
        }
        fail(plan, Step::Exec)
    }
}

/// Reports the last error and ends the child.
///
/// # Safety
/// As [`child`].
unsafe fn fail(plan: &ChildPlan, step: Step) -> ! {
    // SAFETY: as in `child`; the report is an array on the stack.
    unsafe {
        let [a, b, c, d] = (*libc::__errno_location()).to_ne_bytes();
        let report = [step as u8, a, b, c, d];
        libc::write(plan.report_write, report.as_ptr().cast(), report.len());
        libc::_exit(127)
    }
}
