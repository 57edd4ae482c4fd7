//! From the first record to the last.

use hotproof_profile::{Sink, SinkError, Unit, Weight};
use rustc_hash::FxHashMap;

use super::alike::Alike;
use super::attr::Attr;
use super::error::ReplayError;
use super::header::{self, Form, Header, RecordHeader};
use super::inflate::Inflate;
use super::observe::Observer;
use super::order::Waiting;
use super::record;
use super::source::{Fields, Source};
use super::{Counted, Imported, Options, meta};
use crate::binary::Unwinding;

/// Kinds that perf itself writes (`enum perf_user_event_type` of `tools/lib/perf`).
mod kind {
    pub(super) const FIRST_OF_PERF: u32 = 64;
    pub(super) const HEADER_ATTR: u32 = 64;
    pub(super) const TRACING_DATA: u32 = 66;
    pub(super) const BUILD_ID: u32 = 67;
    pub(super) const FINISHED_ROUND: u32 = 68;
    pub(super) const AUXTRACE: u32 = 71;
    pub(super) const HEADER_FEATURE: u32 = 80;
    pub(super) const COMPRESSED: u32 = 81;
    pub(super) const COMPRESSED_PADDED: u32 = 83;
    /// The last kind that we have heard of.
    pub(super) const LAST_OF_PERF: u32 = 83;
}

/// Reads one recording.
pub(super) struct Reader<'o> {
    options: &'o Options,
    header: Header,
    by_id: FxHashMap<u64, usize>,
    chosen: Option<usize>,
    observer: Observer<'o>,
    waiting: Waiting,
    inflate: Option<Inflate>,
    counted: Counted,
    skipped: Vec<u64>,
    /// Where the record at hand is in the file.
    at: u64,
    /// Records that the observer has seen.
    seen: u64,
}

/// What follows a record.
enum Next {
    /// The next record, behind so many bytes that are none.
    Behind(u64),
    /// Nothing that can be read.
    Broken,
}

impl<'o> Reader<'o> {
    /// Reads all of it.
    pub(super) fn read(
        mut source: Source<'_>,
        options: &'o Options,
        alike: Option<&'o mut Alike<'o>>,
    ) -> Result<Imported, ReplayError> {
        let header = header::read(&mut source)?;
        check_architecture(&header.features.arch)?;
        let unwinding = unwinding(&header.attrs);
        let mut reader = Reader {
            options,
            waiting: Waiting::with_room(source.len(), options.most_waiting_bytes),
            header,
            by_id: FxHashMap::default(),
            chosen: None,
            observer: Observer::new(unwinding, options.rows, alike),
            inflate: None,
            counted: Counted::default(),
            skipped: Vec::new(),
            at: 0,
            seen: 0,
        };
        reader
            .observer
            .add_build_ids(&reader.header.features.build_ids);
        reader.events_changed();
        if reader.header.form == Form::File {
            reader.choose()?;
        }
        reader.records(&mut source)?;
        reader.finish()
    }

    /// Goes through the records of the file.
    fn records(&mut self, source: &mut Source<'_>) -> Result<(), ReplayError> {
        let promised = self.header.data.end;
        let end = promised.min(source.len());
        let mut offset = self.header.data.start;
        while offset < end {
            let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
            let header = source.at(offset, RecordHeader::BYTES.min(left))?;
            let whole_header = header.len() == RecordHeader::BYTES;
            let Some(header) = RecordHeader::parse(header) else {
                if whole_header {
                    self.counted.broken_at = Some(offset);
                }
                break;
            };
            let size = usize::from(header.size);
            let record = source.at(offset, size)?;
            if record.len() < size || left < size {
                break;
            }
            let next = self.record(offset, header, &record[RecordHeader::BYTES..])?;
            offset += size as u64;
            match next {
                Next::Behind(skip) => offset = offset.saturating_add(skip),
                Next::Broken => {
                    self.counted.broken_at = Some(offset - size as u64);
                    break;
                }
            }
        }
        if self.counted.broken_at.is_none() && offset < promised && promised < u64::MAX {
            self.counted.missing_bytes = promised - offset;
        } else if promised == u64::MAX && offset < end {
            // The last record of a recorder that was killed.
            self.counted.missing_bytes = 1;
        }
        Ok(())
    }

