//! The chain of a sample: what the kernel walked, and what is unwound.

use hotproof_profile::StackEnd;

use super::super::attr::Attr;
use super::super::chains::{Step, StepKind};
use super::super::sample::RawSample;
use super::Observer;
use crate::batch::StackBytes;
use crate::binary::Unwinding;
use crate::markers;
use crate::registers::Registers;
use crate::unwind::{Code, Found, StackCopy};
use crate::world::Owner;

/// Whose code the next addresses of a chain are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Kernel,
    User,
    Guest,
    /// A marker that we do not know: what follows may be no address.
    Unknown,
}

impl Context {
    /// By the lowest three bits of a record's flags (`PERF_RECORD_MISC_CPUMODE_MASK`).
    fn of_misc(misc: u16) -> Context {
        match misc & 7 {
            1 | 3 => Context::Kernel,
            4 | 5 => Context::Guest,
            _ => Context::User,
        }
    }

    fn of_marker(marker: u64) -> Context {
        match marker {
            markers::HYPERVISOR | markers::KERNEL => Context::Kernel,
            markers::USER => Context::User,
            markers::GUEST | markers::GUEST_KERNEL | markers::GUEST_USER => Context::Guest,
            _ => Context::Unknown,
        }
    }
}

impl Observer<'_> {
    /// Puts the chain of a sample, leaf first, into `self.steps`.
    pub(super) fn fill_steps(
        &mut self,
        misc: u16,
        sample: &RawSample<'_>,
        attr: &Attr,
        owner: &Owner,
    ) -> StackEnd {
        self.steps.clear();
        let context = Context::of_misc(misc);
        let unwinds = attr.copies_stack();
        let (kernel_steps, cut) = self.push_chain(context, sample, attr, unwinds);
        self.cut_chains += u64::from(cut);
        if !unwinds {
            if self.steps.is_empty()
                && let Some(address) = sample.ip
            {
                let kind = leaf_kind(context);
                self.steps.push(Step { address, kind });
            }
            return StackEnd::Unknown;
        }
        if context != Context::User && kernel_steps == 0 {
            let kind = leaf_kind(context);
            let ip = sample.ip.map(|address| Step { address, kind });
            self.steps.extend(ip);
        }
        self.unwind(context, sample, attr, owner)
    }

    /// Pushes what the kernel walked; of that, how much is the kernel's, and whether it was cut.
    fn push_chain(
        &mut self,
        mut context: Context,
        sample: &RawSample<'_>,
        attr: &Attr,
        unwinds: bool,
    ) -> (usize, bool) {
        let (mut kernel, mut user, mut words) = (0, 0, 0);
        for word in sample.chain.chunks_exact(8) {
            let address = word.try_into().map_or(0, u64::from_ne_bytes);
            if address >= markers::FIRST {
                context = Context::of_marker(address);
                continue;
            }
            words += 1;
            let kind = match context {
                Context::Kernel if kernel == 0 => StepKind::KernelIp,
                Context::Kernel => StepKind::KernelReturn,
                Context::User if unwinds => continue,
                Context::User if user == 0 => StepKind::UserIp,
                Context::User => StepKind::UserReturn,
                Context::Guest => StepKind::Guest,
                Context::Unknown => continue,
            };
            kernel += usize::from(context == Context::Kernel);
            user += usize::from(context == Context::User);
            self.steps.push(Step { address, kind });
        }
        (kernel, words >= attr.most_frames())
    }

    /// Appends the user's frames from registers and a copy of the stack.
    fn unwind(
        &mut self,
        context: Context,
        sample: &RawSample<'_>,
        attr: &Attr,
        owner: &Owner,
    ) -> StackEnd {
        let space = &*owner.space;
        let masked = |values| Registers::of_masked(attr.regs_user, values);
        let registers = sample.registers.and_then(masked);
        let Some(registers) = registers.filter(|_| self.unwinding == Unwinding::Needed) else {
            if context == Context::Kernel && sample.registers.is_none() {
                // A kernel thread, or a task that has no memory any more: there is no user part.
                return StackEnd::Complete;
            }
            if let (Some(address), Context::User) = (sample.ip, context) {
                let kind = StepKind::UserIp;
                self.steps.push(Step { address, kind });
            }
            return StackEnd::Failed;
        };
        let stack = StackCopy {
            bytes: StackBytes::Slice(sample.stack),
            reserved_bytes: sample.stack_asked_bytes,
        };
        let gone = sample.stack.is_empty() && space.find(registers.ip).is_none();
        if context == Context::Kernel && gone {
            // Within `execve` the registers are still those of the program that is gone.
            return StackEnd::Complete;
        }
        self.frames.clear();
        self.interrupted.clear();
        let code = Code {
            space,
            binaries: &self.binaries,
        };
        let mut trail = self.trails.take(owner.thread, space.version);
        let found = &mut Found {
            frames: &mut self.frames,
            interrupted: &mut self.interrupted,
            trail: &mut trail,
        };
        let end = self.unwinder.unwind(code, registers, stack, found).end;
        self.trails.put(owner.thread, trail);
        for (i, &address) in self.frames.iter().enumerate() {
            let kind = match i == 0 || self.interrupted.contains(&i) {
                true => StepKind::UserIp,
                false => StepKind::UserReturn,
            };
            self.steps.push(Step { address, kind });
        }
        end
    }
}

fn leaf_kind(context: Context) -> StepKind {
    match context {
        Context::Kernel => StepKind::KernelIp,
        Context::Guest => StepKind::Guest,
        Context::User | Context::Unknown => StepKind::UserIp,
    }
}
