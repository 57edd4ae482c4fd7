//! What the images of a profile lack, for how many samples, and how to get it.

use hotproof_profile::{Id, ImageId, Profile, StackId, at_least_none};
use serde::Serialize;

use crate::names::{clean, cut_middle};
use crate::numbers::{count, counted, percent};
use crate::prose::paragraph;
use crate::schema::Schema;

/// How many samples an image matters to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// The image.
    pub image: ImageId,
    /// Samples with the image anywhere on their stack.
    pub samples: u64,
    /// Samples whose leaf lies in it.
    pub leaves: u64,
}

/// The images with samples, those of most samples first.
pub fn weights(profile: &Profile) -> Vec<Weight> {
    let image_of = |stack: StackId| profile.locations[profile.stacks[stack].location].image;
    let mut below = vec![0i64; profile.stacks.len()];
    // Samples and leaves of each image.
    let mut sums = vec![(0i64, 0i64); profile.images.len()];
    let row_samples = profile.row_samples();
    for (row, stack) in profile.samples.stack.iter().enumerate() {
        let Some(stack) = *stack else { continue };
        below[stack.index()] += row_samples(row);
        if let Some(image) = image_of(stack) {
            sums[image.index()].1 += row_samples(row);
        }
    }
    // Children come after their parents, so one pass from the end adds each stack to its caller.
    for index in (0..below.len()).rev() {
        let stack = StackId::from_index(index);
        let parent = profile.stacks[stack].parent;
        if let Some(parent) = parent {
            below[parent.index()] += below[index];
        }
        // The outermost frame of an image stands for all below it.
        let callers = std::iter::successors(parent, |&caller| profile.stacks[caller].parent);
        if let Some(image) = image_of(stack)
            && below[index] != 0
            && callers
                .into_iter()
                .all(|caller| image_of(caller) != Some(image))
        {
            sums[image.index()].0 += below[index];
        }
    }
    let weight = |(image, (samples, leaves))| Weight {
        image,
        samples: at_least_none(samples),
        leaves: at_least_none(leaves),
    };
    let mut rows: Vec<Weight> = profile.images.ids().zip(sums).map(weight).collect();
    rows.retain(|row| row.samples > 0);
    rows.sort_by_key(|row| (std::cmp::Reverse(row.samples), row.image));
    rows
}

/// One image, looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Patient {
    /// Its path as recorded.
    pub image: String,
    /// Its build-id in hexadecimal; `None` when none was recorded.
    pub build_id: Option<String>,
    /// Samples with the image anywhere on their stack.
    pub samples: u64,
    /// Samples whose leaf lies in it.
    pub leaf_samples: u64,
    /// The best that can name its functions, by its stable word; `None` when nothing can.
    pub names: Option<&'static str>,
    /// The file with debug information.
    pub debug_file: Option<String>,
    /// Whether something is missing that could be had.
    pub lacking: bool,
    /// What is wrong, one sentence each.
    pub findings: Vec<String>,
    /// What to do about it, the best first.
    pub remedies: Vec<String>,
    /// Where a debug file was looked for.
    pub looked_at: Vec<String>,
}

/// What to say of all of them, for a screen of `width` columns.
pub fn screen(samples: u64, patients: &[Patient], width: usize) -> String {
    let lacking: Vec<&Patient> = patients.iter().filter(|patient| patient.lacking).collect();
    let mut text = format!(
        "{}, {} with samples, {} could be named better\n",
        counted(samples, "sample"),
        counted(patients.len() as u64, "image"),
        count(lacking.len() as u64),
    );
    for patient in patients {
        let share = patient.samples as f64 / samples.max(1) as f64;
        let names = patient.names.unwrap_or("nothing");
        let head = format!(
            "\n{:>9} samples  {:>7}  named by {names}  ",
            count(patient.samples),
            percent(share)
        );
        let room = width.saturating_sub(head.len() - 1).max(24);
        text.push_str(&head);
        text.push_str(&cut_middle(&clean(&patient.image), room));
        text.push('\n');
        for finding in &patient.findings {
            text.push_str(&paragraph("", 2, &clean(finding), width));
        }
        for remedy in &patient.remedies {
            text.push_str(&paragraph("do", 4, &clean(remedy), width));
        }
    }
    text
}

#[derive(Serialize)]
struct Document<'a> {
    schema: Schema,
    samples: u64,
    images: &'a [Patient],
}

/// The same as JSON: schema `hotproof.doctor`, version 1; images of most samples first. Ends with a
/// newline.
pub fn json(samples: u64, patients: &[Patient]) -> String {
    crate::schema::pretty(&Document {
        schema: Schema::new("hotproof.doctor"),
        samples,
        images: patients,
    })
}
