//! What the nodes of the Python grammar mean to the outline.

use tree_sitter::Node;

use super::grammar::is_last_comma;
use super::outline::FunctionKind;
use super::walk::{Documents, Role, Standing, text};

pub(crate) fn role<'tree>(node: Node<'tree>, source: &[u8]) -> Role<'tree> {
    match node.kind() {
        "comment" => Role::Comment(Documents::Next),
        "string" => Role::Atom,
        "function_definition" => match node.child_by_field_name("name") {
            Some(name) => Role::Function {
                kind: FunctionKind::Function,
                name,
                text: text(name, source).to_owned(),
                body: node.child_by_field_name("body"),
                standing: Standing::Anywhere,
            },
            None => Role::Item("other code"),
        },
        "class_definition" => Role::Scope {
            what: "type",
            prefix: node
                .child_by_field_name("name")
                .map(|name| text(name, source).to_owned()),
        },
        "block" => Role::Container,
        "expression_statement" => statement(node, source),
        "import_statement" | "import_from_statement" | "future_import_statement" => {
            Role::Item("use")
        }
        "type_alias_statement" => Role::Item("type"),
        // A condition around definitions: `if TYPE_CHECKING:`, `try: import x`.
        "if_statement" | "else_clause" | "elif_clause" | "try_statement" | "except_clause"
        | "finally_clause" | "with_statement" => Role::Scope {
            what: "other code",
            prefix: None,
        },
        _ => Role::Plain,
    }
}

/// What stands below its decorators.
pub(crate) fn wrapped(node: Node<'_>) -> Option<Node<'_>> {
    let decorated = node.kind() == "decorated_definition";
    decorated
        .then(|| node.child_by_field_name("definition"))
        .flatten()
}

/// An assignment of a module or a class, or anything else that runs when it is imported.
fn statement<'tree>(node: Node<'tree>, source: &[u8]) -> Role<'tree> {
    let Some(inner) = node.named_child(0) else {
        return Role::Plain;
    };
    let (name, value) = match inner.kind() {
        "assignment" => (
            inner.child_by_field_name("left"),
            inner.child_by_field_name("right"),
        ),
        _ => return Role::Item("statement"),
    };
    match (name, value) {
        (Some(name), Some(value)) if name.kind() == "identifier" && value.kind() == "lambda" => {
            Role::Function {
                kind: FunctionKind::Function,
                name,
                text: text(name, source).to_owned(),
                body: value.child_by_field_name("body"),
                standing: Standing::OutsideFunctions,
            }
        }
        (Some(name), _) if is_constant_name(text(name, source)) => Role::Item("constant"),
        _ => Role::Item("static"),
    }
}

/// By custom, a name in capitals is never assigned to again.
fn is_constant_name(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_uppercase())
        && !name.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// A comma before a closing sign, except in a tuple or an index of one.
pub(crate) fn comma_is_layout(node: Node<'_>, children: &[Node<'_>], index: usize) -> bool {
    let needs_comma = matches!(node.kind(), "tuple" | "tuple_pattern" | "subscript");
    is_last_comma(children, index)
        && !matches!(node.kind(), "expression_list" | "pattern_list")
        && (!needs_comma || node.named_child_count() > 1)
}

/// The ends of statements and of blocks, which only lines and indentation tell.
pub(crate) fn has_end(node: Node<'_>) -> bool {
    node.kind() == "block" || node.kind().ends_with("_statement")
}
