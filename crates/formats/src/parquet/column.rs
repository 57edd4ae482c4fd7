//! One column of a row group: levels, values, pages.
//!
//! Source: the format's specification (Encodings.md and README.md of apache/parquet-format). A
//! value at definition level `max` is there, below it is null; in a list, repetition level 0
//! begins a row and definition level 0 is an empty list.

use rustc_hash::FxHashMap;

use super::thrift::varint;

/// What a column holds, and whether it may be null and is a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) value: Value,
    pub(super) null: Null,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Text,
    Signed,
    Unsigned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Null {
    Never,
    Maybe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    List,
}

/// The number of a text in the writer's table of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TextId(pub(super) u32);

/// The values of one column in one row group.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) kind: Kind,
    repetition: Vec<u8>,
    definition: Vec<u8>,
    numbers: Vec<i64>,
    /// Positions in `texts`.
    picks: Vec<u32>,
    texts: Vec<TextId>,
    known: FxHashMap<TextId, u32>,
}

impl Column {
    pub(super) fn new(kind: Kind) -> Self {
        Column {
            kind,
            repetition: Vec::new(),
            definition: Vec::new(),
            numbers: Vec::new(),
            picks: Vec::new(),
            texts: Vec::new(),
            known: FxHashMap::default(),
        }
    }

    /// One value, or null, in a row of its own.
    pub(super) fn number(&mut self, value: Option<i64>) {
        self.level(0, value.is_some());
        self.numbers.extend(value);
    }

    /// As [`Column::number`].
    pub(super) fn text(&mut self, value: Option<TextId>) {
        self.level(0, value.is_some());
        self.pick(value);
    }

    /// A row that is a list.
    pub(super) fn numbers(&mut self, values: impl IntoIterator<Item = Option<i64>>) {
        let mut depth = 0;
        for value in values {
            self.level(depth.min(1), value.is_some());
            self.numbers.extend(value);
            depth = 1;
        }
        self.close_list(depth);
    }

    /// As [`Column::numbers`].
    pub(super) fn texts(&mut self, values: impl IntoIterator<Item = Option<TextId>>) {
        let mut depth = 0;
        for value in values {
            self.level(depth, value.is_some());
            self.pick(value);
            depth = 1;
        }
        self.close_list(depth);
    }

    fn close_list(&mut self, depth: u8) {
        if depth == 0 {
            self.repetition.push(0);
            self.definition.push(0);
        }
    }

    fn pick(&mut self, value: Option<TextId>) {
        if let Some(text) = value {
            let next = self.texts.len() as u32;
            let pick = *self.known.entry(text).or_insert(next);
            if pick == next {
                self.texts.push(text);
            }
            self.picks.push(pick);
        }
    }

    fn level(&mut self, repetition: u8, is_there: bool) {
        self.repetition.push(repetition);
        let most = self.kind.most_definition();
        debug_assert!(is_there || self.kind.null == Null::Maybe, "no null here");
        self.definition.push(if is_there { most } else { most - 1 });
    }

    /// How many values there are, nulls and empty lists included.
    pub(super) fn values(&self) -> usize {
        self.definition.len()
    }

    /// The distinct texts, in the order of first sight.
    pub(super) fn dictionary(&self) -> &[TextId] {
        &self.texts
    }

    /// The body of the data page: levels, then values.
    pub(super) fn page(&self) -> Vec<u8> {
        let mut page = Vec::new();
        if self.kind.shape == Shape::List {
            put_levels(&mut page, &self.repetition, 1);
        }
        let most = self.kind.most_definition();
        if most > 0 {
            put_levels(&mut page, &self.definition, width_of(most.into()));
        }
        match self.kind.value {
            Value::Text => {
                let most = self.texts.len().saturating_sub(1);
                let width = width_of(most as u32).max(1);
                page.push(width);
                put_packed(&mut page, self.picks.iter().copied(), width);
            }
            Value::Signed | Value::Unsigned => {
                let bytes = self.numbers.iter().flat_map(|number| number.to_le_bytes());
                page.extend(bytes);
            }
        }
        page
    }
}

impl Kind {
    /// The definition level of a value that is there.
    fn most_definition(self) -> u8 {
        u8::from(self.shape == Shape::List) + u8::from(self.null == Null::Maybe)
    }
}

/// The bits that numbers up to `most` take.
fn width_of(most: u32) -> u8 {
    (u32::BITS - most.leading_zeros()) as u8
}

fn put_levels(page: &mut Vec<u8>, levels: &[u8], width: u8) {
    let mut packed = Vec::new();
    put_packed(&mut packed, levels.iter().map(|&level| level.into()), width);
    // A row group has at most some millions of levels of two bits.
    page.extend((packed.len() as u32).to_le_bytes());
    page.extend(packed);
}

/// One bit-packed run: groups of eight numbers, the lowest bits first, filled up with zeros.
fn put_packed(bytes: &mut Vec<u8>, numbers: impl ExactSizeIterator<Item = u32>, width: u8) {
    let groups = numbers.len().div_ceil(8);
    if groups == 0 {
        return;
    }
    varint(bytes, (groups as u64) << 1 | 1);
    let end = bytes.len() + groups * usize::from(width);
    let (mut bits, mut held) = (0u64, 0u32);
    for number in numbers {
        bits |= u64::from(number) << held;
        held += u32::from(width);
        while held >= 8 {
            bytes.push(bits as u8);
            bits >>= 8;
            held -= 8;
        }
    }
    if held > 0 {
        bytes.push(bits as u8);
    }
    bytes.resize(end, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification: 0 to 7 in three bits each.
    #[test]
    fn bits_are_packed_as_specified() {
        let mut bytes = Vec::new();
        put_packed(&mut bytes, (0..8).collect::<Vec<u32>>().into_iter(), 3);
        assert_eq!(bytes, [0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
        assert_eq!(
            [0, 1, 2, 3, 4, 255, 256].map(width_of),
            [0, 1, 2, 2, 3, 8, 9]
        );
    }
}
