//! Whatever is done to a file of a foreign format: its reader hands out a profile that is valid,
//! or an error with a place, in bounded memory, and never panics.

use std::io::Read;

use flate2::read::GzDecoder;
use hotproof_formats::import::{self, Format, ImportError, Limits};
use hotproof_formats::{callgrind, folded, pprof};
use hotproof_profile::*;
use proptest::prelude::*;

use crate::{arbitrary, example};

const PERF_SCRIPT: &str = "\
# arch : x86_64
a prog 2 21574/21575 [001]  4981.329090:    5025125 cpu-clock: \n\t            11fd inner+0x4d (inlined)
\t            11fd leaf+0x4d (/tmp/a prog 2)\n\t           27249 [unknown] (/usr/lib/libc.so.6)
  libc-start.c:58\n\nx 7/7 [000]  4981.400000:    1000000 cycles:u: \n\tffffffff81000010 f+0x10 ([kernel.kallsyms])\n\n";

/// A file of each text format and of pprof, not compressed.
fn files(profile: &Profile) -> Vec<(Format, Vec<u8>)> {
    let mut bytes = Vec::new();
    pprof::write(profile, &mut bytes).unwrap();
    let mut plain = Vec::new();
    GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
    let mut files = vec![
        (Format::Pprof, plain),
        (Format::PerfScript, PERF_SCRIPT.as_bytes().to_vec()),
    ];
    let mut lines = Vec::new();
    if folded::write(profile, &folded::Options::default(), &mut lines).is_ok() {
        files.push((Format::Folded, lines));
    }
    let mut calls = Vec::new();
    if callgrind::write(profile, &mut calls).is_ok() {
        files.push((Format::Callgrind, calls));
    }
    files
}

const LIMITS: Limits = Limits {
    input_bytes: 1 << 20,
    memory_bytes: 8 << 20,
};

fn check(format: Format, bytes: &[u8]) {
    for outcome in [
        import::read_as(format, bytes, LIMITS),
        import::read(bytes, LIMITS),
    ] {
        match outcome {
            Ok(imported) => {
                imported.profile.validate().unwrap();
                pprof::write(&imported.profile, std::io::sink()).unwrap();
                folded::lines(&imported.profile, &folded::Options::default());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn every_prefix_of_a_file_is_read_or_refused() {
    for (format, bytes) in files(&example::profile()) {
        for end in 0..bytes.len() {
            check(format, &bytes[..end]);
        }
    }
}

#[test]
fn every_flipped_bit_is_survived() {
    for (format, bytes) in files(&example::profile()) {
        let mut bytes = bytes;
        for at in 0..bytes.len() {
            for bit in [0, 3, 7] {
                bytes[at] ^= 1 << bit;
                check(format, &bytes);
                bytes[at] ^= 1 << bit;
            }
        }
    }
}

proptest! {
    #[test]
    fn damage_to_any_profile_is_survived(
        profile in arbitrary::profile(),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        for (format, mut bytes) in files(&profile) {
            if bytes.is_empty() {
                continue;
            }
            let place = at.index(bytes.len());
            bytes[place] = byte;
            check(format, &bytes);
            bytes.truncate(cut.index(bytes.len()));
            check(format, &bytes);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for &format in Format::READ {
            check(format, &bytes);
        }
    }

    #[test]
    fn any_lines_are_survived(text in r"([a-z;=+*():#.\[\] 0-9x\n\t-]|fn=|calls=1 |cfn=g\n|events: A B\n|fn=f\n|\n\n){0,60}") {
        for &format in Format::READ {
            check(format, text.as_bytes());
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
    let mut packed = Vec::new();
    encoder.read_to_end(&mut packed).unwrap();
    packed
}

#[test]
fn gzip_is_undone_once_and_within_bounds() {
    let line = b"main;work 3\n";
    let imported = import::read(&gzip(line), LIMITS).unwrap();
    assert_eq!(imported.format, Format::Folded);
    let twice = import::read(&gzip(&gzip(line)), LIMITS).unwrap_err();
    assert!(
        matches!(twice, ImportError::NotRecognised { .. }),
        "{twice}"
    );
    let bomb = gzip(&vec![b'\n'; 2 << 20]);
    assert!(bomb.len() < 64 << 10);
    let error = import::read(&bomb, LIMITS).unwrap_err();
    assert!(matches!(error, ImportError::TooLarge { limit_bytes, .. } if limit_bytes == 1 << 20));
    let packed = gzip(line);
    let cut = import::read(&packed[..packed.len() - 9], LIMITS).unwrap_err();
    assert!(matches!(cut, ImportError::Gzip { .. }), "{cut}");
}

#[test]
fn rows_of_few_bytes_do_not_take_memory_without_bound() {
    let few = Limits {
        memory_bytes: 1 << 16,
        ..LIMITS
    };
    // A text table and samples of two bytes each.
    let mut samples = b"\x32\0".to_vec();
    samples.extend(b"\x12\0".repeat(10_000));
    let lines = "a;b 1\n".repeat(10_000);
    let heads = "a 1 2.0: 5 x: \n\n".repeat(10_000);
    let costs = format!("events: A\nfn=f\n{}", "1 1\n".repeat(10_000));
    for (format, bytes) in [
        (Format::Pprof, &samples[..]),
        (Format::Folded, lines.as_bytes()),
        (Format::PerfScript, heads.as_bytes()),
        (Format::Callgrind, costs.as_bytes()),
    ] {
        let error = import::read_as(format, bytes, few).unwrap_err();
        assert!(
            matches!(error, ImportError::TooLarge { .. }),
            "{format}: {error}"
        );
        assert!(import::read_as(format, bytes, LIMITS).is_ok(), "{format}");
    }
}

#[test]
fn what_no_reader_knows_is_named() {
    for (bytes, text) in [
        (&b""[..], "an empty file"),
        (b"\x7fELF\x02", "a program or library (ELF)"),
        (b"hello\n", "text"),
    ] {
        let error = import::read(bytes, LIMITS).unwrap_err();
        assert!(matches!(error, ImportError::NotRecognised { .. }));
        assert!(error.to_string().contains(text), "{error}");
    }
    let error = import::read(b"PERFILE2\x68\0\0\0", LIMITS).unwrap_err();
    assert_eq!(
        error.to_string(),
        "perf.data is not read here: `hotproof` reads it, and this reader the text of `perf script`"
    );
}
