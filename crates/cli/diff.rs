//! `hotproof diff`: what differs between two profiles.

use std::io::Write;
use std::path::Path;

use hotproof_profile::Profile;
use hotproof_report::difference::{self, Normalize, Options, Sort};

use crate::arguments::{self, Diff, DiffFormat, DiffSort};
use crate::failure::{Code, Exit, Failure, Outcome};
use crate::output::{PendingFile, WriteResult};
use crate::transform::Look;
use crate::{output, terminal};

pub(crate) fn run(arguments: &Diff) -> Outcome {
    let format = format(arguments)?;
    let read = |path: &Path| arguments.transform.read(&[path.to_owned()], Look::Samples);
    let (base, head) = (read(&arguments.base)?, read(&arguments.head)?);
    let normalize = match arguments.normalize {
        arguments::Normalize::None => Normalize::None,
        arguments::Normalize::Total => Normalize::Total,
        arguments::Normalize::Second => Normalize::Second,
    };
    // Whatever is written, profiles that cannot be compared are refused here.
    let value = difference::difference(&base, &head, normalize)
        .map_err(|error| Failure::new(Code::Usage, error.to_string()))?;
    let Some(format) = format else {
        let options = options(arguments);
        let text = if arguments.json {
            difference::json([&base, &head], &value, &options)
        } else {
            difference::table([&base, &head], &value, &options)
        };
        output::print(&text)?;
        return Ok(Exit::SUCCESS);
    };
    let contents = |out: &mut dyn Write| write(&base, &head, normalize, format, out);
    match arguments.output.as_deref() {
        Some(path) if path != Path::new("-") => {
            PendingFile::create(path)?.finish(contents)?;
        }
        _ => output::to_stdout(contents)?,
    }
    Ok(Exit::SUCCESS)
}

fn options(arguments: &Diff) -> Options {
    Options {
        sort: match arguments.sort {
            DiffSort::SelfTime => Sort::SelfWeight,
            DiffSort::Total => Sort::Total,
        },
        top: arguments.top,
        min_percent: arguments.min_percent,
        width: terminal::width(),
    }
}

fn write(
    base: &Profile,
    head: &Profile,
    normalize: Normalize,
    format: DiffFormat,
    out: &mut dyn Write,
) -> WriteResult {
    match format {
        DiffFormat::Folded => difference::folded(base, head, normalize, out)??,
        DiffFormat::Svg => difference::picture(base, head, normalize, out)?,
    }
    Ok(())
}

/// The format of stacks; `None` when the table or JSON is asked for.
fn format(arguments: &Diff) -> Result<Option<DiffFormat>, Failure> {
    let path = match (arguments.format, &arguments.output) {
        (Some(format), _) => return Ok(Some(format)),
        (None, None) => return Ok(None),
        (None, Some(path)) => path,
    };
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("svg") => Ok(Some(DiffFormat::Svg)),
        Some("folded" | "txt") => Ok(Some(DiffFormat::Folded)),
        _ => {
            let what = format!("which format shall {} have?", path.display());
            Err(Failure::new(Code::Usage, what)
                .remedy("say it with -f svg or -f folded, or by the extension of -o"))
        }
    }
}
