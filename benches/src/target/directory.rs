//! A directory that is held open: files are looked at, made and removed in it
//! by one name, wherever its path leads by then.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::decide::{Maker, Place, Seen};
use super::mark::{self, Holds};

/// What makes a file the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inode {
    pub(super) dev: u64,
    pub(super) ino: u64,
}

impl Inode {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            dev: metadata.dev(),
            ino: metadata.ino(),
        })
    }
}

#[derive(Debug)]
pub(super) struct Directory {
    file: File,
    pub(super) path: PathBuf,
    pub(super) inode: Inode,
}

/// What was found under a name.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) seen: Seen,
    /// Nothing when it is missing.
    pub(super) inode: Option<Inode>,
    /// The number of a device.
    pub(super) rdev: u64,
    pub(super) bytes: u64,
    /// Of it on the disk.
    pub(super) allocated: u64,
}

impl Directory {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let file = File::from(openat(AT_FDCWD, path, flags, Mode::empty())?);
        Ok(Self {
            inode: Inode::of(&file)?,
            file,
            path: path.to_path_buf(),
        })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Looks without opening: that could rewind a tape, or wait for a writer.
    pub(super) fn look(&self, name: &OsStr) -> io::Result<Found> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = match openat(&self.file, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::ENOENT) => {
                return Ok(Found {
                    seen: Seen::Missing(self.place()),
                    inode: None,
                    rdev: 0,
                    bytes: 0,
                    allocated: 0,
                });
            }
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        let kind = metadata.file_type();
        let seen = if kind.is_file() {
            Seen::File(mark::read(&file)?.0)
        } else if kind.is_symlink() {
            let to = readlinkat(&file, "").unwrap_or_else(|_| OsString::from("?"));
            Seen::Symlink(PathBuf::from(to))
        } else if kind.is_dir() {
            Seen::Directory
        } else if kind.is_fifo() {
            Seen::Fifo
        } else if kind.is_block_device() {
            Seen::BlockDevice
        } else if kind.is_char_device() {
            Seen::CharDevice
        } else {
            Seen::Socket
        };
        Ok(Found {
            seen,
            inode: Some(Inode::of(&file)?),
            rdev: metadata.rdev(),
            bytes: metadata.len(),
            allocated: metadata.blocks().saturating_mul(512),
        })
    }

    /// A file made in /dev would be taken for a disk by the next who looks.
    fn place(&self) -> Place {
        let devices = Path::new("/dev").metadata();
        match devices.is_ok_and(|dev| dev.dev() == self.inode.dev) {
            true => Place::Devices,
            false => Place::Files,
        }
    }

    /// Makes a file that must not be there, for its owner only.
    pub(super) fn create(&self, name: &OsStr) -> io::Result<File> {
        let flags =
            OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&self.file, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        Ok(File::from(fd))
    }

    /// Opens a file that was looked at, and refuses any other.
    pub(super) fn take(&self, name: &OsStr, seen: Inode) -> io::Result<(File, Holds)> {
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.file, name, flags, Mode::empty())?);
        match (mark::read(&file)?, Inode::of(&file)? == seen) {
            ((Maker::Us, holds), true) => Ok((file, holds)),
            _ => Err(io::Error::other("somebody changed it just now")),
        }
    }

    /// Removes a file if the name still means it.
    pub(super) fn remove(&self, name: &OsStr, made: Inode) -> io::Result<()> {
        match self.look(name)?.inode {
            Some(now) if now == made => Ok(unlinkat(&self.file, name, UnlinkatFlags::NoRemoveDir)?),
            Some(_) => Err(io::Error::other(
                "another file has its name now; that is left",
            )),
            None => Ok(()),
        }
    }
}
