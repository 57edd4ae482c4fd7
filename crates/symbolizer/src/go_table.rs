//! Go's own table of functions and lines, which every Go program carries, stripped or not.
//!
//! Layouts are those of `runtime/symtab.go` and `debug/gosym/pclntab.go` for Go 1.2, 1.16, 1.18 and
//! 1.20, told apart by the table's first word. Inlined calls are read from 1.18 on, for programs
//! with fixed addresses.

use std::borrow::Cow;
use std::cell::Cell;

use hotproof_image::ImageFile;

/// Where linkers put the table, in programs with fixed addresses and in others.
const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];
/// `_PCDATA_InlTreeIndex`.
const INLINE_INDEX: u32 = 2;
/// `_FUNCDATA_InlTree`.
const INLINE_TREE: u32 = 3;
/// Deeper chains are cut: the table is damaged.
const DEEPEST_CHAIN: usize = 256;
/// Longer names are cut.
const LONGEST_NAME_BYTES: usize = 16 << 10;
/// Steps through tables of differences in all: a real program takes some hundreds an address, a
/// damaged one could make each address read the whole file.
const MOST_STEPS: u64 = 1 << 31;

/// Which layout a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layout {
    Go1_2,
    Go1_16,
    Go1_18,
    Go1_20,
}

/// A function at a place of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GoFrame {
    pub(crate) name: String,
    /// Where it is declared; only tables from 1.20 on say so.
    pub(crate) first_line: Option<u32>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
}

/// The table of one program.
#[derive(Debug)]
pub(crate) struct GoTable<'a> {
    image: Option<&'a ImageFile>,
    data: Cow<'a, [u8]>,
    layout: Layout,
    /// Bytes that an instruction has at least.
    quantum: u64,
    /// Bytes of an address: 4 or 8.
    word_bytes: usize,
    /// Linked address of the first function, where the table counts from it.
    text_start: u64,
    functions: usize,
    names: usize,
    units: usize,
    files: usize,
    values: usize,
    entries: usize,
    /// Linked address that the data of functions counts from.
    function_data: Option<u64>,
    steps: Cell<u64>,
}

/// A function's row.
#[derive(Debug, Clone, Copy)]
struct Function {
    /// Where its record is in the table.
    at: usize,
    start: u64,
}

