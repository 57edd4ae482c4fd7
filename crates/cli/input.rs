//! Profiles that people name, in whatever format they are.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use hotproof_formats::import::{self, ImportError, Limits};
use hotproof_profile::Profile;
use hotproof_profiler::replay::{self, ReplayError};
use hotproof_symbolizer::Symbolizer;

use crate::failure::{Code, Failure};
use crate::output;

/// The profile in a file, or on standard input when the path is `-`. What the format could not
/// tell is said on standard error.
pub(crate) fn profile(path: &Path) -> Result<Profile, Failure> {
    if path == Path::new("-") {
        let bytes = read_all(io::stdin().lock());
        return from_bytes(
            "standard input",
            &bytes.map_err(|error| unreadable("standard input", &error))?,
        );
    }
    let name = path.display().to_string();
    if path.is_dir() {
        return Err(unreadable(&name, &io::ErrorKind::IsADirectory.into()));
    }
    let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
    let mut first = [0; 8];
    // A pipe has no first bytes to look at in passing; it is read like any other file below.
    let looked = file.read_at(&mut first, 0).unwrap_or(0);
    if replay::looks_like(&first[..looked]) {
        return replayed(&name, replay::read_file(&file, &replay::Options::default()));
    }
    from_bytes(
        &name,
        &read_all(file).map_err(|error| unreadable(&name, &error))?,
    )
}

/// Everything, but not more than a reader accepts.
fn read_all(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source
        .take(Limits::default().input_bytes + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn from_bytes(name: &str, bytes: &[u8]) -> Result<Profile, Failure> {
    if replay::looks_like(bytes) {
        return replayed(name, replay::read(bytes, &replay::Options::default()));
    }
    let imported = import::read(bytes, Limits::default());
    let imported = imported.map_err(|error: ImportError| cannot_read(name, &error))?;
    for sentence in &imported.dropped {
        output::aside(&format!("{name}: {sentence}"));
    }
    Ok(imported.profile)
}

/// A recording of perf, named here: it holds addresses alone.
fn replayed(name: &str, read: Result<replay::Imported, ReplayError>) -> Result<Profile, Failure> {
    let mut profile = read.map_err(|error| cannot_read(name, &error))?.profile;
    Symbolizer::new().symbolize(&mut profile);
    Ok(profile)
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    let failure = Failure::new(Code::Usage, format!("cannot read {name}: {error}"));
    failure.remedy("name a profile, as `hotproof record` writes it (profile.hotproof)")
}

fn cannot_read(name: &str, error: &dyn std::error::Error) -> Failure {
    Failure::new(Code::Usage, format!("cannot read {name}: {error}"))
}
