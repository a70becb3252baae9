//! Facts of the machine that warnings are made of, from sysfs, procfs and the
//! control groups of this process. What cannot be read is not known, and not
//! warned of.

use std::path::{Path, PathBuf};

use crate::results::DiskUse;
use crate::target::available_memory;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// That the page cache can have, in bytes; 0 when not known.
    pub memory: u64,
    pub disks: Vec<DiskFacts>,
    pub limits: Vec<Limit>,
    /// What others did to the disks while this did nothing (see `disk::Watch`).
    pub at_rest: Vec<DiskUse>,
}

/// One disk under a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFacts {
    pub name: String,
    /// "major:minor".
    pub number: String,
    pub kind: DiskKind,
    /// The one that is set.
    pub scheduler: Option<String>,
    /// `wbt_lat_usec`; 0 is off.
    pub writeback_limit_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskKind {
    /// Of the PCI bus.
    Nvme,
    Loop,
    /// zram, brd.
    Memory,
    /// null_blk.
    Null,
    /// nbd, rbd, drbd, NVMe over fabrics.
    Network,
    /// Of a hypervisor, such as virtio.
    Virtual,
    /// md, device mapper: what it stands on is looked at by itself.
    Stacked,
    Other,
}

/// A limit of a control group on one disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub disk: String,
    /// As the group says it.
    pub what: String,
    /// The file that says it.
    pub place: String,
}

/// Of the disks of these names (see `disk::under`). `root` is where sys and proc
/// are found.
#[must_use]
pub fn gather(root: &Path, names: &[String], at_rest: Vec<DiskUse>) -> Facts {
    let disks: Vec<DiskFacts> = names.iter().map(|name| disk(root, name)).collect();
    let meminfo = text(&root.join("proc/meminfo")).unwrap_or_default();
    Facts {
        memory: available_memory(&meminfo),
        limits: limits(root, &disks),
        disks,
        at_rest,
    }
}

fn text(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn disk(root: &Path, name: &str) -> DiskFacts {
    let at = root.join("sys/block").join(name);
    let attribute = |file: &str| text(&at.join(file)).map(|text| text.trim().to_owned());
    let transport = attribute("device/transport");
    DiskFacts {
        name: name.to_owned(),
        number: attribute("dev").unwrap_or_default(),
        kind: kind(name, transport.as_deref()),
        scheduler: attribute("queue/scheduler").map(|all| set(&all)),
        writeback_limit_us: attribute("queue/wbt_lat_usec")
            .and_then(|number| number.parse().ok())
            .unwrap_or(0),
    }
}

/// "none [mq-deadline]" is mq-deadline; a single one has no brackets.
fn set(schedulers: &str) -> String {
    let inner = schedulers
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    inner.map_or(schedulers, |(one, _)| one).to_owned()
}

fn kind(name: &str, transport: Option<&str>) -> DiskKind {
    let is = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if name.starts_with("nvme") {
        return match transport {
            Some("pcie") | None => DiskKind::Nvme,
            // The target of the same machine.
            Some("loop") => DiskKind::Virtual,
            Some(_) => DiskKind::Network,
        };
    }
    if is("loop") {
        DiskKind::Loop
    } else if is("zram") || is("ram") || is("pmem") {
        DiskKind::Memory
    } else if is("nullb") {
        DiskKind::Null
    } else if is("nbd") || is("rbd") || is("drbd") {
        DiskKind::Network
    } else if name.starts_with("vd") || name.starts_with("xvd") {
        DiskKind::Virtual
    } else if is("dm-") || is("md") {
        DiskKind::Stacked
    } else {
        DiskKind::Other
    }
}

/// Of each group that this process is in, up to the topmost.
fn limits(root: &Path, disks: &[DiskFacts]) -> Vec<Limit> {
    let groups = text(&root.join("proc/self/cgroup")).unwrap_or_default();
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(id), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if id == "0" {
            for top in ["sys/fs/cgroup", "sys/fs/cgroup/unified"] {
                for group in up(path) {
                    let file = root.join(top).join(&group).join("io.max");
                    add(&file, root, disks, &mut found, unlimited);
                }
            }
        } else if controllers.split(',').any(|name| name == "blkio") {
            for kind in ["read_bps", "write_bps", "read_iops", "write_iops"] {
                for group in up(path) {
                    let file = format!("blkio.throttle.{kind}_device");
                    let file = root.join("sys/fs/cgroup/blkio").join(&group).join(file);
                    add(&file, root, disks, &mut found, |_| false);
                }
            }
        }
    }
    found
}

