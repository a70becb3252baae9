//! Taking down what apply made: the content of binds goes back to the root
//! volume, then the pools are unmounted. Data on the disks stays. Stopping the
//! array is not here.

mod marker;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use tracing::{info, warn};

use crate::carry::{self, beside, bind_source, carry, exists, remove_tree};
use crate::fault;
use crate::inventory::Mount;
use crate::mounting::{mounts, unmount};
use crate::services;

/// A mounted filesystem that is ours, as the caller has made sure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    pub at: PathBuf,
    /// "major:minor", as in the mount table.
    pub dev: String,
}

/// What was taken down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Released {
    pub binds: Vec<PathBuf>,
    pub pools: Vec<PathBuf>,
}

/// Added to a directory's name while its content comes back.
const RETURNING: &str = ".instore-release";

/// Brings the content of all binds of these pools back and unmounts both. The
/// services that use them are stopped and started around it.
///
/// # Errors
/// When something is in use, when the root volume has no room, or when
/// something else is mounted on or from the pools. What is not released yet
/// stays as it was; a second run goes on.
pub fn release(pools: &[Pool]) -> Result<Released> {
    let table = mounts()?;
    let binds = binds(pools, &table);
    let unfinished: Vec<_> = marker::all(pools)?
        .into_iter()
        .filter(|u| !binds.iter().any(|b| b.dir == u.dir))
        .collect();
    refuse_strangers(pools, &binds, &table)?;
    let mut dirs: Vec<&Path> = pools.iter().map(|p| p.at.as_path()).collect();
    dirs.extend(binds.iter().map(|b| b.dir.as_path()));
    dirs.extend(unfinished.iter().map(|u| u.dir.as_path()));
    if dirs.is_empty() {
        return Ok(Released::default());
    }
    services::with_stopped(&dirs, || {
        for left in &unfinished {
            finish(&left.pool, &left.dir)?;
        }
        for bind in &binds {
            bring_back(&bind.pool, &bind.dir)
                .with_context(|| format!("release {}", bind.dir.display()))?;
        }
        let pools = unmount_pools(pools)?;
        let unfinished = unfinished.iter().map(|u| u.dir.clone());
        let binds = binds.iter().map(|b| b.dir.clone());
        Ok(Released {
            binds: unfinished.chain(binds).collect(),
            pools,
        })
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bind {
    pool: PathBuf,
    dir: PathBuf,
}

fn binds(pools: &[Pool], table: &[Mount]) -> Vec<Bind> {
    table
        .iter()
        .filter(|m| m.root == bind_source(Path::new("/"), &m.at))
        .filter_map(|m| {
            let pool = pools.iter().find(|p| p.dev == m.dev)?;
            Some(Bind {
                pool: pool.at.clone(),
                dir: m.at.clone(),
            })
        })
        .collect()
}

/// Mounts from and on the pools that apply did not make.
fn refuse_strangers(pools: &[Pool], binds: &[Bind], table: &[Mount]) -> Result<()> {
    for mount in table {
        let shown = mount.at.display();
        if binds.iter().any(|b| b.dir == mount.at) || pools.iter().any(|p| p.at == mount.at) {
            continue;
        }
        if let Some(pool) = pools
            .iter()
            .find(|p| p.dev == mount.dev && mount.root != Path::new("/"))
        {
            bail!(
                "release {}: {shown} is mounted from it: unmount that first",
                pool.at.display()
            );
        }
        let below = binds
            .iter()
            .map(|b| &b.dir)
            .chain(pools.iter().map(|p| &p.at))
            .find(|dir| mount.at.starts_with(dir));
        if let Some(dir) = below {
            bail!(
                "release {}: {shown} is mounted below it: drain the node or unmount that first",
                dir.display()
            );
        }
    }
    Ok(())
}

/// Copies the pool's content next to the directory, unmounts the bind, and
/// swaps the two.
fn bring_back(pool: &Path, dir: &Path) -> Result<()> {
    let source = bind_source(pool, dir);
    let returning = beside(dir, RETURNING);
    // Of an interrupted run; the pool's content is newer than either.
    marker::remove(&source)?;
    remove_tree(&returning)?;
    info!(dir = %dir.display(), "bring the content back to the root volume");
    carry(&source, &returning)?;
    fault::boundary("note what is swapped");
    marker::write(&source, dir, &returning)?;
    fault::boundary("unmount a bind");
    unmount(dir)?;
    finish(pool, dir)
}

/// From the unmounted bind to the end; every step may have been done before.
fn finish(pool: &Path, dir: &Path) -> Result<()> {
    let source = bind_source(pool, dir);
    let returning = beside(dir, RETURNING);
    let parent = dir.parent().context("find the parent directory")?;
    fault::boundary("swap the directories");
    match marker::state(&source, dir, &returning)? {
        marker::State::BeforeSwap => {
            renameat2(
                AT_FDCWD,
                &returning,
                AT_FDCWD,
                dir,
                RenameFlags::RENAME_EXCHANGE,
            )
            .with_context(|| format!("swap {} and {}", returning.display(), dir.display()))?;
            carry::sync_dir(parent)?;
        }
        marker::State::AfterSwap => {}
    }
    fault::boundary("put the pool's copy aside");
    if exists(&source)? {
        carry::rename_new(&source, &beside(&source, &format!(".released-{}", now())))?;
    }
    fault::boundary("remove the old directory");
    if exists(&returning)? && carry::changed_since(&returning, &source)? {
        keep_aside(&returning, dir)?;
    }
    remove_tree(&returning)?;
    fault::boundary("remove the note");
    marker::remove(&source)
}

/// What was written below the bind while it was not mounted is nowhere else.
fn keep_aside(old: &Path, dir: &Path) -> Result<()> {
    let kept = beside(dir, &format!(".instore-kept-{}", now()));
    carry::rename_new(old, &kept)?;
    warn!(
        "{} was written to while the pool was not there: that content is at {}",
        dir.display(),
        kept.display()
    );
    Ok(())
}

/// Tells names apart; seconds since 1970.
fn now() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.unwrap_or_default().as_secs()
}

fn unmount_pools(pools: &[Pool]) -> Result<Vec<PathBuf>> {
    let ours = |m: &Mount| pools.iter().any(|p| p.dev == m.dev);
    let mut places: Vec<_> = mounts()?.into_iter().filter(ours).map(|m| m.at).collect();
    places.reverse();
    for at in &places {
        fault::boundary("unmount a pool");
        unmount(at)?;
    }
    if let Some(left) = mounts()?.into_iter().find(ours) {
        bail!(
            "release {}: it is still mounted there: unmount it by hand",
            left.at.display()
        );
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(dev: &str, root: &str, at: &str) -> Mount {
        Mount {
            dev: dev.into(),
            root: root.into(),
            at: at.into(),
            fs: "xfs".into(),
            source: "/dev/x".into(),
            options: "rw".into(),
        }
    }

    fn pool() -> [Pool; 1] {
        [Pool {
            at: "/data".into(),
            dev: "9:0".into(),
        }]
    }

    #[test]
    fn only_binds_of_the_pools_are_ours() {
        let table = [
            mount("8:1", "/", "/"),
            mount("9:0", "/", "/data"),
            mount("9:0", "/.instore/binds/var-lib-a", "/var/lib/a"),
            mount("9:0", "/.instore/binds/var-lib-a", "/elsewhere"),
            mount("9:0", "/.instore/binds/var-lib-a/sub", "/var/lib/a/sub"),
            mount("8:1", "/.instore/binds/var-lib-b", "/var/lib/b"),
        ];
        let found = binds(&pool(), &table);
        assert_eq!(
            found,
            [Bind {
                pool: "/data".into(),
                dir: "/var/lib/a".into()
            }]
        );
        let error = refuse_strangers(&pool(), &found, &table)
            .unwrap_err()
            .to_string();
        assert!(error.contains("/elsewhere"), "{error}");
    }

    #[test]
    fn a_mount_below_is_refused_by_name() {
        let table = [
            mount("9:0", "/", "/data"),
            mount("9:0", "/.instore/binds/var-lib-a", "/var/lib/a"),
            mount("0:9", "/", "/var/lib/a/pods/x"),
        ];
        let found = binds(&pool(), &table);
        let error = refuse_strangers(&pool(), &found, &table)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/var/lib/a/pods/x") && error.contains("drain"),
            "{error}"
        );
        refuse_strangers(&pool(), &found, &table[..2]).unwrap();
    }
}
