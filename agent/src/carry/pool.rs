//! What lies where inside a pool: `.instore`, the marker that a pool is
//! complete, the content of binds; and filling a pool's own root.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    Carried, beside, carry, create_dir, exists, remove_tree, rename_new, sync_filesystem, tree,
};
use crate::fault;

/// The directory of a pool that only root and this program may enter.
pub const PRIVATE: &str = ".instore";
/// Where the content of bound directories is, below [`PRIVATE`].
pub const BINDS: &str = "binds";

const INCOMING: &str = "incoming";
const READY: &str = "ready";
/// mkfs.ext4 makes it, and fsck wants it.
const LOST_AND_FOUND: &str = "lost+found";

/// The place on a pool for the content of a node directory: its path in the
/// manner of systemd-escape, which no two paths share. Dots are escaped too, so
/// that no name can be another one's with `.partial` or the like behind it.
#[must_use]
pub fn bind_source(pool_root: &Path, dir: &Path) -> PathBuf {
    pool_root.join(PRIVATE).join(BINDS).join(escape(dir))
}

/// Beside the content of a bind: its time is that of the carrying.
const CARRIED: &str = ".carried";

/// Carries the content of a node directory to its place on the pool.
///
/// # Errors
/// As [`carry`].
pub fn carry_bind(dir: &Path, pool_root: &Path) -> Result<Carried> {
    let source = bind_source(pool_root, dir);
    let note = beside(&source, CARRIED);
    // Before the copy, so that a change during it counts as one after it.
    let what = || format!("write {}", note.display());
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(note.parent().with_context(what)?)
        .with_context(what)?;
    fs::write(&note, "instore\n").with_context(what)?;
    carry(dir, &source)
}

