//! `hotproof ab`: two commands against each other, in ten seconds.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;
use hotproof_diff::{Rule, conclude};
use hotproof_lab::{Options, Sampling, Workload, git};

use crate::arguments::{percent, positive_percent, seconds};
use crate::compare::{failure, show};
use crate::compare_arguments::MetricName;
use crate::failure::{Code, Failure, Outcome};
use crate::observer::Screen;
use crate::output::Voice;
use crate::{interrupt, log};

/// Compare two commands where you stand, in a few seconds
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof ab ./old ./new
  hotproof ab -- ./bench '{old,new}' data.json     quoted, so that the shell leaves it alone
  hotproof ab './bench --fast no' './bench --fast yes' --profile

A quick look with the pairs, the test and the thresholds of compare, but without builds, refs and
changed functions: whether the whole program carries the gain is what compare says, and where the
two disagree, compare is right.")]
pub(crate) struct Ab {
    /// Two commands, each in one word; or, with braces in it, one command after --
    #[arg(value_name = "CMD", required = true)]
    pub(crate) commands: Vec<OsString>,
    /// Seconds for all runs together
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = seconds)]
    pub(crate) budget: f64,
    /// Seconds that one run may take
    #[arg(long, value_name = "S", default_value_t = 60.0, value_parser = seconds)]
    pub(crate) timeout: f64,
    /// A gain smaller than this may come from code layout alone
    #[arg(long, value_name = "PERCENT", default_value_t = 0.5, value_parser = percent)]
    pub(crate) margin: f64,
    /// The smallest change that matters
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = positive_percent)]
    pub(crate) min_effect: f64,
    /// What decides; by default CPU time, or wall time for programs that wait
    #[arg(long, value_name = "METRIC")]
    pub(crate) metric: Option<MetricName>,
    /// The commands print a JSON object of names and seconds
    #[arg(long)]
    pub(crate) script: bool,
    /// Sample the runs, and show the functions
    #[arg(long)]
    pub(crate) profile: bool,
    /// Compare commands that print different things
    #[arg(long)]
    pub(crate) allow_different_output: bool,
    /// Seed of the coin that orders each pair
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(arguments: &Ab, voice: Voice) -> Outcome {
    let directory = std::env::current_dir().map_err(|error| {
        Failure::new(Code::Failure, format!("cannot tell where we are: {error}"))
    })?;
    let options = Options {
        budget: Duration::from_secs_f64(arguments.budget),
        timeout: Duration::from_secs_f64(arguments.timeout),
        rule: Rule {
            margin: arguments.margin / 100.0,
            minimum_effect: arguments.min_effect / 100.0,
            allow_different_output: arguments.allow_different_output,
            ..Rule::default()
        },
        metric: arguments.metric.map(Into::into),
        sampling: if arguments.profile {
            Sampling::WherePermitted
        } else {
            Sampling::Off
        },
        workload: Workload {
            script: arguments.script,
            ..Workload::command(Vec::new())
        },
        seed: arguments.seed,
        stop: interrupt::flag()?,
        ..Options::new(&directory, "a", "b", Vec::new())
    };
    let commands = two_commands(&arguments.commands)?;
    let mut screen = Screen::new(voice);
    let measured = hotproof_lab::ab(&options, commands, &mut screen);
    screen.finish();
    let comparison = measured.map_err(|error| failure(&error))?;
    let conclusion = conclude(&comparison);
    // Outside of a checkout there is nothing that could be compared later.
    let logged = git::top(&directory)
        .ok()
        .map(|top| log::append_ab(&top, &comparison, &conclusion))
        .transpose();
    // What was measured is shown also when it cannot be logged.
    let place = logged.as_ref().ok().and_then(Option::as_deref);
    let shown = show(&comparison, &conclusion, arguments.json, place)?;
    logged.and(Ok(shown))
}

