//! Row groups and the footer.

use std::io::Write;

use super::column::{Column, Kind, Null, Shape, Value};
use super::rows::{Group, Schema};
use super::thrift::Struct;
use crate::WriteError;

const MAGIC: &[u8] = b"PAR1";

// Numbers of the format's definition (parquet.thrift).
const INT64: i32 = 2;
const BYTE_ARRAY: i32 = 6;
const REQUIRED: i32 = 0;
const OPTIONAL: i32 = 1;
const REPEATED: i32 = 2;
const CONVERTED_UTF8: i32 = 0;
const CONVERTED_LIST: i32 = 3;
const CONVERTED_UINT_64: i32 = 14;
const PLAIN: i32 = 0;
const RLE: i32 = 3;
const RLE_DICTIONARY: i32 = 8;
const ZSTD: i32 = 6;
const DATA_PAGE: i32 = 0;
const DICTIONARY_PAGE: i32 = 2;

/// The level that zstd takes by itself.
const ZSTD_LEVEL: i32 = 3;

/// A file in the making.
pub(super) struct File<W> {
    out: W,
    offset: u64,
    groups: Vec<RowGroup>,
}

struct RowGroup {
    rows: usize,
    chunks: Vec<Chunk>,
}

/// Where the pages of a column are, and how large.
struct Chunk {
    kind: Kind,
    values: usize,
    dictionary_at: Option<u64>,
    data_at: u64,
    plain_bytes: u64,
    packed_bytes: u64,
}

