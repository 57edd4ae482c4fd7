//! Lines of addresses, read from a line program as it runs.

use std::ops::Range;

use gimli::{ColumnType, IncompleteLineProgram, LineProgramHeader, LineRows};

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

/// The files of a line program that has run, with those that its instructions defined.
pub(crate) struct LineFiles<'a>(Running<'a>);

/// A line program that runs.
type Running<'a> = LineRows<Slice<'a>, IncompleteLineProgram<Slice<'a>>>;

impl<'a> LineFiles<'a> {
    pub(crate) fn header(&self) -> &LineProgramHeader<Slice<'a>> {
        self.0.header()
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
    let mut rows = program.rows();
    let outcome = run(&mut rows, addresses, code, answers);
    (LineFiles(rows), outcome)
}

fn run(
    rows: &mut Running<'_>,
    addresses: &[u64],
    code: &Code,
    answers: &mut [Option<LineRow>],
) -> Result<(), DwarfError> {
    // The last row, and the first address that is not before it; `None` between sequences.
    let mut last: Option<(u64, LineRow)> = None;
    let mut next = 0;
    let mut is_dead = false;
    // The first row of an address counts, so the rest can be left when all have one; before DWARF 5
    // instructions up to the last one may define files.
    let mut open = answers.len();
    let may_stop = rows.header().version() >= 5;
    while let Some((_, row)) = rows.next_row()? {
        let address = row.address();
        if let Some((begin, known)) = last {
            if address > begin && !is_dead {
                while addresses.get(next).is_some_and(|&wanted| wanted < address) {
                    open -= usize::from(answers[next].is_none());
                    answers[next].get_or_insert(known);
                    next += 1;
                }
                if open == 0 && may_stop {
                    break;
                }
            }
        } else {
            is_dead = !code.contains(address);
            next = addresses.partition_point(|&wanted| wanted < address);
        }
        last = if row.end_sequence() {
            None
        } else {
            Some((address, line_row(row)))
        };
    }
    Ok(())
}

fn line_row(row: &gimli::LineRow) -> LineRow {
    let column = match row.column() {
        ColumnType::LeftEdge => 0,
        ColumnType::Column(column) => u32::try_from(column.get()).unwrap_or(0),
    };
    let line = row
        .line()
        .map_or(0, |line| u32::try_from(line.get()).unwrap_or(0));
    LineRow {
        file: row.file_index(),
        line,
        column: if line == 0 { 0 } else { column },
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
