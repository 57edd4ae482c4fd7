//! Texts that outputs are held to. `HOTPROOF_BLESS=1` writes them anew, for a person to read.

use std::fs;
use std::path::Path;

#[track_caller]
pub(crate) fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("HOTPROOF_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text, golden,
        "differs from tests/golden/{name}; HOTPROOF_BLESS=1 writes it anew"
    );
}
