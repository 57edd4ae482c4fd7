//! Names of addresses: as `addr2line` prints them, and as JSON.

use std::fmt::Write;

use serde::Serialize;

use crate::schema::Schema;

/// All that is known of one address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// As it was asked for.
    pub address: u64,
    /// The linker's symbol; `None` when no table has one.
    pub symbol: Option<Symbol>,
    /// Innermost first; empty when nobody can name the address.
    pub frames: Vec<Frame>,
}

/// One entry of a symbol table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Symbol {
    /// Its name as the table has it.
    pub linkage_name: String,
    /// As linked.
    pub address: u64,
    /// Size in bytes; 0 when unknown.
    pub size: u64,
    /// The other names of the same address, sorted.
    pub aliases: Vec<String>,
}

/// One function at one place of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its name as people read it.
    pub name: String,
    /// Its mangled name, or its plain one when it has no other.
    pub linkage_name: String,
    /// Who named it, by its stable word.
    pub source: &'static str,
    /// Where the address is.
    pub file: Option<String>,
    /// Line of `file`, counted from 1.
    pub line: Option<u32>,
    /// Column of `line`, counted from 1.
    pub column: Option<u32>,
    /// File that declares the function.
    pub declared_file: Option<String>,
    /// Line of `declared_file`, counted from 1.
    pub declared_line: Option<u32>,
    /// Whether the line table contradicts the function.
    pub contradicted: bool,
}

/// What a line shows: the flags of `addr2line`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Print the address first (`-a`).
    pub addresses: bool,
    /// Print the function (`-f`).
    pub functions: bool,
    /// Print the functions that the code was inlined into (`-i`).
    pub inlines: bool,
    /// Print names as people read them (`-C`).
    pub demangle: bool,
    /// Print all on one line (`-p`).
    pub pretty: bool,
    /// Print the last component of a path alone (`-s`).
    pub basenames: bool,
}

/// The lines of one address, byte by byte as `addr2line` of GNU binutils writes them.
pub fn lines(found: &Address, flags: Flags) -> String {
    let mut text = String::new();
    let end = if flags.pretty { ": " } else { "\n" };
    if flags.addresses {
        text.push_str(&format!("{:#018x}{end}", found.address));
    }
    if found.frames.is_empty() {
        if flags.functions {
            text.push_str(if flags.pretty { "?? " } else { "??\n" });
        }
        text.push_str("??:0\n");
        return text;
    }
    let shown = if flags.inlines {
        &found.frames[..]
    } else {
        &found.frames[..1]
    };
    for (index, frame) in shown.iter().enumerate() {
        if index > 0 && flags.pretty {
            text.push_str(" (inlined by) ");
        }
        // Writing to a text never fails.
        let _ = write_frame(&mut text, frame, flags);
    }
    text
}

fn write_frame(text: &mut String, frame: &Frame, flags: Flags) -> std::fmt::Result {
    if flags.functions {
        let name = if flags.demangle {
            &frame.name
        } else {
            &frame.linkage_name
        };
        text.push_str(if name.is_empty() { "??" } else { name });
        text.push_str(if flags.pretty { " at " } else { "\n" });
    }
    let file = frame.file.as_deref().unwrap_or("??");
    let file = match file.rsplit_once('/') {
        Some((_, last)) if flags.basenames => last,
        _ => file,
    };
    match frame.line {
        Some(line) => writeln!(text, "{file}:{line}"),
        None => writeln!(text, "{file}:?"),
    }
}

/// What the addresses were looked up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image<'a> {
    /// The file.
    pub path: &'a str,
    /// Its build-id; empty when it has none.
    pub build_id: &'a [u8],
    /// What is wrong with it or its debug file, one sentence each.
    pub problems: &'a [String],
}

#[derive(Serialize)]
struct Document<'a> {
    schema: Schema,
    file: &'a str,
    build_id: Option<String>,
    addresses: Vec<Row<'a>>,
    problems: &'a [String],
}

#[derive(Serialize)]
struct Row<'a> {
    address: u64,
    source: Option<&'static str>,
    symbol: Option<&'a Symbol>,
    frames: Vec<FrameRow<'a>>,
}

#[derive(Serialize)]
struct FrameRow<'a> {
    name: &'a str,
    linkage_name: &'a str,
    source: &'static str,
    inlined: bool,
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    declared: Declared<'a>,
    contradicted: bool,
}

#[derive(Serialize)]
struct Declared<'a> {
    file: Option<&'a str>,
    line: Option<u32>,
}

/// The same as JSON: schema `hotproof.symbolize`, version 1; addresses in the order they were asked
/// for. Ends with a newline.
pub fn json(image: Image<'_>, found: &[Address]) -> String {
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect();
    crate::schema::pretty(&Document {
        schema: Schema::new("hotproof.symbolize"),
        file: image.path,
        build_id: (!image.build_id.is_empty()).then(|| hex(image.build_id)),
        addresses: found.iter().map(row).collect(),
        problems: image.problems,
    })
}

fn row(found: &Address) -> Row<'_> {
    let outermost = found.frames.len().saturating_sub(1);
    let frames = found.frames.iter().enumerate();
    Row {
        address: found.address,
        source: found.frames.last().map(|physical| physical.source),
        symbol: found.symbol.as_ref(),
        frames: frames
            .map(|(depth, frame)| FrameRow {
                name: &frame.name,
                linkage_name: &frame.linkage_name,
                source: frame.source,
                inlined: depth < outermost,
                file: frame.file.as_deref(),
                line: frame.line,
                column: frame.column,
                declared: Declared {
                    file: frame.declared_file.as_deref(),
                    line: frame.declared_line,
                },
                contradicted: frame.contradicted,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, file: Option<&str>, line: Option<u32>) -> Frame {
        Frame {
            name: name.to_owned(),
            linkage_name: format!("_Z{name}"),
            source: "dwarf",
            file: file.map(str::to_owned),
            line,
            column: None,
            declared_file: None,
            declared_line: None,
            contradicted: false,
        }
    }

    #[test]
    fn each_flag_adds_what_addr2line_adds() {
        let known = Address {
            address: 0x1139,
            symbol: None,
            frames: vec![
                frame("inner", Some("/w/a.c"), Some(7)),
                frame("outer", Some("/w/b.c"), None),
            ],
        };
        let unknown = Address::default();
        let nameless = Address {
            frames: vec![frame("start", None, None)],
            ..Address::default()
        };
        let flags = |letters: &str| Flags {
            addresses: letters.contains('a'),
            functions: letters.contains('f'),
            inlines: letters.contains('i'),
            demangle: letters.contains('C'),
            pretty: letters.contains('p'),
            basenames: letters.contains('s'),
        };
        for (found, letters, expected) in [
            (&known, "", "/w/a.c:7\n"),
            (&known, "s", "a.c:7\n"),
            (&known, "f", "_Zinner\n/w/a.c:7\n"),
            (&known, "fC", "inner\n/w/a.c:7\n"),
            (&known, "i", "/w/a.c:7\n/w/b.c:?\n"),
            (&known, "a", "0x0000000000001139\n/w/a.c:7\n"),
            (
                &known,
                "afiCps",
                "0x0000000000001139: inner at a.c:7\n (inlined by) outer at b.c:?\n",
            ),
            (&unknown, "", "??:0\n"),
            (&unknown, "af", "0x0000000000000000\n??\n??:0\n"),
            (&unknown, "afp", "0x0000000000000000: ?? ??:0\n"),
            (&nameless, "f", "_Zstart\n??:?\n"),
        ] {
            assert_eq!(lines(found, flags(letters)), expected, "-{letters}");
        }
    }
}
