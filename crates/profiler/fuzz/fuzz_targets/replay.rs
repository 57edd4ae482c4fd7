//! Any bytes: the reader of perf's recordings says what they are, or hands out a valid profile.

#![no_main]

use hotproof_profiler::replay::{self, Options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Small, so that the fuzzer finds what takes too much memory.
    let options = Options {
        most_inflated_bytes: 1 << 20,
        ..Options::default()
    };
    if let Ok(imported) = replay::read(bytes, &options) {
        imported
            .profile
            .validate()
            .expect("a profile that was read is valid");
    }
});
