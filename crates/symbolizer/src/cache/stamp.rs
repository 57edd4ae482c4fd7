//! What the answers of an image depend on, in a form that is cheap to check.

use std::fs::Metadata;
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hotproof_image::ImageFile;
use rustc_hash::FxHasher;

use super::bytes::Packer;

/// A file that changed so recently could change again without a trace in its times.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Which build of an image an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// By build-id.
    Build(Vec<u8>),
    /// Without one, by the file itself: device, inode, size and times in nanoseconds.
    File([u64; 5]),
}

impl Identity {
    /// Of an image whose build-id is recorded, or else of the file at its path; `None` when nothing
    /// tells its builds apart.
    pub(crate) fn of(path: &Path, recorded: &[u8], now: SystemTime) -> Option<Identity> {
        if !recorded.is_empty() {
            return Some(Identity::Build(recorded.to_vec()));
        }
        let facts = std::fs::metadata(path).ok()?;
        let file = ImageFile::open(path).ok()?;
        match file.build_id() {
            Some(id) if !id.is_empty() => Some(Identity::Build(id.to_vec())),
            _ => is_settled(&facts, now).then(|| Identity::File(identity_of(&facts))),
        }
    }

    /// The name of the entry under a condition. Two conditions that share a name by chance push
    /// each other out; they are never taken for each other, because the entry holds its own.
    pub(crate) fn entry_name(&self, condition: &[u8]) -> String {
        let image = match self {
            Identity::Build(id) => id.iter().map(|byte| format!("{byte:02x}")).collect(),
            Identity::File(facts) => format!("file-{:016x}", hash(facts)),
        };
        format!("{image}-{:016x}", hash(&condition))
    }

    /// The build-id; empty when there is none.
    pub(crate) fn build_id(&self) -> &[u8] {
        match self {
            Identity::Build(id) => id,
            Identity::File(_) => &[],
        }
    }
}

pub(super) fn identity_of(facts: &Metadata) -> [u64; 5] {
    let time = |s: i64, ns: i64| {
        s.wrapping_mul(1_000_000_000)
            .wrapping_add(ns)
            .cast_unsigned()
    };
    [
        facts.dev(),
        facts.ino(),
        facts.size(),
        time(facts.mtime(), facts.mtime_nsec()),
        time(facts.ctime(), facts.ctime_nsec()),
    ]
}

pub(super) fn is_settled(facts: &Metadata, now: SystemTime) -> bool {
    let changed = u64::try_from(facts.ctime()).unwrap_or(0);
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(changed);
    now.duration_since(changed)
        .is_ok_and(|age| age > SETTLED_AFTER)
}

/// Files and how they looked: all places that were searched for an image's names, those without a
/// file included, so that installing or removing debug symbols shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Stamp {
    pub(crate) bytes: Vec<u8>,
}

impl Stamp {
    /// How the files look now, in the order given.
    pub(crate) fn take(paths: &[PathBuf]) -> Stamp {
        let mut packer = Packer::default();
        packer.wide(paths.len() as u64);
        for path in paths {
            // Another process may stand in another folder.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            packer.text(path.as_os_str().as_bytes());
            let facts = std::fs::metadata(&path).ok();
            let [_, inode, size, modified, _] = facts.as_ref().map_or([0; 5], identity_of);
            packer.wide(inode);
            packer.wide(size);
            packer.wide(modified);
        }
        Stamp {
            bytes: packer.bytes,
        }
    }

    /// Whether the files still look as they did; a stamp that makes no sense never holds.
    pub(crate) fn still_holds(bytes: &[u8]) -> bool {
        paths_of(bytes).is_some_and(|paths| Stamp::take(&paths).bytes == bytes)
    }
}

fn paths_of(bytes: &[u8]) -> Option<Vec<PathBuf>> {
    let mut fields = super::bytes::Unpacker { rest: bytes };
    let count = fields.wide()?;
    let mut paths = Vec::new();
    for _ in 0..count {
        let path = std::ffi::OsStr::from_bytes(fields.text()?);
        paths.push(PathBuf::from(path));
        fields.take(24)?;
    }
    Some(paths)
}

/// A number for a value; the same in every process of one build of this program.
pub(crate) fn hash(value: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_holds_until_a_file_comes_goes_or_changes() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["image", "debug", "missing"].map(|name| folder.path().join(name));
        std::fs::write(&paths[0], "image").unwrap();
        std::fs::write(&paths[1], "debug").unwrap();
        let holds = |stamp: &Stamp| Stamp::still_holds(&stamp.bytes);

        let stamp = Stamp::take(&paths);
        assert!(holds(&stamp));
        std::fs::write(&paths[1], "longer").unwrap();
        assert!(!holds(&stamp), "another size");

        let stamp = Stamp::take(&paths);
        let debug = std::fs::File::open(&paths[1]).unwrap();
        debug.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(!holds(&stamp), "another time");

        let stamp = Stamp::take(&paths);
        std::fs::write(&paths[2], "").unwrap();
        assert!(!holds(&stamp), "a file has come");

        let stamp = Stamp::take(&paths);
        std::fs::remove_file(&paths[0]).unwrap();
        assert!(!holds(&stamp), "a file has gone");
        assert!(!Stamp::still_holds(&stamp.bytes[..20]), "cut");
        assert!(!Stamp::still_holds(&[0xff; 8]), "a count without files");
    }

    #[test]
    fn files_without_build_id_are_told_apart_once_they_have_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let recorded = Identity::of(&path, &[1, 2], SystemTime::now());
        assert_eq!(
            recorded,
            Some(Identity::Build(vec![1, 2])),
            "no file needed"
        );
        assert_eq!(Identity::of(&path, &[], SystemTime::now()), None, "no file");
        std::fs::write(&path, "no ELF file").unwrap();
        assert_eq!(
            Identity::of(&path, &[], SystemTime::now()),
            None,
            "no image"
        );

        let source = folder.path().join("a.c");
        std::fs::write(&source, "int f(void) { return 1; }").unwrap();
        let mut compiler = std::process::Command::new("cc");
        compiler.args(["-shared", "-Wl,--build-id=none", "-o"]);
        assert!(compiler.arg(&path).arg(&source).status().unwrap().success());
        assert_eq!(
            Identity::of(&path, &[], SystemTime::now()),
            None,
            "it may change yet"
        );
        let later = SystemTime::now() + 2 * SETTLED_AFTER;
        let found = Identity::of(&path, &[], later);
        assert!(matches!(found, Some(Identity::File(_))), "{found:?}");
        let file = std::fs::File::open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_ne!(Identity::of(&path, &[], later), found, "changed since");
    }
}
