//! The command as each checkout runs it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use hotproof_diff::text_of_bytes;

use crate::build::Place;
use crate::harness::{self, Harness};
use crate::options::{Product, ProductKind, Workload};
use crate::run::Task;
use crate::sites::Site;

/// What stands for the top of the user's checkout in an argument.
const ROOT: &[u8] = b"{root}";

/// Puts the top of the user's checkout in the place of `{root}`.
pub(crate) fn expand_root(command: &[OsString], top: &Path) -> Vec<OsString> {
    let top = top.as_os_str().as_bytes();
    command
        .iter()
        .map(|word| replace(word, ROOT, top))
        .collect()
}

fn replace(word: &OsStr, wanted: &[u8], by: &[u8]) -> OsString {
    let mut rest = word.as_bytes();
    let mut result = Vec::with_capacity(rest.len());
    while let Some(&first) = rest.first() {
        if let Some(tail) = rest.strip_prefix(wanted) {
            result.extend_from_slice(by);
            rest = tail;
        } else {
            result.push(first);
            rest = &rest[1..];
        }
    }
    OsString::from_vec(result)
}

/// Passes arguments that name files of the user's tree which a checkout lacks by their absolute
/// path, to all checkouts alike, and tells which.
///
/// `user` is the directory where the user stands, `directories` are those that stand for it. The
/// program itself is never passed so: that would be one program on both sides. Folders count only
/// when they are written with a slash, because words like `build` are often subcommands.
pub(crate) fn pass_user_files(
    command: &mut [OsString],
    user: &Path,
    directories: &[&Path],
) -> Vec<String> {
    let mut notices = Vec::new();
    for word in command.iter_mut().skip(1) {
        let (prefix, path) = split_value(word);
        let Some(found) = only_user_has(path, user, directories) else {
            continue;
        };
        notices.push(format!(
            "{} is not part of both refs: the file in your working tree, {}, is passed to both",
            path.to_string_lossy(),
            found.display()
        ));
        let mut passed = prefix.to_owned();
        passed.push(&found);
        *word = passed;
    }
    notices
}

fn only_user_has(path: &OsStr, user: &Path, directories: &[&Path]) -> Option<PathBuf> {
    let path = Path::new(path);
    if path.as_os_str().is_empty() || path.is_absolute() {
        return None;
    }
    let found = user.join(path);
    let facts = std::fs::metadata(&found).ok()?;
    let written_as_path = path.as_os_str().as_bytes().contains(&b'/');
    let counts = facts.is_file() || (facts.is_dir() && written_as_path);
    let missing = directories
        .iter()
        .any(|directory| !directory.join(path).exists());
    (counts && missing).then_some(found)
}

/// `--flag=` and `value`; for anything else nothing and the whole word.
fn split_value(word: &OsStr) -> (&OsStr, &OsStr) {
    let bytes = word.as_bytes();
    let split = match bytes.iter().position(|&byte| byte == b'=') {
        Some(at) if bytes.starts_with(b"-") => at + 1,
        _ => 0,
    };
    let (prefix, value) = bytes.split_at(split);
    (OsStr::from_bytes(prefix), OsStr::from_bytes(value))
}

/// The program that a word names in a directory: by its path, or found in `PATH`.
///
/// # Errors
/// What is wrong, and what to do.
pub(crate) fn resolve_program(
    program: &OsStr,
    place: &Place,
    user: &Path,
) -> Result<PathBuf, String> {
    let candidate = if program.as_bytes().contains(&b'/') {
        place.directory.join(program)
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path);
        return folders
            .find_map(|folder| {
                let file = place.directory.join(folder).join(program);
                is_executable(&file).then_some(file)
            })
            .ok_or_else(|| {
                let name = program.to_string_lossy();
                if place.directory.join(program).is_file() {
                    format!("no such program in PATH; for the file of that name write ./{name}")
                } else {
                    "no such program in PATH".to_owned()
                }
            });
    };
    if is_executable(&candidate) {
        return Ok(candidate);
    }
    if candidate.is_file() {
        return Err(
            "it is not executable; run it through its interpreter, or commit it with the mode 755"
                .to_owned(),
        );
    }
    if candidate.is_dir() {
        return Err("it is a folder".to_owned());
    }
    let in_user_tree = user.join(program).is_file();
    Err(if in_user_tree {
        "it is in your working tree, but neither part of the ref nor made by its build; say how to build it with --build CMD".to_owned()
    } else {
        "there is no such file; check the name or, for compare, say how to build it with --build CMD".to_owned()
    })
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file)
        .is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

