//! Suites: the one that runs, and the last of each pool.

use std::time::{Duration, SystemTime};

use instore_bench::suite::{Figures, Row, SuiteResult};
use serde_json::{Value, json};

use super::time;
use crate::daemon::bench::Running;
use crate::daemon::state::{Pool, Shared};

pub(in crate::http) fn bench(shared: &Shared) -> Value {
    let (snapshot, benches) = (shared.snapshot(), shared.benches());
    let one = |pool: &Pool| {
        json!({
            "label": pool.label,
            "uuid": pool.uuid,
            "last": benches.of(pool).map(|kept| suite(&kept.result)),
        })
    };
    json!({
        "running": benches.running.as_ref().map(running),
        "pools": snapshot.pools.iter().map(one).collect::<Vec<_>>(),
    })
}

fn running(running: &Running) -> Value {
    json!({
        "target": running.target,
        "pool": running.pool,
        "suite": running.length_word(),
        "by": running.by.word(),
        "since": time(running.since),
    })
}

fn suite(result: &SuiteResult) -> Value {
    json!({
        "target": result.target,
        "file_system": result.file_system,
        "suite": result.length,
        "caching": result.caching,
        "engine": result.engine,
        "size_bytes": result.size_bytes,
        "started_at": time(at(result.started_unix_ms)),
        "ended_at": time(at(result.ended_unix_ms)),
        "instance_type": result.instance_type,
        "verdict": result.verdict,
        "jobs": result.rows.iter().map(row).collect::<Vec<_>>(),
        "warnings": result.warnings,
    })
}

fn at(unix_ms: u64) -> SystemTime {
    // A file that somebody wrote may hold any number.
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms));
    time.filter(|time| *time < SystemTime::UNIX_EPOCH + YEARS)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Some thousand of them: later ones have no date that can be written.
const YEARS: Duration = Duration::from_secs(5000 * 365 * 86_400);

fn row(row: &Row) -> Value {
    let of = |figure: fn(&Figures) -> f64| row.figures.as_ref().map(|f| rounded(figure(f)));
    json!({
        "job": row.job,
        "iops": of(|f| f.iops),
        "bytes_per_second": of(|f| f.bytes_per_second),
        "latency_mean_microseconds": of(|f| f.latency_us.mean),
        "latency_p50_microseconds": of(|f| f.latency_us.p50),
        "latency_p99_microseconds": of(|f| f.latency_us.p99),
        "latency_p999_microseconds": of(|f| f.latency_us.p999),
        "latency_max_microseconds": of(|f| f.latency_us.max),
        "expected_iops": row.expected_iops,
        "expected_ratio": row.expected_ratio.map(|ratio| (ratio * 1000.0).round() / 1000.0),
        "error": row.error,
    })
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
