//! Kernel addresses, by the running kernel's own list.

use hotproof_image::kernel::{Kallsyms, KernelSymbol};
use hotproof_profile::{Meta, Source};

use crate::answer::{Answer, AnswerFrame, NamedFunction, NamedSymbol, Rows, Tables};
use crate::cache::{Cache, CacheError, KernelList, Listed};
use crate::summary::Problem;

/// Names for the addresses of the running kernel.
#[derive(Default)]
pub(crate) struct KernelNames {
    /// What an earlier run kept.
    kept: Option<KernelList>,
    /// What the kernel says now; read when an address needs it.
    read: Option<Kallsyms>,
    rows: Rows,
}

/// The answers to a batch of kernel addresses.
pub(crate) struct KernelBatch {
    /// One for each address, in order.
    pub(crate) answers: Vec<Answer>,
    /// Rows that the answers refer to, continuing those of earlier batches.
    pub(crate) rows: Tables,
    /// How many addresses the kept list answered.
    pub(crate) recalled: u64,
    /// Why the list could not be kept.
    pub(crate) unkept: Option<CacheError>,
}

impl KernelNames {
    /// Names by the list that an earlier run kept, if there is one, and else by the kernel's own.
    pub(crate) fn new(cache: Option<&Cache>) -> KernelNames {
        KernelNames {
            kept: cache.and_then(KernelList::read),
            ..KernelNames::default()
        }
    }

    /// The start of the function that covers an address, as the kept list has it: an address with
    /// the same name.
    pub(crate) fn kept_start(&self, address: u64) -> Option<u64> {
        let list = self.kept.as_ref().filter(|_| may_be_kernel(address))?;
        let Listed::Known(Some(symbol)) = list.lookup(address) else {
            return None;
        };
        // The list may cover a function and not where it starts.
        list.covers(symbol.start).then_some(symbol.start)
    }

    /// Names run-time addresses.
    pub(crate) fn name_all(
        &mut self,
        addresses: &[u64],
        cache: Option<&Cache>,
    ) -> Result<KernelBatch, Problem> {
        let mut batch = KernelBatch {
            answers: Vec::with_capacity(addresses.len()),
            rows: Tables::default(),
            recalled: 0,
            unkept: None,
        };
        for &address in addresses {
            if !may_be_kernel(address) {
                batch.answers.push(Answer::default());
                continue;
            }
            let kept = self.kept.as_ref().map(|list| list.lookup(address));
            let symbol = match (kept, &mut self.read) {
                (Some(Listed::Known(symbol)), _) => {
                    batch.recalled += 1;
                    symbol
                }
                (_, Some(list)) => list.lookup(address),
                (_, read) => {
                    let list = Kallsyms::read().map_err(|error| Problem::Kernel {
                        detail: error.to_string(),
                    })?;
                    // A kept list that is only too short stays as it is.
                    let cache = cache.filter(|_| self.kept.is_none());
                    batch.unkept = cache.and_then(|cache| KernelList::write(cache, &list).err());
                    read.insert(list).lookup(address)
                }
            };
            let answer = symbol.map_or(Answer::default(), |symbol| answer(&mut self.rows, symbol));
            batch.answers.push(answer);
        }
        batch.rows = self.rows.take_fresh();
        Ok(batch)
    }
}

/// Whether the kernel can have code there: on every machine that we run on, at the upper end of the
/// address space. Garbage in a chain, of which there is always some, would else cost a look at the
/// kernel's whole list.
///
/// On x86-64, code lies above what maps all memory, `vmalloc` and the table of pages
/// (`Documentation/arch/x86/x86_64/mm.rst`): pointers to data are the garbage of kernel chains.
fn may_be_kernel(address: u64) -> bool {
    match cfg!(target_arch = "x86_64") {
        true => address >= 0xffff_fe00_0000_0000,
        false => address >> 56 == 0xff,
    }
}

fn answer(rows: &mut Rows, symbol: KernelSymbol<'_>) -> Answer {
    let name = match symbol.module {
        Some(module) => format!("{} [{module}]", symbol.name),
        None => symbol.name.to_owned(),
    };
    let function = rows.function(NamedFunction {
        name: name.into(),
        linkage_name: symbol.name.into(),
        file: None,
        line: None,
        source: Source::Kallsyms,
    });
    let row = rows.symbol(NamedSymbol {
        linkage_name: symbol.name.into(),
        address: symbol.start,
        size: 0,
        aliases: Vec::new(),
    });
    Answer {
        symbol: Some(row),
        frame: Some(rows.lone_frame(AnswerFrame::of(function))),
    }
}

/// Kernel addresses change with each boot, so an older recording cannot be named.
pub(crate) fn check_same_boot(meta: &Meta) -> Result<(), Problem> {
    let running = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let (running, recorded) = (running.trim(), meta.host.kernel.as_str());
    if !recorded.is_empty() && recorded != running {
        return Err(Problem::Kernel {
            detail: format!("the recording is of kernel {recorded}, this machine runs {running}"),
        });
    }
    let booted = boot_time_unix_s().unwrap_or(0);
    match meta.started_unix_ns {
        Some(started_ns) if started_ns / 1_000_000_000 < booted => Err(Problem::Kernel {
            detail: "the recording is older than this boot, and kernel addresses change with each"
                .to_owned(),
        }),
        _ => Ok(()),
    }
}

fn boot_time_unix_s() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What cannot be the kernel's has no name, and nobody is asked for one: on every recording some
    /// chain holds a marker by chance, and one such address made each warm run read the whole list.
    #[test]
    fn garbage_in_a_chain_does_not_have_the_kernels_list_read() {
        let mut names = KernelNames::new(None);
        let garbage = [0x1000, 0x7f3c_203e_1f30, 0x8a5e_fbb8_0000_7fc0];
        let batch = names.name_all(&garbage, None).unwrap();
        assert_eq!(batch.answers, [Answer::default(); 3]);
        assert!(names.read.is_none());
        assert!(may_be_kernel(0xffff_ffff_8100_0000));
        // Old kernels' entry from user space.
        assert!(may_be_kernel(0xffff_fe00_0000_6000));
        let data = may_be_kernel(0xffff_8881_0234_5678);
        assert_eq!(data, cfg!(not(target_arch = "x86_64")));
    }
}
