//! What differs between languages when a syntax tree is read: the parser, the roles of nodes, and
//! what is layout.

use tree_sitter::{Node, Parser, Tree};

use super::outline::Language;
use super::walk::Role;
use super::{c, cpp, go, python, rust, script};

/// The tree of a source; `None` when the language was left out of the build.
pub(crate) fn parse(language: Language, source: &[u8]) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(&grammar(language)?).ok()?;
    parser.parse(source, None)
}

fn grammar(language: Language) -> Option<tree_sitter::Language> {
    let grammar = match language {
        Language::Rust => tree_sitter_rust::LANGUAGE,
        Language::C => tree_sitter_c::LANGUAGE,
        #[cfg(feature = "cpp")]
        Language::Cpp => tree_sitter_cpp::LANGUAGE,
        #[cfg(feature = "go")]
        Language::Go => tree_sitter_go::LANGUAGE,
        #[cfg(feature = "python")]
        Language::Python => tree_sitter_python::LANGUAGE,
        #[cfg(feature = "javascript")]
        Language::JavaScript => tree_sitter_javascript::LANGUAGE,
        #[cfg(feature = "typescript")]
        Language::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
        #[cfg(feature = "typescript")]
        Language::Tsx => tree_sitter_typescript::LANGUAGE_TSX,
        #[allow(unreachable_patterns)]
        _ => return None,
    };
    Some(grammar.into())
}

/// Whether this build can read the language.
pub(crate) fn is_built_in(language: Language) -> bool {
    match language {
        Language::Rust | Language::C => true,
        Language::Cpp => cfg!(feature = "cpp"),
        Language::Go => cfg!(feature = "go"),
        Language::Python => cfg!(feature = "python"),
        Language::JavaScript => cfg!(feature = "javascript"),
        Language::TypeScript | Language::Tsx => cfg!(feature = "typescript"),
    }
}

/// What a node means. `outer` is the node around it that only adds to it, a template head or
/// decorators, or the node itself.
pub(crate) fn role<'tree>(
    language: Language,
    node: Node<'tree>,
    outer: Node<'tree>,
    source: &[u8],
) -> Role<'tree> {
    match language {
        Language::Rust => rust::role(node, source),
        Language::C => c::role(node, source),
        Language::Cpp => cpp::role(node, outer, source),
        Language::Go => go::role(node, source),
        Language::Python => python::role(node, source),
        Language::JavaScript | Language::TypeScript | Language::Tsx => {
            script::role(node, outer, source)
        }
    }
}

/// The definition in a node that only adds to it: the function of a template, the class below its
/// decorators, what is exported.
pub(crate) fn wrapped<'tree>(language: Language, node: Node<'tree>) -> Option<Node<'tree>> {
    match language {
        Language::Rust | Language::C | Language::Go => None,
        Language::Cpp => cpp::wrapped(node),
        Language::Python => python::wrapped(node),
        Language::JavaScript | Language::TypeScript | Language::Tsx => script::wrapped(node),
    }
}

/// Whether the child at `index` is a sign that a formatter may add or drop: a comma before a
/// closing sign, a semicolon where the end of the line would do.
pub(crate) fn is_layout(
    language: Language,
    node: Node<'_>,
    children: &[Node<'_>],
    index: usize,
) -> bool {
    match (language, children[index].kind()) {
        (Language::Rust, ",") => rust::comma_is_layout(node, children, index),
        (Language::C | Language::Cpp, ",") => {
            let lists = ["initializer_list", "enumerator_list"];
            lists.contains(&node.kind()) && is_last_comma(children, index)
        }
        (Language::Go, ",") => is_last_comma(children, index),
        (Language::Python, ",") => python::comma_is_layout(node, children, index),
        (Language::JavaScript | Language::TypeScript | Language::Tsx, "," | ";") => {
            script::sign_is_layout(node, children, index)
        }
        _ => false,
    }
}

/// Whether nothing but comments stands between a comma and a closing sign, and something before
/// it.
pub(crate) fn is_last_comma(children: &[Node<'_>], index: usize) -> bool {
    let next = children[index + 1..]
        .iter()
        .find(|child| !child.kind().contains("comment"));
    let closes = next.is_none_or(|next| matches!(next.kind(), ")" | "]" | "}" | ">"));
    let before = index.checked_sub(1).map(|at| children[at].kind());
    closes && before.is_some_and(|kind| !matches!(kind, "," | "(" | "[" | "{"))
}

/// Whether the end of a node is a token of its own. Where lines or indentation end statements,
/// the same words mean different things with other ends.
pub(crate) fn has_end(language: Language, node: Node<'_>) -> bool {
    match language {
        Language::Rust | Language::C | Language::Cpp => false,
        Language::Go => node.kind().ends_with("_statement"),
        Language::Python => python::has_end(node),
        Language::JavaScript | Language::TypeScript | Language::Tsx => script::has_end(node),
    }
}

/// The text of a token without what a formatter may change in it.
pub(crate) fn plain_text<'s>(
    language: Language,
    node: Node<'_>,
    text: &'s [u8],
) -> std::borrow::Cow<'s, [u8]> {
    match (language, node.kind()) {
        (_, "preproc_arg") => c::plain_argument(text).into(),
        (
            Language::Python | Language::JavaScript | Language::TypeScript | Language::Tsx,
            "string",
        ) => plain_quotes(text),
        _ => text.trim_ascii().into(),
    }
}

/// A string in double quotes, where it holds none and nothing that is escaped.
fn plain_quotes(text: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    let inner = text
        .strip_prefix(b"'")
        .and_then(|rest| rest.strip_suffix(b"'"));
    match inner {
        Some(inner)
            if !inner
                .iter()
                .any(|byte| matches!(byte, b'\'' | b'"' | b'\\')) =>
        {
            [b"\"", inner, b"\""].concat().into()
        }
        _ => text.into(),
    }
}
