//! Reads the machine into an `Inventory`: sysfs, mounts of every namespace,
//! swaps, md, udev links, and what is on the disks. Starts no program and
//! changes nothing. Decides nothing either: `rules` and `plan` do.

mod arrays;
mod disks;
mod mounts;
mod node;
mod owners;
mod paths;
mod read;
mod tree;
pub mod udev;
mod uses;

use anyhow::{Context as _, Result};

use crate::config::Config;
use crate::inventory::{Cloud, Disk, Inventory, Mount, Node};
use crate::probe::{self, InUse, Use};
use crate::root::Root;
use crate::{rules, workers};
use tree::Tree;

/// What the inventory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Everything that can be told, for people.
    Show,
    /// All that `plan` reads, and no more: links and what is on disks that no
    /// rule names are left out.
    Decide,
}

/// Which disks there are, before anything is read from them.
#[derive(Debug)]
pub struct Look<'a> {
    root: &'a Root,
    config: &'a Config,
    tree: Tree,
    node: Node,
    disks: Vec<Disk>,
}

/// Looks which disks there are.
///
/// # Errors
/// When /sys/block cannot be read.
pub fn look<'a>(root: &'a Root, config: &'a Config) -> Result<Look<'a>> {
    let tree = Tree::read(root)?;
    Ok(Look {
        root,
        config,
        node: node::read(root),
        disks: disks::read(root, &tree),
        tree,
    })
}

/// Facts only; of the content of disks, no more than `probe` reads.
///
/// # Errors
/// When /sys/block or /proc/self/mountinfo cannot be read: without them nobody
/// can say that a disk is free.
pub fn observe(root: &Root, config: &Config) -> Result<Inventory> {
    look(root, config)?.read(Purpose::Show)
}

impl Look<'_> {
    /// How many disks a rule names.
    #[must_use]
    pub fn candidates(&self) -> usize {
        self.disks.iter().filter(|d| self.is_candidate(d)).count()
    }

    fn is_candidate(&self, disk: &Disk) -> bool {
        is_candidate(disk, self.node.cloud, self.config)
    }

    fn is_mounted(&self, disk: &Disk, mounts: &[Mount]) -> bool {
        let holders = disk.holders.iter().filter_map(|name| self.tree.get(name));
        let devs = holders.map(|holder| holder.dev.as_str());
        devs.chain([disk.dev.as_str()])
            .any(|dev| mounted(dev, mounts).is_some())
    }

    /// Reads the rest: uses, content, arrays, owners.
    ///
    /// # Errors
    /// When /proc/self/mountinfo cannot be read.
    pub fn read(mut self, purpose: Purpose) -> Result<Inventory> {
        let root = self.root;
        let mut spaces = vec![mounts::own(root)?];
        // Who else has a disk mounted matters only for one that could be made
        // a pool of: not for one that is mounted here, nor for the members of
        // an array that is.
        let settled = |disk: &Disk| self.is_mounted(disk, &spaces[0].mounts);
        let mut candidates = self.disks.iter().filter(|d| self.is_candidate(d));
        if purpose == Purpose::Show || !candidates.all(settled) {
            mounts::add_others(root, &mut spaces);
        }
        let (cloud, config) = (self.node.cloud, self.config);
        let matters = |disk: &Disk| purpose == Purpose::Show || is_candidate(disk, cloud, config);
        uses::find(root, &self.tree, &spaces, &mut self.disks, matters)?;
        let own = spaces.into_iter().next().map(|own| own.mounts);
        let mounts = own.unwrap_or_default();
        self.read_content(&mounts, purpose);
        let mut arrays = arrays::read(&self.tree);
        arrays::read_content(root, &self.disks, &mounts, &mut arrays);
        if purpose == Purpose::Show {
            for disk in &mut self.disks {
                disk.links = udev::links(root, &disk.name);
                disks::describe(disk, &self.tree);
            }
        }
        Ok(Inventory {
            owners: owners::find(root, &self.disks),
            paths: paths::read(root, self.config, self.disks.len(), purpose),
            node: self.node,
            disks: self.disks,
            arrays,
            mounts,
        })
    }

    /// Reads several disks at a time in full; what is in use is told by a few
    /// blocks.
    fn read_content(&mut self, mounts: &[Mount], purpose: Purpose) {
        let candidates: Vec<bool> = self.disks.iter().map(|d| self.is_candidate(d)).collect();
        let root = self.root;
        let mut in_full = Vec::new();
        let mut in_use = Vec::new();
        for (disk, candidate) in self.disks.iter_mut().zip(candidates) {
            let device = device(root, &disk.name);
            if candidate {
                match use_of(disk, mounts) {
                    Some(by) => in_use.push((
                        InUse {
                            device,
                            identity: disk.identity(),
                            by,
                        },
                        disk,
                    )),
                    None => in_full.push(disk),
                }
                continue;
            }
            // A drive without a medium may take long to say so.
            if disk.hidden || disk.removable || disk.size == 0 {
                continue;
            }
            match purpose {
                Purpose::Show => disk.seen = probe::signatures(&device),
                // Nothing else can be a member of an array.
                Purpose::Decide if disk.partitions.is_empty() && !disk.system => {
                    disk.seen = probe::arrays(&device);
                }
                Purpose::Decide => {}
            }
        }
        let (looks, disks): (Vec<InUse<'_>>, Vec<&mut Disk>) = in_use.into_iter().unzip();
        for (disk, content) in disks.into_iter().zip(probe::contents_in_use(&looks)) {
            disk.content = Some(content);
        }
        workers::on_all(in_full, |disk| {
            let device = device(root, &disk.name);
            disk.content = Some(probe::content(&device, &disk.identity()));
        });
    }
}