/// The environment of all runs: the user's, the same for each checkout but for `PWD`, whose
/// length is the same too. What an outer build or git hook put there is taken out, and so are
/// cargo's target folders, which name a folder of the user.
pub(crate) fn environment(directory: &Path) -> Vec<(OsString, OsString)> {
    const REMOVED: [&str; 6] = [
        "PWD",
        "OLDPWD",
        "_",
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_BUILD_BUILD_DIR",
    ];
    let mut variables: Vec<(OsString, OsString)> = std::env::vars_os()
        .filter(|(name, _)| !REMOVED.iter().any(|removed| name == removed))
        .filter(|(name, _)| !crate::cargo::is_of_outer_build(name))
        .collect();
    variables.push(("PWD".into(), directory.into()));
    variables.sort();
    variables
}

/// What stands for the program of a product in the command that people read: where cargo puts it.
pub(crate) fn display_of(product: &Product) -> String {
    match product.kind {
        ProductKind::Bench => format!("target/release/deps/{}-*", product.name),
        ProductKind::Example => format!("target/release/examples/{}", product.name),
        ProductKind::Bin => format!("target/release/{}", product.name),
    }
}

/// Repeats `"$@"` so often as its first argument says, each time with the third one as its whole
/// input; ends with the first whose exit status is not the second argument. Its variables have names
/// that no workload uses: a shell that sets a variable of the environment sets it for its children.
const REPEATED: &str = "hotproof_n=$1; hotproof_good=$2; hotproof_in=$3; shift 3; while [ \"$hotproof_n\" -gt 0 ]; do \"$@\" <\"$hotproof_in\"; hotproof_status=$?; [ \"$hotproof_status\" -eq \"$hotproof_good\" ] || exit \"$hotproof_status\"; hotproof_n=$((hotproof_n - 1)); done; exit \"$hotproof_good\"";

/// Runs so many copies of `"$@"` at once as its first argument says; what all but the last one
/// write goes nowhere, because it would come in any order. Ends with the exit status of one for
/// which it is not the second argument, if there is one.
const CONCURRENT: &str = "hotproof_n=$1; hotproof_good=$2; hotproof_in=$3; shift 3; hotproof_pids=; while [ \"$hotproof_n\" -gt 1 ]; do \"$@\" <\"$hotproof_in\" >/dev/null & hotproof_pids=\"$hotproof_pids $!\"; hotproof_n=$((hotproof_n - 1)); done; \"$@\" <\"$hotproof_in\"; hotproof_end=$?; for hotproof_pid in $hotproof_pids; do wait \"$hotproof_pid\"; hotproof_status=$?; [ \"$hotproof_status\" -eq \"$hotproof_good\" ] || hotproof_end=$hotproof_status; done; exit $hotproof_end";

/// What one checkout runs.
pub(crate) fn task(
    site: &Site,
    words: &[OsString],
    workload: &Workload,
    harness: Option<Harness>,
    scratch: &Path,
    stdin: Option<&Path>,
) -> Task {
    let place = &site.place;
    let mut command = words.to_vec();
    if let Some(program) = &site.executable {
        command[0] = program.into();
    }
    let stdin = stdin.map(|file| place.directory.join(file));
    let shell = |script: &str, arguments: &[OsString], command: Vec<OsString>| {
        let start = ["sh", "-c", script, "hotproof"].map(OsString::from);
        [&start[..], arguments, &command].concat()
    };
    let good: OsString = workload.exit_status.to_string().into();
    let input: OsString = stdin.clone().unwrap_or_else(|| "/dev/null".into()).into();
    if workload.repetitions > 1 {
        let count = workload.repetitions.to_string().into();
        command = shell(REPEATED, &[count, good.clone(), input.clone()], command);
    }
    if workload.concurrency > 1 {
        let count = workload.concurrency.to_string().into();
        command = shell(CONCURRENT, &[count, good, input], command);
    }
    let mut environment = environment(&place.directory);
    let mut set = |name: OsString, value: OsString| {
        environment.retain(|(other, _)| *other != name);
        environment.push((name, value));
    };
    for (name, value) in &workload.environment {
        set(name.into(), value.into());
    }
    if harness == Some(Harness::Criterion) {
        set("CRITERION_HOME".into(), harness::home(scratch).into());
    }
    environment.sort();
    Task {
        place: place.describe(),
        command,
        directory: place.directory.clone(),
        environment,
        worktree: place.top.clone(),
        stdin,
        exit_status: workload.exit_status,
        harness,
        outputs: workload
            .outputs
            .iter()
            .map(|file| place.directory.join(file))
            .collect(),
    }
}

