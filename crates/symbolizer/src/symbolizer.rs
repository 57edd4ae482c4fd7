//! Names the locations of profiles, and remembers what it has named.

use std::collections::{BTreeMap, VecDeque};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hotproof_image::{DebugPlaces, HeldFiles};
use hotproof_profile::{ImageId, ImageKind, LocationId, LocationState, Profile};
use rustc_hash::FxHashMap;

use crate::alike::Alike;
use crate::answer::{AddressNames, Answer, NamedAddress, RowMap, StoredAnswer, Tables};
use crate::cache::{Cache, CacheError};
use crate::files::{Detail, Wanted};
use crate::kernel::{self, KernelNames};
use crate::recall::Recall;
use crate::run_time::{RunTimeNames, sources_of};
use crate::summary::{ImageOutcome, Problem, Summary};
use crate::worker::Worker;
use crate::writer::{FunctionRows, Writer};

/// What distinguishes one build of one image from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ImageKey {
    pub(crate) path: String,
    pub(crate) build_id: Vec<u8>,
    pub(crate) kind: ImageKind,
    /// Without a build-id, the file itself: device, inode, size, time of change in nanoseconds.
    file: Option<(u64, u64, u64, i64, i64)>,
}

/// What is known of one image.
#[derive(Default)]
pub(crate) struct ImageState {
    worker: Option<Worker>,
    tables: Tables,
    /// By the relative address that was looked up.
    answers: FxHashMap<u64, Answer>,
    problems: Vec<Problem>,
    /// Batches that the worker has not answered yet, oldest first.
    asked: VecDeque<Vec<u64>>,
    /// Where the worker's rows are in `tables`.
    worker_rows: RowMap,
    /// Its entry in the cache on disk; the outer `None` until it was looked for.
    pub(crate) recall: Option<Option<Recall>>,
    /// Why sections could not be kept since this was last reported.
    unkept: Option<CacheError>,
    /// Files that the worker's answers depend on.
    looked_at: Vec<PathBuf>,
    detail: Detail,
    /// Whether its addresses are those of stacks.
    has_stacks: bool,
    /// Addresses that the cache on disk answered since this was last reported.
    recalled: u64,
    /// Addresses that files were read for since this was last reported.
    read: u64,
}

/// Names addresses. It keeps its mapped files and its answers, so that naming many profiles of the
/// same binaries costs the first one's time and then lookups alone.
///
/// An image that could not be opened is tried again with the next profile.
#[derive(Default)]
pub struct Symbolizer {
    pub(crate) places: DebugPlaces,
    pub(crate) images: FxHashMap<ImageKey, ImageState>,
    pub(crate) kernel: Option<KernelNames>,
    pub(crate) cache: Option<Cache>,
    /// Whether only [`Symbolizer::keep_names`] writes names into the cache.
    keeps_late: bool,
    /// By image row; only while a profile comes into being.
    pub(crate) alike: Vec<Option<Alike>>,
    /// Why names could not be kept since this was last reported.
    unkept: Option<CacheError>,
    /// By image; only while a profile is named.
    run_time: FxHashMap<ImageKey, RunTimeNames>,
    pub(crate) held: HeldFiles,
    pub(crate) detail: Detail,
}

/// The unresolved locations of one image row.
struct Work {
    image: ImageId,
    path: String,
    kind: ImageKind,
    key: ImageKey,
    locations: Vec<LocationId>,
    /// Why nothing is looked up.
    refused: Option<Problem>,
}

impl Symbolizer {
    /// A symbolizer that looks for debug files where this system keeps them.
    pub fn new() -> Self {
        Self::default()
    }

    /// A symbolizer that looks for debug files elsewhere.
    pub fn with_debug_places(places: DebugPlaces) -> Self {
        Symbolizer {
            places,
            ..Self::default()
        }
    }

