//! The native file: exact round trips, small files, and damage that is told by name.

use hotproof_formats::native::{self, Limits, ReadError};
use hotproof_formats::{Kind, WriteError};
use hotproof_profile::*;
use proptest::prelude::*;

use crate::{arbitrary, example};

fn bytes_of(profile: &Profile) -> Vec<u8> {
    let mut bytes = Vec::new();
    native::write(profile, &mut bytes).unwrap();
    bytes
}

#[test]
fn the_example_comes_back_as_it_was() {
    let profile = example::profile();
    let bytes = bytes_of(&profile);
    assert_eq!(native::read(&bytes[..]).unwrap(), profile);
    assert_eq!(bytes_of(&profile), bytes, "equal profiles give equal bytes");
}

proptest! {
    #[test]
    fn every_valid_profile_comes_back_as_it_was(profile in arbitrary::profile()) {
        let bytes = bytes_of(&profile);
        prop_assert_eq!(native::read(&bytes[..]).unwrap(), profile);
    }
}

/// What `read` and `read_recovering` say of damaged bytes: never a panic, never another profile.
fn check_damage(bytes: &[u8], whole: &Profile) {
    if let Ok(profile) = native::read(bytes) {
        assert_eq!(&profile, whole, "damage was taken for another profile");
    }
    if let Ok(recovered) = native::read_recovering(bytes) {
        let rows = recovered.profile.samples.len();
        assert!(rows <= whole.samples.len());
        assert_eq!(
            recovered.profile.samples.time_ns,
            whole.samples.time_ns[..rows]
        );
    }
}

#[test]
fn every_truncation_is_an_error_that_says_what_is_missing() {
    let profile = example::profile();
    let bytes = bytes_of(&profile);
    for len in 0..bytes.len() {
        let cut = &bytes[..len];
        match native::read(cut) {
            Err(ReadError::NotAProfile { found: Kind::Empty }) if len == 0 => {}
            Err(ReadError::Cut { bytes, .. }) => assert_eq!(bytes, len as u64),
            other => panic!("{len} bytes of {}: {other:?}", bytes.len()),
        }
        check_damage(cut, &profile);
    }
}

#[test]
fn every_flipped_bit_is_an_error() {
    let profile = example::profile();
    let bytes = bytes_of(&profile);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let result = native::read(&damaged[..]);
        assert!(
            result.is_err(),
            "bit {bit} of {} changes nothing",
            bytes.len() * 8
        );
        check_damage(&damaged, &profile);
    }
}

#[test]
fn each_refusal_names_what_it_saw_and_what_to_do() {
    let whole = bytes_of(&example::profile());
    let mut newer = whole.clone();
    newer[12] = 7;
    let mut damaged = whole.clone();
    damaged[40] ^= 1;
    let mut longer = whole.clone();
    longer.push(0);
    let cases: [(&[u8], &str); 8] = [
        (b"", "an empty file"),
        (
            b"\x1f\x8b\x08\0",
            "gzip data, perhaps a pprof profile; record one with `hotproof record`",
        ),
        (b"PERFILE2....", "a perf.data file"),
        (b"main;work 3\n", "folded stacks"),
        (b"{\"shared\": []}", "JSON"),
        (
            &newer,
            "this file is hotproof profile version 7; this hotproof reads version 1",
        ),
        (
            &damaged,
            "damaged: chunk 0: its checksum does not match; copy it again",
        ),
        (&longer, "bytes follow the end of the profile"),
    ];
    for (bytes, part) in cases {
        let error = native::read(bytes).unwrap_err().to_string();
        assert!(error.contains(part), "{error:?} lacks {part:?}");
    }
    let cut = &whole[..whole.len() - 5];
    let error = native::read(cut).unwrap_err().to_string();
    let expected = format!(
        "cut after {} bytes, chunk 2: the rest of the chunk is missing",
        cut.len()
    );
    assert!(error.contains(&expected), "{error}");
}

