//! Every format: round trips, damage, golden texts, and independent readers.

mod arbitrary;
mod example;
mod native;
