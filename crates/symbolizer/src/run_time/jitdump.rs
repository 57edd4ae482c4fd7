//! Jitdump: a binary log of code made at run time.
//!
//! Layout and record kinds are those of perf's `jitdump-specification.txt`, version 1. Code bytes
//! and unwinding tables are passed over. The byte order is the writer's, which the first word
//! tells.

use std::io::{BufReader, Read};

use super::code_map::{Collector, LONGEST_NAME_BYTES, LineEntry, Text};

/// Whether a file that begins so is a dump, of either byte order.
pub(crate) fn is_magic(bytes: [u8; 4]) -> bool {
    let word = u32::from_le_bytes(bytes);
    word == MAGIC || word.swap_bytes() == MAGIC
}

const MAGIC: u32 = 0x4a69_5444;
const VERSION: u32 = 1;
const HEADER_BYTES: u32 = 40;
const RECORD_HEADER_BYTES: u32 = 16;
const CODE_LOAD: u32 = 0;
const CODE_MOVE: u32 = 1;
const CODE_DEBUG_INFO: u32 = 2;
/// A file name in debug information that stands for the one before.
const SAME_FILE: &[u8] = b"\xff";
/// Debug information of one function is not read beyond this many bytes.
const LARGEST_DEBUG_BYTES: u32 = 64 << 20;
/// perf makes an ELF file of each function, whose code follows a header of this size; V8 adds it
/// to the addresses of lines. Written as the specification says they would begin at the function.
const ELF_HEADER_BYTES: u64 = 0x40;

/// Reads a dump; what is told is what was wrong with it, `None` when nothing was.
pub(crate) fn read(file: impl Read, into: &mut Collector) -> Option<String> {
    let mut dump = Dump {
        bytes: BufReader::with_capacity(1 << 16, file),
        at: 0,
        big_endian: false,
        debug: None,
        damaged_lines: 0,
    };
    let told = match dump.header() {
        Ok(()) => dump.records(into),
        Err(told) => Some(told),
    };
    told.or_else(|| {
        let count = dump.damaged_lines;
        (count > 0).then(|| format!("the source lines of {count} functions contradict their code"))
    })
}

struct Dump<R> {
    bytes: BufReader<R>,
    /// Bytes read so far.
    at: u64,
    big_endian: bool,
    /// Debug information of the function that is loaded next.
    debug: Option<DebugInfo>,
    damaged_lines: u64,
}

struct DebugInfo {
    code: u64,
    /// Address, line and file of each entry.
    entries: Vec<(u64, u32, Text)>,
}

