//! `hotproof symbolize`: names of addresses, in the manner of `addr2line`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::PathBuf;

use clap::Args;
use hotproof_image::{ImageError, ImageFile};
use hotproof_report::symbolize::{self as shown, Address, Flags, Frame, Symbol};
use hotproof_symbolizer::{FrameRef, NamedFunction, Symbolizer, demangle_whole};

use crate::failure::{Code, Exit, Failure, Outcome};
use crate::output;

/// Name addresses of a program or library, as addr2line does
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof symbolize -e target/release/bench -afiC 0x1a2b30 1a2b44
  hotproof symbolize -e ./bench -fi < addresses     one on each line
  hotproof symbolize -e ./bench --json 0x1a2b30     with sources, aliases and declared places

It takes the place of addr2line: a script with `exec hotproof symbolize \"$@\"` will do for
`perf script --addr2line SCRIPT`. Lines are those of GNU addr2line, without discriminators.")]
pub(crate) struct Symbolize {
    /// The program or library
    #[arg(
        short = 'e',
        long = "exe",
        value_name = "FILE",
        default_value = "a.out"
    )]
    file: PathBuf,
    /// Print the address before its names
    #[arg(short = 'a', long)]
    addresses: bool,
    /// Print function names
    #[arg(short = 'f', long)]
    functions: bool,
    /// Print the functions that the code was inlined into, too
    #[arg(short = 'i', long, visible_alias = "inlines")]
    inlined: bool,
    /// Print names as people read them, not mangled
    #[arg(short = 'C')]
    readable: bool,
    /// The same as -C; the style is found out
    #[arg(long, value_name = "STYLE", num_args = 0..=1, require_equals = true,
          default_missing_value = "auto")]
    demangle: Option<String>,
    /// Print all that belongs to a frame on one line
    #[arg(short = 'p', long)]
    pretty_print: bool,
    /// Print the last component of each path alone
    #[arg(short = 's', long)]
    basenames: bool,
    /// Addresses count from the start of this section
    #[arg(short = 'j', long, value_name = "NAME")]
    section: Option<String>,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["addresses", "functions", "inlined", "readable", "demangle",
                                      "pretty_print", "basenames"])]
    json: bool,
    /// Addresses as linked, in hexadecimal; without any they are read from standard input
    #[arg(value_name = "ADDR")]
    at: Vec<String>,
}

pub(crate) fn run(arguments: &Symbolize) -> Outcome {
    let mut lookup = Lookup::open(arguments)?;
    let flags = Flags {
        addresses: arguments.addresses,
        functions: arguments.functions,
        inlines: arguments.inlined,
        demangle: arguments.readable || arguments.demangle.is_some(),
        pretty: arguments.pretty_print,
        basenames: arguments.basenames,
    };
    let given: Vec<&str> = arguments.at.iter().map(String::as_str).collect();
    if arguments.json {
        let read = if given.is_empty() {
            all_of_stdin()?
        } else {
            String::new()
        };
        let words = given.into_iter().chain(read.lines());
        lookup.json(&words.collect::<Vec<_>>())?;
    } else if given.is_empty() {
        lookup.serve(flags)?;
    } else {
        let text = lookup.text(&given, flags)?;
        output::to_stdout(|out| Ok(out.write_all(text.as_bytes())?))?;
    }
    if let Err(error) = lookup.symbolizer.keep_names() {
        output::aside(&format!("  note     {error}"));
    }
    Ok(Exit::SUCCESS)
}

/// One file that is asked.
struct Lookup {
    path: PathBuf,
    build_id: Vec<u8>,
    base_svma: u64,
    /// What an address counts from.
    section_svma: u64,
    symbolizer: Symbolizer,
}

