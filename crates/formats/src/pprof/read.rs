//! pprof's message to a profile.

use hotproof_profile::{
    AddressKind, Claims, Foreign, Function, FunctionId, Image, ImageId, ImageKind, Location,
    LocationId, Mapping, Meta, Profile, Source, Weight,
};
use prost::Message;
use rustc_hash::FxHashMap;

use super::samples::Samples;
use super::units::meaning;
use super::wire::{Broken, Field, Fields, Value};
use super::{comments, schema};
use crate::import::{
    Budget, Builder, Dropped, Format, FramePlace, ImportError, Limits, Place, image_kind,
};

/// Whether bytes are a message whose first fields are those of profile.proto.
pub(crate) fn looks_like(bytes: &[u8]) -> bool {
    const ENOUGH: usize = 32;
    let mut count = 0;
    for field in Fields::of(bytes).take(ENOUGH) {
        let fits = match field {
            Ok(field) => match field.value {
                Value::Bytes(_) => matches!(field.number, 1..=6 | 11 | 13),
                Value::Number(_) => matches!(field.number, 7..=10 | 12..=15),
                Value::Fixed => false,
            },
            // A file that was cut is still one of its kind.
            Err(_) => count > 0,
        };
        if !fits {
            return false;
        }
        count += 1;
    }
    count > 0
}

/// Reads a message that is not compressed; also says what the profile cannot carry.
///
/// # Errors
/// [`ImportError::Damaged`] with the offset of the message that is broken or refers to what the
/// profile does not have.
pub(crate) fn read(bytes: &[u8], limits: Limits) -> Result<(Profile, Vec<String>), ImportError> {
    let mut dropped = Dropped::default();
    let message = Outline::of(bytes, limits, &mut dropped)?;
    let mut builder = Builder::new(limits, message.weights()?);
    builder.profile.meta = message.meta(&mut dropped)?;
    let comments = message.comments()?;
    let ours = comments::restore(&comments, &mut builder.profile.meta);
    if !ours {
        builder.profile.meta.notes = comments.into_iter().map(str::to_owned).collect();
        builder.profile.foreign = Some(message.foreign()?);
    }
    let ids = Ids {
        images: message.images(&mut builder, &mut dropped)?,
        ..Ids::default()
    };
    let ids = message.functions(&mut builder, ids, &mut dropped)?;
    let ids = message.locations(&mut builder, ids, &mut dropped)?;
    let mut samples = Samples::new(&message, &ids.locations, ours)?;
    for &(at, bytes) in &message.samples {
        samples.read(&mut builder, at, bytes, &mut dropped)?;
    }
    let mut profile = builder.finish()?;
    super::owners::find(&mut profile);
    Ok((profile, dropped.into_sentences()))
}

pub(super) fn damaged(at: u64, what: impl Into<String>) -> ImportError {
    ImportError::Damaged {
        format: Format::Pprof,
        place: Place::Byte(at),
        what: what.into(),
    }
}

/// A message within the file: its offset and its bytes.
type Part<'a> = (u64, &'a [u8]);

/// The profile's parts, not decoded yet, and its plain fields.
#[derive(Default)]
pub(super) struct Outline<'a> {
    sample_types: Vec<Part<'a>>,
    samples: Vec<Part<'a>>,
    mappings: Vec<Part<'a>>,
    locations: Vec<Part<'a>>,
    functions: Vec<Part<'a>>,
    texts: Vec<std::borrow::Cow<'a, str>>,
    period_type: Option<Part<'a>>,
    comments: Vec<(u64, i64)>,
    /// Fields 7 to 15 that are numbers; the last of a kind counts, as protobuf says.
    numbers: [(u64, i64); 16],
}

