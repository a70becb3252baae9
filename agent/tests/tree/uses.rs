//! Everything that may use a disk.

use std::path::Path;

use instore::config::Config;
use instore::inventory::Content;
use instore::observe::observe;

use crate::builder::{EBS, Nvme, Tree, disk, names};

/// Two blank local disks, by their "major:minor".
fn two() -> (Tree, String, String) {
    let mut tree = Tree::aws();
    let first = tree.nvme(&Nvme::default());
    let second = tree.nvme(&Nvme {
        controller: 2,
        serial: "AWS2",
        ..Nvme::default()
    });
    (tree, first, second)
}

#[test]
fn a_mount_of_a_disk_or_of_its_partition() {
    let (mut tree, first, _) = two();
    let part = tree.partition("nvme2n1", "nvme2n1p1");
    tree.mounts(
        "self",
        &[
            &format!("{first} / /mnt/with\\040space rw shared:1 - xfs /dev/nvme1n1 rw"),
            &format!("{part} /sub /srv/x ro - ext4 /dev/nvme2n1p1 ro"),
        ],
    );
    let seen = tree.observe();
    assert_eq!(disk(&seen, "nvme1n1").uses, ["mounted at /mnt/with space"]);
    assert_eq!(disk(&seen, "nvme2n1").uses, ["mounted at /srv/x"]);
    assert_eq!(disk(&seen, "nvme2n1").partitions, ["nvme2n1p1"]);
    assert!(!disk(&seen, "nvme1n1").system);
    assert_eq!(seen.mounts.len(), 2);
    assert_eq!(seen.mounts[0].at, Path::new("/mnt/with space"));
    assert_eq!(seen.mounts[1].root, Path::new("/sub"));
    assert_eq!(
        (seen.mounts[1].fs.as_str(), seen.mounts[1].options.as_str()),
        ("ext4", "ro,ro")
    );
}

#[test]
fn a_mount_in_another_namespace_once_and_by_its_process() {
    let (tree, first, second) = two();
    let shared = format!("{first} / /data rw - xfs /dev/nvme1n1 rw");
    let hidden = format!("{second} / /secret rw - xfs /dev/nvme2n1 rw");
    tree.mounts("self", &[&shared]);
    tree.namespace("self", 1);
    for (pid, space) in [("1", 1), ("40", 2), ("41", 2), ("100", 3)] {
        tree.mounts(pid, &[&shared, &hidden]);
        tree.namespace(pid, space);
    }
    tree.mounts("1", &[&shared]);
    // Namespaces that cannot be told apart are read all the same.
    tree.mounts(
        "200",
        &[&format!("{second} / /other rw - xfs /dev/nvme2n1 rw")],
    );

    let seen = tree.observe();
    assert_eq!(disk(&seen, "nvme1n1").uses, ["mounted at /data"]);
    assert_eq!(
        disk(&seen, "nvme2n1").uses,
        [
            "mounted at /secret (namespace of pid 40)",
            "mounted at /other (namespace of pid 200)"
        ]
    );
    assert_eq!(seen.mounts.len(), 1, "only the agent's own");
}

#[test]
fn a_device_file_that_was_bound_into_a_pod() {
    let (tree, _, _) = two();
    tree.mounts(
        "self",
        &["0:6 /nvme2n1 /var/lib/kubelet/plugins/x/dev/1 rw - devtmpfs devtmpfs rw"],
    );
    let seen = tree.observe();
    assert!(disk(&seen, "nvme1n1").uses.is_empty());
    assert_eq!(
        disk(&seen, "nvme2n1").uses,
        ["its device file is bound at /var/lib/kubelet/plugins/x/dev/1"]
    );
}

#[test]
fn swap_on_a_disk_and_on_a_partition() {
    let (mut tree, _, _) = two();
    tree.partition("nvme2n1", "nvme2n1p2");
    tree.write(
        "proc/swaps",
        "Filename Type Size Used Priority\n\
         /dev/nvme1n1 partition 1024 0 -2\n\
         /dev/nvme2n1p2\\040(deleted) partition 1024 0 -3\n\
         /swapfile file 1024 0 -4\n",
    );
    let seen = tree.observe();
    assert_eq!(disk(&seen, "nvme1n1").uses, ["swap on nvme1n1"]);
    assert_eq!(disk(&seen, "nvme2n1").uses, ["swap on nvme2n1p2"]);
}

