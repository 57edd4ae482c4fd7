//! The answers of one image, in columns of fixed width, so that looking one up reads little more
//! than the answer.

use std::sync::Arc;

use hotproof_profile::Source;
use rustc_hash::FxHashMap;

use super::bytes::{Packer, Unpacker, number_at, wide_at};
use super::frame::Opened;
use crate::answer::{Answer, AnswerFrame, NamedFunction, NamedSymbol, Tables};

/// Numbers of a row: name, linkage name, file, line, source.
const FUNCTION_NUMBERS: usize = 5;
/// Numbers of a row: name, address (two), size (two), first alias, end of aliases.
const SYMBOL_NUMBERS: usize = 7;
/// Numbers of a row: outer frame, function, line, column, twice the file and a bit for the mark.
const FRAME_NUMBERS: usize = 5;
const NUMBER_BYTES: usize = 4;

/// The answers of an entry; every number in it is checked when it is used.
#[derive(Debug)]
pub(crate) struct Entry {
    opened: Opened,
    /// Where each part begins in the body, and where it ends.
    parts: Parts,
    /// What the rows became in the tables of the one who asks.
    known: KnownRows,
    /// The first address of each stretch of [`STRETCH`]; empty until one address alone is asked for.
    landmarks: Vec<u64>,
}

/// So many addresses lie from one landmark to the next: a few lines of the processor's cache.
const STRETCH: usize = 64;

#[derive(Debug, Clone, Default)]
struct Parts {
    stamp: Range,
    text_ends: Range,
    texts: Range,
    functions: Range,
    symbols: Range,
    aliases: Range,
    files: Range,
    frames: Range,
    addresses: Range,
    answer_symbols: Range,
    answer_frames: Range,
}

type Range = std::ops::Range<usize>;

#[derive(Debug, Default)]
struct KnownRows {
    functions: FxHashMap<u32, u32>,
    symbols: FxHashMap<u32, u32>,
    files: FxHashMap<u32, u32>,
    frames: FxHashMap<u32, u32>,
}

impl Entry {
    /// An entry of what was read; `None` when its parts do not fit together.
    pub(crate) fn of(opened: Opened) -> Option<Entry> {
        let parts = Parts::find(opened.body())?;
        Some(Entry {
            opened,
            parts,
            known: KnownRows::default(),
            landmarks: Vec::new(),
        })
    }

    /// What the answers depend on, to be checked by [`super::Stamp::still_holds`].
    pub(crate) fn stamp(&self) -> &[u8] {
        self.part(&self.parts.stamp)
    }

    /// How many addresses it answers.
    pub(crate) fn len(&self) -> usize {
        self.parts.addresses.len() / 8
    }

    /// The answers to those of the addresses that it knows, with their rows added to `tables`.
    /// The addresses must be sorted; those without an answer are left in them.
    pub(crate) fn answer(
        &mut self,
        addresses: &mut Vec<u64>,
        tables: &mut Tables,
    ) -> Vec<(u64, Answer)> {
        let mut found = Vec::new();
        let mut from = 0;
        addresses.retain(|&address| {
            let answer = self.row_within(from..self.len(), address).and_then(|row| {
                from = row;
                self.answer_at(row, tables)
            });
            let is_missing = answer.is_none();
            found.extend(answer.map(|answer| (address, answer)));
            is_missing
        });
        found
    }

    /// All answers with all rows, to be written again with others.
    pub(crate) fn all(&mut self, tables: &mut Tables) -> Vec<(u64, Answer)> {
        let rows = 0..self.len();
        rows.filter_map(|row| {
            let address = wide_at(self.part(&self.parts.addresses), row)?;
            Some((address, self.answer_at(row, tables)?))
        })
        .collect()
    }

    /// The row of the innermost frame at an address plus one, 0 for no name; `None` when there is no
    /// answer.
    pub(crate) fn frame_of(&mut self, address: u64) -> Option<u32> {
        if self.landmarks.is_empty() {
            let column = self.part(&self.parts.addresses);
            let firsts = (0..self.len()).step_by(STRETCH);
            self.landmarks = firsts.filter_map(|row| wide_at(column, row)).collect();
        }
        let after = self.landmarks.partition_point(|&first| first <= address);
        let end = self.len().min(after * STRETCH);
        let start = after.checked_sub(1)? * STRETCH;
        let row = self.row_within(start..end, address)?;
        number_at(self.part(&self.parts.answer_frames), row)
    }

