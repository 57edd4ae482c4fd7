//! What DWARF says of a function: its names and where it is declared.
//!
//! An inlined copy, an instance of a generic and an out-of-line copy each have an entry of their
//! own that refers, by `DW_AT_abstract_origin` and `DW_AT_specification`, to the entry with the
//! names and the declaration, which may lie in another unit (link-time optimisation) or in another
//! file (`dwz`). See DWARF 5, sections 3.3.8 and 2.13.

use std::ops::Deref;
use std::sync::Arc;

use gimli::{AttributeValue, DebugInfoOffset, DwLang, Dwarf, Error, UnitOffset};
use rustc_hash::FxHashMap;

use super::abbreviations::read_values;
use super::files::{LineTable, PathTable};
use super::scope::scopes_of;
use super::text::text_of;
use super::units::{Unit, UnitAt, Units};
use super::{DwarfError, Slice};

/// How many references are followed from entry to entry; real chains have at most four.
const LONGEST_CHAIN: usize = 16;

/// Which file an entry lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The file whose functions are walked.
    Main,
    /// The file of shared debug information.
    Shared,
}

/// An entry of `.debug_info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EntryAt {
    pub(crate) part: Part,
    pub(crate) offset: usize,
}

/// Names and declaration of a function.
#[derive(Debug, Clone, Default)]
pub(crate) struct Declaration<'a> {
    /// The mangled name.
    pub(crate) linkage_name: Option<Slice<'a>>,
    /// The name as the source has it.
    pub(crate) name: Option<Slice<'a>>,
    /// The namespaces and types around it, where no linkage name says them.
    pub(crate) scope: Option<Arc<str>>,
    /// Whether the name may lack its namespace: nothing but a plain name, as compilers write where
    /// they were asked for lines alone, in a language that mangles.
    pub(crate) is_bare: bool,
    /// Declared file, a row of the unit's paths.
    pub(crate) file: Option<u32>,
    /// Declared line, counted from 1.
    pub(crate) line: Option<u32>,
}

/// Where the declarations of one unit's functions are read.
pub(crate) struct Declarations<'u, 'a> {
    /// The units of the file that is walked.
    pub(crate) main: &'u Units<'a>,
    /// Those of shared debug information.
    pub(crate) shared: Option<&'u Units<'a>>,
    /// The unit that is walked, where it begins, and its line table.
    pub(crate) unit: &'u Unit<'a>,
    pub(crate) at: UnitAt,
    pub(crate) lines: Option<LineTable<'u, 'a>>,
    /// Rows by entry.
    known: FxHashMap<EntryAt, u32>,
    rows: Vec<Declaration<'a>>,
    /// Rows whose scope is to be found, and the entries with their names.
    without_scope: Vec<(EntryAt, u32)>,
}

/// A unit, of which the walked one is at hand.
enum Held<'u, 'a> {
    Walked(&'u Unit<'a>),
    Other(Arc<Unit<'a>>),
}

impl<'a> Deref for Held<'_, 'a> {
    type Target = Unit<'a>;

    fn deref(&self) -> &Unit<'a> {
        match self {
            Held::Walked(unit) => unit,
            Held::Other(unit) => unit,
        }
    }
}

impl EntryAt {
    pub(crate) fn of_unit(
        part: Part,
        unit: &gimli::Unit<Slice<'_>>,
        offset: UnitOffset,
    ) -> EntryAt {
        let offset = offset.to_debug_info_offset(&unit.header);
        EntryAt {
            part,
            // Units are those of `.debug_info`, so there is always an offset.
            offset: offset.map_or(0, |offset| offset.0),
        }
    }
}

impl<'u, 'a> Declarations<'u, 'a> {
    pub(crate) fn new(
        main: &'u Units<'a>,
        shared: Option<&'u Units<'a>>,
        (at, unit): (UnitAt, &'u Unit<'a>),
        lines: Option<LineTable<'u, 'a>>,
    ) -> Self {
        Declarations {
            main,
            shared,
            unit,
            at,
            lines,
            known: FxHashMap::default(),
            rows: Vec::new(),
            without_scope: Vec::new(),
        }
    }

