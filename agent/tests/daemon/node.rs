//! A node as the servers see it, without one: a healthy, a refused and a failed disk, served by the
//! product's own servers. What a disk says of itself is hostile.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, SystemTime};

use instore::config::Listen;
use instore::daemon::bench::Kept;
use instore::daemon::conditions::{Condition, Finding, Kind, Object, Severity};
use instore::daemon::state::{
    Counters, DiskFacts, DiskReading, NodeFacts, Pool, PoolReading, Readings, Shared, Shown,
    Snapshot, Space,
};
use instore::daemon::wake::Waker;
use instore::http::{self, Control, Handle, Server};
use instore::inventory::Bus;
use instore::metrics::{Events, Metrics};
use instore::plan::Verdict;
use tempfile::TempDir;

pub(crate) const HOSTILE: &str = "<img src=x onerror=alert(1)>";
pub(crate) const HEALTHY: &str = "AWS00000000000000001";
pub(crate) const REFUSED: &str = "AWS00000000000000002";

/// The servers of a node; they end with it.
pub(crate) struct Served {
    handle: Handle,
    _dir: TempDir,
}

impl Served {
    pub(crate) fn address(&self) -> SocketAddr {
        let mut answers = std::iter::repeat_with(|| {
            thread::yield_now();
            self.handle.address()
        });
        answers.find_map(|address| address).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.handle.stop();
    }
}

/// Serves a node with one healthy, one refused and one failed disk.
pub(crate) fn serve() -> Served {
    let now = SystemTime::now();
    let shared = Arc::new(Shared::new(now - Duration::from_secs(3600)));
    shared.set_snapshot(snapshot(now));
    draw(&shared, now);
    shared.set_readings(readings(now));
    shared.set_bench("instore-0", &Arc::new(measured()));
    let dir = tempfile::tempdir().unwrap();
    let events = Arc::new(Events::new().unwrap());
    let (requests, _) = mpsc::channel();
    let handle = http::start(Server {
        listen: Listen::At("127.0.0.1:0".parse().unwrap()),
        socket: dir.path().join("instore.sock"),
        metrics: Metrics::new(Arc::clone(&shared), events).unwrap(),
        shared,
        control: Control::new(requests, Waker::of_nobody().unwrap()),
    })
    .unwrap();
    Served { handle, _dir: dir }
}

/// The last suite of the healthy pool.
fn measured() -> Kept {
    let kept = serde_json::json!({
        "uuid": "2b3c77d6-51d1-4a5d-8d0f-4b0c7a1c2f10",
        "result": {
            "target": "/data/0", "file_system": "xfs", "length": "full", "caching": "direct",
            "engine": "io_uring", "size_bytes": 8_589_934_592_u64,
            "started_unix_ms": 1_800_000_000_000_u64, "ended_unix_ms": 1_800_000_120_000_u64,
            "interrupted": false, "instance_type": "i4i.large", "verdict": [], "warnings": [],
            "rows": [{
                "job": "rand-read-4k",
                "figures": {
                    "ios": 700_000, "bytes": 2_867_200_000_u64, "runtime_ms": 14_000.0,
                    "iops": 50_000.0, "bytes_per_second": 204_800_000.0,
                    "latency_us": {"mean": 100.0, "p50": 90.0, "p99": 300.0, "p999": 900.0,
                        "max": 1000.0},
                },
                "error": null, "expected_iops": 50_000.0, "expected_ratio": 1.0,
            }],
        },
    });
    serde_json::from_value(kept).unwrap()
}

fn disk(number: usize, serial: &str, verdict: Shown, pool: Option<&str>) -> DiskFacts {
    DiskFacts {
        id: format!("{serial}/1"),
        device: match verdict {
            Shown::Gone => String::new(),
            Shown::Is(_) => format!("nvme{number}n1"),
        },
        bus: Bus::Nvme,
        nsid: Some(1),
        model: "Amazon EC2 NVMe Instance Storage".into(),
        serial: serial.into(),
        size: 475_000_000_000,
        verdict,
        reason: match verdict {
            Shown::Gone => "it was part of pool instore-1 and is not there any more".into(),
            Shown::Is(Verdict::Refused) => "not empty: ext4 signature at byte 1080".into(),
            Shown::Is(_) => "ours: xfs filesystem \"instore-0\"".into(),
        },
        content: Some("Ours"),
        pool: pool.map(str::to_owned),
    }
}

