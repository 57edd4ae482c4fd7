//! Walks a syntax tree and cuts it into the pieces of an outline.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use tree_sitter::{Node, Parser, Tree};

use super::outline::{FunctionKind, Language, Piece, PieceKind, Token};
use super::{c, rust};

/// What a node of the syntax tree means to the outline.
pub(crate) enum Role<'tree> {
    /// No code.
    Comment(Documents),
    /// One token with everything in it.
    Atom,
    /// Part of the piece that follows.
    Attribute,
    /// A piece of its own wherever it stands.
    Function {
        kind: FunctionKind,
        name: Node<'tree>,
        text: String,
        body: Option<Node<'tree>>,
    },
    /// A piece whose children may be pieces, and what names in it begin with.
    Scope {
        what: &'static str,
        prefix: Option<String>,
    },
    /// A piece when it stands among items.
    Item(&'static str),
    /// Its children are items where it stands among items.
    Container,
    /// Nothing of its own.
    Plain,
}

/// Whether a comment documents what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Documents {
    /// The item below it.
    Next,
    /// Nothing.
    Nothing,
}

/// Where in the file the walk is.
#[derive(Clone)]
struct Context {
    piece: usize,
    prefix: Rc<str>,
    /// Whether named children are items.
    items: bool,
    /// Whether functions in here are only text: the body of a macro.
    opaque: bool,
}

/// A node that waits to be walked, with the piece that was already made for it.
struct Entry<'tree> {
    node: Node<'tree>,
    made: Option<Context>,
}

struct Walk<'s> {
    language: Language,
    source: &'s [u8],
    pieces: Vec<Piece>,
    /// End of the last token, so that text the parser skipped is seen.
    seen_byte: usize,
}

/// The pieces of a source in the order that the walk met them, the file first.
pub(crate) fn pieces(language: Language, source: &[u8], file: Piece) -> Vec<Piece> {
    let mut walk = Walk {
        language,
        source,
        pieces: vec![file],
        seen_byte: 0,
    };
    if let Some(tree) = parse(language, source) {
        walk.run(tree.root_node());
    }
    walk.pieces
}

fn parse(language: Language, source: &[u8]) -> Option<Tree> {
    let grammar: tree_sitter::Language = match language {
        Language::Rust => tree_sitter_rust::LANGUAGE.into(),
        Language::C => tree_sitter_c::LANGUAGE.into(),
    };
    let mut parser = Parser::new();
    parser.set_language(&grammar).ok()?;
    parser.parse(source, None)
}

impl<'s> Walk<'s> {
    /// Walks the tree with a stack of its own: sources nest as deep as they like.
    fn run(&mut self, root: Node<'_>) {
        let context = Context {
            piece: 0,
            prefix: "".into(),
            items: true,
            opaque: false,
        };
        let entries = self.expand(root, &context);
        let mut levels = vec![(entries.into_iter(), context)];
        while let Some((entries, context)) = levels.last_mut() {
            let Some(entry) = entries.next() else {
                levels.pop();
                continue;
            };
            let context = context.clone();
            if let Some(level) = self.visit(entry, context) {
                levels.push(level);
            }
        }
    }

