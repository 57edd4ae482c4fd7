//! Bytes of a record to values.
//!
//! Records are parsed by `linux-perf-event-reader`. What it takes on trust (lengths that come from
//! the record itself) is checked here first, so that no bytes whatever make it panic.

use linux_perf_event_reader::constants::PERF_RECORD_MISC_MMAP_BUILD_ID;
use linux_perf_event_reader::{
    BranchSampleFormat, CpuMode, Endianness, EventRecord, Mmap2FileId, RawData, RawEventRecord,
    ReadFormat, RecordIdParseInfo, RecordParseInfo, RecordType, SampleFormat,
};

use crate::batch::{RawRecord, UsedStack};
use crate::registers::{self, Registers};
use crate::ring::{Body, Header};

/// Mapped for execution (`PROT_EXEC`).
const PROT_EXEC: u32 = 4;
/// Size of the fields of [`Format::SAMPLE`] that come before the callchain.
const FIXED_BYTES: usize = 40;

/// Which fields the samples of a recording have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    /// The `sample_type` to ask the kernel for.
    pub(crate) sample: SampleFormat,
    parse: RecordParseInfo,
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Something else.
    Other,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample<'a> {
    /// The process.
    pub(crate) pid: u32,
    /// The thread.
    pub(crate) tid: u32,
    /// On which CPU.
    pub(crate) cpu: u32,
    /// Events that it stands for.
    pub(crate) period: u64,
    /// What was executed.
    pub(crate) ip: u64,
    /// Whether that was the kernel's code.
    pub(crate) in_kernel: bool,
    /// The kernel's callchain with its context markers, leaf first.
    pub(crate) callchain: Vec<u64>,
    /// User registers; `None` for kernel threads.
    pub(crate) registers: Option<Registers>,
    /// Copy of the stack from the stack pointer on.
    pub(crate) stack: &'a [u8],
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
    pub(crate) fn new(copies: Copies) -> Format {
        let sample = match copies {
            Copies::None => Self::SAMPLE,
            Copies::RegistersAndStack => {
                Self::SAMPLE | SampleFormat::REGS_USER | SampleFormat::STACK_USER
            }
        };
        // Sizes of `struct sample_id` behind every other record: pid and tid, time, cpu.
        let parse = RecordParseInfo {
            endian: Endianness::NATIVE,
            sample_format: sample,
            branch_sample_format: BranchSampleFormat::empty(),
            read_format: ReadFormat::empty(),
            common_data_offset_from_end: Some(24),
            sample_regs_user: registers::MASK,
            user_regs_count: registers::MASK.count_ones() as u8,
            sample_regs_intr: 0,
            intr_regs_count: 0,
            nonsample_record_time_offset_from_end: Some(16),
            sample_record_time_offset_from_start: Some(16),
            id_parse_info: RecordIdParseInfo {
                nonsample_record_id_offset_from_end: None,
                sample_record_id_offset_from_start: None,
            },
        };
        Format { sample, parse }
    }

    /// When a record was written, nanoseconds on the event's clock; `None` when it is too short.
    pub(crate) fn time(&self, header: Header, body: &[u8]) -> Option<u64> {
        let at = if RecordType(header.kind) == RecordType::SAMPLE {
            16
        } else {
            body.len().checked_sub(16)?
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
        let size_at = stack_size_offset(|offset| body.word(offset))?;
        let size = body.word(size_at)?;
        let used_at = size_at.checked_add(8 + usize::try_from(size).ok()?)?;
        let used = body.word(used_at)?;
        (size > 0 && used <= size).then_some(UsedStack {
            size_at,
            used_bytes: used.next_multiple_of(8).min(size),
        })
    }

    /// Decodes a record; `None` when its bytes make no sense.
    pub(crate) fn decode<'a>(&self, record: RawRecord<'a>) -> Option<Record<'a>> {
        let kind = RecordType(record.kind);
        if kind == RecordType::SAMPLE {
            return self.decode_sample(record);
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

    fn decode_sample<'a>(&self, record: RawRecord<'a>) -> Option<Record<'a>> {
        let body = record.body;
        // The parser multiplies this length by eight and takes as many bytes.
        let chain_words = word(body, FIXED_BYTES)?;
        if chain_words > body.len() as u64 / 8 {
            return None;
        }
        let raw = RawEventRecord::new(
            RecordType::SAMPLE,
            record.misc,
            RawData::Single(body),
            self.parse,
        );
        let EventRecord::Sample(sample) = raw.parse().ok()? else {
            return None;
        };
        let stack = match sample.user_stack {
            Some((RawData::Single(bytes), used)) => {
                // The batch keeps the used bytes rounded up to a word; the rest of it is zero.
                let used = usize::try_from(used).ok()?.min(bytes.len());
                &bytes[..used]
            }
            _ => &[],
        };
        let callchain = sample.callchain.map_or(Vec::new(), |chain| {
            (0..chain.len()).filter_map(|i| chain.get(i)).collect()
        });
        Some(Record::Sample(Sample {
            pid: sample.pid? as u32,
            tid: sample.tid? as u32,
            cpu: sample.cpu?,
            period: sample.period?,
            ip: sample.ip?,
            in_kernel: sample.cpu_mode == CpuMode::Kernel,
            callchain,
            registers: sample.user_regs.and_then(|regs| Registers::of(&regs)),
            stack,
        }))
    }
}

