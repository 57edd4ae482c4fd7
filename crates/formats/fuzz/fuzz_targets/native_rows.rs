//! Any message in chunks with true checksums: gets past the checksums that stop `native_read`.
//! The first byte of each half of the input chooses the kind of its chunk.

#![no_main]

use flate2::Crc;
use hotproof_formats::{folded, native, pprof};
use libfuzzer_sys::fuzz_target;

const LIMITS: native::Limits = native::Limits {
    chunk_bytes: 1 << 16,
    total_bytes: 1 << 20,
};

fn push_chunk(file: &mut Vec<u8>, input: &[u8]) {
    let Some((&kind, message)) = input.split_first() else {
        return;
    };
    let packed = zstd::bulk::compress(message, 1).expect("memory can be compressed");
    let sizes = [
        u32::from(kind % 4),
        message.len() as u32,
        packed.len() as u32,
    ];
    let header = sizes.map(u32::to_le_bytes).concat();
    let mut crc = Crc::new();
    crc.update(&header);
    crc.update(&packed);
    file.extend(header);
    file.extend(crc.sum().to_le_bytes());
    file.extend(packed);
}

fuzz_target!(|bytes: &[u8]| {
    let mut file = b"\x89hotproof\r\n\x1a\x01\0\0\0".to_vec();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    push_chunk(&mut file, first);
    push_chunk(&mut file, second);
    let Ok(recovered) = native::read_within(&file[..], LIMITS) else {
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
