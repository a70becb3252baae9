//! The node itself: its cloud by DMI, and what its kernel can do, loaded yet
//! or not.

use super::read::{attribute, text};
use crate::inventory::{Cloud, Features, Node};
use crate::root::Root;

/// The asset tag that every virtual machine of Azure has.
const AZURE_TAG: &str = "7783-7084-3265-9085-8269-3286-77";
const OCI_TAG: &str = "OracleCloud.com";

pub(super) fn read(root: &Root) -> Node {
    let kernel = attribute(&root.join("/proc/sys/kernel/osrelease")).unwrap_or_default();
    Node {
        cloud: cloud(root),
        features: features(root, &kernel),
        kernel,
    }
}

fn cloud(root: &Root) -> Cloud {
    let dmi =
        |name: &str| attribute(&root.join("/sys/class/dmi/id").join(name)).unwrap_or_default();
    let vendor = dmi("sys_vendor");
    let product = dmi("product_name");
    let tag = dmi("chassis_asset_tag");
    match vendor.as_str() {
        "Amazon EC2" => Cloud::Aws,
        "Google" => Cloud::Gcp,
        "Alibaba Cloud" => Cloud::Alibaba,
        // Hyper-V at home says the same vendor.
        "Microsoft Corporation" if tag == AZURE_TAG => Cloud::Azure,
        _ if tag == OCI_TAG => Cloud::Oci,
        _ if product == "Google Compute Engine" => Cloud::Gcp,
        _ if product == "Alibaba Cloud ECS" => Cloud::Alibaba,
        // Bare metal of EC2 has the vendor of its board.
        _ if dmi("bios_vendor") == "Amazon EC2" => Cloud::Aws,
        _ => Cloud::Unknown,
    }
}

/// A module, by its name and its place in the kernel's tree.
struct Module {
    name: &'static str,
    directory: &'static str,
}

const XFS: Module = Module {
    name: "xfs",
    directory: "kernel/fs/xfs",
};
const EXT4: Module = Module {
    name: "ext4",
    directory: "kernel/fs/ext4",
};
/// The quota format that ext4 keeps. Without it a filesystem made with quotas
/// cannot be mounted at all.
const QUOTA_V2: Module = Module {
    name: "quota_v2",
    directory: "kernel/fs/quota",
};
const RAID0: Module = Module {
    name: "raid0",
    directory: "kernel/drivers/md",
};
const RAID10: Module = Module {
    name: "raid10",
    directory: "kernel/drivers/md",
};

fn features(root: &Root, kernel: &str) -> Features {
    let filesystems = text(&root.join("/proc/filesystems")).unwrap_or_default();
    let registered = |name: &str| {
        filesystems
            .lines()
            .any(|line| line.split_ascii_whitespace().last() == Some(name))
    };
    let mdstat = text(&root.join("/proc/mdstat")).unwrap_or_default();
    let levels = mdstat
        .lines()
        .find(|line| line.starts_with("Personalities"))
        .unwrap_or("");
    let mut modules = Modules {
        root,
        kernel,
        lists: None,
    };
    let quota = root.join("/proc/sys/fs/quota").exists();
    Features {
        xfs: registered("xfs") || modules.have(&XFS),
        ext4: registered("ext4") || modules.have(&EXT4),
        md_raid0: levels.contains("[raid0]") || modules.have(&RAID0),
        md_raid10: levels.contains("[raid10]") || modules.have(&RAID10),
        quota,
        ext4_quota: quota && modules.have(&QUOTA_V2),
    }
}

/// The modules of the running kernel. Their lists are long, so they are read
/// only when a module is not where it usually is.
struct Modules<'a> {
    root: &'a Root,
    kernel: &'a str,
    lists: Option<String>,
}

impl Modules<'_> {
    fn have(&mut self, module: &Module) -> bool {
        if self.kernel.is_empty() || self.kernel.contains('/') {
            return false;
        }
        let directory = self.root.join("/lib/modules").join(self.kernel);
        let usual = directory.join(module.directory);
        let at_usual = ["ko", "ko.xz", "ko.zst", "ko.gz"]
            .iter()
            .any(|end| usual.join(format!("{}.{end}", module.name)).exists());
        if at_usual {
            return true;
        }
        let lists = self.lists.get_or_insert_with(|| {
            ["modules.builtin", "modules.dep"]
                .iter()
                .filter_map(|name| text(&directory.join(name)))
                .collect()
        });
        let file = format!("/{}.ko", module.name);
        lists.lines().any(|line| {
            let path = line.split(':').next().unwrap_or(line);
            path.rfind(&file).is_some_and(|at| {
                let end = path.get(at + file.len()..).unwrap_or_default();
                end.is_empty() || end.starts_with('.')
            })
        })
    }
}
