//! The profile value: totals, sums by stack, names, the sink, validation.

mod code;
mod maker;
mod stacks;
mod tables;
mod totals;
mod validate;
