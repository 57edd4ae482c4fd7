//! What could be measured here, for a user who did not say.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use crate::cargo::{self, Workspace};
use crate::child::{self, Streams};
use crate::options::{Product, ProductKind};

/// A command that might be the workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// As it would be typed at the end of the command line: `-- ./bench`, `--bench parse`.
    pub typed: String,
    /// Where it comes from: `binary of the package demo`.
    pub origin: String,
    /// How likely it is meant: the lowest first.
    pub rank: Rank,
    /// The program and its arguments; empty with a product.
    pub command: Vec<OsString>,
    /// The program of cargo.
    pub product: Option<Product>,
}

/// How likely a candidate is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Its name or its kind speaks of benchmarks.
    Benchmark,
    /// A program.
    Program,
    /// An example.
    Example,
}

/// The one candidate that can be meant: the only one of the likeliest rank that there is.
pub fn only(candidates: &[Candidate]) -> Option<&Candidate> {
    let likeliest = candidates.iter().map(|candidate| candidate.rank).min()?;
    let mut best = candidates.iter().filter(|it| it.rank == likeliest);
    best.next().filter(|_| best.next().is_none())
}

/// What might be a workload of the project in `directory`, likeliest first: files whose name
/// speaks of benchmarks, cargo's benchmarks, then its binaries and examples.
pub fn candidates(directory: &Path) -> Vec<Candidate> {
    let mut all = scripts(directory);
    if let Some(workspace) = workspace(directory) {
        all.extend(products(&workspace));
    }
    all.sort_by_key(|candidate| candidate.rank);
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
        let words: Vec<String> = match name.rsplit_once('.').map(|(_, extension)| extension) {
            _ if mode & 0o111 != 0 => vec![format!("./{name}")],
            Some("py") => vec!["python3".into(), name],
            Some("js" | "mjs") => vec!["node".into(), name],
            Some("rb") => vec!["ruby".into(), name],
            Some("sh") => vec!["sh".into(), name],
            _ => return None,
        };
        Some(Candidate {
            typed: format!("-- {}", words.join(" ")),
            origin: "file of this directory".to_owned(),
            rank: Rank::Benchmark,
            command: words.into_iter().map(OsString::from).collect(),
            product: None,
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

fn products(workspace: &Workspace) -> Vec<Candidate> {
    let mut all = Vec::new();
    for (kind, rank, word) in [
        (ProductKind::Bench, Rank::Benchmark, "benchmark"),
        (ProductKind::Bin, Rank::Program, "binary"),
        (ProductKind::Example, Rank::Example, "example"),
    ] {
        for package in &workspace.packages {
            let has = |target: &&cargo::Target| target.kind.iter().any(|it| it == kind.name());
            for target in package.targets.iter().filter(has) {
                all.push(Candidate {
                    typed: format!("--{} {}", kind.name(), target.name),
                    origin: format!("{word} of the package {}", package.name),
                    rank,
                    command: Vec::new(),
                    product: Some(Product {
                        kind,
                        name: target.name.clone(),
                    }),
                });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(directory: &Path) -> Vec<String> {
        let all = candidates(directory).into_iter();
        all.map(|candidate| candidate.typed).collect()
    }

    fn write(top: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = top.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    const MANIFEST: &str = "[package]\nname = 'demo'\nversion = '0.1.0'\n[workspace]\n";

    #[test]
    fn scripts_and_cargo_products_are_offered() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        write(
            top,
            &[
                ("Cargo.toml", MANIFEST),
                ("src/main.rs", "fn main() {}"),
                ("src/bin/second.rs", "fn main() {}"),
                ("examples/shot.rs", "fn main() {}"),
                ("benches/speed.rs", "fn main() {}"),
                ("bench.py", ""),
                ("benchmark.txt", ""),
            ],
        );
        let products = [
            "--bench speed",
            "--bin demo",
            "--bin second",
            "--example shot",
        ];
        assert_eq!(typed(top)[0], "-- python3 bench.py");
        assert_eq!(typed(top)[1..], products);
        assert_eq!(typed(&top.join("src")), products);
        assert_eq!(only(&candidates(top)), None, "a script and a benchmark");
        let below = candidates(&top.join("src"));
        assert_eq!(only(&below).unwrap().typed, "--bench speed");
    }

    #[test]
    fn the_only_program_is_meant_where_there_is_no_benchmark() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        write(
            top,
            &[
                ("Cargo.toml", MANIFEST),
                ("src/main.rs", "fn main() {}"),
                ("examples/shot.rs", "fn main() {}"),
            ],
        );
        assert_eq!(only(&candidates(top)).unwrap().typed, "--bin demo");
        write(top, &[("src/bin/second.rs", "fn main() {}")]);
        assert_eq!(only(&candidates(top)), None);
    }

    #[test]
    fn an_empty_folder_offers_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(candidates(folder.path()), []);
        assert_eq!(only(&[]), None);
    }
}
