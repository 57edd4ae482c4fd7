//! What changed between two refs: functions, and the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::dependencies::{Dependency, Versions};
use super::diff::{Content, FileDiff};
use super::file_kind::FileKind;
use super::flags;
use super::imports::changed_imports;
use super::outline::{Language, Outline, Piece};
use super::pairing::{Pairing, VISIBILITY, likeness};
use super::uses::{Definition, definitions_of};
use crate::values::{BUILD_FLAGS, Change, OutsideChange, Side};

/// One file of a diff with its text at both refs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSources {
    /// Its entry in the diff.
    pub diff: FileDiff,
    /// The blob at base; `None` when there is none, or when it was not read (binary files).
    pub base: Option<Vec<u8>>,
    /// The blob at head; `None` when there is none, or when it was not read (binary files).
    pub head: Option<Vec<u8>>,
}

/// Where a function lies at one ref. Lines are counted from 1, and the last is included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Relative to the top of the repository.
    pub file: String,
    /// Name within the file.
    pub name: String,
    /// 1 for the first function of this name in the file.
    pub ordinal: u32,
    /// First line, attributes and documentation included.
    pub first_line: u32,
    /// Line of the name.
    pub signature_line: u32,
    /// Last line.
    pub last_line: u32,
}

impl Place {
    /// What identifies the function at its ref: `src/a.rs::T::f`, `src/a.rs::f#2`.
    pub fn key(&self) -> String {
        match self.ordinal {
            0 | 1 => format!("{}::{}", self.file, self.name),
            n => format!("{}::{}#{n}", self.file, self.name),
        }
    }
}

/// A function that a diff touches, or that the user chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFunction {
    /// What a person reads: `parse::number`.
    pub name: String,
    /// The key of its row, the same for both refs and unique: that of head, else that of base.
    pub key: String,
    /// How it changed. A renamed function is `Modified` and has two places.
    pub change: Change,
    /// What changed, where its own lines did not: `constant LIMIT`, `macro check`.
    pub cause: Option<String>,
    /// At base; `None` when it was added.
    pub base: Option<Place>,
    /// At head; `None` when it was removed.
    pub head: Option<Place>,
}

/// What changed between two refs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changed {
    /// Functions, by file at head (else at base), then by line.
    pub functions: Vec<ChangedFunction>,
    /// Changes that lie in no function, by file, then by line.
    pub outside: Vec<OutsideChange>,
    /// Whether anything but comments, layout and documentation changed.
    pub code_changed: bool,
    /// Key at base to key of the row, where they differ.
    pub(crate) base_keys: BTreeMap<String, String>,
    /// Path at base to path at head, where they differ.
    pub(crate) renames: BTreeMap<String, String>,
    /// Dependencies whose version changed, by name.
    pub dependencies: Vec<Dependency>,
    /// Constants, statics, macros, fields, other names of types, and imports that changed.
    pub(crate) definitions: Vec<Definition>,
    /// Keys at head of the macros that changed.
    pub(crate) macros: BTreeMap<String, String>,
    /// Key at head to place at base, for all functions in the files of the diff.
    pub(crate) base_places: BTreeMap<String, Place>,
    /// Files of the diff, by their paths at head.
    pub(crate) files: BTreeSet<String>,
}

impl Changed {
    /// The place at base of a function that is at head.
    pub(crate) fn base_place(&self, head: &Place) -> Option<Place> {
        match self.base_places.get(&head.key()) {
            Some(place) => Some(place.clone()),
            None => (!self.files.contains(&head.file)).then(|| head.clone()),
        }
    }
}

/// Finds what changed. The order of `files` does not matter.
pub fn changed(files: &[FileSources]) -> Changed {
    let mut files: Vec<&FileSources> = files.iter().collect();
    files.sort_by_key(|file| path_of(file));
    let mut found = Found::default();
    for file in files {
        found.file(file);
    }
    found.finish()
}

/// The path at head, else at base.
fn path_of(file: &FileSources) -> String {
    let path = file.diff.head.as_ref().or(file.diff.base.as_ref());
    path.map(super::RepoPath::display).unwrap_or_default()
}

/// A function of one ref without a partner at the other.
struct Single {
    place: Place,
    tokens: Vec<u64>,
    touched: bool,
}

