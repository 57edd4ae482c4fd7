//! Paths without the folders of one machine.

use crate::code::{file_name, is_library_path};
use crate::id::StringId;
use crate::labels::{Label, LabelValue, Labels};
use crate::profile::Profile;
use crate::rows::{Frame, Function, Image, Process, Symbol, Thread};
use crate::table::{Strings, Table};

/// Images become their file names, source files relative to the folder that the user's files
/// share, library files what tells the library; so do the words of the command that are absolute
/// paths. Texts that nothing refers to any more are gone.
pub(super) fn strip(profile: &Profile) -> Profile {
    let root = common_folder(profile);
    let mut new = Profile {
        meta: profile.meta.clone(),
        weights: profile.weights.clone(),
        mappings: profile.mappings.clone(),
        locations: profile.locations.clone(),
        stacks: profile.stacks.clone(),
        foreign: profile.foreign.clone(),
        samples: profile.samples.clone(),
        ..Profile::default()
    };
    for word in &mut new.meta.command {
        if word.starts_with('/') {
            *word = file_name(word).to_owned();
        }
    }
    let mut texts = Texts {
        old: &profile.strings,
        new: Strings::default(),
        root: &root,
    };
    copy_world(profile, &mut new, &mut texts);
    copy_code(profile, &mut new, &mut texts);
    new.labels = copy_labels(profile, &mut texts);
    new.strings = texts.new;
    new
}

/// Texts on their way to another table.
struct Texts<'a> {
    old: &'a Strings,
    new: Strings,
    root: &'a str,
}

impl Texts<'_> {
    fn same(&mut self, id: StringId) -> StringId {
        self.new.intern(&self.old[id])
    }

    fn file(&mut self, id: StringId) -> StringId {
        self.new.intern(stripped(&self.old[id], self.root))
    }

    fn image(&mut self, id: StringId) -> StringId {
        let path = &self.old[id];
        let name = if path.starts_with('[') {
            path
        } else {
            file_name(path)
        };
        self.new.intern(name)
    }
}

fn copy_world(old: &Profile, new: &mut Profile, texts: &mut Texts<'_>) {
    for (_, row) in old.processes.iter() {
        let name = texts.same(row.name);
        new.processes.push(Process {
            name,
            ..row.clone()
        });
    }
    for (_, row) in old.threads.iter() {
        let name = texts.same(row.name);
        new.threads.push(Thread {
            name,
            ..row.clone()
        });
    }
    for (_, row) in old.images.iter() {
        let path = texts.image(row.path);
        new.images.push(Image {
            path,
            ..row.clone()
        });
    }
}

fn copy_code(old: &Profile, new: &mut Profile, texts: &mut Texts<'_>) {
    for (_, row) in old.symbols.iter() {
        let linkage_name = texts.same(row.linkage_name);
        new.symbols.push(Symbol {
            linkage_name,
            ..row.clone()
        });
    }
    for (_, row) in old.functions.iter() {
        new.functions.push(Function {
            name: texts.same(row.name),
            linkage_name: texts.same(row.linkage_name),
            file: row.file.map(|id| texts.file(id)),
            ..row.clone()
        });
    }
    for (_, row) in old.frames.iter() {
        let file = row.file.map(|id| texts.file(id));
        new.frames.push(Frame {
            file,
            ..row.clone()
        });
    }
}

/// Equal sets stay equal and different sets different, so that ids stay.
fn copy_labels(old: &Profile, texts: &mut Texts<'_>) -> Labels {
    let mut labels = Labels::default();
    for set in old.labels.iter() {
        let set: Vec<Label> = set
            .iter()
            .map(|label| Label {
                key: texts.same(label.key),
                value: match label.value {
                    LabelValue::Text(id) => LabelValue::Text(texts.same(id)),
                    LabelValue::Number { value, unit } => LabelValue::Number {
                        value,
                        unit: unit.map(|id| texts.same(id)),
                    },
                },
            })
            .collect();
        labels.intern(&set);
    }
    labels
}

/// A source path without what lies above the user's files, or above a library's. What remains of
/// a library's path still tells that it is one.
fn stripped<'a>(path: &'a str, root: &str) -> &'a str {
    for mark in ["/registry/src/", "/git/checkouts/", "/lib/rustlib/src/"] {
        if let Some(at) = path.find(mark) {
            return &path[at..];
        }
    }
    if is_library_path(path) {
        return path;
    }
    path.strip_prefix(root).unwrap_or(path)
}

/// The folder that all of the user's source files share, with the slash at its end; empty when
/// there is none.
fn common_folder(profile: &Profile) -> String {
    let functions: &Table<_, Function> = &profile.functions;
    let declared = functions.rows().iter().filter_map(|row| row.file);
    let lines = profile.frames.rows().iter().filter_map(|row| row.file);
    let mut common: Option<&str> = None;
    for id in declared.chain(lines) {
        let path = &profile.strings[id];
        if !path.starts_with('/') || is_library_path(path) {
            continue;
        }
        let folder = &path[..path.rfind('/').map_or(0, |at| at + 1)];
        common = Some(common.map_or(folder, |known| shared(known, folder)));
    }
    common.unwrap_or_default().to_owned()
}

/// The folders that both paths begin with.
fn shared<'a>(known: &'a str, other: &str) -> &'a str {
    let parts = known.split_inclusive('/').zip(other.split_inclusive('/'));
    let same: usize = parts
        .take_while(|(a, b)| a == b)
        .map(|(part, _)| part.len())
        .sum();
    &known[..same]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_the_machine_and_keep_the_library() {
        let cases = [
            ("/home/u/app/src/main.rs", "src/main.rs"),
            ("/usr/include/stdio.h", "/usr/include/stdio.h"),
            (
                "/rustc/ab/library/core/src/a.rs",
                "/rustc/ab/library/core/src/a.rs",
            ),
            (
                "/home/u/.cargo/registry/src/i/serde-1.0.2/src/de.rs",
                "/registry/src/i/serde-1.0.2/src/de.rs",
            ),
        ];
        for (path, expected) in cases {
            assert_eq!(stripped(path, "/home/u/app/"), expected);
            assert_eq!(is_library_path(path), is_library_path(expected));
        }
        assert_eq!(shared("/a/bc/", "/a/bd/"), "/a/");
        assert_eq!(shared("/a/", "/a/b/"), "/a/");
    }
}
