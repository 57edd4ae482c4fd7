//! Which function of one build is which of another, when all that is known is what the two builds
//! say of themselves: names and declared places.
//!
//! First the functions of each build are put in groups: the copies and parts that the compiler
//! made of one function of the source ([`FunctionGroups`]). Then groups of both builds are matched
//! on a ladder, and the first rung on which a match is unique wins ([`match_groups`]):
//!
//! | rung | the same in both | stays the same under | example |
//! |---|---|---|---|
//! | [`Rung::Linkage`] | a linkage name without the suffixes of clones | other directories, other options | `_ZN4demo4area17h0123456789abcdefE.llvm.42` is `_ZN4demo4area17h0123456789abcdefE` |
//! | [`Rung::Path`] | the demangled path without hash, disambiguators and numbers of closures, with its type arguments | a version bump (all hashes change) | `demo::show::<u8>` of `_RINvCs1_4demo4showhE` is that of `_RINvCs2_4demo4showhE` |
//! | [`Rung::Place`] | the path without type arguments, and the file; of several, the one in the same order of lines | another mangling, inserted impl blocks | `demo::Stack<T>::push` (legacy) is `<demo::Stack<u8>>::push` (v0) |
//! | [`Rung::Name`] | the last part of the path, and the file; of several, the one in the same order of lines | an impl for all types, whose path names a type in one mangling only | `<T as demo::Shape>::area` is `<u8 as demo::Shape>::area` |
//! | [`Rung::Closure`] | the function around a closure, and the closure's order of lines in it; only where closures are kept apart | changed numbers of closures elsewhere | the second closure of `demo::sum` |
//! | [`Rung::Line`] | the declared line, mapped through the renames and hunks of a diff | renaming | `old` in line 10 is `new` in line 14 |
//!
//! The file of a rung is the same when it is the same below the registry, the toolchain or the
//! checkout: `foo-1.2.3/src/a.rs` is `foo-1.2.4/src/a.rs`, and `/home/a/demo/src/m.rs` is
//! `/ci/b/demo/src/m.rs` when no other file of that name shares a longer end of the path.
//!
//! A plain name of C says nothing of where it stands: without a mangled path, functions in files
//! of different names never match.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use hotproof_profile::{FunctionId, Profile, file_name};

use rustc_hash::FxHashMap;

use super::changed::last_part;
use super::dependencies::crate_of;
use super::diff::FileDiff;
use super::identity::{
    canonical_path, image_name, is_mangled, library_path, linkage_without_suffix, normal_path,
    plain_name, without_arguments,
};
use super::pairing::LineMap;

/// What one build says of a function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FunctionFacts {
    /// Demangled name.
    pub name: String,
    /// As the linker has it; empty when unknown.
    pub linkage_name: String,
    /// Declared file.
    pub file: Option<String>,
    /// Declared line, counted from 1.
    pub line: Option<u32>,
    /// Path of the image that holds it.
    pub image: Option<String>,
}

impl FunctionFacts {
    /// What a profile says.
    pub fn of(profile: &Profile, id: FunctionId) -> FunctionFacts {
        let row = &profile.functions[id];
        let text = |id| profile.strings[id].to_owned();
        FunctionFacts {
            name: text(row.name),
            linkage_name: text(row.linkage_name),
            file: row.file.map(text),
            line: row.line,
            image: row.image.map(|image| text(profile.images[image].path)),
        }
    }
}

/// Whether closures are functions of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Closures {
    /// They belong to the function that holds them, as bodies of async functions do.
    #[default]
    Merged,
    /// Each is matched by the function around it and its order.
    Apart,
}

/// One function of the source with all that was made of it: inlined copies, generic instances,
/// cold parts and clones, the body of an async function and its stub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionGroup {
    /// Its name without hashes, suffixes and type arguments.
    pub name: String,
    /// Declared file as [`super::stable_file`] shows it, else the image's name; empty when
    /// neither is known.
    pub place: String,
    /// Declared line, the smallest when several are known.
    pub line: Option<u32>,
    has_file: bool,
    is_closure: bool,
    /// The path of the function around a closure.
    parent: String,
    linkage: BTreeSet<String>,
    paths: BTreeSet<String>,
    bare_paths: BTreeSet<String>,
    bare: String,
}

