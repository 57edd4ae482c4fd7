//! Exit codes, and errors as people read them: what happened, what was read, what to do.

use std::fmt;
use std::process::ExitCode;

use hotproof_report::names::clean;

pub(crate) use hotproof_diff::ExitCode as Code;

/// How hotproof ends; the numbers are a promise, told in `--help` and the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// One of the codes that all commands share.
    Code(Code),
    /// The target's own status, with `--forward-exit`.
    Forwarded(u8),
    /// Ctrl-C, as shells count it.
    Interrupted,
}

impl Exit {
    /// Done, keep, yes.
    pub(crate) const SUCCESS: Exit = Exit::Code(Code::Keep);

    /// As the shell sees it.
    pub(crate) fn number(self) -> u8 {
        match self {
            Exit::Code(code) => code.code(),
            Exit::Forwarded(code) => code,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.number())
    }
}

/// The exit codes, as `--help` tells them.
pub(crate) fn exit_codes() -> String {
    let line = |code: u8, meaning: &str| format!("\n {code:>3}  {meaning}");
    let codes = Code::ALL
        .iter()
        .map(|code| line(code.code(), code.meaning()));
    let last = line(Exit::Interrupted.number(), "interrupted by Ctrl-C");
    std::iter::once("Exit codes:".to_owned())
        .chain(codes)
        .chain([last])
        .collect()
}

/// An error with everything that a person needs to act on it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    read: Option<String>,
    remedy: Option<String>,
}

impl Failure {
    /// `what` happened.
    pub(crate) fn new(code: Code, what: impl Into<String>) -> Failure {
        Failure {
            exit: Exit::Code(code),
            what: what.into(),
            read: None,
            remedy: None,
        }
    }

    /// Ctrl-C ended it.
    pub(crate) fn interrupted(what: impl Into<String>) -> Failure {
        Failure {
            exit: Exit::Interrupted,
            what: what.into(),
            read: None,
            remedy: None,
        }
    }

    /// Which of several things it happened to.
    pub(crate) fn of(self, name: &str) -> Failure {
        Failure {
            what: format!("{name}: {}", self.what),
            ..self
        }
    }

    /// What was found instead of what was expected.
    pub(crate) fn read(mut self, read: impl Into<String>) -> Failure {
        self.read = Some(read.into());
        self
    }

    /// What to do.
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Failure {
        self.remedy = Some(remedy.into());
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = anstyle::AnsiColor::Red.on_default().bold();
        write!(f, "{style}error:{style:#} {}", printable(&self.what))?;
        for (label, text) in [("read", &self.read), ("do", &self.remedy)] {
            if let Some(text) = text {
                write!(f, "\n  {label:<7}  {}", printable(text))?;
            }
        }
        Ok(())
    }
}

/// Text that names what was read, which must not steer the terminal; its own lines stay lines, and
/// what a tool indented by a tab (git does) stays indented.
pub(crate) fn printable(text: &str) -> String {
    let line = |line: &str| clean(&line.replace('\t', "    "));
    let lines: Vec<String> = text.split('\n').map(line).collect();
    lines.join("\n")
}

/// What a command comes to.
pub(crate) type Outcome = Result<Exit, Failure>;

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn lines_and_tabs_of_a_tool_stay_and_what_steers_a_terminal_does_not() {
        let said = "fatal: dubious\n\n\tgit config \u{1b}[31m";
        assert_eq!(
            printable(said),
            "fatal: dubious\n\n    git config \\u{1b}[31m"
        );
    }
}
