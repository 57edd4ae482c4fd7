//! Hits and times by path.

use std::collections::HashMap;

use crate::parse::Entry;

#[derive(Default)]
struct Hits {
    number: u64,
    failed: u64,
    time_us: u64,
}

/// What was counted so far.
#[derive(Default)]
pub struct Counts {
    paths: HashMap<String, Hits>,
    guests: HashMap<[u8; 4], u32>,
    slowest_us: u32,
}

impl Counts {
    pub fn add(&mut self, entry: &Entry<'_>) {
        let hits = match self.paths.get_mut(entry.path) {
            Some(hits) => hits,
            None => self.paths.entry(entry.path.to_owned()).or_default(),
        };
        hits.number += 1;
        hits.failed += u64::from(entry.status >= 500);
        hits.time_us += u64::from(entry.time_us);
        *self.guests.entry(entry.address).or_default() += 1;
        self.slowest_us = self.slowest_us.max(entry.time_us);
    }

    pub fn slowest_us(&self) -> u32 {
        self.slowest_us
    }

    /// The `most` busiest paths: name, hits, mean time in microseconds.
    pub fn busiest(&self, most: usize) -> Vec<(&str, u64, u64)> {
        let mut list: Vec<_> = self
            .paths
            .iter()
            .map(|(path, hits)| (path.as_str(), hits.number, hits.time_us / hits.number))
            .collect();
        list.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        list.truncate(most);
        list
    }
}
