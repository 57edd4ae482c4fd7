//! `hotproof diff`: what differs between two profiles.

use std::io::Write;
use std::mem::ManuallyDrop;
use std::path::Path;

use hotproof_formats::pprof;
use hotproof_profile::Profile;
use hotproof_report::difference::{self, Normalize, Options, Sort, Stacks};

use crate::arguments::{self, Diff, DiffFormat, DiffSort};
use crate::failure::{Code, Exit, Failure, Outcome};
use crate::input::Namer;
use crate::output::WriteResult;
use crate::transform::Look;
use crate::{output, terminal};

pub(crate) fn run(arguments: &Diff) -> Outcome {
    let targets = targets(arguments)?;
    let normalize = match arguments.normalize {
        arguments::Normalize::Run => Normalize::Run,
        arguments::Normalize::Second => Normalize::Second,
        arguments::Normalize::Total => Normalize::Total,
    };
    let to_pprof = targets
        .iter()
        .any(|(_, format)| *format == DiffFormat::Pprof);
    if normalize != Normalize::Run && to_pprof {
        let what = "pprof holds the samples of both profiles as they are, so they cannot be scaled";
        return Err(Failure::new(Code::Usage, what)
            .remedy("leave --normalize out and say `-normalize` to go tool pprof"));
    }
    let look = match to_pprof {
        true => Look::Samples,
        false => Look::Stacks,
    };
    // The program ends here, and the system takes the memory back faster than row by row.
    let both = ManuallyDrop::new(profiles(arguments, look)?);
    let (base, head) = &*both;
    let refused = |error: difference::DiffError| Failure::new(Code::Usage, error.to_string());
    if targets.is_empty() {
        let value = difference::difference(base, head, normalize).map_err(refused)?;
        let value = ManuallyDrop::new(value);
        let options = options(arguments);
        let text = if arguments.json {
            difference::json([base, head], &value, &options)
        } else {
            difference::table([base, head], &value, &options)
        };
        output::print(&text)?;
        return Ok(Exit::SUCCESS);
    }
    // Whatever is written, profiles that cannot be compared are refused here.
    difference::check(base, head, normalize).map_err(refused)?;
    // Joined once for all that is written; pprof holds the samples of both as they are.
    let joined = targets
        .iter()
        .any(|(_, format)| *format != DiffFormat::Pprof);
    let stacks = joined.then(|| Stacks::of([base, head], normalize));
    let stacks = ManuallyDrop::new(stacks.transpose().map_err(refused)?);
    let of_join = stacks.iter().flat_map(Stacks::doubts);
    for doubt in difference::doubts([base, head]).into_iter().chain(of_join) {
        output::aside(&doubt);
    }
    output::write_outputs(&targets, |format, out| {
        write([base, head], stacks.as_ref(), format, out)
    })?;
    Ok(Exit::SUCCESS)
}

/// Base and head: two files, or the two columns of one.
fn profiles(arguments: &Diff, look: Look) -> Result<(Profile, Profile), Failure> {
    let transform = &arguments.transform;
    if let Some(head) = &arguments.head {
        let mut namer = Namer::default();
        let mut read = |path: &Path| transform.read_named(&[path.to_owned()], look, &mut namer);
        return Ok((read(&arguments.base)?, read(head)?));
    }
    let both = transform.file(&arguments.base)?;
    let (base, head) = difference::sides(&both).map_err(|names| {
        let what = format!(
            "{} is one profile (its weights: {names}), and a difference needs two",
            arguments.base.display()
        );
        Failure::new(Code::Usage, what)
            .remedy("name the other, or one file that holds both: folded stacks in three columns (`stack base head`) or a difference of pprof")
    })?;
    Ok((transform.one(base)?, transform.one(head)?))
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
    [base, head]: [&Profile; 2],
    stacks: Option<&Stacks>,
    format: DiffFormat,
    out: &mut dyn Write,
) -> WriteResult {
    match (format, stacks) {
        (DiffFormat::Folded, Some(stacks)) => stacks.folded(out)?,
        (DiffFormat::Svg, Some(stacks)) => stacks.picture(out)?,
        (DiffFormat::Pprof, _) | (_, None) => pprof::write_differential(base, head, out)?,
    }
    Ok(())
}

/// Where stacks go and in which format; empty when the table or JSON is asked for.
fn targets(arguments: &Diff) -> Result<Vec<(&Path, DiffFormat)>, Failure> {
    match (arguments.format, arguments.output.as_slice()) {
        (Some(format), []) => Ok(vec![(Path::new("-"), format)]),
        (format, paths) => paths
            .iter()
            .map(|path| Ok((path.as_path(), format.map_or_else(|| format_of(path), Ok)?)))
            .collect(),
    }
}

fn format_of(path: &Path) -> Result<DiffFormat, Failure> {
    let name = path.to_string_lossy().to_lowercase();
    let known = [
        (".svg", DiffFormat::Svg),
        (".folded", DiffFormat::Folded),
        (".txt", DiffFormat::Folded),
        (".pb.gz", DiffFormat::Pprof),
        (".pprof", DiffFormat::Pprof),
    ];
    let found = known
        .iter()
        .find(|(extension, _)| name.ends_with(extension));
    found.map(|&(_, format)| format).ok_or_else(|| {
        let what = format!("which format shall {} have?", path.display());
        Failure::new(Code::Usage, what)
            .remedy("say it with -f svg, folded or pprof, or by the extension of -o")
    })
}
