//! What is checked out and built, and where.

use std::fs;

use hotproof_lab::{Build, compare, git};

use crate::repository::{Diary, Repository};

const SCRIPT: &str = "#!/bin/sh\nexit 0\n";

fn lines_of(path: &std::path::Path) -> Vec<String> {
    fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn three_checkouts_of_equal_path_length_are_built_in_order() {
    let repository = Repository::of_two(
        &[("sub/bench", SCRIPT), ("sub/a.c", "int a;\n")],
        &[("sub/a.c", "int b;\n")],
    );
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("r");
    let mut options = repository.options(&["./bench"]);
    options.directory = repository.top().join("sub");
    let line = "echo \"$PWD|$(cat a.c)|$CARGO_TARGET_DIR|$CARGO_PROFILE_RELEASE_DEBUG\" >> ";
    options.build = Build::Command(format!("{line}'{}'", record.display()));
    let mut diary = Diary::default();
    compare(&options, &mut diary).unwrap();
    let lines = lines_of(&record);
    let fields: Vec<Vec<&str>> = lines.iter().map(|line| line.split('|').collect()).collect();
    assert_eq!(fields.len(), 3);
    for (field, (name, text)) in fields.iter().zip([
        ("base/sub", "int a;"),
        ("head/sub", "int b;"),
        ("copy/sub", "int a;"),
    ]) {
        assert!(field[0].ends_with(name), "{field:?}");
        assert_eq!(field[0].len(), fields[0][0].len());
        assert_eq!(field[1..], [text, &format!("{}/target", field[0]), "1"]);
    }
    let built: Vec<&String> = diary
        .lines
        .iter()
        .filter(|line| line.starts_with("built"))
        .collect();
    assert_eq!(built, ["built Base", "built Head", "built Copy"]);
}

#[test]
fn cargo_is_found_and_builds_each_ref_into_its_own_target() {
    let manifest = "[package]\nname = 'tool'\nversion = '0.1.0'\nedition = '2021'\n[workspace]\n";
    let main = |text: &str| format!("fn main() {{ println!(\"{{}}\", {text}); }}\n");
    let repository = Repository::of_two(
        &[
            ("Cargo.toml", manifest),
            ("src/main.rs", &main("1")),
            (".gitignore", "target\n"),
        ],
        &[("src/main.rs", &main("2"))],
    );
    let mut diary = Diary::default();
    let mut options = repository.options(&["target/release/tool"]);
    options.build = Build::Auto;
    let comparison = compare(&options, &mut diary).unwrap();
    assert_eq!(comparison.output, hotproof_diff::OutputCheck::Different);
    let wanted = "build Base cargo build --release --package tool --bins".to_owned();
    assert!(diary.lines.contains(&wanted), "{:#?}", diary.lines);
    assert!(!repository.top().join("target").exists());
}

#[test]
fn the_user_s_own_things_are_left_alone_and_told() {
    let repository = Repository::of_two(
        &[("bench", SCRIPT), ("a.c", "int a;\n"), ("b.c", "")],
        &[("a.c", "int b;\n")],
    );
    repository.write("a.c", "int mine;\n");
    repository.write("b.c", "int staged;\n");
    repository.git(&["add", "b.c"]);
    repository.write("data file", "1");
    let before = repository.state();
    let comparison = compare(
        &repository.options(&["./bench", "data file"]),
        &mut Diary::default(),
    )
    .unwrap();
    assert_eq!(repository.state(), before);
    let warnings = comparison.warnings.join("\n");
    assert!(
        warnings.contains("uncommitted changes are not measured (a.c and 1 more)"),
        "{warnings}"
    );
    let passed = repository.top().join("data file");
    assert!(
        warnings.contains(&format!("{}, is passed to both", passed.display())),
        "{warnings}"
    );
    assert_eq!(comparison.command, ["./bench", passed.to_str().unwrap()]);
}

#[test]
fn nothing_but_comments_runs_nothing_unless_forced() {
    let repository = Repository::of_two(
        &[("bench", SCRIPT), ("a.c", "int f(void) { return 1; }\n")],
        &[("a.c", "/* better */\nint f(void) { return 1; }\n")],
    );
    let mut options = repository.options(&["./bench"]);
    let mut diary = Diary::default();
    let comparison = compare(&options, &mut diary).unwrap();
    assert!(!comparison.code_changed && comparison.pairs.is_empty());
    assert!(diary.lines.contains(&"changed false".to_owned()));
    options.force = true;
    assert_eq!(compare(&options, &mut diary).unwrap().pairs.len(), 2);
    (options.base, options.head) = ("main".into(), "main".into());
    let itself = compare(&options, &mut diary).unwrap();
    assert_eq!((itself.code_changed, itself.pairs.len()), (false, 2));
}

#[test]
fn refs_of_all_kinds_resolve_to_commits() {
    let repository = Repository::of_two(&[("a", "1")], &[("a", "2")]);
    repository.git(&["tag", "--annotate", "v1", "--message", "one", "at-base"]);
    let top = repository.top();
    let base = git::resolve(&top, "at-base").unwrap();
    for name in [
        "v1",
        "HEAD~1",
        "main^",
        &base.commit,
        &base.commit[..9],
        "refs/heads/at-base",
    ] {
        let facts = git::resolve(&top, name).unwrap();
        assert_eq!(
            (facts.commit.as_str(), facts.name.as_str()),
            (base.commit.as_str(), name)
        );
        assert_eq!((facts.subject.as_str(), facts.tree.len()), ("base", 40));
    }
    fs::create_dir(top.join("below")).unwrap();
    assert_eq!(git::top(&top.join("below")).unwrap(), top);
}
