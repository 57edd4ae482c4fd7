//! Whole programs against the `addr2line` crate, which reads the same sections with code of its
//! own: chain, line and file of every address.

use std::borrow::Cow;
use std::path::Path;

use addr2line::gimli::{DwarfSections, EndianSlice, LittleEndian, SectionId};
use hotproof_image::ImageFile;
use hotproof_profile::Source;
use hotproof_symbolizer::NamedFrame;

use crate::programs::{C_MAIN, C_OTHER, CPP, RUST};
use crate::scratch::{Scratch, name_text};
use crate::sources::works;

/// Name, line, and last component of the file.
type Frame = (String, Option<u32>, Option<String>);

fn last(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn ours(frame: &NamedFrame) -> Frame {
    let function = &frame.function;
    let name = if function.linkage_name.is_empty() {
        // Without a linkage name we say the scope too.
        function.name.rsplit("::").next().unwrap_or_default()
    } else {
        &function.linkage_name
    };
    let file = frame.file.as_ref().or(function.file.as_ref());
    // Without a line the function's own file is no claim about the place.
    let file = file.filter(|_| frame.line.is_some());
    (name.to_owned(), frame.line, file.map(|file| last(file)))
}

/// Compares every `step`th address of `.text`; returns how many chains had inlined functions.
pub(crate) fn compare(program: &Path, step: usize) -> usize {
    let image = ImageFile::open(program).unwrap();
    let sections = DwarfSections::load(|id: SectionId| {
        let section = image.section(id.name())?;
        Ok::<_, hotproof_image::ImageError>(section.map_or(Cow::Borrowed(&[][..]), |s| s.data))
    });
    let sections = sections.unwrap();
    let dwarf = sections.borrow(|data| EndianSlice::new(data, LittleEndian));
    let context = addr2line::Context::from_dwarf(dwarf).unwrap();
    let mut inlined = 0;
    for (address, named) in name_text(program, step) {
        let svma = address + image.base_svma();
        let mut expected = Vec::new();
        let mut frames = context.find_frames(svma).skip_all_loads().unwrap();
        while let Some(frame) = frames.next().unwrap() {
            if let Some(function) = frame.function {
                let place = frame.location;
                let line = place.as_ref().and_then(|place| place.line);
                let file = place
                    .and_then(|place| place.file)
                    .filter(|_| line.is_some());
                let name = function.raw_name().unwrap().into_owned();
                expected.push((name, line, file.map(last)));
            }
        }
        let is_ours = |frame: &&NamedFrame| frame.function.source == Source::Dwarf;
        let found: Vec<Frame> = named.frames.iter().filter(is_ours).map(ours).collect();
        inlined += usize::from(found.len() > 1);
        assert_eq!(found, expected, "at {address:#x} of {}", program.display());
    }
    inlined
}

#[test]
fn c_chains_equal_those_of_the_reference_in_every_version() {
    let scratch = Scratch::new();
    scratch.write("main.c", C_MAIN);
    scratch.write("other.c", C_OTHER);
    for flags in [
        "-O2 -g -gdwarf-2 -gstrict-dwarf",
        "-O2 -g -gdwarf-3",
        "-O2 -g -gdwarf-4",
        "-O2 -g -gdwarf-5",
        "-O2 -g -gdwarf-4 -fdebug-types-section",
        "-O2 -g -fdebug-types-section",
        "-O2 -g1",
        "-O2 -g -gz",
        "-O2 -g -flto",
        "-O2 -g -no-pie",
        "-O2 -g -ffunction-sections -Wl,--gc-sections",
    ] {
        scratch.run(&format!("gcc {flags} main.c other.c -o program"));
        let inlined = compare(&scratch.path("program"), 1);
        // DWARF 2 cannot say that an inlined function is in two pieces, so gcc says less there.
        assert!(inlined > 3, "{inlined} inlined chains with {flags}");
    }
}

#[test]
fn cpp_and_rust_chains_equal_those_of_the_reference() {
    let scratch = Scratch::new();
    scratch.write("main.cpp", CPP);
    scratch.run("g++ -O2 -g main.cpp -o program");
    assert!(compare(&scratch.path("program"), 1) > 5);
    scratch.write("main.rs", RUST);
    for level in ["1", "2"] {
        scratch.run(&format!("rustc -O -C debuginfo={level} main.rs -o program"));
        assert!(compare(&scratch.path("program"), 3) > 1000);
    }
}

#[test]
fn chains_of_clang_equal_those_of_the_reference() {
    let scratch = Scratch::new();
    scratch.write("main.c", C_MAIN);
    scratch.write("other.c", C_OTHER);
    scratch.write("main.cpp", CPP);
    for (flags, least) in [
        ("-g -gdwarf-2", 1),
        ("-g -gdwarf-4", 3),
        ("-g -gdwarf-5", 3),
        ("-g -gdwarf-5 -gdwarf64", 3),
        ("-gline-tables-only", 3),
        ("-g -ffunction-sections -Wl,--gc-sections", 3),
    ] {
        // With lines alone its C++ functions have bare names, which we complete by the symbol table.
        let has_names = flags != "-gline-tables-only";
        let cpp = has_names.then_some("clang++ -O2 FLAGS main.cpp");
        for sources in ["clang -O2 FLAGS main.c other.c"].into_iter().chain(cpp) {
            let make = sources.replace("FLAGS", flags) + " -o program";
            if works(&scratch, &make) {
                let inlined = compare(&scratch.path("program"), 1);
                assert!(inlined >= least, "{inlined} inlined chains by {make}");
            }
        }
    }
}
