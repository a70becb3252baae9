//! What is shown of the node, put together from what the loop saw.

use sha2::{Digest as _, Sha256};

use super::conditions::find::{is_read_only, mount_of};
use super::memory::{Known, Memory};
use super::state::{DiskFacts, NodeFacts, Pool, Shown, disk_facts};
use crate::inventory::{Content, Filesystem, Inventory, Ours};
use crate::output;
use crate::plan::Plan;
use crate::root::Root;

/// Disks that are there, and those of pools that are not.
pub(super) fn disks(inventory: &Inventory, plan: &Plan, memory: &Memory) -> Vec<DiskFacts> {
    let mut disks = disk_facts(inventory, plan);
    for (label, known) in memory.pools() {
        for id in &known.disks {
            match disks.iter_mut().find(|disk| disk.id == *id) {
                Some(disk) => disk.pool = Some(label.clone()),
                None => disks.push(gone(id, label)),
            }
        }
    }
    disks
}

fn gone(id: &str, label: &str) -> DiskFacts {
    DiskFacts {
        id: id.to_owned(),
        device: String::new(),
        bus: crate::inventory::Bus::Other,
        nsid: None,
        model: String::new(),
        serial: id.split('/').next().unwrap_or(id).to_owned(),
        size: 0,
        verdict: Shown::Gone,
        reason: format!("it was part of pool {label} and is not there any more"),
        content: None,
        pool: Some(label.to_owned()),
    }
}

/// Pools that were whole in this boot, as they are now.
pub(super) fn pools(
    inventory: &Inventory,
    plan: &Plan,
    memory: &Memory,
    before: &[Pool],
    instance: &str,
) -> Vec<Pool> {
    let view = |(label, known): (&String, &Known)| {
        let last = before.iter().find(|pool| pool.label == *label);
        pool(inventory, plan, label, known, last, instance)
    };
    memory.pools().iter().map(view).collect()
}

fn pool(
    inventory: &Inventory,
    plan: &Plan,
    label: &str,
    known: &Known,
    last: Option<&Pool>,
    instance: &str,
) -> Pool {
    let planned = plan.pools.iter().find(|pool| pool.label == label);
    let is_there = |id: &&String| inventory.disks.iter().any(|d| d.identity() == **id);
    let mount = mount_of(inventory, known);
    let under = mount.and_then(|mount| under(inventory, &mount.dev));
    let array = under.as_ref().and_then(|under| {
        let mut arrays = inventory.arrays.iter();
        arrays.find(|array| array.name == under.device)
    });
    // What cannot be read any more is what it was.
    let uuid = under
        .as_ref()
        .and_then(|under| Some(under.filesystem?.uuid.clone()))
        .or_else(|| Some(last?.uuid.clone()))
        .unwrap_or_default();
    let level = planned.map_or(last.and_then(|pool| pool.level), |pool| pool.level);
    Pool {
        label: label.to_owned(),
        at: known.at.clone(),
        level,
        missing: known.disks.len() - known.disks.iter().filter(is_there).count(),
        mounted: mount.is_some(),
        read_only: mount.is_some_and(is_read_only),
        device: under.map(|under| under.device).unwrap_or_default(),
        fs: mount.map(|mount| mount.fs.clone()).unwrap_or_default(),
        array_state: array.map(|array| array.state.clone()),
        generation: generation(instance, &known.disks, &uuid),
        disks: known.disks.clone(),
        uuid,
    }
}

struct Under<'a> {
    device: String,
    filesystem: Option<&'a Filesystem>,
}

/// The disk or array of a device number.
fn under<'a>(inventory: &'a Inventory, dev: &str) -> Option<Under<'a>> {
    let disks = inventory
        .disks
        .iter()
        .map(|disk| (&disk.dev, &disk.name, &disk.content));
    let arrays = inventory
        .arrays
        .iter()
        .map(|array| (&array.dev, &array.name, &array.content));
    let (_, name, content) = disks.chain(arrays).find(|(number, ..)| *number == dev)?;
    Some(Under {
        device: name.clone(),
        filesystem: match content {
            Some(Content::Ours(Ours::Filesystem(filesystem))) => Some(filesystem),
            _ => None,
        },
    })
}

/// Which instance, which disks, which filesystem: the same after a reboot, and
/// another when the node came back with blank disks.
fn generation(instance: &str, disks: &[String], uuid: &str) -> String {
    let mut hash = Sha256::new();
    for part in [instance, uuid]
        .into_iter()
        .chain(disks.iter().map(String::as_str))
    {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What tells this machine from others: what its firmware says, or what its
/// system was installed with.
pub(super) fn instance(root: &Root) -> String {
    ["/sys/class/dmi/id/product_uuid", "/etc/machine-id"]
        .iter()
        .find_map(|path| std::fs::read_to_string(root.join(path)).ok())
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

pub(super) fn node(root: &Root, inventory: &Inventory) -> NodeFacts {
    let hostname = std::fs::read_to_string(root.join("/proc/sys/kernel/hostname"));
    NodeFacts {
        hostname: output::plain(hostname.unwrap_or_default().trim()),
        cloud: inventory.node.cloud.to_string(),
        kernel: inventory.node.kernel.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_disk_filesystem_or_instance_is_another_generation() {
        let ids = |list: &[&str]| list.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
        let first = generation("i", &ids(&["a", "b"]), "u");
        assert_eq!(first.len(), 16);
        assert_eq!(first, generation("i", &ids(&["a", "b"]), "u"));
        for other in [
            generation("j", &ids(&["a", "b"]), "u"),
            generation("i", &ids(&["a", "c"]), "u"),
            generation("i", &ids(&["ab"]), "u"),
            generation("i", &ids(&["a", "b"]), "v"),
        ] {
            assert_ne!(first, other);
        }
    }
}
