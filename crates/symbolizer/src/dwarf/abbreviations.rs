//! Tables of abbreviations: which attributes the entries of a unit have.
//!
//! A table says of hundreds of kinds of entries what a walk needs of a few, so it is scanned once
//! for where each abbreviation lies, and the attributes are read when an entry needs them. See
//! DWARF 5, section 7.5.3.

use gimli::{
    AttributeSpecification, DwAt, DwForm, DwTag, Encoding, EntriesRaw, Error, Reader, UnitOffset,
};
use memchr::memmem;
use rustc_hash::FxHashMap;

use super::Slice;
use super::plan::read_leb;

/// What entries of one kind look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Abbreviation<'a> {
    pub(crate) tag: DwTag,
    pub(crate) has_children: bool,
    /// Names and forms, as the table has them, with the pair of zeroes that ends them.
    specifications: &'a [u8],
}

/// The abbreviations of one table.
#[derive(Debug, Default)]
pub(crate) struct Abbreviations<'a> {
    /// Compilers number from 1 on without gaps.
    from_one: Vec<Abbreviation<'a>>,
    /// Those of other codes.
    others: FxHashMap<u64, Abbreviation<'a>>,
}

impl<'a> Abbreviations<'a> {
    /// Reads a table that begins where `table` does; of two with one code the first counts.
    pub(crate) fn read(mut table: Slice<'a>) -> Result<Abbreviations<'a>, Error> {
        let mut read = Abbreviations::default();
        while let Some((code, abbreviation)) = next(&mut table)? {
            if code == read.from_one.len() as u64 + 1 {
                read.from_one.push(abbreviation);
            } else if read.get(code).is_none() {
                read.others.insert(code, abbreviation);
            }
        }
        Ok(read)
    }

    /// The abbreviation of a code.
    pub(crate) fn get(&self, code: u64) -> Option<Abbreviation<'a>> {
        let row = usize::try_from(code.checked_sub(1)?).ok()?;
        let found = self.from_one.get(row).or_else(|| self.others.get(&code));
        found.copied()
    }

    /// Reads the code of an entry; its abbreviation, or `None` for the code that ends siblings.
    pub(crate) fn of_entry(
        &self,
        input: &mut Slice<'a>,
    ) -> Result<Option<Abbreviation<'a>>, Error> {
        match read_leb(input)? {
            0 => Ok(None),
            code => {
                let found = self.get(code);
                found.map(Some).ok_or(Error::InvalidAbbreviationCode(code))
            }
        }
    }
}

impl<'a> Abbreviation<'a> {
    /// The attributes, in the order in which entries have their values.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = AttributeSpecification> + use<'a> {
        let mut rest = super::slice(self.specifications);
        // The scan has read over all of them, so there is no error.
        std::iter::from_fn(move || {
            if let [name @ 1..0x80, form @ 1..0x80, ..] = *rest.slice()
                && form != IMPLICIT_CONST
            {
                rest.skip(2).ok()?;
                let (name, form) = (DwAt(name.into()), DwForm(form.into()));
                return Some(AttributeSpecification::new(name, form, None));
            }
            let (name, form) = (read_leb(&mut rest).ok()?, read_leb(&mut rest).ok()?);
            if (name, form) == (0, 0) {
                return None;
            }
            let (name, form) = (DwAt(name.try_into().ok()?), DwForm(form.try_into().ok()?));
            let value = match form {
                gimli::DW_FORM_implicit_const => Some(rest.read_sleb128().ok()?),
                _ => None,
            };
            Some(AttributeSpecification::new(name, form, value))
        })
    }
}

/// The next abbreviation of a table and its code; `None` at the table's end.
pub(crate) fn next<'a>(table: &mut Slice<'a>) -> Result<Option<(u64, Abbreviation<'a>)>, Error> {
    let code = read_leb(table)?;
    if code == 0 {
        return Ok(None);
    }
    let tag = u16::try_from(read_leb(table)?).map_err(|_| Error::BadUnsignedLeb128)?;
    let has_children = gimli::DwChildren(table.read_u8()?) == gimli::DW_CHILDREN_yes;
    let start = *table;
    skip_specifications(table)?;
    let specifications = &start.slice()[..start.len() - table.len()];
    let abbreviation = Abbreviation {
        tag: DwTag(tag),
        has_children,
        specifications,
    };
    Ok(Some((code, abbreviation)))
}

