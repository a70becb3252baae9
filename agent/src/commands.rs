//! What each command does, and its exit status.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use crate::apply::{self, Host as _, Machine};
use crate::cli::{Cli, Command, ConfigCommand, Output, Settings, exit};
use crate::config::{self, Config, Named, OnFailure};
use crate::inventory::{self, Content, Inventory, Ours};
use crate::lock::{self, Lock};
use crate::plan::{self, Plan};
use crate::release::{self, Pool};
use crate::tools;
use crate::{demo, guard, output, probe, spawn, wipe};

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

/// What `observe` saves: the inventory, and the configuration it was seen with.
#[derive(Debug, Serialize, Deserialize)]
struct Observation {
    version: u32,
    config: Config,
    inventory: Inventory,
}

/// Runs a command.
///
/// # Errors
/// When it fails; see [`code_of`].
pub fn run(cli: &Cli) -> Result<u8> {
    match &cli.command {
        Command::Disks { settings, output } => disks(&configure(cli, settings)?, *output),
        Command::Observe { settings } => observe(configure(cli, settings)?),
        Command::Plan {
            settings,
            observed,
            output,
        } => show_plan(cli, settings, observed.as_deref(), *output),
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
            if *boot {
                at_boot(&config, patience)
            } else {
                apply_once(&config, patience, Path::new(lock::PATH)).map(|o| o.code)
            }
        }
        Command::Probe { paths, output } => show_probe(paths, *output),
        Command::Wipe { disk, confirm } => give_up(
            &configure(cli, &Settings::default())?,
            disk,
            confirm.as_deref(),
        ),
        Command::Release { settings } => take_down(&configure(cli, settings)?),
        Command::Demo { once, dir } => demo::run(dir, *once),
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

fn disks(config: &Config, output: Output) -> Result<u8> {
    let inventory = Machine.observe(config)?;
    let plan = plan::plan(config, &inventory);
    match output {
        Output::Table => print(&output::disks(&inventory, &plan))?,
        Output::Json => {
            let disks: Vec<_> = inventory
                .disks
                .iter()
                .map(|disk| {
                    let judged = plan.disks.iter().find(|j| j.name == disk.name);
                    serde_json::json!({
                        "disk": disk,
                        "content": disk.content.as_ref().map(Content::word),
                        "verdict": judged.map(|j| j.verdict),
                        "why": judged.map(|j| &j.why),
                    })
                })
                .collect();
            print_json(&serde_json::json!({ "cloud": inventory.node.cloud, "disks": disks }))?;
        }
    }
    Ok(exit::FINE)
}

fn observe(config: Config) -> Result<u8> {
    let inventory = Machine.observe(&config)?;
    print_json(&Observation {
        version: inventory::VERSION,
        config,
        inventory,
    })?;
    Ok(exit::FINE)
}

fn show_plan(
    cli: &Cli,
    settings: &Settings,
    observed: Option<&Path>,
    output: Output,
) -> Result<u8> {
    let (config, inventory) = match observed {
        None => {
            let config = configure(cli, settings)?;
            let inventory = Machine.observe(&config)?;
            (config, inventory)
        }
        Some(path) => replay(cli, settings, path).map_err(Usage)?,
    };
    let plan = plan::plan(&config, &inventory);
    match output {
        Output::Table => print(&output::plan(&plan))?,
        Output::Json => print_json(&plan)?,
    }
    Ok(if plan.blockers.is_empty() {
        exit::FINE
    } else {
        exit::REFUSED
    })
}

/// The configuration of the other machine, unless flags here say otherwise.
fn replay(cli: &Cli, settings: &Settings, path: &Path) -> Result<(Config, Inventory)> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("read {shown}"))?;
    let head: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("parse {shown}"))?;
    let version = head.get("version").and_then(serde_json::Value::as_u64);
    anyhow::ensure!(
        version == Some(inventory::VERSION.into()),
        "{shown} is not an observation of version {}: save it again with instore observe",
        inventory::VERSION
    );
    let mut saved: Observation =
        serde_json::from_value(head).with_context(|| format!("parse {shown}"))?;
    if let Some(path) = &cli.config {
        saved.config = Config::read(path, Named::ByUser)?;
    }
    settings.over(&mut saved.config);
    saved.config.check()?;
    Ok((saved.config, saved.inventory))
}

