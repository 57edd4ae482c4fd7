//! Bytes of a record to values.
//!
//! Records are parsed by `linux-perf-event-reader`. What it takes on trust (lengths that come from
//! the record itself) is checked here first, so that no bytes whatever make it panic.

use linux_perf_event_reader::constants::PERF_RECORD_MISC_MMAP_BUILD_ID;
use linux_perf_event_reader::{
    BranchSampleFormat, CpuMode, Endianness, EventRecord, Mmap2FileId, RawData, RawEventRecord,
    ReadFormat, RecordIdParseInfo, RecordParseInfo, RecordType, SampleFormat,
};

use crate::batch::{RawRecord, StackBytes, UsedStack};
use crate::registers::{self, Registers};
use crate::ring::{Body, Header};

/// Mapped for execution (`PROT_EXEC`).
const PROT_EXEC: u32 = 4;
/// Size of the fields of [`Format::SAMPLE`] that come before the callchain.
const FIXED_BYTES: usize = 40;
/// Size of `struct sample_id` behind every other record: pid and tid, time, cpu.
const SAMPLE_ID_BYTES: usize = 24;
/// Both are larger by this much when records name their event.
const EVENT_ID_BYTES: usize = 8;
/// Flags of a record of a switch, `PERF_RECORD_MISC_SWITCH_OUT` and `_PREEMPT` of
/// `linux/perf_event.h`.
const SWITCH_OUT: u16 = 1 << 13;
const SWITCH_OUT_PREEMPT: u16 = 1 << 14;

/// Which fields the samples of a recording have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    /// The `sample_type` to ask the kernel for.
    pub(crate) sample: SampleFormat,
    parse: RecordParseInfo,
    names: Names,
}

/// Whether records name the event that they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// There is only one.
    None,
    /// By the number that the kernel has given it.
    Event,
}

/// What is copied of the target's state with each sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copies {
    /// Nothing.
    None,
    /// User registers and a piece of the stack.
    RegistersAndStack,
}

/// One decoded record.
#[derive(Debug, Clone)]
pub(crate) enum Record<'a> {
    /// An observation.
    Sample(Sample<'a>),
    /// A new process (`pid` differs from `parent_pid`) or thread.
    Fork {
        /// Of the new task.
        pid: u32,
        /// Of the new task.
        tid: u32,
        /// Process of the task that made it.
        parent_pid: u32,
        /// The thread that made it.
        parent_tid: u32,
    },
    /// The end of a thread.
    Exit {
        /// Its process.
        pid: u32,
        /// The thread.
        tid: u32,
    },
    /// A new name of a thread.
    Comm {
        /// Its process.
        pid: u32,
        /// The thread.
        tid: u32,
        /// Whether it comes from `execve`: the process has a new image.
        exec: bool,
        /// The name.
        name: String,
    },
    /// New executable memory.
    Mmap(Mmap),
    /// The kernel dropped records because the ring was full.
    Lost {
        /// How many.
        count: u64,
    },
    /// The kernel paused the event because it fired too often.
    Throttle,
    /// A thread was switched in or out.
    Switch {
        /// Its thread; the process comes with its other records.
        tid: u32,
        /// Which of them.
        to: Switch,
    },
    /// Something else.
    Other,
}

/// What became of a thread that was switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch {
    /// It runs.
    In,
    /// It could have run on.
    Preempted,
    /// It waits for something.
    Blocked,
}

/// Executable memory that was mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mmap {
    /// Whose memory.
    pub(crate) pid: u32,
    /// First address.
    pub(crate) start: u64,
    /// Behind the last address.
    pub(crate) end: u64,
    /// Offset in the file of the first address.
    pub(crate) file_offset: u64,
    /// Inode number of the file; 0 when there is none.
    pub(crate) inode: u64,
    /// Path as the target sees it, or a name in brackets.
    pub(crate) path: Vec<u8>,
}

