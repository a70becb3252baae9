//! What an engine works with, and what happens beside its I/O: ramp, samples,
//! snapshots, syncs, checks.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::libc;
use nix::sys::resource::{UsageWho, getrusage};

use super::clock;
use super::contents::{self, Contents};
use super::feed::{Feed, Pause};
use super::stats::Stats;
use super::thread::{Plan, Shared, nanoseconds};
use crate::job::{Access, Job};
use crate::offsets::{Direction, Request};
use crate::results::{Failure, ThreadResult, Usage};
use crate::target::Opened;

/// How often a thread that sleeps looks whether it should stop.
const NAP: u64 = 50_000_000;
/// How often totals are given out, at least.
const TICK: u64 = 100_000_000;

/// What an engine works with.
pub(super) struct Lane<'a> {
    pub(super) files: &'a [Opened],
    pub(super) feed: Feed,
    pub(super) contents: Contents,
    pub(super) stats: Stats,
    /// Blocks that are read are checked.
    pub(super) checks: bool,
    fatal: bool,
    bad: Option<(u64, Failure)>,
    job: &'a Job,
    stop: &'a AtomicBool,
    shared: &'a Shared,
    /// When something beside I/O is due.
    next_event: u64,
    ramp_end: Option<u64>,
    usage: Usage,
    /// What a snapshot is filled into.
    outcome: ThreadResult,
}

impl<'a> Lane<'a> {
    pub(super) fn new(
        plan: &'a Plan<'a>,
        feed: Feed,
        contents: Contents,
        outcome: ThreadResult,
    ) -> Self {
        let verify = plan.job.verify;
        Self {
            files: &plan.files,
            feed,
            contents,
            stats: Stats::new(plan.options.sample_interval, clock::now()),
            checks: verify.is_some() && plan.job.access == Access::Read,
            fatal: verify.is_some_and(|verify| verify.fatal),
            bad: None,
            job: plan.job,
            stop: plan.stop,
            shared: plan.shared,
            next_event: 0,
            ramp_end: None,
            usage: Usage::default(),
            outcome,
        }
    }

    pub(super) fn files_of(&self) -> Vec<i32> {
        use std::os::fd::AsRawFd as _;
        self.files
            .iter()
            .map(|file| file.file.as_raw_fd())
            .collect()
    }

    pub(super) fn begin(&mut self) {
        let now = clock::now();
        self.ramp_end = Some(now + nanoseconds(self.job.ramp_time));
        self.next_event = 0;
        self.tick(now);
    }

    /// What is due beside I/O, if anything.
    #[inline]
    pub(super) fn tick(&mut self, now: u64) {
        if now >= self.next_event {
            self.event(now);
        }
    }

    #[cold]
    fn event(&mut self, now: u64) {
        if self.ramp_end.is_some_and(|end| now >= end) {
            self.ramp_end = None;
            self.stats.restart(now);
            self.feed.restart();
            self.usage = usage();
            if let Some(runtime) = self.job.runtime {
                self.feed.end_at(now.saturating_add(nanoseconds(runtime)));
            }
            self.shared.measuring.store(true, Ordering::Relaxed);
        }
        self.stats.sample(now);
        for (side, (ios, bytes)) in self
            .stats
            .sides
            .iter()
            .zip(self.shared.ios.iter().zip(&self.shared.bytes))
        {
            ios.store(side.ios, Ordering::Relaxed);
            bytes.store(side.bytes, Ordering::Relaxed);
        }
        if self.shared.wanted.swap(false, Ordering::Relaxed) {
            let mut outcome = self.outcome.clone();
            self.fill(&mut outcome, now);
            *self
                .shared
                .snapshot
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        }
        if self.stop.load(Ordering::Relaxed) {
            self.feed.end_now();
        }
        self.next_event = (now + TICK)
            .min(self.stats.next_sample())
            .min(self.ramp_end.unwrap_or(u64::MAX));
    }

    /// Sleeps, but not beyond a stop or the end of the runtime.
    pub(super) fn sleep_until(&mut self, until: u64) {
        loop {
            let now = clock::now();
            if now >= until.min(self.feed.deadline()) || self.stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(Duration::from_nanos((until - now).min(NAP)));
            self.tick(clock::now());
        }
    }

