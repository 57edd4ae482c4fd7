//! The Firefox Profiler's JSON as a profile.

mod document;
mod samples;
mod view;

use hotproof_profile::*;

use super::{OLDEST, VERSION};
use crate::import::{Builder, Format, ImportError, Limits, image_kind};
use crate::json::{self, Number, bytes_of_hex};
use document::{File, Head, HeadMeta, Lib, MetaRow, ThreadRow};
use samples::{Columns, add_thread};
use view::View;

fn damaged(path: String, what: impl Into<String>) -> ImportError {
    json::damaged(Format::Firefox, path, what)
}

/// Reads a file; also says what the profile cannot carry.
///
/// # Errors
/// [`ImportError::Damaged`] with the place of what is no JSON, of a version that is not read, is
/// missing, or refers to something that does not exist.
pub(crate) fn read(bytes: &[u8], limits: Limits) -> Result<(Profile, Vec<String>), ImportError> {
    let head: Head = json::parse(Format::Firefox, bytes)?;
    check_version(&head.meta)?;
    // A thread has at least its samples in braces of their own.
    let row_bytes = size_of::<ThreadRow>() / 2;
    let file: File = json::parse_rows(Format::Firefox, bytes, row_bytes, limits)?;
    let version = file.meta.preprocessed_profile_version.unwrap_or(0);
    let columns = Columns::of(&file)?;
    let mut builder = Builder::new(limits, columns.weights.clone());
    let images = add_images(&mut builder, file.libs.as_deref().unwrap_or_default())?;
    let mut dropped = Vec::new();
    let markers = file
        .threads
        .iter()
        .filter_map(|thread| thread.markers.as_ref()?.length);
    let markers = markers.fold(0u64, u64::saturating_add);
    if markers > 0 {
        dropped.push(format!("{markers} markers"));
    }
    let shared = file.shared.as_ref();
    let mut resolved: Option<Vec<StackId>> = None;
    let mut rounded = 0;
    for (index, thread) in file.threads.iter().enumerate() {
        let tables = View::of(version, shared, thread, index);
        let own;
        let stacks = if tables.is_shared {
            if resolved.is_none() {
                resolved = Some(tables.stacks(&mut builder, &images)?);
            }
            resolved.as_deref().unwrap_or_default()
        } else {
            own = tables.stacks(&mut builder, &images)?;
            &own
        };
        rounded += add_thread(&mut builder, &columns, thread, index, stacks)?;
    }
    if rounded > 0 {
        dropped.push(format!(
            "fractions of {rounded} weights, which were rounded"
        ));
    }
    let mut profile = builder.finish()?;
    add_meta(&mut profile, &file.meta);
    Ok((profile, dropped))
}

fn check_version(meta: &HeadMeta) -> Result<(), ImportError> {
    let place = "meta.preprocessedProfileVersion";
    let Some(version) = meta.preprocessed_profile_version else {
        let what = match meta.version {
            Some(version) => format!(
                "this is an unprocessed Gecko profile (version {version}); open it in the \
                 Firefox Profiler and save it there"
            ),
            None => "there is no version; the first versions of the format are not read".to_owned(),
        };
        return Err(damaged(place.to_owned(), what));
    };
    let whole = version.index().unwrap_or(0);
    if (OLDEST..=VERSION).contains(&whole) {
        return Ok(());
    }
    let what = format!(
        "version {version} of the processed format is not read, only {OLDEST} to {VERSION}; \
         another version of the Firefox Profiler can save it anew"
    );
    Err(damaged(place.to_owned(), what))
}

fn add_images(builder: &mut Builder, libs: &[Lib]) -> Result<Vec<ImageId>, ImportError> {
    let mut images = Vec::new();
    for lib in libs {
        let path = lib.path.as_deref().filter(|path| !path.is_empty());
        let path = path.or(lib.name.as_deref()).unwrap_or("[unknown]");
        let build_id = lib
            .code_id
            .as_deref()
            .and_then(bytes_of_hex)
            .unwrap_or_default();
        let text = builder.text(path)?;
        builder.budget.take(size_of::<Image>() + build_id.len())?;
        images.push(builder.profile.images.push(Image {
            path: text,
            build_id,
            kind: image_kind(path),
        }));
    }
    Ok(images)
}

fn add_meta(profile: &mut Profile, meta: &MetaRow) {
    let is_ours = meta
        .imported_from
        .as_deref()
        .is_some_and(|from| from.starts_with("hotproof"));
    let product = meta
        .product
        .as_ref()
        .filter(|product| !(is_ours && *product == "profile"));
    profile.meta.command.extend(product.cloned());
    let start = meta.start_time.and_then(|start| start.scaled(1_000_000));
    let start = start.and_then(|start| u64::try_from(start.value).ok());
    profile.meta.started_unix_ns = start.filter(|&start| start > 0);
    let interval = match meta.interval {
        Some(Number::Whole(interval)) => interval as f64,
        Some(Number::Real(interval)) => interval,
        None => 0.0,
    };
    let rate = (1000.0 / interval).round();
    let is_rate = interval > 0.0 && (1.0..1e9).contains(&rate);
    profile.meta.rate_hz = is_rate.then_some(rate as u64);
}
