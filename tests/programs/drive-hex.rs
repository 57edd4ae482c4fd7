//! A fixed amount of hexadecimal text, for `scripts/compare-versions.sh hex OLD NEW`.

fn main() {
    let bytes: Vec<u8> = (0..60_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut sum = 0;
    for _ in 0..60 {
        let text = hex::encode(&bytes);
        let back = hex::decode(&text).expect("what was encoded can be decoded");
        sum += text.len() + usize::from(back[back.len() / 2]);
    }
    println!("{sum}");
}
