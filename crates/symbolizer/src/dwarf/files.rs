//! The source files that a unit names, rendered when they are needed.

use std::borrow::Cow;
use std::sync::Arc;

use gimli::{Dwarf, LineProgramHeader};
use rustc_hash::FxHashMap;

use super::Slice;
use super::declaration::Part;
use super::units::UnitAt;
use crate::path;

/// The files of a line program, and what their names are read through.
#[derive(Clone, Copy)]
pub(crate) struct LineTable<'u, 'a> {
    pub(crate) dwarf: &'u Dwarf<Slice<'a>>,
    pub(crate) unit: &'u gimli::Unit<Slice<'a>>,
    pub(crate) header: &'u LineProgramHeader<Slice<'a>>,
}

/// The paths that a unit's functions and lines lie in, each rendered once.
#[derive(Default)]
pub(crate) struct PathTable {
    /// Rows by part, unit and file index.
    rows: FxHashMap<(Part, UnitAt, u64), Option<u32>>,
    /// Rows by path: files 0 and 1 of DWARF 5 are often the same one.
    known: FxHashMap<Arc<str>, u32>,
    paths: Vec<Arc<str>>,
}

impl PathTable {
    /// The row of a file; `None` when the table has no such file.
    pub(crate) fn row(
        &mut self,
        key: (Part, UnitAt, u64),
        table: &LineTable<'_, '_>,
    ) -> Option<u32> {
        if let Some(&known) = self.rows.get(&key) {
            return known;
        }
        let row = table.path(key.2).map(|path| self.intern(path));
        self.rows.insert(key, row);
        row
    }

    fn intern(&mut self, path: String) -> u32 {
        if let Some(&known) = self.known.get(path.as_str()) {
            return known;
        }
        let row = self.paths.len() as u32;
        let path: Arc<str> = path.into();
        self.paths.push(path.clone());
        self.known.insert(path, row);
        row
    }

    pub(crate) fn into_paths(self) -> Vec<Arc<str>> {
        self.paths
    }
}

impl LineTable<'_, '_> {
    /// A file, joined to the compiler's folder.
    fn path(&self, index: u64) -> Option<String> {
        // Before DWARF 5, index 0 means that no file is known.
        if index == 0 && self.header.version() < 5 {
            return None;
        }
        let file = self.header.file(index)?;
        let folder = self.unit.comp_dir.map(|folder| folder.to_string_lossy());
        let mut path = folder.map(Cow::into_owned).unwrap_or_default();
        // Directory 0 is the compiler's folder itself.
        if file.directory_index() != 0
            && let Some(folder) = file.directory(self.header)
        {
            path = path::join(&path, &self.text(folder)?);
        }
        path = path::join(&path, &self.text(file.path_name())?);
        Some(path::normalise(&path))
    }

    fn text(&self, value: gimli::AttributeValue<Slice<'_>>) -> Option<String> {
        let text = self.dwarf.attr_string(self.unit, value).ok()?;
        Some(text.to_string_lossy().into_owned())
    }
}
