//! Walks a syntax tree and cuts it into the pieces of an outline.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use tree_sitter::Node;

use super::grammar::{has_end, is_layout, parse, plain_text, role, wrapped};
use super::imports::imports;
use super::outline::{FunctionKind, Language, Piece, PieceKind, Token};

/// What a node of the syntax tree means to the outline.
pub(crate) enum Role<'tree> {
    /// No code.
    Comment(Documents),
    /// One token with everything in it.
    Atom,
    /// Part of the piece that follows.
    Attribute,
    /// A piece of its own.
    Function {
        kind: FunctionKind,
        name: Node<'tree>,
        text: String,
        body: Option<Node<'tree>>,
        standing: Standing,
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

/// Where a function is a piece of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Wherever it stands.
    Anywhere,
    /// Not within another function, whose closure it is there.
    OutsideFunctions,
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
    /// The definition below that the piece was made for, with the node around it.
    spent: Option<usize>,
}

/// A node that waits to be walked, with the piece that was already made for it.
struct Entry<'tree> {
    node: Node<'tree>,
    made: Option<Context>,
    /// `false` for layout and documentation, whatever the node means elsewhere.
    is_code: bool,
}

impl<'tree> Entry<'tree> {
    fn new(node: Node<'tree>, made: Option<Context>) -> Self {
        Entry {
            node,
            made,
            is_code: true,
        }
    }

    fn no_code(node: Node<'tree>) -> Self {
        Entry {
            node,
            made: None,
            is_code: false,
        }
    }
}

/// The children of a node that are left to walk.
struct Level<'tree> {
    entries: std::vec::IntoIter<Entry<'tree>>,
    context: Context,
    /// The node, where its end is a token.
    end: Option<Node<'tree>>,
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

impl<'s> Walk<'s> {
    /// Walks the tree with a stack of its own: sources nest as deep as they like.
    fn run(&mut self, root: Node<'_>) {
        let context = Context {
            piece: 0,
            prefix: "".into(),
            items: true,
            opaque: false,
            spent: None,
        };
        let mut levels = vec![Level {
            entries: self.expand(root, &context).into_iter(),
            context,
            end: None,
        }];
        while let Some(level) = levels.last_mut() {
            let Some(entry) = level.entries.next() else {
                if let Some(node) = level.end {
                    self.end(node, level.context.piece);
                }
                levels.pop();
                continue;
            };
            let context = level.context.clone();
            if let Some(level) = self.visit(entry, context) {
                levels.push(level);
            }
        }
    }

