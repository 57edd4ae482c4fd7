//! `hotproof doctor`: which debug files a profile lacks, and how to get them.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use hotproof_profile::{ImageKind, Profile, Source};
use hotproof_report::doctor::{self as shown, Patient, Weight};
use hotproof_symbolizer::{DebugPlaces, Examined, Problem, examine};

use crate::failure::{Exit, Outcome};
use crate::{cache, input, output, terminal};

/// Say which debug files are missing for how many samples, and how to get them
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hotproof doctor profile.hotproof
  hotproof doctor perf.data --json

It looks at this system as it is now, and ends with 0 whatever it finds.")]
pub(crate) struct Doctor {
    /// The profile; - reads standard input
    #[arg(value_name = "FILE")]
    profile: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Doctor) -> Outcome {
    let profile = input::profile(
        &arguments.profile,
        &input::Wanted::default(),
        &mut input::Namer::default(),
    )?;
    let places = cache::debug_places();
    let weights = shown::weights(&profile);
    let patients = weights.iter().map(|weight| look(&profile, weight, &places));
    let patients: Vec<Patient> = patients.collect();
    let samples = profile.sample_count();
    let text = if arguments.json {
        shown::json(samples, &patients)
    } else {
        shown::screen(samples, &patients, terminal::width())
    };
    output::print(&text)?;
    Ok(Exit::SUCCESS)
}

fn look(profile: &Profile, weight: &Weight, places: &DebugPlaces) -> Patient {
    let image = &profile.images[weight.image];
    let path = profile.strings[image.path].to_owned();
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut patient = Patient {
        build_id: (!image.build_id.is_empty()).then(|| hex(&image.build_id)),
        samples: weight.samples,
        leaf_samples: weight.leaves,
        names: None,
        debug_file: None,
        lacking: false,
        findings: Vec::new(),
        remedies: Vec::new(),
        looked_at: Vec::new(),
        image: path.clone(),
    };
    let build_id = &image.build_id;
    match image.kind {
        ImageKind::Elf => match examine(Path::new(&path), build_id, places) {
            Ok(examined) => describe(&mut patient, &examined),
            Err(problem) => refuse(&mut patient, &problem),
        },
        ImageKind::Vdso => patient.names = Some(Source::DynamicSymbols.word()),
        ImageKind::Kernel | ImageKind::Module => look_at_kernel(&mut patient),
        ImageKind::Jit | ImageKind::Anonymous => look_at_run_time(&mut patient, profile, weight),
    }
    patient
}

fn describe(patient: &mut Patient, examined: &Examined) {
    patient.names = examined.best.map(Source::word);
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    patient.debug_file = examined.debug_file.as_ref().map(text);
    patient.looked_at = examined.looked_at.iter().map(text).collect();
    let problems = examined.problems.iter().map(ToString::to_string);
    patient.findings.extend(problems);
    if examined.best == Some(Source::Dwarf) {
        patient.lacking = !patient.findings.is_empty();
        return;
    }
    patient.lacking = true;
    let table = if examined.is_stripped {
        "it has no debug information, and its symbol table was stripped"
    } else {
        "it has no debug information"
    };
    patient
        .findings
        .push(format!("{table}: inlined functions and lines are missing"));
    match package_of(Path::new(&patient.image)) {
        Some(package) => patient.remedies.push(package.remedy()),
        None => {
            let strip = if examined.is_stripped {
                ", and do not strip it"
            } else {
                ""
            };
            patient.remedies.push(format!(
                "build it with debug information: CARGO_PROFILE_RELEASE_DEBUG=1 in the environment \
                 of cargo, -g for gcc and clang{strip}; record again"
            ));
        }
    }
    if patient.build_id.is_some() {
        patient.remedies.push(
            "or name servers in DEBUGINFOD_URLS and give --debuginfod where it is read".to_owned(),
        );
    }
}

fn refuse(patient: &mut Patient, problem: &Problem) {
    patient.lacking = true;
    patient.findings.push(problem.to_string());
    let remedy = match problem {
        Problem::OtherBuild { .. } => {
            "put the recorded build back, or record again: names of another build would be wrong"
        }
        _ => "put the file back where it was recorded, or record again",
    };
    patient.remedies.push(remedy.to_owned());
}

fn look_at_kernel(patient: &mut Patient) {
    match hotproof_image::kernel::Kallsyms::read() {
        Ok(_) => patient.names = Some(Source::Kallsyms.word()),
        Err(error) => {
            patient.lacking = true;
            patient.findings.push(error.to_string());
            patient
                .remedies
                .push("record and report as root, or set kernel.kptr_restrict to 0".to_owned());
        }
    }
}

/// Code made at run time: named when it was recorded, or never.
fn look_at_run_time(patient: &mut Patient, profile: &Profile, weight: &Weight) {
    let mut functions = profile.functions.rows().iter();
    let own = functions.find(|function| function.image == Some(weight.image));
    patient.names = own.map(|function| function.source.word());
    if patient.names.is_none() {
        patient.lacking = true;
        patient
            .findings
            .push("code made at run time, of which its maker left no list".to_owned());
        patient.remedies.push(
            "have the run time write a perf map or a jitdump: node --perf-basic-prof, java with \
             perf-map-agent, python -X perf; record again"
                .to_owned(),
        );
    }
}

/// The package that a file belongs to.
enum Package {
    Debian(String),
    Rpm(String),
}

impl Package {
    fn remedy(&self) -> String {
        match self {
            // The C library has its own name for it.
            Package::Debian(name) if name.starts_with("libc6") => {
                format!("install libc6-dbg (it belongs to package {name})")
            }
            Package::Debian(name) => format!(
                "install {name}-dbgsym, from the archive of debug packages (it belongs to package \
                 {name})"
            ),
            Package::Rpm(name) => {
                format!("dnf debuginfo-install {name} (it belongs to package {name})")
            }
        }
    }
}

/// Asks the package managers that are there; `None` when the file belongs to none of their packages.
fn package_of(path: &Path) -> Option<Package> {
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    // Debian lists files where they were before /lib became a link to /usr/lib.
    let before = real
        .strip_prefix("/usr")
        .map(|rest| Path::new("/").join(rest));
    let spellings = [Some(real.clone()), before.ok(), Some(path.to_owned())];
    for spelling in spellings.into_iter().flatten() {
        let answer = answer_of("dpkg-query", &["-S"], &spelling);
        if let Some((package, _)) = answer.as_deref().and_then(|text| text.split_once(": ")) {
            let name = package.split([':', ',']).next().unwrap_or(package);
            return Some(Package::Debian(name.to_owned()));
        }
    }
    let answer = answer_of("rpm", &["-qf", "--qf", "%{NAME}\n"], &real)?;
    Some(Package::Rpm(answer.lines().next()?.to_owned()))
}

/// What a tool prints of a path; `None` when it is not there or does not know the path.
fn answer_of(tool: &str, arguments: &[&str], path: &Path) -> Option<String> {
    let mut command = Command::new(tool);
    let output = command.args(arguments).arg(path).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.is_empty()).then_some(text)
}
