//! The file that a recording goes to while it lasts: whatever happens to the recorder, what came up
//! to the last second is in it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hotproof_formats::native::{self, ReadError, Writer};
use hotproof_profile::Profile;

use crate::output::WriteResult;

/// So many parts of killed recorders are left lying beside each other.
const MOST_PARTS: u32 = 100;

/// A recording in a file beside the one that it will become. Dropped, it is removed.
pub(crate) struct Part {
    /// Where rows go.
    pub(crate) writer: Writer<MovingFile>,
}

impl Part {
    /// A new file beside `output`; one of the same name that a killed recorder left is kept.
    pub(crate) fn create(output: &Path) -> io::Result<Part> {
        let mut name = output.as_os_str().to_owned();
        name.push(".part");
        let mut path = PathBuf::from(&name);
        for number in 2..MOST_PARTS {
            match open_new(&path) {
                Ok(file) => return Part::over(MovingFile::new(file, path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            let mut next = name.clone();
            next.push(number.to_string());
            path = PathBuf::from(next);
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// A new file in the folder of temporary files, for an output that is a device.
    pub(crate) fn elsewhere() -> io::Result<Part> {
        Part::create(&std::env::temp_dir().join(format!("hotproof-{}", std::process::id())))
    }

    fn over(file: MovingFile) -> io::Result<Part> {
        let writer = Writer::new(file).map_err(io::Error::other)?;
        Ok(Part { writer })
    }

    /// Everything that was recorded; its samples stay in the file.
    pub(crate) fn finish(self) -> io::Result<Recorded> {
        let file = self.writer.finish().map_err(io::Error::other)?;
        let profile = native::read_summed(file.whole()?).map_err(unreadable)?;
        Ok(Recorded { profile, file })
    }

    /// Leaves the file where it is, and tells where that is.
    pub(crate) fn keep(mut self) -> io::Result<PathBuf> {
        // Rows that cannot be written either are lost, like what came after them.
        let _ = self.writer.flush();
        let mut file = self.writer.finish().map_err(io::Error::other)?;
        file.kept = true;
        Ok(file.path.clone())
    }
}

/// A recording that has ended. Dropped, its file is removed.
pub(crate) struct Recorded {
    /// What is known of it, with its samples added up: a long recording takes no more memory than a
    /// short one.
    pub(crate) profile: Profile,
    file: MovingFile,
}

impl Recorded {
    /// Writes the profile with each of its samples.
    pub(crate) fn write(&self, out: &mut dyn Write) -> WriteResult {
        native::write_with_samples(&self.profile, self.file.whole()?, out)?;
        Ok(())
    }
}

fn unreadable(error: ReadError) -> io::Error {
    match error {
        ReadError::Io(error) => error,
        other => io::Error::other(other),
    }
}

fn open_new(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
}

/// A file that moves to the folder of temporary files when its disk is full. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct MovingFile {
    file: File,
    path: PathBuf,
    written: u64,
    kept: bool,
}

impl MovingFile {
    fn new(file: File, path: PathBuf) -> MovingFile {
        MovingFile {
            file,
            path,
            written: 0,
            kept: false,
        }
    }

    /// All that was written, from the start.
    fn whole(&self) -> io::Result<&File> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }

    fn relocate(&mut self) -> io::Result<()> {
        let folder = std::env::temp_dir();
        let name = format!("hotproof-{}.part", std::process::id());
        let path = folder.join(name);
        let mut file = open_new(&path)?;
        self.file.seek(SeekFrom::Start(0))?;
        let copied = io::copy(&mut (&self.file).take(self.written), &mut file);
        if copied.as_ref().is_ok_and(|&bytes| bytes == self.written) {
            let old = std::mem::replace(&mut self.path, path);
            self.file = file;
            // All is in the new one; the old one's folder may be gone or forbidden by now.
            let _ = fs::remove_file(old);
            return Ok(());
        }
        fs::remove_file(path)?;
        copied.and(Err(io::ErrorKind::UnexpectedEof.into()))
    }
}

impl Write for MovingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self.file.write(bytes) {
            Err(full) if is_full(&full) => {
                // Where there is no room elsewhere either, the first refusal is the one to tell.
                self.relocate().map_err(|_| full)?;
                self.file.write(bytes)?
            }
            result => result?,
        };
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for MovingFile {
    fn drop(&mut self) {
        if !self.kept {
            // One that somebody else has removed is as good as removed.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotproof_profile::{Process, Sink};

    fn process(writer: &mut Writer<MovingFile>, pid: u32) {
        let name = writer.string("x").unwrap();
        let row = Process {
            pid,
            name,
            start_ns: 0,
            end_ns: None,
        };
        writer.process(row).unwrap();
    }

    /// A part gives back what was recorded and is gone; the part of a killed recorder stays.
    #[test]
    fn a_part_is_read_back_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("p");
        fs::write(folder.path().join("p.part"), "another's").unwrap();
        let mut part = Part::create(&output).unwrap();
        process(&mut part.writer, 7);
        part.writer.secure().unwrap();
        assert!(folder.path().join("p.part2").exists());
        process(&mut part.writer, 8);
        let recorded = part.finish().unwrap();
        let mut bytes = Vec::new();
        recorded.write(&mut bytes).unwrap();
        drop(recorded);
        let profile = native::read(&bytes[..]).unwrap();
        let pids = profile.processes.rows().iter().map(|row| row.pid);
        assert_eq!(pids.collect::<Vec<_>>(), [7, 8]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// What was written before a move is where it was in the file.
    #[test]
    fn a_moved_file_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.part");
        let mut file = MovingFile::new(open_new(&path).unwrap(), path.clone());
        file.write_all(b"before ").unwrap();
        file.relocate().unwrap();
        file.write_all(b"after").unwrap();
        assert!(!path.exists());
        assert_eq!(fs::read(&file.path).unwrap(), b"before after");
        let moved = file.path.clone();
        drop(file);
        assert!(!moved.exists());
    }
}
