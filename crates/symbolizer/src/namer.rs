//! Names the addresses of one image from all that its files hold.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hotproof_image::ImageFile;
use hotproof_profile::Source;
use object::LittleEndian;
use object::read::elf::ElfFile64;
use rustc_hash::FxHashMap;

use crate::answer::{Answer, AnswerFrame, NamedFunction, NamedSymbol, Rows, Tables};
use crate::demangle::demangle;
use crate::dwarf::{Code, DwarfBytes, DwarfNames, NONE, UnitAnswers, UnitFunction};
use crate::files::Files;
use crate::names::Names;
use crate::plt::{self, Stub};
use crate::summary::Problem;
use crate::symbols::{Elf, SymbolIndex, SymbolRow, TableKind};
use crate::unwind;

/// What makes a function row of its own: numbers of texts, rows of files.
#[derive(PartialEq, Eq, Hash)]
struct FunctionKey {
    linkage_name: Option<u32>,
    name: Option<u32>,
    scope: Option<u32>,
    /// The linker's symbol, where the names are not whole.
    symbol: Option<u32>,
    file: Option<u32>,
    line: Option<u32>,
}

/// What DWARF knows of an address, by rows of the answers.
#[derive(Clone, Copy, Default)]
struct Known {
    /// The innermost frame that has a name.
    frame: Option<u32>,
    /// The line, where nothing has a name.
    place: Option<Place>,
}

/// A place in the source.
#[derive(Clone, Copy)]
struct Place {
    file: Option<u32>,
    line: Option<u32>,
    column: Option<u32>,
}

/// Everything that answers for one image.
pub(crate) struct Namer<'a> {
    image: &'a ImageFile,
    elf: Option<Elf<'a>>,
    base_svma: u64,
    /// Tables in the order they are asked.
    tables: Vec<(Source, SymbolIndex<'a>)>,
    dwarf: Option<DwarfNames<'a>>,
    stubs: OnceCell<BTreeMap<u64, Stub>>,
    unwind_ranges: OnceCell<Vec<Range<u64>>>,
    names: Names,
    functions: FxHashMap<FunctionKey, Option<u32>>,
    /// The last symbol that was asked for: its start and its row.
    last_symbol: Option<(u64, u32)>,
    rows: Rows,
    problems: Vec<Problem>,
}

/// The DWARF sections of an image's files, to be borrowed by a [`Namer`].
pub(crate) fn load_dwarf(files: &Files) -> (Option<DwarfBytes<'_>>, Vec<Problem>) {
    match DwarfBytes::load(files.with_debug_information(), files.shared.as_ref()) {
        Ok(bytes) => (bytes, Vec::new()),
        Err(error) => (None, vec![damaged(&error)]),
    }
}

fn damaged(error: &dyn std::fmt::Display) -> Problem {
    Problem::Damaged {
        what: "debug information",
        detail: error.to_string(),
    }
}

impl<'a> Namer<'a> {
    pub(crate) fn new(files: &'a Files, bytes: Option<&'a DwarfBytes<'a>>) -> Namer<'a> {
        let mut namer = Namer {
            image: &files.image,
            elf: parse(&files.image),
            base_svma: files.image.base_svma(),
            tables: Vec::new(),
            dwarf: None,
            stubs: OnceCell::new(),
            unwind_ranges: OnceCell::new(),
            names: Names::default(),
            functions: FxHashMap::default(),
            last_symbol: None,
            rows: Rows::default(),
            problems: Vec::new(),
        };
        namer.read_tables(files);
        if let Some(bytes) = bytes {
            let dwarf = DwarfNames::new(bytes, code_of(&files.image));
            if let Some(damage) = dwarf.damage() {
                namer.report(damaged(&damage));
            }
            namer.dwarf = Some(dwarf);
        }
        if namer.dwarf.is_none() && namer.tables.is_empty() {
            namer.report(Problem::NoSymbols);
        }
        namer
    }

    fn read_tables(&mut self, files: &'a Files) {
        let debug = files.debug.as_ref().and_then(parse);
        let own = self.elf.as_ref();
        let full = |elf| (Source::SymbolTable, SymbolIndex::read(elf, TableKind::Full));
        let tables = own.map(full).into_iter().chain(debug.as_ref().map(full));
        let dynamic = own.map(|elf| {
            let table = SymbolIndex::read(elf, TableKind::Dynamic);
            (Source::DynamicSymbols, table)
        });
        let tables = tables.chain(dynamic);
        self.tables = tables.filter(|(_, table)| !table.is_empty()).collect();
    }

    /// Names relative addresses, which are sorted and distinct, in their order.
    pub(crate) fn name_all(&mut self, addresses: &[u64]) -> Vec<Answer> {
        let svmas = addresses
            .iter()
            .map(|address| self.base_svma.wrapping_add(*address));
        let svmas: Vec<u64> = svmas.filter(|&svma| self.is_code(svma)).collect();
        let known = self.ask_dwarf(&svmas);
        let mut known = svmas.iter().zip(known).peekable();
        let mut answers = Vec::with_capacity(addresses.len());
        for &address in addresses {
            let svma = self.base_svma.wrapping_add(address);
            answers.push(match known.next_if(|(code, _)| **code == svma) {
                Some((_, known)) => self.name(svma, known),
                None => Answer::default(),
            });
        }
        answers
    }

    /// The rows that answers refer to and that were not handed out before.
    pub(crate) fn take_rows(&mut self) -> Tables {
        self.rows.take_fresh()
    }

    /// What has gone wrong so far.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    fn report(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn name(&mut self, svma: u64, known: Known) -> Answer {
        let found = self.find_symbol(svma).map(|(source, row)| (source, *row));
        let symbol = found.map(|(_, row)| self.symbol_row(&row));
        let frame = known.frame.or_else(|| {
            let function = found
                .map(|(source, row)| self.function_of_symbol(source, &row))
                .or_else(|| self.function_of_stub(svma))
                .or_else(|| self.function_of_unwind_table(svma))?;
            let mut frame = AnswerFrame::of(function);
            // Assembler code has lines without functions.
            if let Some(place) = known.place {
                (frame.line, frame.column, frame.file) = (place.line, place.column, place.file);
            }
            Some(self.rows.lone_frame(frame))
        });
        Answer { symbol, frame }
    }