/// A group and those above it, as paths below the top.
fn up(path: &str) -> Vec<PathBuf> {
    Path::new(path.trim_start_matches('/'))
        .ancestors()
        .map(Path::to_path_buf)
        .collect()
}

/// "rbps=max wbps=max riops=max wiops=max".
fn unlimited(what: &str) -> bool {
    what.split(' ').all(|part| part.ends_with("=max"))
}

fn add(
    file: &Path,
    root: &Path,
    disks: &[DiskFacts],
    found: &mut Vec<Limit>,
    is_none: fn(&str) -> bool,
) {
    let shown = file.strip_prefix(root).unwrap_or(file);
    for line in text(file).unwrap_or_default().lines() {
        let Some((number, what)) = line.split_once(' ') else {
            continue;
        };
        let disk = disks.iter().find(|disk| disk.number == number);
        if let Some(disk) = disk
            && !is_none(what)
        {
            found.push(Limit {
                disk: disk.name.clone(),
                what: what.to_owned(),
                place: format!("/{}", shown.display()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn facts_of_a_disk_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        put(root, "sys/block/nvme1n1/dev", "259:1\n");
        put(
            root,
            "sys/block/nvme1n1/queue/scheduler",
            "[none] mq-deadline\n",
        );
        put(root, "sys/block/nvme1n1/queue/wbt_lat_usec", "2000\n");
        put(root, "proc/meminfo", "MemAvailable: 1024 kB\n");
        let facts = gather(root, &["nvme1n1".into(), "gone".into()], Vec::new());
        assert_eq!(facts.memory, 1 << 20);
        let [one, gone] = facts.disks.as_slice() else {
            panic!()
        };
        assert_eq!(one.scheduler.as_deref(), Some("none"));
        assert_eq!(
            (one.number.as_str(), one.writeback_limit_us),
            ("259:1", 2000)
        );
        assert_eq!(
            (gone.scheduler.as_deref(), gone.kind),
            (None, DiskKind::Other)
        );
        assert_eq!(set("none"), "none");
        assert_eq!(set("none [bfq] kyber"), "bfq");
    }

    #[test]
    fn kinds_are_told_by_name_and_transport() {
        for (name, transport, kind_of) in [
            ("nvme0n1", Some("pcie"), DiskKind::Nvme),
            ("nvme0n1", Some("tcp"), DiskKind::Network),
            ("nvme0n1", Some("loop"), DiskKind::Virtual),
            ("loop7", None, DiskKind::Loop),
            ("zram0", None, DiskKind::Memory),
            ("nullb0", None, DiskKind::Null),
            ("rbd1", None, DiskKind::Network),
            ("vda", None, DiskKind::Virtual),
            ("dm-3", None, DiskKind::Stacked),
            ("md127", None, DiskKind::Stacked),
            ("sda", None, DiskKind::Other),
            ("mdx", None, DiskKind::Other),
        ] {
            assert_eq!(kind(name, transport), kind_of, "{name}");
        }
    }

    #[test]
    fn limits_of_all_groups_above_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        put(root, "sys/block/nvme1n1/dev", "259:1\n");
        put(root, "proc/self/cgroup", "7:blkio:/b\n0::/a/pod\n");
        let max = "259:1 rbps=max wbps=1000 riops=max wiops=max\n8:0 rbps=1 wbps=1\n";
        put(root, "sys/fs/cgroup/a/io.max", max);
        let none = "259:1 rbps=max wbps=max riops=max wiops=max\n";
        put(root, "sys/fs/cgroup/a/pod/io.max", none);
        let old = "sys/fs/cgroup/blkio/b/blkio.throttle.read_iops_device";
        put(root, old, "259:1 500\n");
        let limits = gather(root, &["nvme1n1".into()], Vec::new()).limits;
        let told: Vec<(&str, &str)> = limits
            .iter()
            .map(|limit| (limit.what.as_str(), limit.place.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (
                    "500",
                    "/sys/fs/cgroup/blkio/b/blkio.throttle.read_iops_device"
                ),
                (
                    "rbps=max wbps=1000 riops=max wiops=max",
                    "/sys/fs/cgroup/a/io.max"
                ),
            ]
        );
    }
}
