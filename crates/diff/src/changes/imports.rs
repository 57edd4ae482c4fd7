//! What names a file imports, and what they stand for.

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

use super::outline::{Language, Outline};
use super::walk::{flat_text, text};

/// A name that an import binds, and what it stands for: `HashMap` and `std::collections::HashMap`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) path: String,
}

/// Names of one import that are read at most.
const MOST_NAMES: usize = 1_000;

/// Names that stand for something else at head than at base, though the file imports them at both.
pub(crate) fn changed_imports(base: &Outline, head: &Outline) -> Vec<String> {
    let (base, head) = (meanings(base), meanings(head));
    let changed = head.iter().filter(|(name, paths)| {
        let before = base.get(*name);
        before.is_some_and(|before| before != *paths)
    });
    changed.map(|(name, _)| (*name).to_owned()).collect()
}

fn meanings(outline: &Outline) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut meanings: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for import in outline.pieces.iter().flat_map(|piece| &piece.imports) {
        meanings
            .entry(&import.name)
            .or_default()
            .insert(&import.path);
    }
    meanings
}

/// What an import binds by name; nothing for `use a::*`, and in languages that only include.
pub(crate) fn imports(language: Language, node: Node<'_>, source: &[u8]) -> Vec<Import> {
    let mut found = match language {
        Language::Rust => rust(node, source),
        Language::Python => python(node, source),
        Language::Go => go(node, source),
        Language::JavaScript | Language::TypeScript | Language::Tsx => script(node, source),
        Language::C | Language::Cpp => Vec::new(),
    };
    found.truncate(MOST_NAMES);
    found
}

fn rust(node: Node<'_>, source: &[u8]) -> Vec<Import> {
    let mut found = Vec::new();
    let first = node.child_by_field_name("argument");
    let mut waiting: Vec<(Node<'_>, String)> =
        first.into_iter().map(|at| (at, String::new())).collect();
    while let Some((at, before)) = waiting.pop() {
        if found.len() + waiting.len() >= MOST_NAMES || before.len() > 1_000 {
            break;
        }
        let field = |name: &str| at.child_by_field_name(name);
        let full = |path: Node<'_>| join(&before, &flat_text(path, source));
        match at.kind() {
            "use_as_clause" => {
                if let (Some(path), Some(alias)) = (field("path"), field("alias")) {
                    found.push(Import {
                        name: flat_text(alias, source),
                        path: full(path),
                    });
                }
            }
            "scoped_use_list" => {
                let before = field("path").map_or_else(|| before.clone(), full);
                waiting.extend(field("list").map(|list| (list, before)));
            }
            "use_list" => {
                let mut cursor = at.walk();
                let inner = at.named_children(&mut cursor).take(MOST_NAMES);
                waiting.extend(inner.map(|inner| (inner, before.clone())));
            }
            // `use a::b::{self}` binds `b`.
            "self" => found.extend(named_last(&before)),
            "identifier" | "scoped_identifier" => found.extend(named_last(&full(at))),
            _ => {}
        }
    }
    found
}

fn join(before: &str, path: &str) -> String {
    match before {
        "" => path.to_owned(),
        _ => format!("{before}::{path}"),
    }
}

fn named_last(path: &str) -> Option<Import> {
    let name = path.rsplit("::").next().filter(|name| !name.is_empty())?;
    Some(Import {
        name: name.to_owned(),
        path: path.to_owned(),
    })
}

fn python(node: Node<'_>, source: &[u8]) -> Vec<Import> {
    let module = node
        .child_by_field_name("module_name")
        .map(|module| flat_text(module, source));
    let mut cursor = node.walk();
    let names = node.children_by_field_name("name", &mut cursor);
    let import = |name: Node<'_>| {
        let alias = name.child_by_field_name("alias");
        let alias = alias.map(|alias| flat_text(alias, source));
        let own = name.child_by_field_name("name").unwrap_or(name);
        let own = flat_text(own, source);
        let bound = match &module {
            Some(_) => own.clone(),
            // `import a.b` binds `a`.
            None => own.split('.').next().unwrap_or_default().to_owned(),
        };
        Import {
            name: alias.unwrap_or(bound),
            path: match &module {
                Some(module) => format!("{module}.{own}"),
                None => own,
            },
        }
    };
    names.take(MOST_NAMES).map(import).collect()
}

