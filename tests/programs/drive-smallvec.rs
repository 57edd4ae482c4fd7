//! A fixed amount of short lists, for `scripts/compare-versions.sh smallvec OLD NEW`.

use smallvec::SmallVec;

fn main() {
    let mut seed = 88_172_645_463_325_252_u64;
    let mut sum = 0_u64;
    for _ in 0..500_000 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let mut list: SmallVec<[u64; 8]> = SmallVec::new();
        for item in 0..seed % 14 {
            list.push(item ^ seed);
        }
        list.extend([1, 2, 3]);
        list.insert(1, seed);
        list.retain(|item| *item % 3 != 0);
        sum = sum.wrapping_add(list.iter().sum::<u64>());
    }
    println!("{sum}");
}
