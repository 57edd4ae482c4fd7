//! A bound on the work that damaged debug information can ask for.
//!
//! Debug information refers: a million entries may name one list of ranges, a thousand units one
//! table. Each reference is sound by itself, and all of them together take for ever. What compilers
//! write stays far below these bounds.

use std::cell::Cell;

use super::DwarfError;

/// Steps that may still be taken by one piece of work.
#[derive(Debug)]
pub(crate) struct Budget(Cell<u64>);

impl Budget {
    pub(crate) fn of(steps: u64) -> Budget {
        Budget(Cell::new(steps))
    }

    /// How many steps are left.
    pub(crate) fn left(&self) -> u64 {
        self.0.get()
    }

    /// Takes steps, or says that there are not so many left.
    #[inline]
    pub(crate) fn spend(&self, steps: u64) -> Result<(), DwarfError> {
        let left = self.0.get().checked_sub(steps);
        self.0.set(left.ok_or(DwarfError::Exhausted)?);
        Ok(())
    }
}
