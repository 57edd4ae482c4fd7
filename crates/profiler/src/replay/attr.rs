//! What an event counts and which fields its records have (`struct perf_event_attr`).

use hotproof_profile::Unit;

use super::source::Fields;

/// Bits of `sample_type` (`enum perf_event_sample_format` of the kernel's `perf_event.h`).
pub(super) mod sample_type {
    pub(in super::super) const IP: u64 = 1 << 0;
    pub(in super::super) const TID: u64 = 1 << 1;
    pub(in super::super) const TIME: u64 = 1 << 2;
    pub(in super::super) const ADDR: u64 = 1 << 3;
    pub(in super::super) const READ: u64 = 1 << 4;
    pub(in super::super) const CALLCHAIN: u64 = 1 << 5;
    pub(in super::super) const ID: u64 = 1 << 6;
    pub(in super::super) const CPU: u64 = 1 << 7;
    pub(in super::super) const PERIOD: u64 = 1 << 8;
    pub(in super::super) const STREAM_ID: u64 = 1 << 9;
    pub(in super::super) const RAW: u64 = 1 << 10;
    pub(in super::super) const BRANCH_STACK: u64 = 1 << 11;
    pub(in super::super) const REGS_USER: u64 = 1 << 12;
    pub(in super::super) const STACK_USER: u64 = 1 << 13;
    pub(in super::super) const IDENTIFIER: u64 = 1 << 16;
}

/// Fields of the trailer that `sample_id_all` puts behind records that are no samples, outermost
/// last.
const TRAILER: [u64; 6] = [
    sample_type::TID,
    sample_type::TIME,
    sample_type::ID,
    sample_type::STREAM_ID,
    sample_type::CPU,
    sample_type::IDENTIFIER,
];

/// Bits of the attribute's flags.
const EXCLUDE_USER: u64 = 1 << 4;
const EXCLUDE_KERNEL: u64 = 1 << 5;
const FREQ: u64 = 1 << 10;
const SAMPLE_ID_ALL: u64 = 1 << 18;

/// `PERF_TYPE_HARDWARE`.
const HARDWARE: u32 = 0;
/// `PERF_TYPE_SOFTWARE`.
const SOFTWARE: u32 = 1;
/// `PERF_COUNT_SW_DUMMY`: an event that only carries mappings and names.
const DUMMY: u64 = 9;
/// The size of the first published attribute (`PERF_ATTR_SIZE_VER0`).
const FEWEST_BYTES: usize = 64;

/// One event of a recording.
#[derive(Debug, Clone, Default)]
pub(super) struct Attr {
    kind: u32,
    config: u64,
    period_or_rate: u64,
    flags: u64,
    /// Which fields samples have.
    pub(super) sample_type: u64,
    /// Layout of counter values in samples.
    pub(super) read_format: u64,
    /// Layout of branch records in samples.
    pub(super) branch_type: u64,
    /// Which user registers samples have.
    pub(super) regs_user: u64,
    /// How much of the stack was asked for.
    pub(super) stack_user_bytes: u32,
    most_frames: u16,
    /// The numbers that samples call it by.
    pub(super) ids: Vec<u64>,
    /// As perf wrote it; empty until told.
    pub(super) name: String,
}

impl Attr {
    /// An attribute of any version; `None` when it is shorter than the first one.
    pub(super) fn parse(bytes: &[u8]) -> Option<Attr> {
        if bytes.len() < FEWEST_BYTES {
            return None;
        }
        let word = |at: usize| Fields(bytes.get(at..).unwrap_or_default()).u64();
        let half = |at: usize| Fields(bytes.get(at..).unwrap_or_default()).u32();
        Some(Attr {
            kind: half(0)?,
            config: word(8)?,
            period_or_rate: word(16)?,
            sample_type: word(24)?,
            read_format: word(32)?,
            flags: word(40)?,
            branch_type: word(72).unwrap_or(0),
            regs_user: word(80).unwrap_or(0),
            stack_user_bytes: half(88).unwrap_or(0),
            most_frames: Fields(bytes.get(108..).unwrap_or_default())
                .u16()
                .unwrap_or(0),
            ids: Vec::new(),
            name: String::new(),
        })
    }

    /// Whether it takes samples that say where a thread was.
    pub(super) fn samples(&self) -> bool {
        !(self.kind == SOFTWARE && self.config == DUMMY)
            && self.sample_type & (sample_type::IP | sample_type::CALLCHAIN) != 0
    }

