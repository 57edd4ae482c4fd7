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
    let mut reader = Reader::new(output);
    let mut files = Vec::new();
    while let Some(line) = reader.next() {
        let names = line
            .strip_prefix(b"diff --git ")
            .ok_or_else(|| reader.error("a line that begins with \"diff --git \""))?;
        files.push(read_file(names, &mut reader)?);
    }
    Ok(files)
}

/// The lines of the output, with the number of the last one for errors.
struct Reader<'a> {
    rest: &'a [u8],
    current: &'a [u8],
    number: usize,
}

impl<'a> Reader<'a> {
    fn new(output: &'a [u8]) -> Self {
        Reader {
            rest: output,
            current: b"",
            number: 0,
        }
    }

    fn peek(&self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        (!self.rest.is_empty()).then(|| &self.rest[..end.unwrap_or(self.rest.len())])
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.peek()?;
        self.rest = self.rest.get(line.len() + 1..).unwrap_or_default();
        self.current = line;
        self.number += 1;
        Some(line)
    }

    fn error(&self, expected: &'static str) -> DiffError {
        let read = String::from_utf8_lossy(self.current);
        DiffError {
            line: self.number,
            read: read.chars().take(80).collect(),
            expected,
        }
    }
}

/// What the lines between `diff --git` and the first hunk say.
#[derive(Default)]
struct Header {
    old_mode: Option<Vec<u8>>,
    new_mode: Option<Vec<u8>>,
    added: bool,
    deleted: bool,
    from: Option<RepoPath>,
    to: Option<RepoPath>,
    binary: bool,
    submodule: bool,
}

const SUBMODULE_MODE: &[u8] = b"160000";

fn read_file(names: &[u8], reader: &mut Reader<'_>) -> Result<FileDiff, DiffError> {
    let path = same_path(names);
    let mut header = Header::default();
    // A rename names its paths on lines of their own, so that only a file whose two names are
    // the same depends on the first line.
    let named = reader.error("two equal paths with the prefixes a/ and b/, or a rename below");
    while let Some(line) = reader.peek() {
        if line.starts_with(b"diff --git ") || line.starts_with(b"@@ ") {
            break;
        }
        reader.next();
        read_header_line(line, &mut header)
            .ok_or_else(|| reader.error("a header line of git diff, a hunk or the next file"))?;
    }
    let mut hunks = Vec::new();
    while reader.peek().is_some_and(|line| line.starts_with(b"@@ ")) {
        hunks.push(read_hunk(reader)?);
    }
    let base = header.from.or_else(|| path.clone());
    let head = header.to.or(path);
    let (Some(base), Some(head)) = (base, head) else {
        return Err(named);
    };
    Ok(FileDiff {
        base: (!header.added).then_some(base),
        head: (!header.deleted).then_some(head),
        content: match (header.submodule, header.binary) {
            (true, _) => Content::Submodule,
            (false, true) => Content::Binary,
            (false, false) => Content::Text,
        },
        mode_changed: header.old_mode.is_some() && header.old_mode != header.new_mode,
        hunks,
    })
}

/// Reads one header line; `None` when it is none.
fn read_header_line(line: &[u8], header: &mut Header) -> Option<()> {
    let ignored: [&[u8]; 4] = [
        b"--- ",
        b"+++ ",
        b"similarity index ",
        b"dissimilarity index ",
    ];
    if let Some(mode) = line.strip_prefix(b"old mode ") {
        header.old_mode = Some(mode.to_vec());
    } else if let Some(mode) = line.strip_prefix(b"new mode ") {
        header.new_mode = Some(mode.to_vec());
    } else if let Some(mode) = line.strip_prefix(b"new file mode ") {
        header.added = true;
        header.submodule |= mode == SUBMODULE_MODE;
    } else if let Some(mode) = line.strip_prefix(b"deleted file mode ") {
        header.deleted = true;
        header.submodule |= mode == SUBMODULE_MODE;
    } else if let Some(path) = strip_either(line, b"rename from ", b"copy from ") {
        header.from = Some(read_path(path)?);
    } else if let Some(path) = strip_either(line, b"rename to ", b"copy to ") {
        header.to = Some(read_path(path)?);
    } else if let Some(hashes) = line.strip_prefix(b"index ") {
        header.submodule |= hashes.ends_with(b" 160000");
    } else if line.starts_with(b"Binary files ") {
        header.binary = true;
    } else if !ignored.iter().any(|prefix| line.starts_with(prefix)) {
        return None;
    }
    Some(())
}

