//! What a file looks like from its first bytes, so that an error can name it.

use std::fmt;

use crate::native::MAGIC;

/// How many first bytes [`sniff`] makes use of.
pub const SNIFF_BYTES: usize = 4096;

/// What the first bytes of a file look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A profile of hotproof, of whatever version.
    Hotproof,
    /// Nothing at all.
    Empty,
    /// gzip data, which is what pprof profiles are wrapped in.
    Gzip,
    /// A recording of Linux perf.
    PerfData,
    /// zstd data.
    Zstd,
    /// A program or a library.
    Elf,
    /// A Parquet table.
    Parquet,
    /// An archive of gathered files, or another wrapping that is undone first.
    Zip,
    /// An SQLite database.
    Sqlite,
    /// JSON.
    Json,
    /// An SVG or another XML document.
    Xml,
    /// Folded stacks.
    Folded,
    /// Text of another kind.
    Text,
    /// Something else.
    Unknown,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Hotproof => "a hotproof profile",
            Kind::Empty => "an empty file",
            Kind::Gzip => "gzip data, perhaps a pprof profile",
            Kind::PerfData => "a perf.data file",
            Kind::Zstd => "zstd data",
            Kind::Elf => "a program or library (ELF)",
            Kind::Parquet => "a Parquet table, which is written but not read",
            Kind::Zip => "a zip archive",
            Kind::Sqlite => "an SQLite database",
            Kind::Json => "JSON of another kind",
            Kind::Xml => "XML, perhaps a flame graph",
            Kind::Folded => "folded stacks",
            Kind::Text => "text",
            Kind::Unknown => "data of an unknown kind",
        })
    }
}

impl Kind {
    /// What to do with such a file to have a profile that is read.
    pub fn remedy(self) -> &'static str {
        match self {
            Kind::Parquet => {
                "query it with DuckDB, or export the profile again: to `.json`, `.pb.gz` or another format that is read"
            }
            Kind::Xml => {
                "a picture holds no whole stacks: give what it was drawn from (perf.data, folded stacks)"
            }
            Kind::Zstd => "unpack it first: `zstd -d FILE`",
            Kind::Zip => "unpack it first, and give the profile within",
            Kind::Gzip => "it is wrapped twice: unpack it once with `gunzip`",
            Kind::Elf => "record it: `hotproof record -- PROGRAM`",
            Kind::Empty => {
                "the tool that wrote it was stopped, or recorded nothing; a recording of hotproof that was killed is in OUTPUT.part"
            }
            Kind::Sqlite => "export the profile from the tool that owns it",
            Kind::Hotproof
            | Kind::PerfData
            | Kind::Json
            | Kind::Folded
            | Kind::Text
            | Kind::Unknown => {
                "give a profile that `hotproof record` or one of these tools wrote; `hotproof export --help` lists what is written"
            }
        }
    }
}

/// Says what a file is from its first bytes, of which [`SNIFF_BYTES`] are enough.
pub fn sniff(first: &[u8]) -> Kind {
    let first = &first[..first.len().min(SNIFF_BYTES)];
    let magics: [(&[u8], Kind); 9] = [
        (&MAGIC, Kind::Hotproof),
        (b"\x1f\x8b", Kind::Gzip),
        (b"PERFILE2", Kind::PerfData),
        (b"PERFFILE", Kind::PerfData),
        (b"\x28\xb5\x2f\xfd", Kind::Zstd),
        (b"\x7fELF", Kind::Elf),
        (b"PAR1", Kind::Parquet),
        (b"PK\x03\x04", Kind::Zip),
        (b"SQLite format 3\0", Kind::Sqlite),
    ];
    if first.is_empty() {
        return Kind::Empty;
    }
    let by_magic = magics.iter().find(|(magic, _)| first.starts_with(magic));
    by_magic.map_or_else(|| sniff_text(first), |&(_, kind)| kind)
}

fn sniff_text(first: &[u8]) -> Kind {
    // The last character may be cut in two by the end of what was read.
    let text = match std::str::from_utf8(first) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&first[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return Kind::Unknown,
    };
    if text.is_empty() || text.contains('\0') {
        return Kind::Unknown;
    }
    let start = text.trim_start();
    let line = start.lines().next().unwrap_or_default();
    let weight = line.rsplit_once([' ', '\t']).map(|(_, weight)| weight);
    if start.starts_with(['{', '[']) && !line.contains(';') {
        Kind::Json
    } else if start.starts_with('<') && !line.contains(';') {
        Kind::Xml
    } else if weight.is_some_and(|weight| weight.parse::<i64>().is_ok()) {
        Kind::Folded
    } else {
        Kind::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_files_by_their_first_bytes() {
        let cases: [(&[u8], Kind); 16] = [
            (b"", Kind::Empty),
            (b"\x89hotproof\r\n\x1a\x07\0\0\0", Kind::Hotproof),
            (b"\x1f\x8b\x08\0", Kind::Gzip),
            (b"PERFILE2\x68\0\0\0", Kind::PerfData),
            (b"\x28\xb5\x2f\xfd\0", Kind::Zstd),
            (b"\x7fELF\x02", Kind::Elf),
            (b"PAR1\x15\x04", Kind::Parquet),
            (b"PK\x03\x04\x14", Kind::Zip),
            (b"SQLite format 3\0\x10", Kind::Sqlite),
            (b"{\"meta\": 1}", Kind::Json),
            (b"\n  [1, 2]", Kind::Json),
            (b"<?xml version=\"1.0\"?>\n<svg>", Kind::Xml),
            (b"main;work 12\nmain;other 3\n", Kind::Folded),
            (b"[libc.so.6];<T as U>::f 12\n", Kind::Folded),
            ("# h\u{e9}llo".as_bytes(), Kind::Text),
            (b"\0\0\xff\xfe", Kind::Unknown),
        ];
        for (bytes, kind) in cases {
            assert_eq!(sniff(bytes), kind, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_character_cut_in_two_is_still_text() {
        assert_eq!(sniff(&"caf\u{e9}".as_bytes()[..4]), Kind::Text);
        assert_eq!(sniff(&[0xe9]), Kind::Unknown);
    }
}
