//! What DWARF says of a function: its names and where it is declared.
//!
//! An inlined copy, an instance of a generic and an out-of-line copy each have an entry of their
//! own that refers, by `DW_AT_abstract_origin` and `DW_AT_specification`, to the entry with the
//! names and the declaration, which may lie in another unit (link-time optimisation) or in another
//! file (`dwz`). See DWARF 5, sections 3.3.8 and 2.13.

use std::rc::Rc;
use std::sync::Arc;

use gimli::{
    AttributeValue, DebugInfoOffset, DwLang, Dwarf, EndianSlice, LittleEndian, Unit, UnitHeader,
    UnitOffset, UnitRef,
};
use rustc_hash::FxHashMap;

use crate::demangle::demangle;
use crate::path;

/// The reader of all sections: bytes of mapped files.
pub(crate) type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// How many references are followed from entry to entry; real chains have at most four.
const LONGEST_CHAIN: usize = 16;
/// How deep scopes nest at most; deeper ones are damage.
const DEEPEST_SCOPE: usize = 64;

/// Which file an entry lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// The file with debug information.
    Main,
    /// The file of shared debug information.
    Shared,
}

/// An entry of `.debug_info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EntryAt {
    pub(crate) part: Part,
    pub(crate) offset: usize,
}

/// Names and declaration of a function.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Declaration {
    /// The name to show; `None` when DWARF has none.
    pub(crate) name: Option<String>,
    /// The mangled name.
    pub(crate) linkage_name: Option<String>,
    /// Whether the name may lack its namespace: nothing but a plain name, as compilers write where
    /// they were asked for lines alone, in a language that mangles.
    pub(crate) bare: bool,
    /// Declared file, absolute where the compiler's folder is known.
    pub(crate) file: Option<String>,
    /// Declared line, counted from 1.
    pub(crate) line: Option<u32>,
    /// Where the code of the entry itself begins, when it is in one piece.
    pub(crate) low_pc: Option<u64>,
}

/// Attributes gathered along the chain of entries; the first one that has an attribute wins,
/// because a definition repeats only what differs from its declaration.
#[derive(Default)]
struct Gathered<'a> {
    linkage_name: Option<Slice<'a>>,
    /// The plain name and the entry that has it.
    name: Option<(Slice<'a>, EntryAt)>,
    file: Option<String>,
    line: Option<u32>,
    low_pc: Option<u64>,
}

/// The units of one file, parsed when they are needed.
struct Units<'a> {
    headers: Vec<UnitHeader<Slice<'a>>>,
    parsed: FxHashMap<usize, Rc<Unit<Slice<'a>>>>,
    /// By unit number, for each function entry its scope: `ns::Type`.
    scopes: FxHashMap<usize, FxHashMap<usize, Rc<str>>>,
}

/// Finds declarations; every entry is read once.
pub(crate) struct Declarations<'a> {
    dwarf: Arc<Dwarf<Slice<'a>>>,
    main: Units<'a>,
    shared: Units<'a>,
    known: FxHashMap<EntryAt, Rc<Declaration>>,
}

impl<'a> Declarations<'a> {
    pub(crate) fn new(dwarf: Arc<Dwarf<Slice<'a>>>) -> Result<Self, gimli::Error> {
        let main = Units::of(&dwarf)?;
        let shared = dwarf.sup().map_or_else(Units::none, Units::of)?;
        Ok(Declarations {
            dwarf,
            main,
            shared,
            known: FxHashMap::default(),
        })
    }

    /// The declaration of the function that an entry is a copy of.
    pub(crate) fn of(&mut self, entry: EntryAt) -> Result<Rc<Declaration>, gimli::Error> {
        if let Some(known) = self.known.get(&entry) {
            return Ok(known.clone());
        }
        let declaration = Rc::new(self.read(entry)?);
        self.known.insert(entry, declaration.clone());
        Ok(declaration)
    }

    fn read(&mut self, start: EntryAt) -> Result<Declaration, gimli::Error> {
        let mut gathered = Gathered::default();
        let mut next = Some(start);
        for _ in 0..LONGEST_CHAIN {
            let Some(entry) = next else { break };
            next = self.gather(entry, &mut gathered)?;
        }
        let linkage_name = gathered
            .linkage_name
            .map(|name| name.to_string_lossy().into_owned());
        let mut bare = false;
        let name = match (&linkage_name, gathered.name) {
            (Some(linkage_name), _) => Some(demangle(linkage_name).into_owned()),
            (None, Some((name, entry))) => {
                let name = name.to_string_lossy();
                let mangles = self.mangles(entry)?;
                let scope = if mangles { self.scope(entry)? } else { None };
                bare = mangles && scope.is_none() && gathered.line.is_none();
                Some(match scope {
                    Some(scope) => format!("{scope}::{name}"),
                    None => name.into_owned(),
                })
            }
            (None, None) => None,
        };
        Ok(Declaration {
            name,
            linkage_name,
            bare,
            file: gathered.file,
            line: gathered.line,
            low_pc: gathered.low_pc,
        })
    }

