//! What cargo is asked to build, and with which environment.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::options;

/// Asks for the workspace and its targets; needs no network, and resolves nothing.
pub(crate) const METADATA_ARGUMENTS: [&str; 4] = ["metadata", "--no-deps", "--format-version", "1"];

/// What `cargo metadata` says, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Workspace {
    /// Its top.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Its members.
    pub(crate) packages: Vec<Package>,
}

/// A member of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// What it builds.
    pub(crate) targets: Vec<Target>,
    /// Its `Cargo.toml`.
    #[serde(rename = "manifest_path", default)]
    pub(crate) manifest: PathBuf,
}

/// One binary, library, example or benchmark.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: String,
    /// `bin`, `example`, `bench`, `lib` and others.
    pub(crate) kind: Vec<String>,
    /// Its first source file.
    #[serde(rename = "src_path", default)]
    pub(crate) source: PathBuf,
    /// Features that cargo does not build it without.
    #[serde(rename = "required-features", default)]
    pub(crate) features: Vec<String>,
}

impl Workspace {
    /// A product and the package that has it.
    pub(crate) fn find(&self, product: &options::Product) -> Option<(&Package, &Target)> {
        let kind = product.kind.name();
        self.packages.iter().find_map(|package| {
            let is_it = |target: &&Target| {
                target.name == product.name && target.kind.iter().any(|other| other == kind)
            };
            Some((package, package.targets.iter().find(is_it)?))
        })
    }