/// How an apply ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: u8,
    pub(crate) plan: Plan,
}

/// Observes, plans and applies under the lock.
pub(crate) fn apply_once(config: &Config, patience: Duration, lock: &Path) -> Result<Outcome> {
    let _lock = Lock::take(lock, patience, "apply")?;
    crate::services::start_left_stopped().unwrap_or_else(|e| warn!("{e:#}"));
    let modules = apply::load_early(config);
    let (inventory, plan) = wait_for_disks(config)?;
    for note in &plan.notes {
        info!("{note}");
    }
    for judged in plan.refused() {
        warn!(
            "disk {} ({}) is not used: {}",
            judged.name,
            judged.identity,
            output::plain(&judged.why)
        );
    }
    for blocker in &plan.blockers {
        error!("{}", output::plain(blocker));
    }
    if !plan.blockers.is_empty() {
        return Ok(Outcome {
            code: exit::REFUSED,
            plan,
        });
    }
    if plan.is_done() {
        info!(
            "nothing to do: {} pools are as configured",
            plan.pools.len()
        );
    } else {
        apply::apply(&Machine, config, &inventory, &plan)?;
        for pool in &plan.pools {
            info!(
                "pool {} is mounted at {} ({} disks)",
                pool.label,
                pool.at.display(),
                pool.disks.len()
            );
        }
    }
    // The process must not end before its helper: a unit would kill modprobe.
    let _ = modules.join();
    let code = if plan.refused().next().is_some() {
        exit::REFUSED
    } else {
        exit::FINE
    };
    Ok(Outcome { code, plan })
}

fn wait_for_disks(config: &Config) -> Result<(Inventory, Plan)> {
    let end = Instant::now() + Duration::from_secs(config.wait_seconds);
    loop {
        let inventory = Machine.observe(config)?;
        let plan = plan::plan(config, &inventory);
        let left = end.saturating_duration_since(Instant::now());
        if !plan.pools.is_empty() || left.is_zero() {
            return Ok((inventory, plan));
        }
        info!("no ephemeral disk yet; wait up to {} s", left.as_secs());
        let _ = crate::observe::udev::wait_for_change(left);
    }
}

/// At boot `on_failure` decides: what depends on the unit starts only after a
/// success. A refused disk beside a working pool does not keep a node out.
fn at_boot(config: &Config, patience: Duration) -> Result<u8> {
    let result = apply_once(config, patience, Path::new(lock::PATH));
    let failed = match &result {
        Ok(outcome) => {
            !outcome.plan.blockers.is_empty()
                || (outcome.code != exit::FINE && outcome.plan.pools.is_empty())
        }
        Err(_) => true,
    };
    if !failed {
        return Ok(exit::FINE);
    }
    match config.on_failure {
        OnFailure::Block => {
            error!(
                "the storage is not as configured; on_failure = \"block\" keeps its consumers from starting"
            );
            result.map(|outcome| outcome.code)
        }
        OnFailure::Continue => {
            if let Err(failure) = result {
                error!("{failure:#}");
            }
            error!(
                "the storage is not as configured; on_failure = \"continue\" lets the node boot on"
            );
            Ok(exit::FINE)
        }
    }
}

