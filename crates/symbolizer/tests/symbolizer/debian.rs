//! Stripped programs of the system: names are those of the dynamic symbol table or none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use hotproof_image::{DebugPlaces, ImageFile};
use hotproof_profile::Source;
use hotproof_symbolizer::Symbolizer;

/// Dynamic functions by linked address, with their sizes, as readelf prints them.
fn dynamic_functions(program: &Path) -> BTreeMap<u64, (u64, Vec<String>)> {
    let output = Command::new("readelf")
        .args(["-W", "--dyn-syms"])
        .arg(program)
        .output();
    let text = String::from_utf8(output.expect("binutils are needed").stdout).unwrap();
    let mut found: BTreeMap<u64, (u64, Vec<String>)> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, address, size, kind, _, _, section, name, ..] = words[..] else {
            continue;
        };
        if !matches!(kind, "FUNC" | "IFUNC") || section == "UND" {
            continue;
        }
        let address = u64::from_str_radix(address, 16).unwrap();
        // Sizes above 99,999 are printed in hexadecimal.
        let size = match size.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
            None => size.parse().unwrap(),
        };
        let name = name.split('@').next().unwrap().to_owned();
        let row = found.entry(address).or_default();
        row.0 = row.0.max(size);
        row.1.push(name);
    }
    found
}

/// Checks every name that 20,000 addresses of a program get, debug files left out.
fn check_names(program: &Path) {
    let nowhere = DebugPlaces {
        root: PathBuf::from("/nowhere"),
        ..DebugPlaces::default()
    };
    let image = ImageFile::open(program).unwrap();
    if image.has_section(".symtab") || image.has_section(".debug_info") {
        return;
    }
    let functions = dynamic_functions(program);
    let text = image.section_svma(".text").unwrap();
    let step = ((text.end - text.start) / 20_000).max(1) as usize;
    let addresses: Vec<u64> = text
        .step_by(step)
        .map(|svma| svma - image.base_svma())
        .collect();
    let mut symbolizer = Symbolizer::with_debug_places(nowhere);
    let named = symbolizer.symbolize_addresses(program, &addresses).unwrap();
    let mut by_symbol = 0;
    for (address, named) in addresses.iter().zip(&named) {
        let svma = address + image.base_svma();
        let place = format!("at {svma:#x} of {}", program.display());
        let covering = functions
            .range(..=svma)
            .rev()
            .take(50)
            .find(|(start, (size, _))| svma - **start < *size);
        let [frame] = &named.frames[..] else {
            assert!(named.frames.is_empty(), "{place}");
            assert_eq!(covering, None, "{place} has a symbol");
            continue;
        };
        match (frame.function.source, covering) {
            (Source::DynamicSymbols, Some((start, (_, names)))) => {
                by_symbol += 1;
                assert!(
                    names
                        .iter()
                        .any(|name| **name == *frame.function.linkage_name),
                    "{place}: {frame:?}"
                );
                assert_eq!(
                    named.symbol.as_ref().unwrap().address + image.base_svma(),
                    *start
                );
            }
            (Source::UnwindTable, None) => {
                let start = frame
                    .function
                    .name
                    .strip_prefix("fn_0x")
                    .expect("an address");
                let start = u64::from_str_radix(start, 16).unwrap();
                assert!(start <= *address, "{place}: {frame:?}");
                assert_eq!(named.symbol, None, "{place}");
            }
            (Source::DynamicSymbols, None) => {
                // Symbols without a size reach to the next one.
                let size = named.symbol.as_ref().unwrap().size;
                assert_eq!(size, 0, "{place}: {frame:?}");
            }
            other => panic!("{place}: {other:?}"),
        }
    }
    assert!(by_symbol > 0, "{} exports functions", program.display());
}

#[test]
fn names_of_stripped_programs_are_in_their_dynamic_symbol_table() {
    let folders = [
        "/lib/x86_64-linux-gnu",
        "/lib/aarch64-linux-gnu",
        "/lib64",
        "/usr/bin",
    ];
    for name in ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "python3"] {
        let mut places = folders.iter().map(|folder| Path::new(folder).join(name));
        match places.find(|path| path.is_file()) {
            Some(program) => check_names(&program),
            // Written past the test harness, which would keep it to itself.
            None => {
                let line = format!("skipped: this system has no {name}\n");
                let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
            }
        }
    }
}
