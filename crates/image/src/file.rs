//! One mapped binary.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object::read::elf::ElfFile;
use object::{LittleEndian, Object, ObjectSection, elf};

use crate::crc::crc32;
use crate::error::ImageError;
use crate::facts::{self, Arch, Class, DebugLink, Facts, FileKind, Headers, Segment};
use crate::mapped::Bytes;
use crate::object_file;

/// A compressed section may not grow by more than this: zlib cannot exceed 1,032 to 1.
const LARGEST_EXPANSION: u64 = 1_100;
/// A compressed section that is short may still grow to this many bytes.
const EXPANSION_FLOOR_BYTES: u64 = 16 << 20;
/// No section is decompressed beyond this many bytes.
const LARGEST_SECTION_BYTES: u64 = 8 << 30;

/// One ELF binary, mapped into memory or owned, with the facts of its headers.
///
/// It is `Send` and `Sync`; a clone shares the mapping and costs next to nothing.
#[derive(Debug, Clone)]
pub struct ImageFile {
    path: PathBuf,
    bytes: Arc<Bytes>,
    /// The bytes of an object file after its sections were placed.
    placed: Option<Arc<Bytes>>,
    /// Sections that cannot be read, and why.
    refused: Arc<[(String, String)]>,
    facts: Arc<Facts>,
}

/// A section's contents and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'data> {
    /// Its address as linked; 0 when it is not loaded.
    pub svma: u64,
    /// Its size in memory, in bytes; that of the compressed form when it is compressed.
    pub size: u64,
    /// Its contents, decompressed; empty for a section without bytes in the file (`.bss`, or
    /// `.text` in a debug file).
    pub data: Cow<'data, [u8]>,
}

/// The size of a compressed section, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedSize {
    /// As it lies in the file.
    pub packed: u64,
    /// Decompressed.
    pub whole: u64,
}

impl ImageFile {
    /// Maps a file and reads its headers.
    ///
    /// # Errors
    /// When the file cannot be read, is no regular file, is no little-endian ELF file, or is cut
    /// or damaged.
    pub fn open(path: &Path) -> Result<ImageFile, ImageError> {
        Self::new(path.to_owned(), Bytes::map(path)?)
    }

