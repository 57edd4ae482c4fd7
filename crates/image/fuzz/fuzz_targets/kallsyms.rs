//! Any text as the kernel's list of symbols.

#![no_main]

use std::path::Path;

use hotproof_image::kernel::Kallsyms;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &str)| {
    let (address, text) = input;
    if let Ok(list) = Kallsyms::parse(Path::new("fuzzed"), text.to_owned()) {
        let _ = list.lookup(address);
        let _ = list.lookup(u64::MAX);
    }
});
