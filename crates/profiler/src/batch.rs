//! Records that were copied out of the rings and wait until their turn in time has come.
//!
//! Each ring is in order, but all rings together are not. A record may be processed when no older
//! one can still appear: every record that was written before a drain began is in its ring when
//! that drain reads it, so everything older than the beginning of a round of drains, less a slack
//! for writers that were interrupted between taking the time and publishing, is safe.

use crate::decode::Format;
use crate::ring::{Body, BrokenRing, Header, Ring};
use crate::unwind::word_at;

/// How far behind the beginning of a round records are held back.
pub(crate) const SLACK_NS: u64 = 2_000_000;

/// `PERF_RECORD_FORK`, and where the number of the new thread stands in it, behind the numbers of
/// its process and of its maker's.
const FORK: u32 = 7;
const FORK_TID_AT: usize = 8;

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
    /// Number of its ring, and where it lies there.
    ring: usize,
    position: u64,
    stack: Option<StackPlace>,
}

/// A copy of the stack in a ring.
#[derive(Debug, Clone, Copy)]
struct StackPlace {
    position: u64,
    reserved_bytes: usize,
    used_bytes: usize,
}

/// A copy of a stack, wherever it lies.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StackBytes<'a> {
    /// In the ring.
    Ring(Body<'a>),
    /// In memory of ours.
    Slice(&'a [u8]),
}

impl StackBytes<'_> {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        match self {
            StackBytes::Ring(body) => body.len(),
            StackBytes::Slice(bytes) => bytes.len(),
        }
    }

    /// The word at an offset in bytes.
    pub(crate) fn word(&self, offset: u64) -> Result<u64, ()> {
        match self {
            StackBytes::Ring(body) => {
                let offset = usize::try_from(offset).map_err(|_| ())?;
                body.word(offset).ok_or(())
            }
            StackBytes::Slice(bytes) => word_at(bytes, offset),
        }
    }
}

/// One record: its header's type and flags, and its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawRecord<'a> {
    /// `PERF_RECORD_*`.
    pub(crate) kind: u32,
    /// Flags of the header.
    pub(crate) misc: u16,
    /// Everything behind the header; of a sample everything before its copy of the stack.
    pub(crate) body: &'a [u8],
    /// A sample's copy of the stack.
    pub(crate) stack: StackBytes<'a>,
    /// The largest copy of the stack that a sample could have held; 0 when it has none.
    pub(crate) reserved_stack_bytes: usize,
}

impl Batch {
    /// Takes all records of a ring, which is known as number `ring`. They are copied but for the
    /// stack in a sample: unwinding reads a few words of it, which stay in the ring until
    /// [`Batch::release`].
    pub(crate) fn read(
        &mut self,
        ring: usize,
        source: &mut Ring,
        format: &Format,
    ) -> Result<u64, BrokenRing> {
        source.drain(|header, body| {
            let start = self.bytes.len();
            let stack = format.used_stack(header, body);
            let copied = stack.map_or(body.len(), |stack| stack.size_at);
            body.append(0..copied, &mut self.bytes);
            let len = self.bytes.len() - start;
            let time_ns = format.time(header, &self.bytes[start..]).unwrap_or(0);
            self.entries.push(Entry {
                time_ns,
                header,
                start,
                len,
                ring,
                position: body.record_position(),
                stack: stack.map(|stack| StackPlace {
                    position: body.position(stack.size_at + 8),
                    reserved_bytes: stack.reserved_bytes,
                    used_bytes: stack.used_bytes,
                }),
            });
        })
    }

    /// The threads that waiting records tell the start of.
    pub(crate) fn started(&self) -> impl Iterator<Item = u32> {
        let forks = self.entries.iter();
        let forks = forks.filter(|entry| entry.header.kind == FORK);
        forks.filter_map(|entry| {
            let body = &self.bytes[entry.start..entry.start + entry.len];
            let tid = body.get(FORK_TID_AT..FORK_TID_AT + 4)?;
            Some(u32::from_ne_bytes(tid.try_into().ok()?))
        })
    }

    /// Frees the space in the rings of everything that was handed out.
    pub(crate) fn release<'r>(&self, rings: impl Iterator<Item = &'r mut Ring>) {
        for (number, ring) in rings.enumerate() {
            let waiting = self.entries.iter().filter(|entry| entry.ring == number);
            ring.release(waiting.map(|entry| entry.position).min());
        }
    }

    /// Hands out all records older than `horizon_ns`, oldest first; those of one time in the order
    /// in which they were read. The rest is kept.
    ///
    /// `rings` are those that were read, by number.
    pub(crate) fn take_before<E>(
        &mut self,
        horizon_ns: u64,
        rings: &[&Ring],
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
                stack: match entry.stack {
                    Some(place) => {
                        StackBytes::Ring(rings[entry.ring].part(place.position, place.used_bytes))
                    }
                    None => StackBytes::Slice(&[]),
                },
                reserved_stack_bytes: entry.stack.map_or(0, |place| place.reserved_bytes),
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
                size: u16::try_from(body.len() + crate::ring::HEADER_BYTES).unwrap(),
            },
            start,
            len: body.len(),
            ring: 0,
            position: 0,
            stack: None,
        });
    }
}

/// Where the copy of the stack lies in a sample, and how much of it is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UsedStack {
    /// Offset of the word with the copy's size.
    pub(crate) size_at: usize,
    /// Bytes that the kernel would have copied at most.
    pub(crate) reserved_bytes: usize,
    /// Bytes in use.
    pub(crate) used_bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(batch: &mut Batch, horizon_ns: u64) -> Vec<(u64, u32, Vec<u8>)> {
        let mut all = Vec::new();
        batch
            .take_before(horizon_ns, &[], |time, record| {
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

    /// The third number of a fork is the new thread's; other records start nobody.
    #[test]
    fn waiting_forks_tell_who_was_started() {
        let mut batch = Batch::default();
        let numbers = |numbers: [u32; 4]| numbers.map(u32::to_ne_bytes).concat();
        batch.push(1, FORK, &numbers([10, 10, 12, 11]));
        batch.push(2, 4, &numbers([10, 10, 13, 11]));
        batch.push(3, FORK, &numbers([14, 10, 14, 10]));
        batch.push(4, FORK, b"short");
        assert_eq!(batch.started().collect::<Vec<_>>(), [12, 14]);
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
