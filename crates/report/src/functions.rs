//! `hotproof report`: the functions of a profile by total, self, and self with inlined library
//! code.

mod json;
mod screen;
mod selection;

use hotproof_profile::Inline;
use regex::Regex;

pub use json::json;
pub(crate) use screen::header;
pub use screen::table;
pub use selection::Sort;

/// What becomes of functions that only start the program or a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartUp {
    /// They are left out and counted.
    #[default]
    Fold,
    /// They are shown like others, which frames that were grouped or turned around need.
    Show,
}

/// What to show.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which figure orders the rows.
    pub sort: Sort,
    /// At most so many rows; `None` shows all.
    pub top: Option<usize>,
    /// Rows whose total is below this, in per cent, are left out and counted, and so are functions
    /// that only start the program or a thread; with 0 everything is shown.
    pub min_percent: f64,
    /// Looks only at samples that have a matching function on the stack; shares stay shares of
    /// the whole profile.
    pub focus: Option<Regex>,
    /// Which samples are in focus, one flag a sample, where somebody has asked the pattern already
    /// (before frames were hidden); `None` asks it here, of the names of functions.
    pub in_focus: Option<Vec<bool>>,
    /// Whether functions that only start the program or a thread are left out.
    pub start_up: StartUp,
    /// Whether inlined functions are functions of their own.
    pub inline: Inline,
    /// Columns of the terminal; `usize::MAX` cuts nothing.
    pub width: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sort: Sort::Total,
            top: None,
            min_percent: 0.5,
            focus: None,
            in_focus: None,
            start_up: StartUp::Fold,
            inline: Inline::Expand,
            width: 100,
        }
    }
}

/// Why a profile cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionsError {
    /// Samples without a weight say nothing.
    #[error(
        "the profile has {samples} samples but no weight column, so no share can be computed; record it again or convert it from its source"
    )]
    NoWeight {
        /// How many samples there are.
        samples: usize,
    },
}
