//! Thrift's compact protocol, as far as Parquet's headers need it.
//!
//! Source: the protocol's specification (thrift-compact-protocol.md in Apache Thrift): fields as
//! steps from one number to the next, whole numbers as zigzag varints, an end byte of 0.

const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// One structure in the making; its fields come in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Struct {
    bytes: Vec<u8>,
    last: i16,
}

impl Struct {
    pub(super) fn i32(mut self, field: i16, value: i32) -> Self {
        self.header(field, I32);
        varint(&mut self.bytes, zigzag(value.into()));
        self
    }

    pub(super) fn i64(mut self, field: i16, value: i64) -> Self {
        self.header(field, I64);
        varint(&mut self.bytes, zigzag(value));
        self
    }

    pub(super) fn text(mut self, field: i16, text: &str) -> Self {
        self.header(field, BINARY);
        binary(&mut self.bytes, text);
        self
    }

    pub(super) fn nested(mut self, field: i16, inner: Struct) -> Self {
        self.header(field, STRUCT);
        self.bytes.extend(inner.finish());
        self
    }

    pub(super) fn structs(mut self, field: i16, items: impl IntoIterator<Item = Struct>) -> Self {
        let items: Vec<Struct> = items.into_iter().collect();
        self.list(field, STRUCT, items.len());
        for item in items {
            self.bytes.extend(item.finish());
        }
        self
    }

    pub(super) fn i32s(mut self, field: i16, items: &[i32]) -> Self {
        self.list(field, I32, items.len());
        for &item in items {
            varint(&mut self.bytes, zigzag(item.into()));
        }
        self
    }

    pub(super) fn texts(mut self, field: i16, items: &[&str]) -> Self {
        self.list(field, BINARY, items.len());
        for item in items {
            binary(&mut self.bytes, item);
        }
        self
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }

    fn list(&mut self, field: i16, kind: u8, length: usize) {
        self.header(field, LIST);
        // Fifteen and more are told by a number of their own.
        match u8::try_from(length) {
            Ok(short) if short < 15 => self.bytes.push(short << 4 | kind),
            _ => {
                self.bytes.push(0xf0 | kind);
                varint(&mut self.bytes, length as u64);
            }
        }
    }

    fn header(&mut self, field: i16, kind: u8) {
        let step = field - self.last;
        debug_assert!((1..=15).contains(&step), "fields come in order");
        self.bytes.push((step as u8) << 4 | kind);
        self.last = field;
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn binary(bytes: &mut Vec<u8>, text: &str) {
    varint(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

/// Seven bits a byte, the lowest first; the highest bit of a byte says that more follow.
pub(super) fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of the examples in the protocol's specification.
    #[test]
    fn numbers_and_headers_are_as_specified() {
        let mut bytes = Vec::new();
        varint(&mut bytes, 50_399);
        assert_eq!(bytes, [0xdf, 0x89, 0x03]);
        assert_eq!([0, -1, 1, -2].map(zigzag), [0, 1, 2, 3]);
        let bytes = Struct::default().i32(1, -1).text(4, "ab").finish();
        assert_eq!(bytes, [0x15, 1, 0x38, 2, b'a', b'b', 0]);
        let long = Struct::default().i32s(2, &[0; 15]).finish();
        assert_eq!(long[..3], [0x29, 0xf5, 15]);
    }
}
