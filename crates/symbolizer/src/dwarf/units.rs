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

/// A range of addresses and the unit that claims it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnitRange {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) unit: u32,
}

/// The units of one file.
pub(crate) struct Units<'a> {
    pub(crate) dwarf: Arc<Dwarf<Slice<'a>>>,
    /// In the order of the section.
    headers: Vec<UnitHeader<Slice<'a>>>,
    /// Tables that several units share, by their offset.
    shared_abbreviations: FxHashMap<usize, OnceLock<Result<Arc<Abbreviations>, gimli::Error>>>,
    /// Units that entries of others refer to.
    referred: Mutex<FxHashMap<u32, Arc<Unit<'a>>>>,
}

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
    /// Reads the headers. Damage ends them: what was read before it is whole.
    pub(crate) fn read(dwarf: Arc<Dwarf<Slice<'a>>>) -> (Units<'a>, Option<gimli::Error>) {
        let mut headers = Vec::new();
        let mut found = dwarf.units();
        let damage = loop {
            match found.next() {
                Ok(Some(header)) => headers.push(header),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        let mut offsets: Vec<usize> = headers.iter().map(|h| h.debug_abbrev_offset().0).collect();
        offsets.sort_unstable();
        let repeated = offsets.windows(2).filter(|pair| pair[0] == pair[1]);
        let shared_abbreviations = repeated.map(|pair| (pair[0], OnceLock::new())).collect();
        let units = Units {
            dwarf,
            headers,
            shared_abbreviations,
            referred: Mutex::default(),
        };
        (units, damage)
    }

    pub(crate) fn len(&self) -> usize {
        self.headers.len()
    }

    /// How many bytes of entries a unit has.
    pub(crate) fn weight(&self, unit: u32) -> usize {
        self.headers[unit as usize].length_including_self()
    }

    /// The unit whose entries hold an offset of the section.
    pub(crate) fn number_of(&self, offset: usize) -> Option<u32> {
        let after = self
            .headers
            .partition_point(|header| start(header) <= offset);
        let number = after.checked_sub(1)?;
        let header = &self.headers[number];
        let within = offset - start(header) < header.length_including_self();
        within.then_some(number as u32)
    }

    fn number_at(&self, start_offset: usize) -> Option<u32> {
        let number = self.headers.binary_search_by_key(&start_offset, start);
        Some(number.ok()? as u32)
    }

    /// Reads a unit with its abbreviations.
    pub(crate) fn unit(&self, number: u32) -> Result<Unit<'a>, DwarfError> {
        let header = self.headers[number as usize];
        let mut root = Root::read(&self.dwarf, header, &self.scan_budget())?;
        root.unit.abbreviations = self.abbreviations(&header)?;
        Ok(Unit {
            root,
            line_header: OnceLock::new(),
        })
    }

    /// A unit that an entry of another one refers to; read once, while it is kept.
    pub(crate) fn referred_unit(&self, number: u32) -> Result<Arc<Unit<'a>>, DwarfError> {
        let kept = || self.referred.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unit) = kept().get(&number) {
            return Ok(unit.clone());
        }
        let unit = Arc::new(self.unit(number)?);
        let mut kept = kept();
        if kept.len() >= KEPT_UNITS {
            kept.clear();
        }
        kept.insert(number, unit.clone());
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
        match self
            .shared_abbreviations
            .get(&header.debug_abbrev_offset().0)
        {
            Some(shared) => shared.get_or_init(read).clone(),
            None => read(),
        }
    }

    fn scan_budget(&self) -> Budget {
        use gimli::Section;
        Budget::of((1 << 20) + self.dwarf.debug_abbrev.reader().len() as u64)
    }

    /// Ranges by `.debug_aranges`, and which units are listed there with code.
    pub(crate) fn ranges_of_index(&self, code: &Code) -> (Vec<UnitRange>, Vec<bool>) {
        let mut ranges = Vec::new();
        let mut listed = vec![false; self.len()];
        let mut sets = self.dwarf.debug_aranges.headers();
        // A damaged list is a list that misses units, whose roots are read instead.
        while let Ok(Some(set)) = sets.next() {
            let Some(unit) = self.number_at(set.debug_info_offset().0) else {
                continue;
            };
            let mut entries = set.entries();
            while let Some(entry) = entries.next().transpose() {
                let Ok(entry) = entry else { continue };
                let range = entry.range();
                if range.begin < range.end && code.contains(range.begin) {
                    listed[unit as usize] = true;
                    ranges.push(UnitRange {
                        begin: range.begin,
                        end: range.end,
                        unit,
                    });
                }
            }
        }
        (ranges, listed)
    }

    /// Ranges by the roots of units, and the units whose roots have none.
    pub(crate) fn ranges_of_roots(&self, units: &[u32], code: &Code) -> (Vec<UnitRange>, Vec<u32>) {
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
        number: u32,
        code: &Code,
        budget: &Budget,
        (ranges, without): &mut (Vec<UnitRange>, Vec<u32>),
    ) {
        let header = self.headers[number as usize];
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
                without.push(number);
            }
            return;
        }
        let add = |range: Range<u64>| ranges.push(unit_range(range, number));
        // A damaged list has the ranges before the damage.
        let _ = root
            .ranges
            .for_each(&self.dwarf, &root.unit, code, budget, add);
    }

    /// Ranges by the line programs of units, for units that state none.
    pub(crate) fn ranges_of_lines(&self, units: &[u32], code: &Code) -> Vec<UnitRange> {
        let parts = units.par_iter().map(|&number| {
            let mut ranges = Vec::new();
            if let Ok(unit) = self.unit(number)
                && let Ok(Some(program)) = unit.line_program(&self.dwarf)
            {
                let add = |range| ranges.push(unit_range(range, number));
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

fn unit_range(range: Range<u64>, unit: u32) -> UnitRange {
    UnitRange {
        begin: range.start,
        end: range.end,
        unit,
    }
}

fn joined(parts: Vec<(Vec<UnitRange>, Vec<u32>)>) -> (Vec<UnitRange>, Vec<u32>) {
    let mut all = (Vec::new(), Vec::new());
    for (mut ranges, mut units) in parts {
        all.0.append(&mut ranges);
        all.1.append(&mut units);
    }
    all
}
