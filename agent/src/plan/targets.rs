//! Where pools and binds go: what is mounted already, what is in the way.

use std::path::Path;

use super::{Plan, PoolPlan, Step};
use crate::carry::bind_source;
use crate::config::Config;
use crate::inventory::{Inventory, Mount, PathFacts};

/// Where a pool is mounted while content is carried over to it.
pub const STAGE: &str = "/run/instore/stage";

pub(super) fn plan(config: &Config, inventory: &Inventory, plan: &mut Plan) {
    let mut blockers = Vec::new();
    for pool in &mut plan.pools {
        let staged = top_mount(inventory, &Path::new(STAGE).join(&pool.label)).is_some();
        match place(
            inventory,
            &pool.at,
            device_of(inventory, pool),
            Path::new("/"),
        ) {
            Place::Free => pool.steps.push(Step::Mount),
            // Killed before the staging mount was taken away: do it again.
            Place::Done if staged => pool.steps.push(Step::Mount),
            Place::Done => {}
            Place::Blocked(why) => blockers.push(why),
        }
    }
    if let Some(pool) = plan.pools.first() {
        for dir in &config.binds {
            let root = bind_source(Path::new("/"), dir);
            match place(inventory, dir, device_of(inventory, pool), &root) {
                Place::Free => plan.binds.push(dir.clone()),
                Place::Done => {}
                Place::Blocked(why) => blockers.push(why),
            }
        }
    }
    plan.blockers.extend(blockers);
}

enum Place {
    Free,
    Done,
    Blocked(String),
}

fn place(inventory: &Inventory, at: &Path, dev: Option<&str>, root: &Path) -> Place {
    let shown = at.display();
    if let Some(mount) = top_mount(inventory, at) {
        if Some(mount.dev.as_str()) == dev && mount.root == root {
            return Place::Done;
        }
        return Place::Blocked(format!(
            "{shown} is taken: {} ({}) is mounted there; unmount it, or choose another directory",
            mount.source, mount.fs
        ));
    }
    match inventory.paths.get(at) {
        None | Some(PathFacts::Missing | PathFacts::Directory) => Place::Free,
        Some(PathFacts::Symlink) => Place::Blocked(format!(
            "{shown} leads through a symbolic link: name the directory itself"
        )),
        Some(PathFacts::NotADirectory) => Place::Blocked(format!(
            "{shown} is not a directory: move it away, or choose another"
        )),
        Some(PathFacts::Unreadable) => {
            Place::Blocked(format!("what is at {shown} could not be told"))
        }
    }
}

/// What one sees there: the last mount wins.
fn top_mount<'a>(inventory: &'a Inventory, at: &Path) -> Option<&'a Mount> {
    inventory.mounts.iter().rev().find(|m| m.at == at)
}

/// The device number of a pool that is there already.
fn device_of<'a>(inventory: &'a Inventory, pool: &PoolPlan) -> Option<&'a str> {
    let is_member = |name: &str| pool.disks.iter().any(|d| d.name == name);
    let mut disks = inventory.disks.iter().filter(|d| is_member(&d.name));
    if pool.steps.iter().any(|s| matches!(s, Step::Claim)) {
        return None;
    }
    match pool.level {
        None => disks.next().map(|disk| disk.dev.as_str()),
        Some(_) => inventory
            .arrays
            .iter()
            .find(|a| disks.clone().any(|disk| disk.holders.contains(&a.name)))
            .map(|a| a.dev.as_str()),
    }
}
