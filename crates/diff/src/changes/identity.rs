//! What identifies a function across two builds, by its declared place and its name.

use std::borrow::Cow;

use super::changed::last_part;

/// The directories of one worktree, as debug information may spell them.
#[derive(Default)]
pub(crate) struct Roots(Vec<String>);

impl Roots {
    pub(crate) fn new(roots: &[&str]) -> Roots {
        let clean = |root: &&str| normal_path(root).trim_end_matches('/').to_owned();
        Roots(roots.iter().map(clean).filter(|r| !r.is_empty()).collect())
    }

    /// The part of a normal path below a root.
    pub(crate) fn relative<'p>(&self, path: &'p str) -> Option<&'p str> {
        self.0
            .iter()
            .find_map(|root| path.strip_prefix(root.as_str())?.strip_prefix('/'))
    }
}

/// A path without `.`, `..` and empty parts.
pub(crate) fn normal_path(path: &str) -> String {
    let bytes = path.as_bytes();
    let is_odd = |pair: &[u8]| pair[0] == b'/' && matches!(pair[1], b'/' | b'.');
    let ends_well = bytes.first().is_some_and(|&first| first != b'.') && !path.ends_with('/');
    // Nearly all paths are, and there are many of them.
    if ends_well && !bytes.windows(2).any(is_odd) {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|&last| last != "..") => {
                parts.pop();
            }
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// The path of a library's file without the parts that differ between machines and toolchains:
/// `library/core/src/num/mod.rs`, `serde-1.0.1/src/de.rs`, `serde-git/src/de.rs`, `x.org/y@v1.0.0/z.go`.
pub(crate) fn library_path(path: &str) -> Cow<'_, str> {
    if let Some((_, rest)) = path.split_once("/git/checkouts/") {
        // The name of the repository with a hash, and the revision.
        let mut parts = rest.splitn(3, '/');
        if let (Some(folder), Some(_), Some(file)) = (parts.next(), parts.next(), parts.next()) {
            return format!("{}-git/{file}", image_name(folder)).into();
        }
    }
    if let Some((_, module)) = path.split_once("/pkg/mod/") {
        return without_escapes(module);
    }
    plain_library_path(path).into()
}

/// A module's path as it is written: its folder has `!a` for `A` ("Module cache" of the Go modules
/// reference).
fn without_escapes(module: &str) -> Cow<'_, str> {
    if !module.contains('!') {
        return module.into();
    }
    let mut parts = module.split('!');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        path.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        path.push_str(letters.as_str());
    }
    path.into()
}

fn plain_library_path(path: &str) -> &str {
    let behind = |mark: &str| path.split_once(mark).map(|(_, rest)| rest);
    // What follows the mark begins with a hash or an index, which is dropped as well.
    let without_first = |rest: &'_ str| rest.find('/').map(|at| at + 1);
    for (mark, drop) in [("/lib/rustlib/src/rust/", false), ("/registry/src/", true)] {
        if let Some(rest) = behind(mark) {
            let skip = if drop { without_first(rest) } else { Some(0) };
            return &rest[skip.unwrap_or(0)..];
        }
    }
    match path.strip_prefix("/rustc/") {
        Some(rest) => &rest[without_first(rest).unwrap_or(0)..],
        None => path,
    }
}

/// A name without what differs between builds of one source: the hash of the old mangling, the
/// suffixes of parts and clones, and the closures within the function.
pub(crate) fn plain_name(name: &str) -> &str {
    // Suffixes have a dot, hashes follow colons, closures have braces: names of C have none.
    if !name.bytes().any(|byte| matches!(byte, b'.' | b':' | b'{')) {
        return name;
    }
    let mut name = name;
    loop {
        let shorter = without_hash(without_clone_suffix(name));
        let last = last_part(shorter);
        let shorter = if last.starts_with('{') && shorter.len() > last.len() + 2 {
            &shorter[..shorter.len() - last.len() - 2]
        } else {
            shorter
        };
        if shorter.len() == name.len() {
            return name;
        }
        name = shorter;
    }
}

fn without_hash(name: &str) -> &str {
    const DIGITS: usize = 16;
    let split = name.len().checked_sub(DIGITS);
    let Some((before, digits)) = split.and_then(|at| name.split_at_checked(at)) else {
        return name;
    };
    match before.strip_suffix("::h") {
        Some(before) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => before,
        _ => name,
    }
}

