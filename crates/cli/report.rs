//! `hotproof report`: where the time went, by function.

use hotproof_profile::Inline;
use hotproof_report::functions::{self, Options, Sort};

use crate::arguments::{self, Report};
use crate::failure::{Code, Exit, Failure, Outcome};
use crate::{output, terminal};

pub(crate) fn run(arguments: &Report) -> Outcome {
    let looked = arguments.transform.look(&arguments.profiles)?;
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
