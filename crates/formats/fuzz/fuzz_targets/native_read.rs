//! Any bytes: the reader says what they are, or hands out a profile that is valid and that every
//! writer takes; a profile that was read comes back as it was.

#![no_main]

use hotproof_formats::{folded, native, pprof};
use libfuzzer_sys::fuzz_target;

/// Small, so that the fuzzer finds what takes too much memory.
const LIMITS: native::Limits = native::Limits {
    chunk_bytes: 1 << 16,
    total_bytes: 1 << 20,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(recovered) = native::read_within(bytes, LIMITS) else {
        return;
    };
    let profile = recovered.profile;
    profile
        .validate()
        .expect("a profile that was read is valid");
    let mut again = Vec::new();
    native::write(&profile, &mut again).expect("a profile that was read can be written");
    let read = native::read(&again[..]).expect("what was written can be read");
    assert_eq!(read, profile);
    pprof::write(&profile, std::io::sink()).expect("a profile that was read can be exported");
    let _ = folded::lines(&profile, &folded::Options::default());
});