/// Drops one suffix of a compiler's or linker's: `.cold`, `.part.0`, `.llvm.123`.
pub fn without_clone_suffix(name: &str) -> &str {
    if !name.contains('.') {
        return name;
    }
    let name = match name.rsplit_once(" [clone .") {
        Some((before, rest)) if rest.ends_with(']') => return before,
        _ => name,
    };
    const SUFFIXES: [&str; 8] = [
        ".cold",
        ".part",
        ".isra",
        ".constprop",
        ".llvm",
        ".lto_priv",
        ".localalias",
        ".warm",
    ];
    let numberless = match name.rsplit_once('.') {
        Some((before, digits)) if is_number(digits) => before,
        _ => name,
    };
    SUFFIXES
        .iter()
        .find_map(|suffix| numberless.strip_suffix(suffix))
        .filter(|before| !before.is_empty())
        .unwrap_or(name)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The last part of a plain name without type arguments: `generic` of `a::generic::<u64>` and of
/// `generic<u64>`.
pub(crate) fn bare_name(name: &str) -> &str {
    let whole = without_arguments(plain_name(name));
    last_part(whole)
}

/// A name without the type arguments at its end.
pub(crate) fn without_arguments(name: &str) -> &str {
    if !name.ends_with('>') || name.starts_with("operator") || name.ends_with("->") {
        return name;
    }
    let mut depth = 0i32;
    for (at, byte) in name.bytes().enumerate().rev() {
        match byte {
            b'>' if at > 0 && name.as_bytes()[at - 1] == b'-' => {}
            b'>' => depth += 1,
            b'<' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let before = name[..at].trim_end_matches("::");
            return if before.is_empty() { name } else { before };
        }
    }
    name
}

/// What the source calls a function of a linkage name of Go: `Stack::Push` of
/// `x.org/app.(*Stack[go.shape.int_0]).Push`. Closures belong to the function that they stand in.
/// None for what the compiler makes: package initializers, and closures outside functions, which
/// are numbered alone.
pub(crate) fn name_in_go_source(linkage: &str) -> Option<String> {
    let mut depth = 0usize;
    let mut plain = String::with_capacity(linkage.len());
    for sign in linkage.chars() {
        match sign {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            sign if depth == 0 => plain.push(sign),
            _ => {}
        }
    }
    let file = plain.rsplit('/').next().unwrap_or_default();
    // The dots in the last part of a package's path are escaped.
    let (_, name) = file.split_once('.')?;
    // The wrapper that binds a method to its receiver.
    let name = name.strip_suffix("-fm").unwrap_or(name);
    let (receiver, rest) = match name.strip_prefix("(*").and_then(|it| it.split_once(").")) {
        Some((receiver, rest)) => (Some(receiver), rest),
        None => (None, name),
    };
    let is_closure = |part: &str| is_number(part.strip_prefix("func").unwrap_or(part));
    let parts: Vec<&str> = rest.split('.').collect();
    let own = parts.iter().skip(1).take_while(|part| !is_closure(part));
    match (
        receiver,
        parts[0],
        own.copied().collect::<Vec<&str>>().as_slice(),
    ) {
        (Some(receiver), method, []) => Some(format!("{receiver}::{method}")),
        (None, "init", []) if parts.len() == 1 => None,
        (None, function, []) => Some(function.to_owned()),
        (None, receiver, [method]) if !method.is_empty() => Some(format!("{receiver}::{method}")),
        _ => None,
    }
}

/// The file name of an image without the hash that cargo appends.
pub(crate) fn image_name(path: &str) -> &str {
    let name = hotproof_profile::file_name(path);
    match name.rsplit_once('-') {
        Some((before, hash))
            if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            before
        }
        _ => name,
    }
}

/// A linkage name, or a demangled one, without the suffixes of clones and parts.
pub(crate) fn linkage_without_suffix(name: &str) -> &str {
    let mut name = name;
    loop {
        let shorter = without_clone_suffix(name);
        if shorter.len() == name.len() {
            return name;
        }
        name = shorter;
    }
}

