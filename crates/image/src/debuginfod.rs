//! Debug files from the servers that `DEBUGINFOD_URLS` names.
//!
//! Protocol, variables and cache are those of elfutils' client library (`debuginfod(8)`,
//! `debuginfod_find_debuginfo(3)`), so that both share what was fetched. A server is asked for
//! `/buildid/HEX/debuginfo`. Nothing is fetched unless a caller asks for it, what comes back must
//! have the build-id that was asked for, and size and time are bounded, for each file and in all.
//!
//! Servers are asked by http and https. A server must show a certificate that the system trusts,
//! or that the file in `SSL_CERT_FILE` or the folder in `SSL_CERT_DIR` does.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::file::ImageFile;
use crate::trust::Trust;

/// No file is fetched that is larger, unless `DEBUGINFOD_MAXSIZE` says less: debug files of the
/// largest programs take some gigabytes.
const LARGEST_FILE_BYTES: u64 = 4 << 30;
/// For one file, unless `DEBUGINFOD_TIMEOUT` says otherwise, whose default it is.
const FILE_TIME: Duration = Duration::from_secs(90);
/// For all files together.
const ALL_TIME: Duration = Duration::from_secs(300);
/// A file that no server has is not asked for again for so long, as the client library does it.
const MISS_TIME: Duration = Duration::from_secs(600);

/// Servers, the cache, and what may be spent.
#[derive(Debug)]
pub struct Debuginfod {
    servers: Vec<String>,
    cache: PathBuf,
    largest_bytes: u64,
    file_time: Duration,
    trust: Trust,
    /// What is left of the time for all files.
    left: Mutex<Duration>,
}

/// A debug file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum DebuginfodError {
    /// A server did not answer as it should.
    #[error("{url}: {detail}")]
    Server {
        /// What was asked for.
        url: String,
        /// What came back, and what was expected.
        detail: String,
    },
    /// The answer could not be kept.
    #[error("cannot write {}: {source}", path.display())]
    Cache {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Earlier files took all the time.
    #[error("{} s were spent on debug files, which is all that is spent in one run", ALL_TIME.as_secs())]
    OutOfTime,
}

impl Debuginfod {
    /// What the environment asks for; `None` when `DEBUGINFOD_URLS` names no server.
    ///
    /// `DEBUGINFOD_TIMEOUT` (seconds), `DEBUGINFOD_MAXSIZE` (bytes) and `DEBUGINFOD_CACHE_PATH`
    /// count too. Without the last, the cache is `debuginfod_client` in `XDG_CACHE_HOME` or in
    /// `~/.cache`. `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's certificates.
    pub fn from_environment() -> Option<Debuginfod> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// As [`Debuginfod::from_environment`], with the variables that `value_of` knows.
    pub fn from_variables(value_of: impl Fn(&str) -> Option<String>) -> Option<Debuginfod> {
        let value_of = |name| value_of(name).filter(|value| !value.trim().is_empty());
        let urls = value_of("DEBUGINFOD_URLS")?;
        let servers = urls.split_whitespace();
        let servers: Vec<String> = servers
            .map(|url| url.trim_end_matches('/').to_owned())
            .collect();
        let number = |name| value_of(name)?.trim().parse::<u64>().ok();
        let seconds = number("DEBUGINFOD_TIMEOUT").filter(|&seconds| seconds > 0);
        let most = number("DEBUGINFOD_MAXSIZE").filter(|&bytes| bytes > 0);
        Some(Debuginfod {
            servers,
            cache: cache_folder(&value_of)?,
            largest_bytes: most.unwrap_or(u64::MAX).min(LARGEST_FILE_BYTES),
            file_time: seconds.map_or(FILE_TIME, Duration::from_secs).min(ALL_TIME),
            trust: Trust::from_variables(value_of),
            left: Mutex::new(ALL_TIME),
        })
    }

    /// The servers, in the order they are asked.
    pub fn servers(&self) -> &[String] {
        &self.servers
    }

    /// Where the debug file of a build is kept once it was fetched.
    pub fn cached_path(&self, build_id: &[u8]) -> PathBuf {
        let hex: String = build_id.iter().map(|byte| format!("{byte:02x}")).collect();
        self.cache.join(hex).join("debuginfo")
    }

    /// The debug file of a build, from the cache or from the first server that has it; `None` when
    /// no server has it.
    ///
    /// # Errors
    /// When no server gives it and one of them failed, when what came back belongs to another
    /// build, when it cannot be kept, and when all time is spent.
    pub fn fetch(&self, build_id: &[u8]) -> Result<Option<ImageFile>, DebuginfodError> {
        // Shorter ones would name the cache's own folder, or half of all builds.
        if build_id.len() < 4 {
            return Ok(None);
        }
        let kept = self.cached_path(build_id);
        match self.cached(&kept, build_id) {
            Cached::File(file) => return Ok(Some(*file)),
            Cached::Miss => return Ok(None),
            Cached::No => {}
        }
        let started = Instant::now();
        let result = self.ask_servers(build_id, &kept, started);
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_sub(started.elapsed());
        result
    }

