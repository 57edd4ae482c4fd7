//! Where code is declared, as short as it can be said: user files relative to their common
//! directory, library files relative to their library.

use std::path::Path;

use hotproof_profile::{Code, Profile, is_library_path};

/// Shortens places of one profile.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// Directory that all of the user's files share, with the slash at its end; may be empty.
    root: String,
}

impl Places {
    /// Looks at the declared files of all named functions of the profiles.
    pub(crate) fn of<'a>(profiles: impl IntoIterator<Item = &'a Profile>) -> Self {
        let mut root: Option<String> = None;
        for profile in profiles {
            for (_, function) in profile.functions.iter() {
                let Some(file) = function.file.map(|id| &profile.strings[id]) else {
                    continue;
                };
                if is_library_path(file) || !file.starts_with('/') {
                    continue;
                }
                root = Some(match root {
                    None => directory(file).to_owned(),
                    Some(known) => common_directory(&known, file).to_owned(),
                });
            }
        }
        Places {
            root: root.map(without_source_folder).unwrap_or_default(),
        }
    }

    /// The place of `code`: `src/parse.rs:41`, `core/src/iter/range.rs:12`, `libc.so.6`.
    pub(crate) fn place(&self, profile: &Profile, code: Code) -> String {
        self.shorten(&profile.code_place(code)).to_owned()
    }

    /// A path relative to what the reader knows already.
    pub(crate) fn shorten<'a>(&self, path: &'a str) -> &'a str {
        if let Some(library) = library_relative(path) {
            return library;
        }
        if self.root == "/" {
            return path;
        }
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

/// The part of a library's path that tells the library: `core/src/iter/range.rs`,
/// `serde-1.0.2/src/de.rs`.
fn library_relative(path: &str) -> Option<&str> {
    if let Some((_, rest)) = path.split_once("/registry/src/") {
        return rest.split_once('/').map(|(_, rest)| rest);
    }
    if let Some((_, rest)) = path.split_once("/git/checkouts/") {
        return Some(rest);
    }
    if path.starts_with("/rustc/") || path.contains("/lib/rustlib/src/") {
        return path.split_once("/library/").map(|(_, rest)| rest);
    }
    None
}

fn directory(path: &str) -> &str {
    &path[..path.rfind('/').map_or(0, |at| at + 1)]
}

/// The directory, with the slash at its end, that a directory and a file share.
fn common_directory<'a>(known: &'a str, file: &str) -> &'a str {
    let same = known
        .bytes()
        .zip(file.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let same = (0..=same)
        .rev()
        .find(|&at| known.is_char_boundary(at))
        .unwrap_or(0);
    directory(&known[..same])
}

/// The directory above when the files all lie in `src`, so that `src/main.rs` is what is shown.
fn without_source_folder(root: String) -> String {
    let trimmed = Path::new(root.trim_end_matches('/'));
    match (trimmed.file_name(), trimmed.parent()) {
        (Some(name), Some(parent)) if name == "src" || name == "bin" => {
            without_source_folder(format!("{}/", parent.display()))
        }
        _ => root,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_directories_end_at_slashes() {
        assert_eq!(common_directory("/a/bc/", "/a/bd/x.rs"), "/a/");
        assert_eq!(common_directory("/a/bc/", "/a/bc/x.rs"), "/a/bc/");
        assert_eq!(common_directory("/é/", "/è/x.rs"), "/");
        assert_eq!(without_source_folder("/w/app/src/bin/".into()), "/w/app/");
    }

    #[test]
    fn paths_become_short() {
        let places = Places {
            root: "/home/u/app/".into(),
        };
        let cases = [
            ("/home/u/app/src/main.rs:12", "src/main.rs:12"),
            (
                "/rustc/abc/library/core/src/iter/range.rs:3",
                "core/src/iter/range.rs:3",
            ),
            (
                "/h/.cargo/registry/src/idx-1/serde-1.0.2/src/de.rs",
                "serde-1.0.2/src/de.rs",
            ),
            ("libc.so.6", "libc.so.6"),
        ];
        for (path, short) in cases {
            assert_eq!(places.shorten(path), short);
        }
        assert_eq!(
            Places { root: "/".into() }.shorten("/home/x.c"),
            "/home/x.c"
        );
    }
}
