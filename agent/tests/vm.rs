//! Scenarios in a virtual machine with real NVMe controllers, systemd, udev, md and quotas, under
//! software emulation. Needs root and the packages that bootstrap/test.sh installs; nothing here is
//! skipped, the whole layer is behind the feature `vm-tests`.
//!
//! What a node goes through is in `vm/scripts/`, in shell, as an engineer would type it; this file
//! says on which hardware each script runs and what is done to that hardware meanwhile.
//!
//! All 25 power cuts: `INSTORE_POWER_CUTS=25 cargo test --package instore
//! --features faults,loop-tests,vm-tests --test vm power -- --nocapture`; a seed that failed is
//! given back with `INSTORE_SEED=N`.
#![cfg(feature = "vm-tests")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "vm/fragile.rs"]
mod fragile;
#[path = "vm/rig.rs"]
mod rig;

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use fragile::Fragile;
use rig::{Node, Report};

const INSTORE: &str = env!("CARGO_BIN_EXE_instore");
/// Power cuts when nothing else is asked for.
const POWER_CUTS: u32 = 5;

fn scripts() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vm/scripts"))
}

fn script(name: &str) -> String {
    std::fs::read_to_string(scripts().join(name)).unwrap()
}

/// Runs a script on a fresh node with this many instance disks; the EBS disks must stay as they are.
fn on_a_node_with(instance_disks: usize, name: &str) -> Report {
    let node = Node::new(instance_disks);
    let library = scripts().join("lib.sh");
    let report = node
        .boot(&script(name), &[Path::new(INSTORE), &library])
        .finish()
        .insist();
    node.assert_ebs_untouched();
    node.assert_root_frame_untouched();
    report
}

#[test]
fn a_pool_on_one_disk() {
    on_a_node_with(1, "pool.sh");
}

#[test]
fn a_pool_on_four_disks() {
    on_a_node_with(4, "pool.sh");
}

#[test]
fn a_pool_on_eight_disks() {
    on_a_node_with(8, "pool.sh");
}

#[test]
fn failures_are_clear_and_cost_nothing() {
    on_a_node_with(2, "failures.sh");
}

#[test]
fn killed_at_every_step_boundary() {
    let report = on_a_node_with(2, "kills.sh");
    println!("killed at {} step boundaries", report.fact("boundaries"));
}

#[test]
fn a_disk_is_pulled_while_apply_runs() {
    let node = Node::new(2);
    let library = scripts().join("lib.sh");
    let mut guest = node.boot(&script("pulled.sh"), &[Path::new(INSTORE), &library]);
    guest.wait_for_line("ready to lose a disk");
    guest.pull(2);
    guest.finish().insist();
    node.assert_ebs_untouched();
}

/// What the daemon does and tells on a node with three pools.
#[test]
fn the_daemon() {
    let node = Node::new(3);
    let library = scripts().join("lib.sh");
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/instore.service");
    let third = Fragile::new(&node.path("instance-3.img"));
    let mut guest = node.boot(&script("daemon.sh"), &[Path::new(INSTORE), &library, &unit]);
    guest.wait_for_line("ready to lose a disk");
    guest.pull(2);
    guest.wait_for_line("ready for a disk");
    guest.add(&node, 4);
    guest.wait_for_line("ready for errors");
    third.fail();
    let report = guest.finish().insist();
    node.assert_ebs_untouched();
    for line in report.text.lines().filter(|line| line.starts_with('@')) {
        println!("{line} ms");
    }
}

#[test]
fn the_daemon_is_stopped_and_killed_at_any_moment() {
    let node = Node::new(2);
    let library = scripts().join("lib.sh");
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/instore.service");
    let payload = [Path::new(INSTORE), &library, &unit];
    let report = node.boot(&script("stopped.sh"), &payload).finish().insist();
    node.assert_ebs_untouched();
    println!("{}", report.text);
}

