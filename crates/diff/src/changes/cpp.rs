//! What the nodes of the C++ grammar mean to the outline, where it differs from that of C.

use tree_sitter::Node;

use super::c;
use super::outline::FunctionKind;
use super::walk::{Role, Standing, flat_text, text};

pub(crate) fn role<'tree>(node: Node<'tree>, outer: Node<'tree>, source: &[u8]) -> Role<'tree> {
    match node.kind() {
        "raw_string_literal" => Role::Atom,
        "attribute_declaration" => Role::Plain,
        "namespace_definition" => Role::Scope {
            what: "namespace",
            prefix: Some(match node.child_by_field_name("name") {
                Some(name) => flat_text(name, source),
                None => "(anonymous namespace)".to_owned(),
            }),
        },
        "class_specifier" | "struct_specifier" | "union_specifier"
            if node.child_by_field_name("body").is_some() =>
        {
            Role::Scope {
                what: "type",
                prefix: node
                    .child_by_field_name("name")
                    .map(|name| plain_name(name, &own_parameters(outer, source), source)),
            }
        }
        "class_specifier" | "struct_specifier" | "union_specifier" => Role::Plain,
        "function_definition" => function(node, outer, source),
        "field_declaration" => field(node, source),
        "declaration" => declaration(node, source),
        "template_instantiation"
        | "friend_declaration"
        | "using_declaration"
        | "namespace_alias_definition" => Role::Item("declaration"),
        "alias_declaration" => Role::Item("type alias"),
        "template_declaration" | "concept_definition" => Role::Item("type"),
        "enum_specifier" => Role::Item("type"),
        _ => c::role(node, source),
    }
}

/// The function or class of a template.
pub(crate) fn wrapped(node: Node<'_>) -> Option<Node<'_>> {
    let at = heads(node).last()?;
    let defines = match at.kind() {
        "function_definition" => true,
        "class_specifier" | "struct_specifier" | "union_specifier" => {
            at.child_by_field_name("body").is_some()
        }
        _ => false,
    };
    (defines && at.id() != node.id()).then_some(at)
}

fn function<'tree>(node: Node<'tree>, outer: Node<'tree>, source: &[u8]) -> Role<'tree> {
    match declared_name(node) {
        Some(name) => Role::Function {
            kind: FunctionKind::Function,
            name,
            text: plain_name(name, &own_parameters(outer, source), source),
            body: node.child_by_field_name("body"),
            standing: Standing::Anywhere,
        },
        None => Role::Item("other code"),
    }
}

/// A member of a class: its layout, a constant, or the declaration of a method.
fn field<'tree>(node: Node<'tree>, source: &[u8]) -> Role<'tree> {
    let is_function = node
        .child_by_field_name("declarator")
        .is_some_and(|inner| c::innermost(inner).kind() == "function_declarator");
    Role::Item(match (is_function, c::is_constant(node, source)) {
        (true, _) => "declaration",
        (false, true) => "constant",
        (false, false) => "field",
    })
}

/// A variable that holds a lambda is a function; all else is as in C.
fn declaration<'tree>(node: Node<'tree>, source: &[u8]) -> Role<'tree> {
    let lambda = node
        .child_by_field_name("declarator")
        .filter(|declarator| declarator.kind() == "init_declarator")
        .and_then(|declarator| {
            let value = declarator.child_by_field_name("value")?;
            let name = declarator.child_by_field_name("declarator")?;
            (value.kind() == "lambda_expression" && name.kind() == "identifier")
                .then_some((name, value))
        });
    match lambda {
        Some((name, value)) => Role::Function {
            kind: FunctionKind::Function,
            name,
            text: text(name, source).to_owned(),
            body: value.child_by_field_name("body"),
            standing: Standing::OutsideFunctions,
        },
        None => c::declaration(node, source),
    }
}

