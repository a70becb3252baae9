//! Which disks are under a file or a device, and what was done to them: counters
//! of sysfs, before and after. Changes nothing and judges nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::stat::{major, minor};

use crate::results::DiskUse;

/// A device on another on another: no real stack is as deep.
const DEEPEST: usize = 8;

/// The number of the device that a file is on, or of the device that it is.
///
/// # Errors
/// When it cannot be looked at.
pub fn number(file: &File) -> io::Result<u64> {
    let metadata = file.metadata()?;
    Ok(match metadata.file_type().is_block_device() {
        true => metadata.rdev(),
        false => metadata.dev(),
    })
}

/// Kernel names of the whole disk of this number and of all that it stands on,
/// the topmost first. None for what is not on a disk: tmpfs, NFS, FUSE. `root`
/// is where sys and proc are found.
#[must_use]
pub fn under(root: &Path, number: u64) -> Vec<String> {
    let link = root.join(format!("sys/dev/block/{}:{}", major(number), minor(number)));
    let mut found = Vec::new();
    if let Ok(directory) = link.canonicalize() {
        add(&directory, &mut found, 0);
    } else if let Some(directory) = source(root, number) {
        add(&directory, &mut found, 0);
    }
    found
}

/// Filesystems over several devices have no number of a device: their mount
/// names one of them.
fn source(root: &Path, number: u64) -> Option<PathBuf> {
    let text = std::fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
    let number = format!("{}:{}", major(number), minor(number));
    let source = text.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let is_it = mount.split(' ').nth(2) == Some(&number);
        is_it.then(|| filesystem.split(' ').nth(1)).flatten()
    })?;
    let device = Path::new(source.strip_prefix("/dev/").map(|_| source)?);
    let device = device.canonicalize().unwrap_or(device.to_path_buf());
    let class = root.join("sys/class/block");
    class.join(device.file_name()?).canonicalize().ok()
}

fn add(directory: &Path, found: &mut Vec<String>, depth: usize) {
    let whole = match directory.join("partition").exists() {
        true => directory.parent().unwrap_or(directory),
        false => directory,
    };
    let Some(name) = whole.file_name().map(|name| name.to_string_lossy()) else {
        return;
    };
    if depth > DEEPEST || found.iter().any(|known| *known == name) {
        return;
    }
    found.push(name.into_owned());
    let slaves = std::fs::read_dir(whole.join("slaves"));
    let mut below: Vec<PathBuf> = slaves
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.path().canonicalize().ok())
        .collect();
    below.sort();
    for directory in below {
        add(&directory, found, depth + 1);
    }
}

/// Counters of disks as they were at one moment.
#[derive(Debug, Clone)]
pub struct Watch {
    root: PathBuf,
    began: Instant,
    disks: Vec<DiskUse>,
}

impl Watch {
    /// Reads them now. A disk that cannot be read is left out.
    #[must_use]
    pub fn begin(root: &Path, names: &[String]) -> Self {
        Self {
            root: root.to_path_buf(),
            began: Instant::now(),
            disks: names.iter().filter_map(|name| read(root, name)).collect(),
        }
    }

    /// What was added since then, by whomever.
    #[must_use]
    pub fn since(&self) -> Vec<DiskUse> {
        let elapsed = self.began.elapsed();
        let added = |before: &DiskUse| {
            let now = read(&self.root, &before.name)?;
            Some(difference(before, &now, elapsed))
        };
        self.disks.iter().filter_map(added).collect()
    }
}

fn read(root: &Path, name: &str) -> Option<DiskUse> {
    let path = root.join("sys/block").join(name).join("stat");
    parse(name, &std::fs::read_to_string(path).ok()?)
}

/// Fields as in the kernel's Documentation/block/stat.rst.
fn parse(name: &str, text: &str) -> Option<DiskUse> {
    let numbers: Vec<u64> = text
        .split_ascii_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    let at = |index: usize| numbers.get(index).copied();
    Some(DiskUse {
        name: name.to_owned(),
        read_ios: at(0)?,
        read_merges: at(1)?,
        read_sectors: at(2)?,
        read_ms: at(3)?,
        write_ios: at(4)?,
        write_merges: at(5)?,
        write_sectors: at(6)?,
        write_ms: at(7)?,
        busy_ms: at(9)?,
        queue_ms: at(10)?,
        elapsed: Duration::ZERO,
    })
}