    fn record(
        &mut self,
        offset: u64,
        header: RecordHeader,
        body: &[u8],
    ) -> Result<Next, ReplayError> {
        self.at = offset;
        match header.kind {
            kind::COMPRESSED => self.inflate(offset, body),
            kind::COMPRESSED_PADDED => {
                // The length of the data, then the data, then zeros.
                let mut fields = Fields(body);
                let data = fields
                    .u64()
                    .and_then(|len| fields.bytes(usize::try_from(len).ok()?));
                match data {
                    Some(data) => self.inflate(offset, data),
                    None => Ok(Next::Broken),
                }
            }
            _ => self.plain(header, body),
        }
    }

    fn inflate(&mut self, offset: u64, mut input: &[u8]) -> Result<Next, ReplayError> {
        // Taken out, because its records are handed to the rest of `self`.
        let Some(mut inflate) = self.inflate.take().or_else(Inflate::new) else {
            return Ok(Next::Broken);
        };
        loop {
            let more = inflate.feed(&mut input);
            loop {
                match inflate.next() {
                    Ok(Some((header, body))) => {
                        // Compressed records within compressed ones are nobody's.
                        self.plain(header, body)?;
                    }
                    Ok(None) => break,
                    Err(_) => return Ok(Next::Broken),
                }
            }
            if inflate.inflated_bytes > self.options.most_inflated_bytes {
                return Err(ReplayError::Limit {
                    what: "the bytes of decompressed records",
                    limit: self.options.most_inflated_bytes,
                    offset,
                });
            }
            match more {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => return Ok(Next::Broken),
            }
        }
        self.inflate = Some(inflate);
        Ok(Next::Behind(0))
    }

    fn plain(&mut self, header: RecordHeader, body: &[u8]) -> Result<Next, ReplayError> {
        if header.kind < kind::FIRST_OF_PERF {
            self.kernel_record(header, body)?;
            return Ok(Next::Behind(0));
        }
        let mut fields = Fields(body);
        match header.kind {
            kind::HEADER_ATTR => self.add_event(body),
            kind::BUILD_ID => {
                let known = self.header.features.build_ids.len();
                self.header.features.add_build_id(header.misc, body);
                let new = &self.header.features.build_ids[known..];
                self.observer.add_build_ids(new);
            }
            kind::HEADER_FEATURE => {
                if let Some(number) = fields.u64().and_then(|n| u32::try_from(n).ok()) {
                    let known = self.header.features.build_ids.len();
                    self.header.features.add(number, fields.0)?;
                    check_architecture(&self.header.features.arch)?;
                    self.header.features.name_events(&mut self.header.attrs);
                    let new = &self.header.features.build_ids[known..];
                    self.observer.add_build_ids(new);
                }
            }
            kind::FINISHED_ROUND => self.deliver(None)?,
            // Raw data of that length follows the record, not counted in its size.
            kind::AUXTRACE => return Ok(Next::Behind(fields.u64().unwrap_or(0))),
            kind::TRACING_DATA => {
                let len = u64::from(fields.u32().unwrap_or(0));
                return Ok(Next::Behind(len.next_multiple_of(8)));
            }
            other if other > kind::LAST_OF_PERF => self.count_unknown(other),
            _ => {}
        }
        Ok(Next::Behind(0))
    }

    fn kernel_record(&mut self, header: RecordHeader, body: &[u8]) -> Result<(), ReplayError> {
        if header.kind == 0 || header.kind > record::LAST_KERNEL_KIND {
            self.count_unknown(header.kind);
            return Ok(());
        }
        if !record::is_needed(header.kind) {
            return Ok(());
        }
        let is_sample = header.kind == record::SAMPLE;
        if is_sample {
            let event = self.event_of(body);
            if self.chosen.is_none() {
                self.choose()?;
            }
            if event.is_none() || event != self.chosen {
                self.skip(event);
                return Ok(());
            }
        }
        let time_ns = self.time_of(is_sample, body);
        // Those without a time hold from the beginning: perf wrote them for what was there before.
        if time_ns == 0 || time_ns == u64::MAX {
            return self.seeing().observe(0, header, body);
        }
        self.waiting.push(time_ns, header, body);
        match self.waiting.is_full() {
            true => self.deliver(Some(self.waiting.middle_ns())),
            false => Ok(()),
        }
    }

