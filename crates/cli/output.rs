//! Where results go: standard output, or a file that appears whole or not at all.

use std::fs::Permissions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::failure::{Code, Failure};

/// A file that does not exist under its name until it is whole.
pub(crate) struct PendingFile {
    path: PathBuf,
    scratch: NamedTempFile,
}

/// What a writer of file contents can fail with.
pub(crate) type WriteResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

impl PendingFile {
    /// Makes sure that a file can be made beside `path`, before any work is done for it.
    pub(crate) fn create(path: &Path) -> Result<PendingFile, Failure> {
        if path.is_dir() {
            let what = format!("cannot write {}: it is a folder", path.display());
            return Err(Failure::new(Code::Usage, what).remedy("name a file with -o"));
        }
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let scratch = tempfile::Builder::new()
            .prefix(".hotproof-")
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(folder)
            .map_err(|error| cannot_write(path, &error))?;
        Ok(PendingFile {
            path: path.to_owned(),
            scratch,
        })
    }

    /// Writes the contents and gives the file its name; its size in bytes.
    pub(crate) fn finish(
        mut self,
        contents: impl FnOnce(&mut dyn Write) -> WriteResult,
    ) -> Result<u64, Failure> {
        let mut writer = BufWriter::new(self.scratch.as_file_mut());
        contents(&mut writer)
            .and_then(|()| writer.flush().map_err(Into::into))
            .map_err(|error| cannot_write(&self.path, error.as_ref()))?;
        drop(writer);
        let kept = self.scratch.persist(&self.path);
        let file = kept.map_err(|error| cannot_write(&self.path, &error.error))?;
        let facts = file
            .metadata()
            .map_err(|error| cannot_write(&self.path, &error))?;
        Ok(facts.len())
    }
}

fn cannot_write(path: &Path, error: &dyn std::error::Error) -> Failure {
    let what = format!("cannot write {}: {error}", path.display());
    Failure::new(Code::Failure, what).remedy("name another place with -o, or make room there")
}

/// Writes data to standard output. A reader that has had enough (`| head`) is no error.
pub(crate) fn to_stdout(
    contents: impl FnOnce(&mut dyn Write) -> WriteResult,
) -> Result<(), Failure> {
    let mut writer = BufWriter::new(io::stdout().lock());
    let written = contents(&mut writer).and_then(|()| writer.flush().map_err(Into::into));
    match written {
        Err(error) if !is_closed_pipe(error.as_ref()) => Err(Failure::new(
            Code::Failure,
            format!("cannot write to standard output: {error}"),
        )),
        _ => Ok(()),
    }
}

/// Prints text that may carry styles; they are taken out where the reader is no terminal.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let styled = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    to_stdout(|out| {
        if styled {
            out.write_all(text.as_bytes())?;
        } else {
            out.write_all(anstream::adapter::strip_str(text).to_string().as_bytes())?;
        }
        Ok(())
    })
}

/// Says something to the person, beside the data.
pub(crate) fn say(text: &str) {
    // Nobody can be told when standard error is gone.
    let _ = writeln!(anstream::AutoStream::auto(io::stderr()), "{text}");
}

/// Whether notices and progress are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Notices on standard error, progress on a terminal.
    Normal,
    /// Results and errors alone.
    Quiet,
}

impl Voice {
    pub(crate) fn new(quiet: bool) -> Voice {
        if quiet { Voice::Quiet } else { Voice::Normal }
    }

    /// Says something that is neither a result nor an error.
    pub(crate) fn notice(self, text: &str) {
        if self == Voice::Normal {
            say(text);
        }
    }
}

fn is_closed_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io.kind() == io::ErrorKind::BrokenPipe;
        }
        cause = error.source();
    }
    false
}
