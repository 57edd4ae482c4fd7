//! Files of source that a profile names. Whoever wrote the profile chose the path, so nothing but a
//! regular file of bearable size is opened: a pipe would be waited for, a device has no end.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use hotproof_report::lines::SourceText;

/// More than any file of source has.
const MOST_BYTES: u64 = 64 << 20;

/// The file at a path or a `file://` address, which is what V8 names; `None` where it is no file
/// that can be read. Bytes that are not UTF-8 are replaced.
pub(crate) fn read(path: &str) -> Option<SourceText> {
    let path = path_of(path);
    let facts = fs::metadata(&path).ok()?;
    if !facts.is_file() || facts.len() > MOST_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    let file = File::open(&path).ok()?;
    file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    let written = facts.modified().ok();
    let since = written.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Some(SourceText {
        text: String::from_utf8_lossy(&bytes).into_owned(),
        written_unix_ns: since.and_then(|since| u64::try_from(since.as_nanos()).ok()),
    })
}

/// The path that a `file://` address stands for, or the text itself.
fn path_of(text: &str) -> PathBuf {
    let Some(escaped) = text.strip_prefix("file://") else {
        return text.into();
    };
    let mut path = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let is_hex = |digits: &&[u8]| digits.iter().all(u8::is_ascii_hexdigit);
        let byte = after.get(..2).filter(|_| first == b'%').filter(is_hex);
        let byte = byte.and_then(|digits| std::str::from_utf8(digits).ok());
        match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                path.push(byte);
                rest = &after[2..];
            }
            None => {
                path.push(first);
                rest = after;
            }
        }
    }
    std::ffi::OsString::from_vec(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_files_are_paths() {
        for (text, path) in [
            ("src/main.rs", "src/main.rs"),
            ("file:///home/u/a%20b.js", "/home/u/a b.js"),
            ("file:///100%/x%+4%4", "/100%/x%+4%4"),
            ("/a%20b.c", "/a%20b.c"),
        ] {
            assert_eq!(path_of(text), PathBuf::from(path), "{text}");
        }
    }

    #[test]
    fn devices_and_folders_are_no_sources() {
        for path in ["/dev/zero", "/", "/nonesuch", "file:///dev/zero"] {
            assert_eq!(read(path), None, "{path}");
        }
    }
}
