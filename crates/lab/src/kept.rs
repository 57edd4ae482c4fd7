//! The builds that are kept between comparisons, for a user who asks what they take.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cache::Cache;
use crate::error::LabError;

/// A build that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBuild {
    /// Its folder, which holds the checkout and what was built in it.
    pub folder: PathBuf,
    /// The program that cargo built, relative to the folder; `None` where something else built it.
    pub program: Option<PathBuf>,
    /// How long the build took, in seconds.
    pub build_s: u64,
    /// The size of its files.
    pub size_bytes: u64,
    /// When a comparison last used it.
    pub used: SystemTime,
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClearedBuilds {
    /// How many builds.
    pub builds: u64,
    /// Their size together.
    pub size_bytes: u64,
    /// How many stay, because a comparison that runs uses them.
    pub in_use: u64,
}

/// How large all builds together may grow, in bytes: `HOTPROOF_CACHE_BYTES`, or 8 GiB.
pub fn builds_limit_bytes() -> u64 {
    crate::cache::limit_bytes()
}

/// The builds kept below the cache folder `root`, those used last first; none where there is no
/// such folder.
pub fn kept_builds(root: &Path) -> Vec<KeptBuild> {
    let mut all = Cache::existing(root).map_or_else(Vec::new, |cache| cache.kept());
    all.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.folder.cmp(&b.folder)));
    all
}

/// Removes the builds kept below the cache folder `root`, and what killed comparisons have left
/// there, but for those in use.
///
/// # Errors
/// When one of them cannot be locked or removed; those before it are gone.
pub fn clear_builds(root: &Path) -> Result<ClearedBuilds, LabError> {
    let mut cleared = ClearedBuilds::default();
    let Some(cache) = Cache::existing(root) else {
        return Ok(cleared);
    };
    let kept = cache.kept();
    for name in cache.names() {
        let build = kept.iter().find(|kept| kept.folder.ends_with(&name));
        if !cache.remove(&name)? {
            cleared.in_use += 1;
        } else if let Some(build) = build {
            cleared.builds += 1;
            cleared.size_bytes += build.size_bytes;
        }
    }
    Ok(cleared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Finished, Key};
    use std::fs;

    fn build(cache: &Cache, key: &str) {
        let mut slot = cache.slot(&Key::of(&[&key])).unwrap().unwrap();
        fs::create_dir_all(slot.path()).unwrap();
        fs::write(slot.path().join("bench"), "ten bytes.").unwrap();
        slot.finish(Finished {
            executable: Some("bench".into()),
            seconds: 3,
        })
        .unwrap();
    }

    #[test]
    fn builds_are_listed_and_cleared_but_for_those_in_use() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(kept_builds(root.path()), []);
        assert_eq!(clear_builds(root.path()).unwrap(), ClearedBuilds::default());
        assert_eq!(
            fs::read_dir(root.path()).unwrap().count(),
            0,
            "nothing made"
        );
        let cache = Cache::open(root.path()).unwrap();
        build(&cache, "a");
        build(&cache, "b");
        // One that was killed has no record.
        fs::create_dir(root.path().join("builds/0-00")).unwrap();
        let used = cache.slot(&Key::of(&[&"b"])).unwrap().unwrap();
        let all = kept_builds(root.path());
        assert_eq!(all.len(), 2);
        let facts = |build: &KeptBuild| (build.size_bytes, build.build_s, build.program.clone());
        assert_eq!(facts(&all[1]), (10, 3, Some("bench".into())));
        let expected = |builds, in_use| ClearedBuilds {
            builds,
            size_bytes: builds * 10,
            in_use,
        };
        assert_eq!(clear_builds(root.path()).unwrap(), expected(1, 1));
        assert!(used.path().join("bench").is_file());
        drop(used);
        assert_eq!(clear_builds(root.path()).unwrap(), expected(1, 0));
        let left = fs::read_dir(root.path().join("builds")).unwrap();
        assert_eq!(left.count(), 0);
    }
}
