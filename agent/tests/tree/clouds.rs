//! Disks as each cloud shows them.

use instore::inventory::{Bus, Cloud, Content};

use crate::builder::{EBS, LOCAL, Nvme, SIZE, Tree, disk, names};

const AZURE_TAG: &str = "7783-7084-3265-9085-8269-3286-77";

#[test]
fn aws_in_its_old_identity_next_to_the_root_volume() {
    let mut tree = Tree::aws();
    let root = Nvme {
        controller: 0,
        model: EBS,
        serial: "vol0123456789abcdef0",
        ..Nvme::default()
    };
    tree.nvme(&root);
    let system = tree.partition("nvme0n1", "nvme0n1p1");
    tree.nvme(&Nvme::default());
    tree.mounts("self", &[&format!("{system} / / rw - xfs /dev/root rw")]);

    let seen = tree.observe();
    assert_eq!(seen.node.cloud, Cloud::Aws);
    assert_eq!(seen.node.kernel, "6.1.0-test");
    let local = disk(&seen, "nvme1n1");
    assert_eq!((local.model.as_str(), local.bus), (LOCAL, Bus::Nvme));
    assert_eq!(local.identity(), "AWS6AAA1111BBBB2222C/1");
    assert_eq!(
        (local.pci_vendor, local.transport.as_deref()),
        (Some(0x1d0f), Some("pcie"))
    );
    assert_eq!((local.size, local.logical_block), (SIZE, 512));
    assert_eq!((local.diskseq, local.dev.as_str()), (Some(7), "259:2"));
    assert_eq!(local.wwid.as_deref(), Some("nvme.1d0f-4157-416d-00000001"));
    assert_eq!(local.content, Some(Content::Empty));
    assert_eq!(
        (local.system, local.uses.len()),
        (false, 0),
        "{:?}",
        local.uses
    );

    let boot = disk(&seen, "nvme0n1");
    assert!(boot.system);
    assert_eq!(boot.partitions, ["nvme0n1p1"]);
    assert_eq!(boot.uses, ["the system runs from it", "mounted at /"]);
    assert_eq!(
        boot.content, None,
        "a disk that no rule allows is not read in full"
    );
}

#[test]
fn aws_in_its_new_identity_with_namespace_management() {
    let mut tree = Tree::aws();
    let first = Nvme {
        wwid: "eui.0123456789abcdef0123456789abcdef",
        ..Nvme::default()
    };
    tree.nvme(&first);
    // The second namespace of the same controller has another number of its own.
    let above = "sys/devices/pci0000:00/0000:00:01.0/nvme/nvme1";
    tree.namespace_disk(above, "nvme1n2", &Nvme { nsid: 5, ..first });
    // A controller whose namespace was deleted is no disk.
    tree.controller(&Nvme {
        controller: 2,
        serial: "AWS7",
        ..Nvme::default()
    });

    let seen = tree.observe();
    assert_eq!(names(&seen), ["nvme1n1", "nvme1n2"]);
    assert_eq!(disk(&seen, "nvme1n1").identity(), "AWS6AAA1111BBBB2222C/1");
    assert_eq!(disk(&seen, "nvme1n2").identity(), "AWS6AAA1111BBBB2222C/5");
    assert_eq!(
        disk(&seen, "nvme1n1").wwid.as_deref(),
        Some("eui.0123456789abcdef0123456789abcdef")
    );
}

#[test]
fn gcp_reads_its_local_disks_and_leaves_persistent_ones() {
    let mut tree = Tree::new();
    tree.dmi("Google", "Google Compute Engine", "");
    let gcp = Nvme {
        vendor: "0x1ae0",
        model: "nvme_card",
        serial: "nvme_card",
        ..Nvme::default()
    };
    tree.nvme(&Nvme {
        controller: 0,
        ..gcp.clone()
    });
    tree.nvme(&Nvme {
        controller: 1,
        model: "nvme_card1",
        ..gcp.clone()
    });
    tree.nvme(&Nvme {
        controller: 2,
        model: "nvme_card-pd",
        ..gcp
    });

    let seen = tree.observe();
    assert_eq!(seen.node.cloud, Cloud::Gcp);
    let contents: Vec<_> = seen.disks.iter().map(|d| d.content.is_some()).collect();
    assert_eq!(contents, [true, true, false]);
    assert_eq!(disk(&seen, "nvme2n1").model, "nvme_card-pd");
}

