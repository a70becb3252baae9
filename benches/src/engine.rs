//! Runs jobs: one thread each, phase after phase, and says what came of them. It
//! opens nothing and decides nothing about targets: it is given open ones.

mod clock;
mod contents;
mod feed;
mod lane;
mod memory;
mod psync;
mod stats;
mod thread;
mod uring;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::job::Job;
use crate::results::{Failure, SAMPLE_INTERVAL, ThreadResult};
use crate::target::Opened;
use thread::{Plan, Shared};

/// What a run is given beside its jobs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Of IOPS and bandwidth over time.
    pub sample_interval: Duration,
    /// Of events while it runs.
    pub event_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sample_interval: SAMPLE_INTERVAL,
            event_interval: Duration::from_secs(1),
        }
    }
}

/// How far the running phase is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Jobs of the phase, as indices.
    pub jobs: Range<usize>,
    /// Threads that still run.
    pub running: u32,
    /// Since the phase began.
    pub elapsed: Duration,
    /// Reads and writes of the phase so far, since each thread's measured part began.
    pub ios: [u64; 2],
    pub bytes: [u64; 2],
}

/// Who watches a run.
pub trait Watch {
    /// A phase goes on. Results so far are made only when they are asked for.
    fn progress(&mut self, progress: &Progress, so_far: &mut dyn FnMut() -> Vec<ThreadResult>);

    /// A phase is over: its results.
    fn finished(&mut self, results: &[ThreadResult]);
}

/// Watches nothing.
#[derive(Debug)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn progress(&mut self, _: &Progress, _: &mut dyn FnMut() -> Vec<ThreadResult>) {}
    fn finished(&mut self, _: &[ThreadResult]) {}
}

/// Opens the targets of one thread of a job.
pub type Open<'a> = dyn Fn(usize, u32) -> Result<Vec<Opened>, Failure> + Sync + 'a;

/// Runs all jobs. A thread that fails has its error in its result, and the others
/// go on; phases after it too, as with fio.
pub fn run(
    jobs: &[Job],
    options: &Options,
    open: &Open<'_>,
    stop: &AtomicBool,
    watch: &mut dyn Watch,
) -> Vec<ThreadResult> {
    let mut results: Vec<ThreadResult> = Vec::new();
    let groups = groups(jobs);
    for phase in phases(jobs) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let done = run_phase(jobs, phase, &groups, options, open, stop, &results, watch);
        watch.finished(&done);
        results.extend(done);
    }
    results
}

