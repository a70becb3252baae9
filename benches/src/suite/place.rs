//! What a directory is like before anything is measured in it.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use nix::sys::statvfs::statvfs;

use super::{Caching, Length, Place, Setup, size};
use crate::instance::{Detected, Origin};

/// What local disks of EC2 call themselves; only of them anything is published.
const LOCAL_MODEL: &str = "Amazon EC2 NVMe Instance Storage";
/// Partitions, mappings and arrays on each other: nobody stacks more of them.
const DEEPEST: u32 = 8;

/// What a [`Setup`] takes from a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// As the mount table names it.
    pub file_system: Option<String>,
    pub free_bytes: u64,
    pub caching: Caching,
    /// Models of the disks under it, as far as the kernel tells.
    pub models: Vec<String>,
}

/// Looks at a directory. Makes a file in it that has no name, and so is gone again.
///
/// # Errors
/// When it is no directory, or cannot be written to.
pub fn look(directory: &Path) -> Result<Seen> {
    let shown = directory.display();
    let facts = std::fs::metadata(directory).with_context(|| format!("look at {shown}"))?;
    ensure!(
        facts.is_dir(),
        "{shown} is not a directory: a device is named with --device and --destructive"
    );
    let space = statvfs(directory).with_context(|| format!("ask {shown} for its space"))?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let real = directory
        .canonicalize()
        .unwrap_or_else(|_| directory.into());
    Ok(Seen {
        file_system: file_system(&mounts, &real),
        free_bytes: space.blocks_available() * space.fragment_size(),
        models: models(Path::new("/"), facts.dev()),
        caching: caching(directory).with_context(|| format!("make a file in {shown}"))?,
    })
}

/// The suite over a directory.
///
/// # Errors
/// As [`look`] and [`size`].
pub fn of_directory(directory: &Path, length: Length, instance: Detected) -> Result<Setup> {
    let seen = look(directory)?;
    let bytes = size(length, seen.free_bytes).with_context(|| directory.display().to_string())?;
    let mut warnings = Vec::new();
    if let Some(kind @ ("tmpfs" | "ramfs")) = seen.file_system.as_deref() {
        let at = directory.display();
        warnings.push(format!(
            "{at} is memory ({kind}): there is no disk under it"
        ));
    }
    Ok(Setup {
        place: Place::Directory(directory.into()),
        length,
        bytes,
        caching: seen.caching,
        cpus: cpus(),
        disks: local(&seen.models, &instance),
        instance,
        file_system: seen.file_system,
        warnings,
    })
}

/// The suite over a device of so many bytes, which is empty: the engine's gate sees
/// to that.
///
/// # Errors
/// As [`size`].
pub fn of_device(
    device: &Path,
    capacity: u64,
    length: Length,
    instance: Detected,
) -> Result<Setup> {
    let facts = std::fs::metadata(device).with_context(|| device.display().to_string())?;
    let models = models(Path::new("/"), facts.rdev());
    let bytes = size(length, capacity).with_context(|| device.display().to_string())?;
    Ok(Setup {
        place: Place::Device(device.into()),
        length,
        bytes,
        caching: Caching::Direct,
        cpus: cpus(),
        disks: local(&models, &instance),
        instance,
        file_system: None,
        warnings: Vec::new(),
    })
}

fn cpus() -> u32 {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cpus).unwrap_or(u32::MAX)
}

/// How many disks the instance type promises something of. Whoever names the type
/// says that of all of them.
fn local(models: &[String], instance: &Detected) -> u32 {
    let is_given = matches!(
        instance,
        Detected::Known {
            origin: Origin::Given,
            ..
        }
    );
    let counts = |model: &&String| is_given || *model == LOCAL_MODEL;
    u32::try_from(models.iter().filter(counts).count()).unwrap_or(u32::MAX)
}

/// Models of the disks that a block device is made of, from sysfs. Empty where the
/// filesystem has none, as one of a network.
fn models(root: &Path, device: u64) -> Vec<String> {
    use nix::sys::stat::{major, minor};
    let number = format!("{}:{}", major(device), minor(device));
    let at = root.join("sys/dev/block").join(number).canonicalize();
    let mut found = BTreeMap::new();
    if let Ok(at) = at {
        disks(&at, DEEPEST, &mut found);
    }
    found.into_values().collect()
}

/// By place in sysfs: two partitions of a disk are one disk.
fn disks(at: &Path, deeper: u32, found: &mut BTreeMap<PathBuf, String>) {
    if at.join("partition").exists() {
        return at.parent().map_or((), |disk| disks(disk, deeper, found));
    }
    let under = std::fs::read_dir(at.join("slaves")).into_iter().flatten();
    let under = under.filter_map(|entry| entry.ok()?.path().canonicalize().ok());
    let under: Vec<PathBuf> = under.collect();
    if deeper > 0 && !under.is_empty() {
        under.iter().for_each(|at| disks(at, deeper - 1, found));
        return;
    }
    let model = std::fs::read_to_string(at.join("device/model")).unwrap_or_default();
    found.insert(at.to_path_buf(), model.trim().to_owned());
}

