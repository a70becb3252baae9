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

use std::thread;

use anyhow::{Context as _, Result};

use crate::config::Config;
use crate::inventory::{Content, Disk, Finding, Inventory, Node};
use crate::root::Root;
use crate::{probe, rules};
use tree::Tree;

/// Facts only; of the content of disks, no more than `probe` reads.
///
/// # Errors
/// When /sys/block or /proc/self/mountinfo cannot be read: without them nobody
/// can say that a disk is free.
pub fn observe(root: &Root, config: &Config) -> Result<Inventory> {
    let tree = Tree::read(root)?;
    let spaces = mounts::namespaces(root)?;
    let node = node::read(root);
    let mut disks = disks::read(root, &tree);
    uses::find(root, &tree, &spaces, &mut disks)?;
    for disk in &mut disks {
        disk.links = udev::links(root, &disk.name);
    }
    read_content(root, config, &node, &mut disks);
    let mut arrays = arrays::read(&tree);
    arrays::read_content(root, &disks, &mut arrays);
    let owners = owners::find(root, &disks);
    let paths = paths::read(root, config, disks.len());
    let mounts = spaces.into_iter().next().map(|own| own.mounts);
    Ok(Inventory {
        node,
        disks,
        arrays,
        mounts: mounts.unwrap_or_default(),
        owners,
        paths,
    })
}

/// What a thread found on one disk.
enum Reading {
    /// A rule names the disk: read in full.
    Full(Content),
    /// Nobody may use it: only what libblkid names.
    Signatures(Vec<Finding>),
}

/// Reads all disks side by side: a full reading waits for the disk, not for
/// the processor.
fn read_content(root: &Root, config: &Config, node: &Node, disks: &mut [Disk]) {
    thread::scope(|scope| {
        let threads: Vec<_> = disks
            .iter_mut()
            .map(|disk| {
                let device = device(root, &disk.name);
                let candidate = matches!(
                    rules::judge(disk, node.cloud, config),
                    rules::Verdict::Candidate { .. }
                );
                // A drive without a medium may take long to say so.
                let readable = !disk.hidden && !disk.removable && disk.size > 0;
                let identity = disk.identity();
                let work = (candidate || readable).then(|| {
                    scope.spawn(move || match candidate {
                        true => Reading::Full(probe::content(&device, &identity)),
                        false => Reading::Signatures(probe::signatures(&device)),
                    })
                });
                (disk, candidate, work)
            })
            .collect();
        for (disk, candidate, work) in threads {
            match work.map(thread::ScopedJoinHandle::join) {
                Some(Ok(Reading::Full(content))) => disk.content = Some(content),
                Some(Ok(Reading::Signatures(seen))) => disk.seen = seen,
                Some(Err(_)) if candidate => {
                    disk.content = Some(Content::Unreadable {
                        cause: "reading it ended in a fault of instore".into(),
                    });
                }
                Some(Err(_)) | None => {}
            }
        }
    });
}

/// Where the device file of a kernel name is.
fn device(root: &Root, name: &str) -> std::path::PathBuf {
    root.join("/dev").join(node_name(name))
}

/// sysfs writes '!' where the device file has a directory: cciss!c0d0.
fn node_name(name: &str) -> String {
    name.replace('!', "/")
}

/// How many disks a rule names, by a look that reads no content.
///
/// # Errors
/// When /sys/block cannot be read.
pub fn count_candidates(root: &Root, config: &Config) -> Result<usize> {
    let tree = Tree::read(root)?;
    let cloud = node::read(root).cloud;
    let is_candidate = |disk: &Disk| {
        matches!(
            rules::judge(disk, cloud, config),
            rules::Verdict::Candidate { .. }
        )
    };
    Ok(disks::read(root, &tree)
        .iter()
        .filter(|d| is_candidate(d))
        .count())
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
/// When /sys/block cannot be read, or holds no such disk any more.
pub fn look_again(root: &Root, name: &str) -> Result<Disk> {
    let tree = Tree::read(root)?;
    disks::read(root, &tree)
        .into_iter()
        .find(|disk| disk.name == name)
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
