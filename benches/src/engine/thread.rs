//! One thread of a job: its place on the processors, the regions it visits, its
//! buffers, and its phases. The I/O itself is an engine's.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nix::libc;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, gettid};

use super::clock;
use super::contents::{self, Contents};
use super::feed::{Feed, Pause};
use super::lane::{Lane, failed, failure};
use super::memory::Buffers;
use super::{Options, psync, uring};
use crate::job::{Access, Distribution, Engine, Job, Order, Size};
use crate::offsets::Region;
use crate::results::{Failure, ThreadResult, Usage};
use crate::target::{Kind, Opened, There, region};

/// What a thread shares with the one that watches it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Totals of both directions, as of the last tick.
    pub(super) ios: [AtomicU64; 2],
    pub(super) bytes: [AtomicU64; 2],
    /// The measured part goes on.
    pub(super) measuring: AtomicBool,
    /// Asks for a snapshot at the next tick.
    pub(super) wanted: AtomicBool,
    pub(super) snapshot: Mutex<Option<ThreadResult>>,
}

/// One thread to be started.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) job: &'a Job,
    pub(super) index: usize,
    pub(super) thread: u32,
    pub(super) group: u32,
    pub(super) files: Vec<Opened>,
    pub(super) options: &'a Options,
    pub(super) stop: &'a AtomicBool,
    pub(super) shared: &'a Shared,
}