    /// The rows of the functions of such a frame, innermost first; `None` when rows make no sense.
    pub(crate) fn functions_of(&self, frame: u32) -> Option<Vec<u32>> {
        let mut functions = Vec::new();
        let mut next = frame.checked_sub(1);
        while let Some(row) = next {
            let [outer, function, ..] =
                numbers::<FRAME_NUMBERS>(self.part(&self.parts.frames), row)?;
            functions.push(function);
            next = outer.checked_sub(1);
            if next.is_some_and(|outer| outer >= row) {
                return None;
            }
        }
        Some(functions)
    }

    fn part(&self, range: &Range) -> &[u8] {
        &self.opened.body()[range.clone()]
    }

    /// The row of an address among some of them.
    fn row_within(&self, rows: Range, address: u64) -> Option<usize> {
        let column = self.part(&self.parts.addresses);
        let (mut low, mut high) = (rows.start, rows.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if wide_at(column, middle)? < address {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (wide_at(column, low)? == address).then_some(low)
    }

    fn answer_at(&mut self, row: usize, tables: &mut Tables) -> Option<Answer> {
        let number = |part| number_at(self.part(part), row);
        let symbol = option(number(&self.parts.answer_symbols)?);
        let frame = option(number(&self.parts.answer_frames)?);
        Some(Answer {
            symbol: match symbol {
                Some(symbol) => Some(self.symbol(symbol - 1, tables)?),
                None => None,
            },
            frame: match frame {
                Some(frame) => Some(self.frame(frame - 1, tables)?),
                None => None,
            },
        })
    }

    /// The row of a frame and, before it, of those around it.
    fn frame(&mut self, innermost: u32, tables: &mut Tables) -> Option<u32> {
        let mut chain = Vec::new();
        let mut next = Some(innermost);
        let mut outer = None;
        while let Some(row) = next {
            if let Some(&known) = self.known.frames.get(&row) {
                outer = Some(known);
                break;
            }
            let numbers = numbers::<FRAME_NUMBERS>(self.part(&self.parts.frames), row)?;
            chain.push((row, numbers));
            next = numbers[0].checked_sub(1);
            // Outer frames come first, so a chain that does not go back never ends.
            if next.is_some_and(|outer| outer >= row) {
                return None;
            }
        }
        for (row, [_, function, line, column, file_and_mark]) in chain.into_iter().rev() {
            let frame = AnswerFrame {
                outer,
                function: self.function(function, tables)?,
                line: option(line),
                column: option(column),
                file: match option(file_and_mark >> 1) {
                    Some(file) => Some(self.file(file - 1, tables)?),
                    None => None,
                },
                contradicted: file_and_mark & 1 == 1,
            };
            let id = push(&mut tables.frames, frame.into())?;
            self.known.frames.insert(row, id);
            outer = Some(id);
        }
        outer
    }

    fn function(&mut self, row: u32, tables: &mut Tables) -> Option<u32> {
        if let Some(&known) = self.known.functions.get(&row) {
            return Some(known);
        }
        let [name, linkage_name, file, line, source] =
            numbers::<FUNCTION_NUMBERS>(self.part(&self.parts.functions), row)?;
        let function = NamedFunction {
            name: self.text(name)?,
            linkage_name: self.text(linkage_name)?,
            file: match file.checked_sub(1) {
                Some(file) => Some(self.text(file)?),
                None => None,
            },
            line: option(line),
            source: *Source::ALL.get(source as usize)?,
        };
        let id = push(&mut tables.functions, function)?;
        self.known.functions.insert(row, id);
        Some(id)
    }

    fn symbol(&mut self, row: u32, tables: &mut Tables) -> Option<u32> {
        if let Some(&known) = self.known.symbols.get(&row) {
            return Some(known);
        }
        let [
            name,
            address_low,
            address_high,
            size_low,
            size_high,
            first,
            end,
        ] = numbers::<SYMBOL_NUMBERS>(self.part(&self.parts.symbols), row)?;
        let aliases = self.part(&self.parts.aliases);
        let aliases = (first..end).map(|alias| {
            let text = self.text(number_at(aliases, alias as usize)?)?;
            Some(text.to_string())
        });
        let symbol = NamedSymbol {
            linkage_name: self.text(name)?,
            address: joined(address_low, address_high),
            size: joined(size_low, size_high),
            aliases: aliases.collect::<Option<_>>()?,
        };
        let id = push(&mut tables.symbols, symbol)?;
        self.known.symbols.insert(row, id);
        Some(id)
    }

    fn file(&mut self, row: u32, tables: &mut Tables) -> Option<u32> {
        if let Some(&known) = self.known.files.get(&row) {
            return Some(known);
        }
        let text = self.text(number_at(self.part(&self.parts.files), row as usize)?)?;
        let id = push(&mut tables.files, text)?;
        self.known.files.insert(row, id);
        Some(id)
    }

    fn text(&self, row: u32) -> Option<Arc<str>> {
        let ends = self.part(&self.parts.text_ends);
        let end = wide_at(ends, row as usize)?;
        let start = match row.checked_sub(1) {
            Some(before) => wide_at(ends, before as usize)?,
            None => 0,
        };
        let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
        let bytes = self.part(&self.parts.texts).get(range)?;
        Some(std::str::from_utf8(bytes).ok()?.into())
    }
}

impl Parts {
    fn find(body: &[u8]) -> Option<Parts> {
        let mut fields = Unpacker { rest: body };
        let mut parts = Parts::default();
        let mark = |fields: &Unpacker<'_>, part: &[u8]| {
            let end = body.len() - fields.rest.len();
            end - part.len()..end
        };
        let stamp = fields.text()?;
        parts.stamp = mark(&fields, stamp);
        let tables: [(&mut Range, usize); 10] = [
            (&mut parts.text_ends, 8),
            (&mut parts.texts, 1),
            (&mut parts.functions, FUNCTION_NUMBERS * NUMBER_BYTES),
            (&mut parts.symbols, SYMBOL_NUMBERS * NUMBER_BYTES),
            (&mut parts.aliases, NUMBER_BYTES),
            (&mut parts.files, NUMBER_BYTES),
            (&mut parts.frames, FRAME_NUMBERS * NUMBER_BYTES),
            (&mut parts.addresses, 8),
            (&mut parts.answer_symbols, NUMBER_BYTES),
            (&mut parts.answer_frames, NUMBER_BYTES),
        ];
        for (range, row_bytes) in tables {
            let rows = usize::try_from(fields.wide()?).ok()?;
            let table = fields.table(rows, row_bytes)?;
            *range = mark(&fields, table);
        }
        let answers = parts.addresses.len() / 8;
        let fits = parts.answer_symbols.len() == answers * NUMBER_BYTES
            && parts.answer_frames.len() == answers * NUMBER_BYTES
            && fields.rest.is_empty();
        fits.then_some(parts)
    }
}

/// Collects answers and the rows that they need, and lays them out.
#[derive(Debug, Default)]
pub(crate) struct EntryRows {
    texts: Table<Arc<str>>,
    functions: Table<[u32; FUNCTION_NUMBERS]>,
    symbols: Table<NamedSymbol>,
    files: Table<u32>,
    frames: Table<[u32; FRAME_NUMBERS]>,
    addresses: Vec<u64>,
    answer_symbols: Vec<u32>,
    answer_frames: Vec<u32>,
}

/// Rows of an entry by rows of the tables that they come from.
struct Copied {
    functions: Vec<Option<u32>>,
    symbols: Vec<Option<u32>>,
    files: Vec<Option<u32>>,
    frames: Vec<Option<u32>>,
}

/// Rows that come once each.
#[derive(Debug)]
struct Table<T> {
    ids: FxHashMap<T, u32>,
    rows: Vec<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table {
            ids: FxHashMap::default(),
            rows: Vec::new(),
        }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Table<T> {
    fn id(&mut self, row: T) -> u32 {
        if let Some(&known) = self.ids.get(&row) {
            return known;
        }
        let id = count(self.rows.len());
        self.rows.push(row.clone());
        self.ids.insert(row, id);
        id
    }
}

impl EntryRows {
    /// Lays out answers with the tables that they refer to: sorted by address, each address once.
    pub(crate) fn of(answers: &[(u64, Answer, usize)], tables: &[&Tables]) -> EntryRows {
        let mut rows = EntryRows::default();
        let mut copied: Vec<Copied> = tables.iter().map(|tables| Copied::of(tables)).collect();
        for &(address, answer, source) in answers {
            rows.add(address, answer, tables[source], &mut copied[source]);
        }
        rows
    }

