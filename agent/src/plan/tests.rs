//! Decisions over whole nodes, and the property that matters most: whatever is
//! on the disks, no step ever names one that is not ours to write.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::config::Layout;
use crate::inventory::{
    Array, Claim, Content, Filesystem, Finding, Member, Mount, Ours, Owner, PathFacts,
};
use crate::testing::{ebs, instance_disk, node};

fn config(text: &str) -> Config {
    Config::parse(text).unwrap()
}

fn filesystem(label: &str) -> Option<Content> {
    Some(Content::Ours(Ours::Filesystem(Filesystem {
        fs: "xfs".into(),
        label: label.into(),
        uuid: "f".into(),
    })))
}

fn member(slot: u32, raid_disks: u32, level: i32) -> Ours {
    Ours::Member(Member {
        array_uuid: "a".into(),
        name: "any:instore".into(),
        level,
        raid_disks,
        slot,
    })
}

fn claimed(disk: &Disk, under: Option<Ours>) -> Disk {
    Disk {
        content: Some(Content::Ours(Ours::Claimed(Claim {
            pool_uuid: "a".into(),
            disk: disk.identity(),
            under: under.map(Box::new),
        }))),
        ..disk.clone()
    }
}

fn foreign() -> Option<Content> {
    Some(Content::Foreign {
        findings: vec![Finding {
            what: "ext4".into(),
            offset: 1080,
            label: None,
        }],
    })
}

fn verdict(plan: &Plan, name: &str) -> Verdict {
    plan.disks.iter().find(|d| d.name == name).unwrap().verdict
}

fn steps(plan: &Plan) -> Vec<Vec<&Step>> {
    plan.pools
        .iter()
        .map(|p| p.steps.iter().collect())
        .collect()
}

#[test]
fn one_disk_becomes_a_single_pool_and_ebs_is_left_alone() {
    let plan = plan(
        &Config::default(),
        &node(vec![ebs(0), instance_disk(1), ebs(2)]),
    );
    assert_eq!(plan.pools.len(), 1);
    assert_eq!(plan.pools[0].level, None);
    assert_eq!(plan.pools[0].at, Path::new("/data"));
    assert_eq!(steps(&plan)[0].len(), 4);
    assert_eq!(verdict(&plan, "nvme0n1"), super::Verdict::Ignored);
    assert_eq!(verdict(&plan, "nvme1n1"), super::Verdict::Use);
}

#[test]
fn several_become_raid0_sorted_by_serial() {
    let disks = [3, 1, 2].map(instance_disk).to_vec();
    let plan = plan(&Config::default(), &node(disks));
    assert_eq!(plan.pools[0].level, Some(Level::Raid0));
    let names: Vec<_> = plan.pools[0]
        .disks
        .iter()
        .map(|d| d.name.as_str())
        .collect();
    assert_eq!(names, ["nvme1n1", "nvme2n1", "nvme3n1"]);
}

#[test]
fn raid10_needs_an_even_number_and_four() {
    for (count, fine) in [
        (1, false),
        (2, false),
        (3, false),
        (4, true),
        (5, false),
        (8, true),
        (24, true),
    ] {
        let plan = plan(
            &config("layout = \"raid10\""),
            &node((0..count).map(instance_disk).collect()),
        );
        assert_eq!(
            plan.blockers.is_empty(),
            fine,
            "{count}: {:?}",
            plan.blockers
        );
        assert_eq!(plan.is_done(), !fine);
    }
}

#[test]
fn each_keeps_its_numbers_whatever_the_order() {
    let mut second = instance_disk(1);
    second.content = filesystem("instore-1");
    let inventory = node(vec![second, instance_disk(2), instance_disk(3)]);
    let plan = plan(&config("layout = \"each\""), &inventory);
    let places: Vec<_> = plan
        .pools
        .iter()
        .map(|p| (p.at.to_str().unwrap(), p.disks[0].name.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            ("/data/0", "nvme2n1"),
            ("/data/1", "nvme1n1"),
            ("/data/2", "nvme3n1")
        ]
    );
}

#[test]
fn a_new_disk_leaves_the_number_of_one_that_is_gone_and_still_mounted() {
    let mount = |source: &str| Mount {
        dev: "259:9".into(),
        root: PathBuf::from("/"),
        at: PathBuf::from("/data/0"),
        fs: "xfs".into(),
        source: source.into(),
        options: "rw".into(),
    };
    let mut inventory = node(vec![instance_disk(2)]);
    inventory.mounts = vec![mount("/dev/nvme1n1")];
    let gone = plan(&config("layout = \"each\""), &inventory);
    assert_eq!(gone.blockers, [""; 0]);
    assert_eq!(gone.pools[0].at, Path::new("/data/1"));
    // What is no disk that left is in the way, and a person has to say.
    inventory.mounts = vec![mount("/dev/sda1")];
    let other = plan(&config("layout = \"each\""), &inventory);
    assert!(other.blockers[0].contains("/data/0 is taken"), "{other:?}");
}

