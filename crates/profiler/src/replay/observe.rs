//! Records, in the order of time, to rows of the profile.

mod images;
mod steps;

use hotproof_profile::{
    Frame, Function, ImageId, Profile, Sample as Row, Sink, SinkError, Source, StackId,
};
use rustc_hash::{FxHashMap, FxHashSet};

use self::images::Images;
use super::alike::{Alike, AlikeChains, Pending, Place};
use super::attr::{Attr, sample_type};
use super::chains::{Chains, Fingerprint, Step, Thread};
use super::header::{BuildId, RecordHeader};
use super::placed::{Gaps, PlacedMaps};
use super::record::{self, NOBODY, Record};
use super::sample::{self, RawSample};
use super::{Counted, ReplayError, SampleRows};
use crate::binary::{Binaries, BinaryId, Unwinding};
use crate::decode::Mmap;
use crate::run_time;
use crate::space::AddressSpace;
use crate::trail::Trails;
use crate::unwind::StackUnwinder;
use crate::world::{Exec, Owner, Task, World};

/// The address of locations that lie in no mapping.
const UNMAPPED: u64 = 0;

/// Mappings may be copied and told this often: a hostile file could ask for more with every fork.
const MOST_MAPS: u64 = 1 << 23;

/// Sees the records of one recording.
pub(super) struct Observer<'a> {
    pub(super) profile: Profile,
    world: World,
    binaries: Binaries,
    unwinder: StackUnwinder,
    trails: Trails,
    chains: Chains,
    /// In use where addresses of one name are not told apart.
    alike_chains: AlikeChains,
    alike: Option<&'a mut Alike<'a>>,
    steps: Vec<Step>,
    frames: Vec<u64>,
    interrupted: Vec<usize>,
    known: FxHashMap<(Vec<u8>, u64, Vec<u8>), BinaryId>,
    build_ids: FxHashMap<Vec<u8>, Vec<u8>>,
    kernel_symbols: Vec<record::KernelSymbol>,
    kernel: BinaryId,
    kernel_image: Option<ImageId>,
    guest_image: Option<ImageId>,
    /// Binaries whose files were looked at.
    opened: FxHashSet<BinaryId>,
    placed: PlacedMaps,
    gaps: Gaps,
    unwinding: Unwinding,
    rows: SampleRows,
    /// What all samples stand for.
    weight_sum: i64,
    /// Where the kernel's first instruction lay, by name of the symbol.
    pub(super) kernel_start: Option<(String, u64)>,
    /// Chains that are as long as they may be.
    pub(super) cut_chains: u64,
    /// First and last time of a sample.
    pub(super) span_ns: Option<(u64, u64)>,
}

/// What finds the images of a process's addresses, of fields of an observer: a method would borrow
/// all of them.
macro_rules! images {
    ($observer:ident, $owner:expr) => {
        Images {
            world: &mut $observer.world,
            binaries: &mut $observer.binaries,
            owner: $owner,
            kernel: $observer.kernel,
            kernel_image: &mut $observer.kernel_image,
            guest_image: &mut $observer.guest_image,
            opened: &mut $observer.opened,
            placed: &mut $observer.placed,
            gaps: &mut $observer.gaps,
        }
    };
}

