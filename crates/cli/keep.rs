//! The files of the user that a comparison is written into.

use std::path::Path;

use hotproof_diff::{Comparison, Conclusion};
use hotproof_report::compare::{handoff, tsv};

use crate::compare_arguments::Compare;
use crate::failure::{Code, Failure};
use crate::output::PendingFile;

/// Writes the row of `--tsv` and the block of `--handoff`; `record` is where the log has it.
pub(crate) fn write(
    arguments: &Compare,
    comparison: &Comparison,
    conclusion: &Conclusion,
    record: &str,
) -> Result<(), Failure> {
    if let Some(path) = &arguments.tsv {
        rewrite(path, |text| tsv(text, comparison, conclusion))?;
    }
    if let Some(path) = &arguments.handoff {
        let block = |text: &str| handoff(text, comparison, conclusion, Some(record));
        rewrite(path, block)?;
    }
    Ok(())
}

/// Replaces the text of a file; one that does not exist is empty.
fn rewrite(path: &Path, with: impl FnOnce(&str) -> String) -> Result<(), Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            let what = format!("cannot read {}: {error}", path.display());
            return Err(Failure::new(Code::Failure, what)
                .remedy("name a text file that can be read, or a new one"));
        }
    };
    let text = with(&text);
    let file = PendingFile::create(path)?;
    file.finish(|out| Ok(out.write_all(text.as_bytes())?))?;
    Ok(())
}
