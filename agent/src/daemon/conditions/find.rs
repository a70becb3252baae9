//! What is the matter, from everything that is known of the node.

mod bench;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Finding, Kind, Object, Severity};
use crate::daemon::bench::Kept;
use crate::daemon::memory::{Known, Memory};
use crate::daemon::state::{DiskReading, PoolReading, Readings, Trouble};
use crate::inventory::{Content, Disk, Inventory, Mount};
use crate::nvme::smart::Warning;
use crate::output::plain;
use crate::plan::{Judged, Plan, Verdict};

/// A pool with less than this share free, of bytes or inodes, is full soon.
const FULL_PERCENT: u64 = 5;

/// Everything that is known.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub inventory: &'a Inventory,
    pub plan: &'a Plan,
    pub memory: &'a Memory,
    pub readings: &'a Readings,
    /// Last suites of the pools, by label.
    pub benches: &'a BTreeMap<String, Arc<Kept>>,
    pub failures: &'a Failures,
}

/// What went wrong in the daemon's own work, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures {
    pub observe: Option<String>,
    pub apply: Option<String>,
    pub reload: Option<String>,
    pub listen: Option<String>,
}

/// All that is the matter, each once.
#[must_use]
pub fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = Found::default();
    node(facts, &mut found);
    for (label, known) in facts.memory.pools() {
        pool(facts, label, known, &mut found);
    }
    for judged in &facts.plan.disks {
        disk(facts, judged, &mut found);
    }
    for (id, reading) in &facts.readings.disks {
        let of_pool = facts.memory.pools().values().any(|p| p.disks.contains(id));
        let worst = match of_pool {
            true => Severity::Critical,
            false => Severity::Warning,
        };
        health(id, reading, worst, &mut found);
    }
    found.list
}

/// What is the matter when the node cannot even be read.
#[must_use]
pub fn find_blind(failures: &Failures) -> Vec<Finding> {
    let mut found = Found::default();
    own(failures, &mut found);
    found.list
}

#[derive(Default)]
struct Found {
    list: Vec<Finding>,
    seen: BTreeSet<(Kind, Object)>,
}

impl Found {
    fn add(
        &mut self,
        kind: Kind,
        severity: Severity,
        object: Object,
        message: String,
        action: &'static str,
    ) {
        if self.seen.insert((kind, object.clone())) {
            self.list.push(Finding {
                kind,
                severity,
                object,
                message,
                action,
            });
        }
    }
}

fn node(facts: &Facts<'_>, found: &mut Found) {
    own(facts.failures, found);
    if !facts.plan.blockers.is_empty() {
        found.add(
            Kind::StorageBlocked,
            Severity::Critical,
            Object::Node,
            plain(&facts.plan.blockers.join("; ")),
            "run `instore plan`: it names what stands in the way",
        );
    }
}

fn own(failures: &Failures, found: &mut Found) {
    let mut add = |kind, severity, what: &Option<String>, action| {
        if let Some(message) = what {
            found.add(kind, severity, Object::Node, one_line(message), action);
        }
    };
    add(
        Kind::ObserveFailed,
        Severity::Critical,
        &failures.observe,
        "look whether /sys and /proc are mounted; the daemon tries again by itself",
    );
    add(
        Kind::ApplyFailed,
        Severity::Critical,
        &failures.apply,
        "read the message; `instore apply` tries again at once",
    );
    add(
        Kind::ConfigRefused,
        Severity::Warning,
        &failures.reload,
        "correct the configuration, then `systemctl reload instore`; the old one is in force",
    );
    add(
        Kind::ListenFailed,
        Severity::Warning,
        &failures.listen,
        "free the address or set another `listen`; the daemon tries again by itself",
    );
}

/// An error of a parser draws a picture of several lines.
fn one_line(words: &str) -> String {
    let parts: Vec<&str> = words.split_whitespace().collect();
    plain(&parts.join(" "))
}

