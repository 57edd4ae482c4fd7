//! Any bytes as folded stacks: an error, or a valid profile that comes back from our own file.

#![no_main]

use hotproof_formats::import::{self, Format, Limits};
use hotproof_formats::native;
use libfuzzer_sys::fuzz_target;

/// Small, so that the fuzzer finds what takes too much memory.
const LIMITS: Limits = Limits {
    input_bytes: 1 << 16,
    memory_bytes: 1 << 22,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(imported) = import::read_as(Format::Folded, bytes, LIMITS) else {
        return;
    };
    let profile = imported.profile;
    profile
        .validate()
        .expect("a profile that was read is valid");
    let mut file = Vec::new();
    native::write(&profile, &mut file).expect("a profile that was read can be written");
    assert_eq!(
        native::read(&file[..]).expect("what was written can be read"),
        profile
    );
});
