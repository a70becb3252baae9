use std::path::PathBuf;

use super::*;
use crate::config::Config;
use crate::daemon::state::Space;
use crate::inventory::{Array, Filesystem, Member, Ours};
use crate::plan::plan;
use crate::testing::{instance_disk, node, suite};

fn filesystem(label: &str) -> Option<Content> {
    Some(Content::Ours(Ours::Filesystem(Filesystem {
        fs: "xfs".into(),
        label: label.into(),
        uuid: "f".into(),
    })))
}

fn mount(dev: &str, at: &str, options: &str) -> Mount {
    Mount {
        dev: dev.into(),
        root: PathBuf::from("/"),
        at: PathBuf::from(at),
        fs: "xfs".into(),
        source: "/dev/x".into(),
        options: options.into(),
    }
}

/// A node whose one disk is a pool at /data.
fn healthy() -> Inventory {
    let mut disk = instance_disk(1);
    disk.content = filesystem("instore");
    disk.uses = vec!["mounted at /data".into()];
    let mut inventory = node(vec![disk]);
    inventory.mounts = vec![mount("259:1", "/data", "rw,noatime,rw,prjquota")];
    inventory
}

/// A node whose two disks are an array at /data.
fn striped(level: i32) -> Inventory {
    let member = |n: usize| {
        let mut disk = instance_disk(n);
        disk.content = Some(Content::Ours(Ours::Member(Member {
            array_uuid: "a".into(),
            name: "any:instore".into(),
            level,
            raid_disks: 2,
            slot: u32::try_from(n).unwrap() - 1,
        })));
        disk.holders = vec!["md127".into()];
        disk.uses = vec!["member of array md127".into()];
        disk
    };
    let mut inventory = node(vec![member(1), member(2)]);
    inventory.arrays = vec![Array {
        name: "md127".into(),
        dev: "9:127".into(),
        level: format!("raid{level}"),
        state: "clean".into(),
        members: vec!["nvme1n1".into(), "nvme2n1".into()],
        size: 1 << 30,
        uuid: Some("a".into()),
        content: filesystem("instore"),
    }];
    inventory.mounts = vec![mount("9:127", "/data", "rw,noatime")];
    inventory
}

struct Scene {
    memory: Memory,
    readings: Readings,
    benches: BTreeMap<String, Arc<Kept>>,
    failures: Failures,
}

/// After this node was seen whole.
fn after(whole: &Inventory) -> Scene {
    let mut memory = Memory::default();
    memory.learn(whole, &plan(&Config::default(), whole));
    assert_eq!(
        memory.pools().len(),
        1,
        "{:#?}",
        plan(&Config::default(), whole)
    );
    Scene {
        memory,
        readings: Readings::default(),
        benches: BTreeMap::new(),
        failures: Failures::default(),
    }
}

impl Scene {
    fn kinds(&self, inventory: &Inventory) -> Vec<(Kind, Severity, String)> {
        let found = find(&Facts {
            inventory,
            plan: &plan(&Config::default(), inventory),
            memory: &self.memory,
            readings: &self.readings,
            benches: &self.benches,
            failures: &self.failures,
        });
        let all = found.into_iter();
        all.map(|f| (f.kind, f.severity, f.object.to_string()))
            .collect()
    }

    fn pool(&mut self) -> &mut PoolReading {
        self.readings.pools.entry("instore".into()).or_default()
    }
}

fn critical(kind: Kind, object: &str) -> (Kind, Severity, String) {
    (kind, Severity::Critical, object.into())
}

fn disk_object(n: usize) -> String {
    format!("disk {}", instance_disk(n).identity())
}

#[test]
fn a_node_as_configured_has_none() {
    for whole in [healthy(), striped(0)] {
        assert_eq!(after(&whole).kinds(&whole), []);
    }
}

#[test]
fn a_disk_that_is_pulled_is_gone_and_its_pool_is_told_of() {
    let scene = after(&healthy());
    let mut now = healthy();
    now.disks.clear();
    // The filesystem stays mounted until it notices.
    assert_eq!(
        scene.kinds(&now),
        [critical(Kind::DiskGone, &disk_object(1))]
    );
    now.mounts.clear();
    let kinds = scene.kinds(&now);
    assert!(kinds.contains(&critical(Kind::PoolNotMounted, "pool instore")));
}

#[test]
fn an_array_that_lacks_a_disk_is_worse_without_redundancy() {
    let mut now = striped(0);
    now.disks.pop();
    now.arrays[0].members.pop();
    let kinds = after(&striped(0)).kinds(&now);
    assert!(
        kinds.contains(&critical(Kind::ArrayDegraded, "pool instore")),
        "{kinds:?}"
    );
    let mut scene = after(&striped(0));
    scene.pool().degraded = Some(1);
    let mut mirrored = striped(0);
    mirrored.arrays[0].level = "raid10".into();
    let warning = (
        Kind::ArrayDegraded,
        Severity::Warning,
        "pool instore".into(),
    );
    assert_eq!(scene.kinds(&mirrored), [warning]);
    mirrored.arrays[0].state = "broken".into();
    assert_eq!(
        scene.kinds(&mirrored),
        [critical(Kind::ArrayDegraded, "pool instore")]
    );
}

