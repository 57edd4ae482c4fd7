//! A fixed amount of searching, for `scripts/compare-versions.sh memchr OLD NEW`.

fn main() {
    let text = text(400_000);
    let finder = memchr::memmem::Finder::new(b"vei su");
    let mut found = 0;
    for _ in 0..60 {
        found += memchr::memchr_iter(b'u', &text).count();
        found += memchr::memchr2_iter(b'k', b'x', &text).count();
        found += finder.find_iter(&text).count();
        found += memchr::memmem::find_iter(&text, "no such words").count();
    }
    println!("{found}");
}

/// Syllables and blanks, always the same ones.
fn text(length: usize) -> Vec<u8> {
    const SYLLABLES: [&str; 8] = ["ka", "lo", "mir", "ten ", "su", "vei", " ", "po "];
    let mut seed = 88_172_645_463_325_252_u64;
    let mut text = Vec::new();
    while text.len() < length {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        text.extend_from_slice(SYLLABLES[seed as usize % 8].as_bytes());
    }
    text
}
