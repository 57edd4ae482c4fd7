//! A small packer: what was seen before is replaced by where it was seen (LZ77).

const SHORTEST: usize = 4;
const LONGEST: usize = 255;
const WINDOW: usize = 1 << 16;

/// Packs bytes into a list of literals (0, byte) and copies (length, distance low, distance high).
pub fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut last = vec![usize::MAX; 1 << 15];
    let mut packed = Vec::with_capacity(bytes.len() / 2);
    let mut at = 0;
    while at < bytes.len() {
        let found = earlier(bytes, at, &mut last);
        let (length, distance) = found.unwrap_or((0, 0));
        if length >= SHORTEST {
            packed.push(length as u8);
            packed.extend_from_slice(&(distance as u16).to_le_bytes());
            at += length;
        } else {
            packed.extend_from_slice(&[0, bytes[at]]);
            at += 1;
        }
    }
    packed
}

/// Length and distance of the last place that begins like this one.
fn earlier(bytes: &[u8], at: usize, last: &mut [usize]) -> Option<(usize, usize)> {
    let start = bytes.get(at..at + SHORTEST)?;
    let slot = &mut last[slot_of(start)];
    let before = std::mem::replace(slot, at);
    if before == usize::MAX || at - before >= WINDOW {
        return None;
    }
    Some((matching(&bytes[before..], &bytes[at..]), at - before))
}

fn slot_of(start: &[u8]) -> usize {
    let word = u32::from_le_bytes([start[0], start[1], start[2], start[3]]);
    (word.wrapping_mul(0x9e37_79b1) >> 17) as usize
}

fn matching(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take(LONGEST).take_while(|(x, y)| x == y).count()
}

/// The bytes that were packed.
pub fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::with_capacity(packed.len() * 2);
    let mut at = 0;
    while at < packed.len() {
        let length = usize::from(packed[at]);
        if length == 0 {
            bytes.push(packed[at + 1]);
            at += 2;
        } else {
            let distance = usize::from(u16::from_le_bytes([packed[at + 1], packed[at + 2]]));
            let from = bytes.len() - distance;
            for index in from..from + length {
                bytes.push(bytes[index]);
            }
            at += 3;
        }
    }
    bytes
}
