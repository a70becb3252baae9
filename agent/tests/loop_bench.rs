//! The gate of benchmarks against real loop devices, as root. Each test makes its
//! own; the machine's disks are only ever refused.
#![cfg(feature = "loop-tests")]
#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "tests start real programs")]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use instore::bench::gate::{DiskGate, check, open};
use instore::config::Config;
use instore::inventory::Content;
use instore::observe::observe;
use instore::probe::content_of_path;
use instore::root::Root;
use instore_bench::target::Gate as _;

const MIB: u64 = 1 << 20;

/// Observing opens every disk exclusively for a moment: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// A loop device over a file, gone with the test.
struct Disk {
    path: PathBuf,
    image: PathBuf,
    dir: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Disk {
    fn new(options: &[&str]) -> Self {
        Self::of(options, |_| {})
    }

    fn of(options: &[&str], fill: impl FnOnce(&Path)) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        File::create(&image).unwrap().set_len(64 * MIB).unwrap();
        fill(&image);
        let output = Command::new("losetup")
            .args(["--find", "--show"])
            .args(options)
            .arg(&image)
            .output()
            .unwrap();
        assert!(output.status.success(), "these tests need root: {output:?}");
        let path = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        Self {
            path,
            image,
            dir,
            _turn: turn,
        }
    }

    fn refused(&self) -> String {
        refused(&self.path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg(self.dir.path().join("mnt"))
            .output();
        let path = self.path.to_str().unwrap();
        run(&["losetup", "--detach", path]);
    }
}

fn run(argv: &[&str]) {
    let output = Command::new(argv[0]).args(&argv[1..]).output().unwrap();
    assert!(output.status.success(), "{argv:?}: {output:?}");
}

fn refused(path: &Path) -> String {
    let config = Config::default();
    format!("{:#}", DiskGate::new(&config).open_empty(path).unwrap_err())
}

fn mkfs(path: &Path) {
    run(&["mkfs.ext4", "-q", "-F", path.to_str().unwrap()]);
}

fn mount(disk: &Disk) {
    let at = disk.dir.path().join("mnt");
    fs::create_dir(&at).unwrap();
    run(&["mount", disk.path.to_str().unwrap(), at.to_str().unwrap()]);
}

#[test]
fn an_empty_disk_is_held_and_nobody_else_gets_it() {
    let disk = Disk::new(&[]);
    let config = Config::default();
    let file = DiskGate::new(&config).open_empty(&disk.path).unwrap();
    file.write_all_at(b"x", MIB).unwrap();
    let path = disk.path.to_str().unwrap();
    let made = Command::new("mkfs.ext4").args(["-q", path]).output();
    assert!(!made.unwrap().status.success(), "mkfs got it too");
    assert!(disk.refused().contains("exclusively"), "{}", disk.refused());
    drop(file);
    assert!(disk.refused().contains("data at byte 1048576"));
}

#[test]
fn a_disk_with_anything_on_it_is_refused_and_left_alone() {
    let disk = Disk::of(&[], mkfs);
    let before = fs::read(&disk.image).unwrap();
    let why = disk.refused();
    assert!(why.contains("Foreign") && why.contains("ext4"), "{why}");
    mount(&disk);
    let why = disk.refused();
    assert!(why.contains("mounted at"), "{why}");
    run(&["umount", disk.dir.path().join("mnt").to_str().unwrap()]);
    // Mounting changes it; being refused does not.
    let (now, again) = (fs::read(&disk.image).unwrap(), disk.refused());
    assert!(again.contains("Foreign"));
    assert!(fs::read(&disk.image).unwrap() == now && before.len() == now.len());
}

#[test]
fn a_disk_that_is_mounted_between_check_and_open_is_refused() {
    let disk = Disk::new(&[]);
    let checked = check(&disk.path, &Config::default()).unwrap();
    mkfs(&disk.path);
    let why = format!("{:#}", open(&checked).unwrap_err());
    assert!(why.contains("Foreign"), "{why}");
    mount(&disk);
    let why = format!("{:#}", open(&checked).unwrap_err());
    assert!(why.contains("in use"), "{why}");
}

#[test]
fn another_disk_under_the_same_name_is_refused() {
    let disk = Disk::new(&[]);
    let checked = check(&disk.path, &Config::default()).unwrap();
    let other = disk.dir.path().join("other");
    File::create(&other).unwrap().set_len(64 * MIB).unwrap();
    let path = disk.path.to_str().unwrap();
    run(&["losetup", "--detach", path]);
    run(&["losetup", path, other.to_str().unwrap()]);
    let why = format!("{:#}", open(&checked).unwrap_err());
    assert!(why.contains("check disk"), "{why}");
}

#[test]
fn a_read_only_disk_and_a_link_to_a_disk_are_refused() {
    let disk = Disk::new(&["--read-only"]);
    assert!(disk.refused().contains("read-only"), "{}", disk.refused());
    let link = disk.dir.path().join("link");
    symlink(&disk.path, &link).unwrap();
    assert!(refused(&link).contains("no block device"));
}

#[test]
fn a_disk_with_partitions_and_a_partition_are_refused() {
    let disk = Disk::new(&["--partscan"]);
    let path = disk.path.to_str().unwrap();
    // Told to the kernel: the disk itself stays empty.
    run(&["addpart", path, "1", "2048", "16384"]);
    let why = disk.refused();
    assert!(why.contains("partitions"), "{why}");
    let part = PathBuf::from(format!("{}p1", disk.path.display()));
    let why = refused(&part);
    assert!(why.contains("name a whole disk"), "{why}");
    run(&["delpart", path, "1"]);
    assert_eq!(content_of_path(&disk.path), Content::Empty);
}

#[test]
fn the_systems_disks_are_refused() {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let inventory = observe(&Root::system(), &Config::default()).unwrap();
    let system: Vec<_> = inventory.disks.iter().filter(|d| d.system).collect();
    for disk in system {
        let why = refused(&Path::new("/dev").join(&disk.name));
        assert!(why.contains("the system runs from it"), "{why}");
    }
    drop(turn);
}

mod whole {
    //! The load engine's preparation with the agent's gate.
    use std::sync::atomic::AtomicBool;

