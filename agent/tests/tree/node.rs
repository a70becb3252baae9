//! The kernel's abilities, and what is at the paths that would be covered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use instore::inventory::{Features, PathFacts};

use crate::builder::{Nvme, Tree};

fn paths(tree: &Tree, config: &str) -> BTreeMap<PathBuf, PathFacts> {
    tree.observe_with(config).paths
}

#[test]
fn features_are_loaded_or_loadable() {
    let none = Features::default();
    let tree = Tree::new();
    assert_eq!(tree.observe().node.features, none);

    tree.write("proc/filesystems", "nodev\tsysfs\n\text4\n\txfsx\n");
    tree.write(
        "proc/mdstat",
        "Personalities : [raid10] [raid1]\nunused devices: <none>\n",
    );
    tree.directory("proc/sys/fs/quota");
    let loaded = Features {
        ext4: true,
        md_raid10: true,
        quota: true,
        ..none
    };
    assert_eq!(tree.observe().node.features, loaded);

    tree.write("lib/modules/6.1.0-test/kernel/fs/xfs/xfs.ko.xz", "");
    assert_eq!(
        tree.observe().node.features,
        Features {
            xfs: true,
            ..loaded
        }
    );
    // Quotas on ext4 need their format as well.
    tree.write("lib/modules/6.1.0-test/kernel/fs/quota/quota_v2.ko", "");
    assert!(tree.observe().node.features.ext4_quota);
    // Of another kernel: not loadable.
    tree.write("lib/modules/5.0.0/kernel/drivers/md/raid0.ko", "");
    assert!(!tree.observe().node.features.md_raid0);
}

#[test]
fn features_from_the_lists_of_modules() {
    let tree = Tree::new();
    tree.write(
        "lib/modules/6.1.0-test/modules.dep",
        "extra/xfs.ko.zst: kernel/lib/libcrc32c.ko.zst\nkernel/drivers/md/myraid0.ko: x/raid0.ko\n",
    );
    tree.write(
        "lib/modules/6.1.0-test/modules.builtin",
        "kernel/fs/somewhere/ext4.ko\n",
    );
    let wanted = Features {
        xfs: true,
        ext4: true,
        ..Features::default()
    };
    assert_eq!(tree.observe().node.features, wanted);
}

#[test]
fn paths_are_looked_at_without_following_links() {
    let tree = Tree::new();
    tree.directory("srv/real");
    tree.link("srv/link", "real");
    tree.directory("srv/real/below");
    tree.write("srv/file", "");
    tree.write("srv/other", "");
    tree.link("data", "/nowhere");
    let config = "mount = \"/srv/real\"\nbinds = [\"/srv/link/below\", \"/srv/file\", \"/srv/other/x\", \"/srv/new/x\"]\n";
    let facts = paths(&tree, config);
    for (path, is) in [
        ("/srv/real", PathFacts::Directory),
        ("/srv/link/below", PathFacts::Symlink),
        ("/srv/file", PathFacts::NotADirectory),
        ("/srv/other/x", PathFacts::NotADirectory),
        ("/srv/new/x", PathFacts::Missing),
        ("/data", PathFacts::Symlink),
        ("/var/lib/containerd", PathFacts::Missing),
        ("/var/lib/kubelet", PathFacts::Missing),
        ("/var/log/pods", PathFacts::Missing),
    ] {
        assert_eq!(facts.get(Path::new(path)), Some(&is), "{path}");
    }
}

#[test]
fn layout_each_looks_at_a_mount_point_for_every_disk() {
    let mut tree = Tree::aws();
    tree.nvme(&Nvme::default());
    tree.nvme(&Nvme {
        controller: 2,
        serial: "AWS2",
        ..Nvme::default()
    });
    tree.link("data/1", "/etc");
    let facts = paths(&tree, "layout = \"each\"");
    assert_eq!(facts.get(Path::new("/data/0")), Some(&PathFacts::Missing));
    assert_eq!(facts.get(Path::new("/data/1")), Some(&PathFacts::Symlink));
    assert_eq!(facts.get(Path::new("/data/2")), None);
}
