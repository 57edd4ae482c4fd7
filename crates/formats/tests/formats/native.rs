//! The native file: exact round trips, small files, and damage that is told by name.

use hotproof_formats::Kind;
use hotproof_formats::native::{self, ReadError};
use hotproof_profile::*;
use proptest::prelude::*;

use crate::{arbitrary, example};

fn bytes_of(profile: &Profile) -> Vec<u8> {
    let mut bytes = Vec::new();
    native::write(profile, &mut bytes).unwrap();
    bytes
}

#[test]
fn the_example_comes_back_as_it_was() {
    let profile = example::profile();
    let bytes = bytes_of(&profile);
    assert_eq!(native::read(&bytes[..]).unwrap(), profile);
    assert_eq!(bytes_of(&profile), bytes, "equal profiles give equal bytes");
}

proptest! {
    #[test]
    fn every_valid_profile_comes_back_as_it_was(profile in arbitrary::profile()) {
        let bytes = bytes_of(&profile);
        prop_assert_eq!(native::read(&bytes[..]).unwrap(), profile);
    }
}

/// What `read` and `read_recovering` say of damaged bytes: never a panic, never another profile.
fn check_damage(bytes: &[u8], whole: &Profile) {
    if let Ok(profile) = native::read(bytes) {
        assert_eq!(&profile, whole, "damage was taken for another profile");
    }
    if let Ok(recovered) = native::read_recovering(bytes) {
        let rows = recovered.profile.samples.len();
        assert!(rows <= whole.samples.len());
        assert_eq!(
            recovered.profile.samples.time_ns,
            whole.samples.time_ns[..rows]
        );
    }
}

#[test]
fn every_truncation_is_an_error_that_says_what_is_missing() {
    let profile = example::profile();
    let bytes = bytes_of(&profile);
    for len in 0..bytes.len() {
        let cut = &bytes[..len];
        match native::read(cut) {
            Err(ReadError::NotAProfile { found: Kind::Empty }) if len == 0 => {}
            Err(ReadError::Cut { bytes, .. }) => assert_eq!(bytes, len as u64),
            other => panic!("{len} bytes of {}: {other:?}", bytes.len()),
        }
        check_damage(cut, &profile);
    }
}

#[test]
fn every_flipped_bit_is_an_error() {
    let profile = example::profile();
    let bytes = bytes_of(&profile);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let result = native::read(&damaged[..]);
        assert!(
            result.is_err(),
            "bit {bit} of {} changes nothing",
            bytes.len() * 8
        );
        check_damage(&damaged, &profile);
    }
}