impl Single {
    fn new(file: &str, piece: &Piece, touched: bool) -> Single {
        Single {
            place: place(file, piece),
            tokens: piece.tokens.iter().map(|token| token.hash).collect(),
            touched,
        }
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    functions: Vec<ChangedFunction>,
    outside: Vec<OutsideChange>,
    renames: BTreeMap<String, String>,
    /// Functions of base and their partners at head, where their keys differ.
    moved: Vec<(Place, Place)>,
    removed: Vec<Single>,
    added: Vec<Single>,
    dependencies: Vec<Dependency>,
    definitions: Vec<Definition>,
    base_places: BTreeMap<String, Place>,
    files: BTreeSet<String>,
}

impl Found {
    fn file(&mut self, file: &FileSources) {
        let path = path_of(file);
        let base = file.diff.base.as_ref().map(super::RepoPath::display);
        let head = file.diff.head.as_ref().map(super::RepoPath::display);
        let text = file.head.as_deref().or(file.base.as_deref());
        let kind = FileKind::of_file(&path, text.unwrap_or_default());
        if let (Some(base), Some(head)) = (&base, &head)
            && base != head
        {
            self.renames.insert(base.clone(), head.clone());
        }
        self.files.extend(head.clone());
        if let Some(versions) = Versions::of_file(&path)
            && self.dependencies_of(versions, file, &path)
        {
            return;
        }
        let mut report = |line: u32, what: &str| {
            self.outside.push(OutsideChange {
                file: path.clone(),
                line: line.max(1),
                what: what.to_owned(),
            });
        };
        match (file.diff.content, kind) {
            (_, FileKind::Documentation) => return,
            (Content::Submodule, _) => return report(1, "submodule"),
            (Content::Binary, _) => return report(1, "binary file"),
            (Content::Text, _) => {}
        }
        let readable = |path: &Option<String>, text: &Option<Vec<u8>>| {
            path.is_none()
                || text
                    .as_ref()
                    .is_some_and(|text| text.len() <= MAX_SOURCE_BYTES)
        };
        let parsed = readable(&base, &file.base) && readable(&head, &file.head);
        match kind {
            FileKind::Source(language) if parsed => {
                if file.diff.hunks.is_empty() && base != head {
                    report(1, "renamed file");
                }
                self.source(file, language, base, head, None);
            }
            FileKind::Build(Some(language)) if parsed => {
                self.source(file, language, base, head, Some("build file"));
            }
            FileKind::Build(_) | FileKind::Lock | FileKind::Other(_) | FileKind::Source(_) => {
                let [then, now] = [&file.base, &file.head].map(plain_lines);
                let same = kind.ignores_comment_lines() && parsed && base == head && then == now;
                let mode_only = file.diff.hunks.is_empty() && base == head;
                if !same || (mode_only && file.diff.mode_changed) {
                    let is_build = matches!(kind, FileKind::Build(_));
                    let what = match is_build && flags::differ(&then, &now) {
                        true => BUILD_FLAGS,
                        false => kind.what(),
                    };
                    report(first_line(&file.diff), what);
                }
            }
            FileKind::Documentation => {}
        }
    }

    /// Lists the dependencies whose versions changed in a file; whether there are any, and that is all.
    fn dependencies_of(&mut self, versions: Versions, file: &FileSources, path: &str) -> bool {
        let [base, head] = [&file.base, &file.head].map(|text| text.as_deref().unwrap_or_default());
        let changed = versions.changed(base, head);
        for dependency in &changed {
            self.outside.push(OutsideChange {
                file: path.to_owned(),
                line: dependency.line.max(1),
                what: format!("dependency {}", dependency.in_words()),
            });
        }
        let is_all = !changed.is_empty() && versions.tells_all(base, head);
        self.dependencies.extend(changed);
        is_all
    }

