//! fio's JSON, key for key in its order. What fio has no place for stands in one
//! more object at the end, "instore".

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use crate::histogram::Histogram;
use crate::results::{DiskUse, Results, Sample};

use super::merge::{Entry, GroupTotal, Total, entries, groups, totals};
use super::shares::{BOUNDS, Latencies, of_depths};
use super::{BATCHES, DEPTHS, VERSION, clock};

mod node;

use node::Node::{self, Array, Bool, Float, Int, Object, Signed};

/// Whether the buckets of histograms are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bins {
    /// In "json+".
    Shown,
    /// In "json".
    Left,
}

/// Writes one document.
///
/// # Errors
/// When writing fails.
pub fn write(results: &Results, bins: Bins, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, "{}", document(results, bins))
}

fn document(results: &Results, bins: Bins) -> Node {
    let entries = entries(results);
    let groups = groups(&entries);
    let elapsed = elapsed(results);
    let jobs = entries.iter().map(|entry| {
        let totals = totals(&groups, entry);
        job(entry, &totals, bins, elapsed)
    });
    let mut document = vec![
        ("fio version", text(VERSION)),
        ("timestamp", Int(results.unix_ms / 1000)),
        ("timestamp_ms", Int(results.unix_ms)),
        ("time", text(&clock::date(results.unix_ms))),
    ];
    // fio leaves it out when there is no [global]
    if !results.global.is_empty() {
        document.push(("global options", options(&results.global)));
    }
    document.push(("jobs", Array(jobs.collect())));
    let disks = results.disks.iter().map(disk);
    document.push(("disk_util", Array(disks.collect())));
    document.push(("instore", instore(results, &entries)));
    object(document)
}

fn job(entry: &Entry<'_>, group: &[GroupTotal; 2], bins: Bins, elapsed: u64) -> Node {
    let first = entry.first;
    let percents = &first.percentiles;
    let direction =
        |index: usize| direction(&entry.directions[index], &group[index], percents, bins);
    let trim = self::direction(&Total::default(), &GroupTotal::default(), percents, bins);
    let sync = object(vec![
        ("total_ios", Int(entry.syncs.count())),
        ("lat_ns", latency(&entry.syncs, Some(percents), bins)),
    ]);
    let [user, system] = entry.cpu();
    let queue = &entry.queue;
    let shares = Latencies::of(&entry.latency());
    let at_once = |classes: &[u64; 7]| depths(BATCHES, classes, classes.iter().sum());
    let mut job = vec![
        ("jobname", text(&first.name)),
        ("groupid", Int(first.group.into())),
        ("error", Signed(entry.errno().into())),
        // nothing is left to do
        ("eta", Int(0)),
        ("elapsed", Int(elapsed)),
        ("job options", options(&first.options)),
        ("read", direction(0)),
        ("write", direction(1)),
        ("trim", trim),
        ("sync", sync),
        ("job_runtime", Int(milliseconds(entry.runtime))),
        ("usr_cpu", Float(user)),
        ("sys_cpu", Float(system)),
        ("ctx", Int(entry.context_switches)),
        ("majf", Int(entry.major_faults)),
        ("minf", Int(entry.minor_faults)),
        ("iodepth_level", depths(DEPTHS, &queue.depths, entry.ios())),
        ("iodepth_submit", at_once(&queue.submitted)),
        ("iodepth_complete", at_once(&queue.completed)),
        ("latency_ns", bands(&shares.nsec)),
        ("latency_us", bands(&shares.usec)),
        ("latency_ms", bands(&shares.msec)),
        ("latency_depth", Int(first.depth.into())),
        ("latency_target", Int(0)),
        ("latency_percentile", Float(100.0)),
        ("latency_window", Int(0)),
    ];
    if !first.description.is_empty() {
        job.push(("desc", text(&first.description)));
    }
    object(job)
}

fn direction(total: &Total, group: &GroupTotal, percents: &[f64], bins: Bins) -> Node {
    let (bandwidth, iops) = (&total.bandwidth, &total.iops);
    let per_second = total.bytes_per_second();
    let share = match bandwidth.count {
        0 => 0.0,
        _ => group.share(bandwidth.mean),
    };
    object(vec![
        ("io_bytes", Int(total.bytes)),
        ("io_kbytes", Int(total.bytes / 1024)),
        ("bw_bytes", Int(per_second)),
        ("bw", Int(per_second / 1024)),
        ("iops", Float(total.ios_per_second())),
        ("runtime", Int(total.runtime_ms)),
        ("total_ios", Int(total.ios)),
        ("short_ios", Int(total.short_ios)),
        ("drop_ios", Int(0)),
        // submissions are not timed one by one, so that the whole is completion
        ("slat_ns", latency(&Histogram::new(), None, bins)),
        ("clat_ns", latency(&total.latency, Some(percents), bins)),
        ("lat_ns", latency(&total.latency, None, bins)),
        ("bw_min", Int(bandwidth.min)),
        ("bw_max", Int(bandwidth.max)),
        ("bw_agg", Float(share)),
        ("bw_mean", Float(bandwidth.mean)),
        ("bw_dev", Float(bandwidth.stddev())),
        ("bw_samples", Int(bandwidth.count)),
        ("iops_min", Int(iops.min)),
        ("iops_max", Int(iops.max)),
        ("iops_mean", Float(iops.mean)),
        ("iops_stddev", Float(iops.stddev())),
        ("iops_samples", Int(iops.count)),
    ])
}

