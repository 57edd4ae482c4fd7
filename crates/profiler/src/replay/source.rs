//! The bytes of a recording, in pieces: a large file is never held as a whole.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::error::ReplayError;

/// How much of a file is read at once.
const WINDOW_BYTES: usize = 1 << 18;

/// Where the bytes are.
pub(super) enum Source<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// In a file, of which a window is in memory.
    File(Window<'a>),
}

/// The part of a file that was read last.
///
/// Reading is preferred to mapping: a mapped file of hundreds of megabytes counts as memory in use,
/// and one that shrinks meanwhile ends in a signal.
pub(super) struct Window<'a> {
    file: &'a File,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Source<'a> {
    /// A file's bytes.
    pub(super) fn file(file: &'a File) -> Result<Source<'a>, ReplayError> {
        let facts = file
            .metadata()
            .map_err(|source| ReplayError::Io { offset: 0, source })?;
        Ok(Source::File(Window {
            file,
            len: facts.len(),
            start: 0,
            bytes: Vec::new(),
        }))
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> u64 {
        match self {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::File(window) => window.len,
        }
    }

    /// The bytes from `offset` on: at most `len`, fewer at the end.
    pub(super) fn at(&mut self, offset: u64, len: usize) -> Result<&[u8], ReplayError> {
        match self {
            Source::Bytes(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..));
                let rest = rest.unwrap_or_default();
                Ok(&rest[..rest.len().min(len)])
            }
            Source::File(window) => window.at(offset, len),
        }
    }
}

impl Window<'_> {
    fn at(&mut self, offset: u64, len: usize) -> Result<&[u8], ReplayError> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = len.min(left);
        let held = |window: &Self| {
            let at = usize::try_from(offset.checked_sub(window.start)?).ok()?;
            (at.checked_add(len)? <= window.bytes.len()).then_some(at)
        };
        let at = match held(self) {
            Some(at) => at,
            None => {
                self.fill(offset, len.max(WINDOW_BYTES.min(left)))?;
                0
            }
        };
        let end = self.bytes.len().min(at + len);
        Ok(&self.bytes[at..end])
    }

    /// Reads `len` bytes, or as many as there still are.
    fn fill(&mut self, offset: u64, len: usize) -> Result<(), ReplayError> {
        self.start = offset;
        self.bytes.resize(len, 0);
        let mut have = 0;
        while have < len {
            let place = offset + have as u64;
            match self.file.read_at(&mut self.bytes[have..], place) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => {
                    self.bytes.clear();
                    let offset = place;
                    return Err(ReplayError::Io { offset, source });
                }
            }
        }
        self.bytes.truncate(have);
        Ok(())
    }
}

/// Takes little-endian (native) fields from the front of bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    /// The next bytes; `None` when there are fewer.
    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    /// The next 64 bits.
    pub(super) fn u64(&mut self) -> Option<u64> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_ne_bytes(*head))
    }

    /// The next 32 bits.
    pub(super) fn u32(&mut self) -> Option<u32> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_ne_bytes(*head))
    }

    /// The next 16 bits.
    pub(super) fn u16(&mut self) -> Option<u16> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_ne_bytes(*head))
    }

    /// Text up to the first zero byte, or all there is.
    pub(super) fn text(self) -> &'a [u8] {
        until_zero(self.0)
    }

    /// A text with its length (32 bits) in front, padded with zeros.
    pub(super) fn counted_text(&mut self) -> Option<String> {
        let len = self.u32()? as usize;
        let bytes = self.bytes(len)?;
        Some(String::from_utf8_lossy(until_zero(bytes)).into_owned())
    }
}

/// The bytes in front of the first zero.
pub(super) fn until_zero(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == 0);
    &bytes[..end.unwrap_or(bytes.len())]
}
