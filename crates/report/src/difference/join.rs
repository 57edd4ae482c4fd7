//! Which functions of two profiles are the same.

use std::borrow::Cow;
use std::rc::Rc;

use hotproof_diff::changes::{
    Closures, FunctionFacts, FunctionGroup, FunctionGroups, Rung, match_groups, stable_image,
};
use hotproof_profile::{Code, Id, Inline, LocationId, Profile, StackId};

/// A row number of the joined functions.
pub(super) type RowId = usize;

/// What identifies a function in one profile: its stable name, and its file or image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<'p> {
    pub(super) name: Cow<'p, str>,
    /// File, else image; empty when neither is known.
    pub(super) place: Rc<str>,
}

/// The functions of both profiles as rows of one table.
pub(super) struct Join<'p> {
    /// Of head where head has the function, else of base, and of the one with a file; sorted.
    pub(super) keys: Vec<Key<'p>>,
    /// Some code of each row in base, and in head.
    pub(super) code: [Vec<Option<Code>>; 2],
    /// Of base and of head.
    at: [RowsAt; 2],
    /// The row of samples without a stack.
    pub(super) nowhere: RowId,
    /// Functions of which only one side has a file, so that their names alone join them.
    pub(super) by_name: usize,
}

impl<'p> Join<'p> {
    /// Joins base, the first, with head.
    pub(super) fn of(profiles: [&'p Profile; 2]) -> Self {
        let sides = profiles.map(Side::of);
        let [base, head] = sides.each_ref().map(Side::groups);
        let mut keys = Keys::default();
        // Rows carry the keys of head; what base alone has carries its own.
        let mut of_base = vec![None; base.groups.len()];
        let mut of_head = vec![None; head.groups.len()];
        let mut by_name = 0;
        for found in match_groups(&base, &head, None) {
            let (b, h) = (&base.groups[found.base], &head.groups[found.head]);
            by_name += usize::from(found.rung == Rung::Fileless);
            // The one that says more.
            let key = keys.of(if b.has_file && !h.has_file { b } else { h });
            of_base[found.base] = Some(key);
            of_head[found.head] = Some(key);
        }
        let mut all = |known: Vec<Option<usize>>, groups: &FunctionGroups<'p>| -> Vec<usize> {
            let alone = known.into_iter().zip(&groups.groups);
            let all = alone.map(|(known, group)| known.unwrap_or_else(|| keys.of(group)));
            all.collect()
        };
        let (of_base, of_head) = (all(of_base, &base), all(of_head, &head));
        let of_code = [
            sides[0].keys(&base, &of_base, &mut keys),
            sides[1].keys(&head, &of_head, &mut keys),
        ];
        let nowhere = keys.push("[unknown]".into(), "".into());
        let (keys, row_of) = keys.into_rows();
        let rows = of_code.map(|of_code| of_code.map(|key| row_of[key]));
        let code = [0, 1].map(|side: usize| {
            let mut code = vec![None; keys.len()];
            for &one in &sides[side].codes {
                code[*rows[side].at(one)].get_or_insert(one);
            }
            code
        });
        Join {
            nowhere: row_of[nowhere],
            keys,
            code,
            at: [0, 1].map(|side: usize| RowsAt::of(profiles[side], &rows[side])),
            by_name,
        }
    }

    /// The rows at a location of base (0) or head (1), innermost first.
    pub(super) fn rows(&self, side: usize, location: LocationId) -> &[RowId] {
        self.at[side].of_location(location)
    }

    /// The rows of a stack of base (0) or head (1), leaf first; never empty.
    pub(super) fn path<'a>(
        &'a self,
        side: usize,
        profile: &'a Profile,
        stack: Option<StackId>,
    ) -> impl Iterator<Item = RowId> + 'a {
        let at = move |location: LocationId| self.rows(side, location).iter().copied();
        let none = stack.is_none().then_some(self.nowhere);
        profile.path(stack).flat_map(at).chain(none)
    }
}

/// The code of one profile.
struct Side<'p> {
    profile: &'p Profile,
    /// All code at its locations, sorted.
    codes: Vec<Code>,
}

impl<'p> Side<'p> {
    fn of(profile: &'p Profile) -> Self {
        let mut is_there = ByCode::new(profile, false);
        for location in profile.locations.ids() {
            for code in profile.code_at(location, Inline::Expand) {
                *is_there.at_mut(code) = true;
            }
        }
        let functions = profile.functions.ids().map(Code::Function);
        let images = profile.images.ids().map(Code::Unnamed);
        let all = functions.chain(images).chain([Code::Unmapped]);
        Side {
            profile,
            codes: all.filter(|&code| *is_there.at(code)).collect(),
        }
    }

