//! Maps the functions of profiles of both refs to the rows of one table.

use std::collections::BTreeMap;

use hotproof_profile::{Code, FunctionId, ImageId, ImageKind, Profile, is_library_path};
use rustc_hash::FxHashMap;

use super::changed::{Changed, display_name, last_part};
use super::dependencies::{Dependency, crate_of};
use super::frames::{ScriptFrame, hides_a_script, is_interpreter, is_script, script_frame};
use super::identity::{
    Roots, bare_name, canonical_path, image_name, library_path, name_in_go_source, normal_path,
    plain_name, without_arguments,
};
use super::outline::{FunctionKind, Language, SourceFunction, functions};
use crate::values::{Change, Function, FunctionRow, Side};

type Sources<'a> = Box<dyn FnMut(&str) -> Option<Vec<u8>> + 'a>;

/// Joins the functions of symbolized profiles to one table of functions for both refs.
///
/// A function whose declared file lies in the repository is the source function that holds its
/// declared line at that ref, closures and generic instances included; paths and names of base
/// are mapped to those of head. A function of a library is its file, line and name; one without
/// a file is its name and its image. A bare name alone joins nothing.
///
/// The changed functions are the first rows, in their order; the others follow as they are seen.
pub struct Joiner<'a> {
    rows: Vec<Row>,
    by_key: FxHashMap<String, FunctionRow>,
    base_keys: BTreeMap<String, String>,
    renames: BTreeMap<String, String>,
    /// By name.
    dependencies: BTreeMap<String, Dependency>,
    /// Key at head of each changed macro, and what to call it.
    macros: BTreeMap<String, String>,
    base: Tree<'a>,
    head: Tree<'a>,
}

struct Row {
    function: Function,
    /// Whether name and place are those of head, which later sightings at base do not replace.
    from_head: bool,
}

/// The files of one ref, and what is known of its functions.
struct Tree<'a> {
    roots: Roots,
    sources: Sources<'a>,
    /// The functions of each file that was asked for; `None` when there is no such file.
    files: FxHashMap<String, Option<Vec<SourceFunction>>>,
    known: FxHashMap<Facts, Joined>,
}

/// What a profile says of a function.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Facts {
    name: String,
    file: Option<String>,
    line: Option<u32>,
    image: Option<String>,
    is_system: bool,
}

/// Where a function of a profile belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) row: FunctionRow,
    /// Whether it is the user's code rather than a library's.
    pub(crate) is_user: bool,
    pub(crate) placing: Placing,
    pub(crate) script: Script,
}

/// What a frame says of scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Script {
    /// Nothing.
    None,
    /// It is a function of a script, by name and file.
    Named,
    /// It is an interpreter's, so that functions of scripts run in it.
    Interpreter,
    /// It stands for a function of a script, and does not say for which.
    Hidden,
}

impl Facts {
    fn script(&self) -> Script {
        let image = self.image.as_deref().unwrap_or_default();
        match (hides_a_script(&self.name), is_interpreter(image)) {
            (true, _) => Script::Hidden,
            (false, true) => Script::Interpreter,
            (false, false) => Script::None,
        }
    }
}

/// Whether it is known where some code is declared, so that it can be told from the changed
/// functions; in the order of doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Placing {
    /// Declared at a known line, or of a library.
    Known,
    /// Without a place, but by its name what calls a program's or a thread's code: it hides a
    /// changed function only as a leaf.
    Start,
    /// Without a place, and no system library's: it may be a changed function.
    Unknown,
}

impl<'a> Tree<'a> {
    fn new(roots: &[&str], sources: Sources<'a>) -> Self {
        Tree {
            roots: Roots::new(roots),
            sources,
            files: FxHashMap::default(),
            known: FxHashMap::default(),
        }
    }

    /// Reads and parses a file once; whether there is such a file.
    fn load(&mut self, path: &str) -> bool {
        if !self.files.contains_key(path) {
            let source = (self.sources)(path);
            let parsed = source.map(|text| match Language::of_file(path, &text) {
                Some(language) => functions(language, &text),
                None => Vec::new(),
            });
            self.files.insert(path.to_owned(), parsed);
        }
        self.files[path].is_some()
    }

    /// The path in the repository of a declared file, if it lies there.
    fn path_in_repository(&mut self, file: &str) -> Option<String> {
        let path = normal_path(file);
        if let Some(relative) = self.roots.relative(&path) {
            return Some(relative.to_owned());
        }
        // A path without a root is relative to an unknown directory, most often the top.
        (!path.starts_with('/') && !path.is_empty() && self.load(&path)).then_some(path)
    }
}

