//! Names the addresses of one image from all that its files hold.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use hotproof_image::ImageFile;
use hotproof_profile::Source;
use rustc_hash::FxHashMap;

use crate::answer::{Answer, AnswerFrame, NamedFunction, Rows, Tables};
use crate::dwarf::{Code, DwarfBytes, DwarfNames, NONE, UnitAnswers, UnitFunction};
use crate::files::Files;
use crate::linker::{Found, LinkerNames};
use crate::names::Names;
use crate::summary::Problem;

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

/// How the frames of one unit are found in the answers.
enum Taken {
    /// All of them are there, from this row on.
    All(u32),
    /// Some have no name.
    Some(Vec<Known>),
}

impl Taken {
    fn known(&self, frame: u32) -> Known {
        match self {
            Taken::All(first) => Known {
                frame: Some(first + frame),
                place: None,
            },
            Taken::Some(known) => known[frame as usize],
        }
    }
}

/// What a unit and a frame of it say; nothing where there is none.
fn known_by(units: &[Taken], found: Option<&(u32, u32)>) -> Known {
    let known = found.and_then(|&(unit, frame)| Some(units.get(unit as usize)?.known(frame)));
    known.unwrap_or_default()
}

/// Everything that answers for one image.
pub(crate) struct Namer<'a> {
    image: &'a ImageFile,
    base_svma: u64,
    linker: LinkerNames<'a>,
    dwarf: Option<DwarfNames<'a>>,
    names: Names,
    functions: FxHashMap<FunctionKey, Option<u32>>,
    /// The last symbol that was asked for: its start and its row.
    last_symbol: Option<(u64, u32)>,
    /// The frame of the last symbol that had no other, and the symbol's row.
    last_frame: Option<(u32, u32)>,
    rows: Rows,
    problems: Vec<Problem>,
    /// Where split debug information was looked for.
    looked_at: Vec<PathBuf>,
}

