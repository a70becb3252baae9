//! The udev database, where there is one: links of disks, and waiting for a
//! disk to appear. Events only say "look again"; what is there is always
//! observed afresh.

use std::os::fd::AsFd as _;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracing::debug;

use crate::root::Root;

/// The longest wait without looking again: an event may have passed before
/// anybody listened.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Links to a disk below /dev/disk, sorted. None in a captured tree or without
/// a udev database.
pub(super) fn links(root: &Root, name: &str) -> Vec<String> {
    if !root.is_system() || !root.join("/run/udev/data").exists() {
        return Vec::new();
    }
    let device = ::udev::Device::from_syspath(&root.join("/sys/class/block").join(name));
    let Ok(device) = device else {
        return Vec::new();
    };
    let links = device.property_value("DEVLINKS").unwrap_or_default();
    let mut links: Vec<String> = links
        .to_string_lossy()
        .split_ascii_whitespace()
        .filter(|link| link.starts_with("/dev/disk/"))
        .map(str::to_owned)
        .collect();
    links.sort();
    links
}

/// Waits for an event of a block device, and not for long without one. Returns
/// false when the time that was left is over, true to look again.
#[must_use]
pub fn wait_for_change(left: Duration) -> bool {
    if left.is_zero() {
        return false;
    }
    let wait = left.min(LOOK_AGAIN);
    match wait_for_event(wait) {
        Ok(event) => event || wait < left,
        Err(error) => {
            debug!(%error, "cannot listen for devices, waiting instead");
            thread::sleep(wait);
            wait < left
        }
    }
}

/// Events of udev where it runs, since those come when the device is ready;
/// events of the kernel where it does not.
fn wait_for_event(wait: Duration) -> std::io::Result<bool> {
    let monitor = match Root::system().join("/run/udev/control").exists() {
        true => ::udev::MonitorBuilder::new()?,
        false => ::udev::MonitorBuilder::new_kernel()?,
    };
    let socket = monitor.match_subsystem("block")?.listen()?;
    let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, timeout) {
        // A signal: let the caller look, it knows what signals mean.
        Err(nix::errno::Errno::EINTR) => Ok(true),
        Err(error) => Err(error.into()),
        Ok(ready) => Ok(ready > 0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn no_time_left_is_no_wait() {
        assert!(!wait_for_change(Duration::ZERO));
    }

    #[test]
    fn a_wait_ends_and_asks_for_another_look() {
        let start = Instant::now();
        assert!(wait_for_change(Duration::from_secs(3600)));
        assert!(start.elapsed() < LOOK_AGAIN * 5);
    }
}
