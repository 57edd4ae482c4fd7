//! `hotproof compare`: the verdict in one sentence, the tables that prove it, what could make it
//! wrong; for people on a terminal, in Markdown or as a page, and for agents as JSON.

mod facts;
mod html;
mod instructions;
mod json;
mod ledger;
mod markdown;
mod page;
mod screen;
mod tables;

pub use html::{Section, html};
pub use json::json;
pub use ledger::{handoff, tsv};
pub use markdown::markdown;
pub use screen::{header, screen};

/// What is shown beside the comparison itself.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Columns of the terminal; Markdown ignores it.
    pub width: usize,
    /// How many functions that the diff does not touch are shown: the largest movers.
    pub movers: usize,
    /// Where the comparison was logged, as `verdict` takes it: `.hotproof/log.jsonl:17`; `None`
    /// when it was not.
    pub record: Option<&'a str>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            width: 100,
            movers: 5,
            record: None,
        }
    }
}
