//! The chains of all addresses that hit one unit.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use gimli::Dwarf;
use rustc_hash::FxHashMap;

use super::budget::Budget;
use super::declaration::{Declaration, Declarations, Part, is_c};
use super::files::{LineTable, PathTable, SourcePath};
use super::lines::{self, LineFiles, LineRow};
use super::plan::Plans;
use super::ranges::Code;
use super::units::{Unit, UnitAt, Units};
use super::walk::{NOBODY, Node, Owners, Walk};
use super::{DwarfError, Slice};

/// No frame, function, path.
pub(crate) const NONE: u32 = u32::MAX;

/// What one unit knows of the addresses that hit it.
#[derive(Default)]
pub(crate) struct UnitAnswers<'a> {
    pub(crate) functions: Vec<UnitFunction<'a>>,
    pub(crate) paths: Vec<SourcePath<'a>>,
    /// Outer frames come before inner ones.
    pub(crate) frames: Vec<UnitFrame>,
    /// For each address its innermost frame; [`NONE`] when the unit does not know it.
    pub(crate) answers: Vec<u32>,
    /// Where a file with its entries was looked for, when they lie in one.
    pub(crate) looked_at: Vec<PathBuf>,
    /// Why functions are missing, when they lie in a file that was not used.
    pub(crate) missing: Option<MissingEntries>,
    /// What could not be read.
    pub(crate) error: Option<DwarfError>,
}

/// A function that addresses hit.
#[derive(Debug, Clone)]
pub(crate) struct UnitFunction<'a> {
    /// The mangled name.
    pub(crate) linkage_name: Option<Cow<'a, [u8]>>,
    /// The name as the source has it.
    pub(crate) name: Option<Cow<'a, [u8]>>,
    /// The namespaces and types around it, where no linkage name says them.
    pub(crate) scope: Option<Arc<str>>,
    /// Whether the name may lack its namespace: nothing but a plain name, as compilers write where
    /// they were asked for lines alone, in a language that mangles.
    pub(crate) is_bare: bool,
    /// Declared file, a row of paths.
    pub(crate) file: Option<u32>,
    /// Declared line, counted from 1.
    pub(crate) line: Option<u32>,
    /// The file of its lines, where it has no declared one.
    pub(crate) lines_file: Option<u32>,
    /// Where its code begins, when it is not inlined.
    pub(crate) start: Option<u64>,
}

/// A function at a place of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct UnitFrame {
    /// A row of functions; [`NONE`] where there are lines without a function (assembler code).
    pub(crate) function: u32,
    /// The frame that it is inlined into; [`NONE`] for the physical function.
    pub(crate) outer: u32,
    /// Where the line lies, a row of paths; [`NONE`] when unknown.
    pub(crate) file: u32,
    /// 0 when unknown.
    pub(crate) line: u32,
    /// 0 when unknown.
    pub(crate) column: u32,
}

/// Entries that lie in a file that was not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MissingEntries {
    /// The file as the program names it, or as it was found.
    pub(crate) path: PathBuf,
    /// Why it was not used; `None` when it is not there.
    pub(crate) reason: Option<String>,
}

impl UnitAnswers<'_> {
    /// The answers without what they borrow.
    pub(crate) fn into_owned(self) -> UnitAnswers<'static> {
        let functions = self.functions.into_iter().map(UnitFunction::into_owned);
        UnitAnswers {
            functions: functions.collect(),
            paths: self.paths.into_iter().map(SourcePath::into_owned).collect(),
            frames: self.frames,
            answers: self.answers,
            looked_at: self.looked_at,
            missing: self.missing,
            error: self.error,
        }
    }
}

impl UnitFunction<'_> {
    fn into_owned(self) -> UnitFunction<'static> {
        let text = |text: Cow<'_, [u8]>| Cow::Owned(text.into_owned());
        UnitFunction {
            linkage_name: self.linkage_name.map(text),
            name: self.name.map(text),
            scope: self.scope,
            is_bare: self.is_bare,
            file: self.file,
            line: self.line,
            lines_file: self.lines_file,
            start: self.start,
        }
    }
}

impl UnitFrame {
    pub(crate) fn is_inlined(&self) -> bool {
        self.outer != NONE
    }
}

