//! Functions that change with what they use: constants, statics, macros, fields, other names of
//! types, and imports.

use std::collections::{BTreeMap, BTreeSet};

use super::changed::{Changed, ChangedFunction, Place, last_part, place};
use super::fields::Field;
use super::outline::{Language, Outline, Piece, PieceKind, Token};
use super::walk::hash_of;
use crate::values::{Change, OutsideChange};

/// What functions use and that changed, or that uses what did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Definition {
    /// Where it is defined, at head.
    pub(crate) file: String,
    /// Its name alone, without the `!` of a macro.
    pub(crate) name: String,
    /// `constant`, `static`, `macro`, `field`, `type alias` or `import`.
    pub(crate) what: &'static str,
    /// The type that it is a member of: `Self::LIMIT` means it, `LIMIT` alone does not.
    pub(crate) owner: Option<String>,
    /// The namespace or the module of its file that it stands in: `n::LIMIT` means it, too.
    pub(crate) space: Option<String>,
    /// What it was reached through: `constant LIMIT` for a macro that uses it.
    pub(crate) through: Option<String>,
    /// Whether no other file can see it.
    pub(crate) is_local: bool,
}

/// How often what uses a changed definition may itself be such a definition.
const MOST_ROUNDS: usize = 4;

/// Definitions that are followed at most, so that a name that everything uses ends.
const MOST_DEFINITIONS: usize = 500;

/// Functions that are marked at most for what they use.
const MOST_FUNCTIONS: usize = 10_000;

/// Uses beyond the limits that keep a hostile or huge tree from taking for ever.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsesLeftOut {
    /// Definitions whose uses were not looked for.
    pub definitions: usize,
    /// Functions that were found and not marked.
    pub functions: usize,
}

/// Gives the sources of head that hold one of some names as a word: paths with their texts.
pub type SourceSearch<'s> = dyn FnMut(&[String]) -> Vec<(String, Vec<u8>)> + 's;

/// A function that uses what changed.
struct User {
    place: Place,
    change: Change,
    /// In words, each once.
    causes: Vec<String>,
}

impl Changed {
    /// Adds the functions that use a changed constant, static, field, other name of a type, or
    /// import, or expand a changed macro, also through others of these (four at most). They follow
    /// the functions that changed by line, in the order of their files.
    ///
    /// `sources` is given names and answers with the sources of head that hold one of them as a
    /// word, as pairs of path and text; it may answer with more. It is asked once for each step
    /// from definition to use.
    ///
    /// A name means the definition when the language lets it: members only behind their type,
    /// local ones and imports only in their file, and none in a file that defines the name itself.
    /// A field is used by what names it and its type, or, where no other type of the file has such
    /// a field, by what names it in a file that names the type.
    pub fn add_uses(&mut self, sources: &mut SourceSearch<'_>) -> UsesLeftOut {
        let mut left_out = UsesLeftOut::default();
        let mut known: BTreeSet<(String, Option<String>, String)> = BTreeSet::new();
        let mut wanted = self.definitions.clone();
        let mut found: BTreeMap<String, User> = BTreeMap::new();
        for _ in 0..MOST_ROUNDS {
            wanted.retain(|d| known.insert((d.file.clone(), d.owner.clone(), d.name.clone())));
            let room = MOST_DEFINITIONS.saturating_sub(known.len() - wanted.len());
            left_out.definitions += wanted.len().saturating_sub(room);
            wanted.truncate(room);
            if wanted.is_empty() {
                break;
            }
            let names: BTreeSet<String> = wanted.iter().map(|d| d.sought().to_owned()).collect();
            let names: Vec<String> = names.into_iter().collect();
            let mut files = sources(&names);
            files.sort();
            files.dedup_by(|a, b| a.0 == b.0);
            let mut next = Vec::new();
            for (path, text) in &files {
                let uses = Uses::of(path, text, &wanted);
                for (place, definition) in uses.functions {
                    let user = found.entry(place.key()).or_insert_with(|| User {
                        place,
                        change: change_of(definition),
                        causes: Vec::new(),
                    });
                    user.change = user.change.or_macro(change_of(definition));
                    let cause = definition.in_words();
                    if !user.causes.contains(&cause) {
                        user.causes.push(cause);
                    }
                }
                next.extend(uses.definitions);
            }
            wanted = next;
        }
        left_out.functions = self.mark(found);
        self.list(&left_out);
        left_out
    }