    /// Whether all of `bits` are in the sample type.
    pub(super) fn has(&self, bits: u64) -> bool {
        self.sample_type & bits == bits
    }

    /// Whether samples carry what unwinding needs.
    pub(super) fn copies_stack(&self) -> bool {
        self.has(sample_type::REGS_USER | sample_type::STACK_USER)
    }

    /// Events between two samples, when that was fixed.
    pub(super) fn period(&self) -> Option<u64> {
        (self.flags & FREQ == 0).then_some(self.period_or_rate)
    }

    /// Samples a second, when those were asked for.
    pub(super) fn rate_hz(&self) -> Option<u64> {
        (self.flags & FREQ != 0).then_some(self.period_or_rate)
    }

    /// A chain of so many addresses was probably cut: the system's limit, 127, unless perf asked
    /// for another.
    pub(super) fn most_frames(&self) -> usize {
        match self.most_frames {
            0 => 127,
            most => usize::from(most),
        }
    }

    /// Which code it watched, in words.
    pub(super) fn scope(&self) -> &'static str {
        match (
            self.flags & EXCLUDE_KERNEL != 0,
            self.flags & EXCLUDE_USER != 0,
        ) {
            (true, _) => "user only",
            (false, true) => "kernel only",
            (false, false) => "kernel and user",
        }
    }

    /// Name and unit of the weight that a period is.
    pub(super) fn weight(&self) -> (String, Unit) {
        // On CPUs of two kinds the upper half says which kind.
        match (self.kind, self.config & 0xffff_ffff) {
            (SOFTWARE, 0 | 1) => ("cpu".to_owned(), Unit::Nanoseconds),
            (HARDWARE, 0) => ("cycles".to_owned(), Unit::Cycles),
            (HARDWARE, 1) => ("instructions".to_owned(), Unit::Instructions),
            (HARDWARE, 9) => ("ref-cycles".to_owned(), Unit::Cycles),
            _ => (self.title(), Unit::Count),
        }
    }

    /// What it is called.
    pub(super) fn title(&self) -> String {
        /// `enum perf_hw_id`.
        const HARDWARE_NAMES: [&str; 10] = [
            "cycles",
            "instructions",
            "cache-references",
            "cache-misses",
            "branches",
            "branch-misses",
            "bus-cycles",
            "stalled-cycles-frontend",
            "stalled-cycles-backend",
            "ref-cycles",
        ];
        /// `enum perf_sw_ids`.
        const SOFTWARE_NAMES: [&str; 9] = [
            "cpu-clock",
            "task-clock",
            "page-faults",
            "context-switches",
            "cpu-migrations",
            "minor-faults",
            "major-faults",
            "alignment-faults",
            "emulation-faults",
        ];
        if !self.name.is_empty() {
            return self.name.clone();
        }
        let names: &[&str] = match self.kind {
            HARDWARE => &HARDWARE_NAMES,
            SOFTWARE => &SOFTWARE_NAMES,
            _ => &[],
        };
        let number = usize::try_from(self.config & 0xffff_ffff).ok();
        match number.and_then(|number| names.get(number)) {
            Some(name) => (*name).to_owned(),
            None => format!("type {} config {:#x}", self.kind, self.config),
        }
    }

    /// Where samples say which event they are of, from the start of the body.
    pub(super) fn id_in_sample(&self) -> Option<usize> {
        if self.has(sample_type::IDENTIFIER) {
            return Some(0);
        }
        let before = [
            sample_type::IP,
            sample_type::TID,
            sample_type::TIME,
            sample_type::ADDR,
        ];
        self.has(sample_type::ID).then(|| self.size_of(&before))
    }

    /// Where samples say their time, from the start of the body.
    pub(super) fn time_in_sample(&self) -> Option<usize> {
        let before = [sample_type::IDENTIFIER, sample_type::IP, sample_type::TID];
        self.has(sample_type::TIME).then(|| self.size_of(&before))
    }

    /// Where other records say their time, from the end of the body.
    pub(super) fn time_in_trailer(&self) -> Option<usize> {
        let told = self.has(sample_type::TIME) && self.flags & SAMPLE_ID_ALL != 0;
        told.then(|| self.size_of(&TRAILER[1..]))
    }

    /// How long the trailer is.
    pub(super) fn trailer_bytes(&self) -> usize {
        if self.flags & SAMPLE_ID_ALL == 0 {
            return 0;
        }
        self.size_of(&TRAILER)
    }

    fn size_of(&self, fields: &[u64]) -> usize {
        8 * fields.iter().filter(|&&field| self.has(field)).count()
    }
}
