//! Commands that only look: disks, observe, plan, probe.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{Usage, configure, print, print_json};
use crate::apply::{Host as _, Machine};
use crate::cli::{Cli, Output, Settings, exit};
use crate::config::{Config, Named};
use crate::inventory::{self, Content, Inventory};
use crate::{output, plan, probe};

/// What `observe` saves: the inventory, and the configuration it was seen with.
#[derive(Debug, Serialize, Deserialize)]
struct Observation {
    version: u32,
    config: Config,
    inventory: Inventory,
}

pub(super) fn disks(config: &Config, output: Output) -> Result<u8> {
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

pub(super) fn observe(config: Config) -> Result<u8> {
    let inventory = Machine.observe(&config)?;
    print_json(&Observation {
        version: inventory::VERSION,
        config,
        inventory,
    })?;
    Ok(exit::FINE)
}

pub(super) fn show_plan(
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
    Ok(
        if plan.blockers.is_empty() && plan.refused().next().is_none() {
            exit::FINE
        } else {
            exit::REFUSED
        },
    )
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

pub(super) fn show_probe(paths: &[PathBuf], output: Output) -> Result<u8> {
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