    /// An image of bytes that are no file of their own; `name` stands for its path.
    ///
    /// # Errors
    /// As [`ImageFile::open`], without those of the file system.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<ImageFile, ImageError> {
        Self::new(PathBuf::from(name), Bytes::Owned(bytes))
    }

    fn new(path: PathBuf, bytes: Bytes) -> Result<ImageFile, ImageError> {
        let data = bytes.as_slice();
        let class = class_of(&path, data)?;
        let damaged = |detail: String| ImageError::Damaged {
            path: path.clone(),
            size: data.len() as u64,
            detail: lower_first(&detail),
        };
        let placed = object_file::place(data, class).map_err(damaged)?;
        let (placed, refused) = match placed {
            Some(placed) => (Some(Bytes::Owned(placed.bytes)), placed.refused),
            None => (None, Vec::new()),
        };
        let read = placed.as_ref().map_or(data, Bytes::as_slice);
        let facts = facts::read(read, class).map_err(|error| damaged(error.to_string()))?;
        Ok(ImageFile {
            path,
            bytes: Arc::new(bytes),
            placed: placed.map(Arc::new),
            refused: refused.into(),
            facts: Arc::new(facts),
        })
    }

    fn bytes(&self) -> &Bytes {
        self.placed.as_ref().unwrap_or(&self.bytes)
    }

    /// The whole file. Of an object file or a kernel module a copy, in which the sections that are
    /// loaded have addresses, the first of code 0, and debug information is relocated to them.
    pub fn data(&self) -> &[u8] {
        self.bytes().as_slice()
    }

    /// The checksum of the file as it lies on disk.
    pub(crate) fn checksum(&self) -> u32 {
        crc32(self.bytes.as_slice())
    }

    /// Copies bytes that lie `at` an offset of [`ImageFile::data`]; false when they are not all
    /// there.
    ///
    /// For a few bytes here and there of a big file: the first touch of each page of a mapping
    /// costs more than a read, and once more when the mapping goes.
    pub fn peek(&self, at: usize, buffer: &mut [u8]) -> bool {
        self.bytes().peek(at, buffer)
    }

    /// The path it was opened by, or the name it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The GNU build-id; `None` when the linker wrote none.
    pub fn build_id(&self) -> Option<&[u8]> {
        self.data().get(self.facts.build_id.clone()?)
    }

    /// The instruction set.
    pub fn arch(&self) -> Arch {
        self.facts.arch
    }

    /// How wide its addresses are.
    pub fn class(&self) -> Class {
        self.facts.class
    }

    /// What the file is for.
    pub fn kind(&self) -> FileKind {
        self.facts.kind
    }

    /// Where the separate debug file is said to be; `None` when the file does not say.
    pub fn debug_link(&self) -> Option<&DebugLink> {
        self.facts.debug_link.as_ref()
    }

    /// All `PT_LOAD` segments in the order of the file; of an object file its sections of code.
    pub fn segments(&self) -> &[Segment] {
        &self.facts.segments
    }

    /// The lowest loadable address, from which relative addresses count; 0 without segments.
    pub fn base_svma(&self) -> u64 {
        let lowest = self.segments().iter().map(|segment| segment.svma).min();
        lowest.unwrap_or(0)
    }

    /// The linked address of a byte of the file, by its executable segments alone.
    ///
    /// Two segments can share a page of the file, so that a read-only one covers the same offset
    /// with another address; code is never found there. `None` when no executable segment holds
    /// the offset.
    pub fn svma_of_file_offset(&self, file_offset: u64) -> Option<u64> {
        let mut code = self.segments().iter().filter(|segment| segment.executable);
        code.find_map(|segment| {
            let into = file_offset.checked_sub(segment.file_offset)?;
            (into < segment.file_size).then(|| segment.svma.wrapping_add(into))
        })
    }

    /// The address of a byte of the file relative to [`ImageFile::base_svma`], by its executable
    /// segments alone; `None` when none of them holds the offset.
    pub fn relative_of_file_offset(&self, file_offset: u64) -> Option<u64> {
        let svma = self.svma_of_file_offset(file_offset)?;
        svma.checked_sub(self.base_svma())
    }

    /// The bytes of the file that are loaded at a linked address; `None` when they are not all in
    /// one segment of the file.
    pub fn bytes_at(&self, svma: u64, length: u64) -> Option<&[u8]> {
        let segment = self.segments().iter().find(|segment| {
            svma.checked_sub(segment.svma)
                .is_some_and(|into| into < segment.file_size)
        })?;
        let into = svma - segment.svma;
        let start = usize::try_from(segment.file_offset.checked_add(into)?).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        self.data().get(start..end)
    }

    /// Whether a section of this name exists.
    pub fn has_section(&self, name: &str) -> bool {
        self.facts.sections.iter().any(|fact| fact.name == name)
    }

    /// The linked addresses of a section, without reading its contents; `None` when there is none.
    pub fn section_svma(&self, name: &str) -> Option<std::ops::Range<u64>> {
        let fact = self.facts.sections.iter().find(|fact| fact.name == name)?;
        Some(fact.svma..fact.svma.saturating_add(fact.size))
    }

    /// How many bytes a section that is compressed in the file takes there, and decompressed, as the
    /// file claims. `None` when there is no such section, it is not compressed, or it cannot be
    /// read; of an object file always, whose sections are changed after they were decompressed.
    pub fn packed_section(&self, name: &str) -> Option<PackedSize> {
        if self.placed.is_some() {
            return None;
        }
        let read = match self.class() {
            Class::Bits32 => packed_as::<elf::FileHeader32<LittleEndian>>,
            Class::Bits64 => packed_as::<elf::FileHeader64<LittleEndian>>,
        };
        read(self.data(), name)
    }

    /// What the system says of the open file; `None` for bytes that are no file of their own.
    pub fn metadata(&self) -> Option<std::fs::Metadata> {
        self.bytes.metadata()
    }

    /// A section by name, decompressed; `.debug_x` finds `.zdebug_x` too. `None` when there is none.
    ///
    /// # Errors
    /// When its bytes lie outside the file, its compressed form is damaged or claims to grow
    /// beyond all reason, or it is a section of an object file with relocations of an unknown kind.
    pub fn section(&self, name: &str) -> Result<Option<Section<'_>>, ImageError> {
        let is_it = |refused: &str| {
            refused == name || refused.strip_prefix(".z") == Some(name.trim_start_matches('.'))
        };
        if let Some((_, detail)) = self.refused.iter().find(|(refused, _)| is_it(refused)) {
            return Err(ImageError::Section {
                path: self.path.clone(),
                section: name.to_owned(),
                detail: detail.clone(),
            });
        }
        let read = match self.class() {
            Class::Bits32 => section_as::<elf::FileHeader32<LittleEndian>>,
            Class::Bits64 => section_as::<elf::FileHeader64<LittleEndian>>,
        };
        read(self.data(), name).map_err(|detail| ImageError::Section {
            path: self.path.clone(),
            section: name.to_owned(),
            detail,
        })
    }
}

