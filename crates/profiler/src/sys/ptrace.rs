//! Threads that are stopped and looked at: the system call `ptrace`, waiting for stops, and reading
//! another process's memory.
//!
//! All calls about a thread come from the thread that seized it (ptrace(2)).
// The C libraries do not agree on the type of these numbers.
#![allow(clippy::cast_lossless, clippy::unnecessary_cast)]

use std::{io, ptr};

use libc::{c_int, c_long, c_void};

use crate::registers::Registers;

/// Forks, clones and execs are told by a stop of their own, and what a thread starts is seized from
/// its first instruction on. Without `PTRACE_O_EXITKILL`: when we die, the threads go on.
const OPTIONS: c_int = libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC;

/// Why a thread stopped, out of a wait status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    /// It ended.
    Ended,
    /// A signal is about to be delivered.
    Signal(i32),
    /// It started a process or thread; [`event_message`] has its number.
    Started,
    /// Its process executes another program; [`event_message`] has the number that the thread had.
    Executed,
    /// Its process was stopped by this signal, and stays so until it is continued.
    Group,
    /// We interrupted it, or it has just been started.
    Trap,
}

impl Halt {
    fn of(status: c_int) -> Halt {
        if !libc::WIFSTOPPED(status) {
            return Halt::Ended;
        }
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                Halt::Started
            }
            libc::PTRACE_EVENT_EXEC => Halt::Executed,
            0 => Halt::Signal(signal),
            _ => match signal {
                libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => Halt::Group,
                _ => Halt::Trap,
            },
        }
    }
}

/// A request that takes numbers alone: the kernel writes to no memory of ours.
fn request(what: c_long, tid: i32, address: usize, data: usize) -> io::Result<()> {
    let data = ptr::without_provenance_mut(data);
    // SAFETY: none of the requests that are made with numbers has the kernel read or write `data`
    // as an address (ptrace(2)).
    unsafe { request_at(what, tid, address, data) }
}

/// A request for which the kernel reads or writes what `data` points to.
///
/// # Safety
/// `data` must point to a value of the type that the request is documented to use, which may be
/// written to during the call, and so must whatever that value points to in its turn.
unsafe fn request_at(what: c_long, tid: i32, address: usize, data: *mut c_void) -> io::Result<()> {
    let address = ptr::without_provenance_mut::<c_void>(address);
    // SAFETY: by the caller's promise; the call itself takes four words.
    let result = unsafe { libc::syscall(libc::SYS_ptrace, what, c_long::from(tid), address, data) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Begins to watch a thread, without stopping it.
pub(crate) fn seize(tid: i32) -> io::Result<()> {
    request(libc::PTRACE_SEIZE as c_long, tid, 0, OPTIONS as usize)
}

/// Makes a thread stop at its next moment in user mode.
pub(crate) fn interrupt(tid: i32) -> io::Result<()> {
    request(libc::PTRACE_INTERRUPT as c_long, tid, 0, 0)
}

/// Lets a stopped thread go on, with a signal or (0) none.
pub(crate) fn resume(tid: i32, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_CONT as c_long, tid, 0, signal as usize)
}

/// Leaves a thread in its group's stop, from which SIGCONT will wake it as if nobody watched.
pub(crate) fn listen(tid: i32) -> io::Result<()> {
    request(libc::PTRACE_LISTEN as c_long, tid, 0, 0)
}

/// Lets go of a stopped thread for good, with a signal or (0) none.
pub(crate) fn detach(tid: i32, signal: i32) -> io::Result<()> {
    request(libc::PTRACE_DETACH as c_long, tid, 0, signal as usize)
}

/// What the event of a stopped thread is about: the number of a thread.
pub(crate) fn event_message(tid: i32) -> io::Result<i32> {
    let mut message: libc::c_ulong = 0;
    let data = (&raw mut message).cast();
    // SAFETY: this request writes an `unsigned long`, which `message` is.
    unsafe { request_at(libc::PTRACE_GETEVENTMSG as c_long, tid, 0, data) }?;
    i32::try_from(message).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Where a stopped thread stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// User registers; `None` when it runs 32-bit code.
    pub(crate) registers: Option<Registers>,
    /// Whether it is about to return from a system call.
    pub(crate) in_call: bool,
}

/// Where a stopped thread stands.
pub(crate) fn standing(tid: i32) -> io::Result<Standing> {
    // SAFETY: all fields are numbers, for which zero is a value.
    let mut raw: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    let mut place = libc::iovec {
        iov_base: (&raw mut raw).cast(),
        iov_len: size_of_val(&raw),
    };
    let set = libc::NT_PRSTATUS as usize;
    let data = (&raw mut place).cast();
    // SAFETY: this request takes an `iovec`, and writes at most its length to where it points, which
    // is `raw` and nothing beyond.
    unsafe { request_at(libc::PTRACE_GETREGSET as c_long, tid, set, data) }?;
    // The set of a 32-bit task is shorter.
    let whole = place.iov_len == size_of_val(&raw);
    Ok(Standing {
        registers: whole.then(|| Registers::of_user(&raw)),
        in_call: whole && in_call(tid, &raw),
    })
}

/// Interrupts and faults leave -1 where system calls leave their number
/// (arch/x86/entry/entry_64.S).
#[cfg(target_arch = "x86_64")]
fn in_call(_tid: i32, raw: &libc::user_regs_struct) -> bool {
    raw.orig_rax.cast_signed() >= 0
}

/// The same is a register set of its own.
#[cfg(target_arch = "aarch64")]
fn in_call(tid: i32, _raw: &libc::user_regs_struct) -> bool {
    /// `NT_ARM_SYSTEM_CALL` of `linux/elf.h`.
    const SYSTEM_CALL: usize = 0x404;
    let mut number: c_int = -1;
    let mut place = libc::iovec {
        iov_base: (&raw mut number).cast(),
        iov_len: size_of_val(&number),
    };
    let data = (&raw mut place).cast();
    // SAFETY: as in `standing`: the `iovec` points to `number` and has its length.
    let asked = unsafe { request_at(libc::PTRACE_GETREGSET as c_long, tid, SYSTEM_CALL, data) };
    asked.is_ok() && number >= 0
}

/// A thread that has something to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Its number.
    pub(crate) tid: i32,
    /// Whether it has ended; otherwise it has stopped.
    pub(crate) ended: bool,
}

