//! Which stretch of memory holds which function, where later ones replace earlier ones.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

/// Names beyond this many bytes are cut: nobody reads them, and a broken writer could give them a
/// gigabyte.
pub(crate) const LONGEST_NAME_BYTES: usize = 16 << 10;
/// All names of one process together take at most this much.
const MOST_NAME_BYTES: usize = 512 << 20;
/// Functions of one process that are kept at most.
const MOST_FUNCTIONS: usize = 1 << 24;
/// Line entries of one process that are kept at most.
const MOST_LINES: usize = 1 << 26;

/// A function that covers an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CodeEntry {
    /// As its maker calls it.
    pub(crate) name: String,
    /// Its first address, at run time.
    pub(crate) start: u64,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Source file and line of the address; `None` when nobody wrote them down.
    pub(crate) line: Option<(String, u32)>,
}

/// A line of a function's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineEntry {
    /// From the function's start.
    pub(crate) offset: u32,
    pub(crate) line: u32,
    /// A text of [`Collector::file`].
    pub(crate) file: Text,
}

/// A piece of the collected text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text {
    start: u32,
    len: u32,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    start: u64,
    size: u64,
    name: Text,
    first_line: u32,
    lines: u32,
}

/// Collects functions in the order in which they were written.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    text: Vec<u8>,
    rows: Vec<Row>,
    lines: Vec<LineEntry>,
    /// The last row that begins at an address.
    by_start: FxHashMap<u64, u32>,
    files: FxHashMap<Box<[u8]>, Text>,
}

/// Memory, sorted, each stretch with its last function.
#[derive(Debug, Default)]
pub(crate) struct CodeMap {
    text: Vec<u8>,
    rows: Vec<Row>,
    lines: Vec<LineEntry>,
    /// Start, end and row of each stretch.
    stretches: Vec<(u64, u64, u32)>,
}

impl Collector {
    /// Keeps a text, cut where it is too long; `None` when there is no room for more.
    pub(crate) fn text(&mut self, text: &[u8]) -> Option<Text> {
        let text = &text[..text.len().min(LONGEST_NAME_BYTES)];
        if self.text.len() + text.len() > MOST_NAME_BYTES {
            return None;
        }
        let start = u32::try_from(self.text.len()).ok()?;
        self.text.extend_from_slice(text);
        let len = u32::try_from(text.len()).ok()?;
        Some(Text { start, len })
    }

    /// Keeps a text that comes often, once.
    pub(crate) fn file(&mut self, name: &[u8]) -> Option<Text> {
        if let Some(&known) = self.files.get(name) {
            return Some(known);
        }
        let text = self.text(name)?;
        self.files.insert(name.into(), text);
        Some(text)
    }

    /// Adds a function, whose `lines` are sorted by offset; `false` when there is no room for more.
    pub(crate) fn add(&mut self, start: u64, size: u64, name: Text, lines: &[LineEntry]) -> bool {
        let full = self.rows.len() >= MOST_FUNCTIONS || self.lines.len() >= MOST_LINES;
        let (Ok(first_line), Ok(count)) =
            (u32::try_from(self.lines.len()), u32::try_from(lines.len()))
        else {
            return false;
        };
        if full {
            return false;
        }
        self.lines.extend_from_slice(lines);
        self.push(Row {
            start,
            size,
            name,
            first_line,
            lines: count,
        });
        true
    }

    /// Adds the function that lies at `old` once more at `new`; `None` when nothing lies there.
    pub(crate) fn move_code(&mut self, old: u64, new: u64, size: u64) -> Option<()> {
        let found = self.rows[*self.by_start.get(&old)? as usize];
        let moved = Row {
            start: new,
            size,
            ..found
        };
        (self.rows.len() < MOST_FUNCTIONS).then(|| self.push(moved))
    }

    fn push(&mut self, row: Row) {
        // There are fewer than MOST_FUNCTIONS rows.
        self.by_start.insert(row.start, self.rows.len() as u32);
        self.rows.push(row);
    }

    /// How many functions there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Sorts out which function is the last one at each address.
    pub(crate) fn finish(self) -> CodeMap {
        let stretches = last_writers(&self.rows);
        CodeMap {
            text: self.text,
            rows: self.rows,
            lines: self.lines,
            stretches,
        }
    }
}

