//! Whole outputs of one constructed result against text that was compared with
//! fio's line by line.

use std::time::Duration;

use super::{clock, merge, parse, write};
use crate::histogram::Histogram;
use crate::job::Format;
use crate::results::{Direction, DiskUse, Failure, Queue, Results, Sample, ThreadResult, Usage};

const NORMAL: &str = include_str!("golden/normal.txt");
const TERSE: &str = include_str!("golden/terse.txt");
const JSON: &str = include_str!("golden/results.json");

/// The default of `percentile_list`.
const PERCENTILES: [f64; 17] = [
    1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95,
    99.99,
];

/// Two threads of a mixed job in one group, then a reader by itself.
fn results() -> Results {
    let mut second = thread("mixed", 0, 1002);
    second.directions[0] = direction(300, 60_000, 3);
    second.error = Some(Failure {
        errno: 28,
        text: "write /data/mixed.1.0: No space left on device".to_owned(),
    });
    let mut last = thread("seq", 1, 1003);
    last.description = "one after the other".to_owned();
    last.group_reporting = false;
    last.directions = [direction(40, 250_000_000, 1), Direction::default()];
    last.syncs = Histogram::new();
    last.queue.depths = [0, 0, 40, 0, 0, 0, 0];
    Results {
        unix_ms: 1_795_301_191_351,
        global: vec![("size".to_owned(), "1m".to_owned())],
        threads: vec![thread("mixed", 0, 1001), second, last],
        disks: vec![DiskUse {
            name: "nvme1n1".to_owned(),
            read_ios: 5472,
            read_ms: 1736,
            queue_ms: 1737,
            busy_ms: 500,
            elapsed: Duration::from_secs(2),
            ..DiskUse::default()
        }],
        warnings: vec!["runs of less than ten seconds mean little".to_owned()],
        interrupted: true,
    }
}

fn thread(name: &str, group: u32, tid: i32) -> ThreadResult {
    let mut syncs = Histogram::new();
    (1..=20).for_each(|step| syncs.record(step * 70_000));
    ThreadResult {
        name: name.to_owned(),
        description: String::new(),
        options: vec![("rw".to_owned(), "randrw".to_owned())],
        job: group as usize,
        group,
        group_reporting: true,
        tid,
        error: None,
        elapsed: Duration::from_millis(1600),
        directions: [direction(200, 70_000, 2), direction(100, 30, 2)],
        syncs,
        usage: Usage {
            user: Duration::from_millis(150),
            system: Duration::from_millis(450),
            context_switches: 376,
            minor_faults: 26,
            major_faults: 1,
        },
        depth: 4,
        queue: Queue {
            depths: [1, 2, 297, 0, 0, 0, 0],
            submitted: [0, 300, 0, 0, 0, 0, 0],
            completed: [0, 300, 0, 0, 0, 0, 0],
        },
        percentiles: PERCENTILES.to_vec(),
        engine: "io_uring, registered files and buffers".to_owned(),
    }
}

/// Latencies that rise in equal steps, and samples that do as well.
fn direction(ios: u64, step_ns: u64, samples: u64) -> Direction {
    let mut latency = Histogram::new();
    (1..=ios).for_each(|index| latency.record(index * step_ns));
    let sample = |index: u64| Sample {
        end: Duration::from_millis(500 * index),
        length: Duration::from_millis(500),
        bytes: 4096 * 20 * index,
        ios: 20 * index,
    };
    Direction {
        ios,
        bytes: 4096 * ios,
        short_ios: 1,
        runtime: Duration::from_millis(1500),
        latency,
        samples: (1..=samples).map(sample).collect(),
    }
}

