//! The profile value: totals, sums by stack, names, the sink, validation.

#[path = "../../../formats/tests/formats/arbitrary.rs"]
mod arbitrary;
mod code;
mod maker;
mod stacks;
mod tables;
mod totals;
mod transform;
mod validate;
