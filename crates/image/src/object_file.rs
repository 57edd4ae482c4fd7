//! Object files and kernel modules, placed as a linker would place them.
//!
//! All their sections begin at address 0, and what refers to code is left to relocations, which a
//! linker or the kernel applies. Here the sections that are loaded get addresses one after the
//! other, `.text` first, and in a copy of the file the symbols move with them and the relocations
//! of debug information are applied. From then on it is read like a linked file. See the ELF
//! specification, chapters "Sections" and "Relocation".

use object::read::elf::{ElfFile, SectionHeader, Sym};
use object::{
    CompressionFormat, LittleEndian, Object, ObjectSection, Relocation, RelocationFlags,
    RelocationKind, RelocationTarget, SectionIndex, elf,
};

use crate::facts::{Class, Headers};
use crate::file::expansion_limit;

const LE: LittleEndian = LittleEndian;
/// No file has so much to load.
const LARGEST_ADDRESS: u64 = 1 << 46;
/// Addresses of 32 bits end here.
const LARGEST_ADDRESS_32: u64 = 1 << 32;

/// An object file whose sections have addresses.
pub(crate) struct Placed {
    pub(crate) bytes: Vec<u8>,
    /// Sections whose relocations were not applied, and why.
    pub(crate) refused: Vec<(String, String)>,
}

/// Places an object file; `None` when a file is none or has nothing that is loaded (`.dwo`). The
/// error says what was read.
pub(crate) fn place(data: &[u8], class: Class) -> Result<Option<Placed>, String> {
    match class {
        Class::Bits32 => place_as::<elf::FileHeader32<LittleEndian>>(data),
        Class::Bits64 => place_as::<elf::FileHeader64<LittleEndian>>(data),
    }
}

fn place_as<H: Headers>(data: &[u8]) -> Result<Option<Placed>, String> {
    let file = ElfFile::<H>::parse(data).map_err(|error| error.to_string())?;
    let is_loaded = |section: &H::SectionHeader| section.sh_flags(LE).contains(elf::SHF_ALLOC);
    let is_object = file.elf_header().e_type(LE) == elf::ET_REL;
    if !is_object || !file.elf_section_table().iter().any(is_loaded) {
        return Ok(None);
    }
    let mut placing = Placing {
        addresses: addresses(&file)?,
        file: &file,
        bytes: data.to_vec(),
        room: expansion_limit(data.len() as u64),
        steps: data.len(),
        refused: Vec::new(),
    };
    placing
        .move_sections()
        .ok_or("its section headers lie outside the file")?;
    placing
        .move_symbols()
        .ok_or("its symbols lie outside the file")?;
    placing.relocate_sections();
    Ok(Some(Placed {
        bytes: placing.bytes,
        refused: placing.refused,
    }))
}

/// The addresses of sections, by their numbers; 0 for those that are not loaded.
fn addresses<H: Headers>(file: &ElfFile<'_, H>) -> Result<Vec<u64>, String> {
    let sections = file.elf_section_table();
    let mut order: Vec<(usize, &H::SectionHeader)> = sections.iter().enumerate().collect();
    // Code first, because addresses that are asked for without a section are meant to lie in it.
    order.sort_by_key(|(number, section)| {
        let is_text = sections.section_name(LE, section) == Ok(b".text");
        let is_code = section.sh_flags(LE).contains(elf::SHF_EXECINSTR);
        (!is_text, !is_code, *number)
    });
    let largest = match file.is_64() {
        true => LARGEST_ADDRESS,
        false => LARGEST_ADDRESS_32,
    };
    let mut addresses = vec![0; order.len()];
    let mut next = 0u64;
    for (number, section) in order {
        if !section.sh_flags(LE).contains(elf::SHF_ALLOC) {
            continue;
        }
        let size: u64 = section.sh_size(LE).into();
        let start = next.checked_next_multiple_of(section.sh_addralign(LE).into().max(1));
        let end = start.and_then(|start| start.checked_add(size));
        let (Some(start), Some(end)) = (start, end.filter(|&end| end < largest)) else {
            return Err(format!("section {number} claims {size} bytes of memory"));
        };
        (addresses[number], next) = (start, end);
    }
    Ok(addresses)
}

