//! What stands around every entry: a mark of the format, a checksum, and what the entry is about.

use std::fs::File;

use hotproof_image::Bytes;
use hotproof_profile::mix;

use super::bytes::{Packer, Unpacker};

/// The last byte is the version of the format.
const MAGIC: &[u8; 8] = b"hpnames\x03";
/// No entry is larger; a file that is belongs to nobody.
const LARGEST_BYTES: u64 = 1 << 30;
/// Magic and checksum.
const PREFIX_BYTES: usize = 16;

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheContent {
    /// The image: a path, or `[kernel]`.
    pub image: String,
    /// Its build-id; empty when it has none.
    pub build_id: Vec<u8>,
    /// The section whose decompressed bytes these are; `None` for names.
    pub section: Option<String>,
    /// How many addresses it names; of the kernel, how many functions it lists.
    pub names: u64,
}

/// The head of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) image: Vec<u8>,
    pub(crate) build_id: Vec<u8>,
    /// Empty for names.
    pub(crate) section: Vec<u8>,
    pub(crate) names: u64,
    /// What the entry depends on; another value makes it a miss.
    pub(crate) condition: Vec<u8>,
}

/// A whole entry in memory.
#[derive(Debug)]
pub(crate) struct Opened {
    bytes: Bytes,
    pub(crate) head: Head,
    body_start: usize,
}

impl Head {
    pub(crate) fn of_image(image: &str, build_id: &[u8]) -> Head {
        Head {
            image: image.as_bytes().to_vec(),
            build_id: build_id.to_vec(),
            section: Vec::new(),
            names: 0,
            condition: Vec::new(),
        }
    }

    pub(super) fn into_content(self) -> CacheContent {
        CacheContent {
            image: String::from_utf8_lossy(&self.image).into_owned(),
            build_id: self.build_id,
            section: (!self.section.is_empty())
                .then(|| String::from_utf8_lossy(&self.section).into_owned()),
            names: self.names,
        }
    }
}

impl Opened {
    /// Maps a file of the cache, which is only ever replaced by rename.
    pub(super) fn read(file: &File) -> Option<Opened> {
        if file.metadata().ok()?.len() > LARGEST_BYTES {
            return None;
        }
        Self::of(Bytes::of_file(file.try_clone().ok()?).ok()?)
    }

    pub(super) fn of(bytes: Bytes) -> Option<Opened> {
        let (head, body) = open(bytes.as_slice())?;
        let body_start = bytes.as_slice().len() - body.len();
        Some(Opened {
            bytes,
            head,
            body_start,
        })
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes.as_slice()[self.body_start..]
    }
}

/// A file's bytes from a head and a body.
pub(super) fn close(head: &Head, body: &[u8]) -> Vec<u8> {
    let mut packer = Packer::default();
    packer.bytes.reserve(body.len() + 256);
    packer.bytes.extend_from_slice(MAGIC);
    packer.wide(0);
    packer.text(&head.image);
    packer.text(&head.build_id);
    packer.text(&head.section);
    packer.wide(head.names);
    packer.text(&head.condition);
    packer.text(body);
    let checksum = checksum_of(&packer.bytes[PREFIX_BYTES..]);
    packer.bytes[8..PREFIX_BYTES].copy_from_slice(&checksum.to_le_bytes());
    packer.bytes
}

/// The inverse of [`close`]; `None` for anything that it did not make.
pub(super) fn open(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let mut prefix = Unpacker {
        rest: bytes.strip_prefix(MAGIC)?,
    };
    let checksum = prefix.wide()?;
    let mut fields = prefix;
    if checksum_of(fields.rest) != checksum {
        return None;
    }
    let head = Head {
        image: fields.text()?.to_vec(),
        build_id: fields.text()?.to_vec(),
        section: fields.text()?.to_vec(),
        names: fields.wide()?,
        condition: fields.text()?.to_vec(),
    };
    let body = fields.text()?;
    fields.rest.is_empty().then_some((head, body))
}

/// A sum that tells damage: each word of the bytes, and how many there are, changes all of it. It is
/// as fast as memory, because each use of the cache reads whole entries for it.
fn checksum_of(bytes: &[u8]) -> u64 {
    /// Odd numbers without a pattern, one for each lane; the lanes do not wait for each other.
    const SEEDS: [u64; 4] = [
        0x9e37_79b9_7f4a_7c15,
        0xd6e8_feb8_6659_fd93,
        0xa076_1d64_78bd_642f,
        0xe703_7ed1_a0b4_28db,
    ];
    const LANE_BYTES: usize = 16;
    let word = |bytes: &[u8], at: usize| {
        let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
        word.map_or(0, |word| u64::from_le_bytes(*word))
    };
    let mut lanes = SEEDS;
    let mut add = |block: &[u8]| {
        for (number, lane) in lanes.iter_mut().enumerate() {
            let (first, second) = (number * LANE_BYTES, number * LANE_BYTES + 8);
            *lane = mix(
                *lane ^ word(block, first),
                SEEDS[number] ^ word(block, second),
            );
        }
    };
    let blocks = bytes.chunks_exact(SEEDS.len() * LANE_BYTES);
    let mut last = [0; SEEDS.len() * LANE_BYTES];
    last[..blocks.remainder().len()].copy_from_slice(blocks.remainder());
    blocks.for_each(&mut add);
    add(&last);
    let lanes = lanes.iter().zip(SEEDS);
    lanes.fold(bytes.len() as u64, |sum, (lane, seed)| {
        mix(sum ^ lane, seed)
    })
}
