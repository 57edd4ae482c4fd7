//! CRC-32 (IEEE 802.3, reflected, polynomial 0xedb88320), the checksum of `.gnu_debuglink`.

const TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0u32; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let mut value = i as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (0xedb8_8320 & (value & 1).wrapping_neg());
            bit += 1;
        }
        tables[0][i] = value;
        i += 1;
    }
    let mut i = 0;
    while i < 256 {
        let mut k = 1;
        while k < 8 {
            let previous = tables[k - 1][i];
            tables[k][i] = (previous >> 8) ^ tables[0][(previous & 0xff) as usize];
            k += 1;
        }
        i += 1;
    }
    tables
}

/// The CRC-32 (IEEE 802.3) of `data`, eight bytes at a time, because debug files are large.
pub fn crc32(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    let mut chunks = data.chunks_exact(8);
    for chunk in &mut chunks {
        let low = crc.to_le_bytes();
        crc = 0;
        for (i, &byte) in chunk.iter().enumerate() {
            let mixed = if i < 4 { byte ^ low[i] } else { byte };
            crc ^= TABLES[7 - i][usize::from(mixed)];
        }
    }
    for &byte in chunks.remainder() {
        crc = (crc >> 8) ^ TABLES[0][usize::from((crc as u8) ^ byte)];
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn agrees_with_published_check_values() {
        // The check value of CRC-32/ISO-HDLC, and the empty message.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
        assert_eq!(
            crc32(b"The quick brown fox jumps over the lazy dog"),
            0x414f_a339
        );
    }
}