/// Whether a linkage name says in which module or namespace the function stands.
pub(crate) fn is_mangled(name: &str) -> bool {
    name.starts_with("_R") || name.starts_with("_Z") || name.starts_with("__R")
}

/// A path in the one spelling that all manglings share: no crate disambiguators, no numbers of
/// closures and impls, `T::f` for `<T>::f` and for `m::<impl T>::f`, `<T as U>::f` for
/// `m::<impl U for T>::f`; without type arguments, or with them.
///
/// Legacy names of Rust hold the parameters of impls and drop the arguments of functions, so that
/// only paths without them are alike in both manglings.
pub(crate) fn canonical_path(name: &str, with_arguments: bool) -> Cow<'_, str> {
    let is_rewritten = |byte| matches!(byte, b'[' | b'{' | b'#' | b'}' | b'<');
    if !name.bytes().any(is_rewritten) {
        return name.into();
    }
    let name = without_numbers(name);
    let name = if with_arguments {
        name.replace("::<", "<")
    } else {
        without_inner_arguments(&name)
    };
    without_impl(&name).into()
}

/// Drops `[0123abcd]` behind crates, and the numbers of `{closure#1}` and `{{closure}}`.
fn without_numbers(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(['[', '{', '#', '}']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let inner = &from[1..];
        rest = match from.as_bytes()[0] {
            b'[' => {
                let hash = inner.split(']').next().unwrap_or_default();
                let is_hash = hash.len() >= 8
                    && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
                    && inner.len() > hash.len();
                if is_hash {
                    &inner[hash.len() + 1..]
                } else {
                    plain.push('[');
                    inner
                }
            }
            b'#' if plain.contains('{') => inner.trim_start_matches(|c: char| c.is_ascii_digit()),
            sign @ (b'{' | b'}') => {
                // Legacy names double their braces.
                if !plain.ends_with(char::from(sign)) {
                    plain.push(char::from(sign));
                }
                inner
            }
            sign => {
                plain.push(char::from(sign));
                inner
            }
        };
    }
    plain.push_str(rest);
    plain
}

/// Drops all type arguments: `a::Stack::push` of `a::Stack<T>::push::<u8>`. A `<` that begins a
/// path holds a type, and stays.
fn without_inner_arguments(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut plain = String::with_capacity(name.len());
    // Where the arguments that are being dropped began, as the depth of their bracket.
    let mut depth = 0usize;
    let mut dropped: Option<usize> = None;
    for (at, sign) in name.char_indices() {
        let before = at.checked_sub(1).map(|before| bytes[before]);
        let operator = plain.ends_with("operator")
            || plain.ends_with("operator<")
            || plain.ends_with("operator>")
            || plain.ends_with("operator-");
        match sign {
            '<' | '>' if dropped.is_none() && operator => plain.push(sign),
            '<' => {
                let is_argument = before.is_some_and(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b')' | b']')
                });
                depth += 1;
                if dropped.is_none() {
                    let is_impl = name[at..].starts_with("<impl ");
                    if is_argument && !is_impl {
                        dropped = Some(depth);
                        let end = plain.trim_end_matches("::").len();
                        plain.truncate(end);
                    } else {
                        plain.push(sign);
                    }
                }
            }
            '>' if before == Some(b'-') && dropped.is_none() => plain.push(sign),
            '>' if before == Some(b'-') => {}
            '>' => {
                match dropped {
                    Some(from) if from == depth => dropped = None,
                    Some(_) => {}
                    None => plain.push(sign),
                }
                depth = depth.saturating_sub(1);
            }
            sign if dropped.is_none() => plain.push(sign),
            _ => {}
        }
    }
    plain
}

/// `T::f` of `<T>::f` and of `m::<impl T>::f`, `<T as U>::f` of `m::<impl U for T>::f`.
fn without_impl(name: &str) -> String {
    let (at, skip) = match name.find("<impl ") {
        Some(at) => (at, "<impl ".len()),
        None if name.starts_with('<') => (0, 1),
        None => return name.to_owned(),
    };
    let Some(length) = closing(&name[at..]) else {
        return name.to_owned();
    };
    let (inner, rest) = (&name[at + skip..at + length], &name[at + length + 1..]);
    match (skip, inner.split_once(" for "), inner.contains(" as ")) {
        (1, _, true) => name.to_owned(),
        (2.., Some((of, by)), _) => format!("<{by} as {of}>{rest}"),
        _ => format!("{inner}{rest}"),
    }
}

