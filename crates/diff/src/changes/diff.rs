//! Reads what `git diff` prints.

/// The arguments of git that [`parse_diff`] understands; two commits follow them, then `--`.
///
/// Each one pins a setting that a user's configuration could change.
pub const GIT_DIFF_ARGUMENTS: &[&str] = &[
    "diff",
    "--patch",
    "-U0",
    "--inter-hunk-context=0",
    "-M",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-relative",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--full-index",
    "--submodule=short",
    "--ignore-submodules=none",
];

/// A path relative to the top of the repository, as git stores it: bytes, separated by `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoPath(pub Vec<u8>);

impl RepoPath {
    /// The path as text; bytes that are no UTF-8 are replaced.
    pub fn display(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

/// Lines of one side of a hunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LineRange {
    /// The first line, counted from 1. When `count` is 0, the line before the place, which is 0
    /// at the top of the file.
    pub first: u32,
    /// How many lines.
    pub count: u32,
}

impl LineRange {
    /// Whether `line`, counted from 1, is one of them.
    pub fn contains(self, line: u32) -> bool {
        line >= self.first && line - self.first < self.count
    }
}

/// Lines of base that were replaced by lines of head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hunk {
    /// Lines that are gone.
    pub base: LineRange,
    /// Lines that came.
    pub head: LineRange,
}

/// What kind of thing a file of a diff is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content {
    /// Text: the hunks say what changed, and without hunks only name or mode did.
    Text,
    /// Bytes that git does not show and that differ.
    Binary,
    /// The commit of a submodule.
    Submodule,
}

/// One file of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    /// The path at base; `None` when the file was added.
    pub base: Option<RepoPath>,
    /// The path at head; `None` when the file was deleted.
    pub head: Option<RepoPath>,
    /// What it is.
    pub content: Content,
    /// Whether its mode (executable, symbolic link) changed.
    pub mode_changed: bool,
    /// In the order of the lines; empty for a pure rename or a change of mode.
    pub hunks: Vec<Hunk>,
}

/// Text that is not what git prints with [`GIT_DIFF_ARGUMENTS`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the output of git diff reads {read:?}, expected {expected}")]
pub struct DiffError {
    /// Counted from 1.
    pub line: usize,
    /// The start of that line, at most 80 characters.
    pub read: String,
    /// What should have been there.
    pub expected: &'static str,
}

/// Reads the output of git with [`GIT_DIFF_ARGUMENTS`]; the files keep its order.
///
/// # Errors
/// Names the first line that does not fit.
pub fn parse_diff(output: &[u8]) -> Result<Vec<FileDiff>, DiffError> {
    let _ = output;
    todo!()
}
