//! The memory that the kernel writes records into.
//!
//! The kernel only ever writes beyond `data_head`, and never over bytes between `data_tail` and
//! `data_head` (`perf_event_open(2)`, "MMAP layout"). So bytes are copied out of that stretch
//! through raw pointers, after an acquiring load of the head and before a releasing store of the
//! tail; no reference to the memory is ever made.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags};

/// Offset of `data_head` in `struct perf_event_mmap_page`.
const HEAD_OFFSET: usize = 1024;
/// Offset of `data_tail` there.
const TAIL_OFFSET: usize = 1032;
/// Size of `struct perf_event_header`: type (4 bytes), misc (2), size (2).
pub(crate) const HEADER_BYTES: usize = 8;
/// So much of a sample is read of most: its fields and the innermost frames of its stack.
#[cfg(target_arch = "x86_64")]
const FETCHED_BYTES: u64 = 512;
/// What is fetched at once.
#[cfg(target_arch = "x86_64")]
const LINE_BYTES: usize = 64;

/// A mapped ring: one control page and a power of two of data pages.
#[derive(Debug)]
pub(crate) struct Ring {
    base: NonNull<u8>,
    mapped_bytes: usize,
    data_offset: usize,
    data_bytes: usize,
    /// Everything before this position was handed out.
    read: u64,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread.
unsafe impl Send for Ring {}

/// The header of a record: `struct perf_event_header`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// `PERF_RECORD_*`.
    pub(crate) kind: u32,
    /// Flags, their meaning depends on `kind`.
    pub(crate) misc: u16,
    /// Size in bytes, with the header.
    pub(crate) size: u16,
}

/// A part of one record that still lies in the ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<'a> {
    ring: &'a Ring,
    position: u64,
    len: usize,
}

