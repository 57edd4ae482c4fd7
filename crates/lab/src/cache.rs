//! Checkouts that are kept with their builds, so that comparing the same refs again builds nothing.
//!
//! A slot is a folder `KEY-NN`: a checkout of one tree, built by one toolchain with one command
//! and one environment, all of which make up the key. Slots of one key are separate builds of the
//! same: the second copy of base is one, and so is what a second comparison at the same time uses,
//! since a slot belongs to one comparison as long as that runs. Paths are the same length for all
//! slots, and stay what they were when the code was built, because builds write them into
//! programs.
//!
//! Whoever uses a slot holds the lock of `KEY-NN.lock`. `KEY-NN.slot` appears by rename when the
//! build is done, and says of every file how large and how old it was; what a run has left in the
//! checkout is removed before the slot is used again, and a slot where a file is no longer what it
//! was is built anew.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

use crate::error::LabError;
use crate::git;
use crate::kept::KeptBuild;
use crate::layouts;

/// Slots of one key that are tried before a comparison goes without the cache.
const SLOTS: u32 = 16;
/// The bound of all slots together, unless `HOTPROOF_CACHE_BYTES` gives another one.
const LARGEST_BYTES: u64 = 8 << 30;

/// The bound of all slots together.
pub(crate) fn limit_bytes() -> u64 {
    let bytes = std::env::var("HOTPROOF_CACHE_BYTES").ok();
    let bytes = bytes.and_then(|text| text.parse().ok());
    bytes.unwrap_or(LARGEST_BYTES)
}

/// Whether a file is named as a slot is, `KEY-NN`: others are not ours to remove.
fn is_slot(name: &str) -> bool {
    name.split_once('-').is_some_and(|(key, number)| {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_hexdigit());
        digits(key) && digits(number)
    })
}

/// What a checkout and its build depend on, as 128 bits of a hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn of(parts: &[&dyn AsRef<[u8]>]) -> Key {
        let mut hashers = [DefaultHasher::new(), DefaultHasher::new()];
        hashers[1].write_u8(1);
        for hasher in &mut hashers {
            for part in parts {
                // With its length, so that no two lists of parts look alike.
                part.as_ref().hash(hasher);
            }
        }
        let [high, low] = hashers.map(|hasher| hasher.finish());
        Key(format!("{high:016x}{low:016x}"))
    }
}

/// The folder of all slots.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
    largest_bytes: u64,
}

/// What is known of a finished build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Finished {
    /// The program that cargo built, where cargo was asked for one.
    pub(crate) executable: Option<PathBuf>,
    /// How long the build took.
    pub(crate) seconds: u64,
}

/// A slot that is ours until it is dropped; an unfinished one is removed then.
#[derive(Debug)]
pub(crate) struct Slot {
    path: PathBuf,
    record: PathBuf,
    // Held, not read: closing it gives the slot free.
    _lock: File,
    finished: Option<Finished>,
}

impl Cache {
    /// The cache in a folder, which is made.
    pub(crate) fn open(root: &Path) -> Result<Cache, LabError> {
        let folder = root.join("builds");
        let failed = |source| LabError::File {
            action: "make the folder for builds,",
            path: folder.clone(),
            source,
        };
        fs::create_dir_all(&folder).map_err(failed)?;
        // Debug information spells paths without symbolic links, so this one has none.
        let folder = fs::canonicalize(&folder).map_err(failed)?;
        Ok(Cache {
            folder,
            largest_bytes: limit_bytes(),
        })
    }

    /// As [`Cache::open`] where the folder is there already, and nothing is made.
    pub(crate) fn existing(root: &Path) -> Option<Cache> {
        let folder = fs::canonicalize(root.join("builds")).ok()?;
        Some(Cache {
            folder,
            largest_bytes: limit_bytes(),
        })
    }

    /// The first slot of a key that is not in use, by whomever; `None` when all are.
    pub(crate) fn slot(&self, key: &Key) -> Result<Option<Slot>, LabError> {
        for number in 0..SLOTS {
            let name = format!("{}-{number:02}", key.0);
            if let Some(lock) = self.lock(&name)? {
                return Ok(Some(self.take(&name, lock)));
            }
        }
        Ok(None)
    }

