//! Jobs in fio's language.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Result, anyhow};
use instore_bench::job::{Format, Run};
use instore_bench::language::{self, Action};
use instore_bench::output::{self, opening};
use instore_bench::results::Results;
use instore_bench::run::{Event, benchmark};
use instore_bench::{engine, report};
use tracing::warn;

use super::show::Line;
use super::{Usage, can_be_written, refused, replace, stop};
use crate::bench::gate::DiskGate;
use crate::cli::{Cli, Settings, exit};
use crate::commands::{configure, print};

pub(super) fn run(cli: &Cli, arguments: &[OsString]) -> Result<u8> {
    let environment = |name: &str| std::env::var(name).ok();
    let parsed = language::command_line(arguments, &environment)
        .map_err(|error| Usage(anyhow::Error::from(error)))?;
    match &parsed.action {
        Action::Help => print(&language::usage())?,
        Action::OptionHelp(name) => {
            print(&language::option_help(name).map_err(|reason| Usage(anyhow!(reason)))?)?;
        }
        Action::ShowCommand => print(&language::show_command(&parsed))?,
        Action::ParseOnly => {}
        Action::Run => return measure(cli, &parsed.run),
    }
    Ok(exit::FINE)
}

fn measure(cli: &Cli, run: &Run) -> Result<u8> {
    let config = configure(cli, &Settings::default())?;
    let wanted = &run.output;
    can_be_written(wanted.file.as_deref())?;
    can_be_written(wanted.report.as_deref())?;
    let stop = stop()?;
    if wanted.file.is_none() && wanted.formats.contains(&Format::Normal) {
        let jobs: Vec<_> = engine::groups(&run.jobs)
            .into_iter()
            .zip(&run.jobs)
            .collect();
        opening::write(&jobs, &mut io::stdout().lock())?;
    }
    let mut line = Line::new(wanted.eta);
    let mut lost = None;
    let done = benchmark(run, &DiskGate::new(&config), &stop, &mut |event| {
        line.on(&event);
        let written = match event {
            Event::Interim(results) => write(run, results),
            // The last of several is written below, with all that is known then.
            Event::Finished(results) if wanted.file.is_some() => write(run, results),
            _ => Ok(()),
        };
        if let Err(error) = written {
            lost.get_or_insert(error);
        }
    });
    line.clear();
    let results = match done {
        Ok(results) => results,
        Err(error) => {
            return match refused(&error) {
                Some(code) => {
                    tracing::error!("{error:#}");
                    Ok(code)
                }
                None => Err(error),
            };
        }
    };
    if let Err(error) = write(run, &results) {
        // What was measured is not lost with the place it should go to.
        output::write(&results, &wanted.formats, &mut io::stdout().lock())?;
        return Err(error);
    }
    if let Some(path) = &wanted.report {
        replace(path, &mut |to| report::write(&results, to))?;
    }
    if let Some(error) = lost {
        warn!("results in between were lost: {error:#}");
    }
    Ok(told(run, &results))
}

/// Says on standard error what a program that reads the results may not.
fn told(run: &Run, results: &Results) -> u8 {
    let normal = run.output.formats.contains(&Format::Normal) && run.output.file.is_none();
    if !normal {
        for warning in &results.warnings {
            warn!("{warning}");
        }
    }
    let mut code = exit::FINE;
    for thread in &results.threads {
        if let Some(failure) = &thread.error {
            tracing::error!("job {}: {}", thread.name, failure.text);
            code = exit::FAILED;
        }
    }
    if results.interrupted {
        exit::FAILED
    } else {
        code
    }
}

fn write(run: &Run, results: &Results) -> Result<()> {
    let mut all = |to: &mut dyn io::Write| output::write(results, &run.output.formats, to);
    match &run.output.file {
        Some(path) => replace(Path::new(path), &mut all),
        None => {
            let mut text = Vec::new();
            all(&mut text)?;
            match io::stdout().lock().write_all(&text) {
                Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e.into()),
                _ => Ok(()),
            }
        }
    }
}
