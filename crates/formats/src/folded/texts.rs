//! The escaped names of a profile, each once, and their order.

use std::cmp::Ordering;

use hotproof_profile::{Code, Id, Profile, StringId};
use rustc_hash::FxHashMap;

use super::escape_into;

/// The number of a text.
pub(super) type TextId = u32;

const NONE: TextId = TextId::MAX;

/// Escaped names. Equal names have equal numbers, whatever code has them.
pub(super) struct Texts {
    all: String,
    ends: Vec<usize>,
    by_string: Vec<TextId>,
    by_function: Vec<TextId>,
    by_image: Vec<TextId>,
    /// Names that are not among the profile's texts.
    others: FxHashMap<String, TextId>,
}

impl Texts {
    pub(super) fn of(profile: &Profile) -> Texts {
        Texts {
            all: String::new(),
            ends: Vec::new(),
            by_string: vec![NONE; profile.strings.len()],
            by_function: vec![NONE; profile.functions.len()],
            by_image: vec![NONE; profile.images.len()],
            others: FxHashMap::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn text(&self, id: TextId) -> &str {
        let at = id as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start..self.ends[at]]
    }

    fn push(&mut self, name: &str) -> TextId {
        escape_into(name, &mut self.all);
        self.ends.push(self.all.len());
        TextId::try_from(self.ends.len() - 1).expect("fewer than 2^32 names")
    }

    pub(super) fn of_string(&mut self, profile: &Profile, id: StringId) -> TextId {
        let known = self.by_string[id.index()];
        if known != NONE {
            return known;
        }
        let text = self.push(&profile.strings[id]);
        self.by_string[id.index()] = text;
        text
    }

    pub(super) fn of_name(&mut self, profile: &Profile, name: &str) -> TextId {
        if let Some(id) = profile.strings.find(name) {
            return self.of_string(profile, id);
        }
        if let Some(&known) = self.others.get(name) {
            return known;
        }
        let text = self.push(name);
        self.others.insert(name.to_owned(), text);
        text
    }

    pub(super) fn of_code(&mut self, profile: &Profile, code: Code) -> TextId {
        let known = match code {
            Code::Function(id) => return self.of_function(profile, id),
            Code::Unnamed(id) => self.by_image[id.index()],
            Code::Unmapped => NONE,
        };
        if known != NONE {
            return known;
        }
        let text = self.of_name(profile, &profile.code_name(code));
        if let Code::Unnamed(id) = code {
            self.by_image[id.index()] = text;
        }
        text
    }

    fn of_function(&mut self, profile: &Profile, id: hotproof_profile::FunctionId) -> TextId {
        let known = self.by_function[id.index()];
        if known != NONE {
            return known;
        }
        let text = self.of_string(profile, profile.functions[id].name);
        self.by_function[id.index()] = text;
        text
    }

    /// Where each text belongs among all: `places[2 * id]` when a line ends with it,
    /// `places[2 * id + 1]` when a semicolon follows.
    pub(super) fn places(&self) -> Vec<u32> {
        let texts = 0..self.ends.len() as u32;
        let mut sorted: Vec<(u64, TextId)> = texts.map(|id| (start(self.text(id)), id)).collect();
        sorted.sort_unstable_by(|a, b| {
            let rest = || self.text(a.1).cmp(self.text(b.1));
            a.0.cmp(&b.0).then_with(rest)
        });
        // Two sorted runs, but for texts that other texts begin with.
        let lines = sorted.iter().map(|&(_, id)| (id, Follows::Nothing));
        let below = sorted.iter().map(|&(_, id)| (id, Follows::Semicolon));
        let mut keys: Vec<(TextId, Follows)> = lines.chain(below).collect();
        keys.sort_by(|&a, &b| compare((self.text(a.0), a.1), (self.text(b.0), b.1)));
        let mut places = vec![0; keys.len()];
        for (place, (id, follows)) in (0..).zip(keys) {
            places[id as usize * 2 + follows as usize] = place;
        }
        places
    }
}

/// What stands behind a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Follows {
    Nothing,
    Semicolon,
}

/// The first eight bytes as a number of the same order.
fn start(text: &str) -> u64 {
    let mut first = [0; 8];
    let len = text.len().min(8);
    first[..len].copy_from_slice(&text.as_bytes()[..len]);
    u64::from_be_bytes(first)
}

/// Compares texts with what follows them; no text holds a semicolon.
fn compare((a, after_a): (&str, Follows), (b, after_b): (&str, Follows)) -> Ordering {
    let with = |text: &str, follows: Follows, at: usize| match (text.as_bytes().get(at), follows) {
        (Some(&byte), _) => Some(byte),
        (None, Follows::Semicolon) if at == text.len() => Some(b';'),
        (None, _) => None,
    };
    let shared = a.len().min(b.len());
    let starts = a.as_bytes()[..shared].cmp(&b.as_bytes()[..shared]);
    starts.then_with(|| {
        let next = |at| with(a, after_a, at).cmp(&with(b, after_b, at));
        next(shared).then_with(|| next(shared + 1))
    })
}
