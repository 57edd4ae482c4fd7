//! Perf maps: `START SIZE name` in hexadecimal, a line for each function.
//!
//! The convention is that of perf's documentation, `jit-interface.txt`; some writers put `0x` in
//! front of the numbers.

use std::io::{BufRead, BufReader, Read};

use super::code_map::{Collector, LONGEST_NAME_BYTES};

/// A map is not read beyond this many bytes.
const LARGEST_MAP_BYTES: u64 = 1 << 30;
/// Longer lines are cut: two numbers and a name.
const LONGEST_LINE_BYTES: u64 = LONGEST_NAME_BYTES as u64 + 64;

/// Reads a map; what is told is what was wrong with it, `None` when nothing was.
pub(crate) fn read(file: impl Read, into: &mut Collector) -> Option<String> {
    let mut file = BufReader::new(file.take(LARGEST_MAP_BYTES));
    let (mut line, mut read, mut skipped) = (Vec::new(), 0u64, 0u64);
    loop {
        line.clear();
        let count = (&mut file)
            .take(LONGEST_LINE_BYTES)
            .read_until(b'\n', &mut line);
        match count {
            Ok(0) => break,
            Ok(count) => read += count as u64,
            Err(error) => return Some(format!("after {read} bytes: {error}")),
        }
        if line.last() != Some(&b'\n') && line.len() as u64 == LONGEST_LINE_BYTES {
            match file.skip_until(b'\n') {
                Ok(count) => read += count as u64,
                Err(error) => return Some(format!("after {read} bytes: {error}")),
            }
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let Some((start, size, name)) = parse_line(line) else {
            skipped += 1;
            continue;
        };
        let has_room = into.text(name).map(|name| into.add(start, size, name, &[]));
        if has_room != Some(true) {
            return Some(format!(
                "it has more than {} functions or more text than is kept",
                into.len()
            ));
        }
    }
    if read >= LARGEST_MAP_BYTES {
        return Some(format!("only its first {read} bytes are read"));
    }
    (skipped > 0).then(|| format!("{skipped} lines are not of the form START SIZE NAME"))
}

fn parse_line(line: &[u8]) -> Option<(u64, u64, &[u8])> {
    let (start, rest) = number(line)?;
    let (size, name) = number(rest)?;
    (!name.is_empty()).then_some((start, size, name))
}

/// A hexadecimal number and what follows the space behind it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(u8::is_ascii_whitespace)?;
    let digits = std::str::from_utf8(&text[..end]).ok()?;
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    let value = u64::from_str_radix(digits, 16).ok()?;
    Some((value, text[end..].trim_ascii_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_text(text: &[u8]) -> (Collector, Option<String>) {
        let mut collector = Collector::default();
        let told = read(text, &mut collector);
        (collector, told)
    }

    #[test]
    fn lines_of_all_writers_are_read_and_the_last_holds() {
        let text =
            b"10 8 first\n0x20 0x10 JS:*fib /w/a b.js:1:13\r\n\nnonsense\n18 4 a\x1bb\n10 4 again";
        let (collector, told) = read_text(text);
        let map = collector.finish();
        let name = |address| map.find(address).map(|entry| entry.name);
        assert_eq!(name(0x10).as_deref(), Some("again"));
        assert_eq!(name(0x14).as_deref(), Some("first"));
        assert_eq!(name(0x19).as_deref(), Some("a\x1bb"));
        assert_eq!(name(0x2f).as_deref(), Some("JS:*fib /w/a b.js:1:13"));
        assert_eq!(
            told.as_deref(),
            Some("1 lines are not of the form START SIZE NAME")
        );
    }

    #[test]
    fn a_line_of_any_length_does_not_hide_the_next() {
        let mut text = b"10 8 ".to_vec();
        text.resize(1 << 20, b'n');
        text.extend(b"\n20 8 next\n");
        let (collector, told) = read_text(&text);
        let map = collector.finish();
        assert_eq!(map.find(0x20).unwrap().name, "next");
        assert!(map.find(0x10).unwrap().name.len() <= LONGEST_NAME_BYTES);
        assert_eq!(told, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read_text(&bytes).0.finish();
        }
    }
}
