//! The events that are sampled: which one the machine has, and how much of it it lets us see.

use std::fs::File;
use std::os::fd::BorrowedFd;

use perf_event::events::{Event, Hardware, Software};
use perf_event::{Builder, Clock, Counter};
use rustix::io::Errno;

use crate::decode::{Copies, Format, Names};
use crate::event_name::EventName;
use crate::recording::{Ladder, Rung, Sampled};
use crate::refusal::Facts;
use crate::registers;
use crate::request::StackMode;

/// The most bytes of stack that the kernel copies: the size of a record is a 16-bit number, and
/// the sizes asked for must be multiples of 8.
pub(crate) const MOST_STACK_BYTES: u32 = 65_528;

/// Stack copied with each sample when the kernel walks frame pointers: enough for the frames of a
/// few libc functions, which have no frame pointer.
const FRAME_POINTER_STACK_BYTES: u32 = 4_096;

/// What is counted between samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// Cycles of the CPU, by its performance counters.
    Cycles,
    /// Nanoseconds on a CPU, by the kernel's timers: where there are no counters, as in most
    /// virtual machines.
    CpuClock,
    /// Instructions retired.
    Instructions,
    /// Nanoseconds on a CPU, counted by task.
    TaskClock,
    /// Page faults, minor and major.
    PageFaults,
    /// Switches to another task.
    ContextSwitches,
    /// A number of the CPU's own.
    Raw(u64),
    /// A tracepoint by its number.
    Tracepoint(u64),
}

/// How an event's numbers are understood: `PERF_TYPE_TRACEPOINT` and `PERF_TYPE_RAW` of
/// `linux/perf_event.h`.
const TYPE_TRACEPOINT: u32 = 2;
const TYPE_RAW: u32 = 4;

impl EventKind {
    /// As users know it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            EventKind::Cycles => "cycles",
            EventKind::CpuClock => "cpu-clock",
            EventKind::Instructions => "instructions",
            EventKind::TaskClock => "task-clock",
            EventKind::PageFaults => "page-faults",
            EventKind::ContextSwitches => "context-switches",
            EventKind::Raw(_) => "raw",
            EventKind::Tracepoint(_) => "tracepoint",
        }
    }

    /// Whether it counts nanoseconds.
    pub(crate) fn is_clock(self) -> bool {
        matches!(self, EventKind::CpuClock | EventKind::TaskClock)
    }

    /// Whether it happens in the kernel alone.
    fn is_of_kernel(self) -> bool {
        matches!(self, EventKind::ContextSwitches | EventKind::Tracepoint(_))
    }

    fn builder<'a>(self) -> Builder<'a> {
        let event: Event = match self {
            EventKind::Cycles => Hardware::CPU_CYCLES.into(),
            EventKind::Instructions => Hardware::INSTRUCTIONS.into(),
            EventKind::CpuClock => Software::CPU_CLOCK.into(),
            EventKind::TaskClock => Software::TASK_CLOCK.into(),
            EventKind::PageFaults => Software::PAGE_FAULTS.into(),
            EventKind::ContextSwitches => Software::CONTEXT_SWITCHES.into(),
            EventKind::Raw(_) | EventKind::Tracepoint(_) => Software::DUMMY.into(),
        };
        let mut builder = Builder::new().kind(event);
        let number = match self {
            EventKind::Raw(number) => Some((TYPE_RAW, number)),
            EventKind::Tracepoint(number) => Some((TYPE_TRACEPOINT, number)),
            _ => None,
        };
        if let Some((kind, number)) = number {
            builder.attrs_mut().type_ = kind;
            builder.attrs_mut().config = number;
        }
        builder
    }
}

/// What the machine permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Permitted {
    /// Which event.
    pub(crate) kind: EventKind,
    /// How much of it.
    pub(crate) rung: Rung,
}

/// A sampling event, ready to be opened on CPU after CPU.
#[derive(Debug, Clone)]
pub(crate) struct EventPlan {
    /// What the machine permits.
    pub(crate) permitted: Permitted,
    /// What was asked for; `None` leaves the choice to us.
    pub(crate) wanted: Option<EventName>,
    /// Events between samples, instead of a rate.
    pub(crate) fixed_period: Option<u64>,
    /// Samples in a second of CPU time.
    pub(crate) rate_hz: u64,
    /// How stacks are taken.
    pub(crate) stacks: StackMode,
    /// Bytes of stack to copy with each sample, at first.
    pub(crate) stack_bytes: u32,
    /// Sizes that copies may have later, smaller and larger ones and `stack_bytes` among them, in
    /// ascending order; none when copies stay as they are.
    pub(crate) stack_steps: Vec<u32>,
    /// What it tells beside its samples.
    pub(crate) tells: Tells,
    /// Whether samples name their event, because there are two.
    pub(crate) names: Names,
}

/// What an event tells beside its samples, unless it only samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tells {
    /// Forks, execs, names, mappings and ends.
    Tasks,
    /// And every switch of a thread.
    TasksAndSwitches,
}

