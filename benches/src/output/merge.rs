//! Puts threads together as fio reports them: those of one group under
//! `group_reporting` become one entry, and every group has its totals. What fio
//! adds, takes the largest of, or keeps of the first is done likewise, for people
//! compare the two.

use std::time::Duration;

use crate::histogram::Histogram;
use crate::results::{Direction, Failure, Queue, Results, Sample, ThreadResult};

/// What one block of text, one object of "jobs" and one terse line are of.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Its name, description, options, group and thread id are the entry's.
    pub first: &'a ThreadResult,
    /// How many threads it is of.
    pub members: u32,
    /// The first one there was.
    pub error: Option<&'a Failure>,
    /// Reads, and writes.
    pub directions: [Total; 2],
    pub syncs: Histogram,
    /// Of all threads, one after the other.
    pub runtime: Duration,
    pub user: Duration,
    pub system: Duration,
    pub context_switches: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
    pub queue: Queue,
}

/// All reads, or all writes, of an entry.
#[derive(Debug, Clone, Default)]
pub struct Total {
    pub ios: u64,
    pub bytes: u64,
    pub short_ios: u64,
    /// Of the thread that took longest, in milliseconds: fio divides by whole ones.
    pub runtime_ms: u64,
    pub latency: Histogram,
    /// In KiB/s.
    pub bandwidth: Rates,
    pub iops: Rates,
    /// Sums of all threads, over time.
    pub timeline: Vec<Sample>,
}

/// What fio keeps of samples. Threads of a group are added, not averaged.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    pub count: u64,
    pub min: u64,
    pub max: u64,
    pub mean: f64,
    /// Of squares of differences from the mean.
    squares: f64,
}

/// Totals of a reporting group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Group {
    pub number: u32,
    /// Reads, and writes.
    pub directions: [GroupTotal; 2],
}

/// The extremes are those of the entries in the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupTotal {
    pub bytes: u64,
    /// Bytes in a second, of all together.
    pub bandwidth: u64,
    pub min_bandwidth: u64,
    pub max_bandwidth: u64,
    /// 0 when there was nothing.
    pub min_runtime_ms: u64,
    pub max_runtime_ms: u64,
}

/// What is reported, in the order of the threads.
#[must_use]
pub fn entries(results: &Results) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for thread in &results.threads {
        match entries.last_mut() {
            Some(last) if last.takes(thread) => last.add(thread),
            _ => {
                let mut entry = Entry::of(thread);
                entry.add(thread);
                entries.push(entry);
            }
        }
    }
    entries
}

