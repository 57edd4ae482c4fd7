//! Any bytes as whatever they are taken for: a profile that is read goes out in every format, and
//! what goes out is read again with the same sum of weights.

#![no_main]

use hotproof_formats::import::{self, Format, Limits};
use hotproof_formats::{callgrind, folded, pprof};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits {
    input_bytes: 1 << 18,
    memory_bytes: 1 << 24,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(imported) = import::read(bytes, LIMITS) else {
        return;
    };
    let profile = imported.profile;
    let samples = profile.samples.len() as i64;
    let total = if profile.weights.is_empty() {
        samples
    } else {
        profile.total_weight(0)
    };
    let mut gzip = Vec::new();
    pprof::write(&profile, &mut gzip).expect("a valid profile becomes pprof");
    let again = import::read(&gzip, Limits::default()).expect("what we wrote can be read");
    assert_eq!(
        (again.format, again.profile.total_weight(0)),
        (Format::Pprof, total)
    );
    let mut files = Vec::new();
    let mut lines = Vec::new();
    if folded::write(&profile, &folded::Options::default(), &mut lines).is_ok() && !lines.is_empty()
    {
        files.push((Format::Folded, lines));
    }
    let mut calls = Vec::new();
    if callgrind::write(&profile, &mut calls).is_ok() {
        files.push((Format::Callgrind, calls));
    }
    for (format, file) in files {
        // A text of odd names may look like another format, so the reader is told.
        let again = import::read_as(format, &file, Limits::default());
        let again = again.expect("what we wrote can be read");
        assert_eq!(again.profile.total_weight(0), total);
    }
});