    fn visit<'tree>(&mut self, entry: Entry<'tree>, around: Context) -> Option<Level<'tree>> {
        let node = entry.node;
        let made = entry.made.is_some();
        let mut context = entry.made.unwrap_or(around);
        let found = role(self.language, node, node, self.source);
        match found {
            Role::Comment(_) => {
                self.pass_over(node, context.piece);
                return None;
            }
            _ if !entry.is_code => {
                self.pass_over(node, context.piece);
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
            _ if !made && !self.is_spent(node, &context) => {
                context.items = node.is_error() && context.items;
            }
            _ => {}
        }
        let entries = self.expand(node, &context);
        Some(Level {
            entries: entries.into_iter(),
            end: has_end(self.language, node).then_some(node),
            context,
        })
    }

    /// Whether the piece around it was made for this definition already.
    fn is_spent(&self, node: Node<'_>, context: &Context) -> bool {
        let Some(spent) = context.spent else {
            return false;
        };
        let inner = || wrapped(self.language, node).map(|inner| inner.id());
        spent == node.id() || inner() == Some(spent)
    }

    fn pass_over(&mut self, node: Node<'_>, piece: usize) {
        self.skip_to(node.start_byte(), piece, node);
        self.seen_byte = self.seen_byte.max(node.end_byte());
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
            if is_layout(self.language, node, &children, index) {
                entries.push(Entry::no_code(child));
                continue;
            }
            let inner = wrapped(self.language, child);
            let found = if around.opaque || self.is_spent(child, around) {
                Role::Plain
            } else {
                role(self.language, inner.unwrap_or(child), child, self.source)
            };
            if self.language == Language::Python
                && is_documentation(&children, index, around, self.source)
            {
                entries.push(Entry::no_code(child));
                continue;
            }
            let made = match found {
                Role::Attribute => {
                    waiting.get_or_insert((entries.len(), child));
                    entries.push(Entry::new(child, None));
                    continue;
                }
                Role::Comment(documents) => {
                    let own_line = previous_line != Some(child.start_position().row);
                    if documents == Documents::Next && own_line {
                        waiting.get_or_insert((entries.len(), child));
                    }
                    entries.push(Entry::new(child, None));
                    continue;
                }
                found => {
                    let first = waiting.map(|(_, node)| node);
                    let defined = inner.unwrap_or(child);
                    let mut made = self.make((child, defined), found, around, first);
                    if let (Some(context), Some(inner)) = (&mut made, inner) {
                        context.spent = Some(inner.id());
                    }
                    made
                }
            };
            if let (Some(context), Some((from, _))) = (&made, waiting) {
                for entry in &mut entries[from..] {
                    let mut context = context.clone();
                    context.items = false;
                    entry.made = Some(context);
                }
            }
            waiting = None;
            entries.push(Entry::new(child, made));
        }
        if !around.opaque && self.language == Language::Rust && node.kind() == "token_tree" {
            self.find_in_tokens(&mut entries, around);
        }
        entries
    }

    /// Makes the piece that begins at a node, if one does; the second node is what it defines, in
    /// or at the first.
    fn make(
        &mut self,
        (node, defined): (Node<'_>, Node<'_>),
        role: Role<'_>,
        around: &Context,
        first: Option<Node<'_>>,
    ) -> Option<Context> {
        let in_function = self.pieces[around.piece].kind == PieceKind::Function;
        let mut context = around.clone();
        context.items = false;
        context.spent = None;
        let start = first.unwrap_or(node);
        match role {
            Role::Function {
                kind,
                name,
                text,
                body,
                standing,
            } if standing == Standing::Anywhere || !in_function => {
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
                let name = item_name(defined, self.source);
                context.piece = self.piece(PieceKind::Item(what), name, around.piece, lines);
                if what == "use" {
                    self.pieces[context.piece].imports =
                        imports(self.language, defined, self.source);
                }
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
            imports: Vec::new(),
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
                    spent: None,
                });
            }
            index = end + 1;
        }
    }

    fn token(&mut self, node: Node<'_>, piece: usize) {
        self.skip_to(node.start_byte(), piece, node);
        self.seen_byte = self.seen_byte.max(node.end_byte());
        let bytes = &self.source[node.byte_range()];
        if !bytes.trim_ascii().is_empty() {
            self.pieces[piece].tokens.push(Token {
                hash: hash_of(&plain_text(self.language, node, bytes)),
                line: first_line(node),
                last_line: last_line(node),
            });
        }
    }

    /// Counts the end of a statement or a block, on the line of what stands last in it.
    fn end(&mut self, node: Node<'_>, piece: usize) {
        let piece = &mut self.pieces[piece];
        let line = piece.tokens.last().map(|token| token.last_line);
        let line = line.unwrap_or_else(|| first_line(node));
        piece.tokens.push(Token {
            hash: hash_of(if node.kind().ends_with("block") {
                b"\0block"
            } else {
                b"\0end"
            }),
            line,
            last_line: line,
        });
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

/// Whether a statement of Python is the documentation of what it stands in: a plain string before
/// all other statements of a body or of the module.
fn is_documentation(children: &[Node<'_>], index: usize, around: &Context, source: &[u8]) -> bool {
    let child = children[index];
    let quoted = child.kind() == "expression_statement"
        && child.named_child_count() == 1
        && child.named_child(0).is_some_and(|inner| {
            inner.kind() == "string"
                && text(inner, source)
                    .trim_start_matches(['r', 'R', 'u', 'U'])
                    .starts_with(['"', '\''])
        });
    // Comments before it are passed over, and a second string is a statement like any other.
    quoted
        && !around.opaque
        && children[..index]
            .iter()
            .rev()
            .take(MOST_COMMENTS)
            .all(|before| before.kind() == "comment")
        && index <= MOST_COMMENTS
}

/// Comments before a documentation string beyond which it is taken for code.
const MOST_COMMENTS: usize = 200;

/// What an item defines: one name, several behind commas, or the text of what stands for it.
fn item_name(node: Node<'_>, source: &[u8]) -> String {
    let mut cursor = node.walk();
    let at = match node.kind() {
        // `X = 3` of Python, and a group of Go with its values counted up.
        "expression_statement" => node.named_child(0).unwrap_or(node),
        _ => node,
    };
    let fields = ["name", "declarator", "macro", "path", "left"];
    let field = fields
        .into_iter()
        .find(|field| at.child_by_field_name(field).is_some());
    let mut names: Vec<String> = match field {
        Some(field) => at
            .children_by_field_name(field, &mut cursor)
            .filter(Node::is_named)
            .take(MOST_NAMES)
            .map(|name| declared_text(name, source))
            .collect(),
        None => at
            .named_children(&mut cursor)
            .filter(|child| child.kind() == "variable_declarator" || child.kind() == "const_spec")
            .take(MOST_NAMES)
            .filter_map(|child| child.child_by_field_name("name"))
            .map(|name| flat_text(name, source))
            .collect(),
    };
    names.dedup();
    names.join(", ")
}

/// Names of one declaration that are read at most.
const MOST_NAMES: usize = 1_000;

/// The name in a declarator of C, which values, pointers, and dimensions wrap; any other text as
/// it is.
fn declared_text(node: Node<'_>, source: &[u8]) -> String {
    let mut at = node;
    while at.kind().ends_with("_declarator") && at.kind() != "function_declarator" {
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
    flat_text(at, source)
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
    } else if prefix.len() > LONGEST_PREFIX {
        // Modules that nest without end make no names without end.
        let end = (0..=LONGEST_PREFIX)
            .rev()
            .find(|&at| prefix.is_char_boundary(at));
        format!("{}...::{name}", &prefix[..end.unwrap_or(0)])
    } else {
        format!("{prefix}::{name}")
    }
}

/// Bytes of a prefix beyond which it is cut.
const LONGEST_PREFIX: usize = 1_000;

pub(crate) fn hash_of(bytes: &[u8]) -> u64 {
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
