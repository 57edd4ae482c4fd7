//! Pictures in a browser: Chromium shows every function of random profiles as wide as we count it,
//! names stay text, and each picture is well-formed for another XML reader too.
//!
//! `scripts/viewers.sh` installs what this needs; what is not there is skipped, visibly.

#[path = "../../../formats/tests/viewers/programs.rs"]
mod programs;
#[path = "../../../formats/tests/viewers/random.rs"]
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hotproof_diff::changes::stable_name;
use hotproof_profile::{Inline, Profile};
use hotproof_report::difference::{Normalize, Stacks};
use hotproof_report::flamegraph::{Growth, Layout, Options, write};
use hotproof_report::names::clean;
use programs::{folder, installed, run, skip, text};
use random::Names;
use serde::Deserialize;

/// Self and total weight by shown name.
type Totals = BTreeMap<String, (i64, i64)>;

/// What a picture shows.
#[derive(Debug, Deserialize)]
struct Shown {
    root: String,
    title: String,
    subtitle: String,
    scripts: usize,
    /// Elements that a flame graph has no use for.
    odd: Vec<String>,
    /// Name, tooltip, first unit, units wide, y, colour.
    frames: Vec<(String, String, String, String, String, String)>,
    /// Dialogs and errors of scripts.
    surprises: Vec<String>,
}

/// One frame of a picture.
#[derive(Debug, Clone)]
struct Frame {
    name: String,
    tooltip: String,
    colour: String,
    start: i64,
    width: i64,
    /// Rows from the root.
    row: usize,
}

impl Shown {
    /// Fails for anything but the picture: names that became markup, scripts that fail.
    fn is_only_a_picture(&self) {
        assert_eq!((self.root.as_str(), self.scripts), ("svg", 1));
        assert!(self.odd.is_empty(), "{:?}", self.odd);
        assert!(self.surprises.is_empty(), "{:?}", self.surprises);
        assert!(!self.title.is_empty() && !self.subtitle.is_empty());
    }

    fn frames(&self) -> Vec<Frame> {
        let y = |text: &str| text.parse::<f64>().unwrap() as i64;
        let rows: BTreeSet<i64> = self.frames.iter().map(|frame| y(&frame.4)).collect();
        let mut rows: Vec<i64> = rows.into_iter().collect();
        let root = self.frames.iter().find(|frame| frame.0 == "all").unwrap();
        if rows[0] != y(&root.4) {
            rows.reverse();
        }
        let frames = self.frames.iter();
        frames
            .map(|(name, tooltip, start, width, at, colour)| Frame {
                name: name.clone(),
                tooltip: tooltip.clone(),
                colour: colour.clone(),
                start: start.parse().unwrap(),
                width: width.parse().unwrap(),
                row: rows.iter().position(|&row| row == y(at)).unwrap(),
            })
            .collect()
    }
}

/// Self and total as the widths show them: what stands above a frame is what it calls, and a
/// function that calls itself is as wide as its outermost frame.
fn widths(frames: &[Frame]) -> Totals {
    let inside = |inner: &Frame, outer: &Frame| {
        inner.start >= outer.start && inner.start + inner.width <= outer.start + outer.width
    };
    let mut totals = Totals::new();
    for frame in frames.iter().filter(|frame| frame.row > 0) {
        let below = frames.iter().filter(|other| inside(other, frame));
        let called = below.filter(|other| other.row == frame.row + 1);
        let called: i64 = called.map(|other| other.width).sum();
        let mut callers = frames
            .iter()
            .filter(|other| other.row < frame.row && inside(frame, other));
        let again = callers.any(|other| other.row > 0 && other.name == frame.name);
        let entry = totals.entry(frame.name.clone()).or_default();
        entry.0 += frame.width - called;
        entry.1 += if again { 0 } else { frame.width };
    }
    totals
}

fn ours(profile: &Profile) -> Totals {
    let mut totals = Totals::new();
    for row in profile.code_totals(0, Inline::Expand) {
        let sum = totals
            .entry(clean(&profile.code_name(row.code)))
            .or_default();
        *sum = (sum.0 + row.self_weight, sum.1 + row.total);
    }
    totals.retain(|_, sums| *sums != (0, 0));
    totals
}

/// A random profile of samples alone, few enough that no frame is too narrow to be drawn.
fn profile(seed: u64, names: Names) -> Profile {
    let mut profile = random::profile(seed, names, 2);
    profile.weights.truncate(1);
    profile.samples.weights.truncate(1);
    profile
}

/// Opens pictures in Chromium, and reads them as XML; `None`, visibly, where that cannot be.
fn shown(folder: &Path, pictures: &[(String, Vec<u8>)]) -> Option<Vec<Shown>> {
    installed("node_modules/puppeteer-core")?;
    let mut files = Vec::new();
    for (name, bytes) in pictures {
        let file = folder.join(name);
        std::fs::write(&file, bytes).unwrap();
        files.push(file.display().to_string());
    }
    let files = files.iter().map(String::as_str);
    let parse = "import sys, xml.dom.minidom as x; [x.parse(f) for f in sys.argv[1:]]";
    let arguments: Vec<&str> = ["-c", parse].into_iter().chain(files.clone()).collect();
    text("python3", folder, &arguments)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/svg.js");
    let (script, scratch) = (script.display().to_string(), folder.display().to_string());
    let arguments: Vec<&str> = [script.as_str(), &scratch]
        .into_iter()
        .chain(files)
        .collect();
    let output = run("node", folder, &arguments)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("Browser was not found") {
        skip("there is no Chromium for the pictures");
        return None;
    }
    assert!(output.status.success(), "{errors}");
    let answer = String::from_utf8(output.stdout).unwrap();
    let shown: Vec<Shown> = answer
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(shown.len(), pictures.len(), "{answer}");
    shown.iter().for_each(Shown::is_only_a_picture);
    Some(shown)
}