/// Some counters are of 32 bits on some kernels: one that began anew is zero.
fn difference(before: &DiskUse, now: &DiskUse, elapsed: Duration) -> DiskUse {
    DiskUse {
        name: before.name.clone(),
        read_ios: now.read_ios.saturating_sub(before.read_ios),
        write_ios: now.write_ios.saturating_sub(before.write_ios),
        read_merges: now.read_merges.saturating_sub(before.read_merges),
        write_merges: now.write_merges.saturating_sub(before.write_merges),
        read_sectors: now.read_sectors.saturating_sub(before.read_sectors),
        write_sectors: now.write_sectors.saturating_sub(before.write_sectors),
        read_ms: now.read_ms.saturating_sub(before.read_ms),
        write_ms: now.write_ms.saturating_sub(before.write_ms),
        busy_ms: now.busy_ms.saturating_sub(before.busy_ms),
        queue_ms: now.queue_ms.saturating_sub(before.queue_ms),
        elapsed,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use nix::sys::stat::makedev;

    use super::*;

    const STAT: &str = " 10 1 80 5 20 2 160 7 0 9 12 0 0 0 0 0 0\n";

    /// vda with a partition, an array of it and vdb, in a temporary tree.
    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for name in ["pci/vda/vda1", "pci/vdb", "virtual/md0/slaves"] {
            fs::create_dir_all(at("sys/devices").join(name)).unwrap();
        }
        fs::write(at("sys/devices/pci/vda/vda1/partition"), "1").unwrap();
        fs::create_dir_all(at("sys/dev/block")).unwrap();
        fs::create_dir_all(at("sys/block")).unwrap();
        for (number, path) in [("8:1", "pci/vda/vda1"), ("9:0", "virtual/md0")] {
            let link = at("sys/dev/block").join(number);
            symlink(at("sys/devices").join(path), link).unwrap();
        }
        for path in ["pci/vda/vda1", "pci/vdb"] {
            let name = Path::new(path).file_name().unwrap();
            let slave = at("sys/devices/virtual/md0/slaves").join(name);
            symlink(at("sys/devices").join(path), slave).unwrap();
        }
        symlink(at("sys/devices/pci/vda"), at("sys/block/vda")).unwrap();
        fs::write(at("sys/block/vda/stat"), STAT).unwrap();
        dir
    }

    #[test]
    fn disks_under_a_partition_and_under_an_array() {
        let dir = tree();
        assert_eq!(under(dir.path(), makedev(8, 1)), ["vda"]);
        assert_eq!(under(dir.path(), makedev(9, 0)), ["md0", "vda", "vdb"]);
        assert!(under(dir.path(), makedev(0, 40)).is_empty());
    }

    #[test]
    fn what_has_no_number_is_found_by_its_mount() {
        let dir = tree();
        fs::create_dir_all(dir.path().join("proc/self")).unwrap();
        fs::create_dir_all(dir.path().join("sys/class/block")).unwrap();
        let mounts = "30 1 0:40 / /data rw - btrfs /dev/nosuchdisk9 rw\n";
        fs::write(dir.path().join("proc/self/mountinfo"), mounts).unwrap();
        let link = dir.path().join("sys/class/block/nosuchdisk9");
        symlink(dir.path().join("sys/devices/pci/vdb"), link).unwrap();
        assert_eq!(under(dir.path(), makedev(0, 40)), ["vdb"]);
        assert!(under(dir.path(), makedev(0, 41)).is_empty());
    }

    #[test]
    fn the_disk_of_a_real_file_is_found() {
        let file = tempfile::tempfile_in(std::env::current_dir().unwrap()).unwrap();
        let names = under(Path::new("/"), number(&file).unwrap());
        let stat = |name: &String| read(Path::new("/"), name);
        assert!(names.iter().all(|name| stat(name).is_some()), "{names:?}");
    }

    #[test]
    fn counters_are_told_as_what_was_added() {
        let dir = tree();
        let watch = Watch::begin(dir.path(), &["vda".into(), "gone".into()]);
        let more = " 15 1 120 5 20 2 160 8 0 19 12\n";
        fs::write(dir.path().join("sys/block/vda/stat"), more).unwrap();
        let uses = watch.since();
        let [one] = uses.as_slice() else {
            panic!("{uses:?}")
        };
        assert_eq!((one.read_ios, one.read_sectors, one.write_ios), (5, 40, 0));
        assert_eq!((one.write_ms, one.busy_ms, one.queue_ms), (1, 10, 0));
        assert_eq!(parse("x", "1 2 3"), None);
    }
}
