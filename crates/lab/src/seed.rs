//! Dependencies that base has built, handed to the other checkouts.
//!
//! Packages of a registry are the same whichever checkout uses them, and often they are most of a
//! build. What base built of them is copied, and cargo decides by its own fingerprints what of it
//! fits. Nothing of the repository's own code is shared: the two copies of base have to be built
//! separately, and head must never run code of base. Two things see to that: everything that
//! belongs to a package of the workspace is taken out of the copy, and all files of the checkout
//! get a new time, so that cargo builds packages again that lie in the repository but outside the
//! workspace.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use crate::cargo::Workspace;
use crate::child::{self, Streams};
use crate::error::LabError;

/// Shorter builds are simply repeated.
pub(crate) const WORTH_SHARING: Duration = Duration::from_secs(15);

/// Copies what `from` built of its dependencies to `to`, whose checkout lies at `top`. When
/// anything goes wrong on the way, nothing is shared: the build then takes longer.
///
/// Returns whether anything is shared.
///
/// # Errors
/// Interruption alone.
pub(crate) fn share(
    from: &Workspace,
    to: &Workspace,
    top: &Path,
    stop: &AtomicBool,
) -> Result<bool, LabError> {
    let (source, target) = (from.root.join("target"), to.root.join("target"));
    if target.exists() || !source.is_dir() {
        return Ok(false);
    }
    let copied = copy(&source, &target, stop)?;
    let cleaned = copied
        && forget_members(&target, from).is_ok()
        && forget_members(&target, to).is_ok()
        && renew(top, &target, SystemTime::now()).is_ok();
    if !cleaned {
        crate::git::remove_tree(&target);
    }
    Ok(cleaned)
}

/// Times are kept, because cargo's fingerprints look at them.
fn copy(source: &Path, target: &Path, stop: &AtomicBool) -> Result<bool, LabError> {
    let mut command = Command::new("cp");
    command.arg("-a").arg("--").arg(source).arg(target);
    match child::run(&mut command, Streams::Together, stop) {
        Ok(finished) if finished.status.is_none() => Err(LabError::Interrupted),
        Ok(finished) => Ok(finished.succeeded()),
        Err(_) => Ok(false),
    }
}

/// Takes out what belongs to the packages of a workspace, in each profile's folder, also below
/// those of target triples.
fn forget_members(target: &Path, workspace: &Workspace) -> io::Result<()> {
    for folder in folders_in(target)? {
        if folder.join(".fingerprint").is_dir() {
            forget_in_profile(&folder, workspace)?;
        } else {
            for below in folders_in(&folder)? {
                forget_in_profile(&below, workspace)?;
            }
        }
    }
    Ok(())
}

fn folders_in(folder: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let folders = entries.into_iter().map(|entry| entry.path());
    Ok(folders.filter(|path| path.is_dir()).collect())
}

fn forget_in_profile(profile: &Path, workspace: &Workspace) -> io::Result<()> {
    let packages = || workspace.packages.iter();
    let names: Vec<&str> = packages().map(|package| package.name.as_str()).collect();
    let products: Vec<String> = packages()
        .flat_map(|package| &package.targets)
        .flat_map(|target| {
            let name = target.name.replace('-', "_");
            [format!("lib{name}"), name, target.name.clone()]
        })
        .collect();
    let is_of = |file: &str, name: &str| {
        file.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
    };
    for folder in [".fingerprint", "build"] {
        remove_where(&profile.join(folder), |file, _| {
            names.iter().any(|name| is_of(file, name))
        })?;
    }
    remove_where(&profile.join("deps"), |file, _| {
        products.iter().any(|name| is_of(file, name))
    })?;
    remove_where(&profile.join("examples"), |_, _| true)?;
    remove_where(&profile.join("incremental"), |_, _| true)?;
    // Finished programs: one that head no longer builds must not be found there.
    remove_where(profile, |file, is_folder| {
        !is_folder && !file.starts_with('.')
    })
}

fn remove_where(folder: &Path, unwanted: impl Fn(&str, bool) -> bool) -> io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        let name = entry.file_name();
        // A name that is no text is none of cargo's, and is not kept.
        if name.to_str().is_some_and(|name| !unwanted(name, is_folder)) {
            continue;
        }
        if is_folder {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Gives all files of a checkout a new time, but for git's and the copied ones.
fn renew(folder: &Path, target: &Path, now: SystemTime) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if path == target || entry.file_name() == ".git" {
            continue;
        }
        if kind.is_dir() {
            renew(&path, target, now)?;
        } else if kind.is_file() {
            File::options()
                .append(true)
                .open(&path)?
                .set_modified(now)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::{METADATA_ARGUMENTS, parse_metadata, variables};

    fn cargo(folder: &Path, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new("cargo");
        command.args(arguments).arg("--offline").current_dir(folder);
        crate::cargo::clean(&mut command);
        let output = command
            .envs(variables(&folder.join("target"), "release"))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        if arguments[0] == "build" {
            output.stderr
        } else {
            output.stdout
        }
    }

    /// A program with a package of the workspace, and one beside it that is none.
    fn write_checkout(top: &Path, member: u32, outsider: u32) {
        let package = |name: &str, rest: &str| {
            format!("[package]\nname = '{name}'\nversion = '0.1.0'\nedition = '2021'\n{rest}")
        };
        let manifest = package(
            "my-tool",
            "[workspace]\nmembers = ['part']\nexclude = ['outsider']\n\
             [dependencies]\npart = { path = 'part' }\noutsider = { path = 'outsider' }\n",
        );
        let value = |value: u32| format!("pub fn value() -> u32 {{ {value} }}\n");
        let main = "fn main() { println!(\"{} {}\", part::value(), outsider::value()); }\n";
        for (name, text) in [
            ("Cargo.toml", manifest),
            ("src/main.rs", main.to_owned()),
            ("part/Cargo.toml", package("part", "")),
            ("part/src/lib.rs", value(member)),
            ("outsider/Cargo.toml", package("outsider", "")),
            ("outsider/src/lib.rs", value(outsider)),
        ] {
            let path = top.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn no_code_of_the_repository_is_shared() {
        let folder = tempfile::tempdir().unwrap();
        let [base, head] = ["base", "head"].map(|name| folder.path().join(name));
        // Both are checked out before anything is built, as in a comparison.
        write_checkout(&base, 1, 1);
        write_checkout(&head, 2, 2);
        cargo(&base, &["build", "--release"]);
        let workspace = |top: &Path| parse_metadata(&cargo(top, &METADATA_ARGUMENTS)).unwrap();
        let stop = AtomicBool::new(false);
        assert!(share(&workspace(&base), &workspace(&head), &head, &stop).unwrap());
        let program = head.join("target/release/my-tool");
        assert!(head.join("target/release/deps").is_dir() && !program.exists());
        let log = String::from_utf8(cargo(&head, &["build", "--release"])).unwrap();
        for name in ["my-tool", "part", "outsider"] {
            assert!(
                log.contains(&format!("Compiling {name} ")),
                "{name} in {log}"
            );
        }
        let output = Command::new(program).output().unwrap();
        assert_eq!(output.stdout, b"2 2\n");
    }

    #[test]
    fn a_target_folder_that_exists_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let root = folder.path().join(name);
            fs::create_dir_all(root.join("target")).unwrap();
            Workspace {
                root,
                packages: Vec::new(),
            }
        };
        let stop = AtomicBool::new(false);
        let (one, other) = (at("one"), at("other"));
        assert!(!share(&one, &other, &other.root, &stop).unwrap());
    }
}