/// The DWARF sections of an image's files, to be borrowed by a [`Namer`].
pub(crate) fn load_dwarf(files: &Files) -> (Option<DwarfBytes<'_>>, Vec<Problem>) {
    match DwarfBytes::load(
        files.with_debug_information(),
        files.shared.as_ref(),
        files.package.as_ref(),
    ) {
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
            base_svma: files.image.base_svma(),
            linker: LinkerNames::new(files),
            dwarf: None,
            names: Names::default(),
            functions: FxHashMap::default(),
            last_symbol: None,
            last_frame: None,
            rows: Rows::default(),
            problems: Vec::new(),
            looked_at: Vec::new(),
        };
        if let Some(bytes) = bytes {
            let places = files.split_places.clone();
            match DwarfNames::new(bytes, code_of(&files.image), places) {
                Ok(dwarf) => namer.dwarf = Some(dwarf),
                Err(error) => namer.report(damaged(&error)),
            }
        }
        if namer.dwarf.is_none() && namer.linker.is_empty() {
            namer.report(Problem::NoSymbols);
        }
        namer
    }

    /// Names relative addresses, which are sorted and distinct, in their order.
    pub(crate) fn name_all(&mut self, addresses: &[u64]) -> Vec<Answer> {
        let svmas = addresses
            .iter()
            .map(|address| self.base_svma.wrapping_add(*address));
        let svmas: Vec<u64> = svmas.filter(|&svma| self.is_code(svma)).collect();
        self.linker.announce(&svmas);
        let (units, frames) = self.ask_dwarf(&svmas);
        let mut found = frames.iter();
        let mut known = svmas.iter().map(|&svma| (svma, found.next())).peekable();
        let mut answers = Vec::with_capacity(addresses.len());
        for &address in addresses {
            let svma = self.base_svma.wrapping_add(address);
            answers.push(match known.next_if(|&(code, _)| code == svma) {
                Some((_, frame)) => self.name(svma, known_by(&units, frame)),
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
        let symbol = self.symbol_at(svma);
        let is_plain = known.frame.is_none() && known.place.is_none() && !self.linker.is_go();
        if let (true, Some(symbol), Some((last, frame))) = (is_plain, symbol, self.last_frame)
            && last == symbol
        {
            return Answer {
                symbol: Some(symbol),
                frame: Some(frame),
            };
        }
        let frame = known
            .frame
            .or_else(|| self.frame_of_tables(svma, known.place));
        if is_plain {
            self.last_frame = symbol.zip(frame);
        }
        Answer { symbol, frame }
    }

    /// The innermost frame by what is not DWARF.
    fn frame_of_tables(&mut self, svma: u64, place: Option<Place>) -> Option<u32> {
        let chain = self.linker.frames(svma);
        let is_lone = chain.len() == 1;
        let mut outer = None;
        for table_frame in chain.into_iter().rev() {
            let mut frame = AnswerFrame {
                outer,
                line: table_frame.line,
                ..AnswerFrame::of(self.rows.function(table_frame.function))
            };
            // Assembler code has lines without functions.
            if let (Some(place), None) = (place, frame.line) {
                (frame.line, frame.column, frame.file) = (place.line, place.column, place.file);
            }
            outer = Some(match is_lone {
                true => self.rows.lone_frame(frame),
                false => self.rows.frame(frame),
            });
        }
        outer
    }

    /// Whether an address lies in an executable segment.
    fn is_code(&self, svma: u64) -> bool {
        let mut code = self.image.segments().iter().filter(|s| s.executable);
        code.any(|s| svma >= s.svma && svma - s.svma < s.size)
    }

    /// The row of the symbol that covers a linked address.
    fn symbol_at(&mut self, svma: u64) -> Option<u32> {
        let found = self.linker.symbol(svma)?;
        // Addresses come sorted, so most have the symbol of the one before.
        if let Some((start, known)) = self.last_symbol
            && start == found.row.start
        {
            return Some(known);
        }
        let symbol = self.rows.symbol(self.linker.named(found));
        self.last_symbol = Some((found.row.start, symbol));
        Some(symbol)
    }

    /// What DWARF knows of linked addresses: units, and for each address a unit and a frame of it.
    /// No addresses, with the problem reported, when it cannot be read.
    fn ask_dwarf(&mut self, svmas: &[u64]) -> (Vec<Taken>, Vec<(u32, u32)>) {
        let nothing = (Vec::new(), Vec::new());
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
        let errors = errors.map(|e| damaged(&dwarf.describe(e)));
        let damage = dwarf.damage().map(|damage| damaged(&damage));
        let errors: Vec<Problem> = errors.chain(damage).collect();
        for problem in errors {
            self.report(problem);
        }
        for unit in &batch.units {
            self.note_split(unit);
        }
        let linkage_names = batch.units.iter().flat_map(|unit| &unit.functions);
        self.names
            .demangle_all(linkage_names.filter_map(|function| function.linkage_name.as_deref()));
        self.rows
            .reserve_frames(batch.units.iter().map(|unit| unit.frames.len()).sum());
        let units = batch.units.into_iter();
        let units = units.map(|unit| self.take(&unit)).collect();
        (units, batch.frames)
    }

    /// Keeps where split entries were looked for, and says what is missing, once for all units.
    fn note_split(&mut self, unit: &UnitAnswers<'_>) {
        self.looked_at.extend_from_slice(&unit.looked_at);
        let Some(missing) = unit.missing.clone() else {
            return;
        };
        let path = missing.path;
        let problem = match missing.reason {
            Some(reason) => Problem::DebugFileRefused { path, reason },
            None => Problem::SplitDebugInfo { path },
        };
        let is_split = |problem: &Problem| matches!(problem, Problem::SplitDebugInfo { .. });
        if !(is_split(&problem) && self.problems.iter().any(is_split)) {
            self.report(problem);
        }
    }

    /// Where files were looked for while addresses were named, since the last call.
    pub(crate) fn take_looked_at(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.looked_at)
    }

    /// Takes the frames of one unit into the rows.
    fn take(&mut self, unit: &UnitAnswers<'_>) -> Taken {
        let files: Vec<u32> = unit.paths.iter().map(|path| self.rows.file(path)).collect();
        let functions = unit.functions.iter();
        let functions: Vec<Option<u32>> = functions
            .map(|function| self.function_of_entry(function, &files))
            .collect();
        let has_all = functions.iter().all(Option::is_some)
            && unit.frames.iter().all(|frame| frame.function != NONE);
        let first = self.rows.next_frame();
        let mut known: Vec<Known> = Vec::new();
        for frame in &unit.frames {
            let file = files.get(frame.file as usize).copied();
            let place = Place {
                file,
                line: Some(frame.line).filter(|&line| line > 0),
                column: Some(frame.column).filter(|&column| column > 0),
            };
            let outer = Some(frame.outer).filter(|&outer| outer != NONE);
            let outer = if has_all {
                outer.map(|outer| first + outer)
            } else {
                outer.and_then(|outer| known[outer as usize].frame)
            };
            let function = functions.get(frame.function as usize).copied().flatten();
            let row = function.map(|function| {
                let declared = unit.functions[frame.function as usize].file;
                let is_elsewhere =
                    declared.is_some_and(|own| frame.file != NONE && own != frame.file);
                self.rows.frame(AnswerFrame {
                    outer,
                    function,
                    line: place.line,
                    column: place.column,
                    file: file.filter(|_| is_elsewhere),
                    contradicted: is_elsewhere && frame.is_inlined(),
                })
            });
            if !has_all {
                known.push(Known {
                    // A function without any name leaves the one around it.
                    frame: row.or(outer),
                    place: Some(place),
                });
            }
        }
        if has_all {
            Taken::All(first)
        } else {
            Taken::Some(known)
        }
    }

    /// The row of a DWARF function; `None` when it has no name of any kind.
    fn function_of_entry(&mut self, function: &UnitFunction<'_>, files: &[u32]) -> Option<u32> {
        let is_whole =
            function.linkage_name.is_some() || (function.name.is_some() && !function.is_bare);
        let symbol = function.start.filter(|_| !is_whole);
        let symbol = symbol.and_then(|start| self.linker.symbol(start));
        let symbol = symbol.map(|found: Found<'_, 'a>| found.row.name);
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
}

/// The executable addresses of an image.
fn code_of(image: &ImageFile) -> Code {
    let code = image.segments().iter().filter(|segment| segment.executable);
    Code::new(
        code.map(|s| s.svma..s.svma.saturating_add(s.size))
            .collect(),
    )
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
