//! What a file is for, by its path.

use super::outline::Language;

/// What a change of a file can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// For people alone: no program changes with it.
    Documentation,
    /// The exact versions of dependencies.
    Lock,
    /// How the program is built, and the language when it is a program itself.
    Build(Option<Language>),
    /// A language whose functions are found.
    Source(Language),
    /// Anything else, in words.
    Other(&'static str),
}

const LOCKS: &[&str] = &[
    "Cargo.lock",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "uv.lock",
    "Pipfile.lock",
    "go.sum",
    "flake.lock",
    "conan.lock",
    "MODULE.bazel.lock",
];

const BUILDS: &[&str] = &[
    "Cargo.toml",
    "rust-toolchain",
    "rust-toolchain.toml",
    "Makefile",
    "makefile",
    "GNUmakefile",
    "Makefile.am",
    "CMakeLists.txt",
    "CMakePresets.json",
    "meson.build",
    "meson_options.txt",
    "configure",
    "configure.ac",
    "BUILD",
    "BUILD.bazel",
    "WORKSPACE",
    "MODULE.bazel",
    "build.ninja",
    "justfile",
    "Justfile",
    "Dockerfile",
    "package.json",
    "pyproject.toml",
    "setup.py",
    "go.mod",
    "build.zig",
];

const DOCUMENTATION_STEMS: &[&str] = &[
    "README",
    "CHANGELOG",
    "CHANGES",
    "LICENSE",
    "LICENCE",
    "COPYING",
    "COPYRIGHT",
    "AUTHORS",
    "CONTRIBUTORS",
    "CONTRIBUTING",
    "MAINTAINERS",
    "NOTICE",
    "NEWS",
    "SECURITY",
    "CODEOWNERS",
];

const DOCUMENTATION_FOLDERS: &[&str] = &[
    "doc",
    "docs",
    "documentation",
    "book",
    "guide",
    "man",
    "rfcs",
    "website",
    ".github",
    ".changeset",
    ".changes",
];

const DOT_FILES: &[&str] = &[".gitignore", ".gitattributes", ".editorconfig", ".mailmap"];

impl FileKind {
    /// By path, and for headers by their text.
    pub(crate) fn of_file(path: &str, text: &[u8]) -> FileKind {
        let name = path.rsplit('/').next().unwrap_or(path);
        let (stem, extension) = match name.rsplit_once('.') {
            Some((stem, extension)) => (stem, extension),
            None => (name, ""),
        };
        let cargo = path.starts_with(".cargo/") || path.contains("/.cargo/");
        if LOCKS.contains(&name) {
            FileKind::Lock
        } else if name == "build.rs" {
            FileKind::Build(Some(Language::Rust))
        } else if BUILDS.contains(&name) || cargo || matches!(extension, "mk" | "cmake" | "ninja") {
            FileKind::Build(None)
        } else if is_documentation(path, name, stem, extension) {
            FileKind::Documentation
        } else if let Some(language) = Language::of_file(path, text) {
            FileKind::Source(language)
        } else if is_program(extension) {
            FileKind::Other("unparsed file")
        } else {
            FileKind::Other("other file")
        }
    }

    /// What an [`crate::OutsideChange`] calls it.
    pub(crate) fn what(self) -> &'static str {
        match self {
            FileKind::Documentation => "documentation",
            FileKind::Lock => "lock file",
            FileKind::Build(_) => "build file",
            FileKind::Source(_) => "unparsed file",
            FileKind::Other(what) => what,
        }
    }

    /// Whether lines that begin with `#` say nothing in such a file.
    pub(crate) fn ignores_comment_lines(self) -> bool {
        matches!(self, FileKind::Build(None) | FileKind::Lock)
    }
}

fn is_documentation(path: &str, name: &str, stem: &str, extension: &str) -> bool {
    let known = |text: &str| DOCUMENTATION_STEMS.contains(&text);
    (matches!(extension, "md" | "markdown" | "rst" | "adoc") && is_for_people(path, stem))
        || DOT_FILES.contains(&name)
        || (matches!(extension, "" | "txt") && known(stem))
        || (stem.starts_with("LICENSE-") && !stem.contains('.'))
        || name.starts_with("LICENSE-")
}

/// Whether a text is one for people by its place or its name; others may be an input of a benchmark,
/// or a part of a program (`include_str!`).
fn is_for_people(path: &str, stem: &str) -> bool {
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    folders.is_empty()
        || folders
            .iter()
            .any(|folder| DOCUMENTATION_FOLDERS.contains(&folder.to_ascii_lowercase().as_str()))
        || (stem.chars().any(char::is_alphabetic) && !stem.chars().any(char::is_lowercase))
        || DOCUMENTATION_STEMS.contains(&stem.to_ascii_uppercase().as_str())
}

/// Whether the extension is that of a language that is built or run.
fn is_program(extension: &str) -> bool {
    matches!(
        extension,
        "cc" | "cpp"
            | "cxx"
            | "c++"
            | "hh"
            | "hpp"
            | "hxx"
            | "ipp"
            | "inc"
            | "inl"
            | "go"
            | "py"
            | "pyx"
            | "js"
            | "mjs"
            | "ts"
            | "java"
            | "kt"
            | "scala"
            | "swift"
            | "zig"
            | "d"
            | "nim"
            | "hs"
            | "ml"
            | "mli"
            | "f"
            | "f90"
            | "s"
            | "S"
            | "asm"
            | "cu"
            | "cl"
            | "m"
            | "mm"
            | "sh"
            | "bash"
            | "rb"
            | "pl"
            | "lua"
            | "php"
            | "cs"
            | "ld"
            | "lds"
            | "y"
            | "l"
            | "proto"
            | "in"
            | "sql"
    )
}
