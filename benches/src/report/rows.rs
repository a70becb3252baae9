//! The threads of a run put together: what the page shows as one job. That is a
//! reporting group where fio would report one, else the threads of one section.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::histogram::Histogram;
use crate::results::{Direction, Results, SAMPLE_INTERVAL, ThreadResult, Usage};

/// One job.
pub(super) struct Row<'a> {
    /// Which part of the page it is of.
    pub(super) part: usize,
    pub(super) name: String,
    pub(super) first: &'a ThreadResult,
    pub(super) threads: usize,
    pub(super) elapsed: Duration,
    pub(super) reads_and_writes: [Merged; 2],
    pub(super) syncs: Histogram,
    pub(super) usage: Usage,
    /// The measured time of all threads together, which `usage` is of.
    pub(super) measured: Duration,
    pub(super) errors: Vec<String>,
}

/// One direction of a job.
#[derive(Default)]
pub(super) struct Merged {
    pub(super) ios: u64,
    pub(super) bytes: u64,
    pub(super) short_ios: u64,
    pub(super) runtime: Duration,
    pub(super) latency: Histogram,
    /// Ascending; the time is the end of the interval, in seconds.
    pub(super) rates: Vec<Rate>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    pub(super) at: f64,
    pub(super) ios: f64,
    pub(super) bytes: f64,
}

impl Merged {
    pub(super) fn iops(&self) -> f64 {
        per_second(self.ios, self.runtime)
    }

    pub(super) fn bandwidth(&self) -> f64 {
        per_second(self.bytes, self.runtime)
    }
}

fn per_second(amount: u64, time: Duration) -> f64 {
    match time.as_secs_f64() {
        seconds if seconds > 0.0 => amount as f64 / seconds,
        _ => 0.0,
    }
}

impl Row<'_> {
    /// The directions that did something, with their names.
    pub(super) fn used(&self) -> impl Iterator<Item = (&'static str, &Merged)> {
        let named = ["read", "write"].into_iter().zip(&self.reads_and_writes);
        named.filter(|(_, merged)| merged.ios > 0)
    }

    /// Processor time as a share of one processor, for each thread.
    pub(super) fn cpu(&self, time: Duration) -> f64 {
        match self.measured.as_secs_f64() {
            seconds if seconds > 0.0 => time.as_secs_f64() / seconds,
            _ => 0.0,
        }
    }

    /// Processor time of one I/O, in nanoseconds.
    pub(super) fn cpu_per_io(&self) -> Option<f64> {
        let ios: u64 = self.reads_and_writes.iter().map(|d| d.ios).sum();
        let time = self.usage.user + self.usage.system;
        (ios > 0).then(|| time.as_secs_f64() * 1e9 / ios as f64)
    }
}

/// All jobs of one part, in their order.
pub(super) fn rows(part: usize, results: &Results) -> Vec<Row<'_>> {
    let mut groups: Vec<(Key, Vec<&ThreadResult>)> = Vec::new();
    for thread in &results.threads {
        let key = if thread.group_reporting {
            Key::Group(thread.group)
        } else {
            Key::Job(thread.job)
        };
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, threads)) => threads.push(thread),
            None => groups.push((key, vec![thread])),
        }
    }
    let rows = groups.iter().map(|(_, threads)| row(part, threads));
    rows.collect()
}

#[derive(PartialEq)]
enum Key {
    Group(u32),
    Job(usize),
}

fn row<'a>(part: usize, threads: &[&'a ThreadResult]) -> Row<'a> {
    let mut names: Vec<&str> = Vec::new();
    let mut usage = Usage::default();
    let mut syncs = Histogram::new();
    let mut errors = Vec::new();
    for thread in threads {
        if !names.contains(&thread.name.as_str()) {
            names.push(&thread.name);
        }
        usage.user += thread.usage.user;
        usage.system += thread.usage.system;
        usage.context_switches += thread.usage.context_switches;
        usage.minor_faults += thread.usage.minor_faults;
        usage.major_faults += thread.usage.major_faults;
        syncs.merge(&thread.syncs);
        if let Some(error) = &thread.error {
            let text = format!("{} (error {})", error.text, error.errno);
            if !errors.contains(&text) {
                errors.push(text);
            }
        }
    }
    let direction = |index: usize| merge(threads.iter().map(|thread| &thread.directions[index]));
    Row {
        part,
        name: names.join(", "),
        first: threads[0],
        threads: threads.len(),
        elapsed: threads.iter().map(|t| t.elapsed).max().unwrap_or_default(),
        reads_and_writes: [direction(0), direction(1)],
        syncs,
        usage,
        measured: threads.iter().map(|thread| measured(thread)).sum(),
        errors,
    }
}

