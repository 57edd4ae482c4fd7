//! The fields of a protobuf message with their offsets, so that an error can say where it is.
//!
//! Messages inside are decoded one by one by prost, which says what is wrong but not where.

/// One field of the outermost message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    /// Offset of its key.
    pub(super) at: u64,
    pub(super) number: u64,
    pub(super) value: Value<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// A fixed width of 4 or 8 bytes, which no field of profile.proto has.
    Fixed,
}

/// Where a message is broken, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Broken {
    pub(super) at: u64,
    pub(super) what: &'static str,
}

/// The fields of a message in the order in which they lie; ends after the first broken one.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Fields { bytes, at: 0 }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            // The tenth byte holds the last bit; further ones fall off, as decoders agree.
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, len: u64) -> Option<&'a [u8]> {
        let end = self.at.checked_add(usize::try_from(len).ok()?)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn value(&mut self, wire_type: u64) -> Result<Value<'a>, &'static str> {
        const CUT: &str = "the file ends within a field";
        match wire_type {
            0 => self.varint().map(Value::Number).ok_or(CUT),
            1 => self.take(8).map(|_| Value::Fixed).ok_or(CUT),
            2 => {
                let len = self.varint().ok_or(CUT)?;
                self.take(len).map(Value::Bytes).ok_or(CUT)
            }
            5 => self.take(4).map(|_| Value::Fixed).ok_or(CUT),
            _ => Err("a field has a type that protobuf does not know"),
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let at = self.at as u64;
        let key = self.varint();
        let field = match key {
            None => Err("the file ends within the key of a field"),
            Some(key) if key >> 3 == 0 => Err("a field has number 0"),
            Some(key) => self.value(key & 7).map(|value| Field {
                at,
                number: key >> 3,
                value,
            }),
        };
        if field.is_err() {
            self.at = self.bytes.len();
        }
        Some(field.map_err(|what| Broken { at, what }))
    }
}
