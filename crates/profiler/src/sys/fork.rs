//! Forks a child that waits before its exec, and that has next to nothing of our memory.
//!
//! The kernel carries the largest resident set that a process had before `execve` over to the
//! program it becomes (`exec_mmap` in `fs/exec.c`), and a child of ours begins with a copy of our
//! heap. So all memory that the child does not need is left out of the fork (`MADV_DONTFORK`),
//! which also makes a fork as quick as that of a small process. For that moment another thread of
//! this process may not `fork` either: its child would lack the same memory. What starts processes by
//! `posix_spawn` or `vfork` shares it and is not concerned.
//!
//! Between its fork and the exec, the child uses system calls alone, by `syscall`, which needs
//! nothing but the thread's `errno`.
// `call!` widens numbers of any type and addresses alike, for which `From` has no one form.
#![allow(clippy::cast_lossless)]

use std::ffi::CString;
use std::io;
use std::ops::Range;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::Mutex;

use libc::{c_char, c_int, c_long};
use rustix::process::Pid;

use super::maps::{Kept, MapsReader, first_spare, whole_pages};

/// `CLONE_INTO_CGROUP` of `linux/sched.h`, beyond 32 bits.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// The kernel's signals are 1 to 64, its sets of them 8 bytes.
const LAST_SIGNAL: c_int = 64;
const SIGNAL_SET_BYTES: usize = 8;
/// What stays mapped around the stack pointer and the thread's own data.
const NEIGHBOURHOOD_BYTES: usize = 256 << 10;

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
    /// All the rest.
    pub(crate) numbers: Numbers,
}

/// The part of a [`ChildPlan`] that needs no memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers {
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
    // What one thread takes back another must not need yet.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock();
    let life = Life::new(plan);
    let kept = life.kept();
    let left_out = LeftOut::all_but(&kept);
    // What an earlier fork left out may have been moved meanwhile (`mremap`), mark and all. Holes in
    // these ranges are passed over.
    LeftOut::advise(&kept, libc::MADV_DOFORK);
    let masked = Masked::all()?;
    // SAFETY: the child goes its own way at once; all signals are blocked.
    let child = unsafe { clone_child(plan.numbers.cgroup) };
    if child == 0 {
        // SAFETY: this is the child. `life` was made before the fork, and all that the child uses
        // was kept: its texts, its vectors, this stack and the thread's own data; code and static
        // data are never left out.
        unsafe { child_life(&life) }
    }
    let pid = pid_of(child);
    drop(masked);
    drop(left_out);
    pid
}

fn pid_of(result: c_long) -> io::Result<Pid> {
    let pid = i32::try_from(result).ok().and_then(Pid::from_raw);
    pid.ok_or_else(io::Error::last_os_error)
}

/// Blocks all signals of this thread until it is dropped, so that no handler of ours runs in a
/// child, where its memory may be gone.
struct Masked(libc::sigset_t);