    /// The row of the function that an entry is a copy of. What cannot be read stays unknown, and
    /// the first error is kept.
    pub(crate) fn row(
        &mut self,
        entry: EntryAt,
        paths: &mut PathTable<'a>,
        error: &mut Option<DwarfError>,
    ) -> u32 {
        if let Some(&known) = self.known.get(&entry) {
            return known;
        }
        let row = self.rows.len() as u32;
        self.known.insert(entry, row);
        self.rows.push(Declaration::default());
        if let Err(found) = self.read(row, entry, paths) {
            error.get_or_insert(found);
        }
        row
    }

    pub(crate) fn declared_file(&self, row: u32) -> Option<u32> {
        self.rows[row as usize].file
    }

    /// All rows, with their scopes.
    pub(crate) fn finish(mut self, error: &mut Option<DwarfError>) -> Vec<Declaration<'a>> {
        if let Err(found) = self.find_scopes() {
            error.get_or_insert(found);
        }
        self.rows
    }

    fn read(
        &mut self,
        row: u32,
        start: EntryAt,
        paths: &mut PathTable<'a>,
    ) -> Result<(), DwarfError> {
        let mut next = Some(start);
        let mut named_at = None;
        for _ in 0..LONGEST_CHAIN {
            let Some(entry) = next else { break };
            let had_name = self.rows[row as usize].name.is_some();
            next = self.gather(row, entry, paths)?;
            if !had_name && self.rows[row as usize].name.is_some() {
                named_at = Some(entry);
            }
        }
        let declaration = &mut self.rows[row as usize];
        if let (None, Some(entry)) = (declaration.linkage_name, named_at) {
            let mangles = !is_c(self.unit_of(entry)?.0.root.language);
            if mangles {
                self.without_scope.push((entry, row));
            }
        }
        Ok(())
    }

    /// Adds what one entry says and returns the entry that it refers to. The first entry that has
    /// an attribute wins, because a definition repeats only what differs from its declaration.
    fn gather(
        &mut self,
        row: u32,
        entry: EntryAt,
        paths: &mut PathTable<'a>,
    ) -> Result<Option<EntryAt>, DwarfError> {
        let (unit, unit_at, offset) = self.unit_of(entry)?;
        let dwarf = self.dwarf_of(entry.part);
        let inner = &unit.root.unit;
        let mut input = inner.header.range_from(offset..)?;
        let Some(abbreviation) = unit.abbreviations.of_entry(&mut input)? else {
            return Err(Error::NoEntryAtGivenOffset(entry.offset as u64).into());
        };
        let mut next = None;
        let row = row as usize;
        let mut gather = |attribute: &gimli::Attribute<Slice<'a>>| {
            let value = attribute.value();
            match attribute.name() {
                gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => {
                    let text = text_of(dwarf, inner, value);
                    let known = &mut self.rows[row].linkage_name;
                    *known = known.or(text);
                }
                gimli::DW_AT_name => {
                    let text = text_of(dwarf, inner, value);
                    let known = &mut self.rows[row].name;
                    *known = known.or(text);
                }
                gimli::DW_AT_decl_file => {
                    if let (None, AttributeValue::FileIndex(index)) = (self.rows[row].file, value) {
                        let table = self.table_of(&unit, dwarf);
                        let key = (entry.part, unit_at, index);
                        self.rows[row].file = table.and_then(|table| match unit {
                            Held::Walked(_) => paths.own_row(unit_at, index, &table),
                            Held::Other(_) => paths.row(key, &table),
                        });
                    }
                }
                gimli::DW_AT_decl_line => {
                    let line = attribute
                        .udata_value()
                        .and_then(|line| line.try_into().ok());
                    let known = &mut self.rows[row].line;
                    *known = known.or(line.filter(|&line| line > 0));
                }
                gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => {
                    next = referred(value, dwarf, inner, entry.part).or(next);
                }
                _ => {}
            }
        };
        let (encoding, attributes) = (inner.encoding(), abbreviation.attributes());
        read_values(
            &mut input,
            encoding,
            attributes,
            is_declaration,
            &mut gather,
        )?;
        Ok(next)
    }

    /// The files that the entries of a unit refer to.
    fn table_of<'t>(
        &'t self,
        unit: &'t Held<'u, 'a>,
        dwarf: &'t Dwarf<Slice<'a>>,
    ) -> Option<LineTable<'t, 'a>> {
        match unit {
            Held::Walked(_) => self.lines,
            Held::Other(unit) => Some(LineTable {
                dwarf,
                unit: &unit.root.unit,
                header: unit.line_header(dwarf)?,
            }),
        }
    }

    fn dwarf_of(&self, part: Part) -> &'u Dwarf<Slice<'a>> {
        &self.units_of(part).dwarf
    }

    fn units_of(&self, part: Part) -> &'u Units<'a> {
        match part {
            Part::Main => self.main,
            // Without a shared file there is no reference into it, see `referred`.
            Part::Shared => self.shared.unwrap_or(self.main),
        }
    }

    /// The unit of an entry, where it begins, and the entry's place in it.
    fn unit_of(&self, entry: EntryAt) -> Result<(Held<'u, 'a>, UnitAt, UnitOffset), DwarfError> {
        let missing = Error::NoEntryAtGivenOffset(entry.offset as u64);
        let units = self.units_of(entry.part);
        let at = DebugInfoOffset(entry.offset);
        // Nearly all references stay within their unit.
        if entry.part == Part::Main
            && let Some(offset) = at.to_unit_offset(&self.unit.root.unit.header)
        {
            return Ok((Held::Walked(self.unit), self.at, offset));
        }
        let unit_at = units.unit_of(entry.offset).ok_or(missing)?;
        let unit = units.referred_unit(unit_at)?;
        let offset = at.to_unit_offset(&unit.root.unit.header).ok_or(missing)?;
        Ok((Held::Other(unit), unit_at, offset))
    }

    /// Finds the scopes of all rows that lack one, with one walk for each unit.
    fn find_scopes(&mut self) -> Result<(), DwarfError> {
        let mut wanted = std::mem::take(&mut self.without_scope);
        wanted.sort_unstable();
        let mut rest = &wanted[..];
        while let Some(&(first, _)) = rest.first() {
            let (unit, _, _) = self.unit_of(first)?;
            let inner = &unit.root.unit;
            let abbreviations = &unit.abbreviations;
            let in_unit = |entry: EntryAt| {
                let at = DebugInfoOffset(entry.offset);
                let offset = at.to_unit_offset(&inner.header);
                offset.filter(|_| entry.part == first.part)
            };
            let count = rest
                .iter()
                .take_while(|(entry, _)| in_unit(*entry).is_some())
                .count();
            let offsets: Vec<UnitOffset> = rest[..count]
                .iter()
                .filter_map(|(entry, _)| in_unit(*entry))
                .collect();
            let scopes = scopes_of(self.dwarf_of(first.part), inner, abbreviations, &offsets)?;
            for (&(_, row), scope) in rest.iter().zip(scopes) {
                let declaration = &mut self.rows[row as usize];
                declaration.is_bare = scope.is_none() && declaration.line.is_none();
                declaration.scope = scope;
            }
            rest = &rest[count..];
        }
        Ok(())
    }
}

