//! The namespaces and types around functions that have no linkage name.

use std::sync::Arc;

use gimli::{Dwarf, UnitOffset};

use super::text::text_of;
use super::{DwarfError, Slice};

/// How deep scopes nest at most; deeper ones are damage.
const DEEPEST_SCOPE: usize = 64;
/// Scopes longer than this many bytes are not made longer.
const LONGEST_SCOPE: usize = 4 << 10;

/// For each entry, which are sorted, the scope around it: `ns::Type`; `None` at the top.
pub(crate) fn scopes_of(
    dwarf: &Dwarf<Slice<'_>>,
    unit: &gimli::Unit<Slice<'_>>,
    wanted: &[UnitOffset],
) -> Result<Vec<Option<Arc<str>>>, DwarfError> {
    let mut scopes = Vec::with_capacity(wanted.len());
    let mut open: Vec<(isize, Arc<str>)> = Vec::new();
    let mut entries = unit.entries_raw(None)?;
    let mut base = 0;
    while scopes.len() < wanted.len() && !entries.is_empty() {
        let next = wanted[scopes.len()];
        let offset = entries.next_offset();
        let depth = base + entries.next_depth();
        while open.last().is_some_and(|(around, _)| *around >= depth) {
            open.pop();
        }
        while wanted
            .get(scopes.len())
            .is_some_and(|&wanted| wanted <= offset)
        {
            scopes.push(open.last().map(|(_, scope)| scope.clone()));
        }
        let Some(abbreviation) = entries.read_abbreviation()? else {
            continue;
        };
        let kind = abbreviation.tag();
        let (mut name, mut sibling) = (None, None);
        for &specification in abbreviation.attributes() {
            let attribute = entries.read_attribute(specification)?;
            match (attribute.name(), attribute.value()) {
                (gimli::DW_AT_name, value) => name = text_of(dwarf, unit, value),
                (gimli::DW_AT_sibling, gimli::AttributeValue::UnitRef(at)) => sibling = Some(at),
                _ => {}
            }
        }
        if let Some(sibling) = sibling
            && sibling <= next
            && sibling >= entries.next_offset()
            && abbreviation.has_children()
        {
            entries = unit.entries_raw(Some(sibling))?;
            base = depth;
            continue;
        }
        if is_scope(kind) && abbreviation.has_children() && open.len() < DEEPEST_SCOPE {
            let name = name.map(|name| name.to_string_lossy());
            let around = open.last().map(|(_, scope)| &**scope);
            if let Some(name) = name.as_deref().or_else(|| nameless(kind)) {
                open.push((depth, joined(around, name)));
            }
        }
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
