//! md arrays that are assembled now, and what is on those of ours.

use super::tree::Tree;
use super::{device, mounted};
use crate::inventory::{Array, Content, Disk, Mount, Ours};
use crate::probe::{self, InUse};
use crate::root::Root;

/// All md arrays, by name.
pub(super) fn read(tree: &Tree) -> Vec<Array> {
    tree.whole()
        .filter(|(name, block)| name.starts_with("md") && block.directory.has("md"))
        .map(|(name, block)| {
            let at = &block.directory;
            let mut members: Vec<String> = block
                .slaves
                .iter()
                .map(|slave| tree.whole_of(slave).to_owned())
                .collect();
            members.sort();
            members.dedup();
            Array {
                name: name.to_owned(),
                dev: block.dev.clone(),
                level: at.attribute("md/level").unwrap_or_default(),
                state: at.attribute("md/array_state").unwrap_or_default(),
                members,
                size: at.number::<u64>("size").unwrap_or(0).saturating_mul(512),
                uuid: None,
                content: None,
            }
        })
        .collect()
}

/// Names the arrays whose members all are of one array of ours, and reads what
/// is on them.
pub(super) fn read_content(root: &Root, disks: &[Disk], mounts: &[Mount], arrays: &mut [Array]) {
    for array in arrays {
        array.uuid = our_uuid(disks, &array.members);
        if array.uuid.is_some() && array.size > 0 {
            let path = device(root, &array.name);
            array.content = match mounted(&array.dev, mounts) {
                Some(by) => {
                    let in_use = InUse {
                        device: path,
                        identity: String::new(),
                        by,
                    };
                    probe::contents_in_use(&[in_use]).pop()
                }
                None => Some(probe::content(&path, "")),
            };
        }
    }
}

/// The array that all of these disks say they are of.
fn our_uuid(disks: &[Disk], members: &[String]) -> Option<String> {
    let mut uuids = members.iter().map(|name| {
        let disk = disks.iter().find(|disk| disk.name == *name)?;
        member_uuid(disk.content.as_ref()?)
    });
    let first = uuids.next()??;
    uuids
        .all(|uuid| uuid == Some(first))
        .then(|| first.to_owned())
}

/// Of a member, and of one whose claim is not cleared yet.
fn member_uuid(content: &Content) -> Option<&str> {
    let Content::Ours(ours) = content else {
        return None;
    };
    match ours {
        Ours::Member(member) => Some(&member.array_uuid),
        Ours::Claimed(claim) => match claim.under.as_deref() {
            Some(Ours::Member(member)) => Some(&member.array_uuid),
            _ => None,
        },
        Ours::Filesystem(_) => None,
    }
}
