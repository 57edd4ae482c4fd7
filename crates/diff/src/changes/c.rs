//! What the nodes of the C grammar mean to the outline.

use tree_sitter::Node;

use super::outline::FunctionKind;
use super::walk::{Documents, Role, Standing, flat_text, text};

pub(crate) fn role<'tree>(node: Node<'tree>, source: &[u8]) -> Role<'tree> {
    match node.kind() {
        "comment" => Role::Comment(Documents::Next),
        "string_literal" | "char_literal" | "system_lib_string" => Role::Atom,
        "function_definition" => match declared_name(node) {
            Some(name) => Role::Function {
                kind: FunctionKind::Function,
                name,
                text: text(name, source).to_owned(),
                body: node.child_by_field_name("body"),
                standing: Standing::Anywhere,
            },
            None => Role::Item("other code"),
        },
        "preproc_function_def" => match node.child_by_field_name("name") {
            Some(name) => Role::Function {
                kind: FunctionKind::Macro,
                name,
                text: text(name, source).to_owned(),
                body: None,
                standing: Standing::Anywhere,
            },
            None => Role::Item("macro"),
        },
        "preproc_if"
        | "preproc_ifdef"
        | "preproc_else"
        | "preproc_elif"
        | "preproc_elifdef"
        | "linkage_specification" => Role::Scope {
            what: "preprocessor condition",
            prefix: None,
        },
        // The fields of a type are items of their own, under its name or that of its `typedef`.
        "type_definition" => match defined_here(node) {
            Some(inner) if is_record(inner) => Role::Scope {
                what: "type",
                prefix: node
                    .child_by_field_name("declarator")
                    .filter(|name| name.kind() == "type_identifier")
                    .map(|name| text(name, source).to_owned()),
            },
            Some(_) => Role::Item("type"),
            None => Role::Item("type alias"),
        },
        "struct_specifier" | "union_specifier" if is_record(node) => {
            match is_below_typedef(node, source) {
                true => Role::Container,
                false => Role::Scope {
                    what: "type",
                    prefix: node
                        .child_by_field_name("name")
                        .map(|name| text(name, source).to_owned()),
                },
            }
        }
        "declaration_list" | "field_declaration_list" => Role::Container,
        "field_declaration" => Role::Item("field"),
        "declaration" => declaration(node, source),
        kind => item(kind),
    }
}

fn item<'tree>(kind: &str) -> Role<'tree> {
    match kind {
        "preproc_def" | "preproc_call" => Role::Item("macro"),
        "preproc_include" => Role::Item("use"),
        "struct_specifier" | "enum_specifier" | "union_specifier" => Role::Item("type"),
        "expression_statement" => Role::Item("macro call"),
        _ => Role::Plain,
    }
}

/// The type with a body that a `typedef` names.
fn defined_here(node: Node<'_>) -> Option<Node<'_>> {
    let inner = node.child_by_field_name("type")?;
    inner.child_by_field_name("body").map(|_| inner)
}

/// Whether `typedef` stands before a type, with `const` and `volatile` between them at most. (To ask
/// the tree for a parent takes as long as the file has nodes before it.)
fn is_below_typedef(node: Node<'_>, source: &[u8]) -> bool {
    const LONGEST: usize = 64;
    let start = node.start_byte();
    let before = &source[start.saturating_sub(LONGEST)..start];
    let mut words = before.rsplit(u8::is_ascii_whitespace);
    let last = words.find(|word| !matches!(*word, b"" | b"const" | b"volatile"));
    last == Some(b"typedef")
}

/// Whether a node is a type with fields.
fn is_record(node: Node<'_>) -> bool {
    let body = node.child_by_field_name("body");
    body.is_some_and(|body| body.kind() == "field_declaration_list")
}

/// A prototype, a constant or a variable.
pub(crate) fn declaration<'tree>(node: Node<'tree>, source: &[u8]) -> Role<'tree> {
    let declarator = node.child_by_field_name("declarator").map(innermost);
    let function = declarator.is_some_and(|inner| inner.kind() == "function_declarator");
    Role::Item(match (function, is_constant(node, source)) {
        (true, _) => "declaration",
        (false, true) => "constant",
        (false, false) => "static",
    })
}

/// Whether a declaration says `const`, or `constexpr` in C++.
pub(crate) fn is_constant(node: Node<'_>, source: &[u8]) -> bool {
    let mut cursor = node.walk();
    node.children(&mut cursor).any(|child| {
        child.kind() == "type_qualifier"
            && matches!(
                &*flat_text(child, source),
                "const" | "constexpr" | "constinit"
            )
    })
}

/// A declarator without the pointers and references around it.
pub(crate) fn innermost(declarator: Node<'_>) -> Node<'_> {
    let mut at = declarator;
    while matches!(at.kind(), "pointer_declarator" | "reference_declarator") {
        let mut cursor = at.walk();
        let inner = at.child_by_field_name("declarator").or_else(|| {
            at.named_children(&mut cursor)
                .find(|child| child.kind().ends_with("declarator"))
        });
        match inner {
            Some(inner) => at = inner,
            None => break,
        }
    }
    at
}

/// The identifier in a declarator, which pointers, parentheses and parameters wrap.
fn declared_name(node: Node<'_>) -> Option<Node<'_>> {
    let mut at = node.child_by_field_name("declarator")?;
    loop {
        if at.kind() == "identifier" {
            return Some(at);
        }
        at = match at.child_by_field_name("declarator") {
            Some(inner) => inner,
            None => inner_declarator(at)?,
        };
    }
}

fn inner_declarator(node: Node<'_>) -> Option<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor)
        .find(|child| child.kind().ends_with("declarator") || child.kind() == "identifier")
}

/// The replacement of a macro without comments and layout. The grammar hands it over as one text.
pub(crate) fn plain_argument(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut quote = None;
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        let two = text.get(at..at + 2).unwrap_or_default();
        match quote {
            Some(sign) => {
                plain.push(byte);
                if byte == b'\\' && at + 1 < text.len() {
                    plain.push(text[at + 1]);
                    at += 1;
                } else if byte == sign {
                    quote = None;
                }
            }
            None if two == b"//" => break,
            None if two == b"/*" => {
                let end = text[at + 2..].windows(2).position(|end| end == b"*/");
                at = end.map_or(text.len(), |end| at + 2 + end + 1);
                space(&mut plain);
            }
            None if two == b"\\\n" => {
                at += 1;
                space(&mut plain);
            }
            None if byte.is_ascii_whitespace() => space(&mut plain),
            None => {
                if byte == b'"' || byte == b'\'' {
                    quote = Some(byte);
                }
                plain.push(byte);
            }
        }
        at += 1;
    }
    plain.truncate(plain.trim_ascii_end().len());
    plain
}

/// One space for any run of layout.
fn space(plain: &mut Vec<u8>) {
    if plain.last() != Some(&b' ') {
        plain.push(b' ');
    }
}