/// The work on one file.
struct Placing<'f, 'd, H: Headers> {
    file: &'f ElfFile<'d, H>,
    addresses: Vec<u64>,
    bytes: Vec<u8>,
    /// So many bytes of sections may still be read, and so many relocations applied: sections of a
    /// sound file do not overlap.
    room: u64,
    steps: usize,
    refused: Vec<(String, String)>,
}

impl<H: Headers> Placing<'_, '_, H> {
    /// Whether the fields of headers have 8 bytes, not 4.
    fn is_wide(&self) -> bool {
        self.file.elf_header().is_class_64()
    }

    /// Writes a field of a section's header: its place among the words of the header, which are of
    /// one size but for the first two.
    fn set_field(&mut self, section: usize, word: usize, value: u64) -> Option<()> {
        let header = self.file.elf_header();
        let table = usize::try_from(header.e_shoff(LE).into()).ok()?;
        let entry = section.checked_mul(header.e_shentsize(LE).into())?;
        let size = if self.is_wide() { 8 } else { 4 };
        let at = table.checked_add(entry)?.checked_add(8 + word * size)?;
        put(&mut self.bytes, at, size, value)
    }

    fn move_sections(&mut self) -> Option<()> {
        for section in 0..self.addresses.len() {
            self.set_field(section, ADDRESS, self.addresses[section])?;
        }
        Some(())
    }

    fn move_symbols(&mut self) -> Option<()> {
        let table = self.file.elf_symbol_table();
        if table.is_empty() {
            return Some(());
        }
        let section = self
            .file
            .elf_section_table()
            .section(table.section())
            .ok()?;
        let first = usize::try_from(section.sh_offset(LE).into()).ok()?;
        let (into, size) = if self.is_wide() { (8, 8) } else { (4, 4) };
        for (index, symbol) in table.enumerate() {
            // A symbol of no section has an address already, or none.
            if let Ok(Some(section)) = table.symbol_section(LE, symbol, index) {
                let value = self
                    .address_of(section)?
                    .wrapping_add(symbol.st_value(LE).into());
                let at = first + index.0 * size_of::<H::Sym>() + into;
                put(&mut self.bytes, at, size, value)?;
            }
        }
        Some(())
    }

    fn address_of(&self, section: SectionIndex) -> Option<u64> {
        self.addresses.get(section.0).copied()
    }

    fn relocate_sections(&mut self) {
        for section in self.file.sections() {
            let name = section.name_bytes().unwrap_or_default();
            let is_read = name.starts_with(b".debug_")
                || name.starts_with(b".zdebug_")
                || name == b".eh_frame";
            if is_read
                && section.relocations().next().is_some()
                && let Err(detail) = self.relocate(&section)
            {
                let name = String::from_utf8_lossy(name).into_owned();
                self.refused.push((name, detail));
            }
        }
    }

