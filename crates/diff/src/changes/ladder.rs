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
//! | [`Rung::Fileless`] | a plain name, where one build knows no file; in images of the same name first | a build without debug information | `area` of a build without `-g` is `area` in `m.c` of one with it |
//! | [`Rung::Line`] | the declared line, mapped through the renames and hunks of a diff | renaming | `old` in line 10 is `new` in line 14 |
//!
//! The file of a rung is the same when it is the same below the registry, the toolchain or the
//! checkout: `foo-1.2.3/src/a.rs` is `foo-1.2.4/src/a.rs`, and `/home/a/demo/src/m.rs` is
//! `/ci/b/demo/src/m.rs` when no other file of that name shares a longer end of the path.
//!
//! A plain name of C says nothing of where it stands: without a mangled path, functions in files
//! of different names never match. Only where one of the two has no file at all is the name what there
//! is to go by.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use hotproof_profile::{FunctionId, Profile, file_name};

use rustc_hash::{FxHashMap, FxHashSet};

use super::changed::last_part;
use super::dependencies::crate_of;
use super::diff::FileDiff;
use super::identity::{
    canonical_path, image_name, is_mangled, library_path, linkage_without_suffix, normal_path,
    plain_name, without_arguments,
};
use super::pairing::LineMap;

/// What one build says of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FunctionFacts<'f> {
    /// Demangled name.
    pub name: &'f str,
    /// As the linker has it; empty when unknown.
    pub linkage_name: &'f str,
    /// Declared file.
    pub file: Option<&'f str>,
    /// Declared line, counted from 1.
    pub line: Option<u32>,
    /// Path of the image that holds it.
    pub image: Option<&'f str>,
}

