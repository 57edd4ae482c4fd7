//! The procedure linkage table: stubs that jump through a slot of the global offset table.
//!
//! Linkers write no symbols for the stubs. Each one is read for the slot it jumps through, and the
//! relocation of the slot names the function. Read on x86 alone, of 32 and 64 bits.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use hotproof_image::{Arch, Class, ImageFile};
use object::read::elf::{ElfFile, Rela, SectionHeader};
use object::{LittleEndian, SectionIndex, elf};

use crate::elf::{Elf, Headers, TableKind, with_class};
use crate::symbols::SymbolIndex;

/// Stubs are this long on x86 with every linker.
const STUB_BYTES: usize = 16;
/// `jmp *offset(%rip)`; in 32 bits `jmp *address`.
const JUMP: [u8; 2] = [0xff, 0x25];
/// `jmp *offset(%ebx)`, where `%ebx` holds the address of the global offset table.
const JUMP_BY_TABLE: [u8; 2] = [0xff, 0xa3];

/// A stub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stub {
    pub(crate) start: u64,
    /// `memcpy@plt`.
    pub(crate) name: String,
}

/// Where stubs lie.
const SECTIONS: [&str; 3] = [".plt", ".plt.sec", ".plt.got"];

/// Whether a linked address lies among stubs: to read them all costs a look at every relocation.
pub(crate) fn holds(image: &ImageFile, svma: u64) -> bool {
    let mut sections = SECTIONS.iter().filter_map(|name| image.section_svma(name));
    sections.any(|section| section.contains(&svma))
}

/// The stubs by their first address.
pub(crate) fn stubs(image: &ImageFile, file: &Elf<'_>) -> BTreeMap<u64, Stub> {
    let mut stubs = BTreeMap::new();
    if !matches!(image.arch(), Arch::X86_64 | Arch::X86) {
        return stubs;
    }
    let slots = with_class!(file, elf => slots(elf, image, file));
    let reader = SlotReader::of(image);
    for name in SECTIONS {
        let Ok(Some(section)) = image.section(name) else {
            continue;
        };
        for (number, bytes) in section.data.chunks(STUB_BYTES).enumerate() {
            let start = section.svma.wrapping_add((number * STUB_BYTES) as u64);
            if let Some(target) = reader
                .slot_of(bytes, start)
                .and_then(|slot| slots.get(&slot))
            {
                let name = format!("{}@plt", String::from_utf8_lossy(target));
                stubs.insert(start, Stub { start, name });
            }
        }
    }
    stubs
}

/// The stub that covers a linked address.
pub(crate) fn find(stubs: &BTreeMap<u64, Stub>, svma: u64) -> Option<&Stub> {
    let (start, stub) = stubs.range(..=svma).next_back()?;
    (svma - start < STUB_BYTES as u64).then_some(stub)
}

/// How stubs name their slots.
#[derive(Debug, Clone, Copy)]
enum SlotReader {
    /// By an offset from the next instruction.
    Relative,
    /// By an address, or by an offset from the global offset table.
    Absolute { table: u64 },
}

impl SlotReader {
    fn of(image: &ImageFile) -> SlotReader {
        if image.arch() == Arch::X86_64 {
            return SlotReader::Relative;
        }
        let mut tables = [".got.plt", ".got"].into_iter();
        let table = tables.find_map(|name| image.section_svma(name));
        SlotReader::Absolute {
            table: table.map_or(0, |table| table.start),
        }
    }

    /// The address of the slot that a stub at `start` jumps through.
    fn slot_of(self, stub: &[u8], start: u64) -> Option<u64> {
        let jump = |jump: [u8; 2]| {
            let at = stub.windows(2).position(|bytes| bytes == jump)?;
            let operand = stub.get(at + 2..at + 6)?.try_into().ok()?;
            Some((at, u32::from_le_bytes(operand)))
        };
        match self {
            SlotReader::Relative => {
                let (at, offset) = jump(JUMP)?;
                // The offset counts from the end of the six-byte instruction.
                let next = start.wrapping_add(at as u64 + 6);
                Some(next.wrapping_add_signed(i64::from(offset.cast_signed())))
            }
            SlotReader::Absolute { table } => match jump(JUMP) {
                Some((_, address)) => Some(address.into()),
                None => {
                    let (_, offset) = jump(JUMP_BY_TABLE)?;
                    let slot = table.wrapping_add_signed(i64::from(offset.cast_signed()));
                    // Addresses wrap at 32 bits.
                    Some(slot & u64::from(u32::MAX))
                }
            },
        }
    }
}