/// Two words are two commands; more are one command with a choice in braces.
fn two_commands(words: &[OsString]) -> Result<[Vec<OsString>; 2], Failure> {
    let texts: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    if let Some(wrong) = texts.iter().find(|word| has_other_choices(word)) {
        return Err(
            Failure::new(Code::Usage, "a choice in braces is one of two").read((*wrong).to_owned()).remedy(
                "write it as {old,new}; for braces that are no choice, put the command into a script",
            ),
        );
    }
    // The index is that among all words: one that is no text stands among them.
    let choices: Vec<(usize, &str, &str, &str, &str)> = words
        .iter()
        .enumerate()
        .filter_map(|(index, word)| {
            let (before, rest) = word.to_str()?.split_once('{')?;
            let (inside, after) = rest.split_once('}')?;
            let (a, b) = inside.split_once(',').filter(|(_, b)| !b.contains(','))?;
            Some((index, before, a, b, after))
        })
        .collect();
    if !choices.is_empty() {
        let with = |second: bool| {
            let mut words = words.to_vec();
            for &(index, before, a, b, after) in &choices {
                let chosen = if second { b } else { a };
                words[index] = format!("{before}{chosen}{after}").into();
            }
            words
        };
        return Ok([with(false), with(true)]);
    }
    let split = |word: &&str| {
        let words = shlex::split(word).filter(|words| !words.is_empty())?;
        Some(words.into_iter().map(OsString::from).collect())
    };
    if let (2, Some(open)) = (words.len(), texts.iter().find(|word| is_open(word))) {
        return Err(
            Failure::new(Code::Usage, "a quote within a command is not closed")
                .read((*open).to_owned())
                .remedy("close it, or put a backslash before a quote that stands for itself"),
        );
    }
    let commands: Option<Vec<Vec<OsString>>> = texts.iter().map(split).collect();
    match commands.map(<[_; 2]>::try_from) {
        Some(Ok(two)) if texts.len() == words.len() => Ok(two),
        _ => Err(Failure::new(
            Code::Usage,
            "two commands are needed, or one with a choice in braces",
        )
        .read(format!("words: {}", texts.join(" ")))
        .remedy(
            "write hotproof ab ./old ./new, or hotproof ab -- ./bench '{old,new}' with quotes",
        )),
    }
}

/// Whether the whole word is a list in braces, as `{1,2,3}`, that is none of two.
fn has_other_choices(word: &str) -> bool {
    let inside = word
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .filter(|inside| !inside.contains(['{', '}', ' ', '"']));
    inside.is_some_and(|inside| inside.matches(',').count() > 1)
}

/// Whether a command cannot be split into words, although it has some.
fn is_open(command: &str) -> bool {
    shlex::split(command).is_none()
}

#[cfg(test)]
mod tests {
    use super::two_commands;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn two_commands_are_two_words_or_one_with_braces() {
        let split = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            two_commands(&words).map(|two| {
                two.map(|words| {
                    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
                    words.join("|")
                })
            })
        };
        let two = |words: &[&str]| split(words).unwrap();
        assert_eq!(two(&["./a", "./b 'x y'"]), ["./a", "./b|x y"]);
        assert_eq!(
            two(&["./bench", "{a,b}", "-n{1,2}"]),
            ["./bench|a|-n1", "./bench|b|-n2"]
        );
        for wrong in [&["./bench", "a", "b"][..], &["./a"], &["./a", ""]] {
            let error = split(wrong).unwrap_err().to_string();
            assert!(error.contains("two commands"), "{error}");
        }
    }

    /// What is written almost right is told apart from a command.
    #[test]
    fn three_choices_and_open_quotes_are_named() {
        for (words, says) in [
            (&["./p", "{1,2,3}"][..], "one of two"),
            (&["kill 'x", "true"], "not closed"),
            (&["true", "echo \"x"], "not closed"),
        ] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let error = two_commands(&words).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let json: Vec<OsString> = ["echo", "{\"a\":1,\"b\":2,\"c\":3}", "{1,2}"]
            .map(OsString::from)
            .into();
        two_commands(&json).unwrap();
    }

    #[test]
    fn a_word_that_is_no_text_is_passed_on_and_moves_no_choice() {
        let binary = OsString::from_vec(b"\xffA".to_vec());
        let words = ["x".into(), binary.clone(), "{a,b}".into(), "last".into()];
        let [a, b] = two_commands(&words).unwrap();
        assert_eq!(a, ["x".into(), binary.clone(), "a".into(), "last".into()]);
        assert_eq!(b, ["x".into(), binary, "b".into(), "last".into()]);
    }
}
