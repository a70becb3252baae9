//! The note that tells an interrupted release where it was: which directory is
//! coming back, and the inode of the copy that takes its place. It lies next to
//! the bind's content on the pool.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::Pool;
use crate::carry::{BINDS, PRIVATE, beside, bind_source, sync_dir};

const SUFFIX: &str = ".releasing";

/// A release that did not come to its end.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) pool: PathBuf,
    pub(super) dir: PathBuf,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    BeforeSwap,
    AfterSwap,
}

pub(super) fn write(source: &Path, dir: &Path, copy: &Path) -> Result<()> {
    let marker = beside(source, SUFFIX);
    let what = || format!("write {}", marker.display());
    let inode = copy.symlink_metadata().with_context(what)?.ino();
    let mut bytes = format!("{inode}\n").into_bytes();
    bytes.extend(dir.as_os_str().as_bytes());
    let fresh = beside(&marker, ".new");
    fs::write(&fresh, bytes).with_context(what)?;
    fs::File::open(&fresh)
        .and_then(|f| f.sync_all())
        .with_context(what)?;
    fs::rename(&fresh, &marker).with_context(what)?;
    sync_dir(marker.parent().with_context(what)?)
}

pub(super) fn remove(source: &Path) -> Result<()> {
    let marker = beside(source, SUFFIX);
    match fs::remove_file(&marker) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(e).with_context(|| format!("remove {}", marker.display()))
        }
        _ => Ok(()),
    }
}

/// All releases that were interrupted on these pools.
pub(super) fn all(pools: &[Pool]) -> Result<Vec<Unfinished>> {
    let mut found = Vec::new();
    for pool in pools {
        let dir = pool.at.join(PRIVATE).join(BINDS);
        let list = match fs::read_dir(&dir) {
            Ok(list) => list,
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => return Err(e).with_context(|| format!("list {}", dir.display())),
        };
        for entry in list {
            let path = entry
                .with_context(|| format!("list {}", dir.display()))?
                .path();
            if path.as_os_str().as_bytes().ends_with(SUFFIX.as_bytes()) {
                let (_, dir) = read(&path)?;
                if beside(&bind_source(&pool.at, &dir), SUFFIX) != path {
                    bail!("read {}: it names {}", path.display(), dir.display());
                }
                found.push(Unfinished {
                    pool: pool.at.clone(),
                    dir,
                });
            }
        }
    }
    Ok(found)
}

/// Whether the copy has taken the directory's place already.
pub(super) fn state(source: &Path, dir: &Path, copy: &Path) -> Result<State> {
    let marker = beside(source, SUFFIX);
    let (inode, _) = read(&marker)?;
    let is = |path: &Path| path.symlink_metadata().is_ok_and(|m| m.ino() == inode);
    match (is(dir), is(copy)) {
        (true, false) => Ok(State::AfterSwap),
        (false, true) => Ok(State::BeforeSwap),
        _ => bail!(
            "tell which of {} and {} is the copy that {} speaks of: look at both, keep the right one in place, and remove the note",
            dir.display(),
            copy.display(),
            marker.display()
        ),
    }
}

fn read(marker: &Path) -> Result<(u64, PathBuf)> {
    let what = || format!("read {}", marker.display());
    let bytes = fs::read(marker).with_context(what)?;
    let end = bytes.iter().position(|b| *b == b'\n').with_context(what)?;
    let inode = std::str::from_utf8(&bytes[..end])
        .with_context(what)?
        .parse();
    let dir = std::ffi::OsString::from_vec(bytes[end + 1..].to_vec());
    Ok((inode.with_context(what)?, PathBuf::from(dir)))
}
