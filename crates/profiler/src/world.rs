//! Which processes, threads and mappings exist at the time of a record.

use std::rc::Rc;

use hotproof_profile::{
    Image, ImageId, Mapping, Process, ProcessId, Sink, SinkError, StringId, Thread, ThreadId,
};
use rustc_hash::FxHashMap;

use crate::binary::{Binaries, BinaryId};
use crate::decode::Mmap;
use crate::space::AddressSpace;

/// The processes and threads of a recording; fed in the order of time.
#[derive(Default)]
pub(crate) struct World {
    processes: FxHashMap<u32, LiveProcess>,
    threads: FxHashMap<u32, LiveThread>,
    /// Tasks whose end was seen, by thread: the kernel may still sample them on their last way.
    ended: FxHashMap<u32, Owner>,
    images: FxHashMap<BinaryId, ImageId>,
    versions: u64,
    /// Threads seen so far, ended ones included.
    pub(crate) threads_seen: u32,
    /// Mappings that were copied because a fork shared them: a measure of the memory in use.
    pub(crate) maps_copied: u64,
}

struct LiveProcess {
    row: ProcessId,
    name: StringId,
    space: Rc<AddressSpace>,
    threads: u32,
    /// Whether the sink knows the mappings. A fork's are sent with its first sample, because most
    /// forks exec or end before one.
    mappings_sent: bool,
}

#[derive(Debug, Clone, Copy)]
struct LiveThread {
    row: ThreadId,
    pid: u32,
    name: StringId,
}

/// A task and when something happened to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    /// Its process.
    pub(crate) pid: u32,
    /// The thread.
    pub(crate) tid: u32,
    /// On the profile's clock.
    pub(crate) time_ns: u64,
}

/// How many ended tasks are remembered at most.
const MOST_ENDED: usize = 1_024;

/// Who a sample belongs to.
#[derive(Clone)]
pub(crate) struct Owner {
    /// The thread.
    pub(crate) thread: ThreadId,
    /// Its memory.
    pub(crate) space: Rc<AddressSpace>,
}

impl World {
    /// Processes whose end was not seen, in no order.
    pub(crate) fn live_processes(&self) -> impl Iterator<Item = u32> {
        self.processes.keys().copied()
    }

    /// The row of a thread that is there; `None` for one that no record told of, or that ended.
    pub(crate) fn find_thread(&self, tid: u32) -> Option<ThreadId> {
        self.threads.get(&tid).map(|thread| thread.row)
    }

    /// The rows of all threads that are there, in no order.
    pub(crate) fn live_threads(&self) -> impl Iterator<Item = ThreadId> {
        self.threads.values().map(|thread| thread.row)
    }

    /// A new process or thread.
    pub(crate) fn fork(
        &mut self,
        task: Task,
        parent_pid: u32,
        parent_tid: u32,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        let name = match self.threads.get(&parent_tid) {
            Some(parent) => parent.name,
            None => sink.string(&unknown_name(parent_pid))?,
        };
        if task.pid != parent_pid {
            let space = match self.processes.get(&parent_pid) {
                Some(parent) => Rc::clone(&parent.space),
                None => Rc::new(AddressSpace::empty()),
            };
            self.start_process(task, name, space, sink)?;
        }
        self.start_thread(task, name, sink)?;
        Ok(())
    }

    /// A thread has a new name; with `exec` its process has a new image.
    pub(crate) fn comm(
        &mut self,
        task: Task,
        name: &str,
        exec: Exec,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        let name = sink.string(name)?;
        if exec == Exec::Yes {
            self.end_process(task.pid, task.time_ns, sink)?;
            self.start_process(task, name, Rc::new(AddressSpace::empty()), sink)?;
            self.start_thread(task, name, sink)?;
        } else if let Some(thread) = self.threads.get_mut(&task.tid) {
            thread.name = name;
            sink.thread_named(thread.row, name)?;
        } else {
            if task.tid == task.pid && !self.processes.contains_key(&task.pid) {
                // Nobody saw it begin: its main thread's name is all that is known of it.
                self.start_process(task, name, Rc::new(AddressSpace::empty()), sink)?;
            }
            self.start_thread(task, name, sink)?;
        }
        Ok(())
    }

    /// A thread ended.
    pub(crate) fn exit(&mut self, task: Task, sink: &mut dyn Sink) -> Result<(), SinkError> {
        let Some(thread) = self.threads.remove(&task.tid) else {
            return Ok(());
        };
        if let Some(process) = self.processes.get(&thread.pid) {
            if self.ended.len() >= MOST_ENDED {
                self.ended.clear();
            }
            let owner = Owner {
                thread: thread.row,
                space: Rc::clone(&process.space),
            };
            self.ended.insert(task.tid, owner);
        }
        self.leave(thread, task.time_ns, sink)
    }

