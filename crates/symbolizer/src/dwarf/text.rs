//! Texts that attributes refer to, cut where they are too long to be names.

use gimli::{AttributeValue, DebugStrOffset, Dwarf, Section};

use super::{Slice, slice};
use crate::bounded::text_at;

/// The text of an attribute; `None` when it has none or the text lies outside its section.
///
/// A search for the end of each text could take a damaged section's whole length each time.
pub(crate) fn text_of<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &gimli::Unit<Slice<'a>>,
    value: AttributeValue<Slice<'a>>,
) -> Option<Slice<'a>> {
    let (table, DebugStrOffset(at)) = match value {
        AttributeValue::String(text) => (text, DebugStrOffset(0)),
        AttributeValue::DebugStrRef(at) => (*dwarf.debug_str.reader(), at),
        AttributeValue::DebugStrRefSup(at) => (*dwarf.sup()?.debug_str.reader(), at),
        AttributeValue::DebugLineStrRef(at) => {
            (*dwarf.debug_line_str.reader(), DebugStrOffset(at.0))
        }
        AttributeValue::DebugStrOffsetsIndex(index) => {
            let at = dwarf.string_offset(unit, index).ok()?;
            (*dwarf.debug_str.reader(), at)
        }
        _ => return None,
    };
    text_at(table.slice(), at).map(slice)
}
