//! Any bytes as a perf map or a jitdump.

#![no_main]

use std::io::Write;
use std::sync::Arc;

use hotproof_image::HeldFiles;
use hotproof_profile::{AddressKind, Image, ImageKind, Location, Profile};
use hotproof_symbolizer::Symbolizer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u64>, Vec<u8>)| {
    let (addresses, bytes) = input;
    let mut file = tempfile::tempfile().expect("a scratch file");
    file.write_all(&bytes).expect("room for it");
    let mut held = HeldFiles::default();
    held.hold_code("/tmp/perf-1.map", vec![Arc::new(file)]);
    let mut profile = Profile::default();
    let path = profile.strings.intern("/tmp/perf-1.map");
    let image = profile.images.push(Image {
        path,
        build_id: Vec::new(),
        kind: ImageKind::Jit,
    });
    for address in addresses {
        let row = Location::unresolved(Some(image), address, AddressKind::Ip);
        profile.locations.push(row);
    }
    let mut symbolizer = Symbolizer::new();
    symbolizer.hold(held);
    symbolizer.symbolize(&mut profile);
    profile.validate().expect("rows refer to rows");
});
