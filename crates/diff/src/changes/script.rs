//! What the nodes of the grammars of JavaScript and TypeScript mean to the outline.

use tree_sitter::Node;

use super::grammar::is_last_comma;
use super::outline::FunctionKind;
use super::walk::{Documents, Role, Standing, flat_text, text};

pub(crate) fn role<'tree>(node: Node<'tree>, outer: Node<'tree>, source: &[u8]) -> Role<'tree> {
    match node.kind() {
        "comment" | "html_comment" => Role::Comment(Documents::Next),
        "string" | "template_string" | "regex" => Role::Atom,
        "decorator" => Role::Attribute,
        "function_declaration"
        | "generator_function_declaration"
        | "method_definition"
        | "function_expression"
        | "generator_function"
        | "arrow_function" => declared(node, outer, source),
        "field_definition" => bound(node, "property", "value", "static", source),
        "public_field_definition" => bound(node, "name", "value", "static", source),
        "pair" => bound(node, "key", "value", "", source),
        "class_declaration" | "abstract_class_declaration" | "class" => Role::Scope {
            what: "type",
            prefix: name_of(node, source),
        },
        "internal_module" | "module" => Role::Scope {
            what: "module",
            prefix: name_of(node, source),
        },
        "class_body" => Role::Container,
        "statement_block" => Role::Container,
        "lexical_declaration" | "variable_declaration" => variable(node, source),
        "expression_statement" => statement(node, source),
        kind => item(kind),
    }
}

fn item<'tree>(kind: &str) -> Role<'tree> {
    match kind {
        "import_statement" | "import_alias" | "export_statement" => Role::Item("use"),
        "interface_declaration" | "type_alias_declaration" | "enum_declaration" => {
            Role::Item("type")
        }
        "function_signature"
        | "method_signature"
        | "abstract_method_signature"
        | "ambient_declaration" => Role::Item("declaration"),
        "if_statement" | "else_clause" | "try_statement" | "catch_clause" | "finally_clause" => {
            Role::Scope {
                what: "other code",
                prefix: None,
            }
        }
        _ => Role::Plain,
    }
}

/// What is exported, in an `export`; what the name of an expression is, is seen here as well.
pub(crate) fn wrapped(node: Node<'_>) -> Option<Node<'_>> {
    match node.kind() {
        "export_statement" => node
            .child_by_field_name("declaration")
            .or_else(|| node.child_by_field_name("value"))
            .filter(|inner| inner.kind() != "ambient_declaration"),
        // `namespace X { ... }` is an expression to the grammar.
        "expression_statement" => node
            .named_child(0)
            .filter(|inner| inner.kind() == "internal_module"),
        _ => None,
    }
}

/// A function by its own name. Without one, only `export default` makes it a function of its own:
/// a closure belongs to what holds it.
fn declared<'tree>(node: Node<'tree>, outer: Node<'tree>, source: &[u8]) -> Role<'tree> {
    let body = node.child_by_field_name("body");
    let is_expression = matches!(
        node.kind(),
        "function_expression" | "generator_function" | "arrow_function"
    );
    if !is_expression {
        let Some(name) = node.child_by_field_name("name") else {
            return Role::Item("other code");
        };
        return Role::Function {
            kind: FunctionKind::Function,
            name,
            text: member(text(name, source)),
            body,
            standing: Standing::Anywhere,
        };
    }
    if outer.kind() == "export_statement" {
        Role::Function {
            kind: FunctionKind::Function,
            name: node,
            text: name_of(node, source).unwrap_or_else(|| "default".to_owned()),
            body,
            standing: Standing::OutsideFunctions,
        }
    } else {
        Role::Plain
    }
}

/// A name that a function is given to, else an item, or nothing of its own when `what` is empty.
fn bound<'tree>(
    node: Node<'tree>,
    name: &str,
    value: &str,
    what: &'static str,
    source: &[u8],
) -> Role<'tree> {
    let value = node.child_by_field_name(value);
    match (node.child_by_field_name(name), value.and_then(function_in)) {
        (Some(name), Some(function)) => Role::Function {
            kind: FunctionKind::Function,
            name,
            text: member(&flat_text(name, source)),
            body: function.child_by_field_name("body"),
            standing: Standing::OutsideFunctions,
        },
        _ if what.is_empty() => Role::Plain,
        _ => Role::Item(what),
    }
}

/// A function, as it is or as the only argument of calls: `memo(() => ...)`.
fn function_in(value: Node<'_>) -> Option<Node<'_>> {
    let mut at = value;
    // Calls nest as deep as a hostile source likes; three are more than people write.
    for _ in 0..3 {
        match at.kind() {
            "arrow_function" | "function_expression" | "generator_function" => return Some(at),
            "parenthesized_expression" => at = at.named_child(0)?,
            "call_expression" => {
                let arguments = at.child_by_field_name("arguments")?;
                at = arguments.named_child(0)?;
            }
            _ => return None,
        }
    }
    None
}

/// `const f = () => ...` is a function; several variables at once are one item.
fn variable<'tree>(node: Node<'tree>, source: &[u8]) -> Role<'tree> {
    let what = match node.child(0).map(|first| first.kind()) {
        Some("const") => "constant",
        _ => "static",
    };
    let only = (node.named_child_count() == 1)
        .then(|| node.named_child(0))
        .flatten();
    match only {
        Some(declarator) => match declarator.child_by_field_name("value") {
            Some(value) if value.kind() == "class" => Role::Scope {
                what: "type",
                prefix: name_of(declarator, source),
            },
            _ => bound(declarator, "name", "value", what, source),
        },
        None => Role::Item(what),
    }
}

/// `exports.f = function () { ... }` is a function; all else runs when the module is loaded.
fn statement<'tree>(node: Node<'tree>, source: &[u8]) -> Role<'tree> {
    let assignment = node
        .named_child(0)
        .filter(|inner| inner.kind() == "assignment_expression");
    match assignment {
        Some(inner) => bound(inner, "left", "right", "statement", source),
        None => Role::Item("statement"),
    }
}

/// `T::f` of `T.prototype.f`, `f` of `module.exports.f` and of `'f'`.
fn member(name: &str) -> String {
    let name = name.trim_matches(['\'', '"', '`']);
    let parts: Vec<&str> = name
        .split('.')
        .map(str::trim)
        .filter(|part| !matches!(*part, "module" | "exports" | "prototype" | "this"))
        .collect();
    if parts.is_empty() {
        "exports".to_owned()
    } else {
        parts.join("::")
    }
}

fn name_of(node: Node<'_>, source: &[u8]) -> Option<String> {
    let name = node.child_by_field_name("name")?;
    Some(member(&flat_text(name, source)))
}

/// A comma before a closing sign, and semicolons: the ends of statements are tokens already.
pub(crate) fn sign_is_layout(node: Node<'_>, children: &[Node<'_>], index: usize) -> bool {
    let parent = node.kind();
    if matches!(parent, "object_type" | "interface_body") {
        return true;
    }
    match children[index].kind() {
        ";" => parent != "for_statement",
        _ => is_last_comma(children, index) && parent != "sequence_expression",
    }
}

/// What the end of a line can end.
pub(crate) fn has_end(node: Node<'_>) -> bool {
    let kind = node.kind();
    kind.ends_with("_statement")
        || matches!(
            kind,
            "lexical_declaration"
                | "variable_declaration"
                | "field_definition"
                | "public_field_definition"
                | "property_signature"
                | "method_signature"
        )
}
