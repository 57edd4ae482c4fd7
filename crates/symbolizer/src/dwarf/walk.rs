//! One walk over the entries of a unit: which functions, inlined ones too, own which addresses.

use gimli::{AttributeValue, Dwarf, EntriesRaw, UnitOffset};

use super::budget::Budget;
use super::declaration::{EntryAt, Part, referred};
use super::ranges::{Code, RangeAttributes};
use super::{DwarfError, Slice};

/// No node.
pub(crate) const NOBODY: u32 = u32::MAX;

/// Inlined functions nest no deeper than this; real chains stay below a hundred.
const DEEPEST_CHAIN: u32 = 512;

/// A function, or an inlined copy of one, that owns addresses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    /// Where its names are, or the way to them begins.
    pub(crate) entry: EntryAt,
    /// The function that it is inlined into; [`NOBODY`] for one that is not inlined. A node comes
    /// after its parent.
    pub(crate) parent: u32,
    depth: u32,
    /// Where in the parent it was called: file (an index into the unit's files), line and column,
    /// 0 when unknown.
    pub(crate) call_file: Option<u64>,
    pub(crate) call_line: u32,
    pub(crate) call_column: u32,
    /// Where its first range begins.
    pub(crate) start: u64,
}

/// What a walk found.
pub(crate) struct Owners {
    pub(crate) nodes: Vec<Node>,
    /// For each address the innermost node; [`NOBODY`] when no function holds it.
    pub(crate) of: Vec<u32>,
    /// How many addresses no function holds.
    pub(crate) homeless: usize,
}

impl Owners {
    /// Nobody owns anything yet.
    pub(crate) fn of_nobody(addresses: usize) -> Owners {
        Owners {
            nodes: Vec::new(),
            of: vec![NOBODY; addresses],
            homeless: addresses,
        }
    }
}

/// A part of a unit: where it begins, and where the entry after it does.
type Stretch = (UnitOffset, Option<UnitOffset>);

/// The walk of one unit.
pub(crate) struct Walk<'u, 'a> {
    pub(crate) dwarf: &'u Dwarf<Slice<'a>>,
    pub(crate) unit: &'u gimli::Unit<Slice<'a>>,
    pub(crate) part: Part,
    pub(crate) code: &'u Code,
    /// Sorted.
    pub(crate) addresses: &'u [u64],
    pub(crate) budget: &'u Budget,
    /// Whether types can hold functions with code: those of C cannot, methods of a class within a
    /// function do.
    pub(crate) types_hold_code: bool,
}

/// What the attributes of a function's entry say.
#[derive(Default)]
struct Attributes {
    ranges: RangeAttributes,
    origin: Option<EntryAt>,
    sibling: Option<UnitOffset>,
    call_file: Option<u64>,
    call_line: u32,
    call_column: u32,
}

