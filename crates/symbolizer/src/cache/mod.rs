//! What was named before, on disk: a folder of small files that any number of processes may share.
//!
//! Each file holds the answers of one image ([`entry`]), the kernel's list ([`kernel`]) or the
//! decompressed bytes of a section of debug information ([`section`]). A file appears whole, by rename, and carries a checksum over all of it: a cut or changed one is a miss,
//! never a wrong answer. No lock is taken: of two processes that write the same entry at once the
//! later one wins, and what the other had to add is named again another time.

mod bytes;
mod entry;
mod frame;
mod kernel;
mod section;
mod stamp;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub(crate) use entry::{Entry, EntryRows};
pub use frame::CacheContent;
pub(crate) use frame::Head;
pub(crate) use kernel::{KernelList, Listed};
pub(crate) use section::{SectionBytes, SectionStore};
pub(crate) use stamp::{Identity, Stamp};

/// How large the cache may grow unless it is told otherwise.
const DEFAULT_LIMIT_BYTES: u64 = 512 << 20;
/// An entry may not take more than this part of the limit.
const LARGEST_PART: u64 = 4;
/// Sections may not take more than this part of the limit together: a few of them are as large as
/// the names of a hundred programs.
const SECTIONS_PART: u64 = 2;
/// Names of entries that hold a section end so, before [`SUFFIX`].
const SECTION_MARK: &str = "-section";
/// Names of entries end so; nothing else in the folder is touched.
const SUFFIX: &str = ".hotproof-names";
/// Names of files that are being written begin so.
const PENDING_PREFIX: &str = ".pending-";
/// A file that is still being written after this long belongs to a process that died.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);
/// An entry's time of use is not written more often than this.
const TOUCH_AFTER: Duration = Duration::from_secs(600);

/// A folder that remembers names of addresses between runs.
///
/// ```
/// use hotproof_symbolizer::Cache;
///
/// let folder = tempfile::tempdir()?;
/// let cache = Cache::at(folder.path()).limited_to(64 << 20);
/// assert_eq!(cache.entries()?, []);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    folder: PathBuf,
    limit_bytes: u64,
}

/// One file of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: u64,
    /// When it was last used, nearly: the time is not written at each use.
    pub used: SystemTime,
    /// What it holds; `None` when it is damaged or of another version, which makes it a miss.
    pub content: Option<CacheContent>,
}

/// What [`Cache::clear`] removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleared {
    /// How many files.
    pub entries: u64,
    /// How large they were together.
    pub size_bytes: u64,
}

/// A cache could not be written. Names are right all the same; they are looked up again next time.
#[derive(Debug, thiserror::Error)]
#[error(
    "names cannot be kept in {}: {source}: set HOTPROOF_CACHE to a folder that can be written, or \
     to `off`",
    folder.display()
)]
pub struct CacheError {
    /// The cache's folder.
    pub folder: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl Cache {
    /// The cache that the environment names: `HOTPROOF_CACHE`, or `hotproof` in `XDG_CACHE_HOME`, or
    /// `.cache/hotproof` in the home folder; `None` when `HOTPROOF_CACHE` is `off` or there is no
    /// such folder.
    pub fn from_environment() -> Option<Cache> {
        Self::from_variables(|name| std::env::var_os(name).map(PathBuf::from))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<Cache> {
        let set = |name| variable(name).filter(|value| !value.as_os_str().is_empty());
        match set("HOTPROOF_CACHE") {
            Some(value) if value == Path::new("off") => None,
            Some(folder) => Some(Cache::at(&folder)),
            // The specification of these folders has relative ones ignored.
            None => set("XDG_CACHE_HOME")
                .filter(|folder| folder.is_absolute())
                .or_else(|| {
                    Some(
                        set("HOME")
                            .filter(|home| home.is_absolute())?
                            .join(".cache"),
                    )
                })
                .map(|folder| Cache::at(&folder.join("hotproof"))),
        }
    }

    /// A cache in a folder, which is made when there is something to keep.
    pub fn at(folder: &Path) -> Cache {
        Cache {
            folder: folder.to_owned(),
            limit_bytes: DEFAULT_LIMIT_BYTES,
        }
    }

    /// The same, but with another bound on the size of all entries together. Above it, the entries
    /// that were not used for the longest time go.
    pub fn limited_to(self, limit_bytes: u64) -> Cache {
        Cache {
            limit_bytes,
            ..self
        }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How large it may grow.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// All entries, those used last first; a folder that does not exist has none.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn entries(&self) -> io::Result<Vec<CacheEntry>> {
        let mut entries = Vec::new();
        for file in self.files()?.into_iter().filter(|file| !file.is_pending) {
            let bytes = fs::read(&file.path).unwrap_or_default();
            let content = frame::open(&bytes).map(|(head, _)| head.into_content());
            entries.push(CacheEntry {
                path: file.path,
                size_bytes: file.size_bytes,
                used: file.used,
                content,
            });
        }
        entries.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.path.cmp(&b.path)));
        Ok(entries)
    }

