//! Answers into the tables of a profile.

use std::collections::BTreeMap;

use hotproof_profile::{
    Frame, Function, FunctionId, ImageId, LocationId, Profile, Source, StringId, Symbol, SymbolId,
};
use rustc_hash::FxHashMap;

use crate::answer::{Answer, Tables};

/// What makes a function row of its own.
type FunctionKey = (StringId, Option<StringId>, Option<u32>, ImageId);

/// The function rows of a profile: one for each name, file, line and image.
pub(crate) struct FunctionRows(FxHashMap<FunctionKey, FunctionId>);

impl FunctionRows {
    /// Those that a profile has already.
    pub(crate) fn of(profile: &Profile) -> Self {
        let mut rows = FxHashMap::default();
        for (id, row) in profile.functions.iter() {
            if let Some(image) = row.image {
                rows.entry((row.name, row.file, row.line, image))
                    .or_insert(id);
            }
        }
        FunctionRows(rows)
    }
}

/// Writes the answers of one image.
pub(crate) struct Writer<'p, 't> {
    profile: &'p mut Profile,
    rows: &'p mut FunctionRows,
    image: ImageId,
    tables: &'t Tables,
    /// Rows of the profile by rows of `tables`.
    functions: Vec<Option<FunctionId>>,
    symbols: Vec<Option<SymbolId>>,
    /// By name, address and size: the tables may have a symbol twice, read and recalled.
    symbol_rows: FxHashMap<(StringId, u64, u64), SymbolId>,
    files: Vec<Option<StringId>>,
    resolved: u64,
    sources: BTreeMap<Source, u64>,
    /// Those of one location, kept for their memory.
    frames: Vec<Frame>,
}

impl<'p, 't> Writer<'p, 't> {
    pub(crate) fn new(
        profile: &'p mut Profile,
        rows: &'p mut FunctionRows,
        image: ImageId,
        tables: &'t Tables,
    ) -> Self {
        Writer {
            profile,
            rows,
            image,
            functions: vec![None; tables.functions.len()],
            symbols: vec![None; tables.symbols.len()],
            symbol_rows: FxHashMap::default(),
            files: vec![None; tables.files.len()],
            tables,
            resolved: 0,
            sources: BTreeMap::new(),
            frames: Vec::new(),
        }
    }

    /// Gives a location its symbol and frames; without an answer it becomes unknown.
    pub(crate) fn write(&mut self, location: LocationId, answers: &FxHashMap<u64, Answer>) {
        let address = self.profile.locations[location].lookup_address();
        let Some(&answer) = answers.get(&address) else {
            self.profile.set_frames(location, &[]);
            return;
        };
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        let mut physical = None;
        let tables = self.tables;
        for frame in tables.chain(answer) {
            physical = Some(frame.function);
            frames.push(Frame {
                function: self.function(frame.function),
                line: frame.line,
                column: frame.column,
                file: frame.file.map(|file| self.file(file)),
                contradicted: frame.contradicted,
            });
        }
        let symbol = answer.symbol.map(|symbol| self.symbol(symbol));
        self.profile.locations[location].symbol = symbol;
        self.profile.set_frames(location, &frames);
        self.frames = frames;
        if let Some(physical) = physical {
            let source = tables.functions[physical as usize].source;
            *self.sources.entry(source).or_default() += 1;
            self.resolved += 1;
        }
    }

    /// Locations with a name, and by whom their physical function was named.
    pub(crate) fn finish(self) -> (u64, Vec<(Source, u64)>) {
        (self.resolved, self.sources.into_iter().collect())
    }

    fn function(&mut self, row: u32) -> FunctionId {
        if let Some(known) = self.functions[row as usize] {
            return known;
        }
        let named = &self.tables.functions[row as usize];
        let strings = &mut self.profile.strings;
        let name = strings.intern(&named.name);
        let file = named.file.as_deref().map(|file| strings.intern(file));
        let key = (name, file, named.line, self.image);
        let id = match self.rows.0.get(&key) {
            Some(&id) => id,
            None => {
                let id = self.profile.functions.push(Function {
                    name,
                    linkage_name: strings.intern(&named.linkage_name),
                    file,
                    line: named.line,
                    image: Some(self.image),
                    source: named.source,
                });
                self.rows.0.insert(key, id);
                id
            }
        };
        self.functions[row as usize] = Some(id);
        id
    }

    fn symbol(&mut self, row: u32) -> SymbolId {
        if let Some(known) = self.symbols[row as usize] {
            return known;
        }
        let named = &self.tables.symbols[row as usize];
        let linkage_name = self.profile.strings.intern(&named.linkage_name);
        let key = (linkage_name, named.address, named.size);
        let symbols = &mut self.profile.symbols;
        let id = *self.symbol_rows.entry(key).or_insert_with(|| {
            symbols.push(Symbol {
                image: self.image,
                linkage_name,
                address: named.address,
                size: named.size,
            })
        });
        self.symbols[row as usize] = Some(id);
        id
    }

    fn file(&mut self, row: u32) -> StringId {
        if let Some(known) = self.files[row as usize] {
            return known;
        }
        let id = self
            .profile
            .strings
            .intern(&self.tables.files[row as usize]);
        self.files[row as usize] = Some(id);
        id
    }
}
