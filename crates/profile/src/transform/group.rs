//! Frames by what they belong to.

use rustc_hash::FxHashMap;

use super::Group;
use super::stacks::{NewStacks, named_location, replace};
use crate::code::{Code, Inline};
use crate::id::{Id, LocationId, StackId};
use crate::profile::Profile;

pub(super) fn group(profile: Profile, group: Group) -> Profile {
    match group {
        Group::Thread | Group::Process => under_roots(profile, group),
        Group::Image | Group::Crate | Group::File => gathered(profile, group),
    }
}

/// A frame above each stack that says whose it is. Samples without a stack get it too.
fn under_roots(mut profile: Profile, group: Group) -> Profile {
    let mut by_name: FxHashMap<String, LocationId> = FxHashMap::default();
    let mut roots = Vec::with_capacity(profile.threads.len());
    for id in profile.threads.ids() {
        let row = &profile.threads[id];
        let name = match group {
            Group::Process => {
                let process = &profile.processes[row.process];
                format!("process {}", &profile.strings[process.name])
            }
            _ => format!("thread {}", &profile.strings[row.name]),
        };
        let known = by_name.get(&name).copied();
        let root = known.unwrap_or_else(|| named_location(&mut profile, &name, None));
        by_name.insert(name, root);
        roots.push(root);
    }
    let mut stacks = NewStacks::default();
    let mut new: FxHashMap<(LocationId, Option<StackId>), Option<StackId>> = FxHashMap::default();
    for row in 0..profile.samples.len() {
        let root = roots[profile.samples.thread[row].index()];
        let old = profile.samples.stack[row];
        let stack = new.entry((root, old)).or_insert_with(|| {
            let mut path: Vec<LocationId> = profile.path(old).collect();
            path.push(root);
            stacks.extend(None, path.into_iter().rev())
        });
        profile.samples.stack[row] = *stack;
    }
    profile.stacks = stacks.table;
    profile
}

/// Each run of neighbouring frames of one group as one frame.
fn gathered(mut profile: Profile, group: Group) -> Profile {
    let mut by_name: FxHashMap<String, LocationId> = FxHashMap::default();
    let mut at: Vec<Vec<LocationId>> = Vec::with_capacity(profile.locations.len());
    let old: Vec<LocationId> = profile.locations.ids().collect();
    for location in old {
        let codes: Vec<Code> = profile.code_at(location, Inline::Expand).collect();
        let mut groups = Vec::with_capacity(codes.len());
        for code in codes.into_iter().rev() {
            let name = group_name(&profile, location, code, group);
            let known = by_name.get(&name).copied();
            let id = known.unwrap_or_else(|| {
                let is_file = group == Group::File && !name.starts_with('[');
                let file = is_file.then(|| profile.strings.intern(&name));
                named_location(&mut profile, &name, file)
            });
            by_name.insert(name, id);
            groups.push(id);
        }
        at.push(groups);
    }
    let mut stacks = NewStacks::default();
    let mut new: Vec<Option<StackId>> = Vec::with_capacity(profile.stacks.len());
    for (_, row) in profile.stacks.iter() {
        let mut stack = row.parent.and_then(|id| new[id.index()]);
        for &location in &at[row.location.index()] {
            if stack.is_none_or(|above| stacks.table[above].location != location) {
                stack = Some(stacks.intern(stack, location));
            }
        }
        new.push(stack);
    }
    replace(&mut profile, stacks, &new);
    profile
}

fn group_name(profile: &Profile, location: LocationId, code: Code, group: Group) -> String {
    let function = match code {
        Code::Function(id) => Some(&profile.functions[id]),
        Code::Unnamed(_) | Code::Unmapped => None,
    };
    let file = function
        .and_then(|row| row.file)
        .map(|id| &profile.strings[id]);
    let group = match group {
        Group::File => file.map(ToOwned::to_owned),
        Group::Crate => function
            .and_then(|row| crate_name(&profile.strings[row.name], file))
            .map(ToOwned::to_owned),
        Group::Image | Group::Thread | Group::Process => None,
    };
    group.unwrap_or_else(|| {
        let named = function.and_then(|row| row.image);
        match profile.locations[location].image.or(named) {
            Some(image) => profile.code_name(Code::Unnamed(image)),
            None => profile.code_name(Code::Unmapped),
        }
    })
}

/// The crate of a Rust function, the outermost namespace of a C++ one; `None` for C.
///
/// A package of a registry is known by its folder, the language's own by theirs; else the first
/// part of the path in the name tells, which for `<T as Trait>::f` is that of `T`.
fn crate_name<'a>(name: &'a str, file: Option<&'a str>) -> Option<&'a str> {
    file.and_then(library_crate).or_else(|| {
        let name = name.trim_start_matches(['<', '&', '*', '(', '[']);
        let name = ["mut ", "const ", "dyn "]
            .iter()
            .fold(name, |name, word| name.strip_prefix(word).unwrap_or(name));
        let (first, _) = name.split_once("::")?;
        let plain = first
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '$');
        (plain && !first.is_empty()).then_some(first)
    })
}

/// The crate that a library's path names: `serde` of `.../registry/src/INDEX/serde-1.0.2/...`.
fn library_crate(path: &str) -> Option<&str> {
    if let Some((_, rest)) = path.split_once("/registry/src/") {
        let package = rest.split('/').nth(1)?;
        let version = |at: &usize| package[at + 1..].starts_with(|c: char| c.is_ascii_digit());
        let dash = package.match_indices('-').map(|(at, _)| at).find(version)?;
        return Some(&package[..dash]);
    }
    let toolchain = path.starts_with("/rustc/") || path.contains("/lib/rustlib/src/");
    let (_, rest) = path.split_once("/library/").filter(|_| toolchain)?;
    rest.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_told_by_folder_or_name() {
        let registry = "/h/.cargo/registry/src/idx-1f/tree-sitter-0.27.1/src/lib.rs";
        for (name, file, expected) in [
            ("x::y", Some(registry), Some("tree-sitter")),
            (
                "x",
                Some("/rustc/abc/library/core/src/fmt/mod.rs"),
                Some("core"),
            ),
            ("demo::work", Some("/w/src/main.rs"), Some("demo")),
            ("<demo::A as core::fmt::Display>::fmt", None, Some("demo")),
            ("<&mut demo::A as X>::f", None, Some("demo")),
            ("main", Some("main.c"), None),
            ("(anonymous namespace)::f", None, None),
            ("", None, None),
        ] {
            assert_eq!(crate_name(name, file), expected, "{name} in {file:?}");
        }
    }
}
