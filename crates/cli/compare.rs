//! `hotproof compare`: from two refs to a verdict.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use hotproof_diff::{Comparison, Conclusion, Policy, Rule, conclude};
use hotproof_formats::import;
use hotproof_lab::{
    Adaptive, Build, Counting, ErrorClass, LabError, Options, Product, ProductKind, Workload, git,
    workload::{candidates, only},
};
use hotproof_report::compare;

use crate::compare_arguments::{Chosen, Compare, CompareOptions, Engine, MetricName};
use crate::failure::{Code, Exit, Failure, Outcome};
use crate::observer::Screen;
use crate::output::Voice;
use crate::page::{Keeper, Measured};
use crate::several::Several;
use crate::workload::Project;
use crate::{cache, interrupt, log, output, terminal};

pub(crate) fn run(arguments: &Compare, voice: Voice) -> Outcome {
    let directory = std::env::current_dir().map_err(|error| {
        Failure::new(Code::Failure, format!("cannot tell where we are: {error}"))
    })?;
    let top = git::top(&directory).map_err(|error| failure(&error))?;
    let all = questions(arguments, &directory, &top, voice)?;
    let places = arguments.options.leave.prepare()?;
    arguments.keep.check()?;
    let mut whole = Several::new(all.len(), arguments.options.json);
    for options in &all {
        let name = options.workload.name.as_deref().unwrap_or_default();
        if all.len() > 1 {
            voice.notice(&format!("workload {name}"));
        }
        // One that cannot be measured takes nothing from the others.
        match measure_at(Some(&top), options, voice) {
            Ok(measured) => {
                if let Err(failure) = whole.add(name, measured, &top, &arguments.keep) {
                    whole.lose(failure);
                    break;
                }
            }
            Err(failure) => {
                if whole.fail(name, failure) == Exit::Interrupted {
                    break;
                }
            }
        }
    }
    whole.end(places)
}

/// A comparison for each workload.
fn questions(
    arguments: &Compare,
    directory: &Path,
    top: &Path,
    voice: Voice,
) -> Result<Vec<Options>, Failure> {
    let given = &arguments.options;
    let project = Project::load(directory, top)?;
    let product = product(&arguments.chosen);
    let refs = (arguments.base.as_str(), head(arguments)?);
    let make = |workload: Workload| {
        let options = options(given, directory, refs, workload, &project)?;
        Ok(Options {
            dirty: arguments.dirty,
            ..options
        })
    };
    if product.is_some() || !arguments.command.is_empty() {
        let workload = Workload {
            product,
            ..Workload::command(arguments.command.clone())
        };
        return Ok(vec![make(workload)?]);
    }
    let chosen = project.choose(&arguments.workload)?;
    if chosen.is_empty() {
        return Ok(vec![make(discovered(directory, voice)?)?]);
    }
    let count = u32::try_from(chosen.len()).unwrap_or(u32::MAX);
    let one = |named: &&crate::workload::Workload| {
        let mut options = make(named.value()?)?;
        options.below = project.directory_of(named);
        options.rule.workloads = count;
        if let (None, Some(build)) = (&given.build, &named.build) {
            options.build = Build::Command(build.clone());
        }
        if given.engine == Engine::Callgrind {
            options.notices.extend(named.not_counted());
        } else {
            if let (None, Some(policy)) = (&given.policy, &named.policy) {
                options.policy = project.policy(policy)?;
            }
            options.metric = options.metric.or(named.metric.map(Into::into));
        }
        options.test = options.test.or_else(|| named.test.clone());
        Ok(options)
    };
    chosen.iter().map(one).collect()
}

/// The ref with the change; of uncommitted work, what it was made on.
fn head(arguments: &Compare) -> Result<&str, Failure> {
    match &arguments.head {
        Some(head) => Ok(head),
        None if arguments.dirty => Ok("HEAD"),
        None => {
            let base = &arguments.base;
            let what = format!("what shall {base} be compared with?");
            Err(Failure::new(Code::Usage, what).remedy(format!(
                "name the ref with the change, hotproof compare {base} HEAD -- CMD, or measure what is not committed yet with --dirty in its place"
            )))
        }
    }
}

fn product(chosen: &Chosen) -> Option<Product> {
    let named = [
        (ProductKind::Bench, &chosen.bench),
        (ProductKind::Example, &chosen.example),
        (ProductKind::Bin, &chosen.bin),
    ];
    named.into_iter().find_map(|(kind, name)| {
        let name = name.clone()?;
        Some(Product { kind, name })
    })
}

