//! What is seen of threads that were stopped, where no records tell of mappings.

use hotproof_profile::{Sink, SinkError, StackEnd};

use super::{CHAIN_HEAD, Observer, UserStacks};
use crate::attach::executable_maps;
use crate::registers::Registers;
use crate::space::AddressSpace;
use crate::unwind::StackMemory;
use crate::world::{Exec, Owner, Task};

/// Mappings are not read again within this time when the reading before found nothing new.
const MAPS_AGE_NS: u64 = 100_000_000;

impl Observer<'_> {
    /// A thread has a name, and with [`Exec::Yes`] its process another program.
    pub(crate) fn named(
        &mut self,
        task: Task,
        name: &str,
        exec: Exec,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        self.world.comm(task, name, exec, sink)?;
        if exec == Exec::Yes {
            self.maps_read.remove(&task.pid);
            self.read_maps(task, sink)?;
        }
        Ok(())
    }

    /// A new process or thread.
    pub(crate) fn started(
        &mut self,
        task: Task,
        parent_pid: u32,
        parent_tid: u32,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        self.world.fork(task, parent_pid, parent_tid, sink)
    }

    /// A thread ended.
    pub(crate) fn ended(&mut self, task: Task, sink: &mut dyn Sink) -> Result<(), SinkError> {
        self.world.exit(task, sink)
    }

    /// A thread stands still after `weight_ns` of CPU time; `registers` is `None` when it runs code
    /// that cannot be unwound.
    pub(crate) fn stopped(
        &mut self,
        task: Task,
        weight_ns: u64,
        registers: Option<Registers>,
        stack: &mut impl StackMemory,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        if task.time_ns < self.sampled_from_ns {
            return Ok(());
        }
        let mut owner = self.world.owner(task, &self.knowledge.binaries, sink)?;
        let mut end = self.fill_from_stop(registers, stack, &owner);
        if self.stacks.find(&self.chain).is_none()
            && self.leads_nowhere(&owner.space)
            && self.read_maps(task, sink)?
        {
            owner = self.world.owner(task, &self.knowledge.binaries, sink)?;
            end = self.fill_from_stop(registers, stack, &owner);
        }
        self.store(task.time_ns, &owner, None, weight_ns, end, sink)
    }

    fn fill_from_stop(
        &mut self,
        registers: Option<Registers>,
        stack: &mut impl StackMemory,
        owner: &Owner,
    ) -> StackEnd {
        self.chain.clear();
        self.interrupted.clear();
        self.chain.extend([owner.space.version, 0]);
        let Some(registers) = registers else {
            return StackEnd::Failed;
        };
        if self.user_stacks == UserStacks::Leaf {
            self.chain.push(registers.ip);
            return StackEnd::Unknown;
        }
        let walk = self.walk(owner, registers.sp, |unwinder, code, found| {
            unwinder.unwind_memory(code, registers, stack, found)
        });
        walk.end
    }

    /// Whether an address of the chain lies in no known mapping.
    fn leads_nowhere(&self, space: &AddressSpace) -> bool {
        let mut addresses = self.chain[CHAIN_HEAD..].iter();
        addresses.any(|address| space.find(address.wrapping_sub(1)).is_none())
    }

    /// Reads the mappings of a process; whether there are new ones.
    fn read_maps(&mut self, task: Task, sink: &mut dyn Sink) -> Result<bool, SinkError> {
        let Task { pid, time_ns, .. } = task;
        let read = self.maps_read.get(&pid);
        if read.is_some_and(|&at| time_ns.saturating_sub(at) < MAPS_AGE_NS) {
            return Ok(false);
        }
        let space = self
            .world
            .owner(task, &self.knowledge.binaries, sink)?
            .space;
        let mut news = false;
        for mmap in executable_maps(pid) {
            let known = space.find(mmap.start).is_some_and(|map| {
                (map.start, map.end, map.file_offset) == (mmap.start, mmap.end, mmap.file_offset)
            });
            if !known {
                let binaries = &mut self.knowledge.binaries;
                self.world.mmap(time_ns, &mmap, binaries, sink)?;
                news = true;
            }
        }
        if news {
            self.knowledge.unwinder.space_changed();
            self.maps_read.remove(&pid);
        } else {
            self.maps_read.insert(pid, time_ns);
        }
        Ok(news)
    }
}