    fn ask_servers(
        &self,
        build_id: &[u8],
        kept: &Path,
        started: Instant,
    ) -> Result<Option<ImageFile>, DebuginfodError> {
        let left = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failed = None;
        for server in &self.servers {
            let time = left.min(self.file_time).saturating_sub(started.elapsed());
            if time.is_zero() {
                return Err(failed.unwrap_or(DebuginfodError::OutOfTime));
            }
            match self.ask(server, build_id, kept, time) {
                Ok(Some(file)) => return Ok(Some(file)),
                Ok(None) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => {
                self.remember_miss(kept)?;
                Ok(None)
            }
        }
    }

    /// Asks one server; `None` when it does not have the file.
    fn ask(
        &self,
        server: &str,
        build_id: &[u8],
        kept: &Path,
        time: Duration,
    ) -> Result<Option<ImageFile>, DebuginfodError> {
        let hex: String = build_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let url = format!("{server}/buildid/{hex}/debuginfo");
        let failed = |detail: String| DebuginfodError::Server {
            url: url.clone(),
            detail,
        };
        let is_secure = server.starts_with("https://");
        if !is_secure && !server.starts_with("http://") {
            return Err(failed("expected http:// or https:// in front".to_owned()));
        }
        let agent = ureq::Agent::config_builder()
            .tls_config(self.trust.settings(is_secure).map_err(failed)?)
            // A server can send on to another one, but not from https to plain http.
            .https_only(is_secure)
            .timeout_global(Some(time))
            .max_redirects(3)
            .http_status_as_error(false)
            .build()
            .new_agent();
        let answer = agent.get(&url).call();
        let mut answer = answer.map_err(|error| failed(error.to_string()))?;
        match answer.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            other => return Err(failed(format!("status {other}, expected 200 or 404"))),
        }
        let body = answer.body_mut().with_config().limit(u64::MAX).reader();
        let written = self.write(body, kept)?;
        let temporary = written.map_err(failed)?;
        let file = ImageFile::open(temporary.path()).map_err(|error| failed(error.to_string()))?;
        if file.build_id() != Some(build_id) {
            return Err(failed(
                "it has another build-id than was asked for".to_owned(),
            ));
        }
        let cache = |source| DebuginfodError::Cache {
            path: kept.to_owned(),
            source,
        };
        temporary
            .persist(kept)
            .map_err(|error| cache(error.error))?;
        ImageFile::open(kept)
            .map(Some)
            .map_err(|error| failed(error.to_string()))
    }

    /// Writes an answer beside its place in the cache. The inner error is the server's.
    fn write(
        &self,
        body: impl Read,
        kept: &Path,
    ) -> Result<Result<tempfile::NamedTempFile, String>, DebuginfodError> {
        let cache = |source| DebuginfodError::Cache {
            path: kept.to_owned(),
            source,
        };
        let folder = kept.parent().unwrap_or(&self.cache);
        std::fs::create_dir_all(folder).map_err(cache)?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(cache)?;
        let mut body = body.take(self.largest_bytes.saturating_add(1));
        let (mut buffer, mut read) = (vec![0; 1 << 16], 0);
        loop {
            let count = match body.read(&mut buffer) {
                Ok(0) => return Ok(Ok(file)),
                Ok(count) => count,
                Err(error) => return Ok(Err(format!("after {read} bytes: {error}"))),
            };
            read += count as u64;
            if read > self.largest_bytes {
                let most = self.largest_bytes;
                return Ok(Err(format!(
                    "it has more than {most} bytes, which is the limit"
                )));
            }
            file.write_all(&buffer[..count]).map_err(cache)?;
        }
    }

    fn cached(&self, kept: &Path, build_id: &[u8]) -> Cached {
        let Ok(facts) = std::fs::metadata(kept) else {
            return Cached::No;
        };
        if facts.len() == 0 {
            let age = facts
                .modified()
                .map(|time| SystemTime::now().duration_since(time));
            let is_fresh = matches!(age, Ok(Ok(age)) if age < MISS_TIME);
            return if is_fresh { Cached::Miss } else { Cached::No };
        }
        match ImageFile::open(kept) {
            Ok(file) if file.build_id() == Some(build_id) => Cached::File(Box::new(file)),
            _ => Cached::No,
        }
    }

    /// An empty file says that no server had it, as in the client library.
    fn remember_miss(&self, kept: &Path) -> Result<(), DebuginfodError> {
        let folder = kept.parent().unwrap_or(&self.cache);
        // Another process may have mapped what lies there by now, so it is not truncated.
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| tempfile::NamedTempFile::new_in(folder))
            .and_then(|file| Ok(file.persist(kept)?));
        written.map(drop).map_err(|source| DebuginfodError::Cache {
            path: kept.to_owned(),
            source,
        })
    }
}

/// What the cache has.
enum Cached {
    File(Box<ImageFile>),
    /// No server had it a short while ago.
    Miss,
    No,
}

fn cache_folder(value_of: &impl Fn(&'static str) -> Option<String>) -> Option<PathBuf> {
    if let Some(path) = value_of("DEBUGINFOD_CACHE_PATH") {
        return Some(PathBuf::from(path));
    }
    let caches = value_of("XDG_CACHE_HOME").map(PathBuf::from);
    let caches = caches.or_else(|| Some(PathBuf::from(value_of("HOME")?).join(".cache")));
    Some(caches?.join("debuginfod_client"))
}