/// Goes backwards and gives each function what no later one has taken.
///
/// Free stretches are kept instead of taken ones: each step takes whole ones away, so that no
/// order of overlaps costs more than `n log n`.
fn last_writers(rows: &[Row]) -> Vec<(u64, u64, u32)> {
    let mut free: BTreeMap<u64, u64> = BTreeMap::from([(0, u64::MAX)]);
    let mut taken = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate().rev() {
        let end = row.start.saturating_add(row.size);
        let number = index as u32; // Fewer than MOST_FUNCTIONS.
        while let Some((from, to)) = first_free(&free, row.start, end) {
            free.remove(&from);
            if from < row.start {
                free.insert(from, row.start);
            }
            if to > end {
                free.insert(end, to);
            }
            taken.push((from.max(row.start), to.min(end), number));
        }
    }
    taken.sort_unstable();
    taken
}

/// The first free stretch that shares an address with `start..end`.
fn first_free(free: &BTreeMap<u64, u64>, start: u64, end: u64) -> Option<(u64, u64)> {
    if start >= end {
        return None;
    }
    let before = free.range(..=start).next_back();
    let at = before.filter(|&(_, &to)| to > start);
    let next = || free.range(start..end).next();
    at.or_else(next).map(|(&from, &to)| (from, to))
}

impl CodeMap {
    /// The function at an address, and the line there.
    pub(crate) fn find(&self, address: u64) -> Option<CodeEntry> {
        let after = self.stretches.partition_point(|s| s.0 <= address);
        let &(_, end, row) = self.stretches.get(after.checked_sub(1)?)?;
        if address >= end {
            return None;
        }
        let row = &self.rows[row as usize];
        Some(CodeEntry {
            name: self.text(row.name),
            start: row.start,
            size: row.size,
            line: self.line(row, address - row.start),
        })
    }

    fn line(&self, row: &Row, offset: u64) -> Option<(String, u32)> {
        let first = row.first_line as usize;
        let lines = &self.lines[first..first + row.lines as usize];
        let after = lines.partition_point(|line| u64::from(line.offset) <= offset);
        let line = lines.get(after.checked_sub(1)?)?;
        Some((self.text(line.file), line.line))
    }

    fn text(&self, text: Text) -> String {
        let start = text.start as usize;
        let bytes = &self.text[start..start + text.len as usize];
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// Whether there is no function.
    pub(crate) fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(list: &[(u64, u64)]) -> CodeMap {
        let mut collector = Collector::default();
        for (number, &(start, size)) in list.iter().enumerate() {
            let name = collector.text(number.to_string().as_bytes()).unwrap();
            assert!(collector.add(start, size, name, &[]));
        }
        collector.finish()
    }

    #[test]
    fn later_code_replaces_what_it_covers_and_no_more() {
        let map = map(&[(10, 30), (20, 5), (35, 20), (5, 7), (100, 0)]);
        let name = |address| map.find(address).map(|entry| entry.name);
        for (address, expected) in [
            (4, None),
            (5, Some("3")),
            (11, Some("3")),
            (12, Some("0")),
            (19, Some("0")),
            (20, Some("1")),
            (25, Some("0")),
            (34, Some("0")),
            (35, Some("2")),
            (54, Some("2")),
            (55, None),
            (100, None),
        ] {
            assert_eq!(name(address).as_deref(), expected, "at {address}");
        }
    }

    #[test]
    fn moved_code_has_its_name_at_both_places() {
        let mut collector = Collector::default();
        let name = collector.text(b"f").unwrap();
        collector.add(10, 5, name, &[]);
        assert_eq!(collector.move_code(10, 50, 5), Some(()));
        assert_eq!(collector.move_code(11, 60, 5), None, "nothing begins there");
        let map = collector.finish();
        assert_eq!(map.find(12).unwrap().start, 10);
        assert_eq!(map.find(52).unwrap().start, 50);
    }

    #[test]
    fn a_name_of_any_length_takes_bounded_memory() {
        let mut collector = Collector::default();
        let name = collector.text(&vec![b'x'; 1 << 22]).unwrap();
        collector.add(0, 1, name, &[]);
        let found = collector.finish().find(0).unwrap();
        assert_eq!(found.name.len(), LONGEST_NAME_BYTES);
    }

    proptest! {
        /// The answer at each address is that of the naive rule: the last one that covers it.
        #[test]
        fn the_last_one_that_covers_an_address_names_it(
            list in prop::collection::vec((0u64..60, 0u64..30), 0..40)
        ) {
            let map = map(&list);
            for address in 0..95 {
                let covers = |&(start, size): &(u64, u64)| (start..start + size).contains(&address);
                let expected = list.iter().rposition(covers).map(|number| number.to_string());
                prop_assert_eq!(map.find(address).map(|entry| entry.name), expected);
            }
        }
    }
}
