//! Every function of an unchanged crate is found in another build of it: in another directory,
//! with a closure and an impl block inserted before it, under another version, with the other
//! mangling, with fat LTO, with less debug information.
//!
//! The truth is the declared place: the sources are the same, or have lines inserted at one known
//! place, so that file and line say which function is which.

#![allow(clippy::print_stdout, reason = "a test shows what it measured")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hotproof_diff::changes::{Closures, FunctionFacts, FunctionGroups, Rung, match_groups};
use hotproof_symbolizer::Symbolizer;

use crate::run::{SPIN, alone, compile, finish, hotproof, perf_opens, skip};

/// One way to build the program.
struct Variant {
    name: &'static str,
    folder: &'static str,
    options: &'static [&'static str],
    inserts: bool,
}

const fn variant(name: &'static str, options: &'static [&'static str]) -> Variant {
    Variant {
        name,
        folder: "one",
        options,
        inserts: false,
    }
}

const VARIANTS: &[Variant] = &[
    variant("the same again", &[]),
    Variant {
        folder: "two/longer folder",
        ..variant("another directory", &[])
    },
    Variant {
        inserts: true,
        ..variant("an inserted closure and impl", &[])
    },
    variant("a version bump", &["-Cmetadata=0.1.1"]),
    variant("the other mangling", &["-Csymbol-mangling-version=v0"]),
    variant("fat LTO", &["-Clto=fat", "-Cembed-bitcode=yes"]),
    variant("less debug information", &["-Cdebuginfo=1"]),
    Variant {
        folder: "three",
        inserts: true,
        ..variant(
            "all at once",
            &["-Cmetadata=0.2.0", "-Csymbol-mangling-version=v0"],
        )
    },
];

const CLOSURE: &str = "values.iter_mut().for_each(|value| *value = black_box(*value) + 1);\n    ";
const IMPL: &str = "\nimpl Square {\n    #[inline(never)]\n    #[allow(dead_code)]\n    fn unused(&self) -> f64 {\n        self.0 + 1.0\n    }\n}\n\nimpl Clone for Square {\n    fn clone(&self) -> Self {\n        Square(self.0)\n    }\n}\n";

/// The source, with the mark on the line that insertions stand before.
fn source(inserts: bool) -> String {
    let text = include_str!("programs/matched.rs");
    if !inserts {
        return text.to_owned();
    }
    let text = text.replace("/* INSERT A CLOSURE */\n    ", CLOSURE);
    let mark = "\nstruct Square(f64);";
    assert!(text.contains(mark) && text.contains(CLOSURE));
    text.replace(mark, &format!("{IMPL}{mark}"))
}

/// The folder of the published crate that the program uses, where cargo unpacked it.
fn strsim() -> Option<PathBuf> {
    // Packages for other systems alone are not on this machine.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline", "--locked"])
        .args(["--filter-platform", &platform])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()?;
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let packages = value["packages"].as_array()?;
    let package = packages
        .iter()
        .find(|package| package["name"] == "strsim")?;
    Some(
        Path::new(package["manifest_path"].as_str()?)
            .parent()?
            .to_owned(),
    )
}

fn rustc(folder: &Path, arguments: &[&str]) {
    let output = Command::new("rustc")
        .current_dir(folder)
        .args([
            "--edition=2021",
            "-Copt-level=2",
            "-Cdebuginfo=2",
            "--cap-lints=allow",
        ])
        .args(arguments)
        .output()
        .expect("rustc runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Builds the program and its dependency; the path of the program.
fn build(scratch: &Path, variant: &Variant, strsim: &Path) -> PathBuf {
    let folder = scratch.join(variant.name).join(variant.folder);
    let published = folder.join("registry/src/index-0123456789abcdef/strsim-0.11.1/src");
    fs::create_dir_all(&published).unwrap();
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::copy(strsim.join("src/lib.rs"), published.join("lib.rs")).unwrap();
    fs::write(folder.join("src/main.rs"), source(variant.inserts)).unwrap();
    let lib = published.join("lib.rs").to_string_lossy().into_owned();
    let mut library = vec!["--crate-type=rlib", "--crate-name=strsim", &*lib];
    let is_lto = |option: &&&str| !option.starts_with("-Clto");
    library.extend(variant.options.iter().filter(is_lto));
    rustc(&folder, &library);
    let main = folder.join("src/main.rs").to_string_lossy().into_owned();
    let mut program = vec![
        "--crate-name=matched",
        &*main,
        "--extern=strsim=libstrsim.rlib",
    ];
    program.extend(variant.options);
    rustc(&folder, &program);
    folder.join("matched")
}

/// Start and end of the code, relative to the first loadable address, of a 64-bit ELF file.
fn code(file: &[u8]) -> (u64, u64) {
    let number = |at: usize, bytes: usize| {
        let mut value = [0; 8];
        value[..bytes].copy_from_slice(&file[at..at + bytes]);
        u64::from_le_bytes(value)
    };
    let (programs, sections) = (number(32, 8) as usize, number(40, 8) as usize);
    let segments = (0..number(56, 2) as usize).map(|index| programs + index * 56);
    let base = segments
        .filter(|&at| number(at, 4) == 1)
        .map(|at| number(at + 16, 8))
        .min()
        .expect("a loadable segment");
    // Program code: allocated, executable; the largest is `.text`.
    let all = (0..number(60, 2) as usize).map(|index| sections + index * 64);
    all.filter(|&at| number(at + 8, 8) & 4 != 0)
        .map(|at| (number(at + 16, 8) - base, number(at + 32, 8)))
        .max_by_key(|&(_, size)| size)
        .map(|(start, size)| (start, start + size))
        .expect("a section with code")
}

/// What debug information says of a function.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Function {
    name: String,
    linkage_name: String,
    file: String,
    line: Option<u32>,
    image: String,
}

/// All functions of the program's own crate and of the published one, by what debug information
/// says at each address of the code.
fn functions(program: &Path) -> BTreeSet<Function> {
    let (start, end) = code(&fs::read(program).unwrap());
    let addresses: Vec<u64> = (start..end).step_by(4).collect();
    let named = Symbolizer::new()
        .symbolize_addresses(program, &addresses)
        .unwrap();
    let mut found = BTreeSet::new();
    for frame in named.iter().flat_map(|address| &address.frames) {
        let file = frame.function.file.as_deref().unwrap_or_default();
        if file.ends_with("src/main.rs") || file.contains("/strsim-") {
            found.insert(Function {
                name: frame.function.name.to_string(),
                linkage_name: frame.function.linkage_name.to_string(),
                file: file.to_owned(),
                line: frame.function.line,
                image: program.to_string_lossy().into_owned(),
            });
        }
    }
    found
}

fn groups(functions: &BTreeSet<Function>) -> FunctionGroups<'_> {
    let facts = functions.iter().map(|function| FunctionFacts {
        name: &function.name,
        linkage_name: &function.linkage_name,
        file: Some(&function.file),
        line: function.line,
        image: Some(&function.image),
    });
    FunctionGroups::of(&facts.collect::<Vec<_>>(), Closures::Merged)
}

/// The true places of a group's functions: file names with lines as they are without insertions,
/// and the bare name where a macro makes several at one line.
fn truth(inserts: bool, groups: &FunctionGroups<'_>) -> BTreeMap<usize, (String, u32, String)> {
    let text = source(inserts);
    let line_of = |mark: &str| {
        let at = text.find(mark).expect("the mark is in the source");
        text[..at].lines().count() as u32
    };
    let added_impl = IMPL.lines().count() as u32;
    let struct_line = line_of("\nstruct Square");
    let mut places = BTreeMap::new();
    for (index, group) in groups.groups.iter().enumerate() {
        let Some(mut line) = group.line else {
            continue;
        };
        let is_main = group.place.ends_with("main.rs");
        if inserts && is_main && line > struct_line {
            line -= added_impl;
        } else if inserts && is_main && line > struct_line - added_impl {
            // Inserted, so that nothing at base is it.
            continue;
        }
        let file = group
            .place
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let bare = match group.name.rsplit("::").next() {
            Some(name) if name.starts_with("made_") => name.to_owned(),
            _ => String::new(),
        };
        places.insert(index, (file, line, bare));
    }
    places
}

#[test]
fn every_function_of_an_unchanged_crate_is_found_in_another_build() {
    let _machine = alone();
    let Some(strsim) = strsim() else {
        return skip("matching", "cargo has not unpacked strsim on this machine");
    };
    let scratch = tempfile::tempdir().unwrap();
    let base_variant = variant("base", &[]);
    let base = functions(&build(scratch.path(), &base_variant, &strsim));
    let base = groups(&base);
    let base_truth = truth(false, &base);
    assert!(base_truth.len() >= 25, "{base_truth:?}");
    let mut rungs: BTreeMap<Rung, usize> = BTreeMap::new();
    for variant in VARIANTS {
        let head = functions(&build(scratch.path(), variant, &strsim));
        let head = groups(&head);
        let head_truth = truth(variant.inserts, &head);
        let at_head: BTreeMap<_, usize> =
            head_truth.iter().map(|(&at, place)| (place, at)).collect();
        let matches = match_groups(&base, &head, None);
        let found: BTreeMap<usize, usize> = matches.iter().map(|m| (m.base, m.head)).collect();
        for found in &matches {
            *rungs.entry(found.rung).or_default() += 1;
        }
        let mut expected = 0;
        for (at, place) in &base_truth {
            let name = &base.groups[*at].name;
            let true_partner = at_head.get(place).copied();
            expected += usize::from(true_partner.is_some());
            assert_eq!(
                found.get(at).copied(),
                true_partner,
                "{}: {name} at {place:?}: {:#?}",
                variant.name,
                head.groups
            );
        }
        println!(
            "{}: {expected} of {expected} functions matched",
            variant.name
        );
        // LTO and the optimizer may leave nothing of a function, but never of most.
        assert!(
            expected * 10 >= base_truth.len() * 8,
            "{}: {expected}",
            variant.name
        );
    }
    println!("by rung: {rungs:?}");
}

/// Of a build without `-g` nobody knows a file, and no function of C was found in the build with it.
#[test]
fn a_build_without_debug_information_is_joined_by_name() {
    let _machine = alone();
    if !perf_opens("a_build_without_debug_information_is_joined_by_name") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    compile(here, "with", SPIN);
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-o", "without", "with.c"]);
    finish(compiler.current_dir(here)).ends_with(0);
    for name in ["with", "without"] {
        let (file, program) = (format!("{name}.hotproof"), format!("./{name}"));
        hotproof(here, &["record", "-o", &file, "--", &program, "300"]).ends_with(0);
    }
    // With all rows, however little they change.
    for files in [["without", "with"], ["with", "without"]] {
        let [base, head] = files.map(|name| format!("{name}.hotproof"));
        let ran = hotproof(
            here,
            &["diff", &base, &head, "--min-percent", "0", "--json"],
        )
        .ends_with(0);
        let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let functions = json["functions"].as_array().unwrap();
        let hot = functions.iter().find(|row| row["name"] == "hot");
        let hot = hot.unwrap_or_else(|| panic!("{json}"));
        assert_eq!(hot["presence"], "both", "{hot}");
        assert!(hot["place"].as_str().unwrap().ends_with("with.c"), "{hot}");
        assert!(hot["line"].as_u64().is_some(), "{hot}");
        let said = json["warnings"].to_string();
        assert!(said.contains("joined by name alone"), "{said}");
    }
    // Pictures and folded stacks have no place for it.
    let both = ["without.hotproof", "with.hotproof"];
    hotproof(here, &[&["diff", "-f", "svg"], &both[..]].concat())
        .ends_with(0)
        .says(&["joined by name alone"]);
    let own = hotproof(here, &["diff", "with.hotproof", "with.hotproof", "--json"]);
    assert!(!own.stdout.contains("by name alone"), "{}", own.stdout);
}
