//! Code that no path leads to: made at run time, in memory files, deleted, replaced, in other
//! namespaces. Each program spends nearly all its time in one function, which has to be named.

#![allow(clippy::print_stdout)]
#![cfg(target_arch = "x86_64")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hotproof_image::HeldFiles;
use hotproof_profile::{Inline, Profile, Source};
use hotproof_profiler::replay::{self, Options};
use hotproof_profiler::{Ladder, Recorder, Request, Stdin, Stdout, probe};
use hotproof_symbolizer::{Problem, Summary, Symbolizer};

fn skipped(reason: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}

fn sampling_works() -> bool {
    let Ladder::Refused(refusal) = probe() else {
        return true;
    };
    let required = std::env::var_os("HOTPROOF_REQUIRE_PERF").is_some_and(|v| v == "1");
    assert!(!required, "HOTPROOF_REQUIRE_PERF=1, but {refusal}");
    skipped(&format!("perf events not permitted: {refusal}"));
    false
}

/// Whether a tool is there; says so when it is not.
fn has(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok();
    if !there {
        skipped(&format!("{tool} is not installed"));
    }
    there
}

/// A folder outside of `/tmp`, which one test covers with an empty one.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/var/tmp").unwrap()
}

fn build(folder: &Path, compiler: &str, flags: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/made.c");
    let program = folder.join("made");
    let output = Command::new(compiler)
        .args(["-O1", "-w"])
        .args(flags.split_whitespace())
        .arg("-o")
        .args([&program, &source])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler} {flags}: {told}");
    program
}

/// Records words of a command line, without names, with what the recorder holds.
fn record(words: &[&str]) -> (Profile, HeldFiles) {
    let mut request = Request::new(words);
    request.stdin = Stdin::Null;
    request.stdout = Stdout::Null;
    request.timeout = Some(Duration::from_secs(120));
    let (mut recorder, mut profile) = (Recorder::new(), Profile::default());
    let recording = recorder.record(&request, &mut profile, &mut |_| ());
    let recording = recording.unwrap();
    assert_eq!(recording.exit, Some(hotproof_profile::Exit::Code(0)));
    (profile, recorder.take_held_files())
}

/// Names it and returns the samples whose leaf has `name` by `source`, of how many.
fn name(profile: &mut Profile, held: HeldFiles, name: &str, source: Source) -> (usize, usize) {
    let summary = name_all(profile, held);
    for process in profile.processes.rows() {
        let _ = std::fs::remove_file(format!("/tmp/perf-{}.map", process.pid));
    }
    let found = leaves(profile, name, source);
    assert!(found.1 > 0, "{summary:?}");
    found
}

fn name_all(profile: &mut Profile, held: HeldFiles) -> Summary {
    let mut symbolizer = Symbolizer::new();
    symbolizer.hold(held);
    let summary = symbolizer.symbolize(profile);
    profile.validate().unwrap();
    summary
}

fn leaves(profile: &Profile, name: &str, source: Source) -> (usize, usize) {
    let count = profile.samples.len();
    let is_it = |&i: &usize| {
        let leaf = profile.path(profile.samples.stack[i]).next();
        let code = leaf.and_then(|leaf| profile.code_at(leaf, Inline::Expand).next());
        let Some(hotproof_profile::Code::Function(id)) = code else {
            return false;
        };
        let function = &profile.functions[id];
        profile.strings[function.name].contains(name) && function.source == source
    };
    ((0..count).filter(is_it).count(), count)
}

/// Most of the time has to be there; the rest is the program's start and the kernel.
fn assert_most((found, count): (usize, usize), what: &str) {
    assert!(count >= 20, "{what}: only {count} samples");
    assert!(found * 10 >= count * 7, "{what}: {found} of {count}");
}

fn check(words: &[&str], function: &str, source: Source) -> Profile {
    let (mut profile, held) = record(words);
    let found = name(&mut profile, held, function, source);
    assert_most(found, &words.join(" "));
    profile
}

#[test]
fn code_of_a_perf_map_is_named_also_when_the_map_is_gone() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let program = build(folder.path(), "gcc", "");
    let program = program.to_str().unwrap();
    for mode in ["map", "unlink"] {
        check(&[program, mode], "made in memory", Source::PerfMap);
    }
    let (mut profile, held) = record(&[program, "silent"]);
    let summary = name_all(&mut profile, held);
    let problems: Vec<_> = summary.problems().map(|(_, problem)| problem).collect();
    assert!(problems.contains(&&Problem::NoFile), "{problems:?}");
}

#[test]
fn code_of_a_jitdump_has_lines() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let program = build(folder.path(), "gcc", "");
    let words = [
        program.to_str().unwrap(),
        "dump",
        folder.path().to_str().unwrap(),
    ];
    let profile = check(&words, "made_with_lines", Source::Jitdump);
    let function = profile.strings.find("made_with_lines").unwrap();
    let is_it = |row: &&hotproof_profile::Frame| profile.functions[row.function].name == function;
    let frame = profile.frames.rows().iter().find(is_it).unwrap();
    assert_eq!(frame.line, Some(7));
    let file = profile.functions[frame.function].file.unwrap();
    assert_eq!(&profile.strings[file], "made.lang");
}

