//! Walking directory trees: how large one is, and whether two are the same.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use super::xattr;

/// How much room a tree takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Allocated; a file with several names counts once.
    pub bytes: u64,
    pub inodes: u64,
}

/// Measures a directory without leaving its filesystem. A missing one has no
/// size.
///
/// # Errors
/// When something in it cannot be read.
pub fn size_of(dir: &Path) -> Result<Size> {
    if !super::exists(dir)? {
        return Ok(Size::default());
    }
    measure(dir, |_| Ok(()))
}

/// The same, for a tree that shall be copied whole.
pub(super) fn size_strictly(dir: &Path) -> Result<Size> {
    measure(dir, |path| {
        bail!(
            "{} is a filesystem or subvolume of its own, which is not carried: move it away first",
            path.display()
        )
    })
}

fn measure(dir: &Path, other_filesystem: impl Fn(&Path) -> Result<()>) -> Result<Size> {
    let mut size = Size::default();
    let mut seen = HashSet::new();
    let top = look(dir)?;
    let mut todo = vec![(dir.to_path_buf(), top.clone())];
    while let Some((path, metadata)) = todo.pop() {
        if metadata.dev() != top.dev() {
            other_filesystem(&path)?;
            continue;
        }
        if metadata.nlink() > 1 && !metadata.is_dir() && !seen.insert(metadata.ino()) {
            continue;
        }
        size.inodes += 1;
        // st_blocks is in 512 bytes whatever the filesystem's block size is.
        size.bytes += metadata.blocks() * 512;
        if metadata.is_dir() {
            for name in names(&path)? {
                let path = path.join(name);
                let metadata = look(&path)?;
                todo.push((path, metadata));
            }
        }
    }
    Ok(size)
}

/// Whether anything in the directory was changed after a time. Of the directory
/// itself only its entries count: its inode changes when it is renamed.
pub(super) fn has_newer(dir: &Path, seconds: i64, nanoseconds: i64) -> Result<bool> {
    let since = (seconds, nanoseconds);
    let top = look(dir)?;
    if (top.mtime(), top.mtime_nsec()) > since {
        return Ok(true);
    }
    let mut todo = vec![dir.to_path_buf()];
    while let Some(path) = todo.pop() {
        for name in names(&path)? {
            let path = path.join(name);
            let metadata = look(&path)?;
            if (metadata.ctime(), metadata.ctime_nsec()) > since {
                return Ok(true);
            }
            if metadata.is_dir() {
                todo.push(path);
            }
        }
    }
    Ok(false)
}

/// Checks that the second tree is the first one's copy: the same names, types,
/// owners, modes, sizes, times of files, link targets, device numbers, names
/// of one file, attributes. Attributes that cp left out by its own rules are
/// added to the copy.
pub(super) fn compare(from: &Path, to: &Path) -> Result<()> {
    let mut pairs = Pairs::default();
    let mut todo = vec![(from.to_path_buf(), to.to_path_buf())];
    while let Some((a, b)) = todo.pop() {
        let (at_a, at_b) = (look(&a)?, look(&b)?);
        same_facts(&a, &at_a, &b, &at_b)?;
        pairs.check(&a, &at_a, &at_b)?;
        same_attributes(&a, &b)?;
        if at_a.is_dir() {
            let (in_a, in_b) = (names(&a)?, names(&b)?);
            if let Some(name) = in_a.symmetric_difference(&in_b).next() {
                let place = if in_a.contains(name) {
                    "missing from the copy"
                } else {
                    "new in the copy"
                };
                bail!("{} is {place}", a.join(name).display());
            }
            todo.extend(in_a.iter().map(|name| (a.join(name), b.join(name))));
        }
    }
    Ok(())
}

fn same_facts(a: &Path, at_a: &Metadata, b: &Path, at_b: &Metadata) -> Result<()> {
    let shown = a.display();
    let (kind_a, kind_b) = (at_a.file_type(), at_b.file_type());
    ensure!(kind_a == kind_b, "the copy of {shown} is of another type");
    ensure!(
        (at_a.uid(), at_a.gid()) == (at_b.uid(), at_b.gid()),
        "the copy of {shown} has another owner"
    );
    if kind_a.is_symlink() {
        let target = |path: &Path| {
            fs::read_link(path).with_context(|| format!("read the link {}", path.display()))
        };
        ensure!(
            target(a)? == target(b)?,
            "the copy of link {shown} leads elsewhere"
        );
        return Ok(());
    }
    ensure!(
        at_a.mode() == at_b.mode(),
        "the copy of {shown} has another mode"
    );
    if kind_a.is_file() {
        ensure!(
            at_a.size() == at_b.size() && at_a.mtime() == at_b.mtime(),
            "{shown} changed while it was copied: somebody still writes to it"
        );
    }
    if kind_a.is_block_device() || kind_a.is_char_device() {
        ensure!(
            at_a.rdev() == at_b.rdev(),
            "the copy of {shown} is another device"
        );
    }
    Ok(())
}