impl Masked {
    fn all() -> io::Result<Masked> {
        // SAFETY: sets of signals are numbers, for which zero is a value; both live long enough.
        let (result, before) = unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            let result = libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            (result, before)
        };
        match result {
            0 => Ok(Masked(before)),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

impl Drop for Masked {
    fn drop(&mut self) {
        // SAFETY: the set is ours; an error is impossible with a valid set.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

/// Private memory without a file that a fork does not copy until this is dropped.
struct LeftOut(Vec<Range<usize>>);

impl LeftOut {
    /// All but `kept`. Where the list of mappings cannot be read, nothing is left out, and the
    /// child's memory is as large as ours.
    fn all_but(kept: &Kept) -> LeftOut {
        let maps = std::fs::read("/proc/self/maps").unwrap_or_default();
        let mut reader = MapsReader::default();
        let mut spare = Vec::new();
        for mut range in maps.into_iter().filter_map(|byte| reader.feed(byte)) {
            while let Some(part) = first_spare(range.clone(), kept) {
                range.start = part.end;
                spare.push(part);
            }
        }
        let left_out = LeftOut(spare);
        LeftOut::advise(&left_out.0, libc::MADV_DONTFORK);
        left_out
    }

    fn advise(ranges: &[Range<usize>], advice: c_int) {
        for range in ranges {
            // SAFETY: the advice concerns the memory of future children alone. It may miss (another
            // thread has unmapped the range meanwhile), which leaves the child a larger copy, and
            // its peak of memory is read from the kernel.
            unsafe {
                libc::madvise(
                    ptr::without_provenance_mut(range.start),
                    range.len(),
                    advice,
                )
            };
        }
    }
}

impl Drop for LeftOut {
    fn drop(&mut self) {
        LeftOut::advise(&self.0, libc::MADV_DOFORK);
    }
}

/// A [`ChildPlan`] in memory of which all ranges are known.
struct Life {
    numbers: Numbers,
    /// All texts, each with its NUL: the program's path comes first.
    texts: Vec<u8>,
    /// Null-terminated vectors of texts: arguments, environment, arguments of a shell.
    vectors: Vec<*const c_char>,
    /// Where the environment begins in `vectors`.
    environment_at: usize,
    /// Where the shell's arguments begin in `vectors`: it runs scripts that name no interpreter,
    /// as `execvp` has it.
    shell_at: usize,
    /// Where the directory begins in `texts`.
    directory_at: Option<usize>,
    page_bytes: usize,
}

impl Life {
    fn new(plan: &ChildPlan) -> Life {
        let shell = CString::from(c"/bin/sh");
        let lists = [
            plan.arguments.iter().collect::<Vec<_>>(),
            plan.environment.iter().collect(),
            [&shell, &plan.program]
                .into_iter()
                .chain(plan.arguments.iter().skip(1))
                .collect(),
        ];
        let mut texts = plan.program.as_bytes_with_nul().to_vec();
        let mut starts = Vec::new();
        for text in lists.iter().flatten() {
            starts.push(texts.len());
            texts.extend(text.as_bytes_with_nul());
        }
        let directory_at = plan.directory.as_ref().map(|directory| {
            let at = texts.len();
            texts.extend(directory.as_bytes_with_nul());
            at
        });
        // The texts do not move from here on.
        let mut starts = starts.into_iter();
        let mut vectors = Vec::new();
        let mut heads = [0; 3];
        for (list, head) in lists.iter().zip(&mut heads) {
            *head = vectors.len();
            let own = starts.by_ref().take(list.len());
            vectors.extend(own.map(|at| texts[at..].as_ptr().cast::<c_char>()));
            vectors.push(ptr::null());
        }
        Life {
            numbers: plan.numbers,
            texts,
            vectors,
            environment_at: heads[1],
            shell_at: heads[2],
            directory_at,
            page_bytes: rustix::param::page_size(),
        }
    }

    /// What the child needs: its texts, this value and all that is near it on the stack, and the
    /// thread's own data.
    fn kept(&self) -> Kept {
        let texts = self.texts.as_ptr_range();
        let vectors = self.vectors.as_ptr_range();
        let here = ptr::from_ref(self).addr();
        // SAFETY: the call returns the address of a variable of this thread.
        let thread = unsafe { libc::__errno_location() }.addr();
        let around = |at: usize| {
            at.saturating_sub(NEIGHBOURHOOD_BYTES)..at.saturating_add(NEIGHBOURHOOD_BYTES)
        };
        [
            texts.start.addr()..texts.end.addr(),
            vectors.start.addr()..vectors.end.addr(),
            around(here),
            around(thread),
        ]
        .map(|range| whole_pages(range, self.page_bytes))
    }
}

/// A system call whose arguments are numbers and addresses; the result as `syscall` gives it.
///
/// `syscall` takes whole words out of its variable arguments, while of a shorter number the caller
/// need only set the lower half: so each argument is made a word here.
macro_rules! call {
    ($number:ident $(, $argument:expr)*) => {
        libc::syscall(libc::$number $(, ($argument) as c_long)*)
    };
}

/// `fork` as the kernel has it, into a control group where there is one: the C library does not
/// know of the child.
///
/// # Safety
/// In the child only system calls are safe, and signals must be blocked.
unsafe fn clone_child(cgroup: Option<RawFd>) -> c_long {
    let Some(cgroup) = cgroup else {
        // SAFETY: without `CLONE_VM` the child has memory of its own, and goes on on a copy of this
        // stack.
        return unsafe { call!(SYS_clone, libc::SIGCHLD, 0usize, 0usize, 0usize, 0usize) };
    };
    // SAFETY: all fields are numbers, for which zero is a value.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.exit_signal = libc::SIGCHLD as u64;
    arguments.cgroup = cgroup as u64;
    // SAFETY: the structure lives through the call and its size is given; otherwise as above.
    unsafe {
        call!(
            SYS_clone3,
            &raw mut arguments,
            size_of::<libc::clone_args>()
        )
    }
}

/// The child's life up to its exec.
///
/// # Safety
/// Only in a child after a fork, with all signals blocked. `life` was made by the parent.
unsafe fn child_life(life: &Life) -> ! {
    let numbers = &life.numbers;
    // SAFETY: these are plain system calls on descriptors, numbers and null-terminated texts that
    // outlive them; none of them allocates or takes a lock.
    unsafe {
        call!(SYS_close, numbers.release_write);
        forget_handlers();
        // No orphan when the recorder dies. The recorder may have died before this took effect:
        // then the pipe below is closed at its other end.
        call!(SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        if numbers.own_group && call!(SYS_setpgid, 0, 0) != 0 {
            fail(numbers, Step::Prepare);
        }
        for (target, source) in (0..).zip(numbers.redirects) {
            if let Some(source) = source
                && call!(SYS_dup3, source, target, 0) < 0
            {
                fail(numbers, Step::Prepare);
            }
        }
        if let Some(at) = life.directory_at
            && call!(SYS_chdir, life.texts.as_ptr().add(at)) != 0
        {
            fail(numbers, Step::Directory);
        }
        wait_for_release(numbers);
        // Whatever came for the whole process group meanwhile takes effect now.
        let none = 0u64;
        let unblocked = &raw const none;
        call!(
            SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            unblocked,
            0,
            SIGNAL_SET_BYTES
        );
        execute(life)
    }
}

/// Whatever we handle must not run in the child, and what Rust programs ignore must not stay so:
/// a closed pipe. What else is ignored is so by our own parent's wish.
///
/// # Safety
/// As [`child_life`].
unsafe fn forget_handlers() {
    // `struct sigaction` of the kernel: handler, flags, restorer where there is one, mask.
    let default = [0u64; 4];
    let mut before = [0u64; 4];
    for signal in 1..=LAST_SIGNAL {
        // SAFETY: both structures are as large as the kernel's on every architecture, and live
        // through the calls.
        unsafe {
            let (new, old) = (default.as_ptr(), before.as_mut_ptr());
            let nothing = ptr::null::<u64>();
            call!(SYS_rt_sigaction, signal, nothing, old, SIGNAL_SET_BYTES);
            if before[0] != libc::SIG_IGN as u64 || signal == libc::SIGPIPE {
                call!(
                    SYS_rt_sigaction,
                    signal,
                    new,
                    ptr::null::<u64>(),
                    SIGNAL_SET_BYTES
                );
            }
        }
    }
}

/// # Safety
/// As [`child_life`].
unsafe fn wait_for_release(numbers: &Numbers) {
    let mut byte = 0u8;
    loop {
        // SAFETY: the byte lives through the call.
        let got = unsafe { call!(SYS_read, numbers.release_read, &raw mut byte, 1) };
        if got == 1 {
            return;
        }
        // SAFETY: the call returns the address of a variable of this thread.
        let errno = unsafe { *libc::__errno_location() };
        if got == 0 || errno != libc::EINTR {
            // SAFETY: this is the child.
            unsafe { exit(125) }
        }
    }
}

/// # Safety
/// As [`child_life`].
unsafe fn execute(life: &Life) -> ! {
    // SAFETY: the texts are null-terminated, as are the vectors of them, and live as long as this
    // process.
    unsafe {
        let program = life.texts.as_ptr();
        let arguments = life.vectors.as_ptr();
        let environment = arguments.add(life.environment_at);
        call!(SYS_execve, program, arguments, environment);
        if *libc::__errno_location() == libc::ENOEXEC {
            let script = arguments.add(life.shell_at);
            call!(SYS_execve, *script, script, environment);
        }
        fail(&life.numbers, Step::Exec)
    }
}

/// Reports the last error and ends the child.
///
/// # Safety
/// As [`child_life`].
unsafe fn fail(numbers: &Numbers, step: Step) -> ! {
    // SAFETY: the report is an array on the stack; this is the child.
    unsafe {
        let [a, b, c, d] = (*libc::__errno_location()).to_ne_bytes();
        let report = [step as u8, a, b, c, d];
        call!(
            SYS_write,
            numbers.report_write,
            report.as_ptr(),
            report.len()
        );
        exit(127)
    }
}

/// # Safety
/// Only in a child: nothing of the parent's is flushed or run.
unsafe fn exit(code: c_int) -> ! {
    loop {
        // SAFETY: the call takes a number and does not return.
        unsafe { call!(SYS_exit_group, code) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sixth argument goes over the stack, where the upper half of a short number is whatever
    /// was there before; an offset that is no multiple of the page size is refused.
    #[test]
    fn short_numbers_arrive_as_whole_words() {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours, and
        // it is the one that is unmapped.
        unsafe {
            let page = call!(SYS_mmap, 0, 4_096, libc::PROT_READ, flags, -1, 0);
            assert!(page > 0, "{}", io::Error::last_os_error());
            assert_eq!(call!(SYS_munmap, page, 4_096), 0);
            assert_eq!(call!(SYS_close, -1), -1);
        }
    }
}
