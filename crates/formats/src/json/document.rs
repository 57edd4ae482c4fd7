//! The rows of the document, as they are written and read.

use std::borrow::Cow;

use hotproof_profile::{ImageKind, StackEnd, Unit};
use serde::{Deserialize, Serialize};

/// The name of the document.
pub(super) const NAME: &str = "hotproof.profile";
/// Its version.
pub(super) const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
pub(super) struct Document<'a> {
    pub(super) schema: Schema,
    pub(super) exporter: String,
    pub(super) meta: MetaRow,
    pub(super) weights: Vec<WeightRow>,
    pub(super) processes: Vec<ProcessRow<'a>>,
    pub(super) threads: Vec<ThreadRow<'a>>,
    pub(super) images: Vec<ImageRow<'a>>,
    pub(super) functions: Vec<FunctionRow<'a>>,
    pub(super) frames: Vec<FrameRow<'a>>,
    pub(super) stacks: Vec<StackRow>,
    pub(super) samples: Vec<SampleRow<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Schema {
    pub(super) name: String,
    pub(super) version: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct MetaRow {
    pub(super) command: Vec<String>,
    pub(super) started_unix_ns: Option<u64>,
    pub(super) duration_ns: u64,
    pub(super) clock: String,
    pub(super) event: String,
    pub(super) period: Option<u64>,
    pub(super) rate_hz: Option<u64>,
    pub(super) rung: String,
    pub(super) unwinder: String,
    pub(super) cpu_time_ns: Option<u64>,
    /// Absent in documents of older versions of hotproof.
    #[serde(default)]
    pub(super) counters: Vec<CounterRow>,
    pub(super) recorder_cpu_ns: Option<u64>,
    pub(super) exit_code: Option<i32>,
    pub(super) exit_signal: Option<i32>,
    pub(super) lost: LostRow,
    pub(super) host: HostRow,
    pub(super) notes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CounterRow {
    pub(super) name: String,
    pub(super) unit: UnitName,
    pub(super) value: u64,
    pub(super) counted: f64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LostRow {
    pub(super) samples: u64,
    pub(super) records: u64,
    pub(super) throttled: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct HostRow {
    pub(super) arch: String,
    pub(super) kernel: String,
    pub(super) cpu_model: String,
    pub(super) cpus: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WeightRow {
    pub(super) name: String,
    pub(super) unit: UnitName,
    pub(super) total: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ProcessRow<'a> {
    pub(super) pid: u32,
    pub(super) name: Cow<'a, str>,
    pub(super) start_ns: u64,
    pub(super) end_ns: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ThreadRow<'a> {
    pub(super) process: usize,
    pub(super) tid: u32,
    pub(super) name: Cow<'a, str>,
    pub(super) start_ns: u64,
    pub(super) end_ns: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ImageRow<'a> {
    pub(super) path: Cow<'a, str>,
    pub(super) build_id: String,
    pub(super) kind: KindName,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FunctionRow<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) named: bool,
    pub(super) linkage_name: Option<Cow<'a, str>>,
    pub(super) file: Option<Cow<'a, str>>,
    pub(super) line: Option<u32>,
    pub(super) image: Option<usize>,
    pub(super) library: bool,
    /// Absent in documents of older versions of hotproof.
    #[serde(default)]
    pub(super) source: Option<Cow<'a, str>>,
    pub(super) samples: u64,
    #[serde(rename = "self")]
    pub(super) self_weights: Vec<i64>,
    pub(super) total: Vec<i64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FrameRow<'a> {
    pub(super) function: usize,
    pub(super) file: Option<Cow<'a, str>>,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
    pub(super) image: Option<usize>,
    pub(super) address: Option<String>,
    pub(super) inlined: bool,
    #[serde(default)]
    pub(super) contradicted: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StackRow {
    pub(super) parent: Option<u32>,
    pub(super) frame: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SampleRow<'a> {
    pub(super) thread: usize,
    pub(super) time_ns: u64,
    pub(super) stack: Option<u32>,
    pub(super) weights: Vec<i64>,
    pub(super) cpu: Option<u32>,
    pub(super) end: EndName,
    pub(super) labels: Vec<LabelRow<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LabelRow<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) text: Option<Cow<'a, str>>,
    pub(super) number: Option<i64>,
    pub(super) unit: Option<Cow<'a, str>>,
}

/// Names of the values of a type, and the values of the names.
macro_rules! names {
    ($name:ident of $value:ident: $($variant:ident),+) => {
        #[derive(Clone, Copy, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub(super) enum $name {
            $($variant),+
        }

        impl From<$value> for $name {
            fn from(value: $value) -> Self {
                match value {
                    $($value::$variant => $name::$variant),+
                }
            }
        }

        impl From<$name> for $value {
            fn from(name: $name) -> Self {
                match name {
                    $($name::$variant => $value::$variant),+
                }
            }
        }
    };
}

names!(UnitName of Unit: Count, Nanoseconds, Bytes, Cycles, Instructions);
names!(KindName of ImageKind: Elf, Vdso, Kernel, Module, Jit, Anonymous);
names!(EndName of StackEnd: Complete, Truncated, Failed, Unknown, Stitched);
