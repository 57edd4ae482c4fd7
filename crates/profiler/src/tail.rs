//! The part of a stack beyond its copy, read from the running target a moment later.
//!
//! By then the thread may have returned and called something else. So the outermost return addresses
//! of the copy have to stand where they stood (data beside them may change: the same functions may
//! have been called anew), and the chain has to end at a root of the thread that is known from
//! elsewhere. Where the copy ended early, at a page within a large frame that was never touched, the
//! first of that is not asked for: what the frame calls changes all the time, while it lasts itself.
//! Even then the frames between may be others than those of the sample; whoever needs callers for
//! certain does not use such stacks.

use hotproof_profile::ThreadId;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::sys::ptrace;
use crate::task_stat::TaskStat;
use crate::unwind::{StackCopy, StackMemory, word_at};

/// So many return addresses at the copy's end are compared, if they lie within so many bytes of it.
const COMPARED_RETURNS: usize = 32;
const COMPARED_BYTES: u64 = 16 << 10;
/// What is read at first; each further reading doubles it.
const FIRST_BYTES: usize = 16 << 10;
/// No stack is read further.
const MOST_BYTES: usize = 8 << 20;

/// A copy of the lower part of a stack, and how to get at the rest.
pub(crate) struct CopyAndTail<'a> {
    pid: i32,
    bottom: u64,
    copy: StackCopy<'a>,
    /// What was read, from the first word that was compared on.
    buffer: &'a mut Vec<u8>,
    state: State,
    /// Offsets of the last return addresses within the copy, and these; by number from the leaf on.
    returns: [(u64, u64); COMPARED_RETURNS],
    /// How many there were.
    returned: usize,
    words: &'a mut Words,
}

/// Words of a thread's stack, by address.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// What was read when its stack was last whole and reached beyond its copy, or almost.
    before: Vec<(u64, u64)>,
    /// What the walk that goes on has read.
    now: Vec<(u64, u64)>,
}

impl Words {
    /// The walk was taken.
    pub(crate) fn keep(&mut self) {
        std::mem::swap(&mut self.before, &mut self.now);
    }

    /// So many words have room.
    pub(crate) fn room(&self) -> usize {
        self.before.capacity() + self.now.capacity()
    }

    /// Whether there is anything to remember.
    pub(crate) fn are_known(&self) -> bool {
        !self.before.is_empty()
    }

    /// Whether a word is the same as before.
    fn stands(&self, address: u64, word: u64) -> bool {
        let found = self.before.binary_search_by_key(&address, |word| word.0);
        found.is_ok_and(|index| self.before[index].1 == word)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was read.
    Untried,
    /// The copy's return addresses were found again, or what is read has to be what it was before;
    /// `buffer` begins this far above the bottom.
    Reading {
        from: u64,
        whole: bool,
        has_to_stand: bool,
    },
    /// The thread has moved on, or its memory cannot be read.
    Refused,
}

impl<'a> CopyAndTail<'a> {
    /// The stack of a thread of `pid` from `bottom`, the stack pointer, on, of which `words` are known;
    /// `buffer` is room that is used again and again.
    pub(crate) fn new(
        pid: i32,
        bottom: u64,
        copy: StackCopy<'a>,
        buffer: &'a mut Vec<u8>,
        words: &'a mut Words,
    ) -> CopyAndTail<'a> {
        buffer.clear();
        words.now.clear();
        CopyAndTail {
            pid,
            bottom,
            copy,
            buffer,
            state: State::Untried,
            returns: [(0, 0); COMPARED_RETURNS],
            returned: 0,
            words,
        }
    }

