//! Which function a pattern means.

use std::collections::BTreeMap;

use hotproof_profile::{Code, Profile};

use super::near::nearest;
use super::spelling::{spelled, without_types};
use crate::census::{Census, Measure};
use crate::places::Places;

/// What a pattern means in some profiles.
#[derive(Debug, Clone, PartialEq)]
pub enum Match {
    /// No function that was seen.
    None {
        /// Names that are most like it, best first; may be empty.
        nearest: Vec<String>,
    },
    /// One function.
    One(Target),
    /// Several functions.
    Several(Vec<Candidate>),
}

/// One of several functions that a pattern means.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Where it is declared; may be empty.
    pub place: String,
    /// A pattern that means it alone.
    pub pattern: String,
    /// Samples that have it on the stack, over all profiles.
    pub samples: u64,
}

/// What identifies a function across runs: its name without generic arguments, and its declared
/// place, or else its image. All instances of a generic are one function; what a macro makes of
/// one line under several names is not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Declared {
        file: String,
        line: u32,
        name: String,
    },
    Named {
        name: String,
        image: String,
    },
}

/// One function, in whichever profile it occurs.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Its name, without generic arguments where it has several instances.
    pub name: String,
    /// Where it is declared, shortened; may be empty.
    pub place: String,
    identities: Vec<Identity>,
}

impl Target {
    /// Whether a row of the function table is (an instance of) this function.
    pub(crate) fn is(&self, profile: &Profile, code: Code) -> bool {
        self.identities.contains(&identity(profile, code))
    }
}

fn identity(profile: &Profile, code: Code) -> Identity {
    let shown = profile.code_name(code);
    let spelled = spelled(&shown);
    let name = without_async_body(&bare(spelled.name)).to_owned();
    let mut declared = (spelled.file.map(str::to_owned), spelled.line);
    if let Code::Function(id) = code {
        let row = &profile.functions[id];
        if let (Some(file), Some(line)) = (row.file, row.line) {
            declared = (Some(profile.strings[file].to_owned()), Some(line));
        }
    }
    match declared {
        (Some(file), Some(line)) => Identity::Declared { file, line, name },
        // The tool that spelled the file tells it from its namesakes better than the image does.
        (file, _) => Identity::Named {
            name,
            image: file.unwrap_or_else(|| profile.code_place(code)),
        },
    }
}

/// The body of an `async fn` is a function of its own only to the compiler.
fn without_async_body(name: &str) -> &str {
    let body = name.rfind("::{async_fn");
    body.map_or(name, |at| &name[..at])
}

/// A function with all the names under which it was seen.
struct Known {
    names: Vec<String>,
    place: String,
    samples: u64,
    weight: i64,
}

/// How well a name fits a pattern, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// The whole name.
    Exact,
    /// The whole name without generic arguments.
    Bare,
    /// The last components of the name: `parse::number` of `json::parse::number`.
    Suffix,
    /// The name of a wrapper.
    Wrapper,
}

/// Finds the function that a pattern means: by its whole name, else by the last components of
/// its path (`number`, `parse::number`, `Lexer::reset`); with a file before it
/// (`src/parse.rs::number`) or by its declared place (`src/parse.rs:41`) where a name alone does
/// not tell. Only the best kind of fit counts.
pub fn find(profiles: &[&Profile], pattern: &str) -> Match {
    let known = known_functions(profiles);
    let mut best: Option<Fit> = None;
    let mut hits: Vec<(&Identity, &Known)> = Vec::new();
    for (identity, function) in &known {
        let Some(mut fit) = fit(function, identity, pattern) else {
            continue;
        };
        // The C `main` of a Rust program is made by the compiler; people mean their own.
        if pattern == "main" && matches!(identity, Identity::Named { .. }) {
            fit = Fit::Wrapper;
        }
        if best.is_none_or(|best| fit < best) {
            best = Some(fit);
            hits.clear();
        }
        if best == Some(fit) {
            hits.push((identity, function));
        }
    }
    match hits.as_slice() {
        [] => Match::None {
            nearest: nearest(pattern, known.values().flat_map(|function| &function.names)),
        },
        [(first, function), rest @ ..]
            if rest.iter().all(|(other, _)| same_place(first, other)) =>
        {
            Match::One(Target {
                name: function.name(rest.len()),
                place: function.place.clone(),
                identities: hits.iter().map(|&(identity, _)| identity.clone()).collect(),
            })
        }
        _ => Match::Several(candidates(&hits)),
    }
}

/// Whether both are declared at one place, as the instances of a method for several types are.
fn same_place(a: &Identity, b: &Identity) -> bool {
    match (a, b) {
        (
            Identity::Declared { file, line, .. },
            Identity::Declared {
                file: other_file,
                line: other_line,
                ..
            },
        ) => file == other_file && line == other_line,
        _ => false,
    }
}

