//! Several links of each program, with its functions in other orders: one build is one sample of
//! all the places where its code could lie.
//!
//! While a checkout is built, a script stands in for the linker ([`Linker`]): it links as asked, and
//! then again from the same object files with shuffled sections. Afterwards each program that was
//! linked gives way to a link that leads, over a second one, to one of its layouts beside it
//! ([`Layouts`]); turning the second one changes nothing of what the build made, so that kept
//! builds stay what they were.

mod linker;
mod order;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::build::Place;
use crate::error::LabError;
use crate::git;

pub(crate) use linker::Linker;
use order::Pieces;

/// The folder in a checkout, with the list of programs and, while building, their links.
const FOLDER: &str = ".hotproof-layouts";
/// The folder of the links that turn; what it holds is no part of a build.
pub(crate) const TURNING: &str = ".hotproof-layout";

/// The programs of one checkout that have several layouts.
#[derive(Debug, Clone)]
pub(crate) struct Layouts {
    top: PathBuf,
    /// Relative to the top, in the order of their turning links.
    programs: Vec<PathBuf>,
}

/// What one call of the linker left.
struct Linked {
    /// The folder with the layouts, by their numbers.
    folder: PathBuf,
    /// What the build asked for.
    output: PathBuf,
    ended: SystemTime,
}

/// Where the script leaves its links.
pub(crate) fn links_of(place: &Place) -> PathBuf {
    place.top.join(FOLDER).join("links")
}

/// Makes the folder that the script leaves its links in.
pub(crate) fn prepare(place: &Place) -> Result<(), LabError> {
    let links = links_of(place);
    fs::create_dir_all(&links).map_err(|source| LabError::File {
        action: "make",
        path: links,
        source,
    })
}

/// Puts the layouts of everything that was linked in its place.
///
/// # Errors
/// When nothing was linked, the linker cannot shuffle, or all layouts came out the same.
pub(crate) fn arrange(place: &Place, count: u32) -> Result<Layouts, LabError> {
    let refused = |reason: String| LabError::NoLayouts {
        place: place.describe(),
        reason,
    };
    let linked = linked(place).map_err(|source| LabError::File {
        action: "read the layouts in",
        path: links_of(place),
        source,
    })?;
    if linked.is_empty() {
        return Err(refused(linker::nothing_linked()));
    }
    let mut programs = Vec::new();
    for one in &linked {
        if let Ok(text) = fs::read_to_string(one.folder.join("error")) {
            return Err(refused(linker::cannot_shuffle(&text)));
        }
        let failed = |source| LabError::File {
            action: "place the layouts of",
            path: one.output.clone(),
            source,
        };
        if one.was_changed().map_err(failed)? {
            return Err(refused(linker::changed_later(&one.output)));
        }
        programs.extend(one.place(place, count).map_err(failed)?);
    }
    programs.sort();
    programs.dedup();
    if programs.is_empty() {
        return Err(refused("what was linked is not there any more".to_owned()));
    }
    let layouts = Layouts {
        top: place.top.clone(),
        programs,
    };
    if !layouts.differ(count) {
        return Err(refused(linker::all_the_same()));
    }
    git::remove_tree(&links_of(place));
    layouts.write_down().map_err(|source| LabError::File {
        action: "write the list of programs in",
        path: place.top.join(FOLDER),
        source,
    })?;
    Ok(layouts)
}

/// The last link of each output of a build, in the order of the outputs: a build that trains a
/// program before it optimizes it links it twice.
fn linked(place: &Place) -> io::Result<Vec<Linked>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(links_of(place))? {
        let folder = entry?.path();
        // A link without it was ended halfway: then the build was, too.
        let Ok(output) = fs::read(folder.join("output")) else {
            continue;
        };
        all.push(Linked {
            ended: fs::metadata(folder.join("output"))?.modified()?,
            folder,
            output: PathBuf::from(std::ffi::OsString::from_vec(output)),
        });
    }
    all.sort_by(|a, b| (&a.output, b.ended).cmp(&(&b.output, a.ended)));
    all.dedup_by(|later, first| later.output == first.output);
    Ok(all)
}

