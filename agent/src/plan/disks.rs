//! Sorts the disks: what may be formatted, what is ours already, what is not
//! to be touched and why.

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, Verdict};
use crate::config::Config;
use crate::inventory::{Array, Claim, Content, Disk, Filesystem, Inventory, Member, Ours};
use crate::rules;

/// Disks that may take part, by what is on them.
#[derive(Debug, Default)]
pub(super) struct Sorted<'a> {
    /// Empty, or claimed by an attempt that did not finish.
    pub(super) blank: Vec<&'a Disk>,
    /// Finished filesystems on a whole disk.
    pub(super) filesystems: Vec<(&'a Disk, &'a Filesystem)>,
    /// Members of finished arrays, by the array's UUID.
    pub(super) arrays: BTreeMap<&'a str, Vec<(&'a Disk, &'a Member)>>,
    /// Finished pools on which a claim was left behind, by the pool's UUID.
    pub(super) to_finish: BTreeSet<&'a str>,
    /// Unfinished arrays of ours that stand on blank disks.
    pub(super) to_stop: Vec<&'a Array>,
}

pub(super) fn sort<'a>(config: &Config, inventory: &'a Inventory, plan: &mut Plan) -> Sorted<'a> {
    let mut sorted = Sorted::default();
    let mut claimed: Vec<(&Disk, &Claim)> = Vec::new();
    for disk in &inventory.disks {
        match rules::judge(disk, inventory.node.cloud, config) {
            rules::Verdict::Refused { why } => {
                plan.judge(disk, Verdict::Ignored, why);
                continue;
            }
            rules::Verdict::Candidate { .. } => {}
        }
        if let Some(why) = why_not(disk, inventory) {
            plan.judge(disk, Verdict::Refused, why);
            continue;
        }
        match &disk.content {
            Some(Content::Empty) => sorted.blank.push(disk),
            Some(Content::Ours(Ours::Filesystem(fs))) => sorted.filesystems.push((disk, fs)),
            Some(Content::Ours(Ours::Member(member))) => {
                sorted
                    .arrays
                    .entry(&member.array_uuid)
                    .or_default()
                    .push((disk, member));
            }
            Some(Content::Ours(Ours::Claimed(claim))) => claimed.push((disk, claim)),
            Some(Content::Foreign { .. } | Content::Unreadable { .. }) | None => {}
        }
    }
    for (disk, claim) in claimed {
        place_claimed(disk, claim, inventory, &mut sorted, plan);
    }
    sorted.blank.sort_by_key(|d| d.identity());
    sorted
}

/// Why a disk that a rule names cannot be used as it is.
fn why_not(disk: &Disk, inventory: &Inventory) -> Option<String> {
    if let Some(owner) = inventory.owners.first() {
        return Some(format!(
            "{} manages this node's disks ({})",
            owner.name, owner.evidence
        ));
    }
    let twin = |other: &&Disk| other.name != disk.name && other.identity() == disk.identity();
    if let Some(twin) = inventory.disks.iter().find(twin) {
        return Some(format!(
            "{} has the same serial: are they one disk?",
            twin.name
        ));
    }
    if disk.read_only {
        return Some("it is read-only".into());
    }
    if disk.removable {
        return Some("it is removable".into());
    }
    if !disk.partitions.is_empty() {
        return Some(format!("it has partitions: {}", disk.partitions.join(", ")));
    }
    let in_use = || {
        // Whatever holds it is among its uses, when those could be read.
        let words = if disk.uses.is_empty() {
            &disk.holders
        } else {
            &disk.uses
        };
        (!words.is_empty()).then(|| format!("it is in use: {}", words.join(", ")))
    };
    match &disk.content {
        None => Some("its content was not read".into()),
        Some(Content::Unreadable { cause }) => {
            Some(format!("what is on it could not be told: {cause}"))
        }
        Some(content @ Content::Foreign { .. }) => Some(format!(
            "it is not empty: {}; to give it up: instore wipe {} --confirm {}",
            content.reasons().join(", "),
            disk.name,
            disk.serial
        )),
        Some(Content::Empty) => in_use(),
        Some(Content::Ours(Ours::Filesystem(_))) => {
            (!disk.holders.is_empty()).then(|| format!("held by {}", disk.holders.join(", ")))
        }
        Some(Content::Ours(Ours::Member(member))) => {
            foreign_holder(disk, inventory, &member.array_uuid)
        }
        Some(Content::Ours(Ours::Claimed(claim))) => {
            if disk.holders.is_empty() {
                in_use()
            } else {
                foreign_holder(disk, inventory, &claim.pool_uuid)
            }
        }
    }
}

/// A holder that is not the array the disk belongs to.
fn foreign_holder(disk: &Disk, inventory: &Inventory, uuid: &str) -> Option<String> {
    let holder = disk.holders.iter().find(|holder| {
        !inventory
            .arrays
            .iter()
            .any(|a| a.name == **holder && holds_only(a, inventory, uuid))
    })?;
    Some(format!("held by {holder}, which is not the array on it"))
}

/// Whether all members of an array are disks of ours with this pool's UUID.
fn holds_only(array: &Array, inventory: &Inventory, uuid: &str) -> bool {
    let all = |fits: fn(&Ours, &str) -> bool| {
        array.members.iter().all(|name| {
            inventory.disks.iter().any(|d| {
                d.name == *name
                    && matches!(&d.content, Some(Content::Ours(ours)) if fits(ours, uuid))
            })
        })
    };
    let of_this_pool = |ours: &Ours, uuid: &str| match ours {
        Ours::Member(member) => member.array_uuid == uuid,
        Ours::Claimed(claim) => claim.pool_uuid == uuid,
        Ours::Filesystem(_) => false,
    };
    // Claimed all of them, if for different attempts: nothing was ever mounted.
    all(of_this_pool) || all(|ours, _| matches!(ours, Ours::Claimed(_)))
}

/// A claim means: this pool was never mounted. When another disk of the pool
/// has lost its claim already, the pool was complete and only clearing the
/// claims was interrupted; else it is made again from the start.
fn place_claimed<'a>(
    disk: &'a Disk,
    claim: &'a Claim,
    inventory: &'a Inventory,
    sorted: &mut Sorted<'a>,
    plan: &mut Plan,
) {
    let uuid = claim.pool_uuid.as_str();
    let mates_done = inventory.disks.iter().any(
        |d| matches!(&d.content, Some(Content::Ours(Ours::Member(m))) if m.array_uuid == uuid),
    );
    if mates_done {
        match claim.under.as_deref() {
            Some(Ours::Member(member)) if member.array_uuid == uuid => {
                sorted.arrays.entry(&member.array_uuid).or_default().push((disk, member));
                sorted.to_finish.insert(&member.array_uuid);
            }
            _ => plan.judge(
                disk,
                Verdict::Refused,
                format!(
                    "it is claimed for array {uuid}, which other disks have complete, but its own part is missing; to give it up: instore wipe {} --confirm {}",
                    disk.name, disk.serial
                ),
            ),
        }
        return;
    }
    for array in &inventory.arrays {
        let known = sorted.to_stop.iter().any(|a| a.name == array.name);
        if disk.holders.contains(&array.name) && !known {
            sorted.to_stop.push(array);
        }
    }
    sorted.blank.push(disk);
}
