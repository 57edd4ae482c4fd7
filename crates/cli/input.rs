//! Profiles that people name, in whatever format they are.

use std::fs::File;
use std::io::{self, Read};
use std::mem::ManuallyDrop;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use hotproof_formats::import::{self, ImportError, Limits};
use hotproof_formats::native;
use hotproof_profile::Profile;
use hotproof_profiler::replay::{self, Recording, ReplayError, SampleRows};
use hotproof_symbolizer::{Detail, Symbolizer};

use crate::failure::{Code, Failure};
use crate::output;

/// Standard input holds one profile.
static STANDARD_INPUT_IS_READ: AtomicBool = AtomicBool::new(false);

/// What is wanted of a profile.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// The event whose samples are read; `None` takes the only or the first one.
    pub(crate) event: Option<&'a str>,
    /// What is a row of the samples, where the reader can choose.
    pub(crate) rows: SampleRows,
    /// Which addresses stay apart, where rows are sums.
    pub(crate) addresses: Addresses,
    /// What is to be known of addresses that nobody has named yet.
    pub(crate) detail: Detail,
}

/// Which addresses stay apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Addresses {
    /// All.
    #[default]
    Each,
    /// Those of different names.
    OfNames,
}

/// Names the recordings that one command reads: what it has named of one, it does not look up again
/// for the next. It is never dropped: the command ends soon, and the system takes the memory back
/// faster than text by text.
#[derive(Default)]
pub(crate) struct Namer(Option<ManuallyDrop<Symbolizer>>);

impl Namer {
    /// The symbolizer; all who ask one namer want the same detail.
    fn symbolizer(&mut self, detail: Detail) -> &mut Symbolizer {
        let new = || ManuallyDrop::new(crate::cache::symbolizer().with_detail(detail));
        self.0.get_or_insert_with(new)
    }
}

/// The profile in a file, or on standard input when the path is `-`. What the format could not
/// tell is said on standard error.
pub(crate) fn profile(
    path: &Path,
    wanted: &Wanted<'_>,
    namer: &mut Namer,
) -> Result<Profile, Failure> {
    if path == Path::new("-") {
        if STANDARD_INPUT_IS_READ.swap(true, Ordering::Relaxed) {
            let failure = Failure::new(Code::Usage, "standard input is named twice");
            return Err(failure.remedy("give one of them as a file"));
        }
        let bytes = read_all(io::stdin().lock());
        return from_bytes(
            "standard input",
            &bytes.map_err(|error| unreadable("standard input", &error))?,
            wanted,
            namer,
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
        return replayed(&name, wanted, namer, Recording::File(&file));
    }
    from_bytes(
        &name,
        &read_all(file).map_err(|error| unreadable(&name, &error))?,
        wanted,
        namer,
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

fn from_bytes(
    name: &str,
    bytes: &[u8],
    wanted: &Wanted<'_>,
    namer: &mut Namer,
) -> Result<Profile, Failure> {
    let limits = Limits::default();
    let bytes = import::unpack(bytes, limits).map_err(|error| cannot_import(name, &error))?;
    if replay::looks_like(&bytes) {
        return replayed(name, wanted, namer, Recording::Bytes(&bytes));
    }
    let imported = import::read_plain(&bytes, limits);
    let imported = imported.map_err(|error| cannot_import(name, &error))?;
    for sentence in &imported.dropped {
        output::aside(&format!("{name}: {sentence}"));
    }
    check_event(name, &imported.profile, wanted)?;
    let mut profile = imported.profile;
    if profile
        .meta
        .notes
        .last()
        .is_some_and(|note| note == native::UNFINISHED)
    {
        // It holds addresses alone.
        crate::cache::name(&mut crate::cache::symbolizer(), &mut profile);
    }
    Ok(profile)
}

/// Formats other than perf's hold one event.
fn check_event(name: &str, profile: &Profile, wanted: &Wanted<'_>) -> Result<(), Failure> {
    let held = match profile.meta.event.as_str() {
        "" => "no event that it names",
        event => event,
    };
    match wanted.event {
        Some(event) if event != held => {
            let what = format!("{name} has no samples of {event}: it holds {held}");
            Err(Failure::new(Code::Usage, what).remedy("leave out --event"))
        }
        _ => Ok(()),
    }
}

/// A recording of perf, named here: it holds addresses alone.
fn replayed(
    name: &str,
    wanted: &Wanted<'_>,
    namer: &mut Namer,
    recording: Recording<'_>,
) -> Result<Profile, Failure> {
    let options = replay::Options {
        event: wanted.event.map(str::to_owned),
        rows: wanted.rows,
        ..replay::Options::default()
    };
    let symbolizer = namer.symbolizer(wanted.detail);
    let names = wanted.addresses == Addresses::OfNames && wanted.rows == SampleRows::Summed;
    let imported = match recording {
        _ if names => {
            let mut alike =
                |profile: &Profile, image, address| symbolizer.alike(profile, image, address);
            replay::read_names(recording, &options, &mut alike)
        }
        Recording::Bytes(bytes) => replay::read(bytes, &options),
        Recording::File(file) => replay::read_file(file, &options),
    };
    let imported = imported.map_err(|error: ReplayError| cannot_read(name, &error))?;
    let mut profile = imported.profile;
    if wanted.event.is_none() && !imported.counted.other_events.is_empty() {
        let others = imported.counted.other_events.iter();
        let others: Vec<String> = others
            .map(|(event, samples)| format!("--event {event} ({samples} samples)"))
            .collect();
        output::aside(&format!(
            "{name}: this is {}; the recording has also {}",
            profile.meta.event,
            others.join(", ")
        ));
    }
    crate::cache::name(symbolizer, &mut profile);
    Ok(profile)
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    let failure = Failure::new(Code::Usage, format!("cannot read {name}: {error}"));
    let part = format!("{name}.part");
    if error.kind() == io::ErrorKind::NotFound && Path::new(&part).exists() {
        return failure.remedy(format!(
            "a recording that goes on, or was killed, has left {part}: read that"
        ));
    }
    failure.remedy("name a profile, as `hotproof record` writes it (profile.hotproof)")
}

fn cannot_import(name: &str, error: &ImportError) -> Failure {
    let failure = cannot_read(name, error);
    match error {
        ImportError::NotRecognised { found } => failure.remedy(found.remedy()),
        ImportError::Damaged { .. } => {
            failure.remedy("write it again with the tool that made it; a file that its own viewer reads is worth a bug report here")
        }
        _ => failure,
    }
}

fn cannot_read(name: &str, error: &dyn std::error::Error) -> Failure {
    Failure::new(Code::Usage, format!("cannot read {name}: {error}"))
}
