//! What `observe` saw, as plain data: it can be saved on one machine and
//! planned on another. Holds no decisions; those are in `rules` and `plan`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The version of the saved form. Raised when a field changes its meaning.
pub const VERSION: u32 = 1;

/// Everything that `plan` may look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    pub node: Node,
    /// Whole block devices, sorted by kernel name; no partitions, no md.
    pub disks: Vec<Disk>,
    pub arrays: Vec<Array>,
    /// The agent's own mount namespace, in mount order.
    pub mounts: Vec<Mount>,
    /// Others who manage local disks on this node.
    pub owners: Vec<Owner>,
    /// Mount points and bound directories that the configuration names, and
    /// the usual ones.
    pub paths: BTreeMap<PathBuf, PathFacts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub cloud: Cloud,
    /// Kernel release, as uname(2) says.
    pub kernel: String,
    /// Filesystems and md levels the kernel has built in or as modules.
    pub features: Features,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    Aws,
    Gcp,
    Azure,
    Oci,
    Alibaba,
    /// DMI names nobody we know, or there is no DMI.
    Unknown,
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aws => "AWS",
            Self::Gcp => "GCP",
            Self::Azure => "Azure",
            Self::Oci => "OCI",
            Self::Alibaba => "Alibaba",
            Self::Unknown => "unknown",
        })
    }
}

/// What the running kernel can do, whether loaded yet or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    pub xfs: bool,
    pub ext4: bool,
    pub md_raid0: bool,
    pub md_raid10: bool,
    /// The kernel was built with disk quotas (fs.quota is there).
    pub quota: bool,
    /// ext4 can be mounted with quotas: the kernel has their format, too.
    #[serde(default)]
    pub ext4_quota: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bus {
    Nvme,
    Loop,
    /// Anything else: SCSI, virtio, Xen, device mapper, zram.
    Other,
}

/// One whole block device. Strings are trimmed of spaces and NULs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Kernel name: a handle for this boot only, never written down.
    pub name: String,
    /// "major:minor".
    pub dev: String,
    /// Counts the devices that ever had this name; None before Linux 5.15.
    pub diskseq: Option<u64>,
    pub bus: Bus,
    pub model: String,
    /// Controller serial; for a loop device the path of its backing file.
    pub serial: String,
    pub nsid: Option<u32>,
    /// NVMe transport: pcie, tcp, ...
    pub transport: Option<String>,
    pub pci_vendor: Option<u16>,
    pub wwid: Option<String>,
    pub size: u64,
    pub logical_block: u32,
    pub hidden: bool,
    pub removable: bool,
    pub read_only: bool,
    /// Only for a loop device.
    pub backing_file: Option<PathBuf>,
    /// Kernel names of its partitions.
    pub partitions: Vec<String>,
    /// Kernel names of md, dm and bcache devices on top of it or a partition.
    pub holders: Vec<String>,
    /// Uses that forbid writing, in words: mounts in any visible mount
    /// namespace ("mounted at /x", "mounted at /x (namespace of pid 7)"),
    /// swap, an open that is exclusive, an ancestor of the root filesystem.
    pub uses: Vec<String>,
    /// An ancestor of what is mounted at /, /boot, /boot/efi, /usr or /var.
    pub system: bool,
    /// Links below /dev/disk from the udev database, sorted; may be empty.
    pub links: Vec<String>,
    /// None: nobody asked for it to be read in full, since no rule allows it.
    pub content: Option<Content>,
    /// Signatures that libblkid names, for disks that no rule allows.
    pub seen: Vec<Finding>,
}

/// What is on a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Content {
    /// No signature anywhere, and every block that was read is zero.
    Empty,
    Ours(Ours),
    /// Somebody's: at least one finding.
    Foreign {
        findings: Vec<Finding>,
    },
    /// Could not be told, with the cause. Never treated as empty.
    Unreadable {
        cause: String,
    },
}

