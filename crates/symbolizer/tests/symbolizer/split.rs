//! Split debug information: `.dwo` files and `.dwp` packages give what a whole build gives.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use hotproof_image::ImageFile;
use hotproof_profile::Source;
use hotproof_symbolizer::{DebugPlaces, FileNames, NamedAddress, Problem, examine};

use crate::programs::{C_MAIN, C_OTHER, CPP, RUST};
use crate::scratch::{Scratch, name_text};

const VERSIONS: [&str; 2] = ["-gdwarf-4", "-gdwarf-5"];

/// A program of C and C++ without and with split debug information.
struct Built {
    scratch: Scratch,
    whole: Vec<(u64, NamedAddress)>,
}

impl Built {
    fn new(version: &str) -> Built {
        let scratch = Scratch::new();
        scratch.write("c.c", &C_MAIN.replace("int main(", "int c_main("));
        // The C part has a variable of this name too.
        let cpp = CPP.replace("volatile unsigned sink", "static volatile unsigned sink");
        scratch.write("other.c", C_OTHER);
        scratch.write("cpp.cpp", &cpp);
        let compile = |split: &str| {
            scratch.run(&format!("gcc -O2 -g {version} {split} -c c.c other.c"));
            scratch.run(&format!("g++ -O2 -g {version} {split} -c cpp.cpp"));
            scratch.run("g++ c.o other.o cpp.o -o program");
        };
        compile("");
        let whole = name_text(&scratch.path("program"), 1);
        compile("-gsplit-dwarf");
        let image = ImageFile::open(&scratch.path("program")).unwrap();
        assert!(!image.has_section(".debug_info.dwo"), "entries are apart");
        Built { scratch, whole }
    }

    fn split_files(&self) -> Vec<PathBuf> {
        ["c.dwo", "other.dwo", "cpp.dwo"]
            .map(|name| self.scratch.path(name))
            .to_vec()
    }

    /// The program says the same as the whole one.
    fn assert_same(&self, program: &Path, when: &str) {
        let mut inlined = 0;
        for ((address, split), (_, whole)) in name_text(program, 1).iter().zip(&self.whole) {
            assert_eq!(split.frames, whole.frames, "at {address:#x}, {when}");
            inlined += usize::from(split.frames.len() > 1);
        }
        assert!(inlined > 5, "{inlined} inlined chains, {when}");
    }
}

fn problems(program: &Path) -> Vec<Problem> {
    let image = ImageFile::open(program).unwrap();
    let text = image.section_svma(".text").unwrap();
    let addresses: Vec<u64> = text.map(|svma| svma - image.base_svma()).collect();
    FileNames::read(program, &addresses)
        .unwrap()
        .problems()
        .to_vec()
}

#[test]
fn split_files_beside_the_objects_say_what_a_whole_build_says() {
    for version in VERSIONS {
        let built = Built::new(version);
        built.assert_same(&built.scratch.path("program"), version);
        let program = built.scratch.path("program");
        assert_eq!(problems(&program), []);
        let examined = examine(&program, &[], &DebugPlaces::default()).unwrap();
        assert_eq!(examined.problems, [], "nothing is missing");
    }
}

#[test]
fn split_files_that_moved_with_the_program_are_found_beside_it() {
    for version in VERSIONS {
        let built = Built::new(version);
        let moved = Scratch::new();
        for path in built
            .split_files()
            .into_iter()
            .chain([built.scratch.path("program")])
        {
            let name = path.file_name().unwrap().to_str().unwrap();
            std::fs::rename(&path, moved.path(name)).unwrap();
        }
        built.assert_same(&moved.path("program"), version);
    }
}

