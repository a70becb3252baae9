//! Results that look like those of a disk, made from a seed.

use std::time::Duration;

use instore_bench::histogram::Histogram;
use instore_bench::results::{
    Direction, DiskUse, Queue, Results, SAMPLE_INTERVAL, Sample, ThreadResult, Usage,
};

/// One thread for each name, mixed read and write, 30 s long. The same name again is
/// another job.
pub(crate) fn results(names: &[&str]) -> Results {
    let threads = names.iter().enumerate();
    let threads = threads.map(|(index, name)| thread(index, name)).collect();
    Results {
        unix_ms: 1_795_300_000_000,
        global: vec![option("ioengine", "io_uring"), option("direct", "1")],
        threads,
        disks: vec![DiskUse {
            name: "nvme1n1".to_owned(),
            read_ios: 123_456,
            write_ios: 65_432,
            read_sectors: 987_648,
            write_sectors: 523_456,
            busy_ms: 29_871,
            elapsed: Duration::from_secs(30),
            ..DiskUse::default()
        }],
        warnings: Vec::new(),
        interrupted: false,
    }
}

fn option(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn thread(job: usize, name: &str) -> ThreadResult {
    let mut random = fastrand::Rng::with_seed(job as u64);
    ThreadResult {
        name: name.to_owned(),
        description: String::new(),
        options: vec![
            option("rw", "randrw"),
            option("bs", "4k"),
            option("iodepth", "32"),
        ],
        job,
        group: 0,
        group_reporting: false,
        tid: 4711,
        error: None,
        elapsed: Duration::from_secs(30),
        directions: [
            direction(&mut random, 700.0, 85_000.0),
            direction(&mut random, 300.0, 22_000.0),
        ],
        syncs: Histogram::new(),
        usage: Usage {
            user: Duration::from_millis(1_900),
            system: Duration::from_millis(5_300),
            context_switches: 34_567,
            ..Usage::default()
        },
        depth: 32,
        queue: Queue::default(),
        percentiles: vec![1.0, 50.0, 90.0, 99.0, 99.9, 99.99],
        engine: "io_uring, registered files and buffers".to_owned(),
    }
}

/// Latencies with a body and a tail, and a rate with a stall in it.
fn direction(random: &mut fastrand::Rng, scale: f64, typical: f64) -> Direction {
    let mut made = Direction::default();
    for number in 1..=60_u32 {
        let stall = if (33..35).contains(&number) { 0.2 } else { 1.0 };
        let mut ios = 0_u32;
        while f64::from(ios) < scale * stall * (0.9 + 0.2 * random.f64()) {
            let tail = random.f64().max(1e-6).powf(-0.45);
            let ns = typical * (0.6 + 0.5 * random.f64()) * tail;
            made.latency.record(nanoseconds(ns));
            ios += 1;
        }
        made.ios += u64::from(ios);
        made.samples.push(Sample {
            end: SAMPLE_INTERVAL * number,
            length: SAMPLE_INTERVAL,
            bytes: u64::from(ios) * 4096,
            ios: u64::from(ios),
        });
    }
    made.bytes = made.ios * 4096;
    made.runtime = SAMPLE_INTERVAL * 60;
    made
}

fn nanoseconds(ns: f64) -> u64 {
    u64::try_from(Duration::from_secs_f64(ns / 1e9).as_nanos()).unwrap_or(u64::MAX)
}
