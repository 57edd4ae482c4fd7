//! The files of the user that a comparison is written into.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use hotproof_diff::{Comparison, Conclusion};
use hotproof_report::compare::{handoff, tsv};

use crate::failure::{Code, Failure};
use crate::output::PendingFile;

/// Which files.
#[derive(Debug, Args)]
pub(crate) struct Keep {
    /// Append a row of the result to this table, or replace that of the same commits and workload
    #[arg(long, value_name = "FILE")]
    pub(crate) tsv: Option<PathBuf>,
    /// Write the result into this Markdown file, into a block of its own for each pair of commits and workload
    #[arg(long, value_name = "FILE")]
    pub(crate) handoff: Option<PathBuf>,
}

impl Keep {
    /// Makes sure that the files can be written, before anything is measured.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        for path in [&self.tsv, &self.handoff].into_iter().flatten() {
            PendingFile::create(path)?;
        }
        Ok(())
    }

    /// Writes the row of `--tsv` and the block of `--handoff`; `record` is where the log has it.
    pub(crate) fn write(
        &self,
        comparison: &Comparison,
        conclusion: &Conclusion,
        record: &str,
    ) -> Result<(), Failure> {
        if let Some(path) = &self.tsv {
            rewrite(path, |text| tsv(text, comparison, conclusion))?;
        }
        if let Some(path) = &self.handoff {
            let block = |text: &str| handoff(text, comparison, conclusion, Some(record));
            rewrite(path, block)?;
        }
        Ok(())
    }
}

/// Replaces the text of a file; one that does not exist is empty. What another hotproof writes at the
/// same time is read first, so that neither loses its part.
fn rewrite(path: &Path, with: impl FnOnce(&str) -> String) -> Result<(), Failure> {
    let _turn = turn(path)?;
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            let what = format!("cannot read {}: {error}", path.display());
            return Err(Failure::new(Code::Failure, what)
                .remedy("name a text file that can be read, or a new one"));
        }
    };
    let text = with(&text);
    let file = PendingFile::create(path)?;
    file.finish(|out| Ok(out.write_all(text.as_bytes())?))?;
    Ok(())
}

/// The right to rewrite a file, until it is dropped. The folder is locked, since the file itself is
/// replaced. `None` where folders cannot be locked (a network file system without locks, a folder that
/// may not be read): there it is written as any editor would.
fn turn(path: &Path) -> Result<Option<File>, Failure> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let Ok(file) = File::open(folder) else {
        return Ok(None);
    };
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(_)) => return Ok(None),
            // Whoever started us may hold it, and wait for us.
            Err(TryLockError::WouldBlock) if started.elapsed() > LONGEST_TURN => {
                let what = format!("{} is locked by another program", folder.display());
                let remedy = "end what holds the lock (lslocks tells), or name a file in another \
                              folder; `hotproof verdict --tsv` writes the row later";
                return Err(Failure::new(Code::Failure, what).remedy(remedy));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Another hotproof takes milliseconds.
const LONGEST_TURN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[test]
    fn writers_at_the_same_time_lose_nothing_of_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.tsv");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for line in 0..20 {
                        rewrite(path, |text| format!("{text}{writer} {line}\n")).unwrap();
                    }
                });
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: std::collections::HashSet<&str> = text.lines().collect();
        assert_eq!((text.lines().count(), lines.len()), (160, 160));
    }
}
