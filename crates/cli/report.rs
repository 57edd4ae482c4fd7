//! `hotproof report`: where the time went, by function.

use hotproof_profile::Inline;
use hotproof_report::functions::{self, Options, Sort};
use hotproof_report::{difference, lines, tree};

use crate::arguments::{self, Report, View};
use crate::failure::{Code, Exit, Failure, Outcome};
use crate::transform::Looked;
use crate::{output, source, terminal};

pub(crate) fn run(arguments: &Report) -> Outcome {
    if let Some(text) = view(arguments)? {
        output::print(&text)?;
        return Ok(Exit::SUCCESS);
    }
    let looked = look(arguments)?;
    let profile = looked.profile;
    let options = Options {
        sort: match arguments.sort {
            arguments::Sort::Total => Sort::Total,
            arguments::Sort::SelfTime => Sort::SelfWeight,
            arguments::Sort::Lib => Sort::Library,
        },
        top: arguments.top,
        min_percent: arguments.min_percent,
        focus: arguments.transform.focus.clone(),
        in_focus: looked.in_focus,
        start_up: arguments.transform.start_up(),
        inline: Inline::Expand,
        width: terminal::width(),
    };
    let text = if arguments.json {
        functions::json(&profile, &options)
    } else {
        functions::table(&profile, &options)
    };
    let text = text.map_err(|error| Failure::new(Code::Usage, error.to_string()))?;
    output::print(&text)?;
    Ok(Exit::SUCCESS)
}

/// The profile to show, which must not be two in one.
fn look(arguments: &Report) -> Result<Looked, Failure> {
    let looked = arguments.transform.look(&arguments.profiles)?;
    if !difference::holds_both(&looked.profile) {
        return Ok(looked);
    }
    let what = "the profile is a difference: it holds base and head";
    Err(Failure::new(Code::Usage, what).remedy(
        "`hotproof diff FILE` shows it; --weight base or --weight head takes one column of folded stacks",
    ))
}

/// The tree or lines that were asked for instead of the table.
fn view(arguments: &Report) -> Result<Option<String>, Failure> {
    let view = &arguments.view;
    let chosen = view.tree || view.callers.is_some() || view.callees.is_some();
    if !chosen && view.lines.is_none() {
        return Ok(None);
    }
    let looked = look(arguments)?;
    let (profile, whole) = looked.focused();
    let options = tree::Options {
        top: arguments.top,
        reversed: arguments.transform.reverse,
        depth: arguments.depth,
        // A percentage of at most 100, checked when it was read.
        min_share_millipercent: (arguments.min_percent * 1000.0).round() as u64,
        whole: Some(whole),
        width: terminal::width(),
    };
    let text = match view {
        View {
            callers: Some(name),
            ..
        } => tree::callers(&profile, name, &options),
        View {
            callees: Some(name),
            ..
        } => tree::callees(&profile, name, &options),
        View {
            lines: Some(name), ..
        } => lines::lines(&profile, name, &options, &source::read),
        View { .. } => tree::tree(&profile, &options),
    };
    text.map(Some)
        .map_err(|error| Failure::new(Code::Usage, error.to_string()))
}
