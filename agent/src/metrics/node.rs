//! Metrics of the node: disks by verdict, conditions, pools, and the agent.

use std::time::{SystemTime, UNIX_EPOCH};

use super::family::Families;
use crate::daemon::state::{DiskFacts, Pool, PoolReading, Process, Readings, Shown, Snapshot};
use crate::plan::Verdict;

pub(super) fn tell(snapshot: &Snapshot, readings: &Readings, out: &mut Families) {
    out.gauge(
        "instore_build_info",
        "The version that runs.",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1.0,
    );
    out.gauge(
        "instore_ready",
        "Whether the storage is as configured.",
        &[],
        flag(snapshot.is_ready()),
    );
    if let Some(time) = snapshot.reconciled {
        out.gauge(
            "instore_last_reconcile_timestamp_seconds",
            "When the loop looked at the node last.",
            &[],
            seconds(time),
        );
    }
    disks(snapshot, out);
    conditions(snapshot, out);
    for pool in &snapshot.pools {
        pool_facts(pool, out);
        if let Some(reading) = readings.pools.get(&pool.label) {
            pool_reading(&pool.label, reading, out);
        }
    }
    process(&readings.process, out);
}

fn disks(snapshot: &Snapshot, out: &mut Families) {
    for verdict in [
        Verdict::Use,
        Verdict::Spare,
        Verdict::Refused,
        Verdict::Ignored,
    ] {
        let shown = Shown::Is(verdict);
        let count = snapshot.disks.iter().filter(|d| d.verdict == shown).count();
        out.gauge(
            "instore_disks",
            "Disks of the node, by verdict.",
            &[("verdict", shown.word())],
            number(count as u64),
        );
    }
    for disk in snapshot.measured() {
        disk_facts(disk, out);
    }
}

fn disk_facts(disk: &DiskFacts, out: &mut Families) {
    let labels = [
        ("disk", disk.id.as_str()),
        ("device", &disk.device),
        ("model", &disk.model),
        ("verdict", disk.verdict.word()),
        ("pool", disk.pool.as_deref().unwrap_or("")),
    ];
    out.gauge(
        "instore_disk_info",
        "A disk that is measured, and what it is used for.",
        &labels,
        1.0,
    );
    if disk.verdict != Shown::Gone {
        out.gauge(
            "instore_disk_size_bytes",
            "Size of the disk.",
            &[("disk", &disk.id)],
            number(disk.size),
        );
    }
}

fn conditions(snapshot: &Snapshot, out: &mut Families) {
    for condition in &snapshot.conditions {
        let finding = &condition.finding;
        let kind = format!("{:?}", finding.kind);
        let object = finding.object.to_string();
        out.gauge(
            "instore_condition",
            "What is the matter now; absent when it is not.",
            &[
                ("type", &kind),
                ("severity", finding.severity.word()),
                ("object", &object),
            ],
            1.0,
        );
        out.gauge(
            "instore_condition_since_timestamp_seconds",
            "Since when it is the matter.",
            &[("type", &kind), ("object", &object)],
            seconds(condition.since),
        );
    }
}

fn pool_facts(pool: &Pool, out: &mut Families) {
    let mount = pool.at.display().to_string();
    let level = pool.level.map(|level| level.to_string());
    out.gauge(
        "instore_pool_info",
        "A pool, and which blocks it is made of: another generation is other blocks.",
        &[
            ("pool", &pool.label),
            ("mount", &mount),
            ("fs", &pool.fs),
            ("level", level.as_deref().unwrap_or("")),
            ("uuid", &pool.uuid),
            ("device", &pool.device),
            ("generation", &pool.generation),
        ],
        1.0,
    );
    let labels = [("pool", pool.label.as_str())];
    let mut gauge = |name, help, value| out.gauge(name, help, &labels, value);
    gauge(
        "instore_pool_mounted",
        "Whether the pool is mounted.",
        flag(pool.mounted),
    );
    gauge(
        "instore_pool_read_only",
        "Whether the kernel made it read-only.",
        flag(pool.read_only),
    );
    gauge(
        "instore_pool_disks",
        "Disks the pool is made of.",
        number(pool.disks.len() as u64),
    );
    gauge(
        "instore_pool_disks_missing",
        "Of these, how many are gone.",
        number(pool.missing as u64),
    );
    if let Some(state) = &pool.array_state {
        out.gauge(
            "instore_pool_array_state",
            "The state that md names for the pool's array.",
            &[("pool", &pool.label), ("state", state)],
            1.0,
        );
    }
}

fn pool_reading(label: &str, reading: &PoolReading, out: &mut Families) {
    let labels = [("pool", label)];
    let mut gauge = |name, help, value| out.gauge(name, help, &labels, value);
    if let Some(space) = reading.space {
        gauge(
            "instore_pool_size_bytes",
            "Size of the filesystem.",
            number(space.size),
        );
        gauge("instore_pool_free_bytes", "Free bytes.", number(space.free));
        gauge(
            "instore_pool_inodes",
            "Inodes the filesystem may have.",
            number(space.inodes),
        );
        gauge(
            "instore_pool_inodes_free",
            "Free inodes.",
            number(space.inodes_free),
        );
    }
    if let Some(time) = reading.formatted {
        gauge(
            "instore_pool_formatted_timestamp_seconds",
            "When the filesystem was made.",
            seconds(time),
        );
    }
    if let Some(time) = reading.trimmed {
        gauge(
            "instore_last_trim_timestamp_seconds",
            "When the pool was trimmed last; when it was made, if never.",
            seconds(time),
        );
    }
}

fn process(process: &Process, out: &mut Families) {
    out.gauge(
        "process_resident_memory_bytes",
        "Resident memory of the agent.",
        &[],
        number(process.resident),
    );
    out.gauge(
        "process_open_fds",
        "Files the agent has open.",
        &[],
        number(process.open_files),
    );
    out.counter(
        "process_cpu_seconds_total",
        "Processor time of the agent.",
        &[],
        process.cpu_seconds,
    );
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus keeps all values as doubles"
)]
pub(super) fn number(value: u64) -> f64 {
    value as f64
}