fn strip_either<'a>(line: &'a [u8], one: &[u8], other: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(one).or_else(|| line.strip_prefix(other))
}

/// `@@ -3,2 +4 @@ context`, and the lines that it announces: their count decides, not their
/// content, which may look like anything.
fn read_hunk(reader: &mut Reader<'_>) -> Result<Hunk, DiffError> {
    let line = reader.next().unwrap_or_default();
    let hunk = hunk_header(line).ok_or_else(|| reader.error("@@ -LINE,COUNT +LINE,COUNT @@"))?;
    let (mut gone, mut came) = (hunk.base.count, hunk.head.count);
    loop {
        let kind = reader.peek().and_then(|line| line.first().copied());
        match kind {
            Some(b'-') if gone > 0 => gone -= 1,
            Some(b'+') if came > 0 => came -= 1,
            Some(b' ') if gone > 0 && came > 0 => (gone, came) = (gone - 1, came - 1),
            Some(b'\\') => {}
            _ => break,
        }
        reader.next();
    }
    if gone > 0 || came > 0 {
        reader.next();
        return Err(reader.error("as many lines as the head of the hunk says"));
    }
    Ok(hunk)
}

fn hunk_header(line: &[u8]) -> Option<Hunk> {
    let text = line.strip_prefix(b"@@ ")?;
    let end = text.windows(3).position(|window| window == b" @@")?;
    let text = std::str::from_utf8(&text[..end]).ok()?;
    let (base, head) = text.split_once(' ')?;
    Some(Hunk {
        base: line_range(base.strip_prefix('-')?)?,
        head: line_range(head.strip_prefix('+')?)?,
    })
}

fn line_range(text: &str) -> Option<LineRange> {
    let (first, count) = text.split_once(',').unwrap_or((text, "1"));
    let range = LineRange {
        first: first.parse().ok()?,
        count: count.parse().ok()?,
    };
    range.first.checked_add(range.count)?;
    Some(range)
}

/// The path of `a/PATH b/PATH` when both are the same. Git quotes neither spaces nor ` b/`, so
/// only the lengths tell where the first one ends.
fn same_path(names: &[u8]) -> Option<RepoPath> {
    let (first, second) = if names.first() == Some(&b'"') {
        let (first, rest) = unquote(names)?;
        let (second, rest) = unquote(rest.strip_prefix(b" ")?)?;
        if !rest.is_empty() {
            return None;
        }
        (first, second)
    } else {
        let half = names.len().checked_sub(1)? / 2;
        if names.get(half) != Some(&b' ') {
            return None;
        }
        (names[..half].to_vec(), names[half + 1..].to_vec())
    };
    let path = first.strip_prefix(b"a/")?;
    (!path.is_empty() && second.strip_prefix(b"b/") == Some(path)).then(|| RepoPath(path.to_vec()))
}

/// A path that ends its line, quoted or not.
fn read_path(text: &[u8]) -> Option<RepoPath> {
    let path = if text.first() == Some(&b'"') {
        let (path, rest) = unquote(text)?;
        rest.is_empty().then_some(path)?
    } else {
        text.to_vec()
    };
    (!path.is_empty()).then_some(RepoPath(path))
}

/// Reads a text in double quotes with the escapes of C; returns what follows it, too.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut path = Vec::new();
    loop {
        let (&byte, tail) = rest.split_first()?;
        rest = tail;
        match byte {
            b'"' => return Some((path, rest)),
            b'\\' => {
                let (byte, tail) = unescape(rest)?;
                path.push(byte);
                rest = tail;
            }
            _ => path.push(byte),
        }
    }
}

/// What stands behind a backslash: a letter, or three octal digits.
fn unescape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&letter, rest) = text.split_first()?;
    let byte = match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 0x0b,
        b'f' => 0x0c,
        b'r' => b'\r',
        b'"' | b'\\' => letter,
        b'0'..=b'3' => {
            let digits = std::str::from_utf8(text.get(..3)?).ok()?;
            return Some((u8::from_str_radix(digits, 8).ok()?, &text[3..]));
        }
        _ => return None,
    };
    Some((byte, rest))
}