    /// Whether an address lies in an executable segment.
    fn is_code(&self, svma: u64) -> bool {
        let mut code = self.image.segments().iter().filter(|s| s.executable);
        code.any(|s| svma >= s.svma && svma - s.svma < s.size)
    }

    fn find_symbol(&self, svma: u64) -> Option<(Source, &SymbolRow<'a>)> {
        let mut tables = self.tables.iter();
        tables.find_map(|(source, table)| Some((*source, table.find(svma)?)))
    }

    fn symbol_row(&mut self, row: &SymbolRow<'a>) -> u32 {
        // Addresses come sorted, so most have the symbol of the one before.
        if let Some((start, known)) = self.last_symbol
            && start == row.start
        {
            return known;
        }
        let symbol = self.rows.symbol(NamedSymbol {
            linkage_name: String::from_utf8_lossy(row.name).into_owned(),
            address: row.start.wrapping_sub(self.base_svma),
            size: row.size,
            aliases: Vec::new(),
        });
        self.last_symbol = Some((row.start, symbol));
        symbol
    }

    /// What DWARF knows of linked addresses; nothing, with the problem reported, when it cannot be
    /// read.
    fn ask_dwarf(&mut self, svmas: &[u64]) -> Vec<Known> {
        let nothing = vec![Known::default(); svmas.len()];
        let Some(dwarf) = &self.dwarf else {
            return nothing;
        };
        let Ok(batch) = catch_unwind(AssertUnwindSafe(|| dwarf.answer(svmas))) else {
            // A reader that panicked may be left half way, so it is not asked again.
            self.dwarf = None;
            self.report(damaged(&"its reader panicked"));
            return nothing;
        };
        let errors = batch.units.iter().filter_map(|unit| unit.error);
        let errors: Vec<Problem> = errors.map(|e| damaged(&dwarf.describe(e))).collect();
        for problem in errors {
            self.report(problem);
        }
        if batch.units.iter().any(|unit| unit.is_split) {
            self.report(Problem::SplitDebugInfo);
        }
        let linkage_names = batch.units.iter().flat_map(|unit| &unit.functions);
        self.names
            .demangle_all(linkage_names.filter_map(|function| function.linkage_name.as_deref()));
        let units: Vec<Vec<Known>> = batch.units.iter().map(|unit| self.take(unit)).collect();
        let known = |&(unit, frame): &(u32, u32)| match units.get(unit as usize) {
            Some(frames) => frames[frame as usize],
            None => Known::default(),
        };
        batch.frames.iter().map(known).collect()
    }

    /// Takes the frames of one unit into the rows.
    fn take(&mut self, unit: &UnitAnswers<'_>) -> Vec<Known> {
        let files: Vec<u32> = unit.paths.iter().map(|path| self.rows.file(path)).collect();
        let file = |row: u32| files.get(row as usize).copied();
        let functions = unit.functions.iter();
        let functions: Vec<Option<u32>> = functions
            .map(|function| self.function_of_entry(function, &files))
            .collect();
        let mut known: Vec<Known> = Vec::with_capacity(unit.frames.len());
        for frame in &unit.frames {
            let place = Place {
                file: file(frame.file),
                line: Some(frame.line).filter(|&line| line > 0),
                column: Some(frame.column).filter(|&column| column > 0),
            };
            let outer = known
                .get(frame.outer as usize)
                .and_then(|outer| outer.frame);
            let Some(&function) = functions.get(frame.function as usize) else {
                known.push(Known {
                    frame: None,
                    place: Some(place),
                });
                continue;
            };
            let declared = unit.functions[frame.function as usize].file;
            let is_elsewhere = declared.is_some_and(|own| frame.file != NONE && own != frame.file);
            let row = function.map(|function| {
                self.rows.frame(AnswerFrame {
                    outer,
                    function,
                    line: place.line,
                    column: place.column,
                    file: place.file.filter(|_| is_elsewhere),
                    contradicted: is_elsewhere && frame.is_inlined(),
                })
            });
            known.push(Known {
                // A function without any name leaves the one around it.
                frame: row.or(outer),
                place: Some(place),
            });
        }
        known
    }

