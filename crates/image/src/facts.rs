//! What the headers of an ELF file say, read once.

use std::ops::Range;

use object::elf;
use object::read::elf::{ElfFile, ElfSection, FileHeader, ProgramHeader, SectionHeader};
use object::{LittleEndian, Object, ObjectSection};

/// The instruction set of a binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arch {
    /// x86-64.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit x86.
    X86,
    /// Another one, by its ELF machine number.
    Other(u16),
}

/// How wide the addresses of a binary are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// 32 bits (`ELFCLASS32`).
    Bits32,
    /// 64 bits (`ELFCLASS64`).
    Bits64,
}

impl Class {
    /// How many bytes an address takes.
    pub fn address_bytes(self) -> u8 {
        match self {
            Class::Bits32 => 4,
            Class::Bits64 => 8,
        }
    }
}

/// What an ELF file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A program with fixed addresses (`ET_EXEC`).
    Fixed,
    /// A shared library or a position-independent program (`ET_DYN`).
    Relocatable,
    /// An object file or a kernel module (`ET_REL`): its addresses are not final, those that it has
    /// here are our own.
    Object,
    /// A core dump or something else.
    Other,
}

/// A `PT_LOAD` program header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Where its bytes begin in the file.
    pub file_offset: u64,
    /// How many bytes it has in the file.
    pub file_size: u64,
    /// Its address as linked.
    pub svma: u64,
    /// How many bytes it takes in memory.
    pub size: u64,
    /// Whether it is mapped executable.
    pub executable: bool,
}

/// `.gnu_debuglink`: the name and checksum of the file with the debug information.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugLink {
    /// File name without a folder.
    pub name: String,
    /// CRC-32 of the whole file.
    pub crc: u32,
}

/// A section header, with its name.
#[derive(Debug)]
pub(crate) struct SectionFact {
    pub(crate) name: String,
    pub(crate) svma: u64,
    pub(crate) size: u64,
}

/// All facts that are read on opening.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) class: Class,
    pub(crate) arch: Arch,
    pub(crate) kind: FileKind,
    pub(crate) segments: Vec<Segment>,
    pub(crate) sections: Vec<SectionFact>,
    /// Where the build-id lies in the file.
    pub(crate) build_id: Option<Range<usize>>,
    pub(crate) debug_link: Option<DebugLink>,
}

/// The headers of one class.
pub(crate) trait Headers: FileHeader<Endian = LittleEndian> {}

impl<H: FileHeader<Endian = LittleEndian>> Headers for H {}

/// Reads the headers. The error is what `object` could not read.
pub(crate) fn read(data: &[u8], class: Class) -> Result<Facts, object::read::Error> {
    match class {
        Class::Bits32 => read_as::<elf::FileHeader32<LittleEndian>>(data, class),
        Class::Bits64 => read_as::<elf::FileHeader64<LittleEndian>>(data, class),
    }
}

fn read_as<H: Headers>(data: &[u8], class: Class) -> Result<Facts, object::read::Error> {
    let elf = ElfFile::<H>::parse(data)?;
    let build_id = elf.build_id()?.and_then(|id| range_within(data, id));
    let debug_link = elf.gnu_debuglink()?.map(|(name, crc)| DebugLink {
        name: String::from_utf8_lossy(name).into_owned(),
        crc,
    });
    let mut sections = Vec::new();
    for section in elf.sections() {
        sections.push(SectionFact {
            name: String::from_utf8_lossy(section.name_bytes()?).into_owned(),
            svma: section.address(),
            size: section.size(),
        });
    }
    let kind = kind(elf.elf_header());
    Ok(Facts {
        class,
        arch: arch(elf.elf_header()),
        kind,
        segments: match kind {
            FileKind::Object => sections_of_code(&elf),
            _ => segments(&elf),
        },
        sections,
        build_id,
        debug_link,
    })
}

fn arch<H: Headers>(header: &H) -> Arch {
    match header.e_machine(LittleEndian) {
        elf::EM_X86_64 => Arch::X86_64,
        elf::EM_AARCH64 => Arch::Aarch64,
        elf::EM_386 => Arch::X86,
        other => Arch::Other(other.0),
    }
}

fn kind<H: Headers>(header: &H) -> FileKind {
    match header.e_type(LittleEndian) {
        elf::ET_EXEC => FileKind::Fixed,
        elf::ET_DYN => FileKind::Relocatable,
        elf::ET_REL => FileKind::Object,
        _ => FileKind::Other,
    }
}

fn segments<H: Headers>(elf: &ElfFile<'_, H>) -> Vec<Segment> {
    let endian = LittleEndian;
    elf.elf_program_headers()
        .iter()
        .filter(|header| header.p_type(endian) == elf::PT_LOAD)
        .map(|header| Segment {
            file_offset: header.p_offset(endian).into(),
            file_size: header.p_filesz(endian).into(),
            svma: header.p_vaddr(endian).into(),
            size: header.p_memsz(endian).into(),
            executable: header.p_flags(endian).contains(elf::PF_X),
        })
        .collect()
}

/// What stands for the segments of an object file, which has none.
fn sections_of_code<H: Headers>(elf: &ElfFile<'_, H>) -> Vec<Segment> {
    let is_code = |section: &ElfSection<'_, '_, H>| {
        let flags = section.elf_section_header().sh_flags(LittleEndian);
        flags.contains(elf::SHF_ALLOC | elf::SHF_EXECINSTR) && section.size() > 0
    };
    let segment = |section: ElfSection<'_, '_, H>| {
        // A section of a debug file has no bytes there.
        let (file_offset, file_size) = section.file_range().unwrap_or((0, 0));
        Segment {
            file_offset,
            file_size,
            svma: section.address(),
            size: section.size(),
            executable: true,
        }
    };
    elf.sections().filter(is_code).map(segment).collect()
}

/// Where `part`, a slice of `whole`, begins and ends in it.
fn range_within(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len() && !part.is_empty()).then_some(start..end)
}
