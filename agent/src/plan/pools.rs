//! From sorted disks to pools: adopt what is there, make what is not.

use std::path::PathBuf;

use super::disks::Sorted;
use super::{DiskRef, Level, Plan, PoolPlan, Step, Verdict};
use crate::config::{Config, Fs, Layout};
use crate::inventory::{Array, Content, Disk, Filesystem, Inventory, Member, Mount, Ours};
use crate::probe::{LABEL, pool_index};

/// RAID10 keeps two copies; fewer disks than this are a mirror at most.
const RAID10_LEAST: usize = 4;

pub(super) fn plan(config: &Config, inventory: &Inventory, sorted: Sorted<'_>, plan: &mut Plan) {
    for (disk, fs) in &sorted.filesystems {
        adopt_filesystem(config, disk, fs, plan);
    }
    for (uuid, members) in &sorted.arrays {
        adopt_array(config, inventory, &sorted, uuid, members, plan);
    }
    refuse_rivals(plan);
    make(config, inventory, &sorted, plan);
    plan.pools.sort_by_key(|a| pool_index(&a.label));
}

fn place(config: &Config, label: &str) -> PathBuf {
    match pool_index(label) {
        Some(index) => config.mount.join(index.to_string()),
        None => config.mount.clone(),
    }
}

fn adopt_filesystem(config: &Config, disk: &Disk, fs: &Filesystem, plan: &mut Plan) {
    plan.judge(
        disk,
        Verdict::Use,
        format!("ours: {} filesystem {:?}", fs.fs, fs.label),
    );
    plan.pools.push(PoolPlan {
        label: fs.label.clone(),
        at: place(config, &fs.label),
        level: None,
        disks: vec![DiskRef::of(disk)],
        steps: Vec::new(),
    });
}

fn adopt_array(
    config: &Config,
    inventory: &Inventory,
    sorted: &Sorted<'_>,
    uuid: &str,
    members: &[(&Disk, &Member)],
    plan: &mut Plan,
) {
    let names = || {
        members
            .iter()
            .map(|(d, _)| d.identity())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let Some((_, first)) = members.first() else {
        return;
    };
    for (disk, member) in members {
        plan.judge(
            disk,
            Verdict::Use,
            format!(
                "ours: disk {} of {} of array {uuid}",
                member.slot + 1,
                member.raid_disks
            ),
        );
    }
    let Some(level) = Level::from_number(first.level) else {
        plan.blockers.push(format!(
            "array {uuid} on {} has level {}, which instore does not make",
            names(),
            first.level
        ));
        return;
    };
    let assembled = assembled(inventory, members);
    let wanted = first.raid_disks as usize;
    if members.len() < wanted
        && (level == Level::Raid0 || assembled.is_none() && members.len() + 1 < wanted)
    {
        plan.incomplete.push(uuid.to_owned());
        plan.blockers.push(format!(
            "array {uuid} needs {wanted} disks and {} are here ({}): its data is lost unless the others come back; to start over: instore wipe each of them",
            members.len(),
            names()
        ));
        return;
    }
    let mut steps = Vec::new();
    match assembled {
        None => steps.push(Step::AssembleArray {
            uuid: uuid.to_owned(),
        }),
        Some(array) => match &array.content {
            Some(Content::Ours(Ours::Filesystem(_))) => {}
            Some(other) => {
                plan.blockers.push(format!(
                    "array {uuid} on {} holds no filesystem of ours: {}",
                    names(),
                    other.reasons().join(", ")
                ));
                return;
            }
            None => {
                plan.blockers
                    .push(format!("what is on array {uuid} was not read"));
                return;
            }
        },
    }
    if sorted.to_finish.contains(uuid) {
        steps.push(Step::Finish);
    }
    let mut disks: Vec<_> = members.iter().map(|(d, _)| DiskRef::of(d)).collect();
    disks.sort();
    plan.pools.push(PoolPlan {
        label: LABEL.into(),
        at: place(config, LABEL),
        level: Some(level),
        disks,
        steps,
    });
}

/// The array that stands on these disks now. One that udev is still putting
/// together, or could not start, does not count.
fn assembled<'a>(inventory: &'a Inventory, members: &[(&Disk, &Member)]) -> Option<&'a Array> {
    inventory.arrays.iter().find(|array| {
        members
            .iter()
            .any(|(disk, _)| disk.holders.contains(&array.name))
            && array.size > 0
            && !matches!(array.state.as_str(), "inactive" | "clear")
    })
}

/// Two finished pools that want one mount point are for a person to decide.
fn refuse_rivals(plan: &mut Plan) {
    for (i, a) in plan.pools.iter().enumerate() {
        for b in &plan.pools[i + 1..] {
            if a.at == b.at || (pool_index(&a.label).is_none() != pool_index(&b.label).is_none()) {
                let names = |p: &PoolPlan| {
                    p.disks
                        .iter()
                        .map(|d| d.identity.clone())
                        .collect::<Vec<_>>()
                        .join(", ")
                };
                plan.blockers.push(format!(
                    "two pools of ours exclude each other: {} on {} and {} on {}; wipe the one that is not wanted",
                    a.label,
                    names(a),
                    b.label,
                    names(b)
                ));
                return;
            }
        }
    }
}

