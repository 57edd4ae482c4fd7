//! Repositories that are not as plain as most, through the program: what is measured is what git
//! would check out, or it is told what is missing, and nothing is left behind.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::place::Place;
use crate::run::{alone, commit, finish, git};

/// A filter as git-lfs installs it: what is stored is a pointer, what is checked out is what it
/// points to.
const LFS: &str = "#!/bin/sh\ncase $1 in\n\
    smudge) sed -n 's/^oid sha256:/contents of /p' ;;\n\
    clean) sed -n 's/^contents of \\(.*\\)/version fake\\noid sha256:\\1/p' ;;\n\
    esac\n";

/// It reports how long it takes, and asks for its input.
fn times(seconds: f64) -> String {
    format!("[ \"$(cat \"$1\")\" = data ] || exit 5\necho '{{\"f\": {seconds}}}'\n")
}

/// A C function, and what it does with its argument.
fn function(body: &str) -> String {
    format!("int f(int x) {{\n  int y = x + 1;\n  int z = y {body};\n  return z;\n}}\n")
}

/// Base and head differ in what their submodule is at, in a pointer of LFS, in a file whose name is
/// no text, and in a file that moved; head is a merge, and nobody's branch.
struct Odd {
    place: Place,
    /// The folder that the user stands in, which has no name in UTF-8.
    folder: PathBuf,
    /// The submodule's own repository.
    _library: tempfile::TempDir,
}

fn pointer(to: &str) -> String {
    format!("version fake\noid sha256:{to}\n")
}

