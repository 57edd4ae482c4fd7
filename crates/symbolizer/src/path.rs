//! Source paths as compilers spell them, made comparable.

/// Joins `path` to `folder` unless it is absolute.
pub(crate) fn join(folder: &str, path: &str) -> String {
    if path.starts_with('/') || folder.is_empty() {
        path.to_owned()
    } else {
        format!("{}/{path}", folder.trim_end_matches('/'))
    }
}

/// Removes `//`, `/./` and, where a folder stands before it, `/../`.
///
/// Two compilations of one file may spell it `/w/src/a.c` and `/w/build/../src/a.c`. The removal of
/// `..` is by text alone: no file system is asked, because the sources need not be there.
pub(crate) fn normalise(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for (index, part) in path.split('/').enumerate() {
        match part {
            "" => {}
            // A leading `./` marks a path relative to an unknown folder.
            "." if index > 0 => {}
            ".." if parts
                .last()
                .is_some_and(|&last| last != ".." && last != ".") =>
            {
                parts.pop();
            }
            ".." if rooted && parts.is_empty() => {}
            part => parts.push(part),
        }
    }
    let text = parts.join("/");
    if rooted { format!("/{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_file_become_equal() {
        for (read, expected) in [
            ("/w/src/a.c", "/w/src/a.c"),
            ("/w//src/./a.c", "/w/src/a.c"),
            ("/w/build/../src/a.c", "/w/src/a.c"),
            ("/w/a/b/../../src/a.c", "/w/src/a.c"),
            ("/../a.c", "/a.c"),
            ("../src/a.c", "../src/a.c"),
            ("../../a.c", "../../a.c"),
            ("./string/../sysdeps/x.S", "./sysdeps/x.S"),
            ("./../x.S", "./../x.S"),
            ("src/main.rs", "src/main.rs"),
            ("", ""),
            ("/", "/"),
        ] {
            assert_eq!(normalise(read), expected, "of {read:?}");
            assert_eq!(normalise(expected), expected, "twice {read:?}");
        }
    }

    #[test]
    fn relative_paths_are_joined_to_the_compilers_folder() {
        assert_eq!(join("/w/", "src/a.rs"), "/w/src/a.rs");
        assert_eq!(join("/w", "/other/a.rs"), "/other/a.rs");
        assert_eq!(join("", "a.rs"), "a.rs");
    }
}