/// Fields of a record's body.
struct Fields<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Fields<'_> {
    fn u32(&mut self) -> Option<u32> {
        let (head, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(if self.big_endian {
            u32::from_be_bytes(*head)
        } else {
            u32::from_le_bytes(*head)
        })
    }

    fn u64(&mut self) -> Option<u64> {
        let (head, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(if self.big_endian {
            u64::from_be_bytes(*head)
        } else {
            u64::from_le_bytes(*head)
        })
    }

    /// Bytes up to a zero; `None` when there is none.
    fn text(&mut self) -> Option<&[u8]> {
        let end = self.bytes.iter().position(|&byte| byte == 0)?;
        let (text, rest) = self.bytes.split_at(end);
        self.bytes = &rest[1..];
        Some(text)
    }
}

impl<R: Read> Dump<R> {
    fn header(&mut self) -> Result<(), String> {
        let cut = || "it is shorter than a header of 40 bytes".to_owned();
        let head = self.take(HEADER_BYTES).ok_or_else(cut)?;
        let magic = head.first_chunk().map(|chunk| u32::from_le_bytes(*chunk));
        self.big_endian = match magic {
            Some(MAGIC) => false,
            Some(magic) if magic.swap_bytes() == MAGIC => true,
            _ => {
                return Err(format!(
                    "it begins with {:02x?}, expected the word 4a695444",
                    &head[..4]
                ));
            }
        };
        let mut fields = self.fields(&head[4..]);
        let (version, size) = (fields.u32(), fields.u32());
        if version != Some(VERSION) {
            let found = version.unwrap_or(0);
            return Err(format!("it has version {found}, expected {VERSION}"));
        }
        let more = size.unwrap_or(0).saturating_sub(HEADER_BYTES);
        if self.skip(u64::from(more)) {
            Ok(())
        } else {
            Err("it ends within its header".to_owned())
        }
    }

    fn records(&mut self, into: &mut Collector) -> Option<String> {
        loop {
            let start = self.at;
            let broken = |what: &str| Some(format!("{what} at byte {start}; what follows is lost"));
            let head = match self.take(RECORD_HEADER_BYTES) {
                Some(head) => head,
                None if self.at == start => return None,
                None => return broken("it ends within a record"),
            };
            let mut fields = self.fields(&head);
            let (kind, size) = (fields.u32()?, fields.u32()?);
            let Some(body) = size.checked_sub(RECORD_HEADER_BYTES) else {
                return broken("a record claims to be shorter than its own header");
            };
            let read = match kind {
                CODE_LOAD => self.load(body, into),
                CODE_MOVE => self.moved(body, into),
                CODE_DEBUG_INFO => self.debug_info(body, into),
                _ => Some(Room::Left),
            };
            match read {
                Some(Room::Left) => {}
                Some(Room::Full) => {
                    let count = into.len();
                    return Some(format!("it has more than {count} functions or lines"));
                }
                None => return broken("it ends within a record, or one contradicts itself"),
            }
            let done = self.at - start;
            if !self.skip(u64::from(size).saturating_sub(done)) {
                return broken("it ends within a record");
            }
        }
    }

    /// `None` when the record's own fields do not fit into it.
    fn load(&mut self, body: u32, into: &mut Collector) -> Option<Room> {
        const FIXED_BYTES: u32 = 40;
        let head = self.take(FIXED_BYTES.min(body))?;
        let mut fields = self.fields(&head);
        let (_pid_and_tid, _vma) = ((fields.u32()?, fields.u32()?), fields.u64()?);
        let (start, size) = (fields.u64()?, fields.u64()?);
        // Behind the name stands the code.
        let longest = body
            .checked_sub(FIXED_BYTES)?
            .min(LONGEST_NAME_BYTES as u32);
        let rest = self.take_up_to(longest)?;
        let end = rest.iter().position(|&byte| byte == 0);
        if end.is_none() && rest.len() < LONGEST_NAME_BYTES {
            return None;
        }
        let name = &rest[..end.unwrap_or(rest.len())];
        let Some(name) = into.text(name) else {
            return Some(Room::Full);
        };
        let lines = self.lines_of(start, size);
        let added = into.add(start, size, name, &lines);
        Some(if added { Room::Left } else { Room::Full })
    }

    fn moved(&mut self, body: u32, into: &mut Collector) -> Option<Room> {
        const FIXED_BYTES: u32 = 48;
        let head = self.take(FIXED_BYTES.min(body))?;
        let mut fields = self.fields(&head);
        let (_pid_and_tid, _vma) = ((fields.u32()?, fields.u32()?), fields.u64()?);
        let (old, new, size) = (fields.u64()?, fields.u64()?, fields.u64()?);
        // Code whose loading was not written down stays unnamed.
        let _ = into.move_code(old, new, size);
        Some(Room::Left)
    }

    fn debug_info(&mut self, body: u32, into: &mut Collector) -> Option<Room> {
        if body > LARGEST_DEBUG_BYTES {
            self.damaged_lines += 1;
            return Some(Room::Left);
        }
        let bytes = self.take(body)?;
        let mut fields = self.fields(&bytes);
        let code = fields.u64()?;
        let count = fields.u64()?;
        let mut entries = Vec::new();
        let mut file = None;
        for _ in 0..count {
            let (address, line, _discriminator) = (fields.u64()?, fields.u32()?, fields.u32()?);
            let name = fields.text()?;
            if name != SAME_FILE {
                // Some versions of V8 write stray bytes here.
                file = match is_text(name).then(|| into.file(name)) {
                    Some(None) => return Some(Room::Full),
                    Some(text) => text,
                    None => None,
                };
            }
            let Some(file) = file else {
                self.damaged_lines += 1;
                return Some(Room::Left);
            };
            entries.push((address, line, file));
        }
        self.debug = Some(DebugInfo { code, entries });
        Some(Room::Left)
    }

    /// The lines of a function that is loaded, by its debug information.
    fn lines_of(&mut self, start: u64, size: u64) -> Vec<LineEntry> {
        let Some(debug) = self.debug.take().filter(|debug| debug.code == start) else {
            return Vec::new();
        };
        let lowest = debug.entries.iter().map(|entry| entry.0).min();
        let shifted = lowest.is_some_and(|lowest| lowest.wrapping_sub(start) >= ELF_HEADER_BYTES);
        let base = start.wrapping_add(if shifted { ELF_HEADER_BYTES } else { 0 });
        let mut lines = Vec::with_capacity(debug.entries.len());
        for (address, line, file) in debug.entries {
            let offset = address.wrapping_sub(base);
            match u32::try_from(offset) {
                Ok(offset) if u64::from(offset) < size => {
                    lines.push(LineEntry { offset, line, file });
                }
                _ => {
                    self.damaged_lines += 1;
                    return Vec::new();
                }
            }
        }
        lines.sort_by_key(|entry| entry.offset);
        lines
    }

    fn fields<'b>(&self, bytes: &'b [u8]) -> Fields<'b> {
        let big_endian = self.big_endian;
        Fields { bytes, big_endian }
    }

    /// The next bytes; `None` when there are fewer.
    fn take(&mut self, count: u32) -> Option<Vec<u8>> {
        let bytes = self.take_up_to(count)?;
        (bytes.len() == count as usize).then_some(bytes)
    }

    /// The next bytes, or as many as there still are: memory grows with what is there.
    fn take_up_to(&mut self, count: u32) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let limit = u64::from(count);
        let read = (&mut self.bytes).take(limit).read_to_end(&mut bytes).ok()?;
        self.at += read as u64;
        Some(bytes)
    }

    /// Passes over bytes; `false` when there are fewer.
    fn skip(&mut self, count: u64) -> bool {
        let skipped = std::io::copy(&mut (&mut self.bytes).take(count), &mut std::io::sink());
        self.at += *skipped.as_ref().unwrap_or(&0);
        skipped.is_ok_and(|skipped| skipped == count)
    }
}

