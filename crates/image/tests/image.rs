//! Images of real programs: built by gcc in a scratch folder, stripped, split and damaged.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use hotproof_image::{Arch, DebugPlaces, DebugSearch, FileKind, ImageError, ImageFile, vdso};
use proptest::prelude::*;

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed: {error}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {told}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("scratch paths are UTF-8")
}

/// A small program with debug information in `folder`.
fn compile(folder: &Path, name: &str, extra: &[&str]) -> PathBuf {
    let source = folder.join("small.c");
    std::fs::write(&source, "int main(int n, char **v) { return n > 3; }\n").unwrap();
    let program = folder.join(name);
    let mut arguments = vec!["-g", "-O1", text(&source), "-o", text(&program)];
    arguments.extend(extra);
    run("gcc", &arguments);
    program
}

/// Splits a program into `NAME` (stripped, with a debuglink) and `NAME.debug`.
fn split(program: &Path) -> PathBuf {
    let debug = program.with_extension("debug");
    run(
        "objcopy",
        &["--only-keep-debug", text(program), text(&debug)],
    );
    run("strip", &[text(program)]);
    let link = format!("--add-gnu-debuglink={}", text(&debug));
    run("objcopy", &[&link, text(program)]);
    debug
}

fn small_elf() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let scratch = tempfile::tempdir().unwrap();
        let program = compile(scratch.path(), "small", &["-gz=zlib"]);
        std::fs::read(program).unwrap()
    })
}

#[test]
fn addresses_of_file_offsets_agree_with_readelf() {
    let scratch = tempfile::tempdir().unwrap();
    let program = compile(scratch.path(), "small", &[]);
    let image = ImageFile::open(&program).unwrap();
    let output = Command::new("readelf")
        .args(["-lW", text(&program)])
        .output();
    let listing = String::from_utf8(output.unwrap().stdout).unwrap();
    let hex = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap();
    let mut seen = 0;
    for line in listing
        .lines()
        .filter(|line| line.trim_start().starts_with("LOAD"))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (offset, svma, size) = (hex(words[1]), hex(words[2]), hex(words[4]));
        if words[6..].contains(&"E") {
            seen += 1;
            assert_eq!(image.svma_of_file_offset(offset), Some(svma));
            let last = offset + size - 1;
            assert_eq!(image.svma_of_file_offset(last), Some(svma + size - 1));
            assert_eq!(
                image.relative_of_file_offset(last),
                Some(svma + size - 1 - image.base_svma())
            );
        }
    }
    assert_eq!(seen, 1, "{listing}");
    assert_eq!(
        image.svma_of_file_offset(0),
        None,
        "the headers are no code"
    );
    assert_eq!(image.svma_of_file_offset(u64::MAX), None);
    assert_eq!(image.kind(), FileKind::Relocatable);
    assert!(image.has_section(".debug_info"));
}

#[test]
fn fixed_program_has_its_linked_base() {
    let scratch = tempfile::tempdir().unwrap();
    let program = compile(
        scratch.path(),
        "fixed",
        &["-no-pie", "-Wl,--build-id=0xab12cd"],
    );
    let image = ImageFile::open(&program).unwrap();
    assert_eq!(image.kind(), FileKind::Fixed);
    assert_eq!(image.build_id(), Some(&[0xab, 0x12, 0xcd][..]));
    assert!(image.base_svma() >= 0x1000, "{:x}", image.base_svma());
    let text = image.section(".text").unwrap().unwrap();
    assert_eq!(text.data.len() as u64, text.size);
    assert_eq!(
        image.section_svma(".text"),
        Some(text.svma..text.svma + text.size)
    );
}

#[test]
fn compressed_section_equals_the_plain_one() {
    let scratch = tempfile::tempdir().unwrap();
    let plain = ImageFile::open(&compile(scratch.path(), "plain", &[])).unwrap();
    let packed = ImageFile::open(&compile(scratch.path(), "packed", &["-gz=zlib"])).unwrap();
    let line = |image: &ImageFile| {
        image
            .section(".debug_line")
            .unwrap()
            .unwrap()
            .data
            .into_owned()
    };
    assert_eq!(line(&plain), line(&packed));
    assert_eq!(plain.section(".no_such").unwrap(), None);
}

#[test]
fn compressed_section_that_claims_too_much_is_refused() {
    let mut bytes = small_elf().to_vec();
    let image = ImageFile::from_bytes("small", bytes.clone()).unwrap();
    assert!(image.section(".debug_str").unwrap().is_some());
    // Elf64_Chdr: type 1 (zlib), reserved, then the size; every such header is made to lie.
    let header = [1u8, 0, 0, 0, 0, 0, 0, 0];
    let places: Vec<usize> = (0..bytes.len() - 24)
        .filter(|&at| bytes[at..at + 8] == header && bytes[at + 24] == 0x78)
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + 8..at + 16].copy_from_slice(&(1u64 << 40).to_le_bytes());
    }
    let image = ImageFile::from_bytes("small", bytes).unwrap();
    let error = image.section(".debug_info").unwrap_err().to_string();
    assert!(error.contains("1099511627776 bytes"), "{error}");
}

#[test]
fn what_is_no_image_is_refused_in_plain_words() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("file");
    let told = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        ImageFile::open(&path).unwrap_err().to_string()
    };
    assert!(told(b"").contains("nothing (it is empty)"));
    assert!(told(b"#!/bin/sh\n").contains("begins with 23 21 2f 62, expected an ELF file"));
    assert!(told(b"\x7fELF\x01\x01").contains("(6 bytes) is cut or damaged"));
    assert!(told(b"\x7fELF\x02\x02").contains("a big-endian ELF file"));
    assert!(told(b"\x7fELF").contains("cut in its first bytes"));
    assert!(told(&small_elf()[..100]).contains("(100 bytes) is cut or damaged"));
    let folder = ImageFile::open(scratch.path()).unwrap_err();
    assert!(matches!(
        folder,
        ImageError::NotAFile {
            found: "a directory",
            ..
        }
    ));
    let missing = ImageFile::open(&scratch.path().join("missing")).unwrap_err();
    assert!(missing.to_string().contains("missing"), "{missing}");
    assert!(matches!(missing, ImageError::Io { .. }));
}