fn show_probe(paths: &[PathBuf], output: Output) -> Result<u8> {
    let mut code = exit::FINE;
    let mut rows = Vec::new();
    for path in paths {
        let content = probe::content_of_path(path);
        // "Could not tell" outranks "is not empty".
        code = code.max(match content {
            Content::Empty => exit::FINE,
            Content::Ours(_) | Content::Foreign { .. } => exit::REFUSED,
            Content::Unreadable { .. } => exit::UNTOLD,
        });
        match output {
            Output::Table => rows.push(vec![
                path.display().to_string(),
                content.word().to_owned(),
                content.reasons().join("; "),
            ]),
            Output::Json => print(&format!(
                "{}\n",
                serde_json::json!({ "path": path.display().to_string(), "content": content.word(), "reasons": content.reasons() })
            ))?,
        }
    }
    if output == Output::Table {
        print(&output::table(&["PATH", "CONTENT", "REASONS"], &rows))?;
    }
    Ok(code)
}

fn give_up(config: &Config, wanted: &str, confirm: Option<&str>) -> Result<u8> {
    let _lock = Lock::take(Path::new(lock::PATH), Duration::ZERO, "wipe")?;
    let inventory = Machine.observe(config)?;
    let disk = wipe::find(&inventory, wanted).map_err(Usage)?;
    let content = probe::content(&guard::device(&disk.name), &disk.identity());
    let rows = [vec![
        disk.name.clone(),
        disk.model.clone(),
        disk.serial.clone(),
        output::size(disk.size),
        content.word().to_owned(),
        content.reasons().join("; "),
    ]];
    spawn::say(&output::table(
        &["DISK", "MODEL", "SERIAL", "SIZE", "CONTENT", "REASONS"],
        &rows,
    ));
    if let Some(why) = wipe::why_not(disk, &inventory, config) {
        error!("disk {} is not wiped: {}", disk.name, output::plain(&why));
        return Ok(exit::REFUSED);
    }
    match confirm {
        Some(typed) if wipe::is_confirmed(disk, typed) => {}
        Some(_) => {
            error!(
                "--confirm is not the serial of {}: nothing was written",
                disk.name
            );
            return Ok(exit::REFUSED);
        }
        None => {
            error!(
                "to destroy what is on {}: instore wipe {} --confirm {}",
                disk.name,
                disk.name,
                output::plain(&disk.serial)
            );
            return Ok(exit::REFUSED);
        }
    }
    wipe::wipe(disk)?;
    info!("disk {} is empty now", disk.name);
    Ok(exit::FINE)
}

fn take_down(config: &Config) -> Result<u8> {
    let _lock = Lock::take(Path::new(lock::PATH), Duration::ZERO, "release")?;
    crate::services::start_left_stopped()?;
    release_under_lock(config)?;
    Ok(exit::FINE)
}

/// Unmounts the pools and stops their arrays.
pub(crate) fn release_under_lock(config: &Config) -> Result<()> {
    let inventory = Machine.observe(config)?;
    let is_pool = |dev: &str| {
        let ours = |c: &Option<Content>| matches!(c, Some(Content::Ours(Ours::Filesystem(_))));
        inventory
            .disks
            .iter()
            .any(|d| d.dev == dev && ours(&d.content))
            || inventory
                .arrays
                .iter()
                .any(|a| a.dev == dev && ours(&a.content))
    };
    let pools: Vec<Pool> = inventory
        .mounts
        .iter()
        .filter(|m| m.root == Path::new("/") && is_pool(&m.dev))
        .map(|m| Pool {
            at: m.at.clone(),
            dev: m.dev.clone(),
        })
        .collect();
    let released = release::release(&pools)?;
    for dir in &released.binds {
        info!("{} has its content back", dir.display());
    }
    for at in &released.pools {
        info!("unmounted {}", at.display());
    }
    for array in inventory.arrays.iter().filter(|a| a.uuid.is_some()) {
        spawn::run(&tools::stop_array(&guard::device(&array.name)))?;
        info!("stopped array {}; the data stays on its disks", array.name);
    }
    if released.pools.is_empty() {
        info!("nothing of instore is mounted");
    }
    Ok(())
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
