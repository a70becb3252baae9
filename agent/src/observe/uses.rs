//! Who uses a disk: mounts in any namespace, swap, devices on top, loop
//! devices, an exclusive open; and whether the system itself runs from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::fcntl::OFlag;
use nix::sys::stat;

use super::mounts::Namespace;
use super::tree::Tree;
use super::{device, read};
use crate::inventory::{Disk, Mount};
use crate::root::Root;

/// What is mounted here is the system, with all it stands on.
const SYSTEM: &[&str] = &["/", "/boot", "/boot/efi", "/efi", "/usr", "/var", "/etc"];

/// A look at a disk takes microseconds; who holds it longer uses it.
const TRIES: usize = 4;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// Fills `uses` and `system` of every disk; tries to open those that matter.
pub(super) fn find(
    root: &Root,
    tree: &Tree,
    spaces: &[Namespace],
    disks: &mut [Disk],
    matters: impl Fn(&Disk) -> bool,
) -> Result<()> {
    let mut map = Map::new(root, tree, disks);
    let system = map.system(spaces);
    for (name, _) in tree.whole() {
        map.held_by(name);
    }
    for space in spaces {
        map.mounted(space);
    }
    map.swapped()?;
    map.looped();
    let mut uses = map.uses;
    for disk in disks {
        disk.system = system.contains(&disk.name);
        disk.uses = uses.remove(&disk.name).unwrap_or_default();
        if disk.system {
            disk.uses.insert(0, "the system runs from it".into());
        }
        let openable = root.is_system() && !disk.hidden && disk.size > 0;
        if disk.uses.is_empty() && openable && matters(disk) {
            disk.uses.extend(opened(root, disk));
        }
    }
    Ok(())
}

struct Map<'a> {
    root: &'a Root,
    tree: &'a Tree,
    /// Disks by the name of anything on top of them, and by their own.
    under: BTreeMap<String, Vec<String>>,
    uses: BTreeMap<String, Vec<String>>,
    /// Mount points that are already told, by disk.
    told: BTreeSet<(String, std::path::PathBuf)>,
}

impl<'a> Map<'a> {
    fn new(root: &'a Root, tree: &'a Tree, disks: &[Disk]) -> Self {
        let mut under: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for disk in disks {
            for name in tree.above(&disk.name) {
                under.entry(name).or_default().push(disk.name.clone());
            }
        }
        Self {
            root,
            tree,
            under,
            uses: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }

    /// Notes a use of a block device on every disk below it.
    fn note(&mut self, name: &str, words: &str) {
        for disk in self.under.get(name).into_iter().flatten() {
            let uses = self.uses.entry(disk.clone()).or_default();
            if !uses.iter().any(|told| told == words) {
                uses.push(words.to_owned());
            }
        }
    }

    /// The block device of a mount. Filesystems of several disks have no
    /// number of a device: there the source is asked.
    fn device_of(&self, mount: &Mount) -> Option<&'a str> {
        match mount.dev.starts_with("0:") {
            true => self.tree.by_path(self.root, &mount.source),
            false => self.tree.by_dev(&mount.dev),
        }
    }

    /// All devices below what is mounted at the system's places, here or for
    /// the first process.
    fn system(&self, spaces: &[Namespace]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for space in spaces.iter().filter(|s| matches!(s.pid, None | Some(1))) {
            for mount in &space.mounts {
                if SYSTEM.iter().any(|place| mount.at == Path::new(place)) {
                    self.add_below(mount, &space.mounts, &mut found);
                }
            }
        }
        found
    }

    fn add_below(&self, mount: &Mount, all: &[Mount], found: &mut BTreeSet<String>) {
        let Some(device) = self.device_of(mount) else {
            return;
        };
        for name in self.tree.below(device) {
            if !found.insert(name.clone()) {
                continue;
            }
            // A loop device stands on the filesystem that its file is in.
            let block = self.tree.get(&name).filter(|_| name.starts_with("loop"));
            let file = block.and_then(|block| block.directory.attribute("loop/backing_file"));
            let holder = file.and_then(|file| {
                all.iter()
                    .filter(|mount| Path::new(&file).starts_with(&mount.at))
                    .max_by_key(|mount| mount.at.as_os_str().len())
            });
            if let Some(holder) = holder {
                self.add_below(holder, all, found);
            }
        }
    }