impl<'a> Joiner<'a> {
    /// A table that holds the changed functions.
    pub fn new(changed: &Changed) -> Self {
        let mut joiner = Joiner {
            rows: Vec::new(),
            by_key: FxHashMap::default(),
            base_keys: changed.base_keys.clone(),
            renames: changed.renames.clone(),
            dependencies: changed
                .dependencies
                .iter()
                .map(|dependency| (dependency.name.clone(), dependency.clone()))
                .collect(),
            macros: changed.macros.clone(),
            base: Tree::new(&[], Box::new(|_| None)),
            head: Tree::new(&[], Box::new(|_| None)),
        };
        for function in &changed.functions {
            let place = function.shown();
            let row = Row {
                function: Function {
                    name: function.name.clone(),
                    key: function.key.clone(),
                    file: Some(place.file.clone()),
                    line: Some(place.signature_line),
                    change: Some(function.change),
                    cause: function.cause.clone(),
                },
                from_head: true,
            };
            joiner
                .by_key
                .insert(function.key.clone(), joiner.rows.len());
            joiner.rows.push(row);
        }
        joiner
    }

    /// States where a ref's files lie. `roots` are absolute paths of its worktree, all spellings
    /// that debug information may use (both copies of base, resolved symbolic links); `sources`
    /// gives the text of a file at the ref, by path relative to the root, and is asked at most
    /// once for each file. `None` means that there is no such file.
    pub fn side(
        &mut self,
        side: Side,
        roots: &[&str],
        sources: impl FnMut(&str) -> Option<Vec<u8>> + 'a,
    ) {
        *self.tree(side) = Tree::new(roots, Box::new(sources));
    }

    /// The table so far; rows are only ever added, and their names and places are those of head
    /// as soon as they were seen there.
    pub fn functions(&self) -> Vec<Function> {
        self.rows.iter().map(|row| row.function.clone()).collect()
    }

    /// How many rows there are.
    pub(crate) fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// Whether the diff touches functions of scripts, which only perf maps can name.
    pub(crate) fn touches_scripts(&self) -> bool {
        let changed = self.rows.iter().filter(|row| row.function.change.is_some());
        changed
            .filter_map(|row| row.function.file.as_deref())
            .any(is_script)
    }

    /// Whether the diff touches the function of a row.
    pub(crate) fn is_changed(&self, row: FunctionRow) -> bool {
        self.rows[row].function.change.is_some()
    }

