//! What each command does, and its exit status.

mod apply;
mod bench;
mod down;
mod run;
mod show;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use serde::Serialize;

use crate::cli::{Cli, Command, ConfigCommand, Settings, exit};
use crate::config::{self, Config, Named};
use crate::{demo, lock};

pub(crate) use apply::{apply_once, patience};
pub(crate) use down::release_under_lock;

/// Wrong input, as opposed to a failure.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Usage(#[from] anyhow::Error);

/// The exit status of an error.
#[must_use]
pub fn code_of(error: &anyhow::Error) -> u8 {
    if error.is::<Usage>() {
        exit::USAGE
    } else if error.is::<lock::Held>() {
        exit::LOCKED
    } else {
        exit::FAILED
    }
}

/// Runs a command.
///
/// # Errors
/// When it fails; see [`code_of`].
pub fn run(cli: &Cli) -> Result<u8> {
    match &cli.command {
        Command::Disks { settings, output } => show::disks(&configure(cli, settings)?, *output),
        Command::Observe { settings } => show::observe(configure(cli, settings)?),
        Command::Plan {
            settings,
            observed,
            output,
        } => show::show_plan(cli, settings, observed.as_deref(), *output),
        Command::Apply {
            settings,
            wait,
            require_disks,
            lock_timeout,
            boot,
        } => {
            let mut config = configure(cli, settings)?;
            config.wait_seconds = wait.unwrap_or(config.wait_seconds);
            config.require_disks |= require_disks;
            let patience = Duration::from_secs(*lock_timeout);
            let is_plain = wait.is_none()
                && !require_disks
                && settings.is_default()
                && patience == lock::PATIENCE;
            if is_plain && !boot && cli.config.is_none() && run::has_daemon() {
                run::apply()
            } else if *boot {
                apply::at_boot(&config, patience)
            } else {
                apply_once(&config, patience, Path::new(lock::PATH)).map(|o| o.code)
            }
        }
        Command::Run {
            settings,
            listen,
            socket,
        } => run::run(cli, settings, *listen, socket),
        Command::Reload { socket } => {
            crate::daemon::client::reload(socket)?;
            Ok(exit::FINE)
        }
        Command::Status { output, socket } => run::status(*output, socket),
        Command::Probe { paths, output } => show::show_probe(paths, *output),
        Command::Wipe { disk, confirm } => down::give_up(
            &configure(cli, &Settings::default())?,
            disk,
            confirm.as_deref(),
        ),
        Command::Release { settings } => down::take_down(&configure(cli, settings)?),
        Command::Demo { once, dir } => demo::run(dir, *once),
        Command::Bench { arguments } => bench::run(cli, arguments),
        Command::Config { command } => configuration(cli, command),
        Command::Completions { shell } => {
            clap_complete::generate(
                *shell,
                &mut Cli::command(),
                "instore",
                &mut std::io::stdout(),
            );
            Ok(exit::FINE)
        }
        Command::Man { dir } => man(dir.as_deref()),
    }
}

/// The configuration that the file and the flags make.
fn configure(cli: &Cli, settings: &Settings) -> Result<Config> {
    let read = || -> Result<Config> {
        let mut config = match &cli.config {
            Some(path) => Config::read(path, Named::ByUser)?,
            None => Config::read(Path::new(config::PATH), Named::ByDefault)?,
        };
        settings.over(&mut config);
        config.check()?;
        Ok(config)
    };
    Ok(read().map_err(Usage)?)
}

/// Writes to standard output; a reader that went away is no failure.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(e).context("write to standard output")
        }
        _ => Ok(()),
    }
}

fn print_json(value: &impl Serialize) -> Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}

fn configuration(cli: &Cli, command: &ConfigCommand) -> Result<u8> {
    match command {
        ConfigCommand::Check { settings } => {
            configure(cli, settings)?;
        }
        ConfigCommand::Show { settings } => print(&configure(cli, settings)?.to_toml()?)?,
        ConfigCommand::Default => print(&Config::default().to_toml()?)?,
    }
    Ok(exit::FINE)
}

fn man(dir: Option<&Path>) -> Result<u8> {
    match dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
            clap_mangen::generate_to(Cli::command(), dir)
                .with_context(|| format!("write man pages to {}", dir.display()))?;
        }
        None => clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout())?,
    }
    Ok(exit::FINE)
}
