//! The vdso: code that the kernel maps into every process, without a file.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::file::ImageFile;

/// No kernel's vdso is larger than this.
const LARGEST_VDSO_BYTES: u64 = 1 << 20;

/// This process's own vdso, copied from its memory; `None` when the kernel maps none.
///
/// All 64-bit processes of one boot share it, so it serves for the frames of any of them.
pub fn vdso() -> Option<ImageFile> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let (start, end) = maps.lines().find_map(vdso_range)?;
    let size = end.checked_sub(start)?;
    if size > LARGEST_VDSO_BYTES {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    let memory = File::open("/proc/self/mem").ok()?;
    memory.read_exact_at(&mut bytes, start).ok()?;
    match ImageFile::from_bytes("[vdso]", bytes) {
        Ok(image) => Some(image),
        Err(error) => {
            tracing::warn!("{error}");
            None
        }
    }
}

/// The range of a line of `/proc/PID/maps`, when it is the vdso's.
fn vdso_range(line: &str) -> Option<(u64, u64)> {
    let range = line.strip_suffix("[vdso]")?.split_whitespace().next()?;
    let (start, end) = range.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some((hex(start)?, hex(end)?))
}
