//! fio's text for people. What fio has no place for (what a job ran on, and
//! warnings) stands at the end, behind everything that scripts look for.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::histogram::Histogram;
use crate::results::{DiskUse, Results};

use super::merge::{Entry, Group, GroupTotal, Rates, Total, entries, groups, totals};
use super::number::{self, LATENCY_WIDTH, Prefix};
use super::shares::{BOUNDS, Latencies, of_depths};
use super::{clock, percentiles};

const DIRECTIONS: [&str; 2] = ["read", "write"];

/// Writes all of it.
///
/// # Errors
/// When writing fails.
pub fn write(results: &Results, to: &mut dyn Write) -> io::Result<()> {
    let entries = entries(results);
    let groups = groups(&entries);
    let date = clock::date(results.unix_ms);
    writeln!(to)?;
    for entry in &entries {
        let totals = totals(&groups, entry);
        to.write_all(block(entry, &totals, &date).as_bytes())?;
    }
    for group in &groups {
        to.write_all(status(group).as_bytes())?;
    }
    if !results.disks.is_empty() {
        writeln!(to, "\nDisk stats (read/write):")?;
        results.disks.iter().try_for_each(|of| disk(of, to))?;
    }
    notes(results, &entries, to)
}

fn block(entry: &Entry<'_>, group: &[GroupTotal; 2], date: &str) -> String {
    let first = entry.first;
    let error = match entry.error {
        Some(error) => format!("{:2} ({})", error.errno, error.text),
        None => " 0".to_owned(),
    };
    let mut text = format!(
        "{}: (groupid={}, jobs={}): err={error}: pid={}: {date}\n",
        first.name, first.group, entry.members, first.tid
    );
    if !first.description.is_empty() {
        let _ = writeln!(text, "  Description  : [{}]", first.description);
    }
    for index in 0..2 {
        let total = &entry.directions[index];
        if total.bytes > 0 {
            direction(
                &mut text,
                DIRECTIONS[index],
                total,
                &group[index],
                &first.percentiles,
            );
        }
    }
    shares(&mut text, &Latencies::of(&entry.latency()));
    if entry.syncs.count() > 0 {
        text.push_str("  fsync/fdatasync/sync_file_range:\n");
        latency(&mut text, "sync", &entry.syncs);
        text.push_str(&percentiles::table(
            "sync",
            &entry.syncs,
            &first.percentiles,
        ));
    }
    let [user, system] = entry.cpu();
    let _ = writeln!(
        text,
        "  cpu          : usr={user:.2}%, sys={system:.2}%, ctx={}, majf={}, minf={}",
        entry.context_switches, entry.major_faults, entry.minor_faults
    );
    depths(&mut text, entry);
    text
}

fn direction(text: &mut String, name: &str, total: &Total, group: &GroupTotal, percents: &[f64]) {
    let per_second = total.bytes_per_second();
    let [binary, decimal] = number::rate(per_second);
    let [amount, _] = number::bytes(total.bytes);
    let zones = if name == "write" {
        "; 0 zone resets"
    } else {
        ""
    };
    let _ = writeln!(
        text,
        "  {name}: IOPS={}, BW={binary} ({decimal})({amount}/{}msec){zones}",
        number::count(total.whole_ios_per_second()),
        total.runtime_ms
    );
    if total.latency.count() > 0 {
        // all of it is completion: submissions are not timed one by one
        latency(text, "clat", &total.latency);
        latency(text, " lat", &total.latency);
        text.push_str(&percentiles::table("clat", &total.latency, percents));
    }
    if total.bandwidth.count > 0 {
        bandwidth(text, &total.bandwidth, group);
        let Rates {
            count,
            min,
            max,
            mean,
            ..
        } = total.iops;
        let stddev = total.iops.stddev();
        let _ = writeln!(
            text,
            "   iops        : min={min:5}, max={max:5}, avg={mean:5.2}, stdev={stddev:5.2}, samples={count}"
        );
    }
}

/// Samples, in KiB/s, or in MiB/s when there are many.
fn bandwidth(text: &mut String, rates: &Rates, group: &GroupTotal) {
    const MANY: f64 = 1024.0 * 1024.0;
    let share = group.share(rates.mean);
    let (unit, divisor) = if rates.mean > MANY {
        ("MiB", 1024)
    } else {
        ("KiB", 1)
    };
    let (min, max) = (rates.min / divisor, rates.max / divisor);
    let [mean, stddev] = [rates.mean, rates.stddev()].map(|value| value / divisor as f64);
    let _ = writeln!(
        text,
        "   bw ({unit:>5}/s): min={min:5}, max={max:5}, per={share:.2}%, avg={mean:5.2}, stdev={stddev:5.2}, samples={}",
        rates.count
    );
}