impl Ring {
    /// Maps the ring of an event with `data_bytes` bytes for records, a power of two of pages.
    pub(crate) fn map(event: BorrowedFd<'_>, data_bytes: usize) -> io::Result<Ring> {
        let page = rustix::param::page_size();
        let mapped_bytes = page + data_bytes;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
        let base = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                mapped_bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                event,
                0,
            )?
        };
        Self::over(base.cast(), mapped_bytes, data_bytes)
    }

    /// A ring that no kernel writes, for tests.
    #[cfg(test)]
    fn anonymous(data_bytes: usize) -> io::Result<Ring> {
        let mapped_bytes = rustix::param::page_size() + data_bytes;
        // SAFETY: as in `map`.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                mapped_bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        };
        Self::over(base.cast(), mapped_bytes, data_bytes)
    }

    fn over(base: *mut u8, mapped_bytes: usize, data_bytes: usize) -> io::Result<Ring> {
        let base = NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?;
        debug_assert!(data_bytes.is_power_of_two());
        Ok(Ring {
            base,
            mapped_bytes,
            data_offset: mapped_bytes - data_bytes,
            data_bytes,
            read: 0,
        })
    }

    /// How many bytes of records it holds.
    pub(crate) fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    fn head(&self) -> &AtomicU64 {
        self.control(HEAD_OFFSET)
    }

    fn tail(&self) -> &AtomicU64 {
        self.control(TAIL_OFFSET)
    }

    fn control(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset == HEAD_OFFSET || offset == TAIL_OFFSET);
        // SAFETY: both offsets lie within the control page, which is mapped while `self` lives,
        // and are multiples of 8; the kernel accesses them as whole words too.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }

    /// Hands every record that is complete now and was not handed out before to `take`, oldest
    /// first. Its space stays taken until [`Ring::release`].
    ///
    /// Returns how many bytes were handed out. A record of impossible size, or a head that is
    /// further away than the ring is large, empties the ring, which the kernel never makes happen;
    /// it is returned as an error so that it is counted as a loss.
    pub(crate) fn drain(
        &mut self,
        mut take: impl FnMut(Header, &Body<'_>),
    ) -> Result<u64, BrokenRing> {
        let head = self.head().load(Ordering::Acquire);
        let start = self.read;
        self.read = head;
        let mut tail = start;
        // A head behind the tail is as far away as can be.
        if head.wrapping_sub(start) > self.data_bytes as u64 {
            return Err(BrokenRing);
        }
        while tail < head {
            let header = self.header_at(tail);
            let size = u64::from(header.size);
            if size < HEADER_BYTES as u64 || size > head - tail {
                return Err(BrokenRing);
            }
            let body = Body {
                ring: self,
                position: tail + HEADER_BYTES as u64,
                len: usize::from(header.size) - HEADER_BYTES,
            };
            tail += size;
            self.prefetch(tail, size);
            take(header, &body);
        }
        Ok(tail - start)
    }

    /// Has the beginning and the end of a record that is about to be read fetched meanwhile: another CPU
    /// wrote it, and its lines would be waited for one after the other. Its size is a guess.
    #[cfg(target_arch = "x86_64")]
    fn prefetch(&self, position: u64, size: u64) {
        let lines = (0..FETCHED_BYTES).step_by(LINE_BYTES);
        let last = size.saturating_sub(8);
        for offset in lines.chain([last]) {
            let start = (position.wrapping_add(offset) & (self.data_bytes as u64 - 1)) as usize;
            // SAFETY: `start` lies within the data, which are mapped while `self` lives; a prefetch
            // is a hint that reads nothing.
            unsafe {
                let data = self.base.as_ptr().add(self.data_offset);
                _mm_prefetch::<_MM_HINT_T0>(data.add(start).cast());
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn prefetch(&self, _position: u64, _size: u64) {}

    /// Frees the space of everything that was handed out before `kept`, the position of the first
    /// record that is still needed; of all of it without one.
    pub(crate) fn release(&mut self, kept: Option<u64>) {
        self.tail()
            .store(kept.unwrap_or(self.read), Ordering::Release);
    }

    /// Throws away everything that is in the ring.
    pub(crate) fn clear(&mut self) {
        self.read = self.head().load(Ordering::Acquire);
        self.release(None);
    }

    fn header_at(&self, position: u64) -> Header {
        let mut bytes = [0; HEADER_BYTES];
        self.copy(position, &mut bytes);
        let [k0, k1, k2, k3, m0, m1, s0, s1] = bytes;
        Header {
            kind: u32::from_ne_bytes([k0, k1, k2, k3]),
            misc: u16::from_ne_bytes([m0, m1]),
            size: u16::from_ne_bytes([s0, s1]),
        }
    }

    /// The `len` bytes from a position on, of a record that was not released.
    pub(crate) fn part(&self, position: u64, len: usize) -> Body<'_> {
        debug_assert!(
            position.wrapping_sub(self.tail().load(Ordering::Relaxed)) < self.data_bytes as u64
        );
        Body {
            ring: self,
            position,
            len,
        }
    }

    /// The 8 bytes at a position that counts up without end, as a number.
    fn word(&self, position: u64) -> u64 {
        let start = (position & (self.data_bytes as u64 - 1)) as usize;
        if start + 8 > self.data_bytes {
            let mut bytes = [0; 8];
            self.copy(position, &mut bytes);
            return u64::from_ne_bytes(bytes);
        }
        // SAFETY: the 8 bytes from `start` on lie within the data, which are mapped while `self`
        // lives; any bytes are a number.
        unsafe {
            let data = self.base.as_ptr().add(self.data_offset);
            data.add(start).cast::<u64>().read_unaligned()
        }
    }

    /// Copies bytes from a position that counts up without end, across the wrap.
    fn copy(&self, position: u64, into: &mut [u8]) {
        assert!(into.len() <= self.data_bytes);
        let start = (position & (self.data_bytes as u64 - 1)) as usize;
        let first = into.len().min(self.data_bytes - start);
        // SAFETY: `start` is below `data_bytes`, and `first` ends at the end of the data at the
        // latest; the rest, shorter than the data, is taken from their start. `into` is ours.
        unsafe {
            let data = self.base.as_ptr().add(self.data_offset);
            data.add(start)
                .copy_to_nonoverlapping(into.as_mut_ptr(), first);
            data.copy_to_nonoverlapping(into.as_mut_ptr().add(first), into.len() - first);
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: `base` and `mapped_bytes` are those of a mapping that only `self` uses. An error
        // would mean that it is not mapped, and there is nothing left to do about it.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.mapped_bytes) };
    }
}

/// A ring held a record of impossible size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokenRing;

impl Body<'_> {
    /// Length in bytes, without the header.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where the record begins in its ring, its header included, when this is a whole body.
    pub(crate) fn record_position(&self) -> u64 {
        self.position - HEADER_BYTES as u64
    }

    /// Where the byte at `offset` lies in the ring.
    pub(crate) fn position(&self, offset: usize) -> u64 {
        self.position + offset as u64
    }

    /// The 8 bytes at `offset` as a number; `None` beyond the end.
    pub(crate) fn word(&self, offset: usize) -> Option<u64> {
        let end = offset.checked_add(8)?;
        (end <= self.len).then(|| self.ring.word(self.position + offset as u64))
    }

    /// Appends the bytes of `range`, cut to the body's end, to `out`.
    pub(crate) fn append(&self, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
        let end = range.end.min(self.len);
        let start = range.start.min(end);
        let old = out.len();
        out.resize(old + end - start, 0);
        self.ring
            .copy(self.position + start as u64, &mut out[old..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA_BYTES: usize = 4096;

    impl Ring {
        /// Does what the kernel does: writes a record at the head, wrapped, and moves the head.
        fn push(&self, record: &[u8]) {
            let head = self.head().load(Ordering::Relaxed);
            for (i, &byte) in record.iter().enumerate() {
                let at = (head as usize + i) % DATA_BYTES;
                // SAFETY: `at` lies within the data.
                unsafe {
                    self.base
                        .as_ptr()
                        .add(self.data_offset + at)
                        .write_volatile(byte);
                };
            }
            self.head()
                .store(head + record.len() as u64, Ordering::Release);
        }

        fn start_at(&mut self, position: u64) {
            self.read = position;
            self.head().store(position, Ordering::Relaxed);
            self.tail().store(position, Ordering::Relaxed);
        }
    }

    fn record(kind: u32, misc: u16, body: &[u8]) -> Vec<u8> {
        let size = u16::try_from(HEADER_BYTES + body.len()).unwrap();
        let mut bytes = kind.to_ne_bytes().to_vec();
        bytes.extend(misc.to_ne_bytes());
        bytes.extend(size.to_ne_bytes());
        bytes.extend(body);
        bytes
    }

    fn drained(ring: &mut Ring) -> Vec<(Header, Vec<u8>)> {
        let mut all = Vec::new();
        ring.drain(|header, body| {
            let mut bytes = Vec::new();
            body.append(0..body.len(), &mut bytes);
            all.push((header, bytes));
        })
        .unwrap();
        ring.release(None);
        all
    }

    /// What was handed out stays readable until it is released, and its space is not free before.
    #[test]
    fn records_stay_until_they_are_released() {
        let mut ring = Ring::anonymous(DATA_BYTES).unwrap();
        ring.push(&record(1, 0, &[1; 24]));
        ring.push(&record(2, 0, &[2; 24]));
        let mut places = Vec::new();
        ring.drain(|_, body| places.push((body.record_position(), body.position(8))))
            .unwrap();
        assert_eq!(places, [(0, 16), (32, 48)]);
        assert_eq!(ring.drain(|_, _| ()), Ok(0));
        assert_eq!(ring.tail().load(Ordering::Relaxed), 0);
        ring.release(Some(32));
        assert_eq!(ring.tail().load(Ordering::Relaxed), 32);
        assert_eq!(ring.part(48, 8).word(0), Some(0x0202_0202_0202_0202));
        assert_eq!(ring.part(48, 8).word(1), None);
        ring.release(None);
        assert_eq!(ring.tail().load(Ordering::Relaxed), 64);
    }

    /// Records come out as they went in wherever the ring wraps, header and body alike, and also
    /// when the ring is exactly full.
    #[test]
    fn records_survive_a_wrap_at_every_offset() {
        let mut ring = Ring::anonymous(DATA_BYTES).unwrap();
        let long: Vec<u8> = (0..3_000u32).map(|i| (i * 7 + 3) as u8).collect();
        let short: Vec<u8> = (0..40).collect();
        let filler = vec![0xa5; DATA_BYTES - 3 * HEADER_BYTES - long.len() - short.len()];
        for start in (0..DATA_BYTES as u64).step_by(8) {
            ring.start_at(start + 10 * DATA_BYTES as u64);
            for (kind, body) in [(9, &long), (10, &short), (2, &filler)] {
                ring.push(&record(kind, 7, body));
            }
            let found = drained(&mut ring);
            let kinds: Vec<u32> = found.iter().map(|(header, _)| header.kind).collect();
            assert_eq!(kinds, [9, 10, 2], "start {start}");
            assert!(found[0].1 == long && found[1].1 == short && found[2].1 == filler);
            assert!(found.iter().all(|(header, _)| header.misc == 7));
            assert!(drained(&mut ring).is_empty());
        }
    }

    /// Words and ranges of a body agree with its bytes at every offset, and end at its end.
    #[test]
    fn parts_of_a_body_agree_with_the_whole() {
        let mut ring = Ring::anonymous(DATA_BYTES).unwrap();
        let bytes: Vec<u8> = (0..128).collect();
        for start in (DATA_BYTES as u64 - 160..DATA_BYTES as u64).step_by(8) {
            ring.start_at(start);
            ring.push(&record(1, 0, &bytes));
            ring.drain(|_, body| {
                for offset in 0..=bytes.len() {
                    let word = bytes.get(offset..offset + 8);
                    let word = word.map(|w| u64::from_ne_bytes(w.try_into().unwrap()));
                    assert_eq!(body.word(offset), word);
                    let mut rest = Vec::new();
                    body.append(offset..usize::MAX, &mut rest);
                    assert_eq!(rest, bytes[offset..]);
                }
                assert_eq!(body.word(usize::MAX), None);
            })
            .unwrap();
        }
    }

    /// Sizes that no kernel writes are an error and empty the ring; they do not loop or panic.
    #[test]
    fn an_impossible_size_empties_the_ring() {
        for size in [0u16, 7, 4_000] {
            let mut ring = Ring::anonymous(DATA_BYTES).unwrap();
            let mut bytes = record(9, 0, &[1; 24]);
            bytes[6..8].copy_from_slice(&size.to_ne_bytes());
            ring.push(&bytes);
            assert_eq!(ring.drain(|_, _| ()), Err(BrokenRing));
            assert_eq!(ring.drain(|_, _| ()), Ok(0));
        }
    }

    /// A head that no kernel writes is an error too: records that would be larger than the ring,
    /// a head that has gone round more than once, and one behind the tail.
    #[test]
    fn a_corrupt_head_empties_the_ring() {
        let size = u16::try_from(DATA_BYTES + 904).unwrap();
        let mut large = record(9, 0, &[1; 24]);
        large[6..8].copy_from_slice(&size.to_ne_bytes());
        let heads = [u64::from(size), 10 * DATA_BYTES as u64, u64::MAX];
        for head in heads {
            let mut ring = Ring::anonymous(DATA_BYTES).unwrap();
            ring.push(&large);
            ring.head().store(head, Ordering::Relaxed);
            let drained = ring.drain(|_, body| {
                let mut bytes = Vec::new();
                body.append(0..body.len(), &mut bytes);
            });
            assert_eq!(drained, Err(BrokenRing), "{head}");
            assert_eq!(ring.drain(|_, _| ()), Ok(0));
        }
        let mut ring = Ring::anonymous(DATA_BYTES).unwrap();
        ring.start_at(64);
        ring.head().store(32, Ordering::Relaxed);
        assert_eq!(ring.drain(|_, _| ()), Err(BrokenRing));
        ring.push(&record(9, 0, &[1; 24]));
        assert_eq!(drained(&mut ring).len(), 1);
    }
}
