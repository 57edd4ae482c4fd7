//! What stands around every entry: a mark of the format, a checksum, and what the entry is about.

use std::fs::File;
use std::io::Read;

use hotproof_image::crc32;

use super::bytes::{Packer, Unpacker};

/// The last byte is the version of the format.
const MAGIC: &[u8; 8] = b"hpnames\x01";
/// No entry is larger; a file that is belongs to nobody.
const LARGEST_BYTES: u64 = 1 << 30;
/// Magic and checksum.
const PREFIX_BYTES: usize = 12;

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheContent {
    /// The image: a path, or `[kernel]`.
    pub image: String,
    /// Its build-id; empty when it has none.
    pub build_id: Vec<u8>,
    /// How many addresses it names; of the kernel, how many functions it lists.
    pub names: u64,
}

/// The head of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) image: Vec<u8>,
    pub(crate) build_id: Vec<u8>,
    pub(crate) names: u64,
    /// What the entry depends on; another value makes it a miss.
    pub(crate) condition: Vec<u8>,
}

/// A whole entry in memory.
#[derive(Debug)]
pub(crate) struct Opened {
    bytes: Vec<u8>,
    pub(crate) head: Head,
    body_start: usize,
}

impl Head {
    pub(crate) fn of_image(image: &str, build_id: &[u8]) -> Head {
        Head {
            image: image.as_bytes().to_vec(),
            build_id: build_id.to_vec(),
            names: 0,
            condition: Vec::new(),
        }
    }

    pub(super) fn into_content(self) -> CacheContent {
        CacheContent {
            image: String::from_utf8_lossy(&self.image).into_owned(),
            build_id: self.build_id,
            names: self.names,
        }
    }
}

impl Opened {
    pub(super) fn read(mut file: &File) -> Option<Opened> {
        let length = file.metadata().ok()?.len();
        if length > LARGEST_BYTES {
            return None;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).ok()?);
        file.read_to_end(&mut bytes).ok()?;
        Self::of(bytes)
    }

    pub(super) fn of(bytes: Vec<u8>) -> Option<Opened> {
        let (head, body) = open(&bytes)?;
        let body_start = bytes.len() - body.len();
        Some(Opened {
            bytes,
            head,
            body_start,
        })
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[self.body_start..]
    }
}

/// A file's bytes from a head and a body.
pub(super) fn close(head: &Head, body: &[u8]) -> Vec<u8> {
    let mut packer = Packer::default();
    packer.bytes.reserve(body.len() + 256);
    packer.bytes.extend_from_slice(MAGIC);
    packer.number(0);
    packer.text(&head.image);
    packer.text(&head.build_id);
    packer.wide(head.names);
    packer.text(&head.condition);
    packer.text(body);
    let checksum = crc32(&packer.bytes[PREFIX_BYTES..]);
    packer.bytes[8..PREFIX_BYTES].copy_from_slice(&checksum.to_le_bytes());
    packer.bytes
}

/// The inverse of [`close`]; `None` for anything that it did not make.
pub(super) fn open(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let mut prefix = Unpacker {
        rest: bytes.strip_prefix(MAGIC)?,
    };
    let checksum = prefix.number()?;
    let mut fields = prefix;
    if crc32(fields.rest) != checksum {
        return None;
    }
    let head = Head {
        image: fields.text()?.to_vec(),
        build_id: fields.text()?.to_vec(),
        names: fields.wide()?,
        condition: fields.text()?.to_vec(),
    };
    let body = fields.text()?;
    fields.rest.is_empty().then_some((head, body))
}
