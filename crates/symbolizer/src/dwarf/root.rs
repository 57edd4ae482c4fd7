//! The root entry of a unit, which can be read without the unit's table of abbreviations.
//!
//! A table of abbreviations is far larger than the one abbreviation that a root needs, and of the
//! many units of a program most are never hit, so the table is searched for theirs, or scanned up to
//! it.

use gimli::{
    AttributeValue, DebugAddrBase, DebugLineOffset, DebugRngListsBase, DebugStrOffsetsBase, DwLang,
    Dwarf, DwoId, Error, Reader, Section, Unit, UnitHeader, UnitType,
};

use super::abbreviations::{self, Abbreviation, read_values};
use super::budget::Budget;
use super::ranges::RangeAttributes;
use super::text::text_of;
use super::{DwarfError, Slice};

/// A root found within this many bytes of its table costs nothing of the budget.
const FREE_SCAN_BYTES: u64 = 1 << 10;

/// What the root entry of a unit says.
pub(crate) struct Root<'a> {
    /// The unit, without its line program and without abbreviations.
    pub(crate) unit: Unit<Slice<'a>>,
    /// Where its code lies.
    pub(crate) ranges: RangeAttributes,
    /// Where its line program begins.
    pub(crate) lines: Option<DebugLineOffset>,
    pub(crate) language: Option<DwLang>,
    /// The file that holds the unit's entries, for a skeleton.
    pub(crate) split_name: Option<Slice<'a>>,
}

