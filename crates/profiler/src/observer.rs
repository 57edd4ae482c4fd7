//! Turns records, in the order of time, into rows of the profile.

use hotproof_profile::{
    AddressKind, Lost, Sample as Row, Sink, SinkError, StackEnd, StackId, ThreadId,
};

use rustc_hash::FxHashMap;

use crate::attach::{Running, executable_maps, thread_name};
use crate::batch::RawRecord;
use crate::binary::Binaries;
use crate::decode::{Format, Record, Sample};
use crate::growth::Cut;
use crate::jitter::Periods;
use crate::markers;
use crate::registers::Registers;
use crate::request::Tail;
use crate::stacks::{Place, Stacks};
use crate::tail::{CopyAndTail, Root, Roots, Words};
use crate::trail::Trails;
use crate::unwind::{Code, Found, StackCopy, StackUnwinder, Walk};
use crate::world::{Exec, Owner, Task, World};

mod frame_pointers;
mod stopped;
mod waits;

pub(crate) use waits::Waits;

/// What the observer keeps from run to run.
#[derive(Default)]
pub(crate) struct Knowledge {
    /// Binaries that were mapped.
    pub(crate) binaries: Binaries,
    unwinder: StackUnwinder,
}

/// How the user's part of a stack is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserStacks {
    /// Unwound from registers and a copy.
    Unwound(Tail),
    /// As above for the first frames; beyond the copy along frame pointers, by the kernel.
    FramePointers,
    /// The address alone.
    Leaf,
}

/// Sees the records of one recording.
pub(crate) struct Observer<'k> {
    knowledge: &'k mut Knowledge,
    format: Format,
    user_stacks: UserStacks,
    world: World,
    stacks: Stacks,
    chain: Vec<u64>,
    /// Positions in `chain` of user frames that a signal interrupted.
    interrupted: Vec<usize>,
    roots: Roots,
    trails: Trails,
    /// What was read of a running thread's stack.
    tail: Vec<u8>,
    /// What is known of the stacks of threads beyond their copies.
    words: FxHashMap<ThreadId, Words>,
    /// The room that they take.
    words_held: usize,
    /// When the mappings of a process were read without finding anything new.
    maps_read: FxHashMap<u32, u64>,
    /// By CPU, what samples weigh where the period changes within the run.
    pub(crate) periods: FxHashMap<u32, Periods>,
    /// Samples from before this time are left out.
    pub(crate) sampled_from_ns: u64,
    /// Time off the CPU, where it is recorded.
    pub(crate) waits: Option<Waits>,
    /// Samples so far.
    pub(crate) samples: u64,
    /// Of them, those whose stack is whole.
    pub(crate) complete_samples: u64,
    /// Those whose stack went on beyond its full copy, cut or stitched.
    pub(crate) beyond_copy: u64,
    /// Those whose copy ended at a page that could not be copied, and was stitched.
    pub(crate) beyond_hole: u64,
    /// Of both, those whose rest was read later.
    pub(crate) stitched_samples: u64,
    /// The largest copies that stacks went on beyond.
    pub(crate) cut: Cut,
    /// The largest copy that a stack needed since it was last looked at.
    pub(crate) needed_bytes: u64,
    /// Sum of the samples' periods.
    pub(crate) period_sum: u64,
    /// What was lost so far.
    pub(crate) lost: Lost,
    /// When the kernel told of losses.
    pub(crate) losses: Losses,
}

/// The times at which records were lost, as the next record of the same ring tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Losses {
    began_ns: Option<u64>,
    first_ns: Option<u64>,
    last_ns: u64,
}

impl Losses {
    /// A record was seen.
    pub(crate) fn record(&mut self, time_ns: u64) {
        let began = self.began_ns.get_or_insert(time_ns);
        *began = time_ns.min(*began);
    }

    /// Records were lost.
    pub(crate) fn lost(&mut self, time_ns: u64) {
        let first = self.first_ns.get_or_insert(time_ns);
        *first = time_ns.min(*first);
        self.last_ns = time_ns.max(self.last_ns);
    }

    /// The first and the last of them, nanoseconds from the first record on; `None` when none was told
    /// of.
    pub(crate) fn span_ns(self) -> Option<(u64, u64)> {
        let (began, first) = self.began_ns.zip(self.first_ns)?;
        let since = |time_ns: u64| time_ns.saturating_sub(began);
        Some((since(first), since(self.last_ns)))
    }
}

/// What runs on a CPU that has nothing to do.
const IDLE: u32 = 0;

/// So many words of stacks are remembered, of all threads together: 4 MiB. Beyond it all are
/// forgotten, since most threads have ended by then.
const MOST_WORDS: usize = 1 << 18;

/// How many words stand before the addresses of a raw chain.
const CHAIN_HEAD: usize = 2;

