//! The units of one file with debug information, read when they are needed.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gimli::{
    Abbreviations, DebugInfoOffset, Dwarf, IncompleteLineProgram, LineProgramHeader, UnitHeader,
    UnitType,
};
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::budget::Budget;
use super::lines;
use super::ranges::Code;
use super::root::Root;
use super::{DwarfError, Slice};

/// How many units that others refer to are kept; a whole program's would fill the memory.
const KEPT_UNITS: usize = 256;
/// How many roots a thread reads at a time.
const ROOTS_AT_A_TIME: usize = 64;

/// One unit, with what is read of it once.
pub(crate) struct Unit<'a> {
    pub(crate) root: Root<'a>,
    /// The header of its line program, whose files its entries refer to.
    line_header: OnceLock<Option<LineProgramHeader<Slice<'a>>>>,
}

/// A unit, by where it begins in `.debug_info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct UnitAt(pub(crate) usize);

/// A range of addresses and the unit that claims it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnitRange {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) unit: UnitAt,
}

/// A table of abbreviations, seen by a first unit.
enum Seen {
    /// It is kept when a second unit comes: most tables belong to one unit alone.
    Once,
    Shared(Result<Arc<Abbreviations>, gimli::Error>),
}

/// The units of one file.
pub(crate) struct Units<'a> {
    pub(crate) dwarf: Arc<Dwarf<Slice<'a>>>,
    /// In the order of the section, and the damage that ended them. Reading them touches all of
    /// `.debug_info`, so it is left until a unit has to be found by an offset within it.
    headers: OnceLock<Headers<'a>>,
    /// Tables of abbreviations, by their offset.
    abbreviations: Mutex<FxHashMap<usize, Seen>>,
    /// Units that entries of others refer to.
    referred: Mutex<FxHashMap<UnitAt, Arc<Unit<'a>>>>,
}

type Headers<'a> = (Vec<UnitHeader<Slice<'a>>>, Option<gimli::Error>);

impl<'a> Unit<'a> {
    /// The header of the line program; `None` when the unit has none or it is damaged.
    pub(crate) fn line_header(
        &self,
        dwarf: &Dwarf<Slice<'a>>,
    ) -> Option<&LineProgramHeader<Slice<'a>>> {
        let read = || Some(self.line_program(dwarf).ok()??.header().clone());
        self.line_header.get_or_init(read).as_ref()
    }

    /// The line program, from its beginning; `None` when the unit has none.
    pub(crate) fn line_program(
        &self,
        dwarf: &Dwarf<Slice<'a>>,
    ) -> Result<Option<IncompleteLineProgram<Slice<'a>>>, DwarfError> {
        let unit = &self.root.unit;
        let Some(offset) = self.root.lines else {
            return Ok(None);
        };
        let size = unit.header.address_size();
        let program = dwarf
            .debug_line
            .program(offset, size, unit.comp_dir, unit.name)?;
        Ok(Some(program))
    }
}

impl<'a> Units<'a> {
    pub(crate) fn new(dwarf: Arc<Dwarf<Slice<'a>>>) -> Units<'a> {
        Units {
            dwarf,
            headers: OnceLock::new(),
            abbreviations: Mutex::default(),
            referred: Mutex::default(),
        }
    }

    /// All headers. Damage ends them: what was read before it is whole.
    fn headers(&self) -> &[UnitHeader<Slice<'a>>] {
        let read = || {
            let mut headers = Vec::new();
            let mut found = self.dwarf.units();
            loop {
                match found.next() {
                    Ok(Some(header)) => headers.push(header),
                    Ok(None) => return (headers, None),
                    Err(error) => return (headers, Some(error)),
                }
            }
        };
        &self.headers.get_or_init(read).0
    }

    /// What ended the headers, if they had to be read.
    pub(crate) fn damage(&self) -> Option<gimli::Error> {
        self.headers.get()?.1
    }

    /// All units.
    pub(crate) fn all(&self) -> impl Iterator<Item = UnitAt> {
        self.headers().iter().map(|header| UnitAt(start(header)))
    }

    /// How many bytes of entries a unit has; 0 when its header cannot be read.
    pub(crate) fn weight(&self, unit: UnitAt) -> usize {
        let header = self.header(unit);
        header.map_or(0, |header| header.length_including_self())
    }

    fn header(&self, unit: UnitAt) -> Result<UnitHeader<Slice<'a>>, gimli::Error> {
        self.dwarf.unit_header(DebugInfoOffset(unit.0))
    }

    /// The unit whose entries hold an offset of the section.
    pub(crate) fn unit_of(&self, offset: usize) -> Option<UnitAt> {
        let headers = self.headers();
        let after = headers.partition_point(|header| start(header) <= offset);
        let header = &headers[after.checked_sub(1)?];
        let within = offset - start(header) < header.length_including_self();
        within.then(|| UnitAt(start(header)))
    }