/// Made by instore, recognised by what is on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Ours {
    /// A filesystem with our label on the whole disk.
    Filesystem(Filesystem),
    /// A member of an array with our name.
    Member(Member),
    /// A claim of ours: the disk was empty when it was claimed, and nothing
    /// was ever mounted from it.
    Claimed(Claim),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filesystem {
    /// "xfs" or "ext4".
    pub fs: String,
    pub label: String,
    pub uuid: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub array_uuid: String,
    pub name: String,
    /// RAID level as md numbers it: 0 or 10.
    pub level: i32,
    pub raid_disks: u32,
    /// This member's slot in the array.
    pub slot: u32,
}

/// Written before the first destructive step, cleared before the first mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// UUID of the pool in the making: of its array, or of its filesystem.
    pub pool_uuid: String,
    /// Serial and namespace of the disk that carries the claim.
    pub disk: String,
    /// What the disk reads as besides the claim, when it is already complete.
    #[serde(default)]
    pub under: Option<Box<Ours>>,
}

/// One reason why a disk is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// "ext4", "LVM2_member", "gpt", "data".
    pub what: String,
    /// Byte offset on the device.
    pub offset: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.what == "data" {
            return write!(f, "data at byte {}", self.offset);
        }
        write!(f, "{} signature at byte {}", self.what, self.offset)?;
        match &self.label {
            Some(label) => write!(f, " (label {label:?})"),
            None => Ok(()),
        }
    }
}

/// An md array that is assembled now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Array {
    /// Kernel name, for this boot only.
    pub name: String,
    pub dev: String,
    /// "raid0", "raid10"; empty while the array is not started.
    pub level: String,
    /// md's array_state: clear, inactive, clean, active, ...
    pub state: String,
    /// Kernel names of the members.
    pub members: Vec<String>,
    pub size: u64,
    /// Set for an array whose members all are ours.
    pub uuid: Option<String>,
    /// What is on the array, read only for one of ours.
    pub content: Option<Content>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// "major:minor" of the filesystem.
    pub dev: String,
    /// The directory of the filesystem that is mounted: "/" but for binds.
    pub root: PathBuf,
    pub at: PathBuf,
    pub fs: String,
    pub source: String,
    pub options: String,
}

/// Someone else who manages the node's local disks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// "nodeadm local storage (RAID0)", "lis.csi.aws.com", ...
    pub name: String,
    /// What gave it away.
    pub evidence: String,
}

/// What is at a path that a mount or a bind would cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathFacts {
    Missing,
    Directory,
    /// The path, or a directory above it, is a symbolic link.
    Symlink,
    /// A file, a socket, a device.
    NotADirectory,
    Unreadable,
}

impl Disk {
    /// What identifies this disk on a record: its serial, and its namespace
    /// where a controller can have several.
    #[must_use]
    pub fn identity(&self) -> String {
        match self.nsid {
            Some(nsid) => format!("{}/{nsid}", self.serial),
            None => self.serial.clone(),
        }
    }
}

impl Content {
    /// The word that users and scripts see.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ours(_) => "Ours",
            Self::Foreign { .. } => "Foreign",
            Self::Unreadable { .. } => "Unreadable",
        }
    }

    /// Why, one sentence each.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        match self {
            Self::Empty => vec!["no signature, and every block read is zero".into()],
            Self::Ours(ours) => vec![ours.to_string()],
            Self::Foreign { findings } => findings.iter().map(Finding::to_string).collect(),
            Self::Unreadable { cause } => vec![cause.clone()],
        }
    }
}

impl fmt::Display for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filesystem(fs) => {
                write!(f, "{} filesystem {:?}, UUID {}", fs.fs, fs.label, fs.uuid)
            }
            Self::Member(m) => write!(
                f,
                "disk {} of {} of array {:?} (raid{}), UUID {}",
                m.slot + 1,
                m.raid_disks,
                m.name,
                m.level,
                m.array_uuid
            ),
            Self::Claimed(claim) => write!(
                f,
                "claimed for pool {} that was not finished",
                claim.pool_uuid
            ),
        }
    }
}
