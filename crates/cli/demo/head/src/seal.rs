//! A checksum over everything (Adler-32, as in zlib).

/// The largest prime below 65,536.
const PRIME: u32 = 65_521;

/// As many bytes as both sums can take in before they could overflow 32 bits.
const STRETCH: usize = 5_552;

/// The checksum of `bytes`.
pub fn adler32(bytes: &[u8]) -> u32 {
    let mut sum = 1;
    let mut sum_of_sums = 0;
    for stretch in bytes.chunks(STRETCH) {
        for &byte in stretch {
            sum += u32::from(byte);
            sum_of_sums += sum;
        }
        sum %= PRIME;
        sum_of_sums %= PRIME;
    }
    sum_of_sums << 16 | sum
}
