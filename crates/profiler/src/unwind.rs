//! From registers and a copy of the stack to return addresses.

use framehop::{Error, FrameAddress, MayAllocateDuringUnwind, Unwinder as _};
use hotproof_profile::StackEnd;

use crate::batch::StackBytes;
use crate::binary::Binaries;
use crate::registers::Registers;
use crate::space::AddressSpace;
use crate::trail::{Place, Reads, Trail};

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
    pub(crate) bytes: StackBytes<'a>,
    /// How many would have been copied at most: fewer in `bytes` mean that the copy reaches the
    /// stack's end.
    pub(crate) reserved_bytes: usize,
}

impl StackCopy<'_> {
    /// Whether the stack may go on beyond it.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() + 8 > self.reserved_bytes
    }
}

/// Where a walk puts what it finds.
pub(crate) struct Found<'a> {
    /// Gets the addresses, leaf first.
    pub(crate) frames: &'a mut Vec<u64>,
    /// Gets the positions in `frames` of those that a signal interrupted: they are instructions, not
    /// return addresses. (The leaf is one too and is not among them.)
    pub(crate) interrupted: &'a mut Vec<usize>,
    /// What is known of the thread's last walks in this address space.
    pub(crate) trail: &'a mut Trail,
}

/// How the walk along a stack ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Walk {
    /// Whether at its root.
    pub(crate) end: StackEnd,
    /// The stack pointer of the outermost frame.
    pub(crate) outermost_sp: u64,
    /// The number of addresses, of those that were there before and those that were found, that
    /// rest on the copy alone; `None` when all do ([`StackMemory::is_live`]).
    pub(crate) sure: Option<usize>,
}

impl StackUnwinder {
    /// Notes that an address space changed.
    pub(crate) fn space_changed(&mut self) {
        self.changes += 1;
        if self.changes >= CHANGES_BEFORE_RESET {
            *self = StackUnwinder::default();
        }
    }

    /// Appends the addresses of the stack, leaf first, and says where it ended.
    ///
    /// `Complete` is what the unwind information itself says: the outermost function has no caller.
    /// Outside of code with unwind information framehop walks frame pointers; an end reached there
    /// is no proof, and counts as failed.
    pub(crate) fn unwind(
        &mut self,
        code: Code<'_>,
        registers: Registers,
        stack: StackCopy<'_>,
        into: &mut Found<'_>,
    ) -> Walk {
        let mut memory = CopyInPlace {
            bottom: registers.sp,
            copy: stack,
        };
        self.unwind_memory(code, registers, &mut memory, into)
    }

    /// The same for any memory.
    pub(crate) fn unwind_memory(
        &mut self,
        code: Code<'_>,
        registers: Registers,
        stack: &mut impl StackMemory,
        into: &mut Found<'_>,
    ) -> Walk {
        let mut walked = native(registers, code.space);
        let mut sure = None;
        let mut frame = FrameAddress::from_instruction_pointer(registers.ip);
        let end = 'walk: {
            for _ in 0..MOST_FRAMES {
                if stack.is_live() {
                    sure.get_or_insert(into.frames.len());
                }
                into.frames.push(frame.address());
                let place = Place::new(frame, &walked);
                let led = place.and_then(|place| into.trail.follow(place, stack));
                if let Some((to, caller)) = led.and_then(|to| Some((to, to.frame()?))) {
                    to.enter(&mut walked);
                    stack.returned(to.return_slot(), caller.address());
                    frame = caller;
                    continue;
                }
                if code.starts_program(frame.address()) {
                    break 'walk StackEnd::Complete;
                }
                if code.returns_from_signal(frame) {
                    let mut read = |address: u64| stack.word(address);
                    let Some(next) = before_signal(&mut walked, &mut read) else {
                        break 'walk failed_end(Error::CouldNotReadStack(walked.sp()), stack);
                    };
                    into.interrupted.push(into.frames.len());
                    frame = FrameAddress::from_instruction_pointer(next);
                    continue;
                }
                let mut reads = Reads::default();
                frame = match self.step(code, frame, &mut walked, stack, &mut reads) {
                    Ok(caller) => caller,
                    Err(end) => break 'walk end,
                };
                if let (Some(_), Some(to)) = (place, Place::new(frame, &walked)) {
                    into.trail.learn(&reads, to);
                }
            }
            StackEnd::Truncated
        };
        Walk {
            end,
            outermost_sp: walked.sp(),
            sure,
        }
    }

    /// The caller of a frame, or how the stack ends there.
    fn step(
        &mut self,
        code: Code<'_>,
        frame: FrameAddress,
        walked: &mut framehop::UnwindRegsNative,
        stack: &mut impl StackMemory,
        reads: &mut Reads,
    ) -> Result<FrameAddress, StackEnd> {
        let modules = code.space.modules();
        let mut read = |address: u64| reads.word(address, stack);
        let sp = walked.sp();
        let next = modules.unwind_frame(frame, walked, &mut self.cache, &mut read);
        if let Some(address) = reads.misled(next.as_ref().err(), sp) {
            // framehop took a missing word for missing information, went on by frame pointers, and
            // remembers to do so at this address.
            self.cache = framehop::CacheNative::new();
            return Err(failed_end(Error::CouldNotReadStack(address), stack));
        }
        match next {
            Ok(Some(caller)) => {
                let caller = FrameAddress::from_return_address(caller).ok_or(StackEnd::Failed)?;
                if let Some(slot) = reads.address_of(caller.address()) {
                    stack.returned(slot, caller.address());
                }
                Ok(caller)
            }
            Ok(None) => Err(code.proven_end(frame.address_for_lookup())),
            Err(error) => Err(failed_end(error, stack)),
        }
    }
}

