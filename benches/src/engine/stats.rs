//! What one thread counts while it runs: constant memory, no allocation after the
//! start, whatever the runtime.

use std::time::Duration;

use super::clock::NANOSECONDS;
use crate::histogram::Histogram;
use crate::offsets::Direction;
use crate::results::{self, Queue, Sample};

/// Counts of the measured part.
#[derive(Debug, Clone)]
pub(super) struct Stats {
    pub(super) sides: [Side; 2],
    pub(super) syncs: Histogram,
    pub(super) queue: Queue,
    /// When the measured part began.
    began: u64,
    interval: u64,
    /// Ends of the running interval, and of the one before.
    next_sample: u64,
    last_sample: u64,
}

/// Of reads, or of writes.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub(super) ios: u64,
    pub(super) bytes: u64,
    pub(super) short_ios: u64,
    latency: Histogram,
    samples: Vec<Sample>,
    /// Totals at the end of the last interval.
    sampled: (u64, u64),
}

/// Samples that are kept, for 34 minutes at the usual interval. When they are
/// full, neighbours become one, and the interval doubles.
const SAMPLES: usize = 4096;

impl Side {
    fn new() -> Self {
        Self {
            ios: 0,
            bytes: 0,
            short_ios: 0,
            latency: Histogram::new(),
            samples: Vec::with_capacity(SAMPLES),
            sampled: (0, 0),
        }
    }

    fn clear(&mut self) {
        (self.ios, self.bytes, self.short_ios, self.sampled) = (0, 0, 0, (0, 0));
        self.latency.clear();
        self.samples.clear();
    }

    fn halve(&mut self) {
        let half = self.samples.len() / 2;
        for index in 0..half {
            let [a, b] = [self.samples[2 * index], self.samples[2 * index + 1]];
            self.samples[index] = Sample {
                end: b.end,
                length: a.length + b.length,
                bytes: a.bytes + b.bytes,
                ios: a.ios + b.ios,
            };
        }
        self.samples.truncate(half);
    }

    fn sample(&mut self, end: u64, length: u64) {
        if self.ios == 0 {
            return;
        }
        self.samples.push(Sample {
            end: Duration::from_nanos(end),
            length: Duration::from_nanos(length),
            bytes: self.bytes - self.sampled.1,
            ios: self.ios - self.sampled.0,
        });
        self.sampled = (self.ios, self.bytes);
    }
}

impl Stats {
    pub(super) fn new(interval: Duration, now: u64) -> Self {
        let interval = u64::try_from(interval.as_nanos())
            .unwrap_or(NANOSECONDS)
            .max(1);
        let mut stats = Self {
            sides: [Side::new(), Side::new()],
            syncs: Histogram::new(),
            queue: Queue::default(),
            began: now,
            interval,
            next_sample: 0,
            last_sample: 0,
        };
        stats.restart(now);
        stats
    }

    /// Forgets what was counted: the measured part begins now.
    pub(super) fn restart(&mut self, now: u64) {
        self.sides.iter_mut().for_each(Side::clear);
        self.syncs.clear();
        self.queue = Queue::default();
        self.began = now;
        self.last_sample = now;
        self.next_sample = now + self.interval;
    }

    /// Counts one I/O that was done.
    #[inline]
    pub(super) fn record(&mut self, direction: Direction, bytes: u64, latency: u64) {
        let side = &mut self.sides[direction as usize];
        side.ios += 1;
        side.bytes += bytes;
        side.latency.record(latency);
    }

    /// When `sample` wants to be called.
    #[inline]
    pub(super) fn next_sample(&self) -> u64 {
        self.next_sample
    }

    /// Ends the running interval, if its time is over.
    pub(super) fn sample(&mut self, now: u64) {
        if now < self.next_sample {
            return;
        }
        let length = now - self.last_sample;
        for side in &mut self.sides {
            side.sample(now - self.began, length);
        }
        if self.sides.iter().any(|side| side.samples.len() >= SAMPLES) {
            self.interval *= 2;
            self.sides.iter_mut().for_each(Side::halve);
        }
        self.last_sample = now;
        self.next_sample = now + self.interval;
    }

    /// One count of the queue's figures: how many at once.
    #[inline]
    pub(super) fn depth(&mut self, in_flight: u32) {
        let step = in_flight.max(1).ilog2().min(6) as usize;
        self.queue.depths[step] += 1;
    }

    pub(super) fn directions(&self, now: u64) -> [results::Direction; 2] {
        let runtime = Duration::from_nanos(now.saturating_sub(self.began));
        self.sides.each_ref().map(|side| results::Direction {
            ios: side.ios,
            bytes: side.bytes,
            short_ios: side.short_ios,
            runtime: if side.ios == 0 {
                Duration::ZERO
            } else {
                runtime
            },
            latency: side.latency.clone(),
            samples: side.samples.clone(),
        })
    }

    pub(super) fn runtime(&self, now: u64) -> Duration {
        Duration::from_nanos(now.saturating_sub(self.began))
    }
}

/// Where "so many at once" counts: 0, up to 4, 8, 16, 32, 64, and more.
#[inline]
pub(super) fn batch_step(count: u32) -> usize {
    match count {
        0 => 0,
        1..=4 => 1,
        5..=8 => 2,
        9..=16 => 3,
        17..=32 => 4,
        33..=64 => 5,
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_bounded_and_lose_nothing() {
        let mut stats = Stats::new(Duration::from_nanos(100), 0);
        let mut now = 0;
        for _ in 0..100_000 {
            now += 100;
            stats.record(Direction::Read, 4096, 50);
            stats.sample(now);
        }
        let [read, write] = stats.directions(now);
        assert!(read.samples.len() <= SAMPLES && write.samples.is_empty());
        assert_eq!(stats.sides[0].samples.capacity(), SAMPLES);
        let seen: u64 = read.samples.iter().map(|sample| sample.ios).sum();
        let rest = stats.sides[0].ios - stats.sides[0].sampled.0;
        assert_eq!(seen + rest, 100_000);
        let time: Duration = read.samples.iter().map(|sample| sample.length).sum();
        assert_eq!(time, read.samples.last().unwrap().end);
    }

    #[test]
    fn what_came_before_the_measured_part_does_not_count() {
        let mut stats = Stats::new(Duration::from_secs(1), 0);
        stats.record(Direction::Write, 512, 9);
        stats.depth(3);
        stats.restart(1000);
        let [_, write] = stats.directions(3000);
        assert_eq!((write.ios, write.bytes, write.latency.count()), (0, 0, 0));
        assert_eq!(
            (stats.queue, stats.runtime(3000)),
            (Queue::default(), Duration::from_nanos(2000))
        );
    }
}