impl Plan<'_> {
    /// Runs it, and says what came of it, in any case.
    pub(super) fn run(self, refused: Option<Failure>, ready: impl FnOnce()) -> ThreadResult {
        let mut outcome = self.outcome();
        let prepared = refused.map_or_else(|| self.prepare(), Err);
        ready();
        let started = clock::now();
        match prepared.and_then(|(feed, buffers)| self.work(feed, buffers, &mut outcome)) {
            Ok(()) => {}
            Err(failure) => outcome.error = Some(failure),
        }
        outcome.elapsed = Duration::from_nanos(clock::now() - started);
        outcome
    }

    fn outcome(&self) -> ThreadResult {
        ThreadResult {
            name: self.job.name.clone(),
            description: self.job.description.clone(),
            options: self.job.options.clone(),
            job: self.index,
            group: self.group,
            group_reporting: self.job.group_reporting,
            tid: gettid().as_raw(),
            error: None,
            elapsed: Duration::ZERO,
            directions: Default::default(),
            syncs: crate::histogram::Histogram::new(),
            usage: Usage::default(),
            depth: self.job.depth,
            queue: crate::results::Queue::default(),
            percentiles: self.job.percentiles.clone(),
            engine: String::new(),
        }
    }

    fn prepare(&self) -> Result<(Feed, Buffers), Failure> {
        self.take_place()?;
        let regions = regions(self.job, self.thread, &self.files)?;
        // Part of a block at the end is not visited.
        let block = smallest(self.job);
        let visited: u64 = regions
            .iter()
            .map(|region| region.length / block * block)
            .sum();
        let bytes = match self.job.io_size {
            None => visited,
            Some(Size::Bytes(bytes)) => bytes,
            Some(Size::Percent(percent)) => share(visited, percent),
        };
        let feed = Feed::new(
            self.job,
            self.thread,
            &regions,
            bytes.saturating_mul(self.job.loops.max(1)),
        );
        let depth = match self.job.engine {
            Engine::Uring => self.job.depth.max(1) as usize,
            Engine::Psync => 1,
        };
        let largest = self
            .job
            .block_size
            .iter()
            .map(crate::job::BlockSize::largest)
            .max()
            .unwrap_or(0);
        let size = usize::try_from(largest).unwrap_or(usize::MAX);
        let buffers = Buffers::new(depth, size).map_err(|error| {
            failed(
                libc::ENOMEM,
                format!("get {depth} buffers of {largest} bytes: {error}; lower iodepth or bs"),
            )
        })?;
        Ok((feed, buffers))
    }

    /// Takes its processors and its priority.
    fn take_place(&self) -> Result<(), Failure> {
        let job = self.job;
        if !job.cpus.is_empty() {
            let mine = if job.split_cpus {
                let one = self.thread as usize % job.cpus.len();
                &job.cpus[one..=one]
            } else {
                &job.cpus[..]
            };
            let mut set = CpuSet::new();
            for cpu in mine {
                set.set(*cpu).map_err(|error| {
                    failed(
                        error as i32,
                        format!("take CPU {cpu} of cpus_allowed: {error}"),
                    )
                })?;
            }
            sched_setaffinity(Pid::from_raw(0), &set).map_err(|error| {
                failed(
                    error as i32,
                    format!("run on the CPUs {mine:?} of cpus_allowed: {error}; are they online?"),
                )
            })?;
        }
        if let Some(nice) = job.nice {
            // SAFETY: only numbers go in and out.
            let done = unsafe {
                libc::setpriority(libc::PRIO_PROCESS, gettid().as_raw().cast_unsigned(), nice)
            };
            if done != 0 {
                let error = std::io::Error::last_os_error();
                return Err(failed(
                    error.raw_os_error().unwrap_or(0),
                    format!("set nice {nice}: {error}"),
                ));
            }
        }
        Ok(())
    }

    fn work(
        &self,
        feed: Feed,
        mut buffers: Buffers,
        outcome: &mut ThreadResult,
    ) -> Result<(), Failure> {
        let job = self.job;
        let mut contents = Contents::new(job, self.thread);
        for index in 0..buffers.count() {
            let stride = buffers.stride();
            contents.fill(buffers.get(index, stride));
        }
        // Behind the buffers in order, before them in time: dropped first.
        let ring = match job.engine {
            Engine::Psync => None,
            Engine::Uring => Some(uring::Ring::new(job, &self.files, &buffers).map_err(|error| {
                let hint = "is kernel.io_uring_disabled set, or a seccomp filter in force? ioengine=psync does without";
                failed(error.raw_os_error().unwrap_or(0), format!("set up io_uring with iodepth={}: {error}; {hint}", job.depth))
            })?),
        };
        outcome.engine = ring
            .as_ref()
            .map_or_else(|| "psync".to_owned(), |ring| ring.says.clone());

        let mut lane = Lane::new(self, feed, contents, outcome.clone());
        lane.sleep_until(clock::now() + nanoseconds(job.start_delay));
        lane.begin();
        let mut ring = ring;
        let mut go = |lane: &mut Lane<'_>| match &mut ring {
            Some(ring) => ring.run(job, lane, &mut buffers),
            None => psync::run(lane, &mut buffers),
        };
        let mut done = go(&mut lane);
        if done.is_ok() && job.end_fsync && job.access != Access::Read {
            done = lane.sync(Pause::Fsync);
        }
        lane.finish(outcome);
        done?;
        if job.verify.is_some_and(|verify| verify.read_back)
            && job.access == Access::Write
            && !self.stop.load(Ordering::Relaxed)
        {
            self.read_back(&mut lane, &mut buffers)?;
        }
        lane.bad_blocks()
    }

    /// Reads back what was written and checks it.
    fn read_back(&self, lane: &mut Lane<'_>, buffers: &mut Buffers) -> Result<(), Failure> {
        use std::os::unix::fs::FileExt as _;
        let regions = regions(self.job, self.thread, &self.files)?;
        let job = self.job;
        // In these orders a round takes each block once: one round has them all.
        let each_once = job.order == Order::Sequential
            || (job.random.map
                && job.random.distribution == Distribution::Uniform
                && job.random.percentage[1] == 100);
        let block = smallest(job);
        let round = regions.iter().map(|region| region.length / block).sum();
        let written = match each_once {
            true => lane.feed.given().min(round),
            false => lane.feed.given(),
        };
        let written = usize::try_from(written).unwrap_or(usize::MAX);
        for request in Feed::again(self.job, self.thread, &regions).take(written) {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            if request.length as usize <= contents::SEALED {
                continue;
            }
            let block = buffers.get(0, request.length as usize);
            let file = &self.files[request.file as usize].file;
            file.read_exact_at(block, request.offset).map_err(|error| {
                failure(
                    &self.files,
                    &request,
                    error.raw_os_error().unwrap_or(libc::EIO),
                )
            })?;
            lane.check(block, &request)?;
        }
        Ok(())
    }
}

/// The smallest block of the directions that a job has.
fn smallest(job: &Job) -> u64 {
    let used = match job.access {
        Access::Read => &job.block_size[..1],
        Access::Write => &job.block_size[1..],
        Access::Mixed => &job.block_size[..],
    };
    let sizes = used.iter().map(crate::job::BlockSize::smallest);
    sizes.min().unwrap_or(1).max(1)
}

/// The parts of its files that a thread visits.
fn regions(job: &Job, thread: u32, files: &[Opened]) -> Result<Vec<Region>, Failure> {
    let one = |(index, file): (usize, &Opened)| {
        let there = match file.kind {
            Kind::Device => There::Fixed(file.bytes),
            Kind::File => There::Grows,
        };
        let range = region(job, thread, index, files.len(), there).map_err(|reason| {
            let path = file.path.display();
            failed(
                libc::EINVAL,
                format!("job {} on {path}: {reason}", job.name),
            )
        })?;
        Ok(Region {
            start: range.start,
            length: range.end - range.start,
        })
    };
    files.iter().enumerate().map(one).collect()
}

fn share(of: u64, percent: u32) -> u64 {
    u64::try_from(u128::from(of) * u128::from(percent) / 100).unwrap_or(u64::MAX)
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos())
        .unwrap_or(u64::MAX)
        .min(u64::MAX / 4)
}