    /// The lock of a slot; `None` when another comparison has it, or this one.
    fn lock(&self, name: &str) -> Result<Option<File>, LabError> {
        let path = self.folder.join(format!("{name}.lock"));
        let failed = |source: io::Error| LabError::File {
            action: "lock",
            path: path.clone(),
            source,
        };
        loop {
            let mut options = File::options();
            let file = options.write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(failed)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(failed(error.into())),
            }
            // Whoever removed the slot removed the file with it: then this is a lock on nothing.
            let ours = file.metadata().map_err(failed)?;
            if fs::metadata(&path).is_ok_and(|there| there.ino() == ours.ino()) {
                return Ok(Some(file));
            }
        }
    }

    fn take(&self, name: &str, lock: File) -> Slot {
        let path = self.folder.join(name);
        let record = self.folder.join(format!("{name}.slot"));
        let finished = Record::read(&record)
            .ok()
            .filter(|known| known.restore(&path).unwrap_or(false))
            .map(|known| known.finished);
        if finished.is_some() {
            // The age of its record is what decides over which slot goes first.
            let _ = File::options()
                .append(true)
                .open(&record)
                .and_then(|file| file.set_modified(SystemTime::now()));
        } else {
            let _ = fs::remove_file(&record);
            git::remove_tree(&path);
        }
        Slot {
            path,
            record,
            _lock: lock,
            finished,
        }
    }

    /// Removes the slots that were not used for longest until the others fit, but for those in use.
    pub(crate) fn trim(&self) {
        let mut slots = self.kept();
        // Newest first: they stay as long as all together fit.
        slots.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.folder.cmp(&b.folder)));
        let mut kept = 0_u64;
        for slot in slots {
            kept = kept.saturating_add(slot.size_bytes);
            let name = slot.folder.file_name().unwrap_or_default();
            let name = name.to_string_lossy();
            if kept <= self.largest_bytes {
                continue;
            }
            // One that cannot be removed is tried again after the next comparison.
            let _ = self.remove(&name);
        }
    }

    /// Removes a slot, finished or not; false when it is in use.
    ///
    /// # Errors
    /// When it cannot be locked, or something of it stays.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, LabError> {
        let Some(_lock) = self.lock(name)? else {
            return Ok(false);
        };
        let path = self.folder.join(name);
        // The record first: what is left of a slot without one is never taken for a build.
        let _ = fs::remove_file(self.folder.join(format!("{name}.slot")));
        git::remove_tree(&path);
        let removed = match fs::symlink_metadata(&path) {
            Ok(_) => fs::remove_dir(&path),
            Err(_) => fs::remove_file(self.folder.join(format!("{name}.lock"))),
        };
        removed.map(|()| true).map_err(|source| LabError::File {
            action: "remove",
            path,
            source,
        })
    }

    /// The names of all slots, finished or not, sorted.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let name = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let known = [".slot", ".lock"];
            let name = known
                .iter()
                .find_map(|end| name.strip_suffix(end).map(str::to_owned))
                .unwrap_or(name);
            is_slot(&name).then_some(name)
        };
        entries.filter_map(name).collect()
    }

    /// The finished slots, in no order.
    pub(crate) fn kept(&self) -> Vec<KeptBuild> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let kept = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let name = name.strip_suffix(".slot")?.to_owned();
            let used = entry.metadata().ok()?.modified().ok()?;
            let record = Record::read(&entry.path()).ok()?;
            Some(KeptBuild {
                folder: self.folder.join(name),
                size_bytes: record.bytes(),
                program: record.finished.executable,
                build_s: record.finished.seconds,
                used,
            })
        };
        entries.filter_map(kept).collect()
    }

    /// Whether a worktree is a slot that nobody uses: then its comparison was killed.
    pub(crate) fn is_abandoned(&self, worktree: &Path) -> bool {
        let name = worktree.file_name().and_then(|name| name.to_str());
        worktree.parent() == Some(&self.folder)
            && name.is_some_and(|name| matches!(self.lock(name), Ok(Some(_))))
    }
}