    fn visit<'tree>(
        &mut self,
        entry: Entry<'tree>,
        around: Context,
    ) -> Option<(std::vec::IntoIter<Entry<'tree>>, Context)> {
        let node = entry.node;
        let made = entry.made.is_some();
        let mut context = entry.made.unwrap_or(around);
        match role(self.language, node, self.source) {
            Role::Comment(_) => {
                self.skip_to(node.start_byte(), context.piece, node);
                self.seen_byte = self.seen_byte.max(node.end_byte());
                return None;
            }
            Role::Atom => {
                self.token(node, context.piece);
                return None;
            }
            Role::Container => {}
            _ if node.child_count() == 0 => {
                self.token(node, context.piece);
                return None;
            }
            // Within an attribute, a body or a head nothing is an item of its own.
            _ if !made => context.items = node.is_error() && context.items,
            _ => {}
        }
        let entries = self.expand(node, &context);
        Some((entries.into_iter(), context))
    }

    /// The children of a node, each with the piece that begins there; attributes and
    /// documentation go to the piece that follows them.
    fn expand<'tree>(&mut self, node: Node<'tree>, around: &Context) -> Vec<Entry<'tree>> {
        let mut cursor = node.walk();
        let children: Vec<Node<'tree>> = node.children(&mut cursor).collect();
        let mut entries: Vec<Entry<'tree>> = Vec::with_capacity(children.len());
        // Start of the attributes and the documentation that wait for their piece.
        let mut waiting: Option<(usize, Node<'tree>)> = None;
        let mut last_line = None;
        for (index, &child) in children.iter().enumerate() {
            let previous_line = last_line.replace(child.end_position().row);
            if is_optional_comma(self.language, node, &children, index) {
                self.seen_byte = self.seen_byte.max(child.end_byte());
                continue;
            }
            let found = if around.opaque {
                Role::Plain
            } else {
                role(self.language, child, self.source)
            };
            let made = match found {
                Role::Attribute => {
                    waiting.get_or_insert((entries.len(), child));
                    entries.push(Entry {
                        node: child,
                        made: None,
                    });
                    continue;
                }
                Role::Comment(documents) => {
                    let own_line = previous_line != Some(child.start_position().row);
                    if documents == Documents::Next && own_line {
                        waiting.get_or_insert((entries.len(), child));
                    }
                    entries.push(Entry {
                        node: child,
                        made: None,
                    });
                    continue;
                }
                found => self.make(child, found, around, waiting.map(|(_, node)| node)),
            };
            if let (Some(context), Some((from, _))) = (&made, waiting) {
                for entry in &mut entries[from..] {
                    let mut context = context.clone();
                    context.items = false;
                    entry.made = Some(context);
                }
            }
            waiting = None;
            entries.push(Entry { node: child, made });
        }
        if !around.opaque && self.language == Language::Rust && node.kind() == "token_tree" {
            self.find_in_tokens(&mut entries, around);
        }
        entries
    }

    /// Makes the piece that begins at a node, if one does.
    fn make(
        &mut self,
        node: Node<'_>,
        role: Role<'_>,
        around: &Context,
        first: Option<Node<'_>>,
    ) -> Option<Context> {
        let in_function = self.pieces[around.piece].kind == PieceKind::Function;
        let mut context = around.clone();
        context.items = false;
        let start = first.unwrap_or(node);
        match role {
            Role::Function {
                kind,
                name,
                text,
                body,
            } => {
                let full = join(&around.prefix, &text);
                let piece_kind = match kind {
                    FunctionKind::Function => PieceKind::Function,
                    FunctionKind::Macro => PieceKind::Macro,
                };
                let lines = (start, name, body.unwrap_or(node), node);
                context.piece = self.piece(piece_kind, full.clone(), around.piece, lines);
                context.opaque = kind == FunctionKind::Macro;
                context.prefix = full.into();
            }
            Role::Scope { what, prefix } => {
                let full = prefix.map_or_else(
                    || around.prefix.to_string(),
                    |prefix| join(&around.prefix, &prefix),
                );
                // The head of an `impl` in a function is that function's own code.
                if !in_function {
                    let kind = PieceKind::Scope(what);
                    let lines = (start, node, node, node);
                    context.piece = self.piece(kind, full.clone(), around.piece, lines);
                }
                context.items = !in_function;
                context.prefix = full.into();
            }
            Role::Item(what) if around.items && node.is_named() => {
                let lines = (start, node, node, node);
                let name = item_name(node, self.source);
                context.piece = self.piece(PieceKind::Item(what), name, around.piece, lines);
            }
            Role::Container => context.items = around.items,
            _ => return None,
        }
        Some(context)
    }

    fn piece(
        &mut self,
        kind: PieceKind,
        name: String,
        parent: usize,
        (start, signature, body, node): (Node<'_>, Node<'_>, Node<'_>, Node<'_>),
    ) -> usize {
        self.pieces.push(Piece {
            kind,
            name,
            ordinal: 1,
            first_line: first_line(start),
            signature_line: first_line(signature),
            body: (first_line(body), last_line(body)),
            last_line: last_line(node),
            parent,
            tokens: Vec::new(),
            start_byte: start.start_byte(),
        });
        self.pieces.len() - 1
    }

    /// Finds `fn name ... { ... }` among the tokens that a macro is called with: most macros that
    /// take functions pass them on as they are.
    fn find_in_tokens(&mut self, entries: &mut [Entry<'_>], around: &Context) {
        let mut index = 0;
        while index + 1 < entries.len() {
            let Some(end) = function_in_tokens(entries, index) else {
                index += 1;
                continue;
            };
            let name = entries[index + 1].node;
            let first = head_in_tokens(entries, index);
            let full = join(&around.prefix, text(name, self.source));
            let lines = (
                entries[first].node,
                name,
                entries[end].node,
                entries[end].node,
            );
            let piece = self.piece(PieceKind::Function, full.clone(), around.piece, lines);
            for entry in &mut entries[first..=end] {
                entry.made = Some(Context {
                    piece,
                    prefix: full.as_str().into(),
                    items: false,
                    opaque: false,
                });
            }
            index = end + 1;
        }
    }

    fn token(&mut self, node: Node<'_>, piece: usize) {
        self.skip_to(node.start_byte(), piece, node);
        self.seen_byte = self.seen_byte.max(node.end_byte());
        let bytes = &self.source[node.byte_range()];
        let hash = match node.kind() {
            "preproc_arg" => hash_of(&c::plain_argument(bytes)),
            _ => hash_of(bytes.trim_ascii()),
        };
        if !bytes.trim_ascii().is_empty() {
            self.pieces[piece].tokens.push(Token {
                hash,
                line: first_line(node),
                last_line: last_line(node),
            });
        }
    }

    /// Counts text between two nodes as a token: the parser skips what it cannot read.
    fn skip_to(&mut self, byte: usize, piece: usize, node: Node<'_>) {
        let gap = self.source.get(self.seen_byte..byte).unwrap_or_default();
        // A backslash that joins two lines of C is layout.
        let gap = gap.trim_ascii();
        if !gap.is_empty() && gap != b"\\" {
            self.pieces[piece].tokens.push(Token {
                hash: hash_of(gap),
                line: first_line(node),
                last_line: first_line(node),
            });
        }
    }
}