/// In the largest unit that all of it is well above.
fn latency(text: &mut String, name: &str, of: &Histogram) {
    let (min, max) = (of.min(), of.max());
    let (mean, stddev) = (of.mean(), of.stddev());
    let (unit, divisor) = if min > 2_000_000 && max > 99_999_999 && stddev > 1_000_000.0 {
        ("msec", 1_000_000)
    } else if min > 2_000 && max > 99_999 && stddev > 1_000.0 {
        ("usec", 1_000)
    } else {
        ("nsec", 1)
    };
    let [min, max] =
        [min, max].map(|ns| number::short(ns / divisor, LATENCY_WIDTH, Prefix::Decimal));
    let [mean, stddev] = [mean, stddev].map(|ns| ns / divisor as f64);
    let _ = writeln!(
        text,
        "    {name} ({unit}): min={min}, max={max}, avg={mean:5.2}, stdev={stddev:5.2}"
    );
}

fn shares(text: &mut String, shares: &Latencies) {
    let Latencies { nsec, usec, msec } = shares;
    for (unit, shares) in [("nsec", &nsec[..]), ("usec", usec), ("msec", msec)] {
        let shown: Vec<String> = shares
            .iter()
            .enumerate()
            .filter(|(_, share)| **share > 0.0)
            .map(|(index, share)| format!("{}={share:.2}%", bound(index)))
            .collect();
        for five in shown.chunks(5) {
            let _ = writeln!(text, "  lat ({unit})   : {}", five.join(", "));
        }
    }
}

fn bound(index: usize) -> String {
    match (BOUNDS.get(index), index - BOUNDS.len().min(index)) {
        (Some(bound), _) => bound.to_string(),
        (None, 0) => "2000".to_owned(),
        (None, _) => ">=2000".to_owned(),
    }
}

fn depths(text: &mut String, entry: &Entry<'_>) {
    let line = |names: [&str; 7], classes: &[u64; 7], total: u64| {
        let shares = of_depths(classes, total);
        let shown: Vec<String> = names
            .iter()
            .zip(shares)
            .map(|(name, share)| format!("{name}={share:.1}%"))
            .collect();
        shown.join(", ")
    };
    let queue = &entry.queue;
    let levels = line(super::DEPTHS, &queue.depths, entry.ios());
    let _ = writeln!(text, "  IO depths    : {levels}");
    for (name, classes) in [
        ("submit   ", &queue.submitted),
        ("complete ", &queue.completed),
    ] {
        let at_once = line(super::BATCHES, classes, classes.iter().sum());
        let _ = writeln!(text, "     {name} : {at_once}");
    }
    let [read, write] = &entry.directions;
    let _ = writeln!(
        text,
        "     issued rwts: total={},{},0,{} short={},{},0,0 dropped=0,0,0,0",
        read.ios,
        write.ios,
        entry.syncs.count(),
        read.short_ios,
        write.short_ios
    );
    let _ = writeln!(
        text,
        "     latency   : target=0, window=0, percentile=100.00%, depth={}",
        entry.first.depth
    );
}

fn status(group: &Group) -> String {
    let mut text = format!("\nRun status group {} (all jobs):\n", group.number);
    for (name, total) in ["   READ", "  WRITE"].iter().zip(&group.directions) {
        if total.max_runtime_ms == 0 {
            continue;
        }
        let [all, all_decimal] = number::rate(total.bandwidth);
        let [min, min_decimal] = number::rate(total.min_bandwidth);
        let [max, max_decimal] = number::rate(total.max_bandwidth);
        let [amount, amount_decimal] = number::bytes(total.bytes);
        let _ = writeln!(
            text,
            "{name}: bw={all} ({all_decimal}), {min}-{max} ({min_decimal}-{max_decimal}), io={amount} ({amount_decimal}), run={}-{}msec",
            total.min_runtime_ms, total.max_runtime_ms
        );
    }
    text
}

fn disk(disk: &DiskUse, to: &mut dyn Write) -> io::Result<()> {
    writeln!(
        to,
        "  {}: ios={}/{}, merge={}/{}, ticks={}/{}, in_queue={}, util={:.2}%",
        disk.name,
        disk.read_ios,
        disk.write_ios,
        disk.read_merges,
        disk.write_merges,
        disk.read_ms,
        disk.write_ms,
        disk.queue_ms,
        super::busy_percent(disk)
    )
}

fn notes(results: &Results, entries: &[Entry<'_>], to: &mut dyn Write) -> io::Result<()> {
    let mut notes = Vec::new();
    for entry in entries {
        let note = format!("{}: {}", entry.first.name, entry.first.engine);
        if !entry.first.engine.is_empty() && !notes.contains(&note) {
            notes.push(note);
        }
    }
    if results.interrupted {
        notes.push("interrupted: these are results of a part of the run".to_owned());
    }
    notes.extend(
        results
            .warnings
            .iter()
            .map(|text| format!("warning: {text}")),
    );
    if notes.is_empty() {
        return Ok(());
    }
    writeln!(to, "\nNotes:")?;
    notes.iter().try_for_each(|note| writeln!(to, "  {note}"))
}
