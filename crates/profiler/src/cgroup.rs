//! A control group for the target, so that events can be opened per CPU and still see it alone.
//!
//! Events that tasks inherit from each other start a full period in each new task: of tasks shorter
//! than a period they miss most. Events of a CPU that are scoped to a control group run on through
//! all tasks in it. They need permission to watch whole CPUs, and a version 2 control group that we
//! may write.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A group of our own below the one that we are in. It is removed when dropped.
#[derive(Debug)]
pub(crate) struct TargetGroup {
    path: PathBuf,
    directory: File,
}

/// Groups are named `hotproof-PID-NUMBER`.
const NAME: &str = "hotproof-";

impl TargetGroup {
    /// Makes a group, where the system permits.
    ///
    /// It is `None` when our own group shares out resources to its children, because then the
    /// target would be scheduled otherwise than without us.
    pub(crate) fn create() -> Option<TargetGroup> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let parent = own_group()?;
        let controllers = fs::read_to_string(parent.join("cgroup.subtree_control")).ok()?;
        if !controllers.trim().is_empty() {
            return None;
        }
        remove_stale(&parent);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{NAME}{}-{number}", std::process::id()));
        fs::create_dir(&path).ok()?;
        match File::open(&path) {
            Ok(directory) => Some(TargetGroup { path, directory }),
            Err(_) => {
                let _ = fs::remove_dir(&path);
                None
            }
        }
    }

    /// The group's directory, as events and new processes want it.
    pub(crate) fn directory(&self) -> &File {
        &self.directory
    }

    /// CPU time of everybody who was ever in it: `usage_usec` of `cpu.stat`, which the scheduler
    /// counts without ticks or periods. `None` when it cannot be read.
    pub(crate) fn cpu_ns(&self) -> Option<u64> {
        let text = fs::read_to_string(self.path.join("cpu.stat")).ok()?;
        usage_ns(&text)
    }

    /// Whether nobody is in it.
    pub(crate) fn is_empty(&self) -> bool {
        let members = fs::read_to_string(self.path.join("cgroup.procs"));
        members.is_ok_and(|list| list.trim().is_empty())
    }
}

impl Drop for TargetGroup {
    /// What a target left behind goes on in the group above.
    fn drop(&mut self) {
        if fs::remove_dir(&self.path).is_ok() {
            return;
        }
        if let Err(error) = empty_and_remove(&self.path) {
            tracing::debug!("{}: {error}", self.path.display());
        }
    }
}

fn usage_ns(cpu_stat: &str) -> Option<u64> {
    let usage = |line: &str| line.strip_prefix("usage_usec ")?.trim().parse::<u64>().ok();
    cpu_stat.lines().find_map(usage)?.checked_mul(1_000)
}

fn empty_and_remove(path: &Path) -> io::Result<()> {
    let parent = path.parent().ok_or(io::ErrorKind::NotFound)?;
    let members = fs::read_to_string(path.join("cgroup.procs"))?;
    for member in members.lines() {
        // One that has ended meanwhile is as good as moved.
        let _ = fs::write(parent.join("cgroup.procs"), member);
    }
    fs::remove_dir(path)
}

/// Removes empty groups of recorders that were killed.
fn remove_stale(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| {
            name.strip_prefix(NAME)?
                .split('-')
                .next()?
                .parse::<u32>()
                .ok()
        });
        if let Some(pid) = owner
            && !Path::new(&format!("/proc/{pid}")).exists()
        {
            // Fails when somebody is in it, and then it stays.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Our own group's directory in the version 2 hierarchy.
fn own_group() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    group_path(&mounts, &groups)
}

/// Joins the mount of `cgroup2` (`/proc/self/mountinfo`: root and mount point are the fourth and
/// fifth field, the type follows a lone dash) and our place in it (`0::/path`).
fn group_path(mounts: &str, groups: &str) -> Option<PathBuf> {
    let within = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut fields = place.split(' ').skip(3);
        let (root, mount) = (fields.next()?, fields.next()?);
        if !kind.starts_with("cgroup2 ") {
            return None;
        }
        let below_root = Path::new("/").join(within);
        let relative = below_root.strip_prefix(root).ok()?;
        Some(Path::new(mount).join(relative))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Hybrid systems, pure ones, and containers that see a part of the hierarchy.
    #[test]
    fn our_group_is_found_in_the_mounts() {
        let hybrid = "30 1 0:3 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let pure = "35 25 0:30 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        let part = "35 25 0:30 /a/b /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let cases = [
            (hybrid, "1:cpu:/\n0::/\n", Some("/sys/fs/cgroup/unified")),
            (
                pure,
                "0::/user.slice/s.scope\n",
                Some("/sys/fs/cgroup/user.slice/s.scope"),
            ),
            (part, "0::/a/b/c\n", Some("/sys/fs/cgroup/c")),
            (part, "0::/elsewhere\n", None),
            ("", "0::/\n", None),
            (pure, "1:cpu:/\n", None),
        ];
        for (mounts, groups, expected) in cases {
            let found = group_path(mounts, groups);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{groups}");
        }
    }

    #[test]
    fn the_usage_is_found_in_the_statistics() {
        let cases = [
            ("usage_usec 7250\nuser_usec 3\n", Some(7_250_000)),
            ("user_usec 3\nusage_usec 0", Some(0)),
            ("usage_usec 99999999999999999999", None),
            ("usage_usec 18446744073709551615", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(usage_ns(text), expected, "{text}");
        }
    }

    /// A group that is dropped is gone.
    #[test]
    fn a_dropped_group_is_gone() {
        let Some(group) = TargetGroup::create() else {
            // Written past the test harness, which would keep it to itself.
            let _ = writeln!(io::stderr(), "skipped: no control group can be made here");
            return;
        };
        assert!(group.is_empty());
        assert_eq!(group.cpu_ns(), Some(0));
        let path = group.path.clone();
        assert!(path.is_dir());
        drop(group);
        assert!(!path.exists());
    }
}
