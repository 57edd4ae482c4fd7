//! One line of log to its fields.

/// What a line says.
pub struct Entry<'a> {
    pub address: [u8; 4],
    pub path: &'a str,
    pub status: u16,
    pub time_us: u32,
}

/// The fields of a line, or `None` when it is damaged.
pub fn entry(line: &str) -> Option<Entry<'_>> {
    let mut fields = line.split(' ');
    let _clock: u64 = integer(fields.next()?)?;
    let address = address(fields.next()?)?;
    let _method = fields.next()?;
    let path = fields.next()?;
    let status = u16::try_from(integer(fields.next()?)?).ok()?;
    let time_us = u32::try_from(integer(fields.next()?)?).ok()?;
    Some(Entry { address, path, status, time_us })
}

fn address(text: &str) -> Option<[u8; 4]> {
    let mut parts = [0; 4];
    let mut given = text.split('.');
    for part in &mut parts {
        *part = u8::try_from(integer(given.next()?)?).ok()?;
    }
    given.next().is_none().then_some(parts)
}

fn integer(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0u64, |value, byte| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}