/// One observation of a thread.
#[derive(Debug, Clone)]
pub(crate) struct Sample<'a> {
    /// The process.
    pub(crate) pid: u32,
    /// The thread.
    pub(crate) tid: u32,
    /// On which CPU.
    pub(crate) cpu: u32,
    /// Events that it stands for.
    pub(crate) period: u64,
    /// The kernel's number of the event, where the format has it.
    pub(crate) event_id: Option<u64>,
    /// What was executed.
    pub(crate) ip: u64,
    /// Whether that was the kernel's code.
    pub(crate) in_kernel: bool,
    /// The kernel's callchain with its context markers, leaf first.
    pub(crate) callchain: Callchain<'a>,
    /// User registers; `None` for kernel threads.
    pub(crate) registers: Option<Registers>,
    /// Copy of the stack from the stack pointer on.
    pub(crate) stack: StackBytes<'a>,
    /// How much the kernel would have copied at most.
    pub(crate) reserved_stack_bytes: usize,
}

/// Addresses as the kernel wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Callchain<'a>(&'a [u8]);

impl Callchain<'_> {
    /// Its words, leaf first, with the markers between them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        let words = self.0.chunks_exact(8);
        words.map(|word| u64::from_ne_bytes(word.try_into().expect("chunks of 8 bytes")))
    }
}

/// Takes a record's body apart from its beginning.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    fn words(&mut self, count: u64) -> Option<&'a [u8]> {
        self.bytes(count.checked_mul(8)?)
    }

    fn word(&mut self) -> Option<u64> {
        let bytes = self.bytes(8)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    }

    /// Two numbers of 4 bytes.
    fn halves(&mut self) -> Option<(u32, u32)> {
        let bytes = self.bytes(8)?;
        let half = |at| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        Some((half(0)?, half(4)?))
    }
}

impl Format {
    /// The fields that all samples have.
    const SAMPLE: SampleFormat = SampleFormat::IP
        .union(SampleFormat::TID)
        .union(SampleFormat::TIME)
        .union(SampleFormat::CPU)
        .union(SampleFormat::PERIOD)
        .union(SampleFormat::CALLCHAIN);

    /// Samples with a callchain and, when `copies` says so, registers and a copy of the stack.
    pub(crate) fn new(copies: Copies, names: Names) -> Format {
        let mut sample = match copies {
            Copies::None => Self::SAMPLE,
            Copies::RegistersAndStack => {
                Self::SAMPLE | SampleFormat::REGS_USER | SampleFormat::STACK_USER
            }
        };
        let id_bytes = match names {
            Names::None => 0,
            Names::Event => EVENT_ID_BYTES,
        };
        if names == Names::Event {
            sample |= SampleFormat::ID;
        }
        // What follows the time in `struct sample_id`: the event's number, the cpu.
        let time_from_end = 16 + id_bytes;
        let parse = RecordParseInfo {
            endian: Endianness::NATIVE,
            sample_format: sample,
            branch_sample_format: BranchSampleFormat::empty(),
            read_format: ReadFormat::empty(),
            common_data_offset_from_end: Some((SAMPLE_ID_BYTES + id_bytes) as u8),
            sample_regs_user: registers::MASK,
            user_regs_count: registers::MASK.count_ones() as u8,
            sample_regs_intr: 0,
            intr_regs_count: 0,
            nonsample_record_time_offset_from_end: Some(time_from_end as u8),
            sample_record_time_offset_from_start: Some(16),
            id_parse_info: RecordIdParseInfo {
                nonsample_record_id_offset_from_end: None,
                sample_record_id_offset_from_start: None,
            },
        };
        Format {
            sample,
            parse,
            names,
        }
    }

    fn id_bytes(&self) -> usize {
        match self.names {
            Names::None => 0,
            Names::Event => EVENT_ID_BYTES,
        }
    }

    /// Where the callchain of a sample begins: with the number of its words.
    fn chain_at(&self) -> usize {
        FIXED_BYTES + self.id_bytes()
    }

    /// When a record was written, nanoseconds on the event's clock; `None` when it is too short.
    pub(crate) fn time(&self, header: Header, body: &[u8]) -> Option<u64> {
        let at = if RecordType(header.kind) == RecordType::SAMPLE {
            16
        } else {
            body.len().checked_sub(16 + self.id_bytes())?
        };
        let bytes = body.get(at..at.checked_add(8)?)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    }