#[test]
fn azure_reads_both_kinds_of_local_disk_and_leaves_remote_ones() {
    let mut tree = Tree::new();
    tree.dmi("Microsoft Corporation", "Virtual Machine", AZURE_TAG);
    let models = [
        "Microsoft NVMe Direct Disk",
        "Microsoft NVMe Direct Disk v2",
        "MSFT NVMe Accelerator v1.0",
    ];
    for (controller, model) in models.into_iter().enumerate() {
        tree.nvme(&Nvme {
            controller,
            model,
            vendor: "0x1414",
            ..Nvme::default()
        });
    }

    let seen = tree.observe();
    assert_eq!(seen.node.cloud, Cloud::Azure);
    let contents: Vec<_> = seen.disks.iter().map(|d| d.content.is_some()).collect();
    assert_eq!(contents, [true, true, false]);
}

#[test]
fn clouds_by_dmi_alone() {
    for (vendor, product, tag, cloud) in [
        ("Alibaba Cloud", "Alibaba Cloud ECS", "", Cloud::Alibaba),
        ("QEMU", "Standard PC", "OracleCloud.com", Cloud::Oci),
        ("Google", "Google Compute Engine", "", Cloud::Gcp),
        (
            "Microsoft Corporation",
            "Virtual Machine",
            AZURE_TAG,
            Cloud::Azure,
        ),
        (
            "Microsoft Corporation",
            "Virtual Machine",
            "",
            Cloud::Unknown,
        ),
        ("Not Amazon EC2", "x", "", Cloud::Unknown),
    ] {
        let tree = Tree::new();
        tree.dmi(vendor, product, tag);
        assert_eq!(tree.observe().node.cloud, cloud, "{vendor} {tag}");
    }
}

/// With native multipath the disk hangs below the subsystem, its number is not
/// the controller's, and its paths are hidden.
#[test]
fn native_multipath_finds_the_controller_by_links() {
    let mut tree = Tree::aws();
    let nvme = Nvme {
        controller: 3,
        ..Nvme::default()
    };
    let controller = tree.controller(&nvme);
    let wrong = Nvme {
        controller: 0,
        model: EBS,
        serial: "vol1",
        vendor: "0xffff",
        ..Nvme::default()
    };
    tree.controller(&wrong);
    let subsystem = "sys/devices/virtual/nvme-subsystem/nvme-subsys0";
    tree.write(&format!("{subsystem}/model"), "of the subsystem\n");
    let target = controller.strip_prefix("sys/devices/").unwrap();
    tree.link(&format!("{subsystem}/nvme3"), &format!("../../../{target}"));
    tree.namespace_disk(
        subsystem,
        "nvme0n1",
        &Nvme {
            nsid: 2,
            ..nvme.clone()
        },
    );
    tree.namespace_disk(&controller, "nvme0c3n1", &nvme);
    tree.write(&format!("{controller}/nvme0c3n1/hidden"), "1\n");

    let seen = tree.observe();
    assert_eq!(
        names(&seen),
        ["nvme0n1"],
        "a hidden path is not a second disk"
    );
    let head = disk(&seen, "nvme0n1");
    assert_eq!(head.model, LOCAL);
    assert_eq!(head.identity(), "AWS6AAA1111BBBB2222C/2");
    assert_eq!(
        (head.pci_vendor, head.transport.as_deref()),
        (Some(0x1d0f), Some("pcie"))
    );
    assert_eq!(head.content, Some(Content::Empty));
}

#[test]
fn controllers_that_disagree_leave_the_transport_unknown() {
    let mut tree = Tree::aws();
    let subsystem = "sys/devices/virtual/nvme-subsystem/nvme-subsys0";
    for (controller, transport) in [(1, "pcie"), (2, "tcp")] {
        let above = tree.controller(&Nvme {
            controller,
            transport,
            ..Nvme::default()
        });
        let target = above.strip_prefix("sys/devices/").unwrap().to_owned();
        tree.link(
            &format!("{subsystem}/nvme{controller}"),
            &format!("../../../{target}"),
        );
    }
    tree.namespace_disk(subsystem, "nvme0n1", &Nvme::default());

    let seen = tree.observe();
    assert_eq!(disk(&seen, "nvme0n1").transport, None);
    assert_eq!(disk(&seen, "nvme0n1").content, None);
}

#[test]
fn a_hidden_disk_that_is_no_path_is_shown_as_hidden() {
    let mut tree = Tree::aws();
    tree.nvme(&Nvme::default());
    tree.write("sys/block/nvme1n1/hidden", "1\n");
    let seen = tree.observe();
    assert!(disk(&seen, "nvme1n1").hidden);
    assert_eq!(disk(&seen, "nvme1n1").content, None);
}

