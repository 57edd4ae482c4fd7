//! Where results go: standard output, or a file that appears whole or not at all.

use std::error::Error;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::NamedTempFile;

use crate::failure::{Code, Failure, printable};

/// A file that does not exist under its name until it is whole.
pub(crate) struct PendingFile {
    /// As the user named it.
    shown: PathBuf,
    place: Place,
}

enum Place {
    /// Written beside the file, which it becomes by rename.
    Beside(PathBuf, NamedTempFile),
    /// As above, of which nothing is there yet.
    Later(PathBuf, Permissions),
    /// A device or a pipe: there is nothing to rename, and replacing it would destroy it.
    Stream(File),
}

/// What a writer of file contents can fail with.
pub(crate) type WriteResult = Result<(), Box<dyn Error + Send + Sync>>;

impl PendingFile {
    /// Makes sure that the file can be written, before any work is done for it.
    pub(crate) fn create(path: &Path) -> Result<PendingFile, Failure> {
        let place = match fs::metadata(path) {
            Ok(facts) if facts.is_dir() => {
                let what = format!("cannot write {}: it is a folder", path.display());
                return Err(Failure::new(Code::Usage, what).remedy("name a file"));
            }
            // A link stays a link, and what it leads to keeps its mode.
            Ok(facts) if facts.is_file() => {
                fs::canonicalize(path).and_then(|path| beside(path, facts.permissions()))
            }
            Ok(_) => OpenOptions::new().write(true).open(path).map(Place::Stream),
            Err(_) => beside(path.to_owned(), Permissions::from_mode(0o644)),
        };
        Ok(PendingFile {
            shown: path.to_owned(),
            place: place.map_err(|error| cannot_write(path, &without_path(&error)))?,
        })
    }

    /// Removes what is written beside the file until there are contents: work that takes long may be
    /// killed.
    pub(crate) fn until_later(self) -> PendingFile {
        let place = match self.place {
            Place::Beside(path, scratch) => match scratch.as_file().metadata() {
                Ok(facts) => Place::Later(path, facts.permissions()),
                Err(_) => Place::Beside(path, scratch),
            },
            place => place,
        };
        PendingFile { place, ..self }
    }

    /// Whether it is a device or a pipe.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.place, Place::Stream(_))
    }

    /// Writes the contents and gives the file its name; its size in bytes.
    pub(crate) fn finish(
        self,
        contents: impl FnOnce(&mut dyn Write) -> WriteResult,
    ) -> Result<u64, Failure> {
        self.fill(contents)?.publish()
    }

    /// Writes the contents; the file has its name only when it is published.
    fn fill(
        mut self,
        contents: impl FnOnce(&mut dyn Write) -> WriteResult,
    ) -> Result<FilledFile, Failure> {
        let filled = match self.place.file() {
            Ok(file) => fill(file, contents),
            Err(error) => Err(error.into()),
        };
        match filled {
            Ok(()) => Ok(FilledFile(self)),
            Err(error) => Err(cannot_write(&self.shown, error.as_ref())),
        }
    }

    /// As [`PendingFile::finish`], for what cannot be made again: when the place turns out to be
    /// full, the contents are kept in the folder of temporary files, and the error says where.
    pub(crate) fn finish_or_rescue(
        self,
        contents: impl Fn(&mut dyn Write) -> WriteResult,
    ) -> Result<u64, Failure> {
        let PendingFile { shown, place } = self;
        write_to(place, &contents).map_err(|error| {
            let what = format!("cannot write {}: {error}", shown.display());
            match rescue(contents) {
                Ok(path) => Failure::new(Code::Failure, what).remedy(format!(
                    "it is kept as {}: move it where there is room",
                    path.display()
                )),
                Err(_) => cannot_write(&shown, error.as_ref()),
            }
        })
    }
}

/// A file with all its contents, which nobody sees under its name yet.
struct FilledFile(PendingFile);

impl FilledFile {
    /// Gives the file its name; its size in bytes.
    fn publish(self) -> Result<u64, Failure> {
        let PendingFile { shown, place } = self.0;
        let size = place.publish().and_then(|file| Ok(file.metadata()?.len()));
        size.map_err(|error| cannot_write(&shown, &without_path(&error)))
    }
}