/// Where the words of a stack are read from.
pub(crate) trait StackMemory {
    /// The word at an address.
    fn word(&mut self, address: u64) -> Result<u64, ()>;

    /// Whether the word at an address cannot be read because too little was copied.
    fn cuts_off(&self, address: u64) -> bool;

    /// The walk goes on at the return address that was read from a slot.
    fn returned(&mut self, _slot: u64, _address: u64) {}

    /// Whether words were read that may be younger than the registers.
    fn is_live(&self) -> bool {
        false
    }
}

/// A copy with the address that it begins at.
struct CopyInPlace<'a> {
    bottom: u64,
    copy: StackCopy<'a>,
}

impl StackMemory for CopyInPlace<'_> {
    fn word(&mut self, address: u64) -> Result<u64, ()> {
        let offset = address.checked_sub(self.bottom).ok_or(())?;
        self.copy.bytes.word(offset)
    }

    fn cuts_off(&self, address: u64) -> bool {
        self.copy.is_full() && address >= self.bottom
    }
}

/// The word at an offset in bytes.
pub(crate) fn word_at(bytes: &[u8], offset: u64) -> Result<u64, ()> {
    let offset = usize::try_from(offset).map_err(|_| ())?;
    let end = offset.checked_add(8).ok_or(())?;
    let bytes = bytes.get(offset..end).ok_or(())?;
    Ok(u64::from_ne_bytes(bytes.try_into().map_err(|_| ())?))
}

/// What lies where, with the bytes of the binaries.
#[derive(Clone, Copy)]
pub(crate) struct Code<'a> {
    /// What lies where.
    pub(crate) space: &'a AddressSpace,
    /// The binaries that it names.
    pub(crate) binaries: &'a Binaries,
}

/// `mov $15, %rax; syscall`: the code that signal handlers return to calls `rt_sigreturn`.
#[cfg(target_arch = "x86_64")]
const SIGNAL_RETURN: &[u8] = &[0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05];

/// The dynamic loader's entry jumps to the program's within this many bytes and never returns.
const LOADER_ENTRY_BYTES: u64 = 64;

impl Code<'_> {
    /// Complete, when the outermost frame has unwind information to say so.
    fn proven_end(self, lookup: u64) -> StackEnd {
        match self.space.find(lookup) {
            Some(map) if map.unwindable => StackEnd::Complete,
            _ => StackEnd::Failed,
        }
    }

    /// Whether an address lies in the entry of the dynamic loader, where a process begins: glibc's
    /// has no unwind information that says so.
    fn starts_program(self, address: u64) -> bool {
        let Some(map) = self.space.find(address) else {
            return false;
        };
        let into = |entry: u64| map.relative(address).wrapping_sub(entry);
        self.binaries[map.binary]
            .loader_entry
            .is_some_and(|entry| into(entry) <= LOADER_ENTRY_BYTES)
    }

    /// Whether a frame is in the code that signal handlers return to. glibc aligns it to 16 bytes,
    /// which spares a look at the code for most addresses.
    #[cfg(target_arch = "x86_64")]
    fn returns_from_signal(self, frame: FrameAddress) -> bool {
        let address = frame.address();
        let into = address % 16;
        // As a leaf it may have come as far as the end of the system call.
        let most = if frame.is_return_address() {
            0
        } else {
            SIGNAL_RETURN.len() as u64
        };
        into <= most && self.bytes_at(address - into).starts_with(SIGNAL_RETURN)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn returns_from_signal(self, _frame: FrameAddress) -> bool {
        false
    }

    /// The code from an address on, as the file has it; empty when it is not known.
    #[cfg(target_arch = "x86_64")]
    fn bytes_at(&self, address: u64) -> &[u8] {
        let bytes = || {
            let map = self.space.find(address)?;
            let file = self.binaries[map.binary].file.as_ref()?;
            let offset = (address - map.start).checked_add(map.file_offset)?;
            file.data().get(usize::try_from(offset).ok()?..)
        };
        bytes().unwrap_or_default()
    }
}

/// Replaces the registers by those that a signal interrupted, which the kernel saved on the stack,
/// and returns the instruction pointer among them.
///
/// The unwind information for this place reads the stack pointer from memory, which framehop does
/// not do. Offsets are those of `struct ucontext` and `struct sigcontext_64` in
/// `arch/x86/include/uapi/asm`; the handler's return has popped the word in front of them.
#[cfg(target_arch = "x86_64")]
fn before_signal(
    walked: &mut framehop::UnwindRegsNative,
    read: &mut impl FnMut(u64) -> Result<u64, ()>,
) -> Option<u64> {
    let context = walked.sp();
    let mut field = |offset| read(context.checked_add(offset)?).ok();
    let (fp, sp, ip) = (field(120)?, field(160)?, field(168)?);
    *walked = framehop::UnwindRegsNative::new(ip, sp, fp);
    Some(ip)
}

#[cfg(not(target_arch = "x86_64"))]
fn before_signal(
    _walked: &mut framehop::UnwindRegsNative,
    _read: &mut impl FnMut(u64) -> Result<u64, ()>,
) -> Option<u64> {
    None
}

/// Truncated, when the unwinder asked for more than what was copied.
fn failed_end(error: Error, stack: &impl StackMemory) -> StackEnd {
    match error {
        Error::CouldNotReadStack(address) if stack.cuts_off(address) => StackEnd::Truncated,
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