    /// Reads a unit with its abbreviations.
    pub(crate) fn unit(&self, at: UnitAt) -> Result<Unit<'a>, DwarfError> {
        let header = self.header(at)?;
        let mut root = Root::read(&self.dwarf, header, &self.scan_budget())?;
        root.unit.abbreviations = self.abbreviations(&header)?;
        Ok(Unit {
            root,
            line_header: OnceLock::new(),
        })
    }

    /// A unit that an entry of another one refers to; read once, while it is kept.
    pub(crate) fn referred_unit(&self, at: UnitAt) -> Result<Arc<Unit<'a>>, DwarfError> {
        let kept = || self.referred.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unit) = kept().get(&at) {
            return Ok(unit.clone());
        }
        let unit = Arc::new(self.unit(at)?);
        let mut kept = kept();
        if kept.len() >= KEPT_UNITS {
            kept.clear();
        }
        kept.insert(at, unit.clone());
        Ok(unit)
    }

    fn abbreviations(
        &self,
        header: &UnitHeader<Slice<'a>>,
    ) -> Result<Arc<Abbreviations>, gimli::Error> {
        let read = || {
            let table = &self.dwarf.debug_abbrev;
            table
                .abbreviations(header.debug_abbrev_offset())
                .map(Arc::new)
        };
        let offset = header.debug_abbrev_offset().0;
        let seen = || {
            let seen = self.abbreviations.lock();
            seen.unwrap_or_else(PoisonError::into_inner)
        };
        let is_first = match seen().get(&offset) {
            Some(Seen::Shared(shared)) => return shared.clone(),
            known => known.is_none(),
        };
        let found = read();
        let now = if is_first {
            Seen::Once
        } else {
            Seen::Shared(found.clone())
        };
        seen().insert(offset, now);
        found
    }

    fn scan_budget(&self) -> Budget {
        use gimli::Section;
        Budget::of((1 << 20) + self.dwarf.debug_abbrev.reader().len() as u64)
    }

    /// Ranges by `.debug_aranges`.
    pub(crate) fn ranges_of_index(&self, code: &Code) -> Vec<UnitRange> {
        let mut ranges = Vec::new();
        let mut sets = self.dwarf.debug_aranges.headers();
        // A damaged list is a list that misses units, whose roots are read instead.
        while let Ok(Some(set)) = sets.next() {
            let unit = UnitAt(set.debug_info_offset().0);
            let mut entries = set.entries();
            while let Some(entry) = entries.next().transpose() {
                let Ok(entry) = entry else { continue };
                let range = entry.range();
                if range.begin < range.end && code.contains(range.begin) {
                    ranges.push(unit_range(range.begin..range.end, unit));
                }
            }
        }
        ranges
    }

    /// Ranges by the roots of units, and the units whose roots have none.
    pub(crate) fn ranges_of_roots(
        &self,
        units: &[UnitAt],
        code: &Code,
    ) -> (Vec<UnitRange>, Vec<UnitAt>) {
        let parts = units.par_chunks(ROOTS_AT_A_TIME).map(|units| {
            let budget = self.scan_budget();
            let mut found = (Vec::new(), Vec::new());
            for &unit in units {
                self.ranges_of_root(unit, code, &budget, &mut found);
            }
            found
        });
        joined(parts.collect())
    }

    fn ranges_of_root(
        &self,
        at: UnitAt,
        code: &Code,
        budget: &Budget,
        (ranges, without): &mut (Vec<UnitRange>, Vec<UnitAt>),
    ) {
        let Ok(header) = self.header(at) else { return };
        // Type units and the parts that several units share have no code of their own.
        let has_code = !matches!(
            header.type_(),
            UnitType::Type { .. } | UnitType::SplitType { .. } | UnitType::Partial
        );
        let Some(root) = has_code
            .then(|| Root::read(&self.dwarf, header, budget).ok())
            .flatten()
        else {
            return;
        };
        if root.ranges.is_empty() {
            if root.lines.is_some() {
                without.push(at);
            }
            return;
        }
        let add = |range: Range<u64>| ranges.push(unit_range(range, at));
        // A damaged list has the ranges before the damage.
        let _ = root
            .ranges
            .for_each(&self.dwarf, &root.unit, code, budget, add);
    }

    /// Ranges by the line programs of units, for units that state none.
    pub(crate) fn ranges_of_lines(&self, units: &[UnitAt], code: &Code) -> Vec<UnitRange> {
        let parts = units.par_iter().map(|&at| {
            let mut ranges = Vec::new();
            if let Ok(unit) = self.unit(at)
                && let Ok(Some(program)) = unit.line_program(&self.dwarf)
            {
                let add = |range| ranges.push(unit_range(range, at));
                lines::for_each_sequence(program, code, add);
            }
            ranges
        });
        parts.collect::<Vec<_>>().concat()
    }
}

fn start(header: &UnitHeader<Slice<'_>>) -> usize {
    // Headers come from `.debug_info` alone.
    header.debug_info_offset().unwrap_or(DebugInfoOffset(0)).0
}

fn unit_range(range: Range<u64>, unit: UnitAt) -> UnitRange {
    UnitRange {
        begin: range.start,
        end: range.end,
        unit,
    }
}

fn joined(parts: Vec<(Vec<UnitRange>, Vec<UnitAt>)>) -> (Vec<UnitRange>, Vec<UnitAt>) {
    let mut all = (Vec::new(), Vec::new());
    for (mut ranges, mut units) in parts {
        all.0.append(&mut ranges);
        all.1.append(&mut units);
    }
    all
}
