//! Names for run-time code of one process, from whatever its maker wrote.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use hotproof_image::HeldFiles;
use hotproof_profile::{ImageId, ImageKind, Profile, Source, file_name};

use super::code_map::{CodeEntry, CodeMap, Collector};
use super::{jitdump, perf_map};
use crate::answer::{Answer, AnswerFrame, NamedFunction, NamedSymbol, Rows, Tables};
use crate::summary::Problem;

/// The files that may name the run-time code of one process, those to be asked first in front.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunTimeSources(Vec<CodeFile>);

#[derive(Debug, Clone)]
enum CodeFile {
    /// Opened while its process ran.
    Held(Arc<File>),
    /// To be opened now.
    Path(PathBuf),
}

/// The files that name an image of run-time code.
///
/// Without a held file they are found by the mappings of the image's process: a process that
/// writes a jitdump maps it, so that profilers learn of it. The image's own path is its perf map.
pub(crate) fn sources_of(profile: &Profile, image: ImageId, held: &HeldFiles) -> RunTimeSources {
    let path = &profile.strings[profile.images[image].path];
    if let Some(files) = held.code(path) {
        let files = files.iter().map(|file| CodeFile::Held(Arc::clone(file)));
        return RunTimeSources(files.collect());
    }
    let rows = profile.mappings.rows();
    let of_image = rows.iter().filter(|row| row.image == image);
    let processes: Vec<_> = of_image.map(|row| row.process).collect();
    let same = rows.iter().filter(|row| processes.contains(&row.process));
    let mut paths: Vec<&str> = same
        .filter(|row| profile.images[row.image].kind == ImageKind::Jit)
        .map(|row| &profile.strings[profile.images[row.image].path])
        .filter(|path| is_dump(path))
        .collect();
    paths.sort_unstable();
    paths.dedup();
    paths.push(path);
    let files = paths.into_iter().map(|path| CodeFile::Path(path.into()));
    RunTimeSources(files.collect())
}

/// `jit-PID.dump`, as the specification has it.
fn is_dump(path: &str) -> bool {
    let name = file_name(path);
    name.starts_with("jit-") && name.ends_with(".dump")
}

/// Names for the run-time code of one process.
pub(crate) struct RunTimeNames {
    maps: Vec<(Source, CodeMap)>,
    rows: Rows,
    problems: Vec<Problem>,
}

impl RunTimeNames {
    /// Reads all sources; what cannot be read is told by [`RunTimeNames::problems`].
    pub(crate) fn read(sources: &RunTimeSources) -> RunTimeNames {
        let mut names = RunTimeNames {
            maps: Vec::new(),
            rows: Rows::default(),
            problems: Vec::new(),
        };
        for file in &sources.0 {
            match file {
                CodeFile::Held(file) => names.add(file),
                CodeFile::Path(path) => match hotproof_image::open_code_file(path) {
                    Ok(Some(file)) => names.add(&file),
                    Ok(None) => {}
                    Err(error) => names.problems.push(Problem::Unreadable {
                        detail: error.to_string(),
                    }),
                },
            }
        }
        if names.maps.is_empty() && names.problems.is_empty() {
            names.problems.push(Problem::NoFile);
        }
        names
    }

    fn add(&mut self, file: &File) {
        let mut collector = Collector::default();
        let mut magic = [0; 4];
        let is_dump = file.read_exact_at(&mut magic, 0).is_ok() && jitdump::is_magic(magic);
        let start = ReadAt { file, at: 0 };
        let (source, told) = if is_dump {
            (Source::Jitdump, jitdump::read(start, &mut collector))
        } else {
            (Source::PerfMap, perf_map::read(start, &mut collector))
        };
        if let Some(detail) = told {
            self.problems.push(Problem::Damaged {
                what: match source {
                    Source::Jitdump => "its jitdump",
                    _ => "its perf map",
                },
                detail,
            });
        }
        let map = collector.finish();
        if !map.is_empty() {
            self.maps.push((source, map));
        }
    }

    /// What could not be read.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Names run-time addresses, with the rows that the answers refer to.
    pub(crate) fn name_all(&mut self, addresses: &[u64]) -> (Vec<Answer>, Tables) {
        let answers = addresses.iter().map(|&address| self.name(address));
        (answers.collect(), self.rows.take_fresh())
    }

    fn name(&mut self, address: u64) -> Answer {
        let mut maps = self.maps.iter();
        let found = maps.find_map(|(source, map)| Some((*source, map.find(address)?)));
        let Some((source, entry)) = found else {
            return Answer::default();
        };
        let (file, line) = match declared(&entry.name) {
            Some((file, line)) => (Some(file.to_owned()), Some(line)),
            None => (entry.line.as_ref().map(|(file, _)| file.clone()), None),
        };
        let at = entry.line.as_ref();
        let other_file = at.filter(|(path, _)| file.as_ref() != Some(path));
        let frame = AnswerFrame {
            line: at.map(|(_, line)| *line).filter(|&line| line > 0),
            file: other_file.map(|(path, _)| self.rows.file(path)),
            ..AnswerFrame::of(self.rows.function(NamedFunction {
                name: entry.name.as_str().into(),
                linkage_name: Arc::default(),
                file: file.map(Arc::from),
                line,
                source,
            }))
        };
        let CodeEntry {
            name, start, size, ..
        } = entry;
        let symbol = self.rows.symbol(NamedSymbol {
            linkage_name: name.into(),
            address: start,
            size,
            aliases: Vec::new(),
        });
        Answer {
            symbol: Some(symbol),
            frame: Some(self.rows.lone_frame(frame)),
        }
    }
}

/// File and line at the end of a name as V8 writes it: `JS:*fib /w/fib.js:1:13`.
fn declared(name: &str) -> Option<(&str, u32)> {
    let (_, place) = name.split_once(' ')?;
    let (place, column) = place.rsplit_once(':')?;
    let (file, line) = place.rsplit_once(':')?;
    column.parse::<u32>().ok()?;
    let line = line.parse().ok().filter(|&line| line > 0)?;
    let is_path = file.contains('/') || file.starts_with("node:");
    (is_path && !file.is_empty()).then_some((file, line))
}

/// Reads a shared file from its beginning, whatever others have read of it.
struct ReadAt<'a> {
    file: &'a File,
    at: u64,
}

impl Read for ReadAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::declared;

    #[test]
    fn places_are_read_from_the_names_of_v8() {
        for (name, expected) in [
            ("JS:*fib /w/a b.js:1:13", Some(("/w/a b.js", 1))),
            (
                "JS:^next node:internal/x:330:9",
                Some(("node:internal/x", 330)),
            ),
            (
                "LazyCompile:~ file:///w/m.mjs:7:2",
                Some(("file:///w/m.mjs", 7)),
            ),
            ("Builtin:RecordWrite", None),
            ("py::f:/w/a.py", None),
            ("a b:c:d", None),
            ("std::map<int, char>::find(int)", None),
            ("f (x):1:2", None),
        ] {
            assert_eq!(declared(name), expected, "{name}");
        }
    }
}