/// Whom [`wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Any child of this thread, and any thread that it has seized; for as long as it takes.
    Any,
    /// One of them, if it has something to tell by now.
    Now(i32),
}

/// Waits for something to tell. `None` when a signal came first, or nobody has anything. What there
/// is stays to be taken.
pub(crate) fn wait(who: Who) -> io::Result<Option<Waiting>> {
    // SAFETY: the structure holds numbers and addresses, for which zero is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT | libc::__WALL | libc::__WNOTHREAD;
    let (kind, id, flags) = match who {
        Who::Any => (libc::P_ALL, 0, flags),
        Who::Now(tid) => (libc::P_PID, tid.unsigned_abs(), flags | libc::WNOHANG),
    };
    // SAFETY: `info` lives through the call.
    let result = unsafe { libc::waitid(kind, id, &mut info, flags) };
    if result != 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        };
    }
    // SAFETY: waitid fills this field, or leaves it zero when there is nobody.
    let tid = unsafe { info.si_pid() };
    let ended = [libc::CLD_EXITED, libc::CLD_KILLED, libc::CLD_DUMPED].contains(&info.si_code);
    Ok((tid != 0).then_some(Waiting { tid, ended }))
}

/// Takes what a thread has to tell; `None` when it has nothing. An error means that it is none of
/// ours, or no more.
pub(crate) fn take_halt(tid: i32) -> io::Result<Option<Halt>> {
    let mut status = 0;
    let flags = libc::__WALL | libc::WNOHANG;
    loop {
        // SAFETY: the status is a value of ours that lives through the call.
        let result = unsafe { libc::waitpid(tid, &mut status, flags) };
        if result > 0 {
            return Ok(Some(Halt::of(status)));
        }
        if result == 0 {
            return Ok(None);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Reads memory of a process into `into`; returns how many bytes could be read, from the first on.
pub(crate) fn read_memory(pid: i32, address: u64, into: &mut [u8]) -> io::Result<usize> {
    let Ok(address) = usize::try_from(address) else {
        return Ok(0);
    };
    let ours = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    let theirs = libc::iovec {
        iov_base: ptr::without_provenance_mut::<c_void>(address),
        iov_len: into.len(),
    };
    // SAFETY: the kernel writes at most `into.len()` bytes to `into`; the other address belongs to
    // the other process and is only read.
    let got = unsafe { libc::process_vm_readv(pid, &ours, 1, &theirs, 1, 0) };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Statuses as ptrace(2) gives them: the signal in the second byte, the event above.
    #[test]
    fn statuses_are_told_apart() {
        let stopped = |signal: i32, event: i32| 0x7f | signal << 8 | event << 16;
        let cases = [
            (0, Halt::Ended),
            (9, Halt::Ended),
            (stopped(libc::SIGUSR1, 0), Halt::Signal(libc::SIGUSR1)),
            (stopped(libc::SIGTRAP, 0), Halt::Signal(libc::SIGTRAP)),
            (stopped(libc::SIGTRAP, 1), Halt::Started),
            (stopped(libc::SIGTRAP, 2), Halt::Started),
            (stopped(libc::SIGTRAP, 3), Halt::Started),
            (stopped(libc::SIGTRAP, 4), Halt::Executed),
            (stopped(libc::SIGTRAP, 128), Halt::Trap),
            (stopped(libc::SIGTSTP, 128), Halt::Group),
            (stopped(libc::SIGSTOP, 128), Halt::Group),
        ];
        for (status, halt) in cases {
            assert_eq!(Halt::of(status), halt, "{status:#x}");
        }
    }

    /// Our own memory is as good as another's; what is not mapped ends the reading.
    #[test]
    fn memory_is_read_as_far_as_it_goes() {
        let ours = [7u8; 100];
        let mut copy = [0u8; 100];
        let pid = i32::try_from(std::process::id()).unwrap();
        let address = ours.as_ptr().addr() as u64;
        assert_eq!(read_memory(pid, address, &mut copy).unwrap(), 100);
        assert_eq!(copy, ours);
        assert!(read_memory(pid, 16, &mut copy).is_err());
    }
}
