//! Linkage names and what they read as, each demangled once.

use std::borrow::Cow;
use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::demangle::demangle;

/// How many names a thread demangles at a time.
const NAMES_AT_A_TIME: usize = 64;

/// Numbers for texts of mapped files, so that functions are told apart by numbers.
#[derive(Default)]
pub(crate) struct Names<'a> {
    ids: FxHashMap<Cow<'a, [u8]>, u32>,
    /// Numbers by address and length in memory: a name comes as often as functions have it, and
    /// the linker keeps it in one place.
    by_place: FxHashMap<(usize, usize), u32>,
    known: Vec<Name<'a>>,
    /// How many bytes of names were copied.
    copied_bytes: usize,
}

/// So many bytes of names are copied whole. A program's are fewer by far; a damaged file can have
/// a longest name for each function.
const MOST_COPIED_BYTES: usize = 512 << 20;
/// Names beyond all those are cut to so many bytes.
const SHORT_NAME_BYTES: usize = 128;

/// A text by its number.
struct Name<'a> {
    bytes: Cow<'a, [u8]>,
    /// Made when it is asked for, like what it reads as.
    text: Option<Arc<str>>,
    demangled: Option<Arc<str>>,
}

impl<'a> Names<'a> {
    /// The number of a text.
    #[expect(
        clippy::ptr_arg,
        reason = "a text that lies in a file is kept without a copy"
    )]
    pub(crate) fn id(&mut self, text: &Cow<'a, [u8]>) -> u32 {
        let Cow::Borrowed(bytes) = text else {
            return self.id_of_content(text);
        };
        let place = (bytes.as_ptr() as usize, bytes.len());
        if let Some(&known) = self.by_place.get(&place) {
            return known;
        }
        let id = self.id_of_content(text);
        self.by_place.insert(place, id);
        id
    }

    #[expect(
        clippy::ptr_arg,
        reason = "a text that lies in a file is kept without a copy"
    )]
    fn id_of_content(&mut self, text: &Cow<'a, [u8]>) -> u32 {
        if let Some(&known) = self.ids.get(text) {
            return known;
        }
        let id = u32::try_from(self.known.len()).expect("an image has fewer than 2^32 names");
        self.ids.insert(text.clone(), id);
        self.known.push(Name {
            bytes: text.clone(),
            text: None,
            demangled: None,
        });
        id
    }

    /// A text by its number. What is not UTF-8 is replaced.
    pub(crate) fn text(&mut self, id: u32) -> &Arc<str> {
        let name = &mut self.known[id as usize];
        let (bytes, copied) = (&name.bytes, &mut self.copied_bytes);
        name.text.get_or_insert_with(|| {
            let length = match *copied < MOST_COPIED_BYTES {
                true => bytes.len(),
                false => bytes.len().min(SHORT_NAME_BYTES),
            };
            *copied += length;
            String::from_utf8_lossy(&bytes[..length]).into()
        })
    }

    /// What a linkage name reads as.
    pub(crate) fn demangled(&mut self, id: u32) -> Arc<str> {
        let text = self.text(id).clone();
        let name = &mut self.known[id as usize];
        let read = || match demangle(&text) {
            Cow::Borrowed(_) => text.clone(),
            Cow::Owned(read) => read.into(),
        };
        name.demangled.get_or_insert_with(read).clone()
    }

    /// Demangles names of these numbers, on all threads where they are many.
    pub(crate) fn demangle_all(&mut self, ids: impl Iterator<Item = u32>) {
        let is_fresh = |&id: &u32| self.known[id as usize].demangled.is_none();
        let mut fresh: Vec<u32> = ids.filter(is_fresh).collect();
        fresh.sort_unstable();
        fresh.dedup();
        if fresh.len() < 2 * NAMES_AT_A_TIME {
            return;
        }
        let known = &self.known;
        let read = |&id: &u32| {
            let text = String::from_utf8_lossy(&known[id as usize].bytes);
            (id, Arc::from(demangle(&text)))
        };
        let all = fresh.par_iter().with_min_len(NAMES_AT_A_TIME);
        let all: Vec<(u32, Arc<str>)> = all.map(read).collect();
        for (id, read) in all {
            self.known[id as usize].demangled = Some(read);
        }
    }
}
