//! The kernel's own list of functions, as far as it stays the same while the machine is up.
//!
//! Reading `/proc/kallsyms` costs the kernel some 40 ms. Its own functions stay where they are
//! until the next boot, those of a module until it is unloaded, which `/proc/modules` shows. What
//! comes and goes without a trace (compiled BPF programs, trampolines) is not kept: an address that
//! is neither in the kernel's own text, that of its start included, nor in a page of a module is
//! asked of the kernel again.

use std::fs;

use hotproof_image::kernel::{Kallsyms, KernelSymbol, build_id_of_notes};

use super::bytes::{Packer, Unpacker, number_at, wide_at};
use super::frame::{Head, Opened};
use super::{Cache, CacheError, stamp};

/// Which of the kernel's own text is kept; entries of other versions kept less.
const COVERED: &[u8] = b"own and init text";
/// Text of a module is mapped by pages, which it shares with nobody.
const PAGE_BYTES: u64 = 4096;

/// The list in columns.
#[derive(Debug)]
pub(crate) struct KernelList {
    opened: Opened,
    covered: Vec<(u64, u64)>,
    starts: std::ops::Range<usize>,
    text_ends: std::ops::Range<usize>,
    texts: std::ops::Range<usize>,
}

/// What the kept list says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed<'a> {
    /// The function that covers it; `None` for data.
    Known(Option<KernelSymbol<'a>>),
    /// The list does not reach so far.
    Unlisted,
}

/// The running kernel: name of its entry and what the entry depends on.
#[derive(Debug, Clone)]
struct Running {
    name: String,
    head: Head,
}

impl KernelList {
    /// The list of the running kernel; `None` when none was kept.
    pub(crate) fn read(cache: &Cache) -> Option<KernelList> {
        let running = Running::now()?;
        let opened = cache.read(&running.name)?;
        if opened.head.condition != running.head.condition {
            return None;
        }
        Self::of(opened)
    }

    /// Keeps the list that was just read.
    pub(crate) fn write(cache: &Cache, list: &Kallsyms) -> Result<(), CacheError> {
        let Some(mut running) = Running::now() else {
            return Ok(());
        };
        let body = body(list, &mut running.head.names);
        cache.write(&running.name, &running.head, &body)
    }

    fn of(opened: Opened) -> Option<KernelList> {
        let body = opened.body();
        let mut fields = Unpacker { rest: body };
        let mut covered = Vec::new();
        for _ in 0..fields.wide()? {
            covered.push((fields.wide()?, fields.wide()?));
        }
        let mut ranges = [8, 4, 1].map(|row_bytes| {
            let rows = usize::try_from(fields.wide()?).ok()?;
            let table = fields.table(rows, row_bytes)?.len();
            let end = body.len() - fields.rest.len();
            Some(end - table..end)
        });
        let [starts, text_ends, texts] = &mut ranges;
        let (starts, text_ends, texts) = (starts.take()?, text_ends.take()?, texts.take()?);
        (starts.len() == 2 * text_ends.len()).then_some(KernelList {
            opened,
            covered,
            starts,
            text_ends,
            texts,
        })
    }

    /// Whether the list says all there is of an address at run time.
    pub(crate) fn covers(&self, address: u64) -> bool {
        let before = self.covered.partition_point(|&(start, _)| start <= address);
        let range = before.checked_sub(1).map(|index| self.covered[index]);
        range.is_some_and(|(_, end)| address < end)
    }

    /// The function that covers an address at run time.
    pub(crate) fn lookup(&self, address: u64) -> Listed<'_> {
        let symbol = self.covers(address).then(|| self.covering(address));
        symbol.flatten().map_or(Listed::Unlisted, Listed::Known)
    }

    /// `None` when the list is damaged.
    fn covering(&self, address: u64) -> Option<Option<KernelSymbol<'_>>> {
        let column = |range: &std::ops::Range<usize>| &self.opened.body()[range.clone()];
        let starts = column(&self.starts);
        let (mut low, mut high) = (0, starts.len() / 8);
        while low < high {
            let middle = low + (high - low) / 2;
            if wide_at(starts, middle)? <= address {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let row = low.checked_sub(1)?;
        let start = wide_at(starts, row)?;
        let end = number_at(column(&self.text_ends), row)? as usize;
        let begin = match row.checked_sub(1) {
            Some(before) => number_at(column(&self.text_ends), before)? as usize,
            None => 0,
        };
        let text = std::str::from_utf8(column(&self.texts).get(begin..end)?).ok()?;
        if text.is_empty() {
            return Some(None);
        }
        let (name, module) = match text.split_once(' ') {
            Some((name, module)) => (name, Some(module)),
            None => (text, None),
        };
        Some(Some(KernelSymbol {
            name,
            start,
            module,
        }))
    }
}

fn body(list: &Kallsyms, names: &mut u64) -> Vec<u8> {
    let mut starts = Packer::default();
    let mut ends = Packer::default();
    let mut texts = Vec::new();
    for (start, symbol) in list.starts() {
        if let Some(symbol) = symbol {
            *names += 1;
            texts.extend_from_slice(symbol.name.as_bytes());
            if let Some(module) = symbol.module {
                texts.push(b' ');
                texts.extend_from_slice(module.as_bytes());
            }
        }
        starts.wide(start);
        ends.number(u32::try_from(texts.len()).unwrap_or(u32::MAX));
    }
    let covered = covered(list);
    let mut packer = Packer::default();
    packer.wide(covered.len() as u64);
    for (start, end) in covered {
        packer.wide(start);
        packer.wide(end);
    }
    packer.wide((starts.bytes.len() / 8) as u64);
    packer.bytes.append(&mut starts.bytes);
    packer.wide((ends.bytes.len() / 4) as u64);
    packer.bytes.append(&mut ends.bytes);
    packer.text(&texts);
    packer.bytes
}

