//! The log of comparisons at the top of the user's checkout.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use hotproof_diff::{Comparison, Conclusion};

use crate::failure::{Code, Failure};

/// The folder, which ignores itself in git.
const FOLDER: &str = ".hotproof";
const FILE: &str = "log.jsonl";
/// The quick looks.
const AB_FILE: &str = "ab.jsonl";

/// Appends one line; where it stands, as `hotproof verdict` takes it.
pub(crate) fn append(
    top: &Path,
    comparison: &Comparison,
    conclusion: &Conclusion,
) -> Result<String, Failure> {
    append_to(FILE, top, comparison, conclusion)
}

/// As [`append`], for a quick look of `hotproof ab`.
pub(crate) fn append_ab(
    top: &Path,
    comparison: &Comparison,
    conclusion: &Conclusion,
) -> Result<String, Failure> {
    append_to(AB_FILE, top, comparison, conclusion)
}

fn append_to(
    file: &str,
    top: &Path,
    comparison: &Comparison,
    conclusion: &Conclusion,
) -> Result<String, Failure> {
    let line = hotproof_report::log::line(comparison, conclusion);
    let path = top.join(FOLDER).join(file);
    let number = add_line(top, &path, &line).map_err(|error| {
        let what = format!("cannot log the comparison in {}: {error}", path.display());
        Failure::new(Code::Failure, what).remedy("make that folder writable, or make room")
    })?;
    Ok(format!("{FOLDER}/{file}:{number}"))
}

/// The last quick look in the checkout at `top`; `None` where there is none that can be read,
/// since nothing rests on it.
pub(crate) fn last_ab(top: &Path) -> Option<Comparison> {
    let text = fs::read_to_string(top.join(FOLDER).join(AB_FILE)).ok()?;
    hotproof_report::log::parse(text.lines().last()?).ok()
}

fn add_line(top: &Path, path: &Path, line: &str) -> io::Result<usize> {
    let folder = top.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        fs::write(ignore, "*\n")?;
    }
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    // So that two that end together do not name the same line; a file system without locks cannot
    // promise that, and has the lines all the same.
    let _ = file.lock();
    let mut before = Vec::new();
    file.read_to_end(&mut before)?;
    // A line that a full disk cut short must not swallow this one.
    let mut text = String::new();
    if before.last().is_some_and(|&byte| byte != b'\n') {
        text.push('\n');
    }
    text.push_str(line.trim_end());
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    let lines = before.iter().filter(|&&byte| byte == b'\n').count();
    Ok(lines + text.matches('\n').count())
}

/// The comparison at `FILE` or `FILE:LINE`; the last one without a line, and the log of the
/// checkout that we stand in without a file.
pub(crate) fn read(place: Option<&str>) -> Result<(Comparison, String), Failure> {
    let (path, number) = match place {
        Some(place) => split(place),
        None => (own_log(), None),
    };
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::new(
            Code::Usage,
            format!("cannot read the log {}: {error}", path.display()),
        )
        .remedy("name a log that `hotproof compare` wrote, for example .hotproof/log.jsonl")
    })?;
    let lines = text.lines().count();
    let number = number.unwrap_or(lines);
    let line = number
        .checked_sub(1)
        .and_then(|index| text.lines().nth(index));
    let shown = format!("{}:{number}", path.display());
    let line = line.ok_or_else(|| {
        Failure::new(Code::Usage, format!("there is no line {shown}"))
            .read(format!("the log has {lines} lines"))
    })?;
    let comparison = hotproof_report::log::parse(line)
        .map_err(|error| Failure::new(Code::Usage, format!("cannot read {shown}: {error}")))?;
    Ok((comparison, shown))
}

fn own_log() -> PathBuf {
    let here = Path::new(".");
    let top = hotproof_lab::git::top(here).unwrap_or_else(|_| here.to_owned());
    top.join(FOLDER).join(FILE)
}

fn split(place: &str) -> (PathBuf, Option<usize>) {
    if let Some((path, number)) = place.rsplit_once(':')
        && let Ok(number) = number.parse()
    {
        return (PathBuf::from(path), Some(number));
    }
    (PathBuf::from(place), None)
}

#[cfg(test)]
mod tests {
    use super::{add_line, split};

    #[test]
    fn lines_are_appended_and_counted_and_a_cut_line_stays_alone() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join(".hotproof/log.jsonl");
        assert_eq!(add_line(top.path(), &path, "{}").unwrap(), 1);
        assert_eq!(add_line(top.path(), &path, "{}\n").unwrap(), 2);
        std::fs::write(&path, "{}\n{\"cut\":").unwrap();
        assert_eq!(add_line(top.path(), &path, "{}").unwrap(), 3);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{}\n{\"cut\":\n{}\n"
        );
        assert_eq!(
            std::fs::read_to_string(top.path().join(".hotproof/.gitignore")).unwrap(),
            "*\n"
        );
    }

    #[test]
    fn lines_of_comparisons_that_end_together_have_numbers_of_their_own() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join(".hotproof/log.jsonl");
        let add = |writer: usize| -> Vec<(usize, String)> {
            let line = |nth: usize| format!("{{\"{writer}\":{nth}}}");
            let lines = (0..10).map(line);
            lines
                .map(|line| (add_line(top.path(), &path, &line).unwrap(), line))
                .collect()
        };
        let told: Vec<(usize, String)> = std::thread::scope(|scope| {
            let writers = [0, 1, 2, 3, 4, 5].map(|writer| scope.spawn(move || add(writer)));
            writers
                .into_iter()
                .flat_map(|one| one.join().unwrap())
                .collect()
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), told.len());
        for (number, line) in told {
            assert_eq!(text.lines().nth(number - 1), Some(line.as_str()));
        }
    }

    #[test]
    fn a_place_is_a_path_with_or_without_a_line() {
        assert_eq!(
            split("a:b/log.jsonl:17"),
            ("a:b/log.jsonl".into(), Some(17))
        );
        assert_eq!(split("a:b/log.jsonl"), ("a:b/log.jsonl".into(), None));
    }
}