impl<'f> FunctionFacts<'f> {
    /// What a profile says.
    pub fn of(profile: &'f Profile, id: FunctionId) -> FunctionFacts<'f> {
        let row = &profile.functions[id];
        let text = |id| &profile.strings[id];
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
pub struct FunctionGroup<'f> {
    /// Its name without hashes, suffixes and type arguments.
    pub name: &'f str,
    /// Declared file as [`super::stable_file`] shows it, else the image's name; empty when
    /// neither is known.
    pub place: Rc<str>,
    /// Declared line, the smallest when several are known.
    pub line: Option<u32>,
    /// Whether `place` is a file.
    pub has_file: bool,
    is_closure: bool,
    members: Range<usize>,
}

/// The functions of one build in groups.
///
/// Most groups find their match by their linkage names, so what the other rungs look at is read out
/// of the names of a group only when it gets there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FunctionGroups<'f> {
    /// In the order of place, line and name.
    pub groups: Vec<FunctionGroup<'f>>,
    /// The group of each function that was given, in its order.
    pub group_of: Vec<usize>,
    /// The functions, those of one group in a row.
    members: Vec<Spelling<'f>>,
}

/// What tells groups of one build apart: numbers of places, lines and names.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum GroupKey<'s> {
    Declared(u32, u32, &'s str),
    Named(u32, &'s str),
}

impl<'f> FunctionGroups<'f> {
    /// Groups functions. What is declared at one line under one name is one function; without a
    /// line, the path without type arguments decides.
    pub fn of(functions: &[FunctionFacts<'f>], closures: Closures) -> FunctionGroups<'f> {
        let (mut all, places) = spellings(functions, closures);
        let keys = keys_of_groups(&all, closures);
        let mut sorted: Vec<usize> = (0..all.len()).collect();
        sorted.sort_by_key(|&at| keys[at]);
        let mut group_of = vec![0; all.len()];
        let mut groups = Vec::new();
        let mut start = 0;
        for same in sorted.chunk_by(|&a, &b| keys[a] == keys[b]) {
            for &at in same {
                group_of[at] = groups.len();
            }
            let members = start..start + same.len();
            start = members.end;
            let spellings = || same.iter().map(|&at| &all[at]);
            groups.push(FunctionGroup::of(spellings, members, &places, closures));
        }
        let members = sorted.iter().map(|&at| std::mem::take(&mut all[at]));
        FunctionGroups {
            members: members.collect(),
            groups,
            group_of,
        }
    }

    fn members(&self, at: usize) -> &[Spelling<'f>] {
        &self.members[self.groups[at].members.clone()]
    }

    /// The linkage names of a group without the suffixes of clones, but not those of its closures.
    fn linkage_names(&self, at: usize) -> impl Iterator<Item = &'f str> {
        let named =
            |function: &&Spelling| function.is_own && !function.facts.linkage_name.is_empty();
        let members = self.members(at).iter().filter(named);
        members.map(|function| linkage_without_suffix(function.facts.linkage_name))
    }

    /// The paths of a group with their type arguments.
    fn paths(&self, at: usize) -> impl Iterator<Item = Cow<'f, str>> {
        let members = self.members(at).iter();
        members.map(|function| canonical_path(function.plain, true))
    }

    /// The paths of a group without type arguments.
    fn bare_paths(&self, at: usize) -> impl Iterator<Item = Cow<'f, str>> {
        let members = self.members(at).iter();
        members.map(|function| canonical_path(function.plain, false))
    }
}

/// The key of each function's group.
fn keys_of_groups<'s>(all: &'s [Spelling<'_>], closures: Closures) -> Vec<GroupKey<'s>> {
    // The body of a closure lies at a line of its own: its function is found by its path.
    let mut homes: FxHashMap<(u32, &str), GroupKey> = FxHashMap::default();
    for function in all.iter().filter(|function| !function.is_closure) {
        let Some(path) = function.home_path.as_deref() else {
            continue;
        };
        let key = function.key();
        homes
            .entry((function.place, path))
            .and_modify(|known| *known = key.min(*known))
            .or_insert(key);
    }
    let key = |function: &'s Spelling<'_>| match (function.is_closure, closures) {
        (true, Closures::Merged) => {
            let (place, path) = (function.place, function.home());
            let alone = GroupKey::Named(place, path);
            homes.get(&(place, path)).copied().unwrap_or(alone)
        }
        _ => function.key(),
    };
    all.iter().map(key).collect()
}

/// What is read out of the facts of a function, once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Spelling<'f> {
    facts: FunctionFacts<'f>,
    /// The number of its place in the order of all.
    place: u32,
    /// The name without hash, suffixes and closures.
    plain: &'f str,
    /// The last part of that without type arguments.
    bare: &'f str,
    /// The path of the function, or of that around a closure, without type arguments; `None` where
    /// nothing depends on it.
    home_path: Option<Cow<'f, str>>,
    is_closure: bool,
    /// Whether its line and its linkage name are those of its group.
    is_own: bool,
}

/// Reads out all functions; also their places, in order.
fn spellings<'f>(
    functions: &[FunctionFacts<'f>],
    closures: Closures,
) -> (Vec<Spelling<'f>>, Vec<Rc<str>>) {
    let mut places = Places::default();
    let read = |facts| Spelling::of(facts, &mut places, closures);
    let mut all: Vec<Spelling> = functions.iter().map(read).collect();
    let (places, order) = places.in_order();
    for function in &mut all {
        function.place = order[function.place as usize];
    }
    let inner = all.iter().filter(|function| function.is_closure);
    let with_closures: FxHashSet<u32> = inner.map(|function| function.place).collect();
    for function in &mut all {
        if !function.is_declared() || with_closures.contains(&function.place) {
            let path = canonical_path(without_arguments(function.plain), false);
            function.home_path = Some(path);
        }
    }
    (all, places)
}

impl<'f> Spelling<'f> {
    /// Its place is numbered in the order of coming.
    fn of(facts: &FunctionFacts<'f>, places: &mut Places<'f>, closures: Closures) -> Self {
        let plain = plain_name(facts.name);
        let is_closure = facts.name.contains('}') && {
            let name = linkage_without_suffix(facts.name);
            name.ends_with('}') && plain.len() < name.len()
        };
        Spelling {
            facts: *facts,
            place: places.number(facts),
            plain,
            bare: last_part(without_arguments(plain)),
            home_path: None,
            is_closure,
            is_own: closures == Closures::Apart || !is_closure,
        }
    }

    fn is_declared(&self) -> bool {
        self.facts.file.is_some() && self.facts.line.is_some()
    }

    fn home(&self) -> &str {
        self.home_path.as_deref().unwrap_or_default()
    }

    fn key(&self) -> GroupKey<'_> {
        match (self.facts.file, self.facts.line) {
            (Some(_), Some(line)) => GroupKey::Declared(self.place, line, self.bare),
            _ => GroupKey::Named(self.place, self.home()),
        }
    }
}

/// Where functions stand: there are far fewer files than functions.
#[derive(Default)]
struct Places<'f> {
    numbers: FxHashMap<(Option<&'f str>, Option<&'f str>), u32>,
    texts: Vec<Cow<'f, str>>,
}

impl<'f> Places<'f> {
    fn number(&mut self, facts: &FunctionFacts<'f>) -> u32 {
        let image = facts.image.filter(|_| facts.file.is_none());
        let texts = &mut self.texts;
        let number = self.numbers.entry((facts.file, image));
        *number.or_insert_with_key(|&key| {
            texts.push(match key {
                (Some(file), _) => library_path(&normal_path(file)).into_owned().into(),
                (None, Some(image)) => image_name(image).into(),
                (None, None) => "".into(),
            });
            u32::try_from(texts.len() - 1).expect("fewer places than functions")
        })
    }

