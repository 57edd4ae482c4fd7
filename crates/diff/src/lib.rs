//! From paired runs to a verdict: changed functions, statistics, attribution and policy, all pure
//! functions of values.

mod values;

pub use values::*;
