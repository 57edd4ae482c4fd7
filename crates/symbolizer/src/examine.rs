//! What an image has to name its addresses by, and what it lacks.

use std::path::{Path, PathBuf};

use hotproof_image::{DebugPlaces, ImageFile};
use hotproof_profile::{ImageKind, Source};

use crate::cache::SectionStore;
use crate::dwarf::{DwarfNames, has_debug_information};
use crate::elf::{Elf, TableKind};
use crate::files::{Detail, Files, Wanted};
use crate::namer::{code_of, load_dwarf};
use crate::summary::Problem;
use crate::symbols::SymbolIndex;

/// What was found of an image, without naming anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The best that can name its functions; `None` when nothing can.
    pub best: Option<Source>,
    /// The file with debug information; `None` when there is none.
    pub debug_file: Option<PathBuf>,
    /// Where a debug file was looked for, in order; empty when the image needs none, or says
    /// nothing that a file could be looked for by.
    pub looked_at: Vec<PathBuf>,
    /// Whether its full symbol table was taken out.
    pub is_stripped: bool,
    /// Files that were there but were not used.
    pub problems: Vec<Problem>,
}

/// The lowest loadable address of an ELF file as linked, from which the relative addresses of its
/// locations count: tools that tell addresses as linked need it taken off.
///
/// # Errors
/// When the file cannot be used.
pub fn lowest_address(path: &Path) -> Result<u64, Problem> {
    let image = ImageFile::open(path).map_err(|error| Problem::Unreadable {
        detail: error.to_string(),
    })?;
    Ok(image.base_svma())
}

/// Looks at an image of a profile and for its debug file. An empty build-id is not compared.
///
/// # Errors
/// When the file cannot be used, as when it is missing or another build.
///
/// ```
/// use hotproof_symbolizer::{DebugPlaces, examine};
///
/// let program = std::env::current_exe()?;
/// let examined = examine(&program, &[], &DebugPlaces::default())?;
/// assert!(examined.best.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn examine(path: &Path, build_id: &[u8], places: &DebugPlaces) -> Result<Examined, Problem> {
    let files = Files::open(&Wanted {
        path: path.to_owned(),
        build_id: build_id.to_vec(),
        kind: ImageKind::Elf,
        places: places.clone(),
        held: None,
        detail: Detail::Full,
        cache: None,
        has_stacks: false,
    })?;
    let has = |file: &ImageFile, section| file.has_section(section);
    let is_described = has_debug_information(files.with_debug_information());
    let is_stripped = !has(&files.image, ".symtab");
    let has_table = !is_stripped
        || files
            .debug
            .as_ref()
            .is_some_and(|file| has(file, ".symtab"));
    let sources = [
        (Source::Dwarf, is_described),
        (Source::GoTable, has(&files.image, ".gopclntab")),
        (Source::SymbolTable, has_table),
        (Source::MiniDebugInfo, files.mini.is_some()),
        (Source::DynamicSymbols, names_code(&files.image)),
        (Source::UnwindTable, has(&files.image, ".eh_frame")),
    ];
    let debug_file = files.with_debug_information().path().to_owned();
    let looked_at = places.candidates(&files.image).into_iter();
    let mut problems = files.problems.clone();
    problems.extend(missing_split(&files).map(|path| Problem::SplitDebugInfo { path }));
    Ok(Examined {
        best: sources
            .iter()
            .find(|(_, has)| *has)
            .map(|(source, _)| *source),
        debug_file: is_described.then_some(debug_file),
        looked_at: looked_at.filter(|_| !is_described).collect(),
        is_stripped,
        problems,
    })
}

/// Whether the dynamic symbol table names code of the image itself; that of a program often has
/// nothing but what it imports.
fn names_code(image: &ImageFile) -> bool {
    let elf = Elf::parse(image);
    elf.is_some_and(|elf| SymbolIndex::has_names(&elf, TableKind::Dynamic))
}

/// The first file of split debug information that is missing. What cannot be read is said when
/// addresses are named.
fn missing_split(files: &Files) -> Option<PathBuf> {
    let (bytes, _) = load_dwarf(files, &mut SectionStore::new(None));
    let names = DwarfNames::new(
        bytes.as_ref()?,
        code_of(&files.image),
        files.split_places.clone(),
    );
    names.ok()?.missing_split()
}
