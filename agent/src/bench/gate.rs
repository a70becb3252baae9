//! Whether a benchmark may write over a device. The same questions as before a
//! disk is formatted, but for one: the user names the disk, so no allow rule
//! need. Arrays, mapped devices and partitions are not disks, and refused.

use std::fs::File;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use instore_bench::target::Gate;
use nix::sys::stat::{major, minor};

use crate::config::Config;
use crate::guard::{self, Access, Guard};
use crate::inventory::{Content, Disk};
use crate::observe;
use crate::root::Root;
use crate::rules;

/// Whoever looks at disks, as the daemon does, holds one for microseconds.
const TRIES: usize = 4;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// Asks the machine itself, each time anew.
#[derive(Debug)]
pub struct DiskGate<'a> {
    config: &'a Config,
}

impl<'a> DiskGate<'a> {
    #[must_use]
    pub fn new(config: &'a Config) -> Self {
        Self { config }
    }
}

impl Gate for DiskGate<'_> {
    fn open_empty(&self, device: &Path) -> Result<File> {
        open(&check(device, self.config)?)
    }
}

/// The observed disk that a path is the device file of, if it may be written as
/// far as can be told without opening it.
///
/// # Errors
/// When it may not, with the reason.
pub fn check(device: &Path, config: &Config) -> Result<Disk> {
    let metadata = device.symlink_metadata().context("look at it")?;
    ensure!(
        metadata.file_type().is_block_device(),
        "it is no block device"
    );
    let number = format!("{}:{}", major(metadata.rdev()), minor(metadata.rdev()));
    let inventory = observe::observe(&Root::system(), config)?;
    let disk = inventory.disks.into_iter().find(|disk| disk.dev == number);
    let disk = disk
        .context("it is a partition, an array, a mapped device or not set up: name a whole disk")?;
    match why_not(&disk, config) {
        Some(why) => bail!("{why}"),
        None => Ok(disk),
    }
}

/// Opens a disk that was checked, and reads what is on it while it is held:
/// nobody can mount it, or put anything on it, meanwhile and after.
///
/// # Errors
/// When somebody has it by now, when it is another disk, or not empty.
pub fn open(disk: &Disk) -> Result<File> {
    let guard = hold(disk)?;
    let content = guard.content();
    ensure!(
        content == Content::Empty,
        "it is not empty but {} ({}): only an empty disk is written; instore wipe {} \
         gives it up, if nobody needs it",
        content.word(),
        content.reasons().join(", "),
        guard::device(&disk.name).display()
    );
    Ok(guard.into_file())
}

fn hold(disk: &Disk) -> Result<Guard> {
    for _ in 1..TRIES {
        match Guard::open(disk, Access::Exclusive) {
            Err(error) if is_busy(&error) => thread::sleep(BETWEEN_TRIES),
            done => return done,
        }
    }
    Guard::open(disk, Access::Exclusive)
}

fn is_busy(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.raw_os_error() == Some(nix::errno::Errno::EBUSY as i32))
}

/// Why a disk may not be written, before it is opened.
fn why_not(disk: &Disk, config: &Config) -> Option<String> {
    if let Some(why) = rules::denied(disk, config) {
        return Some(why.into());
    }
    if disk.read_only {
        return Some("it is read-only".into());
    }
    if !disk.holders.is_empty() {
        return Some(format!("it is held by {}", disk.holders.join(", ")));
    }
    if !disk.uses.is_empty() {
        return Some(format!("it is in use: {}", disk.uses.join(", ")));
    }
    if !disk.partitions.is_empty() {
        return Some(format!("it has partitions: {}", disk.partitions.join(", ")));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ebs, instance_disk};

    #[test]
    fn only_a_disk_that_nobody_uses_is_opened() {
        let config = Config::default();
        let free = instance_disk(1);
        assert_eq!(why_not(&free, &config), None);
        let words = |disk: Disk| why_not(&disk, &config).unwrap();
        assert!(words(ebs(1)).contains("network volume"));
        let uses = vec!["mounted at /x".into()];
        assert!(
            words(Disk {
                uses,
                ..free.clone()
            })
            .contains("/x")
        );
        let holders = vec!["md0".into()];
        assert!(
            words(Disk {
                holders,
                ..free.clone()
            })
            .contains("md0")
        );
        let partitions = vec!["nvme1n1p1".into()];
        assert!(
            words(Disk {
                partitions,
                ..free.clone()
            })
            .contains("nvme1n1p1")
        );
        let system = Disk {
            system: true,
            ..free.clone()
        };
        assert!(words(system).contains("system"));
        let read_only = Disk {
            read_only: true,
            ..free
        };
        assert!(words(read_only).contains("read-only"));
    }

    #[test]
    fn what_is_no_block_device_is_not_looked_up() {
        let config = Config::default();
        for path in ["/dev/null", "/", "/no/such"] {
            assert!(check(Path::new(path), &config).is_err(), "{path}");
        }
    }
}
