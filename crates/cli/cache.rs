//! Where hotproof keeps what it can make again.

use std::path::PathBuf;

/// `HOTPROOF_CACHE`, else `hotproof` in the user's folder for caches; `None` where there is none.
pub(crate) fn folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = set("HOTPROOF_CACHE") {
        return Some(folder.into());
    }
    let caches = match set("XDG_CACHE_HOME").map(PathBuf::from) {
        Some(folder) if folder.is_absolute() => folder,
        _ => std::env::home_dir()?.join(".cache"),
    };
    Some(caches.join("hotproof"))
}
