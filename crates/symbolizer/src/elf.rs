//! An ELF file of either class, as the readers of its tables see it.

use std::ops::Range;

use hotproof_image::{Class, ImageFile};
use object::read::elf::{ElfFile, ElfFile32, ElfFile64, FileHeader, Sym, SymbolTable};
use object::{LittleEndian, Object, ObjectSection, SectionFlags, SymbolIndex, elf};

use crate::bounded::text_at;

/// The headers of one class.
pub(crate) trait Headers: FileHeader<Endian = LittleEndian> {}

impl<H: FileHeader<Endian = LittleEndian>> Headers for H {}

/// A file of either class.
pub(crate) enum Elf<'a> {
    Bits32(ElfFile32<'a, LittleEndian>),
    Bits64(ElfFile64<'a, LittleEndian>),
}

/// Does the same with a file of either class.
macro_rules! with_class {
    ($elf:expr, $file:ident => $body:expr) => {
        match $elf {
            crate::elf::Elf::Bits32($file) => $body,
            crate::elf::Elf::Bits64($file) => $body,
        }
    };
}
pub(crate) use with_class;

impl<'a> Elf<'a> {
    /// The headers of an image; [`ImageFile`] has parsed them before, so this does not fail.
    pub(crate) fn parse(file: &'a ImageFile) -> Option<Elf<'a>> {
        match file.class() {
            Class::Bits32 => ElfFile::parse(file.data()).map(Elf::Bits32).ok(),
            Class::Bits64 => ElfFile::parse(file.data()).map(Elf::Bits64).ok(),
        }
    }
}

/// Which table of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableKind {
    /// `.symtab`.
    Full,
    /// `.dynsym`.
    Dynamic,
}

/// A symbol table, with what its rows refer to.
pub(crate) struct SymbolSource<'t, 'a, H: Headers> {
    pub(crate) table: &'t SymbolTable<'a, H>,
    /// The names. They are read here, because a search for the end of each name could take the
    /// whole table each time.
    texts: &'a [u8],
    /// Linked addresses of executable sections, by section number.
    code: Vec<Option<Range<u64>>>,
    /// The bits of a value that are its address.
    address_mask: u64,
}

impl<'t, 'a, H: Headers> SymbolSource<'t, 'a, H> {
    pub(crate) fn of(file: &'t ElfFile<'a, H>, kind: TableKind) -> Self {
        let table = match kind {
            TableKind::Full => file.elf_symbol_table(),
            TableKind::Dynamic => file.elf_dynamic_symbol_table(),
        };
        let texts = file.section_by_index(table.string_section());
        // The lowest bit of an Arm function says which instruction set it is in (ELF for the Arm
        // architecture, section 5.5.3).
        let is_arm = file.elf_header().e_machine(LittleEndian) == elf::EM_ARM;
        SymbolSource {
            table,
            texts: texts.and_then(|section| section.data()).unwrap_or_default(),
            code: executable_sections(file),
            address_mask: if is_arm { !1 } else { !0 },
        }
    }

    /// The linked address of a symbol.
    pub(crate) fn start(&self, symbol: &H::Sym) -> u64 {
        symbol.st_value(LittleEndian).into() & self.address_mask
    }

    pub(crate) fn name(&self, symbol: &H::Sym) -> &'a [u8] {
        text_at(self.texts, symbol.st_name(LittleEndian) as usize).unwrap_or_default()
    }

    /// The executable section in which a symbol begins, if it has a function's name.
    pub(crate) fn section_of_function(
        &self,
        index: SymbolIndex,
        symbol: &H::Sym,
    ) -> Option<Range<u64>> {
        let section = self.table.symbol_section(LittleEndian, symbol, index);
        let range = self.code.get(section.ok()??.0)?.clone()?;
        let is_function =
            range.contains(&self.start(symbol)) && is_function_name(self.name(symbol));
        is_function.then_some(range)
    }
}

/// `$x` and `$d` mark code and data on Arm; `.L` labels belong to the assembler.
fn is_function_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.starts_with(b"$") && !name.starts_with(b".L")
}

fn executable_sections<H: Headers>(file: &ElfFile<'_, H>) -> Vec<Option<Range<u64>>> {
    let mut ranges = Vec::new();
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
            continue;
        };
        let number = section.index().0;
        if ranges.len() <= number {
            ranges.resize(number + 1, None);
        }
        let start = section.address();
        if sh_flags.contains(elf::SHF_EXECINSTR) {
            ranges[number] = Some(start..start.saturating_add(section.size()));
        }
    }
    ranges
}
