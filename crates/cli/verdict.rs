//! `hotproof verdict`: a logged comparison, decided again from what was measured, or with more
//! pairs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::Duration;

use hotproof_diff::{Comparison, Policy, Rule, bytes_of_text, conclude};
use hotproof_lab::{Adaptive, Build, Options, Product, ProductKind, Workload, git};
use hotproof_report::compare::header;

use crate::compare::{failure, measure_at, show};
use crate::compare_arguments::Verdict;
use crate::failure::{Code, Failure, Outcome};
use crate::output::{PendingFile, Voice};
use crate::page::{Measured, write_page};
use crate::{cache, interrupt, log, output, terminal};

pub(crate) fn run(arguments: &Verdict, voice: Voice) -> Outcome {
    let (comparison, place) = log::read(arguments.log.as_deref())?;
    if arguments.resume {
        return resume(comparison, arguments, voice);
    }
    let page = page(arguments)?;
    let conclusion = conclude(&comparison);
    voice.notice(header(&comparison, &conclusion, terminal::width_of_stderr()).trim_end());
    tell(
        Measured::logged(comparison, conclusion, place),
        page,
        arguments,
    )
}

/// Makes sure of all files that are asked for.
fn page(arguments: &Verdict) -> Result<Option<PendingFile>, Failure> {
    arguments.keep.check()?;
    let page = arguments.html.as_deref().map(PendingFile::create);
    page.transpose()
}

/// Prints the result, and writes the page and the files of the user.
fn tell(decided: Measured, page: Option<PendingFile>, arguments: &Verdict) -> Outcome {
    let (comparison, conclusion) = (&decided.comparison, &decided.conclusion);
    let place = decided.place.as_deref();
    let outcome = show(comparison, conclusion, arguments.json, place);
    let record = place.unwrap_or_default();
    let kept = arguments.keep.write(comparison, conclusion, record);
    let paged = page.map_or(Ok(()), |page| write_page(page, &[decided]));
    // The first failure is returned, those after it are told.
    let mut whole = outcome;
    for failure in [kept, paged].into_iter().filter_map(Result::err) {
        match whole {
            Ok(_) => whole = Err(failure),
            Err(_) => output::say(&failure.to_string()),
        }
    }
    whole
}

/// Measures more pairs, and logs all of them together.
fn resume(earlier: Comparison, arguments: &Verdict, voice: Voice) -> Outcome {
    let here = std::env::current_dir().map_err(|error| {
        Failure::new(Code::Failure, format!("cannot tell where we are: {error}"))
    })?;
    let top = git::top(&here).map_err(|error| failure(&error))?;
    if earlier.pairs.is_empty() {
        let what = "this comparison has no pairs to add to";
        return Err(Failure::new(Code::Usage, what).remedy("measure anew with hotproof compare"));
    }
    if earlier.is_of_commands() {
        let what = "a quick look at two commands takes no more pairs";
        return Err(
            Failure::new(Code::Usage, what).remedy("run hotproof ab again, with a larger --budget")
        );
    }
    let (base, head) = (earlier.base.clone(), earlier.head.clone());
    let options = options_of(earlier, &top, arguments)?;
    let page = page(arguments)?;
    let mut comparison = measure_at(Some(&top), &options, voice)?.comparison;
    // As the user wrote them then: the refs may lie elsewhere today.
    (comparison.base, comparison.head) = (base, head);
    let conclusion = conclude(&comparison);
    let place = log::append(&top, &comparison, &conclusion)?;
    tell(
        Measured::logged(comparison, conclusion, place),
        page,
        arguments,
    )
}

/// The options that a logged comparison was measured with, for more pairs.
fn options_of(earlier: Comparison, top: &Path, arguments: &Verdict) -> Result<Options, Failure> {
    let setup = earlier.setup.clone();
    let rule = earlier.rule;
    let mut words: Vec<_> = earlier.command.iter().map(|word| bytes(word)).collect();
    let product = setup.product.as_deref().map(product).transpose()?;
    if product.is_some() && !words.is_empty() {
        // The first word stands for the program.
        words.remove(0);
    }
    let workload = Workload {
        name: setup.workload,
        product,
        environment: setup.environment,
        stdin: setup.stdin.map(|file| bytes(&file).into()),
        exit_status: setup.exit_status,
        repetitions: setup.repetitions.max(1),
        concurrency: setup.concurrency.max(1),
        scope: setup.scope,
        script: setup.harness.as_deref() == Some("script"),
        outputs: setup
            .outputs
            .iter()
            .map(|file| bytes(file).into())
            .collect(),
        ..Workload::command(words)
    };
    Ok(Options {
        functions: setup.functions,
        build: setup.build.map_or(Build::Auto, Build::Command),
        budget: Duration::from_secs_f64(arguments.budget),
        rule: Rule {
            max_pairs: earlier.pairs.len() + arguments.pairs,
            precision_pairs: earlier.pairs.len() + arguments.pairs,
            // Whoever asks for more pairs gets them.
            precision: 0.0,
            ..rule
        },
        policy: Policy {
            name: earlier.policy.clone(),
            metric: Some(earlier.metric),
            gain: rule.gain,
            gain_bytes: None,
            micro_threshold: rule.micro_threshold,
            needs_hot: rule.needs_hot,
            shortest_run_ns: rule.shortest_run_ns,
        },
        layouts: setup.layouts,
        adaptive: if setup.fixed_work {
            Adaptive::Accept
        } else {
            Adaptive::Read
        },
        seed: Some(earlier.seed),
        stop: interrupt::flag()?,
        force: true,
        cache: cache::folder(),
        workload,
        ..Options::new(
            top.join(bytes(&setup.directory)),
            &earlier.base.commit,
            &earlier.head.commit,
            Vec::new(),
        )
    })
    .map(|options| Options {
        earlier: Some(earlier),
        ..options
    })
}

/// A word or path of the log.
fn bytes(text: &str) -> OsString {
    OsString::from_vec(bytes_of_text(text))
}

/// `bench parse`, as the log has it.
fn product(text: &str) -> Result<Product, Failure> {
    let kinds = [ProductKind::Bench, ProductKind::Example, ProductKind::Bin];
    let (kind, name) = text.split_once(' ').unwrap_or_default();
    let kind = kinds.into_iter().find(|known| known.name() == kind);
    match kind {
        Some(kind) => Ok(Product {
            kind,
            name: name.to_owned(),
        }),
        None => Err(Failure::new(
            Code::Usage,
            format!("the log names `{text}`, expected bench, example or bin with a name"),
        )),
    }
}
