//! Tables that find rows by their contents and hold none of them.

/// Multiplies to 128 bits and folds the halves: each bit of the result depends on all bits.
pub fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

/// A table that is in use has so many slots at least.
const FEWEST_SLOTS: usize = 64;

/// Finds the rows of a table that only grows: row numbers plus one by hash, 0 for free.
///
/// The table belongs to the caller, who compares and hashes its rows.
#[derive(Debug, Clone, Default)]
pub struct RowIndex {
    slots: Vec<u32>,
    rows: usize,
}

impl RowIndex {
    /// The row with this hash that `is_it`.
    pub fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let row = self.slots[self.slot(hash, is_it)].checked_sub(1)?;
        Some(row as usize)
    }

    /// The row with this hash that `is_it`; `None` when there is none: the next row of the table
    /// is now expected to be it, so it has to be added.
    ///
    /// `hash_of` gives the hash of a row that is already there.
    pub fn find_or_claim(
        &mut self,
        hash: u64,
        is_it: impl Fn(usize) -> bool,
        hash_of: impl Fn(usize) -> u64,
    ) -> Option<usize> {
        if self.rows * 4 >= self.slots.len() * 3 {
            self.slots = vec![0; (self.slots.len() * 2).max(FEWEST_SLOTS)];
            for row in 0..self.rows {
                let slot = self.slot(hash_of(row), |_| false);
                self.slots[slot] = number(row);
            }
        }
        let slot = self.slot(hash, is_it);
        if let Some(row) = self.slots[slot].checked_sub(1) {
            return Some(row as usize);
        }
        self.slots[slot] = number(self.rows);
        self.rows += 1;
        None
    }

    /// Where a row is, or where it belongs.
    fn slot(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while let Some(row) = self.slots[slot].checked_sub(1) {
            if is_it(row as usize) {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }
}

fn number(row: usize) -> u32 {
    u32::try_from(row + 1).expect("tables have fewer than 2^32 - 1 rows")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows are found however often the table has grown and however their hashes collide.
    #[test]
    fn rows_are_found_and_new_ones_claimed() {
        let (mut index, mut rows) = (RowIndex::default(), Vec::new());
        let hash = |value: u64| mix(value % 700, 0x9e37_79b9_7f4a_7c15);
        for turn in 0..3 {
            for value in 0..5_000u64 {
                let is_it = |row: usize| rows[row] == value;
                let before = index.find(hash(value), is_it);
                let found = index.find_or_claim(hash(value), is_it, |row| hash(rows[row]));
                let expected = (turn > 0).then_some(value as usize);
                assert_eq!((before, found), (expected, expected));
                if turn == 0 {
                    rows.push(value);
                }
            }
        }
    }
}
