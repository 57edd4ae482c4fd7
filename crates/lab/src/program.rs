//! What would run, and whether comparing it makes sense.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use object::{Object, ObjectSection};

use crate::build::Place;
use crate::error::LabError;
use crate::harness::Harness;

/// The program of one side.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Where it runs.
    pub(crate) place: Place,
    /// What runs.
    pub(crate) path: PathBuf,
}

/// Programs whose work lies in a file or module that an argument names.
const INTERPRETERS: &[&str] = &[
    "python", "python2", "python3", "pypy", "pypy3", "node", "nodejs", "deno", "bun", "ruby",
    "perl", "php", "lua", "luajit", "sh", "bash", "dash", "zsh", "ksh", "fish", "Rscript", "julia",
    "java", "guile", "env", "nice", "taskset", "timeout", "xargs", "time",
];

/// Programs that read from the directory what to run.
const DIRECTORY_READERS: &[&str] = &["make", "gmake", "just", "npm", "npx"];

/// Refuses a comparison whose sides would run one and the same program although the trees differ.
///
/// # Errors
/// [`LabError::SameProgram`].
pub(crate) fn refuse_same_program(
    base: &Program,
    head: &Program,
    arguments: &[OsString],
) -> Result<(), LabError> {
    if !is_same_file(&base.path, &head.path) || names_worktree_code(base, head, arguments) {
        return Ok(());
    }
    let real = fs::canonicalize(&base.path).unwrap_or_else(|_| base.path.clone());
    let inside = real.starts_with(&base.place.top) || real.starts_with(&head.place.top);
    let why = if inside {
        "both checkouts lead to one file"
    } else {
        "it lies outside the two checkouts, and no argument names a script of the repository"
    };
    Err(LabError::SameProgram {
        program: real,
        why: why.to_owned(),
    })
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Whether some argument names code of the worktrees: a script or module for an interpreter, an
/// executable, or a file that differs between the sides.
fn names_worktree_code(base: &Program, head: &Program, arguments: &[OsString]) -> bool {
    if is_named(&base.path, DIRECTORY_READERS) {
        return true;
    }
    let interpreted = is_named(&base.path, INTERPRETERS);
    let mut after_module_flag = false;
    arguments.iter().any(|argument| {
        let module = std::mem::replace(&mut after_module_flag, argument == "-m");
        words(argument).any(|word| {
            [base, head].iter().any(|side| {
                let path = side.place.directory.join(OsStr::from_bytes(word));
                let inside = path.starts_with(&side.place.top);
                let code = (interpreted && path.exists())
                    || (interpreted && module && is_module(&side.place.directory, word))
                    || is_code(&path);
                inside && !word.is_empty() && code
            }) || differs(base, head, word)
        })
    })
}

/// The parts of an argument that may be paths: `sh -c './bench x'` holds two.
fn words(argument: &OsStr) -> impl Iterator<Item = &[u8]> {
    let separators = |byte: &u8| b" \t\n;|&<>()'\"=".contains(byte);
    let whole = argument.as_bytes();
    std::iter::once(whole).chain(whole.split(separators).filter(move |part| *part != whole))
}

fn is_named(program: &Path, names: &[&str]) -> bool {
    let paths = [Some(program.to_owned()), fs::canonicalize(program).ok()];
    paths.iter().flatten().any(|path| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        // python3.12 and lua5.4 are python3 and lua.
        let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
        names.contains(&name) || names.contains(&plain)
    })
}

fn is_module(directory: &Path, word: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(word) else {
        return false;
    };
    let path = directory.join(name.replace('.', "/"));
    path.is_dir() || path.with_extension("py").is_file()
}

fn is_code(path: &Path) -> bool {
    let Ok(facts) = fs::metadata(path) else {
        return false;
    };
    facts.is_file() && facts.permissions().mode() & 0o111 != 0
}

fn differs(base: &Program, head: &Program, word: &[u8]) -> bool {
    let path = |side: &Program| side.place.directory.join(OsStr::from_bytes(word));
    let (base, head) = (path(base), path(head));
    base != head
        && base.is_file()
        && head.is_file()
        && !is_same_content(&base, &head).unwrap_or(true)
}

/// Whether a program is text for an interpreter.
pub(crate) fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && &start == b"#!"
}

/// Whether two files hold the same bytes.
pub(crate) fn is_same_content(one: &Path, other: &Path) -> io::Result<bool> {
    if fs::metadata(one)?.len() != fs::metadata(other)?.len() {
        return Ok(false);
    }
    let mut one = BufReader::new(File::open(one)?);
    let mut other = BufReader::new(File::open(other)?);
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let count = one.read(&mut left)?;
        if count == 0 {
            return Ok(true);
        }
        other.read_exact(&mut right[..count])?;
        if left[..count] != right[..count] {
            return Ok(false);
        }
    }
}

/// Whether two programs are the same but for what is never loaded or only identifies the build:
/// debug information names the folder that it was built in, and the build-id follows from that.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn is_same_program(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (fs::read(one)?, fs::read(other)?);
    Ok(match (loaded_parts(&one), loaded_parts(&other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    })
}

