//! The whole way of a comparison.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hotproof_diff::changes::{Changed, Joiner};
use hotproof_diff::{Comparison, Function, Metric, OutputCheck, RefFacts, Side};

use crate::build::{self, Place};
use crate::error::LabError;
use crate::event::{Checkout, Event, Observer};
use crate::options::{self, Adaptive, Options};
use crate::pairs::Pairs;
use crate::program::{self, Program};
use crate::scratch::Scratch;
use crate::{changes, coin, command, facts, git, leftovers, seed};

/// Checks out both refs, builds them, runs them in pairs, and returns everything that was
/// measured.
///
/// When nothing but comments changed, nothing is built or run unless `force` says so: the
/// comparison then has no pairs.
///
/// # Errors
/// See [`LabError`]; its class says whose fault it is. Whatever was made is removed by then.
pub fn compare(options: &Options, observer: &mut dyn Observer) -> Result<Comparison, LabError> {
    if options.command.is_empty() {
        return Err(LabError::NoCommand);
    }
    if options.adaptive == Adaptive::Refuse {
        program::refuse_adaptive_command(&options.command)?;
    }
    let mut question = Question::ask(options, observer)?;
    leftovers::remove(&question.top);
    let changed = question.changed(options, observer)?;
    if changed.code_changed || options.force {
        question.measure(options, &changed, observer)?;
    } else {
        question.comparison.functions = functions_of(&changed);
    }
    Ok(question.comparison)
}

/// What is compared, and what is known so far.
struct Question {
    top: PathBuf,
    /// Where the user stands, without symbolic links.
    user: PathBuf,
    /// The same, relative to the top.
    subdirectory: PathBuf,
    comparison: Comparison,
}

