//! The whole way of a comparison.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use hotproof_diff::changes::{Changed, Joiner};
use hotproof_diff::statistics::FEWEST_PAIRS;
use hotproof_diff::{
    Comparison, Function, Metric, OutputCheck, RefFacts, Setup, SharedTime, Side, TestCheck,
    text_of_bytes,
};

use crate::build::{self, Place};
use crate::callgrind::Valgrind;
use crate::error::LabError;
use crate::event::{Event, Observer};
use crate::harness::Harness;
use crate::options::{self, Adaptive, Build, Options, ProductKind};
use crate::pairs::Pairs;
use crate::program::{self, Program};
use crate::resume::Earlier;
use crate::run::Task;
use crate::scratch::Scratch;
use crate::sites::{self, Site};
use crate::{changes, coin, command, facts, git, identity, leftovers, resume, submodules};

/// Checks out both refs, builds them, runs them in pairs, and returns everything that was
/// measured.
///
/// When nothing but comments changed, nothing is built or run unless `force` says so: the
/// comparison then has no pairs.
///
/// # Errors
/// See [`LabError`]; its class says whose fault it is. Whatever was made is removed by then.
pub fn compare(options: &Options, observer: &mut dyn Observer) -> Result<Comparison, LabError> {
    compare_into(options, observer, &mut None)
}

