//! A mount namespace, and loop devices that go away with the test; and a job.
#![expect(clippy::disallowed_methods, reason = "tests start real programs")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use instore_bench::job::{Job, Output, Run, Size};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Of direct I/O.
#[repr(align(4096))]
pub(crate) struct Page(pub(crate) [u8; 4096]);

/// The mounts are seen by the thread of this test only, and by its children.
pub(crate) struct Sandbox {
    base: tempfile::TempDir,
    devices: Vec<File>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        // SAFETY: takes a number and gives this thread a namespace of its own.
        let done = unsafe { libc::unshare(libc::CLONE_NEWNS) };
        assert_eq!(done, 0, "these tests need root");
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        Self {
            base: tempfile::tempdir().unwrap(),
            devices: Vec::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    pub(crate) fn mounted(&self, fs: &str, options: &str) -> PathBuf {
        let at = self.path(fs);
        fs::create_dir(&at).unwrap();
        run(&[
            "mount",
            "-t",
            fs,
            "-o",
            &format!("noatime,{options}"),
            "none",
            at.to_str().unwrap(),
        ]);
        at
    }

    /// An empty one, which goes when its last user goes: this sandbox, a mount
    /// or a test.
    pub(crate) fn device(&mut self, bytes: u64) -> PathBuf {
        let image = self.path(&format!("{}.img", self.devices.len()));
        File::create(&image).unwrap().set_len(bytes).unwrap();
        self.attach(&image)
    }

    fn attach(&mut self, image: &Path) -> PathBuf {
        let output = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(image)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let device = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        self.devices.push(File::open(&device).unwrap());
        run(&["losetup", "--detach", device.to_str().unwrap()]);
        device
    }

    /// A filesystem of 400 MiB, mounted.
    pub(crate) fn filesystem(&mut self, fs: &str) -> PathBuf {
        let image = self.path(&format!("{fs}.img"));
        File::create(&image).unwrap().set_len(400 << 20).unwrap();
        run(&[&format!("mkfs.{fs}"), "-q", image.to_str().unwrap()]);
        let device = self.attach(&image);
        let at = self.path(fs);
        fs::create_dir(&at).unwrap();
        run(&["mount", device.to_str().unwrap(), at.to_str().unwrap()]);
        at
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // The namespace lives as long as the test's thread; its mounts need not.
        for entry in fs::read_dir(self.base.path()).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let _ = umount2(&path, MntFlags::MNT_DETACH);
            }
        }
    }
}

fn run(argv: &[&str]) {
    let status = Command::new(argv[0]).args(&argv[1..]).status().unwrap();
    assert!(status.success(), "{argv:?}");
}

pub(crate) fn run_of(jobs: Vec<Job>) -> Run {
    Run {
        jobs,
        global: Vec::new(),
        output: Output::default(),
    }
}

/// A buffered sequential read of 1 MiB.
pub(crate) fn job() -> Job {
    Job {
        size: Some(Size::Bytes(1 << 20)),
        ..Job::new("t")
    }
}
