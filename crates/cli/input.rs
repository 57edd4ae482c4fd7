//! Profiles that people name.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use hotproof_profile::Profile;

use crate::failure::{Code, Failure};

/// The profile in a file, or on standard input when the path is `-`.
pub(crate) fn profile(path: &Path) -> Result<Profile, Failure> {
    if path == Path::new("-") {
        return read("standard input", io::stdin().lock());
    }
    let shown = path.display().to_string();
    let open = |error: io::Error| {
        let failure = Failure::new(Code::Usage, format!("cannot open {shown}: {error}"));
        failure.remedy("name a profile, as `hotproof record` writes it (profile.hotproof)")
    };
    if path.is_dir() {
        return Err(open(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    read(&shown, File::open(path).map_err(open)?)
}

fn read(name: &str, source: impl Read) -> Result<Profile, Failure> {
    hotproof_formats::native::read(BufReader::new(source))
        .map_err(|error| Failure::new(Code::Usage, format!("cannot read {name}: {error}")))
}