    fn relocate<'s>(&mut self, section: &impl ObjectSection<'s>) -> Result<(), String> {
        let told = |error: object::read::Error| error.to_string();
        let number = section.index().0;
        let packed = section.compressed_data().map_err(told)?;
        if section
            .name_bytes()
            .is_ok_and(|name| name.starts_with(b".z"))
        {
            return Err(
                "it has relocations and is compressed in the old way of GNU, expected \
                        the section of today (SHF_COMPRESSED) or a linked file"
                    .to_owned(),
            );
        }
        let found = packed.uncompressed_size;
        let limit = expansion_limit(packed.data.len() as u64).min(self.room);
        if found > limit {
            return Err(format!("it claims {found} bytes, expected at most {limit}"));
        }
        self.room -= found;
        let mut data = packed.decompress().map_err(told)?.into_owned();
        let start = self.address_of(section.index()).unwrap_or(0);
        for (offset, relocation) in section.relocations() {
            let steps = self.steps.checked_sub(1);
            self.steps = steps.ok_or("there are more relocations than bytes in the file")?;
            self.apply(&mut data, start, offset, &relocation)?;
        }
        let written = if packed.format == CompressionFormat::None {
            let at = section.file_range().map(|(at, _)| at as usize);
            at.and_then(|at| self.bytes.get_mut(at..at.checked_add(data.len())?))
                .map(|place| place.copy_from_slice(&data))
        } else {
            self.append(number, &data)
        };
        written.ok_or_else(|| "it lies outside the file".to_owned())
    }

    /// Puts the contents of a section behind the file.
    fn append(&mut self, section: usize, data: &[u8]) -> Option<()> {
        let found = self
            .file
            .elf_section_table()
            .section(SectionIndex(section))
            .ok()?;
        let flags = found.sh_flags(LE).0 & !elf::SHF_COMPRESSED.0;
        let at = self.bytes.len() as u64;
        self.bytes.extend_from_slice(data);
        self.set_field(section, FLAGS, flags)?;
        self.set_field(section, OFFSET, at)?;
        self.set_field(section, SIZE, data.len() as u64)
    }

    fn apply(
        &self,
        data: &mut [u8],
        start: u64,
        offset: u64,
        relocation: &Relocation,
    ) -> Result<(), String> {
        let base = match relocation.kind() {
            RelocationKind::None => return Ok(()),
            RelocationKind::Absolute => 0,
            RelocationKind::Relative => start.wrapping_add(offset),
            _ if self.is_thread_local(relocation) => return Ok(()),
            _ => {
                return Err(format!(
                    "its relocations are of a kind that is not applied here ({:?} of machine {}), \
                     expected addresses and distances alone",
                    relocation.flags(),
                    self.file.elf_header().e_machine(LE).0
                ));
            }
        };
        let size = usize::from(relocation.size() / 8);
        let at = usize::try_from(offset).ok();
        let outside = || format!("a relocation of {size} bytes at {offset} lies outside of it");
        let range = at.and_then(|at| Some(at..at.checked_add(size)?));
        let place = range
            .and_then(|range| data.get_mut(range))
            .ok_or_else(outside)?;
        let mut value = self
            .target(relocation)
            .ok_or("a relocation has no symbol")?;
        value = value.wrapping_add_signed(relocation.addend());
        if relocation.has_implicit_addend() {
            let mut word = [0; 8];
            word.get_mut(..size)
                .ok_or_else(outside)?
                .copy_from_slice(place);
            value = value.wrapping_add(u64::from_le_bytes(word));
        }
        let bytes = value.wrapping_sub(base).to_le_bytes();
        place.copy_from_slice(bytes.get(..size).ok_or_else(outside)?);
        Ok(())
    }

    /// Where a relocation points to; 0 for what another file has.
    fn target(&self, relocation: &Relocation) -> Option<u64> {
        let RelocationTarget::Symbol(index) = relocation.target() else {
            return Some(0);
        };
        let table = self.file.elf_symbol_table();
        let symbol = table.symbol(index).ok()?;
        let section = table.symbol_section(LE, symbol, index).ok()?;
        let start = section.map_or(Some(0), |section| self.address_of(section))?;
        Some(start.wrapping_add(symbol.st_value(LE).into()))
    }

    /// Whether it stands for a place in the memory of a thread, where no code lies.
    fn is_thread_local(&self, relocation: &Relocation) -> bool {
        let RelocationFlags::Elf { r_type } = relocation.flags() else {
            return false;
        };
        let machine = self.file.elf_header().e_machine(LE);
        THREAD_LOCAL.contains(&(machine.0, r_type.0))
    }
}

/// The words of a section's header after the first two, which are of 4 bytes each.
const FLAGS: usize = 0;
const ADDRESS: usize = 1;
const OFFSET: usize = 2;
const SIZE: usize = 3;

/// Machines and their relocations for offsets in the memory of a thread, in 8 and 4 bytes.
const THREAD_LOCAL: [(u16, u32); 6] = [
    // R_X86_64_DTPOFF64, R_X86_64_DTPOFF32
    (62, 17),
    (62, 21),
    // R_AARCH64_TLS_DTPREL, as number 1028 and 1029 in two versions of the ABI
    (183, 1028),
    (183, 1029),
    // R_386_TLS_LDO_32
    (3, 32),
    // R_ARM_TLS_LDO32
    (40, 106),
];

fn put(bytes: &mut [u8], at: usize, size: usize, value: u64) -> Option<()> {
    let place = bytes.get_mut(at..at.checked_add(size)?)?;
    place.copy_from_slice(value.to_le_bytes().get(..size)?);
    Some(())
}