/// The offset of the word that holds the size of the stack's copy.
fn stack_size_offset(word: impl Fn(usize) -> Option<u64>) -> Option<usize> {
    let chain_words = usize::try_from(word(FIXED_BYTES)?).ok()?;
    let abi_at = chain_words.checked_mul(8)?.checked_add(FIXED_BYTES + 8)?;
    let register_bytes = match word(abi_at)? {
        0 => 0,
        _ => 8 * registers::MASK.count_ones() as usize,
    };
    abi_at.checked_add(8 + register_bytes)
}

fn word(bytes: &[u8], offset: usize) -> Option<u64> {
    let bytes = bytes.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COPIES: [Copies; 2] = [Copies::None, Copies::RegistersAndStack];

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
        let format = Format::new(Copies::RegistersAndStack);
        let stack: Vec<u8> = (0..16).collect();
        let body = sample_body(&[0xffff_ffff_ffff_ff80, 0xffff_8000_0000_1234], &stack);
        let record = RawRecord {
            kind: 9,
            misc: 1,
            body: &body,
        };
        let Some(Record::Sample(sample)) = format.decode(record) else {
            panic!("no sample");
        };
        assert_eq!((sample.pid, sample.tid, sample.cpu), (12, 13, 1));
        assert_eq!((sample.ip, sample.period), (0x40_1000, 1_003_009));
        assert!(sample.in_kernel);
        assert_eq!(sample.callchain.len(), 2);
        assert_eq!(sample.stack, stack);
        assert!(sample.registers.is_some());
        let header = Header {
            kind: 9,
            misc: 0,
            size: 0,
        };
        assert_eq!(format.time(header, &body), Some(99));
    }

    /// The place of the stack's size follows from the lengths before it.
    #[test]
    fn the_stack_is_found_behind_any_callchain() {
        for chain in [&[][..], &[1], &[1, 2, 3]] {
            let body = sample_body(chain, &[7; 24]);
            let at = stack_size_offset(|offset| word(&body, offset)).unwrap();
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
            for copies in COPIES {
                let format = Format::new(copies);
                let record = RawRecord { kind, misc, body: &body };
                let _ = format.decode(record);
                let header = Header { kind, misc, size: 8 };
                let _ = format.time(header, &body);
                let _ = stack_size_offset(|offset| word(&body, offset));
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
            let record = RawRecord { kind: 9, misc: 2, body: &body };
            let _ = Format::new(Copies::RegistersAndStack).decode(record);
        }
    }
}