    fn add(&mut self, address: u64, answer: Answer, tables: &Tables, copied: &mut Copied) {
        self.addresses.push(address);
        let symbol = answer.symbol.map(|symbol| {
            let symbol = symbol as usize;
            *copied.symbols[symbol]
                .get_or_insert_with(|| self.symbols.id(tables.symbols[symbol].clone()))
        });
        self.answer_symbols.push(symbol.map_or(0, |row| row + 1));
        let frame = answer.frame.map(|frame| self.frame(frame, tables, copied));
        self.answer_frames.push(frame.map_or(0, |row| row + 1));
    }

    fn frame(&mut self, innermost: u32, tables: &Tables, copied: &mut Copied) -> u32 {
        let mut chain = Vec::new();
        let mut next = Some(innermost);
        while let Some(row) = next.filter(|&row| copied.frames[row as usize].is_none()) {
            chain.push(row);
            next = tables.frames[row as usize].unpack().outer;
        }
        let mut outer = next.and_then(|row| copied.frames[row as usize]);
        for row in chain.into_iter().rev() {
            let frame = tables.frames[row as usize].unpack();
            let function = frame.function as usize;
            let function = *copied.functions[function]
                .get_or_insert_with(|| self.function(&tables.functions[function]));
            let file = frame.file.map(|file| {
                let file = file as usize;
                *copied.files[file].get_or_insert_with(|| {
                    let text = self.texts.id(tables.files[file].clone());
                    self.files.id(text)
                })
            });
            let id = self.frames.id([
                outer.map_or(0, |row| row + 1),
                function,
                frame.line.unwrap_or(0),
                frame.column.unwrap_or(0),
                file.map_or(0, |row| row + 1) << 1 | u32::from(frame.contradicted),
            ]);
            copied.frames[row as usize] = Some(id);
            outer = Some(id);
        }
        outer.expect("a chain has at least its innermost frame")
    }