impl<'k> Observer<'k> {
    /// An observer that has seen nothing.
    pub(crate) fn new(
        knowledge: &'k mut Knowledge,
        format: Format,
        user_stacks: UserStacks,
    ) -> Observer<'k> {
        Observer {
            knowledge,
            format,
            user_stacks,
            world: World::default(),
            stacks: Stacks::default(),
            chain: Vec::new(),
            interrupted: Vec::new(),
            roots: Roots::default(),
            trails: Trails::default(),
            tail: Vec::new(),
            words: FxHashMap::default(),
            words_held: 0,
            maps_read: FxHashMap::default(),
            periods: FxHashMap::default(),
            sampled_from_ns: 0,
            waits: None,
            samples: 0,
            complete_samples: 0,
            beyond_copy: 0,
            beyond_hole: 0,
            cut: Cut::default(),
            needed_bytes: 0,
            stitched_samples: 0,
            period_sum: 0,
            lost: Lost::default(),
            losses: Losses::default(),
        }
    }

    /// Threads seen so far.
    pub(crate) fn threads(&self) -> u32 {
        self.world.threads_seen
    }

    /// Processes whose end was not seen, in no order.
    pub(crate) fn live_processes(&self) -> impl Iterator<Item = u32> {
        self.world.live_processes()
    }

    /// Takes a process that runs already. Its names and mappings are read now, when events have begun
    /// to tell of others: what it became while they were opened, no record says.
    pub(crate) fn adopt(
        &mut self,
        time_ns: u64,
        process: &Running,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        let pid = process.pid;
        let task = |tid| Task { pid, tid, time_ns };
        let name_of = |(tid, before): &(u32, String)| {
            thread_name(pid, *tid).unwrap_or_else(|| before.clone())
        };
        let main = process.threads.iter().find(|thread| thread.0 == pid);
        let name = main.map(name_of).unwrap_or_default();
        self.world.comm(task(pid), &name, Exec::Yes, sink)?;
        for thread in process.threads.iter().filter(|thread| thread.0 != pid) {
            self.world.fork(task(thread.0), pid, pid, sink)?;
            let name = name_of(thread);
            self.world.comm(task(thread.0), &name, Exec::No, sink)?;
        }
        for (tid, _) in &process.threads {
            self.waits_of_found(task(*tid));
        }
        for mmap in executable_maps(pid) {
            let binaries = &mut self.knowledge.binaries;
            self.world.mmap(time_ns, &mmap, binaries, sink)?;
        }
        self.knowledge.unwinder.space_changed();
        Ok(())
    }

    /// Takes the next record.
    pub(crate) fn observe(
        &mut self,
        time_ns: u64,
        raw: RawRecord<'_>,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        let task = |pid, tid| Task { pid, tid, time_ns };
        self.losses.record(time_ns);
        match self.format.decode(raw) {
            Some(Record::Sample(sample)) => self.sample(time_ns, &sample, sink)?,
            Some(Record::Fork {
                pid,
                tid,
                parent_pid,
                parent_tid,
            }) => {
                // One that was not seen to end waits no longer when its number is given out again.
                self.end_waits(task(pid, tid), sink)?;
                self.world
                    .fork(task(pid, tid), parent_pid, parent_tid, sink)?;
                self.waits_of_new(task(pid, tid));
            }
            Some(Record::Exit { pid, tid }) => {
                self.end_waits(task(pid, tid), sink)?;
                self.world.exit(task(pid, tid), sink)?;
            }
            Some(Record::Comm {
                pid,
                tid,
                exec,
                name,
            }) => {
                let exec = if exec { Exec::Yes } else { Exec::No };
                if exec == Exec::Yes {
                    self.end_waits(task(pid, tid), sink)?;
                }
                self.world.comm(task(pid, tid), &name, exec, sink)?;
                if exec == Exec::Yes {
                    self.runs(task(pid, tid));
                }
            }
            Some(Record::Mmap(mmap)) => {
                let binaries = &mut self.knowledge.binaries;
                self.world.mmap(time_ns, &mmap, binaries, sink)?;
                self.knowledge.unwinder.space_changed();
            }
            Some(Record::Lost { count }) => {
                self.lost.samples += count;
                self.losses.lost(time_ns);
            }
            Some(Record::Throttle) => self.lost.throttled += 1,
            Some(Record::Switch { tid, to }) => self.switched(time_ns, tid, to, sink)?,
            Some(Record::Other) => {}
            None => self.lost.records += 1,
        }
        Ok(())
    }

    fn sample(
        &mut self,
        time_ns: u64,
        sample: &Sample<'_>,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        if self.world.threads_seen == 0 {
            // Events of a control group see the child's last moments before its exec, which are
            // ours and not the target's.
            return Ok(());
        }
        if time_ns < self.sampled_from_ns || sample.pid == IDLE {
            return Ok(());
        }
        let task = Task {
            pid: sample.pid,
            tid: sample.tid,
            time_ns,
        };
        let leaves = self.is_of_switches(sample);
        if leaves && waits::is_gone(sample.tid) {
            return Ok(());
        }
        let owner = self.world.owner(task, &self.knowledge.binaries, sink)?;
        if leaves {
            return self.leaves(sample, &owner, sink);
        }
        let end = self.fill_chain(sample, &owner);
        let mut period = sample.period;
        if let Some(periods) = self.periods.get_mut(&sample.cpu) {
            periods.samples += 1;
            period = periods.at(time_ns).unwrap_or(period);
        }
        self.store(time_ns, &owner, Some(sample.cpu), period, end, sink)
    }

    /// Sends the sample whose chain is in `self.chain`.
    fn store(
        &mut self,
        time_ns: u64,
        owner: &Owner,
        cpu: Option<u32>,
        period: u64,
        end: StackEnd,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        let stack = self.stack(owner, sink)?;
        let weight = i64::try_from(period).unwrap_or(i64::MAX);
        let mut weights = [1, weight, 0, 0, 0];
        let columns = match &mut self.waits {
            Some(waits) => {
                weights[4] = weight / waits.sampled(owner.thread, stack, end);
                weights.len()
            }
            None => 2,
        };
        sink.sample(&Row {
            thread: owner.thread,
            time_ns,
            stack,
            weights: &weights[..columns],
            cpu,
            end,
            labels: None,
        })?;
        self.samples += 1;
        self.complete_samples += u64::from(end == StackEnd::Complete);
        self.stitched_samples += u64::from(end == StackEnd::Stitched);
        self.period_sum = self.period_sum.saturating_add(period);
        Ok(())
    }

    /// The stack whose chain is in `self.chain`.
    fn stack(&mut self, owner: &Owner, sink: &mut dyn Sink) -> Result<Option<StackId>, SinkError> {
        match self.stacks.find(&self.chain) {
            Some(stack) => Ok(stack),
            None => self.intern(owner, sink),
        }
    }

    /// Puts the address space, the number of the kernel's frames and all addresses, leaf first,
    /// into `self.chain`.
    fn fill_chain(&mut self, sample: &Sample<'_>, owner: &Owner) -> StackEnd {
        let space = &*owner.space;
        self.chain.clear();
        self.interrupted.clear();
        self.chain.extend([space.version, 0]);
        if self.user_stacks == UserStacks::Leaf {
            self.chain[1] = u64::from(sample.in_kernel);
            self.chain.push(sample.ip);
            return StackEnd::Unknown;
        }
        self.push_kernel_frames(sample);
        self.chain[1] = (self.chain.len() - CHAIN_HEAD) as u64;
        let Some(registers) = sample.registers else {
            if sample.in_kernel {
                // A kernel thread, or a task that has no memory any more: there is no user part.
                return StackEnd::Complete;
            }
            self.chain.push(sample.ip);
            return StackEnd::Failed;
        };
        let stack = StackCopy {
            bytes: sample.stack,
            reserved_bytes: sample.reserved_stack_bytes,
        };
        // Within `execve` the memory that the registers speak of is gone while they are not.
        if sample.in_kernel && stack.bytes.len() == 0 && space.find(registers.ip).is_none() {
            return StackEnd::Complete;
        }
        let end = match self.user_stacks {
            UserStacks::Unwound(Tail::Stitch) => {
                self.unwind_and_stitch(sample, registers, stack, owner)
            }
            _ => self.unwind(registers, stack, owner).end,
        };
        let cut = end == StackEnd::Truncated || end == StackEnd::Stitched;
        if cut && stack.is_full() {
            self.beyond_copy += 1;
            self.needed_bytes = u64::MAX;
            let bytes = u32::try_from(stack.reserved_bytes).unwrap_or(u32::MAX);
            self.cut.note(bytes);
        } else if end == StackEnd::Stitched {
            self.beyond_hole += 1;
        }
        match self.user_stacks {
            UserStacks::FramePointers => self.continue_by_frame_pointers(sample, end),
            UserStacks::Unwound(_) | UserStacks::Leaf => end,
        }
    }

    /// Appends the user's frames to `self.chain`.
    fn unwind(&mut self, registers: Registers, stack: StackCopy<'_>, owner: &Owner) -> Walk {
        self.walk(owner, registers.sp, |unwinder, code, found| {
            unwinder.unwind(code, registers, stack, found)
        })
    }

    /// The same by any walk, from a stack pointer on.
    fn walk(
        &mut self,
        owner: &Owner,
        sp: u64,
        walk: impl FnOnce(&mut StackUnwinder, Code<'_>, &mut Found<'_>) -> Walk,
    ) -> Walk {
        let Knowledge { binaries, unwinder } = &mut *self.knowledge;
        let space = &*owner.space;
        let mut trail = self.trails.take(owner.thread, space.version);
        let walk = walk(
            unwinder,
            Code { space, binaries },
            &mut Found {
                frames: &mut self.chain,
                interrupted: &mut self.interrupted,
                trail: &mut trail,
            },
        );
        self.trails.put(owner.thread, trail);
        if walk.sure.is_none() {
            // Whatever its end was, the walk came so far within the copy.
            let needed = walk.outermost_sp.saturating_sub(sp);
            self.needed_bytes = self.needed_bytes.max(needed);
        }
        walk
    }

    /// The same, with what the copy lacks read from the running thread.
    fn unwind_and_stitch(
        &mut self,
        sample: &Sample<'_>,
        registers: Registers,
        copy: StackCopy<'_>,
        owner: &Owner,
    ) -> StackEnd {
        let Ok(pid) = i32::try_from(sample.pid) else {
            return self.unwind(registers, copy, owner).end;
        };
        let mut tail = std::mem::take(&mut self.tail);
        let mut words = self.words.remove(&owner.thread).unwrap_or_default();
        self.words_held -= words.room();
        let mut stack = CopyAndTail::new(pid, registers.sp, copy, &mut tail, &mut words);
        let walk = self.walk(owner, registers.sp, |unwinder, code, found| {
            unwinder.unwind_memory(code, registers, &mut stack, found)
        });
        self.tail = tail;
        let root = Root {
            pid: sample.pid,
            tid: sample.tid,
            thread: owner.thread,
            ip: self.chain.last().copied().unwrap_or_default(),
            sp: walk.outermost_sp,
        };
        let end = match walk.sure {
            None => {
                if walk.end == StackEnd::Complete {
                    if copy.is_full() {
                        words.keep();
                    }
                    self.roots.learn(root);
                }
                walk.end
            }
            Some(_) if walk.end == StackEnd::Complete && self.roots.is_known(root) => {
                words.keep();
                StackEnd::Stitched
            }
            Some(sure) => {
                self.chain.truncate(sure);
                self.interrupted.retain(|&position| position < sure);
                match copy.is_full() {
                    true => StackEnd::Truncated,
                    false => StackEnd::Failed,
                }
            }
        };
        if words.are_known() {
            self.words_held += words.room();
            if self.words_held > MOST_WORDS {
                self.words.clear();
                self.words_held = words.room();
            }
            self.words.insert(owner.thread, words);
        }
        end
    }

    fn push_kernel_frames(&mut self, sample: &Sample<'_>) {
        let mut in_kernel = false;
        let before = self.chain.len();
        for address in sample.callchain.iter() {
            if address >= markers::FIRST {
                in_kernel = address == markers::KERNEL;
            } else if in_kernel {
                self.chain.push(address);
            }
        }
        if sample.in_kernel && self.chain.len() == before {
            self.chain.push(sample.ip);
        }
    }

    fn intern(&mut self, owner: &Owner, sink: &mut dyn Sink) -> Result<Option<StackId>, SinkError> {
        let kernel_frames = self.chain[1] as usize;
        let addresses = self.chain.len() - CHAIN_HEAD;
        let mut stack = None;
        for i in (0..addresses).rev() {
            let address = self.chain[CHAIN_HEAD + i];
            // The leaf, the user's own leaf below the kernel's frames, and what signals interrupted
            // are where a thread was; all others are where it will return to.
            let signalled = self.interrupted.contains(&(CHAIN_HEAD + i));
            let kind = if i == 0 || i == kernel_frames || signalled {
                AddressKind::Ip
            } else {
                AddressKind::ReturnAddress
            };
            let place = if i < kernel_frames {
                let kernel = self.knowledge.binaries.kernel();
                Place {
                    image: Some(self.world.image(kernel, &self.knowledge.binaries, sink)?),
                    address,
                }
            } else {
                self.user_place(owner, address, kind, sink)?
            };
            stack = Some(self.stacks.push(stack, place, kind, sink)?);
        }
        self.stacks.remember(&self.chain, stack);
        Ok(stack)
    }

    fn user_place(
        &mut self,
        owner: &Owner,
        address: u64,
        kind: AddressKind,
        sink: &mut dyn Sink,
    ) -> Result<Place, SinkError> {
        // A call that never returns may be the last instruction of its mapping.
        let lookup = match kind {
            AddressKind::ReturnAddress => address.wrapping_sub(1),
            AddressKind::Ip | AddressKind::Adjusted => address,
        };
        let Some(map) = owner.space.find(lookup) else {
            return Ok(Place {
                image: None,
                address,
            });
        };
        let binaries = &self.knowledge.binaries;
        Ok(Place {
            image: Some(self.world.image(map.binary, binaries, sink)?),
            address: map.relative(address),
        })
    }
}