fn pool(number: usize, serial: &str, mounted: bool) -> Pool {
    Pool {
        label: format!("instore-{number}"),
        at: format!("/data/{number}").into(),
        disks: vec![format!("{serial}/1")],
        missing: usize::from(!mounted),
        mounted,
        device: if mounted {
            "nvme1n1".into()
        } else {
            String::new()
        },
        fs: "xfs".into(),
        uuid: "2b3c77d6-51d1-4a5d-8d0f-4b0c7a1c2f10".into(),
        generation: "9f0c4be1a7725d33".into(),
        ..Pool::default()
    }
}

fn condition(
    kind: Kind,
    severity: Severity,
    object: Object,
    message: &str,
    since: SystemTime,
) -> Condition {
    let finding = Finding {
        kind,
        severity,
        object,
        message: message.into(),
        action: "drain the node and replace it",
    };
    Condition { finding, since }
}

fn snapshot(now: SystemTime) -> Snapshot {
    let since = now - Duration::from_secs(600);
    let gone = Object::Disk(format!("{HOSTILE}/1"));
    let refused = Object::Disk(format!("{REFUSED}/1"));
    Snapshot {
        reconciled: Some(now),
        node: NodeFacts {
            hostname: "ip-10-0-31-207.eu-west-1.compute.internal".into(),
            cloud: "AWS".into(),
            kernel: "6.1.112".into(),
        },
        disks: vec![
            disk(1, HEALTHY, Shown::Is(Verdict::Use), Some("instore-0")),
            disk(2, REFUSED, Shown::Is(Verdict::Refused), None),
            disk(3, HOSTILE, Shown::Gone, Some("instore-1")),
        ],
        pools: vec![pool(0, HEALTHY, true), pool(1, HOSTILE, false)],
        conditions: vec![
            condition(
                Kind::DiskGone,
                Severity::Critical,
                gone,
                "the disk of pool instore-1 is not on the node any more",
                since,
            ),
            condition(
                Kind::DiskRefused,
                Severity::Warning,
                refused,
                "not empty: ext4 signature at byte 1080",
                since,
            ),
        ],
        ..Snapshot::default()
    }
}

/// A counter that grows in a way that makes a curve.
fn counters(step: u64) -> Counters {
    let wave = |n: u64| (n * n) % 977 * 40;
    let reads = (0..=step).map(wave).sum();
    let writes = (0..=step).map(|n| wave(n + 13)).sum::<u64>() / 3;
    Counters {
        reads,
        read_bytes: reads * 16_384,
        read_ms: reads / 9,
        writes,
        written_bytes: writes * 65_536,
        write_ms: writes / 4,
        busy_ms: step * 2100,
        ..Counters::default()
    }
}

/// Fifteen minutes of work on the healthy disk; the one that is gone left half-way.
fn draw(shared: &Shared, now: SystemTime) {
    for step in 0..181 {
        let mut all = BTreeMap::from([(format!("{HEALTHY}/1"), counters(step))]);
        if step < 90 {
            all.insert(format!("{HOSTILE}/1"), counters(step + 5));
        }
        shared.history().add(now, 5.0, &all);
    }
}

fn readings(now: SystemTime) -> Readings {
    let mut page = [0_u8; 512];
    page[1..3].copy_from_slice(&311_u16.to_le_bytes());
    page[3..6].copy_from_slice(&[100, 10, 3]);
    let healthy = DiskReading {
        state: Some("live".into()),
        io: Some(counters(181)),
        smart: instore::nvme::Smart::parse(&page),
        ..DiskReading::default()
    };
    let space = Space {
        size: 475_000_000_000,
        free: 201_000_000_000,
        inodes: 232_000_000,
        inodes_free: 231_000_000,
    };
    let pool = PoolReading {
        io: Some(counters(181)),
        space: Some(space),
        formatted: Some(now - Duration::from_secs(7200)),
        trimmed: Some(now - Duration::from_secs(7200)),
        ..PoolReading::default()
    };
    Readings {
        disks: BTreeMap::from([(format!("{HEALTHY}/1"), healthy)]),
        pools: BTreeMap::from([("instore-0".to_owned(), pool)]),
        ..Readings::default()
    }
}