    /// Lists what was left out among the changes outside of functions.
    fn list(&mut self, left_out: &UsesLeftOut) {
        let Some(first) = self.definitions.first() else {
            return;
        };
        let file = first.file.clone();
        let counts = [
            (
                left_out.definitions,
                "definitions whose uses were not followed",
            ),
            (left_out.functions, "more functions that use what changed"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            self.outside.push(OutsideChange {
                file: file.clone(),
                line: 1,
                what: format!("{count} {what}"),
            });
        }
    }

    /// Marks what was found and is not changed already; how many were too many.
    fn mark(&mut self, found: BTreeMap<String, User>) -> usize {
        let known: BTreeSet<String> = self.functions.iter().map(|f| f.key.clone()).collect();
        let mut left_out = 0;
        let mut list = Vec::new();
        for (key, user) in found {
            if known.contains(&key) {
                continue;
            }
            if list.len() >= MOST_FUNCTIONS {
                left_out += 1;
                continue;
            }
            let base = self.base_place(&user.place);
            let mut function = ChangedFunction::new(user.change, key, base, Some(user.place));
            function.cause = Some(user.causes.join(", "));
            list.push(function);
        }
        list.sort_by(|a, b| {
            let order = |f: &ChangedFunction| (f.shown().file.clone(), f.shown().signature_line);
            order(a).cmp(&order(b)).then_with(|| a.key.cmp(&b.key))
        });
        self.functions.extend(list);
        left_out
    }
}

fn change_of(definition: &Definition) -> Change {
    match definition.what {
        "macro" => Change::ExpandsMacro,
        "field" | "type alias" | "import" => Change::UsesType,
        _ => Change::UsesConstant,
    }
}

impl Change {
    /// Of two reasons for the same function, the one that says more: a macro brings code.
    fn or_macro(self, other: Change) -> Change {
        match (self, other) {
            (Change::ExpandsMacro, _) | (_, Change::ExpandsMacro) => Change::ExpandsMacro,
            _ => self,
        }
    }
}

impl Definition {
    /// A name that a file imports and that stands for something else now.
    pub(crate) fn import(file: &str, name: String) -> Definition {
        Definition {
            file: file.to_owned(),
            name,
            what: "import",
            owner: None,
            space: None,
            through: None,
            is_local: true,
        }
    }

    /// What a file has to hold as a word to use it: of a field, the name of its type.
    fn sought(&self) -> &str {
        let owner = self.owner.as_deref().filter(|_| self.is_field());
        owner.unwrap_or(&self.name)
    }

    pub(crate) fn is_field(&self) -> bool {
        self.what == "field"
    }

