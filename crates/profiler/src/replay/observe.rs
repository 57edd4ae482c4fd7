//! Records, in the order of time, to rows of the profile.

use hotproof_profile::{
    Frame, Function, ImageId, Profile, Sample as Row, Sink, SinkError, Source, StackEnd, StackId,
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::alike::{Alike, AlikeChains, Pending, Place};
use super::attr::{Attr, sample_type};
use super::chains::{Chains, Fingerprint, Step, StepKind, Thread};
use super::header::{BuildId, RecordHeader};
use super::placed::{Gaps, Placed, PlacedMaps};
use super::record::{self, NOBODY, Record};
use super::sample::{self, RawSample};
use super::{Counted, ReplayError, SampleRows};
use crate::batch::StackBytes;
use crate::binary::{Binaries, BinaryId, Unwinding};
use crate::decode::Mmap;
use crate::markers;
use crate::registers::Registers;
use crate::run_time;
use crate::space::{AddressSpace, Map};
use crate::trail::Trails;
use crate::unwind::{Code, Found, StackCopy, StackUnwinder};
use crate::world::{Exec, Owner, Task, World};

/// The address of locations that lie in no mapping.
const UNMAPPED: u64 = 0;

/// Mappings may be copied and told this often: a hostile file could ask for more with every fork.
const MOST_MAPS: u64 = 1 << 23;

/// Whose code the next addresses of a chain are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Context {
    Kernel,
    User,
    Guest,
    /// A marker that we do not know: what follows may be no address.
    Unknown,
}

impl Context {
    /// By the lowest three bits of a record's flags (`PERF_RECORD_MISC_CPUMODE_MASK`).
    fn of_misc(misc: u16) -> Context {
        match misc & 7 {
            1 | 3 => Context::Kernel,
            4 | 5 => Context::Guest,
            _ => Context::User,
        }
    }

    fn of_marker(marker: u64) -> Context {
        match marker {
            markers::HYPERVISOR | markers::KERNEL => Context::Kernel,
            markers::USER => Context::User,
            markers::GUEST | markers::GUEST_KERNEL | markers::GUEST_USER => Context::Guest,
            _ => Context::Unknown,
        }
    }
}

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

    /// Puts the chain of a sample, leaf first, into `self.steps`.
    fn fill_steps(
        &mut self,
        misc: u16,
        sample: &RawSample<'_>,
        attr: &Attr,
        owner: &Owner,
    ) -> StackEnd {
        self.steps.clear();
        let context = Context::of_misc(misc);
        let unwinds = attr.copies_stack();
        let (kernel_steps, cut) = self.push_chain(context, sample, attr, unwinds);
        self.cut_chains += u64::from(cut);
        if !unwinds {
            if self.steps.is_empty()
                && let Some(address) = sample.ip
            {
                let kind = leaf_kind(context);
                self.steps.push(Step { address, kind });
            }
            return StackEnd::Unknown;
        }
        if context != Context::User && kernel_steps == 0 {
            let kind = leaf_kind(context);
            let ip = sample.ip.map(|address| Step { address, kind });
            self.steps.extend(ip);
        }
        self.unwind(context, sample, attr, owner)
    }

    /// Pushes what the kernel walked; of that, how much is the kernel's, and whether it was cut.
    fn push_chain(
        &mut self,
        mut context: Context,
        sample: &RawSample<'_>,
        attr: &Attr,
        unwinds: bool,
    ) -> (usize, bool) {
        let (mut kernel, mut user, mut words) = (0, 0, 0);
        for word in sample.chain.chunks_exact(8) {
            let address = word.try_into().map_or(0, u64::from_ne_bytes);
            if address >= markers::FIRST {
                context = Context::of_marker(address);
                continue;
            }
            words += 1;
            let kind = match context {
                Context::Kernel if kernel == 0 => StepKind::KernelIp,
                Context::Kernel => StepKind::KernelReturn,
                Context::User if unwinds => continue,
                Context::User if user == 0 => StepKind::UserIp,
                Context::User => StepKind::UserReturn,
                Context::Guest => StepKind::Guest,
                Context::Unknown => continue,
            };
            kernel += usize::from(context == Context::Kernel);
            user += usize::from(context == Context::User);
            self.steps.push(Step { address, kind });
        }
        (kernel, words >= attr.most_frames())
    }

    /// Appends the user's frames from registers and a copy of the stack.
    fn unwind(
        &mut self,
        context: Context,
        sample: &RawSample<'_>,
        attr: &Attr,
        owner: &Owner,
    ) -> StackEnd {
        let space = &*owner.space;
        let masked = |values| Registers::of_masked(attr.regs_user, values);
        let registers = sample.registers.and_then(masked);
        let Some(registers) = registers.filter(|_| self.unwinding == Unwinding::Needed) else {
            if context == Context::Kernel && sample.registers.is_none() {
                // A kernel thread, or a task that has no memory any more: there is no user part.
                return StackEnd::Complete;
            }
            if let (Some(address), Context::User) = (sample.ip, context) {
                let kind = StepKind::UserIp;
                self.steps.push(Step { address, kind });
            }
            return StackEnd::Failed;
        };
        let stack = StackCopy {
            bytes: StackBytes::Slice(sample.stack),
            reserved_bytes: sample.stack_asked_bytes,
        };
        let gone = sample.stack.is_empty() && space.find(registers.ip).is_none();
        if context == Context::Kernel && gone {
            // Within `execve` the registers are still those of the program that is gone.
            return StackEnd::Complete;
        }
        self.frames.clear();
        self.interrupted.clear();
        let code = Code {
            space,
            binaries: &self.binaries,
        };
        let mut trail = self.trails.take(owner.thread, space.version);
        let found = &mut Found {
            frames: &mut self.frames,
            interrupted: &mut self.interrupted,
            trail: &mut trail,
        };
        let end = self.unwinder.unwind(code, registers, stack, found).end;
        self.trails.put(owner.thread, trail);
        for (i, &address) in self.frames.iter().enumerate() {
            let kind = match i == 0 || self.interrupted.contains(&i) {
                true => StepKind::UserIp,
                false => StepKind::UserReturn,
            };
            self.steps.push(Step { address, kind });
        }
        end
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

fn leaf_kind(context: Context) -> StepKind {
    match context {
        Context::Kernel => StepKind::KernelIp,
        Context::Guest => StepKind::Guest,
        Context::User | Context::Unknown => StepKind::UserIp,
    }
}

/// Finds the image of an address.
struct Images<'a> {
    world: &'a mut World,
    binaries: &'a mut Binaries,
    owner: &'a Owner,
    kernel: BinaryId,
    kernel_image: &'a mut Option<ImageId>,
    guest_image: &'a mut Option<ImageId>,
    opened: &'a mut FxHashSet<BinaryId>,
    placed: &'a mut PlacedMaps,
    gaps: &'a mut Gaps,
}