    /// Compares a source piece by piece. With `whole`, every change counts as one of the file.
    fn source(
        &mut self,
        file: &FileSources,
        language: Language,
        base_path: Option<String>,
        head_path: Option<String>,
        whole: Option<&str>,
    ) {
        let outline = |path: &Option<String>, text: &Option<Vec<u8>>| match (path, text) {
            (Some(_), Some(text)) => Outline::new(language, text),
            _ => Outline::new(language, b""),
        };
        let base = outline(&base_path, &file.base);
        let head = outline(&head_path, &file.head);
        let path = path_of(file);
        let base_path = base_path.unwrap_or_else(|| path.clone());
        let head_path = head_path.unwrap_or_else(|| path.clone());
        let pairing = Pairing::new(&base, &head, &file.diff.hunks);
        if let Some(what) = whole {
            if pairing.any_difference() {
                self.outside.push(OutsideChange {
                    file: path,
                    line: first_line(&file.diff),
                    what: what.to_owned(),
                });
            }
            return;
        }
        let imports = changed_imports(&base, &head).into_iter();
        let imports = imports.map(|name| Definition::import(&head_path, name));
        self.definitions.extend(imports);
        for &(b, h) in &pairing.pairs {
            let base_place = place(&base_path, &base.pieces[b]);
            let head_place = place(&head_path, &head.pieces[h]);
            let touched = pairing.touched(Side::Base, b) || pairing.touched(Side::Head, h);
            if touched && !base.pieces[b].same_tokens(&head.pieces[h]) {
                self.functions.push(ChangedFunction::new(
                    Change::Modified,
                    head_place.key(),
                    Some(base_place.clone()),
                    Some(head_place.clone()),
                ));
            }
            self.base_places
                .insert(head_place.key(), base_place.clone());
            if base_place.key() != head_place.key() {
                self.moved.push((base_place, head_place));
            }
        }
        self.removed.extend(pairing.removed.iter().map(|&b| {
            let touched = pairing.touched(Side::Base, b);
            Single::new(&base_path, &base.pieces[b], touched)
        }));
        self.added.extend(pairing.added.iter().map(|&h| {
            let touched = pairing.touched(Side::Head, h);
            Single::new(&head_path, &head.pieces[h], touched)
        }));
        for outside in pairing.outside() {
            let outline = match outside.side {
                Side::Base => &base,
                Side::Head => &head,
            };
            let piece = &outline.pieces[outside.piece];
            let file = match outside.side {
                Side::Base => &base_path,
                Side::Head => &head_path,
            };
            if outside.what != VISIBILITY {
                self.definitions
                    .extend(definitions_of(file, language, outline, piece));
            }
            self.outside.push(OutsideChange {
                file: path.clone(),
                line: outside.line,
                what: outside.what.to_owned(),
            });
        }
    }

    fn finish(mut self) -> Changed {
        self.pair_over_files();
        for single in std::mem::take(&mut self.added) {
            if single.touched {
                self.functions.push(ChangedFunction::new(
                    Change::Added,
                    single.place.key(),
                    None,
                    Some(single.place),
                ));
            }
        }
        let mut base_keys: BTreeMap<String, String> = self
            .moved
            .iter()
            .map(|(base, head)| (base.key(), head.key()))
            .collect();
        let head_keys: BTreeSet<String> = self.head_keys();
        for single in std::mem::take(&mut self.removed) {
            let base_key = single.place.key();
            let mut key = base_key.clone();
            if head_keys.contains(&key) {
                key.push_str(" (removed)");
                base_keys.insert(base_key, key.clone());
            }
            if single.touched {
                let base = Some(single.place);
                let function = ChangedFunction::new(Change::Removed, key, base, None);
                self.functions.push(function);
            }
        }
        self.functions.sort_by(|a, b| {
            let order = |f: &ChangedFunction| {
                let place = f.shown();
                (place.file.clone(), place.signature_line, f.key.clone())
            };
            order(a).cmp(&order(b))
        });
        self.outside
            .sort_by(|a, b| (&a.file, a.line, &a.what).cmp(&(&b.file, b.line, &b.what)));
        self.outside.dedup();
        self.definitions.sort();
        self.definitions.dedup();
        let macros = self.definitions.iter().filter(|d| d.what == "macro");
        let macros = macros
            .map(|d| {
                (
                    format!("{}::{}!", d.file, d.name),
                    format!("macro {}", d.name),
                )
            })
            .collect();
        Changed {
            dependencies: self.dependencies,
            definitions: self.definitions,
            macros,
            base_places: self.base_places,
            files: self.files,
            code_changed: !self.functions.is_empty() || !self.outside.is_empty(),
            functions: self.functions,
            outside: self.outside,
            base_keys,
            renames: self.renames,
        }
    }

    /// Pairs functions that were moved from one file to another: the same name, and a text that
    /// is nearly the same, with no second candidate.
    fn pair_over_files(&mut self) {
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, single) in self.added.iter().enumerate() {
            let name = last_part(&single.place.name).to_owned();
            by_name.entry(name).or_default().push(at);
        }
        let mut work = 0usize;
        let mut left = Vec::new();
        let mut taken = BTreeSet::new();
        for base in std::mem::take(&mut self.removed) {
            let named = by_name.get(last_part(&base.place.name));
            let fits: Vec<usize> = named
                .into_iter()
                .flatten()
                .copied()
                .filter(|at| !taken.contains(at))
                .filter(|&at| {
                    work += base.tokens.len() + self.added[at].tokens.len();
                    work < MOST_TOKENS && is_moved(&base, &self.added[at])
                })
                .collect();
            let [at] = fits[..] else {
                left.push(base);
                continue;
            };
            taken.insert(at);
            let head = self.added[at].place.clone();
            self.functions.push(ChangedFunction::new(
                Change::Modified,
                head.key(),
                Some(base.place.clone()),
                Some(head.clone()),
            ));
            self.moved.push((base.place, head));
        }
        self.removed = left;
        let mut at = 0..;
        self.added
            .retain(|_| !taken.contains(&at.next().unwrap_or_default()));
    }

