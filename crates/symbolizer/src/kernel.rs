//! Kernel addresses, by the running kernel's own list.

use hotproof_image::kernel::Kallsyms;
use hotproof_profile::{Meta, Source};

use crate::answer::{Answer, AnswerFrame, NamedFunction, NamedSymbol, Rows, Tables};
use crate::summary::Problem;

/// Names for the addresses of the running kernel.
pub(crate) struct KernelNames {
    list: Kallsyms,
    rows: Rows,
}

impl KernelNames {
    /// Reads the list of the running kernel.
    pub(crate) fn read() -> Result<KernelNames, Problem> {
        let list = Kallsyms::read().map_err(|error| Problem::Kernel {
            detail: error.to_string(),
        })?;
        Ok(KernelNames {
            list,
            rows: Rows::default(),
        })
    }

    /// Names run-time addresses, with the rows that the answers refer to.
    pub(crate) fn name_all(&mut self, addresses: &[u64]) -> (Vec<Answer>, Tables) {
        let answers = addresses.iter().map(|&address| self.name(address));
        (answers.collect(), self.rows.take_fresh())
    }

    fn name(&mut self, address: u64) -> Answer {
        let Some(symbol) = self.list.lookup(address) else {
            return Answer::default();
        };
        let name = match symbol.module {
            Some(module) => format!("{} [{module}]", symbol.name),
            None => symbol.name.to_owned(),
        };
        let function = self.rows.function(NamedFunction {
            name,
            linkage_name: symbol.name.to_owned(),
            file: None,
            line: None,
            source: Source::Kallsyms,
        });
        let row = self.rows.symbol(NamedSymbol {
            linkage_name: symbol.name.to_owned(),
            address: symbol.start,
            size: 0,
        });
        Answer {
            symbol: Some(row),
            frame: Some(self.rows.lone_frame(AnswerFrame::of(function))),
        }
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