/// Whether a directory has other content than when it was carried to `source`:
/// somebody may have written to it while the pool was not there.
///
/// # Errors
/// When it cannot be read.
pub fn changed_since(dir: &Path, source: &Path) -> Result<bool> {
    match beside(source, CARRIED).symlink_metadata() {
        Ok(note) => tree::has_newer(dir, note.mtime(), note.mtime_nsec()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(true),
        Err(e) => Err(e).with_context(|| format!("look for the note of {}", source.display())),
    }
}

fn escape(path: &Path) -> String {
    let mut out = String::new();
    let bytes = path.as_os_str().as_bytes();
    let bytes = bytes.strip_prefix(b"/").unwrap_or(bytes);
    for &byte in bytes {
        match byte {
            b'/' => out.push('-'),
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b':' | b'_' => out.push(char::from(byte)),
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out
}

/// Whether a pool was completed once: its content is all there.
#[must_use]
pub fn is_ready(pool_root: &Path) -> bool {
    let private = pool_root.join(PRIVATE);
    private.symlink_metadata().is_ok_and(|m| m.is_dir())
        && private
            .join(READY)
            .symlink_metadata()
            .is_ok_and(|m| m.is_file())
}

/// Marks a pool as complete, durably.
///
/// # Errors
/// When the marker cannot be written.
pub fn mark_ready(pool_root: &Path) -> Result<()> {
    let what = || format!("mark the pool at {} as complete", pool_root.display());
    let marker = private(pool_root)?.join(READY);
    File::create(&marker).with_context(what)?;
    sync_filesystem(pool_root)
}

/// Makes sure of the private directory.
fn private(pool_root: &Path) -> Result<PathBuf> {
    let private = pool_root.join(PRIVATE);
    if exists(&private)? {
        let kind = private
            .symlink_metadata()
            .context("look at the pool")?
            .file_type();
        ensure!(kind.is_dir(), "{} is not a directory", private.display());
        fs::set_permissions(&private, Permissions::from_mode(0o700))
            .with_context(|| format!("close {}", private.display()))?;
    } else {
        create_dir(&private, 0o700)?;
    }
    Ok(private)
}

/// Carries the content of the directory over which a new pool will be mounted
/// into the pool's root, and marks the pool as complete. A run that was
/// interrupted is resumed, with the content as it is now.
///
/// # Errors
/// As [`carry`], and when something else is in the pool's root.
pub fn carry_into_root(from: &Path, pool_root: &Path) -> Result<Carried> {
    let private = private(pool_root)?;
    let incoming = private.join(INCOMING);
    if is_ready(pool_root) {
        // Empty by then; only its removal may have been interrupted.
        let _ = fs::remove_dir(&incoming);
        return Ok(Carried::default());
    }
    fits_into_root(from, pool_root)?;
    let carried = bring(from, pool_root, &incoming)?;
    spread(&incoming, pool_root)?;
    fault::boundary("dress the pool's root");
    tree::dress(&incoming, pool_root)?;
    sync_filesystem(pool_root)?;
    fault::boundary("mark the pool as complete");
    mark_ready(pool_root)?;
    fault::boundary("remove the empty incoming directory");
    fs::remove_dir(&incoming).with_context(|| format!("remove {}", incoming.display()))?;
    Ok(carried)
}

/// Two names have a meaning of their own in a pool's root.
fn fits_into_root(from: &Path, pool_root: &Path) -> Result<()> {
    let shown = from.display();
    ensure!(
        !exists(&from.join(PRIVATE))?,
        "carry {shown}: it holds {PRIVATE}, as a pool does: move that away first"
    );
    let theirs = from.join(LOST_AND_FOUND);
    if exists(&theirs)? && exists(&pool_root.join(LOST_AND_FOUND))? {
        let empty =
            theirs.symlink_metadata().is_ok_and(|m| m.is_dir()) && tree::names(&theirs)?.is_empty();
        ensure!(
            empty,
            "carry {shown}: its {LOST_AND_FOUND} is not empty, and the pool has its own: move that away first"
        );
    }
    Ok(())
}

/// Gets an exact copy into `incoming`, an earlier one if it still is exact.
fn bring(from: &Path, pool_root: &Path, incoming: &Path) -> Result<Carried> {
    let there = entries(pool_root)?;
    if exists(incoming)? {
        for name in &there {
            rename_new(&pool_root.join(name), &incoming.join(name))?;
        }
        if tree::alike(from, incoming) {
            let size = tree::size_of(incoming)?;
            return Ok(Carried {
                bytes: size.bytes,
                entries: size.inodes,
            });
        }
        // A copy of what has changed since; the original is where it was.
        remove_tree(incoming)?;
    } else if let Some(name) = there.first() {
        bail!(
            "carry {} into {}: {} is there already, and no interrupted run explains it: move it away",
            from.display(),
            pool_root.display(),
            Path::new(name).display()
        );
    }
    carry(from, incoming)
}

fn spread(incoming: &Path, pool_root: &Path) -> Result<()> {
    for name in tree::names(incoming)? {
        let (here, there) = (incoming.join(&name), pool_root.join(&name));
        if name == LOST_AND_FOUND && exists(&there)? {
            fs::remove_dir(&here).with_context(|| format!("remove {}", here.display()))?;
            continue;
        }
        fault::boundary("move an entry into the pool's root");
        rename_new(&here, &there)?;
    }
    Ok(())
}

/// The names in a pool's root that are not its own.
fn entries(pool_root: &Path) -> Result<Vec<std::ffi::OsString>> {
    let own = |name: &OsStr| name == PRIVATE || name == LOST_AND_FOUND;
    Ok(tree::names(pool_root)?
        .into_iter()
        .filter(|n| !own(n))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_binds_are_escaped_and_distinct() {
        let place = |dir: &str| {
            let place = bind_source(Path::new("/data"), Path::new(dir));
            place
                .to_str()
                .unwrap()
                .strip_prefix("/data/.instore/binds/")
                .unwrap()
                .to_owned()
        };
        assert_eq!(place("/var/lib/containerd"), "var-lib-containerd");
        assert_eq!(place("/var/lib-containerd"), "var-lib\\x2dcontainerd");
        assert_eq!(place("/.a/.b c"), "\\x2ea-\\x2eb\\x20c");
        assert_eq!(place("/a\\x2db"), "a\\x5cx2db");
        assert_eq!(place("/ä"), "\\xc3\\xa4");
    }
}