impl Linked {
    /// Whether the program that the build left is not what was linked; `false` when it is gone.
    fn was_changed(&self) -> io::Result<bool> {
        let Ok(now) = fs::read(&self.output) else {
            return Ok(false);
        };
        let apart = self.folder.join("linked");
        let linked = if apart.exists() {
            apart
        } else {
            self.folder.join("0")
        };
        Ok(fs::read(linked)? != now)
    }

    /// Lays the layouts beside each copy of the program, which becomes a link that turns. Returns
    /// the copies, relative to the top.
    fn place(&self, place: &Place, count: u32) -> io::Result<Vec<PathBuf>> {
        let original = self.folder.join("0");
        let Ok(output) = fs::metadata(&self.output) else {
            return Ok(Vec::new());
        };
        let copies = copies(&place.top, &self.output, &output)?;
        for copy in &copies {
            let program = place.top.join(copy);
            let mode = fs::metadata(&program)?.permissions();
            for layout in 0..count {
                let from = self.folder.join(layout.to_string());
                let beside = beside(&program, layout);
                let _ = fs::remove_file(&beside);
                fs::hard_link(if layout == 0 { &original } else { &from }, &beside)?;
                fs::set_permissions(&beside, mode.clone())?;
            }
        }
        Ok(copies)
    }
}

/// The files of a checkout that hold the very same program, relative to its top: cargo links into
/// one place and puts it into another, and so do scripts.
fn copies(top: &Path, output: &Path, facts: &fs::Metadata) -> io::Result<Vec<PathBuf>> {
    let wanted = fs::read(output)?;
    let mut found = Vec::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let (entry, path) = {
                let entry = entry?;
                let path = entry.path();
                (entry, path)
            };
            let seen = entry.metadata()?;
            if seen.is_dir() {
                if path != top.join(FOLDER) && path != top.join(".git") {
                    folders.push(path);
                }
                continue;
            }
            let same = seen.is_file()
                && seen.len() == facts.len()
                && ((seen.dev(), seen.ino()) == (facts.dev(), facts.ino())
                    || fs::read(&path)? == wanted);
            if same && !is_layout(&path) {
                found.extend(path.strip_prefix(top).ok().map(Path::to_owned));
            }
        }
    }
    Ok(found)
}

/// Where a layout of a program lies: beside it, so that it finds what lies there; all names are of
/// one length.
fn beside(program: &Path, layout: u32) -> PathBuf {
    let mut name = program.file_name().unwrap_or_default().to_owned();
    name.push(format!(".layout-{layout:02}"));
    program.with_file_name(name)
}

fn is_layout(path: &Path) -> bool {
    program_of(path).is_some()
}

/// The program that lies beside it, when it is a layout of one.
pub(crate) fn program_of(layout: &Path) -> Option<PathBuf> {
    let name = layout.file_name()?.as_bytes();
    let end = name.iter().rposition(|&byte| byte == b'.')?;
    let is_one = name[end + 1..].starts_with(b"layout-");
    is_one.then(|| layout.with_file_name(OsStr::from_bytes(&name[..end])))
}

impl Layouts {
    /// Those of a kept build.
    pub(crate) fn kept(place: &Place) -> Result<Layouts, LabError> {
        let path = place.top.join(FOLDER).join("programs");
        let bytes = fs::read(&path).map_err(|source| LabError::File {
            action: "read",
            path,
            source,
        })?;
        let programs = bytes
            .split(|&byte| byte == 0)
            .filter(|name| !name.is_empty())
            .map(|name| PathBuf::from(OsStr::from_bytes(name)));
        Ok(Layouts {
            top: place.top.clone(),
            programs: programs.collect(),
        })
    }

    /// Makes every program a link that turns, and writes down which there are.
    fn write_down(&self) -> io::Result<()> {
        self.turn(0)?;
        for (index, program) in self.programs.iter().enumerate() {
            let program = self.top.join(program);
            replace_link(&self.turning(index), &program)?;
        }
        let names: Vec<&[u8]> = self
            .programs
            .iter()
            .map(|program| program.as_os_str().as_bytes())
            .collect();
        fs::write(self.top.join(FOLDER).join("programs"), names.join(&0))
    }

