//! The simulated node: sparse files behind loop devices, the daemon that makes pools of them, and
//! node_exporter beside it. Taken down when dropped: pools, loop devices, files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::Stop;
use crate::process::Process;
use crate::scrape::Door;

/// Sparse. XFS wants 300 MiB at least.
const DISK_BYTES: u64 = 1 << 30;
/// To make all pools, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);
const GLANCE: Duration = Duration::from_millis(200);
const EXPORTER: &str = "prometheus-node-exporter";
/// Where the daemon keeps its lock, and mounts before it moves.
const RUN: &str = "/run/instore";

#[expect(
    clippy::disallowed_methods,
    reason = "a harness starts programs; the ban is for the product"
)]
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    // Ctrl-C is for the harness alone: it ends them, in order.
    command.process_group(0).stdin(Stdio::null());
    command
}

/// What a program prints, when it succeeds.
fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let what = || format!("run {program} {}", arguments.join(" "));
    let output = command(program).args(arguments).output();
    let output = output.with_context(what)?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", what(), error.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Drop it after the programs that use it.
#[derive(Debug)]
pub(crate) struct Node {
    disks: usize,
    images: Vec<PathBuf>,
    dir: TempDir,
}

impl Node {
    pub(crate) fn new(disks: usize) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("bench-daemon.").tempdir()?;
        let mut node = Self {
            disks,
            images: Vec::new(),
            dir,
        };
        for number in 0..disks {
            let image = node.path(&format!("disk{number}.img"));
            File::create(&image)?.set_len(DISK_BYTES)?;
            let shown = image.display().to_string();
            node.images.push(image);
            run("losetup", &["--find", &shown])?;
        }
        Ok(node)
    }

    /// Returns when the daemon has made all pools and says that it is ready.
    pub(crate) fn start_daemon(&self, instore: &Path, stop: &Stop) -> Result<(Process, Door)> {
        let config = self.path("config.toml");
        fs::write(&config, self.configuration()?)?;
        let mut door = Door::free()?;
        let child = command(instore)
            .args(["run", "--listen", &door.address().to_string(), "--config"])
            .arg(&config)
            .arg("--socket")
            .arg(self.path("instore.sock"))
            .stderr(File::create(self.log())?)
            .spawn()
            .with_context(|| format!("start {}", instore.display()))?;
        let mut process = Process::new(child)?;
        let data = self.path("data");
        let is_there = |door: &mut Door| {
            let is_ready = door.page("/readyz").is_ok_and(|(code, _)| code == 200);
            is_ready && mounts_below(&data).is_ok_and(|mounts| mounts.len() == self.disks)
        };
        wait(&mut process, &mut door, stop, is_there).with_context(|| self.last_words())?;
        Ok((process, door))
    }

    /// As Debian configures it: with its default collectors.
    pub(crate) fn start_exporter(&self, stop: &Stop) -> Result<(Process, Door)> {
        let mut door = Door::free()?;
        let child = command(EXPORTER)
            .arg(format!("--web.listen-address={}", door.address()))
            .stderr(File::create(self.path("exporter.log"))?)
            .spawn()
            .with_context(|| format!("start {EXPORTER}"))?;
        let mut process = Process::new(child)?;
        let is_there = |door: &mut Door| door.metrics().is_ok();
        wait(&mut process, &mut door, stop, is_there).context("wait for node_exporter")?;
        Ok((process, door))
    }

    /// What the daemon said last.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(20)..);
        format!(
            "the daemon's log ends\n{}",
            last.unwrap_or(&lines).join("\n")
        )
    }

    fn configuration(&self) -> Result<String> {
        // The filesystem that is recommended, where there is one.
        let known = fs::read_to_string("/proc/filesystems")?;
        let is_xfs_known = known.lines().any(|line| line.trim() == "xfs");
        let fs = if is_xfs_known { "xfs" } else { "ext4" };
        let mount = self.path("data");
        let mut text =
            format!("mount = {mount:?}\nlayout = \"each\"\ndetect = \"rules\"\nfs = \"{fs}\"\n");
        for image in &self.images {
            text += &format!("\n[[allow]]\nbacking_file = {image:?}\n");
        }
        Ok(text)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.path("instore.log")
    }

    fn take_down(&self) -> Result<()> {
        for at in mounts_below(self.dir.path())?.iter().rev() {
            nix::mount::umount(at).with_context(|| format!("unmount {}", at.display()))?;
        }
        for image in &self.images {
            let image = image.display().to_string();
            let options = ["--noheadings", "--output", "NAME", "--associated", &image];
            for device in run("losetup", &options)?.split_whitespace() {
                // A daemon that was killed on its way may have mounted it elsewhere.
                let mounted = command("findmnt")
                    .args(["--noheadings", "--output", "TARGET", "--source", device])
                    .output()?;
                for at in String::from_utf8_lossy(&mounted.stdout).lines() {
                    nix::mount::umount(at).with_context(|| format!("unmount {at}"))?;
                }
                run("losetup", &["--detach", device])?;
            }
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(failure) = self.take_down() {
            eprintln!("take down {}: {failure:#}", self.dir.path().display());
        }
    }
}

fn wait(
    process: &mut Process,
    door: &mut Door,
    stop: &Stop,
    is_there: impl Fn(&mut Door) -> bool,
) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while !is_there(door) {
        process.must_live()?;
        stop.wait(GLANCE)?;
        if end < Instant::now() {
            bail!("not ready within {} s", PATIENCE.as_secs());
        }
    }
    Ok(())
}

/// In the order in which they were mounted.
fn mounts_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let points = points.map(PathBuf::from);
    Ok(points.filter(|point| point.starts_with(dir)).collect())
}

/// What a run could leave behind, as it was before: loop devices, mounts, and what is in /run.
#[derive(Debug)]
pub(crate) struct Traces {
    loops: BTreeSet<String>,
    mounts: BTreeSet<String>,
    files: BTreeSet<PathBuf>,
}

impl Traces {
    pub(crate) fn see() -> Result<Self> {
        let lines = |text: String| text.lines().map(str::to_owned).collect();
        let mut files = BTreeSet::new();
        for dir in [Path::new(RUN), &Path::new(RUN).join("stage")] {
            if dir.is_dir() {
                files.insert(dir.to_owned());
                for entry in fs::read_dir(dir)? {
                    files.insert(entry?.path());
                }
            }
        }
        Ok(Self {
            loops: lines(run("losetup", &["--all"])?),
            mounts: lines(run("findmnt", &["--list", "--output", "TARGET,SOURCE"])?),
            files,
        })
    }

    /// Removes what the daemon made in /run, and says what else is there now. Others may have made
    /// it: then it does not name a directory of this harness.
    pub(crate) fn compare(&self) -> Result<()> {
        // The deepest first. A directory that is not empty is somebody's.
        let files = Self::see()?.files;
        for path in files
            .iter()
            .rev()
            .filter(|path| !self.files.contains(*path))
        {
            let _ = match path.is_dir() {
                true => fs::remove_dir(path),
                false => fs::remove_file(path),
            };
        }
        let now = Self::see()?;
        let mut more: Vec<String> = Vec::new();
        more.extend(now.loops.difference(&self.loops).cloned());
        more.extend(now.mounts.difference(&self.mounts).cloned());
        let files = now.files.difference(&self.files);
        more.extend(files.map(|path| path.display().to_string()));
        match more.is_empty() {
            true => println!("\nTaken down: no loop device, mount or file is left."),
            false => println!("\nThere now, and not before:\n{}", more.join("\n")),
        }
        Ok(())
    }
}