impl<'a> Outline<'a> {
    fn of(bytes: &'a [u8], limits: Limits, dropped: &mut Dropped) -> Result<Self, ImportError> {
        let mut budget = Budget::new(limits);
        let mut outline = Outline::default();
        for field in Fields::of(bytes) {
            let field = field.map_err(|Broken { at, what }| damaged(at, what))?;
            budget.take(size_of::<std::borrow::Cow<'_, str>>())?;
            outline.add(field, dropped)?;
        }
        match outline.texts.first() {
            Some(first) if first.is_empty() => Ok(outline),
            Some(first) => {
                let what = format!("the first text is {first:?}, expected an empty one");
                Err(damaged(0, what))
            }
            None => Err(damaged(bytes.len() as u64, "there is no table of texts")),
        }
    }

    fn add(&mut self, field: Field<'a>, dropped: &mut Dropped) -> Result<(), ImportError> {
        let at = field.at;
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => self.sample_types.push((at, bytes)),
            (2, Value::Bytes(bytes)) => self.samples.push((at, bytes)),
            (3, Value::Bytes(bytes)) => self.mappings.push((at, bytes)),
            (4, Value::Bytes(bytes)) => self.locations.push((at, bytes)),
            (5, Value::Bytes(bytes)) => self.functions.push((at, bytes)),
            (6, Value::Bytes(bytes)) => {
                let text = String::from_utf8_lossy(bytes);
                if matches!(text, std::borrow::Cow::Owned(_)) {
                    dropped.note("bytes of a text that are not UTF-8 were replaced by U+FFFD");
                }
                self.texts.push(text);
            }
            (11, Value::Bytes(bytes)) => self.period_type = Some((at, bytes)),
            (13, Value::Bytes(packed)) => self.add_packed_comments(at, packed)?,
            // Casts keep all 64 bits: the fields are signed.
            (13, Value::Number(text)) => self.comments.push((at, text as i64)),
            (number @ (7..=10 | 12 | 14 | 15), Value::Number(value)) => {
                self.numbers[number as usize] = (at, value as i64);
            }
            (1..=15, _) => {
                return Err(damaged(
                    at,
                    "a field is not of the type that pprof gives it",
                ));
            }
            _ => dropped.note("a field that pprof's schema does not have was left out"),
        }
        Ok(())
    }

    fn add_packed_comments(&mut self, at: u64, packed: &[u8]) -> Result<(), ImportError> {
        let mut rest = packed;
        while !rest.is_empty() {
            let text = prost::encoding::decode_varint(&mut rest);
            let text = text.map_err(|error| damaged(at, error.to_string()))?;
            self.comments.push((at, text as i64));
        }
        Ok(())
    }

    /// The text of this number, which the message at `at` refers to.
    pub(super) fn text(&self, at: u64, number: i64) -> Result<&str, ImportError> {
        let index = usize::try_from(number).ok();
        let text = index.and_then(|index| self.texts.get(index));
        text.map(AsRef::as_ref).ok_or_else(|| {
            let count = self.texts.len();
            damaged(
                at,
                format!("text {number} is referred to, but there are {count}"),
            )
        })
    }

    fn number_text(&self, field: usize) -> Result<String, ImportError> {
        let (at, text) = self.numbers[field];
        Ok(self.text(at, text)?.to_owned())
    }

    /// Names and units of the sample types, as they are spelled.
    pub(super) fn types(&self) -> Result<Vec<(&str, &str)>, ImportError> {
        let types = self.sample_types.iter();
        types.map(|&part| self.value_type(part)).collect()
    }

