//! Tables for a terminal: columns that line up, give way when there is little room, and cut names
//! in the middle.
//!
//! A table crate wraps a long name over several lines or cuts its end off; here the name's middle
//! goes, and whole columns go before names become unreadable.

use anstyle::Style;

use crate::names::{clean, cut_middle, width};
use crate::style::{PLAIN, STRONG, paint};

/// Blanks between two columns.
const GAP: usize = 2;

/// Which side the cells of a column line up at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Names.
    Left,
    /// Figures.
    Right,
}

/// One column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    heading: String,
    align: Align,
    /// The least width that its cells may be cut to; `None` for figures, which are never cut.
    least: Option<usize>,
    /// Whether the column may be left out, and when: the highest goes first. `None`: never.
    gives_way: Option<u8>,
}

impl Column {
    /// A column of figures.
    pub(crate) fn figures(heading: &str) -> Self {
        Column {
            heading: heading.to_owned(),
            align: Align::Right,
            least: None,
            gives_way: None,
        }
    }

    /// A column of names, which may be cut in the middle down to `least` columns.
    pub(crate) fn names(heading: &str, least: usize) -> Self {
        Column {
            heading: heading.to_owned(),
            align: Align::Left,
            least: Some(least),
            gives_way: None,
        }
    }

    /// The same column, left out when room is short: the highest `rank` goes first.
    pub(crate) fn optional(mut self, rank: u8) -> Self {
        self.gives_way = Some(rank);
        self
    }
}

/// One cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell with a style; control characters in the text are spelled out.
    pub(crate) fn styled(text: &str, style: Style) -> Self {
        Cell {
            text: clean(text),
            style,
        }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell::styled(text.as_ref(), PLAIN)
    }
}

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    indent: usize,
}

impl Grid {
    /// An empty table, moved `indent` columns to the right.
    pub(crate) fn new(columns: Vec<Column>, indent: usize) -> Self {
        Grid {
            columns,
            rows: Vec::new(),
            indent,
        }
    }

    /// Adds a row: one cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "one cell for each column");
        self.rows.push(cells);
    }

    /// The table in at most `columns` columns where that is possible, each line ended by a
    /// newline, no blanks at the ends of lines.
    pub(crate) fn render(&self, columns: usize) -> String {
        let layout = self.layout(columns.saturating_sub(self.indent));
        let mut out = String::new();
        let headings: Vec<Cell> = self
            .columns
            .iter()
            .map(|column| Cell::styled(&column.heading, STRONG))
            .collect();
        if self.columns.iter().any(|column| !column.heading.is_empty()) {
            self.push_line(&mut out, &headings, &layout);
        }
        for row in &self.rows {
            self.push_line(&mut out, row, &layout);
        }
        out
    }

    /// The headings of the columns that find room in so many columns of a screen.
    pub(crate) fn headings(&self, columns: usize) -> Vec<&str> {
        let layout = self.layout(columns.saturating_sub(self.indent));
        let shown = layout.iter().map(|&(index, _)| &self.columns[index]);
        shown.map(|column| column.heading.as_str()).collect()
    }

    fn push_line(&self, out: &mut String, cells: &[Cell], layout: &[(usize, usize)]) {
        let mut line = " ".repeat(self.indent);
        let mut pending = 0;
        for (position, &(index, room)) in layout.iter().enumerate() {
            let cell = &cells[index];
            let text = cut_middle(&cell.text, room);
            let free = room - width(&text);
            let (before, after) = match self.columns[index].align {
                Align::Left => (0, free),
                Align::Right => (free, 0),
            };
            pending += before + if position > 0 { GAP } else { 0 };
            if !text.is_empty() {
                line.push_str(&" ".repeat(std::mem::take(&mut pending)));
                line.push_str(&paint(cell.style, &text));
            }
            pending += after;
        }
        out.push_str(line.trim_end_matches(' '));
        out.push('\n');
    }

    /// The columns that are shown, in order, with their widths.
    fn layout(&self, room: usize) -> Vec<(usize, usize)> {
        let natural: Vec<usize> = (0..self.columns.len()).map(|i| self.natural(i)).collect();
        let least = |i: usize| {
            self.columns[i]
                .least
                .map_or(natural[i], |l| l.min(natural[i]))
        };
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let needed = |shown: &[usize]| {
            let cells: usize = shown.iter().map(|&i| least(i)).sum();
            cells + GAP * shown.len().saturating_sub(1)
        };
        while needed(&shown) > room {
            let rank = |&i: &usize| self.columns[i].gives_way;
            let Some(worst) = shown
                .iter()
                .copied()
                .filter(|i| rank(i).is_some())
                .max_by_key(rank)
            else {
                break;
            };
            shown.retain(|&i| i != worst);
        }
        let mut widths: Vec<usize> = natural.clone();
        let gaps = GAP * shown.len().saturating_sub(1);
        let fixed: usize = shown
            .iter()
            .filter(|&&i| self.columns[i].least.is_none())
            .map(|&i| natural[i])
            .sum();
        let names: Vec<usize> = shown
            .iter()
            .copied()
            .filter(|&i| self.columns[i].least.is_some())
            .collect();
        share_room(
            &mut widths,
            &names,
            &least,
            room.saturating_sub(gaps + fixed),
        );
        shown.into_iter().map(|i| (i, widths[i])).collect()
    }

    fn natural(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| width(&row[column].text));
        let heading = width(&self.columns[column].heading);
        cells.chain([heading]).max().unwrap_or(0)
    }
}

/// Shrinks the widths of `names` until they fit into `room` together: the widest gives first,
/// nobody below its least.
fn share_room(widths: &mut [usize], names: &[usize], least: &dyn Fn(usize) -> usize, room: usize) {
    while names.iter().map(|&i| widths[i]).sum::<usize>() > room {
        let spare = |&&i: &&usize| widths[i] - least(i);
        let Some(&widest) = names
            .iter()
            .filter(|i| spare(i) > 0)
            .max_by_key(|&&i| widths[i])
        else {
            return;
        };
        widths[widest] -= 1;
    }
}