fn is_candidate(disk: &Disk, cloud: Cloud, config: &Config) -> bool {
    matches!(
        rules::judge(disk, cloud, config),
        rules::Verdict::Candidate { .. }
    )
}

/// What the kernel does with a whole disk.
fn use_of<'a>(disk: &Disk, mounts: &'a [Mount]) -> Option<Use<'a>> {
    if disk.holders.iter().any(|holder| holder.starts_with("md")) {
        return Some(Use::Member);
    }
    mounted(&disk.dev, mounts)
}

fn mounted<'a>(dev: &str, mounts: &'a [Mount]) -> Option<Use<'a>> {
    let mount = mounts.iter().find(|mount| mount.dev == dev)?;
    Some(Use::Mounted { fs: &mount.fs })
}

/// Where the device file of a kernel name is.
fn device(root: &Root, name: &str) -> std::path::PathBuf {
    root.join("/dev").join(node_name(name))
}

/// sysfs writes '!' where the device file has a directory: cciss!c0d0.
fn node_name(name: &str) -> String {
    name.replace('!', "/")
}

/// Whether the kernel has looked at every NVMe controller of the PCI bus: each
/// is live and shows a namespace. Controllers are scanned one by one, and a
/// pool that is made in between would lack disks for ever.
#[must_use]
pub fn nvme_is_settled(root: &Root) -> bool {
    /// PCI class of NVMe controllers: mass storage, non-volatile memory, NVMe.
    const NVME_CLASS: &str = "0x010802";
    let devices = root.join("/sys/bus/pci/devices");
    let is_scanned = |device: &std::path::Path| {
        let controllers = device.join("nvme");
        read::names(&controllers).iter().any(|name| {
            let controller = controllers.join(name);
            let live = read::attribute(&controller.join("state")).as_deref() == Some("live");
            live && read::names(&controller)
                .iter()
                .any(|entry| entry.starts_with("nvme"))
        })
    };
    read::names(&devices)
        .iter()
        .map(|name| devices.join(name))
        .filter(|device| read::attribute(&device.join("class")).as_deref() == Some(NVME_CLASS))
        .all(|device| is_scanned(&device))
}

/// One disk as it is now, without its content and uses: for a last look before
/// something that cannot be undone.
///
/// # Errors
/// When it is gone.
pub fn look_again(root: &Root, name: &str) -> Result<Disk> {
    disks::read(root, &Tree::of(root, name))
        .pop()
        .with_context(|| format!("find disk {name}: it is gone"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_controller_without_a_live_namespace_is_not_settled() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        assert!(nvme_is_settled(&root), "no PCI at all");
        let device = root.join("/sys/bus/pci/devices/0000:00:04.0");
        fs::create_dir_all(device.join("nvme/nvme0")).unwrap();
        fs::write(device.join("class"), "0x020000\n").unwrap();
        assert!(nvme_is_settled(&root), "a network card");
        fs::write(device.join("class"), "0x010802\n").unwrap();
        fs::write(device.join("nvme/nvme0/state"), "live\n").unwrap();
        assert!(!nvme_is_settled(&root), "no namespace");
        fs::create_dir(device.join("nvme/nvme0/nvme0n1")).unwrap();
        assert!(nvme_is_settled(&root));
        fs::write(device.join("nvme/nvme0/state"), "connecting\n").unwrap();
        assert!(!nvme_is_settled(&root), "not live");
    }
}
