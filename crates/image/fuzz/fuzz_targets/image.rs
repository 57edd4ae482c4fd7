//! Any bytes as an ELF file: whatever its headers claim, all questions have an answer or an error.

#![no_main]

use hotproof_image::{DebugPlaces, ImageFile};
use libfuzzer_sys::fuzz_target;

const SECTIONS: [&str; 7] = [
    ".text",
    ".debug_info",
    ".debug_str",
    ".zdebug_info",
    ".eh_frame",
    ".symtab",
    ".gnu_debugaltlink",
];

fuzz_target!(|bytes: &[u8]| {
    let Ok(image) = ImageFile::from_bytes("fuzzed", bytes.to_vec()) else {
        return;
    };
    for name in SECTIONS {
        let _ = image.section(name);
        let _ = image.section_svma(name);
    }
    let _ = (image.build_id(), image.base_svma(), image.debug_link());
    for segment in image.segments() {
        let _ = image.svma_of_file_offset(segment.file_offset);
        let _ = image.relative_of_file_offset(segment.file_offset);
    }
    let _ = image.mini_debug_info();
    let places = DebugPlaces {
        root: "/nowhere".into(),
        ..DebugPlaces::default()
    };
    let _ = (places.candidates(&image), places.shared_candidates(&image));
});
