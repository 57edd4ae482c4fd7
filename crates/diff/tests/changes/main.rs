//! Proves that the functions that a commit changes are found, and no others, and that samples are
//! joined to them.

#![allow(clippy::print_stdout)] // The measured rates are for people.

mod choosing;
mod commit;
mod corpus;
mod counting;
mod generated;
mod hostile;
mod joining;
mod ladder;
mod languages;
#[path = "../made/mod.rs"]
mod made;
mod outlining;
mod outside;
mod reading;
mod settings;
mod uses;