#[test]
fn missing_split_files_leave_the_symbol_table_and_are_reported() {
    for version in VERSIONS {
        let built = Built::new(version);
        for path in built.split_files() {
            std::fs::remove_file(path).unwrap();
        }
        let program = built.scratch.path("program");
        let text = name_text(&program, 1);
        let frames = || text.iter().flat_map(|(_, named)| &named.frames);
        assert!(frames().all(|frame| frame.function.source != Source::Dwarf));
        let outer = frames()
            .find(|frame| &*frame.function.name == "outer")
            .unwrap();
        assert!(outer.line.is_some(), "the lines stay in the program");
        let found = problems(&program);
        assert!(
            matches!(&found[..], [Problem::SplitDebugInfo { path }] if path.ends_with("c.dwo")
                || path.ends_with("other.dwo") || path.ends_with("cpp.dwo")),
            "{found:?}"
        );
        let examined = examine(&program, &[], &DebugPlaces::default()).unwrap();
        let told = |problem: &Problem| matches!(problem, Problem::SplitDebugInfo { .. });
        assert!(
            examined.problems.iter().any(told),
            "without naming: {examined:?}"
        );
    }
}

#[test]
fn split_file_of_another_compilation_is_refused_and_the_others_are_read() {
    for version in VERSIONS {
        let built = Built::new(version);
        let scratch = &built.scratch;
        scratch.write("other.c", &format!("int more;\n{C_OTHER}"));
        scratch.run(&format!("gcc -O2 -g {version} -gsplit-dwarf -c other.c"));
        let found = problems(&scratch.path("program"));
        let [Problem::DebugFileRefused { path, reason }] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(path.ends_with("other.dwo"), "{path:?}");
        assert!(
            reason.contains("expected the one that the program names"),
            "{reason}"
        );
        let text = name_text(&scratch.path("program"), 1);
        let names = text.iter().flat_map(|(_, named)| &named.frames);
        assert!(
            names
                .clone()
                .any(|f| &*f.function.name == "outer" && f.function.source == Source::Dwarf)
        );
        let other = names
            .clone()
            .find(|f| &*f.function.name == "other")
            .unwrap();
        assert_eq!(other.function.source, Source::SymbolTable);
    }
}

#[test]
fn package_of_binutils_replaces_split_files() {
    // binutils' dwp knows DWARF 4 alone.
    let built = Built::new("-gdwarf-4");
    let program = built.scratch.path("program");
    let made = Command::new("dwp")
        .args(["-e", "program", "-o", "program.dwp"])
        .current_dir(program.parent().unwrap())
        .output();
    if let Err(error) = made {
        crate::skip("dwp of binutils", &error);
        return;
    }
    assert!(built.scratch.path("program.dwp").is_file());
    for path in built.split_files() {
        std::fs::remove_file(path).unwrap();
    }
    built.assert_same(&program, "packed");
    assert_eq!(problems(&program), []);
}

#[test]
fn rust_split_and_packed_say_what_a_whole_build_says() {
    for version in ["4", "5"] {
        let scratch = Scratch::new();
        scratch.write("main.rs", RUST);
        let compile = |split: &str| {
            let flags = format!("-O -C debuginfo=2 -C dwarf-version={version} -C codegen-units=2");
            scratch.run(&format!(
                "rustc {flags} -C split-debuginfo={split} main.rs -o program"
            ));
            name_text(&scratch.path("program"), 5)
        };
        let whole = compile("off");
        for split in ["unpacked", "packed"] {
            let found = compile(split);
            let package = scratch.path("program.dwp");
            assert_eq!(package.is_file(), split == "packed");
            assert_eq!(problems(&scratch.path("program")), []);
            let mut inlined = 0;
            for ((address, found), (_, whole)) in found.iter().zip(&whole) {
                assert_eq!(
                    found.frames, whole.frames,
                    "at {address:#x}, {split}, {version}"
                );
                let is_own = |file: &Arc<str>| file.ends_with("main.rs");
                let mut files = found.frames.iter().filter_map(|f| f.function.file.as_ref());
                inlined += usize::from(found.frames.len() > 1 && files.any(is_own));
            }
            assert!(inlined > 5, "{inlined} inlined chains, {split}, {version}");
        }
    }
}
