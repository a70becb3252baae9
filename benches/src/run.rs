//! A benchmark from its jobs to its results: targets are prepared, jobs run, what
//! makes the figures doubtful is added, and everything is left as it was. Who is
//! shown what, and in which form, is the caller's.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};

use crate::engine::{self, Options, Progress};
use crate::job::{Access, BlockSize, Job, Order, Run};
use crate::output::live::{Status, state};
use crate::results::{Failure, Results, ThreadResult};
use crate::target::{self, Gate, Opened, Prepared};
use crate::{disk, warning};

/// What happens meanwhile.
#[derive(Debug)]
pub enum Event<'a> {
    /// Data is laid out.
    Layout(target::Progress<'a>),
    /// Once a second.
    Live(&'a Status),
    /// Results so far, each `--status-interval`.
    Interim(&'a Results),
    /// Results so far, after each phase of jobs.
    Finished(&'a Results),
}

/// How long disks are watched before anything is done, for the work of others.
const LOOK: Duration = Duration::from_millis(200);

/// Runs it. Raising `stop` ends it soon, with what there is.
///
/// # Errors
/// When a target may not be used, or cannot be prepared; nothing was measured then.
/// What fails later is in the results of its thread.
pub fn benchmark(
    run: &Run,
    gate: &dyn Gate,
    stop: &AtomicBool,
    on: &mut dyn FnMut(Event<'_>),
) -> Result<Results> {
    let root = Path::new("/");
    fits(&run.jobs, warning::gather(root, &[], Vec::new()).memory)?;
    let prepared = target::prepare(run, gate, stop, &mut |progress| on(Event::Layout(progress)))?;
    let mut names = Vec::new();
    for target in prepared.targets() {
        let number = disk::number(&target.file)
            .with_context(|| format!("find the disk of {}", target.path.display()))?;
        names.extend(disk::under(root, number));
    }
    names.sort();
    names.dedup();
    let rest = disk::Watch::begin(root, &names);
    std::thread::sleep(LOOK);
    let facts = warning::gather(root, &names, rest.since());
    let mut warnings = prepared.warnings().to_vec();
    warnings.extend(warning::before(run, prepared.regions(), &facts));

    let open = |job, thread| open(&prepared, job, thread);
    let mut watch = Watch {
        run,
        on,
        stop,
        warnings,
        disks: disk::Watch::begin(root, &names),
        done: Vec::new(),
        last: (Instant::now(), [0; 2], [0; 2]),
        interim: Instant::now(),
    };
    let threads = engine::run(&run.jobs, &Options::default(), &open, stop, &mut watch);
    let mut results = watch.results(threads);
    results.warnings.extend(warning::after(run, &results));
    results.warnings.extend(prepared.finish());
    Ok(results)
}

/// Whether the buffers of all jobs fit into half of the memory that is free: the
/// node needs the rest. 0 is not known.
fn fits(jobs: &[Job], memory: u64) -> Result<()> {
    let of = |job: &Job| {
        let largest = job
            .block_size
            .iter()
            .map(BlockSize::largest)
            .max()
            .unwrap_or(0);
        largest
            .saturating_mul(u64::from(job.depth))
            .saturating_mul(u64::from(job.numjobs))
    };
    let wanted = jobs.iter().map(of).fold(0, u64::saturating_add);
    ensure!(
        memory == 0 || wanted <= memory / 2,
        "buffers of all jobs take {} MiB, more than half of the {} MiB of memory that are free: \
         lower bs, iodepth or numjobs",
        wanted >> 20,
        memory >> 20
    );
    Ok(())
}

fn open(prepared: &Prepared, job: usize, thread: u32) -> Result<Vec<Opened>, Failure> {
    prepared.open(job, thread).map_err(|error| Failure {
        errno: 0,
        text: format!("{:#}", anyhow::Error::from(error)),
    })
}

struct Watch<'a> {
    run: &'a Run,
    on: &'a mut dyn FnMut(Event<'_>),
    stop: &'a AtomicBool,
    warnings: Vec<String>,
    disks: disk::Watch,
    /// Threads of phases that are over.
    done: Vec<ThreadResult>,
    /// When the live line was made last, and the totals then.
    last: (Instant, [u64; 2], [u64; 2]),
    interim: Instant,
}

impl Watch<'_> {
    fn results(&self, threads: Vec<ThreadResult>) -> Results {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Results {
            unix_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            global: self.run.global.clone(),
            threads,
            disks: self.disks.since(),
            warnings: self.warnings.clone(),
            interrupted: self.stop.load(Ordering::Relaxed),
        }
    }

    fn status(&mut self, progress: &Progress) -> Status {
        let jobs = &self.run.jobs[progress.jobs.clone()];
        let (since, ios, bytes) = self.last;
        let seconds = since.elapsed().as_secs_f64().max(0.001);
        let rate = |now: [u64; 2], then: [u64; 2]| {
            [0, 1].map(|side| per_second(now[side].saturating_sub(then[side]), seconds))
        };
        let status = Status {
            states: states(&self.run.jobs, progress),
            running: progress.running,
            open_files: progress.running,
            remaining: remaining(jobs, progress),
            done_percent: done_percent(jobs, progress),
            rate_limit: jobs.iter().flat_map(|job| job.rate.iter().flatten()).sum(),
            iops_limit: jobs
                .iter()
                .flat_map(|job| job.rate_iops.iter().flatten())
                .map(|limit| u64::from(*limit))
                .sum(),
            bytes_per_second: rate(progress.bytes, bytes),
            ios_per_second: rate(progress.ios, ios),
        };
        self.last = (Instant::now(), progress.ios, progress.bytes);
        status
    }
}

impl engine::Watch for Watch<'_> {
    fn progress(&mut self, progress: &Progress, so_far: &mut dyn FnMut() -> Vec<ThreadResult>) {
        let status = self.status(progress);
        (self.on)(Event::Live(&status));
        let due = self
            .run
            .output
            .status_interval
            .is_some_and(|every| self.interim.elapsed() >= every);
        if due {
            self.interim = Instant::now();
            let results = self.results(so_far());
            (self.on)(Event::Interim(&results));
        }
    }

    fn finished(&mut self, results: &[ThreadResult]) {
        self.done.extend_from_slice(results);
        self.last = (Instant::now(), [0; 2], [0; 2]);
        let results = self.results(self.done.clone());
        (self.on)(Event::Finished(&results));
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate of what was counted"
)]
fn per_second(count: u64, seconds: f64) -> u64 {
    (count as f64 / seconds) as u64
}

