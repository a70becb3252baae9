//! From a run to targets that are ready: everything is decided first, devices
//! are asked for, then files are made, and then data is laid out.

use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::decide::Decision;
use super::directory::Inode;
use super::error::Error;
use super::extents::{self, Written};
use super::layout::{self, Ended, length};
use super::mark::{self, Holds};
use super::prepared::{Ending, Named, Prepared, Target};
use super::region::There;
use super::survey::{Spot, Work, room, survey};
use super::{Gate, Kind, device};
use crate::job::{Job, Run};

/// How far the layout of one target is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    pub path: &'a Path,
    pub done: u64,
    pub total: u64,
}

/// Makes or opens everything that a run names, and lays data out where it reads.
/// Raising `stop` ends it within one write; what was made is removed again.
///
/// # Errors
/// When any target may not be used: then nothing was touched. When the system
/// fails later, as with no space left: then everything is as it was.
pub fn prepare(
    run: &Run,
    gate: &dyn Gate,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Prepared, Error> {
    let spots = survey(run)?;
    let mut works: Vec<Option<Work>> = Vec::new();
    for spot in &spots {
        works.push(match spot.decision {
            Decision::AskGate => None,
            Decision::Create | Decision::Reuse => Some(spot.work(&run.jobs, There::Grows)?),
        });
    }
    let files = spots.iter().zip(&works);
    let warnings = room(files.filter_map(|(spot, work)| Some((spot, work.as_ref()?))))?;
    let mut prepared = Prepared {
        jobs: run.jobs.clone(),
        targets: Vec::new(),
        uses: uses(&spots),
        regions: Vec::new(),
        warnings,
    };
    // Devices first: until all of them are there, no file is made.
    let mut devices = Vec::new();
    for (spot, work) in spots.iter().zip(&mut works) {
        if work.is_none() {
            let file = ask(spot, gate)?;
            let bytes = device::size(&file).map_err(Error::io(format!(
                "find the size of {}",
                spot.path.display()
            )))?;
            *work = Some(spot.work(&run.jobs, There::Fixed(bytes))?);
            devices.push(file);
        }
    }
    let works: Vec<Work> = works.into_iter().flatten().collect();
    let mut devices = devices.into_iter();
    for (spot, work) in spots.iter().zip(&works) {
        let target = match spot.decision {
            Decision::AskGate => devices.next().map(|file| Target {
                path: spot.path.clone(),
                kind: Kind::Device,
                bytes: work.bytes,
                file,
                ending: Ending::Empty(Vec::new()),
            }),
            Decision::Create | Decision::Reuse => Some(file(spot, work)?),
        };
        prepared.targets.extend(target);
    }
    prepared.regions = regions(run, &spots, &works);
    for (target, spot) in prepared.targets.iter().zip(&spots) {
        can_be_direct(target, spot, &run.jobs)?;
    }
    for index in 0..spots.len() {
        let spot = &spots[index];
        let target = &mut prepared.targets[index];
        if let Some(doubt) = lay_out(target, spot, &works[index], stop, progress)? {
            prepared.warnings.push(doubt);
        }
    }
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Stopped);
    }
    for ((target, spot), work) in prepared.targets.iter_mut().zip(&spots).zip(&works) {
        settle(target, spot, work, &run.jobs)?;
    }
    Ok(prepared)
}

fn uses(spots: &[Spot]) -> BTreeMap<(usize, u32), Vec<usize>> {
    let mut all: Vec<_> = spots
        .iter()
        .enumerate()
        .flat_map(|(spot, s)| {
            s.wanted
                .iter()
                .map(move |w| (w.job, w.thread, w.index, spot))
        })
        .collect();
    all.sort_unstable();
    let mut uses: BTreeMap<(usize, u32), Vec<usize>> = BTreeMap::new();
    for (job, thread, _, spot) in all {
        uses.entry((job, thread)).or_default().push(spot);
    }
    uses
}

fn regions(run: &Run, spots: &[Spot], works: &[Work]) -> Vec<u64> {
    let of = |job: usize| {
        let spots = spots.iter().zip(works);
        let each = spots.map(|(spot, work)| {
            let there = match spot.decision {
                Decision::AskGate => There::Fixed(work.bytes),
                Decision::Create | Decision::Reuse => There::Grows,
            };
            spot.region_of(job, &run.jobs, there)
        });
        each.sum()
    };
    (0..run.jobs.len()).map(of).collect()
}

fn ask(spot: &Spot, gate: &dyn Gate) -> Result<std::fs::File, Error> {
    let path = spot.path.display();
    let file = gate.open_empty(&spot.path).map_err(|source| Error::Gate {
        device: path.to_string(),
        source,
    })?;
    let checked = device::is_device(&file, spot.found.rdev)
        .map_err(Error::io(format!("look at {path} again")))?;
    match checked {
        true => Ok(file),
        false => Err(Error::Refused(format!(
            "use {path}: another device has its name now"
        ))),
    }
}

