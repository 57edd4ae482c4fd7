//! `hotproof cache`: what names are kept on disk; and the symbolizer that keeps them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use hotproof_profile::Profile;
use hotproof_report::cache as shown;
use hotproof_symbolizer::{Cache, CacheEntry, DebugPlaces, Debuginfod, Summary, Symbolizer};

use crate::failure::{Code, Exit, Failure, Outcome};
use crate::{output, terminal};

/// Show or clear the names that were kept from earlier runs
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
    let cleared = cleared.map(|cleared| (cleared.entries, cleared.size_bytes));
    let entries = cache.entries().map_err(|error| failed("read", error))?;
    let facts = shown::Facts {
        folder: cache.folder().to_string_lossy().into_owned(),
        limit_bytes: cache.limit_bytes(),
        entries: entries.into_iter().map(entry).collect(),
    };
    let text = if arguments.json {
        shown::json(Some(&facts), cleared)
    } else {
        shown::table(&facts, cleared, terminal::width())
    };
    output::print(&text)?;
    Ok(Exit::SUCCESS)
}

fn entry(entry: CacheEntry) -> shown::Entry {
    let age = entry.used.elapsed().unwrap_or_default();
    shown::Entry {
        content: entry.content.map(|content| shown::Content {
            image: content.image,
            build_id: content.build_id,
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