    /// Removes all entries, and nothing else that may lie in the folder.
    ///
    /// # Errors
    /// When the folder cannot be read or a file not removed.
    pub fn clear(&self) -> io::Result<Cleared> {
        let mut cleared = Cleared::default();
        for file in self.files()? {
            match fs::remove_file(&file.path) {
                Ok(()) => {
                    cleared.entries += u64::from(!file.is_pending);
                    cleared.size_bytes += file.size_bytes;
                }
                // Another process was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(cleared)
    }

    /// What an entry holds; `None` when there is none, or it is damaged or another one.
    pub(crate) fn read(&self, name: &str) -> Option<frame::Opened> {
        let path = self.path_of(name);
        let file = fs::File::open(&path).ok()?;
        let opened = frame::Opened::read(&file)?;
        let used = file.metadata().ok()?.modified().ok()?;
        if used.elapsed().is_ok_and(|age| age > TOUCH_AFTER) {
            // A folder that cannot be written is used all the same.
            let _ = file.set_modified(SystemTime::now());
        }
        Some(opened)
    }

    /// Writes an entry, and removes old ones when the cache grows too large. One that is too large
    /// itself is not written.
    pub(crate) fn write(&self, name: &str, head: &Head, body: &[u8]) -> Result<(), CacheError> {
        let framed = frame::close(head, body);
        if framed.len() as u64 > self.limit_bytes / LARGEST_PART {
            return Ok(());
        }
        self.replace(&self.path_of(name), &framed)
            .and_then(|()| self.evict())
            .map_err(|source| CacheError {
                folder: self.folder.clone(),
                source,
            })
    }

    fn path_of(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{SUFFIX}"))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if !self.folder.is_dir() {
            use std::os::unix::fs::DirBuilderExt;
            // As the specification of these folders asks: nobody else reads what was profiled here.
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(&self.folder)?;
        }
        let pending = tempfile::Builder::new()
            .prefix(PENDING_PREFIX)
            .suffix(SUFFIX)
            .tempfile_in(&self.folder)?;
        // Nothing is forced to the disk: what a crash damages, the checksum finds.
        fs::write(pending.path(), bytes)?;
        pending.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Removes the entries that were not used for the longest time until the rest is small enough.
    fn evict(&self) -> io::Result<()> {
        let mut files = self.files()?;
        let is_abandoned = |file: &File| {
            file.is_pending && file.used.elapsed().is_ok_and(|age| age > ABANDONED_AFTER)
        };
        for file in files.iter().filter(|file| is_abandoned(file)) {
            remove_if_there(&file.path)?;
        }
        files.retain(|file| !file.is_pending);
        files.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.path.cmp(&b.path)));
        let (mut total, mut sections) = (0, 0);
        for file in files {
            if file.is_section && sections + file.size_bytes > self.limit_bytes / SECTIONS_PART {
                remove_if_there(&file.path)?;
                continue;
            }
            sections += u64::from(file.is_section) * file.size_bytes;
            total += file.size_bytes;
            if total > self.limit_bytes {
                remove_if_there(&file.path)?;
            }
        }
        Ok(())
    }