    /// Where the stack of a sample lies in the ring; `None` when there is none.
    ///
    /// The kernel reserves the full size for each sample and says behind the copy how much of it
    /// is in use.
    pub(crate) fn used_stack(&self, header: Header, body: &Body<'_>) -> Option<UsedStack> {
        let sampled = RecordType(header.kind) == RecordType::SAMPLE
            && self.sample.contains(SampleFormat::STACK_USER);
        if !sampled {
            return None;
        }
        let size_at = stack_size_offset(self.chain_at(), |offset| body.word(offset))?;
        let size = body.word(size_at)?;
        let used_at = size_at.checked_add(8 + usize::try_from(size).ok()?)?;
        let used = body.word(used_at)?;
        (size > 0 && used <= size).then_some(UsedStack {
            size_at,
            reserved_bytes: usize::try_from(size).ok()?,
            used_bytes: usize::try_from(used).ok()?,
        })
    }

    /// The fields of a sample that other records have too, behind their own.
    pub(crate) fn of_other_records(&self) -> SampleFormat {
        let common = SampleFormat::TID | SampleFormat::TIME | SampleFormat::CPU;
        match self.names {
            Names::None => common,
            Names::Event => common | SampleFormat::ID,
        }
    }

    /// Decodes a record; `None` when its bytes make no sense.
    pub(crate) fn decode<'a>(&self, record: RawRecord<'a>) -> Option<Record<'a>> {
        let kind = RecordType(record.kind);
        if kind == RecordType::SAMPLE {
            return self.decode_sample(record);
        }
        if kind == RecordType::SWITCH || kind == RecordType::SWITCH_CPU_WIDE {
            return self.decode_switch(record);
        }
        if kind == RecordType::MMAP2 && record.misc & PERF_RECORD_MISC_MMAP_BUILD_ID != 0 {
            // The length of the build-id is the first byte behind five words; at most 20.
            if record.body.get(32).is_none_or(|&len| len > 20) {
                return None;
            }
        }
        let data = RawData::Single(record.body);
        let raw = RawEventRecord::new(kind, record.misc, data, self.parse);
        match raw.parse().ok()? {
            EventRecord::Fork(r) => Some(Record::Fork {
                pid: r.pid as u32,
                tid: r.tid as u32,
                parent_pid: r.ppid as u32,
                parent_tid: r.ptid as u32,
            }),
            EventRecord::Exit(r) => Some(Record::Exit {
                pid: r.pid as u32,
                tid: r.tid as u32,
            }),
            EventRecord::Comm(r) => Some(Record::Comm {
                pid: r.pid as u32,
                tid: r.tid as u32,
                exec: r.is_execve,
                name: String::from_utf8_lossy(&r.name.as_slice()).into_owned(),
            }),
            EventRecord::Mmap2(r) if r.protection & PROT_EXEC != 0 => {
                let inode = match r.file_id {
                    Mmap2FileId::InodeAndVersion(file) => file.inode,
                    Mmap2FileId::BuildId(_) => 0,
                };
                Some(Record::Mmap(Mmap {
                    pid: r.pid as u32,
                    start: r.address,
                    end: r.address.checked_add(r.length)?,
                    file_offset: r.page_offset,
                    inode,
                    path: r.path.as_slice().into_owned(),
                }))
            }
            EventRecord::Lost(r) => Some(Record::Lost { count: r.count }),
            EventRecord::Throttle(_) => Some(Record::Throttle),
            _ => Some(Record::Other),
        }
    }

    /// Who was switched stands in the `struct sample_id` at its end; a record of a whole CPU has
    /// the other task before it.
    fn decode_switch<'a>(&self, record: RawRecord<'_>) -> Option<Record<'a>> {
        let at = record.body.len();
        let id_at = at.checked_sub(SAMPLE_ID_BYTES + self.id_bytes())?;
        let (_pid, tid) = Fields(record.body.get(id_at..)?).halves()?;
        Some(Record::Switch {
            tid,
            to: match record.misc {
                misc if misc & SWITCH_OUT == 0 => Switch::In,
                misc if misc & SWITCH_OUT_PREEMPT != 0 => Switch::Preempted,
                _ => Switch::Blocked,
            },
        })
    }

    /// Takes a sample apart in the order of `perf_output_sample` in `kernel/events/core.c`.
    fn decode_sample<'a>(&self, record: RawRecord<'a>) -> Option<Record<'a>> {
        let mut fields = Fields(record.body);
        let ip = fields.word()?;
        let (pid, tid) = fields.halves()?;
        let _time = fields.word()?;
        let event_id = match self.names {
            Names::None => None,
            Names::Event => Some(fields.word()?),
        };
        let (cpu, _reserved) = fields.halves()?;
        let period = fields.word()?;
        let chain_words = fields.word()?;
        let callchain = Callchain(fields.words(chain_words)?);
        let mut registers = None;
        if self.sample.contains(SampleFormat::STACK_USER) && fields.word()? != 0 {
            let values = fields.words(registers::MASK.count_ones().into())?;
            registers = Registers::of_masked(registers::MASK, values);
        }
        Some(Record::Sample(Sample {
            pid,
            tid,
            cpu,
            period,
            event_id,
            ip,
            in_kernel: CpuMode::from_misc(record.misc) == CpuMode::Kernel,
            callchain,
            registers,
            stack: record.stack,
            reserved_stack_bytes: record.reserved_stack_bytes,
        }))
    }
}

