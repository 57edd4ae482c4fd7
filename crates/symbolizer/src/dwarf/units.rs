//! The units of one file with debug information, read when they are needed.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gimli::{
    DebugInfoOffset, Dwarf, Encoding, IncompleteLineProgram, LineProgramHeader, Reader, Section,
    UnitHeader, UnitType,
};
use hotproof_image::ImageFile;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::abbreviations::Abbreviations;
use super::budget::Budget;
use super::lines;
use super::plan::PlanStore;
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
    pub(crate) abbreviations: Arc<Abbreviations<'a>>,
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
enum Seen<'a> {
    /// It is kept when a second unit comes: most tables belong to one unit alone.
    Once,
    Shared(Result<Arc<Abbreviations<'a>>, gimli::Error>),
}

/// The units of one file.
pub(crate) struct Units<'a> {
    pub(crate) dwarf: Arc<Dwarf<Slice<'a>>>,
    /// The file whose mapping holds the sections.
    file: Option<&'a ImageFile>,
    /// In the order of the section, and the damage that ended them. It takes a look at each unit,
    /// so it is left until a unit has to be found by an offset within it.
    extents: OnceLock<Extents>,
    /// Tables of abbreviations, by their offset.
    abbreviations: Mutex<FxHashMap<usize, Seen<'a>>>,
    /// Plans that no walk uses at the moment.
    plans: Mutex<Vec<PlanStore<'a>>>,
    /// Units that entries of others refer to.
    referred: Mutex<FxHashMap<UnitAt, Arc<Unit<'a>>>>,
}

/// Where units lie in the section, and what ended them.
type Extents = (Vec<Range<usize>>, Option<gimli::Error>);

