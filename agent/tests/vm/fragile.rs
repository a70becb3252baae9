//! A disk that fails on demand: its file lies on a small tmpfs, and when that is full, whatever the
//! guest writes to a new block ends in an error.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Room for the pool's metadata and a little content.
const ROOM: &str = "size=48m,mode=0700";

/// Unmounts when it is dropped, also by a panic.
#[derive(Debug)]
pub(crate) struct Fragile {
    dir: PathBuf,
}

impl Fragile {
    /// Moves a disk's file there. To be done before the boot.
    pub(crate) fn new(disk: &Path) -> Self {
        let dir = disk.with_extension("fragile");
        fs::create_dir(&dir).unwrap();
        mount(
            Some("fragile"),
            &dir,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(ROOM),
        )
        .unwrap();
        let fragile = Self { dir };
        let moved = fragile.dir.join("disk.img");
        let size = fs::metadata(disk).unwrap().len();
        File::create(&moved).unwrap().set_len(size).unwrap();
        fs::remove_file(disk).unwrap();
        std::os::unix::fs::symlink(moved, disk).unwrap();
        fragile
    }

    /// From now on nothing new can be written.
    pub(crate) fn fail(&self) {
        let mut filler = File::create(self.dir.join("filler")).unwrap();
        let block = vec![1; 64 << 10];
        while filler.write_all(&block).is_ok() {}
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        // QEMU may have the file open still: it goes when that ends.
        let _ = umount2(&self.dir, MntFlags::MNT_DETACH);
    }
}
