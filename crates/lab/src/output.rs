//! Whether both refs write the same on standard output.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hotproof_diff::{OutputCheck, Side};

/// Up to here the path of the worktree is taken out of an output before it is compared; beyond
/// it would have to be held in memory.
const LARGEST_CLEANED: u64 = 16 << 20;

/// 128 bits and the length of an output: equal digests are equal outputs but for an accident that
/// nobody lives to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest {
    length: u64,
    halves: [u64; 2],
}

/// The digest of what a run wrote into `file`, with the path of its own worktree left out.
pub(crate) fn digest(file: &mut File, worktree: &Path) -> io::Result<Digest> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut hashers = hashers();
    let mut kept = 0;
    if length <= LARGEST_CLEANED {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let clean = without(&bytes, worktree.as_os_str().as_bytes());
        kept = clean.len() as u64;
        hashers.iter_mut().for_each(|hasher| hasher.write(&clean));
    } else {
        let mut chunk = vec![0; 1 << 16];
        loop {
            let count = file.read(&mut chunk)?;
            if count == 0 {
                break;
            }
            kept += count as u64;
            hashers
                .iter_mut()
                .for_each(|hasher| hasher.write(&chunk[..count]));
        }
    }
    Ok(Digest {
        length: kept,
        halves: hashers.map(|hasher| hasher.finish()),
    })
}

/// The digest of an output that does not count.
pub(crate) fn nothing() -> Digest {
    Digest {
        length: 0,
        halves: hashers().map(|hasher| hasher.finish()),
    }
}

/// A digest that counts files as well; `None` stands for one that was not written, which is unlike
/// an empty one.
pub(crate) fn with_files(
    digest: Digest,
    files: &[Option<PathBuf>],
    worktree: &Path,
) -> io::Result<Digest> {
    let mut whole = digest;
    for path in files {
        let part = match path {
            Some(path) => self::digest(&mut File::open(path)?, worktree)?,
            None => Digest {
                length: u64::MAX,
                halves: [0; 2],
            },
        };
        whole.length = whole.length.wrapping_add(part.length);
        for (half, other) in whole.halves.iter_mut().zip(part.halves) {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(*half);
            hasher.write_u64(part.length);
            hasher.write_u64(other);
            *half = hasher.finish();
        }
    }
    Ok(whole)
}

/// Files that runs write and that are compared. What lies there before a run says nothing of that
/// run, so that one that writes nothing would otherwise be taken for one that writes the same.
///
/// A file that was not there before the first run is an output alone, and goes before each of the
/// next ones. One that was there, because it is tracked or the build made it, may be an input too:
/// it stays, and a run has written it when its time of modification is another one afterwards.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// By path, whether it was there before the first run.
    given: BTreeMap<PathBuf, bool>,
}

/// No file system rounds it, and no program writes it by chance.
const MARK: Duration = Duration::from_secs(1_000_000_006);

/// A file before a run.
pub(crate) struct Awaited {
    path: PathBuf,
    /// When it was modified, where the mark stands in the place of that.
    marked: Option<SystemTime>,
}

impl Files {
    /// Makes the files such that it can be told which ones the next run writes.
    ///
    /// # Errors
    /// When a file cannot be removed or marked.
    pub(crate) fn await_run(&mut self, paths: &[PathBuf]) -> io::Result<Vec<Awaited>> {
        let one = |path: &PathBuf| {
            let facts = match fs::metadata(path) {
                Ok(facts) => Some(facts),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            let given = *self.given.entry(path.clone()).or_insert(facts.is_some());
            let mut marked = None;
            // A pipe or a device has no content of an earlier run.
            if let Some(facts) = facts.filter(fs::Metadata::is_file) {
                if given {
                    marked = Some(facts.modified()?);
                    set_modified(path, SystemTime::UNIX_EPOCH + MARK)?;
                } else {
                    fs::remove_file(path)?;
                }
            }
            let path = path.clone();
            Ok(Awaited { path, marked })
        };
        paths.iter().map(one).collect()
    }
}

impl Awaited {
    /// Its path when the run wrote it. Otherwise it has its old time again.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn written(self) -> io::Result<Option<PathBuf>> {
        let facts = match fs::metadata(&self.path) {
            Ok(facts) => facts,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match self.marked {
            Some(before) if facts.modified()? == SystemTime::UNIX_EPOCH + MARK => {
                set_modified(&self.path, before)?;
                Ok(None)
            }
            _ => Ok(Some(self.path)),
        }
    }
}

/// The owner may, even where the file is read-only.
fn set_modified(path: &Path, time: SystemTime) -> io::Result<()> {
    File::open(path)?.set_modified(time)
}

/// Two hash functions that differ by what they have seen before.
fn hashers() -> [DefaultHasher; 2] {
    let mut second = DefaultHasher::new();
    second.write_u8(1);
    [DefaultHasher::new(), second]
}

fn without(bytes: &[u8], wanted: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let mut kept = Vec::with_capacity(bytes.len());
    while let Some(&first) = rest.first() {
        match rest.strip_prefix(wanted) {
            Some(tail) if !wanted.is_empty() => rest = tail,
            _ => {
                kept.push(first);
                rest = &rest[1..];
            }
        }
    }
    kept
}

/// What all runs so far wrote.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outputs {
    base: Written,
    head: Written,
    /// By place among the files that are compared, whether any run wrote it.
    files: Vec<bool>,
}

/// What the runs of one side wrote.
#[derive(Debug, Clone, Default)]
struct Written {
    runs: usize,
    /// Each once.
    digests: Vec<Digest>,
}

impl Written {
    fn see(&mut self, digest: Digest) {
        self.runs += 1;
        if !self.digests.contains(&digest) {
            self.digests.push(digest);
        }
    }

