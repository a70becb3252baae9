//! Room on a filesystem. Something is always left: a filesystem that a
//! benchmark filled to the last block stops whoever else writes there.

use std::io;
use std::path::Path;

use nix::sys::statfs::{FsType, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, fstatfs};
use nix::sys::statvfs::fstatvfs;

use super::directory::Directory;

/// From <linux/magic.h>; nix does not name it.
const RAMFS_MAGIC: u32 = 0x8584_58f6;

/// What is left at least: a twentieth, as ext4 keeps for root, and of a large
/// filesystem no more than a node writes in logs before somebody looks.
const RESERVE_PART: u64 = 20;
const RESERVE_MOST: u64 = 1 << 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    /// tmpfs, ramfs.
    Memory,
    Overlay,
    Other,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Space {
    pub(super) total: u64,
    pub(super) free: u64,
    pub(super) store: Store,
}

impl Space {
    pub(super) fn of(directory: &Directory) -> io::Result<Self> {
        let kind = fstatfs(directory.file())?.filesystem_type();
        let numbers = fstatvfs(directory.file())?;
        let fragment = numbers.fragment_size();
        let mut space = Self {
            total: numbers.blocks().saturating_mul(fragment),
            free: numbers.blocks_available().saturating_mul(fragment),
            store: store(kind),
        };
        if space.store == Store::Memory {
            let memory = available_memory(&std::fs::read_to_string("/proc/meminfo")?);
            // ramfs has no numbers of its own.
            if space.total == 0 {
                (space.total, space.free) = (memory, memory);
            }
            space.free = space.free.min(memory);
        }
        Ok(space)
    }

    pub(super) fn reserve(&self) -> u64 {
        (self.total / RESERVE_PART).min(RESERVE_MOST)
    }

    /// # Errors
    /// When so much more would not leave the reserve.
    pub(super) fn fits(&self, path: &Path, need: u64) -> Result<(), String> {
        if need.saturating_add(self.reserve()) <= self.free {
            return Ok(());
        }
        let of = match self.store {
            Store::Memory => "of memory ",
            Store::Overlay | Store::Other => "",
        };
        Err(format!(
            "use {}: it needs {} MiB, and of {} MiB {of}that are free {} MiB are left alone: \
             say a smaller size or another directory",
            path.display(),
            need.div_ceil(1 << 20),
            self.free >> 20,
            self.reserve() >> 20,
        ))
    }
}

fn store(kind: FsType) -> Store {
    if kind == TMPFS_MAGIC || i64::from(RAMFS_MAGIC) == magic(kind) {
        Store::Memory
    } else if kind == OVERLAYFS_SUPER_MAGIC {
        Store::Overlay
    } else {
        Store::Other
    }
}

/// Its type differs between architectures.
#[allow(clippy::useless_conversion, reason = "not everywhere i64")]
fn magic(kind: FsType) -> i64 {
    i64::from(kind.0) & 0xffff_ffff
}

/// MemAvailable of /proc/meminfo, in bytes; 0 where it cannot be told.
pub(crate) fn available_memory(meminfo: &str) -> u64 {
    meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn space(total: u64, free: u64) -> Space {
        Space {
            total,
            free,
            store: Store::Other,
        }
    }

    #[test]
    fn something_is_always_left() {
        assert_eq!(space(10 * GIB, 0).reserve(), GIB / 2);
        assert_eq!(space(4000 * GIB, 0).reserve(), GIB);
        let path = Path::new("/d");
        let tight = space(10 * GIB, GIB);
        assert!(tight.fits(path, GIB / 2).is_ok());
        let why = tight.fits(path, GIB / 2 + 1).unwrap_err();
        assert!(
            why.contains("513 MiB") && why.contains("1024 MiB that are free"),
            "{why}"
        );
        assert!(tight.fits(path, u64::MAX).is_err());
    }

    #[test]
    fn memory_is_asked_for_where_files_are_memory() {
        let text = "MemTotal:  100 kB\nMemAvailable:   64 kB\n";
        assert_eq!(available_memory(text), 65536);
        assert_eq!(available_memory(""), 0);
        let shm = Directory::open(Path::new("/dev/shm")).unwrap();
        assert_eq!(Space::of(&shm).unwrap().store, Store::Memory);
        let disk = Directory::open(Path::new("/proc")).unwrap();
        assert_eq!(Space::of(&disk).unwrap().store, Store::Other);
    }
}
