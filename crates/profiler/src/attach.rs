//! Processes that run already: what they are, how long they are watched, and what they used.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags};

use crate::decode::Mmap;
use crate::error::RecordError;
use crate::machine;
use crate::recording::Ended;
use crate::request::{Attach, Whom};
use crate::target::{Subject, poll};
use crate::task_stat::TaskStat;

/// One process of those that are attached to, as `/proc` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Running {
    /// Its number.
    pub(crate) pid: u32,
    /// Its threads and their names, by number.
    pub(crate) threads: Vec<(u32, String)>,
}

/// The processes asked for and all their descendants, by number.
pub(crate) fn find_running(pids: &[u32]) -> Result<Vec<Running>, RecordError> {
    if pids.is_empty() {
        return Err(RecordError::EmptyCommand);
    }
    for &pid in pids {
        fs::metadata(format!("/proc/{pid}/task"))
            .map_err(|source| RecordError::NoProcess { pid, source })?;
    }
    let mut wanted: Vec<u32> = pids.to_vec();
    let parents = parents();
    let mut at = 0;
    while let Some(&parent) = wanted.get(at) {
        let children = parents.iter().filter(|row| row.1 == parent);
        let new: Vec<u32> = children
            .map(|row| row.0)
            .filter(|child| !wanted.contains(child))
            .collect();
        wanted.extend(new);
        at += 1;
    }
    wanted.sort_unstable();
    wanted.dedup();
    Ok(wanted.into_iter().map(running).collect())
}

/// Processes start others while they are looked for; after so many searches what was not found is
/// left out.
pub(crate) const MOST_SEARCHES: usize = 20;

/// The threads that run now and are not among those that are known; none when the processes are
/// gone.
pub(crate) fn find_new(pids: &[u32], known: &[Running]) -> Vec<Running> {
    let mut found = find_running(pids).unwrap_or_default();
    let known: FxHashSet<u32> = threads_of(known).map(|thread| thread.0).collect();
    for process in &mut found {
        process.threads.retain(|thread| !known.contains(&thread.0));
    }
    found.retain(|process| !process.threads.is_empty());
    found
}

/// All threads with their names.
pub(crate) fn threads_of(processes: &[Running]) -> impl Iterator<Item = &(u32, String)> {
    processes.iter().flat_map(|process| &process.threads)
}

/// One thread of a process.
pub(crate) fn one_thread(pids: &[u32], tid: u32) -> Result<Vec<Running>, RecordError> {
    let found = find_running(pids)?.into_iter();
    let mut own: Vec<Running> = found
        .filter(|process| pids.contains(&process.pid))
        .collect();
    for process in &mut own {
        process.threads.retain(|thread| thread.0 == tid);
    }
    Ok(own)
}

/// All processes that there are, by number, the kernel's threads among them.
pub(crate) fn everything() -> Vec<Running> {
    let mut pids: Vec<u32> = numbers(Path::new("/proc")).collect();
    pids.sort_unstable();
    pids.into_iter().map(running).collect()
}

/// The name that a thread has now; `None` when it is gone.
pub(crate) fn thread_name(pid: u32, tid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/task/{tid}/comm")).ok()?;
    Some(name.trim_end_matches('\n').to_owned())
}

fn running(pid: u32) -> Running {
    let folder = format!("/proc/{pid}/task");
    let mut threads: Vec<(u32, String)> = numbers(Path::new(&folder))
        .map(|tid| {
            let name = thread_name(pid, tid).unwrap_or_default();
            (tid, name)
        })
        .collect();
    threads.sort_unstable();
    Running { pid, threads }
}

/// Every process and its parent.
fn parents() -> Vec<(u32, u32)> {
    let parent = |pid| {
        let parent = TaskStat::of_process(pid)?.number(4)?;
        Some((pid, parent.try_into().ok()?))
    };
    numbers(Path::new("/proc")).filter_map(parent).collect()
}

fn numbers(folder: &Path) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The executable mappings of a process, lowest first; none when they cannot be read.
pub(crate) fn executable_maps(pid: u32) -> Vec<Mmap> {
    let text = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    let lines = text.split(|&byte| byte == b'\n');
    lines.filter_map(|line| executable_map(pid, line)).collect()
}

/// A line `start-end rwxp offset device inode path`.
fn executable_map(pid: u32, line: &[u8]) -> Option<Mmap> {
    let mut rest = line;
    let mut field = || {
        let end = rest.iter().position(|&byte| byte == b' ');
        let (head, tail) = rest.split_at(end.unwrap_or(rest.len()));
        rest = tail.strip_prefix(b" ").unwrap_or(tail);
        std::str::from_utf8(head).ok()
    };
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = field()?.split_once('-')?;
    let permissions = field()?;
    let file_offset = hex(field()?)?;
    let _device = field()?;
    let inode = field()?.parse().ok()?;
    let path = rest.trim_ascii_start();
    let (start, end) = (hex(start)?, hex(end)?);
    (permissions.as_bytes().get(2) == Some(&b'x') && start < end).then(|| Mmap {
        pid,
        start,
        end,
        file_offset,
        inode,
        // As the kernel names such memory in its records.
        path: if path.is_empty() { b"//anon" } else { path }.to_vec(),
    })
}

/// CPU time and memory of processes, as far as they can still be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Used {
    /// In user mode.
    pub(crate) user_ns: u64,
    /// In the kernel.
    pub(crate) system_ns: u64,
    /// Largest resident set of one of them.
    pub(crate) peak_rss_bytes: u64,
}

