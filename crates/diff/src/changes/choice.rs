//! Functions that the user names: `src/a.rs::f1,f2;src/b.rs::T::g`.

use super::changed::{Changed, ChangedFunction, Place, last_part};
use super::outline::{FunctionKind, Language, SourceFunction, functions};
use crate::edits;
use crate::values::{Change, Side};

/// One function that the user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionChoice {
    /// Relative to the top of the repository.
    pub file: String,
    /// Name within the file, whole or its last parts: `T::g` also means `a::T::g`.
    pub name: String,
}

/// A list of functions that cannot be read, or names that fit no function or several.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// Not of the form `FILE::NAME`.
    #[error(
        "cannot read {read:?} in the list of functions: {problem}; write it as \
         \"src/a.rs::f1,f2;src/b.rs::Type::method\""
    )]
    Syntax {
        /// The part that was read.
        read: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The file is at neither ref.
    #[error(
        "there is no file {file:?} at base or head; paths are relative to the top of the repository"
    )]
    NoFile {
        /// As the user wrote it.
        file: String,
    },
    /// The functions of this file are not parsed.
    #[error(
        "functions can be chosen in Rust, C, C++, Go, Python, JavaScript and TypeScript files only, not in {file:?}"
    )]
    NotParsed {
        /// As the user wrote it.
        file: String,
    },
    /// No function of that name in the file.
    #[error("there is no function {name:?} in {file}; the nearest names are: {}", nearest.join(", "))]
    NoFunction {
        /// The file.
        file: String,
        /// As the user wrote it.
        name: String,
        /// Up to five functions of the file, nearest first.
        nearest: Vec<String>,
    },
    /// Several functions of that name in the file.
    #[error("{name:?} fits several functions in {file}: {}; name one of them", fits.join(", "))]
    Ambiguous {
        /// The file.
        file: String,
        /// As the user wrote it.
        name: String,
        /// What it fits, in the order of the file.
        fits: Vec<String>,
    },
}

/// Reads the argument of `--functions`; duplicates are dropped, the order is kept.
///
/// # Errors
/// [`ChoiceError::Syntax`] alone.
pub fn parse_function_list(text: &str) -> Result<Vec<FunctionChoice>, ChoiceError> {
    let mut choices: Vec<FunctionChoice> = Vec::new();
    // A `;` at the end is what one leaves behind when one drops the last file.
    let entries = text.trim().strip_suffix(';').unwrap_or(text.trim());
    for entry in entries.split(';') {
        let wrong = |problem| ChoiceError::Syntax {
            read: entry.trim().to_owned(),
            problem,
        };
        let (file, names) = entry
            .trim()
            .split_once("::")
            .ok_or_else(|| wrong("there is no \"::\" between a file and its functions"))?;
        let file = file.trim().trim_start_matches("./");
        if file.is_empty() {
            return Err(wrong("the file is missing"));
        }
        if file.starts_with('/') || file.split('/').any(|part| part == "..") {
            return Err(wrong(
                "the path is not relative to the top of the repository",
            ));
        }
        for name in split_names(names) {
            if name.is_empty() || name.ends_with(':') {
                return Err(wrong("a function's name is missing"));
            }
            let choice = FunctionChoice {
                file: file.to_owned(),
                name: name.to_owned(),
            };
            if !choices.contains(&choice) {
                choices.push(choice);
            }
        }
    }
    Ok(choices)
}

