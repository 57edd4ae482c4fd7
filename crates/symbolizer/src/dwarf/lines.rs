//! Lines of addresses, read from a line program as it runs.

use std::ops::Range;

use gimli::{ColumnType, IncompleteLineProgram, LineProgramHeader, LineRows};

use super::line_machine::{LineMachine, Ran, RowAt};
use super::ranges::Code;
use super::{DwarfError, Slice};

/// A row of the line table: from here on, code comes from this line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LineRow {
    /// An index into the files of the line program.
    pub(crate) file: u64,
    /// 0 when the code belongs to no line.
    pub(crate) line: u32,
    /// 0 when unknown.
    pub(crate) column: u32,
}

/// A line as programs have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawLine {
    pub(super) file: u64,
    pub(super) line: u64,
    pub(super) column: u64,
}

impl RawLine {
    /// A line or a column beyond all of them is unknown.
    fn row(self) -> LineRow {
        let line = u32::try_from(self.line).unwrap_or(0);
        let column = u32::try_from(self.column).unwrap_or(0);
        LineRow {
            file: self.file,
            line,
            column: if line == 0 { 0 } else { column },
        }
    }
}

/// The files of a line program that has run, with those that its instructions defined.
pub(crate) enum LineFiles<'a> {
    /// Those of its header.
    Header(IncompleteLineProgram<Slice<'a>>),
    Running(LineRows<Slice<'a>, IncompleteLineProgram<Slice<'a>>>),
}

impl<'a> LineFiles<'a> {
    pub(crate) fn header(&self) -> &LineProgramHeader<Slice<'a>> {
        match self {
            LineFiles::Header(program) => program.header(),
            LineFiles::Running(rows) => rows.header(),
        }
    }
}

/// Runs a line program and gives each address its row; `addresses` are sorted.
///
/// Of rows at one address the last counts (DWARF 5, section 6.2.5: the others describe no code).
/// A sequence that does not begin in the program's code belongs to a function that the linker
/// removed. When two sequences hold an address, the first one answers.
pub(crate) fn rows_of<'a>(
    program: IncompleteLineProgram<Slice<'a>>,
    addresses: &[u64],
    code: &Code,
    answers: &mut [Option<LineRow>],
) -> (LineFiles<'a>, Result<(), DwarfError>) {
    // Before DWARF 5, instructions up to the last one may define files.
    let may_stop = program.header().version() >= 5;
    let mut taker = RowTaker::new(addresses, code, answers, may_stop);
    match LineMachine::new(program.header()).run(&mut |row| taker.take(row)) {
        Ok(Ran::ToItsEnd) => return (LineFiles::Header(program), Ok(())),
        Err(error) => return (LineFiles::Header(program), Err(error.into())),
        Ok(Ran::IntoTheUnusual) => {}
    }
    answers.fill(None);
    let mut taker = RowTaker::new(addresses, code, answers, may_stop);
    let mut rows = program.rows();
    let outcome = loop {
        match rows.next_row() {
            Ok(Some((_, row))) if taker.take(place_of(row)) => {}
            Ok(_) => break Ok(()),
            Err(error) => break Err(error.into()),
        }
    };
    (LineFiles::Running(rows), outcome)
}

/// Gives addresses the rows of a program that runs.
struct RowTaker<'t> {
    addresses: &'t [u64],
    code: &'t Code,
    answers: &'t mut [Option<LineRow>],
    /// The last row; `None` between sequences.
    last: Option<(u64, RawLine)>,
    /// The first address at or after the last row.
    next: usize,
    /// Within a sequence no row up to this address answers anything: the next address, and all
    /// there are in a sequence of a function that is not there.
    quiet_until: u64,
    /// How many addresses have no row.
    open: usize,
    may_stop: bool,
}

impl<'t> RowTaker<'t> {
    fn new(
        addresses: &'t [u64],
        code: &'t Code,
        answers: &'t mut [Option<LineRow>],
        may_stop: bool,
    ) -> RowTaker<'t> {
        RowTaker {
            open: answers.len(),
            addresses,
            code,
            answers,
            last: None,
            next: 0,
            quiet_until: 0,
            may_stop,
        }
    }

    /// Takes a row; false when the rest can be left, because the first row of an address counts
    /// and all have one.
    #[inline]
    fn take(&mut self, row: RowAt) -> bool {
        if row.ends_sequence || row.address > self.quiet_until || self.last.is_none() {
            return self.take_notable(row);
        }
        self.last = Some((row.address, row.line));
        true
    }

    /// Takes a row that begins or ends a sequence, or that addresses lie before.
    fn take_notable(&mut self, row: RowAt) -> bool {
        let is_quiet = row.address <= self.quiet_until;
        match self.last {
            Some((begin, known)) if row.address > begin && !is_quiet => {
                self.answer_up_to(row.address, known.row());
                if self.open == 0 && self.may_stop {
                    return false;
                }
            }
            Some(_) => {}
            None => self.begin(row.address),
        }
        self.last = (!row.ends_sequence).then_some((row.address, row.line));
        true
    }

    fn begin(&mut self, first: u64) {
        self.next = self.addresses.partition_point(|&at| at < first);
        self.quiet_until = match self.code.contains(first) {
            true => self.next_address(),
            false => u64::MAX,
        };
    }

    fn answer_up_to(&mut self, end: u64, row: LineRow) {
        while let Some(&wanted) = self.addresses.get(self.next)
            && wanted < end
        {
            self.open -= usize::from(self.answers[self.next].is_none());
            self.answers[self.next].get_or_insert(row);
            self.next += 1;
        }
        self.quiet_until = self.next_address();
    }

    fn next_address(&self) -> u64 {
        self.addresses.get(self.next).map_or(u64::MAX, |&at| at)
    }
}

fn place_of(row: &gimli::LineRow) -> RowAt {
    let column = match row.column() {
        ColumnType::LeftEdge => 0,
        ColumnType::Column(column) => column.get(),
    };
    RowAt {
        address: row.address(),
        line: RawLine {
            file: row.file_index(),
            line: row.line().map_or(0, std::num::NonZero::get),
            column,
        },
        ends_sequence: row.end_sequence(),
    }
}

/// Calls `each` for the sequences of a program that begin in the code.
pub(crate) fn for_each_sequence(
    program: IncompleteLineProgram<Slice<'_>>,
    code: &Code,
    mut each: impl FnMut(Range<u64>),
) {
    let mut rows = program.rows();
    let mut begin = None;
    // Damage ends the sequences: those before it are whole.
    while let Ok(Some((_, row))) = rows.next_row() {
        let address = row.address();
        let first = *begin.get_or_insert(address);
        if row.end_sequence() {
            if first < address && code.contains(first) {
                each(first..address);
            }
            begin = None;
        }
    }
}
