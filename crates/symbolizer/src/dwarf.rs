//! DWARF of one image: the inlined chains of many addresses at once.
//!
//! Addresses come sorted. Units are found by `.debug_aranges` or by their roots; each unit that is
//! hit is walked once, in parallel with the others, and each function of it takes the addresses
//! that lie in its ranges. The line program of a unit is run once, and what no address asks for is
//! not kept: no table of functions, no table of lines, no path of a file that is not hit.

mod budget;
mod declaration;
mod files;
mod hits;
mod lines;
mod ranges;
mod root;
mod scope;
mod unit_answers;
mod units;
mod walk;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use gimli::{DwarfSections, EndianSlice, LittleEndian, SectionId};
use hotproof_image::{ImageError, ImageFile};
use rayon::prelude::*;

use self::hits::Hit;
pub(crate) use self::ranges::Code;
use self::unit_answers::Question;
pub(crate) use self::unit_answers::{NONE, UnitAnswers, UnitFunction};
use self::units::{UnitRange, Units};

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
    main: DwarfSections<Cow<'a, [u8]>>,
    shared: Option<DwarfSections<Cow<'a, [u8]>>>,
}

/// Answers from DWARF.
pub(crate) struct DwarfNames<'a> {
    main: Units<'a>,
    shared: Option<Units<'a>>,
    code: Code,
    /// Ranges by `.debug_aranges`, and the units that are not in it.
    listed: OnceLock<(Vec<UnitRange>, Vec<u32>)>,
    /// Ranges of units that are not listed, by their roots, and the units without any.
    rooted: OnceLock<(Vec<UnitRange>, Vec<u32>)>,
    /// Ranges by line programs, of units that state none.
    lined: OnceLock<Vec<UnitRange>>,
    damage: Option<gimli::Error>,
}

/// What a batch of addresses got.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    /// Units that were hit, in the order of the file.
    pub(crate) units: Vec<UnitAnswers<'a>>,
    /// For each address a row of `units` and a frame of that unit; [`NONE`] twice when DWARF does
    /// not cover it.
    pub(crate) frames: Vec<(u32, u32)>,
}

impl<'a> DwarfBytes<'a> {
    /// Reads the sections; `None` when the file has no debug information.
    pub(crate) fn load(
        file: &'a ImageFile,
        shared: Option<&'a ImageFile>,
    ) -> Result<Option<DwarfBytes<'a>>, ImageError> {
        if !has_debug_information(file) {
            return Ok(None);
        }
        let main = load_sections(file)?;
        let shared = shared.map(load_sections).transpose()?;
        Ok(Some(DwarfBytes { main, shared }))
    }
}

/// Whether a file holds DWARF.
pub(crate) fn has_debug_information(file: &ImageFile) -> bool {
    file.has_section(".debug_info") || file.has_section(".zdebug_info")
}

fn load_sections(file: &ImageFile) -> Result<DwarfSections<Cow<'_, [u8]>>, ImageError> {
    DwarfSections::load(|id: SectionId| {
        let section = file.section(id.name())?;
        Ok(section.map_or(Cow::Borrowed(&[][..]), |section| section.data))
    })
}