    fn tree(&mut self, side: Side) -> &mut Tree<'a> {
        match side {
            Side::Base => &mut self.base,
            Side::Head => &mut self.head,
        }
    }

    /// The row of some code of a profile.
    pub(crate) fn join(&mut self, side: Side, profile: &Profile, code: Code) -> Joined {
        match code {
            Code::Function(id) => self.join_function(side, profile, id),
            Code::Unnamed(_) | Code::Unmapped => {
                let name = profile.code_name(code);
                let inner = name.trim_start_matches('[').trim_end_matches(']');
                let name = format!("[{}]", image_name(inner));
                let row = self.row(side, Row::new(side, name.clone(), name, None, None));
                let placing = match code {
                    Code::Unnamed(image) if is_system(profile, image) => Placing::Known,
                    // An unwound stack that went astray ends in addresses of nothing.
                    Code::Unmapped => Placing::Start,
                    _ => Placing::Unknown,
                };
                Joined {
                    row,
                    is_user: true,
                    placing,
                    script: match code {
                        Code::Unnamed(image) if is_interpreter(image_path(profile, image)) => {
                            Script::Interpreter
                        }
                        _ => Script::None,
                    },
                }
            }
        }
    }

    fn join_function(&mut self, side: Side, profile: &Profile, id: FunctionId) -> Joined {
        let function = &profile.functions[id];
        let facts = Facts {
            name: profile.strings[function.name].to_owned(),
            file: function.file.map(|file| profile.strings[file].to_owned()),
            line: function.line,
            image: function
                .image
                .map(|image| profile.strings[profile.images[image].path].to_owned()),
            is_system: function
                .image
                .is_some_and(|image| is_system(profile, image)),
        };
        if let Some(&joined) = self.tree(side).known.get(&facts) {
            return joined;
        }
        let joined = self.identify(side, &facts);
        self.tree(side).known.insert(facts, joined);
        joined
    }

    fn identify(&mut self, side: Side, facts: &Facts) -> Joined {
        if let Some(frame) = script_frame(&facts.name).filter(|_| facts.file.is_none()) {
            return self.identify_script(side, &frame);
        }
        let Some(file) = &facts.file else {
            let name = plain_name(&facts.name).to_owned();
            let path = canonical_path(without_arguments(&name), false);
            let key = match &facts.image {
                Some(image) => format!("{}!{path}", image_name(image)),
                None => path.into_owned(),
            };
            let placing = match name.as_str() {
                _ if facts.is_system => Placing::Known,
                name if STARTS.contains(&name) => Placing::Start,
                name if is_of_rust(name) => Placing::Known,
                _ => Placing::Unknown,
            };
            let row = self.row(side, Row::new(side, name, key, None, None));
            return Joined {
                row,
                is_user: true,
                placing,
                script: facts.script(),
            };
        };
        if let Some(path) = self.tree(side).path_in_repository(file) {
            let (row, placing) = self.identify_in_repository(side, facts, path);
            return Joined {
                row,
                is_user: true,
                placing,
                script: Script::None,
            };
        }
        let file = library_path(file).into_owned();
        let name = without_arguments(plain_name(&facts.name)).to_owned();
        let is_user = !facts.file.as_deref().is_some_and(is_library_path);
        if let Some(row) = self.identify_in_dependency(side, facts, &file, &name) {
            return Joined {
                row,
                is_user,
                placing: Placing::Known,
                script: Script::None,
            };
        }
        let line = facts
            .line
            .map_or_else(String::new, |line| format!(":{line}"));
        let key = format!("{file}{line}::{}", bare_name(&facts.name));
        let row = self.row(side, Row::new(side, name, key, Some(file), facts.line));
        Joined {
            row,
            is_user,
            placing: Placing::Known,
            // The interpreter itself may have debug information.
            script: facts.script(),
        }
    }

    /// The row of a function of a script, by its file and its name, or its line where it is known.
    fn identify_script(&mut self, side: Side, frame: &ScriptFrame) -> Joined {
        let mut joined = Joined {
            row: 0,
            is_user: true,
            placing: Placing::Known,
            script: Script::Named,
        };
        let Some(path) = self.tree(side).path_in_repository(&frame.file) else {
            let file = normal_path(&frame.file);
            joined.is_user = !["/site-packages/", "/node_modules/", "/lib/python"]
                .iter()
                .any(|folder| file.contains(folder));
            let key = format!("{file}::{}", frame.name);
            let name = frame.name.clone();
            joined.row = self.row(side, Row::new(side, name, key, Some(file), frame.line));
            return joined;
        };
        let tree = self.tree(side);
        tree.load(&path);
        let list = tree.files.get(&path).and_then(Option::as_deref);
        let list = list.unwrap_or_default();
        let last = last_part(&frame.name);
        let found = match frame.line {
            Some(line) => function_at(list, line, last),
            None => list.iter().find(|f| f.name == frame.name),
        };
        let (inner, line) = match found {
            Some(function) => (function.key(), Some(function.signature_line)),
            None if frame.name.is_empty() => ("<module>".to_owned(), None),
            None => (frame.name.clone(), frame.line),
        };
        let key = self.row_key(side, &path, &inner);
        let name = display_name(&path, &inner);
        joined.row = self.row(side, Row::new(side, name, key, Some(path), line));
        joined
    }

    /// The row of a function of a dependency whose version changed. Its lines moved with the
    /// version, so that its file in the crate and its whole name identify it.
    fn identify_in_dependency(
        &mut self,
        side: Side,
        facts: &Facts,
        file: &str,
        name: &str,
    ) -> Option<FunctionRow> {
        let (package, version, inner) = crate_of(file)?;
        let dependency = self.dependencies.get(package)?;
        let mut versions = dependency.base.iter().chain(&dependency.head);
        if !version.is_empty() && !versions.any(|changed| changed == version) {
            return None;
        }
        let key = format!("{package}/{inner}::{name}");
        let mut row = Row::new(
            side,
            name.to_owned(),
            key,
            Some(file.to_owned()),
            facts.line,
        );
        row.function.change = Some(Change::Dependency);
        row.function.cause = Some(dependency.in_words());
        Some(self.row(side, row))
    }

    fn identify_in_repository(
        &mut self,
        side: Side,
        facts: &Facts,
        path: String,
    ) -> (FunctionRow, Placing) {
        let bare = bare_name(&facts.name);
        let tree = self.tree(side);
        tree.load(&path);
        let list = tree.files.get(&path).and_then(Option::as_deref);
        let list = list.unwrap_or_default();
        let found = match facts.line {
            Some(line) => function_at(list, line, bare),
            // Before 1.20, Go states the file of a function and not its line.
            None if path.ends_with(".go") => function_of_go(list, &facts.name),
            None => None,
        };
        let placing = match (facts.line, found) {
            // Line tables alone name files, and not where functions begin.
            (None, None) => Placing::Unknown,
            _ => Placing::Known,
        };
        let (inner, line) = match found {
            Some(function) if function.kind == FunctionKind::Macro => {
                // What a macro makes is declared in the macro; only the name tells it apart.
                (format!("{}::{bare}", function.key()), facts.line)
            }
            Some(function) => (function.key(), Some(function.signature_line)),
            None => {
                let name = without_arguments(plain_name(&facts.name));
                (canonical_path(name, false).into_owned(), facts.line)
            }
        };
        let name = match found {
            Some(function) if function.kind == FunctionKind::Function => {
                display_name(&path, &function.name)
            }
            Some(_) => display_name(&path, &inner),
            None => inner.clone(),
        };
        let made_by = found
            .filter(|function| function.kind == FunctionKind::Macro)
            .map(|function| last_part(&function.name).trim_end_matches('!').to_owned());
        let key = self.row_key(side, &path, &inner);
        let cause = made_by.and_then(|name| {
            let file = match side {
                Side::Base => self.renames.get(&path).unwrap_or(&path),
                Side::Head => &path,
            };
            self.macros.get(&format!("{file}::{name}!")).cloned()
        });
        let mut row = Row::new(side, name, key, Some(path), line);
        row.function.change = cause.is_some().then_some(Change::ExpandsMacro);
        row.function.cause = cause;
        (self.row(side, row), placing)
    }

    /// The key of a function's row by its path and its name within the file at one ref.
    fn row_key(&self, side: Side, path: &str, inner: &str) -> String {
        let own = format!("{path}::{inner}");
        if side == Side::Head {
            return own;
        }
        match (self.base_keys.get(&own), self.renames.get(path)) {
            (Some(key), _) => key.clone(),
            (None, Some(renamed)) => format!("{renamed}::{inner}"),
            (None, None) => own,
        }
    }

    fn row(&mut self, side: Side, row: Row) -> FunctionRow {
        let Some(&known) = self.by_key.get(&row.function.key) else {
            let index = self.rows.len();
            self.by_key.insert(row.function.key.clone(), index);
            self.rows.push(row);
            return index;
        };
        let old = &mut self.rows[known];
        if side == Side::Head && !old.from_head {
            *old = row;
        }
        known
    }
}

