//! The figures as a table, and whether the limits hold.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::process::Memory;
use crate::{Seen, TIMED};

/// Of memory, at rest and after any number of scrapes.
const RESIDENT_KIB: u64 = 12 << 10;
/// The least that glibc allocates: a scrape that leaked anything would leak this. What is less is the
/// allocator's own, and the plots, which fill in the first 15 minutes.
const LEAK_BYTES: u64 = 32;
/// As Prometheus makes them by default: one in 15 seconds.
const SCRAPES_A_MINUTE: f64 = 4.0;
/// Of a core, at rest, in thousandths.
const CPU_PER_MILLE: u32 = 1;
/// Of a scrape with many disks, at the median.
const SCRAPE: Duration = Duration::from_millis(2);

pub(crate) fn heading(instore: &Path) -> Result<()> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cores = std::thread::available_parallelism()?;
    println!(
        "{} next to prometheus-node-exporter; Linux {}, {cores} processors",
        instore.display(),
        kernel.trim()
    );
    Ok(())
}

pub(crate) fn starts(starts: &mut [Memory]) {
    starts.sort_by_key(|memory| memory.resident);
    let [lowest, .., highest] = &*starts else {
        return;
    };
    println!(
        "\nresident at rest in {} starts, KiB: {} to {}, of it anonymous {} to {}",
        starts.len(),
        lowest.resident,
        highest.resident,
        lowest.anonymous,
        highest.anonymous
    );
}

pub(crate) fn table(instore: &Seen, exporter: &Seen) {
    let both = [instore, exporter];
    println!(
        "\n{:<46} {:>10} {:>14} {:>7}",
        format!("{} disks", instore.disks),
        "instore",
        "node_exporter",
        "ratio"
    );
    memory("at rest", both.map(|seen| seen.at_rest));
    memory(
        &format!("after {} scrapes", 2 * TIMED),
        both.map(|seen| seen.after_timed),
    );
    if let (Some(ours), Some(theirs)) = (&instore.loaded, &exporter.loaded) {
        let both = [ours, theirs];
        let count = ours.scrapes;
        memory(
            &format!("after {count} on one connection"),
            both.map(|loaded| loaded.after_kept),
        );
        memory(
            &format!("after {count} more on fresh ones"),
            both.map(|loaded| loaded.after_fresh),
        );
        memory("an idle time later", both.map(|loaded| loaded.later));
        let peaks = both.map(|loaded| loaded.later.peak);
        row("the most that was ever resident, KiB", kib(peaks), 0);
    }
    let seconds = instore.rested.time.as_secs();
    let rests = both.map(|seen| seen.rested.cpu.total);
    row(
        &format!("processor time in {seconds} idle seconds, ms"),
        rests.map(millis),
        1,
    );
    let ticks = both.map(|seen| millis(seen.rested.cpu.ticks));
    row("  the same in ticks, ms", ticks, 0);
    let scraped = both.map(|seen| {
        let minutes = seen.rested.time.as_secs_f64() / 60.0;
        millis(seen.rested.cpu.total) / minutes + SCRAPES_A_MINUTE * millis(seen.cost)
    });
    row("  of a minute with 4 scrapes, added up, ms", scraped, 1);
    for (name, percent) in [("median", 50), ("p99", 99)] {
        let kept = both.map(|seen| millis(seen.kept.percentile(percent)));
        row(&format!("scrape, connection kept, {name}, ms"), kept, 2);
        let fresh = both.map(|seen| millis(seen.fresh.percentile(percent)));
        row(&format!("scrape, fresh connection, {name}, ms"), fresh, 2);
    }
    let costs = both.map(|seen| millis(seen.cost));
    row("processor time of one scrape, ms", costs, 2);
    row("bytes of a scrape", both.map(|seen| count(seen.bytes)), 0);
    row("series", both.map(|seen| count(seen.series)), 0);
    rest(instore);
}

/// Who spent the idle time.
fn rest(instore: &Seen) {
    let rested = &instore.rested;
    let threads = rested.cpu.threads.iter();
    let mut shares: Vec<String> = threads
        .map(|(name, spent)| format!("{name} {:.1} ms", millis(*spent)))
        .collect();
    shares.push(format!(
        "threads that ended {:.1} ms",
        millis(rested.cpu.ended())
    ));
    println!("instore at rest, by thread: {}", shares.join(", "));
    if let Some(turns) = rested.turns {
        println!("turns of its loop meanwhile: {turns} (one a minute, if nothing happens)");
    }
}

/// The limits, and whether they hold. `starts` is of all starts, `many` is with many disks.
pub(crate) fn limits(starts: &[Memory], eight: &Seen, many: &Seen) {
    println!();
    let resident = |what: &str, memory: Memory| {
        verdict(
            memory.resident <= RESIDENT_KIB,
            &format!(
                "resident {what}: {:.1} MiB of {} MiB",
                mib(memory.resident),
                RESIDENT_KIB >> 10
            ),
        );
    };
    if let Some(&highest) = starts.iter().max_by_key(|memory| memory.resident) {
        resident(
            &format!("at rest, in the worst of {} starts", starts.len()),
            highest,
        );
    }
    if let Some(loaded) = &eight.loaded {
        resident("after the scrapes", loaded.after_fresh);
        let before = eight.after_timed.resident;
        let growth = loaded.later.resident.saturating_sub(before) << 10;
        let scrapes = 2 * (loaded.scrapes - TIMED) as u64;
        verdict(
            growth < scrapes * LEAK_BYTES,
            &format!(
                "no growth: {} KiB over the last {scrapes} scrapes, {:.0} bytes each; the least that \
                 can leak is {LEAK_BYTES}",
                growth >> 10,
                growth as f64 / scrapes as f64,
            ),
        );
    }
    let rested = &eight.rested;
    verdict(
        rested.cpu.total * 1000 < rested.time * CPU_PER_MILLE,
        &format!(
            "idle: {:.3} % of a core, limit {:.1} %",
            100.0 * rested.cpu.total.as_secs_f64() / rested.time.as_secs_f64(),
            f64::from(CPU_PER_MILLE) / 10.0
        ),
    );
    let median = many.kept.percentile(50);
    verdict(
        median <= SCRAPE,
        &format!(
            "scrape with {} disks: {:.2} ms at the median of {} ms",
            many.disks,
            millis(median),
            SCRAPE.as_millis()
        ),
    );
}

fn verdict(holds: bool, what: &str) {
    let word = if holds { "holds" } else { "DOES NOT HOLD" };
    println!("{word:<14} {what}");
}

fn memory(when: &str, both: [Memory; 2]) {
    let resident = both.map(|memory| memory.resident);
    row(&format!("resident {when}, KiB"), kib(resident), 0);
    let anonymous = both.map(|memory| memory.anonymous);
    row("  of it anonymous, KiB", kib(anonymous), 0);
}

fn row(what: &str, [ours, theirs]: [f64; 2], decimals: usize) {
    let ratio = match theirs > 0.0 {
        true => format!("{:.2}", ours / theirs),
        false => "-".into(),
    };
    println!("{what:<46} {ours:>10.decimals$} {theirs:>14.decimals$} {ratio:>7}");
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn kib(both: [u64; 2]) -> [f64; 2] {
    both.map(|kib| kib as f64)
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn count(count: usize) -> f64 {
    count as f64
}
