//! What an image's own tables say of an address, debug information aside.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use hotproof_image::ImageFile;
use hotproof_profile::Source;

use crate::answer::{NamedFunction, NamedSymbol};
use crate::demangle::demangle;
use crate::elf::{Elf, TableKind};
use crate::files::Files;
use crate::go_table::GoTable;
use crate::plt::{self, Stub};
use crate::symbols::{SymbolIndex, SymbolRow};
use crate::unwind::UnwindRanges;

/// The symbol tables of an image's files, its stubs, Go's table and its unwind information.
pub(crate) struct LinkerNames<'a> {
    image: &'a ImageFile,
    elf: Option<Elf<'a>>,
    base_svma: u64,
    files: &'a Files,
    /// The symbols that matter for the addresses that were announced.
    near: Option<NearTables<'a>>,
    announced: u32,
    /// All symbols, when others are asked for.
    all: OnceCell<SymbolTables<'a>>,
    go: Option<GoTable<'a>>,
    stubs: OnceCell<BTreeMap<u64, Stub>>,
    unwind_ranges: OnceCell<UnwindRanges<'a>>,
}

/// In the order they are asked.
type SymbolTables<'a> = Vec<(Source, SymbolIndex<'a>)>;

struct NearTables<'a> {
    /// Sorted.
    svmas: Vec<u64>,
    tables: SymbolTables<'a>,
}

/// So many batches of addresses are looked for one by one; then all symbols are read.
const FEW_BATCHES: u32 = 2;
/// For more addresses than this at once all symbols are read.
const MOST_NEAR_ADDRESSES: usize = 1 << 16;

/// A symbol that covers an address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'t, 'a> {
    pub(crate) source: Source,
    pub(crate) row: SymbolRow<'a>,
    /// The other names of the same address, sorted.
    aliases: &'t [&'a [u8]],
}

/// A function at a place of the source, by something other than DWARF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableFrame {
    pub(crate) function: NamedFunction,
    pub(crate) line: Option<u32>,
}

impl<'a> LinkerNames<'a> {
    pub(crate) fn new(files: &'a Files) -> LinkerNames<'a> {
        let elf = Elf::parse(&files.image);
        LinkerNames {
            image: &files.image,
            base_svma: files.image.base_svma(),
            files,
            near: None,
            announced: 0,
            all: OnceCell::new(),
            go: GoTable::read(&files.image),
            elf,
            stubs: OnceCell::new(),
            unwind_ranges: OnceCell::new(),
        }
    }

    /// Whether there is no table with names.
    pub(crate) fn is_empty(&self) -> bool {
        let has_names = |elf: &Elf<'a>, kind| SymbolIndex::has_names(elf, kind);
        let others = [self.files.debug.as_ref(), self.files.mini.as_ref()];
        let others = others.into_iter().flatten().filter_map(Elf::parse);
        let own = self.elf.as_ref();
        self.go.is_none()
            && !own.is_some_and(|elf| has_names(elf, TableKind::Full))
            && !own.is_some_and(|elf| has_names(elf, TableKind::Dynamic))
            && !others
                .into_iter()
                .any(|elf| has_names(&elf, TableKind::Full))
    }

    /// Whether functions are named by Go's table as well.
    pub(crate) fn is_go(&self) -> bool {
        self.go.is_some()
    }

    /// Announces sorted linked addresses that will be asked for: of the symbol tables only what
    /// matters for them is read.
    pub(crate) fn announce(&mut self, svmas: &[u64]) {
        self.announced += 1;
        self.near = None;
        let are_few = (1..=MOST_NEAR_ADDRESSES).contains(&svmas.len());
        if self.announced <= FEW_BATCHES && self.all.get().is_none() && are_few {
            self.near = Some(NearTables {
                svmas: svmas.to_vec(),
                tables: tables(self.files, self.elf.as_ref(), svmas),
            });
        }
    }

    fn tables_for(&self, svma: u64) -> &SymbolTables<'a> {
        match &self.near {
            Some(near) if near.svmas.binary_search(&svma).is_ok() => &near.tables,
            _ => self
                .all
                .get_or_init(|| tables(self.files, self.elf.as_ref(), &[])),
        }
    }

    /// The symbol that covers a linked address.
    pub(crate) fn symbol(&self, svma: u64) -> Option<Found<'_, 'a>> {
        self.symbol_until(svma).0
    }

