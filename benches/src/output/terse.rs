//! fio's terse format, version 3 (`--output-format=terse`, `--minimal`): one line
//! of values between semicolons for each entry. Programs read it by position:
//! five values of the job, 41 of reads and 41 of writes, 5 of the CPU, 7 queue
//! depths, 22 latencies, 9 of each disk, and the description when there is one.

use std::io::{self, Write};

use crate::histogram::Histogram;
use crate::results::{DiskUse, Results};

use super::VERSION;
use super::merge::{Entry, GroupTotal, Total, entries, groups, totals};
use super::shares::{Latencies, of_depths};

/// Positions of percentiles, used or not.
const PERCENTILES: usize = 20;

/// Latencies are in microseconds here.
const USEC: u64 = 1000;

/// Writes one line for each entry.
///
/// # Errors
/// When writing fails.
pub fn write(results: &Results, to: &mut dyn Write) -> io::Result<()> {
    let entries = entries(results);
    let groups = groups(&entries);
    for entry in &entries {
        let totals = totals(&groups, entry);
        writeln!(to, "{}", line(entry, &totals, &results.disks).join(";"))?;
    }
    Ok(())
}

fn line(entry: &Entry<'_>, group: &[GroupTotal; 2], disks: &[DiskUse]) -> Vec<String> {
    let first = entry.first;
    let mut fields = vec![
        "3".to_owned(),
        VERSION.to_owned(),
        first.name.clone(),
        first.group.to_string(),
        entry.errno().to_string(),
    ];
    for (total, group) in entry.directions.iter().zip(group) {
        direction(&mut fields, total, group, &first.percentiles);
    }
    let [user, system] = entry.cpu();
    fields.extend([format!("{user:.6}%"), format!("{system:.6}%")]);
    let counts = [
        entry.context_switches,
        entry.major_faults,
        entry.minor_faults,
    ];
    fields.extend(counts.map(|count| count.to_string()));
    let depths = of_depths(&entry.queue.depths, entry.ios());
    fields.extend(depths.map(|share| format!("{share:.1}%")));
    latencies(&mut fields, entry);
    disks.iter().for_each(|of| disk(&mut fields, of));
    if !first.description.is_empty() {
        fields.push(first.description.clone());
    }
    fields
}

fn direction(fields: &mut Vec<String>, total: &Total, group: &GroupTotal, percentiles: &[f64]) {
    let numbers = [
        total.bytes / 1024,
        total.bytes_per_second() / 1024,
        total.whole_ios_per_second(),
        total.runtime_ms,
    ];
    fields.extend(numbers.map(|number| number.to_string()));
    // submission latencies are not measured
    latency(fields, &Histogram::new());
    latency(fields, &total.latency);
    for index in 0..PERCENTILES {
        fields.push(match percentiles.get(index) {
            Some(percent) => {
                let value = total.latency.percentile(*percent) / USEC;
                format!("{percent:.6}%={value}")
            }
            None => "0%=0".to_owned(),
        });
    }
    latency(fields, &total.latency);
    let rates = &total.bandwidth;
    let share = match rates.count {
        0 => 0.0,
        _ => group.share(rates.mean),
    };
    fields.extend([rates.min.to_string(), rates.max.to_string()]);
    fields.extend([format!("{share:.6}%"), format!("{:.6}", rates.mean)]);
    fields.push(format!("{:.6}", rates.stddev()));
}

/// Smallest, largest, mean and deviation.
fn latency(fields: &mut Vec<String>, of: &Histogram) {
    fields.extend([of.min() / USEC, of.max() / USEC].map(|value| value.to_string()));
    let exact = [of.mean(), of.stddev()].map(|value| value / USEC as f64);
    fields.extend(exact.map(|value| format!("{value:.6}")));
}

/// Nanoseconds count into the first one of microseconds.
fn latencies(fields: &mut Vec<String>, entry: &Entry<'_>) {
    let Latencies {
        nsec,
        mut usec,
        msec,
    } = Latencies::of(&entry.latency());
    usec[0] += nsec.iter().sum::<f64>();
    let shares = usec.iter().chain(&msec);
    fields.extend(shares.map(|share| format!("{share:.2}%")));
}

fn disk(fields: &mut Vec<String>, disk: &DiskUse) {
    fields.push(disk.name.clone());
    let counts = [
        disk.read_ios,
        disk.write_ios,
        disk.read_merges,
        disk.write_merges,
        disk.read_ms,
        disk.write_ms,
        disk.queue_ms,
    ];
    fields.extend(counts.map(|count| count.to_string()));
    fields.push(format!("{:.2}%", super::busy_percent(disk)));
}
