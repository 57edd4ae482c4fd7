//! Filters of git (LFS, encryption) that a ref asks for and this machine does not have: git then
//! checks out what is stored, a pointer or a cipher, and says nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use hotproof_diff::RefFacts;

use crate::error::LabError;
use crate::git;

/// What to tell the user of filters that a ref names in its attributes, but nobody has set up.
///
/// # Errors
/// When git was interrupted.
pub(crate) fn missing(
    top: &Path,
    facts: &RefFacts,
    stop: &AtomicBool,
) -> Result<Vec<String>, LabError> {
    let commit = facts.commit.as_str();
    let question = [
        "grep",
        "-h",
        "-I",
        "-F",
        "filter=",
        commit,
        "--",
        ".gitattributes",
        "**/.gitattributes",
    ];
    // Git fails where nothing is found.
    let found = git::ask(top, &question, stop)?;
    let mut texts = Vec::new();
    for name in names_in(&String::from_utf8_lossy(&found.stdout)) {
        let mut known = false;
        for way in ["process", "smudge"] {
            let key = format!("filter.{name}.{way}");
            known |= git::ask(top, &["config", "--get", &key], stop)?.succeeded;
        }
        if !known {
            texts.push(text(&name, &facts.name));
        }
    }
    Ok(texts)
}

fn text(name: &str, at: &str) -> String {
    let remedy = match name {
        "lfs" => "install git-lfs, then run `git lfs install` and `git lfs pull`",
        _ => "set it up as the project says",
    };
    format!(
        "files of {at} pass through the filter {name}, which git does not know here: they are checked out as they are stored, on both sides where both have them; {remedy}"
    )
}

/// The filters that lines of attributes name: `*.bin filter=lfs diff=lfs`.
fn names_in(attributes: &str) -> BTreeSet<String> {
    let lines = attributes
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let words = lines.flat_map(|line| line.split_whitespace().skip(1));
    let names = words.filter_map(|word| word.strip_prefix("filter="));
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_from_attributes() {
        let text = "*.bin filter=lfs diff=lfs merge=lfs -text\n# *.x filter=no\nfilter=pattern\n*.k filter=git-crypt\n";
        let names: Vec<String> = names_in(text).into_iter().collect();
        assert_eq!(names, ["git-crypt", "lfs"]);
    }
}