    fn turning(&self, index: usize) -> PathBuf {
        self.top.join(TURNING).join(index.to_string())
    }

    /// Lets all programs be one of their layouts.
    ///
    /// # Errors
    /// When the links cannot be written.
    pub(crate) fn turn(&self, layout: u32) -> io::Result<()> {
        fs::create_dir_all(self.top.join(TURNING))?;
        for (index, program) in self.programs.iter().enumerate() {
            let program = self.top.join(program);
            replace_link(&beside(&program, layout), &self.turning(index))?;
        }
        Ok(())
    }

    /// For each program whose functions mostly keep their neighbours in all its layouts, that it does:
    /// then the layouts say little of what the place of code does.
    pub(crate) fn what_stays_together(&self, count: u32) -> Vec<String> {
        let mut told = Vec::new();
        for program in &self.programs {
            let path = self.top.join(program);
            let pieces = Pieces::of_files((0..count).map(|layout| beside(&path, layout)));
            let name = program.file_name().unwrap_or_default().to_string_lossy();
            let text = pieces
                .filter(|it| it.are_few())
                .map(|it| linker::together(&name, it));
            // Copies of a program say the same.
            told.extend(text.filter(|text| !told.contains(text)));
        }
        told
    }

    /// Whether any program has two layouts that are not the same file, byte for byte.
    fn differ(&self, count: u32) -> bool {
        self.programs.iter().any(|program| {
            let program = self.top.join(program);
            let first = fs::read(beside(&program, 0));
            (1..count).any(|layout| {
                let other = fs::read(beside(&program, layout));
                matches!((&first, &other), (Ok(first), Ok(other)) if first != other)
            })
        })
    }
}

/// Puts a link in the place of whatever is there, at once.
fn replace_link(to: &Path, at: &Path) -> io::Result<()> {
    let mut name = at.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = at.with_file_name(name);
    let _ = fs::remove_file(&new);
    symlink(to, &new)?;
    fs::rename(&new, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Checkout;
    use std::time::Duration;

    /// A checkout whose build linked `prog`, each time into two layouts; the program is what the last
    /// word says.
    fn built(top: &Path, links: &[(&str, u64)], program: &str) -> Place {
        let place = Place {
            checkout: Checkout::Base,
            name: "main".to_owned(),
            top: top.to_owned(),
            directory: top.to_owned(),
        };
        prepare(&place).unwrap();
        fs::write(top.join("prog"), program).unwrap();
        for (index, (content, at_s)) in links.iter().enumerate() {
            let folder = links_of(&place).join(index.to_string());
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("0"), content).unwrap();
            fs::write(folder.join("1"), format!("{content} shuffled")).unwrap();
            let output = folder.join("output");
            fs::write(&output, top.join("prog").as_os_str().as_bytes()).unwrap();
            let ended = SystemTime::UNIX_EPOCH + Duration::from_secs(*at_s);
            fs::File::open(&output)
                .unwrap()
                .set_modified(ended)
                .unwrap();
        }
        place
    }

    /// Builds that train a program before they optimize it link it twice: which of both was measured
    /// was left to the order of a folder.
    #[test]
    fn the_last_link_of_a_program_is_the_one_that_counts() {
        for links in [
            [("trained", 1), ("final", 2)],
            [("final", 2), ("trained", 1)],
        ] {
            let folder = tempfile::tempdir().unwrap();
            let place = built(folder.path(), &links, "final");
            arrange(&place, 2).unwrap();
            let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
            assert_eq!(read("prog"), "final");
            assert_eq!(read("prog.layout-01"), "final shuffled");
        }
    }

    /// A program that was stripped after linking was replaced by one that was not.
    #[test]
    fn a_program_that_was_changed_after_linking_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let place = built(folder.path(), &[("whole", 1)], "stripped");
        let error = arrange(&place, 2).unwrap_err().to_string();
        assert!(error.contains("changed after it was linked"), "{error}");
        assert_eq!(fs::read(folder.path().join("prog")).unwrap(), b"stripped");
    }
}