impl Images<'_> {
    /// Whether a step lies in no mapping, so that [`Images::place`] would find no image.
    fn is_nowhere(&mut self, step: Step) -> bool {
        let (space, address) = (&self.owner.space, step.lookup_address());
        step.kind.is_user()
            && (self.gaps.last_holds(space, address)
                || self.placed.find(space.version, address).is_none()
                    && self.gaps.hold(space, address))
    }

    fn place(
        &mut self,
        step: Step,
        profile: &mut Profile,
    ) -> Result<(Option<ImageId>, u64), SinkError> {
        match step.kind {
            StepKind::UserReturn | StepKind::UserIp => {}
            StepKind::KernelIp | StepKind::KernelReturn => {
                if self.kernel_image.is_none() {
                    *self.kernel_image = Some(self.image(self.kernel, profile)?);
                }
                return Ok((*self.kernel_image, step.address));
            }
            StepKind::Guest => {
                if self.guest_image.is_none() {
                    let guest = self.binaries.recorded(b"[guest]", &[], Unwinding::No);
                    *self.guest_image = Some(self.image(guest, profile)?);
                }
                return Ok((*self.guest_image, step.address));
            }
        }
        let (space, address) = (&self.owner.space, step.lookup_address());
        if let Some(placed) = self.placed.find(space.version, address) {
            let relative = step.address.wrapping_sub(placed.base_avma);
            return Ok((Some(placed.image), relative));
        }
        let Some(&map) = space.find(address) else {
            // As outermost ones, others that lie nowhere are one location.
            return Ok((None, UNMAPPED));
        };
        let image = self.image(map.binary, profile)?;
        if self.opened.insert(map.binary) && self.binaries[map.binary].file.is_none() {
            self.binaries.open_recorded(map.binary);
            profile.images[image].build_id = self.binaries[map.binary].build_id.clone();
        }
        let base_avma = self.base_avma(&map);
        let placed = Placed {
            space: space.version,
            addresses: map.start..map.end,
            image,
            base_avma,
        };
        self.placed.keep(address, placed);
        Ok((Some(image), step.address.wrapping_sub(base_avma)))
    }

    /// Where the binary's base lies, by the file's segments where it was recorded from.
    fn base_avma(&self, map: &Map) -> u64 {
        let binary = &self.binaries[map.binary];
        binary
            .placement_at(map.start..map.end, map.file_offset)
            .base_avma
    }

    fn image(&mut self, binary: BinaryId, profile: &mut Profile) -> Result<ImageId, SinkError> {
        self.world.image(binary, self.binaries, profile)
    }
}