/// Whether an attribute says something of a declaration.
fn is_declaration(name: gimli::DwAt) -> bool {
    matches!(
        name,
        gimli::DW_AT_linkage_name
            | gimli::DW_AT_MIPS_linkage_name
            | gimli::DW_AT_name
            | gimli::DW_AT_decl_file
            | gimli::DW_AT_decl_line
            | gimli::DW_AT_abstract_origin
            | gimli::DW_AT_specification
    )
}

/// The entry that an attribute refers to.
pub(crate) fn referred(
    value: AttributeValue<Slice<'_>>,
    dwarf: &Dwarf<Slice<'_>>,
    unit: &gimli::Unit<Slice<'_>>,
    part: Part,
) -> Option<EntryAt> {
    match value {
        // Beyond its unit a damaged reference could lie beyond all numbers, too.
        AttributeValue::UnitRef(offset) if offset.0 < unit.header.length_including_self() => {
            let offset = offset.to_debug_info_offset(&unit.header)?.0;
            Some(EntryAt { part, offset })
        }
        AttributeValue::DebugInfoRef(offset) => Some(EntryAt {
            part,
            offset: offset.0,
        }),
        AttributeValue::DebugInfoRefSup(offset) if dwarf.sup().is_some() => Some(EntryAt {
            part: Part::Shared,
            offset: offset.0,
        }),
        _ => None,
    }
}

pub(crate) fn is_c(language: Option<DwLang>) -> bool {
    matches!(
        language,
        None | Some(
            gimli::DW_LANG_C
                | gimli::DW_LANG_C89
                | gimli::DW_LANG_C99
                | gimli::DW_LANG_C11
                | gimli::DW_LANG_C17
                | gimli::DW_LANG_Mips_Assembler
        )
    )
}
