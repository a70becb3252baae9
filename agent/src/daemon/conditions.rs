//! What is the matter with the node's storage, by name, with since-when and
//! what to do. A pure function of what was seen; remembers only times.

pub(super) mod find;

use std::fmt;
use std::time::SystemTime;

use serde::Serialize;

pub use find::{Facts, Failures, find, find_blind};

/// What is the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Kind {
    /// A disk of a pool is not there any more.
    DiskGone,
    /// There, but its controller is not live, or it cannot be read.
    DiskFailed,
    /// It held data in this boot and reads as empty now.
    DiskBlank,
    /// The filesystem has shut down, or answers with errors.
    PoolFailed,
    PoolReadOnly,
    /// It does not answer in time.
    PoolUnresponsive,
    PoolNotMounted,
    ArrayDegraded,
    /// The plan has blockers.
    StorageBlocked,
    ApplyFailed,
    ObserveFailed,
    /// A log page was not answered in time.
    DiskUnresponsive,
    /// Its SMART page warns.
    DiskHealth,
    /// A rule names it, but what is on it or who uses it forbids it.
    DiskRefused,
    PoolFull,
    /// The last suite measured less than its instance type promises.
    PoolBelowSpecification,
    /// A reload was refused; the old configuration is in force.
    ConfigRefused,
    /// The address for HTTP cannot be had.
    ListenFailed,
    /// No pool wants it.
    DiskUnused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The storage is not what the configuration says: the node is not ready.
    Critical,
    Warning,
    Info,
}

impl Severity {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// What a condition is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    Node,
    /// By its label.
    Pool(String),
    /// By its identity.
    Disk(String),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("node"),
            Self::Pool(label) => write!(f, "pool {label}"),
            Self::Disk(identity) => write!(f, "disk {identity}"),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Something that is the matter now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub kind: Kind,
    pub severity: Severity,
    pub object: Object,
    /// What is the matter.
    pub message: String,
    /// What to do about it.
    pub action: &'static str,
}

/// A finding, and since when it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub finding: Finding,
    pub since: SystemTime,
}

/// The conditions that hold now: those of before keep their time.
#[must_use]
pub fn update(before: &[Condition], findings: Vec<Finding>, now: SystemTime) -> Vec<Condition> {
    let mut after: Vec<Condition> = findings
        .into_iter()
        .map(|finding| {
            let same = |c: &&Condition| {
                c.finding.kind == finding.kind && c.finding.object == finding.object
            };
            Condition {
                since: before.iter().find(same).map_or(now, |c| c.since),
                finding,
            }
        })
        .collect();
    after.sort_by(|a, b| key(a).cmp(&key(b)));
    after
}

/// Worst first, then in a steady order.
fn key(condition: &Condition) -> (Severity, Kind, &Object) {
    let finding = &condition.finding;
    (finding.severity, finding.kind, &finding.object)
}

/// Whether the storage is as configured.
#[must_use]
pub fn is_ready(conditions: &[Condition]) -> bool {
    conditions
        .iter()
        .all(|c| c.finding.severity != Severity::Critical)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn finding(kind: Kind, severity: Severity, object: Object) -> Finding {
        Finding {
            kind,
            severity,
            object,
            message: String::new(),
            action: "",
        }
    }

    #[test]
    fn what_still_holds_keeps_its_time_and_the_worst_comes_first() {
        let disk = |id: &str| Object::Disk(id.into());
        let then = SystemTime::UNIX_EPOCH;
        let now = then + Duration::from_secs(60);
        let refused = || finding(Kind::DiskRefused, Severity::Warning, disk("a"));
        let before = update(&[], vec![refused()], then);
        assert!(is_ready(&before));
        let gone = finding(Kind::DiskGone, Severity::Critical, disk("b"));
        let after = update(&before, vec![refused(), gone.clone()], now);
        let are: Vec<_> = after.iter().map(|c| (c.finding.kind, c.since)).collect();
        assert_eq!(are, [(Kind::DiskGone, now), (Kind::DiskRefused, then)]);
        assert!(!is_ready(&after));
        // What went and came back began anew.
        let again = update(&update(&after, vec![gone], now), vec![refused()], now);
        assert_eq!(again[0].since, now);
    }

    #[test]
    fn another_object_is_another_condition() {
        let then = SystemTime::UNIX_EPOCH;
        let of = |id: &str| finding(Kind::DiskGone, Severity::Critical, Object::Disk(id.into()));
        let before = update(&[], vec![of("a")], then);
        let after = update(&before, vec![of("b")], then + Duration::from_secs(1));
        assert_ne!(after[0].since, then);
    }
}
