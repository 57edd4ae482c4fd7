//! Which image each function is in: the format says it of addresses alone.

use hotproof_profile::{FunctionId, Id, ImageId, Profile};
use rustc_hash::FxHashMap;

/// What the addresses of a function say.
#[derive(Clone, Copy, PartialEq)]
enum Owner {
    Nobody,
    One(ImageId),
    Several,
    /// Addresses in no image are among them.
    Unknown,
}

/// Gives each function the image that all its addresses lie in, if it is one. So a function of the
/// kernel, which has no file either, is that of a recording of our own.
pub(super) fn find(profile: &mut Profile) {
    let mut owners = vec![Owner::Nobody; profile.functions.len()];
    for row in profile.locations.rows() {
        let here = row.image.map_or(Owner::Unknown, Owner::One);
        for frame in row.frame_ids() {
            let owner = &mut owners[profile.frames[frame].function.index()];
            *owner = match *owner {
                Owner::Nobody => here,
                known if known == here => known,
                Owner::Unknown => Owner::Unknown,
                _ if here == Owner::Unknown => Owner::Unknown,
                _ => Owner::Several,
            };
        }
    }
    let functions: Vec<_> = profile.functions.ids().collect();
    for (id, owner) in functions.into_iter().zip(&owners) {
        if let Owner::One(image) = *owner {
            profile.functions[id].image = Some(image);
        }
    }
    part(profile, &owners);
}

/// Code of one name without a file is another function in each image: the `_start` of a program and
/// that of the loader.
fn part(profile: &mut Profile, owners: &[Owner]) {
    let mut parts: FxHashMap<(FunctionId, ImageId), FunctionId> = FxHashMap::default();
    let locations: Vec<_> = profile.locations.ids().collect();
    for location in locations {
        let row = &profile.locations[location];
        let Some(image) = row.image else { continue };
        for frame in row.frame_ids() {
            let function = profile.frames[frame].function;
            let shared = owners.get(function.index()) == Some(&Owner::Several);
            if !shared || profile.functions[function].file.is_some() {
                continue;
            }
            let part = parts.entry((function, image)).or_insert_with(|| {
                let row = &mut profile.functions[function];
                // The first image keeps the row that was read.
                match row.image {
                    None => {
                        row.image = Some(image);
                        function
                    }
                    Some(_) => {
                        let row = hotproof_profile::Function {
                            image: Some(image),
                            ..row.clone()
                        };
                        profile.functions.push(row)
                    }
                }
            });
            profile.frames[frame].function = *part;
        }
    }
}
