//! Words and paths as text that they come back from, byte by byte. Linux lets both be any bytes, and
//! what is logged has to be text.

/// A byte that is no part of a character stands as this and its number. The range is one of private
/// use, and characters of it in a word are taken apart into bytes, so that none is mistaken.
const FIRST: u32 = 0xf700;

/// A word as text. What is UTF-8 stays as it is.
///
/// ```
/// use hotproof_diff::{bytes_of_text, shown, text_of_bytes};
///
/// let text = text_of_bytes(b"fol\xffder");
/// assert_eq!(bytes_of_text(&text), b"fol\xffder");
/// assert_eq!(shown(&text), "fol\\xffder");
/// ```
pub fn text_of_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut buffer = [0; 4];
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match byte_of(c) {
                None => text.push(c),
                Some(_) => text.extend(c.encode_utf8(&mut buffer).bytes().map(mark_of)),
            }
        }
        text.extend(chunk.invalid().iter().copied().map(mark_of));
    }
    text
}

/// The bytes of a word that [`text_of_bytes`] made.
pub fn bytes_of_text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        match byte_of(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(c.encode_utf8(&mut buffer).bytes()),
        }
    }
    bytes
}

/// A word that [`text_of_bytes`] made, as people read it: bytes without a character as `\xff`.
pub fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match byte_of(c) {
            Some(byte) => shown += &format!("\\x{byte:02x}"),
            None => shown.push(c),
        }
    }
    shown
}

fn mark_of(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte)).expect("no surrogate lies in the range")
}

fn byte_of(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(FIRST)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_stays_text_and_marks_are_not_mistaken() {
        assert_eq!(text_of_bytes("pfad/ü x".as_bytes()), "pfad/ü x");
        let mark = "\u{f7ff}";
        assert_ne!(text_of_bytes(mark.as_bytes()), mark);
        assert_eq!(shown(&text_of_bytes(mark.as_bytes())), "\\xef\\x9f\\xbf");
        assert_eq!(shown("a\\xff ü"), "a\\xff ü");
    }

    proptest! {
        /// Any bytes come back, and any two words have two texts.
        #[test]
        fn bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(bytes_of_text(&text_of_bytes(&bytes)), bytes);
        }

        /// Characters of the range, too.
        #[test]
        fn characters_come_back(text in "[a\u{f6ff}-\u{f801}\u{fffd}]{0,20}") {
            let bytes = text.as_bytes();
            prop_assert_eq!(bytes_of_text(&text_of_bytes(bytes)), bytes);
        }
    }
}
