//! Object files and kernel modules, whose addresses no linker has chosen yet: each section of code
//! against `addr2line -j` of binutils, which relocates them with code of its own.

use std::path::Path;
use std::process::Command;

use hotproof_image::{FileKind, ImageFile};
use hotproof_profile::Source;
use hotproof_symbolizer::{NamedAddress, Symbolizer};

use crate::narrow::ALONE;
use crate::programs::{C_MAIN, C_OTHER};
use crate::scratch::Scratch;
use crate::sources::works;

/// The names of a file's sections of code that are not empty.
fn code_sections(file: &Path) -> Vec<String> {
    let output = Command::new("readelf")
        .arg("-SW")
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let is_code = |line: &&str| line.contains(" AX ") || line.contains(" AXG ");
    let name = |line: &str| {
        line.split_once("] ")?
            .1
            .split_whitespace()
            .next()
            .map(str::to_owned)
    };
    text.lines().filter(is_code).filter_map(name).collect()
}

/// Chains of function and line by binutils, innermost first, for offsets in a section.
fn expected(file: &Path, section: &str, offsets: &[u64]) -> Vec<Vec<(String, Option<u32>)>> {
    let mut command = Command::new("addr2line");
    command
        .args(["-a", "-f", "-i", "-j", section, "-e"])
        .arg(file);
    command.args(offsets.iter().map(|offset| format!("{offset:#x}")));
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let mut chains: Vec<Vec<(String, Option<u32>)>> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("0x") {
            chains.push(Vec::new());
            continue;
        }
        let place = lines.next().unwrap().split(" (").next().unwrap();
        let number = place.rsplit_once(':').unwrap().1.parse().ok();
        let number = number.filter(|&number| number > 0);
        chains.last_mut().unwrap().push((line.to_owned(), number));
    }
    chains
}

/// Compares all sections of code; returns how many chains with inlined functions there were.
fn compare(file: &Path) -> usize {
    let image = ImageFile::open(file).unwrap();
    assert_eq!(image.kind(), FileKind::Object);
    let mut inlined = 0;
    for section in code_sections(file) {
        let range = image.section_svma(&section).unwrap();
        let addresses: Vec<u64> = range.clone().collect();
        let offsets: Vec<u64> = addresses
            .iter()
            .map(|address| address - range.start)
            .collect();
        let named = Symbolizer::new()
            .symbolize_addresses(file, &addresses)
            .unwrap();
        let expected = expected(file, &section, &offsets);
        for ((offset, named), expected) in offsets.iter().zip(named).zip(expected) {
            let physical = named.frames.last();
            if physical.is_none_or(|frame| frame.function.source != Source::Dwarf) {
                // Padding between functions.
                continue;
            }
            let frames = named.frames.iter();
            let found: Vec<_> = frames
                .map(|f| (f.function.linkage_name_or_name(), f.line))
                .collect();
            inlined += usize::from(found.len() > 1);
            assert_eq!(
                found,
                expected,
                "{section}+{offset:#x} of {}",
                file.display()
            );
        }
    }
    inlined
}

trait Named {
    fn linkage_name_or_name(&self) -> String;
}

impl Named for hotproof_symbolizer::NamedFunction {
    fn linkage_name_or_name(&self) -> String {
        let known = Some(&self.linkage_name).filter(|name| !name.is_empty());
        known.unwrap_or(&self.name).to_string()
    }
}

#[test]
fn chains_of_object_files_equal_those_of_binutils() {
    let scratch = Scratch::new();
    scratch.write("main.c", C_MAIN);
    // Headers for 32 bits are seldom installed; there addends lie in the places themselves.
    scratch.write("alone.c", ALONE);
    for (flags, source) in [
        ("-g", "main"),
        ("-g -gz", "main"),
        ("-g -gdwarf-4 -ffunction-sections", "main"),
        ("-g1", "main"),
        ("-g -m32", "alone"),
        ("-g -m32 -gz -ffunction-sections", "alone"),
    ] {
        if works(&scratch, &format!("gcc -O2 {flags} -c {source}.c -o one.o")) {
            let inlined = compare(&scratch.path("one.o"));
            assert!(inlined > 5, "{inlined} with {flags}");
        }
    }
}

/// A kernel module is what `ld -r` makes of object files, and its debug information may lie apart.
#[test]
fn a_module_and_its_debug_file_equal_those_of_binutils() {
    let scratch = Scratch::new();
    scratch.write("main.c", C_MAIN);
    scratch.write("other.c", C_OTHER);
    scratch.run("gcc -O2 -g -ffunction-sections -c main.c -o main.o");
    scratch.run("gcc -O2 -g -c other.c -o other.o");
    scratch.run("ld -r main.o other.o -o module.ko");
    let module = scratch.path("module.ko");
    assert!(compare(&module) > 5);
    scratch.run("objcopy --only-keep-debug module.ko module.ko.debug");
    scratch.run("objcopy --strip-debug module.ko");
    scratch.run("objcopy --add-gnu-debuglink=module.ko.debug module.ko");
    assert!(!ImageFile::open(&module).unwrap().has_section(".debug_info"));
    assert!(compare(&module) > 5);
    // Without debug information symbols and function starts remain.
    scratch.run("objcopy --remove-section=.gnu_debuglink module.ko");
    let image = ImageFile::open(&module).unwrap();
    let range = image.section_svma(".text").unwrap();
    let addresses: Vec<u64> = range.collect();
    let named = Symbolizer::new()
        .symbolize_addresses(&module, &addresses)
        .unwrap();
    let by_table = |named: &&NamedAddress| {
        let mut frames = named.frames.iter();
        frames.any(|frame| frame.function.source == Source::SymbolTable)
    };
    assert!(named.iter().filter(by_table).count() > 20);
}

/// What relocations of another machine mean is not guessed: names of the symbol table remain.
#[test]
fn relocations_of_an_unknown_kind_are_told() {
    let scratch = Scratch::new();
    scratch.write("main.c", C_MAIN);
    scratch.run("gcc -O2 -g -c main.c -o main.o");
    let file = scratch.path("main.o");
    let mut bytes = std::fs::read(&file).unwrap();
    // Another machine, of which no relocation is known (e_machine, at 18).
    bytes[18..20].copy_from_slice(&0x1234u16.to_le_bytes());
    std::fs::write(&file, bytes).unwrap();
    let image = ImageFile::open(&file).unwrap();
    let error = image.section(".debug_info").unwrap_err().to_string();
    assert!(
        error.contains("relocations are of a kind that is not applied"),
        "{error}"
    );
    let range = image.section_svma(".text").unwrap();
    let named = Symbolizer::new().symbolize_addresses(&file, &range.collect::<Vec<_>>());
    let named = named.unwrap();
    let sources = named
        .iter()
        .flat_map(|named| &named.frames)
        .map(|f| f.function.source);
    assert!(sources.clone().count() > 20);
    assert!(sources.clone().all(|source| source == Source::SymbolTable));
}