/// The functions of one build in groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FunctionGroups {
    /// In the order of place, line and name.
    pub groups: Vec<FunctionGroup>,
    /// The group of each function that was given, in its order.
    pub group_of: Vec<usize>,
}

/// What tells groups of one build apart.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum GroupKey<'s> {
    Declared(&'s str, u32, &'s str),
    Named(&'s str, &'s str),
}

impl FunctionGroups {
    /// Groups functions. What is declared at one line under one name is one function; without a
    /// line, the path without type arguments decides.
    pub fn of(functions: &[FunctionFacts], closures: Closures) -> FunctionGroups {
        let mut places = Places::default();
        let all: Vec<Spelling> = functions
            .iter()
            .map(|facts| Spelling::of(facts, &mut places))
            .collect();
        let keys = keys_of_groups(&all, closures);
        let mut sorted: Vec<usize> = (0..all.len()).collect();
        sorted.sort_by_key(|&at| keys[at]);
        let mut group_of = vec![0; all.len()];
        let mut groups = Vec::new();
        for same in sorted.chunk_by(|&a, &b| keys[a] == keys[b]) {
            for &at in same {
                group_of[at] = groups.len();
            }
            let members: Vec<&Spelling> = same.iter().map(|&at| &all[at]).collect();
            groups.push(FunctionGroup::of(&members, closures));
        }
        FunctionGroups { groups, group_of }
    }
}

/// The key of each function's group.
fn keys_of_groups<'s>(all: &'s [Spelling<'_>], closures: Closures) -> Vec<GroupKey<'s>> {
    // The body of a closure lies at a line of its own: its function is found by its path.
    let mut homes: FxHashMap<(&str, &str), GroupKey> = FxHashMap::default();
    for function in all.iter().filter(|function| !function.is_closure) {
        let key = function.key();
        homes
            .entry(function.home())
            .and_modify(|known| *known = key.min(*known))
            .or_insert(key);
    }
    let key = |function: &'s Spelling<'_>| match (function.is_closure, closures) {
        (true, Closures::Merged) => {
            let (place, path) = function.home();
            let alone = GroupKey::Named(place, path);
            homes.get(&(place, path)).copied().unwrap_or(alone)
        }
        _ => function.key(),
    };
    all.iter().map(key).collect()
}

/// What is read out of the facts of a function, once.
struct Spelling<'f> {
    facts: &'f FunctionFacts,
    place: Rc<str>,
    /// The name without hash, suffixes and closures.
    plain: &'f str,
    /// The path of the function, or of that around a closure, without type arguments.
    home_path: String,
    is_closure: bool,
}

impl<'f> Spelling<'f> {
    fn of(facts: &'f FunctionFacts, places: &mut Places<'f>) -> Spelling<'f> {
        let plain = plain_name(&facts.name);
        Spelling {
            facts,
            place: places.of(facts),
            plain,
            home_path: canonical_path(without_arguments(plain), false),
            is_closure: facts.name.contains('}') && {
                let name = linkage_without_suffix(&facts.name);
                name.ends_with('}') && plain.len() < name.len()
            },
        }
    }

    fn home(&self) -> (&str, &str) {
        (&self.place, &self.home_path)
    }

    fn key(&self) -> GroupKey<'_> {
        match (&self.facts.file, self.facts.line) {
            (Some(_), Some(line)) => {
                let bare = last_part(without_arguments(self.plain));
                GroupKey::Declared(&self.place, line, bare)
            }
            _ => GroupKey::Named(&self.place, &self.home_path),
        }
    }
}

/// Where functions stand: there are far fewer files than functions.
#[derive(Default)]
struct Places<'f>(FxHashMap<(Option<&'f str>, Option<&'f str>), Rc<str>>);