/// Splits at commas outside of brackets: type arguments have commas of their own.
fn split_names(names: &str) -> Vec<&str> {
    let mut list = Vec::new();
    let (mut depth, mut start) = (0i32, 0);
    for (at, sign) in names.char_indices() {
        match sign {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth -= 1,
            ',' if depth <= 0 => {
                list.push(names[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    list.push(names[start..].trim());
    list
}

/// Puts the chosen functions in the place of those that the diff touches; everything else of
/// `changed` stays.
///
/// `sources` gives the text of a file at a ref, `None` when there is no such file. A path is that
/// of head, or of base when only base has it. A name that stands several times in a file, once
/// for each platform, means all of them; `f#2` means the second.
///
/// # Errors
/// When a choice fits no function of its file, or several.
pub fn choose(
    choices: &[FunctionChoice],
    changed: &Changed,
    sources: &mut dyn FnMut(Side, &str) -> Option<Vec<u8>>,
) -> Result<Changed, ChoiceError> {
    let mut chosen = changed.clone();
    chosen.functions.clear();
    for choice in choices {
        let file = ChosenFile::new(&choice.file, changed, sources)?;
        for function in file.find(choice)? {
            if !chosen.functions.iter().any(|f| f.key == function.key) {
                chosen.functions.push(function);
            }
        }
    }
    Ok(chosen)
}

/// The functions of one file at both refs: their places, with the keys of their rows.
struct ChosenFile {
    base: Vec<(String, Place)>,
    head: Vec<(String, Place)>,
}

impl ChosenFile {
    fn new(
        file: &str,
        changed: &Changed,
        sources: &mut dyn FnMut(Side, &str) -> Option<Vec<u8>>,
    ) -> Result<ChosenFile, ChoiceError> {
        // A file that only base has may be named by its old path.
        let renamed = changed.renames.get(file);
        let mut head_path = file;
        let mut head = sources(Side::Head, file);
        if let (None, Some(new)) = (&head, renamed) {
            head_path = new;
            head = sources(Side::Head, new);
        }
        let old = changed.renames.iter().find(|(_, new)| *new == head_path);
        let base_path = old.map_or(file, |(old, _)| old.as_str());
        let base = sources(Side::Base, base_path);
        let missing = || ChoiceError::NoFile {
            file: file.to_owned(),
        };
        if base.is_none() && head.is_none() {
            return Err(missing());
        }
        let text = head.as_deref().or(base.as_deref()).unwrap_or_default();
        let language =
            Language::of_file(head_path, text).ok_or_else(|| ChoiceError::NotParsed {
                file: file.to_owned(),
            })?;
        let places = |path: &str, source: Option<Vec<u8>>| -> Vec<Place> {
            let list = source.map(|text| functions(language, &text));
            let list = list.unwrap_or_default().into_iter();
            list.filter(|f| f.kind == FunctionKind::Function)
                .map(|f| place(path, f))
                .collect()
        };
        let row_key = |place: &Place| {
            let own = place.key();
            match changed.base_keys.get(&own) {
                Some(key) => key.clone(),
                None => {
                    let inner = &own[place.file.len()..];
                    format!("{head_path}{inner}")
                }
            }
        };
        let base = places(base_path, base).into_iter();
        let head = places(head_path, head).into_iter();
        Ok(ChosenFile {
            base: base.map(|place| (row_key(&place), place)).collect(),
            head: head.map(|place| (place.key(), place)).collect(),
        })
    }

    /// The functions that a choice means, those of head before those that only base has.
    fn find(&self, choice: &FunctionChoice) -> Result<Vec<ChangedFunction>, ChoiceError> {
        let gone = self.base.iter().filter(|(key, _)| !has(&self.head, key));
        let all: Vec<&(String, Place)> = self.head.iter().chain(gone).collect();
        let exact = |(_, place): &&&(String, Place)| {
            place.name == choice.name || place_key(place) == choice.name
        };
        let mut fits: Vec<&(String, Place)> = all.iter().filter(exact).copied().collect();
        if fits.is_empty() {
            let ends = |(_, place): &&&(String, Place)| ends_with(&place.name, &choice.name);
            fits = all.iter().filter(ends).copied().collect();
        }
        let mut names: Vec<String> = fits.iter().map(|(_, place)| place.name.clone()).collect();
        names.dedup();
        if names.len() > 1 {
            return Err(ChoiceError::Ambiguous {
                file: choice.file.clone(),
                name: choice.name.clone(),
                fits: names,
            });
        }
        if fits.is_empty() {
            let names: Vec<&str> = all.iter().map(|(_, place)| place.name.as_str()).collect();
            return Err(ChoiceError::NoFunction {
                file: choice.file.clone(),
                name: choice.name.clone(),
                nearest: nearest(&choice.name, &names),
            });
        }
        Ok(fits
            .into_iter()
            .map(|(key, _)| self.function(key))
            .collect())
    }

    fn function(&self, key: &str) -> ChangedFunction {
        let at = |list: &[(String, Place)]| {
            let found = list.iter().find(|(other, _)| other == key);
            found.map(|(_, place)| place.clone())
        };
        let (base, head) = (at(&self.base), at(&self.head));
        ChangedFunction::new(Change::Chosen, key.to_owned(), base, head)
    }
}

fn has(list: &[(String, Place)], key: &str) -> bool {
    list.iter().any(|(other, _)| other == key)
}

fn place(file: &str, function: SourceFunction) -> Place {
    Place {
        file: file.to_owned(),
        name: function.name,
        ordinal: function.ordinal,
        first_line: function.first_line,
        signature_line: function.signature_line,
        last_line: function.last_line,
    }
}

/// The key within the file.
fn place_key(place: &Place) -> String {
    format!("{}#{}", place.name, place.ordinal)
}

/// Whether the last parts of a name are those of `end`, type arguments and traits aside:
/// `T::g` is the end of `a::T::g`, of `T<u8>::g` and of `<T as Trait>::g`.
fn ends_with(name: &str, end: &str) -> bool {
    let (name, end) = (simple(name), simple(end));
    let before = name.strip_suffix(end.as_str());
    before.is_some_and(|before| before.is_empty() || before.ends_with("::"))
}

/// A name without type arguments, with the type alone for `<Type as Trait>`.
fn simple(name: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0i32;
    // Within `<Type as Trait>` at the start of a part: the depth at which the type stands.
    let mut self_type = None;
    let mut at_start = true;
    let mut rest = name;
    while let Some(sign) = rest.chars().next() {
        match sign {
            '<' if at_start && self_type.is_none() => {
                depth += 1;
                self_type = Some(depth);
            }
            '<' => depth += 1,
            '>' => {
                if self_type == Some(depth) {
                    self_type = None;
                }
                depth -= 1;
            }
            _ if self_type == Some(depth) && rest.starts_with(" as ") => self_type = Some(-1),
            _ if depth == 0 || self_type == Some(depth) => plain.push(sign),
            _ => {}
        }
        if depth == 0 {
            self_type = None;
        }
        at_start = plain.is_empty() || plain.ends_with("::");
        rest = &rest[sign.len_utf8()..];
    }
    plain
}

/// Up to five names, the most alike first.
fn nearest(name: &str, names: &[&str]) -> Vec<String> {
    let wanted = last_part(name).to_lowercase();
    let mut ranked: Vec<(usize, &str)> = names
        .iter()
        .map(|name| (edits(&wanted, &last_part(name).to_lowercase()), *name))
        .collect();
    ranked.sort_unstable();
    ranked.dedup();
    ranked
        .iter()
        .take(5)
        .map(|(_, name)| (*name).to_owned())
        .collect()
}
