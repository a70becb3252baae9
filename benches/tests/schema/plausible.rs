//! Results of runs that never were, from a few numbers: as the engine would have
//! them, so that outputs can be compared with those of others.

use std::time::Duration;

use instore_bench::histogram::Histogram;
use instore_bench::results::{
    Direction, DiskUse, Queue, Results, SAMPLE_INTERVAL, Sample, ThreadResult, Usage,
};

/// The default of `percentile_list`.
const PERCENTILES: [f64; 17] = [
    1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95,
    99.99,
];

/// What a job did; all of its threads together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) group: u32,
    pub(crate) threads: u32,
    /// Reads, and writes; each thread did as much as the others.
    pub(crate) directions: [Done; 2],
    pub(crate) syncs: u64,
    pub(crate) depth: u32,
}

/// Of one direction.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    pub(crate) ios: u64,
    pub(crate) bytes: u64,
    pub(crate) runtime: Duration,
    /// Of each thread.
    pub(crate) samples: u64,
    /// The extremes, in nanoseconds.
    pub(crate) latency: (u64, u64),
}

/// Results of jobs, one after the other, on disks of these names.
pub(crate) fn results(jobs: &[Shape], global: Vec<(String, String)>, disks: &[String]) -> Results {
    let threads = jobs
        .iter()
        .enumerate()
        .flat_map(|(index, shape)| (0..shape.threads).map(move |member| (index, shape, member)));
    Results {
        unix_ms: 1_795_301_191_351,
        global,
        threads: threads
            .map(|(index, shape, member)| thread(index, shape, member))
            .collect(),
        disks: disks.iter().map(|name| disk(name)).collect(),
        warnings: Vec::new(),
        interrupted: false,
    }
}

fn thread(index: usize, shape: &Shape, member: u32) -> ThreadResult {
    let directions = shape
        .directions
        .map(|done| direction(&done, shape.threads, member));
    let ios = directions.iter().map(|direction| direction.ios).sum();
    let mut syncs = Histogram::new();
    (0..share(shape.syncs, shape.threads, member)).for_each(|step| syncs.record(90_000 + step));
    ThreadResult {
        name: shape.name.clone(),
        description: shape.description.clone(),
        options: shape.options.clone(),
        job: index,
        group: shape.group,
        group_reporting: true,
        tid: 1000,
        error: None,
        elapsed: Duration::from_secs(1),
        directions,
        syncs,
        usage: Usage {
            user: Duration::from_millis(10),
            system: Duration::from_millis(30),
            context_switches: 100,
            minor_faults: 20,
            major_faults: 0,
        },
        depth: shape.depth,
        queue: Queue {
            depths: [ios, 0, 0, 0, 0, 0, 0],
            submitted: [0, ios, 0, 0, 0, 0, 0],
            completed: [0, ios, 0, 0, 0, 0, 0],
        },
        percentiles: PERCENTILES.to_vec(),
        engine: "io_uring".to_owned(),
    }
}

fn direction(done: &Done, threads: u32, member: u32) -> Direction {
    let (ios, bytes) = (
        share(done.ios, threads, member),
        share(done.bytes, threads, member),
    );
    let (min, max) = done.latency;
    let mut latency = Histogram::new();
    // one I/O is the fastest, one the slowest, the others between
    (0..ios).for_each(|index| latency.record(min + (max - min) * index / (ios - 1).max(1)));
    let sample = |index: u64| Sample {
        end: SAMPLE_INTERVAL * u32::try_from(index + 1).unwrap(),
        length: SAMPLE_INTERVAL,
        bytes: bytes / done.samples,
        ios: ios / done.samples,
    };
    Direction {
        ios,
        bytes,
        short_ios: 0,
        runtime: done.runtime,
        latency,
        samples: (0..done.samples).map(sample).collect(),
    }
}

/// The first thread takes what cannot be divided.
fn share(all: u64, threads: u32, member: u32) -> u64 {
    let (each, rest) = (all / u64::from(threads), all % u64::from(threads));
    if member == 0 { each + rest } else { each }
}

fn disk(name: &str) -> DiskUse {
    DiskUse {
        name: name.to_owned(),
        read_ios: 10,
        busy_ms: 100,
        elapsed: Duration::from_secs(1),
        ..DiskUse::default()
    }
}