#[test]
fn logical_volumes_on_a_disk_and_a_mount_on_them() {
    let (mut tree, _, _) = two();
    let volume = tree.virtual_disk("dm-0");
    tree.write("sys/block/dm-0/dm/name", "vg0-data\n");
    tree.write("sys/block/dm-0/dm/uuid", "LVM-abc\n");
    let part = tree.partition("nvme2n1", "nvme2n1p1");
    tree.stack("dm-0", &["nvme1n1", "nvme2n1/nvme2n1p1"]);
    tree.mounts(
        "self",
        &[&format!("{volume} / /srv rw - xfs /dev/mapper/vg0-data rw")],
    );
    let seen = tree.observe();
    assert_eq!(
        names(&seen),
        ["nvme1n1", "nvme2n1"],
        "what is mapped is no disk"
    );
    for name in ["nvme1n1", "nvme2n1"] {
        assert_eq!(disk(&seen, name).holders, ["dm-0"]);
        assert_eq!(
            disk(&seen, name).uses,
            ["holds LVM volume vg0-data", "mounted at /srv"]
        );
    }
    assert_ne!(part, volume);
}

#[test]
fn an_array_of_somebody_is_named_and_not_read() {
    let (mut tree, _, _) = two();
    let array = tree.virtual_disk("md127");
    tree.write("sys/block/md127/md/level", "raid0\n");
    tree.write("sys/block/md127/md/array_state", "clean\n");
    tree.stack("md127", &["nvme1n1", "nvme2n1"]);
    for (slot, name) in ["nvme1n1", "nvme2n1"].iter().enumerate() {
        tree.md_member(name, "host:data", [7; 16], u16::try_from(slot).unwrap());
    }
    let part = tree.partition("md127", "md127p1");
    tree.mounts(
        "self",
        &[&format!("{part} / /srv rw - xfs /dev/md127p1 rw")],
    );
    let seen = tree.observe();
    let [one] = seen.arrays.as_slice() else {
        panic!("{:?}", seen.arrays)
    };
    assert_eq!(
        (one.name.as_str(), one.dev.as_str()),
        ("md127", array.as_str())
    );
    assert_eq!((one.level.as_str(), one.state.as_str()), ("raid0", "clean"));
    assert_eq!(one.members, ["nvme1n1", "nvme2n1"]);
    assert_eq!((one.uuid.as_deref(), &one.content), (None, &None));
    assert_eq!(
        disk(&seen, "nvme1n1").uses,
        ["member of array md127", "mounted at /srv"]
    );
    let reasons = disk(&seen, "nvme1n1").content.as_ref().unwrap().reasons();
    assert!(reasons[0].contains("linux_raid_member"), "{reasons:?}");
    assert_eq!(names(&seen), ["nvme1n1", "nvme2n1"]);
}

#[test]
fn an_array_of_ours_has_its_uuid_and_content() {
    let (mut tree, _, _) = two();
    let array = tree.virtual_disk("md127");
    tree.write("sys/block/md127/md/level", "raid0\n");
    tree.write("sys/block/md127/md/array_state", "active\n");
    tree.stack("md127", &["nvme1n1", "nvme2n1"]);
    tree.md_member("nvme1n1", "any:instore", [7; 16], 0);
    tree.md_member("nvme2n1", "any:instore", [7; 16], 1);
    tree.mounts(
        "self",
        &[&format!("{array} / /data rw - xfs /dev/md127 rw")],
    );
    let seen = tree.observe();
    assert_eq!(
        seen.arrays[0].uuid.as_deref(),
        Some("07070707-0707-0707-0707-070707070707")
    );
    assert_eq!(seen.arrays[0].content, Some(Content::Empty));
    assert_eq!(
        disk(&seen, "nvme2n1").content.as_ref().unwrap().word(),
        "Ours"
    );

    // One member of another array: then it is nobody we know.
    tree.md_member("nvme2n1", "any:instore", [8; 16], 1);
    assert_eq!(tree.observe().arrays[0].uuid, None);
}

