//! Proves that the functions that a commit changes are found, and no others, and that samples are
//! joined to them.

mod choosing;
mod commit;
mod corpus;
mod joining;
mod languages;
mod outlining;
mod outside;
mod reading;
mod settings;
mod uses;
