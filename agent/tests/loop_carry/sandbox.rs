//! A mount namespace and a directory that go away with the test.
#![expect(clippy::disallowed_methods, reason = "tests start real programs")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use instore::config::Fs;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{major, minor};

/// The mounts are seen by the thread of this test only, and by its children.
pub(crate) struct Sandbox {
    base: PathBuf,
    _dir: tempfile::TempDir,
    devices: Vec<fs::File>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        // SAFETY: takes a number and gives this thread a namespace of its own.
        let done = unsafe { libc::unshare(libc::CLONE_NEWNS) };
        assert_eq!(done, 0, "these tests need root");
        mount(
            None::<&str>,
            "/",
            None::<&str>,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            None::<&str>,
        )
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        // Something with all attributes, whatever the temporary directory is.
        mount(
            Some("tmpfs"),
            &base,
            Some("tmpfs"),
            MsFlags::empty(),
            None::<&str>,
        )
        .unwrap();
        Self {
            base,
            _dir: dir,
            devices: Vec::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).unwrap();
        path
    }

    pub(crate) fn tmpfs(&self, name: &str, options: &str) -> PathBuf {
        let path = self.dir(name);
        mount(
            Some("tmpfs"),
            &path,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(options),
        )
        .unwrap();
        path
    }

    /// A filesystem on a loop device, which goes when its last user goes: this
    /// sandbox or a mount.
    pub(crate) fn filesystem(&mut self, fs: Fs) -> (PathBuf, (u64, u64)) {
        let image = self.path(&format!("{fs}.img"));
        fs::File::create(&image)
            .unwrap()
            .set_len(400 << 20)
            .unwrap();
        let image = image.to_str().unwrap();
        match fs {
            Fs::Ext4 => run(&["mkfs.ext4", "-q", "-F", image]),
            Fs::Xfs => run(&["mkfs.xfs", "-q", "-f", image]),
        }
        let output = Command::new("losetup")
            .args(["--find", "--show", image])
            .output()
            .unwrap();
        let device = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        self.devices.push(fs::File::open(&device).unwrap());
        run(&["losetup", "--detach", device.to_str().unwrap()]);
        let rdev = device.metadata().unwrap().rdev();
        (device, (major(rdev), minor(rdev)))
    }

    /// A process whose working directory is there.
    pub(crate) fn holder(&self, dir: &Path) -> Holder {
        let child = Command::new("sleep")
            .arg("600")
            .current_dir(dir)
            .spawn()
            .unwrap();
        Holder(child)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // The namespace lives as long as the test's thread; its mounts need not.
        let _ = umount2(&self.base, MntFlags::MNT_DETACH);
    }
}

/// Ended when dropped.
pub(crate) struct Holder(Child);

impl Holder {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn run(argv: &[&str]) {
    let status = Command::new(argv[0]).args(&argv[1..]).status().unwrap();
    assert!(status.success(), "{argv:?}");
}

/// Runs work in a process of its own, in the namespace of this test.
pub(crate) fn child(work: &str, from: &Path, pool: &Path, vars: &[(&str, &str)]) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_process", "--nocapture"])
        .env("CARRY_TEST_WORK", work)
        .env("CARRY_TEST_FROM", from)
        .env("CARRY_TEST_POOL", pool)
        .envs(vars.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .status()
        .unwrap()
}
