//! The command line of hotproof: arguments, wiring, progress, exit codes. Nothing else prints.

mod ab;
mod arguments;
mod cache;
mod compare;
mod compare_arguments;
mod confirm;
mod demo;
mod diff;
mod doctor;
mod export;
mod failure;
mod input;
mod interrupt;
mod keep;
mod log;
mod observer;
mod output;
mod page;
mod part;
mod progress;
mod record;
mod report;
mod several;
mod source;
mod stat;
mod symbolize;
mod terminal;
mod transform;
mod verdict;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Color, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.common.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    show_notices();
    let voice = output::Voice::new(arguments.common.quiet);
    if arguments.common.debuginfod {
        cache::ask_servers();
    }
    if let Err(error) = hotproof_profiler::keep_children_waitable() {
        voice.notice(&format!(
            "  note     children may not be waited for: {error}"
        ));
    }
    let outcome = match &arguments.command {
        Command::Record(record) => record::run(record, voice),
        Command::Report(report) => report::run(report),
        Command::Export(export) => export::run(export),
        Command::Stat(stat) => stat::run(stat, voice),
        Command::Diff(diff) => diff::run(diff),
        Command::Confirm(confirm) => confirm::run(confirm, voice),
        Command::Compare(compare) => compare::run(compare, voice),
        Command::Symbolize(symbolize) => symbolize::run(symbolize),
        Command::Cache(arguments) => cache::run(arguments),
        Command::Ab(arguments) => ab::run(arguments, voice),
        Command::Doctor(doctor) => doctor::run(doctor),
        Command::Verdict(verdict) => verdict::run(verdict, voice),
        Command::Demo(demo) => demo::run(demo, voice),
    };
    outcome
        .unwrap_or_else(|failure| {
            output::say(&failure.to_string());
            failure.exit()
        })
        .into()
}

/// What the libraries notice goes to standard error when `HOTPROOF_LOG` names a level.
fn show_notices() {
    let level = std::env::var("HOTPROOF_LOG")
        .ok()
        .and_then(|level| level.parse().ok());
    if let Some(level) = level {
        let level: tracing::level_filters::LevelFilter = level;
        let format = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false);
        format.with_writer(std::io::stderr).init();
    }
}
