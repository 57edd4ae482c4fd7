//! Reads `/proc/self/maps` and tells what a child can do without.

use std::ops::Range;

/// Ranges of addresses that have to stay.
pub(super) type Kept = [Range<usize>; 4];

/// Reads the lines of `/proc/PID/maps`: `start-end rwxp offset device inode path`.
#[derive(Debug, Default)]
pub(super) struct MapsReader {
    line: Line,
    /// Where the last writable, private mapping of a file ended: anonymous memory from there on is
    /// its `.bss`.
    data_end: usize,
}

#[derive(Debug, Default)]
struct Line {
    field: u8,
    in_gap: bool,
    start: usize,
    end: usize,
    past_dash: bool,
    writable: bool,
    private: bool,
    of_file: bool,
    /// The beginning of the path.
    name: [u8; 6],
    name_len: usize,
}

/// Number of the field with the permissions.
const PERMISSIONS: u8 = 1;
/// Number of the field with the inode.
const INODE: u8 = 4;

impl MapsReader {
    /// Takes the next byte. At the end of a line it returns the mapping when it is private memory
    /// without a file, neither `.bss` nor one of the kernel's special mappings.
    pub(super) fn feed(&mut self, byte: u8) -> Option<Range<usize>> {
        if byte != b'\n' {
            self.line.feed(byte);
            return None;
        }
        let line = std::mem::take(&mut self.line);
        if line.of_file {
            if line.private && line.writable {
                self.data_end = line.end;
            }
            return None;
        }
        let name = &line.name[..line.name_len];
        let special = !name.is_empty() && name != b"[heap]" && name != b"[anon:";
        let spare = line.private && !special && line.start != self.data_end;
        spare.then_some(line.start..line.end)
    }
}

impl Line {
    fn feed(&mut self, byte: u8) {
        // The path is the last field and may hold blanks.
        if byte == b' ' && self.field <= INODE {
            self.in_gap = true;
            return;
        }
        if self.in_gap {
            self.in_gap = false;
            self.field += 1;
        }
        match self.field {
            0 if byte == b'-' => self.past_dash = true,
            0 => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0) as usize;
                let address = if self.past_dash {
                    &mut self.end
                } else {
                    &mut self.start
                };
                *address = address.wrapping_shl(4) | digit;
            }
            PERMISSIONS => {
                self.writable |= byte == b'w';
                self.private = byte == b'p';
            }
            INODE => self.of_file |= byte != b'0',
            field if field > INODE && self.name_len < self.name.len() => {
                self.name[self.name_len] = byte;
                self.name_len += 1;
            }
            _ => {}
        }
    }
}

/// The first part of `range` that is not kept; `None` when there is none.
pub(super) fn first_spare(range: Range<usize>, kept: &Kept) -> Option<Range<usize>> {
    let mut start = range.start;
    while let Some(over) = kept.iter().find(|keep| keep.contains(&start)) {
        start = over.end;
    }
    let next = kept.iter().map(|keep| keep.start).filter(|&at| at > start);
    let end = range.end.min(next.min().unwrap_or(usize::MAX));
    (start < end).then_some(start..end)
}

/// A range made larger to whole pages.
pub(super) fn whole_pages(range: Range<usize>, page_bytes: usize) -> Range<usize> {
    let end = range.end.saturating_add(page_bytes - 1);
    range.start - range.start % page_bytes..end - end % page_bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spare(maps: &str) -> Vec<Range<usize>> {
        let mut reader = MapsReader::default();
        maps.bytes().filter_map(|byte| reader.feed(byte)).collect()
    }

    /// Heaps and anonymous memory may go; files, their `.bss`, shared memory and what the kernel
    /// names may not.
    #[test]
    fn memory_without_a_file_may_go() {
        let maps = "\
            1000-2000 r-xp 00000000 fd:00 77    /bin/a program\n\
            2000-3000 rw-p 00001000 fd:00 77    /bin/a program\n\
            3000-5000 rw-p 00000000 00:00 0 \n\
            8000-9000 rw-p 00000000 00:00 0     [heap]\n\
            a000-b000 rw-p 00000000 00:00 0 \n\
            b000-c000 rw-s 00000000 00:01 9     /dev/zero (deleted)\n\
            d000-e000 ---p 00000000 00:00 0 \n\
            e000-f000 rw-p 00000000 00:00 0     [anon:arena]\n\
            f000-f100 rw-s 00000000 00:00 0 \n\
            f200-f280 rw-s 00000000 00:0e 5     anon_inode:[perf_event]\n\
            f280-f2a0 rw-p 00000000 00:00 0 \n\
            f2a0-f2c0 r--p 00000000 fd:00 78    /lib/debug\n\
            f2c0-f300 rw-p 00000000 00:00 0 \n\
            f400-f500 r-xp 00000000 00:00 0     [vdso]\n\
            7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0    [stack]\n\
            7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0";
        let expected = [
            0x8000..0x9000,
            0xa000..0xb000,
            0xd000..0xe000,
            0xe000..0xf000,
            0xf280..0xf2a0,
            0xf2c0..0xf300,
        ];
        assert_eq!(spare(maps), expected);
    }

    #[test]
    fn ranges_grow_to_whole_pages() {
        assert_eq!(whole_pages(5..6, 4096), 0..4096);
        assert_eq!(whole_pages(4096..8192, 4096), 4096..8192);
        assert_eq!(whole_pages(0..usize::MAX, 4096), 0..usize::MAX - 4095);
    }

    proptest! {
        /// Whatever the text, nothing panics.
        #[test]
        fn any_text_is_read(text in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut reader = MapsReader::default();
            for byte in text {
                reader.feed(byte);
            }
        }

        /// Taking the first spare part again and again takes exactly what is not kept.
        #[test]
        fn everything_but_the_kept_goes(
            start in 0usize..40,
            len in 0usize..40,
            keep in prop::array::uniform4((0usize..80, 0usize..20)),
        ) {
            let kept = keep.map(|(start, len)| start..start + len);
            let mut gone = [false; 128];
            let mut rest = start..start + len;
            while let Some(part) = first_spare(rest.clone(), &kept) {
                gone[part.clone()].fill(true);
                rest.start = part.end;
            }
            for (at, gone) in gone.into_iter().enumerate() {
                let inside = (start..start + len).contains(&at);
                let kept = kept.iter().any(|keep| keep.contains(&at));
                prop_assert_eq!(gone, inside && !kept, "{}", at);
            }
        }
    }
}
