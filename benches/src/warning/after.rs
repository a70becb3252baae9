//! After a run: whether its results are enough, steady, and of the disk.

use std::time::Duration;

use crate::job::{Job, Run};
use crate::results::{Direction, DiskUse, Results, Sample, ThreadResult};

/// Shorter, and starting and ending is much of what is measured.
const SHORTEST: Duration = Duration::from_secs(1);
const FEWEST: u64 = 1000;

/// A percentile rests on at least so many I/Os beyond it.
const BEYOND: f64 = 10.0;

/// The CPU is the limit when threads use so much of their time.
const CPU_BUSY: f64 = 0.9;

/// The disk is not, when it is idle for the rest.
const DISK_BUSY: f64 = 0.9;

/// Two thirds of a run that differ by more are not the same state of the disk.
const STEADY: f64 = 0.2;

/// Fewer samples have no thirds to speak of.
const SAMPLES: usize = 6;

/// Bytes on the disk beyond ours that file systems need for themselves.
const OVERHEAD: f64 = 1.2;
const OVERHEAD_LEAST: f64 = 16.0 * 1024.0 * 1024.0;

/// What results do not say by themselves.
#[must_use]
pub fn after(run: &Run, results: &Results) -> Vec<String> {
    let mut said = Vec::new();
    for (index, job) in run.jobs.iter().enumerate() {
        let threads: Vec<&ThreadResult> = results
            .threads
            .iter()
            .filter(|thread| thread.job == index)
            .collect();
        if threads.is_empty() {
            continue;
        }
        for (side, word) in ["read", "write"].iter().enumerate() {
            let all: Vec<&Direction> = threads.iter().map(|t| &t.directions[side]).collect();
            said.extend(enough(job, &all, word));
            said.extend(steady(job, &all, word));
        }
        said.extend(cpu(job, &threads, &results.disks));
    }
    said.extend(others(run, results));
    said
}

fn enough(job: &Job, all: &[&Direction], word: &str) -> Option<String> {
    let ios: u64 = all.iter().map(|side| side.ios).sum();
    let longest = all.iter().map(|side| side.runtime).max()?;
    if ios == 0 {
        return None;
    }
    let name = &job.name;
    if longest < SHORTEST || ios < FEWEST {
        return Some(format!(
            "job {name:?}: {ios} {word}s in {:.2} s are too few to mean much: \
             say a larger size or a longer runtime",
            longest.as_secs_f64()
        ));
    }
    let beyond = |percentile: f64| as_float(ios) * (100.0 - percentile) / 100.0;
    // A little less than ten is ten, in floating point.
    let rests_on_few = |p: &&f64| **p < 100.0 && beyond(**p) < BEYOND - 1e-6;
    let first = job.percentiles.iter().find(rests_on_few)?;
    Some(format!(
        "job {name:?}: percentiles from {first} on rest on fewer than ten of {ios} {word}s"
    ))
}

/// By the I/Os of all threads together in each interval.
fn steady(job: &Job, all: &[&Direction], word: &str) -> Option<String> {
    let count = all.iter().map(|side| side.samples.len()).min()?;
    if count < SAMPLES {
        return None;
    }
    let rate = |index: usize| -> f64 {
        let of = |sample: &Sample| as_float(sample.ios) / sample.length.as_secs_f64().max(1e-9);
        all.iter().map(|side| of(&side.samples[index])).sum()
    };
    let third = count / 3;
    let mean = |from: usize| (from..from + third).map(rate).sum::<f64>() / as_float(third as u64);
    let (first, last) = (mean(0), mean(count - third));
    let larger = first.max(last);
    if larger <= 0.0 || (first - last).abs() / larger <= STEADY {
        return None;
    }
    Some(format!(
        "job {:?}: {word}s went from {first:.0} to {last:.0} per second: the disk was not \
         in a steady state, say ramp_time or a longer runtime",
        job.name
    ))
}

fn cpu(job: &Job, threads: &[&ThreadResult], disks: &[DiskUse]) -> Option<String> {
    // Who polls uses all the CPU that there is, whatever the disk does.
    if job.polled || job.batch_complete_min == 0 {
        return None;
    }
    let share = |thread: &&ThreadResult| {
        let used = thread.usage.user + thread.usage.system;
        let measured = thread.directions.iter().map(|side| side.runtime).max();
        used.as_secs_f64() / measured.unwrap_or_default().as_secs_f64().max(0.001)
    };
    let shares: f64 = threads.iter().map(share).sum();
    let mean = shares / as_float(threads.len() as u64);
    if mean < CPU_BUSY {
        return None;
    }
    let name = &job.name;
    let percent = (mean * 100.0).min(100.0);
    let busy = disks.iter().map(busy).fold(0.0, f64::max);
    Some(match busy < DISK_BUSY {
        true => format!(
            "job {name:?}: the CPU and not the disk is the limit: its threads computed \
             {percent:.0} % of the time, and the disk was busy {:.0} %",
            busy * 100.0
        ),
        false => format!(
            "job {name:?}: the CPU may be the limit: its threads computed {percent:.0} % of \
             the time; say more jobs"
        ),
    })
}