#[test]
fn a_program_in_other_namespaces_is_named() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let program = build(folder.path(), "gcc", "");
    let program = program.to_str().unwrap();
    let unshare = ["unshare", "--mount", "--pid", "--fork", "--mount-proc"];
    if !Command::new("unshare")
        .args(&unshare[1..])
        .arg("true")
        .status()
        .is_ok_and(|s| s.success())
    {
        skipped("mount and pid namespaces need a privilege");
        return;
    }
    let inside = format!("mount -t tmpfs none /tmp && {program} map; true");
    let words = [&unshare[..], &["sh", "-c", &inside]].concat();
    check(&words, "made in memory", Source::PerfMap);
    // A program that exists inside alone.
    let inside =
        format!("mount -t tmpfs none /mnt && cp {program} /mnt/inside && /mnt/inside here; true");
    let words = [&unshare[..], &["sh", "-c", &inside]].concat();
    check(&words, "spin_in_file", Source::SymbolTable);
}

#[test]
fn programs_without_a_path_keep_their_names() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let program = build(folder.path(), "gcc", "");
    let program = program.to_str().unwrap();
    check(&[program, "memfd"], "spin_in_file", Source::SymbolTable);
    check(
        &[program, "deleted", program],
        "spin_in_file",
        Source::SymbolTable,
    );
}

#[test]
fn a_replaced_program_is_named_by_what_ran_and_refused_afterwards() {
    if !sampling_works() {
        return;
    }
    let folder = folder();
    let other = build(folder.path(), "gcc", "-O0");
    let moved = folder.path().join("other");
    std::fs::rename(other, &moved).unwrap();
    let program = build(folder.path(), "gcc", "");
    let words = [
        program.to_str().unwrap(),
        "replaced",
        program.to_str().unwrap(),
        moved.to_str().unwrap(),
    ];
    let (mut profile, held) = record(&words);
    let mut later = profile.clone();
    let found = name(&mut profile, held, "spin_in_file", Source::SymbolTable);
    assert_most(found, "replaced");
    let summary = name_all(&mut later, HeldFiles::default());
    let refused = summary.problems().any(|(image, problem)| {
        image.path.ends_with("/made") && matches!(problem, Problem::OtherBuild { .. })
    });
    assert!(refused, "{summary:?}");
    assert_eq!(leaves(&later, "spin_in_file", Source::SymbolTable).0, 0);
}

#[test]
fn static_and_musl_programs_are_named() {
    if !sampling_works() {
        return;
    }
    for (compiler, flags) in [
        ("gcc", "-static"),
        ("gcc", "-static-pie"),
        ("musl-gcc", ""),
        ("musl-gcc", "-static"),
    ] {
        if has(compiler) {
            let folder = folder();
            let program = build(folder.path(), compiler, flags);
            check(
                &[program.to_str().unwrap(), "here"],
                "spin_in_file",
                Source::SymbolTable,
            );
        }
    }
}

/// A program of 32 bits runs to its end; its code is named, and that nobody saw its callers is told.
#[test]
fn programs_of_32_bits_are_named_without_callers_in_plain_words() {
    if !sampling_works() || !has("as") || !has("ld") {
        return;
    }
    let folder = folder();
    let source = ".globl _start\n_start: mov $400000000, %ecx\n1: dec %ecx\n jnz 1b\n\
        mov $1, %eax\n xor %ebx, %ebx\n int $0x80\n";
    std::fs::write(folder.path().join("small.s"), source).unwrap();
    let make = "as --32 small.s -o small.o && ld -m elf_i386 small.o -o small && ./small";
    let made = Command::new("sh")
        .args(["-c", make])
        .current_dir(folder.path())
        .status();
    if !made.unwrap().success() {
        skipped("this machine makes or runs no programs of 32 bits");
        return;
    }
    let (mut profile, held) = record(&[folder.path().join("small").to_str().unwrap()]);
    let summary = name_all(&mut profile, held);
    let told = summary.problems().any(|(image, problem)| {
        image.path.ends_with("/small") && problem.to_string().contains("32-bit")
    });
    assert!(told, "{summary:?}");
    let (found, count) = leaves(&profile, "_start", Source::SymbolTable);
    assert!(found * 2 > count, "{found} of {count} samples");
}

const FIB: &str = "function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
let s = 0;
for (let i = 0; i < 10; i++) s += fib(30);
console.log(s);
";

#[test]
fn functions_of_node_are_named() {
    if !sampling_works() || !has("node") {
        return;
    }
    let folder = folder();
    std::fs::write(folder.path().join("fib.js"), FIB).unwrap();
    for (flag, source) in [
        ("--perf-basic-prof", Source::PerfMap),
        ("--perf-prof", Source::Jitdump),
    ] {
        // node writes its dump to the folder that it runs in.
        let line = format!("cd {} && exec node {flag} fib.js", folder.path().display());
        let (mut profile, held) = record(&["sh", "-c", &line]);
        let (found, count) = name(&mut profile, held, "fib", source);
        // node's own start takes half of so short a run.
        assert!(found * 4 > count, "{flag}: {found} of {count}");
    }
}

#[test]
fn run_time_code_of_a_recording_of_perf_is_named() {
    if !sampling_works() || !has("perf") {
        return;
    }
    let folder = folder();
    let program = build(folder.path(), "gcc", "");
    let data = folder.path().join("perf.data");
    for (mode, function, source) in [
        ("map", "made in memory", Source::PerfMap),
        ("dump", "made_with_lines", Source::Jitdump),
    ] {
        let status = Command::new("perf")
            .args(["record", "-q", "-e", "cpu-clock", "-F", "499", "-o"])
            .arg(&data)
            .arg("--")
            .arg(&program)
            .args([Path::new(mode), folder.path()])
            .status();
        assert!(status.unwrap().success());
        let file = std::fs::File::open(&data).unwrap();
        let imported = replay::read_file(&file, &Options::default()).unwrap();
        let mut profile = imported.profile;
        let found = name(&mut profile, HeldFiles::default(), function, source);
        assert_most(found, mode);
    }
}
