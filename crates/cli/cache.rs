//! `hotproof cache`: what names and builds are kept on disk; and the symbolizer that keeps them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use hotproof_lab::{KeptBuild, builds_limit_bytes, clear_builds, kept_builds};
use hotproof_profile::Profile;
use hotproof_report::cache as shown;
use hotproof_symbolizer::{
    Cache, CacheEntry, Cleared, DebugPlaces, Debuginfod, Summary, Symbolizer,
};

use crate::compare::failure;
use crate::failure::{Code, Exit, Failure, Outcome};
use crate::{output, terminal};

/// Show or clear what was kept from earlier runs: names, unpacked debug sections, builds
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof cache             where it is, how large, and what is in it
  hotproof cache --clear     remove all of it
  HOTPROOF_CACHE=off hotproof report perf.data     do without it this once

The cache is in HOTPROOF_CACHE, or in hotproof below XDG_CACHE_HOME or ~/.cache. It is never
needed: what is not in it is looked up again.")]
pub(crate) struct CacheArguments {
    /// Remove all entries
    #[arg(long)]
    clear: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &CacheArguments) -> Outcome {
    let Some(cache) = Cache::from_environment() else {
        let text = if arguments.json {
            shown::json(None, None)
        } else {
            "no cache: HOTPROOF_CACHE is off, or there is no home folder\n".to_owned()
        };
        output::print(&text)?;
        return Ok(Exit::SUCCESS);
    };
    let failed = |what: &str, error: std::io::Error| {
        let what = format!("cannot {what} {}: {error}", cache.folder().display());
        Failure::new(Code::Failure, what).remedy("set HOTPROOF_CACHE to another folder, or to off")
    };
    let cleared = match arguments.clear {
        true => Some(cache.clear().map_err(|error| failed("clear", error))?),
        false => None,
    };
    let cleared = match cleared {
        Some(names) => Some(cleared_with(names, cache.folder())?),
        None => None,
    };
    let entries = cache.entries().map_err(|error| failed("read", error))?;
    let facts = shown::Facts {
        folder: cache.folder().to_string_lossy().into_owned(),
        limit_bytes: cache.limit_bytes(),
        entries: entries.into_iter().map(entry).collect(),
        builds: shown::Builds {
            limit_bytes: builds_limit_bytes(),
            entries: kept_builds(cache.folder()).into_iter().map(build).collect(),
        },
    };
    let text = if arguments.json {
        shown::json(Some(&facts), cleared)
    } else {
        shown::table(&facts, cleared, terminal::width())
    };
    output::print(&text)?;
    Ok(Exit::SUCCESS)
}

/// Clears the builds too.
fn cleared_with(names: Cleared, folder: &Path) -> Result<shown::Cleared, Failure> {
    let builds = clear_builds(folder).map_err(|error| failure(&error))?;
    Ok(shown::Cleared {
        entries: names.entries,
        size_bytes: names.size_bytes,
        builds: builds.builds,
        builds_size_bytes: builds.size_bytes,
        builds_in_use: builds.in_use,
    })
}

fn build(build: KeptBuild) -> shown::Build {
    let name = build.folder.file_name().unwrap_or_default();
    let program = build
        .program
        .map(|path| path.to_string_lossy().into_owned());
    shown::Build {
        name: name.to_string_lossy().into_owned(),
        program,
        build_s: build.build_s,
        size_bytes: build.size_bytes,
        unused_s: build.used.elapsed().unwrap_or_default().as_secs(),
    }
}

fn entry(entry: CacheEntry) -> shown::Entry {
    let age = entry.used.elapsed().unwrap_or_default();
    shown::Entry {
        content: entry.content.map(|content| shown::Content {
            image: content.image,
            build_id: content.build_id,
            section: content.section,
            names: content.names,
        }),
        size_bytes: entry.size_bytes,
        unused_s: age.as_secs(),
    }
}

/// A symbolizer that keeps names between runs, unless the environment says otherwise.
pub(crate) fn symbolizer() -> Symbolizer {
    let symbolizer = Symbolizer::with_debug_places(debug_places());
    match Cache::from_environment() {
        Some(cache) => symbolizer.with_cache(cache),
        None => symbolizer,
    }
}

/// Whether `--debuginfod` was given: heeded wherever symbols are read.
static ASKS_SERVERS: AtomicBool = AtomicBool::new(false);

/// Has servers asked for debug files from now on; they are those of `DEBUGINFOD_URLS`.
pub(crate) fn ask_servers() {
    if Debuginfod::from_environment().is_none() {
        output::say("  note     --debuginfod asks nobody: DEBUGINFOD_URLS names no server");
    }
    ASKS_SERVERS.store(true, Ordering::Relaxed);
}

/// Where debug files are looked for.
pub(crate) fn debug_places() -> DebugPlaces {
    let asks = ASKS_SERVERS.load(Ordering::Relaxed);
    let servers = asks.then(Debuginfod::from_environment).flatten();
    DebugPlaces {
        debuginfod: servers.map(Arc::new),
        ..DebugPlaces::default()
    }
}

/// Names a profile, and says when the names cannot be kept.
pub(crate) fn name(symbolizer: &mut Symbolizer, profile: &mut Profile) -> Summary {
    let summary = symbolizer.symbolize(profile);
    if let Some(unkept) = &summary.unkept {
        output::aside(&format!("  note     {unkept}"));
    }
    summary
}

/// Where hotproof keeps what it can make again; `None` where nothing is to be kept.
pub(crate) fn folder() -> Option<PathBuf> {
    Cache::from_environment().map(|cache| cache.folder().to_owned())
}
