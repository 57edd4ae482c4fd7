//! The kernel's own symbol list, `/proc/kallsyms`.

use std::path::{Path, PathBuf};

/// Where the kernel shows it.
const KALLSYMS_PATH: &str = "/proc/kallsyms";

/// The kernel's symbol list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KallsymsError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// All addresses read 0: the kernel hides them from this user.
    #[error(
        "{} shows every address as 0 (kernel.kptr_restrict or no privilege), expected real \
         addresses: run as root, or set kernel.kptr_restrict to 0",
        path.display()
    )]
    Hidden {
        /// Which file.
        path: PathBuf,
    },
    /// It holds no symbols.
    #[error("{} holds no symbol in {bytes} bytes, expected lines of address, type and name", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
        /// How long it is.
        bytes: usize,
    },
}

/// A kernel function that covers an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelSymbol<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its first address.
    pub start: u64,
    /// The module that it belongs to; `None` for the kernel proper.
    pub module: Option<&'a str>,
}

/// The kernel's symbols, sorted by address.
#[derive(Debug)]
pub struct Kallsyms {
    text: String,
    /// Sorted by address; aliases of one address keep the order of preference.
    rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    address: u64,
    /// Where its line begins in `text`.
    line: u32,
    rank: Rank,
}

/// Among names of one address the first in this order is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Global,
    Local,
    Weak,
    /// Not code: it only ends the function before it.
    Data,
}

impl Kallsyms {
    /// Reads the running kernel's list.
    ///
    /// # Errors
    /// When the file cannot be read, when the kernel hides the addresses, and when it is empty.
    pub fn read() -> Result<Kallsyms, KallsymsError> {
        let path = Path::new(KALLSYMS_PATH);
        let bytes = std::fs::read(path).map_err(|source| KallsymsError::Io {
            path: path.to_owned(),
            source,
        })?;
        // Ten megabytes, which are not copied where they are text, as they are.
        let text = String::from_utf8(bytes);
        let text = text.unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
        Self::parse(path, text)
    }

    /// Reads a list of the same form; `path` stands in errors.
    ///
    /// # Errors
    /// When all addresses are 0, and when there is no symbol.
    pub fn parse(path: &Path, text: String) -> Result<Kallsyms, KallsymsError> {
        let mut rows = Vec::new();
        let mut hidden = false;
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            if let (Some((address, rank)), Ok(line)) = (parse_line(line), u32::try_from(offset)) {
                hidden |= address == 0;
                if address != 0 {
                    rows.push(Row {
                        address,
                        line,
                        rank,
                    });
                }
            }
            offset += line.len();
        }
        if rows.is_empty() {
            let path = path.to_owned();
            return Err(if hidden {
                KallsymsError::Hidden { path }
            } else {
                let bytes = text.len();
                KallsymsError::Empty { path, bytes }
            });
        }
        rows.sort_by_key(|row| (row.address, row.rank, row.line));
        Ok(Kallsyms { text, rows })
    }

    /// The function that covers an address at run time; `None` below the first symbol and in data.
    ///
    /// The list has no sizes: a function reaches to the next symbol of any kind.
    pub fn lookup(&self, address: u64) -> Option<KernelSymbol<'_>> {
        let after = self.rows.partition_point(|row| row.address <= address);
        let start = self.rows[..after].last()?.address;
        let first = self.rows.partition_point(|row| row.address < start);
        self.symbol(self.rows[first])
    }

    /// Where the kernel's own symbol of this name is; `None` when it has none, or several.
    pub fn address_of(&self, name: &str) -> Option<u64> {
        let is_it = |row: &&Row| {
            let line = self.text[row.line as usize..].lines().next();
            line.is_some_and(|line| {
                line.ends_with(name) && line.split_whitespace().skip(2).eq([name])
            })
        };
        let mut found = self.rows.iter().filter(is_it);
        let first = found.next()?;
        found.next().is_none().then_some(first.address)
    }

    /// Every address where a symbol begins, in order, with the function that begins there; `None`
    /// for data, which only ends the function before it.
    pub fn starts(&self) -> impl Iterator<Item = (u64, Option<KernelSymbol<'_>>)> {
        let first_of_each = self.rows.chunk_by(|a, b| a.address == b.address);
        first_of_each.map(|rows| (rows[0].address, self.symbol(rows[0])))
    }

    /// The function of a row; `None` for data.
    fn symbol(&self, row: Row) -> Option<KernelSymbol<'_>> {
        if row.rank == Rank::Data {
            return None;
        }
        let mut fields = self.text[row.line as usize..]
            .lines()
            .next()?
            .split_whitespace();
        let name = fields.nth(2)?;
        let module = fields.next().map(|text| text.trim_matches(['[', ']']));
        Some(KernelSymbol {
            name,
            start: row.address,
            module,
        })
    }
}