    /// All places in order, each once, and where each number stands there.
    fn in_order(self) -> (Vec<Rc<str>>, Vec<u32>) {
        let mut sorted: Vec<usize> = (0..self.texts.len()).collect();
        sorted.sort_by_key(|&number| &self.texts[number]);
        let mut places: Vec<Rc<str>> = Vec::new();
        let mut order = vec![0; sorted.len()];
        for number in sorted {
            let text = &self.texts[number];
            if places.last().is_none_or(|last| **last != **text) {
                places.push(Rc::from(&**text));
            }
            order[number] = u32::try_from(places.len() - 1).expect("fewer places than numbers");
        }
        (places, order)
    }
}

impl<'f> FunctionGroup<'f> {
    /// The group of spellings, of which there is at least one.
    fn of<'s, M: Iterator<Item = &'s Spelling<'f>>>(
        spellings: impl Fn() -> M,
        members: Range<usize>,
        places: &[Rc<str>],
        closures: Closures,
    ) -> FunctionGroup<'f>
    where
        'f: 's,
    {
        let stable = |function: &Spelling<'f>| match closures {
            Closures::Merged => without_arguments(function.plain),
            Closures::Apart => without_arguments(linkage_without_suffix(function.facts.name)),
        };
        // A body without its stub has only its own line.
        let lines = |only_own: bool| {
            let of = spellings().filter(|function| !only_own || function.is_own);
            of.filter_map(|function| function.facts.line).min()
        };
        // Of several spellings of one function the shortest is the least peculiar.
        let names = spellings().map(stable);
        let name = names.min_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        let first = spellings().next();
        let place = first.map(|function| Rc::clone(&places[function.place as usize]));
        FunctionGroup {
            name: name.unwrap_or_default(),
            place: place.unwrap_or_else(|| "".into()),
            line: lines(true).or_else(|| lines(false)),
            has_file: first.is_some_and(|function| function.facts.file.is_some()),
            is_closure: closures == Closures::Apart
                && first.is_some_and(|function| function.is_closure),
            members,
        }
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
    /// The same name, where one side has no file.
    Fileless,
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
    base: &FunctionGroups<'_>,
    head: &FunctionGroups<'_>,
    moves: Option<&Moves>,
) -> Vec<FunctionMatch> {
    let mut ladder = Ladder {
        sides: [base, head],
        files: pair_files(&base.groups, &head.groups),
        partner: vec![None; base.groups.len()],
        taken: vec![false; head.groups.len()],
    };
    ladder.climb(Rung::Linkage, Ties::Left, |step| {
        let names = || step.groups.linkage_names(step.at);
        // A plain name is only as good as its file.
        let file = match names().any(is_mangled) {
            true => "",
            false => file_name(step.file),
        };
        step.keys(file, names().map(Cow::Borrowed))
    });
    ladder.climb(Rung::Path, Ties::Left, |step| {
        step.keys(step.file, step.groups.paths(step.at))
    });
    ladder.climb(Rung::Place, Ties::ByLine, |step| {
        step.keys(step.file, step.groups.bare_paths(step.at))
    });
    ladder.climb(Rung::Place, Ties::Left, |step| {
        let mut paths = step.groups.bare_paths(step.at);
        let is_known = !step.group().has_file || paths.any(|path| path.contains("::"));
        let paths = step.groups.bare_paths(step.at);
        step.keys("", paths.filter(move |_| is_known))
    });
    ladder.climb(Rung::Name, Ties::ByLine, |step| {
        let name = step.group().has_file.then(|| step.first().bare.into());
        step.keys(step.file, name.into_iter())
    });
    ladder.climb(Rung::Closure, Ties::ByLine, |step| {
        let parent = || (step.file.into(), step.first().home().into());
        step.group().is_closure.then(parent).into_iter()
    });
    for same_image in [true, false] {
        ladder.climb(Rung::Fileless, Ties::Left, |step| {
            // Never two with a file each, and never two without.
            let known_at_base = (step.side == 0) == step.group().has_file;
            let image = step.first().facts.image.filter(|_| same_image);
            let place = format!("{known_at_base} {}", image.map_or("", image_name));
            // Paths were looked for without their files above.
            let is_plain = !step.first().plain.contains("::");
            let names = is_plain.then(|| step.groups.bare_paths(step.at));
            let keys = step.keys("", names.into_iter().flatten());
            keys.map(move |(_, name)| (place.clone().into(), name))
        });
    }
    if let Some(moves) = moves {
        ladder.climb(Rung::Line, Ties::Left, |step| {
            let group = step.group();
            let line = group.line.filter(|_| group.has_file);
            let place = line.and_then(|line| match step.side {
                0 => moves.head_place(&group.place, line),
                _ => Some((group.place.to_string(), line)),
            });
            let key = |(file, line): (String, u32)| (file.into(), line.to_string().into());
            place.map(key).into_iter()
        });
    }
    ladder.matches()
}