fn written(formats: &[Format]) -> String {
    let mut text = Vec::new();
    write(&results(), formats, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn dated(golden: &str) -> String {
    golden
        .replace("DATE", &clock::date(results().unix_ms))
        .replace("VERSION", env!("CARGO_PKG_VERSION"))
}

#[test]
fn normal_text_is_that_of_fio() {
    assert_eq!(written(&[Format::Normal]), dated(NORMAL));
}

#[test]
fn a_terse_line_is_that_of_fio() {
    let text = written(&[Format::Terse]);
    assert_eq!(text, dated(TERSE));
    let fields = |line: &str| line.split(';').count();
    let counts: Vec<usize> = text.lines().map(fields).collect();
    assert_eq!(counts, [130, 131], "with one disk, and a description");
}

#[test]
fn json_is_that_of_fio() {
    assert_eq!(written(&[Format::Json]), dated(JSON));
}

#[test]
fn several_formats_follow_each_other_in_the_order_of_fio() {
    let all = written(&[
        Format::Normal,
        Format::Json,
        Format::JsonPlus,
        Format::Terse,
    ]);
    let each = [Format::Terse, Format::JsonPlus, Format::Normal];
    assert_eq!(all, each.map(|format| written(&[format])).concat());
}

#[test]
fn json_plus_has_the_buckets_of_what_has_percentiles() {
    let plus: serde_json::Value = serde_json::from_str(&written(&[Format::JsonPlus])).unwrap();
    let write = &plus["jobs"][0]["write"];
    assert_eq!(write["clat_ns"]["bins"]["30"], 2);
    assert_eq!(write["clat_ns"]["bins"]["2992"], 2);
    assert!(write["lat_ns"].get("bins").is_none());
    assert_eq!(plus["jobs"][0]["sync"]["lat_ns"]["bins"]["70144"], 2);
}

#[test]
fn what_is_written_is_read_back() {
    let document = parse::read_json(&written(&[Format::Json])).unwrap();
    assert!(document.interrupted);
    assert_eq!(document.warnings, results().warnings);
    let [mixed, seq] = &document.jobs[..] else {
        panic!()
    };
    assert_eq!((mixed.job.as_str(), mixed.error), ("mixed", 28));
    assert_eq!(mixed.options["size"], "1m");
    let read = &mixed.directions[0];
    assert_eq!((read.ios, read.latency.count), (500, 500));
    assert_eq!(read.runtime, Duration::from_millis(1500));
    assert!((read.iops - 500.0 / 1.5).abs() < 1e-5);
    assert_eq!(read.iops_samples.count, 5);
    assert_eq!(seq.directions[1].ios, 0);
}

#[test]
fn a_group_adds_its_threads() {
    let results = results();
    let entries = merge::entries(&results);
    let [mixed, seq] = &entries[..] else { panic!() };
    assert_eq!((mixed.members, seq.members), (2, 1));
    assert_eq!(mixed.errno(), 28, "the error of one is the error of all");
    assert_eq!(mixed.first.tid, 1001);
    assert_eq!(mixed.syncs.count(), 40);
    let read = &mixed.directions[0];
    // means of 60 and 80 I/Os a second
    assert!((read.iops.mean - 140.0).abs() < 1e-9);
    assert_eq!((read.iops.min, read.iops.max), (80, 200));
    let ios: Vec<u64> = read.timeline.iter().map(|sample| sample.ios).collect();
    assert_eq!(ios, [40, 80, 60], "sums over time, as far as each goes");
}

#[test]
fn threads_of_other_groups_stay_apart() {
    let mut results = results();
    results.threads[1].group = 7;
    let entries = merge::entries(&results);
    assert_eq!(entries.len(), 3);
    let numbers: Vec<u32> = merge::groups(&entries).iter().map(|g| g.number).collect();
    assert_eq!(numbers, [0, 1, 7]);
}

#[test]
fn a_group_knows_its_slowest_and_fastest() {
    let mut results = results();
    for (thread, ms) in results.threads.iter_mut().zip([1000, 2000, 1]) {
        thread.group_reporting = false;
        thread.directions[0].runtime = Duration::from_millis(ms);
    }
    let entries = merge::entries(&results);
    let group = merge::groups(&entries)[0].directions[0];
    assert_eq!(
        (group.min_bandwidth, group.max_bandwidth),
        (150 * 4096, 200 * 4096)
    );
    assert_eq!((group.min_runtime_ms, group.max_runtime_ms), (1000, 2000));
    assert_eq!(
        group.bandwidth,
        500 * 4096 / 2,
        "all of it in the longest time"
    );
}

#[test]
fn nothing_at_all_is_written_as_nothing() {
    let mut results = results();
    results.threads.truncate(1);
    let thread = &mut results.threads[0];
    thread.directions = Default::default();
    thread.syncs = Histogram::new();
    thread.elapsed = Duration::ZERO;
    results.disks = vec![DiskUse::default()];
    let mut text = Vec::new();
    let formats = [Format::Terse, Format::Json, Format::Normal];
    write(&results, &formats, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(!text.contains("NaN") && !text.contains("inf%"), "{text}");
    let document = parse::read_json(&text).unwrap();
    let none = parse::DirectionSummary::default();
    assert_eq!(document.jobs[0].directions, [none.clone(), none]);
}
