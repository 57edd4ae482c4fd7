//! The Firefox Profiler's JSON as a profile.

use hotproof_profile::*;
use serde::Deserialize;
use serde_json::Value;

use super::{OLDEST, VERSION};
use crate::import::{Builder, Format, FramePlace, ImportError, Limits, LocationKey, image_kind};
use crate::json::{self, Number};

type Column = Option<Vec<Option<Number>>>;

#[derive(Deserialize)]
struct File {
    meta: MetaRow,
    #[serde(default)]
    libs: Option<Vec<Lib>>,
    #[serde(default)]
    shared: Option<Tables>,
    threads: Vec<ThreadRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetaRow {
    #[serde(default)]
    preprocessed_profile_version: Option<u64>,
    #[serde(default)]
    interval: Option<Number>,
    #[serde(default)]
    start_time: Option<Number>,
    #[serde(default)]
    product: Option<String>,
    #[serde(default)]
    imported_from: Option<String>,
    #[serde(default)]
    sample_units: Option<SampleUnits>,
}

#[derive(Deserialize)]
struct SampleUnits {
    #[serde(rename = "threadCPUDelta", default)]
    thread_cpu_delta: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lib {
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    code_id: Option<String>,
}

/// Tables that newer versions share between threads, and older ones have in each thread.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Tables {
    #[serde(default)]
    stack_table: Option<StackTable>,
    #[serde(default)]
    frame_table: Option<FrameTable>,
    #[serde(default)]
    func_table: Option<FuncTable>,
    #[serde(default)]
    resource_table: Option<ResourceTable>,
    #[serde(default)]
    native_symbols: Option<NativeSymbols>,
    #[serde(default)]
    sources: Option<Sources>,
    #[serde(default)]
    string_array: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StackTable {
    frame: Vec<Number>,
    #[serde(default)]
    prefix: Column,
    #[serde(default)]
    prefix_offset: Column,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FrameTable {
    func: Vec<Number>,
    #[serde(default)]
    flags: Column,
    #[serde(default)]
    address: Column,
    #[serde(default)]
    inline_depth: Column,
    #[serde(default)]
    lib: Column,
    #[serde(default)]
    native_symbol: Column,
    #[serde(default)]
    line: Column,
    #[serde(default)]
    column: Column,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FuncTable {
    name: Vec<Number>,
    #[serde(default)]
    flags: Column,
    #[serde(default)]
    resource: Column,
    #[serde(default)]
    source: Column,
    #[serde(default)]
    file_name: Column,
    #[serde(default)]
    line_number: Column,
}

#[derive(Deserialize)]
struct ResourceTable {
    #[serde(default)]
    lib: Column,
    #[serde(default)]
    name: Column,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NativeSymbols {
    #[serde(default)]
    lib_index: Column,
    #[serde(default)]
    address: Column,
    #[serde(default)]
    name: Column,
    #[serde(default)]
    function_size: Column,
}

#[derive(Deserialize)]
struct Sources {
    #[serde(default)]
    filename: Column,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThreadRow {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    process_name: Option<String>,
    #[serde(default)]
    pid: Value,
    #[serde(default)]
    tid: Value,
    samples: SamplesRow,
    #[serde(default)]
    stack_table: Option<StackTable>,
    #[serde(default)]
    frame_table: Option<FrameTable>,
    #[serde(default)]
    func_table: Option<FuncTable>,
    #[serde(default)]
    resource_table: Option<ResourceTable>,
    #[serde(default)]
    native_symbols: Option<NativeSymbols>,
    #[serde(default)]
    string_array: Option<Vec<String>>,
    #[serde(default)]
    markers: Option<MarkersRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SamplesRow {
    #[serde(default)]
    stack: Column,
    #[serde(default)]
    time: Column,
    #[serde(default)]
    time_deltas: Column,
    #[serde(default)]
    weight: Column,
    #[serde(default)]
    weight_type: Option<String>,
    #[serde(rename = "threadCPUDelta", default)]
    thread_cpu_delta: Column,
}

#[derive(Deserialize)]
struct MarkersRow {
    #[serde(default)]
    length: Option<u64>,
}

fn damaged(path: String, what: impl Into<String>) -> ImportError {
    json::damaged(Format::Firefox, path, what)
}

/// Only the version, so that a file of another version is refused for that and nothing else.
#[derive(Deserialize)]
struct Head {
    meta: HeadMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadMeta {
    #[serde(default)]
    preprocessed_profile_version: Option<Number>,
    #[serde(default)]
    version: Option<Number>,
}

/// Reads a file; also says what the profile cannot carry.
///
/// # Errors
/// [`ImportError::Damaged`] with the place of what is no JSON, of a version that is not read, is
/// missing, or refers to something that does not exist.
pub(crate) fn read(bytes: &[u8], limits: Limits) -> Result<(Profile, Vec<String>), ImportError> {
    let head: Head = json::parse(Format::Firefox, bytes)?;
    check_version(&head.meta)?;
    let file: File = json::parse(Format::Firefox, bytes)?;
    let version = file.meta.preprocessed_profile_version.unwrap_or(0);
    let columns = Columns::of(&file)?;
    let mut builder = Builder::new(limits, columns.weights.clone());
    let images = add_images(&mut builder, file.libs.as_deref().unwrap_or_default())?;
    let mut dropped = Vec::new();
    let markers = file
        .threads
        .iter()
        .filter_map(|thread| thread.markers.as_ref()?.length);
    let markers = markers.fold(0u64, u64::saturating_add);
    if markers > 0 {
        dropped.push(format!("{markers} markers"));
    }
    let shared = file.shared.as_ref();
    let mut resolved: Option<Vec<StackId>> = None;
    let mut rounded = 0;
    for (index, thread) in file.threads.iter().enumerate() {
        let tables = View::of(version, shared, thread, index);
        let own;
        let stacks = if tables.is_shared {
            if resolved.is_none() {
                resolved = Some(tables.stacks(&mut builder, &images)?);
            }
            resolved.as_deref().unwrap_or_default()
        } else {
            own = tables.stacks(&mut builder, &images)?;
            &own
        };
        rounded += add_thread(&mut builder, &columns, thread, index, stacks)?;
    }
    if rounded > 0 {
        dropped.push(format!(
            "fractions of {rounded} weights, which were rounded"
        ));
    }
    let mut profile = builder.finish()?;
    add_meta(&mut profile, &file.meta);
    Ok((profile, dropped))
}

fn check_version(meta: &HeadMeta) -> Result<(), ImportError> {
    let place = "meta.preprocessedProfileVersion";
    let Some(version) = meta.preprocessed_profile_version else {
        let what = match meta.version {
            Some(version) => format!(
                "this is an unprocessed Gecko profile (version {version}); open it in the \
                 Firefox Profiler and save it there"
            ),
            None => "there is no version; the first versions of the format are not read".to_owned(),
        };
        return Err(damaged(place.to_owned(), what));
    };
    let whole = version.index().unwrap_or(0);
    if (OLDEST..=VERSION).contains(&whole) {
        return Ok(());
    }
    let what = format!(
        "version {version} of the processed format is not read, only {OLDEST} to {VERSION}; \
         another version of the Firefox Profiler can save it anew"
    );
    Err(damaged(place.to_owned(), what))
}

/// Which weights the file has, and in which columns they go.
struct Columns {
    weights: Vec<Weight>,
    /// Column and factor of each thread's weights.
    threads: Vec<(usize, u32)>,
    /// Column and factor of CPU times.
    cpu: Option<(usize, u32)>,
}

impl Columns {
    fn of(file: &File) -> Result<Self, ImportError> {
        let mut weights: Vec<Weight> = Vec::new();
        let mut threads = Vec::new();
        for (index, thread) in file.threads.iter().enumerate() {
            let kind = thread.samples.weight_type.as_deref().unwrap_or("samples");
            let (name, unit, factor) = match kind {
                "samples" => ("samples", Unit::Count, 1),
                "tracing-ms" => ("time", Unit::Nanoseconds, 1_000_000),
                "bytes" => ("bytes", Unit::Bytes, 1),
                other => {
                    let what = format!("`{other}` is no type of weights");
                    return Err(damaged(
                        format!("threads[{index}].samples.weightType"),
                        what,
                    ));
                }
            };
            let known = weights.iter().position(|weight| weight.unit == unit);
            let column = known.unwrap_or_else(|| {
                let name = name.to_owned();
                weights.push(Weight { name, unit });
                weights.len() - 1
            });
            threads.push((column, factor));
        }
        let units = file.meta.sample_units.as_ref();
        let factor = match units.and_then(|units| units.thread_cpu_delta.as_deref()) {
            Some("ns") => Some(1),
            Some("µs" | "us") => Some(1_000),
            Some("ms") => Some(1_000_000),
            // Cycles of unknown speed are no time.
            _ => None,
        };
        let mut rows = file.threads.iter();
        let has_cpu = rows.any(|thread| thread.samples.thread_cpu_delta.is_some());
        let is_time = weights
            .iter()
            .any(|weight| weight.unit == Unit::Nanoseconds);
        let factor = factor.filter(|_| has_cpu && !is_time);
        if factor.is_some() {
            weights.push(Weight {
                name: "cpu".to_owned(),
                unit: Unit::Nanoseconds,
            });
        }
        Ok(Columns {
            cpu: factor.map(|factor| (weights.len() - 1, factor)),
            weights,
            threads,
        })
    }
}

fn add_images(builder: &mut Builder, libs: &[Lib]) -> Result<Vec<ImageId>, ImportError> {
    let mut images = Vec::new();
    for lib in libs {
        let path = lib.path.as_deref().filter(|path| !path.is_empty());
        let path = path.or(lib.name.as_deref()).unwrap_or("[unknown]");
        let build_id = lib
            .code_id
            .as_deref()
            .and_then(bytes_of_hex)
            .unwrap_or_default();
        let text = builder.text(path)?;
        builder.budget.take(size_of::<Image>() + build_id.len())?;
        images.push(builder.profile.images.push(Image {
            path: text,
            build_id,
            kind: image_kind(path),
        }));
    }
    Ok(images)
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).ok())
        .collect()
}

/// The tables of a thread, wherever they are, and where that is.
struct View<'a> {
    version: u64,
    place: String,
    is_shared: bool,
    stacks: Option<&'a StackTable>,
    frames: Option<&'a FrameTable>,
    funcs: Option<&'a FuncTable>,
    resources: Option<&'a ResourceTable>,
    symbols: Option<&'a NativeSymbols>,
    sources: Option<&'a Sources>,
    strings: &'a [String],
}

/// A row of the function table: its function, unless it has no name, and its image.
type Func = (Option<FunctionId>, Option<ImageId>);

/// What is known of a row of the frame table.
#[derive(Clone)]
struct FrameRow {
    function: Option<FunctionId>,
    place: FramePlace,
    image: Option<ImageId>,
    address: Option<u64>,
    symbol: Option<SymbolId>,
    inlined: bool,
}

/// Frames of one address, outermost first, and the stack that calls them.
#[derive(Clone)]
struct Group {
    below: Option<StackId>,
    frames: Vec<usize>,
}

/// More inlined functions at one address than this are taken for calls.
const MAX_INLINED: usize = 256;

impl<'a> View<'a> {
    fn of(version: u64, shared: Option<&'a Tables>, thread: &'a ThreadRow, index: usize) -> Self {
        let common = shared;
        let is_shared = thread.stack_table.is_none();
        let strings = thread.string_array.as_deref();
        let strings = strings.or_else(|| common?.string_array.as_deref());
        View {
            version,
            place: if is_shared {
                "shared".to_owned()
            } else {
                format!("threads[{index}]")
            },
            is_shared,
            stacks: thread
                .stack_table
                .as_ref()
                .or_else(|| common?.stack_table.as_ref()),
            frames: thread
                .frame_table
                .as_ref()
                .or_else(|| common?.frame_table.as_ref()),
            funcs: thread
                .func_table
                .as_ref()
                .or_else(|| common?.func_table.as_ref()),
            resources: thread
                .resource_table
                .as_ref()
                .or_else(|| common?.resource_table.as_ref()),
            symbols: thread
                .native_symbols
                .as_ref()
                .or_else(|| common?.native_symbols.as_ref()),
            sources: common.and_then(|tables| tables.sources.as_ref()),
            strings: strings.unwrap_or_default(),
        }
    }

    fn error(&self, place: &str, what: impl Into<String>) -> ImportError {
        damaged(format!("{}.{place}", self.place), what)
    }

    /// The value of a row of a column; `None` when it is null, negative, or there is no column.
    fn value(column: &Column, row: usize) -> Option<u64> {
        column.as_ref()?.get(row).copied()??.index()
    }

    /// As [`View::value`], for columns that have a flag since some version.
    fn flagged(
        &self,
        column: &Column,
        row: usize,
        flags: &Column,
        bit: u64,
        since: u64,
    ) -> Option<u64> {
        if self.version >= since && Self::value(flags, row).unwrap_or(0) & bit == 0 {
            return None;
        }
        Self::value(column, row)
    }

    fn text(&self, index: Option<u64>, place: impl Fn() -> String) -> Result<&'a str, ImportError> {
        let position = index.and_then(|index| usize::try_from(index).ok());
        let text = position.and_then(|index| self.strings.get(index));
        text.map(String::as_str).ok_or_else(|| {
            let count = self.strings.len();
            let index = index.map_or("null".to_owned(), |index| index.to_string());
            self.error(&place(), format!("text {index} of {count} texts"))
        })
    }

    fn image(
        &self,
        images: &[ImageId],
        index: u64,
        place: impl Fn() -> String,
    ) -> Result<ImageId, ImportError> {
        let image = usize::try_from(index)
            .ok()
            .and_then(|index| images.get(index));
        image.copied().ok_or_else(|| {
            self.error(
                &place(),
                format!("library {index} of {} libraries", images.len()),
            )
        })
    }

    /// The profile's stack of each row of the stack table.
    fn stacks(
        &self,
        builder: &mut Builder,
        images: &[ImageId],
    ) -> Result<Vec<StackId>, ImportError> {
        let Some(table) = self.stacks else {
            return Ok(Vec::new());
        };
        let functions = self.functions(builder, images)?;
        let frames = self.frame_rows(builder, images, &functions)?;
        let prefix = if table.prefix_offset.is_some() {
            &table.prefix_offset
        } else {
            &table.prefix
        };
        let mut groups: Vec<Group> = Vec::new();
        let mut stacks: Vec<StackId> = Vec::new();
        for (row, &frame) in table.frame.iter().enumerate() {
            let index = frame.index().and_then(|index| usize::try_from(index).ok());
            let Some(index) = index.filter(|&index| index < frames.len()) else {
                let what = format!("frame {frame} of {} frames", frames.len());
                return Err(self.error(&format!("stackTable.frame[{row}]"), what));
            };
            let caller = self.caller(row, prefix, table.prefix_offset.is_some())?;
            let group = match caller {
                Some(caller) if continues(&frames, &groups[caller], index) => {
                    let mut group = groups[caller].clone();
                    group.frames.push(index);
                    group
                }
                _ => Group {
                    below: caller.map(|caller| stacks[caller]),
                    frames: vec![index],
                },
            };
            builder
                .budget
                .take(size_of::<Group>() + size_of_val(group.frames.as_slice()))?;
            let location = location(builder, &frames, &group)?;
            stacks.push(builder.stack(group.below, location)?);
            groups.push(group);
        }
        Ok(stacks)
    }

    /// The row of the caller, which always comes earlier.
    fn caller(
        &self,
        row: usize,
        column: &Column,
        is_offset: bool,
    ) -> Result<Option<usize>, ImportError> {
        let Some(value) = column.as_ref().and_then(|column| *column.get(row)?) else {
            return Ok(None);
        };
        let index = value.index().and_then(|index| usize::try_from(index).ok());
        let caller = match (index, is_offset) {
            (Some(0), true) => return Ok(None),
            (Some(offset), true) => row.checked_sub(offset),
            (Some(caller), false) => Some(caller).filter(|&caller| caller < row),
            (None, _) => None,
        };
        let name = if is_offset { "prefixOffset" } else { "prefix" };
        caller.map(Some).ok_or_else(|| {
            let what = format!("{value} does not lead to an earlier stack");
            self.error(&format!("stackTable.{name}[{row}]"), what)
        })
    }

    fn functions(
        &self,
        builder: &mut Builder,
        images: &[ImageId],
    ) -> Result<Vec<Func>, ImportError> {
        let Some(table) = self.funcs else {
            return Ok(Vec::new());
        };
        let mut functions = Vec::new();
        for (row, &name) in table.name.iter().enumerate() {
            let place = |column: &str| format!("funcTable.{column}[{row}]");
            let flagged = |column, bit| self.flagged(column, row, &table.flags, bit, 75);
            let name = self.text(name.index(), || place("name"))?;
            let file = match flagged(&table.source, 8) {
                Some(source) => Some(self.source(source, || place("source"))?),
                None => match Self::value(&table.file_name, row) {
                    Some(file) => Some(self.text(Some(file), || place("fileName"))?),
                    None => None,
                },
            };
            let line = flagged(&table.line_number, 16).and_then(|line| u32::try_from(line).ok());
            let image = match flagged(&table.resource, 4) {
                Some(resource) => self.resource_image(images, resource)?,
                None => None,
            };
            let image_name = image.map(|image| {
                let path = builder.profile.images[image].path;
                format!("[{}]", file_name(&builder.profile.strings[path]))
            });
            // Names that stand for no name, ours and those of profiles without symbols.
            let unnamed = name == "[unknown]" || image_name.as_deref() == Some(name);
            let is_address = image.is_some() && is_hexadecimal(name);
            let function = if unnamed || is_address {
                None
            } else {
                let row = Function {
                    name: builder.text(name)?,
                    linkage_name: builder.text("")?,
                    file: file.map(|file| builder.text(file)).transpose()?,
                    line,
                    image,
                    source: Source::Import,
                };
                Some(builder.function_row(row)?)
            };
            functions.push((function, image));
        }
        Ok(functions)
    }

    fn source(&self, row: u64, place: impl Fn() -> String) -> Result<&'a str, ImportError> {
        let index = usize::try_from(row).ok();
        let name = index
            .zip(self.sources)
            .and_then(|(index, sources)| Self::value(&sources.filename, index));
        self.text(name, place)
    }

    /// The image of a resource; versions since 70 have none, and name the library in frames alone.
    fn resource_image(
        &self,
        images: &[ImageId],
        resource: u64,
    ) -> Result<Option<ImageId>, ImportError> {
        let Some((table, row)) = self.resources.zip(usize::try_from(resource).ok()) else {
            return Ok(None);
        };
        match Self::value(&table.lib, row) {
            Some(lib) => {
                let place = || format!("resourceTable.lib[{row}]");
                self.image(images, lib, place).map(Some)
            }
            None => {
                // Our own files have a resource for each library, at the same position.
                let rows = table.name.as_ref().map_or(0, Vec::len);
                Ok(images.get(row).copied().filter(|_| rows == images.len()))
            }
        }
    }

    fn frame_rows(
        &self,
        builder: &mut Builder,
        images: &[ImageId],
        functions: &[Func],
    ) -> Result<Vec<FrameRow>, ImportError> {
        let Some(table) = self.frames else {
            return Ok(Vec::new());
        };
        let symbols = self.native_symbols(builder, images)?;
        builder
            .budget
            .take(table.func.len() * size_of::<FrameRow>())?;
        let mut rows = Vec::new();
        for (row, &func) in table.func.iter().enumerate() {
            let place = |column: &str| format!("frameTable.{column}[{row}]");
            let index = func.index().and_then(|index| usize::try_from(index).ok());
            let Some(&(function, func_image)) = index.and_then(|index| functions.get(index)) else {
                let what = format!("function {func} of {} functions", functions.len());
                return Err(self.error(&place("func"), what));
            };
            let flagged = |column, bit| self.flagged(column, row, &table.flags, bit, 71);
            let number = |value: Option<u64>| value.and_then(|value| u32::try_from(value).ok());
            let address = flagged(&table.address, 2);
            let lib = address.and(flagged(&table.lib, 2));
            let image = match lib {
                Some(lib) => Some(self.image(images, lib, || place("lib"))?),
                None => func_image,
            };
            let symbol = flagged(&table.native_symbol, 8);
            let symbol = symbol.and_then(|symbol| {
                symbols
                    .get(usize::try_from(symbol).ok()?)
                    .copied()
                    .flatten()
            });
            let inlined = if self.version >= 71 {
                Self::value(&table.flags, row).unwrap_or(0) & 1 != 0
            } else {
                Self::value(&table.inline_depth, row).unwrap_or(0) > 0
            };
            rows.push(FrameRow {
                function,
                place: FramePlace {
                    line: number(flagged(&table.line, 16)),
                    column: number(flagged(&table.column, 32)),
                    file: None,
                },
                image,
                address,
                symbol,
                inlined,
            });
        }
        Ok(rows)
    }

    fn native_symbols(
        &self,
        builder: &mut Builder,
        images: &[ImageId],
    ) -> Result<Vec<Option<SymbolId>>, ImportError> {
        let Some(table) = self.symbols else {
            return Ok(Vec::new());
        };
        let mut symbols = Vec::new();
        for row in 0..table.name.as_ref().map_or(0, Vec::len) {
            let name = Self::value(&table.name, row);
            let name = self.text(name, || format!("nativeSymbols.name[{row}]"))?;
            let lib = Self::value(&table.lib_index, row);
            let Some((lib, address)) = lib.zip(Self::value(&table.address, row)) else {
                symbols.push(None);
                continue;
            };
            let image = self.image(images, lib, || format!("nativeSymbols.libIndex[{row}]"))?;
            builder.budget.take(size_of::<Symbol>())?;
            let symbol = Symbol {
                image,
                linkage_name: builder.text(name)?,
                address,
                size: Self::value(&table.function_size, row).unwrap_or(0),
            };
            symbols.push(Some(builder.profile.symbols.push(symbol)));
        }
        Ok(symbols)
    }
}

fn is_hexadecimal(name: &str) -> bool {
    let digits = name.strip_prefix("0x").unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a frame is inlined into the innermost one of a group.
fn continues(frames: &[FrameRow], group: &Group, index: usize) -> bool {
    let Some(&inner) = group.frames.last() else {
        return false;
    };
    let (outer, frame) = (&frames[inner], &frames[index]);
    let is_one_image = frame.image.is_none() || outer.image == frame.image;
    let is_same = outer.address == frame.address && is_one_image;
    let is_named = outer.function.is_some() && frame.function.is_some();
    frame.inlined && is_same && is_named && group.frames.len() < MAX_INLINED
}

/// The location of a group of frames.
fn location(
    builder: &mut Builder,
    frames: &[FrameRow],
    group: &Group,
) -> Result<LocationId, ImportError> {
    let outermost = &frames[group.frames[0]];
    let innermost_first = group.frames.iter().rev().map(|&index| &frames[index]);
    let named = innermost_first.filter_map(|frame| Some((frame.function?, frame.place)));
    let key = LocationKey {
        image: outermost.image,
        address: outermost.address.unwrap_or(0),
        // Addresses in the file lie in the call already.
        kind: AddressKind::Adjusted,
        frames: named.collect(),
    };
    let is_lookup = key.frames.is_empty() && outermost.address.is_some();
    let before = builder.profile.locations.len();
    let id = builder.location(key)?;
    if builder.profile.locations.len() > before {
        let row = &mut builder.profile.locations[id];
        row.symbol = outermost.symbol;
        if is_lookup {
            row.state = LocationState::Unresolved;
        }
    }
    Ok(id)
}

/// Adds the samples of a thread; returns how many weights had to be rounded.
fn add_thread(
    builder: &mut Builder,
    columns: &Columns,
    thread: &ThreadRow,
    index: usize,
    stacks: &[StackId],
) -> Result<u64, ImportError> {
    let place = |column: &str, row: usize| format!("threads[{index}].samples.{column}[{row}]");
    let table = &thread.samples;
    let rows = table.stack.as_deref().unwrap_or_default();
    let lengths = [
        ("time", &table.time),
        ("timeDeltas", &table.time_deltas),
        ("weight", &table.weight),
        ("threadCPUDelta", &table.thread_cpu_delta),
    ];
    for (name, column) in lengths {
        if column
            .as_ref()
            .is_some_and(|column| column.len() != rows.len())
        {
            let length = column.as_ref().map_or(0, Vec::len);
            let what = format!("{length} values for {} samples", rows.len());
            return Err(damaged(format!("threads[{index}].samples.{name}"), what));
        }
    }
    let id = add_thread_row(builder, thread)?;
    let (column, factor) = columns.threads[index];
    let mut clock = 0.0;
    let mut rounded = 0;
    for (row, &stack) in rows.iter().enumerate() {
        let stack = match stack {
            None => None,
            Some(number) => {
                let position = number.index().and_then(|index| usize::try_from(index).ok());
                let stack = position.and_then(|index| stacks.get(index)).copied();
                let what = || format!("stack {number} of {} stacks", stacks.len());
                Some(stack.ok_or_else(|| damaged(place("stack", row), what()))?)
            }
        };
        let cell = |column: &Column| column.as_ref().and_then(|column| column[row]);
        let scaled = |number: Option<Number>, name: &str, factor: u32| match number {
            None => Ok(None),
            Some(number) => number.scaled(factor).map(Some).ok_or_else(|| {
                damaged(
                    place(name, row),
                    format!("{number} is too large for 64 bits"),
                )
            }),
        };
        let mut weights = vec![0; columns.weights.len()];
        let weight = scaled(cell(&table.weight), "weight", factor)?;
        weights[column] = weight.map_or(i64::from(factor), |weight| weight.value);
        if table.weight.is_some() && weight.is_none() {
            weights[column] = 0;
        }
        rounded += u64::from(weight.is_some_and(|weight| weight.rounded));
        if let Some((column, factor)) = columns.cpu {
            let delta = scaled(cell(&table.thread_cpu_delta), "threadCPUDelta", factor)?;
            weights[column] = delta.map_or(0, |delta| delta.value);
        }
        let time = match cell(&table.time) {
            Some(time) => scaled(Some(time), "time", 1_000_000)?.map_or(0, |time| time.value),
            None => {
                clock += match cell(&table.time_deltas) {
                    Some(Number::Whole(delta)) => delta as f64,
                    Some(Number::Real(delta)) => delta,
                    None => 0.0,
                };
                // A float that is out of range becomes the end of the range.
                (clock * 1e6).round() as i64
            }
        };
        builder.sample(&Sample {
            thread: id,
            time_ns: u64::try_from(time).unwrap_or(0),
            stack,
            weights: &weights,
            cpu: None,
            end: StackEnd::Unknown,
            labels: None,
        })?;
    }
    Ok(rounded)
}

fn add_thread_row(builder: &mut Builder, thread: &ThreadRow) -> Result<ThreadId, ImportError> {
    // `12.1` is the second exec image of process 12, as our own writer spells it.
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.split('.').next().and_then(|text| text.parse().ok()),
        _ => None,
    };
    let number = |value| {
        number(value)
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(0)
    };
    let name = match thread.name.as_deref() {
        Some("all threads") | None => "",
        Some(name) => name,
    };
    let process_name = thread.process_name.as_deref().unwrap_or_default();
    let process = builder.process(number(&thread.pid), process_name)?;
    builder.thread(process, number(&thread.tid), name)
}

fn add_meta(profile: &mut Profile, meta: &MetaRow) {
    let is_ours = meta
        .imported_from
        .as_deref()
        .is_some_and(|from| from.starts_with("hotproof"));
    let product = meta
        .product
        .as_ref()
        .filter(|product| !(is_ours && *product == "profile"));
    profile.meta.command.extend(product.cloned());
    let start = meta.start_time.and_then(|start| start.scaled(1_000_000));
    let start = start.and_then(|start| u64::try_from(start.value).ok());
    profile.meta.started_unix_ns = start.filter(|&start| start > 0);
    let interval = match meta.interval {
        Some(Number::Whole(interval)) => interval as f64,
        Some(Number::Real(interval)) => interval,
        None => 0.0,
    };
    let rate = (1000.0 / interval).round();
    let is_rate = interval > 0.0 && (1.0..1e9).contains(&rate);
    profile.meta.rate_hz = is_rate.then_some(rate as u64);
}
