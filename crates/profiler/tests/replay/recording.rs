//! Writes recordings as perf does, from values.

use std::io::Write as _;

pub(crate) const IP: u64 = 1;
pub(crate) const TID: u64 = 2;
pub(crate) const TIME: u64 = 4;
pub(crate) const CALLCHAIN: u64 = 32;
pub(crate) const ID: u64 = 64;
pub(crate) const CPU: u64 = 128;
pub(crate) const PERIOD: u64 = 256;
pub(crate) const KERNEL_MARKER: u64 = -128_i64 as u64;
pub(crate) const USER_MARKER: u64 = -512_i64 as u64;

/// What samples have in these recordings, and what others have at their end.
const SAMPLE_TYPE: u64 = IP | TID | TIME | CALLCHAIN | ID | CPU | PERIOD;
const SAMPLE_ID_ALL: u64 = 1 << 18;

/// A recording to be written.
#[derive(Default, Clone)]
pub(crate) struct Recording {
    pub(crate) records: Vec<Vec<u8>>,
}

/// How it is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    File,
    Pipe,
    Compressed,
}

pub(crate) const FORMS: [Form; 3] = [Form::File, Form::Pipe, Form::Compressed];

fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_ne_bytes()).collect()
}

fn record(kind: u32, misc: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_ne_bytes().to_vec();
    bytes.extend(misc.to_ne_bytes());
    bytes.extend(u16::try_from(body.len() + 8).unwrap().to_ne_bytes());
    bytes.extend(body);
    bytes
}

fn padded(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize((bytes.len() + 1).next_multiple_of(8), 0);
    bytes
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// One software event; `config` 0 is the CPU clock.
fn attr(config: u64) -> Vec<u8> {
    let mut attr = words(&[pair(1, 136), config, 1_000, SAMPLE_TYPE, 0, SAMPLE_ID_ALL]);
    attr.resize(136, 0);
    attr
}

impl Recording {
    /// A record that is no sample, with its trailer: thread, time, id, cpu.
    pub(crate) fn other(
        &mut self,
        kind: u32,
        misc: u16,
        time_ns: u64,
        mut body: Vec<u8>,
    ) -> &mut Self {
        body.extend(words(&[0, time_ns, 1, 0]));
        self.records.push(record(kind, misc, &body));
        self
    }

    /// Kinds that only perf writes have no trailer.
    pub(crate) fn of_perf(&mut self, kind: u32, body: &[u8]) -> &mut Self {
        self.records.push(record(kind, 0, body));
        self
    }

    pub(crate) fn comm(&mut self, time_ns: u64, id: u32, name: &str, exec: bool) -> &mut Self {
        let mut body = words(&[pair(id, id)]);
        body.extend(padded(name));
        self.other(3, u16::from(exec) << 13, time_ns, body)
    }

    pub(crate) fn fork(&mut self, time_ns: u64, id: u32, parent: u32) -> &mut Self {
        let body = words(&[pair(id, parent), pair(id, parent), time_ns]);
        self.other(7, 0, time_ns, body)
    }

    /// A process that ran before the recording, as perf tells of it.
    pub(crate) fn found(&mut self, id: u32, parent: u32, name: &str) -> &mut Self {
        let body = words(&[pair(id, parent), pair(id, parent), 0]);
        self.other(7, 1 << 13, 0, body).comm(0, id, name, false)
    }

    pub(crate) fn mmap(&mut self, time_ns: u64, id: u32, start: u64, path: &str) -> &mut Self {
        let mut body = words(&[pair(id, id), start, 0x1000, 0, 0, 7, 0, pair(5, 2)]);
        body.extend(padded(path));
        self.other(10, 2, time_ns, body)
    }

    /// A sample of event `event` (1 or 2) with the chain as the kernel gives it.
    pub(crate) fn sample(&mut self, time_ns: u64, event: u64, id: u32, chain: &[u64]) -> &mut Self {
        let mut body = words(&[0x99, pair(id, id), time_ns, event, 0, 1_000]);
        body.extend(words(&[chain.len() as u64]));
        body.extend(words(chain));
        self.records.push(record(9, 2, &body));
        self
    }

    pub(crate) fn round(&mut self) -> &mut Self {
        self.of_perf(68, &[])
    }

    /// All of it as bytes, with two events: the CPU clock and page faults.
    pub(crate) fn bytes(&self, form: Form) -> Vec<u8> {
        let attrs = [attr(0), attr(2)];
        let mut data: Vec<u8> = self.records.concat();
        if form == Form::Pipe {
            let mut bytes = b"PERFILE2".to_vec();
            bytes.extend(words(&[16]));
            for (i, attr) in (1..).zip(&attrs) {
                let mut body = attr.clone();
                body.extend(words(&[i]));
                bytes.extend(record(64, 0, &body));
            }
            bytes.extend(data);
            return bytes;
        }
        if form == Form::Compressed {
            let mut stream = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
            stream.write_all(&data).unwrap();
            let packed = stream.finish().unwrap();
            let pieces = packed.chunks(97).map(|piece| record(81, 0, piece));
            data = pieces.collect::<Vec<_>>().concat();
        }
        let ids_at = 104;
        let attrs_at = ids_at + 16;
        let data_at = attrs_at + 2 * 152;
        let mut bytes = b"PERFILE2".to_vec();
        bytes.extend(words(&[104, 152, attrs_at, 2 * 152, data_at]));
        bytes.extend(words(&[data.len() as u64, 0, 0, 0, 0, 0, 0]));
        bytes.extend(words(&[1, 2]));
        for (i, attr) in (0..).zip(&attrs) {
            bytes.extend(attr);
            bytes.extend(words(&[ids_at + 8 * i, 8]));
        }
        bytes.extend(data);
        bytes
    }
}
