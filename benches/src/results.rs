//! What came of a run, as plain data: what every output is made from. A result is
//! that of one thread; outputs put those of a reporting group together.

use std::time::Duration;

use crate::histogram::Histogram;

/// Of a whole run, or of the part of it that was done when it was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    /// Milliseconds since 1970, at the end.
    pub unix_ms: u64,
    /// Options of `[global]`.
    pub global: Vec<(String, String)>,
    /// In the order of the jobs, `numjobs` expanded.
    pub threads: Vec<ThreadResult>,
    /// Disks under the targets.
    pub disks: Vec<DiskUse>,
    /// What makes the figures mean less than they seem to, for people.
    pub warnings: Vec<String>,
    /// Ended early, by a signal.
    pub interrupted: bool,
}

/// Of one thread of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadResult {
    pub name: String,
    pub description: String,
    /// Options of the job's own section.
    pub options: Vec<(String, String)>,
    /// Index of the job in `Run::jobs`.
    pub job: usize,
    /// Which reporting group it belongs to, from 0.
    pub group: u32,
    pub group_reporting: bool,
    /// Thread id.
    pub tid: i32,
    /// The first error, which ended it.
    pub error: Option<Failure>,
    /// Since its start, ramp time included.
    pub elapsed: Duration,
    /// Reads, and writes.
    pub directions: [Direction; 2],
    /// fsync and fdatasync.
    pub syncs: Histogram,
    /// Of the measured part.
    pub usage: Usage,
    pub depth: u32,
    pub queue: Queue,
    pub percentiles: Vec<f64>,
    /// What it ran on, for people: "io_uring, registered files and buffers".
    pub engine: String,
}

/// What ended a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// As errno(3).
    pub errno: i32,
    pub text: String,
}

/// All reads, or all writes, of the measured part.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Direction {
    pub ios: u64,
    pub bytes: u64,
    /// I/Os that transferred less than they should.
    pub short_ios: u64,
    /// From the first to the last of them; zero when there were none.
    pub runtime: Duration,
    /// From submission to completion.
    pub latency: Histogram,
    /// One for each `SAMPLE_INTERVAL` that was over.
    pub samples: Vec<Sample>,
}

/// fio's `bwavgtime` and `iopsavgtime`.
pub const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

/// What was done in one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The end of the interval, since the measured part began.
    pub end: Duration,
    /// Its length.
    pub length: Duration,
    pub bytes: u64,
    pub ios: u64,
}

/// Of a thread, as getrusage(2) says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub user: Duration,
    pub system: Duration,
    pub context_switches: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
}

/// How full the queue was. I/Os by powers of two: of `depths` 1, 2, 4, 8, 16, 32
/// and 64 or more in flight when one was submitted; of the other two 0, 1 to 4,
/// 5 to 8, up to 16, 32, 64 and more at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Queue {
    pub depths: [u64; 7],
    pub submitted: [u64; 7],
    pub completed: [u64; 7],
}

/// One disk under the targets, from /sys/block/NAME/stat: what the run added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiskUse {
    pub name: String,
    pub read_ios: u64,
    pub write_ios: u64,
    pub read_merges: u64,
    pub write_merges: u64,
    pub read_sectors: u64,
    pub write_sectors: u64,
    pub read_ms: u64,
    pub write_ms: u64,
    pub busy_ms: u64,
    pub queue_ms: u64,
    /// The time this is of.
    pub elapsed: Duration,
}
