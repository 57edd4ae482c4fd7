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
use crate::declaration::{Declaration, EntryAt};
use crate::demangle::demangle;
use crate::dwarf::{ChainLink, DwarfBytes, DwarfNames};
use crate::files::Files;
use crate::plt::{self, Stub};
use crate::summary::Problem;
use crate::symbols::{Elf, SymbolIndex, SymbolRow, TableKind};
use crate::unwind;

/// What a function's row depends on besides its DWARF entry.
#[derive(PartialEq, Eq, Hash)]
struct FunctionAt {
    entry: EntryAt,
    /// The file of its lines, where the entry has no declared one.
    file: Option<u32>,
    /// The linker's symbol, where the entry has no whole name.
    symbol: Option<u32>,
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
    functions: FxHashMap<FunctionAt, Option<u32>>,
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
            functions: FxHashMap::default(),
            rows: Rows::default(),
            problems: Vec::new(),
        };
        namer.read_tables(files);
        if let Some(bytes) = bytes {
            match catch_unwind(AssertUnwindSafe(|| DwarfNames::new(bytes))) {
                Ok(Ok(dwarf)) => namer.dwarf = Some(dwarf),
                Ok(Err(error)) => namer.report(damaged(&error)),
                Err(_) => namer.report(damaged(&"its reader panicked")),
            }
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

    /// Names relative addresses, in their order.
    pub(crate) fn name_all(&mut self, addresses: &[u64]) -> Vec<Answer> {
        addresses
            .iter()
            .map(|&address| self.name(address))
            .collect()
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

    fn name(&mut self, address: u64) -> Answer {
        let svma = self.base_svma.wrapping_add(address);
        if !self.is_code(svma) {
            return Answer::default();
        }
        let found = self.find_symbol(svma).map(|(source, row)| (source, *row));
        let symbol = found.map(|(_, row)| self.symbol_row(&row));
        let mut chain = self.chain(svma);
        if !self.is_alive(&chain) {
            chain.clear();
        }
        let mut frames = self.frames_of_chain(&chain, symbol, found.map(|(_, row)| row));
        if frames.is_empty() {
            let function = found
                .map(|(source, row)| self.function_of_symbol(source, &row))
                .or_else(|| self.function_of_stub(svma))
                .or_else(|| self.function_of_unwind_table(svma));
            // Assembler code has lines without functions.
            let place = chain.last();
            frames.extend(function.map(|function| AnswerFrame {
                function,
                line: place.and_then(|place| place.line),
                column: place.and_then(|place| place.column),
                file: place.and_then(|place| place.file),
                contradicted: false,
            }));
        }
        Answer {
            symbol,
            frames: frames.into(),
        }
    }

    /// Whether an address lies in an executable segment.
    fn is_code(&self, svma: u64) -> bool {
        let mut code = self.image.segments().iter().filter(|s| s.executable);
        code.any(|s| svma >= s.svma && svma - s.svma < s.size)
    }

    /// Whether a chain ends in a function that is in the program.
    ///
    /// Functions that the linker removed keep their debug information, at addresses near 0 where
    /// no code is; a long one of them reaches into the code of others.
    fn is_alive(&self, chain: &[ChainLink]) -> bool {
        let physical = chain.last().and_then(|link| link.entry.as_ref());
        let start = physical.and_then(|(_, declaration)| declaration.low_pc);
        start.is_none_or(|start| self.is_code(start))
    }

    fn find_symbol(&self, svma: u64) -> Option<(Source, &SymbolRow<'a>)> {
        let mut tables = self.tables.iter();
        tables.find_map(|(source, table)| Some((*source, table.find(svma)?)))
    }

    fn symbol_row(&mut self, row: &SymbolRow<'a>) -> u32 {
        self.rows.symbol(NamedSymbol {
            linkage_name: String::from_utf8_lossy(row.name).into_owned(),
            address: row.start.wrapping_sub(self.base_svma),
            size: row.size,
        })
    }

    /// The chain by DWARF; empty, with the problem reported, when it cannot be read.
    fn chain(&mut self, svma: u64) -> Vec<ChainLink> {
        let Some(dwarf) = &mut self.dwarf else {
            return Vec::new();
        };
        let rows = &mut self.rows;
        match catch_unwind(AssertUnwindSafe(|| dwarf.chain(svma, rows))) {
            Ok(Ok(chain)) => {
                if dwarf.is_split() {
                    self.report(Problem::SplitDebugInfo);
                }
                chain
            }
            Ok(Err(error)) => {
                self.report(damaged(&error));
                Vec::new()
            }
            Err(_) => {
                // A reader that panicked may be left half way, so it is not asked again.
                self.dwarf = None;
                self.report(damaged(&"its reader panicked"));
                Vec::new()
            }
        }
    }

    fn frames_of_chain(
        &mut self,
        chain: &[ChainLink],
        symbol: Option<u32>,
        row: Option<SymbolRow<'a>>,
    ) -> Vec<AnswerFrame> {
        let mut frames = Vec::with_capacity(chain.len());
        for (index, link) in chain.iter().enumerate() {
            let Some((entry, declaration)) = &link.entry else {
                continue;
            };
            let is_physical = index + 1 == chain.len();
            let linker = symbol.zip(row).filter(|_| is_physical);
            let Some(function) = self.function_of_entry(*entry, declaration, link.file, linker)
            else {
                continue;
            };
            let declared = declaration.file.as_deref().map(|file| self.rows.file(file));
            frames.push(AnswerFrame {
                function,
                line: link.line,
                column: link.column,
                file: link
                    .file
                    .filter(|&file| declared.is_some_and(|own| own != file)),
                contradicted: false,
            });
        }
        frames
    }

    /// The row of a DWARF function; `None` when it has no name of any kind.
    fn function_of_entry(
        &mut self,
        entry: EntryAt,
        declaration: &Declaration,
        file: Option<u32>,
        linker: Option<(u32, SymbolRow<'a>)>,
    ) -> Option<u32> {
        let is_whole = declaration.name.is_some() && !declaration.bare;
        let linker = linker.filter(|_| !is_whole);
        let key = FunctionAt {
            entry,
            file: file.filter(|_| declaration.file.is_none()),
            symbol: linker.map(|(symbol, _)| symbol),
        };
        if let Some(&known) = self.functions.get(&key) {
            return known;
        }
        let lines = key.file.map(|file| self.rows.path(file).to_owned());
        let symbol = linker
            .filter(|(_, row)| may_be_name_of(row.name, declaration))
            .map(|(_, row)| String::from_utf8_lossy(row.name).into_owned());
        let name = match &symbol {
            Some(symbol) => Some(demangle(symbol).into_owned()),
            None => declaration.name.clone(),
        };
        let function = name.map(|name| {
            self.rows.function(NamedFunction {
                name,
                linkage_name: declaration
                    .linkage_name
                    .clone()
                    .or(symbol)
                    .unwrap_or_default(),
                file: declaration.file.clone().or(lines),
                line: declaration.line,
                source: Source::Dwarf,
            })
        });
        self.functions.insert(key, function);
        function
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

fn parse(file: &ImageFile) -> Option<Elf<'_>> {
    // `ImageFile` has parsed the same headers before, so this does not fail.
    ElfFile64::<LittleEndian>::parse(file.data()).ok()
}

/// Whether a symbol can be the mangled form of a bare DWARF name.
///
/// Identical functions can be folded to one address, whose only symbol may be another's.
fn may_be_name_of(symbol: &[u8], declaration: &Declaration) -> bool {
    let Some(name) = &declaration.name else {
        return true;
    };
    let last = name.rsplit("::").next().unwrap_or(name);
    let word = last.split(['<', '{', '(']).find(|part| !part.is_empty());
    let word = word
        .unwrap_or_default()
        .trim_end_matches(|c: char| !c.is_alphanumeric());
    let word = word.split('#').next().unwrap_or_default();
    !word.is_empty() && String::from_utf8_lossy(symbol).contains(word)
}
