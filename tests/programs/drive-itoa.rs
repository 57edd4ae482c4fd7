//! A fixed amount of numbers written, for `scripts/compare-versions.sh itoa OLD NEW`.

fn main() {
    let mut seed = 88_172_645_463_325_252_u64;
    let mut buffer = itoa::Buffer::new();
    let mut length = 0;
    for turn in 0..3_000_000_u32 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        length += buffer.format(seed >> (turn % 60)).len();
        length += buffer.format((seed as i32) >> (turn % 28)).len();
    }
    println!("{length}");
}
