//! The fields of a sample (`PERF_RECORD_SAMPLE`), in the order of the kernel's `perf_event.h`.

use super::attr::{Attr, sample_type};
use super::source::Fields;

/// Bits of `read_format`.
const READ_TIMES: [u64; 2] = [1 << 0, 1 << 1];
const READ_ID: u64 = 1 << 2;
const READ_GROUP: u64 = 1 << 3;
const READ_LOST: u64 = 1 << 4;
/// `PERF_SAMPLE_BRANCH_HW_INDEX`: one word stands before the branches.
const BRANCH_HW_INDEX: u64 = 1 << 17;
/// `PERF_SAMPLE_BRANCH_COUNTERS`: one word for each branch stands behind them.
const BRANCH_COUNTERS: u64 = 1 << 19;

/// One observation as perf wrote it; what is `None` or empty is not in the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RawSample<'a> {
    pub(super) ip: Option<u64>,
    pub(super) pid: u32,
    pub(super) tid: u32,
    pub(super) cpu: Option<u32>,
    pub(super) period: Option<u64>,
    /// Words of eight bytes: addresses, leaf first, between context markers.
    pub(super) chain: &'a [u8],
    /// Values of the registers in `Attr::regs_user`, lowest number first; `None` when the thread
    /// has no user registers or is of 32 bits.
    pub(super) registers: Option<&'a [u8]>,
    /// The part in use of the copied stack.
    pub(super) stack: &'a [u8],
    /// How much was asked for, as this record has it.
    pub(super) stack_asked_bytes: usize,
}

/// `None` when the bytes end before the fields do.
pub(super) fn parse<'a>(attr: &Attr, body: &'a [u8]) -> Option<RawSample<'a>> {
    let mut fields = Fields(body);
    let mut sample = RawSample::default();
    let has = |bit| attr.has(bit);
    if has(sample_type::IDENTIFIER) {
        fields.u64()?;
    }
    if has(sample_type::IP) {
        sample.ip = Some(fields.u64()?);
    }
    if has(sample_type::TID) {
        (sample.pid, sample.tid) = (fields.u32()?, fields.u32()?);
    }
    for bit in [
        sample_type::TIME,
        sample_type::ADDR,
        sample_type::ID,
        sample_type::STREAM_ID,
    ] {
        if has(bit) {
            fields.u64()?;
        }
    }
    if has(sample_type::CPU) {
        sample.cpu = Some(fields.u32()?);
        fields.u32()?;
    }
    if has(sample_type::PERIOD) {
        sample.period = Some(fields.u64()?);
    }
    if has(sample_type::READ) {
        skip_read(attr.read_format, &mut fields)?;
    }
    if has(sample_type::CALLCHAIN) {
        let words = fields.u64()?;
        sample.chain = fields.bytes(bytes_of(words, 8)?)?;
    }
    if has(sample_type::RAW) {
        let bytes = fields.u32()?;
        fields.bytes(bytes as usize)?;
    }
    if has(sample_type::BRANCH_STACK) {
        skip_branches(attr.branch_type, &mut fields)?;
    }
    if has(sample_type::REGS_USER) {
        /// `PERF_SAMPLE_REGS_ABI_64`.
        const ABI_64: u64 = 2;
        let abi = fields.u64()?;
        if abi != 0 {
            let values = fields.bytes(8 * attr.regs_user.count_ones() as usize)?;
            sample.registers = (abi == ABI_64).then_some(values);
        }
    }
    if has(sample_type::STACK_USER) {
        let bytes = usize::try_from(fields.u64()?).ok()?;
        if bytes > 0 {
            let copy = fields.bytes(bytes)?;
            let used = usize::try_from(fields.u64()?).ok()?;
            sample.stack = &copy[..used.min(bytes)];
            sample.stack_asked_bytes = bytes;
        }
    }
    Some(sample)
}

fn bytes_of(count: u64, each: usize) -> Option<usize> {
    usize::try_from(count).ok()?.checked_mul(each)
}

fn skip_read(format: u64, fields: &mut Fields<'_>) -> Option<()> {
    let times = READ_TIMES.iter().filter(|&&bit| format & bit != 0).count();
    let each = 1 + usize::from(format & READ_ID != 0) + usize::from(format & READ_LOST != 0);
    let words = if format & READ_GROUP != 0 {
        let members = usize::try_from(fields.u64()?).ok()?;
        members.checked_mul(each)?.checked_add(times)?
    } else {
        each + times
    };
    fields.bytes(words.checked_mul(8)?).map(drop)
}

fn skip_branches(branch_type: u64, fields: &mut Fields<'_>) -> Option<()> {
    let count = fields.u64()?;
    if branch_type & BRANCH_HW_INDEX != 0 {
        fields.u64()?;
    }
    let each = if branch_type & BRANCH_COUNTERS != 0 {
        32
    } else {
        24
    };
    fields.bytes(bytes_of(count, each)?).map(drop)
}
