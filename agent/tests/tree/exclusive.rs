//! What only the machine itself can tell: an exclusive open, on a loop device.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use instore::config::Config;
use instore::inventory::{Bus, Content, Disk};
use instore::observe::observe;
use instore::root::Root;
use instore::spawn::{Argv, run};

const O_EXCL: i32 = nix::libc::O_EXCL;

/// A loop device over a file, gone when dropped.
struct Attached(PathBuf);

impl Attached {
    fn new(file: &Path) -> Self {
        let argv = Argv::new(&["losetup", "--find", "--show", file.to_str().unwrap()]);
        Self(PathBuf::from(run(&argv).unwrap().trim()))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = run(&Argv::new(&[
            "losetup",
            "--detach",
            self.0.to_str().unwrap(),
        ]));
    }
}

/// The disk over this file, as the machine has it now.
fn seen(file: &Path) -> Disk {
    let rule = format!("[[allow]]\nbacking_file = {file:?}\n");
    let config = Config::parse(&rule).unwrap();
    let inventory = observe(&Root::system(), &config).unwrap();
    let mut disks = inventory.disks.into_iter();
    disks
        .find(|d| d.backing_file.as_deref() == Some(file))
        .unwrap()
}

#[test]
fn a_loop_device_is_free_until_someone_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = fs::canonicalize(dir.path()).unwrap().join("disk.img");
    fs::File::create(&file).unwrap().set_len(16 << 20).unwrap();
    let device = Attached::new(&file);

    let free = seen(&file);
    assert_eq!(free.uses, Vec::<String>::new());
    assert_eq!(
        (free.bus, free.size, free.read_only),
        (Bus::Loop, 16 << 20, false)
    );
    assert_eq!(free.content, Some(Content::Empty));
    assert!(free.diskseq.is_some());

    let holder = OpenOptions::new()
        .read(true)
        .custom_flags(O_EXCL)
        .open(&device.0)
        .unwrap();
    let held = seen(&file);
    assert_eq!(held.uses.len(), 1);
    assert!(
        held.uses[0].starts_with("opened exclusively"),
        "{:?}",
        held.uses
    );
    drop(holder);
    assert_eq!(seen(&file).uses, Vec::<String>::new());
}