    fn value_type(&self, (at, bytes): Part<'_>) -> Result<(&str, &str), ImportError> {
        let message: schema::ValueType = decode(at, bytes)?;
        Ok((self.text(at, message.r#type)?, self.text(at, message.unit)?))
    }

    fn weights(&self) -> Result<Vec<Weight>, ImportError> {
        let weight = |(name, unit): (&str, &str)| Weight {
            name: name.to_owned(),
            unit: meaning(unit).0,
        };
        Ok(self.types()?.into_iter().map(weight).collect())
    }

    fn comments(&self) -> Result<Vec<&str>, ImportError> {
        let comments = self.comments.iter();
        comments.map(|&(at, text)| self.text(at, text)).collect()
    }

    fn meta(&self, dropped: &mut Dropped) -> Result<Meta, ImportError> {
        let mut positive = |field: usize, what| {
            let value = u64::try_from(self.numbers[field].1);
            value.unwrap_or_else(|_| {
                dropped.note(what);
                0
            })
        };
        let started = positive(9, "a start before 1970 was left out");
        let duration_ns = positive(10, "a negative duration was left out");
        let period = positive(12, "a negative period was left out");
        let event = self.period_type.map(|part| self.value_type(part));
        let event = event.transpose()?.map_or("", |(event, _)| event);
        Ok(Meta {
            started_unix_ns: (started > 0).then_some(started),
            duration_ns,
            event: event.to_owned(),
            period: (period > 0).then_some(period),
            ..Meta::default()
        })
    }

    fn foreign(&self) -> Result<Foreign, ImportError> {
        let unit = self.period_type.map(|part| self.value_type(part));
        let claims = self.mappings.iter().map(|&(at, bytes)| {
            let message: schema::Mapping = decode(at, bytes)?;
            Ok(Claims {
                functions: message.has_functions,
                files: message.has_filenames,
                lines: message.has_line_numbers,
                inlines: message.has_inline_frames,
            })
        });
        Ok(Foreign {
            doc_url: self.number_text(15)?,
            default_weight: self.number_text(14)?,
            drop_frames: self.number_text(7)?,
            keep_frames: self.number_text(8)?,
            period_unit: unit.transpose()?.map(|(_, unit)| unit.to_owned()),
            weight_units: self
                .types()?
                .iter()
                .map(|(_, unit)| (*unit).to_owned())
                .collect(),
            images: claims.collect::<Result<_, ImportError>>()?,
        })
    }

    /// Each mapping becomes an image that is mapped once.
    fn images(
        &self,
        builder: &mut Builder,
        dropped: &mut Dropped,
    ) -> Result<FxHashMap<u64, Mapped>, ImportError> {
        let mut images = FxHashMap::default();
        for &(at, bytes) in &self.mappings {
            let message: schema::Mapping = decode(at, bytes)?;
            let path = self.text(at, message.filename)?;
            let kind = image_kind(path);
            let path = builder.text(path)?;
            let build_id = unhex(self.text(at, message.build_id)?).unwrap_or_else(|| {
                dropped.note("a build-id that is not in lower case hexadecimal was left out");
                Vec::new()
            });
            builder
                .budget
                .take(size_of::<Image>() + size_of::<Mapping>() + build_id.len())?;
            let image = builder.profile.images.push(Image {
                path,
                build_id,
                kind,
            });
            let process = match kind {
                ImageKind::Kernel => None,
                _ => Some(builder.process(0, "")?),
            };
            builder.profile.mappings.push(Mapping {
                process,
                start: message.memory_start,
                end: message.memory_limit,
                file_offset: message.file_offset,
                image,
                from_ns: 0,
                to_ns: None,
            });
            let mapped = Mapped { image, message };
            unique(
                at,
                "mapping",
                message.id,
                images.insert(message.id, mapped).map(|_| ()),
            )?;
        }
        Ok(images)
    }

    fn functions(
        &self,
        builder: &mut Builder,
        mut ids: Ids,
        dropped: &mut Dropped,
    ) -> Result<Ids, ImportError> {
        for &(at, bytes) in &self.functions {
            let message: schema::Function = decode(at, bytes)?;
            let file = self.text(at, message.filename)?;
            let row = Function {
                name: builder.text(self.text(at, message.name)?)?,
                linkage_name: builder.text(self.text(at, message.system_name)?)?,
                file: (!file.is_empty()).then(|| builder.text(file)).transpose()?,
                line: position(message.start_line, dropped),
                image: None,
                source: Source::Import,
            };
            let id = builder.function_row(row)?;
            unique(
                at,
                "function",
                message.id,
                ids.functions.insert(message.id, id).map(|_| ()),
            )?;
        }
        Ok(ids)
    }

    fn locations(
        &self,
        builder: &mut Builder,
        mut ids: Ids,
        dropped: &mut Dropped,
    ) -> Result<Ids, ImportError> {
        for &(at, bytes) in &self.locations {
            // A line takes two bytes in the file at least.
            let peak = bytes.len() / 2 * size_of::<schema::Line>();
            builder.budget.check(peak)?;
            let message: schema::Location = decode(at, bytes)?;
            if message.is_folded {
                dropped.note("that a location stands for several addresses was left out");
            }
            let id = add_location(builder, &ids, at, &message, dropped)?;
            unique(
                at,
                "location",
                message.id,
                ids.locations.insert(message.id, id).map(|_| ()),
            )?;
        }
        Ok(ids)
    }
}

/// An image and the mapping that it was made from.
#[derive(Clone, Copy)]
struct Mapped {
    image: ImageId,
    message: schema::Mapping,
}

/// Our row of each number of theirs.
#[derive(Default)]
struct Ids {
    images: FxHashMap<u64, Mapped>,
    functions: FxHashMap<u64, FunctionId>,
    locations: FxHashMap<u64, LocationId>,
}

fn add_location(
    builder: &mut Builder,
    ids: &Ids,
    at: u64,
    message: &schema::Location,
    dropped: &mut Dropped,
) -> Result<LocationId, ImportError> {
    let missing = |what: &str, id| {
        damaged(
            at,
            format!("the location is in {what} {id}, which is missing"),
        )
    };
    let mapped = match message.mapping_id {
        0 => None,
        id => Some(ids.images.get(&id).ok_or_else(|| missing("mapping", id))?),
    };
    let relative = mapped.map_or(message.address, |mapped| {
        mapped.relative(builder, message.address)
    });
    let image = mapped.map(|mapped| mapped.image);
    let mut frames = Vec::new();
    for line in &message.line {
        let function = ids.functions.get(&line.function_id);
        let place = FramePlace {
            line: position(line.line, dropped),
            column: position(line.column, dropped),
            file: None,
        };
        frames.push(place.frame(*function.ok_or_else(|| missing("function", line.function_id))?));
    }
    builder
        .budget
        .take(size_of::<Location>() + size_of_val(&frames[..]))?;
    let row = Location::unresolved(image, relative, AddressKind::Adjusted);
    let id = builder.profile.locations.push(row);
    let is_searched = mapped.is_none_or(|mapped| mapped.message.has_functions);
    if !frames.is_empty() || is_searched {
        builder.profile.set_frames(id, &frames);
    }
    Ok(id)
}

impl Mapped {
    /// The inverse of what the writer computes; kernel addresses stay as they are.
    fn relative(&self, builder: &Builder, address: u64) -> u64 {
        if builder.profile.images[self.image].kind == ImageKind::Kernel {
            return address;
        }
        address
            .wrapping_sub(self.message.memory_start)
            .wrapping_add(self.message.file_offset)
    }
}

pub(super) fn decode<M: Message + Default>(at: u64, bytes: &[u8]) -> Result<M, ImportError> {
    M::decode(bytes).map_err(|error| damaged(at, error.to_string()))
}

/// Numbers of rows are unique and not 0.
fn unique(at: u64, what: &str, id: u64, before: Option<()>) -> Result<(), ImportError> {
    if id == 0 {
        return Err(damaged(
            at,
            format!("a {what} has number 0, which stands for none"),
        ));
    }
    match before {
        None => Ok(()),
        Some(_) => Err(damaged(at, format!("{what} {id} comes twice"))),
    }
}

/// A line or a column; 0 is none.
fn position(number: i64, dropped: &mut Dropped) -> Option<u32> {
    if number == 0 {
        return None;
    }
    let position = u32::try_from(number).ok();
    if position.is_none() {
        dropped.note("a line or column that is negative or above 2^32 was left out");
    }
    position
}

/// A build-id in lower case hexadecimal; `None` for another text.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pair = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
    text.as_bytes().chunks(2).map(pair).collect()
}
