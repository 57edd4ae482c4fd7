//! `hotproof export`: a profile in the format of somebody's viewer.

use std::io::Write;
use std::path::Path;

use hotproof_formats::{callgrind, chrome, firefox, folded, json, parquet, pprof, speedscope};
use hotproof_profile::Profile;
use hotproof_report::{difference, flamegraph};

use crate::arguments::{Export, Format};
use crate::failure::{Code, Exit, Failure, Outcome};
use crate::output;
use crate::output::WriteResult;
use crate::transform::Look;

pub(crate) fn run(arguments: &Export) -> Outcome {
    let mut targets: Vec<(&Path, Format)> = Vec::with_capacity(arguments.output.len());
    for path in &arguments.output {
        let format = match arguments.format {
            Some(format) => format,
            None => format_of(path)?,
        };
        targets.push((path, format));
    }
    let look = match targets.iter().all(|(_, format)| *format == Format::Folded) {
        true => Look::Stacks,
        false => Look::Samples,
    };
    let formats = targets.iter().map(|(_, format)| *format);
    let transform = &arguments.transform;
    let profile = match formats.clone().all(has_all_weights) {
        true => transform.read_all_weights(&arguments.profiles, look)?,
        false => transform.read(&arguments.profiles, look)?,
    };
    for note in &profile.meta.notes {
        output::aside(note);
    }
    let layout = if arguments.icicle {
        flamegraph::Layout::Icicle
    } else {
        flamegraph::Layout::Fitting
    };
    output::write_outputs(&targets, |format, out| write(&profile, format, layout, out))?;
    // The program ends here, and the system takes the memory back faster than row by row.
    std::mem::forget(profile);
    Ok(Exit::SUCCESS)
}

/// Whether a format has room for several weights, so that its reader chooses one.
fn has_all_weights(format: Format) -> bool {
    matches!(
        format,
        Format::Pprof | Format::Json | Format::Parquet | Format::Callgrind
    )
}

fn write(
    profile: &Profile,
    format: Format,
    layout: flamegraph::Layout,
    out: &mut dyn Write,
) -> WriteResult {
    let options = folded::Options::default();
    let (name, lost) = match format {
        // Both columns of folded stacks that are a difference.
        Format::Folded if difference::has_sides(profile) => {
            folded::write_differential(profile, options.inline, [0, 1], out)?;
            return Ok(());
        }
        Format::Folded => {
            folded::write(profile, &options, out)?;
            ("folded stacks", folded::losses(profile, &options))
        }
        Format::Svg if difference::holds_both(profile) => {
            return Err("the profile is a difference: it holds base and head, which `hotproof diff FILE -o change.svg` draws".into());
        }
        Format::Svg => {
            let options = flamegraph::Options {
                layout,
                ..flamegraph::Options::default()
            };
            flamegraph::write(profile, &options, out)?;
            return Ok(());
        }
        Format::Pprof => ("pprof", pprof::write(profile, out)?),
        Format::Callgrind => ("callgrind", callgrind::write(profile, out)?),
        Format::Speedscope => ("speedscope", speedscope::write(profile, &options, out)?),
        Format::Firefox => {
            let gzip = firefox::Compression::Gzip;
            let lost = firefox::write(profile, &options, gzip, out)?;
            ("the Firefox Profiler", lost)
        }
        Format::Chrome => ("a Chrome trace", chrome::write(profile, &options, out)?),
        Format::Parquet => ("Parquet", parquet::write(profile, &options, out)?),
        Format::Json => ("JSON", json::write(profile, &options, out)?),
    };
    cannot_carry(name, &lost);
    Ok(())
}

/// Says what the format has no place for.
fn cannot_carry(format: &str, lost: &[String]) {
    if !lost.is_empty() {
        output::aside(&format!("{format} cannot carry: {}", lost.join(", ")));
    }
}

fn format_of(path: &Path) -> Result<Format, Failure> {
    let name = path.to_string_lossy().to_lowercase();
    let known = [
        (".folded", Format::Folded),
        (".txt", Format::Folded),
        (".svg", Format::Svg),
        (".pb.gz", Format::Pprof),
        (".pprof", Format::Pprof),
        (".callgrind", Format::Callgrind),
        (".speedscope.json", Format::Speedscope),
        (".firefox.json.gz", Format::Firefox),
        (".trace.json", Format::Chrome),
        (".parquet", Format::Parquet),
        (".json", Format::Json),
    ];
    let found = known
        .iter()
        .find(|(extension, _)| name.ends_with(extension));
    found.map(|&(_, format)| format).ok_or_else(|| {
        let what = format!("which format shall {} have?", path.display());
        Failure::new(Code::Usage, what)
            .remedy("say it with -f (see `hotproof export --help`), or by the extension of -o")
    })
}
