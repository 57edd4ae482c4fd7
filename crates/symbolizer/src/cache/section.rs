//! Decompressed sections of debug information, mapped when they are used again.
//!
//! Distributions compress the sections of their debug files. To name one new address of the C
//! library, 9 MB have to be decompressed, which takes longer than all the rest of naming. What was
//! decompressed once is kept like names are: whole or not at all, under the file's build-id, with a
//! checksum, and never used for a file that looks different from the one it came from.

use std::borrow::Cow;
use std::ops::Deref;
use std::time::SystemTime;

use hotproof_image::{ImageError, ImageFile, PackedSize};

use super::frame::{Head, Opened};
use super::stamp::{self, Identity};
use super::{Cache, CacheError, SECTION_MARK};

/// A smaller section is decompressed sooner than a file is opened, mapped and checked.
const SMALLEST_BYTES: u64 = 64 << 10;
/// A section may not take more than this part of the cache's limit.
const LARGEST_PART: u64 = 8;

/// The contents of a section.
#[derive(Debug)]
pub(crate) enum SectionBytes<'a> {
    /// Those of the file, or decompressed from it.
    File(Cow<'a, [u8]>),
    /// Those of an entry of the cache.
    Kept(Opened),
}

/// Reads sections, and keeps those that had to be decompressed.
#[derive(Debug)]
pub(crate) struct SectionStore {
    cache: Option<Cache>,
    /// Why one could not be kept.
    error: Option<CacheError>,
}

/// The place of one section in a cache.
struct Place<'c> {
    cache: &'c Cache,
    name: String,
    head: Head,
    /// The size of the section.
    whole_bytes: u64,
}

impl Default for SectionBytes<'_> {
    fn default() -> Self {
        SectionBytes::File(Cow::Borrowed(&[]))
    }
}

impl Deref for SectionBytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            SectionBytes::File(bytes) => bytes,
            SectionBytes::Kept(opened) => opened.body(),
        }
    }
}

impl SectionStore {
    /// Without a cache, everything is read from the file.
    pub(crate) fn new(cache: Option<Cache>) -> SectionStore {
        SectionStore { cache, error: None }
    }

    /// A section's contents; empty when there is none of this name.
    pub(crate) fn load<'a>(
        &mut self,
        file: &'a ImageFile,
        name: &str,
    ) -> Result<SectionBytes<'a>, ImageError> {
        let place = self.cache.as_ref();
        let place = place.and_then(|cache| Place::of(cache, file, name, SystemTime::now()));
        if let Some(kept) = place.as_ref().and_then(Place::read) {
            return Ok(SectionBytes::Kept(kept));
        }
        let section = file.section(name)?;
        let data = section.map_or(Cow::Borrowed(&[][..]), |section| section.data);
        if let (Some(place), Cow::Owned(whole)) = (place, &data)
            && let Err(error) = place.write(whole)
        {
            self.error = Some(error);
        }
        Ok(SectionBytes::File(data))
    }

    /// Why a section could not be kept, once.
    pub(crate) fn take_error(&mut self) -> Option<CacheError> {
        self.error.take()
    }
}

impl<'c> Place<'c> {
    /// `None` for what is not worth it, or too large, or nothing tells apart from other builds.
    fn of(cache: &'c Cache, file: &ImageFile, section: &str, now: SystemTime) -> Option<Self> {
        let PackedSize { packed, whole } = file.packed_section(section)?;
        if !(SMALLEST_BYTES..cache.limit_bytes() / LARGEST_PART).contains(&whole) {
            return None;
        }
        let facts = file.metadata()?;
        let looks = stamp::identity_of(&facts);
        let identity = match file.build_id() {
            Some(id) if !id.is_empty() => Identity::Build(id.to_vec()),
            _ if stamp::is_settled(&facts, now) => Identity::File(looks),
            _ => return None,
        };
        let mut head = Head::of_image(&file.path().to_string_lossy(), identity.build_id());
        head.section = section.as_bytes().to_vec();
        head.condition = format!("{section} {packed} {whole} {looks:?}").into_bytes();
        Some(Place {
            cache,
            name: format!("{}{SECTION_MARK}", identity.entry_name(&head.condition)),
            head,
            whole_bytes: whole,
        })
    }

    fn read(&self) -> Option<Opened> {
        let opened = self.cache.read(&self.name)?;
        let is_it = opened.head.condition == self.head.condition
            && opened.body().len() as u64 == self.whole_bytes;
        is_it.then_some(opened)
    }

    fn write(&self, whole: &[u8]) -> Result<(), CacheError> {
        self.cache.write(&self.name, &self.head, whole)
    }
}
