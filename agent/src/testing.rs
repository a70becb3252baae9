//! Plain data for the unit tests: disks and nodes as clouds show them.

use std::collections::BTreeMap;

use crate::inventory::{Bus, Cloud, Content, Disk, Features, Inventory, Node};

pub(crate) const GIB: u64 = 1 << 30;

pub(crate) fn disk(model: &str, serial: &str, bus: Bus) -> Disk {
    Disk {
        name: format!("disk-{serial}"),
        dev: "259:0".into(),
        diskseq: Some(1),
        bus,
        model: model.into(),
        serial: serial.into(),
        nsid: (bus == Bus::Nvme).then_some(1),
        transport: (bus == Bus::Nvme).then(|| "pcie".into()),
        pci_vendor: None,
        wwid: None,
        size: 100 * GIB,
        logical_block: 512,
        hidden: false,
        removable: false,
        read_only: false,
        backing_file: None,
        partitions: Vec::new(),
        holders: Vec::new(),
        uses: Vec::new(),
        system: false,
        links: Vec::new(),
        content: None,
        seen: Vec::new(),
    }
}

/// An empty instance-store disk of EC2.
pub(crate) fn instance_disk(n: usize) -> Disk {
    Disk {
        name: format!("nvme{n}n1"),
        dev: format!("259:{n}"),
        pci_vendor: Some(0x1d0f),
        content: Some(Content::Empty),
        ..disk(
            "Amazon EC2 NVMe Instance Storage",
            &format!("AWS{n:017X}"),
            Bus::Nvme,
        )
    }
}

/// A blank EBS volume.
pub(crate) fn ebs(n: usize) -> Disk {
    Disk {
        name: format!("nvme{n}n1"),
        dev: format!("259:{n}"),
        pci_vendor: Some(0x1d0f),
        ..disk(
            "Amazon Elastic Block Store",
            &format!("vol{n:017x}"),
            Bus::Nvme,
        )
    }
}

/// A node of EC2 that can do everything.
pub(crate) fn node(disks: Vec<Disk>) -> Inventory {
    Inventory {
        node: Node {
            cloud: Cloud::Aws,
            kernel: "6.1.0".into(),
            features: Features {
                xfs: true,
                ext4: true,
                md_raid0: true,
                md_raid10: true,
                quota: true,
                ext4_quota: true,
            },
        },
        disks,
        arrays: Vec::new(),
        mounts: Vec::new(),
        owners: Vec::new(),
        paths: BTreeMap::new(),
    }
}

/// A suite that read so many random blocks a second, where 50,000 are promised.
pub(crate) fn suite(read_iops: f64) -> instore_bench::suite::SuiteResult {
    let suite = serde_json::json!({
        "target": "/data", "file_system": "xfs", "length": "quick", "caching": "direct",
        "engine": "io_uring", "size_bytes": 1_073_741_824_u64,
        "started_unix_ms": 1_800_000_000_000_u64, "ended_unix_ms": 1_800_000_015_000_u64,
        "interrupted": false, "warnings": [],
        "instance_type": "i4i.large", "verdict": [],
        "rows": [{
            "job": "rand-read-4k",
            "figures": {
                "ios": 1000, "bytes": 4_096_000, "runtime_ms": 1500.0, "iops": read_iops,
                "bytes_per_second": read_iops * 4096.0,
                "latency_us": {"mean": 100.0, "p50": 90.0, "p99": 300.0, "p999": 900.0, "max": 1000.0},
            },
            "error": null, "expected_iops": 50_000.0, "expected_ratio": read_iops / 50_000.0,
        }],
    });
    serde_json::from_value(suite).unwrap()
}
