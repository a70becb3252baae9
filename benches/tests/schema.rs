//! Our outputs against those of a real fio for the same job: every key of its
//! JSON in ours, in its place and with its type, every field of its terse lines,
//! every line of its text. Numbers that follow from others must agree as well.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[expect(
    clippy::disallowed_methods,
    reason = "fio is run, and nothing of the agent"
)]
mod fio {
    use std::path::Path;
    use std::process::Command;

    /// Everything fio prints of a job whose files are in a directory.
    pub(super) fn run(directory: &Path, arguments: &[&str]) -> String {
        let output = directory.join("output");
        let done = Command::new("fio")
            .arg("--output-format=terse,json+,normal")
            .arg(format!("--output={}", output.display()))
            .arg(format!("--directory={}", directory.display()))
            .args(super::GLOBAL)
            .args(arguments)
            .output()
            .expect("start fio (Debian's package fio)");
        assert!(done.status.success(), "{done:?}");
        std::fs::read_to_string(output).unwrap()
    }
}

#[path = "schema/plausible.rs"]
mod plausible;
#[path = "schema/real.rs"]
mod real;
#[path = "schema/shape.rs"]
mod shape;

use instore_bench::job::Format;
use instore_bench::output::{self, parse};
use instore_bench::results::Results;
use serde_json::Value;

use plausible::{Done, Shape};

/// What jobs have in common.
const GLOBAL: [&str; 2] = ["--size=1m", "--bs=4k"];

/// What both print of one job.
struct Both {
    fio: Printed,
    /// Of a run of ours.
    ours: Printed,
    /// Of results of ours that did the same as fio's, to the last number.
    same: Printed,
}

struct Printed {
    terse: Vec<String>,
    json: String,
    normal: String,
}

impl Printed {
    /// fio announces its jobs first; JSON is the only thing with a lone brace.
    fn of(text: &str) -> Self {
        let (before, rest) = text.split_once("\n{\n").expect("JSON in it");
        let (json, normal) = rest.split_once("\n}\n").expect("an end of the JSON");
        let terse = before.lines().filter(|line| line.starts_with("3;"));
        Self {
            terse: terse.map(str::to_owned).collect(),
            json: format!("{{\n{json}\n}}\n"),
            normal: normal.to_owned(),
        }
    }

    fn value(&self) -> Value {
        serde_json::from_str(&self.json).unwrap()
    }
}

impl Both {
    /// Runs fio, and then us.
    fn of(threads: u32, arguments: &[&str]) -> Self {
        let directory = || tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let fio = Printed::of(&fio::run(directory().path(), arguments));
        let printed = |results: &Results| {
            let formats = [Format::Terse, Format::JsonPlus, Format::Normal];
            let mut text = Vec::new();
            output::write(results, &formats, &mut text).unwrap();
            Printed::of(&String::from_utf8(text).unwrap())
        };
        let ours = printed(&real::run(directory().path(), arguments));
        let same = printed(&same(&fio, threads));
        Self { fio, ours, same }
    }

    fn check(&self) {
        for ours in [&self.ours, &self.same] {
            shape::same_types("", &self.fio.value(), &ours.value());
            assert_eq!(shape::keys(&self.fio.json), shape::keys(&ours.json));
            let terse = |of: &Printed| of.terse.iter().map(|line| shape::fields(line)).collect();
            let [fio, ours_fields]: [Vec<_>; 2] = [terse(&self.fio), terse(ours)];
            assert_eq!(fio, ours_fields);
            assert_eq!(shape::lines(&self.fio.normal), shape::lines(&ours.normal));
        }
        self.check_numbers();
    }

    /// What was done is the same here, so that what follows from it must be.
    fn check_numbers(&self) {
        let (fio, ours) = (self.fio.value(), self.same.value());
        let jobs = fio["jobs"].as_array().unwrap().iter();
        for (fio, ours) in jobs.zip(ours["jobs"].as_array().unwrap()) {
            for direction in ["read", "write", "trim"] {
                for key in [
                    "io_kbytes",
                    "bw_bytes",
                    "bw",
                    "iops",
                    "total_ios",
                    "runtime",
                ] {
                    assert_eq!(
                        fio[direction][key], ours[direction][key],
                        "{direction}.{key}"
                    );
                }
            }
            assert_eq!(fio["sync"]["total_ios"], ours["sync"]["total_ios"]);
            assert_eq!(fio["job options"], ours["job options"]);
        }
        assert_eq!(fio["global options"], ours["global options"]);
        let shown = |of: &Printed| -> Vec<String> {
            let lines = of.normal.lines();
            let rates = |line: &&str| line.contains(" IOPS=") || line.contains(", io=");
            lines.filter(rates).map(str::to_owned).collect()
        };
        assert_eq!(shown(&self.fio), shown(&self.same));
    }
}

/// Results of ours that did what fio's say.
fn same(fio: &Printed, threads: u32) -> Results {
    let value = fio.value();
    let document = parse::read_json(&fio.json).unwrap();
    let jobs: Vec<Shape> = document
        .jobs
        .iter()
        .zip(value["jobs"].as_array().unwrap())
        .map(|(job, value)| Shape {
            name: job.job.clone(),
            description: value["desc"].as_str().unwrap_or_default().to_owned(),
            options: options(&value["job options"]),
            group: job.group,
            threads,
            directions: job.directions.clone().map(|done| Done {
                ios: done.ios,
                bytes: done.bytes,
                runtime: done.runtime,
                samples: done.iops_samples.count / u64::from(threads),
                latency: (done.latency.min, done.latency.max),
            }),
            syncs: value["sync"]["total_ios"].as_u64().unwrap(),
            depth: 1,
        })
        .collect();
    let disks = value["disk_util"].as_array().map(Vec::as_slice);
    let disks: Vec<String> = disks
        .unwrap_or_default()
        .iter()
        .map(|disk| disk["name"].as_str().unwrap().to_owned())
        .collect();
    plausible::results(&jobs, options(&value["global options"]), &disks)
}

fn options(value: &Value) -> Vec<(String, String)> {
    let options = value.as_object().into_iter().flatten();
    options
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn a_reader() {
    Both::of(1, &["--ioengine=psync", "--name=a", "--rw=read"]).check();
}

#[test]
fn a_writer_on_io_uring() {
    Both::of(
        1,
        &[
            "--name=a",
            "--rw=randwrite",
            "--ioengine=io_uring",
            "--iodepth=8",
        ],
    )
    .check();
}

#[test]
fn a_mixed_group_that_syncs() {
    let mixed = [
        "--rw=randrw",
        "--fsync=8",
        "--numjobs=2",
        "--group_reporting",
    ];
    Both::of(2, &[&["--name=a"][..], &mixed].concat()).check();
}

#[test]
fn jobs_after_each_other() {
    let jobs = [
        "--name=a",
        "--rw=write",
        "--name=b",
        "--stonewall",
        "--rw=read",
    ];
    Both::of(1, &jobs).check();
}

#[test]
fn long_enough_for_samples() {
    let both = Both::of(
        1,
        &[
            "--name=a",
            "--description=of a second",
            "--rw=randread",
            "--time_based",
            "--runtime=1",
        ],
    );
    both.check();
    let samples = &both.fio.value()["jobs"][0]["read"]["bw_samples"];
    assert_ne!(*samples, 0, "fio took samples");
}
