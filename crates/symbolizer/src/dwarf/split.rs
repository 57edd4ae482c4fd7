//! Split debug information: entries that lie in a `.dwo` file beside the object, or in a `.dwp`
//! package of many such files.
//!
//! The program keeps a skeleton of each unit: where its code lies, its line program, and the name
//! and identity of the file with its entries. See DWARF 5, section 7.3, and for DWARF 4 the GNU
//! extension of the same idea.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gimli::{Dwarf, DwarfPackage, DwarfPackageSections, DwarfSections, DwoId, SectionId};
use hotproof_image::{ImageError, ImageFile};

use super::units::{Unit, UnitAt, Units};
use super::{DwarfError, Slice, slice};
use crate::path;

/// A package's sections.
pub(crate) type PackageBytes<'a> = DwarfPackageSections<Cow<'a, [u8]>>;

/// Where split entries are looked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct SplitPlaces {
    /// Stands before absolute paths: `/`, or `/proc/PID/root`.
    pub(crate) root: PathBuf,
    /// Folders of the program and of its debug file, for programs that were moved together with
    /// their `.dwo` files.
    pub(crate) folders: Vec<PathBuf>,
}

/// A `.dwo` file that was looked for.
pub(crate) enum SplitFile {
    /// It is there; whether it is the right one, its unit says.
    Found(ImageFile),
    /// It is at none of these places.
    Missing,
    /// It cannot be read.
    Refused {
        /// What was read and what was expected.
        reason: String,
    },
}

impl SplitPlaces {
    /// The paths at which a `.dwo` file may lie, in the order in which they are tried.
    pub(crate) fn candidates(&self, unit: &gimli::Unit<Slice<'_>>, name: &str) -> Vec<PathBuf> {
        let folder = unit.comp_dir.map(|folder| folder.to_string_lossy());
        let written = PathBuf::from(path::join(&folder.unwrap_or_default(), name));
        let mut paths = Vec::new();
        if written.is_absolute() {
            paths.push(
                self.root
                    .join(written.strip_prefix("/").unwrap_or(&written)),
            );
        }
        for folder in &self.folders {
            if Path::new(name).is_relative() {
                paths.push(folder.join(name));
            }
            if let Some(last) = Path::new(name).file_name() {
                paths.push(folder.join(last));
            }
        }
        paths.dedup();
        paths
    }

    /// Opens the first file of a list that is there.
    pub(crate) fn open(candidates: &[PathBuf]) -> (Option<&Path>, SplitFile) {
        let Some(path) = candidates.iter().find(|path| path.is_file()) else {
            return (None, SplitFile::Missing);
        };
        let file = match ImageFile::open(path) {
            Ok(file) => SplitFile::Found(file),
            Err(error) => SplitFile::Refused {
                reason: error.to_string(),
            },
        };
        (Some(path), file)
    }
}

/// The sections of a `.dwo` file.
pub(crate) fn load_split(file: &ImageFile) -> Result<DwarfSections<Cow<'_, [u8]>>, ImageError> {
    DwarfSections::load(|id: SectionId| section_or_nothing(file, id.dwo_name()))
}

/// The sections of a package.
pub(crate) fn load_package(file: &ImageFile) -> Result<PackageBytes<'_>, LoadError> {
    DwarfPackageSections::load(|id: SectionId| Ok(section_or_nothing(file, id.dwo_name())?))
}

/// Why a package could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Dwarf(#[from] gimli::Error),
}

fn section_or_nothing<'f>(
    file: &'f ImageFile,
    name: Option<&str>,
) -> Result<Cow<'f, [u8]>, ImageError> {
    let section = name.map(|name| file.section(name)).transpose()?.flatten();
    Ok(section.map_or(Cow::Borrowed(&[][..]), |section| section.data))
}

/// A package with its index read.
pub(crate) fn read_package<'a>(
    bytes: &'a PackageBytes<'_>,
) -> Result<DwarfPackage<Slice<'a>>, gimli::Error> {
    bytes.borrow(|data| slice(data), slice(&[]))
}

/// The sections of a `.dwo` file, joined to those that stay in the program.
pub(crate) fn split_dwarf<'s>(
    sections: &'s DwarfSections<Cow<'_, [u8]>>,
    parent: &Dwarf<Slice<'s>>,
) -> Dwarf<Slice<'s>> {
    let mut dwarf = sections.borrow(|data| slice(data));
    dwarf.make_dwo(parent);
    dwarf
}

/// The unit of split sections that a skeleton stands for; `None` when there is no unit with its
/// identity.
pub(crate) fn find_unit<'s>(
    units: &Units<'s>,
    skeleton: &gimli::Unit<Slice<'s>>,
    id: DwoId,
) -> Result<Option<(UnitAt, Unit<'s>)>, DwarfError> {
    for at in units.all() {
        let Ok(mut unit) = units.unit(at) else {
            continue;
        };
        if unit.root.unit.dwo_id == Some(id) {
            unit.root.unit.copy_relocated_attributes(skeleton);
            return Ok(Some((at, unit)));
        }
    }
    match units.damage() {
        Some(error) => Err(error.into()),
        None => Ok(None),
    }
}

/// The units of split sections.
pub(crate) fn units(dwarf: Dwarf<Slice<'_>>) -> Units<'_> {
    Units::new(Arc::new(dwarf), None)
}
