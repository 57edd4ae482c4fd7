//! What people and agents read: tables, flame graphs, summaries, JSON documents and log lines.
//!
//! Everything here is a function of values. It returns texts (with escape codes where colour
//! supports the words; callers print through a stream that strips them) or writes into a
//! `Write`; it never prints, measures or decides, and knows no clock, no file and no terminal:
//! the width is a parameter.
//!
//! Data goes: a profile to a [`functions::table`], a [`record::summary`] or a flame graph
//! ([`flamegraph::write`]); the profiles of one or more runs and a name to an answer
//! ([`confirm::answer`]); a comparison and its conclusion to a [`compare::screen`], to Markdown,
//! to JSON and to a line of the log ([`log::line()`]), which [`log::parse`] turns back into the
//! comparison.
//!
//! ```
//! use hotproof_profile::Profile;
//! use hotproof_report::functions::{Options, table};
//!
//! let profile = Profile::default();
//! let text = table(&profile, &Options::default()).unwrap();
//! assert!(text.contains("no samples"));
//! ```

pub mod cache;
mod calls;
mod census;
pub mod compare;
pub mod confirm;
pub mod difference;
pub mod doctor;
pub mod flamegraph;
pub mod functions;
mod grid;
pub mod lines;
pub mod log;
pub mod names;
pub mod numbers;
mod places;
mod prose;
pub mod quality;
mod quantities;
pub mod record;
pub mod schema;
mod scripts;
pub mod sources;
pub mod stat;
mod style;
pub mod symbolize;
pub mod tree;
mod view;