    /// What every run wrote; one run alone shows nothing of what the next one will write.
    fn always(&self) -> Option<Digest> {
        match self.digests[..] {
            [digest] if self.runs > 1 => Some(digest),
            _ => None,
        }
    }
}

impl Outputs {
    /// Takes notice of which files one run wrote.
    pub(crate) fn see_files(&mut self, written: &[Option<PathBuf>]) {
        self.files.resize(written.len(), false);
        for (any, one) in self.files.iter_mut().zip(written) {
            *any |= one.is_some();
        }
    }

    /// Whether runs of both sides left a file of that place unwritten, all of them.
    pub(crate) fn is_unwritten(&self, file: usize) -> bool {
        self.files.get(file) == Some(&false)
    }

    /// Takes notice of what one run wrote.
    pub(crate) fn see(&mut self, side: Side, digest: Digest) {
        match side {
            Side::Base => self.base.see(digest),
            Side::Head => self.head.see(digest),
        }
    }

    /// Whether both refs write the same.
    ///
    /// Where one side varies from run to run and the other does not, they differ unless the side
    /// that varies has once written what the other one always writes.
    pub(crate) fn check(&self) -> OutputCheck {
        let (base, head) = (&self.base, &self.head);
        let varies = |side: &Written| side.digests.len() > 1;
        if !varies(base) && !varies(head) {
            return if base.digests == head.digests {
                OutputCheck::Same
            } else {
                OutputCheck::Different
            };
        }
        let never_writes = |always: Option<Digest>, other: &Written| {
            always.is_some_and(|digest| !other.digests.contains(&digest))
        };
        if never_writes(base.always(), head) || never_writes(head.always(), base) {
            OutputCheck::Different
        } else {
            OutputCheck::Unstable
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn digest_of(text: &str, worktree: &str) -> Digest {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        digest(&mut file, Path::new(worktree)).unwrap()
    }

    #[test]
    fn the_worktree_does_not_count_as_output() {
        let base = digest_of("in /t/base/x\n", "/t/base");
        assert_eq!(base, digest_of("in /t/head/x\n", "/t/head"));
        assert_ne!(base, digest_of("in /t/head/y\n", "/t/head"));
        assert_ne!(digest_of("", "/t"), digest_of("\0", "/t"));
    }

    /// A file of the checkout or of an earlier run was taken for what the run had written, so that a
    /// head that writes nothing was as good as one that writes the same, and much faster.
    #[test]
    fn a_file_that_a_run_did_not_write_is_not_its_output() {
        let folder = tempfile::tempdir().unwrap();
        let [tracked, made] = ["tracked", "made"].map(|name| folder.path().join(name));
        fs::write(&tracked, "same").unwrap();
        let before = fs::metadata(&tracked).unwrap().modified().unwrap();
        let paths = [tracked.clone(), made.clone()];
        let mut files = Files::default();
        let mut run = |writes: &[&Path]| -> Vec<bool> {
            let awaited = files.await_run(&paths).unwrap();
            for path in writes {
                fs::write(path, "same").unwrap();
            }
            let written = awaited.into_iter().map(Awaited::written);
            written.map(|file| file.unwrap().is_some()).collect()
        };
        assert_eq!(run(&[&made]), [false, true]);
        assert_eq!(fs::metadata(&tracked).unwrap().modified().unwrap(), before);
        assert_eq!(run(&[&tracked]), [true, false], "left by the run before");
        assert_eq!(run(&[&tracked, &made]), [true, true], "the same again");
        assert_eq!(run(&[]), [false, false]);
        assert!(tracked.exists(), "it may be an input as well");
        let nothing = nothing();
        let top = folder.path();
        let with = |files: [Option<PathBuf>; 1]| with_files(nothing, &files, top).unwrap();
        assert_ne!(with([None]), with([Some(tracked)]));
    }

    #[test]
    fn outputs_are_same_different_or_unstable() {
        let [a, b, c] = ["a", "b", "c"].map(|text| digest_of(text, "/t"));
        use Side::{Base, Head};
        let cases: [(&[(Side, Digest)], OutputCheck); 5] = [
            (&[(Base, a), (Head, a), (Base, a)], OutputCheck::Same),
            (&[(Base, a), (Head, b), (Head, b)], OutputCheck::Different),
            (&[(Base, a), (Head, b), (Base, b)], OutputCheck::Unstable),
            (&[(Base, a), (Head, a), (Head, b)], OutputCheck::Unstable),
            (&[(Base, a), (Base, b), (Head, c)], OutputCheck::Unstable),
        ];
        check(&cases);
    }

    /// A head that never writes what base always writes is wrong, however much it varies.
    #[test]
    fn one_unstable_side_does_not_hide_a_difference() {
        let [a, b, c] = ["a", "b", "c"].map(|text| digest_of(text, "/t"));
        use Side::{Base, Head};
        check(&[
            (
                &[(Base, a), (Head, b), (Base, a), (Head, c)],
                OutputCheck::Different,
            ),
            (
                &[(Head, a), (Base, b), (Head, a), (Base, c)],
                OutputCheck::Different,
            ),
            (
                &[(Base, a), (Head, b), (Base, a), (Head, c), (Head, a)],
                OutputCheck::Unstable,
            ),
            (
                &[(Base, a), (Head, b), (Base, b), (Head, c)],
                OutputCheck::Unstable,
            ),
        ]);
    }

    fn check(cases: &[(&[(Side, Digest)], OutputCheck)]) {
        for &(runs, expected) in cases {
            let mut outputs = Outputs::default();
            for &(side, digest) in runs {
                outputs.see(side, digest);
            }
            assert_eq!(outputs.check(), expected, "{runs:?}");
        }
    }
}
