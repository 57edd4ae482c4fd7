//! Finds the functions of a source file, and to which piece of it each token belongs.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use rustc_hash::FxHashMap;
use tree_sitter::{Node, Parser, Tree};

use super::{c, rust};

/// A language whose functions are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Rust.
    Rust,
    /// C, headers included.
    C,
}

impl Language {
    /// By the extension of a path; `None` for everything that is not parsed.
    pub fn of_path(path: &str) -> Option<Language> {
        match path.rsplit('/').next()?.rsplit_once('.')?.1 {
            "rs" => Some(Language::Rust),
            "c" | "h" => Some(Language::C),
            _ => None,
        }
    }
}

/// What a named piece of code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FunctionKind {
    /// A function or a method with a body.
    Function,
    /// A macro with parameters: `macro_rules!`, or `#define` of C. Its name ends in `!` in Rust.
    Macro,
}

/// One function of a source file. Lines are counted from 1, and last lines are included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFunction {
    /// The name within the file: `a::Type::name`, `<Type as Trait>::name`, `outer::inner`.
    pub name: String,
    /// 1 for the first function of this name in the file, 2 for the second.
    pub ordinal: u32,
    /// What it is.
    pub kind: FunctionKind,
    /// First line, attributes and documentation included.
    pub first_line: u32,
    /// Line of the name.
    pub signature_line: u32,
    /// First and last line of the body.
    pub body: (u32, u32),
    /// Last line.
    pub last_line: u32,
    /// The function that holds this one, as an index into the list.
    pub parent: Option<usize>,
}

impl SourceFunction {
    /// What identifies it within the file: `name`, or `name#2` for the second of that name.
    pub fn key(&self) -> String {
        match self.ordinal {
            0 | 1 => self.name.clone(),
            n => format!("{}#{n}", self.name),
        }
    }
}

/// The functions of a source, in the order of their first bytes, so outer before inner. Code that
/// does not parse is passed over as far as needed.
pub fn functions(language: Language, source: &[u8]) -> Vec<SourceFunction> {
    Outline::new(language, source).functions()
}

/// The smallest unit of a comparison: a word, a sign or a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    /// Of its text.
    pub(crate) hash: u64,
    /// First line.
    pub(crate) line: u32,
    /// Last line: a literal may span several.
    pub(crate) last_line: u32,
}

/// What a piece of a source file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum PieceKind {
    /// A function with a body.
    Function,
    /// A macro with parameters.
    Macro,
    /// The head of an `impl`, a module, a trait: what holds other pieces.
    Scope(&'static str),
    /// Anything else, in words.
    Item(&'static str),
}

/// A part of a source file that owns its tokens: those in it that no inner piece owns.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) kind: PieceKind,
    pub(crate) name: String,
    pub(crate) ordinal: u32,
    pub(crate) first_line: u32,
    pub(crate) signature_line: u32,
    pub(crate) body: (u32, u32),
    pub(crate) last_line: u32,
    /// Index of the piece around it; the file itself is piece 0 and its own parent.
    pub(crate) parent: usize,
    pub(crate) tokens: Vec<Token>,
    start_byte: usize,
}

impl Piece {
    pub(crate) fn same_tokens(&self, other: &Piece) -> bool {
        self.tokens.len() == other.tokens.len()
            && self
                .tokens
                .iter()
                .zip(&other.tokens)
                .all(|(a, b)| a.hash == b.hash)
    }
}

/// A source file in pieces, ordered by first byte; piece 0 is the file.
#[derive(Debug, Clone)]
pub(crate) struct Outline {
    pub(crate) pieces: Vec<Piece>,
}

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

impl Outline {
    pub(crate) fn new(language: Language, source: &[u8]) -> Outline {
        let mut walk = Walk {
            language,
            source,
            pieces: vec![file_piece()],
            seen_byte: 0,
        };
        if let Some(tree) = parse(language, source) {
            walk.run(tree.root_node());
        }
        Outline {
            pieces: in_order(walk.pieces),
        }
    }

    /// Functions and macros with the indices of their pieces.
    pub(crate) fn named(&self) -> impl Iterator<Item = (usize, &Piece)> {
        let named = |piece: &Piece| matches!(piece.kind, PieceKind::Function | PieceKind::Macro);
        self.pieces
            .iter()
            .enumerate()
            .filter(move |(_, piece)| named(piece))
    }

    pub(crate) fn functions(&self) -> Vec<SourceFunction> {
        let indices: Vec<usize> = self.named().map(|(index, _)| index).collect();
        let parent = |piece: &Piece| {
            let mut at = piece.parent;
            while at != 0 {
                if let Ok(found) = indices.binary_search(&at) {
                    return Some(found);
                }
                at = self.pieces[at].parent;
            }
            None
        };
        self.named()
            .map(|(_, piece)| SourceFunction {
                name: piece.name.clone(),
                ordinal: piece.ordinal,
                kind: match piece.kind {
                    PieceKind::Macro => FunctionKind::Macro,
                    _ => FunctionKind::Function,
                },
                first_line: piece.first_line,
                signature_line: piece.signature_line,
                body: piece.body,
                last_line: piece.last_line,
                parent: parent(piece),
            })
            .collect()
    }
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

fn file_piece() -> Piece {
    Piece {
        kind: PieceKind::Item("other code"),
        name: String::new(),
        ordinal: 1,
        first_line: 1,
        signature_line: 1,
        body: (1, 1),
        last_line: 1,
        parent: 0,
        tokens: Vec::new(),
        start_byte: 0,
    }
}

/// Sorts by first byte, the file first, and numbers the functions that share a name.
fn in_order(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order[1..].sort_by_key(|&index| (pieces[index].start_byte, index));
    let mut place = vec![0; pieces.len()];
    for (new, &old) in order.iter().enumerate() {
        place[old] = new;
    }
    let mut slots: Vec<Option<Piece>> = pieces.into_iter().map(Some).collect();
    let mut sorted: Vec<Piece> = order.iter().filter_map(|&old| slots[old].take()).collect();
    let mut seen: FxHashMap<(PieceKind, String), u32> = FxHashMap::default();
    for piece in &mut sorted {
        piece.parent = place[piece.parent];
        let count = seen.entry((piece.kind, piece.name.clone())).or_default();
        *count += 1;
        piece.ordinal = *count;
    }
    sorted
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