/// How far a root's abbreviation is searched for; tables that reach further are scanned in order.
const SEARCHED_BYTES: usize = 16 << 10;

/// The abbreviation of a unit's root, by its code: the first in `table` that has it, found without
/// reading those before it. `None` where it has to be looked for in order.
///
/// Two zeroes end an abbreviation. Where no number is longer than it has to be, the last two of a
/// run of zeroes do, whatever else is in it, so that the code which follows them begins the next.
/// (Behind the table's end another one begins, whose codes a root does not use if it is sound.)
pub(crate) fn find_root<'a>(table: &mut Slice<'a>, code: u64) -> Option<Abbreviation<'a>> {
    let mut needle = vec![0, 0];
    let mut more = code;
    while more >= 0x80 {
        needle.push(more as u8 | 0x80);
        more >>= 7;
    }
    needle.push(more as u8);
    let searched = &table.slice()[..table.len().min(SEARCHED_BYTES)];
    let at = match searched.starts_with(&needle[2..]) {
        true => 0,
        false => memmem::find(searched, &needle)? + 2,
    };
    let mut rest = *table;
    rest.skip(at).ok()?;
    let (_, found) = next(&mut rest).ok()??;
    let is_root = matches!(
        found.tag,
        gimli::DW_TAG_compile_unit
            | gimli::DW_TAG_partial_unit
            | gimli::DW_TAG_skeleton_unit
            | gimli::DW_TAG_type_unit
    );
    is_root.then(|| {
        *table = rest;
        found
    })
}

/// Goes over names and forms up to a pair of zeroes, which ends them. Tables of abbreviations are the
/// most that is read of units without an address, and nearly all their numbers have one byte.
fn skip_specifications(table: &mut Slice<'_>) -> Result<(), Error> {
    let bytes = table.slice();
    let mut at = 0;
    loop {
        while bytes[at..].first_chunk().is_some_and(are_plain_pairs) {
            at += 8;
        }
        match bytes.get(at..at + 2) {
            Some(&[0, 0]) => return table.skip(at + 2),
            Some(&[name, form]) if name < 0x80 && form < 0x80 && form != IMPLICIT_CONST => at += 2,
            _ => {
                let mut rest = *table;
                rest.skip(at)?;
                let (name, form) = (read_leb(&mut rest)?, read_leb(&mut rest)?);
                if (name, form) == (0, 0) {
                    *table = rest;
                    return Ok(());
                }
                if name.max(form) > u64::from(u16::MAX) {
                    return Err(Error::BadUnsignedLeb128);
                }
                if form == u64::from(IMPLICIT_CONST) {
                    rest.read_sleb128()?;
                }
                at = bytes.len() - rest.len();
            }
        }
    }
}