    /// The names of all products of a kind, sorted.
    pub(crate) fn names(&self, kind: options::ProductKind) -> Vec<String> {
        let targets = self.packages.iter().flat_map(|package| &package.targets);
        let of_kind = targets.filter(|target| target.kind.iter().any(|it| it == kind.name()));
        let mut names: Vec<String> = of_kind.map(|target| target.name.clone()).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Reads cargo's answer.
pub(crate) fn parse_metadata(json: &[u8]) -> Result<Workspace, String> {
    serde_json::from_slice(json).map_err(|error| format!("cargo metadata: {error}"))
}

/// The `Cargo.toml` that applies to a directory, not above `top`.
pub(crate) fn manifest(directory: &Path, top: &Path) -> Option<PathBuf> {
    directory
        .ancestors()
        .take_while(|folder| folder.starts_with(top))
        .map(|folder| folder.join("Cargo.toml"))
        .find(|file| file.is_file())
}

/// What to ask cargo for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Arguments of cargo.
    pub(crate) arguments: Vec<OsString>,
    /// The profile that is built.
    pub(crate) profile: String,
}

/// What to ask cargo for so that it builds one product and says where that lies; `None` when the
/// workspace does not have it.
pub(crate) fn request_for(workspace: &Workspace, product: &options::Product) -> Option<Request> {
    let (package, target) = workspace.find(product)?;
    let (start, profile): (&[&str], _) = match product.kind {
        options::ProductKind::Bench => (&["bench", "--no-run"], "bench"),
        _ => (&["build", "--release"], "release"),
    };
    let mut arguments: Vec<OsString> = start.iter().map(OsString::from).collect();
    arguments.extend(["--message-format", "json-render-diagnostics"].map(OsString::from));
    arguments.extend(["--package", &package.name].map(OsString::from));
    arguments.push(format!("--{}", product.kind.name()).into());
    arguments.push(product.name.as_str().into());
    if !target.features.is_empty() {
        arguments.extend(["--features".into(), target.features.join(",").into()]);
    }
    Some(Request {
        arguments,
        profile: profile.to_owned(),
    })
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

/// Where a product lies, from the messages of its build.
pub(crate) fn executable(messages: &[u8], product: &options::Product) -> Option<PathBuf> {
    let lines = messages.split(|&byte| byte == b'\n').rev();
    lines
        .filter_map(|line| serde_json::from_slice::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .find_map(|message| {
            let target = message.target?;
            let is_it = target.name == product.name
                && target.kind.iter().any(|kind| kind == product.kind.name());
            message.executable.filter(|_| is_it)
        })
}

/// A file in cargo's target folder that the command names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Product {
    Binary(String),
    Example(String),
    Benchmark,
}

/// What to build so that the files of the target folder that the command names exist: the
/// profile by its folder, examples and benchmarks by theirs. Without any such name everything
/// that `cargo build --release` builds.
pub(crate) fn request(workspace: &Workspace, command: &[OsString]) -> Request {
    let named: Vec<(String, Product)> = command.iter().filter_map(|word| product(word)).collect();
    let profile = named.first().map_or("release", |(profile, _)| profile);
    let mut products: Vec<&Product> = named.iter().map(|(_, product)| product).collect();
    products.sort();
    products.dedup();
    let mut arguments: Vec<String> = vec!["build".into()];
    match profile {
        "release" => arguments.push("--release".into()),
        "debug" => {}
        other => arguments.extend(["--profile".into(), other.to_owned()]),
    }
    for product in products {
        arguments.extend(selection(workspace, product));
    }
    Request {
        arguments: arguments.into_iter().map(OsString::from).collect(),
        profile: profile.to_owned(),
    }
}

/// The words of a command that [`request`] follows from; others change nothing that is built.
pub(crate) fn naming_words(command: &[OsString]) -> Vec<&OsString> {
    let names = |word: &&OsString| product(word).is_some();
    command.iter().filter(names).collect()
}

/// `target/[triple/]PROFILE/[examples/|deps/]NAME` anywhere in a word.
fn product(word: &OsStr) -> Option<(String, Product)> {
    let text = word.to_str()?;
    let path = text.rsplit('=').next()?;
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().position(|&part| part == "target")?;
    match &parts[at + 1..] {
        [profile, "deps", _] | [_, profile, "deps", _] => {
            Some(((*profile).to_owned(), Product::Benchmark))
        }
        [profile, "examples", name] | [_, profile, "examples", name] => {
            Some(((*profile).to_owned(), Product::Example((*name).to_owned())))
        }
        [profile, name] | [_, profile, name] => {
            Some(((*profile).to_owned(), Product::Binary((*name).to_owned())))
        }
        _ => None,
    }
}

/// The arguments that make cargo build one product, from whichever member has it.
fn selection(workspace: &Workspace, product: &Product) -> Vec<String> {
    let owner = |name: &str, kind: &str| {
        let has =
            |target: &Target| target.name == name && target.kind.iter().any(|other| other == kind);
        let mut packages = workspace.packages.iter();
        packages
            .find(|package| package.targets.iter().any(has))
            .map(|package| package.name.clone())
    };
    match product {
        Product::Benchmark => vec!["--benches".into()],
        Product::Binary(name) => owner(name, "bin").map_or_else(Vec::new, |package| {
            vec!["--package".into(), package, "--bins".into()]
        }),
        Product::Example(name) => {
            let mut arguments = Vec::new();
            if let Some(package) = owner(name, "example") {
                arguments.extend(["--package".to_owned(), package]);
            }
            arguments.extend(["--example".to_owned(), name.clone()]);
            arguments
        }
    }
}

/// The files that cargo may take settings from for someone who stands in `directory`, nearest first.
pub(crate) fn settings_files(directory: &Path) -> Vec<PathBuf> {
    let near = directory.ancestors().map(|folder| folder.join(".cargo"));
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    near.chain(home)
        .flat_map(|folder| [folder.join("config.toml"), folder.join("config")])
        .collect()
}

/// The environment of a build: into the checkout's own target folder, with the debug information
/// that names inlined functions (level 1: line tables alone would drop their linkage names and
/// declared lines), in the binary itself.
pub(crate) fn variables(target: &Path, profile: &str) -> Vec<(OsString, OsString)> {
    let profile = match profile {
        "debug" => "DEV".to_owned(),
        other => other.to_uppercase().replace('-', "_"),
    };
    let mut variables: Vec<(OsString, OsString)> = Vec::new();
    for name in [
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_BUILD_BUILD_DIR",
    ] {
        variables.push((name.into(), target.into()));
    }
    for (name, value) in [
        ("DEBUG", "1"),
        ("STRIP", "none"),
        ("SPLIT_DEBUGINFO", "off"),
    ] {
        variables.push((
            format!("CARGO_PROFILE_{profile}_{name}").into(),
            value.into(),
        ));
    }
    variables.push(("CARGO_TERM_COLOR".into(), "never".into()));
    variables
}

/// Takes out of an environment what a cargo or make around hotproof put there for its own
/// children: their job server is not open to us, and their package is not the one that is built.
pub(crate) fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if is_of_outer_build(&name) {
            command.env_remove(name);
        }
    }
}