    /// Adds what one entry says and returns the entry that it refers to.
    fn gather(
        &mut self,
        entry: EntryAt,
        gathered: &mut Gathered<'a>,
    ) -> Result<Option<EntryAt>, gimli::Error> {
        let (unit, offset) = self.unit_of(entry)?;
        let dwarf = self.dwarf_of(entry.part);
        let unit = unit.unit_ref(dwarf);
        let mut entries = unit.entries_raw(Some(offset))?;
        let Some(abbreviation) = entries.read_abbreviation()? else {
            return Err(gimli::Error::NoEntryAtGivenOffset(entry.offset as u64));
        };
        let mut next = None;
        for &specification in abbreviation.attributes() {
            let attribute = entries.read_attribute(specification)?;
            match attribute.name() {
                gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => {
                    let text = unit.attr_string(attribute.value()).ok();
                    gathered.linkage_name = gathered.linkage_name.or(text);
                }
                gimli::DW_AT_name => {
                    let text = unit.attr_string(attribute.value()).ok();
                    gathered.name = gathered.name.or(text.map(|text| (text, entry)));
                }
                gimli::DW_AT_decl_file => {
                    if let (None, AttributeValue::FileIndex(index)) =
                        (&gathered.file, attribute.value())
                    {
                        gathered.file = file_path(unit, index)?;
                    }
                }
                gimli::DW_AT_decl_line => {
                    let line = attribute
                        .udata_value()
                        .and_then(|line| line.try_into().ok());
                    gathered.line = gathered.line.or(line.filter(|&line| line > 0));
                }
                gimli::DW_AT_low_pc => {
                    let start = unit.attr_address(attribute.value())?;
                    gathered.low_pc = gathered.low_pc.or(start);
                }
                gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => {
                    next = referred(attribute.value(), unit, entry.part).or(next);
                }
                _ => {}
            }
        }
        Ok(next)
    }

    fn dwarf_of(&self, part: Part) -> &Dwarf<Slice<'a>> {
        match part {
            Part::Main => &self.dwarf,
            // Without a shared file there is no reference into it, see `referred`.
            Part::Shared => self.dwarf.sup().unwrap_or(&self.dwarf),
        }
    }

    fn units_of(&mut self, part: Part) -> &mut Units<'a> {
        match part {
            Part::Main => &mut self.main,
            Part::Shared => &mut self.shared,
        }
    }

    fn unit_of(
        &mut self,
        entry: EntryAt,
    ) -> Result<(Rc<Unit<Slice<'a>>>, UnitOffset), gimli::Error> {
        let missing = gimli::Error::NoEntryAtGivenOffset(entry.offset as u64);
        let dwarf = self.dwarf.clone();
        let dwarf = match entry.part {
            Part::Main => &*dwarf,
            Part::Shared => dwarf.sup().ok_or(missing)?,
        };
        let units = self.units_of(entry.part);
        let number = units.number_of(entry.offset).ok_or(missing)?;
        let unit = units.parsed(dwarf, number)?;
        let offset = DebugInfoOffset(entry.offset)
            .to_unit_offset(&unit.header)
            .ok_or(missing)?;
        Ok((unit, offset))
    }

    /// Whether the language of an entry's unit mangles names, so that a plain one is not whole.
    fn mangles(&mut self, entry: EntryAt) -> Result<bool, gimli::Error> {
        let (unit, _) = self.unit_of(entry)?;
        Ok(!is_c(language(&unit)?))
    }

    /// The namespaces and types around an entry; `None` at the top of its unit.
    fn scope(&mut self, entry: EntryAt) -> Result<Option<Rc<str>>, gimli::Error> {
        let (unit, offset) = self.unit_of(entry)?;
        let dwarf = self.dwarf.clone();
        let dwarf = match entry.part {
            Part::Main => &*dwarf,
            Part::Shared => dwarf.sup().unwrap_or(&dwarf),
        };
        let units = self.units_of(entry.part);
        let Some(number) = units.number_of(entry.offset) else {
            return Ok(None);
        };
        if let Some(scopes) = units.scopes.get(&number) {
            return Ok(scopes.get(&offset.0).cloned());
        }
        let scopes = read_scopes(unit.unit_ref(dwarf))?;
        let scope = scopes.get(&offset.0).cloned();
        units.scopes.insert(number, scopes);
        Ok(scope)
    }
}

impl<'a> Units<'a> {
    fn none() -> Result<Self, gimli::Error> {
        Ok(Units {
            headers: Vec::new(),
            parsed: FxHashMap::default(),
            scopes: FxHashMap::default(),
        })
    }

    fn of(dwarf: &Dwarf<Slice<'a>>) -> Result<Self, gimli::Error> {
        let mut units = Self::none()?;
        let mut headers = dwarf.units();
        while let Some(header) = headers.next()? {
            units.headers.push(header);
        }
        Ok(units)
    }

    /// The unit whose entries hold an offset; headers are in the order of the section.
    fn number_of(&self, offset: usize) -> Option<usize> {
        let start = |header: &UnitHeader<Slice<'a>>| header.debug_info_offset().map(|at| at.0);
        let after = self
            .headers
            .partition_point(|header| start(header).is_some_and(|start| start <= offset));
        after.checked_sub(1)
    }