/// Percentiles only where fio has them, and only of something.
fn latency(of: &Histogram, percents: Option<&[f64]>, bins: Bins) -> Node {
    let mut latency = vec![
        ("min", Int(of.min())),
        ("max", Int(of.max())),
        ("mean", Float(of.mean())),
        ("stddev", Float(of.stddev())),
        ("N", Int(of.count())),
    ];
    if let (Some(percents), true) = (percents, of.count() > 0) {
        let values = percents
            .iter()
            .map(|at| (format!("{at:.6}"), Int(of.percentile(*at))));
        latency.push(("percentile", Object(values.collect())));
        if bins == Bins::Shown {
            let bins = of.bins().map(|(ns, count)| (ns.to_string(), Int(count)));
            latency.push(("bins", Object(bins.collect())));
        }
    }
    object(latency)
}

fn depths(names: [&str; 7], classes: &[u64; 7], total: u64) -> Node {
    let shares = of_depths(classes, total).map(Float);
    object(names.into_iter().zip(shares).collect())
}

fn bands(shares: &[f64]) -> Node {
    let mut names: Vec<String> = BOUNDS.iter().map(u64::to_string).collect();
    names.extend(["2000".to_owned(), ">=2000".to_owned()]);
    let shares = shares.iter().map(|share| Float(*share));
    Object(names.into_iter().zip(shares).collect())
}

fn disk(disk: &DiskUse) -> Node {
    object(vec![
        ("name", text(&disk.name)),
        ("read_ios", Int(disk.read_ios)),
        ("write_ios", Int(disk.write_ios)),
        ("read_merges", Int(disk.read_merges)),
        ("write_merges", Int(disk.write_merges)),
        ("read_ticks", Int(disk.read_ms)),
        ("write_ticks", Int(disk.write_ms)),
        ("in_queue", Int(disk.queue_ms)),
        ("util", Float(super::busy_percent(disk))),
    ])
}

/// What fio has no place for; `compare` and reports read it.
fn instore(results: &Results, entries: &[Entry<'_>]) -> Node {
    let warnings = results.warnings.iter().map(|warning| text(warning));
    let jobs = entries.iter().map(|entry| {
        let [read, write] = &entry.directions;
        let mut job = vec![
            ("jobname", text(&entry.first.name)),
            ("threads", Int(entry.members.into())),
            ("engine", text(&entry.first.engine)),
        ];
        if let Some(error) = entry.error {
            job.push(("error", text(&error.text)));
        }
        job.push(("read", timeline(&read.timeline)));
        job.push(("write", timeline(&write.timeline)));
        object(job)
    });
    object(vec![
        ("version", text(env!("CARGO_PKG_VERSION"))),
        ("interrupted", Bool(results.interrupted)),
        ("warnings", Array(warnings.collect())),
        ("jobs", Array(jobs.collect())),
    ])
}

/// Of all threads together: when each interval ended, and what was done in it.
fn timeline(samples: &[Sample]) -> Node {
    let column = |value: fn(&Sample) -> Node| Array(samples.iter().map(value).collect());
    object(vec![
        ("end_ms", column(|of| Int(milliseconds(of.end)))),
        ("length_ms", column(|of| Int(milliseconds(of.length)))),
        ("bytes", column(|of| Int(of.bytes))),
        ("ios", column(|of| Int(of.ios))),
    ])
}

/// Of the whole run, in seconds that were begun: groups run after each other.
fn elapsed(results: &Results) -> u64 {
    let mut longest = BTreeMap::<u32, Duration>::new();
    for thread in &results.threads {
        let of = longest.entry(thread.group).or_default();
        *of = thread.elapsed.max(*of);
    }
    milliseconds(longest.values().sum()).div_ceil(1000)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn options(options: &[(String, String)]) -> Node {
    let options = options.iter();
    Object(
        options
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
    )
}

fn text(value: &str) -> Node {
    Node::Text(value.to_owned())
}

fn object(members: Vec<(&str, Node)>) -> Node {
    let members = members.into_iter();
    Object(
        members
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}
