//! Names addresses of a binary, and measures how long that takes.
//!
//! `lookup FILE ADDRESS...` prints the chain of each relative address (hexadecimal), innermost
//! first. `lookup FILE --spread N` names N addresses spread evenly over its code, then the same ones
//! again, then as many new ones beside them, and prints the times and who named them.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use hotproof_image::ImageFile;
use hotproof_profile::{AddressKind, Image, ImageKind, Location, Profile};
use hotproof_symbolizer::Symbolizer;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [file, flag, count] if flag == "--spread" => measure(Path::new(file), count.parse()?),
        [file, addresses @ ..] if !addresses.is_empty() => print(Path::new(file), addresses),
        _ => Err("usage: lookup FILE ADDRESS... | lookup FILE --spread N".into()),
    }
}

fn print(file: &Path, addresses: &[String]) -> Result<(), Box<dyn Error>> {
    let parse = |text: &String| u64::from_str_radix(text.trim_start_matches("0x"), 16);
    let addresses: Vec<u64> = addresses.iter().map(parse).collect::<Result<_, _>>()?;
    let named = Symbolizer::new().symbolize_addresses(file, &addresses)?;
    for (address, named) in addresses.into_iter().zip(named) {
        let symbol = named
            .symbol
            .map_or(Default::default(), |symbol| symbol.linkage_name);
        println!("{address:#x} {symbol}");
        for frame in named.frames {
            let function = frame.function;
            let line = |line: Option<u32>| line.map_or("?".to_owned(), |line| line.to_string());
            println!(
                "  {}  at {}:{}  declared {}:{}  [{:?}]",
                function.name,
                frame.file.as_deref().unwrap_or("(same file)"),
                line(frame.line),
                function.file.as_deref().unwrap_or("?"),
                line(function.line),
                function.source,
            );
        }
    }
    Ok(())
}

fn measure(file: &Path, count: u64) -> Result<(), Box<dyn Error>> {
    let image = ImageFile::open(file)?;
    let code = image.segments().iter().filter(|segment| segment.executable);
    let code = code.max_by_key(|segment| segment.size).ok_or("no code")?;
    let start = code.svma - image.base_svma();
    let mut symbolizer = Symbolizer::new();
    for (round, shift) in [("cold", 0), ("same", 0), ("near", 5)] {
        let mut profile = Profile::default();
        let path = profile.strings.intern(&file.to_string_lossy());
        let image = profile.images.push(Image {
            path,
            build_id: Vec::new(),
            kind: ImageKind::Elf,
        });
        for number in 0..count {
            let address = start
                + shift
                + (u128::from(code.size) * u128::from(number) / u128::from(count)) as u64;
            let row = Location::unresolved(Some(image), address, AddressKind::Ip);
            profile.locations.push(row);
        }
        let begun = Instant::now();
        let summary = symbolizer.symbolize(&mut profile);
        let took = begun.elapsed();
        println!(
            "{round}: {took:?} for {} addresses, {} named, {} frames, {} functions, {:?}, {:?}",
            summary.locations,
            summary.resolved,
            profile.frames.len(),
            profile.functions.len(),
            summary.images[0].sources,
            summary.images[0].problems,
        );
    }
    Ok(())
}