#[test]
fn an_invalid_profile_is_not_written() {
    let mut profile = example::profile();
    profile.samples.thread[3] = ThreadId(99);
    let mut bytes = Vec::new();
    let error = native::write(&profile, &mut bytes).unwrap_err();
    assert!(
        matches!(error, WriteError::Invalid(_)) && bytes.is_empty(),
        "{error}"
    );
}

#[test]
fn a_text_that_no_reader_would_take_is_not_written() {
    let mut profile = Profile::default();
    profile.strings.intern(&"x".repeat(9 << 20));
    let error = native::write(&profile, Vec::new()).unwrap_err();
    assert!(
        matches!(
            error,
            WriteError::TextTooLong {
                bytes: 9_437_184,
                ..
            }
        ),
        "{error}"
    );
}

/// Feeds a profile without names to a sink, row by row as a recorder would, ends and names last.
fn record(profile: &Profile, sink: &mut dyn Sink) -> Result<(), SinkError> {
    for text in profile.strings.iter() {
        sink.string(text)?;
    }
    sink.weights(&profile.weights)?;
    for row in profile.processes.rows() {
        sink.process(Process {
            end_ns: None,
            ..row.clone()
        })?;
    }
    for row in profile.threads.rows() {
        sink.thread(Thread {
            name: StringId(0),
            ..row.clone()
        })?;
    }
    for row in profile.images.rows() {
        sink.image(row.clone())?;
    }
    for row in profile.mappings.rows() {
        sink.mapping(row.clone())?;
    }
    for row in profile.locations.rows() {
        sink.location(Location::unresolved(row.image, row.address, row.kind))?;
    }
    for row in profile.stacks.rows() {
        sink.stack(*row)?;
    }
    let samples = &profile.samples;
    for row in 0..samples.len() {
        let weights: Vec<i64> = samples.weights.iter().map(|column| column[row]).collect();
        sink.sample(&Sample {
            thread: samples.thread[row],
            time_ns: samples.time_ns[row],
            stack: samples.stack[row],
            weights: &weights,
            cpu: samples.cpu[row],
            end: samples.end[row],
            labels: samples.labels[row],
        })?;
    }
    for (id, row) in profile.threads.iter() {
        sink.thread_named(id, row.name)?;
        sink.thread_ended(id, 77)?;
    }
    sink.process_ended(ProcessId(0), 88)?;
    sink.meta(profile.meta.clone())
}

#[test]
fn the_writer_is_a_sink_like_the_profile_itself() {
    let example = example::profile();
    let mut expected = Profile::default();
    record(&example, &mut expected).unwrap();
    let mut writer = native::Writer::new(Vec::new()).unwrap();
    record(&example, &mut writer).unwrap();
    let bytes = writer.finish().unwrap();
    assert_eq!(native::read(&bytes[..]).unwrap(), expected);
}

#[test]
fn the_writer_hands_out_the_ids_that_a_reader_will_see() {
    let mut writer = native::Writer::new(Vec::new()).unwrap();
    let [a, b, again] = ["a", "b", "a"].map(|text| writer.string(text).unwrap());
    assert_eq!((a, b, again), (StringId(0), StringId(1), StringId(0)));
    writer.flush().unwrap();
    assert_eq!(writer.string("c").unwrap(), StringId(2));
    let profile = native::read(&writer.finish().unwrap()[..]).unwrap();
    assert_eq!(profile.strings.iter().collect::<Vec<_>>(), ["a", "b", "c"]);
}