/// Whether files in it can be opened with O_DIRECT.
fn caching(directory: &Path) -> Result<Caching> {
    // Not every filesystem has files without a name.
    let file = tempfile::NamedTempFile::with_prefix_in(".instore-bench-", directory)?;
    let mut options = OpenOptions::new();
    let opened = options
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_DIRECT)
        .open(file.path());
    match opened {
        Ok(_) => Ok(Caching::Direct),
        Err(e) if e.raw_os_error() == Some(Errno::EINVAL as i32) => Ok(Caching::Buffered),
        Err(e) => Err(e.into()),
    }
}

/// The filesystem that a path is on, from the text of /proc/self/mountinfo: that of
/// the longest mount point above it, and of these the last.
fn file_system(mounts: &str, path: &Path) -> Option<String> {
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let at = unescaped(left.split(' ').nth(4)?);
        let kind = right.split(' ').next()?;
        path.starts_with(&at).then(|| (at.len(), kind.to_owned()))
    };
    let above = mounts.lines().filter_map(mount);
    above
        .max_by_key(|(length, _)| *length)
        .map(|(_, kind)| kind)
}

/// A space, a tab, a line's end and a backslash are written in octal.
fn unescaped(text: &str) -> String {
    let codes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    let replace = |text: String, (code, plain): (&str, &str)| text.replace(code, plain);
    codes.into_iter().fold(text.to_owned(), replace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 259:2 / / rw,noatime shared:1 - ext4 /dev/root rw
30 22 0:30 / /data rw shared:2 - autofs systemd-1 rw
31 30 9:0 / /data rw shared:2 - xfs /dev/md0 rw
40 22 0:31 / /mnt/a\\040b rw - nfs4 fs-1:/ rw
";

    #[test]
    fn the_filesystem_is_that_of_the_mount_above() {
        let of = |path: &str| file_system(MOUNTS, Path::new(path)).unwrap();
        assert_eq!(of("/data/x"), "xfs");
        assert_eq!(of("/database"), "ext4");
        assert_eq!(of("/mnt/a b"), "nfs4");
    }

    #[test]
    fn a_directory_is_looked_at_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let seen = look(dir.path()).unwrap();
        assert!(
            seen.file_system.is_some() && seen.free_bytes > 0,
            "{seen:?}"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    fn instance(origin: Origin) -> Detected {
        Detected::Known {
            name: "i4i.large".into(),
            origin,
        }
    }

    #[test]
    fn disks_are_found_under_partitions_and_arrays_and_each_counts_once() {
        let root = tempfile::tempdir().unwrap();
        let sys = root.path().join("sys");
        let make = |path: &str, text: &str| {
            let path = sys.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let link = |to: &str, from: &str| {
            std::fs::create_dir_all(sys.join(from).parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(sys.join(to), sys.join(from)).unwrap();
        };
        let local = format!("{LOCAL_MODEL}    \n");
        make("devices/nvme1n1/device/model", &local);
        make("devices/nvme1n1/nvme1n1p1/partition", "1\n");
        make("devices/nvme1n1/nvme1n1p2/partition", "2\n");
        make("devices/nvme2n1/device/model", &local);
        make(
            "devices/nvme0n1/device/model",
            "Amazon Elastic Block Store\n",
        );
        for slave in [
            "nvme1n1/nvme1n1p1",
            "nvme1n1/nvme1n1p2",
            "nvme2n1",
            "nvme0n1",
        ] {
            let name = slave.rsplit('/').next().unwrap();
            link(
                &format!("devices/{slave}"),
                &format!("devices/md0/slaves/{name}"),
            );
        }
        link("devices/md0", "dev/block/9:0");
        link("devices/nvme2n1", "dev/block/259:2");
        let of = |major, minor| models(root.path(), nix::sys::stat::makedev(major, minor));
        assert_eq!(of(259, 2), [LOCAL_MODEL]);
        let all = of(9, 0);
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(of(0, 30).is_empty());
        // A volume of the network counts only for somebody who says so.
        assert_eq!(super::local(&all, &instance(Origin::Metadata)), 2);
        assert_eq!(super::local(&all, &instance(Origin::Given)), 3);
    }

    #[test]
    fn memory_is_told() {
        let shm = tempfile::tempdir_in("/dev/shm").unwrap();
        let setup = of_directory(shm.path(), Length::Quick, instance(Origin::Given));
        match setup {
            Ok(setup) => assert!(setup.warnings[0].contains("(tmpfs)"), "{setup:?}"),
            // A container has 64 MiB of it.
            Err(refused) => assert!(format!("{refused:#}").contains("are free"), "{refused:#}"),
        }
    }

    #[test]
    fn a_file_and_what_is_not_there_are_refused_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let words = look(file.path()).unwrap_err().to_string();
        assert!(words.contains("not a directory"), "{words}");
        let words = look(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(words.contains("/nowhere/at/all"), "{words}");
    }
}