impl<W: Write> File<W> {
    pub(super) fn begin(out: W) -> Result<Self, WriteError> {
        let mut file = File {
            out,
            offset: 0,
            groups: Vec::new(),
        };
        file.put(MAGIC)?;
        Ok(file)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.out.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn row_group(&mut self, group: &Group<'_>) -> Result<(), WriteError> {
        let mut chunks = Vec::new();
        for column in &group.columns {
            chunks.push(self.column(column, group.texts)?);
        }
        let rows = group.rows;
        self.groups.push(RowGroup { rows, chunks });
        Ok(())
    }

    fn column(&mut self, column: &Column, texts: &[Box<str>]) -> Result<Chunk, WriteError> {
        let mut chunk = Chunk {
            kind: column.kind,
            values: column.values(),
            dictionary_at: None,
            data_at: 0,
            plain_bytes: 0,
            packed_bytes: 0,
        };
        let mut encoding = PLAIN;
        if column.kind.value == Value::Text {
            chunk.dictionary_at = Some(self.offset);
            let body = dictionary(column, texts)?;
            let header = Struct::default()
                .i32(1, page_number(column.dictionary().len())?)
                .i32(2, PLAIN);
            self.page(&mut chunk, DICTIONARY_PAGE, (7, header), &body)?;
            encoding = RLE_DICTIONARY;
        }
        chunk.data_at = self.offset;
        let header = Struct::default()
            .i32(1, page_number(column.values())?)
            .i32(2, encoding)
            .i32(3, RLE)
            .i32(4, RLE);
        self.page(&mut chunk, DATA_PAGE, (5, header), &column.page())?;
        Ok(chunk)
    }

    fn page(
        &mut self,
        chunk: &mut Chunk,
        kind: i32,
        (field, header): (i16, Struct),
        body: &[u8],
    ) -> Result<(), WriteError> {
        let packed = zstd::bulk::compress(body, ZSTD_LEVEL)?;
        let header = Struct::default()
            .i32(1, kind)
            .i32(2, page_number(body.len())?)
            .i32(3, page_number(packed.len())?)
            .nested(field, header)
            .finish();
        chunk.plain_bytes += (header.len() + body.len()) as u64;
        chunk.packed_bytes += (header.len() + packed.len()) as u64;
        self.put(&header)?;
        self.put(&packed)
    }

    /// Writes the footer; `meta` is kept as `hotproof.meta`.
    pub(super) fn finish(mut self, schema: &Schema, meta: &str) -> Result<(), WriteError> {
        let rows: usize = self.groups.iter().map(|group| group.rows).sum();
        let groups = self.groups.iter().map(|group| row_group(group, schema));
        let footer = Struct::default()
            .i32(1, 1)
            .structs(2, schema_elements(schema))
            .i64(3, rows as i64)
            .structs(4, groups.collect::<Vec<_>>())
            .structs(
                5,
                [Struct::default().text(1, "hotproof.meta").text(2, meta)],
            )
            .text(6, concat!("hotproof version ", env!("CARGO_PKG_VERSION")))
            .finish();
        self.put(&footer)?;
        self.put(&page_number(footer.len())?.to_le_bytes())?;
        self.put(MAGIC)?;
        self.out.flush()?;
        Ok(())
    }
}

/// A size or a count as the format has them: 31 bits.
fn page_number(number: usize) -> Result<i32, WriteError> {
    i32::try_from(number).map_err(|_| WriteError::CannotCarry {
        format: "Parquet",
        what: format!("a page of {number} bytes or values"),
        remedy: "choose fewer samples, with --time or --thread",
    })
}

/// The distinct texts of a column, each with its length before it.
fn dictionary(column: &Column, texts: &[Box<str>]) -> Result<Vec<u8>, WriteError> {
    let mut body = Vec::new();
    for id in column.dictionary() {
        let text = &texts[id.0 as usize];
        body.extend(page_number(text.len())?.to_le_bytes());
        body.extend_from_slice(text.as_bytes());
    }
    Ok(body)
}

fn row_group(group: &RowGroup, schema: &Schema) -> Struct {
    let chunks = group.chunks.iter().zip(schema);
    let columns = chunks.map(|(chunk, (name, _))| chunk_of(chunk, name));
    let bytes: u64 = group.chunks.iter().map(|chunk| chunk.plain_bytes).sum();
    Struct::default()
        .structs(1, columns.collect::<Vec<_>>())
        .i64(2, bytes as i64)
        .i64(3, group.rows as i64)
}

fn chunk_of(chunk: &Chunk, name: &str) -> Struct {
    let path: &[&str] = match chunk.kind.shape {
        Shape::One => &[name],
        Shape::List => &[name, "list", "element"],
    };
    let encodings: &[i32] = match chunk.kind.value {
        Value::Text => &[PLAIN, RLE, RLE_DICTIONARY],
        Value::Signed | Value::Unsigned => &[PLAIN, RLE],
    };
    let facts = Struct::default()
        .i32(1, physical(chunk.kind.value))
        .i32s(2, encodings)
        .texts(3, path)
        .i32(4, ZSTD)
        .i64(5, chunk.values as i64)
        .i64(6, chunk.plain_bytes as i64)
        .i64(7, chunk.packed_bytes as i64)
        .i64(9, chunk.data_at as i64);
    let facts = match chunk.dictionary_at {
        Some(at) => facts.i64(11, at as i64),
        None => facts,
    };
    let begin = chunk.dictionary_at.unwrap_or(chunk.data_at);
    Struct::default().i64(2, begin as i64).nested(3, facts)
}

fn physical(value: Value) -> i32 {
    match value {
        Value::Text => BYTE_ARRAY,
        Value::Signed | Value::Unsigned => INT64,
    }
}

/// The tree of columns, depth first, the root before all.
fn schema_elements(schema: &Schema) -> Vec<Struct> {
    let root = Struct::default()
        .text(4, "sample")
        .i32(5, schema.len() as i32);
    let mut elements = vec![root];
    for (name, kind) in schema {
        let name = match kind.shape {
            Shape::One => name,
            Shape::List => {
                let outer = Struct::default().i32(3, REQUIRED).text(4, name);
                elements.push(outer.i32(5, 1).i32(6, CONVERTED_LIST));
                let inner = Struct::default().i32(3, REPEATED).text(4, "list");
                elements.push(inner.i32(5, 1));
                "element"
            }
        };
        elements.push(leaf(name, *kind));
    }
    elements
}

fn leaf(name: &str, kind: Kind) -> Struct {
    let repetition = match kind.null {
        Null::Never => REQUIRED,
        Null::Maybe => OPTIONAL,
    };
    let element = Struct::default()
        .i32(1, physical(kind.value))
        .i32(3, repetition)
        .text(4, name);
    match kind.value {
        Value::Text => element.i32(6, CONVERTED_UTF8),
        Value::Unsigned => element.i32(6, CONVERTED_UINT_64),
        Value::Signed => element,
    }
}
