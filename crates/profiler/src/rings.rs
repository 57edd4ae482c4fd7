//! One ring for each CPU, kept from run to run.
//!
//! A ring belongs to an event that counts nothing; the sampling events of each run write into it
//! (`PERF_EVENT_IOC_SET_OUTPUT`). So a short run pays for opening its events, but not for
//! allocating and clearing megabytes of ring.

use std::os::fd::BorrowedFd;
use std::thread::ThreadId;

use perf_event::Counter;
use rustix::io::Errno;
use rustix::process::Resource;

use crate::batch::Batch;
use crate::decode::Format;
use crate::events::{descriptor, open_ring_holder};
use crate::ring::Ring;
use crate::sys;

/// Rings hold this much time of samples on a CPU that runs nothing else, so that a recorder that
/// waits for a CPU loses nothing.
const RING_MILLISECONDS: u64 = 60;
/// No ring is smaller, if the machine permits and has few CPUs: at the usual rate that is a quarter
/// of a second, because a recorder on a busy machine may wait that long.
const SMALLEST_RING_BYTES: u64 = 1 << 21;
/// No ring is larger.
const LARGEST_RING_BYTES: u64 = 1 << 25;
/// All rings together are not larger, on machines with many CPUs.
const LARGEST_TOTAL_BYTES: u64 = 1 << 28;
/// `perf_event_mlock_kb`, as the kernel has it by default, for each CPU.
const FREE_BYTES_PER_CPU: u64 = 516 << 10;

/// The rings of all CPUs.
#[derive(Debug, Default)]
pub(crate) struct Rings {
    rows: Vec<CpuRing>,
    /// Beside them, for records that are much larger, by size; empty while there are none.
    larger: Vec<CpuRing>,
    /// The holders belong to the thread that opened them: when it ends, the kernel reports them as
    /// hung up for ever, and waiting for them would spin.
    owner: Option<ThreadId>,
}

/// The ring of one CPU.
#[derive(Debug)]
pub(crate) struct CpuRing {
    /// Which CPU.
    pub(crate) cpu: usize,
    holder: Counter,
    ring: Ring,
}

impl Rings {
    /// Makes sure that each CPU has an empty ring of the size that such samples need, or of what
    /// the machine permits.
    pub(crate) fn prepare(
        &mut self,
        cpus: &[usize],
        rate_hz: u64,
        record_bytes: u64,
    ) -> Result<(), Errno> {
        let count = cpus.len() as u64;
        let wanted = wanted_bytes(rate_hz, record_bytes, count, permitted_bytes(count));
        let same_cpus = self.rows.iter().map(|row| row.cpu).eq(cpus.iter().copied());
        let large_enough = self
            .rows
            .first()
            .is_some_and(|row| row.ring.data_bytes() as u64 >= wanted);
        let this_thread = std::thread::current().id();
        self.larger.clear();
        if same_cpus && large_enough && self.owner == Some(this_thread) {
            for row in &mut self.rows {
                row.ring.clear();
            }
            return Ok(());
        }
        self.rows.clear();
        self.owner = Some(this_thread);
        self.rows = map_largest(cpus, wanted, rustix::param::page_size() as u64)?;
        Ok(())
    }

    /// Adds larger rings for larger records, when the machine permits rings that are larger than
    /// those that there are.
    pub(crate) fn enlarge(&mut self, rate_hz: u64, record_bytes: u64) {
        let have = self.largest_bytes() as u64;
        let wanted = self.enlarged_bytes(rate_hz, record_bytes) as u64;
        if wanted > have {
            let cpus: Vec<usize> = self.rows.iter().map(|row| row.cpu).collect();
            let more = map_largest(&cpus, wanted, 2 * have);
            self.larger.extend(more.unwrap_or_default());
        }
    }

    /// The size of the rings that [`Rings::enlarge`] would lead to.
    pub(crate) fn enlarged_bytes(&self, rate_hz: u64, record_bytes: u64) -> usize {
        let (count, have) = (self.rows.len() as u64, self.largest_bytes());
        let mapped: usize = self.all().map(|row| row.ring.data_bytes()).sum();
        let of_each = mapped as u64 / count.max(1);
        let permitted = permitted_bytes(count).saturating_sub(of_each);
        let wanted = wanted_bytes(rate_hz, record_bytes, count, permitted);
        usize::try_from(wanted).unwrap_or(usize::MAX).max(have)
    }

    /// The largest ring of a CPU.
    pub(crate) fn largest_of(&self, cpu: usize) -> Option<&CpuRing> {
        let mut all = self.larger.iter().rev().chain(&self.rows);
        all.find(|row| row.cpu == cpu)
    }

    fn largest_bytes(&self) -> usize {
        let sizes = self.all().map(|row| row.ring.data_bytes());
        sizes.max().unwrap_or(0)
    }

    /// All rings, to wait for.
    pub(crate) fn all(&self) -> impl Iterator<Item = &CpuRing> {
        self.rows.iter().chain(&self.larger)
    }

    /// The rings that there are from the start, by CPU.
    pub(crate) fn rows(&self) -> &[CpuRing] {
        &self.rows
    }