/// Where the bracket that begins a text is closed.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// A function's name without what differs between builds of one source: hashes, suffixes of
/// parts and clones, closures within it, the type arguments at its end.
///
/// ```
/// use hotproof_diff::changes::stable_name;
///
/// assert_eq!(stable_name("demo::sort::<u32>::{closure#0}"), "demo::sort");
/// assert_eq!(stable_name("work.part.0"), "work");
/// ```
pub fn stable_name(name: &str) -> &str {
    without_arguments(plain_name(name))
}

/// A source file's path without what differs between machines and toolchains for one library; a
/// path of the user's stays whole.
pub fn stable_file(path: &str) -> String {
    library_path(&normal_path(path)).into_owned()
}

/// The file name of an image without the hash that cargo appends.
pub fn stable_image(path: &str) -> &str {
    image_name(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_go_lead_to_their_source() {
        let cases = [
            ("main.slow", Some("slow")),
            ("main.Point.Sum", Some("Point::Sum")),
            ("main.(*Stack).Push", Some("Stack::Push")),
            ("main.(*Stack[go.shape.int_0]).Push", Some("Stack::Push")),
            ("main.Map[go.shape.struct { x.org/a.B }_0,int]", Some("Map")),
            ("x.org/a/yaml%2ev3.Unmarshal", Some("Unmarshal")),
            ("x.org/app.(*Tree).Walk.func1.2", Some("Tree::Walk")),
            ("main.main.func1", Some("main")),
            ("main.Point.Sum-fm", Some("Point::Sum")),
            ("main.init.0", Some("init")),
            ("main.init.0.func1", Some("init")),
            ("main.init", None),
            ("main.glob..func1", None),
            ("slow", None),
            ("", None),
            ("a.", Some("")),
            ("a.]b[", Some("b")),
        ];
        for (linkage, source) in cases {
            assert_eq!(name_in_go_source(linkage).as_deref(), source, "{linkage}");
        }
    }

    #[test]
    fn manglings_share_one_path() {
        let cases = [
            (
                "demo::generic::<u32>",
                "demo::generic<u32>",
                "demo::generic",
            ),
            (
                "demo::Stack<T>::push",
                "demo::Stack<T>::push",
                "demo::Stack::push",
            ),
            (
                "<demo::Stack<u32>>::push",
                "demo::Stack<u32>::push",
                "demo::Stack::push",
            ),
            (
                "<demo::Stack<u8> as core::fmt::Display>::fmt",
                "<demo::Stack<u8> as core::fmt::Display>::fmt",
                "<demo::Stack as core::fmt::Display>::fmt",
            ),
            (
                "demo::m::<impl demo::Shape for demo::Sq<T>>::area",
                "<demo::Sq<T> as demo::Shape>::area",
                "<demo::Sq as demo::Shape>::area",
            ),
            (
                "demo::m::<impl demo::Sq>::new",
                "demo::Sq::new",
                "demo::Sq::new",
            ),
            ("demo[0123456789abcdef]::f", "demo::f", "demo::f"),
            (
                "demo::f::{{closure}}::g",
                "demo::f::{closure}::g",
                "demo::f::{closure}::g",
            ),
            (
                "demo::f::{closure#12}::g",
                "demo::f::{closure}::g",
                "demo::f::{closure}::g",
            ),
            (
                "demo::call::<fn(u8) -> u8, 3>",
                "demo::call<fn(u8) -> u8, 3>",
                "demo::call",
            ),
            ("a::operator<", "a::operator<", "a::operator<"),
            (
                "a::operator<< <int>",
                "a::operator<< <int>",
                "a::operator<< <int>",
            ),
            (
                "a::S<int>::operator->",
                "a::S<int>::operator->",
                "a::S::operator->",
            ),
            ("main", "main", "main"),
            ("<", "<", "<"),
            ("a>::b<c", "a>::b<c", "a>::b"),
        ];
        for (name, with, without) in cases {
            assert_eq!(canonical_path(name, true), with, "{name}");
            assert_eq!(canonical_path(name, false), without, "{name}");
        }
    }
}