/// How long a thread was measured: the longer of its directions.
fn measured(thread: &ThreadResult) -> Duration {
    let longest = thread.directions.iter().map(|d| d.runtime).max();
    match longest {
        Some(time) if !time.is_zero() => time,
        _ => thread.elapsed,
    }
}

/// Amounts are added up, over the longest time, as fio does it for a group.
fn merge<'a>(directions: impl Iterator<Item = &'a Direction>) -> Merged {
    let mut all = Merged::default();
    // By the number of the interval: threads look at the clock at slightly different times.
    let mut rates: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for direction in directions {
        all.ios += direction.ios;
        all.bytes += direction.bytes;
        all.short_ios += direction.short_ios;
        all.runtime = all.runtime.max(direction.runtime);
        all.latency.merge(&direction.latency);
        for sample in &direction.samples {
            let seconds = sample.length.as_secs_f64();
            if seconds <= 0.0 {
                continue;
            }
            let last = interval(sample.end);
            // One I/O that takes seconds makes one sample of several intervals.
            let first = interval(sample.end.saturating_sub(sample.length)).min(last - 1) + 1;
            for number in first..=last {
                let (ios, bytes) = rates.entry(number).or_default();
                *ios += sample.ios as f64 / seconds;
                *bytes += sample.bytes as f64 / seconds;
            }
        }
    }
    let rates = rates.into_iter().map(|(number, (ios, bytes))| Rate {
        at: f64::from(number) * SAMPLE_INTERVAL.as_secs_f64(),
        ios,
        bytes,
    });
    all.rates = rates.collect();
    all
}

/// The number of the interval that ends next to `end`, from 1.
fn interval(end: Duration) -> u32 {
    let half = SAMPLE_INTERVAL / 2;
    let number = (end + half).as_millis() / SAMPLE_INTERVAL.as_millis();
    u32::try_from(number).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::results::Sample;

    fn at(end: u64, length: u64, ios: u64) -> Sample {
        Sample {
            end: Duration::from_millis(end),
            length: Duration::from_millis(length),
            bytes: ios * 4096,
            ios,
        }
    }

    #[test]
    fn threads_of_a_job_are_added_up_over_the_longest_time() {
        let mut results = sample::results(&["one", "two"]);
        results.threads.push(results.threads[0].clone());
        results.threads[2].directions[0].runtime = Duration::from_secs(100);
        let one = results.threads[0].directions[0].ios;
        let rows = rows(0, &results);
        let facts: Vec<_> = rows.iter().map(|r| (r.name.as_str(), r.threads)).collect();
        assert_eq!(facts, [("one", 2), ("two", 1)]);
        let read = &rows[0].reads_and_writes[0];
        assert_eq!((read.ios, read.latency.count()), (2 * one, 2 * one));
        assert!((read.iops() - (2 * one) as f64 / 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_reporting_group_is_one_job() {
        let mut results = sample::results(&["one", "two", "one"]);
        for thread in &mut results.threads {
            (thread.group_reporting, thread.group) = (true, 7);
        }
        let rows = rows(0, &results);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].name.as_str(), rows[0].threads), ("one, two", 3));
    }

    #[test]
    fn samples_of_threads_meet_in_their_interval() {
        let a = Direction {
            samples: vec![at(500, 500, 50), at(1003, 503, 503)],
            ..Direction::default()
        };
        let b = Direction {
            samples: vec![at(498, 498, 498), at(1502, 1004, 1004)],
            ..Direction::default()
        };
        let all = merge([&a, &b].into_iter());
        let rates: Vec<_> = all.rates.iter().map(|r| (r.at, r.ios.round())).collect();
        // The second thread has one sample of the second and the third interval.
        assert_eq!(rates, [(0.5, 1100.0), (1.0, 2000.0), (1.5, 1000.0)]);
    }

    #[test]
    fn nothing_measured_is_no_division_by_zero() {
        let mut results = sample::results(&["none"]);
        results.threads[0].directions = [Direction::default(), Direction::default()];
        results.threads[0].elapsed = Duration::ZERO;
        let rows = rows(0, &results);
        assert!(rows[0].used().next().is_none());
        assert!(rows[0].cpu(Duration::from_secs(1)) == 0.0 && rows[0].cpu_per_io().is_none());
    }
}
