//! Kernel modules that a plan will need, loaded while other things are done:
//! loading XFS takes longer than making it.

use std::path::Path;
use std::thread::{self, JoinHandle};

use tracing::debug;

use crate::config::{Config, Fs, Layout};
use crate::spawn::{self, Argv};

/// Starts loading what a pool on so many disks needs, if anything. The kernel
/// loads what is still missing by itself later, so a failure here is no more
/// than a debug line.
#[must_use]
pub fn load_early(config: &Config, disks: usize) -> Option<JoinHandle<()>> {
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let name = match config.fs {
        Fs::Xfs => "xfs",
        Fs::Ext4 => "ext4",
    };
    // In the order in which they are needed.
    let mut missing = Vec::new();
    match config.layout {
        _ if disks < 2 => {}
        Layout::Auto | Layout::Raid0 if !Path::new("/sys/module/raid0").exists() => {
            missing.push("raid0");
        }
        Layout::Raid10 if !Path::new("/sys/module/raid10").exists() => missing.push("raid10"),
        _ => {}
    }
    if disks > 0 && !filesystems.lines().any(|line| line.trim() == name) {
        missing.push(name);
    }
    if missing.is_empty() {
        return None;
    }
    Some(thread::spawn(move || {
        let words = [&["modprobe", "-q", "-a"], missing.as_slice()].concat();
        if let Err(error) = spawn::run(&Argv::new(&words)) {
            debug!("load modules: {error:#}");
        }
    }))
}
