//! Any bytes as one of the JSON formats, which the first byte picks: an error, or a valid profile
//! that every writer of a viewer's format takes, and that is the same after our own JSON.

#![no_main]

use hotproof_formats::folded::Options;
use hotproof_formats::import::{self, Format, Limits};
use hotproof_formats::{chrome, firefox, json, parquet, speedscope};
use libfuzzer_sys::fuzz_target;

/// Small, so that the fuzzer finds what takes too much memory.
const LIMITS: Limits = Limits {
    input_bytes: 1 << 16,
    memory_bytes: 1 << 22,
};

const FORMATS: [Format; 5] = [
    Format::Firefox,
    Format::Speedscope,
    Format::ChromeTrace,
    Format::CpuProfile,
    Format::Json,
];

fuzz_target!(|bytes: &[u8]| {
    let Some((&pick, bytes)) = bytes.split_first() else {
        return;
    };
    let format = FORMATS[usize::from(pick) % FORMATS.len()];
    let Ok(imported) = import::read_as(format, bytes, LIMITS) else {
        return;
    };
    let profile = imported.profile;
    profile
        .validate()
        .expect("a profile that was read is valid");
    let options = Options::default();
    // A viewer may refuse a weight; what it takes is written whole.
    let _ = speedscope::write(&profile, &options, std::io::sink());
    let _ = chrome::write(&profile, &options, std::io::sink());
    let plain = firefox::Compression::Plain;
    let _ = firefox::write(&profile, &options, plain, std::io::sink());
    parquet::write(&profile, &options, std::io::sink()).expect("rows become columns");
    let mut first = Vec::new();
    json::write(&profile, &options, &mut first).expect("a valid profile is JSON");
    let again = import::read_as(Format::Json, &first, Limits::default());
    let mut second = Vec::new();
    let again = again.expect("what we wrote can be read").profile;
    json::write(&again, &options, &mut second).expect("a valid profile is JSON");
    assert!(first == second);
});
