//! Tells the disks which blocks are free (FITRIM), a part at a time, with
//! pauses: fstrim.timer does not see mounts that are not in fstab, and a disk
//! that is never trimmed slows down.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow};
use nix::errno::Errno;
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};

use super::Deadlines;
use crate::config::Config;
use crate::daemon::state::{Pool, Readings, Snapshot};
use crate::metrics::{Events, Kind};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Trimmed at once; then the disk has a pause to do other work. On XFS it is an
/// allocation group: kernels before 6.11 discard a free run whole when a part
/// touches it, and no run crosses the end of a group.
const PART: u64 = 16 << 30;
/// Free runs shorter than this are not worth a command.
const SHORTEST: u64 = 64 << 10;
/// When a pool was trimmed last is the time of this file, in the pool: it goes
/// with the pool, and comes back with it.
const MARK: &str = ".instore/trimmed";

/// `struct fstrim_range` of <linux/fs.h>.
#[repr(C)]
struct Range {
    start: u64,
    length: u64,
    shortest: u64,
}

/// The beginning of `struct xfs_fsop_geom_v1` of <xfs/xfs_fs.h>, and room for
/// the rest of its 112 bytes.
#[repr(C, align(8))]
struct XfsGeometry {
    block_bytes: u32,
    _realtime: u32,
    group_blocks: u32,
    _rest: [u32; 25],
}

mod ioctl {
    // XFS_IOC_FSGEOMETRY_V1 of <xfs/xfs_fs.h>: _IOR('X', 100, struct xfs_fsop_geom_v1).
    nix::ioctl_read!(xfs_geometry, b'X', 100, super::XfsGeometry);
    // FITRIM of <linux/fs.h>: _IOWR('X', 121, struct fstrim_range).
    nix::ioctl_readwrite!(fitrim, b'X', 121, super::Range);
}

/// Between two parts.
const PAUSE: Duration = Duration::from_secs(1);

/// The trim that is under way: one at a time, on a thread that may wait for its
/// disk as long as it takes.
#[derive(Debug, Default)]
pub(in crate::daemon::collect) struct Trim {
    running: Option<(String, JoinHandle<Result<u64>>)>,
}

impl Trim {
    /// Begins a trim that is due, and notes one that ended.
    pub(in crate::daemon::collect) fn run(
        &mut self,
        snapshot: &Snapshot,
        config: &Config,
        deadlines: &Deadlines,
        readings: &mut Readings,
        events: &Events,
    ) {
        if let Some((label, thread)) = self.running.take_if(|(_, thread)| thread.is_finished()) {
            end(&label, thread, events);
        }
        for pool in snapshot.pools.iter().filter(|pool| pool.mounted) {
            let reading = readings.pools.entry(pool.label.clone()).or_default();
            // One that does not answer is not asked for more.
            if reading.space.is_none() {
                continue;
            }
            if reading.trimmed.is_none() {
                reading.trimmed = last(&pool.at, deadlines).or(reading.formatted);
            }
            let now = SystemTime::now();
            if self.running.is_none()
                && !pool.read_only
                && let Some(last) = reading.trimmed
                && is_due(last, now, config.trim_days, &pool.uuid)
            {
                self.running = start(pool);
                // A pool that cannot be trimmed is not tried more often.
                reading.trimmed = Some(now);
            }
        }
    }
}

fn start(pool: &Pool) -> Option<(String, JoinHandle<Result<u64>>)> {
    let at = pool.at.clone();
    let thread = thread::Builder::new().name("trim".into());
    let thread = thread.spawn(move || trim_whole(&at)).ok()?;
    Some((pool.label.clone(), thread))
}

fn end(label: &str, thread: JoinHandle<Result<u64>>, events: &Events) {
    let result = thread
        .join()
        .unwrap_or_else(|_| Err(anyhow!("it ended in a fault of instore")));
    match result {
        Ok(bytes) => {
            info!("trimmed {bytes} bytes of pool {label}");
            events.trimmed(label, bytes);
        }
        Err(error) => {
            warn!("trim pool {label}: {error:#}; next time again");
            events.error(Kind::Trim);
        }
    }
}

fn trim_whole(at: &Path) -> Result<u64> {
    // Noted first: a pool that cannot be trimmed is not tried at every start.
    mark(at).context("note the time")?;
    let directory = File::open(at).context("open it")?;
    let part = part_of(&directory);
    let mut trimmed = 0;
    for number in 0.. {
        match trim(&directory, number * part, part) {
            Ok(bytes) => trimmed += bytes,
            // Beyond its end; at its beginning it means something else.
            Err(Errno::EINVAL) if number > 0 => break,
            Err(cause) => return Err(cause).context("FITRIM"),
        }
        thread::sleep(PAUSE);
    }
    Ok(trimmed)
}

fn part_of(directory: &File) -> u64 {
    let mut geometry = XfsGeometry {
        block_bytes: 0,
        _realtime: 0,
        group_blocks: 0,
        _rest: [0; 25],
    };
    // SAFETY: the descriptor is open, and the kernel writes 112 bytes, which is
    // the size of the structure.
    let asked = unsafe { ioctl::xfs_geometry(directory.as_raw_fd(), &raw mut geometry) };
    let group = u64::from(geometry.block_bytes) * u64::from(geometry.group_blocks);
    match asked {
        Ok(_) if group > 0 => group,
        _ => PART,
    }
}

fn trim(directory: &File, start: u64, length: u64) -> Result<u64, Errno> {
    let mut range = Range {
        start,
        length,
        shortest: SHORTEST,
    };
    // SAFETY: the descriptor is open, and the kernel reads and writes no more
    // than the range, which lives until the call returns.
    unsafe { ioctl::fitrim(directory.as_raw_fd(), &raw mut range) }?;
    Ok(range.length)
}

/// A share of the interval, up to a tenth, is the pool's own: of a thousand
/// nodes that came up together, not all trim together.
fn is_due(last: SystemTime, now: SystemTime, days: u16, uuid: &str) -> bool {
    if days == 0 {
        return false;
    }
    let interval = DAY * u32::from(days);
    let own = Sha256::digest(uuid.as_bytes());
    let own = u32::from(own.first().copied().unwrap_or(0));
    let due = last + interval + interval / 10 * own / 256;
    now >= due
}

fn last(at: &Path, deadlines: &Deadlines) -> Option<SystemTime> {
    let mark = at.join(MARK);
    let time = deadlines.ask("trim mark", move || {
        std::fs::metadata(mark).and_then(|facts| facts.modified())
    });
    time.ok()?.ok()
}

fn mark(at: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false);
    file.open(at.join(MARK))?.set_modified(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_geometry_is_as_long_as_the_kernel_writes() {
        assert_eq!(size_of::<XfsGeometry>(), 112);
        let file = tempfile::tempfile().unwrap();
        // No XFS here, or one: a part is never nothing.
        assert!(part_of(&file) > 0);
    }

    #[test]
    fn a_trim_is_due_after_its_days_and_a_share_of_the_pools_own() {
        let last = SystemTime::UNIX_EPOCH;
        let after = |days: f64| last + DAY.mul_f64(days);
        for uuid in ["a", "b", "c"] {
            assert!(!is_due(last, after(6.99), 7, uuid));
            assert!(is_due(last, after(7.71), 7, uuid));
            assert!(!is_due(last, after(7000.0), 0, uuid), "0 is never");
        }
        let when = |uuid: &str| {
            (0..1000).find(|i| is_due(last, after(7.0 + f64::from(*i) / 1000.0), 7, uuid))
        };
        assert_ne!(when("a"), when("b"));
    }
}
