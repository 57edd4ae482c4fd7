//! The images of addresses.

use hotproof_profile::{ImageId, Profile, SinkError};
use rustc_hash::FxHashSet;

use super::super::chains::{Step, StepKind};
use super::super::placed::{Gaps, Placed, PlacedMaps};
use super::UNMAPPED;
use crate::binary::{Binaries, BinaryId, Unwinding};
use crate::space::Map;
use crate::world::{Owner, World};

/// Finds the image of an address.
pub(super) struct Images<'a> {
    pub(super) world: &'a mut World,
    pub(super) binaries: &'a mut Binaries,
    pub(super) owner: &'a Owner,
    pub(super) kernel: BinaryId,
    pub(super) kernel_image: &'a mut Option<ImageId>,
    pub(super) guest_image: &'a mut Option<ImageId>,
    pub(super) opened: &'a mut FxHashSet<BinaryId>,
    pub(super) placed: &'a mut PlacedMaps,
    pub(super) gaps: &'a mut Gaps,
}

impl Images<'_> {
    /// Whether a step lies in no mapping, so that [`Images::place`] would find no image.
    pub(super) fn is_nowhere(&mut self, step: Step) -> bool {
        let (space, address) = (&self.owner.space, step.lookup_address());
        step.kind.is_user()
            && (self.gaps.last_holds(space, address)
                || self.placed.find(space.version, address).is_none()
                    && self.gaps.hold(space, address))
    }

    pub(super) fn place(
        &mut self,
        step: Step,
        profile: &mut Profile,
    ) -> Result<(Option<ImageId>, u64), SinkError> {
        match step.kind {
            StepKind::UserReturn | StepKind::UserIp => {}
            StepKind::KernelIp | StepKind::KernelReturn => {
                if self.kernel_image.is_none() {
                    *self.kernel_image = Some(self.image(self.kernel, profile)?);
                }
                return Ok((*self.kernel_image, step.address));
            }
            StepKind::Guest => {
                if self.guest_image.is_none() {
                    let guest = self.binaries.recorded(b"[guest]", &[], Unwinding::No);
                    *self.guest_image = Some(self.image(guest, profile)?);
                }
                return Ok((*self.guest_image, step.address));
            }
        }
        let (space, address) = (&self.owner.space, step.lookup_address());
        if let Some(placed) = self.placed.find(space.version, address) {
            let relative = step.address.wrapping_sub(placed.base_avma);
            return Ok((Some(placed.image), relative));
        }
        let Some(&map) = space.find(address) else {
            // As outermost ones, others that lie nowhere are one location.
            return Ok((None, UNMAPPED));
        };
        let image = self.image(map.binary, profile)?;
        if self.opened.insert(map.binary) && self.binaries[map.binary].file.is_none() {
            self.binaries.open_recorded(map.binary);
            profile.images[image].build_id = self.binaries[map.binary].build_id.clone();
        }
        let base_avma = self.base_avma(&map);
        let placed = Placed {
            space: space.version,
            addresses: map.start..map.end,
            image,
            base_avma,
        };
        self.placed.keep(address, placed);
        Ok((Some(image), step.address.wrapping_sub(base_avma)))
    }

    /// Where the binary's base lies, by the file's segments where it was recorded from.
    fn base_avma(&self, map: &Map) -> u64 {
        let binary = &self.binaries[map.binary];
        binary
            .placement_at(map.start..map.end, map.file_offset)
            .base_avma
    }

    fn image(&mut self, binary: BinaryId, profile: &mut Profile) -> Result<ImageId, SinkError> {
        self.world.image(binary, self.binaries, profile)
    }
}
