//! The user registers that unwinding starts from.

/// Instruction pointer, stack pointer and frame pointer of a thread; on 64-bit ARM the link
/// register too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registers {
    /// What would be executed next.
    pub(crate) ip: u64,
    /// Lowest address of the stack in use.
    pub(crate) sp: u64,
    /// Frame pointer, or whatever the code keeps in that register.
    pub(crate) fp: u64,
    /// Return address register.
    #[cfg(target_arch = "aarch64")]
    pub(crate) lr: u64,
}

/// Register numbers of `arch/x86/include/uapi/asm/perf_regs.h`.
#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const FP: u64 = 6;
    pub(super) const SP: u64 = 7;
    pub(super) const IP: u64 = 8;
    pub(super) const ALL: &[u64] = &[FP, SP, IP];
}

/// Register numbers of `arch/arm64/include/uapi/asm/perf_regs.h`.
#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const FP: u64 = 29;
    pub(super) const LR: u64 = 30;
    pub(super) const SP: u64 = 31;
    pub(super) const IP: u64 = 32;
    pub(super) const ALL: &[u64] = &[FP, LR, SP, IP];
}

/// The `sample_regs_user` to ask the kernel for.
pub(crate) const MASK: u64 = mask(number::ALL);

const fn mask(numbers: &[u64]) -> u64 {
    let (mut mask, mut i) = (0, 0);
    while i < numbers.len() {
        mask |= 1 << numbers[i];
        i += 1;
    }
    mask
}

impl Registers {
    /// The registers among values of 8 bytes that stand for the bits of `mask`, lowest bit first;
    /// `None` when one is missing.
    pub(crate) fn of_masked(mask: u64, values: &[u8]) -> Option<Registers> {
        let value = |number: u64| {
            let bit = 1u64.checked_shl(u32::try_from(number).ok()?)?;
            let before = (mask & (bit - 1)).count_ones() as usize;
            let value = values.get(8 * before..)?.first_chunk()?;
            (mask & bit != 0).then(|| u64::from_ne_bytes(*value))
        };
        Some(Registers {
            ip: value(number::IP)?,
            sp: value(number::SP)?,
            fp: value(number::FP)?,
            #[cfg(target_arch = "aarch64")]
            lr: value(number::LR)?,
        })
    }

    /// The registers of a stopped thread.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn of_user(raw: &libc::user_regs_struct) -> Registers {
        Registers {
            ip: raw.rip,
            sp: raw.rsp,
            fp: raw.rbp,
        }
    }

    /// The registers of a stopped thread.
    #[cfg(target_arch = "aarch64")]
    pub(crate) fn of_user(raw: &libc::user_regs_struct) -> Registers {
        Registers {
            ip: raw.pc,
            sp: raw.sp,
            fp: raw.regs[29],
            lr: raw.regs[30],
        }
    }
}
