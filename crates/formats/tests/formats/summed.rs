//! A recording with its samples added up, and written anew with each of them.

use hotproof_formats::native::{self, CopyError, ReadError};
use hotproof_profile::*;
use proptest::prelude::*;

use crate::{arbitrary, example};

fn bytes_of(profile: &Profile) -> Vec<u8> {
    let mut bytes = Vec::new();
    native::write(profile, &mut bytes).unwrap();
    bytes
}

fn anew(profile: &Profile, recording: &[u8]) -> Result<Vec<u8>, CopyError> {
    let mut bytes = Vec::new();
    native::write_with_samples(profile, recording, &mut bytes).map(|()| bytes)
}

proptest! {
    /// Sums are those of the samples, rows are no more than there are stacks, ends and kinds of
    /// samples, and the samples come back one by one.
    #[test]
    fn sums_and_samples_are_those_of_the_profile(profile in arbitrary::profile()) {
        let bytes = bytes_of(&profile);
        let summed = native::read_summed(&bytes[..]).unwrap();
        for column in 0..profile.weights.len() {
            let weights = |profile: &Profile| -> Vec<_> {
                let stacks = profile.stack_weights(column).into_iter();
                stacks.map(|row| (row.stack, row.weight)).collect()
            };
            prop_assert_eq!(weights(&summed), weights(&profile));
        }
        prop_assert!(summed.samples.len() <= profile.samples.len());
        prop_assert_eq!(anew(&summed, &bytes).unwrap(), bytes);
    }
}

/// What was named since goes into the new file.
#[test]
fn names_are_in_the_new_file() {
    let profile = example::profile();
    let bytes = bytes_of(&profile);
    let mut summed = native::read_summed(&bytes[..]).unwrap();
    let name = summed.strings.intern("named later");
    summed.threads[ThreadId(0)].name = name;
    let written = anew(&summed, &bytes).unwrap();
    let whole = native::read(&written[..]).unwrap();
    assert_eq!(
        &whole.strings[whole.threads[ThreadId(0)].name],
        "named later"
    );
    assert_eq!(whole.samples, profile.samples);
}

/// A file that is cut, or of another profile, is no source of samples.
#[test]
fn only_whole_recordings_of_the_same_profile_are_copied() {
    let profile = example::profile();
    let bytes = bytes_of(&profile);
    for len in [0, 20, bytes.len() - 1] {
        let refused = anew(&profile, &bytes[..len]);
        assert!(matches!(refused, Err(CopyError::Read(_))), "{len}");
        assert!(native::read_summed(&bytes[..len]).is_err());
    }
    let mut smaller = Profile::default();
    smaller.weights.clone_from(&profile.weights);
    smaller.samples.weights = vec![Vec::new(); profile.weights.len()];
    let refused = anew(&smaller, &bytes);
    assert!(matches!(
        refused,
        Err(CopyError::Read(ReadError::Corrupt { .. }))
    ));
}
