//! Any text as a mangled name: what is read of it is bounded.

#![no_main]

use hotproof_symbolizer::demangle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|name: &str| {
    let read = demangle(name);
    assert!(read.len() <= name.len().max(1 << 17));
});
