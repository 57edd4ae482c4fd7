//! Chains, names and declarations that the sources state.

use std::path::Path;

use hotproof_profile::Source;
use hotproof_symbolizer::NamedAddress;

use crate::programs::{C_MAIN, C_OTHER, COLD, CPP, RUST};
use crate::scratch::{Scratch, line_of, name_text};

/// (name, line within it, declared line), innermost first.
type Chain = Vec<(String, Option<u32>, Option<u32>)>;

fn chain(named: &NamedAddress) -> Chain {
    let frames = named.frames.iter();
    frames
        .map(|frame| {
            let function = &frame.function;
            (function.name.to_string(), frame.line, function.line)
        })
        .collect()
}

/// Some address of the text has exactly these innermost frames.
fn assert_has(text: &[(u64, NamedAddress)], expected: &[(&str, u32, u32)]) {
    let expected: Chain = expected
        .iter()
        .map(|&(name, line, declared)| (name.to_owned(), Some(line), Some(declared)))
        .collect();
    let mut chains = text.iter().map(|(_, named)| chain(named));
    assert!(
        chains.any(|chain| chain.ends_with(&expected)),
        "none is {expected:?}"
    );
}

/// The distinct (file name, declared line) of functions with this name.
fn declarations(text: &[(u64, NamedAddress)], name: &str) -> Vec<(String, Option<u32>)> {
    let frames = text.iter().flat_map(|(_, named)| &named.frames);
    let mut found: Vec<(String, Option<u32>)> = frames
        .filter(|frame| &*frame.function.name == name)
        .map(|frame| {
            let file = frame.function.file.as_deref().unwrap_or_default();
            (file.to_owned(), frame.function.line)
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The physical function's names for code whose symbol has this name.
fn physical_of_symbol(text: &[(u64, NamedAddress)], part: &str) -> Vec<String> {
    let mut names: Vec<String> = text
        .iter()
        .filter(|(_, named)| {
            named
                .symbol
                .as_ref()
                .is_some_and(|s| s.linkage_name.contains(part))
        })
        .filter_map(|(_, named)| Some(named.frames.last()?.function.name.to_string()))
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn c_has_inlined_frames_and_tells_equal_names_of_two_files_apart() {
    let scratch = Scratch::new();
    scratch.write("main.c", C_MAIN);
    scratch.write("other.c", C_OTHER);
    let at = |marker| line_of(C_MAIN, marker);
    for flags in ["-O2 -g", "-O2 -g1", "-O2 -g -flto"] {
        scratch.run(&format!("gcc {flags} main.c other.c -o program"));
        let text = name_text(&scratch.path("program"), 1);
        assert_has(
            &text,
            &[
                ("inner", at("body inner"), at("decl inner")),
                ("middle", at("body middle"), at("decl middle")),
                ("outer", at("body outer"), at("decl outer")),
            ],
        );
        assert_eq!(
            declarations(&text, "twin"),
            [
                (scratch.real("main.c"), Some(at("decl twin"))),
                (
                    scratch.real("other.c"),
                    Some(line_of(C_OTHER, "decl other twin"))
                ),
            ],
            "with {flags}"
        );
    }
}

#[test]
fn cold_part_keeps_the_linkers_name_beside_the_functions() {
    let scratch = Scratch::new();
    scratch.write("main.cpp", COLD);
    scratch.run("g++ -O2 -g main.cpp -o program");
    let text = name_text(&scratch.path("program"), 1);
    let function = "parted(unsigned int)";
    assert_eq!(physical_of_symbol(&text, "_Z6partedj.cold"), [function]);
    let line = line_of(COLD, "cold parted");
    let declared = line_of(COLD, "decl parted");
    assert_has(&text, &[(function, line, declared)]);

    scratch.run("g++ -O2 main.cpp -o bare");
    let text = name_text(&scratch.path("bare"), 1);
    let part = "parted(unsigned int) [clone .cold]";
    assert_eq!(
        physical_of_symbol(&text, "_Z6partedj.cold"),
        [part],
        "no DWARF to say more"
    );
}

/// gcc's `std::swap` has a linkage name that the demangler cannot read.
#[test]
fn a_linkage_name_that_cannot_be_read_leaves_the_name_of_dwarf() {
    let scratch = Scratch::new();
    let source = "#include <utility>\nint main(int count, char **) {\n    double a = count, b = 2;\n    std::swap(a, b);\n    return a > b;\n}\n";
    scratch.write("main.cpp", source);
    scratch.run("g++ -O0 -g main.cpp -o program");
    let text = name_text(&scratch.path("program"), 1);
    let swap = text.iter().flat_map(|(_, named)| &named.frames);
    let swap = swap.filter(|frame| frame.function.linkage_name.starts_with("_ZSt4swapId"));
    let names: std::collections::BTreeSet<&str> = swap.map(|frame| &*frame.function.name).collect();
    assert!(!names.is_empty());
    assert!(
        names.iter().all(|name| name.contains("swap<double>")),
        "{names:?}"
    );
    assert!(
        names.iter().all(|name| !name.starts_with("_Z")),
        "{names:?}"
    );
}

#[test]
fn paths_of_a_build_in_another_folder_are_those_of_the_sources() {
    let scratch = Scratch::new();
    scratch.write("main.c", C_MAIN);
    scratch.write("other.c", C_OTHER);
    std::fs::create_dir(scratch.path("build")).unwrap();
    scratch.write(
        "build.sh",
        "cd build && gcc -O2 -g ../main.c ../build/.././other.c -o ../program\n",
    );
    scratch.run("sh build.sh");
    let text = name_text(&scratch.path("program"), 1);
    let files: Vec<String> = declarations(&text, "twin")
        .into_iter()
        .map(|(file, _)| file)
        .collect();
    assert_eq!(files, [scratch.real("main.c"), scratch.real("other.c")]);
}

#[test]
fn cpp_names_have_scopes_and_declarations_are_those_of_the_definitions() {
    let scratch = Scratch::new();
    scratch.write("main.cpp", CPP);
    scratch.run("g++ -O2 -g main.cpp -o program");
    let text = name_text(&scratch.path("program"), 1);
    let file = scratch.real("main.cpp");
    for (name, marker) in [
        ("ns::Circle::area() const", "decl area"),
        ("ns::Circle::twice() const", "decl twice"),
        ("ns::square<int>(int)", "decl square"),
        ("ns::square<double>(double)", "decl square"),
        ("(anonymous namespace)::hidden", "decl hidden"),
        ("load(unsigned int)", "decl load unsigned"),
        ("load(double)", "decl load double"),
    ] {
        let expected = [(file.clone(), Some(line_of(CPP, marker)))];
        assert_eq!(declarations(&text, name), expected, "of {name}");
    }
    // gcc states no declaration for a lambda's operator, so there is the file of its lines alone.
    let lambda = declarations(&text, "main::(anonymous)::operator()");
    assert_eq!(lambda, [(file, None)]);
}

#[test]
fn rust_names_and_declarations_hold_at_debug_1_and_2() {
    let scratch = Scratch::new();
    scratch.write("main.rs", RUST);
    let at = |marker| line_of(RUST, marker);
    let file = scratch.real("main.rs");
    for level in ["1", "2"] {
        scratch.run(&format!("rustc -O -C debuginfo={level} main.rs -o program"));
        let text = name_text(&scratch.path("program"), 1);
        assert_has(
            &text,
            &[
                ("main::inner", at("body inner"), at("decl inner")),
                ("main::middle", at("body middle"), at("decl middle")),
                ("main::outer", at("body outer"), at("decl outer")),
            ],
        );
        for (name, marker) in [
            (
                "<main::shapes::Circle as main::shapes::Shape>::area",
                "decl circle area",
            ),
            (
                "<main::shapes::Square as main::shapes::Shape>::area",
                "decl square area",
            ),
            ("main::shapes::Square::grow", "decl grow"),
            ("main::generic", "decl generic"),
            ("main::load", "decl load"),
            ("main::main::{{closure}}", "decl closure"),
        ] {
            let expected = [(file.clone(), Some(at(marker)))];
            assert_eq!(
                declarations(&text, name),
                expected,
                "of {name} at level {level}"
            );
        }
        let instances = |part| {
            let symbols = text.iter().filter_map(|(_, named)| named.symbol.as_ref());
            let mut names: Vec<&str> = symbols
                .map(|symbol| &*symbol.linkage_name)
                .filter(|name| name.contains(part))
                .collect();
            names.sort_unstable();
            names.dedup();
            names.len()
        };
        assert_eq!(
            instances("main7generic"),
            2,
            "both instances are there, with one declaration"
        );
    }
}

#[test]
fn v0_mangling_gives_the_same_declarations() {
    let scratch = Scratch::new();
    scratch.write("main.rs", RUST);
    scratch.run("rustc -O -C debuginfo=1 -C symbol-mangling-version=v0 main.rs -o program");
    let text = name_text(&scratch.path("program"), 1);
    let file = scratch.real("main.rs");
    for name in ["main::generic::<u32>", "main::generic::<u64>"] {
        let expected = [(file.clone(), Some(line_of(RUST, "decl generic")))];
        assert_eq!(declarations(&text, name), expected, "of {name}");
    }
}

#[test]
fn line_tables_alone_give_files_without_declared_lines() {
    let scratch = Scratch::new();
    scratch.write("main.rs", RUST);
    scratch.run("rustc -O -C debuginfo=line-tables-only main.rs -o program");
    let text = name_text(&scratch.path("program"), 1);
    let expected = [(scratch.real("main.rs"), None)];
    // Inlined: nothing but DWARF's bare name. Physical: the symbol has the whole one.
    assert_eq!(declarations(&text, "middle"), expected);
    assert_eq!(declarations(&text, "main::outer"), expected);
    let area = declarations(&text, "<main::shapes::Square as main::shapes::Shape>::area");
    assert!(area.is_empty() || area == expected, "{area:?}");
}

#[test]
fn program_without_debug_information_is_named_by_its_symbol_table() {
    let scratch = Scratch::new();
    scratch.write("main.c", C_MAIN);
    scratch.write("other.c", C_OTHER);
    scratch.run("gcc -O2 main.c other.c -o program");
    let text = name_text(&scratch.path("program"), 1);
    let frames = text.iter().flat_map(|(_, named)| &named.frames);
    let mut names: Vec<(&str, Source)> = frames
        .map(|frame| (&*frame.function.name, frame.function.source))
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in ["main", "outer", "twin", "other", "_start"] {
        assert!(
            names.contains(&(name, Source::SymbolTable)),
            "{name} in {names:?}"
        );
    }
}

#[test]
fn stripped_program_has_function_starts_and_stubs_alone() {
    let scratch = Scratch::new();
    scratch.write("main.c", C_MAIN);
    scratch.write("other.c", C_OTHER);
    scratch.run("gcc -O2 main.c other.c -o program");
    let whole = name_text(&scratch.path("program"), 1);
    scratch.run("strip program");
    let stripped = name_text(&scratch.path("program"), 1);
    let mut seen = 0;
    for ((address, whole), (_, stripped)) in whole.iter().zip(&stripped) {
        assert_eq!(stripped.symbol, None, "at {address:#x}");
        let (Some(symbol), Some(frame)) = (&whole.symbol, stripped.frames.first()) else {
            continue;
        };
        if frame.function.source == Source::UnwindTable {
            seen += 1;
            assert_eq!(*frame.function.name, format!("fn_{:#x}", symbol.address));
        }
    }
    assert!(seen > 50, "{seen} addresses");
    assert_stubs(&scratch.path("program"));
}

fn assert_stubs(program: &Path) {
    let image = hotproof_image::ImageFile::open(program).unwrap();
    if image.arch() != hotproof_image::Arch::X86_64 {
        return;
    }
    let plt = image.section_svma(".plt").unwrap();
    let addresses: Vec<u64> = plt.map(|svma| svma - image.base_svma()).collect();
    let named = hotproof_symbolizer::Symbolizer::new()
        .symbolize_addresses(program, &addresses)
        .unwrap();
    let mut names = named.iter().flat_map(|named| &named.frames);
    let puts = names.find(|frame| &*frame.function.name == "puts@plt");
    assert_eq!(puts.map(|frame| frame.function.source), Some(Source::Plt));
}

#[test]
fn removed_functions_name_no_code() {
    let scratch = Scratch::new();
    // Longer than a page: at address 0 they cover the addresses where the live code lies, and there
    // are more of them than of live ones.
    let dead: String = (0..9)
        .map(|i| format!("int dead{i}(int x) {{ __asm__(\".skip 65536, 0x90\"); return x; }}\n"))
        .collect();
    let alive = "__attribute__((noinline, noclone)) int alive(int x) { __asm__(\"nop\"); return x + 1; }\n\
                 int main(int n, char **v) { (void)v; return alive(n); }\n";
    scratch.write("main.c", &(dead + alive));
    scratch.run("gcc -O1 -g -ffunction-sections -Wl,--gc-sections main.c -o program");
    let text = name_text(&scratch.path("program"), 1);
    let names = text.iter().flat_map(|(_, named)| &named.frames);
    let mut names: Vec<&str> = names.map(|frame| &*frame.function.name).collect();
    names.sort_unstable();
    names.dedup();
    assert!(
        names.contains(&"alive") && names.contains(&"main"),
        "{names:?}"
    );
    assert!(
        !names.iter().any(|name| name.starts_with("dead")),
        "{names:?}"
    );
}
