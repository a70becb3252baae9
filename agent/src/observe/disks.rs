//! Whole disks and what they are: sizes and flags from the disk, identity from
//! its NVMe controller. Leaves out what stands on disks (md, device mapper) and
//! the hidden paths of a multipath disk, which is there once itself.

use std::path::{Path, PathBuf};

use super::read::{Directory, trimmed};
use super::tree::{Block, Tree};
use crate::inventory::{Bus, Disk};
use crate::root::Root;

/// sysfs counts in these, whatever the disk's own blocks are.
const SECTOR: u64 = 512;

/// Where SCSI keeps the text of its page 0x80: after a header of four bytes.
const VPD_HEADER: usize = 4;

/// All whole disks, sorted by name.
pub(super) fn read(root: &Root, tree: &Tree) -> Vec<Disk> {
    tree.whole()
        .filter(|(name, _)| !is_stacked(name))
        .map(|(name, block)| disk(root, tree, name, block))
        .filter(|disk| !(disk.hidden && is_path_name(&disk.name)))
        .collect()
}

/// What nothing is decided by.
pub(super) fn describe(disk: &mut Disk, tree: &Tree) {
    let Some(block) = tree.get(&disk.name) else {
        return;
    };
    let at = &block.directory;
    disk.wwid = at
        .attribute("wwid")
        .or_else(|| at.attribute("device/wwid"))
        .filter(|wwid| !wwid.is_empty());
    disk.logical_block = at.number("queue/logical_block_size").unwrap_or(512);
}

/// Devices that the kernel makes of others.
fn is_stacked(name: &str) -> bool {
    let kind = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
    kind == "dm-" || kind == "md" || kind == "md_d"
}

/// nvme0c1n1: namespace 1 of subsystem 0 by way of controller 1.
fn is_path_name(name: &str) -> bool {
    name.strip_prefix("nvme")
        .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        .is_some_and(|rest| rest.starts_with('c'))
}

fn disk(root: &Root, tree: &Tree, name: &str, block: &Block) -> Disk {
    let at = &block.directory;
    let mut holders = block.holders.clone();
    for partition in block.partitions.iter().filter_map(|p| tree.get(p)) {
        holders.extend(partition.holders.iter().cloned());
    }
    holders.sort();
    holders.dedup();
    let identity = Identity::read(root, name, &block.directory);
    Disk {
        name: name.to_owned(),
        dev: block.dev.clone(),
        diskseq: at.number("diskseq"),
        bus: identity.bus,
        model: identity.model,
        serial: identity.serial,
        nsid: at.number("nsid"),
        transport: identity.transport,
        pci_vendor: identity.pci_vendor,
        wwid: None,
        size: at.number::<u64>("size").unwrap_or(0).saturating_mul(SECTOR),
        logical_block: 512,
        hidden: at.is_set("hidden"),
        // The kernel's NVMe driver has no removable disks.
        removable: identity.bus != Bus::Nvme && at.is_set("removable"),
        // Who cannot say that it is writable is taken to be read-only.
        read_only: at.attribute("ro").as_deref() != Some("0"),
        backing_file: identity.backing_file,
        partitions: block.partitions.clone(),
        holders,
        uses: Vec::new(),
        system: false,
        links: Vec::new(),
        content: None,
        seen: Vec::new(),
    }
}

struct Identity {
    bus: Bus,
    model: String,
    serial: String,
    transport: Option<String>,
    pci_vendor: Option<u16>,
    backing_file: Option<PathBuf>,
}

impl Identity {
    fn read(root: &Root, name: &str, directory: &Directory) -> Self {
        if name.starts_with("loop") {
            return Self::of_loop(directory);
        }
        if name.starts_with("nvme") {
            return Self::of_nvme(root, directory);
        }
        Self::of_other(directory)
    }

    fn of_loop(directory: &Directory) -> Self {
        let file = directory.attribute("loop/backing_file").unwrap_or_default();
        let file = file.strip_suffix(" (deleted)").unwrap_or(&file).to_owned();
        Self {
            bus: Bus::Loop,
            model: "loop".into(),
            transport: None,
            pci_vendor: None,
            backing_file: Some(PathBuf::from(&file)),
            serial: file,
        }
    }

    /// A namespace hangs below its controller, or with native multipath below
    /// a subsystem that links to all of its controllers. What these do not
    /// agree upon is not known.
    fn of_nvme(root: &Root, directory: &Directory) -> Self {
        let above = |file: &str| directory.attribute(&format!("../{file}"));
        let parent = directory.path().parent().map(file_name);
        let controllers = match parent.is_some_and(|name| name.starts_with("nvme-subsys")) {
            true => controllers_of(root, &directory.directory("..")),
            false => Vec::new(),
        };
        let each = |file: &str| match controllers.as_slice() {
            [] => above(file),
            several => agreed(several.iter().map(|c| c.attribute(file))),
        };
        Self {
            bus: Bus::Nvme,
            model: each("model").or_else(|| above("model")).unwrap_or_default(),
            serial: each("serial")
                .or_else(|| above("serial"))
                .unwrap_or_default(),
            transport: each("transport"),
            pci_vendor: each("device/vendor").and_then(|vendor| {
                u16::from_str_radix(vendor.strip_prefix("0x").unwrap_or(&vendor), 16).ok()
            }),
            backing_file: None,
        }
    }

    /// SCSI says its serial in page 0x80, virtio in an attribute of the disk.
    fn of_other(directory: &Directory) -> Self {
        let page = std::fs::read(directory.path().join("device/vpd_pg80")).ok();
        let page = page.and_then(|page| page.get(VPD_HEADER..).map(trimmed));
        Self {
            bus: Bus::Other,
            model: directory.attribute("device/model").unwrap_or_default(),
            serial: page
                .or_else(|| directory.attribute("serial"))
                .unwrap_or_default(),
            transport: None,
            pci_vendor: None,
            backing_file: None,
        }
    }
}

/// The controllers of a subsystem: links named nvme0, nvme1, ... in it. By
/// their link, or by the class where a container shows only that.
fn controllers_of(root: &Root, subsystem: &Directory) -> Vec<Directory> {
    subsystem
        .names(".")
        .into_iter()
        .filter(|name| {
            name.strip_prefix("nvme")
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
        .map(|name| match subsystem.has(&name) {
            true => subsystem.directory(&name),
            false => Directory::new(root.join("/sys/class/nvme").join(name)),
        })
        .collect()
}

/// The value that all give, if they give one and the same.
fn agreed(mut values: impl Iterator<Item = Option<String>>) -> Option<String> {
    let first = values.next()??;
    values
        .all(|value| value.as_deref() == Some(&first))
        .then_some(first)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_paths_and_of_stacked_devices() {
        assert!(is_path_name("nvme0c1n1") && is_path_name("nvme12c0n3"));
        assert!(!is_path_name("nvme0n1") && !is_path_name("cciss"));
        assert!(is_stacked("dm-0") && is_stacked("md127") && is_stacked("md_d1"));
        assert!(!is_stacked("nvme0n1") && !is_stacked("mdx0"));
    }

    #[test]
    fn what_is_not_agreed_is_not_known() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            agreed([some("pcie"), some("pcie")].into_iter()),
            some("pcie")
        );
        assert_eq!(agreed([some("pcie"), some("tcp")].into_iter()), None);
        assert_eq!(agreed([some("pcie"), None].into_iter()), None);
        assert_eq!(agreed([].into_iter()), None);
    }
}
