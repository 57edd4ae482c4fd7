//! Tables indexed by typed row numbers, and the table of texts.

use std::hash::Hasher;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

use rustc_hash::FxHasher;

use crate::id::{Id, StringId};
use crate::index::RowIndex;

/// A column of rows of one kind; rows are only ever added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<I, T> {
    rows: Vec<T>,
    id: PhantomData<I>,
}

impl<I, T> Default for Table<I, T> {
    fn default() -> Self {
        Table {
            rows: Vec::new(),
            id: PhantomData,
        }
    }
}

impl<I: Id, T> Table<I, T> {
    /// Adds a row and returns its id.
    pub fn push(&mut self, row: T) -> I {
        let id = I::from_index(self.rows.len());
        self.rows.push(row);
        id
    }

    /// The row of `id`, or `None` when the table has no such row.
    pub fn get(&self, id: I) -> Option<&T> {
        self.rows.get(id.index())
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All rows with their ids, in the order they were added.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (I, &T)> + ExactSizeIterator {
        self.rows
            .iter()
            .enumerate()
            .map(|(index, row)| (I::from_index(index), row))
    }

    /// All ids, in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = I> + use<I, T> {
        (0..self.rows.len()).map(I::from_index)
    }

    /// The rows alone, in order.
    pub fn rows(&self) -> &[T] {
        &self.rows
    }
}

impl<I: Id, T> Index<I> for Table<I, T> {
    type Output = T;

    fn index(&self, id: I) -> &T {
        &self.rows[id.index()]
    }
}

impl<I: Id, T> IndexMut<I> for Table<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.rows[id.index()]
    }
}

/// Interned texts: equal texts have equal ids. All lie in one piece of memory.
#[derive(Debug, Clone, Default)]
pub struct Strings {
    all: String,
    /// Where each text ends; it begins where the one before ends.
    ends: Vec<usize>,
    index: RowIndex,
}

impl Strings {
    /// The id of `text`, added when it is new.
    pub fn intern(&mut self, text: &str) -> StringId {
        let Strings { all, ends, index } = self;
        let at = |row: usize| text_at(all, ends, row);
        let found = index.find_or_claim(hash(text), |row| at(row) == text);
        let row = found.unwrap_or_else(|| {
            all.push_str(text);
            ends.push(all.len());
            ends.len() - 1
        });
        StringId::from_index(row)
    }

    /// The id of `text` when it is already known.
    pub fn find(&self, text: &str) -> Option<StringId> {
        let is_it = |row| text_at(&self.all, &self.ends, row) == text;
        self.index.find(hash(text), is_it).map(StringId::from_index)
    }

    /// The text of `id`, or `None` when there is no such text.
    pub fn get(&self, id: StringId) -> Option<&str> {
        let row = id.index();
        (row < self.ends.len()).then(|| text_at(&self.all, &self.ends, row))
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All texts in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ends.len()).map(|row| text_at(&self.all, &self.ends, row))
    }
}

fn text_at<'a>(all: &'a str, ends: &[usize], row: usize) -> &'a str {
    let start = row.checked_sub(1).map_or(0, |before| ends[before]);
    &all[start..ends[row]]
}

fn hash(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(text.as_bytes());
    hasher.finish()
}

impl Index<StringId> for Strings {
    type Output = str;

    fn index(&self, id: StringId) -> &str {
        text_at(&self.all, &self.ends, id.index())
    }
}

impl PartialEq for Strings {
    fn eq(&self, other: &Self) -> bool {
        (&self.all, &self.ends) == (&other.all, &other.ends)
    }
}

impl Eq for Strings {}
