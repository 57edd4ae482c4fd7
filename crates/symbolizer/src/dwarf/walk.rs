//! One walk over the entries of a unit: which functions, inlined ones too, own which addresses.

use gimli::{AttributeValue, Dwarf, RawRangeListsOffset, Reader, UnitOffset};

use super::budget::Budget;
use super::declaration::{EntryAt, Part, referred};
use super::plan::{Kind, Plan, Plans, Value, Wanted, read_leb};
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
    /// What cannot hold code is left out: types, where the compiler says how long they are, and
    /// functions without an address. A function can be nested in another one, though (GNU C,
    /// Fortran, Ada), or in a class of another one (C++), so what was left out is walked when an
    /// address has no owner.
    pub(crate) fn run(
        &self,
        owners: &mut Owners,
        plans: &mut Plans<'_, 'a>,
    ) -> Result<(), DwarfError> {
        let mut skipped = Vec::new();
        let whole = (self.unit.header.root_offset(), None);
        self.stretch(whole, owners, plans, &mut skipped)?;
        // Functions nest in functions that nest: each round goes one level deeper.
        while !skipped.is_empty() && owners.homeless > 0 {
            for part in std::mem::take(&mut skipped) {
                self.stretch(part, owners, plans, &mut skipped)?;
            }
        }
        Ok(())
    }

    fn stretch(
        &self,
        (first, end): Stretch,
        owners: &mut Owners,
        plans: &mut Plans<'_, 'a>,
        skipped: &mut Vec<Stretch>,
    ) -> Result<(), DwarfError> {
        let header = &self.unit.header;
        let mut whole = header.range_from(first..)?;
        if let Some(end) = end {
            let length = whole.len().min(end.0.saturating_sub(first.0));
            whole.truncate(length)?;
        }
        let mut input = whole;
        let mut depth = 0;
        // Functions around the next entry: their depth and node.
        let mut open: Vec<(isize, u32)> = Vec::new();
        while !input.is_empty() {
            let offset = UnitOffset(first.0 + whole.len() - input.len());
            let code = read_leb(&mut input)?;
            if code == 0 {
                depth -= 1;
                continue;
            }
            let plan = plans.plan(code)?;
            if plan.wants_nothing && !plan.has_children {
                plans.hop(plan, &mut input)?;
                continue;
            }
            while open.last().is_some_and(|&(around, _)| around >= depth) {
                open.pop();
            }
            if plan.wants_nothing {
                plans.hop(plan, &mut input)?;
                depth += 1;
                continue;
            }
            // Each address has its function, and all that is inlined into it was seen: entries
            // that follow have nothing to take.
            if owners.homeless == 0 && open.is_empty() {
                break;
            }
            let around = open.last().map_or(NOBODY, |&(_, node)| node);
            let is_function = plan.kind == Kind::Function;
            let is_entered =
                is_function || (plan.kind == Kind::InlinedFunction && around != NOBODY);
            let read = self.attributes(plans, plan, &mut input)?;
            let mut is_left_out = read.sibling.is_some();
            if is_entered {
                let parent = if is_function { NOBODY } else { around };
                let node = self.enter(owners, &read, offset, parent)?;
                is_left_out = node.is_none();
                if let (Some(node), true) = (node, plan.has_children) {
                    open.push((depth, node));
                }
            }
            if !plan.has_children {
                continue;
            }
            if !is_left_out {
                depth += 1;
                continue;
            }
            let next = UnitOffset(first.0 + whole.len() - input.len());
            match read.sibling.filter(|&sibling| sibling >= next) {
                Some(sibling) => input.skip((sibling.0 - next.0).min(input.len()))?,
                None => plans.hop_children(&mut input)?,
            }
            let end = UnitOffset(first.0 + whole.len() - input.len());
            // What is left out is gone over once more in each round.
            self.budget.spend(end.0.saturating_sub(next.0) as u64)?;
            if is_function || self.types_hold_code {
                skipped.push((next, Some(end)));
            }
        }
        Ok(())
    }

    #[inline]
    fn attributes(
        &self,
        plans: &Plans<'_, 'a>,
        plan: Plan,
        input: &mut Slice<'a>,
    ) -> Result<Attributes, DwarfError> {
        let mut read = Attributes::default();
        plans.read(plan, input, |wanted, value| match value {
            Value::Number(number) => self.take_number(&mut read, wanted, number),
            Value::Rare(value) => self.take_rare(&mut read, wanted, value),
        })?;
        Ok(read)
    }

    #[inline]
    fn take_number(
        &self,
        read: &mut Attributes,
        wanted: Wanted,
        number: u64,
    ) -> Result<(), gimli::Error> {
        let offset = || UnitOffset(usize::try_from(number).unwrap_or(usize::MAX));
        match wanted {
            Wanted::LowPc => read.ranges.low_pc = Some(number),
            Wanted::HighPc => read.ranges.size = Some(number),
            Wanted::Ranges => {
                let raw = AttributeValue::RangeListsRef(RawRangeListsOffset(offset().0));
                read.ranges.list = self.dwarf.attr_ranges_offset(self.unit, raw)?;
            }
            Wanted::Origin => {
                let value = AttributeValue::UnitRef(offset());
                read.origin = referred(value, self.dwarf, self.unit, self.part);
            }
            Wanted::Sibling => read.sibling = Some(offset()),
            Wanted::CallFile => read.call_file = self.call_file(number),
            Wanted::CallLine => read.call_line = small(number),
            Wanted::CallColumn => read.call_column = small(number),
        }
        Ok(())
    }

    fn take_rare(
        &self,
        read: &mut Attributes,
        wanted: Wanted,
        value: AttributeValue<Slice<'a>>,
    ) -> Result<(), gimli::Error> {
        let mut set = |name| read.ranges.set(self.dwarf, self.unit, name, &value);
        let number = value.udata_value();
        match wanted {
            Wanted::LowPc => set(gimli::DW_AT_low_pc)?,
            Wanted::HighPc => set(gimli::DW_AT_high_pc)?,
            Wanted::Ranges => set(gimli::DW_AT_ranges)?,
            Wanted::Origin => read.origin = referred(value, self.dwarf, self.unit, self.part),
            Wanted::Sibling => read.sibling = unit_offset(&value),
            Wanted::CallFile => {
                if let AttributeValue::FileIndex(file) = value {
                    read.call_file = self.call_file(file);
                }
            }
            Wanted::CallLine => read.call_line = number.map_or(0, small),
            Wanted::CallColumn => read.call_column = number.map_or(0, small),
        }
        Ok(())
    }

    /// Before DWARF 5, index 0 means that no file is known.
    fn call_file(&self, index: u64) -> Option<u64> {
        Some(index).filter(|&index| index > 0 || self.unit.header.version() >= 5)
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

fn unit_offset(value: &AttributeValue<Slice<'_>>) -> Option<UnitOffset> {
    match value {
        AttributeValue::UnitRef(offset) => Some(*offset),
        _ => None,
    }
}

/// A line or a column; 0 when it is beyond all of them.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
