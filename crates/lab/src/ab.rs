//! Two commands against each other, where the user stands: the quick look before a comparison.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use hotproof_diff::changes::{Changed, Joiner};
use hotproof_diff::{Comparison, RefFacts, Side, shown};

use crate::build::Place;
use crate::compare::empty;
use crate::error::LabError;
use crate::event::{Checkout, Event, Observer};
use crate::harness::Harness;
use crate::options::{Adaptive, Options};
use crate::pairs::Pairs;
use crate::program::{self, Program};
use crate::schedule::Placebo;
use crate::scratch::Scratch;
use crate::sites::Site;
use crate::{coin, command, facts, git, leftovers};

/// Runs two commands in pairs and returns what was measured: the first one stands for base, the
/// second one for head, with the same coin, test and thresholds as a comparison of refs. Nothing is
/// checked out or built, and no functions are changed ones.
///
/// Of the options count what speaks of runs: directory, rule, budget, seed, sampling, metric.
///
/// # Errors
/// See [`LabError`].
pub fn ab(
    options: &Options,
    commands: [Vec<OsString>; 2],
    observer: &mut dyn Observer,
) -> Result<Comparison, LabError> {
    if commands.iter().any(Vec::is_empty) {
        return Err(LabError::NoCommand);
    }
    let directory = fs::canonicalize(&options.directory).map_err(|source| LabError::File {
        action: "find",
        path: options.directory.clone(),
        source,
    })?;
    let seed = options.seed.map_or_else(coin::draw_seed, Ok);
    let seed = seed.map_err(|source| LabError::File {
        action: "draw a seed from",
        path: "/dev/urandom".into(),
        source,
    })?;
    let named = commands.each_ref().map(|words| facts_of(words, &directory));
    let mut comparison = empty(options, named.to_vec(), seed);
    comparison.command = commands.each_ref().map(|words| words_of(words)).to_vec();
    comparison.code_changed = true;
    leftovers::remove_folders(&std::env::temp_dir());
    let scratch = Scratch::new()?;
    let [first, second] = commands;
    let seats = [
        (Checkout::Base, "a", first.clone()),
        (Checkout::Head, "b", second),
        (Checkout::Copy, "a", first),
    ];
    let mut harnesses = Vec::new();
    let mut made = Vec::new();
    for (checkout, name, mut words) in seats {
        let place = Place {
            checkout,
            name: name.to_owned(),
            top: directory.clone(),
            directory: directory.clone(),
        };
        harnesses.push(harness(options, &place, &mut words)?);
        made.push((place, words));
    }
    let harness = same(&harnesses, observer)?;
    let [base, head, copy] = <[_; 3]>::try_from(made).expect("three seats were made");
    let seats = [base, head, copy].map(|(place, words)| {
        let site = Site::standing(place.clone());
        let workload = &options.workload;
        let task = command::task(
            &site,
            &words,
            workload,
            harness,
            scratch.folder().path(),
            None,
        );
        (place, task)
    });
    let changed = Changed::default();
    let mut joiner = Joiner::new(&changed);
    let root = directory.to_string_lossy().into_owned();
    for side in [Side::Base, Side::Head] {
        let top = directory.clone();
        joiner.side(side, &[&root], move |path: &str| {
            fs::read(top.join(path)).ok()
        });
    }
    let before = facts::CpuTicks::now();
    let mut pairs = Pairs::new(options, &scratch, joiner, seats, [None, None, None]);
    pairs.placebo = Placebo::LeftOut;
    pairs.first_runs = Some(options.budget);
    pairs.run(options, &mut comparison, observer)?;
    comparison.machine.stolen_pct = before
        .zip(facts::CpuTicks::now())
        .and_then(|(before, after)| after.stolen_pct_since(before));
    Ok(comparison)
}

fn words_of(words: &[OsString]) -> String {
    shown(&command::display(words).join(" "))
}

/// A command in the place of a ref; its commit is that of the checkout around it, if there is one.
fn facts_of(words: &[OsString], directory: &Path) -> RefFacts {
    let here = git::top(directory).and_then(|top| git::resolve(&top, "HEAD"));
    let (commit, tree) = here.map_or_else(
        |_| (String::new(), String::new()),
        |facts| (facts.commit, facts.tree),
    );
    RefFacts {
        name: words_of(words),
        commit,
        tree,
        subject: words_of(words),
    }
}

fn harness(
    options: &Options,
    place: &Place,
    words: &mut Vec<OsString>,
) -> Result<Option<Harness>, LabError> {
    let path = command::resolve_program(&words[0], place, &place.directory);
    let path = path.map_err(|reason| LabError::NoProgram {
        place: place.name.clone(),
        program: words[0].to_string_lossy().into_owned(),
        reason,
    })?;
    if options.workload.script {
        return Ok(Some(Harness::Script));
    }
    if options.adaptive == Adaptive::Accept {
        return Ok(None);
    }
    program::refuse_adaptive_command(words)?;
    let program = Program {
        place: place.clone(),
        path,
    };
    let found = program::harness(&program, &words[1..], false);
    if let Some(found) = found.filter(|found| found.is_program) {
        found.harness.complete(words);
    }
    Ok(found.map(|found| found.harness))
}

/// The harness of both; what one reports cannot be held against the process time of the other.
fn same(
    found: &[Option<Harness>],
    observer: &mut dyn Observer,
) -> Result<Option<Harness>, LabError> {
    let (a, b) = (found[0], found[1]);
    if a != b {
        let name = |harness: Option<Harness>| harness.map_or("no harness", Harness::name);
        return Err(LabError::UnlikeFingerprints {
            differences: vec![format!("harness: {} of a, {} of b", name(a), name(b))],
        });
    }
    if let Some(harness) = a.filter(|harness| *harness != Harness::Script) {
        observer.event(&Event::Notice(&format!(
            "{} repeats its benchmarks until a time is over: what it reports of one iteration is compared",
            harness.name()
        )));
    }
    Ok(a)
}
