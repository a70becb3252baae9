//! What the daemon knows now, as plain data: the loop writes the snapshot, the
//! collector the readings, and whoever answers a request only reads both.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use super::bench::{Benches, Kept, Running};
use super::conditions::Condition;
use super::history::History;
use crate::inventory::{Bus, Content, Inventory};
use crate::nvme::amazon::Amazon;
use crate::nvme::smart::Smart;
use crate::plan::{Level, Plan, Verdict};

/// As `rules` denies it.
const EBS_MODEL: &str = "Amazon Elastic Block Store";
/// Whose disks keep Amazon's log page; to others its number means something else.
const AMAZON: &str = "Amazon ";

/// Shared by the loop, the collector and the servers.
#[derive(Debug)]
pub struct Shared {
    pub started: SystemTime,
    snapshot: Mutex<Arc<Snapshot>>,
    readings: Mutex<Arc<Readings>>,
    history: Mutex<History>,
    benches: Mutex<Arc<Benches>>,
}

/// The node at the end of the last turn of the loop.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// None before the first turn.
    pub reconciled: Option<SystemTime>,
    /// The same by a clock that nobody sets.
    pub looked: Option<Instant>,
    /// Something is to be done that the daemon does by itself.
    pub is_pending: bool,
    pub node: NodeFacts,
    pub disks: Vec<DiskFacts>,
    pub pools: Vec<Pool>,
    pub plan: Plan,
    pub conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Default)]
pub struct NodeFacts {
    pub hostname: String,
    pub cloud: String,
    pub kernel: String,
}

/// A disk and its verdict.
#[derive(Debug, Clone)]
pub struct DiskFacts {
    pub id: String,
    /// Kernel name, to show.
    pub device: String,
    pub bus: Bus,
    pub nsid: Option<u32>,
    pub model: String,
    pub serial: String,
    pub size: u64,
    pub verdict: Shown,
    pub reason: String,
    pub content: Option<&'static str>,
    /// Label of its pool.
    pub pool: Option<String>,
}

impl DiskFacts {
    #[must_use]
    pub fn is_amazon(&self) -> bool {
        self.model.starts_with(AMAZON)
    }
}

/// A verdict, or that a disk of a pool is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Is(Verdict),
    Gone,
}

impl Shown {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Is(Verdict::Use) => "use",
            Self::Is(Verdict::Spare) => "spare",
            Self::Is(Verdict::Refused) => "refused",
            Self::Is(Verdict::Ignored) => "ignored",
            Self::Gone => "gone",
        }
    }
}

/// A pool as it was last whole, and what is mounted of it.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    pub label: String,
    pub at: PathBuf,
    pub level: Option<Level>,
    /// Identities.
    pub disks: Vec<String>,
    pub missing: usize,
    pub mounted: bool,
    pub read_only: bool,
    /// Kernel name of what is mounted.
    pub device: String,
    pub fs: String,
    pub uuid: String,
    pub array_state: Option<String>,
    /// Tells "the same disks" from "the node came back with blank ones".
    pub generation: String,
}

/// What the collector read last.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    pub disks: BTreeMap<String, DiskReading>,
    pub pools: BTreeMap<String, PoolReading>,
    pub process: Process,
}

