//! What the nodes of the Rust grammar mean to the outline.

use tree_sitter::Node;

use super::outline::FunctionKind;
use super::walk::{Documents, Role, Standing, flat_text, text};

pub(crate) fn role<'tree>(node: Node<'tree>, source: &[u8]) -> Role<'tree> {
    match node.kind() {
        "line_comment" | "block_comment" => {
            let outer = node.child_by_field_name("outer").is_some();
            Role::Comment(if outer {
                Documents::Next
            } else {
                Documents::Nothing
            })
        }
        "string_literal" | "raw_string_literal" | "char_literal" => Role::Atom,
        "attribute_item" => Role::Attribute,
        "function_item" => function(node, source),
        "macro_definition" => match node.child_by_field_name("name") {
            Some(name) => Role::Function {
                kind: FunctionKind::Macro,
                name,
                text: format!("{}!", text(name, source)),
                body: None,
                standing: Standing::Anywhere,
            },
            None => Role::Item("macro"),
        },
        "mod_item" => Role::Scope {
            what: "module",
            prefix: name_of(node, source),
        },
        "trait_item" => Role::Scope {
            what: "trait",
            prefix: name_of(node, source),
        },
        "impl_item" => Role::Scope {
            what: "impl header",
            prefix: Some(impl_name(node, source)),
        },
        "foreign_mod_item" => Role::Scope {
            what: "extern block",
            prefix: None,
        },
        // The fields of a type are items of their own where they have names.
        "struct_item" | "union_item" if has_named_fields(node) => Role::Scope {
            what: "type",
            prefix: name_of(node, source),
        },
        "declaration_list" | "field_declaration_list" => Role::Container,
        kind => item(kind),
    }
}

fn item<'tree>(kind: &str) -> Role<'tree> {
    match kind {
        "const_item" => Role::Item("constant"),
        "static_item" => Role::Item("static"),
        "struct_item" | "enum_item" | "union_item" | "associated_type" => Role::Item("type"),
        "type_item" => Role::Item("type alias"),
        "field_declaration" => Role::Item("field"),
        "use_declaration" | "extern_crate_declaration" => Role::Item("use"),
        "function_signature_item" => Role::Item("declaration"),
        "inner_attribute_item" => Role::Item("attribute"),
        "macro_invocation" | "expression_statement" => Role::Item("macro call"),
        _ => Role::Plain,
    }
}

fn has_named_fields(node: Node<'_>) -> bool {
    node.child_by_field_name("body")
        .is_some_and(|body| body.kind() == "field_declaration_list")
}

fn function<'tree>(node: Node<'tree>, source: &[u8]) -> Role<'tree> {
    match node.child_by_field_name("name") {
        Some(name) => Role::Function {
            kind: FunctionKind::Function,
            name,
            text: text(name, source).to_owned(),
            body: node.child_by_field_name("body"),
            standing: Standing::Anywhere,
        },
        None => Role::Item("other code"),
    }
}

fn name_of(node: Node<'_>, source: &[u8]) -> Option<String> {
    let name = node.child_by_field_name("name")?;
    Some(text(name, source).to_owned())
}

/// `Type`, or `<Type as Trait>`. Lifetimes are left out, and so are the arguments that are the
/// block's own parameters: `impl<T> Stack<T>` is `Stack`, `impl Stack<u8>` is `Stack<u8>`.
fn impl_name(node: Node<'_>, source: &[u8]) -> String {
    let own = own_parameters(node, source);
    let part = |field: &str| {
        let part = node.child_by_field_name(field)?;
        Some(type_name(part, &own, source))
    };
    let self_type = part("type").unwrap_or_default();
    match part("trait") {
        Some(name) => format!("<{self_type} as {name}>"),
        None => self_type,
    }
}

fn own_parameters<'s>(node: Node<'_>, source: &'s [u8]) -> Vec<&'s str> {
    let Some(list) = node.child_by_field_name("type_parameters") else {
        return Vec::new();
    };
    let mut cursor = list.walk();
    list.named_children(&mut cursor)
        .filter_map(|child| child.child_by_field_name("name"))
        .map(|name| text(name, source))
        .collect()
}

fn type_name(node: Node<'_>, own: &[&str], source: &[u8]) -> String {
    let parts = node
        .child_by_field_name("type")
        .zip(node.child_by_field_name("type_arguments"));
    let Some((base, list)) = parts.filter(|_| node.kind() == "generic_type") else {
        return flat_text(node, source);
    };
    let mut cursor = list.walk();
    let arguments: Vec<String> = list
        .named_children(&mut cursor)
        .filter(|child| !matches!(child.kind(), "lifetime" | "line_comment" | "block_comment"))
        .map(|child| flat_text(child, source))
        .collect();
    let base = flat_text(base, source);
    if arguments.iter().all(|text| own.contains(&text.as_str())) {
        base
    } else {
        format!("{base}<{}>", arguments.join(", "))
    }
}

/// Whether the comma at `index` may come or go without a change of meaning: before a closing
/// sign, except in a tuple of one and among the tokens of a macro; after an arm of `match`; and
/// between named fields, each of which is an item.
pub(crate) fn comma_is_layout(node: Node<'_>, children: &[Node<'_>], index: usize) -> bool {
    let is_comment = |child: &&Node<'_>| !matches!(child.kind(), "line_comment" | "block_comment");
    let next = children[index + 1..].iter().find(is_comment);
    let in_tuple = node.kind().starts_with("tuple_") || node.kind() == "token_tree";
    match (node.kind(), next.map(Node::kind)) {
        ("match_arm", None) | ("field_declaration_list", _) => true,
        ("token_tree_pattern" | "token_repetition" | "token_repetition_pattern", _) => false,
        ("token_tree", _) => false,
        (_, Some(")" | "]" | "}" | ">")) => !in_tuple || node.named_child_count() > 1,
        _ => false,
    }
}