/// Jobs that run at the same time: up to the next one with a stonewall.
fn phases(jobs: &[Job]) -> Vec<Range<usize>> {
    let mut starts: Vec<usize> = (0..jobs.len())
        .filter(|index| *index == 0 || jobs[*index].stonewall)
        .collect();
    starts.push(jobs.len());
    starts.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

/// The reporting group of each job: a new one where a job asks for it, or waits
/// for those before it.
#[must_use]
pub fn groups(jobs: &[Job]) -> Vec<u32> {
    let mut group = 0;
    jobs.iter()
        .enumerate()
        .map(|(index, job)| {
            if index > 0 && (job.stonewall || job.new_group) {
                group += 1;
            }
            group
        })
        .collect()
}

#[expect(
    clippy::too_many_arguments,
    reason = "one caller; all of them are the run's"
)]
fn run_phase(
    jobs: &[Job],
    phase: Range<usize>,
    groups: &[u32],
    options: &Options,
    open: &Open<'_>,
    stop: &AtomicBool,
    before: &[ThreadResult],
    watch: &mut dyn Watch,
) -> Vec<ThreadResult> {
    let places: Vec<(usize, u32)> = phase
        .clone()
        .flat_map(|index| (0..jobs[index].numjobs).map(move |thread| (index, thread)))
        .collect();
    let shared: Vec<Shared> = places.iter().map(|_| Shared::default()).collect();
    let start = Start::default();
    let (sender, receiver) = channel();
    let mut results: Vec<Option<ThreadResult>> = places.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        let mut waiting = 0;
        for (place, (index, thread)) in places.iter().copied().enumerate() {
            let (sender, shared, start) = (sender.clone(), &shared[place], &start);
            let plan = move |files| Plan {
                job: &jobs[index],
                index,
                thread,
                group: groups[index],
                files,
                options,
                stop,
                shared,
            };
            let body = move || {
                let (files, refused) = match open(index, thread) {
                    Ok(files) => (files, None),
                    Err(failure) => (Vec::new(), Some(failure)),
                };
                // The receiver outlives the threads.
                let result = plan(files).run(refused, || {
                    let _ = sender.send(Message::Ready);
                    start.wait();
                });
                let _ = sender.send(Message::Done(place, Box::new(result)));
            };
            // Named for people who look with top -H.
            let name = format!("bench-{index}-{thread}");
            match std::thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, body)
            {
                Ok(_) => waiting += 1,
                Err(error) => {
                    let failure = Failure {
                        errno: error.raw_os_error().unwrap_or(0),
                        text: format!("start a thread: {error}; lower numjobs"),
                    };
                    results[place] = Some(plan(Vec::new()).run(Some(failure), || ()));
                }
            }
        }
        drop(sender);
        let began = Instant::now();
        let mut due = began + options.event_interval;
        loop {
            match receiver.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Message::Ready) => {
                    waiting -= 1;
                    if waiting == 0 {
                        start.open();
                    }
                }
                Ok(Message::Done(place, result)) => results[place] = Some(*result),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    due += options.event_interval;
                    let running = results.iter().filter(|result| result.is_none()).count();
                    let progress = progress(&phase, running, began.elapsed(), &shared);
                    watch.progress(&progress, &mut || {
                        let mut all = before.to_vec();
                        all.extend(snapshot(&results, &shared));
                        all
                    });
                }
            }
        }
    });
    results.into_iter().flatten().collect()
}

enum Message {
    Ready,
    Done(usize, Box<ThreadResult>),
}

/// Where threads wait until all of their phase are ready.
#[derive(Default)]
struct Start {
    is_open: Mutex<bool>,
    changed: Condvar,
}

impl Start {
    fn wait(&self) {
        let is_open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        let _open = self
            .changed
            .wait_while(is_open, |is_open| !*is_open)
            .unwrap_or_else(PoisonError::into_inner);
    }

    fn open(&self) {
        *self.is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

fn progress(
    phase: &Range<usize>,
    running: usize,
    elapsed: Duration,
    shared: &[Shared],
) -> Progress {
    let total = |of: fn(&Shared, usize) -> u64| {
        [0, 1].map(|side| shared.iter().map(|one| of(one, side)).sum())
    };
    Progress {
        jobs: phase.clone(),
        running: u32::try_from(running).unwrap_or(u32::MAX),
        elapsed,
        ios: total(|one, side| one.ios[side].load(Ordering::Relaxed)),
        bytes: total(|one, side| one.bytes[side].load(Ordering::Relaxed)),
    }
}

/// Results so far: of threads that are done, and of the others as of their next
/// tick; one that hangs gives its last one, or none.
fn snapshot(results: &[Option<ThreadResult>], shared: &[Shared]) -> Vec<ThreadResult> {
    /// Threads tick ten times a second, if their device answers.
    const PATIENCE: Duration = Duration::from_millis(500);
    let waiting = || {
        results
            .iter()
            .zip(shared)
            .filter(|(result, _)| result.is_none())
    };
    for (_, one) in waiting() {
        one.wanted.store(true, Ordering::Relaxed);
    }
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until && waiting().any(|(_, one)| one.wanted.load(Ordering::Relaxed)) {
        std::thread::sleep(Duration::from_millis(5));
    }
    results
        .iter()
        .zip(shared)
        .filter_map(|(result, one)| match result {
            Some(result) => Some(result.clone()),
            None => one
                .snapshot
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
