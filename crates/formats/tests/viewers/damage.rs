//! No bytes make a reader panic or take memory without bound.

use std::sync::LazyLock;

use hotproof_formats::import::{self, Format, Limits};
use proptest::prelude::*;

use crate::{bytes_of, example};

const SMALL: Limits = Limits {
    input_bytes: 1 << 20,
    memory_bytes: 1 << 22,
};

/// Whole documents of every format that is read, with one of everything.
static SEEDS: LazyLock<Vec<(Format, Vec<u8>)>> = LazyLock::new(|| {
    let profile = example::profile();
    let own = |name: &str| include_bytes_of(name).to_vec();
    vec![
        (Format::Speedscope, bytes_of("speedscope", &profile, 0)),
        (Format::Speedscope, own("evented")),
        (Format::Firefox, bytes_of("firefox", &profile, 0)),
        (Format::Firefox, own("firefox49")),
        (Format::ChromeTrace, bytes_of("chrome", &profile, 1)),
        (Format::ChromeTrace, own("slices")),
        (Format::ChromeTrace, own("frames")),
        (Format::CpuProfile, own("cpuprofile")),
        (Format::Json, bytes_of("json", &profile, 0)),
    ]
});

pub(crate) fn include_bytes_of(name: &str) -> &'static [u8] {
    match name {
        "evented" => include_bytes!("inputs/evented.speedscope.json"),
        "firefox49" => include_bytes!("inputs/firefox-49.json"),
        "slices" => include_bytes!("inputs/slices.trace.json"),
        "frames" => include_bytes!("inputs/stack-frames.trace.json"),
        "cpuprofile" => include_bytes!("inputs/small.cpuprofile"),
        other => panic!("there is no input {other}"),
    }
}

#[test]
fn seeds_are_recognised_and_read() {
    for (format, bytes) in SEEDS.iter() {
        assert_eq!(import::recognise(bytes), Some(*format));
        let imported = import::read(bytes, SMALL).unwrap();
        assert!(!imported.profile.samples.is_empty(), "{format}");
    }
}

#[test]
fn a_truncated_document_is_recognised_and_refused_with_its_offset() {
    for (format, bytes) in SEEDS.iter() {
        let cut = &bytes[..bytes.len() * 3 / 4];
        // A list of events may be cut, after a whole event.
        if bytes.starts_with(b"[") {
            continue;
        }
        let error = import::read_as(*format, cut, SMALL)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("byte {}", cut.len())) || error.contains("byte "),
            "{error}"
        );
    }
}

#[test]
fn deep_nesting_and_long_chains_are_survived() {
    for open in ["[", "{\"a\":", "{\"meta\":[", "[[{\"ph\":"] {
        let bytes = open.repeat(100_000).into_bytes();
        assert!(import::read(&bytes, SMALL).is_err());
        for (format, _) in SEEDS.iter() {
            assert!(import::read_as(*format, &bytes, SMALL).is_err());
        }
    }
    // A chain of calls as long as the file allows, each node the child of the one before it.
    let node = |id: u32| {
        let frame = r#"{"functionName":"f","scriptId":"0"}"#;
        format!(
            r#"{{"id":{id},"callFrame":{frame},"children":[{}]}}"#,
            id + 1
        )
    };
    let mut nodes: Vec<String> = (1..9000).map(node).collect();
    nodes.push(r#"{"id":9000,"callFrame":{"functionName":"f"}}"#.to_owned());
    let text = format!(
        r#"{{"nodes":[{}],"samples":[9000],"timeDeltas":[1],"startTime":0,"endTime":9}}"#,
        nodes.join(",")
    );
    let imported = import::read(text.as_bytes(), SMALL).unwrap();
    assert_eq!(
        imported
            .profile
            .path(imported.profile.samples.stack[0])
            .count(),
        9000
    );
}

#[test]
fn rows_beyond_the_limit_are_refused() {
    let tight = Limits {
        input_bytes: 1 << 20,
        memory_bytes: 64,
    };
    for (format, bytes) in SEEDS.iter() {
        let error = import::read_as(*format, bytes, tight)
            .unwrap_err()
            .to_string();
        assert!(error.contains("64 bytes of memory"), "{format}: {error}");
    }
}

/// Replaces one number of the text by another.
fn with_number(bytes: &[u8], pick: usize, number: &str) -> Vec<u8> {
    let is_start = |at: &usize| {
        let before = at.checked_sub(1).map(|at| bytes[at]);
        bytes[*at].is_ascii_digit() && before.is_some_and(|byte| b":[,".contains(&byte))
    };
    let starts: Vec<usize> = (0..bytes.len()).filter(is_start).collect();
    let start = starts[pick % starts.len()];
    let length = bytes[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    [&bytes[..start], number.as_bytes(), &bytes[start + length..]].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn truncation_never_panics(seed in 0usize..8, at in any::<prop::sample::Index>()) {
        let (format, bytes) = &SEEDS[seed];
        let cut = &bytes[..at.index(bytes.len())];
        let _ = import::read(cut, SMALL);
        let _ = import::read_as(*format, cut, SMALL);
    }

    #[test]
    fn flipped_bits_never_panic(
        seed in 0usize..8,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6),
    ) {
        let (format, bytes) = &SEEDS[seed];
        let mut bytes = bytes.clone();
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        let _ = import::read_as(*format, &bytes, SMALL);
    }

    #[test]
    fn odd_numbers_never_panic(
        seed in 0usize..8,
        picks in prop::collection::vec((any::<usize>(), 0usize..10), 1..4),
    ) {
        const NUMBERS: [&str; 10] = [
            "0", "1", "-1", "7", "4294967295", "9223372036854775807", "-9223372036854775808",
            "18446744073709551616", "1e300", "0.5",
        ];
        let (format, bytes) = &SEEDS[seed];
        let mut bytes = bytes.clone();
        for (pick, number) in picks {
            bytes = with_number(&bytes, pick, NUMBERS[number]);
        }
        if let Ok(imported) = import::read_as(*format, &bytes, SMALL) {
            imported.profile.validate().unwrap();
        }
    }
}