/// A recording of `count` samples at about 1 kHz: four threads, 200 stacks, as a program has them
/// that runs for a while.
fn long_recording(count: u32) -> Profile {
    let mut p = Profile {
        weights: vec![
            Weight {
                name: "samples".into(),
                unit: Unit::Count,
            },
            Weight {
                name: "cpu".into(),
                unit: Unit::Nanoseconds,
            },
        ],
        ..Profile::default()
    };
    let name = p.strings.intern("bench");
    let process = p.processes.push(Process {
        pid: 1,
        name,
        start_ns: 0,
        end_ns: None,
    });
    for tid in 1..=4 {
        p.threads.push(Thread {
            process,
            tid,
            name,
            start_ns: 0,
            end_ns: None,
        });
    }
    for row in 0..200 {
        let location = Location::unresolved(None, 0x1000 + 24 * row, AddressKind::Ip);
        let location = p.locations.push(location);
        let parent = (row % 20 != 0).then(|| StackId(row as u32 - 1));
        p.stacks.push(Stack { parent, location });
    }
    let mut noise = 1u64;
    let mut time_ns = 1_000_000_000_000;
    for row in 0..count {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        time_ns += 1_000_000 + (noise >> 40) % 4_000;
        let sample = Sample {
            thread: ThreadId(row / 50 % 4),
            time_ns,
            stack: Some(StackId((noise >> 33) as u32 % 200)),
            weights: &[1, 1_001_001],
            cpu: Some((noise >> 50) as u32 % 2),
            end: StackEnd::Complete,
            labels: None,
        };
        Sink::sample(&mut p, &sample).unwrap();
    }
    p
}

/// Sum over chunks of the sizes that their headers state: before and after compression.
fn chunk_sizes(bytes: &[u8]) -> (usize, usize) {
    let (mut at, mut plain, mut packed) = (16, 0, 0);
    while at < bytes.len() {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        plain += number(at + 4);
        packed += number(at + 8);
        at += 16 + number(at + 8);
    }
    (plain, packed)
}

#[test]
fn a_sample_of_a_repeated_stack_takes_less_than_8_bytes() {
    let count = 100_000;
    let profile = long_recording(count);
    let bytes = bytes_of(&profile);
    assert_eq!(native::read(&bytes[..]).unwrap(), profile);
    let (plain, packed) = chunk_sizes(&bytes);
    let each = |bytes: usize| bytes as f64 / f64::from(count);
    assert!(
        each(plain) <= 8.0,
        "{} bytes a sample before compression",
        each(plain)
    );
    assert!(
        each(packed) <= 8.0,
        "{} bytes a sample after compression",
        each(packed)
    );
}

#[test]
fn a_cut_recording_keeps_every_whole_chunk() {
    let profile = long_recording(100_000);
    let bytes = bytes_of(&profile);
    let mut last = 0;
    for tenth in 1..10 {
        let recovered = native::read_recovering(&bytes[..bytes.len() * tenth / 10]).unwrap();
        assert!(matches!(recovered.missing, Some(ReadError::Cut { .. })));
        let samples = recovered.profile.samples;
        assert_eq!(samples.time_ns, profile.samples.time_ns[..samples.len()]);
        assert!(samples.len() >= last);
        last = samples.len();
    }
    assert!(
        last > 50_000,
        "{last} of 100000 samples were kept of nine tenths"
    );
    let whole = native::read_recovering(&bytes[..]).unwrap();
    assert!(whole.missing.is_none() && whole.profile == profile);
}

/// A chunk with a true checksum around whatever it is given.
fn chunk(kind: u32, plain_len: u32, packed: &[u8]) -> Vec<u8> {
    let packed_len = u32::try_from(packed.len()).unwrap();
    let mut bytes = [kind, plain_len, packed_len].map(u32::to_le_bytes).concat();
    let mut crc = flate2::Crc::new();
    crc.update(&bytes);
    crc.update(packed);
    bytes.extend(crc.sum().to_le_bytes());
    bytes.extend(packed);
    bytes
}

fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"\x89hotproof\r\n\x1a\x01\0\0\0".to_vec();
    bytes.extend(chunks.concat());
    bytes
}

/// The message as one chunk of rows, as somebody would forge it.
fn rows(message: &[u8]) -> Vec<u8> {
    let packed = zstd::bulk::compress(message, 3).unwrap();
    chunk(1, u32::try_from(message.len()).unwrap(), &packed)
}

