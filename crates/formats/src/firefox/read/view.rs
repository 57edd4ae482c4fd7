//! Stacks, frames, functions and native symbols of a thread.

use hotproof_profile::*;

use super::damaged;
use super::document::{
    Column, FrameTable, FuncTable, NativeSymbols, ResourceTable, Sources, StackTable, Tables,
    ThreadRow,
};
use crate::import::{Builder, FramePlace, ImportError, LocationKey};

/// The tables of a thread, wherever they are, and where that is.
pub(super) struct View<'a> {
    version: u64,
    place: String,
    pub(super) is_shared: bool,
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
    pub(super) fn of(
        version: u64,
        shared: Option<&'a Tables>,
        thread: &'a ThreadRow,
        index: usize,
    ) -> Self {
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
    pub(super) fn stacks(
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
