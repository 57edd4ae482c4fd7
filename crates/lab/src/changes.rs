//! What the diff of two refs touches: git's answers, handed to the pure functions of `diff`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use hotproof_diff::changes::{
    Changed, Content, FileDiff, FileSources, GIT_DIFF_ARGUMENTS, RepoPath, changed, choose,
    parse_diff, parse_function_list,
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
    let touched = changed(&sources);
    let Some(chosen) = chosen else {
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