    /// Makes what was written durable; nothing is in flight.
    pub(super) fn sync(&mut self, pause: Pause) -> Result<(), Failure> {
        for opened in self.files {
            let began = clock::now();
            match pause {
                Pause::Fdatasync => opened.file.sync_data(),
                Pause::Fsync | Pause::Think(_) => opened.file.sync_all(),
            }
            .map_err(|error| {
                failed(
                    error.raw_os_error().unwrap_or(0),
                    format!("sync {}: {error}", opened.path.display()),
                )
            })?;
            self.stats.syncs.record(clock::now() - began);
        }
        Ok(())
    }

    /// An I/O that did less than it should: none at all is an error.
    pub(super) fn short(
        &mut self,
        request: &Request,
        bytes: u32,
        latency: u64,
    ) -> Result<(), Failure> {
        self.stats.sides[request.direction as usize].short_ios += 1;
        self.stats
            .record(request.direction, u64::from(bytes), latency);
        if bytes > 0 {
            return Ok(());
        }
        let path = self.files[request.file as usize].path.display();
        let (errno, text) = match request.direction {
            Direction::Read => (
                libc::EIO,
                format!(
                    "read {path} at {}: it ends there; did somebody shorten it?",
                    request.offset
                ),
            ),
            Direction::Write => (
                libc::ENOSPC,
                format!(
                    "write {path} at {}: nothing was taken; is it full?",
                    request.offset
                ),
            ),
        };
        Err(failed(errno, text))
    }

    /// Checks a block that was read.
    pub(super) fn check(&mut self, block: &[u8], request: &Request) -> Result<(), Failure> {
        let Err(reason) = contents::check(block, request.offset) else {
            return Ok(());
        };
        let path = self.files[request.file as usize].path.display();
        let bad = failed(
            libc::EILSEQ,
            format!("verify {path} at {}: {reason}", request.offset),
        );
        if self.fatal {
            return Err(bad);
        }
        self.bad.get_or_insert((0, bad)).0 += 1;
        Ok(())
    }

    pub(super) fn bad_blocks(&mut self) -> Result<(), Failure> {
        match self.bad.take() {
            None => Ok(()),
            Some((1, bad)) => Err(bad),
            Some((count, bad)) => Err(Failure {
                text: format!("{count} bad blocks, the first: {}", bad.text),
                ..bad
            }),
        }
    }

    /// The error of a system call that belongs to no single I/O.
    pub(super) fn system(&self, what: &str, error: &std::io::Error) -> Failure {
        failed(
            error.raw_os_error().unwrap_or(0),
            format!("{what} I/O of job {}: {error}", self.job.name),
        )
    }

    pub(super) fn finish(&mut self, outcome: &mut ThreadResult) {
        self.next_event = 0;
        let now = clock::now();
        self.tick(now);
        self.fill(outcome, now);
        self.shared.measuring.store(false, Ordering::Relaxed);
    }

    fn fill(&self, outcome: &mut ThreadResult, now: u64) {
        outcome.directions = self.stats.directions(now);
        outcome.syncs = self.stats.syncs.clone();
        outcome.queue = self.stats.queue;
        outcome.elapsed = self.stats.runtime(now);
        let (then, is) = (self.usage, usage());
        outcome.usage = Usage {
            user: is.user.saturating_sub(then.user),
            system: is.system.saturating_sub(then.system),
            context_switches: is.context_switches - then.context_switches,
            minor_faults: is.minor_faults - then.minor_faults,
            major_faults: is.major_faults - then.major_faults,
        };
    }
}

/// Of this thread so far.
fn usage() -> Usage {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else {
        return Usage::default();
    };
    let time = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(
            time.tv_sec().cast_unsigned() * 1_000_000 + time.tv_usec().cast_unsigned(),
        )
    };
    let count = |count: i64| count.cast_unsigned();
    Usage {
        user: time(usage.user_time()),
        system: time(usage.system_time()),
        context_switches: count(usage.voluntary_context_switches())
            + count(usage.involuntary_context_switches()),
        minor_faults: count(usage.minor_page_faults()),
        major_faults: count(usage.major_page_faults()),
    }
}

pub(super) fn failed(errno: i32, text: String) -> Failure {
    Failure { errno, text }
}

/// The error of one I/O.
#[cold]
pub(super) fn failure(files: &[Opened], request: &Request, errno: i32) -> Failure {
    let what = match request.direction {
        Direction::Read => "read",
        Direction::Write => "write",
    };
    let path = files[request.file as usize].path.display();
    let error = std::io::Error::from_raw_os_error(errno);
    let (length, offset) = (request.length, request.offset);
    failed(
        errno,
        format!("{what} {length} bytes of {path} at {offset}: {error}"),
    )
}