fn pool(facts: &Facts<'_>, label: &str, known: &Known, found: &mut Found) {
    let object = || Object::Pool(label.to_owned());
    let disks = &facts.inventory.disks;
    let is_there = |id: &String| disks.iter().any(|disk| disk.identity() == *id);
    let missing: Vec<&String> = known.disks.iter().filter(|id| !is_there(id)).collect();
    for id in &missing {
        found.add(
            Kind::DiskGone,
            Severity::Critical,
            Object::Disk((*id).clone()),
            format!("the disk of pool {label} is not on the node any more"),
            "its data is lost unless it comes back: drain the node and replace it",
        );
    }
    let reading = facts.readings.pools.get(label);
    array(facts, label, known, missing.len(), reading, found);
    let Some(mount) = mount_of(facts.inventory, known) else {
        found.add(
            Kind::PoolNotMounted,
            Severity::Critical,
            object(),
            format!("nothing of it is mounted at {}", known.at.display()),
            "see `journalctl -u instore`; `instore plan` says what is to be done",
        );
        return;
    };
    if is_read_only(mount) {
        found.add(
            Kind::PoolReadOnly,
            Severity::Critical,
            object(),
            format!("{} is mounted read-only", known.at.display()),
            "see `dmesg` for the error that made it so; drain the node",
        );
    }
    match reading.and_then(|reading| reading.trouble.as_ref()) {
        Some(Trouble::Errors(words)) => found.add(
            Kind::PoolFailed,
            Severity::Critical,
            object(),
            format!("{} answers with errors: {words}", known.at.display()),
            "its filesystem has shut down: drain the node, then reboot or replace it",
        ),
        Some(Trouble::Late) => found.add(
            Kind::PoolUnresponsive,
            Severity::Critical,
            object(),
            format!("{} does not answer", known.at.display()),
            "a disk hangs: see `dmesg`; drain the node if it lasts",
        ),
        None => {}
    }
    if let Some(words) = reading.and_then(fullness) {
        found.add(
            Kind::PoolFull,
            Severity::Warning,
            object(),
            words,
            "find what fills it with `du -x`; move pods away",
        );
    }
    if let Some(words) = facts.benches.get(label).and_then(|kept| bench::slow(kept)) {
        found.add(
            Kind::PoolBelowSpecification,
            Severity::Warning,
            object(),
            words,
            "run `instore bench --suite` again on the idle node; replace the node if it stays so",
        );
    }
}

fn array(
    facts: &Facts<'_>,
    label: &str,
    known: &Known,
    missing: usize,
    reading: Option<&PoolReading>,
    found: &mut Found,
) {
    if known.disks.len() < 2 {
        return;
    }
    let of_it = |disk: &&Disk| known.disks.contains(&disk.identity());
    let members = facts.inventory.disks.iter().filter(of_it);
    let names: Vec<&str> = members.map(|disk| disk.name.as_str()).collect();
    let array = facts.inventory.arrays.iter().find(|array| {
        let members = &array.members;
        members
            .iter()
            .any(|member| names.contains(&member.as_str()))
    });
    let broken = array.is_some_and(|array| array.state == "broken");
    let degraded = reading.and_then(|reading| reading.degraded).unwrap_or(0);
    if missing == 0 && degraded == 0 && !broken {
        return;
    }
    let survives = array.is_some_and(|array| array.level == "raid10") && !broken;
    let lacks = missing
        .max(usize::try_from(degraded).unwrap_or(usize::MAX))
        .max(1);
    let (severity, action) = match survives {
        true => (
            Severity::Warning,
            "its data is still there, the next failure may take it: drain and replace the node",
        ),
        false => (
            Severity::Critical,
            "raid0 does not survive that: drain the node and replace it",
        ),
    };
    found.add(
        Kind::ArrayDegraded,
        severity,
        Object::Pool(label.to_owned()),
        format!("its array lacks {lacks} of {} disks", known.disks.len()),
        action,
    );
}

