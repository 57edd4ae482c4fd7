//! Compressed records: pieces of one zstd stream, which decompress to records again.

use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::header::RecordHeader;

/// How much is decompressed at once.
const PIECE_BYTES: usize = 1 << 16;

/// Decompresses, and keeps the record that the last piece has begun.
pub(super) struct Inflate {
    decoder: Decoder<'static>,
    bytes: Vec<u8>,
    /// How much of `bytes` has been taken.
    taken: usize,
    /// How much was decompressed so far.
    pub(super) inflated_bytes: u64,
}

/// The stream is broken.
#[derive(Debug)]
pub(super) struct BrokenStream;

impl Inflate {
    /// A stream that has not begun; `None` when the library has no memory.
    pub(super) fn new() -> Option<Inflate> {
        Some(Inflate {
            decoder: Decoder::new().ok()?,
            bytes: Vec::new(),
            taken: 0,
            inflated_bytes: 0,
        })
    }

    /// Decompresses some of `input`, at most 64 KiB of output, and moves its start; to be called
    /// until `false` comes back, which says that all input is used and all output is here.
    pub(super) fn feed(&mut self, input: &mut &[u8]) -> Result<bool, BrokenStream> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        let held = self.bytes.len();
        self.bytes.resize(held + PIECE_BYTES, 0);
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around_pos(&mut self.bytes, held);
        let ran = self.decoder.run(&mut from, &mut to);
        let (used, filled) = (from.pos(), to.pos());
        self.bytes.truncate(filled);
        ran.map_err(|_| BrokenStream)?;
        *input = &input[used..];
        self.inflated_bytes += (filled - held) as u64;
        let full = filled == held + PIECE_BYTES;
        // Without input and output nothing more will come.
        let moved = used > 0 || filled > held;
        Ok(moved && (full || !input.is_empty()))
    }

    /// The next whole record; `Err` when its header is broken.
    pub(super) fn next(&mut self) -> Result<Option<(RecordHeader, &[u8])>, BrokenStream> {
        let rest = &self.bytes[self.taken..];
        if rest.len() < RecordHeader::BYTES {
            return Ok(None);
        }
        let header = RecordHeader::parse(rest).ok_or(BrokenStream)?;
        let size = usize::from(header.size);
        if rest.len() < size {
            return Ok(None);
        }
        self.taken += size;
        Ok(Some((header, &rest[RecordHeader::BYTES..size])))
    }
}
