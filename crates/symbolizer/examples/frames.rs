//! Names the addresses on standard input, one in each line as linked, by our reader or by the
//! addr2line crate: `frames ours|cached|addr2line FILE [--print]`. For `scripts/agreement.sh` and
//! `scripts/bench-symbolize.sh`. `cached` is our reader with the cache in the folder that
//! HOTPROOF_CACHE names.
//!
//! With `--print` each address gets one line: the address, and for each frame, innermost first,
//! linkage name, file and line. Without, the frames are counted. What it cost comes on standard
//! error.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::Instant;

use addr2line::gimli::{DwarfSections, EndianSlice, LittleEndian, SectionId};
use hotproof_image::{DebugSearch, ImageError, ImageFile};
use hotproof_profile::Source;
use hotproof_symbolizer::{Cache, FileNames, FrameRef, Symbolizer};

/// A frame as both readers give it.
struct Frame<'n> {
    name: Cow<'n, str>,
    file: Option<&'n str>,
    line: Option<u32>,
}

/// Receives the frames of each address.
struct Output {
    /// `None` to count alone.
    text: Option<String>,
    frames: u64,
    named: u64,
}

impl Output {
    fn begin(&mut self, svma: u64) {
        if let Some(text) = &mut self.text {
            let _ = write!(text, "{svma:#x}");
        }
    }

    fn add(&mut self, frame: &Frame<'_>) {
        self.frames += 1;
        self.named += frame.name.len() as u64;
        if let Some(text) = &mut self.text {
            let (file, line) = (frame.file.unwrap_or("??"), frame.line.unwrap_or(0));
            let _ = write!(text, "\t{}\t{file}:{line}", frame.name);
        }
    }

    /// Adds the frames of DWARF alone: the other reader has no other names.
    #[inline]
    fn add_all<'n>(&mut self, frames: impl Iterator<Item = FrameRef<'n>>) {
        for frame in frames {
            let function = frame.function;
            if function.source != Source::Dwarf {
                continue;
            }
            let has_linkage = !function.linkage_name.is_empty();
            let name = if has_linkage {
                &function.linkage_name
            } else {
                &function.name
            };
            self.add(&Frame {
                name: Cow::Borrowed(name),
                file: frame.file.or(function.file.as_deref()),
                line: frame.line,
            });
        }
    }

    fn end(&mut self) {
        if let Some(text) = &mut self.text {
            text.push('\n');
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [reader, file, rest @ ..] = &arguments[..] else {
        return Err("expected: frames ours|cached|addr2line FILE [--print]".into());
    };
    let mut output = Output {
        text: rest.iter().any(|word| word == "--print").then(String::new),
        frames: 0,
        named: 0,
    };
    let svmas = addresses()?;
    match reader.as_str() {
        "ours" => ours(Path::new(file), svmas, &mut output)?,
        "cached" => cached(Path::new(file), &svmas, &mut output)?,
        "addr2line" => reference(Path::new(file), &svmas, &mut output)?,
        other => return Err(format!("no reader is called {other}").into()),
    }
    if let Some(text) = &output.text {
        std::io::stdout().write_all(text.as_bytes())?;
    }
    Ok(())
}

/// The addresses on standard input, with as little work as can be, because both readers pay for it,
/// and a line at a time, because the whole text would change what they then find free.
fn addresses() -> Result<Vec<u64>, Box<dyn Error>> {
    let (mut svmas, mut line) = (Vec::new(), Vec::new());
    let mut input = std::io::stdin().lock();
    while input.read_until(b'\n', &mut line)? > 0 {
        let text = line.trim_ascii();
        let digits = text.strip_prefix(b"0x").unwrap_or(text);
        let add = |number: u64, &digit: &u8| {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            Some(number << 4 | u64::from(value))
        };
        match digits.iter().try_fold(0, add) {
            Some(svma) if (1..=16).contains(&digits.len()) => svmas.push(svma),
            _ => return Err(format!("{} is no address", String::from_utf8_lossy(text)).into()),
        }
        line.clear();
    }
    Ok(svmas)
}

fn ours(path: &Path, svmas: Vec<u64>, output: &mut Output) -> Result<(), Box<dyn Error>> {
    // One list, as the other reader has one.
    let (base, mut addresses) = (ImageFile::open(path)?.base_svma(), svmas);
    for address in &mut addresses {
        *address = address.wrapping_sub(base);
    }
    let start = Instant::now();
    let names = FileNames::read(path, &addresses)?;
    eprintln!("named in {:.3} ms", start.elapsed().as_secs_f64() * 1e3);
    for (place, &address) in addresses.iter().enumerate() {
        output.begin(address.wrapping_add(base));
        output.add_all(names.frames(place));
        output.end();
    }
    cost("ours", output);
    for problem in names.problems() {
        eprintln!("problem: {problem}");
    }
    Ok(())
}

fn cached(path: &Path, svmas: &[u64], output: &mut Output) -> Result<(), Box<dyn Error>> {
    let cache = Cache::from_environment().ok_or("HOTPROOF_CACHE must name a folder")?;
    let mut symbolizer = Symbolizer::new().with_cache(cache);
    let base = ImageFile::open(path)?.base_svma();
    let addresses = svmas.iter().map(|svma| svma.wrapping_sub(base));
    let addresses: Vec<u64> = addresses.collect();
    let names = symbolizer.name_addresses(path, &addresses)?;
    for (frames, &svma) in names.frames().zip(svmas) {
        output.begin(svma);
        output.add_all(frames);
        output.end();
    }
    symbolizer.keep_names()?;
    cost("cached", output);
    Ok(())
}

fn reference(path: &Path, svmas: &[u64], output: &mut Output) -> Result<(), Box<dyn Error>> {
    let image = ImageFile::open(path)?;
    let image = match hotproof_image::find_debug_file(&image) {
        DebugSearch::Found(debug) if !image.has_section(".debug_info") => debug,
        _ => image,
    };
    let sections = DwarfSections::load(|id: SectionId| {
        let section = image.section(id.name())?;
        Ok::<_, ImageError>(section.map_or(Cow::Borrowed(&[][..]), |section| section.data))
    })?;
    let dwarf = sections.borrow(|data| EndianSlice::new(data, LittleEndian));
    let context = addr2line::Context::from_dwarf(dwarf)?;
    for &svma in svmas {
        output.begin(svma);
        let mut frames = context.find_frames(svma).skip_all_loads()?;
        while let Some(frame) = frames.next()? {
            let Some(function) = &frame.function else {
                continue;
            };
            let place = frame.location.as_ref();
            output.add(&Frame {
                name: function.raw_name()?,
                file: place.and_then(|place| place.file),
                line: place.and_then(|place| place.line),
            });
        }
        output.end();
    }
    cost("addr2line", output);
    Ok(())
}

/// Says what the work took so far, before anything is given back.
fn cost(reader: &str, output: &Output) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    // Fields 14 and 15 of stat, in ticks of 10 ms; the first two are cut off.
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|f| f.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let memory = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let private = memory
        .lines()
        .find(|line| line.starts_with("Private_Dirty:"));
    let private = private.and_then(|line| line.split_whitespace().nth(1));
    eprintln!(
        "{reader}: {} frames, {} bytes of names, cpu {} ms, private {} KiB",
        output.frames,
        output.named,
        (ticks(11) + ticks(12)) * 10,
        private.unwrap_or("?"),
    );
}