/// Address and bytes of the sections of an ELF file that are loaded, notes left out.
fn loaded_parts(bytes: &[u8]) -> object::Result<Vec<(u64, &[u8])>> {
    let file = object::File::parse(bytes)?;
    let parts = file.sections().filter(|section| {
        let object::SectionFlags::Elf { sh_flags, .. } = section.flags() else {
            return false;
        };
        let loaded = sh_flags.contains(object::elf::SHF_ALLOC);
        loaded && section.kind() != object::SectionKind::Note
    });
    parts
        .map(|section| Ok((section.address(), section.data()?)))
        .collect()
}

/// What gives a harness away that runs for a fixed time: text that its code holds, as long as the
/// compiler keeps it together.
const MARKS: [(Harness, &[u8]); 5] = [
    (Harness::Criterion, b"CRITERION_HOME"),
    (Harness::Divan, b"DIVAN_MAX_TIME"),
    (Harness::Divan, b"DIVAN_SAMPLE_COUNT"),
    (Harness::Google, b"benchmark_min_time"),
    (Harness::Libtest, b" ns/iter (+/- "),
];

/// A harness that was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) harness: Harness,
    /// Whether it is the program of the command, and not one of its arguments.
    pub(crate) is_program: bool,
}

/// Refuses harnesses that run for a fixed time, by the command alone.
///
/// # Errors
/// [`LabError::AdaptiveHarness`].
pub(crate) fn refuse_adaptive_command(command: &[OsString]) -> Result<(), LabError> {
    let words: Vec<&str> = command.iter().filter_map(|word| word.to_str()).collect();
    let is_cargo = words
        .first()
        .is_some_and(|first| first.rsplit('/').next() == Some("cargo"));
    if !is_cargo {
        return Ok(());
    }
    match words
        .iter()
        .skip(1)
        .find(|word| !word.starts_with(['-', '+']))
    {
        Some(&"bench") => Err(LabError::AdaptiveHarness {
            harness: "cargo bench",
            evidence: "its benchmarks repeat themselves until a time is over".to_owned(),
        }),
        _ => Err(LabError::BuildTool {
            command: words.join(" "),
        }),
    }
}

/// The harness of a command, by the programs of a checkout that it names; `None` for `--test`,
/// which makes harnesses run everything once, and that is fixed work. Of the standard library's
/// harness the same is true unless it is asked for benchmarks.
pub(crate) fn harness(program: &Program, arguments: &[OsString], is_bench: bool) -> Option<Found> {
    if arguments.iter().any(|word| word == "--test") {
        return None;
    }
    let benches = is_bench || arguments.iter().any(|word| word == "--bench");
    own_programs(program, arguments).iter().find_map(|path| {
        // What cannot be read cannot be run either, and the run says so better.
        let marks = find_marks(path).unwrap_or_default();
        let harness = marks.first().map(|&index| MARKS[index].0)?;
        (harness != Harness::Libtest || benches).then_some(Found {
            harness,
            is_program: *path == program.path,
        })
    })
}

/// The program and the arguments that are executables of the checkout.
fn own_programs(program: &Program, arguments: &[OsString]) -> BTreeSet<PathBuf> {
    let named = arguments
        .iter()
        .map(|word| program.place.directory.join(word));
    std::iter::once(program.path.clone())
        .chain(named.filter(|path| is_code(path)))
        .filter(|path| path.starts_with(&program.place.top))
        .collect()
}

/// Indices of the marks that a file holds.
fn find_marks(path: &Path) -> io::Result<Vec<usize>> {
    let longest = MARKS.iter().map(|(_, mark)| mark.len()).max().unwrap_or(1);
    let mut file = File::open(path)?;
    let mut found = BTreeSet::new();
    let mut window = Vec::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(found.into_iter().collect());
        }
        window.extend_from_slice(&chunk[..count]);
        for (index, (_, mark)) in MARKS.iter().enumerate() {
            if !found.contains(&index) && contains(&window, mark) {
                found.insert(index);
            }
        }
        // A mark may lie across two chunks.
        let kept = window.len().saturating_sub(longest - 1);
        window.drain(..kept);
    }
}

