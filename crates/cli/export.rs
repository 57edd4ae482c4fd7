//! `hotproof export`: a profile in the format of somebody's viewer.

use std::io::Write;
use std::path::Path;

use hotproof_formats::{folded, pprof};
use hotproof_profile::{Inline, Profile};
use hotproof_report::flamegraph;

use crate::arguments::{Export, Format};
use crate::failure::{Code, Exit, Failure, Outcome};
use crate::output::{PendingFile, WriteResult};
use crate::{input, output};

pub(crate) fn run(arguments: &Export) -> Outcome {
    let format = match arguments.format {
        Some(format) => format,
        None => format_of(&arguments.output)?,
    };
    let profile = input::profile(&arguments.profile)?;
    let inline = if arguments.no_inline {
        Inline::Physical
    } else {
        Inline::Expand
    };
    let contents = |out: &mut dyn Write| write(&profile, format, inline, out);
    if arguments.output == Path::new("-") {
        output::to_stdout(contents)?;
    } else {
        PendingFile::create(&arguments.output)?.finish(contents)?;
    }
    Ok(Exit::SUCCESS)
}

fn write(profile: &Profile, format: Format, inline: Inline, out: &mut dyn Write) -> WriteResult {
    match format {
        Format::Folded => {
            let options = folded::Options {
                inline,
                ..folded::Options::default()
            };
            folded::write(profile, &options, out)?;
        }
        Format::Svg => {
            let options = flamegraph::Options {
                inline,
                ..flamegraph::Options::default()
            };
            flamegraph::write(profile, &options, out)?;
        }
        Format::Pprof => pprof::write(profile, out)?,
    }
    Ok(())
}

fn format_of(path: &Path) -> Result<Format, Failure> {
    let name = path.to_string_lossy().to_lowercase();
    let known = [
        (".folded", Format::Folded),
        (".txt", Format::Folded),
        (".svg", Format::Svg),
        (".pb.gz", Format::Pprof),
        (".pprof", Format::Pprof),
    ];
    let found = known
        .iter()
        .find(|(extension, _)| name.ends_with(extension));
    found.map(|&(_, format)| format).ok_or_else(|| {
        let what = format!("which format shall {} have?", path.display());
        Failure::new(Code::Usage, what)
            .remedy("say it with -f folded, -f svg or -f pprof, or by the extension of -o")
    })
}
