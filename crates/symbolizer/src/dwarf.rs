//! DWARF of one image: the inlined chain of an address.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use addr2line::{Context, LookupContinuation, LookupResult};
use gimli::{DwarfSections, LittleEndian, SectionId};
use hotproof_image::{ImageError, ImageFile};

use crate::answer::Rows;
use crate::declaration::{Declaration, Declarations, EntryAt, Part, Slice};

/// Section contents, decompressed where they have to be.
pub(crate) struct DwarfBytes<'a> {
    main: DwarfSections<Cow<'a, [u8]>>,
    shared: Option<DwarfSections<Cow<'a, [u8]>>>,
}

/// One function of an inlined chain.
#[derive(Debug, Clone)]
pub(crate) struct ChainLink {
    /// `None` where there are lines without a function (assembler code).
    pub(crate) entry: Option<(EntryAt, Rc<Declaration>)>,
    /// Where the line lies, a row of files.
    pub(crate) file: Option<u32>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}

/// Answers from DWARF.
pub(crate) struct DwarfNames<'a> {
    context: Context<Slice<'a>>,
    declarations: Declarations<'a>,
    /// Whether an address was hit whose functions lie in another file.
    is_split: bool,
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
    /// Indexes the units; functions and lines of a unit are read when an address hits it.
    pub(crate) fn new(bytes: &'a DwarfBytes<'_>) -> Result<DwarfNames<'a>, gimli::Error> {
        let dwarf = bytes
            .main
            .borrow_with_sup(bytes.shared.as_ref(), |data| Slice::new(data, LittleEndian));
        let dwarf = Arc::new(dwarf);
        Ok(DwarfNames {
            context: Context::from_arc_dwarf(dwarf.clone())?,
            declarations: Declarations::new(dwarf)?,
            is_split: false,
        })
    }

    /// Whether functions were missing because they lie in `.dwo` files, which are not read.
    pub(crate) fn is_split(&self) -> bool {
        self.is_split
    }

    /// The chain at a linked address, innermost first; empty when DWARF does not cover it.
    pub(crate) fn chain(
        &mut self,
        svma: u64,
        rows: &mut Rows,
    ) -> Result<Vec<ChainLink>, gimli::Error> {
        let (unit, skipped) = without_loads(self.context.find_dwarf_and_unit(svma));
        self.is_split |= skipped;
        let unit_start = unit
            .and_then(|unit| unit.header.debug_info_offset())
            .map(|offset| offset.0);
        let mut frames = self.context.find_frames(svma).skip_all_loads()?;
        let mut chain = Vec::new();
        while let Some(frame) = frames.next()? {
            let entry = match (unit_start, frame.dw_die_offset) {
                (Some(start), Some(offset)) => {
                    let entry = EntryAt {
                        part: Part::Main,
                        offset: start + offset.0,
                    };
                    Some((entry, self.declarations.of(entry)?))
                }
                _ => None,
            };
            let place = frame.location.as_ref();
            chain.push(ChainLink {
                entry,
                file: place
                    .and_then(|place| place.file)
                    .map(|file| rows.file_as_spelled(file)),
                line: place.and_then(|place| place.line).filter(|&line| line > 0),
                column: place
                    .and_then(|place| place.column)
                    .filter(|&column| column > 0),
            });
        }
        Ok(chain)
    }
}

/// The answer from this file alone, and whether it would need another file to be whole.
fn without_loads<L: LookupContinuation>(lookup: LookupResult<L>) -> (L::Output, bool) {
    let skipped = matches!(lookup, LookupResult::Load { .. });
    (lookup.skip_all_loads(), skipped)
}
