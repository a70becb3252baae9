//! Lays out a node below a temporary directory, with the links that sysfs has.

use std::fs;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::PathBuf;

use instore::config::Config;
use instore::inventory::{Disk, Inventory};
use instore::observe::observe;
use instore::root::Root;

/// Enough for every signature, and read in no time.
pub(crate) const SIZE: u64 = 16 << 20;

pub(crate) const LOCAL: &str = "Amazon EC2 NVMe Instance Storage";
pub(crate) const EBS: &str = "Amazon Elastic Block Store";

/// An NVMe namespace and its controller.
#[derive(Clone)]
pub(crate) struct Nvme<'a> {
    pub(crate) controller: usize,
    pub(crate) namespace: usize,
    pub(crate) nsid: u32,
    pub(crate) model: &'a str,
    pub(crate) serial: &'a str,
    pub(crate) vendor: &'a str,
    pub(crate) transport: &'a str,
    pub(crate) wwid: &'a str,
}

impl Default for Nvme<'_> {
    fn default() -> Self {
        Self {
            controller: 1,
            namespace: 1,
            nsid: 1,
            model: LOCAL,
            serial: "AWS6AAA1111BBBB2222C",
            vendor: "0x1d0f",
            transport: "pcie",
            wwid: "nvme.1d0f-4157-416d-00000001",
        }
    }
}

pub(crate) struct Tree {
    dir: tempfile::TempDir,
    devices: usize,
}

impl Tree {
    /// A node with a kernel, an own mount table and no disks.
    pub(crate) fn new() -> Self {
        let tree = Self {
            dir: tempfile::tempdir().unwrap(),
            devices: 0,
        };
        tree.directory("sys/block");
        tree.directory("dev");
        tree.write("proc/sys/kernel/osrelease", "6.1.0-test\n");
        tree.write(
            "proc/swaps",
            "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
        );
        tree.mounts("self", &["0:20 / /proc rw - proc proc rw"]);
        tree
    }