impl Known {
    /// The name of its only instance, or what its instances share; `more` functions of its place
    /// are meant with it.
    fn name(&self, more: usize) -> String {
        let name = match self.names.as_slice() {
            [name] => name.clone(),
            [first, ..] => bare(spelled(first).name),
            [] => String::new(),
        };
        match more {
            0 => name,
            more => format!("{name} (and {more} more of one place)"),
        }
    }
}

fn known_functions(profiles: &[&Profile]) -> BTreeMap<Identity, Known> {
    let places = Places::of(profiles.iter().copied());
    let mut known: BTreeMap<Identity, Known> = BTreeMap::new();
    for profile in profiles {
        let stacks =
            Measure::of(profile).map_or_else(Vec::new, |m| profile.stack_weights(m.weight));
        let census = Census::of(profile, &stacks, hotproof_profile::Inline::Expand);
        for entry in census.entries.iter().filter(|entry| entry.seen) {
            let Code::Function(_) = entry.code else {
                continue;
            };
            let function = known
                .entry(identity(profile, entry.code))
                .or_insert_with(|| Known {
                    names: Vec::new(),
                    place: place(&places, profile, entry.code),
                    samples: 0,
                    weight: 0,
                });
            if !function.names.contains(&entry.name) {
                function.names.push(entry.name.clone());
                function.names.sort();
            }
            function.samples += entry.samples;
            function.weight += entry.total;
        }
    }
    known
}

/// Where a function is declared; as its name spells it when nothing else tells.
fn place(places: &Places, profile: &Profile, code: Code) -> String {
    let known = places.place(profile, code);
    let name = profile.code_name(code);
    let spelled = spelled(&name);
    match (spelled.file, spelled.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.to_owned(),
        _ => known,
    }
}

fn candidates(hits: &[(&Identity, &Known)]) -> Vec<Candidate> {
    let mut sorted = hits.to_vec();
    sorted.sort_by(|a, b| b.1.weight.cmp(&a.1.weight).then(a.0.cmp(b.0)));
    let shared = |identity: &Identity| {
        let same = hits.iter().filter(|(other, _)| same_place(identity, other));
        same.count() > 1
    };
    let candidate = |(identity, function): (&Identity, &Known)| Candidate {
        name: function.name(0),
        place: function.place.clone(),
        // The place tells those of one name apart; of one place, the name does.
        pattern: match identity {
            Identity::Declared { .. } if !shared(identity) => function.place.clone(),
            Identity::Declared { name, .. } | Identity::Named { name, .. } => name.clone(),
        },
        samples: function.samples,
    };
    sorted.into_iter().map(candidate).collect()
}

fn fit(function: &Known, identity: &Identity, pattern: &str) -> Option<Fit> {
    let file = match identity {
        Identity::Declared { file, line, .. } => {
            if is_path_suffix(&format!("{file}:{line}"), pattern) {
                return Some(Fit::Exact);
            }
            file
        }
        Identity::Named { image, .. } => image,
    };
    match split_file(pattern) {
        Some((wanted, name)) if is_path_suffix(file, wanted) => name_fit(function, name),
        Some(_) if matches!(identity, Identity::Declared { .. }) => None,
        _ => name_fit(function, pattern),
    }
}

/// `src/parse.rs::number` as file and name; `None` when there is no file before the name.
fn split_file(pattern: &str) -> Option<(&str, &str)> {
    let extensions = [
        ".rs::", ".c::", ".h::", ".cc::", ".cpp::", ".hpp::", ".cxx::", ".go::", ".py::", ".js::",
        ".mjs::", ".cjs::", ".ts::",
    ];
    let at = extensions
        .iter()
        .filter_map(|extension| Some((pattern.find(extension)?, extension)))
        .min()?;
    let end = at.0 + at.1.len();
    Some((&pattern[..end - 2], &pattern[end..]))
}

