//! What the nodes of the Go grammar mean to the outline.

use tree_sitter::Node;

use super::outline::FunctionKind;
use super::walk::{Documents, Role, Standing, flat_text, text};

pub(crate) fn role<'tree>(node: Node<'tree>, source: &[u8]) -> Role<'tree> {
    match node.kind() {
        // `//go:noinline` and its kin speak to the compiler.
        "comment" if text(node, source).starts_with("//go:") => Role::Attribute,
        "comment" => Role::Comment(Documents::Next),
        "interpreted_string_literal" | "raw_string_literal" | "rune_literal" => Role::Atom,
        "function_declaration" => named(node, None, source),
        "method_declaration" => named(node, receiver(node, source), source),
        "const_declaration" if !counts_up(node, source) => Role::Container,
        "const_declaration" => Role::Item("constant"),
        "const_spec" => Role::Item("constant"),
        "var_declaration" | "var_spec_list" => Role::Container,
        "var_spec" => variable(node, source),
        "type_declaration" | "struct_type" | "field_declaration_list" => Role::Container,
        "type_spec" => type_of(node, source),
        "type_alias" => Role::Item("type alias"),
        "field_declaration" => Role::Item("field"),
        "import_declaration" => Role::Item("use"),
        "package_clause" => Role::Item("use"),
        _ => Role::Plain,
    }
}

/// A type with fields, which are items of their own; an interface; or another type's other name.
fn type_of<'tree>(node: Node<'tree>, source: &[u8]) -> Role<'tree> {
    let inner = node.child_by_field_name("type");
    match inner.map(|inner| inner.kind()) {
        Some("struct_type") => Role::Scope {
            what: "type",
            prefix: node
                .child_by_field_name("name")
                .map(|name| text(name, source).to_owned()),
        },
        Some("interface_type") => Role::Item("type"),
        _ => Role::Item("type alias"),
    }
}

fn named<'tree>(node: Node<'tree>, receiver: Option<String>, source: &[u8]) -> Role<'tree> {
    let Some(name) = node.child_by_field_name("name") else {
        return Role::Item("other code");
    };
    // Without a body it is a declaration of what assembly defines.
    let Some(body) = node.child_by_field_name("body") else {
        return Role::Item("declaration");
    };
    let own = text(name, source);
    Role::Function {
        kind: FunctionKind::Function,
        name,
        text: match receiver {
            Some(receiver) => format!("{receiver}::{own}"),
            None => own.to_owned(),
        },
        body: Some(body),
        standing: Standing::Anywhere,
    }
}

/// `Stack` of `(s *Stack[T])`.
fn receiver(node: Node<'_>, source: &[u8]) -> Option<String> {
    let list = node.child_by_field_name("receiver")?;
    let mut cursor = list.walk();
    let parameter = list.named_children(&mut cursor).next()?;
    let mut at = parameter.child_by_field_name("type")?;
    loop {
        at = match at.kind() {
            "pointer_type" | "parenthesized_type" => at.named_child(0)?,
            "generic_type" => at.child_by_field_name("type")?,
            _ => return Some(flat_text(at, source)),
        };
    }
}

/// Whether the values of a group follow from their order.
fn counts_up(node: Node<'_>, source: &[u8]) -> bool {
    source[node.byte_range()]
        .windows(4)
        .any(|word| word == b"iota")
}

/// `var f = func() { ... }` is a function.
fn variable<'tree>(node: Node<'tree>, source: &[u8]) -> Role<'tree> {
    let value = node.child_by_field_name("value");
    let only = value.filter(|value| value.named_child_count() == 1);
    let function = only
        .and_then(|value| value.named_child(0))
        .filter(|value| value.kind() == "func_literal");
    match (node.child_by_field_name("name"), function) {
        (Some(name), Some(function)) => Role::Function {
            kind: FunctionKind::Function,
            name,
            text: text(name, source).to_owned(),
            body: function.child_by_field_name("body"),
            standing: Standing::OutsideFunctions,
        },
        _ => Role::Item("static"),
    }
}
