//! The files that name the addresses of one image: itself, its debug file, shared debug data.

use std::path::{Path, PathBuf};

use hotproof_image::{Class, DebugPlaces, DebugSearch, ImageFile};
use hotproof_profile::ImageKind;

use crate::cache::Cache;
use crate::dwarf::{SplitPlaces, has_debug_information};
use crate::summary::Problem;

/// Which image to open.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) path: PathBuf,
    /// As recorded; empty when the recording has none.
    pub(crate) build_id: Vec<u8>,
    pub(crate) kind: ImageKind,
    pub(crate) places: DebugPlaces,
    /// The file itself, when a recorder still has it.
    pub(crate) held: Option<ImageFile>,
    pub(crate) detail: Detail,
    /// Where decompressed sections are kept between runs.
    pub(crate) cache: Option<Cache>,
    /// Whether the addresses are those of recorded stacks.
    pub(crate) has_stacks: bool,
}

impl Wanted {
    /// The image itself; the error says why it cannot be opened.
    fn image(&self) -> Result<ImageFile, Problem> {
        let unreadable = |detail: String| Problem::Unreadable { detail };
        match (self.kind, &self.held) {
            (_, Some(held)) => Ok(held.clone()),
            (ImageKind::Vdso, None) => hotproof_image::vdso()
                .ok_or_else(|| unreadable("this process has no vdso".to_owned())),
            _ => ImageFile::open(&self.path).map_err(|error| unreadable(error.to_string())),
        }
    }

    /// The error of an image whose file is not there, which is cheap to find out.
    pub(crate) fn check_is_there(&self) -> Result<(), Problem> {
        let is_file = self.held.is_none() && self.kind != ImageKind::Vdso;
        match is_file && !self.path.exists() {
            true => self.image().map(drop),
            false => Ok(()),
        }
    }
}

/// What is to be known of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// Everything: inlined functions, files and lines.
    #[default]
    Full,
    /// The name of the function that the machine code belongs to. Where there is a full symbol
    /// table, debug information is not even looked for: names are the linker's, which may have a
    /// suffix like `.cold` and no generic arguments; there are no files and lines.
    Names,
}

/// The opened files.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) image: ImageFile,
    /// The separate file with debug information and the full symbol table.
    pub(crate) debug: Option<ImageFile>,
    /// DWARF that several debug files share (`.gnu_debugaltlink`).
    pub(crate) shared: Option<ImageFile>,
    /// The symbol table that the image has compressed within it, when it has no other.
    pub(crate) mini: Option<ImageFile>,
    /// The package of split debug information (`.dwp`).
    pub(crate) package: Option<ImageFile>,
    /// Where `.dwo` files are looked for.
    pub(crate) split_places: SplitPlaces,
    /// Files that were there but were not used.
    pub(crate) problems: Vec<Problem>,
    /// The image and every place where a file with names for it was looked for, those without one
    /// included: the answers hold while these look the same. Empty when they depend on servers too.
    pub(crate) looked_at: Vec<PathBuf>,
}

impl Files {
    /// Opens the image and finds what belongs to it.
    ///
    /// The error says why the image cannot name anything.
    pub(crate) fn open(wanted: &Wanted) -> Result<Files, Problem> {
        let image = wanted.image()?;
        check_build(&image, &wanted.path, &wanted.build_id)?;
        let mut files = Files {
            image,
            debug: None,
            shared: None,
            mini: None,
            package: None,
            split_places: SplitPlaces::default(),
            problems: Vec::new(),
            looked_at: vec![wanted.path.clone()],
        };
        if wanted.has_stacks && files.image.class() == Class::Bits32 {
            files.problems.push(Problem::NarrowStacks);
        }
        if wanted.detail == Detail::Names && files.image.has_section(".symtab") {
            return Ok(files);
        }
        if !has_debug_information(&files.image) && wanted.kind != ImageKind::Vdso {
            let candidates = wanted.places.candidates(&files.image);
            files.looked_at.extend(candidates);
            let servers = wanted.places.debuginfod.as_ref();
            let fetched = servers.zip(files.image.build_id());
            let fetched = fetched.map(|(client, id)| client.cached_path(id));
            files.looked_at.extend(fetched);
            let search = wanted.places.find(&files.image);
            files.debug = files.take(search);
        }
        let candidates = wanted
            .places
            .shared_candidates(files.with_debug_information());
        files.looked_at.extend(candidates);
        if let Some(search) = wanted.places.find_shared(files.with_debug_information()) {
            files.shared = files.take(search);
        }
        if !files.has_full_table() {
            match files.image.mini_debug_info() {
                Ok(mini) => files.mini = mini,
                Err(error) => files.problems.push(Problem::Damaged {
                    what: "its compressed symbol table",
                    detail: error.to_string(),
                }),
            }
        }
        files.find_package();
        files.split_places = SplitPlaces {
            root: wanted.places.root.clone(),
            folders: files.folders(),
        };
        // A server that has nothing today may have it tomorrow.
        if wanted.places.debuginfod.is_some()
            && !has_debug_information(files.with_debug_information())
        {
            files.looked_at.clear();
        }
        Ok(files)
    }

    /// Whether a full symbol table names everything that debug information would.
    pub(crate) fn has_full_table(&self) -> bool {
        let has_table = |file: &ImageFile| file.has_section(".symtab");
        has_table(&self.image) || self.debug.as_ref().is_some_and(has_table)
    }

    /// The file that holds DWARF, if any does.
    pub(crate) fn with_debug_information(&self) -> &ImageFile {
        self.debug.as_ref().unwrap_or(&self.image)
    }

    /// The folders of the image and of its debug file.
    fn folders(&self) -> Vec<PathBuf> {
        let files = [Some(&self.image), self.debug.as_ref()]
            .into_iter()
            .flatten();
        let mut folders: Vec<PathBuf> = files
            .filter_map(|file| Some(file.path().parent()?.to_owned()))
            .collect();
        folders.dedup();
        folders
    }

    /// Looks for a package beside the image and its debug file: `program.dwp`.
    fn find_package(&mut self) {
        let files = [Some(&self.image), self.debug.as_ref()]
            .into_iter()
            .flatten();
        let mut paths = Vec::new();
        for file in files {
            let mut name = file.path().as_os_str().to_owned();
            name.push(".dwp");
            paths.push(PathBuf::from(name));
            if file
                .path()
                .extension()
                .is_some_and(|extension| extension == "debug")
            {
                paths.push(file.path().with_extension("dwp"));
            }
        }
        if let Some(path) = paths.iter().find(|path| path.is_file()) {
            match ImageFile::open(path) {
                Ok(file) => self.package = Some(file),
                Err(error) => self.problems.push(Problem::DebugFileRefused {
                    path: path.clone(),
                    reason: error.to_string(),
                }),
            }
        }
        self.looked_at.extend(paths);
    }

    fn take(&mut self, search: DebugSearch) -> Option<ImageFile> {
        match search {
            DebugSearch::Found(file) => Some(file),
            DebugSearch::NotFound { .. } => None,
            DebugSearch::Refused { path, reason } => {
                let problem = Problem::DebugFileRefused { path, reason };
                self.problems.push(problem);
                None
            }
        }
    }
}

fn check_build(image: &ImageFile, path: &Path, recorded: &[u8]) -> Result<(), Problem> {
    let found = image.build_id().unwrap_or_default();
    if recorded.is_empty() || found == recorded {
        return Ok(());
    }
    Err(Problem::OtherBuild {
        path: path.to_owned(),
        found: if found.is_empty() {
            "none".to_owned()
        } else {
            hex(found)
        },
        expected: hex(recorded),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