    fn files(&self) -> io::Result<Vec<File>> {
        let folder = match fs::read_dir(&self.folder) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for item in folder {
            let item = item?;
            let name = item.file_name();
            let name = name.to_string_lossy();
            if !name.ends_with(SUFFIX) {
                continue;
            }
            // A file that has gone meanwhile was removed by another process.
            let Ok(facts) = item.metadata() else { continue };
            if facts.is_file() {
                files.push(File {
                    path: item.path(),
                    size_bytes: facts.len(),
                    used: facts.modified()?,
                    is_pending: name.starts_with(PENDING_PREFIX),
                    is_section: name
                        .strip_suffix(SUFFIX)
                        .is_some_and(|name| name.ends_with(SECTION_MARK)),
                });
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}

struct File {
    path: PathBuf,
    size_bytes: u64,
    used: SystemTime,
    is_pending: bool,
    is_section: bool,
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_the_folder() {
        let folder = |variables: &[(&str, &str)]| {
            let cache = Cache::from_variables(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| PathBuf::from(value))
            });
            cache.map(|cache| cache.folder().to_str().unwrap().to_owned())
        };
        for (variables, expected) in [
            (&[("HOME", "/h")][..], Some("/h/.cache/hotproof")),
            (
                &[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")],
                Some("/x/hotproof"),
            ),
            (
                &[("HOME", "/h"), ("XDG_CACHE_HOME", "relative")],
                Some("/h/.cache/hotproof"),
            ),
            (
                &[("HOME", "/h"), ("XDG_CACHE_HOME", "")],
                Some("/h/.cache/hotproof"),
            ),
            (&[("HOME", "/h"), ("HOTPROOF_CACHE", "/own")], Some("/own")),
            (
                &[("HOME", "/h"), ("HOTPROOF_CACHE", "")],
                Some("/h/.cache/hotproof"),
            ),
            (&[("HOME", "/h"), ("HOTPROOF_CACHE", "off")], None),
            (&[("HOME", "")], None),
            (&[], None),
        ] {
            assert_eq!(folder(variables).as_deref(), expected, "{variables:?}");
        }
    }

    /// Of sections alone, the oldest go above their part, whatever room there is in all; names stay.
    #[test]
    fn sections_have_a_bound_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).limited_to(100_000);
        let head = Head::of_image("/bin/x", &[1]);
        let write = |name: &str, seconds| {
            cache.write(name, &head, &[7; 15_000]).unwrap();
            let file = fs::File::open(cache.path_of(name)).unwrap();
            let then = SystemTime::now() - Duration::from_secs(seconds);
            file.set_modified(then).unwrap();
        };
        write("names", 900);
        for number in 1..=4 {
            write(&format!("{number}{SECTION_MARK}"), 10 * (5 - number));
        }
        write("more", 1);
        let left: Vec<String> = cache
            .files()
            .unwrap()
            .iter()
            .map(|file| {
                file.path
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .map(|name| name.trim_end_matches(SUFFIX).to_owned())
            .collect();
        let section = |number| format!("{number}{SECTION_MARK}");
        let expected = [&section(2), &section(3), &section(4), "more", "names"];
        assert_eq!(left, expected);
    }

    #[test]
    fn old_entries_go_when_it_grows_too_large() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).limited_to(40_000);
        let head = Head::of_image("/bin/x", &[1]);
        let write = |name: &str, size| cache.write(name, &head, &vec![7; size]).unwrap();
        let age = |name: &str, seconds| {
            let file = fs::File::open(cache.path_of(name)).unwrap();
            let then = SystemTime::now() - Duration::from_secs(seconds);
            file.set_modified(then).unwrap();
        };
        for (number, seconds) in [(1, 5_000), (2, 9_000), (3, 1_000), (4, 3_000)] {
            let name = format!("entry{number}");
            write(&name, 9_000);
            age(&name, seconds);
        }
        assert!(cache.read("entry2").is_some(), "used, and so young again");
        let stranger = folder.path().join("notes.txt");
        fs::write(&stranger, vec![0; 100_000]).unwrap();
        let abandoned = folder.path().join(format!("{PENDING_PREFIX}x{SUFFIX}"));
        fs::write(&abandoned, "half").unwrap();
        let then = SystemTime::now() - 2 * ABANDONED_AFTER;
        fs::File::open(&abandoned)
            .unwrap()
            .set_modified(then)
            .unwrap();

        write("entry5", 9_000);
        let left: Vec<bool> = (1..=5)
            .map(|number| cache.read(&format!("entry{number}")).is_some())
            .collect();
        assert_eq!(left, [false, true, true, true, true], "the oldest use goes");
        assert!(!abandoned.exists(), "what a dead process left goes");
        write("large", 20_000);
        assert!(cache.read("large").is_none(), "larger than its part");

        let size_bytes = cache.entries().unwrap().iter().map(|e| e.size_bytes).sum();
        let entries = 4;
        assert_eq!(
            cache.clear().unwrap(),
            Cleared {
                entries,
                size_bytes
            }
        );
        assert!(stranger.exists(), "what is not ours stays");
        assert_eq!(cache.entries().unwrap(), []);
        assert_eq!(cache.clear().unwrap(), Cleared::default());
    }
}
