//! DWARF of one image: the inlined chains of many addresses at once.
//!
//! Addresses come sorted. Units are found by `.debug_aranges` or by their roots; each unit that is
//! hit is walked once, in parallel with the others, and each function of it takes the addresses
//! that lie in its ranges. The line program of a unit is run once, and what no address asks for is
//! not kept: no table of functions, no table of lines, no path of a file that is not hit.

mod abbreviations;
mod budget;
mod declaration;
mod files;
mod hits;
mod line_machine;
mod lines;
mod plan;
mod ranges;
mod root;
mod scope;
mod split;
mod text;
mod unit_answers;
mod units;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use gimli::{DwarfPackage, DwarfSections, DwoId, EndianSlice, LittleEndian, SectionId};
use hotproof_image::{ImageError, ImageFile};
use rustc_hash::FxHashSet;

use crate::cache::{SectionBytes, SectionStore};

pub(crate) use self::files::{PathPlace, SourcePath};
use self::hits::Hit;
pub(crate) use self::ranges::Code;
pub(crate) use self::split::{LoadError, SplitPlaces};
use self::split::{PackageBytes, SplitFile};
use self::unit_answers::{Lines, MissingEntries, Question};
pub(crate) use self::unit_answers::{NONE, UnitAnswers, UnitFunction};
use self::units::{Unit, UnitAt, UnitRange, Units};

/// Units with fewer bytes of entries than this in all are read by the thread that asks: others
/// would take longer to wake up.
const ALONE_BYTES: usize = 256 << 10;
/// When more answers wait, whoever has another one waits until they are taken.
const MOST_WAITING_UNITS: usize = 16;

/// The reader of all sections: bytes of mapped files.
pub(crate) type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Why debug information could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DwarfError {
    /// The reader's own words.
    #[error(transparent)]
    Read(#[from] gimli::Error),
    /// It refers to itself beyond all measure.
    #[error("its entries refer to the same data more often than any compiler writes")]
    Exhausted,
}

/// Section contents, decompressed where they have to be.
pub(crate) struct DwarfBytes<'a> {
    main: DwarfSections<SectionBytes<'a>>,
    shared: Option<DwarfSections<SectionBytes<'a>>>,
    package: Option<PackageBytes<'a>>,
    /// The file of the main sections.
    file: &'a ImageFile,
}

/// Answers from DWARF.
pub(crate) struct DwarfNames<'a> {
    main: Units<'a>,
    shared: Option<Units<'a>>,
    /// The package of split entries.
    package: Option<DwarfPackage<Slice<'a>>>,
    places: SplitPlaces,
    code: Code,
    /// Ranges by `.debug_aranges`.
    listed: OnceLock<Vec<UnitRange>>,
    /// Ranges of units that are not listed, by their roots, and the units without any.
    rooted: OnceLock<(Vec<UnitRange>, Vec<UnitAt>)>,
    /// Ranges by line programs, of units that state none.
    lined: OnceLock<Vec<UnitRange>>,
}

/// The caller's numbers for the frames of one unit.
pub(crate) enum FrameRows {
    /// They follow each other, from this one on.
    From(u32),
    /// One for each.
    Each(Vec<u32>),
}

impl FrameRows {
    fn of(&self, frame: u32) -> u32 {
        match self {
            FrameRows::From(first) => first + frame,
            FrameRows::Each(rows) => rows[frame as usize],
        }
    }
}

/// Takes what a unit knows, one unit after the other, always in the same order.
pub(crate) type Take<'t, 'a> = dyn FnMut(UnitAnswers<'a>) -> FrameRows + Send + 't;
/// The same, for the addresses of a hit.
type Accept<'t, 'a> = dyn FnMut(&Hit, UnitAnswers<'a>) + Send + 't;

impl<'a> DwarfBytes<'a> {
    /// Reads the sections, those that are compressed from the store if they are there; `None` when
    /// the file has no debug information.
    pub(crate) fn load(
        file: &'a ImageFile,
        shared: Option<&'a ImageFile>,
        package: Option<&'a ImageFile>,
        store: &mut SectionStore,
    ) -> Result<Option<DwarfBytes<'a>>, LoadError> {
        if !has_debug_information(file) {
            return Ok(None);
        }
        let main = load_sections(file, store)?;
        let shared = shared.map(|file| load_sections(file, store));
        let shared = shared.transpose()?;
        let package = package.map(split::load_package).transpose()?;
        Ok(Some(DwarfBytes {
            main,
            shared,
            package,
            file,
        }))
    }
}

/// Whether a file holds DWARF.
pub(crate) fn has_debug_information(file: &ImageFile) -> bool {
    file.has_section(".debug_info") || file.has_section(".zdebug_info")
}

fn load_sections<'a>(
    file: &'a ImageFile,
    store: &mut SectionStore,
) -> Result<DwarfSections<SectionBytes<'a>>, ImageError> {
    DwarfSections::load(|id: SectionId| {
        // Where variables lie, and what macros stood for, is no part of a name: in a compressed file
        // of the C library it is a sixth of all that would have to be inflated.
        if let SectionId::DebugLoc
        | SectionId::DebugLocLists
        | SectionId::DebugMacinfo
        | SectionId::DebugMacro = id
        {
            return Ok(SectionBytes::default());
        }
        store.load(file, id.name())
    })
}

