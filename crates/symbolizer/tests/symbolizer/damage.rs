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
    let bad = fixture.scratch.path("bad");
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
