//! Records in the order of time, over all CPUs.
//!
//! perf reads one ring after the other, so the records of one CPU are in order and all together are
//! not. Each time it has read all rings once it writes `PERF_RECORD_FINISHED_ROUND`: whatever was
//! written before the round before this one began is then in the file, so records as old as the
//! newest of the round before can be processed.

use super::header::RecordHeader;

/// Records that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    bytes: Vec<u8>,
    spare: Vec<u8>,
    entries: Vec<Entry>,
    newest_ns: u64,
    flush_ns: u64,
    handed_ns: u64,
    most_bytes: u64,
    /// Records that came after younger ones had been handed out.
    pub(super) late: u64,
}

/// A sample with a chain has hardly fewer.
const FEWEST_BYTES: usize = 64;

/// One record.
#[derive(Debug, Clone, Copy)]
struct Entry {
    time_ns: u64,
    start: usize,
    header: RecordHeader,
}

impl Waiting {
    /// Room for the records of a file of this size, which may have one round alone: memory that is
    /// not used costs nothing, and to move what has outgrown its place does. All that waits may take
    /// `most_bytes`.
    pub(super) fn with_room(file_bytes: u64, most_bytes: u64) -> Waiting {
        /// What more rounds than one hold has been handed out in between.
        const MOST_ROOM: u64 = 64 << 20;
        let bytes = file_bytes.min(MOST_ROOM).min(most_bytes) as usize;
        Waiting {
            most_bytes,
            bytes: Vec::with_capacity(bytes),
            entries: Vec::with_capacity(bytes / FEWEST_BYTES),
            ..Waiting::default()
        }
    }

    /// Keeps a copy of a record's body.
    pub(super) fn push(&mut self, time_ns: u64, header: RecordHeader, body: &[u8]) {
        self.newest_ns = self.newest_ns.max(time_ns);
        self.late += u64::from(time_ns < self.handed_ns);
        self.entries.push(Entry {
            time_ns,
            start: self.bytes.len(),
            header,
        });
        self.bytes.extend_from_slice(body);
    }

    /// Whether so much waits that some of it has to go.
    pub(super) fn is_full(&self) -> bool {
        let bytes = self.bytes.len() + self.entries.len() * size_of::<Entry>();
        bytes as u64 >= self.most_bytes
    }

    /// A time up to which at least half of the records lie.
    pub(super) fn middle_ns(&self) -> u64 {
        let mut times: Vec<u64> = self.entries.iter().map(|entry| entry.time_ns).collect();
        let middle = times.len() / 2;
        match times.is_empty() {
            true => 0,
            false => *times.select_nth_unstable(middle).1,
        }
    }

    /// All rings have been read once more: hands out what can be.
    pub(super) fn finish_round<E>(
        &mut self,
        take: impl FnMut(u64, RecordHeader, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let safe_ns = std::mem::replace(&mut self.flush_ns, self.newest_ns);
        self.flush(safe_ns, take)
    }

    /// Hands out records up to a time, oldest first, those of one time as they stand in the file.
    pub(super) fn flush<E>(
        &mut self,
        until_ns: u64,
        mut take: impl FnMut(u64, RecordHeader, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        // The sort finds the runs that the rings are.
        self.entries.sort_by_key(|entry| entry.time_ns);
        let ready = self.entries.partition_point(|e| e.time_ns <= until_ns);
        for entry in self.entries.drain(..ready) {
            self.handed_ns = self.handed_ns.max(entry.time_ns);
            let len = usize::from(entry.header.size) - RecordHeader::BYTES;
            let body = &self.bytes[entry.start..entry.start + len];
            take(entry.time_ns, entry.header, body)?;
        }
        self.spare.clear();
        for entry in &mut self.entries {
            let len = usize::from(entry.header.size) - RecordHeader::BYTES;
            let start = std::mem::replace(&mut entry.start, self.spare.len());
            self.spare
                .extend_from_slice(&self.bytes[start..start + len]);
        }
        std::mem::swap(&mut self.bytes, &mut self.spare);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(waiting: &mut Waiting, time_ns: u64, tag: u8) {
        let header = RecordHeader {
            kind: 1,
            misc: 0,
            size: 9,
        };
        waiting.push(time_ns, header, &[tag]);
    }

    fn tags(waiting: &mut Waiting, until_ns: Option<u64>) -> Vec<u8> {
        let mut tags = Vec::new();
        let take = |_, _, body: &[u8]| {
            tags.push(body[0]);
            Ok::<(), ()>(())
        };
        match until_ns {
            Some(until_ns) => waiting.flush(until_ns, take),
            None => waiting.finish_round(take),
        }
        .unwrap();
        tags
    }

    /// A round hands out only what the round before it has seen; the order is that of time, and of
    /// the file among equals; what comes too late is counted.
    #[test]
    fn rounds_hand_out_in_order_of_time() {
        let mut waiting = Waiting::default();
        push(&mut waiting, 10, 0);
        push(&mut waiting, 30, 1);
        push(&mut waiting, 20, 2);
        assert!(tags(&mut waiting, None).is_empty());
        push(&mut waiting, 40, 3);
        push(&mut waiting, 20, 4);
        assert_eq!(tags(&mut waiting, None), [0, 2, 4, 1]);
        push(&mut waiting, 29, 5);
        assert_eq!(waiting.late, 1);
        assert_eq!(tags(&mut waiting, Some(u64::MAX)), [5, 3]);
        assert!(waiting.bytes.is_empty());
    }

    /// Half of what waits can always go, whatever the times are.
    #[test]
    fn half_lies_before_the_middle() {
        let mut waiting = Waiting::with_room(0, 1 << 10);
        for (tag, time_ns) in [1, 900, 2, 900, 3, 1_000].into_iter().enumerate() {
            push(&mut waiting, time_ns, tag as u8);
        }
        assert!(!waiting.is_full());
        let middle_ns = waiting.middle_ns();
        assert_eq!(middle_ns, 900);
        assert_eq!(tags(&mut waiting, Some(middle_ns)), [0, 2, 4, 1, 3]);
        assert_eq!(Waiting::default().middle_ns(), 0);
    }
}
