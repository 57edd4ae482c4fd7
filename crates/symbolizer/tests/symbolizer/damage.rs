//! Damaged programs: no panic reaches the caller, and other images still get their names.

use std::path::PathBuf;
use std::sync::OnceLock;

use hotproof_profile::{AddressKind, Image, ImageKind, Location, Profile};
use hotproof_symbolizer::Symbolizer;
use proptest::prelude::*;

use crate::programs::{C_MAIN, C_OTHER};
use crate::scratch::Scratch;

struct Fixture {
    scratch: Scratch,
    bytes: Vec<u8>,
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let scratch = Scratch::new();
        scratch.write("main.c", C_MAIN);
        scratch.write("other.c", C_OTHER);
        scratch.run("gcc -O2 -g -Wl,--build-id=none main.c other.c -o good");
        let bytes = std::fs::read(scratch.path("good")).unwrap();
        Fixture { scratch, bytes }
    })
}

/// Names a damaged file beside a good one; returns the named locations of the good one.
fn name_beside_good(damaged: &[u8]) -> u64 {
    let fixture = fixture();
    // Tests run at the same time, each with a damaged file of its own.
    let name = format!("bad{:?}", std::thread::current().id());
    let bad = fixture.scratch.path(&name);
    std::fs::write(&bad, damaged).unwrap();
    let mut profile = Profile::default();
    let paths: [PathBuf; 2] = [bad, fixture.scratch.path("good")];
    for path in &paths {
        let path = profile.strings.intern(path.to_str().unwrap());
        let image = profile.images.push(Image {
            path,
            build_id: Vec::new(),
            kind: ImageKind::Elf,
        });
        for address in (0x1040..0x1300).step_by(4) {
            let row = Location::unresolved(Some(image), address, AddressKind::Ip);
            profile.locations.push(row);
        }
    }
    let summary = Symbolizer::new().symbolize(&mut profile);
    profile.validate().unwrap();
    summary.images[1].resolved
}

#[test]
fn damage_is_survived_and_stays_in_its_image() {
    let good = name_beside_good(b"no program");
    assert!(good > 50, "{good}");
    let whole = fixture().bytes.clone();
    // One test, so that the runs share the folder's one damaged file.
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
    let flips = prop::collection::vec((0.0f64..1.0, 0u8..8), 1..30);
    let cut = prop::option::weighted(0.3, 0.0f64..1.0);
    let outcome = runner.run(&(flips, cut), |(flips, cut)| {
        let mut bytes = whole.clone();
        let length = bytes.len() as f64;
        for (place, bit) in flips {
            // The code is a small part of the file: most flips hit symbols and debug information.
            bytes[(place * (length - 1.0)) as usize] ^= 1 << bit;
        }
        if let Some(cut) = cut {
            bytes.truncate((length * cut) as usize);
        }
        prop_assert_eq!(name_beside_good(&bytes), good);
        Ok(())
    });
    outcome.unwrap();
}

/// Sections that a reader of names reads, cut at many places each: the section's header says where
/// its bytes end, so the rest of the file stays whole.
#[test]
fn every_section_may_be_cut_anywhere() {
    let fixture = fixture();
    let good = name_beside_good(b"no program");
    let sections = [
        ".symtab",
        ".strtab",
        ".dynsym",
        ".dynstr",
        ".rela.plt",
        ".plt",
        ".eh_frame",
        ".debug_info",
        ".debug_abbrev",
        ".debug_line",
        ".debug_str",
        ".debug_line_str",
        ".debug_aranges",
        ".debug_rnglists",
    ];
    let mut cut = 0;
    for section in sections {
        let Some((header, size)) = section_header(&fixture.bytes, section) else {
            continue;
        };
        for part in 0..24 {
            let mut bytes = fixture.bytes.clone();
            // Both ends are cut byte by byte, the middle in steps.
            let left = match part {
                0..8 => part,
                8..16 => size * (part - 7) / 9,
                _ => size - (24 - part).min(size),
            };
            // `sh_size` is the fifth field: 4 + 4 + 8 + 8 + 8 bytes stand before it.
            bytes[header + 32..header + 40].copy_from_slice(&left.to_le_bytes());
            assert_eq!(name_beside_good(&bytes), good, "{section} cut to {left}");
            cut += 1;
        }
    }
    assert!(cut > 200, "{cut} cuts");
}

/// Where the header of a section lies in a 64-bit ELF file, and the section's size.
fn section_header(bytes: &[u8], name: &str) -> Option<(usize, u64)> {
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let u16_at = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
    let (table, count, names) = (u64_at(0x28) as usize, u16_at(0x3c), u16_at(0x3e));
    let header = |number: u16| table + usize::from(number) * 64;
    let names_at = u64_at(header(names) + 24) as usize;
    (0..count).map(header).find_map(|header| {
        let at = u32::from_le_bytes(bytes[header..header + 4].try_into().unwrap()) as usize;
        let text = &bytes[names_at + at..];
        let end = text.iter().position(|&byte| byte == 0).unwrap();
        (&text[..end] == name.as_bytes()).then(|| (header, u64_at(header + 32)))
    })
}