#[derive(Debug, Clone, Default)]
pub struct DiskReading {
    /// Of its controller: "live" when all is well.
    pub state: Option<String>,
    pub io: Option<Counters>,
    pub queue: Option<Queue>,
    pub smart: Option<Smart>,
    pub amazon: Option<Amazon>,
    /// Pages that were tried, and whether the last reading was good.
    pub pages: BTreeMap<Page, bool>,
    /// Its controller has not answered yet.
    pub late: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Page {
    Smart,
    Amazon,
}

impl Page {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Smart => "smart",
            Self::Amazon => "amazon",
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct PoolReading {
    pub io: Option<Counters>,
    pub space: Option<Space>,
    pub trouble: Option<Trouble>,
    /// Disks that the array says it lacks.
    pub degraded: Option<u32>,
    pub formatted: Option<SystemTime>,
    pub trimmed: Option<SystemTime>,
}

/// Why a pool cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It answers with errors.
    Errors(String),
    /// It does not answer.
    Late,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub size: u64,
    pub free: u64,
    pub inodes: u64,
    pub inodes_free: u64,
}

/// What the kernel counts of a block device (Documentation/block/stat), in
/// bytes and milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub reads: u64,
    pub read_bytes: u64,
    pub read_ms: u64,
    pub writes: u64,
    pub written_bytes: u64,
    pub write_ms: u64,
    pub discards: u64,
    pub discarded_bytes: u64,
    pub in_flight: u64,
    pub busy_ms: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    pub requests: u64,
    pub read_ahead: u64,
    pub scheduler: String,
    pub write_cache: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Process {
    pub resident: u64,
    pub cpu_seconds: f64,
    pub open_files: u64,
}

impl Shared {
    #[must_use]
    pub fn new(started: SystemTime) -> Self {
        Self {
            started,
            snapshot: Mutex::default(),
            readings: Mutex::default(),
            history: Mutex::default(),
            benches: Mutex::default(),
        }
    }

    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&held(&self.snapshot))
    }

    pub fn set_snapshot(&self, snapshot: Snapshot) {
        *held(&self.snapshot) = Arc::new(snapshot);
    }

    #[must_use]
    pub fn readings(&self) -> Arc<Readings> {
        Arc::clone(&held(&self.readings))
    }

    pub fn set_readings(&self, readings: Readings) {
        *held(&self.readings) = Arc::new(readings);
    }

    pub fn history(&self) -> MutexGuard<'_, History> {
        held(&self.history)
    }

    #[must_use]
    pub fn benches(&self) -> Arc<Benches> {
        Arc::clone(&held(&self.benches))
    }

    pub fn set_running(&self, running: Option<Running>) {
        Arc::make_mut(&mut held(&self.benches)).running = running;
    }

    /// Keeps the result of a pool, in the place of the one before.
    pub fn set_bench(&self, label: &str, kept: &Arc<Kept>) {
        Arc::make_mut(&mut held(&self.benches)).keep(label, kept);
    }
}

/// What is behind these locks is replaced whole: after a panic it still holds.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Snapshot {
    /// Disks that a rule names.
    pub fn candidates(&self) -> impl Iterator<Item = &DiskFacts> {
        self.disks
            .iter()
            .filter(|disk| disk.verdict != Shown::Is(Verdict::Ignored))
    }

    /// Disks that are measured: those, and EBS volumes, which tell what holds
    /// them back.
    pub fn measured(&self) -> impl Iterator<Item = &DiskFacts> {
        let is_named = |disk: &DiskFacts| disk.verdict != Shown::Is(Verdict::Ignored);
        let disks = self.disks.iter();
        disks.filter(move |disk| is_named(disk) || disk.model == EBS_MODEL)
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        let is_looked_at = self.reconciled.is_some() && !self.is_pending;
        is_looked_at && super::conditions::is_ready(&self.conditions)
    }
}

/// Builds the facts that are shown of a node.
#[must_use]
pub fn disk_facts(inventory: &Inventory, plan: &Plan) -> Vec<DiskFacts> {
    let facts = |disk: &crate::inventory::Disk| {
        let judged = plan.disks.iter().find(|judged| judged.name == disk.name);
        let pool = plan
            .pools
            .iter()
            .find(|pool| pool.disks.iter().any(|d| d.name == disk.name));
        DiskFacts {
            id: disk.identity(),
            device: disk.name.clone(),
            bus: disk.bus,
            nsid: disk.nsid,
            model: disk.model.clone(),
            serial: disk.serial.clone(),
            size: disk.size,
            verdict: Shown::Is(judged.map_or(Verdict::Ignored, |j| j.verdict)),
            reason: judged.map(|j| j.why.clone()).unwrap_or_default(),
            content: disk.content.as_ref().map(Content::word),
            pool: pool.map(|pool| pool.label.clone()),
        }
    };
    inventory.disks.iter().map(facts).collect()
}
