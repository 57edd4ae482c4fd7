//! Numbers and texts as bytes, little-endian, and back without trusting a length.

/// Writes fields one after the other.
#[derive(Debug, Default)]
pub(super) struct Packer {
    pub(super) bytes: Vec<u8>,
}

impl Packer {
    pub(super) fn number(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn wide(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A length and that many bytes.
    pub(super) fn text(&mut self, text: &[u8]) {
        self.wide(text.len() as u64);
        self.bytes.extend_from_slice(text);
    }

    pub(super) fn numbers(&mut self, values: impl IntoIterator<Item = u32>) {
        for value in values {
            self.number(value);
        }
    }
}

/// Reads fields one after the other; `None` once there is less than asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unpacker<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Unpacker<'a> {
    pub(super) fn wide(&mut self) -> Option<u64> {
        let (first, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u64::from_le_bytes(*first))
    }

    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.wide()?).ok()?;
        self.take(length)
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(first)
    }

    /// A table: so many rows of so many bytes.
    pub(super) fn table(&mut self, rows: usize, row_bytes: usize) -> Option<&'a [u8]> {
        self.take(rows.checked_mul(row_bytes)?)
    }
}

/// The number at an index of a column.
pub(super) fn number_at(column: &[u8], index: usize) -> Option<u32> {
    let start = index.checked_mul(4)?;
    Some(u32::from_le_bytes(*column.get(start..)?.first_chunk()?))
}

/// The wide number at an index of a column.
pub(super) fn wide_at(column: &[u8], index: usize) -> Option<u64> {
    let start = index.checked_mul(8)?;
    Some(u64::from_le_bytes(*column.get(start..)?.first_chunk()?))
}