    fn begin(&mut self) -> State {
        let end = self.copy.bytes.len() as u64;
        let known = self.returned.min(COMPARED_RETURNS);
        let mut compared = self.returns[..known].to_vec();
        let is_near = |&(offset, _): &(u64, u64)| offset + COMPARED_BYTES >= end;
        match self.copy.is_full() && compared.iter().any(is_near) {
            true => compared.retain(is_near),
            // One frame takes up the rest of the copy, or has pages that it never touched, at which a
            // copy ends. What it calls returns and is called anew all the time; that it is still there
            // itself is told by the outermost return address.
            false => {
                let outermost = self.returned.checked_sub(1);
                let outermost = outermost.map(|last| self.returns[last % COMPARED_RETURNS]);
                compared = outermost.into_iter().collect();
            }
        }
        let first = compared.iter().map(|&(offset, _)| offset).min();
        let from = first.unwrap_or(end);
        let length = usize::try_from(end.saturating_sub(from)).unwrap_or(0);
        let whole = self.read_on(from, length + FIRST_BYTES);
        let stands = |&(offset, address)| word_at(self.buffer, offset - from) == Ok(address);
        let moved_on = compared.is_empty() || !compared.iter().all(stands);
        // A page that was never touched lies in the middle of a frame that nothing has come back to
        // and gone deeper from: it lasts, and its callers have to lead to the root all the same.
        let has_to_stand = moved_on && self.copy.is_full();
        if has_to_stand && self.words.before.is_empty() {
            return State::Refused;
        }
        if has_to_stand {
            self.words.before.sort_unstable();
        }
        State::Reading {
            from,
            whole,
            has_to_stand,
        }
    }

    /// Reads more behind `buffer`; whether there is nothing beyond.
    fn read_on(&mut self, from: u64, more: usize) -> bool {
        let have = self.buffer.len();
        let address = self.bottom.wrapping_add(from).wrapping_add(have as u64);
        self.buffer.resize(have + more, 0);
        let got = ptrace::read_memory(self.pid, address, &mut self.buffer[have..]).unwrap_or(0);
        self.buffer.truncate(have + got);
        got < more || self.buffer.len() >= MOST_BYTES
    }

    fn beyond(&mut self, offset: u64) -> Result<u64, ()> {
        if self.state == State::Untried {
            self.state = self.begin();
        }
        loop {
            let State::Reading {
                from,
                whole,
                has_to_stand,
            } = self.state
            else {
                return Err(());
            };
            let within = offset.checked_sub(from).ok_or(())?;
            match word_at(self.buffer, within) {
                Err(()) if !whole && within < MOST_BYTES as u64 => {
                    let whole = self.read_on(from, self.buffer.len().max(FIRST_BYTES));
                    self.state = State::Reading {
                        from,
                        whole,
                        has_to_stand,
                    };
                }
                Ok(word) => {
                    let address = self.bottom.wrapping_add(offset);
                    if has_to_stand && !self.words.stands(address, word) {
                        return Err(());
                    }
                    self.words.now.push((address, word));
                    return Ok(word);
                }
                error => return error,
            }
        }
    }
}

impl StackMemory for CopyAndTail<'_> {
    fn word(&mut self, address: u64) -> Result<u64, ()> {
        let offset = address.checked_sub(self.bottom).ok_or(())?;
        match self.copy.bytes.word(offset) {
            Ok(word) => {
                // Where it may go on beyond, the words within belong to what is known of the stack.
                if self.copy.is_full() {
                    self.words.now.push((address, word));
                }
                Ok(word)
            }
            Err(()) => self.beyond(offset),
        }
    }

    fn returned(&mut self, slot: u64, address: u64) {
        let offset = slot.wrapping_sub(self.bottom);
        if offset < self.copy.bytes.len() as u64 {
            self.returns[self.returned % COMPARED_RETURNS] = (offset, address);
            self.returned += 1;
        }
    }

    fn cuts_off(&self, address: u64) -> bool {
        self.copy.is_full() && address >= self.bottom
    }

    fn is_live(&self) -> bool {
        matches!(self.state, State::Reading { .. })
    }
}

/// Where the stacks of threads begin.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    /// Outermost address and stack pointer of whole stacks, by thread.
    of_threads: FxHashSet<(ThreadId, u64, u64)>,
    /// Threads of which one is known.
    known: FxHashSet<ThreadId>,
    /// Outermost addresses, by process.
    of_processes: FxHashSet<(u32, u64)>,
    /// How often the end of the memory was looked for that a thread's stack lies in.
    searches: FxHashMap<ThreadId, u32>,
}

/// Where a stack ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Root {
    /// The process.
    pub(crate) pid: u32,
    /// The thread.
    pub(crate) tid: u32,
    /// Its row.
    pub(crate) thread: ThreadId,
    /// The outermost frame's address.
    pub(crate) ip: u64,
    /// The stack pointer of that frame.
    pub(crate) sp: u64,
}

