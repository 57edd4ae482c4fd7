//! The JSON formats of viewers: agreement with our own totals, round trips, damage,
//! and a viewer itself where it is installed.

#[path = "../formats/arbitrary.rs"]
mod arbitrary;
#[path = "../formats/example.rs"]
mod example;

mod agreement;
mod damage;
mod documents;
mod extras;
mod imports;
mod programs;
mod random;
mod real;
mod schema;
mod viewers;

use std::collections::BTreeMap;

use hotproof_formats::folded::Options;
use hotproof_formats::{WriteError, chrome, firefox, import, json, speedscope};
use hotproof_profile::{Inline, Profile};

/// Self and total weight by shown name.
type Totals = BTreeMap<String, (i128, i128)>;

fn our_totals(profile: &Profile, options: &Options) -> Totals {
    let mut totals = Totals::new();
    for row in profile.code_totals(options.weight, options.inline) {
        let sum = totals.entry(profile.code_name(row.code)).or_default();
        sum.0 += i128::from(row.self_weight);
        sum.1 += i128::from(row.total);
    }
    totals
}

/// The writers of this test, by name.
const WRITERS: [&str; 5] = ["speedscope", "firefox", "firefox gzip", "chrome", "json"];

fn write_with(
    writer: &str,
    profile: &Profile,
    options: &Options,
) -> Result<(Vec<u8>, Vec<String>), WriteError> {
    let mut bytes = Vec::new();
    let lost = match writer {
        "speedscope" => speedscope::write(profile, options, &mut bytes)?,
        "firefox" => firefox::write(profile, options, firefox::Compression::Plain, &mut bytes)?,
        "firefox gzip" => firefox::write(profile, options, firefox::Compression::Gzip, &mut bytes)?,
        "chrome" => chrome::write(profile, options, &mut bytes)?,
        "json" => json::write(profile, options, &mut bytes)?,
        other => panic!("there is no writer {other}"),
    };
    Ok((bytes, lost))
}

fn bytes_of(writer: &str, profile: &Profile, weight: usize) -> Vec<u8> {
    let options = Options {
        inline: Inline::Expand,
        weight,
    };
    write_with(writer, profile, &options).unwrap().0
}

fn imported(bytes: &[u8]) -> import::Imported {
    import::read(bytes, import::Limits::default()).unwrap()
}

/// Profiles that every viewer can show: no weight is below zero.
fn positive(mut profile: Profile) -> Profile {
    for column in &mut profile.samples.weights {
        for weight in column {
            *weight = weight.abs();
        }
    }
    profile
}