impl<'a> Root<'a> {
    /// Reads a root whose table of abbreviations was not read.
    pub(crate) fn scan(
        dwarf: &Dwarf<Slice<'a>>,
        header: UnitHeader<Slice<'a>>,
        budget: &Budget,
    ) -> Result<Root<'a>, DwarfError> {
        let find = |code| find_abbreviation(dwarf, &header, code, budget);
        Root::read(dwarf, header, find)
    }

    /// Reads a root by its abbreviation.
    pub(crate) fn read(
        dwarf: &Dwarf<Slice<'a>>,
        header: UnitHeader<Slice<'a>>,
        find: impl FnOnce(u64) -> Result<Abbreviation<'a>, DwarfError>,
    ) -> Result<Root<'a>, DwarfError> {
        let mut input = header.range_from(header.root_offset()..)?;
        let code = input.read_uleb128()?;
        if code == 0 {
            return Err(Error::MissingUnitDie.into());
        }
        let attributes = find(code)?.attributes();
        let mut values = Vec::new();
        let add = |attribute: &gimli::Attribute<Slice<'a>>| {
            values.push((attribute.name(), attribute.value()));
        };
        read_values(&mut input, header.encoding(), attributes, |_| true, add)?;
        Root::of_attributes(dwarf, header, &values)
    }

    fn of_attributes(
        dwarf: &Dwarf<Slice<'a>>,
        header: UnitHeader<Slice<'a>>,
        values: &[(gimli::DwAt, AttributeValue<Slice<'a>>)],
    ) -> Result<Root<'a>, DwarfError> {
        let mut root = Root {
            unit: empty_unit(dwarf, header),
            ranges: RangeAttributes::default(),
            lines: None,
            language: None,
            split_name: None,
        };
        // The bases come first, because the other values are read through them.
        for (name, value) in values {
            root.set_base(*name, value);
        }
        for (name, value) in values {
            root.set_value(dwarf, *name, value)?;
        }
        Ok(root)
    }

    fn set_base(&mut self, name: gimli::DwAt, value: &AttributeValue<Slice<'a>>) {
        let unit = &mut self.unit;
        match (name, value) {
            (gimli::DW_AT_str_offsets_base, AttributeValue::DebugStrOffsetsBase(base)) => {
                unit.str_offsets_base = *base;
            }
            (
                gimli::DW_AT_addr_base | gimli::DW_AT_GNU_addr_base,
                AttributeValue::DebugAddrBase(base),
            ) => unit.addr_base = *base,
            (
                gimli::DW_AT_rnglists_base | gimli::DW_AT_GNU_ranges_base,
                AttributeValue::DebugRngListsBase(base),
            ) => unit.rnglists_base = *base,
            (gimli::DW_AT_GNU_dwo_id, AttributeValue::DwoId(id)) => {
                unit.dwo_id = unit.dwo_id.or(Some(*id));
            }
            _ => {}
        }
    }

    fn set_value(
        &mut self,
        dwarf: &Dwarf<Slice<'a>>,
        name: gimli::DwAt,
        value: &AttributeValue<Slice<'a>>,
    ) -> Result<(), DwarfError> {
        match name {
            gimli::DW_AT_name => self.unit.name = text_of(dwarf, &self.unit, *value),
            gimli::DW_AT_comp_dir => {
                self.unit.comp_dir = text_of(dwarf, &self.unit, *value);
            }
            gimli::DW_AT_GNU_dwo_name | gimli::DW_AT_dwo_name => {
                self.split_name = text_of(dwarf, &self.unit, *value);
            }
            gimli::DW_AT_stmt_list => {
                if let AttributeValue::DebugLineRef(offset) = value {
                    self.lines = Some(*offset);
                }
            }
            gimli::DW_AT_language => {
                if let AttributeValue::Language(language) = value {
                    self.language = Some(*language);
                }
            }
            gimli::DW_AT_low_pc => {
                self.ranges.set(dwarf, &self.unit, name, value)?;
                self.unit.low_pc = self.ranges.low_pc.unwrap_or(0);
            }
            gimli::DW_AT_high_pc | gimli::DW_AT_ranges => {
                self.ranges.set(dwarf, &self.unit, name, value)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The identity that the file with this skeleton's entries must have; `None` when the unit is
    /// no skeleton.
    pub(crate) fn split_id(&self) -> Option<DwoId> {
        // A split unit has an identity too, but no name of another file.
        self.split_name?;
        self.unit.dwo_id
    }
}

/// A unit as it is before its root is read.
fn empty_unit<'a>(dwarf: &Dwarf<Slice<'a>>, header: UnitHeader<Slice<'a>>) -> Unit<Slice<'a>> {
    let (encoding, file) = (header.encoding(), dwarf.file_type);
    Unit {
        abbreviations: gimli::Abbreviations::default().into(),
        name: None,
        comp_dir: None,
        low_pc: 0,
        str_offsets_base: DebugStrOffsetsBase::default_for_encoding_and_file(encoding, file),
        addr_base: DebugAddrBase(0),
        loclists_base: gimli::DebugLocListsBase::default_for_encoding_and_file(encoding, file),
        rnglists_base: DebugRngListsBase::default_for_encoding_and_file(encoding, file),
        line_program: None,
        dwo_id: match header.type_() {
            UnitType::Skeleton(id) | UnitType::SplitCompilation(id) => Some(id),
            _ => None,
        },
        header,
    }
}

/// The abbreviation with a code.
fn find_abbreviation<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    header: &UnitHeader<Slice<'a>>,
    code: u64,
    budget: &Budget,
) -> Result<Abbreviation<'a>, DwarfError> {
    let mut table = *dwarf.debug_abbrev.reader();
    table.skip(header.debug_abbrev_offset().0)?;
    // No more is scanned than is paid for.
    let room = budget.left().saturating_add(FREE_SCAN_BYTES);
    let whole = usize::try_from(room).map_or(table.len(), |room| room.min(table.len()));
    let is_cut = whole < table.len();
    table.truncate(whole)?;
    let mut found = abbreviations::find_root(&mut table, code);
    while found.is_none() {
        match abbreviations::next(&mut table) {
            Ok(Some((other, abbreviation))) => found = (other == code).then_some(abbreviation),
            Ok(None) => break,
            Err(_) if is_cut => {
                budget.spend(budget.left())?;
                return Err(DwarfError::Exhausted);
            }
            Err(error) => return Err(error.into()),
        }
    }
    let scanned = (whole - table.len()) as u64;
    budget.spend(scanned.saturating_sub(FREE_SCAN_BYTES))?;
    found.ok_or_else(|| Error::InvalidAbbreviationCode(code).into())
}
