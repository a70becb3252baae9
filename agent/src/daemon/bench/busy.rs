//! Whether a pool has work to do: a suite would slow it down, and measure it.

use crate::daemon::history::Rates;
use crate::daemon::state::{Pool, Shared};

/// Of one disk, in the last interval of the plots. Below these a node is as good as
/// idle: kubelet, journals and logs stay far away from them.
const OPERATIONS: f32 = 500.0;
const BYTES: f32 = 50e6;
/// Under way when the counters were read last.
const IN_FLIGHT: u64 = 16;

/// Nothing, or why the pool is not to be measured now.
pub(super) fn check(pool: &Pool, shared: &Shared) -> Result<(), String> {
    let (snapshot, readings, history) = (shared.snapshot(), shared.readings(), shared.history());
    for id in &pool.disks {
        let device = snapshot.disks.iter().find(|disk| disk.id == *id);
        let name = device.map_or(id.as_str(), |disk| disk.device.as_str());
        let reading = readings.disks.get(id).and_then(|reading| reading.io);
        let in_flight = reading.map_or(0, |io| io.in_flight);
        let Some(rates) = history.last(id) else {
            return Err(format!(
                "whether pool {} is busy is not known yet: {name} was not read twice; \
                 try again in some seconds",
                pool.label
            ));
        };
        if let Some(words) = work(&rates, in_flight) {
            return Err(format!(
                "pool {} is busy: {name} {words}; try again when it is not",
                pool.label
            ));
        }
    }
    Ok(())
}

fn work(rates: &Rates, in_flight: u64) -> Option<String> {
    let operations = rates.reads + rates.writes;
    let bytes = rates.read_bytes + rates.written_bytes;
    if operations > OPERATIONS || bytes > BYTES {
        return Some(format!(
            "does {operations:.0} operations and {:.1} MB a second (at most {OPERATIONS:.0} \
             and {:.0} are idle)",
            bytes / 1e6,
            BYTES / 1e6
        ));
    }
    (in_flight > IN_FLIGHT)
        .then(|| format!("has {in_flight} operations under way (at most {IN_FLIGHT} are idle)"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::SystemTime;

    use super::*;
    use crate::daemon::state::{Counters, DiskReading, Readings};

    fn pool() -> Pool {
        Pool {
            label: "instore".into(),
            disks: vec!["a/1".into()],
            ..Pool::default()
        }
    }

    fn shared(reads: u64, bytes: u64, in_flight: u64) -> Shared {
        let shared = Shared::new(SystemTime::UNIX_EPOCH);
        let now = Counters {
            reads,
            read_bytes: bytes,
            in_flight,
            ..Counters::default()
        };
        for counters in [Counters::default(), now] {
            let all = BTreeMap::from([("a/1".to_owned(), counters)]);
            shared.history().add(SystemTime::UNIX_EPOCH, 5.0, &all);
        }
        let reading = DiskReading {
            io: Some(now),
            ..DiskReading::default()
        };
        shared.set_readings(Readings {
            disks: BTreeMap::from([("a/1".to_owned(), reading)]),
            ..Readings::default()
        });
        shared
    }

    #[test]
    fn work_of_any_kind_is_told_with_its_figures() {
        check(&pool(), &shared(2000, 100_000_000, 16)).unwrap();
        for (shared, wanted) in [
            (shared(5000, 0, 0), "a/1 does 1000 operations and 0.0 MB"),
            (shared(10, 500_000_000, 0), "2 operations and 100.0 MB"),
            (shared(0, 0, 17), "17 operations under way"),
        ] {
            let words = check(&pool(), &shared).unwrap_err();
            assert!(words.contains(wanted), "{words}");
        }
    }

    #[test]
    fn what_was_not_read_yet_is_not_taken_for_idle() {
        let words = check(&pool(), &Shared::new(SystemTime::UNIX_EPOCH)).unwrap_err();
        assert!(words.contains("not known yet"), "{words}");
    }
}