/// The stack pointer of a program's first frame is within so many bytes of where the kernel left
/// it: its entry pushes some words.
const ENTRY_BYTES: u64 = 64;

impl Roots {
    /// Takes note of the end of a stack that was whole in its copy.
    pub(crate) fn learn(&mut self, root: Root) {
        if self.of_threads.insert((root.thread, root.ip, root.sp)) {
            self.known.insert(root.thread);
            self.of_processes.insert((root.pid, root.ip));
        }
    }

    /// Whether a stack that ends there ends where its thread began.
    pub(crate) fn is_known(&mut self, root: Root) -> bool {
        if self.of_threads.contains(&(root.thread, root.ip, root.sp)) {
            return true;
        }
        if root.pid != root.tid {
            // Threads of one process begin in the same function.
            let is_new = !self.known.contains(&root.thread);
            let begins_like_others = is_new && self.of_processes.contains(&(root.pid, root.ip));
            // What is known of a thread may be its very first moment, in the kernel's return to the
            // function that starts threads, which is the root of nothing later.
            return begins_like_others || self.ends_memory(root);
        }
        // A first thread has two: the loader runs before the program does, from the same place.
        let is_start =
            start_of_stack(root.pid).is_some_and(|start| start.abs_diff(root.sp) <= ENTRY_BYTES);
        if is_start {
            self.learn(root);
        }
        is_start
    }
}

/// Between the first frame of a thread and the end of its stack lie what the C library knows of it and
/// its own variables: a program may have many of those.
const THREAD_BYTES: u64 = 1 << 20;
/// Looking through all mappings takes a while; a thread whose stack lies elsewhere is given up.
const MOST_SEARCHES: u32 = 8;

impl Roots {
    /// Whether a stack that unwind information says to end ends where its memory does, as the stacks
    /// of threads do: then that is the thread's root. Threads whose stacks are never whole in a copy
    /// have no other, as rustc's, which begins with a frame of 60 KiB.
    fn ends_memory(&mut self, root: Root) -> bool {
        let searches = self.searches.entry(root.thread).or_default();
        *searches += 1;
        if *searches > MOST_SEARCHES {
            return false;
        }
        let ends = end_of_mapping(root.pid, root.sp)
            .is_some_and(|end| end.wrapping_sub(root.sp) <= THREAD_BYTES);
        if ends {
            self.learn(root);
        }
        ends
    }
}

/// The end of the mapping that an address lies in, by `/proc/PID/maps`.
fn end_of_mapping(pid: u32, address: u64) -> Option<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    maps.lines().find_map(|line| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        let (start, end) = (number(start)?, number(end)?);
        (start..end).contains(&address).then_some(end)
    })
}