    /// Its functions, in the order of `codes`.
    fn groups(&self) -> FunctionGroups<'p> {
        let functions = self.codes.iter().filter_map(|code| match code {
            Code::Function(id) => Some(FunctionFacts::of(self.profile, *id)),
            Code::Unnamed(_) | Code::Unmapped => None,
        });
        let facts: Vec<FunctionFacts> = functions.collect();
        FunctionGroups::of(&facts, Closures::Merged)
    }

    /// The key of each code, with those of the groups as given.
    fn keys(
        &self,
        groups: &FunctionGroups<'p>,
        of_group: &[usize],
        keys: &mut Keys<'p>,
    ) -> ByCode<usize> {
        let mut of_code = ByCode::new(self.profile, 0);
        // Functions are the codes that were grouped, in the same order.
        let mut grouped = groups.group_of.iter().map(|&group| of_group[group]);
        for &code in &self.codes {
            *of_code.at_mut(code) = match code {
                Code::Function(_) => grouped.next().expect("every function is in a group"),
                Code::Unnamed(id) => {
                    let path = &self.profile.strings[self.profile.images[id].path];
                    let image = stable_image(path).trim_matches(['[', ']']);
                    keys.push(format!("[{image}]").into(), stable_image(path).into())
                }
                Code::Unmapped => keys.push(self.profile.code_name(code).into(), "".into()),
            };
        }
        of_code
    }
}

/// A value for all code of a profile.
struct ByCode<T> {
    functions: Vec<T>,
    images: Vec<T>,
    unmapped: T,
}

impl<T: Copy> ByCode<T> {
    fn new(profile: &Profile, value: T) -> Self {
        ByCode {
            functions: vec![value; profile.functions.len()],
            images: vec![value; profile.images.len()],
            unmapped: value,
        }
    }

    fn at(&self, code: Code) -> &T {
        match code {
            Code::Function(id) => &self.functions[id.index()],
            Code::Unnamed(id) => &self.images[id.index()],
            Code::Unmapped => &self.unmapped,
        }
    }

    fn at_mut(&mut self, code: Code) -> &mut T {
        match code {
            Code::Function(id) => &mut self.functions[id.index()],
            Code::Unnamed(id) => &mut self.images[id.index()],
            Code::Unmapped => &mut self.unmapped,
        }
    }

    fn map(self, change: impl Fn(T) -> T) -> Self {
        ByCode {
            functions: self.functions.into_iter().map(&change).collect(),
            images: self.images.into_iter().map(&change).collect(),
            unmapped: change(self.unmapped),
        }
    }
}

/// Keys as they come, those of one row several times.
#[derive(Default)]
struct Keys<'p>(Vec<Key<'p>>);

impl<'p> Keys<'p> {
    fn push(&mut self, name: Cow<'p, str>, place: Rc<str>) -> usize {
        self.0.push(Key { name, place });
        self.0.len() - 1
    }

    fn of(&mut self, group: &FunctionGroup<'p>) -> usize {
        self.push(group.name.into(), Rc::clone(&group.place))
    }

    /// The keys in order, each once, and where each of these stands there.
    fn into_rows(self) -> (Vec<Key<'p>>, Vec<RowId>) {
        let mut sorted: Vec<(usize, Key)> = self.0.into_iter().enumerate().collect();
        sorted.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        let mut rows: Vec<Key> = Vec::with_capacity(sorted.len());
        let mut row_of = vec![0; sorted.len()];
        for (number, key) in sorted {
            if rows.last() != Some(&key) {
                rows.push(key);
            }
            row_of[number] = rows.len() - 1;
        }
        (rows, row_of)
    }
}

/// The rows at each location of a profile, innermost first.
struct RowsAt {
    rows: Vec<RowId>,
    /// Where those of a location end; they begin where those of the one before end.
    ends: Vec<usize>,
}

impl RowsAt {
    fn of(profile: &Profile, row_of: &ByCode<RowId>) -> Self {
        let mut at = RowsAt {
            rows: Vec::with_capacity(profile.locations.len()),
            ends: Vec::with_capacity(profile.locations.len()),
        };
        for location in profile.locations.ids() {
            let codes = profile.code_at(location, Inline::Expand);
            at.rows.extend(codes.map(|code| *row_of.at(code)));
            at.ends.push(at.rows.len());
        }
        at
    }

    fn of_location(&self, location: LocationId) -> &[RowId] {
        let at = location.index();
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.rows[start..self.ends[at]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_pair_across_folders_but_never_across_files() {
        let groups = |functions: &[(&'static str, &'static str)]| {
            let facts = functions.iter().map(|&(name, file)| FunctionFacts {
                name,
                file: Some(file),
                ..FunctionFacts::default()
            });
            FunctionGroups::of(&facts.collect::<Vec<_>>(), Closures::Merged)
        };
        let base = groups(&[
            ("number", "/t/base/src/parse.rs"),
            ("number", "/t/base/src/lex.rs"),
            ("new", "/t/base/src/a/mod.rs"),
            ("new", "/t/base/src/b/mod.rs"),
            ("gone", "x"),
        ]);
        let head = groups(&[
            ("number", "/t/head/src/parse.rs"),
            ("number", "/t/head/src/write.rs"),
            ("new", "/t/head/src/b/mod.rs"),
        ]);
        let mut pairs: Vec<(String, String)> = match_groups(&base, &head, None)
            .iter()
            .map(|found| {
                let place =
                    |groups: &FunctionGroups, at: usize| groups.groups[at].place.to_string();
                (place(&base, found.base), place(&head, found.head))
            })
            .collect();
        pairs.sort();
        let expected = [
            ("/t/base/src/b/mod.rs", "/t/head/src/b/mod.rs"),
            ("/t/base/src/parse.rs", "/t/head/src/parse.rs"),
        ];
        assert_eq!(pairs, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
