//! What the daemon remembers of this boot: which disks held data, and which
//! pools were whole. Kept in /run, so that a restart does not forget it and a
//! reboot does. Without it a disk that turned blank could not be told from a
//! new one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::inventory::{Content, Disk, Inventory, Ours};
use crate::plan::{Plan, PoolPlan, Step};
use crate::probe::pool_index;

/// Where it is kept.
pub const PATH: &str = "/run/instore/memory.json";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Identities of disks that had something on them in this boot.
    held: BTreeSet<String>,
    /// Pools that were whole in this boot, by label.
    pools: BTreeMap<String, Known>,
}

/// A pool as it was when it was whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub at: PathBuf,
    /// Identities of its disks, sorted.
    pub disks: Vec<String>,
}

impl Memory {
    /// What an earlier run of this boot left. A file that makes no sense is an
    /// error: to take it for none would forget which disks held data.
    ///
    /// # Errors
    /// When it cannot be read or parsed.
    pub fn load(path: &Path) -> Result<Self> {
        let what = || {
            let path = path.display();
            format!("read {path}, which says what the disks held in this boot")
        };
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(what),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(e).with_context(what),
        }
    }

    /// Writes it whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn store(&self, path: &Path) -> Result<()> {
        let what = || format!("write {}", path.display());
        let parent = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).with_context(what)?;
        let new = path.with_extension("new");
        let mut file = File::create(&new).with_context(what)?;
        file.write_all(&serde_json::to_vec(self)?)
            .with_context(what)?;
        file.sync_all().with_context(what)?;
        fs::rename(&new, path).with_context(what)
    }

    /// Adds what is seen now. Returns whether anything is new.
    pub fn learn(&mut self, inventory: &Inventory, plan: &Plan) -> bool {
        let before = self.clone();
        let held = inventory.disks.iter().filter(|disk| holds(disk));
        self.held.extend(held.map(Disk::identity));
        for pool in plan.pools.iter().filter(|pool| is_mounted(pool, inventory)) {
            let mut disks: Vec<String> = pool.disks.iter().map(|d| d.identity.clone()).collect();
            disks.sort();
            // An array that lost a disk and goes on is not whole without it.
            if let Some(known) = self.pools.get(&pool.label)
                && disks.iter().all(|disk| known.disks.contains(disk))
            {
                disks.clone_from(&known.disks);
            }
            let at = pool.at.clone();
            self.pools.insert(pool.label.clone(), Known { at, disks });
        }
        *self != before
    }

    #[must_use]
    pub fn pools(&self) -> &BTreeMap<String, Known> {
        &self.pools
    }

    /// Whether the disk had something on it in this boot.
    #[must_use]
    pub fn held(&self, identity: &str) -> bool {
        self.held.contains(identity)
    }

    /// What the daemon does of a plan by itself: everything but making a pool
    /// on a disk that held data in this boot, or in the place of a pool that was
    /// there, and nothing is bound to another pool than before.
    #[must_use]
    pub fn allowed(&self, mut plan: Plan) -> Plan {
        for (index, pool) in plan.pools.iter_mut().enumerate() {
            let makes = pool.steps.iter().any(is_making);
            let held = pool.disks.iter().any(|disk| self.held(&disk.identity));
            if makes && (held || self.was_another(pool)) {
                pool.steps.clear();
                // Binds are of the first pool.
                if index == 0 {
                    plan.binds.clear();
                }
            }
        }
        let first_known = self.pools.keys().min_by_key(|label| pool_index(label));
        let first = plan.pools.first().map(|pool| &pool.label);
        if first_known.is_some() && first != first_known {
            plan.binds.clear();
        }
        plan
    }

    /// Whether the pool of this label had a disk that this one has not.
    fn was_another(&self, pool: &PoolPlan) -> bool {
        let is_in = |id: &String| pool.disks.iter().any(|disk| disk.identity == *id);
        let known = self.pools.get(&pool.label);
        known.is_some_and(|known| !known.disks.iter().all(is_in))
    }
}

/// Whether there is, or may be, data on a disk that a rule names. A claim is
/// none: nothing was mounted from the disk since it was empty.
fn holds(disk: &Disk) -> bool {
    match &disk.content {
        None | Some(Content::Empty | Content::Ours(Ours::Claimed(_))) => false,
        Some(Content::Ours(_) | Content::Foreign { .. } | Content::Unreadable { .. }) => true,
    }
}

/// Whether the pool's own filesystem is at its place. A plan with blockers has no
/// steps either.
fn is_mounted(pool: &PoolPlan, inventory: &Inventory) -> bool {
    let names: Vec<&str> = pool.disks.iter().map(|disk| disk.name.as_str()).collect();
    let is_its = |name: &str| names.contains(&name);
    let disks = inventory.disks.iter().filter(|disk| is_its(&disk.name));
    let arrays = inventory.arrays.iter();
    let arrays = arrays.filter(|array| array.members.iter().any(|member| is_its(member)));
    let mut devs = disks
        .map(|disk| &disk.dev)
        .chain(arrays.map(|array| &array.dev));
    let mut mounts = inventory.mounts.iter().rev();
    let mount = mounts.find(|mount| mount.at == pool.at);
    pool.steps.is_empty()
        && mount
            .is_some_and(|mount| mount.root == Path::new("/") && devs.any(|dev| *dev == mount.dev))
}

