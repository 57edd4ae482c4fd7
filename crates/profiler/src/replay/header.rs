//! What stands around the records: the file's header, its events and its feature sections (`perf.data-file-format.txt` of the kernel's tools).

use std::ops::Range;

use super::attr::Attr;
use super::error::ReplayError;
use super::source::{Fields, Source, until_zero};

/// How a recording begins, read as bytes.
pub(super) const MAGIC: &[u8; 8] = b"PERFILE2";
/// Size of the header of a file that can be sought in, and of one that came through a pipe.
const FILE_HEADER_BYTES: u64 = 104;
const PIPE_HEADER_BYTES: u64 = 16;
/// Behind each attribute of a file: where its ids are.
const SECTION_BYTES: usize = 16;
/// No feature section of use is larger; a build-id list of 100,000 files is 10 MB.
const MOST_SECTION_BYTES: u64 = 64 << 20;
/// More events than any machine has counters: beyond, the header is broken.
pub(super) const MOST_EVENTS: u64 = 65_536;

/// Numbers of the features that are read (`enum` in `tools/perf/util/header.h`).
mod feature {
    pub(super) const BUILD_ID: u32 = 2;
    pub(super) const OS_RELEASE: u32 = 4;
    pub(super) const ARCH: u32 = 6;
    pub(super) const CPUS: u32 = 7;
    pub(super) const CPU_DESCRIPTION: u32 = 8;
    pub(super) const COMMAND_LINE: u32 = 11;
    pub(super) const EVENTS: u32 = 12;
    pub(super) const DIRECTORY: u32 = 24;
    pub(super) const CLOCK_DATA: u32 = 29;
}

/// How the records are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Events and features have places of their own.
    File,
    /// Everything is a record.
    Pipe,
}

/// What is known besides the records.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) form: Form,
    /// Events; a pipe tells them later.
    pub(super) attrs: Vec<Attr>,
    /// Where the records are, as the header says; the file may be shorter.
    pub(super) data: Range<u64>,
    pub(super) features: Features,
}

/// Facts about the machine and the recording; empty and `None` when not told.
#[derive(Debug, Default)]
pub(super) struct Features {
    pub(super) os_release: String,
    pub(super) arch: String,
    pub(super) cpu_model: String,
    pub(super) cpus: u32,
    pub(super) command: Vec<String>,
    pub(super) build_ids: Vec<BuildId>,
    /// Wall clock and the event's clock at the same moment, both in nanoseconds.
    pub(super) clocks_ns: Option<(u64, u64)>,
    event_names: Vec<(Vec<u64>, String)>,
}

/// One binary that was sampled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BuildId {
    pub(super) path: Vec<u8>,
    pub(super) id: Vec<u8>,
}

/// Reads everything in front of and behind the records.
pub(super) fn read(source: &mut Source<'_>) -> Result<Header, ReplayError> {
    let start = source.at(0, FILE_HEADER_BYTES as usize)?;
    let Some((magic, rest)) = start.split_first_chunk::<8>() else {
        let found = start.to_vec();
        return Err(ReplayError::NotPerfData { found });
    };
    let mut reversed = *magic;
    reversed.reverse();
    if &reversed == MAGIC {
        return Err(ReplayError::OtherByteOrder);
    }
    if magic != MAGIC {
        let found = magic.to_vec();
        return Err(ReplayError::NotPerfData { found });
    }
    let mut fields = Fields(rest);
    let size = fields.u64().unwrap_or(0);
    if size == PIPE_HEADER_BYTES {
        return Ok(Header {
            form: Form::Pipe,
            attrs: Vec::new(),
            data: PIPE_HEADER_BYTES..u64::MAX,
            features: Features::default(),
        });
    }
    let mut words = [0; 11];
    for word in &mut words {
        *word = fields.u64().ok_or_else(|| cut(start_len(rest)))?;
    }
    let [
        attr_size,
        attrs_at,
        attrs_bytes,
        data_at,
        data_bytes,
        _,
        _,
        bits @ ..,
    ] = words;
    if size < FILE_HEADER_BYTES {
        return Err(ReplayError::Header {
            what: "the size of the header",
            offset: 8,
            found: size.to_string(),
            expected: "16 for a pipe or at least 104 for a file",
        });
    }
    let attrs = read_attrs(source, attr_size, attrs_at, attrs_bytes)?;
    // A recorder that was killed leaves the size 0 and no features.
    let data_end = match data_bytes {
        0 => u64::MAX,
        _ => data_at.saturating_add(data_bytes),
    };
    let mut header = Header {
        form: Form::File,
        attrs,
        data: data_at..data_end,
        features: Features::default(),
    };
    if data_bytes > 0 {
        header.features = read_features(source, data_end, bits)?;
        header.features.name_events(&mut header.attrs);
    }
    Ok(header)
}