fn same_attributes(a: &Path, b: &Path) -> Result<()> {
    let wanted = xattr::read(a)?;
    let mut found = xattr::read(b)?;
    for (name, value) in &wanted {
        if found.get(name) != Some(value) {
            xattr::set(b, name, value)?;
            found = xattr::read(b)?;
        }
    }
    let other = found
        .iter()
        .find(|(name, value)| wanted.get(*name) != Some(*value))
        .or_else(|| wanted.iter().find(|(name, _)| !found.contains_key(*name)));
    match other {
        None => Ok(()),
        Some((name, _)) => {
            bail!(
                "the copy of {} has another {}",
                a.display(),
                name.to_string_lossy()
            )
        }
    }
}

/// Which inode of the copy stands for which of the original: names of one file
/// must be names of one file again, and of different ones of different ones.
#[derive(Default)]
struct Pairs {
    there: HashMap<u64, u64>,
    back: HashMap<u64, u64>,
}

impl Pairs {
    fn check(&mut self, a: &Path, at_a: &Metadata, at_b: &Metadata) -> Result<()> {
        if at_a.is_dir() || (at_a.nlink() == 1 && at_b.nlink() == 1) {
            return Ok(());
        }
        let there = *self.there.entry(at_a.ino()).or_insert(at_b.ino());
        let back = *self.back.entry(at_b.ino()).or_insert(at_a.ino());
        ensure!(
            there == at_b.ino() && back == at_a.ino(),
            "the copy of {} is not linked with the same names",
            a.display()
        );
        Ok(())
    }
}

/// Copies owner, mode and attributes of one directory to another.
pub(super) fn dress(from: &Path, to: &Path) -> Result<()> {
    let metadata = look(from)?;
    let what = || {
        format!(
            "give {} the owner and mode of {}",
            to.display(),
            from.display()
        )
    };
    std::os::unix::fs::lchown(to, Some(metadata.uid()), Some(metadata.gid())).with_context(what)?;
    fs::set_permissions(to, metadata.permissions()).with_context(what)?;
    for (name, value) in xattr::read(from)? {
        xattr::set(to, &name, &value)?;
    }
    Ok(())
}

fn look(path: &Path) -> Result<Metadata> {
    path.symlink_metadata()
        .with_context(|| format!("look at {}", path.display()))
}

pub(super) fn names(dir: &Path) -> Result<BTreeSet<OsString>> {
    let what = || format!("list {}", dir.display());
    fs::read_dir(dir)
        .with_context(what)?
        .map(|entry| Ok(entry.with_context(what)?.file_name()))
        .collect()
}

/// Whether the second tree is an exact copy of the first, which exists.
pub(super) fn alike(from: &Path, to: &Path) -> bool {
    super::exists(from).unwrap_or(false) && compare(from, to).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn plant(dir: &Path) {
        fs::create_dir_all(dir.join("in")).unwrap();
        fs::write(dir.join("file"), "content").unwrap();
        fs::hard_link(dir.join("file"), dir.join("in/same")).unwrap();
        symlink("file", dir.join("link")).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        fs::File::open(dir.join("file"))
            .unwrap()
            .set_modified(time)
            .unwrap();
    }

    fn difference(spoil: impl FnOnce(&Path)) -> String {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        plant(&a);
        plant(&b);
        compare(&a, &b).unwrap();
        spoil(&b);
        assert!(!alike(&a, &b));
        compare(&a, &b).unwrap_err().to_string()
    }

    #[test]
    fn every_difference_is_seen() {
        let text = difference(|b| fs::remove_file(b.join("link")).unwrap());
        assert!(text.contains("missing from the copy"), "{text}");
        let text = difference(|b| fs::write(b.join("in/more"), "").unwrap());
        assert!(text.contains("new in the copy"), "{text}");
        let text = difference(|b| {
            fs::set_permissions(b.join("in"), fs::Permissions::from_mode(0o700)).unwrap();
        });
        assert!(text.contains("another mode"), "{text}");
        let text = difference(|b| fs::write(b.join("file"), "torn").unwrap());
        assert!(text.contains("changed while"), "{text}");
        let text = difference(|b| {
            fs::remove_file(b.join("link")).unwrap();
            symlink("elsewhere", b.join("link")).unwrap();
        });
        assert!(text.contains("leads elsewhere"), "{text}");
        let text = difference(|b| {
            fs::remove_file(b.join("link")).unwrap();
            fs::create_dir(b.join("link")).unwrap();
        });
        assert!(text.contains("another type"), "{text}");
        let text = difference(|b| {
            fs::copy(b.join("file"), b.join("other")).unwrap();
            fs::rename(b.join("other"), b.join("in/same")).unwrap();
            let time = b.join("file").metadata().unwrap().modified().unwrap();
            fs::File::open(b.join("in/same"))
                .unwrap()
                .set_modified(time)
                .unwrap();
        });
        assert!(text.contains("not linked"), "{text}");
    }

    #[test]
    fn a_file_with_two_names_is_measured_once() {
        let dir = tempfile::tempdir().unwrap();
        plant(&dir.path().join("a"));
        assert_eq!(size_of(&dir.path().join("a")).unwrap().inodes, 4);
        assert_eq!(size_of(&dir.path().join("none")).unwrap(), Size::default());
    }
}
