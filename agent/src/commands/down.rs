//! Commands that take something away: wipe and release.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tracing::{error, info};

use super::Usage;
use crate::apply::{Host as _, Machine};
use crate::cli::exit;
use crate::config::Config;
use crate::daemon::{self, client};
use crate::inventory::{Content, Ours};
use crate::lock::{self, Lock};
use crate::release::{self, Pool};
use crate::{guard, output, probe, services, spawn, tools, wipe};

pub(super) fn give_up(config: &Config, wanted: &str, confirm: Option<&str>) -> Result<u8> {
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

pub(super) fn take_down(config: &Config) -> Result<u8> {
    if client::is_there(Path::new(daemon::SOCKET)) {
        error!(
            "the daemon keeps these pools and would mount them again: `systemctl stop instore` first"
        );
        return Ok(exit::REFUSED);
    }
    let _lock = Lock::take(Path::new(lock::PATH), Duration::ZERO, "release")?;
    services::start_left_stopped()?;
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