/// Where the list answers for as long as the machine is up and its modules are the same, sorted.
fn covered(list: &Kallsyms) -> Vec<(u64, u64)> {
    // First and last symbol of each run of one module's symbols, and where the next run begins.
    let mut runs: Vec<(&str, u64, u64, u64)> = Vec::new();
    for (start, symbol) in list.starts() {
        let module = symbol.and_then(|symbol| symbol.module);
        match (runs.last_mut(), module) {
            (Some(run), Some(module)) if run.0 == module => run.2 = start,
            (Some(run), _) if run.3 == u64::MAX => run.3 = start,
            _ => {}
        }
        if let Some(module) = module.filter(|module| runs.last().is_none_or(|run| run.0 != *module))
        {
            runs.push((module, start, start, u64::MAX));
        }
    }
    let is_lasting = |module: &str| module != "bpf" && !module.starts_with("__builtin__");
    let modules = runs.iter().filter(|run| is_lasting(run.0)).map(|run| {
        let page_end = (run.2 / PAGE_BYTES + 1).saturating_mul(PAGE_BYTES);
        (run.1, page_end.min(run.3))
    });
    // The oldest frame of each idle CPU lies in the text that only ran while the system started.
    let own = [("_stext", "_etext"), ("_sinittext", "_einittext")];
    let own = own.iter().filter_map(|(start, end)| {
        let range = list.address_of(start).zip(list.address_of(end));
        range.filter(|(start, end)| start < end)
    });
    let mut covered: Vec<(u64, u64)> = own.chain(modules).collect();
    covered.sort_unstable();
    covered
}

impl Running {
    /// `None` where the kernel does not say which boot this is.
    fn now() -> Option<Running> {
        let boot = fs::read("/proc/sys/kernel/random/boot_id").ok()?;
        // A kernel without modules has no list of them, one without notes no build-id.
        let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
        let notes = fs::read("/sys/kernel/notes").unwrap_or_default();
        let mut condition = Packer::default();
        condition.text(COVERED);
        condition.text(&boot);
        condition.text(&notes);
        for line in modules.lines() {
            condition.text(lasting_facts(line).as_bytes());
        }
        Some(Running {
            name: format!("kernel-{:016x}", stamp::hash(&boot)),
            head: Head {
                condition: condition.bytes,
                ..Head::of_image("[kernel]", build_id_of_notes(&notes).unwrap_or_default())
            },
        })
    }
}

/// Name, size, state and address of a line of `/proc/modules`, without the counts of users.
fn lasting_facts(line: &str) -> String {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let chosen = [0, 1, 4, 5].map(|index| fields.get(index).copied().unwrap_or_default());
    chosen.join(" ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hotproof_image::Bytes;

    use super::*;

    const LIST: &str = "\
ffffffff81000000 T _stext
ffffffff81000000 T __pi__text
ffffffff81000000 T _text
ffffffff81000010 T start_kernel
ffffffff81000040 t helper
ffffffff81000040 T helper_alias
ffffffff81000080 d table
ffffffff81000090 T last
ffffffff81001000 T _etext
ffffffff82000000 D data
ffffffffc0000000 t read_page\t[ext4]
ffffffffc0000020 t write_page\t[ext4]
ffffffffc0001000 t bpf_prog_1234\t[bpf]
ffffffffc0002000 t trampoline\t[__builtin__ftrace]
ffffffffc0003000 t send\t[virtio_net]
ffffffffc0003040 t bpf_prog_5678\t[bpf]
";

    fn kept(list: &Kallsyms) -> KernelList {
        let mut head = Head::of_image("[kernel]", &[]);
        let body = body(list, &mut head.names);
        assert_eq!(head.names, 11, "functions by address");
        let bytes = super::super::frame::close(&head, &body);
        KernelList::of(Opened::of(Bytes::Owned(bytes)).unwrap()).unwrap()
    }

    #[test]
    fn it_answers_as_the_kernel_does_where_nothing_changes() {
        let list = Kallsyms::parse(Path::new("list"), LIST.to_owned()).unwrap();
        let kept = kept(&list);
        let covered = [
            (0xffff_ffff_8100_0000, 0xffff_ffff_8100_0fff),
            // A module reaches to the end of its last page, but not into what is not its own.
            (0xffff_ffff_c000_0000, 0xffff_ffff_c000_0fff),
            (0xffff_ffff_c000_3000, 0xffff_ffff_c000_303f),
        ];
        for (first, last) in covered {
            for address in (first..=last).step_by(5).chain([last]) {
                let expected = Listed::Known(list.lookup(address));
                assert_eq!(kept.lookup(address), expected, "of {address:#x}");
            }
        }
        for address in [
            0,
            0xffff_ffff_80ff_ffff,
            0xffff_ffff_8100_1000,
            0xffff_ffff_8200_0000,
            0xffff_ffff_bfff_ffff,
            0xffff_ffff_c000_1000,
            0xffff_ffff_c000_2000,
            0xffff_ffff_c000_3040,
            u64::MAX,
        ] {
            assert_eq!(kept.lookup(address), Listed::Unlisted, "of {address:#x}");
        }
    }

    #[test]
    fn users_of_a_module_do_not_matter_but_its_place_does() {
        let facts = |users, state, address| {
            lasting_facts(&format!(
                "ext4 999424 {users} mbcache,jbd2, {state} {address}"
            ))
        };
        let base = facts(1, "Live", "0xffffffffc0000000");
        assert_eq!(base, facts(7, "Live", "0xffffffffc0000000"));
        assert_ne!(base, facts(1, "Loading", "0xffffffffc0000000"));
        assert_ne!(base, facts(1, "Live", "0xffffffffc0100000"));
    }
}