    /// Keys at head of functions in files of the diff that a removed function could have, too.
    fn head_keys(&self) -> BTreeSet<String> {
        let moved = self.moved.iter().map(|(_, head)| head.key());
        let rest = self.functions.iter().filter(|f| f.head.is_some());
        moved.chain(rest.map(|f| f.key.clone())).collect()
    }
}

/// Sources beyond this size are made by machines; they are listed as a whole.
const MAX_SOURCE_BYTES: usize = 8 << 20;

/// Tokens that are compared at most to find functions that moved.
const MOST_TOKENS: usize = 50_000_000;

/// Likeness from which a function of the same name in another file is the same function.
const MOVED_LIKENESS: f64 = 0.8;

fn is_moved(base: &Single, head: &Single) -> bool {
    base.touched
        && head.touched
        && base.place.file != head.place.file
        && last_part(&base.place.name) == last_part(&head.place.name)
        && likeness(&base.tokens, &head.tokens) >= MOVED_LIKENESS
}

pub(crate) fn place(file: &str, piece: &Piece) -> Place {
    Place {
        file: file.to_owned(),
        name: piece.name.clone(),
        ordinal: piece.ordinal,
        first_line: piece.first_line,
        signature_line: piece.signature_line,
        last_line: piece.last_line,
    }
}

fn first_line(diff: &FileDiff) -> u32 {
    let line = |hunk: &super::Hunk| match diff.head {
        Some(_) => hunk.head.first,
        None => hunk.base.first,
    };
    diff.hunks.first().map_or(1, line).max(1)
}

/// The lines that say something in a file whose comments begin with `#`.
fn plain_lines(text: &Option<Vec<u8>>) -> Vec<&[u8]> {
    let text = text.as_deref().unwrap_or_default();
    text.split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
        .collect()
}

impl ChangedFunction {
    /// A function that lies at one ref at least.
    pub(crate) fn new(
        change: Change,
        key: String,
        base: Option<Place>,
        head: Option<Place>,
    ) -> Self {
        let mut function = ChangedFunction {
            name: String::new(),
            key,
            change,
            cause: None,
            base,
            head,
        };
        function.name = function.shown().display_name();
        function
    }

    /// Where it is shown: at head, else at base.
    pub fn shown(&self) -> &Place {
        self.head
            .as_ref()
            .or(self.base.as_ref())
            .expect("a changed function lies at one ref at least")
    }
}

impl Place {
    /// What a person reads: the module that the file is, where its path tells, and the name.
    pub fn display_name(&self) -> String {
        display_name(&self.file, &self.name)
    }
}

/// `parse::number` of `number` in `crates/x/src/parse.rs`.
pub(crate) fn display_name(file: &str, name: &str) -> String {
    let module = module_of(file);
    if module.is_empty() {
        name.to_owned()
    } else if let Some(inner) = name.strip_prefix('<') {
        // `<Type as Trait>::method` reads `<module::Type as Trait>::method`, as a symbol does.
        format!("<{module}::{inner}")
    } else {
        format!("{module}::{name}")
    }
}

/// The module path that a Rust file below `src` is by convention; empty for roots and the rest.
fn module_of(file: &str) -> String {
    let Some(stem) = file.strip_suffix(".rs") else {
        return String::new();
    };
    let inner = match stem.rsplit_once("src/") {
        Some((before, inner)) if before.is_empty() || before.ends_with('/') => inner,
        _ => return String::new(),
    };
    let mut parts: Vec<&str> = inner.split('/').collect();
    if matches!(parts.last(), Some(&("mod" | "lib" | "main"))) {
        parts.pop();
    }
    if parts.first() == Some(&"bin") {
        parts.drain(..parts.len().min(2));
    }
    parts.join("::")
}

/// The part after the last `::` that no bracket holds.
pub(crate) fn last_part(name: &str) -> &str {
    let mut depth = 0i32;
    let mut start = 0;
    let bytes = name.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'<' | b'(' | b'[' | b'{' => depth += 1,
            // The `>` of an arrow closes nothing.
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' | b')' | b']' | b'}' => depth -= 1,
            b':' if depth == 0 && at > 0 && bytes[at - 1] == b':' => start = at + 1,
            _ => {}
        }
    }
    &name[start..]
}