impl<'a> Walk<'_, 'a> {
    /// Walks the unit. On damage, what was found before it stays.
    ///
    /// What cannot hold code is left out, where the compiler says how long it is: types, and
    /// functions without an address. A function can be nested in another one, though (GNU C,
    /// Fortran, Ada), or in a class of another one (C++), so what was left out is walked when an
    /// address has no owner.
    pub(crate) fn run(&self, owners: &mut Owners) -> Result<(), DwarfError> {
        let mut skipped = Vec::new();
        self.stretch(self.unit.entries_raw(None)?, None, owners, &mut skipped)?;
        // Functions nest in functions that nest: each round goes one level deeper.
        while !skipped.is_empty() && owners.homeless > 0 {
            for (start, end) in std::mem::take(&mut skipped) {
                let entries = self.unit.entries_raw(Some(start))?;
                self.stretch(entries, end, owners, &mut skipped)?;
            }
        }
        Ok(())
    }

    fn stretch<'e>(
        &'e self,
        mut entries: EntriesRaw<'e, Slice<'a>>,
        end: Option<UnitOffset>,
        owners: &mut Owners,
        skipped: &mut Vec<Stretch>,
    ) -> Result<(), DwarfError> {
        // The depth of the entries' first one, which changes with each jump.
        let mut base = 0;
        // Functions around the next entry: their depth and node.
        let mut open: Vec<(isize, u32)> = Vec::new();
        while !entries.is_empty() {
            let offset = entries.next_offset();
            if end.is_some_and(|end| offset >= end) {
                break;
            }
            let depth = base + entries.next_depth();
            while open.last().is_some_and(|&(around, _)| around >= depth) {
                open.pop();
            }
            // Each address has its function, and all that is inlined into it was seen: entries
            // that follow have nothing to take.
            if owners.homeless == 0 && open.is_empty() {
                break;
            }
            let Some(abbreviation) = entries.read_abbreviation()? else {
                continue;
            };
            let around = open.last().map_or(NOBODY, |&(_, node)| node);
            let specifications = abbreviation.attributes();
            let has_children = abbreviation.has_children();
            let tag = abbreviation.tag();
            let is_function = tag == gimli::DW_TAG_subprogram;
            let sibling =
                if is_function || (tag == gimli::DW_TAG_inlined_subroutine && around != NOBODY) {
                    let read = self.attributes(&mut entries, specifications)?;
                    let parent = if is_function { NOBODY } else { around };
                    let node = self.enter(owners, &read, offset, parent)?;
                    if has_children {
                        // What a function that is not hit holds belongs to nobody, not to the function
                        // around it.
                        open.push((depth, node.unwrap_or(NOBODY)));
                    }
                    read.sibling.filter(|_| node.is_none())
                } else if has_children && !holds_functions(tag) {
                    self.sibling(&mut entries, specifications)?
                } else {
                    entries.skip_attributes(specifications)?;
                    None
                };
            let next = entries.next_offset();
            if let Some(sibling) = sibling.filter(|&sibling| has_children && sibling >= next) {
                if is_function || self.types_hold_code {
                    skipped.push((next, Some(sibling)));
                }
                entries = self.unit.entries_raw(Some(sibling))?;
                base = depth;
            }
        }
        Ok(())
    }

    fn attributes(
        &self,
        entries: &mut EntriesRaw<'_, Slice<'a>>,
        specifications: &[gimli::AttributeSpecification],
    ) -> Result<Attributes, DwarfError> {
        let mut read = Attributes::default();
        for &specification in specifications {
            let attribute = entries.read_attribute(specification)?;
            let value = attribute.value();
            match attribute.name() {
                name @ (gimli::DW_AT_low_pc | gimli::DW_AT_high_pc | gimli::DW_AT_ranges) => {
                    read.ranges.set(self.dwarf, self.unit, name, &value)?;
                }
                gimli::DW_AT_abstract_origin => {
                    read.origin = referred(value, self.dwarf, self.unit, self.part);
                }
                gimli::DW_AT_sibling => read.sibling = unit_offset(&value),
                gimli::DW_AT_call_file => {
                    if let AttributeValue::FileIndex(file) = value
                        && (file > 0 || self.unit.header.version() >= 5)
                    {
                        read.call_file = Some(file);
                    }
                }
                gimli::DW_AT_call_line => read.call_line = number(&value),
                gimli::DW_AT_call_column => read.call_column = number(&value),
                _ => {}
            }
        }
        Ok(read)
    }

    /// Reads over an entry and returns where the next one beside it begins.
    fn sibling(
        &self,
        entries: &mut EntriesRaw<'_, Slice<'a>>,
        specifications: &[gimli::AttributeSpecification],
    ) -> Result<Option<UnitOffset>, DwarfError> {
        let is_sibling = |s: &gimli::AttributeSpecification| s.name() == gimli::DW_AT_sibling;
        let Some(at) = specifications.iter().position(is_sibling) else {
            entries.skip_attributes(specifications)?;
            return Ok(None);
        };
        entries.skip_attributes(&specifications[..at])?;
        let sibling = entries.read_attribute(specifications[at])?.value();
        entries.skip_attributes(&specifications[at + 1..])?;
        Ok(unit_offset(&sibling))
    }

    /// Gives a function the addresses in its ranges that are its parent's; `None` when there are
    /// none.
    fn enter(
        &self,
        owners: &mut Owners,
        read: &Attributes,
        offset: UnitOffset,
        parent: u32,
    ) -> Result<Option<u32>, DwarfError> {
        let depth = match owners.nodes.get(parent as usize) {
            Some(parent) => parent.depth + 1,
            None => 0,
        };
        if depth > DEEPEST_CHAIN {
            return Ok(None);
        }
        let node = owners.nodes.len() as u32;
        let mut start = None;
        let (mut is_hit, mut looked_at) = (false, 0);
        let (dwarf, unit) = (self.dwarf, self.unit);
        let outcome = read
            .ranges
            .for_each(dwarf, unit, self.code, self.budget, |range| {
                start.get_or_insert(range.start);
                let first = self
                    .addresses
                    .partition_point(|&address| address < range.start);
                for (owner, &address) in owners.of[first..].iter_mut().zip(&self.addresses[first..])
                {
                    if address >= range.end {
                        break;
                    }
                    looked_at += 1;
                    if *owner == parent {
                        *owner = node;
                        owners.homeless -= usize::from(parent == NOBODY);
                        is_hit = true;
                    }
                }
            });
        // Whatever was damaged, an address that was given away has its node.
        if let Some(start) = start.filter(|_| is_hit) {
            owners.nodes.push(Node {
                entry: self.entry(read, offset, parent),
                parent,
                depth,
                call_file: read.call_file,
                call_line: read.call_line,
                call_column: read.call_column,
                start,
            });
        }
        outcome?;
        self.budget.spend(looked_at)?;
        Ok(is_hit.then_some(node))
    }

    /// The entry whose names count: an inlined copy has none of its own, so that all copies share
    /// those of their origin.
    fn entry(&self, read: &Attributes, offset: UnitOffset, parent: u32) -> EntryAt {
        let own = EntryAt::of_unit(self.part, self.unit, offset);
        match read.origin {
            Some(origin) if parent != NOBODY => origin,
            _ => own,
        }
    }
}

/// Whether entries of this kind often hold functions, or inlined copies of them, with code.
fn holds_functions(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_compile_unit
            | gimli::DW_TAG_partial_unit
            | gimli::DW_TAG_skeleton_unit
            | gimli::DW_TAG_namespace
            | gimli::DW_TAG_module
            | gimli::DW_TAG_lexical_block
            | gimli::DW_TAG_try_block
            | gimli::DW_TAG_catch_block
            | gimli::DW_TAG_with_stmt
            | gimli::DW_TAG_common_block
    )
}

fn unit_offset(value: &AttributeValue<Slice<'_>>) -> Option<UnitOffset> {
    match value {
        AttributeValue::UnitRef(offset) => Some(*offset),
        _ => None,
    }
}

fn number(value: &AttributeValue<Slice<'_>>) -> u32 {
    let number = value
        .udata_value()
        .and_then(|number| number.try_into().ok());
    number.unwrap_or(0)
}
