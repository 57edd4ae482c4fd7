//! `hotproof compare`: from two refs to a verdict.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use hotproof_diff::{Comparison, Conclusion, Rule, conclude};
use hotproof_lab::{Adaptive, Build, ErrorClass, LabError, Options, git, workload::candidates};

use hotproof_report::compare;

use crate::arguments::{Compare, CompareOptions};
use crate::failure::{Code, Exit, Failure, Outcome};
use crate::observer::Screen;
use crate::output::Voice;
use crate::{interrupt, log, output, terminal, workload};

pub(crate) fn run(arguments: &Compare, voice: Voice) -> Outcome {
    let directory = std::env::current_dir().map_err(|error| {
        Failure::new(Code::Failure, format!("cannot tell where we are: {error}"))
    })?;
    let top = git::top(&directory).map_err(|error| failure(&error))?;
    let (command, build) = workload_of(arguments, &directory, &top)?;
    let refs = (arguments.base.as_str(), arguments.head.as_str());
    let mut options = options(&arguments.options, &directory, refs, command)?;
    if let Some(build) = build {
        options.build = Build::Command(build);
    }
    measure_and_show(&options, Some(&top), arguments.options.json, voice)
}

/// The options of the lab, from those of the command line.
pub(crate) fn options(
    given: &CompareOptions,
    directory: &Path,
    (base, head): (&str, &str),
    command: Vec<OsString>,
) -> Result<Options, Failure> {
    Ok(Options {
        functions: given.functions.clone(),
        build: given.build.clone().map_or(Build::Auto, Build::Command),
        timeout: Duration::from_secs_f64(given.timeout),
        budget: Duration::from_secs_f64(given.budget),
        pairs: Some(given.pairs),
        rule: Rule {
            margin: given.margin / 100.0,
            minimum_effect: given.min_effect / 100.0,
            max_pairs: given.pairs,
            precision: given.precision / 100.0,
            allow_different_output: given.allow_different_output,
            ..Rule::default()
        },
        seed: given.seed,
        stop: interrupt::flag()?,
        force: given.force,
        adaptive: if given.fixed_work {
            Adaptive::Accept
        } else {
            Adaptive::Refuse
        },
        ..Options::new(directory, base, head, command)
    })
}

/// Measures, logs in the checkout at `top` if there is one to keep, and shows.
pub(crate) fn measure_and_show(
    options: &Options,
    top: Option<&Path>,
    json: bool,
    voice: Voice,
) -> Outcome {
    let mut screen = Screen::new(voice);
    let measured = hotproof_lab::compare(options, &mut screen);
    screen.finish();
    let comparison = measured.map_err(|error| failure(&error))?;
    let conclusion = conclude(&comparison);
    let place = top
        .map(|top| log::append(top, &comparison, &conclusion))
        .transpose();
    let shown = place.as_ref().ok().and_then(Option::as_deref);
    let exit = show(&comparison, &conclusion, json, shown)?;
    // The verdict is out; that it could not be logged is still an error.
    place.map(|_| exit)
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

/// The command to run and how to build for it: from the command line, or from `hotproof.toml`.
fn workload_of(
    arguments: &Compare,
    directory: &Path,
    top: &Path,
) -> Result<(Vec<OsString>, Option<String>), Failure> {
    let build = arguments.options.build.clone();
    if !arguments.command.is_empty() {
        return Ok((arguments.command.clone(), build));
    }
    let workloads = workload::load(directory, top)?;
    let Some(chosen) = workload::choose(&workloads, arguments.workload.as_deref())? else {
        return Err(which_workload(directory));
    };
    Ok((chosen.command()?, build.or_else(|| chosen.build.clone())))
}

fn which_workload(directory: &Path) -> Failure {
    let found: Vec<String> = candidates(directory)
        .iter()
        .map(|candidate| format!("-- {}  ({})", candidate.command, candidate.origin))
        .collect();
    let failure = Failure::new(Code::Usage, "which command shall be measured?")
        .remedy("give it after `--`, or name it in hotproof.toml (see `hotproof compare --help`)");
    if found.is_empty() {
        failure
    } else {
        failure.read(found.join("\n           "))
    }
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
