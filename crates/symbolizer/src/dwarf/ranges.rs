//! Where the code of an entry lies.

use std::ops::Range;

use gimli::{AttributeValue, Dwarf, RangeListsOffset, Unit};

use super::budget::Budget;
use super::{DwarfError, Slice};

/// Executable addresses of the program, sorted and apart.
///
/// The linker drops functions and leaves their debug information, at 0, 1, or the largest
/// addresses (DWARF 5 as corrected, section 2.17.4 of version 6: all ones, and all ones less one in
/// lists). No code lies there, so what begins outside the code is dropped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Code(Vec<Range<u64>>);

impl Code {
    pub(crate) fn new(mut ranges: Vec<Range<u64>>) -> Code {
        ranges.retain(|range| range.start < range.end);
        ranges.sort_unstable_by_key(|range| range.start);
        Code(ranges)
    }

    pub(crate) fn contains(&self, svma: u64) -> bool {
        let after = self.0.partition_point(|range| range.start <= svma);
        after > 0 && svma < self.0[after - 1].end
    }
}

/// The attributes that say where the code of an entry lies.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RangeAttributes {
    pub(crate) low_pc: Option<u64>,
    high_pc: Option<u64>,
    pub(crate) size: Option<u64>,
    pub(crate) list: Option<RangeListsOffset>,
}

impl RangeAttributes {
    /// Takes an attribute, when it is one of these.
    #[inline]
    pub(crate) fn set<'a>(
        &mut self,
        dwarf: &Dwarf<Slice<'a>>,
        unit: &Unit<Slice<'a>>,
        name: gimli::DwAt,
        value: &AttributeValue<Slice<'a>>,
    ) -> Result<(), gimli::Error> {
        match name {
            gimli::DW_AT_low_pc => self.low_pc = dwarf.attr_address(unit, *value)?,
            gimli::DW_AT_high_pc => match value {
                AttributeValue::Udata(size) => self.size = Some(*size),
                value => self.high_pc = dwarf.attr_address(unit, *value)?,
            },
            gimli::DW_AT_ranges => self.list = dwarf.attr_ranges_offset(unit, *value)?,
            _ => {}
        }
        Ok(())
    }

    /// Whether there is any.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_none()
            && (self.low_pc.is_none() || (self.high_pc.is_none() && self.size.is_none()))
    }

    /// Calls `each` for the ranges that begin in the program's code.
    #[inline]
    pub(crate) fn for_each<'a>(
        &self,
        dwarf: &Dwarf<Slice<'a>>,
        unit: &Unit<Slice<'a>>,
        code: &Code,
        budget: &Budget,
        mut each: impl FnMut(Range<u64>),
    ) -> Result<(), DwarfError> {
        let mut add = |begin: u64, end: u64| {
            if begin < end && code.contains(begin) {
                each(begin..end);
            }
        };
        if let Some(list) = self.list {
            let mut ranges = dwarf.ranges(unit, list)?;
            while let Some(range) = ranges.next()? {
                budget.spend(1)?;
                add(range.begin, range.end);
            }
        } else if let (Some(begin), Some(end)) = (self.low_pc, self.high_pc) {
            add(begin, end);
        } else if let (Some(begin), Some(size)) = (self.low_pc, self.size) {
            // A size beyond the last address gives no range.
            add(begin, begin.wrapping_add(size));
        }
        Ok(())
    }
}
