//! A protobuf reader of a few lines, written from the encoding's description alone, so that what
//! the crate writes is not read back through the crate's own field numbers.

/// The fields of a message in the order in which they were written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(Vec<(u64, Value)>);

#[derive(Debug, Clone)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Message {
    pub(crate) fn parse(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = take_number(&mut bytes);
            let value = match key & 7 {
                0 => Value::Number(take_number(&mut bytes)),
                2 => {
                    let len = usize::try_from(take_number(&mut bytes)).unwrap();
                    let (head, rest) = bytes.split_at(len);
                    bytes = rest;
                    Value::Bytes(head.to_vec())
                }
                other => panic!("no field here has wire type {other}"),
            };
            fields.push((key >> 3, value));
        }
        Message(fields)
    }

    fn all(&self, tag: u64) -> impl Iterator<Item = &Value> {
        let fields = self.0.iter().filter(move |field| field.0 == tag);
        fields.map(|field| &field.1)
    }

    /// An unsigned field; 0 when it is absent.
    pub(crate) fn number(&self, tag: u64) -> u64 {
        self.all(tag).last().map_or(0, |value| match value {
            Value::Number(number) => *number,
            Value::Bytes(_) => panic!("field {tag} is no number"),
        })
    }

    /// A signed field; 0 when it is absent.
    pub(crate) fn signed(&self, tag: u64) -> i64 {
        self.number(tag) as i64
    }

    /// A repeated number, packed or not.
    pub(crate) fn numbers(&self, tag: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        for value in self.all(tag) {
            match value {
                Value::Number(number) => numbers.push(*number),
                Value::Bytes(bytes) => {
                    let mut bytes = &bytes[..];
                    while !bytes.is_empty() {
                        numbers.push(take_number(&mut bytes));
                    }
                }
            }
        }
        numbers
    }

    pub(crate) fn messages(&self, tag: u64) -> Vec<Message> {
        self.bytes(tag).map(Message::parse).collect()
    }

    pub(crate) fn texts(&self, tag: u64) -> Vec<String> {
        self.bytes(tag)
            .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
            .collect()
    }

    fn bytes(&self, tag: u64) -> impl Iterator<Item = &[u8]> {
        self.all(tag).map(move |value| match value {
            Value::Bytes(bytes) => &bytes[..],
            Value::Number(_) => panic!("field {tag} is a number"),
        })
    }
}

fn take_number(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let (&byte, rest) = bytes.split_first().expect("a number ends");
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    number
}
