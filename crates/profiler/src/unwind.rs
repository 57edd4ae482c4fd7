//! From registers and a copy of the stack to return addresses.

use framehop::{Error, MayAllocateDuringUnwind, Unwinder as _};
use hotproof_profile::StackEnd;

use crate::registers::Registers;
use crate::space::AddressSpace;

/// No stack has more frames: the largest copy of a stack holds 8,191 words.
const MOST_FRAMES: usize = 8_192;

/// framehop tells changed address spaces apart by a number of 16 bits. The rules that it caches
/// are thrown away long before the number can come round.
const CHANGES_BEFORE_RESET: u32 = 16_384;

/// Unwinds stacks and remembers the rules of addresses.
pub(crate) struct StackUnwinder {
    cache: framehop::CacheNative<MayAllocateDuringUnwind>,
    changes: u32,
}

impl Default for StackUnwinder {
    fn default() -> Self {
        StackUnwinder {
            cache: framehop::CacheNative::new(),
            changes: 0,
        }
    }
}

/// A piece of a thread's stack, from the stack pointer on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StackCopy<'a> {
    /// The bytes in use.
    pub(crate) bytes: &'a [u8],
    /// How many were asked for: fewer in `bytes` mean that the copy reaches the stack's end.
    pub(crate) asked_bytes: usize,
}

impl StackUnwinder {
    /// Notes that an address space changed.
    pub(crate) fn space_changed(&mut self) {
        self.changes += 1;
        if self.changes >= CHANGES_BEFORE_RESET {
            *self = StackUnwinder::default();
        }
    }

    /// Appends the addresses of the stack to `frames`, leaf first, and says where it ended.
    ///
    /// `Complete` is what the unwind information itself says: the outermost function has no caller.
    /// Outside of code with unwind information framehop walks frame pointers; an end reached there
    /// is no proof, and counts as failed.
    pub(crate) fn unwind(
        &mut self,
        space: &AddressSpace,
        registers: Registers,
        stack: StackCopy<'_>,
        frames: &mut Vec<u64>,
    ) -> StackEnd {
        let bottom = registers.sp;
        let mut read = |address: u64| {
            let offset = usize::try_from(address.checked_sub(bottom).ok_or(())?).map_err(|_| ())?;
            let bytes = stack.bytes.get(offset..offset.checked_add(8).ok_or(())?);
            Ok(u64::from_ne_bytes(
                bytes.ok_or(())?.try_into().map_err(|_| ())?,
            ))
        };
        let first = frames.len();
        let mut walk = space.modules().iter_frames(
            registers.ip,
            native(registers, space),
            &mut self.cache,
            &mut read,
        );
        loop {
            match walk.next() {
                Ok(Some(frame)) => frames.push(frame.address()),
                Ok(None) => return proven_end(space, &frames[first..]),
                Err(error) => return failed_end(error, bottom, stack),
            }
            if frames.len() - first >= MOST_FRAMES {
                return StackEnd::Truncated;
            }
        }
    }
}

/// Complete, when the outermost frame has unwind information to say so.
fn proven_end(space: &AddressSpace, frames: &[u64]) -> StackEnd {
    let lookup = match frames {
        [] => return StackEnd::Failed,
        [leaf] => *leaf,
        [.., outermost] => outermost.wrapping_sub(1),
    };
    match space.find(lookup) {
        Some(map) if map.unwindable => StackEnd::Complete,
        _ => StackEnd::Failed,
    }
}

/// Truncated, when the unwinder asked for more than what was copied.
fn failed_end(error: Error, bottom: u64, stack: StackCopy<'_>) -> StackEnd {
    let full = stack.bytes.len() + 8 > stack.asked_bytes;
    match error {
        Error::CouldNotReadStack(address) if full && address >= bottom => StackEnd::Truncated,
        _ => StackEnd::Failed,
    }
}

#[cfg(target_arch = "x86_64")]
fn native(registers: Registers, _space: &AddressSpace) -> framehop::UnwindRegsNative {
    framehop::UnwindRegsNative::new(registers.ip, registers.sp, registers.fp)
}

/// Return addresses may carry a signature in the bits above the highest code address.
#[cfg(target_arch = "aarch64")]
fn native(registers: Registers, space: &AddressSpace) -> framehop::UnwindRegsNative {
    let highest = space.modules().max_known_code_address();
    let mask = framehop::aarch64::PtrAuthMask::from_max_known_address(highest);
    let Registers { lr, sp, fp, .. } = registers;
    framehop::UnwindRegsNative::new_with_ptr_auth_mask(mask, lr, sp, fp)
}