#[test]
fn a_foreign_disk_is_refused_and_the_others_are_used() {
    let bad = Disk {
        content: foreign(),
        ..instance_disk(1)
    };
    let plan = plan(&Config::default(), &node(vec![bad, instance_disk(2)]));
    let refused: Vec<_> = plan.refused().collect();
    assert_eq!(refused.len(), 1);
    assert!(
        refused[0].why.contains("ext4 signature at byte 1080")
            && refused[0].why.contains("instore wipe nvme1n1")
    );
    assert_eq!(plan.pools[0].disks[0].name, "nvme2n1");
}

#[test]
fn no_disks_is_a_note_unless_they_are_required() {
    let fine = plan(&Config::default(), &node(vec![ebs(0)]));
    assert!(fine.blockers.is_empty() && fine.notes[0].contains("no ephemeral disk"));
    let required = plan(&config("require_disks = true"), &node(vec![]));
    assert!(required.blockers[0].contains("required"));
}

#[test]
fn another_owner_means_hands_off() {
    let mut inventory = node(vec![instance_disk(1)]);
    inventory.owners.push(Owner {
        name: "lis.csi.aws.com".into(),
        evidence: "its socket".into(),
    });
    let plan = plan(&Config::default(), &inventory);
    assert!(plan.is_done());
    assert!(
        plan.refused()
            .next()
            .unwrap()
            .why
            .contains("lis.csi.aws.com")
    );
}

#[test]
fn an_array_with_a_disk_missing_is_not_made_again() {
    let half = Disk {
        content: Some(Content::Ours(member(0, 2, 0))),
        ..instance_disk(1)
    };
    let plan = plan(&Config::default(), &node(vec![half, instance_disk(2)]));
    assert!(
        plan.blockers[0].contains("needs 2 disks and 1 are here"),
        "{:?}",
        plan.blockers
    );
    assert!(plan.is_done());
    assert_eq!(verdict(&plan, "nvme2n1"), super::Verdict::Spare);
}

#[test]
fn two_pools_for_one_place_are_for_a_person_to_decide() {
    let a = Disk {
        content: filesystem("instore"),
        ..instance_disk(1)
    };
    let b = Disk {
        content: filesystem("instore"),
        ..instance_disk(2)
    };
    let plan = plan(&Config::default(), &node(vec![a, b]));
    assert!(plan.blockers[0].contains("exclude each other") && plan.is_done());
}

#[test]
fn a_claim_on_every_disk_means_start_over() {
    let (a, b) = (instance_disk(1), instance_disk(2));
    let mut disks = vec![claimed(&a, Some(member(0, 2, 0))), claimed(&b, None)];
    for disk in &mut disks {
        disk.holders = vec!["md127".into()];
        disk.uses = vec!["opened exclusively".into()];
    }
    let mut inventory = node(disks);
    inventory.arrays.push(Array {
        name: "md127".into(),
        dev: "9:127".into(),
        level: "raid0".into(),
        state: "clean".into(),
        members: vec!["nvme1n1".into(), "nvme2n1".into()],
        size: 1,
        uuid: Some("a".into()),
        content: None,
    });
    let plan = plan(&Config::default(), &inventory);
    let steps = steps(&plan);
    assert!(matches!(steps[0][0], Step::StopArray { .. }), "{plan:?}");
    assert!(matches!(steps[0][1], Step::Claim));
}

#[test]
fn a_claim_left_on_some_disks_of_a_finished_array_is_only_cleared() {
    let (a, b) = (instance_disk(1), instance_disk(2));
    let done = Disk {
        content: Some(Content::Ours(member(0, 2, 0))),
        ..a.clone()
    };
    let left = claimed(&b, Some(member(1, 2, 0)));
    let plan = plan(&Config::default(), &node(vec![done, left]));
    let steps = steps(&plan);
    assert!(
        matches!(
            steps[0][..],
            [Step::AssembleArray { .. }, Step::Finish, Step::Mount]
        ),
        "{plan:?}"
    );
}

#[test]
fn an_array_that_is_only_half_assembled_is_assembled_again() {
    let mut disks = vec![instance_disk(1), instance_disk(2)];
    for (slot, disk) in disks.iter_mut().enumerate() {
        disk.content = Some(Content::Ours(member(u32::try_from(slot).unwrap(), 2, 0)));
    }
    disks[0].holders = vec!["md127".into()];
    let mut inventory = node(disks);
    inventory.arrays.push(Array {
        name: "md127".into(),
        dev: "9:127".into(),
        level: String::new(),
        state: "inactive".into(),
        members: vec!["nvme1n1".into()],
        size: 0,
        uuid: Some("a".into()),
        content: None,
    });
    let plan = plan(&Config::default(), &inventory);
    assert!(plan.blockers.is_empty(), "{plan:?}");
    assert!(matches!(steps(&plan)[0][0], Step::AssembleArray { .. }));
}