/// The bytes at the beginning of a unit in which its length, format and version are.
const HEAD_BYTES: usize = 14;

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
    /// Units of sections, most of which may lie in the mapping of a file.
    pub(crate) fn new(dwarf: Arc<Dwarf<Slice<'a>>>, file: Option<&'a ImageFile>) -> Units<'a> {
        Units {
            dwarf,
            file,
            extents: OnceLock::new(),
            abbreviations: Mutex::default(),
            plans: Mutex::default(),
            referred: Mutex::default(),
        }
    }

    /// Where all units lie. Damage ends them: what was read before it is whole.
    fn extents(&self) -> &[Range<usize>] {
        let read = || match self.peeked_extents() {
            Some(extents) => (extents, None),
            None => self.read_extents(),
        };
        &self.extents.get_or_init(read).0
    }

    fn read_extents(&self) -> Extents {
        let mut extents = Vec::new();
        let mut found = self.dwarf.units();
        loop {
            match found.next() {
                Ok(Some(header)) => {
                    let start = start(&header);
                    extents.push(start..start + header.length_including_self());
                }
                Ok(None) => return (extents, None),
                Err(error) => return (extents, Some(error)),
            }
        }
    }

    /// Where units lie by their lengths, read from the file: each would be the first touch of a
    /// page in the mapping. `None` when the section lies in no file, or when anything is unusual.
    fn peeked_extents(&self) -> Option<Vec<Range<usize>>> {
        let (file, section) = (self.file?, self.dwarf.debug_info.reader().slice());
        let whole = file.data().as_ptr_range();
        let bounds = section.as_ptr_range();
        if bounds.start < whole.start || bounds.end > whole.end {
            return None;
        }
        let first = bounds.start as usize - whole.start as usize;
        let mut extents = Vec::new();
        let mut start = 0usize;
        while start < section.len() {
            let mut head = [0; HEAD_BYTES];
            let known = HEAD_BYTES.min(section.len() - start);
            if !file.peek(first + start, &mut head[..known]) {
                return None;
            }
            let length = unit_length(&head)?;
            let end = start
                .checked_add(length)
                .filter(|&end| end <= section.len())?;
            extents.push(start..end);
            start = end;
        }
        Some(extents)
    }

    /// What ended the units, if all had to be looked at.
    pub(crate) fn damage(&self) -> Option<gimli::Error> {
        self.extents.get()?.1
    }

    /// All units.
    pub(crate) fn all(&self) -> impl Iterator<Item = UnitAt> {
        self.extents().iter().map(|extent| UnitAt(extent.start))
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
        let extents = self.extents();
        let after = extents.partition_point(|extent| extent.start <= offset);
        let extent = &extents[after.checked_sub(1)?];
        extent.contains(&offset).then_some(UnitAt(extent.start))
    }

    /// Reads a unit with its abbreviations.
    pub(crate) fn unit(&self, at: UnitAt) -> Result<Unit<'a>, DwarfError> {
        let header = self.header(at)?;
        let abbreviations = self.abbreviations(&header)?;
        let find = |code| {
            let found = abbreviations.get(code);
            found.ok_or_else(|| gimli::Error::InvalidAbbreviationCode(code).into())
        };
        Ok(Unit {
            root: Root::read(&self.dwarf, header, find)?,
            abbreviations,
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

    /// Plans for a walk over a unit of an encoding, with those that earlier walks made.
    pub(crate) fn take_plans(&self, encoding: Encoding) -> PlanStore<'a> {
        let mut kept = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.iter().position(|store| store.is_of(encoding)) {
            Some(at) => kept.swap_remove(at),
            None => PlanStore::new(encoding),
        }
    }

    /// Keeps plans for the next walk. There are as many as walks at one time.
    pub(crate) fn keep_plans(&self, store: PlanStore<'a>) {
        let mut kept = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(store);
    }

    fn abbreviations(
        &self,
        header: &UnitHeader<Slice<'a>>,
    ) -> Result<Arc<Abbreviations<'a>>, gimli::Error> {
        let read = || {
            let mut table = *self.dwarf.debug_abbrev.reader();
            table.skip(header.debug_abbrev_offset().0)?;
            Abbreviations::read(table).map(Arc::new)
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
            .then(|| Root::scan(&self.dwarf, header, budget).ok())
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

/// The bytes of a unit with this head, all of it included; `None` when it is of no known version.
fn unit_length(head: &[u8; HEAD_BYTES]) -> Option<usize> {
    let word: [u8; 4] = head[..4].try_into().ok()?;
    let (field, length, version) = match u32::from_le_bytes(word) {
        // The escape to 64 bits; those before it are reserved. See DWARF 5, section 7.4.
        u32::MAX => {
            let length = head[4..12].try_into().ok()?;
            (12, u64::from_le_bytes(length), [head[12], head[13]])
        }
        0xffff_fff0.. => return None,
        length => (4, u64::from(length), [head[4], head[5]]),
    };
    let is_known = (2..=5).contains(&u16::from_le_bytes(version));
    usize::try_from(length)
        .ok()?
        .checked_add(field)
        .filter(|_| is_known)
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

#[cfg(test)]
mod tests {
    use super::{HEAD_BYTES, unit_length};

    #[test]
    fn lengths_are_those_of_units_of_known_versions() {
        let head = |bytes: &[u8]| {
            let mut head = [0; HEAD_BYTES];
            head[..bytes.len()].copy_from_slice(bytes);
            unit_length(&head)
        };
        assert_eq!(head(&[0x20, 1, 0, 0, 5, 0]), Some(0x124));
        assert_eq!(head(&[0x20, 1, 0, 0, 6, 0]), None, "a version to come");
        assert_eq!(head(&[0xf0, 0xff, 0xff, 0xff, 5, 0]), None, "reserved");
        let wide = [0xff, 0xff, 0xff, 0xff, 0x20, 0, 0, 0, 1, 0, 0, 0, 4, 0];
        assert_eq!(head(&wide), Some(0x1_0000_002c));
        let endless = [0xff; HEAD_BYTES];
        assert_eq!(head(&endless), None);
    }
}
