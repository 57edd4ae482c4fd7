//! The file as it is written, every member that is read.

use serde::Deserialize;

use crate::json::{Number, Word};

pub(super) type Column = Option<Vec<Option<Number>>>;

#[derive(Deserialize)]
pub(super) struct File {
    pub(super) meta: MetaRow,
    #[serde(default)]
    pub(super) libs: Option<Vec<Lib>>,
    #[serde(default)]
    pub(super) shared: Option<Tables>,
    pub(super) threads: Vec<ThreadRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetaRow {
    #[serde(default)]
    pub(super) preprocessed_profile_version: Option<u64>,
    #[serde(default)]
    pub(super) interval: Option<Number>,
    #[serde(default)]
    pub(super) start_time: Option<Number>,
    #[serde(default)]
    pub(super) product: Option<String>,
    #[serde(default)]
    pub(super) imported_from: Option<String>,
    #[serde(default)]
    pub(super) sample_units: Option<SampleUnits>,
}

#[derive(Deserialize)]
pub(super) struct SampleUnits {
    #[serde(rename = "threadCPUDelta", default)]
    pub(super) thread_cpu_delta: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lib {
    #[serde(default)]
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) code_id: Option<String>,
}

/// Tables that newer versions share between threads, and older ones have in each thread.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tables {
    #[serde(default)]
    pub(super) stack_table: Option<StackTable>,
    #[serde(default)]
    pub(super) frame_table: Option<FrameTable>,
    #[serde(default)]
    pub(super) func_table: Option<FuncTable>,
    #[serde(default)]
    pub(super) resource_table: Option<ResourceTable>,
    #[serde(default)]
    pub(super) native_symbols: Option<NativeSymbols>,
    #[serde(default)]
    pub(super) sources: Option<Sources>,
    #[serde(default)]
    pub(super) string_array: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StackTable {
    pub(super) frame: Vec<Number>,
    #[serde(default)]
    pub(super) prefix: Column,
    #[serde(default)]
    pub(super) prefix_offset: Column,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FrameTable {
    pub(super) func: Vec<Number>,
    #[serde(default)]
    pub(super) flags: Column,
    #[serde(default)]
    pub(super) address: Column,
    #[serde(default)]
    pub(super) inline_depth: Column,
    #[serde(default)]
    pub(super) lib: Column,
    #[serde(default)]
    pub(super) native_symbol: Column,
    #[serde(default)]
    pub(super) line: Column,
    #[serde(default)]
    pub(super) column: Column,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FuncTable {
    pub(super) name: Vec<Number>,
    #[serde(default)]
    pub(super) flags: Column,
    #[serde(default)]
    pub(super) resource: Column,
    #[serde(default)]
    pub(super) source: Column,
    #[serde(default)]
    pub(super) file_name: Column,
    #[serde(default)]
    pub(super) line_number: Column,
}

#[derive(Deserialize)]
pub(super) struct ResourceTable {
    #[serde(default)]
    pub(super) lib: Column,
    #[serde(default)]
    pub(super) name: Column,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NativeSymbols {
    #[serde(default)]
    pub(super) lib_index: Column,
    #[serde(default)]
    pub(super) address: Column,
    #[serde(default)]
    pub(super) name: Column,
    #[serde(default)]
    pub(super) function_size: Column,
}

#[derive(Deserialize)]
pub(super) struct Sources {
    #[serde(default)]
    pub(super) filename: Column,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThreadRow {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) process_name: Option<String>,
    #[serde(default)]
    pub(super) pid: Word,
    #[serde(default)]
    pub(super) tid: Word,
    pub(super) samples: SamplesRow,
    #[serde(default)]
    pub(super) stack_table: Option<StackTable>,
    #[serde(default)]
    pub(super) frame_table: Option<FrameTable>,
    #[serde(default)]
    pub(super) func_table: Option<FuncTable>,
    #[serde(default)]
    pub(super) resource_table: Option<ResourceTable>,
    #[serde(default)]
    pub(super) native_symbols: Option<NativeSymbols>,
    #[serde(default)]
    pub(super) string_array: Option<Vec<String>>,
    #[serde(default)]
    pub(super) markers: Option<MarkersRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SamplesRow {
    #[serde(default)]
    pub(super) stack: Column,
    #[serde(default)]
    pub(super) time: Column,
    #[serde(default)]
    pub(super) time_deltas: Column,
    #[serde(default)]
    pub(super) weight: Column,
    #[serde(default)]
    pub(super) weight_type: Option<String>,
    #[serde(rename = "threadCPUDelta", default)]
    pub(super) thread_cpu_delta: Column,
}

#[derive(Deserialize)]
pub(super) struct MarkersRow {
    #[serde(default)]
    pub(super) length: Option<u64>,
}

/// Only the version, so that a file of another version is refused for that and nothing else.
#[derive(Deserialize)]
pub(super) struct Head {
    pub(super) meta: HeadMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HeadMeta {
    #[serde(default)]
    pub(super) preprocessed_profile_version: Option<Number>,
    #[serde(default)]
    pub(super) version: Option<Number>,
}