fn busy(disk: &DiskUse) -> f64 {
    as_float(disk.busy_ms) / 1000.0 / disk.elapsed.as_secs_f64().max(0.001)
}

/// Only where all I/O goes to the disk as it is, and all of it was measured.
fn others(run: &Run, results: &Results) -> Option<String> {
    let is_plain = |job: &Job| job.direct && job.ramp_time.is_zero();
    let disk = results.disks.first()?;
    if !run.jobs.iter().all(is_plain) || results.interrupted {
        return None;
    }
    let sides = results.threads.iter().flat_map(|t| &t.directions);
    let ours: u64 = sides.map(|side| side.bytes).sum();
    let seen = (disk.read_sectors + disk.write_sectors).saturating_mul(512);
    if as_float(seen) <= as_float(ours) * OVERHEAD + OVERHEAD_LEAST {
        return None;
    }
    Some(format!(
        "{} was used by others during the run: it moved {} MiB, of which {} MiB are of this run",
        disk.name,
        seen >> 20,
        ours >> 20
    ))
}

#[expect(clippy::cast_precision_loss, reason = "for people, not for counting")]
fn as_float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Histogram;
    use crate::results::{Queue, Usage};
    use crate::target::testing::{job, run};

    /// 100 000 reads in ten seconds, ten of them in each interval of a second.
    fn thread() -> ThreadResult {
        let samples = (1..=10).map(|second| Sample {
            end: Duration::from_secs(second),
            length: Duration::from_secs(1),
            bytes: 40_960_000,
            ios: 10_000,
        });
        ThreadResult {
            name: "t".into(),
            description: String::new(),
            options: Vec::new(),
            job: 0,
            group: 0,
            group_reporting: false,
            tid: 1,
            error: None,
            elapsed: Duration::from_secs(10),
            directions: [
                Direction {
                    ios: 100_000,
                    bytes: 409_600_000,
                    runtime: Duration::from_secs(10),
                    samples: samples.collect(),
                    ..Direction::default()
                },
                Direction::default(),
            ],
            syncs: Histogram::default(),
            usage: Usage {
                user: Duration::from_secs(1),
                ..Usage::default()
            },
            depth: 1,
            queue: Queue::default(),
            percentiles: Vec::new(),
            engine: String::new(),
        }
    }

    fn told(job: Job, thread: ThreadResult, disks: Vec<DiskUse>) -> Vec<String> {
        let results = Results {
            unix_ms: 0,
            global: Vec::new(),
            threads: vec![thread],
            disks,
            warnings: Vec::new(),
            interrupted: false,
        };
        after(&run(vec![job]), &results)
    }

    fn disk(busy_ms: u64) -> DiskUse {
        DiskUse {
            name: "d".into(),
            read_sectors: 800_000,
            busy_ms,
            elapsed: Duration::from_secs(10),
            ..DiskUse::default()
        }
    }

    #[test]
    fn a_good_run_has_no_warnings() {
        let good = Job {
            percentiles: vec![50.0, 99.0, 99.99, 100.0],
            direct: true,
            ..job("t")
        };
        let said = told(good, thread(), vec![disk(9000)]);
        assert_eq!(said, Vec::<String>::new());
    }

    #[test]
    fn too_short_or_too_few() {
        let mut short = thread();
        short.directions[0].runtime = Duration::from_millis(900);
        assert!(told(job("t"), short, vec![])[0].contains("too few"));
        let mut few = thread();
        few.directions[0].ios = 999;
        assert!(told(job("t"), few, vec![])[0].contains("999 reads"));
        let tail = Job {
            percentiles: vec![99.0, 99.9, 99.99, 99.995],
            ..job("t")
        };
        let said = told(tail, thread(), vec![]);
        assert!(said[0].contains("from 99.995 on"), "{said:?}");
    }

    #[test]
    fn a_disk_that_still_changes() {
        let mut warming = thread();
        for sample in &mut warming.directions[0].samples[7..] {
            sample.ios = 7_900;
        }
        let said = told(job("t"), warming, vec![]);
        assert!(said[0].contains("from 10000 to 7900"), "{said:?}");
    }

    #[test]
    fn a_cpu_that_is_the_limit() {
        let mut busy = thread();
        busy.usage.system = Duration::from_millis(8100);
        let said = told(job("t"), busy.clone(), vec![disk(500)]);
        assert!(said[0].contains("not the disk"), "{said:?}");
        let said = told(job("t"), busy.clone(), vec![disk(9900)]);
        assert!(said[0].contains("may be"), "{said:?}");
        let polled = Job {
            polled: true,
            ..job("t")
        };
        assert!(told(polled, busy, vec![]).is_empty());
    }

    #[test]
    fn a_disk_that_others_used() {
        let direct = Job {
            direct: true,
            ..job("t")
        };
        let shared = DiskUse {
            read_sectors: 1_100_000,
            ..disk(9000)
        };
        let said = told(direct, thread(), vec![shared.clone()]);
        assert!(said[0].contains("537 MiB, of which 390"), "{said:?}");
        assert!(told(job("t"), thread(), vec![shared]).is_empty());
    }
}