impl Lookup {
    fn open(arguments: &Symbolize) -> Result<Lookup, Failure> {
        let path = &arguments.file;
        let image = ImageFile::open(path).map_err(|error| cannot_open(&error))?;
        let section_svma = match &arguments.section {
            None => 0,
            Some(name) => image
                .section_svma(name)
                .map(|range| range.start)
                .ok_or_else(|| {
                    let what = format!("{} has no section {name}", path.display());
                    Failure::new(Code::Usage, what).remedy("name one that `readelf -S` lists")
                })?,
        };
        Ok(Lookup {
            path: path.clone(),
            build_id: image.build_id().unwrap_or_default().to_vec(),
            base_svma: image.base_svma(),
            section_svma,
            symbolizer: crate::cache::symbolizer(),
        })
    }

    /// Answers standard input. Whoever keeps a pipe open gets each answer before the next question;
    /// what is there at once is answered at once.
    fn serve(&mut self, flags: Flags) -> Result<(), Failure> {
        let stdin = io::stdin();
        let is_file = File::from(
            stdin
                .as_fd()
                .try_clone_to_owned()
                .map_err(|error| unreadable(&error))?,
        )
        .metadata()
        .is_ok_and(|facts| facts.is_file());
        if is_file {
            let all = all_of_stdin()?;
            let text = self.text(&all.lines().collect::<Vec<_>>(), flags)?;
            return output::to_stdout(|out| Ok(out.write_all(text.as_bytes())?));
        }
        let mut input = BufReader::with_capacity(PIPE_BYTES, stdin.lock());
        let mut pending = Vec::new();
        loop {
            let some = input.fill_buf().map_err(|error| unreadable(&error))?;
            let (length, is_end) = (some.len(), some.is_empty());
            pending.extend_from_slice(some);
            input.consume(length);
            // The last line may not be whole yet.
            let whole = match pending.iter().rposition(|&byte| byte == b'\n') {
                _ if is_end => pending.len(),
                Some(newline) => newline + 1,
                None => continue,
            };
            let lines: Vec<u8> = pending.drain(..whole).collect();
            let lines = String::from_utf8_lossy(&lines);
            let text = self.text(&lines.lines().collect::<Vec<_>>(), flags)?;
            output::to_stdout(|out| Ok(out.write_all(text.as_bytes())?))?;
            if is_end {
                return Ok(());
            }
        }
    }

    fn text(&mut self, words: &[&str], flags: Flags) -> Result<String, Failure> {
        let found = self.find(words, Names::Binutils)?;
        Ok(found
            .iter()
            .map(|found| shown::lines(found, flags))
            .collect())
    }

    fn json(&mut self, words: &[&str]) -> Result<(), Failure> {
        let found = self.find(words, Names::Ours)?;
        let problems = self.symbolizer.problems_of(&self.path);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let image = shown::Image {
            path: &self.path.to_string_lossy(),
            build_id: &self.build_id,
            problems: &problems,
        };
        output::print(&shown::json(image, &found))
    }

    fn find(&mut self, words: &[&str], names: Names) -> Result<Vec<Address>, Failure> {
        let asked: Vec<u64> = words.iter().map(|word| leading_hex(word)).collect();
        // What lies before the file's first address wraps around to where no code is.
        let relative = |address: &u64| {
            let svma = address.wrapping_add(self.section_svma);
            svma.wrapping_sub(self.base_svma)
        };
        let relative: Vec<u64> = asked.iter().map(relative).collect();
        let names_found = self.symbolizer.name_addresses(&self.path, &relative);
        let names_found = names_found.map_err(|problem| cannot_name(&problem))?;
        let mut readable = Readable::new(names);
        let found = names_found.symbols().zip(names_found.frames());
        let found = asked.iter().zip(found).map(|(address, (symbol, frames))| {
            let symbol = symbol.map(|symbol| Symbol {
                linkage_name: symbol.linkage_name.to_string(),
                address: symbol.address.wrapping_add(self.base_svma),
                size: symbol.size,
                aliases: symbol.aliases.clone(),
            });
            Address {
                address: match names {
                    // addr2line repeats what it was asked.
                    Names::Binutils => *address,
                    Names::Ours => address.wrapping_add(self.section_svma),
                },
                symbol,
                frames: frames.map(|named| frame(&named, &mut readable)).collect(),
            }
        });
        Ok(found.collect())
    }
}