/// Whether `wanted` is the path or its last components.
fn is_path_suffix(path: &str, wanted: &str) -> bool {
    wanted.contains(['/', '.'])
        && path
            .strip_suffix(wanted)
            .is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

fn name_fit(function: &Known, pattern: &str) -> Option<Fit> {
    let fits = function.names.iter().filter_map(|name| {
        if name == pattern {
            return Some(Fit::Exact);
        }
        let bare_pattern = bare(pattern);
        let plain = spelled(name).name;
        let forms = forms(plain);
        let typeless = without_types(plain).map(|name| bare(&name));
        if forms[0] == bare_pattern || typeless.as_ref() == Some(&bare_pattern) {
            return Some(Fit::Bare);
        }
        let forms: Vec<String> = forms.into_iter().chain(typeless).collect();
        let suffix = |form: &String| {
            form.strip_suffix(bare_pattern.as_str())
                .is_some_and(|before| before.is_empty() || is_parted(before))
        };
        forms.iter().any(suffix).then_some(Fit::Suffix)
    });
    fits.min()
}

/// Whether a component ends there: Rust and C++ part them by `::`, Go by dots and slashes, Python,
/// JavaScript and Java by dots.
fn is_parted(before: &str) -> bool {
    before.ends_with("::") || before.ends_with(['.', '/'])
}

/// The ways in which a person may write a name: without generic arguments, and a method by its
/// type or by its trait: `<Node as Display>::fmt` is `Node::fmt` and `Display::fmt`.
fn forms(name: &str) -> Vec<String> {
    let plain = bare(name);
    let mut list = vec![plain.clone()];
    if let Some((qualified, rest)) = qualified_part(&plain) {
        if let Some((own, of)) = qualified.split_once(" as ") {
            list.push(format!("{own}{rest}"));
            list.push(format!("{of}{rest}"));
        } else if let Some((of, own)) = qualified
            .strip_prefix("impl ")
            .and_then(|q| q.split_once(" for "))
        {
            list.push(format!("{own}{rest}"));
            list.push(format!("{of}{rest}"));
        } else {
            list.push(format!(
                "{}{rest}",
                qualified.strip_prefix("impl ").unwrap_or(qualified)
            ));
        }
    }
    list
}

/// What stands in the first angle brackets that begin a component, and what follows them.
fn qualified_part(name: &str) -> Option<(&str, &str)> {
    let start = if name.starts_with('<') {
        0
    } else {
        name.find("::<")? + 2
    };
    let mut depth = 0usize;
    for (at, c) in name[start..].char_indices() {
        match c {
            '<' => depth += 1,
            '>' if depth == 1 => {
                return Some((&name[start + 1..start + at], &name[start + at + 1..]));
            }
            '>' if !name[..start + at].ends_with('-') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// A name without generic arguments: `f::<u32>` and `f<u32>` are `f`; what qualifies a method
/// (`<T as Trait>::f`, `<impl Trait for T>::f`) stays, without the arguments within.
pub(super) fn bare(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    // For each open bracket: whether it is kept.
    let mut open: Vec<bool> = Vec::new();
    for (at, c) in name.char_indices() {
        let hidden = open.contains(&false);
        match c {
            '<' => {
                let before = &name[..at];
                let begins = before.is_empty() || before.ends_with(['<', ' ', '(', '&', '*', ',']);
                let keep = !hidden && (begins || name[at..].starts_with("<impl "));
                if !keep && !hidden && out.ends_with("::") {
                    out.truncate(out.len() - 2);
                }
                open.push(keep);
                if keep {
                    out.push(c);
                }
            }
            '>' if !name[..at].ends_with('-') => {
                if open.pop().unwrap_or(true) && !hidden {
                    out.push(c);
                }
            }
            _ if hidden => {}
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generic_arguments_go_and_qualifiers_stay() {
        let cases = [
            ("a::f::<u32>", "a::f"),
            ("a::f<alloc::vec::Vec<u8>>", "a::f"),
            ("a::V<u8>::push", "a::V::push"),
            ("<a::V<u8> as b::Push<u8>>::push", "<a::V as b::Push>::push"),
            (
                "a::<impl b::Push for a::V<u8>>::push",
                "a::<impl b::Push for a::V>::push",
            ),
            ("f::<fn(u8) -> u8>::g", "f::g"),
            ("plain", "plain"),
            ("a > b", "a > b"),
            ("operator<", "operator"),
        ];
        for (name, expected) in cases {
            assert_eq!(bare(name), expected, "{name}");
        }
    }

    #[test]
    fn methods_have_several_forms() {
        assert_eq!(
            forms("<a::V<u8> as b::Push>::push"),
            ["<a::V as b::Push>::push", "a::V::push", "b::Push::push"]
        );
        assert_eq!(
            forms("m::<impl b::Push for a::V>::push"),
            [
                "m::<impl b::Push for a::V>::push",
                "a::V::push",
                "b::Push::push"
            ]
        );
        assert_eq!(
            forms("m::<impl a::V>::push"),
            ["m::<impl a::V>::push", "a::V::push"]
        );
        assert_eq!(forms("a::f"), ["a::f"]);
    }

    #[test]
    fn files_are_split_off() {
        assert_eq!(split_file("src/a.rs::f::g"), Some(("src/a.rs", "f::g")));
        assert_eq!(split_file("lib.c::f"), Some(("lib.c", "f")));
        assert_eq!(split_file("a::f"), None);
        assert!(is_path_suffix("/home/u/src/a.rs:4", "src/a.rs:4"));
        assert!(!is_path_suffix("/home/u/xsrc/a.rs:4", "src/a.rs:4"));
        assert!(!is_path_suffix("number", "number"));
    }
}