/// A unit to be asked, and what it is read through.
pub(crate) struct Question<'u, 'a> {
    pub(crate) main: &'u Units<'a>,
    pub(crate) shared: Option<&'u Units<'a>>,
    pub(crate) unit: &'u Unit<'a>,
    pub(crate) at: UnitAt,
    pub(crate) code: &'u Code,
    /// Sorted.
    pub(crate) addresses: &'u [u64],
}

/// The lines of the addresses that hit one unit.
pub(crate) struct Lines<'a> {
    rows: Vec<Option<LineRow>>,
    files: Option<LineFiles<'a>>,
    error: Option<DwarfError>,
}

impl<'a> Lines<'a> {
    /// Runs the line program of a unit.
    pub(crate) fn read(
        dwarf: &Dwarf<Slice<'a>>,
        unit: &Unit<'a>,
        code: &Code,
        addresses: &[u64],
    ) -> Lines<'a> {
        let mut rows = vec![None; addresses.len()];
        let (files, error) = match unit.line_program(dwarf) {
            Ok(Some(program)) => {
                let (files, outcome) = lines::rows_of(program, addresses, code, &mut rows);
                (Some(files), outcome.err())
            }
            Ok(None) => (None, None),
            Err(error) => (None, Some(error)),
        };
        Lines { rows, files, error }
    }

    /// The files, whose names are read through the unit of the line program.
    pub(crate) fn table<'u, 's>(
        &'u self,
        dwarf: &'u Dwarf<Slice<'s>>,
        unit: &'u gimli::Unit<Slice<'s>>,
    ) -> Option<LineTable<'u, 's>>
    where
        'a: 's,
    {
        let header = self.files.as_ref()?.header();
        Some(LineTable {
            dwarf,
            unit,
            header,
        })
    }
}

impl<'a> Question<'_, 'a> {
    /// Walks the unit, whose lines were read before; `table` are the files of those lines.
    pub(crate) fn answer(
        &self,
        lines: &Lines<'_>,
        table: Option<LineTable<'_, 'a>>,
    ) -> UnitAnswers<'a> {
        let mut error = lines.error;
        let owners = self.owners(&mut error);
        let mut frames = Frames {
            nodes: &owners.nodes,
            at: self.at,
            declarations: Declarations::new(self.main, self.shared, (self.at, self.unit), table),
            lines: table,
            paths: PathTable::default(),
            functions: FxHashMap::default(),
            function_rows: Vec::new(),
            frames: Vec::new(),
            callers: Vec::with_capacity(owners.nodes.len()),
            node_functions: Vec::with_capacity(owners.nodes.len()),
            last_file: None,
            error,
        };
        frames.add_callers();
        let answers = frames.innermost(&owners.of, &lines.rows);
        let Frames {
            declarations,
            paths,
            function_rows,
            frames,
            mut error,
            ..
        } = frames;
        let declarations = declarations.finish(&mut error);
        let functions = function_rows
            .into_iter()
            .map(|row| function_of(&declarations[row.declaration as usize], row));
        UnitAnswers {
            functions: functions.collect(),
            paths: paths.into_paths(),
            frames,
            answers,
            error,
            ..UnitAnswers::default()
        }
    }

    fn owners(&self, error: &mut Option<DwarfError>) -> Owners {
        let mut owners = Owners::of_nobody(self.addresses.len());
        let budget = Budget::of(self.steps());
        let walk = Walk {
            dwarf: &self.main.dwarf,
            unit: &self.unit.root.unit,
            part: Part::Main,
            code: self.code,
            addresses: self.addresses,
            budget: &budget,
            types_hold_code: !is_c(self.unit.root.language),
        };
        let store = self.main.take_plans(walk.unit.encoding());
        let mut plans = Plans::new(&self.unit.abbreviations, store);
        if let Err(found) = walk.run(&mut owners, &mut plans) {
            error.get_or_insert(found);
        }
        self.main.keep_plans(plans.into_store());
        owners
    }

    /// How many steps a walk may take: far more than any compiler's output needs.
    fn steps(&self) -> u64 {
        let entries = self.unit.root.unit.header.length_including_self() as u64;
        (1 << 20) + 16 * entries + 256 * self.addresses.len() as u64
    }
}

/// What makes a function of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct FunctionRow {
    declaration: u32,
    lines_file: Option<u32>,
    start: Option<u64>,
}