    pub(crate) fn aws() -> Self {
        let tree = Self::new();
        tree.dmi("Amazon EC2", "i4i.large", "");
        tree
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) fn directory(&self, path: &str) {
        fs::create_dir_all(self.path(path)).unwrap();
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    pub(crate) fn dmi(&self, vendor: &str, product: &str, tag: &str) {
        self.write("sys/class/dmi/id/sys_vendor", format!("{vendor}\n"));
        self.write("sys/class/dmi/id/product_name", format!("{product}\n"));
        self.write("sys/class/dmi/id/chassis_asset_tag", format!("{tag}\n"));
    }

    /// The mount table of a process: "major:minor root at options - fs source
    /// options".
    pub(crate) fn mounts(&self, pid: &str, lines: &[&str]) {
        let table: String = lines
            .iter()
            .enumerate()
            .map(|(n, line)| format!("{} 1 {line}\n", n + 30))
            .collect();
        self.write(&format!("proc/{pid}/mountinfo"), table);
    }

    /// Puts a process into a mount namespace.
    pub(crate) fn namespace(&self, pid: &str, number: u32) {
        self.link(&format!("proc/{pid}/ns/mnt"), &format!("mnt:[{number}]"));
    }

    fn next_dev(&mut self) -> String {
        self.devices += 1;
        format!("259:{}", self.devices - 1)
    }

    /// What every block device has. Returns its "major:minor".
    fn block(&mut self, directory: &str) -> String {
        let dev = self.next_dev();
        self.write(&format!("{directory}/dev"), format!("{dev}\n"));
        self.write(&format!("{directory}/size"), format!("{}\n", SIZE / 512));
        self.write(&format!("{directory}/ro"), "0\n");
        self.directory(&format!("{directory}/holders"));
        dev
    }

    fn whole(&mut self, directory: &str, name: &str) -> String {
        let dev = self.block(directory);
        for (file, text) in [("removable", "0\n"), ("hidden", "0\n"), ("diskseq", "7\n")] {
            self.write(&format!("{directory}/{file}"), text);
        }
        self.write(&format!("{directory}/queue/logical_block_size"), "512\n");
        self.directory(&format!("{directory}/slaves"));
        self.device_file(name);
        dev
    }

    fn device_file(&self, name: &str) {
        let file = fs::File::create(self.path(&format!("dev/{name}"))).unwrap();
        file.set_len(SIZE).unwrap();
    }

    /// A controller on its PCI device. Returns its directory.
    pub(crate) fn controller(&self, nvme: &Nvme<'_>) -> String {
        let n = nvme.controller;
        let pci = format!("sys/devices/pci0000:00/0000:00:{n:02x}.0");
        let directory = format!("{pci}/nvme/nvme{n}");
        self.write(&format!("{pci}/vendor"), format!("{}\n", nvme.vendor));
        // Fields of fixed width, as the kernel prints them.
        self.write(
            &format!("{directory}/model"),
            format!("{:40}\n", nvme.model),
        );
        self.write(
            &format!("{directory}/serial"),
            format!("{:20}\n", nvme.serial),
        );
        self.write(
            &format!("{directory}/transport"),
            format!("{}\n", nvme.transport),
        );
        self.link(
            &format!("{directory}/device"),
            &format!("../../../0000:00:{n:02x}.0"),
        );
        self.link(
            &format!("sys/class/nvme/nvme{n}"),
            &format!("../../{}", directory.strip_prefix("sys/").unwrap()),
        );
        directory
    }

    /// A namespace below its controller. Returns its "major:minor".
    pub(crate) fn nvme(&mut self, nvme: &Nvme<'_>) -> String {
        let above = self.controller(nvme);
        let name = format!("nvme{}n{}", nvme.controller, nvme.namespace);
        self.namespace_disk(&above, &name, nvme)
    }

    pub(crate) fn namespace_disk(&mut self, above: &str, name: &str, nvme: &Nvme<'_>) -> String {
        let directory = format!("{above}/{name}");
        let dev = self.whole(&directory, name);
        self.write(&format!("{directory}/nsid"), format!("{}\n", nvme.nsid));
        self.write(&format!("{directory}/wwid"), format!("{}\n", nvme.wwid));
        self.block_link(name, &directory);
        dev
    }

    fn block_link(&self, name: &str, directory: &str) {
        let target = directory.strip_prefix("sys/").unwrap();
        self.link(&format!("sys/block/{name}"), &format!("../{target}"));
    }

    /// A partition of a disk. Returns its "major:minor".
    pub(crate) fn partition(&mut self, disk: &str, name: &str) -> String {
        let directory = format!("sys/block/{disk}/{name}");
        let dev = self.block(&directory);
        self.write(&format!("{directory}/partition"), "1\n");
        self.device_file(name);
        dev
    }

    /// A device that is not on a bus: dm-0, md127, loop0. Returns its
    /// "major:minor".
    pub(crate) fn virtual_disk(&mut self, name: &str) -> String {
        let directory = format!("sys/devices/virtual/block/{name}");
        let dev = self.whole(&directory, name);
        self.block_link(name, &directory);
        dev
    }

    /// Puts a device on top of disks or partitions, named as below sys/block.
    pub(crate) fn stack(&self, top: &str, below: &[&str]) {
        for place in below {
            let name = place.rsplit('/').next().unwrap();
            self.link(
                &format!("sys/block/{place}/holders/{top}"),
                &format!("/sys/devices/virtual/block/{top}"),
            );
            self.link(
                &format!("sys/block/{top}/slaves/{name}"),
                &format!("/sys/block/{place}"),
            );
        }
    }

    /// Writes into a disk.
    pub(crate) fn data(&self, name: &str, offset: u64, bytes: &[u8]) {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(self.path(&format!("dev/{name}")))
            .unwrap();
        file.write_all_at(bytes, offset).unwrap();
    }

    /// Writes the superblock of an md member, metadata 1.2.
    pub(crate) fn md_member(&self, name: &str, array: &str, uuid: [u8; 16], slot: u16) {
        let mut block = [0_u8; 260];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &0xa92b_4efc_u32.to_le_bytes());
        put(4, &1_u32.to_le_bytes());
        put(16, &uuid);
        put(32, array.as_bytes());
        put(80, &(SIZE / 512 - 2048).to_le_bytes());
        put(92, &2_u32.to_le_bytes());
        put(128, &2048_u64.to_le_bytes());
        put(136, &(SIZE / 512 - 2048).to_le_bytes());
        put(144, &8_u64.to_le_bytes());
        put(160, &u32::from(slot).to_le_bytes());
        put(220, &2_u32.to_le_bytes());
        put(256, &0_u16.to_le_bytes());
        put(258, &1_u16.to_le_bytes());
        let words = block
            .chunks_exact(4)
            .map(|w| u32::from_le_bytes(w.try_into().unwrap()));
        let sum: u64 = words.map(u64::from).sum();
        let folded = u32::try_from((sum & 0xffff_ffff) + (sum >> 32)).unwrap();
        block[216..220].copy_from_slice(&folded.to_le_bytes());
        self.data(name, 4096, &block);
    }

    pub(crate) fn root(&self) -> Root {
        Root::at(self.dir.path())
    }

    pub(crate) fn observe(&self) -> Inventory {
        self.observe_with("")
    }

    pub(crate) fn observe_with(&self, config: &str) -> Inventory {
        observe(&self.root(), &Config::parse(config).unwrap()).unwrap()
    }
}

/// The one disk of this name.
pub(crate) fn disk<'a>(inventory: &'a Inventory, name: &str) -> &'a Disk {
    let mut found = inventory.disks.iter().filter(|disk| disk.name == name);
    let one = found.next().unwrap_or_else(|| panic!("no disk {name}"));
    assert!(found.next().is_none(), "{name} is there twice");
    one
}

pub(crate) fn names(inventory: &Inventory) -> Vec<&str> {
    inventory
        .disks
        .iter()
        .map(|disk| disk.name.as_str())
        .collect()
}