impl<'a> DwarfNames<'a> {
    /// Nothing is read yet: it is when an address needs it.
    pub(crate) fn new(
        bytes: &'a DwarfBytes<'_>,
        code: Code,
        places: SplitPlaces,
    ) -> Result<DwarfNames<'a>, gimli::Error> {
        let dwarf = bytes
            .main
            .borrow_with_sup(bytes.shared.as_ref(), |data| slice(data));
        let package = bytes.package.as_ref().map(split::read_package);
        let shared = dwarf.sup.clone();
        Ok(DwarfNames {
            main: Units::new(Arc::new(dwarf), Some(bytes.file)),
            shared: shared.map(|dwarf| Units::new(dwarf, None)),
            package: package.transpose()?,
            places,
            code,
            listed: OnceLock::new(),
            rooted: OnceLock::new(),
            lined: OnceLock::new(),
        })
    }

    /// What was found damaged in the list of units, so far as it was read.
    pub(crate) fn damage(&self) -> Option<String> {
        let error = self.main.damage()?;
        Some(self.main.dwarf.format_error(error))
    }

    /// An error in words that name the section.
    pub(crate) fn describe(&self, error: DwarfError) -> String {
        match error {
            DwarfError::Read(error) => self.main.dwarf.format_error(error),
            error => error.to_string(),
        }
    }

    /// The chains of linked addresses, which are sorted and distinct: for each the number that
    /// `take` gave its innermost frame, [`NONE`] when DWARF does not cover it.
    pub(crate) fn answer(&self, svmas: &[u64], take: &mut Take<'_, 'a>) -> Vec<u32> {
        let mut known = vec![NONE; svmas.len()];
        // The lists of ranges from the cheapest on; the dearer ones are read for addresses that
        // the cheaper ones do not know.
        let stages = [Self::listed_ranges, Self::rooted_ranges, Self::lined_ranges];
        for ranges in stages {
            let rows = (0..).zip(&known).filter(|(_, known)| **known == NONE);
            let open: Vec<u32> = rows.map(|(row, _)| row).collect();
            if open.is_empty() {
                break;
            }
            self.answer_by(ranges(self), svmas, open, &mut known, take);
        }
        known
    }

    fn listed_ranges(&self) -> &[UnitRange] {
        let read = || self.main.ranges_of_index(&self.code);
        self.listed.get_or_init(read)
    }

    fn rooted(&self) -> &(Vec<UnitRange>, Vec<UnitAt>) {
        self.rooted.get_or_init(|| {
            let listed = self.listed_ranges().iter().map(|range| range.unit);
            let listed: FxHashSet<UnitAt> = listed.collect();
            let others = self.main.all().filter(|unit| !listed.contains(unit));
            let others: Vec<UnitAt> = others.collect();
            self.main.ranges_of_roots(&others, &self.code)
        })
    }

    fn rooted_ranges(&self) -> &[UnitRange] {
        &self.rooted().0
    }

    fn lined_ranges(&self) -> &[UnitRange] {
        self.lined
            .get_or_init(|| self.main.ranges_of_lines(&self.rooted().1, &self.code))
    }

    /// Asks the units whose ranges hold addresses that have no answer yet.
    fn answer_by(
        &self,
        ranges: &[UnitRange],
        svmas: &[u64],
        open: Vec<u32>,
        known: &mut [u32],
        take: &mut Take<'_, 'a>,
    ) {
        let (hits, mut rivals) = hits::find(ranges, svmas, &open);
        drop(open);
        let weighed = hits
            .into_iter()
            .map(|hit| (self.main.weight(hit.unit), hit));
        let mut weighed: Vec<(usize, Hit)> = weighed.collect();
        // The largest first, so that no thread is left with it at the end.
        weighed.sort_unstable_by_key(|(weight, hit)| (std::cmp::Reverse(*weight), hit.unit));
        let weight: usize = weighed.iter().map(|(weight, _)| weight).sum();
        let hits: Vec<Hit> = weighed.into_iter().map(|(_, hit)| hit).collect();
        let is_alone = hits.len() < 2 || weight < ALONE_BYTES || rayon::current_num_threads() < 2;
        let mut accept = |hit: &Hit, mut answers: UnitAnswers<'a>| {
            let frames = std::mem::take(&mut answers.answers);
            let numbers = take(answers);
            for (row, frame) in hit.rows().zip(frames) {
                if frame != NONE && rivals.accept(row, hit.unit) {
                    known[row as usize] = numbers.of(frame);
                }
            }
        };
        if is_alone {
            for hit in &hits {
                accept(hit, self.ask(hit, svmas));
            }
        } else {
            self.ask_all(&hits, svmas, &mut accept);
        }
    }

    /// Asks units on all threads, and hands their answers on in the order of the units. Whichever
    /// thread finds nobody doing so takes the answers whose turn has come: a thread of its own for
    /// that would share the CPUs with those that read.
    fn ask_all(&self, hits: &[Hit], svmas: &[u64], accept: &mut Accept<'_, 'a>) {
        let next = AtomicUsize::new(0);
        let early = Mutex::new(BTreeMap::new());
        let taker = Mutex::new((0, accept));
        // A thread that panicked with a lock ends the scope, and so the others.
        let come = |turn: usize| early.lock().ok()?.remove(&turn);
        let read = || -> Option<()> {
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                let found = self.ask(hits.get(turn)?, svmas);
                let waiting = {
                    let mut early = early.lock().ok()?;
                    early.insert(turn, found);
                    early.len()
                };
                let mut taking = match waiting > MOST_WAITING_UNITS {
                    true => Some(taker.lock().ok()?),
                    false => taker.try_lock().ok(),
                };
                while let Some(mut held) = taking.take() {
                    let (turn, accept) = &mut *held;
                    while let Some(found) = come(*turn) {
                        accept(&hits[*turn], found);
                        *turn += 1;
                    }
                    let turn = *turn;
                    drop(held);
                    // An answer may have come since its turn was looked for, whose thread found
                    // this one at work.
                    if early.lock().ok()?.contains_key(&turn) {
                        taking = taker.try_lock().ok();
                    }
                }
            }
        };
        rayon::in_place_scope(|scope| {
            for _ in 0..rayon::current_num_threads().min(hits.len()) {
                scope.spawn(|_| {
                    read();
                });
            }
        });
    }

    fn ask(&self, hit: &Hit, svmas: &[u64]) -> UnitAnswers<'a> {
        let addresses: Vec<u64> = hit.rows().map(|row| svmas[row as usize]).collect();
        let unit = match self.main.unit(hit.unit) {
            Ok(unit) => unit,
            Err(error) => {
                return UnitAnswers {
                    answers: vec![NONE; addresses.len()],
                    error: Some(error),
                    ..UnitAnswers::default()
                };
            }
        };
        let lines = Lines::read(&self.main.dwarf, &unit, &self.code, &addresses);
        let skeleton = Skeleton {
            unit: &unit,
            addresses: &addresses,
            lines: &lines,
        };
        if let Some(id) = unit.root.split_id() {
            return self.ask_split(&skeleton, id, hit.unit);
        }
        self.ask_entries(
            &self.main,
            self.shared.as_ref(),
            &skeleton,
            (hit.unit, &unit),
        )
    }

    /// Walks the entries that belong to a unit's lines.
    fn ask_entries<'s>(
        &self,
        main: &Units<'s>,
        shared: Option<&Units<'s>>,
        skeleton: &Skeleton<'_, 'a>,
        (at, unit): (UnitAt, &Unit<'s>),
    ) -> UnitAnswers<'s>
    where
        'a: 's,
    {
        let question = Question {
            main,
            shared,
            unit,
            at,
            code: &self.code,
            addresses: skeleton.addresses,
        };
        let table = skeleton
            .lines
            .table(&self.main.dwarf, &skeleton.unit.root.unit);
        question.answer(skeleton.lines, table)
    }

    /// The first file of split entries that is at none of its places, as the program names it.
    pub(crate) fn missing_split(&self) -> Option<PathBuf> {
        self.main.all().find_map(|at| {
            let root = self.main.unit(at).ok()?.root;
            let id = root.split_id()?;
            let package = self.package.as_ref();
            let is_packed = package.is_some_and(|package| {
                let found = package.find_cu(id, &self.main.dwarf);
                found.is_ok_and(|found| found.is_some())
            });
            let name = root.split_name?.to_string_lossy();
            let candidates = self.places.candidates(&root.unit, &name);
            let is_there = is_packed || candidates.iter().any(|path| path.is_file());
            (!is_there).then(|| PathBuf::from(&*name))
        })
    }

    /// Finds the entries of a skeleton, in the package or in a file of their own.
    fn ask_split(&self, skeleton: &Skeleton<'_, 'a>, id: DwoId, at: UnitAt) -> UnitAnswers<'a> {
        match self.ask_package(skeleton, id) {
            Ok(Some(answers)) => return answers,
            Ok(None) => {}
            Err(error) => return self.without_entries(skeleton, at, None, Some(error)),
        }
        let root = &skeleton.unit.root;
        let name = root
            .split_name
            .map(|name| name.to_string_lossy())
            .unwrap_or_default();
        let candidates = self.places.candidates(&root.unit, &name);
        let (path, file) = SplitPlaces::open(&candidates);
        let outcome = match &file {
            SplitFile::Found(file) => self.ask_file(file, skeleton, id),
            SplitFile::Missing => Err(None),
            SplitFile::Refused { reason } => Err(Some(reason.clone())),
        };
        let mut answers = outcome.unwrap_or_else(|reason| {
            let path = path.unwrap_or(Path::new(&*name)).to_owned();
            let missing = MissingEntries { path, reason };
            self.without_entries(skeleton, at, Some(missing), None)
        });
        answers.looked_at = candidates;
        answers
    }

    /// What the lines alone say.
    fn without_entries(
        &self,
        skeleton: &Skeleton<'_, 'a>,
        at: UnitAt,
        missing: Option<MissingEntries>,
        error: Option<DwarfError>,
    ) -> UnitAnswers<'a> {
        let mut answers = self.ask_entries(&self.main, None, skeleton, (at, skeleton.unit));
        answers.missing = missing;
        answers.error = error.or(answers.error);
        answers
    }

    fn ask_package(
        &self,
        skeleton: &Skeleton<'_, 'a>,
        id: DwoId,
    ) -> Result<Option<UnitAnswers<'a>>, DwarfError> {
        let Some(package) = &self.package else {
            return Ok(None);
        };
        let Some(dwarf) = package.find_cu(id, &self.main.dwarf)? else {
            return Ok(None);
        };
        let units = split::units(dwarf);
        let unit = split::find_unit(&units, &skeleton.unit.root.unit, id)?;
        Ok(unit.map(|(at, unit)| self.ask_entries(&units, None, skeleton, (at, &unit))))
    }

    /// Asks a `.dwo` file; the error says why it is not used.
    fn ask_file(
        &self,
        file: &ImageFile,
        skeleton: &Skeleton<'_, 'a>,
        id: DwoId,
    ) -> Result<UnitAnswers<'a>, Option<String>> {
        let sections = split::load_split(file).map_err(|error| Some(error.to_string()))?;
        let units = split::units(split::split_dwarf(&sections, &self.main.dwarf));
        let found = split::find_unit(&units, &skeleton.unit.root.unit, id);
        let found = found.map_err(|error| match error {
            DwarfError::Read(error) => Some(units.dwarf.format_error(error)),
            error => Some(error.to_string()),
        })?;
        let Some((at, unit)) = found else {
            return Err(Some(format!(
                "it holds no unit {:016x}, expected the one that the program names",
                id.0
            )));
        };
        let answers = self.ask_entries(&units, None, skeleton, (at, &unit));
        Ok(answers.into_owned())
    }
}

/// A unit of the program and its lines, whose entries may lie elsewhere.
struct Skeleton<'u, 'a> {
    unit: &'u Unit<'a>,
    addresses: &'u [u64],
    lines: &'u Lines<'a>,
}

fn slice(data: &[u8]) -> Slice<'_> {
    Slice::new(data, LittleEndian)
}
