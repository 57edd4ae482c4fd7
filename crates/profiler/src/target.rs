//! The running target: how it ends, and how it is made to end.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hotproof_profile::Exit;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

use crate::recording::Ended;
use crate::request::{Group, Request};
use crate::sys::{self, Reaped};

/// After Ctrl-C a target that shares our terminal has this long to end by itself.
const GRACE_SHARED: Duration = Duration::from_secs(2);
/// After a polite signal a target has this long before it is killed.
const GRACE_TERMINATE: Duration = Duration::from_millis(500);

/// A target that runs. Dropped, it is killed and reaped.
#[derive(Debug)]
pub(crate) struct Target {
    pid: Pid,
    /// Becomes readable when the target ends; `None` on kernels before 5.3.
    pidfd: Option<OwnedFd>,
    group: Group,
    started: Instant,
    deadline: Option<Instant>,
    /// When it has been watched for long enough.
    watched: Option<Instant>,
    /// Why it was asked to end, if it was.
    why: Ended,
    stage: Stage,
    /// Asks for the target's end without patience.
    stop_now: Arc<AtomicBool>,
    reaped: bool,
}

/// How far ending the target has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    /// Ctrl-C was pressed: the target has got the signal too.
    Asked {
        until: Instant,
    },
    /// It was sent SIGTERM.
    Terminated {
        until: Instant,
    },
    /// It was sent SIGKILL because of this.
    Killed(Ended),
}

/// What is watched until it has ended.
pub(crate) trait Subject {
    /// Since watching began.
    fn elapsed(&self) -> Duration;
    /// Whether there is nothing more to watch.
    fn has_ended(&mut self) -> io::Result<bool>;
    /// Brings the end about when its time has come.
    fn press(&mut self, stop: &AtomicBool);
    /// Waits until it may have ended, one of `others` becomes readable, or `most` has passed.
    fn wait<'a>(&'a self, others: Vec<PollFd<'a>>, most: Duration) -> io::Result<()>;
}

/// Waits for descriptors; returns how many are ready, 0 also when a signal came.
pub(crate) fn poll(descriptors: &mut [PollFd<'_>], most: Duration) -> io::Result<usize> {
    // The kernel rounds up, so that waiting for a deadline does not spin in front of it.
    let timeout = Timespec {
        tv_sec: most.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: most.subsec_nanos().into(),
    };
    match rustix::event::poll(descriptors, Some(&timeout)) {
        Ok(ready) => Ok(ready),
        Err(rustix::io::Errno::INTR) => Ok(0),
        Err(errno) => Err(errno.into()),
    }
}

impl Target {
    /// A target that was released at `started`.
    pub(crate) fn new(pid: Pid, started: Instant, request: &Request) -> Target {
        Target {
            pid,
            pidfd: rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok(),
            group: request.group,
            started,
            deadline: request.timeout.and_then(|limit| started.checked_add(limit)),
            watched: request.duration.and_then(|most| {
                let delay = request.delay.unwrap_or_default();
                started.checked_add(delay.saturating_add(most))
            }),
            why: Ended::Interrupted,
            stage: Stage::Running,
            stop_now: Arc::clone(&request.stop_now),
            reaped: false,
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    fn terminate(&self, now: Instant) -> Stage {
        self.signal(Signal::TERM);
        Stage::Terminated {
            until: now + GRACE_TERMINATE,
        }
    }

    fn signal(&self, signal: Signal) {
        // Until it is reaped its number is its own, and so is the number of its group.
        let result = match self.group {
            Group::Own => rustix::process::kill_process_group(self.pid, signal),
            Group::Inherit => rustix::process::kill_process(self.pid, signal),
        };
        if let Err(errno) = result {
            tracing::debug!("signal {signal:?} to {:?}: {errno}", self.pid);
        }
    }

    /// Why it ended, as far as we had a hand in it.
    pub(crate) fn ended(&self) -> Ended {
        match self.stage {
            Stage::Running => Ended::Exited,
            Stage::Asked { .. } | Stage::Terminated { .. } => self.why,
            Stage::Killed(why) => why,
        }
    }

    /// Reaps it. What is left of its group after a timeout or an interruption is killed first,
    /// while the group's number still belongs to it.
    pub(crate) fn reap(mut self) -> io::Result<Reaped> {
        if self.group == Group::Own && self.stage != Stage::Running {
            self.signal(Signal::KILL);
        }
        self.reaped = true;
        sys::reap(self.pid)
    }
}

impl Subject for Target {
    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn wait<'a>(&'a self, mut others: Vec<PollFd<'a>>, most: Duration) -> io::Result<()> {
        let mut timeout = most;
        match &self.pidfd {
            Some(pidfd) => others.push(PollFd::from_borrowed_fd(
                std::os::fd::AsFd::as_fd(pidfd),
                PollFlags::IN,
            )),
            None => timeout = timeout.min(Duration::from_millis(5)),
        }
        let deadlines = [self.deadline, self.watched, self.stage.until()];
        for deadline in deadlines.into_iter().flatten() {
            timeout = timeout.min(deadline.saturating_duration_since(Instant::now()));
        }
        poll(&mut others, timeout)?;
        Ok(())
    }

    /// Whether it has ended; it stays to be reaped.
    fn has_ended(&mut self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            match rustix::process::waitid(WaitId::Pid(self.pid), options) {
                // Stops of a process that we watch by ptrace are told whatever is asked for
                // (wait_task_stopped in kernel/exit.c).
                Ok(status) => {
                    return Ok(status.is_some_and(|s| s.exited() || s.killed() || s.dumped()));
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Ends it when its time is up, or when the stop flag is set: first with patience.
    fn press(&mut self, stop: &AtomicBool) {
        let now = Instant::now();
        self.stage = match self.stage {
            Stage::Killed(why) => Stage::Killed(why),
            _ if self.stop_now.load(Ordering::Relaxed) => {
                self.signal(Signal::KILL);
                Stage::Killed(Ended::Interrupted)
            }
            _ if self.deadline.is_some_and(|deadline| now >= deadline) => {
                self.signal(Signal::KILL);
                self.deadline = None;
                Stage::Killed(Ended::TimedOut)
            }
            Stage::Running if self.watched.is_some_and(|end| now >= end) => {
                self.why = Ended::Watched;
                self.watched = None;
                self.terminate(now)
            }
            Stage::Running if stop.load(Ordering::Relaxed) => match self.group {
                Group::Inherit => Stage::Asked {
                    until: now + GRACE_SHARED,
                },
                Group::Own => self.terminate(now),
            },
            Stage::Asked { until } if now >= until => self.terminate(now),
            Stage::Terminated { until } if now >= until => {
                self.signal(Signal::KILL);
                Stage::Killed(self.why)
            }
            waiting => waiting,
        };
    }
}

impl Stage {
    fn until(self) -> Option<Instant> {
        match self {
            Stage::Asked { until } | Stage::Terminated { until } => Some(until),
            Stage::Running | Stage::Killed(_) => None,
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::KILL);
            let _ = sys::reap(self.pid);
        }
    }
}

/// The profile's word for a wait status; `None` for a status that is neither an exit nor a signal.
pub(crate) fn exit_of(status: i32) -> Option<Exit> {
    let status = ExitStatus::from_raw(status);
    match (status.code(), status.signal()) {
        (Some(code), _) => Some(Exit::Code(code)),
        (None, Some(signal)) => Some(Exit::Signal(signal)),
        (None, None) => None,
    }
}