    /// Ends a thread that is no longer among the live ones, and its process with the last of them.
    fn leave(
        &mut self,
        thread: LiveThread,
        time_ns: u64,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        sink.thread_ended(thread.row, time_ns)?;
        let Some(process) = self.processes.get_mut(&thread.pid) else {
            return Ok(());
        };
        process.threads = process.threads.saturating_sub(1);
        if process.threads == 0 {
            let row = process.row;
            self.processes.remove(&thread.pid);
            sink.process_ended(row, time_ns)?;
        }
        Ok(())
    }

    /// Executable memory appeared.
    pub(crate) fn mmap(
        &mut self,
        time_ns: u64,
        mmap: &Mmap,
        binaries: &mut Binaries,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        let binary = binaries.of_mapping(mmap);
        self.place(time_ns, mmap, binary, binaries, sink)
    }

    /// Executable memory of a binary that is already known appeared.
    pub(crate) fn place(
        &mut self,
        time_ns: u64,
        mmap: &Mmap,
        binary: BinaryId,
        binaries: &Binaries,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        self.versions += 1;
        let version = self.versions;
        let process = self.process(mmap.pid, time_ns, sink)?;
        let copied = match Rc::strong_count(&process.space) {
            1 => 0,
            _ => process.space.maps().len() as u64,
        };
        let space = Rc::make_mut(&mut process.space);
        space.version = version;
        let map = space.insert(mmap, binary, binaries);
        let row = process.mappings_sent.then_some(process.row);
        if let Some(row) = row {
            let image = self.image(binary, binaries, sink)?;
            sink.mapping(mapping_row(row, image, &map, time_ns))?;
        }
        self.maps_copied += copied;
        Ok(())
    }

    /// Whose sample it is; a task of which no record came before is made up.
    pub(crate) fn owner(
        &mut self,
        task: Task,
        binaries: &Binaries,
        sink: &mut dyn Sink,
    ) -> Result<Owner, SinkError> {
        let known = self.threads.get(&task.tid).map(|thread| thread.row);
        if known.is_none()
            && let Some(owner) = self.ended.get(&task.tid)
        {
            return Ok(owner.clone());
        }
        let thread = match known {
            Some(row) => row,
            None => {
                let name = self.process(task.pid, task.time_ns, sink)?.name;
                self.start_thread(task, name, sink)?
            }
        };
        let process = self.process(task.pid, task.time_ns, sink)?;
        let space = Rc::clone(&process.space);
        if !process.mappings_sent {
            process.mappings_sent = true;
            let row = process.row;
            for map in space.maps() {
                let image = self.image(map.binary, binaries, sink)?;
                sink.mapping(mapping_row(row, image, map, task.time_ns))?;
            }
        }
        Ok(Owner { thread, space })
    }

    /// The profile's image of a binary, sent to the sink when it is new.
    pub(crate) fn image(
        &mut self,
        binary: BinaryId,
        binaries: &Binaries,
        sink: &mut dyn Sink,
    ) -> Result<ImageId, SinkError> {
        if let Some(&id) = self.images.get(&binary) {
            return Ok(id);
        }
        let facts = &binaries[binary];
        let path = sink.string(&facts.path)?;
        let id = sink.image(Image {
            path,
            build_id: facts.build_id.clone(),
            kind: facts.kind,
        })?;
        self.images.insert(binary, id);
        Ok(id)
    }

    fn process(
        &mut self,
        pid: u32,
        time_ns: u64,
        sink: &mut dyn Sink,
    ) -> Result<&mut LiveProcess, SinkError> {
        if !self.processes.contains_key(&pid) {
            let name = sink.string(&unknown_name(pid))?;
            let task = Task {
                pid,
                tid: pid,
                time_ns,
            };
            self.start_process(task, name, Rc::new(AddressSpace::empty()), sink)?;
        }
        let process = self.processes.get_mut(&pid);
        Ok(process.expect("the process was there or has just been made"))
    }

    fn start_process(
        &mut self,
        task: Task,
        name: StringId,
        space: Rc<AddressSpace>,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        self.end_process(task.pid, task.time_ns, sink)?;
        let row = sink.process(Process {
            pid: task.pid,
            name,
            start_ns: task.time_ns,
            end_ns: None,
        })?;
        let mappings_sent = space.maps().next().is_none();
        let process = LiveProcess {
            row,
            name,
            mappings_sent,
            space,
            threads: 0,
        };
        self.processes.insert(task.pid, process);
        Ok(())
    }

