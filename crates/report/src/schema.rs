//! What all JSON documents share, and the published schemas that hold them.

use serde::Serialize;

/// JSON schema (draft 2020-12) of `hotproof report --json`.
pub const REPORT: &str = include_str!("../schema/report-v1.schema.json");

/// JSON schema (draft 2020-12) of `hotproof compare --json`.
pub const COMPARE: &str = include_str!("../schema/compare-v1.schema.json");

/// JSON schema (draft 2020-12) of `hotproof confirm --json`.
pub const CONFIRM: &str = include_str!("../schema/confirm-v1.schema.json");

/// JSON schema (draft 2020-12) of `hotproof diff --json`.
pub const DIFF: &str = include_str!("../schema/diff-v1.schema.json");

/// JSON schema (draft 2020-12) of `hotproof stat --json`.
pub const STAT: &str = include_str!("../schema/stat-v1.schema.json");

/// JSON schema (draft 2020-12) of `hotproof symbolize --json`.
pub const SYMBOLIZE: &str = include_str!("../schema/symbolize-v1.schema.json");

/// JSON schema (draft 2020-12) of `hotproof doctor --json`.
pub const DOCTOR: &str = include_str!("../schema/doctor-v1.schema.json");

/// JSON schema (draft 2020-12) of `hotproof cache --json`.
pub const CACHE: &str = include_str!("../schema/cache-v1.schema.json");

/// Name and version of a document, its first member.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Schema {
    name: &'static str,
    version: u32,
}

impl Schema {
    /// Version 1 of the named schema.
    pub(crate) fn new(name: &'static str) -> Self {
        Schema { name, version: 1 }
    }
}

/// The document as indented JSON with a newline at its end. Figures that are not finite become
/// null.
pub(crate) fn pretty(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document)
        .expect("a tree of structs with text keys always becomes JSON");
    text + "\n"
}
