//! Code made at run time: which memory it is, and the files in which its maker writes it down.
//!
//! Two conventions exist. Some compilers keep a text file `/tmp/perf-PID.map` (their own PID, in
//! their own root); others write a binary `jit-PID.dump` and map a page of it executable, so that
//! profilers see where it is. Both are opened while the process lives, because afterwards its root
//! is gone, and are read when all of it is written.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hotproof_image::{HeldFiles, open_code_file};

use crate::decode::Mmap;
use crate::task_stat::TaskStat;

/// Whether memory of this name has no file at all; `[anon:NAME]` is what the process calls it.
pub(crate) fn is_nameless(path: &[u8]) -> bool {
    path.is_empty()
        || path == b"//anon"
        || path.starts_with(b"[anon:")
        || path.starts_with(b"[anon_shmem:")
}

/// Whether a file is memory that a program can put code into without an ELF file: what `memfd`,
/// shared anonymous memory, System V and POSIX shared memory are called.
pub(crate) fn may_be_made(path: &[u8]) -> bool {
    let starts: [&[u8]; 4] = [b"/memfd:", b"/dev/zero", b"/SYSV", b"/dev/shm/"];
    starts.iter().any(|start| path.starts_with(start))
}

/// Whether it is a jitdump, by the name that the convention prescribes.
pub(crate) fn is_dump(path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    name.starts_with(b"jit-") && name.ends_with(b".dump")
}

/// What the image of a process's run-time code is called: its perf map, as seen from here.
pub(crate) fn image_path(pid: u32) -> String {
    format!("/tmp/perf-{pid}.map")
}

/// The open files of the processes that make code.
#[derive(Debug)]
pub(crate) struct CodeFiles {
    by_pid: BTreeMap<u32, Maker>,
    since: SystemTime,
}

/// A process that makes code.
#[derive(Debug, Default)]
struct Maker {
    map: Option<Arc<File>>,
    dumps: Vec<Arc<File>>,
    /// How often its memory was mapped before there was a map.
    looked: u64,
}

impl Default for CodeFiles {
    fn default() -> Self {
        CodeFiles {
            by_pid: BTreeMap::new(),
            since: SystemTime::now(),
        }
    }
}

impl CodeFiles {
    /// A process has mapped memory for code; its map is opened as soon as there is one.
    pub(crate) fn look(&mut self, pid: u32) {
        let maker = self.by_pid.entry(pid).or_default();
        maker.looked += 1;
        // Ever more rarely, because a process may map memory often and never write a map.
        if maker.map.is_none() && maker.looked.is_power_of_two() {
            maker.map = find_map_of_living(pid).map(Arc::new);
        }
    }

    /// A process has mapped its jitdump.
    pub(crate) fn open_dump(&mut self, mmap: &Mmap) {
        let seen = Path::new(std::ffi::OsStr::from_bytes(&mmap.path));
        let below_root = seen.strip_prefix("/").unwrap_or(seen);
        let in_root = PathBuf::from(format!("/proc/{}/root", mmap.pid)).join(below_root);
        let mut places = [in_root, seen.to_owned()].into_iter();
        let file = places.find_map(|place| open(&place));
        let maker = self.by_pid.entry(mmap.pid).or_default();
        maker.dumps.extend(file.map(Arc::new));
    }

    /// Hands over what was opened, and what can be opened now.
    pub(crate) fn hand_over(self, held: &mut HeldFiles) {
        let since = self.since;
        for (pid, maker) in self.by_pid {
            let late = || find_map_of_living(pid).or_else(|| find_map_of_ended(pid, since));
            let map = maker.map.or_else(|| late().map(Arc::new));
            let files = maker.dumps.into_iter().chain(map);
            held.hold_code(&image_path(pid), files.collect());
        }
    }
}

/// The map that a process left behind; one from before this run is another process's.
fn find_map_of_ended(pid: u32, since: SystemTime) -> Option<File> {
    let file = open(Path::new(&image_path(pid)))?;
    is_newer(&file, since).then_some(file)
}

/// The map of a process, in its own root and under its own number there.
fn find_map_of_living(pid: u32) -> Option<File> {
    let started = start_of(pid)?;
    let path = format!("/proc/{pid}/root/tmp/perf-{}.map", own_pid(pid)?);
    let file = open(Path::new(&path))?;
    is_newer(&file, started).then_some(file)
}

fn open(path: &Path) -> Option<File> {
    match open_code_file(path) {
        Ok(file) => file,
        Err(error) => {
            tracing::debug!("{error}");
            None
        }
    }
}

/// Whether a file was written since; clocks of files and processes tick some milliseconds apart.
fn is_newer(file: &File, since: SystemTime) -> bool {
    const SLACK: Duration = Duration::from_secs(2);
    let written = file.metadata().and_then(|facts| facts.modified());
    written.is_ok_and(|written| written + SLACK >= since)
}

/// What a process is called in its own namespace: the last number of `NSpid`.
fn own_pid(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().next_back()?.parse().ok()
}

/// When a process was started, to a second: field 22 of `/proc/PID/stat` counts hundredths of a
/// second (`USER_HZ`) since the boot, whose time `/proc/stat` has.
fn start_of(pid: u32) -> Option<SystemTime> {
    let ticks = TaskStat::of_process(pid)?.number(22)?;
    let boot = std::fs::read_to_string("/proc/stat").ok()?;
    let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?;
    let boot = Duration::from_secs(boot.trim().parse().ok()?);
    Some(SystemTime::UNIX_EPOCH + boot + Duration::from_millis(ticks * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_memory_and_dumps_are_told_apart() {
        for (path, nameless, made, dump) in [
            ("", true, false, false),
            ("//anon", true, false, false),
            ("[anon:v8]", true, false, false),
            ("[heap]", false, false, false),
            ("/memfd:doublemapper (deleted)", false, true, false),
            ("/dev/zero (deleted)", false, true, false),
            ("/home/u/jit-77.dump", false, false, true),
            ("/home/u/jit-77.dump.so", false, false, false),
            ("/usr/lib/libc.so.6", false, false, false),
        ] {
            let bytes = path.as_bytes();
            let found = (is_nameless(bytes), may_be_made(bytes), is_dump(bytes));
            assert_eq!(found, (nameless, made, dump), "{path}");
        }
    }

    #[test]
    fn our_own_start_lies_behind_us_and_our_number_is_ours() {
        let pid = std::process::id();
        let start = start_of(pid).unwrap();
        let now = SystemTime::now() + Duration::from_secs(2);
        assert!(start < now);
        assert!(now.duration_since(start).unwrap() < Duration::from_secs(3_600));
        assert!(own_pid(pid).is_some());
    }

    /// A map that another process of the same number left behind names nothing.
    #[test]
    fn a_map_from_before_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("perf-1.map");
        std::fs::write(&path, "10 8 f\n").unwrap();
        let file = open(&path).unwrap();
        let now = SystemTime::now();
        assert!(is_newer(&file, now));
        assert!(!is_newer(&file, now + Duration::from_secs(60)));
        assert!(open(&folder.path().join("none")).is_none());
        assert!(open(folder.path()).is_none(), "a folder is no map");
    }
}