    fn start_thread(
        &mut self,
        task: Task,
        name: StringId,
        sink: &mut dyn Sink,
    ) -> Result<ThreadId, SinkError> {
        let process = self.process(task.pid, task.time_ns, sink)?;
        process.threads += 1;
        let process = process.row;
        // The record of its end was lost, and its number is another thread's now.
        if let Some(before) = self.threads.remove(&task.tid) {
            self.leave(before, task.time_ns, sink)?;
        }
        let row = sink.thread(Thread {
            process,
            tid: task.tid,
            name,
            start_ns: task.time_ns,
            end_ns: None,
        })?;
        let thread = LiveThread {
            row,
            pid: task.pid,
            name,
        };
        self.threads.insert(task.tid, thread);
        self.ended.remove(&task.tid);
        self.threads_seen += 1;
        Ok(row)
    }

    /// Ends a process and its threads, when it is still there.
    fn end_process(
        &mut self,
        pid: u32,
        time_ns: u64,
        sink: &mut dyn Sink,
    ) -> Result<(), SinkError> {
        let Some(process) = self.processes.remove(&pid) else {
            return Ok(());
        };
        let mut ended: Vec<(ThreadId, u32)> = self
            .threads
            .iter()
            .filter(|(_, thread)| thread.pid == pid)
            .map(|(&tid, thread)| (thread.row, tid))
            .collect();
        ended.sort_unstable();
        for (row, tid) in ended {
            self.threads.remove(&tid);
            sink.thread_ended(row, time_ns)?;
        }
        sink.process_ended(process.row, time_ns)
    }
}

/// Whether a new name comes from `execve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exec {
    /// It does.
    Yes,
    /// The thread named itself.
    No,
}

/// What a task is called of which no record told the name.
fn unknown_name(pid: u32) -> String {
    // The kernel has no number any more for a task on its last way (-1).
    if pid == u32::MAX {
        return "ended".to_owned();
    }
    format!("pid {pid}")
}