impl<'f> Places<'f> {
    fn of(&mut self, facts: &'f FunctionFacts) -> Rc<str> {
        let image = facts.image.as_deref().filter(|_| facts.file.is_none());
        let place = self.0.entry((facts.file.as_deref(), image));
        let place = place.or_insert_with_key(|key| match *key {
            (Some(file), _) => library_path(&normal_path(file)).into(),
            (None, Some(image)) => image_name(image).into(),
            (None, None) => "".into(),
        });
        Rc::clone(place)
    }
}

impl FunctionGroup {
    fn of(members: &[&Spelling<'_>], closures: Closures) -> FunctionGroup {
        let stable = |function: &&Spelling<'_>| match closures {
            Closures::Merged => without_arguments(function.plain).to_owned(),
            Closures::Apart => {
                without_arguments(linkage_without_suffix(&function.facts.name)).to_owned()
            }
        };
        let own = |function: &&&Spelling<'_>| closures == Closures::Apart || !function.is_closure;
        let first = members.first();
        let paths = |generics: bool| -> BTreeSet<String> {
            let plain = members.iter().map(|function| function.plain);
            plain.map(|name| canonical_path(name, generics)).collect()
        };
        // A body without its stub has only its own line.
        let lines = |only_own: bool| {
            let of = members.iter().filter(|function| !only_own || own(function));
            of.filter_map(|function| function.facts.line).min()
        };
        let linkage = members.iter().filter(own);
        let linkage = linkage.map(|function| &function.facts.linkage_name);
        let bare = first.map(|function| last_part(without_arguments(function.plain)));
        // Of several spellings of one function the shortest is the least peculiar.
        let names = members.iter().map(stable);
        let name = names.min_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        FunctionGroup {
            name: name.unwrap_or_default(),
            place: first.map_or_else(String::new, |function| function.place.to_string()),
            line: lines(true).or_else(|| lines(false)),
            has_file: first.is_some_and(|function| function.facts.file.is_some()),
            is_closure: closures == Closures::Apart
                && first.is_some_and(|function| function.is_closure),
            parent: first.map_or_else(String::new, |function| function.home_path.clone()),
            linkage: linkage
                .filter(|name| !name.is_empty())
                .map(|name| linkage_without_suffix(name).to_owned())
                .collect(),
            paths: paths(true),
            bare_paths: paths(false),
            bare: bare.unwrap_or_default().to_owned(),
        }
    }

    /// Whether one of its names says where it stands.
    fn is_mangled(&self) -> bool {
        self.linkage.iter().any(|name| is_mangled(name))
    }
}

/// On which rung a match was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// The same linkage name, but for the suffixes of clones.
    Linkage,
    /// The same path, with type arguments.
    Path,
    /// The same path without type arguments, in the same file.
    Place,
    /// The same last part of the path, in the same file.
    Name,
    /// The same closure of matched functions.
    Closure,
    /// The same line, mapped through a diff.
    Line,
}

/// Two groups that are the same function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionMatch {
    /// Index of the group of base.
    pub base: usize,
    /// Index of the group of head.
    pub head: usize,
    /// Where on the ladder it was found.
    pub rung: Rung,
}

/// Where the lines of base went, by a diff.
pub struct Moves {
    /// By path at base: path at head, and its lines.
    files: BTreeMap<String, (String, LineMap)>,
    roots: [String; 2],
}

impl Moves {
    /// By the files of a diff; `roots` are the checkouts of base and head, which declared files
    /// begin with.
    pub fn new(diff: &[FileDiff], roots: [&str; 2]) -> Moves {
        let both = diff.iter().filter_map(|file| {
            let (base, head) = (file.base.as_ref()?, file.head.as_ref()?);
            Some((base.display(), (head.display(), LineMap::new(&file.hunks))))
        });
        let clean = |root: &str| normal_path(root).trim_end_matches('/').to_owned();
        Moves {
            files: both.collect(),
            roots: roots.map(clean),
        }
    }