/// Collects the frames of one unit.
struct Frames<'u, 'a> {
    nodes: &'u [Node],
    at: UnitAt,
    declarations: Declarations<'u, 'a>,
    lines: Option<LineTable<'u, 'a>>,
    paths: PathTable<'a>,
    functions: FxHashMap<FunctionRow, u32>,
    function_rows: Vec<FunctionRow>,
    frames: Vec<UnitFrame>,
    /// For each node the frame that it was called from.
    callers: Vec<u32>,
    /// For each node its declaration, and its function where that has a declared file.
    node_functions: Vec<(u32, u32)>,
    /// The last file that was asked for: its index and its row.
    last_file: Option<(u64, Option<u32>)>,
    error: Option<DwarfError>,
}

fn function_of<'a>(declaration: &Declaration<'a>, row: FunctionRow) -> UnitFunction<'a> {
    let text = |text: Slice<'a>| Cow::Borrowed(text.slice());
    UnitFunction {
        linkage_name: declaration.linkage_name.map(text),
        name: declaration.name.map(text),
        scope: declaration.scope.clone(),
        is_bare: declaration.is_bare,
        file: declaration.file,
        line: declaration.line,
        lines_file: row.lines_file,
        start: row.start,
    }
}

const NOWHERE: LineRow = LineRow {
    file: 0,
    line: 0,
    column: 0,
};

impl Frames<'_, '_> {
    /// For each node its function, and the frames that it is inlined into.
    fn add_callers(&mut self) {
        for node in self.nodes {
            let declaration = self
                .declarations
                .row(node.entry, &mut self.paths, &mut self.error);
            let has_file = self.declarations.declared_file(declaration).is_some();
            let function = if has_file {
                self.function(node, declaration, None)
            } else {
                NONE
            };
            self.node_functions.push((declaration, function));
            let caller = if node.parent == NOBODY {
                NONE
            } else {
                let place = LineRow {
                    file: node.call_file.unwrap_or(u64::MAX),
                    line: node.call_line,
                    column: node.call_column,
                };
                self.frame(node.parent, Some(place))
            };
            self.callers.push(caller);
        }
    }

    fn innermost(&mut self, owners: &[u32], rows: &[Option<LineRow>]) -> Vec<u32> {
        let mut answers = Vec::with_capacity(owners.len());
        // Addresses are sorted, so those of one line come together.
        let mut last = (NOBODY, None, NONE);
        for (&owner, &row) in owners.iter().zip(rows) {
            if (owner, row) != (last.0, last.1) {
                let frame = match (owner, row) {
                    (NOBODY, None) => NONE,
                    (NOBODY, Some(row)) => self.lines_alone(row),
                    (node, row) => self.frame(node, row),
                };
                last = (owner, row, frame);
            }
            answers.push(last.2);
        }
        answers
    }

    fn lines_alone(&mut self, row: LineRow) -> u32 {
        let file = self.file(row.file);
        self.push(UnitFrame {
            function: NONE,
            outer: NONE,
            file: file.unwrap_or(NONE),
            line: row.line,
            column: row.column,
        })
    }

    /// A frame of a node at a place.
    fn frame(&mut self, node: u32, place: Option<LineRow>) -> u32 {
        let outer = self.callers[node as usize];
        let file = place.and_then(|place| self.file(place.file));
        let (declaration, function) = self.node_functions[node as usize];
        let function = if function == NONE {
            self.function(&self.nodes[node as usize], declaration, file)
        } else {
            function
        };
        let place = place.unwrap_or(NOWHERE);
        self.push(UnitFrame {
            function,
            outer,
            file: file.unwrap_or(NONE),
            line: place.line,
            column: place.column,
        })
    }

    fn function(&mut self, node: &Node, declaration: u32, lines_file: Option<u32>) -> u32 {
        let row = FunctionRow {
            declaration,
            lines_file,
            start: (node.parent == NOBODY).then_some(node.start),
        };
        let next = self.function_rows.len() as u32;
        *self.functions.entry(row).or_insert_with(|| {
            self.function_rows.push(row);
            next
        })
    }

    fn push(&mut self, frame: UnitFrame) -> u32 {
        self.frames.push(frame);
        self.frames.len() as u32 - 1
    }

    fn file(&mut self, index: u64) -> Option<u32> {
        if let Some((last, row)) = self.last_file
            && last == index
        {
            return row;
        }
        let table = self.lines?;
        let row = self.paths.own_row(self.at, index, &table);
        self.last_file = Some((index, row));
        row
    }
}