/// Benchmarks of an empty disk, and of a pool by the daemon.
#[test]
fn the_suite_on_a_pool() {
    let node = Node::new(1);
    let library = scripts().join("lib.sh");
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/instore.service");
    let payload = [Path::new(INSTORE), &library, &unit];
    let report = node.boot(&script("suite.sh"), &payload).finish().insist();
    node.assert_ebs_untouched();
    println!("{}", report.text);
}

/// The containerd recipe, then a reboot, a stop and start, and disks that never come back.
#[test]
fn the_life_of_a_node() {
    let mut node = Node::new(2);
    let stage_file = tempfile::tempdir().unwrap();
    let stage_file = stage_file.path().join("stage");
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd");
    let boot = |node: &Node, stage: &str| {
        std::fs::write(&stage_file, stage).unwrap();
        let library = scripts().join("lib.sh");
        let unit = units.join("instore-apply.service");
        let consumer = units.join("10-instore.conf");
        let payload = [Path::new(INSTORE), &library, &unit, &consumer, &stage_file];
        node.run(&script("node.sh"), &payload)
    };

    let first = boot(&node, "first");
    let reboot = boot(&node, "reboot");
    assert_eq!(
        reboot.fact("uuid"),
        first.fact("uuid"),
        "another filesystem after a reboot"
    );
    assert_eq!(
        reboot.fact("boots"),
        "first reboot",
        "content was lost by a reboot"
    );

    node.blank_instance_disks();
    let restart = boot(&node, "blank");
    assert_ne!(
        restart.fact("uuid"),
        first.fact("uuid"),
        "blank disks cannot hold the old UUID"
    );
    assert_eq!(restart.fact("boots"), "blank", "content on blank disks?");

    node.remove_instance_disks();
    let without = boot(&node, "gone");
    node.assert_ebs_untouched();
    node.assert_root_frame_untouched();

    for (name, report) in [
        ("reboot", &reboot),
        ("stop/start", &restart),
        ("disks gone", &without),
    ] {
        println!(
            "{name:<10}  multi-user after {:5.2} s, of which instore-apply took {:4.2} s",
            report.number("boot") / 1e6,
            report.number("apply") / 1e6,
        );
    }
}

/// Cuts the power at random moments of an apply with binds and lets the next boot converge.
#[test]
fn power_cuts() {
    let number = |name: &str| std::env::var(name).ok().map(|v| v.parse::<u64>().unwrap());
    let cuts = number("INSTORE_POWER_CUTS").unwrap_or(POWER_CUTS.into());
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let mut seed = number("INSTORE_SEED").unwrap_or(since_1970.as_secs());
    println!("power cuts with INSTORE_SEED={seed}");

    let node = Node::new(2);
    let library = scripts().join("lib.sh");
    let power = script("power.sh");
    let mut length = None;
    for cut in 1..=cuts {
        let mut guest = node.boot(&power, &[Path::new(INSTORE), &library]);
        guest.wait_for_line("applying now");
        // The length of an undisturbed run, from the guest's first boot.
        let so_far = Report {
            code: 0,
            text: guest.output(),
        };
        let length = *length.get_or_insert_with(|| so_far.number("took"));
        let moment = Duration::from_secs_f64(length * fraction(&mut seed) / 1000.0);
        sleep(moment);
        let output = guest.cut_power();
        assert!(!output.contains("FAILED"), "cut {cut}:\n{output}");
        let over = if output.contains("faster than the cut") {
            ", after its end"
        } else {
            ""
        };
        println!(
            "cut {cut}: {moment:.2?} into an apply of {:.2} s{over}",
            length / 1000.0
        );
    }
    let last = tempfile::tempdir().unwrap();
    let last = last.path().join("last");
    std::fs::write(&last, "").unwrap();
    node.boot(&power, &[Path::new(INSTORE), &library, &last])
        .finish()
        .insist();
    node.assert_ebs_untouched();
    node.assert_root_frame_untouched();
}

/// The next number of a small generator, between 0 and 1.
fn fraction(state: &mut u64) -> f64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    let high = u32::try_from(*state >> 32).unwrap();
    f64::from(high) / f64::from(u32::MAX)
}
