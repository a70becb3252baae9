//! How block devices stand on each other: partitions on disks, arrays and
//! mapped devices on both. Read from sysfs once; everything that asks "whose
//! disk is that" asks here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::read::{self, Directory};
use crate::root::Root;

/// A whole device or a partition.
#[derive(Debug)]
pub(super) struct Block {
    /// Its directory in sysfs, with links resolved.
    pub(super) directory: Directory,
    /// "major:minor"; empty for a hidden device, which has none.
    pub(super) dev: String,
    /// The disk it is a partition of.
    pub(super) parent: Option<String>,
    pub(super) partitions: Vec<String>,
    /// Devices on top.
    pub(super) holders: Vec<String>,
    /// Devices below.
    pub(super) slaves: Vec<String>,
}

/// All block devices by kernel name.
#[derive(Debug, Default)]
pub(super) struct Tree {
    blocks: BTreeMap<String, Block>,
    by_dev: BTreeMap<String, String>,
    /// Who stands on devices that are not read yet.
    over: BTreeMap<String, Vec<String>>,
}

impl Tree {
    /// Reads /sys/block.
    pub(super) fn read(root: &Root) -> Result<Self> {
        let top = root.join("/sys/block");
        // Listed here and not by `read::names`: no list is not an empty list.
        let entries = std::fs::read_dir(&top)
            .with_context(|| format!("read {}: is sysfs mounted?", top.display()))?;
        // One list of all partitions, instead of a long one for each disk.
        let class = read::names(&root.join("/sys/class/block"));
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.with_context(|| format!("read {}", top.display()))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        // Namespaces last: what stands on others has named most of them by then.
        names.sort_by_key(|name| is_namespace(name));
        let mut tree = Self::default();
        for name in names {
            tree.add_whole(name, &top, &class);
        }
        Ok(tree)
    }

    /// One whole device and its partitions, if it is there.
    pub(super) fn of(root: &Root, name: &str) -> Self {
        let top = root.join("/sys/block");
        let mut tree = Self::default();
        if top.join(name).exists() {
            tree.add_whole(name.to_owned(), &top, &[]);
        }
        tree
    }

    /// `class` are the names of all block devices, if they are known.
    fn add_whole(&mut self, name: String, top: &Path, class: &[String]) {
        let link = top.join(&name);
        let directory = Directory::new(match std::fs::read_link(&link) {
            Ok(target) => top.join(target),
            Err(_) => link,
        });
        if is_idle(&name, &directory) {
            return;
        }
        let is_partition = |entry: &String| {
            entry.starts_with(&name) && directory.has(&format!("{entry}/partition"))
        };
        let entries = match class {
            [] => directory.names("."),
            known => known.iter().filter(|n| **n != name).cloned().collect(),
        };
        let partitions: Vec<String> = entries.into_iter().filter(is_partition).collect();
        for partition in &partitions {
            let directory = directory.directory(partition);
            self.add(partition.clone(), directory, Some(name.clone()), Vec::new());
        }
        self.add(name, directory, None, partitions);
    }

    fn add(
        &mut self,
        name: String,
        directory: Directory,
        parent: Option<String>,
        partitions: Vec<String>,
    ) {
        let block = Block {
            dev: directory.attribute("dev").unwrap_or_default(),
            // The kernel links both ways, and namespaces come last: one that is
            // named by all that stands on it need not be asked. One that is not
            // named may be free, and says so itself.
            holders: match self.over.remove(&name) {
                Some(holders) if is_namespace(&name) => holders,
                _ => directory.names("holders"),
            },
            slaves: match parent {
                // A namespace stands on a controller, never on other devices.
                None if !is_namespace(&name) => directory.names("slaves"),
                _ => Vec::new(),
            },
            parent,
            partitions,
            directory,
        };
        for slave in &block.slaves {
            let over = self.over.entry(slave.clone()).or_default();
            over.push(name.clone());
        }
        if !block.dev.is_empty() {
            self.by_dev.insert(block.dev.clone(), name.clone());
        }
        self.blocks.insert(name, block);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Block> {
        self.blocks.get(name)
    }

    /// Whole devices in order of their names.
    pub(super) fn whole(&self) -> impl Iterator<Item = (&str, &Block)> {
        self.blocks
            .iter()
            .filter(|(_, block)| block.parent.is_none())
            .map(|(name, block)| (name.as_str(), block))
    }

    pub(super) fn by_dev(&self, dev: &str) -> Option<&str> {
        self.by_dev.get(dev).map(String::as_str)
    }

    /// The kernel name that a path below /dev means: by its name, or on the
    /// machine itself by the number of the device it leads to.
    pub(super) fn by_path(&self, root: &Root, path: &str) -> Option<&str> {
        let name = path.strip_prefix("/dev/")?;
        if let Some((name, _)) = self.blocks.get_key_value(&name.replace('/', "!")) {
            return Some(name);
        }
        if !root.is_system() {
            return None;
        }
        let number = read::device_number(Path::new(path))?;
        self.by_dev(&number)
    }

    /// The whole disk of a disk or a partition.
    pub(super) fn whole_of<'a>(&'a self, name: &'a str) -> &'a str {
        self.get(name)
            .and_then(|block| block.parent.as_deref())
            .unwrap_or(name)
    }

    /// A disk, its partitions, and everything that stands on them.
    pub(super) fn above(&self, name: &str) -> BTreeSet<String> {
        self.closure(name, |_, block| {
            block
                .partitions
                .iter()
                .chain(&block.holders)
                .cloned()
                .collect()
        })
    }

    /// A device, the disk it is a part of, and everything it stands on.
    pub(super) fn below(&self, name: &str) -> BTreeSet<String> {
        self.closure(name, |name, block| {
            let holding = self
                .blocks
                .iter()
                .filter(|(_, other)| other.holders.iter().any(|holder| holder == name))
                .map(|(other, _)| other);
            holding
                .chain(&block.slaves)
                .chain(&block.parent)
                .cloned()
                .collect()
        })
    }

    fn closure(&self, name: &str, next: impl Fn(&str, &Block) -> Vec<String>) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![name.to_owned()];
        while let Some(name) = todo.pop() {
            if let Some(block) = self.get(&name) {
                todo.extend(next(&name, block));
            }
            seen.insert(name);
            todo.retain(|name| !seen.contains(name));
        }
        seen
    }
}

/// Of NVMe, or a path of one.
fn is_namespace(name: &str) -> bool {
    name.starts_with("nvme")
}

/// Devices that are only a possibility: RAM disks, loop devices without a
/// file, zram and nbd without a size, and drives for media that come and go.
fn is_idle(name: &str, directory: &Directory) -> bool {
    let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
    match kind {
        "ram" | "sr" | "fd" => true,
        "loop" => !directory.has("loop/backing_file"),
        "zram" | "nbd" => directory.number::<u64>("size").unwrap_or(0) == 0,
        _ => false,
    }
}
