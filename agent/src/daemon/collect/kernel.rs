//! Counters and settings of block devices, from sysfs: nothing here reaches the
//! device, so nothing here can hang on it.

use std::path::Path;

use crate::daemon::state::{Counters, DiskReading, PoolReading, Queue};
use crate::inventory::Bus;
use crate::root::Root;

/// sysfs counts in these, whatever the disk's own blocks are.
const SECTOR: u64 = 512;

pub(super) fn disk(root: &Root, name: &str, bus: Bus, reading: &mut DiskReading) {
    let at = root.join("/sys/block").join(name);
    reading.io = counters(&at);
    // Other drivers have other words for "all is well".
    reading.state = match bus {
        Bus::Nvme => attribute(&at.join("device/state")),
        Bus::Loop | Bus::Other => None,
    };
    // Settings do not change by themselves; read them once.
    if reading.queue.is_none() && reading.io.is_some() {
        reading.queue = Some(queue(&at));
    }
}

pub(super) fn pool(root: &Root, name: &str, reading: &mut PoolReading) {
    if name.is_empty() {
        reading.io = None;
        reading.degraded = None;
        return;
    }
    let at = root.join("/sys/block").join(name);
    reading.io = counters(&at);
    reading.degraded = attribute(&at.join("md/degraded")).and_then(|n| n.parse().ok());
}

fn attribute(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

fn counters(at: &Path) -> Option<Counters> {
    parse(&attribute(&at.join("stat"))?)
}

/// As Documentation/block/stat.rst orders them; discards came with Linux 4.18.
fn parse(text: &str) -> Option<Counters> {
    let mut fields = [0; 15];
    let mut count = 0;
    for (field, word) in fields.iter_mut().zip(text.split_ascii_whitespace()) {
        *field = word.parse().ok()?;
        count += 1;
    }
    let [
        reads,
        _,
        read,
        read_ms,
        writes,
        _,
        written,
        write_ms,
        in_flight,
        busy_ms,
        _,
        discards,
        _,
        discarded,
        _,
    ] = fields;
    (count >= 11).then_some(Counters {
        reads,
        read_bytes: read.saturating_mul(SECTOR),
        read_ms,
        writes,
        written_bytes: written.saturating_mul(SECTOR),
        write_ms,
        discards,
        discarded_bytes: discarded.saturating_mul(SECTOR),
        in_flight,
        busy_ms,
    })
}

fn queue(at: &Path) -> Queue {
    let text = |name: &str| attribute(&at.join("queue").join(name)).unwrap_or_default();
    let number = |name: &str| text(name).parse().unwrap_or(0);
    let scheduler = text("scheduler");
    Queue {
        requests: number("nr_requests"),
        read_ahead: number("read_ahead_kb").saturating_mul(1024),
        // "[none] mq-deadline": the one in brackets is in force.
        scheduler: scheduler
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'))
            .map_or(scheduler.clone(), |(chosen, _)| chosen.to_owned()),
        write_cache: text("write_cache"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_old_and_new_kernels() {
        let new = "  100 1 800 50 200 2 1600 70 3 90 120 5 0 4096 6 7 8";
        let counters = parse(new).unwrap();
        assert_eq!((counters.reads, counters.read_bytes), (100, 800 * 512));
        assert_eq!((counters.writes, counters.written_bytes), (200, 1600 * 512));
        assert_eq!((counters.read_ms, counters.write_ms), (50, 70));
        assert_eq!((counters.in_flight, counters.busy_ms), (3, 90));
        assert_eq!(
            (counters.discards, counters.discarded_bytes),
            (5, 4096 * 512)
        );
        let old = parse("1 2 3 4 5 6 7 8 9 10 11").unwrap();
        assert_eq!((old.busy_ms, old.discards), (10, 0));
        assert_eq!(parse("1 2 3"), None);
        assert_eq!(parse("1 2 3 4 5 6 7 8 9 x 11"), None);
    }

    #[test]
    fn settings_of_a_queue() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::at(dir.path());
        let at = dir.path().join("sys/block/nvme1n1");
        std::fs::create_dir_all(at.join("queue")).unwrap();
        std::fs::create_dir_all(at.join("device")).unwrap();
        for (file, text) in [
            ("stat", "1 2 3 4 5 6 7 8 9 10 11\n"),
            ("device/state", "live\n"),
            ("queue/nr_requests", "1023\n"),
            ("queue/read_ahead_kb", "128\n"),
            ("queue/scheduler", "[none] mq-deadline \n"),
            ("queue/write_cache", "write through\n"),
        ] {
            std::fs::write(at.join(file), text).unwrap();
        }
        let mut reading = DiskReading::default();
        disk(&root, "nvme1n1", Bus::Nvme, &mut reading);
        assert_eq!(reading.state.as_deref(), Some("live"));
        let queue = reading.queue.clone().unwrap();
        assert_eq!((queue.requests, queue.read_ahead), (1023, 131_072));
        assert_eq!(queue.scheduler, "none");
        std::fs::remove_dir_all(&at).unwrap();
        disk(&root, "nvme1n1", Bus::Nvme, &mut reading);
        assert_eq!((reading.io, reading.state), (None, None));
    }
}
