//! MiniDebugInfo: the symbol table of a stripped binary, compressed within it.
//!
//! Distributions strip the symbol table and keep the names of functions that are not exported in
//! `.gnu_debugdata`: an ELF file without code, compressed with xz (GDB's manual, "MiniDebugInfo").

use std::io::Read;

use lzma_rust2::XzReader;

use crate::error::ImageError;
use crate::file::ImageFile;

const SECTION: &str = ".gnu_debugdata";
/// Symbol tables of the largest programs take some tens of megabytes.
const LARGEST_BYTES: u64 = 256 << 20;
/// What unpacking may need beside its output, in KiB: the largest preset of xz takes 64 MiB.
const MOST_MEMORY_KIB: u32 = 128 << 10;

impl ImageFile {
    /// The ELF file in `.gnu_debugdata`; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be unpacked, unpacks to more than 256 MiB or is no ELF file. The error names
    /// the section.
    pub fn mini_debug_info(&self) -> Result<Option<ImageFile>, ImageError> {
        let Some(section) = self.section(SECTION)? else {
            return Ok(None);
        };
        let failed = |detail| ImageError::Section {
            path: self.path().to_owned(),
            section: SECTION.to_owned(),
            detail,
        };
        let bytes = unpack(&section.data).map_err(failed)?;
        let name = format!("{} ({SECTION})", self.path().display());
        let file = ImageFile::from_bytes(&name, bytes);
        file.map(Some).map_err(|error| failed(error.to_string()))
    }
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let reader = XzReader::new_mem_limit(packed, false, MOST_MEMORY_KIB);
    let read = reader.take(LARGEST_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("xz: {error}"))?;
    if bytes.len() as u64 > LARGEST_BYTES {
        return Err(format!("it unpacks to more than {LARGEST_BYTES} bytes"));
    }
    Ok(bytes)
}
