//! The last look before a disk is written: opens it exclusively, and checks on
//! that descriptor that it is the disk that was planned with, holding what was
//! planned with.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use nix::libc;

use crate::inventory::{Bus, Content, Disk, Ours};
use crate::observe;
use crate::probe;
use crate::root::Root;

mod ioctl {
    //! Numbers from <linux/fs.h> and <linux/nvme_ioctl.h>.
    nix::ioctl_read!(get_disk_sequence, 0x12, 128, u64);
    nix::ioctl_none!(nvme_namespace_id, b'N', 0x40);
}

/// A disk that was verified and is held open for writing.
#[derive(Debug)]
pub struct Guard {
    file: File,
    /// Keeps others out while it is open.
    alone: Option<File>,
    size: u64,
    identity: String,
}

/// How the disk is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nobody else may have it, as long as it is open.
    Exclusive,
    /// The same, until it is handed over to mdadm or mkfs.
    UntilHandedOver,
    /// Our own array may have it: to clear a claim.
    Shared,
}

/// Where the device file of a kernel name is.
#[must_use]
pub fn device(name: &str) -> PathBuf {
    Path::new("/dev").join(name.replace('!', "/"))
}

/// Checks that nobody has the disk and that it is the one that was observed,
/// without opening it for writing: closing such a descriptor wakes udev.
///
/// # Errors
/// When it cannot be opened, is in use, or is another disk by now.
pub fn verify(disk: &Disk) -> Result<()> {
    let file = open(disk, OpenOptions::new().read(true), libc::O_EXCL)?;
    same_device(disk, &file).with_context(|| format!("check disk {} again", name(disk)))
}

fn name(disk: &Disk) -> String {
    format!("{} (/dev/{})", disk.identity(), disk.name)
}

fn open(disk: &Disk, options: &mut OpenOptions, flags: i32) -> Result<File> {
    let file = options
        .custom_flags(flags | libc::O_CLOEXEC)
        .open(device(&disk.name));
    file.with_context(|| match flags {
        libc::O_EXCL => format!("open disk {} exclusively: is it in use?", name(disk)),
        _ => format!("open disk {}", name(disk)),
    })
}

impl Guard {
    /// Opens a disk and checks that it is the one that was observed.
    ///
    /// # Errors
    /// When it cannot be opened, is in use, or is another disk by now.
    pub fn open(disk: &Disk, access: Access) -> Result<Self> {
        let reading = || OpenOptions::new().read(true).clone();
        let alone = match access {
            Access::UntilHandedOver => Some(open(disk, &mut reading(), libc::O_EXCL)?),
            Access::Exclusive | Access::Shared => None,
        };
        let flags = match access {
            Access::Exclusive => libc::O_EXCL,
            Access::UntilHandedOver | Access::Shared => 0,
        };
        let file = open(disk, reading().write(true), flags)?;
        // udev leaves a disk alone while this is held. No more than a wish: it
        // may be looking at the disk just now.
        let _ = file.try_lock();
        for file in alone.iter().chain([&file]) {
            same_device(disk, file).with_context(|| format!("check disk {} again", name(disk)))?;
        }
        Ok(Self {
            file,
            alone,
            size: disk.size,
            identity: disk.identity(),
        })
    }

    /// Lets our own tools have the disk; it stays open for writing.
    pub fn hand_over(&mut self) {
        self.alone = None;
    }

    /// Reads the disk again and refuses unless it is what was planned with:
    /// empty still, or with the same claim of ours.
    ///
    /// # Errors
    /// When it holds anything else, or cannot be read.
    pub fn expect(&self, planned: Option<&Content>) -> Result<()> {
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let now = probe::content_again(Path::new(&path), &self.identity);
        let same = match (planned, &now) {
            (Some(Content::Empty), Content::Empty) => true,
            (Some(Content::Ours(Ours::Claimed(a))), Content::Ours(Ours::Claimed(b))) => {
                a.pool_uuid == b.pool_uuid
            }
            _ => false,
        };
        if !same {
            bail!(
                "disk {} changed since it was observed: now {} ({}); nothing was written to it",
                self.identity,
                now.word(),
                now.reasons().join(", ")
            );
        }
        Ok(())
    }

    /// What is on the disk, read through the descriptor that is held.
    #[must_use]
    pub fn content(&self) -> Content {
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        probe::content(Path::new(&path), &self.identity)
    }

    /// The descriptor itself: the disk stays held while it is open.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }

    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

fn same_device(disk: &Disk, file: &File) -> Result<()> {
    let rdev = file.metadata()?.rdev();
    let dev = format!(
        "{}:{}",
        nix::sys::stat::major(rdev),
        nix::sys::stat::minor(rdev)
    );
    ensure!(
        dev == disk.dev,
        "its device number is {dev}, not {}",
        disk.dev
    );
    if let Some(planned) = disk.diskseq {
        let mut now = 0;
        // SAFETY: BLKGETDISKSEQ writes one u64, to a variable of that type.
        unsafe { ioctl::get_disk_sequence(file.as_raw_fd(), &raw mut now) }
            .context("read its disk sequence number")?;
        ensure!(
            now == planned,
            "another device has this name now (sequence {now}, not {planned})"
        );
    }
    if disk.bus == Bus::Nvme
        && let Some(planned) = disk.nsid
    {
        // SAFETY: NVME_IOCTL_ID takes no argument and returns the namespace.
        let now = unsafe { ioctl::nvme_namespace_id(file.as_raw_fd()) }
            .context("read its NVMe namespace")?;
        ensure!(
            u32::try_from(now) == Ok(planned),
            "its namespace is {now}, not {planned}"
        );
    }
    let now = observe::look_again(&Root::system(), &disk.name)?;
    ensure!(
        now.identity() == disk.identity(),
        "it is disk {} now",
        now.identity()
    );
    ensure!(now.model == disk.model, "its model is {:?} now", now.model);
    ensure!(
        now.size == disk.size,
        "its size is {} bytes now, not {}",
        now.size,
        disk.size
    );
    Ok(())
}