/// The command as text, for people and for the log, of which it comes back.
pub(crate) fn display(command: &[OsString]) -> Vec<String> {
    let words = command.iter();
    words.map(|word| text_of_bytes(word.as_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    #[test]
    fn root_is_replaced_everywhere() {
        let command = ["{root}/a", "--x={root}:{root}", "{roo}"].map(OsString::from);
        let expanded = expand_root(&command, Path::new("/t"));
        assert_eq!(display(&expanded), ["/t/a", "--x=/t:/t", "{roo}"]);
    }

    /// With a good exit status other than 0, one run stood for all repetitions, and a copy that
    /// failed went unnoticed.
    #[test]
    fn each_repetition_and_each_copy_has_to_end_well() {
        let folder = tempfile::tempdir().unwrap();
        // Writes a line, and ends with the status that its number's line of the plan names.
        let run = "echo x >> runs; exit $(sed -n \"$(wc -l < runs)p\" plan)";
        let cases = [
            (REPEATED, "3", "3 3 3", 3, 3),
            (REPEATED, "3", "3 0 3", 0, 2),
            (REPEATED, "0", "0 0 0", 0, 3),
            (REPEATED, "0", "0 7 0", 7, 2),
        ];
        for (script, good, plan, expected, runs) in cases {
            fs::write(folder.path().join("plan"), plan.replace(' ', "\n")).unwrap();
            fs::write(folder.path().join("runs"), "").unwrap();
            let status = Command::new("sh")
                .args(["-c", script, "hotproof", "3", good, "/dev/null"])
                .args(["sh", "-c", run])
                .current_dir(folder.path())
                .status();
            assert_eq!(status.unwrap().code(), Some(expected), "{good}: {plan}");
            let ran = fs::read_to_string(folder.path().join("runs")).unwrap();
            assert_eq!(ran.lines().count(), runs, "{good}: {plan}");
        }
        // Copies run in any order: one of them makes the folder, and fails.
        let once = "mkdir first 2>/dev/null && exit 9; exit $0";
        for good in ["0", "3"] {
            let _ = fs::remove_dir(folder.path().join("first"));
            let status = Command::new("sh")
                .args(["-c", CONCURRENT, "hotproof", "4", good, "/dev/null"])
                .args(["sh", "-c", once, good])
                .current_dir(folder.path())
                .status();
            assert_eq!(status.unwrap().code(), Some(9), "{good}");
        }
    }

    #[test]
    fn untracked_input_is_passed_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let [user, base, head] = ["user", "base", "head"].map(|name| folder.path().join(name));
        for path in [&user, &base, &head] {
            fs::create_dir_all(path.join("both")).unwrap();
            fs::write(path.join("tracked"), "").unwrap();
        }
        for name in ["mine", "my file", "bench"] {
            fs::write(user.join(name), "").unwrap();
        }
        fs::create_dir(user.join("build")).unwrap();
        fs::write(user.join("half"), "").unwrap();
        fs::write(head.join("half"), "").unwrap();
        let text = user.to_string_lossy().into_owned();
        let cases: [(&str, String); 9] = [
            ("mine", format!("{text}/mine")),
            ("my file", format!("{text}/my file")),
            ("--in=mine", format!("--in={text}/mine")),
            ("half", format!("{text}/half")),
            ("./build", format!("{text}/./build")),
            ("build", "build".into()),
            ("tracked", "tracked".into()),
            ("x=mine", "x=mine".into()),
            ("nowhere", "nowhere".into()),
        ];
        for (word, expected) in cases {
            let mut command = ["bench", word].map(OsString::from);
            let notices = pass_user_files(&mut command, &user, &[&base, &head]);
            assert_eq!(display(&command), ["bench".to_owned(), expected.clone()]);
            assert_eq!(notices.len(), usize::from(expected != word), "{word}");
        }
    }

    #[test]
    fn the_environment_is_as_long_for_each_checkout() {
        let length = |path: &str| -> usize {
            let size = |(name, value): &(OsString, OsString)| name.len() + value.len();
            environment(Path::new(path)).iter().map(size).sum()
        };
        assert_eq!(length("/tmp/x/base"), length("/tmp/x/head"));
    }
}
