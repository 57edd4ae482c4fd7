//! What the diff of two refs touches: git's answers, handed to the pure functions of `diff`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use hotproof_diff::changes::{
    Changed, Content, FileDiff, FileSources, GIT_DIFF_ARGUMENTS, Language, RepoPath, changed,
    choose, parse_diff, parse_function_list,
};
use hotproof_diff::{RefFacts, Side};

use crate::error::LabError;
use crate::git;

/// What changed from base to head, or what the user chose.
///
/// # Errors
/// When git fails, and when the user's list fits no function.
pub(crate) fn find(
    top: &Path,
    base: &RefFacts,
    head: &RefFacts,
    functions: Option<&str>,
    stop: &AtomicBool,
) -> Result<Changed, LabError> {
    // A list that cannot be read is told before any work is done.
    let chosen = functions.map(parse_function_list).transpose();
    let chosen = chosen.map_err(|error| LabError::Functions(error.to_string()))?;
    let mut arguments: Vec<&str> = GIT_DIFF_ARGUMENTS.to_vec();
    arguments.extend([&*base.commit, &*head.commit, "--"]);
    let text = git::output(top, &arguments, stop)?;
    let files = parse_diff(&text).map_err(|error| LabError::Git {
        arguments: arguments.join(" "),
        message: error.to_string(),
    })?;
    let sources = files
        .into_iter()
        .map(|file| file_sources(top, base, head, file, stop))
        .collect::<Result<Vec<_>, _>>()?;
    let mut touched = changed(&sources);
    let Some(chosen) = chosen else {
        touched.add_uses(&mut |names| users(top, head, names, stop));
        return Ok(touched);
    };
    let mut read = |side: Side, path: &str| {
        let at = match side {
            Side::Base => base,
            Side::Head => head,
        };
        blob(top, at, &RepoPath(path.as_bytes().to_vec()), stop)
            .ok()
            .flatten()
    };
    choose(&chosen, &touched, &mut read).map_err(|error| LabError::Functions(error.to_string()))
}

fn file_sources(
    top: &Path,
    base: &RefFacts,
    head: &RefFacts,
    diff: FileDiff,
    stop: &AtomicBool,
) -> Result<FileSources, LabError> {
    let read = |at: &RefFacts, path: &Option<RepoPath>| match path {
        Some(path) if diff.content == Content::Text => blob(top, at, path, stop),
        _ => Ok(None),
    };
    let (old, new) = (read(base, &diff.base)?, read(head, &diff.head)?);
    Ok(FileSources {
        base: old,
        head: new,
        diff,
    })
}

/// Sources that are read at most to find what uses a changed constant or macro.
const MOST_USERS: usize = 2_000;

/// The sources of head that hold one of the names as a word. Where git cannot search, nothing
/// more is known of uses; the changed definition itself is listed all the same.
fn users(
    top: &Path,
    head: &RefFacts,
    names: &[String],
    stop: &AtomicBool,
) -> Vec<(String, Vec<u8>)> {
    let mut question: Vec<OsString> = ["grep", "-l", "-z", "-w", "-F", "-I", "--full-name"]
        .map(OsString::from)
        .to_vec();
    for name in names {
        question.extend(["-e".into(), name.into()]);
    }
    question.extend([(&*head.commit).into(), "--".into()]);
    let Ok(answer) = git::ask(top, &question, stop) else {
        return Vec::new();
    };
    // Each name stands behind the commit and a colon.
    let skip = head.commit.len() + 1;
    let paths = answer.stdout.split(|&byte| byte == 0);
    paths
        .filter_map(|path| std::str::from_utf8(path.get(skip..)?).ok())
        .filter(|path| Language::of_path(path).is_some())
        .take(MOST_USERS)
        .filter_map(|path| {
            let text = blob(top, head, &RepoPath(path.as_bytes().to_vec()), stop);
            Some((path.to_owned(), text.ok().flatten()?))
        })
        .collect()
}

/// The content of a file at a ref; `None` when there is no such file.
fn blob(
    top: &Path,
    at: &RefFacts,
    path: &RepoPath,
    stop: &AtomicBool,
) -> Result<Option<Vec<u8>>, LabError> {
    let mut name = at.commit.clone().into_bytes();
    name.push(b':');
    name.extend_from_slice(&path.0);
    let question: [OsString; 3] = ["cat-file".into(), "blob".into(), OsString::from_vec(name)];
    let answer = git::ask(top, &question, stop)?;
    Ok(answer.succeeded.then_some(answer.stdout))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Git finds who holds a changed constant as a word, in the tree of head alone.
    #[test]
    fn sources_that_hold_a_name_are_found_at_head() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        let stop = AtomicBool::new(false);
        let git = |arguments: &[&str]| {
            let identity = ["-c", "user.name=t", "-c", "user.email=t@t"];
            let all: Vec<&str> = identity.iter().chain(arguments).copied().collect();
            git::output(top, &all, &stop).unwrap()
        };
        git(&["init", "-q"]);
        std::fs::create_dir_all(top.join("a b")).unwrap();
        let commit = |limit: &str| -> RefFacts {
            let constant = format!("pub const LIMIT: u8 = {limit};\n");
            std::fs::write(top.join("a b/c.rs"), constant).unwrap();
            git(&["add", "-A"]);
            git(&["commit", "-q", "-m", "x"]);
            let commit = String::from_utf8(git(&["rev-parse", "HEAD"])).unwrap();
            RefFacts {
                name: "x".to_owned(),
                commit: commit.trim().to_owned(),
                tree: String::new(),
                subject: String::new(),
            }
        };
        let user = "use crate::c::LIMIT;\nfn f() -> u8 { LIMIT }\n";
        std::fs::write(top.join("user.rs"), user).unwrap();
        std::fs::write(top.join("other.rs"), "fn g() -> u8 { LIMITS }\n").unwrap();
        std::fs::write(top.join("notes.txt"), "LIMIT\n").unwrap();
        let (base, head) = (commit("1"), commit("2"));
        let names = ["LIMIT".to_owned()];
        let found = users(top, &head, &names, &stop);
        let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["a b/c.rs", "user.rs"]);
        let changed = find(top, &base, &head, None, &stop).unwrap();
        let rows = changed.functions.iter();
        let rows: Vec<(&str, Option<&str>)> =
            rows.map(|f| (f.key.as_str(), f.cause.as_deref())).collect();
        assert_eq!(rows, [("user.rs::f", Some("constant LIMIT"))]);
    }
}
