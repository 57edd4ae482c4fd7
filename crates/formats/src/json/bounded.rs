//! What a document of another program may hold without being held in memory.
//!
//! A text of two bytes can stand for a row of a hundred, so the size of a file bounds the memory
//! of its rows badly: [`check`] looks at the whole text before any row of it is made. Formats that
//! are read event by event have [`Few`] rows in each, and take nothing but [`Word`]s and the members
//! they know from the rest, whatever stands there.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::import::{Budget, ImportError, Limits};

/// What one more element of a list takes, about: lists grow by doubling.
const ELEMENT_BYTES: usize = 32;
/// What an empty list takes.
const EMPTY_BYTES: usize = 24;
/// What the shortest list takes that is not empty: there is room for four elements.
const LIST_BYTES: usize = 96;
/// The parser reads no deeper.
const MOST_LEVELS: usize = 128;

/// Refuses a document whose rows could take more memory than they may; a brace of it stands for
/// `row_bytes` at most.
///
/// # Errors
/// [`ImportError::TooLarge`].
pub(super) fn check(bytes: &[u8], row_bytes: usize, limits: Limits) -> Result<(), ImportError> {
    let most = row_bytes.max(LIST_BYTES).saturating_mul(bytes.len());
    if most as u64 <= limits.memory_bytes {
        return Ok(());
    }
    Budget::new(limits).check(held_bytes(bytes, row_bytes))
}

/// What the rows of a document take at most, as far as it can be parsed.
fn held_bytes(bytes: &[u8], row_bytes: usize) -> usize {
    // Whether each level is a list, innermost last.
    let mut levels: Vec<bool> = Vec::new();
    let (mut held, mut at) = (0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = behind_text(bytes, at),
            b'{' | b'[' if levels.len() == MOST_LEVELS => break,
            b'{' => {
                levels.push(false);
                held = held.saturating_add(row_bytes);
            }
            b'[' => {
                levels.push(true);
                let is_empty = bytes.get(at) == Some(&b']');
                held = held.saturating_add(if is_empty { EMPTY_BYTES } else { LIST_BYTES });
            }
            b'}' | b']' => drop(levels.pop()),
            b',' if levels.last() == Some(&true) => held = held.saturating_add(ELEMENT_BYTES),
            _ => {}
        }
    }
    held
}

/// Behind the end of a text that begins here.
fn behind_text(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') => return at + 1,
            Some(_) => at += 1,
            None => return at,
        }
    }
}

/// A text, or the text of a number; empty for all else, of which nothing is held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) String);

impl Deref for Word {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Members that are known, or the default where something else than an object stands.
#[derive(Debug, Default)]
pub(crate) struct OrDefault<T>(pub(crate) T);

/// A list that is held beside the rows of a profile, and is therefore short.
#[derive(Debug)]
pub(crate) struct Few<T>(pub(crate) Vec<T>);

impl<T> Few<T> {
    /// More rows than any piece of a profile that is written for a viewer has.
    const MOST: usize = 1 << 24;
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few(Vec::new())
    }
}

impl<T> Deref for Few<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Words)
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for OrDefault<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Objects(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let most = Few::<T>::MOST;
        let row = PhantomData;
        deserializer.deserialize_seq(Lists { most, row }).map(Few)
    }
}

struct Words;

impl<'de> Visitor<'de> for Words {
    type Value = Word;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_str<E>(self, text: &str) -> Result<Word, E> {
        Ok(Word(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Word, E> {
        Ok(Word(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Word, E> {
        Ok(Word(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Word, E> {
        let number = serde_json::Number::from_f64(number);
        Ok(Word(number.map_or(String::new(), |n| n.to_string())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Word, A::Error> {
        pass_over(map).map(|()| Word::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Word, A::Error> {
        pass_over_list(list).map(|()| Word::default())
    }

    fn visit_unit<E>(self) -> Result<Word, E> {
        Ok(Word::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Word, E> {
        Ok(Word::default())
    }
}

struct Objects<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Objects<T> {
    type Value = OrDefault<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OrDefault<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(OrDefault)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<OrDefault<T>, A::Error> {
        pass_over_list(list).map(|()| OrDefault(T::default()))
    }

    fn visit_str<E>(self, _: &str) -> Result<OrDefault<T>, E> {
        Ok(OrDefault(T::default()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<OrDefault<T>, E> {
        Ok(OrDefault(T::default()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<OrDefault<T>, E> {
        Ok(OrDefault(T::default()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<OrDefault<T>, E> {
        Ok(OrDefault(T::default()))
    }

    fn visit_unit<E>(self) -> Result<OrDefault<T>, E> {
        Ok(OrDefault(T::default()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<OrDefault<T>, E> {
        Ok(OrDefault(T::default()))
    }
}

struct Lists<T> {
    most: usize,
    row: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Lists<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = list.next_element()? {
            if rows.len() == self.most {
                let what = format!("a list has more than {} rows", self.most);
                return Err(A::Error::custom(what));
            }
            rows.push(row);
        }
        Ok(rows)
    }
}

fn pass_over<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

fn pass_over_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Default, Debug)]
    struct Known {
        #[serde(default)]
        word: Word,
    }

    /// Whatever stands there is passed over, and what is known is read.
    #[test]
    fn words_and_members_stand_beside_anything() {
        for (text, word) in [
            (r#"{"word":"a","other":[{}]}"#, "a"),
            (r#"{"word":12}"#, "12"),
            (r#"{"word":-1.5}"#, "-1.5"),
            (r#"{"word":[1,{"a":[]}]}"#, ""),
            (r#"{"word":null}"#, ""),
            (r#"{"word":true}"#, ""),
            (r#"{"word":{"word":1}}"#, ""),
            ("[1,[2]]", ""),
            ("null", ""),
            ("false", ""),
            ("-1", ""),
            ("1", ""),
            ("0.5", ""),
            (r#""word""#, ""),
        ] {
            let known: OrDefault<Known> = serde_json::from_str(text).unwrap();
            assert_eq!(&*known.0.word, word, "{text}");
        }
    }

    /// A list has so many rows at most.
    #[test]
    fn lists_are_short() {
        let read = |text: &str| {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            deserializer.deserialize_seq(Lists::<u8> {
                most: 2,
                row: PhantomData,
            })
        };
        assert_eq!(read("[1,2]").unwrap(), [1, 2]);
        let error = read("[1,2,3]").unwrap_err().to_string();
        assert!(error.contains("more than 2 rows"), "{error}");
    }

    /// Rows of few bytes are counted before they are made.
    #[test]
    fn a_text_is_as_large_as_its_rows() {
        let limits = Limits {
            input_bytes: 1 << 20,
            memory_bytes: 10_000,
        };
        // A list of so many: 96 bytes, and for each its own 68 or 24 and 32 for its place.
        let list = |row: &[u8], count| check(&[b"[", &*row.repeat(count)].concat(), 68, limits);
        assert!(list(b"{},", 99).is_ok());
        assert!(list(b"{},", 100).is_err());
        assert!(list(b"[],", 176).is_ok());
        assert!(list(b"[],", 177).is_err());
        // What is in texts, and between the members of an object, is no row.
        assert!(check(&br#""{,[\"{","#.repeat(999), 68, limits).is_ok());
        assert!(check(br#"{"a":1,"b":[]}"#, 68, limits).is_ok());
        assert_eq!(
            held_bytes(br#"{"a":1,"b":[],"c":[1,{}]}"#, 68),
            68 + 24 + 96 + 32 + 68
        );
    }
}