#[test]
fn forged_chunks_are_told_by_name() {
    let unpackable = zstd::bulk::compress(&[0; 100], 3).unwrap();
    let cases: [(Vec<u8>, &str); 14] = [
        (chunk(9, 0, b""), "its kind is not one of this version"),
        (chunk(1, u32::MAX, b"x"), "larger than a chunk may be"),
        (chunk(1, 3, b"abc"), "does not decompress to the size that it states"),
        (chunk(1, 99, &unpackable), "does not decompress to the size that it states"),
        (chunk(1, 101, &unpackable), "does not decompress to the size that it states"),
        (rows(b"\x0a\xff"), "no message of this version"),
        (rows(b"\x0a\x01\xff"), "no message of this version"),
        (rows(b"\x0a\x01a\x0a\x01a"), "a text comes twice"),
        (rows(b"\x12\x02\x10\x09"), "a value is not one of this version"),
        // One stack whose parent lies two rows before it.
        (rows(b"\x5a\x06\x0a\x01\x02\x12\x01\x00"), "a number is no row number"),
        // One sample, whose thread column claims to be 2^63 rows long.
        (
            rows(b"\x62\x17\x0a\x01\x00\x12\x01\x00\x1a\x0f\x0a\x01\x00\x12\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
            "the columns of a table differ in length",
        ),
        // A symbol with an image and nothing else.
        (rows(b"\x3a\x03\x0a\x01\x00"), "the columns of a table differ in length"),
        (rows(b"\x6a\x02\x08\x01"), "a change refers to a row that does not exist"),
        (chunk(3, 0, &zstd::bulk::compress(b"\x08\x05", 3).unwrap()), "does not decompress"),
    ];
    for (bytes, part) in cases {
        let error = native::read(&file(&[bytes])[..]).unwrap_err().to_string();
        assert!(error.contains(part), "{error:?} lacks {part:?}");
    }
}

#[test]
fn an_end_that_counts_other_chunks_is_an_error() {
    let packed = zstd::bulk::compress(b"\x08\x05", 3).unwrap();
    let error = native::read(&file(&[chunk(3, 2, &packed)])[..]).unwrap_err();
    assert!(
        error.to_string().contains("counts at the end differ"),
        "{error}"
    );
}

#[test]
fn rows_that_refer_to_nothing_are_invalid() {
    // A process whose name is text 5, of which there is none.
    let bytes = file(&[rows(b"\x1a\x02\x10\x05")]);
    let error = native::read_recovering(&bytes[..]).unwrap_err();
    assert!(
        matches!(&error, ReadError::Invalid(e) if e.table == "process"),
        "{error}"
    );
}

#[test]
fn small_files_cannot_claim_much_memory() {
    // Each chunk is a few hundred bytes long and holds half a million processes.
    let bomb = rows(&[[0x1a, 0x00]; 1 << 19].concat());
    assert!(bomb.len() < 500, "{}", bomb.len());
    let bytes = file(&vec![bomb; 20]);
    let limits = Limits {
        total_bytes: 64 << 20,
        ..Limits::default()
    };
    let error = native::read_within(&bytes[..], limits).unwrap_err();
    assert!(matches!(error, ReadError::TooLarge { limit_bytes } if limit_bytes == 64 << 20));
}

proptest! {
    #[test]
    fn damage_of_any_profile_is_never_another_profile(
        profile in arbitrary::profile(),
        at in any::<prop::sample::Index>(),
        bits in 1..=255u8,
        len in any::<prop::sample::Index>(),
    ) {
        let bytes = bytes_of(&profile);
        let cut = &bytes[..len.index(bytes.len())];
        prop_assert!(native::read(cut).is_err());
        let mut damaged = bytes.clone();
        damaged[at.index(bytes.len())] ^= bits;
        prop_assert!(native::read(&damaged[..]).is_err());
        let _ = (native::read_recovering(cut), native::read_recovering(&damaged[..]));
    }

    #[test]
    fn any_message_with_a_true_checksum_is_a_valid_profile_or_an_error(
        message in prop::collection::vec(any::<u8>(), 0..64),
        kind in 1..4u32,
    ) {
        let packed = zstd::bulk::compress(&message, 3).unwrap();
        let bytes = file(&[chunk(kind, u32::try_from(message.len()).unwrap(), &packed)]);
        if let Ok(recovered) = native::read_recovering(&bytes[..]) {
            prop_assert!(recovered.profile.validate().is_ok());
        }
    }
}
