//! Tables that find rows by their contents and hold none of them.

/// Multiplies to 128 bits and folds the halves: each bit of the result depends on all bits.
pub fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

/// A table that is in use has so many slots at least.
const FEWEST_SLOTS: usize = 64;

/// Finds the rows of a table that only grows.
///
/// The table belongs to the caller, who compares its rows. A slot is 0 while it is free, and else
/// holds half of the hash above the number of the row plus one: rows, which lie anywhere in memory,
/// are looked at when the hash agrees, and never to make the table larger.
#[derive(Debug, Clone, Default)]
pub struct RowIndex {
    slots: Vec<u64>,
    rows: usize,
}

impl RowIndex {
    /// The row with this hash that `is_it`.
    pub fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        row_in(self.slots[self.slot(hash, is_it)])
    }

    /// The row with this hash that `is_it`; `None` when there is none: the next row of the table
    /// is now expected to be it, so it has to be added.
    pub fn find_or_claim(&mut self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        if self.rows * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let slot = self.slot(hash, is_it);
        let found = row_in(self.slots[slot]);
        if found.is_none() {
            let number = u32::try_from(self.rows + 1);
            let number = number.expect("tables have fewer than 2^32 - 1 rows");
            self.slots[slot] = hash & TAG | u64::from(number);
            self.rows += 1;
        }
        found
    }

    fn grow(&mut self) {
        let room = (self.slots.len() * 2).max(FEWEST_SLOTS);
        for held in std::mem::replace(&mut self.slots, vec![0; room]) {
            if held != 0 {
                let slot = self.slot(held, |_| false);
                self.slots[slot] = held;
            }
        }
    }

    /// Where a row is, or where it belongs.
    fn slot(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> usize {
        let mask = self.slots.len() - 1;
        // By the half that is held, so that a larger table needs no other.
        let mut slot = (hash >> 32) as usize & mask;
        loop {
            let held = self.slots[slot];
            match row_in(held) {
                Some(row) if (held ^ hash) & TAG != 0 || !is_it(row) => slot = (slot + 1) & mask,
                _ => return slot,
            }
        }
    }
}

/// The half of a hash that a slot holds.
const TAG: u64 = u64::MAX << 32;

/// The row that a slot holds; `None` when it is free.
fn row_in(slot: u64) -> Option<usize> {
    (slot as u32).checked_sub(1).map(|row| row as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows are found however often the table has grown and however their hashes collide.
    #[test]
    fn rows_are_found_and_new_ones_claimed() {
        let (mut index, mut rows) = (RowIndex::default(), Vec::new());
        let hash = |value: u64| mix(value % 700 + 1, 0x9e37_79b9_7f4a_7c15);
        for turn in 0..3 {
            for value in 0..5_000u64 {
                let is_it = |row: usize| rows[row] == value;
                let before = index.find(hash(value), is_it);
                let found = index.find_or_claim(hash(value), is_it);
                let expected = (turn > 0).then_some(value as usize);
                assert_eq!((before, found), (expected, expected));
                if turn == 0 {
                    rows.push(value);
                }
            }
        }
    }
}