fn contains(bytes: &[u8], mark: &[u8]) -> bool {
    let Some((&first, rest)) = mark.split_first() else {
        return true;
    };
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|&byte| byte == first) {
        from += at + 1;
        if bytes[from..].starts_with(rest) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Checkout;

    /// Two checkouts with files of these names; those that end in `*` are executable, and the
    /// text of `differs` is not the same in both.
    struct Sides {
        folder: tempfile::TempDir,
    }

    impl Sides {
        fn new(names: &[&str]) -> Sides {
            let folder = tempfile::tempdir().unwrap();
            for side in ["base", "head"] {
                let top = folder.path().join(side);
                fs::create_dir(&top).unwrap();
                for name in names {
                    let path = top.join(name.trim_end_matches('*'));
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    let text = if *name == "differs" { side } else { "same" };
                    fs::write(&path, text).unwrap();
                    if name.ends_with('*') {
                        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
                    }
                }
            }
            Sides { folder }
        }

        fn program(&self, checkout: Checkout, path: &str) -> Program {
            let top = self.folder.path().join(checkout.name());
            Program {
                path: top.join(path),
                place: Place {
                    checkout,
                    name: "ref".into(),
                    directory: top.clone(),
                    top,
                },
            }
        }

        fn refused(&self, program: &str, arguments: &[&str]) -> bool {
            let [base, head] = [Checkout::Base, Checkout::Head].map(|it| self.program(it, program));
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            refuse_same_program(&base, &head, &arguments).is_err()
        }
    }

    #[test]
    fn one_program_on_both_sides_needs_code_of_the_checkouts() {
        let sides = Sides::new(&["bench*", "bench.py", "package/part.py", "data", "differs"]);
        let shell = "/bin/sh";
        let other = "/bin/cat";
        let cases: [(&str, &[&str], bool); 12] = [
            ("bench", &[], false),
            (other, &[], true),
            (other, &["data"], true),
            (other, &["differs"], false),
            (other, &["./bench"], false),
            (shell, &["bench.py"], false),
            (shell, &["-c", "exec ./bench data"], false),
            (shell, &["-c", "exec true"], true),
            (shell, &["-m", "package.part"], false),
            (shell, &["-m", "json.tool"], true),
            (shell, &["/etc/passwd"], true),
            (shell, &["--run=bench.py"], false),
        ];
        for (program, arguments, refused) in cases {
            assert_eq!(
                sides.refused(program, arguments),
                refused,
                "{program} {arguments:?}"
            );
        }
    }

    #[test]
    fn links_that_lead_to_one_file_are_one_program() {
        let sides = Sides::new(&["other"]);
        for side in ["base", "head"] {
            let link = sides.folder.path().join(side).join("bench");
            std::os::unix::fs::symlink("/bin/cat", link).unwrap();
        }
        assert!(sides.refused("bench", &[]));
    }

    #[test]
    fn interpreters_are_known_with_their_versions() {
        for (path, known) in [
            ("/usr/bin/python3.12", true),
            ("/usr/bin/lua5.4", true),
            ("/x/node", true),
            ("/x/noder", false),
            ("/x/bench", false),
        ] {
            assert_eq!(is_named(Path::new(path), INTERPRETERS), known, "{path}");
        }
    }

    #[test]
    fn marks_are_found_across_chunks_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        for at in [0, 100, (1 << 20) - 5, 1 << 20, (1 << 20) + 1] {
            let mut bytes = vec![b'C'; (1 << 20) + 100];
            bytes[at..at + 14].copy_from_slice(b"CRITERION_HOME");
            fs::write(&path, &bytes).unwrap();
            assert_eq!(find_marks(&path).unwrap(), [0], "at {at}");
        }
        fs::write(&path, b"CRITERION_HOM DIVAN_MAX").unwrap();
        assert_eq!(find_marks(&path).unwrap(), [0usize; 0]);
    }

    #[test]
    fn a_harness_with_test_does_fixed_work() {
        let sides = Sides::new(&["target/release/deps/b-0*"]);
        let program = sides.program(Checkout::Base, "target/release/deps/b-0");
        let found = |mark: &str, arguments: &[&str], is_bench| {
            fs::write(&program.path, mark).unwrap();
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            harness(&program, &arguments, is_bench).map(|found| found.harness)
        };
        let libtest = "code ns/iter (+/- code";
        assert_eq!(found(libtest, &["--bench"], false), Some(Harness::Libtest));
        assert_eq!(found(libtest, &[], true), Some(Harness::Libtest));
        assert_eq!(found(libtest, &["--bench", "--test"], false), None);
        assert_eq!(found(libtest, &[], false), None);
        let criterion = "CRITERION_HOME and ns/iter (+/- ";
        assert_eq!(found(criterion, &[], false), Some(Harness::Criterion));
        assert_eq!(found(criterion, &["--test"], true), None);
        assert_eq!(found("", &["--bench"], true), None);
    }

    #[test]
    fn a_harness_that_another_program_starts_is_told_apart() {
        let sides = Sides::new(&["bench*"]);
        let path = sides.program(Checkout::Base, "bench").path;
        fs::write(&path, "DIVAN_MAX_TIME").unwrap();
        let direct = sides.program(Checkout::Base, "bench");
        let through = Program {
            path: "/usr/bin/nice".into(),
            ..direct.clone()
        };
        assert!(harness(&direct, &[], false).unwrap().is_program);
        let found = harness(&through, &["./bench".into()], false).unwrap();
        assert_eq!((found.harness, found.is_program), (Harness::Divan, false));
    }

    #[test]
    fn content_is_compared_byte_by_byte() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let mut long = vec![7; 200_000];
        let one = file("one", &long);
        let same = file("same", &long);
        long[150_000] = 8;
        let other = file("other", &long);
        assert!(is_same_content(&one, &same).unwrap());
        assert!(!is_same_content(&one, &other).unwrap());
        assert!(!is_same_content(&one, &file("short", b"7")).unwrap());
    }
}