    /// `constant LIMIT`, `macro check (through constant LIMIT)`.
    fn in_words(&self) -> String {
        match &self.through {
            Some(through) => format!("{} {} (through {through})", self.what, self.name),
            None => format!("{} {}", self.what, self.name),
        }
    }
}

/// The definitions of a piece that is no function; several for `a, b = 1, 2`.
pub(crate) fn definitions_of(
    file: &str,
    language: Language,
    outline: &Outline,
    piece: &Piece,
) -> Vec<Definition> {
    let what = match piece.kind {
        PieceKind::Item(what @ ("constant" | "static" | "macro" | "type alias" | "field")) => what,
        PieceKind::Macro => "macro",
        _ => return Vec::new(),
    };
    let parent = &outline.pieces[piece.parent];
    let owner = match what {
        // Conditions of the preprocessor may stand around it.
        "field" => type_around(language, outline, piece),
        _ => is_type(parent).then(|| owner_name(&parent.name)),
    };
    let is_space = matches!(parent.kind, PieceKind::Scope("namespace" | "module"));
    let space = is_space.then(|| owner_name(&parent.name));
    if what == "field" && owner.is_none() {
        return Vec::new();
    }
    let is_static = piece
        .tokens
        .iter()
        .take(4)
        .any(|t| t.hash == hash_of(b"static"));
    let in_c = matches!(language, Language::C | Language::Cpp);
    let is_header = !matches!(
        file.rsplit('.').next(),
        Some("c" | "cc" | "cpp" | "cxx" | "C")
    );
    let names = last_part(&piece.name).trim_end_matches('!').to_owned();
    names
        .split(", ")
        .filter(|name| is_word(name))
        .map(|name| Definition {
            file: file.to_owned(),
            name: name.to_owned(),
            what,
            owner: owner.clone(),
            space: space.clone(),
            through: None,
            is_local: in_c
                && !is_header
                && (is_static || matches!(what, "macro" | "field" | "type alias")),
        })
        .collect()
}

/// Whether a piece is a type, or an `impl` of one.
fn is_type(piece: &Piece) -> bool {
    matches!(
        piece.kind,
        PieceKind::Scope("impl header" | "trait" | "type")
    )
}

/// The type that a piece is a member of, innermost.
pub(super) fn type_around(language: Language, outline: &Outline, piece: &Piece) -> Option<String> {
    if language == Language::Cpp && piece.name.contains("::") {
        // It may be defined outside of its type.
        let end = piece.name.len() - last_part(&piece.name).len();
        return Some(owner_name(piece.name[..end].trim_end_matches("::")));
    }
    let mut at = piece.parent;
    while at != 0 && !is_type(&outline.pieces[at]) {
        at = outline.pieces[at].parent;
    }
    (at != 0).then(|| owner_name(&outline.pieces[at].name))
}

/// The type itself, and those of a file that derive from it, implement it or name it otherwise, but
/// for those that have a member of that name themselves.
fn heirs(outline: &Outline, owner: &str, name: &str) -> BTreeSet<String> {
    let types = || outline.pieces.iter().filter(|piece| is_type(piece));
    let mut heirs = BTreeSet::from([owner.to_owned()]);
    loop {
        let known: BTreeSet<u64> = heirs.iter().map(|it| hash_of(it.as_bytes())).collect();
        let before = heirs.len();
        heirs.extend(
            types()
                .filter(|piece| piece.tokens.iter().any(|token| known.contains(&token.hash)))
                .map(|piece| owner_name(&piece.name)),
        );
        if heirs.len() == before {
            break;
        }
    }
    for piece in &outline.pieces {
        let own = last_part(&piece.name).split(", ").any(|own| own == name);
        let parent = &outline.pieces[piece.parent];
        if own && is_type(parent) && owner_name(&parent.name) != owner {
            heirs.remove(&owner_name(&parent.name));
        }
    }
    heirs
}

/// `T` of `a::T`, of `T<u8>`, and of `<T as Trait>`.
fn owner_name(name: &str) -> String {
    let last = last_part(name);
    let last = match last.strip_prefix('<') {
        Some(inner) => inner.split(" as ").next().unwrap_or(inner),
        None => last,
    };
    let end = last.find(['<', ' ']).unwrap_or(last.len());
    last[..end].to_owned()
}

fn is_word(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '$')
}

/// What one file uses.
struct Uses<'d> {
    functions: Vec<(Place, &'d Definition)>,
    definitions: Vec<Definition>,
}

/// A definition as one file would have to write it.
struct Wanted<'d> {
    definition: &'d Definition,
    hash: u64,
    /// What may stand before `::` or `.`.
    qualifiers: Vec<u64>,
    /// The types in which `Self` and the like may stand there as well.
    heirs: BTreeSet<String>,
    /// Where it is a field.
    field: Option<Field>,
}

/// What stands for the type around it.
pub(super) const SELF: [&[u8]; 4] = [b"Self", b"self", b"cls", b"this"];

