//! From a checkout to something that runs.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use crate::cargo::{self, Workspace};
use crate::child::{self, Streams};
use crate::error::LabError;
use crate::event::Checkout;
use crate::layouts::Linker;
use crate::options::{Build, Options, Product};

/// Lines of a failed build that are shown.
const TAIL_LINES: usize = 20;

/// Where a checkout lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which.
    pub(crate) checkout: Checkout,
    /// The ref as the user wrote it.
    pub(crate) name: String,
    /// Its top.
    pub(crate) top: PathBuf,
    /// The directory that stands for the one where the user stands.
    pub(crate) directory: PathBuf,
}

impl Place {
    /// For people: `base (main)`.
    pub(crate) fn describe(&self) -> String {
        match self.checkout {
            Checkout::Copy => format!("the second copy of base ({})", self.name),
            Checkout::Base | Checkout::Head => format!("{} ({})", self.checkout.name(), self.name),
        }
    }
}

/// How one checkout is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipe {
    program: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    /// What cargo says of the checkout, when it is cargo that builds.
    pub(crate) workspace: Option<Workspace>,
    /// What cargo is asked for, when it is asked for one program.
    product: Option<Product>,
}

/// How a checkout is built; `None` when there is nothing to build.
///
/// # Errors
/// When cargo is to build something that it does not know.
pub(crate) fn recipe(options: &Options, place: &Place) -> Result<Option<Recipe>, LabError> {
    let manifest = cargo::manifest(&place.directory, &place.top);
    if let Some(product) = &options.workload.product {
        if manifest.is_none() {
            return Err(LabError::NoManifest {
                place: place.describe(),
                product: product.to_string(),
            });
        }
        let workspace = workspace(place, &options.stop)?;
        return product_recipe(workspace, product, place).map(Some);
    }
    match &options.build {
        Build::None => Ok(None),
        Build::Command(line) => {
            let root = manifest.as_deref().and_then(Path::parent);
            let target = root.unwrap_or(&place.directory).join("target");
            Ok(Some(Recipe {
                program: "sh".into(),
                arguments: vec!["-c".into(), line.into()],
                variables: cargo::variables(&target, "release"),
                workspace: None,
                product: None,
            }))
        }
        Build::Auto if manifest.is_some() => {
            let workspace = workspace(place, &options.stop)?;
            Ok(Some(cargo_recipe(workspace, &options.workload.command)))
        }
        Build::Auto => Ok(None),
    }
}

fn cargo_recipe(workspace: Workspace, command: &[OsString]) -> Recipe {
    let request = cargo::request(&workspace, command);
    Recipe {
        program: "cargo".into(),
        arguments: request.arguments,
        variables: cargo::variables(&workspace.root.join("target"), &request.profile),
        workspace: Some(workspace),
        product: None,
    }
}

fn product_recipe(
    workspace: Workspace,
    product: &Product,
    place: &Place,
) -> Result<Recipe, LabError> {
    let Some(request) = cargo::request_for(&workspace, product) else {
        return Err(LabError::NoProduct {
            place: place.describe(),
            product: product.to_string(),
            known: workspace.names(product.kind),
        });
    };
    Ok(Recipe {
        program: "cargo".into(),
        arguments: request.arguments,
        variables: cargo::variables(&workspace.root.join("target"), &request.profile),
        workspace: Some(workspace),
        product: Some(product.clone()),
    })
}

/// Runs the project's tests in a checkout.
///
/// # Errors
/// The end of their output, when they fail.
pub(crate) fn test(line: &str, place: &Place, stop: &AtomicBool) -> Result<(), LabError> {
    let recipe = Recipe {
        program: "sh".into(),
        arguments: vec!["-c".into(), line.into()],
        variables: vec![("CARGO_TARGET_DIR".into(), place.top.join("target").into())],
        workspace: None,
        product: None,
    };
    let mut finished = recipe.run(place, Streams::Together, stop)?;
    if finished.succeeded() {
        return Ok(());
    }
    Err(LabError::Tests {
        place: place.describe(),
        command: line.to_owned(),
        status: child::describe(finished.status),
        tail: child::tail(&mut finished.stdout, TAIL_LINES),
    })
}

