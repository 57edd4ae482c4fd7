//! A fixed amount of string distances, for `scripts/compare-versions.sh strsim OLD NEW`.

fn main() {
    let words: Vec<String> = words(200);
    let mut edits = 0;
    for a in &words {
        for b in &words {
            edits += strsim::levenshtein(a, b) + strsim::osa_distance(a, b);
            edits += strsim::damerau_levenshtein(a, b);
        }
    }
    println!("{edits}");
}

/// Words made of syllables, always the same ones.
fn words(number: usize) -> Vec<String> {
    const SYLLABLES: [&str; 8] = ["ka", "lo", "mir", "ten", "su", "vei", "dra", "po"];
    let mut seed = 88_172_645_463_325_252_u64;
    let mut roll = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    let mut word = || (0..3 + roll() % 5).map(|_| SYLLABLES[roll() % 8]).collect();
    (0..number).map(|_| word()).collect()
}