impl<'a> Observer<'a> {
    /// An observer that has seen nothing. Stacks are unwound when `unwinding` says so. Rows are
    /// summed over stacks of the same names when `alike` is there.
    pub(super) fn new(
        unwinding: Unwinding,
        rows: SampleRows,
        alike: Option<&'a mut Alike<'a>>,
    ) -> Observer<'a> {
        let mut binaries = Binaries::default();
        let kernel = binaries.recorded_kernel(Vec::new());
        Observer {
            profile: Profile::default(),
            world: World::default(),
            binaries,
            unwinder: StackUnwinder::default(),
            trails: Trails::default(),
            chains: Chains::default(),
            alike_chains: AlikeChains::default(),
            alike,
            steps: Vec::new(),
            frames: Vec::new(),
            interrupted: Vec::new(),
            known: FxHashMap::default(),
            build_ids: FxHashMap::default(),
            kernel_symbols: Vec::new(),
            kernel,
            kernel_image: None,
            guest_image: None,
            opened: FxHashSet::default(),
            placed: PlacedMaps::default(),
            gaps: Gaps::default(),
            unwinding,
            rows,
            weight_sum: 0,
            kernel_start: None,
            cut_chains: 0,
            span_ns: None,
        }
    }

    /// Takes the build-ids that the recording tells; they hold for mappings from here on.
    pub(super) fn add_build_ids(&mut self, rows: &[BuildId]) {
        for row in rows {
            if row.path.starts_with(b"[kernel.kallsyms]") {
                self.binaries.recorded_kernel(row.id.clone());
            } else {
                self.build_ids.insert(row.path.clone(), row.id.clone());
            }
        }
    }

    /// Stacks are unwound from here on, or not.
    pub(super) fn set_unwinding(&mut self, unwinding: Unwinding) {
        self.unwinding = unwinding;
    }

    /// Takes the next record.
    pub(super) fn observe(
        &mut self,
        time_ns: u64,
        header: RecordHeader,
        body: &[u8],
        attr: &Attr,
        counted: &mut Counted,
    ) -> Result<(), SinkError> {
        if header.kind == record::SAMPLE {
            let parsed = sample::parse(attr, body);
            return match parsed.and_then(|sample| Some((self.weight(&sample, attr)?, sample))) {
                Some((weight, sample)) => self.sample(time_ns, header.misc, weight, &sample, attr),
                None => {
                    counted.undecodable += 1;
                    Ok(())
                }
            };
        }
        let end = body.len().saturating_sub(attr.trailer_bytes());
        match record::parse(header, &body[..end]) {
            Some(record) => self.take(time_ns, record, counted),
            None => {
                counted.undecodable += 1;
                Ok(())
            }
        }
    }

    fn take(
        &mut self,
        time_ns: u64,
        record: Record,
        counted: &mut Counted,
    ) -> Result<(), SinkError> {
        let task = |pid, tid| Task { pid, tid, time_ns };
        if record.is_of_tasks() {
            // What is remembered by a task's number holds as long as the number is one task's.
            self.settle()?;
        }
        let sink = &mut self.profile;
        match record {
            // It ran before the recording, and its name comes next.
            Record::Fork { parent_pid, .. } if parent_pid == NOBODY => Ok(()),
            Record::Fork {
                pid,
                tid,
                parent_pid,
                parent_tid,
            } => self
                .world
                .fork(task(pid, tid), parent_pid, parent_tid, sink),
            Record::Exit { pid, tid } => {
                self.chains.forget(tid);
                self.alike_chains.forget(tid);
                self.world.exit(task(pid, tid), sink)
            }
            Record::Comm {
                pid,
                tid,
                exec,
                name,
            } => {
                let exec = if exec { Exec::Yes } else { Exec::No };
                self.world.comm(task(pid, tid), &name, exec, sink)
            }
            Record::Mmap { mmap, build_id } => self.mmap(time_ns, &mmap, build_id),
            Record::KernelStart { symbol, address } => {
                self.kernel_start.get_or_insert((symbol, address));
                Ok(())
            }
            Record::KernelSymbol(symbol) => {
                self.kernel_symbols.push(symbol);
                Ok(())
            }
            Record::Lost { count } => {
                counted.lost_records = counted.lost_records.saturating_add(count);
                Ok(())
            }
            Record::LostSamples { count } => {
                counted.lost_samples = counted.lost_samples.saturating_add(count);
                Ok(())
            }
            Record::Throttle => {
                counted.throttled += 1;
                Ok(())
            }
            Record::NotNeeded => Ok(()),
        }
    }

    fn mmap(
        &mut self,
        time_ns: u64,
        mmap: &Mmap,
        build_id: Option<Vec<u8>>,
    ) -> Result<(), SinkError> {
        let told = build_id.or_else(|| self.build_ids.get(&mmap.path).cloned());
        let key = (mmap.path.clone(), mmap.inode, told.unwrap_or_default());
        let binary = match self.known.get(&key) {
            Some(&id) => id,
            // Its addresses are those of one process.
            None if run_time::is_nameless(&mmap.path) => self.binaries.recorded_run_time(mmap.pid),
            None => {
                let id = self.binaries.recorded(&key.0, &key.2, self.unwinding);
                self.known.insert(key, id);
                id
            }
        };
        let sink = &mut self.profile;
        self.world
            .place(time_ns, mmap, binary, &self.binaries, sink)?;
        if self.unwinding == Unwinding::Needed {
            self.unwinder.space_changed();
        }
        Ok(())
    }

    /// Stops when a file makes memory grow faster than itself.
    pub(super) fn check_limits(&self, most_row_bytes: u64, offset: u64) -> Result<(), ReplayError> {
        if self.profile.rows_bytes() as u64 > most_row_bytes {
            return Err(ReplayError::Limit {
                what: "the bytes of the profile's rows",
                limit: most_row_bytes,
                offset,
            });
        }
        let maps = self.world.maps_copied + self.profile.mappings.len() as u64;
        if maps > MOST_MAPS {
            return Err(ReplayError::Limit {
                what: "mappings copied by forks",
                limit: MOST_MAPS,
                offset,
            });
        }
        Ok(())
    }

    /// What a sample stands for; `None` for more than can be added up with all before it, which no
    /// event comes to.
    fn weight(&mut self, sample: &RawSample<'_>, attr: &Attr) -> Option<i64> {
        let period = sample.period.or(attr.period()).unwrap_or(1);
        let weight = i64::try_from(period).ok()?;
        self.weight_sum = self.weight_sum.checked_add(weight)?;
        Some(weight)
    }

    fn sample(
        &mut self,
        time_ns: u64,
        misc: u16,
        weight: i64,
        sample: &RawSample<'_>,
        attr: &Attr,
    ) -> Result<(), SinkError> {
        let task = Task {
            pid: sample.pid,
            tid: sample.tid,
            time_ns,
        };
        if attr.sample_type & sample_type::TID != 0
            && (sample.pid, sample.tid) == (0, 0)
            && self.world.find_thread(0).is_none()
        {
            self.name_idle_task(task)?;
        }
        let owner = self.world.owner(task, &self.binaries, &mut self.profile)?;
        let end = self.fill_steps(misc, sample, attr, &owner);
        self.span_ns = Some(match self.span_ns {
            Some((first, last)) => (first.min(time_ns), last.max(time_ns)),
            None => (time_ns, time_ns),
        });
        let weights = [1, weight];
        let thread = Thread {
            tid: sample.tid,
            row: owner.thread,
        };
        if self.alike.is_some() {
            let sample = Pending {
                thread,
                time_ns,
                weights,
                end,
            };
            return self.alike_sample(&owner, sample);
        }
        let row = Row {
            thread: owner.thread,
            time_ns,
            stack: None,
            weights: &weights,
            cpu: sample.cpu,
            end,
            labels: None,
        };
        self.exact_sample(thread, &owner, row)
    }

    /// Adds the sample of the chain in `self.steps`, whose addresses are kept apart.
    fn exact_sample(
        &mut self,
        thread: Thread,
        owner: &Owner,
        mut row: Row<'_>,
    ) -> Result<(), SinkError> {
        self.forget_unmapped_roots(&owner.space);
        let user = self.steps.iter().any(|step| step.kind.is_user());
        let space = if user { owner.space.version } else { 0 };
        let print = Fingerprint::of(space, &self.steps);
        match self.rows {
            SampleRows::Each => {
                row.stack = match self.chains.find_stack(thread, print) {
                    Some(known) => known,
                    None => {
                        let stack = self.intern(thread, space, owner)?;
                        self.chains.insert_stack(thread, print, stack);
                        stack
                    }
                };
            }
            SampleRows::Summed => {
                let print = print.with(row.end as u64);
                if let Some(known) = self.chains.find(thread, print) {
                    self.add(known as usize, row.weights);
                    return Ok(());
                }
                row.stack = self.intern(thread, space, owner)?;
                row.cpu = None;
                let number = self.next_row();
                self.chains.insert(thread, print, number);
            }
        }
        self.profile.sample(&row)
    }

    /// Adds the sample of the chain in `self.steps`, whose addresses of one name are one.
    fn alike_sample(&mut self, owner: &Owner, sample: Pending) -> Result<(), SinkError> {
        let mut images = images!(self, owner);
        for &step in self.steps.iter().rev() {
            let place = match images.is_nowhere(step) {
                true => Place::NOWHERE,
                false => {
                    let (image, address) = images.place(step, &mut self.profile)?;
                    Place::new(image, address, step.kind.address_kind())
                }
            };
            self.alike_chains.push_step(place);
        }
        match self.alike_chains.push_sample(sample) {
            true => self.settle(),
            false => Ok(()),
        }
    }

    /// Makes rows of the samples that wait for it.
    pub(super) fn settle(&mut self) -> Result<(), SinkError> {
        let alike = self.alike.as_mut();
        let alike = alike.map(|alike| &mut **alike as &mut Alike<'_>);
        self.alike_chains.settle(&mut self.profile, alike)
    }

    /// The number of the row of samples that comes next.
    fn next_row(&self) -> u32 {
        let number = u32::try_from(self.profile.samples.len());
        number.expect("fewer rows than numbers of rows")
    }

    /// The stack of the chain in `self.steps`, which the thread has not shown yet.
    fn intern(
        &mut self,
        thread: Thread,
        space: u64,
        owner: &Owner,
    ) -> Result<Option<StackId>, SinkError> {
        let mut error = None;
        let mut images = images!(self, owner);
        let place = |step, profile: &mut Profile| match images.place(step, profile) {
            Ok(place) => place,
            Err(e) => {
                error = Some(e);
                (None, step.address)
            }
        };
        let (steps, profile) = (&mut self.steps, &mut self.profile);
        let id = self.chains.intern(thread, space, steps, profile, place);
        match error {
            Some(error) => Err(error),
            None => Ok(id),
        }
    }

    fn add(&mut self, row: usize, weights: &[i64]) {
        let columns = &mut self.profile.samples.weights;
        for (column, &weight) in columns.iter_mut().zip(weights) {
            column[row] += weight;
        }
    }

    /// Code without frame pointers leaves any number in the register, at which the kernel's walk
    /// ends. Such outermost addresses lie in no mapping and can never be named; as they are, they
    /// would make every chain a new one.
    fn forget_unmapped_roots(&mut self, space: &AddressSpace) {
        let user = self.steps.iter_mut().rev();
        for step in user.take_while(|step| step.kind.is_user()) {
            let address = step.lookup_address();
            if !self.gaps.hold(space, address) {
                break;
            }
            step.address = UNMAPPED;
        }
    }

    /// No record tells the name of the task that runs when nothing does.
    fn name_idle_task(&mut self, task: Task) -> Result<(), SinkError> {
        let sink = &mut self.profile;
        self.world.comm(task, "swapper", Exec::No, sink)
    }

    /// Names the kernel's symbols that came and went while recording (programs of BPF): no list
    /// has them afterwards.
    pub(super) fn name_kernel_symbols(&mut self) {
        let Some(kernel) = self.kernel_image else {
            return;
        };
        self.kernel_symbols.sort_by_key(|symbol| symbol.start);
        let ids: Vec<_> = self.profile.locations.ids().collect();
        for id in ids {
            let row = &self.profile.locations[id];
            if row.image != Some(kernel) || self.kernel_symbols.is_empty() {
                continue;
            }
            let address = row.lookup_address();
            let after = self
                .kernel_symbols
                .partition_point(|symbol| symbol.start <= address);
            let symbol = self.kernel_symbols[..after].last();
            let Some(symbol) = symbol.filter(|s| address - s.start < u64::from(s.len)) else {
                continue;
            };
            let name = self.profile.strings.intern(&symbol.name);
            let function = self.profile.functions.push(Function {
                name,
                linkage_name: name,
                file: None,
                line: None,
                image: Some(kernel),
                source: Source::Kallsyms,
            });
            let frame = Frame::of(function);
            self.profile.set_frames(id, &[frame]);
        }
    }
}