fn mapping_row(
    process: ProcessId,
    image: ImageId,
    map: &crate::space::Map,
    from_ns: u64,
) -> Mapping {
    Mapping {
        process: Some(process),
        start: map.start,
        end: map.end,
        file_offset: map.file_offset,
        image,
        from_ns,
        to_ns: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotproof_profile::{Id, Profile};

    fn task(pid: u32, tid: u32, time_ns: u64) -> Task {
        Task { pid, tid, time_ns }
    }

    fn mmap(pid: u32, start: u64) -> Mmap {
        Mmap {
            pid,
            start,
            end: start + 0x1000,
            file_offset: 0,
            inode: 0,
            path: format!("[m{start:x}]").into_bytes(),
        }
    }

    struct Fixture {
        world: World,
        binaries: Binaries,
        profile: Profile,
    }

    impl Fixture {
        /// One process, 10, that has just executed `main`, with one mapping at 0x1000.
        fn new() -> Fixture {
            let mut fixture = Fixture {
                world: World::default(),
                binaries: Binaries::default(),
                profile: Profile::default(),
            };
            fixture.comm(task(10, 10, 1), "main", Exec::Yes);
            fixture.mmap(10, 0x1000, 2);
            fixture
        }

        fn comm(&mut self, task: Task, name: &str, exec: Exec) {
            let sink = &mut self.profile;
            self.world.comm(task, name, exec, sink).unwrap();
        }

        fn fork(&mut self, task: Task, parent: u32) {
            let sink = &mut self.profile;
            self.world.fork(task, parent, parent, sink).unwrap();
        }

        fn exit(&mut self, task: Task) {
            self.world.exit(task, &mut self.profile).unwrap();
        }

        fn mmap(&mut self, pid: u32, start: u64, time_ns: u64) {
            let sink = &mut self.profile;
            let mmap = mmap(pid, start);
            self.world
                .mmap(time_ns, &mmap, &mut self.binaries, sink)
                .unwrap();
        }

        fn owner(&mut self, task: Task) -> Owner {
            let sink = &mut self.profile;
            self.world.owner(task, &self.binaries, sink).unwrap()
        }

        fn starts(&mut self, task: Task) -> Vec<u64> {
            self.owner(task).space.maps().map(|m| m.start).collect()
        }

        fn thread_name(&self, id: ThreadId) -> &str {
            &self.profile.strings[self.profile.threads[id].name]
        }
    }

    /// A child has its parent's mappings of the time of the fork; what either maps later is its own.
    #[test]
    fn a_fork_inherits_mappings_and_then_goes_its_own_way() {
        let mut f = Fixture::new();
        f.fork(task(11, 11, 3), 10);
        assert_eq!(f.profile.mappings.len(), 1);
        f.mmap(10, 0x2000, 4);
        f.mmap(11, 0x3000, 5);
        assert_eq!(f.starts(task(10, 10, 6)), [0x1000, 0x2000]);
        assert_eq!(f.starts(task(11, 11, 7)), [0x1000, 0x3000]);
        let rows = f.profile.mappings.rows();
        let of_child = rows.iter().filter(|m| m.process.unwrap().index() == 1);
        assert_eq!(of_child.count(), 2);
        assert_eq!(rows.len(), 4);
    }

    /// An exec starts a new image: new rows, no old mappings, the old image and threads ended.
    #[test]
    fn an_exec_starts_anew() {
        let mut f = Fixture::new();
        f.fork(task(10, 12, 3), 10);
        f.comm(task(10, 10, 9), "next", Exec::Yes);
        assert_eq!(f.starts(task(10, 10, 10)), [] as [u64; 0]);
        let names: Vec<_> = f
            .profile
            .processes
            .rows()
            .iter()
            .map(|p| (&f.profile.strings[p.name], p.end_ns))
            .collect();
        assert_eq!(names, [("main", Some(9)), ("next", None)]);
        let ended = f.profile.threads.rows().iter().map(|t| t.end_ns);
        assert_eq!(ended.collect::<Vec<_>>(), [Some(9), Some(9), None]);
    }

    /// Threads have their maker's name until they take their own; a process ends with its last
    /// thread, also when the first one ended long before.
    #[test]
    fn threads_come_and_go() {
        let mut f = Fixture::new();
        f.fork(task(10, 12, 3), 10);
        let owner = f.owner(task(10, 12, 4)).thread;
        assert_eq!(f.thread_name(owner), "main");
        f.comm(task(10, 12, 5), "worker", Exec::No);
        assert_eq!(f.thread_name(owner), "worker");
        f.exit(task(10, 10, 6));
        assert_eq!(f.world.live_processes().count(), 1);
        assert_eq!(f.starts(task(10, 12, 7)), [0x1000]);
        f.exit(task(10, 12, 8));
        // The kernel's last steps of a thread still belong to it.
        assert_eq!(f.owner(task(10, 12, 9)).thread, owner);
        assert_eq!(f.world.live_processes().count(), 0);
        assert_eq!(f.profile.processes.rows()[0].end_ns, Some(8));
        assert_eq!(f.world.threads_seen, 2);
    }

    /// A process number that is used again is a new process.
    #[test]
    fn a_reused_number_is_a_new_process() {
        let mut f = Fixture::new();
        f.fork(task(11, 11, 3), 10);
        f.exit(task(11, 11, 4));
        f.fork(task(11, 11, 5), 10);
        f.comm(task(11, 11, 6), "second", Exec::Yes);
        let owner = f.owner(task(11, 11, 7)).thread;
        assert_eq!(f.thread_name(owner), "second");
        assert_eq!(f.profile.processes.len(), 4);
    }

    /// A number that is used again although its end was lost: the thread before has ended by then, its
    /// process too when it was the last of it, and is not counted among those of the new one.
    #[test]
    fn a_thread_whose_end_was_lost_has_ended_when_its_number_starts_again() {
        let mut f = Fixture::new();
        f.fork(task(10, 12, 3), 10);
        f.fork(task(10, 12, 5), 10);
        f.fork(task(11, 11, 6), 10);
        f.fork(task(11, 13, 7), 11);
        f.exit(task(11, 11, 8));
        f.fork(task(10, 13, 9), 10);
        let threads = f.profile.threads.rows().iter().map(|t| t.end_ns);
        let expected = [None, Some(5), None, Some(8), Some(9), None];
        assert_eq!(threads.collect::<Vec<_>>(), expected);
        let processes = f.profile.processes.rows().iter().map(|p| p.end_ns);
        let expected = [None, Some(9)];
        assert_eq!(processes.collect::<Vec<_>>(), expected, "with its last");
        for (tid, time_ns) in [(12, 10), (13, 11), (10, 12)] {
            f.exit(task(10, tid, time_ns));
        }
        assert_eq!(f.profile.processes.rows()[0].end_ns, Some(12));
        assert_eq!(f.world.live_processes().count(), 0, "none is left over");
        f.profile.validate().unwrap();
    }

    /// Records that got lost do not stop anything: an unknown task is made up, once.
    #[test]
    fn an_unknown_task_is_made_up_once() {
        let mut f = Fixture::new();
        let first = f.owner(task(77, 78, 3)).thread;
        let second = f.owner(task(77, 78, 4)).thread;
        assert_eq!(first, second);
        assert_eq!(f.thread_name(first), "pid 77");
        f.exit(task(99, 99, 5));
        f.profile.validate().unwrap();
    }
}