/// The time that all jobs of a phase take, where each has a runtime.
fn planned(jobs: &[Job]) -> Option<Duration> {
    let each = jobs.iter().map(|job| {
        job.runtime
            .map(|runtime| runtime + job.ramp_time + job.start_delay)
    });
    each.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn remaining(jobs: &[Job], progress: &Progress) -> Option<u64> {
    planned(jobs).map(|all| all.saturating_sub(progress.elapsed).as_secs())
}

fn done_percent(jobs: &[Job], progress: &Progress) -> Option<f64> {
    let all = planned(jobs)?.as_secs_f64();
    Some((progress.elapsed.as_secs_f64() / all * 100.0).min(100.0))
}

/// A letter for each thread of the run.
fn states(jobs: &[Job], progress: &Progress) -> Vec<char> {
    let letter = |index: usize, job: &Job| {
        if index < progress.jobs.start {
            return state::DONE;
        }
        if index >= progress.jobs.end {
            return state::NOT_STARTED;
        }
        match (job.access, job.order) {
            (Access::Read, Order::Sequential) => state::READ,
            (Access::Read, Order::Random) => state::RANDOM_READ,
            (Access::Write, Order::Sequential) => state::WRITE,
            (Access::Write, Order::Random) => state::RANDOM_WRITE,
            (Access::Mixed, Order::Sequential) => state::MIXED,
            (Access::Mixed, Order::Random) => state::RANDOM_MIXED,
        }
    };
    jobs.iter()
        .enumerate()
        .flat_map(|(index, job)| std::iter::repeat_n(letter(index, job), job.numjobs as usize))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::testing::job;

    #[test]
    fn buffers_leave_memory_to_the_node() {
        let mut large = job(Access::Read, Order::Sequential, 1 << 30);
        (large.depth, large.numjobs) = (4, 4);
        assert!(fits(&[large.clone()], 31 << 30).is_err());
        assert!(fits(&[large.clone()], 32 << 30).is_ok());
        assert!(fits(&[large.clone(), large.clone()], 63 << 30).is_err());
        assert!(fits(&[large], 0).is_ok());
    }
}
