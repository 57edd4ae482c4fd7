//! Repositories that are not as plain as most: what is checked out is what git would check out, or
//! it is said why not, and nothing is left behind.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use hotproof_lab::{Build, ErrorClass, LabError, Options, compare};

use crate::repository::{Diary, Repository, failure, git};

/// A comparison whose "build" writes down what each checkout holds, one line for each.
fn looking(repository: &Repository, look: &str, record: &Path) -> Options {
    Options {
        build: Build::Command(format!("{look} >> '{}'", record.display())),
        ..repository.options(&["./bench"])
    }
}

/// What base, head and the second copy of base held.
fn seen(record: &Path) -> Vec<String> {
    let text = fs::read(record).unwrap();
    let lines = String::from_utf8_lossy(&text).into_owned();
    lines.lines().map(str::to_owned).collect()
}

const SCRIPT: &str = "#!/bin/sh\nexit 0\n";

#[test]
fn submodules_are_at_the_commit_of_each_ref_or_it_is_said_which_is_missing() {
    let library = Repository::new();
    library.commit("one", &[("lib.c", "int one;\n")]);
    library.commit("two", &[("lib.c", "int two;\n")]);
    let repository = Repository::new();
    let url = library.top().display().to_string();
    repository.git(&["submodule", "--quiet", "add", &url, "my sub"]);
    let inner = repository.top().join("my sub");
    git(&inner, &["checkout", "--quiet", "at-one"]);
    repository.commit("base", &[("bench", SCRIPT)]);
    git(&inner, &["checkout", "--quiet", "at-two"]);
    repository.commit("head", &[("a.c", "int a;\n")]);
    let before = repository.state();
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("r");
    let options = looking(&repository, "cat 'my sub/lib.c'", &record);
    compare(&options, &mut Diary::default()).unwrap();
    assert_eq!(seen(&record), ["int one;", "int two;", "int one;"]);
    assert_eq!(repository.state(), before);
    assert_eq!(git(&inner, &["status", "--porcelain"]), "");
    assert_eq!(git(&inner, &["worktree", "list"]).lines().count(), 1);
    // Where the user's checkout does not have it, it cannot be had without the network.
    repository.git(&["submodule", "--quiet", "deinit", "--force", "--all"]);
    let before = repository.state();
    let error = failure(&options);
    assert_eq!(error.class(), ErrorClass::Usage);
    let text = error.to_string();
    for words in [
        "my sub",
        "at-base",
        "git submodule update --init --recursive",
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    assert_eq!(repository.state(), before);
}

#[test]
fn filters_do_what_git_lets_them_do_and_missing_ones_are_told() {
    let repository = Repository::of_two(
        &[
            ("bench", SCRIPT),
            (".gitattributes", "*.txt filter=shout\n"),
            ("a.txt", "hello\n"),
            ("a.c", "int a;\n"),
        ],
        &[("a.c", "int b;\n")],
    );
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("r");
    let options = looking(&repository, "cat a.txt", &record);
    let mut diary = Diary::default();
    compare(&options, &mut diary).unwrap();
    let told = diary.lines.join("\n");
    assert!(
        told.contains(
            "files of at-base pass through the filter shout, which git does not know here"
        ),
        "{told}"
    );
    assert_eq!(seen(&record), ["hello"; 3]);
    fs::remove_file(&record).unwrap();
    repository.git(&["config", "filter.shout.smudge", "tr a-z A-Z"]);
    repository.git(&["config", "filter.shout.clean", "tr A-Z a-z"]);
    let mut diary = Diary::default();
    let before = repository.state();
    compare(&options, &mut diary).unwrap();
    assert!(!diary.lines.join("\n").contains("filter"), "{diary:?}");
    assert_eq!(seen(&record), ["HELLO"; 3]);
    // One that has to work and does not ends it, with git's own words.
    repository.git(&["config", "filter.shout.smudge", "no-such-program-here"]);
    repository.git(&["config", "filter.shout.required", "true"]);
    let error = failure(&options);
    assert!(matches!(error, LabError::Git { .. }), "{error}");
    assert!(error.to_string().contains("filter"), "{error}");
    assert_eq!(
        repository.git(&["worktree", "list"]).lines().count(),
        1,
        "{before}"
    );
}

#[test]
fn merge_commits_and_detached_heads_are_commits_like_others() {
    let repository = Repository::of_two(
        &[("bench", SCRIPT), ("a.c", "int a;\n")],
        &[("a.c", "int b;\n")],
    );
    repository.git(&["checkout", "--quiet", "-b", "side", "at-base"]);
    repository.commit("side", &[("b.c", "int side;\n")]);
    repository.git(&["merge", "--quiet", "--no-edit", "at-head"]);
    repository.git(&["checkout", "--quiet", "--detach", "side"]);
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("r");
    let mut options = looking(&repository, "true", &record);
    options.build = Build::Command(format!(
        "(cat a.c b.c 2>/dev/null | tr '\\n' ' '; echo) >> '{}'",
        record.display()
    ));
    options.head = "HEAD".into();
    compare(&options, &mut Diary::default()).unwrap();
    assert_eq!(
        seen(&record),
        ["int a; ", "int b; int side; ", "int a; "],
        "a merge has what both of its parents brought"
    );
    assert_eq!(
        repository.git(&["rev-parse", "--abbrev-ref", "HEAD"]),
        "HEAD\n"
    );
    assert_eq!(repository.git(&["worktree", "list"]).lines().count(), 1);
}

#[test]
fn names_that_are_no_text_and_files_that_move_are_measured() {
    let repository = Repository::new();
    let odd = repository.top().join(OsStr::from_bytes(b"da\xffta x.c"));
    fs::write(&odd, "int one(void) { return 1; }\n").unwrap();
    let body = "int f(int x) {\n  int y = x + 1;\n  int z = y * 3;\n  return z;\n}\n";
    repository.commit("base", &[("bench", SCRIPT), ("old name.c", body)]);
    fs::write(&odd, "int one(void) { return 2; }\n").unwrap();
    repository.git(&["mv", "old name.c", "new name.c"]);
    repository.commit("head", &[("new name.c", &body.replace("* 3", "* 5"))]);
    let before = repository.state();
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("r");
    let options = looking(&repository, "cat da*", &record);
    let comparison = compare(&options, &mut Diary::default()).unwrap();
    assert_eq!(
        seen(&record),
        [
            "int one(void) { return 1; }",
            "int one(void) { return 2; }",
            "int one(void) { return 1; }"
        ]
    );
    let mut changed: Vec<(&str, bool)> = comparison
        .functions
        .iter()
        .map(|f| {
            (
                f.name.as_str(),
                f.change == Some(hotproof_diff::Change::Modified),
            )
        })
        .collect();
    changed.sort_unstable();
    assert_eq!(changed, [("f", true), ("one", true)]);
    assert_eq!(repository.state(), before);
}