/// Whether a variable belongs to a build around hotproof, or points git elsewhere.
pub(crate) fn is_of_outer_build(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    const NAMES: [&str; 10] = [
        "CARGO_MAKEFLAGS",
        "MAKEFLAGS",
        "MFLAGS",
        "MAKELEVEL",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "GIT_DIR",
        "GIT_WORK_TREE",
    ];
    NAMES.contains(&name)
        || name == "GIT_INDEX_FILE"
        || name == "GIT_PREFIX"
        || name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_BIN_EXE_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> Workspace {
        let json = br#"{"workspace_root": "/w", "version": 1, "packages": [
            {"name": "a", "targets": [{"name": "bench", "kind": ["bin"]},
                                      {"name": "a", "kind": ["lib"]}]},
            {"name": "b", "targets": [{"name": "shot", "kind": ["example"]},
                                      {"name": "bench", "kind": ["bench"]}]}]}"#;
        parse_metadata(json).unwrap()
    }

    #[test]
    fn cargo_builds_what_the_command_names() {
        let cases: [(&[&str], &str, &str); 9] = [
            (&["./bench", "data.json"], "build --release", "release"),
            (
                &["target/release/bench"],
                "build --release --package a --bins",
                "release",
            ),
            (&["./target/release/other"], "build --release", "release"),
            (
                &["nice", "target/release/examples/shot"],
                "build --release --package b --example shot",
                "release",
            ),
            (
                &["target/x86_64-unknown-linux-gnu/release/bench"],
                "build --release --package a --bins",
                "release",
            ),
            (
                &["target/release/deps/bench-0f"],
                "build --release --benches",
                "release",
            ),
            (&["target/debug/bench"], "build --package a --bins", "debug"),
            (
                &["target/long-run/bench"],
                "build --profile long-run --package a --bins",
                "long-run",
            ),
            (
                &["run", "--exe=target/release/bench", "target/release/bench"],
                "build --release --package a --bins",
                "release",
            ),
        ];
        for (command, arguments, profile) in cases {
            let command: Vec<OsString> = command.iter().map(OsString::from).collect();
            let request = request(&workspace(), &command);
            let words: Vec<_> = request
                .arguments
                .iter()
                .map(|word| word.to_string_lossy())
                .collect();
            assert_eq!(
                (words.join(" ").as_str(), request.profile.as_str()),
                (arguments, profile)
            );
            let naming: Vec<OsString> = naming_words(&command).into_iter().cloned().collect();
            assert_eq!(
                super::request(&workspace(), &naming).arguments,
                request.arguments
            );
        }
    }

    #[test]
    fn debug_information_goes_to_the_profile_that_is_built() {
        let has = |profile: &str, wanted: &str| {
            variables(Path::new("/w/target"), profile)
                .iter()
                .any(|(name, value)| name == wanted && value == "1")
        };
        assert!(has("release", "CARGO_PROFILE_RELEASE_DEBUG"));
        assert!(has("long-run", "CARGO_PROFILE_LONG_RUN_DEBUG"));
        assert!(has("debug", "CARGO_PROFILE_DEV_DEBUG"));
    }

    #[test]
    fn a_product_is_asked_for_by_its_package_and_found_in_the_messages() {
        let product = options::Product {
            kind: options::ProductKind::Bench,
            name: "bench".to_owned(),
        };
        let request = request_for(&workspace(), &product).unwrap();
        let words: Vec<_> = request
            .arguments
            .iter()
            .map(|it| it.to_string_lossy())
            .collect();
        assert_eq!(
            (words.join(" ").as_str(), request.profile.as_str()),
            (
                "bench --no-run --message-format json-render-diagnostics --package b --bench bench",
                "bench"
            )
        );
        let messages = br#"{"reason":"compiler-artifact","target":{"name":"bench","kind":["bin"]},"executable":"/t/bench"}
{"reason":"compiler-artifact","target":{"name":"bench","kind":["bench"]},"executable":"/t/deps/bench-1"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(
            executable(messages, &product),
            Some("/t/deps/bench-1".into())
        );
        assert_eq!(executable(b"garbage", &product), None);
        let absent = options::Product {
            name: "other".to_owned(),
            ..product
        };
        assert_eq!(request_for(&workspace(), &absent), None);
    }

    #[test]
    fn metadata_that_is_none_is_an_error() {
        assert!(
            parse_metadata(b"{}")
                .unwrap_err()
                .contains("workspace_root")
        );
    }
}
