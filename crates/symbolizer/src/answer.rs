//! What is known of an address, free of any mapped file.

use std::sync::Arc;

use hotproof_profile::Source;
use rustc_hash::FxHashMap;

/// One source function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedFunction {
    /// Demangled name without hash.
    pub name: Arc<str>,
    /// Mangled name; empty when unknown.
    pub linkage_name: Arc<str>,
    /// Declared file, absolute where the compiler's folder is known. Where debug information has
    /// lines but no declarations, the file of the function's lines. `None` when unknown.
    pub file: Option<Arc<str>>,
    /// Declared line, counted from 1; `None` when unknown.
    pub line: Option<u32>,
    /// Who named it.
    pub source: Source,
}

/// One entry of a symbol table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedSymbol {
    /// Its name as the table has it.
    pub linkage_name: Arc<str>,
    /// Relative address of its first byte.
    pub address: u64,
    /// Size in bytes; 0 when unknown.
    pub size: u64,
    /// The other names of the same address, sorted: aliases, and functions that were folded into
    /// one because they are identical.
    pub aliases: Vec<String>,
}

/// One function at one place of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFrame {
    /// The function.
    pub function: NamedFunction,
    /// Line that the address belongs to; `None` when unknown.
    pub line: Option<u32>,
    /// Column; `None` when unknown.
    pub column: Option<u32>,
    /// File of `line`, when it differs from the function's.
    pub file: Option<Arc<str>>,
    /// Whether the line table contradicts the function; see [`hotproof_profile::Frame`].
    pub contradicted: bool,
}

/// A [`NamedFrame`] whose parts are shared with other frames.
#[derive(Debug, Clone, Copy)]
pub struct FrameRef<'n> {
    /// The function.
    pub function: &'n NamedFunction,
    /// Line that the address belongs to; `None` when unknown.
    pub line: Option<u32>,
    /// Column; `None` when unknown.
    pub column: Option<u32>,
    /// File of `line`, when it differs from the function's.
    pub file: Option<&'n str>,
    /// Whether the line table contradicts the function; see [`hotproof_profile::Frame`].
    pub contradicted: bool,
}

/// What a [`crate::Symbolizer`] knows of addresses of one file, in the order in which it was asked.
#[derive(Debug)]
pub struct AddressNames<'s> {
    answers: Vec<StoredAnswer>,
    tables: &'s Tables,
}

impl<'s> AddressNames<'s> {
    pub(crate) fn new(answers: Vec<StoredAnswer>, tables: &'s Tables) -> AddressNames<'s> {
        AddressNames { answers, tables }
    }

    /// For each address its frames, innermost first: none when nobody can name it.
    pub fn frames(&self) -> impl Iterator<Item = impl Iterator<Item = FrameRef<'s>>> {
        let answers = self.answers.iter();
        answers.map(|answer| self.tables.frames(answer.unpack()))
    }

    /// For each address the linker's symbol; `None` when no table has one.
    pub fn symbols(&self) -> impl Iterator<Item = Option<&'s NamedSymbol>> {
        let rows = self.answers.iter().map(|answer| answer.unpack().symbol);
        rows.map(|row| row.map(|row| &self.tables.symbols[row as usize]))
    }

    /// The same as values of their own.
    pub(crate) fn to_owned(&self) -> Vec<NamedAddress> {
        let answers = self.answers.iter();
        answers
            .map(|answer| self.tables.resolve(answer.unpack()))
            .collect()
    }
}

/// All that is known of one address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamedAddress {
    /// The linker's symbol; `None` when no table has one.
    pub symbol: Option<NamedSymbol>,
    /// Innermost first; empty when nobody can name the address.
    pub frames: Vec<NamedFrame>,
}

/// An answer by rows of [`Tables`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Answer {
    pub(crate) symbol: Option<u32>,
    /// The innermost frame; `None` when nobody can name the address.
    pub(crate) frame: Option<u32>,
}

/// An answer as tables keep it, in half the bytes: there may be millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct StoredAnswer {
    /// A row more; 0 for none, like the frame.
    symbol: u32,
    frame: u32,
}

impl StoredAnswer {
    /// The answer in full.
    pub(crate) fn unpack(self) -> Answer {
        Answer {
            symbol: self.symbol.checked_sub(1),
            frame: self.frame.checked_sub(1),
        }
    }
}

impl From<Answer> for StoredAnswer {
    fn from(answer: Answer) -> StoredAnswer {
        let row = |row: Option<u32>| row.map_or(0, |row| row + 1);
        StoredAnswer {
            symbol: row(answer.symbol),
            frame: row(answer.frame),
        }
    }
}