    /// The same, but names are kept on disk and read from there. An image with a problem is read
    /// again each time, so that the problem is said each time.
    #[must_use]
    pub fn with_cache(mut self, cache: Cache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// The same, but names are written to disk by [`Symbolizer::keep_names`] alone: once after many
    /// profiles, of which each may hold a few new addresses.
    #[must_use]
    pub fn keeping_late(mut self) -> Self {
        self.keeps_late = true;
        self
    }

    /// The same, to find out this much of each address. The cache on disk has entries of its own for
    /// each detail: names are the same whether or not they were kept, and poorer answers never take
    /// the place of richer ones.
    #[must_use]
    pub fn with_detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// Gives it what a recorder still has open: it is preferred to what lies at the same paths now.
    pub fn hold(&mut self, files: HeldFiles) {
        self.held = files;
    }

    /// Gives every unresolved location its symbol and frames, or marks it unknown.
    ///
    /// It never fails as a whole: an image that cannot be read is reported in the summary, and the
    /// others go on. The same profile gives the same rows in the same order, whatever was named
    /// before it.
    pub fn symbolize(&mut self, profile: &mut Profile) -> Summary {
        self.end_alike();
        let (homeless, work) = self.plan(profile);
        for item in &work {
            self.ask(profile, item);
        }
        let mut summary = Summary {
            locations: homeless.len() as u64,
            ..Summary::default()
        };
        for location in homeless {
            profile.set_frames(location, &[]);
        }
        let mut functions = FunctionRows::of(profile);
        for item in work {
            let outcome = self.finish(profile, &mut functions, &item);
            summary.locations += outcome.locations;
            summary.resolved += outcome.resolved;
            summary.images.push(outcome);
        }
        let unkept = self.unkept.take();
        summary.unkept = unkept.map(|error| error.to_string());
        // What names run-time code may have grown when it is asked again.
        self.images.retain(|key, _| key.kind != ImageKind::Jit);
        self.run_time.clear();
        summary
    }

    /// Names addresses of an ELF file, in their order; an address without a name gets an empty
    /// answer. A relative address counts from the file's lowest loadable address, and must lie in
    /// an instruction: one back from a return address.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn symbolize_addresses(
        &mut self,
        path: &Path,
        relative_addresses: &[u64],
    ) -> Result<Vec<NamedAddress>, Problem> {
        let names = self.name_addresses(path, relative_addresses)?;
        Ok(names.to_owned())
    }

    /// The same, without values of its own for each address: addresses that have names in common
    /// share them.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn name_addresses(
        &mut self,
        path: &Path,
        relative_addresses: &[u64],
    ) -> Result<AddressNames<'_>, Problem> {
        let text = path.to_string_lossy().into_owned();
        let key = key(text, Vec::new(), ImageKind::Elf);
        let state = self.images.entry(key.clone());
        let state = state.or_insert_with(|| ImageState::of(self.detail));
        let unknown = state.unknown(relative_addresses);
        state.ask(&key, &self.places, &self.held, self.cache.as_ref(), unknown);
        state.receive();
        let stored = |address| state.answers.get(address).map(|&answer| answer.into());
        let answers: Option<Vec<StoredAnswer>> = relative_addresses.iter().map(stored).collect();
        match answers {
            Some(answers) => Ok(AddressNames::new(answers, &self.images[&key].tables)),
            None => {
                let problem = state.problems.pop().unwrap_or(Problem::NoSymbols);
                self.images.remove(&key);
                Err(problem)
            }
        }
    }

    /// What is wrong with a file whose addresses were named by
    /// [`Symbolizer::symbolize_addresses`], or with its debug file; empty when nothing is known to
    /// be.
    pub fn problems_of(&self, path: &Path) -> &[Problem] {
        let text = path.to_string_lossy().into_owned();
        let state = self.images.get(&key(text, Vec::new(), ImageKind::Elf));
        state.map_or(&[], |state| &state.problems)
    }

    /// Writes what [`Symbolizer::symbolize_addresses`] has learnt into the cache on disk, if there
    /// is one: once, after many calls. [`Symbolizer::symbolize`] keeps its names itself, unless it
    /// is [`Symbolizer::keeping_late`].
    ///
    /// # Errors
    /// When the cache cannot be written. The names are right all the same.
    pub fn keep_names(&mut self) -> Result<(), CacheError> {
        let results: Vec<_> = self.images.values_mut().map(ImageState::save).collect();
        results.into_iter().collect()
    }

    /// Sorts the unresolved locations by image; those without an image come apart.
    fn plan(&self, profile: &Profile) -> (Vec<LocationId>, Vec<Work>) {
        let mut homeless = Vec::new();
        let mut by_image: BTreeMap<ImageId, Vec<LocationId>> = BTreeMap::new();
        for (id, row) in profile.locations.iter() {
            match row.image {
                _ if row.state != LocationState::Unresolved => {}
                Some(image) => by_image.entry(image).or_default().push(id),
                None => homeless.push(id),
            }
        }
        let work = by_image.into_iter().map(|(image, locations)| {
            let row = &profile.images[image];
            let path = profile.strings[row.path].to_owned();
            let refused = match row.kind {
                ImageKind::Elf | ImageKind::Vdso | ImageKind::Jit => None,
                ImageKind::Kernel | ImageKind::Module => {
                    kernel::check_same_boot(&profile.meta).err()
                }
                ImageKind::Anonymous => Some(Problem::NoFile),
            };
            Work {
                image,
                key: key(path.clone(), row.build_id.clone(), row.kind),
                path,
                kind: row.kind,
                locations,
                refused,
            }
        });
        (homeless, work.collect())
    }

    /// Starts the lookup of what is not known yet.
    fn ask(&mut self, profile: &Profile, work: &Work) {
        if work.refused.is_some() {
            return;
        }
        let state = self.images.entry(work.key.clone());
        let state = state.or_insert_with(|| ImageState::of(self.detail));
        state.has_stacks = true;
        let address = |&id: &LocationId| profile.locations[id].lookup_address();
        let addresses: Vec<u64> = work.locations.iter().map(address).collect();
        let addresses = state.unknown(&addresses);
        match work.key.kind {
            ImageKind::Kernel => {
                let cache = self.cache.as_ref();
                let unkept = state.ask_kernel(&mut self.kernel, cache, &addresses);
                self.unkept = unkept.or(self.unkept.take());
            }
            ImageKind::Jit => {
                let sources = || sources_of(profile, work.image, &self.held);
                let names = self.run_time.entry(work.key.clone());
                let names = names.or_insert_with(|| RunTimeNames::read(&sources()));
                state.ask_run_time(names, &addresses);
            }
            _ => {
                let cache = self.cache.as_ref();
                state.ask(&work.key, &self.places, &self.held, cache, addresses);
            }
        }
    }

    /// Takes the answers and writes them into the profile.
    fn finish(
        &mut self,
        profile: &mut Profile,
        functions: &mut FunctionRows,
        work: &Work,
    ) -> ImageOutcome {
        let state = self.images.entry(work.key.clone()).or_default();
        state.receive();
        if !self.keeps_late
            && let Err(error) = state.save()
        {
            self.unkept = Some(error);
        }
        let (recalled, read) = (state.recalled, state.read);
        (state.recalled, state.read) = (0, 0);
        let (answers, problems) = match &work.refused {
            Some(problem) => (&FxHashMap::default(), vec![problem.clone()]),
            None => (&state.answers, state.problems.clone()),
        };
        let mut writer = Writer::new(profile, functions, work.image, &state.tables);
        for &location in &work.locations {
            writer.write(location, answers);
        }
        let (resolved, sources) = writer.finish();
        if state.answers.is_empty() {
            self.images.remove(&work.key);
        }
        ImageOutcome {
            path: work.path.clone(),
            kind: work.kind,
            locations: work.locations.len() as u64,
            resolved,
            recalled,
            read,
            sources,
            problems,
        }
    }
}

