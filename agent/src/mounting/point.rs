//! Opening a mount point one component at a time, so that no symbolic link on
//! the way can lead a mount somewhere else.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};

/// What to do about a directory that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Create,
    Refuse,
}

/// Mode of the directories that are created on the way.
const MODE: Mode = Mode::from_bits_truncate(0o755);

/// Opens a directory (`O_PATH`) by an absolute path without following any
/// symbolic link.
///
/// # Errors
/// When a component is a symbolic link, not a directory, or missing.
pub fn open_dir(path: &Path, missing: Missing) -> Result<OwnedFd> {
    ensure!(
        path.is_absolute(),
        "open {}: the path must be absolute",
        path.display()
    );
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut walked = PathBuf::from("/");
    let mut fd = open("/", flags | OFlag::O_DIRECTORY, Mode::empty()).context("open /")?;
    for component in path.components() {
        let name = match component {
            Component::RootDir => continue,
            Component::Normal(name) => name,
            _ => bail!(
                "open {}: the path must be absolute and plain",
                path.display()
            ),
        };
        walked.push(name);
        let mut next = openat(&fd, name, flags, Mode::empty());
        if matches!(next, Err(Errno::ENOENT)) && missing == Missing::Create {
            match mkdirat(&fd, name, MODE) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(e) => return Err(e).with_context(|| format!("create {}", walked.display())),
            }
            next = openat(&fd, name, flags, Mode::empty());
        }
        fd = next.with_context(|| format!("open {}", walked.display()))?;
        let stat = fstat(&fd).with_context(|| format!("look at {}", walked.display()))?;
        match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFDIR => {}
            SFlag::S_IFLNK => bail!(
                "open {}: it is a symbolic link: name the directory that it leads to instead",
                walked.display()
            ),
            _ => bail!("open {}: it is not a directory", walked.display()),
        }
    }
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn real(dir: &tempfile::TempDir) -> PathBuf {
        dir.path().canonicalize().unwrap()
    }

    #[test]
    fn missing_components_are_created() {
        let dir = tempfile::tempdir().unwrap();
        let at = real(&dir).join("a/b/c");
        assert!(open_dir(&at, Missing::Refuse).is_err());
        open_dir(&at, Missing::Create).unwrap();
        open_dir(&at, Missing::Create).unwrap();
        assert_eq!(at.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn a_link_on_the_way_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let base = real(&dir);
        std::fs::create_dir_all(base.join("elsewhere/in")).unwrap();
        symlink(base.join("elsewhere"), base.join("link")).unwrap();
        for path in ["link", "link/in", "link/new"] {
            let error = open_dir(&base.join(path), Missing::Create)
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("link") && error.contains("symbolic"),
                "{error}"
            );
        }
        assert!(!base.join("elsewhere/new").exists());
    }

    #[test]
    fn files_and_crooked_paths_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let base = real(&dir);
        std::fs::write(base.join("file"), "").unwrap();
        let error = open_dir(&base.join("file"), Missing::Create)
            .unwrap_err()
            .to_string();
        assert!(error.contains("not a directory"), "{error}");
        assert!(open_dir(&base.join("file/x"), Missing::Create).is_err());
        assert!(open_dir(&base.join("../x"), Missing::Create).is_err());
        assert!(open_dir(Path::new("relative"), Missing::Create).is_err());
    }
}
