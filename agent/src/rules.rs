//! Which disks may be used, by identity alone: allow rules, and deny rules that
//! win. Pure. What is on a disk and who uses it is judged in `plan`.

use crate::config::{Config, Detect, Rule};
use crate::inventory::{Bus, Cloud, Disk};

/// The answer for one disk, with the reason that users read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A rule names it. Its content still has to be looked at.
    Candidate {
        why: String,
    },
    Refused {
        why: String,
    },
}

/// An identity that a cloud gives its local disks, or its network volumes.
struct Known {
    cloud: Cloud,
    model: &'static str,
    pci_vendor: u16,
}

/// Models from each cloud's own udev rules; PCI vendors from the PCI ID list.
const LOCAL: &[Known] = &[
    Known {
        cloud: Cloud::Aws,
        model: "Amazon EC2 NVMe Instance Storage",
        pci_vendor: 0x1d0f,
    },
    Known {
        cloud: Cloud::Gcp,
        model: "nvme_card",
        pci_vendor: 0x1ae0,
    },
    Known {
        cloud: Cloud::Azure,
        model: "Microsoft NVMe Direct Disk",
        pci_vendor: 0x1414,
    },
    Known {
        cloud: Cloud::Azure,
        model: "Microsoft NVMe Direct Disk v2",
        pci_vendor: 0x1414,
    },
];

/// Google numbers its local disks: nvme_card0, nvme_card1, ... and
/// nvme_card-pd is a persistent disk.
const GCP_NUMBERED: &str = "nvme_card";

/// Network volumes: data that outlives the node. Only a rule with the serial
/// of that one volume may name one.
const NETWORK: &[&str] = &[
    "Amazon Elastic Block Store",
    "nvme_card-pd",
    "MSFT NVMe Accelerator v1.0",
    "Alibaba Cloud Elastic Block Storage",
    "PersistentDisk",
    // Azure's managed disks and Oracle's block volumes, over SCSI.
    "Virtual Disk",
    "BlockVolume",
];

/// Judges a disk by what it is.
#[must_use]
pub fn judge(disk: &Disk, cloud: Cloud, config: &Config) -> Verdict {
    let refused = |why: &str| Verdict::Refused {
        why: why.to_owned(),
    };
    if let Some(why) = never(disk, config) {
        return refused(why);
    }
    if disk.serial.is_empty() {
        return refused("it has no serial, so it cannot be told from another disk");
    }
    let network = is_network(disk);
    let mut rules = config
        .allow
        .iter()
        .filter(|rule| matches(rule, disk))
        .peekable();
    let matched = rules.peek().is_some();
    if rules.any(|rule| !network || rule.serial.is_some()) {
        return Verdict::Candidate {
            why: "an allow rule of the configuration names it".into(),
        };
    }
    if matched {
        return refused("a network volume; an allow rule must name this one volume by its serial");
    }
    if network {
        return refused("a network volume: its data outlives the node");
    }
    if config.detect == Detect::Rules {
        return refused("no rule of the configuration names it");
    }
    let Some(known) = LOCAL.iter().find(|known| is_model(disk, known)) else {
        return refused("no rule names it: not a known ephemeral disk");
    };
    judge_known(disk, cloud, known)
}

/// Why a disk may not be written to even when the user names it, as for a
/// benchmark: the system, what a deny rule names, and network volumes that no
/// rule names by their serial. None says nothing of what is on it.
#[must_use]
pub fn denied(disk: &Disk, config: &Config) -> Option<&'static str> {
    let named = |rule: &Rule| rule.serial.is_some() && matches(rule, disk);
    never(disk, config).or_else(|| {
        (is_network(disk) && !config.allow.iter().any(named))
            .then_some("a network volume: its data outlives the node")
    })
}

/// What no allow rule can change.
fn never(disk: &Disk, config: &Config) -> Option<&'static str> {
    if disk.system {
        return Some("the system runs from it");
    }
    if disk.hidden {
        return Some("hidden by the kernel (a path of a multipath disk)");
    }
    if disk.size == 0 {
        return Some("it has no size (no namespace, or no medium)");
    }
    if config.deny.iter().any(|rule| matches(rule, disk)) {
        return Some("a deny rule of the configuration names it");
    }
    None
}

fn is_network(disk: &Disk) -> bool {
    NETWORK.contains(&disk.model.as_str())
}

