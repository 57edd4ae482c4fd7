//! A fixed amount of hashing, for `scripts/compare-versions.sh fnv OLD NEW`.

use std::hash::Hasher;

fn main() {
    let bytes: Vec<u8> = (0..4_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut table = fnv::FnvHashMap::default();
    for round in 0..10_000_u64 {
        let mut hasher = fnv::FnvHasher::default();
        hasher.write(&bytes);
        hasher.write_u64(round);
        *table.entry(hasher.finish() % 1_000).or_insert(0_u64) += 1;
    }
    println!("{}", table.values().max().copied().unwrap_or(0));
}