/// Makes a file, or takes the one that an earlier run kept.
fn file(spot: &Spot, work: &Work) -> Result<Target, Error> {
    let path = spot.path.display();
    let directory = &spot.directory;
    let (file, ending) = match spot.found.inode {
        None => {
            let file = directory
                .create(&spot.name)
                .map_err(Error::io(format!("make {path}")))?;
            let inode = Inode::of(&file).map_err(Error::io(format!("look at {path}")))?;
            (file, Ending::Remove(named(spot, inode)))
        }
        Some(inode) => {
            let (file, holds) = directory
                .take(&spot.name, inode)
                .map_err(Error::io(format!("use {path} again")))?;
            (file, Ending::Keep(holds))
        }
    };
    let target = Target {
        path: spot.path.clone(),
        kind: Kind::File,
        bytes: work.bytes,
        file,
        ending,
    };
    // A filesystem without locks has no other run to keep out either.
    if let Err(TryLockError::WouldBlock) = target.file.try_lock() {
        return Err(Error::Refused(format!(
            "use {path}: another benchmark uses it"
        )));
    }
    Ok(target)
}

fn named(spot: &Spot, inode: Inode) -> Named {
    Named {
        directory: Arc::clone(&spot.directory),
        name: spot.name.clone(),
        inode,
    }
}

/// Before much is written in vain.
fn can_be_direct(target: &Target, spot: &Spot, jobs: &[Job]) -> Result<(), Error> {
    let direct = |job: &&Job| job.direct;
    let mut said = spot.wanted.iter().map(|wanted| &jobs[wanted.job]);
    match said.find(direct).map(|job| target.open(job)) {
        Some(Err(Error::Refused(why))) => Err(Error::Refused(why)),
        // A filesystem that opens no file twice while it is written may do so
        // when it is complete: the threads will see.
        Some(Err(_) | Ok(_)) | None => Ok(()),
    }
}

/// Writes what is read later, and checks that it is written. Returns what could
/// not be checked.
fn lay_out(
    target: &mut Target,
    spot: &Spot,
    work: &Work,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Option<String>, Error> {
    let path = spot.path.display();
    if matches!(target.ending, Ending::Keep(Holds::Data)) && is_written(target, work)? {
        return Ok(None);
    }
    match &mut target.ending {
        // From here on it is written.
        Ending::Empty(dirty) => dirty.clone_from(&work.read),
        Ending::Keep(holds) => *holds = Holds::Anything,
        Ending::Remove(_) => {}
    }
    if target.kind == Kind::File {
        mark::begin(&target.file);
        layout::reserve(&target.file, work).map_err(Error::io(format!(
            "reserve {} bytes for {path}",
            work.bytes
        )))?;
    }
    let total = length(&work.read);
    let mut tell = |done| {
        progress(Progress {
            path: &spot.path,
            done,
            total,
        });
    };
    match layout::fill(&target.file, &work.read, stop, &mut tell) {
        Ok(()) => {}
        Err(Ended::Stopped) => return Err(Error::Stopped),
        Err(Ended::Failed { at, error }) => {
            return Err(Error::io(format!("write {path} at byte {at}"))(error));
        }
    }
    match target.kind {
        Kind::File => check(target, work),
        Kind::Device => Ok(None),
    }
}

fn is_written(target: &Target, work: &Work) -> Result<bool, Error> {
    let path = target.path.display();
    for range in &work.read {
        let told = extents::check(&target.file, range)
            .map_err(Error::io(format!("look at the extents of {path}")))?;
        if told != Written::All {
            return Ok(false);
        }
    }
    Ok(true)
}

fn check(target: &Target, work: &Work) -> Result<Option<String>, Error> {
    let path = target.path.display();
    for range in &work.read {
        let told = extents::check(&target.file, range)
            .map_err(Error::io(format!("look at the extents of {path}")))?;
        match told {
            Written::All => {}
            Written::CannotTell => {
                return Ok(Some(format!(
                    "{path}: its filesystem does not tell whether blocks are written, so this \
                     could not be checked"
                )));
            }
            Written::Not { at, why } => {
                return Err(Error::Refused(format!(
                    "use {path}: byte {at} is {why} after it was written, so reads there would \
                     not reach the disk: try another filesystem"
                )));
            }
        }
    }
    Ok(None)
}

/// What becomes of it when the run is over, now that it begins.
fn settle(target: &mut Target, spot: &Spot, work: &Work, jobs: &[Job]) -> Result<(), Error> {
    let path = target.path.display();
    let inode = Inode::of(&target.file).map_err(Error::io(format!("look at {path}")))?;
    target.ending = match target.kind {
        Kind::Device => Ending::Empty(work.all.clone()),
        Kind::File if !spot.is_kept(jobs) => Ending::Remove(named(spot, inode)),
        Kind::File if work.read.is_empty() || spot.is_written(jobs) => {
            Ending::Keep(Holds::Anything)
        }
        Kind::File => Ending::Keep(Holds::Data),
    };
    // A run that is killed leaves no file that could be taken for a kept one.
    if target.kind == Kind::File {
        mark::begin(&target.file);
    }
    Ok(())
}
