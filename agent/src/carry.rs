//! Carrying the content of a directory to another filesystem, so that it is
//! either there in full or not at all, whenever the machine stops. What was
//! carried stays where it was; nothing here removes it.

mod pool;
mod tree;
mod xattr;

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::statvfs::statvfs;

use crate::fault;
use crate::mounting::{self, Missing};
use crate::spawn::{self, Argv};

pub use pool::{
    BINDS, PRIVATE, bind_source, carry_bind, carry_into_root, changed_since, is_ready, mark_ready,
};
pub use tree::{Size, size_of};

/// What was carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    pub bytes: u64,
    pub entries: u64,
}

/// What every entry may cost besides its blocks: the inode itself, and its
/// name in a directory.
const BYTES_PER_ENTRY: u64 = 1024;

/// Carries the content of a directory into a new one. A directory that is
/// missing is carried as an empty one.
///
/// # Errors
/// When the new one exists, when there is not enough room, when something is
/// mounted below, or when the copy is not exactly like the original. Nothing
/// is left of a copy that failed.
pub fn carry(from: &Path, to: &Path) -> Result<Carried> {
    let what = || format!("carry {} to {}", from.display(), to.display());
    ensure!(
        !exists(to).with_context(what)?,
        "{}: the latter exists already: move it away",
        what()
    );
    let parent = to.parent().with_context(what)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
        .with_context(what)?;
    let partial = beside(to, ".partial");
    remove_tree(&partial).with_context(what)?;
    let result = copy(from, &partial, parent).and_then(|carried| {
        fault::boundary("rename the copy");
        rename_new(&partial, to)?;
        fault::boundary("sync the name of the copy");
        sync_dir(parent)?;
        Ok(carried)
    });
    if result.is_err() {
        let _ = remove_tree(&partial);
    }
    result.with_context(what)
}

fn copy(from: &Path, partial: &Path, parent: &Path) -> Result<Carried> {
    if !exists(from)? {
        create_dir(partial, 0o755)?;
        sync_filesystem(parent)?;
        return Ok(Carried::default());
    }
    mounting::open_dir(from, Missing::Refuse)?;
    nothing_mounted_below(from)?;
    let size = tree::size_strictly(from)?;
    enough_room(size, parent)?;
    fault::boundary("copy");
    spawn::run(&copy_argv(from, partial)?)?;
    fault::boundary("compare the copy");
    tree::compare(from, partial)?;
    fault::boundary("sync the copy");
    sync_filesystem(parent)?;
    Ok(Carried {
        bytes: size.bytes,
        entries: size.inodes,
    })
}

fn copy_argv(from: &Path, to: &Path) -> Result<Argv> {
    let text = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .ok_or_else(|| anyhow!("{path:?} is not UTF-8"))
    };
    let (from, to) = (text(from)?, text(to)?);
    Ok(Argv::new(&[
        "cp",
        "-a",
        "--one-file-system",
        "-T",
        "--",
        &from,
        &to,
    ]))
}

fn nothing_mounted_below(dir: &Path) -> Result<()> {
    match mounting::mounts_below(dir)?.first() {
        None => Ok(()),
        Some(mount) => bail!(
            "{} is mounted below {}, and its content cannot be carried: unmount it first",
            mount.at.display(),
            dir.display()
        ),
    }
}

fn enough_room(size: Size, on: &Path) -> Result<()> {
    let stat = statvfs(on).with_context(|| format!("read the free space of {}", on.display()))?;
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    let needed = size
        .bytes
        .saturating_add(size.inodes.saturating_mul(BYTES_PER_ENTRY));
    ensure!(
        needed <= free,
        "not enough space: {} needed, {} free on the filesystem of {}: make room there",
        human(needed),
        human(free),
        on.display()
    );
    // A filesystem without a fixed number of inodes says 0 of 0.
    let inodes = stat.files_available();
    ensure!(
        stat.files() == 0 || size.inodes < inodes,
        "not enough inodes: {} needed, {inodes} free on the filesystem of {}: make room there",
        size.inodes,
        on.display()
    );
    Ok(())
}

fn human(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    // Tenths, without floating point.
    let tenths = bytes.saturating_mul(10).div_ceil(MIB);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

pub(crate) fn exists(path: &Path) -> Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e).with_context(|| format!("look at {}", path.display())),
    }
}

/// The path with something added to its last component.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes a directory tree, or whatever else has the name, following no link
/// and entering no mount. Nothing there is a success.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    let what = || format!("remove {}", path.display());
    let kind = match path.symlink_metadata() {
        Ok(metadata) => metadata.file_type(),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).with_context(what),
    };
    if !kind.is_dir() {
        return fs::remove_file(path).with_context(what);
    }
    let mounted = mounting::mounts()?
        .into_iter()
        .find(|m| m.at.starts_with(path));
    if let Some(mount) = mounted {
        bail!(
            "{}: {} is mounted there: unmount it first",
            what(),
            mount.at.display()
        );
    }
    fs::remove_dir_all(path).with_context(what)
}

pub(crate) fn create_dir(path: &Path, mode: u32) -> Result<()> {
    let what = || format!("create {}", path.display());
    fs::create_dir(path).with_context(what)?;
    // Apart from the creation, which the umask has a say in.
    fs::set_permissions(path, Permissions::from_mode(mode)).with_context(what)
}

/// Renames without replacing anything.
pub(crate) fn rename_new(from: &Path, to: &Path) -> Result<()> {
    renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE)
        .with_context(|| format!("rename {} to {}", from.display(), to.display()))
}

pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|d| d.sync_all())
        .with_context(|| format!("sync {}", dir.display()))
}

pub(crate) fn sync_filesystem(on: &Path) -> Result<()> {
    let what = || format!("sync the filesystem of {}", on.display());
    let dir = File::open(on).with_context(what)?;
    nix::unistd::syncfs(&dir).with_context(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cp_gets_these_words() {
        let argv = copy_argv(Path::new("/var/lib/a b"), Path::new("/data/x.partial")).unwrap();
        let words = [
            "cp",
            "-a",
            "--one-file-system",
            "-T",
            "--",
            "/var/lib/a b",
            "/data/x.partial",
        ];
        assert_eq!(argv, Argv::new(&words));
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(human(0), "0.0 MiB");
        assert_eq!(human(1), "0.1 MiB");
        assert_eq!(human(3 << 19), "1.5 MiB");
    }

    #[test]
    fn a_carried_directory_is_whole_and_the_original_stays() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let (from, to) = (base.join("from"), base.join("pool/deep/to"));
        fs::create_dir_all(from.join("in")).unwrap();
        fs::write(from.join("in/file"), "content").unwrap();
        fs::hard_link(from.join("in/file"), from.join("twin")).unwrap();
        let carried = carry(&from, &to).unwrap();
        assert_eq!(carried.entries, 3);
        tree::compare(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("twin")).unwrap(), "content");
        assert!(!beside(&to, ".partial").exists());
    }
}