/// The most stack that is copied at a switch: there may be many more switches than samples.
const SWITCH_STACK_BYTES: u32 = 16_384;

/// What an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It samples, and tells of processes and mappings.
    Whole,
    /// It tells of processes and mappings alone.
    Tracking,
    /// It samples, with the first copies of the stack.
    First,
    /// It will sample, with so many bytes of the stack, once it is enabled by hand.
    Later(u32),
}

impl EventPlan {
    /// The event beside this one that samples where threads are switched out; `None` where that is
    /// not permitted, or no stacks are wanted.
    pub(crate) fn of_switches(&self) -> Option<EventPlan> {
        let wanted = self.tells == Tells::TasksAndSwitches && self.stacks != StackMode::None;
        (wanted && self.permitted.rung == Rung::KernelAndUser).then(|| EventPlan {
            permitted: Permitted {
                kind: EventKind::ContextSwitches,
                rung: Rung::KernelAndUser,
            },
            wanted: None,
            fixed_period: Some(1),
            stack_bytes: self.stack_bytes.min(SWITCH_STACK_BYTES),
            stack_steps: Vec::new(),
            ..self.clone()
        })
    }

    /// Events between samples; `None` where the kernel adapts the period to the rate, and for stops.
    pub(crate) fn period(&self) -> Option<u64> {
        if self.permitted.rung == Rung::Stops {
            // Each sample weighs what its thread has used.
            return None;
        }
        self.fixed_period.or(match self.permitted.kind {
            kind if kind.is_clock() => Some(1_000_000_000 / self.rate_hz.max(1)),
            // Tracepoints are sampled one by one, as everybody expects.
            EventKind::Tracepoint(_) => Some(1),
            _ => None,
        })
    }

    /// Samples a second asked for; `None` where the events between them were.
    pub(crate) fn asked_rate_hz(&self) -> Option<u64> {
        let by_period =
            self.fixed_period.is_some() || matches!(self.permitted.kind, EventKind::Tracepoint(_));
        (self.permitted.rung == Rung::Stops || !by_period).then_some(self.rate_hz)
    }

    /// The event's name.
    pub(crate) fn name(&self) -> String {
        match (&self.wanted, self.permitted.rung) {
            (_, Rung::Stops) => "ptrace".to_owned(),
            (Some(event), _) => event.to_string(),
            (None, _) => self.permitted.kind.name().to_owned(),
        }
    }

    /// Whether a thread's CPU time, taken when it is stopped, is what was asked for.
    pub(crate) fn is_cpu_time(&self) -> bool {
        let wanted = self.wanted.as_ref().map(EventName::kind);
        wanted.is_none_or(EventKind::is_clock) && self.fixed_period.is_none()
    }

    /// What to tell of it when its events are open.
    pub(crate) fn sampled(&self) -> Sampled {
        Sampled::Yes {
            event: self.name(),
            rung: self.permitted.rung,
            rate_hz: self.rate_hz,
        }
    }

    /// Which fields the samples have.
    pub(crate) fn format(&self) -> Format {
        let copies = match self.stacks {
            StackMode::None => Copies::None,
            StackMode::Adaptive { .. } | StackMode::Dwarf { .. } | StackMode::FramePointer => {
                Copies::RegistersAndStack
            }
        };
        Format::new(copies, self.names)
    }

    /// Bytes of stack to copy when they are never changed.
    pub(crate) fn fixed_stack_bytes(&self) -> u32 {
        match self.stacks {
            StackMode::None => 0,
            StackMode::FramePointer => FRAME_POINTER_STACK_BYTES,
            StackMode::Dwarf { bytes } => (bytes - bytes % 8).clamp(8, MOST_STACK_BYTES),
            StackMode::Adaptive { .. } => MOST_STACK_BYTES,
        }
    }

    /// Opens an event on one CPU for its scope.
    pub(crate) fn open(&self, scope: Scope<'_>, cpu: usize, role: Role) -> Result<Counter, Errno> {
        match self.open_reading(scope, cpu, role, READ_LOST) {
            Err(Errno::INVAL) => self.open_reading(scope, cpu, role, 0),
            result => result,
        }
    }

    fn open_reading(
        &self,
        scope: Scope<'_>,
        cpu: usize,
        role: Role,
        read_format: u64,
    ) -> Result<Counter, Errno> {
        let builder = base(self.permitted, role).one_cpu(cpu);
        let mut builder = match scope {
            Scope::Tasks(pid) => {
                let mut builder = builder.observe_pid(pid);
                builder
                    .inherit(true)
                    .enable_on_exec(!matches!(role, Role::Later(_)));
                builder
            }
            Scope::Thread(tid) => {
                let mut builder = builder.observe_pid(tid);
                builder.inherit(true);
                builder
            }
            Scope::Group(directory) => builder.observe_cgroup(directory),
            Scope::Everything => {
                let mut builder = builder.any_pid();
                builder.exclude_idle(true);
                builder
            }
        };
        if matches!(role, Role::Whole | Role::Tracking) {
            let builder = builder.mmap(true).mmap2(true);
            builder.comm(true).comm_exec(true).task(true);
            let switches = u64::from(self.tells == Tells::TasksAndSwitches);
            builder.attrs_mut().set_context_switch(switches);
        }
        let sample_type = match role {
            Role::Tracking => self.format().of_other_records(),
            Role::Whole | Role::First | Role::Later(_) => {
                self.sample(&mut builder, role);
                self.format().sample
            }
        };
        builder.attrs_mut().sample_type = sample_type.bits();
        builder.attrs_mut().read_format = read_format;
        open(builder)
    }