fn go(node: Node<'_>, source: &[u8]) -> Vec<Import> {
    let mut found = Vec::new();
    let mut cursor = node.walk();
    let lists: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
    for list in lists {
        let mut cursor = list.walk();
        let specs: Vec<Node<'_>> = match list.kind() {
            "import_spec" => vec![list],
            _ => list
                .named_children(&mut cursor)
                .filter(|child| child.kind() == "import_spec")
                .take(MOST_NAMES)
                .collect(),
        };
        for spec in specs {
            let Some(path) = spec.child_by_field_name("path") else {
                continue;
            };
            let path = flat_text(path, source);
            let path = path.trim_matches(['"', '`']);
            let own = spec.child_by_field_name("name");
            found.push(Import {
                name: own.map_or_else(|| package(path), |name| flat_text(name, source)),
                path: path.to_owned(),
            });
        }
    }
    found
}

/// The name of a package by its path: `yaml` of `gopkg.in/yaml.v3`, `rand` of `math/rand/v2`.
fn package(path: &str) -> String {
    let is_version = |part: &&str| {
        part.strip_prefix('v')
            .is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let last = path.rsplit('/').find(|part| !is_version(part));
    let last = last.unwrap_or_default();
    match last.rsplit_once('.') {
        Some((name, version)) if is_version(&version) => name.to_owned(),
        _ => last.to_owned(),
    }
}

fn script(node: Node<'_>, source: &[u8]) -> Vec<Import> {
    let mut found = Vec::new();
    let Some(from) = node.child_by_field_name("source") else {
        return found;
    };
    let from = flat_text(from, source);
    let from = from.trim_matches(['"', '\'']);
    let mut waiting = vec![node];
    while let Some(at) = waiting.pop() {
        let mut cursor = at.walk();
        for child in at.named_children(&mut cursor).take(MOST_NAMES) {
            match child.kind() {
                "import_clause" | "named_imports" => waiting.push(child),
                "identifier" => found.push(Import {
                    name: text(child, source).to_owned(),
                    path: format!("{from} default"),
                }),
                "namespace_import" => found.extend(child.named_child(0).map(|name| Import {
                    name: text(name, source).to_owned(),
                    path: format!("{from} *"),
                })),
                "import_specifier" => {
                    let own = child.child_by_field_name("name");
                    let bound = child.child_by_field_name("alias").or(own);
                    if let (Some(own), Some(bound)) = (own, bound) {
                        found.push(Import {
                            name: text(bound, source).to_owned(),
                            path: format!("{from} {}", text(own, source)),
                        });
                    }
                }
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name = path` of all imports of a source, in order of the names.
    fn of(language: Language, source: &str) -> Vec<String> {
        let outline = Outline::new(language, source.as_bytes());
        let pieces = outline.pieces.iter();
        let mut found: Vec<String> = pieces
            .flat_map(|piece| &piece.imports)
            .map(|import| format!("{} = {}", import.name, import.path))
            .collect();
        found.sort();
        found
    }

    #[test]
    fn imports_bind_names() {
        let cases: &[(Language, &str, &[&str])] = &[
            (
                Language::Rust,
                "use std::collections::HashMap;\nuse a::{self, b::{C, D as E}, f::*};\npub use crate::x;\nuse {p::q};\nextern crate z;\n",
                &[
                    "C = a::b::C",
                    "E = a::b::D",
                    "HashMap = std::collections::HashMap",
                    "a = a",
                    "q = p::q",
                    "x = crate::x",
                ],
            ),
            (
                Language::Python,
                "import os.path, ujson as json\nfrom a.b import c, d as e\nfrom x import *\ntry:\n    import q\nexcept ImportError:\n    q = None\n",
                &[
                    "c = a.b.c",
                    "e = a.b.d",
                    "json = ujson",
                    "os = os.path",
                    "q = q",
                ],
            ),
            (
                Language::Go,
                "package p\n\nimport \"fmt\"\nimport (\n\t\"math/rand/v2\"\n\tj \"encoding/json\"\n\t\"gopkg.in/yaml.v3\"\n)\n",
                &[
                    "fmt = fmt",
                    "j = encoding/json",
                    "rand = math/rand/v2",
                    "yaml = gopkg.in/yaml.v3",
                ],
            ),
            (
                Language::JavaScript,
                "import d, { a, b as c } from './x';\nimport * as n from 'y';\nimport 'z';\n",
                &["a = ./x a", "c = ./x b", "d = ./x default", "n = y *"],
            ),
        ];
        for (language, source, expected) in cases {
            assert_eq!(of(*language, source), *expected, "{source}");
        }
    }

    #[test]
    fn a_name_changes_when_it_stands_for_something_else() {
        let outline = |text: &str| Outline::new(Language::Rust, text.as_bytes());
        let base = outline("use std::collections::{BTreeMap, HashMap};\nuse a::B;\n");
        let head = outline(
            "use std::collections::BTreeMap;\nuse rustc_hash::FxHashMap as HashMap;\nuse a::C;\n",
        );
        assert_eq!(changed_imports(&base, &head), ["HashMap"]);
        assert!(changed_imports(&base, &base).is_empty());
    }
}
