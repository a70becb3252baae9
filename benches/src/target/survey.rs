//! Everything that a run names, looked at and decided upon before anything is
//! touched: one spot for each file or device, however many threads share it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::decide::{Decision, Destructive, Purpose, Seen, decide};
use super::directory::{Directory, Found, Inode};
use super::error::Error;
use super::layout::{length, merged};
use super::region::{There, region};
use super::space::{Space, Store};
use super::wanted::{self, Wanted};
use crate::job::{Access, Fallocate, Job, Run};

#[derive(Debug)]
pub(super) struct Spot {
    pub(super) path: PathBuf,
    pub(super) directory: Arc<Directory>,
    pub(super) name: OsString,
    pub(super) found: Found,
    pub(super) decision: Decision,
    /// Who works on it.
    pub(super) wanted: Vec<Wanted>,
}

/// What is done on a spot, in bytes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Work {
    /// Up to where.
    pub(super) bytes: u64,
    /// All that any job reads or writes.
    pub(super) all: Vec<Range<u64>>,
    /// What must hold data before.
    pub(super) read: Vec<Range<u64>>,
    pub(super) fallocate: Fallocate,
}

/// # Errors
/// When one of them may not be used, or cannot be looked at.
pub(super) fn survey(run: &Run) -> Result<Vec<Spot>, Error> {
    let destructive = match run.output.destructive {
        true => Destructive::Said,
        false => Destructive::NotSaid,
    };
    let mut directories: BTreeMap<PathBuf, Arc<Directory>> = BTreeMap::new();
    let mut by_name: BTreeMap<(Inode, OsString), usize> = BTreeMap::new();
    let mut by_device: BTreeMap<u64, usize> = BTreeMap::new();
    let mut spots: Vec<Spot> = Vec::new();
    for wanted in wanted::of(run).map_err(Error::Refused)? {
        let directory = match directories.get(&wanted.directory) {
            Some(directory) => Arc::clone(directory),
            None => {
                let opened = Arc::new(open(&wanted.directory)?);
                directories.insert(wanted.directory.clone(), Arc::clone(&opened));
                opened
            }
        };
        let key = (directory.inode, wanted.name.clone());
        let path = wanted.path();
        let known = by_name.get(&key).copied();
        let index = match known {
            Some(index) => index,
            None => {
                let found = directory
                    .look(&wanted.name)
                    .map_err(Error::io(format!("look at {}", path.display())))?;
                let is_device = found.seen == Seen::BlockDevice;
                let next = spots.len();
                // One device may have several names.
                let index = match is_device {
                    true => *by_device.entry(found.rdev).or_insert(next),
                    false => next,
                };
                if index == next {
                    spots.push(Spot {
                        path,
                        directory,
                        name: wanted.name.clone(),
                        found,
                        decision: Decision::Create,
                        wanted: Vec::new(),
                    });
                }
                by_name.insert(key, index);
                index
            }
        };
        spots[index].wanted.push(wanted);
    }
    for spot in &mut spots {
        let reads = |wanted: &Wanted| run.jobs[wanted.job].access == Access::Read;
        let purpose = match spot.wanted.iter().all(reads) {
            true => Purpose::OnlyRead,
            false => Purpose::Write,
        };
        spot.decision =
            decide(&spot.path, &spot.found.seen, purpose, destructive).map_err(Error::Refused)?;
    }
    Ok(spots)
}

fn open(path: &Path) -> Result<Directory, Error> {
    Directory::open(path).map_err(Error::io(format!(
        "open directory {}: is it there?",
        path.display()
    )))
}

impl Spot {
    /// # Errors
    /// When a job does not fit.
    pub(super) fn work(&self, jobs: &[Job], there: There) -> Result<Work, Error> {
        let (mut all, mut read) = (Vec::new(), Vec::new());
        for wanted in &self.wanted {
            let job = &jobs[wanted.job];
            let range = region(job, wanted.thread, wanted.index, wanted.count, there)
                .map_err(|why| Error::Refused(format!("job {:?}: {why}", job.name)))?;
            if needs_data(job) {
                read.push(range.clone());
            }
            all.push(range);
        }
        let end = all.iter().map(|range| range.end).max().unwrap_or(0);
        let bytes = match there {
            There::Fixed(bytes) => bytes,
            There::Grows => end.max(self.found.bytes),
        };
        let first = self.wanted.first().map(|wanted| &jobs[wanted.job]);
        Ok(Work {
            bytes,
            all: merged(&all, bytes),
            read: merged(&read, bytes),
            fallocate: first.map_or(Fallocate::None, |job| job.fallocate),
        })
    }

    /// How many bytes of it one job works on.
    pub(super) fn region_of(&self, job: usize, jobs: &[Job], there: There) -> u64 {
        let ranges: Vec<Range<u64>> = self
            .wanted
            .iter()
            .filter(|wanted| wanted.job == job)
            .filter_map(|w| region(&jobs[job], w.thread, w.index, w.count, there).ok())
            .collect();
        length(&merged(&ranges, u64::MAX))
    }

    /// Whether a job that works on it says `unlink=0`.
    pub(super) fn is_kept(&self, jobs: &[Job]) -> bool {
        self.wanted.iter().any(|wanted| !jobs[wanted.job].unlink)
    }

    pub(super) fn is_written(&self, jobs: &[Job]) -> bool {
        self.wanted
            .iter()
            .any(|wanted| jobs[wanted.job].access != Access::Read)
    }
}

/// A job that only reads and verifies is to find what was written before, in a form
/// of its own.
fn needs_data(job: &Job) -> bool {
    match job.access {
        Access::Read => job.verify.is_none(),
        Access::Mixed => true,
        Access::Write => false,
    }
}

/// Whether all files fit on their filesystems. Returns what is to be said of
/// these.
///
/// # Errors
/// When they do not.
pub(super) fn room<'a>(
    files: impl Iterator<Item = (&'a Spot, &'a Work)>,
) -> Result<Vec<String>, Error> {
    let mut needs: BTreeMap<u64, (&Directory, u64)> = BTreeMap::new();
    for (spot, work) in files {
        let more = length(&work.all).saturating_sub(spot.found.allocated);
        let need = needs
            .entry(spot.directory.inode.dev)
            .or_insert((&spot.directory, 0));
        need.1 = need.1.saturating_add(more);
    }
    let mut warnings = Vec::new();
    for (directory, need) in needs.into_values() {
        let path = directory.path.display();
        let space =
            Space::of(directory).map_err(Error::io(format!("find the free space of {path}")))?;
        space.fits(&directory.path, need).map_err(Error::Refused)?;
        match space.store {
            Store::Memory => warnings.push(format!(
                "{path} is in memory: this measures memory, not a disk"
            )),
            Store::Overlay => warnings.push(format!(
                "{path} is on an overlay: the figures are of the filesystem beneath it, \
                 with a layer in between"
            )),
            Store::Other => {}
        }
    }
    Ok(warnings)
}