fn odd() -> Odd {
    let library = tempfile::tempdir().unwrap();
    commit(library.path(), "one", &[("lib.c", "int one;\n")]);
    commit(library.path(), "two", &[("lib.c", "int two;\n")]);
    let repository = tempfile::tempdir().unwrap();
    let top = repository.path();
    let folder = top.join(OsStr::from_bytes(b"fol\xffder"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("times.sh"), times(0.5)).unwrap();
    let odd = folder.join(OsStr::from_bytes(b"da\xffta x.c"));
    fs::write(&odd, "int one(void) { return 1; }\n").unwrap();
    commit(
        top,
        "start",
        &[
            (
                ".gitattributes",
                "*.bin filter=lfs diff=lfs merge=lfs -text\n",
            ),
            ("old name.c", &function("* 3")),
            ("big.bin", &pointer("base")),
        ],
    );
    let url = library.path().to_str().unwrap();
    git(top, ["submodule", "--quiet", "add", url, "my sub"]);
    let inner = top.join("my sub");
    git(&inner, ["checkout", "--quiet", "HEAD~1"]);
    commit(top, "base", &[]);
    git(top, ["branch", "base"]);
    // One parent of the merge brings these, ...
    git(top, ["checkout", "--quiet", "-b", "side"]);
    git(top, ["mv", "old name.c", "new name.c"]);
    commit(top, "side", &[("new name.c", &function("* 5"))]);
    // ... and the other one those.
    git(top, ["checkout", "--quiet", "main"]);
    git(&inner, ["checkout", "--quiet", "main"]);
    fs::write(&odd, "int one(void) { return 2; }\n").unwrap();
    fs::write(folder.join("times.sh"), times(0.25)).unwrap();
    commit(top, "other", &[("big.bin", &pointer("head"))]);
    git(top, ["merge", "--quiet", "--no-edit", "side"]);
    git(top, ["checkout", "--quiet", "--detach"]);
    Odd {
        place: Place::new(repository),
        folder,
        _library: library,
    }
}

/// Sets up the filter; where its program lies.
fn with_lfs(odd: &Odd) -> PathBuf {
    let program = odd.place.beside("git-lfs");
    fs::write(&program, LFS).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    for way in ["smudge", "clean"] {
        let command = format!("'{}' {way} -- %f", program.display());
        let key = format!("filter.lfs.{way}");
        git(odd.place.top(), ["config", &key, &command]);
    }
    let top = odd.place.top();
    git(top, ["config", "filter.lfs.required", "true"]);
    fs::remove_file(top.join("big.bin")).unwrap();
    git(top, ["checkout", "--", "big.bin"]);
    program
}

/// Each checkout holds what git would check out there, the user's own untracked file is the input of
/// both, and a log of it can be gone on with.
#[test]
fn what_git_would_check_out_is_what_is_measured() {
    let _machine = alone();
    let odd = odd();
    let (place, here) = (&odd.place, odd.folder.as_path());
    fs::write(here.join("my input"), "data").unwrap();
    with_lfs(&odd);
    let seen = place.beside("seen");
    let look = format!(
        "{{ cat '../my sub/lib.c' ../big.bin da*; ls ..; }} | tr '\\n' '|' >> '{0}'; echo >> '{0}'",
        seen.display()
    );
    let before = place.state();
    let run = |words: &[&str]| finish(&mut place.command(here, words));
    let words = [
        "compare", "base", "HEAD", "--script", "--pairs", "2", "--build", &look, "--json",
    ];
    let words = [&words[..], &["--", "sh", "times.sh", "my input"]].concat();
    let ran = run(&words).ends_with(12).says(&[
        "2 functions: one, f",
        "my input is not part of both refs",
        "is passed to both",
    ]);
    assert!(!ran.stderr.contains("filter"), "{}", ran.stderr);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["runs"]["pairs"], 2, "{json}");
    let text = String::from_utf8_lossy(&fs::read(&seen).unwrap()).into_owned();
    let at = |submodule: &str, lfs: &str, odd: u32, file: &str| {
        format!(
            "int {submodule};|contents of {lfs}|int one(void) {{ return {odd}; }}|big.bin|fol\u{fffd}der|my sub|{file} name.c|"
        )
    };
    let base = at("one", "base", 1, "old");
    // `ls` sorts names.
    let head = at("two", "head", 2, "new");
    assert_eq!(text.lines().collect::<Vec<_>>(), [&base, &head, &base]);
    place.is_left_as(&before);
    // The log knows the folder, which has no name in UTF-8.
    let ran = run(&["verdict", "--resume", "--pairs", "9", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect(&ran.stderr);
    assert_eq!(json["runs"]["pairs"], 11, "{json}");
    assert_eq!(json["end_to_end"]["outcome"], "faster", "{json}");
    place.is_left_as(&before);
}

/// What cannot be checked out as it should be is told before anything is measured.
#[test]
fn what_cannot_be_checked_out_is_told() {
    let odd = odd();
    let place = &odd.place;
    let top = place.top();
    // A checkout that is kept would not be made again.
    let words = [
        "base",
        "HEAD",
        "--no-cache",
        "--script",
        "--",
        "sh",
        "no.sh",
    ];
    // Nobody has set up the filter: pointers are checked out, which is told. Then it ends, because
    // there is no such file.
    let before = place.state();
    place.compare(&words).ends_with(2).says(&[
        "pass through the filter lfs, which git does not know here",
        "`git lfs install`",
    ]);
    place.is_left_as(&before);
    // It is set up, and its program is gone.
    let program = with_lfs(&odd);
    let away = place.beside("away");
    let before = place.state();
    fs::rename(&program, &away).unwrap();
    place
        .compare(&words)
        .ends_with(1)
        .says(&["git", "failed", "git-lfs", "lfs"]);
    fs::rename(&away, &program).unwrap();
    place.is_left_as(&before);
    // A submodule that the user's checkout does not have would have to be fetched.
    git(top, ["submodule", "--quiet", "deinit", "--force", "--all"]);
    let before = place.state();
    place.compare(&words).ends_with(2).says(&[
        "the submodule my sub of base (base) is not in your checkout",
        "git submodule update --init --recursive",
    ]);
    place.is_left_as(&before);
}