/// Index of the braces that end the function whose `fn` is at `index`.
fn function_in_tokens(entries: &[Entry<'_>], index: usize) -> Option<usize> {
    let kind = |at: usize| entries.get(at).map(|entry| entry.node.kind());
    if kind(index) != Some("fn") || kind(index + 1) != Some("identifier") {
        return None;
    }
    for (at, entry) in entries.iter().enumerate().skip(index + 2) {
        match entry.node.kind() {
            ";" | "fn" => return None,
            "token_tree" if entry.node.child(0)?.kind() == "{" => return Some(at),
            _ => {}
        }
    }
    None
}

/// Index of the first modifier or attribute before the `fn` at `index`.
fn head_in_tokens(entries: &[Entry<'_>], index: usize) -> usize {
    let mut first = index;
    while first > 0 {
        let kind = |at: usize| entries[at].node.kind();
        let bracket = |at: usize, sign: &str| {
            entries[at]
                .node
                .child(0)
                .is_some_and(|child| child.kind() == sign)
        };
        match kind(first - 1) {
            "pub" | "async" | "const" | "unsafe" | "extern" | "default" | "visibility_modifier" => {
                first -= 1;
            }
            "token_tree" if first >= 2 && kind(first - 2) == "#" && bracket(first - 1, "[") => {
                first -= 2;
            }
            "token_tree" if first >= 2 && kind(first - 2) == "pub" && bracket(first - 1, "(") => {
                first -= 2;
            }
            _ => break,
        }
    }
    first
}

fn role<'tree>(language: Language, node: Node<'tree>, source: &[u8]) -> Role<'tree> {
    match language {
        Language::Rust => rust::role(node, source),
        Language::C => c::role(node, source),
    }
}

/// Whether the child is a comma that a formatter may add or drop before a closing sign.
fn is_optional_comma(
    language: Language,
    node: Node<'_>,
    children: &[Node<'_>],
    index: usize,
) -> bool {
    language == Language::Rust
        && children[index].kind() == ","
        && rust::comma_is_layout(node, children, index)
}

fn item_name(node: Node<'_>, source: &[u8]) -> String {
    let name = ["name", "declarator", "macro", "path"]
        .iter()
        .find_map(|field| node.child_by_field_name(field));
    name.map_or_else(String::new, |name| flat_text(name, source))
}

/// The text of a node with each run of white space as one space, at most 200 characters.
pub(crate) fn flat_text(node: Node<'_>, source: &[u8]) -> String {
    let text = String::from_utf8_lossy(&source[node.byte_range()]).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(200).collect()
}

/// The text of a node, or nothing when it is no UTF-8.
pub(crate) fn text<'s>(node: Node<'_>, source: &'s [u8]) -> &'s str {
    node.utf8_text(source).unwrap_or_default()
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}::{name}")
    }
}

fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn line_number(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX).saturating_add(1)
}

fn first_line(node: Node<'_>) -> u32 {
    line_number(node.start_position().row)
}

/// The last line that holds a byte of the node: some nodes end with a line break.
fn last_line(node: Node<'_>) -> u32 {
    let end = node.end_position();
    let row = if end.column == 0 && end.row > node.start_position().row {
        end.row - 1
    } else {
        end.row
    };
    line_number(row)
}
