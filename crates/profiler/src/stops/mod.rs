//! Sampling without perf events: threads that run are stopped for a moment and looked at.
//!
//! Debian and Ubuntu deny perf events to ordinary users, containers deny them by seccomp. Every
//! user may `ptrace` what they have started, though. At each tick the threads whose CPU time has
//! moved and that run now are interrupted; each stops at its next moment in user mode, its
//! registers and its stack are read while nothing can change them, and it goes on. A sample weighs
//! the CPU time that its thread has used since the sample before, so that all weights add up to the
//! CPU time whatever becomes of the ticks. Threads that sleep are left alone: their system calls
//! would be interrupted.
//!
//! Forks, clones and execs stop a thread too, and signals stop it before they are delivered, which
//! they are, unchanged. Threads that are stopped as a group stay so.

mod clock;
mod memory;
mod seized;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use hotproof_profile::{Sink, SinkError};

use crate::attach::{MOST_SEARCHES, Running};
use crate::machine;
use crate::observer::Observer;
use crate::sys::Tick;
use crate::sys::ptrace::{self, Halt, Standing, Waiting, Who};
use crate::world::{Exec, Task};
use memory::StoppedStack;
use seized::{Cpus, Kept, Seized, kept, process_of, sheds_privileges, tracer_is};

/// A thread that was started but whose maker has not told of it is taken up after this long.
const EARLY: Duration = Duration::from_millis(100);
/// At the end, threads that do not stop within this time are left to the kernel, which lets go of
/// them when this thread ends.
const PATIENCE: Duration = Duration::from_millis(500);
/// While somebody else's child waits to be reaped, waiting would not wait: this is slept instead.
const NAP: Duration = Duration::from_millis(1);
/// Looking for threads that run takes at most one part in so many of the time between ticks.
const LOOKING_SHARE: u32 = 10;

/// The threads that are watched.
#[derive(Debug)]
pub(crate) struct Stops {
    threads: BTreeMap<i32, Seized>,
    /// Threads that have stopped for the first time before their maker told of them, and since when
    /// they wait.
    early: BTreeMap<i32, Instant>,
    /// Processes that have another parent to reap them, this one: their end is only looked at.
    kept: BTreeSet<i32>,
    tick: Tick,
    next_tick: Instant,
    period: Duration,
    random: u64,
    cpus: Cpus,
    /// Somebody else's child has something to tell, which is not ours to take.
    disturbed: bool,
    buffer: Vec<u8>,
    /// What readers have to know.
    notes: BTreeSet<String>,
}

/// Where samples and news go.
pub(crate) struct Sight<'s, 'k> {
    /// Sees them first.
    pub(crate) observer: &'s mut Observer<'k>,
    /// Gets the rows.
    pub(crate) sink: &'s mut dyn Sink,
    /// The profile's clock.
    pub(crate) now_ns: fn() -> u64,
}

impl Stops {
    /// Watches nobody yet.
    pub(crate) fn new(rate_hz: u64) -> io::Result<Stops> {
        let started = Instant::now();
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seed = time.tv_nsec.cast_unsigned() ^ u64::from(std::process::id()) << 32;
        Ok(Stops {
            threads: BTreeMap::new(),
            early: BTreeMap::new(),
            kept: BTreeSet::new(),
            tick: Tick::new()?,
            next_tick: started,
            period: Duration::from_nanos(1_000_000_000 / rate_hz.max(1)),
            random: seed | 1,
            cpus: match machine::online_cpus().len() {
                0 | 1 => Cpus::One,
                _ => Cpus::Several,
            },
            disturbed: false,
            buffer: Vec::new(),
            notes: BTreeSet::new(),
        })
    }

    /// Watches a child of ours that is held before its exec.
    pub(crate) fn seize_child(&mut self, pid: i32) -> io::Result<()> {
        ptrace::seize(pid)?;
        self.kept.insert(pid);
        let thread = Seized::new(pid, pid, None);
        if thread.cpu_ns().is_none() {
            return Err(io::Error::other("/proc/PID/schedstat cannot be read"));
        }
        self.threads.insert(pid, thread);
        Ok(())
    }

