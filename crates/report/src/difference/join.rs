//! Which functions of two profiles are the same.

use hotproof_diff::changes::{
    Closures, FunctionFacts, FunctionGroup, FunctionGroups, match_groups, stable_image,
};
use hotproof_profile::{Code, Id, Inline, LocationId, Profile, StackId};

/// A row number of the joined functions.
pub(super) type RowId = usize;

/// What identifies a function in one profile: its stable name, and its file or image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) name: String,
    /// File, else image; empty when neither is known.
    pub(super) place: String,
}

/// The functions of both profiles as rows of one table.
pub(super) struct Join {
    /// Of head where head has the function, else of base; sorted.
    pub(super) keys: Vec<Key>,
    /// Some code of each row in head, and in base.
    pub(super) code: [Vec<Option<Code>>; 2],
    /// Rows at each location, innermost first, of base and of head.
    at: [Vec<Vec<RowId>>; 2],
    /// The row of samples without a stack.
    pub(super) nowhere: RowId,
}

impl Join {
    /// Joins base, the first, with head.
    pub(super) fn of(profiles: [&Profile; 2]) -> Self {
        let [base, head] = profiles.map(Side::of);
        // Rows carry the keys of head; what base alone has carries its own.
        let mut base_keys: Vec<Key> = base.groups.groups.iter().map(Key::of).collect();
        for found in match_groups(&base.groups, &head.groups, None) {
            base_keys[found.base] = Key::of(&head.groups.groups[found.head]);
        }
        let head_keys: Vec<Key> = head.groups.groups.iter().map(Key::of).collect();
        let nowhere = Key {
            name: "[unknown]".into(),
            place: String::new(),
        };
        let sides = [(&base, base_keys), (&head, head_keys)];
        let sides = sides.map(|(side, keys)| side.keys(keys));
        let mut keys: Vec<Key> = sides.iter().flat_map(|side| &side.keys).cloned().collect();
        keys.push(nowhere.clone());
        keys.sort_unstable();
        keys.dedup();
        let row = |key: &Key| keys.binary_search(key).expect("every key has a row");
        let rows = sides.map(|side| {
            let row_of: Vec<RowId> = side.keys.iter().map(row).collect();
            let rows = side.of_code.into_iter();
            rows.map(|(code, key)| (code, row_of[key])).collect()
        });
        let code = [0, 1].map(|side: usize| {
            let mut code = vec![None; keys.len()];
            let rows: &Vec<(Code, RowId)> = &rows[side];
            for &(one, row) in rows {
                code[row].get_or_insert(one);
            }
            code
        });
        let at = [0, 1].map(|side: usize| {
            let (profile, rows): (&Profile, _) = (profiles[side], &rows[side]);
            let row = |code| {
                let found = rows.binary_search_by_key(&code, |row| row.0);
                found.ok().map(|found| rows[found].1)
            };
            let all = profile.locations.ids();
            all.map(|location| {
                let codes = profile.code_at(location, Inline::Expand);
                codes.filter_map(row).collect()
            })
            .collect()
        });
        Join {
            nowhere: row(&nowhere),
            keys,
            code,
            at,
        }
    }

    /// The rows at a location of base (0) or head (1), innermost first.
    pub(super) fn rows(&self, side: usize, location: LocationId) -> &[RowId] {
        &self.at[side][location.index()]
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
    /// Its functions, in the order of `codes`.
    groups: FunctionGroups,
}

impl<'p> Side<'p> {
    fn of(profile: &'p Profile) -> Self {
        let at = |location| profile.code_at(location, Inline::Expand);
        let mut codes: Vec<Code> = profile.locations.ids().flat_map(at).collect();
        codes.sort_unstable();
        codes.dedup();
        let functions = codes.iter().filter_map(|code| match code {
            Code::Function(id) => Some(FunctionFacts::of(profile, *id)),
            Code::Unnamed(_) | Code::Unmapped => None,
        });
        let facts: Vec<FunctionFacts> = functions.collect();
        Side {
            groups: FunctionGroups::of(&facts, Closures::Merged),
            profile,
            codes,
        }
    }

    /// The key of each code, with those of the groups as given.
    fn keys(&self, groups: Vec<Key>) -> CodeKeys {
        let mut keys = groups;
        let mut groups = self.groups.group_of.iter();
        let of_code = self.codes.iter().map(|&code| {
            let key = match code {
                // Functions are the codes that were grouped, in the same order.
                Code::Function(_) => match groups.next() {
                    Some(&group) => return (code, group),
                    None => unreachable!("every function is in a group"),
                },
                Code::Unnamed(id) => {
                    let path = &self.profile.strings[self.profile.images[id].path];
                    let image = stable_image(path).trim_matches(['[', ']']);
                    Key {
                        name: format!("[{image}]"),
                        place: stable_image(path).to_owned(),
                    }
                }
                Code::Unmapped => Key {
                    name: self.profile.code_name(code),
                    place: String::new(),
                },
            };
            keys.push(key);
            (code, keys.len() - 1)
        });
        let of_code = of_code.collect();
        CodeKeys { keys, of_code }
    }
}

/// Keys, and which of them each code has, in the order of code.
struct CodeKeys {
    keys: Vec<Key>,
    of_code: Vec<(Code, usize)>,
}

impl Key {
    fn of(group: &FunctionGroup) -> Key {
        Key {
            name: group.name.clone(),
            place: group.place.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_pair_across_folders_but_never_across_files() {
        let groups = |functions: &[(&str, &str)]| {
            let facts: Vec<FunctionFacts> = functions
                .iter()
                .map(|&(name, file)| FunctionFacts {
                    name: name.into(),
                    file: Some(file.into()),
                    ..FunctionFacts::default()
                })
                .collect();
            FunctionGroups::of(&facts, Closures::Merged)
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
                let place = |groups: &FunctionGroups, at: usize| groups.groups[at].place.clone();
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
