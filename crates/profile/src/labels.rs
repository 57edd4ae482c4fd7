//! What else is known of a sample: keys with texts or numbers, interned as whole sets.

use std::ops::Index;

use rustc_hash::FxHashMap;

use crate::id::{Id, LabelSetId, StringId};

/// What a label says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LabelValue {
    /// A text.
    Text(StringId),
    /// A number.
    Number {
        /// The number.
        value: i64,
        /// Its unit, as the profile's source spells it; `None` when it has none.
        unit: Option<StringId>,
    },
}

/// One thing known of a sample. A set may hold several labels of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label {
    /// What it is about.
    pub key: StringId,
    /// What it says.
    pub value: LabelValue,
}

impl Label {
    /// The texts that the label refers to: its key, then its text or its unit.
    pub fn texts(&self) -> impl Iterator<Item = StringId> + use<> {
        let second = match self.value {
            LabelValue::Text(text) => Some(text),
            LabelValue::Number { unit, .. } => unit,
        };
        std::iter::once(self.key).chain(second)
    }
}

/// Interned label sets: equal sets, their labels in equal order, have equal ids.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    sets: Vec<Box<[Label]>>,
    ids: FxHashMap<Box<[Label]>, LabelSetId>,
}

impl Labels {
    /// The id of `set`, added when it is new.
    pub fn intern(&mut self, set: &[Label]) -> LabelSetId {
        if let Some(&id) = self.ids.get(set) {
            return id;
        }
        let id = LabelSetId::from_index(self.sets.len());
        self.sets.push(set.into());
        self.ids.insert(set.into(), id);
        id
    }

    /// The labels of `id`, or `None` when there is no such set.
    pub fn get(&self, id: LabelSetId) -> Option<&[Label]> {
        self.sets.get(id.index()).map(AsRef::as_ref)
    }

    /// How many sets there are.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether there is no set.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// All sets in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[Label]> {
        self.sets.iter().map(AsRef::as_ref)
    }
}

impl Index<LabelSetId> for Labels {
    type Output = [Label];

    fn index(&self, id: LabelSetId) -> &[Label] {
        &self.sets[id.index()]
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        self.sets == other.sets
    }
}

impl Eq for Labels {}