/// A pipe holds as much, so no batch is larger.
const PIPE_BYTES: usize = 64 << 10;

/// How the names that people read are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// As in our profiles.
    Ours,
    /// As binutils spells them: with the return types of C++ templates.
    Binutils,
}

/// What functions are called, each worked out once: addresses share functions.
struct Readable<'n> {
    names: Names,
    known: HashMap<&'n str, String>,
}

impl<'n> Readable<'n> {
    fn new(names: Names) -> Readable<'n> {
        let known = HashMap::new();
        Readable { names, known }
    }

    fn name(&mut self, function: &'n NamedFunction) -> String {
        let linkage_name = linkage_name(function);
        match self.names {
            Names::Ours => function.name.to_string(),
            Names::Binutils => {
                let read = || demangle_whole(linkage_name).into_owned();
                self.known.entry(linkage_name).or_insert_with(read).clone()
            }
        }
    }
}

fn linkage_name(function: &NamedFunction) -> &str {
    match function.linkage_name.is_empty() {
        true => &function.name,
        false => &function.linkage_name,
    }
}

fn frame<'n>(named: &FrameRef<'n>, readable: &mut Readable<'n>) -> Frame {
    let function = named.function;
    Frame {
        name: readable.name(function),
        linkage_name: linkage_name(function).to_owned(),
        source: function.source.word(),
        file: named.file.or(function.file.as_deref()).map(str::to_owned),
        line: named.line,
        column: named.column,
        declared_file: function
            .file
            .as_deref()
            .filter(|_| function.line.is_some())
            .map(str::to_owned),
        declared_line: function.line,
        contradicted: named.contradicted,
    }
}

/// The number at the beginning of a text; 0 when there is none, as for the `,` by which perf marks
/// the end of an answer.
fn leading_hex(text: &str) -> u64 {
    let text = text.trim_start();
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    let end = digits
        .find(|c: char| !c.is_ascii_hexdigit())
        .unwrap_or(digits.len());
    // A number beyond 64 bits is no address.
    u64::from_str_radix(&digits[..end], 16).unwrap_or(if end == 0 { 0 } else { u64::MAX })
}

fn all_of_stdin() -> Result<String, Failure> {
    if io::stdin().is_terminal() {
        output::aside("reading addresses from the terminal, one on a line; Ctrl-D ends them");
    }
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| unreadable(&error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(
        Code::Failure,
        format!("cannot read standard input: {error}"),
    )
}

fn cannot_open(error: &ImageError) -> Failure {
    let remedy = match error {
        ImageError::Io { .. } | ImageError::NotAFile { .. } => "name a program or library with -e",
        ImageError::NotElf { .. } => {
            "name an ELF file with -e: a program, a library, an object file, a kernel module \
             (unpacked, if it is a .ko.xz or .ko.zst)"
        }
        ImageError::Unsupported { .. } => {
            "use an addr2line that was built for the machine of the file"
        }
        ImageError::Damaged { .. } | ImageError::Section { .. } => {
            "copy or build the file again: `readelf -hlS FILE` shows how far it is whole"
        }
    };
    cannot_name(error).remedy(remedy)
}

fn cannot_name(error: &dyn std::error::Error) -> Failure {
    Failure::new(Code::Usage, format!("cannot name addresses: {error}"))
}

#[cfg(test)]
mod tests {
    use super::leading_hex;

    #[test]
    fn addresses_are_read_as_addr2line_reads_them() {
        for (text, expected) in [
            ("0x1139", 0x1139),
            ("1139", 0x1139),
            ("  0X1139 \r", 0x1139),
            ("1139+0x4", 0x1139),
            ("ffffffff81000000", 0xffff_ffff_8100_0000),
            (",", 0),
            ("", 0),
            ("main", 0),
            ("11111111111111111", u64::MAX),
        ] {
            assert_eq!(leading_hex(text), expected, "of {text:?}");
        }
    }
}
