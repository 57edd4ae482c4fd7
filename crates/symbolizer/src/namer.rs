//! Names the addresses of one image from all that its files hold.

use std::borrow::Cow;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use hotproof_image::ImageFile;
use hotproof_profile::Source;
use rustc_hash::FxHashMap;

use crate::answer::{Answer, AnswerFrame, NamedFunction, Rows, StoredAnswer, Tables};
use crate::cache::SectionStore;
use crate::dwarf::{
    Code, DwarfBytes, DwarfNames, FrameRows, NONE, PathPlace, SourcePath, UnitAnswers, UnitFunction,
};
use crate::files::Files;
use crate::linker::LinkerNames;
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

/// What DWARF knows of an address, in four bytes: nothing, a frame, or a place of a list.
#[derive(Clone, Copy)]
struct KnownRow(u32);

impl KnownRow {
    /// Numbers from here on are places.
    const FIRST_PLACE: u32 = 1 << 31;

    fn of_place(row: usize) -> KnownRow {
        // Units have fewer nameless frames than bytes of entries.
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        KnownRow(row.saturating_add(Self::FIRST_PLACE))
    }

    fn known(self, places: &[Place]) -> Known {
        let place = self.0.checked_sub(Self::FIRST_PLACE);
        let place = place.map(|row| places.get(row as usize).copied());
        match place {
            // The list has no place for the number that means nothing.
            Some(place) => Known { frame: None, place },
            None => Known {
                frame: Some(self.0),
                place: None,
            },
        }
    }
}

/// Everything that answers for one image.
pub(crate) struct Namer<'a> {
    image: &'a ImageFile,
    base_svma: u64,
    linker: LinkerNames<'a>,
    dwarf: Option<DwarfNames<'a>>,
    names: Names<'a>,
    /// The linkage name of functions that have none.
    nothing: Arc<str>,
    functions: FxHashMap<FunctionKey, Option<u32>>,
    /// Rows of symbols by address and size: one place has one answer.
    symbols: FxHashMap<(u64, u64), u32>,
    /// Functions with a linkage name that is not demangled yet.
    mangled: Vec<Mangled>,
    /// Rows of files by where the parts of their paths lie.
    files: FxHashMap<PathPlace, u32>,
    /// Places of nameless code, while a batch is named.
    places: Vec<Place>,
    /// The addresses of the last symbol that was asked for, and its row.
    last_symbol: Option<(Range<u64>, Option<u32>)>,
    /// The frame of the last symbol that had no other, and the symbol's row.
    last_frame: Option<(u32, u32)>,
    rows: Rows,
    problems: Vec<Problem>,
    /// Where split debug information was looked for.
    looked_at: Vec<PathBuf>,
}