/// A frame by rows of [`Tables`]. Addresses share frames: those of one line, and all that is around
/// an inlined function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AnswerFrame {
    /// The frame that this one is inlined into, a row before it; `None` for the physical function.
    pub(crate) outer: Option<u32>,
    pub(crate) function: u32,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
    /// When it differs from the function's.
    pub(crate) file: Option<u32>,
    pub(crate) contradicted: bool,
}

impl AnswerFrame {
    /// A function at an unknown place.
    pub(crate) fn of(function: u32) -> AnswerFrame {
        AnswerFrame {
            outer: None,
            function,
            line: None,
            column: None,
            file: None,
            contradicted: false,
        }
    }
}

/// A frame as tables keep it, in half the bytes: there may be millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredFrame {
    /// A row more; 0 for none.
    outer: u32,
    function: u32,
    /// 0 when unknown, like the column.
    line: u32,
    column: u32,
    /// Twice a row more than the file's, 0 for none; the lowest bit is the mark of contradiction.
    file_and_mark: u32,
}

impl StoredFrame {
    /// The frame in full.
    pub(crate) fn unpack(self) -> AnswerFrame {
        let known = |number: u32| (number > 0).then_some(number);
        AnswerFrame {
            outer: self.outer.checked_sub(1),
            function: self.function,
            line: known(self.line),
            column: known(self.column),
            file: (self.file_and_mark >> 1).checked_sub(1),
            contradicted: self.file_and_mark & 1 == 1,
        }
    }
}

impl From<AnswerFrame> for StoredFrame {
    fn from(frame: AnswerFrame) -> StoredFrame {
        // Rows of files are fewer than 2^31: each is a text of its own.
        let row = |row: Option<u32>| row.map_or(0, |row| row + 1);
        StoredFrame {
            outer: row(frame.outer),
            function: frame.function,
            line: frame.line.unwrap_or(0),
            column: frame.column.unwrap_or(0),
            file_and_mark: row(frame.file) << 1 | u32::from(frame.contradicted),
        }
    }
}

/// Rows that the answers of one image refer to. Rows are only ever added.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) functions: Vec<NamedFunction>,
    pub(crate) symbols: Vec<NamedSymbol>,
    pub(crate) files: Vec<Arc<str>>,
    /// Outer frames come before inner ones.
    pub(crate) frames: Vec<StoredFrame>,
}

impl Tables {
    /// Adds rows that continue these.
    pub(crate) fn append(&mut self, mut more: Tables) {
        self.functions.append(&mut more.functions);
        self.symbols.append(&mut more.symbols);
        self.files.append(&mut more.files);
        self.frames.append(&mut more.frames);
    }

    /// The frames of an answer, innermost first.
    #[inline]
    pub(crate) fn chain(&self, answer: Answer) -> impl Iterator<Item = AnswerFrame> {
        let at = |row: Option<u32>| row.map(|row| self.frames[row as usize].unpack());
        std::iter::successors(at(answer.frame), move |frame| at(frame.outer))
    }

    /// The frames of an answer with what their rows hold, innermost first.
    #[inline]
    pub(crate) fn frames(&self, answer: Answer) -> impl Iterator<Item = FrameRef<'_>> {
        self.chain(answer).map(|frame| FrameRef {
            function: &self.functions[frame.function as usize],
            line: frame.line,
            column: frame.column,
            file: frame.file.map(|file| &*self.files[file as usize]),
            contradicted: frame.contradicted,
        })
    }

    /// The answer with its rows filled in.
    pub(crate) fn resolve(&self, answer: Answer) -> NamedAddress {
        let text = |file: u32| self.files[file as usize].clone();
        let frames = self.chain(answer).map(|frame| NamedFrame {
            function: self.functions[frame.function as usize].clone(),
            line: frame.line,
            column: frame.column,
            file: frame.file.map(text),
            contradicted: frame.contradicted,
        });
        NamedAddress {
            symbol: answer.symbol.map(|row| self.symbols[row as usize].clone()),
            frames: frames.collect(),
        }
    }
}

/// Where the rows of one worker went in tables that others add to as well.
#[derive(Debug, Default)]
pub(crate) struct RowMap {
    functions: Vec<u32>,
    symbols: Vec<u32>,
    files: Vec<u32>,
    frames: Vec<u32>,
}

impl RowMap {
    /// Adds rows that continue the worker's.
    pub(crate) fn append(&mut self, tables: &mut Tables, mut more: Tables) {
        extend(
            &mut self.functions,
            tables.functions.len(),
            more.functions.len(),
        );
        extend(&mut self.symbols, tables.symbols.len(), more.symbols.len());
        extend(&mut self.files, tables.files.len(), more.files.len());
        extend(&mut self.frames, tables.frames.len(), more.frames.len());
        for stored in &mut more.frames {
            let frame = stored.unpack();
            *stored = StoredFrame::from(AnswerFrame {
                outer: frame.outer.map(|row| self.frames[row as usize]),
                function: self.functions[frame.function as usize],
                file: frame.file.map(|row| self.files[row as usize]),
                ..frame
            });
        }
        tables.append(more);
    }