#[test]
fn chromium_shows_what_we_count() {
    let folder = folder("pictures");
    let profiles: Vec<Profile> = (1..=4).map(|seed| profile(seed, Names::Hard)).collect();
    let mut pictures = Vec::new();
    for (number, profile) in profiles.iter().enumerate() {
        for (kind, layout) in [("flame", Layout::Fitting), ("icicle", Layout::Icicle)] {
            let options = Options {
                layout,
                ..Options::default()
            };
            let mut bytes = Vec::new();
            write(profile, &options, &mut bytes).unwrap();
            pictures.push((format!("{kind}-{number}.svg"), bytes));
        }
    }
    let Some(shown) = shown(&folder, &pictures) else {
        return;
    };
    for ((name, _), (shown, profile)) in pictures.iter().zip(
        shown
            .iter()
            .zip(profiles.iter().flat_map(|profile| [profile; 2])),
    ) {
        let mut theirs = widths(&shown.frames());
        let thread = theirs.remove("bench");
        assert_eq!(thread.map(|(own, _)| own), Some(0), "threads are roots");
        assert_eq!(theirs, ours(profile), "{name}");
    }
}

/// From the leaves a function is as wide at the first row as its self weight.
#[test]
fn chromium_shows_self_weights_from_the_leaf() {
    let folder = folder("pictures-leaf");
    let profile = profile(7, Names::Plain);
    let options = Options {
        growth: Growth::FromLeaf,
        ..Options::default()
    };
    let mut bytes = Vec::new();
    write(&profile, &options, &mut bytes).unwrap();
    let Some(shown) = shown(&folder, &[("leaf.svg".into(), bytes)]) else {
        return;
    };
    let mut theirs: BTreeMap<String, i64> = BTreeMap::new();
    for frame in shown[0].frames().iter().filter(|frame| frame.row == 1) {
        *theirs.entry(frame.name.clone()).or_default() += frame.width;
    }
    let own = ours(&profile)
        .into_iter()
        .map(|(name, (own, _))| (name, own));
    let own: BTreeMap<String, i64> = own.filter(|&(_, own)| own != 0).collect();
    assert_eq!(theirs, own);
}

/// Head has its widths, what only base did stands beside it, and more is red, less is blue.
#[test]
fn chromium_shows_both_sides_of_a_difference() {
    let folder = folder("pictures-difference");
    let (base, head) = (profile(11, Names::Hard), profile(12, Names::Hard));
    let mut bytes = Vec::new();
    let stacks = Stacks::of([&base, &head], Normalize::Run).unwrap();
    stacks.picture(&mut bytes).unwrap();
    let Some(shown) = shown(&folder, &[("change.svg".into(), bytes)]) else {
        return;
    };
    let frames = shown[0].frames();
    let gone = frames.iter().find(|frame| frame.name == "[only in base]");
    let gone = gone.expect("random profiles have few stacks in common");
    let is_gone = |frame: &&Frame| {
        frame.row >= gone.row
            && frame.start >= gone.start
            && frame.start + frame.width <= gone.start + gone.width
    };
    let kept: Vec<Frame> = frames
        .iter()
        .filter(|frame| !is_gone(frame))
        .cloned()
        .collect();
    // Functions are joined by names without what differs between builds.
    let joined = |profile: &Profile| {
        let stable = |(name, sums): (String, _)| (stable_name(&name).to_owned(), sums);
        ours(profile).into_iter().map(stable).collect::<Totals>()
    };
    assert_eq!(widths(&kept), joined(&head));
    // What is gone was done by base, and none of it more than base did in all.
    let before = joined(&base);
    for (name, (own, total)) in widths(&frames.iter().filter(is_gone).cloned().collect::<Vec<_>>())
    {
        if name != gone.name {
            let all = before[&name];
            assert!(own <= all.0 && total <= all.1, "{name}");
        }
    }
    let colour = |frame: &Frame| -> [u8; 3] {
        let inner = frame
            .colour
            .trim_start_matches("rgb(")
            .trim_end_matches(')');
        let parts: Vec<u8> = inner
            .split(',')
            .map(|part| part.trim().parse().unwrap())
            .collect();
        parts.try_into().unwrap()
    };
    let (mut more, mut less) = (0, 0);
    for frame in frames.iter().filter(|frame| frame.row > 0) {
        let [red, _, blue] = colour(frame);
        if frame.tooltip.contains("; +") {
            more += usize::from(red > blue);
            assert!(red >= blue, "{frame:?}");
        } else if frame.tooltip.contains("; -") {
            less += usize::from(blue > red);
            assert!(blue >= red, "{frame:?}");
        }
    }
    assert!(more > 0 && less > 0, "{more} red, {less} blue");
}