impl<'a> GoTable<'a> {
    /// The table of an image; `None` when it has none of a known layout.
    pub(crate) fn read(image: &'a ImageFile) -> Option<GoTable<'a>> {
        let section = SECTIONS.iter().find_map(|name| image.section(name).ok()?)?;
        let text = image.section_svma(".text").map_or(0, |text| text.start);
        let mut table = GoTable::parse(section.data, text)?;
        table.image = Some(image);
        if table.layout >= Layout::Go1_18 {
            table.function_data = table.find_function_data(section.svma);
        }
        Some(table)
    }

    /// Reads the header; `text_start` stands in for one that only the loader writes.
    pub(crate) fn parse(data: Cow<'a, [u8]>, text_start: u64) -> Option<GoTable<'a>> {
        let layout = match u32::from_le_bytes(*data.first_chunk()?) {
            0xffff_fffb => Layout::Go1_2,
            0xffff_fffa => Layout::Go1_16,
            0xffff_fff0 => Layout::Go1_18,
            0xffff_fff1 => Layout::Go1_20,
            _ => return None,
        };
        let (quantum, pointer_bytes) = (*data.get(6)?, *data.get(7)?);
        if !matches!(quantum, 1 | 2 | 4) || !matches!(pointer_bytes, 4 | 8) {
            return None;
        }
        let mut table = GoTable {
            image: None,
            data,
            layout,
            quantum: u64::from(quantum),
            word_bytes: usize::from(pointer_bytes),
            text_start,
            functions: 0,
            names: 0,
            units: 0,
            files: 0,
            values: 0,
            entries: 0,
            function_data: None,
            steps: Cell::new(MOST_STEPS),
        };
        table.functions = table.word(0)?;
        // Each word is an offset into the table.
        let first = match layout {
            Layout::Go1_2 => {
                table.entries = 8 + table.word_bytes;
                // Two words for each function, and where the last one ends.
                let rows = table.functions.checked_mul(2)?.checked_add(1)?;
                let after = rows.checked_mul(table.word_bytes)?;
                table.files = table.u32(table.entries.checked_add(after)?)? as usize;
                return Some(table);
            }
            Layout::Go1_16 => 2,
            Layout::Go1_18 | Layout::Go1_20 => {
                let start = table.word(2)? as u64;
                table.text_start = if start == 0 { text_start } else { start };
                3
            }
        };
        table.names = table.word(first)?;
        table.units = table.word(first + 1)?;
        table.files = table.word(first + 2)?;
        table.values = table.word(first + 3)?;
        table.entries = table.word(first + 4)?;
        Some(table)
    }

    /// The functions at a linked address, innermost first; empty when the table has none.
    pub(crate) fn frames(&self, svma: u64) -> Vec<GoFrame> {
        let Some(function) = self.find(svma) else {
            return Vec::new();
        };
        let mut frames = Vec::new();
        let mut pc = svma;
        while frames.len() < DEEPEST_CHAIN
            && let Some(call) = self.inlined_at(function, pc)
        {
            let Some(name) = self.name(call.name) else {
                break;
            };
            frames.push(self.frame(function, pc, name, call.first_line));
            // The call lies in the function around, at an address before this one's code ends.
            pc = function.start.wrapping_add(call.parent_pc);
        }
        if let Some(name) = self
            .u32(function.at.saturating_add(self.entry_bytes()))
            .and_then(|at| self.name(at))
        {
            let first_line = self.first_line(function);
            frames.push(self.frame(function, pc, name, first_line));
        }
        frames
    }

    fn frame(&self, function: Function, pc: u64, name: String, first_line: Option<u32>) -> GoFrame {
        GoFrame {
            name,
            first_line: first_line.filter(|&line| line > 0),
            file: self.file(function, pc),
            line: self
                .value(function, self.line_table(function), pc)
                .filter(|&line| line > 0),
        }
    }

    /// The row of the function that covers a linked address.
    fn find(&self, svma: u64) -> Option<Function> {
        let start_of = |row: usize| self.row(row).map(|(start, _)| start);
        // Behind the last function stands where it ends.
        let (mut low, mut high) = (0, self.functions);
        if svma < start_of(0)? || svma >= start_of(self.functions)? {
            return None;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if start_of(middle)? <= svma {
                low = middle;
            } else {
                high = middle;
            }
        }
        let (start, record) = self.row(low)?;
        let at = match self.layout {
            Layout::Go1_2 => record,
            _ => self.entries.checked_add(record)?,
        };
        Some(Function { at, start })
    }

    /// Start of a function, and where its record is.
    fn row(&self, row: usize) -> Option<(u64, usize)> {
        let field = self.row_field_bytes();
        let at = self.entries.checked_add(row.checked_mul(2 * field)?)?;
        let number = |at| word_of(&self.data, at, field);
        let base = if self.layout >= Layout::Go1_18 {
            self.text_start
        } else {
            0
        };
        let start = base.wrapping_add(number(at)?);
        // The last row has no record.
        let record = number(at.checked_add(field)?).unwrap_or(0);
        Some((start, usize::try_from(record).ok()?))
    }

    fn row_field_bytes(&self) -> usize {
        if self.layout >= Layout::Go1_18 {
            4
        } else {
            self.word_bytes
        }
    }

    /// How long the first field of a function's record is: its start.
    fn entry_bytes(&self) -> usize {
        self.row_field_bytes()
    }

    /// A field of a function's record, counted from its name.
    fn field(&self, function: Function, number: usize) -> Option<u32> {
        self.u32(
            function
                .at
                .checked_add(self.entry_bytes())?
                .checked_add(4 * number)?,
        )
    }

    /// Where a function is declared; only tables from 1.20 on say so.
    fn first_line(&self, function: Function) -> Option<u32> {
        (self.layout == Layout::Go1_20).then(|| self.field(function, 8))?
    }

    fn line_table(&self, function: Function) -> Option<u32> {
        self.field(function, 5)
    }

    fn name(&self, at: u32) -> Option<String> {
        let name = self.text(self.names.checked_add(at as usize)?)?;
        (!name.is_empty()).then_some(name)
    }

    fn file(&self, function: Function, pc: u64) -> Option<String> {
        let number = self.value(function, self.field(function, 4), pc)? as usize;
        let at = match self.layout {
            Layout::Go1_2 => {
                let at = self.files.checked_add(number.checked_mul(4)?)?;
                self.u32(at)? as usize
            }
            _ => {
                let unit = self.field(function, 7)? as usize;
                let at = self
                    .units
                    .checked_add(unit.checked_add(number)?.checked_mul(4)?)?;
                let at = self.u32(at).filter(|&at| at != u32::MAX)?;
                self.files.checked_add(at as usize)?
            }
        };
        self.text(at).filter(|file| !file.is_empty())
    }

    /// The value at an address of a table of differences, which begins at `table`; `None` where it
    /// has none.
    fn value(&self, function: Function, table: Option<u32>, pc: u64) -> Option<u32> {
        let table = table.filter(|&table| table != 0)?;
        let mut at = self.values.checked_add(table as usize)?;
        let (mut value, mut end, mut first) = (-1i64, function.start, true);
        loop {
            let change = self.varint(&mut at)?;
            if change == 0 && !first {
                return None;
            }
            first = false;
            self.steps.set(self.steps.get().checked_sub(1)?);
            let half = i64::from(change >> 1);
            value += if change & 1 == 1 { !half } else { half };
            end = end.wrapping_add(u64::from(self.varint(&mut at)?) * self.quantum);
            if pc < end {
                return u32::try_from(value).ok();
            }
        }
    }

    fn inlined_at(&self, function: Function, pc: u64) -> Option<InlinedCall> {
        let image = self.image?;
        let data = self.function_data?;
        let tables = self.field(function, 6)?;
        // The record's fixed part: from 1.20 on with the first line, then four bytes, the last of
        // which counts what follows the tables.
        let fixed = if self.layout == Layout::Go1_20 { 10 } else { 9 };
        let fixed = fixed * 4 + self.entry_bytes() - 4;
        let counts = function.at.checked_add(fixed)?;
        let count = u32::from(*self.data.get(counts.checked_add(3)?)?);
        if INLINE_INDEX >= tables || INLINE_TREE >= count {
            return None;
        }
        let after = counts.checked_add(4)?;
        let index_table = self.u32(after.checked_add(4 * INLINE_INDEX as usize)?);
        let index = self.value(function, index_table, pc)?;
        let tree = after.checked_add(4 * (tables as usize).checked_add(INLINE_TREE as usize)?)?;
        let tree = self.u32(tree).filter(|&at| at != u32::MAX)?;
        let row_bytes: u64 = if self.layout == Layout::Go1_20 {
            16
        } else {
            20
        };
        let at = data.checked_add(u64::from(tree))?;
        let at = at.checked_add(u64::from(index).checked_mul(row_bytes)?)?;
        let row = image.bytes_at(at, row_bytes)?;
        let field = |at: usize| Some(u32::from_le_bytes(*row.get(at..)?.first_chunk()?));
        Some(if self.layout == Layout::Go1_20 {
            InlinedCall {
                name: field(4)?,
                parent_pc: u64::from(field(8)?),
                first_line: field(12),
            }
        } else {
            InlinedCall {
                name: field(12)?,
                parent_pc: u64::from(field(16)?),
                first_line: None,
            }
        })
    }

    /// Finds what the data of functions counts from, in the runtime's description of the program
    /// (`moduledata`), which begins with the table's address and that of its names.
    fn find_function_data(&self, table_svma: u64) -> Option<u64> {
        let image = self.image?;
        let word_of_field = if self.layout == Layout::Go1_20 {
            40
        } else {
            38
        };
        let names = table_svma.wrapping_add(self.names as u64);
        let sections = [".go.module", ".noptrdata", ".data"];
        sections.iter().find_map(|name| {
            let data = image.section(name).ok()??.data;
            let word = |number: usize| word_of(&data, number * self.word_bytes, self.word_bytes);
            let is_start =
                |&at: &usize| word(at) == Some(table_svma) && word(at + 1) == Some(names);
            let start = (0..data.len() / self.word_bytes).find(is_start)?;
            let found = word(start + word_of_field)?;
            image.bytes_at(found, 1).map(|_| found)
        })
    }

    fn word(&self, number: usize) -> Option<usize> {
        let at = 8 + self.word_bytes * number;
        usize::try_from(word_of(&self.data, at, self.word_bytes)?).ok()
    }

    fn u32(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*self.data.get(at..)?.first_chunk()?))
    }

