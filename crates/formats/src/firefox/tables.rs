//! The tables that a file shares between its threads, as columns.

use hotproof_profile::*;
use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::viewer;

/// What a row of the frame table has; bits as the format numbers them.
mod frame_flag {
    pub(super) const INLINED: u8 = 1;
    pub(super) const ADDRESS: u8 = 2;
    pub(super) const CATEGORY: u8 = 4;
    pub(super) const SYMBOL: u8 = 8;
    pub(super) const LINE: u8 = 16;
    pub(super) const COLUMN: u8 = 32;
}

/// What a row of the function table has.
mod func_flag {
    pub(super) const RESOURCE: u8 = 4;
    pub(super) const SOURCE: u8 = 8;
    pub(super) const LINE: u8 = 16;
}

/// Positions in the list of categories that the writer gives.
pub(super) const USER: u32 = 1;
pub(super) const KERNEL: u32 = 2;

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shared {
    stack_table: StackTable,
    frame_table: FrameTable,
    func_table: FuncTable,
    resource_table: ResourceTable,
    native_symbols: NativeSymbols,
    sources: Sources,
    source_location_table: SourceLocations,
    string_array: Vec<String>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct StackTable {
    frame: Vec<u32>,
    /// How many rows back the caller is; 0 at the root.
    prefix_offset: Vec<u32>,
    length: usize,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct FrameTable {
    flags: Vec<u8>,
    address: Vec<u32>,
    category: Vec<u32>,
    subcategory: Vec<u32>,
    func: Vec<u32>,
    lib: Vec<u32>,
    native_symbol: Vec<u32>,
    #[serde(rename = "innerWindowID")]
    inner_window_id: Vec<u32>,
    line: Vec<u32>,
    column: Vec<u32>,
    original_location: Vec<u32>,
    length: usize,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct FuncTable {
    flags: Vec<u8>,
    name: Vec<u32>,
    resource: Vec<u32>,
    source: Vec<u32>,
    line_number: Vec<u32>,
    column_number: Vec<u32>,
    original_location: Vec<u32>,
    length: usize,
}

#[derive(Serialize, Default)]
struct ResourceTable {
    name: Vec<u32>,
    host: Vec<Option<u32>>,
    #[serde(rename = "type")]
    kind: Vec<u32>,
    length: usize,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct NativeSymbols {
    lib_index: Vec<u32>,
    address: Vec<u32>,
    name: Vec<u32>,
    function_size: Vec<i64>,
    length: usize,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Sources {
    id: Vec<Option<u32>>,
    filename: Vec<u32>,
    start_line: Vec<u32>,
    start_column: Vec<u32>,
    #[serde(rename = "sourceMapURL")]
    source_map_url: Vec<Option<u32>>,
    content: Vec<Option<u32>>,
    length: usize,
}

#[derive(Serialize, Default)]
struct SourceLocations {
    source: Vec<u32>,
    line: Vec<u32>,
    column: Vec<u32>,
    length: usize,
}

/// Fills the tables; each location and each stack of the profile is added once.
pub(super) struct Tables<'a> {
    profile: &'a Profile,
    inline: Inline,
    pub(super) shared: Shared,
    texts: FxHashMap<String, u32>,
    functions: FxHashMap<Code, u32>,
    sources: FxHashMap<StringId, u32>,
    symbols: FxHashMap<SymbolId, u32>,
    /// Frame rows of each location, outermost first.
    locations: FxHashMap<LocationId, std::ops::Range<u32>>,
    stacks: Vec<Option<u32>>,
    /// The stack of a sample without one.
    nowhere: Option<u32>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(profile: &'a Profile, inline: Inline) -> Self {
        let mut tables = Tables {
            profile,
            inline,
            shared: Shared::default(),
            texts: FxHashMap::default(),
            functions: FxHashMap::default(),
            sources: FxHashMap::default(),
            symbols: FxHashMap::default(),
            locations: FxHashMap::default(),
            stacks: vec![None; profile.stacks.len()],
            nowhere: None,
        };
        for image in profile.images.rows() {
            // A resource for each image, at the same position.
            let path = &profile.strings[image.path];
            let name = tables.text(file_name(path));
            let table = &mut tables.shared.resource_table;
            table.name.push(name);
            table.host.push(None);
            table.kind.push(1);
            table.length += 1;
        }
        tables
    }

    pub(super) fn text(&mut self, text: &str) -> u32 {
        if let Some(&known) = self.texts.get(text) {
            return known;
        }
        let next = self.shared.string_array.len() as u32;
        self.shared.string_array.push(text.to_owned());
        self.texts.insert(text.to_owned(), next);
        next
    }

    /// The row of a stack, after those of its callers.
    pub(super) fn stack(&mut self, stack: Option<StackId>) -> u32 {
        let Some(stack) = stack else {
            return self.nowhere();
        };
        let mut chain = Vec::new();
        let mut next = Some(stack);
        let mut row = None;
        while let Some(id) = next {
            row = self.stacks[id.index()];
            if row.is_some() {
                break;
            }
            chain.push(id);
            next = self.profile.stacks[id].parent;
        }
        for id in chain.into_iter().rev() {
            let frames = self.location(self.profile.stacks[id].location);
            for frame in frames {
                row = Some(self.push_stack(row, frame));
            }
            self.stacks[id.index()] = row;
        }
        row.expect("a stack has at least one frame")
    }

    fn push_stack(&mut self, parent: Option<u32>, frame: u32) -> u32 {
        let table = &mut self.shared.stack_table;
        let row = table.length as u32;
        table.frame.push(frame);
        table
            .prefix_offset
            .push(parent.map_or(0, |parent| row - parent));
        table.length += 1;
        row
    }

    fn nowhere(&mut self) -> u32 {
        if let Some(row) = self.nowhere {
            return row;
        }
        let func = self.function(Code::Unmapped);
        let frame = self.push_frame(&FrameRow {
            func,
            ..FrameRow::default()
        });
        let row = self.push_stack(None, frame);
        self.nowhere = Some(row);
        row
    }

    fn location(&mut self, id: LocationId) -> std::ops::Range<u32> {
        if let Some(known) = self.locations.get(&id) {
            return known.clone();
        }
        let start = self.shared.frame_table.length as u32;
        let row = &self.profile.locations[id];
        let code: Vec<Code> = self.profile.code_at(id, self.inline).collect();
        for (from_end, &code) in code.iter().rev().enumerate() {
            let frame = matches!(code, Code::Function(_))
                .then(|| row.frame_ids().nth_back(from_end))
                .flatten()
                .map(|id| &self.profile.frames[id]);
            let func = self.function(code);
            let frame = FrameRow {
                func,
                inlined: from_end > 0,
                address: u32::try_from(row.lookup_address()).ok(),
                image: row.image,
                symbol: row.symbol.and_then(|symbol| self.symbol(symbol)),
                line: frame.and_then(|frame| frame.line),
                column: frame.and_then(|frame| frame.column),
            };
            self.push_frame(&frame);
        }
        let range = start..self.shared.frame_table.length as u32;
        self.locations.insert(id, range.clone());
        range
    }

    fn push_frame(&mut self, row: &FrameRow) -> u32 {
        let kind = row.image.map(|image| self.profile.images[image].kind);
        let category = match kind {
            Some(ImageKind::Kernel | ImageKind::Module) => Some(KERNEL),
            Some(_) => Some(USER),
            None => None,
        };
        let address = row.address.filter(|_| row.image.is_some());
        let flag = |holds: bool, flag: u8| if holds { flag } else { 0 };
        let table = &mut self.shared.frame_table;
        table.flags.push(
            flag(row.inlined, frame_flag::INLINED)
                | flag(address.is_some(), frame_flag::ADDRESS)
                | flag(category.is_some(), frame_flag::CATEGORY)
                | flag(row.symbol.is_some(), frame_flag::SYMBOL)
                | flag(row.line.is_some(), frame_flag::LINE)
                | flag(row.column.is_some(), frame_flag::COLUMN),
        );
        table.address.push(address.unwrap_or(0));
        table.category.push(category.unwrap_or(0));
        table.subcategory.push(0);
        table.func.push(row.func);
        let lib = row.image.filter(|_| address.is_some());
        table.lib.push(lib.map_or(0, |image| image.0));
        table.native_symbol.push(row.symbol.unwrap_or(0));
        table.inner_window_id.push(0);
        table.line.push(row.line.unwrap_or(0));
        table.column.push(row.column.unwrap_or(0));
        table.original_location.push(0);
        table.length += 1;
        table.length as u32 - 1
    }

    fn function(&mut self, code: Code) -> u32 {
        if let Some(&known) = self.functions.get(&code) {
            return known;
        }
        let profile = self.profile;
        let name = self.text(&profile.code_name(code));
        let (file, line) = match code {
            Code::Function(id) => (profile.functions[id].file, profile.functions[id].line),
            Code::Unnamed(_) | Code::Unmapped => (None, None),
        };
        let source = file.map(|file| self.source(file));
        let resource = viewer::image_of(profile, code);
        let flag = |holds: bool, flag: u8| if holds { flag } else { 0 };
        let table = &mut self.shared.func_table;
        table.flags.push(
            flag(resource.is_some(), func_flag::RESOURCE)
                | flag(source.is_some(), func_flag::SOURCE)
                | flag(line.is_some(), func_flag::LINE),
        );
        table.name.push(name);
        table.resource.push(resource.unwrap_or(0) as u32);
        table.source.push(source.unwrap_or(0));
        table.line_number.push(line.unwrap_or(0));
        table.column_number.push(0);
        table.original_location.push(0);
        table.length += 1;
        let row = table.length as u32 - 1;
        self.functions.insert(code, row);
        row
    }

    fn source(&mut self, file: StringId) -> u32 {
        if let Some(&known) = self.sources.get(&file) {
            return known;
        }
        let filename = self.text(&self.profile.strings[file]);
        let table = &mut self.shared.sources;
        table.id.push(None);
        table.filename.push(filename);
        table.start_line.push(1);
        table.start_column.push(1);
        table.source_map_url.push(None);
        table.content.push(None);
        table.length += 1;
        let row = table.length as u32 - 1;
        self.sources.insert(file, row);
        row
    }

    /// The row of a linker's symbol; `None` when its address does not fit in the format.
    fn symbol(&mut self, id: SymbolId) -> Option<u32> {
        if let Some(&known) = self.symbols.get(&id) {
            return Some(known);
        }
        let symbol = &self.profile.symbols[id];
        let address = u32::try_from(symbol.address).ok()?;
        let name = self.text(&self.profile.strings[symbol.linkage_name]);
        let size = i64::from(u32::try_from(symbol.size).unwrap_or(0));
        let table = &mut self.shared.native_symbols;
        table.lib_index.push(symbol.image.0);
        table.address.push(address);
        table.name.push(name);
        table.function_size.push(if size == 0 { -1 } else { size });
        table.length += 1;
        let row = table.length as u32 - 1;
        self.symbols.insert(id, row);
        Some(row)
    }
}

/// One row of the frame table, before it is taken apart.
#[derive(Default)]
struct FrameRow {
    func: u32,
    inlined: bool,
    address: Option<u32>,
    image: Option<ImageId>,
    symbol: Option<u32>,
    line: Option<u32>,
    column: Option<u32>,
}