pub(crate) fn key(path: String, build_id: Vec<u8>, kind: ImageKind) -> ImageKey {
    // The kernel and its modules share one list of symbols and one space of addresses.
    if matches!(kind, ImageKind::Kernel | ImageKind::Module) {
        return ImageKey {
            path: String::new(),
            build_id: Vec::new(),
            kind: ImageKind::Kernel,
            file: None,
        };
    }
    let file = match kind {
        ImageKind::Elf if build_id.is_empty() => std::fs::metadata(&path).ok(),
        _ => None,
    };
    ImageKey {
        path,
        build_id,
        kind,
        file: file.map(|f| (f.dev(), f.ino(), f.size(), f.mtime(), f.mtime_nsec())),
    }
}

impl ImageState {
    /// An image of which nothing is known yet. The detail never changes, for the worker and the
    /// entry in the cache must agree on it.
    pub(crate) fn of(detail: Detail) -> ImageState {
        ImageState {
            detail,
            ..ImageState::default()
        }
    }

    /// The addresses without an answer, sorted, each once.
    fn unknown(&self, addresses: &[u64]) -> Vec<u64> {
        let known = |address: &&u64| self.answers.contains_key(address);
        let mut unknown: Vec<u64> = addresses.iter().filter(|a| !known(a)).copied().collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    fn ask(
        &mut self,
        key: &ImageKey,
        places: &DebugPlaces,
        held: &HeldFiles,
        cache: Option<&Cache>,
        mut addresses: Vec<u64>,
    ) {
        // What is held is not what the path leads to now, and names are kept by the path.
        let held = held.image(&key.path, &key.build_id);
        let of_names = cache.filter(|_| held.is_none());
        self.remember(key, places, of_names, &mut addresses);
        if addresses.is_empty() {
            return;
        }
        if self.worker.is_none() {
            let started = Worker::start(Wanted {
                path: PathBuf::from(&key.path),
                build_id: key.build_id.clone(),
                kind: key.kind,
                places: places.clone(),
                held: held.cloned(),
                detail: self.detail,
                cache: cache.cloned(),
                has_stacks: self.has_stacks,
            });
            match started {
                Ok(worker) => {
                    self.worker = Some(worker);
                    self.worker_rows = RowMap::default();
                }
                Err(problem) => self.problems = vec![problem],
            }
        }
        if let Some(worker) = &self.worker {
            worker.ask(addresses.clone());
            self.asked.push_back(addresses);
        }
    }

    fn receive(&mut self) {
        while let (Some(asked), Some(worker)) = (self.asked.pop_front(), &self.worker) {
            match worker.receive() {
                Ok(batch) => {
                    self.problems = batch.problems;
                    self.unkept = batch.unkept.or(self.unkept.take());
                    self.worker_rows.append(&mut self.tables, batch.rows);
                    let answers = batch.answers.into_iter();
                    let answers = answers.map(|answer| self.worker_rows.translate(answer.unpack()));
                    self.answers.extend(asked.iter().copied().zip(answers));
                    if batch.is_open {
                        self.read += asked.len() as u64;
                        self.looked_at = batch.looked_at;
                        if let Some(Some(recall)) = &mut self.recall {
                            recall.learn(&asked);
                        }
                    } else {
                        self.worker = None;
                    }
                }
                // Rows of another thread would count from 0 again, so nothing of this one stays.
                Err(problem) => {
                    *self = ImageState {
                        problems: vec![problem],
                        ..ImageState::of(self.detail)
                    };
                }
            }
        }
        self.asked.clear();
    }

    fn ask_run_time(&mut self, names: &mut RunTimeNames, addresses: &[u64]) {
        self.problems = names.problems().to_vec();
        let (answers, rows) = names.name_all(addresses);
        self.tables.append(rows);
        self.answers.extend(addresses.iter().copied().zip(answers));
    }

    /// Takes the addresses that the cache on disk answers.
    fn remember(
        &mut self,
        key: &ImageKey,
        places: &DebugPlaces,
        cache: Option<&Cache>,
        addresses: &mut Vec<u64>,
    ) {
        let Some(cache) = cache.filter(|_| key.kind == ImageKind::Elf && !addresses.is_empty())
        else {
            return;
        };
        self.open_recall(key, places, cache);
        if let Some(Some(recall)) = &mut self.recall {
            let answers = recall.answer(addresses, &mut self.tables);
            self.recalled += answers.len() as u64;
            self.answers.extend(answers);
        }
    }

    /// The entry of the cache, opened once.
    fn open_recall(&mut self, key: &ImageKey, places: &DebugPlaces, cache: &Cache) {
        self.recall.get_or_insert_with(|| {
            let path = Path::new(&key.path);
            Recall::open(cache, path, &key.build_id, places, self.detail)
        });
    }

    /// The entry of the cache, to be given back.
    pub(crate) fn take_recall(
        &mut self,
        key: &ImageKey,
        places: &DebugPlaces,
        cache: &Cache,
    ) -> Option<Recall> {
        self.open_recall(key, places, cache);
        self.recall.take().flatten()
    }

    /// Keeps what was learnt on disk.
    fn save(&mut self) -> Result<(), CacheError> {
        let saved = match &mut self.recall {
            // Problems are not kept, and an answer without them would look better than it is.
            Some(Some(recall)) if self.problems.is_empty() => {
                recall.save(&self.answers, &self.tables, &self.looked_at)
            }
            _ => Ok(()),
        };
        self.unkept.take().map_or(saved, Err)
    }

    /// Names kernel addresses; why the kernel's list could not be kept, if so.
    fn ask_kernel(
        &mut self,
        kernel: &mut Option<KernelNames>,
        cache: Option<&Cache>,
        addresses: &[u64],
    ) -> Option<CacheError> {
        if addresses.is_empty() {
            return None;
        }
        let kernel = kernel.get_or_insert_with(|| KernelNames::new(cache));
        match kernel.name_all(addresses, cache) {
            Ok(batch) => {
                self.problems.clear();
                self.recalled += batch.recalled;
                self.read += addresses.len() as u64 - batch.recalled;
                self.tables.append(batch.rows);
                self.answers
                    .extend(addresses.iter().copied().zip(batch.answers));
                batch.unkept
            }
            Err(problem) => {
                self.problems = vec![problem];
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotproof_profile::{AddressKind, Image, Location};

    /// The kernel's list, which takes a while to read, is asked for when there is an address of the
    /// kernel, and not before.
    #[test]
    fn the_kernels_list_is_read_for_its_addresses_alone() {
        let own = std::env::current_exe().unwrap();
        let named = |symbolizer: &mut Symbolizer, path: &str, kind| {
            let mut profile = Profile::default();
            let path = profile.strings.intern(path);
            let image = profile.images.push(Image {
                path,
                build_id: Vec::new(),
                kind,
            });
            let row = Location::unresolved(Some(image), 0x2000, AddressKind::Ip);
            profile.locations.push(row);
            symbolizer.symbolize(&mut profile);
        };
        let mut symbolizer = Symbolizer::new();
        named(&mut symbolizer, own.to_str().unwrap(), ImageKind::Elf);
        assert!(symbolizer.kernel.is_none());
        named(&mut symbolizer, "[kernel]", ImageKind::Kernel);
        assert!(symbolizer.kernel.is_some());
    }
}
