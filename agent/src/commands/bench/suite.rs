//! `instore bench --suite`: the standard suite, here or by the daemon.

use std::cell::RefCell;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Result, anyhow, ensure};
use clap::Parser;
use instore_bench::instance::{Detected, Measured, Places, detect, judge};
use instore_bench::job::Eta;
use instore_bench::report::{Page, Part, write_page};
use instore_bench::results::Results;
use instore_bench::run::{Event, benchmark};
use instore_bench::suite::table::table;
use instore_bench::suite::{Answer, Length, Setup, SuiteResult, Test, measure, place};

use super::show::Line;
use super::{Usage, can_be_written, refused, replace, stop};
use crate::bench::gate::{self, DiskGate};
use crate::cli::{Cli, Output, Settings, exit};
use crate::commands::{configure, print};
use crate::config::Config;
use crate::daemon::bench::Ask;
use crate::daemon::client;

/// Run the standard suite, about two minutes, and judge it by the instance type
#[derive(Debug, Parser)]
#[command(name = "instore bench")]
pub(super) struct Arguments {
    /// Run the standard suite
    #[arg(long, required = true)]
    suite: bool,
    /// About fifteen seconds instead: to see whether all is well, not to compare
    #[arg(long)]
    quick: bool,
    /// Measure in this directory
    #[arg(long, value_name = "DIR", required_unless_present_any = ["device", "pool"])]
    directory: Option<PathBuf>,
    /// And in this one, to put the two side by side
    #[arg(long, value_name = "DIR", conflicts_with = "pool")]
    versus: Option<PathBuf>,
    /// Measure this empty device, and write over it
    #[arg(long, value_name = "DEVICE", requires = "destructive", conflicts_with_all = ["directory", "pool"])]
    device: Option<PathBuf>,
    /// The device may be written over
    #[arg(long)]
    destructive: bool,
    /// Have the daemon measure this pool, and keep the result
    #[arg(long, value_name = "POOL", conflicts_with_all = ["directory", "report"])]
    pool: Option<String>,
    /// Judge by this instance type [default: what the machine says]
    #[arg(long, value_name = "TYPE")]
    instance_type: Option<String>,
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Write an HTML page as well
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Socket of the daemon
    #[arg(long, value_name = "PATH", default_value = crate::daemon::SOCKET)]
    socket: PathBuf,
}

impl Arguments {
    fn length(&self) -> Length {
        if self.quick {
            Length::Quick
        } else {
            Length::Full
        }
    }
}

pub(super) fn run(cli: &Cli, given: &Arguments) -> Result<u8> {
    if let Some(pool) = &given.pool {
        return by_daemon(given, pool);
    }
    let config = configure(cli, &Settings::default())?;
    can_be_written(given.report.as_deref())?;
    let instance = detect(given.instance_type.as_deref(), &Places::default());
    let stop = stop()?;
    let here = match (&given.directory, &given.device) {
        (Some(directory), _) => place::of_directory(directory, given.length(), instance.clone()),
        (None, Some(device)) => of_device(device, given, &config, instance.clone()),
        (None, None) => Err(anyhow!("say what to measure: --directory DIR")),
    };
    let here = here.map_err(Usage)?;
    let there = given
        .versus
        .as_deref()
        .map(|directory| place::of_directory(directory, given.length(), instance))
        .transpose()
        .map_err(Usage)?;
    let mut all = Vec::new();
    let mut failed = exit::FINE;
    for setup in std::iter::once(&here).chain(there.as_ref()) {
        match one(setup, &config, &stop) {
            Ok(done) => all.push((setup, done)),
            // What was measured before it is shown all the same.
            Err(error) => {
                failed = refused(&error).unwrap_or(exit::FAILED);
                tracing::error!("{}: {error:#}", setup.place.path().display());
            }
        }
    }
    if let Some(path) = &given.report {
        replace(path, &mut |to| page(&all, to))?;
    }
    let interrupted = all.iter().any(|(_, (result, _))| result.interrupted);
    let mut results = all.into_iter().map(|(_, (result, _))| result);
    let Some(first) = results.next() else {
        return Ok(failed);
    };
    let code = said(&Answer::new(first, results.next()), given.output)?;
    Ok(match (interrupted, failed) {
        (true, _) => exit::FAILED,
        (false, exit::FINE) => code,
        (false, failed) => failed,
    })
}

fn of_device(
    device: &Path,
    given: &Arguments,
    config: &Config,
    instance: Detected,
) -> Result<Setup> {
    ensure!(
        given.destructive,
        "measuring a device writes over it: add --destructive"
    );
    let disk = gate::check(device, config)?;
    place::of_device(device, disk.size, given.length(), instance)
}

fn one(setup: &Setup, config: &Config, stop: &AtomicBool) -> Result<(SuiteResult, Results)> {
    let terminal = io::stderr().is_terminal();
    let mut line = Line::new(Eta::Auto);
    let kept = RefCell::new(None);
    let gate = DiskGate::new(config);
    let result = measure(setup, &mut |run| {
        let results = benchmark(run, &gate, stop, &mut |event| {
            line.on(&event);
            if let Event::Finished(results) = event
                && !terminal
            {
                // A line for each job that is done; a log needs no more.
                if let Some(thread) = results.threads.last() {
                    tracing::info!("{}: measured", thread.name);
                }
            }
        })?;
        *kept.borrow_mut() = Some(results.clone());
        Ok(results)
    });
    line.clear();
    let results = kept.into_inner();
    Ok((
        result?,
        results.ok_or_else(|| anyhow!("the engine gave no results"))?,
    ))
}

/// The page of one place, or of two side by side.
fn page(all: &[(&Setup, (SuiteResult, Results))], to: &mut dyn io::Write) -> io::Result<()> {
    let parts: Vec<Part<'_>> = all
        .iter()
        .map(|(_, (result, results))| Part {
            name: &result.target,
            results,
        })
        .collect();
    let verdicts: Vec<_> = all
        .iter()
        .take(1)
        .flat_map(|(setup, (result, _))| {
            let iops = |test| {
                result
                    .row(test)
                    .and_then(|row| row.figures)
                    .map(|figures| figures.iops)
            };
            let measured = Measured {
                read_iops: iops(Test::RandRead4k),
                write_iops: iops(Test::RandWrite4k),
                disks: setup.disks,
            };
            judge(&setup.instance, &measured)
        })
        .collect();
    let title = "Benchmark suite";
    write_page(
        &Page {
            title,
            parts: &parts,
            verdicts: &verdicts,
        },
        to,
    )
}

/// Prints the answer; a job that failed is a failure.
fn said(answer: &Answer, output: Output) -> Result<u8> {
    match output {
        Output::Table => print(&table(answer))?,
        Output::Json => print(&(serde_json::to_string_pretty(answer)? + "\n"))?,
    }
    let both =
        std::iter::once(&answer.result).chain(answer.versus.iter().map(|versus| &versus.result));
    let failed = both
        .flat_map(|result| &result.rows)
        .any(|row| row.error.is_some());
    Ok(if failed { exit::FAILED } else { exit::FINE })
}

fn by_daemon(given: &Arguments, pool: &str) -> Result<u8> {
    let ask = Ask {
        pool: Some(pool.to_owned()),
        length: given.length(),
        instance_type: given.instance_type.clone(),
        ..Ask::default()
    };
    let (code, result) = client::bench(&given.socket, &ask, |line| eprintln!("{line}"))?;
    match result {
        Some(result) => said(&Answer::new(result, None), given.output),
        None => Ok(code),
    }
}
