//! pprof to profile and back: what comes back, what is refused, and what the message says of it.

use hotproof_formats::import::{self, Format, Imported, Limits};
use hotproof_formats::pprof;
use hotproof_profile::*;
use proptest::prelude::*;

use crate::{arbitrary, canonical, example};

fn bytes_of(profile: &Profile) -> Vec<u8> {
    let mut bytes = Vec::new();
    pprof::write(profile, &mut bytes).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Imported {
    let imported = import::read(bytes, Limits::default()).unwrap();
    assert_eq!(imported.format, Format::Pprof);
    imported
}

#[test]
fn the_example_comes_back_but_for_what_the_table_of_losses_says() {
    let profile = example::profile();
    let Imported {
        profile: back,
        dropped,
        ..
    } = read(&bytes_of(&profile));
    assert_eq!(dropped, Vec::<String>::new());
    assert_eq!(canonical::samples(&back), canonical::samples(&profile));
    assert_eq!(back.weights, profile.weights);
    let kept = Meta {
        command: vec![profile.meta.command.join(" ")],
        started_unix_ns: profile.meta.started_unix_ns,
        duration_ns: profile.meta.duration_ns,
        event: profile.meta.event.clone(),
        period: Some(1_001_001),
        rung: profile.meta.rung.clone(),
        unwinder: profile.meta.unwinder.clone(),
        lost: profile.meta.lost,
        notes: profile.meta.notes.clone(),
        ..Meta::default()
    };
    assert_eq!(back.meta, kept);
    assert_eq!(back.foreign, None);
    let kinds: Vec<ImageKind> = back.images.rows().iter().map(|row| row.kind).collect();
    assert_eq!(
        kinds
            .iter()
            .filter(|&&kind| kind == ImageKind::Kernel)
            .count(),
        1
    );
}

proptest! {
    #[test]
    fn native_to_pprof_to_native_keeps_what_the_table_says(profile in arbitrary::profile()) {
        let mut profile = profile;
        if profile.weights.is_empty() {
            // pprof has no profile without a value; one column of ones comes back.
            profile.weights = vec![Weight { name: "samples".into(), unit: Unit::Count }];
            profile.samples.weights = vec![vec![1; profile.samples.len()]];
        }
        // A foreign profile spells its units; one that was recorded has its own.
        profile.foreign = None;
        // The kernel is known by its path, whose addresses are absolute; no other image has that.
        for image in profile.images.ids().collect::<Vec<_>>() {
            if profile.images[image].kind == ImageKind::Kernel {
                profile.images[image].kind = ImageKind::Elf;
            }
        }
        let first = bytes_of(&profile);
        let back = read(&first).profile;
        prop_assert_eq!(canonical::samples(&back), canonical::samples(&profile));
        prop_assert_eq!(&back.weights, &profile.weights);
        for weight in 0..profile.weights.len() {
            prop_assert_eq!(
                canonical::totals_by_name(&back, weight),
                canonical::totals_by_name(&profile, weight)
            );
        }
    }

    #[test]
    fn import_then_export_is_the_identity(profile in arbitrary::profile()) {
        let first = read(&bytes_of(&profile));
        let second = read(&bytes_of(&first.profile));
        prop_assert_eq!(canonical::samples(&first.profile), canonical::samples(&second.profile));
        prop_assert_eq!(&first.profile.meta, &second.profile.meta);
        prop_assert_eq!(&first.profile.foreign, &second.profile.foreign);
        prop_assert_eq!(&first.profile.weights, &second.profile.weights);
        prop_assert_eq!(&first.profile.mappings, &second.profile.mappings);
        let third = read(&bytes_of(&second.profile));
        prop_assert_eq!(bytes_of(&second.profile), bytes_of(&third.profile));
    }
}