/// Names of the functions whose addresses the loader writes into slots, by slot.
fn slots<'a, H: Headers>(
    file: &ElfFile<'a, H>,
    image: &'a ImageFile,
    either: &Elf<'a>,
) -> BTreeMap<u64, &'a [u8]> {
    let mut slots = BTreeMap::new();
    let symbols = file.elf_dynamic_symbol_table();
    let functions = LazyCell::new(|| SymbolIndex::read(either, TableKind::Dynamic, &[]));
    let has_link = |link| link != SectionIndex(0) && link == symbols.section();
    for header in file.elf_section_table().iter() {
        let relocations: Vec<(H::Rela, Option<u64>)> =
            if let Ok(Some((rows, link))) = header.rela(LittleEndian, file.data()) {
                let addend = |row: &H::Rela| {
                    let addend: i64 = row.r_addend(LittleEndian).into();
                    Some(addend.cast_unsigned())
                };
                let rows = rows.iter().filter(|_| has_link(link));
                rows.map(|row| (*row, addend(row))).collect()
            } else if let Ok(Some((rows, link))) = header.rel(LittleEndian, file.data()) {
                let rows = rows.iter().filter(|_| has_link(link));
                let rows = rows.map(|row| H::Rela::from(*row));
                rows.map(|row| {
                    // What is added lies in the slot itself.
                    let slot = row.r_offset(LittleEndian).into();
                    (row, word_at(image, slot))
                })
                .collect()
            } else {
                continue;
            };
        for (relocation, addend) in relocations {
            let kind = relocation.r_type(LittleEndian, false);
            let is_chosen = match image.class() {
                Class::Bits32 => kind == elf::R_386_IRELATIVE,
                Class::Bits64 => kind == elf::R_X86_64_IRELATIVE,
            };
            let named = match kind {
                // The addend is the function that chooses the implementation, whose symbol has the
                // name that callers use.
                _ if is_chosen => addend.and_then(|chooser| {
                    let row = functions.find(chooser);
                    row.filter(|row| row.start == chooser).map(|row| row.name)
                }),
                // These have the same numbers in 32 bits.
                elf::R_X86_64_JUMP_SLOT | elf::R_X86_64_GLOB_DAT => {
                    Rela::symbol(&relocation, LittleEndian, false)
                        .and_then(|index| symbols.symbol(index).ok())
                        .and_then(|symbol| symbols.symbol_name(LittleEndian, symbol).ok())
                }
                _ => continue,
            };
            if let Some(name) = named.filter(|name| !name.is_empty()) {
                slots.insert(relocation.r_offset(LittleEndian).into(), name);
            }
        }
    }
    slots
}

/// The 32 bits at a linked address.
fn word_at(image: &ImageFile, svma: u64) -> Option<u64> {
    let bytes = image.bytes_at(svma, 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?).into())
}

#[cfg(test)]
mod tests {
    use super::SlotReader;

    #[test]
    fn slots_are_read_from_plain_and_branch_protected_stubs() {
        // ff 25 xx xx xx xx: jmp *0x2fe2(%rip), at 0x1020: 0x1026 + 0x2fe2.
        let plain = [
            0xff, 0x25, 0xe2, 0x2f, 0, 0, 0x68, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0,
        ];
        let slot_of = |bytes: &[u8], start| SlotReader::Relative.slot_of(bytes, start);
        assert_eq!(slot_of(&plain, 0x1020), Some(0x4008));
        // f3 0f 1e fa: endbr64 first, and f2: bnd prefix.
        let guarded = [
            0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, 0xf9, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0,
        ];
        assert_eq!(slot_of(&guarded, 0x1000), Some(0x1004));
        assert_eq!(slot_of(&plain[..4], 0x1020), None, "cut");
        assert_eq!(slot_of(&[0x90; 16], 0), None);
    }
    #[test]
    fn slots_of_32_bits_are_addresses_or_offsets_from_the_table() {
        let reader = SlotReader::Absolute { table: 0x3ff4 };
        let fixed = [0xff, 0x25, 0x0c, 0xc0, 0x04, 0x08, 0x68, 0, 0, 0, 0];
        assert_eq!(reader.slot_of(&fixed, 0x1020), Some(0x804_c00c));
        let relocatable = [0xff, 0xa3, 0x0c, 0, 0, 0, 0x68, 0, 0, 0, 0];
        assert_eq!(reader.slot_of(&relocatable, 0x1020), Some(0x4000));
        assert_eq!(reader.slot_of(&relocatable[..5], 0x1020), None, "cut");
    }
}