    /// What the observer needs to see a record.
    fn seeing(&mut self) -> Seeing<'_, 'o> {
        Seeing {
            observer: &mut self.observer,
            counted: &mut self.counted,
            seen: &mut self.seen,
            attr: attr_of(&self.header.attrs, self.chosen),
            most_row_bytes: self.options.most_row_bytes,
            at: self.at,
        }
    }

    /// The time on the event's clock; 0 when it has none.
    fn time_of(&self, is_sample: bool, body: &[u8]) -> u64 {
        let attr = attr_of(&self.header.attrs, self.chosen);
        let at = if is_sample {
            attr.time_in_sample()
        } else {
            let back = attr.time_in_trailer();
            back.and_then(|back| body.len().checked_sub(back))
        };
        let field = at.and_then(|at| Fields(body.get(at..)?).u64());
        field.unwrap_or(0)
    }

    /// Which event a sample is of; `None` when its number is nobody's.
    fn event_of(&self, body: &[u8]) -> Option<usize> {
        let attrs = &self.header.attrs;
        let at = attrs.first().and_then(Attr::id_in_sample);
        match (attrs.len(), at) {
            (0, _) => None,
            (1, _) | (_, None) => Some(0),
            (_, Some(at)) => {
                let id = Fields(body.get(at..)?).u64()?;
                self.by_id.get(&id).copied()
            }
        }
    }

    fn skip(&mut self, event: Option<usize>) {
        match event {
            Some(event) => {
                let len = self.skipped.len().max(event + 1);
                self.skipped.resize(len, 0);
                self.skipped[event] += 1;
            }
            None => self.counted.undecodable += 1,
        }
    }

    fn count_unknown(&mut self, kind: u32) {
        /// So many kinds are told apart; a broken file has more.
        const MOST_KINDS: usize = 256;
        if self.counted.unknown.len() < MOST_KINDS || self.counted.unknown.contains_key(&kind) {
            *self.counted.unknown.entry(kind).or_default() += 1;
        } else {
            self.counted.undecodable += 1;
        }
    }

    /// Takes an event of a pipe: its attribute, whose size is its second field, and its ids.
    fn add_event(&mut self, body: &[u8]) {
        let size = Fields(body.get(4..).unwrap_or_default()).u32();
        let parts = size.and_then(|size| body.split_at_checked(size as usize));
        let Some((mut attr, ids)) = parts.and_then(|(attr, ids)| Some((Attr::parse(attr)?, ids)))
        else {
            self.counted.undecodable += 1;
            return;
        };
        if self.header.attrs.len() as u64 >= header::MOST_EVENTS {
            self.counted.undecodable += 1;
            return;
        }
        attr.ids = header::words_of(ids);
        self.header.attrs.push(attr);
        self.events_changed();
        let unwinding = unwinding(&self.header.attrs);
        self.observer.set_unwinding(unwinding);
    }

    fn events_changed(&mut self) {
        for (event, attr) in self.header.attrs.iter().enumerate() {
            let ids = attr.ids.iter();
            self.by_id.extend(ids.map(|&id| (id, event)));
        }
    }

