//! Answers of one image from an earlier run, and for a later one.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use hotproof_image::DebugPlaces;
use rustc_hash::FxHashMap;

use crate::answer::{Answer, Tables};
use crate::cache::{Cache, CacheError, Entry, EntryRows, Head, Identity, Stamp};
use crate::files::Detail;

/// More addresses of one image than this are not kept: laying them out would cost more than the
/// rare second look at them saves.
const MOST_ADDRESSES: usize = 1 << 18;

/// The entry of one image.
#[derive(Debug)]
pub(crate) struct Recall {
    cache: Cache,
    name: String,
    head: Head,
    entry: Option<Entry>,
    /// Addresses whose answers the entry does not have yet.
    fresh: Vec<u64>,
}

impl Recall {
    /// Looks for the entry of an image with answers of one detail; `None` when nothing tells its builds apart.
    pub(crate) fn open(
        cache: &Cache,
        path: &Path,
        build_id: &[u8],
        places: &DebugPlaces,
        detail: Detail,
    ) -> Option<Recall> {
        let path = &std::path::absolute(path).ok()?;
        let identity = Identity::of(path, build_id, SystemTime::now())?;
        let servers = places.debuginfod.as_ref().map(|client| client.servers());
        // Names depend on the code that finds them, so each build of a program has its own entries.
        let condition = format!(
            "{} {:?} {:?} {:?} {servers:?} {detail:?} {path:?} {identity:?}",
            env!("CARGO_PKG_VERSION"),
            program(),
            places.root,
            places.folders,
        );
        let mut head = Head::of_image(&path.to_string_lossy(), identity.build_id());
        head.condition = condition.into_bytes();
        let name = identity.entry_name(&head.condition);
        let entry = read(cache, &name, &head).filter(|entry| Stamp::still_holds(entry.stamp()));
        Some(Recall {
            cache: cache.clone(),
            name,
            head,
            entry,
            fresh: Vec::new(),
        })
    }

    /// The answers that are known from earlier; the addresses, which must be sorted, lose them.
    pub(crate) fn answer(
        &mut self,
        addresses: &mut Vec<u64>,
        tables: &mut Tables,
    ) -> Vec<(u64, Answer)> {
        match &mut self.entry {
            Some(entry) => entry.answer(addresses, tables),
            None => Vec::new(),
        }
    }

    /// The row of the innermost frame at an address plus one, 0 for no name; `None` when the entry
    /// does not know it.
    pub(crate) fn frame_of(&mut self, address: u64) -> Option<u32> {
        self.entry.as_mut()?.frame_of(address)
    }

    /// The rows of the functions of a frame, innermost first.
    pub(crate) fn functions_of(&self, frame: u32) -> Option<Vec<u32>> {
        self.entry.as_ref()?.functions_of(frame)
    }

    /// Notes addresses that were answered without the entry.
    pub(crate) fn learn(&mut self, addresses: &[u64]) {
        self.fresh.extend_from_slice(addresses);
    }

    /// Writes what was learnt, together with what the entry holds by now; `looked_at` are the files
    /// that the answers depend on, none when they depend on more than files.
    pub(crate) fn save(
        &mut self,
        answers: &FxHashMap<u64, Answer>,
        tables: &Tables,
        looked_at: &[PathBuf],
    ) -> Result<(), CacheError> {
        let fresh = std::mem::take(&mut self.fresh);
        if fresh.is_empty() || fresh.len() > MOST_ADDRESSES || looked_at.is_empty() {
            return Ok(());
        }
        let stamp = Stamp::take(looked_at);
        let mut earlier_tables = Tables::default();
        // Another process may have added to it since it was read.
        let earlier = read(&self.cache, &self.name, &self.head)
            .filter(|entry| entry.stamp() == stamp.bytes && entry.len() <= MOST_ADDRESSES)
            .map_or(Vec::new(), |mut entry| entry.all(&mut earlier_tables));
        let fresh = fresh
            .iter()
            .filter_map(|address| Some((*address, *answers.get(address)?, 1)));
        let mut rows: Vec<_> = earlier
            .iter()
            .map(|(at, answer)| (*at, *answer, 0))
            .collect();
        rows.extend(fresh);
        rows.sort_by_key(|&(address, _, source)| (address, source));
        rows.dedup_by_key(|row| row.0);
        self.head.names = rows.len() as u64;
        let body = EntryRows::of(&rows, &[&earlier_tables, tables]).body(&stamp);
        self.cache.write(&self.name, &self.head, &body)
    }
}

fn read(cache: &Cache, name: &str, head: &Head) -> Option<Entry> {
    let opened = cache.read(name)?;
    (opened.head.condition == head.condition).then(|| Entry::of(opened))?
}

/// This program: its size and the time it was built, in seconds and nanoseconds.
fn program() -> Option<(u64, i64, i64)> {
    use std::os::unix::fs::MetadataExt;
    static PROGRAM: OnceLock<Option<(u64, i64, i64)>> = OnceLock::new();
    *PROGRAM.get_or_init(|| {
        let facts = std::fs::metadata("/proc/self/exe").ok()?;
        Some((facts.size(), facts.mtime(), facts.mtime_nsec()))
    })
}
