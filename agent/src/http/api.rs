//! The JSON of the API, from what was seen last. Its shapes are described in
//! openapi.json and docs/api.md.

mod bench;

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::daemon::conditions::Condition;
use crate::daemon::history::{History, INTERVAL_SECONDS, LENGTH, Rates};
use crate::daemon::state::{DiskFacts, DiskReading, Pool, PoolReading, Shared};
use crate::nvme::smart::Warning;

pub(super) use bench::bench;

pub(super) fn node(shared: &Shared) -> Value {
    let snapshot = shared.snapshot();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "hostname": snapshot.node.hostname,
        "cloud": snapshot.node.cloud,
        "kernel": snapshot.node.kernel,
    })
}

pub(super) fn disks(shared: &Shared) -> Value {
    let (snapshot, readings) = (shared.snapshot(), shared.readings());
    let history = shared.history();
    let one = |facts: &DiskFacts| disk(facts, readings.disks.get(&facts.id), &history);
    json!({ "disks": snapshot.disks.iter().map(one).collect::<Vec<_>>() })
}

fn disk(facts: &DiskFacts, reading: Option<&DiskReading>, history: &History) -> Value {
    json!({
        "id": facts.id,
        "device": facts.device,
        "model": facts.model,
        "serial": facts.serial,
        "size_bytes": facts.size,
        "verdict": facts.verdict.word(),
        "reason": facts.reason,
        "content": facts.content,
        "pool": facts.pool,
        "state": reading.and_then(|reading| reading.state.as_deref()),
        "io": history.last(&facts.id).map(|rates| io_now(&rates, reading)),
        "health": reading.and_then(health),
    })
}

fn io_now(rates: &Rates, reading: Option<&DiskReading>) -> Value {
    json!({
        "reads_per_second": rounded(rates.reads),
        "writes_per_second": rounded(rates.writes),
        "read_bytes_per_second": rounded(rates.read_bytes),
        "write_bytes_per_second": rounded(rates.written_bytes),
        "read_latency_microseconds": rates.read_latency.map(rounded),
        "write_latency_microseconds": rates.write_latency.map(rounded),
        "in_flight": reading.and_then(|reading| reading.io).map(|io| io.in_flight),
        "busy_ratio": (f64::from(rates.busy) * 1000.0).round() / 1000.0,
    })
}

fn health(reading: &DiskReading) -> Option<Value> {
    let smart = reading.smart.as_ref()?;
    let share = |percent: u8| f64::from(percent) / 100.0;
    Some(json!({
        "temperature_celsius": smart.temperature,
        "used_ratio": share(smart.used),
        "spare_ratio": share(smart.spare),
        "media_errors": smart.media_errors,
        "critical_warnings": smart.warnings().map(Warning::word).collect::<Vec<_>>(),
    }))
}

pub(super) fn pools(shared: &Shared) -> Value {
    let (snapshot, readings) = (shared.snapshot(), shared.readings());
    let one = |facts: &Pool| pool(facts, readings.pools.get(&facts.label));
    json!({ "pools": snapshot.pools.iter().map(one).collect::<Vec<_>>() })
}

fn pool(facts: &Pool, reading: Option<&PoolReading>) -> Value {
    let space = reading.and_then(|reading| reading.space);
    json!({
        "label": facts.label,
        "mount": facts.at,
        "fs": facts.fs,
        "level": facts.level,
        "uuid": facts.uuid,
        "device": facts.device,
        "disks": facts.disks,
        "mounted": facts.mounted,
        "read_only": facts.read_only,
        "size_bytes": space.map(|space| space.size),
        "free_bytes": space.map(|space| space.free),
        "inodes": space.map(|space| space.inodes),
        "inodes_free": space.map(|space| space.inodes_free),
        "array_state": facts.array_state,
        "disks_missing": facts.missing,
        "formatted_at": reading.and_then(|reading| reading.formatted).map(time),
        "generation": facts.generation,
    })
}

pub(super) fn conditions(shared: &Shared) -> Value {
    let snapshot = shared.snapshot();
    json!({
        "ready": snapshot.is_ready(),
        "since": time(shared.started),
        "observed_at": snapshot.reconciled.map(time),
        "conditions": snapshot.conditions.iter().map(condition).collect::<Vec<_>>(),
    })
}

fn condition(condition: &Condition) -> Value {
    let finding = &condition.finding;
    json!({
        "type": finding.kind,
        "severity": finding.severity,
        "object": finding.object,
        "since": time(condition.since),
        "message": finding.message,
        "action": finding.action,
    })
}

pub(super) fn io(shared: &Shared) -> Value {
    let snapshot = shared.snapshot();
    let history = shared.history();
    let one = |facts: &DiskFacts| {
        let rates: Vec<Option<Rates>> = history.line(&facts.id).collect();
        let line = |of: fn(&Rates) -> Option<f32>| -> Vec<Option<f64>> {
            let of = |rates: &Option<Rates>| of(rates.as_ref()?).map(rounded);
            rates.iter().map(of).collect()
        };
        json!({
            "id": facts.id,
            "device": facts.device,
            "pool": facts.pool,
            "read_bytes_per_second": line(|r| Some(r.read_bytes)),
            "write_bytes_per_second": line(|r| Some(r.written_bytes)),
            "reads_per_second": line(|r| Some(r.reads)),
            "writes_per_second": line(|r| Some(r.writes)),
            "read_latency_microseconds": line(|r| r.read_latency),
            "write_latency_microseconds": line(|r| r.write_latency),
        })
    };
    let end = history.end().map(|end| since_epoch(end).as_secs());
    json!({
        "interval_seconds": INTERVAL_SECONDS,
        "length": LENGTH,
        "end": end,
        "disks": snapshot.candidates().map(one).collect::<Vec<_>>(),
    })
}

/// All of it, for `instore status`.
pub(super) fn status(shared: &Shared) -> Value {
    let mut all = conditions(shared);
    for (name, part) in [
        ("node", node(shared)),
        ("disks", disks(shared)),
        ("pools", pools(shared)),
        ("bench", bench(shared)),
    ] {
        let inner = part.get(name).cloned().unwrap_or(part);
        if let Some(all) = all.as_object_mut() {
            all.insert(name.to_owned(), inner);
        }
    }
    all
}

/// One decimal: more would be noise, and a longer answer.
fn rounded(value: f32) -> f64 {
    (f64::from(value) * 10.0).round() / 10.0
}

/// RFC 3339, in UTC.
fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time.max(SystemTime::UNIX_EPOCH)).to_string()
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