impl<'d> Uses<'d> {
    fn of(path: &str, text: &[u8], definitions: &'d [Definition]) -> Uses<'d> {
        let mut uses = Uses {
            functions: Vec::new(),
            definitions: Vec::new(),
        };
        let Some(language) = Language::of_file(path, text).filter(|_| text.len() <= 8 << 20) else {
            return uses;
        };
        let outline = Outline::new(language, text);
        let own: BTreeSet<(bool, String)> = outline
            .pieces
            .iter()
            .filter(|piece| {
                piece
                    .tokens
                    .first()
                    .is_none_or(|t| t.hash != hash_of(b"extern"))
            })
            .flat_map(|piece| definitions_of(path, language, &outline, piece))
            .map(|definition| (definition.is_field(), definition.name))
            .collect();
        let has_own = |d: &Definition| !d.is_field() && own.contains(&(false, d.name.clone()));
        let visible = |d: &&Definition| {
            d.file == path || (!d.is_local && !has_own(d) && is_visible(language, d, path))
        };
        let wanted: Vec<Wanted<'d>> = definitions
            .iter()
            .filter(visible)
            .map(|definition| Wanted::new(definition, language, &outline))
            .collect();
        for piece in &outline.pieces {
            for wanted in wanted
                .iter()
                .filter(|w| w.is_used(language, &outline, piece, text))
            {
                match piece.kind {
                    PieceKind::Function => {
                        uses.functions.push((place(path, piece), wanted.definition));
                    }
                    _ => uses.definitions.extend(
                        definitions_of(path, language, &outline, piece)
                            .into_iter()
                            .map(|definition| Definition {
                                through: Some(wanted.definition.root()),
                                ..definition
                            }),
                    ),
                }
            }
        }
        uses
    }
}

impl Definition {
    /// What changed in the first place.
    fn root(&self) -> String {
        let own = || format!("{} {}", self.what, self.name);
        self.through.clone().unwrap_or_else(own)
    }
}

/// Whether the language lets another file see a definition.
fn is_visible(language: Language, definition: &Definition, path: &str) -> bool {
    let folder = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    match Language::of_path(&definition.file) {
        Some(Language::Go) => {
            let is_exported = definition.name.starts_with(char::is_uppercase);
            language == Language::Go && (is_exported || folder(&definition.file) == folder(path))
        }
        Some(Language::C | Language::Cpp) => matches!(language, Language::C | Language::Cpp),
        Some(Language::JavaScript | Language::TypeScript | Language::Tsx) => matches!(
            language,
            Language::JavaScript | Language::TypeScript | Language::Tsx
        ),
        defined => defined == Some(language),
    }
}

impl<'d> Wanted<'d> {
    fn new(definition: &'d Definition, language: Language, outline: &Outline) -> Wanted<'d> {
        let mut words: Vec<&str> = Vec::new();
        match &definition.owner {
            Some(owner) => words.push(owner),
            None => {
                let mut parts = definition.file.rsplit('/');
                let file = parts.next().unwrap_or_default();
                words.push(file.split('.').next().unwrap_or_default());
                words.extend(parts.next());
                words.extend(definition.space.as_deref());
                if matches!(language, Language::Rust | Language::Cpp) {
                    words.extend(["self", "super", "crate", "$crate"]);
                }
            }
        }
        let hash = hash_of(definition.name.as_bytes());
        let mut tokens = outline.pieces.iter().flat_map(|piece| &piece.tokens);
        let owner = definition.owner.as_deref();
        let owner = owner.filter(|_| tokens.any(|token| token.hash == hash));
        Wanted {
            definition,
            hash,
            qualifiers: words.iter().map(|word| hash_of(word.as_bytes())).collect(),
            heirs: owner
                .map(|owner| heirs(outline, owner, &definition.name))
                .unwrap_or_default(),
            field: Field::of(definition, language, outline),
        }
    }

    fn is_used(&self, language: Language, outline: &Outline, piece: &Piece, text: &[u8]) -> bool {
        if let Some(field) = &self.field {
            return field.is_used(language, outline, piece, &self.heirs);
        }
        let is_definition = !matches!(piece.kind, PieceKind::Function);
        if is_definition {
            let own = last_part(&piece.name).trim_end_matches('!');
            if own.split(", ").any(|name| name == self.definition.name) {
                return false;
            }
        }
        let is_c_macro = matches!(piece.kind, PieceKind::Macro | PieceKind::Item("macro"))
            && matches!(language, Language::C | Language::Cpp);
        if is_c_macro {
            // The grammar hands over the replacement of a macro as one text.
            return has_word(text, piece, &self.definition.name);
        }
        let around = type_around(language, outline, piece);
        let at_home = language == Language::Cpp && around == self.definition.owner;
        let is_own = around.is_none_or(|around| self.heirs.contains(&around));
        let by_self = is_own && self.definition.owner.is_some();
        let positions = || {
            let all = piece.tokens.iter().enumerate();
            all.filter(|(_, token)| token.hash == self.hash)
                .map(|(at, _)| at)
        };
        if self.is_shadowed(piece, positions().next()) {
            return false;
        }
        positions().any(|at| self.is_use(language, &piece.tokens, at, (at_home, by_self)))
    }

    /// Whether a parameter has the name.
    fn is_shadowed(&self, piece: &Piece, first: Option<usize>) -> bool {
        let is_small = match self.definition.what {
            // A type in a signature is a use of it.
            "type alias" => false,
            "import" => self.definition.name.starts_with(char::is_lowercase),
            _ => self.definition.name.chars().any(char::is_lowercase),
        };
        let opens = [hash_of(b"{"), hash_of(b"=>"), hash_of(b"=")];
        let open = piece
            .tokens
            .iter()
            .position(|token| opens.contains(&token.hash));
        let in_signature = match (first, open) {
            (Some(first), Some(open)) => first < open,
            (Some(first), None) => piece.tokens[first].line < piece.body.0,
            (None, _) => false,
        };
        is_small
            && piece.kind == PieceKind::Function
            && self.definition.what != "macro"
            && in_signature
    }

    /// Whether a token means the definition: by its name alone `at_home`, behind `Self` and the like
    /// where that is its type.
    fn is_use(
        &self,
        language: Language,
        tokens: &[Token],
        at: usize,
        (at_home, by_self): (bool, bool),
    ) -> bool {
        let hash = |index: Option<usize>| index.and_then(|i| tokens.get(i)).map(|t| t.hash);
        let is = |index: Option<usize>, sign: &[u8]| hash(index) == Some(hash_of(sign));
        let (next, before) = (Some(at + 1), at.checked_sub(1));
        if language == Language::Rust && self.definition.what == "macro" {
            return is(next, b"!");
        }
        let is_key = match language {
            Language::Python => is(next, b"=") || is(next, b":="),
            Language::JavaScript | Language::TypeScript | Language::Tsx => is(next, b":"),
            _ => false,
        };
        let is_qualified = is(before, b"::") || is(before, b".") || is(before, b"->");
        let qualifier = hash(at.checked_sub(2));
        let fits = qualifier.is_some_and(|hash| {
            let is_self = || SELF.into_iter().any(|word| hash == hash_of(word));
            self.qualifiers.contains(&hash) || (by_self && is_self())
        });
        match (&self.definition.owner, is_qualified) {
            _ if is_key && !is_qualified => false,
            (_, true) => fits,
            (Some(_), false) => at_home,
            (None, false) => true,
        }
    }
}

/// Whether the lines of a piece hold a word.
fn has_word(text: &[u8], piece: &Piece, name: &str) -> bool {
    let rest = text.get(piece.start_byte..).unwrap_or_default();
    let lines = (piece.last_line - piece.first_line) as usize + 1;
    let is_sign =
        |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    rest.split(|&byte| byte == b'\n').take(lines).any(|line| {
        let windows = line.windows(name.len()).enumerate();
        windows
            .filter(|(_, window)| *window == name.as_bytes())
            .any(|(at, _)| {
                is_sign(at.checked_sub(1).and_then(|at| line.get(at)))
                    && is_sign(line.get(at + name.len()))
            })
    })
}