/// A section of a file of one class. The error says what was read and what was expected.
fn section_as<'data, H: Headers>(
    data: &'data [u8],
    name: &str,
) -> Result<Option<Section<'data>>, String> {
    let damaged = |error: object::read::Error| lower_first(&error.to_string());
    let elf = ElfFile::<H>::parse(data).map_err(damaged)?;
    let Some(section) = elf.section_by_name(name) else {
        return Ok(None);
    };
    let compressed = section.compressed_data().map_err(damaged)?;
    if compressed.format != object::CompressionFormat::None {
        let found = compressed.uncompressed_size;
        let limit = expansion_limit(compressed.data.len() as u64);
        if found > limit {
            return Err(format!(
                "it claims {found} bytes from {} compressed ones, expected at most {limit}",
                compressed.data.len()
            ));
        }
    }
    Ok(Some(Section {
        svma: section.address(),
        size: section.size(),
        data: compressed.decompress().map_err(damaged)?,
    }))
}

/// The sizes of a compressed section of a file of one class.
fn packed_as<H: Headers>(data: &[u8], name: &str) -> Option<PackedSize> {
    let elf = ElfFile::<H>::parse(data).ok()?;
    let section = elf.section_by_name(name)?;
    let compressed = section.compressed_data().ok()?;
    let is_packed = compressed.format != object::CompressionFormat::None;
    is_packed.then_some(PackedSize {
        packed: compressed.data.len() as u64,
        whole: compressed.uncompressed_size,
    })
}

/// The most bytes that a compressed section of this length may decompress to.
pub(crate) fn expansion_limit(compressed_bytes: u64) -> u64 {
    compressed_bytes
        .saturating_mul(LARGEST_EXPANSION)
        .clamp(EXPANSION_FLOOR_BYTES, LARGEST_SECTION_BYTES)
}

/// Checks the first bytes, so that the commonest errors are told in plain words.
fn class_of(path: &Path, data: &[u8]) -> Result<Class, ImageError> {
    if !data.starts_with(b"\x7fELF") {
        return Err(ImageError::NotElf {
            path: path.to_owned(),
            found: first_bytes(data),
        });
    }
    // e_ident: byte 4 is the class (1: 32-bit, 2: 64-bit), byte 5 the order (1: little, 2: big).
    let found = match (data.get(4), data.get(5)) {
        (Some(2), Some(1)) => return Ok(Class::Bits64),
        (Some(1), Some(1)) => return Ok(Class::Bits32),
        (Some(1 | 2), Some(2)) => "a big-endian ELF file",
        (Some(_), Some(_)) => "an ELF file of unknown class or byte order",
        _ => "an ELF file cut in its first bytes",
    };
    Err(ImageError::Unsupported {
        path: path.to_owned(),
        found,
    })
}

fn first_bytes(data: &[u8]) -> String {
    if data.is_empty() {
        return "nothing (it is empty)".to_owned();
    }
    let hex: Vec<String> = data.iter().take(4).map(|b| format!("{b:02x}")).collect();
    hex.join(" ")
}

/// The errors of `object` are sentences; ours are fragments.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}