/// The DWARF sections of an image's files, to be borrowed by a [`Namer`].
pub(crate) fn load_dwarf<'a>(
    files: &'a Files,
    store: &mut SectionStore,
) -> (Option<DwarfBytes<'a>>, Vec<Problem>) {
    match DwarfBytes::load(
        files.with_debug_information(),
        files.shared.as_ref(),
        files.package.as_ref(),
        store,
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
            nothing: Arc::default(),
            functions: FxHashMap::default(),
            symbols: FxHashMap::default(),
            mangled: Vec::new(),
            files: FxHashMap::default(),
            places: Vec::new(),
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
    pub(crate) fn name_all(&mut self, mut addresses: Vec<u64>) -> Vec<StoredAnswer> {
        let (base, code) = (self.base_svma, code_of(self.image));
        let mut at = 0u32;
        let mut outside = Vec::new();
        // There may be millions, so they are changed in their place.
        addresses.retain_mut(|address| {
            *address = base.wrapping_add(*address);
            let is_code = code.contains(*address);
            if !is_code {
                outside.push(at);
            }
            at += 1;
            is_code
        });
        let answers = self.name_code(&addresses);
        if outside.is_empty() {
            return answers;
        }
        let mut outside = outside.into_iter().peekable();
        let mut answers = answers.into_iter();
        let answer = |row| match outside.next_if_eq(&row) {
            Some(_) => StoredAnswer::default(),
            None => answers.next().unwrap_or_default(),
        };
        (0..at).map(answer).collect()
    }

    /// Names linked addresses of code.
    fn name_code(&mut self, svmas: &[u64]) -> Vec<StoredAnswer> {
        self.linker.announce(svmas);
        self.last_symbol = None;
        let known = self.ask_dwarf(svmas);
        let places = std::mem::take(&mut self.places);
        let mut answers = Vec::with_capacity(svmas.len());
        for (row, &svma) in svmas.iter().enumerate() {
            let known = known.get(row).map(|&row| KnownRow(row).known(&places));
            answers.push(self.name(svma, known.unwrap_or_default()).into());
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

    /// The row of the symbol that covers a linked address.
    fn symbol_at(&mut self, svma: u64) -> Option<u32> {
        // Addresses come sorted, so most have the symbol of the one before.
        if let Some((range, known)) = &self.last_symbol
            && range.contains(&svma)
        {
            return *known;
        }
        let (found, until) = self.linker.symbol_until(svma);
        let symbol = found.map(|found| {
            let (known, rows) = (&mut self.symbols, &mut self.rows);
            let place = (found.row.start, found.row.size);
            *known
                .entry(place)
                .or_insert_with(|| rows.new_symbol(self.linker.named(found)))
        });
        self.last_symbol = Some((svma..until, symbol));
        symbol
    }

    /// What DWARF knows of linked addresses, as [`KnownRow`]s. Nothing, with the problem reported,
    /// when it cannot be read.
    fn ask_dwarf(&mut self, svmas: &[u64]) -> Vec<u32> {
        // It is taken out for the time, because its answers go into the rows beside it.
        let Some(dwarf) = self.dwarf.take() else {
            return Vec::new();
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            dwarf.answer(svmas, &mut |unit| {
                if let Some(error) = unit.error {
                    self.report(damaged(&dwarf.describe(error)));
                }
                self.take(&unit)
            })
        }));
        self.demangle_functions();
        let Ok(known) = outcome else {
            // A reader that panicked may be left half way, so it is not asked again.
            self.report(damaged(&"its reader panicked"));
            return Vec::new();
        };
        if let Some(damage) = dwarf.damage() {
            self.report(damaged(&damage));
        }
        self.dwarf = Some(dwarf);
        known
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

    /// Takes what one unit knows into the rows: numbers of [`KnownRow`]s for its frames.
    fn take(&mut self, unit: &UnitAnswers<'a>) -> FrameRows {
        self.note_split(unit);
        let files: Vec<u32> = unit.paths.iter().map(|path| self.file(path)).collect();
        let functions = unit.functions.iter();
        let functions: Vec<Taken> = functions
            .map(|function| Taken {
                row: self.function_of_entry(function, &files),
                declared: function.file.map(|file| files[file as usize]),
            })
            .collect();
        let has_all = functions.iter().all(|function| function.row.is_some())
            && unit.frames.iter().all(|frame| frame.function != NONE);
        let first = self.rows.next_frame();
        let mut numbers: Vec<u32> = Vec::new();
        let mut outers: Vec<Option<u32>> = Vec::new();
        for frame in &unit.frames {
            let place = Place {
                file: files.get(frame.file as usize).copied(),
                line: Some(frame.line).filter(|&line| line > 0),
                column: Some(frame.column).filter(|&column| column > 0),
            };
            let outer = Some(frame.outer).filter(|&outer| outer != NONE);
            let outer = if has_all {
                outer.map(|outer| first + outer)
            } else {
                outer.and_then(|outer| outers[outer as usize])
            };
            let function = functions.get(frame.function as usize);
            let row = function.and_then(|function| {
                let own = function.declared;
                let is_elsewhere = own.is_some() && place.file.is_some() && own != place.file;
                Some(self.rows.frame(AnswerFrame {
                    outer,
                    function: function.row?,
                    line: place.line,
                    column: place.column,
                    file: place.file.filter(|_| is_elsewhere),
                    contradicted: is_elsewhere && frame.is_inlined(),
                }))
            });
            if !has_all {
                // A function without any name leaves the one around it.
                let named = row.or(outer);
                outers.push(named);
                numbers.push(named.unwrap_or_else(|| {
                    self.places.push(place);
                    KnownRow::of_place(self.places.len() - 1).0
                }));
            }
        }
        if has_all {
            FrameRows::From(first)
        } else {
            FrameRows::Each(numbers)
        }
    }

    /// The row of a path.
    fn file(&mut self, path: &SourcePath<'a>) -> u32 {
        let place = path.place();
        if let Some(&known) = place.and_then(|place| self.files.get(&place)) {
            return known;
        }
        let row = self.rows.file(&path.render());
        self.files.extend(place.map(|place| (place, row)));
        row
    }

    /// Gives functions that came with a linkage name what it reads as, on all threads.
    fn demangle_functions(&mut self) {
        let mangled = std::mem::take(&mut self.mangled);
        self.names
            .demangle_all(mangled.iter().map(|function| function.linkage_name));
        for function in mangled {
            let mut name = self.names.demangled(function.linkage_name);
            // What reads as itself could not be read.
            if name.starts_with("_Z")
                && let Some(known) = function.name
            {
                name = self.names.text(known).clone();
            }
            self.rows.rename(function.row, name);
        }
    }

    /// The row of a DWARF function; `None` when it has no name of any kind.
    fn function_of_entry(&mut self, function: &UnitFunction<'a>, files: &[u32]) -> Option<u32> {
        let is_whole =
            function.linkage_name.is_some() || (function.name.is_some() && !function.is_bare);
        let symbol = function.start.filter(|_| !is_whole);
        let symbol = symbol.and_then(|start| self.linker.symbol(start));
        let symbol = symbol.map(|found| found.row.name);
        let symbol = symbol.filter(|symbol| may_be_name_of(symbol, function.name.as_deref()));
        let file = function.file.or(function.lines_file);
        let names = &mut self.names;
        let scope = function.scope.as_deref().map(str::as_bytes);
        let key = FunctionKey {
            linkage_name: function.linkage_name.as_ref().map(|name| names.id(name)),
            name: function.name.as_ref().map(|name| names.id(name)),
            scope: scope.map(|scope| names.id(&Cow::Owned(scope.to_vec()))),
            symbol: symbol.map(|symbol| names.id(&Cow::Borrowed(symbol))),
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
        let names = &mut self.names;
        let name = match (mangled, key.name, key.scope) {
            (Some(mangled), _, _) => {
                self.mangled.push(Mangled {
                    row: self.rows.next_function(),
                    linkage_name: mangled,
                    name: key.name,
                });
                self.nothing.clone()
            }
            (None, Some(name), None) => names.text(name).clone(),
            (None, Some(name), Some(scope)) => {
                let scope = names.text(scope).clone();
                format!("{scope}::{}", names.text(name)).into()
            }
            (None, None, _) => return None,
        };
        let linkage_name = mangled.map(|mangled| names.text(mangled).clone());
        Some(self.rows.new_function(NamedFunction {
            name,
            linkage_name: linkage_name.unwrap_or_else(|| self.nothing.clone()),
            file: key.file.map(|file| self.rows.path(file).clone()),
            line: key.line,
            source: Source::Dwarf,
        }))
    }
}

/// A function whose name comes from its linkage name.
struct Mangled {
    row: u32,
    /// Numbers of its names; what DWARF calls it has no parameters, and may have no scope.
    linkage_name: u32,
    name: Option<u32>,
}

/// A function of a unit, taken into the rows.
struct Taken {
    /// `None` when it has no name of any kind.
    row: Option<u32>,
    /// Its declared file.
    declared: Option<u32>,
}

/// The executable addresses of an image.
pub(crate) fn code_of(image: &ImageFile) -> Code {
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
