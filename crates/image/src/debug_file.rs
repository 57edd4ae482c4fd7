//! The search for the separate file with a binary's debug information.
//!
//! Order and places are GDB's ("Debugging Information in Separate Files"): first by build-id, then
//! by the name in `.gnu_debuglink`, whose file must have the right checksum.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::debuginfod::Debuginfod;
use crate::facts::DebugLink;
use crate::file::ImageFile;

/// Where to look for debug files.
#[derive(Debug, Clone)]
pub struct DebugPlaces {
    /// Stands before every path: `/`, or `/proc/PID/root` for a process in a container.
    pub root: PathBuf,
    /// Folders below `root` with a `.build-id` tree and a mirror of the file system.
    pub folders: Vec<PathBuf>,
    /// Servers to ask for what is at none of the places; `None` asks nobody.
    pub debuginfod: Option<Arc<Debuginfod>>,
}

impl Default for DebugPlaces {
    fn default() -> Self {
        DebugPlaces {
            root: PathBuf::from("/"),
            folders: vec![PathBuf::from("/usr/lib/debug")],
            debuginfod: None,
        }
    }
}

/// What a search for a debug file found.
#[derive(Debug)]
pub enum DebugSearch {
    /// The file, checked by build-id or checksum.
    Found(ImageFile),
    /// There is none at any of the places.
    NotFound {
        /// The paths that were tried, in order; empty when the image names no debug file.
        tried: Vec<PathBuf>,
    },
    /// There is one, but it belongs to another build or cannot be read.
    Refused {
        /// The file.
        path: PathBuf,
        /// What was read and what was expected.
        reason: String,
    },
}

/// Searches the usual places of this system.
pub fn find_debug_file(image: &ImageFile) -> DebugSearch {
    DebugPlaces::default().find(image)
}

impl DebugPlaces {
    /// Searches for the debug file of an image.
    ///
    /// A file that belongs to another build is passed over, and reported when nothing better is
    /// found.
    pub fn find(&self, image: &ImageFile) -> DebugSearch {
        let mut tried = Vec::new();
        let mut refused = None;
        for (path, link) in self.linked_candidates(image) {
            if path == image.path() || !path.is_file() {
                tried.push(path);
                continue;
            }
            match accept(image, &path, link) {
                Ok(file) => return DebugSearch::Found(file),
                Err(reason) => refused = refused.or(Some(DebugSearch::Refused { path, reason })),
            }
        }
        refused.unwrap_or_else(|| self.fetch(image, tried))
    }

    /// Asks the servers, if there are any to ask.
    fn fetch(&self, image: &ImageFile, tried: Vec<PathBuf>) -> DebugSearch {
        let (Some(servers), Some(build_id)) = (&self.debuginfod, image.build_id()) else {
            return DebugSearch::NotFound { tried };
        };
        match servers.fetch(build_id) {
            Ok(Some(file)) => DebugSearch::Found(file),
            Ok(None) => DebugSearch::NotFound { tried },
            Err(error) => DebugSearch::Refused {
                path: servers.cached_path(build_id),
                reason: error.to_string(),
            },
        }
    }

    /// All paths where [`DebugPlaces::find`] looks, in order; empty when the image names no debug
    /// file.
    pub fn candidates(&self, image: &ImageFile) -> Vec<PathBuf> {
        let candidates = self.linked_candidates(image).into_iter();
        let servers = self.debuginfod.as_ref();
        let fetched = servers.and_then(|servers| Some(servers.cached_path(image.build_id()?)));
        candidates.map(|(path, _)| path).chain(fetched).collect()
    }

    /// All paths where [`DebugPlaces::find_shared`] looks, in order.
    pub fn shared_candidates(&self, debug_file: &ImageFile) -> Vec<PathBuf> {
        let link = shared_link(debug_file);
        link.map_or(Vec::new(), |(name, id)| {
            self.by_shared_link(debug_file, &name, &id)
        })
    }

