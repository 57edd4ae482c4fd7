//! Which format bytes are, by their content alone.

use super::Format;
use crate::native::MAGIC;
use crate::sniff::SNIFF_BYTES;
use crate::{callgrind, folded, json, perf_script, pprof};

/// The format of bytes that are not compressed; `None` when they are none that is known.
///
/// Texts are asked before pprof, whose first byte is a line feed; a text has no control
/// characters but tabs and line ends (and escapes, which names may hold).
pub fn recognise(bytes: &[u8]) -> Option<Format> {
    if bytes.starts_with(&MAGIC) {
        return Some(Format::Native);
    }
    if bytes.starts_with(b"PERFILE2") || bytes.starts_with(b"PERFFILE") {
        return Some(Format::PerfData);
    }
    let first = &bytes[..bytes.len().min(SNIFF_BYTES)];
    // Texts of other kinds may begin with a bracket too, but they are no JSON.
    if first.trim_ascii_start().starts_with(b"{") || first.trim_ascii_start().starts_with(b"[") {
        let format = json::recognise(bytes);
        if format.is_some() {
            return format;
        }
    }
    if is_markup(first) {
        return None;
    }
    if is_text(first) {
        let text = String::from_utf8_lossy(bytes_of_lines(bytes));
        return recognise_text(&text);
    }
    pprof::looks_like(bytes).then_some(Format::Pprof)
}

/// A picture or a page: its lines may look like anything, and none of them is meant.
fn is_markup(first: &[u8]) -> bool {
    let start = first.trim_ascii_start();
    let begins = |mark: &&[u8]| {
        let start = start.get(..mark.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(mark))
    };
    let marks: [&[u8]; 4] = [b"<?xml", b"<svg", b"<!doctype", b"<html"];
    marks.iter().any(begins)
}

fn is_text(first: &[u8]) -> bool {
    let is_control = |byte: &u8| *byte < 0x20 && !b"\t\n\r\x1b".contains(byte);
    !first.is_empty() && !first.iter().any(is_control)
}

/// Enough for a long header, and no more: recognising does not read a whole file.
fn bytes_of_lines(bytes: &[u8]) -> &[u8] {
    const TEXT_BYTES: usize = 256 << 10;
    &bytes[..bytes.len().min(TEXT_BYTES)]
}

fn recognise_text(text: &str) -> Option<Format> {
    if callgrind::looks_like(text) {
        Some(Format::Callgrind)
    } else if perf_script::looks_like(text) {
        Some(Format::PerfScript)
    } else if folded::looks_like(text) {
        Some(Format::Folded)
    } else {
        None
    }
}