/// Whether four pairs are numbers of one byte each, none 0, without a form whose value follows.
fn are_plain_pairs(pairs: &[u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    const NAMES: u64 = 0x00ff_00ff_00ff_00ff;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH != 0;
    let word = u64::from_le_bytes(*pairs);
    let others = word ^ (ONES * u64::from(IMPLICIT_CONST));
    word & HIGH == 0 && !has_zero(word) && !has_zero(others | NAMES)
}

/// The form whose value stands in the table, behind it.
const IMPLICIT_CONST: u8 = gimli::DW_FORM_implicit_const.0 as u8;

/// Reads the values of attributes that lie where `input` begins, by gimli, and leaves `input` after
/// them. `each` takes those that `wanted` names.
pub(crate) fn read_values<'a>(
    input: &mut Slice<'a>,
    encoding: Encoding,
    attributes: impl Iterator<Item = AttributeSpecification>,
    wanted: impl Fn(DwAt) -> bool,
    mut each: impl FnMut(&gimli::Attribute<Slice<'a>>),
) -> Result<(), Error> {
    let nothing = gimli::Abbreviations::default();
    let mut entries = EntriesRaw::new(*input, encoding, &nothing, UnitOffset(0));
    for specification in attributes {
        if wanted(specification.name()) {
            each(&entries.read_attribute(specification)?);
        } else {
            entries.skip_attributes(&[specification])?;
        }
    }
    input.skip(entries.next_offset().0)
}

#[cfg(test)]
mod tests {
    use super::{Abbreviations, are_plain_pairs, find_root};
    use crate::dwarf::slice;

    #[test]
    fn abbreviations_are_found_by_code_whatever_their_order() {
        // Codes 1, 2, 300 and again 2; the attributes of 2 are a name and a constant.
        let table = [
            &[1, 0x11, 1, 0, 0][..],
            &[2, 0x2e, 0, 0x03, 0x08, 0x3b, 0x21, 0x7f, 0, 0],
            &[0xac, 0x02, 0x34, 0, 0, 0],
            &[2, 0x05, 0, 0, 0],
            &[0],
            &[4, 0x05, 0, 0, 0],
        ];
        let table = table.concat();
        let read = Abbreviations::read(slice(&table)).unwrap();
        let tag = |code| {
            read.get(code)
                .map(|found| (found.tag.0, found.has_children))
        };
        assert_eq!(tag(1), Some((0x11, true)));
        assert_eq!(tag(2), Some((0x2e, false)), "the first of two");
        assert_eq!(tag(300), Some((0x34, false)));
        assert_eq!((tag(0), tag(3), tag(4)), (None, None, None));
        let attributes: Vec<_> = read.get(2).unwrap().attributes().collect();
        let [name, line] = &attributes[..] else {
            panic!("{attributes:?}");
        };
        assert_eq!((name.name().0, name.form().0), (0x03, 0x08));
        assert_eq!(line.implicit_const_value(), Some(-1));
        for cut in 0..table.len() - 6 {
            let cut_short = Abbreviations::read(slice(&table[..cut]));
            assert!(cut_short.is_err(), "cut to {cut}");
        }
    }

    #[test]
    fn roots_are_found_without_reading_what_lies_before_them() {
        let before = [
            // A constant of zero before the end, no attributes, nothing but zeroes around a code.
            &[1, 0x2e, 0, 0x3b, 0x21, 0, 0, 0][..],
            &[2, 0x3b, 0, 0, 0],
            &[3, 0x34, 1, 0x3b, 0x21, 0x05, 0x11, 0x01, 0, 0],
            &[4, 0x05, 0, 0, 0],
        ];
        for code in [1_u64, 5, 0x7f, 0x80, 0x95, 0x4000] {
            let mut own = vec![(code & 0x7f) as u8];
            let mut rest = code >> 7;
            while rest > 0 {
                *own.last_mut().unwrap() |= 0x80;
                own.push((rest & 0x7f) as u8);
                rest >>= 7;
            }
            own.extend([0x11, 1, 0x25, 0x0e, 0, 0]);
            for rows in 0..=before.len() {
                if code == 1 && rows > 0 {
                    continue;
                }
                let table = [&before[..rows].concat()[..], &own, &[0]].concat();
                let whole = Abbreviations::read(slice(&table)).unwrap();
                let mut left = slice(&table);
                let found = find_root(&mut left, code);
                assert_eq!(found, whole.get(code), "{code} behind {rows}");
                assert_eq!(left.len(), 1, "the end of the table is left");
            }
        }
        let mut table = slice(&[1, 0x2e, 0, 0, 0, 5, 0x34, 0, 0, 0, 0]);
        assert_eq!(find_root(&mut table, 5), None, "no unit's");
        assert_eq!(find_root(&mut table, 6), None, "not there");
        assert_eq!(table.len(), 11, "nothing is taken");
    }

    #[test]
    fn four_pairs_at_once_are_plain_ones() {
        let plain = [0x03, 0x0e, 0x21, 0x0b, 0x3b, 0x7f, 0x01, 0x13];
        assert!(are_plain_pairs(&plain), "a name may be 0x21");
        for place in 0..8 {
            for (byte, is_plain) in [(0, false), (0x80, false), (0xff, false), (1, true)] {
                let mut pairs = plain;
                pairs[place] = byte;
                assert_eq!(are_plain_pairs(&pairs), is_plain, "{pairs:x?}");
            }
            let mut pairs = plain;
            pairs[place] = 0x21;
            assert_eq!(are_plain_pairs(&pairs), place % 2 == 0, "{pairs:x?}");
        }
    }
}
