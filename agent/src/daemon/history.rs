//! Rates of the last 15 minutes, for the page: one entry per disk and interval,
//! None where nothing was measured. Bounded, whatever comes and goes.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use super::state::Counters;

/// Between two entries.
pub const INTERVAL_SECONDS: u64 = 5;
/// Entries of 15 minutes.
pub const LENGTH: usize = 180;

#[derive(Debug, Default)]
pub struct History {
    end: Option<SystemTime>,
    disks: BTreeMap<String, Line>,
}

#[derive(Debug, Default)]
struct Line {
    last: Option<Counters>,
    /// Oldest first, at most [`LENGTH`].
    rates: VecDeque<Option<Rates>>,
}

/// What a disk did between two readings, per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    pub reads: f32,
    pub writes: f32,
    pub read_bytes: f32,
    pub written_bytes: f32,
    /// Mean, in microseconds; None when there was none.
    pub read_latency: Option<f32>,
    pub write_latency: Option<f32>,
    /// Share of the time in which anything was in flight.
    pub busy: f32,
}

impl History {
    /// Adds one entry to each disk: `counters` of now, for `seconds` since the
    /// last call. Disks of which nothing was seen for 15 minutes are dropped.
    pub fn add(&mut self, now: SystemTime, seconds: f32, counters: &BTreeMap<String, Counters>) {
        self.end = Some(now);
        for id in counters.keys() {
            self.disks.entry(id.clone()).or_default();
        }
        for (id, line) in &mut self.disks {
            let now = counters.get(id).copied();
            let rates = match (line.last, now) {
                (Some(last), Some(now)) => Rates::between(&last, &now, seconds),
                _ => None,
            };
            line.last = now;
            if line.rates.len() == LENGTH {
                line.rates.pop_front();
            }
            line.rates.push_back(rates);
        }
        self.disks
            .retain(|_, line| line.last.is_some() || line.rates.iter().any(Option::is_some));
    }

    #[must_use]
    pub fn end(&self) -> Option<SystemTime> {
        self.end
    }

    /// The entries of a disk, oldest first, as many for each disk.
    pub fn line(&self, id: &str) -> impl Iterator<Item = Option<Rates>> + '_ {
        let rates = self.disks.get(id).map(|line| &line.rates);
        let missing = LENGTH - rates.map_or(0, VecDeque::len);
        std::iter::repeat_n(None, missing).chain(rates.into_iter().flatten().copied())
    }

    #[must_use]
    pub fn last(&self, id: &str) -> Option<Rates> {
        self.disks.get(id)?.rates.back().copied().flatten()
    }
}

impl Rates {
    /// None when a counter went back: it is another disk, or it began anew.
    fn between(last: &Counters, now: &Counters, seconds: f32) -> Option<Self> {
        let reads = now.reads.checked_sub(last.reads)?;
        let writes = now.writes.checked_sub(last.writes)?;
        let per_second = |count: u64| as_f32(count) / seconds;
        let mean = |ms: u64, count: u64| (count > 0).then(|| 1000.0 * as_f32(ms) / as_f32(count));
        Some(Self {
            reads: per_second(reads),
            writes: per_second(writes),
            read_bytes: per_second(now.read_bytes.checked_sub(last.read_bytes)?),
            written_bytes: per_second(now.written_bytes.checked_sub(last.written_bytes)?),
            read_latency: mean(now.read_ms.checked_sub(last.read_ms)?, reads),
            write_latency: mean(now.write_ms.checked_sub(last.write_ms)?, writes),
            busy: (per_second(now.busy_ms.checked_sub(last.busy_ms)?) / 1000.0).min(1.0),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "drawn, not counted")]
fn as_f32(count: u64) -> f32 {
    count as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(reads: u64) -> BTreeMap<String, Counters> {
        let counters = Counters {
            reads,
            read_bytes: reads * 4096,
            read_ms: reads / 2,
            busy_ms: reads,
            ..Counters::default()
        };
        BTreeMap::from([("a".to_owned(), counters)])
    }

    #[test]
    fn rates_come_from_two_readings_and_gaps_stay_gaps() {
        let mut history = History::default();
        let now = SystemTime::UNIX_EPOCH;
        history.add(now, 5.0, &at(0));
        assert_eq!(history.last("a"), None);
        history.add(now, 5.0, &at(1000));
        let rates = history.last("a").unwrap();
        assert!((rates.reads - 200.0).abs() < 0.1);
        assert!((rates.read_latency.unwrap() - 500.0).abs() < 0.1);
        assert_eq!(rates.write_latency, None);
        assert!((rates.busy - 0.2).abs() < 0.001);
        history.add(now, 5.0, &BTreeMap::new());
        history.add(now, 5.0, &at(2000));
        assert_eq!(history.last("a"), None, "nothing to compare with");
        // Another disk under the same name, or counters that began anew.
        history.add(now, 5.0, &at(10));
        assert_eq!(history.last("a"), None);
        assert_eq!(history.line("a").count(), LENGTH);
    }

    #[test]
    fn it_is_bounded_and_forgets_disks_that_left() {
        let mut history = History::default();
        for i in 0..500 {
            history.add(SystemTime::UNIX_EPOCH, 5.0, &at(i));
        }
        assert_eq!(history.line("a").flatten().count(), LENGTH);
        for _ in 0..LENGTH {
            history.add(SystemTime::UNIX_EPOCH, 5.0, &BTreeMap::new());
        }
        assert!(history.disks.is_empty());
        assert_eq!(history.line("a").flatten().count(), 0);
    }
}