impl Slot {
    /// Where the checkout lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of its build; `None` when there is nothing in it yet.
    pub(crate) fn finished(&self) -> Option<&Finished> {
        self.finished.as_ref()
    }

    /// Keeps what was built for the next comparison.
    ///
    /// # Errors
    /// When the files cannot be listed, or their list cannot be written.
    pub(crate) fn finish(&mut self, finished: Finished) -> Result<(), LabError> {
        let failed = |source| LabError::File {
            action: "write",
            path: self.record.clone(),
            source,
        };
        let record = Record {
            files: files_in(&self.path).map_err(failed)?,
            finished,
        };
        let folder = self.record.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        io::Write::write_all(&mut file, &record.bytes_of()).map_err(failed)?;
        let persisted = file.persist(&self.record);
        persisted.map_err(|error| failed(error.error))?;
        self.finished = Some(record.finished);
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.finished.is_none() {
            git::remove_tree(&self.path);
        }
    }
}

/// How a file looked when the build was done: its length, and when it was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    length: u64,
    modified_ns: i128,
}

/// What is known of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    finished: Finished,
    /// By path below the slot.
    files: BTreeMap<PathBuf, Look>,
}

/// The first line of a record.
const HEADER: &str = "hotproof slot 1";

impl Record {
    /// Lines of header, seconds and program, then `LENGTH MODIFIED PATH` of each file, all ended by
    /// a zero byte, which no path can hold; the last one is empty, so that a cut record shows.
    fn bytes_of(&self) -> Vec<u8> {
        let mut bytes = format!("{HEADER}\0{}\0", self.finished.seconds).into_bytes();
        if let Some(program) = &self.finished.executable {
            bytes.extend_from_slice(program.as_os_str().as_bytes());
        }
        bytes.push(0);
        for (path, look) in &self.files {
            bytes.extend_from_slice(format!("{} {} ", look.length, look.modified_ns).as_bytes());
            bytes.extend_from_slice(path.as_os_str().as_bytes());
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    }

    fn read(path: &Path) -> io::Result<Record> {
        let bytes = fs::read(path)?;
        Record::parse(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn parse(bytes: &[u8]) -> Option<Record> {
        let body = bytes.strip_suffix(b"\0\0")?;
        let mut parts = body.split(|&byte| byte == 0);
        if parts.next()? != HEADER.as_bytes() {
            return None;
        }
        let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        let seconds = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        let executable = Some(parts.next()?).filter(|it| !it.is_empty()).map(path);
        let file = |bytes: &[u8]| {
            let mut fields = bytes.splitn(3, |&byte| byte == b' ');
            let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
            let (length, modified_ns): (i128, i128) = (number()?, number()?);
            let length = u64::try_from(length).ok()?;
            Some((
                path(fields.next()?),
                Look {
                    length,
                    modified_ns,
                },
            ))
        };
        Some(Record {
            finished: Finished {
                executable,
                seconds,
            },
            files: parts.map(file).collect::<Option<_>>()?,
        })
    }

    fn bytes(&self) -> u64 {
        let lengths = self.files.values().map(|look| look.length);
        lengths.fold(0, u64::saturating_add)
    }

    /// Removes what was added to the slot since; whether everything else is as it was.
    fn restore(&self, slot: &Path) -> io::Result<bool> {
        let now = files_in(slot)?;
        for path in now.keys().filter(|path| !self.files.contains_key(*path)) {
            fs::remove_file(slot.join(path))?;
        }
        Ok(self
            .files
            .iter()
            .all(|(path, look)| now.get(path) == Some(look)))
    }
}

/// All files and links below a folder, by their paths relative to it.
fn files_in(folder: &Path) -> io::Result<BTreeMap<PathBuf, Look>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        for entry in fs::read_dir(folder.join(&below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            let facts = entry.metadata()?;
            if facts.is_dir() {
                // Links that turn from run to run are no part of the build.
                if path != Path::new(layouts::TURNING) {
                    folders.push(path);
                }
            } else {
                let look = Look {
                    length: facts.len(),
                    modified_ns: i128::from(facts.mtime()) * 1_000_000_000
                        + i128::from(facts.mtime_nsec()),
                };
                files.insert(path, look);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(folder: &Path, largest_bytes: u64) -> Cache {
        Cache {
            largest_bytes,
            ..Cache::open(folder).unwrap()
        }
    }

    fn build(cache: &Cache, key: &Key, text: &str) -> PathBuf {
        let mut slot = cache.slot(key).unwrap().unwrap();
        assert_eq!(slot.finished(), None);
        fs::create_dir_all(slot.path().join("target")).unwrap();
        fs::write(slot.path().join("target/bench"), text).unwrap();
        slot.finish(Finished {
            executable: Some("target/bench".into()),
            seconds: 3,
        })
        .unwrap();
        slot.path().to_owned()
    }

    #[test]
    fn a_finished_slot_is_found_again_without_what_a_run_left() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 1 << 20);
        let key = Key::of(&[&"tree", &"flags"]);
        let path = build(&cache, &key, "program");
        fs::write(path.join("left.txt"), "by a run").unwrap();
        let slot = cache.slot(&key).unwrap().unwrap();
        assert_eq!(slot.finished().unwrap().seconds, 3);
        assert!(path.join("target/bench").is_file() && !path.join("left.txt").exists());
        assert_ne!(key, Key::of(&[&"treef", &"lags"]));
    }

    #[test]
    fn a_slot_whose_files_changed_is_built_anew() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 1 << 20);
        let key = Key::of(&[&"tree"]);
        let path = build(&cache, &key, "program");
        fs::write(path.join("target/bench"), "another one").unwrap();
        assert_eq!(cache.slot(&key).unwrap().unwrap().finished(), None);
        assert!(!path.exists(), "nothing of it is left");
        // So is one that was not finished, or whose record is cut.
        let path = build(&cache, &key, "program");
        let record = path.with_extension("slot");
        let bytes = fs::read(&record).unwrap();
        for end in 0..bytes.len() {
            assert_eq!(Record::parse(&bytes[..end]), None, "{end}");
        }
        fs::write(&record, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(cache.slot(&key).unwrap().unwrap().finished(), None);
    }

    #[test]
    fn two_at_once_have_slots_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 1 << 20);
        let key = Key::of(&[&"tree"]);
        let one = cache.slot(&key).unwrap().unwrap();
        let other = cache.slot(&key).unwrap().unwrap();
        assert_ne!(one.path(), other.path());
        assert_eq!(one.path().as_os_str().len(), other.path().as_os_str().len());
        assert!(!cache.is_abandoned(one.path()));
        let path = one.path().to_owned();
        drop(one);
        assert!(cache.is_abandoned(&path));
        assert_eq!(cache.slot(&key).unwrap().unwrap().path(), path);
    }

