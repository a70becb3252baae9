//! Others who manage the node's local disks, each with what gave it away. A
//! volume group on a disk is not here: it is a finding on that disk.

mod nodeadm;

use std::path::Path;

use super::read::{names, text};
use crate::inventory::{Content, Disk, Finding, Owner};
use crate::root::Root;

/// Arrays by the names that other programs give theirs.
const ARRAYS: &[(&str, &str)] = &[
    ("kubernetes", "nodeadm local storage (array kubernetes)"),
    (
        "ephemeral",
        "ephemeral storage of Bottlerocket (array ephemeral)",
    ),
];

/// Where an array is written down to be assembled at boot; the first is where
/// EKS nodes keep theirs.
const ARRAY_FILES: &[&str] = &[
    "/.aws/mdadm.conf",
    "/etc/mdadm.conf",
    "/etc/mdadm/mdadm.conf",
];

const LIS: &str = "lis.csi.aws.com";
const AZURE_UNIT: &str = "azure-ephemeral-disk-setup.service";

pub(super) fn find(root: &Root, disks: &[Disk]) -> Vec<Owner> {
    let mut owners: Vec<Owner> = nodeadm::find(root).into_iter().collect();
    let declared = declarations(root);
    for (array, name) in ARRAYS {
        let evidence = array_evidence(root, disks, &declared, array);
        owners.extend(evidence.map(|evidence| owner(name, evidence)));
    }
    owners.extend(lis_evidence(root).map(|evidence| owner(LIS, evidence)));
    owners.extend(azure_evidence(root).map(|evidence| owner(AZURE_UNIT, evidence)));
    owners
}

fn owner(name: &str, evidence: String) -> Owner {
    Owner {
        name: name.to_owned(),
        evidence,
    }
}

/// The files that declare arrays, with their text.
fn declarations(root: &Root) -> Vec<(&'static str, String)> {
    let read = |file: &&'static str| Some((*file, text(&root.join(file))?));
    ARRAY_FILES.iter().filter_map(read).collect()
}

fn array_evidence(
    root: &Root,
    disks: &[Disk],
    declared: &[(&str, String)],
    array: &str,
) -> Option<String> {
    let of_disk = disks.iter().find_map(|disk| {
        let names_it = findings(disk).iter().any(|finding| {
            let label = finding.label.as_deref().unwrap_or_default();
            finding.what == "linux_raid_member" && is_array(label, array)
        });
        names_it.then(|| format!("the md superblock on {} ({})", disk.name, disk.serial))
    });
    of_disk
        .or_else(|| {
            let link = format!("/dev/md/{array}");
            std::fs::symlink_metadata(root.join(&link))
                .is_ok()
                .then_some(link)
        })
        .or_else(|| {
            declared.iter().find_map(|(file, text)| {
                let names_it = text.lines().any(|line| declares(line, array));
                names_it.then(|| format!("{file} declares it"))
            })
        })
}

fn findings(disk: &Disk) -> &[Finding] {
    match &disk.content {
        Some(Content::Foreign { findings }) => findings,
        _ => &disk.seen,
    }
}

/// md writes names as "host:name"; mdadm adds "_0" when it takes the array for
/// one of another host.
fn is_array(name: &str, array: &str) -> bool {
    let name = name.rsplit(':').next().unwrap_or(name);
    name == array
        || name
            .strip_prefix(array)
            .is_some_and(|rest| rest.starts_with('_'))
}

/// `ARRAY /dev/md/kubernetes metadata=1.2 name=any:kubernetes UUID=...`
fn declares(line: &str, array: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    words
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case("ARRAY"))
        && words.any(|word| {
            let name = word
                .strip_prefix("name=")
                .or_else(|| word.strip_prefix("/dev/md/"));
            name.is_some_and(|name| is_array(name, array))
        })
}

fn lis_evidence(root: &Root) -> Option<String> {
    let plugin = format!("/var/lib/kubelet/plugins/{LIS}");
    if root.join(&plugin).exists() {
        return Some(plugin);
    }
    let registry = "/var/lib/kubelet/plugins_registry";
    names(&root.join(registry))
        .into_iter()
        .find(|name| name.starts_with(LIS))
        .map(|name| format!("{registry}/{name}"))
}

fn azure_evidence(root: &Root) -> Option<String> {
    let units = "/etc/systemd/system";
    names(&root.join(units))
        .into_iter()
        .filter(|name| {
            let end = Path::new(name).extension();
            end.is_some_and(|end| end == "wants" || end == "requires")
        })
        .map(|name| format!("{units}/{name}/{AZURE_UNIT}"))
        .find(|link| std::fs::symlink_metadata(root.join(link)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_named_whole() {
        for name in [
            "kubernetes",
            "any:kubernetes",
            "ip-10-0-0-1:kubernetes",
            "kubernetes_0",
        ] {
            assert!(is_array(name, "kubernetes"), "{name}");
        }
        for name in ["", "mykubernetes", "kubernetes2", "kubernetes:data"] {
            assert!(!is_array(name, "kubernetes"), "{name}");
        }
    }

    #[test]
    fn a_comment_declares_nothing() {
        assert!(declares(
            "ARRAY /dev/md/kubernetes metadata=1.2",
            "kubernetes"
        ));
        assert!(declares(
            "ARRAY /dev/md127 name=any:kubernetes UUID=1",
            "kubernetes"
        ));
        assert!(!declares("# ARRAY /dev/md/kubernetes", "kubernetes"));
        assert!(!declares("ARRAY /dev/md/data name=any:data", "kubernetes"));
    }
}