#[test]
fn debug_file_is_found_by_link_and_checked_by_checksum() {
    let scratch = tempfile::tempdir().unwrap();
    let program = compile(scratch.path(), "linked", &["-Wl,--build-id=none"]);
    let debug = split(&program);
    let places = DebugPlaces::default();
    let image = ImageFile::open(&program).unwrap();
    assert!(!image.has_section(".debug_info"));
    let DebugSearch::Found(found) = places.find(&image) else {
        panic!("beside the program");
    };
    assert_eq!(found.path(), debug);

    let hidden = scratch.path().join(".debug");
    std::fs::create_dir(&hidden).unwrap();
    let moved = hidden.join("linked.debug");
    std::fs::rename(&debug, &moved).unwrap();
    let DebugSearch::Found(found) = places.find(&image) else {
        panic!("in .debug");
    };
    assert_eq!(found.path(), moved);

    let mut bytes = std::fs::read(&moved).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&moved, bytes).unwrap();
    let DebugSearch::Refused { path, reason } = places.find(&image) else {
        panic!("the checksum does not fit");
    };
    assert_eq!(path, moved);
    assert!(reason.contains("checksum"), "{reason}");

    std::fs::remove_file(&moved).unwrap();
    let DebugSearch::NotFound { tried } = places.find(&image) else {
        panic!("there is none left");
    };
    assert!(tried.contains(&moved), "{tried:?}");
}

#[test]
fn debug_file_is_found_by_build_id_below_a_root() {
    let scratch = tempfile::tempdir().unwrap();
    let program = compile(scratch.path(), "named", &["-Wl,--build-id=0x0a0b0c"]);
    let debug = split(&program);
    let image = ImageFile::open(&program).unwrap();
    let places = DebugPlaces {
        root: scratch.path().join("root"),
        ..DebugPlaces::default()
    };
    let folder = places.root.join("usr/lib/debug/.build-id/0a");
    std::fs::create_dir_all(&folder).unwrap();
    let expected = folder.join("0b0c.debug");
    std::fs::rename(&debug, &expected).unwrap();
    let DebugSearch::Found(found) = places.find(&image) else {
        panic!("by build-id");
    };
    assert_eq!(found.path(), expected);

    let other = compile(scratch.path(), "other", &["-Wl,--build-id=0x0a0b0d"]);
    std::fs::rename(other, &expected).unwrap();
    let DebugSearch::Refused { reason, .. } = places.find(&image) else {
        panic!("it is another build's");
    };
    assert_eq!(reason, "its build-id is 0a0b0d, expected 0a0b0c");
}

#[test]
fn own_vdso_is_an_image_with_code() {
    let Some(image) = vdso() else {
        // Written past the test harness, which would keep it to itself.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: this kernel maps no vdso\n",
        );
        return;
    };
    assert_eq!(image.path(), Path::new("[vdso]"));
    assert!(image.segments().iter().any(|segment| segment.executable));
    assert!(image.section(".dynsym").unwrap().is_some());
}

#[test]
fn an_image_can_be_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<ImageFile>();
    let image = ImageFile::from_bytes("small", small_elf().to_vec()).unwrap();
    let expected = match std::env::consts::ARCH {
        "x86_64" => Arch::X86_64,
        "aarch64" => Arch::Aarch64,
        other => panic!("no expectation for {other}"),
    };
    assert_eq!(image.arch(), expected);
}

/// Asks everything; must return, whatever the bytes are.
fn exercise(bytes: Vec<u8>) {
    let Ok(image) = ImageFile::from_bytes("damaged", bytes) else {
        return;
    };
    let _ = (
        image.build_id(),
        image.base_svma(),
        image.arch(),
        image.kind(),
    );
    for offset in [0, 0x40, 0x1000, u64::MAX] {
        let _ = image.svma_of_file_offset(offset);
        let _ = image.relative_of_file_offset(offset);
    }
    for name in [
        ".text",
        ".debug_info",
        ".debug_str",
        ".eh_frame",
        ".gnu_debuglink",
    ] {
        let _ = image.section(name);
        let _ = image.section_svma(name);
    }
    let places = DebugPlaces {
        root: PathBuf::from("/nowhere"),
        ..DebugPlaces::default()
    };
    let _ = places.find(&image);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A file cut anywhere gives an answer or an error, never a panic.
    #[test]
    fn truncated_file_never_panics(cut in 0.0f64..1.0) {
        let whole = small_elf();
        exercise(whole[..(whole.len() as f64 * cut) as usize].to_vec());
    }

    /// Nor does one with damaged bytes, in the headers above all.
    #[test]
    fn damaged_file_never_panics(
        flips in prop::collection::vec((0.0f64..1.0, 0u8..8, any::<bool>()), 1..20),
    ) {
        let mut bytes = small_elf().to_vec();
        let length = bytes.len() as f64;
        for (place, bit, in_header) in flips {
            let reach = if in_header { 1024.0 } else { length };
            // Section headers lie at the end of the file, program headers at its start.
            let at = if in_header && bit % 2 == 0 { length - 1.0 - place * 2000.0 } else { place * reach };
            let at = (at as usize).min(bytes.len() - 1);
            bytes[at] ^= 1 << bit;
        }
        exercise(bytes);
    }
}