    fn function(&mut self, function: &NamedFunction) -> u32 {
        let mut sources = Source::ALL.iter();
        let source = sources.position(|&known| known == function.source);
        let file = function.file.clone().map(|file| self.texts.id(file));
        let row = [
            self.texts.id(function.name.clone()),
            self.texts.id(function.linkage_name.clone()),
            file.map_or(0, |row| row + 1),
            function.line.unwrap_or(0),
            count(source.expect("every source is one of all sources")),
        ];
        self.functions.id(row)
    }

    /// The body of an entry.
    pub(crate) fn body(mut self, stamp: &super::Stamp) -> Vec<u8> {
        let mut aliases = Vec::new();
        let mut symbols = Vec::new();
        for symbol in std::mem::take(&mut self.symbols.rows) {
            let first = count(aliases.len());
            let texts = symbol.aliases.into_iter().map(Arc::from);
            aliases.extend(texts.map(|alias| self.texts.id(alias)));
            symbols.extend([
                self.texts.id(symbol.linkage_name),
                symbol.address as u32,
                (symbol.address >> 32) as u32,
                symbol.size as u32,
                (symbol.size >> 32) as u32,
                first,
                count(aliases.len()),
            ]);
        }
        let mut packer = Packer::default();
        packer.text(&stamp.bytes);
        packer.wide(self.texts.rows.len() as u64);
        let mut end = 0;
        for text in &self.texts.rows {
            end += text.len() as u64;
            packer.wide(end);
        }
        packer.wide(end);
        for text in &self.texts.rows {
            packer.bytes.extend_from_slice(text.as_bytes());
        }
        for (numbers, in_a_row) in [
            (&self.functions.rows.concat(), FUNCTION_NUMBERS),
            (&symbols, SYMBOL_NUMBERS),
            (&aliases, 1),
            (&self.files.rows, 1),
            (&self.frames.rows.concat(), FRAME_NUMBERS),
        ] {
            packer.wide((numbers.len() / in_a_row) as u64);
            packer.numbers(numbers.iter().copied());
        }
        packer.wide(self.addresses.len() as u64);
        for &address in &self.addresses {
            packer.wide(address);
        }
        for numbers in [&self.answer_symbols, &self.answer_frames] {
            packer.wide(numbers.len() as u64);
            packer.numbers(numbers.iter().copied());
        }
        packer.bytes
    }
}

impl Copied {
    fn of(tables: &Tables) -> Copied {
        Copied {
            functions: vec![None; tables.functions.len()],
            symbols: vec![None; tables.symbols.len()],
            files: vec![None; tables.files.len()],
            frames: vec![None; tables.frames.len()],
        }
    }
}

fn numbers<const N: usize>(column: &[u8], row: u32) -> Option<[u32; N]> {
    let first = (row as usize).checked_mul(N)?;
    let mut found = [0; N];
    for (index, number) in found.iter_mut().enumerate() {
        *number = number_at(column, first + index)?;
    }
    Some(found)
}

/// Lines and columns count from 1, so 0 is free to mean that there is none.
fn option(number: u32) -> Option<u32> {
    (number > 0).then_some(number)
}

fn joined(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn push<T>(rows: &mut Vec<T>, row: T) -> Option<u32> {
    let id = u32::try_from(rows.len()).ok()?;
    rows.push(row);
    Some(id)
}

fn count(length: usize) -> u32 {
    u32::try_from(length).expect("an entry is smaller than a gigabyte, so it has fewer rows")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use hotproof_image::Bytes;

    use super::*;
    use crate::cache::{Head, Stamp, frame};

    type RawFunction = (String, String, Option<String>, Option<u32>, usize);
    type RawFrame = (
        (usize, Option<usize>),
        Option<u32>,
        Option<u32>,
        Option<usize>,
        bool,
    );
    type RawAnswer = (Option<usize>, Option<usize>);

    /// Answers by address with the tables that they refer to.
    fn answers() -> impl Strategy<Value = (Vec<(u64, Answer)>, Tables)> {
        let line = || proptest::option::of(1..u32::MAX);
        let function = (
            ".{0,4}",
            "[a-z]{0,4}",
            proptest::option::of("/[a-z]{1,3}"),
            line(),
        );
        let function = (function, 0..Source::ALL.len())
            .prop_map(|((a, b, c, d), e)| -> RawFunction { (a, b, c, d, e) });
        let symbol = ("[a-z]{0,4}", any::<u64>(), any::<u64>());
        let symbol = (symbol, proptest::collection::vec("[a-z]{0,3}", 0..3));
        let row = || proptest::option::of(any::<usize>());
        let frame = ((any::<usize>(), row()), line(), line(), row());
        let frame =
            (frame, any::<bool>()).prop_map(|((a, b, c, d), e)| -> RawFrame { (a, b, c, d, e) });
        let answer = (row(), row());
        (
            proptest::collection::btree_map(any::<u64>(), answer, 0..12),
            proptest::collection::vec(function, 1..5),
            proptest::collection::vec(symbol, 1..4),
            proptest::collection::vec("/[a-z]{1,4}", 1..4),
            proptest::collection::vec(frame, 1..6),
        )
            .prop_map(|(answers, functions, symbols, files, frames)| {
                let mut tables = Tables {
                    functions: functions.into_iter().map(function_of).collect(),
                    symbols: symbols.into_iter().map(symbol_of).collect(),
                    files: files.into_iter().map(Arc::from).collect(),
                    frames: Vec::new(),
                };
                for frame in frames {
                    let frame = frame_of(frame, &tables);
                    tables.frames.push(frame.into());
                }
                let answers = answers.into_iter();
                let answers = answers.map(|(at, raw)| (at, answer_of(raw, &tables)));
                (answers.collect(), tables)
            })
    }

    fn function_of((name, linkage_name, file, line, source): RawFunction) -> NamedFunction {
        let source = Source::ALL[source];
        NamedFunction {
            name: name.into(),
            linkage_name: linkage_name.into(),
            file: file.map(Arc::from),
            line,
            source,
        }
    }

    fn symbol_of(
        ((linkage_name, address, size), aliases): ((String, u64, u64), Vec<String>),
    ) -> NamedSymbol {
        NamedSymbol {
            linkage_name: linkage_name.into(),
            address,
            size,
            aliases,
        }
    }

    fn row(index: usize, rows: &[impl Sized]) -> u32 {
        (index % rows.len()) as u32
    }

    fn frame_of(raw: RawFrame, tables: &Tables) -> AnswerFrame {
        let ((function, outer), line, column, file, contradicted) = raw;
        let outer = outer.filter(|_| !tables.frames.is_empty());
        AnswerFrame {
            outer: outer.map(|outer| row(outer, &tables.frames)),
            function: row(function, &tables.functions),
            line,
            column,
            file: file.map(|file| row(file, &tables.files)),
            contradicted,
        }
    }

    fn answer_of((symbol, frame): RawAnswer, tables: &Tables) -> Answer {
        Answer {
            symbol: symbol.map(|symbol| row(symbol, &tables.symbols)),
            frame: frame.map(|frame| row(frame, &tables.frames)),
        }
    }

    fn bytes_of(answers: &[(u64, Answer)], tables: &Tables) -> Vec<u8> {
        let rows: Vec<_> = answers
            .iter()
            .map(|(at, answer)| (*at, *answer, 0))
            .collect();
        let body = EntryRows::of(&rows, &[tables]).body(&Stamp::default());
        frame::close(&Head::of_image("/bin/x", &[1, 2]), &body)
    }

    fn read(bytes: Vec<u8>) -> Option<Entry> {
        Entry::of(Opened::of(Bytes::Owned(bytes))?)
    }

    proptest! {
        #[test]
        fn answers_come_back_as_they_were((answers, tables) in answers(), extra in any::<u64>()) {
            let mut entry = read(bytes_of(&answers, &tables)).expect("what was just written");
            let mut asked: Vec<u64> = answers.iter().map(|(address, _)| *address).collect();
            let is_known = asked.binary_search(&extra);
            if let Err(at) = is_known {
                asked.insert(at, extra);
            }
            let mut found_tables = Tables::default();
            let found = entry.answer(&mut asked, &mut found_tables);
            prop_assert_eq!(asked, if is_known.is_err() { vec![extra] } else { vec![] });
            prop_assert_eq!(found.len(), answers.len());
            for ((at, found), (address, expected)) in found.iter().zip(&answers) {
                prop_assert_eq!(at, address);
                prop_assert_eq!(found_tables.resolve(*found), tables.resolve(*expected));
            }
        }

        #[test]
        fn cut_and_changed_files_are_misses(
            (answers, tables) in answers(),
            place in any::<proptest::sample::Index>(),
            bit in 0..8u8,
        ) {
            let whole = bytes_of(&answers, &tables);
            let place = place.index(whole.len());
            prop_assert!(read(whole[..place].to_vec()).is_none(), "cut at {}", place);
            let mut changed = whole.clone();
            changed[place] ^= 1 << bit;
            prop_assert!(read(changed).is_none(), "bit {} of byte {}", bit, place);
            let mut longer = whole;
            longer.push(0);
            prop_assert!(read(longer).is_none(), "longer");
        }

        /// Whoever can write the file can write its checksum too.
        #[test]
        fn forged_bodies_are_read_without_panic(
            (answers, tables) in answers(),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let rows: Vec<_> = answers.iter().map(|(at, answer)| (*at, *answer, 0)).collect();
            let mut body = EntryRows::of(&rows, &[&tables]).body(&Stamp::default());
            for (place, value) in changes {
                let place = place.index(body.len());
                body[place] = value;
            }
            if let Some(mut entry) = read(frame::close(&Head::of_image("/bin/x", &[]), &body)) {
                Stamp::still_holds(entry.stamp());
                let mut asked: Vec<u64> = answers.iter().map(|(address, _)| *address).collect();
                let mut found_tables = Tables::default();
                for (_, answer) in entry.answer(&mut asked, &mut found_tables) {
                    found_tables.resolve(answer);
                }
            }
        }
    }
}