/// As [`compare`]; what was measured before a failure or an interruption is left in `partial`,
/// which is `None` when no pair was added to the earlier ones.
///
/// # Errors
/// As [`compare`].
pub fn compare_into(
    options: &Options,
    observer: &mut dyn Observer,
    partial: &mut Option<Comparison>,
) -> Result<Comparison, LabError> {
    if options.workload.command.is_empty() && options.workload.product.is_none() {
        return Err(LabError::NoCommand);
    }
    if options.adaptive == Adaptive::Read && options.workload.product.is_none() {
        program::refuse_adaptive_command(&options.workload.command)?;
    }
    if options.counting.is_some_and(|counting| counting.alone) {
        // Nobody should wait for builds to be told that it is missing.
        Valgrind::find()?;
    }
    let mut question = Question::ask(options, observer)?;
    leftovers::remove(&question.top);
    if let Some(cache) = &options.cache {
        sites::forget_abandoned(&question.top, cache);
    }
    let changed = question.changed(options, observer)?;
    if changed.code_changed || options.force {
        let measured = question.measure(options, &changed, observer);
        if let Err(error) = measured {
            *partial = resume::worth_keeping(question.comparison, options.earlier.as_ref());
            return Err(error);
        }
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
        let user = if options.below.as_os_str().is_empty() {
            user
        } else {
            let below = user.join(&options.below);
            fs::canonicalize(&below).map_err(failed(&below))?
        };
        let subdirectory = user.strip_prefix(&top).unwrap_or(Path::new("")).to_owned();
        let mut refs = Vec::new();
        for (side, name) in [(Side::Base, &options.base), (Side::Head, &options.head)] {
            let facts = match side {
                Side::Head if options.dirty => git::working_tree(&top, &options.stop)?,
                _ => git::resolve(&top, name)?,
            };
            // The user knows the refs of a logged comparison by the names that they had then.
            let named = options.earlier.as_ref().map(|earlier| match side {
                Side::Base => &earlier.base,
                Side::Head => &earlier.head,
            });
            observer.event(&Event::Resolved {
                side,
                facts: named.unwrap_or(&facts),
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
        question.comparison.setup.directory = text_of(&question.subdirectory);
        for text in &options.notices {
            question.notice(text.clone(), observer);
        }
        question.tell_uncommitted(options, observer)?;
        question.tell_few_pairs(options, observer);
        Ok(question)
    }

    fn notice(&mut self, text: String, observer: &mut dyn Observer) {
        observer.event(&Event::Notice(&text));
        self.comparison.warnings.push(text);
    }

    /// So few pairs come to no verdict, which is better known before they are run.
    fn tell_few_pairs(&mut self, options: &Options, observer: &mut dyn Observer) {
        let earlier = options.earlier.as_ref().map_or(0, |it| it.pairs.len());
        let counts_alone = options.counting.is_some_and(|counting| counting.alone);
        let Some(pairs) = options.pairs else { return };
        if counts_alone || pairs + earlier >= FEWEST_PAIRS {
            return;
        }
        let text = format!(
            "--pairs {pairs} is too few: no verdict comes of fewer than {FEWEST_PAIRS} pairs"
        );
        self.notice(text, observer);
    }

    fn tell_uncommitted(
        &mut self,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<(), LabError> {
        if options.dirty {
            return Ok(());
        }
        let files = git::uncommitted(&self.top, &options.stop)?;
        let others = match files.len() {
            0 => return Ok(()),
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let text = format!(
            "uncommitted changes are not measured ({}{others}): commit them, or measure them with --dirty",
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
        let scratch = Scratch::new()?;
        let sites = self.sites(&scratch, options, observer)?;
        if let Some(test) = &options.test {
            self.test(&sites[1], test, &scratch, options, observer)?;
        }
        let seats = self.prepare(&sites, options, scratch.folder().path(), observer)?;
        let mut joiner = Joiner::new(changed);
        let [base, head, copy] = sites.each_ref().map(|site| &site.place);
        let root = |place: &Place| place.top.to_string_lossy().into_owned();
        let read = |place: &Place| {
            let top = place.top.clone();
            move |path: &str| fs::read(top.join(path)).ok()
        };
        joiner.side(Side::Base, &[&root(base), &root(copy)], read(base));
        joiner.side(Side::Head, &[&root(head)], read(head));
        let earlier = options.earlier.clone();
        let earlier = earlier
            .map(|logged| Earlier::put_in_front(logged, &mut self.comparison))
            .transpose()?;
        let before = facts::CpuTicks::now();
        let governor = facts::governor();
        let layouts = sites.each_ref().map(|site| site.layouts.clone());
        // Base and head are built alike, so that one of them tells.
        if let Some(base) = &layouts[0] {
            for text in base.what_stays_together(options.layouts) {
                self.notice(text, observer);
            }
        }
        let mut pairs = Pairs::new(options, &scratch, joiner, seats, layouts);
        let ran = pairs.run(options, &mut self.comparison, observer);
        self.comparison.machine.stolen_pct = before
            .zip(facts::CpuTicks::now())
            .and_then(|(before, after)| after.stolen_pct_since(before));
        if let Some(earlier) = earlier {
            earlier.restore(&mut self.comparison);
        }
        ran?;
        if facts::governor() != governor {
            let text = "the frequency governor changed during the measurement".to_owned();
            self.notice(text, observer);
        }
        Ok(())
    }

    fn sites(
        &mut self,
        scratch: &Scratch,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<[Site; 3], LabError> {
        let mut notices = Vec::new();
        let order = sites::Order {
            options,
            top: &self.top,
            user: &self.user,
            subdirectory: &self.subdirectory,
            base: &self.comparison.base,
            head: &self.comparison.head,
        };
        let filled = order.fill(scratch, &mut notices, observer);
        for text in notices {
            self.notice(text, observer);
        }
        filled
    }

    /// Runs the project's tests in a checkout of head that is not measured.
    fn test(
        &mut self,
        head: &Site,
        line: &str,
        scratch: &Scratch,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<(), LabError> {
        observer.event(&Event::Testing { command: line });
        let path = scratch.folder().path().join("test");
        let commit = &self.comparison.head.commit;
        let worktree = git::Worktree::add(&self.top, path.clone(), commit, &options.stop)?;
        let place = Place {
            directory: path.join(&self.subdirectory),
            top: path,
            ..head.place.clone()
        };
        submodules::check_out(&self.top, &place, commit, scratch, &options.stop)?;
        build::share_lock_file(&place, &self.user)?;
        build::test(line, &place, &options.stop)?;
        drop(worktree);
        self.comparison.tests = TestCheck::Passed;
        Ok(())
    }

    /// What each checkout runs, once it is known to make sense.
    fn prepare(
        &mut self,
        sites: &[Site; 3],
        options: &Options,
        scratch: &Path,
        observer: &mut dyn Observer,
    ) -> Result<[(Place, Task); 3], LabError> {
        let workload = &options.workload;
        let mut words = command::expand_root(&workload.command, &self.top);
        if let Some(product) = &workload.product {
            words.insert(0, command::display_of(product).into());
        }
        let directories = sites.each_ref().map(|site| site.place.directory.as_path());
        for text in command::pass_user_files(&mut words, &self.user, &directories) {
            self.notice(text, observer);
        }
        let [base, head, copy] = sites.each_ref().map(|site| self.program(&words[0], site));
        let (base, head) = (base?, head?);
        copy?;
        let harness = self.harness(options, &base, &head, &mut words, observer);
        self.comparison.command = command::display(&words);
        self.comparison.setup.harness = harness.map(|harness| harness.name().to_owned());
        self.refuse(options, &base, &head, &words[1..])?;
        if let Some(text) = self.same_program(&base, &head) {
            self.notice(text, observer);
        }
        let stdin = self.stdin(options, &directories, observer);
        Ok(sites.each_ref().map(|site| {
            let task = command::task(site, &words, workload, harness, scratch, stdin.as_deref());
            (site.place.clone(), task)
        }))
    }

    /// Who times itself, with the arguments that make it quick.
    fn harness(
        &mut self,
        options: &Options,
        base: &Program,
        head: &Program,
        words: &mut Vec<OsString>,
        observer: &mut dyn Observer,
    ) -> Option<Harness> {
        if options.workload.script {
            return Some(Harness::Script);
        }
        if options.adaptive == Adaptive::Accept {
            return None;
        }
        let product = options.workload.product.as_ref();
        let is_bench = product.is_some_and(|it| it.kind == ProductKind::Bench);
        let found = [base, head]
            .iter()
            .find_map(|side| program::harness(side, &words[1..], is_bench))?;
        if found.is_program {
            found.harness.complete(words);
        }
        let text = format!(
            "{} repeats its benchmarks until a time is over: what it reports of one iteration is compared",
            found.harness.name()
        );
        observer.event(&Event::Notice(&text));
        Some(found.harness)
    }

    /// The workload's standard input: each ref's own file, or the user's where a ref lacks it.
    fn stdin(
        &mut self,
        options: &Options,
        directories: &[&Path],
        observer: &mut dyn Observer,
    ) -> Option<PathBuf> {
        let file = options.workload.stdin.as_deref()?;
        if directories.iter().all(|place| place.join(file).is_file()) {
            return Some(file.to_owned());
        }
        let own = self.user.join(file);
        let text = format!(
            "{} is not part of both refs: the file in your working tree is the input of both",
            file.display()
        );
        self.notice(text, observer);
        Some(own)
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

    fn program(&self, word: &OsString, site: &Site) -> Result<Program, LabError> {
        let place = &site.place;
        let path = match &site.executable {
            Some(path) => Ok(path.clone()),
            None => command::resolve_program(word, place, &self.user),
        };
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
        if self.comparison.base.tree == self.comparison.head.tree {
            return options::check(&options.stop);
        }
        program::refuse_same_program(base, head, arguments)
    }
}

pub(crate) fn empty(options: &Options, refs: Vec<RefFacts>, seed: u64) -> Comparison {
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
        command: command::display(&options.workload.command),
        base: next(),
        head: next(),
        machine: facts::machine(),
        rule: options.effective_rule(),
        metric: Metric::CpuTime,
        metric_reason: None,
        shared_time: SharedTime::Cpu,
        seed,
        policy: options.policy.name.clone(),
        setup: setup(options),
        tests: TestCheck::NotRun,
        base_runs: Vec::new(),
        placebo: Vec::new(),
        pairs: Vec::new(),
        functions: Vec::new(),
        outside: Vec::new(),
        code_changed: false,
        output: OutputCheck::Same,
        warnings: Vec::new(),
        budget_used_up: false,
        witness: None,
    }
}

/// A path in the log, of which it comes back.
fn text_of(path: &Path) -> String {
    text_of_bytes(path.as_os_str().as_bytes())
}

/// What it takes to measure the same again, as far as the options say.
fn setup(options: &Options) -> Setup {
    let workload = &options.workload;
    Setup {
        workload: workload.name.clone(),
        build: match &options.build {
            Build::Command(line) => Some(line.clone()),
            Build::Auto | Build::None => None,
        },
        product: workload.product.as_ref().map(ToString::to_string),
        environment: workload.environment.clone(),
        stdin: workload.stdin.as_deref().map(text_of),
        exit_status: workload.exit_status,
        repetitions: workload.repetitions,
        concurrency: workload.concurrency,
        scope: workload.scope.clone(),
        outputs: workload.outputs.iter().map(|file| text_of(file)).collect(),
        functions: options.functions.clone(),
        tools: match options.build {
            Build::None => Vec::new(),
            Build::Auto | Build::Command(_) => identity::tools(&options.directory),
        },
        fixed_work: options.adaptive == Adaptive::Accept,
        layouts: if options.layouts < 2 {
            0
        } else {
            options.layouts
        },
        ..Setup::default()
    }
}

/// The changed functions as rows of the comparison.
fn functions_of(changed: &Changed) -> Vec<Function> {
    Joiner::new(changed).functions()
}
