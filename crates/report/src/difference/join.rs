//! Which functions of two profiles are the same.

use std::collections::{BTreeMap, BTreeSet};

use hotproof_diff::changes::{stable_file, stable_image, stable_name};
use hotproof_profile::{Code, Id, Inline, LocationId, Profile, StackId, file_name};

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
    nowhere: RowId,
}

impl Join {
    /// Joins base, the first, with head.
    pub(super) fn of(profiles: [&Profile; 2]) -> Self {
        let [base, head] = profiles.map(keys_of);
        let pairs = pair(&base, &head);
        // Rows carry the keys of head; keys of base alone are their own rows.
        let nowhere = Key {
            name: "[unknown]".into(),
            place: String::new(),
        };
        let row_key = |key: &Key| pairs.get(key).unwrap_or(key).clone();
        let mut keys: BTreeSet<Key> = head.keys().cloned().collect();
        keys.extend(base.keys().map(row_key));
        keys.insert(nowhere.clone());
        let keys: Vec<Key> = keys.into_iter().collect();
        let row = |key: &Key| keys.binary_search(key).expect("every key has a row");
        let mut code = [vec![None; keys.len()], vec![None; keys.len()]];
        for (key, &first) in &base {
            code[0][row(&row_key(key))] = Some(first);
        }
        for (key, &first) in &head {
            code[1][row(key)] = Some(first);
        }
        let rows_at = |profile: &Profile, of: &dyn Fn(&Key) -> RowId| {
            let mut known: BTreeMap<Code, RowId> = BTreeMap::new();
            let mut at = Vec::with_capacity(profile.locations.len());
            for location in profile.locations.ids() {
                let codes = profile.code_at(location, Inline::Expand);
                let row = |code| *known.entry(code).or_insert_with(|| of(&key(profile, code)));
                at.push(codes.map(row).collect::<Vec<RowId>>());
            }
            at
        };
        let at = [
            rows_at(profiles[0], &|key| row(&row_key(key))),
            rows_at(profiles[1], &row),
        ];
        Join {
            nowhere: row(&nowhere),
            keys,
            code,
            at,
        }
    }

    /// The rows of a stack of base (0) or head (1), leaf first; never empty.
    pub(super) fn path<'a>(
        &'a self,
        side: usize,
        profile: &'a Profile,
        stack: Option<StackId>,
    ) -> impl Iterator<Item = RowId> + 'a {
        let at = move |location: LocationId| self.at[side][location.index()].iter().copied();
        let none = stack.is_none().then_some(self.nowhere);
        profile.path(stack).flat_map(at).chain(none)
    }
}

/// The functions at the locations of a profile, each with one of its codes.
fn keys_of(profile: &Profile) -> BTreeMap<Key, Code> {
    let mut keys = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for location in profile.locations.ids() {
        for code in profile.code_at(location, Inline::Expand) {
            if seen.insert(code) {
                keys.entry(key(profile, code)).or_insert(code);
            }
        }
    }
    keys
}

fn key(profile: &Profile, code: Code) -> Key {
    let text = |id| &profile.strings[id];
    match code {
        Code::Function(id) => {
            let row = &profile.functions[id];
            let image = || {
                row.image
                    .map(|id| stable_image(text(profile.images[id].path)))
            };
            Key {
                name: stable_name(text(row.name)).to_owned(),
                place: match row.file {
                    Some(file) => stable_file(text(file)),
                    None => image().unwrap_or_default().to_owned(),
                },
            }
        }
        Code::Unnamed(id) => {
            let path = text(profile.images[id].path);
            let image = stable_image(path).trim_matches(['[', ']']);
            Key {
                name: format!("[{image}]"),
                place: stable_image(path).to_owned(),
            }
        }
        Code::Unmapped => Key {
            name: profile.code_name(code),
            place: String::new(),
        },
    }
}

/// The keys of base that are another key at head: one name, a file of one name in another folder.
/// The longest common end of the paths decides; each key of head is taken once.
fn pair(base: &BTreeMap<Key, Code>, head: &BTreeMap<Key, Code>) -> BTreeMap<Key, Key> {
    let mut candidates = Vec::new();
    for key in base.keys().filter(|key| !head.contains_key(key)) {
        let least = Key {
            name: key.name.clone(),
            place: String::new(),
        };
        let same_name = head.range(least..).map(|(other, _)| other);
        for other in same_name.take_while(|other| other.name == key.name) {
            let fits = file_name(&key.place) == file_name(&other.place) && !key.place.is_empty();
            if fits && !base.contains_key(other) {
                candidates.push((common_end(&key.place, &other.place), key, other));
            }
        }
    }
    candidates.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));
    let mut pairs: BTreeMap<Key, Key> = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for (_, key, other) in candidates {
        if !pairs.contains_key(key) && taken.insert(other) {
            pairs.insert(key.clone(), other.clone());
        }
    }
    pairs
}

/// How many components at the ends of two paths are the same.
fn common_end(a: &str, b: &str) -> usize {
    let parts = a.rsplit('/').zip(b.rsplit('/'));
    parts.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_pair_across_folders_but_never_across_files() {
        let key = |name: &str, place: &str| Key {
            name: name.into(),
            place: place.into(),
        };
        let table = |keys: &[Key]| -> BTreeMap<Key, Code> {
            keys.iter()
                .map(|key| (key.clone(), Code::Unmapped))
                .collect()
        };
        let base = table(&[
            key("number", "/t/base/src/parse.rs"),
            key("number", "/t/base/src/lex.rs"),
            key("new", "/t/base/src/a/mod.rs"),
            key("new", "/t/base/src/b/mod.rs"),
            key("gone", "x"),
        ]);
        let head = table(&[
            key("number", "/t/head/src/parse.rs"),
            key("number", "/t/head/src/write.rs"),
            key("new", "/t/head/src/b/mod.rs"),
        ]);
        let pairs = pair(&base, &head);
        let expected = [
            (
                key("new", "/t/base/src/b/mod.rs"),
                key("new", "/t/head/src/b/mod.rs"),
            ),
            (
                key("number", "/t/base/src/parse.rs"),
                key("number", "/t/head/src/parse.rs"),
            ),
        ];
        assert_eq!(pairs, BTreeMap::from(expected));
    }
}