fn start_len(rest: &[u8]) -> usize {
    rest.len() + MAGIC.len()
}

fn cut(found: usize) -> ReplayError {
    ReplayError::Header {
        what: "the header",
        offset: 0,
        found: format!("{found} bytes"),
        expected: "104 bytes: the file is cut",
    }
}

fn read_attrs(
    source: &mut Source<'_>,
    attr_size: u64,
    at: u64,
    bytes: u64,
) -> Result<Vec<Attr>, ReplayError> {
    let broken = |found: String, expected| ReplayError::Header {
        what: "the list of events",
        offset: at,
        found,
        expected,
    };
    let each = usize::try_from(attr_size).unwrap_or(usize::MAX);
    if !(64 + SECTION_BYTES..=4096).contains(&each) {
        let found = format!("{attr_size} bytes for each event");
        return Err(broken(found, "80 to 4096 bytes"));
    }
    let count = bytes / attr_size;
    if count > MOST_EVENTS {
        return Err(broken(format!("{count} events"), "at most 65536"));
    }
    let mut attrs = Vec::new();
    for i in 0..count {
        let row = source.at(at.saturating_add(i * attr_size), each)?;
        let parsed = row.split_at_checked(each - SECTION_BYTES);
        let parsed = parsed.and_then(|(attr, ids)| Some((Attr::parse(attr)?, ids)));
        let Some((mut attr, ids)) = parsed else {
            return Err(broken("its end in the middle".to_owned(), "whole events"));
        };
        let mut ids = Fields(ids);
        let (ids_at, ids_bytes) = (ids.u64().unwrap_or(0), ids.u64().unwrap_or(0));
        let ids_bytes = usize::try_from(ids_bytes.min(MOST_EVENTS * 8)).unwrap_or(0);
        attr.ids = words_of(source.at(ids_at, ids_bytes)?);
        attrs.push(attr);
    }
    Ok(attrs)
}

pub(super) fn words_of(bytes: &[u8]) -> Vec<u64> {
    let mut fields = Fields(bytes);
    std::iter::from_fn(|| fields.u64()).collect()
}

fn read_features(
    source: &mut Source<'_>,
    mut at: u64,
    bits: [u64; 4],
) -> Result<Features, ReplayError> {
    let mut features = Features::default();
    for number in 0..256u32 {
        if bits[(number / 64) as usize] >> (number % 64) & 1 == 0 {
            continue;
        }
        let mut section = Fields(source.at(at, SECTION_BYTES)?);
        let (Some(start), Some(len)) = (section.u64(), section.u64()) else {
            // A cut file has lost its features; the records tell how much is missing.
            return Ok(features);
        };
        at = at.saturating_add(SECTION_BYTES as u64);
        let len = usize::try_from(len.min(MOST_SECTION_BYTES)).unwrap_or(0);
        features.add(number, source.at(start, len)?)?;
    }
    Ok(features)
}

