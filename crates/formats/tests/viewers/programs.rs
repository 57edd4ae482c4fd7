//! Programs of others that tests run, which `scripts/viewers.sh` installs; one that is not there is
//! skipped, visibly.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Says that a test was skipped, past the capture of the test harness, so that it is seen.
pub(crate) fn skip(reason: &str) {
    use std::io::Write;
    let line = format!("skipped: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Where `scripts/viewers.sh` puts things.
fn viewers() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let default = || cache().or_else(home).unwrap_or_default();
    std::env::var_os("HOTPROOF_VIEWERS")
        .map_or_else(|| default().join("hotproof-viewers"), PathBuf::from)
}

/// A file of a package that is installed there; says so and gives `None` where it is not.
pub(crate) fn installed(path: &str) -> Option<PathBuf> {
    let found = viewers().join(path);
    if found.exists() {
        return Some(found);
    }
    skip(&format!(
        "{path} is not installed; eval \"$(scripts/viewers.sh)\" does it"
    ));
    None
}

/// A folder of its own for a test.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs a program of others in a folder; `None`, visibly, when it is not installed.
pub(crate) fn run(program: &str, folder: &Path, args: &[&str]) -> Option<Output> {
    let node_modules = viewers().join("node_modules");
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .env("HOME", folder)
        .env("PPROF_TMPDIR", folder)
        .env("NODE_PATH", node_modules)
        .env("PYTHONPATH", viewers().join("python"))
        .env_remove("GOFLAGS")
        .output();
    output
        .inspect_err(|error| skip(&format!("{program} does not start: {error}")))
        .ok()
}

/// What a program of others printed, which has to succeed.
pub(crate) fn text(program: &str, folder: &Path, args: &[&str]) -> Option<String> {
    let output = run(program, folder, args)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {errors}");
    Some(String::from_utf8(output.stdout).unwrap())
}
