//! What the terminal can show.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

/// The width of tables for a reader that is no terminal: wide enough for long names.
const WIDTH_ELSEWHERE: usize = 160;

/// Columns of standard output.
pub(crate) fn width() -> usize {
    width_of(&io::stdout())
}

/// Columns of standard error.
pub(crate) fn width_of_stderr() -> usize {
    width_of(&io::stderr())
}

/// The terminal's columns, or `COLUMNS`, or a wide page for pipes and files.
fn width_of(stream: &(impl AsFd + IsTerminal)) -> usize {
    let stated = || {
        std::env::var("COLUMNS")
            .ok()?
            .parse()
            .ok()
            .filter(|&columns| columns > 0)
    };
    let real = || {
        let size = rustix::termios::tcgetwinsize(stream).ok()?;
        (size.ws_col > 0).then_some(usize::from(size.ws_col))
    };
    real().or_else(stated).unwrap_or(WIDTH_ELSEWHERE)
}