fn make(config: &Config, inventory: &Inventory, sorted: &Sorted<'_>, plan: &mut Plan) {
    let blank = &sorted.blank;
    let Some(first) = blank.first() else { return };
    let each =
        plan.pools.iter().all(|p| pool_index(&p.label).is_some()) && config.layout == Layout::Each;
    // A pool that has steps or disks of its own is never widened.
    if !each && (!plan.pools.is_empty() || !plan.blockers.is_empty()) {
        for disk in blank {
            plan.judge(
                disk,
                Verdict::Spare,
                "empty, but the node's pool is on other disks already",
            );
        }
        return;
    }
    if each {
        let is_free = |index: &usize| {
            let at = config.mount.join(index.to_string());
            !inventory
                .mounts
                .iter()
                .any(|mount| mount.at == at && is_left(mount, inventory))
        };
        let mut indices = free_indices(plan).filter(is_free);
        for disk in blank {
            let label = format!("{LABEL}-{}", indices.next().unwrap_or_default());
            add(config, inventory, sorted, &label, None, &[disk], plan);
        }
        return;
    }
    let count = blank.len();
    let level = match (config.layout, count) {
        (Layout::Auto | Layout::Single, 1) => None,
        (Layout::Auto | Layout::Raid0, 2..) => Some(Level::Raid0),
        // One disk needs no array; the next node type may have two.
        (Layout::Raid0, _) => None,
        (Layout::Raid10, RAID10_LEAST..) if count.is_multiple_of(2) => Some(Level::Raid10),
        (Layout::Raid10, _) => {
            return refuse(
                blank,
                plan,
                &format!(
                    "layout raid10 needs an even number of disks, at least {RAID10_LEAST}; {count} can be used here"
                ),
            );
        }
        _ => {
            return refuse(
                blank,
                plan,
                &format!(
                    "layout single takes one disk and {count} can be used here: choose auto or each, or deny the others"
                ),
            );
        }
    };
    if let Some(level) = level {
        let able = match level {
            Level::Raid0 => inventory.node.features.md_raid0,
            Level::Raid10 => inventory.node.features.md_raid10,
        };
        if !able {
            return refuse(
                blank,
                plan,
                &format!(
                    "this kernel ({}) has no md {level}: choose layout each",
                    inventory.node.kernel
                ),
            );
        }
        if blank.iter().any(|d| d.size != first.size) {
            // The end of a smaller disk would lie in the middle of the array.
            return refuse(
                blank,
                plan,
                "the disks differ in size, and an array wants equal ones: choose layout each, or deny some",
            );
        }
    }
    add(config, inventory, sorted, LABEL, level, blank, plan);
}

fn refuse(blank: &[&Disk], plan: &mut Plan, why: &str) {
    plan.blockers.push(why.to_owned());
    for disk in blank {
        plan.judge(disk, Verdict::Spare, format!("empty, but {why}"));
    }
}

/// Whether this is the mount of an NVMe disk that is gone: it stays until a
/// person takes it away, and keeps its number until then.
fn is_left(mount: &Mount, inventory: &Inventory) -> bool {
    let Some(name) = mount.source.strip_prefix("/dev/") else {
        return false;
    };
    let is_of = |disk: &Disk| disk.name == name || disk.partitions.iter().any(|part| part == name);
    name.starts_with("nvme") && !inventory.disks.iter().any(is_of)
}

fn free_indices(plan: &Plan) -> impl Iterator<Item = usize> + use<> {
    let taken: Vec<_> = plan
        .pools
        .iter()
        .filter_map(|p| pool_index(&p.label))
        .collect();
    (0..).filter(move |i| !taken.contains(i))
}

fn add(
    config: &Config,
    inventory: &Inventory,
    sorted: &Sorted<'_>,
    label: &str,
    level: Option<Level>,
    disks: &[&Disk],
    plan: &mut Plan,
) {
    let able = match config.fs {
        Fs::Xfs => inventory.node.features.xfs,
        Fs::Ext4 => inventory.node.features.ext4,
    };
    if !able {
        let why = format!(
            "this kernel ({}) has no {}",
            inventory.node.kernel, config.fs
        );
        return refuse(disks, plan, &why);
    }
    let mut steps = Vec::new();
    for array in &sorted.to_stop {
        if disks.iter().any(|d| d.holders.contains(&array.name)) {
            steps.push(Step::StopArray {
                uuid: array.uuid.clone().unwrap_or_default(),
            });
        }
    }
    steps.push(Step::Claim);
    steps.extend(level.map(|level| Step::CreateArray { level }));
    steps.extend([Step::MakeFilesystem { fs: config.fs }, Step::Finish]);
    for disk in disks {
        let why = match &disk.content {
            Some(Content::Ours(_)) => "claimed by an attempt that did not finish: made again",
            _ => "empty",
        };
        plan.judge(disk, Verdict::Use, why);
    }
    plan.pools.push(PoolPlan {
        label: label.to_owned(),
        at: place(config, label),
        level,
        disks: disks.iter().map(|d| DiskRef::of(d)).collect(),
        steps,
    });
}