fn is_making(step: &Step) -> bool {
    match step {
        Step::Claim
        | Step::CreateArray { .. }
        | Step::MakeFilesystem { .. }
        | Step::StopArray { .. } => true,
        Step::AssembleArray { .. } | Step::Finish | Step::Mount => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::inventory::{Claim, Filesystem};
    use crate::plan::plan;
    use crate::testing::{instance_disk, node};

    fn ours() -> Option<Content> {
        Some(Content::Ours(Ours::Filesystem(Filesystem {
            fs: "xfs".into(),
            label: "instore".into(),
            uuid: "f".into(),
        })))
    }

    #[test]
    fn a_new_disk_is_made_a_pool_of_and_one_that_held_data_never() {
        let config = Config::default();
        let blank = node(vec![instance_disk(1)]);
        let whole = plan(&config, &blank);
        let mut memory = Memory::default();
        assert_eq!(memory.allowed(whole.clone()), whole);
        let mut full = instance_disk(1);
        full.content = ours();
        let full = node(vec![full]);
        assert!(memory.learn(&full, &plan(&config, &full)));
        assert!(memory.allowed(whole.clone()).is_done(), "it held data");
        let bound = Config::parse("binds = [\"/var/lib/kubelet\"]").unwrap();
        let with_binds = plan(&bound, &blank);
        assert!(!with_binds.binds.is_empty());
        assert!(memory.allowed(with_binds).is_done(), "nothing to bind to");
        // What is only to be mounted is mounted.
        let to_mount = plan(&config, &full);
        assert!(!to_mount.is_done());
        assert_eq!(memory.allowed(to_mount.clone()), to_mount);
    }

    #[test]
    fn no_pool_takes_the_place_of_one_that_is_missing() {
        let config = Config::default();
        let mut first = instance_disk(1);
        first.content = ours();
        first.uses = vec!["mounted at /data".into()];
        let mut inventory = node(vec![first]);
        inventory.mounts = vec![mount("259:1", "/data")];
        let mut memory = Memory::default();
        memory.learn(&inventory, &plan(&config, &inventory));
        assert_eq!(memory.pools().len(), 1);
        // It is pulled, its mount goes, and a spare disk is all there is.
        let spare = plan(&config, &node(vec![instance_disk(2)]));
        assert!(!spare.is_done());
        assert!(memory.allowed(spare.clone()).is_done());
        assert!(!Memory::default().allowed(spare).is_done());
    }

    #[test]
    fn a_pool_that_was_never_made_is_not_known() {
        let config = Config::default();
        let mut blocked = node(vec![instance_disk(1), instance_disk(2)]);
        blocked.mounts = vec![mount("8:1", "/data")];
        let plan = plan(&config, &blocked);
        assert!(!plan.blockers.is_empty() && plan.pools[0].steps.is_empty());
        let mut memory = Memory::default();
        memory.learn(&blocked, &plan);
        assert!(memory.pools().is_empty());
    }

    fn mount(dev: &str, at: &str) -> crate::inventory::Mount {
        crate::inventory::Mount {
            dev: dev.into(),
            root: "/".into(),
            at: at.into(),
            fs: "xfs".into(),
            source: "/dev/x".into(),
            options: "rw".into(),
        }
    }

    #[test]
    fn what_cannot_be_read_may_hold_data_and_a_claim_holds_none() {
        let config = Config::default();
        let with = |content: Content| {
            let mut disk = instance_disk(1);
            disk.content = Some(content);
            let inventory = node(vec![disk]);
            let mut memory = Memory::default();
            memory.learn(&inventory, &plan(&config, &inventory));
            memory.held(&instance_disk(1).identity())
        };
        assert!(with(Content::Unreadable { cause: "x".into() }));
        assert!(with(Content::Foreign { findings: vec![] }));
        assert!(!with(Content::Empty));
        assert!(!with(Content::Ours(Ours::Claimed(Claim {
            pool_uuid: "p".into(),
            disk: instance_disk(1).identity(),
            under: None,
        }))));
    }

    #[test]
    fn it_outlives_the_daemon_and_damage_is_no_blank_page() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/memory.json");
        assert_eq!(Memory::load(&path).unwrap(), Memory::default());
        let mut disk = instance_disk(1);
        disk.content = ours();
        let inventory = node(vec![disk]);
        let mut memory = Memory::default();
        memory.learn(&inventory, &plan(&Config::default(), &inventory));
        memory.store(&path).unwrap();
        assert_eq!(Memory::load(&path).unwrap(), memory);
        std::fs::write(&path, "{\"held\":").unwrap();
        let error = format!("{:#}", Memory::load(&path).unwrap_err());
        assert!(error.contains("memory.json"), "{error}");
    }
}
