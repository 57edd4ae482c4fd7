//! What could be measured here, for a user who did not say.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use crate::cargo::{self, Workspace};
use crate::child::{self, Streams};

/// A command that might be the workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// As it would be typed after `--`.
    pub command: String,
    /// Where it comes from: `binary of the package demo`.
    pub origin: String,
}

/// Commands that might be a workload of the project in `directory`, likeliest first: files whose
/// name speaks of benchmarks, then cargo's binaries and examples. Benchmarks of `cargo bench` are
/// none, because their harnesses run for a fixed time.
pub fn candidates(directory: &Path) -> Vec<Candidate> {
    let mut all = scripts(directory);
    if let Some(workspace) = workspace(directory) {
        all.extend(products(&workspace, directory));
    }
    all
}

/// Files of the directory that are named like a benchmark and can be run.
fn scripts(directory: &Path) -> Vec<Candidate> {
    let mut names: Vec<(String, PathBuf)> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .filter(|(name, path)| name.to_lowercase().contains("bench") && path.is_file())
        .collect();
    names.sort();
    let command = |(name, path): (String, PathBuf)| {
        let mode = fs::metadata(path).map_or(0, |facts| facts.permissions().mode());
        let typed = match name.rsplit_once('.').map(|(_, extension)| extension) {
            _ if mode & 0o111 != 0 => format!("./{name}"),
            Some("py") => format!("python3 {name}"),
            Some("js" | "mjs") => format!("node {name}"),
            Some("rb") => format!("ruby {name}"),
            Some("sh") => format!("sh {name}"),
            _ => return None,
        };
        Some(Candidate {
            command: typed,
            origin: "file of this directory".to_owned(),
        })
    };
    names.into_iter().filter_map(command).collect()
}

/// What cargo says, where there is a package; nothing where cargo is missing or content with
/// nothing, because candidates are an offer.
fn workspace(directory: &Path) -> Option<Workspace> {
    let directory = fs::canonicalize(directory).ok()?;
    cargo::manifest(&directory, Path::new("/"))?;
    let mut command = Command::new("cargo");
    command
        .args(cargo::METADATA_ARGUMENTS)
        .current_dir(&directory);
    cargo::clean(&mut command);
    let never = AtomicBool::new(false);
    let mut finished = child::run(&mut command, Streams::Apart, &never).ok()?;
    let answer = child::read_all(&mut finished.stdout).ok()?;
    cargo::parse_metadata(&answer).ok()
}

fn products(workspace: &Workspace, directory: &Path) -> Vec<Candidate> {
    let target = path_to_target(workspace, directory);
    let mut all = Vec::new();
    for (kind, folder, word) in [("bin", "", "binary"), ("example", "examples/", "example")] {
        for package in &workspace.packages {
            let has = |target: &&cargo::Target| target.kind.iter().any(|other| other == kind);
            for product in package.targets.iter().filter(has) {
                all.push(Candidate {
                    command: format!("{target}release/{folder}{}", product.name),
                    origin: format!("{word} of the package {}", package.name),
                });
            }
        }
    }
    all
}

/// From the directory to the workspace's target folder: `../target/`.
fn path_to_target(workspace: &Workspace, directory: &Path) -> String {
    let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    match directory.strip_prefix(&workspace.root) {
        Ok(below) => format!("{}target/", "../".repeat(below.components().count())),
        Err(_) => format!("{}/target/", workspace.root.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(directory: &Path) -> Vec<String> {
        candidates(directory)
            .into_iter()
            .map(|candidate| candidate.command)
            .collect()
    }

    #[test]
    fn scripts_and_cargo_products_are_offered() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        fs::create_dir_all(top.join("src/bin")).unwrap();
        fs::create_dir_all(top.join("examples")).unwrap();
        let manifest = "[package]\nname = 'demo'\nversion = '0.1.0'\n[workspace]\n";
        for (name, text) in [
            ("Cargo.toml", manifest),
            ("src/main.rs", "fn main() {}"),
            ("src/bin/second.rs", "fn main() {}"),
            ("examples/shot.rs", "fn main() {}"),
            ("bench.py", ""),
            ("benchmark.txt", ""),
        ] {
            fs::write(top.join(name), text).unwrap();
        }
        let all = ["demo", "second", "examples/shot"];
        let expected = |prefix: &str| all.map(|name| format!("{prefix}target/release/{name}"));
        assert_eq!(commands(top)[0], "python3 bench.py");
        assert_eq!(commands(top)[1..], expected(""));
        assert_eq!(commands(&top.join("src")), expected("../"));
    }

    #[test]
    fn an_empty_folder_offers_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(candidates(folder.path()), []);
    }
}