/// What cargo says of the checkout.
pub(crate) fn workspace(place: &Place, stop: &AtomicBool) -> Result<Workspace, LabError> {
    let recipe = Recipe {
        program: "cargo".into(),
        arguments: cargo::METADATA_ARGUMENTS.map(OsString::from).to_vec(),
        variables: Vec::new(),
        workspace: None,
        product: None,
    };
    let mut finished = recipe.run(place, Streams::Apart, stop)?;
    if !finished.succeeded() {
        return Err(recipe.failure(
            place,
            &finished,
            child::tail(&mut finished_stderr(&finished)?, TAIL_LINES),
        ));
    }
    let answer = child::read_all(&mut finished.stdout).map_err(|source| LabError::File {
        action: "read the output of",
        path: "cargo".into(),
        source,
    })?;
    cargo::parse_metadata(&answer)
        .map_err(|reason| recipe.failure(place, &finished, format!("  {reason}")))
}

fn finished_stderr(finished: &child::Finished) -> Result<std::fs::File, LabError> {
    finished
        .stderr
        .try_clone()
        .map_err(|source| LabError::File {
            action: "read the output of",
            path: "cargo".into(),
            source,
        })
}

impl Recipe {
    /// As a person would type it.
    pub(crate) fn line(&self) -> String {
        if let (true, Some(line)) = (self.program == "sh", self.arguments.last()) {
            return line.to_string_lossy().into_owned();
        }
        let words = std::iter::once(&self.program).chain(&self.arguments);
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    /// Lets a script stand in for the linker.
    pub(crate) fn link_with(&mut self, linker: &Linker, place: &Place) {
        self.variables.extend(linker.variables(place));
    }

    /// Builds. Returns where the program lies that cargo was asked for.
    ///
    /// # Errors
    /// The end of the output, when the build fails.
    pub(crate) fn build(
        &self,
        place: &Place,
        stop: &AtomicBool,
    ) -> Result<Option<PathBuf>, LabError> {
        let Some(product) = &self.product else {
            let mut finished = self.run(place, Streams::Together, stop)?;
            if finished.succeeded() {
                return Ok(None);
            }
            let tail = child::tail(&mut finished.stdout, TAIL_LINES);
            return Err(self.failure(place, &finished, tail));
        };
        let mut finished = self.run(place, Streams::Apart, stop)?;
        let messages = child::read_all(&mut finished.stdout).unwrap_or_default();
        match cargo::executable(&messages, product).filter(|_| finished.succeeded()) {
            Some(path) => Ok(Some(path)),
            None => {
                let tail = child::tail(&mut finished.stderr, TAIL_LINES);
                Err(self.failure(place, &finished, tail))
            }
        }
    }

    fn run(
        &self,
        place: &Place,
        streams: Streams,
        stop: &AtomicBool,
    ) -> Result<child::Finished, LabError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&place.directory);
        cargo::clean(&mut command);
        command.env("PWD", &place.directory);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        match child::run(&mut command, streams, stop) {
            Ok(finished) if finished.status.is_none() => Err(LabError::Interrupted),
            Ok(finished) => Ok(finished),
            Err(error) => Err(LabError::Build {
                place: place.describe(),
                command: self.line(),
                status: format!("no start ({error})"),
                tail: missing_hint(&self.program),
            }),
        }
    }

    fn failure(&self, place: &Place, finished: &child::Finished, mut tail: String) -> LabError {
        if tail.contains("No space left on device") {
            tail.push_str(
                "\n  builds lie in the cache and in the temporary folder: set HOTPROOF_CACHE and TMPDIR to places with more room",
            );
        }
        LabError::Build {
            place: place.describe(),
            command: self.line(),
            status: child::describe(finished.status),
            tail,
        }
    }
}

/// Gives a checkout the user's `Cargo.lock` when the ref has none: otherwise each build would pick
/// the newest dependencies of the day. Returns what to tell the user.
pub(crate) fn share_lock_file(place: &Place, user: &Path) -> Result<Option<String>, LabError> {
    let Some(root) = cargo::manifest(&place.directory, &place.top)
        .and_then(|manifest| Some(manifest.parent()?.to_owned()))
    else {
        return Ok(None);
    };
    let up = place
        .directory
        .strip_prefix(&root)
        .map_or(0, |below| below.components().count());
    let Some(mine) = user
        .ancestors()
        .nth(up)
        .map(|folder| folder.join("Cargo.lock"))
    else {
        return Ok(None);
    };
    let theirs = root.join("Cargo.lock");
    if theirs.exists() || !mine.is_file() {
        return Ok(None);
    }
    std::fs::copy(&mine, &theirs).map_err(|source| LabError::File {
        action: "copy Cargo.lock to",
        path: theirs,
        source,
    })?;
    Ok(Some(format!(
        "Cargo.lock is not part of {}: the one in your working tree is used",
        place.describe()
    )))
}

fn missing_hint(program: &OsStr) -> String {
    if program == "cargo" {
        "  there is a Cargo.toml; install Rust, or say how to build with --build CMD".to_owned()
    } else {
        String::new()
    }
}