    fn head_place(&self, file: &str, line: u32) -> Option<(String, u32)> {
        let inner = file.strip_prefix(&self.roots[0])?.trim_start_matches('/');
        let (path, line) = match self.files.get(inner) {
            Some((path, lines)) => (path.as_str(), lines.head_line(line)?),
            None => (inner, line),
        };
        Some((format!("{}/{path}", self.roots[1]), line))
    }
}

/// Matches the groups of two builds, each at most once, in the order of base. `moves` adds the
/// rung of lines, where a diff is known.
pub fn match_groups(
    base: &FunctionGroups,
    head: &FunctionGroups,
    moves: Option<&Moves>,
) -> Vec<FunctionMatch> {
    let mut ladder = Ladder {
        base: &base.groups,
        head: &head.groups,
        files: pair_files(&base.groups, &head.groups),
        partner: vec![None; base.groups.len()],
        taken: vec![false; head.groups.len()],
    };
    ladder.climb(Rung::Linkage, Ties::Left, |ladder, side, at| {
        let group = ladder.group(side, at);
        // A plain name is only as good as its file.
        let file = match group.is_mangled() {
            true => String::new(),
            false => file_name(&ladder.file(side, at)).to_owned(),
        };
        keys(&group.linkage, group, &file)
    });
    ladder.climb(Rung::Path, Ties::Left, |ladder, side, at| {
        let group = ladder.group(side, at);
        keys(&group.paths, group, &ladder.file(side, at))
    });
    ladder.climb(Rung::Place, Ties::ByLine, |ladder, side, at| {
        let group = ladder.group(side, at);
        keys(&group.bare_paths, group, &ladder.file(side, at))
    });
    ladder.climb(Rung::Place, Ties::Left, |ladder, side, at| {
        let group = ladder.group(side, at);
        let is_path = group.bare_paths.iter().any(|path| path.contains("::"));
        match is_path || !group.has_file {
            true => keys(&group.bare_paths, group, ""),
            false => Vec::new(),
        }
    });
    ladder.climb(Rung::Name, Ties::ByLine, |ladder, side, at| {
        let group = ladder.group(side, at);
        match group.has_file && !group.is_closure {
            true => vec![format!("{}\0{}", ladder.file(side, at), group.bare)],
            false => Vec::new(),
        }
    });
    ladder.climb(Rung::Closure, Ties::ByLine, |ladder, side, at| {
        let group = ladder.group(side, at);
        match group.is_closure {
            true => vec![format!("{}\0{}", ladder.file(side, at), group.parent)],
            false => Vec::new(),
        }
    });
    if let Some(moves) = moves {
        ladder.climb(Rung::Line, Ties::Left, |ladder, side, at| {
            let group = ladder.group(side, at);
            let place = group
                .line
                .filter(|_| group.has_file)
                .and_then(|line| match side {
                    0 => moves.head_place(&group.place, line),
                    _ => Some((group.place.clone(), line)),
                });
            place
                .map(|(file, line)| format!("{file}\0{line}"))
                .into_iter()
                .collect()
        });
    }
    ladder.matches()
}

/// Keys of one rung, never those of a closure, whose number is no name.
fn keys(names: &BTreeSet<String>, group: &FunctionGroup, file: &str) -> Vec<String> {
    let names = names.iter().filter(|_| !group.is_closure);
    names.map(|name| format!("{file}\0{name}")).collect()
}

/// What becomes of several groups with one key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ties {
    /// They stay without a match on this rung.
    Left,
    /// They match in the order of their lines, where both sides have as many.
    ByLine,
}

struct Ladder<'g> {
    base: &'g [FunctionGroup],
    head: &'g [FunctionGroup],
    /// File at base to the same file at head, where they differ.
    files: BTreeMap<String, String>,
    partner: Vec<Option<(usize, Rung)>>,
    taken: Vec<bool>,
}