    /// An answer by rows of the worker as one by rows of the tables.
    pub(crate) fn translate(&self, answer: Answer) -> Answer {
        Answer {
            symbol: answer.symbol.map(|row| self.symbols[row as usize]),
            frame: answer.frame.map(|row| self.frames[row as usize]),
        }
    }
}

fn extend(map: &mut Vec<u32>, start: usize, count: usize) {
    let row = |row| u32::try_from(row).expect("an image has fewer than 2^32 rows");
    map.extend((start..start + count).map(row));
}

/// Numbers rows of one kind as they come.
#[derive(Debug)]
struct Numbers<T> {
    count: u32,
    /// Those of which there is one for all that are equal.
    known: FxHashMap<T, u32>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Numbers {
            count: 0,
            known: FxHashMap::default(),
        }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Numbers<T> {
    /// A new row, whatever others there are.
    fn add<R: From<T>>(&mut self, row: T, fresh: &mut Vec<R>) -> u32 {
        let number = self.count;
        self.count = number
            .checked_add(1)
            .expect("an image has fewer than 2^32 rows of a kind");
        fresh.push(row.into());
        number
    }

    /// The row that is equal, or a new one.
    fn intern<R: From<T>>(&mut self, row: T, fresh: &mut Vec<R>) -> u32 {
        if let Some(&number) = self.known.get(&row) {
            return number;
        }
        let number = self.add(row.clone(), fresh);
        self.known.insert(row, number);
        number
    }
}

/// Collects rows, each once, and hands out those that are new.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    functions: Numbers<NamedFunction>,
    symbols: Numbers<NamedSymbol>,
    files: FxHashMap<Arc<str>, u32>,
    /// All paths by row.
    paths: Vec<Arc<str>>,
    frames: Numbers<AnswerFrame>,
    fresh: Tables,
}

impl Rows {
    /// The row of a function.
    pub(crate) fn function(&mut self, function: NamedFunction) -> u32 {
        self.functions.intern(function, &mut self.fresh.functions)
    }

    /// A new row for a function, which whoever asks tells apart from others by less than all that
    /// is said of it: there may be hundreds of thousands.
    pub(crate) fn new_function(&mut self, function: NamedFunction) -> u32 {
        self.functions.add(function, &mut self.fresh.functions)
    }

    /// The row that the next new function gets.
    pub(crate) fn next_function(&self) -> u32 {
        self.functions.count
    }

    /// Gives a function that was not handed out yet its name.
    pub(crate) fn rename(&mut self, function: u32, name: Arc<str>) {
        let handed_out = self.functions.count as usize - self.fresh.functions.len();
        self.fresh.functions[function as usize - handed_out].name = name;
    }

    /// The row of a symbol.
    pub(crate) fn symbol(&mut self, symbol: NamedSymbol) -> u32 {
        self.symbols.intern(symbol, &mut self.fresh.symbols)
    }

    /// A new row for a symbol, which whoever asks tells apart from others by its place.
    pub(crate) fn new_symbol(&mut self, symbol: NamedSymbol) -> u32 {
        self.symbols.add(symbol, &mut self.fresh.symbols)
    }

    /// The row of a path that is already normal.
    pub(crate) fn file(&mut self, path: &str) -> u32 {
        if let Some(&row) = self.files.get(path) {
            return row;
        }
        let path: Arc<str> = path.into();
        let row = u32::try_from(self.paths.len()).expect("an image has fewer than 2^32 paths");
        self.paths.push(path.clone());
        self.fresh.files.push(path.clone());
        self.files.insert(path, row);
        row
    }

    /// The path of a row.
    pub(crate) fn path(&self, file: u32) -> &Arc<str> {
        &self.paths[file as usize]
    }

    /// The row that the next new frame gets.
    pub(crate) fn next_frame(&self) -> u32 {
        self.frames.count
    }

    /// A new row for a frame. Equal ones are not looked for: chains are told apart where they are
    /// made.
    pub(crate) fn frame(&mut self, frame: AnswerFrame) -> u32 {
        self.frames.add(frame, &mut self.fresh.frames)
    }

    /// The row of a frame that is not inlined.
    pub(crate) fn lone_frame(&mut self, frame: AnswerFrame) -> u32 {
        self.frames.intern(frame, &mut self.fresh.frames)
    }

    /// The rows that were added since the last call.
    pub(crate) fn take_fresh(&mut self) -> Tables {
        std::mem::take(&mut self.fresh)
    }
}