#[test]
fn the_system_is_known_through_partitions_volumes_and_arrays() {
    let mut tree = Tree::aws();
    for controller in 0..4 {
        tree.nvme(&Nvme {
            controller,
            model: EBS,
            serial: "vol1",
            ..Nvme::default()
        });
    }
    tree.partition("nvme0n1", "nvme0n1p1");
    tree.virtual_disk("md1");
    let volume = tree.virtual_disk("dm-5");
    tree.stack("md1", &["nvme0n1/nvme0n1p1", "nvme1n1"]);
    tree.stack("dm-5", &["md1"]);
    let boot = tree.partition("nvme2n1", "nvme2n1p1");
    tree.mounts(
        "self",
        &[
            &format!("{volume} / / rw - xfs /dev/mapper/root rw"),
            &format!("{boot} / /boot/efi rw - vfat /dev/nvme2n1p1 rw"),
        ],
    );
    let seen = tree.observe();
    let system: Vec<_> = seen.disks.iter().map(|d| d.system).collect();
    assert_eq!(system, [true, true, true, false]);
}

/// In a container the root is an overlay: the first process knows better.
#[test]
fn the_system_is_known_through_the_first_process_and_through_loops() {
    let (mut tree, first, second) = two();
    let image = tree.virtual_disk("loop7");
    tree.write(
        "sys/block/loop7/loop/backing_file",
        "/host/images/usr.img\n",
    );
    tree.mounts("self", &["0:50 / / rw - overlay overlay rw"]);
    tree.mounts(
        "1",
        &[
            &format!("{second} / /var rw - xfs /dev/x rw"),
            &format!("{image} / /usr ro - squashfs /dev/loop7 ro"),
            &format!("{first} / /host/images rw - xfs /dev/y rw"),
        ],
    );
    let seen = tree.observe();
    let system: Vec<_> = seen
        .disks
        .iter()
        .map(|d| (d.name.as_str(), d.system))
        .collect();
    assert_eq!(
        system,
        [("loop7", true), ("nvme1n1", true), ("nvme2n1", true)]
    );
    // Another process's root is a container, not the system.
    let (tree, first, _) = two();
    tree.mounts("77", &[&format!("{first} / / rw - xfs /dev/x rw")]);
    assert!(!disk(&tree.observe(), "nvme1n1").system);
}

#[test]
fn filesystems_without_a_device_number_are_known_by_their_source() {
    let (tree, _, _) = two();
    tree.mounts("self", &["0:44 /@ /srv rw - btrfs /dev/nvme1n1 rw"]);
    assert_eq!(disk(&tree.observe(), "nvme1n1").uses, ["mounted at /srv"]);
}

#[test]
fn a_loop_device_over_a_disk_is_a_use() {
    let (mut tree, _, _) = two();
    tree.virtual_disk("loop0");
    tree.write("sys/block/loop0/loop/backing_file", "/dev/nvme1n1\n");
    let seen = tree.observe();
    assert_eq!(
        disk(&seen, "nvme1n1").uses,
        ["loop device loop0 is on top of it"]
    );
    assert!(disk(&seen, "nvme2n1").uses.is_empty());
}

#[test]
fn without_the_tables_there_is_no_answer() {
    for (path, words) in [("sys/block", "sysfs"), ("proc/self/mountinfo", "/proc")] {
        let (tree, _, _) = two();
        let path = tree.path(path);
        std::fs::remove_dir_all(&path)
            .or_else(|_| std::fs::remove_file(&path))
            .unwrap();
        let error = observe(&tree.root(), &Config::default()).unwrap_err();
        assert!(format!("{error:#}").contains(words), "{error:#}");
    }
    let (tree, _, _) = two();
    std::fs::remove_file(tree.path("proc/swaps")).unwrap();
    tree.observe();
    tree.directory("proc/swaps");
    assert!(observe(&tree.root(), &Config::default()).is_err());
}
