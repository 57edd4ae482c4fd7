//! Why a run could not be recorded at all.

use std::io;

use hotproof_profile::SinkError;

use crate::recording::Refusal;

/// Why a run could not be recorded at all. Refused perf events are no error: see
/// [`crate::Sampled::No`].
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The command has no word, or there is no process to attach to.
    #[error("nothing to record: name a program to run or a process")]
    EmptyCommand,
    /// No such program.
    #[error("program {program} not found in {searched}: check its spelling or give its path")]
    NotFound {
        /// As the user wrote it.
        program: String,
        /// Where it was looked for.
        searched: String,
    },
    /// The program exists but cannot be executed.
    #[error("{path} cannot be executed ({reason}): name an executable file")]
    NotExecutable {
        /// What was found.
        path: String,
        /// Why not.
        reason: String,
    },
    /// A process to attach to is not there.
    #[error("process {pid} cannot be attached to ({source}): name one that runs")]
    NoProcess {
        /// Its number.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// Neither perf events nor ptrace may watch the process.
    #[error("cannot attach: {0}")]
    CannotAttach(Refusal),
    /// The command was not run, because it cannot be sampled.
    #[error("not sampled, and not run: {0}")]
    NotSampled(Refusal),
    /// An argument or a variable cannot be handed over.
    #[error("{text} holds a NUL byte, which no program can be given")]
    NulByte {
        /// The text, with the byte as `\\0`.
        text: String,
    },
    /// The working directory is missing.
    #[error("working directory {path} cannot be entered: {source}")]
    Directory {
        /// The directory asked for.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file for the target's input or output.
    #[error("{what} cannot be opened: {source}")]
    Redirect {
        /// Which one.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The target could not be started.
    #[error("{program} could not be started: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A system call of the recorder failed.
    #[error("{what} failed: {source}")]
    System {
        /// Which call, for what.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The sink could not take a row, for example because its disk is full.
    #[error("the recording could not be stored: {0}")]
    Sink(#[source] SinkError),
}