/// The path as the system knows it, so that two ways to one file, links among them, are the same.
fn without_detours(path: &Path) -> PathBuf {
    if path == Path::new("-") {
        return path.to_owned();
    }
    let new_file = || {
        Some(
            fs::canonicalize(folder_of(path))
                .ok()?
                .join(path.file_name()?),
        )
    };
    let file = fs::canonicalize(path).ok().filter(|real| real.is_file());
    let known = file.or_else(new_file);
    // A folder that is not there is told where the file is to be made.
    known.unwrap_or_else(|| path.to_owned())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes several outputs, each in its format; none of the files appears unless all contents could
/// be made and written. `-` is standard output.
pub(crate) fn write_outputs<F: Copy>(
    targets: &[(&Path, F)],
    contents: impl Fn(F, &mut dyn Write) -> WriteResult,
) -> Result<(), Failure> {
    let places: Vec<PathBuf> = targets
        .iter()
        .map(|(path, _)| without_detours(path))
        .collect();
    for (number, (path, _)) in targets.iter().enumerate() {
        if places[..number].contains(&places[number]) {
            let what = format!("{} is named twice with -o", path.display());
            return Err(Failure::new(Code::Usage, what).remedy("give each output its own place"));
        }
    }
    let is_stdout = |path: &Path| path == Path::new("-");
    // All places are made sure of before the first is written.
    let mut pending = Vec::with_capacity(targets.len());
    for &(path, format) in targets.iter().filter(|(path, _)| !is_stdout(path)) {
        pending.push((PendingFile::create(path)?, format));
    }
    // What is written to a pipe cannot be taken back, so it comes when the files are whole.
    let (streams, files): (Vec<_>, Vec<_>) =
        pending.into_iter().partition(|(file, _)| file.is_stream());
    let mut filled = Vec::with_capacity(targets.len());
    for (file, format) in files.into_iter().chain(streams) {
        filled.push(file.fill(|out| contents(format, out))?);
    }
    for &(_, format) in targets.iter().filter(|(path, _)| is_stdout(path)) {
        to_stdout(|out| contents(format, out))?;
    }
    for file in filled {
        file.publish()?;
    }
    Ok(())
}

fn beside(path: PathBuf, permissions: Permissions) -> io::Result<Place> {
    let folder = folder_of(&path);
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix(".hotproof-").permissions(permissions);
    let scratch = builder.tempfile_in(folder)?;
    Ok(Place::Beside(path, scratch))
}

impl Place {
    /// Where contents go, begun if it was not.
    fn file(&mut self) -> io::Result<&mut File> {
        if let Place::Later(path, permissions) = self {
            let begun = beside(path.clone(), permissions.clone());
            *self = begun.map_err(|error| without_path(&error))?;
        }
        match self {
            Place::Beside(_, scratch) => Ok(scratch.as_file_mut()),
            Place::Stream(file) => Ok(file),
            Place::Later(..) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn publish(self) -> io::Result<File> {
        match self {
            Place::Beside(path, scratch) => scratch.persist(path).map_err(|error| error.error),
            Place::Stream(file) => Ok(file),
            // Nobody has written anything.
            Place::Later(..) => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn fill(file: &mut File, contents: impl FnOnce(&mut dyn Write) -> WriteResult) -> WriteResult {
    let mut writer = BufWriter::new(file);
    contents(&mut writer)?;
    Ok(writer.flush()?)
}

fn write_to(
    mut place: Place,
    contents: impl FnOnce(&mut dyn Write) -> WriteResult,
) -> Result<u64, Box<dyn Error + Send + Sync>> {
    fill(place.file()?, contents)?;
    Ok(place.publish()?.metadata()?.len())
}

fn rescue(
    contents: impl Fn(&mut dyn Write) -> WriteResult,
) -> Result<PathBuf, Box<dyn Error + Send + Sync>> {
    let mut builder = tempfile::Builder::new();
    let mut scratch = builder.prefix("rescued-").suffix(".hotproof").tempfile()?;
    fill(scratch.as_file_mut(), contents)?;
    Ok(scratch.keep()?.1)
}

/// The error without the name of the scratch file, which says nothing to anybody.
fn without_path(error: &io::Error) -> io::Error {
    error
        .raw_os_error()
        .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

fn cannot_write(path: &Path, error: &(dyn Error + 'static)) -> Failure {
    let missing = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let why = match missing {
        Some(folder) => format!("the folder {} does not exist", folder.display()),
        None => error.to_string(),
    };
    let what = format!("cannot write {}: {why}", path.display());
    let failure = Failure::new(Code::Failure, what);
    match first_io_error(error) {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            failure.remedy("make room there, or name another place")
        }
        Some(_) => failure.remedy("name another place"),
        // The contents cannot be made: no other place helps.
        None => failure,
    }
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

/// Says something beside the result, unless the user wants silence. It may quote names of a file,
/// which must not steer the terminal.
pub(crate) fn aside(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        say(&printable(text));
    }
}

/// Whether `-q` was given: the one setting that every corner of the program heeds.
static QUIET: AtomicBool = AtomicBool::new(false);

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
        QUIET.store(quiet, Ordering::Relaxed);
        if quiet { Voice::Quiet } else { Voice::Normal }
    }

    /// Says something that is neither a result nor an error.
    pub(crate) fn notice(self, text: &str) {
        if self == Voice::Normal {
            say(text);
        }
    }
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    first_io_error(error) == Some(io::ErrorKind::BrokenPipe)
}

/// The kind of the first error in the chain that came from the system.
fn first_io_error(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}
