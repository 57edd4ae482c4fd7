//! The procedure linkage table: stubs that jump through a slot of the global offset table.
//!
//! Linkers write no symbols for the stubs. Each one is read for the slot it jumps through, and the
//! relocation of the slot names the function. Read on x86-64 alone.

use std::cell::LazyCell;
use std::collections::BTreeMap;

use hotproof_image::{Arch, ImageFile};
use object::read::elf::{Rela, SectionHeader};
use object::{LittleEndian, SectionIndex, elf};

use crate::symbols::{Elf, SymbolIndex, TableKind};

/// Stubs are this long on x86-64 with every linker.
const STUB_BYTES: usize = 16;
/// `jmp *offset(%rip)`.
const JUMP: [u8; 2] = [0xff, 0x25];

/// A stub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stub {
    pub(crate) start: u64,
    /// `memcpy@plt`.
    pub(crate) name: String,
}

/// The stubs by their first address.
pub(crate) fn stubs(image: &ImageFile, file: &Elf<'_>) -> BTreeMap<u64, Stub> {
    let mut stubs = BTreeMap::new();
    if image.arch() != Arch::X86_64 {
        return stubs;
    }
    let slots = slots(file);
    for name in [".plt", ".plt.sec", ".plt.got"] {
        let Ok(Some(section)) = image.section(name) else {
            continue;
        };
        for (number, bytes) in section.data.chunks(STUB_BYTES).enumerate() {
            let start = section.svma.wrapping_add((number * STUB_BYTES) as u64);
            if let Some(target) = slot_of(bytes, start).and_then(|slot| slots.get(&slot)) {
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

/// The address of the slot that a stub at `start` jumps through.
fn slot_of(stub: &[u8], start: u64) -> Option<u64> {
    let at = stub.windows(JUMP.len()).position(|bytes| bytes == JUMP)?;
    let offset = stub.get(at + 2..at + 6)?.try_into().ok()?;
    // The offset counts from the end of the six-byte instruction.
    let next = start.wrapping_add(at as u64 + 6);
    Some(next.wrapping_add_signed(i64::from(i32::from_le_bytes(offset))))
}

/// Names of the functions whose addresses the loader writes into slots, by slot.
fn slots<'a>(file: &Elf<'a>) -> BTreeMap<u64, &'a [u8]> {
    let mut slots = BTreeMap::new();
    let symbols = file.elf_dynamic_symbol_table();
    let functions = LazyCell::new(|| SymbolIndex::read(file, TableKind::Dynamic, &[]));
    for header in file.elf_section_table().iter() {
        let Ok(Some((relocations, link))) = header.rela(LittleEndian, file.data()) else {
            continue;
        };
        if link == SectionIndex(0) || link != symbols.section() {
            continue;
        }
        for relocation in relocations {
            let named = match relocation.r_type(LittleEndian, false) {
                elf::R_X86_64_JUMP_SLOT | elf::R_X86_64_GLOB_DAT => {
                    Rela::symbol(relocation, LittleEndian, false)
                        .and_then(|index| symbols.symbol(index).ok())
                        .and_then(|symbol| symbols.symbol_name(LittleEndian, symbol).ok())
                }
                // The addend is the function that chooses the implementation, whose symbol has the
                // name that callers use.
                elf::R_X86_64_IRELATIVE => {
                    let chooser = relocation.r_addend(LittleEndian).cast_unsigned();
                    let row = functions.find(chooser);
                    row.filter(|row| row.start == chooser).map(|row| row.name)
                }
                _ => continue,
            };
            if let Some(name) = named.filter(|name| !name.is_empty()) {
                slots.insert(relocation.r_offset(LittleEndian), name);
            }
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::slot_of;

    #[test]
    fn slots_are_read_from_plain_and_branch_protected_stubs() {
        // ff 25 xx xx xx xx: jmp *0x2fe2(%rip), at 0x1020: 0x1026 + 0x2fe2.
        let plain = [
            0xff, 0x25, 0xe2, 0x2f, 0, 0, 0x68, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0,
        ];
        assert_eq!(slot_of(&plain, 0x1020), Some(0x4008));
        // f3 0f 1e fa: endbr64 first, and f2: bnd prefix.
        let guarded = [
            0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, 0xf9, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0,
        ];
        assert_eq!(slot_of(&guarded, 0x1000), Some(0x1004));
        assert_eq!(slot_of(&plain[..4], 0x1020), None, "cut");
        assert_eq!(slot_of(&[0x90; 16], 0), None);
    }
}
