//! A node with everything on it, and the list of its metrics against the one
//! that people read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::*;
use crate::daemon::conditions::{Condition, Finding, Kind as Is, Object, Severity};
use crate::daemon::state::{
    Counters, DiskFacts, DiskReading, Page, Pool, PoolReading, Process, Queue, Readings, Shown,
    Snapshot, Space,
};
use crate::inventory::Bus;
use crate::nvme::amazon::{Amazon, Bin, Histogram as Latency, Kind as Device};
use crate::nvme::smart::Smart;
use crate::plan::{Level, Verdict};

/// All pages of a controller that tells everything.
fn reading() -> DiskReading {
    let mut page = [0_u8; 512];
    page[1..3].copy_from_slice(&308_u16.to_le_bytes());
    page[3] = 100;
    page[4] = 10;
    page[200..202].copy_from_slice(&300_u16.to_le_bytes());
    let latency = || {
        let bin = |n: u64| Bin {
            lower_us: n,
            upper_us: n + 1,
            count: 2,
        };
        Some(Latency {
            bins: vec![bin(0), bin(1)],
        })
    };
    let amazon = Amazon {
        kind: Device::Ebs,
        version: 1,
        read_ops: 4,
        write_ops: 4,
        read_bytes: 1,
        write_bytes: 1,
        read_time: 6,
        write_time: 6,
        volume_iops_exceeded: Some(1),
        volume_throughput_exceeded: Some(1),
        instance_iops_exceeded: 1,
        instance_throughput_exceeded: 1,
        queue_length: 1,
        read_latency: latency(),
        write_latency: latency(),
        by_size: Vec::new(),
    };
    DiskReading {
        state: Some("live".into()),
        io: Some(Counters::default()),
        queue: Some(Queue::default()),
        smart: Smart::parse(&page),
        amazon: Some(amazon),
        pages: BTreeMap::from([(Page::Smart, true), (Page::Amazon, true)]),
        late: false,
    }
}

fn facts(n: usize) -> DiskFacts {
    DiskFacts {
        id: format!("AWS{n:017X}/1"),
        device: format!("nvme{n}n1"),
        bus: Bus::Nvme,
        nsid: Some(1),
        model: "Amazon EC2 NVMe Instance Storage".into(),
        serial: format!("AWS{n:017X}"),
        size: 475_000_000_000,
        verdict: Shown::Is(Verdict::Use),
        reason: String::new(),
        content: Some("Ours"),
        pool: Some("instore".into()),
    }
}

/// A node of so many disks, all of one pool.
fn full(disks: usize) -> (Arc<Shared>, Metrics) {
    let now = SystemTime::now();
    let shared = Arc::new(Shared::new(now));
    let disks: Vec<DiskFacts> = (1..=disks).map(facts).collect();
    let finding = Finding {
        kind: Is::DiskGone,
        severity: Severity::Critical,
        object: Object::Disk("hostile\"\\\n/1".into()),
        message: "gone".into(),
        action: "replace",
    };
    let pool = Pool {
        label: "instore".into(),
        at: "/data".into(),
        level: Some(Level::Raid0),
        disks: disks.iter().map(|disk| disk.id.clone()).collect(),
        mounted: true,
        array_state: Some("clean".into()),
        ..Pool::default()
    };
    shared.set_readings(Readings {
        disks: disks.iter().map(|d| (d.id.clone(), reading())).collect(),
        pools: BTreeMap::from([(
            "instore".to_owned(),
            PoolReading {
                io: Some(Counters::default()),
                space: Some(Space {
                    size: 1,
                    free: 1,
                    inodes: 1,
                    inodes_free: 1,
                }),
                trouble: None,
                degraded: None,
                formatted: Some(now),
                trimmed: Some(now),
            },
        )]),
        process: Process::default(),
    });
    shared.set_snapshot(Snapshot {
        reconciled: Some(now),
        disks,
        pools: vec![pool],
        conditions: vec![Condition {
            finding,
            since: now,
        }],
        ..Snapshot::default()
    });
    let events = Arc::new(Events::new().unwrap());
    events.repaired("instore");
    events.trimmed("instore", 1);
    let kept = crate::daemon::bench::Kept {
        uuid: String::new(),
        result: crate::testing::suite(40_000.0),
    };
    shared.set_bench("instore", &Arc::new(kept));
    events.applied(Outcome::Success, Duration::from_secs(1));
    let metrics = Metrics::new(Arc::clone(&shared), events).unwrap();
    (shared, metrics)
}

/// Names and types, as a scrape has them.
fn served(text: &str) -> BTreeSet<(String, String)> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            (name.to_owned(), kind.to_owned())
        })
        .collect()
}

/// Names and types, as docs/metrics.md has them.
fn documented() -> BTreeSet<(String, String)> {
    let text = include_str!("../../../docs/metrics.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut cells = row.split('|').map(str::trim);
        let name = cells.next().unwrap().trim_end_matches('`').to_owned();
        (name, cells.next().unwrap().to_owned())
    })
    .collect()
}

#[test]
fn what_is_served_is_what_is_documented() {
    let (_, metrics) = full(1);
    // The time of a scrape is told by the next one.
    metrics.text().unwrap();
    assert_eq!(served(&metrics.text().unwrap()), documented());
}

#[test]
fn series_grow_with_disks_and_with_nothing_else() {
    let count = |disks: usize| {
        let text = full(disks).1.text().unwrap();
        text.lines().filter(|line| !line.starts_with('#')).count()
    };
    let each = count(2) - count(1);
    assert_eq!(count(24) - count(1), 23 * each);
    assert!(each <= 70, "{each} series for each disk");
}

#[test]
fn a_hostile_serial_stays_inside_its_label() {
    let text = full(1).1.text().unwrap();
    let line = text.lines().find(|l| l.starts_with("instore_condition{"));
    assert!(
        line.unwrap().contains(r#"object="disk hostile\"\\\n/1""#),
        "{text}"
    );
}

#[test]
fn what_left_is_told_no_more() {
    let (shared, metrics) = full(2);
    assert!(metrics.text().unwrap().contains("nvme2n1"));
    shared.set_snapshot(Snapshot::default());
    let text = metrics.text().unwrap();
    assert!(
        !text.contains("nvme") && text.contains("instore_ready 0"),
        "{text}"
    );
}
