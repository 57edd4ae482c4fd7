//! `hotproof verdict`: a logged comparison, decided again from what was measured.

use hotproof_diff::conclude;
use hotproof_report::compare::header;

use crate::compare::show;
use crate::compare_arguments::Verdict;
use crate::failure::Outcome;
use crate::output::Voice;
use crate::{log, terminal};

pub(crate) fn run(arguments: &Verdict, voice: Voice) -> Outcome {
    let (comparison, place) = log::read(arguments.log.as_deref())?;
    let conclusion = conclude(&comparison);
    voice.notice(header(&comparison, &conclusion, terminal::width_of_stderr()).trim_end());
    show(&comparison, &conclusion, arguments.json, Some(&place))
}