#[test]
fn a_pool_that_fails_hangs_fills_or_turns_read_only_is_told_of() {
    let whole = healthy();
    let mut scene = after(&whole);
    scene.pool().trouble = Some(Trouble::Errors("list it: EIO".into()));
    assert_eq!(
        scene.kinds(&whole),
        [critical(Kind::PoolFailed, "pool instore")]
    );
    scene.pool().trouble = Some(Trouble::Late);
    assert_eq!(
        scene.kinds(&whole),
        [critical(Kind::PoolUnresponsive, "pool instore")]
    );
    scene.pool().trouble = None;
    let space = |free, inodes_free| Space {
        size: 1000,
        free,
        inodes: 1000,
        inodes_free,
    };
    for (free, inodes, is_full) in [(51, 51, false), (49, 51, true), (51, 49, true)] {
        scene.pool().space = Some(space(free, inodes));
        assert_eq!(!scene.kinds(&whole).is_empty(), is_full, "{free} {inodes}");
    }
    scene.pool().space = None;
    let mut read_only = whole;
    read_only.mounts[0].options = "rw,noatime,ro".into();
    assert_eq!(
        scene.kinds(&read_only),
        [critical(Kind::PoolReadOnly, "pool instore")]
    );
}

#[test]
fn a_disk_that_turned_blank_is_not_a_new_one() {
    let scene = after(&healthy());
    let mut blank = healthy();
    blank.disks[0] = instance_disk(1);
    blank.mounts.clear();
    let kinds = scene.kinds(&blank);
    assert!(
        kinds.contains(&critical(Kind::DiskBlank, &disk_object(1))),
        "{kinds:?}"
    );
    // A disk that held somebody else's data is no pool that was lost.
    let mut foreign = instance_disk(2);
    foreign.content = Some(Content::Foreign { findings: vec![] });
    let mut with = healthy();
    with.disks.push(foreign);
    let scene = after(&with);
    with.disks[1] = instance_disk(2);
    let unused = (Kind::DiskUnused, Severity::Info, disk_object(2));
    assert_eq!(scene.kinds(&with), [unused]);
    let fresh = Scene {
        memory: Memory::default(),
        benches: BTreeMap::new(),
        readings: Readings::default(),
        failures: Failures::default(),
    };
    assert_eq!(fresh.kinds(&node(vec![instance_disk(1)])), []);
}

#[test]
fn refused_unreadable_dead_and_worn_disks_are_told_of() {
    let whole = healthy();
    let mut scene = after(&whole);
    let mut foreign = instance_disk(2);
    foreign.content = Some(Content::Foreign { findings: vec![] });
    let mut with = whole.clone();
    with.disks.push(foreign);
    let refused = (Kind::DiskRefused, Severity::Warning, disk_object(2));
    assert_eq!(scene.kinds(&with), [refused]);

    let mut unreadable = whole.clone();
    unreadable.disks[0].content = Some(Content::Unreadable {
        cause: "EIO".into(),
    });
    assert_eq!(
        scene.kinds(&unreadable),
        [critical(Kind::DiskFailed, &disk_object(1))]
    );

    let id = instance_disk(1).identity();
    let reading = scene.readings.disks.entry(id).or_default();
    reading.state = Some("live".into());
    assert_eq!(scene.kinds(&whole), []);
    let id = instance_disk(1).identity();
    let reading = scene.readings.disks.entry(id).or_default();
    reading.state = Some("dead".into());
    reading.late = true;
    let kinds: Vec<Kind> = scene.kinds(&whole).into_iter().map(|k| k.0).collect();
    assert_eq!(kinds, [Kind::DiskFailed, Kind::DiskUnresponsive]);
}

#[test]
fn the_daemon_s_own_failures_are_told_of_with_their_words() {
    let whole = healthy();
    let mut scene = after(&whole);
    scene.failures = Failures {
        observe: Some("no sysfs".into()),
        apply: Some("mkfs failed".into()),
        reload: Some("line 3".into()),
        listen: Some("in use".into()),
    };
    assert_eq!(scene.kinds(&whole).len(), 4);
    let blind = find_blind(&scene.failures);
    assert_eq!(blind.len(), 4);
    assert!(
        blind
            .iter()
            .any(|f| f.message == "line 3" && f.kind == Kind::ConfigRefused)
    );
}

#[test]
fn a_pool_that_does_less_than_its_type_promises_is_told_of_with_the_figures() {
    let mut scene = after(&healthy());
    let mut measured = |iops| {
        let kept = Kept {
            uuid: "f".into(),
            result: suite(iops),
        };
        scene.benches.insert("instore".into(), Arc::new(kept));
        find(&Facts {
            inventory: &healthy(),
            plan: &plan(&Config::default(), &healthy()),
            memory: &scene.memory,
            readings: &scene.readings,
            benches: &scene.benches,
            failures: &scene.failures,
        })
    };
    assert_eq!(measured(40_000.0), []);
    let found = measured(30_000.0);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, Kind::PoolBelowSpecification);
    assert_eq!(found[0].severity, Severity::Warning);
    assert_eq!(
        found[0].message,
        "rand-read-4k does 30000 IOPS, 60 % of the 50000 of i4i.large"
    );
}
