//! One line of progress, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Voice;

/// A line that is rewritten in place; it shows nothing where standard error is no terminal.
pub(crate) struct Ticker(ProgressBar);

impl Ticker {
    pub(crate) fn new(voice: Voice) -> Ticker {
        let target = match voice {
            Voice::Normal => ProgressDrawTarget::stderr_with_hz(8),
            Voice::Quiet => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("  {wide_msg}") {
            bar.set_style(style);
        }
        Ticker(bar)
    }

    /// Shows a text; it is not even made when nobody sees it.
    pub(crate) fn say(&self, text: impl FnOnce() -> String) {
        if !self.0.is_hidden() {
            self.0.set_message(text());
            self.0.tick();
        }
    }

    /// Keeps the line alive by itself while something long goes on.
    pub(crate) fn keep_alive(&self) {
        self.0.enable_steady_tick(Duration::from_millis(250));
    }

    /// Prints a lasting line above the ticker.
    pub(crate) fn print(&self, text: &str) {
        self.0.suspend(|| crate::output::say(text));
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
