//! Any bytes: the reader of perf's recordings says what they are, or hands out a valid profile.

#![no_main]

use hotproof_profile::{ImageId, Profile};
use hotproof_profiler::replay::{self, Options, Recording};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Small, so that the fuzzer finds what takes too much memory.
    let options = Options {
        most_inflated_bytes: 1 << 20,
        ..Options::default()
    };
    // Of names alone, every second address of which something is known.
    let mut alike = |_: &Profile, _: ImageId, at: u64| (at % 2 == 0).then_some(at & !0xff);
    let recording = Recording::Bytes(bytes);
    for imported in [
        replay::read(bytes, &options),
        replay::read_names(recording, &options, &mut alike),
    ]
    .into_iter()
    .flatten()
    {
        imported
            .profile
            .validate()
            .expect("a profile that was read is valid");
    }
});