/// The offset of the word that holds the size of the stack's copy.
fn stack_size_offset(chain_at: usize, word: impl Fn(usize) -> Option<u64>) -> Option<usize> {
    let chain_words = usize::try_from(word(chain_at)?).ok()?;
    let abi_at = chain_words.checked_mul(8)?.checked_add(chain_at + 8)?;
    let register_bytes = match word(abi_at)? {
        0 => 0,
        _ => 8 * registers::MASK.count_ones() as usize,
    };
    abi_at.checked_add(8 + register_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word(bytes: &[u8], offset: usize) -> Option<u64> {
        let bytes = bytes.get(offset..offset.checked_add(8)?)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    }

    const FORMATS: [(Copies, Names); 4] = [
        (Copies::None, Names::None),
        (Copies::RegistersAndStack, Names::None),
        (Copies::None, Names::Event),
        (Copies::RegistersAndStack, Names::Event),
    ];

    fn sample_body(chain: &[u64], stack: &[u8]) -> Vec<u8> {
        let mut words = vec![0x40_1000, 12 | 13 << 32, 99, 1, 1_003_009];
        words.push(chain.len() as u64);
        words.extend(chain);
        words.push(2);
        words.extend((0..u64::from(registers::MASK.count_ones())).map(|i| 0x7000 + i));
        words.push(stack.len() as u64);
        let mut body: Vec<u8> = words.into_iter().flat_map(u64::to_ne_bytes).collect();
        body.extend(stack);
        body.extend((stack.len() as u64).to_ne_bytes());
        body
    }

    /// A sample laid out as the kernel's header `perf_event.h` says comes out field by field.
    #[test]
    fn a_sample_is_decoded_field_by_field() {
        let format = Format::new(Copies::RegistersAndStack, Names::None);
        let stack: Vec<u8> = (0..16).collect();
        let body = sample_body(&[0xffff_ffff_ffff_ff80, 0xffff_8000_0000_1234], &stack);
        let record = RawRecord {
            kind: 9,
            misc: 1,
            body: &body[..body.len() - stack.len() - 16],
            stack: StackBytes::Slice(&stack),
            reserved_stack_bytes: 64,
        };
        let Some(Record::Sample(sample)) = format.decode(record) else {
            panic!("no sample");
        };
        assert_eq!((sample.pid, sample.tid, sample.cpu), (12, 13, 1));
        assert_eq!((sample.ip, sample.period), (0x40_1000, 1_003_009));
        assert!(sample.in_kernel);
        let chain: Vec<u64> = sample.callchain.iter().collect();
        assert_eq!(chain, [0xffff_ffff_ffff_ff80, 0xffff_8000_0000_1234]);
        assert_eq!(sample.reserved_stack_bytes, 64);
        assert_eq!(sample.stack.len(), stack.len());
        assert_eq!(
            sample.stack.word(8),
            Ok(u64::from_ne_bytes([8, 9, 10, 11, 12, 13, 14, 15]))
        );
        assert!(sample.registers.is_some());
        let header = Header {
            kind: 9,
            misc: 0,
            size: 0,
        };
        assert_eq!(format.time(header, &body), Some(99));
    }

    /// Where records name their event, everything behind the name lies eight bytes further on.
    #[test]
    fn samples_that_name_their_event_are_decoded() {
        let format = Format::new(Copies::RegistersAndStack, Names::Event);
        let mut body = sample_body(&[1, 2, 3], &[5; 32]);
        body.splice(24..24, 77u64.to_ne_bytes());
        let record = RawRecord {
            kind: 9,
            misc: 2,
            body: &body,
            stack: StackBytes::Slice(&[]),
            reserved_stack_bytes: 0,
        };
        let Some(Record::Sample(sample)) = format.decode(record) else {
            panic!("no sample");
        };
        assert_eq!((sample.event_id, sample.cpu), (Some(77), 1));
        assert_eq!(sample.period, 1_003_009);
        assert!(sample.registers.is_some());
        let at = stack_size_offset(format.chain_at(), |offset| word(&body, offset));
        assert_eq!(word(&body, at.unwrap()), Some(32));
    }

    /// Who was switched, when and how, in records of a task and of a whole CPU, which name the
    /// other task first.
    #[test]
    fn switches_are_decoded() {
        for (names, id) in [(Names::None, &[][..]), (Names::Event, &[77])] {
            let format = Format::new(Copies::None, names);
            let of_task = [&[12 | 13 << 32, 99][..], id, &[1]].concat();
            let of_cpu = [&[55 | 56 << 32][..], &of_task].concat();
            for (kind, words) in [(14, of_task), (15, of_cpu)] {
                let body: Vec<u8> = words.into_iter().flat_map(u64::to_ne_bytes).collect();
                for (misc, to) in [
                    (2, Switch::In),
                    (1 << 13, Switch::Blocked),
                    (3 << 13, Switch::Preempted),
                ] {
                    let record = RawRecord {
                        kind,
                        misc,
                        body: &body,
                        stack: StackBytes::Slice(&[]),
                        reserved_stack_bytes: 0,
                    };
                    let Some(Record::Switch { tid, to: found }) = format.decode(record) else {
                        panic!("no switch");
                    };
                    assert_eq!((tid, found), (13, to));
                    let header = Header {
                        kind,
                        misc,
                        size: 0,
                    };
                    assert_eq!(format.time(header, &body), Some(99));
                }
            }
        }
    }

    /// The place of the stack's size follows from the lengths before it.
    #[test]
    fn the_stack_is_found_behind_any_callchain() {
        for chain in [&[][..], &[1], &[1, 2, 3]] {
            let body = sample_body(chain, &[7; 24]);
            let at = stack_size_offset(FIXED_BYTES, |offset| word(&body, offset)).unwrap();
            assert_eq!(word(&body, at), Some(24));
            assert_eq!(word(&body, at + 8 + 24), Some(24));
        }
    }

    proptest! {
        /// No bytes at all make the decoder panic, whatever type they claim to be.
        #[test]
        fn arbitrary_bytes_are_decoded_or_refused(
            kind in 0u32..24, misc: u16, body in prop::collection::vec(any::<u8>(), 0..300)
        ) {
            for (copies, names) in FORMATS {
                let format = Format::new(copies, names);
                let record = RawRecord { kind, misc, body: &body, stack: StackBytes::Slice(&[]), reserved_stack_bytes: 0 };
                let _ = format.decode(record);
                let header = Header { kind, misc, size: 8 };
                let _ = format.time(header, &body);
                let _ = stack_size_offset(FIXED_BYTES, |offset| word(&body, offset));
            }
        }

        /// Damage in one byte of a sample changes what is read, but never breaks the decoder; nor
        /// does a cut.
        #[test]
        fn damaged_samples_are_decoded_or_refused(at in 0usize..200, value: u8, cut in 0usize..200) {
            let mut body = sample_body(&[1, 2], &[9; 64]);
            let last = body.len() - 1;
            body[at.min(last)] = value;
            body.truncate(body.len().saturating_sub(cut));
            let record = RawRecord { kind: 9, misc: 2, body: &body, stack: StackBytes::Slice(&[]), reserved_stack_bytes: 0 };
            let _ = Format::new(Copies::RegistersAndStack, Names::None).decode(record);
        }
    }
}