/// The groups, ascending.
#[must_use]
pub fn groups(entries: &[Entry<'_>]) -> Vec<Group> {
    let mut numbers: Vec<u32> = entries.iter().map(|entry| entry.first.group).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
        .into_iter()
        .map(|number| {
            let of = |direction: usize| {
                let members = entries.iter().filter(|entry| entry.first.group == number);
                GroupTotal::of(members.map(|entry| &entry.directions[direction]))
            };
            Group {
                number,
                directions: [of(0), of(1)],
            }
        })
        .collect()
}

/// Those of the group that an entry is in: reads, and writes.
#[must_use]
pub fn totals(groups: &[Group], entry: &Entry<'_>) -> [GroupTotal; 2] {
    let own = groups.iter().find(|of| of.number == entry.first.group);
    own.map(|group| group.directions).unwrap_or_default()
}

impl<'a> Entry<'a> {
    fn of(first: &'a ThreadResult) -> Self {
        Self {
            first,
            members: 0,
            error: None,
            directions: Default::default(),
            syncs: Histogram::new(),
            runtime: Duration::ZERO,
            user: Duration::ZERO,
            system: Duration::ZERO,
            context_switches: 0,
            minor_faults: 0,
            major_faults: 0,
            queue: Queue::default(),
        }
    }

    fn takes(&self, thread: &ThreadResult) -> bool {
        let grouped = self.first.group_reporting && thread.group_reporting;
        grouped && self.first.group == thread.group
    }

    fn add(&mut self, thread: &'a ThreadResult) {
        self.members += 1;
        self.error = self.error.or(thread.error.as_ref());
        for (total, direction) in self.directions.iter_mut().zip(&thread.directions) {
            total.add(direction);
        }
        self.syncs.merge(&thread.syncs);
        self.runtime += measured(thread);
        self.user += thread.usage.user;
        self.system += thread.usage.system;
        self.context_switches += thread.usage.context_switches;
        self.minor_faults += thread.usage.minor_faults;
        self.major_faults += thread.usage.major_faults;
        let queue = &thread.queue;
        for (into, from) in [
            (&mut self.queue.depths, &queue.depths),
            (&mut self.queue.submitted, &queue.submitted),
            (&mut self.queue.completed, &queue.completed),
        ] {
            for (into, from) in into.iter_mut().zip(from) {
                *into += from;
            }
        }
    }

    /// Reads and writes.
    #[must_use]
    pub fn ios(&self) -> u64 {
        self.directions.iter().map(|total| total.ios).sum()
    }

    /// Of reads and writes.
    #[must_use]
    pub fn latency(&self) -> Histogram {
        let [read, write] = &self.directions;
        let mut all = read.latency.clone();
        all.merge(&write.latency);
        all
    }

    /// User and system time in percent of the runtime.
    #[must_use]
    pub fn cpu(&self) -> [f64; 2] {
        [self.user, self.system].map(|time| match self.runtime {
            Duration::ZERO => 0.0,
            runtime => time.as_secs_f64() * 100.0 / runtime.as_secs_f64(),
        })
    }

    /// As errno(3); 0 is none.
    #[must_use]
    pub fn errno(&self) -> i32 {
        self.error.map_or(0, |failure| failure.errno)
    }
}

/// How long a thread measured: the CPU time is of that, without the ramp time.
fn measured(thread: &ThreadResult) -> Duration {
    let [read, write] = &thread.directions;
    match read.runtime.max(write.runtime) {
        Duration::ZERO => thread.elapsed,
        runtime => runtime,
    }
}

impl Total {
    fn add(&mut self, direction: &Direction) {
        self.ios += direction.ios;
        self.bytes += direction.bytes;
        self.short_ios += direction.short_ios;
        self.runtime_ms = self.runtime_ms.max(whole_ms(direction.runtime));
        self.latency.merge(&direction.latency);
        self.bandwidth.add(rates(&direction.samples, |sample| {
            per_second(sample.bytes, sample.length) / 1024
        }));
        self.iops.add(rates(&direction.samples, |sample| {
            per_second(sample.ios, sample.length)
        }));
        let shared = self.timeline.len().min(direction.samples.len());
        let (both, more) = direction.samples.split_at(shared);
        for (into, from) in self.timeline.iter_mut().zip(both) {
            into.bytes += from.bytes;
            into.ios += from.ios;
            into.end = into.end.max(from.end);
            into.length = into.length.max(from.length);
        }
        self.timeline.extend_from_slice(more);
    }

    /// Bytes in a second.
    #[must_use]
    pub fn bytes_per_second(&self) -> u64 {
        per_second(self.bytes, Duration::from_millis(self.runtime_ms))
    }

    /// As fio rounds it, everywhere but in JSON.
    #[must_use]
    pub fn whole_ios_per_second(&self) -> u64 {
        per_second(self.ios, Duration::from_millis(self.runtime_ms))
    }

    #[must_use]
    pub fn ios_per_second(&self) -> f64 {
        match self.runtime_ms {
            0 => 0.0,
            ms => self.ios as f64 * 1000.0 / ms as f64,
        }
    }
}

/// Started ones count, so that what was done always took some time.
fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

fn per_second(amount: u64, time: Duration) -> u64 {
    (u128::from(amount) * 1_000_000_000)
        .checked_div(time.as_nanos())
        .map_or(0, |rate| u64::try_from(rate).unwrap_or(u64::MAX))
}

/// fio leaves out intervals in which nothing was done.
fn rates(samples: &[Sample], rate: fn(&Sample) -> u64) -> Rates {
    let mut rates = Rates::default();
    for sample in samples.iter().filter(|sample| sample.ios > 0) {
        rates.record(rate(sample));
    }
    rates
}

impl Rates {
    fn record(&mut self, value: u64) {
        self.min = if self.count == 0 {
            value
        } else {
            self.min.min(value)
        };
        self.max = self.max.max(value);
        self.count += 1;
        let before = value as f64 - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value as f64 - self.mean);
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.min += other.min;
        self.max += other.max;
        self.mean += other.mean;
        self.squares += other.squares;
    }

    #[must_use]
    pub fn stddev(&self) -> f64 {
        match self.count {
            0 | 1 => 0.0,
            count => (self.squares / (count - 1) as f64).sqrt(),
        }
    }
}

impl GroupTotal {
    fn of<'a>(members: impl Iterator<Item = &'a Total>) -> Self {
        let mut group = Self::default();
        for total in members.filter(|total| total.runtime_ms > 0) {
            let bandwidth = total.bytes_per_second();
            let smallest = |so_far, new| match group.max_runtime_ms {
                0 => new,
                _ => u64::min(so_far, new),
            };
            group.min_bandwidth = smallest(group.min_bandwidth, bandwidth);
            group.min_runtime_ms = smallest(group.min_runtime_ms, total.runtime_ms);
            group.max_bandwidth = group.max_bandwidth.max(bandwidth);
            group.max_runtime_ms = group.max_runtime_ms.max(total.runtime_ms);
            group.bytes += total.bytes;
        }
        group.bandwidth = per_second(group.bytes, Duration::from_millis(group.max_runtime_ms));
        group
    }

    /// How much of the group's bandwidth a mean of samples in KiB/s is, in percent.
    #[must_use]
    pub fn share(&self, mean: f64) -> f64 {
        match self.bandwidth {
            0 => 100.0,
            all => (mean * 1024.0 * 100.0 / all as f64).min(100.0),
        }
    }
}