/// What runs before a program's or a thread's own code, and never has debug information: start
/// files of C, the `main` that rustc makes, entries of threads.
const STARTS: [&str; 14] = [
    "_start",
    "_start_c",
    "__libc_start_main",
    "__libc_start_main_impl",
    "__libc_start_call_main",
    "libc_start_main_stage2",
    "generic_start_main",
    "main",
    "start_thread",
    "clone",
    "clone3",
    "__clone",
    "__clone3",
    "start",
];

/// Whether a name without a place is one of Rust's own library or of what rustc adds.
fn is_of_rust(name: &str) -> bool {
    ["std::", "core::", "alloc::", "__rust", "__rustc"]
        .iter()
        .any(|start| name.starts_with(start))
}

fn image_path(profile: &Profile, image: ImageId) -> &str {
    &profile.strings[profile.images[image].path]
}

/// Whether an image comes with the system, so that the diff cannot touch it.
pub(super) fn is_system(profile: &Profile, image: ImageId) -> bool {
    const FOLDERS: [&str; 7] = [
        "/usr/",
        "/lib/",
        "/lib32/",
        "/lib64/",
        "/bin/",
        "/nix/store/",
        "/gnu/store/",
    ];
    let image = &profile.images[image];
    let path = &profile.strings[image.path];
    match image.kind {
        ImageKind::Vdso | ImageKind::Kernel | ImageKind::Module => true,
        ImageKind::Elf => {
            let within = |folder: &&str| path.starts_with(*folder);
            FOLDERS.iter().any(within) && !path.starts_with("/usr/local/")
        }
        ImageKind::Jit | ImageKind::Anonymous => false,
    }
}

impl Row {
    fn new(side: Side, name: String, key: String, file: Option<String>, line: Option<u32>) -> Row {
        Row {
            function: Function {
                name,
                key,
                file,
                line,
                change: None,
                cause: None,
            },
            from_head: side == Side::Head,
        }
    }
}

/// The one function of a file of Go that has a linkage name; none where several may be meant.
fn function_of_go<'f>(list: &'f [SourceFunction], linkage: &str) -> Option<&'f SourceFunction> {
    let name = name_in_go_source(linkage)?;
    let mut named = list.iter().filter(|function| function.name == name);
    let only = named.next()?;
    named.next().is_none().then_some(only)
}

/// The innermost function that holds a line. Where several share the line of their names, the one
/// of that name.
fn function_at<'f>(
    list: &'f [SourceFunction],
    line: u32,
    bare: &str,
) -> Option<&'f SourceFunction> {
    let holds = |f: &&SourceFunction| f.first_line <= line && line <= f.last_line;
    let named = |f: &SourceFunction| {
        f.kind == FunctionKind::Function && line <= f.body.0 && bare_name(&f.name) == bare
    };
    // Inner functions come behind outer ones, so that the last of equals is the innermost.
    list.iter()
        .filter(holds)
        .max_by_key(|f| (named(f), f.first_line))
}
