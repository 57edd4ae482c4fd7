//! The chains of all addresses that hit one unit.

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::budget::Budget;
use super::declaration::{Declaration, Declarations, Part};
use super::files::{LineTable, PathTable};
use super::lines::{self, LineRow};
use super::ranges::Code;
use super::units::{Unit, Units};
use super::walk::{NOBODY, Node, Owners, Reach, Walk};
use super::{DwarfError, Slice};

/// No frame, function, path.
pub(crate) const NONE: u32 = u32::MAX;

/// What one unit knows of the addresses that hit it.
#[derive(Default)]
pub(crate) struct UnitAnswers<'a> {
    pub(crate) functions: Vec<UnitFunction<'a>>,
    pub(crate) paths: Vec<Arc<str>>,
    /// Outer frames come before inner ones.
    pub(crate) frames: Vec<UnitFrame>,
    /// For each address its innermost frame; [`NONE`] when the unit does not know it.
    pub(crate) answers: Vec<u32>,
    /// Whether functions are missing, because they lie in a file that was not found.
    pub(crate) is_split: bool,
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
    pub(crate) number: u32,
    pub(crate) code: &'u Code,
    /// Sorted.
    pub(crate) addresses: &'u [u64],
}

impl<'a> Question<'_, 'a> {
    /// Walks the unit and runs its line program.
    pub(crate) fn answer(&self) -> UnitAnswers<'a> {
        let dwarf = &*self.main.dwarf;
        let mut error = None;
        let mut rows = vec![None; self.addresses.len()];
        let program = self.unit.line_program(dwarf).unwrap_or_else(|found| {
            error = Some(found);
            None
        });
        let files = program.map(|program| {
            let (files, outcome) = lines::rows_of(program, self.addresses, self.code, &mut rows);
            if let Err(found) = outcome {
                error.get_or_insert(found);
            }
            files
        });
        let lines = files.as_ref().map(|files| LineTable {
            dwarf,
            unit: &self.unit.root.unit,
            header: files.header(),
        });
        self.answer_with_lines(&rows, lines, error)
    }

    /// Walks the unit, whose lines were read before.
    pub(crate) fn answer_with_lines(
        &self,
        rows: &[Option<LineRow>],
        lines: Option<LineTable<'_, 'a>>,
        mut error: Option<DwarfError>,
    ) -> UnitAnswers<'a> {
        let owners = self.owners(&mut error);
        let mut frames = Frames {
            nodes: &owners.nodes,
            number: self.number,
            declarations: Declarations::new(
                self.main,
                self.shared,
                (self.number, self.unit),
                lines,
            ),
            lines,
            paths: PathTable::default(),
            functions: FxHashMap::default(),
            function_rows: Vec::new(),
            frames: Vec::new(),
            callers: Vec::with_capacity(owners.nodes.len()),
            known: FxHashMap::default(),
            error,
        };
        frames.add_callers();
        let answers = frames.innermost(&owners.of, rows);
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
            is_split: self.unit.root.split_id().is_some(),
            error,
        }
    }

    fn owners(&self, error: &mut Option<DwarfError>) -> Owners {
        let mut owners = Owners {
            nodes: Vec::new(),
            of: vec![NOBODY; self.addresses.len()],
        };
        let budget = Budget::of(self.steps());
        let walk = Walk {
            dwarf: &self.main.dwarf,
            unit: &self.unit.root.unit,
            part: Part::Main,
            code: self.code,
            addresses: self.addresses,
            budget: &budget,
        };
        if let Err(found) = walk.run(Reach::Whole, &mut owners) {
            error.get_or_insert(found);
        }
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
    number: u32,
    declarations: Declarations<'u, 'a>,
    lines: Option<LineTable<'u, 'a>>,
    paths: PathTable,
    functions: FxHashMap<FunctionRow, u32>,
    function_rows: Vec<FunctionRow>,
    frames: Vec<UnitFrame>,
    /// For each node the frame that it was called from.
    callers: Vec<u32>,
    /// Innermost frames by node and row.
    known: FxHashMap<(u32, LineRow), u32>,
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
    /// For each node the frames that it is inlined into.
    fn add_callers(&mut self) {
        for node in self.nodes {
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
        for (&owner, &row) in owners.iter().zip(rows) {
            answers.push(match (owner, row) {
                (NOBODY, None) => NONE,
                (NOBODY, Some(row)) => self.lines_alone(row),
                (node, row) => {
                    let key = (node, row.unwrap_or(NOWHERE));
                    match self.known.get(&key) {
                        Some(&known) => known,
                        None => {
                            let frame = self.frame(node, row);
                            self.known.insert(key, frame);
                            frame
                        }
                    }
                }
            });
        }
        answers
    }

    fn lines_alone(&mut self, row: LineRow) -> u32 {
        if let Some(&known) = self.known.get(&(NOBODY, row)) {
            return known;
        }
        let file = self.file(row.file);
        let frame = self.push(UnitFrame {
            function: NONE,
            outer: NONE,
            file: file.unwrap_or(NONE),
            line: row.line,
            column: row.column,
        });
        self.known.insert((NOBODY, row), frame);
        frame
    }

    /// A frame of a node at a place.
    fn frame(&mut self, node: u32, place: Option<LineRow>) -> u32 {
        let outer = self.callers[node as usize];
        let node = self.nodes[node as usize];
        let file = place.and_then(|place| self.file(place.file));
        let declaration = self
            .declarations
            .row(node.entry, &mut self.paths, &mut self.error);
        let declared = self.declarations.declared_file(declaration);
        let function = self.function(FunctionRow {
            declaration,
            lines_file: file.filter(|_| declared.is_none()),
            start: (node.parent == NOBODY).then_some(node.start),
        });
        let place = place.unwrap_or(NOWHERE);
        self.push(UnitFrame {
            function,
            outer,
            file: file.unwrap_or(NONE),
            line: place.line,
            column: place.column,
        })
    }

    fn function(&mut self, row: FunctionRow) -> u32 {
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
        let table = self.lines?;
        self.paths.row((Part::Main, self.number, index), &table)
    }
}
