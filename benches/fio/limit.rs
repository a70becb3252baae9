//! A number of reads in a second that the kernel allows of a device: a cgroup made for it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::sys::stat::{major, minor};

const GROUPS: &str = "/sys/fs/cgroup";

/// Removed when dropped.
#[derive(Debug)]
pub(crate) enum Limit {
    None,
    Group(PathBuf),
}

impl Limit {
    pub(crate) fn new(device: &Path, reads: u32) -> Result<Self> {
        let number = fs::metadata(device)?.rdev();
        let number = format!("{}:{}", major(number), minor(number));
        let name = format!("bench-fio.{}", std::process::id());
        let first = Path::new(GROUPS).join("blkio");
        let (group, file, text) = if first.is_dir() {
            let text = format!("{number} {reads}");
            (first.join(name), "blkio.throttle.read_iops_device", text)
        } else {
            let control = Path::new(GROUPS).join("cgroup.subtree_control");
            fs::write(&control, "+io").with_context(|| format!("write {}", control.display()))?;
            let text = format!("{number} riops={reads}");
            (Path::new(GROUPS).join(name), "io.max", text)
        };
        fs::create_dir(&group).with_context(|| format!("make the cgroup {}", group.display()))?;
        let limit = Self::Group(group.clone());
        fs::write(group.join(file), text)
            .with_context(|| format!("limit {} by {file}", device.display()))?;
        Ok(limit)
    }

    /// What a program is started with, so that all of it is in the group.
    pub(crate) fn prefix(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Group(group) => {
                let procs = group.join("cgroup.procs");
                let enter = format!("echo $$ >{} && exec \"$@\"", procs.display());
                ["sh", "-c", &enter, "sh"].map(String::from).to_vec()
            }
        }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        if let Self::Group(group) = self
            && let Err(error) = fs::remove_dir(&*group)
        {
            eprintln!("remove {}: {error}", group.display());
        }
    }
}