    /// Settles whose samples are read.
    fn choose(&mut self) -> Result<(), ReplayError> {
        let attrs = &self.header.attrs;
        let chosen = match &self.options.event {
            None => {
                let first = attrs.iter().position(Attr::samples);
                first.ok_or(ReplayError::NoSamplingEvent {
                    events: attrs.len(),
                })?
            }
            Some(wanted) => {
                let named = attrs.iter().position(|attr| attr.title() == *wanted);
                let titles: Vec<String> = attrs.iter().map(Attr::title).collect();
                named.ok_or_else(|| ReplayError::NoSuchEvent {
                    wanted: wanted.clone(),
                    known: titles.join(", "),
                })?
            }
        };
        self.chosen = Some(chosen);
        let (name, unit) = attrs[chosen].weight();
        let weight = |name: &str, unit| Weight {
            name: name.to_owned(),
            unit,
        };
        let weights = [weight("samples", Unit::Count), weight(&name, unit)];
        self.observer.profile.weights(&weights).map_err(refused)
    }

    /// Hands records to the observer: those of a finished round, or up to a time.
    fn deliver(&mut self, until_ns: Option<u64>) -> Result<(), ReplayError> {
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut seeing = self.seeing();
        let take = |time_ns, header, body: &[u8]| seeing.observe(time_ns, header, body);
        let outcome = match until_ns {
            None => waiting.finish_round(take),
            Some(until_ns) => waiting.flush(until_ns, take),
        };
        self.waiting = waiting;
        outcome
    }

    fn finish(mut self) -> Result<Imported, ReplayError> {
        self.deliver(Some(u64::MAX))?;
        self.observer.settle().map_err(refused)?;
        if self.chosen.is_none() {
            self.choose()?;
        }
        for (event, &samples) in self.skipped.iter().enumerate().filter(|(_, n)| **n > 0) {
            let title = self.header.attrs[event].title();
            *self.counted.other_events.entry(title).or_default() += samples;
        }
        self.counted.late = self.waiting.late;
        self.counted.cut_chains = self.observer.cut_chains;
        self.observer.name_kernel_symbols();
        let attr = attr_of(&self.header.attrs, self.chosen);
        let meta = meta::meta(&self.header, attr, &self.observer, &self.counted);
        let mut profile = self.observer.profile;
        profile.meta = meta;
        Ok(Imported {
            profile,
            counted: self.counted,
        })
    }
}

/// An observer and what it is told with each record.
struct Seeing<'r, 'o> {
    observer: &'r mut Observer<'o>,
    counted: &'r mut Counted,
    seen: &'r mut u64,
    attr: &'r Attr,
    most_row_bytes: u64,
    at: u64,
}

impl Seeing<'_, '_> {
    fn observe(
        &mut self,
        time_ns: u64,
        header: RecordHeader,
        body: &[u8],
    ) -> Result<(), ReplayError> {
        /// A record is 64 KiB at most, so little is held beyond the limits between two looks.
        const BETWEEN_LOOKS: u64 = 1024;
        let (attr, counted) = (self.attr, &mut *self.counted);
        let observed = self.observer.observe(time_ns, header, body, attr, counted);
        observed.map_err(refused)?;
        *self.seen += 1;
        match self.seen.is_multiple_of(BETWEEN_LOOKS) {
            true => self.observer.check_limits(self.most_row_bytes, self.at),
            false => Ok(()),
        }
    }
}

/// The event whose layout holds for records; before any is known, one without fields.
fn attr_of(attrs: &[Attr], chosen: Option<usize>) -> &Attr {
    static NONE: std::sync::LazyLock<Attr> = std::sync::LazyLock::new(Attr::default);
    attrs.get(chosen.unwrap_or(0)).unwrap_or(&NONE)
}

/// perf names a machine as `uname -m` does; nothing is known of a recording that does not say.
fn check_architecture(recorded: &str) -> Result<(), ReplayError> {
    let here = std::env::consts::ARCH;
    match recorded {
        "" => Ok(()),
        same if same == here => Ok(()),
        other => Err(ReplayError::OtherArchitecture {
            recorded: other.to_owned(),
            here,
        }),
    }
}

fn unwinding(attrs: &[Attr]) -> Unwinding {
    match attrs.iter().any(Attr::copies_stack) {
        true => Unwinding::Needed,
        false => Unwinding::No,
    }
}

/// A profile takes every row; its interface allows for sinks that do not.
fn refused(source: SinkError) -> ReplayError {
    ReplayError::Io {
        offset: 0,
        source: std::io::Error::other(source),
    }
}
