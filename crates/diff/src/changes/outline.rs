//! Finds the functions of a source file, and to which piece of it each token belongs.

use rustc_hash::FxHashMap;

use super::grammar::is_built_in;
use super::imports::Import;
use super::walk;

/// A language whose functions are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Rust.
    Rust,
    /// C, headers included.
    C,
    /// C++.
    Cpp,
    /// Go.
    Go,
    /// Python.
    Python,
    /// JavaScript, JSX included.
    JavaScript,
    /// TypeScript.
    TypeScript,
    /// TypeScript with JSX.
    Tsx,
}

impl Language {
    /// By the extension of a path; `None` for everything that is not parsed, and for languages
    /// that were left out of the build (features of this crate).
    pub fn of_path(path: &str) -> Option<Language> {
        let language = match path.rsplit('/').next()?.rsplit_once('.')?.1 {
            "rs" => Language::Rust,
            "c" | "h" => Language::C,
            "cc" | "cpp" | "cxx" | "c++" | "C" | "hh" | "hpp" | "hxx" | "h++" | "ipp" | "inl"
            | "tcc" | "tpp" => Language::Cpp,
            "go" => Language::Go,
            "py" | "pyi" => Language::Python,
            "js" | "mjs" | "cjs" | "jsx" => Language::JavaScript,
            "ts" | "mts" | "cts" => Language::TypeScript,
            "tsx" => Language::Tsx,
            _ => return None,
        };
        is_built_in(language).then_some(language)
    }

    /// As [`Language::of_path`], with a look into headers: a `.h` that opens namespaces, classes
    /// or templates is C++.
    pub fn of_file(path: &str, text: &[u8]) -> Option<Language> {
        let language = Language::of_path(path)?;
        let is_header = language == Language::C && path.ends_with(".h");
        if is_header && is_built_in(Language::Cpp) && speaks_cpp(text) {
            Some(Language::Cpp)
        } else {
            Some(language)
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Language::Rust => "Rust",
            Language::C => "C",
            Language::Cpp => "C++",
            Language::Go => "Go",
            Language::Python => "Python",
            Language::JavaScript => "JavaScript",
            Language::TypeScript | Language::Tsx => "TypeScript",
        }
    }
}

/// Whether a line of a header begins as none of C does.
fn speaks_cpp(text: &[u8]) -> bool {
    const STARTS: [&[u8]; 9] = [
        b"namespace ",
        b"namespace{",
        b"class ",
        b"template<",
        b"template <",
        b"using ",
        b"constexpr ",
        b"public:",
        b"private:",
    ];
    text.split(|&byte| byte == b'\n').any(|line| {
        let line = line.trim_ascii_start();
        STARTS.iter().any(|start| line.starts_with(start))
    })
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
    pub(crate) start_byte: usize,
    /// What names it imports.
    pub(crate) imports: Vec<Import>,
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

impl Outline {
    pub(crate) fn new(language: Language, source: &[u8]) -> Outline {
        Outline {
            pieces: in_order(walk::pieces(language, source, file_piece())),
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
        imports: Vec::new(),
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
