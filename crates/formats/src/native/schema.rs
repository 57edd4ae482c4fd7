//! The messages of the native file, version 1: a mirror of `proto/hotproof.proto`, which says what
//! every field means. A test holds the two to each other.

use prost::{Enumeration, Message};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Rows {
    #[prost(string, repeated, tag = "1")]
    pub strings: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub weights: Vec<Weight>,
    #[prost(message, repeated, tag = "3")]
    pub processes: Vec<Process>,
    #[prost(message, repeated, tag = "4")]
    pub threads: Vec<Thread>,
    #[prost(message, repeated, tag = "5")]
    pub images: Vec<Image>,
    #[prost(message, repeated, tag = "6")]
    pub mappings: Vec<Mapping>,
    #[prost(message, optional, tag = "7")]
    pub symbols: Option<Symbols>,
    #[prost(message, optional, tag = "8")]
    pub functions: Option<Functions>,
    #[prost(message, optional, tag = "9")]
    pub frames: Option<Frames>,
    #[prost(message, optional, tag = "10")]
    pub locations: Option<Locations>,
    #[prost(message, optional, tag = "11")]
    pub stacks: Option<Stacks>,
    #[prost(message, optional, tag = "12")]
    pub samples: Option<Samples>,
    #[prost(message, repeated, tag = "13")]
    pub changes: Vec<Change>,
    #[prost(message, repeated, tag = "14")]
    pub label_sets: Vec<LabelSet>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Weight {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(enumeration = "Unit", tag = "2")]
    pub unit: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum Unit {
    Count = 0,
    Nanoseconds = 1,
    Bytes = 2,
    Cycles = 3,
    Instructions = 4,
}

impl From<hotproof_profile::Unit> for Unit {
    fn from(unit: hotproof_profile::Unit) -> Self {
        match unit {
            hotproof_profile::Unit::Count => Unit::Count,
            hotproof_profile::Unit::Nanoseconds => Unit::Nanoseconds,
            hotproof_profile::Unit::Bytes => Unit::Bytes,
            hotproof_profile::Unit::Cycles => Unit::Cycles,
            hotproof_profile::Unit::Instructions => Unit::Instructions,
        }
    }
}

impl From<Unit> for hotproof_profile::Unit {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Count => hotproof_profile::Unit::Count,
            Unit::Nanoseconds => hotproof_profile::Unit::Nanoseconds,
            Unit::Bytes => hotproof_profile::Unit::Bytes,
            Unit::Cycles => hotproof_profile::Unit::Cycles,
            Unit::Instructions => hotproof_profile::Unit::Instructions,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Process {
    #[prost(uint32, tag = "1")]
    pub pid: u32,
    #[prost(uint32, tag = "2")]
    pub name: u32,
    #[prost(uint64, tag = "3")]
    pub start_ns: u64,
    #[prost(uint64, optional, tag = "4")]
    pub end_ns: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Thread {
    #[prost(uint32, tag = "1")]
    pub process: u32,
    #[prost(uint32, tag = "2")]
    pub tid: u32,
    #[prost(uint32, tag = "3")]
    pub name: u32,
    #[prost(uint64, tag = "4")]
    pub start_ns: u64,
    #[prost(uint64, optional, tag = "5")]
    pub end_ns: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Image {
    #[prost(uint32, tag = "1")]
    pub path: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub build_id: Vec<u8>,
    #[prost(enumeration = "ImageKind", tag = "3")]
    pub kind: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum ImageKind {
    Elf = 0,
    Vdso = 1,
    Kernel = 2,
    Module = 3,
    Jit = 4,
    Anonymous = 5,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Mapping {
    #[prost(uint32, optional, tag = "1")]
    pub process: Option<u32>,
    #[prost(uint64, tag = "2")]
    pub start: u64,
    #[prost(uint64, tag = "3")]
    pub end: u64,
    #[prost(uint64, tag = "4")]
    pub file_offset: u64,
    #[prost(uint32, tag = "5")]
    pub image: u32,
    #[prost(uint64, tag = "6")]
    pub from_ns: u64,
    #[prost(uint64, optional, tag = "7")]
    pub to_ns: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Symbols {
    #[prost(sint64, repeated, tag = "1")]
    pub image: Vec<i64>,
    #[prost(sint64, repeated, tag = "2")]
    pub linkage_name: Vec<i64>,
    #[prost(sint64, repeated, tag = "3")]
    pub address: Vec<i64>,
    #[prost(uint64, repeated, tag = "4")]
    pub size: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Functions {
    #[prost(sint64, repeated, tag = "1")]
    pub name: Vec<i64>,
    #[prost(sint64, repeated, tag = "2")]
    pub linkage_name: Vec<i64>,
    #[prost(sint64, repeated, tag = "3")]
    pub file: Vec<i64>,
    #[prost(uint64, repeated, tag = "4")]
    pub line: Vec<u64>,
    #[prost(sint64, repeated, tag = "5")]
    pub image: Vec<i64>,
    #[prost(enumeration = "Source", repeated, tag = "6")]
    pub source: Vec<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum Source {
    Dwarf = 0,
    SymbolTable = 1,
    DynamicSymbols = 2,
    UnwindTable = 3,
    Kallsyms = 4,
    PerfMap = 5,
    Import = 6,
    MiniDebugInfo = 7,
    Plt = 8,
    GoTable = 9,
    Jitdump = 10,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Frames {
    #[prost(sint64, repeated, tag = "1")]
    pub function: Vec<i64>,
    #[prost(uint64, repeated, tag = "2")]
    pub line: Vec<u64>,
    #[prost(uint64, repeated, tag = "3")]
    pub column: Vec<u64>,
    #[prost(sint64, repeated, tag = "4")]
    pub file: Vec<i64>,
    #[prost(message, optional, tag = "5")]
    pub contradicted: Option<Runs>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Locations {
    #[prost(sint64, repeated, tag = "1")]
    pub image: Vec<i64>,
    #[prost(sint64, repeated, tag = "2")]
    pub address: Vec<i64>,
    #[prost(enumeration = "AddressKind", repeated, tag = "3")]
    pub kind: Vec<i32>,
    #[prost(sint64, repeated, tag = "4")]
    pub symbol: Vec<i64>,
    #[prost(sint64, repeated, tag = "5")]
    pub first_frame: Vec<i64>,
    #[prost(uint32, repeated, tag = "6")]
    pub frame_count: Vec<u32>,
    #[prost(enumeration = "LocationState", repeated, tag = "7")]
    pub state: Vec<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum AddressKind {
    Ip = 0,
    ReturnAddress = 1,
    Adjusted = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum LocationState {
    Unresolved = 0,
    Resolved = 1,
    UnknownName = 2,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Stacks {
    #[prost(uint32, repeated, tag = "1")]
    pub parent_distance: Vec<u32>,
    #[prost(sint64, repeated, tag = "2")]
    pub location: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Samples {
    #[prost(sint64, repeated, tag = "1")]
    pub time_ns: Vec<i64>,
    #[prost(sint64, repeated, tag = "2")]
    pub stack: Vec<i64>,
    #[prost(message, optional, tag = "3")]
    pub thread: Option<Runs>,
    #[prost(message, optional, tag = "4")]
    pub cpu: Option<Runs>,
    #[prost(message, optional, tag = "5")]
    pub end: Option<Runs>,
    #[prost(message, repeated, tag = "6")]
    pub weights: Vec<Runs>,
    #[prost(message, optional, tag = "7")]
    pub labels: Option<Runs>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LabelSet {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Label {
    #[prost(uint32, tag = "1")]
    pub key: u32,
    #[prost(uint32, optional, tag = "2")]
    pub text: Option<u32>,
    #[prost(sint64, optional, tag = "3")]
    pub number: Option<i64>,
    #[prost(uint32, optional, tag = "4")]
    pub unit: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum StackEnd {
    Complete = 0,
    Truncated = 1,
    Failed = 2,
    UnknownEnd = 3,
    Stitched = 4,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Runs {
    #[prost(sint64, repeated, tag = "1")]
    pub value: Vec<i64>,
    #[prost(uint64, repeated, tag = "2")]
    pub length: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Change {
    #[prost(enumeration = "ChangeKind", tag = "1")]
    pub kind: i32,
    #[prost(uint32, tag = "2")]
    pub row: u32,
    #[prost(uint64, tag = "3")]
    pub value: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum ChangeKind {
    ProcessEnded = 0,
    ThreadEnded = 1,
    ThreadNamed = 2,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Meta {
    #[prost(string, repeated, tag = "1")]
    pub command: Vec<String>,
    #[prost(uint64, optional, tag = "2")]
    pub started_unix_ns: Option<u64>,
    #[prost(uint64, tag = "3")]
    pub duration_ns: u64,
    #[prost(string, tag = "4")]
    pub clock: String,
    #[prost(string, tag = "5")]
    pub event: String,
    #[prost(uint64, optional, tag = "6")]
    pub period: Option<u64>,
    #[prost(uint64, optional, tag = "7")]
    pub rate_hz: Option<u64>,
    #[prost(string, tag = "8")]
    pub rung: String,
    #[prost(string, tag = "9")]
    pub unwinder: String,
    #[prost(uint64, optional, tag = "10")]
    pub cpu_time_ns: Option<u64>,
    #[prost(uint64, optional, tag = "11")]
    pub recorder_cpu_ns: Option<u64>,
    #[prost(sint32, optional, tag = "12")]
    pub exit_code: Option<i32>,
    #[prost(sint32, optional, tag = "13")]
    pub exit_signal: Option<i32>,
    #[prost(uint64, tag = "14")]
    pub lost_samples: u64,
    #[prost(uint64, tag = "15")]
    pub lost_records: u64,
    #[prost(uint64, tag = "16")]
    pub throttled: u64,
    #[prost(string, tag = "17")]
    pub host_arch: String,
    #[prost(string, tag = "18")]
    pub host_kernel: String,
    #[prost(string, tag = "19")]
    pub host_cpu_model: String,
    #[prost(uint32, tag = "20")]
    pub host_cpus: u32,
    #[prost(string, repeated, tag = "21")]
    pub notes: Vec<String>,
    #[prost(message, optional, tag = "22")]
    pub foreign: Option<Foreign>,
    #[prost(message, repeated, tag = "23")]
    pub counters: Vec<Counter>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Counter {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(enumeration = "Unit", tag = "2")]
    pub unit: i32,
    #[prost(uint64, tag = "3")]
    pub value: u64,
    #[prost(double, tag = "4")]
    pub counted: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Foreign {
    #[prost(string, tag = "1")]
    pub doc_url: String,
    #[prost(string, tag = "2")]
    pub default_weight: String,
    #[prost(string, tag = "3")]
    pub drop_frames: String,
    #[prost(string, tag = "4")]
    pub keep_frames: String,
    #[prost(string, optional, tag = "5")]
    pub period_unit: Option<String>,
    #[prost(string, repeated, tag = "6")]
    pub weight_units: Vec<String>,
    #[prost(uint32, repeated, tag = "7")]
    pub image_claims: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct End {
    #[prost(uint64, tag = "1")]
    pub chunks: u64,
    #[prost(uint64, tag = "2")]
    pub strings: u64,
    #[prost(uint64, tag = "3")]
    pub locations: u64,
    #[prost(uint64, tag = "4")]
    pub stacks: u64,
    #[prost(uint64, tag = "5")]
    pub samples: u64,
}