    /// Size of the smallest ring; 0 when there is none.
    pub(crate) fn smallest_bytes(&self) -> usize {
        let sizes = self.rows.iter().map(|row| row.ring.data_bytes());
        sizes.min().unwrap_or(0)
    }

    /// Takes everything that is in the rings; returns how many rings were broken.
    pub(crate) fn read(&mut self, batch: &mut Batch, format: &Format) -> u64 {
        let mut broken = 0;
        let rows = self.rows.iter_mut().chain(&mut self.larger);
        for (number, row) in rows.enumerate() {
            if batch.read(number, &mut row.ring, format).is_err() {
                broken += 1;
            }
        }
        broken
    }

    /// The rings in the order of the numbers that [`Rings::read`] gives them.
    pub(crate) fn by_number(&self) -> Vec<&Ring> {
        self.all().map(|row| &row.ring).collect()
    }

    /// Frees the space of everything that the batch has handed out.
    pub(crate) fn release(&mut self, batch: &Batch) {
        let rows = self.rows.iter_mut().chain(&mut self.larger);
        batch.release(rows.map(|row| &mut row.ring));
    }
}

impl CpuRing {
    /// What becomes readable when the ring has filled up to its watermark.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        descriptor(&self.holder)
    }

    /// Makes an event of the same CPU write into this ring.
    pub(crate) fn attach(&self, event: &Counter) -> Result<(), Errno> {
        sys::redirect_output(event, &self.holder)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}

/// Rings of the size that is wanted, or the largest above or at `least` that can be had.
fn map_largest(cpus: &[usize], wanted: u64, least: u64) -> Result<Vec<CpuRing>, Errno> {
    let mut size = wanted;
    loop {
        match map_all(cpus, size) {
            Err(Errno::PERM | Errno::NOMEM) if size / 2 >= least => size /= 2,
            result => return result,
        }
    }
}

fn map_all(cpus: &[usize], data_bytes: u64) -> Result<Vec<CpuRing>, Errno> {
    let data_bytes = usize::try_from(data_bytes).map_err(|_| Errno::NOMEM)?;
    let map = |&cpu: &usize| {
        let holder = open_ring_holder(cpu, data_bytes / 4)?;
        let ring = Ring::map(descriptor(&holder), data_bytes)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(CpuRing { cpu, holder, ring })
    };
    cpus.iter().map(map).collect()
}

/// The size to begin with: a power of two of bytes.
fn wanted_bytes(rate_hz: u64, record_bytes: u64, cpus: u64, permitted: u64) -> u64 {
    let needed = rate_hz.saturating_mul(record_bytes) / 1_000 * RING_MILLISECONDS;
    let most = LARGEST_TOTAL_BYTES / cpus.max(1);
    let most = most.clamp(SMALLEST_RING_BYTES / 4, LARGEST_RING_BYTES);
    let wanted = needed.clamp(SMALLEST_RING_BYTES.min(most), most);
    let page = rustix::param::page_size() as u64;
    let mut size = wanted.next_power_of_two();
    while size > permitted && size > page {
        size /= 2;
    }
    size
}

/// What may be mapped for each CPU, without the control page.
///
/// Ordinary users may map [`FREE_BYTES_PER_CPU`] for each CPU and what `RLIMIT_MEMLOCK` allows
/// beyond it; asking within that avoids most refusals.
fn permitted_bytes(cpus: u64) -> u64 {
    if rustix::process::geteuid().is_root() {
        return u64::MAX;
    }
    let locked = rustix::process::getrlimit(Resource::Memlock).current;
    let share = locked.map_or(u64::MAX, |bytes| bytes / cpus.max(1));
    let page = rustix::param::page_size() as u64;
    share
        .saturating_add(FREE_BYTES_PER_CPU)
        .saturating_sub(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes follow the traffic, are powers of two and stay within their bounds.
    #[test]
    fn sizes_follow_the_traffic() {
        let cases = [
            ((997, 32_200, 2, u64::MAX), 2 << 20),
            ((9_999, 32_200, 2, u64::MAX), 32 << 20),
            ((997, 100, 2, u64::MAX), SMALLEST_RING_BYTES),
            ((1_000_000, 65_000, 2, u64::MAX), LARGEST_RING_BYTES),
            ((9_999, 32_200, 256, u64::MAX), 1 << 20),
            ((9_999, 32_200, 1_024, u64::MAX), 1 << 19),
            // Two CPUs and 8 MiB of locked memory.
            ((9_999, 32_200, 2, (4 << 20) + (516 << 10) - 4096), 4 << 20),
            ((997, 100, 2, 70_000), 1 << 16),
            ((997, 100, 2, 0), rustix::param::page_size() as u64),
        ];
        for ((rate_hz, record_bytes, cpus, permitted), expected) in cases {
            let size = wanted_bytes(rate_hz, record_bytes, cpus, permitted);
            assert_eq!(
                size, expected,
                "{rate_hz} {record_bytes} {cpus} {permitted}"
            );
        }
    }
}
