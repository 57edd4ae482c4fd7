//! Linkage names and what they read as, each demangled once.

use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::demangle::demangle;

/// How many names a thread demangles at a time.
const NAMES_AT_A_TIME: usize = 64;

/// Numbers for texts, so that functions are told apart by numbers.
#[derive(Default)]
pub(crate) struct Names {
    ids: FxHashMap<Box<[u8]>, u32>,
    texts: Vec<Arc<str>>,
    /// What linkage names read as, by number.
    demangled: FxHashMap<u32, Arc<str>>,
}

impl Names {
    /// The number of a text. What is not UTF-8 is replaced.
    pub(crate) fn id(&mut self, text: &[u8]) -> u32 {
        if let Some(&known) = self.ids.get(text) {
            return known;
        }
        let id = u32::try_from(self.texts.len()).expect("an image has fewer than 2^32 names");
        self.ids.insert(text.into(), id);
        self.texts.push(String::from_utf8_lossy(text).into());
        id
    }

    pub(crate) fn text(&self, id: u32) -> &Arc<str> {
        &self.texts[id as usize]
    }

    /// What a linkage name reads as.
    pub(crate) fn demangled(&mut self, id: u32) -> &Arc<str> {
        let texts = &self.texts;
        let read = || demangle(&texts[id as usize]).into();
        self.demangled.entry(id).or_insert_with(read)
    }

    /// Demangles many names at once.
    pub(crate) fn demangle_all<'n>(&mut self, names: impl Iterator<Item = &'n [u8]>) {
        let mut fresh: Vec<u32> = names.map(|name| self.id(name)).collect();
        fresh.retain(|id| !self.demangled.contains_key(id));
        fresh.sort_unstable();
        fresh.dedup();
        let texts = &self.texts;
        let read = |&id: &u32| (id, demangle(&texts[id as usize]).into());
        let read: Vec<(u32, Arc<str>)> = if fresh.len() < 2 * NAMES_AT_A_TIME {
            fresh.iter().map(read).collect()
        } else {
            fresh
                .par_iter()
                .with_min_len(NAMES_AT_A_TIME)
                .map(read)
                .collect()
        };
        self.demangled.extend(read);
    }
}
