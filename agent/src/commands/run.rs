//! The daemon, and what the command line asks of it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::{configure, print, print_json};
use crate::cli::{Cli, Output, Settings, exit};
use crate::config::Listen;
use crate::daemon::{self, client};
use crate::output::{plain, size, table};
use crate::spawn;

pub(super) fn run(
    cli: &Cli,
    settings: &Settings,
    listen: Option<Listen>,
    socket: &Path,
) -> Result<u8> {
    let configure = || {
        let mut config = configure(cli, settings)?;
        config.listen = listen.unwrap_or(config.listen);
        Ok(config)
    };
    daemon::run(&daemon::Options {
        configure: &configure,
        socket: socket.to_path_buf(),
        memory: daemon::memory_beside(socket),
    })?;
    Ok(exit::FINE)
}

/// Whether a daemon keeps this node: then it is the one that acts.
pub(super) fn has_daemon() -> bool {
    client::is_there(Path::new(daemon::SOCKET))
}

/// Has the daemon apply, with its own configuration.
pub(super) fn apply() -> Result<u8> {
    client::apply(Path::new(daemon::SOCKET), |line| {
        spawn::say(&format!("{}\n", plain(line)));
    })
}

pub(super) fn status(output: Output, socket: &Path) -> Result<u8> {
    let status = client::status(socket)?;
    match output {
        Output::Table => print(&describe(&status))?,
        Output::Json => print_json(&status)?,
    }
    let is_ready = status.get("ready").and_then(Value::as_bool);
    Ok(match is_ready {
        Some(true) => exit::FINE,
        _ => exit::REFUSED,
    })
}

/// What a person wants to know, the worst first.
fn describe(status: &Value) -> String {
    let ready = status.get("ready").and_then(Value::as_bool) == Some(true);
    let mut text = match ready {
        true => "ready: the storage is as configured\n".to_owned(),
        false => "NOT READY\n".to_owned(),
    };
    for condition in list(status, "conditions") {
        let _ = writeln!(
            text,
            "\n{} {}: {}\n  since {}\n  {}\n  {}",
            word(condition, "severity"),
            word(condition, "type"),
            word(condition, "object"),
            word(condition, "since"),
            word(condition, "message"),
            word(condition, "action"),
        );
    }
    let pools: Vec<Vec<String>> = list(status, "pools").map(pool).collect();
    if !pools.is_empty() {
        text += "\n";
        text += &table(
            &["POOL", "AT", "FS", "DISKS", "SIZE", "FREE", "STATE"],
            &pools,
        );
    }
    text += &bench(status);
    let disks = list(status, "disks").filter(|disk| word(disk, "verdict") != "ignored");
    let disks: Vec<Vec<String>> = disks.map(disk).collect();
    if !disks.is_empty() {
        text += "\n";
        text += &table(
            &["DISK", "IDENTITY", "MODEL", "SIZE", "VERDICT", "REASON"],
            &disks,
        );
    }
    text
}

fn pool(pool: &Value) -> Vec<String> {
    let is = |key: &str| pool.get(key).and_then(Value::as_bool) == Some(true);
    let state = match (is("mounted"), is("read_only")) {
        (false, _) => "not mounted",
        (true, true) => "read-only",
        (true, false) => "mounted",
    };
    let disks = list(pool, "disks").count();
    vec![
        word(pool, "label"),
        word(pool, "mount"),
        word(pool, "fs"),
        disks.to_string(),
        bytes(pool, "size_bytes"),
        bytes(pool, "free_bytes"),
        state.to_owned(),
    ]
}

/// A line for the suite that runs, and for the last of each pool.
fn bench(status: &Value) -> String {
    let mut text = String::new();
    let null = Value::Null;
    let bench = status.get("bench").unwrap_or(&null);
    if let Some(running) = bench.get("running").filter(|running| !running.is_null()) {
        let (target, suite) = (word(running, "target"), word(running, "suite"));
        let since = word(running, "since");
        let _ = writeln!(text, "{target}: a {suite} suite runs since {since}");
    }
    for pool in list(bench, "pools") {
        let Some(last) = pool.get("last").filter(|last| !last.is_null()) else {
            continue;
        };
        let jobs = list(last, "jobs").filter_map(|job| measured(job, &word(last, "instance_type")));
        let jobs: Vec<String> = jobs.collect();
        let (label, ended) = (word(pool, "label"), word(last, "ended_at"));
        let _ = writeln!(text, "pool {label} at {ended}: {}", jobs.join(", "));
    }
    match text.is_empty() {
        true => text,
        false => format!("\n{text}"),
    }
}

/// Of the jobs that an instance type promises something of.
fn measured(job: &Value, of_type: &str) -> Option<String> {
    let name = word(job, "job");
    let number = |key: &str| job.get(key).and_then(Value::as_f64);
    let share = number("expected_ratio").map(|ratio| {
        let percent = (ratio * 100.0).floor();
        format!(" ({percent} % of {of_type})")
    });
    let iops = number("iops").filter(|_| name.starts_with("rand-"))?;
    Some(format!(
        "{name} {iops:.0} IOPS{}",
        share.unwrap_or_default()
    ))
}

fn disk(disk: &Value) -> Vec<String> {
    let mut row = vec![word(disk, "device"), word(disk, "id"), word(disk, "model")];
    row.push(bytes(disk, "size_bytes"));
    row.extend([word(disk, "verdict"), word(disk, "reason")]);
    row
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn word(value: &Value, key: &str) -> String {
    plain(value.get(key).and_then(Value::as_str).unwrap_or("-"))
}

fn bytes(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_u64)
        .map_or("-".into(), size)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_says_the_worst_first_and_escapes_what_disks_say() {
        let text = describe(&json!({
            "ready": false,
            "conditions": [{"type": "DiskGone", "severity": "critical", "object": "disk A/1",
                "since": "2026-01-01T00:00:00Z", "message": "gone", "action": "replace it"}],
            "pools": [{"label": "instore", "mount": "/data", "fs": "xfs", "disks": ["A/1"],
                "mounted": true, "read_only": false, "size_bytes": 2_000_000_000_u64,
                "free_bytes": null}],
            "bench": {
                "running": {"target": "pool instore", "suite": "full",
                    "since": "2026-01-01T00:00:00Z"},
                "pools": [{"label": "instore", "last": {"ended_at": "2026-01-02T00:00:00Z",
                    "instance_type": "i4i.large", "jobs": [
                        {"job": "rand-read-4k", "iops": 39_999.6, "expected_ratio": 0.799},
                        {"job": "rand-write-4k", "iops": 9000.0, "expected_ratio": null},
                        {"job": "seq-read-128k", "iops": 1.0, "expected_ratio": null}]}},
                    {"label": "other", "last": null}],
            },
            "disks": [{"id": "\u{1b}[2J/1", "device": "nvme1n1", "model": "m",
                "size_bytes": 1, "verdict": "use", "reason": "r"},
                {"id": "x", "verdict": "ignored"}],
        }));
        assert!(text.starts_with("NOT READY\n"), "{text}");
        assert!(text.contains("critical DiskGone: disk A/1") && text.contains("replace it"));
        assert!(text.contains("2.0 GB") && text.contains("mounted"));
        assert!(
            text.contains(
                "pool instore: a full suite runs since 2026-01-01T00:00:00Z\n\
                 pool instore at 2026-01-02T00:00:00Z: rand-read-4k 40000 IOPS \
                 (79 % of i4i.large), rand-write-4k 9000 IOPS\n"
            ),
            "{text}"
        );
        assert!(!text.contains('\u{1b}') && !text.contains(" x "), "{text}");
    }
}
