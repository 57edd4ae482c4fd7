//! A benchmark that exists at head only is measured on both sides: base borrows it.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use hotproof_diff::RefFacts;

use crate::build::Place;
use crate::cargo::Workspace;
use crate::error::LabError;
use crate::git;
use crate::options::Product;

/// Whether a ref has a benchmark's source where cargo looks for one of that name. That tells kept
/// builds apart before anything is checked out; what cargo makes of it, only its manifests say.
pub(crate) fn has(
    top: &Path,
    facts: &RefFacts,
    product: &Product,
    stop: &AtomicBool,
) -> Result<bool, LabError> {
    let question = ["ls-tree", "-r", "-z", "--name-only", &facts.commit];
    let list = git::output(top, &question, stop)?;
    let ends = [
        format!("benches/{}.rs", product.name),
        format!("benches/{}/main.rs", product.name),
    ];
    let is_it = |path: &[u8]| {
        ends.iter().any(|end| {
            path.strip_suffix(end.as_bytes())
                .is_some_and(|before| before.is_empty() || before.ends_with(b"/"))
        })
    };
    Ok(list.split(|&byte| byte == 0).any(is_it))
}

/// Copies a benchmark of `lender` into a checkout that lacks it, with the manifest of its package
/// where that differs, because that is where harness and dependencies of benchmarks stand. Returns
/// what to tell the user; `None` when the lender does not have it either.
///
/// # Errors
/// When a file cannot be copied.
pub(crate) fn lend(
    product: &Product,
    lender: &Workspace,
    borrower: &Workspace,
    place: &Place,
) -> Result<Option<String>, LabError> {
    let Some((package, target)) = lender.find(product) else {
        return Ok(None);
    };
    let own = |path: &Path| {
        let below = path.strip_prefix(&lender.root).ok()?;
        Some(borrower.root.join(below))
    };
    let copy = |from: &Path| -> Result<bool, LabError> {
        let Some(to) = own(from) else {
            return Ok(false);
        };
        let differs = fs::read(from).ok() != fs::read(&to).ok();
        if differs {
            let parent = to.parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(parent)
                .and_then(|()| fs::copy(from, &to).map(drop))
                .map_err(|source| LabError::File {
                    action: "copy head's benchmark to",
                    path: to.clone(),
                    source,
                })?;
        }
        Ok(differs)
    };
    // `benches/NAME/main.rs` comes with its modules.
    let source = &target.source;
    if source.file_name().is_some_and(|name| name == "main.rs") {
        let siblings = source.parent().and_then(|folder| fs::read_dir(folder).ok());
        for entry in siblings.into_iter().flatten().flatten() {
            if entry.path().is_file() {
                copy(&entry.path())?;
            }
        }
    } else {
        copy(source)?;
    }
    let manifest = copy(&package.manifest)?;
    if manifest {
        copy(&lender.root.join("Cargo.toml"))?;
        let lock = lender.root.join("Cargo.lock");
        if lock.is_file() {
            copy(&lock)?;
        }
    }
    let with = if manifest {
        ", with head's Cargo.toml and Cargo.lock"
    } else {
        ""
    };
    Ok(Some(format!(
        "{product} does not exist at {}: head's is measured on both sides{with}",
        place.name
    )))
}
