//! Mounting and unmounting: by what was verified, without following symbolic
//! links, and never one mount on top of another. What is to be mounted where
//! is decided in `plan`.

mod point;
mod table;

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{fstat, major, minor};
use tracing::warn;

use crate::config::Fs;
use crate::inventory::Mount;
use crate::services;

pub use point::{Missing, open_dir};
pub use table::{mounts, mounts_below, parse_mountinfo};

/// Whether project quotas are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    On,
    Off,
}

/// A filesystem on a device that the caller has verified just now.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub device: &'a Path,
    /// Major and minor number of what was verified.
    pub dev: (u64, u64),
    pub fs: Fs,
    pub quota: Quota,
}

/// What a request to mount came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounted {
    /// It was there before; nothing was changed.
    Already,
    /// Mounted now, with project quotas or without.
    Now(Quota),
}

/// Mounts the filesystem of a verified device.
///
/// # Errors
/// When the mount point is not a plain directory, when something else is
/// mounted there, or when the device is not the one that was verified.
pub fn mount_device(source: Source<'_>, at: &Path) -> Result<Mounted> {
    let what = || format!("mount {} at {}", source.device.display(), at.display());
    let point = open_dir(at, Missing::Create).with_context(what)?;
    if let Some(there) = table::mounted_at(&point, at)? {
        if there.dev == dev_text(source.dev) && there.root == Path::new("/") {
            return Ok(Mounted::Already);
        }
        return Err(occupied(&there)).with_context(what);
    }
    let got = mount_with_quota(source, &point).with_context(what)?;
    let check = verify(at, |stat| {
        (major(stat.st_dev), minor(stat.st_dev)) == source.dev
    });
    if let Err(e) = check {
        let _ = umount2(at, MntFlags::UMOUNT_NOFOLLOW);
        return Err(e.context(format!(
            "{}: another device than the verified {} got mounted, so it was unmounted again",
            what(),
            dev_text(source.dev)
        )));
    }
    Ok(Mounted::Now(got))
}

/// Makes a directory of a pool visible at another place.
///
/// # Errors
/// As [`mount_device`].
pub fn bind(source_dir: &Path, at: &Path) -> Result<Mounted> {
    let what = || format!("bind {} to {}", source_dir.display(), at.display());
    let source = open_dir(source_dir, Missing::Refuse).with_context(what)?;
    let wanted = fstat(&source).with_context(what)?;
    let point = open_dir(at, Missing::Create).with_context(what)?;
    if let Some(there) = table::mounted_at(&point, at)? {
        let root = table::root_of(&source, source_dir)?;
        if there.dev == dev_text((major(wanted.st_dev), minor(wanted.st_dev))) && there.root == root
        {
            return Ok(Mounted::Already);
        }
        return Err(occupied(&there)).with_context(what);
    }
    mount(
        Some(&by_descriptor(&source)),
        &by_descriptor(&point),
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
    .with_context(what)?;
    let check = verify(at, |stat| {
        (stat.st_dev, stat.st_ino) == (wanted.st_dev, wanted.st_ino)
    });
    if let Err(e) = check {
        let _ = umount2(at, MntFlags::UMOUNT_NOFOLLOW);
        return Err(e.context(format!(
            "{}: something else appeared there, so it was unmounted again",
            what()
        )));
    }
    Ok(Mounted::Now(Quota::Off))
}

/// Unmounts what is mounted exactly here; no mount is a success.
///
/// # Errors
/// When it is in use, naming by whom.
pub fn unmount(at: &Path) -> Result<()> {
    if at
        .symlink_metadata()
        .is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
    {
        return Ok(());
    }
    let mounted = {
        let point =
            open_dir(at, Missing::Refuse).with_context(|| format!("unmount {}", at.display()))?;
        table::mounted_at(&point, at)?
    };
    if mounted.is_none() {
        return Ok(());
    }
    match umount2(at, MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(Errno::EBUSY) => Err(busy(at)),
        Err(e) => Err(e).with_context(|| format!("unmount {}", at.display())),
    }
}

fn busy(at: &Path) -> anyhow::Error {
    let shown = at.display();
    let below = mounts_below(at).unwrap_or_default();
    if let Some(mount) = below.first() {
        return anyhow!(
            "unmount {shown}: {} is mounted below it: unmount that first",
            mount.at.display()
        );
    }
    match services::holders(&[at]) {
        Ok(holders) if !holders.is_empty() => {
            anyhow!("unmount {shown}: in use by {holders}: stop that first")
        }
        _ => anyhow!("unmount {shown}: in use by something that /proc does not show"),
    }
}

fn mount_with_quota(source: Source<'_>, point: &OwnedFd) -> Result<Quota> {
    let once = |options: Option<&str>| {
        mount(
            Some(source.device),
            &by_descriptor(point),
            Some(source.fs.to_string().as_str()),
            MsFlags::MS_NOATIME,
            options,
        )
    };
    if source.quota == Quota::Off {
        return once(None).map(|()| Quota::Off).map_err(explain);
    }
    match once(Some("prjquota")) {
        Ok(()) => Ok(Quota::On),
        // What kernels say whose filesystem was built without project quotas.
        Err(Errno::EINVAL | Errno::ENOTSUP | Errno::ENOSYS | Errno::ESRCH) => {
            once(None).map_err(explain)?;
            warn!(
                device = %source.device.display(),
                "mounted without project quotas: this kernel's {} does not have them", source.fs
            );
            Ok(Quota::Off)
        }
        Err(e) => Err(explain(e)),
    }
}

fn explain(e: Errno) -> anyhow::Error {
    match e {
        Errno::EBUSY => anyhow!("the device is in use elsewhere ({})", e.desc()),
        Errno::ENODEV => anyhow!("the kernel does not have this filesystem ({})", e.desc()),
        e => anyhow!("{} (the kernel log may say more)", e.desc()),
    }
}

fn occupied(there: &Mount) -> anyhow::Error {
    anyhow!(
        "{} is mounted there already ({}, {}): unmount it or choose another place",
        there.source,
        there.fs,
        there.dev
    )
}

fn verify(at: &Path, right: impl FnOnce(&nix::sys::stat::FileStat) -> bool) -> Result<()> {
    let point = open_dir(at, Missing::Refuse)?;
    let stat = fstat(&point).with_context(|| format!("look at {}", at.display()))?;
    ensure!(
        right(&stat),
        "found {} with inode {} there",
        dev_text((major(stat.st_dev), minor(stat.st_dev))),
        stat.st_ino
    );
    if table::mounted_at(&point, at)?.is_none() {
        bail!("nothing is mounted there");
    }
    Ok(())
}

/// The path that leads to an open descriptor and to nothing else, whatever
/// happens to the names meanwhile.
fn by_descriptor(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn dev_text((major, minor): (u64, u64)) -> String {
    format!("{major}:{minor}")
}
