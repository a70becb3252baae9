//! Gives one disk up, by name, with its serial typed back: the only way that
//! instore destroys something it did not make.

use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result, bail, ensure};
use nix::libc;
use tracing::info;

use crate::config::Config;
use crate::guard::{Access, Guard, device};
use crate::inventory::{Content, Disk, Inventory};
use crate::rules;

mod ioctl {
    //! Numbers from <linux/fs.h>: _IO(0x12, n), with a range as argument.
    nix::ioctl_write_ptr_bad!(discard, 0x1277, [u64; 2]);
    nix::ioctl_write_ptr_bad!(zero_out, 0x127f, [u64; 2]);
}

/// Zeroed in one call, so that progress can be told in between.
const CHUNK: u64 = 1 << 30;

/// The one disk that a name, a device path or a serial means.
///
/// # Errors
/// When there is none, or more than one.
pub fn find<'a>(inventory: &'a Inventory, wanted: &str) -> Result<&'a Disk> {
    let resolved = std::fs::canonicalize(wanted).ok();
    let is_it = |disk: &&Disk| {
        disk.name == wanted
            || disk.serial == wanted
            || disk.identity() == wanted
            || resolved.as_deref() == Some(device(&disk.name).as_path())
    };
    let found: Vec<&Disk> = inventory.disks.iter().filter(is_it).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => bail!(
            "find disk {wanted}: there is none of that name, path or serial; see instore disks"
        ),
        many => bail!(
            "find disk {wanted}: {} disks match; name one by its kernel name",
            many.len()
        ),
    }
}

/// Why a disk may not be wiped, whatever the user says.
#[must_use]
pub fn why_not(disk: &Disk, inventory: &Inventory, config: &Config) -> Option<String> {
    if let rules::Verdict::Refused { why } = rules::judge(disk, inventory.node.cloud, config) {
        return Some(why);
    }
    if disk.read_only {
        return Some("it is read-only".into());
    }
    if !disk.holders.is_empty() {
        return Some(format!(
            "it is held by {}: take that down first",
            disk.holders.join(", ")
        ));
    }
    if !disk.uses.is_empty() {
        return Some(format!("it is in use: {}", disk.uses.join(", ")));
    }
    None
}

/// Destroys everything on a disk and proves that it reads as empty.
///
/// # Errors
/// When it is in use, is another disk by now, or does not read as empty after.
pub fn wipe(disk: &Disk) -> Result<()> {
    let guard = Guard::open(disk, Access::Exclusive)?;
    let name = disk.identity();
    let discarded = on_range(&guard, Method::Discard, 0, disk.size).is_ok()
        && guard.file().sync_all().is_ok()
        && guard.content() == Content::Empty;
    if discarded {
        info!("disk {name}: discarded, and it reads as zero");
        return Ok(());
    }
    info!("disk {name}: discard does not leave zeroes here; write them");
    let mut at = 0;
    while at < disk.size {
        let length = CHUNK.min(disk.size - at);
        on_range(&guard, Method::ZeroOut, at, length)
            .with_context(|| format!("write zeroes to disk {name} at byte {at}"))?;
        at += length;
        info!("disk {name}: {} of {} MiB", at >> 20, disk.size >> 20);
    }
    guard
        .file()
        .sync_all()
        .with_context(|| format!("write disk {name} out"))?;
    let content = guard.content();
    ensure!(
        content == Content::Empty,
        "disk {name} is not empty after it was zeroed: {}",
        content.reasons().join(", ")
    );
    Ok(())
}

#[derive(Clone, Copy)]
enum Method {
    Discard,
    ZeroOut,
}

fn on_range(guard: &Guard, method: Method, from: u64, length: u64) -> Result<(), nix::Error> {
    let range = [from, length];
    let fd = guard.file().as_raw_fd();
    let _: libc::c_int = match method {
        // SAFETY: both read two u64, start and length in bytes, from the pointer;
        // the descriptor is a block device that is held exclusively.
        Method::Discard => unsafe { ioctl::discard(fd, &raw const range) }?,
        // SAFETY: as above.
        Method::ZeroOut => unsafe { ioctl::zero_out(fd, &raw const range) }?,
    };
    Ok(())
}

/// Whether what was typed back is the disk's serial.
#[must_use]
pub fn is_confirmed(disk: &Disk, typed: &str) -> bool {
    !disk.serial.is_empty() && typed == disk.serial
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ebs, instance_disk, node};

    #[test]
    fn a_disk_is_found_by_name_or_serial_and_only_one() {
        let inventory = node(vec![instance_disk(1), instance_disk(2)]);
        assert_eq!(find(&inventory, "nvme2n1").unwrap().name, "nvme2n1");
        let serial = inventory.disks[0].serial.clone();
        assert_eq!(find(&inventory, &serial).unwrap().name, "nvme1n1");
        assert!(find(&inventory, "nvme3n1").is_err());
        let twins = node(vec![
            instance_disk(1),
            Disk {
                name: "b".into(),
                ..instance_disk(1)
            },
        ]);
        assert!(
            find(&twins, &serial)
                .unwrap_err()
                .to_string()
                .contains("2 disks")
        );
    }

    #[test]
    fn what_is_not_ephemeral_or_in_use_is_never_wiped() {
        let config = Config::default();
        let inventory = node(vec![]);
        assert_eq!(why_not(&instance_disk(1), &inventory, &config), None);
        assert!(why_not(&ebs(1), &inventory, &config).is_some());
        let used = Disk {
            uses: vec!["mounted at /x".into()],
            ..instance_disk(1)
        };
        assert!(why_not(&used, &inventory, &config).unwrap().contains("/x"));
        let held = Disk {
            holders: vec!["md0".into()],
            ..instance_disk(1)
        };
        assert!(why_not(&held, &inventory, &config).unwrap().contains("md0"));
    }

    #[test]
    fn the_serial_must_be_typed_whole() {
        let disk = instance_disk(1);
        assert!(is_confirmed(&disk, &disk.serial));
        assert!(!is_confirmed(&disk, &disk.serial[1..]));
        assert!(!is_confirmed(
            &Disk {
                serial: String::new(),
                ..disk
            },
            ""
        ));
    }
}