impl Ladder<'_> {
    fn group(&self, side: usize, at: usize) -> &FunctionGroup {
        match side {
            0 => &self.base[at],
            _ => &self.head[at],
        }
    }

    /// The place of a group, in the words of head.
    fn file(&self, side: usize, at: usize) -> String {
        let place = &self.group(side, at).place;
        match self.files.get(place).filter(|_| side == 0) {
            Some(other) => other.clone(),
            None => place.clone(),
        }
    }

    /// Matches what shares a key on this rung and is still free.
    fn climb(&mut self, rung: Rung, ties: Ties, keys: impl Fn(&Self, usize, usize) -> Vec<String>) {
        let mut all: Vec<(String, usize, usize)> = Vec::new();
        let free = |side: usize, at: usize| match side {
            0 => self.partner[at].is_none(),
            _ => !self.taken[at],
        };
        for (side, count) in [(0, self.base.len()), (1, self.head.len())] {
            for at in (0..count).filter(|&at| free(side, at)) {
                let keys = keys(self, side, at).into_iter();
                all.extend(keys.map(|key| (key, side, at)));
            }
        }
        all.sort_unstable();
        for same in all.chunk_by(|a, b| a.0 == b.0) {
            let of = |wanted: usize| same.iter().filter(move |(_, side, _)| *side == wanted);
            let base = of(0).map(|&(_, _, at)| at);
            let mut base: Vec<usize> = base.filter(|&at| self.partner[at].is_none()).collect();
            let head = of(1).map(|&(_, _, at)| at);
            let mut head: Vec<usize> = head.filter(|&at| !self.taken[at]).collect();
            if base.len() != head.len() || (ties == Ties::Left && base.len() != 1) {
                continue;
            }
            let line = |groups: &[FunctionGroup], at: usize| (groups[at].line, at);
            base.sort_by_key(|&at| line(self.base, at));
            head.sort_by_key(|&at| line(self.head, at));
            for (b, h) in base.into_iter().zip(head) {
                self.partner[b] = Some((h, rung));
                self.taken[h] = true;
            }
        }
    }

    fn matches(self) -> Vec<FunctionMatch> {
        let all = self.partner.into_iter().enumerate();
        all.filter_map(|(base, partner)| {
            partner.map(|(head, rung)| FunctionMatch { base, head, rung })
        })
        .collect()
    }
}

/// Which files of base are another file of head: the same file of another version of a crate, or
/// the file of the same name with the longest common end of the path.
fn pair_files(base: &[FunctionGroup], head: &[FunctionGroup]) -> BTreeMap<String, String> {
    let files = |groups: &[FunctionGroup]| -> BTreeSet<String> {
        let with_file = groups.iter().filter(|group| group.has_file);
        with_file.map(|group| group.place.clone()).collect()
    };
    let (base, head) = (files(base), files(head));
    let mut by_name: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for other in head.iter().filter(|other| !base.contains(*other)) {
        by_name.entry(file_name(other)).or_default().push(other);
    }
    let mut candidates = Vec::new();
    for file in base.iter().filter(|file| !head.contains(*file)) {
        for &other in by_name.get(file_name(file)).into_iter().flatten() {
            let end = match (crate_of(file), crate_of(other)) {
                (Some((a, _, x)), Some((b, _, y))) if a == b && x == y => usize::MAX,
                // Files of different crates are never the same.
                (Some(_), _) | (_, Some(_)) => continue,
                (None, None) => common_end(file, other),
            };
            candidates.push((end, file, other));
        }
    }
    candidates.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));
    let mut pairs = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for (_, file, other) in candidates {
        if !pairs.contains_key(file) && taken.insert(other) {
            pairs.insert(file.clone(), other.clone());
        }
    }
    pairs
}

/// How many components at the ends of two paths are the same.
fn common_end(a: &str, b: &str) -> usize {
    let parts = a.rsplit('/').zip(b.rsplit('/'));
    parts.take_while(|(a, b)| a == b).count()
}