fn is_text(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok() && !name.iter().any(u8::is_ascii_control)
}

/// Whether more can be kept.
enum Room {
    Left,
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes dumps of either byte order.
    struct Maker {
        bytes: Vec<u8>,
        big_endian: bool,
    }

    impl Maker {
        fn new(big_endian: bool) -> Maker {
            let mut maker = Maker {
                bytes: Vec::new(),
                big_endian,
            };
            for word in [MAGIC, VERSION, HEADER_BYTES, 62, 0, 77] {
                maker.u32(word);
            }
            maker.u64(0);
            maker.u64(0);
            maker
        }

        fn u32(&mut self, value: u32) {
            let bytes = if self.big_endian {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            };
            self.bytes.extend(bytes);
        }

        fn u64(&mut self, value: u64) {
            let bytes = if self.big_endian {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            };
            self.bytes.extend(bytes);
        }

        fn record(&mut self, kind: u32, body: impl FnOnce(&mut Maker)) {
            let at = self.bytes.len();
            self.u32(kind);
            self.u32(0);
            self.u64(5);
            body(self);
            let size = (self.bytes.len() - at) as u32;
            let size = if self.big_endian {
                size.to_be_bytes()
            } else {
                size.to_le_bytes()
            };
            self.bytes[at + 4..at + 8].copy_from_slice(&size);
        }

        fn load(&mut self, start: u64, size: u64, name: &[u8]) {
            self.record(CODE_LOAD, |maker| {
                maker.u32(77);
                maker.u32(77);
                for value in [start, start, size, 1] {
                    maker.u64(value);
                }
                maker.bytes.extend(name);
                maker.bytes.push(0);
                maker.bytes.extend(vec![0x90; size as usize]);
            });
        }

        fn lines(&mut self, code: u64, lines: &[(u64, u32, &[u8])]) {
            self.record(CODE_DEBUG_INFO, |maker| {
                maker.u64(code);
                maker.u64(lines.len() as u64);
                for &(address, line, file) in lines {
                    maker.u64(address);
                    maker.u32(line);
                    maker.u32(0);
                    maker.bytes.extend(file);
                    maker.bytes.push(0);
                }
            });
        }