    /// With the link whose checksum a file has to have.
    fn linked_candidates<'a>(&self, image: &'a ImageFile) -> Vec<(PathBuf, Option<&'a DebugLink>)> {
        let link = image.debug_link();
        let by_id = image
            .build_id()
            .map_or(Vec::new(), |id| self.by_build_id(id));
        let by_link = link.map_or(Vec::new(), |link| self.by_link(image.path(), link));
        by_id
            .into_iter()
            .map(|path| (path, None))
            .chain(by_link.into_iter().map(|path| (path, link)))
            .collect()
    }

    fn by_shared_link(&self, debug_file: &ImageFile, name: &str, build_id: &[u8]) -> Vec<PathBuf> {
        let mut candidates = self.by_build_id(build_id);
        let folder = debug_file.path().parent().unwrap_or(Path::new("/"));
        candidates.insert(0, folder.join(name));
        candidates
    }

    /// The file that `.gnu_debugaltlink` of a debug file names: DWARF shared by several files.
    ///
    /// `None` when the file names none. It must have the build-id that the link states.
    pub fn find_shared(&self, debug_file: &ImageFile) -> Option<DebugSearch> {
        let (name, build_id) = shared_link(debug_file)?;
        let candidates = self.by_shared_link(debug_file, &name, &build_id);
        let mut refused = None;
        for path in candidates.iter().filter(|path| path.is_file()) {
            match open_with_id(path, Some(&build_id), true) {
                Ok(file) => return Some(DebugSearch::Found(file)),
                Err(reason) => {
                    let path = path.clone();
                    refused = refused.or(Some(DebugSearch::Refused { path, reason }));
                }
            }
        }
        Some(refused.unwrap_or(DebugSearch::NotFound { tried: candidates }))
    }

    fn by_build_id(&self, build_id: &[u8]) -> Vec<PathBuf> {
        let Some((first, rest)) = build_id.split_first() else {
            return Vec::new();
        };
        let name = format!(".build-id/{first:02x}/{}.debug", hex(rest));
        let places = self.folders.iter();
        places
            .map(|place| self.rooted(&place.join(&name)))
            .collect()
    }

    fn by_link(&self, image: &Path, link: &DebugLink) -> Vec<PathBuf> {
        // A link is a bare file name; one with a slash could lead anywhere.
        if link.name.is_empty() || link.name.contains('/') {
            return Vec::new();
        }
        let folder = image.parent().unwrap_or(Path::new("/"));
        let mut paths = vec![
            folder.join(&link.name),
            folder.join(".debug").join(&link.name),
        ];
        let inside = folder.strip_prefix(&self.root).unwrap_or(folder);
        let inside = inside.strip_prefix("/").unwrap_or(inside);
        for place in &self.folders {
            paths.push(self.rooted(place).join(inside).join(&link.name));
        }
        paths
    }

    /// A path below the root.
    fn rooted(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Name and build-id in `.gnu_debugaltlink`.
fn shared_link(debug_file: &ImageFile) -> Option<(String, Vec<u8>)> {
    let section = debug_file.section(".gnu_debugaltlink").ok()??;
    let end = section.data.iter().position(|&byte| byte == 0)?;
    let name = String::from_utf8_lossy(&section.data[..end]).into_owned();
    Some((name, section.data[end + 1..].to_vec()))
}

/// Opens a candidate; the error says why it is refused.
fn accept(image: &ImageFile, path: &Path, link: Option<&DebugLink>) -> Result<ImageFile, String> {
    let file = open_with_id(path, image.build_id(), link.is_none())?;
    if let Some(link) = link {
        let found = file.checksum();
        if found != link.crc {
            return Err(format!(
                "its checksum is {found:08x}, expected {:08x} as .gnu_debuglink says",
                link.crc
            ));
        }
    }
    Ok(file)
}

/// Opens a file whose build-id is not another one; `is_needed` when it must have one.
fn open_with_id(
    path: &Path,
    expected: Option<&[u8]>,
    is_needed: bool,
) -> Result<ImageFile, String> {
    let file = ImageFile::open(path).map_err(|error| error.to_string())?;
    match (file.build_id(), expected) {
        (None, Some(expected)) if is_needed => {
            Err(format!("it has no build-id, expected {}", hex(expected)))
        }
        (Some(found), Some(expected)) if found != expected => Err(format!(
            "its build-id is {}, expected {}",
            hex(found),
            hex(expected)
        )),
        _ => Ok(file),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
