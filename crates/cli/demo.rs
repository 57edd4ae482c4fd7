//! `hotproof demo`: a small program with a real history, compared from end to end.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::Demo;
use crate::compare::{measure, options, show};
use crate::failure::{Code, Failure, Outcome};
use crate::log;
use crate::output::Voice;
use crate::workload::Project;

/// The files of the example's first commit.
const BASE: [(&str, &str); 7] = [
    ("Cargo.toml", include_str!("demo/base/Cargo.toml.in")),
    ("src/main.rs", include_str!("demo/base/src/main.rs")),
    ("src/write.rs", include_str!("demo/base/src/write.rs")),
    ("src/parse.rs", include_str!("demo/base/src/parse.rs")),
    ("src/count.rs", include_str!("demo/base/src/count.rs")),
    ("src/pack.rs", include_str!("demo/base/src/pack.rs")),
    ("src/seal.rs", include_str!("demo/base/src/seal.rs")),
];

/// What the second commit changes.
const HEAD: [(&str, &str); 1] = [("src/seal.rs", include_str!("demo/head/src/seal.rs"))];

pub(crate) fn run(arguments: &Demo, voice: Voice) -> Outcome {
    // Keeps the folder until the comparison is over.
    let scratch = tempfile::Builder::new().prefix("hotproof-demo-").tempdir();
    let scratch = scratch.map_err(|error| cannot_make(Path::new("a temporary folder"), &error))?;
    let folder = match &arguments.keep {
        Some(folder) => new_folder(folder)?,
        None => scratch.path().join("packlog"),
    };
    make_repository(&folder)?;
    voice.notice(&introduction(&folder, arguments));

    let head = if arguments.identical {
        "main~1"
    } else {
        "main"
    };
    let command = vec![OsString::from("target/release/packlog")];
    let given = &arguments.options;
    let workload = hotproof_lab::Workload::command(command);
    let project = Project::default();
    let mut options = options(given, &folder, ("main~1", head), workload, &project)?;
    options.force |= arguments.identical;
    // A build that is removed with the example is of no use to anybody, nor is a log.
    options.cache = None;
    let places = given.leave.prepare()?;
    let mut measured = measure(&options, voice)?;
    let (comparison, conclusion) = (&measured.comparison, &measured.conclusion);
    if arguments.keep.is_some() {
        measured.place = Some(log::append(&folder, comparison, conclusion)?);
    }
    let outcome = show(
        comparison,
        conclusion,
        given.json,
        measured.place.as_deref(),
    );
    places.write(std::slice::from_ref(&measured), false)?;
    if outcome.is_ok() {
        voice.notice(&farewell(arguments));
    }
    outcome
}

fn introduction(folder: &Path, arguments: &Demo) -> String {
    let head = if arguments.identical {
        "main~1"
    } else {
        "main"
    };
    let kept = if arguments.keep.is_some() {
        "stays"
    } else {
        "is removed afterwards"
    };
    format!(
        "packlog, a small log packer in Rust, has two commits. The second one says that it made\n\
         the checksum faster (seal::adler32). Is that so, and is it worth keeping?\n\
         The repository {} {kept}.\n\n\
         $ hotproof compare main~1 {head} -- target/release/packlog",
        folder.display()
    )
}

fn farewell(arguments: &Demo) -> String {
    let place = match &arguments.keep {
        Some(folder) => format!("The example is in {}. ", folder.display()),
        None => String::new(),
    };
    format!(
        "\n{place}On your own code: hotproof compare main HEAD -- COMMAND\n\
         What identical code looks like: hotproof demo --identical"
    )
}

fn new_folder(folder: &Path) -> Result<PathBuf, Failure> {
    if folder.exists() {
        let what = format!("{} exists already", folder.display());
        return Err(Failure::new(Code::Usage, what).remedy("name a new folder with --keep"));
    }
    fs::create_dir_all(folder).map_err(|error| cannot_make(folder, &error))?;
    folder
        .canonicalize()
        .map_err(|error| cannot_make(folder, &error))
}

fn cannot_make(what: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Code::Failure,
        format!("cannot make {}: {error}", what.display()),
    )
}

/// A repository with two commits on `main`.
fn make_repository(folder: &Path) -> Result<(), Failure> {
    write_files(folder, &BASE)?;
    write_files(folder, &[(".gitignore", "/target\n")])?;
    git(
        folder,
        &["-c", "init.defaultBranch=main", "init", "--quiet"],
    )?;
    commit(folder, "packlog: count, pack and seal a day of log")?;
    write_files(folder, &HEAD)?;
    commit(folder, "seal: take the remainder once in 5,552 bytes")
}

fn write_files(folder: &Path, files: &[(&str, &str)]) -> Result<(), Failure> {
    for (name, text) in files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| cannot_make(&path, &error))?;
    }
    Ok(())
}

fn commit(folder: &Path, message: &str) -> Result<(), Failure> {
    git(folder, &["add", "--all"])?;
    let identity = [
        "-c",
        "user.name=hotproof demo",
        "-c",
        "user.email=demo@hotproof.invalid",
    ];
    let settings = [
        "-c",
        "commit.gpgSign=false",
        "commit",
        "--quiet",
        "--no-verify",
        "-m",
        message,
    ];
    git(folder, &[&identity[..], &settings[..]].concat())
}

fn git(folder: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let run = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output();
    let failure = |reason: &str| {
        let what = format!(
            "git could not make the example's repository: {}",
            reason.trim()
        );
        Failure::new(Code::Failure, what).remedy("install git (apt-get install git)")
    };
    match run {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(failure(&String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(failure(&error.to_string())),
    }
}