#[test]
fn twenty_four_disks_are_all_read() {
    let mut tree = Tree::aws();
    let serials: Vec<String> = (1..=24).map(|n| format!("AWS{n:017X}")).collect();
    for (n, serial) in serials.iter().enumerate() {
        tree.nvme(&Nvme {
            controller: n + 1,
            serial,
            ..Nvme::default()
        });
    }
    tree.data("nvme17n1", 5 << 20, &[1; 64 << 10]);
    tree.data("nvme20n1", SIZE - 1, b"x");

    let seen = tree.observe();
    assert_eq!(seen.disks.len(), 24);
    for one in &seen.disks {
        let word = one.content.as_ref().unwrap().word();
        let used = matches!(one.name.as_str(), "nvme17n1" | "nvme20n1");
        assert_eq!(word, if used { "Foreign" } else { "Empty" }, "{}", one.name);
        let number: usize = one.name[4..].split('n').next().unwrap().parse().unwrap();
        assert_eq!(one.serial, serials[number - 1]);
    }
}

#[test]
fn a_node_without_disks_has_none() {
    let mut tree = Tree::aws();
    // What every machine has, and what nobody can use.
    for name in ["ram0", "loop0", "sr0", "fd0"] {
        tree.virtual_disk(name);
    }
    tree.virtual_disk("zram0");
    tree.write("sys/block/zram0/size", "0\n");
    assert_eq!(names(&tree.observe()), Vec::<&str>::new());
    tree.write("sys/block/zram0/size", "8\n");
    assert_eq!(names(&tree.observe()), ["zram0"]);
}

#[test]
fn a_container_without_dmi_and_udev_still_knows_its_disks() {
    let mut tree = Tree::new();
    tree.nvme(&Nvme::default());
    let seen = tree.observe();
    assert_eq!(seen.node.cloud, Cloud::Unknown);
    let one = disk(&seen, "nvme1n1");
    assert_eq!(one.content, Some(Content::Empty));
    assert!(one.links.is_empty());
}

#[test]
fn a_disk_without_its_device_file_is_unreadable() {
    let mut tree = Tree::aws();
    tree.nvme(&Nvme::default());
    std::fs::remove_file(tree.path("dev/nvme1n1")).unwrap();
    let seen = tree.observe();
    assert_eq!(
        disk(&seen, "nvme1n1").content.as_ref().unwrap().word(),
        "Unreadable"
    );
}

#[test]
fn hostile_names_stay_data() {
    let mut tree = Tree::aws();
    let serial = "evil\u{1b}[2J\nnvme9n9";
    tree.nvme(&Nvme {
        serial,
        ..Nvme::default()
    });
    tree.write(
        "sys/devices/pci0000:00/0000:00:01.0/nvme/nvme1/model",
        b"\xff\xfe \0\0",
    );
    let seen = tree.observe();
    let one = disk(&seen, "nvme1n1");
    assert_eq!(one.serial, serial);
    assert_eq!(one.model, "\u{fffd}\u{fffd}");
    let saved = serde_json::to_string(&seen).unwrap();
    assert!(!saved.contains('\u{1b}') && !saved.contains('\n'));
    assert_eq!(
        serde_json::from_str::<instore::inventory::Inventory>(&saved).unwrap(),
        seen
    );
}

#[test]
fn what_is_not_said_is_not_trusted() {
    let mut tree = Tree::aws();
    tree.nvme(&Nvme::default());
    for file in ["ro", "size", "dev"] {
        std::fs::remove_file(tree.path(&format!("sys/block/nvme1n1/{file}"))).unwrap();
    }
    let seen = tree.observe();
    let one = disk(&seen, "nvme1n1");
    assert!(one.read_only);
    assert_eq!((one.size, one.dev.as_str()), (0, ""));
    assert_eq!(one.content, None);
}

#[test]
fn loop_and_other_disks_carry_their_own_identity() {
    let mut tree = Tree::new();
    tree.virtual_disk("loop3");
    tree.write(
        "sys/block/loop3/loop/backing_file",
        "/var/tmp/a b.img (deleted)\n",
    );
    tree.virtual_disk("vda");
    tree.write("sys/block/vda/serial", "virtio-1\n");
    tree.virtual_disk("sda");
    tree.write("sys/block/sda/device/model", "Virtual Disk    \n");
    tree.write("sys/block/sda/device/vpd_pg80", b"\x00\x80\x00\x06 S1234");

    let seen = tree.observe_with("[[allow]]\nbacking_file = \"/var/tmp/a b.img\"\n");
    let one = disk(&seen, "loop3");
    assert_eq!((one.bus, one.model.as_str()), (Bus::Loop, "loop"));
    assert_eq!(one.serial, "/var/tmp/a b.img");
    assert_eq!(one.content, Some(Content::Empty), "the rule names it");
    assert_eq!(disk(&seen, "vda").serial, "virtio-1");
    assert_eq!(disk(&seen, "sda").identity(), "S1234");
    assert_eq!(
        (disk(&seen, "sda").model.as_str(), disk(&seen, "sda").bus),
        ("Virtual Disk", Bus::Other)
    );
    assert_eq!(disk(&seen, "sda").content, None);
}
