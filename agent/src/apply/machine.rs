//! The real machine: mounts and binds; the destructive steps are in `pool`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use tracing::{info, warn};

use super::pool;
use super::{Host, Made, Work};
use crate::carry;
use crate::config::{Config, Fs};
use crate::fault;
use crate::inventory::Inventory;
use crate::mounting::{self, Source};
use crate::observe;
use crate::plan::{STAGE, Step};
use crate::probe;
use crate::root::Root;
use crate::services;

/// The machine that instore runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl Host for Machine {
    fn observe(&self, config: &Config) -> Result<Inventory> {
        observe::observe(&Root::system(), config)
    }

    fn step(&self, work: Work<'_>, step: &Step, made: &mut Made) -> Result<()> {
        match step {
            Step::StopArray { .. } => pool::stop_array(work),
            Step::Claim => pool::claim(work, made),
            Step::CreateArray { level } => pool::create_array(work, *level, made),
            Step::AssembleArray { uuid } => pool::assemble_array(work, uuid),
            Step::MakeFilesystem { fs } => pool::make_filesystem(work, *fs, made),
            Step::Finish => pool::finish(work, made),
            Step::Mount => mount(work),
        }
    }

    fn bind(&self, work: Work<'_>, dirs: &[PathBuf]) -> Result<()> {
        let at = &work.pool.at;
        let paths: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
        services::with_stopped(&paths, || {
            let mut fresh: Vec<&Path> = Vec::new();
            for dir in &paths {
                if let Err(error) = bind_one(at, dir, &mut fresh) {
                    put_back(at, &fresh);
                    return Err(error);
                }
            }
            Ok(())
        })
    }
}

/// Takes fresh binds back, all or none: consumers expect them in one place. The
/// copies go too, or the next run would take them for the current content.
fn put_back(pool: &Path, fresh: &[&Path]) {
    for dir in fresh.iter().rev() {
        let undone = mounting::unmount(dir)
            .and_then(|()| carry::remove_tree(&carry::bind_source(pool, dir)));
        if let Err(error) = undone {
            warn!("put {} back: {error:#}", dir.display());
        }
    }
}

/// Binds one directory, and notes it as fresh when it is new on the pool. A copy
/// of an earlier run is the only current one: it stays, whatever happens here.
fn bind_one<'a>(pool: &Path, dir: &'a Path, fresh: &mut Vec<&'a Path>) -> Result<()> {
    let source = carry::bind_source(pool, dir);
    if carry::exists(&source)? {
        info!("bind {}: the pool has its content already", dir.display());
    } else {
        fresh.push(dir);
        let carried = carry::carry_bind(dir, pool)?;
        info!(
            "bind {}: carried {} entries, {} bytes over",
            dir.display(),
            carried.entries,
            carried.bytes
        );
    }
    fault::boundary("carried a bind");
    mounting::bind(&source, dir)?;
    fault::boundary("bound a directory");
    Ok(())
}

/// What is mounted: read from the device just now.
struct Verified {
    device: PathBuf,
    dev: (u64, u64),
    fs: Fs,
}

fn verify(work: Work<'_>) -> Result<Verified> {
    let device = pool::pool_device(work)?;
    let Some(found) = probe::filesystem(&device)? else {
        bail!("{} holds no filesystem of ours any more", device.display());
    };
    ensure!(
        found.label == work.pool.label,
        "{} holds pool {}, not {}",
        device.display(),
        found.label,
        work.pool.label
    );
    let stat =
        nix::sys::stat::stat(&device).with_context(|| format!("stat {}", device.display()))?;
    Ok(Verified {
        dev: (
            nix::sys::stat::major(stat.st_rdev),
            nix::sys::stat::minor(stat.st_rdev),
        ),
        fs: match found.fs.as_str() {
            "xfs" => Fs::Xfs,
            "ext4" => Fs::Ext4,
            other => bail!(
                "{} holds a {other}, which instore does not mount",
                device.display()
            ),
        },
        device,
    })
}

fn mount(work: Work<'_>) -> Result<()> {
    let verified = verify(work)?;
    let source = Source {
        device: &verified.device,
        dev: verified.dev,
        fs: verified.fs,
        quota: pool::quota_for(work, verified.fs),
    };
    let at = work.pool.at.as_path();
    let stage = Path::new(STAGE).join(&work.pool.label);
    if is_mounted(at)? {
        // A run that was killed left only the staging mount to take away.
    } else if has_content(at)? {
        services::with_stopped(&[at], || stage_and_mount(source, at, &stage))?;
    } else {
        stage_and_mount(source, at, &stage)?;
    }
    mounting::unmount(&stage)
}

/// The pool is seen at its place only when it is ready, so whoever finds it
/// mounted there needs to do nothing more.
fn stage_and_mount(source: Source<'_>, at: &Path, stage: &Path) -> Result<()> {
    let work = || {
        mounting::mount_device(source, stage)?;
        fault::boundary("staged");
        match (carry::is_ready(stage), has_content(at)?) {
            (true, false) => {}
            (false, false) => carry::mark_ready(stage)?,
            (true, true) => warn!(
                "{} has content below the pool that is mounted over it; it stays there, hidden",
                at.display()
            ),
            (false, true) => {
                let carried = carry::carry_into_root(at, stage)?;
                info!(
                    "{}: carried {} entries, {} bytes over",
                    at.display(),
                    carried.entries,
                    carried.bytes
                );
            }
        }
        mounting::mount_device(source, at)?;
        fault::boundary("mounted");
        Ok(())
    };
    work().inspect_err(|_| {
        let _ = mounting::unmount(stage);
    })
}

fn is_mounted(at: &Path) -> Result<bool> {
    Ok(mounting::mounts()?.iter().any(|m| m.at == at))
}

fn has_content(at: &Path) -> Result<bool> {
    match std::fs::read_dir(at) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e).with_context(|| format!("read directory {}", at.display())),
    }
}