#[test]
fn what_is_in_the_way_blocks_and_nothing_is_begun() {
    let mut inventory = node(vec![instance_disk(1)]);
    for (facts, word) in [
        (PathFacts::Symlink, "symbolic link"),
        (PathFacts::NotADirectory, "not a directory"),
        (PathFacts::Unreadable, "could not be told"),
    ] {
        inventory.paths.insert(PathBuf::from("/data"), facts);
        let plan = plan(&Config::default(), &inventory);
        assert!(plan.blockers[0].contains(word), "{:?}", plan.blockers);
        assert!(plan.is_done());
    }
    inventory.paths.clear();
    inventory.mounts.push(mount("8:1", "/", "/data"));
    assert!(plan(&Config::default(), &inventory).blockers[0].contains("is taken"));
}

fn mount(dev: &str, root: &str, at: &str) -> Mount {
    Mount {
        dev: dev.into(),
        root: root.into(),
        at: at.into(),
        fs: "xfs".into(),
        source: "/dev/x".into(),
        options: String::new(),
    }
}

#[test]
fn what_is_as_configured_needs_no_step() {
    let disk = Disk {
        content: filesystem("instore"),
        uses: vec!["mounted at /data".into()],
        ..instance_disk(1)
    };
    let mut inventory = node(vec![disk]);
    inventory.mounts.push(mount("259:1", "/", "/data"));
    let config = config("binds = [\"/var/lib/kubelet\"]");
    assert_eq!(
        plan(&config, &inventory).binds,
        [PathBuf::from("/var/lib/kubelet")]
    );
    inventory.mounts.push(mount(
        "259:1",
        "/.instore/binds/var-lib-kubelet",
        "/var/lib/kubelet",
    ));
    let done = plan(&config, &inventory);
    assert!(done.is_done() && done.blockers.is_empty(), "{done:?}");
}

#[test]
fn without_md_or_filesystem_the_kernel_is_named() {
    let mut inventory = node(vec![instance_disk(1), instance_disk(2)]);
    inventory.node.features.md_raid0 = false;
    assert!(plan(&Config::default(), &inventory).blockers[0].contains("layout each"));
    inventory.node.features.xfs = false;
    assert!(plan(&config("layout = \"each\""), &inventory).blockers[0].contains("no xfs"));
}

/// What a disk may hold, as the property below sees it.
fn any_content() -> impl Strategy<Value = Option<Content>> {
    prop_oneof![
        4 => Just(Some(Content::Empty)),
        2 => Just(foreign()),
        1 => Just(Some(Content::Unreadable { cause: "EIO".into() })),
        1 => Just(None),
        1 => Just(filesystem("instore")),
        1 => (0usize..4).prop_map(|i| filesystem(&format!("instore-{i}"))),
        1 => (0u32..4).prop_map(|slot| Some(Content::Ours(member(slot, 4, 0)))),
    ]
}

fn any_disk(n: usize) -> impl Strategy<Value = Disk> {
    (any_content(), 0..8u8, any::<bool>()).prop_map(move |(content, flaw, network)| {
        let base = if network { ebs(n) } else { instance_disk(n) };
        let mut disk = Disk { content, ..base };
        match flaw {
            0 => disk.uses = vec!["swap".into()],
            1 => disk.holders = vec!["dm-0".into()],
            2 => disk.partitions = vec!["p1".into()],
            3 => disk.system = true,
            4 => disk.read_only = true,
            _ => {}
        }
        disk
    })
}

fn any_layout() -> impl Strategy<Value = Layout> {
    prop::sample::select(vec![
        Layout::Auto,
        Layout::Single,
        Layout::Each,
        Layout::Raid0,
        Layout::Raid10,
    ])
}

proptest! {
    #[test]
    fn only_empty_ephemeral_unused_disks_are_ever_written(
        disks in (0..9usize).prop_flat_map(|n| (0..n).map(any_disk).collect::<Vec<_>>()),
        layout in any_layout(),
    ) {
        let config = Config { layout, ..Config::default() };
        let inventory = node(disks);
        let plan = plan(&config, &inventory);
        for pool in plan.pools.iter().filter(|p| p.steps.contains(&Step::Claim)) {
            for wanted in &pool.disks {
                let disk = inventory.disks.iter().find(|d| d.identity() == wanted.identity).unwrap();
                prop_assert_eq!(&disk.content, &Some(Content::Empty));
                prop_assert!(disk.uses.is_empty() && disk.holders.is_empty() && disk.partitions.is_empty());
                prop_assert!(!disk.system && !disk.read_only);
                prop_assert_eq!(disk.model.as_str(), "Amazon EC2 NVMe Instance Storage");
            }
        }
        // Everybody gets an answer, once.
        prop_assert_eq!(plan.disks.len(), inventory.disks.len());
        // Disks are in one pool at most.
        let mut used: Vec<_> = plan.pools.iter().flat_map(|p| &p.disks).collect();
        let count = used.len();
        used.sort();
        used.dedup();
        prop_assert_eq!(used.len(), count);
        // A saved inventory plans the same elsewhere.
        let saved = serde_json::to_string(&inventory).unwrap();
        prop_assert_eq!(super::plan(&config, &serde_json::from_str(&saved).unwrap()), plan);
    }
}
