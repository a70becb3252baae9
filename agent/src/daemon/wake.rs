//! What wakes the loop: block devices that come and go, the mount table,
//! signals, requests, and the time. A wake only says "look again".

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tracing::warn;

use crate::root::Root;

/// Says when to look again.
pub struct Wake {
    devices: Option<udev::MonitorSocket>,
    mounts: File,
    told: UnixStream,
    teller: Waker,
    reload: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl std::fmt::Debug for Wake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wake")
    }
}

/// Why the loop was woken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Woken {
    /// A block device came, went or changed.
    pub devices: bool,
    pub mounts: bool,
    /// Somebody has a request, a reading changed, or a signal came.
    pub told: bool,
}

/// Wakes the loop from another thread.
#[derive(Debug, Clone)]
pub struct Waker(Arc<UnixStream>);

impl Waker {
    /// One that wakes nobody: for servers without a loop.
    ///
    /// # Errors
    /// When no socket can be made.
    pub fn of_nobody() -> Result<Self> {
        let (_, teller) = UnixStream::pair().context("make a pair of sockets")?;
        Ok(Self(Arc::new(teller)))
    }

    pub fn wake(&self) {
        // Full means that it is about to wake anyway.
        let _ = (&*self.0).write(&[0]);
    }
}

impl Wake {
    /// Begins to listen.
    ///
    /// # Errors
    /// When signals or the mount table cannot be listened to.
    pub fn new() -> Result<Self> {
        let (told, teller) = UnixStream::pair().context("make a pair of sockets")?;
        told.set_nonblocking(true)?;
        teller.set_nonblocking(true)?;
        let reload = Arc::new(AtomicBool::new(false));
        let stop = Arc::new(AtomicBool::new(false));
        for (signal, flag) in [(SIGHUP, &reload), (SIGTERM, &stop), (SIGINT, &stop)] {
            // The flag first: who is woken must see it.
            signal_hook::flag::register(signal, Arc::clone(flag)).context("listen for signals")?;
            signal_hook::low_level::pipe::register(signal, teller.try_clone()?)
                .context("listen for signals")?;
        }
        let mounts = File::open("/proc/self/mountinfo").context("open /proc/self/mountinfo")?;
        Ok(Self {
            devices: listen().map_or_else(
                |error| {
                    warn!("no events of devices, they are looked for in time: {error}");
                    None
                },
                Some,
            ),
            mounts,
            told,
            teller: Waker(Arc::new(teller)),
            reload,
            stop,
        })
    }

    #[must_use]
    pub fn waker(&self) -> Waker {
        self.teller.clone()
    }

    #[must_use]
    pub fn must_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether SIGHUP came since the last time.
    #[must_use]
    pub fn must_reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }

    /// Waits for something, no longer than this.
    pub fn wait(&mut self, at_most: Duration) -> Woken {
        let devices = self.devices.as_ref().map(udev::MonitorSocket::as_fd);
        let ready = wait_for(devices, &self.mounts, &self.told, at_most);
        if ready.devices
            && let Some(socket) = &self.devices
        {
            // All that came by now are one reason to look.
            socket.iter().for_each(drop);
        }
        let mut taken = [0; 64];
        while matches!(self.told.read(&mut taken), Ok(n) if n > 0) {}
        ready
    }
}

fn wait_for(
    devices: Option<BorrowedFd<'_>>,
    mounts: &File,
    told: &UnixStream,
    at_most: Duration,
) -> Woken {
    // The kernel tells a change of the mount table as an exception.
    let mut fds = vec![
        PollFd::new(mounts.as_fd(), PollFlags::POLLPRI),
        PollFd::new(told.as_fd(), PollFlags::POLLIN),
    ];
    fds.extend(devices.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
    let millis = i32::try_from(at_most.as_millis()).unwrap_or(i32::MAX);
    // An error is a signal: its flag says what it was.
    let _ = poll(
        &mut fds,
        PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX),
    );
    let is_ready = |fd: Option<&PollFd<'_>>| fd.and_then(PollFd::any).unwrap_or(false);
    Woken {
        mounts: is_ready(fds.first()),
        told: is_ready(fds.get(1)),
        devices: is_ready(fds.get(2)),
    }
}

/// Events of udev where it runs, since those come when the device is ready;
/// events of the kernel where it does not.
fn listen() -> std::io::Result<udev::MonitorSocket> {
    let builder = match Root::system().join("/run/udev/control").exists() {
        true => udev::MonitorBuilder::new()?,
        false => udev::MonitorBuilder::new_kernel()?,
    };
    builder.match_subsystem("block")?.listen()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test: a signal reaches every `Wake` of the process.
    #[test]
    fn a_waker_wakes_once_and_sighup_asks_for_one_reload() {
        let mut wake = Wake::new().unwrap();
        let waker = wake.waker();
        for _ in 0..100_000 {
            waker.wake();
        }
        assert!(wake.wait(Duration::from_secs(60)).told);
        assert!(!wake.wait(Duration::ZERO).told);
        assert!(!wake.must_stop() && !wake.must_reload());

        nix::sys::signal::raise(nix::sys::signal::Signal::SIGHUP).unwrap();
        assert!(wake.wait(Duration::from_secs(60)).told);
        assert!(wake.must_reload());
        assert!(!wake.must_reload());
    }
}
