//! Which addresses have the same names, as far as the cache on disk can tell.

use hotproof_profile::{Id, ImageId, ImageKind, Profile};
use rustc_hash::FxHashMap;

use crate::kernel::KernelNames;
use crate::recall::Recall;
use crate::symbolizer::{ImageKey, ImageState, Symbolizer, key};

/// What is known of the addresses of one image row.
pub(crate) enum Alike {
    /// Nothing.
    Unknown,
    /// They are the kernel's.
    Kernel,
    /// The cache has answers.
    Kept(Box<KeptImage>),
}

/// An image that the cache has answers for.
pub(crate) struct KeptImage {
    key: ImageKey,
    recall: Recall,
    /// The first address that was seen of each frame, by row of the entry; 0 for no name.
    by_frame: FxHashMap<u32, u64>,
    /// The first address that was seen of each chain of functions, innermost first.
    by_functions: FxHashMap<Vec<u32>, u64>,
}

impl Symbolizer {
    /// An address of an image that has the names of this one, those of inlined functions included,
    /// and stands for all whose names the cache keeps as one: what is seen first. Lines may differ.
    /// `None` when the cache on disk does not know the address. An address lies in an instruction:
    /// one back from a return address.
    ///
    /// It is for one profile, until that is given to [`Symbolizer::symbolize`].
    pub fn alike(&mut self, profile: &Profile, image: ImageId, address: u64) -> Option<u64> {
        let slot = image.index();
        while self.alike.len() <= slot {
            self.alike.push(None);
        }
        if self.alike[slot].is_none() {
            self.alike[slot] = Some(self.look_for(profile, image));
        }
        match self.alike[slot].as_mut()? {
            Alike::Unknown => None,
            Alike::Kernel => self.kernel.as_ref()?.kept_start(address),
            Alike::Kept(kept) => kept.same_names(address),
        }
    }

    fn look_for(&mut self, profile: &Profile, image: ImageId) -> Alike {
        let row = &profile.images[image];
        let path = profile.strings[row.path].to_owned();
        let key = key(path, row.build_id.clone(), row.kind);
        match key.kind {
            ImageKind::Kernel => {
                let cache = self.cache.as_ref();
                self.kernel.get_or_insert_with(|| KernelNames::new(cache));
                Alike::Kernel
            }
            ImageKind::Elf => {
                let held = self.held.image(&key.path, &key.build_id);
                let cache = self.cache.as_ref().filter(|_| held.is_none());
                let state = self.images.entry(key.clone());
                let state = state.or_insert_with(|| ImageState::of(self.detail));
                match cache.and_then(|cache| state.take_recall(&key, &self.places, cache)) {
                    Some(recall) => Alike::Kept(Box::new(KeptImage {
                        key,
                        recall,
                        by_frame: FxHashMap::default(),
                        by_functions: FxHashMap::default(),
                    })),
                    None => Alike::Unknown,
                }
            }
            _ => Alike::Unknown,
        }
    }

    /// Gives back what was opened, before a profile is named.
    pub(crate) fn end_alike(&mut self) {
        for alike in std::mem::take(&mut self.alike).into_iter().flatten() {
            if let Alike::Kept(kept) = alike
                && let Some(state) = self.images.get_mut(&kept.key)
            {
                state.recall = Some(Some(kept.recall));
            }
        }
    }
}

impl KeptImage {
    fn same_names(&mut self, address: u64) -> Option<u64> {
        let frame = self.recall.frame_of(address)?;
        if let Some(&same) = self.by_frame.get(&frame) {
            return Some(same);
        }
        let functions = self.recall.functions_of(frame)?;
        let same = *self.by_functions.entry(functions).or_insert(address);
        self.by_frame.insert(frame, same);
        Some(same)
    }
}