    /// Asks for samples.
    fn sample(&self, builder: &mut Builder<'_>, role: Role) {
        builder
            .exclude_callchain_user(self.stacks != StackMode::FramePointer)
            .exclude_callchain_kernel(self.permitted.rung == Rung::UserOnly);
        match self.period() {
            Some(period) => builder.sample_period(period),
            None => builder.sample_frequency(self.rate_hz),
        };
        let stack_bytes = match role {
            Role::Later(bytes) => bytes,
            _ => self.stack_bytes,
        };
        if stack_bytes > 0 {
            builder
                .sample_regs_user(registers::MASK)
                .sample_stack_user(stack_bytes);
        }
    }
}

/// `PERF_FORMAT_LOST`, since Linux 6.0: reading the event tells what was lost of it, also at the
/// very end, when no record follows that could tell. Older kernels refuse it.
const READ_LOST: u64 = 1 << 4;

/// How many records of an event did not fit into its ring; `None` when the kernel does not say.
pub(crate) fn lost_records(event: &Counter) -> Option<u64> {
    // With this format alone: the count, then the lost records.
    let mut words = [0; 16];
    let got = rustix::io::read(descriptor(event), &mut words).ok()?;
    (got == words.len()).then(|| {
        let [.., a, b, c, d, e, f, g, h] = words;
        u64::from_ne_bytes([a, b, c, d, e, f, g, h])
    })
}

/// Whom an event watches.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// A process, and what it starts by inheritance; from its exec on.
    Tasks(i32),
    /// A running thread, and what it starts by inheritance; from when it is enabled.
    Thread(i32),
    /// Everything in the control group of this directory; from when it is enabled.
    Group(&'a File),
    /// Everything that runs; from when it is enabled.
    Everything,
}

/// An event that counts nothing: it only holds a ring for one CPU.
pub(crate) fn open_ring_holder(cpu: usize, watermark_bytes: usize) -> Result<Counter, Errno> {
    let mut builder = Builder::new()
        .kind(Software::DUMMY)
        .observe_self()
        .one_cpu(cpu);
    builder
        .clockid(Clock::MONOTONIC)
        .wakeup_watermark(watermark_bytes);
    open(builder)
}

fn base<'a>(permitted: Permitted, role: Role) -> Builder<'a> {
    let mut builder = match role {
        Role::Tracking => Builder::new().kind(Software::DUMMY),
        Role::Whole | Role::First | Role::Later(_) => permitted.kind.builder(),
    };
    builder
        .exclude_kernel(permitted.rung == Rung::UserOnly)
        .exclude_hv(true)
        .clockid(Clock::MONOTONIC)
        .sample_id_all(true);
    builder
}

/// Opens an event and keeps its descriptor from programs that are started meanwhile.
pub(crate) fn open(builder: Builder<'_>) -> Result<Counter, Errno> {
    let counter = builder
        .build()
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    rustix::io::fcntl_setfd(descriptor(&counter), rustix::io::FdFlags::CLOEXEC)?;
    Ok(counter)
}

/// A counter's descriptor, borrowed.
pub(crate) fn descriptor(counter: &Counter) -> BorrowedFd<'_> {
    crate::sys::borrow(counter)
}

/// Tries the ladder from the top on this very process: cycles before cpu-clock unless one event is
/// wanted, the kernel included before user code alone.
pub(crate) fn climb(wanted: Option<EventKind>) -> Result<Permitted, Errno> {
    let kinds = match &wanted {
        Some(kind) => std::slice::from_ref(kind),
        None => &[EventKind::Cycles, EventKind::CpuClock],
    };
    let mut denied = Errno::NOENT;
    for rung in [Rung::KernelAndUser, Rung::UserOnly] {
        for &kind in kinds {
            if rung == Rung::UserOnly && kind.is_of_kernel() {
                continue;
            }
            let permitted = Permitted { kind, rung };
            let mut builder = base(permitted, Role::Whole).observe_self();
            builder.sample_period(1_000_000);
            match open(builder) {
                Ok(_) => return Ok(permitted),
                Err(errno) => denied = errno,
            }
        }
    }
    Err(denied)
}

/// Finds out what perf events permit here, by opening events on this very process.
pub fn probe() -> Ladder {
    match climb(None) {
        Ok(permitted) => Ladder::Events {
            event: permitted.kind.name().to_owned(),
            rung: permitted.rung,
        },
        Err(errno) => Ladder::Refused(Facts::read(errno).refusal()),
    }
}
