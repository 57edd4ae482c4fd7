//! A checksum over everything (Adler-32, as in zlib).

/// The largest prime below 65,536.
const PRIME: u32 = 65_521;

/// The checksum of `bytes`.
pub fn adler32(bytes: &[u8]) -> u32 {
    let mut sum = 1;
    let mut sum_of_sums = 0;
    for &byte in bytes {
        sum = (sum + u32::from(byte)) % PRIME;
        sum_of_sums = (sum_of_sums + sum) % PRIME;
    }
    sum_of_sums << 16 | sum
}
