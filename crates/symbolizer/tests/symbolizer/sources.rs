//! One program for each source of names, made by the tools that make such programs, and who of the
//! sources answered. A tool that is missing skips its test, which says so.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use hotproof_image::ImageFile;
use hotproof_profile::Source;
use hotproof_symbolizer::{NamedAddress, Problem, Symbolizer};

use crate::programs::{C_MAIN, C_OTHER};
use crate::scratch::{Scratch, line_of, name_text};

/// Whether a tool is there; says so, past the test harness, when it is not.
fn has(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok();
    if !there {
        skipped(&format!("{tool} is not installed"));
    }
    there
}

fn skipped(reason: &str) {
    let line = format!("skipped: {reason}\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
}

/// Whether a command works here; says so when it does not.
pub(crate) fn works(scratch: &Scratch, command: &str) -> bool {
    let mut words = command.split_whitespace();
    let mut command_line = Command::new(words.next().unwrap());
    command_line.args(words).current_dir(scratch.path(""));
    let output = command_line.output();
    let fine = output.is_ok_and(|output| output.status.success());
    if !fine {
        skipped(&format!("`{command}` does not work here"));
    }
    fine
}

fn c_program(flags: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("main.c", C_MAIN);
    scratch.write("other.c", C_OTHER);
    scratch.run(&format!("gcc -O2 {flags} main.c other.c -o program"));
    scratch
}

/// The sources of the physical functions called `name`.
fn sources_of(text: &[(u64, NamedAddress)], name: &str) -> BTreeSet<Source> {
    let frames = text.iter().filter_map(|(_, named)| named.frames.last());
    let of_name = frames.filter(|frame| &*frame.function.name == name);
    of_name.map(|frame| frame.function.source).collect()
}

fn sources(program: &Path, name: &str) -> Vec<Source> {
    sources_of(&name_text(program, 1), name)
        .into_iter()
        .collect()
}

/// Names, lines and files alone.
fn chains(program: &Path) -> Vec<Vec<(String, Option<u32>)>> {
    let text = name_text(program, 1);
    let chain = |named: &NamedAddress| {
        let frames = named.frames.iter();
        frames
            .map(|f| (f.function.name.to_string(), f.line))
            .collect()
    };
    text.iter().map(|(_, named)| chain(named)).collect()
}

#[test]
fn tables_answer_in_their_order() {
    let scratch = c_program("-g -rdynamic");
    let program = scratch.path("program");
    assert_eq!(sources(&program, "outer"), [Source::Dwarf]);
    scratch.run("strip --strip-debug program");
    assert_eq!(sources(&program, "outer"), [Source::SymbolTable]);
    assert_eq!(sources(&program, "twin"), [Source::SymbolTable]);
    scratch.run("strip program");
    assert_eq!(sources(&program, "outer"), [Source::DynamicSymbols]);
    assert_eq!(sources(&program, "twin"), []);
    let text = name_text(&program, 1);
    let unnamed = text.iter().flat_map(|(_, named)| &named.frames);
    let by_unwinding = unnamed.filter(|f| f.function.source == Source::UnwindTable);
    assert!(
        by_unwinding.count() > 0,
        "twin is left as a function's start"
    );
}

#[test]
fn mini_debug_info_names_what_is_not_exported() {
    if !has("xz") {
        return;
    }
    let scratch = c_program("");
    let program = scratch.path("program");
    scratch.run("objcopy --only-keep-debug program mini");
    scratch.run("xz --keep mini");
    scratch.run("strip program");
    assert_eq!(sources(&program, "twin"), []);
    scratch.run("objcopy --add-section .gnu_debugdata=mini.xz program");
    assert_eq!(sources(&program, "twin"), [Source::MiniDebugInfo]);
    assert_eq!(sources(&program, "outer"), [Source::MiniDebugInfo]);
}

/// A compressed symbol table that is damaged, or that unpacks without end, is told; the other
/// tables still answer.
#[test]
fn damaged_mini_debug_info_is_told() {
    if !has("xz") {
        return;
    }
    let scratch = c_program("-rdynamic");
    scratch.run("strip program");
    std::fs::write(scratch.path("zeros"), vec![0; 300 << 20]).unwrap();
    scratch.run("xz -0 zeros");
    std::fs::write(scratch.path("nonsense.xz"), b"\xfd7zXZ\0nonsense").unwrap();
    for (name, told) in [("zeros.xz", "more than"), ("nonsense.xz", "xz")] {
        scratch.run(&format!(
            "objcopy --add-section .gnu_debugdata={name} program damaged"
        ));
        let program = scratch.path("damaged");
        assert_eq!(sources(&program, "outer"), [Source::DynamicSymbols]);
        let summary = problems(&program);
        let is_told = |problem: &Problem| {
            let text = problem.to_string();
            text.contains(".gnu_debugdata") && text.contains(told)
        };
        assert!(summary.iter().any(is_told), "{summary:?}");
    }
}

/// The problems of naming one address.
fn problems(program: &Path) -> Vec<Problem> {
    use hotproof_profile::{AddressKind, Image, ImageKind, Location, Profile};
    let mut profile = Profile::default();
    let path = profile.strings.intern(program.to_str().unwrap());
    let image = profile.images.push(Image {
        path,
        build_id: Vec::new(),
        kind: ImageKind::Elf,
    });
    let row = Location::unresolved(Some(image), 0x1060, AddressKind::Ip);
    profile.locations.push(row);
    let mut summary = Symbolizer::new().symbolize(&mut profile);
    summary.images.remove(0).problems
}

#[test]
fn compressed_debug_information_gives_the_same_chains() {
    let scratch = c_program("-g");
    let plain = chains(&scratch.path("program"));
    for form in ["zlib", "zlib-gnu", "zstd"] {
        let command = format!("objcopy --compress-debug-sections={form} program packed");
        if works(&scratch, &command) {
            let packed = scratch.path("packed");
            assert_eq!(chains(&packed), plain, "{form}");
            assert_eq!(sources(&packed, "outer"), [Source::Dwarf], "{form}");
        }
    }
}

#[test]
fn debug_files_of_elfutils_are_found() {
    if !has("eu-strip") {
        return;
    }
    let scratch = c_program("-g");
    let plain = chains(&scratch.path("program"));
    scratch.run("eu-strip -f program.debug program");
    let program = scratch.path("program");
    assert!(
        !ImageFile::open(&program)
            .unwrap()
            .has_section(".debug_info")
    );
    assert_eq!(chains(&program), plain);
    assert_eq!(sources(&program, "outer"), [Source::Dwarf]);
}

#[test]
fn debug_information_that_dwz_has_shared_gives_the_same_chains() {
    if !has("dwz") {
        return;
    }
    let scratch = c_program("-g");
    scratch.run("gcc -O2 -g -DTWICE main.c other.c -o second");
    let plain = chains(&scratch.path("program"));
    if !works(&scratch, "dwz -m shared.debug program second") {
        return;
    }
    let program = scratch.path("program");
    assert!(
        ImageFile::open(&program)
            .unwrap()
            .has_section(".gnu_debugaltlink"),
        "dwz has shared something"
    );
    assert_eq!(chains(&program), plain);
    // Another build's shared file is refused.
    scratch.run("gcc -O1 -g main.c other.c -o third");
    scratch.run("cp third shared.debug");
    let told = problems(&program);
    let refused = |problem: &Problem| matches!(problem, Problem::DebugFileRefused { .. });
    assert!(told.iter().any(refused), "{told:?}");
}

#[test]
fn stubs_of_all_kinds_are_named() {
    if !cfg!(target_arch = "x86_64") {
        skipped("stubs are read on x86-64 alone");
        return;
    }
    let source = "#include <stdio.h>\n#include <stdlib.h>\n\
        int main(int n, char **v) { puts(v[0]); void (*volatile f)(int) = exit; f(n - 1); }\n";
    for (flags, sections) in [
        (
            "-fcf-protection=none -Wl,-z,lazy",
            &[".plt", ".plt.got"][..],
        ),
        (
            "-fcf-protection=full -Wl,-z,ibtplt",
            &[".plt.sec", ".plt.got"],
        ),
        ("-fno-plt -Wl,-z,now", &[".plt.got"]),
    ] {
        let scratch = Scratch::new();
        scratch.write("main.c", source);
        scratch.run(&format!("gcc -O1 {flags} main.c -o program"));
        let program = scratch.path("program");
        let image = ImageFile::open(&program).unwrap();
        for section in sections {
            let Some(range) = image.section_svma(section) else {
                continue;
            };
            let addresses: Vec<u64> = range.map(|svma| svma - image.base_svma()).collect();
            let named = Symbolizer::new().symbolize_addresses(&program, &addresses);
            let named = named.unwrap();
            let stubs = named.iter().flat_map(|named| &named.frames);
            let stubs = stubs.filter(|frame| frame.function.source == Source::Plt);
            let names: BTreeSet<&str> = stubs.map(|f| &*f.function.name).collect();
            let expected = match *section {
                ".plt.got" => "__cxa_finalize@plt",
                _ => "puts@plt",
            };
            assert!(
                names.contains(expected),
                "{section} with {flags}: {names:?}"
            );
        }
    }
}

#[test]
fn all_names_of_one_address_are_kept() {
    let source = "int one(int x) { return x * 7 + 1; }\n\
        int second(int x) __attribute__((alias(\"one\")));\n\
        static int fast(int x) { return x + 2; }\n\
        static void *chooser(void) { return fast; }\n\
        int chosen(int x) __attribute__((ifunc(\"chooser\")));\n\
        int main(int n, char **v) { return one(n) + second(n) + chosen(n); }\n";
    let scratch = Scratch::new();
    scratch.write("main.c", source);
    scratch.run("gcc -O0 main.c -o program");
    let text = name_text(&scratch.path("program"), 1);
    let aliases = |name: &str| {
        let symbols = text.iter().filter_map(|(_, named)| named.symbol.as_ref());
        let mut symbols = symbols.filter(|symbol| &*symbol.linkage_name == name);
        symbols.next().map(|symbol| symbol.aliases.clone())
    };
    assert_eq!(aliases("one"), Some(vec!["second".to_owned()]));
    // Code there is the function that chooses; callers use the other name.
    assert_eq!(aliases("chooser"), Some(vec!["chosen".to_owned()]));
    assert_eq!(aliases("fast"), Some(Vec::new()));
}

#[test]
fn folded_functions_keep_all_their_names() {
    let scratch = Scratch::new();
    let source = "int first(int x) { return x * 31 + 5; }\nint second(int x) { return x * 31 + 5; }\n\
        int main(int n, char **v) { return first(n) + second(n); }\n";
    scratch.write("main.c", source);
    let flags = "-O1 -fno-ipa-icf -fno-inline -ffunction-sections -fuse-ld=gold -Wl,--icf=all";
    if !works(&scratch, &format!("gcc {flags} main.c -o program")) {
        return;
    }
    let text = name_text(&scratch.path("program"), 1);
    let symbols = text.iter().filter_map(|(_, named)| named.symbol.as_ref());
    let mut folded = symbols.filter(|symbol| &*symbol.linkage_name == "first");
    let folded = folded.next().expect("first is there");
    assert_eq!(folded.aliases, ["second"]);
}

#[test]
fn assembler_functions_without_a_size_are_named() {
    let scratch = Scratch::new();
    let source = "#include <stdio.h>\nint sizeless(void);\n\
        __asm__(\".text\\n.globl sizeless\\nsizeless:\\n nop\\n nop\\n ret\\n nop\\n nop\\n\");\n\
        int main(void) { return sizeless(); }\n";
    scratch.write("main.c", source);
    scratch.run("gcc -O1 main.c -o program");
    let text = name_text(&scratch.path("program"), 1);
    let of_it = text.iter().filter(|(_, named)| {
        let symbol = named.symbol.as_ref();
        symbol.is_some_and(|symbol| &*symbol.linkage_name == "sizeless" && symbol.size == 0)
    });
    assert!(of_it.count() >= 3);
}

const GO: &str = r#"package main

import (
	"fmt"
	"os"
)

var sink int

func inner(x int) int {
	return x*3 + sink // body inner
}

//go:noinline
func outer(x int) int {
	sink = inner(x) + 1 // call inner
	return sink ^ 5 // body outer
}

type shape struct{ r int }

//go:noinline
func (s *shape) area() int {
	return s.r * sink // body area
}

func main() {
	s := shape{len(os.Args)}
	fmt.Println(outer(len(os.Args)), s.area())
}
"#;

#[test]
fn stripped_go_programs_have_functions_lines_and_inlines() {
    if Command::new("go").arg("version").output().is_err() {
        skipped("go is not installed");
        return;
    }
    for mode in ["exe", "pie"] {
        let scratch = Scratch::new();
        scratch.write("main.go", GO);
        let cache = scratch.path("cache");
        let output = Command::new("go")
            .args(["build", "-ldflags=-s -w", "-buildmode", mode])
            .args(["-o", "program", "main.go"])
            .env("CGO_ENABLED", "0")
            .env("GOCACHE", std::env::temp_dir().join("hotproof-go-cache"))
            .env("GOPATH", &cache)
            .env("GO111MODULE", "off")
            .current_dir(scratch.path(""))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        if mode == "pie" && !output.status.success() {
            skipped(&format!(
                "go builds no position-independent program: {told}"
            ));
            continue;
        }
        assert!(output.status.success(), "{told}");
        let program = scratch.path("program");
        let text = name_text(&program, 1);
        let named = |name: &str, marker: &str| {
            let line = line_of(GO, marker);
            text.iter().any(|(_, named)| {
                named.frames.last().is_some_and(|frame| {
                    &*frame.function.name == name
                        && frame.function.source == Source::GoTable
                        && frame.line == Some(line)
                        && frame
                            .function
                            .file
                            .as_ref()
                            .is_some_and(|file| file.ends_with("/main.go"))
                })
            })
        };
        assert!(named("main.outer", "body outer"), "{mode}");
        assert!(named("main.(*shape).area", "body area"), "{mode}");
        if mode == "exe" {
            let inlined = text.iter().find(|(_, named)| {
                named.frames[..]
                    .first()
                    .is_some_and(|f| &*f.function.name == "main.inner")
            });
            let chain: Vec<_> = inlined
                .expect("inner is inlined")
                .1
                .frames
                .iter()
                .map(|f| (&*f.function.name, f.line))
                .collect();
            let body = Some(line_of(GO, "body inner"));
            let call = Some(line_of(GO, "call inner"));
            assert_eq!(chain, [("main.inner", body), ("main.outer", call)]);
        }
        let unnamed = text
            .iter()
            .filter(|(_, named)| named.frames.is_empty())
            .count();
        assert!(
            unnamed * 100 < text.len() * 2,
            "{unnamed} of {} in {mode}",
            text.len()
        );
    }
}
