//! `bench-apply INSTORE [ROUNDS]`: times `instore apply` in the guest against the bare floor, the same
//! mdadm, mkfs and mount typed by hand, for 1, 4 and 8 disks, in turn and in one run for each number
//! of disks. Prints medians and ratios; judges nothing. What is timed is in `apply.sh`.
#![expect(clippy::unwrap_used, reason = "a harness stops at the first surprise")]

#[path = "../../agent/tests/vm/rig.rs"]
#[expect(dead_code, reason = "the scenarios use more of the rig than this")]
mod rig;

use std::path::{Path, PathBuf};

use rig::{Node, Report};

const DISKS: [usize; 3] = [1, 4, 8];
const ROUNDS: &str = "7";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(instore) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: bench-apply INSTORE [ROUNDS]");
        std::process::exit(2);
    };
    let rounds = arguments.next().unwrap_or_else(|| ROUNDS.to_owned());

    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = std::fs::read_to_string(here.join("vm/apply.sh")).unwrap();
    let library = here.join("../agent/tests/vm/scripts/lib.sh");
    let dir = tempfile::tempdir().unwrap();
    let rounds_file = dir.path().join("rounds");
    std::fs::write(&rounds_file, &rounds).unwrap();

    println!("medians of {rounds} rounds, guest time in ms; processes include those of udev");
    println!(
        "disks   floor   apply   ratio  (lowest..highest)   again    true   processes: floor apply again"
    );
    for disks in DISKS {
        let node = Node::new(disks);
        let report = node
            .boot(&script, &[&instore, &library, &rounds_file])
            .finish()
            .insist();
        let (floor, apply) = (facts(&report, "floor"), facts(&report, "apply"));
        let ratios: Vec<f64> = apply.iter().zip(&floor).map(|(a, f)| a / f).collect();
        let middle = |name: &str| median(facts(&report, name));
        println!(
            "{disks:>5}  {:6.0}  {:6.0}  {:6.2}  {:>18}  {:6.0}  {:6.0}   {:>16.0} {:>5.0} {:>5.0}",
            median(floor.clone()) / 1000.0,
            median(apply.clone()) / 1000.0,
            median(apply) / median(floor),
            format!("({:.2}..{:.2})", lowest(&ratios), highest(&ratios)),
            middle("again") / 1000.0,
            middle("true") / 1000.0,
            middle("floor.processes"),
            middle("apply.processes"),
            middle("again.processes"),
        );
    }
}

/// All values that the script told under this name, in order.
fn facts(report: &Report, name: &str) -> Vec<f64> {
    let prefix = format!("@{name} ");
    let values = report.text.lines().filter_map(|l| l.strip_prefix(&prefix));
    values.map(|v| v.trim().parse().unwrap()).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn lowest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn highest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}
