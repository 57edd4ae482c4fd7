//! Records that were copied out of the rings and wait until their turn in time has come.
//!
//! Each ring is in order, but all rings together are not. A record may be processed when no older
//! one can still appear: every record that was written before a drain began is in its ring when
//! that drain reads it, so everything older than the beginning of a round of drains, less a slack
//! for writers that were interrupted between taking the time and publishing, is safe.

use crate::decode::Format;
use crate::ring::{BrokenRing, HEADER_BYTES, Header, Ring};

/// How far behind the beginning of a round records are held back.
pub(crate) const SLACK_NS: u64 = 2_000_000;

/// Copied records with the time of each.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    time_ns: u64,
    header: Header,
    start: usize,
    len: usize,
    reserved_stack_bytes: u32,
}

/// One record: its header's type and flags, and its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawRecord<'a> {
    /// `PERF_RECORD_*`.
    pub(crate) kind: u32,
    /// Flags of the header.
    pub(crate) misc: u16,
    /// Everything behind the header.
    pub(crate) body: &'a [u8],
    /// The largest copy of the stack that a sample could have held; 0 when it has none.
    pub(crate) reserved_stack_bytes: u32,
}

impl Batch {
    /// Copies all records of a ring; of the stack in a sample only the bytes in use.
    pub(crate) fn read(&mut self, ring: &mut Ring, format: &Format) -> Result<u64, BrokenRing> {
        ring.drain(|header, body| {
            let start = self.bytes.len();
            let mut reserved_stack_bytes = 0;
            match format.used_stack(header, body) {
                Some(stack) => {
                    // A record is shorter than 64 KiB.
                    reserved_stack_bytes = stack.reserved_bytes as u32;
                    body.append(0..stack.size_at, &mut self.bytes);
                    self.bytes.extend(stack.used_bytes.to_ne_bytes());
                    let data = stack.size_at + 8;
                    let used = stack.used_bytes as usize;
                    body.append(data..data + used, &mut self.bytes);
                    self.bytes.extend(stack.used_bytes.to_ne_bytes());
                }
                None => body.append(0..body.len(), &mut self.bytes),
            }
            let len = self.bytes.len() - start;
            let time_ns = format.time(header, &self.bytes[start..]).unwrap_or(0);
            self.entries.push(Entry {
                time_ns,
                header,
                start,
                len,
                reserved_stack_bytes,
            });
        })
    }

    /// Hands out all records older than `horizon_ns`, oldest first; those of one time in the order
    /// in which they were read. The rest is kept.
    pub(crate) fn take_before<E>(
        &mut self,
        horizon_ns: u64,
        mut take: impl FnMut(u64, RawRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.entries.sort_by_key(|entry| entry.time_ns);
        let ready = self
            .entries
            .partition_point(|entry| entry.time_ns < horizon_ns);
        let mut result = Ok(());
        for entry in &self.entries[..ready] {
            let record = RawRecord {
                kind: entry.header.kind,
                misc: entry.header.misc,
                body: &self.bytes[entry.start..entry.start + entry.len],
                reserved_stack_bytes: entry.reserved_stack_bytes,
            };
            result = take(entry.time_ns, record);
            if result.is_err() {
                break;
            }
        }
        self.forget(ready);
        result
    }

    /// Removes the first records and closes the gaps that they leave.
    fn forget(&mut self, count: usize) {
        self.entries.drain(..count);
        if self.entries.is_empty() {
            self.bytes.clear();
            return;
        }
        if count == 0 {
            return;
        }
        self.entries.sort_by_key(|entry| entry.start);
        let mut end = 0;
        for entry in &mut self.entries {
            self.bytes
                .copy_within(entry.start..entry.start + entry.len, end);
            entry.start = end;
            end += entry.len;
        }
        self.bytes.truncate(end);
    }

    /// How many bytes wait.
    #[cfg(test)]
    fn waiting_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a record as if it had been read from a ring.
    #[cfg(test)]
    fn push(&mut self, time_ns: u64, kind: u32, body: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend(body);
        self.entries.push(Entry {
            time_ns,
            header: Header {
                kind,
                misc: 0,
                size: u16::try_from(body.len() + HEADER_BYTES).unwrap(),
            },
            start,
            len: body.len(),
            reserved_stack_bytes: 0,
        });
    }
}

/// Where the copy of the stack lies in a sample, and how much of it is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UsedStack {
    /// Offset of the word with the copy's size.
    pub(crate) size_at: usize,
    /// Bytes that the kernel would have copied at most.
    pub(crate) reserved_bytes: u64,
    /// Bytes in use, rounded up to a word.
    pub(crate) used_bytes: u64,
}

const _: () = assert!(HEADER_BYTES == 8);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(batch: &mut Batch, horizon_ns: u64) -> Vec<(u64, u32, Vec<u8>)> {
        let mut all = Vec::new();
        batch
            .take_before(horizon_ns, |time, record| {
                all.push((time, record.kind, record.body.to_vec()));
                Ok::<(), ()>(())
            })
            .unwrap();
        all
    }

    /// A fork on one CPU and the child's sample on another come out in the order of time, whichever
    /// ring was read first; what is too young waits with its bytes intact.
    #[test]
    fn records_of_several_rings_come_out_by_time() {
        let mut batch = Batch::default();
        batch.push(30, 9, b"sample");
        batch.push(50, 9, b"young");
        batch.push(10, 7, b"fork");
        batch.push(20, 10, b"mmap");
        let kinds: Vec<_> = taken(&mut batch, 50).into_iter().map(|r| r.1).collect();
        assert_eq!(kinds, [7, 10, 9]);
        batch.push(40, 9, b"late");
        let rest = taken(&mut batch, u64::MAX);
        assert_eq!(
            rest,
            [(40, 9, b"late".to_vec()), (50, 9, b"young".to_vec())]
        );
        assert_eq!(batch.waiting_bytes(), 0);
    }

    /// Records of one time keep the order of their ring: an exec before the mappings it makes.
    #[test]
    fn records_of_one_time_keep_their_order() {
        let mut batch = Batch::default();
        for kind in 0..100 {
            batch.push(5, kind, &[kind as u8]);
        }
        let kinds: Vec<_> = taken(&mut batch, 6).into_iter().map(|r| r.1).collect();
        assert_eq!(kinds, (0..100).collect::<Vec<_>>());
    }

    proptest! {
        /// Whatever the times and the horizons, every record comes out once, with its bytes, and
        /// each release is in order.
        #[test]
        fn nothing_is_lost_or_doubled(
            rounds in prop::collection::vec(
                (prop::collection::vec((0u64..100, 0usize..20), 0..20), 0u64..100), 1..10)
        ) {
            let mut batch = Batch::default();
            let (mut pushed, mut popped) = (Vec::new(), Vec::new());
            let mut serial = 0u32;
            for (records, horizon) in rounds {
                for (time, len) in records {
                    let body = vec![serial as u8; len];
                    batch.push(time, serial, &body);
                    pushed.push((time, serial, body));
                    serial += 1;
                }
                let out = taken(&mut batch, horizon);
                prop_assert!(out.is_sorted_by_key(|r| r.0));
                prop_assert!(out.iter().all(|r| r.0 < horizon));
                popped.extend(out);
            }
            popped.extend(taken(&mut batch, u64::MAX));
            popped.sort_by_key(|r| r.1);
            prop_assert_eq!(popped, pushed);
            prop_assert_eq!(batch.waiting_bytes(), 0);
        }
    }
}