/// Where the stack of a process began at its exec: `startstack` of `/proc/PID/stat`, the 28th field
/// (proc(5)).
fn start_of_stack(pid: u32) -> Option<u64> {
    let start = TaskStat::of_process(pid)?.number(28)?;
    (start != 0).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::StackBytes;

    fn own_pid() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    fn bytes_of(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    fn full(bytes: &[u8]) -> StackCopy<'_> {
        StackCopy {
            bytes: StackBytes::Slice(bytes),
            reserved_bytes: bytes.len(),
        }
    }

    /// Our own stack from `bottom` on, of which `copied` was copied, all that there was room for.
    fn stack_of<'a>(
        bottom: u64,
        copied: &'a [u8],
        buffer: &'a mut Vec<u8>,
        words: &'a mut Words,
    ) -> CopyAndTail<'a> {
        CopyAndTail::new(own_pid(), bottom, full(copied), buffer, words)
    }

    /// Words beyond the copy come from the memory, those within it from the copy.
    #[test]
    fn what_the_copy_lacks_is_read() {
        let words: Vec<u64> = (0..20_000).collect();
        let (mut buffer, mut words_before) = (Vec::new(), Words::default());
        let (bottom, copied) = (words.as_ptr().addr() as u64, bytes_of(&words[..512]));
        let mut stack = stack_of(bottom, &copied, &mut buffer, &mut words_before);
        assert_eq!(stack.word(bottom + 8 * 500), Ok(500));
        stack.returned(bottom + 8 * 500, 500);
        assert!(!stack.is_live());
        for index in [512, 513, 5_000, 19_999] {
            assert_eq!(stack.word(bottom + 8 * index), Ok(index));
        }
        assert!(stack.is_live());
        assert_eq!(stack.word(bottom - 8), Err(()));
    }

    /// When a return address does not stand where it stood, the thread has moved on; nor is
    /// anything read when none can be compared. Other words may change.
    #[test]
    fn a_changed_stack_is_refused() {
        let mut words: Vec<u64> = (0..20_000).collect();
        let (mut buffer, mut words_before) = (Vec::new(), Words::default());
        let copied = bytes_of(&words[..512]);
        (words[499], words[500]) = (0, 0);
        let bottom = words.as_ptr().addr() as u64;
        let mut stack = stack_of(bottom, &copied, &mut buffer, &mut words_before);
        assert_eq!(stack.word(bottom + 8 * 600), Err(()));
        assert!(stack.cuts_off(bottom + 8 * 600));
        for (returned, expected) in [(500, Err(())), (501, Ok(600))] {
            let mut stack = stack_of(bottom, &copied, &mut buffer, &mut words_before);
            for index in [499, returned] {
                assert_eq!(stack.word(bottom + 8 * index), Ok(index));
            }
            stack.returned(bottom + 8 * returned, returned);
            assert_eq!(stack.word(bottom + 8 * 600), expected);
            assert_eq!(stack.is_live(), expected.is_ok());
        }
    }

    /// A function whose frame takes up most of the copy, as that of rustc's `run_compiler` does, is
    /// still there when the return address into it stands, whatever has become of those below it.
    #[test]
    fn one_huge_frame_is_enough_to_go_on() {
        let mut words: Vec<u64> = (0..20_000).collect();
        let copied = bytes_of(&words[..8_000]);
        (words[3], words[7_000]) = (0, 0);
        let bottom = words.as_ptr().addr() as u64;
        for (outermost, expected) in [(5, Ok(9_000)), (3, Err(()))] {
            let (mut buffer, mut words_before) = (Vec::new(), Words::default());
            let mut stack = stack_of(bottom, &copied, &mut buffer, &mut words_before);
            for index in [3, outermost] {
                assert_eq!(stack.word(bottom + 8 * index), Ok(index));
                stack.returned(bottom + 8 * index, index);
            }
            assert_eq!(stack.word(bottom + 8 * 9_000), expected);
        }
    }

    /// When the return addresses of the copy are gone, words are taken that stood beyond it at the last
    /// reading that was kept and still stand; others are not.
    #[test]
    fn what_stands_before_and_after_is_taken() {
        let mut words: Vec<u64> = (0..20_000).collect();
        let copied = bytes_of(&words[..512]);
        let bottom = words.as_ptr().addr() as u64;
        let (mut buffer, mut known) = (Vec::new(), Words::default());
        let mut read = |known: &mut Words, returned: &[u64], indices: &[u64]| {
            let copy = full(&copied);
            let mut stack = CopyAndTail::new(own_pid(), bottom, copy, &mut buffer, known);
            for &index in returned {
                stack.returned(bottom + 8 * index, index);
            }
            let mut at = indices.iter();
            at.all(|index| stack.word(bottom + 8 * index).is_ok())
        };
        assert!(read(&mut known, &[500], &[9_000, 600]));
        known.keep();
        words[500] = 0;
        assert!(read(&mut known, &[500], &[600, 9_000]));
        assert!(!read(&mut known, &[500], &[600, 601]));
        assert!(read(&mut known, &[], &[600]));
        assert!(!read(&mut Words::default(), &[], &[600]));
        words[600] = 0;
        assert!(!read(&mut known, &[500], &[600]));
        assert!(read(&mut known, &[500], &[9_000]));
    }

    /// A copy that ends at a page that was never touched ends within a frame, which is there whatever
    /// it has called meanwhile; what is read beyond is for the root to confirm.
    #[test]
    fn a_hole_lies_within_one_frame() {
        let mut words: Vec<u64> = (0..20_000).collect();
        let copied = bytes_of(&words[..512]);
        words[3] = 0;
        let bottom = words.as_ptr().addr() as u64;
        let copy = StackCopy {
            bytes: StackBytes::Slice(&copied),
            reserved_bytes: 65_528,
        };
        for outermost in [500, 3] {
            let (mut buffer, mut known) = (Vec::new(), Words::default());
            let mut stack = CopyAndTail::new(own_pid(), bottom, copy, &mut buffer, &mut known);
            for index in [3, outermost] {
                stack.returned(bottom + 8 * index, index);
            }
            assert_eq!(stack.word(bottom + 8 * 9_000), Ok(9_000));
            // It may be younger than the sample, which is marked so.
            assert!(stack.is_live());
        }
        // The same copy without a hole is refused.
        let (mut buffer, mut known) = (Vec::new(), Words::default());
        let mut stack = CopyAndTail::new(own_pid(), bottom, full(&copied), &mut buffer, &mut known);
        stack.returned(bottom + 8 * 3, 3);
        assert_eq!(stack.word(bottom + 8 * 9_000), Err(()));
    }

    /// A root is known when the thread had it before; a first thread's is where its stack began; of
    /// another thread it is a root of the process. Nothing else is.
    #[test]
    fn only_known_roots_are_taken() {
        let root = |tid, thread, ip, sp| Root {
            pid: 10,
            tid,
            thread: ThreadId(thread),
            ip,
            sp,
        };
        let mut roots = Roots::default();
        assert!(!roots.is_known(root(11, 1, 0x400, 0x7000)));
        roots.learn(root(11, 1, 0x400, 0x7000));
        assert!(roots.is_known(root(11, 1, 0x400, 0x7000)));
        assert!(!roots.is_known(root(11, 1, 0x400, 0x7008)));
        assert!(roots.is_known(root(12, 2, 0x400, 0x9000)));
        assert!(!roots.is_known(root(12, 2, 0x401, 0x9000)));

        let pid = std::process::id();
        let start = start_of_stack(pid).unwrap();
        let main = |sp| Root {
            pid,
            tid: pid,
            thread: ThreadId(5),
            ip: 1,
            sp,
        };
        assert!(!roots.is_known(main(start - 4_096)));
        assert!(roots.is_known(main(start - 8)));
    }

    /// A thread of which nothing is known ends where its memory does, and nowhere else; that is looked
    /// for a few times only.
    #[test]
    fn an_unknown_thread_ends_with_its_memory() {
        let pid = std::process::id();
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        // Tests run on threads that are not the first; this one's stack has room below.
        let here = 0_u64;
        let end = end_of_mapping(pid, (&raw const here).addr() as u64).unwrap();
        let root = |thread, sp| Root {
            pid,
            tid: tid
                .unsigned_abs()
                .wrapping_add(u32::from(tid.unsigned_abs() == pid)),
            thread: ThreadId(thread),
            ip: 7,
            sp,
        };
        let mut roots = Roots::default();
        assert!(!roots.is_known(root(1, end - THREAD_BYTES - 8)));
        assert!(roots.is_known(root(1, end - 64)));
        // It had another root in its first moment.
        assert!(roots.is_known(root(1, end - 128)));
        assert!(!roots.is_known(root(1, end - THREAD_BYTES - 16)));
        roots.of_processes.clear();
        for _ in 0..MOST_SEARCHES {
            assert!(!roots.is_known(root(2, 64)));
        }
        assert!(!roots.is_known(root(2, end - 64)));
        assert_eq!(end_of_mapping(pid, 64), None);
    }

    /// A sample in the loader told of its root, and no stack of the program was taken for whole.
    #[test]
    fn the_program_has_its_own_root_after_the_loader() {
        let pid = std::process::id();
        let start = start_of_stack(pid).unwrap();
        let root = |ip, sp| Root {
            pid,
            tid: pid,
            thread: ThreadId(5),
            ip,
            sp,
        };
        let mut roots = Roots::default();
        roots.learn(root(1, start));
        assert!(roots.is_known(root(2, start - 8)));
        assert!(!roots.is_known(root(2, start - 4_096)));
    }
}