impl Features {
    /// Takes the contents of one feature; one that is not needed or broken changes nothing.
    pub(super) fn add(&mut self, number: u32, bytes: &[u8]) -> Result<(), ReplayError> {
        let mut fields = Fields(bytes);
        match number {
            feature::BUILD_ID => self.add_build_ids(bytes),
            feature::OS_RELEASE => self.os_release = fields.counted_text().unwrap_or_default(),
            feature::ARCH => self.arch = fields.counted_text().unwrap_or_default(),
            feature::CPU_DESCRIPTION => {
                self.cpu_model = fields.counted_text().unwrap_or_default();
            }
            feature::CPUS => {
                let (available, online) = (fields.u32(), fields.u32());
                self.cpus = online.or(available).unwrap_or(0);
            }
            feature::COMMAND_LINE => {
                let words = fields.u32().unwrap_or(0);
                let texts = (0..words).map_while(|_| fields.counted_text());
                self.command = texts.collect();
            }
            feature::EVENTS => {
                self.add_event_names(fields);
            }
            feature::CLOCK_DATA => {
                let told = (fields.u64(), fields.u64(), fields.u64());
                if let (Some(_), Some(wall), Some(clock)) = told {
                    self.clocks_ns = Some((wall, clock));
                }
            }
            feature::DIRECTORY => return Err(ReplayError::Directory),
            _ => {}
        }
        Ok(())
    }

    fn add_build_ids(&mut self, mut bytes: &[u8]) {
        while let Some(header) = RecordHeader::parse(bytes) {
            let Some((record, rest)) = bytes.split_at_checked(usize::from(header.size)) else {
                break;
            };
            self.add_build_id(header.misc, &record[RecordHeader::BYTES..]);
            bytes = rest;
        }
    }

    /// Takes one row of the list: process, 20 bytes of id and 4 more, path.
    pub(super) fn add_build_id(&mut self, misc: u16, body: &[u8]) {
        /// `PERF_RECORD_MISC_BUILD_ID_SIZE`: the byte behind the id is its length.
        const SIZE_TOLD: u16 = 1 << 15;
        let Some((id, path)) = body.get(4..).and_then(|rest| rest.split_at_checked(24)) else {
            return;
        };
        let len = match misc & SIZE_TOLD {
            0 => 20,
            _ => usize::from(id[20]).min(20),
        };
        self.build_ids.push(BuildId {
            path: until_zero(path).to_vec(),
            id: id[..len].to_vec(),
        });
    }

    fn add_event_names(&mut self, mut fields: Fields<'_>) -> Option<()> {
        let (events, attr_bytes) = (fields.u32()?, fields.u32()?);
        for _ in 0..events {
            fields.bytes(attr_bytes as usize)?;
            let ids = fields.u32()? as usize;
            let name = fields.counted_text()?;
            let ids = words_of(fields.bytes(ids.checked_mul(8)?)?);
            self.event_names.push((ids, name));
        }
        Some(())
    }

    /// Gives events their names: by id, or by place when they have no ids.
    pub(super) fn name_events(&self, attrs: &mut [Attr]) {
        for (i, attr) in attrs.iter_mut().enumerate() {
            let by_id = self.event_names.iter().find(|(ids, _)| {
                let first = ids.first();
                first.is_some_and(|id| attr.ids.contains(id))
            });
            let row = by_id.or_else(|| self.event_names.get(i).filter(|(ids, _)| ids.is_empty()));
            if let Some((_, name)) = row {
                attr.name.clone_from(name);
            }
        }
    }
}

/// In front of every record (`struct perf_event_header`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) kind: u32,
    pub(super) misc: u16,
    /// With this header.
    pub(super) size: u16,
}

impl RecordHeader {
    /// Its own size.
    pub(super) const BYTES: usize = 8;

    /// `None` when bytes are missing or the size is less than the header's.
    pub(super) fn parse(bytes: &[u8]) -> Option<RecordHeader> {
        let mut fields = Fields(bytes);
        let (kind, misc, size) = (fields.u32()?, fields.u16()?, fields.u16()?);
        (usize::from(size) >= Self::BYTES).then_some(RecordHeader { kind, misc, size })
    }
}
