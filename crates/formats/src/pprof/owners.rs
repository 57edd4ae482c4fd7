//! Which image each function is in: the format says it of addresses alone.

use hotproof_profile::{Id, ImageId, Profile};

/// What the addresses of a function say.
#[derive(Clone, Copy, PartialEq)]
enum Owner {
    Nobody,
    One(ImageId),
    Several,
}

/// Gives each function the image that all its addresses lie in, if it is one. So a function of the
/// kernel, which has no file either, is that of a recording of our own.
pub(super) fn find(profile: &mut Profile) {
    let mut owners = vec![Owner::Nobody; profile.functions.len()];
    for row in profile.locations.rows() {
        let here = row.image.map_or(Owner::Several, Owner::One);
        for frame in row.frame_ids() {
            let owner = &mut owners[profile.frames[frame].function.index()];
            *owner = match *owner {
                Owner::Nobody => here,
                known if known == here => known,
                _ => Owner::Several,
            };
        }
    }
    let functions: Vec<_> = profile.functions.ids().collect();
    for (id, owner) in functions.into_iter().zip(owners) {
        if let Owner::One(image) = owner {
            profile.functions[id].image = Some(image);
        }
    }
}
