//! Images and their addresses as pprof's mappings.

use hotproof_profile::{
    Function, Id, Image, ImageId, ImageKind, Location, LocationState, Mapping, Profile, Source,
};

use super::build::Texts;
use super::schema;
use crate::import::{JIT, image_kind};

/// One mapping for each image, by the image's id.
pub(super) struct Mappings {
    /// Index is the image's; `id` is one more.
    rows: Vec<schema::Mapping>,
    kernel: Vec<bool>,
}

impl Mappings {
    pub(super) fn of(profile: &Profile, texts: &mut Texts) -> Self {
        let mut rows: Vec<schema::Mapping> = profile
            .images
            .iter()
            .map(|(id, image)| {
                let hex = image.build_id.iter().map(|byte| format!("{byte:02x}"));
                schema::Mapping {
                    id: id.index() as u64 + 1,
                    filename: texts.id(file_of(profile, image)),
                    build_id: texts.id(&hex.collect::<String>()),
                    ..schema::Mapping::default()
                }
            })
            .collect();
        let mut placed = vec![false; rows.len()];
        for (_, mapping) in profile.mappings.iter() {
            place(&mut rows, &mut placed, mapping);
        }
        let kernel = profile.images.iter();
        let kernel = kernel
            .map(|(_, image)| image.kind == ImageKind::Kernel)
            .collect();
        let mut mappings = Mappings { rows, kernel };
        mappings.state_names(profile);
        mappings.repeat_claims(profile);
        mappings.place_unmapped(profile, &placed);
        mappings
    }

    /// Gives images that were never mapped the range of their locations; all but the kernel, whose
    /// addresses are absolute, begin at 0.
    fn place_unmapped(&mut self, profile: &Profile, placed: &[bool]) {
        for (_, location) in profile.locations.iter() {
            let Some(image) = location.image.filter(|image| !placed[image.index()]) else {
                continue;
            };
            let row = &mut self.rows[image.index()];
            if self.kernel[image.index()]
                && (row.memory_limit == 0 || location.address < row.memory_start)
            {
                row.memory_start = location.address;
            }
            row.memory_limit = row.memory_limit.max(location.address.saturating_add(1));
        }
    }

    /// Says of each mapping what is known of its locations: pprof asks symbolizers for the rest.
    fn state_names(&mut self, profile: &Profile) {
        for (_, location) in profile.locations.iter() {
            let Some(image) = location.image.filter(|_| is_named(location)) else {
                continue;
            };
            let row = &mut self.rows[image.index()];
            row.has_functions = true;
            row.has_inline_frames |= location.frames.len() > 1;
            for frame in location.frame_ids().map(|id| &profile.frames[id]) {
                row.has_filenames |= profile.functions[frame.function].file.is_some();
                row.has_line_numbers |= frame.line.is_some();
            }
        }
    }

    /// What a profile claimed when it came in holds as long as nobody has named more.
    fn repeat_claims(&mut self, profile: &Profile) {
        let is_import = |(_, row): (_, &Function)| row.source == Source::Import;
        let foreign = profile.foreign.as_ref();
        let claims = foreign.map_or(&[][..], |foreign| &foreign.images);
        if claims.len() != self.rows.len() || !profile.functions.iter().all(is_import) {
            return;
        }
        for (row, claims) in self.rows.iter_mut().zip(claims) {
            row.has_functions = claims.functions;
            row.has_filenames = claims.files;
            row.has_line_numbers = claims.lines;
            row.has_inline_frames = claims.inlines;
        }
    }

    /// The address at run time, as the module's documentation defines it.
    pub(super) fn address(&self, location: &Location) -> u64 {
        let Some(image) = location.image else {
            return location.address;
        };
        if self.kernel[image.index()] {
            return location.address;
        }
        let row = &self.rows[image.index()];
        row.memory_start
            .wrapping_sub(row.file_offset)
            .wrapping_add(location.address)
    }

    /// The id of the image's mapping.
    pub(super) fn id(&self, image: ImageId) -> u64 {
        self.rows[image.index()].id
    }

    /// The main program first, because pprof takes the first mapping for it.
    pub(super) fn into_rows(mut self, main: Option<ImageId>) -> Vec<schema::Mapping> {
        if let Some(main) = main {
            self.rows[..=main.index()].rotate_right(1);
        }
        self.rows
    }
}

/// Takes start, end and offset from the image's first mapping.
fn place(rows: &mut [schema::Mapping], placed: &mut [bool], mapping: &Mapping) {
    let image = mapping.image.index();
    if !std::mem::replace(&mut placed[image], true) {
        let row = &mut rows[image];
        row.memory_start = mapping.start;
        row.memory_limit = mapping.end;
        row.file_offset = mapping.file_offset;
    }
}

pub(super) fn is_named(location: &Location) -> bool {
    location.state == LocationState::Resolved && !location.frames.is_empty()
}

/// The first ELF image that was mapped into a process.
pub(super) fn main_image(profile: &Profile) -> Option<ImageId> {
    // What a reader will take for a program, so that it stays the first when it is written again.
    let is_program = |image: &Image| image_kind(file_of(profile, image)) == ImageKind::Elf;
    let mut mapped = profile
        .mappings
        .iter()
        .filter(|(_, row)| row.process.is_some());
    let main = mapped.find(|(_, row)| {
        let image = &profile.images[row.image];
        image.kind == ImageKind::Elf && is_program(image)
    });
    let mut images = profile.images.iter();
    main.map(|(_, row)| row.image).or_else(|| {
        images
            .find(|(_, image)| is_program(image))
            .map(|(id, _)| id)
    })
}

/// The file of an image. Its kind is told by that alone, so that code made at run time in a file of
/// another name has the name that stands for such code.
fn file_of<'a>(profile: &'a Profile, image: &Image) -> &'a str {
    let path = &profile.strings[image.path];
    if image.kind == ImageKind::Jit && image_kind(path) != ImageKind::Jit {
        return JIT;
    }
    path
}
