//! Targets that are ready: opened afresh for each thread through the descriptor
//! that is held, and left behind as they should be, whatever ends the run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::libc;

use super::directory::{Directory, Inode};
use super::error::Error;
use super::mark::{self, Holds};
use super::{Kind, Opened, device};
use crate::job::{Access, Job};

/// Files and devices of a run. Dropping it removes the files, unless they are to
/// be kept, and empties the devices again; `finish` does the same and says what
/// did not work.
#[derive(Debug)]
pub struct Prepared {
    pub(super) jobs: Vec<Job>,
    pub(super) targets: Vec<Target>,
    /// Indexes of targets, by job and thread.
    pub(super) uses: BTreeMap<(usize, u32), Vec<usize>>,
    pub(super) regions: Vec<u64>,
    pub(super) warnings: Vec<String>,
}

/// One file or device, however many threads share it.
#[derive(Debug)]
pub struct Target {
    /// As the user named it, or as it was made.
    pub path: PathBuf,
    pub kind: Kind,
    /// How much of it there is.
    pub bytes: u64,
    /// Held until the end; a device exclusively.
    pub file: File,
    pub(super) ending: Ending,
}

/// What becomes of a target at the end.
#[derive(Debug)]
pub(super) enum Ending {
    Remove(Named),
    Keep(Holds),
    /// A device, and what of it was written.
    Empty(Vec<Range<u64>>),
}

/// A file by its name.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) directory: Arc<Directory>,
    pub(super) name: OsString,
    pub(super) inode: Inode,
}

impl Prepared {
    /// Opens all targets of one thread: once for each thread, so that none
    /// waits for another's position or locks.
    ///
    /// # Errors
    /// When one cannot be opened as its job says.
    pub fn open(&self, job: usize, thread: u32) -> Result<Vec<Opened>, Error> {
        let missing = || Error::Refused(format!("there is no thread {thread} of job {job}"));
        let said = self.jobs.get(job).ok_or_else(missing)?;
        let targets = self.uses.get(&(job, thread)).ok_or_else(missing)?;
        let open = |&index: &usize| {
            let target = &self.targets[index];
            Ok(Opened {
                file: target.open(said)?,
                path: target.path.clone(),
                bytes: target.bytes,
                kind: target.kind,
            })
        };
        targets.iter().map(open).collect()
    }

    /// All of them, once each.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// How many bytes each job works on, all its threads and files together.
    #[must_use]
    pub fn regions(&self) -> &[u64] {
        &self.regions
    }

    /// What people should know before they believe a figure.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Leaves everything as it should be, and tells what could not be.
    #[must_use = "what could not be undone must be told"]
    pub fn finish(mut self) -> Vec<String> {
        self.leave()
    }

    fn leave(&mut self) -> Vec<String> {
        let left = self.targets.drain(..);
        left.filter_map(|target| target.leave().err()).collect()
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        for trouble in self.leave() {
            eprintln!("instore: {trouble}");
        }
    }
}

impl Target {
    pub(super) fn open(&self, job: &Job) -> Result<File, Error> {
        let path = self.path.display();
        // Buffered reads look at the access time, which nobody wants of these files.
        let direct = match (job.direct, self.kind) {
            (true, _) => libc::O_DIRECT,
            (false, Kind::File) => libc::O_NOATIME,
            (false, Kind::Device) => 0,
        };
        let opened = OpenOptions::new()
            .read(true)
            // What is written may be read back.
            .write(job.access != Access::Read)
            .custom_flags(direct | libc::O_CLOEXEC)
            .open(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        let file = match opened {
            Err(error) if job.direct && is(&error, Errno::EINVAL) => {
                return Err(Error::Refused(format!(
                    "job {:?}: {path} is on a filesystem without direct I/O: say direct=0",
                    job.name
                )));
            }
            opened => opened.map_err(Error::io(format!("open {path}")))?,
        };
        if job.invalidate && !job.direct {
            self.forget(&file)
                .map_err(Error::io(format!("drop the page cache of {path}")))?;
        }
        Ok(file)
    }

    /// Dirty pages stay in the cache, so these go out first.
    fn forget(&self, file: &File) -> io::Result<()> {
        self.file.sync_all()?;
        match posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED) {
            Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
            Err(error) => return Err(error.into()),
        }
        match self.kind {
            Kind::Device => device::forget_cache(file),
            Kind::File => Ok(()),
        }
    }

    fn leave(self) -> Result<(), String> {
        let path = self.path.display();
        match self.ending {
            Ending::Remove(named) => named
                .directory
                .remove(&named.name, named.inode)
                .map_err(|error| format!("remove {path}: {error}; remove it by hand")),
            Ending::Keep(holds) => {
                // Without a mark it is kept all the same, and not taken again.
                let _ = self.file.sync_all();
                let _ = mark::keep(&self.file, holds);
                Ok(())
            }
            Ending::Empty(ranges) => device::give_back(&self.file, &ranges).map_err(|error| {
                format!(
                    "empty {path} after the benchmark: {error}; it holds the benchmark's data, \
                     and is not used until instore wipe {path}"
                )
            }),
        }
    }
}

pub(super) fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno as i32)
}