    use instore_bench::job::Run;
    use instore_bench::target::{Error, Prepared, prepare};

    use super::*;

    pub(super) fn prepared(run: &Run) -> Result<Prepared, Error> {
        let config = Config::default();
        let stop = AtomicBool::new(false);
        prepare(run, &DiskGate::new(&config), &stop, &mut |_| {})
    }
}

#[test]
fn a_disk_is_laid_out_and_given_back_empty() {
    let disk = Disk::new(&[]);
    let mut run = sample::run(&disk.path);
    let why = format!("{:#}", whole::prepared(&run).unwrap_err());
    assert!(why.contains("--destructive"), "{why}");
    assert_eq!(content_of_path(&disk.path), Content::Empty);
    run.output.destructive = true;
    let prepared = whole::prepared(&run).unwrap();
    let opened = prepared.open(0, 0).unwrap();
    assert_eq!(opened[0].bytes, 64 * MIB);
    let mut block = vec![0; 4096];
    opened[0].file.read_exact_at(&mut block, 63 * MIB).unwrap();
    assert!(block.iter().any(|byte| *byte != 0));
    drop(opened);
    assert_eq!(prepared.finish(), Vec::<String>::new());
    assert_eq!(content_of_path(&disk.path), Content::Empty);
}

mod sample {
    use std::path::Path;

    use instore_bench::job::{Job, Output, Run};

    /// Reads of a whole device.
    pub(super) fn run(device: &Path) -> Run {
        Run {
            jobs: vec![Job {
                filenames: vec![device.to_path_buf()],
                ..Job::new("t")
            }],
            global: Vec::new(),
            output: Output::default(),
        }
    }
}