    #[test]
    fn the_least_recently_used_slot_goes_first_and_never_one_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), 25);
        let keys = [Key::of(&[&"a"]), Key::of(&[&"b"]), Key::of(&[&"c"])];
        let paths = keys.each_ref().map(|key| build(&cache, key, "ten bytes."));
        for (age, path) in [(30, &paths[0]), (20, &paths[1]), (10, &paths[2])] {
            let then = SystemTime::now() - std::time::Duration::from_secs(age);
            let record = File::options()
                .append(true)
                .open(path.with_extension("slot"));
            record.unwrap().set_modified(then).unwrap();
        }
        // Using the oldest one makes it the newest.
        drop(cache.slot(&keys[0]).unwrap().unwrap());
        let used = cache.slot(&keys[1]).unwrap().unwrap();
        let then = SystemTime::now() - std::time::Duration::from_secs(20);
        let record = File::options().append(true).open(&used.record).unwrap();
        record.set_modified(then).unwrap();
        cache.trim();
        assert!(paths[0].exists() && paths[2].exists());
        assert!(paths[1].exists(), "it is in use");
        drop(used);
        cache.trim();
        assert!(paths[0].exists() && paths[2].exists() && !paths[1].exists());
    }

    proptest::proptest! {
        #[test]
        fn no_record_makes_the_reader_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let mut with_header = format!("{HEADER}\0").into_bytes();
            with_header.extend_from_slice(&bytes);
            let _ = Record::parse(&bytes);
            let _ = Record::parse(&with_header);
        }
    }
}
