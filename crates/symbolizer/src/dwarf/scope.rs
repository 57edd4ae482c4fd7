//! The namespaces and types around functions that have no linkage name.

use std::sync::Arc;

use gimli::{Dwarf, Reader, UnitOffset};

use super::abbreviations::{Abbreviations, read_values};
use super::text::text_of;
use super::{DwarfError, Slice};

/// How deep scopes nest at most; deeper ones are damage.
const DEEPEST_SCOPE: usize = 64;
/// Scopes longer than this many bytes are not made longer.
const LONGEST_SCOPE: usize = 4 << 10;

/// For each entry, which are sorted, the scope around it: `ns::Type`; `None` at the top.
pub(crate) fn scopes_of<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &gimli::Unit<Slice<'a>>,
    abbreviations: &Abbreviations<'a>,
    wanted: &[UnitOffset],
) -> Result<Vec<Option<Arc<str>>>, DwarfError> {
    let mut scopes = Vec::with_capacity(wanted.len());
    let mut open: Vec<(isize, Arc<str>)> = Vec::new();
    let (header, encoding) = (&unit.header, unit.encoding());
    let mut input = header.range_from(header.root_offset()..)?;
    let unit_end = header.root_offset().0 + input.len();
    let mut depth = 0isize;
    while scopes.len() < wanted.len() && !input.is_empty() {
        let next = wanted[scopes.len()];
        let offset = UnitOffset(unit_end - input.len());
        while open.last().is_some_and(|(around, _)| *around >= depth) {
            open.pop();
        }
        while wanted
            .get(scopes.len())
            .is_some_and(|&wanted| wanted <= offset)
        {
            scopes.push(open.last().map(|(_, scope)| scope.clone()));
        }
        let Some(abbreviation) = abbreviations.of_entry(&mut input)? else {
            depth -= 1;
            continue;
        };
        let kind = abbreviation.tag;
        let (mut name, mut sibling) = (None, None);
        let take =
            |attribute: &gimli::Attribute<Slice<'a>>| match (attribute.name(), attribute.value()) {
                (gimli::DW_AT_name, value) => name = text_of(dwarf, unit, value),
                (gimli::DW_AT_sibling, gimli::AttributeValue::UnitRef(at)) => sibling = Some(at),
                _ => {}
            };
        let is_wanted = |name| matches!(name, gimli::DW_AT_name | gimli::DW_AT_sibling);
        read_values(
            &mut input,
            encoding,
            abbreviation.attributes(),
            is_wanted,
            take,
        )?;
        if !abbreviation.has_children {
            continue;
        }
        if let Some(sibling) = sibling
            && sibling <= next
            && sibling >= UnitOffset(unit_end - input.len())
        {
            input = header.range_from(sibling..)?;
            continue;
        }
        if is_scope(kind) && open.len() < DEEPEST_SCOPE {
            let name = name.map(|name| name.to_string_lossy());
            let around = open.last().map(|(_, scope)| &**scope);
            if let Some(name) = name.as_deref().or_else(|| nameless(kind)) {
                open.push((depth, joined(around, name)));
            }
        }
        depth += 1;
    }
    scopes.resize(wanted.len(), None);
    Ok(scopes)
}

fn joined(around: Option<&str>, name: &str) -> Arc<str> {
    match around {
        Some(around) if around.len() + name.len() > LONGEST_SCOPE => Arc::from(around),
        Some(around) => Arc::from(format!("{around}::{name}")),
        None => Arc::from(name),
    }
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
