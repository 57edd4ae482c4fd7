//! The output of git is read as it is, and anything else is refused without a panic.

use hotproof_diff::changes::{Content, FileDiff, GIT_DIFF_ARGUMENTS, LineRange, parse_diff};
use proptest::prelude::*;

/// What git 2.39 printed for a commit of awkward names and kinds, with every setting that
/// `GIT_DIFF_ARGUMENTS` pins turned the other way in the repository's configuration.
const RECORDED: &[u8] = include_bytes!("git.diff");

fn row(file: &FileDiff) -> String {
    let path = |path: &Option<hotproof_diff::changes::RepoPath>| {
        path.as_ref()
            .map_or("-".into(), |path| path.0.escape_ascii().to_string())
    };
    let hunks: Vec<String> = file
        .hunks
        .iter()
        .map(|hunk| {
            let range = |range: LineRange| format!("{},{}", range.first, range.count);
            format!("{}>{}", range(hunk.base), range(hunk.head))
        })
        .collect();
    let mode = if file.mode_changed { " mode" } else { "" };
    let (base, head, content) = (path(&file.base), path(&file.head), file.content);
    format!("{base} => {head} {content:?}{mode} {}", hunks.join(" "))
}

#[test]
fn recorded_output_is_read() {
    let rows: Vec<String> = parse_diff(RECORDED).unwrap().iter().map(row).collect();
    let expected = [
        "a b/c b/d => a b/c b/d Text 1,1>1,2",
        "bin => bin Binary ",
        "empty_gone => empty_new Text ",
        "gone.c => - Text 1,1>0,0",
        "link => - Text 1,1>0,0",
        "- => link Text 0,0>1,1",
        "nonl => nonl Text 1,1>1,1",
        r"n\xff\xc3\xa9.rs => n\xff\xc3\xa9.rs Text 1,1>1,1",
        r#"q\"uo\tte\\.rs => q\"uo\tte\\.rs Text 1,1>1,1"#,
        "run.sh => run.sh Text mode ",
        "src/old name.rs => src/new name.rs Text 2,1>2,1 7,1>6,0",
        "sub => sub Submodule 1,1>1,1",
        "- => sub2 Submodule 0,0>1,1",
        "tricky.txt => tricky.txt Text 1,3>1,3",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn quoted_bytes_are_kept_and_shown_as_text() {
    let text = b"diff --git \"a/\\377\\303\\251 \\\\.c\" \"b/\\377\\303\\251 \\\\.c\"\nold mode 100644\nnew mode 100755\n";
    let files = parse_diff(text).unwrap();
    let path = files[0].head.as_ref().unwrap();
    assert_eq!(path.0, b"\xff\xc3\xa9 \\.c");
    assert_eq!(path.display(), "\u{fffd}é \\.c");
    assert_eq!(files[0].content, Content::Text);
    assert!(files[0].mode_changed && files[0].hunks.is_empty());
}

#[test]
fn a_rename_with_a_quoted_name_is_read() {
    let text = b"diff --git a/plain \"b/ta\\tb\"\nsimilarity index 100%\nrename from plain\nrename to \"ta\\tb\"\n";
    let files = parse_diff(text).unwrap();
    assert_eq!(row(&files[0]), r"plain => ta\tb Text ");
}

#[test]
fn nothing_is_no_file() {
    assert_eq!(parse_diff(b"").unwrap(), []);
}

#[test]
fn an_error_names_line_text_and_expectation() {
    let cases: &[(&[u8], usize, &str)] = &[
        (b"fatal: bad revision\n", 1, "diff --git"),
        (b"diff --git a/x b/y\nindex 1..2\n", 1, "two equal paths"),
        (b"diff --git a/x b/x\nwhat\n", 2, "header line"),
        (b"diff --git a/x b/x\n@@ -1 +1\n-a\n", 2, "@@ -LINE"),
        (
            b"diff --git a/x b/x\n@@ -1,2 +1 @@\n-a\n+b\n",
            4,
            "as many lines",
        ),
        (
            b"diff --git a/x b/x\n@@ -1,2 +1 @@\n-a\nb\n",
            4,
            "as many lines",
        ),
        (
            b"diff --git a/x b/x\n@@ -4294967295,2 +1 @@\n",
            2,
            "@@ -LINE",
        ),
        (b"diff --git \"a/\\9\" \"b/\\9\"\n", 1, "two equal paths"),
    ];
    for (text, line, expected) in cases {
        let error = parse_diff(text).unwrap_err();
        let shown = error.to_string();
        assert_eq!(error.line, *line, "{shown}");
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn the_arguments_pin_the_form() {
    for argument in [
        "-U0",
        "-M",
        "--no-color",
        "--src-prefix=a/",
        "--dst-prefix=b/",
    ] {
        assert!(GIT_DIFF_ARGUMENTS.contains(&argument));
    }
}

proptest! {
    #[test]
    fn a_cut_or_damaged_output_never_panics(
        end in 0..=RECORDED.len(),
        flips in prop::collection::vec((0..RECORDED.len(), any::<u8>()), 0..8),
    ) {
        let mut bytes = RECORDED.to_vec();
        for (at, byte) in flips {
            bytes[at] = byte;
        }
        let _ = parse_diff(&bytes[..end]);
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_diff(&bytes);
        let mut file = b"diff --git a/x b/x\n@@ ".to_vec();
        file.extend(bytes);
        let _ = parse_diff(&file);
    }
}