fn disk(facts: &Facts<'_>, judged: &Judged, found: &mut Found) {
    let id = &judged.identity;
    let object = || Object::Disk(id.clone());
    let of_pool = facts.memory.pools().values().any(|p| p.disks.contains(id));
    let seen = facts.inventory.disks.iter().find(|d| d.name == judged.name);
    let content = seen.and_then(|disk| disk.content.as_ref());
    match content {
        Some(Content::Empty) if facts.memory.held(id) && !of_pool => {
            found.add(
                Kind::DiskUnused,
                Severity::Info,
                object(),
                "it is empty now, and held something earlier in this boot".into(),
                "nothing is made on it unasked; if that is wanted, run `instore apply`",
            );
            return;
        }
        Some(Content::Empty) if facts.memory.held(id) => {
            found.add(
                Kind::DiskBlank,
                Severity::Critical,
                object(),
                "it held data in this boot and reads as empty now".into(),
                "nothing is made on it by itself; if that is wanted, run `instore apply`",
            );
            return;
        }
        Some(Content::Unreadable { cause }) if of_pool => {
            found.add(
                Kind::DiskFailed,
                Severity::Critical,
                object(),
                format!("it cannot be read: {}", plain(cause)),
                "drain the node and replace it",
            );
            return;
        }
        _ => {}
    }
    match judged.verdict {
        Verdict::Refused if !of_pool => found.add(
            Kind::DiskRefused,
            Severity::Warning,
            object(),
            plain(&judged.why),
            "see `instore disks`; `instore wipe` gives up what is on it",
        ),
        Verdict::Spare => found.add(
            Kind::DiskUnused,
            Severity::Info,
            object(),
            plain(&judged.why),
            "it takes part when the node's storage is made anew",
        ),
        Verdict::Refused | Verdict::Use | Verdict::Ignored => {}
    }
}

/// `worst` is what a dead controller is.
fn health(id: &str, reading: &DiskReading, worst: Severity, found: &mut Found) {
    let object = || Object::Disk(id.to_owned());
    if let Some(state) = reading.state.as_deref().filter(|state| *state != "live") {
        found.add(
            Kind::DiskFailed,
            worst,
            object(),
            format!("its controller is {}", plain(state)),
            "see `dmesg`; drain the node and replace it if it stays so",
        );
    }
    if reading.late {
        found.add(
            Kind::DiskUnresponsive,
            Severity::Warning,
            object(),
            "its controller has not answered a log page in time".into(),
            "see `dmesg`; if reads and writes hang too, drain the node",
        );
    }
    let warnings = reading.smart.iter().flat_map(|smart| smart.warnings());
    let words: Vec<&str> = warnings.map(Warning::word).collect();
    if !words.is_empty() {
        found.add(
            Kind::DiskHealth,
            Severity::Warning,
            object(),
            format!("its SMART page warns of: {}", words.join(", ")),
            "replace the node when its work allows it",
        );
    }
}

/// What is mounted at the pool's place, if that is a filesystem of its own.
pub(in crate::daemon) fn mount_of<'a>(
    inventory: &'a Inventory,
    known: &Known,
) -> Option<&'a Mount> {
    let mounts = inventory.mounts.iter().rev();
    let mut at = mounts.filter(|mount| mount.at == known.at);
    at.next().filter(|mount| !mount.dev.starts_with("0:"))
}

pub(in crate::daemon) fn is_read_only(mount: &Mount) -> bool {
    mount.options.split(',').any(|option| option == "ro")
}

fn fullness(reading: &PoolReading) -> Option<String> {
    let space = reading.space?;
    let is_low = |free: u64, of: u64| of > 0 && free < of / 100 * FULL_PERCENT;
    if is_low(space.free, space.size) {
        return Some(format!("less than {FULL_PERCENT}% of its bytes are free"));
    }
    is_low(space.inodes_free, space.inodes)
        .then(|| format!("less than {FULL_PERCENT}% of its inodes are free"))
}

#[cfg(test)]
mod tests;