    /// Devices on top of a disk or its partitions are a use by themselves.
    fn held_by(&mut self, disk: &str) {
        let tree = self.tree;
        let Some(block) = tree.get(disk) else { return };
        let parts = block.partitions.iter().filter_map(|name| tree.get(name));
        for holder in std::iter::once(block).chain(parts).flat_map(|b| &b.holders) {
            let words = held_words(tree, holder);
            let uses = self.uses.entry(disk.to_owned()).or_default();
            if !uses.contains(&words) {
                uses.push(words);
            }
        }
    }

    fn mounted(&mut self, space: &Namespace) {
        for mount in &space.mounts {
            let at = mount.at.display();
            let place = match space.pid {
                None => format!("{at}"),
                Some(pid) => format!("{at} (namespace of pid {pid})"),
            };
            if let Some(name) = self.device_of(mount) {
                for disk in self.under.get(name).cloned().unwrap_or_default() {
                    if self.told.insert((disk.clone(), mount.at.clone())) {
                        let uses = self.uses.entry(disk).or_default();
                        uses.push(format!("mounted at {place}"));
                    }
                }
            } else if mount.fs == "devtmpfs" && mount.root != Path::new("/") {
                // Kubernetes hands a raw disk out by binding its device file.
                let path = format!("/dev{}", mount.root.display());
                if let Some(name) = self.tree.by_path(self.root, &path) {
                    self.note(name, &format!("its device file is bound at {place}"));
                }
            }
        }
    }

    fn swapped(&mut self) -> Result<()> {
        let path = self.root.join("/proc/swaps");
        let text = match read::whole(&path) {
            Ok(text) => text,
            // The kernel was built without swap.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
        };
        for line in text.lines().skip(1) {
            let file = line.split_ascii_whitespace().next().unwrap_or_default();
            let file = read::unescaped(file);
            let file = file.strip_suffix(" (deleted)").unwrap_or(&file);
            if let Some(name) = self.tree.by_path(self.root, file) {
                self.note(name, &format!("swap on {name}"));
            }
        }
        Ok(())
    }

    /// Loop devices over a disk are not its holders in sysfs.
    fn looped(&mut self) {
        for (name, block) in self.tree.whole() {
            if !name.starts_with("loop") {
                continue;
            }
            let file = block.directory.attribute("loop/backing_file");
            if let Some(below) = file.and_then(|file| self.tree.by_path(self.root, &file))
                && below != name
            {
                self.note(below, &format!("loop device {name} is on top of it"));
            }
        }
    }
}

fn held_words(tree: &Tree, holder: &str) -> String {
    let Some(block) = tree.get(holder) else {
        return format!("held by {holder}");
    };
    let mapped = |file: &str| block.directory.attribute(&format!("dm/{file}"));
    if holder.starts_with("md") || block.directory.has("md") {
        return format!("member of array {holder}");
    }
    let Some(name) = mapped("name") else {
        return format!("held by {holder}");
    };
    let uuid = mapped("uuid").unwrap_or_default();
    match uuid.split('-').next() {
        Some("LVM") => format!("holds LVM volume {name}"),
        Some("CRYPT") => format!("holds encrypted volume {name}"),
        _ => format!("holds mapped device {name}"),
    }
}

/// Whether the device can be had alone. Read-only, so that closing it wakes
/// nobody.
fn opened(root: &Root, disk: &Disk) -> Option<String> {
    let path = device(root, &disk.name);
    let file = match open_alone(&path) {
        Ok(file) => file,
        Err(e) if is_busy(&e) => {
            return Some(
                "opened exclusively by someone (a mount, array, swap or another program)".into(),
            );
        }
        Err(e) => return Some(format!("cannot be opened: {e}")),
    };
    let number = match file.metadata() {
        Ok(facts) => facts.rdev(),
        Err(e) => return Some(format!("cannot be opened: {e}")),
    };
    let is = format!("{}:{}", stat::major(number), stat::minor(number));
    (is != disk.dev).then(|| {
        format!(
            "cannot be opened: {} is device {is}, not {}",
            path.display(),
            disk.dev
        )
    })
}

/// Tries again while someone else only looks, as another instore does here.
fn open_alone(path: &Path) -> std::io::Result<File> {
    let flags = OFlag::O_EXCL | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits());
    for _ in 1..TRIES {
        match options.open(path) {
            Err(e) if is_busy(&e) => thread::sleep(BETWEEN_TRIES),
            done => return done,
        }
    }
    options.open(path)
}

fn is_busy(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::EBUSY as i32)
}
