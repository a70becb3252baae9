//! Targets for real, as root: filesystems that are full, in memory or without
//! direct I/O, each in a mount namespace of its own, and loop devices behind a
//! gate that only opens them.
#![cfg(feature = "loop-tests")]
#![allow(clippy::unwrap_used)]

#[path = "loop_target/sandbox.rs"]
mod sandbox;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use instore_bench::job::{Access, Fallocate, Job, Run, Size};
use instore_bench::target::{Error, Gate, Kind, Prepared, Progress, prepare};
use nix::libc;

use sandbox::{Sandbox, job, run_of};

const MIB: u64 = 1 << 20;

/// Opens exclusively and believes that it is empty.
#[derive(Default)]
struct OpenGate {
    asked: AtomicUsize,
}

impl Gate for OpenGate {
    fn open_empty(&self, device: &Path) -> anyhow::Result<File> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_EXCL);
        Ok(options.open(device)?)
    }
}

fn ready(run: &Run) -> Result<Prepared, Error> {
    told(run, &mut |_| {})
}

fn told(run: &Run, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Prepared, Error> {
    prepare(run, &OpenGate::default(), &AtomicBool::new(false), progress)
}

fn why(result: Result<Prepared, Error>) -> String {
    format!("{:#}", anyhow::Error::from(result.unwrap_err()))
}

fn within(directory: &Path, mib: u64) -> Job {
    Job {
        directories: vec![directory.to_path_buf()],
        size: Some(Size::Bytes(mib * MIB)),
        direct: true,
        ..job()
    }
}

fn on(device: &Path) -> Job {
    Job {
        filenames: vec![device.to_path_buf()],
        size: None,
        direct: true,
        ..job()
    }
}

fn count(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

#[test]
fn direct_io_works_on_ext4_and_xfs_and_blocks_are_written() {
    let mut sandbox = Sandbox::new();
    for fs in ["ext4", "xfs"] {
        let at = sandbox.filesystem(fs);
        let before = fs::read_dir(&at).unwrap().count();
        let prepared = ready(&run_of(vec![within(&at, 20)])).unwrap();
        assert_eq!(prepared.warnings(), Vec::<String>::new(), "{fs}");
        let path = at.join("t.0.0");
        assert_eq!(fs::metadata(&path).unwrap().blocks() * 512, 20 * MIB);
        let opened = prepared.open(0, 0).unwrap();
        let mut page = sandbox::Page([0; 4096]);
        opened[0].file.read_exact_at(&mut page.0, 4 * MIB).unwrap();
        assert_ne!(page.0, [0; 4096]);
        drop(opened);
        assert!(prepared.finish().is_empty());
        assert_eq!(count(&at), before);
    }
}

#[test]
fn a_filesystem_that_gets_full_is_an_error_and_is_cleaned_up() {
    let sandbox = Sandbox::new();
    let at = sandbox.mounted("tmpfs", "size=64m");
    let mut job = within(&at, 40);
    job.fallocate = Fallocate::None;
    job.direct = false;
    let mut others = false;
    let why = why(told(&run_of(vec![job.clone()]), &mut |_| {
        if !others {
            fs::write(at.join("log"), vec![1; 40 << 20]).unwrap();
            others = true;
        }
    }));
    assert!(
        why.contains("t.0.0") && why.contains("No space left"),
        "{why}"
    );
    assert_eq!(count(&at), 1, "only the log is left");
    // And with blocks reserved, before anything is written.
    job.fallocate = Fallocate::Native;
    let why = self::why(ready(&run_of(vec![job])));
    assert!(why.contains("that are free"), "{why}");
    assert_eq!(count(&at), 1);
}

#[test]
fn a_filesystem_without_direct_io_is_told_before_anything_is_written() {
    let sandbox = Sandbox::new();
    let at = sandbox.mounted("ramfs", "");
    let mut run = run_of(vec![within(&at, 4)]);
    let mut written = 0;
    let why = why(told(&run, &mut |_| written += 1));
    assert!(why.contains("say direct=0"), "{why}");
    assert_eq!((written, count(&at)), (0, 0));
    run.jobs[0].direct = false;
    let prepared = ready(&run).unwrap();
    assert!(prepared.warnings()[0].contains("measures memory"));
    assert!(prepared.warnings()[1].contains("could not be checked"));
}

#[test]
fn a_read_only_filesystem_is_an_error() {
    let sandbox = Sandbox::new();
    let at = sandbox.mounted("tmpfs", "size=8m,ro");
    let why = why(ready(&run_of(vec![within(&at, 1)])));
    assert!(why.contains("make") && why.contains("Read-only"), "{why}");
}

#[test]
fn a_device_is_shared_held_and_given_back_empty() {
    let mut sandbox = Sandbox::new();
    let device = sandbox.device(64 * MIB);
    let gate = OpenGate::default();
    let write = Job {
        access: Access::Write,
        offset: Size::Bytes(32 * MIB),
        size: Some(Size::Bytes(8 * MIB)),
        numjobs: 2,
        ..on(&device)
    };
    let read = Job {
        size: Some(Size::Percent(25)),
        ..on(&device)
    };
    let mut run = run_of(vec![write, read]);
    let refused = why(ready(&run));
    assert!(refused.contains("--destructive"), "{refused}");
    run.output.destructive = true;
    let mut told = Vec::new();
    let prepared = prepare(&run, &gate, &AtomicBool::new(false), &mut |p| {
        told.push((p.done, p.total));
    })
    .unwrap();
    assert_eq!(gate.asked.load(Ordering::Relaxed), 1);
    assert_eq!(told.last(), Some(&(16 * MIB, 16 * MIB)));
    assert_eq!(prepared.regions(), [8 * MIB, 16 * MIB]);
    // Ours is open many times, and nobody else's.
    let opened = prepared.open(0, 1).unwrap();
    assert_eq!((opened[0].kind, opened[0].bytes), (Kind::Device, 64 * MIB));
    let page = sandbox::Page([7; 4096]);
    opened[0].file.write_all_at(&page.0, 39 * MIB).unwrap();
    let reader = &prepared.open(1, 0).unwrap()[0].file;
    let mut back = sandbox::Page([0; 4096]);
    reader.read_exact_at(&mut back.0, 39 * MIB).unwrap();
    assert_eq!(back.0, page.0);
    assert!(gate.open_empty(&device).is_err(), "opened twice");
    drop(opened);
    assert_eq!(prepared.finish(), Vec::<String>::new());
    let held = gate.open_empty(&device).unwrap();
    let mut all = vec![1; 64 << 20];
    held.read_exact_at(&mut all, 0).unwrap();
    assert!(all.iter().all(|byte| *byte == 0));
}

#[test]
fn what_nobody_touched_on_a_device_is_not_emptied() {
    let mut sandbox = Sandbox::new();
    let device = sandbox.device(64 * MIB);
    let file = OpenOptions::new().write(true).open(&device).unwrap();
    file.write_all_at(b"somebody's", 60 * MIB).unwrap();
    file.sync_all().unwrap();
    let mut first = on(&device);
    first.size = Some(Size::Bytes(8 * MIB));
    let mut run = run_of(vec![first]);
    run.output.destructive = true;
    drop(ready(&run).unwrap());
    let mut text = [0; 10];
    let file = File::open(&device).unwrap();
    file.read_exact_at(&mut text, 60 * MIB).unwrap();
    assert_eq!(&text, b"somebody's");
    // Refused after the gate gave it, and nothing was written.
    run.jobs[0].offset = Size::Bytes(60 * MIB);
    let why = why(ready(&run));
    assert!(why.contains("say a smaller size"), "{why}");
    let file = File::open(&device).unwrap();
    file.read_exact_at(&mut text, 60 * MIB).unwrap();
    assert_eq!(&text, b"somebody's");
}

#[test]
fn a_stop_in_the_middle_leaves_a_device_empty() {
    let mut sandbox = Sandbox::new();
    let device = sandbox.device(64 * MIB);
    let mut run = run_of(vec![on(&device)]);
    run.output.destructive = true;
    let stop = AtomicBool::new(false);
    let ended = prepare(&run, &OpenGate::default(), &stop, &mut |_| {
        stop.store(true, Ordering::Relaxed);
    });
    assert!(matches!(ended, Err(Error::Stopped)));
    let mut all = vec![1; 64 << 20];
    let file = File::open(&device).unwrap();
    file.read_exact_at(&mut all, 0).unwrap();
    assert!(all.iter().all(|byte| *byte == 0));
}

#[test]
fn a_link_to_a_device_is_refused() {
    let mut sandbox = Sandbox::new();
    let device = sandbox.device(8 * MIB);
    let link = sandbox.path("link");
    std::os::unix::fs::symlink(&device, &link).unwrap();
    let mut run = run_of(vec![on(&link)]);
    run.output.destructive = true;
    assert!(why(ready(&run)).contains("symbolic link"));
}
