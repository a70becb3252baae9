//! Others who manage local disks.

use instore::inventory::Inventory;

use crate::builder::{Nvme, Tree};

fn owners(seen: &Inventory) -> Vec<(&str, &str)> {
    seen.owners
        .iter()
        .map(|o| (o.name.as_str(), o.evidence.as_str()))
        .collect()
}

#[test]
fn nobody_by_default() {
    let tree = Tree::aws();
    tree.write("etc/eks/nodeadm.d/10.yaml", "spec:\n  instance: {}\n");
    tree.write(
        "etc/mdadm/mdadm.conf",
        "# ARRAY /dev/md/kubernetes\nARRAY /dev/md/data\n",
    );
    tree.directory("var/lib/kubelet/plugins/ebs.csi.aws.com");
    tree.write(
        "var/lib/kubelet/plugins_registry/ebs.csi.aws.com-reg.sock",
        "",
    );
    tree.write("etc/systemd/system/azure-ephemeral-disk-setup.service", "");
    assert_eq!(owners(&tree.observe()), []);
}

#[test]
fn nodeadm_by_drop_in_by_cache_and_by_user_data() {
    let yaml = "spec:\n  instance:\n    localStorage:\n      strategy: RAID10\n";
    let json = "{\"spec\":{\"instance\":{\"localStorage\":{\"strategy\":\"RAID10\"}}}}";
    for (path, text) in [
        ("etc/eks/nodeadm.d/50-storage.yaml", yaml),
        ("etc/eks/nodeadm.d/50-storage.json", json),
        ("run/eks/nodeadm/config.json", json),
        ("var/lib/cloud/instance/user-data.txt", yaml),
    ] {
        let tree = Tree::aws();
        tree.write(path, text);
        let seen = tree.observe();
        let evidence = format!("localStorage strategy RAID10 in /{path}");
        assert_eq!(
            owners(&seen),
            [("nodeadm local storage (RAID10)", evidence.as_str())]
        );
    }
}

#[test]
fn an_array_called_kubernetes_on_a_disk_in_dev_and_in_a_file() {
    let name = "nodeadm local storage (array kubernetes)";
    let mut tree = Tree::aws();
    tree.nvme(&Nvme::default());
    tree.md_member("nvme1n1", "ip-10-0-0-1:kubernetes", [3; 16], 0);
    assert_eq!(
        owners(&tree.observe()),
        [(name, "the md superblock on nvme1n1 (AWS6AAA1111BBBB2222C)")]
    );

    let tree = Tree::aws();
    tree.link("dev/md/kubernetes", "../md127");
    assert_eq!(owners(&tree.observe()), [(name, "/dev/md/kubernetes")]);

    let tree = Tree::aws();
    tree.write(
        ".aws/mdadm.conf",
        "ARRAY /dev/md/kubernetes metadata=1.2 UUID=1:2:3:4\n",
    );
    assert_eq!(
        owners(&tree.observe()),
        [(name, "/.aws/mdadm.conf declares it")]
    );
}

/// Also on a disk that no rule allows: the signature alone tells.
#[test]
fn an_array_of_bottlerocket_on_a_disk_of_no_known_model() {
    let mut tree = Tree::new();
    tree.nvme(&Nvme {
        model: "Some Drive",
        ..Nvme::default()
    });
    tree.md_member("nvme1n1", "any:ephemeral", [3; 16], 0);
    let seen = tree.observe();
    assert_eq!(
        seen.owners[0].name,
        "ephemeral storage of Bottlerocket (array ephemeral)"
    );
    assert_eq!(seen.disks[0].content, None);
    assert_eq!(seen.disks[0].seen[0].what, "linux_raid_member");
}

#[test]
fn our_own_array_is_nobody_elses() {
    let mut tree = Tree::aws();
    tree.nvme(&Nvme::default());
    tree.md_member("nvme1n1", "any:instore", [3; 16], 0);
    assert_eq!(owners(&tree.observe()), []);
}

#[test]
fn the_local_instance_store_driver() {
    for path in [
        "var/lib/kubelet/plugins/lis.csi.aws.com/csi.sock",
        "var/lib/kubelet/plugins_registry/lis.csi.aws.com-reg.sock",
    ] {
        let tree = Tree::aws();
        tree.write(path, "");
        let seen = tree.observe();
        assert_eq!(seen.owners[0].name, "lis.csi.aws.com");
        assert!(
            format!("/{path}").starts_with(&seen.owners[0].evidence),
            "{path}"
        );
    }
}

#[test]
fn the_service_of_azure_when_it_is_enabled() {
    let tree = Tree::new();
    let link = "etc/systemd/system/multi-user.target.wants/azure-ephemeral-disk-setup.service";
    tree.link(
        link,
        "/usr/lib/systemd/system/azure-ephemeral-disk-setup.service",
    );
    let evidence = format!("/{link}");
    assert_eq!(
        owners(&tree.observe()),
        [("azure-ephemeral-disk-setup.service", evidence.as_str())]
    );
}