/// The options of the lab, from those of the command line.
pub(crate) fn options(
    given: &CompareOptions,
    directory: &Path,
    (base, head): (&str, &str),
    workload: Workload,
    project: &Project,
) -> Result<Options, Failure> {
    let other = given
        .metric
        .is_some_and(|it| it != MetricName::Instructions);
    if given.engine == Engine::Callgrind && (other || given.policy.is_some()) {
        let what = "--engine callgrind counts instructions and measures nothing else";
        return Err(Failure::new(Code::Usage, what).remedy(
            "leave --metric and --policy away, or take --witness to count instructions beside what is measured",
        ));
    }
    let policy = match &given.policy {
        Some(name) => project.policy(name)?,
        None => Policy::statistical(),
    };
    Ok(Options {
        functions: given.functions.clone(),
        build: given.build.clone().map_or(Build::Auto, Build::Command),
        timeout: Duration::from_secs_f64(given.timeout),
        budget: Duration::from_secs_f64(given.budget),
        pairs: given.pairs,
        rule: Rule {
            margin: given.margin / 100.0,
            minimum_effect: given.min_effect / 100.0,
            precision: given.precision / 100.0,
            allow_different_output: given.allow_different_output,
            ..Rule::default()
        },
        policy,
        metric: given.metric.map(Into::into),
        test: given.test.clone(),
        cache: if given.no_cache {
            None
        } else {
            cache::folder()
        },
        workload: Workload {
            script: workload.script || given.script,
            scope: given.scope.clone().or(workload.scope),
            concurrency: given.concurrency.unwrap_or(workload.concurrency),
            ..workload
        },
        layouts: given.layouts,
        seed: given.seed,
        stop: interrupt::flag()?,
        profiles: given.leave.run_profiles(),
        force: given.force,
        counting: counting(given),
        adaptive: if given.fixed_work {
            Adaptive::Accept
        } else {
            Adaptive::Read
        },
        ..Options::new(directory, base, head, Vec::<OsString>::new())
    })
}

/// Whether and how instructions are counted.
fn counting(given: &CompareOptions) -> Option<Counting> {
    let alone = given.engine == Engine::Callgrind;
    (alone || given.witness).then_some(Counting {
        alone,
        read: |bytes| {
            import::read_as(import::Format::Callgrind, bytes, import::Limits::default())
                .map(|imported| imported.profile)
                .map_err(|error| error.to_string())
        },
    })
}

/// Measures and decides.
pub(crate) fn measure(options: &Options, voice: Voice) -> Result<Measured, Failure> {
    measure_at(None, options, voice)
}

/// As [`measure`]. What was measured before a failure goes into the log of the checkout at `top`,
/// where more pairs can be added to it, and a quick look that promised something else is told of.
pub(crate) fn measure_at(
    top: Option<&Path>,
    options: &Options,
    voice: Voice,
) -> Result<Measured, Failure> {
    let mut keeper = Keeper {
        screen: Screen::new(voice),
        profiles: [None, None],
    };
    let mut partial = None;
    let measured = hotproof_lab::compare_into(options, &mut keeper, &mut partial);
    keeper.screen.finish();
    let mut comparison = match measured {
        Ok(comparison) => comparison,
        Err(error) => {
            if let (Some(top), Some(partial)) = (top, partial) {
                keep_partial(top, partial, &error, voice);
            }
            return Err(failure(&error));
        }
    };
    let conflict = top
        .and_then(log::last_ab)
        .and_then(|ab| hotproof_diff::conflict(&ab, &comparison));
    let warning = conflict.map(|conflict| conflict.sentence());
    comparison.warnings.extend(warning);
    let conclusion = conclude(&comparison);
    Ok(Measured {
        comparison,
        conclusion,
        profiles: keeper.profiles,
        place: None,
    })
}

fn keep_partial(top: &Path, mut partial: Comparison, error: &LabError, voice: Voice) {
    let pairs = partial.pairs.len();
    let text = error.to_string();
    let cause = text.lines().next().unwrap_or_default();
    let warning = format!("the measurement ended early, after {pairs} pairs: {cause}");
    partial.warnings.push(warning);
    let conclusion = conclude(&partial);
    // That it cannot be kept either is not what the user has to act on.
    if let Ok(place) = log::append(top, &partial, &conclusion) {
        voice.notice(&format!(
            "  kept     {pairs} pairs in {place}; `hotproof verdict {place} --resume` adds to them"
        ));
    }
}

/// Prints a comparison and its verdict; the exit code is the verdict's.
pub(crate) fn show(
    comparison: &Comparison,
    conclusion: &Conclusion,
    json: bool,
    place: Option<&str>,
) -> Outcome {
    let text = if json {
        compare::json(comparison, conclusion)
    } else {
        let options = compare::Options {
            width: terminal::width(),
            record: place,
            ..compare::Options::default()
        };
        compare::screen(comparison, conclusion, &options)
    };
    output::print(&text)?;
    Ok(Exit::Code(conclusion.verdict.exit_code()))
}

/// What can only be meant, where nobody said what to measure.
fn discovered(directory: &Path, voice: Voice) -> Result<Workload, Failure> {
    let found = candidates(directory);
    if let Some(candidate) = only(&found) {
        voice.notice(&format!(
            "  workload {}  ({})",
            candidate.typed, candidate.origin
        ));
        return Ok(Workload {
            product: candidate.product.clone(),
            ..Workload::command(candidate.command.clone())
        });
    }
    let found: Vec<String> = found
        .iter()
        .map(|candidate| format!("{}  ({})", candidate.typed, candidate.origin))
        .collect();
    let failure = Failure::new(Code::Usage, "which command shall be measured?").remedy(
        "give it after `--`, choose one of cargo's with --bench, --example or --bin, or name it in hotproof.toml (see `hotproof compare --help`)",
    );
    Err(if found.is_empty() {
        failure
    } else {
        failure.read(found.join("\n           "))
    })
}

/// An error of the lab as an error of the program.
pub(crate) fn failure(error: &LabError) -> Failure {
    let text = error.to_string();
    let code = match error.class() {
        ErrorClass::Usage => Code::Usage,
        ErrorClass::Failure => Code::Failure,
        ErrorClass::Environment => Code::Refused,
        ErrorClass::Target => Code::TargetFailed,
        ErrorClass::Interrupted => return Failure::interrupted(text),
    };
    Failure::new(code, text)
}