    fn varint(&self, at: &mut usize) -> Option<u32> {
        let mut value = 0u32;
        for shift in (0..32).step_by(7) {
            let byte = *self.data.get(*at)?;
            *at += 1;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn text(&self, at: usize) -> Option<String> {
        let rest = self.data.get(at..)?;
        let rest = &rest[..rest.len().min(LONGEST_NAME_BYTES)];
        let end = rest
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(rest.len());
        Some(String::from_utf8_lossy(&rest[..end]).into_owned())
    }
}

/// A call that was inlined.
#[derive(Debug, Clone, Copy)]
struct InlinedCall {
    name: u32,
    /// Of an instruction of the caller, from the function's start.
    parent_pc: u64,
    first_line: Option<u32>,
}

/// A number of four or eight bytes.
fn word_of(data: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let data = data.get(at..)?;
    match bytes {
        4 => Some(u32::from_le_bytes(*data.first_chunk()?).into()),
        _ => Some(u64::from_le_bytes(*data.first_chunk()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Two functions, `main.a` at 0x1000 with lines 5 and 7, `main.b` at 0x1020 with line 9.
    fn example(layout: Layout, word_bytes: usize) -> Vec<u8> {
        let magic: u32 = match layout {
            Layout::Go1_2 => 0xffff_fffb,
            Layout::Go1_16 => 0xffff_fffa,
            Layout::Go1_18 => 0xffff_fff0,
            Layout::Go1_20 => 0xffff_fff1,
        };
        // Names, then files, then values, each where offset 0 is free.
        let mut names = vec![0];
        let mut offsets = Vec::new();
        for name in ["main.a", "main.b", "/w/main.go"] {
            offsets.push(names.len() as u32);
            names.extend(name.as_bytes());
            names.push(0);
        }
        // File 0 (from -1: +1) all along; lines +6, +2; line +10.
        let values = vec![0, 2, 0x40, 0, 12, 0x10, 4, 0x30, 0, 20, 0x40, 0];
        let (file_at, a_at, b_at) = (1u32, 4u32, 9u32);
        let mut table = magic.to_le_bytes().to_vec();
        table.extend([0, 0, 1, word_bytes as u8]);
        let word = |table: &mut Vec<u8>, value: u64| {
            table.extend(&value.to_le_bytes()[..word_bytes]);
        };
        let wide = layout < Layout::Go1_18;
        let field = if wide { word_bytes } else { 4 };
        let push = |table: &mut Vec<u8>, value: u64| {
            table.extend(&value.to_le_bytes()[..field]);
        };
        word(&mut table, 2);
        let old = layout == Layout::Go1_2;
        let header_words = match layout {
            Layout::Go1_2 => 1,
            Layout::Go1_16 => 7,
            Layout::Go1_18 | Layout::Go1_20 => 8,
        };
        let header = 8 + header_words * word_bytes;
        let base = if wide { 0x1000 } else { 0 };
        // The start and nine fields; the narrow one has a tenth.
        let record_bytes = 44;
        let rows_bytes = 5 * field + 4;
        let (units_at, names_at) = (header, header + 4);
        let values_at = names_at + names.len();
        let entries_at = if old {
            header
        } else {
            values_at + values.len()
        };
        let records_at = entries_at + rows_bytes;
        let in_old = if old {
            records_at + 2 * record_bytes
        } else {
            0
        };
        let (names_at, values_at) = match old {
            true => (in_old + 4, in_old + 4 + names.len()),
            false => (names_at, values_at),
        };
        if !old {
            word(&mut table, 1);
            if !wide {
                word(&mut table, 0x1000);
            }
            for at in [names_at, units_at, names_at, values_at, entries_at] {
                word(&mut table, at as u64);
            }
            assert_eq!(table.len(), header);
            table.extend(offsets[2].to_le_bytes());
            table.extend(&names);
            table.extend(&values);
        }
        assert_eq!(table.len(), entries_at);
        let records = if old { records_at } else { rows_bytes };
        for (start, number) in [(base, 0), (base + 0x20, 1)] {
            push(&mut table, start);
            push(&mut table, (records + number * record_bytes) as u64);
        }
        push(&mut table, base + 0x40);
        table.extend((in_old as u32).to_le_bytes());
        for (start, name, lines) in [(base, 0, a_at), (base + 0x20, 1, b_at)] {
            push(&mut table, start);
            let names_from = if old { names_at as u32 } else { 0 };
            let values_from = if old { values_at as u32 } else { 0 };
            let fields = [
                offsets[name] + names_from,
                0,
                0,
                0,
                file_at + values_from,
                lines + values_from,
                0,
                0,
                4,
            ];
            for value in fields {
                table.extend(value.to_le_bytes());
            }
            table.extend(vec![0; 8 - field]);
        }
        if old {
            assert_eq!(table.len(), in_old);
            table.extend((offsets[2] + names_at as u32).to_le_bytes());
            table.extend(&names);
            table.extend(&values);
        }
        table
    }

    const LAYOUTS: [Layout; 4] = [
        Layout::Go1_2,
        Layout::Go1_16,
        Layout::Go1_18,
        Layout::Go1_20,
    ];

    #[test]
    fn all_layouts_give_functions_files_and_lines() {
        for (layout, word_bytes) in LAYOUTS.into_iter().flat_map(|l| [(l, 4), (l, 8)]) {
            let table = GoTable::parse(example(layout, word_bytes).into(), 0).unwrap();
            let at = |svma| {
                let frames = table.frames(svma);
                let told = |f: &GoFrame| {
                    (
                        f.name.clone(),
                        f.file.clone().unwrap_or_default(),
                        f.line,
                        f.first_line,
                    )
                };
                frames.iter().map(told).collect::<Vec<_>>()
            };
            let file = "/w/main.go".to_owned();
            let first_line = (layout == Layout::Go1_20).then_some(4);
            let expected = [("main.a".to_owned(), file.clone(), Some(5), first_line)];
            assert_eq!(at(0x1000), expected, "{layout:?}");
            assert_eq!(at(0x100f), expected, "{layout:?}");
            assert_eq!(at(0x1010)[0].2, Some(7), "{layout:?}");
            let expected = [("main.b".to_owned(), file, Some(9), first_line)];
            assert_eq!(at(0x103f), expected, "{layout:?}");
            assert_eq!((at(0xfff), at(0x1040)), (vec![], vec![]), "{layout:?}");
        }
    }

    #[test]
    fn every_prefix_is_survived() {
        for layout in LAYOUTS {
            let whole = example(layout, 8);
            for end in 0..whole.len() {
                if let Some(table) = GoTable::parse(whole[..end].into(), 0) {
                    let _ = (table.frames(0x1000), table.frames(0x1035));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn damage_is_survived(
            layout in prop::sample::select(&LAYOUTS[..]),
            flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..12),
            svma in 0xff0u64..0x1050,
        ) {
            let mut bytes = example(layout, 8);
            for (index, bit) in flips {
                let at = index.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            if let Some(table) = GoTable::parse(bytes.into(), 0) {
                let _ = table.frames(svma);
            }
        }
    }
}