        fn moved(&mut self, old: u64, new: u64, size: u64) {
            self.record(CODE_MOVE, |maker| {
                maker.u32(77);
                maker.u32(77);
                for value in [new, old, new, size, 1] {
                    maker.u64(value);
                }
            });
        }
    }

    /// Two functions with lines (one shifted as V8 does it), one moved, one replaced.
    fn example(big_endian: bool) -> Vec<u8> {
        let mut maker = Maker::new(big_endian);
        maker.lines(0x100, &[(0x100, 3, b"a.js"), (0x108, 4, SAME_FILE)]);
        maker.load(0x100, 16, b"plain");
        maker.lines(0x200, &[(0x240, 7, b"b.js"), (0x244, 9, b"c.js")]);
        maker.load(0x200, 8, b"shifted");
        maker.record(4, |maker| maker.bytes.extend([1; 24]));
        maker.moved(0x200, 0x300, 8);
        maker.load(0x400, 8, b"old");
        maker.load(0x404, 8, b"new");
        maker.record(3, |_| ());
        maker.bytes
    }

    fn read_bytes(bytes: &[u8]) -> (Collector, Option<String>) {
        let mut collector = Collector::default();
        let told = read(bytes, &mut collector);
        (collector, told)
    }

    #[test]
    fn code_lines_and_moves_are_read_in_both_byte_orders() {
        for big_endian in [false, true] {
            let (collector, told) = read_bytes(&example(big_endian));
            assert_eq!(told, None);
            let map = collector.finish();
            let at = |address| {
                let entry = map.find(address)?;
                Some((entry.name, entry.line))
            };
            let line = |file: &str, line| Some((file.to_owned(), line));
            assert_eq!(at(0x107), Some(("plain".into(), line("a.js", 3))));
            assert_eq!(at(0x108), Some(("plain".into(), line("a.js", 4))));
            assert_eq!(at(0x203), Some(("shifted".into(), line("b.js", 7))));
            assert_eq!(at(0x304), Some(("shifted".into(), line("c.js", 9))));
            assert_eq!(at(0x403), Some(("old".into(), None)));
            assert_eq!(at(0x404), Some(("new".into(), None)));
            assert_eq!(at(0x110), None);
        }
    }

    #[test]
    fn a_dump_that_is_cut_keeps_what_is_whole() {
        let whole = example(false);
        let count = read_bytes(&whole).0.len();
        for end in 0..whole.len() {
            let (collector, told) = read_bytes(&whole[..end]);
            assert!(collector.len() <= count);
            if let Some(told) = told {
                assert!(
                    told.contains("it ends") || told.contains("shorter"),
                    "{told}"
                );
            }
        }
        let (collector, told) = read_bytes(&whole[..whole.len() - 20]);
        assert!(told.is_some_and(|told| told.contains("it ends within a record")));
        assert_eq!(
            collector.len(),
            count,
            "the code's last bytes are not needed"
        );
    }

    #[test]
    fn what_is_no_dump_is_refused_in_plain_words() {
        let mut other = example(false);
        other[0] = 0x7f;
        assert!(read_bytes(&other).1.unwrap().contains("4a695444"));
        let mut newer = example(false);
        newer[4] = 9;
        assert_eq!(
            read_bytes(&newer).1.as_deref(),
            Some("it has version 9, expected 1")
        );
    }

    #[test]
    fn lines_that_contradict_their_code_are_dropped_and_told() {
        let mut maker = Maker::new(false);
        maker.lines(
            0x100,
            &[(0x100, 3, b"a.js"), (0x0e5a_e787_f58b_a480, 4, b"a.js")],
        );
        maker.load(0x100, 16, b"f");
        maker.lines(0x200, &[(0x200, 3, b"\xed\x7f")]);
        maker.load(0x200, 16, b"g");
        let (collector, told) = read_bytes(&maker.bytes);
        assert!(told.unwrap().contains("lines of 2 functions"));
        let map = collector.finish();
        assert_eq!(map.find(0x100).unwrap().line, None);
        assert_eq!(map.find(0x200).unwrap().line, None);
    }

    proptest! {
        #[test]
        fn damaged_dumps_are_survived(
            flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..12),
            big_endian: bool,
        ) {
            let mut bytes = example(big_endian);
            for (index, bit) in flips {
                let at = index.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            let _ = read_bytes(&bytes).0.finish();
        }
    }
}