/// Address and rank of a line `ffffffff81000000 T _text [module]`.
fn parse_line(line: &str) -> Option<(u64, Rank)> {
    let mut fields = line.split_ascii_whitespace();
    let address = u64::from_str_radix(fields.next()?, 16).ok()?;
    let rank = match fields.next()? {
        "T" => Rank::Global,
        "t" => Rank::Local,
        "W" | "w" => Rank::Weak,
        // Per-CPU symbols (`A`) are offsets, not addresses.
        "A" | "a" => return None,
        _ => Rank::Data,
    };
    fields.next()?;
    Some((address, rank))
}

/// The build-id among ELF notes, as `/sys/kernel/notes` shows those of the running kernel: the
/// contents of the first note with the name `GNU` and type 3 (`NT_GNU_BUILD_ID`); `None` when there
/// is none, or the notes are cut before it.
pub fn build_id_of_notes(mut notes: &[u8]) -> Option<&[u8]> {
    let mut take = |length: usize| {
        let (first, rest) = notes.split_at_checked(length)?;
        notes = rest;
        Some(first)
    };
    loop {
        let head = take(12)?;
        let field = |at: usize| {
            let bytes = head.get(at..)?.first_chunk()?;
            usize::try_from(u32::from_le_bytes(*bytes)).ok()
        };
        let (name_bytes, data_bytes, kind) = (field(0)?, field(4)?, field(8)?);
        let name = take(name_bytes.checked_next_multiple_of(4)?)?;
        let data = take(data_bytes.checked_next_multiple_of(4)?)?;
        if kind == 3 && name.starts_with(b"GNU\0") {
            return data.get(..data_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Kallsyms, KallsymsError> {
        Kallsyms::parse(Path::new("list"), text.to_owned())
    }

    #[test]
    fn finds_the_function_below_an_address() {
        let list = parse(
            "ffff20 t local_alias\nffff20 T work\nffff10 T start\nffff40 d table\n\
             ffff80 t in_module\t[ext4]\n0000 A per_cpu\n",
        )
        .unwrap();
        let name = |address| list.lookup(address).map(|s| (s.name, s.start, s.module));
        assert_eq!(name(0xffff0f), None, "below the first symbol");
        assert_eq!(name(0xffff1f), Some(("start", 0xffff10, None)));
        assert_eq!(
            name(0xffff20),
            Some(("work", 0xffff20, None)),
            "global wins"
        );
        assert_eq!(name(0xffff41), None, "data is no function");
        assert_eq!(name(0xffff99), Some(("in_module", 0xffff80, Some("ext4"))));
        let starts: Vec<_> = list
            .starts()
            .map(|(at, s)| (at, s.map(|s| s.name)))
            .collect();
        let expected = [
            (0xffff10, Some("start")),
            (0xffff20, Some("work")),
            (0xffff40, None),
            (0xffff80, Some("in_module")),
        ];
        assert_eq!(starts, expected, "each address once");
        assert_eq!(list.address_of("local_alias"), Some(0xffff20));
        assert_eq!(list.address_of("table"), Some(0xffff40));
        assert_eq!(list.address_of("in_module"), None, "a module's");
        assert_eq!(list.address_of("missing"), None);
    }

    #[test]
    fn hidden_addresses_and_empty_lists_are_told_apart() {
        let zeroed = "0000000000000000 T _text\n0000000000000000 t work\n";
        assert!(matches!(parse(zeroed), Err(KallsymsError::Hidden { .. })));
        assert!(matches!(
            parse(""),
            Err(KallsymsError::Empty { bytes: 0, .. })
        ));
        assert!(matches!(
            parse("nonsense\n"),
            Err(KallsymsError::Empty { .. })
        ));
    }

    #[test]
    fn build_ids_are_found_among_notes() {
        let mut notes = Vec::new();
        for number in [6u32, 2, 1] {
            notes.extend_from_slice(&number.to_le_bytes());
        }
        notes.extend_from_slice(b"Linux\0\0\0ab\0\0");
        for number in [4u32, 3, 3] {
            notes.extend_from_slice(&number.to_le_bytes());
        }
        notes.extend_from_slice(b"GNU\0\x01\x02\x03\0");
        assert_eq!(build_id_of_notes(&notes), Some(&[1, 2, 3][..]));
        assert_eq!(build_id_of_notes(&notes[..30]), None, "cut");
        assert_eq!(build_id_of_notes(&[0xff; 40]), None, "sizes beyond the end");
    }
}