    /// The row of a DWARF function; `None` when it has no name of any kind.
    fn function_of_entry(&mut self, function: &UnitFunction<'_>, files: &[u32]) -> Option<u32> {
        let is_whole =
            function.linkage_name.is_some() || (function.name.is_some() && !function.is_bare);
        let symbol = function.start.filter(|_| !is_whole);
        let symbol = symbol.and_then(|start| Some(self.find_symbol(start)?.1.name));
        let symbol = symbol.filter(|symbol| may_be_name_of(symbol, function.name.as_deref()));
        let file = function.file.or(function.lines_file);
        let names = &mut self.names;
        let key = FunctionKey {
            linkage_name: function.linkage_name.as_deref().map(|name| names.id(name)),
            name: function.name.as_deref().map(|name| names.id(name)),
            scope: function
                .scope
                .as_deref()
                .map(|scope| names.id(scope.as_bytes())),
            symbol: symbol.map(|symbol| names.id(symbol)),
            file: file.map(|file| files[file as usize]),
            line: function.line,
        };
        if let Some(&known) = self.functions.get(&key) {
            return known;
        }
        let row = self.new_function(&key);
        self.functions.insert(key, row);
        row
    }

    fn new_function(&mut self, key: &FunctionKey) -> Option<u32> {
        let mangled = key.linkage_name.or(key.symbol);
        let name = match (mangled, key.name) {
            (Some(mangled), _) => self.names.demangled(mangled).to_string(),
            (None, Some(name)) => {
                let name = self.names.text(name);
                match key.scope {
                    Some(scope) => format!("{}::{name}", self.names.text(scope)),
                    None => name.to_string(),
                }
            }
            (None, None) => return None,
        };
        let linkage_name = mangled.map(|mangled| self.names.text(mangled).to_string());
        Some(self.rows.function(NamedFunction {
            name,
            linkage_name: linkage_name.unwrap_or_default(),
            file: key.file.map(|file| self.rows.path(file).to_owned()),
            line: key.line,
            source: Source::Dwarf,
        }))
    }

    fn function_of_symbol(&mut self, source: Source, row: &SymbolRow<'a>) -> u32 {
        let linkage_name = String::from_utf8_lossy(row.name).into_owned();
        self.rows.function(NamedFunction {
            name: demangle(&linkage_name).into_owned(),
            linkage_name,
            file: None,
            line: None,
            source,
        })
    }

    fn function_of_stub(&mut self, svma: u64) -> Option<u32> {
        let (image, elf) = (self.image, self.elf.as_ref()?);
        let stubs = self.stubs.get_or_init(|| plt::stubs(image, elf));
        let stub = plt::find(stubs, svma)?;
        Some(self.rows.function(NamedFunction {
            name: stub.name.clone(),
            linkage_name: String::new(),
            file: None,
            line: None,
            source: Source::Plt,
        }))
    }

    fn function_of_unwind_table(&mut self, svma: u64) -> Option<u32> {
        let image = self.image;
        let ranges = self
            .unwind_ranges
            .get_or_init(|| unwind::function_ranges(image));
        let range = unwind::find(ranges, svma)?;
        let start = range.start.wrapping_sub(self.base_svma);
        Some(self.rows.function(NamedFunction {
            name: format!("fn_{start:#x}"),
            linkage_name: String::new(),
            file: None,
            line: None,
            source: Source::UnwindTable,
        }))
    }
}

/// The executable addresses of an image.
fn code_of(image: &ImageFile) -> Code {
    let code = image.segments().iter().filter(|segment| segment.executable);
    Code::new(
        code.map(|s| s.svma..s.svma.saturating_add(s.size))
            .collect(),
    )
}

fn parse(file: &ImageFile) -> Option<Elf<'_>> {
    // `ImageFile` has parsed the same headers before, so this does not fail.
    ElfFile64::<LittleEndian>::parse(file.data()).ok()
}

/// Whether a symbol can be the mangled form of a bare DWARF name.
///
/// Identical functions can be folded to one address, whose only symbol may be another's.
fn may_be_name_of(symbol: &[u8], name: Option<&[u8]>) -> bool {
    let Some(name) = name else {
        return true;
    };
    let name = String::from_utf8_lossy(name);
    let last = name.rsplit("::").next().unwrap_or(&name);
    let word = last.split(['<', '{', '(']).find(|part| !part.is_empty());
    let word = word
        .unwrap_or_default()
        .trim_end_matches(|c: char| !c.is_alphanumeric());
    let word = word.split('#').next().unwrap_or_default();
    !word.is_empty() && String::from_utf8_lossy(symbol).contains(word)
}
