//! One thread that is watched, and what `/proc` says of threads and processes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use super::clock::{Account, ThreadClock};

/// A thread's name is read again after this long: no event tells of a new one.
const NAME_AGE: Duration = Duration::from_millis(250);
/// The mode bits of programs that run with their owner's or group's privileges.
const SET_ID_BITS: u32 = 0o6000;

/// How many CPUs there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cpus {
    /// The watcher and the watched share it.
    One,
    /// The watcher mostly runs beside the watched.
    Several,
}

/// A thread that is watched.
#[derive(Debug)]
pub(super) struct Seized {
    /// Its process.
    pub(super) pid: i32,
    /// Whether it was asked to stop and has not done so yet.
    pub(super) interrupted: bool,
    clock: ThreadClock,
    /// CPU time at the sample before.
    sampled_ns: u64,
    /// Turns when it last stopped for us: while there was no other, it waits for a CPU.
    stopped_turns: Option<u64>,
    /// The account at the tick before.
    looked: Account,
    /// Whether it ran at the tick before: then it may run still, although its account, which the
    /// scheduler keeps by ticks of its own, has not moved.
    ran: bool,
    name: Option<String>,
    named: Option<Instant>,
}

impl Seized {
    /// A thread whose CPU time counts from `from_ns` on; from now on when that is `None`.
    pub(super) fn new(pid: i32, tid: i32, from_ns: Option<u64>) -> Seized {
        let clock = ThreadClock::new(pid, tid);
        let now = clock.account().map(|account| account.cpu_ns);
        let from_ns = from_ns.or(now).unwrap_or(0);
        Seized {
            pid,
            interrupted: false,
            clock,
            sampled_ns: from_ns,
            stopped_turns: None,
            looked: Account {
                cpu_ns: from_ns,
                turns: 0,
            },
            ran: true,
            name: None,
            named: None,
        }
    }

    /// CPU time that it has used so far; `None` when it is gone.
    pub(super) fn cpu_ns(&self) -> Option<u64> {
        self.clock.account().map(|account| account.cpu_ns)
    }

    /// Whether it runs now and may be interrupted.
    pub(super) fn runs_on(&mut self) -> bool {
        let Some(account) = self.clock.account().filter(|_| !self.interrupted) else {
            return false;
        };
        let moved = account.cpu_ns != self.looked.cpu_ns;
        self.looked = account;
        if self.stopped_turns == Some(account.turns) {
            // To interrupt it would cost it its turn as soon as that comes, again and again.
            return false;
        }
        self.ran = (moved || self.ran) && self.clock.is_running();
        self.ran
    }

    /// CPU time since the last sample, now that it has stopped for one; `None` when it used none,
    /// or when where it stands does not stand for that.
    ///
    /// A thread that was ready but had no CPU when it was interrupted gets a turn before it stops.
    /// If it then stands in a system call, it had most likely just been woken in it, and its time
    /// was used before it began to wait, elsewhere: that is left to the next sample. On a machine
    /// of one CPU we take the turn from whoever runs, so that turns tell nothing.
    pub(super) fn advance(&mut self, in_call: bool, cpus: Cpus) -> Option<u64> {
        let Account { cpu_ns, turns } = self.clock.account()?;
        self.stopped_turns = Some(turns);
        if in_call && turns != self.looked.turns && cpus == Cpus::Several {
            return None;
        }
        let advance = cpu_ns.checked_sub(self.sampled_ns).filter(|&ns| ns > 0)?;
        self.sampled_ns = cpu_ns;
        Some(advance)
    }

    /// Its name as it is now.
    pub(super) fn name(&self) -> Option<String> {
        self.clock.name()
    }

    /// Its name, when that was looked up long ago and is another one now.
    pub(super) fn new_name(&mut self) -> Option<String> {
        if self.named.is_some_and(|at| at.elapsed() < NAME_AGE) {
            return None;
        }
        self.named = Some(Instant::now());
        let name = self.clock.name();
        if name.is_none() || name == self.name {
            return None;
        }
        self.name.clone_from(&name);
        name
    }
}

/// A field of `/proc/TID/status`.
fn status_field(tid: i32, field: &str) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.strip_prefix(':')?.trim().parse().ok()
}

/// The process of a thread.
pub(super) fn process_of(tid: i32) -> Option<i32> {
    status_field(tid, "Tgid")
}

/// Whether this thread is the one that has seized another.
pub(super) fn tracer_is(tid: i32) -> bool {
    let own = rustix::thread::gettid().as_raw_nonzero().get();
    status_field(tid, "TracerPid") == Some(own)
}

/// Who reaps a process that we watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// This process, its parent.
    Ours,
    /// Somebody else, who gets to know of its end when we have taken it.
    Not,
}

/// Who reaps a process.
pub(super) fn kept(pid: i32) -> Kept {
    let own = std::process::id().try_into().ok();
    match status_field(pid, "PPid") {
        parent if parent == own => Kept::Ours,
        _ => Kept::Not,
    }
}

/// A note when a process has executed a set-user-id program: the kernel runs those without their
/// privileges while they are watched (`cap_bprm_creds_from_file` in security/commoncap.c), unless
/// the watcher is privileged itself.
pub(super) fn sheds_privileges(pid: i32) -> Option<String> {
    let link = format!("/proc/{pid}/exe");
    let facts = fs::metadata(&link).ok()?;
    if facts.mode() & SET_ID_BITS == 0 || rustix::process::geteuid().is_root() {
        return None;
    }
    let program = fs::read_link(&link).ok()?;
    Some(format!(
        "{} is a set-user-id program; watched without perf events it ran without its owner's \
         privileges.",
        program.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This process is its own thread's, nobody watches it, and a child of it is kept.
    #[test]
    fn processes_are_known_by_their_status() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(process_of(own), Some(own));
        assert_eq!(process_of(i32::MAX), None);
        assert!(!tracer_is(own));
        assert_eq!(kept(own), Kept::Not);
        let mut child = std::process::Command::new("sleep")
            .arg("9")
            .spawn()
            .unwrap();
        assert_eq!(kept(child.id().try_into().unwrap()), Kept::Ours);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A thread that has had no turn since it stopped for a sample is not interrupted again, and is
    /// once it had one.
    #[test]
    fn who_waits_for_a_turn_is_left_alone() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        std::thread::sleep(Duration::from_millis(1));
        let mut thread = Seized::new(pid, tid, Some(0));
        assert!(thread.runs_on());
        thread.advance(false, Cpus::Several);
        // The account says nothing of a turn that goes on; this one began before.
        let waits = (0..100).any(|_| {
            thread.stopped_turns = Some(thread.clock.account().unwrap().turns);
            !thread.runs_on()
        });
        std::thread::sleep(Duration::from_millis(1));
        assert!(waits && thread.runs_on());
    }

    /// CPU time counts once.
    #[test]
    fn an_advance_is_told_once() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        // The account is brought up to date when the thread gives up its CPU.
        std::thread::sleep(Duration::from_millis(1));
        let mut thread = Seized::new(pid, tid, Some(0));
        assert!(thread.runs_on());
        assert!(thread.advance(false, Cpus::Several).unwrap() > 0);
        thread.looked.turns += 1;
        assert_eq!(thread.advance(true, Cpus::Several), None);
        assert_eq!(thread.new_name(), thread.name());
        assert_eq!(thread.new_name(), None);
    }
}
