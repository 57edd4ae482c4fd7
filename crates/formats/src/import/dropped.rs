//! What an import could not keep.

use std::collections::BTreeMap;

/// Facts that were dropped, each counted.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    counts: BTreeMap<&'static str, u64>,
}

impl Dropped {
    /// Counts one more `what`, which is a sentence without its full stop.
    pub(crate) fn note(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// One sentence each, sorted by its bytes.
    pub(crate) fn into_sentences(self) -> Vec<String> {
        let sentence = |(what, count): (&str, u64)| match count {
            1 => what.to_owned(),
            _ => format!("{what} ({count} times)"),
        };
        self.counts.into_iter().map(sentence).collect()
    }
}
