//! Any bytes as a program: symbol tables, DWARF, stubs, Go's table, unwind information.

#![no_main]

use hotproof_image::{DebugPlaces, HeldFiles, ImageFile};
use hotproof_profile::{AddressKind, Image, ImageKind, Location, Profile};
use hotproof_symbolizer::Symbolizer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = ImageFile::from_bytes("fuzzed", bytes.to_vec()) else {
        return;
    };
    let mut held = HeldFiles::default();
    held.hold_image("fuzzed", &file);
    let mut profile = Profile::default();
    let path = profile.strings.intern("fuzzed");
    let image = profile.images.push(Image {
        path,
        build_id: file.build_id().unwrap_or_default().to_vec(),
        kind: ImageKind::Elf,
    });
    for segment in file.segments().iter().filter(|segment| segment.executable) {
        for step in 0..64 {
            let address = (segment.svma.wrapping_sub(file.base_svma())).wrapping_add(step * 16);
            let row = Location::unresolved(Some(image), address, AddressKind::Ip);
            profile.locations.push(row);
        }
    }
    let mut symbolizer = Symbolizer::with_debug_places(DebugPlaces {
        root: "/nowhere".into(),
        ..DebugPlaces::default()
    });
    symbolizer.hold(held);
    let summary = symbolizer.symbolize(&mut profile);
    profile.validate().expect("rows refer to rows");
    assert!(summary.resolved <= summary.locations);
});
