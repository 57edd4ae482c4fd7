//! The frame of the file: header, chunks, checksums. See `proto/hotproof.proto` for the layout.

use std::io::{self, Read, Write};

use flate2::Crc;

use super::{Limits, ReadError};
use crate::sniff::{SNIFF_BYTES, sniff};

/// The first bytes of every version. The first byte is no text, and the line ends show when a
/// transfer has rewritten the file as text.
pub(crate) const MAGIC: [u8; 12] = *b"\x89hotproof\r\n\x1a";
/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;
const HEADER_BYTES: usize = MAGIC.len() + 4;
const CHUNK_HEADER_BYTES: usize = 16;
/// Speed matters more than the last percent: a profile is written once and read a few times.
const ZSTD_LEVEL: i32 = 3;
/// A window of 16 MiB, the largest chunk there is; a larger one is refused before it is allocated.
const ZSTD_WINDOW_LOG: u32 = 24;

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkKind {
    Rows = 1,
    Meta = 2,
    End = 3,
}

impl ChunkKind {
    fn from_number(number: u32) -> Option<Self> {
        [ChunkKind::Rows, ChunkKind::Meta, ChunkKind::End]
            .into_iter()
            .find(|&kind| kind as u32 == number)
    }
}

/// Writes the header and then chunks.
#[derive(Debug)]
pub(super) struct ChunkWriter<W> {
    out: W,
    /// Chunks written so far.
    pub(super) chunks: u64,
}

impl<W: Write> ChunkWriter<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        Ok(ChunkWriter { out, chunks: 0 })
    }

    pub(super) fn write(
        &mut self,
        kind: ChunkKind,
        message: &impl prost::Message,
    ) -> io::Result<()> {
        let plain = message.encode_to_vec();
        let packed = zstd::bulk::compress(&plain, ZSTD_LEVEL)?;
        let too_large = |_| io::Error::new(io::ErrorKind::InvalidData, "a chunk exceeds 4 GiB");
        let mut header = [0; CHUNK_HEADER_BYTES];
        header[0..4].copy_from_slice(&(kind as u32).to_le_bytes());
        let plain_len = u32::try_from(plain.len()).map_err(too_large)?;
        header[4..8].copy_from_slice(&plain_len.to_le_bytes());
        let packed_len = u32::try_from(packed.len()).map_err(too_large)?;
        header[8..12].copy_from_slice(&packed_len.to_le_bytes());
        let sum = checksum(&header[..12], &packed);
        header[12..16].copy_from_slice(&sum.to_le_bytes());
        self.out.write_all(&header)?;
        self.out.write_all(&packed)?;
        self.chunks += 1;
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// CRC-32 over the chunk's header, without the sum itself, and its compressed bytes.
fn checksum(header: &[u8], packed: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(header);
    crc.update(packed);
    crc.sum()
}

/// Reads the header and then chunks.
#[derive(Debug)]
pub(super) struct ChunkReader<R> {
    input: R,
    limits: Limits,
    /// Bytes of whole chunks and of the header.
    bytes: u64,
    /// Chunks read so far, which is also the number of the next one.
    pub(super) chunks: u64,
}

impl<R: Read> ChunkReader<R> {
    pub(super) fn new(mut input: R, limits: Limits) -> Result<Self, ReadError> {
        let mut first = read_up_to(&mut input, HEADER_BYTES)?;
        let magic = first.len().min(MAGIC.len());
        if first.is_empty() || first[..magic] != MAGIC[..magic] {
            first.extend(read_up_to(&mut input, SNIFF_BYTES - first.len())?);
            return Err(ReadError::NotAProfile {
                found: sniff(&first),
            });
        }
        let Some(version) = number_at(&first, MAGIC.len()) else {
            return Err(ReadError::Cut {
                bytes: first.len() as u64,
                chunk: 0,
                what: "a part of the file's header",
            });
        };
        if version != VERSION {
            return Err(ReadError::WrongVersion { found: version });
        }
        Ok(ChunkReader {
            input,
            limits,
            bytes: HEADER_BYTES as u64,
            chunks: 0,
        })
    }

    /// The next chunk, checked and decompressed.
    pub(super) fn next(&mut self) -> Result<(ChunkKind, Vec<u8>), ReadError> {
        let header = read_up_to(&mut self.input, CHUNK_HEADER_BYTES)?;
        let fields = [0, 4, 8, 12].map(|at| number_at(&header, at));
        let [Some(kind), Some(plain_len), Some(packed_len), Some(sum)] = fields else {
            let what = if header.is_empty() {
                "the chunk and all that follows"
            } else {
                "a part of the chunk's header"
            };
            return Err(self.cut(header.len(), what));
        };
        let limit = self.limits.chunk_bytes;
        if plain_len > limit || packed_len > limit {
            return Err(self.corrupt("it claims to be larger than a chunk may be"));
        }
        let packed = read_up_to(&mut self.input, packed_len as usize)?;
        if packed.len() < packed_len as usize {
            return Err(self.cut(header.len() + packed.len(), "the rest of the chunk"));
        }
        if checksum(&header[..12], &packed) != sum {
            return Err(self.corrupt("its checksum does not match"));
        }
        let kind = ChunkKind::from_number(kind)
            .ok_or_else(|| self.corrupt("its kind is not one of this version"))?;
        let plain = unpack(&packed, plain_len as usize)
            .ok_or_else(|| self.corrupt("it does not decompress to the size that it states"))?;
        self.bytes += (header.len() + packed.len()) as u64;
        self.chunks += 1;
        Ok((kind, plain))
    }

    /// Makes sure that nothing follows the end chunk.
    pub(super) fn expect_end(&mut self) -> Result<(), ReadError> {
        if read_up_to(&mut self.input, 1)?.is_empty() {
            return Ok(());
        }
        Err(self.corrupt("bytes follow the end of the profile"))
    }

    fn cut(&self, rest: usize, what: &'static str) -> ReadError {
        ReadError::Cut {
            bytes: self.bytes + rest as u64,
            chunk: self.chunks,
            what,
        }
    }

    pub(super) fn corrupt(&self, what: &'static str) -> ReadError {
        ReadError::Corrupt {
            chunk: self.chunks,
            what,
        }
    }
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_le_bytes(four))
}

/// Reads until `count` bytes are there or the input ends; memory grows with what is really there.
fn read_up_to(input: &mut impl Read, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(count.min(64 << 10));
    input.by_ref().take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Decompresses to exactly `count` bytes; `None` when the data is anything else.
fn unpack(packed: &[u8], count: usize) -> Option<Vec<u8>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).ok()?;
    decoder.window_log_max(ZSTD_WINDOW_LOG).ok()?;
    let plain = read_up_to(&mut decoder, count.checked_add(1)?).ok()?;
    (plain.len() == count).then_some(plain)
}
