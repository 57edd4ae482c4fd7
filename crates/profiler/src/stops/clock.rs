//! How much CPU time a thread has used, and whether it runs, by its files in `/proc`.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use crate::task_stat::TaskStat;

/// What the scheduler keeps of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    /// CPU time so far.
    pub(super) cpu_ns: u64,
    /// How often it was given a CPU.
    pub(super) turns: u64,
}

/// The accounts of one thread.
#[derive(Debug)]
pub(super) struct ThreadClock {
    pid: i32,
    tid: i32,
    /// Kept open, because it is read with every tick; `None` where no more files may be open.
    schedstat: Option<File>,
}

impl ThreadClock {
    /// The accounts of a thread of process `pid`.
    pub(super) fn new(pid: i32, tid: i32) -> ThreadClock {
        ThreadClock {
            pid,
            tid,
            schedstat: File::open(path(pid, tid, "schedstat")).ok(),
        }
    }

    /// CPU time and turns so far: the first and the third number of `schedstat`. The kernel brings
    /// the time up to date when the thread stops and, while it runs, with every tick of the
    /// scheduler. `None` when the thread is gone.
    pub(super) fn account(&self) -> Option<Account> {
        let mut bytes = [0; 80];
        let got = match &self.schedstat {
            Some(file) => file.read_at(&mut bytes, 0).ok()?,
            None => {
                let file = File::open(path(self.pid, self.tid, "schedstat")).ok()?;
                file.read_at(&mut bytes, 0).ok()?
            }
        };
        parse(&bytes[..got])
    }

    /// Whether it runs or is ready to: state `R` of `/proc/PID/task/TID/stat`.
    pub(super) fn is_running(&self) -> bool {
        let (pid, tid) = (self.pid.unsigned_abs(), self.tid.unsigned_abs());
        TaskStat::of_thread(pid, tid).is_some_and(|stat| stat.is_ready())
    }

    /// The thread's name; `None` when it is gone.
    pub(super) fn name(&self) -> Option<String> {
        let name = fs::read_to_string(path(self.pid, self.tid, "comm")).ok()?;
        Some(name.trim_end_matches('\n').to_owned())
    }
}

fn path(pid: i32, tid: i32, file: &str) -> String {
    format!("/proc/{pid}/task/{tid}/{file}")
}

fn parse(bytes: &[u8]) -> Option<Account> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    let cpu_ns = numbers.next()?.ok()?;
    let turns = numbers.nth(1)?.ok()?;
    Some(Account { cpu_ns, turns })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This very thread runs, has a name and has used CPU time; one that is not there has none.
    #[test]
    fn this_thread_runs() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        let clock = ThreadClock::new(pid, tid);
        // The account is brought up to date when the thread gives up its CPU.
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(clock.is_running());
        assert!(clock.account().unwrap().cpu_ns > 0);
        assert!(clock.name().is_some());
        let none = ThreadClock::new(pid, i32::MAX);
        assert_eq!((none.account(), none.name()), (None, None));
        assert!(!none.is_running());
    }

    #[test]
    fn time_comes_first_and_turns_third() {
        let (cpu_ns, turns) = (12, 4);
        assert_eq!(parse(b"12 3 4\n"), Some(Account { cpu_ns, turns }));
        for none in [&b""[..], b"\n", b"x 1 2", b"1 2", b"\xff"] {
            assert_eq!(parse(none), None);
        }
    }
}
