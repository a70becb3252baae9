//! What apply will do and why: a pure function of the configuration and of what
//! was observed. A refusal is data. Decides nothing by kernel name.

mod disks;
mod pools;
mod targets;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::config::{Config, Fs};
use crate::inventory::{Disk, Inventory};

pub use targets::STAGE;

/// A plan. Without steps and blockers the node is as configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Every disk, used or not, with its reason.
    pub disks: Vec<Judged>,
    pub pools: Vec<PoolPlan>,
    /// Node directories to bind, after the pools are mounted.
    pub binds: Vec<PathBuf>,
    /// UUIDs of arrays of ours that lack a disk now: it may still appear.
    pub incomplete: Vec<String>,
    /// Why nothing can be done until a person decides. Empty when fine.
    pub blockers: Vec<String>,
    /// Worth knowing, and no reason to stop.
    pub notes: Vec<String>,
}

/// The verdict on one disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// Kernel name, to show; never to remember.
    pub name: String,
    pub identity: String,
    pub verdict: Verdict,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Part of a pool, or about to be.
    Use,
    /// Ephemeral and usable, but no pool wants it.
    Spare,
    /// A rule names it, but what is on it or who uses it forbids it.
    Refused,
    /// Not an ephemeral disk.
    Ignored,
}

/// One pool and what is left to do for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolPlan {
    /// The label of its filesystem.
    pub label: String,
    pub at: PathBuf,
    pub level: Option<Level>,
    /// Sorted by identity.
    pub disks: Vec<DiskRef>,
    pub steps: Vec<Step>,
}

/// A disk of a pool, by what identifies it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DiskRef {
    pub identity: String,
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Raid0,
    Raid10,
}

/// One thing to do. Steps of a pool are done in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Step {
    /// Takes an unfinished array of ours apart.
    StopArray {
        uuid: String,
    },
    /// Marks the disks as being worked on. From here on they are written.
    Claim,
    CreateArray {
        level: Level,
    },
    AssembleArray {
        uuid: String,
    },
    MakeFilesystem {
        fs: Fs,
    },
    /// Clears the claims: the filesystem is complete.
    Finish,
    /// Carries content of the mount point over first, where there is any.
    Mount,
}

/// Decides.
#[must_use]
pub fn plan(config: &Config, inventory: &Inventory) -> Plan {
    let mut plan = Plan::default();
    let sorted = disks::sort(config, inventory, &mut plan);
    pools::plan(config, inventory, sorted, &mut plan);
    targets::plan(config, inventory, &mut plan);
    if plan.pools.is_empty() && plan.blockers.is_empty() {
        let sentence = match plan.refused().count() {
            0 => "no ephemeral disk to use on this node".to_owned(),
            refused => format!("no ephemeral disk to use on this node: {refused} refused"),
        };
        if config.require_disks {
            plan.blockers
                .push(format!("{sentence}, and disks are required"));
        } else {
            plan.notes.push(sentence);
        }
    }
    if !plan.blockers.is_empty() {
        for pool in &mut plan.pools {
            pool.steps.clear();
        }
        plan.binds.clear();
    }
    plan.disks
        .sort_by(|a, b| (&a.name, &a.identity).cmp(&(&b.name, &b.identity)));
    plan
}

impl Plan {
    /// Whether apply has anything to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.binds.is_empty() && self.pools.iter().all(|p| p.steps.is_empty())
    }

    /// Disks that a rule names and that cannot be used as they are.
    pub fn refused(&self) -> impl Iterator<Item = &Judged> {
        self.disks.iter().filter(|d| d.verdict == Verdict::Refused)
    }

    fn judge(&mut self, disk: &Disk, verdict: Verdict, why: impl Into<String>) {
        self.disks.push(Judged {
            name: disk.name.clone(),
            identity: disk.identity(),
            verdict,
            why: why.into(),
        });
    }
}

impl DiskRef {
    fn of(disk: &Disk) -> Self {
        Self {
            identity: disk.identity(),
            name: disk.name.clone(),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raid0 => "raid0",
            Self::Raid10 => "raid10",
        })
    }
}

impl Level {
    /// As md numbers it.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::Raid0 => 0,
            Self::Raid10 => 10,
        }
    }

    pub(crate) fn from_number(level: i32) -> Option<Self> {
        match level {
            0 => Some(Self::Raid0),
            10 => Some(Self::Raid10),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StopArray { .. } => f.write_str("stop the array that was not finished"),
            Self::Claim => f.write_str("check again that the disks are empty, and claim them"),
            Self::CreateArray { level } => write!(f, "create a {level} array"),
            Self::AssembleArray { uuid } => write!(f, "assemble array {uuid}"),
            Self::MakeFilesystem { fs } => write!(f, "make an {fs} filesystem"),
            Self::Finish => f.write_str("clear the claims: the filesystem is complete"),
            Self::Mount => f.write_str("mount it"),
        }
    }
}

#[cfg(test)]
mod tests;