/// The name in a declarator, which pointers, references and parameters wrap.
fn declared_name(node: Node<'_>) -> Option<Node<'_>> {
    let mut at = node.child_by_field_name("declarator")?;
    loop {
        match at.kind() {
            "identifier"
            | "field_identifier"
            | "qualified_identifier"
            | "destructor_name"
            | "operator_name"
            | "operator_cast"
            | "template_function"
            | "type_identifier"
            | "template_method" => return Some(at),
            _ => {}
        }
        at = match at.child_by_field_name("declarator") {
            Some(inner) => inner,
            None => inner_declarator(at)?,
        };
    }
}

fn inner_declarator(node: Node<'_>) -> Option<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).find(|child| {
        let kind = child.kind();
        kind.ends_with("declarator") || kind.ends_with("identifier") || kind.ends_with("_name")
    })
}

/// A name as one would write it behind `::`, without the arguments that are the template's own
/// parameters: `Stack::push` of `Stack<T>::push`.
fn plain_name(node: Node<'_>, own: &[String], source: &[u8]) -> String {
    let mut parts = Vec::new();
    let mut at = node;
    // Each scope holds the rest of the name, as deep as a source likes.
    while at.kind() == "qualified_identifier" && parts.len() < DEEPEST_NAME {
        let scope = at.child_by_field_name("scope");
        parts.extend(scope.map(|scope| name_part(scope, own, source)));
        match at.child_by_field_name("name") {
            Some(name) => at = name,
            None => break,
        }
    }
    parts.push(name_part(at, own, source));
    parts.join("::")
}

/// Scopes of one name beyond which the rest is taken as it is written.
const DEEPEST_NAME: usize = 50;

fn name_part(node: Node<'_>, own: &[String], source: &[u8]) -> String {
    match node.kind() {
        "template_type" | "template_function" | "template_method" => {
            let name = node.child_by_field_name("name");
            let arguments = node.child_by_field_name("arguments");
            let (Some(name), Some(arguments)) = (name, arguments) else {
                return flat_text(node, source);
            };
            let mut cursor = arguments.walk();
            let arguments: Vec<String> = arguments
                .named_children(&mut cursor)
                .map(|child| flat_text(child, source))
                .collect();
            let name = flat_text(name, source);
            if arguments.iter().all(|argument| own.contains(argument)) {
                name
            } else {
                format!("{name}<{}>", arguments.join(", "))
            }
        }
        "operator_cast" => {
            let wanted = node.child_by_field_name("type");
            let wanted = wanted.map_or_else(String::new, |wanted| flat_text(wanted, source));
            format!("operator {wanted}")
        }
        "operator_name" => {
            let name = flat_text(node, source);
            match name.strip_prefix("operator ") {
                Some(sign) if !sign.starts_with(|c: char| c.is_alphabetic()) => {
                    format!("operator{sign}")
                }
                _ => name,
            }
        }
        _ => flat_text(node, source),
    }
}

/// The parameters of the templates around a definition, in their own words.
fn own_parameters(outer: Node<'_>, source: &[u8]) -> Vec<String> {
    let mut own = Vec::new();
    for node in heads(outer).filter(|node| node.kind() == "template_declaration") {
        if let Some(list) = node.child_by_field_name("parameters") {
            let mut cursor = list.walk();
            for parameter in list.named_children(&mut cursor) {
                own.extend(parameter_name(parameter, source));
            }
        }
    }
    own
}

/// A node, and what stands last in it as long as it is the head of a template.
fn heads<'tree>(node: Node<'tree>) -> impl Iterator<Item = Node<'tree>> {
    const MOST: usize = 8;
    std::iter::successors(Some(node), |node| {
        let last = node.named_child_count().checked_sub(1)?;
        (node.kind() == "template_declaration")
            .then(|| node.named_child(u32::try_from(last).ok()?))
            .flatten()
    })
    .take(MOST)
}

/// `T` of `typename T = int`, `N` of `int N`, `Ts...` of `class... Ts`.
fn parameter_name(parameter: Node<'_>, source: &[u8]) -> Option<String> {
    let declared = parameter.child_by_field_name("declarator");
    let named = declared.or_else(|| parameter.child_by_field_name("name"));
    let mut cursor = parameter.walk();
    let name = named.or_else(|| {
        parameter
            .named_children(&mut cursor)
            .find(|child| child.kind().ends_with("identifier"))
    })?;
    let name = flat_text(name, source);
    Some(match parameter.kind().contains("variadic") {
        true => format!("{}...", name.trim_start_matches("...").trim()),
        false => name,
    })
}
