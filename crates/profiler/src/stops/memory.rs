//! The stack of a stopped thread, read as far as the unwinder asks.

use crate::sys::ptrace;
use crate::unwind::{StackMemory, word_at};

/// What is read at first; most stacks end within it.
const FIRST_BYTES: usize = 8 << 10;
/// No stack is read further.
const MOST_BYTES: usize = 64 << 20;

/// A thread that does not run, seen through `process_vm_readv`. Each reading is twice as long as
/// all before it, so that a deep stack takes few of them.
pub(super) struct StoppedStack<'a> {
    pid: i32,
    bottom: u64,
    bytes: &'a mut Vec<u8>,
    /// Nothing can be read beyond `bytes`.
    whole: bool,
}

impl<'a> StoppedStack<'a> {
    /// The stack from the stack pointer on; `buffer` is room that is used again and again.
    pub(super) fn new(pid: i32, stack_pointer: u64, buffer: &'a mut Vec<u8>) -> StoppedStack<'a> {
        buffer.clear();
        StoppedStack {
            pid,
            bottom: stack_pointer,
            bytes: buffer,
            whole: false,
        }
    }

    fn grow(&mut self) {
        let have = self.bytes.len();
        // Up to the end of a page, so that a reading at the stack's end fails as a whole only when
        // there is nothing more.
        let more = have.max(FIRST_BYTES).min(MOST_BYTES - have);
        self.bytes.resize(have + more, 0);
        let address = self.bottom.wrapping_add(have as u64);
        let got = ptrace::read_memory(self.pid, address, &mut self.bytes[have..]).unwrap_or(0);
        self.bytes.truncate(have + got);
        self.whole = got < more || self.bytes.len() >= MOST_BYTES;
    }
}

impl StackMemory for StoppedStack<'_> {
    fn word(&mut self, address: u64) -> Result<u64, ()> {
        let offset = address.checked_sub(self.bottom).ok_or(())?;
        loop {
            match word_at(self.bytes, offset) {
                Err(()) if !self.whole && offset < MOST_BYTES as u64 => self.grow(),
                result => return result,
            }
        }
    }

    fn cuts_off(&self, address: u64) -> bool {
        address.wrapping_sub(self.bottom) >= MOST_BYTES as u64 - 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words come as they lie in memory, also beyond the first reading, and not from below the
    /// stack pointer.
    #[test]
    fn words_are_read_on_demand() {
        let words: Vec<u64> = (0..20_000).collect();
        let bottom = words.as_ptr().addr() as u64;
        let pid = i32::try_from(std::process::id()).unwrap();
        let mut buffer = Vec::new();
        let mut stack = StoppedStack::new(pid, bottom, &mut buffer);
        for index in [0, 1, 1_023, 1_024, 19_999] {
            assert_eq!(stack.word(bottom + 8 * index), Ok(index));
        }
        assert_eq!(stack.word(bottom - 8), Err(()));
        assert_eq!(stack.word(u64::MAX), Err(()));
        assert!(stack.bytes.len() <= 2 * 8 * words.len());
        assert!(!stack.cuts_off(bottom + 8));
    }
}