    /// Watches processes that run already; threads that ended meanwhile are left out. Whoever was
    /// started while the first of them were seized is found by `again` and added to `processes`.
    pub(crate) fn seize_running(
        &mut self,
        processes: &mut Vec<Running>,
        mut again: impl FnMut(&[Running]) -> Vec<Running>,
    ) -> io::Result<()> {
        let mut new = processes.clone();
        for _ in 0..MOST_SEARCHES {
            self.seize_each(&new)?;
            new = again(processes);
            // Makers that are seized tell of those that they have started.
            for process in &mut new {
                process
                    .threads
                    .retain(|thread| !tracer_is(thread.0.cast_signed()));
            }
            new.retain(|process| !process.threads.is_empty());
            if new.is_empty() {
                break;
            }
            processes.extend(new.iter().cloned());
        }
        if self.threads.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    }

    fn seize_each(&mut self, processes: &[Running]) -> io::Result<()> {
        for process in processes {
            let Ok(pid) = i32::try_from(process.pid) else {
                continue;
            };
            if kept(pid) == Kept::Ours {
                self.kept.insert(pid);
            }
            // What is started meanwhile by a thread that is seized is seized by that.
            for (tid, _) in &process.threads {
                let tid = tid.cast_signed();
                match ptrace::seize(tid) {
                    Ok(()) => {
                        let thread = Seized::new(pid, tid, None);
                        self.threads.insert(tid, thread);
                    }
                    Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                    // Its maker was seized before it was started.
                    Err(_) if tracer_is(tid) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// What readers have to know of what was seen.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        self.notes.iter().cloned()
    }

    /// Lets a held child get over signals that come before its exec.
    pub(crate) fn serve_held(&mut self, pid: i32) {
        if let Ok(Some(Waiting { ended: false, .. })) = ptrace::wait(Who::Now(pid))
            && let Ok(Some(Halt::Signal(signal))) = ptrace::take_halt(pid)
        {
            let _ = ptrace::resume(pid, signal);
        }
    }

    /// Interrupts what runs when it is time, waits for something to happen until `until` at most,
    /// and takes what there is.
    pub(crate) fn step(&mut self, until: Instant, sight: &mut Sight<'_, '_>) -> Result<(), Failed> {
        let now = Instant::now();
        if now >= self.next_tick {
            self.take_up_early(now, sight)?;
            self.interrupt_running();
            self.next_tick = now + self.pause(now.elapsed());
        }
        let wake = self.next_tick.min(until).saturating_duration_since(now);
        if self.disturbed {
            std::thread::sleep(wake.min(NAP));
            return self.take_all(sight);
        }
        self.tick.arm(wake).map_err(Failed::System)?;
        match ptrace::wait(Who::Any) {
            Ok(Some(waiting)) => self.take(waiting, sight),
            Ok(None) => Ok(()),
            // Nobody is left.
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => {
                std::thread::sleep(wake.min(NAP));
                Ok(())
            }
            Err(error) => Err(Failed::System(error)),
        }
    }

    /// The time to the next tick: between half and one and a half periods, so that ticks do not
    /// beat against a program that does things at fixed intervals; longer where looking at all
    /// threads takes long.
    fn pause(&mut self, looking: Duration) -> Duration {
        // Marsaglia's xorshift with the triple 13, 7, 17.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let part = (self.random >> 40) as f64 / (1u64 << 24) as f64;
        self.period
            .mul_f64(0.5 + part)
            .max(looking.saturating_mul(LOOKING_SHARE))
    }

    fn interrupt_running(&mut self) {
        for (&tid, thread) in &mut self.threads {
            if thread.runs_on() && ptrace::interrupt(tid).is_ok() {
                thread.interrupted = true;
            }
        }
    }

    /// Takes what every thread has to tell, one by one.
    fn take_all(&mut self, sight: &mut Sight<'_, '_>) -> Result<(), Failed> {
        self.disturbed = false;
        let threads: Vec<i32> = self.threads.keys().copied().collect();
        for tid in threads {
            if let Ok(Some(waiting)) = ptrace::wait(Who::Now(tid)) {
                self.take(waiting, sight)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, waiting: Waiting, sight: &mut Sight<'_, '_>) -> Result<(), Failed> {
        let Waiting { tid, ended } = waiting;
        if ended && self.kept.contains(&tid) {
            self.disturbed = true;
            return self.end(tid, sight);
        }
        if !self.threads.contains_key(&tid) && !self.early.contains_key(&tid) && !tracer_is(tid) {
            self.disturbed = true;
            return Ok(());
        }
        let Ok(Some(halt)) = ptrace::take_halt(tid) else {
            return Ok(());
        };
        if halt == Halt::Ended {
            self.early.remove(&tid);
            return self.end(tid, sight);
        }
        if !self.threads.contains_key(&tid) {
            self.early.insert(tid, Instant::now());
            return Ok(());
        }
        let result = self.look(tid, halt, sight);
        // Whatever failed, the thread must not stay stopped. One that is being killed meanwhile is
        // gone, which the next wait tells.
        let _ = match halt {
            Halt::Group => ptrace::listen(tid),
            Halt::Signal(signal) => ptrace::resume(tid, signal),
            _ => ptrace::resume(tid, 0),
        };
        result
    }

    /// Looks at a thread that has stopped.
    fn look(&mut self, tid: i32, halt: Halt, sight: &mut Sight<'_, '_>) -> Result<(), Failed> {
        match halt {
            Halt::Executed => return self.executed(tid, sight),
            Halt::Started => {
                if let Ok(new) = ptrace::event_message(tid) {
                    self.admit(new, Some(tid), sight)?;
                }
            }
            Halt::Signal(_) | Halt::Group | Halt::Trap | Halt::Ended => {}
        }
        match self.threads.get_mut(&tid) {
            // An interrupt is used up by whatever stop comes first (ptrace_stop in
            // kernel/signal.c).
            Some(thread) if thread.interrupted => {
                thread.interrupted = false;
                self.sample(tid, sight)
            }
            _ => Ok(()),
        }
    }

    fn sample(&mut self, tid: i32, sight: &mut Sight<'_, '_>) -> Result<(), Failed> {
        let Some(thread) = self.threads.get_mut(&tid) else {
            return Ok(());
        };
        let Ok(Standing { registers, in_call }) = ptrace::standing(tid) else {
            return Ok(());
        };
        let Some(weight_ns) = thread.advance(in_call, self.cpus) else {
            return Ok(());
        };
        let (pid, time_ns) = (thread.pid, (sight.now_ns)());
        let task = task(pid, tid, time_ns);
        if let Some(name) = thread.new_name() {
            let comm = sight.observer.named(task, &name, Exec::No, sight.sink);
            comm.map_err(Failed::Sink)?;
        }
        let bottom = registers.map_or(0, |registers| registers.sp);
        let mut stack = StoppedStack::new(pid, bottom, &mut self.buffer);
        sight
            .observer
            .stopped(task, weight_ns, registers, &mut stack, sight.sink)
            .map_err(Failed::Sink)
    }

    /// Takes up a thread that was just started.
    fn admit(
        &mut self,
        tid: i32,
        maker: Option<i32>,
        sight: &mut Sight<'_, '_>,
    ) -> Result<(), Failed> {
        let waits = self.early.remove(&tid).is_some();
        // It may have ended already.
        if let Some(pid) = process_of(tid) {
            let parent = maker.and_then(|maker| Some((self.threads.get(&maker)?.pid, maker)));
            let (parent_pid, parent_tid) = parent.unwrap_or((pid, pid));
            let time_ns = (sight.now_ns)();
            sight
                .observer
                .started(
                    task(pid, tid, time_ns),
                    parent_pid.cast_unsigned(),
                    parent_tid.cast_unsigned(),
                    sight.sink,
                )
                .map_err(Failed::Sink)?;
            self.threads.insert(tid, Seized::new(pid, tid, Some(0)));
        }
        if waits {
            let _ = ptrace::resume(tid, 0);
        }
        Ok(())
    }

    /// A maker that was killed cannot tell of what it started.
    fn take_up_early(&mut self, now: Instant, sight: &mut Sight<'_, '_>) -> Result<(), Failed> {
        let late = |since: &Instant| now.saturating_duration_since(*since) > EARLY;
        let mut tids = Vec::new();
        tids.extend(
            self.early
                .iter()
                .filter(|row| late(row.1))
                .map(|row| *row.0),
        );
        for tid in tids {
            self.admit(tid, None, sight)?;
        }
        Ok(())
    }

    /// A process has become another program; of its threads the one that did it is left, and has
    /// the number of the first.
    fn executed(&mut self, pid: i32, sight: &mut Sight<'_, '_>) -> Result<(), Failed> {
        let former = ptrace::event_message(pid).unwrap_or(pid);
        let used = self.threads.get(&former).and_then(Seized::cpu_ns);
        self.threads.retain(|_, thread| thread.pid != pid);
        let fresh = Seized::new(pid, pid, used);
        let name = fresh.name().unwrap_or_default();
        self.threads.insert(pid, fresh);
        if let Some(note) = sheds_privileges(pid) {
            self.notes.insert(note);
        }
        let task = task(pid, pid, (sight.now_ns)());
        let named = sight.observer.named(task, &name, Exec::Yes, sight.sink);
        named.map_err(Failed::Sink)
    }

    fn end(&mut self, tid: i32, sight: &mut Sight<'_, '_>) -> Result<(), Failed> {
        let Some(thread) = self.threads.remove(&tid) else {
            return Ok(());
        };
        let task = task(thread.pid, tid, (sight.now_ns)());
        let told = sight.observer.ended(task, sight.sink);
        told.map_err(Failed::Sink)
    }

    /// Lets all threads go on by themselves.
    pub(crate) fn let_go(&mut self) {
        let mut left: BTreeSet<i32> = std::mem::take(&mut self.threads).into_keys().collect();
        for (tid, _) in std::mem::take(&mut self.early) {
            let _ = ptrace::detach(tid, 0);
        }
        for &tid in &left {
            let _ = ptrace::interrupt(tid);
        }
        let deadline = Instant::now() + PATIENCE;
        while !left.is_empty() && Instant::now() < deadline {
            let before = left.len();
            let mut born = Vec::new();
            left.retain(|&tid| let_one_go(tid, &self.kept, &mut born));
            left.extend(born);
            if left.len() == before {
                std::thread::sleep(NAP);
            }
        }
        if !left.is_empty() {
            tracing::warn!("threads that did not stop in time: {left:?}");
        }
    }
}

/// Detaches a thread that has stopped; whether it is still to be waited for.
fn let_one_go(tid: i32, kept: &BTreeSet<i32>, born: &mut Vec<i32>) -> bool {
    match ptrace::wait(Who::Now(tid)) {
        Ok(None) => return true,
        Ok(Some(waiting)) if waiting.ended && kept.contains(&tid) => return false,
        Ok(Some(_)) => {}
        Err(_) => return false,
    }
    match ptrace::take_halt(tid) {
        Ok(Some(Halt::Ended)) | Ok(None) | Err(_) => return false,
        Ok(Some(halt)) => {
            if halt == Halt::Started {
                born.extend(ptrace::event_message(tid));
            }
            let signal = match halt {
                Halt::Signal(signal) => signal,
                _ => 0,
            };
            let _ = ptrace::detach(tid, signal);
        }
    }
    false
}

impl Drop for Stops {
    fn drop(&mut self) {
        self.let_go();
    }
}

fn task(pid: i32, tid: i32, time_ns: u64) -> Task {
    Task {
        pid: pid.cast_unsigned(),
        tid: tid.cast_unsigned(),
        time_ns,
    }
}

/// Why watching cannot go on.
#[derive(Debug)]
pub(crate) enum Failed {
    /// A system call.
    System(io::Error),
    /// The sink.
    Sink(SinkError),
}
