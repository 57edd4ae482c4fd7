//! Records that are no samples: tasks, mappings, losses (`enum perf_event_type` of the kernel's
//! `perf_event.h`).

use super::header::RecordHeader;
use super::source::{Fields, until_zero};
use crate::decode::Mmap;

const MMAP: u32 = 1;
const LOST: u32 = 2;
const COMM: u32 = 3;
const EXIT: u32 = 4;
const THROTTLE: u32 = 5;
const FORK: u32 = 7;
/// `PERF_RECORD_SAMPLE`.
pub(super) const SAMPLE: u32 = 9;
const MMAP2: u32 = 10;
const LOST_SAMPLES: u32 = 13;
const KSYMBOL: u32 = 17;
/// The last kind that the kernel writes and that we have heard of (`PERF_RECORD_AUX_OUTPUT_HW_ID`).
pub(super) const LAST_KERNEL_KIND: u32 = 21;

/// `PERF_RECORD_MISC_COMM_EXEC`: the name comes from `execve`.
const COMM_EXEC: u16 = 1 << 13;
/// `PERF_RECORD_MISC_FORK_EXEC`: perf made the record up for a task that was already there, whose
/// mappings follow.
const FORK_EXEC: u16 = 1 << 13;
/// `PERF_RECORD_MISC_MMAP_DATA`: memory that is not executable.
const MMAP_DATA: u16 = 1 << 13;
/// `PERF_RECORD_MISC_MMAP_BUILD_ID`: a build-id instead of device and inode.
const MMAP_BUILD_ID: u16 = 1 << 14;
/// `PERF_RECORD_MISC_CPUMODE_MASK` and its values for the kernel and for guests.
const MODE: u16 = 7;
const MODE_KERNEL: u16 = 1;
const MODES_OF_GUESTS: [u16; 2] = [4, 5];
/// Mapped for execution (`PROT_EXEC`).
const PROT_EXEC: u32 = 4;
/// The parent whose mappings a task has that perf made up: the idle task, which has none.
pub(super) const NOBODY: u32 = 0;

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// A new process or thread.
    Fork {
        pid: u32,
        tid: u32,
        parent_pid: u32,
        parent_tid: u32,
    },
    /// The end of a thread.
    Exit { pid: u32, tid: u32 },
    /// A new name of a thread.
    Comm {
        pid: u32,
        tid: u32,
        exec: bool,
        name: String,
    },
    /// New executable memory, and the build-id when it is told here.
    Mmap {
        mmap: Mmap,
        build_id: Option<Vec<u8>>,
    },
    /// Where a symbol at the start of the kernel lay.
    KernelStart { symbol: String, address: u64 },
    /// New code in the kernel.
    KernelSymbol(KernelSymbol),
    /// Records that did not fit into the ring.
    Lost { count: u64 },
    /// Samples that were dropped.
    LostSamples { count: u64 },
    /// The kernel paused an event.
    Throttle,
    /// Known, and of no use here.
    NotNeeded,
}

impl Record {
    /// Whether a task is another one from here on.
    pub(super) fn is_of_tasks(&self) -> bool {
        match self {
            Record::Fork { .. } | Record::Exit { .. } => true,
            Record::Comm { exec, .. } => *exec,
            _ => false,
        }
    }
}

/// Code that was loaded into the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KernelSymbol {
    pub(super) start: u64,
    pub(super) len: u32,
    pub(super) name: String,
}

/// Whether the kinds are handed to [`parse`]: all others would be `NotNeeded`.
pub(super) fn is_needed(kind: u32) -> bool {
    matches!(
        kind,
        MMAP | LOST | COMM | EXIT | THROTTLE | FORK | SAMPLE | MMAP2 | LOST_SAMPLES | KSYMBOL
    )
}

/// A record's body without the trailer; `None` when it is too short or contradicts itself.
pub(super) fn parse(header: RecordHeader, body: &[u8]) -> Option<Record> {
    let mut fields = Fields(body);
    Some(match header.kind {
        MMAP | MMAP2 => return parse_mmap(header, fields),
        LOST => Record::Lost {
            count: fields.u64().and_then(|_| fields.u64())?,
        },
        LOST_SAMPLES => Record::LostSamples {
            count: fields.u64()?,
        },
        COMM => Record::Comm {
            pid: fields.u32()?,
            tid: fields.u32()?,
            exec: header.misc & COMM_EXEC != 0,
            name: String::from_utf8_lossy(fields.text()).into_owned(),
        },
        EXIT | FORK => parse_task(header, fields)?,
        THROTTLE => Record::Throttle,
        KSYMBOL => {
            let (start, len) = (fields.u64()?, fields.u32()?);
            fields.u32()?;
            Record::KernelSymbol(KernelSymbol {
                start,
                len,
                name: String::from_utf8_lossy(fields.text()).into_owned(),
            })
        }
        _ => Record::NotNeeded,
    })
}

fn parse_task(header: RecordHeader, mut fields: Fields<'_>) -> Option<Record> {
    let (pid, parent_pid) = (fields.u32()?, fields.u32()?);
    let (tid, parent_tid) = (fields.u32()?, fields.u32()?);
    if header.kind == EXIT {
        return Some(Record::Exit { pid, tid });
    }
    let made_up = header.misc & FORK_EXEC != 0 && pid != parent_pid;
    Some(Record::Fork {
        pid,
        tid,
        parent_pid: if made_up { NOBODY } else { parent_pid },
        parent_tid: if made_up { NOBODY } else { parent_tid },
    })
}

fn parse_mmap(header: RecordHeader, mut fields: Fields<'_>) -> Option<Record> {
    let (pid, _tid) = (fields.u32()?, fields.u32()?);
    let (start, len, offset) = (fields.u64()?, fields.u64()?, fields.u64()?);
    let (mut inode, mut build_id) = (0, None);
    let mut executable = header.misc & MMAP_DATA == 0;
    if header.kind == MMAP2 {
        let id = fields.bytes(24)?;
        if header.misc & MMAP_BUILD_ID != 0 {
            let len = usize::from(id[0]);
            build_id = Some(id[4..].get(..len)?.to_vec());
        } else {
            inode = Fields(&id[8..]).u64()?;
        }
        let (protection, _flags) = (fields.u32()?, fields.u32()?);
        executable = protection & PROT_EXEC != 0;
    }
    let path = until_zero(fields.0);
    let mode = header.misc & MODE;
    if mode == MODE_KERNEL || pid == u32::MAX {
        // `[kernel.kallsyms]_text`, with the symbol's address as the offset.
        let symbol = path.strip_prefix(b"[kernel.kallsyms]");
        return Some(match symbol {
            Some(symbol @ [b'_', ..]) => Record::KernelStart {
                symbol: String::from_utf8_lossy(symbol).into_owned(),
                address: offset,
            },
            _ => Record::NotNeeded,
        });
    }
    if !executable || MODES_OF_GUESTS.contains(&mode) {
        return Some(Record::NotNeeded);
    }
    let mmap = Mmap {
        pid,
        start,
        end: start.checked_add(len)?,
        file_offset: offset,
        inode,
        path: path.to_vec(),
    };
    Some(Record::Mmap { mmap, build_id })
}