/// What the processes have used since their start.
pub(crate) fn used(processes: &[Running]) -> Used {
    let tick_ns = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    let mut used = Used::default();
    for process in processes {
        let stat = TaskStat::of_process(process.pid);
        let ticks = |place| stat.as_ref().and_then(|stat| stat.number(place));
        used.user_ns += ticks(14).unwrap_or(0) * tick_ns;
        used.system_ns += ticks(15).unwrap_or(0) * tick_ns;
        let peak = pid_of(process.pid).and_then(machine::peak_rss_bytes);
        used.peak_rss_bytes = used.peak_rss_bytes.max(peak.unwrap_or(0));
    }
    used
}

fn pid_of(pid: u32) -> Option<Pid> {
    Pid::from_raw(pid.try_into().ok()?)
}

/// Processes that are watched until they have ended, or time is up. Dropped, they go on.
#[derive(Debug)]
pub(crate) struct Attached {
    /// Each becomes readable when its process ends.
    alive: Vec<OwnedFd>,
    started: Instant,
    duration: Option<Duration>,
    deadline: Option<Instant>,
    ended: Option<Ended>,
    /// Whether it goes on although none of the processes is left, because there was none.
    endless: bool,
    /// What it is when it is stopped from outside.
    stopped: Ended,
}

impl Attached {
    /// Watches the processes that were asked for; its time begins with [`Attached::begin`].
    pub(crate) fn new(attach: &Attach) -> Result<Attached, RecordError> {
        let open = |&pid: &u32| {
            let missing = |errno: rustix::io::Errno| RecordError::NoProcess {
                pid,
                source: errno.into(),
            };
            let number = pid_of(pid).ok_or(missing(rustix::io::Errno::SRCH))?;
            rustix::process::pidfd_open(number, PidfdFlags::empty()).map_err(missing)
        };
        Ok(Attached {
            alive: attach.pids.iter().map(open).collect::<Result<_, _>>()?,
            started: Instant::now(),
            duration: attach.duration,
            deadline: None,
            ended: None,
            endless: attach.whom == Whom::Everything && attach.pids.is_empty(),
            stopped: match attach.whom {
                // Whoever runs the thread says when it has done what was to be watched.
                Whom::Thread(_) => Ended::Watched,
                Whom::Descendants | Whom::Everything => Ended::Interrupted,
            },
        })
    }

    /// Watching begins now.
    pub(crate) fn begin(&mut self) {
        self.started = Instant::now();
        self.deadline = self
            .duration
            .and_then(|most| self.started.checked_add(most));
    }

    /// Why watching ended.
    pub(crate) fn ended(&self) -> Ended {
        self.ended.unwrap_or(Ended::Exited)
    }
}

impl Subject for Attached {
    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn has_ended(&mut self) -> io::Result<bool> {
        if self.ended.is_some() {
            return Ok(true);
        }
        let mut still = Vec::new();
        for process in self.alive.drain(..) {
            let mut wait = [PollFd::new(&process, PollFlags::IN)];
            if poll(&mut wait, Duration::ZERO)? == 0 {
                still.push(process);
            }
        }
        self.alive = still;
        Ok(self.alive.is_empty() && !self.endless)
    }

    fn press(&mut self, stop: &AtomicBool) {
        if stop.load(Ordering::Relaxed) {
            self.ended = Some(self.stopped);
        } else if self.deadline.is_some_and(|end| Instant::now() >= end) {
            self.ended = Some(Ended::TimedOut);
        }
    }

    fn wait<'a>(&'a self, mut others: Vec<PollFd<'a>>, most: Duration) -> io::Result<()> {
        let processes = self.alive.iter();
        others.extend(processes.map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)));
        let left = self
            .deadline
            .map(|end| end.saturating_duration_since(Instant::now()));
        poll(&mut others, most.min(left.unwrap_or(Duration::MAX)))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn executable_lines_become_mappings() {
        let map = |line: &str| executable_map(7, line.as_bytes());
        let found = map("1000-3000 r-xp 00002000 fd:00 77     /a b (deleted)").unwrap();
        assert_eq!((found.pid, found.start, found.end), (7, 0x1000, 0x3000));
        assert_eq!((found.file_offset, found.inode), (0x2000, 77));
        assert_eq!(found.path, b"/a b (deleted)");
        assert_eq!(
            map("1000-3000 rwxp 00000000 00:00 0 ").unwrap().path,
            b"//anon"
        );
        assert_eq!(
            map("1000-3000 r-xp 00000000 00:00 0  [vdso]").unwrap().path,
            b"[vdso]"
        );
        for none in [
            "",
            "1000-3000 rw-p 00000000 00:00 0",
            "3000-1000 r-xp 0 0:0 0",
            "x-y r-xp",
        ] {
            assert_eq!(map(none), None, "{none}");
        }
    }

    /// This very process is found with the threads that it has, and code in its maps.
    #[test]
    fn this_process_is_found() {
        let pid = std::process::id();
        let found = find_running(&[pid, pid]).unwrap();
        let own = found.iter().find(|process| process.pid == pid).unwrap();
        assert!(own.threads.iter().any(|thread| thread.0 == pid));
        assert!(
            executable_maps(pid)
                .iter()
                .any(|map| map.path.starts_with(b"/"))
        );
        assert!(used(&found).peak_rss_bytes > 1 << 20);
        assert!(matches!(
            find_running(&[u32::MAX]),
            Err(RecordError::NoProcess { .. })
        ));
    }

    proptest! {
        /// Whatever the line, nothing panics.
        #[test]
        fn any_line_is_read(line in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = executable_map(1, &line);
        }
    }
}
