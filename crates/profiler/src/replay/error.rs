//! Why a recording of perf cannot be read at all.

/// A recording of perf cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The bytes cannot be read.
    #[error("cannot read the recording at byte {offset}: {source}")]
    Io {
        /// Where in the file.
        offset: u64,
        /// What the system said.
        source: std::io::Error,
    },
    /// It does not begin as perf's recordings do.
    #[error("it begins with {found:02x?}, expected PERFILE2: this is no perf.data")]
    NotPerfData {
        /// The first bytes, at most eight.
        found: Vec<u8>,
    },
    /// A machine of the other byte order wrote it.
    #[error(
        "it was recorded on a machine of the other byte order: convert it there with perf script"
    )]
    OtherByteOrder,
    /// A machine of another architecture was recorded.
    #[error(
        "it was recorded on {recorded}, and this is {here}: its binaries, registers and stacks are not those of this machine; read it on a machine like that, or print it there with perf script and read the text here"
    )]
    OtherArchitecture {
        /// As the recording names it.
        recorded: String,
        /// This machine's.
        here: &'static str,
    },
    /// The header is cut or contradicts itself.
    #[error("{what} at byte {offset} has {found}, expected {expected}")]
    Header {
        /// Which part.
        what: &'static str,
        /// Where in the file.
        offset: u64,
        /// What was read.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// It is one file of a directory that `perf record --threads` wrote.
    #[error(
        "it belongs to a directory of files (perf record --threads), expected a single file: record without --threads"
    )]
    Directory,
    /// No event samples anything.
    #[error(
        "none of its {events} events takes samples of instructions, expected one recorded by perf record"
    )]
    NoSamplingEvent {
        /// How many events there are.
        events: usize,
    },
    /// No event has the name that was asked for.
    #[error("no event is called {wanted}, expected one of: {known}")]
    NoSuchEvent {
        /// The name asked for.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// Reading on would take more than what was allowed.
    #[error(
        "{what} exceed the limit of {limit} at byte {offset}: raise the limit if the file is trusted"
    )]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
        /// Where in the file.
        offset: u64,
    },
}
