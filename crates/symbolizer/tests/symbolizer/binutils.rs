//! Whole programs against an independent reader: `addr2line -f -i` of binutils.

use std::path::Path;

use hotproof_image::ImageFile;
use hotproof_profile::Source;
use hotproof_symbolizer::{NamedFrame, demangle};

use crate::programs::{C_MAIN, C_OTHER, CPP, RUST};
use crate::scratch::{Printed, Scratch, addr2line, name_text};

/// A frame in the words of binutils, which prints linkage names and bare names.
fn printed(frame: &NamedFrame) -> Printed {
    let function = &frame.function;
    let name = if function.linkage_name.is_empty() {
        &function.name
    } else {
        &function.linkage_name
    };
    let file = frame.file.as_ref().or(function.file.as_ref());
    Printed {
        function: name.to_string(),
        file: file
            .and_then(|file| file.rsplit('/').next())
            .map(str::to_owned),
        line: frame.line,
    }
}

/// Compares every `step`th address of `.text`; returns how many chains had inlined functions.
pub(crate) fn compare(program: &Path, step: usize) -> usize {
    let base = ImageFile::open(program).unwrap().base_svma();
    let named = name_text(program, step);
    let addresses: Vec<u64> = named.iter().map(|(address, _)| address + base).collect();
    let expected = addr2line(program, &addresses);
    let mut inlined = 0;
    for ((address, named), expected) in named.iter().zip(expected) {
        let ours: Vec<Printed> = named.frames.iter().map(printed).collect();
        let physical = named.frames.last();
        if physical.is_none_or(|frame| frame.function.source != Source::Dwarf) {
            // Without a DWARF function both fall back, each by rules of its own.
            continue;
        }
        inlined += usize::from(ours.len() > 1);
        let same = ours.len() == expected.len() && ours.iter().zip(&expected).all(agrees);
        let place = format!("at {address:#x} of {}", program.display());
        assert!(same, "{place}: {ours:#?}, binutils: {expected:#?}");
    }
    inlined
}

/// Whether a frame is the one that binutils prints, but for two habits of binutils 2.40.
fn agrees((ours, expected): (&Printed, &Printed)) -> bool {
    // It names a C++ function without linkage name by the symbol, where we print its scope.
    let demangled = demangle(&expected.function);
    let bare = ours.function.rsplit("::").next().unwrap_or_default();
    let same_function = ours.function == expected.function
        || (expected.function.starts_with("_Z") && demangled.contains(bare))
        || ours.function.ends_with(&format!("::{}", expected.function));
    // The first row of a DWARF 5 sequence names file 1; it prints file 0, the made-up main file.
    let same_file = ours.file == expected.file || expected.file.as_deref() == Some("<artificial>");
    same_function && same_file && ours.line == expected.line
}

#[test]
fn c_chains_equal_those_of_binutils() {
    let scratch = Scratch::new();
    scratch.write("main.c", C_MAIN);
    scratch.write("other.c", C_OTHER);
    for flags in [
        "-O2 -g",
        "-O2 -g1",
        "-O1 -g -gdwarf-4",
        "-O2 -g -no-pie",
        "-O2 -g -gz",
    ] {
        scratch.run(&format!("gcc {flags} main.c other.c -o program"));
        let inlined = compare(&scratch.path("program"), 1);
        assert!(inlined > 5, "{inlined} inlined chains with {flags}");
    }
}

#[test]
fn c_chains_of_link_time_optimisation_equal_those_of_binutils() {
    let scratch = Scratch::new();
    scratch.write("main.c", C_MAIN);
    scratch.write("other.c", C_OTHER);
    scratch.run("gcc -O2 -g -flto main.c other.c -o program");
    assert!(compare(&scratch.path("program"), 1) > 5);
}

#[test]
fn cpp_chains_equal_those_of_binutils() {
    let scratch = Scratch::new();
    scratch.write("main.cpp", CPP);
    for flags in ["-O2 -g", "-O1 -g -gdwarf-4"] {
        scratch.run(&format!("g++ {flags} main.cpp -o program"));
        assert!(compare(&scratch.path("program"), 1) > 5);
    }
}

#[test]
fn rust_chains_equal_those_of_binutils() {
    let scratch = Scratch::new();
    scratch.write("main.rs", RUST);
    for level in ["1", "2"] {
        scratch.run(&format!("rustc -O -C debuginfo={level} main.rs -o program"));
        assert!(compare(&scratch.path("program"), 7) > 100);
    }
}
