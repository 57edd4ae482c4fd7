//! `hotproof confirm`: is a function on the hot path?

use std::time::Duration;

use hotproof_lab::Measurement;
use hotproof_profile::Profile;
use hotproof_report::confirm::{self, Answer};

use crate::arguments::Confirm;
use crate::compare::failure;
use crate::failure::{Code, Exit, Failure, Outcome};
use crate::observer::Screen;
use crate::output::Voice;
use crate::{cache, interrupt, output, terminal};

pub(crate) fn run(arguments: &Confirm, voice: Voice) -> Outcome {
    let transform = &arguments.transform;
    let profiles = if arguments.profiles.is_empty() {
        measured(arguments, voice)?
    } else {
        let read = arguments.profiles.iter().map(|path| transform.file(path));
        read.collect::<Result<_, _>>()?
    };
    let transformed = profiles.into_iter().map(|profile| transform.one(profile));
    let profiles: Vec<Profile> = transformed.collect::<Result<_, _>>()?;
    let runs: Vec<&Profile> = profiles.iter().collect();
    let floor = arguments.floor / 100.0;
    let answers: Result<Vec<Answer>, _> = arguments
        .functions
        .iter()
        .map(|name| confirm::answer(&runs, name, floor))
        .collect();
    let answers = answers.map_err(|error| Failure::new(Code::Usage, error.to_string()))?;
    output::print(&text(&answers, arguments))?;
    Ok(Exit::Code(confirm::exit_code(&answers)))
}

fn text(answers: &[Answer], arguments: &Confirm) -> String {
    if arguments.json {
        return confirm::json(answers);
    }
    let width = terminal::width();
    let screens: Vec<String> = answers
        .iter()
        .map(|answer| confirm::screen(answer, width))
        .collect();
    screens.join("\n")
}

/// The profiles of repeated runs of the command.
fn measured(arguments: &Confirm, voice: Voice) -> Result<Vec<Profile>, Failure> {
    if arguments.command.is_empty() {
        return Err(
            Failure::new(Code::Usage, "where shall the function be looked for?")
                .remedy("name a profile with --profile FILE, or a command after `--`"),
        );
    }
    let directory = std::env::current_dir().map_err(|error| {
        Failure::new(Code::Failure, format!("cannot tell where we are: {error}"))
    })?;
    let measurement = Measurement {
        directory,
        command: arguments.command.clone(),
        runs: arguments.runs,
        budget: Duration::from_secs_f64(arguments.budget),
        timeout: Duration::from_secs_f64(arguments.timeout),
        cache: cache::folder(),
        stop: interrupt::flag()?,
    };
    let mut screen = Screen::new(voice);
    let measured = hotproof_lab::measure(&measurement, &mut screen);
    screen.finish();
    let measured = measured.map_err(|error| failure(&error))?;
    for warning in &measured.warnings {
        voice.notice(&format!("  note     {warning}"));
    }
    Ok(measured.runs.into_iter().map(|run| run.profile).collect())
}