impl Question {
    fn ask(options: &Options, observer: &mut dyn Observer) -> Result<Question, LabError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| LabError::File {
                action: "find",
                path,
                source,
            }
        };
        let user = fs::canonicalize(&options.directory).map_err(failed(&options.directory))?;
        let top = git::top(&user)?;
        let top = fs::canonicalize(&top).map_err(failed(&top))?;
        let subdirectory = user.strip_prefix(&top).unwrap_or(Path::new("")).to_owned();
        let mut refs = Vec::new();
        for (side, name) in [(Side::Base, &options.base), (Side::Head, &options.head)] {
            let facts = git::resolve(&top, name)?;
            observer.event(&Event::Resolved {
                side,
                facts: &facts,
            });
            refs.push(facts);
        }
        let seed = options.seed.map_or_else(coin::draw_seed, Ok);
        let seed = seed.map_err(|source| LabError::File {
            action: "draw a seed from",
            path: "/dev/urandom".into(),
            source,
        })?;
        let mut question = Question {
            top,
            user,
            subdirectory,
            comparison: empty(options, refs, seed),
        };
        question.tell_uncommitted(options, observer)?;
        Ok(question)
    }

    fn notice(&mut self, text: String, observer: &mut dyn Observer) {
        observer.event(&Event::Notice(&text));
        self.comparison.warnings.push(text);
    }

    fn tell_uncommitted(
        &mut self,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<(), LabError> {
        let files = git::uncommitted(&self.top, &options.stop)?;
        let others = match files.len() {
            0 => return Ok(()),
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let text = format!(
            "uncommitted changes are not measured ({}{others}): commit them to a ref first",
            files[0]
        );
        self.notice(text, observer);
        Ok(())
    }

    fn changed(
        &mut self,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<Changed, LabError> {
        let (base, head) = (&self.comparison.base, &self.comparison.head);
        let functions = options.functions.as_deref();
        let changed = changes::find(&self.top, base, head, functions, &options.stop)?;
        self.comparison.outside.clone_from(&changed.outside);
        self.comparison.code_changed = changed.code_changed;
        observer.event(&Event::Changed {
            functions: &functions_of(&changed),
            outside: &changed.outside,
            code_changed: changed.code_changed,
        });
        Ok(changed)
    }

    /// Everything that needs checkouts.
    fn measure(
        &mut self,
        options: &Options,
        changed: &Changed,
        observer: &mut dyn Observer,
    ) -> Result<(), LabError> {
        let mut scratch = Scratch::new()?;
        let places = self.check_out(&mut scratch, options, observer)?;
        self.build(&places, options, observer)?;
        let programs = self.prepare(&places, options, observer)?;
        let mut joiner = Joiner::new(changed);
        let [base, head, copy] = &places;
        let root = |place: &Place| place.top.to_string_lossy().into_owned();
        let read = |place: &Place| {
            let top = place.top.clone();
            move |path: &str| fs::read(top.join(path)).ok()
        };
        joiner.side(Side::Base, &[&root(base), &root(copy)], read(base));
        joiner.side(Side::Head, &[&root(head)], read(head));
        let before = facts::CpuTicks::now();
        let governor = facts::governor();
        let mut pairs = Pairs::new(options, &scratch, joiner, programs);
        pairs.run(options, &mut self.comparison, observer)?;
        self.comparison.machine.stolen_pct = before
            .zip(facts::CpuTicks::now())
            .and_then(|(before, after)| after.stolen_pct_since(before));
        if facts::governor() != governor {
            let text = "the frequency governor changed during the measurement".to_owned();
            self.notice(text, observer);
        }
        Ok(())
    }

    fn check_out(
        &mut self,
        scratch: &mut Scratch,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<[Place; 3], LabError> {
        let base = self.place(scratch, Checkout::Base, options)?;
        let head = self.place(scratch, Checkout::Head, options)?;
        let copy = self.place(scratch, Checkout::Copy, options)?;
        if [&base, &head]
            .iter()
            .any(|place| place.top.join(".gitmodules").exists())
        {
            let text = "submodules are not checked out: what they hold is missing from both sides";
            self.notice(text.to_owned(), observer);
        }
        Ok([base, head, copy])
    }

    fn place(
        &self,
        scratch: &mut Scratch,
        checkout: Checkout,
        options: &Options,
    ) -> Result<Place, LabError> {
        let facts = match checkout {
            Checkout::Base | Checkout::Copy => &self.comparison.base,
            Checkout::Head => &self.comparison.head,
        };
        let top = scratch.check_out(&self.top, checkout, &facts.commit, &options.stop)?;
        let place = Place {
            checkout,
            name: facts.name.clone(),
            directory: top.join(&self.subdirectory),
            top,
        };
        if !place.directory.is_dir() {
            return Err(LabError::NoSubdirectory {
                place: place.describe(),
                subdirectory: self.subdirectory.clone(),
            });
        }
        Ok(place)
    }

    fn build(
        &mut self,
        places: &[Place; 3],
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<(), LabError> {
        let mut slow_base = None;
        for place in places {
            let recipe = build::recipe(&options.build, place, &options.command, &options.stop)?;
            let Some(recipe) = recipe else { continue };
            let shared = build::share_lock_file(place, &self.user)?;
            if let Some(text) = shared.filter(|_| place.checkout != Checkout::Copy) {
                self.notice(text, observer);
            }
            let started = Instant::now();
            let with_base = match (&slow_base, &recipe.workspace) {
                (Some(base), Some(own)) => seed::share(base, own, &place.top, &options.stop)?,
                _ => false,
            };
            let note = if with_base {
                " (dependencies shared with base)"
            } else {
                ""
            };
            observer.event(&Event::BuildStarted {
                checkout: place.checkout,
                command: &format!("{}{note}", recipe.line()),
            });
            recipe.build(place, &options.stop)?;
            let took = started.elapsed();
            observer.event(&Event::BuildFinished {
                checkout: place.checkout,
                seconds: took.as_secs_f64(),
            });
            if place.checkout == Checkout::Base && took >= seed::WORTH_SHARING {
                slow_base = recipe.workspace;
            }
        }
        Ok(())
    }

    /// The command of each checkout, once it is known to make sense.
    fn prepare(
        &mut self,
        places: &[Place; 3],
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<[(Place, Vec<OsString>); 3], LabError> {
        let mut words = command::expand_root(&options.command, &self.top);
        let directories = places.each_ref().map(|place| place.directory.as_path());
        for text in command::pass_user_files(&mut words, &self.user, &directories) {
            self.notice(text, observer);
        }
        self.comparison.command = command::display(&words);
        let [base, head, copy] = places
            .each_ref()
            .map(|place| self.program(&words[0], place));
        let (base, head) = (base?, head?);
        copy?;
        self.refuse(options, &base, &head, &words[1..])?;
        if let Some(text) = self.same_program(&base, &head) {
            self.notice(text, observer);
        }
        Ok(places
            .each_ref()
            .map(|place| (place.clone(), words.clone())))
    }

    /// Says so when different trees give one program: what is measured then is noise.
    fn same_program(&self, base: &Program, head: &Program) -> Option<String> {
        let differ = self.comparison.base.tree != self.comparison.head.tree;
        let same = differ
            && base.path != head.path
            && !program::is_script(&base.path)
            && program::is_same_program(&base.path, &head.path).unwrap_or(false);
        same.then(|| {
            format!(
                "base and head differ, but {} holds the same code and data in both: what is measured is the machine's noise",
                self.comparison.command[0]
            )
        })
    }

    fn program(&self, word: &OsString, place: &Place) -> Result<Program, LabError> {
        let path = command::resolve_program(word, place, &self.user);
        let path = path.map_err(|reason| LabError::NoProgram {
            place: place.describe(),
            program: word.to_string_lossy().into_owned(),
            reason,
        })?;
        Ok(Program {
            place: place.clone(),
            path,
        })
    }

    fn refuse(
        &self,
        options: &Options,
        base: &Program,
        head: &Program,
        arguments: &[OsString],
    ) -> Result<(), LabError> {
        if options.adaptive == Adaptive::Refuse {
            program::refuse_adaptive_program(base, arguments)?;
            program::refuse_adaptive_program(head, arguments)?;
        }
        if self.comparison.base.tree == self.comparison.head.tree {
            return options::check(&options.stop);
        }
        program::refuse_same_program(base, head, arguments)
    }
}

fn empty(options: &Options, refs: Vec<RefFacts>, seed: u64) -> Comparison {
    let mut refs = refs.into_iter();
    let mut next = || {
        refs.next().unwrap_or_else(|| RefFacts {
            name: String::new(),
            commit: String::new(),
            tree: String::new(),
            subject: String::new(),
        })
    };
    Comparison {
        command: command::display(&options.command),
        base: next(),
        head: next(),
        machine: facts::machine(),
        rule: options.effective_rule(),
        metric: Metric::CpuTime,
        metric_reason: None,
        seed,
        placebo: Vec::new(),
        pairs: Vec::new(),
        functions: Vec::new(),
        outside: Vec::new(),
        code_changed: false,
        output: OutputCheck::Same,
        warnings: Vec::new(),
        budget_used_up: false,
    }
}

/// The changed functions as rows of the comparison.
fn functions_of(changed: &Changed) -> Vec<Function> {
    Joiner::new(changed).functions()
}