    fn parsed(
        &mut self,
        dwarf: &Dwarf<Slice<'a>>,
        number: usize,
    ) -> Result<Rc<Unit<Slice<'a>>>, gimli::Error> {
        if let Some(unit) = self.parsed.get(&number) {
            return Ok(unit.clone());
        }
        let unit = Rc::new(dwarf.unit(self.headers[number])?);
        self.parsed.insert(number, unit.clone());
        Ok(unit)
    }
}

/// The entry that an attribute refers to.
fn referred(
    value: AttributeValue<Slice<'_>>,
    unit: UnitRef<'_, Slice<'_>>,
    part: Part,
) -> Option<EntryAt> {
    match value {
        AttributeValue::UnitRef(offset) => {
            let offset = offset.to_debug_info_offset(&unit.header)?.0;
            Some(EntryAt { part, offset })
        }
        AttributeValue::DebugInfoRef(offset) => Some(EntryAt {
            part,
            offset: offset.0,
        }),
        AttributeValue::DebugInfoRefSup(offset) if unit.dwarf.sup().is_some() => Some(EntryAt {
            part: Part::Shared,
            offset: offset.0,
        }),
        _ => None,
    }
}

/// A file of a unit's line table, joined to the compiler's folder.
fn file_path(unit: UnitRef<'_, Slice<'_>>, index: u64) -> Result<Option<String>, gimli::Error> {
    let Some(program) = &unit.line_program else {
        return Ok(None);
    };
    let header = program.header();
    // Before DWARF 5, index 0 means that no file is known.
    if index == 0 && header.version() < 5 {
        return Ok(None);
    }
    let Some(file) = header.file(index) else {
        return Ok(None);
    };
    let mut path = unit
        .comp_dir
        .map(|folder| folder.to_string_lossy().into_owned())
        .unwrap_or_default();
    // Directory 0 is the compiler's folder itself.
    if file.directory_index() != 0
        && let Some(folder) = file.directory(header)
    {
        path = path::join(&path, &unit.attr_string(folder)?.to_string_lossy());
    }
    let name = unit.attr_string(file.path_name())?;
    path = path::join(&path, &name.to_string_lossy());
    Ok(Some(path::normalise(&path)))
}

fn language(unit: &Unit<Slice<'_>>) -> Result<Option<DwLang>, gimli::Error> {
    let mut entries = unit.entries();
    if !entries.next_entry()? {
        return Ok(None);
    }
    let root = entries.current();
    Ok(
        root.and_then(|root| match root.attr_value(gimli::DW_AT_language) {
            Some(AttributeValue::Language(language)) => Some(language),
            _ => None,
        }),
    )
}

fn is_c(language: Option<DwLang>) -> bool {
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

/// For each function entry of a unit the namespaces, types and functions around it.
fn read_scopes(unit: UnitRef<'_, Slice<'_>>) -> Result<FxHashMap<usize, Rc<str>>, gimli::Error> {
    let mut scopes = FxHashMap::default();
    let mut open: Vec<(isize, Rc<str>)> = Vec::new();
    let mut entries = unit.entries_raw(None)?;
    while !entries.is_empty() {
        let offset = entries.next_offset();
        let depth = entries.next_depth();
        while open.last().is_some_and(|(at, _)| *at >= depth) {
            open.pop();
        }
        let Some(abbreviation) = entries.read_abbreviation()? else {
            continue;
        };
        let kind = abbreviation.tag();
        if !is_scope(kind) {
            entries.skip_attributes(abbreviation.attributes())?;
            continue;
        }
        let mut name = None;
        for &specification in abbreviation.attributes() {
            let attribute = entries.read_attribute(specification)?;
            if attribute.name() == gimli::DW_AT_name {
                name = unit.attr_string(attribute.value()).ok();
            }
        }
        let around = open.last().map(|(_, scope)| scope.clone());
        if kind == gimli::DW_TAG_subprogram
            && let Some(around) = &around
        {
            scopes.insert(offset.0, around.clone());
        }
        let name = name.map(|name| name.to_string_lossy());
        let name = name.as_deref().or_else(|| nameless(kind));
        if let Some(name) = name.filter(|_| open.len() < DEEPEST_SCOPE) {
            let scope = match around {
                Some(around) => Rc::from(format!("{around}::{name}")),
                None => Rc::from(name),
            };
            open.push((depth, scope));
        }
    }
    Ok(scopes)
}

fn is_scope(kind: gimli::DwTag) -> bool {
    matches!(
        kind,
        gimli::DW_TAG_namespace
            | gimli::DW_TAG_module
            | gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type
            | gimli::DW_TAG_interface_type
            | gimli::DW_TAG_subprogram
    )
}

/// What a scope without a name is called.
fn nameless(kind: gimli::DwTag) -> Option<&'static str> {
    match kind {
        gimli::DW_TAG_namespace => Some("(anonymous namespace)"),
        gimli::DW_TAG_subprogram => None,
        _ => Some("(anonymous)"),
    }
}