    /// The symbol that covers a linked address, and the first address after it of which something
    /// else may be said; addresses up to there must have been announced if this one was.
    pub(crate) fn symbol_until(&self, svma: u64) -> (Option<Found<'_, 'a>>, u64) {
        let mut until = u64::MAX;
        for (source, table) in self.tables_for(svma) {
            let (row, end) = table.find_until(svma);
            until = until.min(end);
            if let Some(row) = row {
                let found = Found {
                    source: *source,
                    row: *row,
                    aliases: table.aliases(row),
                };
                return (Some(found), until);
            }
        }
        (None, until)
    }

    /// A symbol as answers have it.
    pub(crate) fn named(&self, found: Found<'_, 'a>) -> NamedSymbol {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        NamedSymbol {
            linkage_name: text(found.row.name).into(),
            address: found.row.start.wrapping_sub(self.base_svma),
            size: found.row.size,
            aliases: found.aliases.iter().map(|name| text(name)).collect(),
        }
    }

    /// The functions at a linked address for which there is no debug information, innermost first:
    /// by Go's table, which has lines and inlined functions; by the symbol; by the stub; and if
    /// nothing else, where the function begins.
    pub(crate) fn frames(&self, svma: u64) -> Vec<TableFrame> {
        let by_go = self.go_frames(svma);
        if !by_go.is_empty() {
            return by_go;
        }
        let found = self.symbol(svma).map(|found| {
            let linkage_name = String::from_utf8_lossy(found.row.name).into_owned();
            let name = demangle(&linkage_name).into_owned();
            plain(name, linkage_name, found.source)
        });
        let lone = found
            .or_else(|| self.stub(svma))
            .or_else(|| self.start(svma));
        lone.into_iter().collect()
    }

    fn go_frames(&self, svma: u64) -> Vec<TableFrame> {
        let Some(go) = &self.go else {
            return Vec::new();
        };
        let frames = go.frames(svma).into_iter();
        let frames = frames.map(|frame| TableFrame {
            function: NamedFunction {
                linkage_name: frame.name.as_str().into(),
                name: frame.name.into(),
                line: frame.first_line.filter(|_| frame.file.is_some()),
                file: frame.file.map(Arc::from),
                source: Source::GoTable,
            },
            line: frame.line,
        });
        frames.collect()
    }

    fn stub(&self, svma: u64) -> Option<TableFrame> {
        let (image, elf) = (self.image, self.elf.as_ref()?);
        if !plt::holds(image, svma) {
            return None;
        }
        let stubs = self.stubs.get_or_init(|| plt::stubs(image, elf));
        let stub = plt::find(stubs, svma)?;
        Some(plain(stub.name.clone(), String::new(), Source::Plt))
    }

    fn start(&self, svma: u64) -> Option<TableFrame> {
        let ranges = self
            .unwind_ranges
            .get_or_init(|| UnwindRanges::new(self.image));
        let range = ranges.find(svma)?;
        let start = range.start.wrapping_sub(self.base_svma);
        let name = format!("fn_{start:#x}");
        Some(plain(name, String::new(), Source::UnwindTable))
    }
}

fn plain(name: String, linkage_name: String, source: Source) -> TableFrame {
    TableFrame {
        function: NamedFunction {
            name: name.into(),
            linkage_name: linkage_name.into(),
            file: None,
            line: None,
            source,
        },
        line: None,
    }
}

fn tables<'a>(files: &'a Files, own: Option<&Elf<'a>>, svmas: &[u64]) -> SymbolTables<'a> {
    let full = |elf: &Elf<'a>| SymbolIndex::read(elf, TableKind::Full, svmas);
    let debug = files.debug.as_ref().and_then(Elf::parse);
    let mini = files.mini.as_ref().and_then(Elf::parse);
    let tables = [
        own.map(|elf| (Source::SymbolTable, full(elf))),
        debug.map(|elf| (Source::SymbolTable, full(&elf))),
        mini.map(|elf| (Source::MiniDebugInfo, full(&elf))),
        own.map(|elf| {
            (
                Source::DynamicSymbols,
                SymbolIndex::read(elf, TableKind::Dynamic, svmas),
            )
        }),
    ];
    let tables = tables.into_iter().flatten();
    tables.filter(|(_, table)| !table.is_empty()).collect()
}