fn judge_known(disk: &Disk, cloud: Cloud, known: &Known) -> Verdict {
    let refused = |why: String| Verdict::Refused { why };
    if disk.bus != Bus::Nvme {
        return refused(format!(
            "its model is {:?}, but it is no NVMe disk",
            known.model
        ));
    }
    if disk.transport.as_deref() != Some("pcie") {
        let transport = disk.transport.as_deref().unwrap_or("unknown");
        return refused(format!(
            "NVMe transport is {transport}, not pcie: not a local disk"
        ));
    }
    if disk.pci_vendor != Some(known.pci_vendor) {
        let vendor = disk
            .pci_vendor
            .map_or("unknown".into(), |v| format!("{v:#06x}"));
        return refused(format!(
            "its model says {}, but its PCI vendor is {vendor}, not {:#06x}",
            known.cloud, known.pci_vendor
        ));
    }
    // Without DMI (some containers, some guests) model and vendor still agree.
    if cloud != known.cloud && cloud != Cloud::Unknown {
        return refused(format!(
            "its model says {}, but this node runs on {cloud}",
            known.cloud
        ));
    }
    Verdict::Candidate {
        why: format!("{} instance store", known.cloud),
    }
}

fn is_model(disk: &Disk, known: &Known) -> bool {
    if disk.model == known.model {
        return true;
    }
    let number = disk.model.strip_prefix(GCP_NUMBERED);
    known.model == GCP_NUMBERED
        && number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Every field that the rule gives is equal.
fn matches(rule: &Rule, disk: &Disk) -> bool {
    fn same<T: PartialEq>(wanted: Option<T>, is: Option<T>) -> bool {
        wanted.is_none() || wanted == is
    }
    same(rule.model.as_deref(), Some(&disk.model))
        && same(rule.serial.as_deref(), Some(&disk.serial))
        && same(rule.transport.as_deref(), disk.transport.as_deref())
        && same(rule.backing_file.as_deref(), disk.backing_file.as_deref())
        && (rule.pci_vendor.is_none() || rule.vendor() == disk.pci_vendor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{disk, ebs, instance_disk};

    fn verdict(disk: &Disk, cloud: Cloud, text: &str) -> Verdict {
        judge(disk, cloud, &Config::parse(text).unwrap())
    }

    fn why_not(disk: &Disk, text: &str) -> String {
        match verdict(disk, Cloud::Aws, text) {
            Verdict::Refused { why } => why,
            Verdict::Candidate { why } => panic!("accepted: {why}"),
        }
    }

    fn accepted(disk: &Disk, cloud: Cloud, text: &str) -> bool {
        matches!(verdict(disk, cloud, text), Verdict::Candidate { .. })
    }

    #[test]
    fn each_clouds_local_disks_are_candidates_there_only() {
        let known = [
            ("Amazon EC2 NVMe Instance Storage", 0x1d0f, Cloud::Aws),
            ("nvme_card", 0x1ae0, Cloud::Gcp),
            ("nvme_card0", 0x1ae0, Cloud::Gcp),
            ("nvme_card17", 0x1ae0, Cloud::Gcp),
            ("Microsoft NVMe Direct Disk", 0x1414, Cloud::Azure),
            ("Microsoft NVMe Direct Disk v2", 0x1414, Cloud::Azure),
        ];
        for (model, vendor, cloud) in known {
            let one = Disk {
                model: model.into(),
                pci_vendor: Some(vendor),
                ..instance_disk(1)
            };
            for other in [
                Cloud::Aws,
                Cloud::Gcp,
                Cloud::Azure,
                Cloud::Oci,
                Cloud::Alibaba,
            ] {
                assert_eq!(
                    accepted(&one, other, ""),
                    other == cloud,
                    "{model} on {other}"
                );
            }
            assert!(accepted(&one, Cloud::Unknown, ""), "{model} without DMI");
        }
    }

    #[test]
    fn models_are_compared_whole() {
        for model in [
            "Amazon EC2 NVMe Instance Storage 2",
            "amazon ec2 nvme instance storage",
            "nvme_card-pd",
            "nvme_card-",
            "nvme_cardx",
            "Samsung",
            "",
        ] {
            for vendor in [0x1d0f, 0x1ae0] {
                let one = Disk {
                    model: model.into(),
                    pci_vendor: Some(vendor),
                    ..instance_disk(1)
                };
                assert!(!accepted(&one, Cloud::Unknown, ""), "{model}");
            }
        }
    }

    #[test]
    fn vendor_transport_and_bus_must_fit() {
        let good = instance_disk(1);
        assert!(accepted(&good, Cloud::Aws, ""));
        assert!(
            why_not(
                &Disk {
                    pci_vendor: Some(0x1b36),
                    ..good.clone()
                },
                ""
            )
            .contains("0x1b36")
        );
        assert!(
            why_not(
                &Disk {
                    pci_vendor: None,
                    ..good.clone()
                },
                ""
            )
            .contains("unknown")
        );
        assert!(
            why_not(
                &Disk {
                    transport: Some("tcp".into()),
                    ..good.clone()
                },
                ""
            )
            .contains("tcp")
        );
        assert!(
            why_not(
                &Disk {
                    bus: Bus::Other,
                    ..good
                },
                ""
            )
            .contains("no NVMe")
        );
    }

    #[test]
    fn a_network_volume_needs_its_own_serial() {
        let volume = ebs(2);
        assert!(why_not(&volume, "").contains("network volume"));
        let by_model = "[[allow]]\nmodel = \"Amazon Elastic Block Store\"\n";
        assert!(why_not(&volume, by_model).contains("by its serial"));
        let by_serial = format!("[[allow]]\nserial = {:?}\n", volume.serial);
        assert!(accepted(&volume, Cloud::Aws, &by_serial));
        assert!(!accepted(&ebs(3), Cloud::Aws, &by_serial));
        // Whichever rule comes first.
        assert!(accepted(
            &volume,
            Cloud::Aws,
            &format!("{by_model}{by_serial}")
        ));
    }

    #[test]
    fn a_disk_without_a_serial_is_nobodys() {
        let one = Disk {
            serial: String::new(),
            ..instance_disk(1)
        };
        assert!(why_not(&one, "").contains("no serial"));
    }

    #[test]
    fn deny_wins_and_so_does_the_system() {
        let one = instance_disk(1);
        let both = format!(
            "[[allow]]\nserial = {0:?}\n[[deny]]\nserial = {0:?}\n",
            one.serial
        );
        assert!(why_not(&one, &both).contains("deny rule"));
        let allow = format!("[[allow]]\nserial = {:?}\n", one.serial);
        assert!(
            why_not(
                &Disk {
                    system: true,
                    ..one.clone()
                },
                &allow
            )
            .contains("system")
        );
        assert!(
            why_not(
                &Disk {
                    hidden: true,
                    ..one.clone()
                },
                &allow
            )
            .contains("hidden")
        );
        assert!(why_not(&Disk { size: 0, ..one }, &allow).contains("no size"));
    }

    #[test]
    fn what_is_denied_is_denied_to_everybody() {
        let config = |text: &str| Config::parse(text).unwrap();
        let plain = disk("SAMSUNG MZQL2", "S64GNE0", Bus::Nvme);
        assert_eq!(denied(&plain, &config("")), None);
        let rule = format!("[[deny]]\nserial = {:?}\n", plain.serial);
        assert!(denied(&plain, &config(&rule)).is_some());
        let system = Disk {
            system: true,
            ..plain
        };
        assert!(denied(&system, &config("")).is_some());
        let volume = ebs(2);
        assert!(denied(&volume, &config("")).is_some());
        let by_model = "[[allow]]\nmodel = \"Amazon Elastic Block Store\"\n";
        assert!(denied(&volume, &config(by_model)).is_some());
        let by_serial = format!("[[allow]]\nserial = {:?}\n", volume.serial);
        assert_eq!(denied(&volume, &config(&by_serial)), None);
    }

    #[test]
    fn without_detection_only_rules_count() {
        let one = instance_disk(1);
        assert!(!accepted(&one, Cloud::Aws, "detect = \"rules\""));
        let rule = format!("detect = \"rules\"\n[[allow]]\nserial = {:?}\n", one.serial);
        assert!(accepted(&one, Cloud::Aws, &rule));
    }

    #[test]
    fn bare_metal_needs_a_rule_with_every_field_equal() {
        let drive = disk("SAMSUNG MZQL2", "S64GNE0", Bus::Nvme);
        assert!(!accepted(&drive, Cloud::Unknown, ""));
        let rule = "[[allow]]\nmodel = \"SAMSUNG MZQL2\"\ntransport = \"pcie\"\n";
        assert!(accepted(&drive, Cloud::Unknown, rule));
        let other = "[[allow]]\nmodel = \"SAMSUNG MZQL2\"\nserial = \"S64GNE1\"\n";
        assert!(!accepted(&drive, Cloud::Unknown, other));
    }
}