impl<'a> DwarfNames<'a> {
    /// Reads the headers of the units; the rest is read when an address needs it.
    pub(crate) fn new(bytes: &'a DwarfBytes<'_>, code: Code) -> DwarfNames<'a> {
        let dwarf = bytes
            .main
            .borrow_with_sup(bytes.shared.as_ref(), |data| Slice::new(data, LittleEndian));
        let shared = dwarf.sup.clone();
        let (main, damage) = Units::read(Arc::new(dwarf));
        DwarfNames {
            main,
            shared: shared.map(|dwarf| Units::read(dwarf).0),
            code,
            listed: OnceLock::new(),
            rooted: OnceLock::new(),
            lined: OnceLock::new(),
            damage,
        }
    }

    /// What was found damaged on opening.
    pub(crate) fn damage(&self) -> Option<String> {
        self.damage.map(|error| self.main.dwarf.format_error(error))
    }

    /// An error in words that name the section.
    pub(crate) fn describe(&self, error: DwarfError) -> String {
        match error {
            DwarfError::Read(error) => self.main.dwarf.format_error(error),
            error => error.to_string(),
        }
    }

    /// The chains of linked addresses, which are sorted and distinct.
    pub(crate) fn answer(&self, svmas: &[u64]) -> Batch<'a> {
        let mut batch = Batch {
            units: Vec::new(),
            frames: vec![(NONE, NONE); svmas.len()],
        };
        // The lists of ranges from the cheapest on; the dearer ones are read for addresses that
        // the cheaper ones do not know.
        let stages = [Self::listed_ranges, Self::rooted_ranges, Self::lined_ranges];
        for ranges in stages {
            let open = batch
                .frames
                .iter()
                .enumerate()
                .filter(|(_, frame)| frame.0 == NONE);
            let open: Vec<u32> = open.map(|(row, _)| row as u32).collect();
            if open.is_empty() {
                break;
            }
            self.answer_by(ranges(self), svmas, &open, &mut batch);
        }
        batch
    }

    fn listed_ranges(&self) -> &[UnitRange] {
        &self.listed().0
    }

    fn listed(&self) -> &(Vec<UnitRange>, Vec<u32>) {
        self.listed.get_or_init(|| {
            let (ranges, listed) = self.main.ranges_of_index(&self.code);
            let others = (0..self.main.len() as u32).filter(|&unit| !listed[unit as usize]);
            (ranges, others.collect())
        })
    }

    fn rooted(&self) -> &(Vec<UnitRange>, Vec<u32>) {
        self.rooted
            .get_or_init(|| self.main.ranges_of_roots(&self.listed().1, &self.code))
    }

    fn rooted_ranges(&self) -> &[UnitRange] {
        &self.rooted().0
    }

    fn lined_ranges(&self) -> &[UnitRange] {
        self.lined
            .get_or_init(|| self.main.ranges_of_lines(&self.rooted().1, &self.code))
    }

    /// Asks the units whose ranges hold addresses that have no answer yet.
    fn answer_by(&self, ranges: &[UnitRange], svmas: &[u64], open: &[u32], batch: &mut Batch<'a>) {
        let (mut hits, rivals) = hits::find(ranges, svmas, open);
        // The largest first, so that no thread is left with it at the end.
        hits.sort_by_key(|hit| (std::cmp::Reverse(self.main.weight(hit.unit)), hit.unit));
        let ask = |hit: &Hit| self.ask(hit, svmas);
        let mut answers: Vec<(Hit, UnitAnswers<'a>)> = match hits.len() {
            0 | 1 => hits
                .into_iter()
                .map(|hit| (ask(&hit), hit))
                .map(swap)
                .collect(),
            _ => hits
                .into_iter()
                .par_bridge()
                .map(|hit| (ask(&hit), hit))
                .map(swap)
                .collect(),
        };
        answers.sort_unstable_by_key(|(hit, _)| hit.unit);
        let first = batch.units.len() as u32;
        let answers_of = |at: u32| &answers[at as usize];
        for (at, (hit, answers)) in answers.iter().enumerate() {
            for (&row, &frame) in hit.rows.iter().zip(&answers.answers) {
                let known = &mut batch.frames[row as usize];
                let is_better = known.0 == NONE
                    || rivals.prefers(row, hit.unit, answers_of(known.0 - first).0.unit);
                if frame != NONE && is_better {
                    *known = (first + at as u32, frame);
                }
            }
        }
        batch
            .units
            .extend(answers.into_iter().map(|(_, mut answers)| {
                answers.answers = Vec::new();
                answers
            }));
    }

    fn ask(&self, hit: &Hit, svmas: &[u64]) -> UnitAnswers<'a> {
        let addresses: Vec<u64> = hit.rows.iter().map(|&row| svmas[row as usize]).collect();
        match self.main.unit(hit.unit) {
            Ok(unit) => Question {
                main: &self.main,
                shared: self.shared.as_ref(),
                unit: &unit,
                number: hit.unit,
                code: &self.code,
                addresses: &addresses,
            }
            .answer(),
            Err(error) => UnitAnswers {
                answers: vec![NONE; addresses.len()],
                error: Some(error),
                ..UnitAnswers::default()
            },
        }
    }
}

fn swap<A, B>((a, b): (A, B)) -> (B, A) {
    (b, a)
}