/// What groups share on a rung: a file, and a name in it.
type Key<'g> = (Cow<'g, str>, Cow<'g, str>);

/// A group on a rung.
#[derive(Clone, Copy)]
struct Step<'g> {
    groups: &'g FunctionGroups<'g>,
    /// 0 is base, 1 is head.
    side: usize,
    at: usize,
    /// Its place, in the words of head.
    file: &'g str,
}

impl<'g> Step<'g> {
    fn group(self) -> &'g FunctionGroup<'g> {
        &self.groups.groups[self.at]
    }

    fn first(self) -> &'g Spelling<'g> {
        &self.groups.members(self.at)[0]
    }

    /// Its keys, but never those of a closure, whose number is no name.
    fn keys(
        self,
        file: &'g str,
        names: impl Iterator<Item = Cow<'g, str>>,
    ) -> impl Iterator<Item = Key<'g>> {
        let is_closure = self.group().is_closure;
        let names = names.filter(move |_| !is_closure);
        names.map(move |name| (file.into(), name))
    }
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
    /// Base and head.
    sides: [&'g FunctionGroups<'g>; 2],
    /// File at base to the same file at head, where they differ.
    files: BTreeMap<&'g str, &'g str>,
    partner: Vec<Option<(usize, Rung)>>,
    taken: Vec<bool>,
}

impl<'g> Ladder<'g> {
    fn step(&self, side: usize, at: usize) -> Step<'g> {
        let groups = self.sides[side];
        let place = &*groups.groups[at].place;
        let moved = self.files.get(place).filter(|_| side == 0);
        Step {
            groups,
            side,
            at,
            file: moved.copied().unwrap_or(place),
        }
    }

    /// Matches what shares a key on this rung and is still free.
    fn climb<K>(&mut self, rung: Rung, ties: Ties, keys: impl Fn(Step<'g>) -> K)
    where
        K: Iterator<Item = Key<'g>>,
    {
        let mut all: Vec<(Key<'g>, usize, usize)> = Vec::new();
        let free = |side: usize, at: usize| match side {
            0 => self.partner[at].is_none(),
            _ => !self.taken[at],
        };
        for (side, groups) in self.sides.into_iter().enumerate() {
            for at in (0..groups.groups.len()).filter(|&at| free(side, at)) {
                let keys = keys(self.step(side, at));
                all.extend(keys.map(|key| (key, side, at)));
            }
        }
        all.sort_unstable();
        // Several functions of a group have one name.
        all.dedup();
        for same in all.chunk_by(|a, b| a.0 == b.0) {
            let of = |wanted: usize| same.iter().filter(move |(_, side, _)| *side == wanted);
            let base = of(0).map(|&(_, _, at)| at);
            let mut base: Vec<usize> = base.filter(|&at| self.partner[at].is_none()).collect();
            let head = of(1).map(|&(_, _, at)| at);
            let mut head: Vec<usize> = head.filter(|&at| !self.taken[at]).collect();
            if base.len() != head.len() || (ties == Ties::Left && base.len() != 1) {
                continue;
            }
            let line = |side: usize, at: usize| (self.sides[side].groups[at].line, at);
            base.sort_by_key(|&at| line(0, at));
            head.sort_by_key(|&at| line(1, at));
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
fn pair_files<'g>(
    base: &'g [FunctionGroup<'_>],
    head: &'g [FunctionGroup<'_>],
) -> BTreeMap<&'g str, &'g str> {
    let (base, head) = (files_of(base), files_of(head));
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for &other in head.difference(&base) {
        by_name.entry(file_name(other)).or_default().push(other);
    }
    let mut candidates = Vec::new();
    for &file in base.difference(&head) {
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
            pairs.insert(file, other);
        }
    }
    pairs
}

/// The files of groups, which are in the order of their places.
fn files_of<'g>(groups: &'g [FunctionGroup<'_>]) -> BTreeSet<&'g str> {
    let with_file = groups.iter().filter(|group| group.has_file);
    let mut files: Vec<&str> = with_file.map(|group| &*group.place).collect();
    files.dedup();
    files.into_iter().collect()
}

/// How many components at the ends of two paths are the same.
fn common_end(a: &str, b: &str) -> usize {
    let parts = a.rsplit('/').zip(b.rsplit('/'));
    parts.take_while(|(a, b)| a == b).count()
}
