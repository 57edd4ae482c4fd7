//! What the workloads of one `hotproof compare` come to together.

use std::path::Path;

use hotproof_diff::Verdict;
use hotproof_report::compare;
use hotproof_report::names::clean;

use crate::compare::show;
use crate::failure::{Exit, Failure, Outcome};
use crate::keep::Keep;
use crate::page::{Measured, Places};
use crate::{log, output};

/// The workloads so far.
pub(crate) struct Several {
    /// How many there are in all.
    count: usize,
    json: bool,
    done: Vec<Measured>,
    documents: Vec<String>,
    failures: Vec<Failure>,
    /// What each came to, in words.
    lines: Vec<String>,
}

impl Several {
    pub(crate) fn new(count: usize, json: bool) -> Several {
        Several {
            count,
            json,
            done: Vec::new(),
            documents: Vec::new(),
            failures: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// Logs what was measured, shows it and writes it into the files of the user.
    pub(crate) fn add(
        &mut self,
        name: &str,
        measured: Measured,
        top: &Path,
        keep: &Keep,
    ) -> Result<(), Failure> {
        let (comparison, conclusion) = (&measured.comparison, &measured.conclusion);
        let logged = log::append(top, comparison, conclusion);
        let place = logged.as_ref().ok().cloned();
        if self.json {
            self.documents.push(compare::json(comparison, conclusion));
        } else {
            if self.count > 1 {
                output::print(&heading(name, self.done.is_empty()))?;
            }
            show(comparison, conclusion, false, place.as_deref())?;
        }
        // The verdict is out; that it could not be logged or written down is still an error.
        let kept = logged.and_then(|place| keep.write(comparison, conclusion, &place));
        if let Err(failure) = kept {
            self.failures.push(self.named(name, failure));
        }
        let verdict = conclusion.verdict.label();
        self.lines.push(format!("{}: {verdict}", clean(name)));
        self.done.push(Measured { place, ..measured });
        Ok(())
    }

    /// Remembers that a workload could not be measured; with which exit.
    pub(crate) fn fail(&mut self, name: &str, failure: Failure) -> Exit {
        let exit = failure.exit();
        self.failures.push(self.named(name, failure));
        self.lines.push(format!("{}: not measured", clean(name)));
        exit
    }

    fn named(&self, name: &str, failure: Failure) -> Failure {
        if self.count > 1 {
            failure.of(&format!("workload {name}"))
        } else {
            failure
        }
    }

    /// Remembers a failure that is no workload's own.
    pub(crate) fn lose(&mut self, failure: Failure) {
        self.failures.push(failure);
    }

    /// Prints and writes what all come to. One failure is returned, an interruption before all others
    /// and else the first; the others are told.
    pub(crate) fn end(mut self, places: Places) -> Outcome {
        if self.json {
            output::print(&joined(&self.documents, self.count > 1))?;
        }
        // The result is out whatever becomes of these.
        if !self.done.is_empty()
            && let Err(failure) = places.write(&self.done, self.count > 1)
        {
            self.failures.push(failure);
        }
        let is_interrupted = |it: &Failure| it.exit() == Exit::Interrupted;
        let chosen = self.failures.iter().position(is_interrupted).unwrap_or(0);
        let failed = (!self.failures.is_empty()).then(|| self.failures.remove(chosen));
        for failure in &self.failures {
            output::say(&failure.to_string());
        }
        let verdict = over_all(self.done.iter().map(|it| it.conclusion.verdict));
        let exit = Exit::Code(verdict.exit_code());
        if self.count > 1 && !self.json && !self.done.is_empty() {
            let word = match &failed {
                None => verdict.label(),
                Some(_) => "failed",
            };
            let exit = failed.as_ref().map_or(exit, Failure::exit);
            output::print(&self.closing(word, exit))?;
        }
        failed.map_or(Ok(exit), Err)
    }

    /// One line for all, since there is one exit code for all.
    fn closing(&self, word: &str, exit: Exit) -> String {
        let untried = self.count - self.lines.len();
        let untried = match untried {
            0 => String::new(),
            more => format!("; {more} not tried"),
        };
        format!(
            "\nAll {} workloads: {word}, exit code {} ({}{untried})\n",
            self.count,
            exit.number(),
            self.lines.join("; ")
        )
    }
}

/// What a screen is headed with where several follow each other.
fn heading(name: &str, is_first: bool) -> String {
    let style = anstyle::Style::new().bold();
    let before = if is_first { "" } else { "\n" };
    format!("{before}{style}Workload {}{style:#}\n", clean(name))
}

/// One document as it is, several as a list; a list of all that there are, where some failed.
fn joined(documents: &[String], is_list: bool) -> String {
    match documents {
        [] => String::new(),
        [one] if !is_list => one.clone(),
        several => {
            let trimmed: Vec<&str> = several.iter().map(|text| text.trim_end()).collect();
            format!("[\n{}\n]\n", trimmed.join(",\n"))
        }
    }
}

/// What several verdicts come to: one regression is one, whatever the others say; what is not
/// decided keeps the whole open; then one gain is enough.
fn over_all(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    const BY_WEIGHT: [Verdict; 12] = [
        Verdict::Refused,
        Verdict::Regression,
        Verdict::MoreInstructions,
        Verdict::Inconclusive,
        Verdict::Keep,
        Verdict::KeepUnattributed,
        Verdict::KeepUnexplained,
        Verdict::KeepMicroOnly,
        Verdict::FewerInstructions,
        Verdict::Discard,
        Verdict::SameInstructions,
        Verdict::NotOnHotPath,
    ];
    let verdicts: Vec<Verdict> = verdicts.collect();
    let mut by_weight = BY_WEIGHT.into_iter();
    by_weight
        .find(|verdict| verdicts.contains(verdict))
        .unwrap_or(Verdict::Inconclusive)
}

#[cfg(test)]
mod tests {
    use super::{joined, over_all};
    use hotproof_diff::Verdict;

    #[test]
    fn one_regression_outweighs_every_gain_and_a_gain_every_still_stand() {
        use Verdict::*;
        for (verdicts, expected) in [
            (&[Keep, Regression, Discard][..], Regression),
            (&[Keep, Inconclusive], Inconclusive),
            (&[Discard, KeepMicroOnly], KeepMicroOnly),
            (&[NotOnHotPath, Discard], Discard),
            (&[NotOnHotPath, NotOnHotPath], NotOnHotPath),
            (&[Keep, Refused], Refused),
        ] {
            assert_eq!(over_all(verdicts.iter().copied()), expected, "{verdicts:?}");
        }
    }

    #[test]
    fn documents_of_several_workloads_are_a_list_also_where_one_is_left() {
        let documents = ["{}\n".to_owned(), "1\n".to_owned()];
        let one = &documents[..1];
        assert_eq!(joined(one, false), "{}\n");
        assert_eq!(joined(one, true), "[\n{}\n]\n");
        assert_eq!(joined(&documents, true), "[\n{},\n1\n]\n");
        assert_eq!(joined(&[], true), "");
    }
}
