//! The source files that a unit names; their paths are rendered by whoever needs them.

use std::borrow::Cow;

use gimli::{Dwarf, LineProgramHeader};
use rustc_hash::FxHashMap;

use super::Slice;
use super::declaration::Part;
use super::text::text_of;
use super::units::UnitAt;
use crate::path;

/// The files of a line program, and what their names are read through.
#[derive(Clone, Copy)]
pub(crate) struct LineTable<'u, 'a> {
    pub(crate) dwarf: &'u Dwarf<Slice<'a>>,
    pub(crate) unit: &'u gimli::Unit<Slice<'a>>,
    pub(crate) header: &'u LineProgramHeader<Slice<'a>>,
}

/// The parts of a path. Units share them, and the linker keeps each in one place, so that most
/// paths of a program can be told apart without being put together.
#[derive(Debug, Clone)]
pub(crate) struct SourcePath<'a> {
    /// The compiler's folder, the file's folder, the file.
    parts: [Option<Cow<'a, [u8]>>; 3],
}

/// Where the parts of a path lie in memory, which tells paths of mapped files apart.
pub(crate) type PathPlace = [(usize, usize); 3];

impl SourcePath<'_> {
    /// `None` when a part is a copy, which may lie where another one lay before it.
    pub(crate) fn place(&self) -> Option<PathPlace> {
        let mut place = PathPlace::default();
        for (part, place) in self.parts.iter().zip(&mut place) {
            match part {
                None => {}
                Some(Cow::Borrowed(text)) => *place = (text.as_ptr() as usize, text.len()),
                Some(Cow::Owned(_)) => return None,
            }
        }
        Some(place)
    }

    /// The file, joined to its folder and that to the compiler's.
    pub(crate) fn render(&self) -> String {
        let mut whole = String::new();
        for part in self.parts.iter().flatten() {
            whole = path::join(&whole, &String::from_utf8_lossy(part));
        }
        path::normalise(&whole)
    }

    pub(crate) fn into_owned(self) -> SourcePath<'static> {
        let owned = |part: Option<Cow<'_, [u8]>>| part.map(|text| Cow::Owned(text.into_owned()));
        SourcePath {
            parts: self.parts.map(owned),
        }
    }
}

/// The paths that a unit's functions and lines lie in.
#[derive(Default)]
pub(crate) struct PathTable<'a> {
    /// Rows by the walked unit's file index, one more each; 0 where it was not asked for.
    own: Vec<u32>,
    /// Rows by part, unit and file index, of other units.
    others: FxHashMap<(Part, UnitAt, u64), Option<u32>>,
    paths: Vec<SourcePath<'a>>,
}

/// More files of the walked unit than this are found by a map.
const MOST_OWN_FILES: u64 = 1 << 16;

impl<'a> PathTable<'a> {
    /// The row of a file of the unit that is walked; `None` when the table has no such file.
    pub(crate) fn own_row(
        &mut self,
        at: UnitAt,
        index: u64,
        table: &LineTable<'_, 'a>,
    ) -> Option<u32> {
        if index >= MOST_OWN_FILES {
            return self.row((Part::Main, at, index), table);
        }
        let index = index as usize;
        if let Some(row) = self.own.get(index).and_then(|row| row.checked_sub(1)) {
            return Some(row);
        }
        let row = self.add(table.path(index as u64)?);
        if self.own.len() <= index {
            self.own.resize(index + 1, 0);
        }
        self.own[index] = row + 1;
        Some(row)
    }

    /// The row of a file; `None` when the table has no such file.
    pub(crate) fn row(
        &mut self,
        key: (Part, UnitAt, u64),
        table: &LineTable<'_, 'a>,
    ) -> Option<u32> {
        if let Some(&known) = self.others.get(&key) {
            return known;
        }
        let row = table.path(key.2).map(|path| self.add(path));
        self.others.insert(key, row);
        row
    }

    fn add(&mut self, path: SourcePath<'a>) -> u32 {
        self.paths.push(path);
        self.paths.len() as u32 - 1
    }

    pub(crate) fn into_paths(self) -> Vec<SourcePath<'a>> {
        self.paths
    }
}

impl<'a> LineTable<'_, 'a> {
    fn path(&self, index: u64) -> Option<SourcePath<'a>> {
        // Before DWARF 5, index 0 means that no file is known.
        if index == 0 && self.header.version() < 5 {
            return None;
        }
        let file = self.header.file(index)?;
        let folder = self
            .unit
            .comp_dir
            .map(|folder| Cow::Borrowed(folder.slice()));
        // Directory 0 is the compiler's folder itself.
        let directory = match file.directory_index() {
            0 => None,
            _ => file.directory(self.header),
        };
        let directory = match directory {
            Some(directory) => Some(self.text(directory)?),
            None => None,
        };
        let name = self.text(file.path_name())?;
        Some(SourcePath {
            parts: [folder, directory, Some(name)],
        })
    }

    fn text(&self, value: gimli::AttributeValue<Slice<'a>>) -> Option<Cow<'a, [u8]>> {
        let text = text_of(self.dwarf, self.unit, value)?;
        Some(Cow::Borrowed(text.slice()))
    }
}
